//! All frames (PROTOCOL.md §3).

use super::ack::Ack;
use super::payload::Referral;
use super::read::{Flaw, Reader, varint_len};
use super::stream::{OFFSETS, Skip, Stream, StreamName};

/// Limits on stream indexes are below this (R-FRAME-3).
const INDEXES: u64 = 1 << 58;
/// The longest reason text (R-FRAME-2).
const TEXT_MAX: u64 = 255;

/// A frame of a DATA packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A run of PADDING.
    Padding {
        /// How many bytes.
        len: usize,
    },
    /// PING.
    Ping {
        /// Its token.
        token: u64,
        /// Its packet is not a move.
        probe: bool,
        /// It asks for a PONG in a packet of 1,200 bytes.
        fill: bool,
    },
    /// PONG.
    Pong {
        /// The PING's token.
        token: u64,
    },
    /// ACK.
    Ack(Ack<'a>),
    /// STATS.
    Stats {
        /// Packets sent.
        sent: u64,
        /// Packets received.
        received: u64,
        /// The smoothed round trip in microseconds.
        rtt: u64,
    },
    /// STREAM.
    Stream(Stream<'a>),
    /// SKIP.
    Skip(Skip<'a>),
    /// CLOSE_STREAM.
    CloseStream {
        /// Whose sending half ends.
        stream: StreamName,
        /// Why.
        code: u64,
        /// The final offset.
        end: u64,
    },
    /// STOP.
    Stop {
        /// What its receiver wants no more of.
        stream: StreamName,
        /// Why.
        code: u64,
    },
    /// CREDIT.
    Credit {
        /// The limit on the sum of offsets.
        limit: u64,
    },
    /// STREAM_CREDIT.
    StreamCredit {
        /// Whose.
        stream: StreamName,
        /// The limit on its offsets.
        limit: u64,
    },
    /// STREAMS.
    Streams {
        /// Of which direction.
        one_way: bool,
        /// The first index that may not be opened.
        limit: u64,
    },
    /// BLOCKED.
    Blocked(Blocked),
    /// RENEW and RENEW_CONFIRM.
    Renew(Half<'a>),
    /// NOTIFY.
    Notify {
        /// Why its sender leaves.
        code: u64,
        /// In how many milliseconds; 0: nothing is left to send.
        deadline: u64,
        /// The same in words.
        reason: &'a str,
    },
    /// DISCONNECT.
    Disconnect {
        /// Why.
        code: u64,
        /// The type of the frame at fault, else 0.
        frame: u64,
        /// The same in words.
        reason: &'a str,
    },
    /// FORWARD.
    Forward(Referral<'a>),
}

/// Which limit stops a sender, and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocked {
    /// The connection's credit.
    Connection(u64),
    /// A stream's credit.
    Stream(StreamName, u64),
    /// The number of two-way or (`true`) one-way streams.
    Streams(bool, u64),
}

/// A half of a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Half<'a> {
    /// RENEW_CONFIRM rather than RENEW.
    pub confirm: bool,
    /// The zone.
    pub zone: u64,
    /// Its sender's ID there.
    pub id: u64,
    /// The reset token of that ID; zeros for none.
    pub token: &'a [u8; 16],
    /// Its sender's ephemeral public key.
    pub key: &'a [u8; 32],
}

/// Reads a packet's frames one after the other; behind a flaw comes nothing.
pub const fn frames(text: &[u8]) -> Frames<'_> {
    Frames { reader: Reader::new(text) }
}

/// See [`frames()`].
#[derive(Clone, Copy, Debug)]
pub struct Frames<'a> {
    reader: Reader<'a>,
}

impl<'a> Frames<'a> {
    /// What was not read yet.
    pub const fn rest(&self) -> &'a [u8] {
        self.reader.rest()
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, Flaw>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.rest().is_empty() {
            return None;
        }
        let read = Frame::read(&mut self.reader);
        if read.is_err() {
            self.reader.take_rest();
        }
        Some(read)
    }
}

impl<'a> Frame<'a> {
    #[inline]
    fn read(reader: &mut Reader<'a>) -> Result<Self, Flaw> {
        let kind = reader.varint()?;
        match kind {
            0x00 => Ok(Self::padding(reader)),
            0x03 | 0x04 => Ok(Self::Ack(Ack::read(reader, kind == 0x04)?)),
            0x10..=0x1f => Ok(Self::Stream(Stream::read(reader, kind & 0xf)?)),
            0x01 | 0x02 | 0x05 => Self::read_ping(reader, kind),
            0x20..=0x22 => Self::read_stream_end(reader, kind),
            0x30..=0x34 => Self::read_credit(reader, kind),
            0x40 | 0x41 => Self::read_half(reader, kind == 0x41),
            0x50..=0x52 => Self::read_leave(reader, kind),
            _ => Err(Flaw("an unknown type of frame (R-FRAME-1)")),
        }
    }

    /// A run of zeros is a run of frames.
    fn padding(reader: &mut Reader<'a>) -> Self {
        let rest = reader.rest();
        let more = if rest.iter().all(|byte| *byte == 0) {
            rest.len()
        } else {
            rest.iter().take_while(|byte| **byte == 0).count()
        };
        let taken = reader.take(more).map_or(0, <[u8]>::len);
        Self::Padding { len: 1 + taken }
    }

    fn read_ping(reader: &mut Reader<'a>, kind: u64) -> Result<Self, Flaw> {
        if kind == 0x05 {
            let [sent, received, rtt] = [reader.varint()?, reader.varint()?, reader.varint()?];
            return Ok(Self::Stats { sent, received, rtt });
        }
        let token = reader.eight()?;
        if kind == 0x02 {
            return Ok(Self::Pong { token });
        }
        let flags = reader.byte()?;
        if flags > 3 {
            return Err(Flaw("an unknown flag of PING (R-FRAME-1)"));
        }
        Ok(Self::Ping { token, probe: flags & 1 != 0, fill: flags & 2 != 0 })
    }

    fn read_stream_end(reader: &mut Reader<'a>, kind: u64) -> Result<Self, Flaw> {
        if kind == 0x20 {
            return Skip::read(reader).map(Self::Skip);
        }
        let stream = StreamName(reader.varint()?);
        let code = reader.varint()?;
        if kind == 0x22 {
            return Ok(Self::Stop { stream, code });
        }
        let end = below(reader.varint()?, OFFSETS)?;
        Ok(Self::CloseStream { stream, code, end })
    }

    fn read_credit(reader: &mut Reader<'a>, kind: u64) -> Result<Self, Flaw> {
        Ok(match kind {
            0x30 => Self::Credit { limit: below(reader.varint()?, OFFSETS)? },
            0x31 => Self::StreamCredit {
                stream: StreamName(reader.varint()?),
                limit: below(reader.varint()?, OFFSETS)?,
            },
            0x32 | 0x33 => {
                let limit = below(reader.varint()?, INDEXES)?;
                Self::Streams { one_way: kind == 0x33, limit }
            }
            _ => Self::Blocked(match reader.byte()? {
                0 => Blocked::Connection(below(reader.varint()?, OFFSETS)?),
                1 => {
                    Blocked::Stream(StreamName(reader.varint()?), below(reader.varint()?, OFFSETS)?)
                }
                which @ (2 | 3) => Blocked::Streams(which == 3, below(reader.varint()?, INDEXES)?),
                _ => return Err(Flaw("an unknown limit in BLOCKED (R-FRAME-1)")),
            }),
        })
    }

    fn read_half(reader: &mut Reader<'a>, confirm: bool) -> Result<Self, Flaw> {
        let (zone, id) = (reader.varint()?, reader.eight()?);
        let (token, key) = (reader.array()?, reader.array()?);
        Ok(Self::Renew(Half { confirm, zone, id, token, key }))
    }

    fn read_leave(reader: &mut Reader<'a>, kind: u64) -> Result<Self, Flaw> {
        if kind == 0x52 {
            return Referral::read(reader).map(Self::Forward);
        }
        let (code, number) = (reader.varint()?, reader.varint()?);
        let reason = text(reader)?;
        Ok(match kind {
            0x50 => Self::Notify { code, deadline: number, reason },
            _ => Self::Disconnect { code, frame: number, reason },
        })
    }

    /// Whether its packet is to be acknowledged (§3).
    pub const fn is_ack_eliciting(&self) -> bool {
        !matches!(self, Self::Padding { .. } | Self::Ack(_) | Self::Disconnect { .. })
    }

    /// How many bytes it takes when it is written anew from what was read.
    pub fn encoded_len(&self) -> usize {
        let v = varint_len;
        match self {
            Self::Padding { len } => *len,
            Self::Ping { .. } => 10,
            Self::Pong { .. } => 9,
            Self::Ack(ack) => ack.len(),
            Self::Stats { sent, received, rtt } => 1 + v(*sent) + v(*received) + v(*rtt),
            Self::Stream(stream) => stream.len(),
            Self::Skip(skip) => skip.len(),
            Self::CloseStream { stream, code, end } => 1 + v(stream.0) + v(*code) + v(*end),
            Self::Stop { stream, code } => 1 + v(stream.0) + v(*code),
            Self::Credit { limit } | Self::Streams { limit, .. } => 1 + v(*limit),
            Self::StreamCredit { stream, limit } => 1 + v(stream.0) + v(*limit),
            Self::Blocked(Blocked::Stream(stream, limit)) => 2 + v(stream.0) + v(*limit),
            Self::Blocked(Blocked::Connection(limit) | Blocked::Streams(_, limit)) => 2 + v(*limit),
            Self::Renew(half) => 2 + v(half.zone) + 8 + 16 + 32,
            Self::Notify { code, deadline: number, reason }
            | Self::Disconnect { code, frame: number, reason } => {
                2 + v(*code) + v(*number) + v(reason.len() as u64) + reason.len()
            }
            Self::Forward(referral) => 2 + referral.len(),
        }
    }
}

/// A number that has a limit (R-FRAME-3).
const fn below(number: u64, limit: u64) -> Result<u64, Flaw> {
    if number < limit { Ok(number) } else { Err(Flaw("a number out of range (R-FRAME-3)")) }
}

/// A reason text (R-FRAME-2).
pub(super) fn text<'a>(reader: &mut Reader<'a>) -> Result<&'a str, Flaw> {
    let length = reader.varint()?;
    if length > TEXT_MAX {
        return Err(Flaw("a text of more than 255 bytes (R-FRAME-2)"));
    }
    let bytes = reader.take_counted(length)?;
    std::str::from_utf8(bytes).map_err(|_| Flaw("a text that is not UTF-8 (R-FRAME-2)"))
}
