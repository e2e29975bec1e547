//! What machines may not have: a clock, and entropy.

use std::io;
use tripline_sansio::{Instant, Seed};

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

/// A seed from the operating system's entropy, for real traffic.
///
/// # Errors
/// If the system has none to give.
pub fn os_seed() -> io::Result<Seed> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(Seed::from_bytes(bytes))
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
    fn seeds_differ() {
        assert_ne!(os_seed().expect("entropy"), os_seed().expect("entropy"));
    }
}
