//! What the tests of this module share: reading hexadecimal, numbered randomness.

use alloc::vec::Vec;
use tripline_sansio::{Random, Seed};

/// The bytes that `text` spells, two digits each.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "odd number of digits");
    let pairs = text.as_bytes().chunks(2).map(|pair| core::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

/// As [`hex`], into an array of just that size.
pub(crate) fn array<const N: usize>(text: &str) -> [u8; N] {
    hex(text).try_into().expect("the wrong number of digits")
}

/// The generator of test number `seed`; whoever fails says the seed.
pub(crate) fn random(seed: u64) -> Random {
    Seed::from_number(seed).random("crypto tests")
}

/// As many random bytes as `len` says.
pub(crate) fn random_bytes(random: &mut Random, len: usize) -> Vec<u8> {
    (0..len).map(|_| random.bits64() as u8).collect()
}
