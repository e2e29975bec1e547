//! The worst cell of our own engine, each of its controllers, on every run of the tests. The other
//! engine has its own in `sim/src/engine/quinn`; `tripline sim compare` makes the whole table.

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

/// One transfer to its end: all of it arrives, the link's books are straight, and little is wasted.
fn run(cell: &Cell, contender: &Tripline, seed: u64) -> Outcome {
    let outcome = cell.run(contender, seed).expect("the transfer goes on to its end");
    let link = outcome.forward;
    let told = link.passed + link.lost + link.queue_full + link.too_big;
    assert!(outcome.is_finished && outcome.payload == cell.bytes, "seed {seed}: {outcome:?}");
    assert_eq!(link.offered, told, "seed {seed}: {outcome:?}");
    assert!(link.delivered <= link.passed, "seed {seed}: {outcome:?}");
    assert!(outcome.waste() < 0.03, "seed {seed}: {outcome:?}");
    outcome
}

/// The median goodput of five seeds, as a share of the link.
fn median(cell: &Cell, contender: &Tripline) -> f64 {
    let mut goodputs: Vec<f64> =
        (1..=5).map(|seed| run(cell, contender, seed).goodput() / cell.rate as f64).collect();
    goodputs.sort_by(f64::total_cmp);
    goodputs[2]
}

/// R-CC-1, R-CC-2, R-CC-3: every controller gets in the worst cell what it is known to get, less a
/// tenth. NewReno at a loss of 5 % cannot get more than about two and a half hundredths; half of
/// the time of BBR is its beginning.
#[test]
pub(crate) fn the_worst_cell_of_each_controller() {
    for (contender, least) in controllers().zip([0.026, 0.022, 0.49]) {
        let share = median(&worst(), &contender);
        assert!(share > least, "{}: {share} of the link", contender.name());
    }
}

/// R-CC-3: what BBR reaches over its bottleneck alone it reaches in the whole engine too, where
/// credit, acknowledgements and retransmissions take part. Two of 20 MB, beginning included.
#[test]
pub(crate) fn r_cc_3_bbr_fills_a_lossy_line_in_the_whole_engine() {
    let bbr = Tripline::named("bbr").expect("it is in the list");
    let line =
        |loss| Cell::new(10_000_000, Duration::from_millis(50), Chance::percent(loss), 2_000_000);
    for (loss, least) in [(0, 0.90), (1, 0.87), (5, 0.80)] {
        let share = median(&line(loss), &bbr);
        assert!(share > least, "{loss} % of loss: {share} of the link");
    }
}

/// R-ACK-1d: what goes out in bulk is payload, with 33 bytes of header, tag and frame in 1,200: the
/// peer's ACKs are told of now and then, not in each packet (which cost 5 bytes more).
#[test]
pub(crate) fn r_ack_1d_bulk_carries_no_acks_of_acks() {
    let mut cell = Cell::new(10_000_000, Duration::from_millis(50), Chance::NEVER, 2_000_000);
    // Holds all of it: nothing is dropped, and nothing sent again.
    cell.queue = 4_000_000;
    for contender in controllers() {
        let outcome = run(&cell, &contender, 1);
        assert_eq!(outcome.declared_lost, 0, "{outcome:?}");
        let cost = outcome.forward.offered_bytes as f64 / cell.bytes as f64;
        assert!(cost < 1.031, "{}: {cost} bytes for a byte", contender.name());
    }
}

/// Two flows of each controller share a line: it is nearly full, and neither gets less than a
/// quarter of what both get.
#[test]
pub(crate) fn two_flows_of_each_controller_share_a_line() {
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
pub(crate) fn a_cell_repeats_byte_for_byte() {
    let cell = Cell { bytes: 300_000, ..worst() };
    for contender in controllers() {
        let run = |seed| cell.run(&contender, seed).expect("the transfer goes on to its end");
        assert_eq!(run(7), run(7), "{}", contender.name());
        assert_ne!(run(7).trace, run(8).trace, "{}", contender.name());
    }
}
