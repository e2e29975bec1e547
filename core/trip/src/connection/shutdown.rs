//! Leaving because the whole endpoint does (R-CLOSE-7).
//!
//! In comes the endpoint's wish; out comes the same end as by `close`, but for two things: what the
//! peer has asked for in full may still be answered, and an end that was begun before is hastened
//! rather than left alone.
#![deny(clippy::arithmetic_side_effects)]

use super::timer::Timer;
use super::{Connection, Cx};
use crate::wire::Code;
use tripline_sansio::Instant;

impl Connection {
    /// Leaves until then at the latest, with this code and text; with no time left, at once.
    pub(crate) fn shut(&mut self, until: Instant, code: Code, reason: &str, cx: &mut Cx<'_>) {
        if self.closing.hasten(until) {
            let sooner = self.timers.at(Timer::Deadline).is_none_or(|at| until < at);
            if sooner {
                self.timers.set(Timer::Deadline, Some(until));
            }
            return;
        }
        self.close(until.saturating_duration_since(cx.now), code, reason, cx);
        self.closing.answer_all();
    }
}
