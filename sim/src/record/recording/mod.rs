//! What pictures of a run need, in bounded memory however long the run is.
//!
//! Values over time are kept in a [`Timeline`] each, packets for the ladder in [`Legs`], the rest
//! in lists with a limit; what does not fit is counted and said on the page.

mod legs;
mod timeline;

pub(super) use legs::{Leg, Legs};
pub(super) use timeline::Timeline;

use super::ears::Ears;
use super::journey::Journeys;
use super::words;
use crate::DropCause;
use crate::host::HostId;
use crate::play::{End, Watcher};
use crate::rule::{PacketView, Stage};
use crate::scenario::{Action, Scenario, Step, Way};
use std::collections::BTreeMap;
use std::sync::Arc;
use tripline::{Aead, ConnectionStats, Event, StreamId};
use tripline_sansio::{Duration, Ecn, Instant};

/// The most ends of connections that have curves of their own.
const ENDS: usize = 32;
/// The most ways from one host to another that have.
const WAYS: usize = 48;
/// The most streams that have.
const STREAMS: usize = 48;
/// The most steps and events that are kept.
const NOTES: usize = 1_000;
/// The most characters of one.
const NOTE: usize = 200;
/// How often connections are looked at in a run.
const SAMPLES: u32 = 600;
/// And not more often than this.
const SAMPLE_EVERY: Duration = Duration::from_millis(1);

/// One end of a connection.
#[derive(Clone, Debug, Default)]
pub(super) struct EndCurves {
    pub(super) connection: String,
    pub(super) host: String,
    pub(super) is_client: bool,
    /// Bytes of messages that were read.
    pub(super) goodput: Timeline,
    /// The latest sample and the smoothed round-trip time, in seconds.
    pub(super) rtt_latest: Timeline,
    pub(super) rtt_smoothed: Timeline,
    /// In bytes.
    pub(super) window: Timeline,
    pub(super) in_flight: Timeline,
    /// In bytes per second.
    pub(super) pacing: Timeline,
    /// Packets since the last look: lost, and marked on the way.
    pub(super) losses: Timeline,
    pub(super) marks: Timeline,
    /// The number of the zone in use.
    pub(super) zone: Timeline,
    /// In bytes.
    pub(super) datagram: Timeline,
    /// As it was when last looked at.
    pub(super) last: ConnectionStats,
}

/// The way from one host to another.
#[derive(Clone, Debug, Default)]
pub(super) struct WayCurves {
    /// Bytes sent into it and come out of it.
    pub(super) sent: Timeline,
    pub(super) came: Timeline,
    /// How long datagrams took, in seconds.
    pub(super) transit: Timeline,
    /// Bytes in the network: queued, and between the two.
    pub(super) aloft: Timeline,
    /// Of these, now.
    pub(super) aloft_bytes: usize,
    /// Datagrams dropped, by cause.
    pub(super) drops: BTreeMap<DropCause, Timeline>,
    /// Datagrams that came with the mark of congestion.
    pub(super) marked: Timeline,
    /// Datagrams that came changed, or once more.
    pub(super) changed: u64,
    pub(super) copies: u64,
    pub(super) datagrams_sent: u64,
    pub(super) datagrams_came: u64,
}

/// One direction of a stream.
#[derive(Clone, Debug, Default)]
pub(super) struct StreamCurves {
    /// Bytes handed in so far, and read so far.
    pub(super) sent: Timeline,
    pub(super) received: Timeline,
    pub(super) sent_bytes: u64,
    pub(super) received_bytes: u64,
    pub(super) sent_messages: u64,
    pub(super) received_messages: u64,
}

/// What kind of thing a note is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoteKind {
    /// A step of the scenario; one that did not fit is none.
    Step,
    /// One that did not fit.
    PassedOver,
    /// An event that tells the user of an end or a trouble.
    Trouble,
    /// Any other event.
    Event,
}

/// Something that happened at one instant.
#[derive(Clone, Debug)]
pub(super) struct Note {
    pub(super) at: Instant,
    pub(super) kind: NoteKind,
    /// The host it is about; none for links and for the network.
    pub(super) host: Option<String>,
    pub(super) text: String,
}

/// A time in which a way was cut.
#[derive(Clone, Debug)]
pub(super) struct Cut {
    pub(super) way: Way,
    pub(super) from: Instant,
    pub(super) to: Option<Instant>,
}

/// How much had no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// Samples of connections' ends, bytes of streams and packets of ways without curves.
    pub(super) samples: u64,
    pub(super) messages: u64,
    pub(super) packets: u64,
    pub(super) notes: u64,
}

/// Keeps what a [report](super::report) needs while a run goes on.
#[derive(Default)]
pub struct Recording {
    sample_every: Duration,
    pub(super) hosts: Vec<String>,
    pub(super) ends: Vec<EndCurves>,
    pub(super) ways: BTreeMap<(HostId, HostId), WayCurves>,
    /// By connection, stream, and whether the client sends.
    pub(super) streams: BTreeMap<(String, StreamId, bool), StreamCurves>,
    pub(super) notes: Vec<Note>,
    pub(super) cuts: Vec<Cut>,
    pub(super) legs: Legs,
    pub(super) calm: Option<Instant>,
    /// The last that was heard.
    pub(super) end: Instant,
    pub(super) left_out: LeftOut,
    journeys: Journeys,
    ears: Ears,
}

impl Recording {
    /// An empty one for a run of `scenario`; how long that lasts decides how often connections are
    /// looked at.
    pub fn new(scenario: &Scenario) -> Self {
        let sample_every = (scenario.lasts / SAMPLES).max(SAMPLE_EVERY);
        Self { sample_every, ..Self::default() }
    }

    fn note(&mut self, at: Instant, kind: NoteKind, host: Option<&str>, text: &str) {
        self.end = self.end.max(at);
        if self.notes.len() >= NOTES {
            self.left_out.notes += 1;
            return;
        }
        let (host, text) = (host.map(str::to_owned), words::cut(text, NOTE));
        self.notes.push(Note { at, kind, host, text });
    }

    /// The curves of an end, new ones if need be.
    fn end_mut(&mut self, end: End<'_>) -> Option<&mut EndCurves> {
        let same = |one: &EndCurves| one.connection == end.connection && one.host == end.host;
        let at = self.ends.iter().position(same);
        if at.is_none() && self.ends.len() >= ENDS {
            return None;
        }
        let at = at.unwrap_or_else(|| {
            self.ends.push(EndCurves {
                connection: end.connection.to_owned(),
                host: end.host.to_owned(),
                is_client: end.is_client,
                ..EndCurves::default()
            });
            self.ends.len() - 1
        });
        self.ends.get_mut(at)
    }

    fn way_mut(&mut self, packet: &PacketView<'_>) -> Option<&mut WayCurves> {
        let key = (packet.from?, packet.to?);
        if self.ways.len() >= WAYS && !self.ways.contains_key(&key) {
            self.left_out.packets += 1;
            return None;
        }
        Some(self.ways.entry(key).or_default())
    }
}

impl Watcher for Recording {
    fn on_start(&mut self, hosts: &[String]) {
        self.hosts = hosts.to_vec();
    }

    fn aead(&mut self, aead: Arc<dyn Aead>) -> Arc<dyn Aead> {
        self.ears.around(aead)
    }

    fn on_step(&mut self, now: Instant, step: &Step, fits: bool) {
        let host = match &step.action {
            Action::Host(host, _) => Some(host.as_str()),
            Action::Link(_) | Action::Nat(..) => None,
            Action::Cut(way) => {
                if self.cuts.len() < NOTES {
                    self.cuts.push(Cut { way: way.clone(), from: now, to: None });
                }
                None
            }
            Action::Heal(way) => {
                for cut in self.cuts.iter_mut().filter(|cut| cut.way == *way) {
                    cut.to.get_or_insert(now);
                }
                None
            }
        };
        let kind = if fits { NoteKind::Step } else { NoteKind::PassedOver };
        self.note(now, kind, host, &words::step(step));
    }

    fn on_packet(&mut self, packet: &PacketView<'_>) {
        let (now, len) = (packet.now, packet.bytes.len() as f64);
        self.end = self.end.max(now);
        self.legs.on_packet(packet, || self.ears.what_is_in(packet.bytes));
        let arrival = match packet.stage {
            Stage::Offered => {
                self.journeys.sent(packet);
                None
            }
            Stage::Delivered => self.journeys.came(packet),
            Stage::Dropped(_) => None,
        };
        let landed = match packet.stage {
            Stage::Offered => 0,
            Stage::Delivered | Stage::Dropped(_) => self.journeys.landed(packet),
        };
        let Some(way) = self.way_mut(packet) else { return };
        way.aloft_bytes = way.aloft_bytes.saturating_sub(landed);
        if packet.stage == Stage::Offered {
            way.aloft_bytes += packet.bytes.len();
        }
        way.aloft.add(now, way.aloft_bytes as f64);
        match packet.stage {
            Stage::Offered => {
                way.datagrams_sent += 1;
                way.sent.add(now, len);
            }
            Stage::Delivered => {
                way.datagrams_came += 1;
                way.came.add(now, len);
                if packet.ecn == Ecn::Ce {
                    way.marked.add(now, 1.0);
                }
                if let Some(arrival) = arrival {
                    way.transit.add(now, arrival.took.as_secs_f64());
                    way.changed += u64::from(arrival.is_changed);
                    way.copies += u64::from(arrival.is_copy);
                }
            }
            Stage::Dropped(cause) => way.drops.entry(cause).or_default().add(now, 1.0),
        }
    }

    fn on_event(&mut self, now: Instant, end: Option<End<'_>>, event: &Event) {
        if words::is_routine(event) {
            return;
        }
        let kind = match event {
            Event::Failed { .. } | Event::Lost { .. } | Event::Quiet { .. } => NoteKind::Trouble,
            _ => NoteKind::Event,
        };
        let text = words::event(event);
        match end {
            Some(end) => {
                self.note(now, kind, Some(end.host), &format!("{}: {text}", end.connection));
            }
            None => self.note(now, kind, None, &text),
        }
    }

    fn on_message(&mut self, now: Instant, end: End<'_>, stream: StreamId, sent: bool, bytes: u64) {
        self.end = self.end.max(now);
        if !sent && let Some(curves) = self.end_mut(end) {
            curves.goodput.add(now, bytes as f64);
        }
        let key = (end.connection.to_owned(), stream, sent == end.is_client);
        if self.streams.len() >= STREAMS && !self.streams.contains_key(&key) {
            self.left_out.messages += 1;
            return;
        }
        let curves = self.streams.entry(key).or_default();
        if sent {
            curves.sent_messages += 1;
            curves.sent_bytes += bytes;
            curves.sent.add(now, curves.sent_bytes as f64);
        } else {
            curves.received_messages += 1;
            curves.received_bytes += bytes;
            curves.received.add(now, curves.received_bytes as f64);
        }
    }

    fn sample_every(&self) -> Option<Duration> {
        Some(self.sample_every)
    }

    fn on_sample(&mut self, now: Instant, end: End<'_>, stats: &ConnectionStats) {
        self.end = self.end.max(now);
        let Some(curves) = self.end_mut(end) else {
            self.left_out.samples += 1;
            return;
        };
        // Before the first sample there is no round-trip time.
        if stats.rtt_ns > 0 {
            curves.rtt_smoothed.add(now, seconds(stats.rtt_ns));
            curves.rtt_latest.add(now, seconds(stats.rtt_latest_ns));
        }
        curves.window.add(now, stats.congestion_window as f64);
        curves.in_flight.add(now, stats.bytes_in_flight as f64);
        curves.pacing.add(now, stats.pacing_rate as f64);
        // A new connection of the same name counts from zero again.
        let since = |now: u64, before: u64| now.checked_sub(before).unwrap_or(now) as f64;
        let last = curves.last;
        curves.losses.add(now, since(stats.packets_lost, last.packets_lost));
        curves.marks.add(now, since(stats.congestion_marks, last.congestion_marks));
        curves.zone.add(now, stats.zone as f64);
        curves.datagram.add(now, stats.datagram_size as f64);
        curves.last = *stats;
    }

    fn on_calm(&mut self, now: Instant) {
        self.end = self.end.max(now);
        self.calm.get_or_insert(now);
        // All is healed.
        for cut in &mut self.cuts {
            cut.to.get_or_insert(now);
        }
    }
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Transfer;
    use super::*;

    /// What is kept agrees with what the world and the applications counted.
    #[test]
    fn curves_agree_with_the_counters() {
        let transfer = Transfer::new(9);
        let mut recording = Recording::new(&transfer.scenario);
        let (scenario, outcome) = transfer.run(&mut recording);
        let totals = outcome.totals;
        let ways = || recording.ways.values();
        assert_eq!(ways().map(|way| way.datagrams_sent).sum::<u64>(), totals.offered);
        assert_eq!(ways().map(|way| way.came.sum()).sum::<f64>(), totals.delivered_bytes as f64);
        let drops = ways().flat_map(|way| way.drops.values()).map(Timeline::sum).sum::<f64>();
        assert_eq!(drops, totals.dropped() as f64);
        assert!(drops > 0.0);
        assert!(ways().all(|way| way.aloft_bytes == 0), "all has come, or was dropped");
        let fullest = |way: &WayCurves| way.aloft.spans().map(|(_, span)| span.max as u64).max();
        let most = ways().filter_map(fullest).max().unwrap();
        // The queue of the fixture, and what 20 ms of its 5 Mbit/s hold.
        assert!((20_000..=48_000 + 12_500 + 2_000).contains(&most), "{most} bytes in the network");
        let goodput: f64 = recording.ends.iter().map(|end| end.goodput.sum()).sum();
        assert_eq!(goodput, outcome.deeds.received_bytes as f64);
        assert_eq!(goodput, 600_000.0);

        let [client, server] = &recording.ends[..] else { panic!("two ends") };
        assert!(client.is_client && !server.is_client);
        assert_eq!(client.losses.sum(), client.last.packets_lost as f64);
        assert_eq!(client.zone.spans().last().unwrap().1.last, 1.0);
        let [stream] = &recording.streams.values().collect::<Vec<_>>()[..] else { panic!() };
        assert_eq!((stream.sent_bytes, stream.received_bytes), (600_000, 600_000));
        let steps = recording.notes.iter().filter(|note| note.kind == NoteKind::Step).count();
        assert_eq!(steps, scenario.steps.len());
        let cut = &recording.cuts[0];
        assert_eq!(cut.to.unwrap() - cut.from, Duration::from_millis(500));
        assert_eq!(recording.calm, Some(Instant::ZERO + scenario.lasts));
        assert_eq!(recording.left_out, LeftOut::default());
    }

    #[test]
    fn every_list_has_an_end() {
        let mut recording = Recording::new(&Transfer::new(1).scenario);
        let stats = ConnectionStats::default();
        for number in 0..(NOTES + 10) as u64 {
            let name = format!("c{number}");
            let end = End { connection: &name, host: "phone", is_client: true };
            let stream = StreamId::from_number(number << 4).unwrap();
            recording.on_sample(Instant::ZERO, end, &stats);
            recording.on_message(Instant::ZERO, end, stream, true, 1);
            recording.on_event(Instant::ZERO, Some(end), &Event::ShutDown);
            let mut packet = super::super::fixture::packet(Stage::Offered, 0, number, b"\x06");
            packet.from = Some(HostId(number as u32));
            recording.on_packet(&packet);
            let cut: Step = "0s cut phone>server".parse().unwrap();
            recording.on_step(Instant::ZERO, &cut, true);
        }
        assert_eq!(recording.ends.len(), ENDS);
        assert_eq!(recording.streams.len(), STREAMS);
        assert_eq!(recording.ways.len(), WAYS);
        assert_eq!(recording.notes.len(), NOTES);
        assert_eq!(recording.cuts.len(), NOTES);
        let all = (NOTES + 10) as u64;
        let left_out = LeftOut {
            samples: all - ENDS as u64,
            messages: all - STREAMS as u64,
            packets: all - WAYS as u64,
            notes: 2 * all - NOTES as u64,
        };
        assert_eq!(recording.left_out, left_out);
    }

    /// The curves' points are bounded, and connections are not looked at more often than needed.
    #[test]
    fn a_long_run_is_sampled_seldom() {
        let mut scenario = Transfer::new(1).scenario;
        assert!(Recording::new(&scenario).sample_every().unwrap() < Duration::from_millis(7));
        scenario.lasts = Duration::from_secs(86_400);
        assert_eq!(Recording::new(&scenario).sample_every(), Some(Duration::from_secs(144)));
        scenario.lasts = Duration::ZERO;
        assert_eq!(Recording::new(&scenario).sample_every(), Some(SAMPLE_EVERY));
    }
}
