//! That quinn-proto is driven as it wants to be, repeats, and shares a link with our engine; and
//! the worst cell of each controller of both, small enough for every change.

use super::*;
use crate::engine::{CONTROLLERS, Cell, Outcome, Race, Tripline};
use crate::{Chance, Duration, Instant};

fn everyone() -> Vec<Box<dyn Contender>> {
    let ours = CONTROLLERS.iter().map(|(name, _)| Tripline::named(name).expect("it is listed"));
    let mut all: Vec<Box<dyn Contender>> = Vec::new();
    all.extend(ours.map(|one| Box::new(one) as Box<dyn Contender>));
    for name in QUINN_CONTROLLERS {
        all.push(Box::new(Quinn::named(name).expect("it is listed")));
    }
    all
}

#[test]
fn virtual_time_and_quinns_agree() {
    let seed = Seed::from_number(1);
    let task = Task { bytes: 1, receiver: ([10, 0, 0, 2], 1).into(), datagram: 1_200 };
    let quinn = Quinn::named("cubic").unwrap();
    let mut ends = quinn.ends(&task, &seed).unwrap();
    let now = Instant::ZERO + Duration::from_secs(5);
    ends.sender.begin(now);
    let mut out = Vec::new();
    let first = ends.sender.poll_transmit(now, &mut out).unwrap();
    // QUIC pads its first datagrams to 1,200 bytes.
    assert_eq!((first.len, out.len()), (1_200, 1_200));
    assert!(ends.sender.poll_transmit(now, &mut out).is_none());
    // A first probe after three times the initial round trip of 333 ms.
    let wait = ends.sender.poll_timeout().unwrap() - now;
    assert_eq!(wait, Duration::from_millis(999));
    assert!(Quinn::named("vegas").is_err());
}

/// 100 Mbit/s, 20 ms, 5 % loss: the link on which everyone but BBR gets least. So fast and short
/// that a window of a few datagrams, all that such a loss leaves to those who take loss for
/// congestion, is next to nothing. A fiftieth of the payload of the table in tests/bench.
fn worst() -> Cell {
    Cell::new(100_000_000, Duration::from_millis(20), Chance::percent(5), 4_000_000)
}

/// The median goodput over five seeds, as a share of the link.
fn median(contender: &dyn Contender) -> f64 {
    let cell = worst();
    let share = |seed| {
        let outcome = cell.run(contender, seed).unwrap();
        assert!(outcome.is_finished, "seed {seed}: {outcome:?}");
        assert!(outcome.waste() < 0.1, "seed {seed}: {outcome:?}");
        outcome.goodput() / cell.rate as f64
    };
    let mut shares: Vec<f64> = (1..=5).map(share).collect();
    shares.sort_by(f64::total_cmp);
    shares[2]
}

/// The worst cell of each engine: all of it arrives, little is wasted, and each gets what it is
/// known to get, less a tenth. A controller of ours gets no less than quinn's of the same name, but
/// for BBR, whose beginning is a little more careful: nine tenths.
#[test]
fn the_worst_cell_of_each_engine() {
    let shares: Vec<(String, f64)> =
        everyone().iter().map(|one| (one.name().to_owned(), median(one.as_ref()))).collect();
    for (name, share) in &shares {
        let (who, controller) = name.split_once(' ').unwrap();
        let least = match controller {
            "newreno" => 0.017,
            "cubic" => 0.023,
            _ => 0.59,
        };
        assert!(*share > least, "{name}: {share}");
        let theirs = shares.iter().find(|(other, _)| *other == format!("quinn {controller}"));
        if who == "tripline"
            && let Some((other, theirs)) = theirs
        {
            let part = if controller == "bbr" { 0.9 } else { 1.0 };
            assert!(*share >= part * theirs, "{name}: {share}, {other}: {theirs}");
        }
    }
}

/// Every contender repeats: times and lengths of all datagrams are those of the seed. quinn's bytes
/// do not, because rustls draws its keys from the operating system.
#[test]
fn the_same_seed_gives_the_same_run() {
    let cell = Cell::new(10_000_000, Duration::from_millis(50), Chance::percent(1), 300_000);
    for contender in everyone() {
        let run = |seed| cell.run(contender.as_ref(), seed).unwrap();
        let (one, again, other) = (run(1), run(1), run(2));
        assert_eq!(one.shape, again.shape, "{}", contender.name());
        assert_eq!(Outcome { trace: 0, ..one }, Outcome { trace: 0, ..again });
        assert_ne!(one.shape, other.shape, "{}", contender.name());
        if contender.name().starts_with("tripline") {
            assert_eq!(one.trace, again.trace, "{}", contender.name());
        }
    }
}

/// Engines of two kinds share one queue, and neither is starved by loss alone.
#[test]
fn two_engines_race_through_one_queue() {
    let ours = Tripline::named("newreno").unwrap();
    let theirs = Quinn::named("newreno").unwrap();
    let mut race = Race::new(10_000_000, Duration::from_millis(50));
    race.measure = Duration::from_secs(20);
    let outcome = race.run([&ours, &theirs], 1).unwrap();
    assert!(outcome.use_of_link() > 0.8, "{outcome:?}");
    assert!(outcome.fairness() > 0.8, "{outcome:?}");
    assert_eq!(outcome, race.run([&ours, &theirs], 1).unwrap());
}
