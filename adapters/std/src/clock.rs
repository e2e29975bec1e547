//! What machines may not have: a clock.

use tripline_sansio::Instant;

/// The system's monotonic clock as machines see it: nanoseconds since this value was made.
///
/// Copies share their zero. Loops whose machines compare times must share one clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    zero: std::time::Instant,
}

impl Clock {
    /// A clock that begins now.
    pub fn new() -> Self {
        Self { zero: std::time::Instant::now() }
    }

    /// The time; never earlier than the time before.
    pub fn now(&self) -> Instant {
        Instant::ZERO + self.zero.elapsed()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_does_not_go_back_and_copies_agree() {
        let clock = Clock::new();
        let copy = clock;
        let times = [clock.now(), copy.now(), clock.now()];
        assert!(times.is_sorted(), "{times:?}");
    }
}
