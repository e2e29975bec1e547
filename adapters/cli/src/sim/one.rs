//! `tripline sim play` and `tripline sim seed`: one scenario.

use super::quiet::Judge;
use super::{quiet, source, verdict};
use crate::fail::{Fail, Result, print};
use std::cell::RefCell;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use tripline_sim::play::{self, Failure, Outcome};
use tripline_sim::record::Trace;
use tripline_sim::scenario::Scenario;
use tripline_sim::swarm;

/// `play`.
#[derive(Debug, clap::Args)]
pub(super) struct Play {
    /// A file, or the name of a built-in scenario.
    #[arg(value_name = "FILE|NAME")]
    scenario: String,
    /// Play it with another seed than its own.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How to play it.
    #[command(flatten)]
    how: How,
}

/// `seed`.
#[derive(Debug, clap::Args)]
pub(super) struct Seed {
    /// The seed.
    #[arg(value_name = "N")]
    seed: u64,
    /// Print the scenario, and do not play it.
    #[arg(long, conflicts_with_all = ["twice", "trace"])]
    print: bool,
    /// How to play it.
    #[command(flatten)]
    how: How,
}

/// How to play a scenario.
#[derive(Debug, clap::Args)]
struct How {
    /// Play it twice, and fail if the two runs differ.
    #[arg(long)]
    twice: bool,
    /// Write what happens to a file, a line each.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
}

/// Plays a scenario of a file or of ours.
pub(super) fn play(args: &Play, judge: &Judge, json: bool) -> Result {
    let mut scenario = source::load(&args.scenario)?;
    if let Some(seed) = args.seed {
        scenario.seed = seed;
    }
    by_how(&scenario, &args.how, judge, json)
}

/// Plays or prints the scenario of a seed.
pub(super) fn seed(args: &Seed, judge: &Judge, json: bool) -> Result {
    let scenario = swarm::draw(args.seed);
    if !args.print {
        return by_how(&scenario, &args.how, judge, json);
    }
    let text = scenario.to_string();
    if json {
        print(serde_json::json!({"event": "scenario", "seed": args.seed, "scenario": text}))
    } else {
        print(text.trim_end())
    }
}

fn by_how(scenario: &Scenario, how: &How, judge: &Judge, json: bool) -> Result {
    let result = match &how.trace {
        Some(path) => traced(scenario, judge, path)?,
        None => judge.play(scenario),
    };
    let result = match result {
        Ok(first) if how.twice => {
            swarm::same_again(scenario, &first, |scenario| judge.play(scenario)).map(|()| first)
        }
        result => result,
    };
    verdict::tell(&scenario.name, result, json)
}

/// Plays while a trace is written. A run that fails has one too, up to where it failed.
fn traced(
    scenario: &Scenario,
    judge: &Judge,
    path: &Path,
) -> Result<std::result::Result<Outcome, Failure>> {
    let cannot = |error: &std::io::Error| {
        Fail::io(format_args!("cannot write the trace {}", path.display()), error)
    };
    let file = File::create(path).map_err(|error| cannot(&error))?;
    let trace = Rc::new(RefCell::new(Trace::new(BufWriter::new(file))));
    let result = quiet::during(|| play::play_with(scenario, &trace));
    let Ok(trace) = Rc::try_unwrap(trace) else {
        return Err(Fail::local("the trace is still being written"));
    };
    trace.into_inner().finish().map_err(|error| cannot(&error))?;
    Ok(result.and_then(|outcome| judge.sing(scenario).map(|()| outcome)))
}
