//! The round-trip time of one path, estimated (RFC 9002 §5).
//!
//! In go samples (from `sent::AckOutcome::rtt_sample`) and the delays that the peer reported; out
//! come the waits made of them. It knows no packets and no timers. A new IP address starts a new
//! estimator (R-PATH-2b).

use tripline_sansio::{Duration, Instant};

/// What is assumed before the first sample (RFC 9002 §6.2.2).
pub(crate) const INITIAL_RTT: Duration = Duration::from_millis(333);

/// The finest wait that timers are trusted with, `kGranularity` (RFC 9002 §6.1.2).
pub(crate) const GRANULARITY: Duration = Duration::from_millis(1);

/// `kTimeThreshold` in eighths of a round trip (RFC 9002 §6.1.2).
pub(crate) const TIME_THRESHOLD_EIGHTHS: u32 = 9;

/// The longest round trip that is believed (R-RTT-2): what takes longer was held up, by a queue
/// that stood still or a peer that slept, and says nothing of how long the next packet takes.
pub(crate) const LONGEST_RTT: Duration = Duration::from_secs(30);

/// The longest plain probe timeout (R-RTT-2).
pub(crate) const LONGEST_PTO: Duration = Duration::from_secs(60);

/// Up to here a plain probe timeout may come from variation alone (R-RTT-2).
const SURE_PTO: Duration = Duration::from_secs(3);

/// `kPersistentCongestionThreshold`, in probe timeouts (RFC 9002 §7.6.1).
const PERSISTENT_CONGESTION_PTOS: u32 = 3;

/// The round-trip times of a path at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RttSummary {
    /// The newest sample, the peer's delay included. Zero before the first.
    pub latest: Duration,
    /// The smallest sample. Zero before the first.
    pub min: Duration,
    /// The moving average, the peer's delay taken off (333 ms before the first sample).
    pub smoothed: Duration,
    /// The moving mean deviation from `smoothed`.
    pub variation: Duration,
}

/// The moving estimate of a path's round-trip time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RttEstimator {
    summary: RttSummary,
    /// Smoothed + max(4 × variation, 1 ms): what a probe timeout is made of. It changes with
    /// samples, and is asked for several times a packet.
    patience: Duration,
    /// When the first sample was taken; packets sent before it prove no persistent congestion.
    first_sample_at: Option<Instant>,
}

impl Default for RttEstimator {
    fn default() -> Self {
        Self::new(INITIAL_RTT)
    }
}

impl RttEstimator {
    /// An estimator without samples that assumes `initial` ([`INITIAL_RTT`] if nothing is known).
    pub(crate) fn new(initial: Duration) -> Self {
        let summary = RttSummary {
            latest: Duration::ZERO,
            min: Duration::ZERO,
            smoothed: initial,
            variation: initial / 2,
        };
        Self { summary, patience: patience(&summary), first_sample_at: None }
    }

    /// Takes in a `sample`, of which 30 s are believed at most (R-RTT-2). `ack_delay` is what the
    /// ACK reported, `max_ack_delay` the peer's parameter 9, above which no delay is believed (RFC
    /// 9002 §5.3).
    pub(crate) fn update(
        &mut self,
        now: Instant,
        sample: Duration,
        ack_delay: Duration,
        max_ack_delay: Duration,
    ) {
        let sample = sample.min(LONGEST_RTT);
        let rtt = &mut self.summary;
        rtt.latest = sample;
        if self.first_sample_at.is_none() {
            self.first_sample_at = Some(now);
            (rtt.min, rtt.smoothed, rtt.variation) = (sample, sample, sample / 2);
            self.patience = patience(rtt);
            return;
        }
        rtt.min = rtt.min.min(sample);
        // A delay that would push the sample below the minimum is not believed.
        let delay = ack_delay.min(max_ack_delay);
        let adjusted = match sample.checked_sub(delay) {
            Some(rest) if rest >= rtt.min => rest,
            _ => sample,
        };
        // The deviation before the average, from the old average: RFC 9002 A.7, RFC 6298 §2.3.
        let deviation = rtt.smoothed.abs_diff(adjusted);
        rtt.variation = rtt.variation.saturating_mul(3).saturating_add(deviation) / 4;
        rtt.smoothed = rtt.smoothed.saturating_mul(7).saturating_add(adjusted) / 8;
        self.patience = patience(rtt);
    }

    /// Nothing got through for so long that the path may be another one: the smallest sample of
    /// before says nothing about it (RFC 9002 §5.2).
    pub(crate) fn on_persistent_congestion(&mut self) {
        self.summary.min = self.summary.latest;
    }

    /// The probe timeout without back-off: smoothed + max(4 × variation, 1 ms) + `max_ack_delay`
    /// (RFC 9002 §6.2.1); at most a minute, and beyond three seconds at most two round trips and
    /// that delay (R-RTT-2): one sample of a peer that had slept makes the variation as long as its
    /// sleep. To ask sooner costs a packet, to wait for that costs the user.
    pub(crate) fn pto_base(&self, max_ack_delay: Duration) -> Duration {
        let pto = self.patience.saturating_add(max_ack_delay);
        if pto <= SURE_PTO {
            return pto;
        }
        let trips = self.summary.smoothed.saturating_mul(2).saturating_add(max_ack_delay);
        pto.min(trips.max(SURE_PTO)).min(LONGEST_PTO)
    }

    /// How long packets must have been lost without a break to count as persistent congestion
    /// (R-LOSS-2, RFC 9002 §7.6.1).
    pub(crate) fn persistent_congestion(&self, max_ack_delay: Duration) -> Duration {
        self.pto_base(max_ack_delay).saturating_mul(PERSISTENT_CONGESTION_PTOS)
    }

    /// How long after it was sent a packet counts as lost if a later one was acknowledged: so many
    /// eighths ([`TIME_THRESHOLD_EIGHTHS`], or more on paths that reorder) of the larger of
    /// smoothed and latest, at least 1 ms (RFC 9002 §6.1.2).
    pub(crate) fn loss_delay(&self, eighths: u32) -> Duration {
        let rtt = self.summary.smoothed.max(self.summary.latest);
        (rtt.saturating_mul(eighths) / 8).max(GRANULARITY)
    }

    /// The smoothed round trip, once a sample was taken.
    pub(crate) fn sampled(&self) -> Option<Duration> {
        self.first_sample_at.map(|_| self.summary.smoothed)
    }

    /// The current figures.
    pub(crate) const fn summary(&self) -> RttSummary {
        self.summary
    }

    /// When the first sample was taken, if one was.
    pub(crate) const fn first_sample_at(&self) -> Option<Instant> {
        self.first_sample_at
    }
}

/// Smoothed + max(4 × variation, 1 ms).
fn patience(rtt: &RttSummary) -> Duration {
    rtt.smoothed.saturating_add(rtt.variation.saturating_mul(4).max(GRANULARITY))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_nanos(7);
    const CAP: Duration = Duration::from_millis(25);

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// RFC 9002 §5.3, §6.2.2: initial values, then the first sample, which takes no delay off.
    #[test]
    fn first_sample_sets_all() {
        let mut rtt = RttEstimator::default();
        assert_eq!(rtt.pto_base(Duration::ZERO), INITIAL_RTT * 3);
        rtt.update(NOW, ms(100), ms(20), CAP);
        let expected =
            RttSummary { latest: ms(100), min: ms(100), smoothed: ms(100), variation: ms(50) };
        assert_eq!(rtt.summary(), expected);
        assert_eq!(rtt.first_sample_at(), Some(NOW));
        assert_eq!(rtt.pto_base(CAP), ms(325));
        assert_eq!(rtt.persistent_congestion(CAP), ms(975));
        assert_eq!(rtt.loss_delay(TIME_THRESHOLD_EIGHTHS), ms(100) * 9 / 8);
    }

    /// RFC 9002 §5.3: the deviation is reckoned from the old average.
    #[test]
    fn average_and_deviation_move() {
        let mut rtt = RttEstimator::default();
        rtt.update(NOW, ms(100), ms(0), CAP);
        rtt.update(NOW, ms(200), ms(20), CAP);
        assert_eq!(rtt.summary().latest, ms(200));
        assert_eq!(rtt.summary().min, ms(100));
        assert_eq!(rtt.summary().smoothed, ms(110), "(7 * 100 + 180) / 8");
        assert_eq!(rtt.summary().variation, Duration::from_micros(57_500), "(3 * 50 + 80) / 4");
        assert_eq!(rtt.loss_delay(TIME_THRESHOLD_EIGHTHS), ms(225), "latest, as it is the larger");
    }

    /// R-LOSS-2, RFC 9002 §5.2: after persistent congestion the minimum is the newest sample.
    #[test]
    fn persistent_congestion_forgets_the_minimum() {
        let mut rtt = RttEstimator::default();
        rtt.update(NOW, ms(10), ms(0), CAP);
        rtt.update(NOW, ms(200), ms(0), CAP);
        assert_eq!(rtt.summary().min, ms(10));
        rtt.on_persistent_congestion();
        assert_eq!(rtt.summary().min, ms(200));
        rtt.update(NOW, ms(150), ms(0), CAP);
        assert_eq!(rtt.summary().min, ms(150));
    }

    /// RFC 9002 §5.3: a delay is capped by the peer's own maximum, and never believed if it would
    /// go below the minimum.
    #[test]
    fn implausible_delays_are_not_believed() {
        let mut rtt = RttEstimator::default();
        rtt.update(NOW, ms(100), ms(0), CAP);
        let mut lied = rtt.clone();
        rtt.update(NOW, ms(180), ms(25), CAP);
        lied.update(NOW, ms(180), Duration::MAX, CAP);
        assert_eq!(rtt, lied);
        let before = rtt.summary().smoothed;
        rtt.update(NOW, ms(110), ms(20), CAP);
        assert_eq!(rtt.summary().smoothed, (before * 7 + ms(110)) / 8);
    }

    /// R-RTT-2; RFC 9002 §6.1.2, §6.2.1: no wait below the granularity, none without an end.
    #[test]
    fn extremes_stay_in_bounds() {
        let mut rtt = RttEstimator::default();
        rtt.update(NOW, Duration::ZERO, ms(0), CAP);
        assert_eq!(rtt.loss_delay(TIME_THRESHOLD_EIGHTHS), GRANULARITY);
        assert_eq!(rtt.pto_base(Duration::ZERO), GRANULARITY);
        for _ in 0..9 {
            rtt.update(NOW, Duration::MAX, Duration::MAX, Duration::MAX);
        }
        assert_eq!(rtt.summary().latest, LONGEST_RTT);
        assert!(rtt.summary().smoothed <= LONGEST_RTT && rtt.summary().variation <= LONGEST_RTT);
        assert_eq!(rtt.pto_base(Duration::MAX), LONGEST_PTO);
        assert_eq!(rtt.loss_delay(TIME_THRESHOLD_EIGHTHS), LONGEST_RTT * 9 / 8);
    }

    /// R-RTT-2: a sample of a peer that slept makes no timeout that is as long as its sleep; a path
    /// that is that slow gets one it can meet.
    #[test]
    fn one_sample_of_a_sleeper_makes_no_long_timeout() {
        let ms = Duration::from_millis;
        let mut rtt = RttEstimator::default();
        let sample = |rtt: &mut RttEstimator, millis| {
            rtt.update(Instant::ZERO, ms(millis), Duration::ZERO, Duration::ZERO);
        };
        (0..20).for_each(|_| sample(&mut rtt, 20));
        sample(&mut rtt, 30_000);
        let smoothed = rtt.summary().smoothed;
        assert_eq!(rtt.pto_base(ms(25)), smoothed * 2 + ms(25));
        assert!(rtt.pto_base(ms(25)) < ms(8_000));
        (0..50).for_each(|_| sample(&mut rtt, 10_000));
        assert!(rtt.pto_base(ms(25)) > ms(10_000), "a slow path");
    }
}
