//! Many messages in one buffer: how small ones are handed in and taken out with one call for all.
//!
//! In go messages one by one; out come the same, in order. In the buffer each stands as on the
//! wire, its length before its bytes, so that a batch moves into and out of the engine as it is.
#![deny(clippy::arithmetic_side_effects)]

use alloc::vec::Vec;
use bytes::Bytes;
use tripline_sansio::codec::{Reader, Writer};

/// The most room that a batch makes before it is asked for.
const ROOM_MAX: usize = 64 * 1024;

/// Messages that are handed in by [`send_batch`](crate::Endpoint::send_batch), or were taken by
/// [`receive_batch`](crate::Endpoint::receive_batch), with one call for all of them.
///
/// Each message is copied into it once and costs no memory of its own. [`clear`](Self::clear) keeps
/// the buffer, so a loop that uses one batch again and again allocates nothing.
///
/// ```
/// let mut batch = tripline::Batch::new();
/// batch.push(b"one");
/// batch.push(b"");
/// assert_eq!((batch.len(), batch.bytes()), (2, 3));
/// assert!(batch.iter().eq([&b"one"[..], b""]));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    wire: Vec<u8>,
    count: usize,
    /// Bytes of all messages.
    bytes: usize,
    /// Bytes of the longest message.
    longest: usize,
}

impl Batch {
    /// No messages.
    pub const fn new() -> Self {
        Self { wire: Vec::new(), count: 0, bytes: 0, longest: 0 }
    }

    /// No messages, and room for so many bytes: one to four for each message beside its own.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { wire: Vec::with_capacity(bytes), ..Self::new() }
    }

    /// Appends a copy of a message.
    #[inline]
    pub fn push(&mut self, message: &[u8]) {
        write_message(&mut self.wire, message);
        self.count_in(message.len());
    }

    /// Appends a message that is written in place: by the protocol above, which puts a head before
    /// what it carries. Returns its length, in bytes.
    #[inline]
    pub fn push_with(&mut self, write: impl FnOnce(&mut Writer<'_>)) -> usize {
        let at = self.wire.len();
        // Most messages that are worth a batch have a length of one byte.
        self.wire.push(0);
        let start = self.wire.len();
        write(&mut Writer::new(&mut self.wire));
        let len = self.wire.len().saturating_sub(start);
        match (u8::try_from(len), self.wire.get_mut(at)) {
            (Ok(short @ ..=0x3f), Some(place)) => *place = short,
            _ => self.write_length(at, len),
        }
        self.count_in(len);
        len
    }

    /// Writes the length of the last message, which needs more room than the one byte at `at`.
    fn write_length(&mut self, at: usize, len: usize) {
        let mut prefix = Vec::with_capacity(8);
        Writer::new(&mut prefix).varint(u64::try_from(len).unwrap_or(u64::MAX));
        self.wire.splice(at..at.saturating_add(1), prefix);
    }

    /// How many messages there are.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many bytes all messages have together.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The messages, in order.
    pub fn iter(&self) -> BatchIter<'_> {
        BatchIter::new(&self.wire)
    }

    /// Forgets all messages; the memory stays for the next ones.
    pub fn clear(&mut self) {
        self.wire.clear();
        (self.count, self.bytes, self.longest) = (0, 0, 0);
    }

    /// Bytes of the longest message.
    pub(crate) const fn longest(&self) -> usize {
        self.longest
    }

    /// How many bytes it has in all: on the wire they are as many.
    pub(crate) fn wire_len(&self) -> usize {
        self.wire.len()
    }

    /// The messages as they stand, each behind its length as a variable-length integer: how they
    /// travel over a pipe of bytes.
    pub fn wire(&self) -> &[u8] {
        &self.wire
    }

    /// Takes all messages out. They share the memory in which they stood, so each costs a reference
    /// and no copy.
    pub fn take(&mut self) -> Messages {
        (self.count, self.bytes, self.longest) = (0, 0, 0);
        Messages { wire: Bytes::from(core::mem::take(&mut self.wire)), at: 0 }
    }

    /// Takes all messages out, in wire form. The next ones find as much room as these had.
    pub(crate) fn take_wire(&mut self) -> Vec<u8> {
        (self.count, self.bytes, self.longest) = (0, 0, 0);
        let room = self.wire.len().min(ROOM_MAX);
        core::mem::replace(&mut self.wire, Vec::with_capacity(room))
    }

    /// Appends the whole messages at the front of `wire`, as long as there is room for `room`
    /// bytes, but one at the least. Returns how many bytes that were.
    pub(crate) fn push_wire(&mut self, wire: &[u8], room: usize) -> usize {
        let (mut walk, mut end) = (Walk { rest: wire }, 0_usize);
        while let Some((prefix, len)) = walk.next()
            && (end == 0 || end.saturating_add(len) <= room)
        {
            end = end.saturating_add(len);
            self.count_in(len.saturating_sub(prefix));
        }
        self.wire.extend_from_slice(wire.get(..end).unwrap_or_default());
        end
    }

    fn count_in(&mut self, len: usize) {
        self.count = self.count.saturating_add(1);
        self.bytes = self.bytes.saturating_add(len);
        self.longest = self.longest.max(len);
    }
}

impl<'a> IntoIterator for &'a Batch {
    type Item = &'a [u8];
    type IntoIter = BatchIter<'a>;

    fn into_iter(self) -> BatchIter<'a> {
        self.iter()
    }
}

impl<'a> Extend<&'a [u8]> for Batch {
    fn extend<T: IntoIterator<Item = &'a [u8]>>(&mut self, messages: T) {
        messages.into_iter().for_each(|message| self.push(message));
    }
}

/// The messages of a [`Batch`], in order.
#[derive(Clone, Debug)]
pub struct BatchIter<'a> {
    walk: Walk<'a>,
}

impl<'a> BatchIter<'a> {
    /// The messages that stand in `wire`.
    pub(crate) fn new(wire: &'a [u8]) -> Self {
        Self { walk: Walk { rest: wire } }
    }
}

impl<'a> Iterator for BatchIter<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let all = self.walk.rest;
        let (prefix, len) = self.walk.next()?;
        all.get(prefix..len)
    }
}

/// The messages that [`Batch::take`] took out, in order.
#[derive(Clone, Debug)]
pub struct Messages {
    wire: Bytes,
    at: usize,
}

impl Iterator for Messages {
    type Item = Bytes;

    #[inline]
    fn next(&mut self) -> Option<Bytes> {
        let (prefix, len) = Walk { rest: self.wire.get(self.at..)? }.next()?;
        let end = self.at.saturating_add(len);
        let message = self.wire.slice(self.at.saturating_add(prefix)..end);
        self.at = end;
        Some(message)
    }
}

/// Walks over whole messages in wire form: how long each one's length is, and each with it.
#[derive(Clone, Debug)]
pub(crate) struct Walk<'a> {
    /// What was not walked over.
    pub(crate) rest: &'a [u8],
}

impl Iterator for Walk<'_> {
    type Item = (usize, usize);

    #[inline]
    fn next(&mut self) -> Option<(usize, usize)> {
        let mut reader = Reader::new(self.rest);
        let length = reader.varint().ok()?;
        let prefix = self.rest.len().saturating_sub(reader.remaining());
        let len = prefix.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
        self.rest = self.rest.get(len..)?;
        Some((prefix, len))
    }
}

/// Appends a message in wire form.
#[inline]
pub(crate) fn write_message(wire: &mut Vec<u8>, message: &[u8]) {
    Writer::new(wire).varint(u64::try_from(message.len()).unwrap_or(u64::MAX));
    wire.extend_from_slice(message);
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn messages_come_out_as_they_went_in() {
        let messages = [vec![1; 10], vec![], vec![2; 100], vec![3; 20_000]];
        let mut batch = Batch::with_capacity(100);
        batch.extend(messages.iter().map(Vec::as_slice));
        assert!(batch.iter().eq(messages.iter().map(Vec::as_slice)));
        assert_eq!((batch.len(), batch.bytes(), batch.longest()), (4, 20_110, 20_000));
        let wire = batch.take_wire();
        assert_eq!(wire.len(), 20_110 + 1 + 1 + 2 + 4);
        assert!(batch.is_empty() && batch == Batch::new());
    }

    /// A message that is written in place is like any other, and all can be taken out as their own.
    #[test]
    fn messages_are_taken_without_a_copy() {
        let mut batch = Batch::new();
        batch.push_with(|out| _ = out.bytes(b"he").bytes(b"ad"));
        batch.push_with(|_| ());
        batch.push_with(|out| _ = out.bytes(&[7; 100]));
        assert_eq!((batch.len(), batch.bytes(), batch.longest()), (3, 104, 100));
        assert_eq!(batch.wire()[..5], *b"\x04head");
        let place = batch.wire().as_ptr();
        let messages: Vec<Bytes> = batch.take().collect();
        assert_eq!(messages, [&b"head"[..], b"", &[7; 100]]);
        assert_eq!(messages[0].as_ptr(), place.wrapping_add(1), "copied");
        assert!(batch.is_empty() && batch.take().next().is_none());
    }

    /// What is taken is whole messages, one at the least.
    #[test]
    fn a_batch_is_filled_as_far_as_there_is_room() {
        let mut from = Batch::new();
        (0..4).for_each(|byte| from.push(&[byte; 9]));
        let wire = from.take_wire();
        let mut batch = Batch::new();
        assert_eq!(batch.push_wire(&wire, 25), 20);
        assert_eq!(batch.push_wire(&wire[20..], 0), 10);
        assert_eq!(batch.push_wire(&wire[30..], usize::MAX), 10);
        assert_eq!((batch.len(), batch.bytes()), (4, 36));
        assert!(batch.iter().zip(0..).all(|(message, byte)| message == [byte; 9]));
        assert_eq!(batch.push_wire(&[9, 1], 100), 0, "not whole");
        batch.clear();
        assert_eq!(batch.iter().next(), None);
    }
}
