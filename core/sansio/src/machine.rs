//! The two shapes of a machine.

use crate::Instant;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

/// The mark of congestion on an IP packet (RFC 3168 §5, the two low bits of the traffic class).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Ecn {
    /// `00`: the sender does not use ECN, or the system does not tell.
    #[default]
    NotEct,
    /// `01`: ECN-capable, ECT(1).
    Ect1,
    /// `10`: ECN-capable, ECT(0).
    Ect0,
    /// `11`: congestion experienced.
    Ce,
}

/// Where a datagram came from or goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path {
    /// The other side's address.
    pub remote: SocketAddr,
    /// Our own address on this path, if the system tells it; answers leave from there.
    pub local: Option<IpAddr>,
}

impl Path {
    /// The path to `remote` from whatever address the system picks.
    pub const fn to(remote: SocketAddr) -> Self {
        Self { remote, local: None }
    }
}

/// What [`DatagramMachine::poll_transmit`] has appended to the buffer: one datagram, or a train of
/// them for one system call (generic segmentation offload).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where it goes.
    pub path: Path,
    /// The mark to put on each datagram.
    pub ecn: Ecn,
    /// Bytes that were appended, all datagrams together.
    pub len: usize,
    /// Bytes of each datagram; the last one may be shorter. Equal to `len` for a single datagram.
    pub segment_size: usize,
}

impl Transmit {
    /// How many datagrams the train holds.
    pub fn segments(&self) -> usize {
        self.len.div_ceil(self.segment_size.max(1))
    }
}

/// A protocol over datagrams: packets and time in, packets, events and a deadline out.
///
/// The rules of the run loop are on the [crate's page](crate).
pub trait DatagramMachine {
    /// What the machine has to tell its user.
    type Event;

    /// Takes one received datagram. It may be changed in place (decryption). Never fails: what is
    /// unacceptable is counted and dropped.
    ///
    /// What is handed in between two drains is one batch: decisions that are made once a batch (to
    /// acknowledge, to grant credit) are made by the drain.
    fn handle_datagram(&mut self, now: Instant, path: Path, ecn: Ecn, datagram: &mut [u8]);

    /// Tells the time; to be called when [`Self::poll_timeout`]'s deadline has come.
    fn handle_timeout(&mut self, now: Instant);

    /// Appends the next datagram, or train of equal datagrams, to `out`; `None` leaves it
    /// unchanged.
    fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<Transmit>;

    /// The system refused datagrams of the newest [`Self::poll_transmit`] as too large for its own
    /// link (`EMSGSIZE`). A loop says so before it polls again; one that cannot tell whose they
    /// were (it hands in several transmits at once) says nothing, as losses tell in the end. It is
    /// a hint: a machine that has no use for it ignores it.
    fn handle_too_big(&mut self, _now: Instant, _transmit: &Transmit) {}

    /// When [`Self::handle_timeout`] wants to be called next.
    fn poll_timeout(&self) -> Option<Instant>;

    /// The next event, in the order in which things happened.
    fn poll_event(&mut self) -> Option<Self::Event>;
}

/// A protocol over a reliable stream of bytes (TCP, TLS): bytes and time in, bytes, events and a
/// deadline out. That it wants the link closed is an event.
///
/// The rules of the run loop are on the [crate's page](crate).
pub trait StreamMachine {
    /// What the machine has to tell its user.
    type Event;

    /// Takes received bytes, cut anywhere.
    fn handle_bytes(&mut self, now: Instant, bytes: &[u8]);

    /// The peer will send no more.
    fn handle_eof(&mut self, now: Instant);

    /// Tells the time; to be called when [`Self::poll_timeout`]'s deadline has come.
    fn handle_timeout(&mut self, now: Instant);

    /// Appends bytes to send to `out`; returns whether there were any.
    fn poll_write(&mut self, now: Instant, out: &mut Vec<u8>) -> bool;

    /// When [`Self::handle_timeout`] wants to be called next.
    fn poll_timeout(&self) -> Option<Instant>;

    /// The next event, in the order in which things happened.
    fn poll_event(&mut self) -> Option<Self::Event>;
}
