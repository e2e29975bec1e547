//! The task that drives an endpoint: the loop, and what it cannot do under the lock.

use crate::front::{Counters, Notice};
use crate::hub::HubLoop;
use crate::links::Sockets;
use crate::runtime::{Socket, Timer};
use crate::shared::{Locked, Shared};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tripline::{ConnectionHandle, LinkHub};
use tripline_common::{Door, Error, resolve};

/// Turns of one poll that brought something to decide, at most.
const MAX_TURNS: usize = 4;

/// The future that drives an [`Endpoint`](crate::Endpoint), to be run to its end by whatever runs
/// tasks. It ends when nobody holds a handle any more and the last connection has said goodbye, or
/// when the socket breaks; should it be dropped before, every call on the endpoint ends with
/// [`Error::Ended`].
///
/// It sleeps exactly until the engine's deadline, and each poll does a bounded amount of work.
#[derive(Debug)]
#[must_use = "nothing is sent or received while nobody polls it"]
pub struct Driver<L: Sockets, T> {
    looper: HubLoop<Locked, L, T>,
    shared: Arc<Shared>,
    door: Door,
    /// Why it ended.
    fate: Error,
}

impl<L: Sockets, T: Timer> Driver<L, T> {
    /// `looper` is around the [`Locked`] of the same `shared`.
    pub(crate) fn new(shared: Arc<Shared>, looper: HubLoop<Locked, L, T>, door: Door) -> Self {
        Self { looper, shared, door, fate: Error::Ended }
    }

    /// What the handles are told of at the end of a turn.
    fn counters(&self) -> Counters {
        let socket = self.looper.udp(LinkHub::UDP).map(Socket::stats).unwrap_or_default();
        (socket, self.looper.link_stats(), self.looper.turns())
    }

    fn on_notice(&mut self, notice: Notice) {
        match notice {
            Notice::Incoming(incoming) => {
                // The user's code, so without the lock.
                let decision = self.door.decide(&incoming);
                self.shared.with(|front, now| decision.tell(front.engine(), now));
            }
            Notice::Resolve(connection, host, port) => self.resolve(connection, host, port),
        }
    }

    /// Row T02: the system's resolver may take its time, so it gets a thread of its own, on any
    /// runtime. The attempt's deadline goes on meanwhile.
    fn resolve(&self, connection: ConnectionHandle, host: String, port: u16) {
        let shared = Arc::clone(&self.shared);
        let work = move || {
            let found = resolve(&host, port).map_err(|error| error.to_string());
            tell_found(&shared, connection, found);
        };
        if let Err(error) = std::thread::Builder::new().name("tripline-dns".into()).spawn(work) {
            tell_found(&self.shared, connection, Err(error.to_string()));
        }
    }

    fn end(&mut self) -> Poll<()> {
        self.shared.with(|front, _| front.die(&self.fate));
        Poll::Ready(())
    }
}

fn tell_found(
    shared: &Shared,
    connection: ConnectionHandle,
    found: Result<Vec<SocketAddr>, String>,
) {
    shared.with(|front, now| front.resolved(now, connection, found));
}

impl<L: Sockets, T> Unpin for Driver<L, T> {}

impl<L: Sockets, T: Timer> Future for Driver<L, T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        // Before anything is looked at: what changes from here on wakes us again.
        let old = this.shared.lock().driven_by(cx.waker());
        // To drop a waker may run anybody's code: not under the lock.
        drop(old);
        for _ in 0..MAX_TURNS {
            match this.looper.poll_next(cx) {
                Poll::Ready(Ok(notice)) => {
                    this.on_notice(notice);
                    while let Some(notice) = this.looper.next_event() {
                        this.on_notice(notice);
                    }
                }
                Poll::Ready(Err(error)) => {
                    this.fate = error.into();
                    return this.end();
                }
                Poll::Pending => {
                    let counters = this.counters();
                    if this.shared.lock().publish(counters) {
                        return this.end();
                    }
                    return Poll::Pending;
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<L: Sockets, T> Drop for Driver<L, T> {
    /// However it ends: nobody may wait for it any more.
    fn drop(&mut self) {
        self.shared.with(|front, _| front.die(&self.fate));
    }
}
