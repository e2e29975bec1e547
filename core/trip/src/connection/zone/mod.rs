//! One zone of a connection: a pair of IDs and a pair of keys (PROTOCOL.md §5.3).
//!
//! In go the keys of the handshake, or of the zone before and both sides' halves; out come IDs and
//! keys that are ready for use. The zone also remembers what was numbered how under it, because
//! zones may not overlap (R-ZONE-2). When a zone follows another is the business of [`renewal`];
//! what that means for packets, timers and limits is in `connection/renew.rs`.
#![deny(clippy::arithmetic_side_effects)]

pub(crate) mod limits;
pub(crate) mod renewal;

use crate::crypto::{Aead, Cipher, KeyHalf, OpenKey, PublicKey, Root, SealKey, SecretKey, Split};
use crate::wire::{Code, RESET_TOKEN_LEN, RenewFrame, Side, Violation};
use alloc::boxed::Box;
use alloc::sync::Arc;

/// What goes with an ID so that RESET can be told from forgery (PROTOCOL.md §2.4).
pub(crate) type ResetToken = [u8; RESET_TOKEN_LEN];

/// Keys and IDs of one zone.
#[derive(Debug)]
pub(crate) struct Zone {
    /// Which zone of its connection, from 0.
    pub(crate) number: u64,
    /// The ID that the peer sends to.
    pub(crate) own_id: u64,
    /// The ID that we send to.
    pub(crate) peer_id: u64,
    /// The token that the peer gave with the ID that we send to, if it gave one.
    pub(crate) peer_reset_token: Option<ResetToken>,
    /// Seals what we send.
    pub(crate) seal: SealKey,
    /// Opens what we receive.
    pub(crate) open: OpenKey,
    /// Makes the keys of the zones that follow.
    aead: Arc<dyn Aead>,
    /// What the next zone's keys grow from; gone once they are made.
    root: Option<Root>,
    /// The peer's key in the exchange that made this zone: a late copy of its half is known by it.
    peer_key: Option<PublicKey>,
    /// The lowest and the highest number that verified under this zone.
    numbers: Option<(u64, u64)>,
}

/// One side's half of a zone, as it travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Half {
    /// Under which ID its sender receives.
    pub(crate) id: u64,
    /// The reset token that goes with the ID; zeros: none.
    pub(crate) reset_token: ResetToken,
    /// The ephemeral public key.
    pub(crate) key: PublicKey,
}

impl Half {
    /// The half that a frame brought.
    ///
    /// # Errors
    /// R-OPEN-3: a key that is not canonical closes (2).
    pub(crate) fn read(frame: &RenewFrame) -> Result<Self, Violation> {
        let key = PublicKey::from_wire(frame.key)
            .ok_or(Violation::new(Code::PROTOCOL, "a key that is not canonical"))?;
        Ok(Self { id: frame.id, reset_token: frame.reset_token, key })
    }

    /// The half itself, if keys may be made of it. Costs an exchange, so ask it of new ones only.
    ///
    /// # Errors
    /// R-OPEN-3: a key of low order closes (2).
    pub(crate) fn strong(self) -> Result<Self, Violation> {
        if self.key.is_weak() {
            return Err(Violation::new(Code::PROTOCOL, "a key of which no secret comes"));
        }
        Ok(self)
    }

    /// The frame that brings this half of `zone`.
    pub(crate) fn frame(&self, zone: u64, confirm: bool) -> RenewFrame {
        let Self { id, reset_token, key } = *self;
        RenewFrame { confirm, zone, id, reset_token, key: key.to_bytes() }
    }

    fn token(&self) -> Option<ResetToken> {
        Some(self.reset_token).filter(|token| *token != [0; RESET_TOKEN_LEN])
    }

    fn key_half(&self) -> KeyHalf {
        KeyHalf { id: self.id, key: self.key }
    }
}

impl Zone {
    /// Zone 0, of the keys that the handshake came to.
    pub(crate) fn first(
        aead: &Arc<dyn Aead>,
        cipher: Cipher,
        side: Side,
        split: &Split,
        (own_id, peer_id): (u64, u64),
    ) -> Self {
        let keys = [&split.client_to_server, &split.server_to_client];
        let [seal, open] = ordered(side, keys);
        Self {
            number: 0,
            own_id,
            peer_id,
            peer_reset_token: None,
            seal: SealKey::new(aead.as_ref(), cipher, seal, 0),
            open: OpenKey::new(aead.as_ref(), cipher, open),
            aead: aead.clone(),
            root: Some(Root::first(cipher, split)),
            peer_key: None,
            numbers: None,
        }
    }

    /// The zone after this one, of both halves. `next` is the lowest number that it may seal:
    /// numbers are one run (R-DATA-2). Uses up this zone's root, and our ephemeral key with it.
    ///
    /// # Errors
    /// R-OPEN-3 (the caller has refused such keys before), or if it was made already.
    pub(crate) fn make_next(
        &mut self,
        side: Side,
        ours: &Half,
        secret: Box<SecretKey>,
        theirs: &Half,
        next: u64,
    ) -> Result<Self, Violation> {
        let fault = Violation::new(Code::PROTOCOL, "halves of which no zone can be made");
        let shared = secret.diffie_hellman(&theirs.key).map_err(|_| fault)?;
        drop(secret);
        let root = self.root.take().ok_or(fault)?;
        let (cipher, number) = (root.cipher(), self.number.saturating_add(1));
        let [client, server] = ordered(side, [ours.key_half(), theirs.key_half()]);
        let keys = root.step(&shared, number, &client, &server);
        let [seal, open] = ordered(side, [&*keys.client_to_server, &*keys.server_to_client]);
        let aead = self.aead.clone();
        Ok(Self {
            number,
            own_id: ours.id,
            peer_id: theirs.id,
            peer_reset_token: theirs.token(),
            seal: SealKey::new(aead.as_ref(), cipher, seal, next),
            open: OpenKey::new(aead.as_ref(), cipher, open),
            aead,
            root: Some(keys.root),
            peer_key: Some(theirs.key),
            numbers: None,
        })
    }

    /// The keys give back what can be made again; until [`Self::wake`] they are slow.
    pub(crate) fn rest(&mut self) {
        self.seal.rest();
        self.open.rest();
    }

    /// The keys are ready for use again.
    pub(crate) fn wake(&mut self) {
        self.seal.wake();
        self.open.wake();
    }

    /// Whether the peer's half of this zone was this one. Zone 0 had none, so nothing contradicts.
    pub(crate) fn was_made_of(&self, theirs: &Half) -> bool {
        let (id, token) = (self.peer_id, self.peer_reset_token);
        self.peer_key
            .is_none_or(|key| key == theirs.key && id == theirs.id && token == theirs.token())
    }

    /// The peer's ID of zone 0 came with this token. Zeros stand for none.
    pub(crate) fn expect_reset(&mut self, token: Option<ResetToken>) {
        self.peer_reset_token = token.filter(|token| *token != [0; RESET_TOKEN_LEN]);
    }

    /// The lowest number that verified under this zone.
    pub(crate) fn lowest(&self) -> Option<u64> {
        self.numbers.map(|(lowest, _)| lowest)
    }

    /// The highest number that verified under this zone.
    pub(crate) fn highest(&self) -> Option<u64> {
        self.numbers.map(|(_, highest)| highest)
    }

    /// Packet `number` verified under this zone; whether it is the first.
    pub(crate) fn on_number(&mut self, number: u64) -> bool {
        let (lowest, highest) = self.numbers.unwrap_or((number, number));
        let first = self.numbers.is_none();
        self.numbers = Some((lowest.min(number), highest.max(number)));
        first
    }
}

/// What is the client's and the server's (or ours and the peer's) in the other order for a server.
fn ordered<T>(side: Side, [first, second]: [T; 2]) -> [T; 2] {
    match side {
        Side::Client => [first, second],
        Side::Server => [second, first],
    }
}
