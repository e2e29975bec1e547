//! The report for machines: every round of every peer.

use serde_json::{Value, json};

use super::{OURS, machine, ratio, series, spread};
use crate::rounds::{Case, Series};
use crate::spread::Spread;

/// Everything in the tables, and every round.
pub fn json(cases: &[Case], command: &[String]) -> Value {
    let cases: Vec<Value> = cases.iter().map(one_case).collect();
    json!({"made_with": machine::facts(command), "cases": cases})
}

fn one_case(case: &Case) -> Value {
    let peers: Vec<Value> = case.all.iter().map(|one| one_peer(case, one)).collect();
    json!({
        "workload": case.workload.name,
        "size": case.workload.size(&case.task),
        "suite": case.suite.name(),
        "peers": peers,
    })
}

fn one_peer(case: &Case, one: &Series) -> Value {
    let metric = case.workload.main.metric;
    let ours = series(case, OURS).and_then(|ours| ratio(ours, one, metric));
    let main = spread(one, metric).map(three);
    let rounds: Vec<_> = one.rounds.iter().map(|record| &record.0).collect();
    json!({
        "peer": one.peer.name,
        "encrypted": !one.peer.suites.is_empty(),
        "part": one.peer.part,
        metric: main,
        "tripline_over_this": ours.map(three),
        "rounds": rounds,
    })
}

fn three(Spread { min, median, max }: Spread) -> Value {
    json!({"min": min, "median": median, "max": max})
}
