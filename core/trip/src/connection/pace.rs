//! Where the pacer meets the connection: what it holds back, and the timer that lets it go
//! (R-PACE-1).
//!
//! Only payload of streams is held back. ACKs, control frames and probes go when they are due; the
//! pacer is told of them.

use super::timer::Timer;
use super::{Connection, Cx};

impl Connection {
    /// Brings the pacer up to date. Also where nothing waits: payload may turn up while a packet is
    /// built, and the timer must not be reckoned from long ago.
    pub(super) fn refill_pacer(&mut self, size: usize, cx: &Cx<'_>) {
        let state = &mut self.path_state;
        let rate = state.controller.pacing_rate(&state.rtt.summary());
        state.pacer.refill(cx.now, rate, size);
    }

    /// Whether payload of streams may go out now as far as the pacer is concerned.
    pub(super) fn may_flow(&self) -> bool {
        self.probes > 0 || self.is_linked() || self.path_state.pacer.allows_one()
    }

    /// After a train: if nothing but the pacer holds payload back, the timer says when it goes on.
    pub(super) fn arm_pacing(&mut self, size: usize) {
        let held = !self.schedule.is_empty() && self.may_send(size) && !self.may_flow();
        let began = held && !self.path_state.pacer.is_waiting();
        let at = held.then(|| self.path_state.pacer.wait());
        if began {
            self.stats.pacing_waits = self.stats.pacing_waits.saturating_add(1);
        }
        self.timers.set(Timer::Pacing, at);
    }
}
