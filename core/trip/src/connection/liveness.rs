//! Whether the peer is there, and how well it hears (PROTOCOL.md §3 STATS, §5.4; rows T19, T20,
//! T23).
//!
//! In come silence and the peer's counts; out come the user's warning, once for each silence, and
//! what follows when the silence is too long.
#![deny(clippy::arithmetic_side_effects)]

use super::recovery::sent::SentPackets;
use super::settle::SentFrame;
use super::timer::Timer;
use super::{Connection, Cx, Stage};
use crate::config::OnSilence;
use crate::event::Event;
use crate::stats::ConnectionStats;
use crate::wire::{Code, Frame, Side};
use tripline_sansio::{Duration, Instant};

/// The first gap between PINGs to a peer that was silent for longer than the idle limit.
const SILENT_GAP: Duration = Duration::from_secs(3);
/// The longest such gap while nothing is owed to the peer.
const SILENT_GAP_MAX: Duration = Duration::from_secs(300);
/// The longest while something is: a network that is back is not to wait for five minutes more
/// with what somebody waits for (R-CLOSE-2b).
const OWED_GAP_MAX: Duration = Duration::from_secs(20);
/// Above this many doublings the longest gap is reached.
const DOUBLINGS_MAX: u32 = 10;

/// What is known of the peer's liveness.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Liveness {
    /// The user was told of the present silence.
    told: bool,
    /// Probe timeouts that expired since a packet came.
    unanswered: u32,
    /// PINGs sent since the idle limit passed; while there are any, no probe timeout runs.
    vain: u32,
    /// The peer's STATS came with a PING: ours go back with the PONG.
    report_owed: bool,
}

impl Liveness {
    /// A packet came: the silence is over. Whether it had lasted for longer than the idle limit.
    pub(super) fn on_packet(&mut self) -> bool {
        let was_silent = self.is_silent();
        (self.told, self.vain, self.unanswered) = (false, 0, 0);
        was_silent
    }

    /// Whether the idle limit has passed and PINGs go out by this module's clock alone.
    pub(super) fn is_silent(&self) -> bool {
        self.vain > 0
    }
}

impl Connection {
    /// Tells the user, once for each silence, that the peer does not answer (row T20).
    fn tell_quiet(&mut self, now: Instant, cx: &mut Cx<'_>) {
        if !core::mem::replace(&mut self.liveness.told, true) {
            let silence = now.saturating_duration_since(self.last_received);
            cx.events.push_back(Event::Quiet { connection: self.handle, silence });
        }
    }

    /// Another probe timeout expired without an answer.
    pub(super) fn on_vain_probe(&mut self, cx: &mut Cx<'_>) {
        let most = self.config.quiet_probes;
        self.liveness.unanswered = self.liveness.unanswered.saturating_add(1);
        if self.stage == Stage::Ready && most > 0 && self.liveness.unanswered >= most {
            self.tell_quiet(cx.now, cx);
        }
    }

    /// The idle limit passed. Who is to go on probing does so with growing gaps; who has had no
    /// answer at all gives up in any case, so that nobody stays connected alone (R-HAND-6).
    pub(super) fn on_idle(&mut self, cx: &mut Cx<'_>) {
        if self.stage != Stage::Ready {
            return self.on_silence(Code::IDLE, cx);
        }
        self.tell_quiet(cx.now, cx);
        if self.config.on_silence == OnSilence::Drop || !self.own_data_acked {
            return self.on_silence(Code::IDLE, cx);
        }
        let doublings = self.liveness.vain.min(DOUBLINGS_MAX);
        let most = if self.owes() { OWED_GAP_MAX } else { SILENT_GAP_MAX };
        let gap = SILENT_GAP.saturating_mul(1_u32 << doublings).min(most);
        self.liveness.vain = self.liveness.vain.saturating_add(1);
        self.timers.set(Timer::Idle, Some(cx.now + gap));
        self.probes = self.probes.max(1);
        self.pings.want(true);
        // No probe timeout runs any more that would do so (R-PATH-3).
        if self.side == Side::Client {
            self.seek_server(cx);
        }
        self.arm_recovery();
    }

    /// The network is another one. A long silence says nothing about it: gaps begin anew, and a
    /// client looks for its server at once (R-PATH-3).
    pub(super) fn renew_search(&mut self, cx: &mut Cx<'_>) {
        if !self.liveness.is_silent() {
            return;
        }
        self.liveness.vain = 1;
        self.timers.set(Timer::Idle, Some(cx.now + SILENT_GAP));
        if self.side == Side::Client {
            self.seek_server(cx);
        }
    }

    /// After a drain: what the user has handed in during a silence brings the next PING nearer.
    pub(super) fn hasten_ping(&mut self, now: Instant) {
        if !self.liveness.is_silent() {
            return;
        }
        let latest = now + OWED_GAP_MAX;
        if self.timers.at(Timer::Idle).is_some_and(|at| at > latest) && self.owes() {
            self.timers.set(Timer::Idle, Some(latest));
        }
    }

    /// Whether the peer has yet to get something that matters: payload, grants, ends, keys. What
    /// only asks whether it is there does not.
    fn owes(&self) -> bool {
        let asks = |frame: &SentFrame| {
            matches!(
                frame,
                SentFrame::Ack { .. } | SentFrame::Ping { .. } | SentFrame::MtuProbe { .. }
            )
        };
        let waits = !self.schedule.is_empty()
            || !self.control.is_empty()
            || !self.credit_waiters.is_empty();
        waits || self.sent.unacked().any(|(_, mut frames)| frames.any(|frame| !asks(&frame)))
    }

    /// The peer's counts (row T19). What is lost follows from them and ours; what is still on its
    /// way may be among it.
    pub(super) fn on_stats(&mut self, sent: u64, received: u64, rtt_us: u64, with_ping: bool) {
        self.liveness.report_owed |= with_ping;
        let ours = arrived_or_lost(&self.sent, self.stats.packets_sent);
        let stats = &mut self.stats;
        stats.peer_packets_sent = sent;
        stats.peer_packets_received = received;
        stats.peer_rtt_ns = rtt_us.saturating_mul(1_000);
        stats.lost_out = ours.saturating_sub(received);
        stats.lost_in = sent.saturating_sub(stats.packets_received);
    }

    /// The STATS to put beside a PING, or beside the PONG to a PING that had them.
    pub(super) fn report(&mut self, with_ping: bool) -> Option<Frame<'static>> {
        let owed = core::mem::take(&mut self.liveness.report_owed);
        if self.stage != Stage::Ready || !(with_ping || owed) {
            return None;
        }
        let ConnectionStats { packets_sent, packets_received, .. } = self.stats;
        let rtt_us = self.path_state.rtt.summary().smoothed.as_micros();
        Some(Frame::Stats {
            // This packet included.
            sent: packets_sent.saturating_add(1),
            received: packets_received,
            rtt_us: u64::try_from(rtt_us).unwrap_or(u64::MAX).min(1 << 40),
        })
    }
}

/// How many of `sent` packets were sent up to the newest that was acknowledged.
fn arrived_or_lost(packets: &SentPackets<SentFrame>, sent: u64) -> u64 {
    let Some(largest) = packets.largest_acked() else { return 0 };
    let later = packets.next_number().saturating_sub(largest).saturating_sub(1);
    sent.saturating_sub(later)
}
