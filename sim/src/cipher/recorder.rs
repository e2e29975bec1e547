//! A cipher that tells: it computes what another one does, and writes down on a tape what was
//! sealed and what could be opened.

use super::tape::Tape;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tripline::{Aead, AeadKey, AeadOpenError, Cipher, TAG_LEN};

/// Wraps a cipher. Copies share one tape, which the inspector of the same run reads.
#[derive(Clone, Debug)]
pub struct Recorder {
    inner: Arc<dyn Aead>,
    tape: Arc<Mutex<Tape>>,
}

impl Recorder {
    /// Wraps `inner`, and writes on `tape`.
    pub(crate) fn new(inner: Arc<dyn Aead>, tape: Arc<Mutex<Tape>>) -> Self {
        Self { inner, tape }
    }
}

impl Aead for Recorder {
    fn key(&self, cipher: Cipher, key: &[u8; 32]) -> Box<dyn AeadKey> {
        let inner = self.inner.key(cipher, key);
        Box::new(RecordedKey { inner, print: fingerprint(cipher, key), tape: self.tape.clone() })
    }
}

/// 64 bits that stand for a key on the tape.
fn fingerprint(cipher: Cipher, key: &[u8; 32]) -> u64 {
    crate::digest(key) ^ u64::from(cipher == Cipher::AesGcm)
}

#[derive(Debug)]
struct RecordedKey {
    inner: Box<dyn AeadKey>,
    print: u64,
    tape: Arc<Mutex<Tape>>,
}

impl RecordedKey {
    /// A test that panicked with the tape in its hands has failed already.
    fn tape(&self) -> MutexGuard<'_, Tape> {
        self.tape.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AeadKey for RecordedKey {
    fn seal(&self, number: u64, header: &[u8], text: &mut [u8]) -> [u8; TAG_LEN] {
        let mut tape = self.tape();
        let copy = tape.copy(text);
        let tag = self.inner.seal(number, header, text);
        tape.sealed(self.print, number, header, &tag, copy);
        tag
    }

    fn open(
        &self,
        number: u64,
        header: &[u8],
        text: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<(), AeadOpenError> {
        let result = self.inner.open(number, header, text, tag);
        self.tape().opened(number, header, result.is_ok());
        result
    }

    fn clone_key(&self) -> Box<dyn AeadKey> {
        let inner = self.inner.clone_key();
        Box::new(Self { inner, print: self.print, tape: self.tape.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cipher::FastAead;
    use tripline::PureAead;

    const HEADER: [u8; 11] = [0x80, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10];

    fn recorded(inner: Arc<dyn Aead>) -> (Box<dyn AeadKey>, Arc<Mutex<Tape>>) {
        let tape = Arc::new(Mutex::new(Tape::default()));
        let recorder = Recorder::new(inner, tape.clone());
        (recorder.key(Cipher::AesGcm, &[3; 32]), tape)
    }

    #[test]
    fn it_computes_what_the_inner_one_does_and_tells() {
        for inner in [Arc::new(PureAead) as Arc<dyn Aead>, Arc::new(FastAead)] {
            let (key, tape) = recorded(inner.clone());
            let plain = inner.key(Cipher::AesGcm, &[3; 32]);
            let (mut one, mut other) = (*b"a text", *b"a text");
            let tag = key.seal(9, &HEADER, &mut one);
            assert_eq!(plain.seal(9, &HEADER, &mut other), tag);
            assert_eq!(one, other);
            let mut tape = tape.lock().unwrap();
            let text = tape.take_data(u128::from_le_bytes(tag)).unwrap();
            assert_eq!((text.number, &text.bytes[..]), (9, &b"a text"[..]));
            drop(tape);
            key.clone_key().open(9, &HEADER, &mut one, &tag).unwrap();
        }
    }

    /// I5: a number is used once under one key, but for the very same packet.
    #[test]
    fn i5_a_nonce_used_twice_is_a_fault() {
        let (key, tape) = recorded(Arc::new(FastAead));
        let seal = |number: u64, text: &[u8]| {
            key.seal(number, &HEADER, &mut text.to_vec());
            tape.lock().unwrap().take_faults().pop_front()
        };
        assert_eq!(seal(1, b"one"), None);
        assert_eq!(seal(1, b"one"), None, "the same once more");
        assert_eq!(seal(5, b"two"), None);
        assert!(seal(5, b"three").unwrap().contains("number 5"));
        assert!(seal(1, b"four").unwrap().contains("number 1"));
    }
}
