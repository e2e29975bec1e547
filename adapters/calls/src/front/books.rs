//! What is written down of each connection, call and listener, and what a task may wait for.

use bytes::Bytes;
use std::collections::VecDeque;
use std::net::SocketAddr;
use tripline::{Incoming as Newcomer, PublicKey};
use tripline_rpc::{CallId, ConnId, Outcome, Refusal, RequestId, Via};
use tripline_sansio::{Duration, LinkKind};

/// What a task waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Topic {
    /// A request, or a notification.
    Arrival,
    /// News of a connection, or room to send on it.
    Conn(ConnId),
    /// A part of an answer, or the end of a call.
    Call(ConnId, CallId),
    /// That a request is called off, or its caller takes more.
    Request(ConnId, RequestId),
    /// What has become of a listener.
    Listener(u64),
    /// The end of all.
    End,
}

/// What whoever drives the node has to see to, without the lock.
#[derive(Debug)]
pub(crate) enum Task {
    Resolve(ConnId, String, u16),
    Screen(Newcomer),
}

/// Where a connection stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// An attempt is under way.
    #[default]
    Connecting,
    /// There is a way to the other side.
    Open,
    /// There is none now; the next attempt begins after so long. The text says what became of the
    /// last.
    Waiting(Duration, String),
    /// A client's way to us is gone, and why; it may come back.
    Away(String),
    /// It is over, and why.
    Over(String),
}

/// A call of ours.
#[derive(Debug, Default)]
pub(crate) struct CallBook {
    pub(crate) items: VecDeque<Bytes>,
    pub(crate) outcome: Option<Outcome>,
    /// Nobody takes its items.
    pub(crate) wants_no_items: bool,
}

/// A connection.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) status: Status,
    /// How often it was opened.
    pub(crate) opened: u64,
    pub(crate) peer: Option<PublicKey>,
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) kind: Option<LinkKind>,
    pub(crate) via: Via,
    /// Somebody holds it, and may ask what became of it when it is over.
    pub(crate) is_held: bool,
    /// We have connected.
    pub(crate) is_ours: bool,
    /// Bytes of what it has sent and nobody has taken.
    pub(super) arrived: usize,
    /// Answers that found no room.
    pub(super) unsent: VecDeque<(RequestId, Answer)>,
}

/// How a request is answered.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Reply(Bytes),
    Fail(i32, Bytes),
    Refuse(Refusal, Bytes),
}

/// What was counted here; what the node counts is [`tripline_rpc::Peer::stats`]'s to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallsStats {
    /// Requests that were refused as *busy*, as nobody took those before them.
    pub overflowed_requests: u64,
    /// Notifications that were dropped for the same reason.
    pub dropped_notifications: u64,
    /// Parts of replies to calls that want none.
    pub dropped_items: u64,
    /// Streams that others have opened and that were refused: calls are all there is here.
    pub refused_streams: u64,
}
