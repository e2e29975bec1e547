//! The Noise handshake (revision 34) for NN, NK, IK and XX, with and without a pre-shared key.
//!
//! In go keys and the other side's messages, out come messages, payloads, and in the end the keys
//! of zone 0. A message that fails changes nothing: it is tried on a copy, so a forged one can be
//! followed by the true one. It knows nothing of packets, repeats, time or policy; the ephemeral
//! key is given to it, so it draws no randomness.

mod pattern;
mod symmetric;

use super::aead::Aead;
use super::keys::{Psk, PublicKey, SecretKey, ZeroSecret};
use super::mac::same;
use super::suite::Suite;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use pattern::Token;
use symmetric::Symmetric;
use tripline_sansio::codec::Reader;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// How many bytes a public key has.
const KEY_LEN: usize = 32;

/// The longest message (Noise §3).
const MESSAGE_MAX: usize = 65_535;

/// Why a message was not written or not read. The handshake is then as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoiseError {
    /// It is the other side's turn, or the handshake is over, or (for a split) not over yet.
    Turn,
    /// The message ends before its fields do.
    Short,
    /// The message would be, or is, longer than Noise allows.
    Long,
    /// A public key in the message, or the one given for the peer, is not canonical (R-OPEN-3).
    Key,
    /// An exchange came to zeros (R-OPEN-3).
    Zero,
    /// A part of the message does not verify: it is forged, or the two sides do not agree on keys,
    /// prologue or pre-shared key.
    Open,
    /// The pattern wants a static key of ours, and none was given.
    NoLocal,
    /// The pattern wants the peer's static key beforehand, and none was given.
    NoRemote,
    /// The suite wants a pre-shared key, and none was given.
    NoPsk,
}

impl fmt::Display for NoiseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Turn => "not the time for this step of the handshake",
            Self::Short => "the handshake message is cut off",
            Self::Long => "the handshake message is too long",
            Self::Key => "the public key is not canonical",
            Self::Zero => "the public key is weak",
            Self::Open => "the handshake message does not verify",
            Self::NoLocal => "the handshake needs a secret key",
            Self::NoRemote => "the handshake needs the server's public key",
            Self::NoPsk => "the handshake needs a pre-shared key",
        })
    }
}

impl core::error::Error for NoiseError {}

impl From<ZeroSecret> for NoiseError {
    fn from(_: ZeroSecret) -> Self {
        Self::Zero
    }
}

/// What a handshake begins with.
pub(crate) struct Setup<'a> {
    /// The pattern, the cipher, and whether there is a pre-shared key.
    pub(crate) suite: Suite,
    /// What both sides must agree on without its being sent in the messages (R-OPEN-1).
    pub(crate) prologue: &'a [u8],
    /// Our identity; unused where the pattern proves none.
    pub(crate) local: Option<&'a SecretKey>,
    /// The server's key, for the initiator of NK and IK; unused otherwise.
    pub(crate) remote: Option<PublicKey>,
    /// The pre-shared key; unused in a suite without one.
    pub(crate) psk: Option<&'a Psk>,
    /// A key made for this handshake alone.
    pub(crate) ephemeral: SecretKey,
    /// What seals and opens.
    pub(crate) aead: Arc<dyn Aead>,
}

/// What both sides have in the end.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Split {
    /// The key of zone 0 for what the client, Noise's initiator, sends.
    pub(crate) client_to_server: [u8; 32],
    /// The key of zone 0 for what the server sends.
    pub(crate) server_to_client: [u8; 32],
    /// The hash of the whole handshake, the same on both sides and different for every other one.
    pub(crate) hash: [u8; 32],
}

/// One side of a handshake.
#[derive(Clone)]
pub(crate) struct Handshake {
    suite: Suite,
    initiator: bool,
    /// The index of the next message.
    message: usize,
    symmetric: Symmetric,
    local: Option<SecretKey>,
    ephemeral: SecretKey,
    remote: Option<PublicKey>,
    remote_ephemeral: Option<PublicKey>,
    psk: Option<Psk>,
    aead: Arc<dyn Aead>,
}

impl Handshake {
    /// The client's side.
    ///
    /// # Errors
    /// [`NoiseError::NoLocal`], [`NoiseError::NoRemote`] or [`NoiseError::Key`] if a static key
    /// that the pattern wants is missing or not canonical. (The pre-shared key may come later.)
    pub(crate) fn initiator(setup: Setup<'_>) -> Result<Self, NoiseError> {
        let remote = match (pattern::remote_known(setup.suite.pattern), setup.remote) {
            (false, _) => None,
            (true, None) => return Err(NoiseError::NoRemote),
            (true, Some(key)) if !key.is_canonical() => return Err(NoiseError::Key),
            (true, Some(key)) => Some(key),
        };
        Self::new(setup, remote, true)
    }

    /// The server's side.
    ///
    /// # Errors
    /// [`NoiseError::NoLocal`] if the pattern wants a static key of the server.
    pub(crate) fn responder(setup: Setup<'_>) -> Result<Self, NoiseError> {
        Self::new(setup, None, false)
    }

    fn new(
        setup: Setup<'_>,
        remote: Option<PublicKey>,
        initiator: bool,
    ) -> Result<Self, NoiseError> {
        let suite = setup.suite;
        let local = if pattern::needs_static(suite.pattern, initiator) {
            Some(setup.local.ok_or(NoiseError::NoLocal)?)
        } else {
            None
        };
        let mut symmetric = Symmetric::new(suite);
        symmetric.mix_hash(setup.prologue);
        if pattern::remote_known(suite.pattern) {
            let server = if initiator { remote } else { local.map(SecretKey::public_key) };
            symmetric.mix_hash(server.ok_or(NoiseError::NoRemote)?.as_bytes());
        }
        Ok(Self {
            suite,
            initiator,
            message: 0,
            symmetric,
            local: local.cloned(),
            ephemeral: setup.ephemeral,
            remote,
            remote_ephemeral: None,
            psk: setup.psk.cloned(),
            aead: setup.aead,
        })
    }

    /// The peer's static key: as given, or as it came. It is proven only by a message that verified
    /// after the one it came in.
    pub(crate) const fn remote_static(&self) -> Option<PublicKey> {
        self.remote
    }

    /// The pattern, the cipher, and whether there is a pre-shared key.
    pub(crate) const fn suite(&self) -> Suite {
        self.suite
    }

    /// Whether the suite has a pre-shared key that was not given yet: the last message cannot be
    /// written or read without it.
    pub(crate) const fn wants_psk(&self) -> bool {
        self.suite.psk && self.psk.is_none()
    }

    /// Gives the pre-shared key, or another one, to a handshake whose last message is to come.
    pub(crate) fn set_psk(&mut self, psk: &Psk) {
        self.psk = Some(psk.clone());
    }

    /// Whether all messages went over.
    pub(crate) fn is_finished(&self) -> bool {
        self.message >= pattern::messages(self.suite.pattern).len()
    }

    /// Whether this is the pre-shared key that was given.
    pub(crate) fn has_psk(&self, psk: &Psk) -> bool {
        self.psk.as_ref().is_some_and(|own| same(own.as_bytes(), psk.as_bytes()))
    }

    /// The static key that the peer's next message names, without reading the rest of it: who sent
    /// the message before knows this key, but has proven nothing yet. Changes nothing.
    ///
    /// # Errors
    /// As [`read_message`](Self::read_message); [`NoiseError::Turn`] also if the message names
    /// none.
    pub(crate) fn peek_static(&self, message: &[u8]) -> Result<PublicKey, NoiseError> {
        let mut tokens = pattern::tokens(self.suite, self.message).ok_or(NoiseError::Turn)?;
        let writing = self.initiator == self.message.is_multiple_of(2);
        if writing || tokens.next() != Some(Token::S) {
            return Err(NoiseError::Turn);
        }
        let mut copy = self.clone();
        copy.read_static(&mut Reader::new(message))
    }

    /// Appends our next message, with `payload` in it, to `out`.
    ///
    /// # Errors
    /// All but `Short` and `Open`; then nothing is appended and the handshake is as before.
    pub(crate) fn write_message(
        &mut self,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), NoiseError> {
        self.attempt(true, out, |attempt, out| attempt.write(payload, out))
    }

    /// Reads the peer's next message and appends the payload it holds to `payload`.
    ///
    /// # Errors
    /// All; then nothing is appended and the handshake is as before.
    pub(crate) fn read_message(
        &mut self,
        message: &[u8],
        payload: &mut Vec<u8>,
    ) -> Result<(), NoiseError> {
        self.attempt(false, payload, |attempt, payload| attempt.read(message, payload))
    }

    /// The keys of zone 0.
    ///
    /// # Errors
    /// [`NoiseError::Turn`] if the handshake is not finished.
    pub(crate) fn split(self) -> Result<Split, NoiseError> {
        if !self.is_finished() {
            return Err(NoiseError::Turn);
        }
        let keys = self.symmetric.split();
        let [client_to_server, server_to_client] = keys.0;
        Ok(Split { client_to_server, server_to_client, hash: *self.symmetric.hash() })
    }

    /// Does one step on a copy that takes the place of this state only if the step succeeds.
    fn attempt(
        &mut self,
        writing: bool,
        out: &mut Vec<u8>,
        step: impl FnOnce(&mut Self, &mut Vec<u8>) -> Result<(), NoiseError>,
    ) -> Result<(), NoiseError> {
        let initiators_turn = self.message.is_multiple_of(2);
        if self.is_finished() || writing != (self.initiator == initiators_turn) {
            return Err(NoiseError::Turn);
        }
        let start = out.len();
        let mut attempt = self.clone();
        match step(&mut attempt, out) {
            Ok(()) => {
                attempt.message = attempt.message.saturating_add(1);
                *self = attempt;
                Ok(())
            }
            Err(error) => {
                out.truncate(start);
                Err(error)
            }
        }
    }

    fn write(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), NoiseError> {
        let overhead = pattern::overhead(self.suite, self.message).ok_or(NoiseError::Turn)?;
        if overhead.saturating_add(payload.len()) > MESSAGE_MAX {
            return Err(NoiseError::Long);
        }
        for token in pattern::tokens(self.suite, self.message).ok_or(NoiseError::Turn)? {
            match token {
                Token::E => {
                    let key = self.ephemeral.public_key();
                    out.extend_from_slice(key.as_bytes());
                    self.mix_ephemeral(&key);
                }
                Token::S => {
                    let key = self.local()?.public_key();
                    self.symmetric.write(&*self.aead, key.as_bytes(), out);
                }
                _ => self.mix(token)?,
            }
        }
        self.symmetric.write(&*self.aead, payload, out);
        Ok(())
    }

    fn read(&mut self, message: &[u8], payload: &mut Vec<u8>) -> Result<(), NoiseError> {
        if message.len() > MESSAGE_MAX {
            return Err(NoiseError::Long);
        }
        let mut message = Reader::new(message);
        for token in pattern::tokens(self.suite, self.message).ok_or(NoiseError::Turn)? {
            match token {
                Token::E => {
                    let key = message.array().map_err(|_| NoiseError::Short)?;
                    let key = PublicKey::from_wire(key).ok_or(NoiseError::Key)?;
                    self.mix_ephemeral(&key);
                    self.remote_ephemeral = Some(key);
                }
                Token::S => {
                    self.remote = Some(self.read_static(&mut message)?);
                }
                _ => self.mix(token)?,
            }
        }
        self.symmetric.read(&*self.aead, message.take_rest(), payload)
    }

    /// The sealed static key that `message` begins with.
    fn read_static(&mut self, message: &mut Reader<'_>) -> Result<PublicKey, NoiseError> {
        let length = KEY_LEN.saturating_add(self.symmetric.tag_len());
        let sealed = message.take(length).map_err(|_| NoiseError::Short)?;
        let mut key = Vec::with_capacity(KEY_LEN);
        self.symmetric.read(&*self.aead, sealed, &mut key)?;
        let key = key.try_into().map_err(|_| NoiseError::Short)?;
        PublicKey::from_wire(key).ok_or(NoiseError::Key)
    }

    /// An ephemeral key goes into the hash, and where a pre-shared key is used into the keys too,
    /// so that what is sealed before an exchange is not sealed alike twice (Noise §9.2).
    fn mix_ephemeral(&mut self, key: &PublicKey) {
        self.symmetric.mix_hash(key.as_bytes());
        if self.suite.psk {
            self.symmetric.mix_key(key.as_bytes());
        }
    }

    /// The tokens for which nothing travels: exchanges and the pre-shared key.
    fn mix(&mut self, token: Token) -> Result<(), NoiseError> {
        let (ours_ephemeral, theirs_ephemeral) = match (token, self.initiator) {
            (Token::Ee, _) => (true, true),
            (Token::Es, true) | (Token::Se, false) => (true, false),
            (Token::Es, false) | (Token::Se, true) => (false, true),
            (Token::Ss, _) => (false, false),
            (Token::Psk, _) => {
                let psk = self.psk.as_ref().ok_or(NoiseError::NoPsk)?;
                self.symmetric.mix_key_and_hash(psk.as_bytes());
                return Ok(());
            }
            (Token::E | Token::S, _) => return Err(NoiseError::Turn),
        };
        let ours = if ours_ephemeral { &self.ephemeral } else { self.local()? };
        let theirs = if theirs_ephemeral { self.remote_ephemeral } else { self.remote };
        let secret = ours.diffie_hellman(&theirs.ok_or(NoiseError::NoRemote)?)?;
        self.symmetric.mix_key(&*secret);
        Ok(())
    }

    fn local(&self) -> Result<&SecretKey, NoiseError> {
        self.local.as_ref().ok_or(NoiseError::NoLocal)
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = if self.initiator { "client" } else { "server" };
        write!(f, "Handshake({}, {side}, message {})", self.suite, self.message)
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
