//! XX: the pre-shared key is chosen by the client's key, before CONFIRM can be read (row T12,
//! R-CHAL-4d).
//!
//! CONFIRM begins with the client's static key, sealed under the keys of its OPEN and our
//! CHALLENGE; the pre-shared key goes in behind it, and the payload comes last. So the key can be
//! seen before anything is proven: whoever sent the OPEN can name any. The user is asked for the
//! pre-shared key of the one that is named, and once the payload verified under it, is asked a
//! second time, as about any client. A CONFIRM that somebody made of the true one's beginning and
//! rubbish leads to the same question and the same answer, and then fails by itself; the true
//! one, which the client repeats, is read under the key that was chosen.
#![deny(clippy::arithmetic_side_effects)]

use super::Endpoint;
use super::half_open::{Choosing, HalfOpen, Stage};
use crate::crypto::{Handshake, Psk};
use crate::event::{Event, Incoming};
use crate::handle::IncomingHandle;
use alloc::boxed::Box;
use alloc::vec::Vec;
use tripline_sansio::Path;

/// What became of a CONFIRM that is to be read under a pre-shared key.
pub(super) enum Read {
    /// There is none: this client waits for something else.
    Other,
    /// It does not verify.
    Failed,
    /// It verified; the entry is lifted.
    Done(Box<HalfOpen>, Box<Handshake>),
}

impl Endpoint {
    /// A CONFIRM came for which there is no pre-shared key: keeps it, and asks the user.
    pub(super) fn ask_for_psk(
        &mut self,
        slot: u32,
        handshake: Handshake,
        noise: &[u8],
        path: Path,
    ) {
        let Ok(client) = handshake.peek_static(noise) else {
            return self.count(|drops| &mut drops.bad_handshake);
        };
        let Some((place, mut entry)) = self.lift_half_open(slot) else { return };
        let choosing = Choosing { handshake, confirm: noise.into(), path };
        entry.stage = Stage::Choosing(Box::new(choosing));
        let Some(handle) = self.keep_half_open(Some(place), entry) else { return };
        self.events.push_back(Event::Incoming(Incoming {
            handle,
            remote: path.remote,
            client: Some(client),
            user_id: [0; 8],
            route: Vec::new(),
            wants_psk: true,
            preliminary: true,
        }));
    }

    /// The user chose the pre-shared key of a client that waits for that: its CONFIRM is read
    /// again. Whether there is such a client.
    pub(super) fn choose(&mut self, incoming: IncomingHandle, psk: &Psk) -> bool {
        let Some(choosing) = self.unconfirm(incoming, psk) else { return false };
        let Choosing { handshake, confirm, path } = choosing;
        self.on_confirm_of(incoming.slot, handshake, &confirm, path);
        true
    }

    /// Reads the CONFIRM of a client that waits for its pre-shared key and is not to be let in
    /// under it. If it does not verify, nothing is said to the client any more.
    pub(super) fn read_under(&mut self, incoming: IncomingHandle, psk: &Psk) -> Read {
        let Some(mut choosing) = self.unconfirm(incoming, psk) else { return Read::Other };
        let read = choosing.handshake.read_message(&choosing.confirm, &mut Vec::new());
        let Some(mut entry) = self.half_opens.lift(incoming) else { return Read::Failed };
        if read.is_err() {
            entry.stage = Stage::Silent;
            self.keep_half_open(Some(incoming), entry);
            return Read::Failed;
        }
        self.note_confirm(&mut entry, &choosing.confirm, choosing.path);
        Read::Done(entry, Box::new(choosing.handshake))
    }

    /// A client that waits for its pre-shared key is turned away without one: there is no key under
    /// which it could be told, so nothing is said to it until its time is over. Whether there is
    /// such a client.
    pub(super) fn hush(&mut self, incoming: IncomingHandle) -> bool {
        if !self.is_choosing(incoming) {
            return false;
        }
        if let Some(mut entry) = self.half_opens.lift(incoming) {
            entry.stage = Stage::Silent;
            self.keep_half_open(Some(incoming), entry);
        }
        true
    }

    fn is_choosing(&mut self, incoming: IncomingHandle) -> bool {
        let entry = self.half_opens.by_handle(incoming);
        entry.is_some_and(|entry| matches!(entry.stage, Stage::Choosing(_)))
    }

    /// Puts a client that waits for its pre-shared key back to where CONFIRM is to come, under this
    /// key; what it waited with.
    fn unconfirm(&mut self, incoming: IncomingHandle, psk: &Psk) -> Option<Choosing> {
        if !self.is_choosing(incoming) {
            return None;
        }
        let mut entry = self.half_opens.lift(incoming)?;
        let stage = core::mem::replace(&mut entry.stage, Stage::Silent);
        let Stage::Choosing(mut choosing) = stage else { return None };
        choosing.handshake.set_psk(psk);
        entry.stage = Stage::Unconfirmed(Box::new(choosing.handshake.clone()));
        self.keep_half_open(Some(incoming), entry);
        Some(*choosing)
    }
}
