//! Keyed hashes that are not part of Noise: mac1 of an OPEN, connection IDs, tokens, table keys.
//!
//! In go a key and bytes, out comes a short MAC. All but [`keyed_hash64`] are keyed BLAKE2s-128,
//! strong enough to prove who made something; that one is SipHash-1-3, fast, and only meant to keep
//! a peer from choosing where its entries land in our tables.

use blake2::digest::consts::U16;
use blake2::digest::{KeyInit, Mac};
use blake2::{Blake2s256, Blake2sMac, Blake2sMac256, Digest};
use core::hash::Hasher;
use siphasher::sip::SipHasher13;
use subtle::ConstantTimeEq;

use super::keys::{PublicKey, SecretKey};

/// How many bytes a MAC has.
pub(crate) const MAC_LEN: usize = 16;

/// The key of mac1 and of RETRY's MAC (R-OPEN-1): BLAKE2s of a label and the server's public key,
/// or of 32 zeros where the client knows none (NN and XX).
///
/// Whoever knows the server's key can make it: it shows that a packet is meant for this server, and
/// proves nothing about its sender.
pub(crate) fn mac1_key(server: Option<&PublicKey>) -> [u8; 32] {
    let key = server.map_or(&[0; 32], PublicKey::as_bytes);
    Blake2s256::new().chain_update(b"TRiP/1 mac1").chain_update(key).finalize().into()
}

/// mac1 (R-OPEN-1): keyed BLAKE2s-128 of all of the OPEN before it.
pub(crate) fn mac1(key: &[u8; 32], bytes: &[u8]) -> [u8; MAC_LEN] {
    keyed_mac(key, &[bytes])
}

/// A key that follows from an identity, one for each `label`: keyed BLAKE2s-256 of the label under
/// the secret key. So what is made with it is known again after a restart (R-ID-1, R-RESET-1).
pub(crate) fn derived_key(identity: &SecretKey, label: &[u8]) -> [u8; 32] {
    let secret = identity.to_bytes();
    let mut mac = <Blake2sMac256 as KeyInit>::new((&*secret).into());
    Mac::update(&mut mac, label);
    mac.finalize().into_bytes().into()
}

/// Keyed BLAKE2s-128 of the concatenated `parts`: RETRY's MAC, its token's and RESET's token.
pub(crate) fn keyed_mac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; MAC_LEN] {
    let mut mac = <Blake2sMac<U16> as KeyInit>::new(key.into());
    parts.iter().for_each(|part| Mac::update(&mut mac, part));
    mac.finalize().into_bytes().into()
}

/// The MAC inside a connection ID (R-ID-1): two bytes over the rest of it, so that who did not
/// issue an ID guesses a good one once in 2^16.
pub(crate) fn id_mac(key: &[u8; 32], value: u64) -> u16 {
    let [high, low, ..] = keyed_mac(key, &[&value.to_be_bytes()]);
    u16::from_be_bytes([high, low])
}

/// Whether two byte strings are the same, in a time that tells nothing about where they differ
/// (different lengths are told at once).
///
/// The one place where MACs and tokens are compared.
#[must_use]
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// SipHash-1-3: where in a table something belongs that a peer chose (PROTOCOL.md §2.1).
pub(crate) fn keyed_hash64(key: &[u8; 16], bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new_with_key(key);
    hasher.write(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::super::testing::{array, random, random_bytes};
    use super::*;
    use std::hash::DefaultHasher;

    const COUNTING: [u8; 32] = *b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\
           \x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f";

    /// R-OPEN-1, reckoned by another implementation of BLAKE2s.
    #[test]
    fn r_open_1_mac1_matches_another_implementation() {
        let key = mac1_key(Some(&PublicKey::from_bytes(COUNTING)));
        assert_eq!(key, array("078f9d28116b9a2514bf32095b2ece5f8b8c6513e837a24c20365058eac5037a"));
        assert_eq!(mac1(&key, b"hello"), array("799d124f81f99af5d54b9a51da9dd544"));
        assert_eq!(keyed_mac(&key, &[b"he", b"", b"llo"]), mac1(&key, b"hello"));
        assert_eq!(
            mac1_key(None),
            array("8213ce9389a99cdb50c1802267fae22f4eb585f45b5c3e8cbed525d62a0e6de5")
        );
    }

    /// R-RESET-1, R-ID-1: keys of an identity, and a reset token, by another implementation of
    /// BLAKE2s.
    #[test]
    fn r_reset_1_derived_keys_match_another_implementation() {
        let identity = SecretKey::from_bytes(COUNTING);
        let key = derived_key(&identity, b"TRiP/1 reset");
        assert_eq!(key, array("e1948b9098586e05ddd31916f44c9f08369aa0f62ebceaa97fa3b696d1ea041d"));
        let token = keyed_mac(&key, &[&0x0102_0304_0506_0708_u64.to_be_bytes()]);
        assert_eq!(token, array("8cbfc1647e3092888d276be2aef7ad26"));
        assert_eq!(
            derived_key(&identity, b"TRiP/1 connection id"),
            array("db16638219a9c0bfc1d7b3271f1ae0af8e0a84b44280f0c3c29b082ce7fd36b8")
        );
    }

    /// R-ID-1: the first two bytes of the MAC over the eight of the value.
    #[test]
    fn r_id_1_id_mac_matches_another_implementation() {
        assert_eq!(id_mac(&COUNTING, 0x0123_4567_89ab_cdef), 0xc74a);
        assert_ne!(id_mac(&COUNTING, 0x0123_4567_89ab_cdee), 0xc74a);
        assert_ne!(id_mac(&[0; 32], 0x0123_4567_89ab_cdef), 0xc74a);
    }

    /// R-ID-3: the standard library's hasher is SipHash-1-3 under a key of zeros.
    #[test]
    fn keyed_hash_is_siphash_1_3() {
        let mut random = random(6);
        for length in 0..64 {
            let bytes = random_bytes(&mut random, length);
            let mut standard = DefaultHasher::new();
            standard.write(&bytes);
            assert_eq!(keyed_hash64(&[0; 16], &bytes), standard.finish(), "{length} bytes");
            assert_ne!(keyed_hash64(&[1; 16], &bytes), standard.finish(), "{length} bytes");
        }
    }

    #[test]
    fn same_is_equality() {
        let mut random = random(5);
        for length in 0..40 {
            let bytes = random_bytes(&mut random, length);
            assert!(same(&bytes, &bytes.clone()));
            assert!(!same(&bytes, &random_bytes(&mut random, length + 1)));
            for at in 0..length {
                let mut other = bytes.clone();
                other[at] ^= 1 << random.below(8);
                assert!(!same(&bytes, &other), "byte {at} of {length}");
            }
        }
    }
}
