//! How much a side says at one instant without payload (I14). Payload has its window (I9); all else
//! is asked for by what comes, by timers, or by the user, and is little.

use super::report::Report;
use crate::host::HostId;
use tripline_sansio::Instant;

/// Packets without payload that may leave at one instant by themselves: probes, proofs of four
/// addresses, a probe of the MTU, credit and ends of many streams.
const BY_ITSELF: u32 = 24;
/// How many more for each packet that comes: an ACK and a PONG.
const FOR_EACH: u32 = 2;

/// What one side does at one instant, and what came since it last said anything: who looks late
/// finds much at once, and may answer all of it.
#[derive(Debug, Default)]
pub(super) struct Work {
    at: Instant,
    came: u32,
    said: u32,
}

impl Work {
    fn turn_to(&mut self, now: Instant) {
        if self.at != now && self.said > 0 {
            *self = Self::default();
        }
        self.at = now;
    }

    /// A packet verified here, or came once more.
    pub(super) fn on_came(&mut self, now: Instant) {
        self.turn_to(now);
        self.came += 1;
    }

    /// A packet without payload is sent.
    pub(super) fn on_said(&mut self, report: &mut Report, host: Option<HostId>) {
        self.turn_to(report.now);
        self.said += 1;
        let most = BY_ITSELF + FOR_EACH * self.came;
        if self.said > most {
            let (said, came) = (self.said, self.came);
            let what = format_args!("{said} packets without payload at one time, {came} came");
            report.blame("I14", host, what);
        }
    }
}
