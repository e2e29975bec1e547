//! What became of each datagram: from being sent to coming, once, several times, changed or never.
//!
//! In go packets as watchers are shown them, out comes how long each took and whether it came
//! before. Datagrams are told apart by who sent them to whom and their number. It remembers the
//! newest of each way and forgets the rest, so a copy that comes very late counts as a stranger.

use crate::host::HostId;
use crate::rule::PacketView;
use crate::trace::digest;
use std::collections::BTreeMap;
use tripline_sansio::{Duration, Instant};

/// How many datagrams of one way are remembered.
const REMEMBERED: usize = 4_096;
/// How many ways are; there are as many as ordered pairs of hosts that talk.
const WAYS: usize = 4_096;

/// How a datagram came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    /// How long it took.
    pub(super) took: Duration,
    /// Whether its bytes are others than were sent.
    pub(super) is_changed: bool,
    /// Whether it came before.
    pub(super) is_copy: bool,
}

/// A datagram that was sent.
struct Sent {
    at: Instant,
    digest: u64,
    arrivals: u64,
    /// Its length, until it has come or was dropped.
    aloft: usize,
}

/// The datagrams of all ways, the newest of each.
#[derive(Default)]
pub(super) struct Journeys {
    ways: BTreeMap<(HostId, HostId), BTreeMap<u64, Sent>>,
}

impl Journeys {
    /// A datagram sets out.
    pub(super) fn sent(&mut self, packet: &PacketView<'_>) {
        let (Some(from), Some(to)) = (packet.from, packet.to) else { return };
        if self.ways.len() >= WAYS && !self.ways.contains_key(&(from, to)) {
            return;
        }
        let way = self.ways.entry((from, to)).or_default();
        let aloft = packet.bytes.len();
        let sent = Sent { at: packet.now, digest: digest(packet.bytes), arrivals: 0, aloft };
        way.insert(packet.index, sent);
        if way.len() > REMEMBERED {
            way.pop_first();
        }
    }

    /// A datagram came or was dropped: how many bytes are no longer on the way. None for a copy of
    /// one that came before.
    pub(super) fn landed(&mut self, packet: &PacketView<'_>) -> usize {
        let (Some(from), Some(to)) = (packet.from, packet.to) else { return 0 };
        let sent = self.ways.get_mut(&(from, to)).and_then(|way| way.get_mut(&packet.index));
        sent.map_or(0, |sent| std::mem::take(&mut sent.aloft))
    }

    /// A datagram comes; `None` if it is not known that it was sent.
    pub(super) fn came(&mut self, packet: &PacketView<'_>) -> Option<Arrival> {
        let way = self.ways.get_mut(&(packet.from?, packet.to?))?;
        let sent = way.get_mut(&packet.index)?;
        sent.arrivals += 1;
        Some(Arrival {
            took: packet.now - sent.at,
            is_changed: sent.digest != digest(packet.bytes),
            is_copy: sent.arrivals > 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::packet;
    use super::*;
    use crate::rule::Stage;

    #[test]
    fn a_journey_is_followed_to_its_copies_and_changes() {
        let mut journeys = Journeys::default();
        let sent = packet(Stage::Offered, 1_000, 0, b"abc");
        journeys.sent(&sent);
        let came = PacketView { stage: Stage::Delivered, now: Instant::from_nanos(3_500), ..sent };
        let took = Duration::from_nanos(2_500);
        let first = journeys.came(&came);
        assert_eq!(first, Some(Arrival { took, is_changed: false, is_copy: false }));
        let second = journeys.came(&PacketView { bytes: b"abd", ..came });
        assert_eq!(second, Some(Arrival { took, is_changed: true, is_copy: true }));
        assert_eq!(journeys.came(&PacketView { index: 1, ..came }), None);
        assert_eq!(journeys.came(&PacketView { from: None, ..came }), None);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut journeys = Journeys::default();
        for index in 0..=REMEMBERED as u64 {
            journeys.sent(&packet(Stage::Offered, index, index, b""));
        }
        assert_eq!(journeys.ways.values().map(BTreeMap::len).sum::<usize>(), REMEMBERED);
        assert_eq!(journeys.came(&packet(Stage::Delivered, 9, 0, b"")), None);
    }
}
