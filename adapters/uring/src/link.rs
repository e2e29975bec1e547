//! A UDP socket that receives by a ring and sends as ever.

use crate::Unavailable;
use crate::message::parse;
use crate::ring::{Ring, probe};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use tripline_sansio::{Ecn, Path, Transmit};
use tripline_std::{Link, Received, SendOutcome};
use tripline_udp::{Options, Socket, Stats};

/// Buffers of a link, unless it is told otherwise: 4 MiB, about what the socket itself may hold.
const BUFFERS: u16 = 64;

/// A UDP socket whose datagrams come by io_uring.
///
/// Its file descriptor is that of the ring: readable when something was received; room is a matter
/// of the socket's ([`Link::room_fd`]). What it has received stays in registered buffers until
/// [`Link::recv`]; what is beyond them waits in the socket, as ever. Dropping it waits for the
/// kernel to let go of the buffers, which it does at once.
#[derive(Debug)]
pub struct UringLink {
    // Before the socket: it has to be gone first.
    ring: Ring,
    socket: Socket<UdpSocket>,
}

impl UringLink {
    /// A link over a new socket at `address`.
    ///
    /// # Errors
    /// As [`Socket::bind`]; [`io::ErrorKind::Unsupported`], with an [`Unavailable`] inside, if
    /// there is no ring to be had.
    pub fn bind(address: SocketAddr, options: &Options) -> io::Result<Self> {
        Ok(Self::new(Socket::bind(address, options)?, BUFFERS)?)
    }

    /// A link over `socket`, with `buffers` registered buffers of 66 KiB: a power of two, at most
    /// 2^15.
    ///
    /// # Errors
    /// [`Unavailable`] if there is no ring to be had, or no such number of buffers.
    pub fn new(socket: Socket<UdpSocket>, buffers: u16) -> Result<Self, Unavailable> {
        probe()?;
        Ok(Self { ring: Ring::new(&socket, buffers)?, socket })
    }

    /// The address the socket is bound to.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The counters of the socket (T68); receive calls are those by which receiving was asked for.
    pub fn stats(&self) -> Stats {
        self.socket.stats()
    }
}

impl AsFd for UringLink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}

impl Link for UringLink {
    fn recv(&mut self, on_datagram: &mut dyn FnMut(Path, Ecn, &mut [u8])) -> io::Result<Received> {
        let Self { ring, socket } = self;
        let batcher = socket.parts_mut().1;
        let mut received = Received::default();
        let mut unread = 0;
        let reaped = ring.reap(|bytes| {
            let Some((message, payload)) = parse(bytes) else {
                unread += 1;
                return;
            };
            let one = batcher.deliver(payload, &message, &mut *on_datagram);
            received.messages += 1;
            received.datagrams += one.datagrams;
            received.bytes += one.bytes;
        })?;
        batcher.count_recv(reaped.calls, reaped.errors + unread);
        received.maybe_more = reaped.more;
        if reaped.messages == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(received)
    }

    fn send(&mut self, transmit: &Transmit, bytes: &[u8]) -> SendOutcome {
        self.socket.send(transmit, bytes)
    }

    /// The socket's: what the ring has to do with is receiving.
    fn room_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
