//! Everything that an endpoint tells its user.

use crate::carrier::LinkId;
use crate::crypto::PublicKey;
use crate::error::{ConnectError, LostCause};
use crate::handle::{ConnectionHandle, IncomingHandle, MessageToken};
use crate::referral::Referral;
use crate::wire::{Code, Direction, Side, StreamId};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;
use tripline_sansio::Duration;

/// Something that happened.
///
/// Per connection the order is: any number of [`Event::Resolve`] and [`Event::ServerKey`]; then
/// exactly one of [`Event::Connected`] and [`Event::Failed`]; right behind `Connected` any
/// [`Event::Unsafe`], then the stream events, [`Event::Moved`], [`Event::Unlinked`] and again
/// [`Event::Resolve`]; then exactly one of [`Event::Closed`] and [`Event::Lost`] (rows T10, M01,
/// M03, M05). Of messages handed in before that (row T11), [`Event::Message`] and
/// [`Event::Writable`] may come before `Connected` or `Failed`: their time ran out. The last event
/// of every connection, after `Failed`, `Closed` or `Lost`, is exactly one [`Event::Drained`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The engine asks for addresses; answer with [`resolved`](crate::Endpoint::resolved) (row
    /// T02). A connected client asks again when its server no longer answers (row T22).
    Resolve {
        /// The connection that waits.
        connection: ConnectionHandle,
        /// The name as the user gave it.
        host: String,
        /// The port as the user gave it.
        port: u16,
    },
    /// XX only: the server showed this key; go on with [`trust`](crate::Endpoint::trust), or
    /// [`kill`](crate::Endpoint::kill) the connection (R-CHAL-3).
    ServerKey {
        /// The connection that waits.
        connection: ConnectionHandle,
        /// The key that the server proved to hold.
        key: PublicKey,
    },
    /// A client asks to come in; answer with [`accept`](crate::Endpoint::accept) or
    /// [`refuse`](crate::Endpoint::refuse) within 30 s (rows T12, T14, T15). Only under
    /// [`Screening::Ask`](crate::Screening::Ask) and
    /// [`Screening::AskForPsk`](crate::Screening::AskForPsk).
    Incoming(Incoming),
    /// The handshake is done (row T10).
    Connected {
        /// The new connection.
        connection: ConnectionHandle,
        /// Which side we are.
        side: Side,
        /// The identity that the peer proved, if it has one.
        peer: Option<PublicKey>,
        /// Where the peer is.
        remote: SocketAddr,
        /// What the client named when it opened: on the server's side its 8-byte user id.
        user_id: [u8; 8],
        /// What the client named when it opened: the service it wants.
        route: Vec<u8>,
    },
    /// The connection never came about. Only [`Event::Drained`] follows.
    Failed {
        /// The connection.
        connection: ConnectionHandle,
        /// Why, and in which phase.
        error: ConnectError,
    },
    /// The peer opened a stream.
    Opened {
        /// The connection.
        connection: ConnectionHandle,
        /// The new stream.
        stream: StreamId,
    },
    /// [`receive`](crate::Endpoint::receive) has something: once, until it was drained.
    Readable {
        /// The connection.
        connection: ConnectionHandle,
        /// The stream.
        stream: StreamId,
    },
    /// After `send` said *blocked*: there is room again (row T44).
    Writable {
        /// The connection.
        connection: ConnectionHandle,
        /// The stream.
        stream: StreamId,
    },
    /// The peer wants no more of this stream; it was closed with the same code.
    Stopped {
        /// The connection.
        connection: ConnectionHandle,
        /// The stream.
        stream: StreamId,
        /// The peer's code.
        code: Code,
    },
    /// After `open` said *limit*: the peer allows more streams.
    StreamsAvailable {
        /// The connection.
        connection: ConnectionHandle,
        /// Which kind of streams.
        direction: Direction,
    },
    /// What became of a message: exactly once for each token (row T30).
    Message {
        /// The connection.
        connection: ConnectionHandle,
        /// The stream.
        stream: StreamId,
        /// The message.
        token: MessageToken,
        /// What became of it.
        fate: Fate,
    },
    /// The peer is leaving and opens nothing new; what is under way goes on (row T54).
    Leaving {
        /// The connection.
        connection: ConnectionHandle,
        /// The peer's code.
        code: Code,
        /// The peer's text.
        reason: String,
        /// How long the peer will wait for the rest.
        grace: Duration,
    },
    /// The peer has another address now, which is proven (row T21). Nothing else changes.
    Moved {
        /// The connection.
        connection: ConnectionHandle,
        /// Where it was.
        from: SocketAddr,
        /// Where it is.
        to: SocketAddr,
    },
    /// The link that everything went over has broken, and no other address is known (R-LINK-4). The
    /// connection lives on, up to its idle limit: the side that began it goes on over another link
    /// by [`LinkEndpoint::resume`](crate::LinkEndpoint::resume), the other waits for that.
    Unlinked {
        /// The connection.
        connection: ConnectionHandle,
        /// The link that is gone.
        link: LinkId,
    },
    /// [`umtu`](crate::Endpoint::umtu) has changed (row T35): more was found to fit the path, or it
    /// carries less than before, or it is another path.
    UmtuChanged {
        /// The connection.
        connection: ConnectionHandle,
        /// The largest message that surely fits one datagram from now on, in bytes.
        umtu: usize,
    },
    /// The peer does not answer (row T20): once for each silence, and always before
    /// [`Event::Lost`] by [`LostCause::Idle`]. Whatever comes ends the silence.
    Quiet {
        /// The connection.
        connection: ConnectionHandle,
        /// For how long nothing has come.
        silence: Duration,
    },
    /// This connection does without a protection that connections have unless both sides switched
    /// it off (row T58): once for each, right behind [`Event::Connected`]. Never without the
    /// feature `plain`.
    Unsafe {
        /// The connection.
        connection: ConnectionHandle,
        /// What it does without.
        what: Unsafe,
    },
    /// An orderly end by either side (row M03). What was received can still be read.
    Closed {
        /// The connection.
        connection: ConnectionHandle,
        /// Whether we or the peer ended it.
        by: By,
        /// The code it ended with.
        code: Code,
        /// The text that came with it.
        reason: String,
    },
    /// An unexpected end (row M03). What was received can still be read.
    Lost {
        /// The connection.
        connection: ConnectionHandle,
        /// Why.
        cause: LostCause,
    },
    /// The connection is gone from the network: it neither sends nor takes anything more, and has
    /// no deadline. The last event of every connection, once (R-CLOSE-6).
    ///
    /// Its handle dies with this event, or, if something that was received has not been read yet,
    /// as soon as it is read or the connection is [killed](crate::Endpoint::kill). Who waits until
    /// a goodbye has been heard waits for this event; the time that it may take is bounded by ten
    /// probe timeouts after the event before it.
    Drained {
        /// The connection.
        connection: ConnectionHandle,
    },
    /// The server wants us elsewhere (row T57). While we open we follow by ourselves, if it leads
    /// on; afterwards it is the user's to decide (see [`Referral::options`]). At most eight per
    /// connection (R-CHAL-3), before `Connected` and `Failed` as well as after.
    Forward {
        /// The connection.
        connection: ConnectionHandle,
        /// Where to.
        referral: Referral,
        /// Whether the attempt goes on there by itself, as the same connection.
        followed: bool,
    },
    /// After [`shut_down`](crate::Endpoint::shut_down): the last connection is gone from the
    /// network (R-CLOSE-7). Once, and of no connection.
    ShutDown,
}

/// A client that asks to come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// By which to answer.
    pub handle: IncomingHandle,
    /// Where the OPEN came from. Not proven yet: anyone can write a source address.
    pub remote: SocketAddr,
    /// The client's identity, proven (in IK up to a replay of its OPEN), or `None` if it has none.
    /// Where the question is `preliminary`, it is only what the client says.
    pub client: Option<PublicKey>,
    /// The user id that the client named; any 8 bytes (row T14).
    pub user_id: [u8; 8],
    /// The service that the client named, at most 255 bytes (row T15).
    pub route: Vec<u8>,
    /// The client opened with a pre-shared key that the configuration does not name: only
    /// [`accept_with`](crate::Endpoint::accept_with) lets it in. Only under
    /// [`Screening::AskForPsk`](crate::Screening::AskForPsk).
    pub wants_psk: bool,
    /// This is the first of two questions (R-CHAL-4d): only which pre-shared key is to be tried.
    /// Set in XX with `wants_psk` alone. `client` is a claim, user id and route are not known
    /// (zeros, and empty). Once a key fits, the user is asked again, with all of it and proven; so
    /// whoever decides by what the client says decides then.
    pub preliminary: bool,
}

/// What became of a message that was handed to `send`: one of these, told once (R-REL-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The peer has all of it.
    Acked,
    /// An unreliable message has been handed over to the network; nobody will know more.
    Sent,
    /// Its time or its transmissions ran out, or a newer message made it pointless. It may have
    /// arrived all the same.
    Expired,
    /// The stream or the connection ended before it was acknowledged. It may have arrived.
    Undelivered,
}

/// Who ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// We did.
    Us,
    /// The peer did.
    Peer,
}

/// A protection that a connection does without: one of the four switches of plain mode, in use
/// (row T58, PROTOCOL.md §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unsafe {
    /// We proved no identity, and announced that we would prove none where one is demanded.
    UnsignedOut,
    /// The peer proved no identity, where we would demand one otherwise.
    UnsignedIn,
    /// Nobody proved anything: whoever sat in the middle of the handshake reads and writes all.
    PlainOpen,
    /// What is sent can be read by everyone on the way.
    PlainTraffic,
}

impl fmt::Display for Unsafe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnsignedOut => "unsigned out: we proved no identity",
            Self::UnsignedIn => "unsigned in: the peer proved no identity",
            Self::PlainOpen => "plain open: anyone may sit in the middle",
            Self::PlainTraffic => "plain traffic: everyone on the way can read",
        })
    }
}
