//! Small pieces that every picture is made of: escaped text, axes with round numbers, units. They
//! draw nothing themselves.

/// Text that means nothing to HTML, between tags and in attributes alike.
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for one in text.chars() {
        match one {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\n' => safe.push('\n'),
            // Others of them are not allowed in HTML at all.
            one if one.is_control() => safe.push('\u{fffd}'),
            one => safe.push(one),
        }
    }
    safe
}

/// A coordinate, to a tenth of a pixel.
pub fn pixels(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
}

/// What an axis counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Time,
    /// Bytes.
    Bytes,
    /// Bytes per second, shown as bits per second.
    Rate,
    /// Things, by their name.
    Count(&'static str),
}

impl Unit {
    /// How values around `size` are shown: the unit's name, and how much of the value it is.
    fn scale(self, size: f64) -> (&'static str, f64) {
        let pick = |all: &[(&'static str, f64)]| {
            let fits = all.iter().rev().find(|(_, scale)| size >= *scale).or(all.first());
            fits.copied().unwrap_or(("", 1.0))
        };
        match self {
            Self::Time => pick(&[
                ("ns", 1e-9),
                ("µs", 1e-6),
                ("ms", 1e-3),
                ("s", 1.0),
                ("min", 300.0),
                ("h", 10_800.0),
                ("d", 259_200.0),
            ]),
            Self::Bytes => pick(&[("B", 1.0), ("kB", 1e3), ("MB", 1e6), ("GB", 1e9)]),
            Self::Rate => {
                pick(&[("bit/s", 0.125), ("kbit/s", 125.0), ("Mbit/s", 125e3), ("Gbit/s", 125e6)])
            }
            Self::Count(name) => (name, 1.0),
        }
    }
}

/// How much of a value one of these units is, where that differs from when it is chosen.
fn true_scale(name: &str, chosen_from: f64) -> f64 {
    match name {
        "min" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => chosen_from,
    }
}

/// An axis from zero (or `low`) to a round number.
#[derive(Clone, Debug)]
pub struct Axis {
    /// Where it begins.
    pub low: f64,
    /// Where it ends.
    pub high: f64,
    /// Its unit's name.
    pub unit: &'static str,
    /// How much of a value one unit is.
    pub scale: f64,
    /// Where the ticks are, and what stands there.
    pub ticks: Vec<(f64, String)>,
}

impl Axis {
    /// From 0 to at least `high`, ending at a tick.
    pub fn to(high: f64, unit: Unit, ticks: u32) -> Self {
        let mut axis = Self::exact(0.0, high, unit, ticks);
        let step = axis.ticks.get(1).map_or(1.0, |(at, _)| *at);
        axis.high = (axis.high / step - 1e-9).ceil().max(1.0) * step;
        axis.label(step);
        axis
    }

    /// From `low` to `high`, as it is.
    pub fn exact(low: f64, high: f64, unit: Unit, ticks: u32) -> Self {
        let floor = if matches!(unit, Unit::Time) { 1e-9 } else { 1.0 };
        let high = if high.is_finite() { high.max(low + floor) } else { low + floor };
        let (name, chosen_from) = unit.scale(high - low);
        let mut scale = true_scale(name, chosen_from);
        if unit == Unit::Rate {
            scale = chosen_from;
        }
        let mut step = round((high - low) / scale / f64::from(ticks.max(1))) * scale;
        if matches!(unit, Unit::Count(_) | Unit::Bytes) {
            step = step.max(1.0);
        }
        let mut axis = Self { low, high, unit: name, scale, ticks: Vec::new() };
        axis.label(step);
        axis
    }

    fn label(&mut self, step: f64) {
        let first = (self.low / step - 1e-9).ceil();
        let ticks = (0..32).map(|number| (first + f64::from(number)) * step);
        let inside: Vec<f64> = ticks.take_while(|at| *at <= self.high * (1.0 + 1e-9)).collect();
        let places = decimals(step / self.scale);
        let text = |at: f64| format!("{:.places$}", at / self.scale);
        self.ticks = inside.into_iter().map(|at| (at, text(at))).collect();
    }

    /// Where on this axis, from 0 to 1, a value is.
    pub fn part(&self, value: f64) -> f64 {
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }
}

/// The next of 1, 2, 5, 10 … from `rough` on.
fn round(rough: f64) -> f64 {
    if rough.is_nan() || rough <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(rough.log10().floor());
    let lead = [1.0, 2.0, 5.0].into_iter().find(|lead| rough <= lead * power * (1.0 + 1e-9));
    lead.unwrap_or(10.0) * power
}

/// How many decimals the multiples of `step` need.
fn decimals(step: f64) -> usize {
    (0..9).find(|places| step * 10_f64.powi(*places) >= 0.999).unwrap_or(9) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_means_something_to_html_gets_through() {
        let hostile = "</script><b a='1' c=\"2\">&\u{0}\n";
        let safe = escape(hostile);
        assert_eq!(safe, "&lt;/script&gt;&lt;b a=&#39;1&#39; c=&quot;2&quot;&gt;&amp;\u{fffd}\n");
    }

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn axes_end_at_round_numbers() {
        let axis = Axis::to(613_000.0, Unit::Rate, 4);
        assert_eq!((axis.unit, labels(&axis)), ("Mbit/s", vec!["0", "2", "4", "6"]));
        assert_eq!(axis.high, 750_000.0);
        let axis = Axis::to(0.084, Unit::Time, 4);
        assert_eq!((axis.unit, labels(&axis)), ("ms", vec!["0", "50", "100"]));
        let axis = Axis::to(1.0, Unit::Count("zone"), 4);
        assert_eq!(labels(&axis), ["0", "1"]);
        let axis = Axis::to(0.0, Unit::Bytes, 4);
        assert_eq!((axis.unit, axis.high), ("B", 1.0));
        let axis = Axis::exact(0.0, 5.0, Unit::Time, 8);
        assert_eq!(labels(&axis), ["0", "1", "2", "3", "4", "5"]);
        let axis = Axis::exact(0.0, 86_400.0 * 2.0, Unit::Time, 8);
        assert_eq!((axis.unit, labels(&axis)[1]), ("h", "10"));
        for wild in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
            assert!(Axis::to(wild, Unit::Bytes, 4).ticks.len() <= 32);
        }
        assert_eq!(axis.part(43_200.0), 0.25);
    }

    #[test]
    fn coordinates_are_short() {
        assert_eq!((pixels(3.0).as_str(), pixels(3.26).as_str()), ("3", "3.3"));
    }
}
