//! Taking clients in: OPEN, screening, CHALLENGE, CONFIRM, the first DATA (PROTOCOL.md §2).
//!
//! Work is done in the order of R-HAND-3, the dear last: length, version, suite, mac1, zeros, then
//! whatever `guard` asks for, Diffie-Hellman.

use super::Endpoint;
use super::guard::{Answer, Passage};
use super::half_open::{HalfOpen, Stage};
use super::ids::Owner;
use super::single::Weight;
use crate::config::{Access, Screening, ServerConfig};
use crate::connection::{Accepted, Connection, Cx, Opened, Zone, naming_versions};
use crate::crypto::{
    Handshake, Pattern, SecretKey, Setup, Split, Suite, data_aead, keyed_hash64, mac1, same,
};
use crate::error::UnknownIncoming;
use crate::event::{Event, Incoming};
use crate::handle::{ConnectionHandle, IncomingHandle};
use crate::wire::{
    Challenge, ChallengePayload, Code, Confirm, DataHeader, Open, OpenPayload, OpenPrefix,
    PROTOCOL_VERSION, Parameters, Side, VersionReason, prologue, write_version,
};
use alloc::boxed::Box;
use alloc::vec::Vec;
use tripline_sansio::{Ecn, Instant, Path};

/// What stands between an OPEN and an answer.
enum Verdict {
    /// Dropped; a public server may hint why.
    Hint(VersionReason),
    /// Dropped in silence.
    Silence,
}

impl Endpoint {
    pub(super) fn on_open(&mut self, path: Path, datagram: &[u8]) {
        let Ok(prefix) = OpenPrefix::parse(datagram) else {
            return self.count(|drops| &mut drops.malformed);
        };
        let Some(server) = self.config.server.clone() else {
            return self.count(|drops| &mut drops.unsupported);
        };
        let verdict = match self.examine(path, prefix, datagram, &server) {
            Ok(()) => return,
            Err(verdict) => verdict,
        };
        if let Verdict::Hint(reason) = verdict
            && server.access == Access::Public
            && self.may_answer(Answer::Version)
        {
            let mut packet = Vec::new();
            write_version(&mut packet, prefix.client_id, reason, &[PROTOCOL_VERSION]);
            self.answer_cheaply(path, packet);
        }
    }

    /// R-HAND-3, R-OPEN-1: the cheap checks.
    fn examine(
        &mut self,
        path: Path,
        prefix: OpenPrefix,
        datagram: &[u8],
        server: &ServerConfig,
    ) -> Result<(), Verdict> {
        if prefix.version != PROTOCOL_VERSION {
            self.count(|drops| &mut drops.unsupported);
            return Err(Verdict::Hint(VersionReason::Version));
        }
        let Ok(open) = Open::parse(datagram) else {
            self.count(|drops| &mut drops.malformed);
            return Err(Verdict::Silence);
        };
        let suite = Suite::from_byte(open.suite).filter(|suite| {
            // XX shows the server's key to anyone, which a private server does not do (R-HAND-8).
            self.takes_plain(*suite)
                && takes_psk(server, *suite)
                && (suite.pattern != Pattern::Xx || server.access == Access::Public)
        });
        let Some(suite) = suite else {
            self.count(|drops| &mut drops.unsupported);
            return Err(Verdict::Hint(VersionReason::Suite));
        };
        let knows_us = matches!(suite.pattern, Pattern::Nk | Pattern::Ik);
        if !same(&mac1(self.guard.mac_key(knows_us), open.before_mac1), &open.mac1) {
            self.count(|drops| &mut drops.bad_open);
            return Err(Verdict::Hint(VersionReason::Key));
        }
        if !open.padding_is_zero() {
            self.count(|drops| &mut drops.bad_open);
            return Err(Verdict::Silence);
        }
        let hash = keyed_hash64(&self.hash_key, open.through_mac1);
        match self.half_opens.by_hash(hash) {
            Some(slot) => self.on_open_again(slot, path, &open),
            None => {
                if let Passage::Pass { proven } = self.guard_open(path, &open, knows_us) {
                    let before = self.half_opens.waiting();
                    self.on_new_open(path, &open, suite, hash, (server, proven));
                    if self.half_opens.waiting() <= before {
                        self.count_vain();
                    }
                }
            }
        }
        Ok(())
    }

    /// The same OPEN again gets the same CHALLENGE, sent to where this copy came from (R-CHAL-1).
    fn on_open_again(&mut self, slot: u32, path: Path, open: &Open<'_>) {
        let answered = self
            .half_opens
            .get(slot)
            .is_some_and(|entry| matches!(entry.stage, Stage::Answered(_) | Stage::Unconfirmed(_)));
        if !answered {
            // The user is being asked, or all was said.
            return self.count(|drops| &mut drops.replayed);
        }
        if !self.may_answer(Answer::Repeat) {
            return;
        }
        let proven = self.has_token(path, open);
        let Some(entry) = self.half_opens.get(slot) else { return };
        entry.on_repeat(path, proven);
        let packet = entry.challenge.to_vec();
        self.answer(path, packet);
    }

    /// A fresh OPEN that passed the cheap checks: Diffie-Hellman, then whoever decides.
    fn on_new_open(
        &mut self,
        path: Path,
        open: &Open<'_>,
        suite: Suite,
        hash: u64,
        (server, proven): (&ServerConfig, bool),
    ) {
        let handshake = Handshake::responder(Setup {
            suite,
            prologue: &prologue(open.through_suite),
            local: self.identity.as_ref().map(|(secret, _)| secret),
            remote: None,
            psk: server.psk.as_ref(),
            ephemeral: SecretKey::generate(&mut self.ephemerals),
            aead: self.config.aead.clone(),
        });
        let Ok(mut handshake) = handshake else { return self.count(|drops| &mut drops.bad_open) };
        let mut payload = Vec::new();
        if handshake.read_message(open.noise, &mut payload).is_err() {
            return self.count(|drops| &mut drops.bad_open);
        }
        let mut entry = Box::new(HalfOpen {
            stage: Stage::Promoted,
            hash,
            opened_at: self.now,
            client_id: open.client_id,
            own_id: None,
            path,
            elsewhere: false,
            proven,
            challenge: Box::default(),
            suite,
            client: handshake.remote_static(),
            request: Box::default(),
            confirm: 0,
            confirm_len: 0,
        });
        if suite.pattern == Pattern::Xx {
            // Who the client is and what it wants comes with CONFIRM.
            return if payload.is_empty() {
                self.challenge(None, entry, handshake)
            } else {
                self.count(|drops| &mut drops.bad_open)
            };
        }
        if !is_allowed(&server.access, &entry) && !self.lets_in_unsigned(suite, &payload) {
            return self.count(|drops| &mut drops.not_allowed);
        }
        let taken = take_payload(&mut entry, &payload, server);
        let taken = taken.and_then(|asked| self.allows_plain(suite, &asked).map(|()| asked));
        let asked = match taken {
            Ok(asked) => asked,
            Err((code, reason)) => return self.refuse_open(&entry, handshake, code, reason),
        };
        if self.drops_crossing(&entry, &asked) {
            return self.count(|drops| &mut drops.bad_handshake);
        }
        if let Some(reason) = self.leaving_reason() {
            return self.refuse_open(&entry, handshake, Code::SHUTTING_DOWN, &reason);
        }
        // R-HAND-9: full when the OPEN comes.
        if self.live >= self.config.connections_max {
            return self.refuse_open(&entry, handshake, Code::BUSY, "");
        }
        match server.screening {
            Screening::AcceptAll => self.challenge(None, entry, handshake),
            Screening::Ask | Screening::AskForPsk => self.ask(None, entry, handshake),
        }
    }

    /// Asks the user about a client (row T12): a new one, or one whose entry is lifted.
    fn ask(
        &mut self,
        place: Option<IncomingHandle>,
        mut entry: Box<HalfOpen>,
        handshake: Handshake,
    ) {
        let wants_psk = handshake.wants_psk();
        entry.stage = Stage::Screening(Box::new(handshake));
        let (remote, client) = (entry.path.remote, entry.client);
        let (user_id, route, _) = request_of(&entry);
        let Some(handle) = self.keep_half_open(place, entry) else { return };
        let preliminary = false;
        let incoming = Incoming { handle, remote, client, user_id, route, wants_psk, preliminary };
        self.events.push_back(Event::Incoming(incoming));
    }

    /// Puts an entry back into its place, or a new one into a new place; the oldest may have to go.
    /// Its ticket, or `None` if it was the oldest itself: its ID is free then.
    pub(super) fn keep_half_open(
        &mut self,
        place: Option<IncomingHandle>,
        entry: Box<HalfOpen>,
    ) -> Option<IncomingHandle> {
        let handle = match place {
            Some(place) => {
                self.half_opens.put_back(place, entry);
                place
            }
            None => self.half_opens.insert(entry, self.now),
        };
        while let Some(evicted) = self.half_opens.pop_excess() {
            self.drop_half_open(&evicted);
            self.count(|drops| &mut drops.at_bound);
        }
        self.half_opens.by_handle(handle).map(|_| handle)
    }

    /// An entry that was lifted comes to nothing: its place and its ID are free.
    pub(super) fn abandon(&mut self, place: Option<IncomingHandle>, id: Option<u64>) {
        if let Some(place) = place {
            self.half_opens.remove(place);
            self.count_vain();
        }
        if let Some(id) = id {
            self.ids.release(id);
        }
    }

    /// A half-open is gone: so is its ID, unless a connection took that over.
    pub(super) fn drop_half_open(&mut self, entry: &HalfOpen) {
        if let Some(id) = entry.own_id
            && !matches!(entry.stage, Stage::Promoted)
        {
            self.ids.release(id);
        }
    }

    /// Answers with an accepting CHALLENGE (in XX before anyone was asked): a new client, or one
    /// whose entry is lifted.
    pub(super) fn challenge(
        &mut self,
        place: Option<IncomingHandle>,
        mut entry: Box<HalfOpen>,
        mut handshake: Handshake,
    ) {
        // The slot is known only once the entry is in; the ID is written over it right then.
        let Some(id) = self.ids.issue(Owner::HalfOpen(u32::MAX)) else {
            self.abandon(place, None);
            return self.count(|drops| &mut drops.at_bound);
        };
        let mut parameters = naming_versions(self.config.transport.parameters());
        parameters.reset_token = Some(self.reset_token(id));
        let accept = ChallengePayload::Accept { server_id: id, parameters };
        let Some(packet) = write_challenge(&mut handshake, entry.client_id, &accept) else {
            self.abandon(place, Some(id));
            return self.count(|drops| &mut drops.bad_open);
        };
        entry.own_id = Some(id);
        entry.challenge = packet.as_slice().into();
        let path = entry.path;
        entry.stage = if handshake.is_finished() {
            match handshake.split() {
                Ok(split) => Stage::Answered(Box::new(split)),
                Err(_) => return self.abandon(place, Some(id)),
            }
        } else {
            Stage::Unconfirmed(Box::new(handshake))
        };
        let Some(handle) = self.keep_half_open(place, entry) else { return };
        self.ids.hand_over(id, Owner::HalfOpen(handle.slot));
        self.stats.opens_accepted = self.stats.opens_accepted.saturating_add(1);
        self.answer(path, packet);
    }

    pub(super) fn server_zone(
        &self,
        split: &Split,
        suite: Suite,
        own_id: u64,
        peer_id: u64,
    ) -> Zone {
        let aead = data_aead(suite, &self.config.aead);
        Zone::first(&aead, suite.cipher, Side::Server, split, (own_id, peer_id))
    }

    /// Answers with a refusing CHALLENGE, which leaves no state (R-CHAL-1).
    pub(super) fn refuse_open(
        &mut self,
        entry: &HalfOpen,
        mut handshake: Handshake,
        code: Code,
        reason: &str,
    ) {
        if handshake.wants_psk() {
            return self.hint_psk(entry);
        }
        if !self.may_answer(Answer::Refusal) {
            return;
        }
        let refuse = ChallengePayload::Refuse { code, reason };
        if let Some(packet) = write_challenge(&mut handshake, entry.client_id, &refuse) {
            self.answer(entry.path, packet);
        }
    }

    /// Lets a client in that [`Event::Incoming`] told of. One that wants a pre-shared key is let in
    /// by [`accept_with`](Self::accept_with) only, and turned away by this.
    ///
    /// # Errors
    /// If it was answered already, or waited for more than 30 s.
    pub fn accept(
        &mut self,
        now: Instant,
        incoming: IncomingHandle,
    ) -> Result<(), UnknownIncoming> {
        self.tick(now);
        if self.hush(incoming) {
            return Ok(());
        }
        let (entry, handshake) = self.lift_screened(incoming)?;
        if handshake.wants_psk() {
            self.abandon(Some(incoming), None);
            self.hint_psk(&entry);
        } else if let Some(reason) = self.leaving_reason() {
            self.turn_away(incoming, entry, handshake, Code::SHUTTING_DOWN, &reason);
        } else if handshake.is_finished() {
            self.connect_confirmed(incoming, entry, handshake);
        } else {
            self.challenge(Some(incoming), entry, handshake);
        }
        Ok(())
    }

    /// Refuses a client that [`Event::Incoming`] told of, with a code and a text of at most 255
    /// bytes (row T13).
    ///
    /// # Errors
    /// If it was answered already, or waited for more than 30 s.
    pub fn refuse(
        &mut self,
        now: Instant,
        incoming: IncomingHandle,
        code: Code,
        reason: &str,
    ) -> Result<(), UnknownIncoming> {
        self.tick(now);
        if self.hush(incoming) {
            return Ok(());
        }
        let (entry, handshake) = self.lift_screened(incoming)?;
        self.turn_away(incoming, entry, handshake, code, reason);
        Ok(())
    }

    /// Refuses a client whose entry is lifted, however far it has come.
    pub(super) fn turn_away(
        &mut self,
        incoming: IncomingHandle,
        entry: Box<HalfOpen>,
        handshake: Handshake,
        code: Code,
        reason: &str,
    ) {
        if handshake.is_finished() {
            self.refuse_confirmed(incoming, entry, handshake, code, reason);
        } else {
            self.abandon(Some(incoming), None);
            self.refuse_open(&entry, handshake, code, reason);
        }
    }

    pub(super) fn lift_screened(
        &mut self,
        incoming: IncomingHandle,
    ) -> Result<(Box<HalfOpen>, Handshake), UnknownIncoming> {
        let waits = self
            .half_opens
            .by_handle(incoming)
            .is_some_and(|entry| matches!(entry.stage, Stage::Screening(_)));
        if !waits {
            return Err(UnknownIncoming);
        }
        let mut entry = self.half_opens.lift(incoming).ok_or(UnknownIncoming)?;
        match core::mem::replace(&mut entry.stage, Stage::Promoted) {
            Stage::Screening(handshake) => Ok((entry, *handshake)),
            _ => Err(UnknownIncoming),
        }
    }

    /// CONFIRM came: the third message of XX.
    pub(super) fn on_confirm(&mut self, path: Path, datagram: &[u8]) {
        let Ok(confirm) = Confirm::parse(datagram) else {
            return self.count(|drops| &mut drops.malformed);
        };
        let Some(Owner::HalfOpen(slot)) = self.ids.owner(confirm.server_id) else {
            return self.count(|drops| &mut drops.bad_handshake);
        };
        let Some(entry) = self.half_opens.get(slot) else { return };
        let handshake = match &entry.stage {
            Stage::Unconfirmed(handshake) => (**handshake).clone(),
            Stage::Refused(refusal) => {
                // To anyone else's packet nothing is said: that would be reflection.
                let same = refusal.confirm == keyed_hash64(&self.hash_key, confirm.noise);
                let answer = same.then(|| refusal.answer.clone());
                return match answer {
                    Some(answer) => self.answer(path, answer),
                    None => self.count(|drops| &mut drops.bad_handshake),
                };
            }
            _ => return self.count(|drops| &mut drops.bad_handshake),
        };
        self.on_confirm_of(slot, handshake, confirm.noise, path);
    }

    pub(super) fn on_confirm_of(
        &mut self,
        slot: u32,
        mut handshake: Handshake,
        noise: &[u8],
        path: Path,
    ) {
        if handshake.wants_psk() {
            return self.ask_for_psk(slot, handshake, noise, path);
        }
        let mut payload = Vec::new();
        if handshake.read_message(noise, &mut payload).is_err() {
            return self.count(|drops| &mut drops.bad_handshake);
        }
        let Some(server) = self.config.server.clone() else { return };
        let Some((place, mut entry)) = self.lift_half_open(slot) else { return };
        self.note_confirm(&mut entry, noise, path);
        entry.client = handshake.remote_static();
        if !is_allowed(&server.access, &entry) {
            return self.refuse_confirmed(place, entry, handshake, Code::REFUSED, "");
        }
        if let Err((code, reason)) = take_payload(&mut entry, &payload, &server) {
            return self.refuse_confirmed(place, entry, handshake, code, reason);
        }
        if let Some(reason) = self.leaving_reason() {
            return self.refuse_confirmed(place, entry, handshake, Code::SHUTTING_DOWN, &reason);
        }
        match server.screening {
            Screening::AcceptAll => self.connect_confirmed(place, entry, handshake),
            Screening::Ask | Screening::AskForPsk => self.ask(Some(place), entry, handshake),
        }
    }

    /// CONFIRM verified: the first proof that its sender receives what goes to an address.
    pub(super) fn note_confirm(&self, entry: &mut HalfOpen, noise: &[u8], path: Path) {
        entry.on_confirm(path);
        entry.confirm = keyed_hash64(&self.hash_key, noise);
        entry.confirm_len = u16::try_from(noise.len()).unwrap_or(u16::MAX);
    }

    pub(super) fn lift_half_open(&mut self, slot: u32) -> Option<(IncomingHandle, Box<HalfOpen>)> {
        let handle = self.half_opens.handle(slot)?;
        Some((handle, self.half_opens.lift(handle)?))
    }

    /// XX: the client is in, and its connection begins.
    pub(super) fn connect_confirmed(
        &mut self,
        place: IncomingHandle,
        entry: Box<HalfOpen>,
        handshake: Handshake,
    ) {
        if self.live >= self.config.connections_max {
            return self.refuse_confirmed(place, entry, handshake, Code::BUSY, "");
        }
        let zone = entry
            .own_id
            .zip(handshake.split().ok())
            .map(|(id, split)| self.server_zone(&split, entry.suite, id, entry.client_id));
        match zone {
            Some(zone) => {
                let path = entry.path;
                let proven = entry.proves(path.remote);
                self.promote((place, None), entry, zone, path, proven);
            }
            None => self.abandon(Some(place), entry.own_id),
        }
    }

    /// DATA for a half-open: the first that verifies makes the connection (row T08).
    pub(super) fn on_first_data(
        &mut self,
        slot: u32,
        header: DataHeader,
        path: Path,
        ecn: Ecn,
        datagram: &mut [u8],
    ) {
        let bytes = datagram.len();
        let zone = self.half_opens.get(slot).and_then(|entry| match &entry.stage {
            Stage::Answered(split) => {
                Some((split.clone(), entry.suite, entry.own_id?, entry.client_id))
            }
            _ => None,
        });
        let Some((split, suite, own_id, client_id)) = zone else {
            // XX: CONFIRM or the screening's answer is still to come; the packet comes again.
            return self.count(|drops| &mut drops.bad_handshake);
        };
        let zone = self.server_zone(&split, suite, own_id, client_id);
        if self.leave.refusal().is_some() {
            return self.refuse_first_data(zone, header, path, datagram);
        }
        let number = header.number.expand(None);
        let opened = number.and_then(|number| {
            Some((number, zone.open.open_packet(number, datagram, header.header_len()).ok()?))
        });
        let Some((number, plaintext)) = opened else {
            return self.count(|drops| &mut drops.unauthentic);
        };
        let attempt = match self.weigh_single(slot) {
            Weight::New => None,
            Weight::TakesOver(attempt) => Some(attempt),
            Weight::Dropped => return self.count(|drops| &mut drops.bad_handshake),
        };
        // R-HAND-9: full since then; the packet comes again.
        if attempt.is_none() && self.live >= self.config.connections_max {
            return self.count(|drops| &mut drops.at_bound);
        }
        let Some((place, entry)) = self.lift_half_open(slot) else { return };
        let proven = entry.proves(path.remote);
        if let Some(slot) = self.promote((place, attempt), entry, zone, path, proven) {
            let packet = Opened { number, plaintext, bytes, path, ecn, id: header.id };
            self.with(slot, |connection, cx| connection.on_packet(&packet, cx));
        }
    }

    /// Makes a connection of a half-open, whose hash stays known for a while; in the place of an
    /// attempt of ours, if it takes that over.
    fn promote(
        &mut self,
        (half_open, attempt): (IncomingHandle, Option<ConnectionHandle>),
        mut entry: Box<HalfOpen>,
        zone: Zone,
        path: Path,
        proven: bool,
    ) -> Option<u32> {
        let Some(handle) = attempt.or_else(|| self.next_handle()) else {
            self.abandon(Some(half_open), entry.own_id);
            return None;
        };
        self.ids.hand_over(zone.own_id, Owner::Connection(handle.slot));
        let (user_id, route, parameters) = request_of(&entry);
        let accepted = Accepted {
            zone,
            suite: entry.suite,
            path,
            proven,
            peer: entry.client,
            parameters,
            user_id,
            route,
            opened_at: entry.opened_at,
            in_use: self.server_in_use(entry.suite),
            single: self.is_single(&entry),
        };
        let transport = self.transport.clone();
        let mut cx = Cx {
            now: self.now,
            events: &mut self.events,
            random: &mut self.random,
            settled: &mut self.settled,
            recycler: &mut self.recycler,
        };
        let connection = Connection::server(handle, transport, accepted, &mut cx);
        match attempt {
            Some(_) => self.take_over(handle, connection),
            None => self.place(handle, connection),
        }
        entry.stage = Stage::Promoted;
        (entry.challenge, entry.request) = Default::default();
        self.keep_half_open(Some(half_open), entry);
        Some(handle.slot)
    }
}

/// Whether a private server knows this client (R-HAND-8).
fn is_allowed(access: &Access, entry: &HalfOpen) -> bool {
    match access {
        Access::Public => true,
        Access::Private(keys) => entry.client.is_some_and(|client| keys.contains(&client)),
    }
}

/// Whether a server takes suites with, or without, a pre-shared key.
fn takes_psk(server: &ServerConfig, suite: Suite) -> bool {
    let chosen = server.screening == Screening::AskForPsk;
    suite.psk == server.psk.is_some() || (suite.psk && chosen)
}

/// Keeps what a client asks for, or says how to refuse it (R-PARAM-1, R-PARAM-5).
fn take_payload(
    entry: &mut HalfOpen,
    payload: &[u8],
    server: &ServerConfig,
) -> Result<Parameters, (Code, &'static str)> {
    let asked = OpenPayload::parse(payload).map_err(|error| (error.code(), ""))?;
    entry.request = payload.into();
    match server.minimum.missed_by(&asked.parameters) {
        Some(reason) => Err((Code::PARAMETER, reason)),
        None => Ok(asked.parameters),
    }
}

/// What a client asks for: user id, route and parameters.
fn request_of(entry: &HalfOpen) -> ([u8; 8], Vec<u8>, Parameters) {
    match OpenPayload::parse(&entry.request) {
        Ok(payload) => (payload.user_id, payload.route.to_vec(), payload.parameters),
        // Nothing was asked for yet.
        Err(_) => ([0; 8], Vec::new(), Parameters::default()),
    }
}

/// CHALLENGE with this payload; `None` if the state is not at that point.
pub(super) fn write_challenge(
    handshake: &mut Handshake,
    client_id: u64,
    payload: &ChallengePayload<'_>,
) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    payload.write(&mut plain);
    let mut noise = Vec::new();
    handshake.write_message(&plain, &mut noise).ok()?;
    let mut packet = Vec::new();
    Challenge { client_id, noise: &noise }.write(&mut packet).ok()?;
    Some(packet)
}
