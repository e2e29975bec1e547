//! Messages of several packets: how they are cut, and put together again (row M15).
//!
//! In go packets in any order, some of them twice or never; out come whole messages. What is not
//! whole after a while is given up, and so is the oldest where there is no room; both are counted.
#![deny(clippy::arithmetic_side_effects)]

use super::header::{MsgboxHeader, MsgboxKind};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use bytes::Bytes;
use tripline_sansio::{Duration, Instant};

/// Messages of one contact of which some packets are there, at most.
pub(crate) const JOINS_MAX: usize = 8;

/// Packets of one message, at most: what a packet costs beside its bytes is bounded by this.
pub(crate) const PACKETS_MAX: u16 = 1_024;

/// Bytes of packets that wait for others, of all contacts together; what comes beyond is refused.
pub(crate) const JOINING_MAX: usize = 16 << 20;

/// What a packet counts beside its bytes.
const PACKET_COST: usize = 64;

/// So many packets behind the newest, a message is not waited for any longer.
const BEHIND_MAX: u16 = 16_384;

/// How long the packets of a message are waited for.
pub(crate) const JOIN_WITHIN: Duration = Duration::from_secs(5);

/// By which packets belong together.
type Name = (MsgboxKind, u16, u16, u16);

#[derive(Clone, Debug)]
struct Join {
    name: Name,
    since: Instant,
    packets: BTreeMap<u16, Bytes>,
    bytes: usize,
}

/// The messages of one contact that are not whole, the oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Joins {
    open: VecDeque<Join>,
    bytes: usize,
}

/// What a packet has brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Joined {
    /// All packets are there.
    Whole(Vec<u8>),
    /// It is kept.
    Waits,
    /// It is one too many, or too long.
    Refused,
}

impl Joins {
    /// Takes a packet of a message of several. The message has at most `max` bytes.
    pub(crate) fn take(
        &mut self,
        now: Instant,
        header: &MsgboxHeader,
        payload: &[u8],
        max: usize,
    ) -> Joined {
        if header.packets > PACKETS_MAX {
            return Joined::Refused;
        }
        let (place, base) = header.place();
        let name = (header.kind, header.packets, base, header.reply);
        let at = match self.open.iter().position(|join| join.name == name) {
            Some(at) => at,
            None => {
                self.open.push_back(Join { name, since: now, packets: BTreeMap::new(), bytes: 0 });
                self.open.len().saturating_sub(1)
            }
        };
        let Some(join) = self.open.get_mut(at) else { return Joined::Refused };
        if join.packets.contains_key(&place) {
            return Joined::Waits;
        }
        if join.bytes.saturating_add(payload.len()) > max {
            self.remove(at);
            return Joined::Refused;
        }
        join.bytes = join.bytes.saturating_add(payload.len());
        join.packets.insert(place, Bytes::copy_from_slice(payload));
        self.bytes = self.bytes.saturating_add(payload.len()).saturating_add(PACKET_COST);
        if join.packets.len() < usize::from(header.packets) {
            return Joined::Waits;
        }
        Joined::Whole(self.remove(at).into_values().flatten().collect())
    }

    /// A packet of this number has come: what waits for one so far behind it waits in vain, and its
    /// number would be that of another message soon. How many messages were given up.
    pub(crate) fn pass(&mut self, packet: u16) -> usize {
        let before = self.open.len();
        while let Some(at) = self.open.iter().position(|join| {
            let (_, _, base, _) = join.name;
            (BEHIND_MAX..u16::MAX - BEHIND_MAX).contains(&packet.wrapping_sub(base))
        }) {
            self.remove(at);
        }
        before.saturating_sub(self.open.len())
    }

    /// What waits, in bytes, with what each packet costs.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    fn remove(&mut self, at: usize) -> BTreeMap<u16, Bytes> {
        let packets = self.open.remove(at).map(|join| join.packets).unwrap_or_default();
        let costs = packets.values().map(|packet| packet.len().saturating_add(PACKET_COST));
        self.bytes = self.bytes.saturating_sub(costs.sum());
        packets
    }

    /// Gives up what has waited for too long, or is one too many; how many messages.
    pub(crate) fn give_up(&mut self, now: Instant) -> usize {
        let before = self.open.len();
        while self.open.len() > JOINS_MAX || self.deadline().is_some_and(|at| at <= now) {
            self.remove(0);
        }
        before.saturating_sub(self.open.len())
    }

    /// When the oldest is given up.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.open.front().map(|join| join.since + JOIN_WITHIN)
    }
}

/// The numbers of the packets of a message that has so many, where `next` is the first that was not
/// used: the number of the first one is a multiple of how many there are (R-BOX-5).
pub(crate) fn first_packet(next: u16, packets: u16) -> u16 {
    let count = packets.max(1);
    let above = next.checked_next_multiple_of(count);
    above.filter(|base| base.checked_add(count.saturating_sub(1)).is_some()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(packets: u16, packet: u16) -> MsgboxHeader {
        let kind = MsgboxKind::OneWay;
        MsgboxHeader { kind, is_first: false, packets, packet, reply: 0 }
    }

    /// R-BOX-5, M15: packets of two messages may come mixed, in any order and twice.
    #[test]
    fn m15_packets_come_in_any_order() {
        let (mut joins, now) = (Joins::default(), Instant::from_nanos(1));
        let all = [(3, b"c"), (7, b"C"), (2, b"b"), (2, b"x"), (6, b"B"), (4, b"d")];
        for (packet, payload) in all {
            let taken = joins.take(now, &header(4, packet), payload, 10);
            assert_eq!(taken, Joined::Waits, "{packet}");
        }
        // 4 and 5 belong to the second one.
        assert_eq!(joins.take(now, &header(4, 0), b"a", 10), Joined::Waits);
        let whole = |text: &[u8]| Joined::Whole(text.to_vec());
        assert_eq!(joins.take(now, &header(4, 1), b"-", 10), whole(b"a-bc"));
        assert_eq!(joins.take(now, &header(4, 5), b"+", 10), whole(b"d+BC"));
        assert_eq!(joins.deadline(), None);
    }

    /// M15: what is never whole is given up, and no message grows beyond its bound.
    #[test]
    fn m15_what_is_never_whole_is_given_up() {
        let (mut joins, now) = (Joins::default(), Instant::from_nanos(1));
        assert_eq!(joins.take(now, &header(2, 0), &[0; 6], 10), Joined::Waits);
        assert_eq!(joins.take(now, &header(2, 1), &[0; 6], 10), Joined::Refused);
        assert_eq!(joins.take(now, &header(PACKETS_MAX + 1, 1), b"", 10), Joined::Refused);
        for message in 0..20 {
            joins.take(
                now + Duration::from_secs(message),
                &header(2, 2 * u16::try_from(message).unwrap()),
                b"",
                9,
            );
        }
        assert_eq!(joins.give_up(now), 20 - JOINS_MAX);
        assert_eq!(joins.deadline(), Some(now + Duration::from_secs(12) + JOIN_WITHIN));
        assert_eq!(joins.give_up(now + Duration::from_secs(60)), JOINS_MAX);
        assert_eq!(joins.bytes(), 0);
    }

    /// R-BOX-5: the numbers come around, and no message gets a packet of one that had its numbers
    /// before.
    #[test]
    fn r_box_5_packets_of_before_fill_no_hole() {
        let (mut joins, now) = (Joins::default(), Instant::from_nanos(1));
        assert_eq!(joins.take(now, &header(2, 10), b"old", 10), Joined::Waits);
        assert_eq!((joins.pass(12_000), joins.pass(40_000)), (0, 1));
        assert_eq!(joins.take(now, &header(2, 11), b"new", 10), Joined::Waits);
        assert_eq!((joins.pass(9), joins.pass(65_000)), (0, 0), "just before");
    }

    /// R-BOX-5: the numbers run on, and around.
    #[test]
    fn r_box_5_messages_have_numbers_of_their_own() {
        assert_eq!(first_packet(0, 1), 0);
        assert_eq!(first_packet(65_535, 1), 65_535);
        assert_eq!(first_packet(5, 4), 8);
        assert_eq!(first_packet(65_534, 4), 0, "65,536 is none");
        assert_eq!(first_packet(65_530, 7), 0, "65,534 to 65,540 are not all");
        let mut next = 0_u16;
        let mut seen = alloc::collections::BTreeSet::new();
        for packets in (1..=40).cycle().take(60) {
            let base = first_packet(next, packets);
            assert!(seen.insert((packets, base)) || base == 0);
            next = base.wrapping_add(packets);
        }
    }
}
