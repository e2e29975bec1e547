//! One connection per pair of identities (R-HAND-4).
//!
//! In come OPENs and first DATA of peers with which we have a *single* connection, or are opening
//! one, and the word that such a connection is READY; out comes which of two stands, and the end of
//! what it replaces. Everything is decided by the public keys of both sides and by what verified:
//! an OPEN may be a replay, so none of them ends or replaces anything (R-OPEN-4). Peers are found
//! by a keyed hash of their key (R-ID-3).
#![deny(clippy::arithmetic_side_effects)]

use super::Endpoint;
use super::half_open::HalfOpen;
use crate::connection::Connection;
use crate::connection::single::Standing;
use crate::crypto::{Pattern, PublicKey, Suite, keyed_hash64};
use crate::handle::ConnectionHandle;
use crate::wire::{Code, OpenPayload, Parameters};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use tripline_sansio::{Duration, Seed};

/// The side whose OPEN stands answers those of the other side all the same once so many of its own
/// went out in vain, which takes two seconds: perhaps only the other one's get through.
const VAIN_OPENS: u32 = 7;

/// Where single connections, and attempts at them, are found by their peer.
#[derive(Debug)]
pub(super) struct Singles {
    hash_key: [u8; 16],
    /// Hash of a peer's key, and a slot.
    by_hash: BTreeSet<(u64, u32)>,
    of_slot: BTreeMap<u32, u64>,
}

impl Singles {
    pub(super) fn new(seed: &Seed) -> Self {
        let hash_key = seed.random("single connections").bytes();
        Self { hash_key, by_hash: BTreeSet::new(), of_slot: BTreeMap::new() }
    }

    fn hash(&self, key: &PublicKey) -> u64 {
        keyed_hash64(&self.hash_key, &key.to_bytes())
    }

    fn insert(&mut self, slot: u32, key: &PublicKey) {
        self.remove(slot);
        let hash = self.hash(key);
        self.by_hash.insert((hash, slot));
        self.of_slot.insert(slot, hash);
    }

    /// There is no single connection in `slot` any more.
    pub(super) fn remove(&mut self, slot: u32) {
        if let Some(hash) = self.of_slot.remove(&slot) {
            self.by_hash.remove(&(hash, slot));
        }
    }

    fn candidates(&self, key: &PublicKey) -> Vec<u32> {
        let hash = self.hash(key);
        self.by_hash.range((hash, 0)..=(hash, u32::MAX)).map(|(_, slot)| *slot).collect()
    }
}

/// What becomes of a first DATA that asks for a single connection.
pub(super) enum Weight {
    /// A connection of its own. What it replaces ends when it is there.
    New,
    /// It is what this attempt of ours comes to.
    TakesOver(ConnectionHandle),
    /// Nothing: ours stands, or is newer.
    Dropped,
}

impl Endpoint {
    /// Whether an attempt with this suite, at this server, can be for a single connection: both
    /// sides have to prove an identity, and not the same one.
    pub(super) fn may_be_single(&self, suite: Suite, server: Option<PublicKey>) -> bool {
        let own = self.identity.as_ref().map(|(_, public)| *public);
        suite.pattern == Pattern::Ik && server.is_some() && server != own
    }

    /// The parameters of an attempt: a wish for a single connection only where there may be one.
    pub(super) fn announce_single(
        &self,
        suite: Suite,
        server: Option<PublicKey>,
        mut parameters: Parameters,
    ) -> Parameters {
        if !self.may_be_single(suite, server) {
            parameters.features &= !Parameters::SINGLE;
        }
        parameters
    }

    /// What a connection in this slot is known by, now that it is there, or its server another one.
    pub(super) fn note_single(&mut self, slot: u32) {
        match self.in_slot(slot).and_then(Connection::single_peer) {
            Some(key) => self.singles.insert(slot, &key),
            None => self.singles.remove(slot),
        }
    }

    fn in_slot(&self, slot: u32) -> Option<&Connection> {
        self.slots.get(usize::try_from(slot).ok()?)?.connection.as_deref()
    }

    /// The single connections with this peer that are alive, and the attempts at one. What ends is
    /// forgotten here, so that it is looked at once.
    fn singles_with(&mut self, key: &PublicKey) -> Vec<(u32, Standing)> {
        let mut found = Vec::new();
        for slot in self.singles.candidates(key) {
            let Some(connection) = self.in_slot(slot) else { continue };
            match connection.standing() {
                Standing::Ending => self.singles.remove(slot),
                standing if connection.single_peer().as_ref() == Some(key) => {
                    found.push((slot, standing));
                }
                _ => {}
            }
        }
        found
    }

    /// Our attempt at a single connection with this peer. There is one at most.
    fn single_attempt(&mut self, key: &PublicKey) -> Option<(u32, Standing)> {
        self.singles_with(key).into_iter().find(|(_, standing)| *standing != Standing::Ready)
    }

    /// The attempt that already does what another one, from `slot` (`None`: a new one), would.
    pub(super) fn attempt_at(
        &mut self,
        key: Option<PublicKey>,
        slot: Option<u32>,
    ) -> Option<ConnectionHandle> {
        let (other, _) = self.single_attempt(&key?)?;
        if Some(other) == slot { None } else { self.handle_of(other) }
    }

    /// The handle of whatever is in this slot.
    pub(super) fn handle_of(&self, slot: u32) -> Option<ConnectionHandle> {
        let generation = self.slots.get(usize::try_from(slot).ok()?)?.generation;
        Some(ConnectionHandle { slot, generation })
    }

    /// Whether our OPEN stands against one of this peer: ours is the lower key.
    fn stands_against(&self, key: &PublicKey) -> bool {
        self.identity.as_ref().is_some_and(|(_, own)| own.to_bytes() < key.to_bytes())
    }

    /// The identity of a client that wants a single connection with us, as we do.
    fn wants_single(&self, entry: &HalfOpen, asked: &Parameters) -> Option<PublicKey> {
        let single = self.config.transport.single && asked.is_single();
        entry.client.filter(|_| single && self.may_be_single(entry.suite, entry.client))
    }

    /// Whether the connection of this half-open is to be single.
    pub(super) fn is_single(&self, entry: &HalfOpen) -> bool {
        self.single_client(entry).is_some()
    }

    fn single_client(&self, entry: &HalfOpen) -> Option<PublicKey> {
        let asked = OpenPayload::parse(&entry.request).ok()?.parameters;
        self.wants_single(entry, &asked)
    }

    /// Whether an OPEN that crosses one of ours is dropped: ours stands, as our key is the lower
    /// one.
    pub(super) fn drops_crossing(&mut self, entry: &HalfOpen, asked: &Parameters) -> bool {
        let Some(key) = self.wants_single(entry, asked) else { return false };
        if !self.stands_against(&key) {
            return false;
        }
        match self.single_attempt(&key) {
            Some((_, Standing::Opening { asked })) => asked.is_some_and(|sent| sent <= VAIN_OPENS),
            Some((_, Standing::Pinging)) => true,
            _ => false,
        }
    }

    /// The first DATA of the half-open in `slot` verified: what becomes of it. An attempt of ours
    /// that no server has answered yet is taken over by what is there. If both sides have been
    /// answered, that of the lower key stands. A connection that is READY is replaced by one that
    /// was asked for later, not by a late packet of one before it.
    pub(super) fn weigh_single(&mut self, slot: u32) -> Weight {
        let Some(entry) = self.half_opens.peek(slot) else { return Weight::Dropped };
        let Some(key) = self.single_client(entry) else { return Weight::New };
        let (opened_at, stands) = (entry.opened_at, self.stands_against(&key));
        for (slot, standing) in self.singles_with(&key) {
            match standing {
                Standing::Pinging if stands => return Weight::Dropped,
                Standing::Opening { .. } | Standing::Pinging => {
                    return self.handle_of(slot).map_or(Weight::Dropped, Weight::TakesOver);
                }
                Standing::Ready => {
                    let since = self.in_slot(slot).map(|one| one.single_since(stands));
                    if since.is_some_and(|since| opened_at < since) {
                        return Weight::Dropped;
                    }
                }
                Standing::Ending => {}
            }
        }
        Weight::New
    }

    /// Puts the connection that came into the place of our attempt.
    pub(super) fn take_over(&mut self, handle: ConnectionHandle, connection: Connection) {
        let place = usize::try_from(handle.slot).ok().and_then(|index| self.slots.get_mut(index));
        let Some(place) = place else { return };
        if let Some(attempt) = place.connection.replace(Box::new(connection)) {
            attempt.own_ids().for_each(|id| self.ids.release(id));
        }
        self.note_single(handle.slot);
        self.settle(handle.slot);
    }

    /// The single connection in `slot` is READY: the older ones with its peer end (code 16).
    pub(super) fn replace_older(&mut self, slot: u32) {
        let Some(key) = self.in_slot(slot).and_then(Connection::single_peer) else { return };
        for (other, standing) in self.singles_with(&key) {
            if other != slot && standing == Standing::Ready {
                self.with(other, |connection, cx| {
                    connection.close(Duration::ZERO, Code::REPLACED, "", cx);
                });
            }
        }
    }
}
