//! ACK (PROTOCOL.md §3).

use super::read::{Flaw, Reader, varint_len};

/// The most ranges behind the first (R-ACK-1a).
const FURTHER_MAX: u64 = 63;

/// An ACK, whose ranges are known to be sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack<'a> {
    /// The largest number acknowledged.
    pub largest: u64,
    /// Since when, in microseconds.
    pub delay: u64,
    /// How many numbers right below the largest are acknowledged too.
    pub first: u64,
    /// How many ranges there are behind the first.
    pub further: u64,
    /// How many packets came as ECT(0), ECT(1) and CE, if that is told.
    pub ecn: Option<[u64; 3]>,
    /// The further ranges as they were written.
    ranges: &'a [u8],
}

impl<'a> Ack<'a> {
    /// Reads what follows the type.
    pub(super) fn read(reader: &mut Reader<'a>, has_ecn: bool) -> Result<Self, Flaw> {
        let largest = reader.varint()?;
        let delay = reader.varint()?;
        let first = reader.varint()?;
        let further = reader.varint()?;
        if further > FURTHER_MAX {
            return Err(Flaw("more than 63 further ranges in an ACK (§3)"));
        }
        let below = Flaw("an ACK of numbers below 0 (§3)");
        let mut low = largest.checked_sub(first).ok_or(below)?;
        let before = reader.rest();
        for _ in 0..further {
            let gap = reader.varint()?;
            let length = reader.varint()?;
            // The next range ends gap + 2 below the start of this one.
            let high = low.checked_sub(gap).and_then(|at| at.checked_sub(2)).ok_or(below)?;
            low = high.checked_sub(length).ok_or(below)?;
        }
        let ranges = before.get(..before.len() - reader.rest().len()).unwrap_or_default();
        let ecn = match has_ecn {
            true => Some([reader.varint()?, reader.varint()?, reader.varint()?]),
            false => None,
        };
        Ok(Self { largest, delay, first, further, ecn, ranges })
    }

    /// The ranges from the largest on, each as its lowest and its highest number.
    pub const fn ranges(&self) -> AckRanges<'a> {
        let first = Some((self.largest - self.first, self.largest));
        AckRanges { next: first, reader: Reader::new(self.ranges) }
    }

    /// How many bytes it takes, written as short as can be.
    pub(super) fn len(&self) -> usize {
        let numbers = [self.largest, self.delay, self.first, self.further];
        let plain: usize = numbers.into_iter().map(varint_len).sum();
        let ecn: usize = self.ecn.into_iter().flatten().map(varint_len).sum();
        1 + plain + self.ranges.len() + ecn
    }
}

/// See [`Ack::ranges`].
#[derive(Clone, Copy, Debug)]
pub struct AckRanges<'a> {
    next: Option<(u64, u64)>,
    reader: Reader<'a>,
}

impl Iterator for AckRanges<'_> {
    type Item = (u64, u64);

    fn next(&mut self) -> Option<(u64, u64)> {
        let now = self.next.take()?;
        if let (Ok(gap), Ok(length)) = (self.reader.varint(), self.reader.varint()) {
            // Checked when it was read.
            let high = now.0.wrapping_sub(gap).wrapping_sub(2);
            self.next = Some((high.wrapping_sub(length), high));
        }
        Some(now)
    }
}
