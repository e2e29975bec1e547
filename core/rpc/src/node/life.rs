//! How connections come about and end, whatever carries them.

use super::client::{Client, Stage};
use super::conn::{Conn, Line};
use super::event::{ConnId, NodeEvent, Via};
use super::trip_line::TURNED_AWAY;
use super::{Newcomer, Node, NodeConfig, REMEMBERED_MAX, Shutting};
use crate::address::Host;
use crate::peer::{Peer, Pipe};
use crate::slots::Key;
use crate::wire::SessionId;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddr};
use tripline::{Code, PublicKey, Target, TransportConfig};
use tripline_sansio::{Duration, LinkKind, Wish};

/// How long a client that is one too many has to hear that.
const FAREWELL: Duration = Duration::from_secs(1);

/// Who is at the other end of a pipe.
#[derive(Debug)]
pub(super) struct Who {
    pub(super) peer: Option<PublicKey>,
    pub(super) remote: Option<SocketAddr>,
    pub(super) kind: LinkKind,
    pub(super) via: Via,
}

/// How an attempt or a pipe ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Failed,
    Closed { by_us: bool },
    Lost,
}

impl Node {
    /// The next attempt of a connection of ours.
    pub(super) fn attempt(&mut self, key: Key) {
        let Some(client) = self.conns.get_mut(key).and_then(|conn| conn.client.as_mut()) else {
            return;
        };
        client.stage = Stage::Connecting;
        let (address, kind) = (client.address.clone(), client.address.scheme.link());
        let Some(mut over) = address.scheme.over() else {
            return match (address.socket(), address.host) {
                (Some(socket), _) => self.open_line(key, kind, vec![socket], String::new()),
                (None, Host::Name(host)) => {
                    let (conn, port) = (ConnId(key), address.port);
                    self.events.push_back(NodeEvent::Resolve { conn, host, port });
                }
                (None, _) => {}
            };
        };
        let mut options = (*client.trip).clone();
        options.server_key = options.server_key.or(address.key);
        options.transport = options.transport.or_else(|| self.lasting_transport(key));
        let target = match (address.socket(), address.host) {
            (Some(socket), _) => Target::from(socket),
            (None, Host::Name(host)) => Target::Name { host, port: address.port },
            (None, _) => Target::Addresses(vec![]),
        };
        // Without a socket it goes by links, if it may.
        over.udp &= over.links.is_empty() || !self.udp_denied;
        if over.udp {
            let v4 = (Ipv4Addr::UNSPECIFIED, 0).into();
            let first = match &target {
                Target::Addresses(list) => list.first().copied(),
                Target::Name { .. } => None,
            };
            self.wish_for_udp(first.map_or(v4, super::any_like));
            if self.udp_local.is_none() {
                // What is sent before it is there is lost, and found missing only a while later.
                return self.udp_waiting.push(key);
            }
        }
        match self.hub.connect(self.now, target, options, over) {
            Ok(handle) => {
                self.owners.insert(handle, key);
                if let Some(conn) = self.conns.get_mut(key) {
                    conn.line = Line::Trip(super::TripLine::new(handle, Via::default()));
                }
            }
            Err(error) => self.went_down(key, End::Failed, error.to_string()),
        }
    }

    /// Opens what is no connection of the transport, to the first of these addresses.
    pub(super) fn open_line(
        &mut self,
        key: Key,
        kind: LinkKind,
        addresses: Vec<SocketAddr>,
        name: String,
    ) {
        match kind {
            LinkKind::Udp => self.open_box(key, addresses),
            _ => self.open_wire(key, kind, addresses, name),
        }
    }

    /// Whether a connection of ours waits for something to travel by.
    pub(super) fn is_waiting_for_line(&self, key: Key) -> bool {
        let conn = self.conns.get(key);
        conn.is_some_and(|conn| {
            let client = conn.client.as_ref();
            let connects = client.is_some_and(|client| client.stage == Stage::Connecting);
            connects && matches!(conn.line, Line::None)
        })
    }

    /// The transport's settings, with heartbeats if they have none: a connection that is kept would
    /// be given up when nothing is said for a while.
    fn lasting_transport(&self, key: Key) -> Option<TransportConfig> {
        let usual = self.hub.endpoint().transport();
        let heartbeat = self.conns.get(key)?.peer.heartbeat()?;
        let needs = usual.keep_alive.is_zero();
        needs.then(|| TransportConfig { keep_alive: heartbeat, ..usual.clone() })
    }

    /// What a server is called.
    pub(super) fn name_of(&self, key: Key) -> String {
        let client = self.conns.get(key).and_then(|conn| conn.client.as_ref());
        match client.map(|client| &client.address.host) {
            Some(Host::Name(name)) => name.clone(),
            _ => String::new(),
        }
    }

    /// There is a pipe.
    pub(super) fn opened(&mut self, key: Key, pipe: Pipe, who: Who) {
        let now = self.now;
        let Some(conn) = self.conns.get_mut(key) else { return };
        (conn.is_open, conn.forget_at, conn.hung_up) = (true, None, false);
        conn.pipes = conn.pipes.saturating_add(1);
        if let Some(client) = &mut conn.client {
            client.opened();
        }
        self.spill(key);
        let Who { peer, remote, kind, via } = who;
        self.events.push_back(NodeEvent::Opened { conn: ConnId(key), peer, remote, kind, via });
        if let Some(conn) = self.conns.get_mut(key) {
            conn.peer.attach(now, pipe);
        }
        let is_newcomer = self.conns.get_mut(key).is_some_and(|conn| {
            self.clients = self.clients.saturating_add(usize::from(conn.session.is_some()));
            core::mem::take(&mut conn.is_newcomer)
        });
        if is_newcomer && self.config.clients_soft.is_some_and(|most| self.clients > most) {
            // It hears HELLO and the goodbye, and is not cut off in the middle of either.
            let _ = self.close(now, ConnId(key), FAREWELL);
        }
        self.mark(key);
        self.note(key);
    }

    /// An attempt, or the pipe, is over. It is tried again, or the connection ends.
    pub(super) fn went_down(&mut self, key: Key, end: End, why: String) {
        let now = self.now;
        let keep = self.config.session_keep.unwrap_or(NodeConfig::SESSION_KEEP);
        let Some(conn) = self.conns.get_mut(key) else { return };
        if core::mem::take(&mut conn.is_open) && conn.session.is_some() {
            self.clients = self.clients.saturating_sub(1);
        }
        // Nobody comes back to what nobody can name.
        let is_nameless = matches!(conn.line, Line::Box(_));
        conn.line = Line::None;
        conn.peer.detach(now);
        self.spill(key);
        let Some(conn) = self.conns.get_mut(key) else { return };
        let retry_in = match &mut conn.client {
            Some(client) => client.went_down(now, &mut self.random),
            None => {
                // One that is lost may have asked what never came: that it never came is to be
                // remembered, or it would not be asked again.
                let has_asked = end == End::Lost && conn.peer.pipes() > 0;
                let is_idle = conn.peer.is_idle() && !has_asked;
                let is_over = is_nameless || conn.closing.is_some() || is_idle;
                let forget_at = if is_over { now } else { now + keep };
                conn.forget_at = Some(forget_at);
                if !is_over {
                    self.remembered.push_back((forget_at, key));
                }
                None
            }
        };
        let is_over = match &conn.client {
            Some(_) => retry_in.is_none(),
            None => conn.forget_at == Some(now),
        };
        let conn = ConnId(key);
        self.events.push_back(match end {
            End::Failed => NodeEvent::Failed { conn, why, retry_in },
            End::Closed { by_us } => NodeEvent::Closed { conn, by_us, why, retry_in },
            End::Lost => NodeEvent::Lost { conn, why, retry_in },
        });
        if is_over {
            self.finishing.push_back(key);
        }
        self.set_deadline(key);
        self.forget_the_oldest();
    }

    /// What is remembered for clients that are gone is bounded.
    fn forget_the_oldest(&mut self) {
        while self.remembered.len() > REMEMBERED_MAX
            && let Some((at, key)) = self.remembered.pop_front()
        {
            let now = self.now;
            if let Some(conn) = self.conns.get_mut(key).filter(|conn| conn.forget_at == Some(at)) {
                conn.forget_at = Some(now);
                self.finishing.push_back(key);
            }
        }
    }

    /// All was told, and the user did not say otherwise: a connection ends.
    pub(super) fn finish(&mut self, key: Key) {
        let now = self.now;
        let Some(conn) = self.conns.get_mut(key) else { return };
        let is_over = match &conn.client {
            Some(client) => client.stage == Stage::Over,
            None => conn.forget_at.is_some_and(|at| at <= now),
        };
        if !is_over || conn.is_open {
            return;
        }
        conn.peer.end(now);
        self.spill(key);
        if let Some(conn) = self.conns.remove(key)
            && let Some(session) = conn.session
            && self.sessions.get(&(conn.who, session)) == Some(&key)
        {
            self.sessions.remove(&(conn.who, session));
        }
        self.deadlines.set(key.slot, None);
        self.alarms.forget(key);
        self.events.push_back(NodeEvent::Finalised { conn: ConnId(key) });
    }

    /// Once all is over, that is told once.
    pub(super) fn tell_shut_down(&mut self) -> Option<NodeEvent> {
        let is_over = matches!(self.shutting, Shutting::For(_)) && self.conns.len() == 0;
        is_over.then(|| {
            self.shutting = Shutting::Told;
            NodeEvent::ShutDown
        })
    }

    /// The conversation that a newcomer's first message names; a new one if there is none. `None`:
    /// it does not speak with us.
    pub(super) fn conversation(&mut self, who: Option<PublicKey>, first: &[u8]) -> Option<Key> {
        let (session, epoch) = Peer::session_of(first)?;
        if self.shutting != Shutting::No {
            return None;
        }
        let known = self.sessions.get(&(who, session)).copied();
        let known = known.and_then(|key| Some((key, self.conns.get(key)?)));
        // One that we have closed is not found again.
        if let Some((key, conn)) = known.filter(|(_, conn)| conn.closing.is_none()) {
            // One that was under way for longer than its successor comes too late.
            if epoch < conn.peer.pipes() {
                return None;
            }
            // The newer pipe takes the place of the older one.
            self.drop_line(key);
            if self.conns.get(key).is_some_and(|conn| conn.is_open) {
                let why = String::from("the client has come back by another way");
                self.went_down(key, End::Lost, why);
            }
            return Some(key);
        }
        if self.config.clients_hard.is_some_and(|most| self.clients >= most) {
            return None;
        }
        let peer = Peer::callee(self.config.peer.clone());
        let conn = Conn { session: Some(session), is_newcomer: true, ..Conn::new(peer, None, who) };
        let key = self.conns.insert(conn);
        self.sessions.insert((who, session), key);
        Some(key)
    }

    /// Who does not say HELLO, or something else, is not listened to any longer.
    pub(super) fn turn_away(&mut self, newcomer: Newcomer) {
        let now = self.now;
        match newcomer {
            Newcomer::Trip(handle) if self.strangers.remove(handle).is_some() => {
                let endpoint = self.hub.endpoint_mut();
                let reason = "no HELLO of calls";
                let _ = endpoint.close(now, handle, Duration::ZERO, TURNED_AWAY, reason);
            }
            Newcomer::Bytes(link) => {
                if self.wires.get(&link).is_some_and(|wire| wire.is_stranger()) {
                    self.close_wire(link);
                }
            }
            Newcomer::Trip(_) => {}
        }
    }

    /// What carries a connection is thrown away, in silence.
    pub(super) fn drop_line(&mut self, key: Key) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        match core::mem::replace(&mut conn.line, Line::None) {
            Line::None => {}
            Line::Trip(line) => self.kill_trip(line.handle),
            Line::Bytes(link) => self.close_wire(link),
            Line::Box(boxed) => self.close_box(boxed.contact()),
        }
    }

    /// Messages were handed to a conversation, or the time: it may have broken with its pipe.
    pub(super) fn was_used(&mut self, key: Key) {
        self.mark(key);
        self.note(key);
        let conn = self.conns.get(key);
        if let Some(violation) = conn.and_then(|conn| conn.peer.violation()) {
            self.cut_off(key, violation.to_string());
        }
    }

    /// The other side broke the rules.
    pub(super) fn cut_off(&mut self, key: Key, why: String) {
        let now = self.now;
        let Some(conn) = self.conns.get_mut(key) else { return };
        if let Line::Trip(line) = &conn.line {
            let (handle, grace) = (line.handle, Duration::ZERO);
            let _ = self.hub.endpoint_mut().close(now, handle, grace, Code::PROTOCOL, &why);
        }
        self.drop_line(key);
        self.went_down(key, End::Lost, why);
    }

    /// A connection that the user closes is hung up once nothing is under way and all is said, or
    /// its time is up.
    pub(super) fn hang_up_if_done(&mut self, key: Key) {
        let now = self.now;
        let Some(conn) = self.conns.get_mut(key) else { return };
        let Some(until) = conn.closing.filter(|_| conn.is_open) else { return };
        if conn.hung_up {
            // The transport has the time that it was given first; what was said later is kept to
            // here, in silence.
            if conn.cut_at.is_some_and(|at| at <= now) {
                self.drop_line(key);
                let why = String::from("closed by us");
                self.went_down(key, End::Closed { by_us: true }, why);
            }
            return;
        }
        let is_done =
            conn.peer.calls() == 0 && conn.peer.requests() == 0 && conn.peer.has_said_all();
        if !is_done && now < until {
            return;
        }
        conn.hung_up = true;
        match &conn.line {
            Line::Trip(line) => {
                let (handle, grace) = (line.handle, until.saturating_duration_since(now));
                // From here on the transport sees to the rest; its event says when that is done.
                let _ = self.hub.endpoint_mut().close(now, handle, grace, Code::NONE, "");
            }
            Line::Bytes(link) => {
                let link = *link;
                self.close_wire(link);
                let why = String::from("closed by us");
                self.went_down(key, End::Closed { by_us: true }, why);
            }
            Line::Box(boxed) => {
                let contact = boxed.contact();
                // Its event says that it is over.
                let _ = self.boxes.machine.close(now, contact);
                self.absorb_boxes();
            }
            Line::None => {}
        }
    }

    /// The deadline of a connection has come.
    pub(super) fn tend_conn(&mut self, key: Key) {
        let now = self.now;
        let Some(conn) = self.conns.get_mut(key) else { return };
        conn.peer.handle_timeout(now);
        let is_due = match &conn.client {
            Some(Client { stage: Stage::Waiting(at), .. }) => *at <= now,
            _ => false,
        };
        if conn.forget_at.is_some_and(|at| at <= now) && !conn.is_open {
            self.finishing.push_back(key);
        }
        if is_due {
            self.attempt(key);
        }
        self.hang_up_if_done(key);
        self.was_used(key);
        self.set_deadline(key);
    }

    pub(super) fn set_deadline(&mut self, key: Key) {
        let Some(conn) = self.conns.get(key) else { return };
        let retry = match &conn.client {
            Some(Client { stage: Stage::Waiting(at), .. }) => Some(*at),
            _ => None,
        };
        // What is over already is seen to when all was told.
        let forget = conn.forget_at.filter(|at| *at > self.now);
        let closing = conn.closing.filter(|at| conn.is_open && !conn.hung_up && *at > self.now);
        let cut = conn.cut_at.filter(|at| conn.is_open && conn.hung_up && *at > self.now);
        let all = [conn.peer.poll_timeout(), retry, forget, closing, cut];
        self.deadlines.set(key.slot, all.into_iter().flatten().min());
    }

    /// A name for a new session.
    pub(super) fn new_session(&mut self) -> SessionId {
        SessionId(self.random.bytes())
    }

    /// Wishes for the UDP socket, if there is none.
    pub(super) fn wish_for_udp(&mut self, address: SocketAddr) {
        if core::mem::replace(&mut self.has_udp, true) {
            return;
        }
        let (link, name) = (tripline::LinkHub::UDP, String::new());
        self.wishes.push_back(Wish::Open { link, kind: LinkKind::Udp, address, name });
    }
}
