//! Building packets, and trains of them.
//!
//! A packet is written straight into the caller's buffer: header, frames, then sealed in place. A
//! train is a run of packets of one size, of which the last may be shorter; while more is waiting,
//! packets are filled up so that the train stays whole (R-DATA-4).
#![deny(clippy::arithmetic_side_effects)]

use super::recovery::congestion::SentPacket;
use super::recovery::left_out::next_left_out;
use super::recovery::sent::Shape;
use super::settle::SentFrame;
use super::streams::{Stop, StreamKey};
use super::timer::Timer;
use super::{Connection, Cx, Stage};
use crate::stream::send::Written;
use crate::wire::{
    BlockedBy, DataHeader, Direction, EcnCounts, Frame, Parameters, ReferralBody, TAG_LEN,
    TruncatedNumber, write_ack, write_padding, write_skip,
};
use alloc::vec::Vec;
use core::ops::Range;
use tripline_sansio::{Ecn, Instant, Transmit};

/// A train is at most this long: the largest UDP payload over IPv4.
pub(crate) const TRAIN_MAX: usize = DATAGRAM_MAX as usize;

/// And so is a datagram.
pub(super) const DATAGRAM_MAX: u16 = 65_507;

/// In less room than this no STREAM frame is begun.
const STREAM_ROOM_MIN: usize = 32;

/// Ranges in one SKIP frame.
const SKIP_RANGES: usize = 16;

/// A datagram of at most so many bytes may share a train with those of other connections.
pub(crate) const SHARED_SIZE_MAX: usize = 256;

/// Such a datagram is filled up to a multiple of this (R-DATA-4b).
const SHARED_STEP: usize = 32;

/// What a drain offers a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// Datagrams of one train.
    pub(crate) segments_max: usize,
    /// Other connections send to the same address: a small packet that is a multiple of
    /// [`SHARED_STEP`] may go with theirs.
    pub(crate) company: bool,
}

/// The cipher works in blocks of so many bytes, and a part of one costs more than several.
const CIPHER_BLOCK: usize = 16;

/// So many bytes of a packet are left unused for whole blocks.
const UNUSED_MAX: usize = 2;

/// A train in the making.
struct Train {
    /// Of a full datagram.
    size: usize,
    /// A small packet is to have a size that others have too.
    company: bool,
    /// There may be control frames to send. What asks for them comes from outside, so that most
    /// packets of a train need not look.
    control: bool,
}

/// A packet in the making.
struct Packet {
    /// Where the datagram begins in the buffer.
    start: usize,
    /// Where the frames begin.
    body: usize,
    /// Where the frames must end.
    limit: usize,
    eliciting: bool,
    ack: bool,
    /// To be filled up to this size.
    fill_to: usize,
}

impl Packet {
    fn space(&self, out: &[u8]) -> usize {
        self.limit.saturating_sub(out.len())
    }
}

impl Connection {
    /// Appends the next datagram or train.
    pub(crate) fn poll_transmit(
        &mut self,
        out: &mut Vec<u8>,
        room: Room,
        cx: &mut Cx<'_>,
    ) -> Option<Transmit> {
        match self.stage {
            Stage::Opening => self.transmit_open(out, cx),
            Stage::Pinging | Stage::Ready => {
                self.tick_leaving(cx);
                self.tick_keys(cx);
                match self.stage {
                    Stage::Pinging | Stage::Ready => self.transmit_train(out, room, cx),
                    _ => self.transmit_disconnect(out, cx),
                }
            }
            Stage::Closing | Stage::Draining => self.transmit_disconnect(out, cx),
            Stage::Over => None,
        }
    }

    fn transmit_train(
        &mut self,
        out: &mut Vec<u8>,
        room: Room,
        cx: &mut Cx<'_>,
    ) -> Option<Transmit> {
        if let Some(transmit) = self.transmit_confirm(out) {
            return Some(transmit);
        }
        if let Some(transmit) = self.transmit_aside(out, cx) {
            return Some(transmit);
        }
        if self.is_held() {
            return None;
        }
        if !self.received.is_ack_wanted() && !self.has_eliciting(true) {
            // Nearly every drain ends here: the pacer need not even be asked.
            self.timers.set(Timer::Pacing, None);
            self.arm_recovery();
            return self.transmit_mtu_probe(out, cx);
        }
        let start = out.len();
        let size = self.whole_blocks(self.sending_size());
        let mut train = Train { size, company: room.company, control: true };
        let segments_max = if self.is_linked() { 1 } else { room.segments_max };
        self.refill_pacer(size, cx);
        let ecn = self.begin_marked_train();
        let mut segment_size = 0;
        for _ in 0..segments_max.max(1) {
            let len = out.len().saturating_sub(start);
            if len.saturating_add(size) > TRAIN_MAX {
                break;
            }
            let Some(added) = self.build_packet(out, &mut train, cx) else { break };
            // Behind another packet of its own none goes with those of others.
            train.company = false;
            if segment_size == 0 {
                segment_size = added;
            }
            if added < size {
                break;
            }
        }
        let len = out.len().saturating_sub(start);
        self.arm_pacing(size);
        if len == 0 {
            self.arm_recovery();
            return self.transmit_mtu_probe(out, cx);
        }
        self.mtu.on_activity(cx.now);
        self.arm_recovery();
        self.arm_keep_alive();
        self.arm_ack_delay();
        Some(Transmit { path: self.path.path(), ecn, len, segment_size })
    }

    /// XX: CONFIRM goes out before the PING, as often as that, in a datagram of its own
    /// (R-HAND-5a).
    fn transmit_confirm(&mut self, out: &mut Vec<u8>) -> Option<Transmit> {
        if self.is_held() || !core::mem::take(&mut self.confirm_due) {
            return None;
        }
        let confirm = self.confirm.as_deref()?;
        out.extend_from_slice(confirm);
        let len = confirm.len();
        Some(Transmit { path: self.path.path(), ecn: Ecn::NotEct, len, segment_size: len })
    }

    /// Whether there is anything that asks for an answer and may go out: payload only if the pacer
    /// lets it.
    pub(super) fn has_eliciting(&self, flows: bool) -> bool {
        self.probes > 0
            || self.pings.wanted().is_some()
            || self.pings.owed().is_some()
            || self.recv_credit.wanted().is_some()
            || self.streams.limit_wanted(Direction::TwoWay).is_some()
            || self.streams.limit_wanted(Direction::OneWay).is_some()
            || matches!(self.blocked, Some((_, true)))
            || self.streams.has_blocked()
            || self.closing.is_notify_due()
            || self.referrals.is_due()
            || self.is_renew_due()
            || !self.control.is_empty()
            || (flows && !self.schedule.is_empty())
    }

    /// Whether a drain at this time would find nothing to send, and nothing to do but
    /// [`Self::on_spent`] and [`Self::on_drained`]. In doubt it says no.
    pub(crate) fn is_spent(&self, now: Instant) -> bool {
        let steady = self.stage == Stage::Ready
            && !self.closing.is_leaving()
            && !self.is_key_spent()
            && !self.confirm_due
            && self.path.is_alone()
            && !self.is_linked();
        steady
            && self.mtu.is_at_rest()
            && !self.received.is_ack_wanted()
            && !self.has_eliciting(true)
            && self.timers.next().is_none_or(|at| at > now)
    }

    /// What a drain does for a connection that [is spent](Self::is_spent): what went last may have
    /// been a packet by itself (a probe of the MTU), which armed nothing.
    pub(crate) fn on_spent(&mut self) {
        self.arm_recovery();
    }

    /// The size of full datagrams, `size` at most: such that the cipher has no part of a block left
    /// over, if that takes next to nothing away.
    fn whole_blocks(&self, size: usize) -> usize {
        let number = TruncatedNumber::new(self.sent.next_number(), self.sent.largest_acked());
        let overhead = DataHeader { id: 0, number }.header_len().saturating_add(TAG_LEN);
        let unused = size.saturating_sub(overhead) % CIPHER_BLOCK;
        if unused > UNUSED_MAX { size } else { size.saturating_sub(unused) }
    }

    /// Appends the next packet of a train; `None` if there is nothing to send, or nothing may be
    /// sent now.
    fn build_packet(
        &mut self,
        out: &mut Vec<u8>,
        train: &mut Train,
        cx: &mut Cx<'_>,
    ) -> Option<usize> {
        if self.is_key_spent() {
            return None;
        }
        let size = train.size;
        let may_send = self.may_send(size);
        let flows = self.may_flow();
        let ack_wanted = self.received.is_ack_wanted();
        train.control = train.control && self.has_eliciting(false);
        let waits = train.control || (flows && !self.schedule.is_empty());
        if !((ack_wanted && self.path.allows(size)) || (may_send && waits)) {
            return None;
        }
        let number = self.begin_number(cx);
        let header = DataHeader {
            id: self.zone.as_ref()?.peer_id,
            number: TruncatedNumber::new(number, self.sent.largest_acked()),
        };
        let start = out.len();
        header.write(out);
        let limit = start.saturating_add(size).saturating_sub(TAG_LEN);
        let mut packet =
            Packet { start, body: out.len(), limit, eliciting: false, ack: false, fill_to: 0 };
        if ack_wanted || self.received.has_news() {
            self.put_ack(out, &mut packet, cx);
        }
        // On a slow way back the filled PONG takes long, and the peer waits for the ACK (R-ACK-1e).
        let ack_alone = packet.ack && self.pings.owes_filled() && !self.is_linked();
        if may_send && !ack_alone {
            if train.control {
                self.put_control(out, &mut packet, cx);
            }
            if flows {
                self.put_streams(out, &mut packet, cx);
                // A stream that waits for credit says so.
                train.control |=
                    !self.control.is_empty() || matches!(self.blocked, Some((_, true)));
            }
            self.put_probe(out, &mut packet, cx);
        }
        let useful = packet.eliciting || (packet.ack && (ack_wanted || ack_alone));
        if !useful {
            out.truncate(start);
            return None;
        }
        let len = out.len().saturating_sub(start).saturating_add(TAG_LEN);
        if train.company && packet.eliciting && len <= SHARED_SIZE_MAX {
            let even = len.next_multiple_of(SHARED_STEP).min(size).saturating_sub(TAG_LEN);
            packet.fill_to = packet.fill_to.max(start.saturating_add(even));
        }
        if packet.fill_to > out.len() {
            write_padding(out, packet.fill_to.saturating_sub(out.len()));
        }
        self.seal(out, &packet, number, cx)
    }

    /// Whether something that counts may go out: the window, and what the address has earned.
    pub(super) fn may_send(&self, size: usize) -> bool {
        let next =
            self.sent.bytes_in_flight().saturating_add(u64::try_from(size).unwrap_or(u64::MAX));
        (self.probes > 0 || self.is_linked() || next <= self.path_state.controller.window())
            && self.sent.has_room()
            && self.path.allows(size)
    }

    /// The next packet number; about once a window one is left out (R-ACK-2).
    pub(super) fn begin_number(&mut self, cx: &mut Cx<'_>) -> u64 {
        self.wake(cx.now);
        if self.sent.next_number() >= self.leave_out {
            self.sent.leave_out(1);
            let size = u64::from(self.mtu.current().max(1));
            let packets = self.path_state.controller.window().div_ceil(size);
            self.leave_out = next_left_out(self.sent.next_number(), packets, cx.random);
        }
        self.sent.begin()
    }

    fn seal(
        &mut self,
        out: &mut Vec<u8>,
        packet: &Packet,
        number: u64,
        cx: &mut Cx<'_>,
    ) -> Option<usize> {
        let header_len = packet.body.saturating_sub(packet.start);
        self.zone.as_mut()?.seal.seal_packet(number, out, packet.start, header_len).ok()?;
        let len = out.len().saturating_sub(packet.start);
        let bytes = u16::try_from(len).unwrap_or(u16::MAX);
        let in_flight = (packet.eliciting || packet.fill_to > 0) && !self.is_linked();
        let shape = Shape {
            bytes,
            ack_eliciting: packet.eliciting,
            in_flight,
            mtu_probe: false,
            ect0: self.path_state.ecn.on_sent(),
        };
        let info = self.sent.finish(cx.now, shape);
        if in_flight {
            self.path_state.pacer.on_sent(bytes);
            let in_flight = self.sent.bytes_in_flight();
            self.path_state
                .controller
                .on_sent(cx.now, &SentPacket { number: info.number, bytes, in_flight });
        }
        if packet.eliciting {
            self.probes = self.probes.saturating_sub(1);
            self.last_eliciting = cx.now;
        }
        if packet.ack {
            self.received.on_ack_sent();
        }
        self.path.on_sent(len);
        self.stats.packets_sent = self.stats.packets_sent.saturating_add(1);
        self.stats.bytes_sent = self.stats.bytes_sent.saturating_add(u64::from(bytes));
        Some(len)
    }

    fn put_ack(&mut self, out: &mut Vec<u8>, packet: &mut Packet, cx: &mut Cx<'_>) {
        let Some(largest) = self.received.largest() else { return };
        let delay = u64::try_from(self.received.delay(cx.now).as_micros()).unwrap_or(u64::MAX);
        let counts = self.received.ecn_counts();
        let marked = counts.ect0 > 0 || counts.ect1 > 0 || counts.ce > 0;
        let ecn =
            marked.then_some(EcnCounts { ect0: counts.ect0, ect1: counts.ect1, ce: counts.ce });
        if write_ack(out, packet.space(out), delay, self.received.ranges(), ecn) > 0 {
            self.sent.record(SentFrame::Ack { largest });
            packet.ack = true;
        }
    }

    /// Appends a frame that asks for an answer, if it fits.
    fn put(
        &mut self,
        out: &mut Vec<u8>,
        packet: &mut Packet,
        frame: &Frame<'_>,
        record: Option<SentFrame>,
    ) -> bool {
        if frame.wire_len() > packet.space(out) {
            return false;
        }
        frame.write(out);
        packet.eliciting = true;
        if let Some(record) = record {
            self.sent.record(record);
        }
        true
    }

    fn put_control(&mut self, out: &mut Vec<u8>, packet: &mut Packet, cx: &mut Cx<'_>) {
        if let Some(renew) = self.renew_due()
            && let Frame::Renew(half) = renew
            && self.put(out, packet, &renew, Some(SentFrame::Renew { zone: half.zone }))
        {
            self.renewal.on_sent();
        }
        self.put_pings(out, packet, cx);
        self.put_credit(out, packet, cx);
        if let Some((code, deadline_ms, reason)) = self.closing.notify_due() {
            let frame = Frame::Notify { code, deadline_ms, reason: &reason };
            if self.put(out, packet, &frame, Some(SentFrame::Notify { done: deadline_ms == 0 })) {
                self.closing.on_notify_sent();
            }
        }
        self.put_forward(out, packet);
        while let Some(key) = self.control.pop_front() {
            if !self.put_stream_control(out, packet, key, cx) {
                self.control.push_front(key);
                break;
            }
            if let Some(stream) = self.streams.get_mut(key) {
                stream.control_listed = false;
            }
        }
    }

    fn put_forward(&mut self, out: &mut Vec<u8>, packet: &mut Packet) {
        let Some((body, serial)) = self.referrals.due() else { return };
        let Ok(body) = ReferralBody::parse(&body) else { return };
        let frame = Frame::Forward(body);
        if self.put(out, packet, &frame, Some(SentFrame::Forward { serial })) {
            self.referrals.on_sent();
        }
    }

    /// What seemed to wait may not go (for want of credit, or it was given up): a probe sends
    /// something all the same (RFC 9002 §6.2.4), or what was lost before it would never show.
    fn put_probe(&mut self, out: &mut Vec<u8>, packet: &mut Packet, cx: &mut Cx<'_>) {
        if self.probes > 0 && !packet.eliciting && self.last_eliciting < self.probed_at {
            self.pings.want(false);
            self.put_pings(out, packet, cx);
        }
    }

    fn put_pings(&mut self, out: &mut Vec<u8>, packet: &mut Packet, cx: &mut Cx<'_>) {
        // A link has no size to prove, and nothing to fill (R-LINK-3).
        let linked = self.is_linked();
        let full = packet
            .start
            .saturating_add(usize::from(Parameters::DATAGRAM_LEAST))
            .saturating_sub(TAG_LEN);
        if let Some(owed) = self.pings.owed()
            && self.put(out, packet, &Frame::Pong { token: owed.token }, None)
        {
            self.pings.pong_sent();
            packet.fill_to = if owed.fill && !linked { full } else { packet.fill_to };
            if let Some(report) = self.report(false) {
                self.put(out, packet, &report, None);
            }
        }
        if let Some(fill) = self.pings.wanted() {
            let fill = fill && !linked;
            let token = self.pings.take_ping(cx.random);
            let frame = Frame::Ping { token, probe: false, fill };
            if !self.put(out, packet, &frame, Some(SentFrame::Ping { token, fill })) {
                self.pings.want(fill);
            } else if let Some(report) = self.report(true) {
                self.put(out, packet, &report, None);
            }
            packet.fill_to = if fill { full } else { packet.fill_to };
        }
    }

    fn put_credit(&mut self, out: &mut Vec<u8>, packet: &mut Packet, cx: &mut Cx<'_>) {
        let rtt = self.path_state.rtt.sampled();
        if let Some(limit) = self.recv_credit.take_wanted(cx.now, rtt)
            && self.put(out, packet, &Frame::Credit { limit }, Some(SentFrame::Credit))
        {
            self.recv_credit.on_sent(limit);
        }
        for direction in [Direction::TwoWay, Direction::OneWay] {
            if let Some(limit) = self.streams.limit_wanted(direction) {
                let frame = Frame::Streams { direction, limit };
                if self.put(out, packet, &frame, Some(SentFrame::Streams { direction })) {
                    self.streams.on_limit_sent(direction, limit);
                }
            }
            if let Some(at) = self.streams.take_blocked(direction) {
                let frame = Frame::Blocked { by: BlockedBy::Streams(direction), limit: at };
                if !self.put(out, packet, &frame, Some(SentFrame::BlockedStreams { direction, at }))
                {
                    self.streams.on_blocked_lost(direction, at);
                }
            }
        }
        if let Some((at, true)) = self.blocked {
            let frame = Frame::Blocked { by: BlockedBy::Connection, limit: at };
            if at != self.send_credit.limit()
                || self.put(out, packet, &frame, Some(SentFrame::BlockedConnection { at }))
            {
                self.blocked = Some((at, false));
            }
        }
    }

    /// The control frames of one stream; false if not all of them fit.
    fn put_stream_control(
        &mut self,
        out: &mut Vec<u8>,
        packet: &mut Packet,
        key: StreamKey,
        cx: &mut Cx<'_>,
    ) -> bool {
        // Room for the largest of the small frames, so that taking one is sending it.
        const ROOM: usize = 32;
        if packet.space(out) < ROOM {
            return false;
        }
        // A frame of any kind opens a stream: an early one waits for the peer's limit (R-STREAM-1).
        let early = self.streams.get(key).is_none_or(|stream| !self.streams.may_send(stream.id));
        let rtt = self.path_state.rtt.sampled();
        let Some(stream) = self.streams.get_mut(key).filter(|_| !early) else { return true };
        let id = stream.id;
        if let Some(recv) = stream.recv.as_mut() {
            let stop = match recv.stop {
                Stop::Wanted(code) => Some(code),
                _ => None,
            };
            let ended = recv.half.final_offset().is_some() || recv.stop != Stop::Not;
            let credit = if ended { None } else { recv.credit.take_wanted(cx.now, rtt) };
            if let Some(code) = stop {
                recv.stop = Stop::Sent(code);
                self.put(out, packet, &Frame::Stop { id, code }, Some(SentFrame::Stop { key }));
            }
            if let Some(limit) = credit
                && let Some(recv) =
                    self.streams.get_mut(key).and_then(|stream| stream.recv.as_mut())
            {
                recv.credit.on_sent(limit);
                self.put(
                    out,
                    packet,
                    &Frame::StreamCredit { id, limit },
                    Some(SentFrame::StreamCredit { key }),
                );
            }
        }
        if packet.space(out) < ROOM {
            return false;
        }
        let Some(half) = self.streams.get_mut(key).and_then(|stream| stream.send.as_mut()) else {
            return true;
        };
        if let Some((code, final_offset)) = half.take_close() {
            let frame = Frame::CloseStream { id, code, final_offset };
            return self.put(out, packet, &frame, Some(SentFrame::CloseStream { key }));
        }
        if let Some(at) = half.take_blocked() {
            let frame = Frame::Blocked { by: BlockedBy::Stream(id), limit: at };
            self.put(out, packet, &frame, Some(SentFrame::BlockedStream { key, at }));
        }
        self.put_skips(out, packet, key)
    }

    /// SKIP for the ranges that were given up; false if not all of them fit.
    fn put_skips(&mut self, out: &mut Vec<u8>, packet: &mut Packet, key: StreamKey) -> bool {
        loop {
            let Some(stream) = self.streams.get_mut(key) else { return true };
            let (id, Some(half)) = (stream.id, stream.send.as_mut()) else { return true };
            let ranges: Vec<Range<u64>> = half.skips().take(SKIP_RANGES).collect();
            if ranges.is_empty() {
                return true;
            }
            let written = write_skip(out, packet.space(out), id, ranges.iter().cloned());
            if written == 0 {
                return false;
            }
            for range in ranges.into_iter().take(written) {
                half.on_skip_sent(range.clone());
                let len = range.end.saturating_sub(range.start);
                self.sent.record(SentFrame::Skip { key, start: range.start, len });
            }
            packet.eliciting = true;
        }
    }

    fn put_streams(&mut self, out: &mut Vec<u8>, packet: &mut Packet, cx: &mut Cx<'_>) {
        if !self.key_allows_data() {
            return;
        }
        while packet.space(out) >= STREAM_ROOM_MIN {
            let Some((key, priority)) = self.schedule.pop() else { return };
            let Self { streams, send_credit, fates, .. } = self;
            let Some(stream) = streams.get_mut(key) else { continue };
            stream.scheduled = false;
            let id = stream.id;
            let Some(half) = stream.send.as_mut() else { continue };
            let written =
                half.write_piece(out, packet.limit.saturating_sub(out.len()), send_credit, fates);
            let more =
                half.has_payload() && matches!(written, Written::Piece(_) | Written::NoSpace);
            if written == Written::StreamBlocked && half.mark_blocked() {
                self.stats.credit_waits = self.stats.credit_waits.saturating_add(1);
                self.list_control(key);
            }
            if !self.fates.is_empty() {
                self.tell_fates(id, cx);
                self.tell_writable(key, cx);
            }
            if more {
                self.wake_stream(key);
            }
            match written {
                Written::Piece(piece) => {
                    packet.eliciting = true;
                    self.on_payload(cx);
                    self.sent.record(SentFrame::Stream { key, piece });
                    self.schedule.charge(priority, u64::from(piece.len).saturating_add(1));
                    if piece.attempt > 1 {
                        self.stats.retransmissions = self.stats.retransmissions.saturating_add(1);
                    }
                }
                Written::NoSpace => break,
                Written::ConnectionBlocked => self.on_connection_blocked(key),
                Written::StreamBlocked | Written::Nothing => {}
            }
        }
        if !self.schedule.is_empty() && packet.eliciting && !self.is_linked() {
            // More is waiting: a full packet keeps the train whole.
            packet.fill_to = packet.limit;
        }
    }

    /// The stream waits for the connection's credit, which is said once for each value
    /// (R-CREDIT-2).
    fn on_connection_blocked(&mut self, key: StreamKey) {
        // The user may hand in more meanwhile: that does not make it wait twice.
        if let Some(stream) = self.streams.get_mut(key)
            && !core::mem::replace(&mut stream.awaits_credit, true)
        {
            self.credit_waiters.push_back(key);
        }
        let at = self.send_credit.limit();
        if self.blocked.is_none_or(|(said, _)| said != at) {
            self.blocked = Some((at, true));
            self.stats.credit_waits = self.stats.credit_waits.saturating_add(1);
        }
    }

    /// After a drain: tells the controller if the application is what limits it.
    pub(crate) fn on_drained(&mut self, cx: &mut Cx<'_>) {
        self.hasten_ping(cx.now);
        let open = matches!(self.stage, Stage::Pinging | Stage::Ready);
        if open
            && self.schedule.is_empty()
            && self.sent.on_app_limited(self.path_state.controller.window())
        {
            self.path_state.controller.on_app_limited(cx.now, self.sent.bytes_in_flight());
        }
    }
}
