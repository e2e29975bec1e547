//! OPENs that came to nothing, as the guard counts them (R-HAND-3).
//!
//! A half-open counts at the guard while it waits. An OPEN that cost Diffie-Hellman and left none
//! (its Noise message does not verify, its client is not let in, or was refused) would count
//! nowhere, and a flood of such could cost as much as the rate of handshakes allows and leave no
//! room in it for newcomers. So it counts here, and is forgotten as half-opens are, in 30 s: in go
//! the time and that one more came to nothing, out comes how many still count. It has a fixed size.
#![deny(clippy::arithmetic_side_effects)]

use tripline_sansio::{Duration, Instant};

/// How long it takes until as many are forgotten as the guard bears.
const MEMORY: Duration = Duration::from_secs(30);

/// How many OPENs came to nothing of late.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vain {
    /// When all are forgotten; at most [`MEMORY`] away.
    forgotten_at: Instant,
    /// How long one of them is remembered.
    each: Duration,
}

impl Vain {
    /// `most`: the number at which the guard does what it does when too many wait.
    pub(super) fn new(most: u32, now: Instant) -> Self {
        let nanos = MEMORY.as_nanos().checked_div(u64::from(most).into()).unwrap_or(1).max(1);
        let each = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        Self { forgotten_at: now, each }
    }

    /// One more has cost Diffie-Hellman for nothing.
    pub(super) fn add(&mut self, now: Instant) {
        let later = self.forgotten_at.max(now) + self.each;
        self.forgotten_at = later.min(now + MEMORY);
    }

    /// How many count now.
    pub(super) fn count(&self, now: Instant) -> usize {
        let left = self.forgotten_at.saturating_duration_since(now).as_nanos();
        usize::try_from(left.div_ceil(self.each.as_nanos().max(1))).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    /// R-HAND-3: each counts, one is forgotten every 30 s / 64, and no flood counts for longer than
    /// 30 s.
    #[test]
    fn r_hand_3_what_came_to_nothing_is_forgotten_one_by_one() {
        let mut vain = Vain::new(64, at(0));
        assert_eq!(vain.count(at(0)), 0);
        (0..10).for_each(|_| vain.add(at(0)));
        assert_eq!(
            [0, 468, 469, 938, 4_687, 4_688].map(|ms| vain.count(at(ms))),
            [10, 10, 9, 8, 1, 0]
        );
        (0..100_000).for_each(|_| vain.add(at(5_000)));
        assert_eq!(vain.count(at(5_000)), 64);
        assert_eq!(vain.count(at(34_999)), 1);
        assert_eq!(vain.count(at(35_000)), 0);
        vain.add(at(1));
        assert_eq!(vain.count(at(35_000)), 0, "an older time does no harm");
    }

    /// R-HAND-3: the extremes of the setting: always, and never.
    #[test]
    fn r_hand_3_any_threshold_will_do() {
        for most in [0, 1, u32::MAX] {
            let mut vain = Vain::new(most, at(0));
            (0..1_000).for_each(|_| vain.add(at(0)));
            let count = vain.count(at(0));
            assert!(if most == 1 { count == 1 } else { count >= most.min(999) as usize }, "{most}");
        }
    }
}
