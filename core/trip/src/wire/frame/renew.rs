//! RENEW and RENEW_CONFIRM: one side's half of the next zone (PROTOCOL.md §3 and §5.3).
//!
//! In go the fields of the frame, out comes the half, or its bytes. Whether the key is one that
//! X25519 may be used with, and whether the half fits the state of its connection, is not known
//! here.

use tripline_sansio::codec::{Writer, varint_len};

use super::read::Fields;
use super::{FrameError, frame_type};

/// Bytes of a reset token.
pub(crate) const RESET_TOKEN_LEN: usize = 16;

/// The fields of fixed size: ID, reset token, ephemeral key.
const FIXED_LEN: usize = 8 + RESET_TOKEN_LEN + 32;

/// One side's half of a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RenewFrame {
    /// Its sender holds the receiver's half already: RENEW_CONFIRM.
    pub(crate) confirm: bool,
    /// The number of the zone that begins with it.
    pub(crate) zone: u64,
    /// The ID to which the receiver shall send in that zone.
    pub(crate) id: u64,
    /// The reset token that goes with the ID; zeros: none.
    pub(crate) reset_token: [u8; RESET_TOKEN_LEN],
    /// The sender's ephemeral public key, as it came.
    pub(crate) key: [u8; 32],
}

impl RenewFrame {
    /// The frame's type on the wire.
    pub(super) const fn frame_type(&self) -> u64 {
        if self.confirm { frame_type::RENEW_CONFIRM } else { frame_type::RENEW }
    }

    /// Reads what follows the type.
    pub(super) fn read(fields: &mut Fields<'_>) -> Result<Self, FrameError> {
        Ok(Self {
            confirm: fields.frame_type == frame_type::RENEW_CONFIRM,
            zone: fields.varint()?,
            id: fields.u64()?,
            reset_token: fields.array()?,
            key: fields.array()?,
        })
    }

    /// How many bytes the whole frame takes.
    pub(super) fn wire_len(&self) -> usize {
        varint_len(self.frame_type())
            .saturating_add(varint_len(self.zone))
            .saturating_add(FIXED_LEN)
    }

    /// Appends what follows the type.
    pub(super) fn write_fields(&self, out: &mut Writer<'_>) {
        out.varint(self.zone).u64(self.id).bytes(&self.reset_token).bytes(&self.key);
    }
}
