//! A cipher that is cheap: texts are XORed with a stream that depends on key and number, tags are
//! a keyed hash over everything.
//!
//! What it keeps of a real AEAD: sizes, in-place work, equal outputs for equal inputs, a text that
//! never shows on the wire, and that a packet with one changed bit, of another key or with another
//! number, fails. What it gives up: any resistance against somebody who wants to forge.

use tripline::{Aead, AeadKey, AeadOpenError, Cipher, TAG_LEN};

/// Odd constants without pattern (digits of pi), one for each lane and purpose.
const ODD: [u64; 6] = [
    0x243f_6a88_85a3_08d3,
    0x1319_8a2e_0370_7345,
    0xa409_3822_299f_31d1,
    0x082e_fa98_ec4e_6c89,
    0x4528_21e6_38d0_1377,
    0xbe54_66cf_34e9_0c6d,
];

/// The bytes that are covered at a time: four lanes of a word.
const BLOCK: usize = 32;

/// See the head of this file.
#[derive(Clone, Copy, Debug, Default)]
pub struct FastAead;

impl Aead for FastAead {
    fn key(&self, cipher: Cipher, key: &[u8; 32]) -> Box<dyn AeadKey> {
        let mut words = [0; 4];
        for (word, chunk) in words.iter_mut().zip(key.chunks_exact(8)) {
            *word = word_of(chunk);
        }
        // Keys of different ciphers have nothing in common.
        let salt = match cipher {
            Cipher::ChaChaPoly => ODD[4],
            Cipher::AesGcm => ODD[5],
        };
        words[0] ^= salt;
        let [a, b, c, d] = words;
        let whole = mix(mix(mix(mix(ODD[0], a), b), c), d);
        Box::new(FastKey { words: words.map(|word| mix(whole, word)) })
    }
}

/// A key, spread over four words.
#[derive(Clone, Debug)]
struct FastKey {
    words: [u64; 4],
}

/// One multiplication that lets every bit of both reach the middle of the result.
const fn mix(one: u64, other: u64) -> u64 {
    let product = (one ^ ODD[1]) as u128 * (other ^ ODD[2]) as u128;
    // Both halves of it: the truncation is meant.
    (product as u64) ^ ((product >> 64) as u64) ^ one.rotate_left(23)
}

/// Up to eight bytes as a word, short ones filled with zeros.
fn word_of(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// The words of a header: its last one may overlap with the one before, which loses nothing, as
/// the length is hashed too.
fn header_words(header: &[u8]) -> impl Iterator<Item = u64> {
    let (whole, rest) = header.as_chunks::<8>();
    let last = match header.last_chunk() {
        _ if rest.is_empty() => None,
        Some(last) => Some(u64::from_le_bytes(*last)),
        None => Some(word_of(rest)),
    };
    whole.iter().map(|word| u64::from_le_bytes(*word)).chain(last)
}

/// The state of one packet: four lanes of hash and four of stream.
struct Pass {
    hash: [u64; 4],
    stream: [u64; 4],
}

impl Pass {
    fn new(key: &FastKey, number: u64, header: &[u8], len: usize) -> Self {
        let [a, b, c, d] = key.words;
        let start = mix(mix(a, number), b ^ len as u64);
        let mut own = start;
        for word in header_words(header) {
            own = mix(own, c ^ word).wrapping_add(d);
        }
        own = mix(own, header.len() as u64 ^ d);
        let hash =
            [own ^ a, own.wrapping_add(b), own.rotate_left(17) ^ c, own.wrapping_mul(ODD[3])];
        let stream = [start | 1, start.rotate_left(16) ^ b, start.rotate_left(32) ^ c, !start ^ d];
        Self { hash, stream }
    }

    /// Takes in the sealed text. Its end may be taken in twice, which loses nothing: its length is
    /// in the hash already.
    fn absorb(&mut self, sealed: &[u8]) {
        // The lanes lie in registers while this goes on, and so do those of `cover`; in one loop
        // together they would not all find room.
        let mut lanes = self.hash;
        let (blocks, rest) = sealed.as_chunks::<64>();
        for block in blocks {
            let (pairs, _) = block.as_chunks::<16>();
            for (lane, pair) in lanes.iter_mut().zip(pairs) {
                *lane = absorb_pair(*lane, u128::from_le_bytes(*pair));
            }
        }
        let (pairs, rest) = rest.as_chunks::<16>();
        let [last, others @ ..] = &mut lanes;
        for (lane, pair) in others.iter_mut().zip(pairs) {
            *lane = absorb_pair(*lane, u128::from_le_bytes(*pair));
        }
        if !rest.is_empty() {
            let pair = match sealed.last_chunk() {
                Some(pair) => u128::from_le_bytes(*pair),
                None => rest.iter().rev().fold(0, |word, byte| word << 8 | u128::from(*byte)),
            };
            *last = absorb_pair(*last, pair);
        }
        self.hash = lanes;
    }

    /// XORs the text with the stream: each lane counts in steps without pattern, and all do the
    /// same, so that the compiler works on several at a time.
    fn cover(&self, text: &mut [u8]) {
        let mut lanes = self.stream;
        let (blocks, tail) = text.as_chunks_mut::<BLOCK>();
        for block in blocks {
            xor(block, &lanes);
            for (lane, odd) in lanes.iter_mut().zip(ODD) {
                *lane = lane.wrapping_add(odd);
            }
        }
        let (eights, rest) = tail.as_chunks_mut::<8>();
        let mut lanes = lanes.into_iter();
        for (eight, key) in eights.iter_mut().zip(&mut lanes) {
            *eight = (u64::from_le_bytes(*eight) ^ key).to_le_bytes();
        }
        let last = lanes.next().unwrap_or_default();
        for (byte, key) in rest.iter_mut().zip(last.to_le_bytes()) {
            *byte ^= key;
        }
    }

    fn tag(&self) -> [u8; TAG_LEN] {
        let [a, b, c, d] = self.hash;
        let low = mix(mix(a, b), mix(c, d));
        let high = mix(mix(d, a ^ low), mix(b, c));
        (u128::from(low) | u128::from(high) << 64).to_le_bytes()
    }
}

/// A lane of the hash after two more words. One that met its factor's counterpart would be lost;
/// who does not know the key meets that once in 2^64 times.
#[inline]
const fn absorb_pair(lane: u64, pair: u128) -> u64 {
    let product = (pair as u64 ^ ODD[4]) as u128 * ((pair >> 64) as u64 ^ lane) as u128;
    (product as u64) ^ ((product >> 64) as u64)
}

#[inline]
fn xor(block: &mut [u8; BLOCK], stream: &[u64; 4]) {
    let (eights, _) = block.as_chunks_mut::<8>();
    for (eight, key) in eights.iter_mut().zip(stream) {
        *eight = (u64::from_le_bytes(*eight) ^ key).to_le_bytes();
    }
}

impl AeadKey for FastKey {
    fn seal(&self, number: u64, header: &[u8], text: &mut [u8]) -> [u8; TAG_LEN] {
        let mut pass = Pass::new(self, number, header, text.len());
        pass.cover(text);
        pass.absorb(text);
        pass.tag()
    }

    fn open(
        &self,
        number: u64,
        header: &[u8],
        text: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<(), AeadOpenError> {
        let mut pass = Pass::new(self, number, header, text.len());
        pass.absorb(text);
        pass.cover(text);
        if pass.tag() == *tag { Ok(()) } else { Err(AeadOpenError) }
    }

    fn clone_key(&self) -> Box<dyn AeadKey> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: [u8; 11] = [0x80, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10];

    fn key(byte: u8) -> Box<dyn AeadKey> {
        FastAead.key(Cipher::ChaChaPoly, &[byte; 32])
    }

    fn sealed(len: usize) -> (Vec<u8>, Vec<u8>, [u8; TAG_LEN]) {
        let text: Vec<u8> = (0..len).map(|at| at as u8).collect();
        let mut sealed = text.clone();
        let tag = key(7).seal(5, &HEADER, &mut sealed);
        (text, sealed, tag)
    }

    #[test]
    fn what_is_sealed_opens_at_every_length() {
        for len in (0..100).chain([1_150, 1_173, 9_000]) {
            let (text, mut sealed, tag) = sealed(len);
            key(7).open(5, &HEADER, &mut sealed, &tag).unwrap();
            assert_eq!(sealed, text, "{len} bytes");
        }
    }

    #[test]
    fn any_changed_bit_fails() {
        for len in [1, 15, 16, 17, 31, 32, 33, 47, 48, 63, 64, 65, 200] {
            let (_, text, tag) = sealed(len);
            for bit in 0..len * 8 {
                let mut forged = text.clone();
                forged[bit / 8] ^= 1 << (bit % 8);
                assert!(key(7).open(5, &HEADER, &mut forged, &tag).is_err(), "bit {bit}");
            }
            for bit in 0..128 {
                let mut forged = tag;
                forged[bit / 8] ^= 1 << (bit % 8);
                assert!(key(7).open(5, &HEADER, &mut text.clone(), &forged).is_err());
            }
            for bit in 0..HEADER.len() * 8 {
                let mut forged = HEADER;
                forged[bit / 8] ^= 1 << (bit % 8);
                assert!(key(7).open(5, &forged, &mut text.clone(), &tag).is_err());
            }
        }
    }

    /// What damaged links do: two bytes, or two runs of bytes, change places; several bits flip.
    #[test]
    fn changes_that_cancel_out_elsewhere_fail() {
        for fill in [0, 0xff] {
            let mut text = vec![fill; 256];
            let tag = key(7).seal(5, &HEADER, &mut text);
            let opens = |forged: &mut Vec<u8>| key(7).open(5, &HEADER, forged, &tag).is_ok();
            for (run, other) in (0..15).flat_map(|one| (one + 1..16).map(move |two| (one, two))) {
                let mut forged = text.clone();
                (0..16).for_each(|at| forged.swap(run * 16 + at, other * 16 + at));
                assert!(!opens(&mut forged), "the runs {run} and {other}");
                for bit in 0..8 {
                    let mut forged = text.clone();
                    forged[run * 16] ^= 1 << bit;
                    forged[other * 16] ^= 1 << bit;
                    assert!(!opens(&mut forged), "bit {bit} of the runs {run} and {other}");
                }
            }
            for at in 1..256 {
                let mut forged = text.clone();
                forged.swap(at - 1, at);
                assert!(!opens(&mut forged) || text[at - 1] == text[at], "bytes before {at}");
            }
        }
    }

    #[test]
    fn another_key_number_length_or_cipher_fails() {
        let (_, text, tag) = sealed(64);
        assert!(key(8).open(5, &HEADER, &mut text.clone(), &tag).is_err());
        assert!(key(7).open(6, &HEADER, &mut text.clone(), &tag).is_err());
        assert!(key(7).open(5, &HEADER[..10], &mut text.clone(), &tag).is_err());
        assert!(key(7).open(5, &HEADER, &mut text[..63].to_vec(), &tag).is_err());
        let other = FastAead.key(Cipher::AesGcm, &[7; 32]);
        assert!(other.open(5, &HEADER, &mut text.clone(), &tag).is_err());
    }

    #[test]
    fn no_word_of_a_text_shows() {
        for number in 0..200 {
            for fill in [0_u8, 0x5a, 0xff] {
                let mut text = vec![fill; 1_152];
                key(7).seal(number, &HEADER, &mut text);
                let shows = text.chunks(8).any(|word| word == [fill; 8]);
                assert!(!shows, "number {number}, fill {fill}");
                // Not even as a pattern that repeats.
                assert!(text.chunks(8).zip(text[8..].chunks(8)).all(|(one, next)| one != next));
            }
        }
    }
}
