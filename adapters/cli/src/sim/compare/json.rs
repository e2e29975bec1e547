//! The report for machines: one object a line, everything that the tables say, and every run.

use super::args::Args;
use super::series::{CellSeries, RaceSeries, Spread, wire};
use serde_json::{Value, json};
use tripline_sim::engine::{Outcome, RaceOutcome};

/// The lines.
pub(super) fn lines(args: &Args, cells: &[CellSeries], races: &[RaceSeries]) -> Vec<Value> {
    let mut all: Vec<Value> = cells.iter().map(cell).collect();
    all.extend(races.iter().map(race));
    all.push(json!({
        "event": "compared", "cells": cells.len(), "races": races.len(),
        "first_seed": args.first_seed, "seeds": args.seeds, "share_percent": args.share,
    }));
    all
}

fn spread(spread: Spread) -> Value {
    json!({"min": spread.min, "median": spread.median, "max": spread.max})
}

fn cell(series: &CellSeries) -> Value {
    let cell = &series.cell;
    json!({
        "event": "cell", "link": series.link, "contender": series.contender,
        "bytes_per_s": cell.rate, "rtt_s": cell.rtt.as_secs_f64(), "loss_ppm": cell.loss.as_ppm(),
        "queue_bytes": cell.queue, "payload_bytes": cell.bytes,
        "goodput_bytes_per_s": spread(series.goodput()), "goodput_share": spread(series.share()),
        "seconds": spread(series.seconds()), "wire_bytes": spread(series.wire()),
        "waste": spread(series.waste()),
        "runs": series.runs.iter().map(run).collect::<Vec<_>>(),
    })
}

fn run(one: &Outcome) -> Value {
    json!({
        "finished": one.is_finished, "payload_bytes": one.payload,
        "seconds": (one.handshake + one.took).as_secs_f64(),
        "handshake_s": one.handshake.as_secs_f64(), "goodput_bytes_per_s": one.goodput(),
        "wire_bytes": wire(one), "sent": one.forward.offered,
        "sent_bytes": one.forward.offered_bytes, "answers": one.backward.offered,
        "answer_bytes": one.backward.offered_bytes, "dropped_by_queue": one.forward.queue_full,
        "dropped_by_loss": one.forward.lost, "declared_lost": one.declared_lost,
        "waste": one.waste(), "shape": format!("{:016x}", one.shape),
    })
}

fn race(series: &RaceSeries) -> Value {
    json!({
        "event": "race", "link": series.link, "flows": series.flows,
        "first_share": spread(series.first_share()), "fairness": spread(series.fairness()),
        "use_of_link": spread(series.use_of_link()), "waste": series.waste().map(spread),
        "runs": series.runs.iter().map(race_run).collect::<Vec<_>>(),
    })
}

fn race_run(one: &RaceOutcome) -> Value {
    json!({
        "payload_bytes": one.payload, "first_share": one.first_share(),
        "fairness": one.fairness(), "use_of_link": one.use_of_link(), "waste": one.waste,
        "backlog_max": one.backlog_max, "shape": format!("{:016x}", one.shape),
    })
}
