//! What became of what was sent: ACKs, losses, and what each frame does about them.

use super::recovery::congestion::{AckSummary, AckedPacket, Controller, LostPacket};
use super::recovery::ecn::EcnNews;
use super::recovery::path_state::PathState;
use super::recovery::rtt::RttSummary;
use super::recovery::sent::{Fate as PacketFate, LossOutcome, PacketInfo, SentPackets};
use super::streams::{Stop, StreamKey};
use super::timer::Timer;
use super::{Connection, Cx, Stage};
use crate::fates::Fates;
use crate::stream::send::Piece;
use crate::wire::{AckFrame, Code, Direction, Violation};
use alloc::vec::Vec;
use tripline_sansio::{Duration, Instant};

/// A frame that was sent, as far as its fate matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SentFrame {
    /// An ACK of everything up to `largest`.
    Ack { largest: u64 },
    /// A PING.
    Ping { token: u64, fill: bool },
    /// A probe of the path's MTU, of this many bytes.
    MtuProbe { size: u16 },
    /// A run of a stream's offsets.
    Stream { key: StreamKey, piece: Piece },
    /// A range that was given up.
    Skip { key: StreamKey, start: u64, len: u64 },
    /// CLOSE_STREAM.
    CloseStream { key: StreamKey },
    /// STOP.
    Stop { key: StreamKey },
    /// The connection's credit.
    Credit,
    /// A stream's credit.
    StreamCredit { key: StreamKey },
    /// The limit on the peer's streams.
    Streams { direction: Direction },
    /// BLOCKED by the connection's credit.
    BlockedConnection { at: u64 },
    /// BLOCKED by a stream's credit.
    BlockedStream { key: StreamKey, at: u64 },
    /// BLOCKED by the limit on our streams.
    BlockedStreams { direction: Direction, at: u64 },
    /// Our half of a zone, asking or answering.
    Renew { zone: u64 },
    /// NOTIFY; `done` if it said that nothing is left to send.
    Notify { done: bool },
    /// FORWARD, the newest of ours if it has the newest number.
    Forward { serial: u32 },
}

impl Connection {
    /// An ACK frame came. The order of work is that of the `recovery` module's page.
    pub(super) fn on_ack(&mut self, ack: &AckFrame<'_>, cx: &mut Cx<'_>) -> Result<(), Violation> {
        if self.sent.check_ack(ack.ranges()).is_err() {
            return Err(Violation::new(Code::PROTOCOL, "an ACK of a packet that was never sent"));
        }
        let now = cx.now;
        let mut acked = core::mem::take(cx.settled);
        let linked = self.is_linked();
        let Self { sent, path_state, mtu, .. } = self;
        let PathState { controller, rtt, .. } = path_state;
        let summary = rtt.summary();
        let outcome = sent.on_ack(now, ack.ranges(), |fate, info, frames| {
            tell_acked(controller.as_mut(), now, fate, info, &summary);
            if fate == PacketFate::Acked && !info.mtu_probe && !linked {
                mtu.on_acked(info.number, info.bytes);
            }
            acked.extend(frames);
        });
        let rtt_sample = self.believed(outcome.rtt_sample, now);
        if let Some(sample) = rtt_sample {
            self.path_state.rtt.update(
                now,
                sample,
                Duration::from_micros(ack.delay_us),
                self.peer_ack_delay(),
            );
        }
        self.stats.packets_spurious = self.stats.packets_spurious.saturating_add(outcome.spurious);
        if outcome.ack_eliciting {
            self.path_state.pto.on_ack();
            self.probes = 0;
        }
        // DATA of any kind proves that the peer hears us: from now on the limit is the agreed one.
        if outcome.packets > 0 && !core::mem::replace(&mut self.own_data_acked, true) {
            self.arm_idle(now);
        }
        for frame in acked.drain(..) {
            self.on_frame_acked(frame, cx);
        }
        *cx.settled = acked;
        self.detect_lost(cx);
        self.on_ecn_counts(ack, &outcome, cx);
        if let Some(largest_acked) = self.sent.largest_acked().filter(|_| !linked) {
            let summary = AckSummary {
                largest_acked,
                acked_bytes: outcome.bytes,
                in_flight: self.sent.bytes_in_flight(),
                rtt_sample,
            };
            self.path_state.controller.on_ack_end(now, &summary, &self.path_state.rtt.summary());
        }
        self.arm_recovery();
        Ok(())
    }

    /// Declares lost what is overdue, and sends its frames again where that still makes sense.
    pub(super) fn detect_lost(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now;
        let delay = self.peer_ack_delay();
        let mut lost = core::mem::take(cx.settled);
        let linked = self.is_linked();
        let Self { sent, path_state, mtu, .. } = self;
        let PathState { controller, rtt, ecn, .. } = path_state;
        let mut news = EcnNews::default();
        let LossOutcome { packets, congestion } =
            sent.detect_lost(now, rtt, delay, |_, info, frames| {
                if info.in_flight {
                    controller.on_lost(now, &lost_packet(info));
                }
                if info.ect0 {
                    news.failed |= ecn.on_lost().failed;
                }
                if !info.mtu_probe && !linked {
                    mtu.on_lost(info.number, info.bytes);
                }
                lost.extend(frames);
            });
        if let Some(event) = congestion {
            controller.on_congestion(now, &event);
            if event.persistent {
                rtt.on_persistent_congestion();
                self.stats.persistent_congestion =
                    self.stats.persistent_congestion.saturating_add(1);
            }
        }
        self.count_ecn(news);
        self.stats.packets_lost = self.stats.packets_lost.saturating_add(packets);
        for frame in lost.drain(..) {
            self.on_frame_lost(frame, cx);
        }
        *cx.settled = lost;
        self.settle_mtu(cx);
    }

    /// What the peer may hold back its ACKs for.
    pub(super) fn peer_ack_delay(&self) -> Duration {
        self.peer_limits.ack_delay
    }

    fn on_frame_acked(&mut self, frame: SentFrame, cx: &mut Cx<'_>) {
        match frame {
            SentFrame::Ack { largest } => self.received.on_ack_acked(largest),
            SentFrame::MtuProbe { size } => self.mtu.on_probe_acked(size),
            SentFrame::Stream { key, piece } => {
                self.with_send(key, cx, |half, credit, fates| half.on_acked(piece, credit, fates));
            }
            SentFrame::Skip { key, start, len } => {
                let range = start..start.saturating_add(len);
                self.with_send(key, cx, |half, credit, fates| {
                    half.on_skip_acked(range, credit, fates)
                });
            }
            SentFrame::CloseStream { key } => {
                self.with_send(key, cx, |half, _, _| half.on_close_acked())
            }
            SentFrame::Stop { key } => {
                if let Some(recv) =
                    self.streams.get_mut(key).and_then(|stream| stream.recv.as_mut())
                    && matches!(recv.stop, Stop::Sent(_))
                {
                    recv.stop = Stop::Acked;
                }
            }
            SentFrame::Renew { zone } => self.on_renew_acked(zone, cx),
            SentFrame::Ping { .. }
            | SentFrame::Credit
            | SentFrame::StreamCredit { .. }
            | SentFrame::Streams { .. }
            | SentFrame::BlockedConnection { .. }
            | SentFrame::BlockedStream { .. }
            | SentFrame::BlockedStreams { .. }
            | SentFrame::Notify { .. }
            | SentFrame::Forward { .. } => {}
        }
    }

    pub(super) fn on_frame_lost(&mut self, frame: SentFrame, cx: &mut Cx<'_>) {
        match frame {
            SentFrame::Ack { .. } => {}
            SentFrame::Ping { token, fill } => self.pings.on_ping_lost(token, fill),
            SentFrame::MtuProbe { size } => self.mtu.on_probe_lost(size),
            SentFrame::Stream { key, piece } => {
                self.with_send(key, cx, |half, credit, fates| half.on_lost(piece, credit, fates));
                self.wake_stream(key);
                self.list_control(key);
            }
            SentFrame::Skip { key, start, len } => {
                self.with_send(key, cx, |half, _, _| {
                    half.on_skip_lost(start..start.saturating_add(len))
                });
                self.list_control(key);
            }
            SentFrame::CloseStream { key } => {
                self.with_send(key, cx, |half, _, _| half.on_close_lost());
                self.list_control(key);
            }
            SentFrame::Stop { key } => self.on_stop_lost(key),
            SentFrame::Credit => self.recv_credit.on_lost(),
            SentFrame::StreamCredit { key } => {
                if let Some(recv) =
                    self.streams.get_mut(key).and_then(|stream| stream.recv.as_mut())
                {
                    recv.credit.on_lost();
                    self.list_control(key);
                }
            }
            SentFrame::Streams { direction } => self.streams.on_limit_lost(direction),
            SentFrame::BlockedConnection { at } => {
                if self.blocked == Some((at, false)) && at == self.send_credit.limit() {
                    self.blocked = Some((at, true));
                }
            }
            SentFrame::BlockedStream { key, at } => {
                self.with_send(key, cx, |half, _, _| half.on_blocked_lost(at));
                self.list_control(key);
            }
            SentFrame::BlockedStreams { direction, at } => {
                self.streams.on_blocked_lost(direction, at)
            }
            SentFrame::Renew { zone } => self.on_renew_lost(zone),
            SentFrame::Notify { done } => self.closing.on_notify_lost(done),
            SentFrame::Forward { serial } => self.referrals.on_lost(serial),
        }
    }

    fn on_stop_lost(&mut self, key: StreamKey) {
        if let Some(recv) = self.streams.get_mut(key).and_then(|stream| stream.recv.as_mut())
            && let Stop::Sent(code) = recv.stop
        {
            recv.stop = Stop::Wanted(code);
            self.list_control(key);
        }
    }

    /// Changes a sending half, and draws the consequences.
    pub(super) fn with_send(
        &mut self,
        key: StreamKey,
        cx: &mut Cx<'_>,
        act: impl FnOnce(
            &mut crate::stream::send::SendHalf,
            &mut crate::stream::send::SendCredit,
            &mut Fates,
        ),
    ) {
        let Self { streams, send_credit, fates, .. } = self;
        let Some(stream) = streams.get_mut(key) else { return };
        let id = stream.id;
        let Some(half) = stream.send.as_mut() else { return };
        let free = send_credit.free();
        act(half, send_credit, fates);
        let skips = half.has_skip();
        let freed = send_credit.free() > free;
        self.tell_fates(id, cx);
        if skips {
            self.list_control(key);
        }
        if freed {
            self.wake_credit_waiters();
        }
        self.tell_writable(key, cx);
        self.streams.retire(key);
    }

    /// Sets the timer of RFC 9002 §6: overdue packets first, else the next probe.
    pub(super) fn arm_recovery(&mut self) {
        let ready = self.stage == Stage::Ready;
        let at = match (self.sent.loss_at(), self.sent.pto_from()) {
            (Some(at), _) => Some(at),
            // A probe that could not go out (no budget for the address) counts all the same.
            (None, Some(from)) => {
                let since = self.unanswered_since(from).max(self.probed_at);
                let base = self.plain_pto();
                Some(self.patient(since, self.path_state.pto.deadline(since, base, ready)))
            }
            (None, None) => None,
        };
        // A peer that was silent for too long is PINGed by another clock.
        let at = at.filter(|_| !self.liveness.is_silent());
        self.timers.set(Timer::Recovery, at);
    }

    /// One probe timeout, as it would be without back-off.
    pub(super) fn plain_pto(&self) -> Duration {
        self.path_state.rtt.pto_base(self.peer_ack_delay())
    }

    /// Sets up what a probe sends: data that waits anyway, else the oldest that is unacknowledged,
    /// else a PING (RFC 9002 §6.2.4).
    pub(super) fn prepare_probe(&mut self, count: u32) {
        self.probes = u8::try_from(count).unwrap_or(u8::MAX);
        self.renewal.on_probe();
        if self.is_linked() {
            // Nothing is lost there: a PING finds out whether the peer is (R-LINK-5).
            self.probes = self.probes.min(1);
            return self.pings.want(false);
        }
        if self.schedule.is_empty() {
            let most = usize::try_from(count).unwrap_or(usize::MAX);
            let oldest: Vec<SentFrame> = oldest_frames(&self.sent, most);
            for frame in oldest {
                if let SentFrame::Stream { key, piece } = frame {
                    if let Some(half) =
                        self.streams.get_mut(key).and_then(|stream| stream.send.as_mut())
                    {
                        half.probe(piece);
                    }
                    self.wake_stream(key);
                }
            }
        }
        if self.schedule.is_empty() {
            self.pings.want(false);
        }
    }
}

fn oldest_frames(sent: &SentPackets<SentFrame>, most: usize) -> Vec<SentFrame> {
    sent.unacked().take(most).flat_map(|(_, frames)| frames).collect()
}

pub(super) fn lost_packet(info: &PacketInfo) -> LostPacket {
    LostPacket {
        number: info.number,
        sent_at: info.sent_at,
        bytes: info.bytes,
        mtu_probe: info.mtu_probe,
    }
}

fn tell_acked(
    controller: &mut dyn Controller,
    now: Instant,
    fate: PacketFate,
    info: &PacketInfo,
    rtt: &RttSummary,
) {
    if !info.in_flight {
        return;
    }
    if fate == PacketFate::Spurious {
        return controller.on_spurious(now, &lost_packet(info));
    }
    let packet = AckedPacket {
        number: info.number,
        sent_at: info.sent_at,
        bytes: info.bytes,
        app_limited: info.app_limited,
    };
    controller.on_acked(now, &packet, rtt);
}
