//! What the two sides say to each other: a head before the file, an answer after it.
//!
//! Head: the four bytes `TPF1`, the name's length (2 bytes, big endian), the name, the size (8).
//! Answer: 0 and the checksum (32), or 1; then the text's length (2) and the text, which is the
//! final name or what went wrong.

use super::SUM_LEN;

/// What a head begins with: the format and its version.
const MAGIC: [u8; 4] = *b"TPF1";
/// The longest name, in bytes: what file systems commonly allow.
const NAME_MAX: usize = 255;
/// The longest text of an answer, in bytes.
const TEXT_MAX: usize = 1024;
/// The longest answer.
pub(super) const ANSWER_MAX: usize = 1 + SUM_LEN + 2 + TEXT_MAX;

/// What the sender says first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// The file's name, without directories.
    pub(super) name: String,
    /// Its size in bytes.
    pub(super) size: u64,
}

/// What the receiver says last: the checksum and the final name, or what went wrong.
pub(super) type Answer = Result<([u8; SUM_LEN], String), String>;

/// A name may be used as it is: it is no path, and shows as what it is.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let problem = if name.is_empty() || name == "." || name == ".." {
        "it names no file"
    } else if name.contains(['/', '\\', '\0']) {
        "it contains a path separator"
    } else if name.chars().any(char::is_control) {
        "it contains control characters"
    } else if name.len() > NAME_MAX {
        "it is longer than 255 bytes"
    } else {
        return Ok(());
    };
    Err(format!("the file name {name:?} is not acceptable: {problem}"))
}

impl Head {
    /// The bytes of the head. The name must have passed [`check_name`].
    pub(super) fn write(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        put_text(&mut out, &self.name, NAME_MAX);
        out.extend_from_slice(&self.size.to_be_bytes());
        out
    }

    /// Reads a head and says how long it was; `None` if there is more to come.
    ///
    /// # Errors
    /// If this is no head, or the name is not acceptable.
    pub(super) fn read(bytes: &[u8]) -> Result<Option<(Self, usize)>, String> {
        let common = bytes.len().min(MAGIC.len());
        if bytes.get(..common) != MAGIC.get(..common) {
            return Err("the sender speaks another file format".into());
        }
        let Some((name, rest)) = bytes.get(MAGIC.len()..).and_then(take_text) else {
            return Ok(None);
        };
        let Some((size, rest)) = rest.split_first_chunk() else { return Ok(None) };
        let name = std::str::from_utf8(name).map_err(|_| "the file name is not UTF-8")?;
        check_name(name)?;
        let head = Self { name: name.to_string(), size: u64::from_be_bytes(*size) };
        Ok(Some((head, bytes.len() - rest.len())))
    }
}

/// The bytes of an answer.
pub(super) fn write_answer(answer: &Answer) -> Vec<u8> {
    let mut out = Vec::new();
    match answer {
        Ok((sum, name)) => {
            out.push(0);
            out.extend_from_slice(sum);
            put_text(&mut out, name, TEXT_MAX);
        }
        Err(text) => {
            out.push(1);
            put_text(&mut out, text, TEXT_MAX);
        }
    }
    out
}

/// The answer that these bytes are, all of them; `None` if they are none.
pub(super) fn read_answer(bytes: &[u8]) -> Option<Answer> {
    let (kind, rest) = bytes.split_first()?;
    let text = |bytes| match take_text(bytes)? {
        (text, []) => Some(String::from_utf8_lossy(text).into_owned()),
        _ => None,
    };
    match kind {
        0 => {
            let (sum, rest) = rest.split_first_chunk()?;
            Some(Ok((*sum, text(rest)?)))
        }
        1 => Some(Err(text(rest)?)),
        _ => None,
    }
}

fn put_text(out: &mut Vec<u8>, text: &str, most: usize) {
    let text = text.get(..text.floor_char_boundary_at(most)).unwrap_or_default();
    // Cut to far below 64 KiB just now.
    out.extend_from_slice(&u16::try_from(text.len()).unwrap_or(0).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn take_text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(u16::from_be_bytes(*length).into())
}

/// Where to cut a text so that it has at most so many bytes and whole characters.
pub(super) trait CutAt {
    /// The highest boundary that is not above `most`.
    fn floor_char_boundary_at(&self, most: usize) -> usize;
}

impl CutAt for str {
    fn floor_char_boundary_at(&self, most: usize) -> usize {
        let most = most.min(self.len());
        (0..=most).rev().find(|at| self.is_char_boundary(*at)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_read_back_and_wait_for_all_of_themselves() {
        let head = Head { name: "größe.bin".into(), size: 1 << 40 };
        let bytes = head.write();
        for end in 0..bytes.len() {
            assert_eq!(Head::read(&bytes[..end]), Ok(None), "{end}");
        }
        let mut longer = bytes.clone();
        longer.extend_from_slice(b"content");
        assert_eq!(Head::read(&longer), Ok(Some((head, bytes.len()))));
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in
            ["", ".", "..", "../x", "/etc/passwd", "a/b", "a\\b", "a\0b", "a\nb", "\u{1b}[2J"]
        {
            let bytes = Head { name: name.into(), size: 0 }.write();
            assert!(Head::read(&bytes).is_err(), "{name:?}");
        }
        let long = Head { name: "x".repeat(256), size: 0 };
        assert!(check_name(&long.name).is_err());
        for name in ["x", ".hidden", "..x", "a b (1).tar.gz", "日本"] {
            assert_eq!(check_name(name), Ok(()), "{name:?}");
        }
        assert!(Head::read(b"GET / HTTP/1.1").is_err());
        assert!(Head::read(b"TPF1\x00\x01\xff\0\0\0\0\0\0\0\0").is_err());
    }

    #[test]
    fn answers_read_back() {
        let answers = [Ok(([7; 32], "a (1).txt".to_string())), Err("no space".to_string())];
        for answer in answers {
            let bytes = write_answer(&answer);
            assert_eq!(read_answer(&bytes), Some(answer));
            for end in 0..bytes.len() {
                assert_eq!(read_answer(&bytes[..end]), None, "{end}");
            }
        }
        let long = write_answer(&Err("ä".repeat(2000)));
        assert!(long.len() <= ANSWER_MAX && read_answer(&long).is_some());
    }
}
