//! A connection's timers: one table, one deadline each (PROTOCOL.md §11).

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
    /// Nothing came and went for so long that the connection may rest.
    Rest,
}

impl Timer {
    /// All of them, in the order in which those due at one time fire.
    pub(crate) const ALL: [Self; 12] = [
        Self::Open,
        Self::Recovery,
        Self::Pacing,
        Self::AckDelay,
        Self::Expire,
        Self::KeepAlive,
        Self::Repeat,
        Self::Paths,
        Self::Zone,
        Self::Rest,
        Self::Idle,
        Self::Deadline,
    ];
}

/// No deadline: the end of time, which no clock reaches. So a timer takes eight bytes, of which an
/// idle connection has twelve times as many.
pub(super) const NEVER: Instant = Instant::MAX;

/// The deadlines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Timers {
    /// The earliest of those below: it is asked for several times for each packet.
    first: Instant,
    open: Instant,
    deadline: Instant,
    recovery: Instant,
    pacing: Instant,
    ack_delay: Instant,
    idle: Instant,
    keep_alive: Instant,
    expire: Instant,
    repeat: Instant,
    paths: Instant,
    zone: Instant,
    rest: Instant,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            first: NEVER,
            open: NEVER,
            deadline: NEVER,
            recovery: NEVER,
            pacing: NEVER,
            ack_delay: NEVER,
            idle: NEVER,
            keep_alive: NEVER,
            expire: NEVER,
            repeat: NEVER,
            paths: NEVER,
            zone: NEVER,
            rest: NEVER,
        }
    }
}

impl Timers {
    fn slot(&mut self, timer: Timer) -> &mut Instant {
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
            Timer::Rest => &mut self.rest,
        }
    }

    /// Sets or clears a timer.
    pub(crate) fn set(&mut self, timer: Timer, at: Option<Instant>) {
        let at = at.unwrap_or(NEVER);
        let before = core::mem::replace(self.slot(timer), at);
        if at <= self.first {
            self.first = at;
        } else if before == self.first {
            self.first = self.earliest();
        }
    }

    /// Clears all timers.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        Some(self.first).filter(|at| *at != NEVER)
    }

    fn earliest(&self) -> Instant {
        let Self { open, deadline, recovery, pacing, ack_delay, idle, .. } = *self;
        let some = open.min(deadline).min(recovery).min(pacing).min(ack_delay).min(idle);
        let Self { keep_alive, expire, repeat, paths, zone, rest, .. } = *self;
        some.min(keep_alive).min(expire).min(repeat).min(paths).min(zone).min(rest)
    }

    /// When a timer fires.
    pub(crate) fn at(&self, timer: Timer) -> Option<Instant> {
        let at = match timer {
            Timer::Open => self.open,
            Timer::Deadline => self.deadline,
            Timer::Recovery => self.recovery,
            Timer::Pacing => self.pacing,
            Timer::AckDelay => self.ack_delay,
            Timer::Idle => self.idle,
            Timer::KeepAlive => self.keep_alive,
            Timer::Expire => self.expire,
            Timer::Repeat => self.repeat,
            Timer::Paths => self.paths,
            Timer::Zone => self.zone,
            Timer::Rest => self.rest,
        };
        Some(at).filter(|at| *at != NEVER)
    }

    /// Whether this timer is due; if so it is cleared.
    pub(crate) fn take_due(&mut self, timer: Timer, now: Instant) -> bool {
        let at = *self.slot(timer);
        let due = at <= now && at != NEVER;
        if due {
            self.set(timer, None);
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

    /// The earliest is known however timers are moved.
    #[test]
    fn the_first_is_the_earliest() {
        let mut random = tripline_sansio::Seed::from_number(1).random("timers");
        let mut timers = Timers::default();
        for _ in 0..20_000 {
            let timer = Timer::ALL[usize::try_from(random.below(12)).unwrap()];
            let at = random.chance(2, 3).then(|| Instant::from_nanos(random.below(100)));
            timers.set(timer, at);
            assert_eq!(timers.at(timer), at);
            assert_eq!(timers.next(), Timer::ALL.iter().filter_map(|one| timers.at(*one)).min());
        }
        timers.clear();
        assert_eq!(timers.next(), None);
    }
}
