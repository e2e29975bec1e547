//! Recorded runs: configurations of old keep their hashes, whatever knobs are added later.
//!
//! A knob that is off draws nothing, and one that is on draws from a generator of its own; so a
//! recorded run changes only if somebody breaks that rule, or changes a knob's meaning.

use super::tests::{pair, rough};
use super::*;
use crate::Chance;

/// What is recorded of a run: its hash, what was offered, and when it ended.
type Record = (u64, u64, u64);

fn run(seed: u64, link: LinkConfig, discipline: Discipline) -> Record {
    let (mut world, _) = pair(seed, 300);
    world.set_default_link(link);
    world.set_discipline(discipline);
    let end = world.run_until_idle(Duration::from_secs(10_000)).unwrap();
    (world.trace_hash(), world.totals().offered, end.as_nanos())
}

#[test]
fn recorded_runs_keep_their_hashes() {
    let sloppy = Discipline::sloppy(Chance::percent(20));
    let marking = rough().mark_above(3_000).duplicate_copies(5).mtu(1_200);
    let runs = [
        run(1, LinkConfig::perfect().delay(Duration::from_millis(15)), Discipline::default()),
        run(1, rough(), Discipline::default()),
        run(2, rough(), sloppy),
        run(3, marking, Discipline::default().batch(1)),
    ];
    assert_eq!(runs, RECORDED);
}
const RECORDED: [Record; 4] = [
    (4_114_237_194_335_476_488, 319, 565_000_000),
    (1_190_757_264_462_244_657, 6_402, 28_111_730_996),
    (10_833_581_978_267_073_878, 6_204, 29_114_901_365),
    (10_378_681_531_492_342_877, 6_717, 28_227_329_243),
];
