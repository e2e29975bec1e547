//! The same script gives the same bytes at the same times (rule 7 of the run loop).

use std::collections::BTreeSet;
use tripline_sansio::Seed;
use tripline_sim::script;

/// A script of `operations` operations, drawn from a numbered seed.
fn drawn(seed: u64, operations: u64) -> Vec<u8> {
    let mut random = Seed::from_number(seed).random("determinism");
    let len = script::Setting::LEN as u64 + 4 * operations;
    (0..len).map(|_| random.bytes::<1>()[0]).collect()
}

/// Whatever users do and whatever the weather: loss, copies, sloppy loops, refused commands.
#[test]
fn the_same_script_gives_the_same_bytes() {
    let mut hashes = BTreeSet::new();
    for seed in 0..60 {
        let script = drawn(seed, 120);
        let outcome = script::run(&script);
        assert_eq!(outcome, script::run(&script), "seed {seed}");
        assert!(hashes.insert(outcome.trace_hash), "seed {seed}: as another script");
    }
}

/// The scripts are worth something: they send, lose, and open a lot.
#[test]
fn scripts_reach_far() {
    let all = (0..40).map(|seed| script::run(&drawn(seed, 200)));
    let sum = all.fold([0; 4], |[sent, received, dropped, streams], one| {
        [sent + one.sent, received + one.received, dropped + one.dropped, streams + one.streams]
    });
    let least = [3_000, 1_000, 400, 400];
    assert!(sum.iter().zip(least).all(|(sum, least)| *sum > least), "{sum:?}");
}
