//! Draws as the swarm needs them: uniform, log-uniform, weighted; each purpose with its own dice.

use crate::chance::{Chance, up_to};
use tripline_sansio::{Duration, Random, Seed};

/// The generator of one purpose. Another draw here moves no draw of any other purpose.
pub(super) struct Dice(Random);

impl Dice {
    /// The dice of `purpose`.
    pub(super) fn new(seed: &Seed, purpose: &str) -> Self {
        Self(seed.random(purpose))
    }

    /// True in so many of a hundred cases.
    pub(super) fn percent(&mut self, percent: u64) -> bool {
        self.0.chance(percent, 100)
    }

    /// A number from `least` to `most`, both included, uniformly; `least` if they are the wrong way
    /// round.
    pub(super) fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.0.below(most.saturating_sub(least).saturating_add(1))
    }

    /// A number from `least` to `most`, log-uniformly: each doubling is as likely as any other. It
    /// has two digits that are not zero at most, so that people can read it.
    ///
    /// No float takes part, so that a seed means the same on every machine.
    pub(super) fn log(&mut self, least: u64, most: u64) -> u64 {
        let (least, most) = (least.max(1), most.max(least).max(1));
        let doublings = (most / least).ilog2();
        let doubling = self.between(0, u64::from(doublings));
        let from = least << doubling;
        let number = self.between(from, most.min(from.saturating_mul(2).saturating_sub(1)));
        two_digits(number).clamp(least, most)
    }

    /// The same for lengths of time; the shortest is a nanosecond.
    pub(super) fn time(&mut self, least: Duration, most: Duration) -> Duration {
        Duration::from_nanos(self.log(nanos(least), nanos(most)))
    }

    /// A time from nothing to `most`, uniformly, in steps that can be read.
    pub(super) fn within(&mut self, most: Duration) -> Duration {
        rounded(up_to(&mut self.0, most))
    }

    /// A chance, log-uniformly, in parts per million.
    pub(super) fn chance(&mut self, least: u32, most: u32) -> Chance {
        let parts = self.log(u64::from(least), u64::from(most));
        Chance::ppm(u32::try_from(parts).unwrap_or(most))
    }

    /// One of them, each as likely as the others.
    pub(super) fn pick<T: Copy, const N: usize>(&mut self, all: [T; N]) -> T {
        const { assert!(N > 0) };
        let at = usize::try_from(self.0.below(N as u64)).unwrap_or(0);
        all[at]
    }

    /// One of them, as often as its weight says.
    pub(super) fn weighted<T: Copy>(&mut self, all: &[(T, u64)], otherwise: T) -> T {
        let mut at = self.0.below(all.iter().map(|(_, weight)| weight).sum());
        for (one, weight) in all {
            match at.checked_sub(*weight) {
                Some(rest) => at = rest,
                None => return *one,
            }
        }
        otherwise
    }
}

/// The time in nanoseconds, as many as fit.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The number with all digits behind the second made zero.
pub(super) fn two_digits(number: u64) -> u64 {
    let unit = 10_u64.pow(number.checked_ilog10().unwrap_or(0).saturating_sub(1));
    number / unit * unit
}

/// The time cut to a thousandth of its length or so, and never finer than a microsecond.
pub(super) fn rounded(time: Duration) -> Duration {
    let nanos = nanos(time);
    let unit = 10_u64.pow(nanos.checked_ilog10().unwrap_or(0).saturating_sub(2)).max(1_000);
    Duration::from_nanos(nanos / unit * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dice(purpose: &str) -> Dice {
        Dice::new(&Seed::from_number(5), purpose)
    }

    #[test]
    fn log_uniform_draws_keep_their_bounds_and_reach_every_doubling() {
        let mut dice = dice("log");
        for (least, most) in [(1, 1), (7, 7), (1, 2), (3, 1_000), (1, u64::MAX), (999, 1_001)] {
            let drawn: Vec<_> = (0..500).map(|_| dice.log(least, most)).collect();
            assert!(drawn.iter().all(|one| (least..=most).contains(one)), "{least}..{most}");
        }
        let drawn: Vec<_> = (0..4_000).map(|_| dice.log(1, 1_023)).collect();
        for doubling in 0..10 {
            let here = drawn.iter().filter(|one| one.ilog2() == doubling).count();
            assert!((200..800).contains(&here), "{doubling}: {here}");
        }
    }

    #[test]
    fn weights_count_and_other_purposes_do_not() {
        let all = [("a", 1), ("b", 3)];
        let mut one = dice("one");
        let count = (0..4_000).filter(|_| one.weighted(&all, "c") == "b").count();
        assert!((2_800..3_200).contains(&count), "{count}");
        let first = dice("two").between(0, u64::MAX - 1);
        assert_eq!(first, dice("two").between(0, u64::MAX - 1));
        assert_ne!(first, dice("three").between(0, u64::MAX - 1));
        assert_eq!(one.weighted(&[], "c"), "c");
    }

    #[test]
    fn what_is_drawn_can_be_read() {
        assert_eq!([0, 9, 99, 123, 98_765].map(two_digits), [0, 9, 99, 120, 98_000]);
        let cut = |nanos| rounded(Duration::from_nanos(nanos)).as_nanos();
        assert_eq!([999, 1_999, 123_456_789].map(cut), [0, 1_000, 123_000_000]);
    }
}
