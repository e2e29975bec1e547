//! Values over time, in a bounded number of points.
//!
//! Time is cut into spans of equal length, and each keeps how many values fell into it, the
//! smallest, largest and last of them, and their sum. When a value comes that lies behind the last
//! span, neighbours are put together and the spans are twice as long: a run of any length fits, and
//! nothing is left out, only blurred.

use tripline_sansio::{Duration, Instant};

/// The most spans.
pub(in crate::record) const POINTS: u64 = 600;
/// How long a span is at first, in nanoseconds.
const FIRST_WIDTH: u64 = 1_000_000;

/// The values of one span of time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::record) struct Span {
    /// How many; if none, the rest means nothing.
    pub(in crate::record) count: u64,
    /// The smallest.
    pub(in crate::record) min: f64,
    /// The largest.
    pub(in crate::record) max: f64,
    /// The last.
    pub(in crate::record) last: f64,
    /// All of them together.
    pub(in crate::record) sum: f64,
}

impl Span {
    const fn of(value: f64) -> Self {
        Self { count: 1, min: value, max: value, last: value, sum: value }
    }

    /// With a later span behind it.
    fn and(self, later: Self) -> Self {
        match (self.count, later.count) {
            (_, 0) => self,
            (0, _) => later,
            (one, other) => Self {
                count: one + other,
                min: self.min.min(later.min),
                max: self.max.max(later.max),
                last: later.last,
                sum: self.sum + later.sum,
            },
        }
    }
}

/// Values over time.
#[derive(Clone, Debug)]
pub(in crate::record) struct Timeline {
    /// How long a span is, in nanoseconds.
    width: u64,
    spans: Vec<Span>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self { width: FIRST_WIDTH, spans: Vec::new() }
    }
}

impl Timeline {
    /// A value, in the order of time.
    pub(in crate::record) fn add(&mut self, at: Instant, value: f64) {
        self.widen_to(at);
        let index = (at.as_nanos() / self.width) as usize;
        if self.spans.len() <= index {
            self.spans.resize(index + 1, Span::default());
        }
        if let Some(span) = self.spans.get_mut(index) {
            *span = span.and(Span::of(value));
        }
    }

    /// Makes spans so long that `at` falls into one.
    pub(in crate::record) fn widen_to(&mut self, at: Instant) {
        while at.as_nanos() / self.width >= POINTS {
            self.width *= 2;
            let pair = |pair: &[Span]| pair.iter().copied().fold(Span::default(), Span::and);
            self.spans = self.spans.chunks(2).map(pair).collect();
        }
    }

    /// How long a span is.
    pub(in crate::record) const fn width(&self) -> Duration {
        Duration::from_nanos(self.width)
    }

    /// The spans that have values, each with the time of its beginning.
    pub(in crate::record) fn spans(&self) -> impl Iterator<Item = (Instant, Span)> {
        let starts = (0..).map(|index| Instant::from_nanos(index * self.width));
        starts.zip(self.spans.iter().copied()).filter(|(_, span)| span.count > 0)
    }

    /// Whether any value was more than zero.
    pub(in crate::record) fn is_flat(&self) -> bool {
        self.spans().all(|(_, span)| span.max <= 0.0)
    }

    /// All values together.
    pub(in crate::record) fn sum(&self) -> f64 {
        self.spans().map(|(_, span)| span.sum).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_any_length_fits_and_nothing_is_left_out() {
        let mut line = Timeline::default();
        let mut at = 1;
        let mut sum = 0.0;
        for value in 0..64 {
            line.add(Instant::from_nanos(at - 1), f64::from(value));
            sum += f64::from(value);
            at = at.saturating_mul(2);
        }
        line.add(Instant::MAX, 1.0);
        assert!(line.spans.len() as u64 <= POINTS, "{}", line.spans.len());
        assert_eq!(line.sum(), sum + 1.0);
        let count: u64 = line.spans().map(|(_, span)| span.count).sum();
        assert_eq!(count, 65);
        assert!(!line.is_flat());
    }

    #[test]
    fn a_span_keeps_extremes_and_the_last() {
        let mut line = Timeline::default();
        for (micros, value) in [(100, 5.0), (200, 9.0), (300, 7.0), (2_100, 1.0)] {
            line.add(Instant::from_nanos(micros * 1_000), value);
        }
        let all: Vec<_> = line.spans().collect();
        let first = Span { count: 3, min: 5.0, max: 9.0, last: 7.0, sum: 21.0 };
        assert_eq!(all, [(Instant::ZERO, first), (Instant::from_nanos(2_000_000), Span::of(1.0))]);
        line.widen_to(Instant::from_nanos(600_000_000));
        assert_eq!(line.width(), Duration::from_millis(2));
        assert_eq!(line.spans().next(), Some((Instant::ZERO, first)));
        line.widen_to(Instant::from_nanos(1_200_000_000));
        let all = Span { count: 4, min: 1.0, max: 9.0, last: 1.0, sum: 22.0 };
        assert_eq!(line.spans().collect::<Vec<_>>(), [(Instant::ZERO, all)]);
    }
}
