//! One type for all errors of the crate (row T67), for users who hand them on with `?`.
//!
//! Each call keeps an error type of its own, so that it can be matched without cases that cannot
//! happen; [`Error`] takes them all in.

use super::{
    ConnectError, LostCause, OpenError, ReceiveError, SendError, StartError, StreamError,
    UnknownConnection, UnknownIncoming,
};
use crate::crypto::KeyTextError;
use crate::event::Event;
use crate::handle::ConnectionHandle;
use crate::wire::ParameterError;
use core::fmt;

/// Whatever can go wrong, with what it was about; [`source`](core::error::Error::source) says why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A connection could not be begun.
    Start(StartError),
    /// A connection never came about: told by [`Event::Failed`].
    Connect(ConnectError),
    /// A connection ended unexpectedly: told by [`Event::Lost`].
    Lost(LostCause),
    /// A stream could not be opened.
    Open(OpenError),
    /// A message was not taken.
    Send(SendError),
    /// Nothing can be received.
    Receive(ReceiveError),
    /// A command on a stream was not taken.
    Stream(StreamError),
    /// A command on a connection was not taken.
    Connection(UnknownConnection),
    /// An answer to a client came too late.
    Incoming(UnknownIncoming),
    /// A key could not be read from its text.
    Key(KeyTextError),
    /// Parameters of the handshake could not be read.
    Parameters(ParameterError),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start(_) => "cannot begin to connect",
            Self::Connect(_) => "cannot connect",
            Self::Lost(_) => "the connection was lost",
            Self::Open(_) => "cannot open a stream",
            Self::Send(_) => "cannot send",
            Self::Receive(_) => "cannot receive",
            Self::Stream(_) => "the stream takes no such command",
            Self::Connection(_) => "the connection takes no such command",
            Self::Incoming(_) => "cannot answer the client",
            Self::Key(_) => "not a key",
            Self::Parameters(_) => "bad parameters",
        })
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(match self {
            Self::Start(error) => error,
            Self::Connect(error) => error,
            Self::Lost(cause) => cause,
            Self::Open(error) => error,
            Self::Send(error) => error,
            Self::Receive(error) => error,
            Self::Stream(error) => error,
            Self::Connection(error) => error,
            Self::Incoming(error) => error,
            Self::Key(error) => error,
            Self::Parameters(error) => error,
        })
    }
}

macro_rules! from {
    ($($variant:ident($error:ty);)*) => {
        $(impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        })*
    };
}

from! {
    Start(StartError);
    Connect(ConnectError);
    Lost(LostCause);
    Open(OpenError);
    Send(SendError);
    Receive(ReceiveError);
    Stream(StreamError);
    Connection(UnknownConnection);
    Incoming(UnknownIncoming);
    Key(KeyTextError);
    Parameters(ParameterError);
}

impl Event {
    /// The error that this event tells, and whose it is: the stream of errors that belong to no
    /// call (row T67).
    ///
    /// These are [`Event::Failed`] and [`Event::Lost`]. No other event is an error:
    /// [`Event::Closed`] is an end in order, [`Event::Stopped`] the peer's wish, a
    /// [`Fate`](crate::Fate) the news of a message, and [`Event::Quiet`] a warning. What is wrong
    /// with single datagrams has no event but a counter ([`Drops`](crate::Drops)): else whoever can
    /// send us datagrams could flood the user with errors.
    pub fn error(&self) -> Option<(ConnectionHandle, Error)> {
        match self {
            Self::Failed { connection, error } => Some((*connection, error.clone().into())),
            Self::Lost { connection, cause } => Some((*connection, cause.clone().into())),
            _ => None,
        }
    }
}
