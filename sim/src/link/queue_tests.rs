//! Managed queues, counted queues, policers: the books, the laws and the marks.

use super::*;

const MS: Duration = Duration::from_millis(1);
/// A byte a microsecond.
const RATE: u64 = 1_000_000;

fn line(config: LineConfig) -> Bottleneck {
    Bottleneck::with(config, &Seed::from_number(1))
}

/// Offers 1,000 bytes every `gap` for `time`; what became of each.
fn load(
    line: &mut Bottleneck,
    from: Instant,
    gap: Duration,
    time: Duration,
    markable: bool,
) -> Vec<(Instant, Result<bool, DropCause>, Duration)> {
    let mut now = from;
    let mut all = Vec::new();
    while now < from + time {
        let passed = line.pass(now, 1_000, markable);
        let wait = passed.map_or(Duration::ZERO, |passage| passage.departure - now);
        all.push((now, passed.map(|passage| passage.marked), wait));
        now += gap;
    }
    all
}

fn assert_balanced(line: &Bottleneck) {
    let counters = line.counters();
    assert_eq!(counters.offered, counters.passed + counters.full + counters.early);
    let bytes = counters.passed_bytes + counters.full_bytes + counters.early_bytes;
    assert_eq!(counters.offered_bytes, bytes);
}

#[test]
fn a_queue_may_be_bounded_by_datagrams() {
    let mut line = line(LineConfig::new(RATE, usize::MAX).packets(3));
    let now = Instant::ZERO;
    let fits = |line: &mut Bottleneck, now, len| line.pass(now, len, false).is_ok();
    assert!((0..3).all(|_| fits(&mut line, now, 500)));
    assert_eq!(line.pass(now, 1, false), Err(DropCause::QueueFull));
    assert!(!fits(&mut line, now + MS / 4, 1));
    assert!(fits(&mut line, now + MS / 2, 1), "the first has been sent");
    // Idle times leave nothing behind.
    assert!((10..1_000).all(|ms| fits(&mut line, now + ms * MS, 100)));
    assert_balanced(&line);
    // None: an idle line takes a datagram all the same.
    line.configure(LineConfig::new(RATE, usize::MAX).packets(0));
    assert!(fits(&mut line, now + 2_000 * MS, 900));
    assert!(!fits(&mut line, now + 2_000 * MS, 900));
}

/// A steady overload of a tenth that does not give way: the drops follow the control law until they
/// are a tenth, and the queue comes back to its target.
#[test]
fn codel_drops_by_its_law_once_an_interval_was_too_long() {
    let mut line = line(LineConfig::new(RATE, usize::MAX).aqm(Aqm::CoDel(CoDel::DEFAULT)));
    let all = load(&mut line, Instant::ZERO, MS * 9 / 10, 8_000 * MS, true);
    let drops: Vec<Instant> = all
        .iter()
        .filter(|(_, fate, _)| *fate == Err(DropCause::QueueEarly))
        .map(|(at, _, _)| *at)
        .collect();
    // 5 ms of queue build up in 45 ms, and stand for 100 ms by the clock of departures.
    let first = drops[0].as_nanos() / 1_000_000;
    assert!((120..160).contains(&first), "the first after {first} ms");
    // Then 100 ms ÷ √n apart, by the same clock; a drop is a millisecond less of queue.
    let gaps: Vec<u128> = drops.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect();
    for (gap, wanted) in gaps.iter().zip([100.0, 70.7, 57.7, 50.0, 44.7]) {
        let wanted = wanted * 0.9;
        assert!((*gap as f64 - wanted).abs() < 12.0, "{gaps:?}, wanted {wanted}");
    }
    assert!(all.iter().all(|(_, fate, _)| *fate != Err(DropCause::QueueFull)));
    let longest = all.iter().map(|(_, _, wait)| *wait).max().unwrap();
    assert!(longest < 150 * MS, "{longest:?}; without it would be 800 ms");
    let later = all.iter().filter(|(at, fate, _)| fate.is_ok() && at.as_nanos() > 4_000_000_000);
    let shortest = later.map(|(_, _, wait)| *wait).min().unwrap();
    assert!(shortest < 10 * MS, "the load does not give way, the queue does: {shortest:?}");
    assert_balanced(&line);
}

#[test]
fn codel_leaves_short_queues_and_single_datagrams_alone() {
    // 20 ms a datagram, so every one waits too long; but there is hardly a queue.
    let slow = LineConfig::new(50_000, usize::MAX).aqm(Aqm::CoDel(CoDel::DEFAULT));
    let mut line = line(slow);
    let all = load(&mut line, Instant::ZERO, 20 * MS, 5_000 * MS, true);
    assert!(all.iter().all(|(_, fate, _)| *fate == Ok(false)));
    // A burst that drains within an interval.
    let fast = LineConfig::new(RATE, usize::MAX).aqm(Aqm::CoDel(CoDel::DEFAULT));
    let mut line = Bottleneck::with(fast, &Seed::from_number(1));
    for burst in 0..10_u32 {
        let from = Instant::ZERO + burst * 300 * MS;
        assert!(load(&mut line, from, MS / 100, MS * 9 / 10, true).len() == 90);
    }
    assert_eq!(line.counters().early, 0);
}

#[test]
fn codel_and_red_mark_in_place_of_dropping_where_marks_are_taken() {
    let codel = Aqm::CoDel(CoDel { ecn: true, ..CoDel::DEFAULT });
    let red = Aqm::Red(Red { ecn: true, weight_shift: 4, ..Red::new(20_000) });
    for aqm in [codel, red] {
        for markable in [true, false] {
            let mut line = line(LineConfig::new(RATE, usize::MAX).aqm(aqm));
            let all = load(&mut line, Instant::ZERO, MS * 9 / 10, 400 * MS, markable);
            let counters = line.counters();
            assert_balanced(&line);
            let marks = all.iter().filter(|(_, fate, _)| *fate == Ok(true)).count() as u64;
            assert_eq!(counters.marked, marks);
            assert_eq!(marks > 0, markable, "{aqm:?}: {counters:?}");
            assert_eq!(counters.early > 0, !markable, "{aqm:?}: {counters:?}");
        }
    }
}

/// The share that RED drops grows from nothing at the first threshold to all above the second.
#[test]
fn red_drops_by_the_average_length() {
    let red = Red { chance: Chance::percent(20), weight_shift: 5, ..Red::new(20_000) };
    // The length is kept constant: a datagram comes whenever one has left.
    let share = |length: u64| {
        let mut line = line(LineConfig::new(RATE, usize::MAX));
        for _ in 0..length / 1_000 {
            line.pass(Instant::ZERO, 1_000, false).unwrap();
        }
        line.configure(LineConfig::new(RATE, usize::MAX).aqm(Aqm::Red(red)));
        let mut now = Instant::ZERO;
        let mut dropped = 0;
        for _ in 0..20_000 {
            while line.backlog(now) > length {
                now += MS / 10;
            }
            dropped += u64::from(line.pass(now, 1_000, false).is_err());
        }
        assert_balanced(&line);
        dropped * 100 / 20_000
    };
    assert_eq!(share(10_000), 0);
    // Spread evenly, a chance of p drops one in (1 + 1 ÷ p) ÷ 2.
    let half = share(40_000);
    assert!((13..=22).contains(&half), "{half} %");
    // Above the second threshold nobody passes until the average has sunk.
    assert!(share(70_000) > half);
}

#[test]
fn red_forgets_while_the_line_is_idle() {
    let red = Red { weight_shift: 4, ..Red::new(5_000) };
    let mut line = line(LineConfig::new(RATE, usize::MAX).aqm(Aqm::Red(red)));
    let now = Instant::ZERO;
    while line.counters().early < 10 {
        let _ = line.pass(now, 1_000, false);
    }
    // Long after, the first few pass again.
    let later = now + 10_000 * MS;
    assert!((0..4).all(|_| line.pass(later, 1_000, false).is_ok()));
}

#[test]
fn a_policer_lets_its_rate_and_its_burst_through_and_nothing_waits() {
    let config = LinkConfig::perfect().policer(100_000, 5_000);
    let mut link = Link::new(config, &Seed::from_number(1));
    let mut now = Instant::ZERO;
    for _ in 0..10_000 {
        if let Fate::Arrives(arrivals) = link.offer(now, 500) {
            assert_eq!(arrivals.times(), [now]);
        }
        now += MS;
    }
    let counters = link.counters();
    // Ten seconds at 100,000 bytes a second, and the full bucket of the beginning.
    let allowed = 10 * 100_000 + 5_000;
    assert!((allowed - 1_000..=allowed).contains(&counters.passed_bytes), "{counters:?}");
    assert_eq!(counters.offered, counters.passed + counters.policed);
    assert_eq!(link.offer(now + 60_000 * MS, 5_001), Fate::Dropped(DropCause::Policed));
    assert!(matches!(link.offer(now + 60_000 * MS, 5_000), Fate::Arrives(_)));
}
