//! The header of DATA and its packet number (PROTOCOL.md §2.1).
//!
//! In goes a datagram or a full packet number, out comes the header or its bytes. Never opens or
//! seals a packet, and keeps no window of numbers.

use alloc::vec::Vec;

use tripline_sansio::codec::{Reader, Writer};

use super::{FIRST_DATA_LONG, FIRST_DATA_SHORT, PacketError, TAG_LEN};

/// Bytes of the header with a packet number of two bytes.
pub(crate) const DATA_HEADER_SHORT: usize = 11;
/// Bytes of the header with a packet number of four bytes.
pub(crate) const DATA_HEADER_LONG: usize = 13;
/// What DATA adds to its plaintext, header and tag, with a packet number of four bytes.
pub(crate) const DATA_OVERHEAD_LONG: usize = DATA_HEADER_LONG + TAG_LEN;

/// Packet numbers lie below this (R-DATA-2).
pub(crate) const NUMBER_LIMIT: u64 = 1 << 62;

/// How far above the largest acknowledged number two bytes still do (R-DATA-3).
const SHORT_REACH: u64 = 1 << 14;

/// The low two or four bytes of a packet number, as the header holds them (R-DATA-3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TruncatedNumber {
    /// The low two bytes.
    Short(u16),
    /// The low four bytes.
    Long(u32),
}

impl TruncatedNumber {
    /// What to send of `number`: two bytes while it is less than 2^14 above `largest_acked`, else
    /// four.
    pub(crate) const fn new(number: u64, largest_acked: Option<u64>) -> Self {
        let ahead = match largest_acked {
            Some(largest) => number.saturating_sub(largest),
            // As if the number before the first, −1, had been acknowledged.
            None => number.saturating_add(1),
        };
        let [_, _, _, _, a, b, c, d] = number.to_be_bytes();
        if ahead < SHORT_REACH {
            Self::Short(u16::from_be_bytes([c, d]))
        } else {
            Self::Long(u32::from_be_bytes([a, b, c, d]))
        }
    }

    /// The full number: the one nearest to the next expected that ends in these bytes (R-DATA-3, as
    /// RFC 9000 A.3). `largest` is the largest number that ever verified. `None` if the result
    /// would not lie below [`NUMBER_LIMIT`].
    pub(crate) fn expand(self, largest: Option<u64>) -> Option<u64> {
        let expected = largest.map_or(0, |largest| largest.saturating_add(1));
        let (low, window): (u64, u64) = match self {
            Self::Short(low) => (low.into(), 1 << 16),
            Self::Long(low) => (low.into(), 1 << 32),
        };
        let half = window >> 1;
        let near = (expected & !window.saturating_sub(1)) | low;
        let up = near.saturating_add(window);
        let number = if near.saturating_add(half) <= expected && up < NUMBER_LIMIT {
            up
        } else if near > expected.saturating_add(half) && near >= window {
            near.saturating_sub(window)
        } else {
            near
        };
        (number < NUMBER_LIMIT).then_some(number)
    }
}

/// What stands before the ciphertext of DATA; it is the associated data of the seal (R-DATA-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DataHeader {
    /// The receiver's connection ID.
    pub(crate) id: u64,
    /// The packet number as sent.
    pub(crate) number: TruncatedNumber,
}

impl DataHeader {
    /// Reads the header of a datagram. What follows [`Self::header_len`] bytes is ciphertext and
    /// tag.
    ///
    /// # Errors
    /// [`PacketError::Kind`] if it is not DATA or a reserved bit is set, [`PacketError::Length`] if
    /// header and tag do not fit.
    pub(crate) fn parse(packet: &[u8]) -> Result<Self, PacketError> {
        let mut reader = Reader::new(packet);
        let first = reader.u8()?;
        if first != FIRST_DATA_SHORT && first != FIRST_DATA_LONG {
            return Err(PacketError::Kind);
        }
        let id = reader.u64()?;
        let number = if first == FIRST_DATA_SHORT {
            TruncatedNumber::Short(reader.u16()?)
        } else {
            TruncatedNumber::Long(reader.u32()?)
        };
        if reader.remaining() < TAG_LEN {
            return Err(PacketError::Length);
        }
        Ok(Self { id, number })
    }

    /// How many bytes the header has.
    pub(crate) const fn header_len(self) -> usize {
        match self.number {
            TruncatedNumber::Short(_) => DATA_HEADER_SHORT,
            TruncatedNumber::Long(_) => DATA_HEADER_LONG,
        }
    }

    /// Appends the header.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        let mut out = Writer::new(out);
        match self.number {
            TruncatedNumber::Short(low) => out.u8(FIRST_DATA_SHORT).u64(self.id).u16(low),
            TruncatedNumber::Long(low) => out.u8(FIRST_DATA_LONG).u64(self.id).u32(low),
        };
    }
}
