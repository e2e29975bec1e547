//! The connection IDs that we give out: `slot 20 · random 28 · MAC 16` bits (PROTOCOL.md §2.1).
//!
//! The slot finds the owner without hashing; the random bits tell a slot's users apart; the MAC
//! lets us know an ID of ours, wrong at most once in 2^16, from any other number (R-ID-1). The slot
//! index also tells which shard owns an ID, once there are shards.
#![deny(clippy::arithmetic_side_effects)]

use crate::crypto::{SecretKey, derived_key, id_mac};
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
    /// The MAC's key follows from the identity, so that the IDs of a former life are known
    /// (R-ID-1); without one it is drawn.
    pub(super) fn new(identity: Option<&SecretKey>, seed: &Seed) -> Self {
        let key = identity.map_or_else(
            || seed.random("connection id key").bytes(),
            |identity| derived_key(identity, b"TRiP/1 connection id"),
        );
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

    /// Whether `id` was made here, now or in a former life of the same identity; wrong at most once
    /// in 2^16 (R-ID-1).
    pub(super) fn is_ours(&self, id: u64) -> bool {
        let [.., high, low] = id.to_be_bytes();
        // Nobody learns a token of a live ID by it, so its time need not be constant.
        id_mac(&self.key, id >> MAC_BITS) == u16::from_be_bytes([high, low])
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
        let mut ids = Ids::new(None, &Seed::from_number(1));
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

    /// R-ID-1: an ID of a former life on the same identity is known, others once in 2^16.
    #[test]
    fn r_id_1_a_former_life_is_known() {
        let identity = SecretKey::from_bytes([1; 32]);
        let mut random = Seed::from_number(3).random("guesses");
        for (first, second, known) in [
            (Some(&identity), Some(&identity), true),
            (Some(&identity), None, false),
            (None, None, false),
            (Some(&identity), Some(&SecretKey::from_bytes([2; 32])), false),
        ] {
            let mut before = Ids::new(first, &Seed::from_number(1));
            let after = Ids::new(second, &Seed::from_number(2));
            let ids: Vec<u64> =
                (0..500).filter_map(|slot| before.issue(Owner::Connection(slot))).collect();
            assert!(ids.iter().all(|id| before.is_ours(*id)));
            let count = ids.iter().filter(|id| after.is_ours(**id)).count();
            assert!(if known { count == 500 } else { count < 3 }, "{count}");
            let guessed = (0..200_000).filter(|_| after.is_ours(random.bits64())).count();
            assert!(guessed < 20, "{guessed} guesses");
        }
    }
}
