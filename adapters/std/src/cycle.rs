//! What the blocking loops have in common: turns, and the one wait between them.
//!
//! *In*: something to [drive](Driven), and for how long at most. *Out*: why it came back. The turn
//! itself is that of all loops (`tripline_udp::Pump`, `tripline_tcp::HubPump`); this adds the clock
//! and the wait, and nothing else.

use crate::{Clock, Counts, Turn, Waker};
use std::io;
use std::time::Duration;
use tripline_sansio::Instant;
use tripline_udp::Turns;

/// A machine with its sockets.
pub(crate) trait Driven {
    /// Waits until a socket is ready, the waker rings or `at_most` is over, and notes what is
    /// ready for the next turn. Says whether the waker rang, or a signal came in.
    fn wait(&mut self, waker: &Waker, at_most: Option<Duration>) -> io::Result<bool>;

    /// Takes in what the sockets got by another way than their file descriptors.
    fn receive_aside(&mut self, now: Instant);

    /// Has a turn.
    fn turn(&mut self, now: Instant) -> io::Result<()>;

    /// When the next one is due.
    fn deadline(&self, now: Instant) -> Option<Instant>;

    /// Whether the last one found an event that was not given out yet.
    fn has_event(&self) -> bool;

    /// What the turns have done so far.
    fn turns(&self) -> Turns;
}

/// A clock, a waker, and how often it has waited.
#[derive(Debug)]
pub(crate) struct Cycle<D> {
    pub(crate) driven: D,
    pub(crate) clock: Clock,
    pub(crate) waker: Waker,
    waits: u64,
}

impl<D: Driven> Cycle<D> {
    /// # Errors
    /// If no file descriptor is left for the waker.
    pub(crate) fn new(driven: D, clock: Clock) -> io::Result<Self> {
        Ok(Self { driven, clock, waker: Waker::new()?, waits: 0 })
    }

    /// Runs until there is an event, a wake, or `timeout` is over.
    pub(crate) fn run_once(&mut self, timeout: Option<Duration>) -> io::Result<Turn> {
        let Self { driven, clock, waker, waits } = self;
        let mut now = clock.now();
        let limit = timeout.map(|timeout| now + timeout);
        // The caller may have used the machine, or been long away.
        driven.turn(now)?;
        loop {
            let first = [driven.deadline(now), limit].into_iter().flatten().min();
            *waits += 1;
            let woken =
                driven.wait(waker, first.map(|first| first.saturating_duration_since(now)))?;
            // A single look takes no time, so a turn of it reads the clock once.
            if timeout != Some(Duration::ZERO) {
                now = clock.now();
            }
            if woken {
                waker.reset();
                driven.receive_aside(now);
            }
            driven.turn(now)?;
            if driven.has_event() {
                return Ok(Turn::Event);
            }
            if woken {
                return Ok(Turn::Woken);
            }
            if limit.is_some_and(|limit| limit <= now) {
                return Ok(Turn::TimedOut);
            }
        }
    }

    /// When [`Self::run_once`] wants to be called at the latest.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.driven.deadline(self.clock.now())
    }

    pub(crate) fn counts(&self) -> Counts {
        let Turns { timeouts, full, .. } = self.driven.turns();
        Counts { waits: self.waits, timeouts, full }
    }
}
