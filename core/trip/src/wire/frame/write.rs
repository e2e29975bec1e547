//! Writing whole frames into a packet.
//!
//! In goes a [`Frame`], out come its bytes behind those already there. [`Frame::wire_len`] tells a
//! packet builder beforehand whether it fits. ACK, SKIP and STREAM are better built in place by
//! `write_ack`, `write_skip` and `write_stream_header`; here they are only written as they were
//! read.

use alloc::vec::Vec;

use tripline_sansio::codec::{Writer, varint_len};

use super::super::text::{text_len, write_text};
use super::read::{PING_FILL, PING_PROBE, blocked};
use super::{BlockedBy, Direction, Frame, stream_header_len, write_stream_header};

impl Frame<'_> {
    /// How many bytes [`Self::write`] appends.
    pub(crate) fn wire_len(&self) -> usize {
        let kind = self.frame_type();
        match *self {
            Self::Padding { count } => count,
            Self::Ping { .. } => 10,
            Self::Pong { .. } => 9,
            Self::Stats { sent, received, rtt_us } => lens(&[kind, sent, received, rtt_us]),
            Self::Ack(ack) => ack.wire_len(),
            Self::Skip(skip) => skip.wire_len(),
            Self::Stream(stream) => {
                let length = stream.payload.len();
                stream_header_len(stream.id, stream.offset, Some(length)).saturating_add(length)
            }
            Self::CloseStream { id, code, final_offset } => {
                lens(&[kind, id.number(), code.number(), final_offset])
            }
            Self::Stop { id, code } => lens(&[kind, id.number(), code.number()]),
            Self::Credit { limit } | Self::Streams { limit, .. } => lens(&[kind, limit]),
            Self::StreamCredit { id, limit } => lens(&[kind, id.number(), limit]),
            Self::Blocked { by: BlockedBy::Stream(id), limit } => {
                lens(&[kind, id.number(), limit]).saturating_add(1)
            }
            Self::Blocked { limit, .. } => lens(&[kind, limit]).saturating_add(1),
            Self::Renew(renew) => renew.wire_len(),
            Self::Notify { code, deadline_ms, reason } => {
                lens(&[kind, code.number(), deadline_ms]).saturating_add(text_len(reason))
            }
            Self::Disconnect { code, frame_type, reason } => {
                lens(&[kind, code.number(), frame_type]).saturating_add(text_len(reason))
            }
            Self::Forward(body) => lens(&[kind]).saturating_add(body.bytes().len()),
        }
    }

    /// Appends the frame: STREAM with its length, reason texts clipped to 255 bytes.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        if let Self::Stream(stream) = self {
            write_stream_header(out, stream.header(), Some(stream.payload.len()));
            out.extend_from_slice(stream.payload);
            return;
        }
        let out = &mut Writer::new(out);
        match *self {
            Self::Padding { count } => {
                out.zeros(count);
            }
            Self::Ack(ack) => ack.write(out),
            Self::Skip(skip) => skip.write(out),
            _ => {
                out.varint(self.frame_type());
                self.write_fields(out);
            }
        }
    }

    /// Appends what follows the type, for the frames that [`Self::write`] does not write itself.
    fn write_fields(&self, out: &mut Writer<'_>) {
        match *self {
            Self::Ping { token, probe, fill } => {
                let probe = if probe { PING_PROBE } else { 0 };
                let fill = if fill { PING_FILL } else { 0 };
                out.u64(token).u8(probe | fill);
            }
            Self::Pong { token } => {
                out.u64(token);
            }
            Self::Stats { sent, received, rtt_us } => {
                out.varint(sent).varint(received).varint(rtt_us);
            }
            Self::CloseStream { id, code, final_offset } => {
                out.varint(id.number()).varint(code.number()).varint(final_offset);
            }
            Self::Stop { id, code } => {
                out.varint(id.number()).varint(code.number());
            }
            Self::Credit { limit } | Self::Streams { limit, .. } => {
                out.varint(limit);
            }
            Self::StreamCredit { id, limit } => {
                out.varint(id.number()).varint(limit);
            }
            Self::Blocked { by, limit } => {
                match by {
                    BlockedBy::Connection => out.u8(blocked::CONNECTION),
                    BlockedBy::Stream(id) => out.u8(blocked::STREAM).varint(id.number()),
                    BlockedBy::Streams(Direction::TwoWay) => out.u8(blocked::TWO_WAY),
                    BlockedBy::Streams(Direction::OneWay) => out.u8(blocked::ONE_WAY),
                };
                out.varint(limit);
            }
            Self::Renew(renew) => renew.write_fields(out),
            Self::Notify { code, deadline_ms, reason } => {
                out.varint(code.number()).varint(deadline_ms);
                write_text(out, reason);
            }
            Self::Disconnect { code, frame_type, reason } => {
                out.varint(code.number()).varint(frame_type);
                write_text(out, reason);
            }
            Self::Forward(body) => {
                out.bytes(body.bytes());
            }
            Self::Padding { .. } | Self::Ack(_) | Self::Skip(_) | Self::Stream(_) => {}
        }
    }
}

/// How many bytes these fields take as variable-length integers.
fn lens(fields: &[u64]) -> usize {
    fields.iter().fold(0, |sum: usize, field| sum.saturating_add(varint_len(*field)))
}

/// Appends `count` bytes of PADDING.
pub(crate) fn write_padding(out: &mut Vec<u8>, count: usize) {
    Writer::new(out).zeros(count);
}
