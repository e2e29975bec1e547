//! Datagrams on their way: slots that keep their buffers, so that a steady run allocates nothing.

use crate::host::HostId;
use crate::nat::NatId;
use crate::network::RouteId;
use crate::rule::{PacketView, Stage};
use std::net::SocketAddr;
use tripline_sansio::{Ecn, Instant};

/// All of a datagram but its bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    /// Who sent it; nobody if it was injected.
    pub(crate) from: Option<HostId>,
    /// Who gets it, as far as is known.
    pub(crate) to: Option<HostId>,
    /// Its source address.
    pub(crate) source: SocketAddr,
    /// Where it was sent to.
    pub(crate) destination: SocketAddr,
    /// The same as its sender wrote it.
    pub(crate) sent_to: SocketAddr,
    /// Its congestion mark.
    pub(crate) ecn: Ecn,
    /// Its number on its route.
    pub(crate) index: u64,
    /// The digest of its bytes, reckoned once however many copies there are.
    pub(crate) digest: u64,
    /// The route that it takes; none if it was injected or leads nowhere.
    pub(crate) route: Option<RouteId>,
    /// Behind which NAT it travels; none: in the open.
    pub(crate) realm: Option<NatId>,
}

impl Header {
    /// The datagram as rules and taps see it.
    pub(crate) const fn view<'a>(
        &self,
        stage: Stage,
        now: Instant,
        bytes: &'a [u8],
    ) -> PacketView<'a> {
        let Self { from, to, source, destination, sent_to, ecn, index, .. } = *self;
        PacketView { stage, now, from, to, source, destination, sent_to, ecn, index, bytes }
    }
}

/// A datagram in flight. What links and rules could still ask of it is decided; it only waits.
#[derive(Debug)]
pub(crate) struct Datagram {
    /// All but its bytes.
    pub(crate) header: Header,
    /// The bytes.
    pub(crate) bytes: Vec<u8>,
}

/// Names a datagram in the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(u32);

/// All datagrams in flight.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    slots: Vec<Datagram>,
    free: Vec<Slot>,
}

impl Pool {
    /// Puts a datagram in: its bytes are copied from `bytes` into a recycled buffer. The network
    /// bounds how many there are.
    pub(crate) fn put(&mut self, header: &Header, bytes: &[u8]) -> Slot {
        if let Some(slot) = self.free.pop() {
            let old = &mut self.slots[slot.0 as usize];
            old.header = *header;
            old.bytes.clear();
            old.bytes.extend_from_slice(bytes);
            return slot;
        }
        let slot = Slot(self.slots.len() as u32);
        self.slots.push(Datagram { header: *header, bytes: bytes.to_vec() });
        slot
    }

    /// The datagram in `slot`.
    pub(crate) fn get(&self, slot: Slot) -> &Datagram {
        &self.slots[slot.0 as usize]
    }

    /// The datagram in `slot`, for changing it in place.
    pub(crate) fn get_mut(&mut self, slot: Slot) -> &mut Datagram {
        &mut self.slots[slot.0 as usize]
    }

    /// Gives the slot and its buffer back.
    pub(crate) fn release(&mut self, slot: Slot) {
        self.free.push(slot);
    }
}
