//! The number of connections swept: the same number of requests in all, spread over 1 to 10,000
//! connections. In goes what to measure, out come a table and a picture.

mod plot;

use crate::options::Options;
use crate::report::{number, show, spread};
use crate::rounds::{self, Case};
use crate::task::{Failure, Suite, Task};
use crate::workloads::{Column, Workload};

pub use plot::plot;

/// The numbers of connections.
const STEPS: &[u64] = &[1, 10, 100, 1_000, 10_000];
/// Who takes part, unless the command line says otherwise.
const PEERS: &[&str] = &["tripline", "quinn"];

/// One number of connections.
pub struct Step {
    /// How many.
    pub connections: u64,
    /// Everyone's rounds.
    pub case: Case,
}

/// Measures every step; requests in all are those of the options: connections times requests.
pub fn measure(options: &Options) -> Result<Vec<Step>, Failure> {
    let all = options.task.connections * options.task.requests;
    let workload = Workload::named("requests").ok_or("no workload is called requests")?;
    let mut steps = Vec::new();
    for &connections in STEPS.iter().filter(|step| **step <= all) {
        let task = Task { connections, requests: all / connections, ..options.task };
        let mut options = Options {
            task,
            workloads: vec![workload],
            suites: vec![Suite::Aes256],
            ..options.clone()
        };
        if options.peers.is_empty() {
            options.peers = PEERS.iter().map(|name| (*name).to_owned()).collect();
        }
        let case = rounds::measure(&options)?.pop().ok_or("nobody takes part")?;
        steps.push(Step { connections, case });
    }
    Ok(steps)
}

/// The table in Markdown.
pub fn table(steps: &[Step]) -> String {
    let mut out = String::from("| connections | requests of each |");
    let Some(first) = steps.first() else { return String::new() };
    let columns: Vec<Column> = first.case.workload.columns().collect();
    for series in &first.case.all {
        for column in &columns {
            out += &format!(" {}: {} |", series.peer.name, column.head);
        }
    }
    let width = 2 + first.case.all.len() * columns.len();
    out += &format!("\n|{}\n", "---|".repeat(width));
    for step in steps {
        out += &format!(
            "| {} | {} |",
            number(step.connections as f64, 0),
            number(step.case.task.requests as f64, 0)
        );
        for series in &step.case.all {
            for column in &columns {
                let cell = spread(series, column.metric).map(|all| show(all, column.digits));
                out += &format!(" {} |", cell.unwrap_or_default());
            }
        }
        out.push('\n');
    }
    out
}
