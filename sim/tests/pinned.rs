//! The committed list of what drawn scenarios come to (I24): runs of another build, on another day,
//! come to the same. A tenth of it is played here, in whatever build; `tripline sim hashes` plays
//! all of it.

use tripline_sim::play::play;
use tripline_sim::swarm::hashes;

/// Every which seed of the list is played.
const EVERY: usize = 10;

#[test]
fn i24_pinned_runs_come_to_what_they_came_to() {
    let list = hashes::parse(include_str!("../hashes.txt")).expect("the list reads");
    let pinned = hashes::PINNED;
    let seeds: Vec<u64> = list.iter().map(|pinned| pinned.seed).collect();
    assert_eq!(seeds, pinned.collect::<Vec<_>>(), "which seeds are pinned");
    let tenth: Vec<_> = list.into_iter().step_by(EVERY).collect();
    let wrong = hashes::check(&tenth, 1, play);
    assert!(
        wrong.is_empty(),
        "{wrong:#x?}\nWhere behaviour was to change: `tripline sim hashes --write`"
    );
}
