//! One connection, followed from CHALLENGE to its end: every DATA packet when it is sent, and again
//! when it has verified at the other side.

use super::acks::Acks;
use super::books::{Books, Ledger, Weight};
use super::ending::Ending;
use super::hosts::Hosts;
use super::lied::Lied;
use super::numbers::SPAN;
use super::paths::{Paths, Shape};
use super::pings::Pings;
use super::refused::Refused;
use super::report::Report;
use super::silence::Silence;
use super::streams::{Grant, Streams};
use super::work::Work;
use super::zones::Zones;
use crate::host::HostId;
use crate::marks::Mark;
use crate::rule::PacketView;
use crate::wire::{Data, Frame, Half, Limits, Suite, frames};
use std::collections::VecDeque;
use std::net::SocketAddr;
use tripline_sansio::{Duration, Instant};

/// Control frames of packets on their way that are remembered.
const NOTES_MAX: usize = 16_384;
/// Buffers that are kept for their memory.
const SPARE_MAX: usize = 4;
/// The first window (R-CC-1), and the most that probes add to it every ten milliseconds.
const FIRST_WINDOW: u64 = 14_720;
const PROBES: u64 = 3_000;

/// A side of a connection: 0 the client, 1 the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Client,
    Server,
}

impl Role {
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// What the configurations of a run allow at most, and how patient the inspector is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// The largest datagram at first, and ever.
    pub(super) start: usize,
    pub(super) most: usize,
    /// Packets with payload under one key.
    pub(super) key_packets: u64,
    /// Beyond the ACK delay.
    pub(super) slack: Duration,
    /// Whether the controllers begin with the window of R-CC-1.
    pub(super) first_window: bool,
}

/// A packet that was sent.
#[derive(Clone, Copy, Debug, Default)]
struct Record {
    bits: u16,
    /// Its size as a datagram.
    len: u16,
    /// How many events there were before it.
    event: u64,
}

/// It asks for an ACK.
const ELICITING: u16 = 1;
/// It holds STREAM.
const PAYLOAD: u16 = 2;
/// It holds STREAM, SKIP or CLOSE_STREAM, so it may be dropped at a bound.
const BOUNDED: u16 = 4;
const DISCONNECT: u16 = 8;
const ACK: u16 = 16;
const PADDING: u16 = 32;
/// It holds something else than PING and PADDING.
const MORE: u16 = 64;
const FILL: u16 = 128;
/// It holds a PING with *probe*.
const PROBE: u16 = 256;
const NOTES: u16 = 512;
const GRANTS: u16 = 1_024;
const BLOCKED: u16 = 2_048;
/// It holds something else than PING, PONG and PADDING.
const OTHER: u16 = 4_096;

impl Record {
    /// How it counts for congestion control: if it is ack-eliciting or holds PADDING.
    const fn weight(self) -> Weight {
        if self.bits & DISCONNECT != 0 || self.bits & (ELICITING | PADDING) == 0 {
            Weight::None
        } else if self.bits & OTHER == 0 {
            Weight::Doubtful
        } else {
            Weight::Full
        }
    }
}

/// What one side sends, and what is known of it.
#[derive(Debug, Default)]
pub(super) struct Side {
    pub(super) host: Option<HostId>,
    next: u64,
    first_record: u64,
    records: VecDeque<Record>,
    /// The frames of a packet but STREAM and PADDING, as they were written.
    notes: VecDeque<(u64, Vec<u8>)>,
    /// Buffers of notes that were taken, kept for their memory.
    spare: Vec<Vec<u8>>,
    addresses: Vec<SocketAddr>,
    unheard: Option<(Instant, u64)>,
    /// The token of the newest PING.
    last_ping: Option<u64>,
    pub(super) acks: Acks,
    pub(super) streams: Streams,
    pub(super) zones: Zones,
    paths: Paths,
    pub(super) pings: Pings,
    pub(super) ending: Ending,
    pub(super) books: Books,
    work: Work,
    /// When it last sent anything.
    pub(super) spoke_at: Instant,
    silence: Silence,
    lied: Lied,
    /// Of what came to this side.
    pub(super) refused: Refused,
    /// The largest datagram that the peer takes, and how long the peer may hold back an ACK.
    datagram: usize,
    peer_delay: Duration,
}

impl Side {
    /// The peer's parameters have come.
    pub(super) fn learn(&mut self, host: HostId, limits: &Limits) {
        self.host = Some(host);
        self.streams.learn(host, limits);
        self.datagram = usize::try_from(limits.datagram).unwrap_or(usize::MAX);
        self.peer_delay = Duration::from_millis(limits.ack_delay);
    }

    /// An ACK up to `claim` has verified here, which its sender made up.
    pub(super) fn on_lie(&mut self, report: &mut Report, claim: u64) {
        let next = self.next;
        self.lied.on_heard(report, claim, next);
    }

    /// Whether its peer has acknowledged what was never sent.
    pub(super) const fn was_lied_to(&self) -> bool {
        self.lied.is_known()
    }

    /// What is known of it; `now` is the time.
    pub(super) fn ledger(&self, now: Instant) -> Ledger {
        Ledger {
            repeats: self.streams.repeats,
            zone: self.zones.zone,
            credit: self.streams.credit_free(),
            ..self.books.ledger(self.spoke_at == now)
        }
    }

    fn record(&self, number: u64) -> Option<&Record> {
        let at = number.checked_sub(self.first_record)?;
        self.records.get(usize::try_from(at).ok()?)
    }

    /// Enters a packet of these qualities and this size into the books.
    fn enter(&mut self, report: &mut Report, number: u64, (bits, len): (u16, usize), event: u64) {
        let len = u16::try_from(len).unwrap_or(u16::MAX);
        let record = Record { bits, len, event };
        let has_payload = bits & PAYLOAD != 0;
        self.books.on_sent(u64::from(len), record.weight(), has_payload, event);
        self.spoke_at = report.now;
        // Credit follows what the user reads, packet by packet if he lets each leave at once.
        if !has_payload && bits & GRANTS == 0 {
            self.work.on_said(report, self.host);
        }
        self.push(number, record);
    }

    fn push(&mut self, number: u64, record: Record) {
        let end = self.first_record + self.records.len() as u64;
        // A server that has no connection answers with the numbers that it was sent (R-CHAL-1b).
        while number < self.first_record && (self.records.len() as u64) < SPAN {
            self.records.push_front(Record::default());
            self.first_record -= 1;
        }
        if number < end {
            let at = number.checked_sub(self.first_record).and_then(|at| usize::try_from(at).ok());
            if let Some(place) = at.and_then(|at| self.records.get_mut(at)) {
                *place = record;
            }
            return;
        }
        if self.records.is_empty() || number > end + SPAN {
            self.records.clear();
            self.first_record = number;
        }
        while self.first_record + (self.records.len() as u64) < number {
            self.records.push_back(Record::default());
        }
        self.records.push_back(record);
        while self.records.len() as u64 > SPAN {
            self.records.pop_front();
            self.first_record += 1;
        }
    }

    fn address(&mut self, address: SocketAddr) -> u16 {
        let found = self.addresses.iter().position(|one| *one == address);
        let at = found.unwrap_or_else(|| {
            if self.addresses.len() < 256 {
                self.addresses.push(address);
            }
            self.addresses.len() - 1
        });
        u16::try_from(at).unwrap_or(0)
    }

    fn note(&mut self, number: u64, bytes: &[u8]) {
        match self.notes.back_mut() {
            Some((last, note)) if *last == number => note.extend_from_slice(bytes),
            _ => {
                if self.notes.len() >= NOTES_MAX {
                    self.notes.pop_front();
                }
                let mut note = self.spare.pop().unwrap_or_default();
                note.extend_from_slice(bytes);
                self.notes.push_back((number, note));
            }
        }
    }

    fn take_note(&mut self, number: u64) -> Option<Vec<u8>> {
        let at = self.notes.binary_search_by_key(&number, |(number, _)| *number).ok()?;
        self.notes.remove(at).map(|(_, note)| note)
    }

    /// Takes a note's buffer back.
    fn give_back(&mut self, mut note: Vec<u8>) {
        if self.spare.len() < SPARE_MAX {
            note.clear();
            self.spare.push(note);
        }
    }
}

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) sides: [Side; 2],
    pub(super) suite: Suite,
    /// All IDs that were given out for it.
    pub(super) ids: Vec<u64>,
    /// The client has answered the CHALLENGE.
    pub(super) confirmed: bool,
    /// In XX, CONFIRM was delivered.
    pub(super) is_told: bool,
    /// From where the OPEN came.
    pub(super) source: SocketAddr,
    /// The user id of its OPEN.
    pub(super) user: Option<u64>,
}

/// A packet that is sent, with what is known of it.
pub(super) struct Sent<'a> {
    pub(super) role: Role,
    pub(super) zone: u64,
    pub(super) key: u64,
    pub(super) number: u64,
    pub(super) text: &'a [u8],
    pub(super) data: Data<'a>,
    pub(super) view: &'a PacketView<'a>,
}

impl Connection {
    fn split(&mut self, role: Role) -> (&mut Side, &mut Side) {
        let [client, server] = &mut self.sides;
        match role {
            Role::Client => (client, server),
            Role::Server => (server, client),
        }
    }

    /// A packet is sent. Returns the half of a zone that is new with it, and whether it is free of
    /// the budget of an address.
    pub(super) fn on_sent<'a>(
        &mut self,
        report: &mut Report,
        hosts: &Hosts,
        bounds: &Bounds,
        sent: &Sent<'a>,
    ) -> (Option<Half<'a>>, bool) {
        let is_first = self.sides[sent.role as usize].next == 0;
        let is_renewing = self.sides.iter().any(|side| side.zones.is_renewing());
        self.on_number(report, sent);
        let (bits, half) = self.read(report, sent);
        let (own, peer) = self.split(sent.role);
        let host = own.host;
        let is_disconnect = bits & DISCONNECT != 0;
        own.lied.on_sent(report, host, is_disconnect);
        if !is_disconnect {
            own.ending.on_other(report, host);
        }
        let has_payload = bits & PAYLOAD != 0;
        let zone = (sent.zone, sent.key, sent.number);
        own.zones.on_sent(report, host, zone, bounds.key_packets, has_payload);
        let to = sent.view.destination;
        let shape = Shape {
            number: sent.number,
            len: sent.view.bytes.len(),
            to,
            has_payload,
            is_main: bits & (PAYLOAD | ACK) != 0,
            probe: own.last_ping.filter(|_| bits & MORE == 0),
            is_proven: host.is_some_and(|host| hosts.is_proven(host, to)),
        };
        let most = bounds.most.min(own.datagram.max(1_200));
        if own.paths.on_sent(report, host, &shape, (bounds.start, most)) {
            report.hit_if(own.ending.is_leaving(), Mark::MovedWhileLeaving);
            report.hit_if(is_renewing, Mark::MovedWhileRenewing);
        }
        if shape.is_main {
            let patience = peer.peer_delay + bounds.slack;
            peer.acks.check_owed(report, host, patience);
        }
        own.check_window(report, bounds, shape.len as u64, has_payload);
        if sent.role == Role::Client && is_first {
            // Longer if messages were handed in early and the first size is larger.
            let is_right = bits & FILL != 0 && shape.len >= 1_200;
            if !is_right && !is_disconnect {
                let len = shape.len;
                let what =
                    format_args!("a first DATA of {len} bytes, or no filled PING (R-HAND-5a)");
                report.blame("I26", host, what);
            }
        }
        let fill_is_short = bits & FILL != 0 && shape.len < 1_200 && !has_payload;
        report.hit_if(fill_is_short && !shape.is_proven, Mark::PingFillLimited);
        let is_probe_of_home = sent.role == Role::Client && bits & PROBE != 0;
        report.hit_if(is_probe_of_home && !shape.is_proven, Mark::ProbeOfHome);
        report.hit_if(bits & GRANTS != 0 && bits & BLOCKED != 0, Mark::BlockedAndGranted);
        if bits & ELICITING != 0 {
            let is_base = shape.len <= 1_200 || has_payload;
            let is_main = own.paths.is_active(to) && bits & PROBE == 0 && is_base;
            own.silence.on_source(sent.view.source);
            own.silence.on_sent(report, host, sent.text, is_main);
        }
        own.enter(report, sent.number, (bits, shape.len), hosts.events());
        (half, is_probe_of_home)
    }

    /// R-DATA-2, R-DATA-3.
    fn on_number(&mut self, report: &mut Report, sent: &Sent<'_>) {
        let (own, peer) = self.split(sent.role);
        let (host, number) = (own.host, sent.number);
        let is_refusal = sent.role == Role::Server && own.acks.is_unheard() && sent.zone == 0;
        if number < own.next && !(is_refusal && peer.acks.sent.contains(number)) {
            let what = format_args!("number {number} after {} (R-DATA-2)", own.next);
            report.blame("I5", host, what);
        }
        report.hit_if(number > own.next, Mark::NumberLeftOut);
        own.acks.check_width(report, host, number, sent.data.number_len);
        own.acks.sent.insert(number);
        own.next = own.next.max(number + 1);
    }

    /// Reads all frames; what they are together, and the half of a zone that is new with them.
    fn read<'a>(&mut self, report: &mut Report, sent: &Sent<'a>) -> (u16, Option<Half<'a>>) {
        let mut all = frames(sent.text);
        let (mut bits, mut shape, mut streams, mut new_half) = (0, 0, 0, None);
        let host = self.sides[sent.role as usize].host;
        loop {
            let before = all.rest();
            let frame = match all.next() {
                Some(Ok(frame)) => frame,
                Some(Err(flaw)) => {
                    report.blame("I26", host, format_args!("sends {flaw}"));
                    break;
                }
                None => break,
            };
            if bits & PADDING != 0 || (bits != 0 && matches!(frame, Frame::Ack(_))) {
                let what = format_args!("frames out of their order: {frame:?} (§13, 7)");
                report.blame("I26", host, what);
            }
            shape += frame.encoded_len();
            let is_noted = !matches!(frame, Frame::Stream(_) | Frame::Padding { .. });
            if is_noted {
                let len = before.len() - all.rest().len();
                let note = before.get(..len).unwrap_or_default();
                self.sides[sent.role as usize].note(sent.number, note);
                bits |= NOTES;
            }
            bits |= bits_of(&frame);
            streams += u32::from(matches!(frame, Frame::Stream(_)));
            if let Some(half) = self.on_frame(report, sent, &frame) {
                new_half = Some(half);
            }
        }
        report.hit_if(streams >= 8, Mark::StreamsTogether);
        if sent.text.is_empty() {
            report.blame("I26", host, format_args!("a packet without frames (R-DATA-4)"));
        } else if shape != sent.text.len() {
            let len = sent.text.len();
            report.blame("I26", host, format_args!("{len} bytes, {shape} written anew"));
        }
        (bits, new_half)
    }

    /// A frame is sent.
    fn on_frame<'a>(
        &mut self,
        report: &mut Report,
        sent: &Sent<'a>,
        frame: &Frame<'a>,
    ) -> Option<Half<'a>> {
        let is_server = sent.role == Role::Server;
        let (own, peer) = self.split(sent.role);
        let host = own.host;
        match frame {
            Frame::Padding { .. } => {}
            Frame::Stream(stream) => {
                own.streams.on_stream(report, stream, sent.number, is_server);
                let is_early = !is_server && peer.acks.largest.is_none();
                report.hit_if(is_early, Mark::EarlyData);
            }
            Frame::Ack(ack) => peer.acks.on_told(report, host, ack),
            Frame::Ping { token, .. } => {
                let to = sent.view.destination;
                own.last_ping = Some(*token);
                let is_main = own.paths.is_active(to);
                own.pings.on_ping(report, *token, is_main);
            }
            Frame::Pong { token } => peer.pings.on_answered(report, host, *token),
            Frame::Stats { .. } => report.hit(Mark::StatsSent),
            Frame::Skip(skip) => own.streams.on_skip(report, skip, is_server),
            Frame::CloseStream { stream, code, end } => {
                own.streams.on_close(report, *stream, (*code, *end), is_server);
            }
            Frame::Stop { .. } => report.hit(Mark::StopSent),
            Frame::Credit { .. } | Frame::StreamCredit { .. } | Frame::Streams { .. } => {
                if let Some(grant) = grant_of(frame) {
                    peer.streams.on_grant_sent(report, host, grant);
                }
            }
            Frame::Blocked(blocked) => own.streams.on_blocked(report, *blocked),
            Frame::Renew(half) => {
                // A server is READY with the client's first DATA, a client with the server's.
                let is_ready = peer.acks.largest.is_some();
                report.hit_if(own.ending.is_leaving(), Mark::RenewWhileLeaving);
                if own.zones.on_half(report, host, half, sent.number, is_ready) {
                    return Some(*half);
                }
            }
            Frame::Notify { deadline, .. } => {
                own.ending.on_notify(report, *deadline, &peer.ending);
            }
            Frame::Disconnect { code, .. } => {
                let what = (*code, is_server);
                own.ending.on_disconnect(report, host, what, &peer.ending, &own.lied);
            }
            Frame::Forward(_) => {
                report.hit(Mark::ForwardSent);
                if !is_server {
                    report.blame("I26", host, format_args!("a client sends FORWARD (§3)"));
                }
            }
        }
        None
    }

    /// A packet of `role` has verified at the other side; `from` is where it came from, if that was
    /// seen, and `events` after how many events. Returns who sent it, and after how many, if that
    /// was seen.
    pub(super) fn on_verified(
        &mut self,
        report: &mut Report,
        role: Role,
        (zone, number): (u64, u64),
        (from, events): (Option<SocketAddr>, u64),
    ) -> Option<(HostId, u64)> {
        let source = self.source;
        let (own, peer) = self.split(role);
        let Some(record) = own.record(number).copied().filter(|record| record.bits != 0) else {
            own.pings.on_unknown();
            peer.on_unknown();
            return None;
        };
        let sender = own.host.map(|host| (host, record.event));
        peer.work.on_came(report.now);
        let is_new = own.acks.on_delivered(report, number, record.bits & ELICITING != 0);
        if !is_new {
            own.acks.on_again(report, peer.host, number);
            peer.books.on_heard(events);
            peer.ending.on_copy();
            return sender;
        }
        peer.books.on_came(u64::from(record.len), events);
        let is_first = own.acks.largest == Some(number) && number == 0;
        let elsewhere = from.is_some_and(|from| from != source);
        report.hit_if(is_first && role == Role::Client && elsewhere, Mark::MovedInHandshake);
        if let Some(from) = from
            && !peer.addresses.contains(&from)
        {
            report.hit_if(!peer.addresses.is_empty(), Mark::AddressNew);
            peer.address(from);
        }
        let delivered = &own.acks.delivered;
        let twice = |(first, second): &(u64, u64)| {
            (*first == number || *second == number)
                && delivered.contains(*first)
                && delivered.contains(*second)
        };
        report.hit_if(own.streams.twins.iter().any(twice), Mark::RetransmittedInVain);
        peer.paths.on_verified();
        peer.silence.on_heard();
        peer.refused.on_opened(report, peer.host);
        peer.zones.on_verified(report, zone);
        peer.ending.on_opened(report, record.bits & DISCONNECT != 0);
        if record.bits & NOTES != 0 {
            let Some(note) = own.take_note(number) else {
                own.pings.on_unknown();
                peer.on_unknown();
                return sender;
            };
            for frame in frames(&note).flatten() {
                on_effect(report, own, peer, &frame, record.bits);
            }
            own.give_back(note);
        }
        sender
    }
}

impl Connection {
    /// Whether the engine of `role` at `host` has to open a datagram of this number that comes
    /// there: see `refused`.
    pub(super) fn is_good(
        &self,
        (role, host): (Role, HostId),
        zone: u64,
        data: &Data<'_>,
        number: u64,
    ) -> bool {
        let (own, peer) = (&self.sides[role as usize], &self.sides[role.other() as usize]);
        peer.acks.largest.is_some()
            && self.suite.cipher() != 2
            && own.host == Some(host)
            && !own.ending.is_over()
            && own.zones.is_newest_heard(zone)
            && !data.sealed.is_empty()
            && peer.acks.is_good(number)
    }
}

/// A frame other than STREAM has reached `peer`, sent by `own`.
fn on_effect(report: &mut Report, own: &mut Side, peer: &mut Side, frame: &Frame<'_>, bits: u16) {
    match frame {
        Frame::Ack(ack) => {
            let Side { acks, books, records, first_record, .. } = &mut *peer;
            let mut arrived = |number: u64| {
                let at = number.checked_sub(*first_record).and_then(|at| usize::try_from(at).ok());
                let record = at.and_then(|at| records.get(at)).copied().unwrap_or_default();
                if record.bits != 0 {
                    books.on_acked(u64::from(record.len), record.weight());
                }
            };
            acks.on_acked(report, ack, bits & BOUNDED == 0, &mut arrived);
            if let Some([_, _, ce]) = ack.ecn {
                peer.books.ledger.ce = peer.books.ledger.ce.max(ce);
            }
            peer.zones.on_acked(ack.largest, &peer.acks.acked);
            peer.paths.on_acked(report, &peer.acks.acked);
        }
        Frame::Ping { token, .. } => own.pings.on_opened(*token),
        Frame::Pong { token } => {
            peer.pings.on_heard(report, *token);
            peer.paths.on_pong(report, *token);
        }
        Frame::Stop { stream, .. } => peer.streams.on_stop(report, *stream),
        Frame::Renew(half) => peer.zones.on_heard(report, half),
        Frame::Notify { .. } => peer.ending.on_notified(),
        Frame::Credit { .. } | Frame::StreamCredit { .. } | Frame::Streams { .. } => {
            if let Some(grant) = grant_of(frame) {
                peer.streams.on_grant(report, grant);
            }
        }
        _ => {}
    }
}

const fn grant_of(frame: &Frame<'_>) -> Option<Grant> {
    match frame {
        Frame::Credit { limit } => Some(Grant::Connection(*limit)),
        Frame::StreamCredit { stream, limit } => Some(Grant::Stream(*stream, *limit)),
        Frame::Streams { one_way, limit } => Some(Grant::Streams(*one_way, *limit)),
        _ => None,
    }
}

fn bits_of(frame: &Frame<'_>) -> u16 {
    let eliciting = if frame.is_ack_eliciting() { ELICITING } else { 0 };
    eliciting
        | match frame {
            Frame::Padding { .. } => PADDING,
            Frame::Pong { .. } => MORE,
            Frame::Ping { probe, fill, .. } => {
                (if *probe { PROBE } else { 0 }) | if *fill { FILL } else { 0 }
            }
            Frame::Stream(_) => MORE | OTHER | PAYLOAD | BOUNDED,
            Frame::Skip(_) | Frame::CloseStream { .. } => MORE | OTHER | BOUNDED,
            Frame::Ack(_) => MORE | OTHER | ACK,
            Frame::Disconnect { .. } => MORE | OTHER | DISCONNECT,
            Frame::Blocked(_) => MORE | OTHER | BLOCKED,
            Frame::Credit { .. } | Frame::StreamCredit { .. } | Frame::Streams { .. } => {
                MORE | OTHER | GRANTS
            }
            _ => MORE | OTHER,
        }
}

impl Side {
    /// Something has come here, and nobody remembers what was in it.
    const fn on_unknown(&mut self) {
        self.zones.on_unknown();
        self.books.ledger.ce = u64::MAX;
    }

    /// I9, as far as it shows: before anything is acknowledged no more payload goes out than the
    /// first window and the probes.
    fn check_window(&mut self, report: &mut Report, bounds: &Bounds, len: u64, has_payload: bool) {
        if !bounds.first_window || !has_payload || !self.acks.is_unheard() {
            return;
        }
        let (since, bytes) = self.unheard.get_or_insert((report.now, 0));
        *bytes += len;
        let rounds = 2 + (report.now - *since).as_millis() as u64 / 10;
        if *bytes > FIRST_WINDOW + rounds * PROBES {
            let what = format_args!("{bytes} bytes of payload since {since:?} without an ACK");
            report.blame("I9", self.host, what);
            *bytes = 0;
        }
    }
}
