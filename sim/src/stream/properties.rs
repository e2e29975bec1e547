//! What holds of a link whatever is done with it: random operations, and a plain model beside.

use super::{Arrived, Cut, StreamConfig, StreamLink};
use crate::Chance;
use tripline_sansio::{Duration, Instant, Random, Seed};

/// Any mixture of knobs.
fn drawn(random: &mut Random) -> StreamConfig {
    let mut config = StreamConfig::perfect().delay(Duration::from_micros(random.below(3_000)));
    if random.chance(1, 2) {
        config = config.jitter(Duration::from_micros(random.below(5_000)));
    }
    if random.chance(1, 2) {
        config = config.rate(1 + random.below(2_000_000));
    }
    if random.chance(1, 2) {
        config = config.stall(Chance::percent(5), Duration::from_millis(5));
    }
    let cuts = [Cut::Whole, Cut::Bytes, Cut::UpTo(random.below(4_000) as usize)];
    config.cut(cuts[random.below(3) as usize]).buffer(random.below(10_000) as usize)
}

/// Writes, reads, waits, changes knobs, ends; all of it must come out as it went in, in time, and
/// the books must balance at every step.
fn one_life(seed: u64) -> u64 {
    let mut random = Seed::from_number(seed).random("operations");
    let mut link = StreamLink::new(drawn(&mut random), &Seed::from_number(seed));
    let (mut now, mut sent, mut got) = (Instant::ZERO, Vec::new(), Vec::new());
    let (mut ends, mut next) = (0, 0_u32);
    for step in 0..400 {
        match random.below(20) {
            0..7 => {
                let bytes: Vec<u8> = (0..random.below(5_000))
                    .map(|_| {
                        next += 1;
                        (next / 3) as u8
                    })
                    .collect();
                let room = link.room();
                let taken = link.write(now, &bytes);
                assert_eq!(taken, bytes.len().min(room), "seed {seed}, step {step}");
                sent.extend_from_slice(&bytes[..taken]);
            }
            7 => link.configure(drawn(&mut random)),
            8 => link.stall_until(now + Duration::from_micros(random.below(4_000))),
            9 if step > 300 => link.finish(now),
            _ => {
                now += Duration::from_micros(random.below(1_000));
                let was_due = link.next_time().is_some_and(|at| at <= now);
                assert!(link.arrive(now) > 0 || !was_due, "seed {seed}, step {step}");
                while random.chance(9, 10)
                    && let Some(arrived) = link.read(&mut got)
                {
                    assert_eq!(ends, 0, "seed {seed}: nothing behind the end");
                    ends += u32::from(arrived == Arrived::Fin);
                }
                assert!(link.next_time().is_none_or(|at| at > now), "seed {seed}, step {step}");
            }
        }
        let counters = link.counters();
        let on_way = link.in_flight() as u64;
        assert_eq!(counters.taken, counters.delivered + on_way, "seed {seed}, step {step}");
        assert_eq!((counters.delivered, counters.lost), (got.len() as u64, 0));
    }
    link.finish(now);
    link.stall_until(Instant::ZERO);
    while !link.is_empty() {
        now = link.next_time().unwrap_or(now).max(now);
        link.arrive(now);
        while let Some(arrived) = link.read(&mut got) {
            ends += u32::from(arrived == Arrived::Fin);
        }
    }
    assert!(got == sent && ends == 1, "seed {seed}: {} of {} bytes", got.len(), sent.len());
    sent.len() as u64
}

#[test]
fn everything_comes_out_as_it_went_in_and_is_counted() {
    let bytes: u64 = (0..300).map(one_life).sum();
    assert!(bytes > 1_000_000, "{bytes} bytes only");
}
