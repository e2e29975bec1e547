//! All pipes of a world: who is at which end, what is on its way, and what each end may still do.
//!
//! A pipe is two [`StreamLink`]s and two ends. What a machine has written and the link has not
//! taken waits at its end, and the machine is not asked for more meanwhile: back-pressure. The
//! pipes never call a machine; `drive` does, from a host's turn.

use super::config::StreamConfig;
use super::link::{Arrived, SEGMENT, StreamCounters, StreamLink};
use super::view::PipeView;
use crate::deadlines::Deadlines;
use crate::host::HostId;
use crate::rule::Stage;
use crate::trace::{Trace, digest};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use tripline_sansio::{Duration, Instant, Seed};

/// A function that sees all bytes.
pub(crate) type Tap = Box<dyn FnMut(&PipeView<'_>)>;

/// More pipes than this in one world are a flood that no test means.
const MAX_PIPES: usize = 1 << 20;

/// Names a pipe of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PipeId(u32);

impl PipeId {
    /// The number by which both machines know it: from 0, in the order of opening.
    pub const fn number(self) -> u64 {
        self.0 as u64
    }

    /// The first pipe of a world.
    #[cfg(test)]
    pub(super) const fn first() -> Self {
        Self(0)
    }
}

/// One direction of a pipe, by its number: twice the pipe's, and one more for the way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Way(usize);

impl Way {
    const fn new(pipe: usize, end: usize) -> Self {
        Self(2 * pipe + end)
    }

    /// The other direction of the pipe.
    pub(crate) const fn back(self) -> Self {
        Self(self.0 ^ 1)
    }

    /// The pipe's number.
    pub(crate) const fn number(self) -> u64 {
        (self.0 / 2) as u64
    }
}

/// What an end may still send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    /// Anything.
    Open,
    /// What the machine has to say now, and then the end.
    Finishing,
    /// Nothing.
    Over,
}

/// One direction, and the end that sends into it.
struct Direction {
    /// Who sends, and from where.
    from: HostId,
    source: SocketAddr,
    sending: Sending,
    /// Whether that end still reads what comes the other way.
    reads: bool,
    /// Written, and not yet taken by the link.
    pending: Vec<u8>,
    link: StreamLink,
}

/// All pipes of a world.
pub(crate) struct Pipes {
    seed: Seed,
    default: StreamConfig,
    ways: Vec<Direction>,
    /// When something arrives next, by direction.
    arrivals: Deadlines,
    /// How many pipes there were between two addresses: labels for generators.
    labels: BTreeMap<(SocketAddr, SocketAddr), u32>,
    /// Ends that wait for room, by host.
    held_back: BTreeMap<HostId, usize>,
    /// Ends whose link has taken all that waited.
    writable: Vec<(HostId, Way)>,
    /// Shown everything that is written and that arrives.
    pub(crate) taps: Vec<Tap>,
}

impl Pipes {
    /// No pipes; new ones have a delay of 10 ms.
    pub(crate) fn new(seed: Seed) -> Self {
        Self {
            seed,
            default: StreamConfig::perfect().delay(Duration::from_millis(10)),
            ways: Vec::new(),
            arrivals: Deadlines::default(),
            labels: BTreeMap::new(),
            held_back: BTreeMap::new(),
            writable: Vec::new(),
            taps: Vec::new(),
        }
    }

    /// Sets what new pipes are like.
    pub(crate) const fn set_default(&mut self, config: StreamConfig) {
        self.default = config;
    }

    /// Opens a pipe between two hosts.
    pub(crate) fn open(&mut self, ends: [(HostId, SocketAddr); 2]) -> PipeId {
        let number = self.ways.len() / 2;
        assert!(number < MAX_PIPES, "more than {MAX_PIPES} pipes in one world");
        assert!(ends[0].0 != ends[1].0, "a pipe has two hosts");
        for (from, to) in [(0, 1), (1, 0)] {
            let addresses = (ends[from].1, ends[to].1);
            let nth = self.labels.entry(addresses).or_default();
            let seed = self.seed.child(&format!("{} > {} {nth}", addresses.0, addresses.1));
            *nth += 1;
            self.ways.push(Direction {
                from: ends[from].0,
                source: ends[from].1,
                sending: Sending::Open,
                reads: true,
                pending: Vec::new(),
                link: StreamLink::new(self.default, &seed),
            });
        }
        self.arrivals.grow(self.ways.len());
        PipeId(number as u32)
    }

    /// The direction in which `host` sends into the pipe of this number; `None` if it has no end of
    /// such a pipe.
    pub(crate) fn way(&self, number: u64, host: HostId) -> Option<Way> {
        let pipe = usize::try_from(number).ok().filter(|pipe| *pipe < self.ways.len() / 2)?;
        [Way::new(pipe, 0), Way::new(pipe, 1)].into_iter().find(|way| self.ways[way.0].from == host)
    }

    /// One direction of a pipe.
    pub(crate) fn any_way(&self, pipe: PipeId) -> Way {
        Way::new(pipe.0 as usize, 0)
    }

    /// What has become of the bytes of a direction.
    pub(crate) fn counters(&self, way: Way) -> StreamCounters {
        self.ways[way.0].link.counters()
    }

    /// Changes what a direction is like.
    pub(crate) fn configure(&mut self, now: Instant, way: Way, config: StreamConfig) {
        self.ways[way.0].link.configure(config);
        self.flush(now, way);
    }

    /// Lets nothing arrive before `until`.
    pub(crate) fn stall_until(&mut self, way: Way, until: Instant) {
        self.ways[way.0].link.stall_until(until);
        self.reschedule(way);
    }

    /// Breaks a direction: its receiver hears of it after the delay. What waited for room is lost.
    pub(crate) fn reset(&mut self, now: Instant, way: Way) {
        self.forget_pending(way);
        self.ways[way.0].link.reset(now);
        self.reschedule(way);
    }

    /// The end that sends into `way` has lost the pipe: what comes its way is lost, and what it has
    /// sent already arrives. Whether it had the pipe at all.
    pub(crate) fn cut_off(&mut self, way: Way) -> bool {
        self.forget_pending(way);
        let end = &mut self.ways[way.0];
        let had = end.reads || end.sending != Sending::Over;
        (end.sending, end.reads) = (Sending::Over, false);
        let back = way.back();
        self.ways[back.0].link.cut_off();
        self.reschedule(back);
        had
    }

    /// The end that sends into `way` has heard that the pipe is broken.
    pub(crate) fn broken(&mut self, now: Instant, way: Way) {
        let end = &mut self.ways[way.0];
        (end.sending, end.reads) = (Sending::Over, false);
        self.discard(now, way.back());
        self.reset(now, way);
    }

    /// The end that sends into `way` will send what it has to say, and then the end.
    pub(crate) fn finish(&mut self, way: Way) {
        let end = &mut self.ways[way.0];
        if end.sending == Sending::Open {
            end.sending = Sending::Finishing;
        }
    }

    /// The same, and it reads no more: what comes, or has come already, is thrown away.
    pub(crate) fn close(&mut self, now: Instant, way: Way) {
        self.finish(way);
        self.ways[way.0].reads = false;
        self.discard(now, way.back());
    }

    /// Throws away what has arrived in a direction.
    fn discard(&mut self, now: Instant, way: Way) {
        let mut nobody = Vec::new();
        while self.ways[way.0].link.read(&mut nobody).is_some() {}
        self.flush(now, way);
    }

    /// Whether the end that sends into `way` reads.
    pub(crate) fn reads(&self, way: Way) -> bool {
        self.ways[way.0].reads
    }

    /// Whether bytes wait for room at the end that sends into `way`.
    pub(crate) fn is_waiting(&self, way: Way) -> bool {
        !self.ways[way.0].pending.is_empty()
    }

    /// Whether some end of the host's waits for room.
    pub(crate) fn is_held_back(&self, host: HostId) -> bool {
        self.held_back.contains_key(&host)
    }

    /// Takes what a machine wrote; what the link has no room for waits.
    pub(crate) fn write(&mut self, now: Instant, way: Way, bytes: &[u8], trace: &mut Trace) {
        let end = &mut self.ways[way.0];
        if end.sending == Sending::Over {
            end.link.note_refused(bytes.len());
            return;
        }
        self.note(Stage::Offered, now, way, Some(bytes), trace);
        let end = &mut self.ways[way.0];
        let taken = end.link.write(now, bytes);
        if taken < bytes.len() {
            end.pending.extend_from_slice(&bytes[taken..]);
            *self.held_back.entry(end.from).or_default() += 1;
        }
        self.reschedule(way);
    }

    /// The machine has nothing more to write: an end that is finishing has finished.
    pub(crate) fn written(&mut self, now: Instant, way: Way) {
        let end = &mut self.ways[way.0];
        if end.sending == Sending::Finishing {
            end.sending = Sending::Over;
            end.link.finish(now);
            self.reschedule(way);
        }
    }

    /// Lets a link take more of what waits for it, unless there is hardly room: small pieces that
    /// are read do not make small segments (RFC 1122, section 4.2.3.3).
    fn flush(&mut self, now: Instant, way: Way) {
        let end = &mut self.ways[way.0];
        let half = (end.link.config().buffer / 2).max(1);
        if end.pending.is_empty() || end.link.room() < end.pending.len().min(half).min(SEGMENT) {
            return;
        }
        let taken = end.link.write(now, &end.pending);
        end.pending.drain(..taken);
        if end.pending.is_empty() {
            let host = end.from;
            self.release(host);
            self.writable.push((host, way));
        }
        self.reschedule(way);
    }

    /// What waits for room never finds any.
    fn forget_pending(&mut self, way: Way) {
        let end = &mut self.ways[way.0];
        if !end.pending.is_empty() {
            end.link.note_refused(end.pending.len());
            end.pending = Vec::new();
            let host = end.from;
            self.release(host);
            self.writable.push((host, way));
        }
    }

    /// One end of the host's waits no more.
    fn release(&mut self, host: HostId) {
        if let Some(ends) = self.held_back.get_mut(&host) {
            *ends -= 1;
            if *ends == 0 {
                self.held_back.remove(&host);
            }
        }
    }

    fn reschedule(&mut self, way: Way) {
        self.arrivals.set(way.0, self.ways[way.0].link.next_time());
    }

    /// When something arrives next.
    pub(crate) fn next_time(&self) -> Option<Instant> {
        self.arrivals.earliest()
    }

    /// The next direction in which something arrives at `now`, to whom, and how many things. What
    /// nobody reads is thrown away.
    pub(crate) fn next_arrival(&mut self, now: Instant) -> Option<(HostId, Way, usize)> {
        loop {
            let (_, index) = self.arrivals.first().filter(|(at, _)| *at <= now)?;
            let way = Way(index);
            let count = self.ways[index].link.arrive(now);
            self.reschedule(way);
            if self.reads(way.back()) {
                return Some((self.ways[way.back().0].from, way, count));
            }
            self.discard(now, way);
        }
    }

    /// Hands out the next thing that has arrived; its bytes go to `out`, which is cleared first.
    pub(crate) fn read(
        &mut self,
        now: Instant,
        way: Way,
        out: &mut Vec<u8>,
        trace: &mut Trace,
    ) -> Option<Arrived> {
        out.clear();
        let next = self.ways[way.0].link.read(out)?;
        let bytes = matches!(next, Arrived::Bytes(_)).then_some(out.as_slice());
        self.note(Stage::Delivered, now, way, bytes, trace);
        self.flush(now, way);
        Some(next)
    }

    /// An end that waited for room, and has nothing waiting any more.
    pub(crate) fn next_writable(&mut self) -> Option<(HostId, Way)> {
        self.writable.pop()
    }

    /// Whether anything is on its way, or waits to be.
    pub(crate) fn is_busy(&self) -> bool {
        self.ways.iter().enumerate().any(|(index, way)| self.is_live(index, way))
    }

    /// How many bytes are on their way or wait to be.
    pub(crate) fn busy_bytes(&self) -> usize {
        let live = self.ways.iter().enumerate().filter(|(index, way)| self.is_live(*index, way));
        live.map(|(_, way)| way.link.in_flight() + way.pending.len()).sum()
    }

    /// Whether something will still happen to what is in this direction. Nothing will if its
    /// receiver was cut off.
    fn is_live(&self, index: usize, way: &Direction) -> bool {
        let reader = &self.ways[Way(index).back().0];
        way.link.next_time().is_some()
            || reader.reads && !(way.link.is_empty() && way.pending.is_empty())
    }

    /// Puts something that happened into the trace and before the taps; no bytes: the end.
    fn note(
        &mut self,
        stage: Stage,
        now: Instant,
        way: Way,
        bytes: Option<&[u8]>,
        trace: &mut Trace,
    ) {
        let (sender, receiver) = (&self.ways[way.0], &self.ways[way.back().0]);
        let view = PipeView {
            stage,
            now,
            pipe: PipeId(way.number() as u32),
            from: sender.from,
            to: receiver.from,
            bytes,
        };
        trace.piped(&view, sender.source, receiver.source, bytes.map(digest));
        for tap in &mut self.taps {
            tap(&view);
        }
    }
}
