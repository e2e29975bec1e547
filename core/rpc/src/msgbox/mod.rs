//! The msgbox profile: messages and requests over plain datagrams (rows M09 to M21).
//!
//! *In*: datagrams, the user's commands, the time. *Out*: datagrams, [`MsgboxEvent`]s, a deadline:
//! a [`DatagramMachine`]. One socket serves any number of *contacts*, those that we have connected
//! to and those that have come. Nothing is retransmitted, nothing is secret and nobody is proven:
//! a message comes once, twice or never, a request is executed once at most, and who asked hears
//! one reply or that it is missing. PROTOCOL.md §6 beside this crate has the rules (`R-BOX-4`).
//!
//! It is what `udp://` addresses of a [`Node`](crate::Node) go by, which puts calls into it; alone
//! it speaks with whatever else has this header.

mod commands;
mod contact;
mod header;
mod joins;
mod receive;
#[cfg(test)]
mod tests;
mod time;

use crate::slots::{Key, Slots};
use crate::timers::Timers;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use bytes::Bytes;
pub use commands::MsgboxError;
use contact::{Contact, Stage};
use core::net::SocketAddr;
pub use header::{MsgboxHeader, MsgboxKind};
use tripline_sansio::{
    DatagramMachine, Deadlines, Duration, Ecn, Instant, Path, Random, Seed, Transmit,
};

/// Attempts that are over are remembered for so long, so that their late packets raise no ghost
/// (row M19).
const CLOSED_KEEP: Duration = Duration::from_secs(30);

/// So many of them; the oldest goes.
const CLOSED_MAX: usize = 65_536;

/// What a packet that waits to be sent counts beside its bytes.
const PACKET_COST: usize = 64;

/// Datagrams of one train, at most, and their bytes.
const TRAIN_MAX: usize = 64;
const TRAIN_BYTES_MAX: usize = 60_000;

/// How a [`Msgbox`] behaves. Sizes are bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsgboxConfig {
    /// Whether others may connect to us.
    pub is_listening: bool,
    /// The largest datagram that is sent, header included; longer messages are split.
    pub packet_max: usize,
    /// The longest message that is sent or taken.
    pub message_max: usize,
    /// How long an attempt to connect may take.
    pub connect_within: Duration,
    /// How often something is said to a contact, if there is nothing else to say.
    pub heartbeat: Duration,
    /// After how much silence a contact is lost.
    pub silence_max: Duration,
    /// Contacts at once; who comes beyond is turned away.
    pub contacts_max: usize,
    /// Requests at once, in each direction and for each contact: at most 8,192.
    pub requests_max: usize,
    /// How much may wait to be sent before commands are *blocked*.
    pub send_buffer: usize,
}

impl Default for MsgboxConfig {
    fn default() -> Self {
        Self {
            is_listening: false,
            packet_max: 1_200,
            message_max: 256 << 10,
            connect_within: Duration::from_secs(10),
            heartbeat: Duration::from_secs(5),
            silence_max: Duration::from_secs(16),
            contacts_max: 131_072,
            requests_max: 4_096,
            send_buffer: 4 << 20,
        }
    }
}

impl MsgboxConfig {
    /// The same with values out of range moved into it.
    fn in_range(mut self) -> Self {
        self.packet_max = self.packet_max.clamp(64, 65_507);
        let payload = self.packet_max.saturating_sub(MsgboxHeader::LEN);
        let most = payload.saturating_mul(usize::from(joins::PACKETS_MAX));
        self.message_max = self.message_max.clamp(1, most);
        self.requests_max = self.requests_max.clamp(1, 8_192);
        self.send_buffer = self.send_buffer.max(1);
        let least = Duration::from_millis(1);
        self.connect_within = self.connect_within.max(least);
        self.heartbeat = self.heartbeat.max(least);
        self.silence_max = self.silence_max.max(least);
        self
    }
}

/// Another side on the same socket. Dies with the event that says that it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContactId(pub(crate) Key);

/// A request of ours. Dies with its reply, or with the event that says that there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GetId(pub(crate) Key);

/// A request of a contact's. Dies when it is answered, or with its contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BoxRequestId(pub(crate) Key);

/// Something that happened.
///
/// Each contact has exactly one of *ready* and *failed*, where only those that we connect to fail;
/// after *ready* any messages, requests and replies, and then exactly one of *closed* and *lost*
/// (rows M01, M03, M05). Each request of ours has exactly one of *reply* and *reply missing*,
/// before the end of its contact (row M04). In the event that ends it a contact can still be asked
/// about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MsgboxEvent {
    /// The other side is there.
    Ready {
        /// It.
        contact: ContactId,
        /// Where.
        remote: SocketAddr,
        /// Whether we have connected to it.
        by_us: bool,
    },
    /// An attempt to connect has come to nothing.
    Failed {
        /// The contact, which is over.
        contact: ContactId,
        /// Whether the other side turned us away; else it did not answer.
        refused: bool,
    },
    /// A message that wants no answer.
    Message {
        /// From whom.
        contact: ContactId,
        /// What.
        payload: Bytes,
    },
    /// A message that wants one.
    Request {
        /// From whom.
        contact: ContactId,
        /// By which to answer.
        request: BoxRequestId,
        /// What.
        payload: Bytes,
    },
    /// The reply to a request of ours.
    Reply {
        /// From whom.
        contact: ContactId,
        /// The request.
        get: GetId,
        /// What.
        payload: Bytes,
    },
    /// There is no reply to a request of ours.
    ReplyMissing {
        /// From whom.
        contact: ContactId,
        /// The request.
        get: GetId,
        /// Whether because the contact is over; else its time is up.
        gone: bool,
    },
    /// One of both has closed the contact.
    Closed {
        /// The contact, which is over.
        contact: ContactId,
        /// Whether we have.
        by_us: bool,
    },
    /// The contact is silent, or its other side has begun anew and knows nothing of it.
    Lost {
        /// The contact, which is over.
        contact: ContactId,
    },
    /// After *blocked*: there is room again.
    Writable,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MsgboxStats {
    /// Datagrams that are none of this profile.
    pub malformed: u64,
    /// Packets of nobody we know: each is answered by a close, but for closes.
    pub strangers: u64,
    /// Those that would have been a new contact, and were turned away.
    pub turned_away: u64,
    /// Replies to no request that waits: late, or twice (row M12).
    pub unmatched: u64,
    /// Requests that came a second time, and were not told again.
    pub duplicates: u64,
    /// Requests beyond [`MsgboxConfig::requests_max`].
    pub overflowed: u64,
    /// Messages of several packets that were never whole, or too long.
    pub torn: u64,
    /// Heartbeats that were sent.
    pub heartbeats: u64,
    /// Knocks and strangers that were not answered, as too much waited to be sent.
    pub unanswered: u64,
}

/// What is remembered of an attempt that is over.
#[derive(Clone, Copy, Debug)]
struct Past {
    until: Instant,
    /// The how-manieth that is.
    number: u64,
    /// A name for the next one at that address.
    next_attempt: u16,
}

/// A request of ours.
#[derive(Clone, Copy, Debug)]
struct Get {
    contact: Key,
    reply: u16,
    deadline: Option<Instant>,
}

/// Messages and requests over plain datagrams: contacts on one socket, as the page of the profile
/// has it (PROTOCOL.md §6). A [`DatagramMachine`]; [`Self::connect`], [`Self::send`],
/// [`Self::get`], [`Self::reply`] and [`Self::close`] are its commands.
#[derive(Debug)]
pub struct Msgbox {
    config: MsgboxConfig,
    random: Random,
    contacts: Slots<Contact>,
    by_address: BTreeMap<SocketAddr, Key>,
    /// Attempts that are over, and until when they are remembered; in that order too.
    closed: BTreeMap<(SocketAddr, u16), Past>,
    closed_order: VecDeque<(Instant, SocketAddr, u16)>,
    closed_count: u64,
    gets: Slots<Get>,
    get_timers: Timers,
    /// Requests of contacts: whose, and by which id.
    requests: Slots<(Key, u16)>,
    /// Bytes of packets that wait for others of their message, of all contacts.
    joining: usize,
    deadlines: Deadlines,
    out: VecDeque<(Path, Vec<u8>)>,
    out_bytes: usize,
    was_blocked: bool,
    events: VecDeque<MsgboxEvent>,
    /// It was told to be over with the last event.
    told_over: Option<Key>,
    stats: MsgboxStats,
    now: Instant,
}

impl Msgbox {
    /// A machine without contacts. `seed` is for the names of attempts and for the times of
    /// heartbeats.
    pub fn new(config: MsgboxConfig, seed: &Seed) -> Self {
        Self {
            config: config.in_range(),
            random: seed.random("msgbox"),
            contacts: Slots::default(),
            by_address: BTreeMap::new(),
            closed: BTreeMap::new(),
            closed_order: VecDeque::new(),
            closed_count: 0,
            gets: Slots::default(),
            get_timers: Timers::default(),
            requests: Slots::default(),
            joining: 0,
            deadlines: Deadlines::default(),
            out: VecDeque::new(),
            out_bytes: 0,
            was_blocked: false,
            events: VecDeque::new(),
            told_over: None,
            stats: MsgboxStats::default(),
            now: Instant::ZERO,
        }
    }

    /// What was counted.
    pub fn stats(&self) -> MsgboxStats {
        self.stats
    }

    /// How many contacts there are, those that we knock at included.
    pub fn contacts(&self) -> usize {
        self.contacts.len()
    }

    /// Where a contact is; `None`: it is over, and was told to be.
    pub fn remote(&self, contact: ContactId) -> Option<SocketAddr> {
        self.contacts.get(contact.0).map(|contact| contact.path.remote)
    }

    /// Whether messages can be sent to a contact.
    pub fn is_ready(&self, contact: ContactId) -> bool {
        self.contacts.get(contact.0).is_some_and(|contact| contact.stage == Stage::Ready)
    }

    /// Whether nothing is remembered of anybody.
    pub fn is_idle(&self) -> bool {
        self.contacts.len() == 0
            && self.gets.len() == 0
            && self.requests.len() == 0
            && self.out.is_empty()
            && self.events.is_empty()
    }

    fn tick(&mut self, now: Instant) -> Instant {
        self.now = self.now.max(now);
        self.now
    }

    fn count_torn(&mut self, messages: usize) {
        let more = u64::try_from(messages).unwrap_or(u64::MAX);
        self.stats.torn = self.stats.torn.saturating_add(more);
    }

    /// Puts an answer to whoever may be anybody among what is to be sent, unless enough waits:
    /// those who wait for it ask again.
    fn put_answer(&mut self, path: Path, kind: MsgboxKind, attempt: u16) {
        if self.out_bytes >= self.config.send_buffer {
            self.stats.unanswered = self.stats.unanswered.saturating_add(1);
            return;
        }
        let header = MsgboxHeader { kind, is_first: false, packets: 1, packet: 0, reply: attempt };
        self.put(path, &header, &[]);
    }

    /// Puts one packet among what is to be sent.
    fn put(&mut self, path: Path, header: &MsgboxHeader, payload: &[u8]) {
        let len = MsgboxHeader::LEN.saturating_add(payload.len());
        let cost = len.saturating_add(PACKET_COST);
        let mut packet = Vec::with_capacity(len);
        header.write(&mut packet);
        packet.extend_from_slice(payload);
        self.out_bytes = self.out_bytes.saturating_add(cost);
        self.out.push_back((path, packet));
    }

    /// What came of a contact that is over is forgotten once the user has been told.
    fn forget_told(&mut self) {
        if let Some(key) = self.told_over.take() {
            self.contacts.remove(key);
        }
    }
}

impl DatagramMachine for Msgbox {
    type Event = MsgboxEvent;

    fn handle_datagram(&mut self, now: Instant, path: Path, _ecn: Ecn, datagram: &mut [u8]) {
        self.tick(now);
        match MsgboxHeader::read(datagram) {
            Some((header, payload)) => self.on_packet(path, &header, payload),
            None => self.stats.malformed = self.stats.malformed.saturating_add(1),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.tick(now);
        self.tend();
    }

    fn poll_transmit(&mut self, _now: Instant, out: &mut Vec<u8>) -> Option<Transmit> {
        let (path, first) = self.out.pop_front()?;
        let segment_size = first.len();
        let before = out.len();
        out.extend_from_slice(&first);
        let (mut count, mut len) = (1_usize, segment_size);
        // Equal ones to the same place make a train; a shorter one can only be its last.
        while count < TRAIN_MAX
            && len == segment_size.saturating_mul(count)
            && self.out.front().is_some_and(|(to, next)| {
                *to == path
                    && next.len() <= segment_size
                    && len.saturating_add(next.len()) <= TRAIN_BYTES_MAX
            })
            && let Some((_, next)) = self.out.pop_front()
        {
            out.extend_from_slice(&next);
            count = count.saturating_add(1);
            len = out.len().saturating_sub(before);
        }
        let cost = len.saturating_add(count.saturating_mul(PACKET_COST));
        self.out_bytes = self.out_bytes.saturating_sub(cost);
        if self.was_blocked && self.out_bytes <= self.config.send_buffer / 2 {
            self.was_blocked = false;
            self.events.push_back(MsgboxEvent::Writable);
        }
        Some(Transmit { path, ecn: Ecn::NotEct, len, segment_size })
    }

    fn poll_timeout(&self) -> Option<Instant> {
        [self.deadlines.first(), self.get_timers.first()].into_iter().flatten().min()
    }

    fn poll_event(&mut self) -> Option<MsgboxEvent> {
        self.forget_told();
        let event = self.events.pop_front()?;
        match event {
            MsgboxEvent::Failed { contact, .. }
            | MsgboxEvent::Closed { contact, .. }
            | MsgboxEvent::Lost { contact } => self.told_over = Some(contact.0),
            _ => {}
        }
        Some(event)
    }
}
