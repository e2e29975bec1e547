//! How much longer than its delay a link takes: shapes of jitter, without floating point.
//!
//! Every shape stays between nothing and the most that was asked for. The numbers are whole, so
//! that a run is the same on every machine.

use super::lazy::Lazy;
use crate::chance::{Chance, up_to};
use tripline_sansio::{Duration, Random, Seed};

/// How jitter is spread between nothing and [`LinkConfig::jitter`](crate::LinkConfig::jitter).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum JitterShape {
    /// Every value is as likely as every other.
    #[default]
    Uniform,
    /// Nearly a normal distribution around the middle: the mean of four uniform draws. Its standard
    /// deviation is about a seventh of the range.
    Normal,
    /// Mostly little and seldom much: a Pareto distribution (α = 1) cut off at 32 times its least.
    /// Half of all values are below a thirtieth of the range, one in thirty above half of it.
    Pareto,
}

/// What a knob of jitter has to remember.
#[derive(Clone, Debug)]
pub(super) struct Jitter {
    random: Lazy,
    /// The last value, in nanoseconds.
    last: u64,
}

/// A million parts are one.
const WHOLE: u128 = 1_000_000;
/// The greatest value of the Pareto distribution in units of its least.
const PARETO_RANGE: u128 = 32;
/// In how many parts a unit is divided for the draw.
const PARETO_PARTS: u64 = 1 << 32;

impl Jitter {
    pub(super) const fn new() -> Self {
        Self { random: Lazy::new("jitter"), last: 0 }
    }

    /// The next jitter of up to `most`. It is `correlation` of the last one, and the rest new: with
    /// a correlation values move slowly, and are spread less widely.
    pub(super) fn next(
        &mut self,
        seed: &Seed,
        most: Duration,
        shape: JitterShape,
        correlation: Chance,
    ) -> Duration {
        if most.is_zero() {
            return Duration::ZERO;
        }
        let fresh = shape.draw(self.random.get(seed), most);
        if correlation == Chance::NEVER {
            return fresh;
        }
        let kept = u128::from(correlation.as_ppm());
        let sum = u128::from(self.last) * kept + fresh.as_nanos() * (WHOLE - kept);
        self.last = u64::try_from(sum / WHOLE).unwrap_or(u64::MAX);
        // The range may have become smaller since.
        Duration::from_nanos(self.last).min(most)
    }
}

impl JitterShape {
    fn draw(self, random: &mut Random, most: Duration) -> Duration {
        match self {
            Self::Uniform => up_to(random, most),
            Self::Normal => (0..4).map(|_| up_to(random, most / 4)).sum(),
            Self::Pareto => {
                // By inversion, u being uniform: low·high / (high − u·(high − low)), less the
                // least. In units of the least, low is 1 and high the range.
                let parts = u128::from(PARETO_PARTS);
                let u = u128::from(random.below(PARETO_PARTS));
                let above = u * (PARETO_RANGE - 1);
                let below = PARETO_RANGE * parts - above;
                // (value − 1) ÷ (range − 1), which lies between nothing and one.
                let nanos = most.as_nanos() * above / below / (PARETO_RANGE - 1);
                Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
            }
        }
    }
}
