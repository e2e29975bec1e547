//! tripline on smol: a client and a server whose calls are futures, in ten lines each (row T78).
//!
//! This crate supplies what smol has to give (a socket and a timer of `async-io`, and a place to
//! run a task); all the rest is `tripline-futures`, named here again. Byte streams are
//! `futures_io::AsyncRead` and `AsyncWrite`, streams of messages a `Stream` and a `Sink`; every
//! future is cancel-safe, so that a race or a timeout loses nothing.
//!
//! ```
//! # fn main() -> Result<(), tripline_smol::Error> {
//! # async_io::block_on(async {
//! use tripline::{Config, Order, SecretKey, StreamOptions};
//!
//! let key = SecretKey::from_bytes([9; 32]); // or from a file
//! let listener = tripline_smol::listen("127.0.0.1:0", Config::public_server(key))?;
//! let address = listener.address(); // such as "tpub1…@127.0.0.1:4444"
//! let server = async {
//!     let connection = listener.accept().await?;
//!     let stream = connection.accept_stream().await?;
//!     while let Some(message) = stream.receive().await? {
//!         stream.send(message).await?;
//!     }
//!     drop(stream);
//!     connection.wait_closed().await
//! };
//!
//! let client = async {
//!     let connection = tripline_smol::connect(&address).await?;
//!     let stream = connection.open(StreamOptions::two_way(Order::Ordered)).await?;
//!     stream.send("hello").await?;
//!     assert_eq!(stream.receive().await?.as_deref(), Some(&b"hello"[..]));
//!     stream.finish();
//!     connection.close(std::time::Duration::from_secs(5)).await
//! };
//! futures_lite::future::try_zip(server, client).await.map(drop)
//! # })
//! # }
//! ```
//!
//! Drivers run on one thread of this crate's, which all endpoints share and which sleeps while they
//! do, or on an executor of the user's ([`Smol::on`]).
//!
//! An idle connection costs next to nothing (row T18, `examples/idle_smol.rs`): both ends of one
//! took 0.3 ms of processor time in a minute, and 4 ms with a keep-alive every 10 s.
#![forbid(unsafe_code)]

use async_executor::Executor;
use async_io::Async;
use std::future::Future;
use std::io;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tripline::Config;
use tripline_sansio::Instant;
use tripline_tcp::Wire;

pub mod calls;

pub use tripline_futures::*;

/// `async-io` and an executor, for everything that takes a [`Runtime`].
///
/// Copies share the zero of their clock.
#[derive(Clone, Debug)]
pub struct Smol {
    zero: std::time::Instant,
    executor: Option<Arc<Executor<'static>>>,
}

impl Smol {
    /// On this crate's own thread; the clock begins now.
    pub fn new() -> Self {
        Self { zero: std::time::Instant::now(), executor: None }
    }

    /// On an executor that the user runs.
    pub fn on(executor: Arc<Executor<'static>>) -> Self {
        Self { executor: Some(executor), ..Self::new() }
    }
}

impl Default for Smol {
    fn default() -> Self {
        Self::new()
    }
}

impl Runtime for Smol {
    type Io = Io;
    type Stream = Tcp;
    type Listener = Listener;
    type Timer = Timeout;

    fn watch(&self, socket: UdpSocket) -> io::Result<Io> {
        Async::new_nonblocking(socket).map(Io)
    }

    fn watch_stream(&self, stream: TcpStream) -> io::Result<Tcp> {
        Async::new_nonblocking(stream).map(Tcp)
    }

    fn watch_listener(&self, listener: TcpListener) -> io::Result<Listener> {
        Async::new_nonblocking(listener).map(Listener)
    }

    fn timer(&self) -> Timeout {
        Timeout { zero: self.zero, timer: async_io::Timer::never(), until: None }
    }

    fn clock(&self) -> impl Fn() -> Instant + Send + Sync + 'static {
        let zero = self.zero;
        move || Instant::ZERO + zero.elapsed()
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        match &self.executor {
            Some(executor) => executor.spawn(task).detach(),
            None => our_executor()?.spawn(task).detach(),
        }
        Ok(())
    }
}

/// The executor of all who have none, and its thread, which lives as long as the program.
fn our_executor() -> io::Result<&'static Executor<'static>> {
    static EXECUTOR: Executor<'static> = Executor::new();
    static RUNS: Mutex<bool> = Mutex::new(false);
    let mut runs = RUNS.lock().unwrap_or_else(PoisonError::into_inner);
    if !*runs {
        let run = || async_io::block_on(EXECUTOR.run(std::future::pending::<()>()));
        // A task that panics (in a closure of the user's, say) takes no other one with it.
        let for_ever = move || {
            loop {
                let _ = std::panic::catch_unwind(run);
            }
        };
        std::thread::Builder::new().name("tripline-smol".into()).spawn(for_ever)?;
        *runs = true;
    }
    Ok(&EXECUTOR)
}

/// A socket that `async-io` watches.
#[derive(Debug)]
pub struct Io(Async<UdpSocket>);

impl Watched for Io {
    type Inner = Async<UdpSocket>;

    fn inner(&self) -> &Async<UdpSocket> {
        &self.0
    }
}

impl Readiness for Io {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_readable(cx)
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_writable(cx)
    }
}

/// A TCP stream that `async-io` watches.
#[derive(Debug)]
pub struct Tcp(Async<TcpStream>);

impl Readiness for Tcp {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_readable(cx)
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_writable(cx)
    }
}

impl Wire for Tcp {
    fn is_connected(&mut self) -> io::Result<bool> {
        tripline_tcp::is_connected(&self.0)
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        Read::read(&mut self.0.get_ref(), into)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Write::write(&mut self.0.get_ref(), bytes)
    }

    fn finish(&mut self) -> io::Result<()> {
        tripline_tcp::finish(&self.0)
    }
}

/// A TCP listener that `async-io` watches.
#[derive(Debug)]
pub struct Listener(Async<TcpListener>);

impl Accept for Listener {
    type Stream = Tcp;

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Tcp, SocketAddr)>> {
        loop {
            ready!(self.0.poll_readable(cx))?;
            match self.0.get_ref().accept() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                came => {
                    return Poll::Ready(came.and_then(|(stream, remote)| {
                        stream.set_nodelay(true)?;
                        Ok((Tcp(Async::new(stream)?), remote))
                    }));
                }
            }
        }
    }

    fn local(&self) -> Option<SocketAddr> {
        self.0.get_ref().local_addr().ok()
    }
}

/// One of `async-io`'s timers.
#[derive(Debug)]
pub struct Timeout {
    zero: std::time::Instant,
    timer: async_io::Timer,
    /// What it is set to, while it has not fired.
    until: Option<Instant>,
}

impl Timer for Timeout {
    fn now(&self) -> Instant {
        Instant::ZERO + self.zero.elapsed()
    }

    fn poll_until(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()> {
        if self.until != deadline {
            match deadline {
                Some(deadline) => {
                    let since = Duration::from_nanos(deadline.as_nanos());
                    self.timer.set_at(self.zero + since);
                }
                None => self.timer.clear(),
            }
            self.until = deadline;
        }
        if self.until.is_none() {
            return Poll::Pending;
        }
        let fired = Pin::new(&mut self.timer).poll(cx).map(drop);
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
    tripline_futures::connect(&Smol::new(), address).await
}

/// Listens on `address`, such as `0.0.0.0:4444`, or `127.0.0.1:0` for a port of the system's choice
/// (row T78). [`Endpoint::listen`] has more to choose, [`Endpoint::client`] makes a client with an
/// identity, both by [`Smol::new`].
///
/// # Errors
/// [`Error::Address`] if it is no address; [`Error::Io`] if there is no such socket to be had.
pub fn listen(address: &str, config: Config) -> Result<Endpoint, Error> {
    tripline_futures::listen(&Smol::new(), address, config)
}

#[cfg(test)]
mod tests;
