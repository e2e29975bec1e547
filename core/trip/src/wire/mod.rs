//! What goes over the wire: packets, frames, parameters and codes, typed. Parsing and writing, no
//! state and no policy: everything here is a total function of its input.
#![deny(clippy::arithmetic_side_effects)]

mod code;
mod stream_id;

pub use code::Code;
pub use stream_id::{Direction, Order, Side, StreamId};
