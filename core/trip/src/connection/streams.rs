//! The streams of a connection: the table, the limits on their number, and their receiving credit.
//!
//! In come IDs from the user and from the wire, out come slots. A stream enters when it is opened
//! or first heard of, and leaves when both halves are done and the user knows (R-STREAM-1,
//! R-STREAM-2).
#![deny(clippy::arithmetic_side_effects)]

use super::Violation;
use super::growth::Growth;
use crate::agreed::Granted;
use crate::ranges::RangeSet;
use crate::stream::recv::RecvHalf;
use crate::stream::send::SendHalf;
use crate::wire::{Code, Direction, OFFSET_LIMIT, Parameters, Side, StreamId};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use tripline_sansio::{Duration, Instant};

/// How many separate runs of closed indexes of the peer's streams are kept (PROTOCOL.md §11).
pub(crate) const CLOSED_RANGES_MAX: usize = 1_024;

/// How many streams may be opened before the peer's parameters are known (row T11).
const EARLY_STREAMS: u64 = 64;

/// A slot of the table, good as long as the stream lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StreamKey {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

/// Whether the peer has to be told to stop sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// No.
    Not,
    /// STOP has to be sent (again).
    Wanted(Code),
    /// STOP is on its way.
    Sent(Code),
    /// The peer knows.
    Acked,
}

/// The receiving half with its credit.
#[derive(Debug)]
pub(crate) struct Receiving {
    pub(crate) half: RecvHalf,
    pub(crate) credit: RecvCredit,
    pub(crate) stop: Stop,
    /// `Readable` was said, and nothing has been drained since.
    pub(crate) readable_told: bool,
}

/// One stream.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) id: StreamId,
    pub(crate) priority: u8,
    pub(crate) send: Option<SendHalf>,
    pub(crate) recv: Option<Receiving>,
    /// Waits in the schedule.
    pub(crate) scheduled: bool,
    /// It is in the list of those that wait for the connection's credit.
    pub(crate) awaits_credit: bool,
    /// Waits in the list of streams with control frames to send.
    pub(crate) control_listed: bool,
    /// `send` said *blocked*.
    pub(crate) writable_wanted: bool,
}

impl Stream {
    /// Nothing more can happen on this stream.
    fn is_done(&self) -> bool {
        self.send.as_ref().is_none_or(SendHalf::is_done)
            && self.recv.as_ref().is_none_or(|recv| recv.half.is_done())
    }
}

/// What a receiver has granted, for one stream or for the connection (R-CREDIT-2, R-CREDIT-3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecvCredit {
    window: u64,
    /// Never less than this stays granted beyond what is consumed.
    least: u64,
    granted: u64,
    consumed: u64,
    /// A grant was lost on its way.
    again: bool,
    /// Whether the window is to be a larger one.
    growth: Growth,
}

impl RecvCredit {
    /// `window` bytes, granted already. `least` is the room for the largest message.
    pub(crate) fn new(window: u64, least: u64) -> Self {
        Self {
            window,
            least: least.min(window),
            granted: window,
            consumed: 0,
            again: false,
            growth: Growth::default(),
        }
    }

    /// With a window that may grow to `most` bytes (R-CREDIT-5).
    #[must_use]
    pub(crate) fn growing_to(mut self, most: u64) -> Self {
        self.growth = Growth::up_to(most);
        self
    }

    /// The window as it is now, in bytes.
    pub(crate) fn window(&self) -> u64 {
        self.window
    }

    /// [`Self::wanted`], for a grant that goes out `now`: here the window grows (R-CREDIT-5).
    pub(crate) fn take_wanted(&mut self, now: Instant, rtt: Option<Duration>) -> Option<u64> {
        self.wanted()?;
        self.window = self.growth.on_grant(now, self.consumed, self.window, rtt);
        self.wanted()
    }

    /// From now on grants run `window` bytes ahead of what is consumed. What was granted stays
    /// (R-CREDIT-2), so a smaller window takes effect as the peer uses it up. It grows no more.
    pub(crate) fn set_window(&mut self, window: u64) {
        self.window = window.max(self.least);
        self.growth = Growth::up_to(self.window);
    }

    /// The newest grant.
    pub(crate) fn granted(&self) -> u64 {
        self.granted
    }

    /// What was taken by the user, skipped or discarded.
    pub(crate) fn consumed(&self) -> u64 {
        self.consumed
    }

    /// `bytes` more were taken by the user, skipped or discarded.
    pub(crate) fn on_consumed(&mut self, bytes: u64) {
        self.consumed = self.consumed.saturating_add(bytes);
    }

    /// What should be granted now, if that is worth a frame: a quarter of the window more, or
    /// whatever R-CREDIT-3 asks for.
    pub(crate) fn wanted(&self) -> Option<u64> {
        let goal = self.consumed.saturating_add(self.window).min(OFFSET_LIMIT.saturating_sub(1));
        let ahead = self.granted.saturating_sub(self.consumed);
        let worth = goal.saturating_sub(self.granted) >= self.window / 4;
        let more = goal > self.granted && (worth || ahead < self.least);
        (more || self.again).then_some(goal.max(self.granted))
    }

    /// The grant goes out.
    pub(crate) fn on_sent(&mut self, limit: u64) {
        self.granted = self.granted.max(limit);
        self.again = false;
    }

    /// A grant was lost: it goes out again at its newest value.
    pub(crate) fn on_lost(&mut self) {
        self.again = true;
    }
}

/// How many streams of one direction we may open.
#[derive(Clone, Debug, Default)]
struct OwnLimit {
    next: u64,
    /// What the peer allows; `None` before its parameters are known.
    limit: Option<u64>,
    /// The user was refused and waits for an event.
    wanted: bool,
    /// BLOCKED has to be sent, or was sent, for this limit.
    blocked: Option<(u64, bool)>,
}

/// How many streams of one direction the peer may open.
#[derive(Clone, Debug, Default)]
struct PeerLimit {
    closed: RangeSet,
    closed_count: u64,
    window: u64,
    granted: u64,
    again: bool,
}

/// Where a stream of the wire stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// It is open.
    Open(StreamKey),
    /// It was closed: late frames are dropped.
    Closed,
    /// The peer opens it with this frame.
    New,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    stream: Option<Box<Stream>>,
}

/// What new streams begin with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamDefaults {
    /// The largest message we take.
    pub(crate) message_max: u64,
    /// The credit that each stream has from the start, as announced.
    pub(crate) stream_credit: u64,
    /// How far grants run ahead on each stream: as announced, until that is changed.
    pub(crate) stream_window: u64,
    /// Up to which that may grow.
    pub(crate) stream_credit_max: u64,
    /// The credit that the peer granted to each stream; 0 before its parameters are known.
    pub(crate) peer_stream_credit: u64,
    /// The priority of streams that the peer opened.
    pub(crate) priority: u8,
}

impl StreamDefaults {
    /// By what we announce; the peer's part comes later.
    pub(crate) fn new(announced: &Parameters, stream_credit_max: u64) -> Self {
        Self {
            stream_credit_max,
            message_max: announced.message_max,
            stream_credit: announced.stream_credit,
            stream_window: announced.stream_credit,
            peer_stream_credit: 0,
            priority: crate::StreamOptions::PRIORITY,
        }
    }
}

/// The table.
#[derive(Debug)]
pub(crate) struct Streams {
    side: Side,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// By ID without its order, so that one index cannot live twice with two orders.
    index: BTreeMap<u64, StreamKey>,
    /// Where the stream was that was looked for last: mostly it is the next one, too.
    recent: StreamKey,
    own: [OwnLimit; 2],
    peer: [PeerLimit; 2],
    pub(crate) defaults: StreamDefaults,
}

fn at(direction: Direction) -> usize {
    match direction {
        Direction::TwoWay => 0,
        Direction::OneWay => 1,
    }
}

/// The ID without the bits of its order.
fn orderless(id: StreamId) -> u64 {
    id.number() & !0b1100
}

impl Streams {
    /// An empty table; the peer may open this many two-way and one-way streams at once.
    pub(crate) fn new(side: Side, two_way: u64, one_way: u64, defaults: StreamDefaults) -> Self {
        let limit = |window| PeerLimit { window, granted: window, ..PeerLimit::default() };
        Self {
            side,
            slots: Vec::new(),
            free: Vec::new(),
            index: BTreeMap::new(),
            recent: StreamKey { slot: u32::MAX, generation: 0 },
            own: [OwnLimit::default(), OwnLimit::default()],
            peer: [limit(two_way), limit(one_way)],
            defaults,
        }
    }

    fn own(&mut self, direction: Direction) -> Option<&mut OwnLimit> {
        self.own.get_mut(at(direction))
    }

    fn peer(&mut self, direction: Direction) -> Option<&mut PeerLimit> {
        self.peer.get_mut(at(direction))
    }

    /// The stream in a slot.
    pub(crate) fn get_mut(&mut self, key: StreamKey) -> Option<&mut Stream> {
        let slot = self.slots.get_mut(usize::try_from(key.slot).ok()?)?;
        if slot.generation != key.generation {
            return None;
        }
        slot.stream.as_deref_mut()
    }

    /// The stream in a slot.
    pub(crate) fn get(&self, key: StreamKey) -> Option<&Stream> {
        let slot = self.slots.get(usize::try_from(key.slot).ok()?)?;
        if slot.generation != key.generation {
            return None;
        }
        slot.stream.as_deref()
    }

    /// The slot of an open stream.
    pub(crate) fn find(&mut self, id: StreamId) -> Option<StreamKey> {
        let name = orderless(id);
        let key = self.key_of(name)?;
        self.recent = key;
        (self.get(key)?.id == id).then_some(key)
    }

    /// Whether a stream is open, or has something that the user does not know yet.
    pub(crate) fn has(&self, id: StreamId) -> bool {
        let key = self.key_of(orderless(id));
        key.and_then(|key| self.get(key)).is_some_and(|stream| stream.id == id)
    }

    /// The slot of the stream whose ID is `name` but for its order.
    fn key_of(&self, name: u64) -> Option<StreamKey> {
        match self.get(self.recent) {
            Some(stream) if orderless(stream.id) == name => Some(self.recent),
            _ => self.index.get(&name).copied(),
        }
    }

    /// All open streams, by ID.
    pub(crate) fn keys(&self) -> impl Iterator<Item = StreamKey> + '_ {
        self.index.values().copied()
    }

    /// Opens the next stream of ours, or says how many the peer allows (row T32).
    pub(crate) fn open(
        &mut self,
        order: crate::Order,
        direction: Direction,
        priority: u8,
    ) -> Result<(StreamId, StreamKey), u64> {
        let side = self.side;
        let own = self.own(direction).ok_or(0_u64)?;
        let limit = own.limit.unwrap_or(EARLY_STREAMS);
        let id = StreamId::new(own.next, order, direction, side).ok_or(limit)?;
        if own.next >= limit {
            own.wanted = true;
            if own.limit.is_some() && own.blocked.is_none_or(|(at, _)| at != limit) {
                own.blocked = Some((limit, false));
            }
            return Err(limit);
        }
        own.next = own.next.saturating_add(1);
        Ok((id, self.insert(id, priority)))
    }

    /// Whether a stream of ours may send already: early ones wait for the peer's limit.
    pub(crate) fn may_send(&self, id: StreamId) -> bool {
        id.opener() != self.side
            || self
                .own
                .get(at(id.direction()))
                .and_then(|own| own.limit)
                .is_some_and(|limit| id.index() < limit)
    }

    /// Where a stream that a frame names stands (R-STREAM-1). `receiving`: the frame is for our
    /// receiving half, else for our sending half.
    pub(crate) fn lookup(&self, id: StreamId, receiving: bool) -> Result<Known, Violation> {
        let ours = id.opener() == self.side;
        if id.direction() == Direction::OneWay && ours == receiving {
            return Err(Violation::new(
                Code::STREAM_STATE,
                "a frame for a half that the stream does not have",
            ));
        }
        if let Some(key) = self.key_of(orderless(id)) {
            return match self.get(key) {
                Some(stream) if stream.id == id => Ok(Known::Open(key)),
                _ => Err(Violation::new(Code::STREAM_STATE, "one stream index with two orders")),
            };
        }
        let slot = at(id.direction());
        if ours {
            let next = self.own.get(slot).map_or(0, |own| own.next);
            return if id.index() < next {
                Ok(Known::Closed)
            } else {
                Err(Violation::new(Code::STREAM_STATE, "a stream of ours that we never opened"))
            };
        }
        let Some(peer) = self.peer.get(slot) else { return Ok(Known::Closed) };
        if id.index() >= peer.granted {
            return Err(Violation::new(Code::STREAM_LIMIT, "a stream index at or above its limit"));
        }
        Ok(if peer.closed.contains(id.index()) { Known::Closed } else { Known::New })
    }

    /// Whether another stream of the peer may come in without passing a bound.
    pub(crate) fn has_room(&self, direction: Direction) -> bool {
        self.peer.get(at(direction)).is_some_and(|peer| peer.closed.len() < CLOSED_RANGES_MAX)
    }

    /// Puts a stream into the table.
    pub(crate) fn insert(&mut self, id: StreamId, priority: u8) -> StreamKey {
        let ours = id.opener() == self.side;
        let two_way = id.direction() == Direction::TwoWay;
        let defaults = self.defaults;
        let least = defaults.message_max.saturating_add(8);
        let mut credit = RecvCredit::new(defaults.stream_credit, least);
        credit.set_window(defaults.stream_window);
        let credit = credit.growing_to(defaults.stream_credit_max);
        let stream = Stream {
            id,
            priority,
            send: (ours || two_way).then(|| SendHalf::new(id, defaults.peer_stream_credit)),
            recv: (!ours || two_way).then(|| Receiving {
                half: RecvHalf::new(id.order(), defaults.message_max),
                credit,
                stop: Stop::Not,
                readable_told: false,
            }),
            scheduled: false,
            awaits_credit: false,
            control_listed: false,
            writable_wanted: false,
        };
        let stream = Some(Box::new(stream));
        let key = match self.free.pop() {
            Some(slot) => {
                let mut generation = 0;
                if let Some(entry) =
                    usize::try_from(slot).ok().and_then(|at| self.slots.get_mut(at))
                {
                    entry.stream = stream;
                    generation = entry.generation;
                }
                StreamKey { slot, generation }
            }
            None => {
                let slot = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
                self.slots.push(Slot { generation: 0, stream });
                StreamKey { slot, generation: 0 }
            }
        };
        self.index.insert(orderless(id), key);
        key
    }

    /// Takes a stream out if it is done; returns whether it was.
    pub(crate) fn retire(&mut self, key: StreamKey) -> bool {
        if !self.get(key).is_some_and(Stream::is_done) {
            return false;
        }
        let Some(slot) = usize::try_from(key.slot).ok().and_then(|at| self.slots.get_mut(at))
        else {
            return false;
        };
        let Some(stream) = slot.stream.take() else { return false };
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(key.slot);
        self.index.remove(&orderless(stream.id));
        if stream.id.opener() != self.side {
            let index = stream.id.index();
            if let Some(peer) = self.peer(stream.id.direction()) {
                peer.closed.insert(index..index.saturating_add(1));
                peer.closed_count = peer.closed_count.saturating_add(1);
            }
        }
        true
    }

    /// The peer's first limits: from its parameters.
    pub(crate) fn on_parameters(&mut self, two_way: u64, one_way: u64, stream_credit: u64) {
        self.defaults.peer_stream_credit = stream_credit;
        for (own, limit) in self.own.iter_mut().zip([two_way, one_way]) {
            own.limit = Some(limit);
        }
        for slot in &mut self.slots {
            if let Some(send) = slot.stream.as_mut().and_then(|stream| stream.send.as_mut()) {
                send.on_credit(stream_credit);
            }
        }
    }

    /// The peer's parameters no longer hold: the attempt begins again (R-RESET-2).
    pub(crate) fn forget_parameters(&mut self) {
        self.defaults.peer_stream_credit = 0;
        for own in &mut self.own {
            own.limit = None;
        }
        for slot in &mut self.slots {
            if let Some(send) = slot.stream.as_mut().and_then(|stream| stream.send.as_mut()) {
                send.forget_credit();
            }
        }
    }

    /// The peer allows more streams. Returns the old limit if it grew, and whether the user waits.
    pub(crate) fn on_limit(&mut self, direction: Direction, limit: u64) -> Option<(u64, bool)> {
        let own = self.own(direction)?;
        let old = own.limit.unwrap_or(0);
        if limit <= old {
            return None;
        }
        own.limit = Some(limit);
        Some((old, core::mem::take(&mut own.wanted)))
    }

    /// How many streams of a direction the peer may have open at once from now on. Indexes that
    /// were granted stay granted.
    pub(crate) fn set_window(&mut self, direction: Direction, window: u64) {
        if let Some(peer) = self.peer(direction) {
            peer.window = window;
        }
    }

    /// The limits on indexes as they stand: granted to the peer, and by it. Credit is not known
    /// here.
    pub(crate) fn granted(&self) -> (Granted, Granted) {
        let granted = |two_way, one_way| Granted {
            connection_credit: 0,
            two_way_streams: two_way,
            one_way_streams: one_way,
        };
        let [ours_two_way, ours_one_way] = &self.peer;
        let [theirs_two_way, theirs_one_way] = &self.own;
        let own = |own: &OwnLimit| own.limit.unwrap_or(0);
        (
            granted(ours_two_way.granted, ours_one_way.granted),
            granted(own(theirs_two_way), own(theirs_one_way)),
        )
    }

    /// How many streams the peer allows; `None` before its parameters are known.
    pub(crate) fn own_limit(&self, direction: Direction) -> Option<u64> {
        self.own.get(at(direction))?.limit
    }

    /// The new limit on the peer's streams, if that is worth a frame.
    pub(crate) fn limit_wanted(&self, direction: Direction) -> Option<u64> {
        let peer = self.peer.get(at(direction))?;
        let goal = peer
            .closed_count
            .saturating_add(peer.window)
            .min(StreamId::INDEX_LIMIT.saturating_sub(1));
        let more = goal.saturating_sub(peer.granted);
        let worth = more > 0 && more >= peer.window.div_ceil(4);
        (worth || peer.again).then_some(goal.max(peer.granted))
    }

    /// The limit goes out.
    pub(crate) fn on_limit_sent(&mut self, direction: Direction, limit: u64) {
        if let Some(peer) = self.peer(direction) {
            peer.granted = peer.granted.max(limit);
            peer.again = false;
        }
    }

    /// The limit was lost on its way.
    pub(crate) fn on_limit_lost(&mut self, direction: Direction) {
        if let Some(peer) = self.peer(direction) {
            peer.again = true;
        }
    }

    /// The limit at which the user was refused, if BLOCKED has to say so; it then counts as sent.
    pub(crate) fn take_blocked(&mut self, direction: Direction) -> Option<u64> {
        let own = self.own(direction)?;
        match &mut own.blocked {
            Some((at, sent)) if !*sent && own.limit == Some(*at) => {
                *sent = true;
                Some(*at)
            }
            _ => None,
        }
    }

    /// The limit at which the user was refused and waits for more, if it does.
    pub(crate) fn refused_at(&self, direction: Direction) -> Option<u64> {
        self.own.get(at(direction)).filter(|own| own.wanted)?.limit
    }

    /// Whether [`Self::take_blocked`] would give something.
    pub(crate) fn has_blocked(&self) -> bool {
        self.own.iter().any(|own| matches!(own.blocked, Some((at, false)) if own.limit == Some(at)))
    }

    /// The BLOCKED for this limit was lost.
    pub(crate) fn on_blocked_lost(&mut self, direction: Direction, limit: u64) {
        if let Some(own) = self.own(direction)
            && let Some((at, sent)) = &mut own.blocked
            && *at == limit
        {
            *sent = false;
        }
    }
}
