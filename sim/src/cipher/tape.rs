//! What a [`Recorder`](super::Recorder) has heard and nobody has asked for yet: texts that were
//! sealed, packets that were opened or failed to, and misuse of keys (the nonce ledger).
//!
//! It judges only what concerns keys by themselves (I5: no number is used twice under one key, but
//! to seal the same once more); what numbers mean to a connection is judged on the wire. Everything
//! is bounded: of what nobody fetches, the oldest goes.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use tripline::TAG_LEN;

/// Texts that wait to be seen on the wire: an endpoint queues up to 1,024 answers.
const TEXTS_MAX: usize = 4_096;
/// Openings that wait to be asked for.
const OPENED_MAX: usize = 65_536;
/// Keys whose use is remembered.
const KEYS_MAX: usize = 262_144;
/// Numbers of one key that are remembered one by one: those of handshakes and refusals, which do
/// not rise.
const PAST_MAX: usize = 64;
/// Faults that are kept.
const FAULTS_MAX: usize = 64;
/// Buffers that are kept for their memory.
const SPARE_MAX: usize = 256;

/// A hasher for keys that are random already, or small: one multiplication.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Blend(u64);

impl Hasher for Blend {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, word: u64) {
        let mixed = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_u8(&mut self, word: u8) {
        self.write_u64(u64::from(word));
    }
}

/// A map with that hasher: only ever looked up in, so its order never shows.
pub(crate) type Map<K, V> = HashMap<K, V, BuildHasherDefault<Blend>>;

/// Something that was sealed.
#[derive(Debug)]
pub(crate) struct Text {
    /// The fingerprint of the key.
    pub(crate) key: u64,
    /// Its whole number.
    pub(crate) number: u64,
    /// The tag, by which the packet on the wire is known.
    pub(crate) tag: u128,
    /// The plaintext.
    pub(crate) bytes: Vec<u8>,
}

/// A DATA packet that was opened, or was tried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opened {
    /// The ID that it bore.
    pub(crate) id: u64,
    /// Its whole number.
    pub(crate) number: u64,
    /// Whether it verified.
    pub(crate) verified: bool,
}

/// What one key has sealed.
#[derive(Debug, Default)]
struct Account {
    highest: Option<(u64, u128)>,
    /// Older numbers, only until one is passed over by more than this remembers.
    past: VecDeque<(u64, u128)>,
}

/// See the head of this file.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    data: VecDeque<Text>,
    handshake: VecDeque<Text>,
    opened: VecDeque<Opened>,
    accounts: Map<u64, Account>,
    keys: VecDeque<u64>,
    faults: VecDeque<String>,
    spare: Vec<Vec<u8>>,
}

/// Whether a header is that of DATA: those of the handshake are empty or a hash of 32 bytes.
pub(crate) fn is_data(header: &[u8]) -> bool {
    matches!((header.len(), header.first()), (11, Some(0x80)) | (13, Some(0xc0)))
}

/// The ID in the header of DATA.
pub(crate) fn id_of(header: &[u8]) -> u64 {
    header.get(1..9).and_then(|id| id.try_into().ok()).map_or(0, u64::from_be_bytes)
}

/// A tag as a number.
pub(crate) fn tag_number(tag: &[u8; TAG_LEN]) -> u128 {
    u128::from_le_bytes(*tag)
}

impl Tape {
    /// A buffer with a copy of the text, for [`Self::sealed`].
    pub(crate) fn copy(&mut self, text: &[u8]) -> Vec<u8> {
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(text);
        buffer
    }

    /// Notes what was sealed.
    pub(crate) fn sealed(
        &mut self,
        key: u64,
        number: u64,
        header: &[u8],
        tag: &[u8; TAG_LEN],
        bytes: Vec<u8>,
    ) {
        let text = Text { key, number, tag: tag_number(tag), bytes };
        let is_data = is_data(header);
        self.account(&text, is_data);
        let queue = if is_data { &mut self.data } else { &mut self.handshake };
        queue.push_back(text);
        if queue.len() > TEXTS_MAX
            && let Some(oldest) = queue.pop_front()
        {
            self.give_back(oldest);
        }
    }

    /// The nonce ledger (I5).
    fn account(&mut self, text: &Text, is_data: bool) {
        let Self { accounts, keys, .. } = self;
        let account = accounts.entry(text.key).or_insert_with(|| {
            keys.push_back(text.key);
            Account::default()
        });
        let now = (text.number, text.tag);
        let fault = match account.highest {
            Some(highest) if text.number <= highest.0 => {
                let known = account.past.iter().chain([&highest]);
                let again = known.copied().find(|(number, _)| *number == text.number);
                match again {
                    // The same once more gives nothing away.
                    Some((_, tag)) if tag == text.tag => None,
                    Some(_) => Some("with another text"),
                    None => {
                        account.past.push_back(now);
                        None
                    }
                }
            }
            highest => {
                account.past.extend(highest);
                account.highest = Some(now);
                None
            }
        };
        if account.past.len() > PAST_MAX {
            account.past.pop_front();
        }
        if let Some(fault) = fault {
            let what = if is_data { "DATA" } else { "a handshake message" };
            self.fault(format!("number {} of {what} was sealed twice, {fault}", text.number));
        }
        if self.keys.len() > KEYS_MAX
            && let Some(oldest) = self.keys.pop_front()
        {
            self.accounts.remove(&oldest);
        }
    }

    fn fault(&mut self, fault: String) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push_back(fault);
        }
    }

    /// Notes what was opened, or could not be.
    pub(crate) fn opened(&mut self, number: u64, header: &[u8], verified: bool) {
        if !is_data(header) {
            return;
        }
        self.opened.push_back(Opened { id: id_of(header), number, verified });
        if self.opened.len() > OPENED_MAX {
            self.opened.pop_front();
        }
    }

    /// The text behind a DATA packet's tag, once.
    pub(crate) fn take_data(&mut self, tag: u128) -> Option<Text> {
        take(&mut self.data, tag)
    }

    /// The text behind a handshake message's tag, once.
    pub(crate) fn take_handshake(&mut self, tag: u128) -> Option<Text> {
        take(&mut self.handshake, tag)
    }

    /// Whether there are openings or faults that were not asked for yet.
    pub(crate) fn has_news(&self) -> bool {
        !self.opened.is_empty() || !self.faults.is_empty()
    }

    /// Gives the openings that were not asked for yet, oldest first, and takes the caller's queue,
    /// which has to be empty, in their place.
    pub(crate) fn swap_opened(&mut self, empty: &mut VecDeque<Opened>) {
        std::mem::swap(&mut self.opened, empty);
    }

    /// The faults that were not asked for yet, oldest first.
    pub(crate) fn take_faults(&mut self) -> VecDeque<String> {
        std::mem::take(&mut self.faults)
    }

    /// Takes a text's buffer back.
    pub(crate) fn give_back(&mut self, text: Text) {
        if self.spare.len() < SPARE_MAX {
            self.spare.push(text.bytes);
        }
    }
}

/// Takes the text with this tag: nearly always the first.
fn take(queue: &mut VecDeque<Text>, tag: u128) -> Option<Text> {
    if queue.front().is_some_and(|text| text.tag == tag) {
        return queue.pop_front();
    }
    let at = queue.iter().position(|text| text.tag == tag)?;
    queue.remove(at)
}
