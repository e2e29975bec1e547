//! The frames: what the plaintext of DATA holds (PROTOCOL.md §3).
//!
//! In goes an opened packet, out come its frames, one after the other, borrowed and checked
//! ([`Frames`]); the other way round, frames are appended to a packet being built. A frame's fields
//! are in range by themselves; whether it fits the state of its stream or connection is not known
//! here. Reading allocates nothing.

mod ack;
mod read;
mod renew;
mod skip;
mod stream;
#[cfg(test)]
mod tests;
mod write;

use core::fmt;

pub(crate) use ack::{AckFrame, EcnCounts, write_ack};
pub(crate) use read::Frames;
pub(crate) use renew::{RESET_TOKEN_LEN, RenewFrame};
pub(crate) use skip::{SkipFrame, write_skip};
pub(crate) use stream::{StreamFrame, StreamHeader, stream_header_len, write_stream_header};
pub(crate) use write::write_padding;

use super::{Code, Direction, ReferralBody, StreamId};

/// The types of frames on the wire (§3).
pub(crate) mod frame_type {
    /// See [`super::Frame::Padding`].
    pub(crate) const PADDING: u64 = 0x00;
    /// See [`super::Frame::Ping`].
    pub(crate) const PING: u64 = 0x01;
    /// See [`super::Frame::Pong`].
    pub(crate) const PONG: u64 = 0x02;
    /// See [`super::Frame::Ack`].
    pub(crate) const ACK: u64 = 0x03;
    /// An ACK with counts of ECN marks.
    pub(crate) const ACK_ECN: u64 = 0x04;
    /// See [`super::Frame::Stats`].
    pub(crate) const STATS: u64 = 0x05;
    /// See [`super::Frame::Stream`]: the first of 16 types, the rest has the `STREAM_` bits.
    pub(crate) const STREAM: u64 = 0x10;
    /// The last of the types of STREAM.
    pub(crate) const STREAM_LAST: u64 = 0x1f;
    /// Bit of STREAM: a length stands before the payload.
    pub(crate) const STREAM_LENGTH: u64 = 1;
    /// Bit of STREAM: the frame is *aligned* (R-MSG-2).
    pub(crate) const STREAM_ALIGNED: u64 = 2;
    /// Bit of STREAM: the stream's direction ends with this frame.
    pub(crate) const STREAM_FIN: u64 = 4;
    /// Bit of STREAM: an offset is given, else it is 0.
    pub(crate) const STREAM_OFFSET: u64 = 8;
    /// See [`super::Frame::Skip`].
    pub(crate) const SKIP: u64 = 0x20;
    /// See [`super::Frame::CloseStream`].
    pub(crate) const CLOSE_STREAM: u64 = 0x21;
    /// See [`super::Frame::Stop`].
    pub(crate) const STOP: u64 = 0x22;
    /// See [`super::Frame::Credit`].
    pub(crate) const CREDIT: u64 = 0x30;
    /// See [`super::Frame::StreamCredit`].
    pub(crate) const STREAM_CREDIT: u64 = 0x31;
    /// See [`super::Frame::Streams`], two-way.
    pub(crate) const STREAMS_TWO_WAY: u64 = 0x32;
    /// See [`super::Frame::Streams`], one-way.
    pub(crate) const STREAMS_ONE_WAY: u64 = 0x33;
    /// See [`super::Frame::Blocked`].
    pub(crate) const BLOCKED: u64 = 0x34;
    /// See [`super::Frame::Renew`].
    pub(crate) const RENEW: u64 = 0x40;
    /// A RENEW whose sender holds the receiver's half already.
    pub(crate) const RENEW_CONFIRM: u64 = 0x41;
    /// See [`super::Frame::Notify`].
    pub(crate) const NOTIFY: u64 = 0x50;
    /// See [`super::Frame::Disconnect`].
    pub(crate) const DISCONNECT: u64 = 0x51;
    /// See [`super::Frame::Forward`].
    pub(crate) const FORWARD: u64 = 0x52;
}

/// One frame.
///
/// Equality compares contents, not encodings: a STREAM frame with its length left out equals the
/// same one with a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// Zero bytes without meaning, a whole run of them.
    Padding {
        /// How many bytes (frames of one byte each); at least 1.
        count: usize,
    },
    /// A question that must be answered at once, where it came from.
    Ping {
        /// To be repeated in the answer.
        token: u64,
        /// This packet is not a move to its address (R-PATH-1).
        probe: bool,
        /// The answer shall be 1,200 bytes long.
        fill: bool,
    },
    /// The answer to a PING.
    Pong {
        /// The PING's.
        token: u64,
    },
    /// Which packets were received.
    Ack(AckFrame<'a>),
    /// What the sender has counted; rides with PINGs and their PONGs.
    Stats {
        /// DATA packets that it has sent, this one included.
        sent: u64,
        /// DATA packets that it has received.
        received: u64,
        /// Its smoothed round-trip time in microseconds.
        rtt_us: u64,
    },
    /// Bytes of a stream.
    Stream(StreamFrame<'a>),
    /// Messages of a stream that the sender gave up.
    Skip(SkipFrame<'a>),
    /// The sending half of a stream ends here, short of what was promised.
    CloseStream {
        /// Which stream.
        id: StreamId,
        /// Why.
        code: Code,
        /// The end of the stream's offsets, below 2^60.
        final_offset: u64,
    },
    /// The receiver of a stream wants no more of it.
    Stop {
        /// Which stream.
        id: StreamId,
        /// Why.
        code: Code,
    },
    /// How many bytes of offsets the peer may send over all streams.
    Credit {
        /// Absolute, in bytes, below 2^60.
        limit: u64,
    },
    /// How many bytes of offsets the peer may send on one stream.
    StreamCredit {
        /// Which stream.
        id: StreamId,
        /// Absolute, in bytes, below 2^60.
        limit: u64,
    },
    /// Which streams the peer may open.
    Streams {
        /// Of which kind.
        direction: Direction,
        /// The first index that it may not open, below 2^58.
        limit: u64,
    },
    /// The sender would send more if a limit let it.
    Blocked {
        /// Which limit.
        by: BlockedBy,
        /// The limit's value, in bytes or as an index, in range as in its grant.
        limit: u64,
    },
    /// One side's half of the next zone (R-ZONE).
    Renew(RenewFrame),
    /// "I am leaving: open nothing new."
    Notify {
        /// Why.
        code: Code,
        /// In how many milliseconds at the latest; 0: nothing left to send.
        deadline_ms: u64,
        /// Why, in words.
        reason: &'a str,
    },
    /// The connection ends now.
    Disconnect {
        /// Why.
        code: Code,
        /// The type of the frame at fault, 0 if there is none.
        frame_type: u64,
        /// Why, in words.
        reason: &'a str,
    },
    /// "Please open there"; streams do not move along.
    Forward(ReferralBody<'a>),
}

/// Which limit a sender waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlockedBy {
    /// 0: the connection's credit.
    Connection,
    /// 1: the credit of a stream.
    Stream(StreamId),
    /// 2, 3: the limit on the indexes of two-way or one-way streams.
    Streams(Direction),
}

impl Frame<'_> {
    /// The frame's type on the wire; for STREAM with those bits that its contents ask for, length
    /// included.
    pub(crate) fn frame_type(&self) -> u64 {
        match self {
            Self::Padding { .. } => frame_type::PADDING,
            Self::Ping { .. } => frame_type::PING,
            Self::Pong { .. } => frame_type::PONG,
            Self::Stats { .. } => frame_type::STATS,
            Self::Ack(ack) => ack.frame_type(),
            Self::Stream(stream) => stream.header().frame_type(true),
            Self::Skip(_) => frame_type::SKIP,
            Self::CloseStream { .. } => frame_type::CLOSE_STREAM,
            Self::Stop { .. } => frame_type::STOP,
            Self::Credit { .. } => frame_type::CREDIT,
            Self::StreamCredit { .. } => frame_type::STREAM_CREDIT,
            Self::Streams { direction: Direction::TwoWay, .. } => frame_type::STREAMS_TWO_WAY,
            Self::Streams { direction: Direction::OneWay, .. } => frame_type::STREAMS_ONE_WAY,
            Self::Blocked { .. } => frame_type::BLOCKED,
            Self::Renew(renew) => renew.frame_type(),
            Self::Notify { .. } => frame_type::NOTIFY,
            Self::Disconnect { .. } => frame_type::DISCONNECT,
            Self::Forward(_) => frame_type::FORWARD,
        }
    }

    /// Whether a packet with this frame asks for an acknowledgement (§3: all but ACK, PADDING and
    /// DISCONNECT do).
    pub(crate) const fn is_ack_eliciting(&self) -> bool {
        !matches!(self, Self::Padding { .. } | Self::Ack(_) | Self::Disconnect { .. })
    }
}

/// A frame that breaks a rule: the connection closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameError {
    /// The code to close with: [`Code::PROTOCOL`] but for numbers out of range (R-FRAME-3).
    pub(crate) code: Code,
    /// The type of the frame at fault; 0 if it could not be read.
    pub(crate) frame_type: u64,
    /// Which rule, in a few words, short enough for a reason text.
    pub(crate) why: &'static str,
}

impl FrameError {
    /// A broken rule of the protocol (2).
    const fn protocol(frame_type: u64, why: &'static str) -> Self {
        Self { code: Code::PROTOCOL, frame_type, why }
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in a frame of type {:#04x}: {}", self.code, self.frame_type, self.why)
    }
}

impl core::error::Error for FrameError {}
