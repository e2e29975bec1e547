//! The engine, with a word on state changes that it does not report itself.
//!
//! How far a handshake has come is a state, not an event; a loop that sleeps until an event would
//! miss it. This wrapper compares the states of the few connections that are being opened after
//! each input.

use std::collections::VecDeque;
use std::net::SocketAddr;
use tripline::{ConnectionHandle, Endpoint, Event, HubEvent, LinkHub, State};
use tripline_sansio::{Answer, Ecn, Hub, Instant, LinkKind, Path, Transmit, Wish};

/// What the loop is told.
#[derive(Debug)]
pub(crate) enum Notice {
    /// What the engine says.
    Event(Event),
    /// What it says about links.
    Link(HubEvent),
    /// A watched connection has another state since then; `None`: it is gone.
    Changed(ConnectionHandle, Option<State>, Instant),
}

/// The engine and the connections whose states are watched.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) hub: LinkHub,
    watched: Vec<(ConnectionHandle, Option<State>)>,
    changes: VecDeque<Notice>,
}

impl Watch {
    pub(crate) fn new(hub: LinkHub) -> Self {
        Self { hub, watched: Vec::new(), changes: VecDeque::new() }
    }

    /// The engine.
    pub(crate) fn endpoint(&mut self) -> &mut Endpoint {
        self.hub.endpoint_mut()
    }

    /// Watches a connection; its present state is the first change.
    pub(crate) fn watch(&mut self, connection: ConnectionHandle, now: Instant) {
        self.watched.push((connection, None));
        let state = self.hub.endpoint().state(connection);
        if state.is_none() {
            self.changes.push_back(Notice::Changed(connection, None, now));
        }
        self.look(now);
    }

    /// Looks at the watched states. A connection is watched until it is ready, over or gone.
    pub(crate) fn look(&mut self, now: Instant) {
        let Self { hub, watched, changes } = self;
        if watched.is_empty() {
            return;
        }
        let endpoint = hub.endpoint();
        watched.retain_mut(|(connection, last)| {
            let state = endpoint.state(*connection);
            if state != *last {
                changes.push_back(Notice::Changed(*connection, state, now));
                *last = state;
            }
            !matches!(state, None | Some(State::Ready | State::Closed | State::Failed))
        });
    }
}

impl Hub for Watch {
    type Event = Notice;

    fn handle_answer(&mut self, now: Instant, link: u64, answer: Answer) {
        self.hub.handle_answer(now, link, answer);
        self.look(now);
    }

    fn handle_accepted(
        &mut self,
        now: Instant,
        listener: u64,
        kind: LinkKind,
        remote: SocketAddr,
    ) -> Option<u64> {
        self.hub.handle_accepted(now, listener, kind, remote)
    }

    fn handle_datagram(
        &mut self,
        now: Instant,
        link: u64,
        path: Path,
        ecn: Ecn,
        datagram: &mut [u8],
    ) {
        self.hub.handle_datagram(now, link, path, ecn, datagram);
        self.look(now);
    }

    fn handle_bytes(&mut self, now: Instant, link: u64, bytes: &[u8]) {
        self.hub.handle_bytes(now, link, bytes);
        self.look(now);
    }

    fn handle_eof(&mut self, now: Instant, link: u64) {
        self.hub.handle_eof(now, link);
        self.look(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.hub.handle_timeout(now);
        self.look(now);
    }

    fn poll_wish(&mut self) -> Option<Wish> {
        self.hub.poll_wish()
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<(u64, Transmit)> {
        self.hub.poll_transmit(now, out)
    }

    fn handle_too_big(&mut self, now: Instant, link: u64, transmit: &Transmit) {
        self.hub.handle_too_big(now, link, transmit);
    }

    fn poll_ready(&mut self, now: Instant) -> Option<u64> {
        self.hub.poll_ready(now)
    }

    fn poll_write(&mut self, now: Instant, link: u64, out: &mut Vec<u8>) -> bool {
        self.hub.poll_write(now, link, out)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.hub.poll_timeout()
    }

    fn poll_event(&mut self) -> Option<Notice> {
        // Changes first: whoever hears `Connected` knows the phases by then.
        self.changes.pop_front().or_else(|| {
            self.hub.poll_event().map(|event| match event {
                HubEvent::Connection(event) => Notice::Event(event),
                event => Notice::Link(event),
            })
        })
    }
}
