//! The bench: a sending half, its peer, the packets between them, and the model that judges.

use super::super::{Piece, Reliability, SendCredit, SendHalf, Written};
use crate::batch::Batch;
use crate::event::Fate;
use crate::fates::Fates;
use crate::handle::MessageToken;
use crate::stream::recv::{RecvHalf, Taken};
use crate::wire::{Code, Direction, Frame, Frames, Order, Side, StreamFrame, StreamId, write_skip};
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;
use tripline_sansio::codec::Writer;

/// The largest message that the peer takes.
pub(super) const MESSAGE_MAX: u64 = 4_000;
/// Less than this is not offered to a STREAM frame, as in the connection's packets.
pub(super) const SPACE_MIN: usize = 32;
/// The code of an early end.
pub(super) const EARLY: Code = Code::application(7);

/// A message as the model knows it.
#[derive(Debug)]
struct Promise {
    /// Length (but in a byte stream) and data, as on the wire.
    wire: Vec<u8>,
    prefix: usize,
    reliability: Reliability,
    /// Its time may run out.
    may_expire: bool,
    start: Option<u64>,
    sent: usize,
    fate: Option<Fate>,
}

impl Promise {
    fn data(&self) -> &[u8] {
        &self.wire[self.prefix..]
    }

    /// The offsets that were sent of it.
    fn range(&self) -> Range<u64> {
        let start = self.start.unwrap_or(u64::MAX);
        start..start.saturating_add(self.sent as u64)
    }

    fn unsent(&self) -> u64 {
        (self.wire.len() - self.sent) as u64
    }

    /// Whether it may be skipped: its time is over, or it was sent once and nobody waits for it.
    fn is_let_go(&self) -> bool {
        matches!(self.fate, Some(Fate::Expired | Fate::Sent))
    }
}

/// What a packet holds, as the connection remembers it.
#[derive(Clone, Debug)]
enum Record {
    Stream(Piece),
    Skip(Range<u64>),
    Close,
}

/// A packet that is under way, or was.
#[derive(Debug)]
struct Packet {
    bytes: Vec<u8>,
    records: Vec<Record>,
    arrived: bool,
    /// Its sender knows its fate.
    told: bool,
}

/// How the user ended the half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Not,
    Finished,
    Closed,
}

pub(super) struct Bench {
    pub(super) id: StreamId,
    pub(super) half: SendHalf,
    pub(super) credit: SendCredit,
    pub(super) recv: RecvHalf,
    fates: Fates,
    promises: Vec<Promise>,
    packets: Vec<Packet>,
    /// Every byte that was given an offset.
    space: Vec<u8>,
    stream_limit: u64,
    taken: Vec<Vec<u8>>,
    end: Option<Taken>,
    ended: Ended,
}

impl Bench {
    pub(super) fn new(order: Order, stream_limit: u64, connection_limit: u64) -> Self {
        let id = StreamId::new(3, order, Direction::OneWay, Side::Client).unwrap();
        Self {
            id,
            half: SendHalf::new(id, stream_limit),
            credit: granted(connection_limit),
            recv: RecvHalf::new(order, MESSAGE_MAX),
            fates: Fates::new(),
            promises: Vec::new(),
            packets: Vec::new(),
            space: Vec::new(),
            stream_limit,
            taken: Vec::new(),
            end: None,
            ended: Ended::Not,
        }
    }

    fn order(&self) -> Order {
        self.id.order()
    }

    fn highest(&self) -> u64 {
        self.space.len() as u64
    }

    /// A message of `size` bytes; its first byte tells which one it is. So on a *latest* stream,
    /// where that matters, none is empty.
    pub(super) fn push(&mut self, size: usize, reliability: Reliability, may_expire: bool) {
        if !self.half.is_open() {
            return;
        }
        let token = MessageToken(self.promises.len() as u64);
        let bytes_order = self.order() == Order::Bytes;
        let reliability = if bytes_order { Reliability::Reliable } else { reliability };
        let data = self.promise(size, reliability, may_expire);
        self.half.push(token, data.into(), reliability, !may_expire);
        self.check();
    }

    /// Messages of these sizes with one call, where the stream takes that.
    pub(super) fn push_batch(&mut self, sizes: &[usize]) {
        if !self.half.takes_runs() {
            return sizes.iter().for_each(|size| self.push(*size, Reliability::Reliable, false));
        }
        if !self.half.is_open() {
            return;
        }
        let first = MessageToken(self.promises.len() as u64);
        let mut batch = Batch::new();
        for size in sizes {
            batch.push(&self.promise(*size, Reliability::Reliable, false));
        }
        self.half.push_batch(first, &mut batch);
        assert!(batch.is_empty());
        self.check();
    }

    /// Notes a message to come, and makes it.
    fn promise(&mut self, size: usize, reliability: Reliability, may_expire: bool) -> Vec<u8> {
        let number = self.promises.len();
        let size = size.max(usize::from(self.order() == Order::Latest));
        let data: Vec<u8> =
            (0..size).map(|at| if at == 0 { number as u8 } else { (at + number) as u8 }).collect();
        let mut wire = Vec::new();
        if self.order() == Order::Bytes {
            wire = data.clone();
        } else {
            Writer::new(&mut wire).varint_bytes(&data);
        }
        let bytes_order = self.order() == Order::Bytes;
        self.promises.push(Promise {
            prefix: wire.len() - size,
            wire,
            reliability,
            may_expire: may_expire && !bytes_order,
            start: None,
            sent: 0,
            fate: None,
        });
        data
    }

    /// Builds a packet as the connection does; false if there was nothing to put in.
    pub(super) fn packet(&mut self, space: usize) -> bool {
        let (mut out, mut records) = (Vec::new(), Vec::new());
        if let Some((code, final_offset)) = self.half.take_close() {
            assert_eq!((code, final_offset), (EARLY, self.highest()), "R-STREAM-2");
            Frame::CloseStream { id: self.id, code, final_offset }.write(&mut out);
            records.push(Record::Close);
        }
        let skips: Vec<_> = self.half.skips().collect();
        let room = space - out.len();
        let written = write_skip(&mut out, room, self.id, skips.iter().cloned());
        for range in skips.into_iter().take(written) {
            self.check_skip(&range);
            self.half.on_skip_sent(range.clone());
            records.push(Record::Skip(range));
        }
        while space - out.len() >= SPACE_MIN {
            let at = out.len();
            let Self { half, credit, fates, .. } = self;
            let written = half.write_piece(&mut out, space - at, credit, fates);
            assert!(out.len() <= space, "{written:?} overran its space");
            let Written::Piece(piece) = written else {
                assert_eq!(out.len(), at, "{written:?} wrote something");
                self.fold();
                break;
            };
            assert!(out.len() > at);
            self.check_frame(&out[at..], piece);
            self.fold();
            records.push(Record::Stream(piece));
        }
        self.check();
        if records.is_empty() {
            return false;
        }
        self.packets.push(Packet { bytes: out, records, arrived: false, told: false });
        true
    }

    /// A packet arrives, perhaps not for the first time.
    pub(super) fn deliver(&mut self, which: usize) {
        let Some(packet) = self.packets.get_mut(which) else { return };
        packet.arrived = true;
        let mut frames = Frames::new(&packet.bytes);
        while let Some(frame) = frames.next().expect("the frames can be read") {
            match frame {
                Frame::Stream(frame) => {
                    let StreamFrame { offset, payload, aligned, fin, .. } = frame;
                    let effect = self.recv.on_stream(offset, payload, aligned, fin);
                    let _ = effect.unwrap_or_else(|broken| panic!("{broken:?} in {frame:?}"));
                }
                Frame::Skip(skip) => skip.ranges().for_each(|range| {
                    let effect = self.recv.on_skip(range.clone());
                    let _ = effect.unwrap_or_else(|broken| panic!("{broken:?} in SKIP {range:?}"));
                }),
                Frame::CloseStream { code, final_offset, .. } => {
                    let _ = self.recv.on_close(code, final_offset).expect("CLOSE_STREAM is right");
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(self.recv.highest() <= self.stream_limit, "R-CREDIT-1");
    }

    fn pick(&self, among: usize, fits: impl Fn(&Packet) -> bool) -> Option<usize> {
        let all: Vec<_> = (0..self.packets.len()).filter(|at| fits(&self.packets[*at])).collect();
        all.get(among % all.len().max(1)).copied()
    }

    /// Some packet arrives: once more, if `again`.
    pub(super) fn deliver_some(&mut self, among: usize, again: bool) {
        if let Some(which) = self.pick(among, |packet| packet.arrived == again) {
            self.deliver(which);
        }
    }

    /// The sender learns that a packet arrived.
    pub(super) fn ack_some(&mut self, among: usize) {
        if let Some(which) = self.pick(among, |packet| packet.arrived && !packet.told) {
            self.ack(which);
        }
    }

    pub(super) fn ack(&mut self, which: usize) {
        let Self { half, credit, fates, packets, .. } = self;
        packets[which].told = true;
        for record in packets[which].records.clone() {
            match record {
                Record::Stream(piece) => half.on_acked(piece, credit, fates),
                Record::Skip(range) => half.on_skip_acked(range, credit, fates),
                Record::Close => half.on_close_acked(),
            }
        }
        self.fold();
        self.check();
    }

    /// The sender takes a packet for lost, rightly or not.
    pub(super) fn lose_some(&mut self, among: usize) {
        if let Some(which) = self.pick(among, |packet| !packet.told) {
            self.lose(which);
        }
    }

    pub(super) fn lose(&mut self, which: usize) {
        let Self { half, credit, fates, packets, .. } = self;
        packets[which].told = true;
        for record in packets[which].records.clone() {
            match record {
                Record::Stream(piece) => half.on_lost(piece, credit, fates),
                Record::Skip(range) => half.on_skip_lost(range),
                Record::Close => half.on_close_lost(),
            }
        }
        self.fold();
        self.check();
    }

    /// The oldest packet that is under way is sent again as a probe.
    pub(super) fn probe(&mut self) {
        if let Some(which) = self.pick(0, |packet| !packet.told) {
            for record in self.packets[which].records.clone() {
                if let Record::Stream(piece) = record {
                    self.half.probe(piece);
                }
            }
        }
        self.check();
    }

    /// The time of a message is over.
    pub(super) fn expire(&mut self, which: usize) {
        let Some(promise) = self.promises.get(which).filter(|promise| promise.may_expire) else {
            return;
        };
        let waits = promise.fate.is_none();
        let Self { half, credit, fates, .. } = self;
        let was = half.expire(MessageToken(which as u64), credit, fates);
        let sent_once = matches!(self.promises[which].fate, Some(Fate::Sent));
        assert!(was == waits || sent_once, "message {which}");
        self.fold();
        self.check();
    }

    pub(super) fn expire_some(&mut self, among: usize) {
        if !self.promises.is_empty() {
            self.expire(among % self.promises.len());
        }
    }

    pub(super) fn grant_stream(&mut self, more: u64) {
        self.stream_limit += more;
        assert_eq!(self.half.on_credit(self.stream_limit), more > 0);
    }

    pub(super) fn grant_connection(&mut self, more: u64) {
        let limit = self.credit.limit() + more;
        assert_eq!(self.credit.on_grant(limit), more > 0);
        self.check();
    }

    /// The user ends the half.
    pub(super) fn end(&mut self, how: Ended) {
        match how {
            Ended::Finished if self.ended == Ended::Not => self.half.finish(),
            Ended::Closed if self.ended != Ended::Closed && !self.half.is_done() => {
                let Self { half, credit, fates, .. } = self;
                half.close(EARLY, credit, fates);
                self.fold();
            }
            _ => return,
        }
        self.ended = how;
        self.check();
    }

    /// The peer's user takes what there is.
    pub(super) fn take(&mut self) {
        loop {
            match self.recv.take() {
                Taken::Data { bytes, .. } => self.taken.push(bytes.to_vec()),
                Taken::Nothing => return,
                end => assert_eq!(self.end.replace(end), None, "one end"),
            }
        }
    }

    /// From now on all goes well, until nothing is left to do; then everything is judged.
    pub(super) fn settle(&mut self) {
        if self.ended == Ended::Not {
            self.end(Ended::Finished);
        }
        self.grant_stream(1 << 30);
        self.grant_connection(1 << 30);
        for _ in 0..1_000 {
            while self.packet(1_200) {}
            let open: Vec<_> =
                (0..self.packets.len()).filter(|at| !self.packets[*at].told).collect();
            if open.is_empty() {
                break;
            }
            for which in open {
                self.deliver(which);
                self.ack(which);
            }
            self.take();
        }
        self.take();
        self.judge();
    }

    // ---- the model ----

    /// Notes the fates told, each message's once.
    fn fold(&mut self) {
        let told = self.fates.drain();
        for (token, fate) in told.flat_map(|run| run.tokens().map(move |token| (token, run.fate))) {
            let promise = &mut self.promises[token.number() as usize];
            assert_eq!(promise.fate.replace(fate), None, "{token:?} has two fates (T30)");
            let reliable = promise.reliability == Reliability::Reliable;
            match fate {
                Fate::Acked => assert_ne!(promise.reliability, Reliability::Unreliable),
                Fate::Sent => assert_eq!(promise.reliability, Reliability::Unreliable),
                Fate::Expired => assert!(
                    !reliable || promise.may_expire || self.id.order() == Order::Latest,
                    "{token:?} is reliable and was given up"
                ),
                Fate::Undelivered => assert!(self.half.is_closed()),
            }
        }
    }

    /// The accounts: what is held, what is used, what is reserved (R-CREDIT-3).
    fn check(&self) {
        let waiting = self.promises.iter().filter(|promise| promise.fate.is_none());
        let held: usize = waiting.clone().map(|promise| promise.data().len()).sum();
        assert_eq!(self.half.buffered(), held as u64, "buffered");
        let begun = waiting.filter(|promise| promise.start.is_some());
        let reserved: u64 = match self.order() {
            Order::Bytes => 0,
            _ => begun.map(Promise::unsent).sum(),
        };
        let spoken_for = self.highest() + reserved;
        assert!(spoken_for <= self.credit.limit(), "R-CREDIT-3");
        assert_eq!(self.credit.free(), self.credit.limit() - spoken_for, "credit leaks");
    }

    /// A STREAM frame that was just written.
    fn check_frame(&mut self, bytes: &[u8], piece: Piece) {
        let Ok(Some(Frame::Stream(frame))) = Frames::new(bytes).next() else { panic!("{bytes:?}") };
        assert_eq!((frame.id, frame.offset), (self.id, piece.offset));
        assert_eq!((frame.payload.len(), frame.fin), (piece.len as usize, piece.fin));
        let end = frame.offset + frame.payload.len() as u64;
        let is_new = frame.offset == self.highest();
        assert_eq!(piece.attempt == 1, is_new, "{piece:?}");
        if is_new {
            self.append(frame.payload);
            assert!(end <= self.stream_limit, "beyond the stream's credit");
        }
        let range = frame.offset as usize..end as usize;
        assert_eq!(self.space.get(range), Some(frame.payload), "an offset keeps its byte");
        if self.order() == Order::Bytes {
            assert!(!frame.aligned);
        } else {
            self.check_shape(&frame);
        }
        if !is_new {
            let gone = self.promises.iter().enumerate().find(|(_, promise)| {
                let sent = promise.range();
                promise.fate.is_some() && sent.start < end && sent.end > frame.offset
            });
            assert!(gone.is_none(), "{gone:?} was sent again in {piece:?}");
        }
        assert!(!frame.payload.is_empty() || frame.fin, "an empty frame");
        if frame.fin {
            assert_eq!((self.ended, end), (Ended::Finished, self.highest()));
            let waits = |promise: &Promise| promise.fate.is_none() && promise.unsent() > 0;
            assert!(!self.promises.iter().any(waits), "fin before the end");
        }
    }

    /// New bytes belong to the message that is being sent, then to those after it (R-MSG-1).
    fn append(&mut self, mut new: &[u8]) {
        while !new.is_empty() {
            let at = self.highest();
            let next = self
                .promises
                .iter_mut()
                .find(|promise| promise.fate.is_none() && promise.unsent() > 0)
                .expect("nothing is left to send");
            next.start.get_or_insert(at);
            let take = new.len().min(next.wire.len() - next.sent);
            assert_eq!(new[..take], next.wire[next.sent..next.sent + take], "wrong bytes");
            next.sent += take;
            self.space.extend_from_slice(&new[..take]);
            new = &new[take..];
        }
    }

    /// R-MSG-2: aligned, or within one message.
    fn check_shape(&self, frame: &StreamFrame<'_>) {
        let end = frame.offset + frame.payload.len() as u64;
        if frame.payload.is_empty() {
            return assert!(!frame.aligned);
        }
        let holder = |at: u64| {
            let found = self.promises.iter().find(|promise| promise.range().contains(&at));
            found.expect("a message was sent there")
        };
        let first = holder(frame.offset);
        if !frame.aligned {
            let data = first.range().start + first.prefix as u64;
            assert!(frame.offset >= data, "the first byte or the length in a frame not aligned");
            return assert!(end <= first.range().end, "a frame of two messages is not aligned");
        }
        assert_eq!(first.range().start, frame.offset, "aligned within a message");
        let mut at = frame.offset;
        while at < end {
            let message = holder(at);
            assert_eq!(message.range().start, at);
            let held = (end - at).min(message.sent as u64);
            at += held;
            assert!(held >= message.prefix as u64, "cut inside the length");
            assert!(held == message.wire.len() as u64 || at == end, "something follows a cut");
        }
    }

    /// R-SKIP-1: SKIP names whole messages, as far as they were sent.
    fn check_skip(&self, range: &Range<u64>) {
        let mut at = range.start;
        while at < range.end {
            let message = self.promises.iter().find(|p| p.range().start == at && p.sent > 0);
            let message = message.expect("SKIP begins where a message does");
            assert!(message.is_let_go(), "SKIP of {message:?}");
            at += message.sent as u64;
        }
        assert_eq!(at, range.end, "SKIP ends where a message does");
    }

    /// Everything is over: was every promise kept?
    fn judge(&self) {
        assert!(self.half.is_done(), "{:?}", self.half);
        assert!(!self.half.has_payload() && !self.half.has_skip());
        assert_eq!(self.half.buffered(), 0);
        assert_eq!(self.credit.free(), self.credit.limit() - self.highest());
        assert!(self.promises.iter().all(|promise| promise.fate.is_some()), "no fate");
        assert!(self.recv.is_done(), "{:?}", self.recv);
        assert_eq!(self.recv.consumed(), self.highest(), "consumed = final offset");
        let finished = self.ended == Ended::Finished;
        let told = self.end.clone().expect("the end is told");
        assert!(told == Taken::Finished || !finished, "{told:?}");
        match self.order() {
            Order::Bytes => {
                let all: Vec<u8> = self.promises.iter().flat_map(|p| p.data().to_vec()).collect();
                let got = self.taken.concat();
                assert!(all.starts_with(&got) && (got.len() == all.len() || !finished));
            }
            order => self.judge_messages(order, finished),
        }
    }

    fn judge_messages(&self, order: Order, finished: bool) {
        let mut times = vec![0_u32; self.promises.len()];
        let (mut empty, mut numbers) = (0, Vec::new());
        for message in &self.taken {
            let Some(number) = message.first().map(|number| usize::from(*number)) else {
                empty += 1;
                continue;
            };
            assert_eq!(message, self.promises[number].data(), "a message is whole");
            times[number] += 1;
            numbers.push(number);
        }
        assert!(times.iter().all(|times| *times <= 1), "twice: {times:?}");
        if order != Order::Unordered {
            assert!(numbers.is_sorted(), "out of order: {numbers:?}");
        }
        let newest = numbers.last().copied();
        let mut empty_acked = 0;
        for (number, promise) in self.promises.iter().enumerate() {
            let acked = promise.fate == Some(Fate::Acked);
            if finished && promise.reliability == Reliability::Reliable && !promise.may_expire {
                assert!(acked || order == Order::Latest, "{number} is reliable: {promise:?}");
            }
            assert!(times[number] == 0 || promise.unsent() == 0, "{number} came half-sent");
            if promise.data().is_empty() {
                empty_acked += u32::from(acked && order != Order::Latest);
            } else if acked && finished && order == Order::Latest {
                assert!(newest >= Some(number), "{number} is acked, {newest:?} the newest");
            } else if acked && finished {
                assert_eq!(times[number], 1, "{number} is acked and never came");
            }
        }
        assert!(empty >= empty_acked || !finished, "{empty} of {empty_acked} empty messages");
    }
}

/// A credit of `limit` bytes, all of it unused.
fn granted(limit: u64) -> SendCredit {
    let mut credit = SendCredit::default();
    credit.on_grant(limit);
    credit
}
