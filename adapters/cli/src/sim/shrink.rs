//! `tripline sim shrink`: makes a failing scenario small.

use super::quiet::Judge;
use super::source;
use crate::fail::{Fail, Result, print};
use std::path::PathBuf;
use tripline_sim::shrink::{Shrunk, shrink};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The failing scenario: a file, or the name of a built-in one.
    #[arg(value_name = "FILE|NAME")]
    scenario: String,
    /// Where to write the small one; without it, it is printed.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// How often to play at most.
    #[arg(long, value_name = "N", default_value_t = 3_000)]
    runs: u64,
}

/// Makes it small.
pub(super) fn run(args: &Args, judge: &Judge, json: bool) -> Result {
    let scenario = source::load(&args.scenario)?;
    let Err(failure) = judge.play(&scenario) else {
        return Err(Fail::usage(format_args!("{} does not fail", args.scenario)));
    };
    let Shrunk { scenario: small, failure, runs, done } =
        shrink(&scenario, &failure, args.runs, |scenario| judge.play(scenario));
    if let Some(path) = &args.out {
        source::save(path, &small)?;
    }
    if json {
        let text = small.to_string();
        let object = serde_json::json!({
            "event": "shrunk", "oracle": failure.oracle, "what": failure.what, "runs": runs,
            "done": done, "steps": small.steps.len(), "scenario": text,
        });
        return print(object);
    }
    let rest = if done { "" } else { "; more runs may make it smaller" };
    let (before, after) = (scenario.steps.len(), small.steps.len());
    // Comments, so that what is printed can be kept as a file.
    print(format_args!("# fails: {}", crate::fail::one_line(&failure.to_string())))?;
    print(format_args!("# {before} steps before, {after} now, {runs} runs{rest}"))?;
    match &args.out {
        Some(path) => {
            print(format_args!("tripline sim play {}{}", source::quoted(path), judge.words()))
        }
        None => print(small.to_string().trim_end()),
    }
}
