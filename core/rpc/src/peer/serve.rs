//! What the peer asks of us, and our answers.

use super::{Peer, State};
use crate::bounds::ITEM_COST;
use crate::event::{Abandoned, Event, RequestId};
use crate::kept::Answer;
use crate::lane::Lane;
use crate::outcome::{AnswerError, REFUSED_CANCELLED, REFUSED_DEADLINE, Refusal};
use crate::payload::Payload;
use crate::served::Request;
use crate::slots::Key;
use crate::wire::Frame;
use bytes::Bytes;
use tripline::SendOptions;
use tripline_sansio::Instant;

impl Peer {
    /// Answers a request.
    ///
    /// # Errors
    /// See [`AnswerError`].
    pub fn reply<'a>(
        &mut self,
        now: Instant,
        request: RequestId,
        payload: impl Into<Payload<'a>>,
    ) -> Result<(), AnswerError> {
        self.tick(now);
        let payload = payload.into();
        self.may_answer(request.0, payload.as_slice().len())?;
        let Some(done) = self.served.remove(request.0) else { return Err(AnswerError::Unknown) };
        self.stats.answered = self.stats.answered.saturating_add(1);
        match done.serial {
            None => {
                let Some(number) = done.number else { return Ok(()) };
                self.put(done.lane, &Frame::Reply { number }, payload, SendOptions::default());
            }
            Some(serial) => {
                let answer = Answer::Reply(payload.into_bytes());
                self.answer_kept(&done, serial, answer);
            }
        }
        self.tend_leaving(now);
        Ok(())
    }

    /// Answers a request with the application's *no* (row N03).
    ///
    /// # Errors
    /// See [`AnswerError`].
    pub fn fail<'a>(
        &mut self,
        now: Instant,
        request: RequestId,
        code: i32,
        detail: impl Into<Payload<'a>>,
    ) -> Result<(), AnswerError> {
        self.tick(now);
        let detail = detail.into();
        self.may_answer(request.0, detail.as_slice().len())?;
        self.answer(request.0, Answer::Fail { code, detail: detail.into_bytes() });
        self.tend_leaving(now);
        Ok(())
    }

    /// Does not take a request: it was not executed, and the caller may ask somebody else.
    ///
    /// # Errors
    /// See [`AnswerError`].
    pub fn refuse<'a>(
        &mut self,
        now: Instant,
        request: RequestId,
        refusal: Refusal,
        detail: impl Into<Payload<'a>>,
    ) -> Result<(), AnswerError> {
        self.tick(now);
        let detail = detail.into();
        self.may_answer(request.0, detail.as_slice().len())?;
        let (refusal, detail) = (refusal.number(), detail.into_bytes());
        self.answer(request.0, Answer::Refuse { refusal, detail });
        self.tend_leaving(now);
        Ok(())
    }

    /// Sends a part of a streaming reply; [`Self::reply`] or [`Self::fail`] ends it.
    ///
    /// # Errors
    /// See [`AnswerError`].
    pub fn item<'a>(
        &mut self,
        now: Instant,
        request: RequestId,
        payload: impl Into<Payload<'a>>,
    ) -> Result<(), AnswerError> {
        self.tick(now);
        let payload = payload.into();
        let len = payload.as_slice().len();
        // So much is granted again whatever was sent before: the caller grants at every half.
        let half = self.served.get(request.0).map_or(u64::MAX, |open| open.window_max.div_ceil(2));
        let max = usize::try_from(half.saturating_sub(ITEM_COST)).unwrap_or(usize::MAX);
        if len > max {
            return Err(AnswerError::TooLarge { max: max.min(self.payload_max()) });
        }
        if let Err(error) = self.may_answer(request.0, len) {
            if error == AnswerError::Blocked
                && let Some(open) = self.served.get_mut(request.0)
            {
                open.is_thirsty = true;
                self.items_blocked = true;
            }
            return Err(error);
        }
        let Some(open) = self.served.get_mut(request.0) else { return Err(AnswerError::Unknown) };
        let cost = u64::try_from(len).unwrap_or(u64::MAX).saturating_add(ITEM_COST);
        let Some(number) = open.number else {
            // Its pipe is gone, and the caller may come again.
            open.is_thirsty = true;
            return Err(AnswerError::Blocked);
        };
        let Some(rest) = open.window.checked_sub(cost) else {
            open.is_thirsty = true;
            return Err(AnswerError::Blocked);
        };
        (open.window, open.has_items) = (rest, true);
        // Items come in order, and before the answer.
        open.lane = open.lane.in_order();
        let lane = open.lane;
        self.put(lane, &Frame::Item { number }, payload, SendOptions::default());
        Ok(())
    }

    /// Until when the caller waits; `None`: for ever, or not at all any more.
    pub fn request_deadline(&self, request: RequestId) -> Option<Instant> {
        self.served.get(request.0)?.deadline
    }

    /// Whether somebody still waits for this answer.
    pub fn is_waiting(&self, request: RequestId) -> bool {
        self.served.get(request.0).is_some()
    }

    fn may_answer(&mut self, key: Key, len: usize) -> Result<(), AnswerError> {
        if self.served.get(key).is_none() {
            self.stats.unwanted_answers = self.stats.unwanted_answers.saturating_add(1);
            return Err(AnswerError::Unknown);
        }
        let max = self.payload_max();
        if len > max {
            return Err(AnswerError::TooLarge { max });
        }
        if self.outbox.bytes() >= self.answers_max() {
            self.was_blocked = true;
            return Err(AnswerError::Blocked);
        }
        Ok(())
    }

    /// Ends a request with an answer that has no payload, or little.
    fn answer(&mut self, key: Key, answer: Answer) {
        let Some(done) = self.served.remove(key) else { return };
        self.stats.answered = self.stats.answered.saturating_add(1);
        self.conclude(&done, answer);
    }

    /// Says the answer of a request that is over, and keeps it for who may ask again.
    fn conclude(&mut self, done: &Request, answer: Answer) {
        match (done.serial, done.number) {
            (Some(serial), _) => self.answer_kept(done, serial, answer),
            (None, Some(number)) => self.put_answer(done.lane, number, &answer),
            // Its pipe is gone, and nobody asks again.
            (None, None) => {}
        }
    }

    fn answer_kept(&mut self, done: &Request, serial: u64, mut answer: Answer) {
        if let Some(number) = done.number {
            self.put_answer(done.lane, number, &answer);
        }
        if done.has_items {
            // Over another pipe it would come without them (R-CALL-6).
            let refusal = Refusal::Forgotten.number();
            answer = Answer::Refuse { refusal, detail: Bytes::new() };
        }
        if self.served.keeper.is_wanted(serial) {
            self.served.keeper.keep(serial, answer);
        } else {
            self.served.keeper.forget(serial);
        }
    }

    pub(super) fn put_answer(&mut self, lane: Lane, number: u32, answer: &Answer) {
        let (frame, payload) = match answer {
            Answer::Reply(payload) => (Frame::Reply { number }, payload),
            Answer::Fail { code, detail } => (Frame::Fail { number, code: *code }, detail),
            Answer::Refuse { refusal, detail } => {
                (Frame::Refuse { number, refusal: *refusal }, detail)
            }
        };
        self.put(lane, &frame, Payload::Bytes(payload.clone()), SendOptions::default());
    }

    /// Ends a request by ourselves, and tells its handler.
    pub(super) fn abandon(&mut self, key: Key, why: Abandoned) {
        let Some(done) = self.served.remove(key) else { return };
        let refusal = match why {
            Abandoned::Deadline => REFUSED_DEADLINE,
            Abandoned::Cancelled => REFUSED_CANCELLED,
            Abandoned::GoingAway => Refusal::Unanswered.number(),
            Abandoned::Gone => Refusal::Forgotten.number(),
        };
        let answer = Answer::Refuse { refusal, detail: Bytes::new() };
        self.conclude(&done, answer);
        self.events.push_back(Event::Abandoned { request: RequestId(key), why });
        if let State::Leaving { .. } = self.state {
            self.tend_leaving(self.now);
        }
    }

    pub(super) fn request_is_late(&mut self, key: Key) {
        self.abandon(key, Abandoned::Deadline);
    }
}
