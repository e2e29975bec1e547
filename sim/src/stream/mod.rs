//! Streams of bytes (TCP, TLS) between the hosts of a world.
//!
//! A [`StreamLink`] is one direction, without I/O. A *pipe* is two of them between two hosts, with
//! back-pressure, half-closes and resets; a host may have any number of pipes beside its datagrams,
//! if its machine is a [`PipeMachine`] (the transport's `LinkEndpoint` is one). A [`StreamWorld`]
//! is a world whose machines are [`StreamMachine`](tripline_sansio::StreamMachine)s with one pipe
//! each. Clock, trace, loop and contract are the world's own.

mod config;
mod drive;
mod endpoint;
mod link;
mod machine;
mod pipes;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod toy;
mod view;
mod world;

pub use config::{Cut, StreamConfig};
pub(crate) use drive::Piped;
pub use link::{Arrived, StreamCounters, StreamLink};
pub use machine::{PipeMachine, Stream};
pub use pipes::PipeId;
pub(crate) use pipes::{Pipes, Way};
pub use view::PipeView;
pub use world::StreamWorld;
