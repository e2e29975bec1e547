//! What a node tells its user.

use crate::event::Event;
use crate::slots::Key;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use tripline::{Code, Fate, Incoming, MessageToken, PublicKey, StreamId};
use tripline_sansio::{Duration, LinkError, LinkKind};

/// A connection of a node: ours, which lives on over its reconnections, or a client's. Dies with
/// [`NodeEvent::Finalised`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub(crate) Key);

impl ConnId {
    /// A small number that no other connection has at the same time: for tables of one's own.
    pub fn slot(self) -> u32 {
        self.0.slot
    }
}

/// A stream with a name. Dies with the pipe that it belongs to: over the next one it is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamedStream {
    pub(crate) stream: StreamId,
    pub(crate) pipe: u64,
}

impl NamedStream {
    /// The stream of the transport.
    pub fn id(self) -> StreamId {
        self.stream
    }
}

/// How a client has come in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Via {
    /// By which listener; `None`: over TRiP's UDP socket, or one of its own links.
    pub listener: Option<u64>,
    /// The service that it named when it opened, over TRiP (row T15).
    pub route: Vec<u8>,
    /// The 8 bytes that it named when it opened, over TRiP (row T14).
    pub user_id: [u8; 8],
}

/// Something that happened to a node.
///
/// For each connection the order is (rows M01, M03, M05, M20, N19): any number of rounds, each of
/// [`NodeEvent::Failed`] alone, or of [`NodeEvent::Opened`], what the peer says, and one of
/// [`NodeEvent::Closed`] and [`NodeEvent::Lost`]; then exactly one [`NodeEvent::Finalised`]. One
/// that is closed while it has no pipe says `Closed` once more. A client's has no `Failed`.
/// [`NodeEvent::Resolve`] and [`NodeEvent::ServerKey`] may come between, and so may outcomes of
/// calls whose time is up.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeEvent {
    /// The node asks for addresses; answer with [`Node::resolved`](crate::Node::resolved). It asks
    /// again at each attempt.
    Resolve {
        /// The connection that waits.
        conn: ConnId,
        /// The name as the user gave it.
        host: String,
        /// The port as the user gave it.
        port: u16,
    },
    /// Under XX: the server of a connection of ours showed this key; go on with
    /// [`Node::trust`](crate::Node::trust), or give it up with
    /// [`Node::stop`](crate::Node::stop).
    ServerKey {
        /// The connection that waits.
        conn: ConnId,
        /// The key that the server proved to hold.
        key: PublicKey,
    },
    /// A client asks to come in over TRiP, if the endpoint is to ask ([`tripline::Screening`]).
    /// Answer the endpoint itself, by [`Node::hub_mut`](crate::Node::hub_mut): there are
    /// [`accept`](tripline::Endpoint::accept) and [`refuse`](tripline::Endpoint::refuse).
    Incoming(Incoming),
    /// There is a pipe.
    Opened {
        /// The connection.
        conn: ConnId,
        /// The identity that the other side proved, if it has one.
        peer: Option<PublicKey>,
        /// Where it is.
        remote: Option<SocketAddr>,
        /// What the pipe is made of.
        kind: LinkKind,
        /// How the client has come in; for a connection of ours the default.
        via: Via,
    },
    /// Something of the conversation.
    Peer {
        /// The connection.
        conn: ConnId,
        /// What happened.
        event: Event,
    },
    /// The other side has opened a stream under this name, and its first message or its end has
    /// come. It can be used at once; who does not want it says
    /// [`Node::refuse_stream`](crate::Node::refuse_stream) (row N11).
    StreamOpened {
        /// The connection.
        conn: ConnId,
        /// The stream.
        stream: NamedStream,
        /// Its name.
        name: Arc<str>,
    },
    /// The other side does not want a stream that we have opened; it is over.
    StreamRefused {
        /// The connection.
        conn: ConnId,
        /// The stream.
        stream: NamedStream,
        /// Why.
        reason: Arc<str>,
    },
    /// [`Node::receive_on`](crate::Node::receive_on) has something: once, until it was drained.
    StreamReadable {
        /// The connection.
        conn: ConnId,
        /// The stream.
        stream: NamedStream,
    },
    /// After *blocked*: there is room again.
    StreamWritable {
        /// The connection.
        conn: ConnId,
        /// The stream.
        stream: NamedStream,
    },
    /// The other side wants no more of a stream.
    StreamStopped {
        /// The connection.
        conn: ConnId,
        /// The stream.
        stream: NamedStream,
        /// Its code.
        code: Code,
    },
    /// What became of a message on a named stream: once for each (row N09).
    StreamAcked {
        /// The connection.
        conn: ConnId,
        /// The stream.
        stream: NamedStream,
        /// The message.
        token: MessageToken,
        /// What became of it.
        fate: Fate,
        /// Its bytes.
        bytes: usize,
        /// How long that took, from when it was handed in.
        delay: Duration,
    },
    /// An attempt to connect has failed.
    Failed {
        /// The connection.
        conn: ConnId,
        /// Why, in one line.
        why: String,
        /// When the next one begins, unless the user says otherwise by
        /// [`Node::retry_in`](crate::Node::retry_in); `None`: there is none.
        retry_in: Option<Duration>,
    },
    /// The pipe was closed in order.
    Closed {
        /// The connection.
        conn: ConnId,
        /// Whether by us.
        by_us: bool,
        /// What the other side said.
        why: String,
        /// As for [`Self::Failed`].
        retry_in: Option<Duration>,
    },
    /// The pipe broke.
    Lost {
        /// The connection.
        conn: ConnId,
        /// Why, in one line.
        why: String,
        /// As for [`Self::Failed`].
        retry_in: Option<Duration>,
    },
    /// The connection is over, and its handle dead: its last event.
    Finalised {
        /// The connection.
        conn: ConnId,
    },
    /// The time of [`Node::set_alarm`](crate::Node::set_alarm) has come.
    Alarm {
        /// The connection that it belongs to.
        conn: ConnId,
        /// The number that the user gave it.
        alarm: u64,
    },
    /// After [`Node::shut_down`](crate::Node::shut_down): the last connection is over.
    ShutDown,
    /// A listener is there.
    Listening {
        /// Its number.
        listener: u64,
        /// Where it listens.
        local: Option<SocketAddr>,
    },
    /// A listener could not be had, or is gone.
    Deaf {
        /// Its number.
        listener: u64,
        /// Why.
        error: LinkError,
    },
}
