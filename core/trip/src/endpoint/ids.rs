//! The connection IDs that we give out: `slot 20 · random 28 · MAC 16` bits (PROTOCOL.md §2.1).
//!
//! The slot finds the owner without hashing; the random bits tell a slot's users apart; the MAC
//! lets us know an ID of ours, wrong at most once in 2^16, from any other number (R-ID-1). The slot
//! index also tells which of several endpoints on one port owns an ID (R-ID-4).
#![deny(clippy::arithmetic_side_effects)]

use crate::crypto::{SecretKey, derived_key, id_mac};
use crate::shard::Shard;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use tripline_sansio::{Random, Seed};

/// Slots at most, of all endpoints on one port: connections, half-opens and attempts together.
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
    /// Of our own slots only; the place in here is not the slot, unless we are alone.
    entries: Vec<Entry>,
    /// Freed places, the one that rested longest first (R-ID-2).
    free: VecDeque<u32>,
    shard: Shard,
    key: [u8; 32],
    random: Random,
}

impl Ids {
    /// The MAC's key follows from the identity, so that the IDs of a former life are known
    /// (R-ID-1); without one it is drawn.
    pub(super) fn new(identity: Option<&SecretKey>, seed: &Seed, shard: Shard) -> Self {
        let key = identity.map_or_else(
            || seed.random("connection id key").bytes(),
            |identity| derived_key(identity, b"TRiP/1 connection id"),
        );
        Self {
            entries: Vec::new(),
            free: VecDeque::new(),
            shard,
            key,
            random: seed.random("connection ids"),
        }
    }

    /// A new ID for `owner`; `None` if all slots are taken.
    pub(super) fn issue(&mut self, owner: Owner) -> Option<u64> {
        let places_max = SLOTS_MAX.checked_div(usize::from(self.shard.count()))?;
        let place = if self.entries.len() < places_max && self.free.len() < 64 {
            let place = u32::try_from(self.entries.len()).ok()?;
            self.entries.push(Entry { id: 0, owner: None });
            place
        } else {
            self.free.pop_front()?
        };
        let slot = self.shard.slot(place)?;
        let random = self.random.bits64() >> (u64::BITS.saturating_sub(RANDOM_BITS));
        let stem = (u64::from(slot) << RANDOM_BITS) | random;
        let id = (stem << MAC_BITS) | u64::from(id_mac(&self.key, stem));
        let entry = self.entries.get_mut(usize::try_from(place).ok()?)?;
        *entry = Entry { id, owner: Some(owner) };
        Some(id)
    }

    /// Where the entry of `id` would be; `None` if the ID is another endpoint's (R-ID-4).
    fn place(&self, id: u64) -> Option<u32> {
        let slot = id >> (RANDOM_BITS.saturating_add(MAC_BITS));
        self.shard.place(u32::try_from(slot).ok()?)
    }

    fn entry(&mut self, id: u64) -> Option<&mut Entry> {
        let place = self.place(id)?;
        self.entries.get_mut(usize::try_from(place).ok()?).filter(|entry| entry.id == id)
    }

    /// Whose `id` is.
    pub(super) fn owner(&mut self, id: u64) -> Option<Owner> {
        self.entry(id)?.owner
    }

    /// Whether `id` was made here, now or in a former life of the same identity; wrong at most once
    /// in 2^16 (R-ID-1). What a sibling on the same port made is not ours, though its MAC has the
    /// same key: it may be live there (R-ID-4).
    pub(super) fn is_ours(&self, id: u64) -> bool {
        if self.place(id).is_none() {
            return false;
        }
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
            self.free.extend(self.place(id));
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
        let mut ids = Ids::new(None, &Seed::from_number(1), Shard::ALONE);
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
            let mut before = Ids::new(first, &Seed::from_number(1), Shard::ALONE);
            let after = Ids::new(second, &Seed::from_number(2), Shard::ALONE);
            let ids: Vec<u64> =
                (0..500).filter_map(|slot| before.issue(Owner::Connection(slot))).collect();
            assert!(ids.iter().all(|id| before.is_ours(*id)));
            let count = ids.iter().filter(|id| after.is_ours(**id)).count();
            assert!(if known { count == 500 } else { count < 3 }, "{count}");
            let guessed = (0..200_000).filter(|_| after.is_ours(random.bits64())).count();
            assert!(guessed < 20, "{guessed} guesses");
        }
    }
    /// R-ID-4: of several endpoints with one identity each knows its own IDs and no other's, and
    /// all slots are used.
    #[test]
    fn r_id_4_siblings_do_not_mix_up_their_ids() {
        let identity = SecretKey::from_bytes([1; 32]);
        let shards: Vec<Shard> = (0..3).filter_map(|index| Shard::new(index, 3)).collect();
        let siblings = shards.iter().zip(7..);
        let mut siblings: Vec<Ids> = siblings
            .map(|(shard, seed)| Ids::new(Some(&identity), &Seed::from_number(seed), *shard))
            .collect();
        let mut slots = BTreeSet::new();
        for n in 0..300 {
            for at in 0..3 {
                let id = siblings[at].issue(Owner::Connection(n)).unwrap();
                assert!(slots.insert(id >> (RANDOM_BITS + MAC_BITS)));
                for (other, sibling) in siblings.iter_mut().enumerate() {
                    assert_eq!(sibling.is_ours(id), other == at);
                    assert_eq!(sibling.owner(id).is_some(), other == at);
                }
            }
        }
        assert_eq!(slots.last(), Some(&899));
    }

    /// R-ID-4: the slots are shared out, so each of many has its part and no more.
    #[test]
    fn r_id_4_each_sibling_has_its_share_of_slots() {
        let shard = Shard::new(Shard::MAX - 1, Shard::MAX).unwrap();
        let mut ids = Ids::new(None, &Seed::from_number(1), shard);
        let issued = core::iter::from_fn(|| ids.issue(Owner::Connection(0))).count();
        assert_eq!(issued, SLOTS_MAX / usize::from(Shard::MAX));
    }
}
