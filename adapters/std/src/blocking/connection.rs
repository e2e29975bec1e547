//! A connection in the user's hands.

use super::User;
use super::cell::{
    Command, ConnCell, Opening, Shared, Task, answer_until, limit, lock, wait_until,
};
use super::stream::Stream;
use crate::{Error, Stats};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;
use tripline::{
    Agreed, Carrier, Code, ConnectionHandle, Endpoint, Explanation, PublicKey, Reconfigure, Side,
    State, StreamOptions,
};
use tripline_sansio::Instant as TimePoint;

/// A connection's cell, held by its handle and by its streams. When the last of them goes, the
/// connection is closed in order.
#[derive(Debug)]
pub(crate) struct Owner {
    pub(crate) cell: Arc<ConnCell>,
    user: Arc<User>,
}

impl Owner {
    pub(crate) fn shared(&self) -> &Shared {
        &self.user.shared
    }

    /// How the connection ended, or why the loop answers no more.
    pub(crate) fn end(&self) -> Error {
        let end = lock(&self.cell.state).end.clone();
        end.unwrap_or_else(|| self.shared().death())
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared().push(Command::Release(self.cell.handle));
    }
}

/// A connection: made by [`connect`](crate::connect), a [`Client`](crate::Client) or a
/// [`Listener`](crate::Listener).
///
/// All calls work on `&self`, from any thread. When this handle and all its streams are dropped the
/// connection ends in order, in the background; [`Self::close`] does it in the foreground and says
/// how it went.
#[derive(Debug)]
pub struct Connection {
    owner: Arc<Owner>,
    timeout: Option<Duration>,
}

impl Connection {
    pub(crate) fn new(cell: Arc<ConnCell>, user: Arc<User>) -> Self {
        Self { owner: Arc::new(Owner { cell, user }), timeout: None }
    }

    /// The same connection, whose calls that wait ([`open`](Self::open),
    /// [`accept_stream`](Self::accept_stream), [`close`](Self::close),
    /// [`wait_closed`](Self::wait_closed)) wait for at most so long each and fail with
    /// [`Error::TimedOut`] then; zero only looks. Nothing is lost by that. Streams have limits of
    /// their own: [`Stream::with_timeout`].
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// As [`Self::with_timeout`], from now on; `None` waits for as long as it takes.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.timeout = timeout;
    }

    /// Opens a stream. That costs no round trip, but waits while the peer allows no more streams
    /// (row T32).
    ///
    /// # Errors
    /// [`Error::Open`], or the end of the connection.
    pub fn open(&self, options: StreamOptions) -> Result<Stream, Error> {
        let (reply, answer) = sync_channel(1);
        let wanted = Arc::new(());
        let opening = Opening { options, reply, wanted: Arc::downgrade(&wanted) };
        self.owner.shared().push(Command::Open(self.owner.cell.handle, opening));
        let opened = answer_until(&answer, limit(self.timeout))?.and_then(|opened| match opened {
            Ok(fresh) => fresh.take().map(Ok),
            Err(error) => Some(Err(error)),
        });
        let cell = opened.unwrap_or_else(|| Err(self.owner.end()))?;
        Ok(Stream::new(cell, Arc::clone(&self.owner)))
    }

    /// Waits for the next stream that the peer opens.
    ///
    /// # Errors
    /// The end of the connection.
    pub fn accept_stream(&self) -> Result<Stream, Error> {
        let until = limit(self.timeout);
        let mut state = lock(&self.owner.cell.state);
        let cell = loop {
            if let Some(cell) = state.opened.pop_front() {
                break cell;
            }
            if let Some(error) = &state.end {
                return Err(error.clone());
            }
            state = wait_until(&self.owner.cell.changed, state, until)?;
        };
        drop(state);
        self.owner.shared().push(Command::Accepted(Arc::clone(&cell)));
        Ok(Stream::new(cell, Arc::clone(&self.owner)))
    }

    /// Ends the connection in order (row T25): delivers what was handed in, for at most `grace`,
    /// and returns when the peer knows of the end or cannot be reached.
    ///
    /// # Errors
    /// [`Error::Undelivered`] if the grace was too short, [`Error::Lost`] if the connection ended
    /// otherwise, [`Error::TimedOut`] if the end goes on in the background.
    pub fn close(&self, grace: Duration) -> Result<(), Error> {
        self.close_with(grace, Code::NONE, "")
    }

    /// As [`Self::close`], with a code and a text of at most 255 bytes for the peer.
    ///
    /// # Errors
    /// As [`Self::close`].
    pub fn close_with(&self, grace: Duration, code: Code, reason: &str) -> Result<(), Error> {
        let connection = self.owner.cell.handle;
        let reason = reason.to_owned();
        self.owner.shared().push(Command::Close { connection, grace, code, reason });
        self.wait_closed()
    }

    /// Waits until the connection has ended, whoever ends it.
    ///
    /// # Errors
    /// As [`Self::close`].
    pub fn wait_closed(&self) -> Result<(), Error> {
        let until = limit(self.timeout);
        let mut state = lock(&self.owner.cell.state);
        while !state.over {
            state = wait_until(&self.owner.cell.changed, state, until)?;
        }
        match (&state.end, state.undelivered) {
            (Some(Error::Closed { .. }), 0) => Ok(()),
            (Some(Error::Closed { .. }), messages) => Err(Error::Undelivered { messages }),
            (Some(error), _) => Err(error.clone()),
            (None, _) => Err(Error::Ended),
        }
    }

    /// Ends the connection at once and in silence.
    pub fn kill(&self) {
        self.owner.shared().push(Command::Kill(self.owner.cell.handle));
    }

    /// Runs `action` on the thread that drives the endpoint, at its time and with the endpoint at
    /// hand, and waits for what it returns (row N26). All connections of the endpoint stand still
    /// meanwhile, so it must not wait; and if it panics, the endpoint ends.
    ///
    /// For what the handles have no call for. What they do have is best left to them: a message
    /// that `action` receives is not received by the [`Stream`].
    ///
    /// # Errors
    /// If the endpoint is gone.
    pub fn with<R: Send + 'static>(
        &self,
        action: impl FnOnce(&mut Endpoint, ConnectionHandle, TimePoint) -> R + Send + 'static,
    ) -> Result<R, Error> {
        let (reply, answer) = sync_channel(1);
        let connection = self.owner.cell.handle;
        let task = move |endpoint: &mut Endpoint, now| {
            // Whoever asked waits for it.
            let _ = reply.send(action(endpoint, connection, now));
        };
        self.owner.shared().push(Command::Do(Task(Box::new(task))));
        answer.recv().map_err(|_| self.owner.end())
    }

    /// The identity that the peer proved, if it has one.
    pub fn peer(&self) -> Option<PublicKey> {
        self.owner.cell.peer
    }

    /// Where the peer was when the connection was made.
    pub fn remote(&self) -> SocketAddr {
        self.owner.cell.remote
    }

    /// Which side we are.
    pub fn side(&self) -> Side {
        self.owner.cell.side
    }

    /// The 8 bytes that the client named when it opened (row T14).
    pub fn user_id(&self) -> [u8; 8] {
        self.owner.cell.user_id
    }

    /// The service that the client named when it opened (row T15).
    pub fn route(&self) -> &[u8] {
        &self.owner.cell.route
    }

    /// The states that a client's attempt went through, and when each began, counted from the call.
    /// Empty on the server's side.
    pub fn phases(&self) -> &[(State, Duration)] {
        &self.owner.cell.phases
    }

    /// What the two sides agreed on: version, suite, limits, and what was granted since (row T46).
    ///
    /// # Errors
    /// The end of the connection, once nothing is left of it.
    pub fn agreed(&self) -> Result<Agreed, Error> {
        let (reply, answer) = sync_channel(1);
        self.owner.shared().push(Command::Agreed(self.owner.cell.handle, reply));
        answer.recv().ok().flatten().ok_or_else(|| self.owner.end())
    }

    /// By what the connection travels now, and where to: datagrams, TCP or TLS (row N49).
    ///
    /// # Errors
    /// The end of the connection, once nothing is left of it.
    pub fn path(&self) -> Result<Carrier, Error> {
        let (reply, answer) = sync_channel(1);
        self.owner.shared().push(Command::Path(self.owner.cell.handle, reply));
        answer.recv().ok().flatten().ok_or_else(|| self.owner.end())
    }

    /// Why the connection, and each of its streams, waits right now.
    ///
    /// # Errors
    /// The end of the connection, once nothing is left of it.
    pub fn explain(&self) -> Result<Explanation, Error> {
        let (reply, answer) = sync_channel(1);
        self.owner.shared().push(Command::Explain(self.owner.cell.handle, reply));
        answer.recv().ok().flatten().ok_or_else(|| self.owner.end())
    }

    /// Tells that our network has changed (row N17): the connection finds out at once whether the
    /// peer still hears us, and the peer where we are now. Harmless if nothing has changed.
    ///
    /// # Errors
    /// The end of the connection, once nothing is left of it.
    pub fn network_changed(&self) -> Result<(), Error> {
        let (reply, answer) = sync_channel(1);
        self.owner.shared().push(Command::NetworkChanged(Some(self.owner.cell.handle), reply));
        let done = answer.recv().is_ok_and(|done| done.is_ok());
        if done { Ok(()) } else { Err(self.owner.end()) }
    }

    /// Changes limits without closing the connection (row T46); what is `None` stays as it is.
    ///
    /// # Errors
    /// The end of the connection.
    pub fn reconfigure(&self, change: Reconfigure) -> Result<(), Error> {
        let (reply, answer) = sync_channel(1);
        self.owner.shared().push(Command::Reconfigure(self.owner.cell.handle, change, reply));
        let done = answer.recv().is_ok_and(|done| done.is_ok());
        if done { Ok(()) } else { Err(self.owner.end()) }
    }

    /// The counters of this connection, its endpoint and its socket (row T68). Of a connection that
    /// is gone, the last ones.
    ///
    /// # Errors
    /// If the endpoint is gone.
    pub fn stats(&self) -> Result<Stats, Error> {
        self.owner.shared().stats(Some(self.owner.cell.handle))
    }
}
