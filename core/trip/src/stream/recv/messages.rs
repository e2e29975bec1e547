//! Reassembly of messages: the orders *ordered*, *unordered* and *latest*.
//!
//! In go the bytes of frames and skipped ranges; out come whole messages in the queue of what is
//! ready, and how many offsets were consumed without the user. It never allocates by a declared
//! length.
//!
//! Every offset is in one of five places:
//!
//! - `settled`: ready, taken, skipped or superseded. Its ranges begin and end at message
//!   boundaries;
//! - `waiting` (order *ordered* only): whole messages beyond a gap, in wire form;
//! - `begun`: messages of which the first byte is known: their bytes without a gap so far;
//! - `loose`: bytes beyond a gap, inside a begun message or of one whose start is not known;
//! - nowhere: not arrived, or dropped because it belongs to a message that was cut.
//!
//! # Cut messages
//!
//! A message given up before its end was sent is *cut*: its successor begins inside the extent that
//! its length declares (R-SKIP-2). A receiver may see pieces of the successor first, and they look
//! like pieces of the message that was cut. No harm comes of that, because only an aligned frame
//! holds a message's first byte: without it the message cannot look complete, and with it the cut
//! is known. Then everything beyond what is *sure* to belong to the cut message becomes loose
//! again.
#![deny(clippy::arithmetic_side_effects)]

mod pieces;

#[cfg(test)]
use super::fragments::ENTRY_COST;
use super::fragments::Fragments;
use super::parse::{self, Aligned, Boundaries};
use super::ready::{CHUNK_MAX, OWN_MIN, Ready, SEGMENT_MAX};
use super::{CROSSES, DIFFERS, Effect, Violation, len64, slice};
use crate::ranges::RangeSet;
use crate::wire::Order;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Range;
use pieces::Begun;

/// Whole messages that wait for their turn grow together up to this length: short enough to search
/// one for a boundary.
const WAITING_BLOCK: usize = 4 * 1024;

/// The messages of one stream, as far as they arrived and were not taken.
#[derive(Debug)]
pub(super) struct Messages {
    order: Order,
    message_max: u64,
    settled: RangeSet,
    waiting: Fragments,
    begun: BTreeMap<u64, Begun>,
    loose: Fragments,
    /// Offsets at which no message can begin, because a frame that lies within one message holds
    /// both this byte and the one before (R-MSG-2). Of frames that were not used at once.
    links: RangeSet,
    /// The buffer of a message that was copied to the queue: the next one begins in it. Empty, of
    /// at most [`OWN_MIN`] bytes.
    spare: Vec<u8>,
    /// An empty buffer for a large message, while a frame is taken in.
    lent: Vec<u8>,
    ready: Ready,
}

/// Whole messages in wire form: copied out of a frame, or a buffer of their own.
enum Wire<'a> {
    Copy(&'a [u8]),
    Own(Vec<u8>),
}

impl Messages {
    /// Nothing yet.
    pub(super) fn new(order: Order, message_max: u64) -> Self {
        Self {
            order,
            message_max,
            settled: RangeSet::new(),
            waiting: Fragments::new(WAITING_BLOCK),
            begun: BTreeMap::new(),
            loose: Fragments::new(CHUNK_MAX),
            links: RangeSet::new(),
            spare: Vec::new(),
            lent: Vec::new(),
            ready: Ready::new(SEGMENT_MAX),
        }
    }

    /// What waits for the user.
    pub(super) fn ready(&mut self) -> &mut Ready {
        &mut self.ready
    }

    /// Whether something waits for the user.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Lends a buffer for a large message that may begin, until [`Self::take_back`].
    pub(super) fn lend(&mut self, buffer: Vec<u8>) {
        self.lent = buffer;
    }

    /// The buffer that was lent, if it was not used.
    pub(super) fn take_back(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.lent)
    }

    /// Whether nothing below `end` is missing.
    pub(super) fn is_settled(&self, end: u64) -> bool {
        self.base() >= end
    }

    /// How many separate ranges, fragments and unfinished messages are held or remembered.
    pub(super) fn gaps(&self) -> usize {
        self.settled
            .len()
            .saturating_sub(usize::from(self.base() > 0))
            .saturating_add(self.waiting.held().len())
            .saturating_add(self.begun.len())
            .saturating_add(self.loose.held().len())
    }

    /// Bytes of heap held, about.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        let ranges = self.settled.len().saturating_add(self.links.len());
        let begun = self.begun.values().fold(0_usize, |sum, one| {
            sum.saturating_add(one.bytes.capacity()).saturating_add(ENTRY_COST)
        });
        ranges
            .saturating_mul(size_of::<Range<u64>>())
            .saturating_add(begun)
            .saturating_add(self.spare.capacity())
            .saturating_add(self.waiting.memory())
            .saturating_add(self.loose.memory())
            .saturating_add(self.ready.memory())
    }

    /// A frame's bytes, not empty (R-MSG-2, R-MSG-3).
    pub(super) fn on_frame(
        &mut self,
        offset: u64,
        payload: &[u8],
        aligned: bool,
        effect: &mut Effect,
    ) -> Result<(), Violation> {
        if !aligned {
            let step = self.within(offset, payload, effect)?;
            return self.promote(step, effect);
        }
        let Aligned { whole, rest, rest_wire } = parse::aligned(payload, self.message_max)?;
        if !whole.is_empty() {
            self.whole(offset, whole, effect)?;
        }
        if !rest.is_empty() {
            let start = offset.saturating_add(len64(whole));
            let step = self.begin(start, rest, rest_wire, effect)?;
            self.promote(step, effect)?;
        }
        Ok(())
    }

    /// R-SKIP-1: whole messages, as far as they were sent, are given up. What is ready or taken
    /// stays delivered.
    pub(super) fn on_skip(
        &mut self,
        range: Range<u64>,
        effect: &mut Effect,
    ) -> Result<(), Violation> {
        if !self.may_divide_waiting(range.start) || !self.may_divide_waiting(range.end) {
            return Err(CROSSES);
        }
        self.known_start(range.start)?;
        for (_, one) in self.begun.range(range.clone()) {
            if one.sure > range.end {
                return Err(CROSSES);
            }
        }
        if self.links.contains(range.end) {
            return Err(CROSSES);
        }
        // A cut message may hold bytes that are its successor's.
        while let Some((&start, _)) = self.begun.range(range.clone()).next() {
            if let Some(one) = self.begun.remove(&start) {
                let upto = start.saturating_add(len64(&one.bytes));
                self.loose.insert(range.end, slice(&one.bytes, start, &(range.end..upto)));
            }
        }
        self.waiting.remove(range.clone());
        self.drop_loose(range.clone());
        let end = range.end;
        let skipped = self.settled.insert(range);
        effect.consumed = effect.consumed.saturating_add(skipped);
        self.advance(effect);
        self.promote(Some(end), effect)
    }

    /// The sender ends here: what is not ready is given up. Returns how many bytes that is.
    pub(super) fn on_close(&mut self, end: u64) -> u64 {
        self.waiting = Fragments::new(WAITING_BLOCK);
        self.loose = Fragments::new(CHUNK_MAX);
        self.begun.clear();
        self.links = RangeSet::new();
        self.settled.insert(0..end)
    }

    /// Forgets all that is held.
    pub(super) fn discard(&mut self) {
        *self = Self::new(self.order, self.message_max);
    }

    /// All below is settled.
    fn base(&self) -> u64 {
        self.settled.first().filter(|range| range.start == 0).map_or(0, |range| range.end)
    }

    /// Up to where nothing is missing: a frame that begins there or below fills the lowest gap.
    pub(super) fn first_gap(&self) -> u64 {
        let base = self.base();
        let begun = self.begun.get(&base).map_or(0, |begun| len64(&begun.bytes));
        base.saturating_add(begun)
    }

    /// The whole messages of an aligned frame.
    fn whole(&mut self, start: u64, run: &[u8], effect: &mut Effect) -> Result<(), Violation> {
        let all = start..start.saturating_add(len64(run));
        let nothing_else = self.begun.is_empty()
            && self.loose.is_empty()
            && self.waiting.is_empty()
            && self.links.is_empty();
        if nothing_else && self.settled.last().is_none_or(|last| last.end <= start) {
            self.deliver(start, Wire::Copy(run), effect);
            return Ok(());
        }
        if !self.waiting.agrees(start, run) {
            return Err(DIFFERS);
        }
        // What is settled or waits has edges where messages begin and end.
        let mut parts: Vec<Range<u64>> = Vec::new();
        for gap in self.settled.missing_in(all) {
            parts.extend(self.waiting.held().missing_in(gap));
        }
        let mut walk = Boundaries::new(start, run);
        if !parts.iter().all(|part| walk.has(part.start) && walk.has(part.end)) {
            return Err(CROSSES);
        }
        for part in parts {
            let bytes = slice(run, start, &part);
            self.check_whole(&part, bytes)?;
            while let Some((&begun, _)) = self.begun.range(part.clone()).next() {
                self.begun.remove(&begun);
            }
            self.drop_loose(part.clone());
            self.deliver(part.start, Wire::Copy(bytes), effect);
            self.promote(Some(part.end), effect)?;
        }
        Ok(())
    }

    /// Checks whole messages against what is known of their offsets, none of which are settled or
    /// wait.
    fn check_whole(&mut self, part: &Range<u64>, run: &[u8]) -> Result<(), Violation> {
        self.known_start(part.start)?;
        let mut walk = Boundaries::new(part.start, run);
        for (&start, one) in self.begun.range(part.clone()) {
            if !walk.has(start) || walk.seek(start.saturating_add(1)) != one.end {
                return Err(CROSSES);
            }
            let upto = start.saturating_add(len64(&one.bytes));
            if slice(run, part.start, &(start..upto)) != one.bytes {
                return Err(DIFFERS);
            }
        }
        // Linked offsets are where no boundary may be.
        let mut walk = Boundaries::new(part.start, run);
        let inside = part.start..part.end.saturating_add(1);
        let links = self.links.iter().skip_while(|link| link.end <= inside.start);
        for link in links.take_while(|link| link.start < inside.end) {
            if walk.seek(link.start.max(inside.start)) < link.end {
                return Err(CROSSES);
            }
        }
        if self.loose.agrees(part.start, run) { Ok(()) } else { Err(DIFFERS) }
    }

    /// Settles whole messages that begin at `start`, or lets them wait for their turn.
    fn deliver(&mut self, start: u64, wire: Wire<'_>, effect: &mut Effect) {
        let run = match &wire {
            Wire::Copy(run) => run,
            Wire::Own(run) => run.as_slice(),
        };
        let range = start..start.saturating_add(len64(run));
        if self.order == Order::Latest {
            let newest = Boundaries::new(start, run).last_start();
            self.supersede(newest, &range, effect);
            self.push(match wire {
                Wire::Copy(run) => Wire::Copy(slice(run, start, &(newest..range.end))),
                own @ Wire::Own(_) => own,
            });
        } else if self.order == Order::Ordered && start != self.base() {
            match wire {
                Wire::Copy(run) => self.waiting.insert(start, run),
                Wire::Own(run) => self.waiting.insert_buffer(start, run),
            }
            return;
        } else {
            self.settled.insert(range);
            self.push(wire);
        }
        effect.readable = true;
        self.advance(effect);
    }

    /// Puts whole messages into the queue of what is ready.
    fn push(&mut self, wire: Wire<'_>) {
        match wire {
            Wire::Copy(run) => self.ready.push_run(run),
            Wire::Own(run) if run.len() >= OWN_MIN => self.ready.push_buffer(run),
            Wire::Own(mut run) => {
                self.ready.push_run(&run);
                run.clear();
                if (self.spare.capacity()..=OWN_MIN).contains(&run.capacity()) {
                    self.spare = run;
                }
            }
        }
    }

    /// Order *latest*: all before the message at `newest`, the last one of `range`, is consumed,
    /// what waits for the user too.
    fn supersede(&mut self, newest: u64, range: &Range<u64>, effect: &mut Effect) {
        let waited = self.ready.queued();
        self.ready.clear();
        let fresh = self.settled.insert(0..range.end);
        let own = range.end.saturating_sub(newest);
        let passed = fresh.saturating_sub(own).saturating_add(waited);
        effect.consumed = effect.consumed.saturating_add(passed);
        self.begun = self.begun.split_off(&newest);
        self.drop_loose(0..range.end);
    }

    /// Order *ordered*: moves what waited to the queue, as far as nothing is missing before it.
    fn advance(&mut self, effect: &mut Effect) {
        let mut base = self.base();
        while let Some(block) = self.waiting.take_at(base, u64::MAX) {
            self.settled.insert(base..base.saturating_add(len64(&block)));
            base = self.base();
            self.push(Wire::Own(block));
            effect.readable = true;
        }
    }

    /// Whether `at` does not lie within one of the messages that wait.
    fn may_divide_waiting(&self, at: u64) -> bool {
        self.waiting.block_at(at).is_none_or(|(start, block)| Boundaries::new(start, block).has(at))
    }
}
