//! The search for the largest datagram that the path carries (R-MTU-1; RFC 8899).
//!
//! In go the fates of packets by their size, PONGs, hints from outside and the time; out come the
//! size in use and the sizes to try. It sends nothing and keeps no timer: what is due goes out with
//! the next drain, and a search begins anew when there is something to send anyway.
//!
//! First the largest size is tried, then halves of what is left, each three times. Probes are
//! packets of their own, whose loss is no congestion. A size that once worked is distrusted when
//! full packets vanish while smaller ones get through (a *black hole*).
#![deny(clippy::arithmetic_side_effects)]

use crate::wire::Parameters;
use tripline_sansio::{Duration, Instant};

/// Every path carries this much; no search and no hint goes below.
pub(super) const BASE: u16 = Parameters::DATAGRAM_LEAST;

/// So often a size is tried before it counts as too large (RFC 8899 §5.1.2, `MAX_PROBES`).
const TRIES: u8 = 3;

/// The search ends when what is left to find is less than this, in bytes.
const CLOSE_ENOUGH: u16 = 8;

/// After so long a path may have changed for the better (RFC 8899 §5.1.1, `PMTU_RAISE_TIMER`).
const RAISE_AFTER: Duration = Duration::from_secs(600);

/// So many packets above [`BASE`] lost in a row, while smaller ones get through, are a black hole.
const BLACK_HOLE: u8 = 6;

/// A probe on its way, or to be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Probe {
    size: u16,
    token: u64,
    tries: u8,
    out: bool,
}

/// What the search is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Looking; `top` if the highest candidate was not tried yet.
    Searching { top: bool },
    /// Found, until this time.
    Found { until: Instant },
}

/// The size of datagrams on one path.
#[derive(Clone, Debug)]
pub(super) struct MtuSearch {
    current: u16,
    /// The size that was last told.
    told: u16,
    ceiling: u16,
    /// The largest size that has not failed.
    upper: u16,
    phase: Phase,
    probe: Option<Probe>,
    /// The token of a probe that was acknowledged: its PONG is still to come.
    answered: Option<u64>,
    /// The newest packets acknowledged of at most [`BASE`] bytes, and of more.
    small_acked: Option<u64>,
    large_acked: Option<u64>,
    /// Large packets lost between these two.
    vanished: u8,
}

impl MtuSearch {
    /// A path that is trusted to carry `size` and not searched.
    pub(super) fn fixed(size: u16) -> Self {
        Self::new(size, size)
    }

    /// A path that is trusted to carry `size` and perhaps up to `ceiling`.
    pub(super) fn new(size: u16, ceiling: u16) -> Self {
        let current = size.max(BASE);
        let ceiling = ceiling.max(current);
        Self {
            current,
            told: current,
            ceiling,
            upper: ceiling,
            phase: Phase::Searching { top: true },
            probe: None,
            answered: None,
            small_acked: None,
            large_acked: None,
            vanished: 0,
        }
    }

    /// The size of full datagrams.
    pub(super) fn current(&self) -> u16 {
        self.current
    }

    /// The size that is tried, if one is, and how often it was lost.
    pub(super) fn trying(&self) -> Option<(u16, u8)> {
        self.probe.map(|probe| (probe.size, probe.tries))
    }

    /// The new size, if it has changed since it was last asked for.
    pub(super) fn take_change(&mut self) -> Option<u16> {
        let changed = self.told != self.current;
        self.told = self.current;
        changed.then_some(self.current)
    }

    /// Another path: everything begins anew from [`BASE`].
    pub(super) fn restart(&mut self) {
        let Self { told, answered, ceiling, .. } = *self;
        *self = Self { told, answered, ..Self::new(BASE, ceiling) };
    }

    /// Somebody says that the path carries `bytes`: if that is less than what is in use, it may be
    /// so, and is found out from [`BASE`]; if it is more, it is tried.
    pub(super) fn hint(&mut self, bytes: u16) {
        let size = bytes.clamp(BASE, self.ceiling);
        if size < self.current {
            self.current = BASE;
        }
        self.upper = size.max(self.current);
        self.phase = Phase::Searching { top: true };
        self.probe = None;
        self.vanished = 0;
    }

    /// Our own system refused a datagram of this size: nothing as large is tried for a while, and
    /// what was in use, if it was that, is found anew from [`BASE`]. Says whether that was news.
    pub(super) fn on_refused(&mut self, size: u16) -> bool {
        if size <= BASE || size > self.upper {
            return false;
        }
        if size <= self.current {
            self.current = BASE;
        }
        self.upper = size.saturating_sub(1).max(self.current);
        self.phase = Phase::Searching { top: false };
        self.probe = None;
        self.vanished = 0;
        true
    }

    /// Something is sent anyway: after a long time the search begins anew.
    pub(super) fn on_activity(&mut self, now: Instant) {
        if let Phase::Found { until } = self.phase
            && until <= now
            && self.current < self.ceiling
        {
            self.upper = self.ceiling;
            self.phase = Phase::Searching { top: true };
        }
    }

    /// Whether [`Self::due`] has nothing to try before something happens.
    pub(super) fn is_at_rest(&self) -> bool {
        match self.probe {
            Some(probe) => probe.out,
            None => !matches!(self.phase, Phase::Searching { .. }),
        }
    }

    /// The size to try now, if any, and the token to try it with, if it was tried before.
    pub(super) fn due(&mut self, now: Instant) -> Option<(u16, Option<u64>)> {
        if let Some(probe) = self.probe {
            return (!probe.out).then_some((probe.size, Some(probe.token)));
        }
        let Phase::Searching { top } = self.phase else { return None };
        let left = self.upper.saturating_sub(self.current);
        if left == 0 || (!top && left < CLOSE_ENOUGH) {
            self.phase = Phase::Found { until: now + RAISE_AFTER };
            return None;
        }
        let half = self.current.saturating_add(left.div_ceil(2));
        Some((if top { self.upper } else { half }, None))
    }

    /// A probe went out.
    pub(super) fn on_probe_sent(&mut self, size: u16, token: u64) {
        let tries = self.probe.map_or(0, |probe| probe.tries);
        self.probe = Some(Probe { size, token, tries, out: true });
        self.phase = Phase::Searching { top: false };
    }

    /// A probe of this size arrived.
    pub(super) fn on_probe_acked(&mut self, size: u16) {
        if let Some(probe) = self.probe.filter(|probe| probe.size == size) {
            self.probe = None;
            self.answered = Some(probe.token);
            self.current = self.current.max(size);
            self.vanished = 0;
        }
    }

    /// The PONG to a probe came. Says whether there was such a probe.
    pub(super) fn on_pong(&mut self, token: u64) -> bool {
        if let Some(probe) = self.probe.filter(|probe| probe.token == token) {
            self.on_probe_acked(probe.size);
        }
        let known = self.answered == Some(token);
        self.answered = self.answered.filter(|_| !known);
        known
    }

    /// A probe of this size was lost.
    pub(super) fn on_probe_lost(&mut self, size: u16) {
        let Some(probe) = self.probe.as_mut().filter(|probe| probe.size == size && probe.out)
        else {
            return;
        };
        probe.out = false;
        probe.tries = probe.tries.saturating_add(1);
        if probe.tries >= TRIES {
            self.probe = None;
            self.upper = size.saturating_sub(1).max(self.current);
        }
    }

    /// A packet that was no probe arrived.
    pub(super) fn on_acked(&mut self, number: u64, bytes: u16) {
        let newest = if bytes > BASE { &mut self.large_acked } else { &mut self.small_acked };
        *newest = (*newest).max(Some(number));
        if bytes > BASE {
            self.vanished = 0;
        }
    }

    /// A packet that was no probe was lost.
    pub(super) fn on_lost(&mut self, number: u64, bytes: u16) {
        let number = Some(number);
        if bytes <= BASE || number < self.large_acked || number > self.small_acked {
            return;
        }
        if bytes > self.upper {
            // It went out before that size was found too large: its loss says nothing of this one.
            return;
        }
        self.vanished = self.vanished.saturating_add(1);
        if self.vanished >= BLACK_HOLE && self.current > BASE {
            self.upper = self.current.min(bytes).saturating_sub(1).max(BASE);
            self.current = BASE;
            self.phase = Phase::Searching { top: false };
            self.probe = None;
            self.vanished = 0;
        }
    }
}

#[cfg(test)]
#[path = "mtu_tests.rs"]
mod tests;
