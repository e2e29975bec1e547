//! Conversations over links of bytes, and the listeners for them.

use super::conn::Line;
use super::event::{NodeEvent, Via};
use super::life::{End, Who};
use super::{HELLO_WITHIN, Newcomer, Node, WIRES_MAX};
use crate::framed::{Deframer, write_piece};
use crate::lane::Lane;
use crate::peer::Pipe;
use crate::slots::Key;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{Ipv4Addr, SocketAddr};
use tripline_sansio::{Answer, LinkError, LinkKind, Wish};

/// One link.
#[derive(Debug)]
pub(crate) struct Wire {
    /// Whose it is; `None`: it has not said HELLO.
    owner: Option<Key>,
    deframer: Deframer,
    kind: LinkKind,
    remote: SocketAddr,
    /// By which listener it came.
    listener: Option<u64>,
    is_open: bool,
    /// It is in the list of those that may have something to write.
    is_listed: bool,
    /// Further addresses to try if this one fails.
    others: Vec<SocketAddr>,
}

impl Wire {
    /// It has not said HELLO.
    pub(super) fn is_stranger(&self) -> bool {
        self.owner.is_none()
    }
}

impl Node {
    /// Opens a link for a connection of ours, to the first of these addresses.
    pub(super) fn open_wire(
        &mut self,
        key: Key,
        kind: LinkKind,
        mut addresses: Vec<SocketAddr>,
        name: String,
    ) {
        if addresses.is_empty() {
            return self.went_down(key, End::Failed, String::from("the name has no address"));
        }
        let remote = addresses.remove(0);
        let link = self.hub.number();
        let takes = self.conns.get(key).map_or(0, |conn| conn.peer.frame_max());
        let deframer = Deframer::new(takes);
        let wire = Wire {
            owner: Some(key),
            deframer,
            kind,
            remote,
            listener: None,
            is_open: false,
            is_listed: false,
            others: addresses,
        };
        self.wires.insert(link, wire);
        if let Some(conn) = self.conns.get_mut(key) {
            conn.line = Line::Bytes(link);
        }
        self.wishes.push_back(Wish::Open { link, kind, address: remote, name });
    }

    fn bytes_pipe() -> Pipe {
        let frame_max = usize::MAX;
        Pipe { has_lanes: false, needs_heartbeat: true, frame_max }
    }

    /// A listener of the transport. That it is gone is told by the transport itself.
    pub(super) fn on_trip_door(&mut self, listener: u64, answer: &Answer) {
        if let Answer::Opened { local } = *answer {
            self.events.push_back(NodeEvent::Listening { listener, local });
        } else {
            self.trip_doors.remove(&listener);
        }
    }

    /// The UDP socket of the transport, and those who wait for it.
    pub(super) fn on_udp(&mut self, answer: &Answer) {
        match answer {
            Answer::Opened { local } => {
                let local = local.unwrap_or((Ipv4Addr::UNSPECIFIED, 0).into());
                (self.udp_local, self.udp_denied) = (Some(local), false);
                let told = self.udp_doors.opened(local);
                self.tell_udp_doors(told);
                for key in core::mem::take(&mut self.udp_waiting) {
                    if self.is_waiting_for_line(key) {
                        self.attempt(key);
                    }
                }
            }
            Answer::Failed(error) => {
                (self.has_udp, self.udp_local, self.udp_denied) = (false, None, true);
                let told = self.udp_doors.failed(error);
                self.tell_udp_doors(told);
                for key in core::mem::take(&mut self.udp_waiting) {
                    if !self.is_waiting_for_line(key) {
                        continue;
                    }
                    if self.may_go_by_links(key) {
                        self.attempt(key);
                    } else {
                        self.went_down(key, End::Failed, error.to_string());
                    }
                }
            }
        }
    }

    /// Whether a connection over TRiP may do without datagrams.
    fn may_go_by_links(&self, key: Key) -> bool {
        let client = self.conns.get(key).and_then(|conn| conn.client.as_ref());
        let over = client.and_then(|client| client.address.scheme.over());
        over.is_some_and(|over| !over.links.is_empty())
    }

    pub(super) fn on_door(&mut self, listener: u64, answer: Answer) {
        self.events.push_back(match answer {
            Answer::Opened { local } => NodeEvent::Listening { listener, local },
            Answer::Failed(error) => {
                self.doors.remove(&listener);
                NodeEvent::Deaf { listener, error }
            }
        });
    }

    pub(super) fn on_accepted(
        &mut self,
        listener: u64,
        kind: LinkKind,
        remote: SocketAddr,
    ) -> Option<u64> {
        if self.wires.len() >= WIRES_MAX {
            return None;
        }
        let link = self.hub.number();
        let deframer = Deframer::new(self.config.peer.frame_max);
        let wire = Wire {
            owner: None,
            deframer,
            kind,
            remote,
            listener: Some(listener),
            is_open: true,
            is_listed: false,
            others: Vec::new(),
        };
        self.wires.insert(link, wire);
        self.hello_by.push_back((self.now + HELLO_WITHIN, Newcomer::Bytes(link)));
        Some(link)
    }

    pub(super) fn on_wire_answer(&mut self, link: u64, answer: Answer) {
        let Some(wire) = self.wires.get_mut(&link) else { return };
        let Some(key) = wire.owner else {
            self.wires.remove(&link);
            return;
        };
        match answer {
            Answer::Opened { .. } => {
                wire.is_open = true;
                let (remote, kind, wire_listener) = (wire.remote, wire.kind, wire.listener);
                let via = Via { listener: wire_listener, ..Via::default() };
                let who = Who { peer: None, remote: Some(remote), kind, via };
                self.opened(key, Self::bytes_pipe(), who);
            }
            Answer::Failed(error) => self.on_wire_failed(link, key, &error),
        }
    }

    fn on_wire_failed(&mut self, link: u64, key: Key, error: &LinkError) {
        let Some(wire) = self.wires.remove(&link) else { return };
        if wire.is_open {
            self.went_down(key, End::Lost, error.to_string());
        } else if wire.others.is_empty() {
            self.went_down(key, End::Failed, error.to_string());
        } else {
            let name = self.name_of(key);
            self.open_wire(key, wire.kind, wire.others, name);
        }
    }

    pub(super) fn on_wire_bytes(&mut self, link: u64, bytes: &[u8]) {
        let Some(wire) = self.wires.get_mut(&link) else { return };
        wire.deframer.push(bytes);
        let (owner, now) = (wire.owner, self.now);
        if let Some(conn) = owner.and_then(|key| self.conns.get_mut(key)) {
            conn.peer.handle_progress(now);
        }
        while let Some(wire) = self.wires.get_mut(&link)
            && let Some(message) = wire.deframer.next()
        {
            match wire.owner {
                Some(key) => self.take(key, &message),
                None => self.meet_wire(link, &message),
            }
        }
    }

    fn take(&mut self, key: Key, message: &Bytes) {
        let now = self.now;
        if let Some(conn) = self.conns.get_mut(key) {
            conn.peer.handle_message(now, Lane::DEFAULT, message);
            self.was_used(key);
        }
    }

    /// A newcomer's first message says whose conversation this is.
    fn meet_wire(&mut self, link: u64, message: &Bytes) {
        let Some(key) = self.conversation(None, message) else {
            return self.turn_away(Newcomer::Bytes(link));
        };
        let Some(wire) = self.wires.get_mut(&link) else { return };
        wire.owner = Some(key);
        let (remote, kind, wire_listener) = (wire.remote, wire.kind, wire.listener);
        if let Some(conn) = self.conns.get_mut(key) {
            conn.line = Line::Bytes(link);
        }
        let via = Via { listener: wire_listener, ..Via::default() };
        let who = Who { peer: None, remote: Some(remote), kind, via };
        self.opened(key, Self::bytes_pipe(), who);
        self.take(key, message);
    }

    /// The other side says no more: it has closed the link.
    pub(super) fn on_wire_end(&mut self, link: u64) {
        self.wishes.push_back(Wish::Close { link });
        let Some(wire) = self.wires.remove(&link) else { return };
        if let Some(key) = wire.owner {
            let why = String::from("closed by the other side");
            self.went_down(key, End::Closed { by_us: false }, why);
        }
    }

    pub(super) fn close_wire(&mut self, link: u64) {
        if self.wires.remove(&link).is_some() {
            self.wishes.push_back(Wish::Close { link });
        }
    }

    pub(super) fn wire_is_ready(&mut self, link: u64) {
        if let Some(wire) = self.wires.get_mut(&link).filter(|wire| wire.is_open)
            && !core::mem::replace(&mut wire.is_listed, true)
        {
            self.ready.push_back(link);
        }
    }

    pub(super) fn next_ready_wire(&mut self) -> Option<u64> {
        while let Some(link) = self.ready.pop_front() {
            if let Some(wire) = self.wires.get_mut(&link) {
                wire.is_listed = false;
                return Some(link);
            }
        }
        None
    }

    /// Writes what a conversation has to say. When it is to end, and has said all, its link ends.
    pub(super) fn write_wire(&mut self, link: u64, out: &mut Vec<u8>) -> bool {
        let now = self.now;
        let Some(key) = self.wires.get(&link).and_then(|wire| wire.owner) else { return false };
        let Some(conn) = self.conns.get_mut(key) else { return false };
        let before = out.len();
        conn.peer.handle_room(None);
        conn.peer.poll_send(now, |_, piece| write_piece(piece, before, out));
        let some = out.len() > before;
        if !some {
            self.hang_up_if_done(key);
        }
        self.set_deadline(key);
        self.note(key);
        some
    }
}
