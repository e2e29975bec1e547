//! Tests of [`super::sent`] by the rules of RFC 9002, and (in `pipe`) of the parts together.
#![allow(clippy::arithmetic_side_effects, clippy::single_range_in_vec_init)]

extern crate std;

mod pipe;

use super::rtt::RttEstimator;
use super::sent::{
    AckError, AckOutcome, Fate, LEFT_OUT_MAX, LOST_MAX, LossOutcome, PACKETS_MAX, QUIET_MAX,
    SentPackets, Shape,
};
use alloc::vec::Vec;
use core::ops::Range;
use tripline_sansio::{Duration, Instant};

const DATA: Shape =
    Shape { bytes: 1000, ack_eliciting: true, in_flight: true, mtu_probe: false, ect0: false };
const QUIET: Shape =
    Shape { bytes: 50, ack_eliciting: false, in_flight: false, mtu_probe: false, ect0: false };
const MAX_ACK_DELAY: Duration = Duration::from_millis(25);

fn at(millis: u64) -> Instant {
    Instant::from_nanos(millis * 1_000_000)
}

/// A sender whose frame records are the packet numbers, and what it told.
struct Sender {
    sent: SentPackets<u64>,
    rtt: RttEstimator,
    told: Vec<(Fate, u64)>,
}

impl Sender {
    /// With an estimate of 100 ms, taken at 0, and thus a loss delay of 112.5 ms, a PTO of
    /// 325 ms and persistent congestion after 975 ms.
    fn new() -> Self {
        let mut rtt = RttEstimator::default();
        rtt.update(at(0), Duration::from_millis(100), Duration::ZERO, MAX_ACK_DELAY);
        Self { sent: SentPackets::new(0), rtt, told: Vec::new() }
    }

    fn send(&mut self, millis: u64, shape: Shape) -> u64 {
        let number = self.sent.begin();
        self.sent.record(number);
        assert_eq!(self.sent.finish(at(millis), shape).number, number);
        number
    }

    fn ack(&mut self, millis: u64, ranges: &[Range<u64>]) -> AckOutcome {
        self.sent.check_ack(ranges.iter().cloned()).unwrap();
        let Self { sent, told, .. } = self;
        sent.on_ack(at(millis), ranges.iter().cloned(), |fate, info, frames| {
            let held: Vec<u64> = frames.collect();
            let expected = if fate == Fate::Spurious { 0 } else { 1 };
            assert_eq!(held, [info.number].repeat(expected));
            told.push((fate, info.number));
        })
    }

    fn detect(&mut self, millis: u64) -> LossOutcome {
        let Self { sent, rtt, told } = self;
        sent.detect_lost(at(millis), rtt, MAX_ACK_DELAY, |fate, info, frames| {
            assert_eq!(frames.collect::<Vec<_>>(), [info.number]);
            told.push((fate, info.number));
        })
    }

    fn told(&mut self) -> Vec<(Fate, u64)> {
        core::mem::take(&mut self.told)
    }
}

fn fates(fate: Fate, numbers: Range<u64>) -> Vec<(Fate, u64)> {
    numbers.map(|number| (fate, number)).collect()
}

/// R-ACK-2, RFC 9002 §7: however often and in whatever cut an ACK is repeated, each packet grows
/// the window once; an ACK of what was never sent grows nothing.
#[test]
fn repeated_and_forged_acks_grow_no_window() {
    use super::congestion::{AckedPacket, Controller, NewReno};
    let mut sender = Sender::new();
    let mut reno = NewReno::new(1000);
    let before = reno.window();
    for _ in 0..10 {
        sender.send(0, DATA);
    }
    for round in 0..50 {
        let cut = round % 9 + 1;
        for ranges in [&[cut..10, 0..cut][..], &[0..10], &[9..10, 4..6]] {
            if sender.sent.check_ack(ranges.iter().cloned()).is_err() {
                continue;
            }
            let rtt = sender.rtt.summary();
            sender.sent.on_ack(at(50), ranges.iter().cloned(), |fate, info, _| {
                assert_eq!(fate, Fate::Acked);
                let (number, sent_at, bytes) = (info.number, info.sent_at, info.bytes);
                let packet = AckedPacket { number, sent_at, bytes, app_limited: false };
                reno.on_acked(at(50), &packet, &rtt);
            });
        }
        assert!(sender.sent.check_ack(core::iter::once(0..11 + round)).is_err());
    }
    assert_eq!(reno.window(), before + 10 * 1000, "slow start: what arrived, once");
}

/// R-ACK-2: a number left out, or never sent, is an error, and so is disorder; none has an effect.
#[test]
fn unsent_numbers_are_errors_before_any_effect() {
    let mut sender = Sender::new();
    sender.send(1, DATA);
    sender.sent.leave_out(1);
    assert_eq!(sender.send(1, DATA), 2);
    sender.sent.leave_out(100);
    let before = sender.sent.clone();
    let check = |ranges: &[Range<u64>]| before.check_ack(ranges.iter().cloned());
    assert_eq!(check(&[2..3, 0..1]), Ok(()));
    assert_eq!(check(&[0..3]), Err(AckError::NeverSent(1)));
    assert_eq!(check(&[2..3, 0..2]), Err(AckError::NeverSent(1)));
    assert_eq!(check(&[2..4]), Err(AckError::NeverSent(3)));
    assert_eq!(check(&[102..103]), Err(AckError::NeverSent(102)));
    assert_eq!(check(&[0..104]), Err(AckError::NeverSent(103)));
    assert_eq!(check(&[103..u64::MAX]), Err(AckError::NeverSent(103)));
    assert_eq!(check(&[0..1, 2..3]), Err(AckError::Disordered));
    assert_eq!(check(&[2..3, 2..3]), Err(AckError::Disordered));
    assert_eq!(check(&[1..1]), Err(AckError::Disordered));
    assert_eq!(sender.sent, before);
    assert_eq!(sender.sent.next_number(), 103);
}

/// A packet begun and given up takes no number and leaves no records behind (R-DATA-2).
#[test]
fn a_packet_given_up_leaves_nothing() {
    let mut sender = Sender::new();
    sender.sent.begin();
    sender.sent.record(77);
    sender.sent.record(78);
    assert_eq!(sender.send(0, DATA), 0);
    sender.ack(1, &[0..1]);
    assert_eq!(sender.told(), fates(Fate::Acked, 0..1));
}

/// R-LOSS-1, RFC 9002 §6.1.1: three numbers below the largest acknowledged is lost, two is not.
#[test]
fn packet_threshold() {
    let mut sender = Sender::new();
    for _ in 0..5 {
        sender.send(10, DATA);
    }
    let outcome = sender.ack(20, &[4..5]);
    assert_eq!((outcome.packets, outcome.bytes, outcome.advanced), (1, 1000, true));
    let loss = sender.detect(20);
    assert_eq!(sender.told(), [(Fate::Acked, 4), (Fate::Lost, 0), (Fate::Lost, 1)]);
    let congestion = loss.congestion.unwrap();
    assert_eq!((loss.packets, congestion.lost_bytes, congestion.persistent), (2, 2000, false));
    assert_eq!(congestion.sent_at, at(10));
    assert_eq!(sender.sent.bytes_in_flight(), 2000);
}

/// R-LOSS-1, RFC 9002 §6.1.2: 9/8 of a round trip after it was sent is lost; the timer says when.
#[test]
fn time_threshold() {
    let mut sender = Sender::new();
    sender.send(100, DATA);
    sender.send(101, DATA);
    assert_eq!(sender.detect(90_000).packets, 0, "nothing later is acknowledged");
    sender.ack(201, &[1..2]);
    assert_eq!(sender.detect(201).packets, 0);
    let due = sender.sent.loss_at().unwrap();
    assert_eq!(due, at(212) + Duration::from_micros(500));
    assert_eq!(sender.detect(212).packets, 0);
    assert_eq!(sender.sent.loss_at(), Some(due));
    assert_eq!(sender.detect(213).packets, 1);
    assert_eq!(sender.sent.loss_at(), None);
    assert_eq!(sender.sent.bytes_in_flight(), 0);
}

/// K5: at the zero of the clock, "sent before now − delay" must not stop at zero and lose all.
#[test]
fn nothing_is_lost_by_time_at_the_clocks_zero() {
    let mut sender = Sender::new();
    sender.send(0, DATA);
    sender.send(0, DATA);
    sender.ack(1, &[1..2]);
    assert_eq!(sender.detect(1).packets, 0);
}

/// RFC 9002 §5.1: a sample needs the largest number to be new, and something ack-eliciting.
#[test]
fn round_trip_samples() {
    let mut sender = Sender::new();
    sender.send(10, DATA);
    sender.send(20, QUIET);
    sender.send(30, QUIET);
    sender.send(40, DATA);
    assert_eq!(sender.ack(50, &[2..3]).rtt_sample, None, "nothing ack-eliciting");
    assert_eq!(sender.ack(60, &[2..3, 0..1]).rtt_sample, None, "the largest is old");
    let outcome = sender.ack(70, &[3..4, 0..3]);
    assert_eq!(outcome.rtt_sample, Some(Duration::from_millis(30)));
    assert_eq!(outcome.newest.map(|info| info.number), Some(3));
    let again = sender.ack(80, &[0..4]);
    assert_eq!(again, AckOutcome::default(), "a repeat is nothing");
    assert_eq!(sender.sent.largest_acked(), Some(3));
}

/// Each packet has its fate once; a late ACK of a lost one is legal and counted once, and makes
/// loss detection more patient (R-LOSS-1, RFC 9002 §6.1).
#[test]
fn late_acks_are_spurious_once_and_raise_the_threshold() {
    let mut sender = Sender::new();
    for _ in 0..10 {
        sender.send(10, DATA);
    }
    sender.ack(20, &[9..10]);
    sender.detect(20);
    assert_eq!(sender.told()[1..], fates(Fate::Lost, 0..7));
    let outcome = sender.ack(30, &[9..10, 5..8]);
    assert_eq!((outcome.packets, outcome.spurious, outcome.rtt_sample), (1, 2, None));
    let told = [(Fate::Acked, 7), (Fate::Spurious, 5), (Fate::Spurious, 6)];
    assert_eq!(sender.told(), told);
    assert_eq!(sender.ack(31, &[5..10]).spurious, 0);
    // The farthest was 4 below the largest: from now on 4 is not lost, 5 is.
    sender.ack(32, &[8..10]);
    for _ in 0..8 {
        sender.send(40, DATA);
    }
    sender.told();
    sender.ack(50, &[15..16]);
    sender.detect(50);
    assert_eq!(sender.told(), [(Fate::Acked, 15), (Fate::Lost, 10)]);
}

/// RFC 9002 §6.2.1: the probe timeout counts from the last ack-eliciting packet, and only while one
/// is unacknowledged; probes repeat the oldest.
#[test]
fn probe_timeout_counts_from_the_last_ack_eliciting_packet() {
    let mut sender = Sender::new();
    sender.send(5, QUIET);
    assert_eq!(sender.sent.pto_from(), None);
    sender.send(10, DATA);
    sender.send(20, DATA);
    sender.send(30, QUIET);
    assert_eq!(sender.sent.pto_from(), Some(at(20)));
    let oldest: Vec<u64> = sender.sent.unacked().flat_map(|(_, frames)| frames).collect();
    assert_eq!(oldest, [1, 2]);
    assert!(!sender.ack(40, &[0..1]).ack_eliciting);
    assert!(sender.ack(40, &[2..3]).ack_eliciting);
    assert_eq!(sender.sent.pto_from(), Some(at(20)));
    sender.ack(50, &[1..4]);
    assert_eq!(sender.sent.pto_from(), None);
}

/// Sends packets of `shapes` every 200 ms from 1,000 ms on, then one that is acknowledged along
/// with the numbers in `acked`, and returns whether the rest is persistent congestion.
fn persistent(mut sender: Sender, shapes: &[Shape], acked: &[Range<u64>]) -> bool {
    let mut now = 1000;
    for shape in shapes {
        sender.send(now, *shape);
        now += 200;
    }
    let last = sender.send(now, DATA);
    let mut ranges = Vec::from([last..last + 1]);
    ranges.extend(acked.iter().cloned());
    sender.ack(now + 100, &ranges);
    sender.detect(now + 100).congestion.is_some_and(|event| event.persistent)
}

/// R-LOSS-2, RFC 9002 §7.6: two ack-eliciting packets lost, 975 ms apart, none acknowledged
/// between, sent after the first sample.
#[test]
fn persistent_congestion() {
    let probe = Shape { mtu_probe: true, ..DATA };
    assert!(persistent(Sender::new(), &[DATA; 6], &[]));
    assert!(!persistent(Sender::new(), &[DATA; 5], &[]), "800 ms are too short");
    assert!(!persistent(Sender::new(), &[DATA; 7], &[3..4]), "broken by an ACK");
    assert!(persistent(Sender::new(), &[DATA; 12], &[3..4]), "long enough behind the ACK");
    assert!(persistent(Sender::new(), &[DATA, QUIET, QUIET, QUIET, QUIET, DATA], &[]));
    assert!(!persistent(Sender::new(), &[QUIET, DATA, DATA, DATA, DATA, QUIET], &[]));
    assert!(!persistent(Sender::new(), &[probe, DATA, DATA, DATA, DATA, probe], &[]), "R-MTU-1a");
    let unsampled = Sender { rtt: RttEstimator::default(), ..Sender::new() };
    assert!(!persistent(unsampled, &[DATA; 40], &[]), "no round trip was known");
    let mut sender = Sender::new();
    sender.rtt = RttEstimator::default();
    sender.rtt.update(at(1100), Duration::from_millis(100), Duration::ZERO, MAX_ACK_DELAY);
    assert!(!persistent(sender, &[DATA; 6], &[]), "the first one is older than the sample");
}

/// R-MTU-1: a lost MTU probe is no congestion, but leaves the flight. Packets that do not count as
/// in flight are no congestion either (RFC 9002 §7).
#[test]
fn mtu_probes_and_quiet_packets_are_no_congestion() {
    let mut sender = Sender::new();
    sender.send(10, Shape { mtu_probe: true, bytes: 1400, ..DATA });
    sender.send(10, QUIET);
    for _ in 0..4 {
        sender.send(10, DATA);
    }
    assert_eq!(sender.sent.bytes_in_flight(), 5400);
    sender.ack(20, &[2..6]);
    let loss = sender.detect(20);
    assert_eq!((loss.packets, loss.congestion), (2, None));
    assert_eq!(sender.sent.bytes_in_flight(), 0);
}

/// RFC 9002 §7.8: packets that flew with less than half of the window in use say so.
#[test]
fn app_limited_flights_are_marked() {
    let mut sender = Sender::new();
    sender.send(10, DATA);
    assert!(!sender.sent.on_app_limited(2000), "half is in use");
    assert!(!sender.ack(20, &[0..1]).newest.unwrap().app_limited);
    sender.send(30, DATA);
    assert!(sender.sent.on_app_limited(2002));
    sender.send(30, DATA);
    assert!(!sender.ack(40, &[2..3]).newest.unwrap().app_limited);
    assert!(sender.ack(40, &[1..2]).newest.unwrap().app_limited);
}

/// ECT(0) is counted among the newly acknowledged (RFC 9000 §13.4.2.1).
#[test]
fn ect0_is_counted_when_acknowledged() {
    let mut sender = Sender::new();
    sender.send(10, Shape { ect0: true, ..DATA });
    sender.send(10, DATA);
    sender.send(10, Shape { ect0: true, ..QUIET });
    assert_eq!(sender.ack(20, &[0..3]).ect0, 2);
}

/// Bound: a peer that never acknowledges our ACKs makes us remember 256 of them, whether or not
/// something in flight is stuck before them; all their numbers stay legal.
#[test]
fn quiet_packets_are_bounded() {
    let mut receiver_only = Sender::new();
    let mut stuck = Sender::new();
    stuck.send(0, DATA);
    for sender in [&mut receiver_only, &mut stuck] {
        for number in 0..20_000 {
            sender.send(number, QUIET);
            assert!(sender.sent.stored() <= (QUIET_MAX + 1, QUIET_MAX + 1));
        }
        let all = 0..sender.sent.next_number();
        assert_eq!(sender.sent.check_ack(core::iter::once(all)), Ok(()));
    }
    let all = receiver_only.sent.next_number();
    let outcome = receiver_only.ack(30_000, &[0..all]);
    assert_eq!(outcome.packets, QUIET_MAX as u64);
    assert_eq!(outcome.newest.map(|info| info.number), Some(all - 1), "the newest are kept");
    assert_eq!(receiver_only.sent.stored(), (0, 0));
}

/// Bound: numbers left out are remembered for 256 runs; a block is one run.
#[test]
fn left_out_numbers_are_bounded() {
    let mut sender = Sender::new();
    sender.sent.leave_out(1 << 40);
    let mut newest = 0;
    for _ in 0..LEFT_OUT_MAX * 2 {
        newest = sender.sent.next_number();
        sender.sent.leave_out(1);
        sender.send(0, DATA);
    }
    let check = |number: u64| sender.sent.check_ack(core::iter::once(number..number + 1));
    assert_eq!(check(newest), Err(AckError::NeverSent(newest)));
    let remembered = newest - 2 * (LEFT_OUT_MAX as u64 - 1);
    assert_eq!(check(remembered), Err(AckError::NeverSent(remembered)));
    assert_eq!(check(remembered - 2), Ok(()), "the oldest went");
}

/// Bounds: lost packets are recognised up to 1,024 back, and `has_room` ends at 65,536.
#[test]
fn lost_packets_and_flight_are_bounded() {
    let mut sender = Sender::new();
    for count in 0..PACKETS_MAX {
        assert!(sender.sent.has_room(), "{count}");
        sender.send(0, DATA);
    }
    assert!(!sender.sent.has_room());
    let all = sender.sent.next_number();
    sender.ack(1, &[all - 1..all]);
    let loss = sender.detect(1);
    assert_eq!(loss.packets, all - 3);
    assert_eq!(sender.sent.stored(), (3, 3), "two wait, and the acknowledged one behind them");
    assert!(sender.sent.has_room());
    sender.detect(5000);
    assert_eq!(sender.sent.stored(), (0, 0));
    assert_eq!(sender.ack(2, &[0..all]).spurious, LOST_MAX as u64);
}

/// R-ACK-3c: where no packet more can be remembered, the oldest make room for a probe; what they
/// carried is told as lost, and an ACK of them that comes late is none of anything.
#[test]
fn r_ack_3c_the_oldest_make_room_for_a_probe() {
    let mut sender = Sender::new();
    assert_eq!(sender.sent.oldest_if_full(), None);
    for _ in 0..PACKETS_MAX {
        sender.send(0, DATA);
    }
    let bound = sender.sent.oldest_if_full().expect("it is full");
    let flight = sender.sent.bytes_in_flight();
    let mut given_up = Vec::new();
    sender.sent.abandon_below(bound, |info, frames| given_up.push((info.number, frames.count())));
    assert_eq!(given_up, (0..bound).map(|number| (number, 1)).collect::<Vec<_>>());
    assert!(sender.sent.has_room() && sender.sent.oldest_if_full().is_none());
    assert_eq!(
        sender.sent.bytes_in_flight(),
        flight / PACKETS_MAX as u64 * (PACKETS_MAX as u64 - bound)
    );
    let late = sender.ack(1, &[0..bound]);
    assert_eq!((late.packets, late.spurious), (0, 0));
}

/// Architecture §3: in steady state no packet allocates: what is held does not grow.
#[test]
fn steady_state_does_not_grow() {
    let mut sender = Sender::new();
    for number in 0..50_000_u64 {
        sender.send(number, DATA);
        if number % 2 == 1 && number > 100 {
            // Every 50th packet is lost.
            let upto = number - 64;
            let from = upto - upto % 50 + 1;
            if from < upto {
                sender.ack(number, &[from..upto]);
                sender.detect(number);
            }
        }
        assert!(sender.sent.stored() <= (120, 120), "{number}");
        sender.told.clear();
    }
}
