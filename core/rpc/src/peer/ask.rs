//! What we ask of the peer: calls, notifications, and what becomes of them.

use super::{Note, Peer, State, millis};
use crate::asked::{Call, Kept, Stage};
use crate::bounds::{FRAME_LEAST, ITEM_COST};
use crate::config::{CallOptions, NotifyOptions, Retry, Unsent, Wait};
use crate::event::{CallId, Event};
use crate::lane::Lane;
use crate::method::MethodRef;
use crate::outcome::{AskError, Executed, Outcome, Refusal};
use crate::payload::{Buffer, Payload};
use crate::slots::Key;
use crate::wire::{Control, Deadline, Frame};
use bytes::Bytes;
use tripline::SendOptions;
use tripline_sansio::Instant;

impl Peer {
    /// Asks the peer. There will be exactly one [`Event::Outcome`] for it.
    ///
    /// # Errors
    /// See [`AskError`]; nothing was kept then, and no outcome comes.
    pub fn call<'a>(
        &mut self,
        now: Instant,
        method: impl Into<MethodRef<'a>>,
        payload: impl Into<Payload<'a>>,
        options: CallOptions,
    ) -> Result<CallId, AskError> {
        let now = self.tick(now);
        let (method, payload) = (method.into(), payload.into());
        match self.may_ask(method, payload.as_slice().len()) {
            Err(AskError::Blocked) if options.waits_for_room => {}
            asked => asked?,
        }
        if self.pipe.as_ref().is_some_and(|pipe| pipe.leaving)
            && self.config.unsent == Unsent::Report
        {
            return Err(AskError::GoingAway);
        }
        let limit = self.config.asked_max;
        if self.asked.len() >= limit {
            return Err(AskError::TooMany { limit });
        }
        let deadline = match options.deadline {
            Wait::Default => self.config.deadline.map(|wait| now + wait),
            Wait::For(wait) => Some(now + wait),
            Wait::Forever => None,
        };
        let key = self.asked.insert(Call::new(&options, deadline));
        self.stats.calls = self.stats.calls.saturating_add(1);
        if deadline.is_some_and(|deadline| deadline <= now) {
            self.end_call(key, |executed| Outcome::Deadline { executed });
            return Ok(CallId(key));
        }
        let has_default = options.deadline == Wait::Default;
        self.send_or_keep(key, method, payload, options.retry, has_default);
        Ok(CallId(key))
    }

    /// Sends a new call, if it may go now; else it waits for its turn.
    fn send_or_keep(
        &mut self,
        key: Key,
        method: MethodRef<'_>,
        payload: Payload<'_>,
        retry: Retry,
        has_default: bool,
    ) {
        let goes_now = self.may_send(payload.as_slice().len())
            && self.outbox.bytes().saturating_add(self.notes_bytes) < self.config.send_buffer
            && !self.pipe.as_ref().is_some_and(|pipe| pipe.leaving)
            && self.asked.first_waiting().is_none();
        if goes_now && retry == Retry::Never {
            // The usual case: nothing is kept, and what is borrowed is copied once.
            if let Some(number) = self.asked.take_number(key) {
                return self.send_call(key, number, method, payload, has_default);
            }
        }
        let kept = Kept { method: method.to_method(), payload: payload.into_bytes() };
        if let Some(call) = self.asked.get_mut(key) {
            call.rare().kept = Some(kept);
        }
        self.asked.wait(key, false);
        self.send_waiting();
    }

    /// Writes a call that has a number.
    fn send_call(
        &mut self,
        key: Key,
        number: u32,
        method: MethodRef<'_>,
        payload: Payload<'_>,
        has_default: bool,
    ) {
        let Some(call) = self.asked.get(key) else { return };
        let deadline = match call.deadline {
            None => Deadline::None,
            Some(_) if has_default => Deadline::Default,
            Some(at) => Deadline::Millis(millis(at.saturating_duration_since(self.now))),
        };
        let serial = self.asked.serial_of(call);
        let lane = self.lane(call.lane);
        let (method, is_new) = self.names_out.name(method, lane);
        if is_new {
            self.announce(method, lane);
        }
        let frame = Frame::Call { number, method, deadline, serial };
        self.put(lane, &frame, payload, SendOptions::default());
        if let Some(call) = self.asked.get_mut(key) {
            call.sent(number, lane);
        }
    }

    /// Whether something that waited for room was put among what is to be sent.
    pub(super) fn sends_more(&mut self) -> bool {
        if self.notes.is_empty() && self.asked.first_waiting().is_none() {
            return false;
        }
        let before = (self.notes.len(), self.asked.waiting());
        self.send_waiting();
        (self.notes.len(), self.asked.waiting()) != before
    }

    /// Sends those whose turn it is, for as long as there are numbers.
    pub(super) fn send_waiting(&mut self) {
        self.send_notes();
        while let Some(key) = self.asked.first_waiting() {
            let Some(call) = self.asked.get(key) else { return };
            let len = call.kept().map_or(0, |kept| kept.payload.len());
            if self.pipe.as_ref().is_some_and(|pipe| pipe.leaving)
                || self.outbox.bytes() >= self.config.send_buffer
            {
                return;
            }
            if !self.may_send(len) {
                if self.is_too_large(len) {
                    self.asked.pop_waiting(key);
                    self.end_call(key, |executed| match executed {
                        Executed::No => {
                            Outcome::Refused { refusal: Refusal::TooLarge, detail: Bytes::new() }
                        }
                        // It went over another pipe before.
                        executed => Outcome::Gone { executed },
                    });
                    continue;
                }
                return;
            }
            let Some(number) = self.asked.take_number(key) else { return };
            self.asked.pop_waiting(key);
            let Some(call) = self.asked.get_mut(key) else { return };
            if let Some(Kept { method, payload }) = call.take_kept() {
                self.send_call(key, number, (&method).into(), payload.into(), false);
            }
        }
    }

    /// Says something that wants no answer (row N03).
    ///
    /// # Errors
    /// See [`AskError`].
    pub fn notify<'a>(
        &mut self,
        now: Instant,
        method: impl Into<MethodRef<'a>>,
        payload: impl Into<Payload<'a>>,
        options: NotifyOptions,
    ) -> Result<(), AskError> {
        let now = self.tick(now);
        let (method, payload) = (method.into(), payload.into());
        self.may_ask(method, payload.as_slice().len())?;
        let NotifyOptions { lane, send } = options;
        if self.notes.is_empty() && self.may_send(payload.as_slice().len()) {
            self.send_note(now, method, payload, lane, send);
        } else {
            let payload = payload.into_bytes();
            self.notes_bytes = self.notes_bytes.saturating_add(payload.len());
            let method = method.to_method();
            self.notes.push_back(Note { method, payload, lane, send, since: now });
        }
        Ok(())
    }

    fn send_note(
        &mut self,
        since: Instant,
        method: MethodRef<'_>,
        payload: Payload<'_>,
        lane: Lane,
        send: SendOptions,
    ) {
        let lane = self.lane(lane);
        let (method, is_new) = self.names_out.name(method, lane);
        if is_new {
            self.announce(method, lane);
        }
        self.put_since(since, lane, &Frame::Notify { method }, payload, send);
        self.stats.notified = self.stats.notified.saturating_add(1);
    }

    fn send_notes(&mut self) {
        while let Some(note) = self.notes.front() {
            let len = note.payload.len();
            let is_late =
                note.send.expires_after.is_some_and(|after| note.since + after <= self.now);
            let is_lost = is_late || self.is_too_large(len);
            if !is_lost && (!self.may_send(len) || self.outbox.bytes() >= self.config.send_buffer) {
                return;
            }
            let Some(note) = self.notes.pop_front() else { return };
            self.notes_bytes = self.notes_bytes.saturating_sub(len);
            if is_lost {
                let dropped = &mut self.stats.dropped_notifications;
                *dropped = dropped.saturating_add(1);
            } else {
                let Note { method, payload, lane, send, since } = note;
                self.send_note(since, (&method).into(), payload.into(), lane, send);
            }
        }
    }

    /// Calls a call off: its outcome is *cancelled*, at once, and the peer is told.
    ///
    /// Returns whether there was such a call; one that has its outcome is gone.
    pub fn cancel(&mut self, now: Instant, call: CallId) -> bool {
        self.tick(now);
        self.end_call(call.0, |executed| Outcome::Cancelled { executed })
    }

    /// The user has taken so many bytes of one item of a call with a
    /// [manual window](CallOptions::manual_window).
    pub fn consumed(&mut self, call: CallId, bytes: usize) {
        if self.asked.get(call.0).is_some_and(|call| call.manual_window) {
            self.grant(call, bytes);
        }
    }

    /// Without a manual window an item counts as taken when it is among the events, which are
    /// bounded by themselves.
    pub(super) fn item_came(&mut self, call: CallId, bytes: usize) {
        if self.asked.get(call.0).is_some_and(|call| !call.manual_window) {
            self.grant(call, bytes);
        }
    }

    /// An item was taken: the window moves on, and the peer is told at every half of it.
    fn grant(&mut self, id: CallId, bytes: usize) {
        let half = self.config.item_window / 2;
        let Some(call) = self.asked.get_mut(id.0) else { return };
        let Stage::Sent { number, lane } = call.stage else { return };
        let items = &mut call.rare().items;
        let cost = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_add(ITEM_COST);
        items.taken = items.taken.saturating_add(cost).min(items.received);
        let bytes = items.taken.saturating_sub(items.granted);
        if bytes > half {
            items.granted = items.taken;
            let turn = self.asked.turn(number);
            self.put_control(lane, &Control::Window { number, turn, bytes });
        }
    }

    /// Ends a call by ourselves, before its answer has come. A peer that has it is told.
    pub(super) fn end_call(&mut self, key: Key, outcome: impl FnOnce(Executed) -> Outcome) -> bool {
        let executed = self.executed_by_now(key);
        let Some(call) = self.asked.remove(key, false) else { return false };
        if let Stage::Sent { number, lane } = call.stage {
            let turn = self.asked.turn(number);
            self.put_control(lane, &Control::Cancel { number, turn });
        }
        self.tell_outcome(key, &call, outcome(executed));
        true
    }

    /// The one place where outcomes are told.
    pub(super) fn tell_outcome(&mut self, key: Key, call: &Call, outcome: Outcome) {
        self.owes_settled |= call.serial().is_some();
        self.stats.outcomes = self.stats.outcomes.saturating_add(1);
        self.events.push_back(Event::Outcome { call: CallId(key), outcome });
        self.tend_leaving(self.now);
    }

    fn announce(&mut self, method: crate::method::WireMethod<'_>, lane: Lane) {
        // The name itself is known by its number only here.
        if let crate::method::WireMethod::Index(number) = method
            && let Some(name) = self.names_out.name_of(number)
        {
            self.put_control(lane, &Control::Name { number, name: &name });
        }
    }

    /// Whether something of this size may be asked for at all.
    fn may_ask(&mut self, method: MethodRef<'_>, len: usize) -> Result<(), AskError> {
        if self.state == State::Ended {
            return Err(AskError::Ended);
        }
        if self.config.is_raw {
            return Err(AskError::Raw);
        }
        if !method.is_valid() {
            return Err(AskError::BadName);
        }
        if self.pipe.is_none() && self.config.unsent == Unsent::Report {
            return Err(AskError::NotConnected);
        }
        let max = self.payload_max();
        if len > max {
            return Err(AskError::TooLarge { max });
        }
        if self.has_room() { Ok(()) } else { Err(AskError::Blocked) }
    }

    /// Whether more may be asked and said now; if not, [`Event::Writable`] is told when it may.
    pub fn has_room(&mut self) -> bool {
        let waiting = self.outbox.bytes().saturating_add(self.notes_bytes);
        let has_room = waiting < self.config.send_buffer;
        self.was_blocked |= !has_room;
        has_room
    }

    /// Whether something of this size may go over the pipe of now.
    fn may_send(&self, len: usize) -> bool {
        let Some(pipe) = self.pipe.as_ref().filter(|pipe| pipe.said_hello && pipe.broken.is_none())
        else {
            return false;
        };
        let frame = len.saturating_add(Buffer::ROOM).saturating_add(crate::bounds::NAME_MAX);
        match &pipe.theirs {
            Some(theirs) => frame <= theirs.frame_max.min(pipe.pipe.frame_max),
            None => frame <= FRAME_LEAST.min(pipe.pipe.frame_max),
        }
    }

    /// Whether it never may.
    fn is_too_large(&self, len: usize) -> bool {
        len > self.payload_max()
    }

    /// The largest payload that can be sent, as far as that is known.
    pub(super) fn payload_max(&self) -> usize {
        let frame = match &self.pipe {
            None => crate::bounds::FRAME_LIMIT,
            Some(pipe) => match &pipe.theirs {
                Some(theirs) => theirs.frame_max.min(pipe.pipe.frame_max),
                None => pipe.pipe.frame_max,
            },
        };
        frame.saturating_sub(Buffer::ROOM).saturating_sub(crate::bounds::NAME_MAX)
    }
}
