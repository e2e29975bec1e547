//! Keys of identities and of handshakes: X25519 pairs and pre-shared keys.
//!
//! In go bytes, texts or a generator, out come keys, their texts and shared secrets. What is secret
//! is wiped when dropped and never printed; moving a value may still leave a copy behind, so keys
//! are best kept where they are made. Which key belongs to whom is not known here.

use super::key_text::{self, KeyKind, KeyTextError};
use alloc::string::String;
use core::fmt;
use core::str::FromStr;
use tripline_sansio::Random;
use x25519_dalek::StaticSecret;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// An X25519 public key: an identity, or one side's half of an exchange.
///
/// Printed as `tpub1…`, and read back from that text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// The key of these bytes, whatever they are; see [`Self::is_canonical`].
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key of bytes that came from a peer: R-OPEN-3, `None` if they are not canonical.
    pub(crate) fn from_wire(bytes: [u8; 32]) -> Option<Self> {
        Some(Self(bytes)).filter(Self::is_canonical)
    }

    /// The bytes of the key, as on the wire.
    pub const fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    /// The bytes of the key, as on the wire.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether the key is a number below 2^255 − 19 (R-OPEN-3). X25519 reduces larger ones, so
    /// without this rule one point would have several keys, and one party several names.
    pub fn is_canonical(&self) -> bool {
        // Little endian: the last byte is the highest. The prime is ed ff … ff 7f.
        let [low, middle @ .., high] = &self.0;
        match high {
            0x80.. => false,
            0x7f => *low < 0xed || middle.iter().any(|byte| *byte != 0xff),
            _ => true,
        }
    }
}

impl PublicKey {
    /// Whether every exchange with this key comes to zeros: it is one of the few points of low
    /// order (R-OPEN-3). Costs an exchange, with a secret that is none; so a peer's key can be
    /// refused before it has any effect.
    pub(crate) fn is_weak(&self) -> bool {
        SecretKey { secret: StaticSecret::from([1; 32]), public: *self }
            .diffie_hellman(self)
            .is_err()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&key_text::write(KeyKind::Public, &self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = KeyTextError;

    fn from_str(text: &str) -> Result<Self, KeyTextError> {
        let key = key_text::read(KeyKind::Public, text)?;
        Self::from_wire(*key).ok_or(KeyTextError::NotCanonical)
    }
}

/// The result of an exchange is all zeros: the other side's key is one of the few of low order, and
/// the secret would be no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ZeroSecret;

/// An X25519 secret key, with its public key.
///
/// Wiped when dropped; never printed but by [`Self::to_text`], as `tsec1…`.
#[derive(Clone)]
pub struct SecretKey {
    secret: StaticSecret,
    /// Kept, because making it takes a third of the time of an exchange.
    public: PublicKey,
}

impl SecretKey {
    /// A new key of the next 32 bytes of `random`.
    pub fn generate(random: &mut Random) -> Self {
        let bytes = Zeroizing::new(random.bytes());
        Self::from_bytes(*bytes)
    }

    /// The key of these bytes. All are good: X25519 sets the bits that have to be as they are.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        let secret = StaticSecret::from(bytes);
        let public = PublicKey(x25519_dalek::PublicKey::from(&secret).to_bytes());
        Self { secret, public }
    }

    /// The bytes of the key.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.secret.to_bytes())
    }

    /// The text of the key, for its owner's key file. Read it back with `parse`.
    pub fn to_text(&self) -> Zeroizing<String> {
        key_text::write(KeyKind::Secret, self.secret.as_bytes())
    }

    /// The public key that belongs to this one.
    pub const fn public_key(&self) -> PublicKey {
        self.public
    }

    /// This key with another's public key in place of its own: a hostile peer for tests.
    #[cfg(test)]
    pub(crate) fn pretending(self, public: PublicKey) -> Self {
        Self { public, ..self }
    }

    /// X25519 (RFC 7748): the secret that only the two owners can reckon.
    ///
    /// # Errors
    /// [`ZeroSecret`] if it is all zeros (R-OPEN-3), found without a branch on a secret bit.
    pub(crate) fn diffie_hellman(
        &self,
        other: &PublicKey,
    ) -> Result<Zeroizing<[u8; 32]>, ZeroSecret> {
        let shared = self.secret.diffie_hellman(&x25519_dalek::PublicKey::from(other.0));
        if shared.was_contributory() {
            Ok(Zeroizing::new(shared.to_bytes()))
        } else {
            Err(ZeroSecret)
        }
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.public)
    }
}

impl FromStr for SecretKey {
    type Err = KeyTextError;

    fn from_str(text: &str) -> Result<Self, KeyTextError> {
        key_text::read(KeyKind::Secret, text).map(|key| Self::from_bytes(*key))
    }
}

/// A pre-shared key: 32 secret bytes that two parties know and mix into their handshake.
///
/// Wiped when dropped; never printed but by [`Self::to_text`], as `tpsk1…`.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Psk([u8; 32]);

impl Psk {
    /// A new key of the next 32 bytes of `random`.
    pub fn generate(random: &mut Random) -> Self {
        Self(random.bytes())
    }

    /// The key of these bytes. They must be random: a password is no key.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes of the key.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0)
    }

    /// The bytes of the key, where they are.
    pub(crate) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The text of the key, for the two parties' files. Read it back with `parse`.
    pub fn to_text(&self) -> Zeroizing<String> {
        key_text::write(KeyKind::Psk, &self.0)
    }
}

impl fmt::Debug for Psk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Psk(..)")
    }
}

impl FromStr for Psk {
    type Err = KeyTextError;

    fn from_str(text: &str) -> Result<Self, KeyTextError> {
        key_text::read(KeyKind::Psk, text).map(|key| Self(*key))
    }
}

#[cfg(test)]
#[path = "keys_tests.rs"]
pub(crate) mod tests;
