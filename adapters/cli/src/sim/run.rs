//! `tripline sim run`: the swarm.

use super::quiet::Judge;
use super::verdict::{self, span};
use super::{jobs, seeds, source, threads};
use crate::fail::{Fail, Result, one_line, print};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeSet;
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tripline_sim::Mark;
use tripline_sim::shrink::{Shrunk, shrink};
use tripline_sim::swarm::{self, Found, Plan, Summary};

/// How often the line is drawn, per second.
const DRAWS_PER_SECOND: u8 = 5;
/// How many failures are made small, one for each oracle.
const SHRUNK_MAX: usize = 8;
/// The most characters of a failure's text in the report; the file has all of what leads to it.
const TEXT_MAX: usize = 400;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which seeds, the end not included.
    #[arg(long, value_name = "A..B", default_value = "0..1000", value_parser = seeds)]
    seeds: Range<u64>,
    /// On how many threads; by default, as many as the machine runs at once.
    #[arg(long, value_name = "N", value_parser = jobs)]
    jobs: Option<usize>,
    /// Go on behind the first failure.
    #[arg(long)]
    keep_going: bool,
    /// Show which rare events were reached, and by which seed first.
    #[arg(long)]
    marks: bool,
    /// Fail if any of the rare events was reached by no seed, and name it.
    #[arg(long)]
    require_marks: bool,
    /// Where scenarios that fail are written, made small.
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// How often to play at most while one is made small; 0 writes them as they were drawn.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    shrink_runs: u64,
}

/// Plays them all and says what came of it.
pub(super) fn run(args: &Args, judge: &Judge, json: bool) -> Result {
    if !args.out.is_dir() {
        let out = args.out.display();
        return Err(Fail::usage(format_args!("{out} is no directory")));
    }
    let summary = play(args, judge, json);
    if json {
        print(object(&summary, args.marks))?;
    } else {
        print(table(&summary))?;
        if args.marks {
            print(marks_table(&summary))?;
        }
    }
    let mut oracles = BTreeSet::new();
    for found in &summary.failures {
        let fresh = oracles.len() < SHRUNK_MAX && oracles.insert(found.failure.oracle.as_str());
        let kept = if fresh { Some(keep(args, judge, found)?) } else { None };
        tell(found, kept.as_ref(), &judge.words(), json)?;
    }
    match summary.failed {
        0 if args.require_marks => all_reached(&summary),
        0 => Ok(()),
        failed => Err(Fail::local(format_args!("{failed} of {} runs failed", summary.runs))),
    }
}

/// Whether every rare event was reached.
fn all_reached(summary: &Summary) -> Result {
    let missed: Vec<_> = Mark::ALL
        .iter()
        .filter(|mark| summary.reached.get(**mark).is_none())
        .map(|mark| mark.name())
        .collect();
    if missed.is_empty() {
        return Ok(());
    }
    let (count, names) = (missed.len(), missed.join(", "));
    let runs = summary.runs;
    Err(Fail::local(format_args!("{count} marks reached by none of {runs} seeds: {names}")))
}

fn play(args: &Args, judge: &Judge, json: bool) -> Summary {
    let count = args.seeds.end - args.seeds.start;
    let target = if json {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND)
    };
    let bar = ProgressBar::with_draw_target(Some(count), target);
    let style = "{pos}/{len} seeds {wide_bar} {msg} {eta}";
    bar.set_style(
        ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let start = Instant::now();
    let plan = Plan {
        seeds: args.seeds.clone(),
        jobs: args.jobs.unwrap_or_else(threads),
        keep_going: args.keep_going,
    };
    let summary = swarm::run(
        &plan,
        |scenario| judge.play(scenario),
        || start.elapsed(),
        |summary| {
            bar.set_position(summary.runs);
            bar.set_message(format!("{:.0} s/s, {} failed", summary.speed(), summary.failed));
            ControlFlow::Continue(())
        },
    );
    bar.finish_and_clear();
    summary
}

/// A failing scenario, made small and written to a file.
struct Kept {
    path: PathBuf,
    small: Shrunk,
}

fn keep(args: &Args, judge: &Judge, found: &Found) -> Result<Kept> {
    let scenario = swarm::draw(found.seed);
    let small =
        shrink(&scenario, &found.failure, args.shrink_runs, |scenario| judge.play(scenario));
    let name = format!("failure-{}.toml", found.seed);
    let path = if args.out == Path::new(".") { name.into() } else { args.out.join(name) };
    source::save(&path, &small.scenario)?;
    Ok(Kept { path, small })
}

fn tell(found: &Found, kept: Option<&Kept>, judge: &str, json: bool) -> Result {
    let Found { seed, failure } = found;
    let again = match kept {
        Some(kept) => format!("tripline sim play {}{judge}", source::quoted(&kept.path)),
        None => format!("tripline sim seed {seed}{judge}"),
    };
    if json {
        let file = kept.map(|kept| kept.path.display().to_string());
        let steps = kept.map(|kept| kept.small.scenario.steps.len());
        return print(serde_json::json!({
            "event": "failure", "seed": seed, "oracle": failure.oracle, "what": failure.what,
            "at_s": failure.at.as_nanos() as f64 / 1e9, "file": file, "steps": steps,
            "again": again,
        }));
    }
    let text = failure.to_string();
    let cut: String = one_line(&text).to_string().chars().take(TEXT_MAX).collect();
    print(format_args!("seed {seed} fails: {cut}"))?;
    if let Some(Kept { path, small }) = kept {
        let (steps, runs) = (small.scenario.steps.len(), small.runs);
        print(format_args!("  made small: {steps} steps in {} ({runs} runs)", path.display()))?;
    }
    print(format_args!("  again: {again}"))
}

fn object(summary: &Summary, marks: bool) -> serde_json::Value {
    let seconds = |time: Duration| time.as_secs_f64();
    let mut object = serde_json::json!({
        "event": "summary", "runs": summary.runs, "twice": summary.twice,
        "failed": summary.failed, "simulated_s": seconds(summary.simulated),
        "seconds": seconds(summary.wall), "simulated_per_s": summary.speed(),
        "runs_per_s": summary.runs_per_second(), "packets": summary.packets,
        "delivered": summary.delivered, "dropped": summary.dropped,
        "connections": summary.deeds.connections, "connected": summary.deeds.connected,
        "streams": summary.deeds.streams, "received": summary.deeds.received,
        "received_bytes": summary.deeds.received_bytes,
        "marks": Mark::ALL.len(), "reached": reached(summary),
    });
    if marks {
        let each = Mark::ALL.iter().map(|mark| {
            let reach = summary.reached.get(*mark);
            let count = reach.map_or(0, |reach| reach.count);
            let first = reach.map(|reach| reach.first);
            serde_json::json!({"mark": mark.name(), "count": count, "first": first})
        });
        object["each"] = each.collect();
    }
    object
}

fn reached(summary: &Summary) -> usize {
    Mark::ALL.iter().filter(|mark| summary.reached.get(**mark).is_some()).count()
}

fn table(summary: &Summary) -> comfy_table::Table {
    let mut table = verdict::table();
    let mut row = |name: &str, figure: String| {
        table.add_row([name.to_owned(), figure]);
    };
    row("runs", format!("{}, {} of them twice", summary.runs, summary.twice));
    row("failed", summary.failed.to_string());
    let (simulated, wall) = (summary.simulated.as_secs_f64(), summary.wall.as_secs_f64());
    row("virtual / real time", format!("{} / {}", span(simulated), span(wall)));
    let hours = summary.speed() / 3_600.0;
    row(
        "speed",
        format!("{:.1} runs/s, {hours:.2} virtual hours a second", summary.runs_per_second()),
    );
    let packets = (summary.packets, summary.delivered, summary.dropped);
    row(
        "datagrams sent / arrived / dropped",
        format!("{} / {} / {}", packets.0, packets.1, packets.2),
    );
    let deeds = &summary.deeds;
    row("connections begun / made", format!("{} / {}", deeds.connections, deeds.connected));
    row("streams, messages sent / read", {
        format!("{}, {} / {}", deeds.streams, deeds.sent, deeds.received)
    });
    row("marks reached", format!("{} of {}", reached(summary), Mark::ALL.len()));
    table
}

fn marks_table(summary: &Summary) -> comfy_table::Table {
    let mut table = verdict::table();
    table.set_header(["mark", "times", "runs", "first seed", "meaning"]);
    for mark in Mark::ALL {
        let [count, runs, first] = match summary.reached.get(*mark) {
            Some(reach) => [reach.count, reach.runs, reach.first].map(|one| one.to_string()),
            None => ["never".to_owned(), String::new(), String::new()],
        };
        let row = [mark.name().to_owned(), count, runs, first, mark.meaning().to_owned()];
        table.add_row(row);
    }
    table
}
