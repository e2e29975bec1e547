//! The connection IDs that we give out: `slot 20 · random 28 · MAC 16` bits (PROTOCOL.md §2.1).
//!
//! The slot finds the owner without hashing; the random bits tell a slot's users apart; the MAC
//! lets us know an ID of ours, wrong at most once in 2^16, from any other number (R-ID-1). The slot
//! index also tells which shard owns an ID, once there are shards.
#![deny(clippy::arithmetic_side_effects)]

use crate::crypto::id_mac;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use tripline_sansio::{Random, Seed};

/// Slots at most: connections, half-opens and attempts together.
pub(super) const SLOTS_MAX: usize = 1 << 20;

const RANDOM_BITS: u32 = 28;
const MAC_BITS: u32 = 16;

/// Whose an ID is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// The connection in this slot of the connection table.
    Connection(u32),
    /// The half-open in this slot of the half-open table.
    HalfOpen(u32),
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    id: u64,
    owner: Option<Owner>,
}

/// The IDs in use.
#[derive(Debug)]
pub(super) struct Ids {
    entries: Vec<Entry>,
    /// Freed slots, the one that rested longest first (R-ID-2).
    free: VecDeque<u32>,
    key: [u8; 32],
    random: Random,
}

impl Ids {
    pub(super) fn new(seed: &Seed) -> Self {
        let key = seed.random("connection id key").bytes();
        Self {
            entries: Vec::new(),
            free: VecDeque::new(),
            key,
            random: seed.random("connection ids"),
        }
    }

    /// A new ID for `owner`; `None` if all slots are taken.
    pub(super) fn issue(&mut self, owner: Owner) -> Option<u64> {
        let slot = if self.entries.len() < SLOTS_MAX && self.free.len() < 64 {
            let slot = u32::try_from(self.entries.len()).ok()?;
            self.entries.push(Entry { id: 0, owner: None });
            slot
        } else {
            self.free.pop_front()?
        };
        let random = self.random.bits64() >> (u64::BITS.saturating_sub(RANDOM_BITS));
        let stem = (u64::from(slot) << RANDOM_BITS) | random;
        let id = (stem << MAC_BITS) | u64::from(id_mac(&self.key, stem));
        let entry = self.entries.get_mut(usize::try_from(slot).ok()?)?;
        *entry = Entry { id, owner: Some(owner) };
        Some(id)
    }

    fn entry(&mut self, id: u64) -> Option<&mut Entry> {
        let slot = id >> (RANDOM_BITS.saturating_add(MAC_BITS));
        self.entries.get_mut(usize::try_from(slot).ok()?).filter(|entry| entry.id == id)
    }

    /// Whose `id` is.
    pub(super) fn owner(&mut self, id: u64) -> Option<Owner> {
        self.entry(id)?.owner
    }

    /// `id` now belongs to `owner`.
    pub(super) fn hand_over(&mut self, id: u64, owner: Owner) {
        if let Some(entry) = self.entry(id) {
            entry.owner = Some(owner);
        }
    }

    /// How many IDs have an owner.
    #[cfg(test)]
    pub(super) fn in_use(&self) -> usize {
        self.entries.iter().filter(|entry| entry.owner.is_some()).count()
    }

    /// `id` is no longer in use.
    pub(super) fn release(&mut self, id: u64) {
        if let Some(entry) = self.entry(id)
            && entry.owner.take().is_some()
        {
            let slot = id >> (RANDOM_BITS.saturating_add(MAC_BITS));
            self.free.extend(u32::try_from(slot).ok());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;

    /// R-ID-1, R-ID-2, T27, T43: an ID finds its owner as long as it is in use, and never comes
    /// back.
    #[test]
    fn an_id_is_never_issued_twice() {
        let mut ids = Ids::new(&Seed::from_number(1));
        let mut seen = BTreeSet::new();
        for n in 0..10_000 {
            let id = ids.issue(Owner::Connection(n)).unwrap();
            assert!(seen.insert(id));
            assert_eq!(ids.owner(id), Some(Owner::Connection(n)));
            assert_eq!(ids.owner(id ^ 1), None);
            ids.release(id);
            assert_eq!(ids.owner(id), None);
        }
        assert!(ids.entries.len() < 100, "slots are reused");
    }
}
