//! Which links and pairs are run for which arguments, and what the reports say of them.

use super::series::Spread;
use super::*;
use clap::Parser;
use tripline_sim::Duration;
use tripline_sim::engine::Contender;

#[derive(Debug, clap::Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

fn read(line: &str) -> Args {
    Line::try_parse_from(["compare"].into_iter().chain(line.split_whitespace()))
        .unwrap_or_else(|error| panic!("{line}: {error}"))
        .args
}

fn names(args: &Args) -> Vec<String> {
    plan::links(args).into_iter().map(|(name, _)| name).collect()
}

#[test]
fn links_are_those_of_the_sets_or_one_of_ones_own() {
    assert_eq!(names(&read("")).len(), 9);
    assert_eq!(names(&read("--cells all")).len(), 9);
    assert_eq!(names(&read("--cells lossy")).len(), 6);
    assert_eq!(names(&read("--cells fast,slow")).len(), 6);
    assert_eq!(names(&read("--cells fast"))[1], "100 Mbit/s, 20 ms, 1 % loss");
    let (_, cell) = plan::links(&read("--cells slow --share 25")).remove(0);
    assert_eq!((cell.rate, cell.bytes, cell.queue), (125_000, 5_000_000, 30_000));

    let own = read("--rate 1500kbit/s --rtt 30ms --loss 0.5% --bytes 2MB --queue 9000");
    let (name, cell) = plan::links(&own).remove(0);
    assert_eq!(name, "1500 kbit/s, 30 ms, 0.5 % loss");
    assert_eq!((cell.rate, cell.bytes, cell.queue), (187_500, 2_000_000, 9_000));
    assert_eq!(cell.rtt, Duration::from_millis(30));
    assert_eq!(names(&read("--loss 2%")), ["10 Mbit/s, 50 ms, 2 % loss"]);
}

#[test]
fn cells_and_races_are_both_run_unless_one_is_asked_for() {
    for (line, cells, races) in [
        ("", true, true),
        ("--cells fast", true, false),
        ("--races", false, true),
        ("--races --cells slow", true, true),
        ("--rate 5Mbit/s", true, true),
        ("--rate 5Mbit/s --races", false, true),
    ] {
        let args = read(line);
        assert_eq!((args.wants_cells(), args.wants_races()), (cells, races), "{line}");
    }
    let everyone = plan::contenders(&read("")).unwrap();
    let measured = |line: &str| plan::races(&read(line), &everyone)[0].race.measure.as_secs();
    let measured = ["", "--share 50", "--share 100"].map(measured);
    assert_eq!(measured, [20, 30, 60]);
}

#[test]
fn what_makes_no_sense_is_refused() {
    for line in [
        "--cells fast --rate 5Mbit/s",
        "--cells none",
        "--races --loss 1%",
        "--rate 1bit/s",
        "--rtt 2min",
        "--bytes 0",
        "--share 0",
        "--share 101",
        "--seeds 0",
        "--seeds 1001",
        "--jobs 0",
        "--against tcp",
    ] {
        let words = ["compare"].into_iter().chain(line.split_whitespace());
        assert!(Line::try_parse_from(words).is_err(), "{line}");
    }
}

#[test]
fn pairs_are_ours_against_all_and_quinns_baselines() {
    let everyone = plan::contenders(&read("")).unwrap();
    let pairs: Vec<[&str; 2]> =
        plan::pairs(&everyone).into_iter().map(|pair| pair.map(Contender::name)).collect();
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
    let ours = plan::contenders(&read("--against nobody")).unwrap();
    assert!(ours.iter().all(|one| one.name().starts_with("tripline")) && ours.len() == 3);
}

#[test]
fn spreads_are_of_values() {
    assert_eq!(Spread::of([3.0, 1.0, 2.0]), Spread { min: 1.0, median: 2.0, max: 3.0 });
    assert_eq!(Spread::of([4.0, 1.0]).median, 2.5);
    assert_eq!(Spread::of([]), Spread { min: 0.0, median: 0.0, max: 0.0 });
}

/// What fails first in the order of the series is told, whatever the number of threads; what
/// panics is a failure.
#[test]
fn the_first_failure_is_told() {
    struct Number(u64);
    impl work::Named for Number {
        fn name(&self) -> String {
            self.0.to_string()
        }
    }
    let series = [0, 10, 20, 30].map(Number);
    for jobs in [1, 3] {
        let work = Work { jobs, seeds: 1..4, bar: ProgressBar::hidden() };
        let all = work.run(&series, |one, seed| Ok(one.0 + seed)).unwrap();
        assert_eq!(all[1], [11, 12, 13]);
        assert_eq!(all.len(), 4);
        let told = work.run(&series, |one, seed| match one.0 + seed {
            12 => Err("twelve".to_owned()),
            22 => Err("twenty-two".to_owned()),
            sum => Ok(sum),
        });
        assert_eq!(told.unwrap_err(), "twelve");
    }
}

/// The whole way but for the command line: every contender, every pair, every report.
#[test]
fn the_reports_say_what_was_run() {
    let args = read("--rate 2Mbit/s --rtt 20ms --bytes 100kB --seeds 2 --contender cubic");
    let everyone = plan::contenders(&args).unwrap();
    let work = Work { jobs: 2, seeds: args.all_seeds(), bar: ProgressBar::hidden() };
    let planned = (plan::cells(&args, &everyone), plan::races(&args, &everyone));
    let (cells, races) = compare(&work, planned.0, planned.1).unwrap();
    let tables = table::tables(&args, &cells, &races).join("\n");
    let lines = json::lines(&args, &cells, &races);
    let picture = svg::draw(&args, &cells, &races);
    assert_eq!((cells.len(), races.len(), lines.len()), (2, 3, 6));
    for name in ["tripline cubic", "quinn cubic"] {
        assert!(tables.contains(name) && picture.contains(name), "{name}: {tables}");
    }
    for (series, line) in cells.iter().zip(&lines) {
        assert!(series.share().median > 0.5 && series.share().max < 1.0, "{line}");
        // All of the payload went over the link, and the time is the handshake's and its own.
        assert!(series.wire().min > 100_000.0 && series.seconds().min > 0.4, "{line}");
        assert_eq!(line["runs"].as_array().unwrap().len(), 2);
        assert_eq!(line["wire_bytes"]["median"].as_f64(), Some(series.wire().median));
    }
    let shares = races.iter().map(|race| race.first_share().median);
    assert!(shares.into_iter().all(|share| share > 0.1 && share < 0.9), "{tables}");
    // The picture is one element whose parts are closed, and loads nothing.
    assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"), "{picture}");
    for part in ["<text", "<title", "<rect"] {
        let ends = picture.matches(&part.replace('<', "</")).count();
        let alone = picture.matches("var(--paper)\"/>").count() * usize::from(part == "<rect");
        assert_eq!(picture.matches(part).count(), ends + alone, "{part}");
    }
    assert_eq!(picture.matches("://").count(), 1, "only the name of SVG itself");
    assert!(!picture.contains("NaN") && !picture.contains("inf"), "{picture}");
}
