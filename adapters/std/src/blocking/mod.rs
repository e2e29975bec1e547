//! Clients and servers for programs that like to wait: calls that block, on top of the loop.
//!
//! Each [`Client`] and each [`Listener`] has one engine, its sockets and one thread that drives
//! them; all other threads talk to that one through small shared cells. The thread ends when nobody
//! holds a handle any more and the last connection has said goodbye.

mod cell;
mod connection;
#[cfg(test)]
mod door_tests;
mod driver;
mod entry;
#[cfg(test)]
mod over_tests;
#[cfg(test)]
mod rows_tests;
mod sockets;
mod stream;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod timeout_tests;
mod watch;

pub use connection::Connection;
pub use stream::Stream;

use crate::{Address, ChoosePsk, Counts, Error, HubOptions, Limits, Options, Screen};
use cell::{Command, Progress, Shared, limit, lock, wait_until};
use driver::Driver;
pub(crate) use sockets::Sockets;
use sockets::start;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{channel, sync_channel};
use std::time::Duration;
use tripline::{
    Code, Config, ConnectOptions, ConnectionStats, EndpointStats, LinkRoute, Over, PublicKey,
    Target,
};
use tripline_common::Door;
use tripline_sansio::Secure;
use tripline_udp::Socket;

/// Counters, all of one moment (row T68).
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Of the connection.
    pub connection: ConnectionStats,
    /// Of the endpoint.
    pub endpoint: EndpointStats,
    /// Of the UDP socket; zeros if there is none.
    pub socket: tripline_udp::Stats,
    /// Of TCP and TLS links.
    pub links: tripline_tcp::Stats,
    /// Of the loop.
    pub turns: Counts,
}

/// One for all handles of an endpoint; the last one lets the thread go.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) shared: Arc<Shared>,
}

impl Drop for User {
    fn drop(&mut self) {
        self.shared.push(Command::Quit);
    }
}

impl Shared {
    pub(crate) fn stats(
        &self,
        connection: Option<tripline::ConnectionHandle>,
    ) -> Result<Stats, Error> {
        let (reply, answer) = sync_channel(1);
        self.push(Command::Stats(connection, reply));
        answer.recv().map_err(|_| self.death())
    }
}

impl Shared {
    /// Tells all connections and attempts that our network has changed.
    fn network_changed(&self) -> Result<(), Error> {
        let (reply, answer) = sync_channel(1);
        self.push(Command::NetworkChanged(None, reply));
        answer.recv().map(drop).map_err(|_| self.death())
    }

    /// Ends the whole endpoint, and waits until it has.
    fn shut_down(&self, grace: Duration, code: Code, reason: &str) -> Result<(), Error> {
        let (reply, over) = sync_channel(1);
        self.push(Command::ShutDown { grace, code, reason: reason.to_owned(), reply });
        over.recv().map_err(|_| self.death())
    }
}

/// Connects to the server at `address` (`KEY@HOST:PORT`), without an identity of our own (row T78):
/// by datagrams, or where those do not get through by TCP at the same port (row N49).
///
/// ```
/// # let key = tripline::SecretKey::from_bytes([9; 32]);
/// # let server = tripline_std::listen("127.0.0.1:0", tripline::Config::public_server(key))?;
/// # let address = server.address();
/// # std::thread::spawn(move || {
/// #     let stream = server.accept()?.accept_stream()?;
/// #     while let Some(message) = stream.receive()? { stream.send(message)?; }
/// #     Ok::<_, tripline_std::Error>(())
/// # });
/// use std::time::Duration;
/// use tripline::{Order, StreamOptions};
///
/// // `address` is such a text as "tpub1…@example.org:4444".
/// let connection = tripline_std::connect(&address)?;
/// let stream = connection.open(StreamOptions::two_way(Order::Ordered))?;
/// stream.send("hello")?;
/// println!("{:?}", stream.receive()?);
/// stream.finish();
/// connection.close(Duration::from_secs(5))?;
/// # Ok::<_, tripline_std::Error>(())
/// ```
///
/// # Errors
/// [`Error::Address`], [`Error::Start`], [`Error::Connect`], [`Error::Io`].
pub fn connect(address: &str) -> Result<Connection, Error> {
    let address: Address = address.parse()?;
    let client = Client::new(Config::client())?;
    client.connect_over(address.target(), ConnectOptions::to(address.key), Over::auto())
}

/// Listens on `address`, such as `0.0.0.0:4444`, or `127.0.0.1:0` for a port of the system's choice
/// (row T78).
///
/// ```
/// # fn main() -> Result<(), tripline_std::Error> {
/// # let key = tripline::SecretKey::from_bytes([9; 32]);
/// use tripline::Config;
///
/// let listener = tripline_std::listen("127.0.0.1:0", Config::public_server(key))?;
/// println!("listening on {}", listener.address());
/// # let address = listener.address();
/// # let client = std::thread::spawn(move || {
/// #     let connection = tripline_std::connect(&address)?;
/// #     let stream = connection.open(tripline::StreamOptions::two_way(tripline::Order::Ordered))?;
/// #     stream.send("echo")?;
/// #     assert_eq!(stream.receive()?.as_deref(), Some(&b"echo"[..]));
/// #     stream.finish();
/// #     connection.close(std::time::Duration::from_secs(5))
/// # });
/// loop {
///     let connection = listener.accept()?;
///     while let Ok(stream) = connection.accept_stream() {
///         while let Some(message) = stream.receive()? {
///             stream.send(message)?;
///         }
///     }
/// #   return client.join().unwrap();
/// }
/// # }
/// ```
///
/// # Errors
/// [`Error::Address`] if it is no address; [`Error::Io`] if there is no such socket to be had.
pub fn listen(address: &str, config: Config) -> Result<Listener, Error> {
    let bad = |_| Error::Address(format!("{address:?}; IP:PORT is wanted"));
    Listener::bind(address.parse().map_err(bad)?, config, ListenOptions::default())
}

/// How to listen.
#[derive(Default)]
pub struct ListenOptions {
    /// How to make the socket and the loop.
    pub options: Options,
    /// What else to listen for, at the same address: TCP, TLS. Without a port of its own a link
    /// has that of the address.
    pub links: Vec<LinkRoute>,
    /// Not to listen for datagrams.
    pub no_udp: bool,
    /// How many links there may be, and how patient to be with them.
    pub limits: Limits,
    /// What secures TLS links.
    pub secure: Option<Arc<dyn Secure + Send + Sync>>,
    /// Who may come in, where the configuration says [`Screening::Ask`](tripline::Screening::Ask);
    /// without it nobody may.
    pub screen: Option<Screen>,
    /// Which pre-shared key a client is to have, where the configuration says
    /// [`Screening::AskForPsk`](tripline::Screening::AskForPsk): asked about each client that
    /// opened with one. Where a client names our key, `screen` speaks first; where it asks for it
    /// (XX), the pre-shared key is chosen first, by the key that the client claims alone, and
    /// `screen` is asked once it fits and all is proven (R-CHAL-4d).
    pub psk: Option<ChoosePsk>,
}

impl fmt::Debug for ListenOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenOptions")
            .field("options", &self.options)
            .field("links", &self.links)
            .finish_non_exhaustive()
    }
}

/// Takes in the connections that clients open.
#[derive(Debug)]
pub struct Listener {
    user: Arc<User>,
    timeout: Option<Duration>,
}

impl Listener {
    /// Listens on `address`. Trains are as long as the configuration says, or as the socket can
    /// send if that is less; [`Options::detect_aes`] says what becomes of AES in hardware.
    ///
    /// # Errors
    /// [`Error::Io`] if there is no such socket to be had.
    pub fn bind(address: SocketAddr, config: Config, how: ListenOptions) -> Result<Self, Error> {
        let sockets = Sockets::bind(address, &how)?;
        Self::at(sockets, config, how)
    }

    /// Listens where it is told.
    pub(crate) fn at(sockets: Sockets, config: Config, how: ListenOptions) -> Result<Self, Error> {
        let ListenOptions { options, limits, secure, screen, psk, .. } = how;
        let hub = HubOptions { options, limits, secure };
        let user = start(sockets, config, &hub, Door { screen, psk }, true)?;
        Ok(Self { user, timeout: None })
    }

    /// The same listener, whose [`accept`](Self::accept) waits for at most so long and fails with
    /// [`Error::TimedOut`] then; zero only looks.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// As [`Self::with_timeout`], from now on; `None` waits for as long as it takes.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.timeout = timeout;
    }

    /// Waits for the next client.
    ///
    /// # Errors
    /// If the endpoint itself is broken; [`Error::Ended`] once it is [shut down](Self::shut_down).
    pub fn accept(&self) -> Result<Connection, Error> {
        let shared = &self.user.shared;
        let until = limit(self.timeout);
        let mut accept = lock(&shared.accept);
        loop {
            if let Some(cell) = accept.queue.pop_front() {
                return Ok(Connection::new(cell, Arc::clone(&self.user)));
            }
            if let Some(error) = &accept.dead {
                return Err(error.clone());
            }
            accept = wait_until(&shared.accepted, accept, until)?;
        }
    }

    /// The address of the socket.
    pub fn local_addr(&self) -> SocketAddr {
        self.user.shared.local
    }

    /// What [`connect`] takes: our key and the address of the socket (which names no host if the
    /// socket listens on all of them).
    pub fn address(&self) -> String {
        let local = self.local_addr();
        match &self.user.shared.key {
            Some(key) => format!("{key}@{local}"),
            None => local.to_string(),
        }
    }

    /// Ends the listener and all its connections in order, and waits until it is done (R-CLOSE-7).
    ///
    /// At once nobody is let in any more: clients are refused with [`Code::SHUTTING_DOWN`] and
    /// `reason`, and [`Self::accept`] fails when the last one that came before was taken. Clients
    /// hear that we leave; what was handed in is delivered, and requests that they have finished
    /// may be answered by other threads. After `grace` all that is left ends with `code` and
    /// `reason`. A second call may only bring that forward.
    ///
    /// # Errors
    /// Only if the endpoint itself is broken.
    pub fn shut_down(&self, grace: Duration, code: Code, reason: &str) -> Result<(), Error> {
        self.user.shared.shut_down(grace, code, reason)
    }

    /// Tells that our network has changed, to all connections (row N17); see
    /// [`Connection::network_changed`].
    ///
    /// # Errors
    /// Only if the endpoint itself is broken.
    pub fn network_changed(&self) -> Result<(), Error> {
        self.user.shared.network_changed()
    }

    /// The counters of the endpoint and its socket.
    ///
    /// # Errors
    /// If the endpoint is broken.
    pub fn stats(&self) -> Result<Stats, Error> {
        self.user.shared.stats(None)
    }
}

impl Drop for Listener {
    /// Clients that nobody took are let go, later ones as well.
    fn drop(&mut self) {
        let mut accept = lock(&self.user.shared.accept);
        accept.listening = false;
        let left = std::mem::take(&mut accept.queue);
        drop(accept);
        for cell in left {
            self.user.shared.push(Command::Release(cell.handle));
        }
    }
}

/// Makes connections, all over one socket.
#[derive(Debug)]
pub struct Client {
    user: Arc<User>,
}

impl Client {
    /// A client over a new socket for IPv6 and IPv4. Trains are as long as the configuration says,
    /// or as the socket can send if that is less. AES is used where the configuration says so or
    /// this machine has it in hardware; [`Self::bind`] can leave that to the configuration alone
    /// ([`Options::detect_aes`]).
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn new(config: Config) -> Result<Self, Error> {
        Self::with(config, &HubOptions::default())
    }

    /// The same with these options; with something to secure links by, TLS is among them.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn with(config: Config, how: &HubOptions) -> Result<Self, Error> {
        let sockets = Sockets::udp(Socket::bind_any(&how.options.socket)?);
        start(sockets, config, how, Door::default(), false).map(|user| Self { user })
    }

    /// A client over a socket of this address.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn bind(address: SocketAddr, config: Config, options: &Options) -> Result<Self, Error> {
        let socket = Socket::bind(address, &options.socket)?;
        let how = HubOptions { options: *options, ..HubOptions::default() };
        let sockets = Sockets::udp(socket);
        start(sockets, config, &how, Door::default(), false).map(|user| Self { user })
    }

    /// Connects. Names are resolved by the system, on a thread of their own (row T02).
    ///
    /// # Errors
    /// [`Error::Start`], [`Error::Connect`]. A server that has to be asked for its key is not
    /// trusted: see [`Self::connect_trusting`].
    pub fn connect(
        &self,
        target: impl Into<Target>,
        options: ConnectOptions,
    ) -> Result<Connection, Error> {
        self.connect_trusting(target, options, |_| false)
    }

    /// Connects by what `over` says: datagrams, TCP, TLS, or whichever answers first (row N49).
    /// [`Connection::path`] says which it is.
    ///
    /// # Errors
    /// As [`Self::connect`]; [`Error::Link`] if it was to be links alone, and none leads there.
    pub fn connect_over(
        &self,
        target: impl Into<Target>,
        options: ConnectOptions,
        over: Over,
    ) -> Result<Connection, Error> {
        self.connect_with(target.into(), options, over, |_| false)
    }

    /// Connects; a server whose key was not given is asked for it, and `trust` decides (R-CHAL-3).
    /// It is called on this thread and may take its time, as long as the attempt's deadline allows.
    ///
    /// # Errors
    /// [`Error::Start`], [`Error::Connect`].
    pub fn connect_trusting(
        &self,
        target: impl Into<Target>,
        options: ConnectOptions,
        trust: impl FnOnce(PublicKey) -> bool,
    ) -> Result<Connection, Error> {
        self.connect_with(target.into(), options, Over::udp(), trust)
    }

    fn connect_with(
        &self,
        target: Target,
        options: ConnectOptions,
        over: Over,
        trust: impl FnOnce(PublicKey) -> bool,
    ) -> Result<Connection, Error> {
        let shared = &self.user.shared;
        let (progress, news) = channel();
        let options = Box::new(options);
        shared.push(Command::Connect { target, options, over, progress });
        let mut trust = Some(trust);
        loop {
            match news.recv() {
                Ok(Progress::ServerKey(handle, key)) => {
                    let trusted = trust.take().is_some_and(|trust| trust(key));
                    let answer = if trusted { Command::Trust } else { Command::Kill };
                    shared.push(answer(handle));
                }
                Ok(Progress::Done(result)) => {
                    return result.map(|cell| Connection::new(cell, Arc::clone(&self.user)));
                }
                Err(_) => return Err(shared.death()),
            }
        }
    }

    /// Ends all connections of this client in order, and waits until that is done (R-CLOSE-7): what
    /// was handed in is delivered, for at most `grace`, and then all ends with `code` and `reason`.
    /// Nothing new begins. A second call may only bring that forward.
    ///
    /// # Errors
    /// Only if the endpoint itself is broken.
    pub fn shut_down(&self, grace: Duration, code: Code, reason: &str) -> Result<(), Error> {
        self.user.shared.shut_down(grace, code, reason)
    }

    /// Tells that our network has changed, to all connections and to attempts that are under way
    /// (row N17); see [`Connection::network_changed`].
    ///
    /// # Errors
    /// Only if the endpoint itself is broken.
    pub fn network_changed(&self) -> Result<(), Error> {
        self.user.shared.network_changed()
    }

    /// The address of the socket.
    pub fn local_addr(&self) -> SocketAddr {
        self.user.shared.local
    }
}
