//! The conformance suite of loops, passed by [`Loop`]: the whole of `run_once`, with the suite's
//! scene in the place of the clock, the socket and the wait.

use crate::wait::Fd;
use crate::*;
use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;
use tripline_kit::{
    LinkProbe, Machine, Rule, Scene, StreamProbe, StreamScene, StreamSubject, Subject, Told, check,
    check_stream,
};
use tripline_sansio::{Ecn, Instant, Path, Transmit};
use tripline_tcp::{Door, Net, Wire};

thread_local! {
    /// What the clock of this thread's loop asks.
    static SCENE: RefCell<Option<Scene>> = const { RefCell::new(None) };
}

fn now() -> Instant {
    SCENE.with_borrow(|scene| scene.as_ref().expect("a scene").now())
}

/// The scene's socket. The file descriptor is never looked at.
#[derive(Debug)]
struct Played {
    scene: Scene,
    nothing: UnixStream,
    _other_end: UnixStream,
}

impl AsFd for Played {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.nothing.as_fd()
    }
}

impl Link for Played {
    fn recv(&mut self, on_datagram: &mut dyn FnMut(Path, Ecn, &mut [u8])) -> io::Result<Received> {
        self.scene.recv(on_datagram)
    }

    fn send(&mut self, transmit: &Transmit, bytes: &[u8]) -> SendOutcome {
        self.scene.send(transmit, bytes)
    }

    fn wait(&self, _waker: &Waker, for_room: bool, at_most: Option<Duration>) -> io::Result<Ready> {
        let ready = self.scene.wait_for(at_most, for_room);
        let tripline_kit::Ready { readable, writable, woken } = ready;
        Ok(Ready { readable, writable, woken })
    }
}

struct Blocking(Loop<Machine, Played>);

impl Subject for Blocking {
    fn start(machine: Machine, scene: &Scene) -> Self {
        SCENE.set(Some(scene.clone()));
        let (nothing, _other_end) = UnixStream::pair().expect("a pair");
        let link = Played { scene: scene.clone(), nothing, _other_end };
        Self(Loop::new(link, Clock::from_fn(now), machine).expect("a loop"))
    }

    fn turn(&mut self, events: &mut Vec<Told>) {
        let turn = self.0.run_once(None).expect("a turn");
        let before = events.len();
        events.extend(std::iter::from_fn(|| self.0.next_event()));
        assert!(turn != Turn::TimedOut, "no limit was set");
        assert_eq!(turn == Turn::Event, events.len() > before, "an event that is none");
    }
}

/// The same loop, called with zero by somebody else's loop, which knows nothing but what
/// [`Loop::deadline`] and [`Loop::wants_room`] say (T70).
struct Foreign(Blocking, Scene);

impl Subject for Foreign {
    fn start(machine: Machine, scene: &Scene) -> Self {
        Self(Blocking::start(machine, scene), scene.clone())
    }

    fn turn(&mut self, events: &mut Vec<Told>) {
        let Self(Blocking(looper), scene) = self;
        looper.run_once(Some(Duration::ZERO)).expect("a turn");
        events.extend(std::iter::from_fn(|| looper.next_event()));
        let deadline = looper.deadline();
        scene.wait(deadline, looper.wants_room());
    }
}

/// T18: ten minutes with a keep-alive each 25 s are two sleeps for each at the most, an hour of
/// nothing is one, and none of them ends early.
#[test]
fn t18_an_idle_loop_turns_for_its_deadlines_only() {
    check::<Blocking>(Rule::Idle).unwrap_or_else(|broken| panic!("{broken}"));
    check::<Foreign>(Rule::Idle).unwrap_or_else(|broken| panic!("{broken}"));
}

/// T64: a full socket is waited for; nothing is lost, doubled or turned round, and the loop goes on
/// receiving and telling the time.
#[test]
fn t64_a_full_socket_costs_latency_only() {
    check::<Blocking>(Rule::Room).unwrap_or_else(|broken| panic!("{broken}"));
    check::<Foreign>(Rule::Room).unwrap_or_else(|broken| panic!("{broken}"));
}

mod blocking {
    tripline_kit::conformance!(super::Blocking);
}

mod foreign {
    tripline_kit::conformance!(super::Foreign);
}

thread_local! {
    /// The same for loops of hubs.
    static LINK: RefCell<Option<StreamScene>> = const { RefCell::new(None) };
    static CONNECTED: Cell<bool> = const { Cell::new(false) };
}

fn with_link<R>(act: impl FnOnce(&StreamScene) -> R) -> R {
    // Not under the borrow: the scene unwinds where a rule is broken.
    let scene = LINK.with_borrow(|scene| scene.clone().expect("a scene"));
    act(&scene)
}

/// The scene's wait. The waker is the first, the link the other.
fn sleep(fds: &mut [Fd<'_>], at_most: Option<Duration>) -> io::Result<bool> {
    if !CONNECTED.replace(true) {
        // It is there at once; the scene begins after that.
        fds.iter_mut().skip(1).for_each(|fd| fd.writable = true);
        return Ok(false);
    }
    let for_room = fds.iter().skip(1).any(Fd::wants_room);
    let ready = with_link(|scene| scene.wait_for(at_most, for_room));
    for (at, fd) in fds.iter_mut().enumerate() {
        (fd.readable, fd.writable) = match at {
            0 => (ready.woken, false),
            _ => (ready.readable, ready.writable),
        };
    }
    Ok(false)
}

/// The scene's one link. The file descriptor is never looked at.
struct PlayedLink(UnixStream);

impl AsFd for PlayedLink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Wire for PlayedLink {
    fn is_connected(&mut self) -> io::Result<bool> {
        Ok(true)
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        with_link(|scene| scene.recv(into))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        with_link(|scene| scene.send(bytes))
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// There is none.
impl Door for PlayedLink {
    type Wire = Self;

    fn accept(&mut self) -> io::Result<(Self, SocketAddr)> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn local(&self) -> Option<SocketAddr> {
        None
    }
}

struct PlayedNet;

impl Net for PlayedNet {
    type Wire = PlayedLink;
    type Door = PlayedLink;

    fn connect(&mut self, _: SocketAddr) -> io::Result<PlayedLink> {
        UnixStream::pair().map(|(one, _)| PlayedLink(one))
    }

    fn listen(&mut self, _: SocketAddr) -> io::Result<PlayedLink> {
        UnixStream::pair().map(|(one, _)| PlayedLink(one))
    }
}

/// The loop of hubs around one link.
struct Linked(HubLoop<LinkProbe, PlayedNet>);

impl StreamSubject for Linked {
    fn start(machine: StreamProbe, scene: &StreamScene) -> Self {
        LINK.set(Some(scene.clone()));
        CONNECTED.set(false);
        let options =
            Options { clock: Clock::from_fn(|| with_link(StreamScene::now)), ..Options::default() };
        let how = HubOptions { options, ..HubOptions::default() };
        let hub = LinkProbe::new(machine);
        Self(HubLoop::over(PlayedNet, sleep, hub, &how).expect("a loop"))
    }

    fn turn(&mut self, events: &mut Vec<Told>) {
        let turn = self.0.run_once(None).expect("a turn");
        let before = events.len();
        events.extend(std::iter::from_fn(|| self.0.next_event()));
        assert!(turn != Turn::TimedOut, "no limit was set");
        assert_eq!(turn == Turn::Event, events.len() > before, "an event that is none");
    }
}

/// T64: the same of a link.
#[test]
fn t64_a_full_link_costs_latency_only() {
    check_stream::<Linked>(Rule::Room).unwrap_or_else(|broken| panic!("{broken}"));
}

mod links {
    tripline_kit::stream_conformance!(super::Linked);
}
