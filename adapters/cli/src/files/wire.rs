//! The messages of a file's stream: a byte that says which, then the contents.

use crate::figures::CliError;
use serde::{Deserialize, Serialize};

/// How much of a file is sent in one message.
pub(super) const CHUNK: usize = 64 << 10;

/// `H` and JSON: what is coming.
pub(super) const HEAD: u8 = b'H';
/// `D` and bytes: the next of the contents.
pub(super) const DATA: u8 = b'D';
/// `E` and 32 bytes: the SHA-256 of all contents.
pub(super) const END: u8 = b'E';

/// What is coming.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Head {
    /// The name, without directories.
    pub(super) name: String,
    /// How many bytes, as far as the sender knew beforehand.
    pub(super) size: u64,
}

/// The receiver's answer.
#[derive(Debug, Deserialize, Serialize)]
pub(super) enum Answer {
    /// The file is whole and in its place.
    Stored {
        /// The name that it got.
        name: String,
        /// The SHA-256 of what was stored, in hex.
        sha256: String,
    },
    /// It is not.
    Failed {
        /// Why.
        cause: String,
    },
}

/// A message that begins with `kind`.
pub(super) fn message(kind: u8, contents: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(contents.len() + 1);
    message.push(kind);
    message.extend_from_slice(contents);
    message
}

/// JSON as a message's contents.
pub(super) fn json<T: Serialize>(value: &T) -> Result<Vec<u8>, CliError> {
    Ok(serde_json::to_vec(value)?)
}

/// Bytes in hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a name may become a file in the receiver's directory: one that stays there.
pub(super) fn is_plain_name(name: &str) -> bool {
    let harmless = |letter: char| letter != '/' && letter != '\\' && !letter.is_control();
    !name.is_empty()
        && name.len() <= 255
        && name != "."
        && name != ".."
        && name.chars().all(harmless)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_the_directory_are_refused() {
        for name in ["a", "a.txt", "..a", "ä ö", ".hidden"] {
            assert!(is_plain_name(name), "{name}");
        }
        for name in ["", ".", "..", "a/b", "../a", "/etc/passwd", "a\\b", "a\nb", "a\0b"] {
            assert!(!is_plain_name(name), "{name:?}");
        }
    }
}
