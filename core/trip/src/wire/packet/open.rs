//! OPEN, the first handshake message (PROTOCOL.md §2.2).
//!
//! `0x01 · version (4) · client's ID (8) · suite (1) · length (2) · noise message 1 · mac1 (16) ·
//! token length (1) · token · zeros`, 1,200 bytes or more.
//!
//! In goes a datagram, out come its fields and the three starts of it that the handshake hashes.
//! The order of work (R-HAND-3) is the caller's: length by parsing, then version, suite, mac1, and
//! only then [`Open::padding_is_zero`]. Computes no mac and judges no version, suite or token.

use alloc::vec::Vec;

use tripline_sansio::codec::{Reader, Writer};

use super::{FIRST_OPEN, NOISE_MAX, PacketError};

/// The least length of OPEN: what the server answers is smaller, and the path carries this much.
pub(crate) const OPEN_LEAST: usize = 1200;
/// The first bytes of OPEN, which the prologue holds (R-OPEN-1).
pub(crate) const THROUGH_SUITE_LEN: usize = 14;
/// Bytes of mac1.
pub(crate) const MAC1_LEN: usize = 16;

/// The part of OPEN that is the same in all versions: enough to answer one of an unknown version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OpenPrefix {
    /// The version that the rest of the packet follows.
    pub(crate) version: u32,
    /// The client's connection ID, to be repeated in every answer.
    pub(crate) client_id: u64,
}

impl OpenPrefix {
    /// Reads the first 13 bytes. The packet must have OPEN's least length, so that no answer is
    /// larger than its cause in any version.
    ///
    /// # Errors
    /// [`PacketError::Kind`] if it is not an OPEN, [`PacketError::Length`] if it is too short.
    pub(crate) fn parse(packet: &[u8]) -> Result<Self, PacketError> {
        let mut reader = Reader::new(packet);
        if reader.u8()? != FIRST_OPEN {
            return Err(PacketError::Kind);
        }
        if packet.len() < OPEN_LEAST {
            return Err(PacketError::Length);
        }
        Ok(Self { version: reader.u32()?, client_id: reader.u64()? })
    }
}

/// An OPEN of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Open<'a> {
    /// The version; the caller has checked it by [`OpenPrefix`], or does so now.
    pub(crate) version: u32,
    /// The client's connection ID.
    pub(crate) client_id: u64,
    /// Cipher, psk and pattern, as the byte of §2.2.
    pub(crate) suite: u8,
    /// Noise message 1, at most [`NOISE_MAX`] bytes (R-OPEN-4).
    pub(crate) noise: &'a [u8],
    /// The keyed hash of [`Self::before_mac1`] (R-OPEN-1).
    pub(crate) mac1: [u8; MAC1_LEN],
    /// The token of a RETRY; empty without one.
    pub(crate) token: &'a [u8],
    /// The first 14 bytes, which the prologue holds.
    pub(crate) through_suite: &'a [u8],
    /// All bytes that mac1 covers.
    pub(crate) before_mac1: &'a [u8],
    /// All bytes that repeats of one attempt have in common (R-OPEN-2, R-CHAL-1).
    pub(crate) through_mac1: &'a [u8],
    /// What follows the token.
    padding: &'a [u8],
}

impl<'a> Open<'a> {
    /// Reads an OPEN of this version's layout. Does not look at the version, nor at the padding.
    ///
    /// # Errors
    /// [`PacketError::Kind`] if it is not an OPEN, [`PacketError::Length`] if it is shorter than
    /// [`OPEN_LEAST`], its fields do not fit, or the Noise message is too long.
    pub(crate) fn parse(packet: &'a [u8]) -> Result<Self, PacketError> {
        let OpenPrefix { version, client_id } = OpenPrefix::parse(packet)?;
        let mut reader = Reader::new(packet);
        let through_suite = reader.take(THROUGH_SUITE_LEN)?;
        let suite = *through_suite.last().ok_or(PacketError::Length)?;
        let noise_len = usize::from(reader.u16()?);
        if noise_len > NOISE_MAX {
            return Err(PacketError::Length);
        }
        let noise = reader.take(noise_len)?;
        let before_mac1 = taken(packet, &reader)?;
        let mac1 = reader.array()?;
        let through_mac1 = taken(packet, &reader)?;
        let token_len = usize::from(reader.u8()?);
        let token = reader.take(token_len)?;
        let padding = reader.take_rest();
        Ok(Self {
            version,
            client_id,
            suite,
            noise,
            mac1,
            token,
            through_suite,
            before_mac1,
            through_mac1,
            padding,
        })
    }

    /// Whether the padding is what it must be (R-OPEN-1). Its cost is bounded by the datagram.
    pub(crate) fn padding_is_zero(&self) -> bool {
        self.padding.iter().all(|&byte| byte == 0)
    }

    /// How many bytes of padding there are.
    pub(crate) fn padding_len(&self) -> usize {
        self.padding.len()
    }
}

/// The start of `packet` that `reader` has taken.
fn taken<'a>(packet: &'a [u8], reader: &Reader<'_>) -> Result<&'a [u8], PacketError> {
    let count = packet.len().saturating_sub(reader.remaining());
    packet.get(..count).ok_or(PacketError::Length)
}

/// The first 14 bytes of an OPEN, for the prologue of a Noise message that is not written yet.
pub(crate) fn through_suite(version: u32, client_id: u64, suite: u8) -> [u8; THROUGH_SUITE_LEN] {
    let [v0, v1, v2, v3] = version.to_be_bytes();
    let [i0, i1, i2, i3, i4, i5, i6, i7] = client_id.to_be_bytes();
    [FIRST_OPEN, v0, v1, v2, v3, i0, i1, i2, i3, i4, i5, i6, i7, suite]
}

/// Appends a whole OPEN, with `token` or, if that is empty, without one, padded to [`OPEN_LEAST`].
/// `mac1` is handed the bytes that it covers.
///
/// # Errors
/// [`PacketError::Length`] if `noise` is longer than [`NOISE_MAX`] or `token` than its length byte
/// can say; nothing is appended then.
pub(crate) fn write_open(
    out: &mut Vec<u8>,
    version: u32,
    client_id: u64,
    suite: u8,
    noise: &[u8],
    mac1: impl FnOnce(&[u8]) -> [u8; MAC1_LEN],
    token: &[u8],
) -> Result<(), PacketError> {
    if noise.len() > NOISE_MAX {
        return Err(PacketError::Length);
    }
    let noise_len = u16::try_from(noise.len()).map_err(|_| PacketError::Length)?;
    let token_len = u8::try_from(token.len()).map_err(|_| PacketError::Length)?;
    let start = out.len();
    Writer::new(out).bytes(&through_suite(version, client_id, suite)).u16(noise_len).bytes(noise);
    let mac = mac1(out.get(start..).unwrap_or_default());
    Writer::new(out).bytes(&mac).u8(token_len).bytes(token);
    let written = out.len().saturating_sub(start);
    Writer::new(out).zeros(OPEN_LEAST.saturating_sub(written));
    Ok(())
}
