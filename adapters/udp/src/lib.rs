//! One UDP socket in batches: many datagrams per system call, in both directions.
//!
//! This is the floor under every datagram loop of tripline. It knows nothing of any protocol and of
//! any runtime: a [`Socket`] owns or borrows whatever has a file descriptor (a socket of std, mio,
//! async-io or tokio), never waits, and says what the system said.
//!
//! *In*: a [`Transmit`](tripline_sansio::Transmit) and its bytes, or a set of [`RecvBuffers`].
//! *Out*: a [`SendOutcome`], or each received datagram as a slice that may be changed in place.
//! It never blocks, never keeps a datagram back and never ends because of what the network did.
//!
//! - Sending uses segmentation offload (GSO): a train of up to 64 equal datagrams and 65,507 bytes
//!   goes out in one call. Where the system or the network card refuses that, the same train goes
//!   out as up to 64 messages of one call (`sendmmsg`; one by one on a socket of all addresses that
//!   answers from the one it was asked at), and nothing of it is lost.
//! - Receiving takes up to [`RecvBuffers::MAX`] messages in one call, each of them up to 64
//!   datagrams that the kernel has merged (GRO); they are cut apart here.
//! - The ECN mark goes both ways; the address a datagram was sent to becomes
//!   [`Path::local`](tripline_sansio::Path::local), and answers leave from it.
//! - [`Pump`] is the turn of every loop around a datagram machine, and [`Flow`] what such turns are
//!   made of.
//! - [`Stats`] counts datagrams, calls, and what was dropped and why.
//! - [`bind_group`] makes several sockets that share one port, and tells the kernel which of them
//!   a datagram goes to ([`Steering`]).
//! - All system calls go through [`Calls`], so that tests can play those that fail.
//!
//! ```
//! use tripline_sansio::{Ecn, Path, Transmit};
//! use tripline_udp::{Options, RecvBuffers, SendOutcome, Socket};
//!
//! let loopback = "127.0.0.1:0".parse().unwrap();
//! let mut alice = Socket::bind(loopback, &Options::default())?;
//! let mut bob = Socket::bind(loopback, &Options::default())?;
//! let transmit =
//!     Transmit { path: Path::to(bob.local_addr()?), ecn: Ecn::Ect0, len: 5, segment_size: 5 };
//! assert_eq!(alice.send(&transmit, b"hello"), SendOutcome::Sent);
//!
//! let mut buffers = RecvBuffers::new(8);
//! let received = loop {
//!     // A real loop waits for the socket to become readable instead of asking again.
//!     match bob.recv_batch(&mut buffers, |_path, _ecn, datagram| assert_eq!(datagram, b"hello")) {
//!         Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
//!         other => break other?,
//!     }
//! };
//! assert_eq!(received.datagrams, 1);
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Tested on Linux only; other Unix systems are untested, and Windows is not built yet.
#![forbid(unsafe_code)]

mod address;
mod batcher;
mod buffers;
mod calls;
mod cause;
mod flow;
mod group;
mod kernel;
mod many;
mod pump;
mod socket;
mod stats;
mod steering;
mod train;

#[cfg(test)]
mod tests;

pub use batcher::Batcher;
pub use buffers::{Received, RecvBuffers};
pub use calls::{Calls, Destination, Message};
pub use cause::{DropCause, is_passing};
pub use flow::{Carrier, Flow, Flowed, MAX_SENDS, Tells};
pub use group::{Group, bind_group};
pub use kernel::Kernel;
pub use pump::{Pump, Turns};
pub use socket::{Options, Socket};
pub use stats::{Drops, Stats};
pub use steering::Steering;
pub use train::SendOutcome;
