//! What the handshake messages carry inside Noise (PROTOCOL.md §2.2, §2.3).
//!
//! In goes the opened payload of a Noise message, out come its fields; the other way round, bytes
//! to be sealed. Nothing of payload 1 takes effect by being read (R-OPEN-4): it may be a replay.

#[cfg(test)]
mod tests;

use alloc::vec::Vec;
use core::fmt;

use tripline_sansio::codec::{ReadError, Reader, Writer};

use super::text::{TextError, read_text, write_text};
use super::{Code, ParameterError, Parameters, ReferralBody, ReferralError};

/// The longest route in bytes (§1).
pub(crate) const ROUTE_MAX: usize = 255;
/// The longest payload of a CHALLENGE in bytes (§2.3), so that it is smaller than its OPEN.
pub(crate) const CHALLENGE_PAYLOAD_MAX: usize = 512;

/// The kinds of CHALLENGE payloads on the wire.
mod kind {
    pub(super) const ACCEPT: u8 = 0;
    pub(super) const REFUSE: u8 = 1;
    pub(super) const FORWARD: u8 = 2;
}

/// Why a handshake payload could not be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PayloadError {
    /// It ends too early, or a number is not in its shortest form.
    Read(ReadError),
    /// Longer than allowed, a route longer than [`ROUTE_MAX`], or bytes behind the last field.
    Length,
    /// No known kind of CHALLENGE.
    Kind(u8),
    /// A referral breaks the rules (R-CHAL-3).
    Referral(ReferralError),
    /// The reason text is too long, cut off or not UTF-8.
    Text(TextError),
    /// A parameter breaks the rules (R-PARAM).
    Parameter(ParameterError),
}

impl PayloadError {
    /// The code to refuse or close with.
    pub(crate) const fn code(self) -> Code {
        match self {
            Self::Parameter(error) => error.code(),
            _ => Code::PROTOCOL,
        }
    }
}

impl From<ReadError> for PayloadError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl From<ReferralError> for PayloadError {
    fn from(error: ReferralError) -> Self {
        Self::Referral(error)
    }
}

impl From<TextError> for PayloadError {
    fn from(error: TextError) -> Self {
        Self::Text(error)
    }
}

impl From<ParameterError> for PayloadError {
    fn from(error: ParameterError) -> Self {
        Self::Parameter(error)
    }
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => error.fmt(f),
            Self::Length => f.write_str("a handshake payload has the wrong length"),
            Self::Kind(kind) => write!(f, "unknown kind {kind} of answer to an open"),
            Self::Referral(error) => error.fmt(f),
            Self::Text(error) => error.fmt(f),
            Self::Parameter(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for PayloadError {}

/// The client's side of the handshake: payload of OPEN, in XX of CONFIRM.
///
/// `user id (8) · route length (1) · route · parameters`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OpenPayload<'a> {
    /// Whatever the application names its user by.
    pub(crate) user_id: [u8; 8],
    /// Which service behind the endpoint is wanted; at most [`ROUTE_MAX`] bytes.
    pub(crate) route: &'a [u8],
    /// What the client announces.
    pub(crate) parameters: Parameters,
}

impl<'a> OpenPayload<'a> {
    /// Reads the whole payload. (The empty payload 1 of XX is not one: its fields come with
    /// CONFIRM.)
    ///
    /// # Errors
    /// [`PayloadError::Read`] or [`PayloadError::Parameter`].
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, PayloadError> {
        let mut reader = Reader::new(bytes);
        let user_id = reader.array()?;
        let route_len = usize::from(reader.u8()?);
        let route = reader.take(route_len)?;
        let parameters = Parameters::parse(reader.take_rest())?;
        Ok(Self { user_id, route, parameters })
    }

    /// Appends the payload.
    ///
    /// # Errors
    /// [`PayloadError::Length`] if the route is too long; nothing is appended then.
    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Result<(), PayloadError> {
        let route_len = u8::try_from(self.route.len()).map_err(|_| PayloadError::Length)?;
        Writer::new(out).bytes(&self.user_id).u8(route_len).bytes(self.route);
        self.parameters.write(out);
        Ok(())
    }
}

/// The server's answer: payload of CHALLENGE, at most [`CHALLENGE_PAYLOAD_MAX`] bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChallengePayload<'a> {
    /// `0 · server's ID (8) · parameters`: the connection stands, as far as the server is
    /// concerned.
    Accept {
        /// The connection ID by which the server wants to be addressed.
        server_id: u64,
        /// What the server announces.
        parameters: Parameters,
    },
    /// `1 · code · reason text`: the server does not want the connection.
    Refuse {
        /// Why.
        code: Code,
        /// Why, in words; may be empty. Longer ones are clipped when written.
        reason: &'a str,
    },
    /// `2 · referral`: the server wants the client to open elsewhere.
    Forward(ReferralBody<'a>),
}

impl<'a> ChallengePayload<'a> {
    /// Reads the whole payload.
    ///
    /// # Errors
    /// See [`PayloadError`].
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, PayloadError> {
        if bytes.len() > CHALLENGE_PAYLOAD_MAX {
            return Err(PayloadError::Length);
        }
        let mut reader = Reader::new(bytes);
        match reader.u8()? {
            kind::ACCEPT => {
                let server_id = reader.u64()?;
                let parameters = Parameters::parse(reader.take_rest())?;
                Ok(Self::Accept { server_id, parameters })
            }
            kind::REFUSE => {
                let code = Code::new(reader.varint()?).ok_or(PayloadError::Length)?;
                let reason = read_text(&mut reader)?;
                if reader.is_empty() {
                    Ok(Self::Refuse { code, reason })
                } else {
                    Err(PayloadError::Length)
                }
            }
            kind::FORWARD => Ok(Self::Forward(ReferralBody::parse(reader.take_rest())?)),
            other => Err(PayloadError::Kind(other)),
        }
    }

    /// Appends the payload. It never exceeds [`CHALLENGE_PAYLOAD_MAX`]: all parameters at their
    /// longest are less, so is a referral, and a reason text is clipped.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Accept { server_id, ref parameters } => {
                Writer::new(out).u8(kind::ACCEPT).u64(server_id);
                parameters.write(out);
            }
            Self::Refuse { code, reason } => {
                let mut out = Writer::new(out);
                out.u8(kind::REFUSE).varint(code.number());
                write_text(&mut out, reason);
            }
            Self::Forward(body) => {
                Writer::new(out).u8(kind::FORWARD).bytes(body.bytes());
            }
        }
    }
}
