//! What can go wrong, one type per place where it can (row T67).

mod any;

pub use any::Error;

use crate::handle::ConnectionHandle;
use crate::wire::Code;
use alloc::string::String;
use core::fmt;

/// The handle's connection is gone, or never was of this endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownConnection;

/// How far a connection attempt had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Waiting for the addresses of a name.
    Resolving,
    /// OPEN sent, no CHALLENGE yet.
    Opening,
    /// The server showed its key, and the user has not said yet whether to trust it.
    Challenged,
    /// CHALLENGE verified, no DATA from the server yet.
    Pinging,
}

/// Why a connection never came about (rows T02, T03, T06, T13, T16).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectError {
    /// The name has no address.
    Resolve {
        /// What the resolver said.
        cause: String,
    },
    /// Nothing that counts came until the deadline.
    Timeout {
        /// How far it had come.
        phase: Phase,
    },
    /// Until the deadline only answers came that the expected key had not made, or the server's
    /// hint that it has another key.
    Identity,
    /// The server does not speak our version; it names those that it does.
    Version {
        /// The version we speak.
        ours: u32,
        /// The versions of the server's hint.
        theirs: alloc::vec::Vec<u32>,
    },
    /// The server does not take the way we opened (pattern, cipher or pre-shared key).
    Suite,
    /// The server refused.
    Refused {
        /// Its code.
        code: Code,
        /// Its text.
        reason: String,
    },
    /// The server broke the protocol.
    Violation {
        /// The code of the broken rule.
        code: Code,
        /// Which rule.
        reason: &'static str,
    },
    /// The server no longer knows the connection (it was restarted, say), and messages were sent
    /// already: they may have arrived.
    Reset,
    /// The server sent us elsewhere, and we do not go there (R-CHAL-3).
    Referred {
        /// Why not.
        reason: &'static str,
    },
    /// The user ended the attempt.
    Cancelled,
}

/// Why a connection ended unexpectedly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LostCause {
    /// Nothing came from the peer for longer than the idle limit.
    Idle,
    /// The connection's keys could not be renewed in time, and may not be used any longer: too many
    /// packets were sent under one, or failed to open.
    KeyLimit,
    /// The peer broke the protocol; we told it so.
    Violation {
        /// The code of the broken rule.
        code: Code,
        /// Which rule.
        reason: &'static str,
    },
    /// The peer says that we broke the protocol, or gave up by itself.
    Peer {
        /// Its code.
        code: Code,
        /// Its text.
        reason: String,
    },
    /// The peer no longer knows the connection: it was restarted, or its user killed it.
    Reset,
    /// The user killed it.
    Killed,
}

/// Why a connection could not be begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartError {
    /// The endpoint has as many connections as its limit allows.
    TooMany {
        /// The limit.
        limit: u32,
    },
    /// The route is longer than 255 bytes.
    RouteTooLong {
        /// Its length.
        length: usize,
    },
    /// The target has no address at all.
    NoAddress,
    /// The server's key is not a point that X25519 can use.
    BadKey,
    /// The endpoint is shutting down.
    ShuttingDown,
    /// A single connection with this server is being opened already, by this attempt (R-HAND-4).
    Single {
        /// The attempt that is under way.
        attempt: ConnectionHandle,
    },
}

/// Why a stream could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// The connection is gone.
    UnknownConnection,
    /// A single connection takes streams once it is connected: an event tells (R-HAND-4).
    NotConnected,
    /// The connection is closing: nothing new may begin.
    Closing,
    /// The peer allows no more streams of this direction now; an event tells when (row T32).
    Limit {
        /// How many it allows.
        limit: u64,
    },
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// The connection is gone.
    UnknownConnection,
    /// The stream is gone, or never was.
    UnknownStream,
    /// The peer opened this stream one-way: only it may send.
    ReceiveOnly,
    /// We finished or closed our half, or the peer stopped it.
    Finished,
    /// The connection is closing: no new messages.
    Closing,
    /// Too much is waiting already; an event tells when there is room (row T44).
    Blocked,
    /// Longer than the peer takes.
    TooLarge {
        /// The largest message it takes, in bytes.
        limit: u64,
    },
    /// Byte streams are always reliable.
    AlwaysReliable,
}

/// Why nothing can be received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiveError {
    /// The connection is gone.
    UnknownConnection,
    /// The stream is gone (its end was already reported), or never was.
    UnknownStream,
    /// We opened this stream one-way: only we send.
    SendOnly,
}

/// Why a command on a stream was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamError {
    /// The connection is gone.
    UnknownConnection,
    /// The stream is gone, or never was.
    UnknownStream,
    /// The half that the command is for does not exist on our side.
    WrongHalf,
}

/// The ticket of the screening is no longer valid: answered already, or too old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownIncoming;

/// Why a client could not be sent elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferError {
    /// The client was answered already or has waited for too long, or the connection is gone.
    Gone,
    /// On this connection we are the client.
    NotServer,
    /// No address, more than four, or one that no endpoint can have.
    Addresses,
    /// The key is not canonical (R-OPEN-3).
    BadKey,
    /// The route is longer than 255 bytes.
    RouteTooLong {
        /// Its length.
        length: usize,
    },
}

impl fmt::Display for ReferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the client or the connection is gone"),
            Self::NotServer => f.write_str("only a server refers its client elsewhere"),
            Self::Addresses => {
                f.write_str("a referral names one to four addresses that an endpoint can have")
            }
            Self::BadKey => f.write_str("the key is not a valid X25519 key"),
            Self::RouteTooLong { length } => StartError::RouteTooLong { length: *length }.fmt(f),
        }
    }
}

impl fmt::Display for UnknownConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is gone")
    }
}

impl fmt::Display for UnknownIncoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the client was answered already, or has waited for too long")
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolving => "resolving the name",
            Self::Opening => "opening (no answer from the server)",
            Self::Challenged => "waiting for the decision on the server's key",
            Self::Pinging => "pinging (the server answered once, then fell silent)",
        })
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve { cause } => write!(f, "cannot resolve the name: {cause}"),
            Self::Timeout { phase } => write!(f, "timed out while {phase}"),
            Self::Identity => f.write_str("the server does not hold the expected key"),
            Self::Version { ours, theirs } => {
                write!(f, "no common version: we speak {ours:#x}, the server {theirs:#x?}")
            }
            Self::Suite => {
                f.write_str("the server does not take this pattern, cipher or pre-shared key")
            }
            Self::Refused { code, reason } => write!(f, "refused: {code}{}", Quoted(reason)),
            Self::Violation { code, reason } => {
                write!(f, "the server broke the protocol: {code}: {reason}")
            }
            Self::Reset => f.write_str("the server no longer knows the connection"),
            Self::Referred { reason } => write!(f, "referred to where we do not go: {reason}"),
            Self::Cancelled => f.write_str("cancelled"),
        }
    }
}

impl fmt::Display for LostCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle => f.write_str("nothing came from the peer for longer than the idle limit"),
            Self::Violation { code, reason } => {
                write!(f, "the peer broke the protocol: {code}: {reason}")
            }
            Self::Peer { code, reason } => write!(f, "the peer gave up: {code}{}", Quoted(reason)),
            Self::KeyLimit => f.write_str(
                "the connection's keys were not renewed in time and may not be used any longer",
            ),
            Self::Reset => f.write_str("the peer no longer knows the connection"),
            Self::Killed => f.write_str("killed"),
        }
    }
}

/// A peer's text behind a colon, or nothing if it is empty.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, ": {:?}", self.0) }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany { limit } => write!(f, "the endpoint has {limit} connections, its limit"),
            Self::RouteTooLong { length } => write!(f, "the route has {length} bytes; 255 at most"),
            Self::NoAddress => f.write_str("no address to connect to"),
            Self::BadKey => f.write_str("the server's key is not a valid X25519 key"),
            Self::ShuttingDown => f.write_str("the endpoint is shutting down"),
            Self::Single { .. } => f.write_str("a single connection is being opened already"),
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownConnection => UnknownConnection.fmt(f),
            Self::NotConnected => f.write_str("a single connection is not connected yet"),
            Self::Closing => f.write_str("the connection is closing"),
            Self::Limit { limit } => write!(f, "the peer allows {limit} such streams"),
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownConnection => UnknownConnection.fmt(f),
            Self::UnknownStream => f.write_str("no such stream"),
            Self::ReceiveOnly => f.write_str("only the peer may send on this stream"),
            Self::Finished => f.write_str("our half of the stream has ended"),
            Self::Closing => f.write_str("the connection is closing"),
            Self::Blocked => f.write_str("too much is waiting to be sent"),
            Self::TooLarge { limit } => {
                write!(f, "the peer takes messages of at most {limit} bytes")
            }
            Self::AlwaysReliable => f.write_str("a byte stream is always reliable"),
        }
    }
}

impl fmt::Display for ReceiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownConnection => UnknownConnection.fmt(f),
            Self::UnknownStream => f.write_str("no such stream"),
            Self::SendOnly => f.write_str("only we may send on this stream"),
        }
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownConnection => UnknownConnection.fmt(f),
            Self::UnknownStream => f.write_str("no such stream"),
            Self::WrongHalf => f.write_str("the stream has no such half on this side"),
        }
    }
}

impl core::error::Error for UnknownConnection {}
impl core::error::Error for UnknownIncoming {}
impl core::error::Error for ConnectError {}
impl core::error::Error for LostCause {}
impl core::error::Error for StartError {}
impl core::error::Error for ReferError {}
impl core::error::Error for OpenError {}
impl core::error::Error for SendError {}
impl core::error::Error for ReceiveError {}
impl core::error::Error for StreamError {}
