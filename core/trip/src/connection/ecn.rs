//! Where ECN meets the connection: what the peer's counts do, and how they are counted (R-ECN-1 to
//! R-ECN-4). The rules themselves are in `recovery::ecn`.

use super::recovery::congestion::CongestionEvent;
use super::recovery::ecn::EcnNews;
use super::recovery::received::EcnCounts;
use super::recovery::sent::AckOutcome;
use super::{Connection, Cx};
use crate::wire::AckFrame;
use tripline_sansio::Ecn;

impl Connection {
    /// A train begins: the mark that all of its packets bear.
    pub(super) fn begin_marked_train(&mut self) -> Ecn {
        if !self.is_linked() && self.path_state.ecn.begin_train() { Ecn::Ect0 } else { Ecn::NotEct }
    }

    /// The counts of an ACK, after its losses were told: CE marks are congestion (RFC 9002 §7.1).
    pub(super) fn on_ecn_counts(
        &mut self,
        ack: &AckFrame<'_>,
        outcome: &AckOutcome,
        cx: &mut Cx<'_>,
    ) {
        // An ACK that does not raise the largest number may be late, and so may its counts.
        if !outcome.advanced {
            return;
        }
        let counts =
            ack.ecn.map(|told| EcnCounts { ect0: told.ect0, ect1: told.ect1, ce: told.ce });
        let news = self.path_state.ecn.on_ack(counts, outcome.ect0);
        self.count_ecn(news);
        if let Some(newest) = outcome.newest
            && news.ce > 0
        {
            let event = CongestionEvent {
                sent_at: newest.sent_at,
                lost_bytes: 0,
                persistent: false,
                ecn: true,
            };
            self.path_state.controller.on_congestion(cx.now, &event);
        }
    }

    /// Counts what was learned.
    pub(super) fn count_ecn(&mut self, news: EcnNews) {
        let stats = &mut self.stats;
        stats.congestion_marks = stats.congestion_marks.saturating_add(news.ce);
        stats.ecn_failures = stats.ecn_failures.saturating_add(u64::from(news.failed));
    }
}
