//! What the integration tests share, and the README as a test: its examples are compiled and run
//! from here, because only this package sees every crate.
#![forbid(unsafe_code)]

mod cables;
mod carried;
mod carrier;
mod ends;
pub mod frames;
mod hostile;
mod pair;
mod sockets;
mod tape;
mod wiretap;

pub use carried::Carried;
pub use carrier::Carrier;
pub use hostile::Hostile;
pub use pair::{Pair, Side, identity};
pub use tape::{Tape, Taped};
pub use wiretap::{Sealed, Wiretap};

/// The README; its code blocks are this item's doc tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
