//! What holds for every link, whatever its knobs: nothing appears or vanishes uncounted, the rate
//! is exact to a packet, the queue keeps its bound. Seeds are printed when one fails.

use super::*;
use crate::Chance;
use std::collections::BTreeSet;
use tripline_sansio::Random;

const MS: Duration = Duration::from_millis(1);

/// One datagram of a random load: when it is offered, and its length.
type Load = Vec<(Instant, usize)>;

/// Bursts and pauses about as fast as `rate`, lengths of 1 to 1,500 bytes.
fn load(random: &mut Random, rate: u64, count: usize) -> Load {
    let mut now = Instant::ZERO;
    let pause_max = 1_500_000_000_000 / rate.max(1);
    (0..count)
        .map(|_| {
            if random.chance(3, 4) {
                now += Duration::from_nanos(random.below(pause_max) + 1);
            }
            (now, random.below(1_500) as usize + 1)
        })
        .collect()
}

fn chance(random: &mut Random) -> Chance {
    // Half of the knobs are off in a run.
    if random.chance(1, 2) { Chance::ppm(random.below(300_000) as u32) } else { Chance::NEVER }
}

fn config(random: &mut Random) -> (LinkConfig, u64) {
    let rate = 10_000 + random.below(10_000_000);
    let queue = random.below(60_000) as usize;
    let mut config = LinkConfig::perfect()
        .delay(Duration::from_nanos(random.below(50_000_000)))
        .rate(rate, queue)
        .mark_above(random.below(40_000) as usize)
        .mtu(1_200 + random.below(400) as usize)
        .loss(chance(random))
        .reorder(chance(random), 20 * MS)
        .duplicate(chance(random), 20 * MS)
        .duplicate_copies(random.below(8) as u8);
    if random.chance(1, 2) {
        config = config.jitter(10 * MS);
    }
    if random.chance(1, 2) {
        let [one, other, loss] = [(); 3].map(|()| chance(random));
        config = config.bursts(Bursts::new(one, other, loss).longest(random.bits32() % 4));
    }
    if random.chance(1, 2) {
        config = config.lose_every(random.bits32() % 50).blackouts(50 * MS, 2 * MS);
    }
    if random.chance(1, 2) {
        config = config.damage(DamageConfig::every(chance(random)));
        config.ecn.lose = chance(random);
    }
    if random.chance(1, 2) {
        config = config.policer(rate, 20_000).queue_packets(random.below(40) as usize);
    }
    config.aqm = match random.below(3) {
        0 => Aqm::TailDrop,
        1 => Aqm::CoDel(CoDel { interval: 10 * MS, ecn: true, ..CoDel::DEFAULT }),
        _ => Aqm::Red(Red { weight_shift: 3, ..Red::new(5_000) }),
    };
    if random.chance(1, 2) {
        config = config.free_order();
    }
    (config, rate)
}

/// Every datagram and every byte has exactly one fate, and each is counted under its own name.
#[test]
fn nothing_appears_or_vanishes_uncounted() {
    let mut seen = BTreeSet::new();
    for seed in 0..200 {
        let mut random = Seed::from_number(seed).random("conservation");
        let (config, rate) = config(&mut random);
        let mut link = Link::new(config, &Seed::from_number(seed));
        let mut told = LinkCounters::default();
        for (now, len) in load(&mut random, rate, 2_000) {
            let bytes = len as u64;
            told.offered += 1;
            told.offered_bytes += bytes;
            let ecn = if random.chance(1, 2) { Ecn::Ect0 } else { Ecn::NotEct };
            let (count, size) = match link.offer_marked(None, now, len, ecn) {
                Fate::Arrives(arrivals) => {
                    told.copies += arrivals.times().len() as u64 - 1;
                    let earliest = now + config.delay;
                    assert!(arrivals.times().iter().all(|at| *at > earliest), "seed {seed}");
                    (&mut told.passed, &mut told.passed_bytes)
                }
                Fate::Dropped(cause) => {
                    seen.insert(cause);
                    told.of_mut(cause).unwrap_or_else(|| panic!("seed {seed}: {cause}"))
                }
            };
            *count += 1;
            *size += bytes;
        }
        let counted = link.counters();
        for cause in DropCause::ALL {
            assert_eq!(counted.of(cause), told.of(cause), "seed {seed}: {cause}");
        }
        let pairs = [(counted.passed, told.passed), (counted.copies, told.copies)];
        assert!(pairs.iter().all(|(one, other)| one == other), "seed {seed}");
        assert_eq!(counted.passed_bytes, told.passed_bytes, "seed {seed}");
        assert_eq!(counted.offered, told.offered, "seed {seed}");
        assert_eq!(counted.offered_bytes, told.offered_bytes, "seed {seed}");
        assert_eq!(counted.offered, counted.passed + counted.dropped(), "seed {seed}");
        let bytes = counted.passed_bytes + counted.dropped_bytes();
        assert_eq!(counted.offered_bytes, bytes, "seed {seed}");
        let inner = link.bottleneck.counters();
        assert_eq!(inner.offered, inner.passed + inner.full + inner.early, "seed {seed}");
        let bytes = inner.passed_bytes + inner.full_bytes + inner.early_bytes;
        assert_eq!(inner.offered_bytes, bytes, "seed {seed}");
        let before = counted.too_big + counted.policed;
        assert_eq!(inner.offered, counted.offered - before, "seed {seed}");
    }
    assert_eq!(seen.len(), 9, "every cause that a link has: {seen:?}");
}

/// Over a stretch without a pause the line has sent what its rate says, to the nanosecond of the
/// last byte; and what waits never exceeds the queue, or the one datagram that an idle line takes.
#[test]
fn the_rate_is_exact_and_the_queue_keeps_its_bound() {
    let (mut stretches, mut full) = (0, 0);
    for seed in 0..200 {
        let mut random = Seed::from_number(seed).random("rate");
        let rate = 1_000 + random.below(100_000_000);
        let queue = 3_000 + random.below(60_000) as usize;
        let mut line = Bottleneck::new(Some(rate), queue);
        let (mut begun, mut sent, mut until) = (Instant::ZERO, 0_u128, Instant::ZERO);
        for (now, len) in load(&mut random, rate, 2_000) {
            assert!(line.backlog(now) <= queue as u64, "seed {seed}");
            if until < now {
                (begun, sent) = (now, 0);
                stretches += 1;
            }
            let Ok(passage) = line.pass(now, len, false) else {
                full += 1;
                continue;
            };
            sent += len as u128;
            until = passage.departure;
            // Rounded down to a nanosecond, however many datagrams the stretch had.
            let exact = sent * 1_000_000_000 / u128::from(rate);
            assert_eq!((until - begun).as_nanos(), exact, "seed {seed}");
        }
        let counters = line.counters();
        assert!(counters.backlog_max <= queue.max(1_500) as u64, "seed {seed}: {counters:?}");
    }
    assert!(stretches > 1_000 && full > 1_000, "the load was too tame: {stretches}, {full}");
}

/// Two links through one bottleneck: one queue for both, and losses and delays of their own.
#[test]
fn a_shared_bottleneck_serves_first_come_first_served() {
    let seed = Seed::from_number(1);
    let mut shared = Bottleneck::new(Some(1_000_000), 3_000);
    let mut near = Link::new(LinkConfig::perfect().delay(MS), &seed.child("near"));
    let mut far = Link::new(LinkConfig::perfect().delay(20 * MS), &seed.child("far"));
    let now = Instant::ZERO;
    let at = |fate| match fate {
        Fate::Arrives(arrivals) => Some(arrivals.times()[0]),
        Fate::Dropped(_) => None,
    };
    assert_eq!(at(near.offer_through(&mut shared, now, 1_000)), Some(now + 2 * MS));
    assert_eq!(at(far.offer_through(&mut shared, now, 1_000)), Some(now + 22 * MS));
    assert_eq!(at(near.offer_through(&mut shared, now, 1_000)), Some(now + 4 * MS));
    let full = Fate::Dropped(DropCause::QueueFull);
    assert_eq!(far.offer_through(&mut shared, now, 1), full);
    assert_eq!((near.counters().queue_full, far.counters().queue_full), (0, 1));
    assert_eq!((shared.counters().passed, shared.counters().full), (3, 1));
    assert_eq!(shared.backlog(now + MS), 2_000);
}

/// The mark depends on what waits before a datagram, not on the datagram.
#[test]
fn a_long_queue_marks() {
    let config = LinkConfig::perfect().rate(1_000_000, 10_000).mark_above(1_500);
    let mut link = Link::new(config, &Seed::from_number(1));
    let marks: Vec<bool> = (0..4)
        .map(|_| match link.offer(Instant::ZERO, 1_000) {
            Fate::Arrives(arrivals) => arrivals.is_congested(),
            Fate::Dropped(cause) => panic!("dropped: {cause:?}"),
        })
        .collect();
    assert_eq!(marks, [false, false, true, true]);
    assert_eq!(link.counters().congested, 2);
}
