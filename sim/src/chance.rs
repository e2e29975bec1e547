//! Probabilities as whole numbers: parts per million, so that no float enters a replayable run.

use tripline_sansio::{Duration, Random};

/// How often something happens: parts per million, 0 to 1,000,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Chance(u32);

/// One, in parts per million.
const WHOLE: u32 = 1_000_000;

impl Chance {
    /// It never happens; nothing is drawn for it.
    pub const NEVER: Self = Self(0);
    /// It always happens.
    pub const ALWAYS: Self = Self(WHOLE);

    /// So many in a million; more than a million count as a million.
    pub const fn ppm(parts: u32) -> Self {
        Self(if parts > WHOLE { WHOLE } else { parts })
    }

    /// So many in a thousand.
    pub const fn permille(parts: u32) -> Self {
        Self::ppm(parts.saturating_mul(1_000))
    }

    /// So many in a hundred.
    pub const fn percent(parts: u32) -> Self {
        Self::ppm(parts.saturating_mul(10_000))
    }

    /// The same in parts per million.
    pub const fn as_ppm(self) -> u32 {
        self.0
    }

    /// Decides one case. A chance of never costs no draw, any other costs one.
    pub fn draw(self, random: &mut Random) -> bool {
        self != Self::NEVER && random.chance(u64::from(self.0), u64::from(WHOLE))
    }
}

/// A duration from nothing to `max`, both included, uniform to the nanosecond; nothing is drawn if
/// `max` is zero.
pub(crate) fn up_to(random: &mut Random, max: Duration) -> Duration {
    let nanos = u64::try_from(max.as_nanos()).unwrap_or(u64::MAX);
    if nanos == 0 {
        return Duration::ZERO;
    }
    Duration::from_nanos(random.below(nanos.saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tripline_sansio::Seed;

    #[test]
    fn never_and_always_are_exact_and_units_agree() {
        let mut random = Seed::from_number(1).random("chance");
        let fresh = random.clone();
        assert!((0..1000).all(|_| !Chance::NEVER.draw(&mut random)));
        assert!(random == fresh, "never draws nothing");
        assert!((0..1000).all(|_| Chance::ALWAYS.draw(&mut random)));
        assert_eq!(Chance::percent(3), Chance::permille(30));
        assert_eq!(Chance::permille(30).as_ppm(), 30_000);
        assert_eq!(Chance::percent(u32::MAX), Chance::ALWAYS);
    }

    #[test]
    fn durations_reach_both_ends_and_nothing_else() {
        let mut random = Seed::from_number(2).random("up to");
        let max = Duration::from_nanos(3);
        let mut seen = [0_u32; 4];
        for _ in 0..400 {
            seen[usize::try_from(up_to(&mut random, max).as_nanos()).unwrap()] += 1;
        }
        assert!(seen.iter().all(|count| *count > 50), "{seen:?}");
        assert_eq!(up_to(&mut random, Duration::ZERO), Duration::ZERO);
    }
}
