//! Hears what is in packets before they are sealed, so that records can say it.
//!
//! A cipher is put around that of each endpoint. It computes what the inner one does, and writes
//! down the frames of each DATA packet, in words, under the packet's tag; who sees a datagram finds
//! them by its last bytes. Of packets that nobody asks about the oldest are forgotten.

use super::words;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tripline::{Aead, AeadKey, AeadOpenError, Cipher, TAG_LEN};

/// How many packets are remembered.
const REMEMBERED: usize = 16_384;

/// Frames in words, by the tags of their packets.
#[derive(Debug, Default)]
struct Heard {
    words: BTreeMap<u128, String>,
    /// The same tags, in the order in which they were heard.
    order: VecDeque<u128>,
}

/// What was heard; copies share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Ears {
    heard: Arc<Mutex<Heard>>,
}

impl Ears {
    /// A cipher that computes what `inner` does, and is listened to.
    pub(super) fn around(&self, inner: Arc<dyn Aead>) -> Arc<dyn Aead> {
        Arc::new(Heeded { inner, ears: self.clone() })
    }

    /// What is in a datagram: its frames if it was heard how it was sealed, else what everybody
    /// can see.
    pub(super) fn what_is_in(&self, packet: &[u8]) -> String {
        let heard = self.heard();
        let frames =
            packet.last_chunk().and_then(|tag| heard.words.get(&u128::from_be_bytes(*tag)));
        frames.cloned().unwrap_or_else(|| words::what_is_in(packet))
    }

    /// Whoever panicked with it in hand was stopped long ago; what was heard before stays.
    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(&self, number: u64, header: &[u8], text: &[u8], tag: &[u8; TAG_LEN]) {
        let Some(data) = words::data(number, header, text) else { return };
        let tag = u128::from_be_bytes(*tag);
        let mut heard = self.heard();
        if heard.words.insert(tag, data).is_none() {
            heard.order.push_back(tag);
        }
        if heard.order.len() > REMEMBERED
            && let Some(oldest) = heard.order.pop_front()
        {
            heard.words.remove(&oldest);
        }
    }
}

/// A cipher that is listened to.
#[derive(Debug)]
struct Heeded {
    inner: Arc<dyn Aead>,
    ears: Ears,
}

impl Aead for Heeded {
    fn key(&self, cipher: Cipher, key: &[u8; 32]) -> Box<dyn AeadKey> {
        Box::new(HeededKey { inner: self.inner.key(cipher, key), ears: self.ears.clone() })
    }
}

/// One of its keys.
#[derive(Debug)]
struct HeededKey {
    inner: Box<dyn AeadKey>,
    ears: Ears,
}

impl AeadKey for HeededKey {
    fn seal(&self, number: u64, header: &[u8], text: &mut [u8]) -> [u8; TAG_LEN] {
        let copy = text.to_vec();
        let tag = self.inner.seal(number, header, text);
        self.ears.hear(number, header, &copy, &tag);
        tag
    }

    fn open(
        &self,
        number: u64,
        header: &[u8],
        text: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<(), AeadOpenError> {
        self.inner.open(number, header, text, tag)
    }

    fn clone_key(&self) -> Box<dyn AeadKey> {
        Box::new(Self { inner: self.inner.clone_key(), ears: self.ears.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cipher::FastAead;

    const HEADER: [u8; 11] = [0x80, 1, 2, 3, 4, 5, 6, 7, 8, 0, 10];
    /// PING with a token of eight bytes and no flags.
    const PING: [u8; 10] = [0x01, 1, 2, 3, 4, 5, 6, 7, 8, 0];

    #[test]
    fn what_was_sealed_is_known_and_nothing_else_changes() {
        let ears = Ears::default();
        let inner: Arc<dyn Aead> = Arc::new(FastAead);
        let plain = inner.key(Cipher::AesGcm, &[3; 32]);
        let key = ears.around(inner).key(Cipher::AesGcm, &[3; 32]).clone_key();
        let (mut one, mut other) = (PING, PING);
        let tag = key.seal(10, &HEADER, &mut one);
        assert_eq!(plain.seal(10, &HEADER, &mut other), tag);
        assert_eq!(one, other);
        let packet = [&HEADER[..], &one, &tag].concat();
        assert_eq!(ears.what_is_in(&packet), "DATA 10 to 01020304: PING");
        key.open(10, &HEADER, &mut one, &tag).unwrap();
        assert_eq!(one, PING);
        assert_eq!(ears.what_is_in(&packet[..20]), "DATA to 01020304 …000a");
        assert_eq!(ears.what_is_in(&[]), "nothing");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let ears = Ears::default();
        for number in 0..=REMEMBERED as u64 {
            ears.hear(number, &HEADER, &PING, &u128::from(number).to_be_bytes());
        }
        assert_eq!(ears.heard().words.len(), REMEMBERED);
        assert!(!ears.heard().words.contains_key(&0));
    }
}
