//! What the demo found, as a table and as JSON.

use super::Volume;
use crate::figures::{Traffic, megabytes_per_second, micros, per_second};
use comfy_table::{Table, presets};
use serde::Serialize;
use std::fmt;
use std::time::Duration;

#[derive(Debug, Serialize)]
pub(super) struct Phase {
    pub(super) state: String,
    pub(super) at_us: u128,
}

#[derive(Debug, Serialize)]
pub(super) struct Handshake {
    pub(super) server_key: String,
    pub(super) client_key: String,
    pub(super) suite: String,
    /// The client's states, and when each began after the call.
    pub(super) phases: Vec<Phase>,
    /// From the first OPEN to ready, as the client's engine reckons.
    pub(super) time_us: f64,
}

#[derive(Debug, Serialize)]
pub(super) struct Bulk {
    messages: u64,
    bytes: u64,
    seconds: f64,
    megabytes_per_s: f64,
}

impl Bulk {
    pub(super) fn new(volume: &Volume, elapsed: Duration) -> Self {
        let bytes = volume.bulk_messages * volume.bulk_size as u64;
        Self {
            messages: volume.bulk_messages,
            bytes,
            seconds: elapsed.as_secs_f64(),
            megabytes_per_s: megabytes_per_second(bytes, elapsed),
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Requests {
    count: usize,
    size: usize,
    messages_per_s: f64,
    rtt_p50_us: f64,
    rtt_p99_us: f64,
}

impl Requests {
    pub(super) fn new(volume: &Volume, elapsed: Duration, p50: Duration, p99: Duration) -> Self {
        Self {
            count: volume.requests,
            size: volume.request_size,
            messages_per_s: per_second(volume.requests as u64, elapsed),
            rtt_p50_us: micros(p50),
            rtt_p99_us: micros(p99),
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Burst {
    pub(super) sent: u64,
    pub(super) received: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) handshake: Handshake,
    pub(super) bulk: Bulk,
    pub(super) requests: Requests,
    pub(super) burst: Burst,
    pub(super) client: Traffic,
    pub(super) server: Traffic,
    pub(super) elapsed_s: f64,
    pub(super) cpu_s: f64,
}

impl fmt::Display for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "server  {}", self.server_key)?;
        writeln!(f, "client  {}", self.client_key)?;
        writeln!(f, "suite   {}", self.suite)?;
        write!(f, "phases ")?;
        for (number, Phase { state, at_us }) in self.phases.iter().enumerate() {
            let arrow = if number == 0 { "" } else { " →" };
            write!(f, "{arrow} {state} ({at_us} µs)")?;
        }
        Ok(())
    }
}

impl Report {
    pub(super) fn table(&self) -> String {
        let Self { handshake, bulk, requests, burst, client, server, .. } = self;
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED);
        table.set_header(["", "figure", "remarks"]);
        let mut row = |name: &str, figure: String, remark: String| {
            table.add_row([name.to_owned(), figure, remark]);
        };
        row("handshake", format!("{:.0} µs", handshake.time_us), "first OPEN to ready".into());
        let what = format!("{} messages, {} MiB, in order", bulk.messages, bulk.bytes >> 20);
        row("throughput", format!("{:.0} MB/s", bulk.megabytes_per_s), what);
        let what = format!("{} × {} bytes there and back", requests.count, requests.size);
        row("requests", format!("{:.0} /s", requests.messages_per_s), what);
        let trip = format!("{:.0} / {:.0} µs", requests.rtt_p50_us, requests.rtt_p99_us);
        row("round trip p50 / p99", trip, "one request at a time, thread to thread".into());
        row("unreliable burst", format!("{} of {}", burst.received, burst.sent), "arrived".into());
        let both = |of: fn(&Traffic) -> String| format!("{} / {}", of(client), of(server));
        let sides = || "client / server".to_owned();
        row("packets sent", both(|side| side.packets_sent.to_string()), sides());
        row("packets received", both(|side| side.packets_received.to_string()), sides());
        row("packets lost", both(|side| side.packets_lost.to_string()), sides());
        row("retransmissions", both(|side| side.retransmissions.to_string()), sides());
        let sent = both(|side| format!("{:.1}", side.datagrams_per_send_call));
        row("datagrams per send call", sent, sides());
        let received = both(|side| format!("{:.1}", side.datagrams_per_receive_call));
        row("datagrams per receive call", received, sides());
        let offload = |on: bool| if on { "on" } else { "off" };
        let offloads = format!("GSO {}, GRO {}", offload(client.gso), offload(server.gro));
        row("offload", offloads, "trains in one call".into());
        let time = format!("{:.2} s", self.elapsed_s);
        row("all of it", time, format!("{:.2} s of processor time, both sides", self.cpu_s));
        table.to_string()
    }
}
