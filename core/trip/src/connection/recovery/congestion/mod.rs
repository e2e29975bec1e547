//! Congestion control: how many bytes may be in flight, and how fast they go out.
//!
//! [`Controller`] is the seam: in go the packets sent, acknowledged and lost, out come a window and
//! a pacing rate. A controller sends nothing, keeps no timer and draws no randomness. Users may
//! hand in their own; a configured value is the *prototype* of which each connection, and each new
//! path of a connection (R-PATH-2b), takes a copy.

mod bbr;
mod cubic;
mod delivery;
mod fixed;
mod hystart;
mod math;
mod newreno;
mod saved;

use super::rtt::RttSummary;
use alloc::boxed::Box;
use alloc::vec::Vec;
pub use bbr::Bbr;
use core::error::Error;
use core::fmt;
pub use cubic::Cubic;
pub use fixed::FixedRate;
pub use newreno::NewReno;
use tripline_sansio::{Duration, Instant};

/// A packet that counts for congestion control, as it goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SentPacket {
    /// Its number; numbers rise, some are left out.
    pub number: u64,
    /// Its size as a datagram, in bytes.
    pub bytes: u16,
    /// Bytes in flight, this packet included.
    pub in_flight: u64,
}

/// A packet acknowledged for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AckedPacket {
    /// Its number. A round trip is over when the largest number sent at its start is reached.
    pub number: u64,
    /// When it was sent.
    pub sent_at: Instant,
    /// Its size as a datagram, in bytes.
    pub bytes: u16,
    /// It was in flight while less than half of the window was in use for want of data: it proves
    /// nothing about a larger window (RFC 9002 §7.8).
    pub app_limited: bool,
}

/// A packet declared lost, or one declared lost earlier whose ACK came after all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LostPacket {
    /// Its number.
    pub number: u64,
    /// When it was sent.
    pub sent_at: Instant,
    /// Its size as a datagram, in bytes.
    pub bytes: u16,
    /// It searched for a larger path MTU; its loss is no congestion (R-MTU-1).
    pub mtu_probe: bool,
}

/// The network said that it is congested, by loss or by CE marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CongestionEvent {
    /// When the newest lost packet, or the newest one that a CE mark may be for, was sent. If that
    /// was before the last reduction, this event is part of the same congestion (RFC 9002 §7.3.2).
    pub sent_at: Instant,
    /// Bytes lost at once, MTU probes not counted. 0 for CE marks.
    pub lost_bytes: u64,
    /// Nothing got through for several probe timeouts (RFC 9002 §7.6).
    pub persistent: bool,
    /// By CE marks, not by loss (RFC 9002 §7.1).
    pub ecn: bool,
}

/// What one ACK frame brought, after the single packets were told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AckSummary {
    /// The largest number acknowledged so far.
    pub largest_acked: u64,
    /// Bytes newly acknowledged by this frame, of packets that were in flight.
    pub acked_bytes: u64,
    /// Bytes in flight now.
    pub in_flight: u64,
    /// The new round-trip sample, if the frame gave one.
    pub rtt_sample: Option<Duration>,
}

/// A saved state does not belong to this controller, or is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestoreError;

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the saved state is not one of this congestion controller")
    }
}

impl Error for RestoreError {}

/// A congestion controller.
///
/// Calls come in this order: for a packet sent, [`on_sent`](Self::on_sent) once; for an ACK frame,
/// [`on_spurious`](Self::on_spurious) and [`on_acked`](Self::on_acked) for each packet, newest
/// range first and rising within a range, then [`on_lost`](Self::on_lost) for each packet it showed
/// to be lost, then at most one [`on_congestion`](Self::on_congestion) each for loss and for CE
/// marks, then [`on_ack_end`](Self::on_ack_end). A loss timer brings `on_lost` and `on_congestion`
/// alone. Each packet that was sent is later acknowledged or lost exactly once; one that was lost
/// may be spurious once. Only packets that count as in flight are told.
///
/// A controller is plain data and depends on nothing but its calls, so that the same run gives the
/// same windows: it can be copied, saved and restored, and two controllers in the same state save
/// the same bytes.
pub trait Controller: fmt::Debug + Send + Sync {
    /// A copy in the same state.
    fn clone_box(&self) -> Box<dyn Controller>;

    /// Appends the whole state to `out`, the same bytes for the same state on every machine; what
    /// digests a connection hashes these.
    fn save(&self, out: &mut Vec<u8>);

    /// Takes over a state that [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// If `saved` is not what this kind of controller saves; the state is then unchanged.
    fn restore(&mut self, saved: &[u8]) -> Result<(), RestoreError>;

    /// The most bytes that may be in flight. Probes may pass it (RFC 9002 §7.5).
    fn window(&self) -> u64;

    /// Where slow start ends, in bytes, if this controller has such a threshold and it was reached
    /// once. Only for statistics.
    fn threshold(&self) -> Option<u64> {
        None
    }

    /// How fast packets may go out, in bytes per second; at least 1. By default 5/4 of the window
    /// in a smoothed round trip (RFC 9002 §7.7).
    fn pacing_rate(&self, rtt: &RttSummary) -> u64 {
        const FIVE: u64 = 5 * 1_000_000_000;
        let (nanos, window) = (rtt.smoothed.as_nanos().saturating_mul(4).max(1), self.window());
        // Asked at every drain, and a division of 128 bits is dear: 64 do up to windows of 3 GB.
        if let (Ok(nanos), Some(bytes)) = (u64::try_from(nanos), window.checked_mul(FIVE)) {
            return bytes.checked_div(nanos).unwrap_or(0).max(1);
        }
        let bytes = u128::from(window).saturating_mul(u128::from(FIVE));
        u64::try_from(bytes.checked_div(nanos).unwrap_or(0)).unwrap_or(u64::MAX).max(1)
    }

    /// A packet went out.
    fn on_sent(&mut self, now: Instant, packet: &SentPacket) {
        let _ = (now, packet);
    }

    /// The sender ran out of data with `in_flight` bytes out and room for more.
    fn on_app_limited(&mut self, now: Instant, in_flight: u64) {
        let _ = (now, in_flight);
    }

    /// A packet was acknowledged.
    fn on_acked(&mut self, now: Instant, packet: &AckedPacket, rtt: &RttSummary);

    /// A packet was lost. What follows from it for the window is said by
    /// [`on_congestion`](Self::on_congestion).
    fn on_lost(&mut self, now: Instant, packet: &LostPacket) {
        let _ = (now, packet);
    }

    /// A packet told by [`on_lost`](Self::on_lost) was not lost: a reduction may have been wrong.
    fn on_spurious(&mut self, now: Instant, packet: &LostPacket) {
        let _ = (now, packet);
    }

    /// The network is congested.
    fn on_congestion(&mut self, now: Instant, event: &CongestionEvent);

    /// All of an ACK frame was told.
    fn on_ack_end(&mut self, now: Instant, summary: &AckSummary, rtt: &RttSummary) {
        let _ = (now, summary, rtt);
    }

    /// The largest datagram of the path is now `bytes`.
    fn on_mtu(&mut self, bytes: u16);
}

impl Clone for Box<dyn Controller> {
    fn clone(&self) -> Self {
        self.clone_box()
    }
}

#[cfg(test)]
mod tests;
