//! The table that the root's README shows: of each workload the figure that counts, with the peers
//! that it is compared with beside each other.

use super::{series, show, spread};
use crate::rounds::Case;
use crate::task::Suite::{self, Aes256, ChaCha};

/// A line: what it says, where its figure comes from, and whose figures stand beside each other.
struct Row {
    label: &'static str,
    workload: &'static str,
    suite: Suite,
    metric: &'static str,
    digits: usize,
    /// Ours, quinn's, s2n-quic's, ENet's; a figure that is not there leaves its cell empty.
    peers: [&'static str; 4],
}

const fn row(
    label: &'static str,
    workload: &'static str,
    suite: Suite,
    (metric, digits): (&'static str, usize),
    peers: [&'static str; 4],
) -> Row {
    Row { label, workload, suite, metric, digits, peers }
}

/// Each as it comes.
const DEFAULTS: [&str; 4] = ["tripline", "quinn", "s2n-quic", "enet"];
/// With a call for each message.
const EACH: [&str; 4] = ["tripline-each", "quinn-each", "s2n-quic-each", "enet"];
/// Beside bare requests, written one by one.
const CALLS: [&str; 4] = ["tripline", "quinn-each", "", ""];
/// Those that encrypt: ENet has its figure in the line above, or none.
const ENCRYPTED: [&str; 4] = ["tripline", "quinn", "s2n-quic", ""];
/// Engines without sockets.
const ENGINES: [&str; 4] = ["tripline", "quinn-proto", "", ""];
/// The same with a call for each message.
const ENGINES_EACH: [&str; 4] = ["tripline-each", "quinn-proto-each", "", ""];

/// All lines.
const ROWS: &[Row] = &[
    row("bulk, MB/s", "bulk", Aes256, ("rate", 0), DEFAULTS),
    row("the same, processor seconds a GB", "bulk", Aes256, ("cpu_per_gb", 2), DEFAULTS),
    row("the same with ChaCha20-Poly1305, MB/s", "bulk", ChaCha, ("rate", 0), ENCRYPTED),
    row("pipelined requests a second, a call for each", "requests", Aes256, ("rate", 0), EACH),
    row("the same in batches of 8 KiB", "requests", Aes256, ("rate", 0), ENCRYPTED),
    row("calls a second, each with its outcome", "calls", Aes256, ("rate", 0), CALLS),
    row(
        "one request outstanding on each connection, processor µs a request",
        "unbatched",
        Aes256,
        ("cpu_us_per_unit", 1),
        DEFAULTS,
    ),
    row("ping-pong of 64 bytes, p50 µs", "pingpong", Aes256, ("p50", 1), ENCRYPTED),
    row("the same, p99.9 µs", "pingpong", Aes256, ("p999", 1), ENCRYPTED),
    row("handshakes a second", "connects", Aes256, ("rate", 0), ENCRYPTED),
    row("heap of an idle connection, bytes", "idle", Aes256, ("heap_per_connection", 0), ENCRYPTED),
    row("engine alone, both sides, ns a packet", "engine", Aes256, ("ns_per_packet", 0), ENGINES),
    row("the same, messages of 64 bytes a second", "messages", Aes256, ("rate", 0), ENGINES),
    row("the same, a call for each", "messages", Aes256, ("rate", 0), ENGINES_EACH),
];

/// The table; nothing if ours took part in none of it.
pub fn brief(cases: &[Case]) -> Option<String> {
    let lines: Vec<String> = ROWS.iter().filter_map(|row| row.line(cases)).collect();
    let head = "| | tripline | quinn | s2n-quic | ENet (not encrypted) |\n|---|---|---|---|---|\n";
    (!lines.is_empty()).then(|| format!("\n### In brief\n\n{head}{}\n", lines.join("\n")))
}

impl Row {
    fn line(&self, cases: &[Case]) -> Option<String> {
        let here = |case: &&Case| case.workload.name == self.workload && case.suite == self.suite;
        let case = cases.iter().find(here)?;
        let cell = |name: &&str| Some(show(spread(series(case, name)?, self.metric)?, self.digits));
        let cells: Vec<_> = self.peers.iter().map(|name| cell(name).unwrap_or_default()).collect();
        let ours = cells.first().is_some_and(|ours| !ours.is_empty());
        ours.then(|| format!("| {} | {} |", self.label, cells.join(" | ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workloads::Workload;

    #[test]
    fn every_line_names_workloads_suites_and_peers_that_there_are() {
        for row in ROWS {
            let workload = Workload::named(row.workload).expect(row.workload);
            assert!(workload.suites.contains(&row.suite), "{}", row.label);
            let known = |name: &str| workload.peers.iter().any(|peer| peer.name == name);
            // Not every peer is in every workload; ours is, and another.
            assert!(known(row.peers[0]) && known(row.peers[1]), "{}", row.label);
        }
    }
}
