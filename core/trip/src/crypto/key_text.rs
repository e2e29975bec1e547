//! Keys as printable text: a prefix that says what it is, then base32 of key and checksum.
//!
//! In goes a key or a text, out comes the other or precisely what is wrong with the text. The form
//! is `tpub1`, `tsec1` or `tpsk1`, then RFC 4648 base32 in small letters, without padding, of the
//! key and the first 2 bytes of BLAKE2s-256(prefix · key): 60 characters. Every key has one text.
//! An error never repeats a part of the text: it might be a secret, and errors end up in logs.

use alloc::string::String;
use blake2::{Blake2s256, Digest};
use core::fmt;
use zeroize::Zeroizing;

/// How many bytes of BLAKE2s follow the key. They are for mistypings, not against forgery.
const CHECKSUM_LEN: usize = 2;
/// Key and checksum as whole base32 groups of 5 bytes, as which they are read and written: the last
/// byte is made up.
const GROUPS_LEN: usize = 35;
/// How many characters follow the prefix: the last group of 4 bytes takes 7 of 8 characters.
const LETTERS: usize = 55;
/// How many characters a key's text has.
const TEXT_LEN: usize = 60;

/// What a printed key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// A public key, `tpub1…`: may be shown to anyone.
    Public,
    /// A secret key, `tsec1…`: never leaves its owner.
    Secret,
    /// A pre-shared key, `tpsk1…`: known to the two parties only.
    Psk,
}

impl KeyKind {
    /// The five characters that such a text begins with.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Public => "tpub1",
            Self::Secret => "tsec1",
            Self::Psk => "tpsk1",
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Public => "public key",
            Self::Secret => "secret key",
            Self::Psk => "pre-shared key",
        })
    }
}

/// Why a text is not the key that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyTextError {
    /// It begins like no key at all.
    Prefix {
        /// What was asked for.
        wanted: KeyKind,
    },
    /// It is a key, but of another kind.
    Kind {
        /// What was asked for.
        wanted: KeyKind,
        /// What it is by its prefix.
        found: KeyKind,
    },
    /// It has not as many characters as a key has.
    Length {
        /// How many characters it has.
        found: usize,
        /// How many it must have.
        wanted: usize,
    },
    /// A character that is not of the alphabet `a`–`z`, `2`–`7`.
    Character {
        /// Which one, counted from 1 at the start of the text.
        position: usize,
    },
    /// The last character is one that no key ends with.
    Ending,
    /// The checksum is another one: some character is mistyped, or characters are swapped.
    Checksum,
    /// The text is well-formed, but there is no such public key (R-OPEN-3).
    NotCanonical,
}

impl fmt::Display for KeyTextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefix { wanted } => {
                write!(f, "this is no {wanted}: it does not begin with {}", wanted.prefix())
            }
            Self::Kind { wanted, found } => {
                write!(f, "this is a {found}, where a {wanted} ({}…) is wanted", wanted.prefix())
            }
            Self::Length { found, wanted } => {
                write!(f, "the key has {found} characters and not {wanted}")
            }
            Self::Character { position } => {
                write!(f, "character {position} of the key is none of a to z and 2 to 7")
            }
            Self::Ending => f.write_str("the last character of the key is wrong"),
            Self::Checksum => f.write_str("the key is mistyped: its checksum does not fit"),
            Self::NotCanonical => f.write_str("there is no such public key"),
        }
    }
}

impl core::error::Error for KeyTextError {}

/// The text of `key`, in a string that is wiped when dropped.
pub(super) fn write(kind: KeyKind, key: &[u8; 32]) -> Zeroizing<String> {
    // With room for all from the start, no half-written secret stays behind in freed memory.
    let mut text = Zeroizing::new(String::with_capacity(TEXT_LEN));
    text.push_str(kind.prefix());
    let mut payload = Zeroizing::new([0; GROUPS_LEN]);
    let check = checksum(kind, key);
    let bytes = key.iter().chain(&check).copied();
    payload.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    let (groups, _) = payload.as_chunks();
    text.extend(groups.iter().flat_map(letters).take(LETTERS));
    text
}

/// The key that `text` spells.
///
/// # Errors
/// All of [`KeyTextError`] but `NotCanonical`, which is for the caller to find.
pub(super) fn read(wanted: KeyKind, text: &str) -> Result<Zeroizing<[u8; 32]>, KeyTextError> {
    let Some(letters) = text.strip_prefix(wanted.prefix()) else {
        let mut kinds = [KeyKind::Public, KeyKind::Secret, KeyKind::Psk].into_iter();
        return Err(match kinds.find(|kind| text.starts_with(kind.prefix())) {
            Some(found) => KeyTextError::Kind { wanted, found },
            None => KeyTextError::Prefix { wanted },
        });
    };
    let found = text.chars().count();
    if found != TEXT_LEN {
        return Err(KeyTextError::Length { found, wanted: TEXT_LEN });
    }
    if let Some(at) = letters.chars().position(|letter| value(letter).is_none()) {
        let position = wanted.prefix().len().saturating_add(at).saturating_add(1);
        return Err(KeyTextError::Character { position });
    }
    let mut payload = Zeroizing::new([0; GROUPS_LEN]);
    let (groups, _) = payload.as_chunks_mut();
    let mut values = letters.chars().filter_map(value);
    for group in groups {
        *group = bytes(&mut values);
    }
    // 55 characters hold 275 bits and the payload has 272: the last three are zero, and so is what
    // was made up to fill the group.
    let Some((key, [check @ .., 0])) = payload.split_first_chunk::<32>() else {
        return Err(KeyTextError::Ending);
    };
    if check == checksum(wanted, key) {
        Ok(Zeroizing::new(*key))
    } else {
        Err(KeyTextError::Checksum)
    }
}

fn checksum(kind: KeyKind, key: &[u8; 32]) -> [u8; CHECKSUM_LEN] {
    let hash = Blake2s256::new().chain_update(kind.prefix()).chain_update(key).finalize();
    let [first, second, ..]: [u8; 32] = hash.into();
    [first, second]
}

/// The eight letters of five bytes.
fn letters(&[a, b, c, d, e]: &[u8; 5]) -> [char; 8] {
    let bits = u64::from_be_bytes([0, 0, 0, a, b, c, d, e]);
    let value = |shift: u32| (bits.wrapping_shr(shift) & 31).to_be_bytes();
    [35, 30, 25, 20, 15, 10, 5, 0].map(value).map(|[.., value]| letter(value))
}

/// Five bytes out of eight values of 5 bits; values that are missing at the end count as 0.
fn bytes(values: &mut impl Iterator<Item = u8>) -> [u8; 5] {
    let bits = (0..8).fold(0u64, |bits, _| bits << 5 | u64::from(values.next().unwrap_or(0)));
    let [_, _, _, bytes @ ..] = bits.to_be_bytes();
    bytes
}

/// The letter of 5 bits.
fn letter(value: u8) -> char {
    char::from(match value {
        0..26 => b'a'.saturating_add(value),
        _ => b'2'.saturating_add(value.saturating_sub(26)),
    })
}

/// The 5 bits of a letter.
fn value(letter: char) -> Option<u8> {
    let byte = u8::try_from(letter).ok()?;
    match byte {
        b'a'..=b'z' => Some(byte.saturating_sub(b'a')),
        b'2'..=b'7' => Some(byte.saturating_sub(b'2').saturating_add(26)),
        _ => None,
    }
}
