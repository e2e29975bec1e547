//! The TCP and TLS links of one side of a pair, by the very code that every stream loop uses
//! ([`Board`]), in virtual time (`cables`).
//!
//! The simulator's pipe carries a copy of the bytes, which says when how many of them have arrived;
//! the endpoint gets those that came through the system. That both are the same is asserted.

use crate::cables::{Cables, Loopback};
use crate::carrier::{Carrier, tls};
use crate::ends::Ends;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tripline_sansio::{Answer, Hub, Instant, LinkKind, Wish};
use tripline_tcp::{Board, Interest, Limits, Place, Socket};

/// The number of the listener.
const DOOR: u64 = u64::MAX;
const READ: Interest = Interest { read: true, write: false };
const WRITE: Interest = Interest { read: false, write: true };

/// The sockets of one side.
pub(crate) struct Sockets {
    board: Board<Loopback>,
    cables: Cables,
    /// The other side's listener.
    peer: Option<SocketAddr>,
    local: Option<SocketAddr>,
    door: Option<Place>,
    /// Where each pipe's socket is, and which end it is.
    places: BTreeMap<u64, (Place, usize)>,
    /// What the board is still to be told.
    wishes: VecDeque<Wish>,
    /// Links that the board has said are open.
    open: BTreeSet<u64>,
}

fn kind() -> LinkKind {
    if Carrier::current() == Carrier::Tls { LinkKind::Tls } else { LinkKind::Tcp }
}

impl Sockets {
    /// Sockets without links, listening.
    pub(crate) fn new(cables: &Cables) -> Self {
        let limits = Limits { links: 1 << 14, ..Limits::default() };
        let secure = (kind() == LinkKind::Tls).then(|| Arc::new((*tls()).clone()) as _);
        let board = Board::new(Loopback(cables.clone()), limits, secure);
        Self {
            board,
            cables: cables.clone(),
            peer: None,
            local: None,
            door: None,
            places: BTreeMap::new(),
            wishes: VecDeque::new(),
            open: BTreeSet::new(),
        }
    }

    /// Whether a link is open, and secured if it is to be.
    pub(crate) fn is_open(&self, pipe: u64) -> bool {
        self.open.contains(&pipe)
    }

    /// Listens; where.
    pub(crate) fn listen(&mut self, ends: &mut Ends) -> SocketAddr {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let wish = Wish::Listen { link: DOOR, kind: kind(), address };
        self.act(Instant::ZERO, ends, None, |board, hub| {
            board.obey(Instant::ZERO, hub, wish);
        });
        self.door = self.board.sockets().map(|(place, ..)| place).next();
        self.local.expect("a listener on this machine")
    }

    /// The other side listens there.
    pub(crate) fn set_peer(&mut self, peer: SocketAddr) {
        self.peer = Some(peer);
    }

    /// Lets the board do something, with the endpoint as its hub; it may ask that for the bytes of
    /// one pipe.
    fn act(
        &mut self,
        now: Instant,
        ends: &mut Ends,
        asked: Option<u64>,
        act: impl FnOnce(&mut Board<Loopback>, &mut Link<'_>),
    ) {
        let Self { board, cables, local, wishes, open, .. } = self;
        let mut link = Link { ends, cables, local, wishes, open, asked };
        act(board, &mut link);
        let others = board.drain(now, &mut link);
        assert!(others.is_empty(), "no wish is for UDP");
        board.on_time(now, &mut link);
    }

    /// A pipe is opened: by a connection of ours, if the other side has none of its number yet.
    pub(crate) fn opened(&mut self, now: Instant, pipe: u64, ends: &mut Ends) {
        let first = self.cables.borrow_mut().begin(pipe);
        let peer = self.peer.expect("both sides listen");
        let door = self.door.expect("we listen");
        self.act(now, ends, None, |board, hub| {
            if first {
                let name = "server".to_owned();
                let wish = Wish::Open { link: pipe, kind: kind(), address: peer, name };
                board.obey(now, hub, wish);
            } else {
                board.on_ready(now, hub, door, READ);
            }
        });
        let of_pipe = |(place, socket, _): (Place, Socket<'_, Loopback>, Interest)| match socket {
            Socket::Wire(plug) if plug.pipe == pipe => Some((place, plug.end)),
            _ => None,
        };
        let place = self.board.sockets().find_map(of_pipe);
        self.places.insert(pipe, place.expect("a connection to this machine"));
    }

    /// Bytes have arrived, of which these are the simulator's copy. Says whether the link goes on.
    pub(crate) fn arrived(
        &mut self,
        now: Instant,
        pipe: u64,
        bytes: &[u8],
        ends: &mut Ends,
    ) -> bool {
        let Some((place, end)) = self.places.get(&pipe).copied() else { return false };
        self.cables.borrow_mut().arrived(pipe, end, bytes.len());
        let mut before = usize::MAX;
        while !self.places.is_empty() {
            self.act(now, ends, None, |board, hub| board.on_ready(now, hub, place, READ));
            let mut cables = self.cables.borrow_mut();
            let (read, more) = cables.read(pipe, end);
            if !more || read.len() == before {
                break;
            }
            before = read.len();
        }
        let cables = self.cables.clone();
        let mut cables = cables.borrow_mut();
        let (read, more) = cables.read(pipe, end);
        assert!(bytes.starts_with(read), "the system brought other bytes than were written");
        let goes_on = self.board.sockets().any(|(at, ..)| at == place);
        assert!(!more || !goes_on, "the system brought {} of {} bytes", read.len(), bytes.len());
        goes_on && ends.is_open(pipe)
    }

    /// What comes over a pipe has come to its end.
    pub(crate) fn ended(&mut self, now: Instant, pipe: u64, ends: &mut Ends) {
        let Some((place, end)) = self.places.remove(&pipe) else { return };
        self.cables.borrow_mut().ended(pipe, end);
        self.act(now, ends, None, |board, hub| board.on_ready(now, hub, place, READ));
    }

    /// Appends what was written to a pipe's socket; whether there was anything.
    pub(crate) fn write(
        &mut self,
        now: Instant,
        pipe: u64,
        out: &mut Vec<u8>,
        ends: &mut Ends,
    ) -> bool {
        let Some((place, end)) = self.places.get(&pipe).copied() else { return false };
        self.act(now, ends, Some(pipe), |board, hub| board.on_ready(now, hub, place, WRITE));
        let mut fresh = self.cables.borrow_mut().take_fresh(pipe, end);
        let some = !fresh.is_empty();
        out.append(&mut fresh);
        some
    }
}

/// The endpoint, as a hub of links that are there already.
struct Link<'a> {
    ends: &'a mut Ends,
    cables: &'a Cables,
    local: &'a mut Option<SocketAddr>,
    wishes: &'a mut VecDeque<Wish>,
    open: &'a mut BTreeSet<u64>,
    /// The pipe that may be asked for bytes.
    asked: Option<u64>,
}

impl Link<'_> {
    fn close(&mut self, now: Instant, link: u64) {
        self.ends.closed(now, link);
        self.wishes.push_back(Wish::Close { link });
    }
}

impl Hub for Link<'_> {
    type Event = ();

    fn handle_answer(&mut self, now: Instant, link: u64, answer: Answer) {
        match answer {
            Answer::Opened { local } if link == DOOR => *self.local = local,
            Answer::Opened { .. } => {
                self.open.insert(link);
            }
            Answer::Failed(error) => {
                assert!(link != DOOR, "no listener on this machine: {error}");
                self.ends.closed(now, link);
            }
        }
    }

    fn handle_accepted(
        &mut self,
        _: Instant,
        _: u64,
        _: LinkKind,
        remote: SocketAddr,
    ) -> Option<u64> {
        let pipe = self.cables.borrow().pipe_from(remote);
        self.open.extend(pipe);
        pipe
    }

    fn handle_bytes(&mut self, now: Instant, link: u64, bytes: &[u8]) {
        if !self.ends.take_in(now, link, bytes) {
            self.close(now, link);
        }
    }

    fn handle_eof(&mut self, now: Instant, link: u64) {
        self.close(now, link);
    }

    fn handle_timeout(&mut self, _: Instant) {}

    fn poll_wish(&mut self) -> Option<Wish> {
        self.wishes.pop_front()
    }

    fn poll_ready(&mut self, _: Instant) -> Option<u64> {
        self.asked.take()
    }

    fn poll_write(&mut self, now: Instant, link: u64, out: &mut Vec<u8>) -> bool {
        self.ends.give_out(now, link, out)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    fn poll_event(&mut self) -> Option<()> {
        None
    }
}
