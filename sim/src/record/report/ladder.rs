//! Packets as a ladder: time goes down, hosts are columns, packets are arrows between them.
//!
//! Time is not to scale, or silence would fill the page and a train be one line: a long gap is
//! drawn only a little longer than a short one, and what is sent at one instant stands one below
//! the other. Times stand at the left.

use super::svg::{escape, pixels};
use crate::host::HostId;
use crate::record::recording::{Leg, Note, Recording};
use crate::record::words;
use std::fmt::Write as _;
use tripline_sansio::Instant;

/// Left of the first column: times and notes.
const LEFT: f64 = 110.0;
const RIGHT: f64 = 110.0;
/// The least distance of two columns.
const APART: f64 = 150.0;
/// The width that two hosts have for themselves.
const WIDTH: f64 = 1_100.0;
/// Columns; hosts behind them are left out, and their packets.
const COLUMNS: usize = 16;
/// The height of a line of text.
const ROW: f64 = 15.0;
/// How much higher the longest gap is.
const GAP: f64 = 36.0;
/// After how much the hosts are named again.
const HEAD: f64 = 700.0;

/// Something that needs a height of its own.
#[derive(Clone, Copy)]
enum Moment<'a> {
    Sent(usize),
    Came(usize),
    Note(&'a Note),
}

/// The ladder as HTML.
pub(super) fn ladder(recording: &Recording) -> String {
    let first: Vec<_> = recording.legs.first().collect();
    let newest: Vec<_> = recording.legs.newest().collect();
    if first.is_empty() {
        return "<p>No packet was sent.</p>".to_owned();
    }
    let left_out = recording.legs.left_out();
    let mut html = String::from("<div class=\"ladder\">");
    // Without a gap both parts are one.
    if left_out == 0 {
        part(&mut html, recording, &[first, newest].concat());
    } else {
        part(&mut html, recording, &first);
        let count = words::grouped(left_out);
        let _ = write!(html, "<p class=\"gap\">… {count} packets are left out here …</p>");
        part(&mut html, recording, &newest);
    }
    html.push_str("</div>\n");
    html
}

/// Where things are.
struct Layout {
    columns: usize,
    width: f64,
    /// The heights at which each packet leaves and comes.
    sent: Vec<f64>,
    came: Vec<f64>,
    height: f64,
}

impl Layout {
    fn x(&self, host: Option<HostId>) -> Option<f64> {
        let gaps = self.columns.max(2) - 1;
        let apart = (self.width - LEFT - RIGHT) / gaps as f64;
        let host = host?.index();
        (host < self.columns).then(|| LEFT + apart * host as f64)
    }
}

/// One run of packets without a gap.
fn part(html: &mut String, recording: &Recording, legs: &[&Leg]) {
    let columns = recording.hosts.len().min(COLUMNS);
    let width = (LEFT + RIGHT + APART * columns as f64).max(WIDTH);
    let mut layout = Layout { columns, width, sent: Vec::new(), came: Vec::new(), height: 0.0 };
    let mut text = String::new();
    arrange(&mut text, recording, legs, &mut layout);
    for (leg, (from, to)) in legs.iter().zip(layout.sent.iter().zip(&layout.came)) {
        arrow(&mut text, &layout, leg, *from, *to);
    }
    let height = layout.height + ROW;
    let _ = write!(
        html,
        "<svg class=\"rungs\" viewBox=\"0 0 {} {}\" style=\"width:{}px\" role=\"img\" \
         aria-label=\"packets between the hosts, time downward\">",
        pixels(width),
        pixels(height),
        pixels(width)
    );
    for (index, name) in recording.hosts.iter().take(columns).enumerate() {
        let Some(x) = layout.x(Some(HostId(index as u32))).map(pixels) else { continue };
        let _ = write!(html, "<path class=\"axis\" d=\"M{x} 22V{}\"/>", pixels(height));
        let mut y = 14.0;
        while y < height {
            let name = escape(&words::cut(name, 20));
            let _ = write!(html, "<text class=\"host mid\" x=\"{x}\" y=\"{y}\">{name}</text>");
            y += HEAD;
        }
    }
    html.push_str(&text);
    html.push_str("</svg>");
}

/// Gives every packet and note its height, and writes times and notes.
fn arrange(html: &mut String, recording: &Recording, legs: &[&Leg], layout: &mut Layout) {
    let mut moments: Vec<(Instant, Moment<'_>)> = Vec::new();
    for (at, leg) in legs.iter().enumerate() {
        moments.push((leg.sent, Moment::Sent(at)));
        moments.extend(leg.came.map(|came| (came, Moment::Came(at))));
    }
    let last = moments.iter().map(|(at, _)| *at).max().unwrap_or_default();
    let first = legs.first().map_or(Instant::ZERO, |leg| leg.sent);
    let notes = recording.notes.iter().filter(|note| note.at >= first && note.at <= last);
    moments.extend(notes.map(|note| (note.at, Moment::Note(note))));
    moments.sort_by_key(|(at, moment)| {
        // What was done comes before what is sent for it, and what came before what it caused.
        let rank = match moment {
            Moment::Came(_) => 0,
            Moment::Note(_) => 1,
            Moment::Sent(_) => 2,
        };
        (*at, rank)
    });
    layout.sent = vec![0.0; legs.len()];
    layout.came = vec![0.0; legs.len()];
    let mut y = 40.0;
    let mut before: Option<(Instant, u8)> = None;
    let mut labelled = f64::MIN;
    for (at, moment) in moments {
        let kind = matches!(moment, Moment::Came(_)) as u8;
        let gap = before.map_or(0.0, |(before, _)| (at - before).as_secs_f64());
        // One pixel a microsecond at first, then slower and slower.
        y += (1.0 + gap * 1e6).ln().min(16.0) / 16.0 * GAP;
        let crowded = before.is_some_and(|(_, other)| kind == 0 || other != kind);
        if gap == 0.0 && before.is_some() || crowded && gap < 1e-3 {
            y += if kind == 1 { 5.0 } else { ROW - 3.0 };
        }
        before = Some((at, kind));
        match moment {
            Moment::Sent(leg) => set(&mut layout.sent, leg, y),
            Moment::Came(leg) => set(&mut layout.came, leg, y),
            Moment::Note(note) => {
                y += 3.0;
                remark(html, layout, y, note);
            }
        }
        if y - labelled >= ROW {
            labelled = y;
            let _ = write!(
                html,
                "<text class=\"time end\" x=\"{}\" y=\"{}\">{}</text>",
                LEFT - 14.0,
                pixels(y + 3.5),
                moment_time(at)
            );
        }
    }
    layout.height = y + ROW;
}

fn set(heights: &mut [f64], at: usize, y: f64) {
    if let Some(height) = heights.get_mut(at) {
        *height = y;
    }
}

/// A time to the microsecond.
fn moment_time(at: Instant) -> String {
    format!("{:.6} s", at.as_nanos() as f64 / 1e9)
}

/// A step or an event, across the whole ladder at the host it is about.
fn remark(html: &mut String, layout: &Layout, y: f64, note: &Note) {
    let y_text = pixels(y + 3.5);
    let _ = write!(
        html,
        "<path class=\"remark\" d=\"M{LEFT} {}H{}\"/><text class=\"remark mid\" x=\"{}\" \
         y=\"{y_text}\">{}{}</text>",
        pixels(y),
        pixels(layout.width - RIGHT),
        pixels(layout.width / 2.0),
        note.host.as_ref().map_or(String::new(), |host| format!("{}: ", escape(host))),
        escape(&words::cut(&note.text, 110))
    );
}

/// One packet. Who or what is not on the picture is at its right edge.
fn arrow(html: &mut String, layout: &Layout, leg: &Leg, sent: f64, came: f64) {
    let outside = layout.width - 12.0;
    let (from, to) = (layout.x(leg.from).unwrap_or(outside), layout.x(leg.to).unwrap_or(outside));
    let side = if to < from { -1.0 } else { 1.0 };
    let dropped = leg.dropped.filter(|_| leg.came.is_none());
    let mut title = format!("#{} {} B, sent {}", leg.index, leg.len, moment_time(leg.sent));
    let (class, x_end, y_end) = match (leg.came, dropped) {
        (Some(at), _) => {
            let _ = write!(title, ", came {} ({})", moment_time(at), words::span(at - leg.sent));
            let y = if leg.from.is_none() { sent } else { came };
            ("go", to - side * 2.0, y)
        }
        (None, Some((at, cause))) => {
            let _ = write!(title, ", dropped {} ({cause})", moment_time(at));
            ("stop", from + (to - from) * 0.62, sent + 9.0)
        }
        // On its way when the run was over.
        (None, None) => ("go", from + (to - from) * 0.8, sent + 12.0),
    };
    if leg.copies > 0 {
        let _ = write!(title, ", and {} more times", leg.copies);
    }
    let _ = write!(title, "\n{}", leg.what);
    let _ = write!(
        html,
        "<g class=\"{class}\"><title>{}</title><path d=\"M{} {}L{} {}\"/>",
        escape(&title),
        pixels(from),
        pixels(sent),
        pixels(x_end),
        pixels(y_end)
    );
    tip(html, class, (from, sent), (x_end, y_end));
    if let Some((_, cause)) = dropped {
        let anchor = if side > 0.0 { "" } else { " class=\"end\"" };
        let _ = write!(
            html,
            "<text{anchor} x=\"{}\" y=\"{}\">{cause}</text>",
            pixels(x_end + side * 9.0),
            pixels(y_end + 4.0)
        );
    }
    label(html, layout, leg, (from, sent), side);
    html.push_str("</g>");
}

/// The end of an arrow: a head, or a cross.
fn tip(html: &mut String, class: &str, from: (f64, f64), to: (f64, f64)) {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let len = dx.hypot(dy).max(1.0);
    let (ux, uy) = (dx / len, dy / len);
    let at = |along: f64, across: f64| {
        let x = to.0 - ux * along - uy * across;
        let y = to.1 - uy * along + ux * across;
        format!("{} {}", pixels(x), pixels(y))
    };
    let path = if class == "stop" {
        format!("M{}L{}M{}L{}", at(-4.0, -4.0), at(4.0, 4.0), at(-4.0, 4.0), at(4.0, -4.0))
    } else {
        format!("M{}L{}L{}Z", at(0.0, 0.0), at(7.0, 3.0), at(7.0, -3.0))
    };
    let _ = write!(html, "<path class=\"tip\" d=\"{path}\"/>");
}

/// What is in the packet, where it leaves its sender.
fn label(html: &mut String, layout: &Layout, leg: &Leg, (x, y): (f64, f64), side: f64) {
    let apart = (layout.width - LEFT - RIGHT) / (layout.columns.max(2) - 1) as f64;
    // Labels of both directions have half of the way each, at 6 pixels a character.
    let room = (apart * 0.5 / 6.0) as usize;
    let copies = if leg.copies > 0 { format!(" ×{}", leg.copies + 1) } else { String::new() };
    let whole = format!("#{} {} ({} B){copies}", leg.index, leg.what, leg.len);
    let text = if whole.chars().count() <= room {
        whole
    } else {
        words::cut(&format!("#{} {}{copies}", leg.index, words::short(&leg.what)), room)
    };
    let anchor = if side > 0.0 { "" } else { " class=\"end\"" };
    let _ = write!(
        html,
        "<text{anchor} x=\"{}\" y=\"{}\">{}</text>",
        pixels(x + side * 8.0),
        pixels(y - 2.0),
        escape(&text)
    );
}
