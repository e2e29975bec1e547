//! The side that a loop drives.

use crate::front::{self, Front};
use crate::shared::Shared;
use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use tripline::Incoming;
use tripline_common::{Decision, Door, resolve};
use tripline_rpc::ConnId;
use tripline_sansio::{Answer, Ecn, Hub, Instant, LinkKind, Path, Transmit, Wish};

/// A node as its loop sees it: a [`Hub`] that takes the lock for each call, and whose events are
/// what is to be seen to without it.
pub struct Driven {
    shared: Arc<Shared>,
}

impl fmt::Debug for Driven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driven").finish_non_exhaustive()
    }
}

/// Something to be seen to by the loop's thread, or task.
#[derive(Debug)]
#[must_use]
pub struct Task {
    shared: Arc<Shared>,
    task: front::Task,
}

impl Task {
    /// Sees to it: a name is resolved, on a thread of its own; who may come in is asked of the
    /// door, here and now.
    pub fn run(self, door: &mut Door) {
        match self.task {
            front::Task::Resolve(conn, host, port) => resolve_aside(self.shared, conn, host, port),
            front::Task::Screen(newcomer) => Self::screen(&self.shared, door, &newcomer),
        }
    }

    fn screen(shared: &Shared, door: &mut Door, newcomer: &Incoming) {
        let decision: Decision = door.decide(newcomer);
        shared.with(|front, now| decision.tell(front.node.hub_mut().endpoint_mut(), now));
    }
}

/// The system's resolver may take its time, so it gets a thread; the attempt's deadline goes on
/// meanwhile.
fn resolve_aside(shared: Arc<Shared>, conn: ConnId, host: String, port: u16) {
    let again = Arc::clone(&shared);
    let tell = move |shared: &Shared, found| {
        // It may be over by now.
        let _ = shared.with(|front, now| front.node.resolved(now, conn, found));
    };
    let work = move || {
        tell(&shared, resolve(&host, port).map_err(|error| error.to_string()));
    };
    if let Err(error) = std::thread::Builder::new().name("tripline-dns".into()).spawn(work) {
        tell(&again, Err(error.to_string()));
    }
}

impl Driven {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Whom to wake when there is something to do: to be said before each turn, or once if it never
    /// changes.
    pub fn wake_by(&self, waker: &Waker) {
        let old = self.shared.lock().driven_by(waker);
        // To drop a waker may run anybody's code: not under the lock.
        drop(old);
    }

    /// Nobody holds a handle any more, and all has ended: the loop may end.
    pub fn is_over(&self) -> bool {
        let front = self.shared.lock();
        front.is_abandoned && front.over.is_some()
    }

    /// The loop has ended: whoever waits is told why.
    pub fn end(&self, why: &str) {
        self.shared.visit(|front, _| front.end(why));
    }

    fn tell<R>(&self, act: impl FnOnce(&mut Front) -> R) -> R {
        act(&mut self.shared.lock())
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        self.end("nobody drives it any more");
    }
}

impl Hub for Driven {
    type Event = Task;

    fn handle_answer(&mut self, now: Instant, link: u64, answer: Answer) {
        self.tell(|front| front.node.handle_answer(now, link, answer));
    }

    fn handle_accepted(
        &mut self,
        now: Instant,
        listener: u64,
        kind: LinkKind,
        remote: std::net::SocketAddr,
    ) -> Option<u64> {
        self.tell(|front| front.node.handle_accepted(now, listener, kind, remote))
    }

    fn handle_datagram(&mut self, now: Instant, link: u64, path: Path, ecn: Ecn, data: &mut [u8]) {
        self.tell(|front| front.node.handle_datagram(now, link, path, ecn, data));
    }

    fn handle_bytes(&mut self, now: Instant, link: u64, bytes: &[u8]) {
        self.tell(|front| front.node.handle_bytes(now, link, bytes));
    }

    fn handle_eof(&mut self, now: Instant, link: u64) {
        self.tell(|front| front.node.handle_eof(now, link));
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.tell(|front| front.node.handle_timeout(now));
    }

    fn poll_wish(&mut self) -> Option<Wish> {
        self.tell(|front| front.node.poll_wish())
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<(u64, Transmit)> {
        self.tell(|front| {
            // What is handed in from here on wakes the loop again.
            front.looked(now);
            front.node.poll_transmit(now, out)
        })
    }

    fn handle_too_big(&mut self, now: Instant, link: u64, transmit: &Transmit) {
        self.tell(|front| front.node.handle_too_big(now, link, transmit));
    }

    fn poll_ready(&mut self, now: Instant) -> Option<u64> {
        self.tell(|front| front.node.poll_ready(now))
    }

    fn poll_write(&mut self, now: Instant, link: u64, out: &mut Vec<u8>) -> bool {
        self.tell(|front| front.node.poll_write(now, link, out))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.tell(|front| front.deadline())
    }

    fn poll_event(&mut self) -> Option<Task> {
        let task = self.shared.visit(Front::dispatch);
        task.map(|task| Task { shared: Arc::clone(&self.shared), task })
    }
}
