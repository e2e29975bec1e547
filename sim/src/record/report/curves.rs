//! Which plots there are: of each connection, each way of the network, each stream.

use super::plot::{Plot, Stage};
use super::svg::{Unit, escape};
use crate::DropCause;
use crate::record::recording::{EndCurves, Recording, Timeline, WayCurves};
use crate::record::words;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use tripline::Direction;

/// How many colours there are.
const HUES: usize = 6;
/// Curves of one plot; more are another plot.
const TOGETHER: usize = 3;

/// The plots of all connections.
pub(super) fn connections(html: &mut String, recording: &Recording, stage: &Stage) {
    let mut names: Vec<&str> = Vec::new();
    for end in &recording.ends {
        if !names.contains(&end.connection.as_str()) {
            names.push(&end.connection);
        }
    }
    for name in names {
        let ends: Vec<_> = recording.ends.iter().filter(|end| end.connection == name).collect();
        let _ = write!(html, "<h3>Connection {}</h3><div class=\"plots\">", escape(name));
        goodput(html, stage, &ends);
        for end in &ends {
            round_trips(html, stage, end);
        }
        for end in &ends {
            window(html, stage, end);
        }
        for end in &ends {
            troubles(html, stage, end);
        }
        pacing(html, stage, &ends);
        levels(html, stage, &ends);
        html.push_str("</div>\n");
    }
}

fn who(end: &EndCurves) -> String {
    let side = if end.is_client { "client" } else { "server" };
    if end.host == side { side.to_owned() } else { format!("{}, {side}", end.host) }
}

fn goodput(html: &mut String, stage: &Stage, ends: &[&EndCurves]) {
    let mut plot = Plot::new(stage, "Goodput", Unit::Rate);
    for (hue, end) in ends.iter().enumerate() {
        plot = plot.rate(&format!("read by {}", end.host), hue % HUES, &end.goodput);
    }
    html.push_str(&plot.draw());
}

fn pacing(html: &mut String, stage: &Stage, ends: &[&EndCurves]) {
    let mut plot = Plot::new(stage, "Pacing rate", Unit::Rate);
    for (hue, end) in ends.iter().enumerate().filter(|(_, end)| !end.pacing.is_flat()) {
        plot = plot.line(&end.host, hue % HUES, &end.pacing);
    }
    html.push_str(&plot.draw());
}

fn round_trips(html: &mut String, stage: &Stage, end: &EndCurves) {
    let plot = Plot::new(stage, format!("Round-trip time at {}", who(end)), Unit::Time)
        .band("latest", 4, &end.rtt_latest)
        .line("smoothed", 0, &end.rtt_smoothed);
    html.push_str(&plot.draw());
}

/// What is on its way and what may be, for an end that has sent anything to speak of.
fn window(html: &mut String, stage: &Stage, end: &EndCurves) {
    if end.in_flight.is_flat() {
        return;
    }
    let plot = Plot::new(stage, format!("Congestion window of {}", who(end)), Unit::Bytes)
        .band("in flight", 5, &end.in_flight)
        .steps("window", 1, &end.window);
    html.push_str(&plot.draw());
}

fn troubles(html: &mut String, stage: &Stage, end: &EndCurves) {
    let plot =
        Plot::new(stage, format!("Losses and marks of {}", who(end)), Unit::Count("packets"))
            .bars("declared lost", 1, &end.losses)
            .bars("marked (ECN)", 4, &end.marks);
    html.push_str(&plot.draw());
}

fn levels(html: &mut String, stage: &Stage, ends: &[&EndCurves]) {
    let mut zones = Plot::new(stage, "Zone (generation of keys)", Unit::Count("number"));
    let mut sizes = Plot::new(stage, "Datagram size", Unit::Bytes);
    for (hue, end) in ends.iter().enumerate() {
        zones = zones.steps(&end.host, hue % HUES, &end.zone);
        sizes = sizes.steps(&end.host, hue % HUES, &end.datagram);
    }
    html.push_str(&zones.draw());
    html.push_str(&sizes.draw());
}

/// The plots of all ways from one host to another.
pub(super) fn ways(html: &mut String, recording: &Recording, stage: &Stage) {
    let name = |host: crate::HostId| {
        recording.hosts.get(host.index()).map_or("?", String::as_str).to_owned()
    };
    for ((from, to), way) in &recording.ways {
        let title = format!("{} → {}", name(*from), name(*to));
        let _ = write!(html, "<h3>{}</h3><div class=\"plots\">", escape(&title));
        let rates = Plot::new(stage, "Throughput", Unit::Rate)
            .rate("sent", 5, &way.sent)
            .rate("came", 0, &way.came);
        html.push_str(&rates.draw());
        let transit = Plot::new(stage, "Time on the way (delay and queue)", Unit::Time).band(
            "one way",
            3,
            &way.transit,
        );
        html.push_str(&transit.draw());
        let aloft = Plot::new(stage, "In the network (queued and in flight)", Unit::Bytes)
            .band("bytes", 5, &way.aloft);
        html.push_str(&aloft.draw());
        drops(html, stage, way);
        html.push_str("</div>\n");
    }
}

fn drops(html: &mut String, stage: &Stage, way: &WayCurves) {
    let mut plot = Plot::new(stage, "Drops by cause", Unit::Count("datagrams"));
    let (shown, rest) = largest(&way.drops);
    for (hue, (cause, values)) in shown.into_iter().enumerate() {
        plot = plot.bars(&cause.to_string(), (hue + 1) % HUES, values);
    }
    for values in rest {
        plot = plot.bars("other causes", 0, values);
    }
    if !way.marked.is_flat() {
        plot = plot.bars("marked, not dropped", 4, &way.marked);
    }
    html.push_str(&plot.draw());
}

/// The causes with the most drops, and the rest; colours are few.
fn largest(drops: &BTreeMap<DropCause, Timeline>) -> (Vec<(DropCause, &Timeline)>, Vec<&Timeline>) {
    let mut all: Vec<_> = drops.iter().map(|(cause, values)| (*cause, values)).collect();
    all.sort_by(|one, other| other.1.sum().total_cmp(&one.1.sum()));
    let rest = all.split_off(all.len().min(HUES - 2));
    (all, rest.into_iter().map(|(_, values)| values).collect())
}

/// How far each stream has come.
pub(super) fn streams(html: &mut String, recording: &Recording, stage: &Stage) {
    if recording.streams.is_empty() {
        return;
    }
    html.push_str("<div class=\"plots\">");
    let all: Vec<_> = recording.streams.iter().collect();
    for some in all.chunk_by(|one, other| one.0.0 == other.0.0) {
        for (part, some) in some.chunks(TOGETHER).enumerate() {
            let connection = &some[0].0.0;
            let more = if part == 0 { "" } else { ", continued" };
            let title = format!("Streams of {connection}{more}");
            let mut plot = Plot::new(stage, title, Unit::Bytes);
            for (at, ((_, id, from_client), curves)) in some.iter().enumerate() {
                let from = match (id.direction(), from_client) {
                    (Direction::OneWay, _) => "",
                    (Direction::TwoWay, true) => " from the client",
                    (Direction::TwoWay, false) => " from the server",
                };
                let name = format!("{}{from}", words::stream(*id));
                plot = plot.steps(&format!("{name}: handed in"), 2 * at + 1, &curves.sent);
                plot = plot.steps("read", 2 * at, &curves.received);
            }
            html.push_str(&plot.draw());
        }
    }
    html.push_str("</div>\n");
}
