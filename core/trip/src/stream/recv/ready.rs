//! What is complete and waits for the user: runs of bytes in few allocations.
//!
//! In goes what arrived, in the order of delivery; out come chunks (order *bytes*) or messages
//! (the other orders), each a [`Bytes`] that shares its segment. Messages wait in their wire form,
//! length and bytes, so that the memory is about what credit charged, even for empty messages
//! (R-CREDIT-4). It knows nothing of offsets and never looks into a message.
#![deny(clippy::arithmetic_side_effects)]

use super::to_usize;
use crate::batch::Batch;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::{Buf, Bytes, BytesMut};
use core::mem;
use tripline_sansio::codec::Reader;

/// The longest chunk of a byte stream handed over at once, and its longest segment.
pub(super) const CHUNK_MAX: usize = 64 * 1024;
/// The longest shared segment of small messages.
pub(super) const SEGMENT_MAX: usize = 16 * 1024;
/// From this length on a buffer is handed over as it is; below, its bytes are copied to the shared
/// segment.
pub(super) const OWN_MIN: usize = 2 * 1024;
/// A segment up to this size is kept while nothing waits, so that small messages one at a time cost
/// no allocation each; ten thousand idle streams must not keep more.
const IDLE_MAX: usize = 2 * 1024;
/// The first segment of a stream.
const FIRST: usize = 256;

/// Bytes that will not change any more.
#[derive(Debug)]
struct Segment {
    bytes: Bytes,
    /// How much of an allocation it keeps alive: what the tests of [`Ready::memory`] add up.
    #[cfg(test)]
    held: usize,
}

/// The queue of what the user may take.
#[derive(Debug)]
pub(super) struct Ready {
    segments: VecDeque<Segment>,
    /// Where small runs are appended; comes behind all segments.
    tail: BytesMut,
    /// Size of the allocation of `tail`.
    tail_size: usize,
    /// Bytes that wait, in all.
    queued: usize,
    /// Size of the next segment, if enough waits to justify it.
    next_size: usize,
    segment_max: usize,
}

impl Ready {
    /// An empty queue whose shared segments have up to `segment_max` bytes.
    pub(super) fn new(segment_max: usize) -> Self {
        Self {
            segments: VecDeque::new(),
            tail: BytesMut::new(),
            tail_size: 0,
            queued: 0,
            next_size: FIRST,
            segment_max,
        }
    }

    /// How many bytes wait.
    pub(super) fn queued(&self) -> u64 {
        u64::try_from(self.queued).unwrap_or(u64::MAX)
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.queued == 0
    }

    /// Appends a copy of `run`, in one piece: whole messages in wire form.
    pub(super) fn push_run(&mut self, run: &[u8]) {
        self.make_room(run.len());
        self.tail.extend_from_slice(run);
        self.queued = self.queued.saturating_add(run.len());
    }

    /// Appends a copy of a byte stream's `data`, which may be divided among segments.
    pub(super) fn push_data(&mut self, data: &[u8]) {
        let mut rest = data;
        while !rest.is_empty() {
            let spare = self.tail.capacity().saturating_sub(self.tail.len());
            if spare == 0 {
                self.make_room(rest.len().min(self.segment_max));
                continue;
            }
            let (now, later) = rest.split_at_checked(spare).unwrap_or((rest, &[]));
            self.tail.extend_from_slice(now);
            self.queued = self.queued.saturating_add(now.len());
            rest = later;
        }
    }

    /// Appends a buffer: as it is if it is long, else as [`Self::push_run`].
    pub(super) fn push_buffer(&mut self, buffer: Vec<u8>) {
        if buffer.len() < OWN_MIN {
            return self.push_run(&buffer);
        }
        // What is left of the tail's room serves the next small run.
        self.seal_filled();
        self.queued = self.queued.saturating_add(buffer.len());
        self.segments.push_back(Segment {
            #[cfg(test)]
            held: buffer.capacity(),
            bytes: buffer.into(),
        });
    }

    /// Takes the next chunk of a byte stream, at most [`CHUNK_MAX`] bytes.
    pub(super) fn pop_chunk(&mut self) -> Option<Bytes> {
        let front = self.front()?;
        let chunk = if front.bytes.len() > CHUNK_MAX {
            front.bytes.split_to(CHUNK_MAX)
        } else {
            self.segments.pop_front()?.bytes
        };
        self.popped(chunk.len());
        Some(chunk)
    }

    /// Takes the next message: its bytes, and how long it was with its length.
    pub(super) fn pop_message(&mut self) -> Option<(Bytes, u64)> {
        let front = self.front()?;
        let mut reader = Reader::new(&front.bytes);
        let length = to_usize(reader.varint().ok()?);
        let prefix = front.bytes.len().saturating_sub(reader.remaining());
        if reader.remaining() < length {
            return None;
        }
        front.bytes.advance(prefix);
        let message = if front.bytes.len() > length {
            front.bytes.split_to(length)
        } else {
            self.segments.pop_front()?.bytes
        };
        let wire = prefix.saturating_add(length);
        self.popped(wire);
        Some((message, u64::try_from(wire).unwrap_or(u64::MAX)))
    }

    /// Appends the messages that wait to `batch`, until that has about `room` bytes. Returns how
    /// many bytes they were, with their lengths.
    pub(super) fn pop_batch(&mut self, batch: &mut Batch, room: usize) -> u64 {
        let before = self.queued;
        while self.queued > 0 && batch.wire_len() < room {
            let left = room.saturating_sub(batch.wire_len());
            let Some(segment) = self.segments.front_mut() else {
                let taken = batch.push_wire(&self.tail, left);
                self.tail.advance(taken);
                if self.tail.is_empty() {
                    // Nobody else has seen it: its room is there again.
                    self.tail.clear();
                }
                self.popped(taken);
                if taken == 0 {
                    break;
                }
                continue;
            };
            let taken = batch.push_wire(&segment.bytes, left);
            segment.bytes.advance(taken);
            if segment.bytes.is_empty() {
                self.segments.pop_front();
            }
            self.popped(taken);
            if taken == 0 {
                break;
            }
        }
        u64::try_from(before.saturating_sub(self.queued)).unwrap_or(u64::MAX)
    }

    /// Forgets all that waits.
    pub(super) fn clear(&mut self) {
        self.segments.clear();
        self.tail.clear();
        self.popped(self.queued);
    }

    /// Bytes of heap held.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        let sealed = self.segments.iter().fold(0_usize, |sum, one| sum.saturating_add(one.held));
        let list = self.segments.capacity().saturating_mul(size_of::<Segment>());
        sealed.saturating_add(self.tail.capacity()).saturating_add(list)
    }

    fn popped(&mut self, count: usize) {
        self.queued = self.queued.saturating_sub(count);
        if self.queued == 0 && self.tail_size > IDLE_MAX {
            self.tail = BytesMut::new();
            self.tail_size = 0;
        }
    }

    fn front(&mut self) -> Option<&mut Segment> {
        if self.segments.is_empty() {
            self.seal_filled();
        }
        self.segments.front_mut()
    }

    /// Makes a segment of what the tail holds; its spare room stays with the tail.
    fn seal_filled(&mut self) {
        if !self.tail.is_empty() {
            self.segments.push_back(Segment {
                #[cfg(test)]
                held: self.tail.len(),
                bytes: self.tail.split().freeze(),
            });
        }
    }

    /// Sees to it that the tail has room for `count` bytes in one piece.
    ///
    /// A segment is at most as large as what waits already, or small: so what is allocated stays
    /// within twice of what waits.
    fn make_room(&mut self, count: usize) {
        if self.tail.capacity().saturating_sub(self.tail.len()) >= count {
            return;
        }
        // The user dropped what the segment held: use it again.
        if self.tail.is_empty() && self.tail_size >= count && self.tail.try_reclaim(count) {
            return;
        }
        if !self.tail.is_empty() {
            self.segments.push_back(Segment {
                #[cfg(test)]
                held: self.tail.capacity(),
                bytes: mem::take(&mut self.tail).freeze(),
            });
        }
        let size = self.next_size.min(self.queued.max(IDLE_MAX)).max(count);
        self.next_size = self.next_size.saturating_mul(2).min(self.segment_max);
        self.tail = BytesMut::with_capacity(size);
        self.tail_size = size;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    /// R-CREDIT-4: a hundred thousand empty messages wait in about as many bytes.
    #[test]
    fn empty_messages_wait_as_runs_of_bytes() {
        let mut ready = Ready::new(SEGMENT_MAX);
        for _ in 0..1_000 {
            ready.push_run(&[0; 100]);
        }
        assert!(ready.memory() <= 2 * 100_000 + 4_096, "{}", ready.memory());
        for _ in 0..100_000 {
            assert_eq!(ready.pop_message(), Some((Bytes::new(), 1)));
        }
        assert_eq!(ready.pop_message(), None);
        assert!(ready.is_empty() && ready.memory() <= IDLE_MAX + 4_096);
    }

    /// One small message at a time, dropped before the next comes: the same memory serves all.
    #[test]
    fn a_segment_is_used_again_once_its_messages_are_dropped() {
        let mut ready = Ready::new(SEGMENT_MAX);
        ready.push_run(b"\x03one");
        let first = ready.pop_message().unwrap().0.as_ptr();
        let mut seen = 0;
        for _ in 0..1_000 {
            ready.push_run(b"\x03two");
            seen += usize::from(ready.pop_message().unwrap().0.as_ptr() == first);
        }
        assert!(seen > 10, "{seen}");
    }

    #[test]
    fn long_buffers_are_handed_over_without_a_copy_and_in_order() {
        let mut ready = Ready::new(SEGMENT_MAX);
        let mut long = vec![0x50, 0];
        long.resize(2 + 4_096, 7);
        let address = long.as_ptr() as usize + 2;
        ready.push_run(b"\x01a");
        ready.push_buffer(long);
        ready.push_run(b"\x01b");
        assert_eq!(ready.pop_message(), Some((Bytes::from_static(b"a"), 2)));
        let (message, wire) = ready.pop_message().unwrap();
        assert_eq!((message.len(), wire, message.as_ptr() as usize), (4_096, 4_098, address));
        assert_eq!(ready.pop_message(), Some((Bytes::from_static(b"b"), 2)));
        assert_eq!(ready.queued(), 0);
    }
}
