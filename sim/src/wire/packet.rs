//! Datagrams from outside: the seven families (PROTOCOL.md §2).

use super::read::{Flaw, Reader};

/// The length below which no OPEN lies (§2.2).
pub const OPEN_MIN: usize = 1_200;
/// The longest Noise message (§2.2, §2.3).
const NOISE_MAX: usize = 1_024;
/// The longest token of a RETRY.
const TOKEN_MAX: usize = 32;

/// A datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// DATA.
    Data(Data<'a>),
    /// OPEN of this version.
    Open(Open<'a>),
    /// OPEN of another version, of which nothing else is known.
    OtherOpen {
        /// Which.
        version: u32,
        /// The client's ID.
        id: u64,
    },
    /// CHALLENGE.
    Challenge {
        /// The client's ID.
        id: u64,
        /// Noise message 2.
        noise: &'a [u8],
    },
    /// RETRY.
    Retry {
        /// The client's ID.
        id: u64,
        /// The token.
        token: &'a [u8],
        /// What proves that its sender saw the OPEN.
        mac: &'a [u8; 16],
    },
    /// CONFIRM.
    Confirm {
        /// The server's ID.
        id: u64,
        /// Noise message 3.
        noise: &'a [u8],
    },
    /// VERSION.
    Version {
        /// The client's ID.
        id: u64,
        /// 1 version, 2 suite, 3 key.
        reason: u8,
        /// The versions, four bytes each.
        versions: &'a [u8],
    },
    /// RESET.
    Reset {
        /// The token.
        token: &'a [u8; 16],
    },
}

/// DATA (§2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data<'a> {
    /// The receiver's ID.
    pub id: u64,
    /// The low bytes of the packet's number.
    pub number: u32,
    /// How many of them there are: 2 or 4.
    pub number_len: usize,
    /// The sealed frames.
    pub sealed: &'a [u8],
    /// The tag.
    pub tag: &'a [u8; 16],
}

impl Data<'_> {
    /// The whole number that ends in the bytes shown and is nearest to `expected` (R-DATA-3a).
    pub const fn number_near(&self, expected: u64) -> u64 {
        let window = 1_u64 << (8 * self.number_len);
        let guess = expected & !(window - 1) | self.number as u64;
        if guess + window / 2 <= expected && guess + window < 1 << 62 {
            guess + window
        } else if guess > expected + window / 2 && guess >= window {
            guess - window
        } else {
            guess
        }
    }
}

/// OPEN (§2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open<'a> {
    /// The client's ID.
    pub id: u64,
    /// The suite.
    pub suite: Suite,
    /// Noise message 1.
    pub noise: &'a [u8],
    /// The MAC over all before it.
    pub mac1: &'a [u8; 16],
    /// The token of a RETRY, or nothing.
    pub token: &'a [u8],
    /// All up to and with mac1: the same in all repeats of an attempt (R-OPEN-2).
    pub front: &'a [u8],
}

/// A suite (§2.2): `cipher << 3 | psk << 2 | pattern`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suite(pub u8);

impl Suite {
    /// 0 ChaChaPoly, 1 AESGCM, 2 readable DATA.
    pub const fn cipher(self) -> u8 {
        self.0 >> 3
    }

    /// Whether a pre-shared key is mixed in.
    pub const fn has_psk(self) -> bool {
        self.0 & 4 != 0
    }

    /// Whether the pattern is NN.
    pub const fn is_nn(self) -> bool {
        self.0 & 3 == 0
    }

    /// Whether the pattern is XX.
    pub const fn is_xx(self) -> bool {
        self.0 & 3 == 3
    }

    /// How many bytes Noise message 1 has beyond its payload.
    pub const fn first_overhead(self) -> usize {
        match (self.0 & 3, self.has_psk()) {
            (0 | 3, false) => 32,
            (0 | 3, true) | (1, _) => 48,
            _ => 96,
        }
    }
}

impl<'a> Packet<'a> {
    /// Reads a datagram.
    ///
    /// # Errors
    /// It has none of the forms of §2, or fields out of their range.
    pub fn read(datagram: &'a [u8]) -> Result<Self, Flaw> {
        let mut reader = Reader::new(datagram);
        let first = reader.byte().map_err(|_| Flaw("an empty datagram (R-WIRE-4)"))?;
        match first {
            0x80 | 0xc0 => Data::read(reader, if first == 0x80 { 2 } else { 4 }).map(Self::Data),
            0x01 => Self::read_open(datagram, reader),
            0x02 => {
                let id = reader.eight()?;
                Ok(Self::Challenge { id, noise: noise(reader.rest())? })
            }
            0x03 => Self::read_retry(reader),
            0x04 => {
                let id = reader.eight()?;
                Ok(Self::Confirm { id, noise: noise(reader.rest())? })
            }
            0x05 => Self::read_version(reader),
            0x06 => {
                let token = reader.array()?;
                nothing_follows(&reader)?;
                Ok(Self::Reset { token })
            }
            _ => Err(Flaw("an unknown first byte (R-WIRE-4)")),
        }
    }

    fn read_open(datagram: &'a [u8], mut reader: Reader<'a>) -> Result<Self, Flaw> {
        if datagram.len() < OPEN_MIN {
            return Err(Flaw("an OPEN of less than 1,200 bytes (§2.2)"));
        }
        let version = reader.four()?;
        let id = reader.eight()?;
        if version != 1 {
            return Ok(Self::OtherOpen { version, id });
        }
        let suite = Suite(reader.byte()?);
        let length = usize::from(reader.two()?);
        let message = noise(reader.take(length)?)?;
        let mac1 = reader.array()?;
        let front_len = datagram.len() - reader.rest().len();
        let front = datagram.get(..front_len).unwrap_or_default();
        let token_len = usize::from(reader.byte()?);
        let token = reader.take(token_len)?;
        if reader.rest().iter().any(|byte| *byte != 0) {
            return Err(Flaw("an OPEN filled with something else than zeros (R-OPEN-1b)"));
        }
        Ok(Self::Open(Open { id, suite, noise: message, mac1, token, front }))
    }

    fn read_retry(mut reader: Reader<'a>) -> Result<Self, Flaw> {
        let id = reader.eight()?;
        let length = usize::from(reader.byte()?);
        if !(1..=TOKEN_MAX).contains(&length) {
            return Err(Flaw("a RETRY whose token has not 1 to 32 bytes (§2.4)"));
        }
        let (token, mac) = (reader.take(length)?, reader.array()?);
        nothing_follows(&reader)?;
        Ok(Self::Retry { id, token, mac })
    }

    fn read_version(mut reader: Reader<'a>) -> Result<Self, Flaw> {
        let id = reader.eight()?;
        let reason = reader.byte()?;
        let count = usize::from(reader.byte()?);
        if !(1..=3).contains(&reason) {
            return Err(Flaw("a VERSION for an unknown reason (§2.4)"));
        }
        let versions = reader.take(4 * count)?;
        nothing_follows(&reader)?;
        Ok(Self::Version { id, reason, versions })
    }
}

impl<'a> Data<'a> {
    fn read(mut reader: Reader<'a>, number_len: usize) -> Result<Self, Flaw> {
        let id = reader.eight()?;
        let number = match number_len {
            2 => u32::from(reader.two()?),
            _ => reader.four()?,
        };
        let short = Flaw("DATA without room for its tag (R-WIRE-4)");
        let (sealed, tag) = reader.rest().split_last_chunk().ok_or(short)?;
        Ok(Self { id, number, number_len, sealed, tag })
    }
}

const fn noise(message: &[u8]) -> Result<&[u8], Flaw> {
    match message.len() {
        1..=NOISE_MAX => Ok(message),
        _ => Err(Flaw("a Noise message of no or more than 1,024 bytes (§2.2, §2.3)")),
    }
}

const fn nothing_follows(reader: &Reader<'_>) -> Result<(), Flaw> {
    match reader.rest() {
        [] => Ok(()),
        _ => Err(Flaw("bytes behind the end of a packet (R-WIRE-4)")),
    }
}
