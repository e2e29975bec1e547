//! A socket and its batched calls together.

use crate::Stats;
use crate::batcher::{Batcher, local_addr};
use crate::buffers::{Received, RecvBuffers};
use crate::calls::Calls;
use crate::train::SendOutcome;
use socket2::{Domain, Protocol, SockRef, Type};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use tripline_sansio::{Ecn, Path, Transmit};

/// How to make a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes of receive buffer to ask for. The system grants what its limits allow; see
    /// [`Socket::recv_buffer_bytes`].
    pub recv_buffer: usize,
    /// Bytes of send buffer to ask for, likewise.
    pub send_buffer: usize,
    /// Let several sockets share one port, the system spreading the peers over them
    /// (`SO_REUSEPORT`).
    pub reuse_port: bool,
    /// Whether an IPv6 socket is for IPv6 only; if not, one bound to `[::]` takes IPv4 as well.
    pub only_v6: bool,
}

impl Default for Options {
    fn default() -> Self {
        let buffer = 4 * 1024 * 1024;
        Self { recv_buffer: buffer, send_buffer: buffer, reuse_port: false, only_v6: false }
    }
}

/// A UDP socket that works in batches, over a socket of any runtime, owned or borrowed.
///
/// All calls return at once; the [crate's page](crate) says the rest.
#[derive(Debug)]
pub struct Socket<S = UdpSocket> {
    socket: S,
    batcher: Batcher,
}

impl Socket<UdpSocket> {
    /// A new socket at `address`; port 0 lets the system choose one.
    ///
    /// # Errors
    /// What the system says: the address is not ours or in use, or IPv6 is not there.
    pub fn bind(address: SocketAddr, options: &Options) -> io::Result<Self> {
        let socket =
            socket2::Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(options.only_v6)?;
        }
        if options.reuse_port {
            socket.set_reuse_port(true)?;
        }
        // Some systems refuse what is above their limit instead of granting the limit; a smaller
        // buffer is no reason to have no socket.
        let _ = socket.set_recv_buffer_size(options.recv_buffer);
        let _ = socket.set_send_buffer_size(options.send_buffer);
        socket.bind(&address.into())?;
        Self::new(socket.into())
    }
}

impl Socket<UdpSocket> {
    /// A new socket of all our addresses, as clients have it: of IPv6 and IPv4, or where there is
    /// no IPv6 of IPv4 alone.
    ///
    /// # Errors
    /// As [`Self::bind`].
    pub fn bind_any(options: &Options) -> io::Result<Self> {
        let v6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        Self::bind(v6, options).or_else(|_| Self::bind(v4, options))
    }
}

impl<S: AsFd> Socket<S> {
    /// Works on `socket`, which becomes non-blocking.
    ///
    /// # Errors
    /// As [`Batcher::new`].
    pub fn new(socket: S) -> io::Result<Self> {
        Ok(Self { batcher: Batcher::new(&socket)?, socket })
    }

    /// Works on `socket` by these system calls, which have made it ready for themselves.
    ///
    /// # Errors
    /// As [`Batcher::with_calls`].
    pub fn with_calls(socket: S, calls: Box<dyn Calls>) -> io::Result<Self> {
        Ok(Self { batcher: Batcher::with_calls(&socket, calls)?, socket })
    }

    /// The address this socket is bound to.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        local_addr(&self.socket)
    }

    /// As [`Batcher::recv_batch`].
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if there is nothing to receive; others only if the socket
    /// itself is broken.
    pub fn recv_batch(
        &mut self,
        buffers: &mut RecvBuffers,
        on_datagram: impl FnMut(Path, Ecn, &mut [u8]),
    ) -> io::Result<Received> {
        self.batcher.recv_batch(&self.socket, buffers, on_datagram)
    }

    /// As [`Batcher::send`].
    pub fn send(&mut self, transmit: &Transmit, bytes: &[u8]) -> SendOutcome {
        self.batcher.send(&self.socket, transmit, bytes)
    }

    /// As [`Batcher::max_gso_segments`].
    pub fn max_gso_segments(&self) -> usize {
        self.batcher.max_gso_segments()
    }

    /// The counters (T68).
    pub fn stats(&self) -> Stats {
        self.batcher.stats()
    }

    /// Bytes of receive buffer that the system granted (Linux counts its own bookkeeping in).
    ///
    /// # Errors
    /// What the system says.
    pub fn recv_buffer_bytes(&self) -> io::Result<usize> {
        SockRef::from(&self.socket).recv_buffer_size()
    }

    /// Bytes of send buffer that the system granted (Linux counts its own bookkeeping in).
    ///
    /// # Errors
    /// What the system says.
    pub fn send_buffer_bytes(&self) -> io::Result<usize> {
        SockRef::from(&self.socket).send_buffer_size()
    }

    /// The socket inside, to wait on.
    pub fn get_ref(&self) -> &S {
        &self.socket
    }

    /// The socket and the batched calls side by side, for runtimes that wrap each call.
    pub fn parts_mut(&mut self) -> (&S, &mut Batcher) {
        (&self.socket, &mut self.batcher)
    }

    /// The two apart, for runtimes that have sockets of their own around this one.
    pub fn into_parts(self) -> (S, Batcher) {
        (self.socket, self.batcher)
    }

    /// The socket back; it stays as it was set up.
    pub fn into_inner(self) -> S {
        self.socket
    }
}

impl<S: AsFd> AsFd for Socket<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
