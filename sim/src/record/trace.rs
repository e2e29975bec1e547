//! A run as text: one line for each thing that happens.
//!
//! ```text
//!      0.000000000  step   phone connect server as c
//!      0.000000000  sent   phone -> server #0 1200 B  OPEN 00000a41 NK, ChaCha20-Poly1305
//!      0.040000000  came   phone -> server #0 1200 B  OPEN 00000a41 … (after 40 ms)
//!      0.080117000  event  phone c: connected as client with 10.0.0.1:443
//! ```
//!
//! Times are the world's, in seconds. A line has at most [`LINE`] characters. The same run gives
//! the same text.

use super::ears::Ears;
use super::journey::Journeys;
use super::words;
use crate::host::HostId;
use crate::play::{End, Watcher};
use crate::rule::{PacketView, Stage};
use crate::scenario::Step;
use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use tripline::{Aead, Event, StreamId};
use tripline_sansio::{Ecn, Instant};

/// The most characters of a line.
const LINE: usize = 240;

/// Writes a line for each thing that happens.
///
/// Nobody can be told of an error in the middle of a run: after the first nothing more is written,
/// and [`finish`](Self::finish) returns it.
pub struct Trace<W> {
    out: W,
    hosts: Vec<String>,
    journeys: Journeys,
    ears: Ears,
    /// Reused for each line.
    line: String,
    result: io::Result<()>,
}

impl<W: Write> Trace<W> {
    /// Writes to `out`, in many small pieces: files want a buffer around them.
    pub fn new(out: W) -> Self {
        Self {
            out,
            hosts: Vec::new(),
            journeys: Journeys::default(),
            ears: Ears::default(),
            line: String::new(),
            result: Ok(()),
        }
    }

    /// Ends the text and gives back where it went.
    ///
    /// # Errors
    /// The first one that writing has met.
    pub fn finish(mut self) -> io::Result<W> {
        self.result?;
        self.out.flush()?;
        Ok(self.out)
    }

    /// Writes `text` as what happened at `now`.
    fn line(&mut self, now: Instant, kind: &str, text: fmt::Arguments<'_>) {
        if self.result.is_err() {
            return;
        }
        self.line.clear();
        // Writing to a string cannot fail.
        let _ = write!(self.line, "{}  {kind:<7}", words::clock(now));
        let _ = self.line.write_fmt(text);
        self.result = writeln!(self.out, "{}", words::cut(&self.line, LINE));
    }

    fn host(&self, host: Option<HostId>, address: SocketAddr) -> String {
        match host.and_then(|host| self.hosts.get(host.index())) {
            Some(name) => name.clone(),
            None => address.to_string(),
        }
    }
}

/// The mark of a datagram, if it says anything.
const fn mark(ecn: Ecn) -> &'static str {
    match ecn {
        Ecn::NotEct | Ecn::Ect0 => "",
        Ecn::Ect1 => " ECT(1)",
        Ecn::Ce => " CE",
    }
}

impl<W: Write> Watcher for Trace<W> {
    fn on_start(&mut self, hosts: &[String]) {
        self.hosts = hosts.to_vec();
    }

    fn aead(&mut self, aead: Arc<dyn Aead>) -> Arc<dyn Aead> {
        self.ears.around(aead)
    }

    fn on_step(&mut self, now: Instant, step: &Step, fits: bool) {
        let passed_over = if fits { "" } else { " (does not fit: passed over)" };
        self.line(now, "step", format_args!("{}{passed_over}", words::step(step)));
    }

    fn on_packet(&mut self, packet: &PacketView<'_>) {
        let from = self.host(packet.from, packet.source);
        let to = self.host(packet.to, packet.destination);
        let (kind, fate) = match packet.stage {
            Stage::Offered => {
                self.journeys.sent(packet);
                ("sent", String::new())
            }
            Stage::Delivered => match self.journeys.came(packet) {
                None => ("came", " (sent by nobody)".to_owned()),
                Some(arrival) => {
                    let copy = if arrival.is_copy { "a copy, " } else { "" };
                    let changed = if arrival.is_changed { "changed, " } else { "" };
                    ("came", format!(" ({copy}{changed}after {})", words::span(arrival.took)))
                }
            },
            Stage::Dropped(cause) => ("drop", format!(" ({cause})")),
        };
        let (number, size, mark) = (packet.index, packet.bytes.len(), mark(packet.ecn));
        let what = self.ears.what_is_in(packet.bytes);
        let arrow = if kind == "drop" { "-x" } else { "->" };
        self.line(
            packet.now,
            kind,
            format_args!("{from} {arrow} {to} #{number} {size} B{mark}{fate}  {what}"),
        );
    }

    fn on_event(&mut self, now: Instant, end: Option<End<'_>>, event: &Event) {
        let event = words::event(event);
        match end {
            Some(End { host, connection, .. }) => {
                self.line(now, "event", format_args!("{host} {connection}: {event}"));
            }
            None => self.line(now, "event", format_args!("{event}")),
        }
    }

    fn on_message(&mut self, now: Instant, end: End<'_>, stream: StreamId, sent: bool, bytes: u64) {
        let End { host, connection, .. } = end;
        let verb = if sent { "hands in" } else { "reads" };
        let stream = words::stream(stream);
        self.line(now, "data", format_args!("{host} {connection}: {verb} {bytes} B, {stream}"));
    }

    fn on_calm(&mut self, now: Instant) {
        self.line(now, "calm", format_args!("all is healed; what was promised has to come true"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Transfer, packet};
    use super::*;
    use crate::DropCause;

    fn text(watch: impl FnOnce(&mut Trace<Vec<u8>>)) -> String {
        let mut trace = Trace::new(Vec::new());
        trace.on_start(&["phone".into(), "server".into()]);
        watch(&mut trace);
        String::from_utf8(trace.finish().unwrap()).unwrap()
    }

    #[test]
    fn each_thing_is_one_line() {
        let text = text(|trace| {
            let end = End { connection: "c", host: "phone", is_client: true };
            trace.on_step(Instant::ZERO, &"0s phone connect server as c".parse().unwrap(), true);
            trace.on_step(Instant::ZERO, &"0s phone finish up".parse().unwrap(), false);
            trace.on_packet(&packet(Stage::Offered, 1_000, 4, &[6; 17]));
            trace.on_packet(&packet(Stage::Delivered, 2_000, 4, &[6; 17]));
            let lost = Stage::Dropped(DropCause::QueueFull);
            trace.on_packet(&packet(lost, 2_500, 5, &[2; 9]));
            let mut flood = packet(Stage::Delivered, 3_000, 0, &[0x40]);
            (flood.from, flood.ecn) = (None, Ecn::Ce);
            trace.on_packet(&flood);
            trace.on_event(Instant::from_nanos(4_000), None, &Event::ShutDown);
            let stream = StreamId::from_number(0b10).unwrap();
            trace.on_message(Instant::from_nanos(5_000), end, stream, true, 77);
            trace.on_calm(Instant::from_nanos(6_000));
        });
        let expected = "     \
     0.000000000  step   phone connect server as c
     0.000000000  step   phone finish up (does not fit: passed over)
     0.000001000  sent   phone -> server #4 17 B  RESET
     0.000002000  came   phone -> server #4 17 B (after 1 µs)  RESET
     0.000002500  drop   phone -x server #5 9 B (queue-full)  CHALLENGE for 02020202
     0.000003000  came   10.0.0.2:2 -> server #0 1 B CE (sent by nobody)  unknown, first byte 0x40
     0.000004000  event  endpoint shut down
     0.000005000  data   phone c: hands in 77 B, client stream 0 one-way bytes
     0.000006000  calm   all is healed; what was promised has to come true
";
        assert_eq!(text, expected);
    }

    #[test]
    fn the_same_run_gives_the_same_text_and_no_line_is_too_long() {
        let run = |seed| text(|trace| drop(Transfer::new(seed).run(trace)));
        let (one, other) = (run(3), run(3));
        assert_eq!(one, other);
        assert!(one.lines().count() > 100, "{one}");
        assert!(one.lines().all(|line| line.chars().count() <= LINE));
        assert!(one.contains("connected as client with 10.0.0.1:1"), "{one}");
        assert_ne!(one, run(4));
    }

    #[test]
    fn a_full_disk_is_told_at_the_end() {
        let mut trace = Trace::new(&mut [][..]);
        trace.on_calm(Instant::ZERO);
        trace.on_calm(Instant::ZERO);
        assert_eq!(trace.finish().unwrap_err().kind(), io::ErrorKind::WriteZero);
    }
}
