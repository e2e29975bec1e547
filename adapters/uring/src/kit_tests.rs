//! The conformance suite of loops, passed by the ordinary loop over a ring, as far as that can be
//! played: all that the scene lets come in goes through the kernel and comes by the ring, at the
//! moment it is received. Room and sending are the scene's own, for the kernel's socket knows
//! nothing of virtual time; the ring has no part in them.
//!
//! Where there is no io_uring it says *skipped*, and the loop is played without.

use crate::{UringLink, probe};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;
use tripline_kit::{Machine, Scene, Subject, Told};
use tripline_sansio::{Ecn, Instant, Path, Transmit};
use tripline_std::{Clock, Link, Loop, Ready, Received, SendOutcome, Waker};
use tripline_udp::{Options, Socket};

thread_local! {
    /// What the clock of this thread's loop asks.
    static SCENE: RefCell<Option<Scene>> = const { RefCell::new(None) };
}

fn now() -> Instant {
    SCENE.with_borrow(|scene| scene.as_ref().expect("a scene").now())
}

/// The scene's socket, and the way through the kernel.
struct Played {
    scene: Scene,
    /// `None` where there is no ring to be had.
    ours: Option<UringLink>,
    theirs: UdpSocket,
}

impl Played {
    fn new(scene: &Scene) -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let ours = match probe() {
            Ok(()) => {
                let socket = Socket::bind(any, &Options::default()).expect("a socket");
                // More than a batch of the scene, so that nothing waits for a buffer.
                Some(UringLink::new(socket, 64).expect("a link"))
            }
            Err(error) => {
                eprintln!("skipped: {error}");
                None
            }
        };
        let theirs = UdpSocket::bind(any).expect("a socket");
        if let Some(ours) = &ours {
            theirs.connect(ours.local_addr().expect("an address")).expect("connected");
        }
        Self { scene: scene.clone(), ours, theirs }
    }
}

impl AsFd for Played {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.theirs.as_fd()
    }
}

impl Link for Played {
    fn recv(&mut self, on_datagram: &mut dyn FnMut(Path, Ecn, &mut [u8])) -> io::Result<Received> {
        let Self { scene, ours, theirs } = self;
        let Some(ours) = ours else { return scene.recv(on_datagram) };
        let mut under_way = VecDeque::new();
        let received = scene.recv(&mut |path, ecn, datagram| {
            theirs.send(datagram).expect("sent");
            under_way.push_back((path, ecn));
        })?;
        while !under_way.is_empty() {
            super::tests::wait_readable(ours);
            let brought = ours.recv(&mut |_, _, datagram| {
                let (path, ecn) = under_way.pop_front().expect("more than was sent");
                on_datagram(path, ecn, datagram);
            });
            if let Err(error) = brought {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{error}");
            }
        }
        Ok(received)
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

struct Ringed(Loop<Machine, Played>);

impl Subject for Ringed {
    fn start(machine: Machine, scene: &Scene) -> Self {
        SCENE.set(Some(scene.clone()));
        Self(Loop::new(Played::new(scene), Clock::from_fn(now), machine).expect("a loop"))
    }

    fn turn(&mut self, events: &mut Vec<Told>) {
        self.0.run_once(None).expect("a turn");
        events.extend(std::iter::from_fn(|| self.0.next_event()));
    }
}

mod conforms {
    tripline_kit::conformance!(super::Ringed);
}
