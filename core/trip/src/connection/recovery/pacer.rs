//! How payload is spread over time instead of leaving as a window-sized burst (RFC 9002 §7.7).
//!
//! A token bucket in whole numbers. In go the time, the controller's rate and what was sent; out
//! come whether another full datagram may go, and if not, when. It sends nothing, sets no timer and
//! does not know what a packet holds: that ACKs, control frames and probes pass it is the caller's
//! affair, who charges them all the same.
//!
//! Trains and timers shape it. The bucket holds what flows in [`BURST_TIME`], so that a loop which
//! wakes a millisecond late loses nothing, and fast senders never notice it; and at least
//! [`BURST_DATAGRAMS`], so that a short answer leaves at once. Once it is empty it opens again only
//! for what flows in [`QUANTUM`], so that fast senders wake once a millisecond for a whole train,
//! and slow ones send datagram by datagram.
#![deny(clippy::arithmetic_side_effects)]

use tripline_sansio::{Duration, Instant};

/// A bucket holds what flows in this time.
pub(crate) const BURST_TIME: Duration = Duration::from_millis(2);

/// A bucket holds at least so many full datagrams: the initial window of RFC 9002 §7.2, to which
/// its §7.7 limits bursts.
pub(crate) const BURST_DATAGRAMS: u64 = 10;

/// Who has waited may send what flows in this time, at least one datagram.
pub(crate) const QUANTUM: Duration = Duration::from_millis(1);

/// Billionths of a byte in a byte: the unit in which a byte per second is one a nanosecond.
const FINE: u128 = 1_000_000_000;

/// The token bucket of one path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Pacer {
    /// What may go out now, in billionths of a byte.
    level: u128,
    /// When `level` was right; `None` before the first [`Self::refill`], which finds it full.
    filled_at: Option<Instant>,
    /// In bytes per second, at least 1; as last told.
    rate: u64,
    /// The size of a full datagram in bytes; as last told.
    size: u64,
    /// The bucket was found empty: it opens again with a [`QUANTUM`].
    waiting: bool,
}

impl Pacer {
    /// The time is `now`, the controller wants `rate` bytes per second, and full datagrams have
    /// `size` bytes.
    pub(crate) fn refill(&mut self, now: Instant, rate: u64, size: usize) {
        self.rate = rate.max(1);
        self.size = u64::try_from(size).unwrap_or(u64::MAX).max(1);
        let most = self.burst();
        self.level = match self.filled_at {
            // Time that went by at one rate is paid at the newest: rates change slowly.
            Some(at) => {
                let nanos = now.as_nanos().saturating_sub(at.as_nanos());
                let flown = u128::from(nanos).saturating_mul(u128::from(self.rate));
                self.level.saturating_add(flown).min(most)
            }
            None => most,
        };
        self.filled_at = Some(self.filled_at.map_or(now, |at| at.max(now)));
        self.waiting &= self.level < self.quantum();
    }

    /// Whether another full datagram may go out. Right after [`Self::refill`].
    pub(crate) fn allows_one(&self) -> bool {
        !self.waiting && self.level >= u128::from(self.size).saturating_mul(FINE)
    }

    /// A packet of so many bytes went out, whether it was asked about or not.
    pub(crate) fn on_sent(&mut self, bytes: u16) {
        self.level = self.level.saturating_sub(u128::from(bytes).saturating_mul(FINE));
    }

    /// Something waits that [`Self::allows_one`] holds back: when it may go. Later than the last
    /// [`Self::refill`].
    pub(crate) fn wait(&mut self) -> Instant {
        self.waiting = true;
        let missing = self.quantum().saturating_sub(self.level).max(1);
        let nanos = missing.div_ceil(u128::from(self.rate.max(1)));
        let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
        self.filled_at.unwrap_or_default() + Duration::from_nanos(nanos)
    }

    /// Whether it was found empty, and is not yet full enough to open again.
    pub(crate) const fn is_waiting(&self) -> bool {
        self.waiting
    }

    /// The rate last told, in bytes per second; 0 before the first.
    pub(crate) const fn rate(&self) -> u64 {
        self.rate
    }

    /// What the bucket holds at most, in billionths of a byte.
    fn burst(&self) -> u128 {
        let least = u128::from(self.size.saturating_mul(BURST_DATAGRAMS)).saturating_mul(FINE);
        self.flow(BURST_TIME).max(least)
    }

    /// With how much it opens again, in billionths of a byte.
    fn quantum(&self) -> u128 {
        self.flow(QUANTUM).max(u128::from(self.size).saturating_mul(FINE))
    }

    /// What flows in `time`, in billionths of a byte.
    fn flow(&self, time: Duration) -> u128 {
        u128::from(self.rate).saturating_mul(time.as_nanos())
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    const SIZE: u16 = 1_200;

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    /// Sends all that may go at `now`; how many datagrams that were.
    fn send(pacer: &mut Pacer, now: Instant, rate: u64) -> u64 {
        pacer.refill(now, rate, SIZE.into());
        let mut count = 0;
        while pacer.allows_one() {
            pacer.on_sent(SIZE);
            count += 1;
        }
        count
    }

    /// A sender that never runs dry, waking when it is told to: (time, datagrams) of each train.
    fn trains(rate: u64, count: usize) -> Vec<(u64, u64)> {
        let (mut pacer, mut now) = (Pacer::default(), at(0));
        let mut trains = Vec::new();
        for _ in 0..count {
            trains.push((now.as_nanos(), send(&mut pacer, now, rate)));
            let next = pacer.wait();
            assert!(next > now, "rule 3 of the run loop");
            now = next;
        }
        trains
    }

    /// RFC 9002 §7.7, worked out by hand: ten datagrams at once, then one each 1.2 ms at 1 MB/s;
    /// ten each millisecond at 12 MB/s; and at 600 MB/s the bucket holds 2 ms, 1,000 datagrams.
    #[test]
    fn golden_trains() {
        let slow = [(0, 10), (1_200_000, 1), (2_400_000, 1), (3_600_000, 1)];
        assert_eq!(trains(1_000_000, 4), slow);
        assert_eq!(trains(12_000_000, 3), [(0, 20), (1_000_000, 10), (2_000_000, 10)]);
        assert_eq!(trains(600_000_000, 3), [(0, 1_000), (1_000_000, 500), (2_000_000, 500)]);
        // A rate that divides nothing: 1,200 bytes at 7 B/s take 171.43 s, rounded up once.
        let crawl = trains(7, 3);
        assert_eq!(crawl[1], (171_428_571_429, 1));
        assert_eq!(crawl[2], (342_857_142_858, 1), "what was rounded up is not lost");
    }

    /// A connection that was idle for long has one bucket, not the time that it slept through.
    #[test]
    fn an_idle_sender_saves_no_more_than_one_bucket() {
        let mut pacer = Pacer::default();
        assert_eq!(send(&mut pacer, at(0), 1_000_000), 10);
        assert_eq!(send(&mut pacer, at(3_600_000_000_000), 1_000_000), 10);
        assert_eq!(send(&mut pacer, at(3_600_000_000_001), 1_000_000), 0);
    }

    /// A loop that wakes up to a millisecond late loses nothing of the rate.
    #[test]
    fn a_late_wake_costs_no_throughput() {
        for rate in [3_000_000, 50_000_000, 1_500_000_000] {
            let (mut pacer, mut now, mut sent) = (Pacer::default(), at(0), 0);
            while now < at(1_000_000_000) {
                sent += send(&mut pacer, now, rate) * u64::from(SIZE);
                now = pacer.wait() + Duration::from_micros(900);
            }
            assert!(sent > rate / 100 * 99, "{sent} of {rate}");
        }
    }

    /// Nobody who waits is woken for a single datagram when more flows in a millisecond.
    #[test]
    fn between_trains_the_bucket_stays_shut() {
        let mut pacer = Pacer::default();
        send(&mut pacer, at(0), 120_000_000);
        let due = pacer.wait();
        assert_eq!(due, at(1_000_000));
        assert_eq!(send(&mut pacer, at(999_999), 120_000_000), 0);
        assert_eq!(send(&mut pacer, due, 120_000_000), 100);
        // A slow one that becomes faster opens sooner, at the next look.
        let mut pacer = Pacer::default();
        send(&mut pacer, at(0), 1_000_000);
        assert_eq!(pacer.wait(), at(1_200_000));
        assert_eq!(send(&mut pacer, at(999_999), 2_000_000), 0);
        assert_eq!(send(&mut pacer, at(1_000_000), 2_000_000), 1);
    }

    /// What passes without asking (probes, control frames) is paid for by what comes after.
    #[test]
    fn what_was_not_asked_about_is_charged() {
        let mut pacer = Pacer::default();
        pacer.refill(at(0), 1_000_000, SIZE.into());
        for _ in 0..8 {
            pacer.on_sent(SIZE);
        }
        assert_eq!(send(&mut pacer, at(0), 1_000_000), 2);
        for _ in 0..100 {
            pacer.on_sent(u16::MAX);
        }
        assert_eq!(pacer.wait(), at(1_200_000), "no debt is kept");
    }

    proptest! {
        /// Whatever rates and times come: in any span no more leaves than a bucket and what flows
        /// in that span at the highest rate of it; the wait is later than now and long enough.
        #[test]
        fn no_burst_is_larger_than_the_bucket(
            steps in prop::collection::vec(
                (0_u64..5_000_000, 1_u64..400_000_000, any::<bool>()),
                1..60,
            ),
        ) {
            let (mut pacer, mut now) = (Pacer::default(), at(1_000));
            let mut log: Vec<(u64, u64)> = Vec::new();
            let fastest = steps.iter().map(|step| step.1).max().unwrap_or(1);
            for (pause, rate, obedient) in steps {
                let bytes = send(&mut pacer, now, rate) * u64::from(SIZE);
                log.push((now.as_nanos(), bytes));
                let next = pacer.wait();
                prop_assert!(next > now);
                let mut same = pacer.clone();
                prop_assert!(send(&mut same, next, rate) > 0, "rule 5 of the run loop");
                now = if obedient { next } else { now + Duration::from_nanos(pause) };
            }
            let bucket = (fastest / 500).max(10 * u64::from(SIZE));
            for (first, (from, _)) in log.iter().enumerate() {
                let mut sum = 0;
                for (upto, bytes) in &log[first..] {
                    sum += bytes;
                    let span = u128::from(upto - from);
                    let flow = u64::try_from(span * u128::from(fastest) / FINE).unwrap();
                    prop_assert!(sum <= bucket + flow + 2, "{sum} from {from} to {upto}");
                }
            }
        }

        /// No number makes it panic, and no wait is in the past.
        #[test]
        fn extremes_overflow_nothing(
            now in any::<u64>(),
            later in any::<u64>(),
            rate in any::<u64>(),
            size in any::<usize>(),
        ) {
            let mut pacer = Pacer::default();
            pacer.refill(at(now), rate, size);
            pacer.on_sent(u16::MAX);
            prop_assert!(pacer.wait() > at(now) || now == u64::MAX);
            pacer.refill(at(later), rate, size);
            prop_assert!(pacer.wait() >= at(now.max(later)));
            prop_assert_eq!(pacer.rate(), rate.max(1));
        }
    }
}
