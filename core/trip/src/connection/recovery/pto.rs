//! The back-off of probe timeouts (R-ACK-3; RFC 9002 §6.2).
//!
//! In go expiries and answers; out come the wait until the next probe and how many packets it may
//! have. It keeps no timer and picks no data: the connection arms the deadline and resends the
//! oldest of `sent::SentPackets::unacked`.

use tripline_sansio::{Duration, Instant};

/// The longest wait between probes of a connection that is READY (R-ACK-3).
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// The longest wait between probes before READY (R-ACK-3).
pub(crate) const LONGEST_WAIT_OPENING: Duration = Duration::from_secs(1);

/// How many probes in a row have two packets; from then on each has one (R-ACK-3).
const DOUBLE_PROBES: u32 = 3;

/// Above this many doublings the ceiling has been reached from any base.
const DOUBLINGS_MAX: u32 = 16;

/// How many probe timeouts expired since the peer last acknowledged something new.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Pto {
    count: u32,
}

impl Pto {
    /// Something ack-eliciting was newly acknowledged: the next wait is a plain PTO again
    /// (RFC 9002 §6.2.1).
    pub(crate) fn on_ack(&mut self) {
        self.count = 0;
    }

    /// The wait is over without an answer; returns how many packets this probe may have: two for
    /// the first three, then one (R-ACK-3). They pass the congestion window (RFC 9002 §7.5).
    pub(crate) fn on_timeout(&mut self) -> u32 {
        self.count = self.count.saturating_add(1);
        if self.count <= DOUBLE_PROBES { 2 } else { 1 }
    }

    /// How many probes in a row have had no answer.
    pub(crate) const fn count(&self) -> u32 {
        self.count
    }

    /// The wait until the next probe: `base` (`RttEstimator::pto_base`) doubled for each probe
    /// before, up to the ceiling, or `base` itself if that is longer (R-ACK-3).
    pub(crate) fn wait(&self, base: Duration, ready: bool) -> Duration {
        let ceiling = if ready { LONGEST_WAIT } else { LONGEST_WAIT_OPENING };
        let doubled = base.saturating_mul(1_u32 << self.count.min(DOUBLINGS_MAX));
        doubled.min(ceiling.max(base))
    }

    /// When to probe, if `since` is when the last ack-eliciting packet was sent
    /// (`sent::SentPackets::pto_from`).
    pub(crate) fn deadline(&self, since: Instant, base: Duration, ready: bool) -> Instant {
        since + self.wait(base, ready)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn waits(base: Duration, ready: bool) -> Vec<u128> {
        let mut pto = Pto::default();
        let wait = |pto: &mut Pto| {
            let wait = pto.wait(base, ready).as_millis();
            pto.on_timeout();
            wait
        };
        (0..6).map(|_| wait(&mut pto)).collect()
    }

    /// R-ACK-3: doubling, the two ceilings, and the plain PTO where it is longer.
    #[test]
    fn back_off_doubles_up_to_the_ceiling() {
        let ms = Duration::from_millis;
        assert_eq!(waits(ms(200), true), [200, 400, 800, 1600, 3000, 3000]);
        assert_eq!(waits(ms(200), false), [200, 400, 800, 1000, 1000, 1000]);
        assert_eq!(waits(ms(4000), true), [4000; 6]);
    }

    /// R-ACK-3: two packets for each of the first three probes, one after.
    #[test]
    fn later_probes_have_one_packet() {
        let mut pto = Pto::default();
        assert_eq!([(); 5].map(|()| pto.on_timeout()), [2, 2, 2, 1, 1]);
        assert_eq!(pto.count, 5);
        pto.on_ack();
        assert_eq!(pto, Pto::default());
        assert_eq!(pto.on_timeout(), 2);
    }

    #[test]
    fn endless_silence_overflows_nothing() {
        let mut pto = Pto { count: u32::MAX };
        assert_eq!(pto.on_timeout(), 1);
        assert_eq!(pto.wait(Duration::MAX, true), Duration::MAX);
        assert_eq!(pto.wait(Duration::from_nanos(1), true), Duration::from_nanos(1 << 16));
        assert_eq!(pto.deadline(Instant::MAX, Duration::MAX, true), Instant::MAX);
    }
}
