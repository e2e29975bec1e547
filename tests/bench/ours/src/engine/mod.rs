//! Engines by themselves: two endpoints in one thread, trains handed over in memory, virtual time;
//! no socket, no system call, no scheduling.
//!
//! Answers what a packet costs each side, application included; it is also what profilers are
//! pointed at and what the counted gate counts.

pub mod messages;
pub mod ours;

use std::time::Duration;

use crate::meter::{heap, thread_cpu};
use crate::task::{Failure, Record};

/// How long a datagram is under way; half a turn of the virtual clock.
pub const ONE_WAY: Duration = Duration::from_micros(100);
/// Turns in which nothing is sent after which a run counts as stuck.
pub const STUCK: u32 = 100_000;

/// What a run cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Costs {
    /// Datagrams that the client sent.
    pub sent: u64,
    /// Datagrams that the server sent.
    pub answered: u64,
    /// Trains of both: what would have been send calls.
    pub trains: u64,
    /// Processor time spent in the client and its application.
    pub client: Duration,
    /// Processor time spent in the server and its application.
    pub server: Duration,
    /// What the heap did once a tenth was done, and how many datagrams the client sent in that
    /// time.
    pub steady: Steady,
}

/// Allocations of the steady state.
#[derive(Clone, Copy, Debug, Default)]
pub struct Steady {
    begun: Option<(u64, u64)>,
    allocations: u64,
    datagrams: u64,
}

impl Steady {
    /// A tenth is done.
    pub fn begin(&mut self, sent: u64) {
        if self.begun.is_none() {
            self.begun = Some((heap().map_or(0, |heap| heap.allocations), sent));
        }
    }

    /// Everything is done.
    pub fn end(&mut self, sent: u64) {
        let (allocations, before) = self.begun.unwrap_or_default();
        self.allocations = heap().map_or(0, |heap| heap.allocations - allocations);
        self.datagrams = sent - before;
    }

    /// How many allocations there were.
    pub fn allocations(&self) -> u64 {
        self.allocations
    }

    /// So many allocations for each datagram of the client.
    pub fn per_datagram(&self) -> f64 {
        self.allocations as f64 / self.datagrams.max(1) as f64
    }
}

impl Costs {
    /// Figures for each packet with payload, both sides together.
    pub fn per_packet(&self, bytes: u64) -> Record {
        let each = |time: Duration| time.as_nanos() as f64 / self.sent.max(1) as f64;
        let both = self.client + self.server;
        let mut record = Record::default();
        record.set("ns_per_packet", each(both));
        record.set("ns_client", each(self.client));
        record.set("ns_server", each(self.server));
        record.set("rate", bytes as f64 / 1e6 / both.as_secs_f64());
        record.set("packets", self.sent as f64);
        record.set("answers", self.answered as f64);
        self.set_allocations(&mut record, "allocations_per_packet", self.steady.per_datagram());
        record
    }

    /// Figures for small messages.
    pub fn per_message(&self, messages: u64) -> Record {
        let both = self.client + self.server;
        let mut record = Record::default();
        record.set("rate", messages as f64 / both.as_secs_f64());
        record.set("ns_per_message", both.as_nanos() as f64 / messages.max(1) as f64);
        record.set("packets", self.sent as f64);
        let each = self.steady.allocations() as f64 / (messages.max(1) as f64 * 0.9);
        self.set_allocations(&mut record, "allocations_per_message", each);
        record
    }

    fn set_allocations(&self, record: &mut Record, name: &str, value: f64) {
        if heap().is_some() {
            record.set(name, value);
        }
    }
}

/// Two ends that are driven in turn.
pub trait End {
    /// Lets the application work and collects what there is to send, at this time since the
    /// beginning.
    fn work(&mut self, now: Duration) -> Result<(), Failure>;
    /// Takes what the other side has collected.
    fn receive(&mut self, now: Duration, from: &mut Self);
    /// Datagrams sent so far, and trains.
    fn sent(&self) -> (u64, u64);
    /// Whether its application has all that it waits for.
    fn done(&self) -> bool;
    /// How far its application is, in units of its own.
    fn progress(&self) -> u64;
}

/// Turns both ends until the server's application is done; `goal` is its last progress.
pub fn run<E: End>(client: &mut E, server: &mut E, goal: u64) -> Result<Costs, Failure> {
    let (mut costs, mut now, mut quiet) = (Costs::default(), Duration::ZERO, 0);
    while !(server.done() || client.done()) {
        let before = client.sent().0 + server.sent().0;
        let clock = thread_cpu();
        client.work(now)?;
        costs.client += thread_cpu() - clock;
        now += ONE_WAY;
        let clock = thread_cpu();
        server.receive(now, client);
        server.work(now)?;
        costs.server += thread_cpu() - clock;
        now += ONE_WAY;
        let clock = thread_cpu();
        client.receive(now, server);
        costs.client += thread_cpu() - clock;
        if server.progress() > goal / 10 {
            costs.steady.begin(client.sent().0);
        }
        quiet = if client.sent().0 + server.sent().0 == before { quiet + 1 } else { 0 };
        if quiet > STUCK {
            return Err(format!("stuck at {} of {goal}", server.progress()).into());
        }
    }
    let (sent, answered) = (client.sent(), server.sent());
    costs.steady.end(sent.0);
    Ok(Costs { sent: sent.0, answered: answered.0, trains: sent.1 + answered.1, ..costs })
}
