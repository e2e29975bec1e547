//! CUBIC against the formulas of RFC 9438, reckoned here with floating point.
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
#![allow(clippy::cast_precision_loss)]

use super::super::tests::comes_back;
use super::*;

const MTU: u64 = 1200;

const RTT: RttSummary = RttSummary {
    latest: Duration::from_millis(100),
    min: Duration::from_millis(100),
    smoothed: Duration::from_millis(100),
    variation: Duration::ZERO,
};

fn at(millis: u64) -> Instant {
    Instant::from_nanos(millis * 1_000_000)
}

fn packet(number: u64, sent: u64) -> AckedPacket {
    AckedPacket { number, sent_at: at(sent), bytes: 1200, app_limited: false }
}

fn lost(number: u64, sent: u64) -> LostPacket {
    LostPacket { number, sent_at: at(sent), bytes: 1200, mtu_probe: false }
}

/// `count` packets sent at `sent` are acknowledged 100 ms later.
fn ack(cubic: &mut Cubic, sent: u64, count: u64) {
    for number in 0..count {
        cubic.on_acked(at(sent + 100), &packet(number, sent), &RTT);
    }
}

fn lose(cubic: &mut Cubic, now: u64, sent: u64) {
    cubic.on_lost(at(now), &lost(1, sent));
    congested(cubic, now, sent, false);
}

fn congested(cubic: &mut Cubic, now: u64, sent: u64, persistent: bool) {
    let event = CongestionEvent { sent_at: at(sent), lost_bytes: 1200, persistent, ecn: false };
    cubic.on_congestion(at(now), &event);
}

/// A controller in congestion avoidance whose window was `packets` before a loss at 1,000 ms.
fn reduced(packets: u64) -> Cubic {
    let mut cubic = Cubic::new(1200);
    cubic.curve.window = packets * MTU;
    lose(&mut cubic, 1000, 999);
    cubic
}

/// All of the window is acknowledged each 100 ms, for `rounds`; windows in packets.
fn grow(cubic: &mut Cubic, rounds: u64) -> Vec<f64> {
    let mut windows = Vec::new();
    for round in 0..rounds {
        let packets = cubic.curve.window / MTU;
        ack(cubic, 1000 + round * 100 + 1, packets);
        windows.push(cubic.curve.window as f64 / MTU as f64);
    }
    windows
}

/// Golden: K and the curve of RFC 9438 §4.2: after a loss at 400 packets W(t) = 0.4 (t − K)³ + 400
/// with K = cbrt(120 / 0.4) = 6.694 s, one round trip ahead, over both sides of K.
#[test]
fn golden_trajectory() {
    let mut cubic = reduced(400);
    assert_eq!(cubic.curve.window, 336_000, "0.7 × 400 packets");
    let k = 300_f64.cbrt();
    assert_eq!(cubic.curve.flat_after, (k * 1e6) as u64);
    for (round, window) in grow(&mut cubic, 120).into_iter().enumerate() {
        // Acknowledged at 1,101 ms + round; the window moves to W(t + RTT) within a round trip.
        let t = round as f64 * 0.1 + 0.101;
        let (now, ahead) = [t, t + 0.1].map(|t: f64| 0.4 * (t - k).powi(3) + 400.0).into();
        let (low, high) = (f64::min(now, ahead), ahead);
        assert!(window >= low - 1.6 && window <= high + 0.1, "{round}: {window} not {low}–{high}");
    }
    assert!(cubic.curve.window > 400 * MTU);
}

/// RFC 9438 §4.3: with little in flight Reno is faster: 9/17 of a packet a round trip, and a whole
/// one above the window before the loss.
#[test]
fn small_windows_grow_like_reno() {
    let mut cubic = reduced(10);
    let windows = grow(&mut cubic, 20);
    let step = |round: usize| windows[round + 1] - windows[round];
    for round in 0..4 {
        assert!((0.44..0.56).contains(&step(round)), "{round}: {}", step(round));
    }
    let above = windows.iter().position(|window| *window > 10.1).unwrap();
    assert!((5..9).contains(&above), "3 packets by 9/17, rounded: {above}");
    for round in above..above + 5 {
        assert!((0.85..1.05).contains(&step(round)), "{round}: {}", step(round));
    }
}

/// RFC 9438 §4.7: a flow that is reduced below its last maximum aims lower.
#[test]
fn fast_convergence() {
    let mut cubic = reduced(100);
    assert_eq!((cubic.curve.flat, cubic.curve.prior), (120_000, 120_000));
    lose(&mut cubic, 1200, 1100);
    assert_eq!(cubic.curve.window, 58_800, "0.7 × 0.7 × 100 packets");
    assert_eq!(cubic.curve.flat, 71_400, "0.85 × 70 packets");
    assert_eq!(cubic.curve.prior, 84_000);
}

/// RFC 9438 §4.10: slow start that ends without a loss goes on from a flat curve.
#[test]
fn hystart_goes_on_from_a_flat_curve() {
    let mut cubic = Cubic::new(1200);
    cubic.curve.window = 100 * MTU;
    cubic.curve.threshold = 100 * MTU;
    ack(&mut cubic, 1000, 100);
    assert_eq!((cubic.curve.flat, cubic.curve.flat_after), (120_000, 0));
    assert_eq!(cubic.curve.began, Some(at(1100)));
}

/// RFC 9002 §7.3.2: one reduction for a round trip, and no growth by what was sent before it.
#[test]
fn one_reduction_for_a_round_trip() {
    let mut cubic = reduced(100);
    let window = cubic.curve.window;
    lose(&mut cubic, 1010, 1000);
    ack(&mut cubic, 1000, 50);
    assert_eq!(cubic.curve.window, window);
    lose(&mut cubic, 1200, 1001);
    assert_eq!(cubic.curve.window, window * 7 / 10);
}

/// RFC 9438 §4.9: when the last loss of an event proves none, all is as before; not while one is
/// left, and not after a CE mark.
#[test]
fn spurious_losses_are_undone() {
    for mark in [false, true] {
        let mut cubic = Cubic::new(1200);
        cubic.curve.window = 100 * MTU;
        let before = cubic.clone();
        for number in 1..=3 {
            cubic.on_lost(at(1000), &lost(number, 990 + number));
        }
        congested(&mut cubic, 1000, 993, false);
        cubic.on_lost(at(1005), &lost(4, 994));
        congested(&mut cubic, 1005, 994, false);
        let event =
            CongestionEvent { sent_at: at(994), lost_bytes: 0, persistent: false, ecn: true };
        if mark {
            cubic.on_congestion(at(1005), &event);
        }
        for number in 1..=3 {
            cubic.on_spurious(at(1010), &lost(number, 990 + number));
            assert_eq!(cubic.curve.window, 84_000, "{number}");
        }
        cubic.on_spurious(at(1010), &lost(4, 994));
        assert_eq!(cubic.curve == before.curve, !mark);
    }
}

/// A spurious loss of an earlier event does not undo a later one.
#[test]
fn only_its_own_losses_undo_an_event() {
    let mut cubic = reduced(100);
    lose(&mut cubic, 1300, 1200);
    let window = cubic.curve.window;
    cubic.on_spurious(at(1310), &lost(1, 999));
    assert_eq!(cubic.curve.window, window);
    cubic.on_spurious(at(1310), &lost(1, 1200));
    assert_eq!(cubic.curve.window, 84_000, "the earlier reduction stands");
}

/// RFC 9002 §7.6: from two datagrams, in slow start, up to 0.7 of the window; also undone.
#[test]
fn persistent_congestion_starts_anew() {
    let mut cubic = Cubic::new(1200);
    cubic.curve.window = 100 * MTU;
    cubic.on_lost(at(1000), &lost(1, 990));
    congested(&mut cubic, 1000, 990, true);
    assert_eq!((cubic.window(), cubic.curve.threshold), (2 * MTU, 84_000));
    ack(&mut cubic, 900, 2);
    assert_eq!(cubic.window(), 4 * MTU);
    cubic.on_spurious(at(1100), &lost(1, 990));
    assert_eq!(cubic.window(), 100 * MTU);
}

/// RFC 9438 §5.8: time in which the application was the limit is no growth.
#[test]
fn app_limited_time_does_not_grow() {
    let mut busy = reduced(400);
    let mut idle = busy.clone();
    grow(&mut busy, 20);
    grow(&mut idle, 10);
    let window = idle.curve.window;
    idle.on_app_limited(at(2100), 0);
    let limited = AckedPacket { app_limited: true, ..packet(1, 2100) };
    idle.on_acked(at(2200), &limited, &RTT);
    assert_eq!(idle.curve.window, window);
    for round in 10..20 {
        let sent = 601_000 + 1 + round * 100;
        let packets = idle.curve.window / MTU;
        ack(&mut idle, sent, packets);
    }
    let difference = busy.curve.window.abs_diff(idle.curve.window);
    assert!(difference < 8 * MTU, "{} and {}", busy.curve.window, idle.curve.window);
}

/// An hour, a day and the end of time later nothing overflows, and a round trip at most
/// multiplies the window by 1.5 (RFC 9438 §4.4).
#[test]
fn extremes_saturate() {
    let mut cubic = reduced(400);
    for later in [3_600_000, 86_400_000, u64::MAX / 1_000_000] {
        let before = cubic.curve.window;
        cubic.on_acked(at(later), &packet(1, later), &RTT);
        assert!(cubic.curve.window >= before && cubic.curve.window <= before + 2 * MTU);
        ack(&mut cubic, later - 100, before / MTU);
        assert!(cubic.curve.window <= before * 5 / 3);
    }
    let mut vast = Cubic::new(u16::MAX);
    vast.curve.window = u64::MAX;
    lose(&mut vast, 5, 4);
    ack(&mut vast, 200, 3);
    let slow = RttSummary { smoothed: Duration::MAX, ..RTT };
    vast.on_acked(Instant::MAX, &packet(1, 300), &slow);
    assert!(vast.window() > 0);
}

/// RFC 9002 §7.2 and §7.1: never below two datagrams; a mark reduces like a loss; MTU probes don't.
#[test]
fn minimum_mark_and_probe() {
    let mut cubic = Cubic::new(1200);
    for round in 1..40 {
        lose(&mut cubic, round * 100, round * 100 - 1);
    }
    assert_eq!(cubic.window(), 2400);
    cubic.on_mtu(1400);
    assert_eq!(cubic.window(), 2800);
    let mut marked = Cubic::new(1200);
    let event = CongestionEvent { sent_at: at(1), lost_bytes: 0, persistent: false, ecn: true };
    marked.on_congestion(at(100), &event);
    marked.on_congestion(at(101), &event);
    assert_eq!(marked.curve.window, 10_304, "0.7 of 14,720");
    let mut probed = Cubic::new(1200);
    probed.on_lost(at(5), &LostPacket { mtu_probe: true, ..lost(1, 4) });
    assert_eq!(probed, Cubic::new(1200));
}

/// R-CC-1: 14,720 bytes at first, at least two datagrams; and windows in whole datagrams.
#[test]
fn windows_are_whole_datagrams() {
    for (mtu, window) in [(1200, 14_400), (1472, 10 * 1472), (1500, 15_000), (9000, 18_000)] {
        assert_eq!(Cubic::new(mtu).window(), window, "mtu {mtu}");
        let mut moved = Cubic::new(1200);
        moved.on_mtu(mtu);
        assert_eq!(moved, Cubic::new(mtu));
    }
    let mut cubic = Cubic::new(1200);
    for (bytes, window) in [(12_599, 12_000), (12_600, 13_200), (1, 2400)] {
        cubic.curve.window = bytes;
        assert_eq!(cubic.window(), window);
    }
}

#[test]
fn saved_state_comes_back_and_damage_is_refused() {
    let mut cubic = reduced(100);
    grow(&mut cubic, 3);
    cubic.on_app_limited(at(1400), 0);
    cubic.on_sent(at(1400), &SentPacket { number: 77, bytes: 1200, in_flight: 1200 });
    comes_back(&cubic, Cubic::new(1350));
    comes_back(&Cubic::new(1350), cubic);
}

/// RFC 9002 §7.2, R-MTU-1: the window is still the initial one after packets of a sender that had
/// nothing more to send: it is reckoned anew with a new size all the same (it once stayed as it
/// was, and so lost a datagram to rounding, when sizes were searched for before any data).
#[test]
fn initial_window_follows_the_size_after_a_pause() {
    for pause in [false, true] {
        let mut cubic = Cubic::new(1200);
        if pause {
            cubic.on_app_limited(at(1), 1200);
        }
        cubic.on_acked(at(100), &AckedPacket { app_limited: true, ..packet(1, 1) }, &RTT);
        cubic.on_mtu(1278);
        assert_eq!(cubic.window(), 12 * 1278);
        cubic.on_mtu(1200);
        assert_eq!(cubic.window(), 12 * 1200);
        cubic.on_mtu(9000);
        assert_eq!(cubic.window(), 2 * 9000);
        cubic.on_mtu(1200);
        assert_eq!(cubic.window(), 12 * 1200);
    }
}
