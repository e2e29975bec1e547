//! Datagrams on their way: slots that keep their buffers, so that a steady run allocates nothing.

use crate::host::HostId;
use std::net::SocketAddr;
use tripline_sansio::Ecn;

/// A datagram in flight. What links and rules could still ask of it is decided; it only waits.
#[derive(Debug)]
pub(crate) struct Datagram {
    /// Who sent it; nobody if it was injected.
    pub(crate) from: Option<HostId>,
    /// Who gets it.
    pub(crate) to: HostId,
    /// Its source address.
    pub(crate) source: SocketAddr,
    /// Where it was sent to.
    pub(crate) destination: SocketAddr,
    /// Its congestion mark.
    pub(crate) ecn: Ecn,
    /// Its number on the way from `from` to `to`.
    pub(crate) index: u64,
    /// The digest of its bytes, reckoned once however many copies there are.
    pub(crate) digest: u64,
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
    /// Puts a datagram in: its bytes are copied from `bytes` into a recycled buffer, those of
    /// `header.bytes` are ignored. The network bounds how many there are.
    pub(crate) fn put(&mut self, header: Datagram, bytes: &[u8]) -> Slot {
        if let Some(slot) = self.free.pop() {
            let old = &mut self.slots[slot.0 as usize];
            let mut buffer = std::mem::take(&mut old.bytes);
            buffer.clear();
            buffer.extend_from_slice(bytes);
            *old = Datagram { bytes: buffer, ..header };
            return slot;
        }
        let slot = Slot(self.slots.len() as u32);
        self.slots.push(Datagram { bytes: bytes.to_vec(), ..header });
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
