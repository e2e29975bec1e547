//! The sending half of a stream: messages wait, get offsets when first sent, and are kept until the
//! peer has them or they are given up.
//!
//! In come messages ([`SendHalf::push`]), credit, and what became of the pieces that were sent
//! ([`SendHalf::on_acked`], [`SendHalf::on_lost`]). Out come the payloads of STREAM frames
//! ([`SendHalf::write_piece`]), ranges to give up, and the fate of every message, once. It never
//! looks at congestion or packet numbers, and sends nothing by itself.

mod build;
mod credit;
mod outgoing;
mod run;
mod settle;
#[cfg(test)]
mod tests;
mod waits;

pub(crate) use build::Written;
pub(crate) use credit::SendCredit;

use crate::batch::Batch;
use crate::event::Fate;
use crate::fates::Fates;
use crate::handle::MessageToken;
use crate::ranges::RangeSet;
use crate::wire::{Code, Order, StreamId};
use alloc::collections::VecDeque;
use bytes::Bytes;
use core::ops::Range;
use outgoing::{Content, Outgoing, State};
use run::{MESSAGE_MAX as JOINED_MAX, Run};
use tripline_sansio::codec::varint_len;

/// How often a message may be sent (PROTOCOL.md §4, *Reliability*; R-REL-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Reliability {
    /// Sent until the peer has it.
    #[default]
    Reliable,
    /// Given up when a piece that was sent this often is lost; 0 counts as 1.
    Transmissions(u8),
    /// Sent once; its memory is free as soon as it is handed over.
    Unreliable,
}

impl Reliability {
    /// How often a piece may be sent, or `None` for as often as it takes.
    fn transmissions(self) -> Option<u8> {
        match self {
            Self::Reliable => None,
            Self::Transmissions(count) => Some(count.max(1)),
            Self::Unreliable => Some(1),
        }
    }
}

/// A batch of fewer bytes is copied; the buffer of a longer one is kept as it is.
const COPIED: usize = 1024;
/// A longer batch becomes several runs, as each is searched from its beginning when something of it
/// was lost.
const RUN_LONGEST: usize = 64 * 1024;
/// From this length on a run lets expect that the next one gets long, too.
const LONG: u64 = 1024;

/// A run of offsets that was put into a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The offset of its first byte.
    pub(crate) offset: u64,
    /// How many bytes.
    pub(crate) len: u32,
    /// Whether the frame ended the stream.
    pub(crate) fin: bool,
    /// The how-manieth transmission of these bytes this is, from 1.
    pub(crate) attempt: u8,
}

impl Piece {
    fn range(self) -> Range<u64> {
        self.offset..self.offset.saturating_add(u64::from(self.len))
    }
}

/// A piece that was lost and goes out again.
#[derive(Clone, Debug)]
struct Lost {
    range: Range<u64>,
    /// How often it was sent already.
    attempts: u8,
}

/// How the half ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It does not yet.
    Open,
    /// The user has finished; fin has yet to be sent (again).
    Fin,
    /// fin is on its way.
    FinSent,
    /// The peer has everything.
    FinAcked,
    /// CLOSE_STREAM has yet to be sent (again).
    Close(Code),
    /// CLOSE_STREAM is on its way.
    CloseSent(Code),
    /// The peer knows that the half ended early.
    CloseAcked,
}

/// The sending half of one stream.
#[derive(Clone, Debug)]
pub(crate) struct SendHalf {
    id: StreamId,
    /// Unsettled messages, in the order in which they are sent.
    queue: VecDeque<Outgoing>,
    /// Index in `queue` of the first message that is not all sent.
    cursor: usize,
    /// The end of the offsets that were given out.
    next_offset: u64,
    /// Offsets that the peer has or knows to be skipped, above the first unsettled message.
    settled: RangeSet,
    lost: VecDeque<Lost>,
    /// Ranges given up that the peer has to be told (again).
    skips: RangeSet,
    /// The stream credit that the peer granted: offsets stay below.
    limit: u64,
    /// The value at which the stream was blocked last, and whether BLOCKED said so.
    blocked: Option<(u64, bool)>,
    /// Bytes of messages held.
    buffered: u64,
    /// The last run got long: the next one is given room at once.
    long_run: bool,
    end: End,
}

impl SendHalf {
    /// A half that may send up to offset `limit`.
    pub(crate) fn new(id: StreamId, limit: u64) -> Self {
        Self {
            id,
            queue: VecDeque::new(),
            cursor: 0,
            next_offset: 0,
            settled: RangeSet::new(),
            lost: VecDeque::new(),
            skips: RangeSet::new(),
            limit,
            blocked: None,
            buffered: 0,
            long_run: false,
            end: End::Open,
        }
    }

    /// Appends a message. The caller has checked its length and that the half [is
    /// open](Self::is_open). `joins`: it may be copied together with its neighbours, as it has no
    /// time of its own and the peer is known to take messages of its length.
    pub(crate) fn push(
        &mut self,
        token: MessageToken,
        data: Bytes,
        reliability: Reliability,
        joins: bool,
    ) {
        let len = u64::try_from(data.len()).unwrap_or(u64::MAX);
        self.buffered = self.buffered.saturating_add(len);
        let joins = joins
            && data.len() <= JOINED_MAX
            && reliability == Reliability::Reliable
            && self.takes_runs();
        if joins && self.join(token, &data) {
            return;
        }
        let prefix = match self.id.order() {
            Order::Bytes => 0,
            _ => u8::try_from(varint_len(len)).unwrap_or(8),
        };
        self.queue.push_back(Outgoing {
            token,
            content: Content::One(data),
            prefix,
            size: len.saturating_add(u64::from(prefix)),
            start: Outgoing::UNBEGUN,
            sent: 0,
            reliability,
            state: State::Live,
            joins,
        });
    }

    /// Appends all messages of a batch, of which the first has this token, and empties it. The same
    /// holds for them as for those that [join](Self::push), and [`Self::takes_runs`].
    pub(crate) fn push_batch(&mut self, first: MessageToken, batch: &mut Batch) {
        if batch.wire_len() <= RUN_LONGEST {
            return self.push_run(first, batch);
        }
        let (wire, mut token, mut at) = (batch.take_wire(), first, 0);
        let mut part = Batch::new();
        while let Some(rest) = wire.get(at..).filter(|rest| !rest.is_empty()) {
            at = at.saturating_add(part.push_wire(rest, RUN_LONGEST).max(1));
            let next = token.0.saturating_add(u64::try_from(part.len()).unwrap_or(u64::MAX));
            self.push_run(token, &mut part);
            token = MessageToken(next);
        }
    }

    fn push_run(&mut self, first: MessageToken, batch: &mut Batch) {
        let count = u32::try_from(batch.len()).unwrap_or(u32::MAX);
        let bytes = u64::try_from(batch.bytes()).unwrap_or(u64::MAX);
        self.buffered = self.buffered.saturating_add(bytes);
        if let Some(last) = self.queue.back_mut().filter(|last| last.is_followed_by(first))
            && let Content::Run(run) = &mut last.content
            && run.append_wire(batch.wire(), count)
        {
            last.size = last.content.len();
            return batch.clear();
        }
        let wire =
            if batch.wire_len() < COPIED { batch.wire().to_vec() } else { batch.take_wire() };
        batch.clear();
        let content = Content::Run(Run::of(wire, count));
        self.queue.push_back(Outgoing {
            token: first,
            size: content.len(),
            content,
            prefix: 0,
            start: Outgoing::UNBEGUN,
            sent: 0,
            reliability: Reliability::Reliable,
            state: State::Live,
            joins: true,
        });
    }

    /// Whether messages of this stream may wait as runs.
    pub(crate) fn takes_runs(&self) -> bool {
        matches!(self.id.order(), Order::Ordered | Order::Unordered)
    }

    /// Copies a small message behind the last one, if nothing of that was sent yet.
    fn join(&mut self, token: MessageToken, data: &[u8]) -> bool {
        let Some(last) = self.queue.back_mut().filter(|last| last.is_followed_by(token)) else {
            return false;
        };
        match &mut last.content {
            Content::Run(run) if run.has_room(data.len()) => run.append(data),
            Content::Run(_) => return false,
            Content::One(first) => {
                let mut run = Run::with(first, self.long_run);
                run.append(data);
                last.content = Content::Run(run);
                last.prefix = 0;
            }
        }
        last.size = last.content.len();
        self.long_run = last.size >= LONG;
        true
    }

    /// Whether the user may still append.
    pub(crate) fn is_open(&self) -> bool {
        self.end == End::Open
    }

    /// Whether the half was ended early, by us or at the peer's wish.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.end, End::Close(_) | End::CloseSent(_) | End::CloseAcked)
    }

    /// Nothing more to send, ever, and the peer knows.
    pub(crate) fn is_done(&self) -> bool {
        match self.end {
            End::FinAcked => self.queue.is_empty(),
            End::CloseAcked => true,
            _ => false,
        }
    }

    /// Everything that was handed in is settled (an orderly close waits for this). A half that is
    /// neither finished nor closed may be quiet too.
    pub(crate) fn is_quiet(&self) -> bool {
        self.is_done() || (self.queue.is_empty() && self.skips.is_empty() && self.end == End::Open)
    }

    /// Bytes of messages held: unsent or unacknowledged.
    pub(crate) fn buffered(&self) -> u64 {
        self.buffered
    }

    /// The user sends no more; what was handed in still goes out.
    pub(crate) fn finish(&mut self) {
        if self.end == End::Open {
            self.end = End::Fin;
        }
    }

    /// Ends the half here: what is not acknowledged is dropped, with fates (R-STREAM-2).
    pub(crate) fn close(&mut self, code: Code, credit: &mut SendCredit, fates: &mut Fates) {
        if self.is_closed() || self.is_done() {
            return;
        }
        self.drop_all(credit, fates);
        self.end = End::Close(code);
    }

    /// Drops every message, with the fates that were not told yet (R-REL-2): the stream or the
    /// connection is over.
    pub(crate) fn drop_all(&mut self, credit: &mut SendCredit, fates: &mut Fates) {
        for mut message in self.queue.drain(..) {
            if message.state == State::Live {
                message.tell_all(Fate::Undelivered, fates);
            }
            if self.id.order() != Order::Bytes {
                credit.release(message.rest());
            }
        }
        self.cursor = 0;
        self.buffered = 0;
        self.settled = RangeSet::new();
        self.skips = RangeSet::new();
        self.lost.clear();
    }

    /// Drops messages that were handed in before the peer's limit was known and are above it.
    pub(crate) fn drop_larger(&mut self, limit: u64, fates: &mut Fates) {
        if self.id.order() == Order::Bytes {
            return;
        }
        // A run has one fate at a time: where some of its messages may not go, none goes in a run.
        for message in core::mem::take(&mut self.queue) {
            match message.taken_apart(limit) {
                Some(single) => self.queue.extend(single),
                None => self.queue.push_back(message),
            }
        }
        let unbegun = self.queue.iter_mut().filter(|m| !m.is_begun() && m.state == State::Live);
        for message in unbegun {
            let freed = message.drop_larger(limit, fates);
            self.buffered = self.buffered.saturating_sub(freed);
        }
    }

    /// The peer granted more; returns whether it was news. Grants never shrink (R-CREDIT-2).
    pub(crate) fn on_credit(&mut self, limit: u64) -> bool {
        let news = limit > self.limit;
        self.limit = self.limit.max(limit);
        news
    }

    /// The newest grant.
    pub(crate) fn credit_limit(&self) -> u64 {
        self.limit
    }

    /// The peer that granted it no longer knows us, and has got nothing: all credit is gone.
    pub(crate) fn forget_credit(&mut self) {
        self.limit = 0;
        self.blocked = None;
    }

    /// The stream's credit is used up; returns whether that is still to be said (R-CREDIT-2: once
    /// for each value).
    pub(crate) fn mark_blocked(&mut self) -> bool {
        if self.blocked.is_none_or(|(at, _)| at != self.limit) {
            self.blocked = Some((self.limit, false));
        }
        matches!(self.blocked, Some((_, false)))
    }

    /// The value for a BLOCKED frame, if one has to be sent; it then counts as sent.
    pub(crate) fn take_blocked(&mut self) -> Option<u64> {
        match &mut self.blocked {
            Some((at, said)) if !*said && *at == self.limit => {
                *said = true;
                Some(*at)
            }
            _ => None,
        }
    }

    /// The BLOCKED frame for `value` was lost: say it again if it is still so.
    pub(crate) fn on_blocked_lost(&mut self, value: u64) {
        if let Some((at, said)) = &mut self.blocked
            && *at == value
        {
            *said = false;
        }
    }

    /// Code and final offset, if CLOSE_STREAM has to be sent; it then counts as sent.
    pub(crate) fn take_close(&mut self) -> Option<(Code, u64)> {
        let End::Close(code) = self.end else { return None };
        self.end = End::CloseSent(code);
        Some((code, self.next_offset))
    }

    /// The CLOSE_STREAM was lost.
    pub(crate) fn on_close_lost(&mut self) {
        if let End::CloseSent(code) = self.end {
            self.end = End::Close(code);
        }
    }

    /// The peer has the CLOSE_STREAM.
    pub(crate) fn on_close_acked(&mut self) {
        if self.is_closed() {
            self.end = End::CloseAcked;
        }
    }

    /// The ranges that were given up and have to be told.
    pub(crate) fn skips(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.skips.iter()
    }

    /// SKIP says this range.
    pub(crate) fn on_skip_sent(&mut self, range: Range<u64>) {
        self.skips.remove(range);
    }

    /// Whether a range was given up that has to be told.
    pub(crate) fn has_skip(&self) -> bool {
        !self.skips.is_empty()
    }

    /// Whether there is payload or fin to send, credit aside.
    pub(crate) fn has_payload(&self) -> bool {
        !self.is_closed()
            && (!self.lost.is_empty() || self.cursor < self.queue.len() || self.end == End::Fin)
    }
}
