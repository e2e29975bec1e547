//! Half-open connections: a fixed table of clients that a server has answered, or is about to
//! (R-HAND-2, R-CHAL-1).
//!
//! An entry lives for 30 s from its OPEN, nothing forged ends one, and when the table is full, by
//! number or by bytes, the oldest goes. An OPEN is known again by a keyed hash of its bytes up to
//! mac1, also for the rest of that time when its connection has come about. To be changed an entry
//! is *lifted* and put back: its place in the order, its ticket and its time stay.
#![deny(clippy::arithmetic_side_effects)]

use crate::crypto::{Handshake, PublicKey, Split, Suite};
use crate::handle::IncomingHandle;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::SocketAddr;
use tripline_sansio::{Duration, Instant, Path};

/// Entries at most (PROTOCOL.md §11).
pub(crate) const HALF_OPENS_MAX: usize = 4_096;

/// What they may take together, 512 bytes each: those with long routes leave room for fewer.
pub(crate) const HALF_OPEN_BYTES_MAX: usize = HALF_OPENS_MAX * 512;

/// How long an entry lives.
const LIFE: Duration = Duration::from_secs(30);

/// How far a half-open has come.
pub(super) enum Stage {
    /// The user has not decided yet. NN, NK, IK: message 1 was read; XX: all messages were.
    Screening(Box<Handshake>),
    /// CHALLENGE was sent; the first DATA that verifies makes the connection. The keys are kept as
    /// they are: what a cipher makes of them takes several times the room.
    Answered(Box<Split>),
    /// XX: CHALLENGE was sent; CONFIRM is to come.
    Unconfirmed(Box<Handshake>),
    /// XX: CONFIRM came, and cannot be read before the user has chosen the pre-shared key
    /// (R-CHAL-4d).
    Choosing(Box<Choosing>),
    /// XX: turned away without a pre-shared key under which that could be said: silence.
    Silent,
    /// XX: refused after the CONFIRM with this hash; this is the answer to each repeat of it.
    Refused(Box<Refusal>),
    /// The connection has come about: repeats of its OPEN are late.
    Promoted,
}

/// A CONFIRM that waits for its pre-shared key.
pub(super) struct Choosing {
    /// Before its last message.
    pub(super) handshake: Handshake,
    /// The Noise message of the CONFIRM that named the client's key.
    pub(super) confirm: Box<[u8]>,
    /// Where it came from.
    pub(super) path: Path,
}

/// The end of a client of XX, for its repeats.
pub(super) struct Refusal {
    /// Hash of the CONFIRM.
    pub(super) confirm: u64,
    /// The answer, a DISCONNECT.
    pub(super) answer: Vec<u8>,
}

impl core::fmt::Debug for Stage {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Screening(_) => "Screening",
            Self::Answered(_) => "Answered",
            Self::Unconfirmed(_) => "Unconfirmed",
            Self::Choosing(_) => "Choosing",
            Self::Silent => "Silent",
            Self::Refused(_) => "Refused",
            Self::Promoted => "Promoted",
        })
    }
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
    /// Where the first OPEN came from, or a later one with a valid token.
    pub(super) path: Path,
    /// A CHALLENGE went to another address too (R-HAND-1).
    pub(super) elsewhere: bool,
    /// A token has proven the address (R-HAND-1).
    pub(super) proven: bool,
    /// The CHALLENGE, for repeats of the OPEN.
    pub(super) challenge: Box<[u8]>,
    pub(super) suite: Suite,
    pub(super) client: Option<PublicKey>,
    /// What the client asks for, as the bytes of its [`OpenPayload`](crate::wire::OpenPayload):
    /// they are a fraction of what they say.
    pub(super) request: Box<[u8]>,
    /// XX: hash and length of the CONFIRM that verified.
    pub(super) confirm: u64,
    pub(super) confirm_len: u16,
}

impl HalfOpen {
    /// What it takes, in bytes, with all that hangs on it.
    fn bytes(&self) -> usize {
        let stage = match &self.stage {
            Stage::Screening(_) | Stage::Unconfirmed(_) => size_of::<Handshake>(),
            Stage::Answered(_) => size_of::<Split>(),
            Stage::Refused(refusal) => {
                size_of::<Refusal>().saturating_add(refusal.answer.capacity())
            }
            Stage::Choosing(choosing) => {
                size_of::<Choosing>().saturating_add(choosing.confirm.len())
            }
            Stage::Silent | Stage::Promoted => 0,
        };
        size_of::<Slot>()
            .saturating_add(size_of::<Self>())
            .saturating_add(stage)
            .saturating_add(self.challenge.len())
            .saturating_add(self.request.len())
    }

    /// An OPEN of this client came again, from there, with a valid token or without.
    pub(super) fn on_repeat(&mut self, path: Path, proven: bool) {
        self.elsewhere |= path.remote != self.path.remote;
        if proven {
            (self.path, self.proven) = (path, true);
        }
    }

    /// The CONFIRM that verified came from there.
    pub(super) fn on_confirm(&mut self, path: Path) {
        if path.remote != self.path.remote {
            (self.elsewhere, self.proven) = (true, false);
        }
        self.path = path;
    }

    /// Whether what verified from there proves its address: a token has, or no CHALLENGE went
    /// anywhere else (R-HAND-1).
    pub(super) fn proves(&self, remote: SocketAddr) -> bool {
        self.path.remote == remote && (self.proven || !self.elsewhere)
    }
}

/// No slot: the end of the order.
const NONE: u32 = u32::MAX;

#[derive(Debug)]
struct Slot {
    generation: u32,
    /// In use; its entry may be lifted.
    taken: bool,
    entry: Option<Box<HalfOpen>>,
    since: Instant,
    /// The neighbours in the order of age.
    older: u32,
    newer: u32,
    /// What the entry counted for when it was put in: bytes, and whether it waits.
    counted: (u32, bool),
}

/// The table.
#[derive(Debug)]
pub(super) struct HalfOpens {
    slots: Vec<Slot>,
    free: Vec<u32>,
    oldest: u32,
    newest: u32,
    len: usize,
    bytes: usize,
    waiting: usize,
    by_hash: BTreeMap<u64, u32>,
}

impl Default for HalfOpens {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            oldest: NONE,
            newest: NONE,
            len: 0,
            bytes: 0,
            waiting: 0,
            by_hash: BTreeMap::new(),
        }
    }
}

impl HalfOpens {
    fn slot(&mut self, slot: u32) -> Option<&mut Slot> {
        self.slots.get_mut(usize::try_from(slot).ok()?)
    }

    /// The entry in a slot.
    pub(super) fn get(&mut self, slot: u32) -> Option<&mut HalfOpen> {
        self.slot(slot)?.entry.as_deref_mut()
    }

    /// The same, to look at only.
    pub(super) fn peek(&self, slot: u32) -> Option<&HalfOpen> {
        self.slots.get(usize::try_from(slot).ok()?)?.entry.as_deref()
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

    /// How many there are in all.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// How many wait for their client or our user: all but those that are only remembered.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Puts a new entry in, as the newest. Call [`Self::pop_excess`] until it is content.
    pub(super) fn insert(&mut self, entry: Box<HalfOpen>, now: Instant) -> IncomingHandle {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                generation: 0,
                taken: false,
                entry: None,
                since: now,
                older: NONE,
                newer: NONE,
                counted: (0, false),
            });
            u32::try_from(self.slots.len().saturating_sub(1)).unwrap_or(NONE)
        });
        let older = core::mem::replace(&mut self.newest, slot);
        let mut generation = 0;
        if let Some(place) = self.slot(slot) {
            generation = place.generation;
            place.taken = true;
            (place.since, place.older, place.newer) = (now, older, NONE);
        }
        match self.slot(older) {
            Some(place) => place.newer = slot,
            None => self.oldest = slot,
        }
        self.len = self.len.saturating_add(1);
        let handle = IncomingHandle { slot, generation };
        self.put_back(handle, entry);
        handle
    }

    /// Takes an entry out to change it; its place and its ticket stay.
    pub(super) fn lift(&mut self, handle: IncomingHandle) -> Option<Box<HalfOpen>> {
        let place = self.slot(handle.slot).filter(|slot| slot.generation == handle.generation)?;
        let entry = place.entry.take()?;
        let (bytes, waits) = core::mem::take(&mut place.counted);
        self.bytes = self.bytes.saturating_sub(usize::try_from(bytes).unwrap_or_default());
        self.waiting = self.waiting.saturating_sub(usize::from(waits));
        self.by_hash.remove(&entry.hash);
        Some(entry)
    }

    /// Puts a lifted entry back into its place.
    pub(super) fn put_back(&mut self, handle: IncomingHandle, entry: Box<HalfOpen>) {
        let hash = entry.hash;
        // No entry has 4 GiB: a CHALLENGE and a request each fit a datagram.
        let bytes = u32::try_from(entry.bytes()).unwrap_or(u32::MAX);
        let waits = !matches!(entry.stage, Stage::Promoted | Stage::Refused(_) | Stage::Silent);
        let Some(place) = self.slot(handle.slot).filter(|slot| {
            slot.taken && slot.generation == handle.generation && slot.entry.is_none()
        }) else {
            return;
        };
        place.entry = Some(entry);
        place.counted = (bytes, waits);
        self.bytes = self.bytes.saturating_add(usize::try_from(bytes).unwrap_or_default());
        self.waiting = self.waiting.saturating_add(usize::from(waits));
        self.by_hash.insert(hash, handle.slot);
    }

    /// Frees a place, whether its entry is lifted or in it.
    pub(super) fn remove(&mut self, handle: IncomingHandle) -> Option<Box<HalfOpen>> {
        let entry = self.lift(handle);
        let place = self
            .slot(handle.slot)
            .filter(|slot| slot.taken && slot.generation == handle.generation)?;
        place.taken = false;
        place.generation = place.generation.wrapping_add(1);
        let (older, newer) = (place.older, place.newer);
        match self.slot(older) {
            Some(place) => place.newer = newer,
            None => self.oldest = newer,
        }
        match self.slot(newer) {
            Some(place) => place.older = older,
            None => self.newest = older,
        }
        self.free.push(handle.slot);
        self.len = self.len.saturating_sub(1);
        entry
    }

    /// Takes out the oldest entry while there are too many, or too many bytes.
    pub(super) fn pop_excess(&mut self) -> Option<Box<HalfOpen>> {
        let over = self.len > HALF_OPENS_MAX || self.bytes > HALF_OPEN_BYTES_MAX;
        if over { self.remove_oldest() } else { None }
    }

    fn remove_oldest(&mut self) -> Option<Box<HalfOpen>> {
        let oldest = self.handle(self.oldest)?;
        self.remove(oldest)
    }

    /// When the oldest entry dies.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        let oldest = self.slots.get(usize::try_from(self.oldest).ok()?)?;
        Some(oldest.since + LIFE)
    }

    /// Takes out the oldest entry if its life is over.
    pub(super) fn pop_expired(&mut self, now: Instant) -> Option<Box<HalfOpen>> {
        if self.next_expiry()? <= now { self.remove_oldest() } else { None }
    }
}

#[cfg(test)]
#[path = "half_open_tests.rs"]
mod tests;
