//! One connection, as programs hold it.

use crate::call::{Call, Items, TypedCall};
use crate::calls::Calls;
use crate::error::{CallError, ConnectFailure};
use crate::format::{Format, Postcard};
use crate::front::{Status, Topic};
use crate::shared::Shared;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::net::SocketAddr;
use std::sync::Arc;
use tripline::PublicKey;
use tripline_rpc::{AskError, CallOptions, ConnId, MethodRef, NotifyOptions, Stats, Via};
use tripline_sansio::{Duration, LinkKind};

/// How long what is under way has when the last handle of a connection was dropped.
const FAREWELL: Duration = Duration::from_secs(2);

/// One connection: one of ours, which lives on over its reconnections, or a client's. Either side
/// can ask (row M08).
///
/// Copies are the same connection. One of ours is closed in order when the last was dropped.
#[derive(Clone, Debug)]
pub struct Caller {
    calls: Calls,
    conn: ConnId,
    /// Of one that is ours.
    _hold: Option<Arc<Hold>>,
}

/// What keeps a connection of ours.
#[derive(Debug)]
struct Hold {
    calls: Calls,
    conn: ConnId,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let conn = self.conn;
        self.calls.shared().leave(move |front, now| {
            match front.books.get_mut(&conn) {
                Some(book) if matches!(book.status, Status::Over(_)) => {
                    front.books.remove(&conn);
                }
                Some(book) => book.is_held = false,
                None => {}
            }
            // It may be over already.
            let _ = front.node.close(now, conn, FAREWELL);
        });
    }
}

impl PartialEq for Caller {
    /// Whether both are the same connection.
    fn eq(&self, other: &Self) -> bool {
        self.conn == other.conn && Arc::ptr_eq(&self.calls.alive.0, &other.calls.alive.0)
    }
}

impl Eq for Caller {}

impl Caller {
    pub(crate) fn held(calls: Calls, conn: ConnId) -> Self {
        let hold = Hold { calls: calls.clone(), conn };
        Self { calls, conn, _hold: Some(Arc::new(hold)) }
    }

    pub(crate) fn of(calls: Calls, conn: ConnId) -> Self {
        Self { calls, conn, _hold: None }
    }

    pub(crate) fn shared(&self) -> &Shared {
        self.calls.shared()
    }

    /// The node that it belongs to.
    pub fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Its name in the node, for tables of one's own and for [`Calls::with`].
    pub fn id(&self) -> ConnId {
        self.conn
    }

    /// Asks, with the options that the configuration has; see [`Self::call_with`].
    pub fn call<'a>(&self, method: impl Into<MethodRef<'a>>, payload: impl Into<Bytes>) -> Call {
        self.call_with(method, payload, CallOptions::default())
    }

    /// Asks. The call is made here and now; while too much waits to be sent, it waits too. Dropped,
    /// it is called off. Parts of a streaming reply are
    /// dropped: [`Self::items`] has them.
    pub fn call_with<'a>(
        &self,
        method: impl Into<MethodRef<'a>>,
        payload: impl Into<Bytes>,
        options: CallOptions,
    ) -> Call {
        Call::new(self.clone(), method.into(), payload.into(), options, false)
    }

    /// Asks for a streaming reply: its parts one after the other, as fast as they are taken.
    pub fn items<'a>(
        &self,
        method: impl Into<MethodRef<'a>>,
        payload: impl Into<Bytes>,
        options: CallOptions,
    ) -> Items {
        let options = CallOptions { manual_window: true, ..options };
        Items::new(Call::new(self.clone(), method.into(), payload.into(), options, true))
    }

    /// Asks with a value and is answered with one, both as postcard.
    pub fn ask<'a, Req: Serialize + ?Sized, Rep: DeserializeOwned>(
        &self,
        method: impl Into<MethodRef<'a>>,
        request: &Req,
    ) -> TypedCall<Postcard, Rep> {
        self.ask_with(method, request, CallOptions::default())
    }

    /// The same in any format: `caller.ask_with::<Json, _, _>(…)`.
    pub fn ask_with<'a, F: Format, Req: Serialize + ?Sized, Rep: DeserializeOwned>(
        &self,
        method: impl Into<MethodRef<'a>>,
        request: &Req,
        options: CallOptions,
    ) -> TypedCall<F, Rep> {
        TypedCall::new(F::write(request).map(|payload| self.call_with(method, payload, options)))
    }

    /// Says something that wants no answer. Nobody waits for it there either: where the program
    /// does not take it in time, and more has come than may wait (16 MiB from a connection), it is
    /// dropped and [counted](crate::CallsStats). What must not be lost is a call, or the items of
    /// an answer, which come no faster than they are taken.
    ///
    /// # Errors
    /// [`CallError::NotTaken`], also while too much waits to be sent; [`Self::room`] waits for
    /// that.
    pub fn notify<'a>(
        &self,
        method: impl Into<MethodRef<'a>>,
        payload: impl Into<Bytes>,
    ) -> Result<(), CallError> {
        self.notify_with(method, payload, NotifyOptions::default())
    }

    /// The same by another lane, or with less effort (rows N48, T40).
    ///
    /// # Errors
    /// As [`Self::notify`].
    pub fn notify_with<'a>(
        &self,
        method: impl Into<MethodRef<'a>>,
        payload: impl Into<Bytes>,
        options: NotifyOptions,
    ) -> Result<(), CallError> {
        let (method, payload) = (method.into(), payload.into());
        let said = self.shared().with(|front, now| match front.over {
            Some(_) => Err(AskError::Ended),
            None => front.node.notify(now, self.conn, method, payload, options),
        });
        Ok(said?)
    }

    /// Says a value that wants no answer, as postcard.
    ///
    /// # Errors
    /// As [`Self::notify`]; [`CallError::Format`] if it cannot be written.
    pub fn tell<'a, T: Serialize + ?Sized>(
        &self,
        method: impl Into<MethodRef<'a>>,
        value: &T,
    ) -> Result<(), CallError> {
        self.notify(method, Postcard::write(value)?)
    }

    /// Waits until something can be said again, after [`AskError::Blocked`].
    ///
    /// Cancel-safe: it only waits.
    ///
    /// # Errors
    /// [`AskError::Ended`] if the connection is over.
    pub async fn room(&self) -> Result<(), CallError> {
        let room = self.shared().wait(Topic::Conn(self.conn), |front, now| {
            let has_room = front.node.with(now, self.conn, |peer, _| peer.has_room());
            match has_room.filter(|_| front.over.is_none()) {
                Some(true) => Some(Ok(())),
                Some(false) => None,
                None => Some(Err(AskError::Ended)),
            }
        });
        Ok(room.await?)
    }

    /// What was said goes out now, whatever
    /// [`Config::batch_wait`](tripline_rpc::Config::batch_wait) says (row N06).
    pub fn flush(&self) {
        self.shared().with(|front, now| front.node.with(now, self.conn, |peer, _| peer.flush()));
    }

    /// Where it stands (row N30).
    pub fn status(&self) -> Status {
        self.shared().visit(|front, _| front.status(self.conn))
    }

    /// Waits until it is open: at once if it is; else until an attempt succeeds, or the last has
    /// failed.
    ///
    /// Cancel-safe: it only waits.
    ///
    /// # Errors
    /// [`ConnectFailure::Ended`] with what became of it.
    pub async fn opened(&self) -> Result<(), ConnectFailure> {
        let opened =
            self.shared().wait(Topic::Conn(self.conn), |front, _| match front.status(self.conn) {
                Status::Open => Some(Ok(())),
                Status::Over(why) => Some(Err(ConnectFailure::Ended(why))),
                _ => None,
            });
        opened.await
    }

    /// Waits until the first attempt has come to something.
    ///
    /// Cancel-safe: it only waits.
    ///
    /// # Errors
    /// [`ConnectFailure::Ended`] if it has failed, though others may follow.
    pub async fn attempted(&self) -> Result<(), ConnectFailure> {
        let first =
            self.shared().wait(Topic::Conn(self.conn), |front, _| match front.status(self.conn) {
                Status::Open => Some(Ok(())),
                Status::Connecting => None,
                Status::Over(why) | Status::Away(why) | Status::Waiting(_, why) => Some(Err(why)),
            });
        first.await.map_err(ConnectFailure::Ended)
    }

    /// Waits until it is over, and why.
    ///
    /// Cancel-safe: it only waits.
    pub async fn ended(&self) -> String {
        let ended =
            self.shared().wait(Topic::Conn(self.conn), |front, _| match front.status(self.conn) {
                Status::Over(why) => Some(why),
                _ => None,
            });
        ended.await
    }

    /// Closes it in order: what is under way on both sides has `grace` to be finished. Waits until
    /// it is over.
    ///
    /// Cancel-safe: the end goes on.
    pub async fn close(&self, grace: Duration) {
        // It may be over already.
        let _ = self.shared().with(|front, now| front.node.close(now, self.conn, grace));
        self.ended().await;
    }

    /// The identity that the other side has proven, if it has one.
    pub fn peer(&self) -> Option<PublicKey> {
        self.shared().visit(|front, _| front.books.get(&self.conn)?.peer)
    }

    /// Where the other side was last.
    pub fn remote(&self) -> Option<SocketAddr> {
        self.shared().visit(|front, _| front.books.get(&self.conn)?.remote)
    }

    /// What carries it now, or did last.
    pub fn kind(&self) -> Option<LinkKind> {
        self.shared().visit(|front, _| front.books.get(&self.conn)?.kind)
    }

    /// How a client has come in.
    pub fn via(&self) -> Via {
        self.shared().visit(|front, _| {
            front.books.get(&self.conn).map(|book| book.via.clone()).unwrap_or_default()
        })
    }

    /// How often it was opened: more than once if it came back.
    pub fn times_opened(&self) -> u64 {
        self.shared().visit(|front, _| front.books.get(&self.conn).map_or(0, |book| book.opened))
    }

    /// What the conversation has counted; `None` if it is over.
    pub fn stats(&self) -> Option<Stats> {
        self.shared().visit(|front, _| front.node.peer(self.conn).map(tripline_rpc::Peer::stats))
    }
}
