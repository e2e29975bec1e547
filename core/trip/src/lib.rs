//! TRiP, an encrypted, message-oriented transport of many streams over datagrams, as a pure state
//! machine. (The crate's page is written with the endpoint.)
#![no_std]
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::cast_possible_truncation
)]

extern crate alloc;

mod ranges;
mod wire;

pub use wire::{Code, Direction, Order, Side, StreamId};
