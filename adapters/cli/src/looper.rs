//! The loop that all commands run: an endpoint, its UDP socket, its links.

use crate::fail::{Fail, Result};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tripline::{
    Carrier, ConnectOptions, ConnectionHandle, Endpoint, Event, HubEvent, LinkHub, Over,
    StartError, Target,
};
use tripline_sansio::{Instant, LinkError};
use tripline_std::{HubLoop, HubOptions, Turn, UdpLink, Waker, os_seed};

use crate::sockets::Sockets;

/// A loop, to be used as if it were one around an endpoint.
#[derive(Debug)]
pub(crate) struct Looper {
    inner: HubLoop<LinkHub>,
    local: SocketAddr,
    /// Every link to a server has failed, the newest like this.
    failed: Option<LinkError>,
}

impl Looper {
    /// An endpoint over these sockets.
    pub(crate) fn new(
        sockets: Sockets,
        config: tripline::Config,
        options: &HubOptions,
    ) -> Result<Self> {
        let seed = os_seed().map_err(|error| Fail::io("no entropy", &error))?;
        let endpoint = Endpoint::new(config, &seed, options.options.clock.now());
        let hub = LinkHub::new(endpoint, &seed.child("hub"));
        let inner = HubLoop::new(hub, options);
        let mut inner = inner.map_err(|error| Fail::io("cannot set up the loop", &error))?;
        let local = sockets.local()?;
        if let Some(socket) = sockets.udp {
            inner.add_udp(LinkHub::UDP, UdpLink::new(socket, 8));
        }
        if let Some((kind, listener)) = sockets.listener {
            let number = inner.with(|hub, _| hub.number());
            inner.add_listener(number, kind, listener);
        }
        Ok(Self { inner, local, failed: None })
    }

    /// Where we listen.
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Begins to connect.
    pub(crate) fn connect(
        &mut self,
        target: Target,
        options: ConnectOptions,
        over: Over,
    ) -> std::result::Result<ConnectionHandle, StartError> {
        self.inner.with(|hub, now| hub.connect(now, target, options, over))
    }

    /// Hands the resolver's answer on.
    pub(crate) fn resolved(
        &mut self,
        connection: ConnectionHandle,
        found: std::result::Result<Vec<SocketAddr>, String>,
    ) {
        // The connection may be over by now; its event says so.
        let _ = self.inner.with(|hub, now| hub.resolved(now, connection, found));
    }

    /// By what a connection travels.
    pub(crate) fn carrier(&self, connection: ConnectionHandle) -> Option<Carrier> {
        self.inner.hub().carrier(connection)
    }

    /// Why no link leads to the server, if none does; once.
    pub(crate) fn failed(&mut self) -> Option<LinkError> {
        self.failed.take()
    }

    /// Uses the endpoint at the present time.
    pub(crate) fn with<R>(&mut self, action: impl FnOnce(&mut Endpoint, Instant) -> R) -> R {
        self.inner.with(|hub, now| action(hub.endpoint_mut(), now))
    }

    /// The endpoint.
    pub(crate) fn machine(&self) -> &Endpoint {
        self.inner.hub().endpoint()
    }

    /// Ends our waits from another thread.
    pub(crate) fn waker(&self) -> Waker {
        self.inner.waker()
    }

    /// One turn.
    pub(crate) fn run_once(&mut self, timeout: Option<Duration>) -> io::Result<Turn> {
        self.inner.run_once(timeout)
    }

    /// The next event of the endpoint.
    pub(crate) fn next_event(&mut self) -> Option<Event> {
        loop {
            match self.inner.next_event()? {
                HubEvent::Connection(event) => return Some(event),
                HubEvent::LinkFailed { error, all: true, .. } => self.failed = Some(error),
                _ => {}
            }
        }
    }
}
