//! SKIP: messages of a stream that its sender gave up (PROTOCOL.md §3, R-SKIP-1).
//!
//! `stream id · count · count × (offset, length)`
//!
//! The ranges stay as bytes and are decoded as they are walked. Each is not empty and ends below
//! 2^60; order and overlap are not restricted, and whether they are whole messages is not known
//! here.

use alloc::vec::Vec;
use core::ops::Range;

use tripline_sansio::codec::{Reader, Writer, varint_len};

use super::super::Order;
use super::read::Fields;
use super::{FrameError, StreamId, frame_type};

/// The most ranges of one SKIP: the most that a count of one byte can say.
pub(crate) const SKIP_RANGES_MAX: usize = 63;

/// A checked SKIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SkipFrame<'a> {
    /// Which stream; never of order *bytes* (R-SKIP-1).
    pub(crate) id: StreamId,
    /// How many ranges there are.
    count: u64,
    /// The pairs of offset and length, all of them readable.
    pairs: &'a [u8],
}

impl<'a> SkipFrame<'a> {
    /// Reads what follows the type.
    pub(super) fn read(fields: &mut Fields<'a>) -> Result<Self, FrameError> {
        let id = fields.stream_id()?;
        if id.order() == Order::Bytes {
            return Err(fields.broken("skips on a bytes stream"));
        }
        let count = fields.varint()?;
        if count == 0 || usize::try_from(count).map_or(true, |count| count > SKIP_RANGES_MAX) {
            return Err(fields.broken("no ranges or too many"));
        }
        let all = fields.reader.rest();
        for _ in 0..count {
            let (offset, length) = (fields.varint()?, fields.varint()?);
            if length == 0 {
                return Err(fields.broken("skips nothing"));
            }
            fields.end(offset, length)?;
        }
        let used = all.len().saturating_sub(fields.reader.remaining());
        Ok(Self { id, count, pairs: all.get(..used).unwrap_or_default() })
    }

    /// The ranges of offsets given up, in the sender's order: 1 to [`SKIP_RANGES_MAX`], none empty.
    pub(crate) fn ranges(&self) -> SkipRanges<'a> {
        SkipRanges { pairs: Reader::new(self.pairs) }
    }

    /// How many bytes the frame takes.
    pub(super) fn wire_len(&self) -> usize {
        header_len(self.id).saturating_add(self.pairs.len())
    }

    /// Appends the frame again as it was read.
    pub(super) fn write(&self, out: &mut Writer<'_>) {
        out.varint(frame_type::SKIP).varint(self.id.number());
        out.varint(self.count).bytes(self.pairs);
    }
}

/// Walks the ranges of a [`SkipFrame`].
#[derive(Clone, Debug)]
pub(crate) struct SkipRanges<'a> {
    pairs: Reader<'a>,
}

impl Iterator for SkipRanges<'_> {
    type Item = Range<u64>;

    fn next(&mut self) -> Option<Range<u64>> {
        let (offset, length) = (self.pairs.varint().ok()?, self.pairs.varint().ok()?);
        Some(offset..offset.saturating_add(length))
    }
}

/// Type, stream and count.
fn header_len(id: StreamId) -> usize {
    varint_len(frame_type::SKIP).saturating_add(varint_len(id.number())).saturating_add(1)
}

/// Appends a SKIP of at most `space` bytes and returns how many of `ranges` are in it: as many of
/// the first as fit, at most [`SKIP_RANGES_MAX`]. 0 means that nothing was appended. The walk ends
/// at the first empty range.
pub(crate) fn write_skip(
    out: &mut Vec<u8>,
    space: usize,
    id: StreamId,
    ranges: impl IntoIterator<Item = Range<u64>>,
) -> usize {
    let Some(mut left) = space.checked_sub(header_len(id)) else {
        return 0;
    };
    let start = out.len();
    let mut writer = Writer::new(out);
    writer.varint(frame_type::SKIP).varint(id.number());
    let count_at = out.len();
    let mut writer = Writer::new(out);
    writer.u8(0);
    let mut count: u8 = 0;
    for range in ranges.into_iter().take(SKIP_RANGES_MAX) {
        let Some(length) = range.end.checked_sub(range.start).filter(|length| *length > 0) else {
            break;
        };
        let size = varint_len(range.start).saturating_add(varint_len(length));
        let Some(rest) = left.checked_sub(size) else { break };
        left = rest;
        writer.varint(range.start).varint(length);
        count = count.saturating_add(1);
    }
    if count == 0 {
        out.truncate(start);
    } else if let Some(place) = out.get_mut(count_at) {
        *place = count;
    }
    usize::from(count)
}
