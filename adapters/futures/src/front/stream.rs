//! One stream in the books, and what users ask of it.

use super::Front;
use crate::waits::Topic;
use bytes::{Buf, Bytes};
use tripline::{
    Code, ConnectionHandle, Direction, Order, ReceiveError, ReceiveResult, SendError, SendOptions,
    Side, StreamId,
};
use tripline_common::{Error, Settled};
use tripline_sansio::Instant;

/// How reading a stream ended.
#[derive(Clone, Debug)]
enum ReadEnd {
    Finished,
    Error(Error),
}

/// One stream, as long as the user holds half of it.
#[derive(Debug)]
pub(crate) struct Entry {
    sends: bool,
    receives: bool,
    /// Halves that the user holds, or will once the stream is taken.
    halves: u8,
    /// Messages that the engine has taken.
    handed: u64,
    pub(super) settled: Settled,
    /// The engine said *blocked*, and not *writable* since.
    pub(super) blocked: bool,
    /// The peer wants no more.
    pub(super) stopped: Option<Code>,
    /// We said that no more comes.
    finished: bool,
    /// What is left of a chunk that was read in part.
    rest: Bytes,
    read_end: Option<ReadEnd>,
}

impl Entry {
    /// The entry of a stream that `side` sees.
    pub(crate) fn new(id: StreamId, side: Side) -> Self {
        let two_way = id.direction() == Direction::TwoWay;
        let ours = id.opener() == side;
        Self {
            sends: two_way || ours,
            receives: two_way || !ours,
            halves: 2,
            handed: 0,
            settled: Settled::default(),
            blocked: false,
            stopped: None,
            finished: false,
            rest: Bytes::new(),
            read_end: None,
        }
    }
}

impl Front {
    /// Hands a message to the engine; `None`: too much is waiting already (row T44), and nothing
    /// was taken.
    pub(crate) fn send(
        &mut self,
        now: Instant,
        handle: ConnectionHandle,
        id: StreamId,
        data: impl FnOnce() -> Bytes,
        options: SendOptions,
    ) -> Option<Result<(), Error>> {
        let Some(conn) = self.conns.get_mut(&handle) else {
            return Some(Err(self.death()));
        };
        let Some(entry) = conn.streams.get_mut(&id) else {
            return Some(Err(Error::Ended));
        };
        let refused = match (entry.stopped, &conn.end) {
            _ if !entry.sends => Some(Error::Send(SendError::ReceiveOnly)),
            (Some(code), _) => Some(Error::StreamStopped(code)),
            (None, Some(error)) => Some(error.clone()),
            (None, None) if entry.finished => Some(Error::Send(SendError::Finished)),
            (None, None) => None,
        };
        if let Some(error) = refused {
            return Some(Err(error));
        }
        if entry.blocked {
            return None;
        }
        match self.hub.endpoint_mut().send(now, handle, id, data(), options) {
            Ok(_) => {
                entry.handed += 1;
                self.nudge();
                Some(Ok(()))
            }
            Err(SendError::Blocked) => {
                entry.blocked = true;
                None
            }
            Err(error) => Some(Err(Error::Send(error))),
        }
    }

    /// The next message, or chunk of a byte stream; `Ok(None)` once the peer has sent everything.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        handle: ConnectionHandle,
        id: StreamId,
    ) -> Option<Result<Option<Bytes>, Error>> {
        let Some(conn) = self.conns.get_mut(&handle) else {
            return Some(Err(self.death()));
        };
        let Some(entry) = conn.streams.get_mut(&id) else {
            return Some(Err(Error::Ended));
        };
        if !entry.receives {
            return Some(Err(Error::Receive(ReceiveError::SendOnly)));
        }
        if !entry.rest.is_empty() {
            return Some(Ok(Some(std::mem::take(&mut entry.rest))));
        }
        if entry.read_end.is_none() {
            let end = match self.hub.endpoint_mut().receive(now, handle, id) {
                Ok(ReceiveResult::Data(data)) => {
                    // The peer may be owed credit for it.
                    self.nudge();
                    return Some(Ok(Some(data)));
                }
                Ok(ReceiveResult::Nothing) => ReadEnd::Error(conn.end.clone()?),
                Ok(ReceiveResult::Finished) => ReadEnd::Finished,
                Ok(ReceiveResult::Closed(code)) => ReadEnd::Error(Error::StreamClosed(code)),
                Err(error) => ReadEnd::Error(conn.end.clone().unwrap_or(Error::Receive(error))),
            };
            entry.read_end = Some(end);
        }
        let over = match &entry.read_end {
            Some(ReadEnd::Error(error)) => Err(error.clone()),
            _ => Ok(None),
        };
        // It may make room for another stream.
        self.nudge();
        Some(over)
    }

    /// Fills `buffer` from a byte stream, as far as there is something; 0 at the end.
    pub(crate) fn read(
        &mut self,
        now: Instant,
        handle: ConnectionHandle,
        id: StreamId,
        buffer: &mut [u8],
    ) -> Option<Result<usize, Error>> {
        let mut done = 0;
        while done < buffer.len() {
            let mut chunk = match self.receive(now, handle, id) {
                Some(Ok(Some(chunk))) => chunk,
                // What comes after what was read is told the next time.
                _ if done > 0 => break,
                Some(Ok(None)) => return Some(Ok(0)),
                Some(Err(error)) => return Some(Err(error)),
                None => return None,
            };
            let len = chunk.len().min(buffer.len() - done);
            chunk.copy_to_slice(&mut buffer[done..done + len]);
            done += len;
            let conn = self.conns.get_mut(&handle);
            if let Some(entry) = conn.and_then(|conn| conn.streams.get_mut(&id)) {
                entry.rest = chunk;
            }
        }
        Some(Ok(done))
    }

    /// Says that we send no more; what was handed in still goes out.
    pub(crate) fn finish(&mut self, now: Instant, handle: ConnectionHandle, id: StreamId) {
        let Some(conn) = self.conns.get_mut(&handle) else { return };
        let Some(entry) = conn.streams.get_mut(&id) else { return };
        if entry.sends && !std::mem::replace(&mut entry.finished, true) {
            // A stream that is gone needs no end.
            let _ = self.engine().finish(now, handle, id);
            self.wake(Topic::Writable(handle, id));
            self.nudge();
        }
    }

    /// Ends our half here and now.
    pub(crate) fn close_stream(
        &mut self,
        now: Instant,
        handle: ConnectionHandle,
        id: StreamId,
        code: Code,
    ) {
        let Some(conn) = self.conns.get_mut(&handle) else { return };
        let Some(entry) = conn.streams.get_mut(&id) else { return };
        entry.finished = true;
        let _ = self.engine().close_stream(now, handle, id, code);
        self.wake(Topic::Writable(handle, id));
        self.nudge();
    }

    /// Tells the peer to send no more; reading ends here.
    pub(crate) fn stop(
        &mut self,
        now: Instant,
        handle: ConnectionHandle,
        id: StreamId,
        code: Code,
    ) {
        let Some(conn) = self.conns.get_mut(&handle) else { return };
        let Some(entry) = conn.streams.get_mut(&id) else { return };
        if entry.receives && entry.read_end.is_none() {
            (entry.read_end, entry.rest) = (Some(ReadEnd::Finished), Bytes::new());
            let _ = self.engine().stop(now, handle, id, code);
            self.wake(Topic::Readable(handle, id));
            self.nudge();
        }
    }

    /// Changes the priority (row T47).
    pub(crate) fn set_priority(
        &mut self,
        now: Instant,
        handle: ConnectionHandle,
        id: StreamId,
        priority: u8,
    ) {
        let _ = self.engine().set_priority(now, handle, id, priority);
        self.nudge();
    }

    /// What is known so far of the messages handed in, and how many those were.
    pub(crate) fn settled(&self, handle: ConnectionHandle, id: StreamId) -> (Settled, u64) {
        let conn = self.conns.get(&handle);
        let entry = conn.and_then(|conn| conn.streams.get(&id));
        entry.map(|entry| (entry.settled, entry.handed)).unwrap_or_default()
    }

    /// What became of the first `handed` messages, once that is known of all (row T30).
    pub(crate) fn all_settled(
        &self,
        handle: ConnectionHandle,
        id: StreamId,
        handed: u64,
    ) -> Option<Result<Settled, Error>> {
        let (settled, _) = self.settled(handle, id);
        if settled.total() >= handed {
            return Some(Ok(settled));
        }
        let Some(conn) = self.conns.get(&handle) else {
            return Some(Err(self.death()));
        };
        conn.end.clone().map(Err)
    }

    /// The user let go of one half; the entry goes with the second.
    pub(crate) fn drop_half(&mut self, handle: ConnectionHandle, id: StreamId) {
        let Some(conn) = self.conns.get_mut(&handle) else { return };
        let Some(entry) = conn.streams.get_mut(&id) else { return };
        entry.halves -= 1;
        if entry.halves == 0 {
            conn.streams.remove(&id);
        }
    }

    /// Whether a stream is one of bytes; what else `read` and `write` may not be used on.
    pub(crate) fn only_bytes(id: StreamId) -> std::io::Result<()> {
        if id.order() == Order::Bytes {
            return Ok(());
        }
        let text = "a stream of messages, not of bytes";
        Err(std::io::Error::new(std::io::ErrorKind::Unsupported, text))
    }
}
