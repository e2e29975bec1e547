//! What answers an OPEN, and what answers that: CHALLENGE, CONFIRM and VERSION (PROTOCOL.md §2.3,
//! §2.4).
//!
//! In goes a datagram, out come its fields. What lies outside the Noise message decides nothing,
//! and VERSION is a hint that nobody acts on at once: that is for the handshake to obey.

use alloc::vec::Vec;

use tripline_sansio::codec::{Reader, Writer};

use super::{FIRST_CHALLENGE, FIRST_CONFIRM, FIRST_VERSION, NOISE_MAX, PacketError};

/// CHALLENGE, the second handshake message: `0x02 · client's ID (8) · noise message 2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Challenge<'a> {
    /// The ID of the OPEN that it answers.
    pub(crate) client_id: u64,
    /// Noise message 2, at most [`NOISE_MAX`] bytes.
    pub(crate) noise: &'a [u8],
}

impl<'a> Challenge<'a> {
    /// Reads a CHALLENGE.
    ///
    /// # Errors
    /// [`PacketError::Kind`] if it is another packet, [`PacketError::Length`] if it is too short or
    /// its Noise message too long.
    pub(crate) fn parse(packet: &'a [u8]) -> Result<Self, PacketError> {
        let (client_id, noise) = parse_id_and_noise(packet, FIRST_CHALLENGE)?;
        Ok(Self { client_id, noise })
    }

    /// Appends the packet.
    ///
    /// # Errors
    /// [`PacketError::Length`] if the Noise message is too long or empty; nothing is appended then.
    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Result<(), PacketError> {
        write_id_and_noise(out, FIRST_CHALLENGE, self.client_id, self.noise)
    }
}

/// CONFIRM, the third handshake message: `0x04 · server's ID (8) · noise message 3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Confirm<'a> {
    /// The ID that the server gave in CHALLENGE.
    pub(crate) server_id: u64,
    /// Noise message 3, at most [`NOISE_MAX`] bytes.
    pub(crate) noise: &'a [u8],
}

impl<'a> Confirm<'a> {
    /// Reads a CONFIRM.
    ///
    /// # Errors
    /// As [`Challenge::parse`].
    pub(crate) fn parse(packet: &'a [u8]) -> Result<Self, PacketError> {
        let (server_id, noise) = parse_id_and_noise(packet, FIRST_CONFIRM)?;
        Ok(Self { server_id, noise })
    }

    /// Appends the packet.
    ///
    /// # Errors
    /// As [`Challenge::write`].
    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Result<(), PacketError> {
        write_id_and_noise(out, FIRST_CONFIRM, self.server_id, self.noise)
    }
}

/// Reads `first · ID (8) · noise message`.
fn parse_id_and_noise(packet: &[u8], first: u8) -> Result<(u64, &[u8]), PacketError> {
    let mut reader = Reader::new(packet);
    if reader.u8()? != first {
        return Err(PacketError::Kind);
    }
    let id = reader.u64()?;
    let noise = reader.take_rest();
    check_noise(noise)?;
    Ok((id, noise))
}

/// Appends `first · ID (8) · noise message`.
fn write_id_and_noise(
    out: &mut Vec<u8>,
    first: u8,
    id: u64,
    noise: &[u8],
) -> Result<(), PacketError> {
    check_noise(noise)?;
    Writer::new(out).u8(first).u64(id).bytes(noise);
    Ok(())
}

/// Whether a Noise message that fills the rest of its packet may have this length.
fn check_noise(noise: &[u8]) -> Result<(), PacketError> {
    if noise.is_empty() || noise.len() > NOISE_MAX { Err(PacketError::Length) } else { Ok(()) }
}

/// Why a server did not answer an OPEN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum VersionReason {
    /// 1: it does not speak the version.
    Version,
    /// 2: it does not take the suite.
    Suite,
    /// 3: mac1 was made with the key of another server.
    Key,
}

/// VERSION: `0x05 · client's ID (8) · reason (1) · count (1) · versions (4 each)`, the same in all
/// versions of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct VersionHint<'a> {
    /// The ID of the OPEN that it answers.
    pub(crate) client_id: u64,
    /// What was wrong with that OPEN.
    pub(crate) reason: VersionReason,
    /// Four bytes for each version; at most 255 of them.
    versions: &'a [u8],
}

impl<'a> VersionHint<'a> {
    /// Reads a VERSION.
    ///
    /// # Errors
    /// [`PacketError::Kind`] if it is another packet, [`PacketError::Value`] if the reason is
    /// unknown, [`PacketError::Length`] if it is not exactly as long as its count says.
    pub(crate) fn parse(packet: &'a [u8]) -> Result<Self, PacketError> {
        let mut reader = Reader::new(packet);
        if reader.u8()? != FIRST_VERSION {
            return Err(PacketError::Kind);
        }
        let client_id = reader.u64()?;
        let reason = reader.u8()?;
        let count = usize::from(reader.u8()?);
        let versions = reader.take_rest();
        if versions.len() != count.saturating_mul(4) {
            return Err(PacketError::Length);
        }
        let reason = match reason {
            1 => VersionReason::Version,
            2 => VersionReason::Suite,
            3 => VersionReason::Key,
            _ => return Err(PacketError::Value),
        };
        Ok(Self { client_id, reason, versions })
    }

    /// The versions that the server speaks, in its order; at most 255.
    pub(crate) fn versions(&self) -> impl Iterator<Item = u32> + Clone + 'a {
        self.versions.as_chunks::<4>().0.iter().map(|bytes| u32::from_be_bytes(*bytes))
    }
}

/// Appends a VERSION. Of more than 255 versions the first 255 are named.
pub(crate) fn write_version(
    out: &mut Vec<u8>,
    client_id: u64,
    reason: VersionReason,
    versions: &[u32],
) {
    let reason = match reason {
        VersionReason::Version => 1,
        VersionReason::Suite => 2,
        VersionReason::Key => 3,
    };
    let count = u8::try_from(versions.len()).unwrap_or(u8::MAX);
    let mut out = Writer::new(out);
    out.u8(FIRST_VERSION).u64(client_id).u8(reason).u8(count);
    for version in versions.iter().take(usize::from(count)) {
        out.u32(*version);
    }
}
