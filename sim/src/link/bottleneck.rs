//! A line of limited rate with a queue before it: lengths and times in, departures or drops out.
//!
//! It is a fluid: only the time at which everything accepted will have been sent is kept, so a
//! queue of any length costs nothing (unless it counts datagrams: then it keeps a time for each).
//! What is dropped early, by [`Aqm`], takes neither room nor time. A link has one of its own; one
//! that several links share makes their flows compete. It never sees the bytes, never looks ahead
//! and never changes the order.

use super::aqm::{Aqm, CoDelState, Judgement, Meeting, RedState};
use crate::drop_cause::DropCause;
use std::collections::VecDeque;
use tripline_sansio::{Duration, Instant, Seed};

/// What a line and its queue are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineConfig {
    /// Bytes per second; `None`: no limit, and no queue.
    pub rate: Option<u64>,
    /// Bytes that the queue holds, those of the datagram being sent included.
    pub queue: usize,
    /// Datagrams that it holds, the one being sent included.
    pub queue_packets: usize,
    /// Who is dropped although there is room.
    pub aqm: Aqm,
}

impl LineConfig {
    /// A tail-drop queue of `queue` bytes before a line of `bytes_per_s`.
    pub const fn new(bytes_per_s: u64, queue: usize) -> Self {
        let rate = Some(bytes_per_s);
        Self { rate, queue, queue_packets: usize::MAX, aqm: Aqm::TailDrop }
    }

    /// With room for so many datagrams.
    #[must_use]
    pub const fn packets(mut self, datagrams: usize) -> Self {
        self.queue_packets = datagrams;
        self
    }

    /// With this queue management.
    #[must_use]
    pub const fn aqm(mut self, aqm: Aqm) -> Self {
        self.aqm = aqm;
        self
    }
}

/// What has become of the datagrams of one bottleneck.
///
/// `offered = passed + full + early`, in datagrams and in bytes, always.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct BottleneckCounters {
    /// Datagrams handed in.
    pub offered: u64,
    /// Their bytes.
    pub offered_bytes: u64,
    /// Datagrams that had room; some may still wait.
    pub passed: u64,
    /// Their bytes.
    pub passed_bytes: u64,
    /// Datagrams that found the queue full.
    pub full: u64,
    /// Their bytes.
    pub full_bytes: u64,
    /// Datagrams that the queue's management dropped.
    pub early: u64,
    /// Their bytes.
    pub early_bytes: u64,
    /// Datagrams that it marked in place of that; they are among the passed ones.
    pub marked: u64,
    /// The most bytes that were in the queue at once, the datagram being sent included.
    pub backlog_max: u64,
}

/// A datagram's way through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Passage {
    /// When it has been sent whole.
    pub(super) departure: Instant,
    /// What was in the queue before it, in bytes; 0 without a rate.
    pub(super) backlog: u64,
    /// Whether it leaves with a mark from the queue's management.
    pub(super) marked: bool,
}

/// A line of limited rate with a queue before it.
///
/// The queue counts every byte accepted and not yet sent, those of the datagram on the line too;
/// an idle line takes any datagram.
#[derive(Clone, Debug)]
pub struct Bottleneck {
    config: LineConfig,
    /// For the generator of its management.
    seed: Seed,
    codel: CoDelState,
    red: RedState,
    /// When each queued datagram has been sent; kept only if datagrams are counted.
    departures: VecDeque<Instant>,
    busy_until: Instant,
    /// What `busy_until` was rounded down by, in billionths of a byte; carried from datagram to
    /// datagram, so that the rate is exact in the long run.
    rest: u64,
    counters: BottleneckCounters,
}

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;

impl Bottleneck {
    /// An idle line of `rate` bytes per second (at least 1; `None` for no limit) behind a tail-drop
    /// queue of `queue` bytes.
    pub fn new(rate: Option<u64>, queue: usize) -> Self {
        let aqm = Aqm::TailDrop;
        let config = LineConfig { rate, queue, queue_packets: usize::MAX, aqm };
        // Without management nothing is drawn.
        Self::with(config, &Seed::from_bytes([0; 32]))
    }

    /// An idle line like this, whose draws follow from `seed`.
    pub fn with(config: LineConfig, seed: &Seed) -> Self {
        Self {
            config,
            seed: seed.clone(),
            codel: CoDelState::default(),
            red: RedState::new(),
            departures: VecDeque::new(),
            busy_until: Instant::ZERO,
            rest: 0,
            counters: BottleneckCounters::default(),
        }
    }

    /// Changes rate, queue and management. What was accepted leaves as was decided then.
    pub const fn configure(&mut self, config: LineConfig) {
        self.config = config;
    }

    /// Forgets what is queued: the line is idle. What was accepted leaves as was decided then.
    pub(super) fn clear(&mut self) {
        self.busy_until = Instant::ZERO;
        self.rest = 0;
        self.codel = CoDelState::default();
        self.departures.clear();
    }

    /// What has become of the datagrams so far.
    pub const fn counters(&self) -> BottleneckCounters {
        self.counters
    }

    /// Bytes accepted and not yet sent at `now`, a part of one counting as one.
    pub fn backlog(&self, now: Instant) -> u64 {
        let Some(rate) = self.config.rate else { return 0 };
        if self.busy_until <= now {
            return 0;
        }
        let wait = self.busy_until.as_nanos() - now.as_nanos();
        let rate = rate.max(1);
        // Divisions of 64 bits are several times as fast, and nearly always enough.
        if let Some(parts) = wait.checked_mul(rate).and_then(|parts| parts.checked_add(self.rest)) {
            return parts.div_ceil(SECOND);
        }
        let parts = u128::from(wait) * u128::from(rate) + u128::from(self.rest);
        u64::try_from(parts.div_ceil(u128::from(SECOND))).unwrap_or(u64::MAX)
    }

    /// Takes a datagram of `len` bytes offered at `now`, whose sender takes marks or not; the error
    /// is why it is dropped. Times must not decrease.
    pub(super) fn pass(
        &mut self,
        now: Instant,
        len: usize,
        markable: bool,
    ) -> Result<Passage, DropCause> {
        let len = len as u64;
        self.counters.offered += 1;
        self.counters.offered_bytes += len;
        let backlog = self.backlog(now);
        if backlog > 0
            && (backlog.saturating_add(len) > self.config.queue as u64 || self.is_full(now))
        {
            self.counters.full += 1;
            self.counters.full_bytes += len;
            return Err(DropCause::QueueFull);
        }
        let Some(rate) = self.config.rate else {
            self.counters.passed += 1;
            self.counters.passed_bytes += len;
            return Ok(Passage { departure: now, backlog: 0, marked: false });
        };
        let rate = rate.max(1);
        let turn = self.busy_until.max(now);
        let marked = match self.judge(&Meeting { now, turn, backlog, rate }, markable) {
            Judgement::Pass => false,
            Judgement::Signal { mark: true } if markable => true,
            Judgement::Signal { .. } => {
                self.counters.early += 1;
                self.counters.early_bytes += len;
                return Err(DropCause::QueueEarly);
            }
        };
        self.counters.passed += 1;
        self.counters.passed_bytes += len;
        self.counters.marked += u64::from(marked);
        self.counters.backlog_max = self.counters.backlog_max.max(backlog + len);
        self.send(now, len, rate);
        Ok(Passage { departure: self.busy_until, backlog, marked })
    }

    /// Whether the queue holds as many datagrams as it may.
    fn is_full(&mut self, now: Instant) -> bool {
        if self.config.queue_packets == usize::MAX {
            return false;
        }
        self.forget_sent(now);
        self.departures.len() >= self.config.queue_packets
    }

    /// Forgets the datagrams that have been sent.
    fn forget_sent(&mut self, now: Instant) {
        while self.departures.front().is_some_and(|at| *at <= now) {
            self.departures.pop_front();
        }
    }

    /// What the management says.
    fn judge(&mut self, meeting: &Meeting, markable: bool) -> Judgement {
        match &self.config.aqm {
            Aqm::TailDrop => Judgement::Pass,
            Aqm::CoDel(config) => self.codel.judge(config, meeting, markable),
            Aqm::Red(config) => self.red.judge(&self.seed, config, meeting),
        }
    }

    /// Puts an accepted datagram on the line behind all others.
    fn send(&mut self, now: Instant, len: u64, rate: u64) {
        if self.busy_until < now {
            self.busy_until = now;
            self.rest = 0;
        }
        // A datagram has less than 2^16 bytes; what is carried over is less than some rate of old.
        let work = u128::from(len) * u128::from(SECOND) + u128::from(self.rest);
        let nanos = if let Ok(work) = u64::try_from(work) {
            self.rest = work % rate;
            work / rate
        } else {
            let rate = u128::from(rate);
            // A remainder is less than the rate, which came from a u64.
            self.rest = u64::try_from(work % rate).unwrap_or(0);
            u64::try_from(work / rate).unwrap_or(u64::MAX)
        };
        self.busy_until += Duration::from_nanos(nanos);
        self.red.busy(self.busy_until);
        if self.config.queue_packets != usize::MAX {
            self.forget_sent(now);
            self.departures.push_back(self.busy_until);
        }
    }
}
