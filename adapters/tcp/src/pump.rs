//! One turn of a loop around a hub: the same for all loops, whatever their sockets, clocks and
//! waits are.
//!
//! *In*: what became ready, and the time. *Out*: datagrams and bytes to and from the sockets, the
//! events of the hub, and when the next turn is due. It never waits, and has no clock. It is to a
//! [`Hub`] what [`Pump`](tripline_udp::Pump) is to a datagram machine, made of the same [`Flow`]s;
//! the page of those says why they are two.

use crate::{Board, Interest, Net, Place};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use tripline_sansio::{Answer, Hub, Instant, LinkError, LinkFailure, LinkKind, Wish};
use tripline_udp::{Carrier, Flow, Flowed, MAX_SENDS, Tells, Turns};

/// Rounds of wishes in one drain, at most: a wish that fails at once may be followed by another.
const MAX_ROUNDS: usize = 8;

/// One UDP socket.
struct Port<U> {
    carrier: U,
    flow: Flow,
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
    tells: Tells,
    /// What the hub writes the next transmit into.
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
    /// A hub at rest, with the links of this board. `tells` is how the loop hears what became
    /// ready.
    pub fn new(hub: H, board: Board<N>, tells: Tells) -> Self {
        Self {
            hub,
            board,
            ports: BTreeMap::new(),
            ready: BTreeMap::new(),
            event: None,
            busy: false,
            counts: Turns::default(),
            tells,
            scratch: Vec::new(),
        }
    }

    /// Takes over a UDP socket, as if the hub had wished for it by this number. It is not known to
    /// have anything to receive, and has room.
    pub fn add_udp(&mut self, now: Instant, number: u64, (carrier, local): Bound<U>) {
        self.ports.insert(number, Port { carrier, flow: Flow::new(self.tells) });
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
            port.flow.ready(readable, writable);
        }
    }

    /// The UDP sockets by number, and whether a datagram waits for room there.
    pub fn ports(&self) -> impl Iterator<Item = (u64, &U, bool)> {
        let all = self.ports.iter();
        all.map(|(number, port)| (*number, &port.carrier, port.flow.wants_room()))
    }

    /// The same, to leave word with them or to hand on to the hub what they got by other ways.
    pub fn hub_and_ports(&mut self) -> (&mut H, impl Iterator<Item = (u64, &mut U, bool)>) {
        let all = self.ports.iter_mut();
        let ports = all.map(|(number, port)| (*number, &mut port.carrier, port.flow.wants_room()));
        (&mut self.hub, ports)
    }

    /// The links.
    pub fn board(&self) -> &Board<N> {
        &self.board
    }

    /// The next event, in the order in which things happened.
    pub fn next_event(&mut self) -> Option<H::Event> {
        self.event.take().or_else(|| self.hub.poll_event())
    }

    /// Whether an event was found by the last turn and not given out since.
    pub fn has_event(&self) -> bool {
        self.event.is_some()
    }

    /// When the next turn is due if nothing becomes ready before; a time in the past is at once.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        if self.busy || self.event.is_some() || self.board.is_busy() {
            return Some(Instant::ZERO);
        }
        // A deadline that is still past needs room on a UDP socket first: to wait for it as well
        // would be to spin.
        let full = self.ports.values().any(|port| port.flow.wants_room());
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

    /// Receives from each UDP socket its share.
    fn receive(&mut self, now: Instant) -> io::Result<()> {
        let Self { hub, ports, busy, .. } = self;
        for (number, Port { carrier, flow }) in ports {
            *busy |= flow.receive(carrier, &mut |path, ecn, datagram| {
                hub.handle_datagram(now, *number, path, ecn, datagram);
            })?;
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
        let Self { hub, ports, scratch, .. } = self;
        for _ in 0..MAX_SENDS {
            // Of one socket at the most: while it has no room the hub is not asked for more.
            let waiting = ports.iter().find(|(_, port)| port.flow.wants_room());
            let number = match waiting {
                Some((_, port)) if port.flow.is_full() => return,
                Some((number, _)) => *number,
                None => {
                    scratch.clear();
                    let Some((number, transmit)) = hub.poll_transmit(now, scratch) else { return };
                    // Without a socket it is lost, as datagrams are.
                    let Some(port) = ports.get_mut(&number) else { continue };
                    port.flow.load(transmit, scratch);
                    number
                }
            };
            let Some(Port { carrier, flow }) = ports.get_mut(&number) else { continue };
            match flow.send(carrier) {
                Flowed::Done => {}
                Flowed::TooBig(transmit) => hub.handle_too_big(now, number, &transmit),
                Flowed::Full => {
                    self.counts.full += 1;
                    return;
                }
            }
        }
        self.busy = true;
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
