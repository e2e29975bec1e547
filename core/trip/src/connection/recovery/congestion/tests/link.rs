//! A bottleneck in virtual time: flows that always have data share a queue that drops what does
//! not fit, before a link of a fixed rate and delay that loses packets at random, both ways.
//!
//! Flows are built of the parts of [`super::super::super`] as the connection builds them: what was
//! sent, what was received, round trips, probe timeouts. Pacing lets a packet go when the one
//! before it has had its time.

use super::super::super::pto::Pto;
use super::super::super::received::Received;
use super::super::super::rtt::RttEstimator;
use super::super::super::sent::{Fate, SentPackets, Shape};
use super::super::{AckSummary, AckedPacket, Controller, LostPacket, SentPacket};
use super::saved;
use crate::connection::recovery::sent::PacketInfo;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Range;
use tripline_sansio::{Duration, Ecn, Instant, Random, Seed};

/// The size of every datagram.
pub(super) const DATAGRAM: u16 = 1200;

const MAX_ACK_DELAY: Duration = Duration::from_millis(25);

/// What the path is like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path {
    /// Bytes per second.
    pub(super) rate: u64,
    /// There and back, without a queue.
    pub(super) rtt: Duration,
    /// Bytes that wait at most.
    pub(super) queue: u64,
    /// Packets lost on the link, there and back, in a thousand.
    pub(super) loss: u64,
    /// Each packet takes up to so much longer, there and back: they overtake each other.
    pub(super) jitter: Duration,
}

impl Path {
    /// A path with a queue of one bandwidth-delay product, but at least 30 kB.
    pub(super) fn new(megabits: u64, millis: u64, loss: u64) -> Self {
        let rate = megabits * 125_000;
        let rtt = Duration::from_millis(millis);
        let queue = (rate * millis / 1000).max(30_000);
        Self { rate, rtt, queue, loss, jitter: Duration::ZERO }
    }
}

/// What became of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Score {
    pub(super) sent: u64,
    pub(super) arrived: u64,
    pub(super) dropped: u64,
    pub(super) spurious: u64,
}

impl Score {
    /// Useful bytes per second in thousandths of the link's rate.
    pub(super) fn share(&self, path: &Path, time: Duration) -> u64 {
        let useful = (self.arrived - self.spurious.min(self.arrived)) * u64::from(DATAGRAM);
        let carried = u128::from(path.rate) * time.as_millis() / 1000;
        u64::try_from(u128::from(useful) * 1000 / carried).unwrap()
    }

    /// Packets dropped by the queue, or resent though they arrived, in thousandths of all sent.
    pub(super) fn waste(&self) -> u64 {
        (self.dropped + self.spurious) * 1000 / self.sent.max(1)
    }
}

enum Wire {
    Data(u64),
    Ack(Vec<Range<u64>>, Duration),
}

/// One sender and its receiver.
pub(super) struct Flow {
    pub(super) controller: Box<dyn Controller>,
    sent: SentPackets<()>,
    received: Received,
    rtt: RttEstimator,
    pto: Pto,
    starts: Instant,
    /// When the next packet may go.
    paced_until: Instant,
    probes: u64,
    /// Bytes the application has; `None` for no end.
    pub(super) supply: Option<u64>,
    pub(super) score: Score,
}

impl Flow {
    pub(super) fn new(controller: Box<dyn Controller>, starts: Duration) -> Self {
        Self {
            controller,
            sent: SentPackets::new(0),
            received: Received::new(MAX_ACK_DELAY),
            rtt: RttEstimator::default(),
            pto: Pto::default(),
            starts: Instant::ZERO + starts,
            paced_until: Instant::ZERO,
            probes: 0,
            supply: None,
            score: Score::default(),
        }
    }

    fn has_data(&self) -> bool {
        self.supply.is_none_or(|supply| supply >= u64::from(DATAGRAM))
    }

    fn may_send(&self) -> bool {
        let next = self.sent.bytes_in_flight() + u64::from(DATAGRAM);
        let open = next <= self.controller.window() && self.has_data();
        self.sent.has_room() && (self.probes > 0 || open)
    }

    fn loss_or_probe_at(&self) -> Option<Instant> {
        let base = self.rtt.pto_base(MAX_ACK_DELAY);
        let probe = self.sent.pto_from().map(|since| self.pto.deadline(since, base, true));
        self.sent.loss_at().or(probe)
    }

    /// When something is to be done next, whatever arrives.
    fn next_at(&self, now: Instant) -> Option<Instant> {
        let send = self.may_send().then(|| self.paced_until.max(self.starts).max(now));
        [send, self.loss_or_probe_at(), self.received.deadline()].into_iter().flatten().min()
    }

    fn send(&mut self, now: Instant) -> u64 {
        self.probes = self.probes.saturating_sub(1);
        if let Some(supply) = &mut self.supply {
            *supply = supply.saturating_sub(u64::from(DATAGRAM));
        }
        let number = self.sent.begin();
        let shape = Shape {
            bytes: DATAGRAM,
            ack_eliciting: true,
            in_flight: true,
            mtu_probe: false,
            ect0: false,
        };
        self.sent.finish(now, shape);
        let in_flight = self.sent.bytes_in_flight();
        self.controller.on_sent(now, &SentPacket { number, bytes: DATAGRAM, in_flight });
        let rate = self.controller.pacing_rate(&self.rtt.summary());
        let gap = u128::from(DATAGRAM) * 1_000_000_000 / u128::from(rate);
        let gap = Duration::from_nanos(u64::try_from(gap).unwrap());
        self.paced_until = self.paced_until.max(now) + gap;
        self.score.sent += 1;
        number
    }

    fn on_ack(&mut self, now: Instant, ranges: &[Range<u64>], delay: Duration) {
        assert_eq!(self.sent.check_ack(ranges.iter().cloned()), Ok(()));
        let Self { sent, controller, rtt, .. } = self;
        let summary = rtt.summary();
        let outcome = sent.on_ack(now, ranges.iter().cloned(), |fate, info, _| {
            if fate == Fate::Spurious {
                controller.on_spurious(now, &lost(info));
            } else {
                controller.on_acked(now, &acked(info), &summary);
            }
        });
        self.score.spurious += outcome.spurious;
        if let Some(sample) = outcome.rtt_sample {
            self.rtt.update(now, sample, delay, MAX_ACK_DELAY);
        }
        if outcome.ack_eliciting {
            self.pto.on_ack();
            self.probes = 0;
        }
        self.detect(now);
        let summary = AckSummary {
            largest_acked: self.sent.largest_acked().unwrap(),
            acked_bytes: outcome.bytes,
            in_flight: self.sent.bytes_in_flight(),
            rtt_sample: outcome.rtt_sample,
        };
        self.controller.on_ack_end(now, &summary, &self.rtt.summary());
    }

    fn detect(&mut self, now: Instant) {
        let Self { sent, controller, rtt, .. } = self;
        let found = sent.detect_lost(now, rtt, MAX_ACK_DELAY, |_, info, _| {
            controller.on_lost(now, &lost(info));
        });
        if let Some(event) = found.congestion {
            controller.on_congestion(now, &event);
        }
    }

    fn expire(&mut self, now: Instant) {
        self.received.on_timeout(now);
        if self.loss_or_probe_at().is_none_or(|at| at > now) {
            return;
        }
        if self.sent.loss_at().is_some() {
            self.detect(now);
        } else {
            self.probes = u64::from(self.pto.on_timeout());
        }
    }

    fn tell_limited(&mut self, now: Instant) {
        if !self.has_data() && self.sent.on_app_limited(self.controller.window()) {
            self.controller.on_app_limited(now, self.sent.bytes_in_flight());
        }
    }
}

fn acked(info: &PacketInfo) -> AckedPacket {
    let PacketInfo { number, sent_at, bytes, app_limited, .. } = *info;
    AckedPacket { number, sent_at, bytes, app_limited }
}

fn lost(info: &PacketInfo) -> LostPacket {
    let PacketInfo { number, sent_at, bytes, mtu_probe, .. } = *info;
    LostPacket { number, sent_at, bytes, mtu_probe }
}

/// All of it.
pub(super) struct Net {
    pub(super) path: Path,
    pub(super) flows: Vec<Flow>,
    pub(super) now: Instant,
    random: Random,
    on_the_way: BTreeMap<(Instant, u64), (usize, Wire)>,
    posted: u64,
    /// When the link has sent all that waits.
    busy_until: Instant,
    /// The most that ever waited, in bytes.
    pub(super) queue_most: u64,
}

impl Net {
    pub(super) fn new(path: Path, flows: Vec<Flow>, seed: u64) -> Self {
        Self {
            path,
            flows,
            now: Instant::ZERO,
            random: Seed::from_number(seed).random("link"),
            on_the_way: BTreeMap::new(),
            posted: 0,
            busy_until: Instant::ZERO,
            queue_most: 0,
        }
    }

    fn post(&mut self, at: Instant, flow: usize, wire: Wire) {
        if self.random.chance(self.path.loss, 1000) {
            return;
        }
        self.posted += 1;
        let jitter = u64::try_from(self.path.jitter.as_nanos()).unwrap();
        let longer = Duration::from_nanos(self.random.below(jitter + 1));
        let arrives = at + self.path.rtt / 2 + longer;
        self.on_the_way.insert((arrives, self.posted), (flow, wire));
    }

    fn enqueue(&mut self, flow: usize, number: u64) {
        let waiting = self.busy_until - self.now;
        let waiting = u128::from(self.path.rate) * waiting.as_nanos() / 1_000_000_000;
        let waiting = u64::try_from(waiting).unwrap() + u64::from(DATAGRAM);
        if waiting > self.path.queue {
            self.flows[flow].score.dropped += 1;
            return;
        }
        self.queue_most = self.queue_most.max(waiting);
        let time = u64::from(DATAGRAM) * 1_000_000_000 / self.path.rate;
        self.busy_until = self.busy_until.max(self.now) + Duration::from_nanos(time);
        self.post(self.busy_until, flow, Wire::Data(number));
    }

    fn turn(&mut self, index: usize) {
        let now = self.now;
        while self.flows[index].may_send()
            && self.flows[index].paced_until <= now
            && self.flows[index].starts <= now
        {
            let number = self.flows[index].send(now);
            self.enqueue(index, number);
        }
        self.flows[index].tell_limited(now);
        let received = &mut self.flows[index].received;
        if received.is_ack_wanted() {
            let ack = Wire::Ack(received.ranges().collect(), received.delay(now));
            received.on_ack_sent();
            self.post(now, index, ack);
        }
    }

    /// One event; false if none comes before `end`.
    fn step(&mut self, end: Instant) -> bool {
        let arrival = self.on_the_way.keys().next().map(|(at, _)| *at);
        let timers = self.flows.iter().filter_map(|flow| flow.next_at(self.now));
        let Some(next) = timers.chain(arrival).min().filter(|next| *next < end) else {
            self.now = end;
            return false;
        };
        assert!(next >= self.now);
        self.now = next;
        let mut arrived = None;
        if arrival == Some(next)
            && let Some((_, (index, wire))) = self.on_the_way.pop_first()
        {
            let flow = &mut self.flows[index];
            match wire {
                Wire::Data(number) => {
                    flow.score.arrived += 1;
                    flow.received.on_packet(next, number, true, Ecn::NotEct, false);
                }
                Wire::Ack(ranges, delay) => {
                    if let Some(newest) = ranges.first() {
                        flow.received.on_ack_acked(newest.start.saturating_sub(1));
                    }
                    flow.on_ack(next, &ranges, delay);
                }
            }
            arrived = Some(index);
        }
        for index in 0..self.flows.len() {
            if arrived == Some(index) || self.flows[index].next_at(next) == Some(next) {
                self.flows[index].expire(next);
                self.turn(index);
            }
        }
        true
    }

    /// On for `time`; returns what became of each flow in it.
    pub(super) fn run(&mut self, time: Duration) -> Vec<Score> {
        let before: Vec<Score> = self.flows.iter().map(|flow| flow.score).collect();
        let end = self.now + time;
        while self.step(end) {}
        let after = self.flows.iter().map(|flow| flow.score);
        after
            .zip(before)
            .map(|(after, before)| Score {
                sent: after.sent - before.sent,
                arrived: after.arrived - before.arrived,
                dropped: after.dropped - before.dropped,
                spurious: after.spurious - before.spurious,
            })
            .collect()
    }

    /// The saved states of all controllers.
    pub(super) fn digest(&self) -> Vec<Vec<u8>> {
        self.flows.iter().map(|flow| saved(flow.controller.as_ref())).collect()
    }
}
