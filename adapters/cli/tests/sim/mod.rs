//! `tripline sim` as its users run it: seeds, files, names, failures found and made small.

use super::{End, Scratch, run};
use serde_json::Value;
use std::fs;

/// The JSON objects of a run's output.
fn objects(lines: &[String]) -> Vec<Value> {
    lines.iter().map(|line| serde_json::from_str(line).expect(line)).collect()
}

fn hash_of(end: End) -> String {
    let lines = end.good();
    let object = &objects(&lines)[0];
    assert_eq!(object["event"], "played");
    object["hash"].as_str().expect("a hash").to_owned()
}

#[test]
fn sim_list_names_scenarios_that_play_gives_them_the_same_hash_each_time() {
    let listed = objects(&run(&["sim", "list", "--json"]).good());
    assert!(listed.len() >= 22, "{} scenarios", listed.len());
    assert!(listed.iter().any(|one| one["name"] == "subway"));
    let once = hash_of(run(&["sim", "play", "subway", "--json"]));
    assert_eq!(hash_of(run(&["sim", "play", "subway", "--twice", "--json"])), once);
    assert_ne!(hash_of(run(&["sim", "play", "subway", "--seed", "99", "--json"])), once);
    let table = run(&["sim", "play", "subway"]).good().join("\n");
    assert!(table.contains(&once) && table.contains("virtual time"), "{table}");
}

#[test]
fn sim_seed_prints_what_it_plays() {
    let scratch = Scratch::new("sim-seed");
    // The first that does not fail: this test is about the command.
    let good = |seed: &u32| run(&["sim", "seed", &seed.to_string()]).code == Some(0);
    let seed = (0..50).find(good).expect("one is good").to_string();
    let file = scratch.path("drawn.toml");
    let text = run(&["sim", "seed", &seed, "--print"]).good().join("\n");
    fs::write(&file, text).expect("a file");
    let trace = scratch.path("trace.txt");
    let traced = hash_of(run(&["sim", "play", &file, "--trace", &trace, "--json"]));
    assert_eq!(traced, hash_of(run(&["sim", "seed", &seed, "--json"])));
    assert!(fs::read_to_string(trace).expect("a trace").contains(" step "));
}

/// The same whatever the number of threads, real time aside.
#[test]
fn sim_run_does_not_depend_on_the_number_of_threads() {
    let scratch = Scratch::new("sim-run");
    let play = |jobs: &str| {
        let out = scratch.path("in");
        let end = run(&[
            "sim",
            "run",
            "--seeds",
            "0..41",
            "--jobs",
            jobs,
            "--keep-going",
            "--json",
            "--marks",
            "--shrink-runs",
            "0",
            "--out",
            &out,
        ]);
        let mut objects = objects(&end.stdout);
        let summary = objects[0].as_object_mut().expect("a summary");
        assert_eq!((&summary["event"], &summary["runs"]), (&"summary".into(), &41.into()));
        assert!(summary["simulated_s"].as_f64() > Some(60.0), "{summary:?}");
        for real in ["seconds", "simulated_per_s", "runs_per_s"] {
            assert!(summary.remove(real).is_some(), "{real}");
        }
        objects
    };
    assert_eq!(play("1"), play("3"));
}

/// A deliberately wrong oracle is found, made small, written, and plays again by the one command
/// that was printed.
#[test]
fn sim_run_finds_a_canary_and_makes_it_small() {
    let scratch = Scratch::new("sim-canary");
    let out = scratch.path("in");
    let end = run(&["sim", "run", "--seeds", "0..200", "--canary", "move", "--out", &out]);
    assert_eq!(end.code, Some(1), "{end:?}");
    let again = end.stdout.iter().find_map(|line| line.trim().strip_prefix("again: tripline "));
    let again = again.unwrap_or_else(|| panic!("no command in {end:?}"));
    let words: Vec<&str> = again.split(' ').collect();
    run(&words).bad(1, "canary at");
    let [file] = &scratch.received()[..] else { panic!("{:?}", scratch.received()) };
    let text = fs::read_to_string(scratch.path(&format!("in/{file}"))).expect("the file");
    assert_eq!(text.matches(" move ").count(), 1, "{text}");
    assert!(text.contains("seed = 0\n") && text.lines().count() < 15, "{text}");
    // As it stands it is good, and a canary of another kind finds nothing in it.
    run(&words[..3]).good();
    run(&["sim", "shrink", words[2]]).bad(2, "does not fail");
}

#[test]
fn sim_shrink_prints_a_scenario() {
    let end = run(&["sim", "shrink", "rebinding-phone", "--canary", "move"]);
    let text = end.good().join("\n");
    assert!(text.starts_with("# fails: canary at") && text.contains("name = "), "{text}");
    assert_eq!(text.matches(" move ").count(), 1, "{text}");
    let scratch = Scratch::new("sim-shrink");
    let file = scratch.path("small.toml");
    fs::write(&file, text).expect("a file");
    run(&["sim", "play", &file]).good();
}

#[test]
fn sim_hashes_are_written_and_compared() {
    let scratch = Scratch::new("sim-hashes");
    let file = scratch.path("hashes.txt");
    let good = |seed: &u32| run(&["sim", "seed", &seed.to_string()]).code == Some(0);
    let seed = (0..50).find(good).expect("one is good");
    let seeds = format!("{seed}..{}", seed + 1);
    let args = ["sim", "hashes", "--file", &file];
    run(&[&args[..], &["--write", "--seeds", &seeds]].concat()).good();
    run(&args).good();
    let text = fs::read_to_string(&file).expect("a list");
    let (rest, _) = text.trim_end().rsplit_once(' ').expect("a hash");
    fs::write(&file, format!("{rest} 0123456789abcdef\n")).expect("a file");
    run(&args).bad(1, "1 of 1 runs came to something else");
    fs::write(&file, "nonsense\n").expect("a file");
    run(&args).bad(1, "is no seed and hash");
    run(&["sim", "hashes", "--file", &scratch.path("none")]).bad(1, "cannot read");
}

#[test]
fn sim_refuses_what_makes_no_sense() {
    run(&["sim", "play", "no-such-thing"]).bad(2, "neither a file nor a built-in scenario");
    run(&["sim", "run", "--seeds", "5..5"]).bad(2, "no seeds");
    run(&["sim", "run", "--jobs", "0"]).bad(2, "threads");
    run(&["sim", "run", "--out", "no/such/place"]).bad(2, "is no directory");
    let scratch = Scratch::new("sim-refuses");
    let file = scratch.path("wrong.toml");
    fs::write(&file, "name = \"x\"\nseed = 1\nlasts = \"1s\"\nhosts = [\"a client\"]\n")
        .expect("a file");
    run(&["sim", "play", &file]).bad(1, "the host's address is missing");
}

#[test]
fn sim_report_and_sim_pcap_write_a_run_down() {
    let scratch = Scratch::new("sim-report");
    let (page, capture) = (scratch.path("page.html"), scratch.path("run.pcapng"));
    let said = run(&["sim", "report", "subway", "--seed", "3", "--out", &page]).good();
    assert_eq!(said, [format!("subway is in {page}")]);
    let html = fs::read_to_string(&page).expect("a page");
    assert!(html.starts_with("<!DOCTYPE html>") && html.ends_with("</html>\n"));
    assert!(html.contains("tripline sim play subway --seed 3"));
    let said = run(&["sim", "pcap", "subway", "--out", &capture, "--json"]).good();
    assert_eq!(objects(&said)[0]["file"], capture.as_str());
    assert_eq!(fs::read(&capture).expect("a capture")[..4], [0x0a, 0x0d, 0x0d, 0x0a]);
    run(&["sim", "report", "subway", "--out", "/nowhere/page.html"]).bad(1, "/nowhere/page.html");
}

/// Engines side by side: the same whatever the number of threads and each time, as a table, for
/// machines and as a picture.
#[test]
fn sim_compare_sets_engines_side_by_side_and_repeats() {
    let scratch = Scratch::new("sim-compare");
    let link = ["--rate", "10Mbit/s", "--rtt", "20ms", "--bytes", "200kB", "--seeds", "2"];
    let compare = |more: &[&str]| run(&[&["sim", "compare"], &link[..], more].concat()).good();
    let some = ["--loss", "1%", "--contender", "cubic"];
    let once = compare(&[&some[..], &["--jobs", "1", "--json"]].concat());
    assert_eq!(compare(&[&some[..], &["--jobs", "3", "--json"]].concat()), once);
    let lines = objects(&once);
    let events: Vec<&str> = lines.iter().filter_map(|line| line["event"].as_str()).collect();
    assert_eq!(events, ["cell", "cell", "race", "race", "race", "compared"]);
    for (line, name) in lines.iter().zip(["tripline cubic", "quinn cubic"]) {
        assert_eq!((&line["contender"], &line["loss_ppm"]), (&name.into(), &10_000.into()));
        let runs = line["runs"].as_array().expect("runs");
        assert!(runs.len() == 2 && runs.iter().all(|run| run["finished"] == true), "{line}");
        assert!(line["seconds"]["median"].as_f64() > Some(0.16), "{line}");
        assert!(line["wire_bytes"]["min"].as_f64() > Some(200_000.0), "{line}");
    }
    assert!(lines[2]["fairness"]["min"].as_f64() >= Some(0.5), "{}", lines[2]);

    let (one, other) = (scratch.path("one.svg"), scratch.path("other.svg"));
    let table = compare(&[&some[..], &["--svg", &one]].concat());
    let text = table.join("\n");
    for wanted in ["quinn cubic", "10 Mbit/s, 20 ms, 1 % loss", "fairness", &one] {
        assert!(text.contains(wanted), "{wanted:?} is not in {text}");
    }
    let again = compare(&[&some[..], &["--svg", &other]].concat());
    assert_eq!(again[..again.len() - 1], table[..table.len() - 1]);
    let picture = fs::read_to_string(one).expect("a picture");
    assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"));
    assert_eq!(fs::read_to_string(other).expect("a picture"), picture);

    let alone = run(&["sim", "compare", "--cells", "slow", "--share", "1", "--against", "nobody"]);
    let text = alone.good().join("\n");
    assert!(text.contains("tripline bbr") && !text.contains("quinn"), "{text}");
    assert!(text.contains("1 Mbit/s, 200 ms, 5 % loss") && !text.contains("fairness"), "{text}");
}

#[test]
fn sim_compare_refuses_and_fails_as_the_others_do() {
    run(&["sim", "compare", "--contender", "vegas"]).bad(2, "no contender has such a name");
    run(&["sim", "compare", "--rate", "fast"]).bad(2, "is no rate");
    run(&["sim", "compare", "--cells", "fast", "--loss", "1%"]).bad(2, "cannot be used with");
    let down = ["sim", "compare", "--loss", "100%", "--bytes", "1kB", "--contender", "tripline"];
    run(&down).bad(1, "tripline cubic, seed 1:");
    let file = "no/such/place/x.svg";
    let short = ["--rate", "1Mbit/s", "--bytes", "1kB", "--contender", "tripline cubic"];
    let short = [&["sim", "compare", "--seeds", "1", "--svg", file], &short[..]].concat();
    run(&short).bad(1, "cannot write no/such/place/x.svg");
}
