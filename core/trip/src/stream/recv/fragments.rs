//! Pieces of a stream that cannot be used yet, by offset.
//!
//! In goes what came out of order; out come the pieces once what was missing before them is there.
//! Adjacent pieces grow together, within limits that keep the copying bounded, so that one-byte
//! pieces cost about what they hold. A byte that contradicts one held is noticed; what a piece
//! means is not known here.
#![deny(clippy::arithmetic_side_effects)]

use super::{len64, slice, to_usize};
use crate::ranges::RangeSet;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Range;

/// Two adjacent blocks are copied into one only up to this length: pieces that come backwards would
/// else be copied over and over.
const BRIDGE_MAX: usize = 4 * 1024;
/// What an entry of a map and an allocation cost beside the bytes, about.
#[cfg(test)]
pub(super) const ENTRY_COST: usize = 96;

/// Bytes by offset, each offset at most once.
#[derive(Debug)]
pub(super) struct Fragments {
    blocks: BTreeMap<u64, Vec<u8>>,
    /// The offsets held: the union of `blocks`.
    held: RangeSet,
    /// A block grows by appending up to this length.
    append_max: usize,
}

impl Fragments {
    /// An empty store whose blocks grow up to `append_max` bytes.
    pub(super) fn new(append_max: usize) -> Self {
        Self { blocks: BTreeMap::new(), held: RangeSet::new(), append_max }
    }

    /// Whether nothing is held.
    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// The offsets held.
    pub(super) fn held(&self) -> &RangeSet {
        &self.held
    }

    /// Bytes of heap held, about.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        let blocks = self.blocks.values().fold(0_usize, |sum, block| {
            sum.saturating_add(block.capacity()).saturating_add(ENTRY_COST)
        });
        blocks.saturating_add(self.held.len().saturating_mul(size_of::<Range<u64>>()))
    }

    /// Whether `bytes` at `offset` agree with all that is held there.
    pub(super) fn agrees(&self, offset: u64, bytes: &[u8]) -> bool {
        let end = offset.saturating_add(len64(bytes));
        self.overlapping(offset..end).all(|(start, block)| {
            let shared = start.max(offset)..end.min(start.saturating_add(len64(block)));
            slice(bytes, offset, &shared) == slice(block, start, &shared)
        })
    }

    /// Holds what is new of `bytes`; what was held stays as it was (see [`Self::agrees`]).
    pub(super) fn insert(&mut self, offset: u64, bytes: &[u8]) {
        let range = offset..offset.saturating_add(len64(bytes));
        if self.held.count_in(&range) == 0 {
            return self.add(offset, bytes);
        }
        let missing: Vec<Range<u64>> = self.held.missing_in(range).collect();
        for gap in missing {
            self.add(gap.start, slice(bytes, offset, &gap));
        }
    }

    /// Holds a buffer as it is; none of its offsets may be held.
    pub(super) fn insert_buffer(&mut self, offset: u64, buffer: Vec<u8>) {
        if buffer.len() < BRIDGE_MAX {
            return self.insert(offset, &buffer);
        }
        self.held.insert(offset..offset.saturating_add(len64(&buffer)));
        self.blocks.insert(offset, buffer);
    }

    /// Drops what is held of `range`.
    pub(super) fn remove(&mut self, range: Range<u64>) {
        if self.blocks.is_empty() || range.is_empty() {
            return;
        }
        while let Some((&start, block)) = self.blocks.range_mut(..range.end).next_back() {
            let end = start.saturating_add(len64(block));
            if end <= range.start {
                break;
            }
            let after = (end > range.end)
                .then(|| block.split_off(to_usize(range.end.saturating_sub(start))));
            if start < range.start {
                block.truncate(to_usize(range.start.saturating_sub(start)));
                block.shrink_to_fit();
            } else {
                self.blocks.remove(&start);
            }
            if let Some(after) = after {
                self.blocks.insert(range.end, after);
            }
        }
        self.held.remove(range);
    }

    /// Takes out the block that begins at `offset`, as far as `limit`; never an empty one.
    pub(super) fn take_at(&mut self, offset: u64, limit: u64) -> Option<Vec<u8>> {
        if limit <= offset {
            return None;
        }
        let mut block = self.blocks.remove(&offset)?;
        let end = offset.saturating_add(len64(&block));
        if end > limit {
            let after = block.split_off(to_usize(limit.saturating_sub(offset)));
            self.blocks.insert(limit, after);
        }
        self.held.remove(offset..end.min(limit));
        Some(block)
    }

    /// The block in which the byte at `offset` lies, and where that block begins.
    pub(super) fn block_at(&self, offset: u64) -> Option<(u64, &[u8])> {
        let (&start, block) = self.blocks.range(..=offset).next_back()?;
        (start.saturating_add(len64(block)) > offset).then_some((start, block))
    }

    /// Copies the bytes from `offset` on, up to the first one that is not held; returns how many.
    pub(super) fn copy_out(&self, offset: u64, into: &mut [u8]) -> usize {
        let mut count: usize = 0;
        let end = offset.saturating_add(len64(into));
        for (start, block) in self.overlapping(offset..end) {
            let at = offset.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
            if start > at {
                break;
            }
            let upto = end.min(start.saturating_add(len64(block)));
            for (to, from) in into.iter_mut().skip(count).zip(slice(block, start, &(at..upto))) {
                *to = *from;
                count = count.saturating_add(1);
            }
        }
        count
    }

    /// The blocks that share offsets with `range`, rising.
    fn overlapping(&self, range: Range<u64>) -> impl Iterator<Item = (u64, &Vec<u8>)> {
        let before = self
            .blocks
            .range(..range.start)
            .next_back()
            .filter(|(start, block)| start.saturating_add(len64(block)) > range.start);
        let from = range.start.min(range.end);
        before.into_iter().chain(self.blocks.range(from..range.end)).map(|(&at, block)| (at, block))
    }

    /// Holds `bytes`, none of whose offsets are held.
    fn add(&mut self, offset: u64, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let end = offset.saturating_add(len64(bytes));
        self.held.insert(offset..end);
        let append_max = self.append_max;
        let start = match self.blocks.range_mut(..offset).next_back() {
            Some((&start, block))
                if start.saturating_add(len64(block)) == offset
                    && block.len().saturating_add(bytes.len()) <= append_max =>
            {
                block.extend_from_slice(bytes);
                start
            }
            _ => {
                self.blocks.insert(offset, bytes.to_vec());
                offset
            }
        };
        self.bridge(start, end);
    }

    /// Joins the block at `start` with the one at `end`, where it ends, if both are short.
    fn bridge(&mut self, start: u64, end: u64) {
        let Some(next) = self.blocks.get(&end).map(Vec::len) else { return };
        let Some(block) = self.blocks.get(&start) else { return };
        if block.len().saturating_add(next) <= BRIDGE_MAX
            && let Some(next) = self.blocks.remove(&end)
            && let Some(block) = self.blocks.get_mut(&start)
        {
            block.extend_from_slice(&next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tripline_sansio::Seed;

    /// Against one byte per offset, over random operations.
    #[test]
    fn behaves_like_a_map_of_single_bytes() {
        let mut random = Seed::from_number(5).random("fragments");
        let byte = |at: u64| u8::try_from(at % 251).unwrap();
        for _ in 0..300 {
            let (mut store, mut model) = (Fragments::new(24), BTreeMap::new());
            for _ in 0..40 {
                let start = random.below(200);
                let range = start..start + random.below(30);
                let bytes: Vec<u8> = range.clone().map(byte).collect();
                match random.below(5) {
                    0 => {
                        store.remove(range.clone());
                        model.retain(|at, _| !range.contains(at));
                    }
                    1 => {
                        let limit = start + random.below(20);
                        if let Some(block) = store.take_at(start, limit) {
                            assert!(!block.is_empty() && len64(&block) <= limit - start);
                            for (at, byte) in (start..).zip(block) {
                                assert_eq!(model.remove(&at), Some(byte));
                            }
                        }
                    }
                    _ => {
                        assert!(store.agrees(start, &bytes));
                        store.insert(start, &bytes);
                        model.extend(range.clone().zip(bytes.iter().copied()));
                    }
                }
                let all: BTreeMap<u64, u8> = store
                    .blocks
                    .iter()
                    .flat_map(|(&start, block)| (start..).zip(block.iter().copied()))
                    .collect();
                assert_eq!(all, model);
                assert!(store.held.iter().flatten().eq(model.keys().copied()));
                assert!(store.blocks.values().all(|block| !block.is_empty()));
                let mut out = [0; 8];
                let count = store.copy_out(start, &mut out);
                let expected = (start..start + 8).take_while(|at| model.contains_key(at)).count();
                assert_eq!(count, expected);
                assert!((start..).zip(&out[..count]).all(|(at, byte)| model[&at] == *byte));
                let differs = [byte(start).wrapping_add(1)];
                assert_eq!(store.agrees(start, &differs), !model.contains_key(&start));
            }
        }
    }

    /// R-CREDIT-4: single bytes that come forwards or backwards grow together.
    #[test]
    fn single_bytes_cost_about_what_they_hold() {
        for backwards in [false, true] {
            let mut store = Fragments::new(64 * 1024);
            for at in 0..100_000 {
                store.insert(if backwards { 100_000 - at } else { at }, &[1]);
            }
            assert_eq!(store.held().len(), 1);
            assert!(store.memory() <= 250_000, "{}", store.memory());
        }
    }
}
