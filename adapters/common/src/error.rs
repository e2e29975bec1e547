//! What a call of a client or a server can end with, on whichever loop.

use std::fmt;
use std::io;
use std::sync::Arc;
use tripline::{By, Code, ConnectError, LostCause, OpenError, ReceiveError, SendError, StartError};
use tripline_sansio::LinkError;

/// Why a call failed.
///
/// It can be cloned, because the end of a connection is told to everyone who waits on it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The socket, the system's entropy, or the thread or task that drives the endpoint.
    Io(Arc<io::Error>),
    /// A text that is not `KEY@HOST:PORT`.
    Address(String),
    /// The attempt could not begin.
    Start(StartError),
    /// The connection never came about.
    Connect(ConnectError),
    /// There is no link to travel by, and nothing else was to be tried.
    Link(LinkError),
    /// The stream could not be opened.
    Open(OpenError),
    /// The message was not taken.
    Send(SendError),
    /// Nothing can be received on this stream.
    Receive(ReceiveError),
    /// The peer ended its half of the stream early, with this code.
    StreamClosed(Code),
    /// The peer wants no more of this stream, with this code.
    StreamStopped(Code),
    /// The connection ended in order.
    Closed {
        /// Whether we or the peer ended it.
        by: By,
        /// The code it ended with.
        code: Code,
        /// The text that came with it.
        reason: String,
    },
    /// The connection ended unexpectedly.
    Lost(LostCause),
    /// The grace of a `close` was over before the peer had everything; this many messages (chunks
    /// of byte streams) may not have arrived.
    Undelivered {
        /// How many.
        messages: u64,
    },
    /// The time that the caller set is over.
    TimedOut,
    /// The endpoint behind this handle is gone.
    Ended,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(_) => f.write_str("the system refused"),
            Self::Address(why) => write!(f, "not an address: {why}"),
            Self::Start(_) => f.write_str("cannot begin to connect"),
            Self::Connect(_) | Self::Link(_) => f.write_str("cannot connect"),
            Self::Open(_) => f.write_str("cannot open a stream"),
            Self::Send(_) => f.write_str("cannot send"),
            Self::Receive(_) => f.write_str("cannot receive"),
            Self::StreamClosed(code) => write!(f, "the peer ended the stream early: {code}"),
            Self::StreamStopped(code) => write!(f, "the peer wants no more of the stream: {code}"),
            Self::Closed { by, code, reason } => {
                let who = match by {
                    By::Us => "we",
                    By::Peer => "the peer",
                };
                write!(f, "{who} closed the connection: {code}")?;
                if reason.is_empty() { Ok(()) } else { write!(f, ": {reason:?}") }
            }
            Self::Lost(_) => f.write_str("the connection was lost"),
            Self::Undelivered { messages } => {
                write!(f, "closed before the peer had everything: {messages} messages are in doubt")
            }
            Self::TimedOut => f.write_str("timed out"),
            Self::Ended => f.write_str("the endpoint is gone"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(&**error),
            Self::Start(error) => Some(error),
            Self::Connect(error) => Some(error),
            Self::Link(error) => Some(error),
            Self::Open(error) => Some(error),
            Self::Send(error) => Some(error),
            Self::Receive(error) => Some(error),
            Self::Lost(cause) => Some(cause),
            _ => None,
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}

impl From<Error> for io::Error {
    /// For `?` in functions that speak [`io::Result`]; the kind is the nearest there is.
    fn from(error: Error) -> Self {
        use io::ErrorKind as Kind;
        let kind = match &error {
            Error::Io(inner) => inner.kind(),
            Error::Address(_) | Error::Start(_) => Kind::InvalidInput,
            Error::Connect(ConnectError::Timeout { .. }) | Error::TimedOut => Kind::TimedOut,
            Error::Connect(ConnectError::Resolve { .. }) => Kind::NotFound,
            Error::Connect(_) | Error::Link(_) => Kind::ConnectionRefused,
            Error::Send(SendError::TooLarge { .. }) => Kind::InvalidInput,
            Error::Send(_) | Error::StreamStopped(_) => Kind::BrokenPipe,
            Error::Open(_) | Error::Receive(_) | Error::Ended => Kind::NotConnected,
            Error::Closed { .. } => Kind::ConnectionAborted,
            Error::StreamClosed(_) | Error::Lost(_) => Kind::ConnectionReset,
            Error::Undelivered { .. } => Kind::WriteZero,
        };
        Self::new(kind, error)
    }
}
