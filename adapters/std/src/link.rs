//! What carries datagrams: the seam between the loop and its socket.

use crate::Waker;
use crate::wait::{Ready, wait};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;
use tripline_sansio::{Ecn, Path, Transmit};
use tripline_udp::{Received, RecvBuffers, SendOutcome, Socket, Stats};

/// A carrier of datagrams with a file descriptor to wait on (T63): a UDP socket, or a user's own
/// (a serial line, a radio, a pair of Unix sockets).
///
/// No call may block (T64).
pub trait Link: AsFd {
    /// Receives some datagrams, as many as one call of the system gives, and hands each on.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if there is nothing to receive. Any other error ends
    /// [`Loop::run_once`](crate::Loop::run_once), so it must mean that the link itself is broken.
    fn recv(&mut self, on_datagram: &mut dyn FnMut(Path, Ecn, &mut [u8])) -> io::Result<Received>;

    /// Sends one datagram or a train of them; `bytes` is exactly `transmit.len` long. That they are
    /// too large for the link ([`DropCause::TooBig`](crate::DropCause::TooBig)) is handed on to the
    /// machine, which may send smaller ones from then on.
    fn send(&mut self, transmit: &Transmit, bytes: &[u8]) -> SendOutcome;

    /// Waits until there is something to receive (or there is room, if `for_room`), the waker rings
    /// or `at_most` is over; `None` waits for ever. The only place where a loop waits.
    ///
    /// As it is, the system watches the file descriptor. A link that knows better (of a virtual
    /// world, for example) waits in its own way.
    ///
    /// # Errors
    /// If the link itself is broken.
    fn wait(&self, waker: &Waker, for_room: bool, at_most: Option<Duration>) -> io::Result<Ready> {
        wait(&self.as_fd(), waker, for_room, at_most)
    }
}

/// A UDP socket with its receive buffers.
#[derive(Debug)]
pub struct UdpLink {
    socket: Socket<UdpSocket>,
    buffers: RecvBuffers,
}

impl UdpLink {
    /// A link over `socket` with `buffers` receive buffers of 64 KiB; see [`RecvBuffers::new`].
    pub fn new(socket: Socket<UdpSocket>, buffers: usize) -> Self {
        Self { socket, buffers: RecvBuffers::new(buffers) }
    }

    /// The address the socket is bound to.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The counters of the socket (T68).
    pub fn stats(&self) -> Stats {
        self.socket.stats()
    }

    /// The socket inside.
    pub fn socket(&self) -> &Socket<UdpSocket> {
        &self.socket
    }
}

impl AsFd for UdpLink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Link for UdpLink {
    fn recv(&mut self, on_datagram: &mut dyn FnMut(Path, Ecn, &mut [u8])) -> io::Result<Received> {
        self.socket.recv_batch(&mut self.buffers, on_datagram)
    }

    fn send(&mut self, transmit: &Transmit, bytes: &[u8]) -> SendOutcome {
        self.socket.send(transmit, bytes)
    }
}
