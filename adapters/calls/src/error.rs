//! Why a call has no answer, whatever the reason.

use std::fmt;
use tripline_rpc::{AddressError, AskError, CallFailure, Executed};

/// Why a call has no answer: it was not taken here, or it ended without one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallError {
    /// It was not taken here; surely it was not executed.
    NotTaken(AskError),
    /// It ended without an answer.
    Failed(CallFailure),
    /// What was asked, or what was answered, does not fit its type. The text says which and why.
    Format(String),
}

impl CallError {
    /// Whether the other side has executed the call.
    pub fn executed(&self) -> Executed {
        match self {
            Self::NotTaken(_) => Executed::No,
            Self::Failed(failure) => failure.executed(),
            Self::Format(_) => Executed::Unknown,
        }
    }

    /// The application's code, if it was the application that said no.
    pub fn code(&self) -> Option<i32> {
        match self {
            Self::Failed(failure) => failure.code(),
            _ => None,
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTaken(error) => error.fmt(f),
            Self::Failed(failure) => failure.fmt(f),
            Self::Format(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for CallError {}

impl From<AskError> for CallError {
    fn from(error: AskError) -> Self {
        Self::NotTaken(error)
    }
}

impl From<CallFailure> for CallError {
    fn from(failure: CallFailure) -> Self {
        Self::Failed(failure)
    }
}

/// Why there is no connection, or nobody listens.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectFailure {
    /// A text that is no address.
    Address(AddressError),
    /// An address that nobody can listen at: a name.
    Name,
    /// A trip address without the key by which the server is known.
    NoKey,
    /// The attempt, or the connection, ended so.
    Ended(String),
    /// The system refused what is needed: a socket, a thread, entropy.
    System(String),
}

impl fmt::Display for ConnectFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(error) => error.fmt(f),
            Self::Name => f.write_str("a name is no place to listen at; give an address, or *"),
            Self::NoKey => {
                f.write_str("the server's key is missing; a trip address is trip://KEY@HOST:PORT")
            }
            Self::Ended(why) => f.write_str(why),
            Self::System(why) => write!(f, "the system refused: {why}"),
        }
    }
}

impl std::error::Error for ConnectFailure {}

impl From<AddressError> for ConnectFailure {
    fn from(error: AddressError) -> Self {
        Self::Address(error)
    }
}

impl From<std::io::Error> for ConnectFailure {
    fn from(error: std::io::Error) -> Self {
        Self::System(error.to_string())
    }
}
