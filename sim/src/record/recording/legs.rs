//! Packets for the ladder: the first ones and the newest, each with what became of it.

use super::super::words;
use crate::DropCause;
use crate::host::HostId;
use crate::rule::{PacketView, Stage};
use std::collections::{BTreeMap, VecDeque};
use tripline_sansio::Instant;

/// How many of the first packets are kept: the handshake is among them.
pub(in crate::record) const FIRST: usize = 1_000;
/// How many of the newest: those before a failure are among them.
pub(in crate::record) const NEWEST: usize = 1_000;
/// The most characters of what is in a packet.
const WORDS: usize = 160;

/// A packet on its way from one host to another.
#[derive(Clone, Debug)]
pub(in crate::record) struct Leg {
    /// Who sent it; nobody if it was put in by an attacker.
    pub(in crate::record) from: Option<HostId>,
    /// Who it is for; nobody if no host had the address.
    pub(in crate::record) to: Option<HostId>,
    /// Its number among those from the one to the other.
    pub(in crate::record) index: u64,
    /// When it was sent, or came if nobody sent it.
    pub(in crate::record) sent: Instant,
    /// When it came first.
    pub(in crate::record) came: Option<Instant>,
    /// When and why it was dropped.
    pub(in crate::record) dropped: Option<(Instant, DropCause)>,
    /// How many more times it came.
    pub(in crate::record) copies: u64,
    /// Its length in bytes.
    pub(in crate::record) len: usize,
    /// What is in it.
    pub(in crate::record) what: String,
}

/// How a packet is found again: its number among all that were seen, by who sent it to whom.
type Key = (HostId, HostId, u64);

/// The first packets and the newest.
#[derive(Clone, Debug, Default)]
pub(in crate::record) struct Legs {
    first: Vec<Leg>,
    newest: VecDeque<Leg>,
    /// How many were seen.
    seen: u64,
    /// Where those kept are, as numbers of all that were seen.
    numbers: BTreeMap<Key, u64>,
}

impl Legs {
    /// Something became of a packet; `what` says what is in it.
    pub(in crate::record) fn on_packet(
        &mut self,
        packet: &PacketView<'_>,
        what: impl FnOnce() -> String,
    ) {
        let known = key(packet.from, packet.to, packet.index)
            .filter(|_| packet.stage != Stage::Offered)
            .and_then(|key| self.numbers.get(&key).copied());
        match (packet.stage, known) {
            (Stage::Offered, _) => self.push(packet, what(), None, None),
            (Stage::Delivered, Some(number)) => {
                let Some(leg) = self.leg_mut(number) else { return };
                if leg.came.is_some() {
                    leg.copies += 1;
                }
                leg.came.get_or_insert(packet.now);
            }
            (Stage::Dropped(cause), Some(number)) => {
                let Some(leg) = self.leg_mut(number) else { return };
                leg.dropped.get_or_insert((packet.now, cause));
            }
            // Of those that were forgotten only strangers are new.
            (Stage::Delivered, None) if packet.from.is_none() => {
                self.push(packet, what(), Some(packet.now), None);
            }
            (Stage::Dropped(cause), None) if packet.from.is_none() || packet.to.is_none() => {
                self.on_lost_way(packet, cause, what);
            }
            (Stage::Delivered | Stage::Dropped(_), None) => {}
        }
    }

    /// A packet to or from nobody was dropped. If it was seen being sent, it was the last one.
    fn on_lost_way(
        &mut self,
        packet: &PacketView<'_>,
        cause: DropCause,
        what: impl FnOnce() -> String,
    ) {
        let fate = (packet.now, cause);
        let last = self.newest.back_mut().or(self.first.last_mut());
        match last {
            Some(leg)
                if (leg.from, leg.to, leg.sent) == (packet.from, packet.to, packet.now)
                    && leg.dropped.is_none() =>
            {
                leg.dropped = Some(fate);
            }
            _ => self.push(packet, what(), None, Some(fate)),
        }
    }

    fn push(
        &mut self,
        packet: &PacketView<'_>,
        what: String,
        came: Option<Instant>,
        dropped: Option<(Instant, DropCause)>,
    ) {
        let leg = Leg {
            from: packet.from,
            to: packet.to,
            index: packet.index,
            sent: packet.now,
            came,
            dropped,
            copies: 0,
            len: packet.bytes.len(),
            what: words::cut(&what, WORDS),
        };
        if let Some(key) = key(leg.from, leg.to, leg.index) {
            self.numbers.insert(key, self.seen);
        }
        self.seen += 1;
        if self.first.len() < FIRST {
            self.first.push(leg);
            return;
        }
        self.newest.push_back(leg);
        if self.newest.len() > NEWEST {
            let gone = self.newest.pop_front();
            if let Some(key) = gone.and_then(|leg| key(leg.from, leg.to, leg.index)) {
                self.numbers.remove(&key);
            }
        }
    }

    fn leg_mut(&mut self, number: u64) -> Option<&mut Leg> {
        let number = usize::try_from(number).ok()?;
        match number.checked_sub(FIRST) {
            None => self.first.get_mut(number),
            Some(behind) => {
                let gone = usize::try_from(self.left_out()).ok()?;
                self.newest.get_mut(behind.checked_sub(gone)?)
            }
        }
    }

    /// How many packets between the first and the newest are left out.
    pub(in crate::record) fn left_out(&self) -> u64 {
        self.seen - self.first.len() as u64 - self.newest.len() as u64
    }

    /// The first packets, in the order in which they were sent.
    pub(in crate::record) fn first(&self) -> impl Iterator<Item = &Leg> {
        self.first.iter()
    }

    /// The newest that are not among the first.
    pub(in crate::record) fn newest(&self) -> impl Iterator<Item = &Leg> {
        self.newest.iter()
    }
}

fn key(from: Option<HostId>, to: Option<HostId>, index: u64) -> Option<Key> {
    Some((from?, to?, index))
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture::packet;
    use super::*;

    #[test]
    fn each_packet_has_its_fate() {
        let mut legs = Legs::default();
        let sent = packet(Stage::Offered, 1, 0, b"\x06");
        legs.on_packet(&sent, String::new);
        legs.on_packet(&packet(Stage::Offered, 2, 1, b"\x06"), String::new);
        legs.on_packet(&packet(Stage::Dropped(DropCause::Lost), 2, 1, b"\x06"), String::new);
        for nanos in [5, 6, 9] {
            legs.on_packet(&packet(Stage::Delivered, nanos, 0, b"\x06"), String::new);
        }
        // Nobody has the address: there is no number to find it by.
        let away = PacketView { to: None, now: Instant::from_nanos(10), ..sent };
        legs.on_packet(&away, String::new);
        legs.on_packet(
            &PacketView { stage: Stage::Dropped(DropCause::NoRoute), ..away },
            String::new,
        );
        legs.on_packet(&PacketView { stage: Stage::Delivered, from: None, ..sent }, String::new);
        let all: Vec<_> = legs.first().collect();
        assert_eq!(all.len(), 4);
        assert_eq!((all[0].came, all[0].copies), (Some(Instant::from_nanos(5)), 2));
        assert_eq!(all[1].dropped, Some((Instant::from_nanos(2), DropCause::Lost)));
        assert_eq!(all[2].dropped, Some((Instant::from_nanos(10), DropCause::NoRoute)));
        assert_eq!(all[3].came, Some(Instant::from_nanos(1)));
        assert_eq!(legs.left_out(), 0);
    }

    #[test]
    fn the_middle_is_left_out() {
        let mut legs = Legs::default();
        let count = (FIRST + NEWEST + 500) as u64;
        for index in 0..count {
            legs.on_packet(&packet(Stage::Offered, index, index, b"\x06"), String::new);
        }
        for index in 0..count {
            legs.on_packet(&packet(Stage::Delivered, count + index, index, b"\x06"), String::new);
        }
        assert_eq!((legs.first.len(), legs.newest.len()), (FIRST, NEWEST));
        assert_eq!(legs.numbers.len(), FIRST + NEWEST);
        assert_eq!(legs.left_out(), 500);
        for leg in legs.first().chain(legs.newest()) {
            assert_eq!(leg.came, Some(Instant::from_nanos(count + leg.index)));
        }
        assert_eq!(legs.newest().next().map(|leg| leg.index), Some(1_500));
    }
}
