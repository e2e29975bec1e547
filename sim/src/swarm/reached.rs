//! Which rare events a swarm reached, how often, and which seed did so first.

use crate::marks::Mark;
use std::collections::BTreeMap;

/// How often an event was reached, and by whom first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// How often, over all runs.
    pub count: u64,
    /// In how many runs.
    pub runs: u64,
    /// The smallest seed of them.
    pub first: u64,
}

/// All marks that were reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reached(BTreeMap<Mark, Reach>);

impl Reached {
    /// The run of `seed` reached this event so often.
    pub fn add(&mut self, mark: Mark, count: u64, seed: u64) {
        if count == 0 {
            return;
        }
        match self.0.get_mut(&mark) {
            Some(reach) => {
                reach.count = reach.count.saturating_add(count);
                reach.runs += 1;
                reach.first = reach.first.min(seed);
            }
            None => drop(self.0.insert(mark, Reach { count, runs: 1, first: seed })),
        }
    }

    /// What is known of an event; `None`: nobody reached it.
    pub fn get(&self, mark: Mark) -> Option<Reach> {
        self.0.get(&mark).copied()
    }

    /// All of them, in the order of the table of marks.
    pub fn iter(&self) -> impl Iterator<Item = (Mark, Reach)> {
        self.0.iter().map(|(mark, reach)| (*mark, *reach))
    }
}
