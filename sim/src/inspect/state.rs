//! Where all comes together: each datagram, sent or delivered, goes to the books it concerns.

use super::acks::WINDOW;
use super::books::Ledger;
use super::connection::{Bounds, Connection, Role, Sent, Side};
use super::handshake::Handshakes;
use super::hosts::{HostLedger, Hosts};
use super::proofs::Proofs;
use super::report::Report;
use super::shelf::Shelf;
use crate::cipher::{Lies, Map, Opened, Tape, Text};
use crate::host::HostId;
use crate::marks::Mark;
use crate::rule::{PacketView, Stage};
use crate::wire::{Answer, Data, Half, Limits, Open, Packet, answer, hello};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tripline_sansio::{Duration, Instant};

/// Connections that are remembered; the oldest goes.
const CONNECTIONS_MAX: usize = 32_768;
/// One DATA packet of so many is searched for the canary.
const CANARY_EVERY: u64 = 16;

/// Whose an ID is.
#[derive(Clone, Copy, Debug)]
struct Known {
    connection: u64,
    /// Who gave it out, so who receives under it.
    receiver: Role,
    zone: u64,
}

/// The datagram that was delivered last.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    host: HostId,
    source: SocketAddr,
    /// The ID that it bears, if it is DATA.
    id: Option<u64>,
    /// It is of a zone before the newest one of its receiver.
    is_old: bool,
    /// It has to be opened: by whom of which connection, and its number (`refused`).
    good: Option<(u64, Role, u64)>,
}

/// See the head of this file.
#[derive(Debug)]
pub(super) struct State {
    pub(super) report: Report,
    pub(super) bounds: Bounds,
    pub(super) canary: Vec<u8>,
    tape: Arc<Mutex<Tape>>,
    /// What the cipher has opened; empty between calls, and kept for its memory.
    heard: VecDeque<Opened>,
    /// A text whose buffer the tape gets back when it is next at hand.
    spent: Option<Text>,
    lies: Lies,
    hosts: Hosts,
    handshakes: Handshakes,
    pub(super) proofs: Proofs,
    connections: Shelf,
    /// Connections by the user id of their OPEN.
    by_user: Map<u64, Vec<u64>>,
    ids: Map<u64, Known>,
    /// Reset tokens by their first half, with whose they are.
    tokens: Map<u64, (Known, [u8; 16])>,
    arrival: Option<Arrival>,
    /// Who sent payload last: the user id of the connection, and the side.
    pub(super) talker: Option<(u64, usize)>,
    seen: u64,
}

impl State {
    /// By how much sooner servers may forget half-open connections.
    pub(super) const fn set_haste(&mut self, haste: Duration) {
        self.handshakes.haste = haste;
    }

    /// How much later than by the rules something may be seen.
    pub(super) const fn set_slack(&mut self, slack: Duration) {
        self.bounds.slack = slack;
        self.handshakes.slack = slack;
    }

    pub(super) fn new(tape: Arc<Mutex<Tape>>, lies: Lies) -> Self {
        Self {
            report: Report::default(),
            bounds: Bounds {
                start: 0,
                most: 0,
                key_packets: 0,
                slack: Duration::from_millis(100),
                first_window: true,
            },
            canary: Vec::new(),
            tape,
            heard: VecDeque::new(),
            spent: None,
            lies,
            hosts: Hosts::default(),
            handshakes: Handshakes::default(),
            proofs: Proofs::default(),
            connections: Shelf::default(),
            by_user: Map::default(),
            ids: Map::default(),
            tokens: Map::default(),
            arrival: None,
            talker: None,
            seen: 0,
        }
    }

    fn tape(&self) -> MutexGuard<'_, Tape> {
        self.tape.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A server's memory is gone: it may answer an OPEN anew.
    pub(super) fn on_restart(&mut self, host: HostId) {
        let now = self.report.now;
        self.handshakes.on_restart(host, now);
    }

    /// A datagram is sent or delivered.
    pub(super) fn see(&mut self, view: &PacketView<'_>) {
        self.catch_up();
        self.report.now = view.now;
        if view.stage == Stage::Offered {
            self.on_offered(view);
        } else if view.stage == Stage::Delivered {
            self.on_delivered(view);
        }
    }

    /// Takes in what the cipher has heard since.
    pub(super) fn catch_up(&mut self) {
        {
            let Self { tape, spent, heard, report, .. } = self;
            let mut tape = tape.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(text) = spent.take() {
                tape.give_back(text);
            }
            if tape.has_news() {
                tape.swap_opened(heard);
                for fault in tape.take_faults() {
                    report.blame("I5", None, format_args!("{fault}"));
                }
            }
        }
        while let Some(opened) = self.heard.pop_front() {
            self.on_opened(opened);
        }
        if self.arrival.is_some() {
            self.on_handed_in();
        }
    }

    /// What was delivered last has been handed in, and what the cipher made of it is known.
    fn on_handed_in(&mut self) {
        let Some(arrival) = self.arrival.take() else { return };
        self.report.hit_if(arrival.is_old, Mark::OldZoneTooLate);
        if let Some((serial, role, number)) = arrival.good
            && let Some(connection) = self.connections.get_mut(serial)
        {
            let now = self.report.now;
            connection.sides[role as usize].refused.on_unopened(number, now);
        }
    }

    /// What is known of both sides of the connection that was opened with this user id; nothing
    /// unless there is exactly one.
    pub(super) fn ledgers(&mut self, user: u64, now: Instant) -> Option<[Ledger; 2]> {
        self.catch_up();
        let Self { by_user, connections, .. } = self;
        let all = by_user.get(&user)?.iter().filter_map(|serial| connections.get(*serial));
        let mut all = all.filter(|connection| connection.confirmed);
        let found = all.next()?;
        // Of two nobody can say which; and who was lied to does not know what was acknowledged.
        let is_sure = all.next().is_none() && !found.sides.iter().any(Side::was_lied_to);
        is_sure.then(|| found.sides.each_ref().map(|side| side.ledger(now)))
    }

    /// What is known of a host.
    pub(super) fn host_ledger(&self, host: HostId) -> HostLedger {
        self.hosts.ledger(host)
    }

    fn on_opened(&mut self, opened: Opened) {
        if let Some(arrival) = self.arrival.as_mut().filter(|one| one.id == Some(opened.id)) {
            arrival.good = None;
        }
        if !opened.verified {
            self.report.hit(Mark::PacketForged);
            return;
        }
        let mut from = None;
        if let Some(arrival) = &mut self.arrival
            && arrival.id == Some(opened.id)
        {
            arrival.is_old = false;
            from = Some(arrival.source);
            self.hosts.on_verified(arrival.host, arrival.source);
        }
        let Some(known) = self.ids.get(&opened.id).copied() else { return };
        let Some(connection) = self.connections.get_mut(known.connection) else { return };
        let what = (known.zone, opened.number);
        let host = connection.sides[known.receiver as usize].host;
        let role = known.receiver.other();
        if let Some(lie) = self.lies.take((opened.id, opened.number)) {
            connection.sides[known.receiver as usize].on_lie(&mut self.report, lie.claim);
        }
        let event = self.hosts.events();
        let sender = connection.on_verified(&mut self.report, role, what, (from, event));
        // Whoever carried it here: its sender knew all that had reached it.
        if let (Some(host), Some((sender, event))) = (host, sender) {
            self.hosts.prove(host, sender, event);
        }
    }

    // ---- what is sent ----

    fn on_offered(&mut self, view: &PacketView<'_>) {
        let Some(from) = view.from else { return };
        self.hosts.on_sent(from, view.to, view.index);
        let is_free = match Packet::read(view.bytes) {
            Ok(Packet::Data(data)) => self.on_data(view, from, data),
            Ok(Packet::Open(open)) => {
                self.on_open(view, from, &open);
                true
            }
            Ok(other) => {
                self.on_answer(view, from, &other);
                false
            }
            Err(flaw) => {
                if self.hosts.is_honest(from) {
                    self.report.blame("I26", Some(from), format_args!("sends {flaw}"));
                }
                false
            }
        };
        self.seen += 1;
        let is_data = view.bytes.first().is_some_and(|first| *first >= 0x80);
        if !is_data || self.seen.is_multiple_of(CANARY_EVERY) {
            self.look_for_canary(view, from);
        }
        self.hosts.charge(&mut self.report, from, view.destination, view.bytes.len(), is_free);
    }

    /// I27, whole: the canary that the run put into its payload.
    fn look_for_canary(&mut self, view: &PacketView<'_>, from: HostId) {
        let canary = &self.canary[..];
        if canary.is_empty() || !self.hosts.is_honest(from) {
            return;
        }
        if may_hold(view.bytes, canary)
            && view.bytes.windows(canary.len()).any(|bytes| bytes == canary)
        {
            self.report.blame("I27", Some(from), format_args!("the canary is on the wire"));
        }
    }

    /// DATA is sent. Returns whether it is free of the address's budget.
    fn on_data(&mut self, view: &PacketView<'_>, from: HostId, data: Data<'_>) -> bool {
        let text = self.tape().take_data(u128::from_le_bytes(*data.tag));
        let known = self.ids.get(&data.id).copied();
        let Some(text) = text else {
            self.on_unsealed(from, known);
            return false;
        };
        self.hosts.trust(from);
        let is_free = match known {
            Some(known) => self.on_text(view, from, data, &text, known),
            None => false,
        };
        self.spent = Some(text);
        is_free
    }

    /// DATA that was not sealed since it was asked last: somebody else's, or a refusal once more.
    fn on_unsealed(&mut self, from: HostId, known: Option<Known>) {
        let connection = known.and_then(|known| self.connections.get(known.connection));
        let is_readable = connection.is_some_and(|one| one.suite.cipher() == 2);
        let is_refusal = connection.is_some_and(|one| {
            let server = &one.sides[Role::Server as usize];
            server.host == Some(from) && server.ending.is_over()
        });
        if self.hosts.is_honest(from) && !is_readable && !is_refusal {
            let what = format_args!("DATA that nobody sealed");
            self.report.blame("I26", Some(from), what);
        }
    }

    fn on_text(
        &mut self,
        view: &PacketView<'_>,
        from: HostId,
        data: Data<'_>,
        text: &Text,
        known: Known,
    ) -> bool {
        if data.number_near(text.number) != text.number || text.bytes.len() != data.sealed.len() {
            let what = format_args!("the header does not name number {}", text.number);
            self.report.blame("I26", Some(from), what);
        }
        if shows(text.number, &text.bytes, data.sealed) {
            self.report.blame("I27", Some(from), format_args!("plaintext is on the wire"));
        }
        let role = known.receiver.other();
        let Some(connection) = self.connections.get_mut(known.connection) else { return false };
        let sent = Sent {
            role,
            zone: known.zone,
            key: text.key,
            number: text.number,
            text: &text.bytes,
            data,
            view,
        };
        let (half, is_free) =
            connection.on_sent(&mut self.report, &self.hosts, &self.bounds, &sent);
        if connection.sides[role as usize].books.sent_payload_at(self.hosts.events()) {
            self.talker = connection.user.map(|user| (user, role as usize));
        }
        if role == Role::Client && !connection.confirmed {
            self.confirm(known.connection);
        }
        if let Some(half) = half {
            self.on_half(from, known.connection, role, &half);
        }
        is_free
    }

    /// The client has taken this answer: what its server sends belongs here.
    fn confirm(&mut self, serial: u64) {
        let Some(connection) = self.connections.get_mut(serial) else { return };
        connection.confirmed = true;
        if let Some(client_id) = connection.ids.first() {
            let known = Known { connection: serial, receiver: Role::Client, zone: 0 };
            self.ids.insert(*client_id, known);
        }
    }

    /// A new ID, for a zone to come (R-ID-2).
    fn on_half(&mut self, from: HostId, serial: u64, role: Role, half: &Half<'_>) {
        let known = Known { connection: serial, receiver: role, zone: half.zone };
        if self.ids.insert(half.id, known).is_some() {
            let what = format_args!("ID {:016x} was in use before (R-ID-2)", half.id);
            self.report.blame("I28", Some(from), what);
        }
        self.on_token(known, half.token);
        if let Some(connection) = self.connections.get_mut(serial) {
            connection.ids.push(half.id);
        }
    }

    fn on_token(&mut self, known: Known, token: &[u8; 16]) {
        if *token != [0; 16] {
            self.tokens.insert(token_key(token), (known, *token));
        }
        if self.tokens.len() > 8 * CONNECTIONS_MAX {
            // They serve a mark alone.
            self.tokens.clear();
        }
    }

    fn on_open(&mut self, view: &PacketView<'_>, from: HostId, open: &Open<'_>) {
        let text = last_tag(open.noise).and_then(|tag| self.tape().take_handshake(tag));
        if text.is_some() {
            self.hosts.trust(from);
        }
        let is_honest = self.hosts.is_honest(from);
        let ends = (view.source, view.destination);
        let is_first = self.handshakes.on_open(&mut self.report, (from, is_honest), open, ends);
        if !is_first {
            return;
        }
        let overhead = open.suite.first_overhead();
        let payload = match &text {
            Some(text) => Some(&text.bytes[..]),
            None if open.suite.is_nn() && !open.suite.has_psk() => open.noise.get(overhead..),
            None => None,
        };
        let limits = payload.filter(|_| !open.suite.is_xx()).map(hello);
        if is_honest {
            if let Some(Err(flaw)) = limits {
                self.report.blame("I26", Some(from), format_args!("OPEN: {flaw}"));
            }
            let is_long = view.bytes.len() > 1_200;
            let is_padded = open.suite.is_xx() && open.noise.len() != overhead;
            if is_long || is_padded {
                let what = format_args!("an OPEN of {} bytes (R-OPEN-4)", view.bytes.len());
                self.report.blame("I26", Some(from), what);
            }
        }
        if let Some(Ok(hello)) = limits
            && let Some(attempt) = self.handshakes.get(open.id)
        {
            attempt.limits = Some(hello.limits);
            attempt.user = Some(u64::from_be_bytes(*hello.user_id));
        }
    }

    /// Everything but DATA and OPEN.
    fn on_answer(&mut self, view: &PacketView<'_>, from: HostId, packet: &Packet<'_>) {
        match packet {
            Packet::Challenge { id, noise } => self.on_challenge(view, from, *id, noise),
            Packet::Confirm { id, noise } => self.on_confirm(from, *id, noise),
            Packet::Retry { id, token, .. } => {
                self.hosts.on_retry(from);
                self.proofs.on_retry(from, *id, token, view.destination);
                self.report.hit(Mark::RetrySent);
            }
            Packet::Version { .. } => self.report.hit(Mark::VersionSent),
            Packet::Reset { .. } => {
                self.hosts.on_reset(from);
                self.report.hit(Mark::ResetSent);
            }
            Packet::Data(_) | Packet::Open(_) | Packet::OtherOpen { .. } => {}
        }
    }

    fn on_challenge(&mut self, view: &PacketView<'_>, from: HostId, id: u64, noise: &[u8]) {
        let text = last_tag(noise).and_then(|tag| self.tape().take_handshake(tag));
        let Some(text) = text else {
            if self.hosts.is_honest(from) {
                let what = (view.bytes, view.destination);
                self.handshakes.on_challenge(&mut self.report, from, id, what, None);
            }
            return;
        };
        self.hosts.trust(from);
        let answer = answer(&text.bytes);
        let accepts = matches!(answer, Ok(Answer::Accept(..)));
        self.proofs.on_challenge(&mut self.report, from, id);
        let what = (view.bytes, view.destination);
        self.handshakes.on_challenge(&mut self.report, from, id, what, Some(accepts));
        match answer {
            Ok(Answer::Accept(server_id, limits)) => {
                self.hosts.on_accept(from);
                self.begin(from, id, server_id, &limits);
            }
            Ok(Answer::Refuse(..)) => self.report.hit(Mark::ChallengeRefuses),
            Ok(Answer::Forward(_)) => self.report.hit(Mark::ChallengeForwards),
            Err(flaw) => self.report.blame("I26", Some(from), format_args!("CHALLENGE: {flaw}")),
        }
    }

    /// A server has accepted: a connection that may come to be.
    fn begin(&mut self, server: HostId, client_id: u64, server_id: u64, limits: &Limits) {
        let Some(attempt) = self.handshakes.get(client_id) else { return };
        let mut sides = [Side::default(), Side::default()];
        sides[Role::Client as usize].learn(attempt.host, limits);
        sides[Role::Server as usize].host = Some(server);
        let serial = self.connections.next_serial();
        let client_token = attempt.limits.and_then(|allowed| allowed.reset);
        if let Some(allowed) = &attempt.limits {
            sides[Role::Server as usize].learn(server, allowed);
        }
        let connection = Connection {
            sides,
            suite: attempt.suite,
            ids: vec![client_id, server_id],
            confirmed: false,
            is_told: false,
            source: attempt.source,
            user: attempt.user,
        };
        if let Some(user) = connection.user {
            self.by_user.entry(user).or_default().push(serial);
        }
        self.connections.push(connection);
        let known = |receiver| Known { connection: serial, receiver, zone: 0 };
        if self.ids.insert(server_id, known(Role::Server)).is_some() {
            let what = format_args!("ID {server_id:016x} was in use before (R-ID-2)");
            self.report.blame("I28", Some(server), what);
        }
        self.ids.entry(client_id).or_insert(known(Role::Client));
        for (role, token) in [(Role::Client, client_token), (Role::Server, limits.reset)] {
            if let Some(token) = token {
                self.on_token(known(role), &token);
            }
        }
        if self.connections.len() > CONNECTIONS_MAX {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((serial, connection)) = self.connections.pop() else { return };
        if let Some(user) = connection.user
            && let Some(serials) = self.by_user.get_mut(&user)
        {
            serials.retain(|other| *other != serial);
        }
        for id in connection.ids {
            if self.ids.get(&id).is_some_and(|known| known.connection == serial) {
                self.ids.remove(&id);
            }
        }
    }

    fn on_confirm(&mut self, from: HostId, id: u64, noise: &[u8]) {
        let text = last_tag(noise).and_then(|tag| self.tape().take_handshake(tag));
        let Some(known) = self.ids.get(&id).copied() else { return };
        let Some(text) = text else {
            self.report.hit(Mark::ConfirmRepeated);
            return;
        };
        self.hosts.trust(from);
        self.confirm(known.connection);
        let Some(connection) = self.connections.get_mut(known.connection) else { return };
        let server = &mut connection.sides[Role::Server as usize];
        match hello(&text.bytes) {
            Ok(hello) => {
                if let Some(host) = server.host {
                    server.learn(host, &hello.limits);
                }
                if let Some(token) = hello.limits.reset {
                    let known = Known { receiver: Role::Client, ..known };
                    self.on_token(known, &token);
                }
            }
            Err(flaw) => self.report.blame("I26", Some(from), format_args!("CONFIRM: {flaw}")),
        }
    }

    // ---- what is delivered ----

    fn on_delivered(&mut self, view: &PacketView<'_>) {
        let Some(to) = view.to else { return };
        // What the sender meant: behind a NAT another address is its receiver's own.
        let ends = (view.source, view.sent_to);
        self.hosts.on_delivered((view.from, view.index), to, ends, view.bytes.len());
        let mut arrival =
            Arrival { host: to, source: view.source, id: None, is_old: false, good: None };
        match Packet::read(view.bytes) {
            Ok(Packet::Data(data)) => {
                arrival.id = Some(data.id);
                self.on_data_delivered(&mut arrival, &data);
            }
            Ok(Packet::Open(open)) => {
                let proof = (open.id, open.token);
                self.proofs.on_open(&mut self.report, to, proof, view.source);
                let known = self.ids.get(&open.id);
                let connection = known.and_then(|known| self.connections.get(known.connection));
                let is_late = connection.is_some_and(|one| one.sides[0].acks.largest.is_some());
                self.report.hit_if(is_late, Mark::OpenLate);
            }
            Ok(Packet::Confirm { id, .. }) => {
                let known = self.ids.get(&id);
                if let Some(known) = known
                    && let Some(connection) = self.connections.get_mut(known.connection)
                {
                    connection.is_told = true;
                }
            }
            Ok(Packet::Reset { token }) => self.on_reset(token),
            Err(_) => {
                self.hosts.on_flawed(to);
                let is_empty = view.bytes.is_empty();
                let mark = if is_empty { Mark::DatagramEmpty } else { Mark::DatagramUnknown };
                self.report.hit(mark);
            }
            Ok(_) => {}
        }
        self.arrival = Some(arrival);
    }

    /// DATA is delivered: whether it is of an old zone, and whether it has to be opened.
    fn on_data_delivered(&mut self, arrival: &mut Arrival, data: &Data<'_>) {
        let Some(known) = self.ids.get(&data.id).copied() else { return };
        let Some(connection) = self.connections.get(known.connection) else { return };
        if connection.suite.cipher() == 2 {
            // Nothing is heard of it but this.
            self.hosts.on_verified(arrival.host, arrival.source);
        }
        let is_unconfirmed = connection.suite.is_xx() && !connection.is_told;
        self.report
            .hit_if(is_unconfirmed && known.receiver == Role::Server, Mark::DataBeforeConfirm);
        let acks = &connection.sides[known.receiver.other() as usize].acks;
        let number = data.number_near(acks.largest.map_or(0, |largest| largest + 1));
        let is_replay = acks.largest.is_some() && acks.delivered.contains(number);
        self.report.hit_if(is_replay, Mark::PacketReplayed);
        let is_edge = |largest: u64| largest.checked_sub(number) == Some(WINDOW);
        self.report.hit_if(is_replay && acks.largest.is_some_and(is_edge), Mark::ReplayAtEdge);
        self.report.hit_if(acks.is_beyond_window(number), Mark::PacketBeyondWindow);
        arrival.is_old = known.zone < connection.sides[known.receiver as usize].zones.zone;
        let is_good = connection.is_good((known.receiver, arrival.host), known.zone, data, number);
        arrival.good = is_good.then_some((known.connection, known.receiver, number));
    }

    fn on_reset(&mut self, token: &[u8; 16]) {
        let known = self.tokens.get(&token_key(token)).filter(|(_, whole)| whole == token);
        let is_in_use = known.is_some_and(|(known, _)| {
            let connection = self.connections.get(known.connection);
            connection.is_some_and(|connection| {
                connection.sides[known.receiver.other() as usize].zones.zone == known.zone
            })
        });
        let mark = if is_in_use { Mark::ResetAccepted } else { Mark::ResetIgnored };
        self.report.hit(mark);
    }
}

/// The tag at the end of a handshake message.
fn last_tag(noise: &[u8]) -> Option<u128> {
    noise.last_chunk().map(|tag| u128::from_le_bytes(*tag))
}

fn token_key(token: &[u8; 16]) -> u64 {
    token.first_chunk().map_or(0, |half| u64::from_le_bytes(*half))
}

/// Whether the first two bytes of `needle` are anywhere in `bytes`: so seldom that what is looked
/// for in earnest is looked for seldom. No branches, so the compiler takes many bytes at a time.
fn may_hold(bytes: &[u8], needle: &[u8]) -> bool {
    let [first, second, ..] = *needle else { return true };
    let pairs = bytes.iter().zip(bytes.get(1..).unwrap_or_default());
    pairs.fold(0, |found, (one, next)| found | u8::from((*one == first) & (*next == second))) != 0
}

/// I27: whether eight bytes of a text stand on the wire where they stood before sealing. By chance
/// that happens once in 2^58 packets.
///
/// One word in four is looked at, in turn: nothing longer than 38 bytes gets past, and nothing
/// shorter does for long.
fn shows(number: u64, text: &[u8], sealed: &[u8]) -> bool {
    let turn = (number % 4) as usize;
    let (text, _) = text.as_chunks::<8>();
    let (sealed, _) = sealed.as_chunks::<8>();
    let (text, text_end) = text.as_chunks::<4>();
    let (sealed, sealed_end) = sealed.as_chunks::<4>();
    let blocks = text.iter().zip(sealed);
    blocks.fold(false, |shows, (one, other)| shows | (one[turn] == other[turn]))
        || text_end.iter().zip(sealed_end).any(|(one, other)| one == other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_hold_a_canary_is_searched() {
        let canary = [7; 16];
        for at in 0..84 {
            let mut bytes = [0; 100];
            assert!(!may_hold(&bytes, &canary));
            bytes[at..at + 16].copy_from_slice(&canary);
            assert!(may_hold(&bytes, &canary), "at {at}");
        }
        assert!(may_hold(&[0; 3], &[1]) && !may_hold(&[7], &canary) && !may_hold(&[], &canary));
    }

    /// Every place is looked at in one packet of four, a run of 39 bytes in each.
    #[test]
    fn plaintext_on_the_wire_shows() {
        let text: Vec<u8> = (1..=200).collect();
        let covered: Vec<u8> = text.iter().map(|byte| !byte).collect();
        for word in 0..25 {
            let mut sealed = covered.clone();
            let place = word * 8..word * 8 + 8;
            sealed[place.clone()].copy_from_slice(&text[place]);
            assert!((0..4).any(|number| shows(number, &text, &sealed)), "word {word}");
        }
        for (number, start) in (0..4).flat_map(|number| (0..160).map(move |at| (number, at))) {
            assert!(!shows(number, &text, &covered));
            let mut sealed = covered.clone();
            sealed[start..start + 39].copy_from_slice(&text[start..start + 39]);
            assert!(shows(number, &text, &sealed), "packet {number}, from {start}");
        }
    }
}
