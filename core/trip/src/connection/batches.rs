//! Many messages with one call.
//!
//! In goes a batch to be sent, or to be filled; it is as if each message had been handed in, or
//! taken, by itself.
#![deny(clippy::arithmetic_side_effects)]

use super::{Connection, Cx};
use crate::batch::Batch;
use crate::config::SendOptions;
use crate::error::{ReceiveError, SendError};
use crate::handle::MessageToken;
use crate::stream::recv::Taken;
use crate::wire::{Code, StreamId};
use alloc::vec::Vec;
use bytes::Bytes;
use core::ops::Range;

/// A call fills a batch up to about so many bytes: what fits the caches.
const BATCH_MAX: usize = 64 * 1024;

/// What [`receive_batch`](crate::Endpoint::receive_batch) found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchResult {
    /// So many messages were appended to the batch; more may be there.
    Messages(usize),
    /// Nothing now; an event will tell.
    Nothing,
    /// The peer has sent everything. The stream is gone from this side.
    Finished,
    /// The peer ended its half early. The stream is gone from this side.
    Closed(Code),
}

impl Connection {
    /// Takes all messages of a batch, or none.
    pub(crate) fn send_batch(
        &mut self,
        stream: StreamId,
        batch: &mut Batch,
        cx: &mut Cx<'_>,
    ) -> Result<Range<MessageToken>, SendError> {
        let longest = u64::try_from(batch.longest()).unwrap_or(u64::MAX);
        let bytes = u64::try_from(batch.bytes()).unwrap_or(u64::MAX);
        let key = self.check_send(stream, longest, bytes, cx)?;
        let first = MessageToken(self.next_token);
        let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let end = MessageToken(first.0.saturating_add(count));
        if batch.is_empty() {
            return Ok(first..end);
        }
        let knows_peer = self.zone.is_some();
        let half = self.streams.get_mut(key).and_then(|entry| entry.send.as_mut());
        if let Some(half) = half.filter(|half| knows_peer && half.takes_runs()) {
            half.push_batch(first, batch);
            self.next_token = end.0;
            self.stats.messages_sent = self.stats.messages_sent.saturating_add(count);
            self.wake_stream(key);
        } else {
            let messages: Vec<Bytes> = batch.iter().map(Bytes::copy_from_slice).collect();
            batch.clear();
            for message in messages {
                self.push_message(key, message, SendOptions::default(), cx);
            }
        }
        Ok(first..end)
    }

    /// Fills a batch with what is there. Says, too, whether there may be something to do now that
    /// there was not before.
    pub(crate) fn receive_batch(
        &mut self,
        stream: StreamId,
        batch: &mut Batch,
    ) -> (Result<BatchResult, ReceiveError>, bool) {
        let mut due = true;
        let result = self.take_batch(stream, batch, &mut due);
        (result, due)
    }

    fn take_batch(
        &mut self,
        stream: StreamId,
        batch: &mut Batch,
        due: &mut bool,
    ) -> Result<BatchResult, ReceiveError> {
        let (key, recv) = self.receiving(stream)?;
        let before = batch.len();
        let room = batch.wire_len().saturating_add(BATCH_MAX);
        let consumed = recv.half.take_batch(batch, room);
        let messages = batch.len().saturating_sub(before);
        if messages > 0 {
            let count = u64::try_from(messages).unwrap_or(u64::MAX);
            self.stats.messages_received = self.stats.messages_received.saturating_add(count);
            *due = self.on_consumed(key, consumed);
            return Ok(BatchResult::Messages(messages));
        }
        let end = recv.half.take();
        self.on_drained_stream(key);
        Ok(match end {
            Taken::Data { .. } | Taken::Nothing => BatchResult::Nothing,
            Taken::Finished => {
                self.streams.retire(key);
                BatchResult::Finished
            }
            Taken::Closed(code) => {
                self.streams.retire(key);
                BatchResult::Closed(code)
            }
        })
    }
}
