//! The cells with our own engine: that they measure what they say, and repeat. The worst cell of
//! each engine is a test of the other engine, beside it (`quinn/tests.rs`).

use super::*;
use crate::{Chance, LinkCounters};
use tripline_sansio::Duration;

const MS: Duration = Duration::from_millis(1);

fn ours() -> Tripline {
    Tripline::named("newreno").expect("the engine has NewReno")
}

#[test]
fn an_empty_link_is_filled_and_nothing_is_declared_lost() {
    // A queue that holds all of the transfer: nothing can be dropped, whatever the controller.
    let mut cell = Cell::new(10_000_000, 50 * MS, Chance::NEVER, 1_000_000);
    cell.queue = 2_000_000;
    let outcome = cell.run(&ours(), 1).unwrap();
    assert!(outcome.is_finished, "{outcome:?}");
    assert_eq!(outcome.payload, cell.bytes);
    assert_eq!(outcome.waste(), 0.0, "{outcome:?}");
    let forward = outcome.forward;
    assert_eq!(forward.offered, forward.passed, "{outcome:?}");
    // Payload, headers and tags: more than the payload, and by less than a tenth.
    assert!((1_000_000..1_100_000).contains(&forward.offered_bytes), "{outcome:?}");
    assert!(outcome.goodput() <= cell.rate as f64, "{outcome:?}");
    assert!(outcome.goodput() > 0.5 * cell.rate as f64, "{outcome:?}");
}

#[test]
fn the_same_seed_gives_the_same_cell_and_race_byte_for_byte() {
    let cell = Cell::new(10_000_000, 50 * MS, Chance::percent(1), 500_000);
    let run = |seed| cell.run(&ours(), seed).unwrap();
    assert_eq!(run(1), run(1));
    assert_ne!((run(1).trace, run(1).shape), (run(2).trace, run(2).shape));
    let race = Race { warm_up: 500 * MS, measure: 1_500 * MS, ..Race::new(10_000_000, 20 * MS) };
    let run = |seed| race.run([&ours(), &ours()], seed).unwrap();
    assert_eq!(run(1), run(1));
    assert_ne!(run(1).shape, run(2).shape);
}

#[test]
fn what_waste_counts() {
    let link = LinkCounters { offered: 100, queue_full: 5, lost: 10, ..LinkCounters::default() };
    // 15 were dropped: declaring as many, or fewer, lost is right.
    assert_eq!(cell::waste(&link, 15), 0.05);
    assert_eq!(cell::waste(&link, 3), 0.05);
    assert_eq!(cell::waste(&link, 18), 0.08);
    assert_eq!(cell::waste(&LinkCounters::default(), 0), 0.0);
}

#[test]
fn what_is_not_done_by_the_limit_is_not_counted() {
    let mut cell = Cell::new(1_000_000, 200 * MS, Chance::NEVER, 5_000_000);
    cell.limit = Duration::from_secs(5);
    let outcome = cell.run(&ours(), 1).unwrap();
    assert!(!outcome.is_finished && outcome.payload < cell.bytes, "{outcome:?}");
    assert!(outcome.goodput() <= cell.rate as f64, "{outcome:?}");
}

#[test]
fn a_link_that_is_down_is_an_error_and_not_a_figure() {
    let cell = Cell::new(1_000_000, 20 * MS, Chance::ALWAYS, 1_000);
    let why = cell.run(&ours(), 1).unwrap_err();
    assert!(why.contains("Failed"), "{why}");
}

#[test]
fn shares_and_fairness_are_those_of_the_books() {
    let outcome =
        |payload| RaceOutcome { payload, waste: [0.0; 2], capacity: 400, backlog_max: 0, shape: 0 };
    assert_eq!(outcome([100, 100]).fairness(), 1.0);
    assert_eq!(outcome([100, 0]).fairness(), 0.5);
    assert_eq!(outcome([300, 100]).first_share(), 0.75);
    assert_eq!(outcome([100, 100]).use_of_link(), 0.5);
    assert_eq!(outcome([0, 0]).fairness(), 1.0);
}

#[test]
fn two_flows_share_one_queue_and_fill_its_line() {
    let race = Race { warm_up: 2_000 * MS, measure: 6_000 * MS, ..Race::new(4_000_000, 20 * MS) };
    let outcome = race.run([&ours(), &ours()], 1).unwrap();
    assert!(outcome.use_of_link() > 0.8 && outcome.use_of_link() < 1.0, "{outcome:?}");
    assert!(outcome.payload.iter().all(|bytes| *bytes > 0), "{outcome:?}");
    // The queue was used, and kept its bound.
    let queue = race.queue as u64;
    assert!((queue / 2..=queue).contains(&outcome.backlog_max), "{outcome:?}");
}

#[test]
fn controllers_have_names() {
    assert!(Tripline::named("nobody's").is_none());
    for (name, _) in CONTROLLERS {
        let contender = Tripline::named(name).expect("it is in the list");
        assert_eq!(contender.name(), format!("tripline {name}"));
    }
}
