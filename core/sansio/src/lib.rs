//! The contract that every machine of tripline obeys.
//!
//! A *machine* is a protocol as a value: it is handed packets or bytes and the time, and hands back
//! packets or bytes, events and its next deadline. It has no clock, no entropy, no sockets and no
//! threads; whoever drives it (an adapter, the simulator, a fuzzer, a user's own loop) supplies all
//! four. This crate holds what the machines and their drivers must agree on:
//!
//! - [`Instant`]: time as a plain number, so that it may come from a clock, a trace or a fuzzer;
//! - [`Seed`] and [`Random`]: all randomness of a machine, expanded from 32 bytes, with labelled
//!   children so that one more draw in one component moves no other;
//! - [`DatagramMachine`] and [`StreamMachine`]: the two shapes, because networks come in two
//!   shapes; and [`Hub`], both with several links at once, with [`Solo`] and [`Crowd`], which make
//!   hubs of stream machines;
//! - [`StreamLayer`] and [`Layered`]: what lies between a link and a stream machine (TLS);
//! - [`Deadlines`]: which of many is the first; [`Backoff`]: growing, jittered waits;
//! - [`codec`]: a bounds-checked reader, a writer and QUIC's variable-length integers.
//!
//! # The run loop
//!
//! 1. Make a call (`handle_*` or a command), then drain `poll_transmit`, then `poll_event`, then
//!    read `poll_timeout`. A drain that is cut short (socket full) costs latency and never
//!    correctness.
//! 2. `now` never goes back; a machine treats an older `now` as the last one it saw.
//! 3. After a full drain the deadline lies in the future, or there is none.
//! 4. Sleeping exactly until the deadline is enough.
//! 5. `handle_timeout` at the deadline makes progress: it produces output or moves the deadline.
//! 6. A call made early, or twice, is harmless.
//! 7. The same seed and the same inputs give the same outputs, byte for byte.
//! 8. Every call does bounded work, and an idle poll is O(1).
#![no_std]
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::cast_possible_truncation
)]

extern crate alloc;

mod backoff;
pub mod codec;
mod crowd;
mod deadlines;
mod hub;
mod layer;
mod machine;
mod seed;
mod solo;
mod time;

pub use backoff::Backoff;
pub use core::time::Duration;
pub use crowd::{Crowd, CrowdEvent, Greeter};
pub use deadlines::Deadlines;
pub use hub::{Answer, Hub, LinkError, LinkFailure, LinkKind, Wish};
pub use layer::{LayerEvent, Layered, LinkLayer, Secure, StreamLayer};
pub use machine::{DatagramMachine, Ecn, Path, StreamMachine, Transmit};
pub use seed::{Random, Seed};
pub use solo::{Solo, SoloEvent};
pub use time::Instant;
