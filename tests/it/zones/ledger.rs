//! A cipher that keeps books: which key was made, used and wiped when, and what was sealed with it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use tripline::{Aead, AeadKey, AeadOpenError, Cipher, PureAead};
use tripline_sim::wire::{Frame, frames};

/// The books of one endpoint's cipher.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger(Arc<Mutex<Books>>);

#[derive(Debug, Default)]
struct Books {
    keys: BTreeMap<[u8; 32], Account>,
    /// What was sealed, by the header in front of it.
    texts: BTreeMap<Vec<u8>, Sealed>,
    /// Whether `texts` is kept.
    remember: bool,
    /// Frames to be sealed in place of those of the next large enough packet.
    plot: Option<Vec<u8>>,
    faults: Vec<String>,
}

/// One key that protected DATA.
#[derive(Debug, Default)]
struct Account {
    /// Copies that are not wiped.
    live: usize,
    /// It sealed or opened DATA (the keys of the handshake do not).
    data: bool,
    highest: Option<u64>,
}

/// A packet that was sealed.
#[derive(Clone, Debug)]
pub(super) struct Sealed {
    pub(super) key: [u8; 32],
    pub(super) cipher: Cipher,
    pub(super) number: u64,
    pub(super) text: Vec<u8>,
}

impl Ledger {
    /// Books that also keep what was sealed.
    pub(super) fn with_texts() -> Self {
        let ledger = Self::default();
        ledger.books().remember = true;
        ledger
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().expect("no test panics while it holds the books")
    }

    /// Everything that no cipher may be asked to do; empty if all is well.
    pub(super) fn faults(&self) -> Vec<String> {
        self.books().faults.clone()
    }

    /// How many keys of DATA are not wiped.
    pub(super) fn live_keys(&self) -> usize {
        self.books().keys.values().filter(|account| account.data && account.live > 0).count()
    }

    /// How many keys protected DATA so far.
    pub(super) fn data_keys(&self) -> usize {
        self.books().keys.values().filter(|account| account.data).count()
    }

    /// What a DATA packet holds, if it was sealed here.
    pub(super) fn sealed(&self, packet: &[u8]) -> Option<Sealed> {
        let header = packet.get(..header_len(packet)?)?;
        self.books().texts.get(header).cloned()
    }

    /// Whether a packet holds RENEW (`Some(false)`) or RENEW_CONFIRM (`Some(true)`).
    pub(super) fn renews(&self, packet: &[u8]) -> Option<bool> {
        let text = self.sealed(packet)?.text;
        frames(&text).find_map(|frame| match frame {
            Ok(Frame::Renew(half)) => Some(half.confirm),
            _ => None,
        })
    }

    /// The next packet with room for them holds these frames instead of its own.
    pub(super) fn plot(&self, frames: Vec<u8>) {
        self.books().plot = Some(frames);
    }

    /// Whether the plot was carried out.
    pub(super) fn is_done(&self) -> bool {
        self.books().plot.is_none()
    }
}

/// The length of a DATA packet's header.
pub(super) fn header_len(packet: &[u8]) -> Option<usize> {
    match packet.first()? {
        0x80 => Some(11),
        0xc0 => Some(13),
        _ => None,
    }
}

#[derive(Debug)]
struct Key {
    key: Box<dyn AeadKey>,
    bytes: [u8; 32],
    cipher: Cipher,
    ledger: Ledger,
}

impl Key {
    fn new(key: Box<dyn AeadKey>, bytes: [u8; 32], cipher: Cipher, ledger: &Ledger) -> Self {
        let mut books = ledger.books();
        let account = books.keys.entry(bytes).or_default();
        account.live += 1;
        if account.data && account.live == 1 {
            books.faults.push("a key that was wiped comes back".to_owned());
        }
        Self { key, bytes, cipher, ledger: ledger.clone() }
    }

    /// The account of this key, if the header is one of DATA (the handshake's has 32 bytes or 0).
    fn on_use(&self, header: &[u8]) -> bool {
        let data = matches!(header.len(), 11 | 13);
        if data && let Some(account) = self.ledger.books().keys.get_mut(&self.bytes) {
            account.data = true;
        }
        data
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        if let Ok(mut books) = self.ledger.0.lock()
            && let Some(account) = books.keys.get_mut(&self.bytes)
        {
            account.live -= 1;
        }
    }
}

impl Aead for Ledger {
    fn key(&self, cipher: Cipher, key: &[u8; 32]) -> Box<dyn AeadKey> {
        Box::new(Key::new(PureAead.key(cipher, key), *key, cipher, self))
    }
}

impl AeadKey for Key {
    fn seal(&self, number: u64, header: &[u8], text: &mut [u8]) -> [u8; 16] {
        if self.on_use(header) {
            let mut books = self.ledger.books();
            let Books { keys, texts, remember, plot, faults } = &mut *books;
            let account = keys.entry(self.bytes).or_default();
            if account.highest.is_some_and(|highest| highest >= number) {
                faults.push(format!("number {number} twice, or after a higher one"));
            }
            account.highest = account.highest.max(Some(number));
            if let Some(frames) = plot.take_if(|frames| frames.len() <= text.len()) {
                text.fill(0);
                text[..frames.len()].copy_from_slice(&frames);
            }
            if *remember {
                let (key, cipher, text) = (self.bytes, self.cipher, text.to_vec());
                texts.insert(header.to_vec(), Sealed { key, cipher, number, text });
            }
        }
        self.key.seal(number, header, text)
    }

    fn open(
        &self,
        number: u64,
        header: &[u8],
        text: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), AeadOpenError> {
        self.on_use(header);
        self.key.open(number, header, text, tag)
    }

    fn clone_key(&self) -> Box<dyn AeadKey> {
        Box::new(Self::new(self.key.clone_key(), self.bytes, self.cipher, &self.ledger))
    }
}
