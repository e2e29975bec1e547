//! The store under [`super::sent`]: packets in the order of their numbers, and their frame records
//! in one ring beside them, so that a packet costs no allocation of its own.
//!
//! Entries leave at the front only; one whose fate is known earlier waits there as a dead one. Loss
//! detection keeps that wait short: what stays unacknowledged while later ones are is soon lost.
#![deny(clippy::arithmetic_side_effects)]

use alloc::collections::VecDeque;
use alloc::collections::vec_deque;
use core::iter::{Copied, Skip, Take};
use core::ops::Range;
use tripline_sansio::Instant;

/// What is known about one packet that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PacketInfo {
    /// Its number.
    pub(crate) number: u64,
    /// When it was sent; never earlier than the packet before it.
    pub(crate) sent_at: Instant,
    /// Its size as a datagram, in bytes.
    pub(crate) bytes: u16,
    /// The peer must acknowledge it.
    pub(crate) ack_eliciting: bool,
    /// It counts for congestion control (RFC 9002 §2: ack-eliciting, or holds PADDING).
    pub(crate) in_flight: bool,
    /// It searches for a larger MTU: its loss is no congestion (R-MTU-1).
    pub(crate) mtu_probe: bool,
    /// It was sent with the mark ECT(0).
    pub(crate) ect0: bool,
    /// Filled in when its fate is told: less than half of the window was in use around it.
    pub(crate) app_limited: bool,
}

/// The frame records of one packet, in the order in which they were recorded.
pub(crate) type Frames<'a, F> = Copied<Take<Skip<vec_deque::Iter<'a, F>>>>;

/// Whether a packet's fate is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Outstanding,
    Acked,
    Lost,
}

/// A packet, where its frame records are, and its fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    info: PacketInfo,
    state: State,
    /// Of its first frame record, counted from the first record ever.
    first_frame: u64,
    frames: u32,
}

/// Packets by rising number, with their frame records of kind `F`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ring<F> {
    entries: VecDeque<Entry>,
    frames: VecDeque<F>,
    /// How many records were dropped at the front of `frames`.
    dropped: u64,
    /// How many records at the end of `frames` belong to the packet being built.
    building: u32,
}

impl<F: Copy> Ring<F> {
    /// The empty ring.
    pub(super) const fn new() -> Self {
        Self { entries: VecDeque::new(), frames: VecDeque::new(), dropped: 0, building: 0 }
    }

    /// How many packets are stored, dead ones included.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many frame records are stored.
    #[cfg(test)]
    pub(super) fn frames_len(&self) -> usize {
        self.frames.len()
    }

    /// Adds a frame record to the packet being built.
    pub(super) fn record(&mut self, frame: F) {
        self.frames.push_back(frame);
        self.building = self.building.saturating_add(1);
    }

    /// Drops the records of the packet being built.
    pub(super) fn cancel(&mut self) {
        let records = usize::try_from(self.building).unwrap_or(usize::MAX);
        self.frames.truncate(self.frames.len().saturating_sub(records));
        self.building = 0;
    }

    /// Stores the packet being built. Its number is above all others.
    pub(super) fn commit(&mut self, info: PacketInfo) {
        let stored = u64::try_from(self.frames.len()).unwrap_or(u64::MAX);
        let first_frame =
            self.dropped.saturating_add(stored).saturating_sub(u64::from(self.building));
        let state = State::Outstanding;
        self.entries.push_back(Entry { info, state, first_frame, frames: self.building });
        self.building = 0;
    }

    /// The packet with the lowest number of those stored.
    pub(super) fn front(&self) -> Option<&PacketInfo> {
        self.entries.front().map(|entry| &entry.info)
    }

    /// The packet that `count` others are older than.
    pub(super) fn nth(&self, count: usize) -> Option<&PacketInfo> {
        self.entries.get(count).map(|entry| &entry.info)
    }

    /// The first packet numbered `number` or higher.
    pub(super) fn at_or_above(&self, number: u64) -> Option<&PacketInfo> {
        self.entries.get(self.index_of(number)).map(|entry| &entry.info)
    }

    /// Whether the packet stored just below `number` was acknowledged.
    pub(super) fn is_acked_below(&self, number: u64) -> bool {
        let below = self.index_of(number).checked_sub(1);
        below
            .and_then(|index| self.entries.get(index))
            .is_some_and(|entry| entry.state == State::Acked)
    }

    fn index_of(&self, number: u64) -> usize {
        self.entries.partition_point(|entry| entry.info.number < number)
    }

    /// The number of the first packet that `holds` is false for, if it is true for all below.
    pub(super) fn partition(&self, mut holds: impl FnMut(&PacketInfo) -> bool) -> Option<u64> {
        let index = self.entries.partition_point(|entry| holds(&entry.info));
        self.entries.get(index).map(|entry| entry.info.number)
    }

    /// Gives all packets of `range` a fate and hands out each with its frame records, rising.
    pub(super) fn resolve(
        &mut self,
        range: &Range<u64>,
        state: State,
        mut each: impl FnMut(&PacketInfo, Frames<'_, F>),
    ) {
        let from = self.index_of(range.start);
        let Self { entries, frames, dropped, .. } = self;
        for entry in entries.iter_mut().skip(from) {
            if entry.info.number >= range.end {
                break;
            }
            entry.state = state;
            each(&entry.info, records(frames, *dropped, entry));
        }
    }

    /// The packets without a fate, rising, with their frame records.
    pub(super) fn outstanding(&self) -> impl Iterator<Item = (&PacketInfo, Frames<'_, F>)> {
        let open = self.entries.iter().filter(|entry| entry.state == State::Outstanding);
        open.map(|entry| (&entry.info, records(&self.frames, self.dropped, entry)))
    }

    /// The frame records of a packet that is stored no more.
    pub(super) fn no_frames(&self) -> Frames<'_, F> {
        self.frames.iter().skip(self.frames.len()).take(0).copied()
    }

    /// Gives back room that is not in use.
    pub(super) fn shrink(&mut self) {
        self.entries.shrink_to_fit();
        self.frames.shrink_to_fit();
    }

    /// Drops the dead packets at the front, and their frame records.
    pub(super) fn drop_dead(&mut self) {
        while let Some(entry) = self.entries.front()
            && entry.state != State::Outstanding
        {
            let count = usize::try_from(entry.frames).unwrap_or(usize::MAX);
            self.frames.drain(..count.min(self.frames.len()));
            self.dropped = self.dropped.saturating_add(u64::from(entry.frames));
            self.entries.pop_front();
        }
    }
}

/// The frame records of `entry`, where `dropped` records are gone from the front of `frames`.
fn records<'a, F: Copy>(frames: &'a VecDeque<F>, dropped: u64, entry: &Entry) -> Frames<'a, F> {
    let from = usize::try_from(entry.first_frame.saturating_sub(dropped)).unwrap_or(usize::MAX);
    let count = usize::try_from(entry.frames).unwrap_or(usize::MAX);
    frames.iter().skip(from).take(count).copied()
}
