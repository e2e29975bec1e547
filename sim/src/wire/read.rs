//! Bytes off the front of a slice.

use std::fmt;

/// Why bytes are not what PROTOCOL.md allows, with its section or requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flaw(pub &'static str);

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Flaw {}

/// Takes values off the front of bytes; what is not there is a [`Flaw`].
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader of all of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// What was not taken yet.
    pub const fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    /// Takes all that is left.
    pub const fn take_rest(&mut self) -> &'a [u8] {
        let all = self.bytes;
        self.bytes = &[];
        all
    }

    /// Takes so many bytes.
    ///
    /// # Errors
    /// There are fewer.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Flaw> {
        let (front, back) =
            self.bytes.split_at_checked(count).ok_or(Flaw("cut off (R-FRAME-1)"))?;
        self.bytes = back;
        Ok(front)
    }

    /// The same with a number of bytes that came over the wire.
    ///
    /// # Errors
    /// There are fewer.
    pub fn take_counted(&mut self, count: u64) -> Result<&'a [u8], Flaw> {
        self.take(usize::try_from(count).map_err(|_| Flaw("cut off (R-FRAME-1)"))?)
    }

    /// Takes an array.
    ///
    /// # Errors
    /// There are fewer bytes.
    pub fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], Flaw> {
        let (front, back) = self.bytes.split_first_chunk().ok_or(Flaw("cut off (R-FRAME-1)"))?;
        self.bytes = back;
        Ok(front)
    }

    /// Takes a byte.
    ///
    /// # Errors
    /// There is none.
    #[inline]
    pub fn byte(&mut self) -> Result<u8, Flaw> {
        let [byte] = self.array::<1>()?;
        Ok(*byte)
    }

    /// Takes a big-endian number of two bytes.
    ///
    /// # Errors
    /// There are fewer.
    pub fn two(&mut self) -> Result<u16, Flaw> {
        self.array().map(|bytes| u16::from_be_bytes(*bytes))
    }

    /// Takes a big-endian number of four bytes.
    ///
    /// # Errors
    /// There are fewer.
    pub fn four(&mut self) -> Result<u32, Flaw> {
        self.array().map(|bytes| u32::from_be_bytes(*bytes))
    }

    /// Takes a big-endian number of eight bytes.
    ///
    /// # Errors
    /// There are fewer.
    pub fn eight(&mut self) -> Result<u64, Flaw> {
        self.array().map(|bytes| u64::from_be_bytes(*bytes))
    }

    /// Takes a varint (RFC 9000 §16).
    ///
    /// # Errors
    /// It is cut off, or longer than it need be (R-WIRE-1).
    #[inline]
    pub fn varint(&mut self) -> Result<u64, Flaw> {
        let first = self.byte()?;
        // The two highest bits tell how many bytes follow.
        let mut value = u64::from(first & 0x3f);
        let more = (1_usize << (first >> 6)) - 1;
        for byte in self.take(more)? {
            value = value << 8 | u64::from(*byte);
        }
        if varint_len(value) == more + 1 {
            Ok(value)
        } else {
            Err(Flaw("a varint that is longer than it need be (R-WIRE-1)"))
        }
    }
}

/// How many bytes the varint of a number below 2^62 has.
pub const fn varint_len(value: u64) -> usize {
    match value {
        0..0x40 => 1,
        0x40..0x4000 => 2,
        0x4000..0x4000_0000 => 4,
        _ => 8,
    }
}
