//! What a connection gives back when nothing comes and goes: the keys as they are ready for use,
//! which are most of it, and the room of lists that are empty.
//!
//! In comes the time; what a resting connection sends and takes in is the same, for the first
//! packet in either direction wakes it. Whoever has ten thousand connections has most of them idle.
#![deny(clippy::arithmetic_side_effects)]

use super::timer::Timer;
use super::{Connection, Stage};
use tripline_sansio::{Duration, Instant};

/// After so long without a packet either way.
const AFTER: Duration = Duration::from_secs(2);

impl Connection {
    /// A packet comes or goes: keys are needed.
    pub(super) fn wake(&mut self, now: Instant) {
        if !self.resting {
            return;
        }
        self.resting = false;
        if let Some(zone) = self.zone.as_mut() {
            zone.wake();
        }
        self.arm_rest(now);
    }

    /// Looks after a while whether the connection may rest; it is not told of every packet.
    pub(super) fn arm_rest(&mut self, now: Instant) {
        self.timers.set(Timer::Rest, Some(now + AFTER));
    }

    /// The timer [`Timer::Rest`].
    pub(super) fn on_rest(&mut self, now: Instant) {
        if self.stage != Stage::Ready {
            return;
        }
        let due = self.last_received.max(self.sent.last_sent_at()) + AFTER;
        if due > now {
            return self.timers.set(Timer::Rest, Some(due));
        }
        if self.sent.awaits_acks() {
            return self.arm_rest(now);
        }
        self.resting = true;
        if let Some(zone) = self.zone.as_mut() {
            zone.rest();
        }
        self.sent.shrink();
        self.received.shrink();
        self.control.shrink_to_fit();
        self.credit_waiters.shrink_to_fit();
    }
}
