//! A token bucket that is one number: how often something may happen.
//!
//! In go the time and what is wished for, out comes yes or no. It keeps the time at which it would
//! be full again, so an untouched bucket is full and needs no upkeep. It never sleeps, and an older
//! time than before does no harm.
#![deny(clippy::arithmetic_side_effects)]

use tripline_sansio::{Duration, Instant};

/// So often, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    /// The time in which one more is earned; zero: no limit.
    interval: Duration,
    /// The time in which an empty bucket fills; zero: nothing is ever allowed.
    depth: Duration,
}

impl Rate {
    /// `per_second` of them, at most `burst` at once. None if either is 0; no limit if `per_second`
    /// is `u32::MAX`.
    pub(crate) const fn new(per_second: u32, burst: u32) -> Self {
        const SECOND: u64 = 1_000_000_000;
        let interval = match per_second {
            0 | u32::MAX => Duration::ZERO,
            // Below 2^30, and a product below 2^62.
            _ => match SECOND.checked_div(per_second as u64) {
                Some(nanos @ 1..) => Duration::from_nanos(nanos),
                _ => Duration::from_nanos(1),
            },
        };
        let depth = match per_second {
            0 => Duration::ZERO,
            u32::MAX if burst > 0 => Duration::MAX,
            _ => interval.saturating_mul(burst),
        };
        Self { interval, depth }
    }
}

/// One bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// When it is full again.
    full_at: Instant,
}

impl Bucket {
    /// Takes one out, if there is one.
    #[must_use]
    pub(crate) fn take(&mut self, now: Instant, rate: Rate) -> bool {
        let full_at = self.full_at.max(now) + rate.interval;
        let allowed = full_at.saturating_duration_since(now) <= rate.depth && !rate.depth.is_zero();
        if allowed {
            self.full_at = full_at;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A burst, then the rate, and what was not used is not saved beyond the burst.
    #[test]
    fn a_burst_and_then_the_rate() {
        let rate = Rate::new(10, 5);
        let mut bucket = Bucket::default();
        let mut at = Instant::from_nanos(7);
        let burst = |bucket: &mut Bucket, at| (0..100).filter(|_| bucket.take(at, rate)).count();
        assert_eq!(burst(&mut bucket, at), 5);
        for _ in 0..20 {
            at += Duration::from_millis(99);
            assert!(!bucket.take(at, rate));
            at += Duration::from_millis(1);
            assert!(bucket.take(at, rate) && !bucket.take(at, rate));
        }
        at += Duration::from_secs(3_600);
        assert_eq!(burst(&mut bucket, at), 5);
        assert_eq!(burst(&mut bucket, Instant::ZERO), 0, "time does not go back");
    }

    /// The ends of the scale, and of time.
    #[test]
    fn no_limit_and_none_at_all() {
        for (per_second, burst, most) in
            [(0, 9, 0), (9, 0, 0), (u32::MAX, 0, 0), (u32::MAX, 1, 1_000), (u32::MAX - 1, 3, 3)]
        {
            let mut bucket = Bucket::default();
            let rate = Rate::new(per_second, burst);
            let taken = (0..1_000).filter(|_| bucket.take(Instant::ZERO, rate)).count();
            assert_eq!(taken, most, "{per_second} a second, {burst} at once");
        }
        assert!(Bucket::default().take(Instant::MAX, Rate::new(1, 1)));
    }
}
