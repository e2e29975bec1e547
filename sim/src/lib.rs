//! Virtual time and a virtual network for the machines of tripline.
//!
//! A [`World`] holds *hosts*, each a machine (`DatagramMachine` of `tripline-sansio`) with an
//! address, and a one-way [`Link`] for each ordered pair of them. There is one clock, which jumps
//! from one thing that happens to the next, so that hours pass in milliseconds; there are no
//! threads and no waiting. What goes in is a number: all loss, jitter and copying follow from the
//! world's seed, each link and each knob with a generator of its own. What comes out are the
//! machines' events with their times, counters, and a [hash](World::trace_hash) of every datagram
//! sent and delivered: two runs of one seed have the same, or something is not deterministic.
//!
//! Around every machine the world runs the loop described on the page of `tripline-sansio`, and
//! checks at each turn what can be checked from outside: that a drained machine has nothing left
//! and asks for a time in the future, that a timeout gets it somewhere, that its work ends, that
//! its transmits are what they say. A machine that breaks a rule panics the test, with the rule,
//! the host, the time and the seed. A [`Discipline`] makes the loops take the liberties that the
//! contract grants. Streams of bytes are pipes between hosts, see [`StreamWorld`] and
//! [`PipeMachine`]; a user's page for machines of other protocols is `sim/README.md`.
//!
//! What can go wrong between and around the machines, each a knob of its own that is off at first:
//! links lose, delay, reorder, copy, damage and mark ([`LinkConfig`]); queues are full, managed
//! ([`Aqm`]) or policed; NATs ([`NatConfig`]) map, filter and forget; hosts sleep, restart, have
//! clocks of their own and systems that do not send; partitions cut one way or both. Whatever does
//! not arrive has a [`DropCause`], is counted under it ([`Totals`]) and shown to taps
//! ([`Stage::Dropped`]). The package's README lists all knobs.
//!
//! An [`Inspector`] reads along on the wire and under the seal, with a decoder of its own
//! ([`wire`]) and a cheap cipher ([`cipher`]); it says who breaks a rule, and which rare things a
//! run has met ([`Marks`]).
//!
//! [`engine`] sets whole transports beside each other on the same link, ours and others'.
//!
//! ```
//! use std::{collections::VecDeque, net::SocketAddr};
//! use tripline_sim::{Chance, DatagramMachine, Duration, Ecn, Instant, LinkConfig, Path};
//! use tripline_sim::{Transmit, World};
//!
//! /// Sends back what it gets, one smaller, down to zero.
//! #[derive(Default)]
//! struct Countdown(VecDeque<(Path, u8)>, VecDeque<u8>);
//!
//! impl DatagramMachine for Countdown {
//!     type Event = u8;
//!     fn handle_datagram(&mut self, _: Instant, path: Path, _: Ecn, datagram: &mut [u8]) {
//!         self.1.push_back(datagram[0]);
//!         self.0.extend(datagram[0].checked_sub(1).map(|next| (path, next)));
//!     }
//!     fn handle_timeout(&mut self, _: Instant) {}
//!     fn poll_transmit(&mut self, _: Instant, out: &mut Vec<u8>) -> Option<Transmit> {
//!         let (path, number) = self.0.pop_front()?;
//!         out.push(number);
//!         Some(Transmit { path, ecn: Ecn::NotEct, len: 1, segment_size: 1 })
//!     }
//!     fn poll_timeout(&self) -> Option<Instant> { None }
//!     fn poll_event(&mut self) -> Option<u8> { self.1.pop_front() }
//! }
//!
//! let mut world = World::new(7);
//! world.set_default_link(LinkConfig::perfect().delay(Duration::from_millis(20)));
//! let addresses = ["10.0.0.1:1", "10.0.0.2:1"].map(|text| text.parse::<SocketAddr>().unwrap());
//! let [one, two] = addresses.map(|address| world.add_host(address, Countdown::default()));
//! world.with(one, |machine, _| machine.0.push_back((Path::to(addresses[1]), 9)));
//! let end = world.run_until_idle(Duration::from_secs(60)).unwrap();
//! assert_eq!(end, Instant::ZERO + Duration::from_millis(200));
//! assert_eq!(world.totals().delivered, 10);
//! assert_eq!(world.take_events(two)[0], (Instant::from_nanos(20_000_000), 9));
//!
//! world.set_link(two, one, LinkConfig::lossy(Chance::ALWAYS));
//! world.with(one, |machine, _| machine.0.push_back((Path::to(addresses[1]), 9)));
//! world.run_for(Duration::from_secs(3_600));
//! assert_eq!(world.totals().lost, 1);
//! ```
#![forbid(unsafe_code)]

mod busy;
mod chance;
pub mod cipher;
mod contract;
mod deadlines;
mod discipline;
mod drop_cause;
pub mod engine;
mod host;
mod hubs;
mod inspect;
mod link;
mod marks;
mod nat;
mod network;
pub mod play;
mod pool;
mod queue;
pub mod record;
mod rule;
pub mod scenario;
pub mod scenarios;
pub mod shrink;
mod stream;
pub mod swarm;
#[cfg(test)]
mod toy;
mod trace;
pub mod wire;
mod world;

pub use busy::{Busy, Costs};
pub use chance::Chance;
pub use discipline::Discipline;
pub use drop_cause::DropCause;
pub use host::{AsleepClock, AsleepSocket, ClockConfig, HostId, SendFaults};
pub use hubs::{HubHost, HubTold, HubWorld};
pub use inspect::{Inspector, VIOLATIONS_MAX, Violation};
pub use link::{
    Aqm, Arrivals, Blackouts, Bottleneck, BottleneckCounters, Bursts, CoDel, Damage, DamageConfig,
    EcnConfig, Fate, GARBAGE_MAX, JitterShape, LineConfig, Link, LinkConfig, LinkCounters,
    MAX_ARRIVALS, Policer, Red,
};
pub use marks::{Mark, Marks};
pub use nat::{Dependence, NatConfig, NatCounters, NatId, PEERS_MAX, PortChoice};
pub use network::BottleneckId;
pub use queue::EventQueue;
pub use rule::{Corruption, PacketView, RuleId, Stage, Verdict, drop_list};
pub use scenario::Seal;
pub use stream::{
    Arrived, Cut, PipeId, PipeMachine, PipeView, Stream, StreamConfig, StreamCounters, StreamLink,
    StreamWorld,
};
pub use trace::{Totals, digest};
pub use world::{NotIdle, World};

// So that a test of a machine needs this crate alone.
pub use tripline_sansio::{
    DatagramMachine, Duration, Ecn, Instant, Path, Random, Seed, StreamMachine, Transmit,
};

/// The users' page; its code is this item's doc tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
