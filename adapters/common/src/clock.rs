//! What machines may not have: a clock.

use tripline_sansio::Instant;

/// A clock as machines see it: nanoseconds since its zero. Usually the system's monotonic one.
///
/// Copies share their zero. Loops whose machines compare times must share one clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    source: Source,
}

/// Where the time comes from.
#[derive(Clone, Copy, Debug)]
enum Source {
    /// The system's clock, from this zero on.
    System(std::time::Instant),
    User(fn() -> Instant),
}

impl Clock {
    /// The system's clock, which begins now.
    pub fn new() -> Self {
        Self { source: Source::System(std::time::Instant::now()) }
    }

    /// The user's own clock, which must not go back: that of the system they are part of, or one of
    /// virtual time. Unless it goes as fast as the system's, whoever waits by it has to wait in
    /// another way as well (`tripline_std::Link::wait`).
    pub const fn from_fn(now: fn() -> Instant) -> Self {
        Self { source: Source::User(now) }
    }

    /// The time; never earlier than the time before.
    pub fn now(&self) -> Instant {
        match self.source {
            Source::System(zero) => Instant::ZERO + zero.elapsed(),
            Source::User(now) => now(),
        }
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

    #[test]
    fn a_users_clock_says_what_the_user_says() {
        let noon = || Instant::from_nanos(43_200_000_000_000);
        assert_eq!(Clock::from_fn(noon).now(), noon());
    }
}
