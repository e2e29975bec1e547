//! Runs: small messages that wait one behind the other, copied together in the form in which they
//! go over the wire (length and bytes).
//!
//! In go messages, for as long as nothing of the run was sent; out come places where a frame may
//! end, and how many messages a prefix of the run holds. So a small message costs its bytes and no
//! place of its own in the queue, and a packet of them is one copy. It knows nothing of offsets,
//! credit or packets. All messages of a run are reliable, and their tokens consecutive.
#![deny(clippy::arithmetic_side_effects)]

use crate::batch::{BatchIter, Walk, write_message};
use alloc::vec::Vec;

/// The longest message that is copied into a run, in bytes.
pub(super) const MESSAGE_MAX: usize = 256;
/// A run is not begun to be sent later than it has so many bytes: they are copied once more as it
/// grows.
const RUN_MAX: usize = 4 * 1024;
/// A message of at most this many bytes (its length included) goes whole or not at all into a
/// packet (R-MSG-2d): two halves cost both sides more than the room that is left empty, three
/// hundredths of the smallest full packet on average.
const WHOLE: u64 = 72;

/// Whole messages in wire form.
#[derive(Clone, Debug, Default)]
pub(crate) struct Run {
    wire: Vec<u8>,
    /// How many messages there are.
    count: u32,
    /// How many of them were told of.
    told: u32,
    /// Where those end.
    told_upto: usize,
    /// Where the last message ends of which anything was sent.
    begun: usize,
}

/// What a frame may hold of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fit {
    /// How many bytes.
    pub(super) len: u64,
    /// How many more bytes of credit that takes than the frame has: the rest of its last message.
    pub(super) rest: u64,
    /// Why it holds no more.
    pub(super) end: FitEnd,
}

/// Why a frame holds no more of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FitEnd {
    /// The run is at its end.
    Run,
    /// There is no more room.
    Room,
    /// The credit does not cover the next message.
    Credit,
}

impl Run {
    /// A run of one message; `long`: more will follow, to all that is known.
    pub(super) fn with(first: &[u8], long: bool) -> Self {
        let mut run = Self::default();
        run.wire.reserve(if long { RUN_MAX } else { RUN_MAX / 8 });
        run.append(first);
        run
    }

    /// `count` messages in wire form.
    pub(super) fn of(wire: Vec<u8>, count: u32) -> Self {
        Self { wire, count, ..Self::default() }
    }

    /// Appends `count` messages in wire form; `false` if it gets too long by that.
    pub(super) fn append_wire(&mut self, wire: &[u8], count: u32) -> bool {
        let fits = self.wire.len().saturating_add(wire.len()) < RUN_MAX;
        if fits {
            self.wire.extend_from_slice(wire);
            self.count = self.count.saturating_add(count);
        }
        fits
    }

    /// Whether a message of `len` bytes may be appended.
    pub(super) fn has_room(&self, len: usize) -> bool {
        len <= MESSAGE_MAX && self.wire.len().saturating_add(len) < RUN_MAX
    }

    /// Appends a message.
    pub(super) fn append(&mut self, message: &[u8]) {
        write_message(&mut self.wire, message);
        self.count = self.count.saturating_add(1);
    }

    /// All of it.
    pub(super) fn wire(&self) -> &[u8] {
        &self.wire
    }

    /// How many messages there are.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// How many of them were told of: the first ones.
    pub(super) fn told(&self) -> u32 {
        self.told
    }

    /// The rest of the message of which something was sent, of a run sent up to `sent`.
    pub(super) fn rest(&self, sent: u64) -> u64 {
        size(self.begun).saturating_sub(sent)
    }

    /// What a frame may hold from `from`, where a message begins, on: at most `room` bytes, of
    /// messages that begin below `upto` and that `credit` covers.
    pub(super) fn fit(&self, from: u64, upto: u64, room: u64, credit: u64) -> Fit {
        let (mut at, mut left, mut free) = (from, room, credit);
        let mut walk = Walk { rest: self.wire.get(index(from)..).unwrap_or_default() };
        let fit = |at: u64, rest, end| Fit { len: at.saturating_sub(from), rest, end };
        while at < upto
            && let Some((prefix, wire)) = walk.next()
        {
            let (prefix, wire) = (size(prefix), size(wire));
            if wire > free {
                return fit(at, 0, FitEnd::Credit);
            }
            let there = wire.min(upto.saturating_sub(at));
            let take = there.min(left);
            if take < wire && (take < prefix || (wire <= WHOLE && take < there)) {
                return fit(at, 0, FitEnd::Room);
            }
            at = at.saturating_add(take);
            if take < wire {
                return fit(at, wire.saturating_sub(take), FitEnd::Room);
            }
            left = left.saturating_sub(take);
            free = free.saturating_sub(wire);
        }
        fit(at, 0, FitEnd::Run)
    }

    /// Its messages.
    pub(super) fn messages(&self) -> BatchIter<'_> {
        BatchIter::new(&self.wire)
    }

    /// Everything below `sent` was sent. Returns by how much that reaches further than what was
    /// begun before.
    pub(super) fn begin_upto(&mut self, sent: u64) -> u64 {
        let before = self.begun;
        self.begun = self.boundary(before, index(sent));
        size(self.begun.saturating_sub(before))
    }

    /// The end of the message that holds the byte before `at`: `at` itself if one ends there.
    pub(super) fn end_at(&self, at: u64) -> u64 {
        size(self.boundary(0, index(at)))
    }

    /// The first boundary at or behind `at`, from the boundary `from` on.
    fn boundary(&self, from: usize, at: usize) -> usize {
        let mut walk = Walk { rest: self.wire.get(from..).unwrap_or_default() };
        let mut end = from;
        while end < at
            && let Some((_, wire)) = walk.next()
        {
            end = end.saturating_add(wire);
        }
        end
    }

    /// The messages below `upto` that were not told of are now: how many, and their bytes without
    /// lengths.
    pub(super) fn tell_below(&mut self, upto: u64) -> (u32, u64) {
        let walk = Walk { rest: self.wire.get(self.told_upto..).unwrap_or_default() };
        let (mut count, mut bytes, upto) = (0_u32, 0_usize, index(upto));
        for (prefix, wire) in walk {
            let end = self.told_upto.saturating_add(wire);
            if end > upto {
                break;
            }
            self.told_upto = end;
            count = count.saturating_add(1);
            bytes = bytes.saturating_add(wire.saturating_sub(prefix));
        }
        self.told = self.told.saturating_add(count);
        (count, size(bytes))
    }
}

fn size(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

fn index(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three messages of 100, 10 and 10 bytes: 102, 11 and 11 on the wire.
    fn run() -> Run {
        let mut run = Run::with(&[1; 100], false);
        run.append(&[2; 10]);
        run.append(&[3; 10]);
        run
    }

    #[test]
    fn a_frame_ends_at_messages_or_inside_long_ones() {
        let run = run();
        let all = run.fit(0, 124, 1_000, 1_000);
        assert_eq!(all, Fit { len: 124, rest: 0, end: FitEnd::Run });
        assert_eq!(run.fit(0, 124, 123, 1_000), Fit { len: 113, rest: 0, end: FitEnd::Room });
        assert_eq!(run.fit(0, 124, 90, 1_000), Fit { len: 90, rest: 12, end: FitEnd::Room });
        assert_eq!(run.fit(0, 124, 1, 1_000).len, 0, "never inside a length");
        assert_eq!(run.fit(0, 124, 1_000, 112), Fit { len: 102, rest: 0, end: FitEnd::Credit });
        assert_eq!(run.fit(102, 124, 15, 1_000), Fit { len: 11, rest: 0, end: FitEnd::Room });
        // Again, of what was sent up to the middle of the last one.
        assert_eq!(run.fit(102, 118, 50, 1_000), Fit { len: 16, rest: 6, end: FitEnd::Room });
    }

    #[test]
    fn what_was_begun_and_told_goes_by_messages() {
        let mut run = run();
        assert_eq!((run.begin_upto(90), run.rest(90)), (102, 12));
        assert_eq!((run.begin_upto(102), run.rest(102)), (0, 0));
        assert_eq!((run.begin_upto(113), run.end_at(103), run.end_at(102)), (11, 113, 102));
        assert_eq!(run.tell_below(101), (0, 0));
        assert_eq!(run.tell_below(112), (1, 100));
        assert_eq!(run.tell_below(124), (2, 20));
        assert_eq!((run.tell_below(124), run.told(), run.count()), ((0, 0), 3, 3));
    }

    #[test]
    fn a_run_is_short_and_so_are_its_messages() {
        let mut run = Run::with(&[0; MESSAGE_MAX], true);
        assert!(!run.has_room(MESSAGE_MAX + 1));
        while run.has_room(MESSAGE_MAX) {
            run.append(&[0; MESSAGE_MAX]);
        }
        assert!(run.wire().len() <= RUN_MAX + 2 && run.wire.capacity() <= 2 * RUN_MAX);
    }
}
