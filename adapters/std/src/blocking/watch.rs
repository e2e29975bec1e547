//! The engine, with a word on state changes that it does not report itself.
//!
//! How far a handshake has come is a state, not an event; a loop that sleeps until an event would
//! miss it. This wrapper compares the states of the few connections that are being opened after
//! each input.

use std::collections::VecDeque;
use tripline::{ConnectionHandle, Endpoint, Event, State};
use tripline_sansio::{DatagramMachine, Ecn, Instant, Path, Transmit};

/// What the loop is told.
#[derive(Debug)]
pub(crate) enum Notice {
    /// What the engine says.
    Event(Event),
    /// A watched connection has another state since then; `None`: it is gone.
    Changed(ConnectionHandle, Option<State>, Instant),
}

/// The engine and the connections whose states are watched.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) endpoint: Endpoint,
    watched: Vec<(ConnectionHandle, Option<State>)>,
    changes: VecDeque<Notice>,
}

impl Watch {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, watched: Vec::new(), changes: VecDeque::new() }
    }

    /// Watches a connection; its present state is the first change.
    pub(crate) fn watch(&mut self, connection: ConnectionHandle, now: Instant) {
        self.watched.push((connection, None));
        let state = self.endpoint.state(connection);
        if state.is_none() {
            self.changes.push_back(Notice::Changed(connection, None, now));
        }
        self.look(now);
    }

    /// Looks at the watched states. A connection is watched until it is ready, over or gone.
    pub(crate) fn look(&mut self, now: Instant) {
        let Self { endpoint, watched, changes } = self;
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

impl DatagramMachine for Watch {
    type Event = Notice;

    fn handle_datagram(&mut self, now: Instant, path: Path, ecn: Ecn, datagram: &mut [u8]) {
        self.endpoint.handle_datagram(now, path, ecn, datagram);
        if !self.watched.is_empty() {
            self.look(now);
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
        self.look(now);
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<Transmit> {
        self.endpoint.poll_transmit(now, out)
    }

    fn handle_too_big(&mut self, now: Instant, transmit: &Transmit) {
        self.endpoint.handle_too_big(now, transmit);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.endpoint.poll_timeout()
    }

    fn poll_event(&mut self) -> Option<Notice> {
        // Changes first: whoever hears `Connected` knows the phases by then.
        self.changes.pop_front().or_else(|| self.endpoint.poll_event().map(Notice::Event))
    }
}
