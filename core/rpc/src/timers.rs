//! When each of many calls is over: a queue where they come in order, a heap for the others.
//!
//! Nearly all calls wait equally long, so their deadlines come in the order in which they were
//! made, and most have their outcome long before: a queue of which the front is cleared costs a few
//! instructions for each. Those that are due before the last of the queue go to a [`Deadlines`].
//! The front of the queue always lives, so that nobody wakes for one that is gone; there are at
//! most twice as many entries as calls, and [`SPARE`].
#![deny(clippy::arithmetic_side_effects)]

use crate::slots::Key;
use alloc::collections::VecDeque;
use tripline_sansio::{Deadlines, Instant};

/// So many entries of calls that are gone are nothing to look at.
const SPARE: usize = 64;

#[derive(Clone, Debug, Default)]
pub(crate) struct Timers {
    queue: VecDeque<(Instant, Key)>,
    others: Deadlines,
}

/// Which one is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Key(Key),
    /// Whichever stands in this slot.
    Slot(u32),
}

impl Timers {
    pub(crate) fn insert(&mut self, key: Key, at: Instant) {
        if self.queue.back().is_none_or(|(last, _)| *last <= at) {
            self.queue.push_back((at, key));
        } else {
            self.others.set(key.slot, Some(at));
        }
    }

    /// A call is gone; `lives` says which are not, of `count` in all.
    pub(crate) fn remove(&mut self, key: Key, count: usize, lives: impl Fn(Key) -> bool) {
        if self.others.first().is_some() {
            self.others.set(key.slot, None);
        }
        while self.queue.front().is_some_and(|(_, key)| !lives(*key)) {
            self.queue.pop_front();
        }
        if self.queue.len() > count.saturating_mul(2).saturating_add(SPARE) {
            self.queue.retain(|(_, key)| lives(*key));
        }
    }

    pub(crate) fn first(&self) -> Option<Instant> {
        let first = self.queue.front().map(|(at, _)| *at);
        [first, self.others.first()].into_iter().flatten().min()
    }

    pub(crate) fn due(&self, now: Instant) -> Option<Due> {
        let front = self.queue.front().filter(|(at, _)| *at <= now);
        front.map(|(_, key)| Due::Key(*key)).or_else(|| self.others.due(now).map(Due::Slot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use alloc::vec::Vec;
    use tripline_sansio::Seed;

    /// N35: against a plain map, over random waits and ends.
    #[test]
    fn n35_the_first_is_always_the_earliest_that_lives() {
        let mut random = Seed::from_number(3).random("timers");
        let mut timers = Timers::default();
        let mut model: BTreeMap<Key, Instant> = BTreeMap::new();
        let mut free: Vec<u32> = (0..50).collect();
        for generation in 0..20_000 {
            let now = Instant::from_nanos(u64::from(generation));
            if let Some(slot) = free.pop() {
                let wait = if random.chance(9, 10) { 100 } else { random.below(200) };
                let (key, at) =
                    (Key { slot, generation }, Instant::from_nanos(u64::from(generation) + wait));
                timers.insert(key, at);
                model.insert(key, at);
            }
            let some = random.below(60);
            if let Some(key) = model.keys().nth(usize::try_from(some).unwrap()).copied() {
                model.remove(&key);
                free.push(key.slot);
                timers.remove(key, model.len(), |key| model.contains_key(&key));
            }
            assert_eq!(timers.first(), model.values().min().copied());
            while let Some(due) = timers.due(now) {
                let slot = match due {
                    Due::Key(key) => key.slot,
                    Due::Slot(slot) => slot,
                };
                let key = *model.keys().find(|key| key.slot == slot).unwrap();
                assert!(model.remove(&key).unwrap() <= now);
                free.push(slot);
                timers.remove(key, model.len(), |key| model.contains_key(&key));
            }
            assert!(timers.queue.len() <= 2 * model.len() + SPARE);
        }
    }
}
