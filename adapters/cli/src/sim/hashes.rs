//! `tripline sim hashes`: the list of what runs come to.

use super::quiet::Judge;
use super::{jobs, seeds, threads};
use crate::fail::{Fail, Result, print};
use std::fs;
use std::ops::Range;
use std::path::PathBuf;
use tripline_sim::swarm::hashes::{self, Mismatch, PINNED};

/// How many mismatches are told one by one.
const TOLD: usize = 20;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The list.
    #[arg(long, value_name = "FILE", default_value = "sim/hashes.txt")]
    file: PathBuf,
    /// Write the list anew instead of comparing with it.
    #[arg(long)]
    write: bool,
    /// Which seeds: of the list's, all by default; with --write, those to write.
    #[arg(long, value_name = "A..B", value_parser = seeds)]
    seeds: Option<Range<u64>>,
    /// On how many threads; by default, as many as the machine runs at once.
    #[arg(long, value_name = "N", value_parser = jobs)]
    jobs: Option<usize>,
}

/// Compares or writes.
pub(super) fn run(args: &Args, judge: &Judge, json: bool) -> Result {
    let jobs = args.jobs.unwrap_or_else(threads);
    let name = args.file.display();
    if args.write {
        let seeds = args.seeds.clone().unwrap_or(PINNED);
        let list =
            hashes::compute(seeds, jobs, |scenario| judge.play(scenario)).map_err(|found| {
                Fail::local(format_args!("seed {} fails: {}", found.seed, found.failure))
            })?;
        fs::write(&args.file, hashes::print(&list))
            .map_err(|error| Fail::io(format_args!("cannot write {name}"), &error))?;
        return print(report(json, "written", list.len(), 0));
    }
    let text = fs::read_to_string(&args.file)
        .map_err(|error| Fail::io(format_args!("cannot read {name}"), &error))?;
    let mut list =
        hashes::parse(&text).map_err(|what| Fail::local(format_args!("{name}: {what}")))?;
    list.retain(|pinned| args.seeds.as_ref().is_none_or(|seeds| seeds.contains(&pinned.seed)));
    if list.is_empty() {
        return Err(Fail::usage(format_args!("{name} has none of these seeds")));
    }
    let wrong = hashes::check(&list, jobs, |scenario| judge.play(scenario));
    for mismatch in wrong.iter().take(TOLD) {
        print(tell(mismatch, json))?;
    }
    print(report(json, "compared", list.len(), wrong.len()))?;
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Fail::local(format_args!("{} of {} runs came to something else", wrong.len(), list.len())))
}

fn tell(mismatch: &Mismatch, json: bool) -> String {
    let Mismatch { wanted, found } = mismatch;
    let (seed, hash) = (wanted.seed, wanted.hash);
    let found = match found {
        Ok(hash) => format!("{hash:016x}"),
        Err(failure) => format!("a failure: {failure}"),
    };
    if json {
        let wanted = format!("{hash:016x}");
        serde_json::json!({"event": "mismatch", "seed": seed, "wanted": wanted, "found": found})
            .to_string()
    } else {
        format!("seed {seed}: {hash:016x} in the list, now {found}")
    }
}

fn report(json: bool, what: &str, seeds: usize, wrong: usize) -> String {
    if json {
        serde_json::json!({"event": what, "seeds": seeds, "wrong": wrong}).to_string()
    } else if wrong == 0 {
        format!("{seeds} seeds {what}")
    } else {
        format!("{seeds} seeds {what}, {wrong} wrong")
    }
}
