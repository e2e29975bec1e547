//! Pipes that come and go, and the end.

use super::{Note, Peer, PipeState, State, millis};
use crate::asked::{Holder, Kept, Stage};
use crate::bounds::FRAME_LEAST;
use crate::config::{Retry, Unsent};
use crate::event::{Abandoned, Event};
use crate::lane::Lane;
use crate::outcome::{Executed, Outcome, Violation};
use crate::payload::Payload;
use crate::slots::Key;
use crate::wire::{Control, Frame, Hello, SessionId, VERSION, read};
use alloc::vec::Vec;
use tripline::SendOptions;
use tripline_sansio::{Duration, Instant};

/// What a pipe is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pipe {
    /// It carries [`Lane`]s beside each other; else all are one.
    pub has_lanes: bool,
    /// It cannot tell by itself whether the other side lives, and needs heartbeats.
    pub needs_heartbeat: bool,
    /// The largest message that it carries, in bytes.
    pub frame_max: usize,
}

impl Pipe {
    /// A pipe of one ordered lane, which carries any message and never dies in silence.
    pub const MEMORY: Self =
        Self { has_lanes: false, needs_heartbeat: false, frame_max: usize::MAX };
}

impl Peer {
    /// A pipe is there. The one before is detached, if there is one.
    pub fn attach(&mut self, now: Instant, pipe: Pipe) {
        self.detach(now);
        let now = self.tick(now);
        if self.state == State::Ended {
            return;
        }
        self.pipe = Some(PipeState {
            pipe,
            epoch: self.epoch,
            said_hello: false,
            theirs: None,
            leaving: false,
            broken: None,
            heard: now,
            spoke: now,
            owes_pong: false,
        });
        if self.names_session {
            self.say_hello();
            self.epoch = self.epoch.saturating_add(1);
            self.send_waiting();
        }
    }

    /// Whether there is a pipe.
    pub fn is_attached(&self) -> bool {
        self.pipe.is_some()
    }

    /// Whether the peer has said HELLO over the pipe of now.
    pub fn is_ready(&self) -> bool {
        self.pipe.as_ref().is_some_and(|pipe| pipe.theirs.is_some())
    }

    /// How many pipes the session had, as far as we know: the next one has this epoch at the least.
    pub fn pipes(&self) -> u64 {
        self.epoch
    }

    /// The session that a pipe's first message names, which says whose it is, and how many pipes
    /// the session had before. `None`: it is no HELLO.
    pub fn session_of(message: &[u8]) -> Option<(SessionId, u64)> {
        match read(message) {
            Ok((Frame::Hello(hello), _)) => Some((hello.session, hello.epoch)),
            _ => None,
        }
    }

    fn say_hello(&mut self) {
        let Some(session) = self.session else { return };
        let hello = Hello {
            version: VERSION,
            session,
            epoch: self.pipe.as_ref().map_or(0, |pipe| pipe.epoch),
            since: self.since.unwrap_or(0),
            calls_max: self.config.calls_max,
            // Smaller frames cannot be asked for; a pipe that carries less has both sides know it.
            frame_max: self.takes_max().max(FRAME_LEAST),
            deadline_ms: self.config.deadline.map_or(0, millis),
            item_window: self.config.item_window,
            is_raw: self.config.is_raw,
        };
        let empty = Payload::Slice(&[]);
        self.put(Lane::DEFAULT, &Frame::Hello(hello), empty, SendOptions::default());
        if let State::Leaving { until, .. } = self.state {
            let grace_ms = millis(until.saturating_duration_since(self.now));
            self.put_control(Lane::DEFAULT, &Control::GoAway { grace_ms });
        }
        self.outbox.flush();
        if let Some(pipe) = &mut self.pipe {
            pipe.said_hello = true;
        }
    }

    pub(super) fn on_hello(&mut self, hello: Hello) -> Result<(), Violation> {
        if hello.version != VERSION {
            return Err(Violation::Version(hello.version));
        }
        if hello.is_raw != self.config.is_raw {
            return Err(Violation::Kind { is_raw: hello.is_raw });
        }
        if *self.session.get_or_insert(hello.session) != hello.session {
            return Err(Violation::Hello);
        }
        let Some(pipe) = self.pipe.as_mut() else { return Ok(()) };
        if !self.names_session {
            // A pipe that is older than the last one comes too late.
            if self.epoch > hello.epoch {
                return Err(Violation::Hello);
            }
            pipe.epoch = hello.epoch;
            self.since.get_or_insert(hello.epoch);
            self.epoch = hello.epoch.saturating_add(1);
        }
        pipe.theirs = Some(hello);
        let resumed = hello.since < pipe.epoch && self.since < Some(pipe.epoch);
        if !self.names_session {
            self.say_hello();
        }
        self.asked.set_limit(hello.calls_max);
        if core::mem::replace(&mut self.their_since, hello.since) != hello.since {
            // It was started anew: nobody waits for our answers, and its serials begin again.
            for key in self.served.keys() {
                self.abandon(key, Abandoned::Gone);
            }
            self.served.keeper.clear();
        }
        self.events.push_back(Event::Ready { resumed });
        // What was said of it over the pipe before may not have arrived.
        self.owes_settled |= self.asked.oldest_serial() > 0;
        self.settle_doubts(hello.since);
        self.send_waiting();
        Ok(())
    }

    /// The pipe is gone. Calls that were sent and may not be asked again end; the others wait for
    /// the next one, or end as well, as [`Config::unsent`](crate::Config::unsent) says.
    pub fn detach(&mut self, now: Instant) {
        self.tick(now);
        let Some(pipe) = self.pipe.take() else { return };
        self.take_back();
        for key in self.asked.keys() {
            let Some(call) = self.asked.get_mut(key) else { continue };
            match (call.stage, call.retry) {
                (Stage::Sent { .. }, Retry::Never) => self.call_is_gone(key, Executed::Unknown),
                (Stage::Sent { .. }, _) => {
                    call.stage = Stage::Doubt;
                    call.rare().sent_over.get_or_insert(pipe.epoch);
                }
                (Stage::Waiting | Stage::Doubt, _) => {}
            }
        }
        self.asked.doubt_all_sent();
        self.asked.forget_numbers();
        self.served.forget_numbers();
        for key in self.served.keys() {
            let keeper = &self.served.keeper;
            // What the caller may ask again is executed on, unless it has said that it will not.
            let ends = self.served.get(key).is_some_and(|request| {
                request.has_items || !request.serial.is_some_and(|serial| keeper.is_wanted(serial))
            });
            if ends {
                self.abandon(key, Abandoned::Gone);
            }
        }
        self.names_out.forget_announcements();
        self.names_in.clear();
        self.stream_news.clear();
        if self.config.unsent == Unsent::Report {
            self.report_unsent();
        }
        self.tell_room();
    }

    /// What was not handed to the pipe is taken back from the outbox: surely it did not get there.
    fn take_back(&mut self) {
        let mut calls = Vec::new();
        let mut notes = Vec::new();
        for (lane, message, send, since) in self.outbox.take_all() {
            match read(&message) {
                Ok((Frame::Call { number, method, .. }, head)) => {
                    let method = self.names_out.resolve(method);
                    if let (Holder::Call(key), Some(method)) = (self.asked.holder(number), method) {
                        calls.push((key, Kept { method, payload: message.slice(head..) }));
                    }
                }
                Ok((Frame::Notify { method }, head)) => {
                    if let Some(method) = self.names_out.resolve(method) {
                        let payload = message.slice(head..);
                        notes.push(Note { method, payload, lane, send, since });
                    }
                }
                _ => {}
            }
        }
        for (key, kept) in calls.into_iter().rev() {
            if let Some(call) = self.asked.get_mut(key) {
                call.stage = Stage::Waiting;
                call.rare().kept.get_or_insert(kept);
                self.asked.wait(key, true);
            }
        }
        for note in notes.into_iter().rev() {
            self.notes_bytes = self.notes_bytes.saturating_add(note.payload.len());
            self.stats.notified = self.stats.notified.saturating_sub(1);
            self.notes.push_front(note);
        }
    }

    fn report_unsent(&mut self) {
        for key in self.asked.keys() {
            if self.asked.get(key).is_some_and(|call| call.stage == Stage::Waiting) {
                self.call_is_gone(key, self.executed_by_now(key));
            }
        }
        self.notes_bytes = 0;
        for Note { method, payload, .. } in core::mem::take(&mut self.notes) {
            self.stats.dropped_notifications = self.stats.dropped_notifications.saturating_add(1);
            self.events.push_back(Event::Unsent { method, payload });
        }
    }

    fn call_is_gone(&mut self, key: Key, executed: Executed) {
        if let Some(call) = self.asked.remove(key, true) {
            self.tell_outcome(key, &call, Outcome::Gone { executed });
        }
    }

    /// The end: there will be no other pipe. Every call has its outcome now, every request is
    /// abandoned, and nothing is remembered. Commands fail from now on.
    pub fn end(&mut self, now: Instant) {
        self.detach(now);
        self.report_unsent();
        for key in self.asked.keys() {
            self.call_is_gone(key, Executed::Unknown);
        }
        for key in self.served.keys() {
            self.abandon(key, Abandoned::Gone);
        }
        self.served.keeper.clear();
        self.owes_settled = false;
        self.state = State::Ended;
    }

    /// Takes no more calls: new ones are refused politely, those under way have `grace` to be
    /// answered (row N36). [`Event::Idle`] says when nothing is under way any more, neither of the
    /// peer's nor of ours, or the time is up.
    pub fn go_away(&mut self, now: Instant, grace: Duration) {
        let now = self.tick(now);
        if self.state != State::Open {
            return;
        }
        self.state = State::Leaving { until: now + grace, told: false };
        if self.pipe.as_ref().is_some_and(|pipe| pipe.said_hello) {
            self.put_control(Lane::DEFAULT, &Control::GoAway { grace_ms: millis(grace) });
        }
        self.tend_leaving(now);
    }

    pub(super) fn is_leaving(&self) -> bool {
        matches!(self.state, State::Leaving { .. })
    }

    pub(super) fn tend_leaving(&mut self, now: Instant) {
        let State::Leaving { until, told: false } = self.state else { return };
        let is_idle = self.calls() == 0 && self.requests() == 0;
        if now < until && !is_idle {
            return;
        }
        // Before anything else, as this is asked again while requests are abandoned.
        self.state = State::Leaving { until, told: true };
        for key in self.served.keys() {
            self.abandon(key, Abandoned::GoingAway);
        }
        self.events.push_back(Event::Idle);
    }

    /// Heartbeats, where the pipe needs them (R-CALL-10).
    pub(super) fn tend_pipe(&mut self, now: Instant) {
        let config = (self.config.heartbeat, self.config.silence_max);
        let Some(pipe) = self.pipe.as_mut().filter(|pipe| pipe.beats()) else { return };
        if config.1.is_some_and(|limit| pipe.heard + limit <= now) {
            return self.break_pipe(Violation::Silent);
        }
        if pipe.said_hello && config.0.is_some_and(|wait| pipe.spoke + wait <= now) {
            pipe.spoke = now;
            self.put_control(Lane::DEFAULT, &Control::Ping);
            self.outbox.flush();
        }
    }

    pub(super) fn pipe_deadline(&self) -> Option<Instant> {
        let pipe = self.pipe.as_ref().filter(|pipe| pipe.beats())?;
        let beat = self.config.heartbeat.filter(|_| pipe.said_hello).map(|wait| pipe.spoke + wait);
        let silence = self.config.silence_max.map(|limit| pipe.heard + limit);
        [beat, silence].into_iter().flatten().min()
    }

    /// The largest payload that can be sent now, in bytes, as far as that is known.
    pub fn largest_payload(&self) -> usize {
        self.payload_max()
    }
}

impl PipeState {
    fn beats(&self) -> bool {
        self.pipe.needs_heartbeat && self.broken.is_none()
    }
}
