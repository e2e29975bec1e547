//! What follows for the pacing rate and the window (§5.6).
#![deny(clippy::arithmetic_side_effects)]

use super::super::delivery::Sample;
use super::super::math::{bytes_in, initial_window, rate, scale};
use super::Bbr;
use super::params::{
    DEFAULT_WINDOW, DOWN_PACING, DRAIN_PACING, INFINITE, PACED_SHARE, PROBE_RTT_WINDOW,
    STARTUP_PACING, UP_PACING, UP_WINDOW,
};
use super::state::Mode;
use crate::connection::recovery::rtt::RttSummary;
use tripline_sansio::Duration;

/// `send_quantum` is what goes out in this time, within the bounds below.
const QUANTUM_TIME: Duration = Duration::from_millis(1);

/// `send_quantum` at most.
const QUANTUM_MAX: u64 = 64 << 10;

impl Bbr {
    /// `InitPacingRate` (§5.6.2): the initial window in a round trip, times the gain of Startup.
    pub(super) fn first_rate(&self, rtt: &RttSummary) -> u64 {
        let trip = rtt.smoothed.max(Duration::from_millis(1));
        scale(rate(initial_window(self.mtu), trip), STARTUP_PACING, 100).max(1)
    }

    /// By what the bandwidth is multiplied for the rate, in percent.
    pub(super) const fn pacing_gain(&self) -> u64 {
        match self.mode {
            Mode::Startup => STARTUP_PACING,
            Mode::Drain => DRAIN_PACING,
            Mode::Down => DOWN_PACING,
            Mode::Up => UP_PACING,
            Mode::Cruise | Mode::Refill | Mode::ProbeRtt => 100,
        }
    }

    const fn window_gain(&self) -> u64 {
        match self.mode {
            Mode::Up => UP_WINDOW,
            Mode::ProbeRtt => PROBE_RTT_WINDOW,
            _ => DEFAULT_WINDOW,
        }
    }

    /// `SetPacingRateWithGain`.
    pub(super) fn pace_at(&mut self, gain: u64) {
        let bandwidth = scale(self.bandwidth.bounded(), PACED_SHARE, 100);
        let paced = scale(bandwidth, gain, 100);
        if self.pipe.was_full || paced > self.rate {
            self.rate = paced.max(1);
        }
    }

    /// `SetPacingRate` (§5.6.2). Never slower than the least window in a round trip, which the
    /// window allows in any case: a bandwidth that was measured in an outage must not stay.
    pub(super) fn set_rate(&mut self, rtt: &RttSummary) {
        if self.rate == 0 {
            self.rate = self.first_rate(rtt);
        }
        self.pace_at(self.pacing_gain());
        let trip = rtt.smoothed.max(Duration::from_millis(1));
        self.rate = self.rate.max(rate(self.window_least(), trip)).max(1);
    }

    /// `QuantizationBudget` (§5.6.4.2).
    fn at_least_a_quantum(&self, volume: u64) -> u64 {
        let two = self.mtu.saturating_mul(2);
        let quantum = bytes_in(self.rate, QUANTUM_TIME).min(QUANTUM_MAX).max(two);
        let more = if self.mode == Mode::Up { two } else { 0 };
        volume.max(quantum).max(self.window_least()).saturating_add(more)
    }

    /// `Inflight`: what `percent` of the path's volume take, in whole quanta.
    pub(super) fn volume_at(&self, percent: u64) -> u64 {
        self.at_least_a_quantum(self.bdp_share(percent))
    }

    /// `SetCwnd` (§5.6.4.6).
    pub(super) fn set_window(&mut self, sample: &Sample) {
        let most = self.bdp_share(self.window_gain()).saturating_add(self.aggregation.most());
        let most = self.at_least_a_quantum(most);
        if self.pipe.was_full {
            self.window = self.window.saturating_add(sample.acked).min(most);
        } else if self.window < most || self.delivery.delivered < initial_window(self.mtu) {
            self.window = self.window.saturating_add(sample.acked);
        }
        self.window = self.window.max(self.window_least());
        if self.mode == Mode::ProbeRtt {
            self.window = self.window.min(self.round_trip.probe_window.max(self.window_least()));
        }
        self.bound_window();
    }

    /// `BoundCwndForModel` (§5.6.4.7).
    fn bound_window(&mut self) {
        let long = match self.mode {
            Mode::Down | Mode::Refill | Mode::Up => self.volume.long,
            Mode::Cruise | Mode::ProbeRtt => self.volume_with_headroom(),
            Mode::Startup | Mode::Drain => INFINITE,
        };
        self.window = self.window.min(long.min(self.volume.short).max(self.window_least()));
    }

    /// `SaveCwnd` (§5.6.4.4).
    pub(super) fn save_window(&mut self) {
        let cut = self.losses.any || self.mode == Mode::ProbeRtt || self.stalled.is_some();
        let before = if cut { self.prior_window } else { 0 };
        self.prior_window = before.max(self.window);
    }

    /// `RestoreCwnd` (§5.6.4.4).
    pub(super) fn restore_window(&mut self) {
        self.window = self.window.max(self.prior_window);
    }
}
