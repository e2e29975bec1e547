//! Where messages begin and end inside bytes: `varint length · bytes`, one behind the other
//! (PROTOCOL.md §4). Total functions of their input.
#![deny(clippy::arithmetic_side_effects)]

use super::{TOO_LARGE, Violation, len64, to_usize};
use crate::wire::Code;
use tripline_sansio::codec::{ReadError, Reader, varint_len};

/// What an aligned frame holds: whole messages, then at most one that is cut off.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Aligned<'a> {
    /// The whole messages, in wire form.
    pub(super) whole: &'a [u8],
    /// What is there of the last one: its length and what follows; empty if all are whole.
    pub(super) rest: &'a [u8],
    /// How long the last one is by its length, and with it.
    pub(super) rest_wire: u64,
}

/// How long the message that begins with `bytes` is, with its length; `None` if the length itself
/// is not all there.
///
/// # Errors
/// R-MSG-3: a length above `message_max`, or not in its shortest form.
pub(super) fn wire_length(bytes: &[u8], message_max: u64) -> Result<Option<u64>, Violation> {
    match Reader::new(bytes).varint() {
        Ok(length) if length > message_max => Err(TOO_LARGE),
        Ok(length) => {
            let prefix = u64::try_from(varint_len(length)).unwrap_or(u64::MAX);
            Ok(Some(prefix.saturating_add(length)))
        }
        Err(ReadError::Short { .. }) => Ok(None),
        Err(ReadError::NotShortest) => {
            Err(Violation { code: Code::PROTOCOL, reason: "length not in its shortest form" })
        }
    }
}

/// Divides the payload of an aligned frame.
///
/// # Errors
/// R-MSG-2: the last message is cut off inside its length; R-MSG-3 as [`wire_length`].
pub(super) fn aligned(payload: &[u8], message_max: u64) -> Result<Aligned<'_>, Violation> {
    let mut at: usize = 0;
    loop {
        let (whole, rest) = payload.split_at_checked(at).unwrap_or((payload, &[]));
        if rest.is_empty() {
            return Ok(Aligned { whole, rest, rest_wire: 0 });
        }
        let Some(wire) = wire_length(rest, message_max)? else {
            return Err(Violation { code: Code::PROTOCOL, reason: "frame cut inside a length" });
        };
        if wire > len64(rest) {
            return Ok(Aligned { whole, rest, rest_wire: wire });
        }
        at = at.saturating_add(to_usize(wire));
    }
}

/// Walks over the places where a run of whole messages may be divided.
#[derive(Clone, Debug)]
pub(super) struct Boundaries<'a> {
    rest: &'a [u8],
    at: u64,
    last: u64,
}

impl<'a> Boundaries<'a> {
    /// The boundaries of `run`, whose first byte has offset `start`.
    pub(super) fn new(start: u64, run: &'a [u8]) -> Self {
        Self { rest: run, at: start, last: start }
    }

    /// The first boundary at or behind `target`, and not before that of an earlier call;
    /// `u64::MAX` behind the end of the run.
    pub(super) fn seek(&mut self, target: u64) -> u64 {
        while self.at < target {
            let wire = wire_length(self.rest, u64::MAX).ok().flatten();
            let Some(wire) = wire.filter(|wire| *wire <= len64(self.rest)) else {
                return u64::MAX;
            };
            self.rest = self.rest.split_at_checked(to_usize(wire)).map_or(&[], |(_, rest)| rest);
            self.last = self.at;
            self.at = self.at.saturating_add(wire);
        }
        self.at
    }

    /// Whether a message of the run begins or ends at `target` (which rises from call to call).
    pub(super) fn has(&mut self, target: u64) -> bool {
        self.seek(target) == target
    }

    /// Where the last message of the run begins.
    pub(super) fn last_start(mut self) -> u64 {
        while !self.rest.is_empty() {
            if self.seek(self.at.saturating_add(1)) == u64::MAX {
                break;
            }
        }
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R-MSG-2: whole messages, then one that may be cut off, but not inside its length.
    #[test]
    fn an_aligned_frame_is_divided_behind_its_last_whole_message() {
        let frame = aligned(b"\x01a\x00\x03bc", 10).unwrap();
        assert_eq!(
            (frame.whole, frame.rest, frame.rest_wire),
            (&b"\x01a\0"[..], &b"\x03bc"[..], 4)
        );
        assert_eq!(aligned(b"", 10).unwrap().whole, b"");
        assert_eq!(aligned(b"\x01a", 10).unwrap().rest, b"");
        assert_eq!(aligned(b"\0\x40", 10).unwrap_err().code, Code::PROTOCOL);
    }

    /// R-MSG-3.
    #[test]
    fn lengths_are_checked() {
        assert_eq!(aligned(b"\x0b", 10), Err(TOO_LARGE));
        assert_eq!(aligned(b"\x40\x01a", 10).unwrap_err().code, Code::PROTOCOL);
        assert_eq!(wire_length(b"\x40", 10), Ok(None));
        assert_eq!(wire_length(b"\x40\x41", 100), Ok(Some(67)));
    }

    #[test]
    fn boundaries_are_found_in_one_pass() {
        let run = b"\x01a\x00\x02bc";
        let mut walk = Boundaries::new(10, run);
        assert!(walk.has(10) && !walk.has(11) && walk.has(12) && walk.has(13));
        assert_eq!((walk.seek(14), walk.seek(17)), (16, u64::MAX));
        assert_eq!(Boundaries::new(10, run).last_start(), 13);
        assert_eq!(Boundaries::new(10, b"\0\0").last_start(), 11);
    }
}
