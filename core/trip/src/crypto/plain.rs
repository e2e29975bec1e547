//! *Plain traffic* (feature `plain`): DATA that is authenticated and not encrypted (R-PLAIN-5).
//!
//! It takes the place of the AEAD behind the same seam, for DATA alone: in goes a text, out comes
//! the same text and a tag that only a holder of the connection's keys can make. Keys, numbers, IDs
//! and the handshake are those of cipher 0, so a packet of another connection, a changed one and a
//! repeated one are refused like any other. What it never does is to keep a secret.

use super::aead::{Aead, AeadKey, OpenError, TAG_LEN, nonce};
use super::mac::{keyed_mac, same};
use super::suite::{Cipher, Suite};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// What seals and opens the DATA of `suite`: what the configuration names, but for plain traffic.
pub(crate) fn data_aead(suite: Suite, configured: &Arc<dyn Aead>) -> Arc<dyn Aead> {
    if suite.is_readable() { Arc::new(PlainAead) } else { configured.clone() }
}

/// Makes keys that authenticate and do not encrypt.
#[derive(Clone, Copy, Debug)]
struct PlainAead;

impl Aead for PlainAead {
    fn key(&self, _: Cipher, key: &[u8; 32]) -> Box<dyn AeadKey> {
        Box::new(PlainKey(*key))
    }
}

/// A key of plain traffic: the key of keyed BLAKE2s-128. Wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
struct PlainKey([u8; 32]);

impl PlainKey {
    /// The tag: over the header's length, the header, the nonce and the text. The length in front
    /// keeps apart what would be the same bytes with the border between header and text elsewhere.
    fn tag(&self, number: u64, header: &[u8], text: &[u8]) -> [u8; TAG_LEN] {
        // A header has 11 or 13 bytes, so none is too long for its length byte.
        let length = u8::try_from(header.len()).unwrap_or(u8::MAX);
        keyed_mac(&self.0, &[&[length], header, &nonce(Cipher::ChaChaPoly, number), text])
    }
}

impl fmt::Debug for PlainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainKey(..)")
    }
}

impl AeadKey for PlainKey {
    fn seal(&self, number: u64, header: &[u8], text: &mut [u8]) -> [u8; TAG_LEN] {
        self.tag(number, header, text)
    }

    fn open(
        &self,
        number: u64,
        header: &[u8],
        text: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<(), OpenError> {
        if same(&self.tag(number, header, text), tag) { Ok(()) } else { Err(OpenError) }
    }

    fn clone_key(&self) -> Box<dyn AeadKey> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::super::aead::PureAead;
    use super::super::data::{OpenKey, SealKey};
    use super::super::testing::{array, hex, random, random_bytes};
    use super::*;
    use alloc::format;

    fn key(first: u8) -> PlainKey {
        PlainKey(core::array::from_fn(|at| first.wrapping_add(at as u8)))
    }

    /// R-PLAIN-5, golden: the tags of three packets under the key 00 01 … 1f, reckoned by another
    /// implementation of BLAKE2s; the text stays as it is.
    #[test]
    fn r_plain_5_tags_match_another_implementation() {
        let cases = [
            (
                "8001020304050607081112",
                0x1112,
                "01010203040506070800",
                "d71dc87fd6e25946ae48018c82dd4157",
            ),
            (
                "c0010203040506070811121314",
                0x0102_0304_1112_1314,
                "68656c6c6f",
                "e99c5d9031478d39844d6b52eab8dddb",
            ),
            ("", 0, "", "71b3058940b1b41f6897ef69612a4928"),
        ];
        for (header, number, text, tag) in cases {
            let (header, sent) = (hex(header), hex(text));
            let mut text = sent.clone();
            assert_eq!(key(0).seal(number, &header, &mut text), array(tag), "{number:#x}");
            assert_eq!(text, sent, "readable");
            assert_eq!(key(0).open(number, &header, &mut text, &array(tag)), Ok(()));
        }
    }

    /// R-PLAIN-5: every bit of header, text and tag counts, the number whole, the key, and where
    /// the header ends.
    #[test]
    fn r_plain_5_whatever_was_changed_is_refused() {
        for seed in 0..20 {
            let mut random = random(seed);
            let (header, text) = (random_bytes(&mut random, 11), random_bytes(&mut random, 40));
            let number = random.bits64() >> 2;
            let whole = [&header[..], &text].concat();
            let tag = key(0).tag(number, &header, &text);
            let open = |key: &PlainKey, number, whole: &[u8], border, tag: &[u8; TAG_LEN]| {
                let (header, text) = whole.split_at(border);
                key.open(number, header, &mut text.to_vec(), tag)
            };
            assert_eq!(open(&key(0), number, &whole, 11, &tag), Ok(()), "seed {seed}");
            for bit in 0..whole.len() * 8 {
                let mut whole = whole.clone();
                whole[bit / 8] ^= 1 << (bit % 8);
                let opened = open(&key(0), number, &whole, 11, &tag);
                assert_eq!(opened, Err(OpenError), "seed {seed} bit {bit}");
            }
            for bit in 0..128 {
                let mut tag = tag;
                tag[bit / 8] ^= 1 << (bit % 8);
                let opened = open(&key(0), number, &whole, 11, &tag);
                assert_eq!(opened, Err(OpenError), "seed {seed} bit {bit} of the tag");
            }
            for bit in 0..64 {
                let opened = open(&key(0), number ^ (1 << bit), &whole, 11, &tag);
                assert_eq!(opened, Err(OpenError), "seed {seed} bit {bit} of the number");
            }
            assert_eq!(open(&key(1), number, &whole, 11, &tag), Err(OpenError), "seed {seed}");
            assert_eq!(open(&key(0), number, &whole, 13, &tag), Err(OpenError), "seed {seed}");
        }
    }

    /// R-PLAIN-5: only suites of cipher 2 go without encryption, whatever the configuration says.
    #[test]
    fn r_plain_5_only_cipher_2_is_readable() {
        let configured: Arc<dyn Aead> = Arc::new(PureAead);
        for suite in (0..=u8::MAX).filter_map(Suite::from_byte) {
            let aead = data_aead(suite, &configured);
            let mut seal = SealKey::new(&*aead, suite.cipher, &[7; 32], 0);
            let mut packet = b"header, and a text".to_vec();
            seal.seal_packet(5, &mut packet, 0, 6).unwrap();
            let readable = packet.starts_with(b"header, and a text");
            assert_eq!(readable, suite.to_byte() >> 3 == 2, "{suite}");
            let open = OpenKey::new(&*aead, suite.cipher, &[7; 32]);
            assert_eq!(open.open_packet(5, &mut packet, 6).unwrap(), b", and a text");
        }
    }

    #[test]
    fn keys_are_not_printed() {
        assert_eq!(format!("{:?}", key(3)), "PlainKey(..)");
        assert_eq!(format!("{:?}", key(3).clone_key()), "PlainKey(..)");
    }
}
