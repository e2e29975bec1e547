//! What a run of losses says about congestion: one event for each round of detection, and whether
//! it is persistent (RFC 9002 §7.6).
//!
//! In go lost packets by rising number; out comes the event. It lives for one round, so a run that
//! two rounds share is judged by its parts, as in RFC 9002 B.8.

use super::congestion::CongestionEvent;
use super::ring::PacketInfo;
use super::rtt::RttEstimator;
use tripline_sansio::{Duration, Instant};

/// What one round of loss detection means for congestion (RFC 9002 §7.6 and B.8).
pub(super) struct LossRun {
    event: Option<CongestionEvent>,
    /// The earliest ack-eliciting packet of the present run of losses without an ACK between.
    first_at: Option<Instant>,
    /// Earlier packets do not count: nothing was known of the round trip (RFC 9002 §7.6.2).
    sampled_at: Option<Instant>,
    persistent_after: Duration,
}

impl LossRun {
    /// Nothing lost yet. `max_ack_delay` is the peer's.
    pub(super) fn new(rtt: &RttEstimator, max_ack_delay: Duration) -> Self {
        let persistent_after = rtt.persistent_congestion(max_ack_delay);
        Self { event: None, first_at: None, sampled_at: rtt.first_sample_at(), persistent_after }
    }

    /// A packet was lost, in rising order. `acked_below`: the one before it was acknowledged.
    pub(super) fn on_lost(&mut self, info: &PacketInfo, acked_below: bool) {
        if acked_below {
            self.first_at = None;
        }
        if !info.in_flight || info.mtu_probe {
            return;
        }
        let event = self.event.get_or_insert(CongestionEvent {
            sent_at: info.sent_at,
            lost_bytes: 0,
            persistent: false,
            ecn: false,
        });
        event.sent_at = info.sent_at;
        event.lost_bytes = event.lost_bytes.saturating_add(u64::from(info.bytes));
        let counts = self.sampled_at.is_some_and(|sampled_at| info.sent_at > sampled_at);
        if counts && info.ack_eliciting {
            let first_at = *self.first_at.get_or_insert(info.sent_at);
            event.persistent |=
                info.sent_at.saturating_duration_since(first_at) >= self.persistent_after;
        }
    }

    /// What the controller is to be told, if anything that counts was lost.
    pub(super) const fn event(&self) -> Option<CongestionEvent> {
        self.event
    }
}
