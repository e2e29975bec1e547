//! ACK: which packets were received (PROTOCOL.md §3, §5.1; ranges as in RFC 9000 §19.3).
//!
//! `largest · delay µs · first range · count · count × (gap, length) · [ECT0 · ECT1 · CE]`
//!
//! The ranges stay as bytes and are decoded as they are walked; reading a frame has walked them
//! once, so that no number below 0 can come (R-ACK-2). Whether a number was ever sent is not known
//! here.

use alloc::vec::Vec;
use core::ops::Range;

use tripline_sansio::codec::{Reader, Writer, varint_len};

use super::read::Fields;
use super::{FrameError, frame_type};

/// The most ranges of one ACK, the first included (R-ACK-1).
pub(crate) const ACK_RANGES_MAX: usize = 64;

/// How many packets came with each ECN mark, over the whole connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EcnCounts {
    /// Marked ECT(0).
    pub(crate) ect0: u64,
    /// Marked ECT(1).
    pub(crate) ect1: u64,
    /// Marked "congestion experienced".
    pub(crate) ce: u64,
}

impl EcnCounts {
    /// How many bytes the counts take.
    fn wire_len(self) -> usize {
        varint_len(self.ect0)
            .saturating_add(varint_len(self.ect1))
            .saturating_add(varint_len(self.ce))
    }

    /// Appends the counts.
    fn write(self, out: &mut Writer<'_>) {
        out.varint(self.ect0).varint(self.ect1).varint(self.ce);
    }
}

/// A checked ACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AckFrame<'a> {
    /// The largest number acknowledged.
    pub(crate) largest: u64,
    /// How long the largest waited for its acknowledgement, in microseconds.
    pub(crate) delay_us: u64,
    /// How many numbers right below the largest are acknowledged with it.
    first: u64,
    /// How many pairs follow the first range.
    count: u64,
    /// The pairs of gap and length, all of them readable.
    pairs: &'a [u8],
    /// The counts of ECN marks, if the sender has them.
    pub(crate) ecn: Option<EcnCounts>,
}

impl<'a> AckFrame<'a> {
    /// Reads what follows the type.
    pub(super) fn read(fields: &mut Fields<'a>) -> Result<Self, FrameError> {
        let (largest, delay_us, first) = (fields.varint()?, fields.varint()?, fields.varint()?);
        let mut smallest = largest
            .checked_sub(first)
            .ok_or_else(|| fields.broken("acknowledges a number below 0"))?;
        let count = fields.varint()?;
        if usize::try_from(count).map_or(true, |count| count >= ACK_RANGES_MAX) {
            return Err(fields.broken("too many ranges"));
        }
        let all = fields.reader.rest();
        for _ in 0..count {
            let (gap, length) = (fields.varint()?, fields.varint()?);
            let range = below(smallest, gap, length)
                .ok_or_else(|| fields.broken("acknowledges a number below 0"))?;
            smallest = range.start;
        }
        let used = all.len().saturating_sub(fields.reader.remaining());
        let pairs = all.get(..used).unwrap_or_default();
        let ecn = if fields.frame_type == frame_type::ACK_ECN {
            let (ect0, ect1, ce) = (fields.varint()?, fields.varint()?, fields.varint()?);
            Some(EcnCounts { ect0, ect1, ce })
        } else {
            None
        };
        Ok(Self { largest, delay_us, first, count, pairs, ecn })
    }

    /// The ranges of acknowledged numbers, newest first: 1 to [`ACK_RANGES_MAX`], none empty, none
    /// touching the next.
    pub(crate) fn ranges(&self) -> AckRanges<'a> {
        let start = self.largest.saturating_sub(self.first);
        AckRanges {
            next: Some(start..self.largest.saturating_add(1)),
            pairs: Reader::new(self.pairs),
        }
    }

    /// The type on the wire: with ECN counts or without.
    pub(super) const fn frame_type(&self) -> u64 {
        if self.ecn.is_some() { frame_type::ACK_ECN } else { frame_type::ACK }
    }

    /// How many bytes the frame takes.
    pub(super) fn wire_len(&self) -> usize {
        [self.frame_type(), self.largest, self.delay_us, self.first, self.count]
            .into_iter()
            .fold(self.pairs.len(), |sum, field| sum.saturating_add(varint_len(field)))
            .saturating_add(self.ecn.map_or(0, EcnCounts::wire_len))
    }

    /// Appends the frame again as it was read.
    pub(super) fn write(&self, out: &mut Writer<'_>) {
        out.varint(self.frame_type()).varint(self.largest).varint(self.delay_us);
        out.varint(self.first).varint(self.count).bytes(self.pairs);
        if let Some(ecn) = self.ecn {
            ecn.write(out);
        }
    }
}

/// The range that lies `gap` + 1 missing numbers below `smallest`; `None` if it would pass 0.
fn below(smallest: u64, gap: u64, length: u64) -> Option<Range<u64>> {
    let last = smallest.checked_sub(gap)?.checked_sub(2)?;
    Some(last.checked_sub(length)?..last.saturating_add(1))
}

/// Walks the ranges of an [`AckFrame`], newest first.
#[derive(Clone, Debug)]
pub(crate) struct AckRanges<'a> {
    next: Option<Range<u64>>,
    pairs: Reader<'a>,
}

impl Iterator for AckRanges<'_> {
    type Item = Range<u64>;

    fn next(&mut self) -> Option<Range<u64>> {
        let range = self.next.take()?;
        if let (Ok(gap), Ok(length)) = (self.pairs.varint(), self.pairs.varint()) {
            self.next = below(range.start, gap, length);
        }
        Some(range)
    }
}

/// Appends an ACK of at most `space` bytes and returns how many of `ranges` are in it: as many of
/// the newest as fit, at most [`ACK_RANGES_MAX`]. 0 means that nothing was appended.
///
/// `ranges` come newest first, not empty, not touching (a `RangeSet` turned round); the walk ends
/// at the first that breaks this.
pub(crate) fn write_ack(
    out: &mut Vec<u8>,
    space: usize,
    delay_us: u64,
    ranges: impl IntoIterator<Item = Range<u64>>,
    ecn: Option<EcnCounts>,
) -> usize {
    let mut ranges = ranges.into_iter();
    let Some((largest, first, mut smallest)) = ranges.next().and_then(|range| {
        let largest = range.end.checked_sub(1)?;
        Some((largest, largest.checked_sub(range.start)?, range.start))
    }) else {
        return 0;
    };
    let kind = if ecn.is_some() { frame_type::ACK_ECN } else { frame_type::ACK };
    // The count takes one byte, as it is below 64: it is put in its place at the end.
    let fixed = [kind, largest, delay_us, first, 0]
        .into_iter()
        .fold(ecn.map_or(0, EcnCounts::wire_len), |sum, field| {
            sum.saturating_add(varint_len(field))
        });
    let Some(mut left) = space.checked_sub(fixed) else {
        return 0;
    };
    let mut writer = Writer::new(out);
    writer.varint(kind).varint(largest).varint(delay_us).varint(first);
    let count_at = out.len();
    let mut writer = Writer::new(out);
    writer.u8(0);
    let mut count: u8 = 0;
    for range in ranges.take(ACK_RANGES_MAX.saturating_sub(1)) {
        let Some((gap, length)) = pair_below(smallest, &range) else { break };
        let size = varint_len(gap).saturating_add(varint_len(length));
        let Some(rest) = left.checked_sub(size) else { break };
        left = rest;
        writer.varint(gap).varint(length);
        smallest = range.start;
        count = count.saturating_add(1);
    }
    if let Some(ecn) = ecn {
        ecn.write(&mut writer);
    }
    if let Some(place) = out.get_mut(count_at) {
        *place = count;
    }
    usize::from(count).saturating_add(1)
}

/// Gap and length that say `range` behind a range that begins at `smallest`; `None` if it is empty,
/// or not below with a number between.
fn pair_below(smallest: u64, range: &Range<u64>) -> Option<(u64, u64)> {
    let gap = smallest.checked_sub(range.end)?.checked_sub(1)?;
    let length = range.end.checked_sub(range.start)?.checked_sub(1)?;
    Some((gap, length))
}
