//! What a side has sent on its streams, against the credit that had reached it (I10), and what of
//! it is sent again.

use super::report::Report;
use crate::cipher::Map;
use crate::host::HostId;
use crate::marks::Mark;
use crate::wire::{Blocked, Limits, Skip, Stream, StreamName};
use std::collections::VecDeque;

/// Streams of one side that are remembered; with more its credit is not judged any longer.
const STREAMS_MAX: usize = 65_536;
/// One byte of so many is remembered, to see that offsets keep their bytes.
const STRIDE: u64 = 64;
/// Remembered bytes of one stream.
const SAMPLES_MAX: u64 = 1 << 16;
/// SKIPs that are remembered, and frames that may come again.
const RECENT: usize = 128;

/// A grant, and how often it was sent.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    limit: u64,
    times: u32,
}

impl Told {
    /// Notes that a grant was sent; whether it is less than an earlier one.
    fn shrinks(&mut self, report: &mut Report, limit: u64) -> bool {
        if limit < self.limit {
            return true;
        }
        if limit > self.limit {
            *self = Self { limit, times: 0 };
        }
        self.times = self.times.saturating_add(1);
        report.hit_if(self.times == 2, Mark::GrantRepeated);
        report.hit_if(self.times == 3, Mark::GrantLostTwice);
        false
    }
}

/// One direction of a stream.
#[derive(Debug)]
struct Book {
    name: StreamName,
    /// Behind the last byte sent.
    high: u64,
    /// The final offset.
    end: Option<u64>,
    /// What may be sent, as far as the sender knows.
    limit: u64,
    /// The newest grant sent to it.
    told: Told,
    /// What its sender was blocked at.
    blocked: Option<u64>,
    stopped: bool,
    closed: bool,
    fins: u32,
    /// Every 64th byte, plus one; 0 if it was not sent.
    samples: Vec<u16>,
}

/// A frame that was sent for the first time, or again.
#[derive(Clone, Copy, Debug)]
struct Piece {
    stream: u64,
    offset: u64,
    number: u64,
}

/// All that one side sends on streams.
#[derive(Debug, Default)]
pub(super) struct Streams {
    host: Option<HostId>,
    /// What the peer's parameters and grants allow; nothing before they came.
    limits: Limits,
    is_known: bool,
    charged: u64,
    told_connection: Told,
    /// Two-way, one-way.
    told_streams: [Told; 2],
    blocked_connection: Option<u64>,
    books: Map<u64, Book>,
    overflow: bool,
    /// Frames that carry bytes sent before.
    pub(super) repeats: u64,
    skips: VecDeque<(u64, u64, u64, u32)>,
    /// Frames sent for the first time, newest last.
    firsts: VecDeque<Piece>,
    /// Frames sent again: the number of the first packet and of the second.
    pub(super) twins: VecDeque<(u64, u64)>,
}

/// A stream without its order, which must not change (R-STREAM-1a).
const fn key(name: StreamName) -> u64 {
    name.0 & !0b1100
}

impl Streams {
    /// The peer's parameters have reached this side.
    pub(super) fn learn(&mut self, host: HostId, limits: &Limits) {
        self.host = Some(host);
        if !self.is_known {
            self.limits = *limits;
            self.is_known = true;
            self.told_connection.limit = limits.connection_credit;
            self.told_streams[0].limit = limits.two_way;
            self.told_streams[1].limit = limits.one_way;
        }
    }

    /// What the credit for the connection still allows; `None`: nobody can say.
    pub(super) fn credit_free(&self) -> Option<u64> {
        let is_certain = self.is_known && !self.overflow;
        is_certain.then(|| self.limits.connection_credit.saturating_sub(self.charged))
    }

    /// The book of a stream, made when first needed.
    fn book(&mut self, report: &mut Report, name: StreamName) -> Option<&mut Book> {
        let Self { books, limits, overflow, host, .. } = self;
        if books.len() >= STREAMS_MAX && !books.contains_key(&key(name)) {
            *overflow = true;
            return None;
        }
        let book = books.entry(key(name)).or_insert_with(|| {
            let orders =
                [Mark::OrderBytes, Mark::OrderOrdered, Mark::OrderUnordered, Mark::OrderLatest];
            report.hit(orders[name.order() as usize & 3]);
            Book {
                name,
                high: 0,
                end: None,
                limit: limits.stream_credit,
                told: Told { limit: limits.stream_credit, times: 0 },
                blocked: None,
                stopped: false,
                closed: false,
                fins: 0,
                samples: Vec::new(),
            }
        });
        if book.name != name {
            let what = format_args!("stream {} is also {} (R-STREAM-1a)", book.name.0, name.0);
            report.blame("I10", *host, what);
        }
        Some(book)
    }

    /// Who may send on a stream, and which one may be opened.
    fn check_name(&mut self, report: &mut Report, name: StreamName, is_server: bool) {
        let own = name.by_server() == is_server;
        if !own {
            if name.is_one_way() {
                let what = format_args!("sends on the peer's one-way stream {}", name.0);
                report.blame("I10", self.host, what);
            }
            return;
        }
        let Limits { one_way, two_way, .. } = self.limits;
        let limit = if name.is_one_way() { one_way } else { two_way };
        report.hit_if(name.index() + 1 == limit, Mark::IndexesUsedUp);
        if name.index() >= limit && self.is_known {
            let what = format_args!("opens stream {} of {limit} (R-STREAM-1c)", name.index());
            report.blame("I10", self.host, what);
        }
    }

    /// A frame moves a stream's highest offset (R-CREDIT-1). Returns where that was; `None` if
    /// nothing moved.
    fn charge(
        &mut self,
        report: &mut Report,
        name: StreamName,
        end: u64,
        is_server: bool,
    ) -> Option<u64> {
        let (host, is_known) = (self.host, self.is_known);
        if !self.books.contains_key(&key(name)) {
            self.check_name(report, name, is_server);
        }
        let book = self.book(report, name)?;
        let before = book.high;
        let more = end.saturating_sub(book.high);
        if more == 0 {
            return None;
        }
        book.high = end;
        let limit = book.limit;
        report.hit_if(end == limit, Mark::StreamCreditUsedUp);
        if end > limit && is_known {
            let what = format_args!("stream {} up to {end}, limit {limit} (R-CREDIT-1)", name.0);
            report.blame("I10", host, what);
        }
        self.charged += more;
        let limit = self.limits.connection_credit;
        report.hit_if(self.charged == limit, Mark::CreditUsedUp);
        if self.charged > limit && is_known && !self.overflow {
            let what = format_args!("{} bytes of {limit} on all streams", self.charged);
            report.blame("I10", host, what);
        }
        Some(before)
    }

    /// A STREAM frame is sent, in this packet.
    pub(super) fn on_stream(
        &mut self,
        report: &mut Report,
        frame: &Stream<'_>,
        number: u64,
        is_server: bool,
    ) {
        let (name, end, host) = (frame.stream, frame.end(), self.host);
        let before = self.charge(report, name, end, is_server);
        let Some(book) = self.books.get_mut(&key(name)) else { return };
        if frame.fin || book.end.is_some() {
            book.on_end(report, frame, host);
        }
        if book.closed {
            let what = format_args!("STREAM on {} behind CLOSE_STREAM (R-STREAM-2)", name.0);
            report.blame("I10", host, what);
        }
        book.compare(report, frame, host);
        if let Some(before) = before {
            self.repeats += u64::from(frame.offset < before);
            if frame.offset > before {
                let what = format_args!(
                    "stream {}: bytes from {}, none from {before} (R-MSG-1)",
                    name.0, frame.offset
                );
                report.blame("I10", host, what);
            }
            self.firsts.push_back(Piece { stream: name.0, offset: frame.offset, number });
            if self.firsts.len() > RECENT {
                self.firsts.pop_front();
            }
        } else if !frame.payload.is_empty() {
            report.hit(Mark::Retransmitted);
            self.repeats += 1;
            self.note_twin(report, frame, number);
        }
        if frame.aligned {
            let mut count = 0;
            for length in frame.messages().flatten() {
                count += 1;
                report.hit_if(length == (0, true), Mark::MessageEmpty);
            }
            report.hit_if(count >= 8, Mark::MessagesTogether);
        }
    }

    /// A frame came again: with which packet the first one went.
    fn note_twin(&mut self, report: &mut Report, frame: &Stream<'_>, number: u64) {
        let same = |one: &&Piece| one.stream == frame.stream.0 && one.offset == frame.offset;
        let Some(first) = self.firsts.iter().rev().find(same).map(|piece| piece.number) else {
            // Its beginning is known to lie within another piece, or to be long forgotten.
            let around = |one: &Piece| one.stream == frame.stream.0 && one.offset < frame.offset;
            report.hit_if(self.firsts.iter().any(around), Mark::Resliced);
            return;
        };
        self.twins.push_back((first, number));
        if self.twins.len() > RECENT {
            self.twins.pop_front();
        }
    }

    /// A SKIP is sent.
    pub(super) fn on_skip(&mut self, report: &mut Report, skip: &Skip<'_>, is_server: bool) {
        report.hit(Mark::SkipSent);
        for (offset, length) in skip.ranges() {
            self.charge(report, skip.stream, offset + length, is_server);
            let found = self.skips.iter_mut().find(|one| (one.0, one.1) == (skip.stream.0, offset));
            if let Some(found) = found {
                found.3 += 1;
                report.hit_if(found.3 == 2, Mark::SkipRepeated);
                report.hit_if(found.3 == 3, Mark::SkipLostTwice);
                continue;
            }
            self.skips.push_back((skip.stream.0, offset, length, 1));
            if self.skips.len() > RECENT {
                self.skips.pop_front();
            }
        }
    }

    /// CLOSE_STREAM is sent.
    pub(super) fn on_close(
        &mut self,
        report: &mut Report,
        name: StreamName,
        (code, end): (u64, u64),
        is_server: bool,
    ) {
        report.hit(Mark::CloseStreamSent);
        report.hit_if(code == 14, Mark::StreamTurnedAway);
        self.charge(report, name, end, is_server);
        let host = self.host;
        let Some(book) = self.books.get_mut(&key(name)) else { return };
        report.hit_if(end == 0 && !book.closed, Mark::CloseBeforeData);
        report.hit_if(book.stopped, Mark::StopAnswered);
        if book.end.is_some_and(|known| known != end) || end < book.high {
            let what = format_args!(
                "stream {} ends at {end}, not at {:?}, after {} (R-STREAM-2b)",
                name.0, book.end, book.high
            );
            report.blame("I10", host, what);
        }
        book.end = Some(end);
        book.closed = true;
    }

    /// STOP has reached the sender.
    pub(super) fn on_stop(&mut self, report: &mut Report, name: StreamName) {
        let Some(book) = self.book(report, name) else { return };
        report.hit_if(book.end.is_some() && !book.stopped, Mark::StopAfterFinish);
        book.stopped = true;
    }

    /// BLOCKED is sent.
    pub(super) fn on_blocked(&mut self, report: &mut Report, blocked: Blocked) {
        report.hit(Mark::BlockedSent);
        let (value, limit) = match blocked {
            Blocked::Connection(value) => {
                self.blocked_connection = Some(value);
                (value, self.limits.connection_credit)
            }
            Blocked::Stream(name, value) => {
                let limit = self.book(report, name).map_or(value, |book| {
                    book.blocked = Some(value);
                    book.limit
                });
                (value, limit)
            }
            Blocked::Streams(one_way, value) => {
                report.hit(Mark::BlockedOnStreams);
                (value, if one_way { self.limits.one_way } else { self.limits.two_way })
            }
        };
        if value > limit && self.is_known && !self.overflow {
            let what = format_args!("blocked at {value}, limit {limit}");
            report.blame("I10", self.host, what);
        }
    }

    /// A grant for this side is sent by the peer, whose host is named.
    pub(super) fn on_grant_sent(
        &mut self,
        report: &mut Report,
        peer: Option<HostId>,
        grant: Grant,
    ) {
        let shrinks = match grant {
            Grant::Connection(limit) => self.told_connection.shrinks(report, limit),
            Grant::Stream(name, limit) => {
                let Some(book) = self.book(report, name) else { return };
                let mut told = book.told;
                let shrinks = told.shrinks(report, limit);
                book.told = told;
                shrinks
            }
            Grant::Streams(one_way, limit) => {
                self.told_streams[usize::from(one_way)].shrinks(report, limit)
            }
        };
        if shrinks {
            let what = format_args!("{grant:?} is less than was granted before (R-CREDIT-2)");
            report.blame("I10", peer, what);
        }
    }

    /// A grant has reached this side.
    pub(super) fn on_grant(&mut self, report: &mut Report, grant: Grant) {
        match grant {
            Grant::Connection(limit) => {
                let Limits { connection_credit: own, .. } = &mut self.limits;
                *own = limit.max(*own);
                let answers = self.blocked_connection.take_if(|at| *at < limit);
                report.hit_if(answers.is_some(), Mark::GrantAnswersBlocked);
            }
            Grant::Stream(name, limit) => {
                let Some(book) = self.book(report, name) else { return };
                book.limit = book.limit.max(limit);
                let answers = book.blocked.take_if(|at| *at < limit);
                report.hit_if(answers.is_some(), Mark::GrantAnswersBlocked);
            }
            Grant::Streams(true, limit) => self.limits.one_way = self.limits.one_way.max(limit),
            Grant::Streams(false, limit) => self.limits.two_way = self.limits.two_way.max(limit),
        }
    }
}

/// A limit that is raised.
#[derive(Clone, Copy, Debug)]
pub(super) enum Grant {
    Connection(u64),
    Stream(StreamName, u64),
    Streams(bool, u64),
}

impl Book {
    /// R-STREAM-2b: a final offset does not change, and nothing lies behind it.
    fn on_end(&mut self, report: &mut Report, frame: &Stream<'_>, host: Option<HostId>) {
        let end = frame.end();
        let wrong = match self.end {
            Some(known) => end > known || (frame.fin && end != known),
            None => end < self.high,
        };
        if wrong {
            let what = format_args!(
                "stream {}: a frame to {end} (fin: {}), but it ends at {:?} after {} (R-STREAM-2b)",
                self.name.0, frame.fin, self.end, self.high
            );
            report.blame("I10", host, what);
        }
        if frame.fin {
            self.end = self.end.or(Some(end));
            if frame.payload.is_empty() {
                self.fins = self.fins.saturating_add(1);
                report.hit(Mark::FinAlone);
                report.hit_if(self.fins == 2, Mark::FinRepeated);
            }
        }
    }

    /// R-MSG-2b: an offset keeps its byte. One in 64 is looked at.
    fn compare(&mut self, report: &mut Report, frame: &Stream<'_>, host: Option<HostId>) {
        let first = frame.offset.div_ceil(STRIDE);
        let last = frame.end().div_ceil(STRIDE).min(SAMPLES_MAX);
        if first >= last {
            return;
        }
        if self.samples.len() < last as usize {
            self.samples.resize(last as usize, 0);
        }
        let skip = (first * STRIDE - frame.offset) as usize;
        let bytes = frame.payload.iter().skip(skip).step_by(STRIDE as usize);
        for (sample, byte) in self.samples[first as usize..last as usize].iter_mut().zip(bytes) {
            let now = u16::from(*byte) + 1;
            if *sample != now && *sample != 0 {
                let what = format_args!(
                    "stream {}: another byte in {}..{} (R-MSG-2b)",
                    self.name.0,
                    frame.offset,
                    frame.end()
                );
                report.blame("I10", host, what);
                return;
            }
            *sample = now;
        }
    }
}
