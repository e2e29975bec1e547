//! Time as machines see it: a number that only the driver can make.

use core::fmt;
use core::ops::{Add, AddAssign, Sub};
use core::time::Duration;

/// A point in time: nanoseconds since an arbitrary zero that the driver chose.
///
/// Arithmetic saturates at both ends, so no input can make it panic; 2^64 ns are 584 years.
///
/// ```
/// use tripline_sansio::{Duration, Instant};
/// let start = Instant::from_nanos(5);
/// assert_eq!((start + Duration::from_nanos(7)).as_nanos(), 12);
/// assert_eq!(start - Instant::from_nanos(9), Duration::ZERO);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(u64);

impl Instant {
    /// The zero of the driver's clock.
    pub const ZERO: Self = Self(0);
    /// The last instant there is; deadlines that overflow end here.
    pub const MAX: Self = Self(u64::MAX);

    /// The instant `nanos` nanoseconds after the zero.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the zero.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to `self`, or `None` if `earlier` is later.
    pub const fn checked_duration_since(self, earlier: Self) -> Option<Duration> {
        match self.0.checked_sub(earlier.0) {
            Some(nanos) => Some(Duration::from_nanos(nanos)),
            None => None,
        }
    }

    /// The time from `earlier` to `self`, or zero if `earlier` is later.
    pub const fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A duration in nanoseconds, or `u64::MAX` if it is longer than that holds.
///
/// In 64 bits and not by `as_nanos`: machines reckon so several times for each packet.
#[inline]
fn nanos(duration: Duration) -> u64 {
    let whole = duration.as_secs().saturating_mul(1_000_000_000);
    whole.saturating_add(u64::from(duration.subsec_nanos()))
}

impl Add<Duration> for Instant {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;
    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(duration)))
    }
}

impl Sub for Instant {
    type Output = Duration;
    fn sub(self, earlier: Self) -> Duration {
        self.saturating_duration_since(earlier)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}s", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        assert_eq!(Instant::MAX + Duration::from_secs(1), Instant::MAX);
        assert_eq!(Instant::ZERO + Duration::MAX, Instant::MAX);
        assert_eq!(Instant::ZERO - Duration::from_nanos(1), Instant::ZERO);
        let last = Duration::from_nanos(u64::MAX);
        assert_eq!(Instant::ZERO + last, Instant::MAX);
        assert_eq!((Instant::ZERO + (last - Duration::from_nanos(1))).as_nanos(), u64::MAX - 1);
        assert_eq!(Instant::ZERO + (last + Duration::from_nanos(1)), Instant::MAX);
        assert_eq!((Instant::ZERO + Duration::new(3, 7)).as_nanos(), 3_000_000_007);
        assert_eq!(Instant::ZERO.checked_duration_since(Instant::from_nanos(1)), None);
    }
}
