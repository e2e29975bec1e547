//! One turn of a loop around a hub, for sockets whose readiness somebody else learns of: a
//! runtime, a poll of the user's own.
//!
//! *In*: what became ready, and the time. *Out*: datagrams and bytes to and from the sockets, the
//! events of the hub, and when the next turn is due. It never waits, and has no clock. It is to a
//! [`Hub`] what [`Pump`](tripline_udp::Pump) is to a datagram machine.

use crate::{Board, Interest, Net, Place};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use tripline_sansio::{Answer, Hub, Instant, LinkError, LinkFailure, LinkKind, Transmit, Wish};
use tripline_udp::{Carrier, DropCause, SendOutcome, Turns};

/// Receive calls of one turn and UDP socket, at most.
const MAX_BATCHES: usize = 16;
/// Datagrams after which a turn receives no more from a UDP socket.
const ENOUGH_DATAGRAMS: usize = 512;
/// Send calls of one drain, at most.
const MAX_SENDS: usize = 256;
/// Rounds of wishes in one drain, at most: a wish that fails at once may be followed by another.
const MAX_ROUNDS: usize = 8;

/// One UDP socket.
struct Port<U> {
    carrier: U,
    /// A transmit that did not fit, and how much of `out` is done with.
    pending: Option<(Transmit, usize)>,
    out: Vec<u8>,
    /// So it was told, and the socket has not said otherwise since.
    readable: bool,
    /// The same of room.
    writable: bool,
}

/// A UDP socket that a hub wished for, and its address.
pub type Bound<U> = (U, Option<SocketAddr>);

/// A hub, its links, and what is under way between them.
///
/// A loop says what became ready ([`ready`](Self::ready), [`ready_udp`](Self::ready_udp)), has a
/// [`turn`](Self::turn), gives out the [events](Self::next_event), and waits for the
/// [sockets](Board::sockets), the [UDP sockets](Self::ports) and the [deadline](Self::deadline).
pub struct HubPump<H: Hub, N: Net, U> {
    hub: H,
    board: Board<N>,
    ports: BTreeMap<u64, Port<U>>,
    /// What became ready since the last turn.
    ready: BTreeMap<Place, Interest>,
    /// An event that was taken to see whether there is one.
    event: Option<H::Event>,
    /// The last turn stopped at a bound.
    busy: bool,
    counts: Turns,
    scratch: Vec<u8>,
}

impl<H: Hub, N: Net, U> fmt::Debug for HubPump<H, N, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { board, busy, counts, .. } = self;
        let mut shown = f.debug_struct("HubPump");
        shown.field("board", board).field("busy", busy).field("turns", counts);
        shown.finish_non_exhaustive()
    }
}

impl<H: Hub, N: Net, U> HubPump<H, N, U> {
    /// A hub at rest, with the links of this board.
    pub fn new(hub: H, board: Board<N>) -> Self {
        Self {
            hub,
            board,
            ports: BTreeMap::new(),
            ready: BTreeMap::new(),
            event: None,
            busy: false,
            counts: Turns::default(),
            scratch: Vec::new(),
        }
    }

    /// Takes over a UDP socket, as if the hub had wished for it by this number. It is not known to
    /// have anything to receive, and has room.
    pub fn add_udp(&mut self, now: Instant, number: u64, (carrier, local): Bound<U>) {
        let port =
            Port { carrier, pending: None, out: Vec::new(), readable: false, writable: true };
        self.ports.insert(number, port);
        self.hub.handle_answer(now, number, Answer::Opened { local });
    }

    /// Takes over a listener, as if the hub had wished for it by this number.
    pub fn add_listener(&mut self, now: Instant, number: u64, kind: LinkKind, door: N::Door) {
        self.board.adopt(now, &mut self.hub, (number, kind), door);
    }

    /// Notes that a socket of the board became ready; to be told too often is harmless.
    pub fn ready(&mut self, place: Place, ready: Interest) {
        let noted = self.ready.entry(place).or_insert(Interest { read: false, write: false });
        noted.read |= ready.read;
        noted.write |= ready.write;
    }

    /// Notes that a UDP socket became ready.
    pub fn ready_udp(&mut self, number: u64, readable: bool, writable: bool) {
        if let Some(port) = self.ports.get_mut(&number) {
            port.readable |= readable;
            port.writable |= writable;
        }
    }

    /// The UDP sockets by number, and whether a datagram waits for room there.
    pub fn ports(&self) -> impl Iterator<Item = (u64, &U, bool)> {
        self.ports.iter().map(|(number, port)| (*number, &port.carrier, port.pending.is_some()))
    }

    /// The same, to leave word with them.
    pub fn ports_mut(&mut self) -> impl Iterator<Item = (u64, &mut U, bool)> {
        let all = self.ports.iter_mut();
        all.map(|(number, port)| (*number, &mut port.carrier, port.pending.is_some()))
    }

    /// The links.
    pub fn board(&self) -> &Board<N> {
        &self.board
    }

    /// The next event, in the order in which things happened.
    pub fn next_event(&mut self) -> Option<H::Event> {
        self.event.take().or_else(|| self.hub.poll_event())
    }

    /// When the next turn is due if nothing becomes ready before; a time in the past is at once.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        if self.busy || self.event.is_some() || self.board.is_busy() {
            return Some(Instant::ZERO);
        }
        // A deadline that is still past needs room on a UDP socket first: to wait for it as well
        // would be to spin.
        let full = self.ports.values().any(|port| port.pending.is_some());
        let hub = self.hub.poll_timeout().filter(|deadline| !full || *deadline > now);
        [hub, self.board.deadline()].into_iter().flatten().min()
    }

    /// The hub.
    pub fn hub(&self) -> &H {
        &self.hub
    }

    /// The hub, to be used; what it has to say goes out with the next turn.
    pub fn hub_mut(&mut self) -> &mut H {
        &mut self.hub
    }

    /// What was done so far.
    pub fn turns(&self) -> Turns {
        self.counts
    }
}

impl<H: Hub, N: Net, U: Carrier> HubPump<H, N, U> {
    /// Receives and reads, tells the time if the deadline has come, drains, obeys wishes and looks
    /// for an event: of each what is possible, and a bounded share. To be called when something
    /// became ready, when the deadline has come and after each use of the hub; once too often does
    /// no harm. `bind` makes UDP sockets, where the hub wishes for them.
    ///
    /// # Errors
    /// If a UDP socket itself is broken; what becomes of links is told to the hub.
    pub fn turn(
        &mut self,
        now: Instant,
        bind: &mut dyn FnMut(SocketAddr) -> io::Result<Bound<U>>,
    ) -> io::Result<()> {
        self.counts.turns += 1;
        self.busy = false;
        self.receive(now)?;
        for (place, ready) in std::mem::take(&mut self.ready) {
            self.board.on_ready(now, &mut self.hub, place, ready);
        }
        self.board.on_time(now, &mut self.hub);
        if self.hub.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.counts.timeouts += 1;
            self.hub.handle_timeout(now);
        }
        self.drain(now, bind);
        self.counts.busy += u64::from(self.busy);
        if self.event.is_none() {
            self.event = self.hub.poll_event();
        }
        Ok(())
    }

    /// Receives from each UDP socket until it has no more, or the turn has had its share.
    fn receive(&mut self, now: Instant) -> io::Result<()> {
        let Self { hub, ports, busy, .. } = self;
        for (number, port) in ports.iter_mut().filter(|(_, port)| port.readable) {
            let (mut datagrams, mut batches) = (0, 0);
            while port.readable && batches < MAX_BATCHES && datagrams < ENOUGH_DATAGRAMS {
                batches += 1;
                let mut hand_on = |path, ecn, datagram: &mut [u8]| {
                    hub.handle_datagram(now, *number, path, ecn, datagram);
                };
                match port.carrier.recv(&mut hand_on) {
                    Ok(received) => datagrams += received.datagrams,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        port.readable = false;
                    }
                    Err(error) => return Err(error),
                }
            }
            *busy |= port.readable;
        }
        Ok(())
    }

    /// Datagrams, bytes of links, wishes; until there are no more, or the bounds are reached.
    fn drain(&mut self, now: Instant, bind: &mut dyn FnMut(SocketAddr) -> io::Result<Bound<U>>) {
        for _ in 0..MAX_ROUNDS {
            self.send(now);
            let others = self.board.drain(now, &mut self.hub);
            if others.is_empty() {
                return;
            }
            for wish in others {
                self.obey(now, wish, bind);
            }
        }
        self.busy = true;
    }

    fn send(&mut self, now: Instant) {
        for _ in 0..MAX_SENDS {
            let mut waiting = self.ports.iter().filter(|(_, port)| port.pending.is_some());
            let number = match waiting.next() {
                Some((_, port)) if !port.writable => return,
                Some((number, _)) => *number,
                None => {
                    self.scratch.clear();
                    let Some((number, transmit)) = self.hub.poll_transmit(now, &mut self.scratch)
                    else {
                        return;
                    };
                    // Without a socket it is lost, as datagrams are.
                    let Some(port) = self.ports.get_mut(&number) else { continue };
                    std::mem::swap(&mut port.out, &mut self.scratch);
                    port.pending = Some((transmit, 0));
                    number
                }
            };
            if !self.send_pending(now, number) {
                return;
            }
        }
        self.busy = true;
    }

    /// Sends what waits at a socket; `false` if that is full.
    fn send_pending(&mut self, now: Instant, number: u64) -> bool {
        let Some(port) = self.ports.get_mut(&number) else { return true };
        let Some((transmit, done)) = port.pending.take() else { return true };
        let rest = port.out.get(done..).unwrap_or_default();
        match port.carrier.send(&Transmit { len: rest.len(), ..transmit }, rest) {
            SendOutcome::Full { sent } => {
                port.pending = Some((transmit, done + sent));
                port.writable = false;
                self.counts.full += 1;
                return false;
            }
            SendOutcome::Dropped(DropCause::TooBig) => {
                self.hub.handle_too_big(now, number, &transmit);
            }
            // A dropped datagram is counted by the socket and made good by the hub.
            SendOutcome::Sent | SendOutcome::Dropped(_) => {}
        }
        true
    }

    /// Wishes for UDP.
    fn obey(
        &mut self,
        now: Instant,
        wish: Wish,
        bind: &mut dyn FnMut(SocketAddr) -> io::Result<Bound<U>>,
    ) {
        let failed =
            |text: String| Answer::Failed(LinkError { failure: LinkFailure::Unavailable, text });
        match wish {
            Wish::Open { link, address, .. } => match bind(address) {
                Ok(bound) => self.add_udp(now, link, bound),
                Err(error) => {
                    self.hub.handle_answer(now, link, failed(error.to_string()));
                }
            },
            Wish::Listen { link, .. } => {
                let text = "UDP is opened, not listened for".to_owned();
                self.hub.handle_answer(now, link, failed(text));
            }
            Wish::Close { link } => {
                self.ports.remove(&link);
            }
        }
    }
}
