//! Probes into silence, as they show: what a side sends while nothing comes (marks only).

use super::report::Report;
use crate::marks::Mark;
use tripline_sansio::{Duration, Instant};

/// Times this close together are one.
const TOGETHER: Duration = Duration::from_millis(1);
/// A gap at the cap of R-ACK-3, some jitter allowed for.
const CAP: Duration = Duration::from_millis(2_900);

/// When a side last spoke without having heard anything since.
#[derive(Debug, Default)]
pub(super) struct Silence {
    last: Option<Instant>,
    gap: Duration,
    /// Gaps in a row, each at least half as long again as the one before.
    growing: u32,
}

impl Silence {
    /// Something verified here.
    pub(super) fn on_heard(&mut self) {
        *self = Self::default();
    }

    /// Something that asks for an ACK is sent.
    pub(super) fn on_sent(&mut self, report: &mut Report) {
        let Some(last) = self.last.replace(report.now) else { return };
        let gap = report.now - last;
        if gap < TOGETHER {
            return;
        }
        report.hit_if(gap >= CAP && self.growing >= 3, Mark::ProbeAtCap);
        self.growing = if gap >= self.gap + self.gap / 2 { self.growing + 1 } else { self.growing };
        report.hit_if(self.growing == 3, Mark::ProbeThird);
        self.gap = gap;
    }
}
