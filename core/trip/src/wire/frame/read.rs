//! Reading frames off the plaintext of a packet.
//!
//! In goes the plaintext, out comes one frame at a time. Total: every input gives frames or one
//! error, and the work is linear in the input. To check a whole packet before any effect, run a
//! clone of [`Frames`] to its end first: a clone copies no bytes.

use tripline_sansio::codec::{ReadError, Reader};

use super::super::parameters::OFFSET_LIMIT;
use super::super::referral::{ReferralBody, ReferralError};
use super::super::text::{TextError, read_text};
use super::{
    AckFrame, BlockedBy, Code, Direction, Frame, FrameError, RenewFrame, SkipFrame, StreamFrame,
    StreamId, frame_type,
};

/// What the flags of PING mean; the other bits are reserved.
pub(super) const PING_PROBE: u8 = 1;
/// See [`PING_PROBE`].
pub(super) const PING_FILL: u8 = 2;

/// The values of BLOCKED's first field.
pub(super) mod blocked {
    pub(in super::super) const CONNECTION: u8 = 0;
    pub(in super::super) const STREAM: u8 = 1;
    pub(in super::super) const TWO_WAY: u8 = 2;
    pub(in super::super) const ONE_WAY: u8 = 3;
}

/// The frames of one packet, in order.
#[derive(Clone, Debug)]
pub(crate) struct Frames<'a> {
    reader: Reader<'a>,
    /// Whether the packet has a frame at all (R-DATA-4).
    any: bool,
}

impl<'a> Frames<'a> {
    /// The frames of `plaintext`, what DATA sealed.
    pub(crate) fn new(plaintext: &'a [u8]) -> Self {
        Self { reader: Reader::new(plaintext), any: false }
    }

    /// The next frame; `None` at the end. An error stays: to ask again gives the same one.
    ///
    /// # Errors
    /// A frame of unknown type, one that runs past the packet, or one that breaks a rule of its own
    /// (R-FRAME-1, R-FRAME-2, R-FRAME-3); a packet without frames (R-DATA-4).
    pub(crate) fn next(&mut self) -> Result<Option<Frame<'a>>, FrameError> {
        if self.reader.is_empty() {
            return if self.any {
                Ok(None)
            } else {
                Err(FrameError::protocol(0, "a packet without frames"))
            };
        }
        let mut fields = Fields { reader: self.reader.clone(), frame_type: 0 };
        fields.frame_type = fields.varint()?;
        let frame = fields.frame()?;
        self.reader = fields.reader;
        self.any = true;
        Ok(Some(frame))
    }

    /// The frame, if there is just one, and it is STREAM.
    pub(crate) fn stream_alone(self) -> Option<StreamFrame<'a>> {
        let mut fields = Fields { reader: self.reader, frame_type: 0 };
        fields.frame_type = fields.varint().ok()?;
        if !(frame_type::STREAM..=frame_type::STREAM_LAST).contains(&fields.frame_type) {
            return None;
        }
        let stream = StreamFrame::read(&mut fields).ok()?;
        fields.reader.is_empty().then_some(stream)
    }
}

/// Reads the fields of one frame; errors name its type.
pub(super) struct Fields<'a> {
    /// What follows the fields read so far.
    pub(super) reader: Reader<'a>,
    /// The frame's type.
    pub(super) frame_type: u64,
}

impl<'a> Fields<'a> {
    /// The frame whose type was just read (R-FRAME-1).
    fn frame(&mut self) -> Result<Frame<'a>, FrameError> {
        Ok(match self.frame_type {
            frame_type::STREAM..=frame_type::STREAM_LAST => Frame::Stream(StreamFrame::read(self)?),
            frame_type::ACK | frame_type::ACK_ECN => Frame::Ack(AckFrame::read(self)?),
            frame_type::PADDING => self.padding(),
            frame_type::PING => self.ping()?,
            frame_type::PONG => Frame::Pong { token: self.u64()? },
            frame_type::STATS => Frame::Stats {
                sent: self.varint()?,
                received: self.varint()?,
                rtt_us: self.varint()?,
            },
            frame_type::SKIP => Frame::Skip(SkipFrame::read(self)?),
            frame_type::CLOSE_STREAM => Frame::CloseStream {
                id: self.stream_id()?,
                code: self.code()?,
                final_offset: self.below_offset_limit()?,
            },
            frame_type::STOP => Frame::Stop { id: self.stream_id()?, code: self.code()? },
            frame_type::CREDIT => Frame::Credit { limit: self.below_offset_limit()? },
            frame_type::STREAM_CREDIT => {
                Frame::StreamCredit { id: self.stream_id()?, limit: self.below_offset_limit()? }
            }
            frame_type::STREAMS_TWO_WAY => {
                Frame::Streams { direction: Direction::TwoWay, limit: self.below_index_limit()? }
            }
            frame_type::STREAMS_ONE_WAY => {
                Frame::Streams { direction: Direction::OneWay, limit: self.below_index_limit()? }
            }
            frame_type::BLOCKED => self.blocked()?,
            frame_type::RENEW | frame_type::RENEW_CONFIRM => Frame::Renew(RenewFrame::read(self)?),
            frame_type::NOTIFY => Frame::Notify {
                code: self.code()?,
                deadline_ms: self.varint()?,
                reason: self.text()?,
            },
            frame_type::DISCONNECT => Frame::Disconnect {
                code: self.code()?,
                frame_type: self.varint()?,
                reason: self.text()?,
            },
            frame_type::FORWARD => Frame::Forward(self.referral()?),
            _ => return Err(self.broken("unknown frame type")),
        })
    }

    /// A run of PADDING, whose first byte was read as the type.
    fn padding(&mut self) -> Frame<'a> {
        let rest = self.reader.rest();
        let more = rest.iter().position(|&byte| byte != 0).unwrap_or(rest.len());
        // Cannot fail: `more` bytes are there.
        let taken = self.reader.take(more).map_or(0, <[u8]>::len);
        Frame::Padding { count: taken.saturating_add(1) }
    }

    fn ping(&mut self) -> Result<Frame<'a>, FrameError> {
        let (token, flags) = (self.u64()?, self.u8()?);
        if flags & !(PING_PROBE | PING_FILL) != 0 {
            return Err(self.broken("unknown flag"));
        }
        Ok(Frame::Ping { token, probe: flags & PING_PROBE != 0, fill: flags & PING_FILL != 0 })
    }

    fn blocked(&mut self) -> Result<Frame<'a>, FrameError> {
        let by = match self.u8()? {
            blocked::CONNECTION => BlockedBy::Connection,
            blocked::STREAM => BlockedBy::Stream(self.stream_id()?),
            blocked::TWO_WAY => BlockedBy::Streams(Direction::TwoWay),
            blocked::ONE_WAY => BlockedBy::Streams(Direction::OneWay),
            _ => return Err(self.broken("unknown limit")),
        };
        let limit = match by {
            BlockedBy::Connection | BlockedBy::Stream(_) => self.below_offset_limit()?,
            BlockedBy::Streams(_) => self.below_index_limit()?,
        };
        Ok(Frame::Blocked { by, limit })
    }

    /// The error that this frame breaks a rule of the protocol.
    pub(super) fn broken(&self, why: &'static str) -> FrameError {
        FrameError::protocol(self.frame_type, why)
    }

    /// The error for a field that could not be read.
    fn unread(&self, error: ReadError) -> FrameError {
        self.broken(match error {
            ReadError::Short { .. } => "the frame runs past its packet",
            ReadError::NotShortest => "a number is not in its shortest form",
        })
    }

    /// A variable-length integer.
    pub(super) fn varint(&mut self) -> Result<u64, FrameError> {
        self.reader.varint().map_err(|error| self.unread(error))
    }

    /// Bytes behind their count.
    pub(super) fn varint_bytes(&mut self) -> Result<&'a [u8], FrameError> {
        self.reader.varint_bytes().map_err(|error| self.unread(error))
    }

    fn u8(&mut self) -> Result<u8, FrameError> {
        self.reader.u8().map_err(|error| self.unread(error))
    }

    /// Eight bytes, big endian.
    pub(super) fn u64(&mut self) -> Result<u64, FrameError> {
        self.reader.u64().map_err(|error| self.unread(error))
    }

    /// A field of `N` bytes.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], FrameError> {
        self.reader.array().map_err(|error| self.unread(error))
    }

    fn code(&mut self) -> Result<Code, FrameError> {
        Code::new(self.varint()?).ok_or_else(|| self.broken("code out of range"))
    }

    fn text(&mut self) -> Result<&'a str, FrameError> {
        read_text(&mut self.reader).map_err(|error| match error {
            TextError::Read(error) => self.unread(error),
            TextError::TooLong => self.broken("reason text too long"),
            TextError::NotUtf8 => self.broken("reason text is not UTF-8"),
        })
    }

    fn referral(&mut self) -> Result<ReferralBody<'a>, FrameError> {
        ReferralBody::read(&mut self.reader).map_err(|error| match error {
            ReferralError::Read(error) => self.unread(error),
            error => self.broken(error.why()),
        })
    }

    /// A stream's ID. Every variable-length integer is one, as indexes have 58 bits of its 62.
    pub(super) fn stream_id(&mut self) -> Result<StreamId, FrameError> {
        StreamId::from_number(self.varint()?).ok_or(FrameError {
            code: Code::STREAM_LIMIT,
            frame_type: self.frame_type,
            why: "stream index out of range",
        })
    }

    /// An offset or a grant of credit (R-FRAME-3).
    pub(super) fn below_offset_limit(&mut self) -> Result<u64, FrameError> {
        let value = self.varint()?;
        if value < OFFSET_LIMIT { Ok(value) } else { Err(self.beyond()) }
    }

    /// The end of `length` bytes at `offset`, both read from this frame (R-FRAME-3).
    pub(super) fn end(&self, offset: u64, length: u64) -> Result<u64, FrameError> {
        offset.checked_add(length).filter(|end| *end < OFFSET_LIMIT).ok_or_else(|| self.beyond())
    }

    /// The error for an offset or grant of 2^60 or above.
    fn beyond(&self) -> FrameError {
        FrameError {
            code: Code::FLOW_CONTROL,
            frame_type: self.frame_type,
            why: "offset or credit out of range",
        }
    }

    /// A limit on the indexes of streams (R-FRAME-3).
    fn below_index_limit(&mut self) -> Result<u64, FrameError> {
        let value = self.varint()?;
        if value < StreamId::INDEX_LIMIT {
            return Ok(value);
        }
        Err(FrameError {
            code: Code::STREAM_LIMIT,
            frame_type: self.frame_type,
            why: "stream limit out of range",
        })
    }
}
