//! Many rounds made into few figures: minimum, median and maximum per peer, and how the peers
//! compare.

use serde_json::{Value, json};

use crate::spread::Spread;
use crate::workload::{Figures, Workload};

/// All rounds of one peer, in the order they were run.
pub struct Series {
    /// The peer's name.
    pub name: &'static str,
    /// One entry per round.
    pub rounds: Vec<Figures>,
}

/// Throughput of `ours` over that of `base`, round by round: rounds are interleaved, so both sides
/// of each quotient saw the same weather on the machine.
pub fn ratio(ours: &Series, base: &Series) -> Spread {
    let pairs = ours.rounds.iter().zip(&base.rounds);
    Spread::of(pairs.map(|(a, b)| a.megabytes_per_second() / b.megabytes_per_second()))
}

fn rate(series: &Series) -> Spread {
    Spread::of(series.rounds.iter().map(Figures::megabytes_per_second))
}

fn cpu(series: &Series) -> Spread {
    Spread::of(series.rounds.iter().map(Figures::cpu_seconds))
}

fn handshake_ms(series: &Series) -> Spread {
    Spread::of(series.rounds.iter().map(|one| one.handshake.as_secs_f64() * 1e3))
}

/// The report for people: one line per peer, then one line per pair.
pub fn text(work: &Workload, all: &[Series]) -> String {
    let mut out = format!("{} bytes on one stream, {}\n\n", work.bytes, work.suite.name());
    out += &format!(
        "{:<10} {:>6} {:>26} {:>23} {:>14}\n",
        "peer", "rounds", "MB/s min/median/max", "CPU s min/median/max", "handshake ms"
    );
    for series in all {
        let (rate, cpu) = (rate(series), cpu(series));
        out += &format!(
            "{:<10} {:>6} {:>26} {:>23} {:>14.2}\n",
            series.name,
            series.rounds.len(),
            format!("{:.1} / {:.1} / {:.1}", rate.min, rate.median, rate.max),
            format!("{:.2} / {:.2} / {:.2}", cpu.min, cpu.median, cpu.max),
            handshake_ms(series).median,
        );
    }
    if let Some((base, others)) = all.split_first() {
        for series in others {
            let ratio = ratio(series, base);
            out += &format!(
                "\n{} / {}: {:.2} (from {:.2} to {:.2})",
                series.name, base.name, ratio.median, ratio.min, ratio.max
            );
        }
    }
    out
}

/// A spread for machines.
fn spread(Spread { min, median, max }: Spread) -> Value {
    json!({"min": min, "median": median, "max": max})
}

/// The report for machines: everything in the text, and every round.
pub fn json(work: &Workload, all: &[Series]) -> Value {
    let base = all.first();
    let peers: Vec<Value> = all
        .iter()
        .map(|series| {
            json!({
                "peer": series.name,
                "megabytes_per_second": spread(rate(series)),
                "cpu_seconds": spread(cpu(series)),
                "handshake_ms": spread(handshake_ms(series)),
                "ratio_to_first": base.map(|base| spread(ratio(series, base))),
                "rounds": series.rounds.iter().map(round).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({"bytes": work.bytes, "suite": work.suite.name(), "peers": peers})
}

fn round(one: &Figures) -> Value {
    json!({
        "megabytes_per_second": one.megabytes_per_second(),
        "transfer_seconds": one.transfer.as_secs_f64(),
        "cpu_seconds_client": one.cpu_client.as_secs_f64(),
        "cpu_seconds_server": one.cpu_server.as_secs_f64(),
        "handshake_ms": one.handshake.as_secs_f64() * 1e3,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn figures(seconds: u64) -> Figures {
        Figures {
            handshake: Duration::from_millis(1),
            transfer: Duration::from_secs(seconds),
            cpu_client: Duration::from_secs(1),
            cpu_server: Duration::from_secs(2),
            received: 8_000_000,
        }
    }

    #[test]
    fn the_median_of_odd_and_even_numbers_of_rounds() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Spread { min: 1.0, median: 2.0, max: 3.0 });
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0]).median, 2.5);
        assert_eq!(Spread::of([]).max, 0.0);
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        let base = Series { name: "base", rounds: vec![figures(4), figures(8)] };
        let ours = Series { name: "ours", rounds: vec![figures(2), figures(4)] };
        assert_eq!(ratio(&ours, &base), Spread { min: 2.0, median: 2.0, max: 2.0 });
    }
}
