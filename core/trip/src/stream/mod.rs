//! One stream's two halves: what waits to be sent and acknowledged, and what has arrived.
//!
//! In come the user's messages and the peer's frames, out go frames, messages and fates. Nothing
//! here knows of packets, keys or the time.
#![deny(clippy::arithmetic_side_effects)]

pub(crate) mod recv;
pub(crate) mod send;
