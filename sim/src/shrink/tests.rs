//! Shrinking, with runners that fail for reasons known beforehand.

use super::*;
use crate::play::Deeds;
use crate::scenario::{Action, Deed, Setting};
use crate::swarm::draw;
use crate::trace::Totals;
use tripline_sansio::{Duration, Instant};

fn failure(oracle: &str) -> Failure {
    Failure { oracle: oracle.to_owned(), at: Instant::ZERO, what: String::new() }
}

/// Fails by `oracle` for the scenarios for which `fails` says so.
fn runner(
    oracle: &str,
    fails: impl Fn(&Scenario) -> bool,
) -> impl Fn(&Scenario) -> Result<Outcome, Failure> {
    move |scenario| match fails(scenario) {
        true => Err(failure(oracle)),
        false => Ok(Outcome {
            trace_hash: 0,
            simulated: scenario.lasts,
            totals: Totals::default(),
            deeds: Deeds::default(),
            marks: crate::Marks::default(),
        }),
    }
}

fn has(scenario: &Scenario, wanted: impl Fn(&Deed) -> bool) -> bool {
    scenario.steps.iter().any(|step| matches!(&step.action, Action::Host(_, deed) if wanted(deed)))
}

/// A move, and later a renewal.
fn move_then_renew(scenario: &Scenario) -> bool {
    let place = |wanted: fn(&Deed) -> bool| {
        let found = |action: &Action| matches!(action, Action::Host(_, deed) if wanted(deed));
        scenario.steps.iter().position(|step| found(&step.action))
    };
    let (moved, renewed) =
        (place(|deed| matches!(deed, Deed::Move(_))), place(|deed| matches!(deed, Deed::Renew(_))));
    matches!((moved, renewed), (Some(moved), Some(renewed)) if moved < renewed)
}

/// The first drawn scenario that fails.
fn failing(fails: impl Fn(&Scenario) -> bool) -> Scenario {
    (0..2_000).map(draw).find(|scenario| scenario.steps.len() > 40 && fails(scenario)).unwrap()
}

#[test]
fn two_steps_that_matter_are_what_is_left() {
    let play = runner("I11", move_then_renew);
    let big = failing(move_then_renew);
    let small = shrink(&big, &failure("I11"), 5_000, &play);
    assert!(small.done, "{} runs", small.runs);
    let scenario = &small.scenario;
    assert_eq!(scenario.steps.len(), 2, "{scenario}");
    assert!(play(scenario).is_err() && scenario.check().is_ok());
    assert!(scenario.hosts.len() <= 2 && scenario.links.is_empty(), "{scenario}");
    assert!(scenario.hosts.iter().all(|host| host.settings.is_empty()), "{scenario}");
    assert_eq!((scenario.seed, scenario.seal), (0, Seal::Fast));
    assert_eq!(scenario.lasts, Duration::ZERO);
    assert!(scenario.steps.iter().all(|step| step.at.is_zero()), "{scenario}");
    assert_eq!(scenario.to_string().parse::<Scenario>().unwrap(), *scenario);
    assert_eq!(shrink(&big, &failure("I11"), 5_000, &play), small, "the same again");
}

/// 1-minimal: what is left fails no more without any single one of its steps.
#[test]
fn no_step_of_what_is_left_can_be_left_out() {
    // Fails with an odd number of sends, three at least, and with a crash unless there is a kill.
    let fails = |scenario: &Scenario| {
        let all = &scenario.steps;
        let sends = all.iter().filter(|step| step.to_string().contains(" send ")).count();
        let crashes = has(scenario, |deed| matches!(deed, Deed::Crash));
        sends >= 3
            && sends % 2 == 1
            && crashes
            && !has(scenario, |deed| matches!(deed, Deed::Kill(_)))
    };
    let small = shrink(&failing(fails), &failure("L2"), 10_000, runner("L2", fails));
    assert!(small.done && fails(&small.scenario));
    for at in 0..small.scenario.steps.len() {
        let mut without = small.scenario.clone();
        without.steps.remove(at);
        assert!(!fails(&without), "step {at} can go:\n{}", small.scenario);
    }
    assert!(small.scenario.steps.len() <= 20, "{}", small.scenario);
}

#[test]
fn numbers_settings_and_knobs_that_matter_stay_as_small_as_they_can() {
    let fails = |scenario: &Scenario| {
        let loss = scenario.links.iter().any(|link| {
            link.knobs.iter().any(
                |knob| matches!(knob, crate::scenario::Knob::Loss(loss) if loss.as_ppm() >= 20_000),
            )
        });
        let idle = scenario.hosts.iter().any(|host| {
            host.settings.iter().any(
                |one| matches!(one, Setting::Idle(idle) if *idle >= Duration::from_millis(700)),
            )
        });
        loss && idle
            && has(
                scenario,
                |deed| matches!(deed, Deed::Send { times, bytes, .. } if times * bytes >= 900),
            )
    };
    let small = shrink(&failing(fails), &failure("I10"), 10_000, runner("I10", fails));
    let scenario = &small.scenario;
    assert!(small.done && fails(scenario), "{scenario}");
    assert_eq!((scenario.steps.len(), scenario.links.len()), (1, 1), "{scenario}");
    let knobs = &scenario.links[0].knobs;
    assert!(
        matches!(knobs[..], [crate::scenario::Knob::Loss(loss)] if loss.as_ppm() < 40_000),
        "{scenario}"
    );
    let settings: Vec<_> = scenario.hosts.iter().flat_map(|host| &host.settings).collect();
    assert!(
        matches!(settings[..], [Setting::Idle(idle)] if *idle < Duration::from_millis(1_400)),
        "{scenario}"
    );
    let Action::Host(_, Deed::Send { times, bytes, .. }) = scenario.steps[0].action else {
        panic!("{scenario}");
    };
    assert!(times * bytes < 2_000, "{scenario}");
}

#[test]
fn another_failure_is_not_taken_for_the_same() {
    let big = failing(move_then_renew);
    // Whatever is left out makes it fail otherwise.
    let whole = big.steps.len();
    let play = |scenario: &Scenario| {
        Err(failure(if scenario.steps.len() == whole { "I11" } else { "panic" }))
    };
    let small = shrink(&big, &failure("I11"), 2_000, play);
    assert_eq!(small.scenario.steps.len(), whole);
    assert_eq!(small.failure.oracle, "I11");
}

#[test]
fn runs_are_bounded() {
    let big = failing(move_then_renew);
    for most in [0, 1, 17] {
        let mut played = 0;
        let play = runner("I11", move_then_renew);
        let small = shrink(&big, &failure("I11"), most, |scenario| {
            played += 1;
            play(scenario)
        });
        assert_eq!((played, small.runs, small.done), (most, most, false));
        assert!(move_then_renew(&small.scenario));
    }
}

/// NATs, clocks, refusals and repetitions of which something is needed, and something not.
const WORLDLY: &str = r#"
name = "worldly"
seed = 7
lasts = "60s"
nats = [
    "inner 100.64.0.2 home behind=middle timeout=30s",
    "middle 100.64.0.3 symmetric behind=outer ports=500 hairpin=on",
    "outer 203.0.113.9 open timeout=40s",
]
hosts = [
    "server public 198.51.100.7:443 skew=3% wander=1%",
    "phone client 192.168.1.5:1000 behind=inner refuse-memory=2%",
    "desk client 192.168.1.6:1000 behind=outer",
]
links = ["phone<>server blackout=200ms aqm=red red-least=20kB"]
steps = [
    "0s phone connect server as c#",
    "1s phone open r# ordered two-way on c# repeat=900 each=7ms",
    "1s phone send r# 180 repeat=900 each=7ms",
    "2s phone clock skew=-5% wander=1% wander-every=20ms",
    "3s reboot-nat inner",
    "3s nat middle timeout=5s ports=7",
    "4s phone refuses longer=1300 memory=5%",
]
"#;

#[test]
fn repetitions_shrink_to_what_is_needed() {
    let times = |scenario: &Scenario| {
        let sends = scenario.steps.iter().filter(|step| step.to_string().contains(" send "));
        sends.map(crate::scenario::Step::times).sum::<u64>()
    };
    let fails = |scenario: &Scenario| times(scenario) >= 40;
    let big: Scenario = WORLDLY.parse().unwrap();
    let small = shrink(&big, &failure("L2"), 5_000, runner("L2", fails));
    let scenario = &small.scenario;
    assert!(small.done && (40..80).contains(&times(scenario)), "{scenario}");
    assert_eq!((scenario.steps.len(), scenario.hosts.len(), scenario.nats.len()), (1, 1, 0));
    assert!(scenario.steps[0].repeat.is_some_and(|repeat| repeat.each.is_zero()), "{scenario}");
    // What happens once is written so.
    let any = |scenario: &Scenario| times(scenario) >= 1;
    let small = shrink(&big, &failure("L2"), 5_000, runner("L2", any));
    assert_eq!(small.scenario.steps[0].repeat, None, "{}", small.scenario);
}

/// Whoever stood behind a NAT that is left out stands where that stood.
#[test]
fn nats_that_do_not_matter_are_left_out_from_between() {
    use crate::scenario::NatDeed;
    let fails = |scenario: &Scenario| {
        let ports = scenario.steps.iter().any(|step| {
            matches!(&step.action, Action::Nat(name, NatDeed::Turn(knobs))
                if name == "middle" && knobs.len() == 1)
        });
        ports && scenario.hosts.iter().any(|host| host.behind.as_deref() == Some("middle"))
    };
    let mut big: Scenario = WORLDLY.parse().unwrap();
    let turn = |scenario: &Scenario| scenario.to_string().contains("nat middle");
    // With both knobs it does not fail; without the inner NAT the phone is behind the middle one.
    assert!(!fails(&big));
    big.nats.remove(0);
    big.hosts[1].behind = Some("middle".into());
    big.steps.retain(|step| !step.to_string().contains("inner"));
    if let Action::Nat(_, NatDeed::Turn(knobs)) = &mut big.steps[4].action {
        knobs.truncate(1);
    }
    assert!(fails(&big) && turn(&big) && big.check().is_ok());
    let small = shrink(&big, &failure("I4"), 5_000, runner("I4", fails));
    let scenario = &small.scenario;
    assert!(small.done && fails(scenario), "{scenario}");
    let names: Vec<_> = scenario.nats.iter().map(|nat| (&*nat.name, nat.behind.clone())).collect();
    assert_eq!(names, [("middle", None)], "{scenario}");
    assert_eq!((scenario.hosts.len(), scenario.steps.len()), (1, 1), "{scenario}");
    assert!(scenario.nats[0].knobs.is_empty(), "{scenario}");
    // A whole chain goes, and leaves hosts in the open.
    let phone = |scenario: &Scenario| scenario.hosts.iter().any(|host| host.name == "phone");
    let big: Scenario = WORLDLY.parse().unwrap();
    let small = shrink(&big, &failure("I4"), 5_000, runner("I4", phone));
    assert!(small.scenario.nats.is_empty() && small.scenario.hosts[0].behind.is_none());
}
