//! The sweep as a picture: requests a second over the number of connections, a line for each peer,
//! with the least and the most of its rounds as bars. SVG, written by hand: nothing to install.

use super::Step;
use crate::report::{number, spread};
use crate::spread::Spread;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 130.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 60.0;
/// A colour for each line, told apart without colour sight too: by the dashes.
const STROKES: &[(&str, &str)] =
    &[("#0b6e4f", "none"), ("#b3541e", "8 4"), ("#2d4f9e", "2 4"), ("#7a2048", "12 3 2 3")];

/// A point of a line.
struct Point {
    x: f64,
    connections: u64,
    rate: Spread,
}

/// The picture.
pub fn plot(steps: &[Step]) -> String {
    let lines = lines(steps);
    let most = lines.iter().flat_map(|(_, points)| points).map(|point| point.rate.max);
    let top = nice(most.fold(1.0, f64::max));
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"22\" font-size=\"14\">Requests a second, echoed, by the number of \
         connections</text>\n"
    );
    out += &axes(steps, top);
    for (number, (name, points)) in lines.iter().enumerate() {
        out += &line(name, points, top, STROKES[number % STROKES.len()]);
    }
    out += "</svg>\n";
    out
}

/// Every peer's line.
fn lines(steps: &[Step]) -> Vec<(&'static str, Vec<Point>)> {
    let Some(first) = steps.first() else { return Vec::new() };
    let point = |name: &str, (index, step): (usize, &Step)| {
        let series = step.case.all.iter().find(|series| series.peer.name == name)?;
        let rate = spread(series, "rate")?;
        Some(Point { x: x_of(index, steps.len()), connections: step.connections, rate })
    };
    let names = first.case.all.iter().map(|series| series.peer.name);
    names
        .map(|name| (name, steps.iter().enumerate().filter_map(|at| point(name, at)).collect()))
        .collect()
}

/// Steps are powers of ten, so equal distances are a logarithm.
fn x_of(index: usize, count: usize) -> f64 {
    let room = WIDTH - LEFT - RIGHT;
    LEFT + room * index as f64 / (count.max(2) - 1) as f64
}

fn y_of(rate: f64, top: f64) -> f64 {
    HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * rate / top
}

/// The next number with one digit that counts.
fn nice(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    (value / power).ceil() * power
}

fn axes(steps: &[Step], top: f64) -> String {
    let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
    let mut out = String::new();
    for part in 0..=4 {
        let rate = top * f64::from(part) / 4.0;
        let y = y_of(rate, top);
        out += &format!(
            "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n",
            LEFT - 8.0,
            y + 4.0,
            number(rate, 0)
        );
    }
    for (index, step) in steps.iter().enumerate() {
        out += &format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n",
            x_of(index, steps.len()),
            bottom + 20.0,
            number(step.connections as f64, 0)
        );
    }
    out += &format!(
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">connections</text>\n",
        (LEFT + right) / 2.0,
        bottom + 42.0
    );
    out
}

fn line(name: &str, points: &[Point], top: f64, (colour, dashes): (&str, &str)) -> String {
    let mut out = String::new();
    let mut path = Vec::new();
    for point in points {
        let (x, y) = (point.x, y_of(point.rate.median, top));
        let (low, high) = (y_of(point.rate.min, top), y_of(point.rate.max, top));
        path.push(format!("{x:.1},{y:.1}"));
        out += &format!(
            "<line x1=\"{x:.1}\" y1=\"{low:.1}\" x2=\"{x:.1}\" y2=\"{high:.1}\" \
             stroke=\"{colour}\"/><circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\">\
             <title>{name}, {}: {}</title></circle>\n",
            point.connections,
            number(point.rate.median, 0)
        );
    }
    if let Some(last) = points.last() {
        out += &format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" \
             stroke-dasharray=\"{dashes}\"/><text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\">{name}\
             </text>\n",
            path.join(" "),
            last.x + 10.0,
            y_of(last.rate.median, top) + 4.0
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_reach_what_they_show() {
        for value in [1.0, 9.0, 11.0, 123_456.0, 2_000_000.0] {
            let top = nice(value);
            assert!(top >= value && top <= value * 2.0, "{value}: {top}");
        }
        assert!(y_of(10.0, 10.0) < y_of(0.0, 10.0));
        assert!(x_of(0, 5) < x_of(4, 5) && x_of(0, 1).is_finite());
    }
}
