//! The AEAD seam: what seals and opens packets, handed in by configuration, and the pure-Rust one.
//!
//! In goes a key, a packet number, a header and a text; out comes the text sealed or opened in
//! place and its tag. The suite is agreed on the wire; which back end computes it shows nowhere. A
//! back end never sees the same number twice for sealing under one key: the caller sees to that.

use super::suite::Cipher;
use aes_gcm::Aes256Gcm;
use alloc::boxed::Box;
use alloc::sync::Arc;
use chacha20poly1305::aead::{AeadCore, AeadInOut};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
use core::fmt;
use zeroize::Zeroizing;

/// How many bytes a tag has, in every suite.
pub const TAG_LEN: usize = 16;

/// What was to be opened is not what was sealed: wrong key, number, header, text or tag.
///
/// Which of them is not said, because nobody can know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenError;

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the packet does not verify")
    }
}

impl core::error::Error for OpenError {}

/// One key of one cipher.
///
/// The nonce is `number` laid out as in Noise (§12): four zero bytes, then the number in eight,
/// little endian for ChaChaPoly and big endian for AESGCM. Same key and inputs, same outputs.
pub trait AeadKey: Send + Sync + fmt::Debug {
    /// Encrypts `text` in place and returns the tag over `header` and it.
    fn seal(&self, number: u64, header: &[u8], text: &mut [u8]) -> [u8; TAG_LEN];

    /// Decrypts `text` in place if `tag` fits `header` and it.
    ///
    /// # Errors
    /// [`OpenError`] if the tag does not fit; what `text` then holds is unspecified.
    fn open(
        &self,
        number: u64,
        header: &[u8],
        text: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<(), OpenError>;

    /// A copy of this key, so that a machine that holds it can be copied.
    fn clone_key(&self) -> Box<dyn AeadKey>;

    /// The same key in a form for connections that are idle: it takes less memory, and computes the
    /// same, but slowly. `None` if there is none; then it stays as it is.
    fn resting(&self) -> Option<Box<dyn AeadKey>> {
        None
    }

    /// Of a key that [rests](Self::resting): the same one, fast again.
    fn ready(&self) -> Option<Box<dyn AeadKey>> {
        None
    }
}

/// A back end: makes keys.
pub trait Aead: Send + Sync + fmt::Debug {
    /// The key of `cipher` made of these bytes.
    fn key(&self, cipher: Cipher, key: &[u8; 32]) -> Box<dyn AeadKey>;
}

/// The best back end built in: the one of the feature `fast-aead` if it is on, else [`PureAead`].
pub fn default_aead() -> Arc<dyn Aead> {
    #[cfg(feature = "fast-aead")]
    return Arc::new(super::ring::FastAead);
    #[cfg(not(feature = "fast-aead"))]
    return Arc::new(PureAead);
}

/// The nonce for `number` under `cipher` (Noise §12).
pub(crate) fn nonce(cipher: Cipher, number: u64) -> [u8; 12] {
    let [a, b, c, d, e, f, g, h] = match cipher {
        Cipher::ChaChaPoly => number.to_le_bytes(),
        Cipher::AesGcm => number.to_be_bytes(),
    };
    [0, 0, 0, 0, a, b, c, d, e, f, g, h]
}

/// The back end in pure Rust: works everywhere, needs no C compiler, wipes its keys when dropped.
#[derive(Clone, Copy, Debug, Default)]
pub struct PureAead;

impl Aead for PureAead {
    fn key(&self, cipher: Cipher, key: &[u8; 32]) -> Box<dyn AeadKey> {
        match cipher {
            // That is the key itself, and nothing that could be left out.
            Cipher::ChaChaPoly => {
                Box::new(PureKey { cipher, aead: ChaCha20Poly1305::new(key.into()), rests: None })
            }
            Cipher::AesGcm => {
                let rests = Some(RestingKey::new(Self, cipher, key));
                Box::new(PureKey { cipher, aead: Aes256Gcm::new(key.into()), rests })
            }
        }
    }
}

/// A key that is made ready for each use.
#[derive(Clone)]
pub(super) struct RestingKey<B> {
    back_end: B,
    cipher: Cipher,
    bytes: Zeroizing<[u8; 32]>,
}

impl<B: Aead> RestingKey<B> {
    pub(super) fn new(back_end: B, cipher: Cipher, bytes: &[u8; 32]) -> Self {
        Self { back_end, cipher, bytes: Zeroizing::new(*bytes) }
    }

    fn made(&self) -> Box<dyn AeadKey> {
        self.back_end.key(self.cipher, &self.bytes)
    }
}

impl<B> fmt::Debug for RestingKey<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RestingKey({:?}, ..)", self.cipher)
    }
}

impl<B: Aead + Clone + 'static> AeadKey for RestingKey<B> {
    fn seal(&self, number: u64, header: &[u8], text: &mut [u8]) -> [u8; TAG_LEN] {
        self.made().seal(number, header, text)
    }

    fn open(
        &self,
        number: u64,
        header: &[u8],
        text: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<(), OpenError> {
        self.made().open(number, header, text, tag)
    }

    fn clone_key(&self) -> Box<dyn AeadKey> {
        Box::new(self.clone())
    }

    fn ready(&self) -> Option<Box<dyn AeadKey>> {
        Some(self.made())
    }
}

/// A key of the pure back end: one of the two ciphers, expanded.
#[derive(Clone)]
struct PureKey<A> {
    cipher: Cipher,
    aead: A,
    rests: Option<RestingKey<PureAead>>,
}

impl<A> fmt::Debug for PureKey<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PureKey({:?}, ..)", self.cipher)
    }
}

impl<A> AeadKey for PureKey<A>
where
    A: AeadInOut + Clone + Send + Sync + 'static,
    A: AeadCore<NonceSize = aes_gcm::aead::consts::U12, TagSize = aes_gcm::aead::consts::U16>,
{
    fn seal(&self, number: u64, header: &[u8], text: &mut [u8]) -> [u8; TAG_LEN] {
        let nonce = nonce(self.cipher, number).into();
        match self.aead.encrypt_inout_detached(&nonce, header, (&mut *text).into()) {
            Ok(tag) => tag.into(),
            Err(_) => {
                // Only a text of more than 2^36 bytes fails, and no packet is one. Should it come
                // to that, nothing readable may leave.
                text.fill(0);
                [0; TAG_LEN]
            }
        }
    }

    fn open(
        &self,
        number: u64,
        header: &[u8],
        text: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<(), OpenError> {
        let nonce = nonce(self.cipher, number).into();
        self.aead
            .decrypt_inout_detached(&nonce, header, text.into(), tag.into())
            .map_err(|_| OpenError)
    }

    fn clone_key(&self) -> Box<dyn AeadKey> {
        Box::new(self.clone())
    }

    fn resting(&self) -> Option<Box<dyn AeadKey>> {
        self.rests.clone().map(|resting| Box::new(resting) as Box<dyn AeadKey>)
    }
}

#[cfg(test)]
#[path = "aead_tests.rs"]
mod tests;
