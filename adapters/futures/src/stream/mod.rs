//! A stream in the user's hands, whole or as two halves.

mod bytes;
mod messages;
#[cfg(feature = "tokio")]
mod tokio;

use crate::connection::Owner;
use crate::shared::Shared;
use crate::waits::{Ticket, Topic};
use ::bytes::Bytes;
use std::sync::Arc;
use tripline::{Code, ConnectionHandle, SendOptions, StreamId};
use tripline_common::{Error, Settled};

/// A stream of a [`Connection`](crate::Connection): messages, or bytes. It is also a
/// `futures_io::AsyncRead` and `AsyncWrite` for streams of bytes (and with the feature `tokio` the
/// traits of that name of tokio), a `futures_core::Stream` and a `futures_sink::Sink` of messages.
///
/// Calls for messages work on `&self`, so one task may send while another receives;
/// [`Self::split`] gives each its own half. A stream that is dropped is finished (what was handed
/// in still goes out) and read no further.
#[derive(Debug)]
pub struct Stream {
    send: SendStream,
    recv: RecvStream,
}

/// The sending half of a [`Stream`]. Dropped, it is finished; what was handed in still goes out.
#[derive(Debug)]
pub struct SendStream {
    half: Half,
    /// A message that the sink took and the engine not yet.
    held: Option<Bytes>,
}

/// The receiving half of a [`Stream`]. Dropped, it is read no further, and the peer told so.
#[derive(Debug)]
pub struct RecvStream {
    half: Half,
    /// The end was given out by the `futures_core::Stream`.
    ended: bool,
}

/// What the two halves have in common.
#[derive(Debug)]
struct Half {
    id: StreamId,
    owner: Arc<Owner>,
    /// Of the calls by `poll`, of which there is one at a time.
    ticket: Ticket,
}

impl Half {
    fn new(id: StreamId, owner: &Arc<Owner>) -> Self {
        Self { id, owner: Arc::clone(owner), ticket: None }
    }

    fn shared(&self) -> &Shared {
        self.owner.shared()
    }

    fn place(&self) -> (ConnectionHandle, StreamId) {
        (self.owner.handle, self.id)
    }
}

impl Stream {
    pub(crate) fn new(id: StreamId, owner: &Arc<Owner>) -> Self {
        let send = SendStream { half: Half::new(id, owner), held: None };
        Self { send, recv: RecvStream { half: Half::new(id, owner), ended: false } }
    }

    /// The two halves, for two tasks. Of a one-way stream one of them is of no use.
    pub fn split(self) -> (SendStream, RecvStream) {
        (self.send, self.recv)
    }

    /// The sending half.
    pub fn sending(&mut self) -> &mut SendStream {
        &mut self.send
    }

    /// The receiving half.
    pub fn receiving(&mut self) -> &mut RecvStream {
        &mut self.recv
    }

    /// The stream's name: its index, order, direction and opener.
    pub fn id(&self) -> StreamId {
        self.send.id()
    }

    /// As [`SendStream::send`]. Cancel-safe: nothing was taken unless it says so.
    ///
    /// # Errors
    /// As [`SendStream::send`].
    pub async fn send(&self, message: impl Into<Bytes>) -> Result<(), Error> {
        self.send.send(message).await
    }

    /// As [`SendStream::send_with`]. Cancel-safe: nothing was taken unless it says so.
    ///
    /// # Errors
    /// As [`SendStream::send`].
    pub async fn send_with(
        &self,
        message: impl Into<Bytes>,
        options: SendOptions,
    ) -> Result<(), Error> {
        self.send.send_with(message, options).await
    }

    /// As [`RecvStream::receive`]. Cancel-safe: what is not given out stays.
    ///
    /// # Errors
    /// As [`RecvStream::receive`].
    pub async fn receive(&self) -> Result<Option<Bytes>, Error> {
        self.recv.receive().await
    }

    /// As [`SendStream::finish`].
    pub fn finish(&self) {
        self.send.finish();
    }

    /// As [`SendStream::reset`].
    pub fn reset(&self, code: Code) {
        self.send.reset(code);
    }

    /// As [`RecvStream::stop`].
    pub fn stop(&self, code: Code) {
        self.recv.stop(code);
    }

    /// As [`SendStream::set_priority`].
    pub fn set_priority(&self, priority: u8) {
        self.send.set_priority(priority);
    }

    /// As [`SendStream::settled`]. Cancel-safe: nothing is changed by waiting.
    ///
    /// # Errors
    /// As [`SendStream::settled`].
    pub async fn settled(&self) -> Result<Settled, Error> {
        self.send.settled().await
    }

    /// As [`SendStream::progress`].
    pub fn progress(&self) -> Settled {
        self.send.progress()
    }
}

impl SendStream {
    /// The stream's name: its index, order, direction and opener.
    pub fn id(&self) -> StreamId {
        self.half.id
    }

    /// Sends a reliable message, or a chunk of a byte stream. Waits while too much is waiting
    /// already (row T44); done once the engine has taken the message, not when it has arrived.
    ///
    /// A [`Bytes`] or `Vec<u8>` is kept without a copy.
    ///
    /// Cancel-safe: dropped before it is done, nothing was taken.
    ///
    /// # Errors
    /// [`Error::Send`], [`Error::StreamStopped`], or the end of the connection; the message was not
    /// taken then.
    pub async fn send(&self, message: impl Into<Bytes>) -> Result<(), Error> {
        self.send_with(message, SendOptions::default()).await
    }

    /// Sends a message as the options say.
    ///
    /// Cancel-safe: as [`Self::send`].
    ///
    /// # Errors
    /// As [`Self::send`]; byte streams take only the default options.
    pub async fn send_with(
        &self,
        message: impl Into<Bytes>,
        options: SendOptions,
    ) -> Result<(), Error> {
        let data: Bytes = message.into();
        let (handle, id) = self.half.place();
        let topic = Topic::Writable(handle, id);
        let send = self
            .half
            .shared()
            .wait(topic, |front, now| front.send(now, handle, id, || data.clone(), options));
        send.await
    }

    /// Says that we send no more; what was handed in still goes out.
    pub fn finish(&self) {
        let (handle, id) = self.half.place();
        self.half.shared().with(|front, now| front.finish(now, handle, id));
    }

    /// Ends our half here and now; what the peer does not have yet is dropped. (The blocking
    /// interface calls this `close`, which means something else to an `AsyncWrite` and a `Sink`.)
    pub fn reset(&self, code: Code) {
        let (handle, id) = self.half.place();
        self.half.shared().with(|front, now| front.close_stream(now, handle, id, code));
    }

    /// Changes the priority, 0 (most urgent) to 7 (row T47).
    pub fn set_priority(&self, priority: u8) {
        let (handle, id) = self.half.place();
        self.half.shared().with(|front, now| front.set_priority(now, handle, id, priority));
    }

    /// Waits until it is known of every message handed in so far what became of it (row T30).
    ///
    /// Cancel-safe: nothing is changed by waiting.
    ///
    /// # Errors
    /// The end of the connection, if not all is known by then.
    pub async fn settled(&self) -> Result<Settled, Error> {
        let (handle, id) = self.half.place();
        let shared = self.half.shared();
        let (_, handed) = shared.with(|front, _| front.settled(handle, id));
        let topic = Topic::Settled(handle, id);
        shared.wait(topic, |front, _| front.all_settled(handle, id, handed)).await
    }

    /// What is known so far of the messages handed in; never waits.
    pub fn progress(&self) -> Settled {
        let (handle, id) = self.half.place();
        self.half.shared().with(|front, _| front.settled(handle, id).0)
    }
}

impl Drop for SendStream {
    fn drop(&mut self) {
        let (handle, id) = self.half.place();
        let (held, mut ticket) = (self.held.take(), self.half.ticket.take());
        self.half.shared().leave(move |front, now| {
            front.waits.forget(Topic::Writable(handle, id), &mut ticket);
            if let Some(held) = held {
                // What a sink took and nobody flushed goes if there is room, as files have it.
                let _ = front.send(now, handle, id, || held, SendOptions::default());
            }
            front.finish(now, handle, id);
            front.drop_half(handle, id);
        });
    }
}

impl RecvStream {
    /// The stream's name: its index, order, direction and opener.
    pub fn id(&self) -> StreamId {
        self.half.id
    }

    /// The next message, or chunk of a byte stream; `None` once the peer has sent everything.
    ///
    /// Cancel-safe: a message is given out or stays.
    ///
    /// # Errors
    /// [`Error::StreamClosed`] if the peer ended the stream early, or the end of the connection;
    /// all that had arrived comes first.
    pub async fn receive(&self) -> Result<Option<Bytes>, Error> {
        let (handle, id) = self.half.place();
        let topic = Topic::Readable(handle, id);
        self.half.shared().wait(topic, |front, now| front.receive(now, handle, id)).await
    }

    /// Tells the peer to send no more; what still comes is dropped.
    pub fn stop(&self, code: Code) {
        let (handle, id) = self.half.place();
        self.half.shared().with(|front, now| front.stop(now, handle, id, code));
    }
}

impl Drop for RecvStream {
    fn drop(&mut self) {
        let (handle, id) = self.half.place();
        let mut ticket = self.half.ticket.take();
        self.half.shared().leave(move |front, now| {
            front.waits.forget(Topic::Readable(handle, id), &mut ticket);
            front.stop(now, handle, id, Code::NONE);
            front.drop_half(handle, id);
        });
    }
}
