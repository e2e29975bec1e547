//! Many runs made into few figures: a table in Markdown for people, every run in JSON for machines.

use std::fmt::Write as _;

use serde_json::{Value, json};
use tripline_sim::engine::{Outcome, RaceOutcome};

use crate::options::Options;
use crate::plan::{CellSeries, RaceSeries};
use crate::spread::Spread;

/// As per cent, `median (min–max)`.
fn percent(spread: Spread) -> String {
    let Spread { min, median, max } = spread;
    format!("{:.1} ({:.1}–{:.1})", median * 100.0, min * 100.0, max * 100.0)
}

impl CellSeries {
    /// Goodput as a share of the link's rate.
    pub fn share(&self) -> Spread {
        Spread::of(self.runs.iter().map(|run| run.goodput() / self.cell.rate as f64))
    }

    /// Waste as a share of what was sent.
    pub fn waste(&self) -> Spread {
        Spread::of(self.runs.iter().map(Outcome::waste))
    }
}

/// The report for people.
pub fn text(options: &Options, cells: &[CellSeries], races: &[RaceSeries]) -> String {
    let mut out = String::new();
    if !cells.is_empty() {
        out += "| link | contender | goodput, % of the link | waste, % of what was sent |\n";
        out += "|---|---|---|---|\n";
    }
    let mut before = "";
    for series in cells {
        let link = if series.link == before { "" } else { &series.link };
        before = &series.link;
        let mut goodput = percent(series.share());
        let unfinished = series.runs.iter().filter(|run| !run.is_finished).count();
        if unfinished > 0 {
            // Writing to a string cannot fail, here and below.
            let _ = write!(goodput, ", {unfinished} not done in time");
        }
        let waste = percent(series.waste());
        let _ = writeln!(out, "| {link} | {} | {goodput} | {waste} |", series.contender);
    }
    if !races.is_empty() {
        out += "\n| bottleneck | first flow | second flow | first's part of both, % ";
        out += "| fairness (Jain) | use of the link, % | waste of each, % |\n";
        out += "|---|---|---|---|---|---|---|\n";
    }
    for series in races {
        let spread = |value: fn(&RaceOutcome) -> f64| Spread::of(series.runs.iter().map(value));
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {:.3} | {} | {:.1}, {:.1} |",
            series.link,
            series.flows[0],
            series.flows[1],
            percent(spread(RaceOutcome::first_share)),
            spread(RaceOutcome::fairness).median,
            percent(spread(RaceOutcome::use_of_link)),
            spread(|run| run.waste[0]).median * 100.0,
            spread(|run| run.waste[1]).median * 100.0,
        );
    }
    let _ = write!(
        out,
        "\nMedian (least–most) of {} seeds from {}, {} % of the payload.",
        options.seeds, options.first_seed, options.share
    );
    out
}

/// The report for machines: everything in the text, and every run.
pub fn json(options: &Options, cells: &[CellSeries], races: &[RaceSeries]) -> Value {
    let cells: Vec<Value> = cells
        .iter()
        .map(|series| {
            json!({
                "link": series.link,
                "bytes_per_second": series.cell.rate,
                "rtt_seconds": series.cell.rtt.as_secs_f64(),
                "loss_ppm": series.cell.loss.as_ppm(),
                "queue_bytes": series.cell.queue,
                "payload_bytes": series.cell.bytes,
                "contender": series.contender,
                "goodput_share": series.share().json(),
                "waste": series.waste().json(),
                "runs": series.runs.iter().map(run).collect::<Vec<_>>(),
            })
        })
        .collect();
    let races: Vec<Value> = races
        .iter()
        .map(|series| {
            json!({
                "link": series.link,
                "flows": series.flows,
                "runs": series.runs.iter().map(race).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "seeds": options.seeds,
        "first_seed": options.first_seed,
        "payload_percent": options.share,
        "cells": cells,
        "races": races,
    })
}

fn run(one: &Outcome) -> Value {
    json!({
        "finished": one.is_finished,
        "payload_bytes": one.payload,
        "seconds": one.took.as_secs_f64(),
        "handshake_seconds": one.handshake.as_secs_f64(),
        "declared_lost": one.declared_lost,
        "sent": one.forward.offered,
        "sent_bytes": one.forward.offered_bytes,
        "dropped_by_queue": one.forward.queue_full,
        "dropped_by_loss": one.forward.lost,
        "answers": one.backward.offered,
        "answer_bytes": one.backward.offered_bytes,
        "waste": one.waste(),
        "shape": format!("{:016x}", one.shape),
    })
}

fn race(one: &RaceOutcome) -> Value {
    json!({
        "payload_bytes": one.payload,
        "first_share": one.first_share(),
        "fairness": one.fairness(),
        "use_of_link": one.use_of_link(),
        "waste": one.waste,
        "backlog_max": one.backlog_max,
        "shape": format!("{:016x}", one.shape),
    })
}
