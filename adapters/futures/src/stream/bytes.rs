//! Streams of bytes as files: `AsyncRead` and `AsyncWrite` of the crate futures-io.

use super::{Half, RecvStream, SendStream, Stream};
use crate::front::Front;
use crate::waits::Topic;
use bytes::Bytes;
use futures_io::{AsyncRead, AsyncWrite};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tripline::SendOptions;

/// Larger writes to a byte stream are cut into chunks of this many bytes.
const CHUNK: usize = 64 << 10;

impl RecvStream {
    /// Fills `buffer` as far as there is something; waits only if there is nothing, 0 is the end.
    pub(super) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Front::only_bytes(self.half.id)?;
        let (handle, id) = self.half.place();
        let Half { owner, ticket, .. } = &mut self.half;
        let look = |front: &mut Front, now| match buffer.is_empty() {
            true => Some(Ok(0)),
            false => front.read(now, handle, id, buffer),
        };
        let filled = ready!(owner.shared().poll(Topic::Readable(handle, id), ticket, cx, look));
        Poll::Ready(filled.map_err(io::Error::from))
    }
}

impl SendStream {
    /// Hands in what fits into a chunk; waits while too much is waiting already (row T44).
    pub(super) fn poll_hand_in(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Front::only_bytes(self.half.id)?;
        let chunk = &bytes[..bytes.len().min(CHUNK)];
        if chunk.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let copy = || Bytes::copy_from_slice(chunk);
        ready!(self.poll_send(cx, copy)).map_err(io::Error::from)?;
        Poll::Ready(Ok(chunk.len()))
    }

    /// Hands in a message or chunk.
    pub(super) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        data: impl FnOnce() -> Bytes,
    ) -> Poll<Result<(), tripline_common::Error>> {
        let (handle, id) = self.half.place();
        let Half { owner, ticket, .. } = &mut self.half;
        owner.shared().poll(Topic::Writable(handle, id), ticket, cx, |front, now| {
            front.send(now, handle, id, data, SendOptions::default())
        })
    }
}

/// Byte streams only.
impl AsyncRead for RecvStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_fill(cx, buffer)
    }
}

/// Byte streams only. Each write goes out at once, so small ones are best put behind a buffer;
/// `flush` has nothing to do, and `close` is [`SendStream::finish`].
impl AsyncWrite for SendStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_hand_in(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.finish();
        Poll::Ready(Ok(()))
    }
}

/// Byte streams only.
impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.recv.poll_fill(cx, buffer)
    }
}

/// Byte streams only; as for [`SendStream`].
impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.send.poll_hand_in(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.finish();
        Poll::Ready(Ok(()))
    }
}
