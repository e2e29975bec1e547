//! Looking under the seal: a cipher, handed in through the public seam, that computes what every
//! other does, and tells the test what was sealed. With what it has seen it can forge packets that
//! verify, and it can change what is about to be sealed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use tripline::{Aead, AeadKey, AeadOpenError, Cipher, Config, PureAead};

/// The headers of DATA have 11 or 13 bytes; handshake messages are sealed with none, or with a
/// hash of 32.
const DATA_HEADERS: [usize; 2] = [11, 13];

/// A DATA packet before it was sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The ID that it was sent to.
    pub id: u64,
    /// Its whole number.
    pub number: u64,
    /// Its frames; see [`frames::read`](crate::frames::read).
    pub text: Vec<u8>,
}

/// Called with whether it is DATA, and with the text that is about to be sealed.
type Meddler = Box<dyn FnMut(bool, &mut [u8]) + Send>;

#[derive(Default)]
struct State {
    sealed: Vec<Sealed>,
    /// By the ID that is sent to: the key, and the number after the last one used.
    keys: BTreeMap<u64, (Box<dyn AeadKey>, u64)>,
    meddler: Option<Meddler>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("sealed", &self.sealed.len()).finish_non_exhaustive()
    }
}

/// A cipher that tells. Copies share what they have seen.
///
/// ```
/// use tripline::{Config, Event};
/// use tripline_tests::{Pair, Wiretap, frames, identity};
/// let tap = Wiretap::default();
/// let mut pair =
///     Pair::with(1, tap.on(Config::client()), Config::public_server(identity("server")));
/// pair.connected();
/// let third_leg = frames::read(&tap.take()[0].text);
/// assert_eq!(third_leg[0].kind, frames::kind::PING);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Wiretap(Arc<Mutex<State>>);

impl Wiretap {
    /// The same configuration with this tap as its cipher.
    #[must_use]
    pub fn on(&self, config: Config) -> Config {
        Config { aead: Arc::new(self.clone()), ..config }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test thread panicked with it")
    }

    /// The DATA packets that were sealed since the last call, oldest first.
    pub fn take(&self) -> Vec<Sealed> {
        std::mem::take(&mut self.state().sealed)
    }

    /// From now on `meddler` is shown every text that is about to be sealed, and whether it is that
    /// of a DATA packet, and may change it, but not its length.
    pub fn meddle(&self, meddler: impl FnMut(bool, &mut [u8]) + Send + 'static) {
        self.state().meddler = Some(Box::new(meddler));
    }

    /// The IDs that were sent to, in their numerical order.
    pub fn ids(&self) -> Vec<u64> {
        self.state().keys.keys().copied().collect()
    }

    /// The number after all that were used to this ID, forged ones included.
    ///
    /// # Panics
    /// If nothing was sealed for it yet.
    pub fn next_number(&self, id: u64) -> u64 {
        self.state().keys[&id].1
    }

    /// A DATA packet with these frames and the next number, under the key that was last used to
    /// this ID.
    ///
    /// # Panics
    /// If nothing was sealed for it yet.
    pub fn forge(&self, id: u64, frames: &[u8]) -> Vec<u8> {
        let number = self.next_number(id);
        self.forge_numbered(id, number, frames)
    }

    /// The same with a number of the test's choice.
    ///
    /// # Panics
    /// If nothing was sealed for it yet.
    pub fn forge_numbered(&self, id: u64, number: u64, frames: &[u8]) -> Vec<u8> {
        let mut state = self.state();
        let (key, next) = state.keys.get_mut(&id).expect("the key was used before");
        *next = (*next).max(number + 1);
        let mut packet = vec![0xc0];
        packet.extend_from_slice(&id.to_be_bytes());
        packet.extend_from_slice(&(number as u32).to_be_bytes());
        let mut text = frames.to_vec();
        let tag = key.seal(number, &packet, &mut text);
        packet.extend(text);
        packet.extend(tag);
        packet
    }

    fn on_seal(&self, key: &dyn AeadKey, number: u64, header: &[u8], text: &mut [u8]) {
        let is_data = DATA_HEADERS.contains(&header.len());
        let mut state = self.state();
        if let Some(meddler) = &mut state.meddler {
            meddler(is_data, text);
        }
        if is_data {
            let id = u64::from_be_bytes(header[1..9].try_into().expect("eight bytes"));
            state.sealed.push(Sealed { id, number, text: text.to_vec() });
            state.keys.insert(id, (key.clone_key(), number + 1));
        }
    }
}

impl Aead for Wiretap {
    fn key(&self, cipher: Cipher, key: &[u8; 32]) -> Box<dyn AeadKey> {
        Box::new(TappedKey { key: PureAead.key(cipher, key), tap: self.clone() })
    }
}

#[derive(Debug)]
struct TappedKey {
    key: Box<dyn AeadKey>,
    tap: Wiretap,
}

impl AeadKey for TappedKey {
    fn seal(&self, number: u64, header: &[u8], text: &mut [u8]) -> [u8; 16] {
        self.tap.on_seal(self.key.as_ref(), number, header, text);
        self.key.seal(number, header, text)
    }

    fn open(
        &self,
        number: u64,
        header: &[u8],
        text: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), AeadOpenError> {
        self.key.open(number, header, text, tag)
    }

    fn clone_key(&self) -> Box<dyn AeadKey> {
        Box::new(Self { key: self.key.clone_key(), tap: self.tap.clone() })
    }
}
