//! What carries datagrams: the seam between the loop and its socket.

use crate::Waker;
use crate::shards::Post;
use crate::wait::{Ready, wait};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;
use tripline_sansio::{Ecn, Path, Transmit};
use tripline_udp::{Carrier, Received, RecvBuffers, SendOutcome, Socket, Stats};

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

    /// What becomes writable when there is room again after [`SendOutcome::Full`]: the link's own
    /// file descriptor, as with all sockets, unless the link says otherwise.
    fn room_fd(&self) -> BorrowedFd<'_> {
        self.as_fd()
    }

    /// Waits until there is something to receive (or there is room, if `for_room`), the waker rings
    /// or `at_most` is over; `None` waits for ever. The only place where a loop waits, and the only
    /// one where it learns of room.
    ///
    /// As it is, the system watches the file descriptors. A link that knows better (of a virtual
    /// world, for example) waits in its own way.
    ///
    /// # Errors
    /// If the link itself is broken.
    fn wait(&self, waker: &Waker, for_room: bool, at_most: Option<Duration>) -> io::Result<Ready> {
        wait(self.as_fd(), for_room.then(|| self.room_fd()), waker, at_most)
    }

    /// Hands on what came by another way than the file descriptor, such as from another thread;
    /// asked for after each wake by a [`Waker`](crate::Waker). Bounded, like all calls; what is
    /// left must ring the waker again.
    fn recv_aside(&mut self, on_datagram: &mut dyn FnMut(Path, Ecn, &mut [u8])) {
        let _ = on_datagram;
    }
}

/// A link as turns know it.
#[derive(Debug)]
pub(crate) struct Carried<L>(pub(crate) L);

impl<L: Link> Carrier for Carried<L> {
    fn recv(&mut self, on_datagram: &mut dyn FnMut(Path, Ecn, &mut [u8])) -> io::Result<Received> {
        self.0.recv(on_datagram)
    }

    fn send(&mut self, transmit: &Transmit, bytes: &[u8]) -> SendOutcome {
        self.0.send(transmit, bytes)
    }
}

/// A UDP socket with its receive buffers.
#[derive(Debug)]
pub struct UdpLink {
    socket: Socket<UdpSocket>,
    buffers: RecvBuffers,
    /// Where to carry what is for another endpoint on the same port.
    post: Option<Post>,
}

impl UdpLink {
    /// A link over `socket` with `buffers` receive buffers of 64 KiB; see [`RecvBuffers::new`].
    pub fn new(socket: Socket<UdpSocket>, buffers: usize) -> Self {
        Self { socket, buffers: RecvBuffers::new(buffers), post: None }
    }

    /// The same link, of one of several endpoints on a port if there is a way to the others.
    pub(crate) fn with_post(self, post: Option<Post>) -> Self {
        Self { post, ..self }
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
        let Some(post) = &mut self.post else {
            return self.socket.recv_batch(&mut self.buffers, on_datagram);
        };
        let sort = |path, ecn, datagram: &mut [u8]| post.sort(path, ecn, datagram, on_datagram);
        let received = self.socket.recv_batch(&mut self.buffers, sort);
        post.ring();
        received
    }

    fn recv_aside(&mut self, on_datagram: &mut dyn FnMut(Path, Ecn, &mut [u8])) {
        if let Some(post) = &mut self.post {
            post.collect(on_datagram);
        }
    }

    fn send(&mut self, transmit: &Transmit, bytes: &[u8]) -> SendOutcome {
        self.socket.send(transmit, bytes)
    }
}
