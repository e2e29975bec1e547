//! The parameters that both sides announce in the handshake (PROTOCOL.md §6).
//!
//! `varint id · varint length · value`, whole numbers as variable-length integers that fill their
//! value. In goes the rest of a handshake payload, out come all parameters, those that were not
//! sent at their defaults. Each known one comes at most once and in range (R-PARAM, else code 7);
//! unknown ones are ignored. What a side makes of the other's parameters is not decided here.

mod error;
#[cfg(test)]
mod tests;
mod versions;

use alloc::vec::Vec;
use core::fmt;

pub use error::{ParameterError, ParameterProblem};
use tripline_sansio::codec::{ReadError, Reader, Writer, varint_len};
pub use versions::Versions;

use super::StreamId;

/// The IDs on the wire.
mod id {
    pub(super) const IDLE_TIMEOUT: u64 = 1;
    pub(super) const KEEP_ALIVE: u64 = 2;
    pub(super) const CONNECTION_CREDIT: u64 = 3;
    pub(super) const STREAM_CREDIT: u64 = 4;
    pub(super) const TWO_WAY_STREAMS: u64 = 5;
    pub(super) const ONE_WAY_STREAMS: u64 = 6;
    pub(super) const MESSAGE_MAX: u64 = 7;
    pub(super) const DATAGRAM_MAX: u64 = 8;
    pub(super) const ACK_DELAY: u64 = 9;
    pub(super) const FEATURES: u64 = 10;
    pub(super) const RESET_TOKEN: u64 = 11;
    pub(super) const VERSIONS: u64 = 12;
}

/// Offsets and grants of credit lie below this (R-FRAME-3).
pub(crate) const OFFSET_LIMIT: u64 = 1 << 60;

/// What a connection's credit is if it is not sent: this many times the stream's (§6).
const CONNECTION_TO_STREAM: u64 = 16;

/// How far a receiver's credit must exceed its largest message: room for the length before it.
const MESSAGE_SLACK: u64 = 8;

/// What one side announces to the other in the handshake (PROTOCOL.md §6).
///
/// The numbers bind the *other* side: credit, stream limits and sizes say what this side is ready
/// to receive. A parameter that is not on the wire has the value of [`Parameters::default`], but
/// for the connection's credit, which is then 16 times the stream's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Parameters {
    /// 1: after how many milliseconds of silence this side gives up. 0: never. Default 30,000; at
    /// most 2^32 − 1. The smaller of both sides' counts (R-CLOSE-2).
    pub idle_timeout_ms: u64,
    /// 2: at what interval in milliseconds this side sends keep-alives. 0, the default: none. At
    /// most 2^32 − 1.
    pub keep_alive_ms: u64,
    /// 3: how many bytes of offsets, over all streams, the other side may send at first. Default 16
    /// times the stream's credit; at least 8 more than the largest message, below 2^60.
    pub connection_credit: u64,
    /// 4: how many bytes of offsets the other side may send at first on each stream. Default
    /// 262,144; at least 8 more than the largest message, below 2^60.
    pub stream_credit: u64,
    /// 5: the first index of two-way streams that the other side may not yet open. Default 128;
    /// below 2^58.
    pub two_way_streams: u64,
    /// 6: the same for one-way streams. Default 128; below 2^58.
    pub one_way_streams: u64,
    /// 7: the longest message in bytes that this side takes. Default 65,536; below 2^30, so that
    /// the length before a message never needs more than four bytes (T72).
    pub message_max: u64,
    /// 8: the largest datagram in bytes of UDP payload that this side takes. Default 65,527; at
    /// least 1,200.
    pub datagram_max: u16,
    /// 9: for how many milliseconds at most this side holds back an acknowledgement. Default 25;
    /// below 2^14.
    pub ack_delay_ms: u64,
    /// 10: a bit for each optional feature, [`Parameters::SINGLE`] and ones that this version does
    /// not know. Default 0; below 2^62.
    pub features: u64,
    /// 11: what a RESET of the connection ID given out in the same handshake will hold (R-RESET-2).
    pub reset_token: Option<[u8; 16]>,
    /// 12: the versions that this side speaks; empty by default: not told (R-VERS-1).
    pub versions: Versions,
}

impl Default for Parameters {
    fn default() -> Self {
        let stream_credit = 1 << 18;
        Self {
            idle_timeout_ms: 30_000,
            keep_alive_ms: 0,
            connection_credit: default_connection_credit(stream_credit),
            stream_credit,
            two_way_streams: 128,
            one_way_streams: 128,
            message_max: 1 << 16,
            datagram_max: 65_527,
            ack_delay_ms: 25,
            features: 0,
            reset_token: None,
            versions: Versions::NONE,
        }
    }
}

/// The connection's credit where none is sent.
fn default_connection_credit(stream_credit: u64) -> u64 {
    stream_credit.saturating_mul(CONNECTION_TO_STREAM).min(OFFSET_LIMIT.saturating_sub(1))
}

impl Parameters {
    /// The feature bit *single*: one connection per pair of identities (R-HAND-4).
    pub const SINGLE: u64 = 1;
    /// [`Self::datagram_max`] is at least this.
    pub const DATAGRAM_LEAST: u16 = 1200;
    /// [`Self::message_max`] lies below this (T72).
    pub const MESSAGE_LIMIT: u64 = 1 << 30;
    /// [`Self::idle_timeout_ms`] and [`Self::keep_alive_ms`] lie below this.
    pub const TIME_LIMIT_MS: u64 = 1 << 32;
    /// [`Self::ack_delay_ms`] lies below this.
    pub const ACK_DELAY_LIMIT_MS: u64 = 1 << 14;

    /// Whether its sender wants a single connection (R-HAND-4).
    pub(crate) const fn is_single(&self) -> bool {
        self.features & Self::SINGLE != 0
    }

    /// Whether all values are in range, each by itself and among each other (R-PARAM). What a peer
    /// sent has passed this; call it on settings of one's own.
    ///
    /// # Errors
    /// The first parameter that is out of range.
    pub fn check(&self) -> Result<(), ParameterError> {
        for (id, value, limit) in [
            (id::IDLE_TIMEOUT, self.idle_timeout_ms, Self::TIME_LIMIT_MS),
            (id::KEEP_ALIVE, self.keep_alive_ms, Self::TIME_LIMIT_MS),
            (id::CONNECTION_CREDIT, self.connection_credit, OFFSET_LIMIT),
            (id::STREAM_CREDIT, self.stream_credit, OFFSET_LIMIT),
            (id::TWO_WAY_STREAMS, self.two_way_streams, StreamId::INDEX_LIMIT),
            (id::ONE_WAY_STREAMS, self.one_way_streams, StreamId::INDEX_LIMIT),
            (id::MESSAGE_MAX, self.message_max, Self::MESSAGE_LIMIT),
            (id::ACK_DELAY, self.ack_delay_ms, Self::ACK_DELAY_LIMIT_MS),
            (id::FEATURES, self.features, 1 << 62),
        ] {
            if value >= limit {
                return Err(ParameterError::new(id, ParameterProblem::Range));
            }
        }
        let least = self.message_max.saturating_add(MESSAGE_SLACK);
        for (id, fits) in [
            (id::CONNECTION_CREDIT, self.connection_credit >= least),
            (id::STREAM_CREDIT, self.stream_credit >= least),
            (id::DATAGRAM_MAX, self.datagram_max >= Self::DATAGRAM_LEAST),
        ] {
            if !fits {
                return Err(ParameterError::new(id, ParameterProblem::Range));
            }
        }
        Ok(())
    }

    /// Reads parameters up to the end of `bytes`.
    ///
    /// # Errors
    /// Names the parameter that is malformed, came twice or is out of range (R-PARAM-1, code 7).
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, ParameterError> {
        let mut parameters = Self::default();
        let mut seen = Seen(0);
        let mut reader = Reader::new(bytes);
        while !reader.is_empty() {
            let id = reader.varint().map_err(|error| malformed(0, error))?;
            let value = reader.varint_bytes().map_err(|error| malformed(id, error))?;
            if seen.twice(id) {
                return Err(ParameterError::new(id, ParameterProblem::Twice));
            }
            parameters.set(id, value)?;
        }
        if !seen.has(id::CONNECTION_CREDIT) {
            parameters.connection_credit = default_connection_credit(parameters.stream_credit);
        }
        parameters.check()?;
        Ok(parameters)
    }

    /// Takes over one parameter; ranges are for [`Self::check`], once all are known.
    fn set(&mut self, id: u64, value: &[u8]) -> Result<(), ParameterError> {
        let number = match id {
            id::IDLE_TIMEOUT => &mut self.idle_timeout_ms,
            id::KEEP_ALIVE => &mut self.keep_alive_ms,
            id::CONNECTION_CREDIT => &mut self.connection_credit,
            id::STREAM_CREDIT => &mut self.stream_credit,
            id::TWO_WAY_STREAMS => &mut self.two_way_streams,
            id::ONE_WAY_STREAMS => &mut self.one_way_streams,
            id::MESSAGE_MAX => &mut self.message_max,
            id::DATAGRAM_MAX => {
                self.datagram_max = u16::try_from(whole(id, value)?)
                    .map_err(|_| ParameterError::new(id, ParameterProblem::Range))?;
                return Ok(());
            }
            id::ACK_DELAY => &mut self.ack_delay_ms,
            id::FEATURES => &mut self.features,
            id::RESET_TOKEN => {
                let token = <[u8; 16]>::try_from(value)
                    .map_err(|_| ParameterError::new(id, ParameterProblem::Malformed))?;
                self.reset_token = Some(token);
                return Ok(());
            }
            id::VERSIONS => {
                self.versions =
                    Versions::parse(value).map_err(|problem| ParameterError::new(id, problem))?;
                return Ok(());
            }
            // R-PARAM-2: what nobody here knows is ignored.
            _ => return Ok(()),
        };
        *number = whole(id, value)?;
        Ok(())
    }

    /// Appends the parameters that differ from what their absence says, in the order of their IDs
    /// (R-PARAM-3).
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let default = Self::default();
        let credit = default_connection_credit(self.stream_credit);
        let mut out = Writer::new(out);
        for (id, value, absent) in [
            (id::IDLE_TIMEOUT, self.idle_timeout_ms, default.idle_timeout_ms),
            (id::KEEP_ALIVE, self.keep_alive_ms, default.keep_alive_ms),
            (id::CONNECTION_CREDIT, self.connection_credit, credit),
            (id::STREAM_CREDIT, self.stream_credit, default.stream_credit),
            (id::TWO_WAY_STREAMS, self.two_way_streams, default.two_way_streams),
            (id::ONE_WAY_STREAMS, self.one_way_streams, default.one_way_streams),
            (id::MESSAGE_MAX, self.message_max, default.message_max),
            (id::DATAGRAM_MAX, self.datagram_max.into(), default.datagram_max.into()),
            (id::ACK_DELAY, self.ack_delay_ms, default.ack_delay_ms),
            (id::FEATURES, self.features, default.features),
        ] {
            if value != absent {
                let length = u64::try_from(varint_len(value)).unwrap_or(u64::MAX);
                out.varint(id).varint(length).varint(value);
            }
        }
        if let Some(token) = &self.reset_token {
            out.varint(id::RESET_TOKEN).varint_bytes(token);
        }
        if !self.versions.as_slice().is_empty() {
            out.varint(id::VERSIONS);
            self.versions.write(&mut out);
        }
    }
}

/// Which known IDs came already.
struct Seen(u16);

impl Seen {
    /// The bit of a known ID, 0 for others.
    fn bit(id: u64) -> u16 {
        match u32::try_from(id) {
            Ok(small @ 1..=12) => 1_u16.checked_shl(small).unwrap_or(0),
            _ => 0,
        }
    }

    /// Notes an ID; says whether it is known and came before.
    fn twice(&mut self, id: u64) -> bool {
        let bit = Self::bit(id);
        let before = self.0 & bit != 0;
        self.0 |= bit;
        before
    }

    /// Whether a known ID came.
    fn has(&self, id: u64) -> bool {
        self.0 & Self::bit(id) != 0
    }
}

/// A whole number that fills `value`.
fn whole(id: u64, value: &[u8]) -> Result<u64, ParameterError> {
    let mut reader = Reader::new(value);
    let number = reader.varint().map_err(|error| malformed(id, error))?;
    if reader.is_empty() {
        Ok(number)
    } else {
        Err(ParameterError::new(id, ParameterProblem::Malformed))
    }
}

/// The error for bytes that end too early or are not in their shortest form.
fn malformed(id: u64, _: ReadError) -> ParameterError {
    ParameterError::new(id, ParameterProblem::Malformed)
}

impl fmt::Debug for Parameters {
    /// All but the reset token: who knows it can end the connection.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parameters")
            .field("idle_timeout_ms", &self.idle_timeout_ms)
            .field("keep_alive_ms", &self.keep_alive_ms)
            .field("connection_credit", &self.connection_credit)
            .field("stream_credit", &self.stream_credit)
            .field("two_way_streams", &self.two_way_streams)
            .field("one_way_streams", &self.one_way_streams)
            .field("message_max", &self.message_max)
            .field("datagram_max", &self.datagram_max)
            .field("ack_delay_ms", &self.ack_delay_ms)
            .field("features", &self.features)
            .field("has_reset_token", &self.reset_token.is_some())
            .field("versions", &self.versions)
            .finish()
    }
}
