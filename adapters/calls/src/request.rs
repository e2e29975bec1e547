//! What others ask and say.

use crate::caller::Caller;
use crate::error::CallError;
use crate::format::{Format, FormatError, Postcard};
use crate::front::{Answer, Topic};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tripline_rpc::{AnswerError, Method, Refusal, RequestId};
use tripline_sansio::{Duration, Instant};

/// Something that has come.
#[derive(Debug)]
pub enum Arrived {
    /// It wants an answer.
    Request(Request),
    /// It wants none.
    Notice(Notice),
}

/// Something that was said and wants no answer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Notice {
    /// Who says it.
    pub caller: Caller,
    /// What about.
    pub method: Method,
    /// What.
    pub payload: Bytes,
}

impl Notice {
    /// The payload as a value, in postcard.
    ///
    /// # Errors
    /// If it is no such value.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, FormatError> {
        Postcard::read(&self.payload)
    }
}

/// Why a handler has no answer: its own *no*, with a code and a text, or a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The application says no: [`CallError::code`] has the code at the caller.
    No {
        /// The application's code.
        code: i32,
        /// What it says besides.
        detail: Bytes,
    },
    /// It was not executed.
    Refused {
        /// Why.
        refusal: Refusal,
        /// What is said besides.
        detail: Bytes,
    },
}

impl Failure {
    /// The application's *no*.
    pub fn new(code: i32, detail: impl Into<Bytes>) -> Self {
        Self::No { code, detail: detail.into() }
    }

    /// The handler does not want to; it has done nothing.
    pub fn denied(detail: impl Into<Bytes>) -> Self {
        Self::Refused { refusal: Refusal::Denied, detail: detail.into() }
    }
}

impl From<FormatError> for Failure {
    /// What was asked is no such value: nothing was done.
    fn from(error: FormatError) -> Self {
        Self::denied(error.to_string())
    }
}

/// A call of the other side's. It is answered once; dropped without an answer, its caller hears
/// that there is none.
#[derive(Debug)]
#[must_use = "a request that is dropped is refused"]
pub struct Request {
    caller: Caller,
    id: RequestId,
    method: Method,
    payload: Bytes,
    deadline: Option<Instant>,
    is_answered: bool,
}

impl Request {
    pub(crate) fn new(
        caller: Caller,
        id: RequestId,
        method: Method,
        payload: Bytes,
        deadline: Option<Instant>,
    ) -> Self {
        Self { caller, id, method, payload, deadline, is_answered: false }
    }

    /// Who asks; it can be asked in turn.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// What for.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// With what.
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// The payload as a value, in postcard.
    ///
    /// # Errors
    /// If it is no such value.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, FormatError> {
        Postcard::read(&self.payload)
    }

    /// How long the caller still waits; `None`: for ever.
    pub fn time_left(&self) -> Option<Duration> {
        let now = self.caller.shared().now();
        self.deadline.map(|deadline| deadline.saturating_duration_since(now))
    }

    /// Whether somebody still waits for the answer.
    pub fn is_waiting(&self) -> bool {
        let (conn, id) = (self.caller.id(), self.id);
        self.caller.shared().visit(|front, _| front.is_waiting(conn, id))
    }

    /// Waits until nobody waits for the answer any more: the call is called off, its time is up, or
    /// the caller is gone.
    ///
    /// Cancel-safe: it only waits.
    pub async fn abandoned(&self) {
        let (conn, id) = (self.caller.id(), self.id);
        let gone = self
            .caller
            .shared()
            .wait(Topic::Request(conn, id), |front, _| (!front.is_waiting(conn, id)).then_some(()));
        gone.await;
    }

    /// Answers. While too much waits to be sent, the answer waits too.
    ///
    /// # Errors
    /// [`AnswerError::Unknown`] if nobody waits any more; [`AnswerError::TooLarge`]: then the
    /// caller hears that there is no answer.
    pub fn reply(self, payload: impl Into<Bytes>) -> Result<(), AnswerError> {
        self.answer(Answer::Reply(payload.into()))
    }

    /// Answers with a value, in postcard.
    ///
    /// # Errors
    /// [`CallError::Format`] if it cannot be written; else as [`Self::reply`].
    pub fn reply_value<T: Serialize + ?Sized>(self, value: &T) -> Result<(), CallError> {
        let payload = Postcard::write(value)?;
        self.reply(payload).map_err(|error| CallError::Format(error.to_string()))
    }

    /// Answers with the application's *no* (row N03).
    ///
    /// # Errors
    /// As [`Self::reply`].
    pub fn fail(self, code: i32, detail: impl Into<Bytes>) -> Result<(), AnswerError> {
        self.answer(Answer::Fail(code, detail.into()))
    }

    /// Does not take it.
    ///
    /// # Errors
    /// As [`Self::reply`].
    pub fn refuse(self, refusal: Refusal, detail: impl Into<Bytes>) -> Result<(), AnswerError> {
        self.answer(Answer::Refuse(refusal, detail.into()))
    }

    /// Answers with what a handler has come to.
    ///
    /// # Errors
    /// As [`Self::reply`].
    pub fn end(self, result: Result<Bytes, Failure>) -> Result<(), AnswerError> {
        self.answer(match result {
            Ok(payload) => Answer::Reply(payload),
            Err(Failure::No { code, detail }) => Answer::Fail(code, detail),
            Err(Failure::Refused { refusal, detail }) => Answer::Refuse(refusal, detail),
        })
    }

    fn answer(mut self, answer: Answer) -> Result<(), AnswerError> {
        let (conn, id) = (self.caller.id(), self.id);
        let told = self.caller.shared().with(|front, now| front.answer(now, conn, id, answer));
        // One that is too long leaves the request open: it is refused when this is dropped.
        self.is_answered = !matches!(told, Err(AnswerError::TooLarge { .. }));
        told
    }

    /// Sends a part of the answer, as soon as the caller takes it.
    ///
    /// Cancel-safe: the part is sent whole or not at all.
    ///
    /// # Errors
    /// [`AnswerError::Unknown`] if nobody waits any more; [`AnswerError::TooLarge`].
    pub async fn item(&self, payload: impl Into<Bytes>) -> Result<(), AnswerError> {
        let (conn, id, payload) = (self.caller.id(), self.id, payload.into());
        let sent = self.caller.shared().wait(Topic::Request(conn, id), |front, now| {
            if front.over.is_some() {
                return Some(Err(AnswerError::Unknown));
            }
            match front.node.item(now, conn, id, payload.clone()) {
                Err(AnswerError::Blocked) => None,
                told => {
                    front.nudge();
                    Some(told)
                }
            }
        });
        sent.await
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if !self.is_answered {
            let (conn, id) = (self.caller.id(), self.id);
            self.caller.shared().leave(move |front, now| {
                let answer = Answer::Refuse(Refusal::Unanswered, Bytes::new());
                // Nobody may wait any more.
                let _ = front.answer(now, conn, id, answer);
            });
        }
    }
}
