//! What the peer's frames do.

use super::{Peer, StreamNews};
use crate::asked::{Holder, Stage};
use crate::bounds::{BUNDLE_LIMIT, ITEM_COST};
use crate::config::Retry;
use crate::event::{Abandoned, CallId, Event, RequestId};
use crate::kept::{Answer, Known};
use crate::lane::Lane;
use crate::method::WireMethod;
use crate::outcome::{Executed, Outcome, REFUSED_DEADLINE, Refusal, Violation, refused};
use crate::served::Request;
use crate::wire::{Control, Deadline, Frame, Frames, Serial, is_bundle, read};
use alloc::vec::Vec;
use bytes::Bytes;
use core::ops::Range;
use tripline_sansio::{Duration, Instant};

/// A CALL, as it was read.
struct Asking<'a> {
    number: u32,
    method: WireMethod<'a>,
    deadline: Deadline,
    serial: Option<Serial>,
}

impl Peer {
    /// Takes a message of the pipe. What breaks the rules is told by [`Event::Broken`]; from then
    /// on nothing more is taken from this pipe.
    pub fn handle_message(&mut self, now: Instant, lane: Lane, message: &Bytes) {
        let now = self.tick(now);
        let Some(pipe) = self.pipe.as_mut().filter(|pipe| pipe.broken.is_none()) else { return };
        pipe.heard = now;
        let has_hello = pipe.theirs.is_some();
        let result = if message.len() > self.takes_max() {
            Err(Violation::TooLarge)
        } else if is_bundle(message) && has_hello {
            self.on_bundle(lane, message)
        } else {
            self.on_message(lane, message, has_hello)
        };
        if let Err(violation) = result {
            self.break_pipe(violation);
        }
    }

    /// A message that is one frame.
    fn on_message(
        &mut self,
        lane: Lane,
        message: &Bytes,
        has_hello: bool,
    ) -> Result<(), Violation> {
        match read(message)? {
            (Frame::Hello(hello), _) if !has_hello => self.on_hello(hello),
            _ if !has_hello => Err(Violation::Hello),
            (frame, head) => self.on_frame(lane, frame, message, head..message.len()),
        }
    }

    /// A message of many (R-CALL-15).
    fn on_bundle(&mut self, lane: Lane, message: &Bytes) -> Result<(), Violation> {
        // Each payload holds the whole bundle in memory, and all are told at once.
        if message.len() > BUNDLE_LIMIT {
            return Err(Violation::TooLarge);
        }
        for place in Frames::new(message) {
            let place = place?;
            let (frame, head) = read(message.get(place.clone()).unwrap_or_default())?;
            let payload = place.start.saturating_add(head)..place.end;
            self.on_frame(lane, frame, message, payload)?;
        }
        Ok(())
    }

    /// A frame, whose payload stands there in the message. Within its callers, as `read` is: handed
    /// over in memory, a frame costs a tenth of all that a call costs (tests/bench, `calls`).
    #[inline(always)]
    fn on_frame(
        &mut self,
        lane: Lane,
        frame: Frame<'_>,
        message: &Bytes,
        payload: Range<usize>,
    ) -> Result<(), Violation> {
        let payload = || message.slice(payload);
        if self.config.is_raw && !frame.goes_over_raw() {
            return Err(Violation::Raw);
        }
        match frame {
            Frame::Hello(_) => Err(Violation::Hello),
            Frame::Call { number, method, deadline, serial } => {
                self.on_call(lane, Asking { number, method, deadline, serial }, payload())
            }
            Frame::Notify { method } => {
                let method = self.names_in.resolve(method).ok_or(Violation::Name)?;
                self.stats.notifications = self.stats.notifications.saturating_add(1);
                self.events.push_back(Event::Notification { method, payload: payload() });
                Ok(())
            }
            Frame::Reply { number } => self.on_answer(number, || Outcome::Reply(payload())),
            Frame::Item { number } => self.on_item(number, payload()),
            Frame::Fail { number, code } => {
                self.on_answer(number, || Outcome::Failed { code, detail: payload() })
            }
            Frame::Refuse { number, refusal } => {
                self.on_answer(number, || refused(refusal, payload()))
            }
            Frame::Control(control) => self.on_control(control),
        }?;
        let is_unread = self.outbox.bytes() > self.unread_max();
        if is_unread { Err(Violation::Unread) } else { Ok(()) }
    }

    fn on_control(&mut self, control: Control<'_>) -> Result<(), Violation> {
        let has_streams = self.pipe.as_ref().is_some_and(|pipe| pipe.pipe.has_lanes);
        if control.is_of_streams() && !has_streams {
            return Err(Violation::Malformed);
        }
        match control {
            Control::Cancel { number, turn } => match self.served.in_turn(number, turn) {
                Some(key) => self.abandon(key, Abandoned::Cancelled),
                None => self.stray(),
            },
            Control::Name { number, name } => {
                if !self.names_in.learn(number, name) {
                    return Err(Violation::Name);
                }
            }
            Control::GoAway { grace_ms } => {
                let grace = Duration::from_millis(grace_ms);
                if let Some(pipe) = &mut self.pipe
                    && !core::mem::replace(&mut pipe.leaving, true)
                {
                    self.events.push_back(Event::GoingAway { grace });
                }
            }
            Control::Window { number, turn, bytes } => self.on_window(number, turn, bytes)?,
            Control::Settled { oldest } => self.settle(oldest),
            Control::Ping => {
                if let Some(pipe) = &mut self.pipe {
                    pipe.owes_pong = true;
                }
            }
            Control::Pong => {}
            Control::Lane { lane, stream } => {
                let lane = Lane::from_number(lane).ok_or(Violation::Malformed)?;
                self.stream_news.push_back(StreamNews::Lane(lane, stream));
            }
            Control::Stream { stream, name } => {
                self.stream_news.push_back(StreamNews::Named(stream, name.into()));
            }
            Control::RefuseStream { stream, reason } => {
                self.stream_news.push_back(StreamNews::Refused(stream, reason.into()));
            }
        }
        Ok(())
    }

    /// An answer, whichever: it ends the call, and its number is free.
    fn on_answer(
        &mut self,
        number: u32,
        outcome: impl FnOnce() -> Outcome,
    ) -> Result<(), Violation> {
        match self.asked.holder(number) {
            Holder::Nobody => return Err(Violation::Number),
            Holder::Late => {
                self.stats.late_answers = self.stats.late_answers.saturating_add(1);
                self.asked.release(number);
            }
            Holder::Call(key) => {
                if let Some(call) = self.asked.remove(key, true) {
                    let outcome = match outcome() {
                        // It did not take the call; but the one before it may have (R-CALL-6).
                        Outcome::Refused { refusal, .. }
                            if call.sent_over().is_some() && refusal.executed() == Executed::No =>
                        {
                            Outcome::Gone { executed: Executed::Unknown }
                        }
                        outcome => outcome,
                    };
                    self.tell_outcome(key, &call, outcome);
                }
            }
        }
        self.send_waiting();
        Ok(())
    }

    /// A part of a reply, within the window (R-CALL-7).
    fn on_item(&mut self, number: u32, payload: Bytes) -> Result<(), Violation> {
        let window = self.config.item_window;
        let key = match self.asked.holder(number) {
            Holder::Nobody => return Err(Violation::Number),
            Holder::Late => {
                self.stray();
                return Ok(());
            }
            Holder::Call(key) => key,
        };
        let Some(call) = self.asked.get_mut(key) else { return Ok(()) };
        let cost = u64::try_from(payload.len()).unwrap_or(u64::MAX).saturating_add(ITEM_COST);
        let items = &mut call.rare().items;
        items.received = items.received.saturating_add(cost);
        if items.received.saturating_sub(items.granted) > window {
            return Err(Violation::Window);
        }
        let (call, bytes) = (CallId(key), payload.len());
        self.events.push_back(Event::Item { call, payload });
        self.item_came(call, bytes);
        Ok(())
    }

    fn on_window(&mut self, number: u32, turn: u32, bytes: u64) -> Result<(), Violation> {
        let Some(key) = self.served.in_turn(number, turn) else {
            self.stray();
            return Ok(());
        };
        let Some(request) = self.served.get_mut(key) else { return Ok(()) };
        request.window = request.window.saturating_add(bytes);
        if request.window > request.window_max {
            return Err(Violation::Window);
        }
        if core::mem::take(&mut request.is_thirsty) {
            self.events.push_back(Event::Thirsty { request: RequestId(key) });
        }
        Ok(())
    }

    fn on_call(&mut self, lane: Lane, asking: Asking<'_>, payload: Bytes) -> Result<(), Violation> {
        let Asking { number, method, deadline, serial } = asking;
        if self.served.by_number(number).is_some() {
            return Err(Violation::Number);
        }
        if number < self.config.calls_max {
            self.served.begin_turn(number);
        }
        let method = self.names_in.resolve(method).ok_or(Violation::Name)?;
        let Some(theirs) = self.pipe.as_ref().and_then(|pipe| pipe.theirs) else {
            return Err(Violation::Hello);
        };
        let window = theirs.item_window;
        if let Some(serial) = serial {
            self.settle(serial.oldest);
            match self.served.keeper.look(serial.serial) {
                Known::New => {}
                known => return self.on_known(lane, number, known, window),
            }
        }
        let wait = match deadline {
            Deadline::None => None,
            Deadline::Default if theirs.deadline_ms == 0 => None,
            Deadline::Default => Some(theirs.deadline_ms),
            Deadline::Millis(millis) => Some(millis),
        };
        if let Some(refusal) = self.refusal(number, wait) {
            self.refuse_by_ourselves(lane, number, refusal);
            return Ok(());
        }
        let deadline = wait.map(|millis| self.now + Duration::from_millis(millis));
        let request = Request {
            lane,
            number: Some(number),
            serial: serial.map(|serial| serial.serial),
            deadline,
            window,
            window_max: window,
            has_items: false,
            is_thirsty: false,
        };
        let request = RequestId(self.served.insert(request));
        self.stats.requests = self.stats.requests.saturating_add(1);
        self.events.push_back(Event::Request { request, method, payload, deadline });
        Ok(())
    }

    /// A call that was here before (R-CALL-6).
    fn on_known(
        &mut self,
        lane: Lane,
        number: u32,
        known: Known,
        window: u64,
    ) -> Result<(), Violation> {
        self.stats.duplicates = self.stats.duplicates.saturating_add(1);
        match known {
            _ if number >= self.config.calls_max => {
                self.refuse_by_ourselves(lane, number, Refusal::Busy.number());
            }
            // Twice over one pipe.
            Known::Running(key)
                if self.served.get(key).is_some_and(|request| request.number.is_some()) =>
            {
                return Err(Violation::Number);
            }
            Known::Running(key) => {
                if self.served.rebind(key, number, lane, window) {
                    self.events.push_back(Event::Thirsty { request: RequestId(key) });
                }
            }
            Known::Answered(answer) => self.put_answer(lane, number, &answer),
            Known::New | Known::Forgotten => {
                self.refuse_by_ourselves(lane, number, Refusal::Forgotten.number());
            }
        }
        Ok(())
    }

    /// The peer has the outcomes of all calls below this serial. What of them is still being done,
    /// with nobody to tell, is called off.
    fn settle(&mut self, oldest: u64) {
        for key in self.served.keeper.settle(oldest) {
            if self.served.get(key).is_some_and(|request| request.number.is_none()) {
                self.abandon(key, Abandoned::Cancelled);
            }
        }
    }

    /// Why we do not even tell the user of a call.
    fn refusal(&self, number: u32, wait: Option<u64>) -> Option<u64> {
        if self.is_leaving() {
            return Some(Refusal::GoingAway.number());
        }
        // Those whose pipe is gone count too.
        let most = usize::try_from(self.config.calls_max).unwrap_or(usize::MAX);
        if number >= self.config.calls_max || self.served.len() >= most {
            return Some(Refusal::Busy.number());
        }
        (wait == Some(0)).then_some(REFUSED_DEADLINE)
    }

    fn refuse_by_ourselves(&mut self, lane: Lane, number: u32, refusal: u64) {
        self.stats.refused = self.stats.refused.saturating_add(1);
        self.put_answer(lane, number, &Answer::Refuse { refusal, detail: Bytes::new() });
    }

    fn stray(&mut self) {
        self.stats.stray = self.stats.stray.saturating_add(1);
    }

    /// Calls whose pipe is gone, now that the peer has said since which pipe it remembers: it is
    /// asked again for what it knows, and for what may be done twice.
    pub(super) fn settle_doubts(&mut self, since: u64) {
        let doubts = self.asked.serials().into_iter().rev();
        let mut gone = Vec::new();
        for key in doubts {
            let Some(call) = self.asked.get_mut(key).filter(|call| call.stage == Stage::Doubt)
            else {
                continue;
            };
            if call.sent_over() >= Some(since) || call.retry == Retry::Idempotent {
                call.stage = Stage::Waiting;
                self.asked.wait(key, true);
                self.stats.asked_again = self.stats.asked_again.saturating_add(1);
            } else {
                gone.push(key);
            }
        }
        for key in gone.into_iter().rev() {
            if let Some(call) = self.asked.remove(key, true) {
                let outcome = Outcome::Gone { executed: Executed::Unknown };
                self.tell_outcome(key, &call, outcome);
            }
        }
    }
}
