//! Scripted rules: what shall happen to this one packet, for tests that are about one packet.
//!
//! A rule is a function from a [`PacketView`] to a [`Verdict`], asked when a datagram is sent and
//! before the link sees it. Rules are asked in the order in which they were added; the first
//! verdict other than [`Verdict::Pass`] stands, and later rules are not asked. A rule may keep
//! state (count, remember), as long as that follows from what it has seen.

use crate::drop_cause::DropCause;
use crate::host::HostId;
use std::net::SocketAddr;
use tripline_sansio::{Duration, Ecn, Instant};

/// When a packet is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// As its sender made it, before rules and link.
    Offered,
    /// As it is about to be handed to its receiver.
    Delivered,
    /// As it was when it vanished, at once or on arrival. Copies that vanish are shown each.
    Dropped(DropCause),
}

/// One datagram as rules and taps see it.
#[derive(Clone, Copy, Debug)]
pub struct PacketView<'a> {
    /// Whether it is being sent, delivered or dropped. Rules see it only when it is sent.
    pub stage: Stage,
    /// The time.
    pub now: Instant,
    /// Who sent it; nobody if a test injected it.
    pub from: Option<HostId>,
    /// Who will get it; nobody if no host has the address.
    pub to: Option<HostId>,
    /// The address that it bears as its source: its sender's own when it is sent, and what NATs
    /// have made of it later.
    pub source: SocketAddr,
    /// Where it is sent to; when it is delivered, the receiver's own address.
    pub destination: SocketAddr,
    /// Where its sender sent it to, whatever NATs have made of that.
    pub sent_to: SocketAddr,
    /// Its congestion mark.
    pub ecn: Ecn,
    /// Its number among all that `from` has sent to `to` from this address to that, counted from 0;
    /// copies share it. 0 if either is nobody.
    pub index: u64,
    /// The datagram.
    pub bytes: &'a [u8],
}

/// What a rule wants to happen to a datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing special; the next rule is asked.
    Pass,
    /// It never reaches the link.
    Drop,
    /// It takes so much longer than the link says; later datagrams may overtake it.
    Delay(Duration),
    /// It arrives once more, at the same time.
    Duplicate,
    /// It is changed before the link sees it.
    Corrupt(Corruption),
    /// A router gives it this congestion mark in place of its own.
    Mark(Ecn),
}

/// How a datagram is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Corruption {
    /// This bit, counted from the first byte's highest, modulo the length; an empty datagram stays.
    FlipBit(usize),
    /// Only so many bytes are left, if there are more.
    Truncate(usize),
    /// These bytes follow.
    Extend(Vec<u8>),
    /// These bytes come in its place.
    Replace(Vec<u8>),
}

impl Corruption {
    /// Changes `bytes`.
    pub fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::FlipBit(bit) => {
                if !bytes.is_empty() {
                    let bit = bit % (bytes.len() * 8);
                    bytes[bit / 8] ^= 0x80 >> (bit % 8);
                }
            }
            Self::Truncate(len) => bytes.truncate(*len),
            Self::Extend(more) => bytes.extend_from_slice(more),
            Self::Replace(other) => {
                bytes.clear();
                bytes.extend_from_slice(other);
            }
        }
    }
}

/// Names a rule, for taking it away again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(u64);

/// A rule as it is kept.
type Rule = Box<dyn FnMut(&PacketView<'_>) -> Verdict>;

/// The rules in force, in the order in which they are asked.
#[derive(Default)]
pub(crate) struct Rules {
    rules: Vec<(RuleId, Rule)>,
    next_id: u64,
}

impl Rules {
    /// Adds a rule behind the others.
    pub(crate) fn add(&mut self, rule: Rule) -> RuleId {
        let id = RuleId(self.next_id);
        self.next_id += 1;
        self.rules.push((id, rule));
        id
    }

    /// Takes a rule away; whether it was there.
    pub(crate) fn remove(&mut self, id: RuleId) -> bool {
        let before = self.rules.len();
        self.rules.retain(|(other, _)| *other != id);
        self.rules.len() != before
    }

    /// Takes all rules away.
    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The first verdict that is not to pass.
    pub(crate) fn decide(&mut self, packet: &PacketView<'_>) -> Verdict {
        for (_, rule) in &mut self.rules {
            let verdict = rule(packet);
            if verdict != Verdict::Pass {
                return verdict;
            }
        }
        Verdict::Pass
    }
}

/// A rule that drops the first datagrams from one host to another by a list: bit `n` of `mask`
/// drops number `n`. All masks of so many bits are an exhaustive test of how the first packets get
/// lost.
pub fn drop_list(from: HostId, to: HostId, mask: u64) -> impl FnMut(&PacketView<'_>) -> Verdict {
    move |packet| {
        let listed = packet.index < 64 && mask >> packet.index & 1 == 1;
        if listed && packet.from == Some(from) && packet.to == Some(to) {
            Verdict::Drop
        } else {
            Verdict::Pass
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(corruption: &Corruption, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        corruption.apply(&mut bytes);
        bytes
    }

    #[test]
    fn corruption_does_what_it_says_to_any_length() {
        assert_eq!(changed(&Corruption::FlipBit(0), &[0, 0]), [0x80, 0]);
        assert_eq!(changed(&Corruption::FlipBit(15), &[0, 0]), [0, 1]);
        assert_eq!(changed(&Corruption::FlipBit(16), &[0, 0]), [0x80, 0]);
        assert_eq!(changed(&Corruption::FlipBit(3), &[]), []);
        assert_eq!(changed(&Corruption::Truncate(1), &[7, 8]), [7]);
        assert_eq!(changed(&Corruption::Truncate(9), &[7, 8]), [7, 8]);
        assert_eq!(changed(&Corruption::Extend(vec![9]), &[7]), [7, 9]);
        assert_eq!(changed(&Corruption::Replace(vec![1, 2]), &[7]), [1, 2]);
    }
}
