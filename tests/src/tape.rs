//! A tape of the network: every packet as it was offered, be it a datagram or on a link, so that a
//! test can look at it, and play it again later, changed or not.

use crate::{Carrier, Pair, Side};
use std::cell::RefCell;
use std::rc::Rc;
use tripline::LinkId;
use tripline_sansio::{DatagramMachine, Ecn, Instant, Path};

/// A packet on a [`Tape`].
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
    pub(crate) fn put(&self, one: Taped) {
        self.0.borrow_mut().push(one);
    }

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

    /// How many packets there are.
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
        if Carrier::current().is_link() {
            for side in [Side::Client, Side::Server] {
                let host = self.host(side);
                self.world.with(host, |carried, _| carried.record(tape.clone()));
            }
            return tape;
        }
        let (copy, client, server) = (tape.clone(), self.client, self.server);
        self.world.add_tap(move |packet| {
            let from = match packet.from {
                Some(host) if host == client => Side::Client,
                Some(host) if host == server => Side::Server,
                _ => return,
            };
            if packet.stage == tripline_sim::Stage::Offered {
                let (at, bytes) = (packet.now, packet.bytes.to_vec());
                copy.put(Taped { at, from, bytes });
            }
        });
        tape
    }

    /// Hands a packet to a side, now, as if it came from the other side's address, or over the
    /// newest link between them.
    pub fn deliver(&mut self, to: Side, packet: &[u8]) {
        let from = match self.pipes.last() {
            Some(pipe) => LinkId::new(pipe.number()).address(),
            None => self.world.address(self.host(to.other())),
        };
        self.deliver_from(to, Path::to(from), packet);
    }

    /// The same from any address. Over links, one that is none of theirs stands for somebody who
    /// has opened a link of his own, and opens another when what he sent has ended that.
    pub fn deliver_from(&mut self, to: Side, from: Path, packet: &[u8]) {
        let mut packet = packet.to_vec();
        if !Carrier::current().is_link() {
            return self.call(to, |endpoint, now| {
                endpoint.handle_datagram(now, from, Ecn::NotEct, &mut packet);
            });
        }
        let host = self.host(to);
        self.world.with(host, |carried, now| match LinkId::of(from.remote) {
            Some(link) => carried.insert(now, link.number(), &packet),
            None => carried.insert_from(now, from.remote, &packet),
        });
    }

    /// Hands a packet to a side that somebody has forged: with the other side's address, or over a
    /// link of his own. Nobody can put anything into a link of others, and what does not verify
    /// ends the one it came over (R-LINK-1).
    pub fn forge(&mut self, to: Side, packet: &[u8]) {
        let from = Path::to(self.world.address(self.host(to.other())));
        self.deliver_from(to, from, packet);
    }

    /// The same once for each bit of a packet, with that bit flipped; at most `bits` of them,
    /// spread over its whole length.
    pub fn deliver_flipped(&mut self, to: Side, packet: &[u8], bits: usize) {
        let all = packet.len() * 8;
        for at in (0..bits.min(all)).map(|number| number * all / bits.min(all)) {
            let mut forged = packet.to_vec();
            forged[at / 8] ^= 0x80 >> (at % 8);
            self.forge(to, &forged);
        }
    }
}
