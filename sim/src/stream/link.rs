//! One direction of a stream of bytes, without I/O: bytes and times in, pieces and times out.
//!
//! Bytes are taken as far as the buffer has room and travel in segments: each passes the rate,
//! takes the delay and a jitter behind its predecessor, and may be held up, with all behind it, or
//! turn into a reset. What has arrived is one run of bytes whatever they were written as, and is
//! handed out in pieces of drawn lengths. Nothing is lost, repeated or swapped except by a reset.
//!
//! Each knob draws from a generator of its own, once for each segment (or piece) while it is
//! switched on, so turning one knob moves no draw of another. The link never looks at the bytes,
//! never looks ahead, and counts every one.

use super::config::{Cut, StreamConfig};
use crate::chance::up_to;
use crate::link::{Fate, Link, LinkConfig};
use std::collections::VecDeque;
use tripline_sansio::{Instant, Random, Seed};

/// The most bytes that travel as one: what fits a packet of an ordinary path.
pub(super) const SEGMENT: usize = 1_460;

/// What has become of the bytes of one direction.
///
/// `taken = delivered + lost` + what is still on its way, always.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct StreamCounters {
    /// Bytes that were taken.
    pub taken: u64,
    /// How often bytes were offered that found no room, or room for a part only.
    pub full: u64,
    /// Bytes handed to the receiver.
    pub delivered: u64,
    /// In so many pieces.
    pub pieces: u64,
    /// Bytes that a reset or a cut took with it.
    pub lost: u64,
    /// Segments that travelled.
    pub segments: u64,
    /// Segments held up by chance.
    pub stalls: u64,
    /// Resets by chance.
    pub resets: u64,
    /// Bytes that a machine wrote when nothing could be sent any more.
    pub refused: u64,
}

/// What the receiver gets next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrived {
    /// So many bytes.
    Bytes(usize),
    /// The end: no more bytes will come.
    Fin,
    /// The stream is broken, in both directions.
    Reset,
}

/// Something on its way.
#[derive(Clone, Copy, Debug)]
struct Segment {
    at: Instant,
    what: Arrived,
}

/// What may still be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Finished,
    Reset,
}

/// One direction of a stream.
#[derive(Clone, Debug)]
pub struct StreamLink {
    config: StreamConfig,
    /// Rate, delay and jitter are those of a datagram link that keeps order and loses nothing.
    line: Link,
    cut: Random,
    stall: Random,
    reset: Random,
    /// Taken and not read.
    bytes: VecDeque<u8>,
    on_way: VecDeque<Segment>,
    arrived: VecDeque<Arrived>,
    /// When the last segment arrives: none overtakes it.
    last: Instant,
    /// Nothing arrives before.
    stalled_until: Instant,
    state: State,
    counters: StreamCounters,
}

/// The line of a stream: all but a segment's own fate.
const fn line(config: &StreamConfig) -> LinkConfig {
    let line = LinkConfig::perfect().delay(config.delay).jitter(config.jitter);
    match config.rate {
        // The buffer is what bounds the bytes that wait.
        Some(rate) => line.rate(rate, usize::MAX),
        None => line,
    }
}

impl StreamLink {
    /// An open direction whose every draw follows from `seed`, which is to be its own.
    pub fn new(config: StreamConfig, seed: &Seed) -> Self {
        Self {
            config,
            line: Link::new(line(&config), &seed.child("line")),
            cut: seed.random("cut"),
            stall: seed.random("stall"),
            reset: seed.random("reset"),
            bytes: VecDeque::new(),
            on_way: VecDeque::new(),
            arrived: VecDeque::new(),
            last: Instant::ZERO,
            stalled_until: Instant::ZERO,
            state: State::Open,
            counters: StreamCounters::default(),
        }
    }

    /// The configuration in force.
    pub const fn config(&self) -> &StreamConfig {
        &self.config
    }

    /// Changes the configuration; what is on its way stays as was decided, the generators go on.
    pub const fn configure(&mut self, config: StreamConfig) {
        self.config = config;
        self.line.configure(line(&config));
    }

    /// What has become of the bytes so far.
    pub const fn counters(&self) -> StreamCounters {
        self.counters
    }

    /// A machine wrote so many bytes that have nowhere to go.
    pub(crate) const fn note_refused(&mut self, bytes: usize) {
        self.counters.refused += bytes as u64;
    }

    /// How many bytes would be taken now.
    pub fn room(&self) -> usize {
        match self.state {
            State::Open => self.config.buffer.saturating_sub(self.bytes.len()),
            State::Finished => 0,
            // The sender has not heard of it: what it writes is lost.
            State::Reset => usize::MAX,
        }
    }

    /// Bytes taken and not read.
    pub fn in_flight(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing is on its way, neither bytes nor an end.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.on_way.is_empty() && self.arrived.is_empty()
    }

    /// Takes bytes from the front of `bytes`, as far as there is room; how many. Times must not
    /// decrease.
    pub fn write(&mut self, now: Instant, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.room());
        self.counters.full += u64::from(taken < bytes.len());
        self.counters.taken += taken as u64;
        for segment in bytes[..taken].chunks(SEGMENT) {
            self.send(now, segment);
        }
        taken
    }

    /// Sends one segment on its way.
    fn send(&mut self, now: Instant, segment: &[u8]) {
        if self.state == State::Reset {
            self.counters.lost += segment.len() as u64;
            return;
        }
        self.counters.segments += 1;
        let arrival = match self.line.offer(now, segment.len()) {
            Fate::Arrives(arrivals) => arrivals.times()[0],
            Fate::Dropped(cause) => panic!("a line that loses nothing: {cause:?}"),
        };
        let hold = self
            .config
            .stall
            .draw(&mut self.stall)
            .then(|| up_to(&mut self.stall, self.config.stall_for));
        self.counters.stalls += u64::from(hold.is_some());
        let at = self.last.max(arrival + hold.unwrap_or_default());
        self.last = at;
        if self.config.reset.draw(&mut self.reset) {
            self.counters.resets += 1;
            self.counters.lost += segment.len() as u64;
            self.state = State::Reset;
            self.on_way.push_back(Segment { at, what: Arrived::Reset });
            return;
        }
        self.bytes.extend(segment);
        self.on_way.push_back(Segment { at, what: Arrived::Bytes(segment.len()) });
    }

    /// Ends the direction behind the last byte taken. Nothing is taken any more.
    pub fn finish(&mut self, now: Instant) {
        if self.state == State::Open {
            self.state = State::Finished;
            let at = self.last.max(now + self.config.delay);
            self.last = at;
            self.on_way.push_back(Segment { at, what: Arrived::Fin });
        }
    }

    /// Breaks the direction: what is on its way is lost, and the receiver hears of it after the
    /// delay, stalled or not. Harmless if it is broken already.
    pub fn reset(&mut self, now: Instant) {
        if self.state != State::Reset {
            self.state = State::Reset;
            self.lose_all();
            self.stalled_until = Instant::ZERO;
            let at = now + self.config.delay;
            self.on_way.push_back(Segment { at, what: Arrived::Reset });
        }
    }

    /// Lets nothing arrive before `until`; an earlier time than now ends a stall, and
    /// [`Instant::MAX`] is one without end.
    pub const fn stall_until(&mut self, until: Instant) {
        self.stalled_until = until;
    }

    /// Cuts the receiver off: what is on its way is lost, nothing arrives any more, and the sender
    /// is not told; it finds the buffer full at last.
    pub fn cut_off(&mut self) {
        self.lose_all();
        self.stalled_until = Instant::MAX;
    }

    fn lose_all(&mut self) {
        self.counters.lost += self.bytes.len() as u64;
        self.bytes.clear();
        self.on_way.clear();
        self.arrived.clear();
    }

    /// When something arrives next, if ever: time for [`Self::arrive`].
    pub fn next_time(&self) -> Option<Instant> {
        let at = self.on_way.front()?.at.max(self.stalled_until);
        (at != Instant::MAX).then_some(at)
    }

    /// Lets arrive what is due at `now` and cuts it into pieces; how many things
    /// [`Self::read`] has then.
    pub fn arrive(&mut self, now: Instant) -> usize {
        let mut run = 0;
        while let Some(segment) = self.on_way.front()
            && segment.at.max(self.stalled_until) <= now
        {
            let what = segment.what;
            self.on_way.pop_front();
            match what {
                Arrived::Bytes(len) => run += len,
                end => {
                    self.cut(std::mem::take(&mut run));
                    self.arrived.push_back(end);
                }
            }
        }
        self.cut(run);
        self.arrived.len()
    }

    /// Cuts a run of bytes that has arrived into pieces.
    fn cut(&mut self, mut run: usize) {
        while run > 0 {
            let piece = match self.config.cut {
                Cut::Whole => run,
                Cut::Bytes => 1,
                Cut::UpTo(most) => 1 + self.cut.below(most as u64) as usize,
            };
            let piece = piece.min(run);
            self.arrived.push_back(Arrived::Bytes(piece));
            run -= piece;
        }
    }

    /// Hands out the next that has arrived; its bytes are appended to `out`, and make room.
    pub fn read(&mut self, out: &mut Vec<u8>) -> Option<Arrived> {
        let next = self.arrived.pop_front()?;
        if let Arrived::Bytes(len) = next {
            out.extend(self.bytes.drain(..len));
            self.counters.delivered += len as u64;
            self.counters.pieces += 1;
        }
        Some(next)
    }
}
