//! How much reordering is put up with before a packet counts as lost: RFC 9002's thresholds, grown
//! while the path shows that they are too small (R-LOSS-1; RFC 9002 §6.1 allows it; the idea is
//! RACK's, RFC 8985 §6.2 step 4).
//!
//! In go spurious losses and losses that nothing contradicted; out come the two thresholds.
#![deny(clippy::arithmetic_side_effects)]

use super::rtt::TIME_THRESHOLD_EIGHTHS;

/// `kPacketThreshold` (RFC 9002 §6.1.1).
pub(crate) const PACKET_THRESHOLD: u64 = 3;

/// The largest packet threshold: behind it the time threshold decides anyway.
pub(crate) const PACKET_THRESHOLD_MAX: u64 = 1024;

/// The largest time threshold, in eighths of a round trip: one whole round trip of reordering.
pub(crate) const TIME_THRESHOLD_EIGHTHS_MAX: u32 = 16;

/// After this many loss events without a spurious one the thresholds start anew (RFC 8985 §6.2).
const CALM_LOSSES: u32 = 16;

/// The two thresholds of loss detection on a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Reordering {
    packets: u64,
    eighths: u32,
    /// Loss events since the last spurious loss.
    calm: u32,
}

impl Reordering {
    /// The thresholds of RFC 9002.
    pub(crate) const fn new() -> Self {
        Self { packets: PACKET_THRESHOLD, eighths: TIME_THRESHOLD_EIGHTHS, calm: 0 }
    }

    /// How far below the largest acknowledged number a packet is lost.
    pub(crate) const fn packets(&self) -> u64 {
        self.packets
    }

    /// After how many eighths of a round trip a packet is lost.
    pub(crate) const fn eighths(&self) -> u32 {
        self.eighths
    }

    /// An ACK named packets that had been declared lost, the farthest `distance` numbers below the
    /// largest acknowledged. Called once for each such ACK.
    pub(crate) fn on_spurious(&mut self, distance: u64) {
        self.packets = self.packets.max(distance.saturating_add(1)).min(PACKET_THRESHOLD_MAX);
        self.eighths = self.eighths.saturating_add(1).min(TIME_THRESHOLD_EIGHTHS_MAX);
        self.calm = 0;
    }

    /// Packets were declared lost.
    pub(crate) fn on_loss(&mut self) {
        self.calm = self.calm.saturating_add(1);
        if self.calm > CALM_LOSSES {
            *self = Self::new();
        }
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;

    /// R-LOSS-1: 3 to 1,024 packets, 9/8 to 16/8, and back with the 17th loss event in a row.
    #[test]
    fn thresholds_grow_within_bounds_and_start_anew() {
        let mut reordering = Reordering::new();
        assert_eq!((reordering.packets(), reordering.eighths()), (3, 9));
        reordering.on_spurious(7);
        assert_eq!((reordering.packets(), reordering.eighths()), (8, 10));
        reordering.on_spurious(4);
        assert_eq!((reordering.packets(), reordering.eighths()), (8, 11), "never less");
        for _ in 0..20 {
            reordering.on_spurious(u64::MAX);
        }
        assert_eq!((reordering.packets(), reordering.eighths()), (1024, 16));
        for _ in 0..CALM_LOSSES {
            reordering.on_loss();
        }
        assert_eq!(reordering.packets(), 1024);
        reordering.on_loss();
        assert_eq!(reordering, Reordering::new());
    }
}
