//! Why this connection waits: looks at every part of it and changes none.
//!
//! In goes the time, out comes an [`Explanation`]. What holds most comes first.
#![deny(clippy::arithmetic_side_effects)]

use super::streams::{Stop, Stream, StreamKey};
use super::timer::Timer;
use super::{Connection, Stage};
use crate::explain::{
    EndingReason, Explanation, OpeningReason, PeerReason, Reason, STREAMS_MAX, SendingReason,
    StreamExplanation, StreamReason,
};
use crate::stream::send::SendHalf;
use crate::wire::Direction;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use tripline_sansio::{Duration, Instant};

/// What the streams of a connection wait for.
#[derive(Default)]
struct Waiting {
    listed: Vec<StreamExplanation>,
    /// They wait too and found no place in the list.
    left_out: u64,
    /// They wait for nothing but their users.
    idle: u64,
    /// How many of all wait for credit of their own.
    by_credit: u64,
}

impl Connection {
    /// Why it waits; `events` is how many events of the endpoint were not polled.
    pub(crate) fn explain(&self, now: Instant, events: usize) -> Explanation {
        let waiting = self.why_streams();
        let mut reasons = Vec::new();
        match self.stage {
            Stage::Opening => reasons.extend(self.why_opening(now)),
            Stage::Pinging | Stage::Ready => self.why_live(now, &waiting, &mut reasons),
            Stage::Closing | Stage::Draining => {
                let left = self.left(Timer::Deadline, now);
                reasons.push(Reason::Ending(match self.stage {
                    Stage::Closing => EndingReason::Closing { left },
                    _ => EndingReason::Draining { left },
                }));
            }
            Stage::Over => {
                reasons.push(Reason::Ending(EndingReason::Over { unread: count(self.unread) }));
            }
        }
        if events >= super::EVENTS_MAX {
            reasons.push(Reason::Sending(SendingReason::Events { waiting: count(events) }));
        }
        Explanation {
            connection: self.handle,
            state: self.state(),
            reasons,
            streams: waiting.listed,
            streams_left_out: waiting.left_out,
            streams_idle: waiting.idle,
            single: self.is_single(),
            plain: self.in_use.all().collect(),
        }
    }

    /// How long until a timer fires; `None` if it is not set.
    fn left(&self, timer: Timer, now: Instant) -> Option<Duration> {
        self.timers.at(timer).map(|at| at.saturating_duration_since(now))
    }

    fn why_opening(&self, now: Instant) -> Option<Reason> {
        let gives_up_in = self.left(Timer::Deadline, now);
        let next_in = self.left(Timer::Open, now);
        let opening = self.opening.as_deref()?;
        Some(Reason::Opening(opening.progress(now, next_in, gives_up_in)))
    }

    /// Of a connection with keys.
    fn why_live(&self, now: Instant, waiting: &Waiting, reasons: &mut Vec<Reason>) {
        if self.stage == Stage::Pinging {
            reasons.push(Reason::Opening(OpeningReason::Answer {
                probes: self.path_state.pto.count(),
                gives_up_in: self.left(Timer::Deadline, now),
            }));
        }
        reasons.extend(self.why_leaving(now));
        reasons.extend(self.why_silent(now));
        self.why_held(now, reasons);
        if waiting.by_credit > 0 {
            let streams = waiting.by_credit;
            reasons.push(Reason::Sending(SendingReason::StreamCredit { streams }));
        }
        for direction in [Direction::TwoWay, Direction::OneWay] {
            let limit = self.streams.refused_at(direction);
            let wanted = |limit| SendingReason::StreamLimit { direction, limit };
            reasons.extend(limit.map(wanted).map(Reason::Sending));
        }
        if self.unread > 0 {
            reasons.push(Reason::Peer(PeerReason::Unread {
                streams: count(self.unread),
                bytes: self.charged.saturating_sub(self.recv_credit.consumed()),
                credit_left: self.recv_credit.granted().saturating_sub(self.charged),
            }));
        }
        if self.sent.pto_from().is_some() {
            let in_flight = self.sent.bytes_in_flight();
            let rtt = self.path_state.rtt.sampled();
            reasons.push(Reason::Peer(PeerReason::Unacknowledged { in_flight, rtt }));
        }
        if reasons.is_empty() {
            reasons.push(Reason::Peer(PeerReason::Idle {
                silence: now.saturating_duration_since(self.last_received),
                gives_up_in: self.left(Timer::Idle, now),
                keep_alive_in: self.left(Timer::KeepAlive, now),
            }));
        }
        reasons.extend(self.why_renewing());
        if let Some((trying, lost)) = self.mtu.trying() {
            let size = self.mtu.current();
            reasons.push(Reason::Sending(SendingReason::MtuSearch { size, trying, lost }));
        }
    }

    fn why_leaving(&self, now: Instant) -> Option<Reason> {
        if !self.closing.is_leaving() {
            return None;
        }
        let halves = || self.open_streams().filter_map(|(_, stream)| stream.send.as_ref());
        let unsettled = halves().filter(|half| !half.is_quiet()).count();
        let bytes = halves().map(SendHalf::buffered).fold(0, u64::saturating_add);
        let (ours, theirs, peer_done) = self.closing.progress();
        Some(Reason::Ending(EndingReason::Leaving {
            ours,
            theirs,
            unsettled: count(unsettled),
            bytes,
            peer_done,
            left: self.left(Timer::Deadline, now),
        }))
    }

    fn why_silent(&self, now: Instant) -> Option<Reason> {
        let probes = self.path_state.pto.count();
        let given_up_on = self.liveness.is_silent();
        if self.stage != Stage::Ready || (probes == 0 && !given_up_on) {
            return None;
        }
        // Beyond the idle limit the timer says when it is asked again, not when it is given up.
        let idle = self.left(Timer::Idle, now);
        let (next_in, gives_up_in) =
            if given_up_on { (idle, None) } else { (self.left(Timer::Recovery, now), idle) };
        let silence = now.saturating_duration_since(self.last_received);
        Some(Reason::Peer(PeerReason::Silent { silence, probes, next_in, gives_up_in }))
    }

    /// What keeps back something that could go out otherwise.
    fn why_held(&self, now: Instant, reasons: &mut Vec<Reason>) {
        let size = self.sending_size();
        let waits = self.has_eliciting(true);
        let fits = self.path.allows(size);
        if !self.path.is_proven() {
            reasons.push(Reason::Sending(SendingReason::Address {
                allowance: count(self.path.allowance()),
                holds: waits && !fits,
            }));
        }
        let data = !self.schedule.is_empty();
        if let Some(zone) = self.zone.as_ref().filter(|_| data && !self.key_allows_data()) {
            reasons.push(Reason::Sending(SendingReason::KeyLimit {
                sealed: zone.seal.sealed(),
                limit: self.renewal.limits().data_packets,
            }));
        }
        if !self.credit_waiters.is_empty() {
            reasons.push(Reason::Sending(SendingReason::ConnectionCredit {
                limit: self.send_credit.limit(),
                free: self.send_credit.free(),
                streams: count(self.credit_waiters.len()),
            }));
        }
        if waits && fits {
            reasons.extend(self.why_unsent(now, size, data).map(Reason::Sending));
        }
    }

    /// There is something to send, and the address takes it.
    fn why_unsent(&self, now: Instant, size: usize, data: bool) -> Option<SendingReason> {
        if !self.sent.has_room() {
            return Some(SendingReason::Packets);
        }
        if !self.may_send(size) {
            return Some(SendingReason::Window {
                in_flight: self.sent.bytes_in_flight(),
                window: self.path_state.controller.window(),
            });
        }
        if let Some(wait) = self.left(Timer::Pacing, now).filter(|wait| data && !wait.is_zero()) {
            return Some(SendingReason::Pacing { wait, rate: self.path_state.pacer.rate() });
        }
        // At the limit of the key something else may still be due, and goes by itself.
        (!data || self.key_allows_data()).then_some(SendingReason::Undrained)
    }

    fn why_renewing(&self) -> Option<Reason> {
        let zone = self.zone.as_ref()?;
        let agreed = self.renewal.under_way()?;
        let (zone, sealed) = (zone.number, zone.seal.sealed());
        Some(Reason::Sending(SendingReason::Renewal { zone, sealed, agreed }))
    }

    fn open_streams(&self) -> impl Iterator<Item = (StreamKey, &Stream)> {
        self.streams.keys().filter_map(|key| Some((key, self.streams.get(key)?)))
    }

    fn why_streams(&self) -> Waiting {
        let waiters: BTreeSet<StreamKey> = self.credit_waiters.iter().copied().collect();
        let mut all = Waiting::default();
        for (key, stream) in self.open_streams() {
            let mut reasons = Vec::new();
            self.why_not_sent(stream, waiters.contains(&key), &mut reasons);
            why_not_received(stream, &mut reasons);
            let by_credit = |one: &StreamReason| matches!(one, StreamReason::StreamCredit { .. });
            all.by_credit = all.by_credit.saturating_add(u64::from(reasons.iter().any(by_credit)));
            if reasons.is_empty() {
                all.idle = all.idle.saturating_add(1);
            } else if all.listed.len() >= STREAMS_MAX {
                all.left_out = all.left_out.saturating_add(1);
            } else {
                all.listed.push(StreamExplanation { stream: stream.id, reasons });
            }
        }
        all
    }

    fn why_not_sent(&self, stream: &Stream, by_credit: bool, reasons: &mut Vec<StreamReason>) {
        let Some(half) = stream.send.as_ref() else { return };
        let unsent = half.unsent();
        if half.has_payload() {
            reasons.push(if !self.streams.may_send(stream.id) {
                let limit = self.streams.own_limit(stream.id.direction());
                StreamReason::NotAllowed { limit }
            } else if by_credit {
                StreamReason::ConnectionCredit { unsent }
            } else if !stream.scheduled && half.is_blocked() {
                let (limit, offset) = (half.credit_limit(), half.next_offset());
                StreamReason::StreamCredit { limit, offset, unsent }
            } else {
                StreamReason::Turn { unsent, priority: stream.priority }
            });
        }
        if stream.writable_wanted {
            let (buffered, limit) = (half.buffered(), self.config.send_buffer);
            reasons.push(StreamReason::Full { buffered, limit });
        }
        let (bytes, end) = (half.unacknowledged(), half.end_is_away());
        if bytes > 0 || end {
            reasons.push(StreamReason::Unacknowledged { bytes, end });
        }
    }
}

fn why_not_received(stream: &Stream, reasons: &mut Vec<StreamReason>) {
    let Some(recv) = stream.recv.as_ref().filter(|recv| recv.stop == Stop::Not) else { return };
    let (half, highest) = (&recv.half, recv.half.highest());
    if half.is_readable() {
        reasons.push(StreamReason::Unread {
            bytes: highest.saturating_sub(half.consumed()),
            credit_left: recv.credit.granted().saturating_sub(highest),
        });
    }
    if half.first_gap() < highest && !half.is_done() {
        reasons.push(StreamReason::Missing { from: half.first_gap(), upto: highest });
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
