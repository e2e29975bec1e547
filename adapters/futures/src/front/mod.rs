//! The engine and the books about it: what has happened to whom, and who waits to hear of it.
//!
//! In come the calls of users and drivers, one at a time (the lock is outside); out come answers,
//! the wakers of those who have to be told, and a few [`Notice`]s that only the driver can deal
//! with. Nothing here waits, calls the system or runs code of the user.

mod connection;
mod events;
mod stream;

pub(crate) use connection::{Conn, Who};
pub(crate) use stream::Entry;

use crate::waits::{Topic, Waits};
use crate::{Stats, Turns};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;
use tripline::{
    Code, ConnectOptions, ConnectionHandle, Endpoint, Incoming, LinkHub, Over, PublicKey, State,
    Target,
};
use tripline_common::Error;
use tripline_sansio::Instant;

/// How long a connection that nobody holds any more may take to deliver what was handed in.
pub(crate) const DROP_GRACE: Duration = Duration::from_secs(10);

/// What the driver has to see to, outside of the lock.
#[derive(Debug)]
pub(crate) enum Notice {
    /// A name is to be resolved (row T02).
    Resolve(ConnectionHandle, String, u16),
    /// The user has to decide about a client (row T12).
    Incoming(Incoming),
}

/// What the driver counts: of the UDP socket, of the links, of the loop.
pub(crate) type Counters = (tripline_udp::Stats, tripline_tcp::Stats, Turns);

/// An attempt to connect.
#[derive(Debug)]
struct Attempt {
    began: Instant,
    /// It travels by links alone: when none of them does, it is not tried any longer.
    by_links: bool,
    phases: Vec<(State, Duration)>,
    /// XX: the server showed this key.
    key: Option<PublicKey>,
    done: Option<Result<(), Error>>,
}

/// How an attempt to connect goes on.
#[derive(Debug)]
pub(crate) enum Progress {
    /// XX: the server showed this key; it is told once.
    ServerKey(PublicKey),
    Done(Result<(), Error>),
}

/// The engine and its books.
#[derive(Debug)]
pub(crate) struct Front {
    pub(crate) hub: LinkHub,
    pub(crate) waits: Waits,
    /// The driver's own waker, until it is used.
    driver: Option<Waker>,
    /// The newest time that was told.
    now: Instant,
    attempts: BTreeMap<ConnectionHandle, Attempt>,
    conns: BTreeMap<ConnectionHandle, Conn>,
    /// The connections that clients opened and nobody has taken yet.
    incoming: VecDeque<ConnectionHandle>,
    /// Somebody takes them.
    listening: bool,
    notices: VecDeque<Notice>,
    /// Who is to be woken once the lock is free.
    pub(crate) woken: Vec<Waker>,
    /// Nobody is let in any more.
    shutting: bool,
    /// All connections have ended after that.
    shut: bool,
    /// Nobody holds anything of this endpoint any more.
    quit: bool,
    /// The driver has ended, for this reason.
    dead: Option<Error>,
    /// Counters of the driver, of its last turn.
    socket: tripline_udp::Stats,
    links: tripline_tcp::Stats,
    turns: Turns,
}

impl Front {
    pub(crate) fn new(hub: LinkHub, now: Instant, listening: bool) -> Self {
        Self {
            hub,
            waits: Waits::default(),
            driver: None,
            now,
            attempts: BTreeMap::new(),
            conns: BTreeMap::new(),
            incoming: VecDeque::new(),
            listening,
            notices: VecDeque::new(),
            woken: Vec::new(),
            shutting: false,
            shut: false,
            quit: false,
            dead: None,
            socket: tripline_udp::Stats::default(),
            links: tripline_tcp::Stats::default(),
            turns: Turns::default(),
        }
    }

    /// The engine.
    pub(crate) fn engine(&mut self) -> &mut Endpoint {
        self.hub.endpoint_mut()
    }

    /// The task that drives the endpoint is to be woken when there is something to send or to
    /// decide. Gives back the waker of before, to be dropped without the lock.
    pub(crate) fn driven_by(&mut self, waker: &Waker) -> Option<Waker> {
        if self.driver.as_ref().is_some_and(|old| old.will_wake(waker)) {
            return None;
        }
        self.driver.replace(waker.clone())
    }

    /// The driver is to run: there may be something to send.
    pub(crate) fn nudge(&mut self) {
        self.woken.extend(self.driver.take());
    }

    pub(crate) fn has_notices(&self) -> bool {
        !self.notices.is_empty()
    }

    pub(crate) fn next_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    fn wake(&mut self, topic: Topic) {
        self.waits.take(topic, &mut self.woken);
    }

    /// Why nothing is answered any more.
    fn death(&self) -> Error {
        self.dead.clone().unwrap_or(Error::Ended)
    }

    /// Begins to connect.
    pub(crate) fn connect(
        &mut self,
        now: Instant,
        target: Target,
        options: ConnectOptions,
        over: Over,
    ) -> Result<ConnectionHandle, Error> {
        if let Some(error) = &self.dead {
            return Err(error.clone());
        }
        let by_links = !over.udp;
        let handle = self.hub.connect(now, target, options, over).map_err(Error::Start)?;
        let attempt = Attempt { began: now, by_links, phases: Vec::new(), key: None, done: None };
        self.attempts.insert(handle, attempt);
        self.look(now);
        self.nudge();
        Ok(handle)
    }

    /// News of an attempt, once each.
    pub(crate) fn progress(&mut self, handle: ConnectionHandle) -> Option<Progress> {
        let Some(attempt) = self.attempts.get_mut(&handle) else {
            return Some(Progress::Done(Err(self.death())));
        };
        if let Some(key) = attempt.key.take() {
            return Some(Progress::ServerKey(key));
        }
        let done = attempt.done.take()?;
        self.attempts.remove(&handle);
        Some(Progress::Done(done))
    }

    /// The user decides about the key that a server showed (R-CHAL-3).
    pub(crate) fn trust(&mut self, now: Instant, handle: ConnectionHandle, trusted: bool) {
        // The attempt may be over by now.
        let _ = match trusted {
            true => self.engine().trust(now, handle),
            false => self.engine().kill(now, handle),
        };
        self.look(now);
        self.nudge();
    }

    /// Nobody waits for this attempt any more.
    pub(crate) fn abandon(&mut self, now: Instant, handle: ConnectionHandle) {
        self.attempts.remove(&handle);
        if self.conns.contains_key(&handle) {
            self.release(now, handle);
        } else {
            let _ = self.engine().kill(now, handle);
            self.nudge();
        }
    }

    /// Answers [`Notice::Resolve`].
    pub(crate) fn resolved(
        &mut self,
        now: Instant,
        handle: ConnectionHandle,
        found: Result<Vec<SocketAddr>, String>,
    ) {
        // The attempt may be over by now.
        let _ = self.hub.resolved(now, handle, found);
        self.look(now);
        self.nudge();
    }

    /// The next client that came in.
    pub(crate) fn accept(&mut self) -> Option<Result<(ConnectionHandle, Arc<Who>), Error>> {
        while let Some(handle) = self.incoming.pop_front() {
            if let Some(conn) = self.conns.get(&handle) {
                return Some(Ok((handle, Arc::clone(&conn.who))));
            }
        }
        match &self.dead {
            Some(error) => Some(Err(error.clone())),
            None => self.shutting.then_some(Err(Error::Ended)),
        }
    }

    /// Nobody takes clients any more; those who wait are let go.
    pub(crate) fn stop_listening(&mut self, now: Instant) {
        self.listening = false;
        for handle in std::mem::take(&mut self.incoming) {
            self.release(now, handle);
        }
    }

    /// Ends everything in order (R-CLOSE-7).
    pub(crate) fn shut_down(&mut self, now: Instant, grace: Duration, code: Code, reason: &str) {
        self.engine().shut_down(now, grace, code, reason);
        self.shutting = true;
        self.wake(Topic::Accept);
        for handle in self.handles() {
            if let Some(conn) = self.conns.get_mut(&handle) {
                conn.closing = true;
            }
            self.wake_all(handle);
        }
        self.nudge();
    }

    /// Tells all connections and attempts that our network has changed (row N17).
    pub(crate) fn network_changed(&mut self, now: Instant) {
        // Of no connection in particular, so there is none to be unknown.
        let _ = self.engine().network_changed(now, None);
        self.nudge();
    }

    /// Whether the end that [`Self::shut_down`] began has come.
    pub(crate) fn is_shut(&self) -> Option<Result<(), Error>> {
        if self.shut {
            return Some(Ok(()));
        }
        self.dead.as_ref().map(|error| Err(error.clone()))
    }

    /// Nobody holds anything of this endpoint any more.
    pub(crate) fn quit(&mut self, now: Instant) {
        self.quit = true;
        self.shut_down(now, DROP_GRACE, Code::NONE, "");
    }

    /// The driver has ended: all ends here and now.
    pub(crate) fn die(&mut self, fate: &Error) {
        self.dead.get_or_insert_with(|| fate.clone());
        for handle in self.handles() {
            if let Some(conn) = self.conns.get_mut(&handle) {
                conn.end.get_or_insert_with(|| fate.clone());
                conn.over = true;
            }
            self.wake_all(handle);
        }
        let attempts: Vec<_> = self.attempts.keys().copied().collect();
        for handle in attempts {
            if let Some(attempt) = self.attempts.get_mut(&handle) {
                attempt.done.get_or_insert_with(|| Err(fate.clone()));
            }
            self.wake(Topic::Attempt(handle));
        }
        self.wake(Topic::Accept);
        self.wake(Topic::ShutDown);
    }

    fn handles(&self) -> Vec<ConnectionHandle> {
        self.conns.keys().copied().collect()
    }

    /// The driver's counters, after a turn; true if it has nothing left to do.
    pub(crate) fn publish(&mut self, counters: Counters) -> bool {
        (self.socket, self.links, self.turns) = counters;
        self.quit && self.hub.endpoint().connections() == 0
    }

    /// All counters; of a connection that is gone, the last ones.
    pub(crate) fn stats(&self, handle: Option<ConnectionHandle>) -> Stats {
        let last = |handle| self.conns.get(&handle).map(|conn| conn.stats);
        let endpoint = self.hub.endpoint();
        let now = |handle| endpoint.connection_stats(handle).or_else(|| last(handle));
        Stats {
            connection: handle.and_then(now).unwrap_or_default(),
            endpoint: endpoint.stats(),
            socket: self.socket,
            links: self.links,
            turns: self.turns,
        }
    }

    /// What the books still hold; for tests.
    #[cfg(test)]
    pub(crate) fn held(&self) -> (usize, usize, usize) {
        let streams = self.conns.values().map(|conn| conn.streams.len()).sum();
        (self.attempts.len(), self.conns.len(), streams)
    }
}
