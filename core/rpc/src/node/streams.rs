//! Named streams: streams of the transport beside the calls, with names, refusals and fates (rows
//! N05, N08, N09, N11).
//!
//! Only TRiP has them (over UDP, or over a link: `trip+tcp://`); a plain run of bytes carries calls
//! alone. A stream lives as long as the pipe that it was opened on.

use super::Node;
use super::conn::{Line, TripLine};
use super::event::{ConnId, NamedStream, NodeEvent};
use crate::method::is_name;
use crate::peer::StreamNews;
use crate::slots::Key;
use alloc::sync::Arc;
use bytes::Bytes;
use core::fmt;
use tripline::{
    Code, ConnectionHandle, Endpoint, Fate, MessageToken, OpenError, ReceiveError, ReceiveResult,
    SendError, SendOptions, StreamError, StreamId, StreamOptions,
};
use tripline_sansio::Instant;

/// Why a command on named streams was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamFailure {
    /// The connection is over.
    UnknownConn,
    /// There is no pipe now, or not the one that the stream belongs to.
    NoPipe,
    /// What carries the connection has no streams: it takes TRiP.
    NoStreams,
    /// A name has 1 to 255 bytes, and on a raw connection none.
    BadName,
    /// The transport opens none.
    Open(OpenError),
    /// The transport does not send it.
    Send(SendError),
    /// The transport has nothing to receive there.
    Receive(ReceiveError),
    /// The transport does not do that.
    Stream(StreamError),
}

impl fmt::Display for StreamFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownConn => f.write_str("the connection is over"),
            Self::NoPipe => f.write_str("the stream ended with its connection"),
            Self::NoStreams => {
                f.write_str("plain UDP, TCP and TLS carry calls alone; streams take a trip address")
            }
            Self::BadName => {
                f.write_str("a name has 1 to 255 bytes; on a raw connection it is empty")
            }
            Self::Open(error) => error.fmt(f),
            Self::Send(error) => error.fmt(f),
            Self::Receive(error) => error.fmt(f),
            Self::Stream(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for StreamFailure {}

type Done = Result<(), StreamError>;

/// Whose stream something is said of.
#[derive(Clone, Copy, Debug)]
pub(super) struct NamedOn {
    pub(super) conn: ConnId,
    pub(super) pipe: u64,
}

impl TripLine {
    /// The other side has said what a stream is. What the user is to be told of that.
    pub(super) fn take_news(
        &mut self,
        on: NamedOn,
        news: StreamNews,
        endpoint: &Endpoint,
    ) -> [Option<NodeEvent>; 2] {
        match news {
            StreamNews::Lane(lane, number) => {
                if let Some(stream) = StreamId::from_number(number) {
                    self.learn(lane, stream);
                }
                [None, None]
            }
            StreamNews::Refused(number, reason) => {
                let known = StreamId::from_number(number).filter(|id| self.named.remove(id));
                let NamedOn { conn, pipe } = on;
                let told = known.map(|stream| {
                    let stream = NamedStream { stream, pipe };
                    NodeEvent::StreamRefused { conn, stream, reason }
                });
                [told, None]
            }
            StreamNews::Named(number, name) => {
                // One of a lane, or named twice, keeps what it is.
                let new = StreamId::from_number(number)
                    .filter(|id| self.lane_of(*id).is_none() && !self.named.contains(id));
                let Some(id) = new else { return [None, None] };
                self.names.insert(id, name);
                if endpoint.has_stream(self.handle, id) { self.heard(on, id) } else { [None, None] }
            }
        }
    }

    /// The transport has heard of a stream of a raw connection: it needs no name (row N07).
    pub(super) fn heard_raw(&mut self, on: NamedOn, id: StreamId) -> [Option<NodeEvent>; 2] {
        if self.lane_of(id).is_none() {
            self.names.insert(id, Arc::default());
        }
        self.heard(on, id)
    }

    /// The transport has heard of a stream. If its name is known too, the user is told.
    pub(super) fn heard(&mut self, on: NamedOn, id: StreamId) -> [Option<NodeEvent>; 2] {
        let NamedOn { conn, pipe } = on;
        let Some(name) = self.names.remove(&id) else { return [None, None] };
        self.named.insert(id);
        let stream = NamedStream { stream: id, pipe };
        let before = self.readable.len();
        self.readable.retain(|waiting| *waiting != id);
        let waits = self.readable.len() < before;
        [
            Some(NodeEvent::StreamOpened { conn, stream, name }),
            waits.then_some(NodeEvent::StreamReadable { conn, stream }),
        ]
    }
}

impl Node {
    /// Opens a stream under a name. The other side hears [`StreamOpened`] with the first message,
    /// or the end, and may refuse it: [`StreamRefused`]. Nothing needs to be waited for: messages
    /// may be sent at once. Where only the other side is to speak, an empty message tells it so.
    ///
    /// On a [raw](crate::Config::is_raw) connection the name is empty, and on others it is not.
    ///
    /// [`StreamOpened`]: NodeEvent::StreamOpened
    /// [`StreamRefused`]: NodeEvent::StreamRefused
    ///
    /// # Errors
    /// See [`StreamFailure`].
    pub fn open_stream(
        &mut self,
        now: Instant,
        conn: ConnId,
        name: &str,
        options: StreamOptions,
    ) -> Result<NamedStream, StreamFailure> {
        let now = self.tick(now);
        let handle = self.trip_of(conn, None)?;
        let is_raw = self.conns.get(conn.0).is_some_and(|open| open.peer.is_raw());
        let is_fit = if is_raw { name.is_empty() } else { is_name(name.as_bytes()) };
        if !is_fit {
            return Err(StreamFailure::BadName);
        }
        let opened = self.hub.endpoint_mut().open(now, handle, options);
        let stream = opened.map_err(StreamFailure::Open)?;
        let open = self.conns.get_mut(conn.0).ok_or(StreamFailure::UnknownConn)?;
        if let Line::Trip(line) = &mut open.line {
            line.named.insert(stream);
            line.sweep(self.hub.endpoint());
        }
        if !is_raw {
            open.peer.announce_stream(stream.number(), name);
        }
        let pipe = open.pipes;
        self.mark(conn.0);
        Ok(NamedStream { stream, pipe })
    }

    /// Does not want a stream that the other side has opened, and says why; both halves end.
    ///
    /// # Errors
    /// See [`StreamFailure`].
    pub fn refuse_stream(
        &mut self,
        now: Instant,
        conn: ConnId,
        stream: NamedStream,
        reason: &str,
    ) -> Result<(), StreamFailure> {
        let now = self.tick(now);
        let handle = self.trip_of(conn, Some(stream))?;
        self.end_halves(now, handle, stream.stream);
        if let Some(open) = self.conns.get_mut(conn.0) {
            open.peer.refuse_stream(stream.stream.number(), reason);
            if let Line::Trip(line) = &mut open.line {
                line.named.remove(&stream.stream);
            }
        }
        self.mark(conn.0);
        Ok(())
    }

    /// Hands in a message. There will be one [`StreamAcked`](NodeEvent::StreamAcked) for it, unless
    /// the pipe ends before.
    ///
    /// # Errors
    /// See [`StreamFailure`].
    pub fn send_on(
        &mut self,
        now: Instant,
        conn: ConnId,
        stream: NamedStream,
        message: impl Into<Bytes>,
        options: SendOptions,
    ) -> Result<MessageToken, StreamFailure> {
        let now = self.tick(now);
        let handle = self.trip_of(conn, Some(stream))?;
        let (id, message) = (stream.stream, message.into());
        let bytes = message.len();
        let sent = self.hub.endpoint_mut().send(now, handle, id, message, options);
        let token = sent.map_err(StreamFailure::Send)?;
        if let Some(open) = self.conns.get_mut(conn.0)
            && let Line::Trip(line) = &mut open.line
        {
            line.sent.insert((id, token), (now, bytes));
        }
        Ok(token)
    }

    /// Takes the next message. After [`StreamReadable`](NodeEvent::StreamReadable), call it until
    /// it says that there is nothing.
    ///
    /// # Errors
    /// See [`StreamFailure`].
    pub fn receive_on(
        &mut self,
        now: Instant,
        conn: ConnId,
        stream: NamedStream,
    ) -> Result<ReceiveResult, StreamFailure> {
        let now = self.tick(now);
        let handle = self.trip_of(conn, Some(stream))?;
        let taken = self.hub.endpoint_mut().receive(now, handle, stream.stream);
        if matches!(taken, Ok(ReceiveResult::Finished | ReceiveResult::Closed(_))) {
            self.forget_if_over(conn.0, handle, stream.stream);
        }
        taken.map_err(StreamFailure::Receive)
    }

    /// Says that we send no more on a stream; what was handed in still goes out.
    ///
    /// # Errors
    /// See [`StreamFailure`].
    pub fn finish_stream(
        &mut self,
        now: Instant,
        conn: ConnId,
        stream: NamedStream,
    ) -> Result<(), StreamFailure> {
        self.on_half(now, conn, stream, |endpoint, now, handle, id| {
            endpoint.finish(now, handle, id)
        })
    }

    /// Ends our half of a stream here and now; what is not acknowledged is dropped, and reported.
    ///
    /// # Errors
    /// See [`StreamFailure`].
    pub fn close_stream(
        &mut self,
        now: Instant,
        conn: ConnId,
        stream: NamedStream,
        code: Code,
    ) -> Result<(), StreamFailure> {
        self.on_half(now, conn, stream, |endpoint, now, handle, id| {
            endpoint.close_stream(now, handle, id, code)
        })
    }

    /// Tells the other side to send no more on a stream; what still comes is dropped.
    ///
    /// # Errors
    /// See [`StreamFailure`].
    pub fn stop_stream(
        &mut self,
        now: Instant,
        conn: ConnId,
        stream: NamedStream,
        code: Code,
    ) -> Result<(), StreamFailure> {
        self.on_half(now, conn, stream, |endpoint, now, handle, id| {
            endpoint.stop(now, handle, id, code)
        })
    }

    /// How many named streams of a connection are open, and how many messages on them have a fate
    /// still to come.
    pub fn named_streams(&self, conn: ConnId) -> (usize, usize) {
        match self.conns.get(conn.0).map(|conn| &conn.line) {
            Some(Line::Trip(line)) => {
                let endpoint = self.hub.endpoint();
                let is_open = |id: &&StreamId| endpoint.has_stream(line.handle, **id);
                (line.named.iter().filter(is_open).count(), line.sent.len())
            }
            _ => (0, 0),
        }
    }

    fn on_half(
        &mut self,
        now: Instant,
        conn: ConnId,
        stream: NamedStream,
        act: impl FnOnce(&mut Endpoint, Instant, ConnectionHandle, StreamId) -> Done,
    ) -> Result<(), StreamFailure> {
        let now = self.tick(now);
        let handle = self.trip_of(conn, Some(stream))?;
        let done = act(self.hub.endpoint_mut(), now, handle, stream.stream);
        self.forget_if_over(conn.0, handle, stream.stream);
        done.map_err(StreamFailure::Stream)
    }

    /// A stream whose halves are both done is none any more.
    fn forget_if_over(&mut self, key: Key, handle: ConnectionHandle, stream: StreamId) {
        if !self.hub.endpoint().has_stream(handle, stream)
            && let Some(conn) = self.conns.get_mut(key)
            && let Line::Trip(line) = &mut conn.line
        {
            line.named.remove(&stream);
        }
    }

    /// The connection of the transport on which a stream is, or is to be.
    fn trip_of(
        &self,
        conn: ConnId,
        stream: Option<NamedStream>,
    ) -> Result<ConnectionHandle, StreamFailure> {
        let open = self.conns.get(conn.0).ok_or(StreamFailure::UnknownConn)?;
        let line = match &open.line {
            Line::Trip(line) if open.is_open => line,
            Line::Bytes(_) | Line::Box(_) => return Err(StreamFailure::NoStreams),
            Line::Trip(_) | Line::None => return Err(StreamFailure::NoPipe),
        };
        let is_there = stream
            .is_none_or(|stream| stream.pipe == open.pipes && line.named.contains(&stream.stream));
        if is_there { Ok(line.handle) } else { Err(StreamFailure::NoPipe) }
    }

    /// Ends whatever halves of a stream there are on our side.
    pub(super) fn end_halves(&mut self, now: Instant, handle: ConnectionHandle, stream: StreamId) {
        let endpoint = self.hub.endpoint_mut();
        // A one-way stream has one of them.
        let _ = endpoint.stop(now, handle, stream, Code::REFUSED);
        let _ = endpoint.close_stream(now, handle, stream, Code::REFUSED);
    }

    /// Something happened to a stream; the user is told if it has a name.
    pub(super) fn on_stream(
        &mut self,
        connection: ConnectionHandle,
        stream: StreamId,
        tell: impl FnOnce(ConnId, NamedStream) -> NodeEvent,
    ) {
        let Some((key, stream)) = self.named(connection, stream) else { return };
        self.events.push_back(tell(ConnId(key), stream));
    }

    fn named(&self, connection: ConnectionHandle, stream: StreamId) -> Option<(Key, NamedStream)> {
        let key = self.owner(connection)?;
        let conn = self.conns.get(key)?;
        let Line::Trip(line) = &conn.line else { return None };
        let pipe = conn.pipes;
        line.named.contains(&stream).then_some((key, NamedStream { stream, pipe }))
    }

    /// A message is acknowledged, or whatever became of it.
    pub(super) fn on_fate(
        &mut self,
        connection: ConnectionHandle,
        stream: StreamId,
        token: MessageToken,
        fate: Fate,
    ) {
        let Some(key) = self.owner(connection) else { return };
        let Some(conn) = self.conns.get_mut(key) else { return };
        let Line::Trip(line) = &mut conn.line else { return };
        // Those of lanes are the conversation's own.
        let Some((since, bytes)) = line.sent.remove(&(stream, token)) else { return };
        let id = stream;
        let stream = NamedStream { stream, pipe: conn.pipes };
        self.forget_if_over(key, connection, id);
        let (conn, delay) = (ConnId(key), self.now.saturating_duration_since(since));
        self.events.push_back(NodeEvent::StreamAcked { conn, stream, token, fate, bytes, delay });
    }
}
