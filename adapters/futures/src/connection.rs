//! A connection in the user's hands.

use crate::Stats;
use crate::endpoint::User;
use crate::front::Who;
use crate::shared::Shared;
use crate::stream::Stream;
use crate::waits::Topic;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tripline::Endpoint as Engine;
use tripline::{
    Agreed, Carrier, Code, ConnectionHandle, Explanation, PublicKey, Reconfigure, Side, State,
    StreamOptions,
};
use tripline_common::Error;
use tripline_sansio::Instant;

/// A connection, held by its handle and by its streams. When the last of them goes, it is closed in
/// order.
#[derive(Debug)]
pub(crate) struct Owner {
    pub(crate) handle: ConnectionHandle,
    who: Arc<Who>,
    user: Arc<User>,
}

impl Owner {
    pub(crate) fn shared(&self) -> &Shared {
        &self.user.shared
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let handle = self.handle;
        self.shared().leave(move |front, now| front.release(now, handle));
    }
}

/// A connection: made by [`connect`](crate::connect) or an [`Endpoint`](crate::Endpoint).
///
/// All calls work on `&self`, from any thread and any number of tasks. When this handle and all its
/// streams are dropped the connection ends in order, in the background; [`Self::close`] does it in
/// the foreground and says how it went.
#[derive(Debug)]
pub struct Connection {
    owner: Arc<Owner>,
}

impl Connection {
    pub(crate) fn new(handle: ConnectionHandle, who: Arc<Who>, user: Arc<User>) -> Self {
        Self { owner: Arc::new(Owner { handle, who, user }) }
    }

    /// Opens a stream. That costs no round trip, but waits while the peer allows no more streams
    /// (row T32).
    ///
    /// Cancel-safe: nothing was opened unless it is given out.
    ///
    /// # Errors
    /// [`Error::Open`], or the end of the connection.
    pub async fn open(&self, options: StreamOptions) -> Result<Stream, Error> {
        let Owner { handle, .. } = *self.owner;
        let topic = Topic::Open(handle, options.direction);
        let open = self.owner.shared().wait(topic, |front, now| front.open(now, handle, options));
        open.await.map(|id| Stream::new(id, &self.owner))
    }

    /// Waits for the next stream that the peer opens.
    ///
    /// Cancel-safe: a stream that is not taken stays for the next call.
    ///
    /// # Errors
    /// The end of the connection.
    pub async fn accept_stream(&self) -> Result<Stream, Error> {
        let Owner { handle, .. } = *self.owner;
        let topic = Topic::Opened(handle);
        let opened = self.owner.shared().wait(topic, |front, _| front.take_opened(handle));
        opened.await.map(|id| Stream::new(id, &self.owner))
    }

    /// Ends the connection in order (row T25): delivers what was handed in, for at most `grace`,
    /// and returns when the peer knows of the end or cannot be reached.
    ///
    /// Cancel-safe: an end that was begun goes on if nobody waits for it.
    ///
    /// # Errors
    /// [`Error::Undelivered`] if the grace was too short, [`Error::Lost`] if the connection ended
    /// otherwise.
    pub async fn close(&self, grace: Duration) -> Result<(), Error> {
        self.close_with(grace, Code::NONE, "").await
    }

    /// As [`Self::close`], with a code and a text of at most 255 bytes for the peer.
    ///
    /// Cancel-safe: as [`Self::close`].
    ///
    /// # Errors
    /// As [`Self::close`].
    pub async fn close_with(&self, grace: Duration, code: Code, reason: &str) -> Result<(), Error> {
        let Owner { handle, .. } = *self.owner;
        self.owner.shared().with(|front, now| front.close(now, handle, grace, code, reason));
        self.wait_closed().await
    }

    /// Waits until the connection has ended, whoever ends it.
    ///
    /// Cancel-safe: nothing is changed by waiting.
    ///
    /// # Errors
    /// As [`Self::close`].
    pub async fn wait_closed(&self) -> Result<(), Error> {
        let Owner { handle, .. } = *self.owner;
        self.owner.shared().wait(Topic::End(handle), |front, _| front.closed(handle)).await
    }

    /// Ends the connection at once and in silence.
    pub fn kill(&self) {
        let Owner { handle, .. } = *self.owner;
        self.owner.shared().with(|front, now| front.kill(now, handle));
    }

    /// Runs `action` with the engine at hand, at the present time (row N26): here and now, and
    /// nobody else uses the engine meanwhile. So it must not wait. Handles of this endpoint may be
    /// dropped in there, but not called.
    ///
    /// # Panics
    /// Where `action` calls a handle of this endpoint, which would wait for itself.
    ///
    /// For what the handles have no call for. What they do have is best left to them: a message
    /// that `action` receives is not received by the [`Stream`].
    pub fn with<R>(&self, action: impl FnOnce(&mut Engine, ConnectionHandle, Instant) -> R) -> R {
        let Owner { handle, .. } = *self.owner;
        self.owner.shared().with_user(|front, now| {
            let result = action(front.engine(), handle, now);
            front.nudge();
            result
        })
    }

    /// The identity that the peer proved, if it has one.
    pub fn peer(&self) -> Option<PublicKey> {
        self.owner.who.peer
    }

    /// Where the peer was when the connection was made.
    pub fn remote(&self) -> SocketAddr {
        self.owner.who.remote
    }

    /// By what the connection travels now, and where to: datagrams, TCP or TLS (row N49). The peer
    /// may have moved since the connection was made (row T21).
    ///
    /// # Errors
    /// The end of the connection, once nothing is left of it.
    pub fn path(&self) -> Result<Carrier, Error> {
        let Owner { handle, .. } = *self.owner;
        self.owner
            .shared()
            .with(|front, _| front.hub.carrier(handle).ok_or_else(|| front.end_of(handle)))
    }

    /// Which side we are.
    pub fn side(&self) -> Side {
        self.owner.who.side
    }

    /// The 8 bytes that the client named when it opened (row T14).
    pub fn user_id(&self) -> [u8; 8] {
        self.owner.who.user_id
    }

    /// The service that the client named when it opened (row T15).
    pub fn route(&self) -> &[u8] {
        &self.owner.who.route
    }

    /// The states that a client's attempt went through, and when each began, counted from the call.
    /// Empty on the server's side.
    pub fn phases(&self) -> &[(State, Duration)] {
        &self.owner.who.phases
    }

    /// What the two sides agreed on: version, suite, limits, and what was granted since (row T46).
    ///
    /// # Errors
    /// The end of the connection, once nothing is left of it.
    pub fn agreed(&self) -> Result<Agreed, Error> {
        let Owner { handle, .. } = *self.owner;
        self.owner
            .shared()
            .with(|front, _| front.engine().agreed(handle).ok_or_else(|| front.end_of(handle)))
    }

    /// Why the connection, and each of its streams, waits right now.
    ///
    /// # Errors
    /// The end of the connection, once nothing is left of it.
    pub fn explain(&self) -> Result<Explanation, Error> {
        let Owner { handle, .. } = *self.owner;
        self.owner.shared().with(|front, now| {
            front.engine().explain(now, handle).ok_or_else(|| front.end_of(handle))
        })
    }

    /// Tells that our network has changed (row N17): the connection finds out at once whether the
    /// peer still hears us, and the peer where we are now. Harmless if nothing has changed.
    ///
    /// # Errors
    /// The end of the connection, once nothing is left of it.
    pub fn network_changed(&self) -> Result<(), Error> {
        let Owner { handle, .. } = *self.owner;
        self.owner.shared().with(|front, now| {
            let told = front.engine().network_changed(now, Some(handle));
            front.nudge();
            told.map_err(|_| front.end_of(handle))
        })
    }

    /// Changes limits without closing the connection (row T46); what is `None` stays as it is.
    ///
    /// # Errors
    /// The end of the connection.
    pub fn reconfigure(&self, change: Reconfigure) -> Result<(), Error> {
        let Owner { handle, .. } = *self.owner;
        self.owner.shared().with(|front, now| {
            let done = front.engine().reconfigure(now, handle, change);
            front.nudge();
            done.map_err(|_| front.end_of(handle))
        })
    }

    /// The counters of this connection, its endpoint and its socket (row T68). Of a connection that
    /// is gone, the last ones.
    pub fn stats(&self) -> Stats {
        let Owner { handle, .. } = *self.owner;
        self.owner.shared().with(|front, _| front.stats(Some(handle)))
    }
}
