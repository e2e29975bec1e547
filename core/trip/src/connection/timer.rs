//! A connection's timers: one table, one deadline each (PROTOCOL.md §11: nine).

use tripline_sansio::Instant;

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// OPENING: the next OPEN.
    Open,
    /// Not connected by then: failed. While leaving: DISCONNECT goes out. While closing or
    /// draining: the end.
    Deadline,
    /// A packet counts as lost, or a probe goes out (RFC 9002 §6).
    Recovery,
    /// The pacer lets payload go on (R-PACE-1).
    Pacing,
    /// An acknowledgement may not be held back longer (R-ACK-1).
    AckDelay,
    /// The peer was silent for too long (R-CLOSE-2).
    Idle,
    /// Something has to be said (keep-alive).
    KeepAlive,
    /// The time of a message is over.
    Expire,
    /// DISCONNECT is repeated (R-CLOSE-1).
    Repeat,
    /// An address that is not proven is to be PINGed again (R-PATH-1).
    Paths,
    /// The zone before is wiped, or the one in use is old (R-ZONE-2).
    Zone,
}

impl Timer {
    /// All of them, in the order in which those due at one time fire.
    pub(crate) const ALL: [Self; 11] = [
        Self::Open,
        Self::Recovery,
        Self::Pacing,
        Self::AckDelay,
        Self::Expire,
        Self::KeepAlive,
        Self::Repeat,
        Self::Paths,
        Self::Zone,
        Self::Idle,
        Self::Deadline,
    ];
}

/// The deadlines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Timers {
    open: Option<Instant>,
    deadline: Option<Instant>,
    recovery: Option<Instant>,
    pacing: Option<Instant>,
    ack_delay: Option<Instant>,
    idle: Option<Instant>,
    keep_alive: Option<Instant>,
    expire: Option<Instant>,
    repeat: Option<Instant>,
    paths: Option<Instant>,
    zone: Option<Instant>,
}

impl Timers {
    fn slot(&mut self, timer: Timer) -> &mut Option<Instant> {
        match timer {
            Timer::Open => &mut self.open,
            Timer::Deadline => &mut self.deadline,
            Timer::Recovery => &mut self.recovery,
            Timer::Pacing => &mut self.pacing,
            Timer::AckDelay => &mut self.ack_delay,
            Timer::Idle => &mut self.idle,
            Timer::KeepAlive => &mut self.keep_alive,
            Timer::Expire => &mut self.expire,
            Timer::Repeat => &mut self.repeat,
            Timer::Paths => &mut self.paths,
            Timer::Zone => &mut self.zone,
        }
    }

    /// Sets or clears a timer.
    pub(crate) fn set(&mut self, timer: Timer, at: Option<Instant>) {
        *self.slot(timer) = at;
    }

    /// Clears all timers.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        [
            self.open,
            self.deadline,
            self.recovery,
            self.pacing,
            self.ack_delay,
            self.idle,
            self.keep_alive,
            self.expire,
            self.repeat,
            self.paths,
            self.zone,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// When a timer fires.
    pub(crate) fn at(&self, timer: Timer) -> Option<Instant> {
        *self.clone().slot(timer)
    }

    /// When [`Timer::Deadline`] fires.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether this timer is due; if so it is cleared.
    pub(crate) fn take_due(&mut self, timer: Timer, now: Instant) -> bool {
        let slot = self.slot(timer);
        let due = slot.is_some_and(|at| at <= now);
        if due {
            *slot = None;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_timer_is_listed_once_and_fires_once() {
        let mut timers = Timers::default();
        for (n, timer) in (1..).zip(Timer::ALL) {
            timers.set(timer, Some(Instant::from_nanos(n)));
        }
        assert_eq!(timers.next(), Some(Instant::from_nanos(1)));
        for (n, timer) in (1..).zip(Timer::ALL) {
            assert!(!timers.take_due(timer, Instant::from_nanos(n - 1)));
            assert!(timers.take_due(timer, Instant::from_nanos(n)));
            assert!(!timers.take_due(timer, Instant::MAX));
        }
        assert_eq!(timers.next(), None);
    }
}
