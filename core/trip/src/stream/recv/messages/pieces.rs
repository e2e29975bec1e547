//! Messages that are not whole yet: where one begins, what belongs to it, and when it is complete.
//!
//! In go the first bytes of a message, pieces of one, and offsets where one must begin; a message
//! that becomes complete is delivered. The page of the module above tells what is kept, and how a
//! cut message shows.
#![deny(clippy::arithmetic_side_effects)]

use super::super::parse;
use super::super::{CROSSES, DIFFERS, Effect, Violation, len64, slice, to_usize};
use super::{Messages, Wire};
use crate::ranges::RangeSet;
use crate::recycle::{KEPT_MAX, LARGE};
use alloc::vec::Vec;
use core::ops::Range;
use tripline_sansio::codec::Reader;

/// How many spans of `links` are remembered; beyond, contradictions may go unnoticed.
const LINKS_MAX: usize = 1024;

/// A message of which the first byte is known, and not all.
#[derive(Debug)]
pub(super) struct Begun {
    /// Where it ends by its length.
    pub(super) end: u64,
    /// All below is sure to belong to it: it came in one frame with its first byte, or in frames
    /// that overlap such a one.
    pub(super) sure: u64,
    /// Its bytes in wire form from its first one to the first gap; none once it is cut.
    pub(super) bytes: Vec<u8>,
    /// It is known to end before its length says, somewhere from `sure` on.
    pub(super) cut: bool,
}

/// A step's outcome: the end of what it resolved, where a message must begin, if it did.
type Step = Result<Option<u64>, Violation>;

impl Messages {
    /// The first bytes of a message that is cut off in its frame: `bytes` from `start` on, of
    /// `wire` that its length declares.
    pub(super) fn begin(
        &mut self,
        start: u64,
        bytes: &[u8],
        wire: u64,
        effect: &mut Effect,
    ) -> Step {
        let have = start.saturating_add(len64(bytes));
        let end = start.saturating_add(wire);
        if self.settled.contains(start) {
            return if self.settled.covers(&(start..have)) { Ok(None) } else { Err(CROSSES) };
        }
        if self.waiting.held().contains(start) {
            return match self.waiting.held().covers(&(start..end)) {
                false => Err(CROSSES),
                true if !self.waiting.agrees(start, bytes) => Err(DIFFERS),
                true => Ok(None),
            };
        }
        let next = self.next_start(start);
        if next < have {
            return Err(CROSSES);
        }
        self.known_start(start)?;
        if let Some(one) = self.begun.get_mut(&start) {
            if one.end != end {
                return Err(CROSSES);
            }
            one.sure = one.sure.max(have);
            return if one.cut { Ok(None) } else { self.extend(start, start, bytes, effect) };
        }
        if !self.loose.agrees(start, bytes) {
            return Err(DIFFERS);
        }
        let mut cut = next < end;
        if !cut && let Some(link) = self.links.iter().find(|link| link.contains(&end)) {
            // A frame of one message reaches across the end: so this one ends before that.
            if link.start <= have {
                return Err(CROSSES);
            }
            cut = true;
        }
        self.loose.remove(start..have);
        let bytes_kept = self.buffer_for(wire);
        self.begun.insert(start, Begun { end, sure: have, bytes: bytes_kept, cut });
        if cut { Ok(None) } else { self.extend(start, start, bytes, effect) }
    }

    /// A buffer for a message of `wire` bytes: one that was lent, if it is of about that size and
    /// the only one in use here.
    fn buffer_for(&mut self, wire: u64) -> Vec<u8> {
        let wire = to_usize(wire);
        let fits = wire >= LARGE && self.lent.capacity() <= wire.saturating_mul(2);
        let lent = fits && self.begun.is_empty() && self.lent.capacity() > 0;
        core::mem::take(if lent { &mut self.lent } else { &mut self.spare })
    }

    /// A frame that lies within one message.
    pub(super) fn within(&mut self, offset: u64, payload: &[u8], effect: &mut Effect) -> Step {
        let range = offset..offset.saturating_add(len64(payload));
        if self.settled.count_in(&range) > 0 {
            return if self.settled.covers(&range) { Ok(None) } else { Err(CROSSES) };
        }
        if self.waiting.held().count_in(&range) > 0 {
            return match self.waiting.held().covers(&range) {
                false => Err(CROSSES),
                true if !self.waiting.agrees(offset, payload) => Err(DIFFERS),
                true => Ok(None),
            };
        }
        // The last message that begins before the frame's end is the frame's, or lies before it.
        if let Some((&start, one)) = self.begun.range_mut(..range.end).next_back() {
            if start > offset {
                return Err(CROSSES);
            }
            if offset < one.sure {
                if range.end > one.end {
                    return Err(CROSSES);
                }
                one.sure = one.sure.max(range.end);
                if one.cut {
                    return Ok(None);
                }
            }
            if !one.cut && range.end <= one.end {
                return self.extend(start, offset, payload, effect);
            }
            if !one.cut && offset < one.end {
                // Of another message, which begins inside the extent of this one.
                self.cut(start);
            }
        }
        self.hold_loose(offset, payload)?;
        let start = self.loose.block_at(offset).map_or(offset, |(start, _)| start);
        Ok(self.is_boundary(start).then_some(start))
    }

    /// Bytes of a begun message that is not cut.
    fn extend(&mut self, start: u64, offset: u64, bytes: &[u8], effect: &mut Effect) -> Step {
        let ahead = self.ahead();
        let Some(one) = self.begun.get_mut(&start) else { return Ok(None) };
        let upto = start.saturating_add(len64(&one.bytes));
        let end = offset.saturating_add(len64(bytes));
        let shared = offset..end.min(upto);
        if slice(bytes, offset, &shared) != slice(&one.bytes, start, &shared) {
            return Err(DIFFERS);
        }
        if offset > upto {
            self.hold_loose(offset, bytes)?;
            return Ok(None);
        }
        let fresh = slice(bytes, offset, &(upto..end));
        if !self.loose.is_empty() && !self.loose.agrees(upto, fresh) {
            return Err(DIFFERS);
        }
        one.append(start, fresh, ahead);
        if !self.loose.is_empty() {
            self.loose.remove(upto..upto.max(end));
            let mut at = upto.max(end);
            while let Some(block) = self.loose.take_at(at, one.end) {
                one.append(start, &block, ahead);
                at = at.saturating_add(len64(&block));
            }
        }
        self.finish(start, effect)
    }

    /// What a message may reserve ahead: as much as it would get with a buffer that is used again,
    /// if the stream has carried that before, and if it is the only one; who begins a thousand gets
    /// nothing.
    fn ahead(&self) -> usize {
        let carried = self.settled.last().map_or(0, |range| to_usize(range.end));
        if carried >= KEPT_MAX && self.begun.len() == 1 { KEPT_MAX } else { 0 }
    }

    /// Delivers a begun message if it is complete.
    fn finish(&mut self, start: u64, effect: &mut Effect) -> Step {
        let complete = |one: &Begun| start.saturating_add(len64(&one.bytes)) == one.end;
        if !self.begun.get(&start).is_some_and(complete) {
            return Ok(None);
        }
        let Some(one) = self.begun.remove(&start) else { return Ok(None) };
        if self.links.contains(one.end) {
            return Err(CROSSES);
        }
        self.links.remove(start..one.end);
        self.deliver(start, Wire::Own(one.bytes), effect);
        Ok(Some(one.end))
    }

    /// Begins the messages whose first bytes are loose and whose start is now known, one after the
    /// other, from `at` on.
    pub(super) fn promote(
        &mut self,
        at: Option<u64>,
        effect: &mut Effect,
    ) -> Result<(), Violation> {
        let mut next = at;
        while let Some(at) = next.take() {
            let mut head = [0; 8];
            let count = self.loose.copy_out(at, &mut head);
            let head = head.get(..count).unwrap_or_default();
            let Some(wire) = parse::wire_length(head, self.message_max)? else { break };
            if self.begun.contains_key(&at) {
                break;
            }
            // Only the length is sure to be the message's: the rest joins it as it becomes known.
            let mut length = Reader::new(head);
            let _ = length.varint();
            let prefix = count.saturating_sub(length.remaining());
            next = self.begin(at, head.get(..prefix).unwrap_or_default(), wire, effect)?;
        }
        Ok(())
    }

    /// A message begins at `at`: that must not contradict what is known, and cuts the message
    /// before it if that one's length says more (R-SKIP-2).
    pub(super) fn known_start(&mut self, at: u64) -> Result<(), Violation> {
        if self.links.contains(at) {
            return Err(CROSSES);
        }
        if let Some((&start, one)) = self.begun.range(..at).next_back() {
            if one.sure > at {
                return Err(CROSSES);
            }
            if !one.cut && one.end > at {
                self.cut(start);
            }
        }
        Ok(())
    }

    /// The message that begins at `start` ends before its length says.
    fn cut(&mut self, start: u64) {
        if let Some(one) = self.begun.get_mut(&start) {
            one.cut = true;
            let bytes = core::mem::take(&mut one.bytes);
            let upto = start.saturating_add(len64(&bytes));
            self.loose.insert(one.sure, slice(&bytes, start, &(one.sure..upto)));
        }
    }

    /// Holds a piece of one message until more is known.
    fn hold_loose(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Violation> {
        if !self.loose.agrees(offset, bytes) {
            return Err(DIFFERS);
        }
        self.loose.insert(offset, bytes);
        if self.links.len() < LINKS_MAX {
            let end = offset.saturating_add(len64(bytes));
            self.links.insert(offset.saturating_add(1)..end);
        }
        Ok(())
    }

    /// Forgets the loose bytes of a range that is resolved.
    pub(super) fn drop_loose(&mut self, range: Range<u64>) {
        self.links.remove(range.clone());
        self.loose.remove(range);
    }

    /// The next offset behind `at` where a message is known to begin.
    fn next_start(&self, at: u64) -> u64 {
        let next_of =
            |set: &RangeSet| set.missing_in(at..u64::MAX).next().map_or(u64::MAX, |gap| gap.end);
        let behind = at.saturating_add(1);
        let begun = self.begun.range(behind..).next().map_or(u64::MAX, |(&start, _)| start);
        begun.min(next_of(&self.settled)).min(next_of(self.waiting.held()))
    }

    /// Whether a message is sure to begin at `at`, where nothing is settled or waits.
    fn is_boundary(&self, at: u64) -> bool {
        at.checked_sub(1).is_none_or(|before| {
            self.settled.contains(before) || self.waiting.held().contains(before)
        })
    }
}

impl Begun {
    /// Appends bytes. The buffer grows by the message's size halved, and halved again, so that the
    /// last step is the message itself (R-MSG-3), and to at most `ahead`, or twice what came.
    fn append(&mut self, start: u64, bytes: &[u8], ahead: usize) {
        let needed = self.bytes.len().saturating_add(bytes.len());
        if needed > self.bytes.capacity() {
            let most = needed.saturating_mul(2).max(ahead);
            let mut size = to_usize(self.end.saturating_sub(start));
            while size > most {
                size = size.div_ceil(2);
            }
            self.bytes.reserve_exact(size.max(needed).saturating_sub(self.bytes.len()));
        }
        self.bytes.extend_from_slice(bytes);
    }
}
