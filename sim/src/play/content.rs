//! What messages say: bytes that tell which message of which stream they are.
//!
//! A message of four bytes or more begins with its number; what follows is cut from a fixed table
//! at a place that its number and its stream choose, so writing and checking cost a copy and a
//! comparison. A stream of bytes is the table from end to end, over and over. Messages of fewer
//! than four bytes tell nothing but their length.

use std::sync::LazyLock;

/// How long the table is.
const TABLE: usize = 1 << 16;

/// How many bytes on the wire are no chance: once in 2^128.
const CANARY: usize = 16;

/// Messages of fewer bytes have no number.
pub(super) const NUMBERED: usize = 4;

static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..TABLE)
        .map(|_| {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            (state >> 56) as u8
        })
        .collect()
});

/// Makes the table, if that was not done: it stays for good.
pub(super) fn prepare() {
    LazyLock::force(&BYTES);
}

/// What is looked for on the wire, where payload is never to be seen: the first bytes of a stream.
pub(super) fn canary() -> Vec<u8> {
    run(0, 0, CANARY)
}

/// The table from `at` on, piece by piece, `len` bytes in all.
fn pieces(at: u64, len: usize) -> impl Iterator<Item = &'static [u8]> {
    let mut at = (at % TABLE as u64) as usize;
    let mut left = len;
    std::iter::from_fn(move || {
        let piece = &BYTES[at..(at + left).min(TABLE)];
        left -= piece.len();
        at = 0;
        (!piece.is_empty()).then_some(piece)
    })
}

fn place(salt: u64, number: u32) -> u64 {
    salt.wrapping_mul(104_729).wrapping_add(u64::from(number) * 7_919)
}

/// Message `number` of the stream half `salt`.
pub(super) fn message(salt: u64, number: u32, len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len);
    if len >= NUMBERED {
        bytes.extend(number.to_be_bytes());
    }
    pieces(place(salt, number), len - bytes.len()).for_each(|piece| bytes.extend(piece));
    bytes
}

/// The number of a message, if it has one.
pub(super) fn number(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

/// Whether these are the bytes of message `number`.
pub(super) fn is_message(salt: u64, number: u32, bytes: &[u8]) -> bool {
    let body = bytes.get(NUMBERED..).unwrap_or(bytes);
    self::number(bytes).is_none_or(|found| found == number) && is_table(place(salt, number), body)
}

/// So many bytes of a stream of bytes, from `offset` on.
pub(super) fn run(salt: u64, offset: u64, len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len);
    pieces(place(salt, 0).wrapping_add(offset), len).for_each(|piece| bytes.extend(piece));
    bytes
}

/// Whether these are the bytes of the stream from `offset` on.
pub(super) fn is_run(salt: u64, offset: u64, bytes: &[u8]) -> bool {
    is_table(place(salt, 0).wrapping_add(offset), bytes)
}

fn is_table(at: u64, bytes: &[u8]) -> bool {
    let mut rest = bytes;
    pieces(at, bytes.len()).all(|piece| {
        let (head, tail) = rest.split_at(piece.len());
        rest = tail;
        head == piece
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_from_all_others() {
        for len in [0, 1, 3, 4, 5, 1_200, 70_000, 200_000] {
            let bytes = message(7, 70_000, len);
            assert_eq!(bytes.len(), len);
            assert!(is_message(7, 70_000, &bytes), "{len}");
            if len >= 5 {
                assert_eq!(number(&bytes), Some(70_000));
                assert!(!is_message(8, 70_000, &bytes) || len < 8, "{len}");
                assert!(!is_message(7, 70_001, &bytes));
                let mut wrong = bytes;
                wrong[len - 1] ^= 1;
                assert!(!is_message(7, 70_000, &wrong));
            }
        }
    }

    #[test]
    fn a_run_is_the_same_however_it_is_cut() {
        let whole = run(3, 0, 150_000);
        for (from, to) in [(0, 1), (65_535, 65_537), (100, 140_000), (149_999, 150_000)] {
            assert_eq!(run(3, from as u64, to - from), whole[from..to]);
            assert!(is_run(3, from as u64, &whole[from..to]));
        }
        assert!(!is_run(3, 1, &whole[..100]));
    }
}
