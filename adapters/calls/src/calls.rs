//! A node as programs hold it.

use crate::caller::Caller;
use crate::driven::Driven;
use crate::error::ConnectFailure;
use crate::front::{Arrival, CallsStats, Front, Topic};
use crate::request::{Arrived, Notice, Request};
use crate::shared::{Alive, Shared};
use bytes::Bytes;
use std::net::SocketAddr;
use std::sync::Arc;
use tripline_rpc::{Address, ClientOptions, ConnId, Host, MethodRef, Node, NotifyOptions, Scheme};
use tripline_sansio::{Duration, Instant};

/// Any number of conversations, for any number of threads and tasks.
///
/// Copies are the same node. When the last of them, of its callers and its requests was dropped,
/// everything ends in order: what is under way has two seconds.
#[derive(Clone, Debug)]
pub struct Calls {
    pub(crate) alive: Arc<Alive>,
}

impl Calls {
    /// A node, and what is to be driven; `clock` tells the time, the same to whoever drives it.
    pub fn new(node: Node, clock: impl Fn() -> Instant + Send + Sync + 'static) -> (Self, Driven) {
        let shared = Arc::new(Shared::new(Front::new(node), clock));
        let driven = Driven::new(Arc::clone(&shared));
        (Self { alive: Arc::new(Alive(shared)) }, driven)
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.alive.0
    }

    /// Begins a connection, such as to `trip://KEY@HOST:PORT`, `tcp://HOST:PORT`. It comes back by
    /// itself when it breaks, as the options say, for as long as somebody holds it; calls may be
    /// made at once.
    ///
    /// # Errors
    /// [`ConnectFailure::Address`] if it is no address; [`ConnectFailure::NoKey`] if it does not
    /// say by which key to know the server over TRiP.
    pub fn connect(&self, address: &str, options: ClientOptions) -> Result<Caller, ConnectFailure> {
        let address: Address = address.parse()?;
        let has_key = address.key.or(options.trip.server_key).is_some();
        if is_trip(address.scheme) && !has_key {
            return Err(ConnectFailure::NoKey);
        }
        Ok(self.connect_to(address, options))
    }

    /// The same with an address that was read already.
    pub fn connect_to(&self, address: Address, options: ClientOptions) -> Caller {
        let conn = self.shared().with(|front, now| {
            let conn = front.node.connect(now, address, options);
            let book = front.book(conn);
            (book.is_held, book.is_ours) = (true, true);
            conn
        });
        Caller::held(self.clone(), conn)
    }

    /// Begins a connection and waits for its first attempt. From then on it comes back by itself.
    ///
    /// Cancel-safe: the attempt ends with it.
    ///
    /// # Errors
    /// As [`Self::connect`]; [`ConnectFailure::Ended`] if that attempt fails.
    pub async fn connected(
        &self,
        address: &str,
        options: ClientOptions,
    ) -> Result<Caller, ConnectFailure> {
        let caller = self.connect(address, options)?;
        caller.attempted().await?;
        Ok(caller)
    }

    /// Listens; the address that clients connect to, with our key if it takes one and the port that
    /// the system has given. Several addresses may be listened at.
    ///
    /// Cancel-safe: what was begun goes on, at a port that nobody was told.
    ///
    /// # Errors
    /// [`ConnectFailure::Address`] and [`ConnectFailure::Name`] if nobody can listen there;
    /// [`ConnectFailure::Ended`] with what the system says.
    pub async fn listen(&self, address: &str) -> Result<Address, ConnectFailure> {
        let mut address: Address = address.parse()?;
        let scheme = address.scheme;
        if scheme == Scheme::TripAuto {
            // Both at the same port, whichever the system gives for the first.
            let first = Address { scheme: Scheme::TripTcp, ..address.clone() };
            address.port = self.listen_at(&first).await?.port();
            address.scheme = Scheme::Trip;
        }
        let local = self.listen_at(&address).await?;
        address.port = local.port();
        if matches!(address.host, Host::Ip(_)) {
            address.host = Host::Ip(local.ip());
        }
        let key = self.shared().visit(|front, _| front.node.hub().endpoint().public_key());
        address.key = key.filter(|_| is_trip(address.scheme));
        address.scheme = scheme;
        Ok(address)
    }

    async fn listen_at(&self, address: &Address) -> Result<SocketAddr, ConnectFailure> {
        let begun = self.shared().with(|front, _| {
            let listener = front.node.listen(address)?;
            front.listening.insert(listener, None);
            Some(listener)
        });
        let listener = begun.ok_or(ConnectFailure::Name)?;
        let _awaited = Awaited(self.shared(), listener);
        let found = self.shared().wait(Topic::Listener(listener), |front, _| {
            let found = front.listening.get(&listener).cloned().flatten();
            found.or_else(|| front.over.as_ref().map(|why| Err(why.to_string())))
        });
        found.await.map_err(ConnectFailure::Ended)
    }

    /// The next request or notification; each is given to one who waits. `None`: nothing comes any
    /// more.
    ///
    /// Cancel-safe: what has come is given out or stays.
    pub async fn next(&self) -> Option<Arrived> {
        let found = self.shared().wait(Topic::Arrival, |front, _| match front.next_arrival() {
            Some(arrival) => Some(Some(arrival)),
            None if front.over.is_some() => Some(None),
            None => None,
        });
        Some(self.arrived(found.await?))
    }

    /// One that is there already.
    pub fn try_next(&self) -> Option<Arrived> {
        let arrival = self.shared().visit(|front, _| front.next_arrival())?;
        Some(self.arrived(arrival))
    }

    fn arrived(&self, arrival: Arrival) -> Arrived {
        match arrival {
            Arrival::Request { conn, request, method, payload, deadline } => {
                let caller = Caller::of(self.clone(), conn);
                Arrived::Request(Request::new(caller, request, method, payload, deadline))
            }
            Arrival::Notification { conn, method, payload } => {
                let caller = Caller::of(self.clone(), conn);
                Arrived::Notice(Notice { caller, method, payload })
            }
        }
    }

    /// Says the same to many: the bytes are written once, and each connection has them. Returns how
    /// many took it; the others are over, or have too much waiting.
    pub fn notify_all<'a, 'c>(
        &self,
        callers: impl IntoIterator<Item = &'c Caller>,
        method: impl Into<MethodRef<'a>>,
        payload: impl Into<Bytes>,
        options: NotifyOptions,
    ) -> usize {
        let (method, payload) = (method.into(), payload.into());
        let conns: Vec<ConnId> = callers.into_iter().map(Caller::id).collect();
        self.shared().with(|front, now| {
            if front.over.is_some() {
                return 0;
            }
            let node = &mut front.node;
            let said = conns
                .into_iter()
                .map(|conn| node.notify(now, conn, method, payload.clone(), options));
            said.filter(Result::is_ok).count()
        })
    }

    /// Ends everything in order (row N36): nobody new is let in, what is under way has `grace`, and
    /// then all is over.
    ///
    /// Cancel-safe: the end goes on.
    pub async fn shut_down(&self, grace: Duration) {
        self.shared().with(|front, now| front.node.shut_down(now, grace));
        self.shared().wait(Topic::End, |front, _| front.over.as_ref().map(|_| ())).await;
    }

    /// Why nothing comes any more; `None` while something may.
    pub fn over(&self) -> Option<String> {
        self.shared().visit(|front, _| front.over.as_ref().map(ToString::to_string))
    }

    /// What was counted here.
    pub fn stats(&self) -> CallsStats {
        self.shared().visit(|front, _| front.stats)
    }

    /// Uses the node itself, at the present time, on this thread (row N26): for all that has no
    /// word of its own here, such as what the transport knows of a connection. Events of
    /// streams and alarms are not told here. It must not take long,
    /// as all others wait.
    ///
    /// # Panics
    /// If the closure calls a handle of the same node; handles may be dropped there.
    pub fn with<R>(&self, act: impl FnOnce(&mut Node, Instant) -> R) -> R {
        self.shared().with_user(|front, now| act(&mut front.node, now))
    }
}

/// Whether servers at such an address prove to hold a key.
fn is_trip(scheme: Scheme) -> bool {
    matches!(scheme, Scheme::Trip | Scheme::TripAuto | Scheme::TripTcp)
}

/// Somebody waits for what becomes of a listener, until this is dropped.
struct Awaited<'a>(&'a Shared, u64);

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        let listener = self.1;
        self.0.leave(move |front, _| drop(front.listening.remove(&listener)));
    }
}
