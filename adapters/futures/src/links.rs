//! The sockets of a hub: those of a runtime, or one UDP socket of anybody's and no links at all.

use crate::Udp;
use crate::runtime::{Accept, Readiness, Runtime, Socket};
use std::cell::Cell;
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use tripline_tcp::{Door, Net, StdNet, Wire};

/// Makes the sockets of a hub, each of which a task can wait for.
pub trait Sockets: Net<Wire: Readiness, Door: Readiness> + Clone {
    /// The UDP sockets.
    type Udp: Socket;

    /// A UDP socket at this address, and the address that it got.
    ///
    /// # Errors
    /// No such socket is to be had.
    fn bind(&mut self, address: SocketAddr) -> io::Result<(Self::Udp, Option<SocketAddr>)>;
}

/// Sockets of a runtime.
#[derive(Clone, Debug)]
pub struct RuntimeNet<R> {
    runtime: R,
    options: tripline_udp::Options,
    receive_buffers: usize,
}

impl<R: Runtime> RuntimeNet<R> {
    /// Sockets that `runtime` watches, UDP sockets with these options.
    pub fn new(runtime: &R, options: &crate::Options) -> Self {
        let runtime = runtime.clone();
        Self { runtime, options: options.socket, receive_buffers: options.receive_buffers }
    }

    /// A listener that was made elsewhere.
    pub(crate) fn adopt(&self, listener: std::net::TcpListener) -> io::Result<Gate<R::Listener>> {
        Ok(Gate { listener: self.runtime.watch_listener(listener)?, came: Cell::new(None) })
    }
}

impl<R: Runtime> Net for RuntimeNet<R> {
    type Wire = R::Stream;
    type Door = Gate<R::Listener>;

    fn connect(&mut self, address: SocketAddr) -> io::Result<R::Stream> {
        self.runtime.watch_stream(StdNet.connect(address)?)
    }

    fn listen(&mut self, address: SocketAddr) -> io::Result<Self::Door> {
        self.adopt(StdNet.listen(address)?)
    }
}

impl<R: Runtime> Sockets for RuntimeNet<R> {
    type Udp = Udp<R::Io>;

    fn bind(&mut self, address: SocketAddr) -> io::Result<(Self::Udp, Option<SocketAddr>)> {
        let udp = Udp::bind(&self.runtime, address, &self.options, self.receive_buffers)?;
        let local = udp.local_addr();
        Ok((udp, Some(local)))
    }
}

/// A listener of a runtime: who came is kept until the board lets them in, one a turn.
pub struct Gate<L: Accept> {
    listener: L,
    came: Cell<Option<Came<L::Stream>>>,
}

/// A newcomer, and where it comes from.
type Came<S> = io::Result<(S, SocketAddr)>;

impl<L: Accept> fmt::Debug for Gate<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("local", &self.listener.local()).finish_non_exhaustive()
    }
}

impl<L: Accept> Readiness for Gate<L> {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let came = match self.came.take() {
            Some(came) => came,
            None => match self.listener.poll_accept(cx) {
                Poll::Ready(came) => came,
                Poll::Pending => return Poll::Pending,
            },
        };
        self.came.set(Some(came));
        Poll::Ready(Ok(()))
    }

    fn poll_writable(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl<L: Accept<Stream: Wire>> Door for Gate<L> {
    type Wire = L::Stream;

    fn accept(&mut self) -> io::Result<(L::Stream, SocketAddr)> {
        self.came.take().unwrap_or_else(|| Err(io::ErrorKind::WouldBlock.into()))
    }

    fn local(&self) -> Option<SocketAddr> {
        self.listener.local()
    }
}

/// No links, and no UDP sockets but those that are handed in: wishes for more fail.
#[derive(Debug)]
pub struct NoLinks<S>(PhantomData<fn() -> S>);

impl<S> Clone for NoLinks<S> {
    fn clone(&self) -> Self {
        Self::new()
    }
}

impl<S> NoLinks<S> {
    /// None.
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<S> Default for NoLinks<S> {
    fn default() -> Self {
        Self::new()
    }
}

/// A link that is never there.
#[derive(Clone, Copy, Debug)]
pub struct Never(Infallible);

fn none<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

impl<S> Net for NoLinks<S> {
    type Wire = Never;
    type Door = Never;

    fn connect(&mut self, _: SocketAddr) -> io::Result<Never> {
        none()
    }

    fn listen(&mut self, _: SocketAddr) -> io::Result<Never> {
        none()
    }
}

impl<S: Socket> Sockets for NoLinks<S> {
    type Udp = S;

    fn bind(&mut self, _: SocketAddr) -> io::Result<(S, Option<SocketAddr>)> {
        none()
    }
}

impl Wire for Never {
    fn is_connected(&mut self) -> io::Result<bool> {
        match self.0 {}
    }

    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        match self.0 {}
    }

    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        match self.0 {}
    }

    fn finish(&mut self) -> io::Result<()> {
        match self.0 {}
    }
}

impl Door for Never {
    type Wire = Self;

    fn accept(&mut self) -> io::Result<(Self, SocketAddr)> {
        match self.0 {}
    }

    fn local(&self) -> Option<SocketAddr> {
        match self.0 {}
    }
}

impl Readiness for Never {
    fn poll_readable(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.0 {}
    }

    fn poll_writable(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.0 {}
    }
}
