//! What it means for a connection where packets come from (PROTOCOL.md §5.2).
//!
//! In come the addresses of verified packets and their PINGs; out come PINGs for the unproven ones
//! (sent by `aside`), and, when the peer has moved, one event and all that was on its way once
//! more. Which address counts is decided in `addresses`.
#![deny(clippy::arithmetic_side_effects)]

use super::addresses::{Move, Origin};
use super::aside::ASIDE_LEAST;
use super::ping::OwedPong;
use super::recovery::congestion::LostPacket;
use super::recovery::pto::Pto;
use super::settle::lost_packet;
use super::timer::Timer;
use super::{Connection, Cx, Stage};
use crate::carrier::same_kind;
use crate::event::Event;
use crate::wire::Side;
use tripline_sansio::{Duration, Instant, Path};

impl Connection {
    /// A packet that verified came by `path`: what may go there grows, and a new address gets a
    /// place if there is one (R-PATH-3).
    pub(super) fn on_origin(&mut self, path: Path, bytes: usize, now: Instant) {
        if self.path.on_usual(path, bytes) {
            return;
        }
        let open = matches!(self.stage, Stage::Pinging | Stage::Ready);
        if !open && !self.path.knows(path) {
            return;
        }
        // Links that broke are not worth a wait: the peer is at the newest (R-LINK-4).
        let linked = crate::carrier::LinkId::of(path.remote).is_some();
        let pto = if linked { Duration::ZERO } else { self.plain_pto() };
        if self.path.on_received(path, bytes, now, pto) == Origin::Refused {
            self.stats.addresses_refused = self.stats.addresses_refused.saturating_add(1);
        }
    }

    /// Whether a packet with a new highest number that came by `path` may be a move. From datagrams
    /// to a link, or back, a server follows what its client says there, not ACKs and PONGs that
    /// only answer (R-PATH-4b).
    pub(super) fn may_move(&self, path: Path, speaks: bool) -> bool {
        let chosen = speaks || self.side == Side::Client || !self.path.is_proven();
        chosen || same_kind(path, self.path.path())
    }

    /// A PING came: its PONG is owed to where it came from.
    pub(super) fn on_ping(&mut self, path: Path, token: u64, fill: bool) {
        if !self.path.owe(path, OwedPong { token, fill }) {
            self.pings.on_ping(token, fill);
        }
    }

    /// After the frames of a packet: if the highest number came from another proven address, the
    /// peer is there now (R-PATH-2). `anew`: our own address has changed.
    pub(super) fn follow_peer(&mut self, anew: bool, cx: &mut Cx<'_>) {
        match self.path.elect(cx.now) {
            Some(to) => self.on_moved(&to, cx),
            None if anew => self.start_anew(None, cx),
            None => {}
        }
        self.settle_mtu(cx);
        self.arm_paths(cx.now);
    }

    /// Arms the timer for the next PING that no drain sends by itself.
    pub(super) fn arm_paths(&mut self, now: Instant) {
        let at = if self.path.is_alone() {
            None
        } else {
            self.path.next_at(now, self.plain_pto(), ASIDE_LEAST)
        };
        self.timers.set(Timer::Paths, at);
    }

    fn on_moved(&mut self, to: &Move, cx: &mut Cx<'_>) {
        self.stats.moves = self.stats.moves.saturating_add(1);
        self.on_carrier();
        let owed = self.pings.swap_owed(to.owed);
        self.path.leave_owed(to.from, owed);
        let (from, new) = (to.from.remote, to.to.remote);
        if from != new {
            cx.events.push_back(Event::Moved { connection: self.handle, from, to: new });
        }
        let same_host = from.ip() == new.ip() && to.from.local == to.to.local;
        if same_host {
            self.resend_all(cx);
        } else {
            self.start_anew(to.proof.and_then(|proof| proof.rtt), cx);
        }
        if to.proof.is_some_and(|proof| !proof.full) && !self.is_linked() {
            // The short PING proved the address; a full one shows that it takes full datagrams.
            self.pings.want(true);
        }
    }

    /// A new IP address of either side is a new path: what was learnt of the old one is forgotten
    /// (R-PATH-2b), and what is unacknowledged goes out again.
    pub(super) fn start_anew(&mut self, rtt: Option<Duration>, cx: &mut Cx<'_>) {
        self.resend_all(cx);
        self.reset_path(rtt, cx);
    }

    /// The state of a path as it begins; `rtt` is its first sample, if there is one.
    fn reset_path(&mut self, rtt: Option<Duration>, cx: &mut Cx<'_>) {
        self.mtu.restart();
        self.path_state = self.path_state.anew(&self.config, self.mtu.current());
        if let Some(sample) = rtt {
            self.path_state.rtt.update(cx.now, sample, Duration::ZERO, Duration::ZERO);
        }
        self.arm_recovery();
    }

    /// What is unacknowledged went where the peer is no more: it goes out again at once, and that
    /// is no congestion (R-PATH-2).
    fn resend_all(&mut self, cx: &mut Cx<'_>) {
        self.give_up_below(self.sent.next_number(), cx);
        self.path_state.pto = Pto::default();
        self.probes = 0;
        self.arm_recovery();
    }

    /// What was sent in packets below `bound` counts as lost, and as nobody's fault.
    pub(super) fn give_up_below(&mut self, bound: u64, cx: &mut Cx<'_>) {
        let now = cx.now;
        let mut lost = core::mem::take(cx.settled);
        let Self { sent, path_state, .. } = self;
        let controller = &mut path_state.controller;
        sent.abandon_below(bound, |info, frames| {
            if info.in_flight {
                // Marked as a probe of the MTU is: its loss says nothing about congestion.
                controller.on_lost(now, &LostPacket { mtu_probe: true, ..lost_packet(info) });
            }
            lost.extend(frames);
        });
        for frame in lost.drain(..) {
            self.on_frame_lost(frame, cx);
        }
        *cx.settled = lost;
    }
}
