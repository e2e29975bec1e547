//! A fixed rate (R-CC-4), for closed networks whose capacity is known and reserved: nothing is
//! searched and no loss lowers the rate. On a shared network it is a hazard (RFC 8085 §3.1).
//!
//! In goes the rate; out come the pacing rate, which is the same, and a window that never limits it
//! while ACKs come.
#![deny(clippy::arithmetic_side_effects)]

use super::math::{MINIMUM_DATAGRAMS, bytes_in, initial_window};
use super::saved::{self, Fields, Walk};
use super::{AckSummary, AckedPacket, CongestionEvent, Controller, RestoreError};
use crate::connection::recovery::rtt::RttSummary;
use alloc::boxed::Box;
use alloc::vec::Vec;
use tripline_sansio::codec::ReadError;
use tripline_sansio::{Duration, Instant};

/// The window is what goes out in this many round trips: one is on its way, the rest is held up by
/// late ACKs and by losses that take more than a round trip to be noticed.
const WINDOW_ROUND_TRIPS: u32 = 3;

/// What is assumed of the round trip before the first sample (RFC 9002 §6.2.2).
const FIRST_ROUND_TRIP: Duration = Duration::from_millis(333);

/// The first byte of a saved state.
const SAVED_MARK: u8 = 3;

/// Sends at a given rate whatever is lost.
///
/// If nothing at all gets through (persistent congestion, RFC 9002 §7.6), it falls silent but for
/// two datagrams a time until the next ACK.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FixedRate {
    /// The largest datagram, in bytes.
    mtu: u64,
    /// Bytes per second.
    rate: u64,
    /// The longest of smoothed and latest round trip at the last ACK, the variation added.
    round_trip: Duration,
    /// Nothing gets through.
    stalled: bool,
}

impl FixedRate {
    /// A controller for `rate` bytes per second (at least 1), datagram headers of TRiP included and
    /// those of UDP and IP not; for datagrams of `mtu` bytes at most.
    pub fn new(rate: u64, mtu: u16) -> Self {
        let (rate, mtu) = (rate.max(1), u64::from(mtu.max(1)));
        Self { mtu, rate, round_trip: FIRST_ROUND_TRIP, stalled: false }
    }
}

impl Fields for FixedRate {
    fn walk(&mut self, walk: &mut Walk<'_>) -> Result<(), ReadError> {
        walk.all(&mut [&mut self.mtu, &mut self.rate])?;
        walk.duration(&mut self.round_trip)?;
        walk.flag(&mut self.stalled)
    }
}

impl Controller for FixedRate {
    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn save(&self, out: &mut Vec<u8>) {
        saved::save(SAVED_MARK, &mut self.clone(), out);
    }

    fn restore(&mut self, saved: &[u8]) -> Result<(), RestoreError> {
        let mut state = Self::new(1, 1);
        if !saved::restore(SAVED_MARK, &mut state, saved) || state.mtu == 0 || state.rate == 0 {
            return Err(RestoreError);
        }
        *self = state;
        Ok(())
    }

    fn window(&self) -> u64 {
        if self.stalled {
            return self.mtu.saturating_mul(MINIMUM_DATAGRAMS);
        }
        let time = self.round_trip.saturating_mul(WINDOW_ROUND_TRIPS);
        bytes_in(self.rate, time).max(initial_window(self.mtu))
    }

    fn pacing_rate(&self, _rtt: &RttSummary) -> u64 {
        self.rate
    }

    fn on_acked(&mut self, _now: Instant, _packet: &AckedPacket, _rtt: &RttSummary) {
        self.stalled = false;
    }

    fn on_congestion(&mut self, _now: Instant, event: &CongestionEvent) {
        self.stalled |= event.persistent;
    }

    fn on_ack_end(&mut self, _now: Instant, _summary: &AckSummary, rtt: &RttSummary) {
        let spread = rtt.variation.saturating_mul(4);
        self.round_trip = rtt.smoothed.max(rtt.latest).saturating_add(spread);
    }

    fn on_mtu(&mut self, bytes: u16) {
        self.mtu = u64::from(bytes.max(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: RttSummary = RttSummary {
        latest: Duration::from_millis(100),
        min: Duration::from_millis(90),
        smoothed: Duration::from_millis(100),
        variation: Duration::from_millis(5),
    };

    const ACK: AckSummary =
        AckSummary { largest_acked: 1, acked_bytes: 1200, in_flight: 0, rtt_sample: None };

    const DEAD: CongestionEvent =
        CongestionEvent { sent_at: Instant::ZERO, lost_bytes: 9000, persistent: true, ecn: false };

    /// The rate is the given one; the window is what three of the worst round trips take.
    #[test]
    fn rate_and_window_are_as_given() {
        let mut fixed = FixedRate::new(1_000_000, 1200);
        assert_eq!(fixed.window(), 999_000, "three times 333 ms");
        fixed.on_ack_end(Instant::ZERO, &ACK, &RTT);
        assert_eq!(fixed.window(), 360_000, "three times 100 ms and four times 5 ms");
        assert_eq!(fixed.pacing_rate(&RTT), 1_000_000);
        assert_eq!(FixedRate::new(0, 1200).window(), 14_720);
        assert_eq!(FixedRate::new(0, 1200).pacing_rate(&RTT), 1);
    }

    /// Losses and marks change nothing, a dead path does until the next ACK.
    #[test]
    fn only_a_dead_path_stops_it() {
        let mut fixed = FixedRate::new(1_000_000, 1200);
        fixed.on_ack_end(Instant::ZERO, &ACK, &RTT);
        let before = fixed.clone();
        fixed.on_congestion(Instant::ZERO, &CongestionEvent { persistent: false, ..DEAD });
        fixed.on_congestion(
            Instant::ZERO,
            &CongestionEvent { persistent: false, ecn: true, lost_bytes: 0, ..DEAD },
        );
        assert_eq!(fixed, before);
        fixed.on_congestion(Instant::ZERO, &DEAD);
        assert_eq!(fixed.window(), 2400);
        let packet =
            AckedPacket { number: 1, sent_at: Instant::ZERO, bytes: 1200, app_limited: false };
        fixed.on_acked(Instant::ZERO, &packet, &RTT);
        assert_eq!(fixed, before);
    }

    #[test]
    fn saved_state_comes_back_and_damage_is_refused() {
        let mut fixed = FixedRate::new(5_000, 1350);
        fixed.on_ack_end(Instant::ZERO, &ACK, &RTT);
        fixed.on_congestion(Instant::ZERO, &DEAD);
        super::super::tests::comes_back(&fixed, FixedRate::new(7, 1200));
    }
}
