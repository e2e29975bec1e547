//! Any datagram machine of tripline as an event source of [mio]: for programs that have a
//! [`Poll`](mio::Poll) of their own.
//!
//! *In*: a machine of the shape [`DatagramMachine`](tripline_sansio::DatagramMachine), such as
//! [`Endpoint`], and the events that mio tells. *Out*: the machine's events, one by one, and for
//! how long mio may wait. A [`Source`] holds the socket, the buffers and the clock; it has no
//! thread and never waits, and it never looks into a datagram.
//!
//! # A client and a server in one poll
//!
//! [`connect`] and [`listen`] begin (row T78), and the loop is the user's:
//!
//! ```
//! use mio::{Events, Interest, Poll, Token};
//! use tripline::{Config, Event, Order, ReceiveResult, SecretKey, SendOptions, StreamOptions};
//!
//! let config = Config::public_server(SecretKey::from_bytes([9; 32]));
//! let mut server = tripline_mio::listen("127.0.0.1:0", config)?;
//! let (mut client, connection) = tripline_mio::connect(&tripline_mio::address(&server)?)?;
//!
//! let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(16));
//! poll.registry().register(&mut server, Token(0), Interest::READABLE)?;
//! poll.registry().register(&mut client, Token(1), Interest::READABLE)?;
//! loop {
//!     for source in [&mut server, &mut client] {
//!         source.run()?;
//!     }
//!     while let Some(event) = client.next_event() {
//!         match event {
//!             Event::Connected { .. } => client.with(|endpoint, now| {
//!                 let options = StreamOptions::one_way(Order::Ordered);
//!                 let stream = endpoint.open(now, connection, options).unwrap();
//!                 let options = SendOptions::default();
//!                 endpoint.send(now, connection, stream, "hello", options).unwrap();
//!             }),
//!             Event::Failed { error, .. } => panic!("{error}"),
//!             _ => {}
//!         }
//!     }
//!     while let Some(event) = server.next_event() {
//!         if let Event::Readable { connection, stream } = event {
//!             let heard = server.with(|endpoint, now| endpoint.receive(now, connection, stream));
//!             assert_eq!(heard, Ok(ReceiveResult::Data("hello".into())));
//!             return Ok(());
//!         }
//!     }
//!     // What the events made the machines do goes out before the wait.
//!     for source in [&mut server, &mut client] {
//!         source.run()?;
//!     }
//!     let timeouts = [server.poll_timeout(), client.poll_timeout()];
//!     poll.poll(&mut events, timeouts.into_iter().flatten().min())?;
//!     for event in &events {
//!         match event.token() {
//!             Token(0) => server.ready(event),
//!             _ => client.ready(event),
//!         }
//!     }
//! }
//! # #[allow(unreachable_code)]
//! # Ok::<(), tripline_mio::Error>(())
//! ```
//!
//! # Readiness is told once
//!
//! Mio tells that a socket has become ready, and not again while it stays so. A turn therefore
//! receives until the socket says that it would block, but for a bounded share: 16 calls or 512
//! datagrams, and 256 calls that send. What is left is remembered, and
//! [`poll_timeout`](Source::poll_timeout) says zero until it is done. Room is asked for only while
//! a datagram waits for it.
//!
//! # TCP and TLS links
//!
//! A [`HubSource`] is the same around a [`Hub`](tripline_sansio::Hub), with as many sockets as that
//! wishes for: UDP, listeners, TCP and TLS links. [`connect_over`] and [`listen_over`] begin with
//! the transport's own hub, which connects by datagrams, by a link or by whichever answers first
//! (row N49).
//!
//! Tested on Linux only.
#![forbid(unsafe_code)]

mod entry;
mod hub;
#[cfg(test)]
mod hub_tests;
#[cfg(test)]
mod kit_tests;
mod links;
mod source;
#[cfg(test)]
mod tests;
mod udp;

pub use entry::{address, bind, connect, listen};
pub use hub::HubSource;
pub use links::{connect_over, link_client, listen_over};
pub use source::Source;
pub use tripline::{Carrier, Endpoint, HubEvent, LinkHub, LinkRoute, Over};
pub use tripline_common::{Address, Clock, Error, hardware_aes, os_seed, resolve};
pub use tripline_tcp::{HubOptions, Limits, ListenOptions, Options};
pub use tripline_udp::Turns;
