//! Where the search for the path's MTU touches the connection: its probes, and what a new size
//! means (R-MTU-1, row T35).
#![deny(clippy::arithmetic_side_effects)]

use super::mtu::{BASE, MtuSearch};
use super::recovery::congestion::SentPacket;
use super::recovery::sent::Shape;
use super::settle::SentFrame;
use super::transmit::DATAGRAM_MAX;
use super::{Connection, Cx, Stage};
use crate::event::Event;
use crate::wire::{Frame, TAG_LEN, write_padding};
use alloc::vec::Vec;
use tripline_sansio::{Ecn, Transmit};

/// From this probe timeout in a row on packets are small: full ones may be what does not arrive.
const SMALL_PTOS: u32 = 2;

impl Connection {
    /// The peer's parameters say what it takes: the search may begin.
    pub(super) fn begin_mtu(&mut self) {
        let most = self.peer_limits.datagram_max.clamp(BASE, DATAGRAM_MAX);
        let start = self.config.datagram_size.clamp(BASE, most);
        self.mtu = MtuSearch::new(start, self.config.datagram_ceiling.min(most));
    }

    /// The size of the datagrams that go out now.
    pub(super) fn sending_size(&self) -> usize {
        if self.is_linked() {
            return self.datagram_size();
        }
        let small = self.path_state.pto.count() >= SMALL_PTOS;
        usize::from(if small { BASE } else { self.mtu.current() })
    }

    /// Somebody says what the path carries, in bytes of UDP payload.
    pub(crate) fn mtu_hint(&mut self, bytes: u16, cx: &mut Cx<'_>) {
        self.mtu.hint(bytes);
        self.settle_mtu(cx);
    }

    /// Our own system refused datagrams of so many bytes (R-MTU-1d). They are lost, which the
    /// peer's acknowledgements will show; here it is only learned from.
    pub(crate) fn on_too_big(&mut self, bytes: usize, cx: &mut Cx<'_>) {
        if !self.is_linked() && u16::try_from(bytes).is_ok_and(|size| self.mtu.on_refused(size)) {
            self.settle_mtu(cx);
        }
    }

    /// If the size has changed, the controller and the user are told (row T35).
    pub(super) fn settle_mtu(&mut self, cx: &mut Cx<'_>) {
        if self.is_linked() {
            return;
        }
        let Some(size) = self.mtu.take_change() else { return };
        self.path_state.controller.on_mtu(size);
        if self.stage == Stage::Ready {
            let umtu = self.umtu();
            cx.events.push_back(Event::UmtuChanged { connection: self.handle, umtu });
        }
    }

    /// Appends a probe of the MTU: a PING, filled up. It may pass the window; only one is out.
    pub(super) fn transmit_mtu_probe(
        &mut self,
        out: &mut Vec<u8>,
        cx: &mut Cx<'_>,
    ) -> Option<Transmit> {
        let calm = self.stage == Stage::Ready
            && !self.is_linked()
            && self.own_data_acked
            && self.path_state.pto.count() == 0
            && self.path.is_proven()
            && self.sent.has_room();
        if !calm {
            return None;
        }
        let (size, token) = self.mtu.due(cx.now)?;
        let token = token.unwrap_or_else(|| cx.random.bits64());
        let (number, start, header_len) = self.begin_lone(out, cx)?;
        Frame::Ping { token, probe: false, fill: false }.write(out);
        let upto = start.saturating_add(usize::from(size)).saturating_sub(TAG_LEN);
        write_padding(out, upto.saturating_sub(out.len()));
        self.sent.record(SentFrame::MtuProbe { size });
        let shape =
            Shape { ack_eliciting: true, in_flight: true, mtu_probe: true, ..Shape::default() };
        let len = self.finish_lone(out, (number, start, header_len), shape, cx.now)?;
        let in_flight = self.sent.bytes_in_flight();
        self.path_state.controller.on_sent(cx.now, &SentPacket { number, bytes: size, in_flight });
        self.mtu.on_probe_sent(size, token);
        self.path.on_sent(len);
        self.last_eliciting = cx.now;
        self.arm_recovery();
        self.arm_keep_alive();
        Some(Transmit { path: self.path.path(), ecn: Ecn::NotEct, len, segment_size: len })
    }
}
