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
    (38_789_026_658_273_619, 319, 565_000_000),
    (17_022_764_914_265_477_597, 6_402, 28_111_730_996),
    (8_834_043_617_187_815_747, 6_204, 29_114_901_365),
    (5_667_733_309_527_376_893, 6_717, 28_227_329_243),
];
