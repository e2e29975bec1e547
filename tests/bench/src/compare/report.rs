//! Many runs made into few figures: a table in Markdown for people, every run in JSON for machines.

use std::fmt::Write as _;

use serde_json::{Value, json};
use tripline_sim::engine::{Outcome, RaceOutcome};

use crate::options::Options;
use crate::plan::{CellSeries, RaceSeries};

/// Smallest, middle and largest of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The smallest value.
    pub min: f64,
    /// The middle value; of an even number of values, the mean of the middle two.
    pub median: f64,
    /// The largest value.
    pub max: f64,
}

impl Spread {
    /// Of any number of values; all zero when there are none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (Some(&min), Some(&max)) = (sorted.first(), sorted.last()) else {
            return Self { min: 0.0, median: 0.0, max: 0.0 };
        };
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            (sorted[middle - 1] + sorted[middle]) / 2.0
        };
        Self { min, median, max }
    }

    /// As per cent, `median (min–max)`.
    fn percent(self) -> String {
        let Self { min, median, max } = self;
        format!("{:.1} ({:.1}–{:.1})", median * 100.0, min * 100.0, max * 100.0)
    }

    fn json(self) -> Value {
        json!({"min": self.min, "median": self.median, "max": self.max})
    }
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
        let mut goodput = series.share().percent();
        let unfinished = series.runs.iter().filter(|run| !run.is_finished).count();
        if unfinished > 0 {
            // Writing to a string cannot fail, here and below.
            let _ = write!(goodput, ", {unfinished} not done in time");
        }
        let waste = series.waste().percent();
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
            spread(RaceOutcome::first_share).percent(),
            spread(RaceOutcome::fairness).median,
            spread(RaceOutcome::use_of_link).percent(),
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
