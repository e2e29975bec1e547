//! Growing, jittered waits between attempts.

use crate::Random;
use core::time::Duration;

/// A sequence of waits that grows by a factor up to a ceiling.
///
/// Plain data: asking for the next wait moves it on, nothing else does.
///
/// ```
/// use tripline_sansio::{Backoff, Duration, Seed};
/// let mut random = Seed::from_number(1).random("doc");
/// let ms = Duration::from_millis;
/// let mut backoff = Backoff::new(ms(100), (2, 1), ms(350));
/// let waits: Vec<_> = (0..4).map(|_| backoff.next_wait(&mut random)).collect();
/// assert_eq!(waits, [ms(100), ms(200), ms(350), ms(350)]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    next: Duration,
    factor: (u32, u32),
    ceiling: Duration,
    jitter_permille: u32,
}

impl Backoff {
    /// Waits of `first`, then each `factor.0 / factor.1` times the one before, up to `ceiling`.
    /// A zero denominator counts as one.
    pub fn new(first: Duration, factor: (u32, u32), ceiling: Duration) -> Self {
        let first = first.min(ceiling);
        Self {
            first,
            next: first,
            factor: (factor.0, factor.1.max(1)),
            ceiling,
            jitter_permille: 0,
        }
    }

    /// The same sequence, each wait moved at random by up to `permille` thousandths either way
    /// (at most 1,000), so that many clients do not retry in step.
    #[must_use]
    pub fn with_jitter(self, permille: u32) -> Self {
        Self { jitter_permille: permille.min(1_000), ..self }
    }

    /// The next wait without jitter; the one after will be longer.
    pub fn advance(&mut self) -> Duration {
        let wait = self.next;
        let grown = wait.saturating_mul(self.factor.0) / self.factor.1;
        self.next = grown.min(self.ceiling);
        wait
    }

    /// The next wait; the one after will be longer. Without jitter nothing is drawn.
    pub fn next_wait(&mut self, random: &mut Random) -> Duration {
        let wait = self.advance();
        if self.jitter_permille == 0 {
            return wait;
        }
        let spread = wait.saturating_mul(self.jitter_permille) / 1_000;
        let width = u64::try_from(spread.as_nanos().saturating_mul(2)).unwrap_or(u64::MAX);
        (wait - spread).saturating_add(Duration::from_nanos(random.below(width.saturating_add(1))))
    }

    /// Begins again with the first wait, after a success.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seed;

    #[test]
    fn jitter_stays_within_its_bounds_and_reset_begins_anew() {
        let mut random = Seed::from_number(1).random("jitter");
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(second, (1, 1), second).with_jitter(250);
        for _ in 0..1_000 {
            let wait = backoff.next_wait(&mut random);
            assert!(wait >= Duration::from_millis(750) && wait <= Duration::from_millis(1_250));
        }
        let mut growing = Backoff::new(second, (3, 2), Duration::MAX);
        growing.next_wait(&mut random);
        assert_eq!(growing.next_wait(&mut random), Duration::from_millis(1_500));
        growing.reset();
        assert_eq!(growing.next_wait(&mut random), second);
    }

    #[test]
    fn no_input_panics() {
        let mut random = Seed::from_number(1).random("edge");
        let mut backoff =
            Backoff::new(Duration::MAX, (u32::MAX, 0), Duration::MAX).with_jitter(9_999);
        for _ in 0..10 {
            backoff.next_wait(&mut random);
        }
    }
}
