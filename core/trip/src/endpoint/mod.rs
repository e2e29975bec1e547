//! One party's whole protocol state on one socket: its identity, its connections, its limits.
//!
//! In come datagrams, the time and the user's commands; out come datagrams, events and a deadline.
//! This file finds the connection that something is for and keeps the books: who may have something
//! to send, whose deadline is when. `admit` takes clients in; `commands` is the user's side.

mod admit;
mod again;
mod agree;
pub(crate) mod bounds;
mod choose;
mod commands;
mod confirmed;
mod explain;
mod guard;
mod half_open;
mod ids;
mod link;
#[cfg_attr(not(feature = "plain"), path = "no_plain.rs")]
mod plain;
mod prefixes;
mod refer;
mod renew;
mod resets;
mod screen;
mod shared;
mod shutdown;
mod single;
mod tokens;
mod too_big;
mod vain;

use crate::carrier::LinkId;
use crate::config::{Config, TransportConfig};
use crate::connection::{Connection, Cx, EVENTS_LOW, Opened, Room, SentFrame};
use crate::crypto::{PublicKey, SecretKey};
use crate::event::Event;
use crate::events::Events;
use crate::handle::ConnectionHandle;
use crate::recycle::Recycler;
use crate::stats::EndpointStats;
use crate::wire::{Challenge, DataHeader, PacketKind, Retry, VersionHint, classify};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bounds::ANSWERS_MAX;
use guard::Guard;
use half_open::HalfOpens;
use ids::{Ids, Owner};
use resets::{Resets, Token};
use shared::{Joined, Shared};
use shutdown::Leave;
use single::Singles;
use tripline_sansio::{DatagramMachine, Deadlines, Ecn, Instant, Path, Random, Seed, Transmit};

#[derive(Debug)]
struct Slot {
    generation: u32,
    connection: Option<Box<Connection>>,
    /// Is in the list of connections that may have something to send.
    ready: bool,
    /// When it was seen to have nothing to say, if it was not touched since; else never.
    spent: Instant,
    /// The peer's token that ends the connection, as the index of them has it.
    reset_token: Option<Token>,
    /// The link that its connection sends to.
    link: Option<LinkId>,
    /// In which round its newest datagram joined a train that is shared.
    shares: Option<u32>,
}

impl Default for Slot {
    fn default() -> Self {
        Self {
            generation: 0,
            connection: None,
            ready: false,
            spent: Instant::MAX,
            reset_token: None,
            link: None,
            shares: None,
        }
    }
}

/// How often the timers of one connection are fired in one call, on average and at most. Once fires
/// all that are due and what they make due; what fires is armed anew for later, so more is room.
const FIRINGS_MAX: usize = 8;

/// For how many events, and how many settled frames, an endpoint without connections keeps room.
const ROOM_KEPT: usize = 64;

/// The engine: all connections of one socket, as a pure state machine.
///
/// It is driven like every [`DatagramMachine`]: hand in datagrams and the time, then drain
/// transmits, then events, then read the deadline. The commands below count as handing something
/// in.
#[derive(Debug)]
pub struct Endpoint {
    config: Config,
    /// `config.transport`, for the connections to share.
    transport: Arc<TransportConfig>,
    identity: Option<(SecretKey, PublicKey)>,
    now: Instant,
    ids: Ids,
    slots: Vec<Slot>,
    free: VecDeque<u32>,
    live: u32,
    half_opens: HalfOpens,
    guard: Guard,
    resets: Resets,
    singles: Singles,
    /// Keys the hashes by which OPENs are known again.
    hash_key: [u8; 16],
    answers: VecDeque<(Path, Vec<u8>)>,
    ready: VecDeque<u32>,
    shared: Shared,
    /// Whose the newest transmit was; `None`: not one connection's.
    sender: Option<ConnectionHandle>,
    deadlines: Deadlines,
    links: link::Links,
    events: Events,
    /// Room that connections borrow in turn; empty between calls.
    settled: Vec<SentFrame>,
    recycler: Recycler,
    leave: Leave,
    ephemerals: Random,
    random: Random,
    stats: EndpointStats,
}

impl Endpoint {
    /// An endpoint without connections. All its randomness comes from `seed`: the same seed and the
    /// same inputs give the same outputs, byte for byte.
    pub fn new(config: Config, seed: &Seed, now: Instant) -> Self {
        let identity = config.identity.clone().map(|secret| {
            let public = secret.public_key();
            (secret, public)
        });
        let (secret, public) = identity.as_ref().map(|(secret, public)| (secret, public)).unzip();
        Self {
            ids: Ids::new(secret, seed, config.shard),
            guard: Guard::new(&config.guard, public, seed, now),
            resets: Resets::new(secret, seed),
            singles: Singles::new(seed),
            transport: Arc::new(config.transport.clone()),
            config,
            identity,
            now,
            slots: Vec::new(),
            free: VecDeque::new(),
            live: 0,
            half_opens: HalfOpens::default(),
            hash_key: seed.random("open hash").bytes(),
            answers: VecDeque::new(),
            ready: VecDeque::new(),
            shared: Shared::default(),
            sender: None,
            deadlines: Deadlines::default(),
            links: link::Links::default(),
            events: Events::default(),
            settled: Vec::new(),
            recycler: Recycler::default(),
            leave: Leave::default(),
            ephemerals: seed.random("ephemeral keys"),
            random: seed.random("tokens and numbers"),
            stats: EndpointStats::default(),
        }
    }

    /// The time as far as it is known: it never goes back.
    fn tick(&mut self, now: Instant) -> Instant {
        self.now = self.now.max(now);
        self.now
    }

    /// Calls `act` with the connection in `slot`, then puts the books in order.
    fn with<R>(
        &mut self,
        slot: u32,
        act: impl FnOnce(&mut Connection, &mut Cx<'_>) -> R,
    ) -> Option<R> {
        let result = self.touch(slot, act)?;
        self.settle(slot);
        Some(result)
    }

    /// The same for a call that hands something in for a stream, and changes nothing that concerns
    /// others than the connection.
    fn with_writer<R>(
        &mut self,
        slot: u32,
        act: impl FnOnce(&mut Connection, &mut Cx<'_>) -> R,
    ) -> Option<R> {
        let result = self.touch(slot, act)?;
        self.enlist(slot);
        Some(result)
    }

    /// The same for a call that takes something out and hands nothing in; `act` says whether that
    /// may have given the connection something to do. If not, the books stay as they are; it only
    /// takes its place among those that are asked for packets, as one that has nothing to say.
    fn with_reader<R>(
        &mut self,
        slot: u32,
        act: impl FnOnce(&mut Connection) -> (R, bool),
    ) -> Option<R> {
        let index = usize::try_from(slot).ok()?;
        let place = self.slots.get(index)?;
        let (before, listed) = (place.spent, place.ready);
        let (result, spent) = self.touch(slot, |connection, cx| {
            let (result, due) = act(connection);
            (result, if !due && listed { None } else { Some(connection.is_spent(cx.now)) })
        })?;
        match (spent, self.slots.get_mut(index)) {
            (Some(false), _) => self.settle(slot),
            (_, Some(place)) if listed => place.spent = before,
            (_, Some(place)) => {
                place.ready = true;
                place.spent = self.now;
                self.ready.push_back(slot);
            }
            _ => {}
        }
        Some(result)
    }

    /// Calls `act` with the connection in `slot`; then [`Self::settle`] is due.
    fn touch<R>(
        &mut self,
        slot: u32,
        act: impl FnOnce(&mut Connection, &mut Cx<'_>) -> R,
    ) -> Option<R> {
        let index = usize::try_from(slot).ok()?;
        let place = self.slots.get_mut(index)?;
        place.spent = Instant::MAX;
        let connection = place.connection.as_deref_mut()?;
        self.stats.connections_touched = self.stats.connections_touched.saturating_add(1);
        let mut cx = Cx {
            now: self.now,
            events: &mut self.events,
            random: &mut self.random,
            settled: &mut self.settled,
            recycler: &mut self.recycler,
        };
        connection.notice_absence(cx.now);
        Some(act(connection, &mut cx))
    }

    /// A connection was touched: it may have something to send, another deadline, or be gone.
    fn settle(&mut self, slot: u32) {
        let Some(place) = usize::try_from(slot).ok().and_then(|index| self.slots.get_mut(index))
        else {
            return;
        };
        let Some(connection) = place.connection.as_deref_mut() else { return };
        let token = connection.peer_reset_token();
        if token != place.reset_token.as_ref() {
            let token = token.copied();
            self.resets.replace(slot, core::mem::replace(&mut place.reset_token, token), token);
        }
        let (gone, turned) = (connection.is_gone(), connection.has_turned());
        if !gone {
            self.links.track(slot, &mut place.link, connection.link());
            self.enlist(slot);
        }
        if turned {
            self.on_turn(slot);
        }
    }

    /// Notes a connection's deadline, and that it may have something to send.
    fn enlist(&mut self, slot: u32) {
        let Some(place) = usize::try_from(slot).ok().and_then(|index| self.slots.get_mut(index))
        else {
            return;
        };
        let Some(connection) = place.connection.as_deref() else { return };
        self.deadlines.set(slot, connection.next_timeout());
        if !place.ready {
            place.ready = true;
            self.ready.push_back(slot);
        }
    }

    /// A connection has become the only one of its pair, or is over: what that means for others.
    #[cold]
    fn on_turn(&mut self, slot: u32) {
        let place = usize::try_from(slot).ok().and_then(|index| self.slots.get_mut(index));
        let Some(connection) = place.and_then(|place| place.connection.as_deref_mut()) else {
            return;
        };
        let drained = connection.tell_drained(&mut self.events);
        let gone = connection.is_gone();
        let replaces = connection.take_single_ready();
        if drained {
            self.on_one_drained();
        }
        if replaces {
            self.replace_older(slot);
        }
        if gone {
            self.forget(slot);
        }
    }

    /// Frees the slot of a connection that is gone.
    fn forget(&mut self, slot: u32) {
        self.deadlines.set(slot, None);
        self.singles.remove(slot);
        let Some(place) = usize::try_from(slot).ok().and_then(|index| self.slots.get_mut(index))
        else {
            return;
        };
        self.links.track(slot, &mut place.link, None);
        let Some(connection) = place.connection.take() else { return };
        place.generation = place.generation.wrapping_add(1);
        self.free.push_back(slot);
        self.live = self.live.saturating_sub(1);
        connection.own_ids().for_each(|id| self.ids.release(id));
        if self.live == 0 {
            // What a burst of one connection needed is not kept for ever (T80).
            self.events.shrink_to(ROOM_KEPT);
            self.settled.shrink_to(ROOM_KEPT);
            self.shared.shrink();
            self.recycler.clear();
        }
    }

    /// The handle that the next connection will have; `None` at the limit.
    fn next_handle(&mut self) -> Option<ConnectionHandle> {
        if self.live >= self.config.connections_max {
            return None;
        }
        let slot = match self.free.front() {
            Some(slot) => *slot,
            None => {
                let slot = u32::try_from(self.slots.len()).ok()?;
                self.slots.push(Slot::default());
                self.free.push_back(slot);
                slot
            }
        };
        let generation = self.slots.get(usize::try_from(slot).ok()?)?.generation;
        Some(ConnectionHandle { slot, generation })
    }

    /// Puts a connection into the slot of its handle.
    fn place(&mut self, handle: ConnectionHandle, connection: Connection) {
        self.free.pop_front();
        self.live = self.live.saturating_add(1);
        self.leave.on_begun();
        if let Some(place) =
            usize::try_from(handle.slot).ok().and_then(|index| self.slots.get_mut(index))
        {
            place.connection = Some(Box::new(connection));
        }
        self.note_single(handle.slot);
        self.settle(handle.slot);
    }

    fn connection(&self, handle: ConnectionHandle) -> Option<&Connection> {
        let place = self.slots.get(usize::try_from(handle.slot).ok()?)?;
        if place.generation != handle.generation {
            return None;
        }
        place.connection.as_deref()
    }

    /// Queues an answer that belongs to no connection.
    fn answer(&mut self, path: Path, packet: Vec<u8>) {
        if self.answers.len() >= ANSWERS_MAX {
            let drops = &mut self.stats.drops.at_bound;
            *drops = drops.saturating_add(1);
            return;
        }
        self.answers.push_back((path, packet));
    }

    /// The same for an answer that a flood can ask for: it leaves half of the queue to others.
    fn answer_cheaply(&mut self, path: Path, packet: Vec<u8>) {
        if self.answers.len() >= ANSWERS_MAX / 2 {
            return self.count(|drops| &mut drops.at_bound);
        }
        self.answer(path, packet);
    }

    fn on_data(&mut self, path: Path, ecn: Ecn, datagram: &mut [u8]) {
        let Ok(header) = DataHeader::parse(datagram) else {
            return self.count(|drops| &mut drops.malformed);
        };
        match self.ids.owner(header.id) {
            Some(Owner::Connection(slot)) => {
                let bytes = datagram.len();
                self.with(slot, |connection, cx| {
                    if let Some((number, plaintext)) =
                        connection.open_packet(header, datagram, cx.now)
                    {
                        let id = header.id;
                        let packet = Opened { number, plaintext, bytes, path, ecn, id };
                        connection.on_packet(&packet, cx);
                    }
                });
            }
            Some(Owner::HalfOpen(slot)) => self.on_first_data(slot, header, path, ecn, datagram),
            None => self.answer_unknown(header.id, path, datagram.len()),
        }
    }

    fn on_retry(&mut self, path: Path, datagram: &[u8]) {
        let Ok(retry) = Retry::parse(datagram) else {
            return self.count(|drops| &mut drops.malformed);
        };
        match self.ids.owner(retry.client_id) {
            Some(Owner::Connection(slot)) => {
                self.with(slot, |connection, cx| connection.on_retry(path, &retry, cx));
            }
            _ => self.count(|drops| &mut drops.unknown_connection),
        }
    }

    fn on_challenge(&mut self, path: Path, datagram: &[u8]) {
        let Ok(challenge) = Challenge::parse(datagram) else {
            return self.count(|drops| &mut drops.malformed);
        };
        match self.ids.owner(challenge.client_id) {
            Some(Owner::Connection(slot)) => {
                self.with(slot, |connection, cx| {
                    connection.on_challenge(path, challenge.noise, cx)
                });
            }
            _ => self.count(|drops| &mut drops.unknown_connection),
        }
    }

    fn on_version(&mut self, datagram: &[u8]) {
        let Ok(hint) = VersionHint::parse(datagram) else {
            return self.count(|drops| &mut drops.malformed);
        };
        match self.ids.owner(hint.client_id) {
            Some(Owner::Connection(slot)) => {
                self.with(slot, |connection, _| {
                    connection.on_version(hint.reason, hint.versions())
                });
            }
            _ => self.count(|drops| &mut drops.unknown_connection),
        }
    }

    /// A datagram, or a packet of a link.
    fn on_datagram(&mut self, path: Path, ecn: Ecn, datagram: &mut [u8]) {
        self.stats.datagrams_received = self.stats.datagrams_received.saturating_add(1);
        match datagram.first().copied().and_then(classify) {
            Some(PacketKind::Data) => self.on_data(path, ecn, datagram),
            Some(PacketKind::Open) => self.on_open(path, datagram),
            Some(PacketKind::Challenge) => self.on_challenge(path, datagram),
            Some(PacketKind::Confirm) => self.on_confirm(path, datagram),
            Some(PacketKind::Version) => self.on_version(datagram),
            Some(PacketKind::Retry) => self.on_retry(path, datagram),
            Some(PacketKind::Reset) => self.on_reset(path, datagram),
            // Reserved, so no fault of its sender (R-WIRE-4).
            Some(PacketKind::Ddns) => self.count(|drops| &mut drops.unsupported),
            None => self.count(|drops| &mut drops.malformed),
        }
    }

    /// Counts a drop that belongs to no connection.
    fn count(&mut self, which: impl FnOnce(&mut crate::stats::Drops) -> &mut u64) {
        let counter = which(&mut self.stats.drops);
        *counter = counter.saturating_add(1);
    }
}

impl DatagramMachine for Endpoint {
    type Event = Event;

    fn handle_datagram(&mut self, now: Instant, path: Path, ecn: Ecn, datagram: &mut [u8]) {
        self.tick(now);
        if LinkId::of(path.remote).is_some() {
            // Only links themselves speak for links (R-LINK-2).
            return self.count(|drops| &mut drops.malformed);
        }
        self.on_datagram(path, ecn, datagram);
    }

    fn handle_timeout(&mut self, now: Instant) {
        let now = self.tick(now);
        // Rule 8: each fires once, a few times where one timer makes another due. A deadline that
        // stays behind shows in `poll_timeout`; it must not hold up this call for ever.
        let mut firings = self.slots.len().saturating_mul(FIRINGS_MAX);
        while let Some(slot) = self.deadlines.due(now).filter(|_| firings > 0) {
            firings = firings.saturating_sub(1);
            if self.with(slot, |connection, cx| connection.on_timeout(cx)).is_none() {
                self.deadlines.set(slot, None);
            }
        }
        while let Some(entry) = self.half_opens.pop_expired(now) {
            self.drop_half_open(&entry);
        }
        if self.leave.next_timeout().is_some_and(|due| due <= now) {
            self.tend_shutdown();
        }
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<Transmit> {
        self.tick(now);
        if self.is_leaving() {
            self.tend_shutdown();
        }
        self.sender = None;
        if let Some((path, packet)) = self.answers.pop_front() {
            out.extend_from_slice(&packet);
            let len = packet.len();
            self.count_sent(1);
            return Some(Transmit { path, ecn: Ecn::NotEct, len, segment_size: len });
        }
        if let Some(train) = self.take_shared(out) {
            return Some(train);
        }
        while let Some(slot) = self.ready.front().copied() {
            self.prepare_link(slot);
            let asks = !self.is_spent(slot);
            if asks && self.has_shared(slot) {
                break;
            }
            let company = asks && self.has_company(slot);
            let room = Room { segments_max: self.config.segments_max, company };
            let transmit = self.with(slot, |connection, cx| {
                // What a datagram made due (a shorter probe timeout) fires in the same turn.
                if asks {
                    connection.on_timeout(cx);
                    if let Some(transmit) = connection.poll_transmit(out, room, cx) {
                        return Some((transmit, connection.is_spent(cx.now)));
                    }
                } else {
                    connection.on_spent();
                }
                connection.on_drained(cx);
                None
            });
            self.ready.pop_front();
            if let Some((transmit, spent)) = transmit.flatten() {
                // Behind the others: connections take turns.
                self.ready.push_back(slot);
                let sender = self.note_sender(slot, spent);
                match self.join_others(slot, transmit, out, room.company && spent) {
                    Joined::Waits => continue,
                    Joined::Full => break,
                    Joined::Not => {}
                }
                self.count_sent(transmit.segments());
                self.sender = sender;
                return Some(transmit);
            }
            if self.tend_zones(slot) || self.tend_attempt(slot) {
                self.ready.push_back(slot);
                continue;
            }
            if let Some(place) =
                usize::try_from(slot).ok().and_then(|index| self.slots.get_mut(index))
            {
                place.ready = false;
            }
        }
        self.take_shared(out)
    }

    fn handle_too_big(&mut self, now: Instant, transmit: &Transmit) {
        self.on_too_big(now, transmit.segment_size);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        // One by one, not as a list: this is asked after every call, and seldom finds but one.
        let others = earlier(self.half_opens.next_expiry(), self.leave.next_timeout());
        earlier(self.deadlines.first(), others)
    }

    fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front();
        for (handle, stream) in self.events.take_refused(EVENTS_LOW) {
            if self.connection(handle).is_some() {
                self.with(handle.slot, |connection, cx| connection.on_events_polled(stream, cx));
            }
        }
        event
    }
}

/// The earlier of two deadlines, of which each may be absent.
fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

impl Endpoint {
    /// Whether the connection in `slot` was asked at this very time, and has nothing to say.
    fn is_spent(&self, slot: u32) -> bool {
        let place = usize::try_from(slot).ok().and_then(|index| self.slots.get(index));
        place.is_some_and(|place| place.spent == self.now)
    }

    /// The connection in `slot` has sent something, and all that there was if it is `spent`.
    /// Returns its handle.
    fn note_sender(&mut self, slot: u32, spent: bool) -> Option<ConnectionHandle> {
        let place = self.slots.get_mut(usize::try_from(slot).ok()?)?;
        place.spent = if spent { self.now } else { Instant::MAX };
        Some(ConnectionHandle { slot, generation: place.generation })
    }

    fn count_sent(&mut self, datagrams: usize) {
        let stats = &mut self.stats;
        stats.transmits = stats.transmits.saturating_add(1);
        let datagrams = u64::try_from(datagrams).unwrap_or(u64::MAX);
        stats.datagrams_sent = stats.datagrams_sent.saturating_add(datagrams);
    }
}
