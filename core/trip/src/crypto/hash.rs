//! Hash, HMAC and HKDF of a suite: BLAKE2s or SHA-256, chosen at run time.
//!
//! In go byte strings, out come 32 bytes or a run of key bytes. Both hashes have 32 bytes of output
//! and blocks of 64, so one set of array types does for both. Never used for anything but the
//! handshake and the keys that follow from it.

use super::suite::Cipher;
use blake2::Blake2s256;
use hmac::digest::{Digest, Output};
use hmac::{KeyInit, Mac, SimpleHmac};
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

/// How many bytes a hash has, in every suite (Noise calls it HASHLEN).
pub(crate) const HASH_LEN: usize = 32;

/// How many bytes a block of either hash has (Noise calls it BLOCKLEN).
const BLOCK_LEN: usize = 64;

/// The suite's hash of the concatenated `parts`.
pub(crate) fn hash(cipher: Cipher, parts: &[&[u8]]) -> [u8; HASH_LEN] {
    fn run<D: Digest>(parts: &[&[u8]]) -> Output<D> {
        let mut hash = D::new();
        parts.iter().for_each(|part| hash.update(part));
        hash.finalize()
    }
    match cipher {
        Cipher::ChaChaPoly => run::<Blake2s256>(parts).into(),
        Cipher::AesGcm => run::<Sha256>(parts).into(),
    }
}

/// HMAC (RFC 2104) with the suite's hash, of the concatenated `parts`.
///
/// BLAKE2s has a keyed mode of its own; Noise wants HMAC all the same (§4.3).
pub(crate) fn hmac(
    cipher: Cipher,
    key: &[u8; HASH_LEN],
    parts: &[&[u8]],
) -> Zeroizing<[u8; HASH_LEN]> {
    fn run<M: Mac>(mut mac: M, parts: &[&[u8]]) -> Output<M> {
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes()
    }
    // HMAC pads short keys with zeros to a block; done here, the call cannot fail.
    let mut block = Zeroizing::new([0; BLOCK_LEN]);
    block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    let block = (&*block).into();
    Zeroizing::new(match cipher {
        Cipher::ChaChaPoly => run(SimpleHmac::<Blake2s256>::new(block), parts).into(),
        Cipher::AesGcm => run(SimpleHmac::<Sha256>::new(block), parts).into(),
    })
}

/// HKDF-Extract (RFC 5869 §2.2): a key from a salt and material that holds a secret.
pub(crate) fn extract(
    cipher: Cipher,
    salt: &[u8; HASH_LEN],
    material: &[&[u8]],
) -> Zeroizing<[u8; HASH_LEN]> {
    hmac(cipher, salt, material)
}

/// HKDF-Expand (RFC 5869 §2.3): `COUNT` keys of 32 bytes from `key`, bound to the concatenated
/// `info`; `COUNT` of at most 255 is checked when compiling.
pub(crate) fn expand<const COUNT: usize>(
    cipher: Cipher,
    key: &[u8; HASH_LEN],
    info: &[&[u8]],
) -> Keys<COUNT> {
    const { assert!(COUNT <= 255, "RFC 5869 numbers its blocks with one byte") };
    let mut keys = Keys([[0; HASH_LEN]; COUNT]);
    let mut previous: Option<Zeroizing<[u8; HASH_LEN]>> = None;
    for (slot, number) in keys.0.iter_mut().zip(1u8..) {
        let before = previous.as_ref().map_or(&[][..], |block| &block[..]);
        let mut parts = alloc::vec::Vec::with_capacity(info.len().saturating_add(2));
        parts.push(before);
        parts.extend_from_slice(info);
        let number = [number];
        parts.push(&number);
        let block = hmac(cipher, key, &parts);
        *slot = *block;
        previous = Some(block);
    }
    keys
}

/// Noise's HKDF (§4.3): `COUNT` outputs from the chaining key and new material. It is RFC 5869's
/// with the chaining key as the salt and without info.
pub(crate) fn hkdf<const COUNT: usize>(
    cipher: Cipher,
    chaining: &[u8; HASH_LEN],
    material: &[u8],
) -> Keys<COUNT> {
    expand(cipher, &extract(cipher, chaining, &[material]), &[])
}

/// `COUNT` derived keys, wiped when dropped.
pub(crate) struct Keys<const COUNT: usize>(pub(crate) [[u8; HASH_LEN]; COUNT]);

impl<const COUNT: usize> Drop for Keys<COUNT> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{array, hex};
    use super::*;
    use Cipher::{AesGcm, ChaChaPoly};

    /// FIPS 180-2 and RFC 7693 §B: "abc", whole and in parts.
    #[test]
    fn hashes_of_abc_are_those_of_the_standards() {
        let sha = array("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let blake = array("508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982");
        for parts in [&[&b"abc"[..]][..], &[b"a", b"", b"bc"]] {
            assert_eq!(hash(AesGcm, parts), sha);
            assert_eq!(hash(ChaChaPoly, parts), blake);
        }
    }

    /// RFC 4231 §4.2 and §4.3. The second has a short key, so it shows the padding too.
    #[test]
    fn hmac_sha256_matches_rfc_4231() {
        let mut key = [0; 32];
        key[..20].fill(0x0b);
        assert_eq!(
            *hmac(AesGcm, &key, &[b"Hi There"]),
            array("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7")
        );
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        assert_eq!(
            *hmac(AesGcm, &key, &[b"what do ya want ", b"for nothing?"]),
            array("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
        );
    }

    /// RFC 5869 §A.1 (its 42 bytes are the first of our 64) and §A.3, without salt and info.
    #[test]
    fn hkdf_sha256_matches_rfc_5869() {
        let mut salt = [0; 32];
        salt[..13].copy_from_slice(&hex("000102030405060708090a0b0c"));
        let key = extract(AesGcm, &salt, &[&[0x0b; 22]]);
        assert_eq!(*key, array("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5"));
        let okm = expand::<2>(AesGcm, &key, &[&hex("f0f1f2f3f4"), &hex("f5f6f7f8f9")]);
        assert_eq!(
            okm.0.as_flattened()[..42],
            hex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf\
                 34007208d5b887185865")
        );
        let okm = hkdf::<2>(AesGcm, &[0; 32], &[0x0b; 22]);
        assert_eq!(
            okm.0.as_flattened()[..42],
            hex("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d\
                 9d201395faa4b61a96c8")
        );
    }

    /// HKDF with HMAC-BLAKE2s, reckoned by another implementation of both.
    #[test]
    fn hkdf_blake2s_matches_another_implementation() {
        let salt: [u8; 32] = core::array::from_fn(|at| at as u8);
        let key = extract(ChaChaPoly, &salt, &[b"in", b"put"]);
        assert_eq!(*key, array("bbe722d569a4845b94c23b9ae71c3dc04877099c376a541d26f313ca7348fd3a"));
        assert_eq!(
            expand::<3>(ChaChaPoly, &key, &[b"info"]).0.as_flattened(),
            hex("80177175a7e15d264e83a062c5defea05cf53b5d1f74c64dd2eb2b23468f0565\
                 0475f01a19cb3f0f3ba88bf7d45e431c65bb7216c297a99ef9126ab8302a62b2\
                 51d865da3c71207f95f73e1291d94a87678a6ac97d990bd88ea6bc8495e326c9")
        );
    }
}
