//! What a runtime supplies: a socket to wait on, a timer with a clock, and a place to run a task.
//!
//! [`Socket`] and [`Timer`] are all that a [`Loop`](crate::Loop) knows of the outside, so a user's
//! own carrier of datagrams, or a test's, takes the place of UDP as easily as another runtime's
//! socket does.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::task::{Context, Poll};
use tripline_sansio::{Ecn, Instant, Path, Transmit};
use tripline_tcp::Wire;
use tripline_udp::{Carrier, Received, SendOutcome, Stats};

/// A carrier of datagrams that a task can wait for. No call may block (row T64).
pub trait Socket {
    /// Whether [`recv`](Self::recv) is worth a call. If not, the task is woken once it is.
    ///
    /// # Errors
    /// Only if the socket itself is broken.
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Receives some datagrams, as many as one call of the system gives, and hands each on.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if there is nothing to receive: then
    /// [`poll_readable`](Self::poll_readable) waits for more. Any other error ends the loop, so it
    /// must mean that the socket itself is broken.
    fn recv(&mut self, on_datagram: &mut dyn FnMut(Path, Ecn, &mut [u8])) -> io::Result<Received>;

    /// After [`send`](Self::send) said *full*: whether there is room again. If not, the task is
    /// woken once there is.
    ///
    /// # Errors
    /// Only if the socket itself is broken.
    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Sends one datagram or a train of them; `bytes` is exactly `transmit.len` long.
    fn send(&mut self, transmit: &Transmit, bytes: &[u8]) -> SendOutcome;

    /// How many datagrams a train may hold; longer ones are cut, at the price of more calls.
    fn max_gso_segments(&self) -> usize {
        1
    }

    /// The counters (row T68).
    fn stats(&self) -> Stats {
        Stats::default()
    }
}

/// A socket as turns know it.
#[derive(Debug)]
pub(crate) struct Held<S>(pub(crate) S);

impl<S: Socket> Carrier for Held<S> {
    fn recv(&mut self, on_datagram: &mut dyn FnMut(Path, Ecn, &mut [u8])) -> io::Result<Received> {
        self.0.recv(on_datagram)
    }

    fn send(&mut self, transmit: &Transmit, bytes: &[u8]) -> SendOutcome {
        self.0.send(transmit, bytes)
    }
}

/// One timer, and the clock that it goes by.
pub trait Timer {
    /// The time: never earlier than the time before, and the same for all who ask.
    fn now(&self) -> Instant;

    /// Whether `deadline` has come; if not, the task is woken when it comes, and not before.
    /// `None`: there is none, and no wake of an earlier one need come.
    fn poll_until(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()>;
}

/// The readiness of a socket that a runtime watches.
pub trait Readiness {
    /// Ready once there may be something to receive.
    ///
    /// # Errors
    /// If the runtime no longer watches the socket.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Ready once there may be room to send.
    ///
    /// # Errors
    /// If the runtime no longer watches the socket.
    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

/// A UDP socket that a runtime watches.
pub trait Watched: Readiness {
    /// The socket inside.
    type Inner: std::os::fd::AsFd;

    /// The socket inside.
    fn inner(&self) -> &Self::Inner;

    /// Makes a receive call, and sees to it that the next
    /// [`poll_readable`](Readiness::poll_readable) waits if it would have blocked. Runtimes that
    /// remember readiness forget it here.
    ///
    /// # Errors
    /// Those of `call`.
    fn try_recv<T>(&self, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        call()
    }

    /// The same for a send call and [`poll_writable`](Readiness::poll_writable).
    ///
    /// # Errors
    /// Those of `call`.
    fn try_send<T>(&self, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        call()
    }
}

/// A TCP listener that a runtime watches.
pub trait Accept {
    /// What newcomers come with.
    type Stream;

    /// The next newcomer, whose stream is watched and does not block. If there is none the task is
    /// woken once there is.
    ///
    /// # Errors
    /// What the system says.
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Self::Stream, SocketAddr)>>;

    /// Where it is.
    fn local(&self) -> Option<SocketAddr>;
}

/// A runtime: all that [`Endpoint`](crate::Endpoint) needs to be one of its citizens.
pub trait Runtime: Clone + Send + 'static {
    /// A UDP socket that it watches.
    type Io: Watched + Send + 'static;
    /// A TCP stream that it watches. A call that would have blocked sees to it that its readiness
    /// waits for more; so does [`Wire::is_connected`] that says *not yet*.
    type Stream: Wire + Readiness + Send + 'static;
    /// A TCP listener that it watches.
    type Listener: Accept<Stream = Self::Stream> + Send + 'static;
    /// Its timer.
    type Timer: Timer + Send + 'static;

    /// Watches a socket, which is non-blocking already.
    ///
    /// # Errors
    /// What the system or the runtime says.
    fn watch(&self, socket: UdpSocket) -> io::Result<Self::Io>;

    /// Watches a stream, which is non-blocking already and need not be connected yet.
    ///
    /// # Errors
    /// What the system or the runtime says.
    fn watch_stream(&self, stream: TcpStream) -> io::Result<Self::Stream>;

    /// Watches a listener, which is non-blocking already.
    ///
    /// # Errors
    /// What the system or the runtime says.
    fn watch_listener(&self, listener: TcpListener) -> io::Result<Self::Listener>;

    /// A timer.
    fn timer(&self) -> Self::Timer;

    /// The clock of all its timers.
    fn clock(&self) -> impl Fn() -> Instant + Send + Sync + 'static;

    /// Runs a task to its end, in the background.
    ///
    /// # Errors
    /// If there is nothing to run it on.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> io::Result<()>;
}
