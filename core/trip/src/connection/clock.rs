//! What the timers do.

use super::timer::Timer;
use super::{Connection, Cx, Stage};

/// How often one call looks for what is due: packets found lost late make a probe timeout due, and
/// that nothing.
const ROUNDS: u32 = 4;

impl Connection {
    /// Fires every timer that is due, and what that makes due. Early calls are harmless.
    pub(crate) fn on_timeout(&mut self, cx: &mut Cx<'_>) {
        for _ in 0..ROUNDS {
            // Nearly every call is an early one: one look at the earliest says so.
            if self.timers.next().is_none_or(|at| at > cx.now) {
                return;
            }
            for timer in Timer::ALL {
                if self.timers.take_due(timer, cx.now) {
                    self.on_timer(timer, cx);
                }
            }
        }
    }

    fn on_timer(&mut self, timer: Timer, cx: &mut Cx<'_>) {
        match timer {
            Timer::Open => self.on_open_timer(),
            Timer::Deadline => self.on_deadline(cx),
            Timer::Recovery => self.on_recovery(cx),
            // The drain that follows asks the pacer anew.
            Timer::Pacing => {}
            Timer::AckDelay => self.received.on_timeout(cx.now),
            Timer::Idle => self.on_idle(cx),
            Timer::KeepAlive => self.on_keep_alive(cx),
            Timer::Expire => self.on_expire(cx),
            Timer::Repeat => self.on_repeat(),
            // What is due now goes out with the next drain.
            Timer::Paths => self.arm_paths(cx.now),
            Timer::Zone => self.on_zone_timer(cx),
            Timer::Rest => self.on_rest(cx.now),
        }
    }

    fn on_recovery(&mut self, cx: &mut Cx<'_>) {
        if self.sent.loss_at().is_some() {
            self.detect_lost(cx);
        } else if self.sent.pto_from().is_some() {
            let probes = self.path_state.pto.on_timeout();
            let news = self.path_state.ecn.on_probe(self.path_state.pto.count());
            self.count_ecn(news);
            self.probed_at = cx.now;
            self.stats.probes = self.stats.probes.saturating_add(1);
            self.on_vain_probe(cx);
            self.on_unanswered(cx);
            if self.stage == Stage::Pinging {
                self.pings.want(true);
                self.confirm_due = self.confirm.is_some();
            }
            // Into a long silence many probes go; the next one needs a place, too (R-ACK-3c).
            if let Some(bound) = self.sent.oldest_if_full() {
                self.give_up_below(bound, cx);
            }
            self.prepare_probe(probes);
        }
        self.arm_recovery();
    }

    fn on_keep_alive(&mut self, cx: &mut Cx<'_>) {
        if matches!(self.stage, Stage::Ready) && !self.liveness.is_silent() {
            // Who does not answer is asked again by the probe timeout, with growing gaps
            // (R-CLOSE-4).
            if self.path_state.pto.count() == 0 {
                self.pings.want(false);
            } else if self.probed_at == cx.now {
                // It does so right now; its packet arms this timer again.
                return;
            }
            self.last_eliciting = cx.now;
            self.arm_keep_alive();
        }
    }

    /// The time of messages is over: they are given up.
    fn on_expire(&mut self, cx: &mut Cx<'_>) {
        while let Some((token, key)) = self.expiring.pop_due(cx.now) {
            self.with_send(key, cx, |half, credit, fates| {
                half.expire(token, credit, fates);
            });
            self.wake_stream(key);
        }
        self.arm_expire();
    }

    pub(super) fn arm_ack_delay(&mut self) {
        let at = self.received.deadline();
        self.timers.set(Timer::AckDelay, at);
    }
}
