//! Conversations over connections of the transport: lanes as streams, and who comes and goes.

use super::conn::{Line, TripLine};
use super::event::{ConnId, NamedStream, NodeEvent, Via};
use super::life::{End, Who};
use super::streams::NamedOn;
use super::{HELLO_WITHIN, Newcomer, Node};
use crate::bounds::NAMED_STREAMS_MAX;
use crate::lane::Lane;
use crate::outbox::{Piece, Taken};
use crate::peer::{Pipe, StreamNews};
use crate::slots::Key;
use crate::wire::bundle;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::SocketAddr;
use tripline::{
    BatchResult, By, Code, ConnectionHandle, Event, HubEvent, LinkHub, PublicKey, SendError,
    SendOptions, Side, State, StreamId, StreamOptions,
};
use tripline_sansio::{Duration, Hub, LinkKind};

/// The stream of the default lane: the first one that the client opens (R-CALL-12).
fn default_stream(stream: StreamId) -> bool {
    stream.index() == 0
        && stream.opener() == Side::Client
        && stream.order() == Lane::DEFAULT.order()
        && stream.direction() == tripline::Direction::TwoWay
}

impl Node {
    /// Takes what the transport has to tell.
    pub(super) fn absorb(&mut self) {
        while let Some(event) = self.hub.poll_event() {
            match event {
                HubEvent::Connection(event) => self.on_trip(event),
                HubEvent::LinkFailed { connection, error, all: true, .. } => {
                    self.on_links_failed(connection, error.to_string());
                }
                // Of the UDP socket more is known here.
                HubEvent::Deaf { listener, error } if listener != LinkHub::UDP => {
                    self.events.push_back(NodeEvent::Deaf { listener, error });
                }
                _ => {}
            }
        }
        self.absorb_boxes();
    }

    fn on_trip(&mut self, event: Event) {
        match event {
            Event::Resolve { connection, host, port } => {
                if let Some(key) = self.owner(connection) {
                    self.events.push_back(NodeEvent::Resolve { conn: ConnId(key), host, port });
                }
            }
            Event::ServerKey { connection, key } => {
                if let Some(owner) = self.owner(connection) {
                    self.events.push_back(NodeEvent::ServerKey { conn: ConnId(owner), key });
                }
            }
            Event::Incoming(incoming) => self.events.push_back(NodeEvent::Incoming(incoming)),
            Event::Connected { connection, side: Side::Server, user_id, route, .. } => {
                self.on_newcomer(connection, Via { listener: None, route, user_id });
            }
            Event::Connected { connection, peer, .. } => self.on_connected(connection, peer),
            Event::Failed { connection, error } => {
                if let Some(key) = self.owner(connection) {
                    self.went_down(key, End::Failed, error.to_string());
                }
            }
            Event::Opened { connection, stream } => self.on_heard(connection, stream),
            Event::Readable { connection, stream } => self.on_readable(connection, stream),
            Event::Writable { connection, stream } => self.on_writable(connection, stream),
            Event::Closed { connection, by, code, reason } => {
                let by_us = by == By::Us;
                let why = if reason.is_empty() { code.to_string() } else { reason };
                self.on_end(connection, End::Closed { by_us }, why);
            }
            Event::Lost { connection, cause } => {
                self.on_end(connection, End::Lost, cause.to_string());
            }
            Event::Stopped { connection, stream, code } => {
                self.on_stream(connection, stream, |conn, stream| NodeEvent::StreamStopped {
                    conn,
                    stream,
                    code,
                });
            }
            Event::Message { connection, stream, token, fate } => {
                self.on_fate(connection, stream, token, fate);
            }
            Event::Drained { connection } => {
                // Nobody reads the rest, if there is any.
                self.kill_trip(connection);
                self.owners.remove(connection);
                self.strangers.remove(connection);
            }
            _ => {}
        }
    }

    pub(super) fn owner(&self, connection: ConnectionHandle) -> Option<Key> {
        let key = *self.owners.get(connection)?;
        match &self.conns.get(key)?.line {
            Line::Trip(line) if line.handle == connection => Some(key),
            _ => None,
        }
    }

    fn on_newcomer(&mut self, connection: ConnectionHandle, via: Via) {
        // Who comes over a link has come by a listener of its own.
        if self.refuses_trip && self.place_of(connection).1 == LinkKind::Udp {
            let (now, reason) = (self.now, "nobody listens here");
            let endpoint = self.hub.endpoint_mut();
            // It has just come about.
            let _ = endpoint.close(now, connection, Duration::ZERO, Code::REFUSED, reason);
            return;
        }
        self.strangers.insert(connection, TripLine::new(connection, via));
        let until = self.now + HELLO_WITHIN;
        self.hello_by.push_back((until, Newcomer::Trip(connection)));
    }

    fn on_connected(&mut self, connection: ConnectionHandle, peer: Option<PublicKey>) {
        let Some(key) = self.owner(connection) else { return };
        let lane = Lane::DEFAULT;
        let options =
            StreamOptions { priority: lane.priority(), ..StreamOptions::two_way(lane.order()) };
        let now = self.now;
        match self.hub.endpoint_mut().open(now, connection, options) {
            Ok(stream) => {
                if let Some(conn) = self.conns.get_mut(key)
                    && let Line::Trip(line) = &mut conn.line
                {
                    line.learn(lane, stream);
                    conn.who = peer;
                }
                let via = Via::default();
                let (remote, kind) = self.place_of(connection);
                let who = Who { peer, remote, kind, via };
                self.opened(key, self.trip_pipe(connection), who);
            }
            Err(error) => {
                self.kill_trip(connection);
                self.went_down(key, End::Failed, error.to_string());
            }
        }
    }

    /// Where the other side is, and what carries it: for a link, its other end and not the address
    /// that stands for it in the transport.
    fn place_of(&self, connection: ConnectionHandle) -> (Option<SocketAddr>, LinkKind) {
        let carrier = self.hub.carrier(connection);
        let kind = carrier.map_or(LinkKind::Udp, |carrier| carrier.kind);
        (carrier.map(|carrier| carrier.remote), kind)
    }

    fn trip_pipe(&self, connection: ConnectionHandle) -> Pipe {
        let agreed = self.hub.endpoint().agreed(connection);
        let limit =
            agreed.map_or(0, |agreed| agreed.theirs.message_max.min(agreed.ours.message_max));
        let frame_max = usize::try_from(limit).unwrap_or(usize::MAX);
        Pipe { has_lanes: true, needs_heartbeat: false, frame_max }
    }

    /// The other side's first frame of a stream is there.
    fn on_heard(&mut self, connection: ConnectionHandle, stream: StreamId) {
        let Some(key) = self.owner(connection) else { return };
        if let Some(conn) = self.conns.get_mut(key)
            && let Line::Trip(line) = &mut conn.line
        {
            let on = NamedOn { conn: ConnId(key), pipe: conn.pipes };
            let told = match conn.peer.is_raw() {
                true => line.heard_raw(on, stream),
                false => line.heard(on, stream),
            };
            self.events.extend(told.into_iter().flatten());
            line.sweep(self.hub.endpoint());
        }
    }

    fn on_readable(&mut self, connection: ConnectionHandle, stream: StreamId) {
        if let Some(key) = self.owner(connection) {
            if let Some(conn) = self.conns.get_mut(key)
                && let Line::Trip(line) = &mut conn.line
            {
                if line.named.contains(&stream) {
                    let stream = NamedStream { stream, pipe: conn.pipes };
                    let conn = ConnId(key);
                    return self.events.push_back(NodeEvent::StreamReadable { conn, stream });
                }
                line.note_readable(stream);
            }
            self.queue_read(key);
        } else if let Some(line) = self.strangers.get_mut(connection) {
            line.note_readable(stream);
            if default_stream(stream) {
                self.meet(connection, stream);
            }
        }
    }

    /// A newcomer's first message says whose conversation this is.
    fn meet(&mut self, connection: ConnectionHandle, stream: StreamId) {
        let (now, mut batch) = (self.now, core::mem::take(&mut self.batch));
        let endpoint = self.hub.endpoint_mut();
        let _ = endpoint.receive_batch(now, connection, stream, &mut batch);
        let peer = endpoint.peer(connection);
        let mut messages = batch.take().peekable();
        self.batch = batch;
        let Some(first) = messages.peek() else { return };
        let Some(key) = self.conversation(peer, first) else {
            self.turn_away(Newcomer::Trip(connection));
            return;
        };
        let Some(mut line) = self.strangers.remove(connection) else { return };
        line.learn(Lane::DEFAULT, stream);
        let via = line.via.clone();
        self.owners.insert(connection, key);
        if let Some(conn) = self.conns.get_mut(key) {
            conn.line = Line::Trip(line);
        }
        let (remote, kind) = self.place_of(connection);
        let who = Who { peer, remote, kind, via };
        self.opened(key, self.trip_pipe(connection), who);
        if let Some(conn) = self.conns.get_mut(key) {
            for message in messages {
                conn.peer.handle_message(now, Lane::DEFAULT, &message);
            }
        }
        // What came before its first message was nobody's yet.
        if let Some(conn) = self.conns.get_mut(key)
            && let Line::Trip(line) = &mut conn.line
            && conn.peer.is_raw()
        {
            let on = NamedOn { conn: ConnId(key), pipe: conn.pipes };
            let told = line.unnamed().into_iter().flat_map(|id| line.heard_raw(on, id));
            self.events.extend(told.flatten());
        }
        self.was_used(key);
        self.queue_read(key);
    }

    fn on_writable(&mut self, connection: ConnectionHandle, stream: StreamId) {
        let Some(key) = self.owner(connection) else { return };
        if let Some(conn) = self.conns.get_mut(key)
            && let Line::Trip(line) = &conn.line
            && let Some((lane, _)) = line.streams.iter().find(|(_, of)| *of == stream)
        {
            conn.peer.handle_room(Some(*lane));
            self.mark(key);
        }
        self.on_stream(connection, stream, |conn, stream| NodeEvent::StreamWritable {
            conn,
            stream,
        });
    }

    /// A connection of the transport is over. What came over it is taken first.
    fn on_end(&mut self, connection: ConnectionHandle, end: End, why: String) {
        let Some(key) = self.owner(connection) else { return };
        self.read(key);
        while self.conns.get(key).is_some_and(|conn| conn.is_stalled) {
            self.spill(key);
            // What cannot be answered any more is not read either.
            if !self.conns.get(key).is_some_and(|conn| conn.peer.wants_input()) {
                break;
            }
            self.read(key);
        }
        // It may have been cut off by what it said last.
        if self.owner(connection).is_none() {
            return;
        }
        self.went_down(key, end, why);
    }

    /// No link leads anywhere, and there is no other way.
    fn on_links_failed(&mut self, connection: ConnectionHandle, why: String) {
        let Some(key) = self.owner(connection) else { return };
        let by_links = self
            .conns
            .get(key)
            .and_then(|conn| conn.client.as_ref())
            .is_some_and(|client| client.address.scheme.over().is_some_and(|over| !over.udp));
        let opening = matches!(
            self.hub.endpoint().state(connection),
            Some(State::Resolving | State::Opening)
        );
        if by_links && opening {
            self.kill_trip(connection);
            self.went_down(key, End::Failed, why);
        }
    }

    pub(super) fn kill_trip(&mut self, connection: ConnectionHandle) {
        let now = self.now;
        // It may be gone already.
        let _ = self.hub.endpoint_mut().kill(now, connection);
    }

    /// Takes messages for a conversation, until there is more than enough to be told.
    pub(super) fn read(&mut self, key: Key) {
        let Self { conns, hub, batch, now, stalled, events, .. } = self;
        let Some(conn) = conns.get_mut(key) else { return };
        let Line::Trip(line) = &mut conn.line else { return };
        conn.is_stalled = false;
        let mut refused = Vec::new();
        while let Some((stream, lane)) = line.next_readable() {
            if !conn.peer.wants_input() {
                conn.is_stalled = true;
                if !core::mem::replace(&mut conn.is_unread, true) {
                    stalled.push(key);
                }
                break;
            }
            match hub.endpoint_mut().receive_batch(*now, line.handle, stream, batch) {
                Ok(BatchResult::Messages(_)) => {
                    for message in batch.take() {
                        conn.peer.handle_message(*now, lane, &message);
                    }
                }
                _ => line.readable.retain(|other| *other != stream),
            }
            while let Some(news) = conn.peer.poll_stream_news() {
                if let StreamNews::Refused(number, _) = &news
                    && let Some(id) = StreamId::from_number(*number)
                    && line.named.contains(&id)
                {
                    refused.push((line.handle, id));
                }
                let on = NamedOn { conn: ConnId(key), pipe: conn.pipes };
                let told = line.take_news(on, news, hub.endpoint());
                events.extend(told.into_iter().flatten());
            }
            line.sweep(hub.endpoint());
            let many = line.named.len().saturating_add(line.names.len());
            if many > NAMED_STREAMS_MAX || line.has_too_many_lanes() {
                return self.cut_off(key, String::from("more streams than there can be"));
            }
        }
        for (handle, stream) in refused {
            self.end_halves(self.now, handle, stream);
        }
        self.was_used(key);
    }

    /// Hands what a conversation has to say to its streams, small frames in bundles.
    pub(super) fn send_over_trip(&mut self, key: Key) {
        self.open_lanes(key);
        let Self { conns, hub, now, bundles, .. } = self;
        let Some(conn) = conns.get_mut(key) else { return };
        let Line::Trip(line) = &conn.line else { return };
        let endpoint = hub.endpoint_mut();
        let most = conn.peer.message_max();
        conn.peer.poll_send(*now, |lane, piece| match (line.stream_of(lane), piece) {
            (None, _) => Taken::Blocked,
            (Some(stream), Piece::Batch(batch)) => {
                bundle(batch, most, bundles);
                let sent = endpoint.send_batch(*now, line.handle, stream, bundles);
                bundles.clear();
                taken(sent.map(drop))
            }
            (Some(stream), Piece::Message { message, options, since }) => {
                let waited = now.saturating_duration_since(*since);
                let left = |after: Duration| after.saturating_sub(waited);
                let options =
                    SendOptions { expires_after: options.expires_after.map(left), ..*options };
                let sent = endpoint.send(*now, line.handle, stream, message.clone(), options);
                taken(sent.map(drop))
            }
        });
    }

    /// Opens the streams of lanes that are used for the first time.
    fn open_lanes(&mut self, key: Key) {
        let Self { conns, hub, now, .. } = self;
        let Some(conn) = conns.get_mut(key) else { return };
        let Line::Trip(line) = &mut conn.line else { return };
        let missing = conn.peer.lanes_in_use().find(|lane| line.stream_of(*lane).is_none());
        let Some(lane) = missing else { return };
        let options =
            StreamOptions { priority: lane.priority(), ..StreamOptions::two_way(lane.order()) };
        if let Ok(stream) = hub.endpoint_mut().open(*now, line.handle, options) {
            line.learn(lane, stream);
            conn.peer.announce_lane(lane, stream.number());
            conn.peer.handle_room(Some(lane));
            self.mark(key);
        }
    }
}

/// What cannot be sent any more is gone with its connection, of which another event tells.
fn taken(sent: Result<(), SendError>) -> Taken {
    if sent == Err(SendError::Blocked) { Taken::Blocked } else { Taken::Yes }
}

/// The code by which a newcomer is turned away that does not speak with us.
pub(super) const TURNED_AWAY: Code = Code::PROTOCOL;
