//! The report as one picture, which needs nothing else: no script, no font, no file beside it.
//!
//! For each link four panels of bars, one bar a contender, with a line from the least to the most;
//! for each bottleneck a bar a pair, cut where the first flow's share ends.

use super::args::Args;
use super::series::{CellSeries, RaceSeries, Spread};
use std::fmt::Write as _;
use tripline_sim::record::svg::{Axis, Unit, escape, pixels};

/// Sizes in pixels.
const WIDTH: f64 = 1_120.0;
const MARGIN: f64 = 20.0;
/// Where bars begin: names stand left of it.
const NAMES: f64 = 140.0;
/// From one panel to the next, and how wide a full bar is; the rest is for the figure behind it.
const PANEL: f64 = 240.0;
const BAR: f64 = 172.0;
const ROW: f64 = 19.0;
const THICK: f64 = 12.0;
/// Bars of races.
const RACE_LEFT: f64 = 180.0;
const RACE_BAR: f64 = 460.0;

const STYLE: &str = "\
svg { --paper: #ffffff; --ink: #1d2329; --soft: #5c6670; --line: #d9dee3; --h0: #0072b2; \
--h1: #d55e00; background: var(--paper); font: 12px system-ui, 'DejaVu Sans', sans-serif; }
@media (prefers-color-scheme: dark) { svg { --paper: #14181c; --ink: #e4e8ec; --soft: #98a2ac; \
--line: #333b43; --h0: #62b5ee; --h1: #ff8a4a; } }
text { fill: var(--soft); font-variant-numeric: tabular-nums; }
.head { font-size: 15px; font-weight: 600; fill: var(--ink); }
.name, .value { fill: var(--ink); }
.name { text-anchor: end; }
.mid { text-anchor: middle; }
.f0 { fill: var(--h0); } .f1 { fill: var(--h1); } .second { opacity: .45; }
.grid { stroke: var(--line); fill: none; }
.span { stroke: var(--ink); stroke-width: 1.5; fill: none; }
";

/// A picture in the making.
struct Sheet {
    body: String,
    /// Where the next thing goes.
    y: f64,
}

impl Sheet {
    /// A piece of text; `class` says how it looks and is set.
    fn text(&mut self, class: &str, x: f64, y: f64, text: &str) {
        let (x, y, text) = (pixels(x), pixels(y), escape(text));
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(self.body, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{text}</text>");
    }

    fn line(&mut self, class: &str, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2]) {
        let [x1, y1, x2, y2] = [x1, y1, x2, y2].map(pixels);
        let _ = writeln!(self.body, "<path class=\"{class}\" d=\"M{x1} {y1}L{x2} {y2}\"/>");
    }

    /// A bar in this row; what it says under the pointer.
    fn bar(&mut self, class: &str, x: f64, width: f64, tip: &str) {
        let (y, height) = (pixels(self.y), pixels(THICK));
        let (x, width, tip) = (pixels(x), pixels(width.max(0.0)), escape(tip));
        let _ = writeln!(
            self.body,
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\">\
             <title>{tip}</title></rect>"
        );
    }

    /// From the least to the most, across a bar.
    fn span(&mut self, from: f64, to: f64) {
        if to - from >= 0.5 {
            let middle = self.y + THICK / 2.0;
            self.line("span", [from, middle], [to, middle]);
            for x in [from, to] {
                self.line("span", [x, middle - 3.0], [x, middle + 3.0]);
            }
        }
    }
}

/// One of a link's panels.
struct Panel {
    title: &'static str,
    unit: Unit,
    /// Where the axis ends, if that does not follow from the values.
    end: Option<f64>,
    places: usize,
    value: fn(&CellSeries) -> Spread,
}

/// The panels of a link of this rate.
fn panels(rate: u64) -> [Panel; 4] {
    [
        Panel {
            title: "goodput",
            unit: Unit::Rate,
            end: Some(rate as f64),
            places: 2,
            value: CellSeries::goodput,
        },
        Panel {
            title: "done in",
            unit: Unit::Time,
            end: None,
            places: 2,
            value: CellSeries::seconds,
        },
        Panel {
            title: "on the wire, both ways",
            unit: Unit::Bytes,
            end: None,
            places: 2,
            value: CellSeries::wire,
        },
        Panel {
            title: "waste, of what was sent",
            unit: Unit::Count("%"),
            end: None,
            places: 1,
            value: |series| series.waste().times(100.0),
        },
    ]
}

/// The picture.
pub(super) fn draw(args: &Args, cells: &[CellSeries], races: &[RaceSeries]) -> String {
    let mut sheet = Sheet { body: String::new(), y: MARGIN + 12.0 };
    sheet.text("head", MARGIN, sheet.y, "engines on the same links");
    let last = args.all_seeds().end.saturating_sub(1);
    let about = format!(
        "medians of the seeds {} to {last}, lines from the least to the most; virtual time; rates \
         and sizes count UDP payload",
        args.first_seed
    );
    sheet.text("", MARGIN, sheet.y + 18.0, &about);
    sheet.y += 34.0;
    for group in cells.chunk_by(|one, next| one.link == next.link) {
        draw_link(&mut sheet, group);
    }
    for group in races.chunk_by(|one, next| one.link == next.link) {
        draw_bottleneck(&mut sheet, group);
    }
    let (width, height) = (pixels(WIDTH), pixels(sheet.y + MARGIN));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\" role=\"img\">\n<style>{STYLE}</style>\n\
         <rect width=\"{width}\" height=\"{height}\" style=\"fill: var(--paper)\"/>\n{}</svg>\n",
        sheet.body
    )
}

/// Which colour: one for each engine.
fn hue(name: &str) -> &'static str {
    if name.starts_with("tripline") { "f0" } else { "f1" }
}

fn draw_link(sheet: &mut Sheet, group: &[CellSeries]) {
    let Some(first) = group.first() else { return };
    sheet.text("head", MARGIN, sheet.y + 14.0, &first.link);
    sheet.y += 36.0;
    let top = sheet.y;
    for (number, panel) in (0_u32..).zip(panels(first.cell.rate)) {
        sheet.y = top;
        let left = MARGIN + NAMES + f64::from(number) * PANEL;
        let most = group.iter().map(|series| (panel.value)(series).max).fold(0.0, f64::max);
        let axis = match panel.end {
            Some(end) => Axis::exact(0.0, end.max(most), panel.unit, 3),
            None => Axis::to(most, panel.unit, 3),
        };
        draw_axis(sheet, &axis, left, group.len(), panel.title);
        for series in group {
            let spread = (panel.value)(series);
            let x = |value: f64| left + axis.part(value) * BAR;
            let show = |value: f64| format!("{:.*}", panel.places, value / axis.scale);
            let [min, median, max] = [spread.min, spread.median, spread.max].map(show);
            let tip = format!("{}: {median} {} ({min} to {max})", series.contender, axis.unit);
            sheet.bar(hue(&series.contender), left, x(spread.median) - left, &tip);
            sheet.span(x(spread.min), x(spread.max));
            let behind = x(spread.max.max(spread.median)) + 5.0;
            sheet.text("value", behind, sheet.y + THICK - 2.0, &median);
            if number == 0 {
                sheet.text("name", left - 8.0, sheet.y + THICK - 2.0, &series.contender);
            }
            sheet.y += ROW;
        }
    }
    sheet.y += 30.0;
}

/// A panel's title, and its axis with a line at each tick.
fn draw_axis(sheet: &mut Sheet, axis: &Axis, left: f64, rows: usize, title: &str) {
    sheet.text("", left, sheet.y - 8.0, &format!("{title}, {}", axis.unit));
    let bottom = sheet.y + rows as f64 * ROW;
    for (at, label) in &axis.ticks {
        let x = left + axis.part(*at) * BAR;
        sheet.line("grid", [x, sheet.y - 3.0], [x, bottom]);
        sheet.text("mid", x, bottom + 13.0, label);
    }
}

fn draw_bottleneck(sheet: &mut Sheet, group: &[RaceSeries]) {
    let Some(first) = group.first() else { return };
    let title = format!("two flows through one bottleneck of {}", first.link);
    sheet.text("head", MARGIN, sheet.y + 14.0, &title);
    sheet.y += 36.0;
    let (left, right) = (MARGIN + RACE_LEFT, MARGIN + RACE_LEFT + RACE_BAR);
    let figures = right + 140.0;
    sheet.text("mid", (left + right) / 2.0, sheet.y - 8.0, "share of each");
    sheet.text("", figures, sheet.y - 8.0, "fairness (Jain), use of the link");
    let top = sheet.y;
    for series in group {
        let share = series.first_share();
        let x = |part: f64| left + part.clamp(0.0, 1.0) * RACE_BAR;
        let [one, other] = &series.flows;
        let tip = format!("{one}: {:.1} %", share.median * 100.0);
        sheet.bar(hue(one), left, x(share.median) - left, &tip);
        let tip = format!("{other}: {:.1} %", (1.0 - share.median) * 100.0);
        let class = format!("{} second", hue(other));
        sheet.bar(&class, x(share.median), right - x(share.median), &tip);
        sheet.span(x(share.min), x(share.max));
        let base = sheet.y + THICK - 2.0;
        sheet.text("name", left - 8.0, base, &format!("{one} {:.0} %", share.median * 100.0));
        sheet.text("value", right + 8.0, base, other);
        let (jain, used) = (series.fairness().median, series.use_of_link().median * 100.0);
        sheet.text("value", figures, base, &format!("{jain:.3}, {used:.1} %"));
        sheet.y += ROW;
    }
    let middle = (left + right) / 2.0;
    sheet.line("grid", [middle, top - 4.0], [middle, sheet.y]);
    sheet.y += 24.0;
}
