//! The transport as a state machine: what users and networks may do, drawn, played in the simulated
//! world, and judged by what was promised.
//!
//! `draw` makes scenarios of every verb there is, of small numbers and coarse times, so that things
//! meet at limits and at the same moment. What fails is made smaller by proptest and shown as a
//! script that people can read. No seeds are kept: the script, saved as a file of
//! `tests/regressions`, is played again by every run of the tests, and by hand with
//! `tripline sim play FILE`, whatever becomes of the strategy that once drew it.
//!
//! 200 scenarios are played, always the same; `TRIPLINE_CASES` plays more, which begin with those.

mod draw;

use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestError, TestRunner};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use tripline_sim::Instant;
use tripline_sim::play::{self, Deeds, Failure, Outcome};
use tripline_sim::scenario::{Action, Scenario};
use tripline_sim::swarm::run_twice;

/// How many scenarios are played if nobody asks for more.
const CASES: u32 = 200;
/// The most that are played to make a failure smaller.
const SHRINK_MAX: u32 = 3_000;

/// How many scenarios to play.
fn cases() -> u32 {
    let Some(wanted) = std::env::var_os("TRIPLINE_CASES") else { return CASES };
    let number = wanted.to_str().and_then(|text| text.parse().ok());
    number.unwrap_or_else(|| panic!("TRIPLINE_CASES={wanted:?} is no number of scenarios"))
}

/// So many, always the same. Scenarios are kept, not seeds.
fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1),
        max_shrink_iters: SHRINK_MAX,
        ..ProptestConfig::default()
    }
}

/// Plays so many scenarios; the first that fails, as small as it can be made, and how that fails.
fn first_failure(
    cases: u32,
    play: impl Fn(&Scenario) -> Result<Outcome, Failure>,
) -> Option<(Scenario, Failure)> {
    // Smaller means: fails by the same oracle. Anything else is another finding.
    let found: RefCell<Option<Failure>> = RefCell::new(None);
    let result = TestRunner::new(config(cases)).run(&draw::scenario(), |scenario| {
        let Err(failure) = play(&scenario) else { return Ok(()) };
        let mut found = found.borrow_mut();
        if found.as_ref().is_some_and(|found| found.oracle != failure.oracle) {
            return Ok(());
        }
        let reason = failure.to_string();
        *found = Some(failure);
        Err(TestCaseError::fail(reason))
    });
    match result {
        Ok(()) => None,
        Err(TestError::Fail(_, scenario)) => {
            let failure = play(&scenario).err();
            failure.or(found.into_inner()).map(|failure| (scenario, failure))
        }
        Err(error) => panic!("nothing was played: {error}"),
    }
}

/// What to read, and to do, about a failure.
fn told(scenario: &Scenario, failure: &Failure) -> String {
    format!(
        "{failure}\n\n# Save what follows as tests/regressions/NAME.toml; it replays by\n\
         # `tripline sim play FILE`.\n{scenario}"
    )
}

/// N42, N61, T28 to T32, T44, T58, M01 to M05 and all that the simulator watches: promises are kept
/// whatever users and networks do.
#[test]
pub(crate) fn promises_are_kept_in_every_scenario() {
    let all = RefCell::new(Deeds::default());
    let play = |scenario: &Scenario| {
        // One in ten twice: the same script gives the same bytes (rule 7 of the run loop).
        let outcome = match scenario.seed % 10 {
            0 => run_twice(scenario, play::play)?,
            _ => play::play(scenario)?,
        };
        let mut all = all.borrow_mut();
        all.steps += outcome.deeds.steps;
        all.connected += outcome.deeds.connected;
        all.streams += outcome.deeds.streams;
        all.received += outcome.deeds.received;
        Ok(outcome)
    };
    if let Some((scenario, failure)) = first_failure(cases(), play) {
        panic!("{}", told(&scenario, &failure));
    }
    // Scenarios in which nothing fits would prove nothing.
    let (all, least) = (all.into_inner(), u64::from(cases()));
    assert!(all.connected > least && all.streams > least, "{all:?}");
    assert!(all.steps > 6 * least && all.received > 2 * least, "{all:?}");
}

/// What every host does and what happens to it, by the words of the steps.
fn verbs(scenario: &Scenario, count: &mut BTreeMap<String, u64>) {
    for step in &scenario.steps {
        let line = step.to_string();
        let word = if matches!(step.action, Action::Host(..)) { 2 } else { 1 };
        let verb = line.split(' ').nth(word).expect("a verb");
        *count.entry(verb.to_owned()).or_default() += 1;
    }
}

#[test]
pub(crate) fn every_verb_is_drawn_and_every_scenario_reads_as_it_prints() {
    let count = RefCell::new(BTreeMap::new());
    // Looked at rather than played: what is drawn does not depend on it.
    let look = |scenario: Scenario| {
        let text = scenario.to_string();
        let again: Scenario = text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(again, scenario, "{text}");
        assert!((2..=3).contains(&scenario.hosts.len()), "{text}");
        verbs(&scenario, &mut count.borrow_mut());
        Ok(())
    };
    let looked = TestRunner::new(config(CASES)).run(&draw::scenario(), look);
    looked.expect("every one reads");
    let count = count.into_inner();
    let all = "connect open send finish close-stream stop priority read reading renew close kill \
               network-changed shut-down move crash restart pause jump block replay garbage flood \
               link cut heal clock refuses nat reboot-nat readdress-nat";
    for verb in all.split(' ') {
        assert!(count.get(verb).is_some_and(|times| *times >= 10), "{verb}: {count:?}");
    }
    assert_eq!(count.len(), all.split(' ').count(), "{count:?}");
}

/// A failure of an oracle made up for a test.
fn failure(what: &str) -> Failure {
    Failure { oracle: "canary".into(), at: Instant::ZERO, what: what.into() }
}

/// An oracle that is wrong on purpose: it finds fault with a host that crashes where a link is cut.
/// Another one, with few steps and a crash, may not take its place while the scenario shrinks.
#[test]
pub(crate) fn what_fails_is_shown_as_a_script_of_the_steps_that_matter() {
    let quiet = "name = \"quiet\"\nseed = 0\nlasts = \"1ms\"\nhosts = []\n";
    let quiet = play::play(&quiet.parse().expect("a scenario")).expect("nothing happens");
    let wrong = |scenario: &Scenario| {
        let text = scenario.to_string();
        match (text.contains(" crash\""), text.contains(" cut ")) {
            (true, true) => Err(failure("gone")),
            (true, false) if scenario.steps.len() < 10 => {
                Err(Failure { oracle: "another".into(), ..failure("few") })
            }
            _ => Ok(quiet.clone()),
        }
    };
    let (small, found) = first_failure(CASES, wrong).expect("it is found");
    let verbs = {
        let mut count = BTreeMap::new();
        verbs(&small, &mut count);
        count.into_keys().collect::<Vec<_>>()
    };
    assert_eq!((verbs, small.steps.len()), (vec!["crash".into(), "cut".into()], 2), "{small}");
    assert_eq!((small.hosts.len(), small.links.len(), found.oracle.as_str()), (2, 0, "canary"));
    let text = told(&small, &found);
    assert!(text.starts_with("canary at "), "{text}");
    let script = text.split_once("\n\n").expect("two parts").1;
    assert_eq!(script.parse::<Scenario>().expect("a script"), small);
}

/// What was found once, or is worth trying again at every change. The files are named after what
/// they are about, and say it.
#[test]
pub(crate) fn regressions_stay_repaired() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a readable entry").path()).collect();
    files.sort();
    assert!(files.len() >= 2, "{files:?}");
    for file in files {
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
        let scenario: Scenario = text.parse().unwrap_or_else(|error| panic!("{file:?}: {error}"));
        assert_eq!(file.file_name(), Some(format!("{}.toml", scenario.name).as_ref()));
        let about = &scenario.about;
        assert!(about.ends_with('.') && about.len() > 30, "{file:?}: {about}");
        if let Err(failure) = run_twice(&scenario, play::play) {
            panic!("{file:?}: {failure}");
        }
    }
}
