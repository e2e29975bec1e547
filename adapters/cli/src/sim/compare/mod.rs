//! `tripline sim compare`: engines and congestion controllers side by side on the same links.
//!
//! In go links and seeds; out come tables of goodput, completion time, bytes on the wire, waste and
//! fairness, one JSON object a line, or a picture. Virtual time: the figures follow from the seeds
//! and not from the machine. It judges nothing and keeps no baselines.

mod args;
mod json;
mod plan;
mod series;
mod svg;
mod table;
#[cfg(test)]
mod tests;
mod work;

pub(super) use args::Args;

use super::threads;
use crate::fail::{Fail, Result, print};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use series::{CellSeries, RaceSeries};
use std::fs;
use work::Work;

/// How often the line is drawn, per second.
const DRAWS_PER_SECOND: u8 = 5;

/// Runs what is asked for and reports it.
///
/// # Errors
/// A transfer that cannot go on, a picture that cannot be written (exit code 1); nobody to compare
/// (2).
pub(super) fn run(args: &Args, json: bool) -> Result {
    let everyone = plan::contenders(args).map_err(Fail::local)?;
    if everyone.is_empty() {
        return Err(Fail::usage(
            "no contender has such a name: there are tripline and quinn, each \
                                with cubic, newreno and bbr",
        ));
    }
    let (cells, races) = (plan::cells(args, &everyone), plan::races(args, &everyone));
    let runs = (cells.len() + races.len()) as u64 * args.seeds;
    let work = Work {
        jobs: args.jobs.unwrap_or_else(threads),
        seeds: args.all_seeds(),
        bar: bar(runs, json),
    };
    let outcome = compare(&work, cells, races);
    work.bar.finish_and_clear();
    let (cells, races) = outcome.map_err(Fail::local)?;
    if let Some(path) = &args.svg {
        fs::write(path, svg::draw(args, &cells, &races))
            .map_err(|error| Fail::io(format_args!("cannot write {}", path.display()), &error))?;
    }
    if json {
        return json::lines(args, &cells, &races).into_iter().try_for_each(print);
    }
    table::tables(args, &cells, &races).into_iter().try_for_each(print)?;
    match &args.svg {
        Some(path) => print(format_args!("the picture is in {}", path.display())),
        None => Ok(()),
    }
}

/// All runs of all series.
fn compare(
    work: &Work,
    cells: Vec<plan::PlannedCell>,
    races: Vec<plan::PlannedRace>,
) -> std::result::Result<(Vec<CellSeries>, Vec<RaceSeries>), String> {
    let outcomes = work.run(&cells, |planned, seed| planned.cell.run(planned.contender, seed))?;
    let cells = cells.into_iter().zip(outcomes).map(|(planned, runs)| planned.done(runs)).collect();
    let outcomes = work.run(&races, |planned, seed| planned.race.run(planned.flows, seed))?;
    let races = races.into_iter().zip(outcomes).map(|(planned, runs)| planned.done(runs)).collect();
    Ok((cells, races))
}

/// A line of progress, on a terminal only.
fn bar(runs: u64, json: bool) -> ProgressBar {
    let target = if json {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND)
    };
    let bar = ProgressBar::with_draw_target(Some(runs), target);
    let style = ProgressStyle::with_template("{pos}/{len} runs {wide_bar} {msg} {eta}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
