//! The board over sockets of our own making: partial writes, full and broken ones, no room for
//! newcomers, and time that passes.

use crate::{Board, Door, Interest, Limits, Net, Wire};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::rc::Rc;
use tripline_sansio::{
    Crowd, CrowdEvent, Duration, Greeter, Hub, Instant, LinkError, LinkFailure, LinkKind,
    LinkLayer, Secure, Solo, SoloEvent, StreamLayer, StreamMachine,
};

const BOTH: Interest = Interest { read: true, write: true };

fn address() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 80))
}

fn second(number: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(number)
}

/// What a socket is made of.
#[derive(Default)]
struct State {
    connected: bool,
    refused: bool,
    incoming: VecDeque<u8>,
    eof: bool,
    broken: bool,
    /// So many bytes are taken, at most 3 at a time.
    room: usize,
    written: Vec<u8>,
    finished: bool,
}

#[derive(Clone, Default)]
struct Fake(Rc<RefCell<State>>);

impl Wire for Fake {
    fn is_connected(&mut self) -> io::Result<bool> {
        let state = self.0.borrow();
        if state.refused { Err(ErrorKind::ConnectionRefused.into()) } else { Ok(state.connected) }
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut state = self.0.borrow_mut();
        if state.broken {
            return Err(ErrorKind::ConnectionReset.into());
        }
        let count = state.incoming.len().min(into.len());
        for (to, from) in into.iter_mut().zip(state.incoming.drain(..count)) {
            *to = from;
        }
        if count == 0 && !state.eof { Err(ErrorKind::WouldBlock.into()) } else { Ok(count) }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.0.borrow_mut();
        if state.broken {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let count = bytes.len().min(state.room).min(3);
        state.room -= count;
        state.written.extend_from_slice(&bytes[..count]);
        if count == 0 { Err(ErrorKind::WouldBlock.into()) } else { Ok(count) }
    }

    fn finish(&mut self) -> io::Result<()> {
        self.0.borrow_mut().finished = true;
        Ok(())
    }
}

/// Who waits outside; an error if the system has no room for them.
#[derive(Clone, Default)]
struct Queue(Rc<RefCell<VecDeque<io::Result<Fake>>>>, Rc<RefCell<usize>>);

impl Door for Queue {
    type Wire = Fake;

    fn accept(&mut self) -> io::Result<(Fake, SocketAddr)> {
        *self.1.borrow_mut() += 1;
        let next = self.0.borrow_mut().pop_front();
        next.unwrap_or_else(|| Err(ErrorKind::WouldBlock.into())).map(|wire| (wire, address()))
    }

    fn local(&self) -> Option<SocketAddr> {
        Some(address())
    }
}

/// The sockets that a test holds the other end of.
#[derive(Clone, Default)]
struct Fakes {
    wire: Fake,
    queue: Queue,
}

impl Net for Fakes {
    type Wire = Fake;
    type Door = Queue;

    fn connect(&mut self, _: SocketAddr) -> io::Result<Fake> {
        Ok(self.wire.clone())
    }

    fn listen(&mut self, _: SocketAddr) -> io::Result<Queue> {
        Ok(self.queue.clone())
    }
}

/// Writes for ever, a hundred bytes at a time, or what it got; counts.
#[derive(Default)]
struct Talker {
    endless: bool,
    asked: usize,
    heard: Vec<u8>,
    echo: Vec<u8>,
    eofs: usize,
}

impl StreamMachine for Talker {
    type Event = ();
    fn handle_bytes(&mut self, _: Instant, bytes: &[u8]) {
        self.heard.extend_from_slice(bytes);
        self.echo.extend_from_slice(bytes);
    }
    fn handle_eof(&mut self, _: Instant) {
        self.eofs += 1;
    }
    fn handle_timeout(&mut self, _: Instant) {}
    fn poll_write(&mut self, _: Instant, out: &mut Vec<u8>) -> bool {
        self.asked += 1;
        if self.endless {
            out.resize(out.len() + 100, b'.');
            return true;
        }
        let some = !self.echo.is_empty();
        out.append(&mut self.echo);
        some
    }
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
    fn poll_event(&mut self) -> Option<()> {
        None
    }
}

struct World<H> {
    hub: H,
    board: Board<Fakes>,
    fakes: Fakes,
}

impl<H: Hub> World<H> {
    fn new(hub: H, limits: Limits) -> Self {
        let fakes = Fakes::default();
        let mut world = Self { hub, board: Board::new(fakes.clone(), limits, None), fakes };
        world.turn(second(0));
        world
    }

    /// Says of every socket that it is ready as far as is wanted, as a loop would, and drains.
    fn turn(&mut self, now: Instant) {
        let ready: Vec<_> =
            self.board.sockets().map(|(place, _, interest)| (place, interest)).collect();
        for (place, interest) in ready {
            if interest.read || interest.write {
                self.board.on_ready(now, &mut self.hub, place, interest);
            }
        }
        self.board.on_time(now, &mut self.hub);
        assert!(self.board.drain(now, &mut self.hub).is_empty());
    }

    fn wire(&self) -> std::cell::RefMut<'_, State> {
        self.fakes.wire.0.borrow_mut()
    }
}

fn client(endless: bool) -> World<Solo<Talker>> {
    let talker = Talker { endless, ..Talker::default() };
    World::new(Solo::new(talker, LinkKind::Tcp, address(), "", |_| true), Limits::default())
}

/// The client, connected.
fn connected(endless: bool) -> World<Solo<Talker>> {
    let mut world = client(endless);
    world.wire().connected = true;
    world.turn(second(0));
    assert_eq!(world.hub.poll_event(), Some(SoloEvent::Opened));
    world
}

fn failure(world: &mut World<Solo<Talker>>) -> Option<LinkFailure> {
    match world.hub.poll_event() {
        Some(SoloEvent::Failed(error)) => Some(error.failure),
        _ => None,
    }
}

#[test]
fn a_connection_comes_about_or_is_refused_or_takes_too_long() {
    let mut slow = client(false);
    assert_eq!(slow.board.deadline(), Some(second(5)));
    slow.turn(second(4));
    assert_eq!(failure(&mut slow), None);
    slow.turn(second(5));
    assert_eq!(failure(&mut slow), Some(LinkFailure::Unreachable));
    assert_eq!((slow.board.links(), slow.board.deadline()), (0, None));
    let mut refused = client(false);
    refused.wire().refused = true;
    refused.turn(second(0));
    assert_eq!(failure(&mut refused), Some(LinkFailure::Refused));
    assert_eq!(connected(false).board.deadline(), None, "an open link has no deadline");
}

/// T64: partial writes and full sockets lose nothing and repeat nothing; and are waited for.
#[test]
fn partial_writes_lose_nothing() {
    let mut world = connected(false);
    let data: Vec<u8> = (0..=255).collect();
    world.wire().incoming.extend(&data);
    for room in 0..400 {
        world.wire().room = room % 3;
        world.turn(second(1));
    }
    assert_eq!(world.wire().written, data);
    let wants = world.board.sockets().next().map(|(_, _, interest)| interest);
    assert_eq!(wants, Some(Interest { read: true, write: false }), "nothing is left to write");
}

/// A layer that changes nothing.
#[derive(Default)]
struct Glass {
    down: Vec<u8>,
}

impl StreamLayer for Glass {
    type Error = LinkError;
    fn handle_bytes(&mut self, _: Instant, b: &[u8], above: &mut Vec<u8>) -> Result<(), LinkError> {
        above.extend_from_slice(b);
        Ok(())
    }
    fn handle_eof(&mut self, _: Instant) -> Result<(), LinkError> {
        Ok(())
    }
    fn handle_timeout(&mut self, _: Instant) -> Result<(), LinkError> {
        Ok(())
    }
    fn is_open(&self) -> bool {
        true
    }
    fn is_finished(&self) -> bool {
        false
    }
    fn write(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        self.down.extend_from_slice(bytes);
        Ok(())
    }
    fn finish(&mut self) {}
    fn poll_write(&mut self, out: &mut Vec<u8>) -> bool {
        let some = !self.down.is_empty();
        out.append(&mut self.down);
        some
    }
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

struct Glazier;

impl Secure for Glazier {
    fn client(&self, _: Instant, _: &str, _: SocketAddr) -> Result<LinkLayer, LinkError> {
        Ok(Box::new(Glass::default()))
    }
    fn server(&self, _: Instant) -> Result<LinkLayer, LinkError> {
        Ok(Box::new(Glass::default()))
    }
}

/// A layer writes while it reads: what waited for room is gone then, though nobody said that there
/// was room. The machine is asked for more all the same. (A link once stood still here for ever.)
#[test]
fn a_layer_that_writes_while_it_reads_leaves_nobody_waiting() {
    let talker = Talker::default();
    let hub = Solo::new(talker, LinkKind::Tls, address(), "", |_| true);
    let fakes = Fakes::default();
    let board = Board::new(fakes.clone(), Limits::default(), Some(std::sync::Arc::new(Glazier)));
    let mut world = World { hub, board, fakes };
    world.turn(second(0));
    world.wire().connected = true;
    world.wire().incoming.extend(b"one");
    (0..3).for_each(|_| world.turn(second(0)));
    assert_eq!(world.wire().written, b"", "no room for the echo");
    let place = world.board.sockets().map(|(place, ..)| place).next().expect("a link");
    for said in [&b"two"[..], b"three"] {
        world.wire().room = 100;
        world.wire().incoming.extend(said);
        let readable = Interest { read: true, write: false };
        world.board.on_ready(second(1), &mut world.hub, place, readable);
        assert!(world.board.drain(second(1), &mut world.hub).is_empty());
    }
    assert_eq!(world.wire().written, b"onetwothree");
}

/// A peer that does not read costs the bytes of one call, whatever the machine could write, and the
/// machine is not asked again.
#[test]
fn a_slow_reader_costs_bounded_memory() {
    let mut world = connected(true);
    for _ in 0..100 {
        world.turn(second(1));
    }
    assert_eq!(world.hub.machine().asked, 1);
    world.wire().room = 100;
    world.turn(second(1));
    assert_eq!((world.hub.machine().asked, world.wire().written.len()), (2, 100));
    world.wire().room = 1_000_000;
    world.turn(second(1));
    let asked = world.hub.machine().asked;
    assert!(asked < 40 && world.board.is_busy(), "a bounded turn, {asked} calls, and then another");
}

/// Half an end is told once, and what there is to say still goes out; a reset is told as such.
#[test]
fn ends_and_resets_are_told() {
    let mut world = connected(false);
    world.wire().incoming.extend(b"last words");
    world.wire().eof = true;
    world.turn(second(1));
    world.turn(second(1));
    assert_eq!((world.hub.machine().eofs, world.hub.machine().heard.len()), (1, 10));
    world.wire().room = 100;
    world.turn(second(1));
    world.turn(second(1));
    assert_eq!((world.hub.machine().eofs, world.wire().written.len()), (1, 10));
    let mut world = connected(false);
    world.wire().broken = true;
    world.turn(second(1));
    assert_eq!(failure(&mut world), Some(LinkFailure::Broken));
    assert_eq!(world.hub.machine().eofs, 1);
}

/// A link that the hub closes: what was written goes out, then our end, then we wait for theirs,
/// but not for ever.
#[test]
fn a_goodbye_goes_out_and_is_not_waited_for_for_ever() {
    for peer_ends in [true, false] {
        let mut world = connected(false);
        world.wire().incoming.extend(b"hello");
        world.turn(second(1));
        world.turn(second(1));
        world.hub.close();
        world.wire().room = 100;
        world.turn(second(1));
        world.turn(second(1));
        let finished = world.wire().finished;
        assert_eq!((finished, world.wire().written.len()), (true, 5));
        world.wire().eof = peer_ends;
        world.wire().incoming.extend(b"more, that nobody wants");
        world.turn(second(1));
        world.turn(second(1));
        assert_eq!(world.board.links(), usize::from(!peer_ends));
        world.turn(second(3));
        assert_eq!((world.board.links(), world.board.deadline()), (0, None));
        assert_eq!((world.hub.machine().heard.len(), failure(&mut world)), (5, None));
    }
}

struct Anyone;

impl Greeter for Anyone {
    type Machine = Talker;
    fn greet(&mut self, _: Instant, _: u64, _: SocketAddr) -> Option<Talker> {
        Some(Talker::default())
    }
    fn closes(&self, (): &()) -> bool {
        true
    }
}

/// No file descriptors: the listener rests instead of spinning, and goes on. Newcomers that hung up
/// again cost nothing.
#[test]
fn a_listener_without_room_rests() {
    let hub = Crowd::new(Anyone, LinkKind::Tcp, address(), 100);
    let mut world = World::new(hub, Limits { links: 2, ..Limits::default() });
    let queue = world.fakes.queue.clone();
    let arrive = |newcomer: io::Result<Fake>| queue.0.borrow_mut().push_back(newcomer);
    arrive(Err(ErrorKind::ConnectionAborted.into()));
    arrive(Ok(Fake::default()));
    arrive(Err(io::Error::from_raw_os_error(24)));
    arrive(Ok(Fake::default()));
    arrive(Ok(Fake::default()));
    world.turn(second(1));
    assert_eq!((world.hub.guests(), *queue.1.borrow()), (1, 3));
    let rest = Duration::from_millis(100);
    assert_eq!(world.board.deadline(), Some(second(1) + rest));
    for _ in 0..10 {
        world.turn(second(1));
    }
    assert_eq!(*queue.1.borrow(), 3, "nobody looks meanwhile");
    world.turn(second(2));
    world.turn(second(2));
    assert_eq!((world.hub.guests(), world.board.links()), (2, 2), "and one was hung up on");
    let stats = world.board.stats();
    assert_eq!((stats.accepted, stats.refused), (2, 1));
    assert!(matches!(world.hub.poll_event(), Some(CrowdEvent::Listening(_))));
}

/// To be told of sockets that are not ready, or not there any more, is harmless.
#[test]
fn false_alarms_are_harmless() {
    let mut world = connected(false);
    let places: Vec<_> = world.board.sockets().map(|(place, ..)| place).collect();
    for place in &places {
        world.board.on_ready(second(1), &mut world.hub, *place, BOTH);
    }
    world.wire().broken = true;
    for _ in 0..3 {
        world.board.on_ready(second(1), &mut world.hub, places[0], BOTH);
    }
    assert_eq!(world.board.links(), 0);
    assert_eq!(failure(&mut world), Some(LinkFailure::Broken));
    assert_eq!(failure(&mut world), None, "once");
}
