//! STREAM: bytes of a stream (PROTOCOL.md §3, §4).
//!
//! `id · [offset, else 0] · [length, else to the packet's end] · payload`, with four bits in the
//! type.
//!
//! The payload is borrowed where it is read. For writing only the header is built here, because the
//! payload may come in pieces.

use alloc::vec::Vec;

use tripline_sansio::codec::{Writer, varint_len};

use super::super::Order;
use super::read::Fields;
use super::{FrameError, StreamId, frame_type};

/// A checked STREAM frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamFrame<'a> {
    /// Which stream.
    pub(crate) id: StreamId,
    /// Where in the stream the payload begins; its end lies below 2^60.
    pub(crate) offset: u64,
    /// The bytes; may be empty.
    pub(crate) payload: &'a [u8],
    /// Starts with a message's first byte and holds whole messages, of which the last may be cut
    /// off (R-MSG-2). Never on a stream of order *bytes*.
    pub(crate) aligned: bool,
    /// The stream's direction ends where the payload does.
    pub(crate) fin: bool,
}

impl<'a> StreamFrame<'a> {
    /// Reads what follows the type.
    pub(super) fn read(fields: &mut Fields<'a>) -> Result<Self, FrameError> {
        let bits = fields.frame_type;
        let aligned = bits & frame_type::STREAM_ALIGNED != 0;
        let id = fields.stream_id()?;
        if aligned && id.order() == Order::Bytes {
            return Err(fields.broken("aligned on a bytes stream"));
        }
        let offset =
            if bits & frame_type::STREAM_OFFSET == 0 { 0 } else { fields.below_offset_limit()? };
        let payload = if bits & frame_type::STREAM_LENGTH == 0 {
            fields.reader.take_rest()
        } else {
            fields.varint_bytes()?
        };
        fields.end(offset, wide(payload.len()))?;
        Ok(Self { id, offset, payload, aligned, fin: bits & frame_type::STREAM_FIN != 0 })
    }

    /// All but the payload.
    pub(crate) const fn header(&self) -> StreamHeader {
        StreamHeader { id: self.id, offset: self.offset, aligned: self.aligned, fin: self.fin }
    }
}

/// What stands before the payload of a STREAM frame, but for its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamHeader {
    /// Which stream.
    pub(crate) id: StreamId,
    /// Where in the stream the payload begins.
    pub(crate) offset: u64,
    /// See [`StreamFrame::aligned`].
    pub(crate) aligned: bool,
    /// See [`StreamFrame::fin`].
    pub(crate) fin: bool,
}

impl StreamHeader {
    /// The type with its bits. An offset of 0 is left out.
    pub(super) const fn frame_type(self, length: bool) -> u64 {
        let mut bits = frame_type::STREAM;
        if length {
            bits |= frame_type::STREAM_LENGTH;
        }
        if self.aligned {
            bits |= frame_type::STREAM_ALIGNED;
        }
        if self.fin {
            bits |= frame_type::STREAM_FIN;
        }
        if self.offset != 0 {
            bits |= frame_type::STREAM_OFFSET;
        }
        bits
    }
}

/// A length as the number on the wire.
fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// How many bytes [`write_stream_header`] appends.
pub(crate) fn stream_header_len(id: StreamId, offset: u64, length: Option<usize>) -> usize {
    let offset_len = if offset == 0 { 0 } else { varint_len(offset) };
    let length_len = length.map_or(0, |length| varint_len(wide(length)));
    varint_len(frame_type::STREAM)
        .saturating_add(varint_len(id.number()))
        .saturating_add(offset_len)
        .saturating_add(length_len)
}

/// Appends the header of a STREAM frame. `length` is that of the payload, which the caller appends;
/// `None` if the payload reaches to the end of the packet.
pub(crate) fn write_stream_header(out: &mut Vec<u8>, header: StreamHeader, length: Option<usize>) {
    let mut out = Writer::new(out);
    out.varint(header.frame_type(length.is_some())).varint(header.id.number());
    if header.offset != 0 {
        out.varint(header.offset);
    }
    if let Some(length) = length {
        out.varint(wide(length));
    }
}
