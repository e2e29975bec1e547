//! One call, until it has its answer.

use crate::caller::Caller;
use crate::error::CallError;
use crate::format::{Format, FormatError};
use crate::front::{CallBook, Topic};
use bytes::Bytes;
use futures_core::Stream;
use serde::de::DeserializeOwned;
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tripline_common::Ticket;
use tripline_rpc::{AskError, CallId, CallOptions, Executed, MethodRef, Outcome};

/// A call: a future whose end is the answer. Dropped before, it is called off.
///
/// Who has no runtime says [`Call::wait`].
#[derive(Debug)]
#[must_use = "a call that is dropped is called off"]
pub struct Call {
    caller: Caller,
    stage: Stage,
    /// Of the waker that waits, and where.
    ticket: Ticket,
}

#[derive(Debug)]
enum Stage {
    /// It was refused here and now.
    NotTaken(AskError),
    Asked(CallId),
    Over,
}

impl Call {
    pub(crate) fn new(
        caller: Caller,
        method: MethodRef<'_>,
        payload: Bytes,
        options: CallOptions,
        wants_items: bool,
    ) -> Self {
        let options = CallOptions { waits_for_room: true, ..options };
        let asked = caller
            .shared()
            .with(|front, now| front.ask(now, caller.id(), method, payload, options, wants_items));
        let stage = match asked {
            Ok(call) => Stage::Asked(call),
            Err(error) => Stage::NotTaken(error),
        };
        Self { caller, stage, ticket: None }
    }

    /// Waits for the answer on this thread.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn wait(self) -> Result<Bytes, CallError> {
        crate::wait(self)
    }

    /// The call, if it was taken and has no outcome that was given out.
    fn asked(&self) -> Result<CallId, AskError> {
        match self.stage {
            Stage::Asked(call) => Ok(call),
            Stage::NotTaken(error) => Err(error),
            Stage::Over => Err(AskError::Ended),
        }
    }

    /// The next part of a streaming reply; `None`: there is none, and the outcome is there.
    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let Ok(call) = self.asked() else { return Poll::Ready(None) };
        let (conn, topic) = (self.caller.id(), Topic::Call(self.caller.id(), call));
        self.caller.shared().poll(topic, &mut self.ticket, cx, |front, now| {
            let is_over = front.over.is_some();
            let Some(book) = front.call(conn, call) else { return Some(None) };
            if let Some(item) = book.items.pop_front() {
                let len = item.len();
                front.node.with(now, conn, |peer, _| peer.consumed(call, len));
                front.nudge();
                return Some(Some(item));
            }
            (book.outcome.is_some() || is_over).then_some(None)
        })
    }

    fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, CallError>> {
        let call = match self.asked() {
            Ok(call) => call,
            Err(error) => {
                self.stage = Stage::Over;
                return Poll::Ready(Err(error.into()));
            }
        };
        let (conn, topic) = (self.caller.id(), Topic::Call(self.caller.id(), call));
        let found = self.caller.shared().poll(topic, &mut self.ticket, cx, |front, _| {
            let is_over = front.over.is_some();
            match front.call(conn, call) {
                Some(CallBook { outcome: None, .. }) if !is_over => None,
                _ => Some(front.calls.remove(&(conn, call)).and_then(|book| book.outcome)),
            }
        });
        let outcome = ready!(found);
        self.stage = Stage::Over;
        Poll::Ready(match outcome.map(Outcome::into_result) {
            Some(result) => result.map_err(CallError::from),
            // Whoever drove the node has ended: nobody knows what became of it.
            None => {
                Outcome::Gone { executed: Executed::Unknown }.into_result().map_err(CallError::from)
            }
        })
    }
}

impl Future for Call {
    type Output = Result<Bytes, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_outcome(cx)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let Stage::Asked(call) = self.stage else { return };
        let (conn, mut ticket) = (self.caller.id(), self.ticket.take());
        self.caller.shared().leave(move |front, now| {
            front.waits.forget(Topic::Call(conn, call), &mut ticket);
            front.calls.remove(&(conn, call));
            front.node.cancel(now, conn, call);
        });
    }
}

/// A streaming reply: a [`Stream`] of its parts, behind which [`Items::end`] has the answer.
#[derive(Debug)]
#[must_use = "a call that is dropped is called off"]
pub struct Items {
    call: Call,
}

impl Items {
    pub(crate) fn new(call: Call) -> Self {
        Self { call }
    }

    /// The next part; `None`: there are no more, whatever the end is.
    ///
    /// Cancel-safe: a part is given out or stays.
    pub async fn next(&mut self) -> Option<Bytes> {
        poll_fn(|cx| self.call.poll_item(cx)).await
    }

    /// The answer behind the parts. Parts that were not taken are dropped.
    pub fn end(self) -> Call {
        let Self { call } = self;
        if let Stage::Asked(id) = call.stage {
            let conn = call.caller.id();
            call.caller.shared().with(|front, now| {
                let Some(book) = front.call(conn, id) else { return };
                book.wants_no_items = true;
                for item in std::mem::take(&mut book.items) {
                    front.node.with(now, conn, |peer, _| peer.consumed(id, item.len()));
                }
            });
        }
        call
    }
}

impl Stream for Items {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.call.poll_item(cx)
    }
}

/// A call whose answer is a value of type `Rep` in the format `F`.
#[derive(Debug)]
#[must_use = "a call that is dropped is called off"]
pub struct TypedCall<F, Rep> {
    call: Result<Call, Option<FormatError>>,
    answer: PhantomData<fn() -> (F, Rep)>,
}

impl<F: Format, Rep: DeserializeOwned> TypedCall<F, Rep> {
    pub(crate) fn new(call: Result<Call, FormatError>) -> Self {
        Self { call: call.map_err(Some), answer: PhantomData }
    }

    /// Waits for the answer on this thread.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn wait(self) -> Result<Rep, CallError> {
        crate::wait(self)
    }
}

impl<F: Format, Rep: DeserializeOwned> Future for TypedCall<F, Rep> {
    type Output = Result<Rep, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = match &mut self.call {
            Ok(call) => ready!(Pin::new(call).poll(cx))?,
            Err(error) => {
                let error = error.take().map_or_else(|| AskError::Ended.into(), CallError::from);
                return Poll::Ready(Err(error));
            }
        };
        Poll::Ready(F::read(&answer).map_err(CallError::from))
    }
}
