//! A stream in the user's hands.

use super::cell::{
    Command, INCOMING_MAX, OUTGOING_MAX, Outgoing, ReadEnd, StreamCell, StreamState, answer_until,
    limit, lock, wait_until,
};
use super::connection::Owner;
use crate::{Error, Settled};
use bytes::{Buf, Bytes};
use std::io::{self, Read, Write};
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};
use tripline::{Code, Order, ReceiveError, SendError, SendOptions, StreamId};

/// Larger writes to a byte stream are cut into chunks of this many bytes.
const CHUNK: usize = 64 << 10;

/// A stream of a [`Connection`](crate::Connection): messages, or bytes.
///
/// All calls work on `&self`, so one thread may send while another receives. A stream that is
/// dropped is finished (what was handed in still goes out) and read no further.
#[derive(Debug)]
pub struct Stream {
    cell: Arc<StreamCell>,
    owner: Arc<Owner>,
    timeout: Option<Duration>,
}

impl Stream {
    pub(crate) fn new(cell: Arc<StreamCell>, owner: Arc<Owner>) -> Self {
        Self { cell, owner, timeout: None }
    }

    /// The same stream, whose calls that wait (to send, to receive, to read and write bytes, until
    /// all is [`settled`](Self::settled)) wait for at most so long each and fail with
    /// [`Error::TimedOut`] then; zero only looks. A message that timed out was not taken, and
    /// nothing that arrived is lost.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// As [`Self::with_timeout`], from now on; `None` waits for as long as it takes.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.timeout = timeout;
    }

    /// The stream's name: its index, order, direction and opener.
    pub fn id(&self) -> StreamId {
        self.cell.id
    }

    /// Sends a reliable message, or a chunk of a byte stream. Waits while too much is waiting
    /// already (row T44); returns once the message is on its way, not when it has arrived.
    ///
    /// A [`Bytes`] or `Vec<u8>` is kept without a copy.
    ///
    /// # Errors
    /// [`Error::Send`], [`Error::StreamStopped`], or the end of the connection; the message was not
    /// taken then.
    pub fn send(&self, message: impl Into<Bytes>) -> Result<(), Error> {
        self.send_with(message, SendOptions::default())
    }

    /// Sends a message as the options say.
    ///
    /// # Errors
    /// As [`Self::send`]; byte streams take only the default options.
    pub fn send_with(&self, message: impl Into<Bytes>, options: SendOptions) -> Result<(), Error> {
        let data: Bytes = message.into();
        if !self.cell.sends {
            return Err(Error::Send(SendError::ReceiveOnly));
        }
        let bytes = self.cell.id.order() == Order::Bytes;
        if bytes && options != SendOptions::default() {
            return Err(Error::Send(SendError::AlwaysReliable));
        }
        // Only the engine knows the peer's limit, so larger messages than it took so far wait for
        // its answer. That is once or twice in a connection's life.
        let proven = bytes || data.len() <= self.owner.cell.proven.load(Ordering::Relaxed);
        let (reply, answer) = if proven { None } else { Some(sync_channel(1)) }.unzip();
        let until = limit(self.timeout);
        let mut state = lock(&self.cell.state);
        loop {
            match &state.send_end {
                Some(error) => return Err(error.clone()),
                None if state.finish => return Err(Error::Send(SendError::Finished)),
                None if state.outgoing_bytes < OUTGOING_MAX => break,
                None => state = wait_until(&self.cell.writable, state, until)?,
            }
        }
        state.handed += 1;
        state.tickets += 1;
        state.outgoing_bytes += data.len();
        let ticket = state.tickets;
        state.outgoing.push_back(Outgoing { ticket, data, options, reply });
        self.touch(state);
        let Some(answer) = answer else { return Ok(()) };
        let taken = match answer_until(&answer, until) {
            Err(error) if lock(&self.cell.state).withdraw(ticket) => return Err(error),
            // The engine was faster: its answer is there, or comes at once.
            Err(_) => answer.recv().ok(),
            Ok(taken) => taken,
        };
        taken.unwrap_or_else(|| Err(self.owner.end()))
    }

    /// The next message, or chunk of a byte stream; `None` once the peer has sent everything.
    ///
    /// # Errors
    /// [`Error::StreamClosed`] if the peer ended the stream early, or the end of the connection;
    /// all that had arrived comes first.
    pub fn receive(&self) -> Result<Option<Bytes>, Error> {
        self.receive_until(limit(self.timeout))
    }

    /// As [`Self::receive`], for at most `timeout`; zero only looks.
    ///
    /// # Errors
    /// As [`Self::receive`], and [`Error::TimedOut`].
    pub fn receive_timeout(&self, timeout: Duration) -> Result<Option<Bytes>, Error> {
        self.receive_until(limit(Some(timeout)))
    }

    fn receive_until(&self, until: Option<Instant>) -> Result<Option<Bytes>, Error> {
        let mut state = self.wait_readable(until)?;
        let Some(message) = state.incoming.pop_front() else { return Ok(None) };
        state.incoming_bytes -= message.len();
        self.took(state);
        Ok(Some(message))
    }

    /// Waits until there is something to read, or the stream has ended well: then nothing is left.
    fn wait_readable(&self, until: Option<Instant>) -> Result<MutexGuard<'_, StreamState>, Error> {
        if !self.cell.receives {
            return Err(Error::Receive(ReceiveError::SendOnly));
        }
        let mut state = lock(&self.cell.state);
        loop {
            if !state.incoming.is_empty() {
                return Ok(state);
            }
            match &state.read_end {
                Some(ReadEnd::Finished) => return Ok(state),
                Some(ReadEnd::Error(error)) => return Err(error.clone()),
                None => {}
            }
            state = wait_until(&self.cell.readable, state, until)?;
        }
    }

    /// Something was taken: asks the loop for more once half is gone.
    fn took(&self, state: MutexGuard<'_, StreamState>) {
        let (bytes, count) = INCOMING_MAX;
        if state.more && state.incoming_bytes <= bytes / 2 && state.incoming.len() <= count / 2 {
            self.touch(state);
        }
    }

    /// Has the loop look into the cell, unless it was asked to already.
    fn touch(&self, mut state: MutexGuard<'_, StreamState>) {
        let asked = std::mem::replace(&mut state.touched, true);
        drop(state);
        if !asked {
            self.owner.shared().push(Command::Touch(Arc::clone(&self.cell)));
        }
    }

    /// Changes what the loop finds in the cell.
    fn tell(&self, change: impl FnOnce(&mut StreamState)) {
        let mut state = lock(&self.cell.state);
        change(&mut state);
        self.touch(state);
    }

    /// Says that we send no more; what was handed in still goes out.
    pub fn finish(&self) {
        self.tell(|state| state.finish = true);
    }

    /// Ends our half here and now; what the peer does not have yet is dropped.
    pub fn close(&self, code: Code) {
        self.tell(|state| state.close = Some(code));
    }

    /// Tells the peer to send no more; what still comes is dropped.
    pub fn stop(&self, code: Code) {
        self.tell(|state| state.stop = Some(code));
    }

    /// Changes the priority, 0 (most urgent) to 7 (row T47).
    pub fn set_priority(&self, priority: u8) {
        self.tell(|state| state.priority = Some(priority));
    }

    /// Waits until it is known of every message handed in so far what became of it (row T30).
    ///
    /// # Errors
    /// [`Error::TimedOut`], if there is a limit; when the connection ends, the messages are settled
    /// as undelivered.
    pub fn settled(&self) -> Result<Settled, Error> {
        let until = limit(self.timeout);
        let mut state = lock(&self.cell.state);
        let handed = state.handed;
        loop {
            if state.settled.total() >= handed {
                return Ok(state.settled);
            }
            if let Some(error) = lock(&self.owner.cell.state).end.clone()
                && state.send_end.is_some()
                && state.outgoing.is_empty()
            {
                return if state.settled.total() >= handed {
                    Ok(state.settled)
                } else {
                    Err(error)
                };
            }
            state = wait_until(&self.cell.writable, state, until)?;
        }
    }

    /// What is known so far of the messages handed in; never waits.
    pub fn progress(&self) -> Settled {
        lock(&self.cell.state).settled
    }

    /// What it shares with the loop.
    #[cfg(test)]
    pub(crate) fn cell(&self) -> &StreamCell {
        &self.cell
    }

    fn only_bytes(&self) -> io::Result<()> {
        if self.cell.id.order() == Order::Bytes {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::Unsupported, "a stream of messages, not of bytes"))
    }
}

/// Byte streams only.
impl Read for &Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.only_bytes()?;
        if buffer.is_empty() {
            return Ok(0);
        }
        let mut state = self.wait_readable(limit(self.timeout))?;
        let mut done = 0;
        while done < buffer.len()
            && let Some(chunk) = state.incoming.front_mut()
        {
            let len = chunk.len().min(buffer.len() - done);
            chunk.copy_to_slice(&mut buffer[done..done + len]);
            if chunk.is_empty() {
                state.incoming.pop_front();
            }
            state.incoming_bytes -= len;
            done += len;
        }
        self.took(state);
        Ok(done)
    }
}

/// Byte streams only. Each write goes out at once, so small ones are best put behind a
/// [`BufWriter`](std::io::BufWriter); `flush` has nothing to do.
impl Write for &Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.only_bytes()?;
        let chunk = &bytes[..bytes.len().min(CHUNK)];
        if !chunk.is_empty() {
            self.send(Bytes::copy_from_slice(chunk))?;
        }
        Ok(chunk.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Byte streams only.
impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }
}

/// Byte streams only; as for `&Stream`.
impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.cell.let_go();
        self.touch(lock(&self.cell.state));
    }
}
