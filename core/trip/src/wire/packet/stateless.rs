//! What a server or an endpoint says without keeping anything for it: RETRY and RESET (PROTOCOL.md
//! §2.4), and the OPEN that answers a RETRY.
//!
//! In goes a datagram, out come its fields. Who may believe them is not decided here: RETRY counts
//! if its mac verifies, RESET if its token is the expected one.

use alloc::vec::Vec;

use tripline_sansio::codec::{Reader, Writer};

use super::open::{MAC1_LEN, OPEN_LEAST, Open};
use super::{FIRST_RESET, FIRST_RETRY, PacketError};

/// The longest token that RETRY may bring, in bytes.
pub(crate) const RETRY_TOKEN_MAX: usize = 32;
/// The bytes of a reset token.
pub(crate) const RESET_TOKEN_LEN: usize = 16;
/// The bytes of a RESET: fewer than any DATA has, so that it is smaller than its cause (R-RESET-1).
pub(crate) const RESET_LEN: usize = 1 + RESET_TOKEN_LEN;

/// RETRY, "prove your address first": `0x03 · client's ID (8) · token length (1) · token · mac
/// (16)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retry<'a> {
    /// The ID of the OPEN that it answers.
    pub(crate) client_id: u64,
    /// What OPEN shall repeat, 1 to [`RETRY_TOKEN_MAX`] bytes.
    pub(crate) token: &'a [u8],
    /// All bytes before the mac, which covers them and the mac1 of the OPEN.
    pub(crate) before_mac: &'a [u8],
    /// Proves that who answers has seen the OPEN and knows the server's key.
    pub(crate) mac: [u8; MAC1_LEN],
}

impl<'a> Retry<'a> {
    /// Reads a RETRY.
    ///
    /// # Errors
    /// [`PacketError::Kind`] if it is another packet, [`PacketError::Length`] if its token is empty
    /// or too long, or the packet is not exactly as long as its fields.
    pub(crate) fn parse(packet: &'a [u8]) -> Result<Self, PacketError> {
        let mut reader = Reader::new(packet);
        if reader.u8()? != FIRST_RETRY {
            return Err(PacketError::Kind);
        }
        let client_id = reader.u64()?;
        let token_len = usize::from(reader.u8()?);
        let token = reader.take(token_len)?;
        let covered = packet.len().saturating_sub(reader.remaining());
        let before_mac = packet.get(..covered).ok_or(PacketError::Length)?;
        let mac = reader.array()?;
        if token.is_empty() || token.len() > RETRY_TOKEN_MAX || !reader.is_empty() {
            return Err(PacketError::Length);
        }
        Ok(Self { client_id, token, before_mac, mac })
    }
}

/// Appends a RETRY. `mac` is handed the bytes that it covers, but for the mac1 of the OPEN.
///
/// # Errors
/// [`PacketError::Length`] if `token` is empty or longer than [`RETRY_TOKEN_MAX`]; nothing is
/// appended then.
pub(crate) fn write_retry(
    out: &mut Vec<u8>,
    client_id: u64,
    token: &[u8],
    mac: impl FnOnce(&[u8]) -> [u8; MAC1_LEN],
) -> Result<(), PacketError> {
    let len = u8::try_from(token.len()).map_err(|_| PacketError::Length)?;
    if token.is_empty() || token.len() > RETRY_TOKEN_MAX {
        return Err(PacketError::Length);
    }
    let start = out.len();
    Writer::new(out).u8(FIRST_RETRY).u64(client_id).u8(len).bytes(token);
    let mac = mac(out.get(start..).unwrap_or_default());
    Writer::new(out).bytes(&mac);
    Ok(())
}

/// The same OPEN with another token: all bytes up to and with mac1 stay (R-OPEN-2).
///
/// # Errors
/// As [`Open::parse`], or [`PacketError::Length`] if the token is longer than its length byte can
/// say.
pub(crate) fn with_token(open: &[u8], token: &[u8]) -> Result<Vec<u8>, PacketError> {
    let through_mac1 = Open::parse(open)?.through_mac1;
    let len = u8::try_from(token.len()).map_err(|_| PacketError::Length)?;
    let mut packet = Vec::new();
    Writer::new(&mut packet).bytes(through_mac1).u8(len).bytes(token);
    let written = packet.len();
    Writer::new(&mut packet).zeros(OPEN_LEAST.saturating_sub(written));
    Ok(packet)
}

/// Reads a RESET, "I no longer know this connection": `0x06 · token (16)`.
///
/// # Errors
/// [`PacketError::Kind`] if it is another packet, [`PacketError::Length`] if it is not
/// [`RESET_LEN`] bytes long.
pub(crate) fn parse_reset(packet: &[u8]) -> Result<[u8; RESET_TOKEN_LEN], PacketError> {
    let mut reader = Reader::new(packet);
    if reader.u8()? != FIRST_RESET {
        return Err(PacketError::Kind);
    }
    let token = reader.array()?;
    if reader.is_empty() { Ok(token) } else { Err(PacketError::Length) }
}

/// Appends a RESET.
pub(crate) fn write_reset(out: &mut Vec<u8>, token: &[u8; RESET_TOKEN_LEN]) {
    Writer::new(out).u8(FIRST_RESET).bytes(token);
}

#[cfg(test)]
mod tests {
    use super::super::write_open;
    use super::*;
    use crate::wire::testing::hex;

    /// T52, R-RETRY-1: the golden RETRY, and what is none.
    #[test]
    fn t52_golden_retry() {
        let golden = hex("03 0102030405060708 03 746f6b aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
        let mut bytes = Vec::new();
        let mac = |covered: &[u8]| {
            assert_eq!(covered, &golden[..13]);
            [0xaa; 16]
        };
        write_retry(&mut bytes, 0x0102_0304_0506_0708, b"tok", mac).unwrap();
        assert_eq!(bytes, golden);
        let retry = Retry::parse(&bytes).unwrap();
        assert_eq!((retry.client_id, retry.token), (0x0102_0304_0506_0708, &b"tok"[..]));
        assert_eq!((retry.before_mac, retry.mac), (&golden[..13], [0xaa; 16]));
        for len in 0..bytes.len() {
            assert_eq!(Retry::parse(&bytes[..len]), Err(PacketError::Length), "{len} bytes");
        }
        bytes.push(0);
        assert_eq!(Retry::parse(&bytes), Err(PacketError::Length));
        assert_eq!(Retry::parse(&[FIRST_RESET; 29]), Err(PacketError::Kind));
        for (len, good) in [(0, false), (1, true), (32, true), (33, false), (256, false)] {
            let mut out = Vec::new();
            let token = alloc::vec![7; len];
            assert_eq!(write_retry(&mut out, 1, &token, |_| [0; 16]).is_ok(), good, "{len} bytes");
            assert_eq!(Retry::parse(&out).is_ok(), good, "{len} bytes");
        }
    }

    /// R-OPEN-2: with a token or without, an OPEN is the same up to and with mac1.
    #[test]
    fn r_open_2_a_token_changes_nothing_before_it() {
        let mut open = Vec::new();
        write_open(&mut open, 1, 7, 2, &[5; 80], |_| [9; 16], &[]).unwrap();
        let with = with_token(&open, &[3; 32]).unwrap();
        let mut whole = Vec::new();
        write_open(&mut whole, 1, 7, 2, &[5; 80], |_| [9; 16], &[3; 32]).unwrap();
        assert_eq!(with, whole);
        assert_eq!(with.len(), open.len());
        let [old, new] = [&open, &with].map(|packet| Open::parse(packet).unwrap());
        assert_eq!(old.through_mac1, new.through_mac1);
        assert_eq!((old.token, new.token), (&[][..], &[3; 32][..]));
        assert!(new.padding_is_zero());
        assert_eq!(with_token(&with, &[]).unwrap(), open, "and back");
        assert!(with_token(&open, &[0; 256]).is_err() && with_token(&open[..9], &[]).is_err());
    }

    /// T52, R-RESET-1: the golden RESET, which is shorter than any DATA.
    #[test]
    fn t52_golden_reset() {
        let golden = hex("06 5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a");
        let mut bytes = Vec::new();
        write_reset(&mut bytes, &[0x5a; 16]);
        assert_eq!((bytes.len(), &bytes), (RESET_LEN, &golden));
        assert_eq!(parse_reset(&bytes), Ok([0x5a; 16]));
        for len in 0..bytes.len() {
            assert_eq!(parse_reset(&bytes[..len]), Err(PacketError::Length), "{len} bytes");
        }
        bytes.push(0);
        assert_eq!(parse_reset(&bytes), Err(PacketError::Length));
        assert_eq!(parse_reset(&[FIRST_RETRY; 17]), Err(PacketError::Kind));
        let shortest = super::super::data::DATA_HEADER_SHORT + super::super::TAG_LEN;
        assert!(RESET_LEN < shortest, "smaller than its cause");
    }
}
