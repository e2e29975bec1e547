//! What was asked of the engine before it was measured, and whether it holds in these figures.

use super::{OURS, number, ratio, series, spread};
use crate::rounds::Case;
use crate::task::Suite;

/// A bound on the median of our figure, or of our figure over another peer's.
struct Goal {
    workload: &'static str,
    ours: &'static str,
    other: Option<&'static str>,
    metric: &'static str,
    bound: Bound,
}

#[derive(Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
    /// Not more than so much above the other's.
    Above(f64),
}

const fn goal(
    workload: &'static str,
    other: Option<&'static str>,
    metric: &'static str,
    bound: Bound,
) -> Goal {
    Goal { workload, ours: OURS, other, metric, bound }
}

/// The same of requests that are handed in one by one, on both sides of the comparison.
const fn each(other: &'static str, bound: Bound) -> Goal {
    Goal { ours: EACH, ..goal("requests", Some(other), "rate", bound) }
}

/// Ours with a call for each message.
const EACH: &str = "tripline-each";

use Bound::{Above, AtLeast, AtMost};

/// All of them.
const GOALS: &[Goal] = &[
    goal("bulk", Some("quinn"), "rate", AtLeast(2.0)),
    goal("bulk", Some("s2n-quic"), "rate", AtLeast(1.4)),
    goal("bulk", Some("quinn"), "cpu_per_gb", AtMost(0.5)),
    goal("bulk", Some("udp-floor"), "rate", AtLeast(0.45)),
    goal("requests", Some("quinn"), "rate", AtLeast(2.0)),
    goal("requests", Some("s2n-quic"), "rate", AtLeast(1.3)),
    each("quinn-each", AtLeast(2.0)),
    each("s2n-quic-each", AtLeast(1.3)),
    goal("requests", Some("quinn-streams"), "rate", AtLeast(10.0)),
    goal("requests", Some("enet"), "rate", AtLeast(5.0)),
    goal("calls", Some("quinn-each"), "rate", AtLeast(1.5)),
    goal("calls", Some("tonic"), "rate", AtLeast(10.0)),
    goal("unbatched", Some("quinn"), "cpu_us_per_unit", AtMost(0.4)),
    goal("pingpong", Some("udp"), "p50", Above(10.0)),
    goal("pingpong", Some("quinn"), "p999", AtMost(1.0)),
    goal("connects", Some("quinn"), "rate", AtLeast(1.7)),
    goal("idle", None, "heap_per_connection", AtMost(4_096.0)),
    goal("idle", None, "cpu_share", AtMost(1.0)),
    goal("engine", None, "ns_per_packet", AtMost(1_000.0)),
    goal("engine", None, "allocations_per_packet", AtMost(0.05)),
    goal("messages", None, "rate", AtLeast(5_000_000.0)),
];

/// One line for each goal that these figures say something about.
pub fn lines(cases: &[Case]) -> Vec<String> {
    let mut lines = Vec::new();
    for goal in GOALS {
        for case in cases.iter().filter(|case| case.workload.name == goal.workload) {
            // Bounds that name no peer were set for AES.
            if goal.other.is_none() && case.suite != Suite::Aes256 {
                continue;
            }
            if let Some((value, good)) = goal.judge(case) {
                lines.push(goal.line(case, value, good));
            }
        }
    }
    lines
}

impl Goal {
    /// The median that counts, and whether it is within the bound.
    fn judge(&self, case: &Case) -> Option<(f64, bool)> {
        let ours = series(case, self.ours)?;
        let value = match (self.other, self.bound) {
            (None, _) => spread(ours, self.metric)?.median,
            (Some(other), Above(_)) => {
                spread(ours, self.metric)?.median
                    - spread(series(case, other)?, self.metric)?.median
            }
            (Some(other), _) => ratio(ours, series(case, other)?, self.metric)?.median,
        };
        let good = match self.bound {
            AtLeast(bound) => value >= bound,
            AtMost(bound) | Above(bound) => value <= bound,
        };
        Some((value, good))
    }

    fn line(&self, case: &Case, value: f64, good: bool) -> String {
        let against = match self.other {
            None => String::new(),
            Some(other) => format!(" against {other}"),
        };
        let (sign, bound) = match self.bound {
            AtLeast(bound) => ("at least", bound),
            AtMost(bound) => ("at most", bound),
            Above(bound) => ("more by at most", bound),
        };
        let digits = if bound >= 100.0 { 0 } else { 2 };
        let times =
            if self.other.is_some() && !matches!(self.bound, Above(_)) { " ×" } else { "" };
        format!(
            "| {} {} {}{against} | {sign} {}{times} | {}{times} | {} |",
            case.workload.name,
            case.suite.flag(),
            self.metric,
            number(bound, digits),
            number(value, digits),
            if good { "yes" } else { "**no**" }
        )
    }
}
