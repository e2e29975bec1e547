//! Half-open connections: a fixed table of clients that a server has answered, or is about to
//! (R-HAND-2, R-CHAL-1).
//!
//! An entry lives for 30 s at most, nothing forged ends one, and when the table is full the oldest
//! goes. An OPEN is known again by a keyed hash of its bytes up to mac1, also for a while after its
//! connection has come about.
#![deny(clippy::arithmetic_side_effects)]

use crate::connection::Zone;
use crate::crypto::{Handshake, PublicKey, Suite};
use crate::handle::IncomingHandle;
use crate::wire::Parameters;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use tripline_sansio::{Duration, Instant, Path};

/// Entries at most (PROTOCOL.md §11).
pub(super) const HALF_OPENS_MAX: usize = 4_096;

/// How long an entry lives; it begins anew when the user lets a client in, and once more when the
/// connection has come about.
const LIFE: Duration = Duration::from_secs(30);

/// How far a half-open has come.
#[derive(Debug)]
pub(super) enum Stage {
    /// The user has not decided yet. NN, NK, IK: message 1 was read; XX: all messages were.
    Screening(Handshake),
    /// CHALLENGE was sent; the first DATA that verifies makes the connection.
    Answered(Box<Zone>),
    /// XX: CHALLENGE was sent; CONFIRM is to come.
    Unconfirmed(Handshake),
    /// XX: refused after the CONFIRM with this hash; this is the answer to each repeat of it.
    Refused { confirm: u64, answer: Vec<u8> },
    /// The connection has come about: repeats of its OPEN are late.
    Promoted,
}

/// One entry.
#[derive(Debug)]
pub(super) struct HalfOpen {
    pub(super) stage: Stage,
    /// Of the OPEN up to mac1.
    pub(super) hash: u64,
    pub(super) opened_at: Instant,
    pub(super) client_id: u64,
    /// The ID that we gave out, if we did.
    pub(super) own_id: Option<u64>,
    /// Where the first OPEN came from.
    pub(super) path: Path,
    /// A CHALLENGE went to another address too (R-HAND-1).
    pub(super) elsewhere: bool,
    /// The CHALLENGE, for repeats of the OPEN.
    pub(super) challenge: Vec<u8>,
    pub(super) suite: Suite,
    pub(super) client: Option<PublicKey>,
    pub(super) user_id: [u8; 8],
    pub(super) route: Vec<u8>,
    pub(super) parameters: Parameters,
    /// XX: hash and length of the CONFIRM that verified.
    pub(super) confirm: (u64, usize),
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    entry: Option<Box<HalfOpen>>,
}

/// The table.
#[derive(Debug, Default)]
pub(super) struct HalfOpens {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Oldest first.
    order: VecDeque<(Instant, IncomingHandle)>,
    by_hash: BTreeMap<u64, u32>,
}

impl HalfOpens {
    fn slot(&mut self, slot: u32) -> Option<&mut Slot> {
        self.slots.get_mut(usize::try_from(slot).ok()?)
    }

    /// The entry in a slot.
    pub(super) fn get(&mut self, slot: u32) -> Option<&mut HalfOpen> {
        self.slot(slot)?.entry.as_deref_mut()
    }

    /// The ticket of the entry in a slot.
    pub(super) fn handle(&mut self, slot: u32) -> Option<IncomingHandle> {
        let generation = self.slot(slot)?.generation;
        Some(IncomingHandle { slot, generation })
    }

    /// The entry that a ticket names, if it is still there.
    pub(super) fn by_handle(&mut self, handle: IncomingHandle) -> Option<&mut HalfOpen> {
        self.slot(handle.slot)
            .filter(|slot| slot.generation == handle.generation)?
            .entry
            .as_deref_mut()
    }

    /// The slot of the entry with this hash.
    pub(super) fn by_hash(&self, hash: u64) -> Option<u32> {
        self.by_hash.get(&hash).copied()
    }

    /// Puts an entry in. If the table is full the oldest goes, and is returned.
    pub(super) fn insert(
        &mut self,
        entry: HalfOpen,
        now: Instant,
    ) -> (IncomingHandle, Option<Box<HalfOpen>>) {
        let evicted = if self.order.len() >= HALF_OPENS_MAX { self.remove_oldest() } else { None };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            u32::try_from(self.slots.len().saturating_sub(1)).unwrap_or(u32::MAX)
        });
        self.by_hash.insert(entry.hash, slot);
        let mut generation = 0;
        if let Some(place) = self.slot(slot) {
            place.entry = Some(Box::new(entry));
            generation = place.generation;
        }
        let handle = IncomingHandle { slot, generation };
        self.order.push_back((now, handle));
        (handle, evicted)
    }

    fn remove_oldest(&mut self) -> Option<Box<HalfOpen>> {
        while let Some((_, handle)) = self.order.pop_front() {
            if let Some(entry) = self.take(handle) {
                return Some(entry);
            }
        }
        None
    }

    fn take(&mut self, handle: IncomingHandle) -> Option<Box<HalfOpen>> {
        let place = self.slot(handle.slot).filter(|slot| slot.generation == handle.generation)?;
        let entry = place.entry.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(handle.slot);
        self.by_hash.remove(&entry.hash);
        Some(entry)
    }

    /// Takes out the entry that a ticket names.
    pub(super) fn remove(&mut self, handle: IncomingHandle) -> Option<Box<HalfOpen>> {
        let entry = self.take(handle)?;
        self.order.retain(|(_, other)| *other != handle);
        Some(entry)
    }

    /// When the oldest entry dies.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.order.front().map(|(inserted, _)| *inserted + LIFE)
    }

    /// Takes out the oldest entry if its life is over.
    pub(super) fn pop_expired(&mut self, now: Instant) -> Option<Box<HalfOpen>> {
        if self.next_expiry()? <= now { self.remove_oldest() } else { None }
    }
}
