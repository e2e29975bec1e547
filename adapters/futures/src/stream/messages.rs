//! Streams of messages as a `Stream` and a `Sink` of the crates futures-core and futures-sink.

use super::{Half, RecvStream, SendStream, Stream};
use crate::waits::Topic;
use bytes::Bytes;
use futures_sink::Sink;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tripline_common::Error;

/// The messages (or chunks of bytes) as they come; the end once, well or with an error.
impl futures_core::Stream for RecvStream {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let (handle, id) = self.half.place();
        let Half { owner, ticket, .. } = &mut self.half;
        let topic = Topic::Readable(handle, id);
        let look =
            owner.shared().poll(topic, ticket, cx, |front, now| front.receive(now, handle, id));
        let item = ready!(look).transpose();
        self.ended = !matches!(item, Some(Ok(_)));
        Poll::Ready(item)
    }
}

/// Reliable messages. `flush` is done once the engine has taken what was handed in, not when it has
/// arrived; `close` is [`SendStream::finish`] after that.
impl Sink<Bytes> for SendStream {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_held(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Bytes) -> Result<(), Error> {
        self.held = Some(message);
        // Most often there is room; if not, whoever asks for readiness next is woken.
        match self.poll_held(&mut Context::from_waker(std::task::Waker::noop())) {
            Poll::Ready(result) => result,
            Poll::Pending => Ok(()),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_held(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.poll_held(cx))?;
        self.finish();
        Poll::Ready(Ok(()))
    }
}

impl SendStream {
    /// Hands in the message that the sink holds, if it holds one.
    fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let Some(held) = self.held.take() else { return Poll::Ready(Ok(())) };
        let sent = self.poll_send(cx, || held.clone());
        if sent.is_pending() {
            self.held = Some(held);
        }
        sent
    }
}

/// As for [`RecvStream`].
impl futures_core::Stream for Stream {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        futures_core::Stream::poll_next(Pin::new(&mut self.recv), cx)
    }
}

/// As for [`SendStream`].
impl Sink<Bytes> for Stream {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.send).poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Bytes) -> Result<(), Error> {
        Pin::new(&mut self.send).start_send(message)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.send).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Sink::poll_close(Pin::new(&mut self.send), cx)
    }
}
