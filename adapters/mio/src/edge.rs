//! Sockets that remember what they were told of their readiness, because mio tells it once only.
//!
//! *In*: what mio told, and what calls found. *Out*: whether a call is worth its price. They change
//! nothing else about the socket inside.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use tripline_tcp::{Door, Interest, Net, Wire};

/// A socket, and what it is ready for as far as was told and no call has found otherwise since.
#[derive(Debug)]
pub(crate) struct Edge<S> {
    pub(crate) socket: S,
    readable: Cell<bool>,
    writable: Cell<bool>,
}

impl<S> Edge<S> {
    fn new(socket: S) -> Self {
        Self { socket, readable: Cell::new(false), writable: Cell::new(false) }
    }

    /// Notes what was told.
    pub(crate) fn tell(&self, readable: bool, writable: bool) {
        self.readable.set(self.readable.get() || readable);
        self.writable.set(self.writable.get() || writable);
    }

    /// What of `want` it is ready for.
    pub(crate) fn ready(&self, want: Interest) -> Interest {
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
pub(crate) struct EdgeNet<N>(pub(crate) N);

impl<N: Net> EdgeNet<N> {
    /// A listener that was made elsewhere.
    pub(crate) fn adopt(door: N::Door) -> Edge<N::Door> {
        Edge::new(door)
    }
}

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
