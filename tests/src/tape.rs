//! A tape of the network: every datagram as it was offered, so that a test can look at it, and
//! play it again later, changed or not.

use crate::{Pair, Side};
use std::cell::RefCell;
use std::rc::Rc;
use tripline_sansio::{DatagramMachine, Ecn, Instant, Path};

/// A datagram on a [`Tape`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taped {
    /// When it was sent.
    pub at: Instant,
    /// Who sent it.
    pub from: Side,
    /// It, whole.
    pub bytes: Vec<u8>,
}

impl Taped {
    /// Whether it is a DATA packet.
    pub fn is_data(&self) -> bool {
        self.bytes[0] >= 0x80
    }
}

/// What the two sides of a [`Pair`] sent since the tape was put in; lost datagrams included.
#[derive(Clone, Debug, Default)]
pub struct Tape(Rc<RefCell<Vec<Taped>>>);

impl Tape {
    /// Everything so far.
    pub fn all(&self) -> Vec<Taped> {
        self.0.borrow().clone()
    }

    /// What a side sent so far.
    pub fn of(&self, side: Side) -> Vec<Taped> {
        self.0.borrow().iter().filter(|one| one.from == side).cloned().collect()
    }

    /// What began with this byte, from either side: 1 OPEN, 2 CHALLENGE, 4 CONFIRM.
    pub fn kind(&self, first: u8) -> Vec<Taped> {
        self.0.borrow().iter().filter(|one| one.bytes[0] == first).cloned().collect()
    }

    /// How many datagrams there are.
    pub fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Forgets everything so far.
    pub fn clear(&self) {
        self.0.borrow_mut().clear();
    }
}

impl Pair {
    /// Puts a tape in.
    pub fn tape(&mut self) -> Tape {
        let tape = Tape::default();
        let (copy, client, server) = (tape.clone(), self.client, self.server);
        self.world.add_tap(move |packet| {
            let from = match packet.from {
                Some(host) if host == client => Side::Client,
                Some(host) if host == server => Side::Server,
                _ => return,
            };
            if packet.stage == tripline_sim::Stage::Offered {
                let (at, bytes) = (packet.now, packet.bytes.to_vec());
                copy.0.borrow_mut().push(Taped { at, from, bytes });
            }
        });
        tape
    }

    /// Hands a datagram to a side, now, as if it came from the other side's address.
    pub fn deliver(&mut self, to: Side, datagram: &[u8]) {
        let from = self.world.address(self.host(to.other()));
        self.deliver_from(to, Path::to(from), datagram);
    }

    /// The same from any address.
    pub fn deliver_from(&mut self, to: Side, from: Path, datagram: &[u8]) {
        let mut datagram = datagram.to_vec();
        self.call(to, |endpoint, now| {
            endpoint.handle_datagram(now, from, Ecn::NotEct, &mut datagram);
        });
    }

    /// Hands a datagram to a side once for each of its bits, with that bit flipped; at most
    /// `bits` of them, spread over its whole length.
    pub fn deliver_flipped(&mut self, to: Side, datagram: &[u8], bits: usize) {
        let all = datagram.len() * 8;
        for at in (0..bits.min(all)).map(|number| number * all / bits.min(all)) {
            let mut forged = datagram.to_vec();
            forged[at / 8] ^= 0x80 >> (at % 8);
            self.deliver(to, &forged);
        }
    }
}
