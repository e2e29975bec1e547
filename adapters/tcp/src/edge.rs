//! Sockets that remember what they were told of their readiness, for loops that hear it once only
//! and have nobody to ask again, as those of mio.
//!
//! *In*: what mio told, and what calls found. *Out*: whether a call is worth its price. They change
//! nothing else about the socket inside.

use crate::{Bound, Door, HubPump, Interest, Net, Socket, Wire};
use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use tripline_sansio::{Hub, Instant};
use tripline_udp::Carrier;

/// A socket, and what it is ready for as far as was told and no call has found otherwise since.
#[derive(Debug)]
pub struct Edge<S> {
    /// The socket inside.
    pub socket: S,
    readable: Cell<bool>,
    writable: Cell<bool>,
}

impl<S> Edge<S> {
    /// A socket of which nothing is known yet.
    pub fn new(socket: S) -> Self {
        Self { socket, readable: Cell::new(false), writable: Cell::new(false) }
    }

    /// Notes what was told.
    pub fn tell(&self, readable: bool, writable: bool) {
        self.readable.set(self.readable.get() || readable);
        self.writable.set(self.writable.get() || writable);
    }

    /// What of `want` it is ready for.
    fn ready(&self, want: Interest) -> Interest {
        let read = want.read && self.readable.get();
        Interest { read, write: want.write && self.writable.get() }
    }
}

fn would_block<T>(result: &io::Result<T>) -> bool {
    result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

impl<W: Wire> Wire for Edge<W> {
    fn is_connected(&mut self) -> io::Result<bool> {
        let connected = self.socket.is_connected();
        if matches!(connected, Ok(false)) {
            self.writable.set(false);
        }
        connected
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.socket.read(into);
        if would_block(&read) || matches!(read, Ok(0)) {
            self.readable.set(false);
        }
        read
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.socket.write(bytes);
        if would_block(&written) {
            self.writable.set(false);
        }
        written
    }

    fn finish(&mut self) -> io::Result<()> {
        self.socket.finish()
    }
}

impl<D: Door> Door for Edge<D> {
    type Wire = Edge<D::Wire>;

    fn accept(&mut self) -> io::Result<(Self::Wire, SocketAddr)> {
        let came = self.socket.accept();
        if would_block(&came) {
            self.readable.set(false);
        }
        came.map(|(wire, remote)| (Edge::new(wire), remote))
    }

    fn local(&self) -> Option<SocketAddr> {
        self.socket.local()
    }
}

/// Makes such sockets.
#[derive(Clone, Copy, Debug)]
pub struct EdgeNet<N>(pub N);

impl<N: Net> Net for EdgeNet<N> {
    type Wire = Edge<N::Wire>;
    type Door = Edge<N::Door>;

    fn connect(&mut self, address: SocketAddr) -> io::Result<Self::Wire> {
        self.0.connect(address).map(Edge::new)
    }

    fn listen(&mut self, address: SocketAddr) -> io::Result<Self::Door> {
        self.0.listen(address).map(Edge::new)
    }
}

impl<H: Hub, N: Net, U> HubPump<H, EdgeNet<N>, U> {
    /// When the next [`Self::edge_turn`] is due if nothing becomes ready before: at once while a
    /// link is ready, for nobody tells that again.
    pub fn edge_deadline(&self, now: Instant) -> Option<Instant> {
        let ready = self.board().sockets().any(|(_, socket, want)| is_any(ready(&socket, want)));
        if ready { Some(Instant::ZERO) } else { self.deadline(now) }
    }
}

impl<H: Hub, N: Net, U: Carrier> HubPump<H, EdgeNet<N>, U> {
    /// [Notes](Self::ready) what the links are ready for, and has a [turn](Self::turn).
    ///
    /// # Errors
    /// As [`Self::turn`].
    pub fn edge_turn(
        &mut self,
        now: Instant,
        bind: &mut dyn FnMut(SocketAddr) -> io::Result<Bound<U>>,
    ) -> io::Result<()> {
        let all = self.board().sockets();
        let found: Vec<_> =
            all.map(|(place, socket, want)| (place, ready(&socket, want))).collect();
        for (place, ready) in found.into_iter().filter(|(_, ready)| is_any(*ready)) {
            self.ready(place, ready);
        }
        self.turn(now, bind)
    }
}

fn ready<N: Net>(socket: &Socket<'_, EdgeNet<N>>, want: Interest) -> Interest {
    match socket {
        Socket::Wire(wire) => wire.ready(want),
        Socket::Door(door) => door.ready(want),
    }
}

fn is_any(ready: Interest) -> bool {
    ready.read || ready.write
}
