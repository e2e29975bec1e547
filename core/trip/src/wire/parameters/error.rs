//! Which parameter is wrong, and how.

use core::fmt;

use super::id;
use crate::wire::Code;

/// A parameter that breaks the rules of PROTOCOL.md §6; the handshake fails with
/// [`Code::PARAMETER`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParameterError {
    id: u64,
    problem: ParameterProblem,
}

/// What is wrong with a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterProblem {
    /// It is cut off, not in its shortest form, or does not have the length that its value needs.
    Malformed,
    /// It came more than once.
    Twice,
    /// Its value is out of range, or does not fit another parameter's.
    Range,
}

impl ParameterError {
    /// The error about parameter `id`; 0 if not even the ID could be read.
    pub(super) const fn new(id: u64, problem: ParameterProblem) -> Self {
        Self { id, problem }
    }

    /// The number of the parameter on the wire; 0 if it could not be read.
    pub const fn id(self) -> u64 {
        self.id
    }

    /// What is wrong with it.
    pub const fn problem(self) -> ParameterProblem {
        self.problem
    }

    /// The code that this error ends the handshake with: always [`Code::PARAMETER`].
    pub const fn code(self) -> Code {
        Code::PARAMETER
    }

    /// The name of the parameter, without its number.
    pub const fn name(self) -> &'static str {
        match self.id {
            id::IDLE_TIMEOUT => "idle timeout",
            id::KEEP_ALIVE => "keep-alive",
            id::CONNECTION_CREDIT => "connection credit",
            id::STREAM_CREDIT => "stream credit",
            id::TWO_WAY_STREAMS => "two-way streams",
            id::ONE_WAY_STREAMS => "one-way streams",
            id::MESSAGE_MAX => "largest message",
            id::DATAGRAM_MAX => "largest datagram",
            id::ACK_DELAY => "ack delay",
            id::FEATURES => "features",
            id::RESET_TOKEN => "reset token",
            id::VERSIONS => "versions",
            _ => "unknown",
        }
    }
}

impl fmt::Display for ParameterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problem = match self.problem {
            ParameterProblem::Malformed => "is malformed",
            ParameterProblem::Twice => "came twice",
            ParameterProblem::Range => "is out of range",
        };
        write!(f, "parameter {} ({}) {problem}", self.id, self.name())
    }
}

impl core::error::Error for ParameterError {}
