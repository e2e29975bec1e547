//! One link at a time, as a stream machine: a client over one TCP connection, which may be followed
//! by another; or a server for a single one. A server with many links is a
//! [`LinkEndpoint`], so that a client may go on over a new one.

use super::{LinkEnd, LinkEndpoint};
use crate::carrier::LinkId;
use crate::config::ConnectOptions;
use crate::endpoint::Endpoint;
use crate::error::StartError;
use crate::event::Event;
use crate::handle::ConnectionHandle;
use alloc::vec::Vec;
use tripline_sansio::{DatagramMachine, Instant, StreamMachine};

/// What a [`LinkMachine`] has to tell.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum LinkEvent {
    /// Something happened to a connection.
    Connection(Event),
    /// The link has ended and is to be closed. The connections live on;
    /// [`LinkMachine::reopened`] takes them over to the next one.
    Close(LinkEnd),
}

/// An [`Endpoint`] over one link at a time.
#[derive(Debug)]
pub struct LinkMachine {
    links: LinkEndpoint,
    link: LinkId,
    /// The link in use has ended.
    ended: Option<LinkEnd>,
    /// The end was told.
    told: bool,
    /// What we began and what may still live.
    ours: Vec<ConnectionHandle>,
}

impl LinkMachine {
    /// An endpoint and a link that is there.
    pub fn new(endpoint: Endpoint) -> Self {
        let (mut links, link) = (LinkEndpoint::new(endpoint), LinkId::new(0));
        let ended = (!links.opened(link)).then_some(LinkEnd::Unknown);
        Self { links, link, ended, told: false, ours: Vec::new() }
    }

    /// Begins a connection over the link.
    ///
    /// # Errors
    /// See [`StartError`]; `NoAddress` if the link has ended.
    pub fn connect(
        &mut self,
        now: Instant,
        options: ConnectOptions,
    ) -> Result<ConnectionHandle, StartError> {
        let connection = self.links.connect(now, self.link, options)?;
        self.ours.push(connection);
        Ok(connection)
    }

    /// The endpoint, to ask it.
    pub fn endpoint(&self) -> &Endpoint {
        self.links.endpoint()
    }

    /// The endpoint, for the user's commands.
    pub fn endpoint_mut(&mut self) -> &mut Endpoint {
        self.links.endpoint_mut()
    }

    /// Another link takes the place of the one in use, which has ended or ends now. The connections
    /// that we began go on over it (R-LINK-4).
    pub fn reopened(&mut self, now: Instant) {
        self.links.closed(now, self.link);
        self.link = LinkId::new(self.link.number().wrapping_add(1));
        self.ended = (!self.links.opened(self.link)).then_some(LinkEnd::Unknown);
        self.told = false;
        let Self { links, link, ours, .. } = self;
        ours.retain(|connection| links.resume(now, *connection, *link).is_ok());
    }

    fn end(&mut self, now: Instant, cause: LinkEnd) {
        if self.ended.is_none() {
            self.links.closed(now, self.link);
            self.ended = Some(cause);
        }
    }
}

impl StreamMachine for LinkMachine {
    type Event = LinkEvent;

    fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) {
        if self.ended.is_none()
            && let Err(cause) = self.links.handle_bytes(now, self.link, bytes)
        {
            self.end(now, cause);
        }
    }

    /// A link that is open in one direction only is of no use: it has ended.
    fn handle_eof(&mut self, now: Instant) {
        self.end(now, LinkEnd::Eof);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.links.handle_timeout(now);
    }

    fn poll_write(&mut self, now: Instant, out: &mut Vec<u8>) -> bool {
        // There is one link: which is ready need not be asked, but its name must not stay in the
        // list, or that would grow by one with each link.
        while self.links.poll_ready(now).is_some() {}
        self.links.poll_write(now, self.link, out)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.links.poll_timeout()
    }

    fn poll_event(&mut self) -> Option<LinkEvent> {
        if let Some(event) = self.links.poll_event() {
            if let Event::Drained { connection } = event {
                self.ours.retain(|ours| *ours != connection);
            }
            return Some(LinkEvent::Connection(event));
        }
        let cause = self.ended.filter(|_| !self.told)?;
        self.told = true;
        Some(LinkEvent::Close(cause))
    }
}
