//! The worst cell of each engine, small enough for every change, and that all of it repeats.

use super::*;
use crate::plan::links;

use tripline_sim::engine::{Cell, Outcome, Race};
use tripline_sim::{Chance, Duration};

#[test]
fn the_command_line_is_read() {
    let read = |line: &str| Options::parse(line.split_whitespace().map(str::to_owned));
    let options = read("--seeds 3 --first-seed 7 --contender bbr --races --json").unwrap();
    assert_eq!(options.all_seeds().collect::<Vec<_>>(), [7, 8, 9]);
    assert!(!options.cells && options.races && options.json);
    assert!(options.wants_contender("quinn bbr") && !options.wants_contender("quinn cubic"));
    assert_eq!(read("").unwrap(), Options::default());
    for bad in ["--seeds", "--seeds 0", "--seeds many", "--what", "--cells --races"] {
        assert!(read(bad).is_err(), "{bad}");
    }
}

/// The link on which everyone but BBR gets least: so fast and short that a window of a few
/// datagrams, all that 5 % of loss leaves to those who take loss for congestion, is next to
/// nothing.
fn worst() -> Cell {
    let (_, cell) =
        links(2).into_iter().find(|(link, _)| link == "100 Mbit/s, 20 ms, 5 % loss").unwrap();
    cell
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
    spread::Spread::of((1..=5).map(share)).median
}

/// The worst cell of each engine: all of it arrives, little is wasted, and each gets what it is
/// known to get, less a tenth. A controller of ours gets no less than quinn's of the same name, but
/// for BBR, whose beginning is a little more careful: nine tenths.
#[test]
fn the_worst_cell_of_each_engine() {
    let everyone = contenders().unwrap();
    let shares: Vec<(String, f64)> =
        everyone.iter().map(|one| (one.name().to_owned(), median(one.as_ref()))).collect();
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
    for contender in contenders().unwrap() {
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

/// The whole way: every contender over one link, every pair through one bottleneck, both reports.
#[test]
fn the_command_reports_what_it_ran() {
    let line = "--seeds 2 --share 1 --threads 2 --link 10_Mbit/s,_50_ms,_1_%";
    let line = line.split(' ').map(|word| word.replace('_', " "));
    let mut options = Options::parse(line).unwrap();
    options.races = false;
    let everyone = contenders().unwrap();
    let cells = plan::cells(&options, &everyone).unwrap();
    let names: Vec<&str> = cells.iter().map(|one| one.contender.as_str()).collect();
    assert_eq!(names, everyone.iter().map(|one| one.name()).collect::<Vec<_>>());
    let text = report::text(&options, &cells, &[]);
    assert!(names.iter().all(|name| text.contains(&format!("| {name} |"))), "{text}");
    let json = report::json(&options, &cells, &[]);
    let first = &json["cells"][0];
    assert_eq!(first["runs"].as_array().unwrap().len(), 2);
    assert_eq!(first["payload_bytes"], 200_000);
    assert!(first["runs"][0]["finished"].as_bool().unwrap());
}

#[test]
fn pairs_are_ours_against_all_and_quinns_baselines() {
    let everyone = contenders().unwrap();
    let pairs: Vec<[&str; 2]> =
        plan::pairs(&everyone).map(|pair| pair.map(Contender::name)).collect();
    for wanted in [
        ["tripline newreno", "tripline newreno"],
        ["tripline newreno", "quinn cubic"],
        ["tripline newreno", "quinn bbr"],
        ["quinn cubic", "quinn cubic"],
        ["quinn cubic", "quinn bbr"],
    ] {
        assert!(pairs.contains(&wanted), "{wanted:?} is not among {pairs:?}");
    }
    assert!(!pairs.contains(&["quinn newreno", "quinn newreno"]));
}
