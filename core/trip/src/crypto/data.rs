//! The protection of DATA: one key for one direction of one zone, and what it may be used for.
//!
//! In goes a packet with its number, out comes the same packet sealed or opened, in place. A
//! sealing key refuses a number that is not above all it had (R-DATA-2), so that no caller's
//! mistake uses a nonce twice. When to renew or close is not decided here, and the replay window is
//! kept elsewhere.

use super::aead::{Aead, AeadKey, OpenError, TAG_LEN};
use super::suite::Cipher;
use crate::wire::NUMBER_LIMIT;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

/// The number was used under this key, or is none (R-DATA-2): nothing was sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SealError;

/// A key ready for use, and what may be printed of it.
struct Key {
    ready: Box<dyn AeadKey>,
    cipher: Cipher,
}

impl Key {
    fn new(aead: &dyn Aead, cipher: Cipher, bytes: &[u8; 32]) -> Self {
        Self { ready: aead.key(cipher, bytes), cipher }
    }

    fn rest(&mut self) {
        if let Some(small) = self.ready.resting() {
            self.ready = small;
        }
    }

    fn wake(&mut self) {
        if let Some(ready) = self.ready.ready() {
            self.ready = ready;
        }
    }
}

impl Clone for Key {
    fn clone(&self) -> Self {
        Self { ready: self.ready.clone_key(), cipher: self.cipher }
    }
}

/// Seals the packets of one direction in one zone.
#[derive(Clone)]
pub(crate) struct SealKey {
    key: Key,
    /// The lowest number that may still be used.
    next: u64,
    sealed: u64,
}

impl SealKey {
    /// The key of these bytes, for numbers from `next` on: a new zone counts on (R-DATA-2).
    pub(crate) fn new(aead: &dyn Aead, cipher: Cipher, bytes: &[u8; 32], next: u64) -> Self {
        Self { key: Key::new(aead, cipher, bytes), next, sealed: 0 }
    }

    /// Gives back memory for as long as the key is not used, if its back end can.
    pub(crate) fn rest(&mut self) {
        self.key.rest();
    }

    /// Makes the key ready for use again.
    pub(crate) fn wake(&mut self) {
        self.key.wake();
    }

    /// How many packets this key has sealed (§5.3 limits them).
    pub(crate) const fn sealed(&self) -> u64 {
        self.sealed
    }

    /// Encrypts `text` in place; returns the tag that goes behind it. R-DATA-1: the header as sent
    /// is authenticated with it.
    ///
    /// # Errors
    /// [`SealError`] if `number` is not above all numbers before, or not below 2^62.
    pub(crate) fn seal(
        &mut self,
        number: u64,
        header: &[u8],
        text: &mut [u8],
    ) -> Result<[u8; TAG_LEN], SealError> {
        if number < self.next || number >= NUMBER_LIMIT {
            return Err(SealError);
        }
        self.next = number.saturating_add(1);
        self.sealed = self.sealed.saturating_add(1);
        Ok(self.key.ready.seal(number, header, text))
    }

    /// Seals the packet that makes up `out` from `start` on: `header_len` bytes of header, the rest
    /// text. The tag is appended. What lies before `start`, an earlier packet of the same train, is
    /// not touched.
    ///
    /// # Errors
    /// [`SealError`] as [`Self::seal`], and if the packet is shorter than its header.
    pub(crate) fn seal_packet(
        &mut self,
        number: u64,
        out: &mut Vec<u8>,
        start: usize,
        header_len: usize,
    ) -> Result<(), SealError> {
        let packet = out.get_mut(start..).ok_or(SealError)?;
        let (header, text) = packet.split_at_mut_checked(header_len).ok_or(SealError)?;
        let tag = self.seal(number, header, text)?;
        out.extend_from_slice(&tag);
        Ok(())
    }
}

/// Opens the packets of one direction in one zone.
#[derive(Clone)]
pub(crate) struct OpenKey {
    key: Key,
}

impl OpenKey {
    /// The key of these bytes.
    pub(crate) fn new(aead: &dyn Aead, cipher: Cipher, bytes: &[u8; 32]) -> Self {
        Self { key: Key::new(aead, cipher, bytes) }
    }

    /// As [`SealKey::rest`].
    pub(crate) fn rest(&mut self) {
        self.key.rest();
    }

    /// As [`SealKey::wake`].
    pub(crate) fn wake(&mut self) {
        self.key.wake();
    }

    /// Opens `packet` in place: `header_len` bytes of header, then ciphertext, then the tag.
    /// Returns where the plaintext now is.
    ///
    /// # Errors
    /// [`OpenError`] if the packet does not verify, or is too short to. What the packet's text then
    /// holds is unspecified.
    pub(crate) fn open_packet<'a>(
        &self,
        number: u64,
        packet: &'a mut [u8],
        header_len: usize,
    ) -> Result<&'a mut [u8], OpenError> {
        let (header, rest) = packet.split_at_mut_checked(header_len).ok_or(OpenError)?;
        let (text, tag) = rest.split_last_chunk_mut().ok_or(OpenError)?;
        self.key.ready.open(number, header, text, tag)?;
        Ok(text)
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealKey({:?}, next {})", self.key.cipher, self.next)
    }
}

impl fmt::Debug for OpenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenKey({:?})", self.key.cipher)
    }
}

#[cfg(test)]
mod tests {
    use super::super::aead::PureAead;
    use super::*;

    fn pair(cipher: Cipher) -> (SealKey, OpenKey) {
        let bytes = [7; 32];
        (SealKey::new(&PureAead, cipher, &bytes, 0), OpenKey::new(&PureAead, cipher, &bytes))
    }

    /// R-DATA-1: a packet sealed behind another in one buffer opens; neither key nor header nor
    /// number may be another.
    #[test]
    fn r_data_1_packets_are_sealed_and_opened_in_place() {
        for cipher in [Cipher::ChaChaPoly, Cipher::AesGcm] {
            let (mut seal, open) = pair(cipher);
            let mut train = b"earlier packet".to_vec();
            let start = train.len();
            train.extend_from_slice(b"head|the text");
            seal.seal_packet(5, &mut train, start, 5).unwrap();
            assert_eq!(train.len(), start + 13 + TAG_LEN);
            assert_eq!(train[..start + 5], b"earlier packethead|"[..]);
            assert_ne!(train[start + 5..start + 13], b"the text"[..]);
            let packet = train.split_off(start);
            assert_eq!(open.open_packet(5, &mut packet.clone(), 5).unwrap(), b"the text");
            assert_eq!(open.open_packet(6, &mut packet.clone(), 5), Err(OpenError));
            assert_eq!(open.open_packet(5, &mut packet.clone(), 4), Err(OpenError));
            for at in 0..packet.len() {
                let mut packet = packet.clone();
                packet[at] ^= 1;
                assert_eq!(open.open_packet(5, &mut packet, 5), Err(OpenError), "byte {at}");
            }
            let other = OpenKey::new(&PureAead, cipher, &[8; 32]);
            assert_eq!(other.open_packet(5, &mut packet.clone(), 5), Err(OpenError));
        }
    }

    /// R-DATA-2: no number twice, none after a higher one, none from 2^62 on, also in a copy; what
    /// is refused is left as it was.
    #[test]
    fn r_data_2_a_number_is_never_sealed_twice() {
        let (mut seal, _) = pair(Cipher::ChaChaPoly);
        seal.seal(0, b"", &mut []).unwrap();
        seal.seal(10, b"", &mut []).unwrap();
        for mut seal in [seal.clone(), seal] {
            for number in [0, 3, 10, NUMBER_LIMIT, u64::MAX] {
                let mut text = *b"text";
                assert_eq!(seal.seal(number, b"", &mut text), Err(SealError), "{number}");
                assert_eq!(&text, b"text");
            }
            assert!(seal.seal(NUMBER_LIMIT - 1, b"", &mut []).is_ok());
            assert!(seal.seal(NUMBER_LIMIT - 1, b"", &mut []).is_err());
        }
        let mut later = SealKey::new(&PureAead, Cipher::AesGcm, &[7; 32], 100);
        assert!(later.seal(99, b"", &mut []).is_err() && later.seal(100, b"", &mut []).is_ok());
    }

    /// Packets too short for header and tag are refused.
    #[test]
    fn short_packets_are_refused() {
        let (mut seal, open) = pair(Cipher::ChaChaPoly);
        for length in 0..5 + TAG_LEN {
            let mut packet = alloc::vec![0; length];
            assert_eq!(open.open_packet(0, &mut packet, 5), Err(OpenError), "{length}");
        }
        assert_eq!(seal.seal_packet(0, &mut b"abcd".to_vec(), 0, 5), Err(SealError));
        assert_eq!(seal.seal_packet(0, &mut b"abcd".to_vec(), 5, 0), Err(SealError));
        let mut empty = b"header".to_vec();
        seal.seal_packet(0, &mut empty, 0, 6).unwrap();
        assert_eq!(open.open_packet(0, &mut empty, 6).unwrap(), b"");
    }

    #[test]
    fn secrets_are_not_printed() {
        let (seal, open) = pair(Cipher::AesGcm);
        let text = alloc::format!("{seal:?} {open:?}");
        assert_eq!(text, "SealKey(AesGcm, next 0) OpenKey(AesGcm)");
    }
}
