//! The conformance suite of loops, passed by [`Loop`]: the whole of `run_once`, with the suite's
//! scene in the place of the clock, the socket and the wait.

use crate::*;
use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;
use tripline_kit::{Machine, Rule, Scene, Subject, Told, check};
use tripline_sansio::{Ecn, Instant, Path, Transmit};

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
