//! `send` and `receive`: files over a connection of their own, one two-way byte stream each.
//!
//! The sender says the name, the size, the bytes and their SHA-256, and ends its half. The receiver
//! writes to a hidden file, compares, moves it to a name that was free, and answers with that name
//! and the checksum that it reckoned itself, or with what went wrong. Only that answer makes the
//! sender report success.

mod format;
mod incoming;
mod partial;
mod progress;
mod receive;
mod send;

pub(crate) use receive::receive;
pub(crate) use send::send;

/// The length of a checksum in bytes.
const SUM_LEN: usize = 32;

/// A SHA-256, as `sha256sum` prints it.
fn hex(sum: &[u8; SUM_LEN]) -> String {
    sum.iter().fold(String::with_capacity(64), |mut text, byte| {
        text.push_str(&format!("{byte:02x}"));
        text
    })
}
