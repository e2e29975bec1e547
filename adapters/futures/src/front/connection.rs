//! One connection in the books, and what users ask of it.

use super::{DROP_GRACE, Entry, Front};
use crate::waits::Topic;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tripline::{
    Code, ConnectionHandle, ConnectionStats, Direction, OpenError, PublicKey, Side, State,
    StreamId, StreamOptions,
};
use tripline_common::Error;
use tripline_sansio::Instant;

/// Who is connected: what never changes, so that it is read without a lock.
#[derive(Debug)]
pub(crate) struct Who {
    pub(crate) side: Side,
    pub(crate) peer: Option<PublicKey>,
    pub(crate) remote: SocketAddr,
    pub(crate) user_id: [u8; 8],
    pub(crate) route: Vec<u8>,
    /// The states on the way to readiness, and when each began, counted from the call.
    pub(crate) phases: Vec<(State, Duration)>,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) who: Arc<Who>,
    pub(super) streams: BTreeMap<StreamId, Entry>,
    /// Streams that the peer opened and nobody has taken yet.
    pub(super) opened: VecDeque<StreamId>,
    /// The user wants it to end.
    pub(super) closing: bool,
    /// Nobody holds it any more.
    pub(super) released: bool,
    /// The end, told by the engine.
    pub(super) end: Option<Error>,
    /// The peer knows of the end, or will never.
    pub(super) over: bool,
    /// The engine has said its last word about it.
    pub(super) drained: bool,
    /// Messages that were not delivered when the connection ended.
    pub(super) undelivered: u64,
    /// The last counters, from the time when the engine still had them.
    pub(super) stats: ConnectionStats,
}

impl Conn {
    pub(super) fn new(who: Arc<Who>) -> Self {
        Self {
            who,
            streams: BTreeMap::new(),
            opened: VecDeque::new(),
            closing: false,
            released: false,
            end: None,
            over: false,
            drained: false,
            undelivered: 0,
            stats: ConnectionStats::default(),
        }
    }
}

impl Front {
    /// The connection of an attempt that has just succeeded.
    pub(crate) fn who(&self, handle: ConnectionHandle) -> Option<Arc<Who>> {
        self.conns.get(&handle).map(|conn| Arc::clone(&conn.who))
    }

    /// How a connection ended, or why nothing is known of it.
    pub(crate) fn end_of(&self, handle: ConnectionHandle) -> Error {
        let end = self.conns.get(&handle).and_then(|conn| conn.end.clone());
        end.unwrap_or_else(|| self.death())
    }

    /// Opens a stream, unless the peer allows no more now (row T32).
    pub(crate) fn open(
        &mut self,
        now: Instant,
        handle: ConnectionHandle,
        options: StreamOptions,
    ) -> Option<Result<StreamId, Error>> {
        let conn = self.conns.get_mut(&handle)?;
        if let Some(error) = &conn.end {
            return Some(Err(error.clone()));
        }
        match self.hub.endpoint_mut().open(now, handle, options) {
            Ok(id) => {
                conn.streams.insert(id, Entry::new(id, conn.who.side));
                Some(Ok(id))
            }
            Err(OpenError::Limit { .. }) => {
                // The peer hears that we would like more.
                self.nudge();
                None
            }
            Err(error) => Some(Err(Error::Open(error))),
        }
    }

    /// The next stream that the peer opened.
    pub(crate) fn take_opened(
        &mut self,
        handle: ConnectionHandle,
    ) -> Option<Result<StreamId, Error>> {
        let Some(conn) = self.conns.get_mut(&handle) else {
            return Some(Err(self.death()));
        };
        match conn.opened.pop_front() {
            Some(id) => Some(Ok(id)),
            None => conn.end.clone().map(Err),
        }
    }

    /// Ends a connection in order (row T25), unless it is ending already.
    pub(crate) fn close(
        &mut self,
        now: Instant,
        handle: ConnectionHandle,
        grace: Duration,
        code: Code,
        reason: &str,
    ) {
        let Some(conn) = self.conns.get_mut(&handle) else { return };
        if conn.closing || conn.end.is_some() {
            return;
        }
        conn.closing = true;
        // It is there: its end would have been told.
        let _ = self.engine().close(now, handle, grace, code, reason);
        self.wake_all(handle);
        self.nudge();
    }

    /// Ends a connection at once and in silence.
    pub(crate) fn kill(&mut self, now: Instant, handle: ConnectionHandle) {
        let _ = self.engine().kill(now, handle);
        self.nudge();
    }

    /// How a connection ended, once the peer knows or cannot be told.
    pub(crate) fn closed(&self, handle: ConnectionHandle) -> Option<Result<(), Error>> {
        let Some(conn) = self.conns.get(&handle) else {
            return Some(Err(self.death()));
        };
        if !conn.over {
            return None;
        }
        Some(match (&conn.end, conn.undelivered) {
            (Some(Error::Closed { .. }), 0) => Ok(()),
            (Some(Error::Closed { .. }), messages) => Err(Error::Undelivered { messages }),
            (Some(error), _) => Err(error.clone()),
            (None, _) => Err(Error::Ended),
        })
    }

    /// Nobody holds the connection or one of its streams any more.
    pub(crate) fn release(&mut self, now: Instant, handle: ConnectionHandle) {
        self.close(now, handle, DROP_GRACE, Code::NONE, "");
        let Some(conn) = self.conns.get_mut(&handle) else { return };
        conn.released = true;
        if conn.drained || self.dead.is_some() {
            self.forget(now, handle);
        }
    }

    /// Frees what nobody will read.
    pub(super) fn forget(&mut self, now: Instant, handle: ConnectionHandle) {
        self.conns.remove(&handle);
        let _ = self.engine().kill(now, handle);
        self.nudge();
    }

    /// Everyone who waits on a connection has to look again.
    pub(super) fn wake_all(&mut self, handle: ConnectionHandle) {
        let Some(conn) = self.conns.get_mut(&handle) else { return };
        let mut topics = vec![
            Topic::Opened(handle),
            Topic::Open(handle, Direction::OneWay),
            Topic::Open(handle, Direction::TwoWay),
            Topic::End(handle),
        ];
        for (id, entry) in &mut conn.streams {
            entry.blocked = false;
            topics.extend([
                Topic::Readable(handle, *id),
                Topic::Writable(handle, *id),
                Topic::Settled(handle, *id),
            ]);
        }
        topics.into_iter().for_each(|topic| self.wake(topic));
    }
}
