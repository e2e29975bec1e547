//! What the path is like: round trips, bandwidth, the shortest round trip, aggregation (§5.5).
#![deny(clippy::arithmetic_side_effects)]

use super::super::delivery::Sample;
use super::super::math::{bytes_in, initial_window, part, scale};
use super::Bbr;
use super::params::{
    BETA, CONFIRM_DIVISOR, EMPTY_DIVISOR, INFINITE, MIN_RTT_LIFE, PROBE_RTT_WINDOW,
};
use super::state::Mode;
use tripline_sansio::{Duration, Instant};

impl Bbr {
    /// `bdp` times `percent`: what the path holds without a queue, by the present estimate.
    pub(super) fn bdp_share(&self, percent: u64) -> u64 {
        let Some(least) = self.round_trip.least else {
            return initial_window(self.mtu);
        };
        scale(bytes_in(self.bandwidth.bounded(), least), percent, 100)
    }

    /// `StartRound`.
    pub(super) const fn start_round(&mut self) {
        self.rounds.until = self.delivery.delivered;
    }

    /// `UpdateLatestDeliverySignals` (§5.5.10.3).
    pub(super) fn update_latest(&mut self, sample: &Sample) {
        self.losses.ended = false;
        self.bandwidth.latest = self.bandwidth.latest.max(sample.rate);
        self.volume.latest = self.volume.latest.max(sample.delivered);
        if sample.prior_delivered >= self.losses.until {
            self.losses.until = self.delivery.delivered;
            self.losses.ended = true;
        }
    }

    /// `AdvanceLatestDeliverySignals` (§5.5.10.3).
    pub(super) const fn advance_latest(&mut self, sample: &Sample) {
        if self.losses.ended {
            self.bandwidth.latest = sample.rate;
            self.volume.latest = sample.delivered;
        }
    }

    /// `UpdateCongestionSignals` (§5.5.10.3).
    pub(super) fn update_congestion(&mut self, sample: &Sample) {
        self.update_max_bandwidth(sample);
        if !self.losses.ended {
            return;
        }
        if self.losses.any && self.is_too_high(sample.lost, sample.in_flight) {
            self.losses.congested = true;
        }
        if self.losses.congested && !self.mode.is_probing() {
            self.lower_bounds();
        } else if self.mode == Mode::Cruise && self.is_path_empty(sample.rtt) {
            self.forget_short_term();
        }
        self.losses.any = false;
        self.losses.congested = false;
        self.losses.saved = false;
    }

    /// Whether a round trip that took so long met next to no queue.
    fn is_path_empty(&self, rtt: Duration) -> bool {
        let least = self.round_trip.least.unwrap_or(Duration::ZERO);
        rtt <= least.saturating_add(part(least, EMPTY_DIVISOR))
    }

    /// `InitLowerBounds` and `LossLowerBounds`: towards what the path delivered of late.
    fn lower_bounds(&mut self) {
        let bandwidth = &mut self.bandwidth;
        if bandwidth.short == INFINITE {
            bandwidth.short = bandwidth.most();
        }
        bandwidth.short = scale(bandwidth.short, BETA, 100).max(bandwidth.latest);
        let volume = &mut self.volume;
        if volume.short == INFINITE {
            volume.short = self.window;
        }
        volume.short = scale(volume.short, BETA, 100).max(volume.latest);
    }

    /// `UpdateMaxBw` and `UpdateRound` (§5.5.1, §5.5.5).
    fn update_max_bandwidth(&mut self, sample: &Sample) {
        self.rounds.began = sample.prior_delivered >= self.rounds.until;
        if self.rounds.began {
            self.start_round();
            self.rounds.count = self.rounds.count.saturating_add(1);
            self.cycle.rounds_since_up = self.cycle.rounds_since_up.saturating_add(1);
            self.was_limited = core::mem::take(&mut self.limited);
            self.aggregation.on_round(!self.pipe.was_full);
        }
        if sample.rate >= self.bandwidth.most() || !sample.app_limited {
            self.bandwidth.present = self.bandwidth.present.max(sample.rate);
        }
    }

    /// Whether the window is what limits the sender, in this round or in the one before.
    pub(super) const fn is_window_limited(&self) -> bool {
        self.limited || self.was_limited
    }

    /// `UpdateACKAggregation` (§5.5.9).
    pub(super) fn update_aggregation(&mut self, now: Instant, sample: &Sample) {
        let aggregation = &mut self.aggregation;
        let mut expected = bytes_in(self.bandwidth.bounded(), now - aggregation.began);
        if aggregation.delivered <= expected {
            aggregation.delivered = 0;
            aggregation.began = now;
            expected = 0;
        }
        aggregation.delivered = aggregation.delivered.saturating_add(sample.acked);
        let extra = aggregation.delivered.saturating_sub(expected);
        aggregation.note(extra.min(self.window));
    }

    /// `UpdateMinRTT` (§5.3.4.3).
    pub(super) fn update_min_rtt(&mut self, now: Instant, sample: &Sample) {
        let trip = &mut self.round_trip;
        trip.latest = sample.rtt;
        trip.expired = trip.least.is_some() && now > trip.seen_at + MIN_RTT_LIFE;
        if trip.expired && self.mode != Mode::ProbeRtt {
            let window = self.bdp_share(PROBE_RTT_WINDOW).max(self.window_least());
            self.round_trip.probe_window = window;
        }
        let trip = &mut self.round_trip;
        let least = trip.least.unwrap_or(Duration::MAX);
        if sample.rtt < least || trip.expired {
            trip.least = Some(sample.rtt);
            trip.seen_at = now;
        } else if sample.rtt <= least.saturating_add(part(least, CONFIRM_DIVISOR)) {
            trip.seen_at = now;
        }
    }
}
