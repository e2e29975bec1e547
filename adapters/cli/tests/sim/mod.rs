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
    let words: Vec<&str> = again.split(' ').chain(["--canary", "move"]).collect();
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
