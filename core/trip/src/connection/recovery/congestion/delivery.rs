//! Delivery-rate samples (draft-ietf-ccwg-bbr §4.1): how fast the path carried what was sent, and
//! what was in flight and lost around it.
//!
//! In go packets sent, acknowledged and lost; out comes one sample for each ACK frame. It keeps a
//! record of every packet whose fate is not known, and decides nothing.
#![deny(clippy::arithmetic_side_effects)]

use super::math::rate;
use super::saved::{Fields, Walk};
use super::{AckedPacket, SentPacket};
use alloc::collections::VecDeque;
use tripline_sansio::codec::ReadError;
use tripline_sansio::{Duration, Instant};

/// Packets remembered at most; the oldest goes, and its fate then gives no sample. The connection
/// has no more without a fate (`sent::PACKETS_MAX`).
pub(super) const RECORDS_MAX: usize = 1 << 16;

/// The state of the flow when a packet went out. Amounts are bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Record {
    number: u64,
    sent_at: Instant,
    /// Delivered by then, and since when.
    delivered: u64,
    delivered_at: Instant,
    /// When the first packet of the flight that this one belongs to went out.
    flight_began: Instant,
    /// In flight, this packet included.
    pub(super) in_flight: u64,
    /// Lost by then.
    lost: u64,
    pub(super) app_limited: bool,
    /// Its fate is known; it waits for those before it.
    done: bool,
}

impl Record {
    const EMPTY: Self = Self {
        number: 0,
        sent_at: Instant::ZERO,
        delivered: 0,
        delivered_at: Instant::ZERO,
        flight_began: Instant::ZERO,
        in_flight: 0,
        lost: 0,
        app_limited: false,
        done: false,
    };
}

impl Fields for Record {
    fn walk(&mut self, walk: &mut Walk<'_>) -> Result<(), ReadError> {
        walk.all(&mut [
            &mut self.number,
            &mut self.delivered,
            &mut self.in_flight,
            &mut self.lost,
        ])?;
        for at in [&mut self.sent_at, &mut self.delivered_at, &mut self.flight_began] {
            walk.instant(at)?;
        }
        walk.flag(&mut self.app_limited)?;
        walk.flag(&mut self.done)
    }
}

/// What one ACK frame says about the path, by the newest packet that it acknowledges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// Bytes per second; 0 if the time was too short to tell.
    pub(super) rate: u64,
    /// Bytes delivered since the packet went out.
    pub(super) delivered: u64,
    /// Bytes delivered before the packet went out: what tells one round trip from the next.
    pub(super) prior_delivered: u64,
    /// In flight when the packet went out, itself included.
    pub(super) in_flight: u64,
    /// Bytes lost since the packet went out.
    pub(super) lost: u64,
    /// The application was what limited the rate.
    pub(super) app_limited: bool,
    /// Its round trip, the peer's delay included.
    pub(super) rtt: Duration,
    /// Bytes that this frame acknowledged.
    pub(super) acked: u64,
}

/// The packets of a flow and what became of them. Amounts are bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Delivery {
    records: VecDeque<Record>,
    pub(super) delivered: u64,
    delivered_at: Instant,
    flight_began: Instant,
    pub(super) lost: u64,
    /// Samples count as limited by the application until this much is delivered; 0: not limited.
    limited_until: u64,
    /// The newest packet that the present frame acknowledged, and how much it acknowledged.
    newest: Option<Record>,
    acked: u64,
}

impl Delivery {
    /// Nothing sent yet.
    pub(super) const fn new() -> Self {
        Self {
            records: VecDeque::new(),
            delivered: 0,
            delivered_at: Instant::ZERO,
            flight_began: Instant::ZERO,
            lost: 0,
            limited_until: 0,
            newest: None,
            acked: 0,
        }
    }

    /// Whether the application limits the rate at the moment.
    pub(super) const fn is_app_limited(&self) -> bool {
        self.limited_until > 0
    }

    /// The sender had nothing to send, with `in_flight` bytes out.
    pub(super) fn on_app_limited(&mut self, in_flight: u64) {
        self.limited_until = self.delivered.saturating_add(in_flight).max(1);
    }

    /// A packet went out.
    pub(super) fn on_sent(&mut self, now: Instant, packet: &SentPacket) {
        if packet.in_flight <= u64::from(packet.bytes) {
            self.flight_began = now;
            self.delivered_at = now;
        }
        if self.records.len() >= RECORDS_MAX {
            self.records.pop_front();
        }
        self.records.push_back(Record {
            number: packet.number,
            sent_at: now,
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            flight_began: self.flight_began,
            in_flight: packet.in_flight,
            lost: self.lost,
            app_limited: self.is_app_limited(),
            done: false,
        });
    }

    /// Takes the record of a packet whose fate is known now.
    fn settle(&mut self, number: u64) -> Option<Record> {
        let index = self.records.partition_point(|record| record.number < number);
        let record = self.records.get_mut(index).filter(|record| record.number == number)?;
        if record.done {
            return None;
        }
        record.done = true;
        let settled = *record;
        while self.records.front().is_some_and(|record| record.done) {
            self.records.pop_front();
        }
        Some(settled)
    }

    /// A packet was acknowledged.
    pub(super) fn on_acked(&mut self, now: Instant, packet: &AckedPacket) {
        let bytes = u64::from(packet.bytes);
        self.delivered = self.delivered.saturating_add(bytes);
        self.delivered_at = now;
        self.acked = self.acked.saturating_add(bytes);
        if let Some(record) = self.settle(packet.number)
            && self.newest.is_none_or(|newest| newest.number < record.number)
        {
            self.newest = Some(record);
        }
    }

    /// A packet was lost. Returns what was in flight and lost around it, and whether the
    /// application was what limited the sender, as a [`Sample`] without a rate; `None` if nothing
    /// is known of it. The loss of an MTU probe does not count.
    pub(super) fn on_lost(&mut self, number: u64, bytes: u64, counts: bool) -> Option<Sample> {
        let record = self.settle(number);
        if !counts {
            return None;
        }
        self.lost = self.lost.saturating_add(bytes);
        let record = record?;
        Some(Sample {
            rate: 0,
            delivered: self.delivered.saturating_sub(record.delivered),
            prior_delivered: record.delivered,
            in_flight: record.in_flight,
            lost: self.lost.saturating_sub(record.lost),
            app_limited: record.app_limited,
            rtt: Duration::ZERO,
            acked: 0,
        })
    }

    /// A packet counted as lost had arrived.
    pub(super) fn on_spurious(&mut self, bytes: u64) {
        self.lost = self.lost.saturating_sub(bytes);
        self.delivered = self.delivered.saturating_add(bytes);
    }

    /// The round trip of the newest packet that the present frame acknowledged so far.
    pub(super) fn newest_rtt(&self, now: Instant) -> Option<Duration> {
        self.newest.map(|record| now - record.sent_at)
    }

    /// All of an ACK frame was told: the sample, if it acknowledged a packet that is known. Spans
    /// below `least` (the shortest round trip) say nothing of the rate (§4.1.2.3).
    pub(super) fn sample(&mut self, now: Instant, least: Duration) -> Option<Sample> {
        let acked = core::mem::take(&mut self.acked);
        if self.limited_until > 0 && self.delivered > self.limited_until {
            self.limited_until = 0;
        }
        let record = self.newest.take()?;
        self.flight_began = record.sent_at;
        let sending = record.sent_at - record.flight_began;
        let acking = self.delivered_at - record.delivered_at;
        let span = sending.max(acking);
        let delivered = self.delivered.saturating_sub(record.delivered);
        let known = span >= least && !span.is_zero();
        Some(Sample {
            rate: if known { rate(delivered, span) } else { 0 },
            delivered,
            prior_delivered: record.delivered,
            in_flight: record.in_flight,
            lost: self.lost.saturating_sub(record.lost),
            app_limited: record.app_limited,
            rtt: now - record.sent_at,
            acked,
        })
    }

    /// Whether a restored state is one that can come about.
    pub(super) fn is_sound(&self) -> bool {
        self.records.len() <= RECORDS_MAX
            && self.records.iter().is_sorted_by(|before, after| before.number < after.number)
            && self.newest.is_none()
            && self.acked == 0
    }
}

impl Fields for Delivery {
    fn walk(&mut self, walk: &mut Walk<'_>) -> Result<(), ReadError> {
        walk.all(&mut [
            &mut self.delivered,
            &mut self.lost,
            &mut self.limited_until,
            &mut self.acked,
        ])?;
        walk.instant(&mut self.delivered_at)?;
        walk.instant(&mut self.flight_began)?;
        walk.option(&mut self.newest, Record::EMPTY, |walk, record| record.walk(walk))?;
        walk.list(&mut self.records, Record::EMPTY, RECORDS_MAX)
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    fn send(delivery: &mut Delivery, millis: u64, number: u64, in_flight: u64) {
        delivery.on_sent(at(millis), &SentPacket { number, bytes: 1000, in_flight });
    }

    fn ack(delivery: &mut Delivery, sent: u64, millis: u64, number: u64) {
        let packet = AckedPacket { number, sent_at: at(sent), bytes: 1000, app_limited: false };
        delivery.on_acked(at(millis), &packet);
    }

    /// Ten packets in 10 ms over a path that takes 100 ms and passes one each 2 ms: the rate is the
    /// slower of sending and acknowledging (§4.1.1).
    #[test]
    fn rates_are_those_of_the_slower_side() {
        let mut delivery = Delivery::new();
        for number in 0..10 {
            send(&mut delivery, number, number, 1000 * (number + 1));
        }
        let mut last = None;
        for number in 0..10 {
            ack(&mut delivery, number, 100 + 2 * number, number);
            last = delivery.sample(at(100 + 2 * number), Duration::ZERO);
        }
        let mut last = last.unwrap();
        assert_eq!((last.delivered, last.prior_delivered), (10_000, 0));
        assert_eq!(last.rate, 10_000 * 1000 / 118, "all since the flight began");
        assert_eq!((last.rtt, last.in_flight), (Duration::from_millis(109), 10_000));
        // The next flight, sent one by one behind the ACKs, shows the path's own rate.
        for number in 10..160 {
            let now = 120 + 2 * (number - 10);
            if number >= 60 {
                ack(&mut delivery, now - 100, now, number - 50);
                last = delivery.sample(at(now), Duration::ZERO).unwrap();
            }
            send(&mut delivery, now, number, 50_000);
        }
        assert_eq!(last.rate, 500_000, "one each 2 ms");
        assert_eq!(delivery.records.len(), 50);
    }

    /// A span shorter than a round trip gives no rate (§4.1.2.3).
    #[test]
    fn short_spans_give_no_rate() {
        let mut delivery = Delivery::new();
        send(&mut delivery, 0, 0, 1000);
        ack(&mut delivery, 0, 90, 0);
        assert_eq!(delivery.sample(at(90), Duration::from_millis(100)).unwrap().rate, 0);
        assert_eq!(delivery.sample(at(91), Duration::ZERO), None, "nothing new");
    }

    /// Losses are counted between a packet's sending and its fate, MTU probes are not, and a
    /// spurious one is taken back.
    #[test]
    fn losses_count_from_when_a_packet_went_out() {
        let mut delivery = Delivery::new();
        for number in 0..5 {
            send(&mut delivery, number, number, 1000 * (number + 1));
        }
        ack(&mut delivery, 4, 100, 4);
        assert_eq!(delivery.on_lost(0, 1000, true).unwrap().lost, 1000);
        assert_eq!(delivery.on_lost(1, 1000, false), None);
        let third = delivery.on_lost(2, 1000, true).unwrap();
        assert_eq!((third.lost, third.in_flight), (2000, 3000));
        assert_eq!(delivery.on_lost(2, 1000, true), None, "its fate was known");
        delivery.on_spurious(1000);
        assert_eq!(delivery.sample(at(100), Duration::ZERO).unwrap().lost, 2000);
    }

    /// What is sent without data waiting is marked until all of it is delivered (§4.1.2.4).
    #[test]
    fn app_limited_samples_are_marked() {
        let mut delivery = Delivery::new();
        send(&mut delivery, 0, 0, 1000);
        delivery.on_app_limited(1000);
        send(&mut delivery, 50, 1, 2000);
        ack(&mut delivery, 0, 100, 0);
        assert!(!delivery.sample(at(100), Duration::ZERO).unwrap().app_limited);
        ack(&mut delivery, 50, 150, 1);
        assert!(delivery.sample(at(150), Duration::ZERO).unwrap().app_limited);
        send(&mut delivery, 160, 2, 1000);
        ack(&mut delivery, 160, 260, 2);
        assert!(!delivery.sample(at(260), Duration::ZERO).unwrap().app_limited);
    }

    /// Bound: [`RECORDS_MAX`] packets, the oldest goes.
    #[test]
    fn records_are_bounded() {
        let mut delivery = Delivery::new();
        let most = RECORDS_MAX as u64;
        for number in 0..most + 10 {
            send(&mut delivery, 0, number, 5000);
        }
        assert_eq!(delivery.records.len(), RECORDS_MAX);
        ack(&mut delivery, 0, 100, 3);
        assert_eq!(delivery.sample(at(100), Duration::ZERO), None, "forgotten");
        ack(&mut delivery, 0, 100, 10);
        assert!(delivery.sample(at(100), Duration::ZERO).is_some());
    }
}
