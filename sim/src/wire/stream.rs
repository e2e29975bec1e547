//! Names of streams, STREAM and SKIP (PROTOCOL.md §3, §4).

use super::read::{Flaw, Reader, varint_len};

/// Offsets, ends of ranges and grants are below this (R-FRAME-3).
pub(super) const OFFSETS: u64 = 1 << 60;
/// Lengths of messages are below this (§6, parameter 7).
const MESSAGES: u64 = 1 << 30;
/// The most ranges in a SKIP.
const SKIPS: u64 = 63;

/// A stream's ID, whose parts say what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamName(pub u64);

impl StreamName {
    /// Which one of its opener's streams of that direction it is.
    pub const fn index(self) -> u64 {
        self.0 >> 4
    }

    /// 0 bytes, 1 ordered, 2 unordered, 3 latest.
    pub const fn order(self) -> u64 {
        self.0 >> 2 & 3
    }

    /// Whether it has messages, rather than bytes without borders.
    pub const fn has_messages(self) -> bool {
        self.order() != 0
    }

    /// Whether only its opener sends on it.
    pub const fn is_one_way(self) -> bool {
        self.0 & 2 != 0
    }

    /// Whether the server opened it.
    pub const fn by_server(self) -> bool {
        self.0 & 1 != 0
    }
}

/// A STREAM frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream<'a> {
    /// Whose bytes these are.
    pub stream: StreamName,
    /// Where they begin.
    pub offset: u64,
    /// Whether the offset was written, even if it is 0.
    pub has_offset: bool,
    /// Whether the length was written.
    pub has_length: bool,
    /// Whether it begins with the first byte of a message.
    pub aligned: bool,
    /// Whether the direction ends behind it.
    pub fin: bool,
    /// The bytes.
    pub payload: &'a [u8],
}

impl<'a> Stream<'a> {
    /// Reads what follows a type with these four bits.
    pub(super) fn read(reader: &mut Reader<'a>, bits: u64) -> Result<Self, Flaw> {
        let [has_length, aligned, fin, has_offset] = [1, 2, 4, 8].map(|bit| bits & bit != 0);
        let stream = StreamName(reader.varint()?);
        let offset = if has_offset { reader.varint()? } else { 0 };
        let payload = if has_length {
            let length = reader.varint()?;
            reader.take_counted(length)?
        } else {
            reader.take_rest()
        };
        let read = Self { stream, offset, has_offset, has_length, aligned, fin, payload };
        if read.end() >= OFFSETS {
            return Err(Flaw("a STREAM frame that ends at 2^60 or above (R-FRAME-3)"));
        }
        if aligned {
            read.check_messages()?;
        }
        Ok(read)
    }

    /// The offset behind its last byte.
    pub const fn end(&self) -> u64 {
        self.offset.saturating_add(self.payload.len() as u64)
    }

    /// The lengths of the messages in an aligned frame, and whether each is here whole.
    pub fn messages(&self) -> impl Iterator<Item = Result<(u64, bool), Flaw>> + use<'a> {
        let mut reader = Reader::new(if self.aligned { self.payload } else { &[] });
        std::iter::from_fn(move || {
            if reader.rest().is_empty() {
                return None;
            }
            let length = match reader.varint() {
                Ok(length) => length,
                Err(flaw) => {
                    reader.take_rest();
                    return Some(Err(flaw));
                }
            };
            let is_whole = reader.take_counted(length).is_ok();
            if !is_whole {
                reader.take_rest();
            }
            Some(Ok((length, is_whole)))
        })
    }

    /// R-MSG-2.
    fn check_messages(&self) -> Result<(), Flaw> {
        if !self.stream.has_messages() {
            return Err(Flaw("an aligned frame on a stream of bytes (§3)"));
        }
        for message in self.messages() {
            let (length, _) = message.map_err(|_| Flaw("a message cut in its length (R-MSG-2)"))?;
            if length >= MESSAGES {
                return Err(Flaw("a message of 2^30 bytes or more (§6)"));
            }
        }
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        let offset = if self.has_offset { varint_len(self.offset) } else { 0 };
        let payload = self.payload.len();
        let length = if self.has_length { varint_len(payload as u64) } else { 0 };
        1 + varint_len(self.stream.0) + offset + length + payload
    }
}

/// A SKIP frame, whose ranges are known to be sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skip<'a> {
    /// Whose messages are given up.
    pub stream: StreamName,
    /// How many ranges there are.
    pub count: u64,
    ranges: &'a [u8],
}

impl<'a> Skip<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, Flaw> {
        let stream = StreamName(reader.varint()?);
        let count = reader.varint()?;
        if !stream.has_messages() {
            return Err(Flaw("SKIP on a stream of bytes (§3)"));
        }
        if !(1..=SKIPS).contains(&count) {
            return Err(Flaw("a SKIP of no range or of more than 63 (§3)"));
        }
        let before = reader.rest();
        for _ in 0..count {
            let (offset, length) = (reader.varint()?, reader.varint()?);
            if length == 0 {
                return Err(Flaw("an empty range in a SKIP (§3)"));
            }
            if offset.saturating_add(length) >= OFFSETS {
                return Err(Flaw("a SKIP that ends at 2^60 or above (R-FRAME-3)"));
            }
        }
        let ranges = before.get(..before.len() - reader.rest().len()).unwrap_or_default();
        Ok(Self { stream, count, ranges })
    }

    /// The ranges, each as its first offset and its length.
    pub const fn ranges(&self) -> Ranges<'a> {
        Ranges(Reader::new(self.ranges))
    }

    pub(super) const fn len(&self) -> usize {
        1 + varint_len(self.stream.0) + varint_len(self.count) + self.ranges.len()
    }
}

/// See [`Skip::ranges`].
#[derive(Clone, Copy, Debug)]
pub struct Ranges<'a>(Reader<'a>);

impl Iterator for Ranges<'_> {
    type Item = (u64, u64);

    fn next(&mut self) -> Option<(u64, u64)> {
        Some((self.0.varint().ok()?, self.0.varint().ok()?))
    }
}
