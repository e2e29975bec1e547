//! What the engine tells, entered into the books.

use super::{Conn, Entry, Front, Notice, Who};
use crate::waits::Topic;
use std::sync::Arc;
use tripline::{By, ConnectionHandle, Event, Fate, HubEvent, LostCause, State, StreamId};
use tripline_common::Error;
use tripline_sansio::{Hub, Instant};

impl Front {
    /// Looks at the states of attempts: how far a handshake has come is no event. An attempt is
    /// looked at until it is ready or over; there are few at a time.
    pub(crate) fn look(&mut self, now: Instant) {
        self.now = self.now.max(now);
        let Self { hub, attempts, now, .. } = self;
        for (handle, attempt) in attempts.iter_mut() {
            let last = attempt.phases.last().map(|(state, _)| *state);
            let Some(state) = hub.endpoint().state(*handle) else { continue };
            let ended = matches!(last, Some(State::Ready | State::Closed | State::Failed));
            if !ended && last != Some(state) {
                let since = now.saturating_duration_since(attempt.began);
                attempt.phases.push((state, since));
            }
        }
    }

    /// Enters all that has happened by `now`. The hub may have come to wishes and deadlines by it,
    /// so the driver is to run.
    pub(crate) fn dispatch(&mut self, now: Instant) {
        self.now = self.now.max(now);
        if self.enter() {
            self.nudge();
        }
    }

    /// The same for the driver, at the newest time that was told. It looks at the deadline after
    /// that, but at wishes only in its next turn.
    pub(crate) fn dispatch_seen(&mut self) {
        if self.enter() && self.hub.has_wishes() {
            self.nudge();
        }
    }

    /// Whether there was anything to enter.
    fn enter(&mut self) -> bool {
        let mut any = false;
        while let Some(event) = self.hub.poll_event() {
            // Whoever hears `Connected` knows the phases by then.
            self.look(self.now);
            match event {
                HubEvent::Connection(event) => self.on_event(event),
                event => self.on_link(event),
            }
            any = true;
        }
        any
    }

    /// What becomes of links. An attempt that knows no other way ends when all of them have failed:
    /// the user hears why at once, not that time is up in the end.
    fn on_link(&mut self, event: HubEvent) {
        let HubEvent::LinkFailed { connection, error, all: true, .. } = event else { return };
        let attempt = self.attempts.get_mut(&connection);
        let Some(attempt) = attempt.filter(|attempt| attempt.by_links) else { return };
        if attempt.done.is_none() {
            attempt.done = Some(Err(Error::Link(error)));
            let now = self.now;
            let _ = self.engine().kill(now, connection);
            self.wake(Topic::Attempt(connection));
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Resolve { connection, host, port } => {
                self.notices.push_back(Notice::Resolve(connection, host, port));
            }
            Event::ServerKey { connection, key } => {
                if let Some(attempt) = self.attempts.get_mut(&connection) {
                    attempt.key = Some(key);
                    self.wake(Topic::Attempt(connection));
                }
            }
            Event::Incoming(incoming) => self.notices.push_back(Notice::Incoming(incoming)),
            Event::Connected { connection, side, peer, remote, user_id, route } => {
                let phases = Vec::new();
                let who = Who { side, peer, remote, user_id, route, phases };
                self.on_connected(connection, who);
            }
            Event::Failed { connection, error } => {
                if let Some(attempt) = self.attempts.get_mut(&connection) {
                    attempt.done.get_or_insert(Err(Error::Connect(error)));
                    self.wake(Topic::Attempt(connection));
                }
            }
            Event::Opened { connection, stream } => self.on_opened(connection, stream),
            Event::Readable { connection, stream } => {
                self.wake(Topic::Readable(connection, stream));
            }
            Event::Writable { connection, stream } => {
                self.change(connection, stream, |entry| entry.blocked = false);
                self.wake(Topic::Writable(connection, stream));
            }
            Event::Stopped { connection, stream, code } => {
                self.change(connection, stream, |entry| entry.stopped = Some(code));
                self.wake(Topic::Writable(connection, stream));
            }
            Event::StreamsAvailable { connection, direction } => {
                self.wake(Topic::Open(connection, direction));
            }
            Event::Message { connection, stream, fate, .. } => {
                self.on_fate(connection, stream, fate);
            }
            // What the peer says about leaving is told by its end; new streams are refused.
            Event::Leaving { .. }
            | Event::Moved { .. }
            | Event::UmtuChanged { .. }
            | Event::Unlinked { .. }
            | Event::Unsafe { .. }
            | Event::Quiet { .. }
            // While opening the engine follows by itself; later it is up to the two users.
            | Event::Forward { .. } => {}
            Event::ShutDown => {
                self.shut = true;
                self.wake(Topic::ShutDown);
            }
            Event::Closed { connection, by, code, reason } => {
                self.on_end(connection, Error::Closed { by, code, reason });
            }
            Event::Lost { connection, cause } => self.on_end(connection, Error::Lost(cause)),
            Event::Drained { connection } => self.on_over(connection),
        }
    }

    fn on_connected(&mut self, handle: ConnectionHandle, mut who: Who) {
        let attempt = self.attempts.get_mut(&handle);
        let ours = attempt.is_some();
        if let Some(attempt) = attempt {
            attempt.done = Some(Ok(()));
            who.phases = std::mem::take(&mut attempt.phases);
        }
        self.conns.insert(handle, Conn::new(Arc::new(who)));
        if ours {
            self.wake(Topic::Attempt(handle));
        } else if self.listening {
            self.incoming.push_back(handle);
            self.wake(Topic::Accept);
        } else {
            self.release(self.now, handle);
        }
    }

    fn on_opened(&mut self, handle: ConnectionHandle, id: StreamId) {
        let Some(conn) = self.conns.get_mut(&handle) else { return };
        conn.streams.insert(id, Entry::new(id, conn.who.side));
        conn.opened.push_back(id);
        self.wake(Topic::Opened(handle));
    }

    fn on_fate(&mut self, handle: ConnectionHandle, id: StreamId, fate: Fate) {
        let Some(conn) = self.conns.get_mut(&handle) else { return };
        conn.undelivered += u64::from(fate == Fate::Undelivered && conn.closing);
        let Some(entry) = conn.streams.get_mut(&id) else { return };
        entry.settled.count(fate);
        self.wake(Topic::Settled(handle, id));
    }

    fn change(&mut self, handle: ConnectionHandle, id: StreamId, act: impl FnOnce(&mut Entry)) {
        let conn = self.conns.get_mut(&handle);
        if let Some(entry) = conn.and_then(|conn| conn.streams.get_mut(&id)) {
            act(entry);
        }
    }

    /// The connection has ended: everyone who waits on it is told, but what was received first.
    fn on_end(&mut self, handle: ConnectionHandle, error: Error) {
        let Some(conn) = self.conns.get_mut(&handle) else { return };
        conn.stats = self.hub.endpoint().connection_stats(handle).unwrap_or(conn.stats);
        // If it was the peer who said so, it need not be told: our answer is on its way.
        conn.over |= matches!(
            &error,
            Error::Closed { by: By::Peer, .. }
                | Error::Lost(LostCause::Peer { .. } | LostCause::Reset)
        );
        conn.end = Some(error);
        self.wake_all(handle);
    }

    /// The engine has nothing more to say to the peer.
    fn on_over(&mut self, handle: ConnectionHandle) {
        let Some(conn) = self.conns.get_mut(&handle) else { return };
        (conn.over, conn.drained) = (true, true);
        if conn.released {
            self.forget(self.now, handle);
        }
        self.wake(Topic::End(handle));
    }
}
