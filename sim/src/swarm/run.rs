//! Plays a range of seeds.

use super::ordered::in_order;
use super::summary::Summary;
use crate::play::{Failure, Outcome};
use crate::scenario::Scenario;
use std::ops::{ControlFlow, Range};
use tripline_sansio::{Duration, Instant};

/// One seed in so many is played twice, and both runs have to come to the same (`I24`).
pub const TWICE_EVERY: u64 = 20;

/// What to play, and how.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seeds.
    pub seeds: Range<u64>,
    /// On how many threads.
    pub jobs: usize,
    /// Whether to go on behind the first failure.
    pub keep_going: bool,
}

/// Plays the scenarios that are drawn from `plan.seeds`.
///
/// `play` plays one. `clock` says how much real time has gone by since
/// whenever: this crate has no clock. `progress` is shown the state after each seed, and ends the
/// run when it says so.
///
/// All but the real time in what comes back is the same with any number of threads.
pub fn run(
    plan: &Plan,
    play: impl Fn(&Scenario) -> Result<Outcome, Failure> + Sync,
    clock: impl Fn() -> Duration,
    mut progress: impl FnMut(&Summary) -> ControlFlow<()>,
) -> Summary {
    let start = clock();
    let mut summary = Summary::default();
    let one = |seed: u64| {
        let scenario = super::draw(seed);
        if is_twice(seed) { run_twice(&scenario, &play) } else { play(&scenario) }
    };
    in_order(plan.seeds.clone(), plan.jobs, one, |seed, result| {
        summary.runs += 1;
        summary.wall = clock().saturating_sub(start);
        match result {
            Ok(outcome) => {
                summary.twice += u64::from(is_twice(seed));
                summary.take(seed, &outcome);
            }
            Err(failure) => summary.fail(seed, failure),
        }
        if summary.failed > 0 && !plan.keep_going {
            return ControlFlow::Break(());
        }
        progress(&summary)
    });
    summary
}

fn is_twice(seed: u64) -> bool {
    seed.is_multiple_of(TWICE_EVERY)
}

/// Plays a scenario twice.
///
/// # Errors
/// The first run's failure; or `I24`, if the second run came to something else.
pub fn run_twice(
    scenario: &Scenario,
    play: impl Fn(&Scenario) -> Result<Outcome, Failure>,
) -> Result<Outcome, Failure> {
    let first = play(scenario)?;
    same_again(scenario, &first, play).map(|()| first)
}

/// Plays a scenario that came to `first` once more.
///
/// # Errors
/// `I24`, if it came to something else.
pub fn same_again(
    scenario: &Scenario,
    first: &Outcome,
    play: impl Fn(&Scenario) -> Result<Outcome, Failure>,
) -> Result<(), Failure> {
    let differs = |what: String| Failure { oracle: "I24".to_owned(), at: Instant::ZERO, what };
    match play(scenario) {
        Err(failure) => Err(differs(format!("the second run of the same failed: {failure}"))),
        Ok(second) if second.trace_hash != first.trace_hash => Err(differs(format!(
            "two runs of the same have the hashes {:016x} and {:016x}",
            first.trace_hash, second.trace_hash
        ))),
        Ok(second) if second != *first => {
            Err(differs(format!("two runs of the same came to {first:?} and {second:?}")))
        }
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::marks::{Mark, Marks};
    use crate::play::Deeds;
    use crate::trace::Totals;
    use std::sync::atomic::{AtomicU64, Ordering};

    fn outcome(scenario: &Scenario) -> Outcome {
        Outcome {
            trace_hash: crate::digest(scenario.to_string().as_bytes()),
            simulated: scenario.lasts,
            totals: Totals { offered: scenario.seed, ..Totals::default() },
            deeds: Deeds { steps: scenario.steps.len() as u64, ..Deeds::default() },
            marks: marks(scenario.seed.is_multiple_of(2)),
        }
    }

    fn marks(even: bool) -> Marks {
        let mut marks = Marks::default();
        if even {
            marks.hit(Mark::RetrySent);
        }
        marks
    }

    fn failure(what: &str) -> Failure {
        Failure { oracle: "I11".to_owned(), at: Instant::ZERO, what: what.to_owned() }
    }

    fn plan(jobs: usize, keep_going: bool) -> Plan {
        Plan { seeds: 10..210, jobs, keep_going }
    }

    /// Runs that fail for some seeds, and reach an event for others.
    fn swarm(plan: &Plan) -> Summary {
        let play = |scenario: &Scenario| match scenario.seed {
            seed if seed % 50 == 33 => Err(failure(&format!("seed {seed}"))),
            _ => Ok(outcome(scenario)),
        };
        run(plan, play, || Duration::ZERO, |_| ControlFlow::Continue(()))
    }

    #[test]
    fn the_summary_is_the_same_with_any_number_of_threads() {
        let one = swarm(&plan(1, true));
        assert_eq!(one.runs, 200);
        assert_eq!(
            one.failures.iter().map(|found| found.seed).collect::<Vec<_>>(),
            [33, 83, 133, 183]
        );
        assert_eq!((one.failed, one.twice), (4, 10));
        let even = one.reached.get(Mark::RetrySent).unwrap();
        assert_eq!((even.first, even.count, even.runs), (10, 100, 100));
        assert_eq!(one.reached.iter().count(), 1, "what was not reached is not there");
        assert_eq!(swarm(&plan(3, true)), one);
    }

    #[test]
    fn the_first_failure_ends_it_in_the_order_of_the_seeds() {
        for jobs in [1, 3] {
            let summary = swarm(&plan(jobs, false));
            assert_eq!((summary.runs, summary.failed), (24, 1), "{jobs} threads");
            assert_eq!(summary.failures[0].seed, 33);
        }
    }

    #[test]
    fn failures_are_bounded_and_progress_can_end_it() {
        let fail = |_: &Scenario| Err(failure("always"));
        let plan = Plan { seeds: 0..1_000, jobs: 2, keep_going: true };
        let mut steps = 0;
        let summary = run(
            &plan,
            fail,
            || Duration::ZERO,
            |summary| {
                steps += 1;
                if summary.runs == 300 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            },
        );
        assert_eq!((summary.runs, summary.failed, steps), (300, 300, 300));
        assert_eq!(summary.failures.len(), FAILURES);
    }
    const FAILURES: usize = super::super::FAILURES_MAX;

    /// I24: a run that is not the same twice is a failure, for one seed in twenty.
    #[test]
    fn what_differs_from_run_to_run_is_found() {
        let runs = AtomicU64::new(0);
        let drifting = |scenario: &Scenario| {
            let trace_hash = runs.fetch_add(1, Ordering::Relaxed);
            Ok(Outcome { trace_hash, ..outcome(scenario) })
        };
        let found = run_twice(&super::super::draw(1), drifting).unwrap_err();
        assert_eq!(found.oracle, "I24");
        assert!(found.what.contains("0000000000000000 and 0000000000000001"), "{found}");
        let second = |scenario: &Scenario| {
            let simulated = Duration::from_nanos(runs.fetch_add(1, Ordering::Relaxed));
            Ok(Outcome { simulated, ..outcome(scenario) })
        };
        assert!(run_twice(&super::super::draw(1), second).unwrap_err().what.contains("came to"));
        let plan = Plan { seeds: 1..60, jobs: 1, keep_going: true };
        let all = run(&plan, drifting, || Duration::ZERO, |_| ControlFlow::Continue(()));
        assert_eq!(all.failures.iter().map(|found| found.seed).collect::<Vec<_>>(), [20, 40]);
    }
}
