//! Turning a client of XX away after its CONFIRM: there the server has given out an ID and the keys
//! are known, so the answer is a packet of zone 0 (R-CHAL-1b). It is given again for each repeat of
//! that CONFIRM, and is never longer than it (R-HAND-1).
#![deny(clippy::arithmetic_side_effects)]

use super::Endpoint;
use super::half_open::{HalfOpen, Refusal, Stage};
use crate::crypto::Handshake;
use crate::handle::IncomingHandle;
use crate::referral::Referral;
use crate::wire::{Code, DataHeader, Frame, ReferralBody, TAG_LEN, TruncatedNumber};
use alloc::boxed::Box;
use alloc::vec::Vec;

impl Endpoint {
    /// A DISCONNECT of this code; a text that does not fit is left out.
    pub(super) fn refuse_confirmed(
        &mut self,
        place: IncomingHandle,
        entry: Box<HalfOpen>,
        handshake: Handshake,
        code: Code,
        reason: &str,
    ) {
        self.end_confirmed(place, entry, handshake, |packet, room| {
            let told = Frame::Disconnect { code, frame_type: 0, reason };
            let mute = Frame::Disconnect { code, frame_type: 0, reason: "" };
            if told.wire_len() <= room { told.write(packet) } else { mute.write(packet) }
        });
    }

    /// FORWARD and DISCONNECT, with so many addresses as fit.
    pub(super) fn send_on_confirmed(
        &mut self,
        place: IncomingHandle,
        entry: Box<HalfOpen>,
        handshake: Handshake,
        to: &Referral,
    ) {
        self.end_confirmed(place, entry, handshake, |packet, room| {
            let disconnect = Frame::Disconnect { code: Code::REFUSED, frame_type: 0, reason: "" };
            let room = room.saturating_sub(disconnect.wire_len());
            let mut referral = to.clone();
            while let Ok(bytes) = referral.encode() {
                if let Ok(referred) = ReferralBody::parse(&bytes) {
                    let frame = Frame::Forward(referred);
                    if frame.wire_len() <= room {
                        frame.write(packet);
                        break;
                    }
                }
                referral.addresses.pop();
            }
            disconnect.write(packet);
        });
    }

    /// Answers with packet 0 of zone 0, whose frames `write` appends: so many bytes of them fit.
    fn end_confirmed(
        &mut self,
        place: IncomingHandle,
        mut entry: Box<HalfOpen>,
        handshake: Handshake,
        write: impl FnOnce(&mut Vec<u8>, usize),
    ) {
        let Some((id, split)) = entry.own_id.zip(handshake.split().ok()) else {
            return self.abandon(Some(place), entry.own_id);
        };
        let mut zone = self.server_zone(&split, entry.suite, id, entry.client_id);
        let header = DataHeader { id: entry.client_id, number: TruncatedNumber::new(0, None) };
        let mut packet = Vec::new();
        header.write(&mut packet);
        let body = packet.len();
        let fixed = body.saturating_add(TAG_LEN);
        write(&mut packet, usize::from(entry.confirm_len).saturating_sub(fixed));
        if zone.seal.seal_packet(0, &mut packet, 0, body).is_err() {
            return self.abandon(Some(place), Some(id));
        }
        let path = entry.path;
        let refusal = Refusal { confirm: entry.confirm, answer: packet.clone() };
        entry.stage = Stage::Refused(Box::new(refusal));
        self.keep_half_open(Some(place), entry);
        self.answer(path, packet);
    }
}
