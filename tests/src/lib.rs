//! What the integration tests share, and the README as a test: its examples are compiled and run
//! from here, because only this package sees every crate.
#![forbid(unsafe_code)]

mod pair;

pub use pair::{Pair, Side, identity};
