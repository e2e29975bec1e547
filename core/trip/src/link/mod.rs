//! TRiP over reliable streams of bytes: TCP, TLS, WebSocket (PROTOCOL.md §8).
//!
//! [`LinkEndpoint`] is an [`Endpoint`] whose peers are reached over links. In go the bytes of each
//! link, cut anywhere, and news of links that open and break; out come bytes for each link, events
//! and a deadline. It opens nothing by itself and knows nothing of what a link is made of.
//! [`LinkMachine`] is the same for one link at a time, as a
//! [`StreamMachine`](tripline_sansio::StreamMachine). [`LinkHub`] decides by what a connection
//! travels, and wishes for the links that takes.
//!
//! Packets are those of §2, framed by `frame`. A link stands among the addresses of a connection
//! (§5.2): when it breaks, the connection waits, and goes on over the next one with all that was
//! not acknowledged. What a connection does otherwise than over datagrams is in `connection::link`.
//!
//! The bytes of each link wait in a buffer of [`LINK_BUFFER`] bytes until the loop takes them.
//! While it is full its connections build no packets: so what goes out is the newest there is, the
//! most urgent first, and memory is bounded however slowly the other side reads (R-LINK-6).

mod frame;
mod hub;
mod machine;
mod plan;

use crate::carrier::LinkId;
use crate::config::{ConnectOptions, Target};
use crate::endpoint::Endpoint;
use crate::error::{StartError, UnknownConnection};
use crate::event::Event;
use crate::handle::ConnectionHandle;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::fmt;
use frame::{BadLength, Deframer, write_packet};
pub use hub::{Carrier, HubEvent, LinkHub};
pub use machine::{LinkEvent, LinkMachine};
pub use plan::{LinkRoute, Over};
use tripline_sansio::{DatagramMachine, Ecn, Instant, Path, Transmit};

/// From so many bytes on that wait for a link, its connections send nothing more (R-LINK-6).
pub const LINK_BUFFER: usize = 64 << 10;

/// Room above [`LINK_BUFFER`] for what no connection holds back: handshakes, PONGs, goodbyes. What
/// finds it full is dropped, and counted.
const RESERVE: usize = 16 << 10;

/// Links that may be open at once.
pub const LINKS_MAX: usize = 65_536;

/// Why a link has ended. Whatever the reason, it is to be closed; its connections live on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkEnd {
    /// A packet said that it has so many bytes: 0, or more than 16,384.
    Length(u16),
    /// A packet of no known form, or DATA that does not verify.
    Packet,
    /// The peer will send no more.
    Eof,
    /// No such link is open.
    Unknown,
}

impl fmt::Display for LinkEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(length) => write!(f, "a packet of {length} bytes was announced"),
            Self::Packet => f.write_str("a packet that does not verify"),
            Self::Eof => f.write_str("the peer closed the link"),
            Self::Unknown => f.write_str("the link is not open"),
        }
    }
}

impl core::error::Error for LinkEnd {}

/// What has gone over the links of a [`LinkEndpoint`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkStats {
    /// Packets that came.
    pub packets_received: u64,
    /// Packets that were handed out, or wait to be.
    pub packets_sent: u64,
    /// Packets for a link that is not open any more, or whose buffer had no room left.
    pub dropped: u64,
    /// Links that were ended because of what came over them (R-LINK-1).
    pub ended: u64,
    /// The most bytes that ever waited for one link.
    pub waiting_max: usize,
}

/// One open link.
#[derive(Debug, Default)]
struct Line {
    input: Deframer,
    out: Vec<u8>,
    /// It is in the list of links that have bytes to write.
    listed: bool,
}

impl Line {
    /// Adds a packet to the bytes that wait; `None` if it is none for a link.
    fn write(&mut self, packet: &[u8]) -> Option<&mut Self> {
        write_packet(packet, &mut self.out).then_some(self)
    }
}

/// An [`Endpoint`] whose peers are reached over links.
///
/// The loop's rules are the usual ones: hand something in, then drain, then read the deadline. To
/// drain: ask [`poll_ready`](Self::poll_ready) for the links that have something to write until it
/// says `None`, call [`poll_write`](Self::poll_write) for each of them, as often as the link has
/// taken all bytes of the time before; then [`poll_event`](Self::poll_event).
#[derive(Debug)]
pub struct LinkEndpoint {
    endpoint: Endpoint,
    links: BTreeMap<LinkId, Line>,
    ready: VecDeque<LinkId>,
    /// Where the endpoint writes packets before they are framed; empty between calls.
    scratch: Vec<u8>,
    /// A datagram that came up while packets of links were looked for.
    datagram: Option<(Transmit, Vec<u8>)>,
    stats: LinkStats,
}

impl LinkEndpoint {
    /// Gives an endpoint links. It may have connections over datagrams besides.
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            links: BTreeMap::new(),
            ready: VecDeque::new(),
            scratch: Vec::new(),
            datagram: None,
            stats: LinkStats::default(),
        }
    }

    /// The endpoint, to ask it.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The endpoint, for the user's commands.
    pub fn endpoint_mut(&mut self) -> &mut Endpoint {
        &mut self.endpoint
    }

    /// What has gone over the links.
    pub fn stats(&self) -> LinkStats {
        self.stats
    }

    /// How many links are open.
    pub fn links(&self) -> usize {
        self.links.len()
    }

    /// A link is there: opened by us, or accepted. Says `false`, and is to be closed then, if there
    /// are [`LINKS_MAX`] or its number is in use.
    #[must_use]
    pub fn opened(&mut self, link: LinkId) -> bool {
        if self.links.len() >= LINKS_MAX || !self.endpoint.link_opened(link) {
            return false;
        }
        self.links.insert(link, Line::default());
        true
    }

    /// A link broke, or we close it. What was not acknowledged is kept for the next one.
    pub fn closed(&mut self, now: Instant, link: LinkId) {
        self.links.remove(&link);
        self.endpoint.link_closed(now, link);
    }

    /// Begins a connection over a link that is open.
    ///
    /// # Errors
    /// See [`StartError`]; `NoAddress` if the link is not open.
    pub fn connect(
        &mut self,
        now: Instant,
        link: LinkId,
        options: ConnectOptions,
    ) -> Result<ConnectionHandle, StartError> {
        if !self.links.contains_key(&link) {
            return Err(StartError::NoAddress);
        }
        self.endpoint.connect(now, Target::from(link.address()), options)
    }

    /// Lets a connection that we began go on over another link (R-LINK-4). What was not
    /// acknowledged goes out again there, at once.
    ///
    /// # Errors
    /// If the link is not open, or the connection is gone, or the peer began it: then it is for the
    /// peer to open a link.
    pub fn resume(
        &mut self,
        now: Instant,
        connection: ConnectionHandle,
        link: LinkId,
    ) -> Result<(), UnknownConnection> {
        if !self.links.contains_key(&link) {
            return Err(UnknownConnection);
        }
        self.endpoint.attach(now, connection, link)
    }

    /// Takes bytes that came over a link, cut anywhere.
    ///
    /// # Errors
    /// The link has ended (R-LINK-1), as if [`closed`](Self::closed) had been called: close it.
    pub fn handle_bytes(
        &mut self,
        now: Instant,
        link: LinkId,
        bytes: &[u8],
    ) -> Result<(), LinkEnd> {
        let Some(line) = self.links.get_mut(&link) else { return Err(LinkEnd::Unknown) };
        let mut rest = bytes;
        let end = loop {
            match line.input.next(&mut rest) {
                Ok(Some(packet)) => {
                    self.stats.packets_received = self.stats.packets_received.saturating_add(1);
                    if !self.endpoint.handle_link_packet(now, link, packet) {
                        break LinkEnd::Packet;
                    }
                }
                Ok(None) => return Ok(()),
                Err(BadLength(length)) => break LinkEnd::Length(length),
            }
        };
        self.stats.ended = self.stats.ended.saturating_add(1);
        self.closed(now, link);
        Err(end)
    }

    /// The next link that has bytes to write and was not named since it has.
    pub fn poll_ready(&mut self, now: Instant) -> Option<LinkId> {
        self.pump(now);
        while let Some(link) = self.ready.pop_front() {
            if let Some(line) = self.links.get_mut(&link)
                && core::mem::take(&mut line.listed)
                && !line.out.is_empty()
            {
                return Some(link);
            }
        }
        None
    }

    /// Appends the bytes to write to a link to `out`, [`LINK_BUFFER`] or little more at a time, and
    /// none while `out` holds as many. Says whether there were any. To be called when the link has
    /// taken the bytes of the time before.
    pub fn poll_write(&mut self, now: Instant, link: LinkId, out: &mut Vec<u8>) -> bool {
        self.pump(now);
        if out.len() >= LINK_BUFFER {
            return false;
        }
        let Some(line) = self.links.get_mut(&link) else { return false };
        let some = !line.out.is_empty();
        out.append(&mut line.out);
        // Those who waited are asked before the next bytes are wanted, not now: by then they may
        // have something newer.
        self.endpoint.link_writable(link);
        some
    }

    /// Moves packets into the buffers of their links, until there are no more, or a datagram is in
    /// the way.
    fn pump(&mut self, now: Instant) {
        while self.datagram.is_none() {
            let mut packets = core::mem::take(&mut self.scratch);
            packets.clear();
            let transmit = self.endpoint.poll_transmit(now, &mut packets);
            match transmit.map(|transmit| (transmit, LinkId::of(transmit.path.remote))) {
                None => return self.scratch = packets,
                Some((transmit, None)) => self.datagram = Some((transmit, packets)),
                Some((transmit, Some(link))) => {
                    for packet in packets.chunks(transmit.segment_size.max(1)) {
                        self.queue(link, packet);
                    }
                    self.scratch = packets;
                }
            }
        }
    }

    /// Puts a packet into the buffer of its link.
    fn queue(&mut self, link: LinkId, packet: &[u8]) {
        let Self { links, endpoint, stats, ready, .. } = self;
        let room = LINK_BUFFER.saturating_add(RESERVE);
        let line = links.get_mut(&link).filter(|line| line.out.len() < room);
        let Some(line) = line.and_then(|line| line.write(packet)) else {
            stats.dropped = stats.dropped.saturating_add(1);
            return;
        };
        stats.packets_sent = stats.packets_sent.saturating_add(1);
        stats.waiting_max = stats.waiting_max.max(line.out.len());
        if line.out.len() >= LINK_BUFFER {
            endpoint.link_full(link);
        }
        if !core::mem::replace(&mut line.listed, true) {
            ready.push_back(link);
        }
    }
}

/// What goes by datagrams beside the links; for an endpoint without them, time and events.
impl DatagramMachine for LinkEndpoint {
    type Event = Event;

    fn handle_datagram(&mut self, now: Instant, path: Path, ecn: Ecn, datagram: &mut [u8]) {
        self.endpoint.handle_datagram(now, path, ecn, datagram);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
    }

    /// Datagrams only. To be drained before [`LinkEndpoint::poll_ready`], if there can be any: one
    /// that nobody takes holds up the links.
    fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<Transmit> {
        self.pump(now);
        let (transmit, mut bytes) = self.datagram.take()?;
        out.append(&mut bytes);
        self.scratch = bytes;
        Some(transmit)
    }

    fn handle_too_big(&mut self, now: Instant, transmit: &Transmit) {
        self.endpoint.handle_too_big(now, transmit);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.endpoint.poll_timeout()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.endpoint.poll_event()
    }
}
