//! ProbeRTT (§5.3.4): empties the path for a moment if the shortest round trip has not been seen
//! for long. Restarting from idle (§5.4).
#![deny(clippy::arithmetic_side_effects)]

use super::Bbr;
use super::params::PROBE_RTT_TIME;
use super::state::{Acks, Mode};
use tripline_sansio::Instant;

impl Bbr {
    /// `CheckProbeRTT`.
    pub(super) fn check_probe_rtt(&mut self, now: Instant) {
        if self.mode != Mode::ProbeRtt && self.round_trip.expired && !self.idle_restart {
            self.save_window();
            self.mode = Mode::ProbeRtt;
            self.round_trip.probe_until = None;
            self.cycle.acks = Acks::Stopping;
            self.start_round();
        }
        if self.mode == Mode::ProbeRtt {
            self.handle_probe_rtt(now);
        }
    }

    /// `HandleProbeRTT`.
    fn handle_probe_rtt(&mut self, now: Instant) {
        // What is measured now says little of the bandwidth.
        self.delivery.on_app_limited(self.in_flight);
        if self.round_trip.probe_until.is_none() {
            if self.in_flight <= self.round_trip.probe_window {
                self.round_trip.probe_until = Some(now + PROBE_RTT_TIME);
                self.round_trip.probe_round_done = false;
                self.start_round();
            }
            return;
        }
        self.round_trip.probe_round_done |= self.rounds.began;
        if self.round_trip.probe_round_done {
            self.check_probe_rtt_done(now);
        }
    }

    /// `CheckProbeRTTDone`, `ExitProbeRTT`.
    fn check_probe_rtt_done(&mut self, now: Instant) {
        if self.round_trip.probe_until.is_none_or(|until| now <= until) {
            return;
        }
        self.round_trip.seen_at = now;
        self.restore_window();
        self.forget_short_term();
        if self.pipe.was_full {
            self.start_down(now);
            self.mode = Mode::Cruise;
        } else {
            self.mode = Mode::Startup;
        }
    }

    /// `HandleRestartFromIdle`: the first packet after a silence of the application.
    pub(super) fn restart_from_idle(&mut self, now: Instant) {
        self.idle_restart = true;
        self.aggregation.began = now;
        if self.mode.is_probe_bw() {
            self.pace_at(100);
        } else if self.mode == Mode::ProbeRtt {
            self.check_probe_rtt_done(now);
        }
    }
}
