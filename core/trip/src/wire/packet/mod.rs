//! The packets: what one datagram holds (PROTOCOL.md §2).
//!
//! In goes a whole datagram, out come its fields, borrowed. [`classify`] tells the kinds apart by
//! the first byte; each kind parses by itself. A packet that does not parse is dropped in silence
//! and counted (R-WIRE), so the errors name no more than what a counter can use. Nothing here opens
//! or seals anything.

mod answer;
mod data;
mod open;
mod stateless;
#[cfg(test)]
mod tests;

pub(crate) use answer::{Challenge, Confirm, VersionHint, VersionReason, write_version};
pub(crate) use data::{DATA_OVERHEAD_LONG, DataHeader, NUMBER_LIMIT, TruncatedNumber};
pub(crate) use open::{OPEN_LEAST, Open, OpenPrefix, through_suite, write_open};
pub(crate) use stateless::{RESET_LEN, Retry, parse_reset, with_token, write_reset, write_retry};

use tripline_sansio::codec::ReadError;

/// Bytes of the tag behind the ciphertext of every DATA packet (§2.1).
pub(crate) const TAG_LEN: usize = 16;

/// The longest Noise message in any packet. R-OPEN-4 says it of message 1; messages 2 and 3 hold
/// smaller payloads and keep to it as well.
pub(crate) const NOISE_MAX: usize = 1024;

/// The first bytes of the packets that are not DATA.
pub(crate) const FIRST_OPEN: u8 = 0x01;
/// See [`FIRST_OPEN`].
pub(crate) const FIRST_CHALLENGE: u8 = 0x02;
/// See [`FIRST_OPEN`].
pub(crate) const FIRST_RETRY: u8 = 0x03;
/// See [`FIRST_OPEN`].
pub(crate) const FIRST_CONFIRM: u8 = 0x04;
/// See [`FIRST_OPEN`].
pub(crate) const FIRST_VERSION: u8 = 0x05;
/// See [`FIRST_OPEN`].
pub(crate) const FIRST_RESET: u8 = 0x06;
/// Reserved for packets by which names are told to follow an address (row T57). They have no layout
/// yet, and none is sent.
pub(crate) const FIRST_DDNS: u8 = 0x07;
/// The first byte of DATA with a packet number of two bytes.
pub(crate) const FIRST_DATA_SHORT: u8 = 0x80;
/// The first byte of DATA with a packet number of four bytes.
pub(crate) const FIRST_DATA_LONG: u8 = 0xc0;

/// The kinds of packets, as the first byte tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PacketKind {
    /// Every packet after the handshake: [`DataHeader`].
    Data,
    /// First handshake message: [`Open`].
    Open,
    /// Second handshake message: [`Challenge`].
    Challenge,
    /// "Prove your address first": [`Retry`].
    Retry,
    /// Third handshake message, only in XX: [`Confirm`].
    Confirm,
    /// Why an OPEN was not answered: [`VersionHint`].
    Version,
    /// "I no longer know this connection": [`parse_reset`].
    Reset,
    /// Reserved, see [`FIRST_DDNS`].
    Ddns,
}

/// The kind of packet that begins with `first`; `None` if there is none, or if a reserved bit of
/// DATA is set (R-WIRE-4).
pub(crate) const fn classify(first: u8) -> Option<PacketKind> {
    Some(match first {
        FIRST_DATA_SHORT | FIRST_DATA_LONG => PacketKind::Data,
        FIRST_OPEN => PacketKind::Open,
        FIRST_CHALLENGE => PacketKind::Challenge,
        FIRST_RETRY => PacketKind::Retry,
        FIRST_CONFIRM => PacketKind::Confirm,
        FIRST_VERSION => PacketKind::Version,
        FIRST_RESET => PacketKind::Reset,
        FIRST_DDNS => PacketKind::Ddns,
        _ => return None,
    })
}

/// Why a datagram is not the packet that it was read as, or a packet cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PacketError {
    /// Its first byte is that of another kind, of none, or has a reserved bit set.
    Kind,
    /// Too short for its fields, longer than they are, or a field is longer than allowed.
    Length,
    /// A field has a value without meaning.
    Value,
}

impl From<ReadError> for PacketError {
    fn from(_: ReadError) -> Self {
        Self::Length
    }
}
