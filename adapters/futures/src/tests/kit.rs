//! The conformance suite of loops, passed by [`Loop`](crate::Loop): the suite's scene in the place
//! of the runtime, with readiness as runtimes tell it.

use crate::{HubLoop, HubOptions, Loop, NoLinks, Readiness, Socket, Sockets, Timer};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use tripline_kit::{
    LinkProbe, Machine, Scene, StreamProbe, StreamScene, StreamSubject, Subject, Told,
};
use tripline_sansio::{Ecn, Instant, Path, Transmit};
use tripline_tcp::{Door, Net, Wire};
use tripline_udp::{Received, SendOutcome};

/// What a runtime knows: readiness until a call found none, and the deadline of the timer.
#[derive(Debug, Default)]
struct Known {
    readable: bool,
    /// The task waits for room.
    for_room: bool,
    writable: bool,
    until: Option<Instant>,
    /// The time when the loop last asked.
    now: Instant,
}

#[derive(Clone)]
struct Runtime {
    scene: Scene,
    known: Arc<Mutex<Known>>,
}

impl Runtime {
    fn with<R>(&self, act: impl FnOnce(&mut Known) -> R) -> R {
        act(&mut self.known.lock().expect("no panic"))
    }
}

impl Socket for Runtime {
    fn poll_readable(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.with(|known| known.readable) {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    }

    fn recv(&mut self, on_datagram: &mut dyn FnMut(Path, Ecn, &mut [u8])) -> io::Result<Received> {
        let result = self.scene.recv(on_datagram);
        let empty = result.as_ref().is_err_and(|why| why.kind() == io::ErrorKind::WouldBlock);
        self.with(|known| known.readable &= !empty);
        result
    }

    fn poll_writable(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|known| {
            known.for_room = !known.writable;
            match known.writable {
                true => Poll::Ready(Ok(())),
                false => Poll::Pending,
            }
        })
    }

    fn send(&mut self, transmit: &Transmit, bytes: &[u8]) -> SendOutcome {
        let outcome = self.scene.send(transmit, bytes);
        if matches!(outcome, SendOutcome::Full { .. }) {
            self.with(|known| known.writable = false);
        }
        outcome
    }
}

impl Timer for Runtime {
    fn now(&self) -> Instant {
        let now = self.scene.now();
        self.with(|known| known.now = now);
        now
    }

    fn poll_until(&mut self, _cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()> {
        self.with(|known| {
            known.until = deadline;
            match deadline.is_some_and(|deadline| deadline <= known.now) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
    }
}

/// Whether the task woke itself.
#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// The loop and the executor of its task.
struct Async {
    looper: Loop<Machine, Runtime, Runtime>,
    runtime: Runtime,
    flag: Arc<Flag>,
}

impl Subject for Async {
    fn start(machine: Machine, scene: &Scene) -> Self {
        let known = Arc::new(Mutex::new(Known { readable: true, ..Known::default() }));
        let runtime = Runtime { scene: scene.clone(), known };
        let looper = Loop::new(runtime.clone(), runtime.clone(), machine);
        Self { looper, runtime, flag: Arc::default() }
    }

    fn turn(&mut self, events: &mut Vec<Told>) {
        let waker = Waker::from(Arc::clone(&self.flag));
        let mut cx = Context::from_waker(&waker);
        // What has given an event has to be asked again, as if the task had woken itself.
        let mut again = false;
        if let Poll::Ready(event) = self.looper.poll_next(&mut cx) {
            again = true;
            events.push(event.expect("a turn"));
            events.extend(std::iter::from_fn(|| self.looper.next_event()));
        }
        again |= self.flag.0.swap(false, Ordering::SeqCst);
        let (until, for_room) = self.runtime.with(|known| {
            let until = if again { Some(known.now) } else { known.until };
            (until, known.for_room)
        });
        let ready = self.runtime.scene.wait(until, for_room);
        self.runtime.with(|known| {
            known.readable |= ready.readable;
            known.writable |= ready.writable;
            known.for_room &= !ready.writable;
        });
    }
}

tripline_kit::conformance!(Async);

/// The scene's one link, and the timer, as a runtime tells of them.
#[derive(Clone)]
struct Played {
    scene: StreamScene,
    known: Arc<Mutex<Known>>,
}

impl Played {
    fn with<R>(&self, act: impl FnOnce(&mut Known) -> R) -> R {
        act(&mut self.known.lock().expect("no panic"))
    }
}

impl Readiness for Played {
    fn poll_readable(&self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.with(|known| known.readable) {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    }

    fn poll_writable(&self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|known| {
            known.for_room = !known.writable;
            match known.writable {
                true => Poll::Ready(Ok(())),
                false => Poll::Pending,
            }
        })
    }
}

impl Wire for Played {
    fn is_connected(&mut self) -> io::Result<bool> {
        Ok(true)
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.scene.recv(into);
        self.with(|known| known.readable &= matches!(read, Ok(1..)));
        read
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.scene.send(bytes);
        self.with(|known| known.writable &= written.is_ok());
        written
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// There is none.
impl Door for Played {
    type Wire = Self;

    fn accept(&mut self) -> io::Result<(Self, SocketAddr)> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn local(&self) -> Option<SocketAddr> {
        None
    }
}

impl Net for Played {
    type Wire = Self;
    type Door = Self;

    fn connect(&mut self, _: SocketAddr) -> io::Result<Self> {
        Ok(self.clone())
    }

    fn listen(&mut self, _: SocketAddr) -> io::Result<Self> {
        Ok(self.clone())
    }
}

impl Sockets for Played {
    type Udp = Runtime;

    fn bind(&mut self, address: SocketAddr) -> io::Result<(Runtime, Option<SocketAddr>)> {
        NoLinks::new().bind(address)
    }
}

impl Timer for Played {
    fn now(&self) -> Instant {
        let now = self.scene.now();
        self.with(|known| known.now = now);
        now
    }

    fn poll_until(&mut self, _cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()> {
        self.with(|known| {
            known.until = deadline;
            match deadline.is_some_and(|deadline| deadline <= known.now) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
    }
}

/// The loop of a hub around one link, and the executor of its task.
struct Linked {
    looper: HubLoop<LinkProbe, Played, Played>,
    played: Played,
    flag: Arc<Flag>,
}

impl StreamSubject for Linked {
    fn start(machine: StreamProbe, scene: &StreamScene) -> Self {
        let known = Known { readable: true, writable: true, ..Known::default() };
        let played = Played { scene: scene.clone(), known: Arc::new(Mutex::new(known)) };
        let (hub, how) = (LinkProbe::new(machine), HubOptions::default());
        let looper = HubLoop::new(played.clone(), played.clone(), hub, &how);
        Self { looper, played, flag: Arc::default() }
    }

    fn turn(&mut self, events: &mut Vec<Told>) {
        let waker = Waker::from(Arc::clone(&self.flag));
        let mut cx = Context::from_waker(&waker);
        // What has given an event has to be asked again, as if the task had woken itself.
        let mut again = false;
        if let Poll::Ready(event) = self.looper.poll_next(&mut cx) {
            again = true;
            events.push(event.expect("a turn"));
            events.extend(std::iter::from_fn(|| self.looper.next_event()));
        }
        again |= self.flag.0.swap(false, Ordering::SeqCst);
        let (until, for_room) = self.played.with(|known| {
            let until = if again { Some(known.now) } else { known.until };
            (until, known.for_room)
        });
        let ready = self.played.scene.wait(until, for_room);
        self.played.with(|known| {
            known.readable |= ready.readable;
            known.writable |= ready.writable;
            known.for_room &= !ready.writable;
        });
    }
}

mod links {
    tripline_kit::stream_conformance!(super::Linked);
}

/// T64: a full socket loses nothing, doubles nothing and is waited for; the same by name, for the
/// page of rows.
#[test]
fn t64_a_full_socket_costs_latency_only() {
    if let Err(broken) = tripline_kit::check::<Async>(tripline_kit::Rule::Room) {
        panic!("{broken}");
    }
}

/// T64: the same of a link.
#[test]
fn t64_a_full_link_costs_latency_only() {
    if let Err(broken) = tripline_kit::check_stream::<Linked>(tripline_kit::Rule::Room) {
        panic!("{broken}");
    }
}
