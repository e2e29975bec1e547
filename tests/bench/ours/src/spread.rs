//! Smallest, middle and largest of a series: what the binaries make of their rounds and runs.

/// Minimum, median and maximum of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The smallest value.
    pub min: f64,
    /// The middle value; of an even number of values, the mean of the middle two.
    pub median: f64,
    /// The largest value.
    pub max: f64,
}

impl Spread {
    /// Of any number of values; all zero when there are none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (Some(&min), Some(&max)) = (sorted.first(), sorted.last()) else {
            return Self { min: 0.0, median: 0.0, max: 0.0 };
        };
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            (sorted[middle - 1] + sorted[middle]) / 2.0
        };
        Self { min, median, max }
    }
}
