//! What the property tests of the wire share: a fixed seed, numbers of all sizes, packets with
//! damage.
#![allow(clippy::arithmetic_side_effects)]

use alloc::vec::Vec;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// Property tests draw the same cases in every run, unless `PROPTEST_RNG_SEED` gives another seed;
/// `PROPTEST_CASES` asks for more of them. A failing case is printed, shrunk.
pub(crate) fn config() -> ProptestConfig {
    let mut config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(0x7472_6970);
    }
    config
}

/// Numbers below 2^`bits`, of every magnitude alike, so that all lengths on the wire come up.
pub(crate) fn number(bits: u32) -> impl Strategy<Value = u64> {
    (any::<u64>(), 0..=bits).prop_map(|(draw, width)| {
        // The highest bit is set, so that the width is what it says.
        if width == 0 { 0 } else { (draw | 1 << 63) >> (64 - width) }
    })
}

/// Damage for bytes that were well-formed: positions (modulo the length) and what to put there.
pub(crate) fn damage() -> impl Strategy<Value = Vec<(usize, u8)>> {
    proptest::collection::vec((any::<usize>(), any::<u8>()), 0..4)
}

/// Applies [`damage`].
pub(crate) fn damaged(mut bytes: Vec<u8>, damage: &[(usize, u8)]) -> Vec<u8> {
    for (at, byte) in damage {
        if !bytes.is_empty() {
            let at = at % bytes.len();
            bytes[at] = *byte;
        }
    }
    bytes
}

/// The bytes that a string of hexadecimal digits says; spaces only part them.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|char| !char.is_whitespace())
        .map(|char| u8::try_from(char.to_digit(16).expect("hexadecimal digits")).unwrap())
        .collect();
    assert_eq!(digits.len() % 2, 0, "an odd number of digits: {text}");
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
