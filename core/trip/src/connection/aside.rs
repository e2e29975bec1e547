//! What goes to other addresses than the active one: PINGs that ask for a proof, and PONGs
//! (PROTOCOL.md §5.2). One packet each, outside of window and probe timeout: what becomes of them
//! says nothing about the active path.
#![deny(clippy::arithmetic_side_effects)]

use super::addresses::{Errand, Probe};
use super::recovery::sent::Shape;
use super::{Connection, Cx};
use crate::carrier::LinkId;
use crate::wire::{DataHeader, Frame, Parameters, TAG_LEN, TruncatedNumber, write_padding};
use alloc::vec::Vec;
use tripline_sansio::{Ecn, Instant, Transmit};

/// The longest header, PING, PONG and tag: in less nothing is sent aside.
pub(super) const ASIDE_LEAST: usize = 48;

impl Connection {
    /// Appends the next packet for an address that is not the active one; or a PONG for the active
    /// one, if the window is full: a PONG goes at once.
    pub(super) fn transmit_aside(
        &mut self,
        out: &mut Vec<u8>,
        cx: &mut Cx<'_>,
    ) -> Option<Transmit> {
        if !self.path.is_alone()
            && let Some(errand) = self.path.errand(cx.now, self.plain_pto(), ASIDE_LEAST)
        {
            let token = errand
                .ping
                .map(|_| self.path.token(errand.path).unwrap_or_else(|| cx.random.bits64()));
            let len = self.build_aside(out, &errand, token, cx)?;
            self.path.on_errand(errand.path, token, len, cx.now);
            self.arm_paths(cx.now);
            return Some(one(&errand, len));
        }
        let pong = self.pings.owed()?;
        let room = self.path.allowance();
        if room < ASIDE_LEAST || self.may_send(self.datagram_size()) {
            return None;
        }
        let errand = Errand { path: self.path.path(), pong: Some(pong), ping: None, room };
        let len = self.build_aside(out, &errand, None, cx)?;
        self.pings.pong_sent();
        self.path.on_sent(len);
        Some(one(&errand, len))
    }

    /// Appends one packet of PONG and PING, filled up as asked for and as far as the room goes.
    #[cold]
    fn build_aside(
        &mut self,
        out: &mut Vec<u8>,
        errand: &Errand,
        token: Option<u64>,
        cx: &mut Cx<'_>,
    ) -> Option<usize> {
        let begun = self.begin_lone(out, cx)?;
        if let Some(pong) = errand.pong {
            Frame::Pong { token: pong.token }.write(out);
        }
        if let Some((probe, token)) = errand.ping.zip(token) {
            Frame::Ping { token, probe: probe == Probe::Yes, fill: true }.write(out);
        }
        let fills = errand.ping.is_some() || errand.pong.is_some_and(|pong| pong.fill);
        if fills && LinkId::of(errand.path.remote).is_none() {
            let full = usize::from(Parameters::DATAGRAM_LEAST).min(errand.room);
            let upto = begun.1.saturating_add(full).saturating_sub(TAG_LEN);
            write_padding(out, upto.saturating_sub(out.len()));
        }
        self.finish_lone(out, begun, Shape::default(), cx.now)
    }

    /// Begins a packet that is built by itself: its number, where it begins, and the length of its
    /// header.
    pub(super) fn begin_lone(
        &mut self,
        out: &mut Vec<u8>,
        cx: &mut Cx<'_>,
    ) -> Option<(u64, usize, usize)> {
        let id = self.zone.as_ref()?.peer_id;
        let number = self.begin_number(cx);
        let start = out.len();
        let truncated = TruncatedNumber::new(number, self.sent.largest_acked());
        DataHeader { id, number: truncated }.write(out);
        Some((number, start, out.len().saturating_sub(start)))
    }

    /// Seals a packet that was begun by [`Self::begin_lone`], and remembers it as of this shape.
    pub(super) fn finish_lone(
        &mut self,
        out: &mut Vec<u8>,
        (number, start, header_len): (u64, usize, usize),
        shape: Shape,
        now: Instant,
    ) -> Option<usize> {
        let sealed =
            self.zone.as_mut().map(|zone| zone.seal.seal_packet(number, out, start, header_len));
        if !matches!(sealed, Some(Ok(()))) {
            out.truncate(start);
            return None;
        }
        let len = out.len().saturating_sub(start);
        let bytes = u16::try_from(len).unwrap_or(u16::MAX);
        self.sent.finish(now, Shape { bytes, ..shape });
        self.stats.packets_sent = self.stats.packets_sent.saturating_add(1);
        self.stats.bytes_sent = self.stats.bytes_sent.saturating_add(u64::from(bytes));
        Some(len)
    }
}

fn one(errand: &Errand, len: usize) -> Transmit {
    Transmit { path: errand.path, ecn: Ecn::NotEct, len, segment_size: len }
}
