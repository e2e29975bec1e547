//! A plot: curves over the time of the run, with axes, units, a legend, and marks for what happened.

use super::svg::{Axis, Unit, escape, pixels};
use crate::record::recording::Timeline;
use std::fmt::Write as _;

/// The size of a plot and of its margins, in pixels. All plots have the same, so that one time is
/// at one place in all of them.
const WIDTH: f64 = 580.0;
const HEIGHT: f64 = 196.0;
const LEFT: f64 = 48.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 20.0;
const BOTTOM: f64 = 28.0;
/// Into how many pieces time is cut for bars and rates.
const BINS: u32 = 145;
/// More marks than this are a grey wall.
const MARKS: usize = 40;

/// What all plots of a page share: the time they show, and what happened in it.
pub(super) struct Stage {
    /// Time, in seconds.
    pub(super) time: Axis,
    /// Steps: when, and what.
    pub(super) marks: Vec<(f64, String)>,
    /// Times in which something was cut: from, to, and what.
    pub(super) cuts: Vec<(f64, f64, String)>,
    /// When all was healed.
    pub(super) calm: Option<f64>,
    /// When the run failed.
    pub(super) failure: Option<f64>,
}

/// The form of a curve.
enum Shape {
    /// From point to point.
    Line(Vec<(f64, f64)>),
    /// From one height to another.
    Band(Vec<(f64, f64, f64)>),
    /// Level until the next point.
    Steps(Vec<(f64, f64)>),
    /// Columns of this width, with foot and head.
    Bars(f64, Vec<(f64, f64, f64)>),
}

impl Shape {
    /// Whether there is nothing to be seen of it.
    fn is_empty(&self) -> bool {
        match self {
            Self::Line(points) => points.is_empty(),
            Self::Steps(points) => points.iter().all(|(_, value)| *value == 0.0),
            Self::Band(points) => points.is_empty(),
            Self::Bars(_, bars) => bars.is_empty(),
        }
    }
}

/// A curve of a plot.
struct Curve {
    name: String,
    /// Which of the page's colours.
    hue: usize,
    shape: Shape,
}

/// A plot in the making.
pub(super) struct Plot<'a> {
    stage: &'a Stage,
    title: String,
    unit: Unit,
    curves: Vec<Curve>,
}

impl<'a> Plot<'a> {
    /// One without curves.
    pub(super) fn new(stage: &'a Stage, title: impl Into<String>, unit: Unit) -> Self {
        Self { stage, title: title.into(), unit, curves: Vec::new() }
    }

    /// Adds a curve, unless there is nothing to be seen of it.
    fn push(mut self, name: &str, hue: usize, shape: Shape) -> Self {
        if shape.is_empty() {
            return self;
        }
        self.curves.push(Curve { name: name.to_owned(), hue, shape });
        self
    }

    /// A value over time, as a line through the last of each span.
    pub(super) fn line(self, name: &str, hue: usize, values: &Timeline) -> Self {
        let points = values.spans().map(|(at, span)| (seconds(at), span.last)).collect();
        self.push(name, hue, Shape::Line(points))
    }

    /// A value that jumps: a line through the last of each span, in a band from the smallest to
    /// the largest.
    pub(super) fn band(self, name: &str, hue: usize, values: &Timeline) -> Self {
        let points = values.spans().map(|(at, span)| (seconds(at), span.min, span.max)).collect();
        self.push(name, hue, Shape::Band(points)).line(name, hue, values)
    }

    /// A value that stays as it is until the next.
    pub(super) fn steps(self, name: &str, hue: usize, values: &Timeline) -> Self {
        let points = values.spans().map(|(at, span)| (seconds(at), span.last)).collect();
        self.push(name, hue, Shape::Steps(points))
    }

    /// Sums over time as a rate.
    pub(super) fn rate(self, name: &str, hue: usize, values: &Timeline) -> Self {
        let (width, bins) = self.bins(values);
        let points = bins.into_iter().enumerate();
        let points = points.map(|(at, sum)| (at as f64 * width, sum / width)).collect();
        self.push(name, hue, Shape::Steps(points))
    }

    /// Sums over time as columns, on top of the columns before.
    pub(super) fn bars(self, name: &str, hue: usize, values: &Timeline) -> Self {
        let (width, bins) = self.bins(values);
        let foot = |at: f64| {
            let heads = self.curves.iter().filter_map(|curve| match &curve.shape {
                Shape::Bars(_, bars) => bars.iter().find(|(start, ..)| *start == at),
                _ => None,
            });
            heads.map(|(.., head)| *head).fold(0.0, f64::max)
        };
        let bars = bins.into_iter().enumerate().filter(|(_, sum)| *sum > 0.0);
        let bars: Vec<_> = bars
            .map(|(at, sum)| {
                let start = at as f64 * width;
                (start, foot(start), foot(start) + sum)
            })
            .collect();
        self.push(name, hue, Shape::Bars(width, bars))
    }

    /// Sums in pieces of time of equal length, which is given first.
    fn bins(&self, values: &Timeline) -> (f64, Vec<f64>) {
        let fine = values.width().as_secs_f64();
        // Whole spans, or neighbours would get different shares.
        let width = (self.stage.time.high / f64::from(BINS) / fine).ceil().max(1.0) * fine;
        let count = (self.stage.time.high / width).ceil() as usize + 1;
        let mut bins = vec![0.0; count];
        for (at, span) in values.spans() {
            let at = (seconds(at) / width + 1e-9) as usize;
            if let Some(bin) = bins.get_mut(at) {
                *bin += span.sum;
            }
        }
        (width, bins)
    }

    /// The plot as a figure of HTML; nothing if there is nothing to be seen.
    pub(super) fn draw(self) -> String {
        if self.curves.is_empty() {
            return String::new();
        }
        let high = self.curves.iter().map(|curve| highest(&curve.shape)).fold(0.0, f64::max);
        let y = Axis::to(high, self.unit, 4);
        let mut html = String::from("<figure><figcaption>");
        let _ = write!(html, "<b>{}</b>", escape(&self.title));
        // A band belongs to the line within it, which has its colour.
        for curve in self.curves.iter().filter(|curve| !matches!(curve.shape, Shape::Band(_))) {
            let (hue, name) = (curve.hue, escape(&curve.name));
            let _ = write!(
                html,
                " <span class=\"key\"><svg width=\"22\" height=\"10\" aria-hidden=\"true\">{}\
                 </svg>{name}</span>",
                sample(&curve.shape, hue)
            );
        }
        html.push_str("</figcaption>");
        let names: Vec<_> = self.curves.iter().map(|curve| curve.name.as_str()).collect();
        let label = format!("{} over time: {}", self.title, names.join(", "));
        let _ = write!(
            html,
            "<svg class=\"plot\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\" \
             data-y=\"{} {}\" data-unit=\"{}\" data-x=\"{} {}\" data-xunit=\"{}\">",
            escape(&label),
            y.low / y.scale,
            y.high / y.scale,
            y.unit,
            self.stage.time.low / self.stage.time.scale,
            self.stage.time.high / self.stage.time.scale,
            self.stage.time.unit,
        );
        background(&mut html, self.stage);
        axes(&mut html, self.stage, &y);
        for curve in &self.curves {
            draw_curve(&mut html, self.stage, &y, curve);
        }
        html.push_str("</svg></figure>\n");
        html
    }
}

fn seconds(at: tripline_sansio::Instant) -> f64 {
    at.as_nanos() as f64 / 1e9
}

fn highest(shape: &Shape) -> f64 {
    let values: Vec<f64> = match shape {
        Shape::Line(points) | Shape::Steps(points) => points.iter().map(|(_, y)| *y).collect(),
        Shape::Band(points) => points.iter().map(|(.., high)| *high).collect(),
        Shape::Bars(_, bars) => bars.iter().map(|(.., head)| *head).collect(),
    };
    values.into_iter().fold(0.0, f64::max)
}

/// What a curve looks like, for the legend.
fn sample(shape: &Shape, hue: usize) -> String {
    match shape {
        Shape::Line(_) | Shape::Steps(_) => format!("<path class=\"c{hue}\" d=\"M1 5H21\"/>"),
        Shape::Band(_) => String::new(),
        Shape::Bars(..) => format!("<rect class=\"f{hue}\" x=\"6\" width=\"10\" height=\"10\"/>"),
    }
}

fn x_of(stage: &Stage, at: f64) -> f64 {
    LEFT + stage.time.part(at) * (WIDTH - LEFT - RIGHT)
}

fn y_of(axis: &Axis, value: f64) -> f64 {
    HEIGHT - BOTTOM - axis.part(value) * (HEIGHT - TOP - BOTTOM)
}

/// What happened, behind the curves.
fn background(html: &mut String, stage: &Stage) {
    let (top, height) = (pixels(TOP), pixels(HEIGHT - TOP - BOTTOM));
    let mut area = |class: &str, from: f64, to: f64, what: &str| {
        let (left, right) = (x_of(stage, from), x_of(stage, to));
        let _ = write!(
            html,
            "<rect class=\"{class}\" x=\"{}\" y=\"{top}\" width=\"{}\" height=\"{height}\">\
             <title>{}</title></rect>",
            pixels(left),
            pixels((right - left).max(0.5)),
            escape(what)
        );
    };
    if let Some(calm) = stage.calm {
        area("calm", calm, stage.time.high, "all is healed");
    }
    for (from, to, what) in stage.cuts.iter().take(MARKS) {
        area("cut", *from, *to, what);
    }
    if stage.marks.len() <= MARKS {
        for (at, what) in &stage.marks {
            mark(html, "step", x_of(stage, *at), what);
        }
    }
    if let Some(at) = stage.failure {
        mark(html, "failure", x_of(stage, at), "the run failed");
    }
}

fn mark(html: &mut String, class: &str, x: f64, what: &str) {
    let (x, top, bottom) = (pixels(x), pixels(TOP), pixels(HEIGHT - BOTTOM));
    let _ = write!(
        html,
        "<path class=\"{class}\" d=\"M{x} {top}V{bottom}\"><title>{}</title></path>",
        escape(what)
    );
}

fn axes(html: &mut String, stage: &Stage, y: &Axis) {
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    for (value, label) in &y.ticks {
        let at = y_of(y, *value);
        let _ = write!(
            html,
            "<path class=\"grid\" d=\"M{LEFT} {}H{right}\"/>\
             <text class=\"end\" x=\"{}\" y=\"{}\">{label}</text>",
            pixels(at),
            LEFT - 5.0,
            pixels(at + 3.5)
        );
    }
    for (value, label) in &stage.time.ticks {
        let at = pixels(x_of(stage, *value));
        let _ = write!(
            html,
            "<path class=\"tick\" d=\"M{at} {bottom}v4\"/>\
             <text class=\"mid\" x=\"{at}\" y=\"{}\">{label}</text>",
            bottom + 15.0
        );
    }
    let _ = write!(
        html,
        "<path class=\"axis\" d=\"M{LEFT} {bottom}H{right}\"/>\
         <text class=\"unit end\" x=\"{}\" y=\"{}\">{}</text>\
         <text class=\"unit end\" x=\"{}\" y=\"9\">{}</text>",
        right,
        HEIGHT - 1.0,
        stage.time.unit,
        LEFT - 5.0,
        y.unit
    );
}

fn draw_curve(html: &mut String, stage: &Stage, y: &Axis, curve: &Curve) {
    let hue = curve.hue;
    let at = |x: f64, value: f64| format!("{} {}", pixels(x_of(stage, x)), pixels(y_of(y, value)));
    match &curve.shape {
        Shape::Line(points) => {
            let path: Vec<_> = points.iter().map(|(x, value)| at(*x, *value)).collect();
            path_of(html, "c", curve, &format!("M{}", path.join("L")));
        }
        Shape::Steps(points) => {
            let mut path = String::new();
            for (x, value) in points {
                let (x, height) = (pixels(x_of(stage, *x)), pixels(y_of(y, *value)));
                let _ = match path.is_empty() {
                    true => write!(path, "M{x} {height}"),
                    false => write!(path, "H{x}V{height}"),
                };
            }
            path_of(html, "c", curve, &path);
        }
        Shape::Band(points) => {
            let over = points.iter().map(|(x, _, high)| at(*x, *high));
            let under = points.iter().rev().map(|(x, low, _)| at(*x, *low));
            let path: Vec<_> = over.chain(under).collect();
            path_of(html, "b", curve, &format!("M{}Z", path.join("L")));
        }
        Shape::Bars(width, bars) => {
            for (start, foot, head) in bars {
                let (left, right) = (x_of(stage, *start), x_of(stage, start + width));
                let (low, top) = (y_of(y, *foot), y_of(y, *head));
                let _ = write!(
                    html,
                    "<rect class=\"f{hue}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\">\
                     <title>{}: {}</title></rect>",
                    pixels(left),
                    pixels(top),
                    pixels((right - left - 0.4).max(0.8)),
                    pixels((low - top).max(0.5)),
                    escape(&curve.name),
                    head - foot
                );
            }
        }
    }
}

fn path_of(html: &mut String, class: &str, curve: &Curve, path: &str) {
    let (hue, name) = (curve.hue, escape(&curve.name));
    let _ = write!(html, "<path class=\"{class}{hue}\" data-name=\"{name}\" d=\"{path}\"/>");
}

#[cfg(test)]
mod tests {
    use super::*;
    use tripline_sansio::{Duration, Instant};

    fn stage() -> Stage {
        Stage {
            time: Axis::exact(0.0, 10.0, Unit::Time, 8),
            marks: vec![(1.0, "phone <does> it".into())],
            cuts: vec![(2.0, 4.0, "a>b".into())],
            calm: Some(8.0),
            failure: Some(9.0),
        }
    }

    fn values(values: &[(u64, f64)]) -> Timeline {
        let mut line = Timeline::default();
        for (seconds, value) in values {
            line.add(Instant::ZERO + Duration::from_secs(*seconds), *value);
        }
        line.widen_to(Instant::ZERO + Duration::from_secs(10));
        line
    }

    #[test]
    fn nothing_to_see_is_no_picture() {
        let stage = stage();
        let plot = Plot::new(&stage, "empty", Unit::Bytes).line("a", 0, &Timeline::default());
        assert_eq!(plot.draw(), "");
        let plot = Plot::new(&stage, "zeros", Unit::Rate).rate("a", 0, &values(&[(1, 0.0)]));
        assert_eq!(plot.draw(), "");
    }

    #[test]
    fn curves_are_where_their_values_are() {
        let stage = stage();
        let ramp = values(&[(0, 0.0), (5, 500.0), (10, 1_000.0)]);
        let html = Plot::new(&stage, "<ramp>", Unit::Bytes).line("up & on", 1, &ramp).draw();
        assert!(html.contains("<b>&lt;ramp&gt;</b>"), "{html}");
        // A span begins up to 33 ms before its value.
        let path = html.split("data-name=\"up &amp; on\" d=\"").nth(1).unwrap();
        assert!(path.starts_with("M48 168L306."), "{path}");
        let end = path.split('"').next().unwrap().rsplit('L').next().unwrap();
        assert!(end.starts_with("565.") && end.ends_with(" 20"), "{end}");
        assert!(html.contains("phone &lt;does&gt; it"), "{html}");
        for class in ["calm", "cut", "failure", "step"] {
            assert!(html.contains(&format!("class=\"{class}\"")), "{class}: {html}");
        }
    }

    #[test]
    fn columns_stand_on_each_other() {
        let stage = stage();
        let (one, other) = (values(&[(1, 2.0), (1, 1.0)]), values(&[(1, 1.0), (3, 4.0)]));
        let plot = Plot::new(&stage, "drops", Unit::Count("packets")).bars("one", 0, &one);
        let html = plot.bars("other", 1, &other).draw();
        assert!(html.contains("<title>one: 3</title>"), "{html}");
        let on_top = html.split("<rect class=\"f1\" x=").nth(2).unwrap();
        assert!(on_top.contains(" y=\"20\" ") && on_top.contains("height=\"37\""), "{on_top}");
    }
}
