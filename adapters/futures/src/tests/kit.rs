//! The conformance suite of loops, passed by [`Loop`](crate::Loop): the suite's scene in the place
//! of the runtime, with readiness as runtimes tell it.

use crate::{Loop, Socket, Timer};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use tripline_kit::{Machine, Scene, Subject, Told};
use tripline_sansio::{Ecn, Instant, Path, Transmit};
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

/// T64: a full socket loses nothing, doubles nothing and is waited for; the same by name, for the
/// page of rows.
#[test]
fn t64_a_full_socket_costs_latency_only() {
    if let Err(broken) = tripline_kit::check::<Async>(tripline_kit::Rule::Room) {
        panic!("{broken}");
    }
}
