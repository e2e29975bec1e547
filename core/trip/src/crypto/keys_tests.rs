//! The vectors of RFC 7748, the keys that must be refused, and the texts with all their faults.

use super::super::testing::{array, random};
use super::*;
use KeyTextError::{Character, Checksum, Ending, Kind, Length, NotCanonical, Prefix};
use alloc::string::ToString;

fn exchange(secret: &str, public: &str) -> [u8; 32] {
    let public = PublicKey::from_bytes(array(public));
    *SecretKey::from_bytes(array(secret)).diffie_hellman(&public).unwrap()
}

/// RFC 7748 §5.2, both multiplications. The second point has its highest bit set, which X25519
/// ignores; the wire would refuse it.
#[test]
fn x25519_matches_rfc_7748_single_multiplications() {
    assert_eq!(
        exchange(
            "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
            "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"
        ),
        array("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552")
    );
    let high_bit = "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493";
    assert_eq!(
        exchange("4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d", high_bit),
        array("95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957")
    );
    assert_eq!(PublicKey::from_wire(array(high_bit)), None);
}

/// RFC 7748 §5.2, iterated: after one round and after a thousand.
#[test]
fn x25519_matches_rfc_7748_iterated() {
    let mut point = [0; 32];
    point[0] = 9;
    let mut scalar = point;
    for round in 1..=1000 {
        let public = PublicKey::from_bytes(point);
        let next = *SecretKey::from_bytes(scalar).diffie_hellman(&public).unwrap();
        (point, scalar) = (scalar, next);
        if round == 1 {
            let once = "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079";
            assert_eq!(scalar, array(once));
        }
    }
    let thousand = "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51";
    assert_eq!(scalar, array(thousand));
}

/// RFC 7748 §6.1: both key pairs and their shared secret, from both sides.
#[test]
fn x25519_matches_rfc_7748_key_exchange() {
    let alice = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a";
    let alice_public = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";
    let bob = "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb";
    let bob_public = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f";
    let shared = array("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
    for (secret, public) in [(alice, alice_public), (bob, bob_public)] {
        assert_eq!(SecretKey::from_bytes(array(secret)).public_key().to_bytes(), array(public));
    }
    assert_eq!(exchange(alice, bob_public), shared);
    assert_eq!(exchange(bob, alice_public), shared);
}

/// The points of low order (order 1, 2, 4 and 8, on the curve and its twist) below the prime.
pub(crate) const LOW_ORDER: [&str; 5] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

/// R-OPEN-3: an exchange with a key of low order gives no secret, however the key is written.
#[test]
fn r_open_3_keys_of_low_order_give_no_secret() {
    let secret = SecretKey::generate(&mut random(3));
    for low in LOW_ORDER {
        let mut bytes = array(low);
        assert!(PublicKey::from_wire(bytes).is_some(), "{low} is canonical");
        assert!(PublicKey::from_bytes(bytes).is_weak(), "{low}");
        for high_bit in [0, 0x80] {
            bytes[31] |= high_bit;
            let result = secret.diffie_hellman(&PublicKey::from_bytes(bytes));
            assert_eq!(result.err(), Some(ZeroSecret), "{low}");
        }
    }
    // The same two points again, written as numbers above the prime.
    for first in [0xed, 0xee] {
        let mut bytes = [0xff; 32];
        (bytes[0], bytes[31]) = (first, 0x7f);
        let result = secret.diffie_hellman(&PublicKey::from_bytes(bytes));
        assert_eq!(result.err(), Some(ZeroSecret), "{first:x}");
    }
    assert!(!secret.public_key().is_weak());
}

/// R-OPEN-3: 2^255 − 20 is a key, all from 2^255 − 19 on is none, on the wire and as text.
#[test]
fn r_open_3_canonical_ends_below_the_prime() {
    let key = |first, middle, last| {
        let mut bytes = [middle; 32];
        (bytes[0], bytes[31]) = (first, last);
        PublicKey::from_bytes(bytes)
    };
    for good in [key(0xec, 0xff, 0x7f), key(0xff, 0xfe, 0x7f), key(0xff, 0xff, 0x7e)] {
        assert!(good.is_canonical(), "{good}");
        assert_eq!(PublicKey::from_wire(good.to_bytes()), Some(good));
        assert_eq!(good.to_string().parse(), Ok(good));
    }
    // One byte in the middle decides, wherever it is.
    for at in 1..31 {
        let mut bytes = key(0xff, 0xff, 0x7f).to_bytes();
        bytes[at] = 0xfe;
        assert!(PublicKey::from_bytes(bytes).is_canonical(), "byte {at}");
    }
    for bad in [
        key(0xed, 0xff, 0x7f),
        key(0xee, 0xff, 0x7f),
        key(0xff, 0xff, 0x7f),
        key(0, 0, 0x80),
        key(9, 0, 0x80),
        key(0xec, 0xff, 0xff),
        key(0xff, 0xff, 0xff),
    ] {
        assert!(!bad.is_canonical(), "{bad}");
        assert_eq!(PublicKey::from_wire(bad.to_bytes()), None);
        assert_eq!(bad.to_string().parse::<PublicKey>(), Err(NotCanonical));
    }
}

/// T17: the printable form, for bytes 0 to 31, reckoned by another implementation.
const PUBLIC: &str = "tpub1aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypulni";
const SECRET: &str = "tsec1aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypxweq";
const PSK: &str = "tpsk1aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dyp5cgi";

#[test]
fn t17_keys_have_the_published_text() {
    let bytes: [u8; 32] = core::array::from_fn(|at| at as u8);
    let public = PublicKey::from_bytes(bytes);
    assert_eq!((public.to_string(), alloc::format!("{public:?}")), (PUBLIC.into(), PUBLIC.into()));
    assert_eq!(*SecretKey::from_bytes(bytes).to_text(), SECRET);
    assert_eq!(*Psk::from_bytes(bytes).to_text(), PSK);
    assert_eq!(PUBLIC.parse(), Ok(public));
    assert_eq!(*SECRET.parse::<SecretKey>().unwrap().to_bytes(), bytes);
    assert_eq!(*PSK.parse::<Psk>().unwrap().to_bytes(), bytes);
}

/// T17: whatever the key, its text is read back as it.
#[test]
fn t17_texts_read_back() {
    let mut random = random(4);
    for _ in 0..50 {
        let (secret, psk) = (SecretKey::generate(&mut random), Psk::generate(&mut random));
        let public = secret.public_key();
        assert_eq!(public.to_string().parse(), Ok(public));
        let same: SecretKey = secret.to_text().parse().unwrap();
        assert_eq!((same.to_bytes(), same.public_key()), (secret.to_bytes(), public));
        let same: Psk = psk.to_text().parse().unwrap();
        assert_eq!(same.to_bytes(), psk.to_bytes());
    }
}

/// The error says what is wrong, and first what is most wrong.
#[test]
fn a_wrong_text_is_told_precisely() {
    let public = |text: &str| text.parse::<PublicKey>().unwrap_err();
    let secret = |text: &str| text.parse::<SecretKey>().unwrap_err();
    assert_eq!(public(SECRET), Kind { wanted: KeyKind::Public, found: KeyKind::Secret });
    assert_eq!(secret(PUBLIC), Kind { wanted: KeyKind::Secret, found: KeyKind::Public });
    assert_eq!(secret(PSK), Kind { wanted: KeyKind::Secret, found: KeyKind::Psk });
    assert_eq!(public(""), Prefix { wanted: KeyKind::Public });
    assert_eq!(public(&PUBLIC.to_uppercase()), Prefix { wanted: KeyKind::Public });
    assert_eq!(public(&PUBLIC[1..]), Prefix { wanted: KeyKind::Public });
    assert_eq!(public("tpub1"), Length { found: 5, wanted: 60 });
    assert_eq!(public(&PUBLIC[..59]), Length { found: 59, wanted: 60 });
    assert_eq!(public(&alloc::format!("{PUBLIC}\n")), Length { found: 61, wanted: 60 });
    for (at, wrong) in [(6, 'A'), (30, '1'), (45, '8'), (59, 'ü'), (60, '='), (60, ' ')] {
        let text: String = PUBLIC
            .chars()
            .enumerate()
            .map(|(index, letter)| if index + 1 == at { wrong } else { letter })
            .collect();
        assert_eq!(public(&text), Character { position: at }, "{text}");
    }
    // The last letter has three bits that must be 0: `i` is 01000.
    for last in "jklmnop".chars() {
        assert_eq!(public(&alloc::format!("{}{last}", &PUBLIC[..59])), Ending);
    }
}

/// Any one letter in place of another, and any two neighbours swapped, is noticed; so is a text
/// with the prefix of another kind.
#[test]
fn mistyped_texts_are_refused() {
    let letters: alloc::vec::Vec<char> = PUBLIC.chars().collect();
    let parse = |letters: &[char]| letters.iter().collect::<String>().parse::<PublicKey>();
    for at in 5..60 {
        for wrong in "abcdefghijklmnopqrstuvwxyz234567".chars().filter(|w| *w != letters[at]) {
            let mut text = letters.clone();
            text[at] = wrong;
            let error = parse(&text).unwrap_err();
            assert!(matches!(error, Checksum | Ending), "{wrong} at {at}: {error}");
        }
        let mut text = letters.clone();
        text.swap(at - 1, at);
        assert!(at == 5 || text == letters || parse(&text).is_err(), "swapped at {at}");
    }
    let other = SECRET.replace("tsec1", "tpub1");
    assert_eq!(other.parse::<PublicKey>(), Err(Checksum));
}

/// Neither a secret nor an error about its text prints a part of it.
#[test]
fn secrets_are_not_printed() {
    let secret: SecretKey = SECRET.parse().unwrap();
    let text = alloc::format!("{secret:?} {:?}", Psk::from_bytes([0xab; 32]));
    assert_eq!(text, alloc::format!("SecretKey(of {}) Psk(..)", secret.public_key()));
    let error = SECRET.replace('q', "!").parse::<SecretKey>().unwrap_err().to_string();
    assert_eq!(error, "character 9 of the key is none of a to z and 2 to 7");
    let error = SECRET.parse::<PublicKey>().unwrap_err().to_string();
    assert_eq!(error, "this is a secret key, where a public key (tpub1…) is wanted");
}
