//! The published vectors, both back ends against each other, and what must not open.

use super::super::testing::{array, hex, random, random_bytes};
use super::*;
use alloc::vec::Vec;
use tripline_sansio::Random;

const CIPHERS: [Cipher; 2] = [Cipher::ChaChaPoly, Cipher::AesGcm];

/// The back ends that are built in.
fn back_ends() -> Vec<Arc<dyn Aead>> {
    alloc::vec![
        Arc::new(PureAead),
        #[cfg(feature = "fast-aead")]
        Arc::new(super::super::FastAead),
        default_aead(),
    ]
}

/// RFC 8439 §2.8.2. Its nonce begins with a constant that Noise does not have, so the crate is
/// called as the seam calls it, but for the nonce.
#[test]
fn chacha20_poly1305_matches_rfc_8439() {
    let key = core::array::from_fn::<u8, 32, _>(|at| 0x80 + at as u8);
    let nonce: [u8; 12] = array("070000004041424344454647");
    let header = hex("50515253c0c1c2c3c4c5c6c7");
    let mut text = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip \
                     for the future, sunscreen would be it."
        .to_vec();
    let aead = ChaCha20Poly1305::new(&key.into());
    let tag = aead.encrypt_inout_detached(&nonce.into(), &header, (&mut text[..]).into()).unwrap();
    assert_eq!(
        text,
        hex("d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6\
             3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36\
             92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc\
             3ff4def08e4b7a9de576d26586cec64b6116")
    );
    assert_eq!(<[u8; 16]>::from(tag), array("1ae10b594f09e26a7e902ecbd0600691"));
}

/// The GCM specification (McGrew and Viega), test cases 13 and 14: AES-256, nonce of zeros. They
/// fit the seam as number 0.
#[test]
fn aes_256_gcm_matches_the_specification_through_the_seam() {
    for aead in back_ends() {
        let key = aead.key(Cipher::AesGcm, &[0; 32]);
        assert_eq!(key.seal(0, &[], &mut []), array("530f8afbc74536b9a963b4f1c4cb738b"), "{key:?}");
        let mut text = [0; 16];
        let tag = key.seal(0, &[], &mut text);
        assert_eq!(text, array("cea7403d4d606b6e074ec5d3baf39d18"), "{key:?}");
        assert_eq!(tag, array("d0d1c8a799996bf0265b98b5d48ab919"), "{key:?}");
    }
}

/// The GCM specification, test case 16: with a header; its nonce is not one of ours.
#[test]
fn aes_256_gcm_matches_the_specification_with_a_header() {
    let key: [u8; 32] = array("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
    let nonce: [u8; 12] = array("cafebabefacedbaddecaf888");
    let mut text = hex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72\
                        1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39");
    let header = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
    let aead = Aes256Gcm::new(&key.into());
    let tag = aead.encrypt_inout_detached(&nonce.into(), &header, (&mut text[..]).into()).unwrap();
    assert_eq!(
        text,
        hex("522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa\
             8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662")
    );
    assert_eq!(<[u8; 16]>::from(tag), array("76fc6ece0f4e1768cddf8853bb2d551b"));
}

/// R-DATA-1: four zero bytes, then the number, little endian for one cipher and big endian for the
/// other.
#[test]
fn r_data_1_nonces_are_laid_out_as_in_noise() {
    let number = 0x0102_0304_0506_0708;
    assert_eq!(nonce(Cipher::ChaChaPoly, number), array("000000000807060504030201"));
    assert_eq!(nonce(Cipher::AesGcm, number), array("000000000102030405060708"));
}

/// Every back end gives the same bytes, opens what the others sealed, and gets the text back: all
/// lengths up to 300, then some up to the largest datagram.
#[test]
fn back_ends_agree_at_all_lengths() {
    let mut random = random(1);
    let long = [511, 512, 513, 1023, 1024, 1200, 1472, 2048, 8952, 65_507];
    for cipher in CIPHERS {
        for length in (0..=300).chain(long) {
            agree(cipher, length, &mut random);
        }
    }
}

fn agree(cipher: Cipher, length: usize, random: &mut Random) {
    let bytes = random.bytes();
    let number = random.bits64();
    let header_len = random.below(40) as usize;
    let header = random_bytes(random, header_len);
    let text = random_bytes(random, length);
    let mut expected: Option<(Vec<u8>, [u8; TAG_LEN])> = None;
    for aead in back_ends() {
        let key = aead.key(cipher, &bytes).clone_key();
        let mut sealed = text.clone();
        let tag = key.seal(number, &header, &mut sealed);
        let (first, first_tag) = expected.get_or_insert((sealed.clone(), tag));
        assert_eq!((&sealed, tag), (&*first, *first_tag), "{key:?}, {length} bytes");
        assert_eq!(key.open(number, &header, &mut sealed, &tag), Ok(()));
        assert_eq!(sealed, text, "{key:?}, {length} bytes");
    }
}

/// R-DATA-1: one bit changed in text, tag, header, number or key, and nothing opens.
#[test]
fn r_data_1_any_changed_bit_is_refused() {
    let mut random = random(2);
    for aead in back_ends() {
        for cipher in CIPHERS {
            let bytes: [u8; 32] = random.bytes();
            let key = aead.key(cipher, &bytes);
            let header = random_bytes(&mut random, 11);
            let mut sealed = random_bytes(&mut random, 40);
            let tag = key.seal(77, &header, &mut sealed);
            let open = |number, header: &[u8], text: &[u8], tag: &[u8]| {
                let tag = tag.try_into().unwrap();
                aead.key(cipher, &bytes).open(number, header, &mut text.to_vec(), &tag)
            };
            assert_eq!(open(77, &header, &sealed, &tag), Ok(()));
            assert!(flips(&sealed).all(|text| open(77, &header, &text, &tag).is_err()));
            assert!(flips(&tag).all(|tag| open(77, &header, &sealed, &tag).is_err()));
            assert!(flips(&header).all(|header| open(77, &header, &sealed, &tag).is_err()));
            assert!((0..64).all(|bit| open(77 ^ 1 << bit, &header, &sealed, &tag).is_err()));
            for bytes in flips(&bytes).map(|bytes| bytes.try_into().unwrap()) {
                let other = aead.key(cipher, &bytes);
                assert_eq!(other.open(77, &header, &mut sealed.clone(), &tag), Err(OpenError));
            }
            // A byte less, a byte more, a byte moved over the border between header and text.
            assert!(open(77, &header, &sealed[..39], &tag).is_err());
            assert!(open(77, &header[..10], &sealed, &tag).is_err());
            assert!(open(77, &header, &[&sealed[..], &[0]].concat(), &tag).is_err());
            assert!(open(77, &header[..10], &[&header[10..], &sealed].concat(), &tag).is_err());
        }
    }
}

/// `bytes` with one bit flipped, once for every bit.
fn flips(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    (0..bytes.len() * 8).map(|bit| {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        flipped
    })
}

/// No key shows in what is printed of it.
#[test]
fn debug_text_names_the_cipher_only() {
    for aead in back_ends() {
        for cipher in CIPHERS {
            let text = alloc::format!("{:?}", aead.key(cipher, &[0xab; 32]));
            assert!(text.ends_with(&alloc::format!("Key({cipher:?}, ..)")), "{text}");
        }
    }
}

/// A key that rests computes what it did before, and so does the one that is made ready again.
#[test]
fn keys_rest_and_are_ready_again() {
    for aead in back_ends() {
        for cipher in CIPHERS {
            let key = aead.key(cipher, &[7; 32]);
            assert!(key.ready().is_none(), "{key:?} does not rest");
            let Some(resting) = key.resting() else {
                // There the key is nothing but its bytes.
                assert_eq!(alloc::format!("{key:?}"), "PureKey(ChaChaPoly, ..)");
                continue;
            };
            let forms = [resting.clone_key(), resting.ready().unwrap(), resting];
            for form in forms {
                let (mut one, mut other) = (*b"a text", *b"a text");
                let tag = key.seal(9, b"head", &mut one);
                assert_eq!(form.seal(9, b"head", &mut other), tag, "{form:?}");
                assert_eq!(one, other);
                assert_eq!(form.open(8, b"head", &mut other.clone(), &tag), Err(OpenError));
                form.open(9, b"head", &mut other, &tag).unwrap();
                assert_eq!(&other, b"a text");
            }
        }
    }
}
