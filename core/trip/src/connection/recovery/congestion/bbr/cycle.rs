//! ProbeBW (§5.3.3): drains, cruises, refills, probes for more, and again.
#![deny(clippy::arithmetic_side_effects)]

use super::super::delivery::Sample;
use super::super::math::{mix, scale};
use super::Bbr;
use super::params::{HEADROOM, INFINITE, PROBE_WAIT, PROBE_WAIT_MORE};
use super::state::{Acks, Mode};
use tripline_sansio::{Duration, Instant};

/// The slope of a probe doubles no more often than this.
const UP_ROUNDS_MAX: u64 = 30;

impl Bbr {
    /// `StartProbeBW_DOWN`.
    pub(super) fn start_down(&mut self, now: Instant) {
        self.reset_signals();
        self.cycle.up_step = INFINITE;
        self.pick_wait();
        self.cycle.began = now;
        self.cycle.acks = Acks::Stopping;
        self.start_round();
        self.mode = Mode::Down;
    }

    /// `StartProbeBW_REFILL`.
    pub(super) const fn start_refill(&mut self) {
        self.forget_short_term();
        self.cycle.up_rounds = 0;
        self.cycle.up_acked = 0;
        self.cycle.was_careful = false;
        self.cycle.acks = Acks::Refilling;
        self.start_round();
        self.mode = Mode::Refill;
    }

    /// `StartProbeBW_UP`.
    fn start_up(&mut self, sample: &Sample) {
        self.cycle.acks = Acks::Starting;
        self.start_round();
        self.pipe.reset(sample.rate);
        self.mode = Mode::Up;
        self.raise_slope();
    }

    /// `PickProbeWait`, mixed from what the flow did so far instead of drawn.
    fn pick_wait(&mut self) {
        let bits = mix(self.newest ^ self.delivery.delivered.rotate_left(32));
        self.cycle.rounds_since_up = bits & 1;
        let more = (bits >> 1).checked_rem(PROBE_WAIT_MORE).unwrap_or(0);
        self.cycle.wait = PROBE_WAIT.saturating_add(Duration::from_nanos(more));
    }

    /// `UpdateProbeBWCyclePhase`.
    pub(super) fn update_cycle(&mut self, now: Instant, sample: &Sample) {
        if !self.pipe.was_full || self.adapt_long_term(sample) {
            return;
        }
        let mode = self.mode;
        match mode {
            Mode::Down | Mode::Cruise if self.is_time_to_probe(now) => self.start_refill(),
            Mode::Down if self.is_time_to_cruise() => self.mode = Mode::Cruise,
            Mode::Refill if self.rounds.began => {
                self.cycle.is_probe = true;
                self.start_up(sample);
            }
            Mode::Up if self.is_time_to_go_down(sample) => {
                self.cycle.was_too_high = false;
                self.start_down(now);
            }
            _ => (),
        }
    }

    /// `IsTimeToProbeBW`: after two to three seconds, or as often as Reno would. The draft takes 63
    /// round trips for Reno at most; on a path of 208 packets that left CUBIC beside it less than
    /// 0.35 at times, for each probe ends CUBIC's growth, and CUBIC's is slower there than Reno's.
    pub(super) fn is_time_to_probe(&self, now: Instant) -> bool {
        let reno = self.target_volume().checked_div(self.mtu).unwrap_or(0);
        now > self.cycle.began + self.cycle.wait || self.cycle.rounds_since_up >= reno
    }

    /// `IsTimeToCruise`.
    fn is_time_to_cruise(&self) -> bool {
        self.in_flight <= self.volume_with_headroom() && self.in_flight <= self.volume_at(100)
    }

    /// `IsTimeToGoDown`.
    fn is_time_to_go_down(&mut self, sample: &Sample) -> bool {
        if self.cycle.was_too_high && self.in_flight >= self.volume.long {
            self.cycle.was_careful = true;
            return true;
        }
        if self.is_window_limited() && self.window >= self.volume.long {
            self.pipe.reset(sample.rate);
            return false;
        }
        self.pipe.full_now
    }

    /// `TargetInflight`.
    pub(super) fn target_volume(&self) -> u64 {
        self.bdp_share(100).min(self.window)
    }

    /// `InflightWithHeadroom`.
    pub(super) fn volume_with_headroom(&self) -> u64 {
        if self.volume.long == INFINITE {
            return INFINITE;
        }
        let headroom = scale(self.volume.long, HEADROOM, 100).max(self.mtu);
        self.volume.long.saturating_sub(headroom).max(self.window_least())
    }

    /// `RaiseInflightLongtermSlope`.
    fn raise_slope(&mut self) {
        let growth = 1_u64.checked_shl(u32::try_from(self.cycle.up_rounds).unwrap_or(0));
        self.cycle.up_rounds = self.cycle.up_rounds.saturating_add(1).min(UP_ROUNDS_MAX);
        let step = self.window.checked_div(growth.unwrap_or(1)).unwrap_or(0);
        self.cycle.up_step = step.max(self.mtu);
    }

    /// `ProbeInflightLongtermUpward`.
    fn raise_long_term(&mut self, sample: &Sample) {
        if !self.is_window_limited() || self.window < self.volume.long {
            return;
        }
        self.cycle.up_acked = self.cycle.up_acked.saturating_add(sample.acked);
        let steps = self.cycle.up_acked.checked_div(self.cycle.up_step).unwrap_or(0);
        self.cycle.up_acked = self.cycle.up_acked.checked_rem(self.cycle.up_step).unwrap_or(0);
        self.volume.long = self.volume.long.saturating_add(steps.saturating_mul(self.mtu));
        if self.rounds.began {
            self.raise_slope();
        }
    }

    /// `AdaptLongTermModel`: whether it changed the mode.
    fn adapt_long_term(&mut self, sample: &Sample) -> bool {
        if self.cycle.acks == Acks::Starting && self.rounds.began {
            self.cycle.acks = Acks::Feedback;
        }
        if self.cycle.acks == Acks::Stopping && self.rounds.began {
            self.cycle.is_probe = false;
            self.cycle.acks = Acks::Init;
            if self.mode.is_probe_bw() && !sample.app_limited {
                self.bandwidth.advance();
            }
            if self.mode.is_probe_bw() && self.cycle.was_careful && !self.cycle.was_too_high {
                self.start_refill();
                return true;
            }
        }
        if !self.is_too_high(sample.lost, sample.in_flight) && self.volume.long != INFINITE {
            self.volume.long = self.volume.long.max(sample.in_flight);
            if self.mode == Mode::Up {
                self.raise_long_term(sample);
            }
        }
        false
    }

    /// `ResetCongestionSignals`.
    const fn reset_signals(&mut self) {
        self.losses.any = false;
        self.losses.congested = false;
        self.bandwidth.latest = 0;
        self.volume.latest = 0;
    }

    /// `ResetShortTermModel`.
    pub(super) const fn forget_short_term(&mut self) {
        self.bandwidth.short = INFINITE;
        self.volume.short = INFINITE;
    }
}
