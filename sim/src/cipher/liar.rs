//! A peer that lies: it owns real keys, and now and then acknowledges what was never sent
//! (R-ACK-2).
//!
//! An engine cannot be made to lie, so its cipher does: of what the engine gives it to seal it
//! changes an ACK, in place, and notes that it did. What an honest peer owes to a liar is the end
//! of the connection, and that is judged where all is judged, in `inspect`.

use super::tape::{id_of, is_data};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tripline::{Aead, AeadKey, AeadOpenError, Cipher, TAG_LEN};

/// Lies that are remembered; the oldest goes.
const LIES_MAX: usize = 1_024;
/// One packet of so many is a lie, if it can be.
const EVERY: u64 = 16;
/// An ACK, and one with counts of marks (PROTOCOL.md §3).
const ACKS: [u8; 2] = [0x03, 0x04];
/// The largest number of an ACK that is worth a lie: written in two bytes, and so far from what
/// those can say that nobody has sent that.
const WORTH: std::ops::Range<u16> = 0x40..0x2000;
/// What is said instead: the most that two bytes can say.
const CLAIM: u16 = 0x3fff;

/// A lie that was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lie {
    /// The ID and the number of the packet.
    pub(crate) packet: (u64, u64),
    /// The largest number that it acknowledges.
    pub(crate) claim: u64,
}

/// All lies of a run that were told and not yet heard.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lies(Arc<Mutex<VecDeque<Lie>>>);

impl Lies {
    fn note(&self, lie: Lie) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push_back(lie);
        if all.len() > LIES_MAX {
            all.pop_front();
        }
    }

    /// The lie of this packet, once.
    pub(crate) fn take(&self, packet: (u64, u64)) -> Option<Lie> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = all.iter().position(|lie| lie.packet == packet)?;
        all.remove(at)
    }
}

/// Wraps a cipher, and changes what it is to seal.
#[derive(Debug)]
pub(crate) struct Liar {
    inner: Arc<dyn Aead>,
    lies: Lies,
}

impl Liar {
    /// Wraps `inner`, and notes its lies.
    pub(crate) fn new(inner: Arc<dyn Aead>, lies: Lies) -> Self {
        Self { inner, lies }
    }
}

impl Aead for Liar {
    fn key(&self, cipher: Cipher, key: &[u8; 32]) -> Box<dyn AeadKey> {
        Box::new(LiarsKey { inner: self.inner.key(cipher, key), lies: self.lies.clone() })
    }
}

#[derive(Debug)]
struct LiarsKey {
    inner: Box<dyn AeadKey>,
    lies: Lies,
}

/// Makes an ACK at the beginning of a packet a lie; whether it did.
fn lie(text: &mut [u8]) -> bool {
    let Some(([kind, largest @ ..], _)) = text.split_first_chunk_mut::<3>() else { return false };
    // Two bytes of a varint begin with the bits 01.
    let Some(value) = u16::from_be_bytes(*largest).checked_sub(0x4000) else { return false };
    let is_worth = ACKS.contains(kind) && WORTH.contains(&value);
    if is_worth {
        *largest = (0x4000 | CLAIM).to_be_bytes();
    }
    is_worth
}

impl AeadKey for LiarsKey {
    fn seal(&self, number: u64, header: &[u8], text: &mut [u8]) -> [u8; TAG_LEN] {
        if is_data(header) && number % EVERY == EVERY / 2 && lie(text) {
            let packet = (id_of(header), number);
            self.lies.note(Lie { packet, claim: u64::from(CLAIM) });
        }
        self.inner.seal(number, header, text)
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
        Box::new(Self { inner: self.inner.clone_key(), lies: self.lies.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_a_lie_in_place_becomes_one() {
        let mut text = [0x03, 0x41, 0x00, 0, 0, 0];
        assert!(lie(&mut text));
        assert_eq!(text, [0x03, 0x7f, 0xff, 0, 0, 0]);
        for honest in
            [&[0x03, 0x3f, 0, 0, 0][..], &[0x18, 0x41, 0, 0], &[0x03, 0x80, 1, 0, 0], &[3]]
        {
            let mut text = honest.to_vec();
            assert!(!lie(&mut text) && text == honest, "{honest:?}");
        }
    }

    #[test]
    fn lies_are_heard_once() {
        let lies = Lies::default();
        let one = Lie { packet: (7, 24), claim: 9 };
        lies.note(one);
        assert_eq!(lies.take((7, 25)), None);
        assert_eq!(lies.take((7, 24)), Some(one));
        assert_eq!(lies.take((7, 24)), None);
    }
}
