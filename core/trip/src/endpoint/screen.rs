//! The screening's choice of a pre-shared key by who the client is (row T12).
//!
//! In NK and IK the key is mixed into CHALLENGE, so it can be chosen when OPEN has been read: in IK
//! by the client's key, in both by user id and route. All of that may be a replay (R-OPEN-4), so
//! the choice has no effect but on the answer, which only the holder of the same key can read. In
//! XX the key is mixed into CONFIRM: `choose` has that.

use super::Endpoint;
use super::choose::Read;
use super::guard::Answer;
use super::half_open::HalfOpen;
use crate::config::Access;
use crate::crypto::{Handshake, Psk};
use crate::error::UnknownIncoming;
use crate::handle::IncomingHandle;
use crate::wire::{Code, PROTOCOL_VERSION, VersionReason, write_version};
use alloc::boxed::Box;
use alloc::vec::Vec;
use tripline_sansio::Instant;

impl Endpoint {
    /// Lets a client in that [`Event::Incoming`](crate::Event::Incoming) told of, if it holds this
    /// pre-shared key (row T12, R-CHAL-4). In NK and IK the key takes the place of the
    /// configuration's. In XX it has to be the configuration's, if that names one; if not, the
    /// client's last message is read under this key, and if it verifies, the user is asked again,
    /// now with all that the client says (R-CHAL-4d). A client that opened without a pre-shared key
    /// is turned away.
    ///
    /// # Errors
    /// If it was answered already, or waited for more than 30 s.
    pub fn accept_with(
        &mut self,
        now: Instant,
        incoming: IncomingHandle,
        psk: &Psk,
    ) -> Result<(), UnknownIncoming> {
        self.tick(now);
        if self.choose(incoming, psk) {
            return Ok(());
        }
        let (entry, mut handshake) = self.lift_screened(incoming)?;
        if !entry.suite.psk {
            self.refuse_by_psk(incoming, entry, handshake);
        } else if let Some(reason) = self.leaving_reason() {
            if handshake.wants_psk() {
                handshake.set_psk(psk);
            }
            self.turn_away(incoming, entry, handshake, Code::SHUTTING_DOWN, &reason);
        } else if !handshake.is_finished() {
            handshake.set_psk(psk);
            self.challenge(Some(incoming), entry, handshake);
        } else if handshake.has_psk(psk) {
            self.connect_confirmed(incoming, entry, handshake);
        } else {
            self.refuse_by_psk(incoming, entry, handshake);
        }
        Ok(())
    }

    /// Refuses a client as [`refuse`](Self::refuse) does, under this pre-shared key: without it
    /// a client that wants one cannot be told why.
    ///
    /// # Errors
    /// If it was answered already, or waited for more than 30 s.
    pub fn refuse_with(
        &mut self,
        now: Instant,
        incoming: IncomingHandle,
        psk: &Psk,
        code: Code,
        reason: &str,
    ) -> Result<(), UnknownIncoming> {
        self.tick(now);
        match self.read_under(incoming, psk) {
            Read::Other => {}
            Read::Failed => return Ok(()),
            Read::Done(entry, handshake) => {
                self.refuse_confirmed(incoming, entry, *handshake, code, reason);
                return Ok(());
            }
        }
        let (entry, mut handshake) = self.lift_screened(incoming)?;
        if handshake.is_finished() {
            self.refuse_confirmed(incoming, entry, handshake, code, reason);
        } else {
            self.abandon(Some(incoming), None);
            handshake.set_psk(psk);
            self.refuse_open(&entry, handshake, code, reason);
        }
        Ok(())
    }

    /// The client did not open with the key that it was to have.
    fn refuse_by_psk(
        &mut self,
        incoming: IncomingHandle,
        entry: Box<HalfOpen>,
        handshake: Handshake,
    ) {
        const WHY: &str = "a pre-shared key is wanted";
        if handshake.is_finished() {
            self.refuse_confirmed(incoming, entry, handshake, Code::REFUSED, WHY);
        } else {
            self.abandon(Some(incoming), None);
            self.refuse_open(&entry, handshake, Code::REFUSED, WHY);
        }
    }

    /// No answer can be sealed without the client's pre-shared key: a public server hints that it
    /// does not take this suite, a private one is silent (R-CHAL-4, R-VERS-1).
    pub(super) fn hint_psk(&mut self, entry: &HalfOpen) {
        self.count(|drops| &mut drops.unsupported);
        let public = self.config.server.as_ref().is_some_and(|s| s.access == Access::Public);
        if public && self.may_answer(Answer::Version) {
            let mut packet = Vec::new();
            let ours = [PROTOCOL_VERSION];
            write_version(&mut packet, entry.client_id, VersionReason::Suite, &ours);
            self.answer_cheaply(entry.path, packet);
        }
    }
}
