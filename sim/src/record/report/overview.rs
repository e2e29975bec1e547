//! What happened when, on one line of time: a lane for each host, one for the network.

use super::svg::{Axis, escape, pixels};
use crate::record::recording::{Note, NoteKind, Recording};
use crate::record::words;
use std::fmt::Write as _;
use tripline_sansio::Instant;

const WIDTH: f64 = 1_180.0;
const LEFT: f64 = 110.0;
const RIGHT: f64 = 14.0;
/// The height of a lane, of which there are at most so many.
const LANE: f64 = 26.0;
const LANES: usize = 40;

fn seconds(at: Instant) -> f64 {
    at.as_nanos() as f64 / 1e9
}

/// The picture.
pub(super) fn overview(recording: &Recording, time: &Axis, failure: Option<f64>) -> String {
    let shown = recording.hosts.len().min(LANES);
    let hosts = recording.hosts.get(..shown).unwrap_or_default();
    let height = LANE * (hosts.len() + 1) as f64 + 30.0;
    let bottom = height - 26.0;
    let x = |at: f64| LEFT + time.part(at) * (WIDTH - LEFT - RIGHT);
    let mut html = format!(
        "<svg class=\"overview\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"what happened when\">"
    );
    if let Some(calm) = recording.calm.map(seconds) {
        let (from, to) = (x(calm), x(time.high));
        let _ = write!(
            html,
            "<rect class=\"calm\" x=\"{}\" y=\"2\" width=\"{}\" height=\"{}\"><title>all is \
             healed from here on</title></rect>",
            pixels(from),
            pixels((to - from).max(1.0)),
            bottom - 2.0
        );
    }
    lanes(&mut html, hosts);
    for cut in recording.cuts.iter().take(200) {
        let to = cut.to.map_or(time.high, seconds);
        let (from, to) = (x(seconds(cut.from)), x(to));
        let _ = write!(
            html,
            "<rect class=\"cut\" x=\"{}\" y=\"5\" width=\"{}\" height=\"{}\"><title>{} is \
             cut</title></rect>",
            pixels(from),
            pixels((to - from).max(1.0)),
            LANE - 6.0,
            escape(&cut.way.to_string())
        );
    }
    notes(&mut html, recording, hosts, x);
    if let Some(at) = failure.map(x).map(pixels) {
        let _ = write!(
            html,
            "<path class=\"failure\" d=\"M{at} 2V{bottom}\"><title>the run failed</title></path>"
        );
    }
    for (at, label) in &time.ticks {
        let at = pixels(x(*at));
        let _ = write!(
            html,
            "<path class=\"tick\" d=\"M{at} {bottom}v4\"/><text class=\"mid\" x=\"{at}\" \
             y=\"{}\">{label}</text>",
            bottom + 17.0
        );
    }
    let _ = writeln!(
        html,
        "<path class=\"axis\" d=\"M{LEFT} {bottom}H{}\"/><text class=\"unit\" x=\"{}\" \
         y=\"{}\">{}</text></svg>",
        WIDTH - RIGHT,
        LEFT - 30.0,
        bottom + 17.0,
        time.unit
    );
    html
}

fn notes(html: &mut String, recording: &Recording, hosts: &[String], x: impl Fn(f64) -> f64) {
    for note in &recording.notes {
        let lane = match &note.host {
            None => 0,
            Some(host) => match hosts.iter().position(|name| name == host) {
                Some(at) => at + 1,
                None => continue,
            },
        };
        // What was done stands above what came of it, or one would cover the other.
        let up = match note.kind {
            NoteKind::Step | NoteKind::PassedOver => 5.0,
            NoteKind::Event | NoteKind::Trouble => -5.0,
        };
        sign(html, x(seconds(note.at)), LANE * (lane as f64 + 0.5) + 2.0 - up, note);
    }
}

fn lanes(html: &mut String, hosts: &[String]) {
    let names = std::iter::once("network").chain(hosts.iter().map(String::as_str));
    for (lane, name) in names.enumerate() {
        let middle = LANE * (lane as f64 + 0.5) + 2.0;
        let class = if lane == 0 { "unit end" } else { "end" };
        let _ = write!(
            html,
            "<path class=\"grid\" d=\"M{LEFT} {middle}H{}\"/><text class=\"{class}\" x=\"{}\" \
             y=\"{}\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            middle + 4.0,
            escape(&words::cut(name, 15))
        );
    }
}

/// A sign of what happened: a triangle for a step, a circle for an event, a cross for trouble.
fn sign(html: &mut String, x: f64, y: f64, note: &Note) {
    let (x, y) = (pixels(x), pixels(y));
    let (class, path) = match note.kind {
        NoteKind::Step => ("sign f0", "m0 -6l6 11h-12z"),
        NoteKind::PassedOver => ("sign none", "m0 -6l6 11h-12z"),
        NoteKind::Event => ("sign f2", "m-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0"),
        NoteKind::Trouble => ("sign trouble", "m-5 -5l10 10m0 -10l-10 10"),
    };
    let at = words::clock(note.at);
    let _ = write!(
        html,
        "<path class=\"{class}\" d=\"M{x} {y}{path}\"><title>{} s: {}</title></path>",
        at.trim_start(),
        escape(&note.text)
    );
}
