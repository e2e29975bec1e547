//! tripline on tokio: a client and a server whose calls are futures, in ten lines each (row T78).
//!
//! This crate supplies what tokio has to give (a socket, a timer, `spawn`); all the rest is
//! `tripline-futures`, named here again. Byte streams are tokio's `AsyncRead` and `AsyncWrite`,
//! streams of messages a `Stream` and a `Sink`; every future is cancel-safe, so that `select!` and
//! `timeout` lose nothing.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), tripline_tokio::Error> {
//! use tripline::{Config, Order, SecretKey, StreamOptions};
//!
//! let key = SecretKey::from_bytes([9; 32]); // or from a file
//! let listener = tripline_tokio::listen("127.0.0.1:0", Config::public_server(key))?;
//! let address = listener.address(); // such as "tpub1…@127.0.0.1:4444"
//! let server = tokio::spawn(async move {
//!     let connection = listener.accept().await?;
//!     let stream = connection.accept_stream().await?;
//!     while let Some(message) = stream.receive().await? {
//!         stream.send(message).await?;
//!     }
//!     drop(stream);
//!     connection.wait_closed().await
//! });
//!
//! let connection = tripline_tokio::connect(&address).await?;
//! let stream = connection.open(StreamOptions::two_way(Order::Ordered)).await?;
//! stream.send("hello").await?;
//! assert_eq!(stream.receive().await?.as_deref(), Some(&b"hello"[..]));
//! stream.finish();
//! connection.close(std::time::Duration::from_secs(5)).await?;
//! # server.await.unwrap()
//! # }
//! ```
//!
//! The runtime must have its I/O and its timers switched on, as that of `#[tokio::main]` has;
//! tokio panics where they are not. Its timers step by whole milliseconds and are never early. With
//! tokio's clock paused, endpoints go by the paused clock.
//!
//! An idle connection costs next to nothing (row T18, `examples/idle_tokio.rs`): both ends of one
//! took 0.3 ms of processor time in a minute, and 5 ms with a keep-alive every 10 s.
#![forbid(unsafe_code)]

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::runtime::Handle;
use tokio::time::{Sleep, sleep_until};
use tripline::Config;
use tripline_sansio::Instant;
use tripline_tcp::Wire;

pub mod calls;

pub use tripline_futures::*;

/// The tokio runtime that the program is in, for everything that takes a [`Runtime`].
///
/// Copies share the zero of their clock.
#[derive(Clone, Copy, Debug)]
pub struct Tokio {
    zero: tokio::time::Instant,
}

impl Tokio {
    /// The runtime of the task that calls; its clock begins now.
    pub fn new() -> Self {
        Self { zero: tokio::time::Instant::now() }
    }
}

impl Default for Tokio {
    fn default() -> Self {
        Self::new()
    }
}

impl Runtime for Tokio {
    type Io = Io;
    type Stream = Tcp;
    type Listener = Listener;
    type Timer = Timeout;

    fn watch(&self, socket: std::net::UdpSocket) -> io::Result<Io> {
        Handle::try_current().map_err(io::Error::other)?;
        UdpSocket::from_std(socket).map(Io)
    }

    fn watch_stream(&self, stream: std::net::TcpStream) -> io::Result<Tcp> {
        Handle::try_current().map_err(io::Error::other)?;
        TcpStream::from_std(stream).map(Tcp)
    }

    fn watch_listener(&self, listener: std::net::TcpListener) -> io::Result<Listener> {
        Handle::try_current().map_err(io::Error::other)?;
        TcpListener::from_std(listener).map(Listener)
    }

    fn timer(&self) -> Timeout {
        let sleep = Box::pin(sleep_until(self.zero));
        Timeout { zero: self.zero, sleep, until: None }
    }

    fn clock(&self) -> impl Fn() -> Instant + Send + Sync + 'static {
        let zero = self.zero;
        move || time_since(zero)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        drop(Handle::try_current().map_err(io::Error::other)?.spawn(task));
        Ok(())
    }
}

fn time_since(zero: tokio::time::Instant) -> Instant {
    Instant::ZERO + zero.elapsed()
}

/// A socket that tokio watches.
#[derive(Debug)]
pub struct Io(UdpSocket);

impl Readiness for Io {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_recv_ready(cx)
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_send_ready(cx)
    }
}

impl Watched for Io {
    type Inner = UdpSocket;

    fn inner(&self) -> &UdpSocket {
        &self.0
    }

    fn try_recv<T>(&self, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.0.try_io(Interest::READABLE, call)
    }

    fn try_send<T>(&self, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.0.try_io(Interest::WRITABLE, call)
    }
}

/// A TCP stream that tokio watches.
#[derive(Debug)]
pub struct Tcp(TcpStream);

impl Readiness for Tcp {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_read_ready(cx)
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_write_ready(cx)
    }
}

impl Wire for Tcp {
    fn is_connected(&mut self) -> io::Result<bool> {
        // Not yet is told to tokio as well, which else remembers that it was ready.
        let connected = self.0.try_io(Interest::WRITABLE, || {
            let there = tripline_tcp::is_connected(&self.0)?;
            if there { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
        });
        match connected {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            other => other.map(|()| true),
        }
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(into)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn finish(&mut self) -> io::Result<()> {
        tripline_tcp::finish(&self.0)
    }
}

/// A TCP listener that tokio watches.
#[derive(Debug)]
pub struct Listener(TcpListener);

impl Accept for Listener {
    type Stream = Tcp;

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Tcp, SocketAddr)>> {
        self.0.poll_accept(cx).map(|came| {
            let (stream, remote) = came?;
            stream.set_nodelay(true)?;
            Ok((Tcp(stream), remote))
        })
    }

    fn local(&self) -> Option<SocketAddr> {
        self.0.local_addr().ok()
    }
}

/// One of tokio's timers.
#[derive(Debug)]
pub struct Timeout {
    zero: tokio::time::Instant,
    sleep: Pin<Box<Sleep>>,
    /// What it is set to, while it has not fired.
    until: Option<Instant>,
}

impl Timer for Timeout {
    fn now(&self) -> Instant {
        time_since(self.zero)
    }

    fn poll_until(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()> {
        let Some(deadline) = deadline else { return Poll::Pending };
        if self.until != Some(deadline) {
            let since = Duration::from_nanos(deadline.as_nanos());
            self.sleep.as_mut().reset(self.zero + since);
            self.until = Some(deadline);
        }
        let fired = self.sleep.as_mut().poll(cx);
        if fired.is_ready() {
            self.until = None;
        }
        fired
    }
}

/// Connects to the server at `address` (`KEY@HOST:PORT`), without an identity of our own (row T78).
///
/// Cancel-safe: who stops waiting ends the attempt.
///
/// # Errors
/// [`Error::Address`], [`Error::Start`], [`Error::Connect`], [`Error::Io`].
pub async fn connect(address: &str) -> Result<Connection, Error> {
    tripline_futures::connect(&Tokio::new(), address).await
}

/// Listens on `address`, such as `0.0.0.0:4444`, or `127.0.0.1:0` for a port of the system's choice
/// (row T78). [`Endpoint::listen`] has more to choose, [`Endpoint::client`] makes a client with an
/// identity, both by [`Tokio::new`].
///
/// # Errors
/// [`Error::Address`] if it is no address; [`Error::Io`] if there is no such socket to be had, or
/// the program is not in a runtime.
pub fn listen(address: &str, config: Config) -> Result<Endpoint, Error> {
    tripline_futures::listen(&Tokio::new(), address, config)
}

#[cfg(test)]
mod tests;
