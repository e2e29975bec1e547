//! The report for people.

use super::args::Args;
use super::series::{CellSeries, RaceSeries, Spread};
use crate::sim::verdict;
use comfy_table::{Table, presets};

/// `median (least–most)` with so many decimals, or one figure where all are the same.
fn figure(spread: Spread, places: usize) -> String {
    let [min, median, max] =
        [spread.min, spread.median, spread.max].map(|value| format!("{value:.places$}"));
    if min == max { median } else { format!("{median} ({min}–{max})") }
}

/// As many decimals as leave three digits that say something.
fn places(value: f64) -> usize {
    match value {
        ..1.0 => 3,
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    }
}

/// Tables and what has to be said about them, in order.
pub(super) fn tables(args: &Args, cells: &[CellSeries], races: &[RaceSeries]) -> Vec<String> {
    let mut all = Vec::new();
    if !cells.is_empty() {
        all.push(cell_table(args, cells).to_string());
    }
    if !races.is_empty() {
        all.push(race_table(args, races).to_string());
    }
    let last = args.all_seeds().end.saturating_sub(1);
    all.push(format!(
        "median (least–most) of the seeds {} to {last}; rates and sizes count UDP payload",
        args.first_seed
    ));
    all
}

fn table(args: &Args) -> Table {
    let mut table = verdict::table();
    if args.markdown {
        table.load_style(presets::ASCII_MARKDOWN);
    }
    table
}

fn cell_table(args: &Args, cells: &[CellSeries]) -> Table {
    let mut table = table(args);
    table.set_header([
        "link",
        "engine",
        "goodput, Mbit/s",
        "% of the link",
        "done in, s",
        "on the wire, MB",
        "waste, %",
    ]);
    let mut before = "";
    for series in cells {
        let link = if series.link == before { "" } else { &series.link };
        before = &series.link;
        let (seconds, wire) = (series.seconds(), series.wire().times(1e-6));
        let goodput = series.goodput().times(8e-6);
        let mut done = figure(seconds, places(seconds.median));
        let unfinished = series.unfinished();
        if unfinished > 0 {
            done = format!("{done}, {unfinished} not done in time");
        }
        table.add_row([
            link.to_owned(),
            series.contender.clone(),
            figure(goodput, places(goodput.median)),
            figure(series.share().times(100.0), 1),
            done,
            figure(wire, places(wire.median)),
            figure(series.waste().times(100.0), 1),
        ]);
    }
    table
}

fn race_table(args: &Args, races: &[RaceSeries]) -> Table {
    let mut table = table(args);
    table.set_header([
        "bottleneck",
        "first flow",
        "second flow",
        "share of the first, %",
        "fairness (Jain)",
        "use of the link, %",
        "waste of each, %",
    ]);
    let mut before = "";
    for series in races {
        let link = if series.link == before { "" } else { &series.link };
        before = &series.link;
        let [one, other] = series.waste().map(|waste| waste.median * 100.0);
        table.add_row([
            link.to_owned(),
            series.flows[0].clone(),
            series.flows[1].clone(),
            figure(series.first_share().times(100.0), 1),
            figure(series.fairness(), 3),
            figure(series.use_of_link().times(100.0), 1),
            format!("{one:.1}, {other:.1}"),
        ]);
    }
    table
}
