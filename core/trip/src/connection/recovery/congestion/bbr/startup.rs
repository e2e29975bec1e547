//! Startup and Drain (§5.3.1, §5.3.2): finds the bandwidth by doubling, then drains the queue.
#![deny(clippy::arithmetic_side_effects)]

use super::super::delivery::Sample;
use super::super::math::scale;
use super::Bbr;
use super::params::{DRAIN_ROUNDS, FLAT_ROUNDS, GROWTH, LOSS_RUNS};
use super::state::Mode;
use tripline_sansio::Instant;

impl Bbr {
    /// `CheckFullBWReached` (§5.3.1.2).
    pub(super) fn check_full_pipe(&mut self, sample: &Sample) {
        if self.pipe.full_now || !self.rounds.began || sample.app_limited {
            return;
        }
        if sample.rate >= scale(self.pipe.base, GROWTH, 100) {
            self.pipe.reset(sample.rate);
            return;
        }
        self.pipe.flat_rounds = self.pipe.flat_rounds.saturating_add(1);
        self.pipe.full_now = self.pipe.flat_rounds >= FLAT_ROUNDS;
        self.pipe.was_full |= self.pipe.full_now;
    }

    /// `CheckStartupDone`, with `CheckStartupHighLoss` (§5.3.1.3).
    pub(super) fn check_startup_done(&mut self, sample: &Sample) {
        if self.mode != Mode::Startup {
            if self.losses.ended {
                self.losses.runs = 0;
            }
            return;
        }
        if self.losses.ended {
            let runs = core::mem::take(&mut self.losses.runs);
            if runs >= LOSS_RUNS && self.is_too_high(sample.lost, sample.in_flight) {
                if let Some(undo) = &mut self.undo {
                    undo.mode = Some(Mode::Startup);
                }
                self.pipe.was_full = true;
                self.volume.long = self.bdp_share(100).max(self.volume.latest);
            }
        }
        if self.pipe.was_full {
            self.mode = Mode::Drain;
            self.pipe.drain_began = self.rounds.count;
        }
    }

    /// `CheckDrainDone` (§5.3.2).
    pub(super) fn check_drain_done(&mut self, now: Instant) {
        let last = self.pipe.drain_began.saturating_add(DRAIN_ROUNDS);
        if self.mode == Mode::Drain
            && (self.in_flight <= self.volume_at(100) || self.rounds.count > last)
        {
            self.start_down(now);
        }
    }
}
