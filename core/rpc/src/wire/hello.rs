//! HELLO: the first frame of each side (PROTOCOL.md §2.1).
//!
//! A run of parameters, each `varint id · varint length · value`, as in the transport: unknown ones
//! are skipped, so that later versions can say more.

use super::Malformed;
use crate::bounds::{CALLS_LIMIT, FRAME_LEAST, FRAME_LIMIT};
use core::fmt;
use tripline_sansio::codec::{Reader, Writer, varint_len};

/// The largest number of a parameter that we know.
const KNOWN_MAX: u64 = 8;

/// The version of the frames.
pub(crate) const VERSION: u64 = 1;

/// By which a session is found again over another connection: 16 random bytes that the side chose
/// which connects. Who knows it can take the session's place, so it is as secret as the pipe.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SessionId(pub [u8; 16]);

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As secret as the pipe: enough to tell two apart.
        write!(f, "SessionId({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

/// What each side says first (R-CALL-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) version: u64,
    pub(crate) session: SessionId,
    /// How many pipes the session had before.
    pub(crate) epoch: u64,
    /// Since which of those pipes we know what was asked and answered.
    pub(crate) since: u64,
    /// How many calls the peer may have in flight.
    pub(crate) calls_max: u32,
    /// The largest frame we take, in bytes.
    pub(crate) frame_max: usize,
    /// How long our calls wait by default, in milliseconds; 0: for ever.
    pub(crate) deadline_ms: u64,
    /// How many bytes of items each of our calls takes before it grants more.
    pub(crate) item_window: u64,
    /// The connection has streams without names, and no calls.
    pub(crate) is_raw: bool,
}

impl Default for Hello {
    fn default() -> Self {
        Self {
            version: VERSION,
            session: SessionId::default(),
            epoch: 0,
            since: 0,
            calls_max: 1,
            frame_max: FRAME_LEAST,
            deadline_ms: 0,
            item_window: 0,
            is_raw: false,
        }
    }
}

impl Hello {
    pub(crate) fn write(&self, writer: &mut Writer<'_>) {
        let size = u64::try_from(self.frame_max).unwrap_or(u64::MAX);
        writer.varint(1).varint(16).bytes(&self.session.0);
        let numbers = [
            (0, self.version),
            (2, self.epoch),
            (3, self.since),
            (4, u64::from(self.calls_max)),
            (5, size),
            (6, self.deadline_ms),
            (7, self.item_window),
            (8, u64::from(self.is_raw)),
        ];
        // What is usual need not be said.
        for (id, value) in numbers.into_iter().filter(|(id, value)| *id < 8 || *value > 0) {
            let length = u64::try_from(varint_len(value)).unwrap_or(8);
            writer.varint(id).varint(length).varint(value);
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut hello = Self { version: 0, ..Self::default() };
        let mut seen = 0_u16;
        while !reader.is_empty() {
            let id = reader.varint()?;
            let mut value = Reader::new(reader.varint_bytes()?);
            if id > KNOWN_MAX {
                continue;
            }
            let bit = 1_u16 << id;
            if seen & bit != 0 {
                return Err(Malformed::Range);
            }
            seen |= bit;
            if id == 1 {
                hello.session = SessionId(value.array()?);
            } else {
                hello.set(id, value.varint()?)?;
            }
            if !value.is_empty() {
                return Err(Malformed::Range);
            }
        }
        // The session is what nobody can do without.
        if seen & 2 == 0 { Err(Malformed::Cut) } else { Ok(hello) }
    }

    fn set(&mut self, id: u64, value: u64) -> Result<(), Malformed> {
        let range = |ok: bool| if ok { Ok(()) } else { Err(Malformed::Range) };
        match id {
            0 => self.version = value,
            2 => self.epoch = value,
            3 => self.since = value,
            4 => {
                self.calls_max = u32::try_from(value).map_err(|_| Malformed::Range)?;
                range(self.calls_max <= CALLS_LIMIT)?;
            }
            5 => {
                self.frame_max = usize::try_from(value).map_err(|_| Malformed::Range)?;
                range((FRAME_LEAST..=FRAME_LIMIT).contains(&self.frame_max))?;
            }
            6 => self.deadline_ms = value,
            7 => self.item_window = value,
            _ => {
                range(value <= 1)?;
                self.is_raw = value == 1;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn written(hello: &Hello) -> Vec<u8> {
        let mut out = Vec::new();
        hello.write(&mut Writer::new(&mut out));
        out
    }

    proptest! {
        #[test]
        fn r_call_2_a_hello_survives_the_wire(
            session in any::<[u8; 16]>(), epoch in 0_u64..1 << 60, since in 0_u64..1 << 60,
            calls_max in 0..=CALLS_LIMIT, frame_max in FRAME_LEAST..=FRAME_LIMIT,
            deadline_ms in 0_u64..1 << 60, item_window in 0_u64..1 << 60, is_raw in any::<bool>(),
        ) {
            let session = SessionId(session);
            let hello = Hello {
                version: VERSION, session, epoch, since, calls_max, frame_max, deadline_ms,
                item_window, is_raw,
            };
            let bytes = written(&hello);
            prop_assert_eq!(Hello::read(&mut Reader::new(&bytes)), Ok(hello));
        }
    }

    /// R-CALL-2: each at most once, in range, with nothing behind it; unknown ones are skipped.
    #[test]
    fn r_call_2_parameters_have_their_rules() {
        let hello = Hello { session: SessionId([3; 16]), ..Hello::default() };
        let mut bytes = written(&hello);
        bytes.extend([9, 2, 1, 1, 40, 0]);
        assert_eq!(Hello::read(&mut Reader::new(&bytes)), Ok(hello), "unknown: 9 and 40");
        for wrong in [&[2, 1, 0][..], &[3, 1, 0]] {
            let twice = [&written(&hello), wrong].concat();
            assert_eq!(Hello::read(&mut Reader::new(&twice)), Err(Malformed::Range), "{wrong:?}");
        }
        let read = |bytes: &[u8]| Hello::read(&mut Reader::new(bytes));
        assert_eq!(read(&[3, 2, 1, 1]), Err(Malformed::Range), "something behind it");
        assert_eq!(read(&[5, 1, 9]), Err(Malformed::Range), "frames of 9 bytes");
        assert_eq!(read(&[8, 1, 2]), Err(Malformed::Range), "neither raw nor not");
        assert_eq!(read(&[2, 1, 9]), Err(Malformed::Cut), "no session");
        assert_eq!(read(&[2, 9, 9]), Err(Malformed::Cut));
    }
}
