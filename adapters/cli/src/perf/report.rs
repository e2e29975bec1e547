//! What was measured, as a table and as JSON.

use super::client::Load;
use super::server::Received;
use crate::figures::{CliError, Traffic, megabytes_per_second, micros, say};
use comfy_table::{Table, presets};
use serde::Serialize;
use std::net::SocketAddr;
use std::time::Duration;
use tripline_std::Stats;

#[derive(Debug, Serialize)]
pub(super) struct Summary {
    pub(super) seconds: f64,
    /// Bytes of messages that the peer has acknowledged.
    pub(super) bytes: u64,
    messages: u64,
    message_size: u64,
    streams: u64,
    megabytes_per_s: f64,
    /// Of this process.
    pub(super) cpu_s: f64,
    rtt_us: f64,
    rtt_min_us: f64,
    congestion_window: u64,
    client: Traffic,
    /// In `local` only.
    pub(super) server: Option<Traffic>,
}

impl Summary {
    pub(super) fn new(
        load: &Load,
        messages: u64,
        elapsed: Duration,
        cpu: Duration,
        stats: &Stats,
    ) -> Self {
        let bytes = messages * load.message_size;
        Self {
            seconds: elapsed.as_secs_f64(),
            bytes,
            messages,
            message_size: load.message_size,
            streams: load.streams,
            megabytes_per_s: megabytes_per_second(bytes, elapsed),
            cpu_s: cpu.as_secs_f64(),
            rtt_us: micros(Duration::from_nanos(stats.connection.rtt_ns)),
            rtt_min_us: micros(Duration::from_nanos(stats.connection.rtt_min_ns)),
            congestion_window: stats.connection.congestion_window,
            client: stats.into(),
            server: None,
        }
    }

    pub(super) fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED);
        let mut row = |name: &str, figure: String| {
            table.add_row([name.to_owned(), figure]);
        };
        let Self { client, server, .. } = self;
        row("throughput", format!("{:.1} MB/s", self.megabytes_per_s));
        let what = format!(
            "{} × {} bytes on {} stream(s)",
            self.messages, self.message_size, self.streams
        );
        row("messages", what);
        row("time", format!("{:.2} s", self.seconds));
        let share = 100.0 * self.cpu_s / self.seconds.max(1e-9);
        row("processor time", format!("{:.2} s ({share:.0} %)", self.cpu_s));
        row("round trip now / least", format!("{:.0} / {:.0} µs", self.rtt_us, self.rtt_min_us));
        row("congestion window", format!("{} KiB", self.congestion_window >> 10));
        for (name, side) in [("client", Some(client)), ("server", server.as_ref())] {
            let Some(side) = side else { continue };
            let packets = format!("{} / {}", side.packets_sent, side.packets_received);
            row(&format!("{name}: packets sent / received"), packets);
            let lost = format!("{} / {}", side.packets_lost, side.retransmissions);
            row(&format!("{name}: lost / retransmissions"), lost);
            let calls = (side.datagrams_per_send_call, side.datagrams_per_receive_call);
            let figure = format!("{:.1} / {:.1}", calls.0, calls.1);
            row(&format!("{name}: datagrams per send / receive call"), figure);
        }
        row("GSO", if client.gso { "on" } else { "off" }.to_owned());
        table.to_string()
    }
}

/// One line on what a client of `perf server` sent.
pub(super) fn print_received(
    remote: SocketAddr,
    received: &Received,
    json: bool,
) -> Result<(), CliError> {
    let Received { bytes, elapsed, stats } = received;
    let rate = megabytes_per_second(*bytes, *elapsed);
    let seconds = elapsed.as_secs_f64();
    if json {
        let traffic = Traffic::from(stats);
        let object = serde_json::json!({
            "remote": remote.to_string(), "seconds": seconds, "bytes": bytes,
            "megabytes_per_s": rate, "traffic": traffic,
        });
        say(object)
    } else {
        say(format_args!("{remote}: {bytes} bytes in {seconds:.2} s, {rate:.1} MB/s"))
    }
}
