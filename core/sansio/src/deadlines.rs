//! Many deadlines: a binary heap that knows where each of its entries stands.
//!
//! In go deadlines by slot, out comes the earliest. A deadline is moved in place, so the heap never
//! holds a stale entry; asking for the earliest is O(1), and what is moved to later, as nearly all
//! are, mostly stays near where it was.
#![deny(clippy::arithmetic_side_effects)]

use crate::Instant;
use alloc::vec::Vec;

const ABSENT: usize = usize::MAX;

/// At most one deadline for each slot: of the connections of an endpoint, or of the machines in a
/// loop of your own.
///
/// Slots are small numbers that are used again, as it remembers eight bytes for each up to the
/// largest. A call takes O(log n) steps at the most.
///
/// ```
/// use tripline_sansio::{Deadlines, Instant};
///
/// let at = Instant::from_nanos;
/// let mut deadlines = Deadlines::default();
/// deadlines.set(0, Some(at(50)));
/// deadlines.set(1, Some(at(20)));
/// deadlines.set(0, Some(at(10)));
/// assert_eq!(deadlines.first(), Some(at(10)));
/// assert_eq!(deadlines.due(at(30)), Some(0));
/// deadlines.set(0, None);
/// assert_eq!(deadlines.due(at(30)), Some(1));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Deadlines {
    heap: Vec<(Instant, u32)>,
    /// Where each slot stands in `heap`.
    places: Vec<usize>,
}

impl Deadlines {
    /// The earliest deadline.
    pub fn first(&self) -> Option<Instant> {
        self.heap.first().map(|(at, _)| *at)
    }

    /// How many slots have a deadline.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether none has.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// The slot with the earliest deadline, if that has come. It stays until it is set anew.
    pub fn due(&self, now: Instant) -> Option<u32> {
        self.heap.first().filter(|(at, _)| *at <= now).map(|(_, slot)| *slot)
    }

    /// Sets, moves or clears the deadline of a slot.
    pub fn set(&mut self, slot: u32, deadline: Option<Instant>) {
        let index = usize::try_from(slot).unwrap_or(ABSENT);
        if self.places.len() <= index {
            if deadline.is_none() {
                return;
            }
            self.places.resize(index.saturating_add(1), ABSENT);
        }
        let place = self.places.get(index).copied().unwrap_or(ABSENT);
        match (place, deadline) {
            (ABSENT, None) => {}
            (ABSENT, Some(at)) => {
                self.heap.push((at, slot));
                let last = self.heap.len().saturating_sub(1);
                self.put(last, (at, slot));
                self.rise(last);
            }
            // Most calls of a connection leave its deadline where it is.
            (place, Some(at)) if self.heap.get(place) == Some(&(at, slot)) => {}
            (place, Some(at)) => {
                self.put(place, (at, slot));
                self.settle(place);
            }
            (place, None) => {
                let Some(last) = self.heap.pop() else { return };
                self.forget(slot);
                if last.1 != slot {
                    self.put(place, last);
                    self.settle(place);
                }
            }
        }
    }

    fn forget(&mut self, slot: u32) {
        if let Some(place) = usize::try_from(slot).ok().and_then(|index| self.places.get_mut(index))
        {
            *place = ABSENT;
        }
    }

    fn put(&mut self, place: usize, entry: (Instant, u32)) {
        if let Some(old) = self.heap.get_mut(place) {
            *old = entry;
        }
        if let Some(at) = usize::try_from(entry.1).ok().and_then(|index| self.places.get_mut(index))
        {
            *at = place;
        }
    }

    fn swap(&mut self, a: usize, b: usize) {
        if let (Some(first), Some(second)) = (self.heap.get(a).copied(), self.heap.get(b).copied())
        {
            self.put(a, second);
            self.put(b, first);
        }
    }

    fn settle(&mut self, place: usize) {
        self.rise(place);
        self.sink(place);
    }

    fn rise(&mut self, mut place: usize) {
        while place > 0 {
            let parent = place.saturating_sub(1) / 2;
            if self.heap.get(parent) <= self.heap.get(place) {
                return;
            }
            self.swap(parent, place);
            place = parent;
        }
    }

    fn sink(&mut self, mut place: usize) {
        loop {
            let left = place.saturating_mul(2).saturating_add(1);
            let children = [left, left.saturating_add(1)];
            let smaller = children
                .into_iter()
                .filter_map(|child| self.heap.get(child).map(|entry| (*entry, child)))
                .min();
            match (smaller, self.heap.get(place)) {
                (Some((entry, child)), Some(own)) if entry < *own => {
                    self.swap(place, child);
                    place = child;
                }
                _ => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seed;
    use alloc::collections::BTreeMap;

    /// N35: against a plain map, over random moves.
    #[test]
    fn n35_the_first_is_always_the_earliest() {
        let mut random = Seed::from_number(1).random("deadlines");
        let (mut heap, mut model) = (Deadlines::default(), BTreeMap::new());
        for _ in 0..20_000 {
            let slot = u32::try_from(random.below(50)).unwrap();
            let at = random.chance(3, 4).then(|| Instant::from_nanos(random.below(1_000)));
            heap.set(slot, at);
            match at {
                Some(at) => model.insert(slot, at),
                None => model.remove(&slot),
            };
            assert_eq!(heap.first(), model.values().min().copied());
            let now = Instant::from_nanos(random.below(1_000));
            let due = heap.due(now);
            assert_eq!(due.is_some(), model.values().any(|at| *at <= now));
            assert!(due.is_none_or(|slot| model.get(&slot) == heap.first().as_ref()));
        }
    }
}
