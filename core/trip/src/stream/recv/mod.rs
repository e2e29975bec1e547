//! The receiving half of one stream: from frames at offsets to bytes or messages, in the stream's
//! order (PROTOCOL.md §4).
//!
//! In go the fields of STREAM, SKIP and CLOSE_STREAM, already charged against credit; out come
//! chunks or messages, how many bytes were consumed (for credit), and the violations that close the
//! connection. There is no clock here, nothing is sent, and no limit is granted: when to say STOP
//! or to raise a limit is the connection's affair.
//!
//! Every offset is consumed exactly once: when the user takes it, or when it is skipped, superseded
//! or discarded. In the end consumed = final offset on every path (R-STREAM-2).
#![deny(clippy::arithmetic_side_effects)]

mod bytes;
mod fragments;
mod messages;
mod parse;
#[cfg(test)]
mod properties;
mod ready;
#[cfg(test)]
mod tests;

use crate::batch::Batch;
pub(super) use crate::wire::Violation;
use crate::wire::{Code, Order, StreamFrame};
use ::bytes::Bytes;
use alloc::vec::Vec;
use core::ops::Range;

/// By how much [`RecvHalf::gaps`] rises at most for one frame, or one range of a SKIP.
pub(crate) const GAPS_PER_FRAME: usize = 4;

/// What a frame changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub(crate) struct Effect {
    /// Bytes newly consumed without the user taking them.
    pub(crate) consumed: u64,
    /// Whether [`RecvHalf::take`] has something new.
    pub(crate) readable: bool,
}

/// What [`RecvHalf::take`] hands over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// A chunk of a byte stream, or a whole message.
    Data {
        /// The chunk (never empty), or the message without its length (empty if it was).
        bytes: Bytes,
        /// How many offsets this consumes: for a message its length field counts too.
        consumed: u64,
    },
    /// Nothing now.
    Nothing,
    /// The stream ended with fin and all before that was taken. Said once.
    Finished,
    /// The sender ended the stream early, with this code. Said once.
    Closed(Code),
}

/// R-MSG-3.
const DIFFERS: Violation =
    Violation { code: Code::PROTOCOL, reason: "another byte at an offset still held" };
/// R-MSG-2, R-MSG-3.
const CROSSES: Violation =
    Violation { code: Code::PROTOCOL, reason: "message boundaries contradict each other" };
/// R-MSG-3.
const TOO_LARGE: Violation =
    Violation { code: Code::MESSAGE_TOO_LARGE, reason: "message longer than agreed" };
/// R-STREAM-2.
const FINAL: Violation =
    Violation { code: Code::STREAM_STATE, reason: "final offset changed or passed" };

/// What is kept, by order.
#[derive(Debug)]
// Most streams carry messages: a box would be an allocation for each.
#[allow(clippy::large_enum_variant)]
enum Body {
    Bytes(bytes::ByteRun),
    Messages(messages::Messages),
}

/// The receiving half of one stream.
#[derive(Debug)]
pub(crate) struct RecvHalf {
    highest: u64,
    /// Bytes consumed in all, by the user or otherwise.
    consumed: u64,
    final_offset: Option<u64>,
    /// The sender ended early; all beyond `body`'s ready data is consumed.
    closed: Option<Code>,
    /// The user wants no more; all up to `highest` is consumed.
    stopped: bool,
    /// The user learnt of the end.
    told: bool,
    body: Body,
}

impl RecvHalf {
    /// A stream of which nothing has arrived. Messages have at most `message_max` bytes, without
    /// their length.
    pub(crate) fn new(order: Order, message_max: u64) -> Self {
        let body = match order {
            Order::Bytes => Body::Bytes(bytes::ByteRun::new()),
            _ => Body::Messages(messages::Messages::new(order, message_max)),
        };
        Self {
            highest: 0,
            consumed: 0,
            final_offset: None,
            closed: None,
            stopped: false,
            told: false,
            body,
        }
    }

    /// The highest offset seen: what credit charges. The connection charges it *before* it calls
    /// `on_stream`, `on_skip` or `on_close` (R-CREDIT-1).
    pub(crate) fn highest(&self) -> u64 {
        self.highest
    }

    /// How many offsets are consumed; never above [`Self::highest`].
    pub(crate) fn consumed(&self) -> u64 {
        self.consumed
    }

    /// Where the stream ends, if that is known.
    pub(crate) fn final_offset(&self) -> Option<u64> {
        self.final_offset
    }

    /// Up to where nothing is missing: a frame that begins there or below fills the lowest gap.
    pub(crate) fn first_gap(&self) -> u64 {
        match &self.body {
            Body::Bytes(body) => body.first_gap(),
            Body::Messages(body) => body.first_gap(),
        }
    }

    /// How many separate ranges, fragments and unfinished messages are held or remembered beyond a
    /// gap. One frame adds at most [`GAPS_PER_FRAME`]; the connection compares with its bound
    /// before any effect and drops the packet (PROTOCOL.md §11). O(1).
    pub(crate) fn gaps(&self) -> usize {
        match &self.body {
            Body::Bytes(body) => body.gaps(),
            Body::Messages(body) => body.gaps(),
        }
    }

    /// A STREAM frame.
    ///
    /// # Errors
    /// R-STREAM-2: an end that contradicts the final offset (5). R-MSG-2, R-MSG-3: *aligned* on a
    /// byte stream, boundaries or bytes that contradict (2), a message too large (6).
    pub(crate) fn on_stream(
        &mut self,
        offset: u64,
        payload: &[u8],
        aligned: bool,
        fin: bool,
    ) -> Result<Effect, Violation> {
        let end = self.check_end(offset, len64(payload), fin)?;
        if aligned && matches!(self.body, Body::Bytes(_)) {
            return Err(Violation {
                code: Code::PROTOCOL,
                reason: "aligned frame of a byte stream",
            });
        }
        let mut effect = self.reach(end);
        let was_ended = self.is_ended();
        if fin {
            self.final_offset = Some(end);
        }
        if !self.stopped && self.closed.is_none() && !payload.is_empty() {
            match &mut self.body {
                Body::Bytes(body) => body.on_frame(offset, payload, &mut effect)?,
                Body::Messages(body) => body.on_frame(offset, payload, aligned, &mut effect)?,
            }
        }
        Ok(self.account(effect, was_ended))
    }

    /// [`Self::on_stream`] with a buffer that a large message may begin in; left in `buffer` if it
    /// was not used.
    ///
    /// # Errors
    /// The same.
    pub(crate) fn on_stream_with(
        &mut self,
        frame: &StreamFrame<'_>,
        buffer: &mut Vec<u8>,
    ) -> Result<Effect, Violation> {
        if let Body::Messages(body) = &mut self.body {
            body.lend(core::mem::take(buffer));
        }
        let effect = self.on_stream(frame.offset, frame.payload, frame.aligned, frame.fin);
        if let Body::Messages(body) = &mut self.body {
            *buffer = body.take_back();
        }
        effect
    }

    /// One range of a SKIP frame: the sender gives these offsets up (R-SKIP-1).
    ///
    /// # Errors
    /// R-SKIP-1: on a byte stream (2), or a range that contradicts known boundaries (2);
    /// R-STREAM-2: beyond the final offset (5).
    pub(crate) fn on_skip(&mut self, range: Range<u64>) -> Result<Effect, Violation> {
        let was_ended = self.is_ended();
        let Body::Messages(body) = &mut self.body else {
            return Err(Violation { code: Code::PROTOCOL, reason: "SKIP on a byte stream" });
        };
        if self.final_offset.is_some_and(|last| range.end > last) {
            return Err(FINAL);
        }
        let mut skipped = Effect::default();
        if !self.stopped && self.closed.is_none() && !range.is_empty() {
            body.on_skip(range.clone(), &mut skipped)?;
        }
        let mut effect = self.reach(range.end);
        effect.consumed = effect.consumed.saturating_add(skipped.consumed);
        effect.readable |= skipped.readable;
        Ok(self.account(effect, was_ended))
    }

    /// CLOSE_STREAM: the sender ends early, at `final_offset`. What is ready stays readable, all
    /// else is consumed. Without effect if all had arrived, or on a repeat.
    ///
    /// # Errors
    /// R-STREAM-2: the final offset changed, or lies below what came (5).
    pub(crate) fn on_close(&mut self, code: Code, final_offset: u64) -> Result<Effect, Violation> {
        let end = self.check_end(final_offset, 0, true)?;
        if self.closed.is_some() || self.told || self.is_ended() {
            return Ok(Effect::default());
        }
        let mut effect = self.reach(end);
        self.final_offset = Some(end);
        if !self.stopped {
            self.closed = Some(code);
            effect.consumed = match &mut self.body {
                Body::Bytes(body) => body.on_close(end),
                Body::Messages(body) => body.on_close(end),
            };
        }
        Ok(self.account(effect, false))
    }

    /// The user wants no more: all that came is consumed, and all that comes (R-STREAM-2).
    pub(crate) fn stop(&mut self) -> Effect {
        if self.stopped {
            return Effect::default();
        }
        self.stopped = true;
        match &mut self.body {
            Body::Bytes(body) => body.discard(),
            Body::Messages(body) => body.discard(),
        }
        let consumed = self.highest.saturating_sub(self.consumed);
        self.consumed = self.highest;
        Effect { consumed, readable: false }
    }

    /// Hands over the next chunk or message, or the end.
    pub(crate) fn take(&mut self) -> Taken {
        if self.stopped || self.told {
            return Taken::Nothing;
        }
        let data = match &mut self.body {
            Body::Bytes(body) => body.ready().pop_chunk().map(|chunk| {
                let consumed = len64(&chunk);
                (chunk, consumed)
            }),
            Body::Messages(body) => body.ready().pop_message(),
        };
        if let Some((bytes, consumed)) = data {
            self.consumed = self.consumed.saturating_add(consumed);
            return Taken::Data { bytes, consumed };
        }
        if !self.is_ended() {
            return Taken::Nothing;
        }
        self.told = true;
        self.closed.map_or(Taken::Finished, Taken::Closed)
    }

    /// Appends what waits to a batch, until that has about `room` bytes. Returns how many offsets
    /// this consumes; 0 if nothing waits, then [`Self::take`] says why.
    pub(crate) fn take_batch(&mut self, batch: &mut Batch, room: usize) -> u64 {
        if self.stopped || self.told {
            return 0;
        }
        let consumed = match &mut self.body {
            Body::Bytes(body) => body.ready().pop_chunk().map_or(0, |chunk| {
                batch.push(&chunk);
                len64(&chunk)
            }),
            Body::Messages(body) => body.ready().pop_batch(batch, room),
        };
        self.consumed = self.consumed.saturating_add(consumed);
        consumed
    }

    /// Whether [`Self::take`] gives something other than [`Taken::Nothing`].
    pub(crate) fn is_readable(&self) -> bool {
        let has_ready = match &self.body {
            Body::Bytes(body) => body.has_ready(),
            Body::Messages(body) => body.has_ready(),
        };
        !self.stopped && !self.told && (has_ready || self.is_ended())
    }

    /// Whether this half is over: the user learnt of the end or wanted no more, and charged =
    /// consumed = final offset. Nothing that can still come changes anything.
    pub(crate) fn is_done(&self) -> bool {
        (self.told || self.stopped) && self.final_offset == Some(self.consumed)
    }

    /// Bytes of heap held, about (R-CREDIT-4).
    #[cfg(test)]
    pub(crate) fn memory(&self) -> usize {
        match &self.body {
            Body::Bytes(body) => body.memory(),
            Body::Messages(body) => body.memory(),
        }
    }

    /// Whether nothing more will become ready, and the user may be told so.
    fn is_ended(&self) -> bool {
        self.closed.is_some()
            || self.final_offset.is_some_and(|last| match &self.body {
                Body::Bytes(body) => body.is_settled(last),
                Body::Messages(body) => body.is_settled(last),
            })
    }

    /// Checks the end of a frame against the final offset (R-STREAM-2), before any effect.
    fn check_end(&self, offset: u64, length: u64, is_final: bool) -> Result<u64, Violation> {
        let Some(end) = offset.checked_add(length) else {
            return Err(Violation { code: Code::FLOW_CONTROL, reason: "offset out of range" });
        };
        let fits = match self.final_offset {
            Some(last) if is_final => end == last,
            Some(last) => end <= last,
            None => !is_final || end >= self.highest,
        };
        if fits { Ok(end) } else { Err(FINAL) }
    }

    /// Moves the highest offset; what a stopped stream gets is consumed on arrival.
    fn reach(&mut self, end: u64) -> Effect {
        let grown = end.saturating_sub(self.highest);
        self.highest = self.highest.max(end);
        Effect { consumed: if self.stopped { grown } else { 0 }, readable: false }
    }

    fn account(&mut self, mut effect: Effect, was_ended: bool) -> Effect {
        self.consumed = self.consumed.saturating_add(effect.consumed);
        effect.readable |= !was_ended && self.is_ended();
        effect.readable &= !self.stopped && !self.told;
        effect
    }
}

/// A length as an amount of offsets.
fn len64(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// An amount of offsets as a length; what does not fit is larger than any buffer.
fn to_usize(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// The part of `bytes`, whose first byte has offset `base`, that lies at `range`; empty unless all
/// of it is there.
fn slice<'a>(bytes: &'a [u8], base: u64, range: &Range<u64>) -> &'a [u8] {
    let (Some(from), Some(upto)) = (range.start.checked_sub(base), range.end.checked_sub(base))
    else {
        return &[];
    };
    bytes.get(to_usize(from)..to_usize(upto)).unwrap_or_default()
}
