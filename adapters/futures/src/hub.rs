//! The loop of a hub: one task, all its sockets.

use crate::links::{RuntimeNet, Sockets};
use crate::runtime::{Held, Readiness, Runtime, Socket, Timer};
use crate::{Options, Turns};
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use tripline_sansio::{Hub, Instant, LinkKind, Secure};
use tripline_tcp::{Board, HubPump, Interest, Limits, Place, Socket as Which};
use tripline_udp::Tells;

/// How to make a [`HubLoop`], or an [`Endpoint`](crate::Endpoint) that can travel by links.
#[derive(Clone, Default)]
pub struct HubOptions {
    /// For UDP sockets.
    pub options: Options,
    /// How many links there may be, and how patient to be with them.
    pub limits: Limits,
    /// What secures TLS links; without it there are none.
    pub secure: Option<Arc<dyn Secure + Send + Sync>>,
}

impl fmt::Debug for HubOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubOptions")
            .field("options", &self.options)
            .field("limits", &self.limits)
            .field("secure", &self.secure.is_some())
            .finish()
    }
}

/// One hub, its links, one timer, and whichever task polls it: what [`Loop`](crate::Loop) is to a
/// machine with one socket. Around one TCP link or one listener it drives any stream machine, by
/// [`Solo`](tripline_sansio::Solo) and [`Crowd`](tripline_sansio::Crowd).
///
/// A turn ([`HubPump`]) does a bounded amount of work and reads the clock once. It asks each socket
/// whether it is ready, so its price grows with the number of links, as that of a `poll` does.
///
/// It has no thread and no lock of its own; it is dropped at any time without harm, and what the
/// sockets did not take is lost with it.
pub struct HubLoop<H: Hub, L: Sockets, T> {
    pump: HubPump<H, L, Held<L::Udp>>,
    sockets: L,
    timer: T,
    /// Links that were found to be ready, before the pump is told.
    found: Vec<(Place, Interest)>,
}

impl<H: Hub, L: Sockets, T> fmt::Debug for HubLoop<H, L, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubLoop").field("pump", &self.pump).finish_non_exhaustive()
    }
}

impl<H: Hub, R: Runtime> HubLoop<H, RuntimeNet<R>, R::Timer> {
    /// A loop without sockets, for one of the runtime's tasks to run; the hub wishes for them, or
    /// they are handed in.
    pub fn on(runtime: &R, hub: H, how: &HubOptions) -> Self {
        let sockets = RuntimeNet::new(runtime, &how.options);
        Self::new(sockets, runtime.timer(), hub, how)
    }

    /// Takes over a listener, as if the hub had wished for it by this number. It must not block.
    ///
    /// # Errors
    /// If the runtime cannot watch it.
    pub fn add_listener(
        &mut self,
        number: u64,
        kind: LinkKind,
        listener: std::net::TcpListener,
    ) -> io::Result<()> {
        let door = self.sockets.adopt(listener)?;
        self.pump.add_listener(self.timer.now(), number, kind, door);
        Ok(())
    }
}

impl<H: Hub, L: Sockets, T: Timer> HubLoop<H, L, T> {
    /// A loop over any sockets, by any timer.
    pub fn new(sockets: L, timer: T, hub: H, how: &HubOptions) -> Self {
        let board = Board::new(sockets.clone(), how.limits, how.secure.clone());
        Self { pump: HubPump::new(hub, board, Tells::Once), sockets, timer, found: Vec::new() }
    }

    /// Takes over a UDP socket, as if the hub had wished for it by this number.
    pub fn add_udp(&mut self, number: u64, socket: L::Udp, local: Option<SocketAddr>) {
        self.pump.add_udp(self.timer.now(), number, (Held(socket), local));
    }

    /// The next event, in the order in which things happened; until there is one, the loop runs.
    ///
    /// Cancel-safe: an event is given out or stays.
    ///
    /// # Errors
    /// If a UDP socket itself is broken; what becomes of links is told to the hub.
    pub async fn next(&mut self) -> io::Result<H::Event> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// One turn of [`Self::next`]. Where it gives no event, the task is woken when there is
    /// something to do; at once if there was more than a turn may do, so that others have theirs.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<H::Event>> {
        self.ask(cx)?;
        let now = self.timer.now();
        let sockets = &mut self.sockets;
        let mut bind = |address| sockets.bind(address).map(|(udp, local)| (Held(udp), local));
        self.pump.turn(now, &mut bind)?;
        if let Some(event) = self.pump.next_event() {
            return Poll::Ready(Ok(event));
        }
        let ready = self.ask(cx)?;
        let deadline = self.pump.deadline(now);
        if ready || self.timer.poll_until(cx, deadline).is_ready() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Asks all sockets what they are ready for, and leaves word where they are not; whether any is
    /// ready for anything that is of interest.
    fn ask(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let (mut any, mut udp) = (false, Vec::new());
        for (number, held, wants_room) in self.pump.hub_and_ports().1 {
            let readable = held.0.poll_readable(cx)?.is_ready();
            let writable = wants_room && held.0.poll_writable(cx)?.is_ready();
            if readable || writable {
                udp.push((number, readable, writable));
            }
        }
        for (number, readable, writable) in udp {
            any = true;
            self.pump.ready_udp(number, readable, writable);
        }
        self.found.clear();
        for (place, which, want) in self.pump.board().sockets() {
            let ready = match which {
                Which::Wire(wire) => look(cx, wire, want),
                Which::Door(door) => look(cx, door, want),
            };
            if ready.read || ready.write {
                self.found.push((place, ready));
            }
        }
        for (place, ready) in self.found.drain(..) {
            any = true;
            self.pump.ready(place, ready);
        }
        Ok(any)
    }

    /// An event that is there already; the loop does not run. After [`Self::next`] this gives what
    /// else that turn has brought, without the price of another one.
    pub fn next_event(&mut self) -> Option<H::Event> {
        self.pump.next_event()
    }

    /// Uses the hub at the present time; what it has to say goes out with the next turn.
    pub fn with<R>(&mut self, action: impl FnOnce(&mut H, Instant) -> R) -> R {
        let now = self.timer.now();
        action(self.pump.hub_mut(), now)
    }

    /// The hub.
    pub fn hub(&self) -> &H {
        self.pump.hub()
    }

    /// A UDP socket, by its number.
    pub fn udp(&self, number: u64) -> Option<&L::Udp> {
        let mut ports = self.pump.ports();
        ports.find(|(one, ..)| *one == number).map(|(_, held, _)| &held.0)
    }

    /// What has become of TCP and TLS links.
    pub fn link_stats(&self) -> tripline_tcp::Stats {
        self.pump.board().stats()
    }

    /// What this loop has done so far (T18: an idle loop does nothing).
    pub fn turns(&self) -> Turns {
        self.pump.turns()
    }
}

/// What of `want` a socket is ready for. A runtime that no longer watches it counts as ready: the
/// call that follows says what is wrong.
fn look(cx: &mut Context<'_>, socket: &impl Readiness, want: Interest) -> Interest {
    let read = want.read && socket.poll_readable(cx).is_ready();
    let write = want.write && socket.poll_writable(cx).is_ready();
    Interest { read, write }
}
