//! What a message carries, as commands take it: borrowed, owned, or written behind some room.
#![deny(clippy::arithmetic_side_effects)]

use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use core::ops::Deref;

/// The bytes of a message on their way out. Anything that is bytes will do:
///
/// - a slice is copied once, into the batch that small messages share;
/// - [`Bytes`] and `Vec<u8>` are the same here while they are small, and copied once if large, as
///   a head is to stand before them;
/// - a [`Buffer`] has room for that head, so a large one is not copied at all (row M29).
#[derive(Debug)]
pub enum Payload<'a> {
    /// Borrowed.
    Slice(&'a [u8]),
    /// Owned.
    Bytes(Bytes),
    /// Owned, with room before it.
    Buffer(Buffer),
}

impl Payload<'_> {
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Slice(slice) => slice,
            Self::Bytes(bytes) => bytes,
            Self::Buffer(buffer) => buffer,
        }
    }

    /// The head and this as one run of bytes.
    pub(crate) fn behind(self, head: &[u8]) -> Bytes {
        match self {
            Self::Buffer(buffer) => buffer.behind(head),
            other => join(head, other.as_slice()),
        }
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        match self {
            Self::Slice(slice) => Bytes::copy_from_slice(slice),
            Self::Bytes(bytes) => bytes,
            Self::Buffer(buffer) => buffer.behind(&[]),
        }
    }
}

fn join(head: &[u8], tail: &[u8]) -> Bytes {
    let mut all = Vec::with_capacity(head.len().saturating_add(tail.len()));
    all.extend_from_slice(head);
    all.extend_from_slice(tail);
    Bytes::from(all)
}

impl<'a> From<&'a [u8]> for Payload<'a> {
    fn from(slice: &'a [u8]) -> Self {
        Self::Slice(slice)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Payload<'a> {
    fn from(array: &'a [u8; N]) -> Self {
        Self::Slice(array)
    }
}

impl<'a> From<&'a str> for Payload<'a> {
    fn from(text: &'a str) -> Self {
        Self::Slice(text.as_bytes())
    }
}

impl<'a> From<&'a Vec<u8>> for Payload<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self::Slice(bytes)
    }
}

impl From<Vec<u8>> for Payload<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(Bytes::from(bytes))
    }
}

impl From<Bytes> for Payload<'_> {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Buffer> for Payload<'_> {
    fn from(buffer: Buffer) -> Self {
        Self::Buffer(buffer)
    }
}

/// Bytes to be sent, with room before them for the head of the message (row M29).
///
/// ```
/// let mut buffer = tripline_rpc::Buffer::with_capacity(5);
/// buffer.extend_from_slice(b"hello");
/// assert_eq!(&buffer[..], b"hello");
/// ```
#[derive(Clone)]
pub struct Buffer {
    /// [`Self::ROOM`] bytes, and the user's.
    bytes: Vec<u8>,
}

impl Buffer {
    /// How many bytes of room there are. Only the head of a message whose name travels with it may
    /// be longer; then it is copied after all.
    pub const ROOM: usize = 32;

    /// No bytes.
    pub fn new() -> Self {
        Self::with_capacity(0)
    }

    /// No bytes yet, but memory for so many.
    pub fn with_capacity(bytes: usize) -> Self {
        let mut all = Vec::with_capacity(bytes.saturating_add(Self::ROOM));
        all.resize(Self::ROOM, 0);
        Self { bytes: all }
    }

    /// Appends bytes.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Appends a byte.
    pub fn push(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    /// Puts the head into the room.
    fn behind(mut self, head: &[u8]) -> Bytes {
        let Some(start) = Self::ROOM.checked_sub(head.len()) else { return join(head, &self) };
        if let Some(place) = self.bytes.get_mut(start..Self::ROOM) {
            place.copy_from_slice(head);
        }
        let mut all = Bytes::from(self.bytes);
        all.split_off(start)
    }
}

impl Default for Buffer {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(Self::ROOM..).unwrap_or_default()
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl Extend<u8> for Buffer {
    fn extend<T: IntoIterator<Item = u8>>(&mut self, bytes: T) {
        self.bytes.extend(bytes);
    }
}

impl From<&[u8]> for Buffer {
    fn from(bytes: &[u8]) -> Self {
        let mut buffer = Self::with_capacity(bytes.len());
        buffer.extend_from_slice(bytes);
        buffer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// M29: the head goes into the room, and the bytes stay where they are.
    #[test]
    fn m29_a_buffer_is_sent_from_where_it_stands() {
        let buffer = Buffer::from(&[9; 5_000][..]);
        let place = buffer.as_ptr();
        let message = Payload::from(buffer).behind(b"head");
        assert_eq!((&message[..4], message.len()), (&b"head"[..], 5_004));
        assert_eq!(message[4..].as_ptr(), place, "copied");
        let long = [1; Buffer::ROOM + 1];
        let message = Payload::from(Buffer::from(&[9; 3][..])).behind(&long);
        assert_eq!(message[..], [&long[..], &[9; 3]].concat());
    }

    #[test]
    fn all_kinds_of_bytes_are_payloads() {
        let (array, vector) = (*b"abc", b"abc".to_vec());
        let payloads: [Payload<'_>; 6] = [
            (&array).into(),
            array[..].into(),
            "abc".into(),
            (&vector).into(),
            vector.clone().into(),
            Buffer::from(&array[..]).into(),
        ];
        for payload in payloads {
            assert_eq!(payload.as_slice(), b"abc");
            assert_eq!(payload.into_bytes(), "abc");
        }
        assert_eq!(Payload::from(Bytes::from("abc")).behind(b"x"), "xabc");
    }
}
