//! The bounds on gaps: how many separate ranges the streams of a connection hold beyond what is
//! missing (R-CREDIT-4, PROTOCOL.md §11).
//!
//! In goes a packet's frames before any of them takes effect; out comes whether the packet could
//! pass a bound. What fills a stream's lowest gap is never counted, so a full table always drains.
//! Nothing is stored here beyond one packet, and no frame's rules are checked.
#![deny(clippy::arithmetic_side_effects)]

use super::streams::{Known, StreamKey};
use super::{Connection, Refusal};
use crate::stream::recv::GAPS_PER_FRAME;
use crate::wire::StreamId;
use alloc::collections::BTreeMap;

/// Gaps in one stream (PROTOCOL.md §11).
const STREAM_GAPS_MAX: usize = 1_024;
/// Gaps in all streams of a connection (PROTOCOL.md §11).
const CONNECTION_GAPS_MAX: usize = 16_384;

/// By how much the frames of one packet, as far as it was read, could raise the gaps.
#[derive(Debug, Default)]
pub(super) struct PacketGaps {
    all: usize,
    /// The stream of the latest frame that counted. Frames come stream by stream, so that the map
    /// below is used, and anything allocated, only where several streams of a packet have gaps.
    latest: Option<(StreamId, usize)>,
    others: BTreeMap<StreamId, usize>,
}

impl PacketGaps {
    /// Counts one frame; returns what this packet could add to the frame's stream so far.
    fn add(&mut self, id: StreamId) -> usize {
        self.all = self.all.saturating_add(GAPS_PER_FRAME);
        let mut own = 0;
        if let Some((latest, count)) = self.latest {
            if latest == id {
                own = count;
            } else {
                self.others.insert(latest, count);
                own = self.others.get(&id).copied().unwrap_or(0);
            }
        }
        let own = own.saturating_add(GAPS_PER_FRAME);
        self.latest = Some((id, own));
        own
    }
}

impl Connection {
    /// Whether a frame at `offset` could pass a bound, after those of its packet that were counted
    /// in `packet`. A frame that breaks a rule passes: it is refused when it takes effect.
    pub(super) fn check_bounds(
        &self,
        id: StreamId,
        offset: u64,
        packet: &mut PacketGaps,
    ) -> Result<(), Refusal> {
        let (first_gap, gaps) = match self.streams.lookup(id, true) {
            Ok(Known::Open(key)) => match self.streams.get(key).and_then(|s| s.recv.as_ref()) {
                Some(recv) => (recv.half.first_gap(), recv.half.gaps()),
                None => return Ok(()),
            },
            Ok(Known::New) if self.streams.has_room(id.direction()) => (0, 0),
            Ok(Known::New) => return Err(Refusal::AtBound),
            Ok(Known::Closed) | Err(_) => return Ok(()),
        };
        if offset <= first_gap {
            return Ok(());
        }
        let own = packet.add(id).saturating_add(gaps);
        let all = packet.all.saturating_add(self.gaps);
        if own > STREAM_GAPS_MAX || all > CONNECTION_GAPS_MAX {
            return Err(Refusal::AtBound);
        }
        Ok(())
    }

    /// Whether a frame that names a stream, and adds no gap, may open it: only while the ranges of
    /// closed indexes are below their bound. `receiving`: the frame is for our receiving half.
    pub(super) fn check_room(&self, id: StreamId, receiving: bool) -> Result<(), Refusal> {
        match self.streams.lookup(id, receiving) {
            Ok(Known::New) if !self.streams.has_room(id.direction()) => Err(Refusal::AtBound),
            _ => Ok(()),
        }
    }

    /// The gaps of one stream; 0 if it has no receiving half.
    pub(super) fn gaps_of(&self, key: StreamKey) -> usize {
        self.streams.get(key).and_then(|s| s.recv.as_ref()).map_or(0, |recv| recv.half.gaps())
    }

    /// A stream had `before` gaps until something happened to it: the sum follows.
    pub(super) fn recount_gaps(&mut self, key: StreamKey, before: usize) {
        let now = self.gaps_of(key);
        self.gaps = self.gaps.saturating_sub(before).saturating_add(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Direction, Order, Side};

    /// What a packet adds is counted stream by stream, however its frames are mixed.
    #[test]
    fn r_credit_4_frames_of_a_packet_are_counted_by_stream() {
        let id =
            |index| StreamId::new(index, Order::Bytes, Direction::OneWay, Side::Client).unwrap();
        let mut packet = PacketGaps::default();
        let counts = [1, 1, 2, 1, 3, 2, 1].map(|index| packet.add(id(index)));
        let frames = counts.map(|count| count / GAPS_PER_FRAME);
        assert_eq!(frames, [1, 2, 1, 3, 1, 2, 4]);
        assert_eq!(packet.all, 7 * GAPS_PER_FRAME);
    }
}
