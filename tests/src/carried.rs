//! An endpoint and what carries its packets, as one machine of the simulator: datagrams, pipes,
//! pipes with TLS in them, or TCP connections of this machine. Whoever calls the endpoint notices
//! nothing.

use crate::carrier::{Carrier, note, tls};
use crate::ends::Ends;
use crate::sockets::Sockets;
use crate::{Side, Tape};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use tripline::{Endpoint, Event, LinkEndpoint, LinkId};
use tripline_sansio::{Instant, LinkLayer, Path, Secure, Transmit};
use tripline_sim::{DatagramMachine, Ecn, PipeMachine};

/// An endpoint, to be used as one, and its links.
pub struct Carried {
    ends: Ends,
    /// TLS in pipes that are simulated.
    layers: BTreeMap<u64, LinkLayer>,
    /// The TCP connections, where they are real.
    sockets: Option<Sockets>,
    /// Pipes whose layer or socket may have bytes of its own.
    ready: VecDeque<u64>,
    /// Pipes that a test's packet has ended.
    ended: VecDeque<u64>,
    plain: Vec<u8>,
}

impl Carried {
    pub(crate) fn new(endpoint: Endpoint, side: Side, sockets: Option<Sockets>) -> Self {
        Self {
            ends: Ends::new(LinkEndpoint::new(endpoint), side),
            layers: BTreeMap::new(),
            sockets,
            ready: VecDeque::new(),
            ended: VecDeque::new(),
            plain: Vec::new(),
        }
    }

    /// Lets others connect to this side; where.
    pub(crate) fn listen(&mut self) -> Option<SocketAddr> {
        self.sockets.as_mut().map(|sockets| sockets.listen(&mut self.ends))
    }

    /// Where the other side listens.
    pub(crate) fn set_peer(&mut self, peer: Option<SocketAddr>) {
        if let (Some(sockets), Some(peer)) = (&mut self.sockets, peer) {
            sockets.set_peer(peer);
        }
    }

    /// Whether a pipe carries packets yet: TLS in it, if there is to be any, has come about.
    pub(crate) fn is_secured(&self, pipe: u64) -> bool {
        match &self.sockets {
            Some(sockets) => sockets.is_open(pipe),
            None => self.layers.get(&pipe).is_none_or(|layer| layer.is_open()),
        }
    }

    /// From now on what comes over links is thrown away.
    pub(crate) fn deafen(&mut self) {
        self.ends.deaf = true;
    }

    /// Puts all packets that go out over links on this tape.
    pub(crate) fn record(&mut self, tape: Tape) {
        self.ends.record(tape);
    }

    /// Hands in a packet as if it came over this pipe.
    pub(crate) fn insert(&mut self, now: Instant, pipe: u64, packet: &[u8]) {
        if !self.ends.insert(now, pipe, packet) {
            self.ended.push_back(pipe);
        }
    }

    /// The same over a link of somebody who is at this address.
    pub(crate) fn insert_from(&mut self, now: Instant, from: SocketAddr, packet: &[u8]) {
        self.ends.insert_from(now, from, packet);
    }
}

impl From<Endpoint> for Carried {
    /// One that nobody opens links from.
    fn from(endpoint: Endpoint) -> Self {
        Self::new(endpoint, Side::Server, None)
    }
}

impl Deref for Carried {
    type Target = Endpoint;
    fn deref(&self) -> &Endpoint {
        self.ends.links.endpoint()
    }
}

impl DerefMut for Carried {
    fn deref_mut(&mut self) -> &mut Endpoint {
        self.ends.links.endpoint_mut()
    }
}

impl std::fmt::Debug for Carried {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let links = self.ends.links.links();
        f.debug_struct("Carried").field("links", &links).finish_non_exhaustive()
    }
}

/// Packets that were handed to the endpoint past its links are in the books, too.
impl Drop for Carried {
    fn drop(&mut self) {
        let (all, links) = (self.stats().datagrams_received, self.ends.links.stats());
        note(|used| used.datagrams += all.saturating_sub(links.packets_received));
    }
}

impl DatagramMachine for Carried {
    type Event = Event;

    fn handle_datagram(&mut self, now: Instant, path: Path, ecn: Ecn, datagram: &mut [u8]) {
        self.ends.links.handle_datagram(now, path, ecn, datagram);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.ends.links.handle_timeout(now);
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<Transmit> {
        let transmit = self.ends.links.poll_transmit(now, out)?;
        note(|used| used.datagrams += 1);
        Some(transmit)
    }

    fn handle_too_big(&mut self, now: Instant, transmit: &Transmit) {
        self.ends.links.handle_too_big(now, transmit);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.ends.links.poll_timeout()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.ends.links.poll_event()
    }
}

impl PipeMachine for Carried {
    fn handle_opened(&mut self, now: Instant, pipe: u64) -> bool {
        if let Some(sockets) = &mut self.sockets {
            sockets.opened(now, pipe, &mut self.ends);
        } else if Carrier::current() == Carrier::TlsPipe {
            let nowhere = SocketAddr::from(([10, 0, 0, 2], 1));
            let made = match self.ends.side {
                Side::Client => tls().client(now, "server", nowhere),
                Side::Server => tls().server(now),
            };
            self.layers.insert(pipe, made.expect("a layer"));
        }
        self.ready.push_back(pipe);
        self.ends.links.opened(LinkId::new(pipe))
    }

    fn handle_bytes(&mut self, now: Instant, pipe: u64, bytes: &[u8]) -> bool {
        self.ready.push_back(pipe);
        if let Some(sockets) = &mut self.sockets {
            return sockets.arrived(now, pipe, bytes, &mut self.ends);
        }
        let Some(layer) = self.layers.get_mut(&pipe) else {
            return self.ends.take_in(now, pipe, bytes);
        };
        self.plain.clear();
        layer.handle_bytes(now, bytes, &mut self.plain).expect("TLS that nobody disturbs");
        self.ends.take_in(now, pipe, &self.plain)
    }

    fn handle_eof(&mut self, now: Instant, pipe: u64) -> bool {
        self.handle_broken(now, pipe);
        false
    }

    fn handle_broken(&mut self, now: Instant, pipe: u64) {
        self.layers.remove(&pipe);
        if let Some(sockets) = &mut self.sockets {
            sockets.ended(now, pipe, &mut self.ends);
            self.ready.push_back(pipe);
        }
        self.ends.closed(now, pipe);
    }

    fn poll_ready(&mut self, now: Instant) -> Option<u64> {
        self.ready.pop_front().or_else(|| self.ends.next_ready(now))
    }

    fn poll_write(&mut self, now: Instant, pipe: u64, out: &mut Vec<u8>) -> bool {
        if let Some(sockets) = &mut self.sockets {
            return sockets.write(now, pipe, out, &mut self.ends);
        }
        match self.layers.get_mut(&pipe) {
            None => self.ends.give_out(now, pipe, out),
            Some(layer) => {
                self.plain.clear();
                if layer.is_open() && self.ends.give_out(now, pipe, &mut self.plain) {
                    layer.write(&self.plain).expect("TLS takes all");
                }
                layer.poll_write(out)
            }
        }
    }

    fn poll_close(&mut self) -> Option<u64> {
        self.ended.pop_front()
    }
}
