//! A hub and all its sockets as sources of mio.

use crate::udp::Udp;
use crate::{Clock, HubOptions, Options, Turns};
use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::ops::Range;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;
use tripline_sansio::{Hub, Instant, LinkKind};
use tripline_tcp::{Board, Bound, Edge, EdgeNet, HubPump, Place, Socket as Which, StdNet};
use tripline_udp::{Socket, Tells};

/// A socket, whatever it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Udp(u64),
    Link(Place),
}

/// A socket that mio knows: its token, and for what it is watched.
type Known = (Token, Interest);

/// Where the sockets are registered.
#[derive(Debug)]
struct Spot {
    registry: Registry,
    /// The first token, and how many there are.
    tokens: (usize, usize),
    /// Sockets that were registered so far: the next one has the token after that of the last.
    count: usize,
    known: BTreeMap<Key, Known>,
}

/// One hub and its sockets, for the user's own [`Poll`](mio::Poll): what
/// [`Source`](crate::Source) is to a machine with one socket. Around one TCP link or one listener
/// it drives any stream machine, by [`Solo`](tripline_sansio::Solo) and
/// [`Crowd`](tripline_sansio::Crowd).
///
/// Sockets come and go as the hub wishes, so it takes a *range of tokens* instead of one and
/// registers them by itself, each with the next token of the range. If there are more sockets than
/// tokens some share one: what mio then tells of one of them is tried on all of those, at the price
/// of calls in vain. A range of one token is enough, if the links are few. The loop of the user
/// hands [`ready`](Self::ready) whatever comes with a token of the range ([`owns`](Self::owns)).
///
/// It has no thread, and waits nowhere.
pub struct HubSource<H: Hub> {
    pump: HubPump<H, EdgeNet<StdNet>, Udp>,
    options: Options,
    spot: Option<Spot>,
}

impl<H: Hub> fmt::Debug for HubSource<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pump, spot, .. } = self;
        let mut shown = f.debug_struct("HubSource");
        shown.field("pump", pump).field("spot", spot).finish_non_exhaustive()
    }
}

impl<H: Hub> HubSource<H> {
    /// A source without sockets; the hub wishes for them, or they are handed in.
    pub fn new(hub: H, how: &HubOptions) -> Self {
        let board = Board::new(EdgeNet(StdNet), how.limits, how.secure.clone());
        Self { pump: HubPump::new(hub, board, Tells::Once), options: how.options, spot: None }
    }

    /// Takes over a UDP socket, as if the hub had wished for it by this number.
    ///
    /// # Errors
    /// What the system says.
    pub fn add_udp(&mut self, number: u64, socket: Socket) -> io::Result<()> {
        let now = self.options.clock.now();
        self.pump.add_udp(now, number, bound(socket, &self.options));
        self.watch()
    }

    /// Takes over a listener, as if the hub had wished for it by this number. It must not block.
    pub fn add_listener(&mut self, number: u64, kind: LinkKind, listener: TcpListener) {
        let now = self.options.clock.now();
        self.pump.add_listener(now, number, kind, Edge::new(listener));
    }

    /// Registers all sockets, those that come later as well, with tokens of this range.
    ///
    /// # Errors
    /// An empty range; [`io::ErrorKind::AlreadyExists`] if it is registered somewhere; and what the
    /// system says.
    pub fn register(&mut self, registry: &Registry, tokens: Range<usize>) -> io::Result<()> {
        self.register_at(registry, (tokens.start, tokens.len()))
    }

    /// As [`Self::register`], with so many tokens from the first on.
    pub(crate) fn register_at(
        &mut self,
        registry: &Registry,
        tokens: (usize, usize),
    ) -> io::Result<()> {
        if tokens.1 == 0 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if self.spot.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let (registry, known) = (registry.try_clone()?, BTreeMap::new());
        self.spot = Some(Spot { registry, tokens, count: 0, known });
        self.watch()
    }

    /// Registers all sockets anew, with tokens of another range or with another poll.
    ///
    /// # Errors
    /// As [`Self::register`].
    pub fn reregister(&mut self, registry: &Registry, tokens: Range<usize>) -> io::Result<()> {
        self.deregister()?;
        self.register(registry, tokens)
    }

    /// Takes all sockets back from the poll where they are registered.
    ///
    /// # Errors
    /// What the system says.
    pub fn deregister(&mut self) -> io::Result<()> {
        let Some(spot) = self.spot.take() else { return Ok(()) };
        let mut result = Ok(());
        for (key, fd, _) in self.sockets() {
            if spot.known.contains_key(&key) {
                result = result.and(spot.registry.deregister(&mut SourceFd(&fd)));
            }
        }
        result
    }

    /// Whether events of this token are for this source.
    pub fn owns(&self, token: Token) -> bool {
        self.spot.as_ref().is_some_and(|spot| {
            let (first, count) = spot.tokens;
            token.0.checked_sub(first).is_some_and(|at| at < count)
        })
    }

    /// Notes what an event of one of this source's tokens says. The rest is for [`Self::run`].
    pub fn ready(&mut self, event: &Event) {
        let Self { pump, spot, .. } = self;
        let Some(spot) = spot else { return };
        // Errors are told by the calls.
        let failed = event.is_error();
        let readable = event.is_readable() || event.is_read_closed() || failed;
        let writable = event.is_writable() || event.is_write_closed() || failed;
        let is_meant = |key| spot.known.get(&key).is_some_and(|(one, _)| *one == event.token());
        for (key, _) in spot.known.iter().filter(|(_, (token, _))| *token == event.token()) {
            if let Key::Udp(number) = key {
                pump.ready_udp(*number, readable, writable);
            }
        }
        for (place, which, _) in pump.board().sockets() {
            if is_meant(Key::Link(place)) {
                match which {
                    Which::Wire(wire) => wire.tell(readable, writable),
                    Which::Door(door) => door.tell(readable, writable),
                }
            }
        }
    }

    /// Runs one turn ([`HubPump::turn`]); it does not wait.
    ///
    /// Due after each poll, and after each use of the hub; once too often does no harm. A turn is
    /// bounded: one that stops early makes [`Self::poll_timeout`] zero and goes on with the next
    /// call, though mio does not tell of the sockets again.
    ///
    /// # Errors
    /// If a UDP socket or the registry is broken; what becomes of links is told to the hub.
    pub fn run(&mut self) -> io::Result<()> {
        self.run_at(self.options.clock.now())
    }

    /// As [`Self::run`], at a time that the caller has read already from [`Self::clock`].
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_at(&mut self, now: Instant) -> io::Result<()> {
        let options = self.options;
        let mut bind =
            |address: SocketAddr| Ok(bound(Socket::bind(address, &options.socket)?, &options));
        self.pump.edge_turn(now, &mut bind)?;
        self.watch()
    }

    /// The next event, in the order in which things happened.
    pub fn next_event(&mut self) -> Option<H::Event> {
        self.pump.next_event()
    }

    /// For how long mio may wait, as [`Source::poll_timeout`](crate::Source::poll_timeout) says it.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let now = self.options.clock.now();
        Some(self.pump.edge_deadline(now)?.saturating_duration_since(now))
    }

    /// When the next [`Self::run`] is due though nothing is ready; a time in the past is at once.
    pub fn deadline(&self) -> Option<Instant> {
        self.pump.edge_deadline(self.options.clock.now())
    }

    /// Uses the hub at the present time; what it has to say goes out with the next [`Self::run`].
    pub fn with<R>(&mut self, action: impl FnOnce(&mut H, Instant) -> R) -> R {
        let now = self.options.clock.now();
        action(self.pump.hub_mut(), now)
    }

    /// The hub.
    pub fn hub(&self) -> &H {
        self.pump.hub()
    }

    /// The clock of this source.
    pub fn clock(&self) -> Clock {
        self.options.clock
    }

    /// The counters of a UDP socket, by its number (T68).
    pub fn stats(&self, number: u64) -> Option<tripline_udp::Stats> {
        self.udp(number).map(|udp| udp.batcher.stats())
    }

    pub(crate) fn udp(&self, number: u64) -> Option<&Udp> {
        let mut ports = self.pump.ports();
        ports.find(|(one, ..)| *one == number).map(|(_, udp, _)| udp)
    }

    /// What has become of TCP and TLS links.
    pub fn link_stats(&self) -> tripline_tcp::Stats {
        self.pump.board().stats()
    }

    /// What this source has done so far.
    pub fn turns(&self) -> Turns {
        self.pump.turns()
    }

    /// All sockets, and for what they are to be watched: both directions of a link always, because
    /// TCP tells of room only where there was none; room for datagrams only while it is missing.
    fn sockets(&self) -> impl Iterator<Item = (Key, RawFd, Interest)> {
        let udp = self.pump.ports().map(|(number, udp, wants_room)| {
            (Key::Udp(number), udp.socket.as_raw_fd(), interests(wants_room))
        });
        let links = self.pump.board().sockets().map(|(place, which, _)| match which {
            Which::Wire(wire) => (Key::Link(place), wire.socket.as_raw_fd(), interests(true)),
            Which::Door(door) => (Key::Link(place), door.socket.as_raw_fd(), interests(false)),
        });
        udp.chain(links)
    }

    /// Registers sockets that are new, and asks for room where it is missing now. A socket that is
    /// gone has left the poll by being closed.
    fn watch(&mut self) -> io::Result<()> {
        let Some(mut spot) = self.spot.take() else { return Ok(()) };
        let mut still = BTreeMap::new();
        let mut result = Ok(());
        for (key, fd, interest) in self.sockets() {
            let known = spot.known.get(&key).copied();
            let token = known.map_or_else(|| spot.next_token(), |(token, _)| token);
            let watched = match known {
                Some((_, before)) if before == interest => Ok(()),
                Some(_) => spot.registry.reregister(&mut SourceFd(&fd), token, interest),
                None => spot.registry.register(&mut SourceFd(&fd), token, interest),
            };
            if watched.is_ok() {
                still.insert(key, (token, interest));
            }
            result = result.and(watched);
        }
        spot.known = still;
        self.spot = Some(spot);
        result
    }
}

impl Spot {
    /// The next token of the range, which begins again behind its end.
    fn next_token(&mut self) -> Token {
        let (first, count) = self.tokens;
        let at = self.count % count.max(1);
        self.count = self.count.wrapping_add(1);
        Token(first + at)
    }
}

fn bound(socket: Socket, options: &Options) -> Bound<Udp> {
    let local = socket.local_addr().ok();
    (Udp::new(socket, options), local)
}

/// What is asked of mio.
fn interests(room: bool) -> Interest {
    if room { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE }
}
