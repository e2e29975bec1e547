//! UDP by io_uring, behind the same seam as an ordinary socket: a [`UringLink`] takes the place of
//! [`UdpLink`](tripline_std::UdpLink) in a [`Loop`](tripline_std::Loop), and nothing else changes
//! (row U36). Linux only; elsewhere this crate is empty.
//!
//! *In*: a bound socket. *Out*: a [`Link`](tripline_std::Link) whose file descriptor is the ring's.
//! One request, made once, receives for ever (multishot): the kernel puts each message, or train of
//! merged datagrams, into the next of the buffers that were registered with it, and the loop reads
//! them where they are, so receiving takes no system call but the wait. What the loop is done with
//! goes back to the kernel. This crate looks into no datagram, starts no thread, and never waits.
//!
//! Sending is that of [`tripline_udp`], and the file descriptor that tells of room is the socket's.
//! A train is one call already, and by the ring it would be one as well: either the call waits for
//! the completion, or the bytes are copied to where they may stay until it comes, and what became
//! of them (no room, too large, offload refused) is told when the machine has gone on.
//!
//! Kernels and container policies may refuse io_uring: [`probe`] says so, and so does making a
//! link, each with an [`Unavailable`] that names the step. The ordinary loop is then what to use;
//! nothing is done behind the user's back. Linux 6.0 or newer is needed.
//!
//! ```
//! use tripline_std::{Loop, Options};
//! use tripline_uring::{UringLink, probe};
//! # use tripline::{Config, Endpoint};
//!
//! if let Err(error) = probe() {
//!     println!("{error}");
//!     return Ok(());
//! }
//! let options = Options::default();
//! # let seed = tripline_sansio::Seed::from_number(1);
//! let endpoint = Endpoint::new(Config::client(), &seed, options.clock.now());
//! let link = UringLink::bind("127.0.0.1:0".parse().unwrap(), &options.socket)?;
//! let mut looper = Loop::new(link, options.clock, endpoint)?;
//! looper.run_once(Some(std::time::Duration::ZERO))?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! This is the only crate of the house with `unsafe` in it, all of it in `memory.rs` and `ring.rs`:
//! the memory that is shared with the kernel, and the requests that name it.
#![cfg(target_os = "linux")]

mod error;
mod link;
mod memory;
mod message;
mod ring;

#[cfg(test)]
mod kit_tests;
#[cfg(test)]
mod tests;

pub use error::Unavailable;
pub use link::UringLink;
pub use ring::probe;
