//! Ciphers for simulated runs, handed in through the public seam of the transport.
//!
//! [`FastAead`] has the sizes and the promises of the real ones at a fraction of their cost;
//! [`Recorder`] wraps any of them and writes down what is sealed and opened. Neither protects
//! anything from anybody: they are for tests alone.

mod fast;
mod liar;
mod recorder;
mod tape;

pub use fast::FastAead;
pub(crate) use liar::{Liar, Lies};
pub use recorder::Recorder;
pub(crate) use tape::{Map, Opened, Tape, Text};
