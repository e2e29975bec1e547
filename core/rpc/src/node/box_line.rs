//! Conversations over plain datagrams: one [`Msgbox`] for all `udp://` addresses of a node.

use super::Node;
use super::conn::Line;
use super::event::{NodeEvent, Via};
use super::life::{End, Who};
use super::udp_doors::UdpDoors;
use crate::boxed::{Asked, Boxed};
use crate::lane::Lane;
use crate::msgbox::{BoxRequestId, ContactId, Msgbox, MsgboxConfig, MsgboxEvent};
use crate::peer::Pipe;
use crate::slots::Key;
use crate::wire::SessionId;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddr};
use tripline_sansio::{Answer, DatagramMachine, Instant, LinkKind, Seed, Transmit, Wish};

/// The machine, its socket, and whose its contacts are.
#[derive(Debug)]
pub(crate) struct Boxes {
    pub(crate) machine: Msgbox,
    /// The number of the socket, once one was wished for.
    pub(crate) link: Option<u64>,
    local: Option<SocketAddr>,
    /// Who listens there, or wants to.
    pub(crate) doors: UdpDoors,
    owners: BTreeMap<ContactId, Key>,
    /// Connections of ours that wait for the socket, and where to.
    waiting: Vec<(Key, Vec<SocketAddr>)>,
    /// Further addresses to try if the one that is tried fails.
    others: BTreeMap<Key, Vec<SocketAddr>>,
}

impl Boxes {
    pub(crate) fn new(config: MsgboxConfig, seed: &Seed) -> Self {
        Self {
            machine: Msgbox::new(MsgboxConfig { is_listening: false, ..config }, seed),
            link: None,
            local: None,
            doors: UdpDoors::default(),
            owners: BTreeMap::new(),
            waiting: Vec::new(),
            others: BTreeMap::new(),
        }
    }
}

impl Node {
    /// Listens for contacts; the number of the listener.
    pub(super) fn listen_box(&mut self, wanted: SocketAddr) -> u64 {
        self.wish_for_box(wanted);
        let listener = self.hub.number();
        let told = self.boxes.doors.ask(listener, wanted, self.boxes.local);
        self.tell_box_doors(told.into_iter().collect());
        listener
    }

    fn tell_box_doors(&mut self, told: Vec<NodeEvent>) {
        self.boxes.machine.set_listening(self.boxes.doors.first().is_some());
        self.events.extend(told);
    }

    /// Ends a listener, if it is one of these: contacts stay.
    pub(super) fn unlisten_box(&mut self, listener: u64) -> bool {
        let is_ours = self.boxes.doors.close(listener);
        self.tell_box_doors(Vec::new());
        is_ours
    }

    fn wish_for_box(&mut self, address: SocketAddr) -> u64 {
        if let Some(link) = self.boxes.link {
            return link;
        }
        let link = self.hub.number();
        self.boxes.link = Some(link);
        let (kind, name) = (LinkKind::Udp, String::new());
        self.wishes.push_back(Wish::Open { link, kind, address, name });
        link
    }

    /// The next attempt of a connection of ours, to the first of these addresses that the socket
    /// can reach.
    pub(super) fn open_box(&mut self, key: Key, mut addresses: Vec<SocketAddr>) {
        let Some(first) = addresses.first().copied() else {
            return self.went_down(key, End::Failed, String::from("the name has no address"));
        };
        let Some(local) = self.boxes.local else {
            self.wish_for_box(super::any_like(first));
            return self.boxes.waiting.push((key, addresses));
        };
        addresses.retain(|address| address.is_ipv4() == local.is_ipv4());
        if addresses.is_empty() {
            let why = format!("{first} cannot be reached from {local}");
            return self.went_down(key, End::Failed, why);
        }
        let remote = addresses.remove(0);
        match self.boxes.machine.connect(self.now, remote) {
            Ok(contact) => {
                self.boxes.others.insert(key, addresses);
                self.boxes.owners.insert(contact, key);
                if let Some(conn) = self.conns.get_mut(key) {
                    let takes_max = conn.peer.frame_max();
                    conn.line = Line::Box(Boxed::new(contact, takes_max).into());
                }
            }
            Err(error) => self.went_down(key, End::Failed, error.to_string()),
        }
    }

    /// What has become of the socket.
    pub(super) fn on_box_answer(&mut self, answer: Answer) {
        match answer {
            Answer::Opened { local } => {
                let local = local.unwrap_or((Ipv4Addr::UNSPECIFIED, 0).into());
                self.boxes.local = Some(local);
                let told = self.boxes.doors.opened(local);
                self.tell_box_doors(told);
                for (key, addresses) in core::mem::take(&mut self.boxes.waiting) {
                    if self.is_waiting_for_line(key) {
                        self.open_box(key, addresses);
                    }
                }
            }
            Answer::Failed(error) => {
                (self.boxes.link, self.boxes.local) = (None, None);
                let why = error.to_string();
                self.boxes.machine.abandon_all(self.now);
                for key in core::mem::take(&mut self.boxes.owners).into_values() {
                    let is_open = self.conns.get(key).is_some_and(|conn| conn.is_open);
                    let end = if is_open { End::Lost } else { End::Failed };
                    self.went_down(key, end, why.clone());
                }
                for (key, _) in core::mem::take(&mut self.boxes.waiting) {
                    if self.is_waiting_for_line(key) {
                        self.went_down(key, End::Failed, why.clone());
                    }
                }
                let told = self.boxes.doors.failed(&error);
                self.tell_box_doors(told);
            }
        }
    }

    /// Takes what the machine has to tell.
    pub(super) fn absorb_boxes(&mut self) {
        while let Some(event) = self.boxes.machine.poll_event() {
            match event {
                MsgboxEvent::Ready { contact, remote, by_us } => {
                    self.on_contact(contact, remote, by_us);
                }
                MsgboxEvent::Failed { contact, refused } => {
                    let why = if refused { "the other side does not want us" } else { "no answer" };
                    self.on_contact_over(contact, End::Failed, why);
                }
                MsgboxEvent::Closed { contact, by_us } => {
                    let why = if by_us { "closed by us" } else { "closed by the other side" };
                    self.on_contact_over(contact, End::Closed { by_us }, why);
                }
                MsgboxEvent::Lost { contact } => {
                    self.on_contact_over(contact, End::Lost, "silent, or begun anew");
                }
                MsgboxEvent::Message { contact, payload } => {
                    self.on_box(contact, |boxed| boxed.on_message(&payload));
                }
                MsgboxEvent::Request { contact, request, payload } => {
                    self.on_box_request(contact, request, &payload);
                }
                MsgboxEvent::Reply { contact, get, payload } => {
                    self.on_box(contact, |boxed| boxed.on_reply(get, &payload));
                }
                // The end of the contact follows.
                MsgboxEvent::ReplyMissing { .. } => {}
                MsgboxEvent::Writable => self.on_box_writable(),
            }
        }
    }

    fn on_box<R>(&mut self, contact: ContactId, act: impl FnOnce(&mut Boxed) -> R) -> Option<R> {
        let key = *self.boxes.owners.get(&contact)?;
        let conn = self.conns.get_mut(key)?;
        let Line::Box(boxed) = &mut conn.line else { return None };
        let result = act(boxed);
        self.read_box(key);
        Some(result)
    }

    fn on_box_request(&mut self, contact: ContactId, request: BoxRequestId, payload: &[u8]) {
        let (asked, now) =
            (self.on_box(contact, |boxed| boxed.on_request(request, payload)), self.now);
        let machine = &mut self.boxes.machine;
        match asked {
            Some(Asked::Taken) => {}
            Some(Asked::Answered(answer)) if machine.push_reply(now, request, &answer).is_ok() => {}
            _ => {
                machine.drop_request(request);
            }
        }
    }

    fn on_box_writable(&mut self) {
        let keys: Vec<Key> = self.boxes.owners.values().copied().collect();
        for key in keys {
            if let Some(conn) = self.conns.get_mut(key) {
                conn.peer.handle_room(None);
            }
            self.mark(key);
        }
    }

    /// A contact is there: one that we have knocked at, or a newcomer, whose conversation is a new
    /// one always.
    fn on_contact(&mut self, contact: ContactId, remote: SocketAddr, by_us: bool) {
        let mut via = Via::default();
        let key = if by_us {
            self.boxes.owners.get(&contact).copied()
        } else {
            via.listener = self.boxes.doors.first();
            let session = SessionId(self.random.bytes());
            let first = Boxed::first(session, &self.boxes.machine);
            self.conversation(None, &first).inspect(|key| {
                self.boxes.owners.insert(contact, *key);
                if let Some(conn) = self.conns.get_mut(*key) {
                    let takes_max = conn.peer.frame_max();
                    conn.line = Line::Box(Boxed::greeted(contact, takes_max, first).into());
                }
            })
        };
        let Some(key) = key else {
            let _ = self.boxes.machine.close(self.now, contact);
            return;
        };
        let frame_max = Boxed::frame_max(&self.boxes.machine);
        let pipe = Pipe { has_lanes: false, needs_heartbeat: false, frame_max };
        self.opened(key, pipe, Who { peer: None, remote: Some(remote), kind: LinkKind::Udp, via });
        self.read_box(key);
    }

    fn on_contact_over(&mut self, contact: ContactId, end: End, why: &str) {
        let Some(key) = self.boxes.owners.remove(&contact) else { return };
        let is_its = self.conns.get(key).is_some_and(
            |conn| matches!(&conn.line, Line::Box(boxed) if boxed.contact() == contact),
        );
        if !is_its {
            return;
        }
        // There may be other addresses to try.
        let others = self.boxes.others.remove(&key).unwrap_or_default();
        if end == End::Failed && !others.is_empty() {
            self.open_box(key, others);
        } else {
            self.went_down(key, end, String::from(why));
        }
    }

    /// What carries a connection is thrown away.
    pub(super) fn close_box(&mut self, contact: ContactId) {
        if let Some(key) = self.boxes.owners.remove(&contact) {
            self.boxes.others.remove(&key);
        }
        // It may be over already.
        let _ = self.boxes.machine.close(self.now, contact);
    }

    /// Hands frames to a conversation.
    fn read_box(&mut self, key: Key) {
        let now = self.now;
        let Some(conn) = self.conns.get_mut(key) else { return };
        let Line::Box(boxed) = &mut conn.line else { return };
        while let Some(frame) = boxed.next() {
            conn.peer.handle_message(now, Lane::DEFAULT, &frame);
        }
        self.was_used(key);
    }

    /// The socket is closed when there is nobody left on it, and nobody is to come.
    pub(super) fn close_idle_box(&mut self) {
        let Boxes { machine, link, local, doors, waiting, .. } = &mut self.boxes;
        let is_idle = machine.contacts() == 0 && waiting.is_empty() && !machine.has_output();
        let is_idle = is_idle && local.is_some() && doors.all().is_empty();
        if let Some(number) = link.filter(|_| is_idle) {
            (*link, *local) = (None, None);
            self.wishes.push_back(Wish::Close { link: number });
        }
    }

    /// The next datagrams of the machine. Without a socket they are lost.
    pub(super) fn poll_box(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<(u64, Transmit)> {
        let before = out.len();
        while let Some(transmit) = self.boxes.machine.poll_transmit(now, out) {
            if let Some(link) = self.boxes.link {
                return Some((link, transmit));
            }
            out.truncate(before);
        }
        None
    }

    /// Hands what a conversation has to say to its contact.
    pub(super) fn send_over_box(&mut self, key: Key) {
        let Self { conns, boxes, now, .. } = self;
        let Some(conn) = conns.get_mut(key) else { return };
        let Line::Box(boxed) = &mut conn.line else { return };
        conn.peer.handle_room(None);
        let machine = &mut boxes.machine;
        conn.peer.poll_send(*now, |_, piece| boxed.take(*now, machine, piece));
        if boxed.has_more() {
            self.read_box(key);
        }
    }
}
