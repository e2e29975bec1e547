//! Makes a failing scenario small.
//!
//! In goes a scenario that fails, out comes a smaller one that fails by the same oracle: fewer
//! hosts, links, settings and knobs, fewer steps, smaller numbers. Parts are left out and numbers
//! made smaller, one after the other; what does not fail any more is put back. It goes round until
//! a whole round changes nothing, so that at the end no single step can be left out; or until it
//! has played as often as it may. The same input gives the same output.
//!
//! Nothing here plays a scenario: that is handed in.

mod ddmin;
mod nats;
mod numbers;
mod parts;
#[cfg(test)]
mod tests;

use crate::play::{Failure, Outcome};
use crate::scenario::{Scenario, Seal};

/// A smaller scenario, and how it fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shrunk {
    /// The scenario.
    pub scenario: Scenario,
    /// How it fails: the oracle is that of the failure at first, the rest may differ.
    pub failure: Failure,
    /// How often scenarios were played.
    pub runs: u64,
    /// Whether a whole round changed nothing. If not, there were not enough runs, and somebody who
    /// goes on from here may get further.
    pub done: bool,
}

/// Makes `scenario`, which fails with `failure`, smaller, and plays `runs_max` scenarios at most.
///
/// ```
/// use tripline_sim::play::{Failure, Outcome};
/// use tripline_sim::scenario::Scenario;
/// use tripline_sim::{Instant, play, shrink::shrink, swarm::draw};
/// // An oracle that is wrong on purpose: it finds fault with every host that crashes.
/// let wrong = |scenario: &Scenario| match scenario.to_string().contains(" crash") {
///     true => Err(Failure { oracle: "canary".into(), at: Instant::ZERO, what: "gone".into() }),
///     false => play::play(&draw(0)),
/// };
/// let big = (0..).map(draw).find(|drawn| wrong(drawn).is_err()).unwrap();
/// let small = shrink(&big, &wrong(&big).unwrap_err(), 1_000, wrong);
/// assert!(small.done && small.scenario.steps.len() == 1, "{}", small.scenario);
/// ```
pub fn shrink(
    scenario: &Scenario,
    failure: &Failure,
    runs_max: u64,
    play: impl FnMut(&Scenario) -> Result<Outcome, Failure>,
) -> Shrunk {
    let mut shrinker =
        Shrinker { best: scenario.clone(), failure: failure.clone(), runs: 0, runs_max, play };
    // Once: if it still fails, chance has no part in it.
    shrinker.attempt_with(|scenario| scenario.seed = 0);
    let mut done = false;
    while !done && shrinker.may_run() {
        let before = shrinker.best.clone();
        shrinker.round();
        done = shrinker.best == before && shrinker.may_run();
    }
    shrinker.best.about = format!("Shrunk from {}: {}.", scenario.name, shrinker.failure.oracle);
    let Shrinker { best, failure, runs, .. } = shrinker;
    Shrunk { scenario: best, failure, runs, done }
}

/// The smallest scenario so far, and what it may still cost.
struct Shrinker<P> {
    best: Scenario,
    failure: Failure,
    runs: u64,
    runs_max: u64,
    play: P,
}

impl<P: FnMut(&Scenario) -> Result<Outcome, Failure>> Shrinker<P> {
    /// Everything once: what is likely to make it much smaller comes first.
    fn round(&mut self) {
        self.attempt_with(|scenario| scenario.seal = Seal::Fast);
        self.drop_hosts();
        self.drop_steps();
        self.drop_links();
        self.drop_nats();
        self.drop_settings();
        self.drop_options();
        self.shrink_numbers();
    }

    fn may_run(&self) -> bool {
        self.runs < self.runs_max
    }

    /// Takes the candidate if it makes sense, is another one, and fails by the same oracle.
    fn attempt(&mut self, candidate: Scenario) -> bool {
        if candidate == self.best || candidate.check().is_err() || !self.may_run() {
            return false;
        }
        self.runs += 1;
        match (self.play)(&candidate) {
            Err(failure) if failure.oracle == self.failure.oracle => {
                self.best = candidate;
                self.failure = failure;
                true
            }
            _ => false,
        }
    }

    /// The same with the best so far, changed.
    fn attempt_with(&mut self, change: impl FnOnce(&mut Scenario)) -> bool {
        let mut candidate = self.best.clone();
        change(&mut candidate);
        self.attempt(candidate)
    }
}
