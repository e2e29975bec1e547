//! All frames but the first one (PROTOCOL.md §2).

use super::{Hello, Malformed};
use crate::bounds::{CALLS_LIMIT, NAME_MAX, NAMES_MAX};
use crate::method::{WireMethod, is_name};
use tripline_sansio::codec::{Reader, Writer};

/// How long the caller waits, as a CALL says it (R-CALL-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deadline {
    None,
    /// As long as the caller's HELLO says.
    Default,
    /// So many milliseconds from now.
    Millis(u64),
}

/// By what a call is known beyond its pipe (R-CALL-6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Serial {
    pub(crate) serial: u64,
    /// The least serial of which the caller still waits for the outcome.
    pub(crate) oldest: u64,
}

/// A frame without its payload, which is whatever follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    Hello(Hello),
    Call {
        number: u32,
        method: WireMethod<'a>,
        deadline: Deadline,
        serial: Option<Serial>,
    },
    Notify {
        method: WireMethod<'a>,
    },
    Reply {
        number: u32,
    },
    Item {
        number: u32,
    },
    /// The application said no.
    Fail {
        number: u32,
        code: i32,
    },
    /// The machine said no.
    Refuse {
        number: u32,
        refusal: u64,
    },
    Control(Control<'a>),
}

impl Frame<'_> {
    /// Whether it has its place on a raw connection, which has no calls, no lanes and no names
    /// (R-CALL-14).
    pub(crate) fn goes_over_raw(&self) -> bool {
        match self {
            Self::Hello(_) => true,
            Self::Control(control) => !matches!(
                control,
                Control::Name { .. } | Control::Lane { .. } | Control::Stream { .. }
            ),
            _ => false,
        }
    }
}

/// Frames that have no payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Control<'a> {
    /// The caller does not wait any more. `turn`: the how-manieth use of the number that is, from
    /// 1, as by another lane this may come when the number is used again (R-CALL-3).
    Cancel {
        number: u32,
        turn: u32,
    },
    /// From now on this number stands for this name.
    Name {
        number: u16,
        name: &'a str,
    },
    /// No new calls, please; those under way have so many milliseconds.
    GoAway {
        grace_ms: u64,
    },
    /// So many bytes more of items may come.
    Window {
        number: u32,
        turn: u32,
        bytes: u64,
    },
    /// The caller has the outcome of all calls with a lesser serial.
    Settled {
        oldest: u64,
    },
    Ping,
    Pong,
    /// This lane goes by that stream of the transport.
    Lane {
        lane: u8,
        stream: u64,
    },
    /// That stream of the transport has this name.
    Stream {
        stream: u64,
        name: &'a str,
    },
    /// It is not wanted.
    RefuseStream {
        stream: u64,
        reason: &'a str,
    },
}

impl Control<'_> {
    /// Whether only pipes that have streams carry it.
    pub(crate) fn is_of_streams(&self) -> bool {
        matches!(self, Self::Lane { .. } | Self::Stream { .. } | Self::RefuseStream { .. })
    }
}

pub(super) const HELLO: u8 = 0;
const CALL: u8 = 1;
const NOTIFY: u8 = 2;
const REPLY: u8 = 3;
const ITEM: u8 = 4;
const FAIL: u8 = 5;
const CONTROL: u8 = 6;
/// No frame but a bundle of them.
pub(super) const BUNDLE: u8 = 7;

/// Flags of CALL and NOTIFY: how the method is named.
const NUMBER: u8 = 0 << 3;
const INDEX: u8 = 1 << 3;
const INLINE: u8 = 2 << 3;
const METHOD: u8 = 3 << 3;

/// Flags of CALL.
const DEADLINE: u8 = 3 << 5;
const DEADLINE_DEFAULT: u8 = 1 << 5;
const DEADLINE_MILLIS: u8 = 2 << 5;
const SERIAL: u8 = 1 << 7;

/// The flag of FAIL.
const REFUSAL: u8 = 1 << 3;

/// Appends what stands before the payload.
pub(crate) fn write_head(frame: &Frame<'_>, writer: &mut Writer<'_>) {
    match frame {
        Frame::Hello(hello) => {
            writer.u8(HELLO);
            hello.write(writer);
        }
        Frame::Call { number, method, deadline, serial } => {
            let (form, wait) = (
                form_of(method),
                match deadline {
                    Deadline::None => 0,
                    Deadline::Default => DEADLINE_DEFAULT,
                    Deadline::Millis(_) => DEADLINE_MILLIS,
                },
            );
            let again = if serial.is_some() { SERIAL } else { 0 };
            writer.u8(CALL | form | wait | again).varint(u64::from(*number));
            write_method(method, writer);
            if let Deadline::Millis(millis) = deadline {
                writer.varint(*millis);
            }
            if let Some(Serial { serial, oldest }) = serial {
                writer.varint(*serial).varint(serial.saturating_sub(*oldest));
            }
        }
        Frame::Notify { method } => {
            writer.u8(NOTIFY | form_of(method));
            write_method(method, writer);
        }
        Frame::Reply { number } => {
            writer.u8(REPLY).varint(u64::from(*number));
        }
        Frame::Item { number } => {
            writer.u8(ITEM).varint(u64::from(*number));
        }
        Frame::Fail { number, code } => {
            writer.u8(FAIL).varint(u64::from(*number)).varint(zigzag(*code));
        }
        Frame::Refuse { number, refusal } => {
            writer.u8(FAIL | REFUSAL).varint(u64::from(*number)).varint(*refusal);
        }
        Frame::Control(control) => write_control(control, writer),
    }
}

/// Appends a frame that has no payload.
fn write_control(control: &Control<'_>, writer: &mut Writer<'_>) {
    let kind = |sub: u8| CONTROL | sub.wrapping_shl(3);
    match control {
        Control::Cancel { number, turn } => {
            writer.u8(kind(0)).varint(u64::from(*number)).varint(u64::from(*turn))
        }
        Control::Name { number, name } => {
            writer.u8(kind(1)).varint(u64::from(*number)).bytes(name.as_bytes())
        }
        Control::GoAway { grace_ms } => writer.u8(kind(2)).varint(*grace_ms),
        Control::Window { number, turn, bytes } => {
            writer.u8(kind(3)).varint(u64::from(*number)).varint(u64::from(*turn)).varint(*bytes)
        }
        Control::Settled { oldest } => writer.u8(kind(4)).varint(*oldest),
        Control::Ping => writer.u8(kind(5)),
        Control::Pong => writer.u8(kind(6)),
        Control::Lane { lane, stream } => {
            writer.u8(kind(7)).varint(u64::from(*lane)).varint(*stream)
        }
        Control::Stream { stream, name } => {
            writer.u8(kind(8)).varint(*stream).bytes(name.as_bytes())
        }
        Control::RefuseStream { stream, reason } => {
            writer.u8(kind(9)).varint(*stream).bytes(reason.as_bytes())
        }
    };
}

/// Reads a frame (R-CALL-1); what follows it begins at the number returned.
#[inline(always)]
pub(crate) fn read(message: &[u8]) -> Result<(Frame<'_>, usize), Malformed> {
    let mut reader = Reader::new(message);
    let first = reader.u8()?;
    let frame = match first & 7 {
        HELLO if first == HELLO => Frame::Hello(Hello::read(&mut reader)?),
        CALL => {
            let number = call_number(&mut reader)?;
            let method = read_method(first, &mut reader)?;
            let deadline = match first & DEADLINE {
                0 => Deadline::None,
                DEADLINE_DEFAULT => Deadline::Default,
                DEADLINE_MILLIS => Deadline::Millis(reader.varint()?),
                _ => return Err(Malformed::Unknown),
            };
            let serial = (first & SERIAL != 0).then(|| read_serial(&mut reader)).transpose()?;
            Frame::Call { number, method, deadline, serial }
        }
        NOTIFY if first & !(7 | METHOD) == 0 => {
            Frame::Notify { method: read_method(first, &mut reader)? }
        }
        REPLY if first == REPLY => Frame::Reply { number: call_number(&mut reader)? },
        ITEM if first == ITEM => Frame::Item { number: call_number(&mut reader)? },
        FAIL if first == FAIL => {
            let number = call_number(&mut reader)?;
            Frame::Fail { number, code: unzigzag(reader.varint()?)? }
        }
        FAIL if first == FAIL | REFUSAL => {
            let number = call_number(&mut reader)?;
            Frame::Refuse { number, refusal: reader.varint()? }
        }
        CONTROL => Frame::Control(read_control(first >> 3, &mut reader)?),
        _ => return Err(Malformed::Unknown),
    };
    Ok((frame, message.len().saturating_sub(reader.remaining())))
}

fn read_control<'a>(sub: u8, reader: &mut Reader<'a>) -> Result<Control<'a>, Malformed> {
    let control = match sub {
        0 => Control::Cancel { number: call_number(reader)?, turn: turn(reader)? },
        1 => {
            let number = u16::try_from(reader.varint()?).map_err(|_| Malformed::Range)?;
            if number >= NAMES_MAX {
                return Err(Malformed::Range);
            }
            Control::Name { number, name: text(reader.take_rest())? }
        }
        2 => Control::GoAway { grace_ms: reader.varint()? },
        3 => Control::Window {
            number: call_number(reader)?,
            turn: turn(reader)?,
            bytes: reader.varint()?,
        },
        4 => Control::Settled { oldest: reader.varint()? },
        5 => Control::Ping,
        6 => Control::Pong,
        7 => {
            let lane = u8::try_from(reader.varint()?).map_err(|_| Malformed::Range)?;
            Control::Lane { lane, stream: reader.varint()? }
        }
        8 => Control::Stream { stream: reader.varint()?, name: text(reader.take_rest())? },
        9 => {
            let (stream, reason) = (reader.varint()?, reader.take_rest());
            let reason = core::str::from_utf8(reason).map_err(|_| Malformed::Range)?;
            if reason.len() > NAME_MAX {
                return Err(Malformed::Range);
            }
            Control::RefuseStream { stream, reason }
        }
        _ => return Err(Malformed::Unknown),
    };
    if reader.is_empty() { Ok(control) } else { Err(Malformed::Range) }
}

fn read_serial(reader: &mut Reader<'_>) -> Result<Serial, Malformed> {
    let serial = reader.varint()?;
    let oldest = serial.checked_sub(reader.varint()?).ok_or(Malformed::Range)?;
    Ok(Serial { serial, oldest })
}

fn call_number(reader: &mut Reader<'_>) -> Result<u32, Malformed> {
    let number = u32::try_from(reader.varint()?).map_err(|_| Malformed::Range)?;
    if number < CALLS_LIMIT { Ok(number) } else { Err(Malformed::Range) }
}

/// The how-manieth use of a call's number, from 1.
fn turn(reader: &mut Reader<'_>) -> Result<u32, Malformed> {
    u32::try_from(reader.varint()?).map_err(|_| Malformed::Range)
}

fn form_of(method: &WireMethod<'_>) -> u8 {
    match method {
        WireMethod::Number(_) => NUMBER,
        WireMethod::Index(_) => INDEX,
        WireMethod::Inline(_) => INLINE,
    }
}

fn write_method(method: &WireMethod<'_>, writer: &mut Writer<'_>) {
    match method {
        WireMethod::Number(number) | WireMethod::Index(number) => {
            writer.varint(u64::from(*number));
        }
        WireMethod::Inline(name) => {
            let length = u64::try_from(name.len()).unwrap_or(u64::MAX);
            writer.varint(length).bytes(name.as_bytes());
        }
    }
}

fn read_method<'a>(first: u8, reader: &mut Reader<'a>) -> Result<WireMethod<'a>, Malformed> {
    let short = |value: u64| u16::try_from(value).map_err(|_| Malformed::Range);
    Ok(match first & METHOD {
        NUMBER => WireMethod::Number(short(reader.varint()?)?),
        INDEX => WireMethod::Index(short(reader.varint()?)?),
        INLINE => WireMethod::Inline(text(reader.varint_bytes()?)?),
        _ => return Err(Malformed::Unknown),
    })
}

fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    if !is_name(bytes) {
        return Err(Malformed::Range);
    }
    core::str::from_utf8(bytes).map_err(|_| Malformed::Range)
}

/// Small numbers of either sign in few bytes.
fn zigzag(code: i32) -> u64 {
    let code = i64::from(code);
    u64::try_from(code.wrapping_shl(1) ^ (code >> 63)).unwrap_or(u64::MAX)
}

fn unzigzag(value: u64) -> Result<i32, Malformed> {
    let half = i64::try_from(value >> 1).map_err(|_| Malformed::Range)?;
    let code = if value & 1 == 0 { half } else { !half };
    i32::try_from(code).map_err(|_| Malformed::Range)
}

#[cfg(test)]
mod tests;
