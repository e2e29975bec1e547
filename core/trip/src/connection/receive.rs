//! A packet that came: opened, checked, then taken in frame by frame.
//!
//! The tag comes first; up to there nothing changes but a counter (R-WIRE-2). Then the whole packet
//! is read once without effect: its syntax, and the bounds at which a packet is dropped. Only then
//! do the frames take effect in turn; a frame that breaks a rule closes the connection (R-WIRE-3).
#![deny(clippy::arithmetic_side_effects)]

use super::gaps::PacketGaps;
use super::ping::PongKind;
use super::streams::{Known, Stop, StreamKey};
use super::{Connection, Cx, Refusal, Stage};
use crate::event::Event;
use crate::wire::{
    BlockedBy, Code, DataHeader, Direction, Frame, Frames, SkipFrame, StreamFrame, StreamId,
    Violation,
};
use alloc::vec::Vec;
use tripline_sansio::{Ecn, Instant, Path};

/// A packet whose tag verified.
pub(crate) struct Opened<'a> {
    /// Its whole number.
    pub(crate) number: u64,
    /// What was sealed.
    pub(crate) plaintext: &'a [u8],
    /// The size of the datagram.
    pub(crate) bytes: usize,
    /// Where it came from.
    pub(crate) path: Path,
    /// Its mark.
    pub(crate) ecn: Ecn,
    /// The ID that it was sent to: whichever zone that stands for.
    pub(crate) id: u64,
}

/// What the first reading of a packet found.
#[derive(Default)]
struct Survey<'a> {
    /// The first frame, and those behind it: most packets have no other, so none is read twice.
    first: Option<(Frame<'a>, Frames<'a>)>,
    eliciting: bool,
    urgent: bool,
    payload: bool,
    disconnects: bool,
    /// A PING says that the packet is not a move.
    probe: bool,
    /// There is more than ACKs and PONGs, which go where they are asked for.
    speaks: bool,
}

impl Connection {
    /// Opens a DATA packet in place: its number and plaintext, or `None` if it was dropped.
    pub(crate) fn open_packet<'a>(
        &mut self,
        header: DataHeader,
        datagram: &'a mut [u8],
        now: Instant,
    ) -> Option<(u64, &'a [u8])> {
        self.wake(now);
        let drops = &mut self.stats.drops;
        let number = header.number.expand(self.replay.largest());
        let Some(number) = number.filter(|number| self.replay.check(*number)) else {
            drops.replayed = drops.replayed.saturating_add(1);
            return None;
        };
        // A client has no key before a CHALLENGE verified: then nothing can be meant for it.
        let key = self.zone.as_ref().and_then(|zone| self.renewal.open_key(zone, header.id));
        let opened = key.map(|key| key.open_packet(number, datagram, header.header_len()));
        let Some(Ok(plaintext)) = opened else {
            drops.unauthentic = drops.unauthentic.saturating_add(1);
            self.renewal.on_failure();
            return None;
        };
        Some((number, &*plaintext))
    }

    /// Takes in a packet whose tag verified.
    pub(crate) fn on_packet(&mut self, packet: &Opened<'_>, cx: &mut Cx<'_>) {
        let newest = self.replay.largest().is_none_or(|largest| packet.number > largest);
        self.replay.accept(packet.number);
        self.stats.packets_received = self.stats.packets_received.saturating_add(1);
        let bytes = u64::try_from(packet.bytes).unwrap_or(u64::MAX);
        self.stats.bytes_received = self.stats.bytes_received.saturating_add(bytes);
        self.on_origin(packet.path, packet.bytes, cx.now);
        match self.stage {
            Stage::Closing | Stage::Draining | Stage::Over => {
                return self.on_late_packet(packet.plaintext);
            }
            Stage::Opening => return,
            Stage::Pinging | Stage::Ready => {}
        }
        // A tag that verified is a sign of life, whatever becomes of the packet (R-CLOSE-2).
        self.on_heard(cx.now);
        if let Err(violation) = self.on_zone_number(packet.id, packet.number, cx) {
            return self.on_violation(violation, 0, cx);
        }
        if let Some((key, stream)) = self.as_payload_alone(packet.plaintext) {
            return self.on_payload_alone(packet, newest, key, &stream, cx);
        }
        let survey = match self.survey(packet.plaintext) {
            Ok(survey) => survey,
            Err(Refusal::AtBound) => {
                self.stats.drops.at_bound = self.stats.drops.at_bound.saturating_add(1);
                return;
            }
            Err(Refusal::Close(violation, frame_type)) => {
                return self.on_violation(violation, frame_type, cx);
            }
        };
        // A server that refuses (XX), or gives up at once, never was connected (R-HAND-5b).
        if self.stage == Stage::Pinging && !survey.disconnects {
            self.on_ready(cx);
        }
        let moves = newest && !survey.probe && self.may_move(packet.path, survey.speaks);
        let anew = moves && self.path.on_newest(packet.path, packet.number);
        if survey.payload {
            self.on_payload(cx);
        }
        let (mut next, mut frames) = match survey.first {
            Some((frame, rest)) => (Some(frame), rest),
            None => return,
        };
        while let Some(frame) = next {
            next = frames.next().ok().flatten();
            if let Frame::Ping { token, fill, .. } = frame {
                self.on_ping(packet.path, token, fill);
                continue;
            }
            if let Frame::Stats { sent, received, rtt_us } = frame {
                self.on_stats(sent, received, rtt_us, survey.urgent);
                continue;
            }
            if let Err(violation) = self.on_frame(&frame, newest, cx) {
                return self.on_violation(violation, frame.frame_type(), cx);
            }
            if !matches!(self.stage, Stage::Pinging | Stage::Ready) {
                return;
            }
        }
        self.finish_packet(packet, anew, survey.eliciting, survey.urgent, cx);
    }

    /// All frames of a packet have taken effect.
    fn finish_packet(
        &mut self,
        packet: &Opened<'_>,
        anew: bool,
        eliciting: bool,
        urgent: bool,
        cx: &mut Cx<'_>,
    ) {
        self.follow_peer(anew, cx);
        self.received.on_packet(cx.now, packet.number, eliciting, packet.ecn, urgent);
        self.arm_ack_delay();
    }

    /// The frame of a packet that holds nothing but payload for a stream that is open, and that
    /// adds no gap: what bulk is made of, and all that has to be known of it beforehand.
    fn as_payload_alone<'a>(&self, plaintext: &'a [u8]) -> Option<(StreamKey, StreamFrame<'a>)> {
        if self.stage != Stage::Ready {
            return None;
        }
        let stream = Frames::new(plaintext).stream_alone()?;
        let Ok(Known::Open(key)) = self.streams.lookup(stream.id, true) else { return None };
        let recv = self.streams.get(key)?.recv.as_ref()?;
        (stream.offset <= recv.half.first_gap()).then_some((key, stream))
    }

    /// The rest of [`Self::on_packet`] for such a packet.
    fn on_payload_alone(
        &mut self,
        packet: &Opened<'_>,
        newest: bool,
        key: StreamKey,
        stream: &StreamFrame<'_>,
        cx: &mut Cx<'_>,
    ) {
        let moves = newest && self.may_move(packet.path, true);
        let anew = moves && self.path.on_newest(packet.path, packet.number);
        self.on_payload(cx);
        if let Err(violation) = self.take_in(key, stream, cx) {
            return self.on_violation(violation, Frame::Stream(*stream).frame_type(), cx);
        }
        self.finish_packet(packet, anew, true, false, cx);
    }

    /// Reads a packet without effect (R-DATA-4, and the bounds of PROTOCOL.md §11).
    fn survey<'a>(&self, plaintext: &'a [u8]) -> Result<Survey<'a>, Refusal> {
        let mut survey = Survey::default();
        let mut frames = Frames::new(plaintext);
        let mut gaps = PacketGaps::default();
        loop {
            let frame = match frames.next() {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(error) => {
                    let violation = Violation::new(error.code, error.why);
                    return Err(Refusal::Close(violation, error.frame_type));
                }
            };
            if survey.first.is_none() {
                survey.first = Some((frame, frames.clone()));
            }
            survey.eliciting |= frame.is_ack_eliciting();
            survey.payload |= matches!(frame, Frame::Stream(_));
            survey.urgent |= matches!(frame, Frame::Ping { .. });
            survey.probe |= matches!(frame, Frame::Ping { probe: true, .. });
            survey.speaks |= frame.is_ack_eliciting() && !matches!(frame, Frame::Pong { .. });
            survey.disconnects |= matches!(frame, Frame::Disconnect { .. });
            match frame {
                Frame::Stream(stream) => self.check_bounds(stream.id, stream.offset, &mut gaps)?,
                Frame::Skip(skip) => {
                    for range in skip.ranges() {
                        self.check_bounds(skip.id, range.start, &mut gaps)?;
                    }
                }
                Frame::CloseStream { id, .. } => self.check_room(id, true)?,
                Frame::Stop { id, .. } | Frame::StreamCredit { id, .. } => {
                    self.check_room(id, false)?
                }
                _ => {}
            }
        }
        if survey.first.is_none() {
            let violation = Violation::new(Code::PROTOCOL, "a packet without frames");
            return Err(Refusal::Close(violation, 0));
        }
        Ok(survey)
    }

    fn on_frame(
        &mut self,
        frame: &Frame<'_>,
        newest: bool,
        cx: &mut Cx<'_>,
    ) -> Result<(), Violation> {
        match frame {
            // PING and STATS are dealt with where the rest of the packet is known.
            Frame::Padding { .. } | Frame::Ping { .. } | Frame::Stats { .. } => {}
            Frame::Pong { token } => self.on_pong(*token, cx),
            Frame::Ack(ack) => self.on_ack(ack, cx)?,
            Frame::Stream(stream) => self.on_stream(stream, cx)?,
            Frame::Skip(skip) => self.on_skip(skip, cx)?,
            Frame::CloseStream { id, code, final_offset } => {
                self.on_close_stream(*id, *code, *final_offset, cx)?
            }
            Frame::Stop { id, code } => self.on_stop(*id, *code, cx)?,
            Frame::Credit { limit } => self.on_credit(*limit, newest)?,
            Frame::StreamCredit { id, limit } => self.on_stream_credit(*id, *limit, newest, cx)?,
            Frame::Streams { direction, limit } => {
                self.on_streams(*direction, *limit, newest, cx)?
            }
            Frame::Blocked { by: BlockedBy::Stream(id), .. } => {
                self.streams.lookup(*id, true)?;
            }
            // What may be granted is granted without being asked (R-CREDIT-2).
            Frame::Blocked { .. } => {}
            Frame::Renew(renew) => self.on_renew(renew, cx)?,
            Frame::Notify { code, deadline_ms, reason } => {
                self.on_notify(*code, *deadline_ms, reason, cx)
            }
            Frame::Disconnect { code, reason, .. } => self.on_disconnect(*code, reason, cx),
            Frame::Forward(body) => self.on_forward(*body, cx)?,
        }
        Ok(())
    }

    fn on_pong(&mut self, token: u64, cx: &mut Cx<'_>) {
        let awake = self.awake_since;
        match self.pings.on_pong(token) {
            PongKind::Awaited => self.path.prove(),
            PongKind::Stray
                if self.path.on_pong(token, cx.now, awake) || self.mtu.on_pong(token) => {}
            PongKind::Stray => self.stats.stray_pongs = self.stats.stray_pongs.saturating_add(1),
        }
    }

    /// The stream that a frame is for; `None` if it is closed. Opens it if the peer just did.
    fn stream_of(
        &mut self,
        id: StreamId,
        receiving: bool,
        cx: &mut Cx<'_>,
    ) -> Result<Option<StreamKey>, Violation> {
        match self.streams.lookup(id, receiving)? {
            Known::Open(key) => Ok(Some(key)),
            Known::Closed => Ok(None),
            // R-CLOSE-5: nothing new begins on a side that is leaving.
            Known::New if self.closing.turns_away() => Ok(Some(self.turn_away(id, cx))),
            Known::New => {
                let priority = self.streams.defaults.priority;
                cx.events.push_back(Event::Opened { connection: self.handle, stream: id });
                Ok(Some(self.streams.insert(id, priority)))
            }
        }
    }

    /// Charges offsets up to `end` of a stream before they take effect (R-CREDIT-1).
    fn charge(&mut self, key: StreamKey, end: u64) -> Result<(), Violation> {
        let Some(recv) = self.streams.get(key).and_then(|stream| stream.recv.as_ref()) else {
            return Ok(());
        };
        let more = end.saturating_sub(recv.half.highest());
        if end > recv.credit.granted() {
            return Err(Violation::new(Code::FLOW_CONTROL, "more than the stream's credit"));
        }
        let charged = self.charged.saturating_add(more);
        if charged > self.recv_credit.granted() {
            return Err(Violation::new(Code::FLOW_CONTROL, "more than the connection's credit"));
        }
        self.charged = charged;
        Ok(())
    }

    /// Lets a frame take effect on a receiving half, and draws the consequences.
    fn apply(
        &mut self,
        key: StreamKey,
        cx: &mut Cx<'_>,
        act: impl FnOnce(
            &mut crate::stream::recv::RecvHalf,
        ) -> Result<crate::stream::recv::Effect, Violation>,
    ) -> Result<(), Violation> {
        let Some(stream) = self.streams.get_mut(key) else { return Ok(()) };
        let id = stream.id;
        let Some(recv) = stream.recv.as_mut() else { return Ok(()) };
        let gaps = recv.half.gaps();
        let effect = act(&mut recv.half)?;
        self.gaps = self.gaps.saturating_sub(gaps).saturating_add(recv.half.gaps());
        if recv.half.is_readable() && !recv.readable_told {
            recv.readable_told = true;
            self.unread = self.unread.saturating_add(1);
            cx.events.push_back(Event::Readable { connection: self.handle, stream: id });
        }
        if recv.half.final_offset().is_some()
            && matches!(recv.stop, Stop::Wanted(_) | Stop::Sent(_))
        {
            recv.stop = Stop::Acked;
        }
        self.on_consumed(key, effect.consumed);
        // The window may have grown since it was announced.
        self.list_grant(key);
        self.streams.retire(key);
        Ok(())
    }

    fn on_stream(&mut self, frame: &StreamFrame<'_>, cx: &mut Cx<'_>) -> Result<(), Violation> {
        match self.stream_of(frame.id, true, cx)? {
            Some(key) => self.take_in(key, frame, cx),
            None => Ok(()),
        }
    }

    /// Payload of an open stream takes effect.
    fn take_in(
        &mut self,
        key: StreamKey,
        frame: &StreamFrame<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<(), Violation> {
        let len = u64::try_from(frame.payload.len()).unwrap_or(u64::MAX);
        self.charge(key, frame.offset.saturating_add(len))?;
        // Only where a message begins, one may begin that wants a buffer.
        let mut buffer = if frame.aligned { cx.recycler.take() } else { Vec::new() };
        let result = self.apply(key, cx, |half| half.on_stream_with(frame, &mut buffer));
        cx.recycler.give_back(buffer);
        result
    }

    fn on_skip(&mut self, frame: &SkipFrame<'_>, cx: &mut Cx<'_>) -> Result<(), Violation> {
        for range in frame.ranges() {
            let Some(key) = self.stream_of(frame.id, true, cx)? else { return Ok(()) };
            self.charge(key, range.end)?;
            self.apply(key, cx, |half| half.on_skip(range))?;
        }
        Ok(())
    }

    fn on_close_stream(
        &mut self,
        id: StreamId,
        code: Code,
        final_offset: u64,
        cx: &mut Cx<'_>,
    ) -> Result<(), Violation> {
        let Some(key) = self.stream_of(id, true, cx)? else { return Ok(()) };
        self.charge(key, final_offset)?;
        self.apply(key, cx, |half| half.on_close(code, final_offset))
    }

    /// The peer wants no more of a stream: our half ends, unless it has ended (R-STREAM-2).
    fn on_stop(&mut self, id: StreamId, code: Code, cx: &mut Cx<'_>) -> Result<(), Violation> {
        let Some(key) = self.stream_of(id, false, cx)? else { return Ok(()) };
        let open = self
            .streams
            .get(key)
            .and_then(|s| s.send.as_ref())
            .is_some_and(|h| !h.is_closed() && !h.is_done());
        if open {
            self.close_half(key, code, cx);
            cx.events.push_back(Event::Stopped { connection: self.handle, stream: id, code });
        }
        Ok(())
    }

    /// R-CREDIT-2: a smaller grant is late, but in the newest packet it breaks the rule.
    fn on_credit(&mut self, limit: u64, newest: bool) -> Result<(), Violation> {
        if self.send_credit.on_grant(limit) {
            self.wake_credit_waiters();
        } else if newest && limit < self.send_credit.limit() {
            return Err(Violation::new(Code::FLOW_CONTROL, "the connection's credit shrank"));
        }
        Ok(())
    }

    fn on_stream_credit(
        &mut self,
        id: StreamId,
        limit: u64,
        newest: bool,
        cx: &mut Cx<'_>,
    ) -> Result<(), Violation> {
        let Some(key) = self.stream_of(id, false, cx)? else { return Ok(()) };
        let half = self.streams.get_mut(key).and_then(|stream| stream.send.as_mut());
        let Some(half) = half else { return Ok(()) };
        if half.on_credit(limit) {
            self.wake_stream(key);
        } else if newest && limit < half.credit_limit() {
            return Err(Violation::new(Code::FLOW_CONTROL, "a stream's credit shrank"));
        }
        Ok(())
    }

    /// R-CREDIT-2 for the number of streams; the code is another (4).
    fn on_streams(
        &mut self,
        direction: Direction,
        limit: u64,
        newest: bool,
        cx: &mut Cx<'_>,
    ) -> Result<(), Violation> {
        let Some((old, wanted)) = self.streams.on_limit(direction, limit) else {
            let shrank = newest && self.streams.own_limit(direction).is_some_and(|at| limit < at);
            let violation = Violation::new(Code::STREAM_LIMIT, "the limit on streams shrank");
            return if shrank { Err(violation) } else { Ok(()) };
        };
        if wanted {
            cx.events.push_back(Event::StreamsAvailable { connection: self.handle, direction });
        }
        // Streams that were opened before the limit was known have waited for it (row T11).
        let ours = |id: StreamId| {
            id.opener() == self.side && id.direction() == direction && id.index() >= old
        };
        let waiting: Vec<StreamKey> = self
            .streams
            .keys()
            .filter(|key| self.streams.get(*key).is_some_and(|stream| ours(stream.id)))
            .collect();
        for key in waiting {
            self.wake_stream(key);
            self.list_control(key);
        }
        Ok(())
    }
}
