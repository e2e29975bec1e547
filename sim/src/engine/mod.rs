//! Engines beside each other on the same link: whose bulk transfer fares how.
//!
//! An [`Engine`] is one end of a transfer by some transport: datagrams with their times in and out,
//! a deadline, an application inside that sends or takes as fast as it can, and figures of its
//! [`Progress`]. Any sans-IO transport becomes one with a page of code; ours is [`Tripline`],
//! `Quinn` (feature `quinn`) is another. A [`Contender`] makes both
//! ends; a [`Cell`] runs one transfer over one link, a [`Race`] two at once through one bottleneck.
//! All of it happens in a [`World`](crate::World), so every engine is held to the run-loop
//! contract, and what counts as waste is reckoned from the links' own books, the same for all.
//!
//! It measures and judges nothing, writes no reports and keeps no baselines.

mod cell;
#[cfg(feature = "quinn")]
mod quinn;
mod race;
#[cfg(test)]
mod tests;
mod tripline;

pub use cell::{Cell, Outcome};
#[cfg(feature = "quinn")]
pub use quinn::{QUINN_CONTROLLERS, Quinn};
pub use race::{Race, RaceOutcome};
use std::net::SocketAddr;
use tripline_sansio::{DatagramMachine, Ecn, Instant, Path, Seed, Transmit};

pub use self::tripline::{CONTROLLERS, Named, Tripline};

/// One end of a bulk transfer by some transport. The calls are those of [`DatagramMachine`] and
/// follow the same rules; instead of events there is an application inside.
pub trait Engine {
    /// Begins: a sender connects, a receiver waits. Called once, before all else.
    fn begin(&mut self, now: Instant);

    /// Takes one received datagram.
    fn handle_datagram(&mut self, now: Instant, path: Path, ecn: Ecn, datagram: &mut [u8]);

    /// Tells the time; to be called when [`Self::poll_timeout`]'s deadline has come.
    fn handle_timeout(&mut self, now: Instant);

    /// Appends the next datagram, or train of equal datagrams, to `out`.
    fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<Transmit>;

    /// When [`Self::handle_timeout`] wants to be called next.
    fn poll_timeout(&self) -> Option<Instant>;

    /// Lets the application deal with what has happened, once the transport has no more to send:
    /// hand in more, take what came. Whether it did anything; then the transport is asked again.
    fn work(&mut self, now: Instant) -> bool;

    /// How far it has come.
    fn progress(&self) -> Progress;
}

/// How far one end of a transfer has come.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Progress {
    /// When this end could first send data.
    pub connected_at: Option<Instant>,
    /// Bytes of payload that the application has handed in (sender) or taken (receiver).
    pub payload: u64,
    /// When the receiver's application had taken the last byte.
    pub finished_at: Option<Instant>,
    /// Packets that this end has declared lost so far, rightly or not.
    pub declared_lost: u64,
    /// Why the transfer cannot go on, if it cannot.
    pub failed: Option<String>,
}

/// A transport in some configuration that can be compared with others.
pub trait Contender: Sync {
    /// The name in reports: engine and congestion controller.
    fn name(&self) -> &str;

    /// The two ends of a transfer. All that is random about them follows from `seed`, as far as the
    /// transport lets it.
    ///
    /// # Errors
    /// What kept them from being set up.
    fn ends(&self, task: &Task, seed: &Seed) -> Result<Ends, String>;
}

/// What a transfer is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// Payload in bytes, all on one stream.
    pub bytes: u64,
    /// Where the receiver is.
    pub receiver: SocketAddr,
    /// The size of full datagrams in bytes of UDP payload. Every contender is told the same, and
    /// searches for nothing larger.
    pub datagram: u16,
}

/// The two ends of a transfer.
pub struct Ends {
    /// Connects and sends.
    pub sender: Box<dyn Engine>,
    /// Is connected to and takes.
    pub receiver: Box<dyn Engine>,
}

/// There are no events: the application is inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Never {}

impl DatagramMachine for Box<dyn Engine> {
    type Event = Never;

    fn handle_datagram(&mut self, now: Instant, path: Path, ecn: Ecn, datagram: &mut [u8]) {
        self.as_mut().handle_datagram(now, path, ecn, datagram);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.as_mut().handle_timeout(now);
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<Transmit> {
        let engine = self.as_mut();
        loop {
            let transmit = engine.poll_transmit(now, out);
            if transmit.is_some() || !engine.work(now) {
                return transmit;
            }
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.as_ref().poll_timeout()
    }

    fn poll_event(&mut self) -> Option<Never> {
        None
    }
}
