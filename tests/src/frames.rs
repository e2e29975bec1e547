//! Frames by hand: written as runs of varints, and read back by a parser that knows nothing of the
//! engine's own (PROTOCOL.md §3), so that one mistake cannot hide in both.

use tripline_sansio::codec::{ReadError, Reader, Writer};

/// The types of frames that tests name (PROTOCOL.md §3).
pub mod kind {
    #![allow(missing_docs)]
    pub const PADDING: u64 = 0x00;
    pub const PING: u64 = 0x01;
    pub const PONG: u64 = 0x02;
    pub const ACK: u64 = 0x03;
    pub const ACK_ECN: u64 = 0x04;
    pub const STATS: u64 = 0x05;
    pub const STREAM: u64 = 0x10;
    /// STREAM at offset 0, with its length.
    pub const STREAM_FIRST: u64 = 0x11;
    /// STREAM with its offset and its length spelled out.
    pub const STREAM_AT: u64 = 0x19;
    pub const SKIP: u64 = 0x20;
    pub const CLOSE_STREAM: u64 = 0x21;
    pub const STOP: u64 = 0x22;
    pub const CREDIT: u64 = 0x30;
    pub const STREAM_CREDIT: u64 = 0x31;
    pub const STREAMS_TWO_WAY: u64 = 0x32;
    pub const STREAMS_ONE_WAY: u64 = 0x33;
    pub const BLOCKED: u64 = 0x34;
    pub const NOTIFY: u64 = 0x50;
    pub const DISCONNECT: u64 = 0x51;
    pub const FORWARD: u64 = 0x52;
}

/// A frame as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its type; a run of PADDING counts as one frame.
    pub kind: u64,
    /// Its numbers in the order of the wire; of PADDING how many bytes.
    pub fields: Vec<u64>,
    /// Its payload or text. Of a type that is not known here: all that follows it.
    pub data: Vec<u8>,
}

/// Numbers as varints, one after the other: most frames are nothing else.
///
/// ```
/// use tripline_tests::frames::{kind, varints};
/// assert_eq!(varints(&[kind::CREDIT, 0x10_0000]), [0x30, 0x80, 0x10, 0, 0]);
/// ```
pub fn varints(numbers: &[u64]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes);
    for number in numbers {
        writer.varint(*number);
    }
    bytes
}

/// A STREAM frame with its length, and, as the engine writes it, with an offset unless that is 0.
pub fn stream(id: u64, offset: u64, payload: &[u8]) -> Vec<u8> {
    let length = payload.len() as u64;
    let mut bytes = match offset {
        0 => varints(&[kind::STREAM_FIRST, id, length]),
        _ => varints(&[kind::STREAM_AT, id, offset, length]),
    };
    bytes.extend_from_slice(payload);
    bytes
}

/// A PING without flags, or with *fill*.
pub fn ping(token: u64, fill: bool) -> Vec<u8> {
    let mut bytes = varints(&[kind::PING]);
    bytes.extend_from_slice(&token.to_be_bytes());
    bytes.push(u8::from(fill) << 1);
    bytes
}

/// A PONG.
pub fn pong(token: u64) -> Vec<u8> {
    let mut bytes = varints(&[kind::PONG]);
    bytes.extend_from_slice(&token.to_be_bytes());
    bytes
}

/// An ACK of exactly these numbers, in any order; the newest 64 ranges of them.
pub fn ack(numbers: impl IntoIterator<Item = u64>) -> Vec<u8> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    let numbers: std::collections::BTreeSet<u64> = numbers.into_iter().collect();
    for number in numbers.into_iter().rev() {
        match ranges.last_mut() {
            Some((first, _)) if *first == number + 1 => *first = number,
            _ => ranges.push((number, number)),
        }
    }
    ranges.truncate(64);
    let (first, last) = ranges[0];
    let mut fields = vec![kind::ACK, last, 0, last - first, ranges.len() as u64 - 1];
    for pair in ranges.windows(2) {
        fields.extend([pair[0].0 - pair[1].1 - 2, pair[1].1 - pair[1].0]);
    }
    varints(&fields)
}

/// The frames of a packet, for tests that look at what an honest side sent.
///
/// # Panics
/// If the packet cannot be read: the honest side sent something that is not in PROTOCOL.md §3.
pub fn read(packet: &[u8]) -> Vec<Frame> {
    let mut reader = Reader::new(packet);
    let mut frames: Vec<Frame> = Vec::new();
    while !reader.is_empty() {
        let frame = read_one(&mut reader).unwrap_or_else(|error| panic!("{error}: {packet:x?}"));
        match frames.last_mut() {
            Some(last) if last.kind == kind::PADDING && frame.kind == kind::PADDING => {
                last.fields[0] += 1;
            }
            _ => frames.push(frame),
        }
    }
    frames
}

fn read_one(reader: &mut Reader<'_>) -> Result<Frame, ReadError> {
    let kind = reader.varint()?;
    let (mut fields, mut data) = (Vec::new(), Vec::new());
    let mut numbers = |reader: &mut Reader<'_>, count: usize| {
        for _ in 0..count {
            fields.push(reader.varint()?);
        }
        Ok(fields.last().copied().unwrap_or(0))
    };
    match kind {
        kind::PADDING => fields.push(1),
        kind::PING => fields.extend([reader.u64()?, u64::from(reader.u8()?)]),
        kind::PONG => fields.push(reader.u64()?),
        kind::ACK | kind::ACK_ECN => {
            let further = numbers(reader, 4)? as usize;
            numbers(reader, 2 * further + if kind == kind::ACK_ECN { 3 } else { 0 })?;
        }
        kind::STATS => drop(numbers(reader, 3)?),
        0x10..=0x1f => {
            let (length, offset) = (kind & 1 != 0, kind & 8 != 0);
            numbers(reader, 1 + usize::from(offset))?;
            let payload = if length { reader.varint_bytes()? } else { reader.take_rest() };
            if !offset {
                fields.push(0);
            }
            data = payload.to_vec();
        }
        kind::SKIP => {
            let ranges = numbers(reader, 2)? as usize;
            numbers(reader, 2 * ranges)?;
        }
        kind::CLOSE_STREAM => drop(numbers(reader, 3)?),
        kind::STOP | kind::STREAM_CREDIT => drop(numbers(reader, 2)?),
        kind::CREDIT | kind::STREAMS_TWO_WAY | kind::STREAMS_ONE_WAY => drop(numbers(reader, 1)?),
        kind::BLOCKED => {
            let stream = numbers(reader, 1)? == 1;
            numbers(reader, 1 + usize::from(stream))?;
        }
        kind::NOTIFY | kind::DISCONNECT => {
            numbers(reader, 2)?;
            data = reader.varint_bytes()?.to_vec();
        }
        kind::FORWARD => {
            data.push(reader.u8()?);
            for _ in 0..data[0] {
                let family = reader.u8()?;
                data.push(family);
                data.extend(reader.take(if family == 4 { 6 } else { 18 })?);
            }
            data.extend(reader.take(32)?);
            let route = reader.u8()?;
            data.push(route);
            data.extend(reader.take(usize::from(route))?);
        }
        _ => data = reader.take_rest().to_vec(),
    }
    Ok(Frame { kind, fields, data })
}
