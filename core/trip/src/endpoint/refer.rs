//! Sending clients elsewhere, and going where one was sent (row T57, R-CHAL-3).
//!
//! The screening may answer a newcomer with a referral, a connection that stands may be told one;
//! an attempt of ours that follows one, or steps down, gets its new ID and its new OPEN here.
#![deny(clippy::arithmetic_side_effects)]

use super::Endpoint;
use super::admit::write_challenge;
use super::choose::Read;
use super::guard::Answer;
use super::half_open::{HalfOpen, Refusal, Stage};
use super::ids::Owner;
use crate::crypto::{Handshake, Psk};
use crate::error::ReferError;
use crate::handle::{ConnectionHandle, IncomingHandle};
use crate::referral::Referral;
use crate::wire::{
    ChallengePayload, Code, DataHeader, Frame, ReferralBody, TAG_LEN, TruncatedNumber,
};
use alloc::boxed::Box;
use alloc::vec::Vec;
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

    /// XX: FORWARD and DISCONNECT in zone 0, given again for each repeat of CONFIRM and never
    /// longer than that (R-CHAL-1b): so many addresses as fit.
    fn send_on_confirmed(
        &mut self,
        place: IncomingHandle,
        mut entry: Box<HalfOpen>,
        handshake: Handshake,
        to: &Referral,
    ) {
        let Some((id, split)) = entry.own_id.zip(handshake.split().ok()) else {
            return self.abandon(Some(place), entry.own_id);
        };
        let mut zone = self.server_zone(&split, entry.suite, id, entry.client_id);
        let header = DataHeader { id: entry.client_id, number: TruncatedNumber::new(0, None) };
        let room = usize::from(entry.confirm_len).saturating_sub(TAG_LEN);
        let mut packet = Vec::new();
        header.write(&mut packet);
        let body = packet.len();
        let disconnect = Frame::Disconnect { code: Code::REFUSED, frame_type: 0, reason: "" };
        let mut referral = to.clone();
        while let Ok(bytes) = referral.encode() {
            if let Ok(referred) = ReferralBody::parse(&bytes) {
                let frame = Frame::Forward(referred);
                let len =
                    body.saturating_add(frame.wire_len()).saturating_add(disconnect.wire_len());
                if len <= room {
                    frame.write(&mut packet);
                    break;
                }
            }
            referral.addresses.pop();
        }
        disconnect.write(&mut packet);
        if zone.seal.seal_packet(0, &mut packet, 0, body).is_err() {
            return self.abandon(Some(place), Some(id));
        }
        let path = entry.path;
        let refusal = Refusal { confirm: entry.confirm, answer: packet.clone() };
        entry.stage = Stage::Refused(Box::new(refusal));
        self.keep_half_open(Some(place), entry);
        self.answer(path, packet);
    }

    /// Gives the attempt in `slot` a new ID and a new OPEN, if it is to begin anew: at another
    /// endpoint, or with a lesser suite. Whether it may now have something to send.
    pub(super) fn tend_attempt(&mut self, slot: u32) -> bool {
        let Some(again) = self
            .slots
            .get_mut(usize::try_from(slot).unwrap_or(usize::MAX))
            .and_then(|place| place.connection.as_deref_mut()?.take_anew())
        else {
            return false;
        };
        let Some(id) = self.ids.issue(Owner::Connection(slot)) else {
            self.count(|drops| &mut drops.at_bound);
            self.with(slot, |connection, cx| connection.fail_anew("no ID is left", cx));
            return true;
        };
        let start = self.start(
            self.now,
            id,
            again.addresses,
            &again.options,
            again.parameters,
            again.cipher,
        );
        let Some(mut start) = start else {
            self.ids.release(id);
            let why = "the key there is of no use";
            self.with(slot, |connection, cx| connection.fail_anew(why, cx));
            return true;
        };
        start.deadline = again.deadline;
        self.with(slot, |connection, cx| connection.begin_anew(start, again.same_server, cx));
        self.ids.release(again.client_id);
        true
    }
}
