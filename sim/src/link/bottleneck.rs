//! A line of limited rate with a tail-drop queue before it: lengths and times in, departures or
//! "no room" out.
//!
//! It is a fluid: only the time at which everything accepted will have been sent is kept, so a
//! queue of any length costs nothing. A link has one of its own; one that several links share
//! makes their flows compete. It never sees the bytes, never looks ahead and never changes the
//! order.

use tripline_sansio::{Duration, Instant};

/// What has become of the datagrams of one bottleneck.
///
/// `offered = passed + full`, in datagrams and in bytes, always.
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
}

/// A line of limited rate with a tail-drop queue before it.
///
/// The queue counts every byte accepted and not yet sent, those of the datagram on the line too;
/// an idle line takes any datagram.
#[derive(Clone, Debug)]
pub struct Bottleneck {
    /// Bytes per second; `None`: no limit, and no queue.
    rate: Option<u64>,
    /// Bytes that the queue holds.
    queue: usize,
    busy_until: Instant,
    /// What `busy_until` was rounded down by, in billionths of a byte; carried from datagram to
    /// datagram, so that the rate is exact in the long run.
    rest: u64,
    counters: BottleneckCounters,
}

/// Nanoseconds in a second.
const SECOND: u128 = 1_000_000_000;

impl Bottleneck {
    /// An idle line of `rate` bytes per second (at least 1; `None` for no limit) behind a queue of
    /// `queue` bytes.
    pub const fn new(rate: Option<u64>, queue: usize) -> Self {
        let counters = BottleneckCounters {
            offered: 0,
            offered_bytes: 0,
            passed: 0,
            passed_bytes: 0,
            full: 0,
            full_bytes: 0,
            backlog_max: 0,
        };
        Self { rate, queue, busy_until: Instant::ZERO, rest: 0, counters }
    }

    /// Changes rate and queue. What was accepted leaves as was decided then.
    pub const fn configure(&mut self, rate: Option<u64>, queue: usize) {
        self.rate = rate;
        self.queue = queue;
    }

    /// Forgets what is queued: the line is idle. What was accepted leaves as was decided then.
    pub(super) const fn clear(&mut self) {
        self.busy_until = Instant::ZERO;
        self.rest = 0;
    }

    /// What has become of the datagrams so far.
    pub const fn counters(&self) -> BottleneckCounters {
        self.counters
    }

    /// Bytes accepted and not yet sent at `now`, a part of one counting as one.
    pub fn backlog(&self, now: Instant) -> u64 {
        let Some(rate) = self.rate else { return 0 };
        if self.busy_until <= now {
            return 0;
        }
        let wait = (self.busy_until - now).as_nanos();
        let bytes = (wait * u128::from(rate.max(1)) + u128::from(self.rest)).div_ceil(SECOND);
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    /// Takes a datagram of `len` bytes offered at `now`; `None`: no room. Times must not decrease.
    pub(super) fn pass(&mut self, now: Instant, len: usize) -> Option<Passage> {
        let len = len as u64;
        self.counters.offered += 1;
        self.counters.offered_bytes += len;
        let backlog = self.backlog(now);
        if backlog > 0 && backlog.saturating_add(len) > self.queue as u64 {
            self.counters.full += 1;
            self.counters.full_bytes += len;
            return None;
        }
        self.counters.passed += 1;
        self.counters.passed_bytes += len;
        let Some(rate) = self.rate else {
            return Some(Passage { departure: now, backlog: 0 });
        };
        self.counters.backlog_max = self.counters.backlog_max.max(backlog + len);
        if self.busy_until < now {
            self.busy_until = now;
            self.rest = 0;
        }
        let rate = u128::from(rate.max(1));
        let work = u128::from(len) * SECOND + u128::from(self.rest);
        let nanos = u64::try_from(work / rate).unwrap_or(u64::MAX);
        // A remainder is less than the rate, which came from a u64.
        self.rest = u64::try_from(work % rate).unwrap_or(0);
        self.busy_until += Duration::from_nanos(nanos);
        Some(Passage { departure: self.busy_until, backlog })
    }
}
