//! How a connection ends: leaving, closing, draining (PROTOCOL.md §5.4).
//!
//! *Leaving* lets both sides finish what is reliable; *closing* is the side that sent DISCONNECT,
//! *draining* the one that received it. The user hears of the end once, when either begins; what
//! follows only sees to it that the peer hears of it too.
#![deny(clippy::arithmetic_side_effects)]

mod progress;

use super::streams::{Stop, StreamKey};
use super::timer::Timer;
use super::{Connection, Cx, Stage};
use crate::error::{ConnectError, LostCause};
use crate::event::{By, Event};
use crate::events::Events;
use crate::stream::send::SendHalf;
use crate::wire::{
    Code, DataHeader, Frame, Frames, Side, StreamId, TAG_LEN, TruncatedNumber, Violation,
};
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use tripline_sansio::{Duration, Ecn, Instant, Transmit};

/// When DISCONNECT is repeated, in probe timeouts after the first (R-CLOSE-1).
const REPEATS: [u32; 3] = [1, 3, 7];
/// How long the closer stays to answer strays, in probe timeouts.
const CLOSING_PTOS: u32 = 10;
/// How long the other side stays silent before it is gone, in probe timeouts.
const DRAINING_PTOS: u32 = 3;

/// The state of the end.
#[derive(Clone, Debug, Default)]
pub(super) struct Closing {
    /// We leave: with this code and text, at the latest then.
    ours: Option<(Code, String, Instant)>,
    /// Requests that the peer has finished may still be answered (R-CLOSE-7).
    answers: bool,
    /// The peer leaves.
    peer: bool,
    /// The peer has nothing left to send.
    peer_done: bool,
    /// We said, or are about to say, that we have nothing left to send.
    done: bool,
    /// NOTIFY has to be sent (again): with our deadline, or, when done, with none.
    notify: bool,
    /// What DISCONNECT says.
    farewell: Option<Box<(Code, u64, String)>>,
    /// A DISCONNECT has to be sent now.
    due: bool,
    began: Option<Instant>,
    repeats: usize,
    pto: Duration,
    strays: u64,
    next_answer: u64,
}

impl Closing {
    /// One side announced its end.
    pub(super) fn is_leaving(&self) -> bool {
        self.ours.is_some() || self.peer
    }

    /// Streams that the peer opens from now on are turned away (R-CLOSE-5). Not while only the peer
    /// leaves: what it opened before may come late.
    pub(super) fn turns_away(&self) -> bool {
        self.ours.is_some()
    }

    /// When our own leaving ends at the latest.
    pub(super) fn until(&self) -> Option<Instant> {
        self.ours.as_ref().map(|(_, _, until)| *until)
    }

    /// The user may hand in nothing more.
    pub(super) fn takes_no_more(&self) -> bool {
        (self.ours.is_some() && !self.answers) || self.done
    }

    /// If we leave already: until then at the latest. Whether we do.
    pub(super) fn hasten(&mut self, at: Instant) -> bool {
        let Some((_, _, until)) = &mut self.ours else { return false };
        *until = (*until).min(at);
        true
    }

    /// While we leave, requests that the peer has finished may be answered.
    pub(super) fn answer_all(&mut self) {
        self.answers = self.ours.is_some();
    }

    /// Whether a NOTIFY has to be sent.
    pub(super) fn is_notify_due(&self) -> bool {
        self.notify
    }

    /// Code, deadline in milliseconds and text of the NOTIFY that has to be sent.
    pub(super) fn notify_due(&self) -> Option<(Code, u64, String)> {
        if !self.notify {
            return None;
        }
        let (code, reason) = match &self.ours {
            Some((code, reason, _)) => (*code, reason.clone()),
            None => (Code::NONE, String::new()),
        };
        let deadline_ms = if self.done { 0 } else { self.grace_ms() };
        Some((code, deadline_ms, reason))
    }

    fn grace_ms(&self) -> u64 {
        let (Some((_, _, until)), Some(began)) = (&self.ours, self.began) else { return 1 };
        let left = until.saturating_duration_since(began).as_millis();
        u64::try_from(left).unwrap_or(u64::MAX).clamp(1, u64::from(u32::MAX))
    }

    /// The NOTIFY went out.
    pub(super) fn on_notify_sent(&mut self) {
        self.notify = false;
    }

    /// A NOTIFY was lost: it goes out again, unless a newer one says more.
    pub(super) fn on_notify_lost(&mut self, done: bool) {
        self.notify |= done == self.done;
    }
}

impl Connection {
    /// Leaves in order: what was handed in is delivered, within `grace` (row T25).
    pub(crate) fn close(&mut self, grace: Duration, code: Code, reason: &str, cx: &mut Cx<'_>) {
        let reason = shorten(reason);
        match self.stage {
            Stage::Opening => self.fail(ConnectError::Cancelled, cx),
            Stage::Pinging | Stage::Ready if grace.is_zero() => {
                let end = Event::Closed {
                    connection: self.handle,
                    by: By::Us,
                    code,
                    reason: reason.clone(),
                };
                self.disconnect(code, 0, &reason, end, cx);
            }
            Stage::Pinging | Stage::Ready if self.closing.ours.is_none() => {
                let until = cx.now + grace;
                let until = self.deadline_of_peer().map_or(until, |theirs| until.min(theirs));
                self.closing.ours = Some((code, reason, until));
                self.closing.began = Some(cx.now);
                self.closing.notify = true;
                self.timers.set(Timer::Deadline, Some(until));
            }
            _ => {}
        }
    }

    /// The deadline that the peer's NOTIFY set, if it leaves too.
    fn deadline_of_peer(&self) -> Option<Instant> {
        self.closing.peer.then(|| self.timers.at(Timer::Deadline)).flatten()
    }

    /// Frees everything at once and in silence (row T25).
    pub(crate) fn kill(&mut self, cx: &mut Cx<'_>) {
        match self.stage {
            Stage::Over => {}
            Stage::Closing | Stage::Draining => self.stage = Stage::Over,
            Stage::Opening => self.fail(ConnectError::Cancelled, cx),
            Stage::Pinging | Stage::Ready => {
                self.drop_messages(cx);
                let end = Event::Lost { connection: self.handle, cause: LostCause::Killed };
                self.tell_end(end, ConnectError::Cancelled, cx);
                self.stage = Stage::Over;
            }
        }
        self.timers.clear();
        self.unread = 0;
    }

    /// Says `Drained`, once, when nothing will be sent or received any more (R-CLOSE-6).
    /// Whether it did.
    pub(crate) fn tell_drained(&mut self, events: &mut Events) -> bool {
        let drained =
            self.stage == Stage::Over && !core::mem::replace(&mut self.drained_told, true);
        if drained {
            events.push_back(Event::Drained { connection: self.handle });
        }
        drained
    }

    /// The attempt is over before anything was sent under a key.
    pub(super) fn fail(&mut self, error: ConnectError, cx: &mut Cx<'_>) {
        self.drop_messages(cx);
        cx.events.push_back(Event::Failed { connection: self.handle, error });
        self.opening = None;
        self.stage = Stage::Over;
        self.timers.clear();
    }

    /// The peer broke a rule: it is told the code and the frame, the user which rule.
    #[cold]
    pub(super) fn on_violation(&mut self, violation: Violation, frame_type: u64, cx: &mut Cx<'_>) {
        let Violation { code, reason } = violation;
        let end =
            Event::Lost { connection: self.handle, cause: LostCause::Violation { code, reason } };
        self.end_with(code, frame_type, "", end, ConnectError::Violation { code, reason }, cx);
    }

    /// The peer was silent for too long; it is told all the same, as it may hear us (R-CLOSE-2).
    pub(super) fn on_silence(&mut self, code: Code, cx: &mut Cx<'_>) {
        if matches!(self.stage, Stage::Pinging | Stage::Ready) {
            let end = Event::Lost { connection: self.handle, cause: LostCause::Idle };
            let error = ConnectError::Timeout { phase: self.phase() };
            self.end_with(code, 0, "", end, error, cx);
        }
    }

    /// The key may not be used any longer (PROTOCOL.md §5.3).
    #[cold]
    pub(super) fn on_key_limit(&mut self, cx: &mut Cx<'_>) {
        let end = Event::Lost { connection: self.handle, cause: LostCause::KeyLimit };
        let code = Code::KEY_LIMIT;
        self.end_with(code, 0, "", end, ConnectError::Cancelled, cx);
    }

    /// The timer `Deadline`: what it means depends on the stage.
    pub(super) fn on_deadline(&mut self, cx: &mut Cx<'_>) {
        match self.stage {
            Stage::Opening => {
                let error = self
                    .opening
                    .as_ref()
                    .map_or(ConnectError::Cancelled, |opening| opening.timeout_error());
                self.fail(error, cx);
            }
            Stage::Pinging if !self.closing.is_leaving() => self.on_silence(Code::IDLE, cx),
            Stage::Pinging | Stage::Ready => self.leave_now(cx),
            Stage::Closing | Stage::Draining | Stage::Over => self.stage = Stage::Over,
        }
    }

    /// Everything is said, or the grace is over: DISCONNECT.
    fn leave_now(&mut self, cx: &mut Cx<'_>) {
        let (code, reason, by) = match self.closing.ours.take() {
            Some((code, reason, _)) => (code, reason, By::Us),
            None => (Code::NONE, String::new(), By::Peer),
        };
        let end = Event::Closed { connection: self.handle, by, code, reason: reason.clone() };
        self.disconnect(code, 0, &reason, end, cx);
    }

    /// The peer announced its end (row T54). Its first NOTIFY says the deadline, later ones only
    /// that nothing is left; the earlier deadline of both sides holds (R-CLOSE-3).
    pub(super) fn on_notify(
        &mut self,
        code: Code,
        deadline_ms: u64,
        reason: &str,
        cx: &mut Cx<'_>,
    ) {
        if deadline_ms == 0 {
            self.closing.peer_done = true;
        }
        if self.closing.is_leaving() && (self.closing.peer || deadline_ms == 0) {
            return;
        }
        let grace = Duration::from_millis(deadline_ms);
        self.closing.peer = true;
        self.closing.began.get_or_insert(cx.now);
        let until = cx.now + grace;
        // A first NOTIFY that says "nothing left" sets no time: the one that did was lost.
        let sooner = self.timers.at(Timer::Deadline).is_none_or(|ours| until < ours);
        if deadline_ms > 0 && sooner {
            self.timers.set(Timer::Deadline, Some(until));
        }
        cx.events.push_back(Event::Leaving {
            connection: self.handle,
            code,
            reason: reason.to_string(),
            grace,
        });
    }

    /// While leaving: says so when nothing is left to send, and ends when both have said so.
    pub(super) fn tick_leaving(&mut self, cx: &mut Cx<'_>) {
        if !self.closing.is_leaving() {
            return;
        }
        let quiet = self.is_quiet();
        if quiet && !self.closing.done {
            self.closing.done = true;
            self.closing.notify = true;
        }
        if quiet && self.closing.done && self.closing.peer_done && self.closing.ours.is_some() {
            self.leave_now(cx);
        }
    }

    /// Whether nothing is left to send: all is acknowledged, and no finished request of the peer
    /// still waits for the end of its answer.
    fn is_quiet(&self) -> bool {
        self.streams.keys().filter_map(|key| self.streams.get(key)).all(|stream| {
            let asked = stream.id.opener() != self.side
                && stream.recv.as_ref().is_some_and(|recv| recv.half.final_offset().is_some());
            let answer_due = asked && stream.send.as_ref().is_some_and(|half| !half.is_done());
            stream.send.as_ref().is_none_or(SendHalf::is_quiet)
                && !(answer_due && (self.closing.ours.is_none() || self.closing.answers))
        })
    }

    /// The peer opens a stream that we will not take any more (R-CLOSE-5): it is told so, what
    /// comes is consumed, and our user never hears of it.
    pub(super) fn turn_away(&mut self, id: StreamId, cx: &mut Cx<'_>) -> StreamKey {
        let key = self.streams.insert(id, self.streams.defaults.priority);
        if let Some(recv) = self.streams.get_mut(key).and_then(|stream| stream.recv.as_mut()) {
            recv.stop = Stop::Wanted(Code::SHUTTING_DOWN);
            // Nothing has come yet, so nothing is consumed.
            let _ = recv.half.stop();
        }
        // Two-way streams: there will be no answer either.
        let _ = self.close_half(key, Code::SHUTTING_DOWN, cx);
        self.list_control(key);
        key
    }

    /// DISCONNECT came (R-CLOSE-1).
    pub(super) fn on_disconnect(&mut self, code: Code, reason: &str, cx: &mut Cx<'_>) {
        self.drop_messages(cx);
        let reason = reason.to_string();
        let refused = ConnectError::Refused { code, reason: reason.clone() };
        let end = if is_orderly(code) {
            Event::Closed { connection: self.handle, by: By::Peer, code, reason }
        } else {
            Event::Lost { connection: self.handle, cause: LostCause::Peer { code, reason } }
        };
        self.tell_end(end, refused, cx);
        self.begin_end(Stage::Draining, Some((Code::NONE, 0, String::new())), cx.now);
    }

    /// A packet that came after the end: only a DISCONNECT still means something.
    #[cold]
    pub(super) fn on_late_packet(&mut self, plaintext: &[u8]) {
        self.stats.drops.closing = self.stats.drops.closing.saturating_add(1);
        if self.stage != Stage::Closing {
            return;
        }
        let mut frames = Frames::new(plaintext);
        while let Ok(Some(frame)) = frames.next() {
            if matches!(frame, Frame::Disconnect { .. }) {
                self.stage = Stage::Over;
                self.timers.clear();
                return;
            }
        }
        self.closing.strays = self.closing.strays.saturating_add(1);
        if self.closing.strays >= self.closing.next_answer {
            self.closing.next_answer = self.closing.strays.saturating_mul(2);
            self.closing.due = true;
        }
    }

    fn disconnect(
        &mut self,
        code: Code,
        frame_type: u64,
        reason: &str,
        end: Event,
        cx: &mut Cx<'_>,
    ) {
        self.end_with(code, frame_type, reason, end, ConnectError::Cancelled, cx);
    }

    /// Ends the connection from our side: fates first, then the one closing event, then DISCONNECT.
    fn end_with(
        &mut self,
        code: Code,
        frame_type: u64,
        reason: &str,
        end: Event,
        error: ConnectError,
        cx: &mut Cx<'_>,
    ) {
        self.drop_messages(cx);
        self.tell_end(end, error, cx);
        self.begin_end(Stage::Closing, Some((code, frame_type, reason.to_string())), cx.now);
    }

    /// Exactly one of the closing events, or `Failed` if it never was connected (rows M01, M03).
    pub(super) fn tell_end(&self, end: Event, error: ConnectError, cx: &mut Cx<'_>) {
        let connected = self.stage == Stage::Ready || self.side == Side::Server;
        cx.events.push_back(if connected {
            end
        } else {
            Event::Failed { connection: self.handle, error }
        });
    }

    fn begin_end(&mut self, stage: Stage, farewell: Option<(Code, u64, String)>, now: Instant) {
        self.stage = stage;
        self.timers.clear();
        let pto = self.plain_pto();
        let stay = if stage == Stage::Closing { CLOSING_PTOS } else { DRAINING_PTOS };
        self.closing = Closing {
            farewell: farewell.map(Box::new),
            due: true,
            began: Some(now),
            pto,
            next_answer: 1,
            ..Closing::default()
        };
        self.timers.set(Timer::Deadline, Some(now + pto.saturating_mul(stay)));
        if stage == Stage::Closing {
            self.arm_repeat();
        }
    }

    /// Every message that is not settled is reported, and all sending ends.
    pub(super) fn drop_messages(&mut self, cx: &mut Cx<'_>) {
        let keys: Vec<_> = self.streams.keys().collect();
        for key in keys {
            let Self { streams, send_credit, fates, .. } = self;
            let Some(stream) = streams.get_mut(key) else { continue };
            let id = stream.id;
            if let Some(half) = stream.send.as_mut() {
                half.drop_all(send_credit, fates);
            }
            self.tell_fates(id, cx);
        }
        self.expiring.clear();
    }

    /// Appends a DISCONNECT if one is due.
    #[cold]
    pub(super) fn transmit_disconnect(
        &mut self,
        out: &mut Vec<u8>,
        cx: &mut Cx<'_>,
    ) -> Option<Transmit> {
        if !core::mem::take(&mut self.closing.due) {
            return None;
        }
        let (code, frame_type, reason) = *self.closing.farewell.clone()?;
        self.wake(cx.now);
        let zone = self.zone.as_ref()?;
        let number = self.sent.begin();
        let header = DataHeader {
            id: zone.peer_id,
            number: TruncatedNumber::new(number, self.sent.largest_acked()),
        };
        let start = out.len();
        header.write(out);
        let body = out.len().saturating_sub(start);
        Frame::Disconnect { code, frame_type, reason: &reason }.write(out);
        if !self.path.allows(out.len().saturating_sub(start).saturating_add(TAG_LEN)) {
            out.truncate(start);
            return None;
        }
        self.zone.as_mut()?.seal.seal_packet(number, out, start, body).ok()?;
        let len = out.len().saturating_sub(start);
        let bytes = u16::try_from(len).unwrap_or(u16::MAX);
        self.sent.finish(cx.now, super::recovery::sent::Shape { bytes, ..Default::default() });
        self.path.on_sent(len);
        self.stats.packets_sent = self.stats.packets_sent.saturating_add(1);
        self.stats.bytes_sent = self.stats.bytes_sent.saturating_add(u64::from(bytes));
        Some(Transmit { path: self.path.path(), ecn: Ecn::NotEct, len, segment_size: len })
    }

    /// The time for another DISCONNECT: the closer repeats it 1, 3 and 7 probe timeouts after the
    /// first.
    pub(super) fn on_repeat(&mut self) {
        self.closing.due = true;
        self.closing.repeats = self.closing.repeats.saturating_add(1);
        self.arm_repeat();
    }

    fn arm_repeat(&mut self) {
        let next = REPEATS.get(self.closing.repeats).zip(self.closing.began);
        let at = next.map(|(ptos, began)| began + self.closing.pto.saturating_mul(*ptos));
        self.timers.set(Timer::Repeat, at);
    }
}

/// Codes with which a peer ends in order; the others say that something went wrong.
fn is_orderly(code: Code) -> bool {
    code.number() >= Code::APPLICATION
        || matches!(
            code,
            Code::NONE | Code::REFUSED | Code::NO_ROUTE | Code::SHUTTING_DOWN | Code::REPLACED
        )
}

/// A reason text cut to the 255 bytes that fit (R-FRAME-2, §11), at a character's end.
fn shorten(reason: &str) -> String {
    let mut short = String::new();
    for character in reason.chars() {
        if short.len().saturating_add(character.len_utf8()) > 255 {
            break;
        }
        short.push(character);
    }
    short
}
