//! A host's own clock: skewed, drifting, jumping, standing still while the host sleeps.
//!
//! In goes the world's time, out the one that the host's machine is told, and a machine's deadline
//! comes back as a time of the world. A clock never goes back, and stands still at most as long as
//! it is told to; all is whole numbers.

use crate::chance::Chance;
use tripline_sansio::{Duration, Instant, Random};

/// How a host's clock goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ClockConfig {
    /// How much too fast (or too slow) it goes, in millionths; within ±900,000.
    pub skew_ppm: i32,
    /// By up to how much its pace wanders around that, in millionths.
    pub drift: Chance,
    /// How often the pace changes by drift; not at all if zero.
    pub drift_every: Duration,
}

impl ClockConfig {
    /// A clock that is too fast, or too slow, by so many millionths.
    pub const fn skew(ppm: i32) -> Self {
        Self { skew_ppm: ppm, drift: Chance::NEVER, drift_every: Duration::ZERO }
    }

    /// With a pace that changes each `every` by up to `drift` of the true one.
    #[must_use]
    pub const fn drift(mut self, drift: Chance, every: Duration) -> Self {
        self.drift = drift;
        self.drift_every = every;
        self
    }
}

/// The pace of a right clock.
const TRUE_PACE: u64 = 1_000_000;
/// The most changes of pace that are made up for at once; those of a longer absence are left out.
const MAX_CHANGES: u32 = 100_000;
/// The slowest and the fastest pace.
const PACES: [u64; 2] = [100_000, 1_900_000];

/// A clock: a straight line from time to time, until its pace changes.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    config: ClockConfig,
    random: Random,
    /// The world's time at which the present line began, and the clock's.
    base: Instant,
    base_local: Instant,
    /// Millionths of the clock's time in a millionth of the world's.
    pace: u64,
    /// When the pace changes.
    change: Option<Instant>,
}

impl Clock {
    /// A clock that is right at `now` and has a right pace.
    pub(super) const fn new(now: Instant, random: Random) -> Self {
        let config = ClockConfig::skew(0);
        Self { config, random, base: now, base_local: now, pace: TRUE_PACE, change: None }
    }

    /// Goes on at another pace.
    pub(super) fn configure(&mut self, now: Instant, config: ClockConfig) {
        self.rebase(now);
        self.config = config;
        self.draw_pace(now);
    }

    /// Jumps forward.
    pub(super) fn jump(&mut self, now: Instant, by: Duration) {
        self.rebase(now);
        self.base_local += by;
    }

    /// Has stood still since `since`, up to `now`.
    pub(super) fn stood_still(&mut self, since: Instant, now: Instant) {
        self.base_local = self.local(since);
        self.base = now;
    }

    /// Changes the pace as often as it was to change up to `now`.
    pub(super) fn advance(&mut self, now: Instant) {
        for _ in 0..MAX_CHANGES {
            let Some(at) = self.change.filter(|at| *at <= now) else { return };
            self.rebase(at);
            self.draw_pace(at);
        }
        self.rebase(now);
        self.draw_pace(now);
    }

    /// The clock's time at `now`, which is not before the present line.
    pub(super) fn local(&self, now: Instant) -> Instant {
        let passed = u128::from(now.as_nanos().saturating_sub(self.base.as_nanos()));
        let local = passed * u128::from(self.pace) / u128::from(TRUE_PACE);
        self.base_local + Duration::from_nanos(u64::try_from(local).unwrap_or(u64::MAX))
    }

    /// The first time of the world at which the clock shows `local` or more, if its pace stays; if
    /// that is not before the next change of pace, the change.
    pub(super) fn world(&self, local: Instant) -> Instant {
        let left = u128::from(local.as_nanos().saturating_sub(self.base_local.as_nanos()));
        let passed = (left * u128::from(TRUE_PACE)).div_ceil(u128::from(self.pace));
        let at = self.base + Duration::from_nanos(u64::try_from(passed).unwrap_or(u64::MAX));
        self.change.map_or(at, |change| change.min(at))
    }

    /// Begins a new line where the present one is.
    fn rebase(&mut self, now: Instant) {
        self.base_local = self.local(now);
        self.base = now;
    }

    fn draw_pace(&mut self, now: Instant) {
        let ClockConfig { skew_ppm, drift, drift_every } = self.config;
        let drifts = drift != Chance::NEVER && !drift_every.is_zero();
        let most = i64::from(drift.as_ppm());
        // A number below 2 · 10^6.
        let wander = if drifts { self.random.below(2 * most as u64 + 1) as i64 - most } else { 0 };
        let pace = TRUE_PACE as i64 + i64::from(skew_ppm) + wander;
        let [slow, fast] = PACES;
        self.pace = u64::try_from(pace).unwrap_or(slow).clamp(slow, fast);
        // A nanosecond at least, or the changes of an instant would not end.
        self.change = drifts.then(|| now + drift_every.max(Duration::from_micros(1)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tripline_sansio::Seed;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    fn clock(config: ClockConfig) -> Clock {
        let mut clock = Clock::new(at(5), Seed::from_number(1).random("clock"));
        clock.configure(at(5), config);
        clock
    }

    #[test]
    fn a_skewed_clock_runs_at_its_pace_and_a_deadline_comes_back_exactly() {
        for ppm in [-900_000, -200_000, -1, 0, 1, 7, 200_000, 900_000] {
            let clock = clock(ClockConfig::skew(ppm));
            let local = clock.local(at(5) + SECOND) - clock.local(at(5));
            assert_eq!(local.as_nanos() as i64, 1_000_000_000 + i64::from(ppm) * 1_000, "{ppm}");
            for wanted in (0..3_000).chain(999_999_000..1_000_001_000) {
                let world = clock.world(at(wanted));
                assert!(clock.local(world) >= at(wanted), "{ppm}: not too early");
                let before = at(world.as_nanos().saturating_sub(1));
                assert!(world == at(5) || clock.local(before) < at(wanted), "{ppm}: nor too late");
            }
        }
    }

    #[test]
    fn a_drifting_clock_stays_within_its_drift_and_never_goes_back() {
        let drift = Chance::permille(100);
        let mut clock = clock(ClockConfig::skew(0).drift(drift, SECOND));
        let (mut last, mut paces) = (clock.local(at(5)), Vec::new());
        for step in 1..1_000 {
            let now = at(5) + step * SECOND / 4;
            clock.advance(now);
            let local = clock.local(now);
            let passed = (local - last).as_millis();
            assert!((224..=276).contains(&passed), "{passed} ms of 250");
            paces.push(passed);
            last = local;
        }
        assert!(paces.contains(&230) && paces.contains(&270));
        // A deadline beyond the change of pace is looked at again then.
        assert!(clock.world(last + 60 * SECOND) <= at(5) + 251 * SECOND);
    }

    #[test]
    fn jumps_and_rests_add_up() {
        let mut clock = clock(ClockConfig::skew(0));
        clock.jump(at(10), SECOND);
        assert_eq!(clock.local(at(10)), at(10) + SECOND);
        clock.stood_still(at(20), at(70));
        assert_eq!(clock.local(at(70)), at(20) + SECOND);
        assert_eq!(clock.world(at(30) + SECOND), at(80));
        // The end of time is the end.
        clock.jump(at(80), Duration::MAX);
        assert_eq!(clock.local(at(90)), Instant::MAX);
        assert_eq!(clock.world(Instant::MAX), at(80));
    }
}
