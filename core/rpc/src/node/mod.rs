//! A node: any number of conversations, whatever carries them.
//!
//! *In*: what any hub is handed (datagrams, bytes, answers, the time) and the user's commands.
//! *Out*: what any hub hands back, and [`NodeEvent`]s. It keeps a connection of ours over its
//! reconnections, finds the conversation that a client comes back to, and moves messages between
//! [`Peer`]s and what carries them: streams of TRiP, or links of bytes. It opens nothing by itself,
//! and never learns the time but from its callers.

mod alarms;
mod box_line;
mod bytes_line;
mod client;
mod commands;
mod conn;
mod event;
mod life;
mod streams;
mod trip_line;
mod udp_doors;

use crate::config::Config;
use crate::event::Event;
use crate::lane::Lane;
use crate::msgbox::MsgboxConfig;
use crate::peer::Peer;
use crate::slots::{Key, Slots};
use crate::wire::SessionId;
use alarms::Alarms;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use box_line::Boxes;
use bytes_line::Wire;
pub use client::{ClientOptions, ReconnectPolicy};
pub use commands::{NetworkKind, UnknownConn};
use conn::{Conn, Line, TripLine};
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
pub use event::{ConnId, NamedStream, NodeEvent, Via};
pub use streams::StreamFailure;
use tripline::{Batch, ConnectionData, ConnectionHandle, LinkHub, PublicKey, StreamId};
use tripline_sansio::{
    Answer, DatagramMachine, Deadlines, Duration, Ecn, Hub, Instant, LinkKind, Path, Random, Seed,
    Transmit, Wish,
};
use udp_doors::UdpDoors;

/// How long a newcomer may take to say HELLO.
const HELLO_WITHIN: Duration = Duration::from_secs(10);

/// Conversations that are remembered without a pipe; the oldest goes.
const REMEMBERED_MAX: usize = 4_096;

/// Links of bytes that others may have open at once.
const WIRES_MAX: usize = 65_536;

/// How a node behaves.
#[derive(Clone, Debug, Default)]
pub struct NodeConfig {
    /// How conversations behave, those of clients and ours.
    pub peer: Config,
    /// How long the conversation with a client that is lost is remembered: calls that it can make
    /// once only are found again for so long. One that was closed is remembered if anything is
    /// under way.
    pub session_keep: Option<Duration>,
    /// How `udp://` addresses are spoken to: plain datagrams (rows M09 to M21). Whether it listens
    /// is the node's to say.
    pub udp: MsgboxConfig,
    /// From so many clients on, a newcomer hears at once that we are going away, so that it may ask
    /// another server; `None`: never.
    pub clients_soft: Option<usize>,
    /// From so many clients on, newcomers are not listened to; `None`: as many as there are places.
    pub clients_hard: Option<usize>,
}

impl NodeConfig {
    /// What counts if [`Self::session_keep`] says nothing.
    pub const SESSION_KEEP: Duration = Duration::from_secs(60);
}

/// Any number of conversations over one transport endpoint and any links.
///
/// A loop that drives hubs drives it; the rules are those of `tripline_sansio`.
#[derive(Debug)]
pub struct Node {
    hub: LinkHub,
    config: NodeConfig,
    random: Random,
    conns: Slots<Conn>,
    /// Whose a connection of the transport is.
    owners: ConnectionData<Key>,
    /// Connections of the transport that have not said HELLO.
    strangers: ConnectionData<TripLine>,
    /// Links of bytes.
    wires: BTreeMap<u64, Wire>,
    /// Listeners for those, and those of the transport.
    doors: BTreeMap<u64, LinkKind>,
    trip_doors: BTreeSet<u64>,
    /// There is a UDP socket, or one was wished for.
    has_udp: bool,
    /// Where it is bound, as far as the loop has said.
    udp_local: Option<SocketAddr>,
    /// Who listens there, or wants to.
    udp_doors: UdpDoors,
    /// There was none to be had.
    udp_denied: bool,
    /// Connections of ours that wait for it.
    udp_waiting: Vec<Key>,
    /// Conversations over plain datagrams.
    boxes: Boxes,
    /// The UDP socket serves those who are there, and connections of ours.
    refuses_trip: bool,
    /// Conversations that are remembered without a pipe, in the order in which they lost it; those
    /// that have one again are among them.
    remembered: VecDeque<(Instant, Key)>,
    /// Alarms that the user has set.
    alarms: Alarms,
    /// Clients that have a pipe, and were not told to go.
    clients: usize,
    shutting: Shutting,
    /// Until when the newcomers must have said HELLO, in order.
    hello_by: VecDeque<(Instant, Newcomer)>,
    /// Conversations with clients.
    sessions: BTreeMap<(Option<PublicKey>, SessionId), Key>,
    wishes: VecDeque<Wish>,
    events: VecDeque<NodeEvent>,
    deadlines: Deadlines,
    /// Those that may have something to send.
    dirty: VecDeque<Key>,
    /// Those that may have something to tell.
    noisy: VecDeque<Key>,
    /// Those that have something to read.
    unread: VecDeque<Key>,
    /// Those of which nothing is read until what was read is told, or said; and whether one of them
    /// may go on.
    stalled: Vec<Key>,
    goes_on: bool,
    /// Those that are over, unless the user says otherwise before all was told.
    finishing: VecDeque<Key>,
    /// Links that may have something to write.
    ready: VecDeque<u64>,
    /// Where messages of the transport are received; empty between calls.
    batch: Batch,
    /// Where messages for the transport are put together; empty between calls.
    bundles: Batch,
    now: Instant,
}

/// Whether all is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shutting {
    No,
    /// What is under way has so long.
    For(Duration),
    /// The user knows that all is over.
    Told,
}

/// Who has not said HELLO yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Newcomer {
    Trip(ConnectionHandle),
    Bytes(u64),
}

impl Node {
    /// A node over a transport endpoint with its links. Who comes in over TRiP is that endpoint's
    /// to say, by its access list, or by asking. `seed` is for session names and waits.
    pub fn new(hub: LinkHub, config: NodeConfig, seed: &Seed) -> Self {
        let config = NodeConfig { peer: config.peer.in_range(), ..config };
        let boxes = Boxes::new(config.udp, &seed.child("boxes"));
        Self {
            hub,
            config,
            random: seed.random("calls"),
            conns: Slots::default(),
            owners: ConnectionData::new(),
            strangers: ConnectionData::new(),
            wires: BTreeMap::new(),
            doors: BTreeMap::new(),
            trip_doors: BTreeSet::new(),
            has_udp: false,
            udp_local: None,
            udp_doors: UdpDoors::default(),
            udp_denied: false,
            udp_waiting: Vec::new(),
            boxes,
            refuses_trip: false,
            remembered: VecDeque::new(),
            alarms: Alarms::default(),
            clients: 0,
            shutting: Shutting::No,
            hello_by: VecDeque::new(),
            sessions: BTreeMap::new(),
            wishes: VecDeque::new(),
            events: VecDeque::new(),
            deadlines: Deadlines::default(),
            dirty: VecDeque::new(),
            noisy: VecDeque::new(),
            unread: VecDeque::new(),
            stalled: Vec::new(),
            goes_on: false,
            finishing: VecDeque::new(),
            ready: VecDeque::new(),
            batch: Batch::new(),
            bundles: Batch::new(),
            now: Instant::ZERO,
        }
    }

    /// The transport, to ask it.
    pub fn hub(&self) -> &LinkHub {
        &self.hub
    }

    /// The transport, for what a node has no words for. Connections that it begins there are its
    /// user's own business.
    pub fn hub_mut(&mut self) -> &mut LinkHub {
        &mut self.hub
    }

    /// How many connections there are: ours, those with clients, and conversations with clients
    /// that are remembered.
    pub fn connections(&self) -> usize {
        self.conns.len()
    }

    /// All of them.
    pub fn conns(&self) -> impl Iterator<Item = ConnId> {
        self.conns.keys().into_iter().map(ConnId)
    }

    /// The conversation of a connection; `None` if that is over.
    pub fn peer(&self, conn: ConnId) -> Option<&Peer> {
        self.conns.get(conn.0).map(|conn| &conn.peer)
    }

    /// By which streams of the transport a connection's lanes go; none if it travels otherwise.
    pub fn streams(&self, conn: ConnId) -> Vec<(Lane, StreamId)> {
        match self.conns.get(conn.0).map(|conn| &conn.line) {
            Some(Line::Trip(line)) => line.streams.clone(),
            _ => Vec::new(),
        }
    }

    /// The transport's connection that carries this one now, to ask [`Self::hub`] about it (its
    /// counters, why it is slow); `None` if it has none, or travels otherwise.
    pub fn transport(&self, conn: ConnId) -> Option<ConnectionHandle> {
        match &self.conns.get(conn.0)?.line {
            Line::Trip(line) => Some(line.handle),
            _ => None,
        }
    }

    /// How many connections, newcomers and alarms wait for a time.
    pub fn timers(&self) -> usize {
        let waiting = self.deadlines.len().saturating_add(self.hello_by.len());
        waiting.saturating_add(self.alarms.len())
    }

    fn tick(&mut self, now: Instant) -> Instant {
        self.now = self.now.max(now);
        self.now
    }

    /// A connection may have something to send, and another deadline.
    fn mark(&mut self, key: Key) {
        if let Some(conn) = self.conns.get_mut(key)
            && !core::mem::replace(&mut conn.is_dirty, true)
        {
            self.dirty.push_back(key);
        }
    }

    /// A connection has something to read.
    fn queue_read(&mut self, key: Key) {
        if let Some(conn) = self.conns.get_mut(key)
            && !core::mem::replace(&mut conn.is_unread, true)
        {
            self.unread.push_back(key);
        }
    }

    /// A connection may have something to tell.
    fn note(&mut self, key: Key) {
        if let Some(conn) = self.conns.get_mut(key)
            && !core::mem::replace(&mut conn.is_noisy, true)
        {
            self.noisy.push_back(key);
        }
    }

    /// Everything that a conversation has to tell is told before what comes next.
    fn spill(&mut self, key: Key) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        while let Some(event) = conn.peer.poll_event() {
            // A pipe that is gone cannot be broken.
            if !matches!(event, Event::Broken { .. }) {
                self.events.push_back(NodeEvent::Peer { conn: ConnId(key), event });
            }
        }
    }

    /// Reads what has come, and lets all that has something to say say it.
    fn pump(&mut self, now: Instant) {
        self.tick(now);
        self.absorb();
        self.goes_on = false;
        self.unread.extend(self.stalled.drain(..));
        while let Some(key) = self.unread.pop_front() {
            if let Some(conn) = self.conns.get_mut(key) {
                conn.is_unread = false;
                self.read(key);
            }
        }
        while let Some(key) = self.dirty.pop_front() {
            let Some(conn) = self.conns.get_mut(key) else { continue };
            conn.is_dirty = false;
            match &conn.line {
                Line::None => {}
                Line::Trip(_) => self.send_over_trip(key),
                Line::Box(_) => self.send_over_box(key),
                Line::Bytes(link) => {
                    let link = *link;
                    self.wire_is_ready(link);
                }
            }
            self.hang_up_if_done(key);
            self.set_deadline(key);
            self.note(key);
        }
        self.close_idle_box();
    }

    /// Does what is due.
    fn tend(&mut self, now: Instant) {
        self.tick(now);
        while let Some(slot) = self.deadlines.due(self.now) {
            match self.conns.key_at(slot) {
                Some(key) => self.tend_conn(key),
                None => self.deadlines.set(slot, None),
            }
        }
        while let Some((key, alarm)) = self.alarms.due(self.now) {
            self.events.push_back(NodeEvent::Alarm { conn: ConnId(key), alarm });
        }
        while let Some((_, newcomer)) =
            self.hello_by.front().copied().filter(|(until, _)| *until <= self.now)
        {
            self.hello_by.pop_front();
            self.turn_away(newcomer);
        }
    }

    /// The next thing that any conversation has to tell.
    fn next_of_peers(&mut self) -> Option<NodeEvent> {
        while let Some(key) = self.noisy.front().copied() {
            if let Some(conn) = self.conns.get_mut(key) {
                while let Some(event) = conn.peer.poll_event() {
                    self.goes_on |= conn.is_stalled && conn.peer.wants_input();
                    // That it is lost is told when it is cut off, which is before this.
                    if !matches!(event, Event::Broken { .. }) {
                        return Some(NodeEvent::Peer { conn: ConnId(key), event });
                    }
                }
                conn.is_noisy = false;
            }
            self.noisy.pop_front();
        }
        None
    }
}

impl Hub for Node {
    type Event = NodeEvent;

    fn handle_answer(&mut self, now: Instant, link: u64, answer: Answer) {
        self.tick(now);
        if self.boxes.link == Some(link) {
            self.on_box_answer(answer);
        } else if link == LinkHub::UDP {
            self.on_udp(&answer);
            self.hub.handle_answer(now, link, answer);
        } else if self.trip_doors.contains(&link) {
            self.on_trip_door(link, &answer);
            self.hub.handle_answer(now, link, answer);
        } else if self.doors.contains_key(&link) {
            self.on_door(link, answer);
        } else if self.wires.contains_key(&link) {
            self.on_wire_answer(link, answer);
        } else {
            self.hub.handle_answer(now, link, answer);
        }
    }

    fn handle_accepted(
        &mut self,
        now: Instant,
        listener: u64,
        kind: LinkKind,
        remote: SocketAddr,
    ) -> Option<u64> {
        self.tick(now);
        if self.doors.contains_key(&listener) {
            self.on_accepted(listener, kind, remote)
        } else {
            self.hub.handle_accepted(now, listener, kind, remote)
        }
    }

    fn handle_datagram(&mut self, now: Instant, link: u64, path: Path, ecn: Ecn, data: &mut [u8]) {
        if self.boxes.link == Some(link) {
            self.boxes.machine.handle_datagram(now, path, ecn, data);
        } else {
            self.hub.handle_datagram(now, link, path, ecn, data);
        }
    }

    fn handle_bytes(&mut self, now: Instant, link: u64, bytes: &[u8]) {
        self.tick(now);
        if self.wires.contains_key(&link) {
            self.on_wire_bytes(link, bytes);
        } else {
            self.hub.handle_bytes(now, link, bytes);
        }
    }

    fn handle_eof(&mut self, now: Instant, link: u64) {
        self.tick(now);
        if self.wires.contains_key(&link) {
            self.on_wire_end(link);
        } else {
            self.hub.handle_eof(now, link);
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.hub.handle_timeout(now);
        self.boxes.machine.handle_timeout(now);
        self.tend(now);
    }

    fn poll_wish(&mut self) -> Option<Wish> {
        self.wishes.pop_front().or_else(|| self.hub.poll_wish())
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<(u64, Transmit)> {
        loop {
            self.pump(now);
            if let Some(transmit) = self.poll_box(now, out) {
                return Some(transmit);
            }
            if let Some(transmit) = self.hub.poll_transmit(now, out) {
                return Some(transmit);
            }
            // The transport may have had something to tell while it had nothing to send.
            self.absorb();
            if self.dirty.is_empty() && self.unread.is_empty() {
                return None;
            }
        }
    }

    fn handle_too_big(&mut self, now: Instant, link: u64, transmit: &Transmit) {
        if self.boxes.link != Some(link) {
            self.hub.handle_too_big(now, link, transmit);
        }
    }

    fn poll_ready(&mut self, now: Instant) -> Option<u64> {
        self.pump(now);
        self.next_ready_wire().or_else(|| self.hub.poll_ready(now))
    }

    fn poll_write(&mut self, now: Instant, link: u64, out: &mut Vec<u8>) -> bool {
        if self.wires.contains_key(&link) {
            self.tick(now);
            self.write_wire(link, out)
        } else {
            self.hub.poll_write(now, link, out)
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let newcomer = self.hello_by.front().map(|(until, _)| *until);
        // As soon as may be: there is more to read, now that what was read is told.
        let more = self.goes_on.then(|| self.now + Duration::from_nanos(1));
        let alarm = self.alarms.first();
        let boxes = self.boxes.machine.poll_timeout();
        let all = [self.hub.poll_timeout(), boxes, self.deadlines.first(), newcomer, alarm, more];
        all.into_iter().flatten().min()
    }

    fn poll_event(&mut self) -> Option<NodeEvent> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            if let Some(event) = self.next_of_peers() {
                return Some(event);
            }
            let Some(key) = self.finishing.pop_front() else { return self.tell_shut_down() };
            self.finish(key);
        }
    }
}

/// Any address of this machine, of the other one's family.
fn any_like(remote: SocketAddr) -> SocketAddr {
    match remote {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}
