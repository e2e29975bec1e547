//! Reading and writing bytes: the only place that may look into a slice by position.
//!
//! [`Reader`] takes bytes off the front of a slice and never past its end; [`Writer`] appends to a
//! vector. All integers are big endian; variable-length integers are QUIC's (RFC 9000 §16), in
//! their shortest form only, so that every value has one encoding.
#![deny(clippy::arithmetic_side_effects)]

use alloc::vec::Vec;
use core::fmt;

/// The largest value of a variable-length integer: 2^62 − 1.
pub const VARINT_MAX: u64 = (1 << 62) - 1;

/// Why bytes could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// The bytes end before the field does; at least `missing` more were needed.
    Short {
        /// How many bytes were missing.
        missing: usize,
    },
    /// A variable-length integer in a longer form than it needs.
    NotShortest,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { missing } => write!(f, "the data ends {missing} bytes too early"),
            Self::NotShortest => {
                f.write_str("a variable-length integer is not in its shortest form")
            }
        }
    }
}

impl core::error::Error for ReadError {}

/// Takes fields off the front of a byte slice.
///
/// A read that fails takes nothing.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader of all of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The bytes that are left, without taking them.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// [`ReadError::Short`] if fewer are left.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], ReadError> {
        match self.rest.split_at_checked(count) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(ReadError::Short { missing: count.saturating_sub(self.rest.len()) }),
        }
    }

    /// All bytes that are left.
    pub fn take_rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.rest)
    }

    /// The next `N` bytes as an array.
    ///
    /// # Errors
    /// [`ReadError::Short`] if fewer are left.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        match self.rest.split_first_chunk::<N>() {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(*taken)
            }
            None => Err(ReadError::Short { missing: N.saturating_sub(self.rest.len()) }),
        }
    }

    /// One byte.
    ///
    /// # Errors
    /// [`ReadError::Short`] if nothing is left.
    pub fn u8(&mut self) -> Result<u8, ReadError> {
        self.array().map(u8::from_be_bytes)
    }

    /// Two bytes.
    ///
    /// # Errors
    /// [`ReadError::Short`] if fewer are left.
    pub fn u16(&mut self) -> Result<u16, ReadError> {
        self.array().map(u16::from_be_bytes)
    }

    /// Four bytes.
    ///
    /// # Errors
    /// [`ReadError::Short`] if fewer are left.
    pub fn u32(&mut self) -> Result<u32, ReadError> {
        self.array().map(u32::from_be_bytes)
    }

    /// Eight bytes.
    ///
    /// # Errors
    /// [`ReadError::Short`] if fewer are left.
    pub fn u64(&mut self) -> Result<u64, ReadError> {
        self.array().map(u64::from_be_bytes)
    }

    /// A variable-length integer (RFC 9000 §16), shortest form only.
    ///
    /// # Errors
    /// [`ReadError::Short`] if it is cut off, [`ReadError::NotShortest`] if a shorter form exists.
    #[inline]
    pub fn varint(&mut self) -> Result<u64, ReadError> {
        // Types and small numbers, which are most of what is read, have one byte.
        match self.rest.split_first() {
            Some((&first, rest)) if first < 0x40 => {
                self.rest = rest;
                Ok(u64::from(first))
            }
            _ => self.long_varint(),
        }
    }

    /// A variable-length integer of any length.
    fn long_varint(&mut self) -> Result<u64, ReadError> {
        let first = *self.rest.first().ok_or(ReadError::Short { missing: 1 })?;
        let mut ahead = self.clone();
        let (value, least) = match first >> 6 {
            0 => (u64::from(ahead.u8()?), 0),
            1 => (u64::from(ahead.u16()? & 0x3fff), 1 << 6),
            2 => (u64::from(ahead.u32()? & 0x3fff_ffff), 1 << 14),
            _ => (ahead.u64()? & VARINT_MAX, 1 << 30),
        };
        if value < least {
            return Err(ReadError::NotShortest);
        }
        *self = ahead;
        Ok(value)
    }

    /// Bytes behind a variable-length count of them.
    ///
    /// # Errors
    /// As [`Self::varint`] and [`Self::take`].
    pub fn varint_bytes(&mut self) -> Result<&'a [u8], ReadError> {
        let mut ahead = self.clone();
        let count = ahead.varint()?;
        let bytes = ahead.take(usize::try_from(count).unwrap_or(usize::MAX))?;
        *self = ahead;
        Ok(bytes)
    }
}

/// How many bytes [`Writer::varint`] uses for `value`: 1, 2, 4 or 8.
pub const fn varint_len(value: u64) -> usize {
    match value {
        0..=0x3f => 1,
        0x40..=0x3fff => 2,
        0x4000..=0x3fff_ffff => 4,
        _ => 8,
    }
}

/// Appends fields to a vector.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    /// A writer that appends to `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// Appends bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.out.extend_from_slice(bytes);
        self
    }

    /// Appends `count` zero bytes.
    pub fn zeros(&mut self, count: usize) -> &mut Self {
        self.out.resize(self.out.len().saturating_add(count), 0);
        self
    }

    /// Appends one byte.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.bytes(&[value])
    }

    /// Appends two bytes.
    pub fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    /// Appends four bytes.
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    /// Appends eight bytes.
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    /// Appends a variable-length integer in its shortest form; values above [`VARINT_MAX`] are
    /// written as that.
    #[expect(clippy::cast_possible_truncation, reason = "each arm holds values that fit")]
    #[inline]
    pub fn varint(&mut self, value: u64) -> &mut Self {
        match varint_len(value) {
            1 => self.u8(value as u8),
            2 => self.u16(0x4000 | value as u16),
            4 => self.u32(0x8000_0000 | value as u32),
            _ => self.u64(0xc000_0000_0000_0000 | value.min(VARINT_MAX)),
        }
    }

    /// Appends bytes behind a variable-length count of them.
    pub fn varint_bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.varint(u64::try_from(bytes.len()).unwrap_or(VARINT_MAX)).bytes(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(value: u64) -> Vec<u8> {
        let mut out = Vec::new();
        Writer::new(&mut out).varint(value);
        out
    }

    /// T72: the examples of RFC 9000 §A.1, both ways.
    #[test]
    fn t72_varint_examples_of_rfc_9000() {
        for (value, bytes) in [
            (151_288_809_941_952_652, &[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c][..]),
            (494_878_333, &[0x9d, 0x7f, 0x3e, 0x7d]),
            (15_293, &[0x7b, 0xbd]),
            (37, &[0x25]),
        ] {
            assert_eq!(encode(value), bytes);
            assert_eq!(Reader::new(bytes).varint(), Ok(value));
        }
    }

    /// T72, R-WIRE: one canonical form; a longer one is refused and takes nothing.
    #[test]
    fn t72_longer_forms_are_refused() {
        for bytes in
            [&[0x40, 0x25][..], &[0x80, 0, 0x3f, 0xff], &[0xc0, 0, 0, 0, 0x3f, 0xff, 0xff, 0xff]]
        {
            let mut reader = Reader::new(bytes);
            assert_eq!(reader.varint(), Err(ReadError::NotShortest));
            assert_eq!(reader.rest(), bytes);
        }
    }

    /// T71: every boundary value round-trips in as many bytes as announced.
    #[test]
    fn t71_varint_boundaries_round_trip() {
        for value in [0, 63, 64, 16_383, 16_384, (1 << 30) - 1, 1 << 30, VARINT_MAX] {
            let bytes = encode(value);
            assert_eq!(bytes.len(), varint_len(value));
            assert_eq!(Reader::new(&bytes).varint(), Ok(value));
            for cut in 0..bytes.len() {
                assert!(matches!(
                    Reader::new(&bytes[..cut]).varint(),
                    Err(ReadError::Short { .. })
                ));
            }
        }
        assert_eq!(encode(u64::MAX), encode(VARINT_MAX));
    }

    #[test]
    fn fields_read_back_in_order_and_shortage_tells_how_much() {
        let mut out = Vec::new();
        Writer::new(&mut out).u8(1).u16(2).u32(3).u64(4).varint_bytes(b"five").zeros(2);
        let mut reader = Reader::new(&out);
        assert_eq!(
            (reader.u8(), reader.u16(), reader.u32(), reader.u64()),
            (Ok(1), Ok(2), Ok(3), Ok(4))
        );
        assert_eq!(reader.varint_bytes(), Ok(&b"five"[..]));
        assert_eq!(reader.take(5), Err(ReadError::Short { missing: 3 }));
        assert_eq!(reader.u32(), Err(ReadError::Short { missing: 2 }));
        assert_eq!(reader.take_rest(), &[0, 0]);
        assert!(reader.is_empty());
        assert_eq!(Reader::new(&[9, 1]).varint_bytes(), Err(ReadError::Short { missing: 8 }));
    }
}
