//! Noise's symmetric state (§5.2): the hash of all that was said, the chaining key, the current
//! key.

use super::super::aead::{Aead, TAG_LEN};
use super::super::hash::{HASH_LEN, Keys, hash, hkdf};
use super::super::suite::{Cipher, Suite};
use super::NoiseError;
use alloc::vec::Vec;
use zeroize::Zeroizing;

/// What both sides agree on after each token.
#[derive(Clone)]
pub(super) struct Symmetric {
    cipher: Cipher,
    hash: [u8; HASH_LEN],
    chaining: Zeroizing<[u8; HASH_LEN]>,
    key: Option<Zeroizing<[u8; 32]>>,
    /// The number of the next text sealed under `key`.
    number: u64,
}

impl Symmetric {
    /// The state at the start: made of the protocol's name alone.
    pub(super) fn new(suite: Suite) -> Self {
        let name = suite.noise_name().as_bytes();
        let mut hash = [0; HASH_LEN];
        if name.len() > HASH_LEN {
            hash = super::super::hash::hash(suite.cipher, &[name]);
        } else {
            hash.iter_mut().zip(name).for_each(|(to, from)| *to = *from);
        }
        Self { cipher: suite.cipher, hash, chaining: Zeroizing::new(hash), key: None, number: 0 }
    }

    /// The hash of all that was mixed in so far.
    pub(super) const fn hash(&self) -> &[u8; HASH_LEN] {
        &self.hash
    }

    /// MixHash: what is public becomes part of the hash.
    pub(super) fn mix_hash(&mut self, data: &[u8]) {
        self.hash = hash(self.cipher, &[&self.hash, data]);
    }

    /// MixKey: what is secret becomes part of the keys.
    pub(super) fn mix_key(&mut self, material: &[u8]) {
        let Keys([chaining, key]) = &hkdf(self.cipher, &self.chaining, material);
        self.rekey(chaining, key);
    }

    /// MixKeyAndHash: a pre-shared key becomes part of both.
    pub(super) fn mix_key_and_hash(&mut self, material: &[u8; 32]) {
        let Keys([chaining, data, key]) = &hkdf(self.cipher, &self.chaining, material);
        self.mix_hash(data);
        self.rekey(chaining, key);
    }

    fn rekey(&mut self, chaining: &[u8; HASH_LEN], key: &[u8; 32]) {
        *self.chaining = *chaining;
        self.key = Some(Zeroizing::new(*key));
        self.number = 0;
    }

    /// EncryptAndHash: appends `text` to `out`, sealed if there is a key yet.
    pub(super) fn write(&mut self, aead: &dyn Aead, text: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(text);
        if let Some(key) = &self.key
            && let Some(text) = out.get_mut(start..)
        {
            let tag = aead.key(self.cipher, key).seal(self.number, &self.hash, text);
            out.extend_from_slice(&tag);
            self.number = self.number.saturating_add(1);
        }
        self.mix_hash(out.get(start..).unwrap_or_default());
    }

    /// DecryptAndHash: appends what `sealed` holds to `out`, if it verifies.
    ///
    /// # Errors
    /// `Short` if it cannot even hold a tag, `Open` if it does not verify. Then `out` may end with
    /// rubbish, and neither it nor this state may be used any more.
    pub(super) fn read(
        &mut self,
        aead: &dyn Aead,
        sealed: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), NoiseError> {
        let Some(key) = &self.key else {
            out.extend_from_slice(sealed);
            self.mix_hash(sealed);
            return Ok(());
        };
        let (text, tag) = sealed.split_last_chunk::<TAG_LEN>().ok_or(NoiseError::Short)?;
        let start = out.len();
        out.extend_from_slice(text);
        let opened = out.get_mut(start..).unwrap_or_default();
        let opening = aead.key(self.cipher, key);
        opening.open(self.number, &self.hash, opened, tag).map_err(|_| NoiseError::Open)?;
        self.number = self.number.saturating_add(1);
        self.mix_hash(sealed);
        Ok(())
    }

    /// By how much [`Self::write`] now lengthens a text.
    pub(super) const fn tag_len(&self) -> usize {
        if self.key.is_some() { TAG_LEN } else { 0 }
    }

    /// Split: the keys of the two directions, the initiator's first.
    pub(super) fn split(&self) -> Keys<2> {
        hkdf(self.cipher, &self.chaining, &[])
    }
}
