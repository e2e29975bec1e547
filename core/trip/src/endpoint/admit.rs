//! Taking clients in: OPEN, screening, CHALLENGE, CONFIRM, the first DATA (PROTOCOL.md §2).
//!
//! Work is done in the order of R-HAND-3, the dear last: length, version, suite, mac1, zeros, then
//! Diffie-Hellman. RETRY tokens and the limits on rates have their place before the last.

use super::Endpoint;
use super::half_open::{HalfOpen, Stage};
use super::ids::Owner;
use crate::config::{Access, Screening, ServerConfig};
use crate::connection::{Accepted, Connection, Cx, Opened, Zone, naming_versions};
use crate::crypto::{
    Cipher, Handshake, Pattern, SecretKey, Setup, Split, Suite, keyed_hash64, mac1, mac1_key, same,
};
use crate::error::UnknownIncoming;
use crate::event::{Event, Incoming};
use crate::handle::IncomingHandle;
use crate::wire::{
    Challenge, ChallengePayload, Code, Confirm, DataHeader, Frame, Open, OpenPayload, OpenPrefix,
    PROTOCOL_VERSION, Parameters, Side, TruncatedNumber, VersionReason, prologue, write_version,
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
        {
            let mut packet = Vec::new();
            write_version(&mut packet, prefix.client_id, reason, &[PROTOCOL_VERSION]);
            self.answer(path, packet);
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
            // NN proves nobody's identity: that is plain mode, which is not built yet.
            // XX shows the server's key to anyone, which a private server does not do.
            suite.pattern != Pattern::Nn
                && takes_psk(server, *suite)
                && (suite.pattern != Pattern::Xx || server.access == Access::Public)
        });
        let Some(suite) = suite else {
            self.count(|drops| &mut drops.unsupported);
            return Err(Verdict::Hint(VersionReason::Suite));
        };
        let key = match suite.pattern {
            Pattern::Nk | Pattern::Ik => self.identity.as_ref().map(|(_, public)| public),
            Pattern::Nn | Pattern::Xx => None,
        };
        if !same(&mac1(&mac1_key(key), open.before_mac1), &open.mac1) {
            self.count(|drops| &mut drops.bad_open);
            return Err(Verdict::Hint(VersionReason::Key));
        }
        if !open.padding_is_zero() {
            self.count(|drops| &mut drops.bad_open);
            return Err(Verdict::Silence);
        }
        let hash = keyed_hash64(&self.hash_key, open.through_mac1);
        match self.half_opens.by_hash(hash) {
            Some(slot) => self.on_open_again(slot, path),
            None => self.on_new_open(path, &open, suite, hash, server),
        }
        Ok(())
    }

    /// The same OPEN again gets the same CHALLENGE, sent to where this copy came from (R-CHAL-1).
    fn on_open_again(&mut self, slot: u32, path: Path) {
        let Some(entry) = self.half_opens.get(slot) else { return };
        if matches!(entry.stage, Stage::Answered(_) | Stage::Unconfirmed(_)) {
            entry.elsewhere |= path.remote != entry.path.remote;
            let packet = entry.challenge.clone();
            self.answer(path, packet);
        } else {
            // The user is being asked, or all was said.
            self.count(|drops| &mut drops.replayed);
        }
    }

    /// A fresh OPEN that passed the cheap checks: Diffie-Hellman, then whoever decides.
    fn on_new_open(
        &mut self,
        path: Path,
        open: &Open<'_>,
        suite: Suite,
        hash: u64,
        server: &ServerConfig,
    ) {
        let Some((secret, _)) = &self.identity else { return };
        let handshake = Handshake::responder(Setup {
            suite,
            prologue: &prologue(open.through_suite),
            local: Some(secret),
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
        let mut entry = HalfOpen {
            stage: Stage::Promoted,
            hash,
            opened_at: self.now,
            client_id: open.client_id,
            own_id: None,
            path,
            elsewhere: false,
            challenge: Vec::new(),
            suite,
            client: handshake.remote_static(),
            user_id: [0; 8],
            route: Vec::new(),
            parameters: Parameters::default(),
            confirm: (0, 0),
        };
        if suite.pattern == Pattern::Xx {
            // Who the client is and what it wants comes with CONFIRM.
            return if payload.is_empty() {
                self.challenge(entry, handshake)
            } else {
                self.count(|drops| &mut drops.bad_open)
            };
        }
        if !is_allowed(&server.access, &entry) {
            return self.count(|drops| &mut drops.not_allowed);
        }
        if let Err((code, reason)) = take_payload(&mut entry, &payload, server) {
            return self.refuse_open(&entry, handshake, code, reason);
        }
        if let Some(reason) = self.leaving_reason() {
            return self.refuse_open(&entry, handshake, Code::SHUTTING_DOWN, &reason);
        }
        if self.live >= self.config.connections_max {
            return self.refuse_open(&entry, handshake, Code::BUSY, "");
        }
        match server.screening {
            Screening::AcceptAll => self.challenge(entry, handshake),
            Screening::Ask | Screening::AskForPsk => {
                self.ask(entry, handshake);
            }
        }
    }

    /// Asks the user about a client (row T12).
    fn ask(&mut self, mut entry: HalfOpen, handshake: Handshake) -> IncomingHandle {
        let wants_psk = handshake.wants_psk();
        entry.stage = Stage::Screening(handshake);
        let incoming = (entry.path.remote, entry.client, entry.user_id, entry.route.clone());
        let handle = self.insert_half_open(entry);
        let (remote, client, user_id, route) = incoming;
        let incoming = Incoming { handle, remote, client, user_id, route, wants_psk };
        self.events.push_back(Event::Incoming(incoming));
        handle
    }

    pub(super) fn insert_half_open(&mut self, entry: HalfOpen) -> IncomingHandle {
        let (handle, evicted) = self.half_opens.insert(entry, self.now);
        if let Some(evicted) = evicted {
            self.drop_half_open(&evicted);
            self.count(|drops| &mut drops.at_bound);
        }
        handle
    }

    /// A half-open is gone: so is its ID, unless a connection took that over.
    pub(super) fn drop_half_open(&mut self, entry: &HalfOpen) {
        if let Some(id) = entry.own_id
            && !matches!(entry.stage, Stage::Promoted)
        {
            self.ids.release(id);
        }
    }

    /// Answers with an accepting CHALLENGE (in XX before anyone was asked).
    pub(super) fn challenge(&mut self, mut entry: HalfOpen, mut handshake: Handshake) {
        // The slot is known only once the entry is in; the ID is written over it right then.
        let Some(id) = self.ids.issue(Owner::HalfOpen(u32::MAX)) else {
            return self.count(|drops| &mut drops.at_bound);
        };
        let accept = ChallengePayload::Accept {
            server_id: id,
            parameters: naming_versions(self.config.transport.parameters()),
        };
        let Some(packet) = write_challenge(&mut handshake, entry.client_id, &accept) else {
            self.ids.release(id);
            return self.count(|drops| &mut drops.bad_open);
        };
        entry.own_id = Some(id);
        entry.challenge = packet.clone();
        let (path, client_id, cipher) = (entry.path, entry.client_id, entry.suite.cipher);
        entry.stage = if handshake.is_finished() {
            match handshake.split().map(|split| self.server_zone(&split, cipher, id, client_id)) {
                Ok(zone) => Stage::Answered(Box::new(zone)),
                Err(_) => return self.ids.release(id),
            }
        } else {
            Stage::Unconfirmed(handshake)
        };
        let handle = self.insert_half_open(entry);
        self.ids.hand_over(id, Owner::HalfOpen(handle.slot));
        self.stats.opens_accepted = self.stats.opens_accepted.saturating_add(1);
        self.answer(path, packet);
    }

    pub(super) fn server_zone(
        &self,
        split: &Split,
        cipher: Cipher,
        own_id: u64,
        peer_id: u64,
    ) -> Zone {
        Zone::first(&self.config.aead, cipher, Side::Server, split, (own_id, peer_id))
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
        let (entry, handshake) = self.take_screened(incoming)?;
        if handshake.wants_psk() {
            self.hint_psk(&entry);
        } else if let Some(reason) = self.leaving_reason() {
            self.turn_away(entry, handshake, Code::SHUTTING_DOWN, &reason);
        } else if handshake.is_finished() {
            self.connect_confirmed(entry, handshake);
        } else {
            self.challenge(entry, handshake);
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
        let (entry, handshake) = self.take_screened(incoming)?;
        self.turn_away(entry, handshake, code, reason);
        Ok(())
    }

    /// Refuses a client, however far it has come.
    pub(super) fn turn_away(
        &mut self,
        entry: HalfOpen,
        handshake: Handshake,
        code: Code,
        reason: &str,
    ) {
        if handshake.is_finished() {
            self.refuse_confirmed(entry, handshake, code, reason);
        } else {
            self.refuse_open(&entry, handshake, code, reason);
        }
    }

    pub(super) fn take_screened(
        &mut self,
        incoming: IncomingHandle,
    ) -> Result<(HalfOpen, Handshake), UnknownIncoming> {
        let waits = self
            .half_opens
            .by_handle(incoming)
            .is_some_and(|entry| matches!(entry.stage, Stage::Screening(_)));
        if !waits {
            return Err(UnknownIncoming);
        }
        let mut entry = *self.half_opens.remove(incoming).ok_or(UnknownIncoming)?;
        match core::mem::replace(&mut entry.stage, Stage::Promoted) {
            Stage::Screening(handshake) => Ok((entry, handshake)),
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
            Stage::Unconfirmed(handshake) => handshake.clone(),
            Stage::Refused { confirm: hash, answer } => {
                // To anyone else's packet nothing is said: that would be reflection.
                let same = *hash == keyed_hash64(&self.hash_key, confirm.noise);
                let answer = same.then(|| answer.clone());
                return match answer {
                    Some(answer) => self.answer(path, answer),
                    None => self.count(|drops| &mut drops.bad_handshake),
                };
            }
            _ => return self.count(|drops| &mut drops.bad_handshake),
        };
        self.on_confirm_of(slot, handshake, confirm.noise, path);
    }

    fn on_confirm_of(&mut self, slot: u32, mut handshake: Handshake, noise: &[u8], path: Path) {
        let mut payload = Vec::new();
        if handshake.read_message(noise, &mut payload).is_err() {
            return self.count(|drops| &mut drops.bad_handshake);
        }
        let Some(server) = self.config.server.clone() else { return };
        let Some(entry) = self.take_half_open(slot) else { return };
        let mut entry = entry;
        // CONFIRM is the first proof that its sender receives what goes to an address.
        entry.elsewhere |= path.remote != entry.path.remote;
        entry.path = path;
        entry.confirm = (keyed_hash64(&self.hash_key, noise), noise.len());
        entry.client = handshake.remote_static();
        if !is_allowed(&server.access, &entry) {
            return self.refuse_confirmed(entry, handshake, Code::REFUSED, "");
        }
        if let Err((code, reason)) = take_payload(&mut entry, &payload, &server) {
            return self.refuse_confirmed(entry, handshake, code, reason);
        }
        if let Some(reason) = self.leaving_reason() {
            return self.refuse_confirmed(entry, handshake, Code::SHUTTING_DOWN, &reason);
        }
        match server.screening {
            Screening::AcceptAll => self.connect_confirmed(entry, handshake),
            Screening::Ask | Screening::AskForPsk => {
                let id = entry.own_id;
                let handle = self.ask(entry, handshake);
                if let Some(id) = id {
                    self.ids.hand_over(id, Owner::HalfOpen(handle.slot));
                }
            }
        }
    }

    fn take_half_open(&mut self, slot: u32) -> Option<HalfOpen> {
        let handle = self.half_opens.handle(slot)?;
        self.half_opens.remove(handle).map(|entry| *entry)
    }

    /// XX: the client is in, and its connection begins.
    pub(super) fn connect_confirmed(&mut self, entry: HalfOpen, handshake: Handshake) {
        if self.live >= self.config.connections_max {
            return self.refuse_confirmed(entry, handshake, Code::BUSY, "");
        }
        let zone = entry
            .own_id
            .zip(handshake.split().ok())
            .map(|(id, split)| self.server_zone(&split, entry.suite.cipher, id, entry.client_id));
        if let Some(zone) = zone {
            let proven = !entry.elsewhere;
            let path = entry.path;
            self.promote(entry, zone, path, proven);
        }
    }

    /// XX: the refusal is a DISCONNECT in zone 0, given again for each repeat of CONFIRM.
    pub(super) fn refuse_confirmed(
        &mut self,
        mut entry: HalfOpen,
        handshake: Handshake,
        code: Code,
        reason: &str,
    ) {
        let Some((id, split)) = entry.own_id.zip(handshake.split().ok()) else { return };
        let mut zone = self.server_zone(&split, entry.suite.cipher, id, entry.client_id);
        let header = DataHeader { id: entry.client_id, number: TruncatedNumber::new(0, None) };
        let mut packet = Vec::new();
        header.write(&mut packet);
        let body = packet.len();
        // Never more than came (R-HAND-1): a long text is left out.
        const FIXED: usize = 48;
        let fits = reason.len().saturating_add(FIXED) <= entry.confirm.1;
        let reason = if fits { reason } else { "" };
        Frame::Disconnect { code, frame_type: 0, reason }.write(&mut packet);
        if zone.seal.seal_packet(0, &mut packet, 0, body).is_err() {
            return;
        }
        let path = entry.path;
        entry.stage = Stage::Refused { confirm: entry.confirm.0, answer: packet.clone() };
        let handle = self.insert_half_open(entry);
        self.ids.hand_over(id, Owner::HalfOpen(handle.slot));
        self.answer(path, packet);
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
        let Some(entry) = self.half_opens.get(slot) else { return };
        let Stage::Answered(zone) = &mut entry.stage else {
            // XX: CONFIRM or the screening's answer is still to come; the packet comes again.
            return self.count(|drops| &mut drops.bad_handshake);
        };
        if self.leave.refusal().is_some() {
            return self.refuse_first_data(slot, header, path, datagram);
        }
        let number = header.number.expand(None);
        let opened = number.and_then(|number| {
            Some((number, zone.open.open_packet(number, datagram, header.header_len()).ok()?))
        });
        let Some((number, plaintext)) = opened else {
            return self.count(|drops| &mut drops.unauthentic);
        };
        if self.live >= self.config.connections_max {
            return self.count(|drops| &mut drops.at_bound);
        }
        let Some(entry) = self.take_half_open(slot) else { return };
        let mut entry = entry;
        let proven = !entry.elsewhere && entry.path.remote == path.remote;
        let Stage::Answered(zone) = core::mem::replace(&mut entry.stage, Stage::Promoted) else {
            return;
        };
        if let Some(slot) = self.promote(entry, *zone, path, proven) {
            let packet = Opened { number, plaintext, bytes, path, ecn, id: header.id };
            self.with(slot, |connection, cx| connection.on_packet(&packet, cx));
        }
    }

    /// Makes a connection of a half-open, whose hash stays known for a while.
    fn promote(
        &mut self,
        mut entry: HalfOpen,
        zone: Zone,
        path: Path,
        proven: bool,
    ) -> Option<u32> {
        let handle = self.next_handle()?;
        self.ids.hand_over(zone.own_id, Owner::Connection(handle.slot));
        let accepted = Accepted {
            zone,
            suite: entry.suite,
            path,
            proven,
            peer: entry.client,
            parameters: entry.parameters,
            user_id: entry.user_id,
            route: core::mem::take(&mut entry.route),
            opened_at: entry.opened_at,
        };
        let transport = self.config.transport.clone();
        let mut cx = Cx { now: self.now, events: &mut self.events, random: &mut self.random };
        let connection = Connection::server(handle, transport, accepted, &mut cx);
        self.place(handle, connection);
        entry.stage = Stage::Promoted;
        entry.challenge = Vec::new();
        self.insert_half_open(entry);
        Some(handle.slot)
    }
}

/// Whether a private server knows this client.
fn is_allowed(access: &Access, entry: &HalfOpen) -> bool {
    match access {
        Access::Public => true,
        Access::Private(keys) => entry.client.is_some_and(|client| keys.contains(&client)),
    }
}

/// Whether a server takes suites with, or without, a pre-shared key. In XX the key is mixed in
/// before the payload of CONFIRM can be read: there it cannot be chosen by who the client is.
fn takes_psk(server: &ServerConfig, suite: Suite) -> bool {
    let chosen = server.screening == Screening::AskForPsk && suite.pattern != Pattern::Xx;
    suite.psk == server.psk.is_some() || (suite.psk && chosen)
}

/// Takes over what the client announced, or says how to refuse it (R-PARAM-1, R-PARAM-5).
fn take_payload(
    entry: &mut HalfOpen,
    payload: &[u8],
    server: &ServerConfig,
) -> Result<(), (Code, &'static str)> {
    let payload = OpenPayload::parse(payload).map_err(|error| (error.code(), ""))?;
    entry.user_id = payload.user_id;
    entry.route = payload.route.to_vec();
    entry.parameters = payload.parameters;
    match server.minimum.missed_by(&entry.parameters) {
        Some(reason) => Err((Code::PARAMETER, reason)),
        None => Ok(()),
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
