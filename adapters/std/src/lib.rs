//! The blocking loop: one thread, one wait, any datagram machine; and on top of it a client and a
//! server whose calls block: [`connect`] and [`listen`] are where most programs begin.
//!
//! *In*: a machine of the shape [`DatagramMachine`](tripline_sansio::DatagramMachine) and a
//! [`Link`] (a UDP socket, or a user's own carrier of datagrams). *Out*: the machine's events, one
//! by one. The loop holds the clock, the socket and the buffers; it never looks into a datagram,
//! never starts a thread and never waits anywhere but in [`Loop::run_once`].
//!
//! [`HubLoop`] is the same for a machine with several links (UDP, TCP, TLS). [`Client`] and
//! [`Listener`] start one thread each, which does nothing but run that loop (and one for each name
//! that is being resolved); [`connect`] tries UDP first and TCP where that does not get through.
//!
//! [`Shards`] is a server with several threads on one port, one engine each.
//!
//! # The run loop
//!
//! ```
//! use std::time::Duration;
//! use tripline_sansio::{DatagramMachine, Ecn, Instant, Path, Transmit};
//! use tripline_std::{Loop, Options, Turn};
//! # /// Sends each datagram back and reports how long it was.
//! # #[derive(Default)]
//! # struct Echo(Vec<(Path, Vec<u8>)>, Vec<usize>);
//! # impl DatagramMachine for Echo {
//! #     type Event = usize;
//! #     fn handle_datagram(&mut self, _: Instant, path: Path, _: Ecn, datagram: &mut [u8]) {
//! #         self.0.push((path, datagram.to_vec()));
//! #         self.1.push(datagram.len());
//! #     }
//! #     fn handle_timeout(&mut self, _: Instant) {}
//! #     fn poll_transmit(&mut self, _: Instant, out: &mut Vec<u8>) -> Option<Transmit> {
//! #         let (path, bytes) = self.0.pop()?;
//! #         out.extend_from_slice(&bytes);
//! #         let len = bytes.len();
//! #         Some(Transmit { path, ecn: Ecn::NotEct, len, segment_size: len })
//! #     }
//! #     fn poll_timeout(&self) -> Option<Instant> { None }
//! #     fn poll_event(&mut self) -> Option<usize> { self.1.pop() }
//! # }
//!
//! let machine = Echo::default(); // any `DatagramMachine`
//! let mut looper = Loop::bind("127.0.0.1:0".parse().unwrap(), &Options::default(), machine)?;
//! let address = looper.link().local_addr()?;
//! let waker = looper.waker(); // interrupts a wait from another thread
//! std::thread::spawn(move || {
//!     let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
//!     client.send_to(b"hello", address).unwrap();
//!     client.recv_from(&mut [0; 9]).unwrap(); // the echo
//!     waker.wake();
//! });
//! loop {
//!     match looper.run_once(None)? {
//!         Turn::Woken => break,
//!         Turn::TimedOut => unreachable!("no limit was set"),
//!         Turn::Event => {
//!             while let Some(length) = looper.next_event() {
//!                 assert_eq!(length, 5);
//!             }
//!         }
//!     }
//! }
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! What one turn does, in this order: hand the machine what the user has changed since the last one
//! a chance to send; wait for the socket, the [`Waker`], the machine's deadline or the caller's
//! limit, whichever is first; receive a bounded number of batches; tell the time if the deadline
//! has come; drain what the machine wants to send; look for an event. A full socket costs latency
//! only: the datagram that did not fit is kept, and the loop waits for room as well.
//!
//! Tested on Linux only; other Unix systems are untested (where the system's waits have no finer
//! step than a millisecond, so has this loop), and Windows is not built yet.
#![forbid(unsafe_code)]

mod blocking;
pub mod calls;
mod cycle;
pub mod guide;
mod hub;
#[cfg(test)]
mod hub_tests;
mod link;
mod run;
mod shards;
mod wait;
mod waker;

#[cfg(test)]
mod faults_tests;
#[cfg(test)]
mod kit_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod too_big_tests;

pub use blocking::{Client, Connection, ListenOptions, Listener, Stats, Stream, connect, listen};
pub use hub::{HubLoop, listener};
pub use link::{Link, UdpLink};
pub use run::{Counts, Loop, Turn};
pub use shards::{ShardOptions, ShardStats, Shards};
pub use tripline_common::{
    Address, ChoosePsk, Clock, Error, Screen, Settled, hardware_aes, os_seed, resolve,
};
pub use tripline_tcp::{HubOptions, Limits, Options, Stats as LinkStats};
pub use tripline_udp::{DropCause, Received, SendOutcome};
pub use wait::Ready;
pub use waker::Waker;
