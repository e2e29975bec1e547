//! Losses in bursts and by number, shapes of jitter, damage, and tampering with marks.

use super::*;
use crate::Chance;
use tripline_sansio::Random;

const MS: Duration = Duration::from_millis(1);

fn link(config: LinkConfig, seed: u64) -> Link {
    Link::new(config, &Seed::from_number(seed))
}

fn at(nanos: u64) -> Instant {
    Instant::from_nanos(nanos)
}

/// Why each of `count` datagrams was lost, one a millisecond.
fn causes(config: LinkConfig, seed: u64, count: u64) -> Vec<Option<DropCause>> {
    let mut link = link(config, seed);
    (0..count)
        .map(|step| match link.offer(at(step * 1_000_000), 100) {
            Fate::Dropped(cause) => Some(cause),
            Fate::Arrives(_) => None,
        })
        .collect()
}

/// The lengths of runs of losses.
fn runs(lost: &[Option<DropCause>]) -> Vec<usize> {
    lost.split(|cause| cause.is_none()).map(<[_]>::len).filter(|len| *len > 0).collect()
}

/// Against a loss of the same share that is independent: as many, but in longer runs.
#[test]
fn bursts_lose_as_much_as_their_stationary_share_in_runs() {
    let share = |lost: &[Option<DropCause>]| {
        lost.iter().filter(|cause| cause.is_some()).count() as f64 / lost.len() as f64
    };
    let mean = |runs: &[usize]| runs.iter().sum::<usize>() as f64 / runs.len() as f64;
    // Bad for 4 datagrams on average, 1 ÷ (1 + 25) of the time.
    let bursts = Bursts::new(Chance::percent(1), Chance::percent(25), Chance::percent(80));
    for seed in 0..5 {
        let lost = causes(LinkConfig::perfect().bursts(bursts), seed, 100_000);
        let expected = 0.8 / 26.0;
        assert!((share(&lost) - expected).abs() < expected / 5.0, "seed {seed}: {}", share(&lost));
        assert!(lost.iter().flatten().all(|cause| *cause == DropCause::Burst));
        // A run ends with the state or by luck: 1 ÷ (1 − 0.75 · 0.8) long.
        let length = mean(&runs(&lost));
        assert!((2.2..2.8).contains(&length), "seed {seed}: {length}");
        let capped = causes(LinkConfig::perfect().bursts(bursts.longest(2)), seed, 100_000);
        assert_eq!(runs(&capped).into_iter().max(), Some(2), "seed {seed}");
    }
}

#[test]
fn every_nth_datagram_is_lost_whatever_else_is() {
    let lost = causes(LinkConfig::perfect().lose_every(7), 1, 700);
    let numbers: Vec<usize> = (0..700).filter(|number| lost[*number].is_some()).collect();
    assert_eq!(numbers, (0..100).map(|turn| 7 * turn + 6).collect::<Vec<_>>());
    // With losses by chance besides, those take their share first and the count goes on.
    let both = causes(LinkConfig::lossy(Chance::percent(50)).lose_every(7), 1, 700);
    assert!(numbers.iter().all(|number| both[*number].is_some()));
    assert!(both.contains(&Some(DropCause::Lost)) && both.contains(&Some(DropCause::Periodic)));
}

#[test]
fn blackouts_come_and_go_by_the_clock() {
    let mut config = LinkConfig::perfect().blackouts(20 * MS, 3 * MS);
    let dark = |config| {
        let lost = causes(config, 1, 100);
        (0..100).filter(|ms| lost[*ms] == Some(DropCause::Blackout)).collect::<Vec<_>>()
    };
    assert_eq!(dark(config), [0, 1, 2, 20, 21, 22, 40, 41, 42, 60, 61, 62, 80, 81, 82]);
    config.blackouts = Some(Blackouts { first: 38 * MS, ..Blackouts::new(20 * MS, 3 * MS) });
    assert_eq!(dark(config)[..5], [0, 18, 19, 20, 38]);
    assert!(!Blackouts::new(Duration::ZERO, MS).is_dark(at(0)), "none at all");
    assert_eq!(dark(config.blackouts(20 * MS, 20 * MS)).len(), 100);
}

/// The jitter of `count` datagrams, in microseconds.
fn jitters(config: LinkConfig, count: u64) -> Vec<u64> {
    let mut link = link(config.free_order(), 3);
    let one = |step: u64| match link.offer(at(step), 10) {
        Fate::Arrives(arrivals) => (arrivals.times()[0].as_nanos() - step) / 1_000,
        Fate::Dropped(cause) => panic!("{cause}"),
    };
    (0..count).map(one).collect()
}

fn quantile(values: &[u64], percent: usize) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted[(sorted.len() - 1) * percent / 100]
}

#[test]
fn jitter_has_the_shape_that_was_asked_for() {
    let config = LinkConfig::perfect().jitter(10 * MS);
    let shaped = |shape| jitters(config.jitter_shape(shape), 50_000);
    let of = |values: &[u64]| [5, 50, 95].map(|percent| quantile(values, percent));
    let near = |got: [u64; 3], wanted: [u64; 3]| {
        let close = got.iter().zip(wanted).all(|(got, wanted)| got.abs_diff(wanted) <= 150);
        assert!(close, "{got:?}, wanted about {wanted:?}");
    };
    near(of(&shaped(JitterShape::Uniform)), [500, 5_000, 9_500]);
    // Irwin–Hall of four: 1.645 deviations of 1 ÷ √48 around the middle, nearly.
    near(of(&shaped(JitterShape::Normal)), [2_606, 5_000, 7_394]);
    let pareto = shaped(JitterShape::Pareto);
    near(of(&pareto), [16, 303, 3_721]);
    assert!(pareto.iter().all(|jitter| *jitter <= 10_000));
    assert!(pareto.iter().any(|jitter| *jitter > 9_500), "the tail is reached");
}

#[test]
fn correlated_jitter_moves_slowly_within_its_range() {
    let config = LinkConfig::perfect().jitter(10 * MS);
    let step = |values: &[u64]| {
        let sum: u64 = values.windows(2).map(|pair| pair[0].abs_diff(pair[1])).sum();
        sum / (values.len() as u64 - 1)
    };
    let free = jitters(config, 20_000);
    let slow = jitters(config.jitter_correlation(Chance::percent(90)), 20_000);
    assert!(step(&slow) * 4 < step(&free), "{} and {}", step(&slow), step(&free));
    assert!(slow.iter().all(|jitter| *jitter <= 10_000));
    assert!(quantile(&slow, 50).abs_diff(5_000) < 300);
}

/// What `damage` makes of `bytes`, many times over.
fn damaged(config: DamageConfig, bytes: &[u8], previous: &[u8], times: u64) -> Vec<Vec<u8>> {
    let mut link = link(LinkConfig::perfect().damage(config), 5);
    (0..times)
        .map(|step| {
            let Fate::Arrives(arrivals) = link.offer(at(step), bytes.len()) else {
                panic!("it arrives");
            };
            let mut bytes = bytes.to_vec();
            arrivals.damage().apply(&mut bytes, previous);
            bytes
        })
        .collect()
}

#[test]
fn each_kind_of_damage_does_what_it_says() {
    let always = Chance::ALWAYS;
    let none = DamageConfig::NONE;
    let zeros = [0; 40];
    let all = damaged(DamageConfig { flip: always, ..none }, &zeros, &[], 2_000);
    let ones: Vec<u32> =
        all.iter().map(|bytes| bytes.iter().map(|byte| byte.count_ones()).sum()).collect();
    assert!(all.iter().all(|bytes| bytes.len() == 40) && ones.iter().all(|ones| *ones <= 8));
    assert!((1..=8).all(|count| ones.contains(&count)));
    let counting: Vec<u8> = (0..40).collect();
    for mut bytes in damaged(DamageConfig { swap: always, ..none }, &counting, &[], 500) {
        let moved = bytes.iter().zip(&counting).filter(|(one, other)| one != other).count();
        assert!(moved == 2 || moved == 0);
        bytes.sort_unstable();
        assert_eq!(bytes, counting);
    }
    let all = damaged(DamageConfig { truncate: always, ..none }, &counting, &[], 2_000);
    assert!(all.iter().all(|bytes| bytes.len() < 40 && counting.starts_with(bytes)));
    assert!((0..40).all(|len| all.iter().any(|bytes| bytes.len() == len)));
    let all = damaged(DamageConfig { extend: always, ..none }, &counting, &[], 2_000);
    let range = 41..=40 + GARBAGE_MAX;
    assert!(all.iter().all(|bytes| range.contains(&bytes.len()) && bytes.starts_with(&counting)));
    assert!(range.clone().all(|len| all.iter().any(|bytes| bytes.len() == len)));
    let previous = [0xff; 25];
    let splice = DamageConfig { splice: always, ..none };
    for bytes in damaged(splice, &counting, &previous, 500) {
        let own = bytes.iter().zip(&counting).take_while(|(one, other)| one == other).count();
        assert!(own < 25 && bytes[own..].iter().all(|byte| *byte == 0xff) && bytes.len() == 25);
    }
    // A predecessor that is longer; and none.
    for bytes in damaged(splice, &counting[..3], &previous, 500) {
        assert_eq!(bytes.len(), 25);
    }
    assert!(damaged(splice, &counting, &[], 9).iter().all(|bytes| *bytes == counting));
    // The empty datagram, and the longest one.
    let every = DamageConfig::every(always);
    assert!(damaged(every, &[], &previous, 500).iter().all(|bytes| bytes.len() <= 88));
    let longest = vec![7; MAX_DATAGRAM];
    let extend = DamageConfig { extend: always, ..none };
    assert!(damaged(extend, &longest, &[], 9).iter().all(|bytes| *bytes == longest));
}

#[test]
fn damage_is_as_frequent_as_said_and_counted_by_kind() {
    const N: u64 = 50_000;
    let chances = [1, 2, 3, 4, 5].map(Chance::percent);
    let [flip, swap, splice, truncate, extend] = chances;
    let config = DamageConfig { flip, swap, splice, truncate, extend };
    let mut link = link(LinkConfig::perfect().damage(config), 6);
    let mut some = 0;
    for step in 0..N {
        if let Fate::Arrives(arrivals) = link.offer(at(step), 100) {
            some += u64::from(!arrivals.damage().is_none());
        }
    }
    let LinkCounters { flipped, swapped, spliced, truncated, extended, .. } = link.counters();
    let counted = [flipped, swapped, spliced, truncated, extended];
    for (count, percent) in counted.into_iter().zip(1..) {
        let mean = N * percent / 100;
        assert!(count.abs_diff(mean) < mean / 5, "{percent} %: {count}");
    }
    assert!(some <= counted.iter().sum() && some > extended, "several may fall on one");
}

#[test]
fn marks_are_bleached_put_on_and_held_against_their_bearers() {
    let all = [Ecn::NotEct, Ecn::Ect0, Ecn::Ect1, Ecn::Ce];
    let treat = |config: EcnConfig| {
        let mut link = link(LinkConfig::perfect().ecn(config), 7);
        let marks = all.map(|ecn| match link.offer_marked(None, at(0), 10, ecn) {
            Fate::Arrives(arrivals) => Some(arrivals.ecn()),
            Fate::Dropped(cause) => {
                assert_eq!(cause, DropCause::Marked);
                None
            }
        });
        (marks, link.counters())
    };
    let (always, none) = (Chance::ALWAYS, EcnConfig::NONE);
    assert_eq!(treat(none).0, all.map(Some));
    let (marks, counters) = treat(EcnConfig { bleach: always, ..none });
    assert_eq!((marks, counters.bleached), ([Some(Ecn::NotEct); 4], 3));
    let (marks, counters) = treat(EcnConfig { remark: always, ..none });
    let ce = Some(Ecn::Ce);
    assert_eq!((marks, counters.remarked), ([Some(Ecn::NotEct), ce, ce, ce], 2));
    let (marks, counters) = treat(EcnConfig { lose: always, ..none });
    assert_eq!((marks, counters.marked), ([Some(Ecn::NotEct), None, None, None], 3));
    // Marked by chance and then bleached: both happened.
    let (marks, counters) = treat(EcnConfig { remark: always, bleach: always, ..none });
    assert_eq!((marks, counters.remarked, counters.bleached), ([Some(Ecn::NotEct); 4], 2, 3));
}

/// Every knob there is, in random combinations: what one decides is the same with all others on.
#[test]
fn no_knob_moves_a_draw_of_another() {
    let base = LinkConfig::perfect().delay(MS);
    let bursts = Bursts::new(Chance::percent(5), Chance::percent(30), Chance::percent(70));
    type Knob = fn(LinkConfig, Bursts) -> LinkConfig;
    let knobs: [Knob; 8] = [
        |config, _| config.loss(Chance::percent(10)),
        |config, bursts| config.bursts(bursts),
        |config, _| config.jitter(2 * MS).jitter_shape(JitterShape::Normal),
        |config, _| config.damage(DamageConfig::every(Chance::percent(10))),
        |config, _| config.ecn(EcnConfig { bleach: Chance::percent(20), ..EcnConfig::NONE }),
        |config, _| config.reorder(Chance::percent(10), 3 * MS),
        |config, _| config.duplicate(Chance::percent(10), 3 * MS),
        |config, _| config.lose_every(9).blackouts(90 * MS, 5 * MS),
    ];
    // For each datagram: why it is lost, its damage, its mark.
    let run = |config: LinkConfig| -> Vec<_> {
        let mut link = link(config, 8);
        let fate = |step| link.offer_marked(None, at(step), 50, Ecn::Ect0);
        (0..3_000).map(fate).collect()
    };
    let mut random: Random = Seed::from_number(9).random("knobs");
    let plain = |config: LinkConfig| config.loss == Chance::NEVER && config.bursts.is_none();
    for round in 0..40 {
        let chosen: Vec<&Knob> = knobs.iter().filter(|_| random.chance(1, 2)).collect();
        let all = chosen.iter().fold(base, |config, knob| knob(config, bursts));
        let together = run(all);
        for knob in chosen {
            let alone = knob(base, bursts);
            for (one, both) in run(alone).into_iter().zip(&together) {
                let (Fate::Arrives(one), Fate::Arrives(both)) = (one, both) else {
                    let lost = matches!(both, Fate::Dropped(_));
                    assert!(lost || plain(alone), "round {round}: lost alone, not together");
                    continue;
                };
                if alone.damage != DamageConfig::NONE {
                    assert_eq!(one.damage(), both.damage(), "round {round}");
                }
                if alone.ecn != EcnConfig::NONE {
                    assert_eq!(one.ecn(), both.ecn(), "round {round}");
                }
                if alone.duplicate != Chance::NEVER {
                    assert_eq!(one.times().len(), both.times().len(), "round {round}");
                }
            }
        }
    }
}
