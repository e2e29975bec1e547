//! The tokens of RESET: ours, and those that peers gave us (R-RESET-1, R-RESET-2).
//!
//! A token of ours is a MAC over a connection ID; its key follows from the identity, so after a
//! restart it is the same. A peer's token finds its connection by a keyed hash, so that no amount
//! of guessing or timing tells how much of a guess was right.
#![deny(clippy::arithmetic_side_effects)]

use super::Endpoint;
use super::guard::Answer;
use crate::connection::reset::Outcome;
use crate::crypto::{SecretKey, derived_key, keyed_hash64, keyed_mac};
use crate::wire::{RESET_LEN, parse_reset, write_reset};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use tripline_sansio::{Path, Seed};

/// A reset token.
pub(super) type Token = [u8; 16];

/// Connections looked at for one RESET: only a peer that gives one token several times makes it
/// more than one, and then harms none but itself.
const CANDIDATES_MAX: usize = 4;

/// The key of our own tokens, and the index of the peers'.
#[derive(Debug)]
pub(super) struct Resets {
    key: [u8; 32],
    hash_key: [u8; 16],
    /// Hash of a peer's token, and the slot of the connection that it ends.
    by_hash: BTreeSet<(u64, u32)>,
}

impl Resets {
    pub(super) fn new(identity: Option<&SecretKey>, seed: &Seed) -> Self {
        let mut random = seed.random("reset tokens");
        let hash_key = random.bytes();
        let key = identity
            .map_or_else(|| random.bytes(), |identity| derived_key(identity, b"TRiP/1 reset"));
        Self { key, hash_key, by_hash: BTreeSet::new() }
    }

    /// What a RESET for this ID of ours holds.
    pub(super) fn token(&self, id: u64) -> Token {
        keyed_mac(&self.key, &[&id.to_be_bytes()])
    }

    /// The connection in `slot` is ended by `new` from now on, no longer by `old`.
    pub(super) fn replace(&mut self, slot: u32, old: Option<Token>, new: Option<Token>) {
        if let Some(old) = old {
            self.by_hash.remove(&(keyed_hash64(&self.hash_key, &old), slot));
        }
        if let Some(new) = new {
            self.by_hash.insert((keyed_hash64(&self.hash_key, &new), slot));
        }
    }

    /// Whose token this may be.
    fn candidates(&self, token: &Token) -> Vec<u32> {
        let hash = keyed_hash64(&self.hash_key, token);
        let range = self.by_hash.range((hash, 0)..=(hash, u32::MAX));
        range.map(|(_, slot)| *slot).take(CANDIDATES_MAX).collect()
    }
}

impl Endpoint {
    /// What a RESET for this connection ID of ours holds: the same in every life of one identity.
    /// The peer is told it together with the ID.
    pub(super) fn reset_token(&self, id: u64) -> Token {
        self.resets.token(id)
    }

    /// DATA for an ID that is not live: if the ID is of our making, in this life or a former one,
    /// its sender learns that the connection is no more (R-RESET-1).
    pub(super) fn answer_unknown(&mut self, id: u64, path: Path, bytes: usize) {
        self.count(|drops| &mut drops.unknown_connection);
        if bytes <= RESET_LEN || !self.ids.is_ours(id) || !self.may_answer(Answer::Reset) {
            return;
        }
        let mut packet = Vec::new();
        write_reset(&mut packet, &self.reset_token(id));
        self.stats.resets_sent = self.stats.resets_sent.saturating_add(1);
        self.answer(path, packet);
    }

    /// RESET came. It is never answered, and what does not count is a counter (R-RESET-2).
    pub(super) fn on_reset(&mut self, path: Path, datagram: &[u8]) {
        let Ok(token) = parse_reset(datagram) else {
            return self.count(|drops| &mut drops.malformed);
        };
        let mut counted = false;
        for slot in self.resets.candidates(&token) {
            match self.with(slot, |connection, cx| connection.on_reset(path, &token, cx)) {
                None | Some(Outcome::Ignored) => {}
                Some(Outcome::Counted) => counted = true,
            }
        }
        if !counted {
            self.count(|drops| &mut drops.stray_reset);
        }
    }
}
