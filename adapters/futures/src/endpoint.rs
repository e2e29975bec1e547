//! An endpoint in the user's hands: a socket, its driver, and all connections over it.

use crate::connection::Connection;
use crate::driver::Driver;
use crate::front::{Front, Progress};
use crate::hub::{HubLoop, HubOptions};
use crate::links::NoLinks;
use crate::runtime::{Runtime, Socket, Timer};
use crate::shared::{Locked, Shared};
use crate::sockets::Bound;
use crate::waits::Topic;
use crate::{ListenOptions, Options, Turns};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tripline::{
    Code, Config, ConnectOptions, ConnectionHandle, ConnectionStats, EndpointStats, LinkHub, Over,
    PublicKey, Target,
};
use tripline_common::{Door, Error, Site, link_hub};
use tripline_sansio::{Instant, Seed};

/// Counters. Those of the connection and the endpoint are of this moment, the others of the end of
/// the driver's last turn (row T68).
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
    pub turns: Turns,
}

/// One for all handles of an endpoint; the last one lets the driver go.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) shared: Arc<Shared>,
    /// The address of the socket.
    local: SocketAddr,
    /// Our key.
    key: Option<PublicKey>,
}

impl User {
    fn new(shared: Arc<Shared>, local: SocketAddr) -> Arc<Self> {
        let key = shared.lock().hub.endpoint().public_key();
        Arc::new(Self { shared, local, key })
    }
}

impl Drop for User {
    fn drop(&mut self) {
        self.shared.leave(Front::quit);
    }
}

/// A socket and all connections over it: those that it makes ([`connect`](Self::connect)), and, if
/// it listens, those that clients open ([`accept`](Self::accept)).
///
/// All calls work on `&self`, from any thread and any number of tasks. Connections outlive it; the
/// driver ends with the last of them. Clients that nobody took are let go when it is dropped.
#[derive(Debug)]
pub struct Endpoint {
    user: Arc<User>,
}

impl Endpoint {
    /// Listens on `address`: for datagrams, and for links where the options say so.
    ///
    /// Trains are as long as the configuration says, or as the socket can
    /// send if that is less; [`Options::detect_aes`] says what becomes of AES in hardware.
    ///
    /// # Errors
    /// [`Error::Io`] if there is no such socket to be had, or nothing to run the driver on.
    pub fn listen<R: Runtime>(
        runtime: &R,
        address: SocketAddr,
        config: Config,
        how: ListenOptions,
    ) -> Result<Self, Error> {
        let bound = Bound::listen(runtime, address, &how)?;
        let ListenOptions { options, limits, secure, screen, psk, .. } = how;
        let how = HubOptions { options, limits, secure };
        Self::start(runtime, bound, config, &how, Some(Door { screen, psk }))
    }

    /// A client over a new socket for IPv6 and IPv4, by the default options.
    ///
    /// # Errors
    /// As [`Self::listen`].
    pub fn client<R: Runtime>(runtime: &R, config: Config) -> Result<Self, Error> {
        Self::client_with(runtime, config, &HubOptions::default())
    }

    /// The same with these options; with something to secure links by, TLS is among them.
    ///
    /// # Errors
    /// As [`Self::listen`].
    pub fn client_with<R: Runtime>(
        runtime: &R,
        config: Config,
        how: &HubOptions,
    ) -> Result<Self, Error> {
        let v6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let bound = Bound::udp(runtime, v6, &how.options)
            .or_else(|_| Bound::udp(runtime, v4, &how.options))?;
        Self::start(runtime, bound, config, how, None)
    }

    /// A client over a socket of this address.
    ///
    /// # Errors
    /// As [`Self::listen`].
    pub fn client_at<R: Runtime>(
        runtime: &R,
        address: SocketAddr,
        config: Config,
        options: &Options,
    ) -> Result<Self, Error> {
        let bound = Bound::udp(runtime, address, options)?;
        let how = HubOptions { options: *options, ..HubOptions::default() };
        Self::start(runtime, bound, config, &how, None)
    }

    /// An endpoint over these sockets, driven by the runtime.
    fn start<R: Runtime>(
        runtime: &R,
        bound: Bound<R>,
        config: Config,
        how: &HubOptions,
        door: Option<Door>,
    ) -> Result<Self, Error> {
        let (timer, clock) = (runtime.timer(), runtime.clock());
        let site = Site {
            segments: bound.udp.as_ref().map(Socket::max_gso_segments),
            detect_aes: how.options.detect_aes,
            now: timer.now(),
        };
        let hub = link_hub(config, site)?;
        let Bound { udp, listeners, local } = bound;
        let front = Front::new(hub, timer.now(), door.is_some());
        let shared = Arc::new(Shared::new(front, clock));
        let mut looper = HubLoop::on(runtime, Locked(Arc::clone(&shared)), how);
        if let Some(udp) = udp {
            let local = udp.local_addr();
            looper.add_udp(LinkHub::UDP, udp, Some(local));
        }
        for (kind, listener) in listeners {
            let number = looper.with(|locked, _| locked.number());
            looper.add_listener(number, kind, listener)?;
        }
        runtime.spawn(Driver::new(Arc::clone(&shared), looper, door.unwrap_or_default()))?;
        Ok(Self { user: User::new(shared, local) })
    }

    /// An endpoint over any socket, for the user to drive: nothing happens unless the driver is
    /// polled. `local` is only told to those who ask; `clock` is that of `timer`. With a door the
    /// endpoint listens. It has no links: attempts that know no other way fail.
    pub fn over<S: Socket, T: Timer>(
        engine: tripline::Endpoint,
        socket: S,
        local: SocketAddr,
        timer: T,
        clock: impl Fn() -> Instant + Send + Sync + 'static,
        door: Option<Door>,
    ) -> (Self, Driver<NoLinks<S>, T>) {
        // Of waits between links there are none.
        let hub = LinkHub::new(engine, &Seed::from_number(0));
        let front = Front::new(hub, timer.now(), door.is_some());
        let shared = Arc::new(Shared::new(front, clock));
        let locked = Locked(Arc::clone(&shared));
        let mut looper = HubLoop::new(NoLinks::new(), timer, locked, &HubOptions::default());
        looper.add_udp(LinkHub::UDP, socket, Some(local));
        let driver = Driver::new(Arc::clone(&shared), looper, door.unwrap_or_default());
        (Self { user: User::new(shared, local) }, driver)
    }

    fn shared(&self) -> &Shared {
        &self.user.shared
    }

    /// Connects. Names are resolved by the system, on a thread of their own (row T02).
    ///
    /// Cancel-safe: who stops waiting ends the attempt.
    ///
    /// # Errors
    /// [`Error::Start`], [`Error::Connect`]. A server that has to be asked for its key is not
    /// trusted: see [`Self::connect_trusting`].
    pub async fn connect(
        &self,
        target: impl Into<Target>,
        options: ConnectOptions,
    ) -> Result<Connection, Error> {
        self.connect_trusting(target, options, |_| false).await
    }

    /// Connects; a server whose key was not given is asked for it, and `trust` decides (R-CHAL-3).
    /// It is called by the task that waits here.
    ///
    /// Cancel-safe: who stops waiting ends the attempt.
    ///
    /// # Errors
    /// [`Error::Start`], [`Error::Connect`].
    pub async fn connect_trusting(
        &self,
        target: impl Into<Target>,
        options: ConnectOptions,
        trust: impl FnOnce(PublicKey) -> bool,
    ) -> Result<Connection, Error> {
        self.connect_with(target.into(), options, Over::udp(), trust).await
    }

    /// Connects by what `over` says: datagrams, TCP, TLS, or whichever answers first (row N49).
    /// [`Connection::path`] says which it is.
    ///
    /// Cancel-safe: who stops waiting ends the attempt.
    ///
    /// # Errors
    /// As [`Self::connect`]; [`Error::Link`] if it was to be links alone, and none leads there.
    pub async fn connect_over(
        &self,
        target: impl Into<Target>,
        options: ConnectOptions,
        over: Over,
    ) -> Result<Connection, Error> {
        self.connect_with(target.into(), options, over, |_| false).await
    }

    async fn connect_with(
        &self,
        target: Target,
        options: ConnectOptions,
        over: Over,
        trust: impl FnOnce(PublicKey) -> bool,
    ) -> Result<Connection, Error> {
        let shared = self.shared();
        let handle = shared.with(|front, now| front.connect(now, target, options, over))?;
        let attempt = Attempt { shared, handle };
        let mut trust = Some(trust);
        loop {
            let news = shared.wait(Topic::Attempt(handle), |front, _| front.progress(handle));
            match news.await {
                Progress::ServerKey(key) => {
                    let trusted = trust.take().is_some_and(|trust| trust(key));
                    shared.with(|front, now| front.trust(now, handle, trusted));
                }
                Progress::Done(Ok(())) => {
                    let who = shared.with(|front, _| front.who(handle)).ok_or(Error::Ended)?;
                    std::mem::forget(attempt);
                    return Ok(Connection::new(handle, who, Arc::clone(&self.user)));
                }
                Progress::Done(Err(error)) => return Err(error),
            }
        }
    }

    /// Waits for the next client.
    ///
    /// Cancel-safe: a client that is not taken stays for the next call.
    ///
    /// # Errors
    /// If the endpoint itself is broken; [`Error::Ended`] once it is [shut down](Self::shut_down).
    pub async fn accept(&self) -> Result<Connection, Error> {
        let (handle, who) = self.shared().wait(Topic::Accept, |front, _| front.accept()).await?;
        Ok(Connection::new(handle, who, Arc::clone(&self.user)))
    }

    /// The address of the socket.
    pub fn local_addr(&self) -> SocketAddr {
        self.user.local
    }

    /// What [`connect`](crate::connect) takes: our key and the address of the socket (which names
    /// no host if the socket listens on all of them).
    pub fn address(&self) -> String {
        let local = self.local_addr();
        match &self.user.key {
            Some(key) => format!("{key}@{local}"),
            None => local.to_string(),
        }
    }

    /// Ends the endpoint and all its connections in order, and waits until it is done (R-CLOSE-7).
    ///
    /// At once nobody is let in any more: clients are refused with [`Code::SHUTTING_DOWN`] and
    /// `reason`, [`Self::accept`] fails when the last one that came before was taken, and nothing
    /// can be connected. Peers hear that we leave; what was handed in is delivered, and requests
    /// that they have finished may be answered by other tasks. After `grace` all that is left ends
    /// with `code` and `reason`. A second call may only bring that forward.
    ///
    /// Cancel-safe: the end that was begun goes on if nobody waits for it.
    ///
    /// # Errors
    /// Only if the endpoint itself is broken.
    pub async fn shut_down(&self, grace: Duration, code: Code, reason: &str) -> Result<(), Error> {
        self.shared().with(|front, now| front.shut_down(now, grace, code, reason));
        self.shared().wait(Topic::ShutDown, |front, _| front.is_shut()).await
    }

    /// Tells that our network has changed, to all connections and to attempts that are under way
    /// (row N17); see [`Connection::network_changed`].
    pub fn network_changed(&self) {
        self.shared().with(|front, now| front.network_changed(now));
    }

    /// The counters of the endpoint and its socket.
    pub fn stats(&self) -> Stats {
        self.shared().with(|front, _| front.stats(None))
    }

    /// The books; for tests.
    #[cfg(test)]
    pub(crate) fn books(&self) -> &Shared {
        self.shared()
    }
}

impl Drop for Endpoint {
    /// Clients that nobody took are let go, later ones as well.
    fn drop(&mut self) {
        self.shared().leave(Front::stop_listening);
    }
}

/// An attempt that ends with the future that waits for it.
struct Attempt<'a> {
    shared: &'a Shared,
    handle: ConnectionHandle,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let handle = self.handle;
        self.shared.leave(move |front, now| front.abandon(now, handle));
    }
}
