//! Which rare events a swarm reached, how often, and which seed did so first.

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

/// All events that were reached, by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reached(BTreeMap<String, Reach>);

impl Reached {
    /// The run of `seed` reached this event so often.
    pub fn add(&mut self, name: &str, count: u64, seed: u64) {
        if count == 0 {
            return;
        }
        match self.0.get_mut(name) {
            Some(reach) => {
                reach.count = reach.count.saturating_add(count);
                reach.runs += 1;
                reach.first = reach.first.min(seed);
            }
            None => drop(self.0.insert(name.to_owned(), Reach { count, runs: 1, first: seed })),
        }
    }

    /// What is known of an event; `None`: nobody reached it.
    pub fn get(&self, name: &str) -> Option<Reach> {
        self.0.get(name).copied()
    }

    /// All of them, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Reach)> {
        self.0.iter().map(|(name, reach)| (name.as_str(), *reach))
    }
}
