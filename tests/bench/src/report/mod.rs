//! Many rounds made into few figures: minimum, median and maximum of each peer, and how the peers
//! compare.

mod brief;
mod goals;
mod json;
mod machine;
mod table;

pub use json::json;
pub use table::{head, tables};

use crate::rounds::{Case, Series};
use crate::spread::Spread;

/// The peer that all others are compared with.
const OURS: &str = "tripline";

/// The spread of one metric of one peer; nothing if it has none.
pub fn spread(series: &Series, metric: &str) -> Option<Spread> {
    let values: Vec<f64> = series.rounds.iter().filter_map(|one| one.get(metric)).collect();
    (!values.is_empty()).then(|| Spread::of(values))
}

/// A metric of `ours` over that of `other`, round by round: rounds are interleaved, so both sides
/// of each quotient saw the same weather on the machine.
fn ratio(ours: &Series, other: &Series, metric: &str) -> Option<Spread> {
    let pairs = ours.rounds.iter().zip(&other.rounds);
    let quotient = |(a, b): (&crate::task::Record, &crate::task::Record)| {
        Some(a.get(metric)? / b.get(metric)?).filter(|value| value.is_finite())
    };
    let all: Option<Vec<f64>> = pairs.map(quotient).collect();
    all.filter(|all| !all.is_empty()).map(Spread::of)
}

/// The series of a peer in a case.
fn series<'a>(case: &'a Case, name: &str) -> Option<&'a Series> {
    case.all.iter().find(|series| series.peer.name == name)
}

/// `median (min–max)`, thousands apart.
pub fn show(spread: Spread, digits: usize) -> String {
    let one = |value: f64| number(value, digits);
    if spread.min == spread.max {
        return one(spread.median);
    }
    format!("{} ({}–{})", one(spread.median), one(spread.min), one(spread.max))
}

/// A number with so many digits behind the point, and commas between thousands.
pub fn number(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    let (whole, rest) = text.split_once('.').map_or((text.as_str(), ""), |(a, b)| (a, b));
    let mut out = String::new();
    for (at, digit) in whole.chars().enumerate() {
        let left = whole.len() - at;
        if at > 0 && left % 3 == 0 && !out.ends_with('-') {
            out.push(',');
        }
        out.push(digit);
    }
    if rest.is_empty() { out } else { format!("{out}.{rest}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Record;
    use crate::workloads::WORKLOADS;

    fn series_of(rates: &[f64]) -> Series {
        let record = |rate: &f64| {
            let mut record = Record::default();
            record.set("rate", *rate);
            record
        };
        Series { peer: &WORKLOADS[0].peers[0], rounds: rates.iter().map(record).collect() }
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        let (ours, base) = (series_of(&[4.0, 8.0]), series_of(&[2.0, 4.0]));
        let expected = Spread { min: 2.0, median: 2.0, max: 2.0 };
        assert_eq!(ratio(&ours, &base, "rate"), Some(expected));
        assert_eq!(ratio(&ours, &base, "other"), None);
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!(number(1_234_567.8, 1), "1,234,567.8");
        assert_eq!(number(999.0, 0), "999");
        assert_eq!(number(-1_000.0, 0), "-1,000");
        let spread = Spread { min: 1.0, median: 2.0, max: 3_000.0 };
        assert_eq!(show(spread, 0), "2 (1–3,000)");
    }
}
