//! The workloads, who takes part in which, and what is shown of each.

use crate::peers::{enet, kcp, quinn, s2n, tcp, tonic, udp};
use crate::proto;
use crate::task::{Failure, Record, Suite, Task};
use tripline_bench_ours::{engine, tripline};

/// A transport in one workload.
#[derive(Clone, Copy)]
pub struct Peer {
    /// The name on the command line and in reports.
    pub name: &'static str,
    /// The suites that it has; none where it does not encrypt.
    pub suites: &'static [Suite],
    /// For slow peers: this part of the bytes or requests is enough for a rate.
    pub part: u64,
    /// Runs the workload once, with threads of its own, and waits for them.
    pub run: fn(&Task) -> Result<Record, Failure>,
}

/// Where allocations are counted: in a program of its own, because counting takes time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heap {
    /// Nowhere.
    Not,
    /// Besides: the counting program runs too, and only its counts are taken.
    Also,
    /// The counting program alone runs.
    Alone,
}

/// One figure that is shown.
#[derive(Clone, Copy)]
pub struct Column {
    /// Its name in the record.
    pub metric: &'static str,
    /// The head of the column.
    pub head: &'static str,
    /// Digits behind the point.
    pub digits: usize,
}

/// One workload.
pub struct Workload {
    /// The name on the command line.
    pub name: &'static str,
    /// What people read.
    pub title: &'static str,
    /// What is compared first of all.
    pub main: Column,
    /// Whether more of it is better.
    pub more_is_better: bool,
    /// What else is shown.
    pub others: &'static [Column],
    /// Where allocations are counted.
    pub heap: Heap,
    /// The suites that are run when nobody asks for one.
    pub suites: &'static [Suite],
    /// Who takes part, in the order of a round.
    pub peers: &'static [Peer],
}

const ALL: &[Suite] = Suite::ALL;
const OURS: &[Suite] = &[Suite::Aes256, Suite::ChaCha];
const CLEAR: &[Suite] = &[];
const AES: &[Suite] = &[Suite::Aes256];

const fn peer(
    name: &'static str,
    suites: &'static [Suite],
    run: fn(&Task) -> Result<Record, Failure>,
) -> Peer {
    Peer { name, suites, part: 1, run }
}

const fn slow(part: u64, peer: Peer) -> Peer {
    Peer { part, ..peer }
}

const fn column(metric: &'static str, head: &'static str, digits: usize) -> Column {
    Column { metric, head, digits }
}

const CPU_PER_GB: Column = column("cpu_per_gb", "CPU s/GB", 2);
const CPU_EACH: Column = column("cpu_us_per_unit", "CPU µs each", 2);
const MEMORY: Column = column("peak_mb", "peak MB", 1);

/// Every workload, in the order in which they run.
pub const WORKLOADS: &[Workload] = &[
    Workload {
        name: "bulk",
        title: "(a) bulk: one stream, one connection",
        main: column("rate", "MB/s", 0),
        more_is_better: true,
        others: &[CPU_PER_GB, MEMORY],
        heap: Heap::Not,
        suites: OURS,
        peers: &[
            peer("tripline", OURS, tripline::bulk::messages),
            peer("tripline-1452", OURS, tripline::bulk::messages_1452),
            peer("tripline-1200", OURS, tripline::bulk::messages_1200),
            peer("tripline-bytes", OURS, tripline::bulk::bytes_1452),
            peer("quinn", ALL, quinn::bulk),
            peer("quinn-tuned", ALL, quinn::bulk_tuned),
            peer("s2n-quic", ALL, s2n::bulk),
            peer("udp-floor", ALL, udp::floor),
            peer("udp", CLEAR, udp::bulk),
            peer("tcp-rustls", ALL, tcp::bulk_tls),
            peer("tcp", CLEAR, tcp::bulk),
            slow(16, peer("enet", CLEAR, enet::bulk)),
            slow(16, peer("kcp", CLEAR, kcp::bulk)),
        ],
    },
    Workload {
        name: "requests",
        title: "(b) requests of 8 to 64 bytes, echoed, as fast as credit allows",
        main: column("rate", "requests/s", 0),
        more_is_better: true,
        others: &[CPU_EACH, MEMORY],
        heap: Heap::Not,
        suites: AES,
        peers: &[
            peer("tripline", OURS, tripline::requests::requests),
            peer("tripline-each", OURS, tripline::requests::requests_each),
            peer("quinn", ALL, quinn::requests),
            peer("quinn-each", ALL, quinn::requests_each),
            peer("quinn-tuned", ALL, quinn::requests_tuned),
            slow(5, peer("quinn-streams", ALL, quinn::requests_on_streams)),
            peer("s2n-quic", ALL, s2n::requests),
            peer("s2n-quic-each", ALL, s2n::requests_each),
            slow(5, peer("enet", CLEAR, enet::requests)),
        ],
    },
    Workload {
        name: "calls",
        title: "calls with bodies of 8 bytes, answered alike, beside bare requests on one stream",
        main: column("rate", "calls/s", 0),
        more_is_better: true,
        others: &[CPU_EACH, MEMORY],
        heap: Heap::Not,
        suites: AES,
        peers: &[
            peer("tripline", OURS, tripline::calls::calls),
            peer("quinn", ALL, quinn::requests),
            peer("quinn-each", ALL, quinn::requests_each),
            peer("quinn-tuned", ALL, quinn::requests_tuned),
            slow(8, peer("tonic", CLEAR, tonic::calls)),
        ],
    },
    Workload {
        name: "unbatched",
        title: "(b) the same, un-batched: one request outstanding on each connection",
        main: column("cpu_us_per_unit", "CPU µs each", 2),
        more_is_better: false,
        others: &[column("rate", "requests/s", 0), MEMORY],
        heap: Heap::Not,
        suites: AES,
        peers: &[
            slow(5, peer("tripline", OURS, tripline::requests::unbatched)),
            slow(5, peer("quinn", ALL, quinn::unbatched)),
            slow(5, peer("s2n-quic", ALL, s2n::unbatched)),
            slow(5, peer("enet", CLEAR, enet::unbatched)),
        ],
    },
    Workload {
        name: "pingpong",
        title: "(c) ping-pong of 64 bytes, each side on a core of its own",
        main: column("p50", "p50 µs", 1),
        more_is_better: false,
        others: &[column("p99", "p99 µs", 1), column("p999", "p99.9 µs", 1)],
        heap: Heap::Not,
        suites: AES,
        peers: &[
            peer("tripline", OURS, tripline::pingpong::pingpong),
            peer("udp", CLEAR, udp::pingpong),
            peer("quinn", ALL, quinn::pingpong),
            peer("s2n-quic", ALL, s2n::pingpong),
            peer("tcp", CLEAR, tcp::pingpong),
        ],
    },
    Workload {
        name: "connects",
        title: "(d) connections per second, sixteen at a time",
        main: column("rate", "connections/s", 0),
        more_is_better: true,
        others: &[CPU_EACH, MEMORY],
        heap: Heap::Not,
        suites: AES,
        peers: &[
            peer("tripline", OURS, tripline::connects::connects_nk),
            peer("tripline-ik", OURS, tripline::connects::connects_ik),
            peer("quinn", ALL, quinn::connects),
            peer("s2n-quic", ALL, s2n::connects),
        ],
    },
    Workload {
        name: "shards-bulk",
        title: "two endpoints on one port against one: bulk from four clients",
        main: column("rate", "MB/s", 0),
        more_is_better: true,
        others: &[CPU_PER_GB, MEMORY],
        heap: Heap::Not,
        suites: AES,
        peers: &[
            peer("tripline", OURS, tripline::shards::bulk_two),
            peer("one-shard", OURS, tripline::shards::bulk_one),
        ],
    },
    Workload {
        name: "shards-requests",
        title: "two endpoints on one port against one: requests from four clients",
        main: column("rate", "requests/s", 0),
        more_is_better: true,
        others: &[CPU_EACH, MEMORY],
        heap: Heap::Not,
        suites: AES,
        peers: &[
            peer("tripline", OURS, tripline::shards::requests_two),
            peer("one-shard", OURS, tripline::shards::requests_one),
        ],
    },
    Workload {
        name: "idle",
        title: "(e) connections that do nothing",
        main: column("heap_per_connection", "bytes of heap each", 0),
        more_is_better: false,
        others: &[column("cpu_share", "% of a core, both sides", 3), MEMORY],
        heap: Heap::Alone,
        suites: AES,
        peers: &[peer("tripline", OURS, tripline::idle::idle), peer("quinn", ALL, quinn::idle)],
    },
    Workload {
        name: "engine",
        title: "(f) the engine alone: bulk in packets of 1,200 bytes, both sides",
        main: column("ns_per_packet", "ns a packet", 0),
        more_is_better: false,
        others: &[
            column("ns_client", "ns sender", 0),
            column("ns_server", "ns receiver", 0),
            column("allocations_per_packet", "allocations a packet", 3),
        ],
        heap: Heap::Also,
        suites: OURS,
        peers: &[peer("tripline", OURS, engine::ours::bulk), peer("quinn-proto", ALL, proto::bulk)],
    },
    Workload {
        name: "messages",
        title: "(f) the engine alone: messages of 64 bytes on one stream, both sides",
        main: column("rate", "messages/s", 0),
        more_is_better: true,
        others: &[
            column("ns_per_message", "ns a message", 0),
            column("allocations_per_message", "allocations a message", 3),
        ],
        heap: Heap::Also,
        suites: AES,
        peers: &[
            peer("tripline", OURS, engine::messages::messages),
            slow(5, peer("tripline-each", OURS, engine::messages::messages_each)),
            peer("quinn-proto", ALL, proto::messages),
            slow(10, peer("quinn-proto-each", ALL, proto::messages_each)),
        ],
    },
];

impl Workload {
    /// The one of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        WORKLOADS.iter().find(|workload| workload.name == name)
    }

    /// All columns, the main one first.
    pub fn columns(&self) -> impl Iterator<Item = Column> {
        std::iter::once(self.main).chain(self.others.iter().copied())
    }

    /// Who takes part with this suite: those that have it, and those that have none.
    pub fn peers_with(&self, suite: Suite) -> impl Iterator<Item = &'static Peer> {
        let has = move |peer: &&Peer| peer.suites.is_empty() || peer.suites.contains(&suite);
        self.peers.iter().filter(has)
    }

    /// How much is done, for people.
    pub fn size(&self, task: &Task) -> String {
        match self.name {
            "bulk" | "engine" | "shards-bulk" => format!("{} MiB", task.bytes >> 20),
            "requests" | "calls" | "unbatched" | "shards-requests" => {
                format!("{} connections of {} requests", task.connections, task.requests)
            }
            "pingpong" => format!("{} round trips", task.pings),
            "connects" => format!("{} connections", task.connects),
            "idle" => format!("{} connections", task.idle),
            _ => format!("{} messages", task.messages),
        }
    }
}

impl Peer {
    /// The task as this peer gets it: a part, where it is slow.
    pub fn share(&self, task: &Task) -> Task {
        let part = |whole: u64| (whole / self.part).max(1);
        Task {
            bytes: part(task.bytes),
            requests: part(task.requests),
            messages: part(task.messages),
            ..*task
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// N45, N46, N47: every peer moves a small task in every workload with every suite it has, and
    /// says what its columns show.
    #[test]
    fn every_peer_does_every_workload_with_every_suite() {
        for workload in WORKLOADS.iter().filter(|workload| workload.heap != Heap::Alone) {
            for suite in Suite::ALL {
                for peer in workload.peers_with(*suite) {
                    let task = Task { suite: *suite, ..Task::small() };
                    let name = format!("{} of {} with {}", workload.name, peer.name, suite.name());
                    let record =
                        (peer.run)(&task).unwrap_or_else(|error| panic!("{name}: {error}"));
                    let value = record.get(workload.main.metric);
                    assert!(value.is_some_and(|value| value > 0.0), "{name}: {record:?}");
                }
            }
        }
    }

    #[test]
    fn names_are_told_apart_and_slow_peers_get_a_part() {
        for workload in WORKLOADS {
            assert!(std::ptr::eq(Workload::named(workload.name).unwrap(), workload));
            for (number, peer) in workload.peers.iter().enumerate() {
                assert!(workload.peers[..number].iter().all(|other| other.name != peer.name));
            }
        }
        let enet = WORKLOADS[0].peers.iter().find(|peer| peer.name == "enet").unwrap();
        assert_eq!(enet.share(&Task::default()).bytes, (1 << 30) / 16);
    }
}
