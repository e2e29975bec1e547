//! A UDP socket of any runtime, in batches.

use crate::runtime::{Runtime, Socket, Watched};
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use tripline_sansio::{Ecn, Path, Transmit};
use tripline_udp::{Batcher, Received, RecvBuffers, SendOutcome, Stats};

/// Batched calls ([`tripline_udp`]) on a socket that a runtime watches.
#[derive(Debug)]
pub struct Udp<I> {
    io: I,
    batcher: Batcher,
    buffers: RecvBuffers,
    local: SocketAddr,
}

impl<I: Watched> Udp<I> {
    /// A new socket at `address`, watched by `runtime`; port 0 lets the system choose one.
    /// `buffers` is the number of receive buffers, see [`RecvBuffers::new`].
    ///
    /// # Errors
    /// As [`tripline_udp::Socket::bind`], and what the runtime says.
    pub fn bind<R: Runtime<Io = I>>(
        runtime: &R,
        address: SocketAddr,
        options: &tripline_udp::Options,
        buffers: usize,
    ) -> io::Result<Self> {
        Self::new(runtime, tripline_udp::Socket::bind(address, options)?, buffers)
    }

    /// A socket that is there already.
    ///
    /// # Errors
    /// What the system or the runtime says.
    pub fn new<R: Runtime<Io = I>>(
        runtime: &R,
        socket: tripline_udp::Socket,
        buffers: usize,
    ) -> io::Result<Self> {
        let local = socket.local_addr()?;
        let io = runtime.watch(socket.into_inner())?;
        let batcher = Batcher::new(io.inner())?;
        Ok(Self { io, batcher, buffers: RecvBuffers::new(buffers), local })
    }

    /// The address the socket is bound to.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }
}

impl<I: Watched> Socket for Udp<I> {
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_readable(cx)
    }

    fn recv(&mut self, on_datagram: &mut dyn FnMut(Path, Ecn, &mut [u8])) -> io::Result<Received> {
        let Self { io, batcher, buffers, .. } = self;
        io.try_recv(|| batcher.recv_batch(io.inner(), buffers, on_datagram))
    }

    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_writable(cx)
    }

    fn send(&mut self, transmit: &Transmit, bytes: &[u8]) -> SendOutcome {
        let Self { io, batcher, .. } = self;
        let mut outcome = SendOutcome::Full { sent: 0 };
        // The error only tells the runtime that there was no room; a runtime that knows so before
        // makes no call at all.
        let _ = io.try_send(|| {
            outcome = batcher.send(io.inner(), transmit, bytes);
            match outcome {
                SendOutcome::Full { .. } => Err(io::ErrorKind::WouldBlock.into()),
                SendOutcome::Sent | SendOutcome::Dropped(_) => Ok(()),
            }
        });
        outcome
    }

    fn max_gso_segments(&self) -> usize {
        self.batcher.max_gso_segments()
    }

    fn stats(&self) -> Stats {
        self.batcher.stats()
    }
}
