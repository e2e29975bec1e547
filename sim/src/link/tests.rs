use super::*;
use crate::Chance;

const MS: Duration = Duration::from_millis(1);

fn link(config: LinkConfig, seed: u64) -> Link {
    Link::new(config, &Seed::from_number(seed))
}

fn at(nanos: u64) -> Instant {
    Instant::from_nanos(nanos)
}

fn arrivals(fate: Fate) -> Vec<Instant> {
    match fate {
        Fate::Arrives(arrivals) => arrivals.times().to_vec(),
        Fate::Dropped(_) => Vec::new(),
    }
}

/// Asserts that `count` of `of` is within six standard deviations of `expected` in a million; a
/// fair generator leaves that band once in 10^9 runs, and a seed is fixed anyway.
fn assert_share(count: u64, of: u64, expected_ppm: u64) {
    let mean = of as f64 * expected_ppm as f64 / 1e6;
    let deviation = (mean * (1.0 - expected_ppm as f64 / 1e6)).sqrt();
    assert!((count as f64 - mean).abs() < 6.0 * deviation + 1.0, "{count} of {of}, mean {mean}");
}

#[test]
fn a_perfect_link_delivers_at_once_and_in_order() {
    let mut link = link(LinkConfig::perfect(), 1);
    for step in 0..100 {
        assert_eq!(arrivals(link.offer(at(step), 65_507)), [at(step)]);
    }
    let counters = link.counters();
    assert_eq!((counters.offered, counters.passed), (100, 100));
    assert_eq!(counters.passed_bytes, 100 * 65_507);
}

#[test]
fn loss_duplication_and_reordering_happen_as_often_as_said() {
    const N: u64 = 100_000;
    for (seed, ppm) in [(1, 1_000), (2, 20_000), (3, 300_000), (4, 900_000)] {
        let chance = Chance::ppm(u32::try_from(ppm).unwrap());
        let config = LinkConfig::lossy(chance).duplicate(chance, MS).reorder(chance, MS);
        let mut link = link(config, seed);
        let mut copied = 0;
        for step in 0..N {
            let times = arrivals(link.offer(at(step), 100));
            copied += u64::from(times.len() == 2);
        }
        let counters = link.counters();
        assert_eq!(counters.passed + counters.lost, N);
        assert_eq!(counters.copies, copied);
        assert_share(counters.lost, N, ppm);
        assert_share(counters.copies, counters.passed, ppm);
        assert_share(counters.held_up, counters.passed, ppm);
    }
}

#[test]
fn copies_are_bounded_and_come_after_the_original() {
    let config = LinkConfig::perfect().duplicate(Chance::ALWAYS, MS).duplicate_copies(200);
    let mut link = link(config, 5);
    let mut seen = [0_u32; MAX_ARRIVALS + 1];
    for step in 0..2_000_u64 {
        let now = at(step * 10_000_000);
        let times = arrivals(link.offer(now, 10));
        seen[times.len()] += 1;
        assert_eq!(times[0], now);
        assert!(times.iter().all(|time| *time >= now && *time <= now + MS));
    }
    assert_eq!(&seen[..2], &[0, 0]);
    assert!(seen[2..].iter().all(|count| *count > 200), "{seen:?}");
}

#[test]
fn jitter_keeps_order_unless_told_otherwise_and_stays_in_its_range() {
    let config = LinkConfig::perfect().delay(10 * MS).jitter(5 * MS);
    let overtakings = |config: LinkConfig| {
        let mut link = link(config, 6);
        let mut last = Instant::ZERO;
        let mut count = 0;
        for step in 0..5_000_u64 {
            let now = at(step * 100_000);
            let time = arrivals(link.offer(now, 10))[0];
            assert!(time >= now + 10 * MS && time <= now + 15 * MS);
            count += u32::from(time < last);
            last = time;
        }
        count
    };
    assert_eq!(overtakings(config), 0);
    assert!(overtakings(config.free_order()) > 1_000);
}

#[test]
fn held_up_datagrams_are_overtaken_on_a_link_that_keeps_order() {
    let config = LinkConfig::perfect().delay(MS).reorder(Chance::percent(10), 10 * MS);
    let mut link = link(config, 7);
    let times: Vec<_> =
        (0..1_000_u64).map(|step| arrivals(link.offer(at(step * 100_000), 10))[0]).collect();
    let overtaken = times.windows(2).filter(|pair| pair[1] < pair[0]).count();
    assert!(overtaken > 50, "{overtaken}");
    // Only the held-up ones are late.
    let late =
        times.iter().zip(0_u64..).filter(|(time, step)| **time != at(step * 100_000) + MS).count();
    assert_eq!(late as u64, link.counters().held_up);
}

#[test]
fn rate_and_queue_are_exact() {
    // 1,000,000 B/s: a byte a microsecond. Room for three datagrams of 1,000 bytes.
    let mut link = link(LinkConfig::perfect().delay(MS).rate(1_000_000, 3_000), 8);
    let now = at(0);
    assert_eq!(arrivals(link.offer(now, 1_000)), [now + 2 * MS]);
    assert_eq!(arrivals(link.offer(now, 1_000)), [now + 3 * MS]);
    assert_eq!(arrivals(link.offer(now, 1_000)), [now + 4 * MS]);
    assert_eq!(link.offer(now, 1), Fate::Dropped(DropCause::QueueFull));
    // After a microsecond one byte has left: room for one, not for two.
    let now = at(1_000);
    assert_eq!(link.offer(now, 2), Fate::Dropped(DropCause::QueueFull));
    assert_eq!(arrivals(link.offer(now, 1)), [at(3_001_000) + MS]);
    // Idle again: a datagram leaves from when it comes.
    let now = at(9_000_000);
    assert_eq!(arrivals(link.offer(now, 1_000)), [now + 2 * MS]);
    let counters = link.counters();
    assert_eq!((counters.queue_full, counters.passed), (2, 5));
}

#[test]
fn an_idle_line_takes_what_is_larger_than_its_queue() {
    let mut link = link(LinkConfig::perfect().rate(1_000, 10), 9);
    assert_eq!(arrivals(link.offer(at(0), 100)), [at(100_000_000)]);
    assert_eq!(link.offer(at(1), 100), Fate::Dropped(DropCause::QueueFull));
}

#[test]
fn the_rate_does_not_drift_by_rounding() {
    // A third of a nanosecond each: rounding every datagram would be wrong by a third of a second.
    let mut link = link(LinkConfig::perfect().rate(3_000_000_000, usize::MAX), 10);
    let mut last = at(0);
    for _ in 0..3_000_000 {
        last = arrivals(link.offer(at(0), 1))[0];
    }
    assert_eq!(last, at(1_000_000));
}

#[test]
fn what_exceeds_the_mtu_vanishes() {
    let mut link = link(LinkConfig::perfect().mtu(1_200), 11);
    assert_eq!(arrivals(link.offer(at(0), 1_200)).len(), 1);
    assert_eq!(link.offer(at(0), 1_201), Fate::Dropped(DropCause::TooBig));
    assert_eq!(link.counters().too_big, 1);
}

#[test]
fn a_link_that_is_down_loses_everything() {
    let mut link = link(LinkConfig::down(), 12);
    assert!((0..1_000).all(|step| link.offer(at(step), 9) == Fate::Dropped(DropCause::Lost)));
}

#[test]
fn turning_one_knob_moves_no_draw_of_another() {
    let lost = |config: LinkConfig| {
        let mut link = link(config, 13);
        (0..5_000)
            .map(|step| link.offer(at(step), 100) == Fate::Dropped(DropCause::Lost))
            .collect::<Vec<_>>()
    };
    let base = LinkConfig::lossy(Chance::percent(30));
    let busy = base
        .jitter(MS)
        .reorder(Chance::percent(20), MS)
        .duplicate(Chance::percent(20), MS)
        .duplicate_copies(5);
    assert_eq!(lost(base), lost(busy));
}

#[test]
fn the_same_seed_makes_the_same_link() {
    let config = LinkConfig::lossy(Chance::percent(10))
        .jitter(MS)
        .reorder(Chance::percent(10), MS)
        .duplicate(Chance::percent(10), MS);
    let run = |seed| {
        let mut link = link(config, seed);
        (0..1_000).map(|step| link.offer(at(step * 1_000), 100)).collect::<Vec<_>>()
    };
    assert_eq!(run(14), run(14));
    assert_ne!(run(14), run(15));
}
