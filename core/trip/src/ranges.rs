//! Sets of numbers kept as sorted, disjoint, non-touching ranges.
//!
//! Used for everything that arrives with holes: packet numbers, stream offsets, stream indexes. The
//! work per call is logarithmic in the number of ranges, plus a memory move when one is put between
//! others; whoever fills a set from the network bounds [`RangeSet::len`].
#![deny(clippy::arithmetic_side_effects)]

use alloc::collections::VecDeque;
use core::ops::Range;

/// A set of `u64`, as ranges in rising order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RangeSet {
    /// Each `start < end`, and each `end` below the next `start`.
    ranges: VecDeque<Range<u64>>,
}

impl RangeSet {
    /// The empty set.
    pub(crate) const fn new() -> Self {
        Self { ranges: VecDeque::new() }
    }

    /// How many ranges the set has.
    pub(crate) fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether the set has no number.
    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The ranges, rising.
    pub(crate) fn iter(
        &self,
    ) -> impl DoubleEndedIterator<Item = Range<u64>> + ExactSizeIterator + '_ {
        self.ranges.iter().cloned()
    }

    /// The lowest range.
    pub(crate) fn first(&self) -> Option<Range<u64>> {
        self.ranges.front().cloned()
    }

    /// The highest range.
    pub(crate) fn last(&self) -> Option<Range<u64>> {
        self.ranges.back().cloned()
    }

    /// Index of the first range that ends at or behind `at`.
    fn lower(&self, at: u64) -> usize {
        self.ranges.partition_point(|range| range.end < at)
    }

    /// Adds `range`; returns how many numbers were new.
    pub(crate) fn insert(&mut self, range: Range<u64>) -> u64 {
        if range.is_empty() {
            return 0;
        }
        // What comes in order extends the last range: the common case, and O(1).
        if let Some(last) = self.ranges.back_mut()
            && last.start <= range.start
            && range.start <= last.end
        {
            let added = range.end.saturating_sub(last.end);
            last.end = last.end.max(range.end);
            return added;
        }
        let from = self.lower(range.start);
        let mut merged = range.clone();
        let mut had: u64 = 0;
        let mut upto = from;
        while let Some(old) = self.ranges.get(upto)
            && old.start <= range.end
        {
            had = had.saturating_add(overlap(old, &range));
            merged = merged.start.min(old.start)..merged.end.max(old.end);
            upto = upto.saturating_add(1);
        }
        if from == upto {
            self.ranges.insert(from, merged);
        } else {
            if let Some(first) = self.ranges.get_mut(from) {
                *first = merged;
            }
            self.ranges.drain(from.saturating_add(1)..upto);
        }
        size(&range).saturating_sub(had)
    }

    /// Takes `range` out; returns how many numbers were in.
    pub(crate) fn remove(&mut self, range: Range<u64>) -> u64 {
        if range.is_empty() {
            return 0;
        }
        let mut removed: u64 = 0;
        let mut at = self.ranges.partition_point(|old| old.end <= range.start);
        while let Some(old) = self.ranges.get(at).cloned()
            && old.start < range.end
        {
            removed = removed.saturating_add(overlap(&old, &range));
            let (before, after) = (old.start..range.start, range.end..old.end);
            match (before.is_empty(), after.is_empty()) {
                (true, true) => {
                    self.ranges.remove(at);
                    continue;
                }
                (false, true) => self.replace(at, before),
                (true, false) => self.replace(at, after),
                (false, false) => {
                    self.replace(at, before);
                    self.ranges.insert(at.saturating_add(1), after);
                    break;
                }
            }
            at = at.saturating_add(1);
        }
        removed
    }

    fn replace(&mut self, at: usize, range: Range<u64>) {
        if let Some(slot) = self.ranges.get_mut(at) {
            *slot = range;
        }
    }

    /// Whether `number` is in the set.
    pub(crate) fn contains(&self, number: u64) -> bool {
        self.covers(&(number..number.saturating_add(1)))
    }

    /// Whether every number of `range` is in the set (an empty range always is).
    pub(crate) fn covers(&self, range: &Range<u64>) -> bool {
        if range.is_empty() {
            return true;
        }
        let at = self.ranges.partition_point(|old| old.end <= range.start);
        self.ranges.get(at).is_some_and(|old| old.start <= range.start && range.end <= old.end)
    }

    /// How many numbers of `range` are in the set.
    pub(crate) fn count_in(&self, range: &Range<u64>) -> u64 {
        // What comes in order lies behind all there is.
        if self.ranges.back().is_none_or(|last| last.end <= range.start) {
            return 0;
        }
        let at = self.ranges.partition_point(|old| old.end <= range.start);
        self.ranges
            .iter()
            .skip(at)
            .take_while(|old| old.start < range.end)
            .fold(0, |sum: u64, old| sum.saturating_add(overlap(old, range)))
    }

    /// The parts of `range` that are not in the set, rising.
    pub(crate) fn missing_in(&self, range: Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
        let mut at = self.ranges.partition_point(|old| old.end <= range.start);
        let mut from = range.start;
        core::iter::from_fn(move || {
            while from < range.end {
                match self.ranges.get(at) {
                    Some(old) if old.start < range.end => {
                        at = at.saturating_add(1);
                        let gap = from..old.start;
                        from = old.end;
                        if !gap.is_empty() {
                            return Some(gap);
                        }
                    }
                    _ => {
                        let gap = from..range.end;
                        from = range.end;
                        return Some(gap);
                    }
                }
            }
            None
        })
    }

    /// Gives back room that is not in use.
    pub(crate) fn shrink(&mut self) {
        self.ranges.shrink_to_fit();
    }

    /// Takes out and returns the lowest range.
    pub(crate) fn pop_first(&mut self) -> Option<Range<u64>> {
        self.ranges.pop_front()
    }

    /// Takes out every number below `bound`.
    pub(crate) fn remove_below(&mut self, bound: u64) {
        while let Some(first) = self.ranges.front_mut() {
            if first.end <= bound {
                self.ranges.pop_front();
            } else {
                first.start = first.start.max(bound);
                break;
            }
        }
    }
}

/// How many numbers a range has.
fn size(range: &Range<u64>) -> u64 {
    range.end.saturating_sub(range.start)
}

/// How many numbers two ranges share.
fn overlap(a: &Range<u64>, b: &Range<u64>) -> u64 {
    a.end.min(b.end).saturating_sub(a.start.max(b.start))
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init, reason = "lists of one range are meant")]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::vec::Vec;
    use tripline_sansio::Seed;

    fn ranges(set: &RangeSet) -> Vec<Range<u64>> {
        set.iter().collect()
    }

    #[test]
    fn touching_ranges_join() {
        let mut set = RangeSet::new();
        assert_eq!(set.insert(10..20), 10);
        assert_eq!(set.insert(30..40), 10);
        assert_eq!(set.insert(0..5), 5);
        assert_eq!(set.insert(20..30), 10);
        assert_eq!(ranges(&set), [0..5, 10..40]);
        assert_eq!(set.insert(4..11), 5);
        assert_eq!(ranges(&set), [0..40]);
        assert_eq!(set.insert(7..7), 0);
    }

    #[test]
    fn gaps_are_listed_in_order() {
        let mut set = RangeSet::new();
        set.insert(2..4);
        set.insert(6..8);
        assert_eq!(set.missing_in(0..10).collect::<Vec<_>>(), [0..2, 4..6, 8..10]);
        assert_eq!(set.missing_in(3..7).collect::<Vec<_>>(), [4..6]);
        assert_eq!(set.missing_in(6..8).count(), 0);
    }

    /// Against a set of single numbers, over random operations.
    #[test]
    fn behaves_like_a_set_of_numbers() {
        let mut random = Seed::from_number(1).random("ranges");
        for _ in 0..200 {
            let (mut set, mut model) = (RangeSet::new(), BTreeSet::new());
            for _ in 0..60 {
                let start = random.below(50);
                let range = start..start + random.below(12);
                match random.below(4) {
                    0 => {
                        let before = model.len();
                        model.retain(|number| !range.contains(number));
                        assert_eq!(set.remove(range), (before - model.len()) as u64);
                    }
                    1 if random.chance(1, 5) => {
                        set.remove_below(start);
                        model.retain(|number| *number >= start);
                    }
                    _ => {
                        let before = model.len();
                        model.extend(range.clone());
                        assert_eq!(set.insert(range), (model.len() - before) as u64);
                    }
                }
                let all: BTreeSet<u64> = set.iter().flatten().collect();
                assert_eq!(all, model);
                assert!(set.iter().zip(set.iter().skip(1)).all(|(a, b)| a.end < b.start));
                let probe = random.below(50)..random.below(70);
                assert_eq!(set.covers(&probe), probe.clone().all(|n| model.contains(&n)));
                let count = probe.clone().filter(|n| model.contains(n)).count() as u64;
                assert_eq!(set.count_in(&probe), count);
                let missing: u64 = set.missing_in(probe.clone()).map(|r| r.end - r.start).sum();
                assert_eq!(missing + count, probe.count() as u64);
            }
        }
    }
}
