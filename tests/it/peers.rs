//! The worst cell of our own engine, each of its controllers, on every run of the tests. The other
//! engines have theirs where their dependencies are, in `tests/bench`, beside the whole table.

use tripline_sim::engine::{CONTROLLERS, Cell, Contender, Outcome, Race, Tripline};
use tripline_sim::{Chance, Duration};

/// 100 Mbit/s, 20 ms, 5 % loss both ways: the least of the nine links for whoever takes loss for
/// congestion. Two of the table's 200 megabytes.
fn worst() -> Cell {
    Cell::new(100_000_000, Duration::from_millis(20), Chance::percent(5), 2_000_000)
}

fn controllers() -> impl Iterator<Item = Tripline> {
    CONTROLLERS.iter().map(|(name, _)| Tripline::named(name).expect("it is in the list"))
}

/// Every controller brings all of it through, keeps the link's books straight, wastes little, and
/// gets no less than a hundredth of the link in the median (NewReno at a loss of 5 % cannot get
/// more than about two).
#[test]
fn the_worst_cell_of_each_controller() {
    let cell = worst();
    for contender in controllers() {
        let run = |seed| {
            let outcome = cell.run(&contender, seed).expect("the transfer goes on to its end");
            let link = outcome.forward;
            let told = link.passed + link.lost + link.queue_full + link.too_big;
            assert!(
                outcome.is_finished && outcome.payload == cell.bytes,
                "seed {seed}: {outcome:?}"
            );
            assert_eq!(link.offered, told, "seed {seed}: {outcome:?}");
            assert!(link.delivered <= link.passed, "seed {seed}: {outcome:?}");
            assert!(outcome.waste() < 0.1, "seed {seed}: {outcome:?}");
            outcome
        };
        let mut goodputs: Vec<f64> =
            (1..=5).map(|seed| Outcome::goodput(&run(seed)) / cell.rate as f64).collect();
        goodputs.sort_by(f64::total_cmp);
        assert!(goodputs[2] > 0.01, "{}: {goodputs:?} of the link", contender.name());
    }
}

/// Two flows of each controller share a line: it is nearly full, and neither gets less than a
/// quarter of what both get.
#[test]
fn two_flows_of_each_controller_share_a_line() {
    for contender in controllers() {
        let mut race = Race::new(10_000_000, Duration::from_millis(50));
        race.measure = Duration::from_secs(30);
        let outcome = race.run([&contender, &contender], 1).expect("both go on");
        let share = outcome.first_share();
        assert!((0.25..0.75).contains(&share), "{}: {outcome:?}", contender.name());
        assert!(outcome.use_of_link() > 0.85, "{}: {outcome:?}", contender.name());
    }
}

/// The same seed gives the same bytes at the same times, whatever the controller.
#[test]
fn a_cell_repeats_byte_for_byte() {
    let cell = Cell { bytes: 300_000, ..worst() };
    for contender in controllers() {
        let run = |seed| cell.run(&contender, seed).expect("the transfer goes on to its end");
        assert_eq!(run(7), run(7), "{}", contender.name());
        assert_ne!(run(7).trace, run(8).trace, "{}", contender.name());
    }
}
