//! Sending clients elsewhere (row T57, R-CHAL-3): the screening may answer a newcomer with a
//! referral, and a connection that stands may be told one.
#![deny(clippy::arithmetic_side_effects)]

use super::Endpoint;
use super::admit::write_challenge;
use super::choose::Read;
use super::guard::Answer;
use super::half_open::HalfOpen;
use crate::crypto::{Handshake, Psk};
use crate::error::ReferError;
use crate::handle::{ConnectionHandle, IncomingHandle};
use crate::referral::Referral;
use crate::wire::{ChallengePayload, ReferralBody};
use alloc::boxed::Box;
use tripline_sansio::Instant;

impl Endpoint {
    /// Sends a client elsewhere that [`Event::Incoming`](crate::Event::Incoming) told of (row T57).
    /// A client of NK or IK follows by itself; one of XX is told together with its refusal (10),
    /// and of so many addresses as fit where its last message did. A client that wants a pre-shared
    /// key is sent on by [`forward_with`](Self::forward_with) only, and turned away by this.
    ///
    /// # Errors
    /// See [`ReferError`]; the client still waits for an answer then, unless it is
    /// [`ReferError::Gone`].
    pub fn forward(
        &mut self,
        now: Instant,
        incoming: IncomingHandle,
        referral: &Referral,
    ) -> Result<(), ReferError> {
        self.tick(now);
        referral.encode()?;
        if self.hush(incoming) {
            return Ok(());
        }
        let (entry, handshake) = self.lift_screened(incoming).map_err(|_| ReferError::Gone)?;
        self.send_on(incoming, entry, handshake, referral);
        Ok(())
    }

    /// The same under this pre-shared key, which takes the place of the configuration's in NK and
    /// IK, and in XX where the configuration names none.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn forward_with(
        &mut self,
        now: Instant,
        incoming: IncomingHandle,
        psk: &Psk,
        referral: &Referral,
    ) -> Result<(), ReferError> {
        self.tick(now);
        referral.encode()?;
        match self.read_under(incoming, psk) {
            Read::Other => {}
            Read::Failed => return Ok(()),
            Read::Done(entry, handshake) => {
                self.send_on_confirmed(incoming, entry, *handshake, referral);
                return Ok(());
            }
        }
        let (entry, mut handshake) = self.lift_screened(incoming).map_err(|_| ReferError::Gone)?;
        if entry.suite.psk && !handshake.is_finished() {
            handshake.set_psk(psk);
        }
        self.send_on(incoming, entry, handshake, referral);
        Ok(())
    }

    /// Asks the client of a connection that stands to open elsewhere (row T57); its user decides.
    /// Nothing else changes: to send a client away, close the connection as well. A newer referral
    /// takes the place of one that is still on its way.
    ///
    /// # Errors
    /// See [`ReferError`].
    pub fn refer(
        &mut self,
        now: Instant,
        connection: ConnectionHandle,
        referral: &Referral,
    ) -> Result<(), ReferError> {
        let body = referral.encode()?;
        self.command(now, connection, |connection, _| connection.refer(body))
            .unwrap_or(Err(ReferError::Gone))
    }

    /// Answers a newcomer with a referral, which leaves no state (R-CHAL-1a), but in XX.
    fn send_on(
        &mut self,
        place: IncomingHandle,
        entry: Box<HalfOpen>,
        mut handshake: Handshake,
        referral: &Referral,
    ) {
        if handshake.is_finished() {
            return self.send_on_confirmed(place, entry, handshake, referral);
        }
        self.abandon(Some(place), None);
        if handshake.wants_psk() {
            return self.hint_psk(&entry);
        }
        if !self.may_answer(Answer::Refusal) {
            return;
        }
        let Ok(body) = referral.encode() else { return };
        let Ok(body) = ReferralBody::parse(&body) else { return };
        let forward = ChallengePayload::Forward(body);
        if let Some(packet) = write_challenge(&mut handshake, entry.client_id, &forward) {
            self.answer(entry.path, packet);
        }
    }
}
