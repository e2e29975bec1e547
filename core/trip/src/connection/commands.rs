//! What the user can tell a connection to do with its streams.

use super::streams::{Receiving, Stop, StreamKey};
use super::timer::Timer;
use super::{Connection, Cx, Stage};
use crate::config::{SendOptions, StreamOptions};
use crate::error::{OpenError, ReceiveError, SendError, StreamError};
use crate::event::Event;
use crate::handle::MessageToken;
use crate::stream::recv::Taken;
use crate::wire::{Code, Order, StreamId};
use bytes::Bytes;

/// What [`receive`](crate::Endpoint::receive) found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiveResult {
    /// A whole message, or in a byte stream the next chunk. It may share its memory with a few
    /// neighbours; copy what is to be kept for long.
    Data(Bytes),
    /// Nothing now; an event will tell.
    Nothing,
    /// The peer has sent everything. The stream is gone from this side.
    Finished,
    /// The peer ended its half early. The stream is gone from this side.
    Closed(Code),
}

impl Connection {
    fn is_live(&self) -> bool {
        matches!(self.stage, Stage::Opening | Stage::Pinging | Stage::Ready)
    }

    /// Opens a stream (rows T11, T32). Nothing is sent for it until there is data.
    pub(crate) fn open(&mut self, options: StreamOptions) -> Result<StreamId, OpenError> {
        if !self.is_live() || self.closing.is_leaving() {
            return Err(OpenError::Closing);
        }
        // R-HAND-4a: a stream's ID says who opened the connection, and that may yet be the peer.
        if self.is_single() && self.stage != Stage::Ready {
            return Err(OpenError::NotConnected);
        }
        let opened = self.streams.open(options.order, options.direction, options.priority.min(7));
        opened.map(|(id, _)| id).map_err(|limit| OpenError::Limit { limit })
    }

    /// Takes a message (row T28).
    pub(crate) fn send(
        &mut self,
        stream: StreamId,
        data: Bytes,
        options: SendOptions,
        cx: &mut Cx<'_>,
    ) -> Result<MessageToken, SendError> {
        let len = u64::try_from(data.len()).unwrap_or(u64::MAX);
        if stream.order() == Order::Bytes && options != SendOptions::default() {
            return Err(SendError::AlwaysReliable);
        }
        let key = self.check_send(stream, len, len, cx)?;
        Ok(self.push_message(key, data, options, cx))
    }

    /// Whether a stream takes `bytes` now, in messages of at most `longest` bytes.
    pub(super) fn check_send(
        &mut self,
        stream: StreamId,
        longest: u64,
        bytes: u64,
        cx: &mut Cx<'_>,
    ) -> Result<StreamKey, SendError> {
        let limit = match self.zone {
            Some(_) => self.peer_limits.message_max,
            None => self.config.message_max,
        };
        let key = self.streams.find(stream).ok_or(SendError::UnknownStream)?;
        if !self.is_live() || self.closing.takes_no_more() {
            return Err(SendError::Closing);
        }
        let entry = self.streams.get_mut(key).ok_or(SendError::UnknownStream)?;
        let half = entry.send.as_mut().ok_or(SendError::ReceiveOnly)?;
        if !half.is_open() {
            return Err(SendError::Finished);
        }
        if stream.order() != Order::Bytes && longest > limit {
            return Err(SendError::TooLarge { limit });
        }
        let full =
            half.buffered() > 0 && half.buffered().saturating_add(bytes) > self.config.send_buffer;
        let too_many = cx.events.len() >= super::EVENTS_MAX;
        if full || too_many {
            // Nothing may be on its way any more whose ACK would wake the stream.
            if !full && !core::mem::replace(&mut entry.writable_wanted, true) {
                cx.events.refuse(self.handle, stream);
            }
            entry.writable_wanted = true;
            return Err(SendError::Blocked);
        }
        Ok(key)
    }

    /// Appends a message to what a stream has to send.
    pub(super) fn push_message(
        &mut self,
        key: StreamKey,
        data: Bytes,
        options: SendOptions,
        cx: &Cx<'_>,
    ) -> MessageToken {
        let token = MessageToken(self.next_token);
        self.next_token = self.next_token.saturating_add(1);
        let joins = options.expires_after.is_none() && self.zone.is_some();
        if let Some(half) = self.streams.get_mut(key).and_then(|entry| entry.send.as_mut()) {
            half.push(token, data, options.reliability, joins);
        }
        self.stats.messages_sent = self.stats.messages_sent.saturating_add(1);
        if let Some(after) = options.expires_after {
            self.expiring.insert(cx.now + after, token, key);
            self.arm_expire();
        }
        self.wake_stream(key);
        token
    }

    /// The user sends no more on this stream; what was handed in still goes out.
    pub(crate) fn finish(&mut self, stream: StreamId) -> Result<(), StreamError> {
        let key = self.streams.find(stream).ok_or(StreamError::UnknownStream)?;
        let entry = self.streams.get_mut(key).ok_or(StreamError::UnknownStream)?;
        entry.send.as_mut().ok_or(StreamError::WrongHalf)?.finish();
        self.wake_stream(key);
        Ok(())
    }

    /// Ends the sending half here and now (CLOSE_STREAM).
    pub(crate) fn close_stream(
        &mut self,
        stream: StreamId,
        code: Code,
        cx: &mut Cx<'_>,
    ) -> Result<(), StreamError> {
        let key = self.streams.find(stream).ok_or(StreamError::UnknownStream)?;
        self.close_half(key, code, cx).ok_or(StreamError::WrongHalf)
    }

    /// Ends a sending half; `None` if there is none.
    pub(super) fn close_half(&mut self, key: StreamKey, code: Code, cx: &mut Cx<'_>) -> Option<()> {
        let Self { streams, send_credit, fates, .. } = self;
        let entry = streams.get_mut(key)?;
        let id = entry.id;
        entry.writable_wanted = false;
        entry.send.as_mut()?.close(code, send_credit, fates);
        self.tell_fates(id, cx);
        self.list_control(key);
        self.wake_credit_waiters();
        Some(())
    }

    /// Tells the peer to stop sending on this stream (STOP); what comes is dropped.
    pub(crate) fn stop_stream(&mut self, stream: StreamId, code: Code) -> Result<(), StreamError> {
        let key = self.streams.find(stream).ok_or(StreamError::UnknownStream)?;
        let gaps = self.gaps_of(key);
        let entry = self.streams.get_mut(key).ok_or(StreamError::UnknownStream)?;
        let recv = entry.recv.as_mut().ok_or(StreamError::WrongHalf)?;
        if recv.stop != Stop::Not || recv.half.final_offset().is_some_and(|_| recv.half.is_done()) {
            return Ok(());
        }
        recv.stop = Stop::Wanted(code);
        let effect = recv.half.stop();
        self.recount_gaps(key, gaps);
        self.on_drained_stream(key);
        self.on_consumed(key, effect.consumed);
        self.list_control(key);
        self.streams.retire(key);
        Ok(())
    }

    /// Takes the next message or chunk (row T29). Says, too, whether there may be something to do
    /// now that there was not before.
    pub(crate) fn receive(
        &mut self,
        stream: StreamId,
    ) -> (Result<ReceiveResult, ReceiveError>, bool) {
        let mut due = true;
        let result = self.take(stream, &mut due);
        (result, due)
    }

    fn take(&mut self, stream: StreamId, due: &mut bool) -> Result<ReceiveResult, ReceiveError> {
        let (key, recv) = self.receiving(stream)?;
        let taken = recv.half.take();
        if !matches!(taken, Taken::Data { .. }) {
            self.on_drained_stream(key);
        }
        match taken {
            Taken::Data { bytes, consumed } => {
                self.stats.messages_received = self.stats.messages_received.saturating_add(1);
                *due = self.on_consumed(key, consumed);
                Ok(ReceiveResult::Data(bytes))
            }
            Taken::Nothing => Ok(ReceiveResult::Nothing),
            Taken::Finished => {
                self.streams.retire(key);
                Ok(ReceiveResult::Finished)
            }
            Taken::Closed(code) => {
                self.streams.retire(key);
                Ok(ReceiveResult::Closed(code))
            }
        }
    }

    /// The receiving half of a stream.
    pub(super) fn receiving(
        &mut self,
        stream: StreamId,
    ) -> Result<(StreamKey, &mut Receiving), ReceiveError> {
        let key = self.streams.find(stream).ok_or(ReceiveError::UnknownStream)?;
        let entry = self.streams.get_mut(key).ok_or(ReceiveError::UnknownStream)?;
        Ok((key, entry.recv.as_mut().ok_or(ReceiveError::SendOnly)?))
    }

    /// The user has seen all that a stream has to give for now.
    pub(super) fn on_drained_stream(&mut self, key: StreamKey) {
        if let Some(recv) = self.streams.get_mut(key).and_then(|stream| stream.recv.as_mut())
            && core::mem::take(&mut recv.readable_told)
        {
            self.unread = self.unread.saturating_sub(1);
        }
    }

    /// Whether a stream is open, or its end is not known to the user.
    pub(crate) fn has_stream(&self, stream: StreamId) -> bool {
        self.streams.has(stream)
    }

    /// Changes a stream's priority, 0 (most urgent) to 7.
    pub(crate) fn set_priority(
        &mut self,
        stream: StreamId,
        priority: u8,
    ) -> Result<(), StreamError> {
        let key = self.streams.find(stream).ok_or(StreamError::UnknownStream)?;
        let entry = self.streams.get_mut(key).ok_or(StreamError::UnknownStream)?;
        entry.priority = priority.min(7);
        Ok(())
    }

    /// Bytes of a stream were taken, skipped or discarded: says whether a grant is to follow.
    pub(super) fn on_consumed(&mut self, key: StreamKey, bytes: u64) -> bool {
        if bytes == 0 {
            return false;
        }
        self.recv_credit.on_consumed(bytes);
        if let Some(recv) = self.streams.get_mut(key).and_then(|stream| stream.recv.as_mut()) {
            recv.credit.on_consumed(bytes);
        }
        let listed = self.list_grant(key);
        listed || self.recv_credit.wanted().is_some()
    }

    /// Lists a stream if a new grant is worth a frame; says whether it is.
    pub(super) fn list_grant(&mut self, key: StreamKey) -> bool {
        let Some(recv) = self.streams.get(key).and_then(|stream| stream.recv.as_ref()) else {
            return false;
        };
        let wanted = recv.credit.wanted().is_some()
            && recv.stop == Stop::Not
            && recv.half.final_offset().is_none();
        if wanted {
            self.list_control(key);
        }
        wanted
    }

    /// Says `Writable` where `send` said *blocked* and there is room again.
    pub(super) fn tell_writable(&mut self, key: StreamKey, cx: &mut Cx<'_>) {
        let room = self.config.send_buffer / 2;
        let Some(stream) = self.streams.get_mut(key) else { return };
        let has_room =
            stream.send.as_ref().is_some_and(|half| half.is_open() && half.buffered() <= room);
        if stream.writable_wanted && has_room {
            stream.writable_wanted = false;
            cx.events.push_back(Event::Writable { connection: self.handle, stream: stream.id });
        }
    }

    /// Fewer events wait: says `Writable` of a stream that waited for that.
    pub(crate) fn on_events_polled(&mut self, stream: StreamId, cx: &mut Cx<'_>) {
        if let Some(key) = self.streams.find(stream) {
            self.tell_writable(key, cx);
        }
    }

    /// Streams that waited for the connection's credit try again.
    pub(super) fn wake_credit_waiters(&mut self) {
        while let Some(key) = self.credit_waiters.pop_front() {
            if let Some(stream) = self.streams.get_mut(key) {
                stream.awaits_credit = false;
            }
            self.wake_stream(key);
        }
    }

    pub(super) fn arm_expire(&mut self) {
        self.timers.set(Timer::Expire, self.expiring.next());
    }
}
