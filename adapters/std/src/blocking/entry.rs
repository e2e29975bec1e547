//! One stream as the loop thread sees it: what passes between its cell and the engine.

use super::cell::{INCOMING_MAX, OUTGOING_MAX, ReadEnd, StreamCell, StreamState, lock};
use crate::{Error, Settled};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tripline::{Code, Endpoint, ReceiveResult, SendError};
use tripline_sansio::Instant;

/// A stream's cell, and what the loop knows besides.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) cell: Arc<StreamCell>,
    /// The user has taken the stream; before that nothing of it is read, so that the number of
    /// streams nobody takes stays bounded by the limits that the peer was given.
    pub(crate) accepted: bool,
    /// The engine has something to read.
    pub(crate) readable: bool,
    /// The engine has said *blocked*, and not *writable* since.
    pub(crate) blocked: bool,
    pub(crate) stopped: Option<Code>,
    /// What was settled since the cell was last looked into.
    pub(crate) settled: Settled,
    /// Is in the list of streams to look into.
    pub(crate) dirty: bool,
    finished: bool,
}

impl Entry {
    pub(crate) fn new(cell: Arc<StreamCell>) -> Self {
        Self {
            cell,
            accepted: false,
            readable: false,
            blocked: false,
            stopped: None,
            settled: Settled::default(),
            dirty: false,
            finished: false,
        }
    }

    /// Whether messages wait that the engine has not taken yet.
    pub(crate) fn has_outgoing(&self) -> bool {
        !lock(&self.cell.state).outgoing.is_empty()
    }

    /// Passes on what there is in both directions; true if the stream needs no more looking after.
    /// `end` is the end of the connection, if that has come; `proven` as in the connection's cell.
    pub(crate) fn service(
        &mut self,
        engine: &mut Endpoint,
        now: Instant,
        end: Option<&Error>,
        proven: &AtomicUsize,
    ) -> bool {
        self.dirty = false;
        let cell = Arc::clone(&self.cell);
        let mut state = lock(&cell.state);
        state.touched = false;
        let settled = std::mem::take(&mut self.settled);
        state.settled.acked += settled.acked;
        state.settled.sent += settled.sent;
        state.settled.expired += settled.expired;
        state.settled.undelivered += settled.undelivered;
        if let Some(priority) = state.priority.take() {
            let _ = engine.set_priority(now, cell.connection, cell.id, priority);
        }
        if let Some(code) = self.stopped.take() {
            state.refuse(&Error::StreamStopped(code));
        }
        let waiting = state.outgoing.len();
        self.send(&mut state, engine, now, end, proven);
        self.read(&mut state, engine, now, end);
        let room = state.outgoing.len() < waiting && state.outgoing_bytes <= OUTGOING_MAX / 2;
        let told = room || settled != Settled::default() || state.send_end.is_some();
        let something = !state.incoming.is_empty() || state.read_end.is_some();
        let sent = !cell.sends || self.finished || state.send_end.is_some();
        let done = state.abandoned && state.outgoing.is_empty() && sent;
        drop(state);
        if told {
            cell.writable.notify_all();
        }
        if something {
            cell.readable.notify_all();
        }
        done
    }

    fn send(
        &mut self,
        state: &mut StreamState,
        engine: &mut Endpoint,
        now: Instant,
        end: Option<&Error>,
        proven: &AtomicUsize,
    ) {
        let (connection, id) = (self.cell.connection, self.cell.id);
        if let Some(code) = state.close.take() {
            state.refuse(&Error::Send(SendError::Finished));
            let _ = engine.close_stream(now, connection, id, code);
            self.finished = true;
        }
        while !self.blocked
            && let Some(first) = state.outgoing.front()
        {
            let len = first.data.len();
            // A second handle on the same bytes, in case they are not taken.
            match engine.send(now, connection, id, first.data.clone(), first.options) {
                Err(SendError::Blocked) => self.blocked = true,
                Ok(_) => {
                    proven.fetch_max(len, Ordering::Relaxed);
                    state.outgoing_bytes -= len;
                    let reply = state.outgoing.pop_front().and_then(|first| first.reply);
                    let _ = reply.map(|reply| reply.send(Ok(())));
                }
                Err(error @ SendError::TooLarge { .. }) => {
                    state.outgoing_bytes -= len;
                    state.handed -= 1;
                    let reply = state.outgoing.pop_front().and_then(|first| first.reply);
                    let _ = reply.map(|reply| reply.send(Err(Error::Send(error))));
                }
                Err(error) => {
                    state.refuse(end.unwrap_or(&Error::Send(error)));
                }
            }
        }
        if state.finish && state.outgoing.is_empty() && !self.finished {
            self.finished = true;
            let _ = engine.finish(now, connection, id);
        }
    }

    fn read(
        &mut self,
        state: &mut StreamState,
        engine: &mut Endpoint,
        now: Instant,
        end: Option<&Error>,
    ) {
        let (connection, id) = (self.cell.connection, self.cell.id);
        if let Some(code) = state.stop.take() {
            let _ = engine.stop(now, connection, id, code);
            state.read_end.get_or_insert(ReadEnd::Finished);
            (state.incoming_bytes, state.more) = (0, false);
            state.incoming.clear();
        }
        let wanted = self.cell.receives && self.accepted && (self.readable || state.more);
        if !wanted || state.read_end.is_some() {
            return;
        }
        self.readable = false;
        state.more = false;
        loop {
            let (bytes, count) = INCOMING_MAX;
            if state.incoming_bytes >= bytes || state.incoming.len() >= count {
                state.more = true;
                return;
            }
            let over = match engine.receive(now, connection, id) {
                Ok(ReceiveResult::Data(data)) => {
                    state.incoming_bytes += data.len();
                    state.incoming.push_back(data);
                    continue;
                }
                Ok(ReceiveResult::Nothing) => match end {
                    Some(error) => ReadEnd::Error(error.clone()),
                    None => return,
                },
                Ok(ReceiveResult::Finished) => ReadEnd::Finished,
                Ok(ReceiveResult::Closed(code)) => ReadEnd::Error(Error::StreamClosed(code)),
                Err(error) => ReadEnd::Error(end.cloned().unwrap_or(Error::Receive(error))),
            };
            state.read_end = Some(over);
            return;
        }
    }
}
