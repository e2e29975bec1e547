//! Several endpoints on one port: which of them a packet belongs to (R-ID-4).
//!
//! In go a datagram and the number of endpoints, out comes whose it is. An endpoint that knows its
//! place ([`Config::shard`](crate::Config::shard)) gives out only IDs that lead back to it; the
//! loops around the endpoints, or a program in the kernel, bring each packet to its owner. Nothing
//! here looks behind the first nine bytes, and nothing says whether a packet is true.
#![deny(clippy::arithmetic_side_effects)]

use crate::wire::{PacketKind, classify};
use core::num::NonZeroU16;

/// Bits of an ID below its slot, within the ID's first four bytes.
const BELOW_SLOT: u32 = 12;

/// Where an ID begins, in every packet that holds one of its receiver's.
const ID_AT: usize = 1;

/// The place of an endpoint among several that share one port and one identity.
///
/// Each is an engine of its own, with its own connections, limits and guard; they share nothing.
/// Two [single](crate::TransportConfig::single) connections of one peer that meet two of them are
/// two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shard {
    index: u16,
    count: NonZeroU16,
}

/// Which endpoint of several a packet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardOwner {
    /// This one: the packet names an ID whose slot is one of its own, whether or not it is in use.
    One(u16),
    /// Any of them, but the same one whenever it comes from the same address: a first packet, or
    /// something that no endpoint will understand.
    Any,
    /// A RESET. It names no ID, so each of them has to look.
    All,
}

impl Shard {
    /// Endpoints on one port at most: each still has 4,096 slots.
    pub const MAX: u16 = 256;

    /// An endpoint that has its port for itself.
    pub const ALONE: Self = Self { index: 0, count: NonZeroU16::MIN };

    /// For who writes a steering program: a datagram whose first byte, masked by the first number,
    /// equals the second holds an ID of its receiver.
    pub const NAMES_AN_ID: [(u8, u8); 5] =
        [(0x80, 0x80), (0xff, 0x02), (0xff, 0x03), (0xff, 0x04), (0xff, 0x05)];

    /// For who writes a steering program: the four bytes from here on, as a big-endian number
    /// shifted right by [`Self::SLOT_SHIFT`], are the slot; its remainder by the number of
    /// endpoints is the owner.
    pub const SLOT_AT: u32 = 1;

    /// See [`Self::SLOT_AT`].
    pub const SLOT_SHIFT: u32 = BELOW_SLOT;

    /// The one numbered `index`, from 0, of `count`; `None` if there is none, or if there would be
    /// more than [`Self::MAX`].
    pub const fn new(index: u16, count: u16) -> Option<Self> {
        let Some(count) = NonZeroU16::new(count) else { return None };
        if index >= count.get() || count.get() > Self::MAX {
            return None;
        }
        Some(Self { index, count })
    }

    /// The number of this one, from 0.
    pub const fn index(self) -> u16 {
        self.index
    }

    /// How many there are.
    pub const fn count(self) -> u16 {
        self.count.get()
    }

    /// Which of `self.count()` endpoints `datagram` is for. It need not be this one.
    pub fn owner(self, datagram: &[u8]) -> ShardOwner {
        use PacketKind::{Challenge, Confirm, Data, Ddns, Open, Reset, Retry, Version};
        match datagram.first().copied().and_then(classify) {
            Some(Data | Challenge | Confirm | Retry | Version) => {}
            Some(Reset) => return ShardOwner::All,
            Some(Open | Ddns) | None => return ShardOwner::Any,
        }
        let Some((id, _)) = datagram.get(ID_AT..).and_then(<[u8]>::split_first_chunk) else {
            return ShardOwner::Any;
        };
        let slot = u32::from_be_bytes(*id) >> BELOW_SLOT;
        self.owner_of_slot(slot).map_or(ShardOwner::Any, ShardOwner::One)
    }

    fn owner_of_slot(self, slot: u32) -> Option<u16> {
        let rest = slot.checked_rem(u32::from(self.count.get()))?;
        u16::try_from(rest).ok()
    }

    /// The slot of the entry at `place` of this endpoint's own table.
    pub(crate) fn slot(self, place: u32) -> Option<u32> {
        place.checked_mul(u32::from(self.count.get()))?.checked_add(u32::from(self.index))
    }

    /// The entry of this endpoint's own table that `slot` stands for; `None` if the slot is a
    /// sibling's.
    pub(crate) fn place(self, slot: u32) -> Option<u32> {
        if self.owner_of_slot(slot)? != self.index {
            return None;
        }
        slot.checked_div(u32::from(self.count.get()))
    }
}

impl Default for Shard {
    fn default() -> Self {
        Self::ALONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R-ID-4: each slot has one owner, and each place of a table one slot.
    #[test]
    fn r_id_4_slots_are_shared_out() {
        for count in [1, 2, 3, 7, Shard::MAX] {
            for slot in 0..2_000 {
                let owners = (0..count).filter_map(|index| Shard::new(index, count));
                let owners: alloc::vec::Vec<_> =
                    owners.filter(|shard| shard.place(slot).is_some()).collect();
                assert_eq!(owners.len(), 1, "slot {slot} of {count}");
                let place = owners[0].place(slot).unwrap();
                assert_eq!(owners[0].slot(place), Some(slot));
            }
        }
        assert_eq!((Shard::new(2, 2), Shard::new(0, 0), Shard::new(0, 257)), (None, None, None));
        // Alone, places are slots: nothing on the wire changes.
        for slot in [0, 1, (1 << 20) - 1] {
            assert_eq!(Shard::ALONE.place(slot), Some(slot));
        }
    }

    /// R-ID-4a: the owner is found in each packet that names an ID; OPEN goes to any, RESET to all.
    #[test]
    fn r_id_4_packets_name_their_owner() {
        let shard = Shard::new(0, 3).unwrap();
        // Slot 0x12345 = 74,565 = 3 · 24,855.
        let id = [0x12, 0x34, 0x5a, 0xbc, 0xde, 0xf0, 0x11, 0x22];
        let packet = |first: u8| [&[first][..], &id, &[0; 20]].concat();
        for first in [0x80, 0xc0, 0x02, 0x03, 0x04, 0x05] {
            assert_eq!(shard.owner(&packet(first)), ShardOwner::One(0), "{first:#x}");
            let mut next = packet(first);
            next[3] += 0x10;
            assert_eq!(shard.owner(&next), ShardOwner::One(1), "{first:#x}");
        }
        for first in [0x01, 0x07, 0x08, 0x81, 0x00] {
            assert_eq!(shard.owner(&packet(first)), ShardOwner::Any, "{first:#x}");
        }
        assert_eq!(shard.owner(&packet(0x06)), ShardOwner::All);
        assert_eq!(shard.owner(&[0x80, 1, 2, 3]), ShardOwner::Any);
        assert_eq!(shard.owner(&[]), ShardOwner::Any);
    }

    /// R-ID-4a: what is said to writers of steering programs is what this page's code does. A
    /// reserved bit of DATA makes the only difference: a program need not look so closely.
    #[test]
    fn r_id_4_the_steering_rule_agrees() {
        let mut random = tripline_sansio::Seed::from_number(4).random("packets");
        for count in [1, 2, 5] {
            let shard = Shard::new(0, count).unwrap();
            for first in 0..=u8::MAX {
                let packet = [&[first][..], &random.bits64().to_be_bytes()].concat();
                let names = Shard::NAMES_AN_ID.iter().any(|(mask, value)| first & mask == *value);
                let at = usize::try_from(Shard::SLOT_AT).unwrap();
                let word = u32::from_be_bytes(packet[at..at + 4].try_into().unwrap());
                let steered = (word >> Shard::SLOT_SHIFT) % u32::from(count);
                match shard.owner(&packet) {
                    ShardOwner::One(owner) => {
                        assert!(names);
                        assert_eq!(u32::from(owner), steered);
                    }
                    _ => assert!(!names || !matches!(first, 0x80 | 0xc0 | 2..=5)),
                }
            }
        }
    }
}
