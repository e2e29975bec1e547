//! Reason texts: UTF-8 behind a variable-length count, at most [`TEXT_MAX`] bytes (PROTOCOL.md §7).
//!
//! In go the bytes of a frame or payload, out comes a borrowed `str`. Never copies, never repairs:
//! text that is too long or not UTF-8 is an error.

use core::fmt;

use tripline_sansio::codec::{ReadError, Reader, Writer, varint_len};

/// The longest reason text in bytes (R-FRAME-2, PROTOCOL.md §11).
pub(crate) const TEXT_MAX: usize = 255;

/// Why a reason text could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextError {
    /// The bytes end too early, or the length is not in its shortest form (R-WIRE-1).
    Read(ReadError),
    /// More than [`TEXT_MAX`] bytes.
    TooLong,
    /// Not UTF-8.
    NotUtf8,
}

impl From<ReadError> for TextError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => error.fmt(f),
            Self::TooLong => f.write_str("a text is longer than 255 bytes"),
            Self::NotUtf8 => f.write_str("a text is not UTF-8"),
        }
    }
}

/// Reads a text and its length.
///
/// # Errors
/// See [`TextError`].
pub(crate) fn read_text<'a>(reader: &mut Reader<'a>) -> Result<&'a str, TextError> {
    let bytes = reader.varint_bytes()?;
    if bytes.len() > TEXT_MAX {
        return Err(TextError::TooLong);
    }
    core::str::from_utf8(bytes).map_err(|_| TextError::NotUtf8)
}

/// Appends a text and its length; of a longer one as much as [`clip`] leaves.
pub(crate) fn write_text(out: &mut Writer<'_>, text: &str) {
    out.varint_bytes(clip(text).as_bytes());
}

/// How many bytes [`write_text`] appends.
pub(crate) fn text_len(text: &str) -> usize {
    let len = clip(text).len();
    varint_len(u64::try_from(len).unwrap_or(u64::MAX)).saturating_add(len)
}

/// The longest start of `text` that is at most [`TEXT_MAX`] bytes and whole characters.
pub(crate) fn clip(text: &str) -> &str {
    // A character has at most four bytes, so one of these four cuts lies between two of them.
    (TEXT_MAX.saturating_sub(3)..=TEXT_MAX).rev().find_map(|end| text.get(..end)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use alloc::{string::String, vec::Vec};

    use super::*;

    /// R-FRAME-2: texts are clipped between characters, and a text of exactly the limit is whole.
    #[test]
    fn r_frame_texts_are_clipped_between_characters() {
        assert_eq!(clip("short"), "short");
        assert_eq!(clip(&"x".repeat(255)).len(), 255);
        assert_eq!(clip(&"x".repeat(256)).len(), 255);
        for (filler, kept) in [("", 252), ("x", 253), ("xx", 254), ("xxx", 255)] {
            let text = String::from(filler) + &"\u{1f980}".repeat(100);
            assert_eq!(clip(&text).len(), kept);
            assert!(text.starts_with(clip(&text)));
        }
    }

    /// R-FRAME-2, R-WIRE-1, T72: too long, not UTF-8 and cut off are told apart.
    #[test]
    fn r_frame_bad_texts_are_refused() {
        let mut out = Vec::new();
        Writer::new(&mut out).varint_bytes(&[b'x'; 256]);
        assert_eq!(read_text(&mut Reader::new(&out)), Err(TextError::TooLong));
        assert_eq!(read_text(&mut Reader::new(&[1, 0xff])), Err(TextError::NotUtf8));
        assert_eq!(
            read_text(&mut Reader::new(&[2, b'x'])),
            Err(TextError::Read(ReadError::Short { missing: 1 }))
        );
        assert_eq!(
            read_text(&mut Reader::new(&[0x40, 1, b'x'])),
            Err(TextError::Read(ReadError::NotShortest))
        );
    }
}
