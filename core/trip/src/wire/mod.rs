//! What goes over the wire: packets, frames, parameters and codes, typed. Parsing and writing, no
//! state and no policy: everything here is a total function of its input.
//!
//! In go untrusted bytes, out come borrowed, checked values, or an error that says which rule was
//! broken; the other way round, values are appended to a vector. Nothing here allocates for what it
//! reads, keys anything, or decides what a packet means for a connection.
#![deny(clippy::arithmetic_side_effects)]

mod code;
mod frame;
mod packet;
mod parameters;
mod payload;
mod referral;
mod stream_id;
#[cfg(test)]
pub(crate) mod testing;
mod text;
mod violation;

pub use code::Code;
pub(crate) use frame::{
    AckFrame, BlockedBy, EcnCounts, Frame, Frames, RESET_TOKEN_LEN, RenewFrame, SkipFrame,
    StreamFrame, StreamHeader, stream_header_len, write_ack, write_padding, write_skip,
    write_stream_header,
};
pub(crate) use packet::{
    Challenge, Confirm, DATA_OVERHEAD_LONG, DataHeader, NOISE_MAX, NUMBER_LIMIT, OPEN_LEAST, Open,
    OpenPrefix, PacketKind, RESET_LEN, Retry, TAG_LEN, TruncatedNumber, VersionHint, VersionReason,
    classify, parse_reset, through_suite, with_token, write_open, write_reset, write_retry,
    write_version,
};
pub(crate) use parameters::OFFSET_LIMIT;
pub use parameters::{ParameterError, ParameterProblem, Parameters, Versions};
pub(crate) use payload::{ChallengePayload, OpenPayload, PayloadError, ROUTE_MAX};
pub(crate) use referral::{REFERRAL_ADDRESSES, ReferralBody, ReferralError, write_referral};
pub use stream_id::{Direction, Order, Side, StreamId};
pub(crate) use violation::Violation;

/// The prologue of the handshake: the protocol's name and the first 14 bytes of OPEN (R-OPEN-1).
pub(crate) fn prologue(through_suite: &[u8]) -> alloc::vec::Vec<u8> {
    [b"TRiP/1".as_slice(), through_suite].concat()
}

/// The version that this code speaks, as OPEN and VERSION write it.
pub const PROTOCOL_VERSION: u32 = 1;
