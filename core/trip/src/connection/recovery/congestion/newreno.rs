//! NewReno as RFC 9002 §7 and appendix B have it: slow start, a recovery period of one round trip
//! for each reduction, congestion avoidance by one datagram a round trip.
#![deny(clippy::arithmetic_side_effects)]

use super::math::{MINIMUM_DATAGRAMS, initial_window, scale};
use super::{AckedPacket, CongestionEvent, Controller, RestoreError};
use crate::connection::recovery::rtt::RttSummary;
use alloc::boxed::Box;
use alloc::vec::Vec;
use tripline_sansio::Instant;
use tripline_sansio::codec::{ReadError, Reader, Writer};

/// The first byte of a saved state.
const SAVED_MARK: u8 = 1;

/// The NewReno controller of RFC 9002.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NewReno {
    /// The largest datagram, in bytes.
    mtu: u64,
    window: u64,
    /// Slow start ends here, in bytes.
    threshold: u64,
    /// Bytes acknowledged in congestion avoidance since the window last grew.
    credit: u64,
    /// When the window was last reduced: packets sent until then belong to that event.
    recovery_from: Option<Instant>,
}

impl NewReno {
    /// A controller at its initial window, for datagrams of `mtu` bytes at most.
    pub fn new(mtu: u16) -> Self {
        Self::fresh(u64::from(mtu.max(1)))
    }

    fn fresh(mtu: u64) -> Self {
        Self {
            mtu,
            window: initial_window(mtu),
            threshold: u64::MAX,
            credit: 0,
            recovery_from: None,
        }
    }

    const fn minimum(&self) -> u64 {
        self.mtu.saturating_mul(MINIMUM_DATAGRAMS)
    }

    /// Whether a packet sent at `at` went out before the last reduction took effect.
    fn is_in_recovery(&self, at: Instant) -> bool {
        self.recovery_from.is_some_and(|from| at <= from)
    }

    /// Congestion avoidance (RFC 9002 §7.3.3): one datagram for each window acknowledged.
    fn avoid(&mut self, bytes: u64) {
        self.credit = self.credit.saturating_add(bytes);
        if let Some(rest) = self.credit.checked_sub(self.window) {
            self.credit = rest;
            self.window = self.window.saturating_add(self.mtu);
        }
    }
}

/// The state that [`NewReno::save`] wrote; `None` if the bytes read well and mean no state.
fn read(saved: &[u8]) -> Result<Option<NewReno>, ReadError> {
    let mut saved = Reader::new(saved);
    let mark = saved.u8()?;
    let mut state = NewReno {
        mtu: saved.u64()?,
        window: saved.u64()?,
        threshold: saved.u64()?,
        credit: saved.u64()?,
        recovery_from: None,
    };
    let flag = saved.u8()?;
    if flag == 1 {
        state.recovery_from = Some(Instant::from_nanos(saved.u64()?));
    }
    let sound = state.mtu > 0 && state.window >= state.minimum();
    Ok((mark == SAVED_MARK && flag <= 1 && sound && saved.is_empty()).then_some(state))
}

impl Controller for NewReno {
    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn save(&self, out: &mut Vec<u8>) {
        let mut out = Writer::new(out);
        out.u8(SAVED_MARK).u64(self.mtu).u64(self.window).u64(self.threshold).u64(self.credit);
        match self.recovery_from {
            Some(from) => out.u8(1).u64(from.as_nanos()),
            None => out.u8(0),
        };
    }

    fn restore(&mut self, saved: &[u8]) -> Result<(), RestoreError> {
        *self = read(saved).map_err(|_| RestoreError)?.ok_or(RestoreError)?;
        Ok(())
    }

    /// After the first reduction, what the window and the progress towards its next datagram come
    /// to, as the nearest whole number of datagrams: no part of one can be sent, and always to
    /// round down would cost small windows a tenth of their rate.
    fn window(&self) -> u64 {
        if self.threshold == u64::MAX {
            return self.window;
        }
        let progress = scale(self.mtu, self.credit, self.window.max(1));
        let exact = self.window.saturating_add(progress);
        let datagrams = exact.saturating_add(self.mtu / 2).checked_div(self.mtu).unwrap_or(0);
        datagrams.saturating_mul(self.mtu).max(self.minimum())
    }

    fn threshold(&self) -> Option<u64> {
        (self.threshold != u64::MAX).then_some(self.threshold)
    }

    fn on_acked(&mut self, _now: Instant, packet: &AckedPacket, _rtt: &RttSummary) {
        // RFC 9002 §7.8 and §7.3.2: neither an unused window nor one in recovery grows.
        if packet.app_limited || self.is_in_recovery(packet.sent_at) {
            return;
        }
        let bytes = u64::from(packet.bytes);
        if self.window < self.threshold {
            self.window = self.window.saturating_add(bytes);
        } else {
            self.avoid(bytes);
        }
    }

    fn on_congestion(&mut self, now: Instant, event: &CongestionEvent) {
        if !self.is_in_recovery(event.sent_at) {
            self.recovery_from = Some(now);
            self.window = (self.window / 2).max(self.minimum());
            self.threshold = self.window;
            // The same part of the way to the next datagram: half as many bytes, of half as many.
            self.credit /= 2;
        }
        if event.persistent {
            // RFC 9002 §7.6.2 and B.8: from the minimum window, in slow start, at once.
            self.window = self.minimum();
            self.credit = 0;
            self.recovery_from = None;
        }
    }

    fn on_mtu(&mut self, bytes: u16) {
        if *self == Self::fresh(self.mtu) {
            // RFC 9002 §7.2: an initial window is reckoned anew with the new size.
            *self = Self::new(bytes);
        } else {
            self.mtu = u64::from(bytes.max(1));
            self.window = self.window.max(self.minimum());
        }
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::String;
    use tripline_sansio::Duration;

    const RTT: RttSummary = RttSummary {
        latest: Duration::from_millis(100),
        min: Duration::from_millis(100),
        smoothed: Duration::from_millis(100),
        variation: Duration::ZERO,
    };

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    /// `count` packets of 1,200 bytes sent at `sent` are acknowledged 100 ms later.
    fn ack(reno: &mut NewReno, sent: u64, count: u64) {
        for number in 0..count {
            let packet = AckedPacket { number, sent_at: at(sent), bytes: 1200, app_limited: false };
            reno.on_acked(at(sent + 100), &packet, &RTT);
        }
    }

    /// A controller with a window of ten datagrams, for round figures.
    fn ten() -> NewReno {
        NewReno { window: 12_000, ..NewReno::new(1200) }
    }

    fn lose(reno: &mut NewReno, now: u64, sent: u64, persistent: bool) {
        let event = CongestionEvent { sent_at: at(sent), lost_bytes: 1200, persistent, ecn: false };
        reno.on_congestion(at(now), &event);
    }

    /// R-CC-1: 14,720 bytes (RFC 9002 §7.2), at least two datagrams.
    #[test]
    fn initial_window_follows_the_datagram_size() {
        for (mtu, window) in [(1200, 14_720), (1472, 14_720), (1500, 14_720), (9000, 18_000)] {
            assert_eq!(NewReno::new(mtu).window(), window, "mtu {mtu}");
            let mut moved = NewReno::new(1200);
            moved.on_mtu(mtu);
            assert_eq!(moved, NewReno::new(mtu));
        }
    }

    /// The whole life in one table: window and threshold after each round trip of 100 ms, all of
    /// the window acknowledged each time, worked out by hand from RFC 9002 §7 and B.5 to B.8.
    #[test]
    fn golden_trajectory() {
        let mut reno = ten();
        let mut lines = String::new();
        for round in 0..12_u64 {
            match round {
                3 => {
                    // Two events of the same round trip are one reduction (§7.3.2).
                    lose(&mut reno, 300, 250, false);
                    lose(&mut reno, 310, 290, false);
                    // Sent before the reduction: acknowledged without growth.
                    ack(&mut reno, 290, 40);
                }
                8 => lose(&mut reno, 800, 790, true),
                _ => {
                    let packets = reno.window / 1200;
                    ack(&mut reno, round * 100 + 20, packets);
                }
            }
            let threshold = if reno.threshold == u64::MAX { 0 } else { reno.threshold };
            lines += &format!("{round} {} {threshold}\n", reno.window);
        }
        // Slow start doubles; loss halves 96,000; then + 1,200 a round (with the rest of 1,200 and
        // less carried over); persistent congestion: 2 datagrams, half of the window as threshold.
        let golden = "0 24000 0\n1 48000 0\n2 96000 0\n3 48000 48000\n4 49200 48000\n\
                      5 50400 48000\n6 51600 48000\n7 52800 48000\n8 2400 26400\n\
                      9 4800 26400\n10 9600 26400\n11 19200 26400\n";
        assert_eq!(lines, golden);
    }

    /// RFC 9002 §7.8: application-limited packets do not grow the window.
    #[test]
    fn app_limited_does_not_grow() {
        let mut reno = NewReno::new(1200);
        let packet = AckedPacket { number: 0, sent_at: at(0), bytes: 1200, app_limited: true };
        reno.on_acked(at(100), &packet, &RTT);
        assert_eq!(reno, NewReno::new(1200));
    }

    /// RFC 9002 B.5: what was sent in the very instant of the reduction still belongs to it.
    #[test]
    fn recovery_includes_its_first_instant() {
        let mut reno = ten();
        assert_eq!(Controller::threshold(&reno), None);
        lose(&mut reno, 300, 250, false);
        assert_eq!(Controller::threshold(&reno), Some(6_000));
        let reduced = reno.clone();
        ack(&mut reno, 300, 40);
        lose(&mut reno, 400, 300, false);
        assert_eq!(reno, reduced);
        lose(&mut reno, 400, 301, false);
        assert_eq!(reno.window, reduced.window / 2);
    }

    /// A reduction takes the progress towards the next datagram along, and what cannot be sent of
    /// a datagram is rounded to the nearest: with 5 % of loss either cost a twentieth of the rate.
    #[test]
    fn r_cc_1_small_windows_lose_nothing_to_rounding() {
        let mut reno = ten();
        lose(&mut reno, 100, 99, false);
        assert_eq!(reno.window(), 6_000);
        // Two datagrams of five: 0.4 on the way to the sixth; three: 0.6.
        ack(&mut reno, 101, 2);
        assert_eq!((reno.window(), reno.credit), (6_000, 2_400));
        ack(&mut reno, 101, 1);
        assert_eq!((reno.window(), reno.credit), (7_200, 3_600));
        lose(&mut reno, 300, 299, false);
        // 2.5 and 0.6 datagrams.
        assert_eq!((reno.window, reno.credit), (3_000, 1_800));
        assert_eq!(reno.window(), 3_600);
    }

    /// RFC 9002 §7.2: the window never falls below two datagrams.
    #[test]
    fn minimum_window_holds() {
        let mut reno = NewReno::new(1200);
        for round in 1..40 {
            lose(&mut reno, round * 100, round * 100 - 1, false);
            assert!(reno.window() >= 2400);
        }
        assert_eq!(reno.window(), 2400);
        reno.on_mtu(1400);
        assert_eq!(reno.window(), 2800);
    }

    /// RFC 9002 §7.1: a CE mark reduces like a loss; §7.3.2: once per round trip.
    #[test]
    fn ecn_reduces_like_loss() {
        let (mut marked, mut lossy) = (ten(), ten());
        let event = CongestionEvent { sent_at: at(1), lost_bytes: 0, persistent: false, ecn: true };
        marked.on_congestion(at(100), &event);
        marked.on_congestion(at(101), &event);
        lose(&mut lossy, 100, 1, false);
        assert_eq!(marked, lossy);
        assert_eq!(marked.window(), 6000);
    }

    #[test]
    fn saved_state_comes_back_and_damage_is_refused() {
        let mut reno = NewReno::new(1200);
        lose(&mut reno, 100, 99, false);
        ack(&mut reno, 101, 3);
        for state in [reno, NewReno::new(1350)] {
            let mut saved = Vec::new();
            state.save(&mut saved);
            let mut restored = NewReno::new(1200);
            assert_eq!(restored.restore(&saved), Ok(()));
            assert_eq!(restored, state);
            for cut in 0..saved.len() {
                assert_eq!(restored.restore(&saved[..cut]), Err(RestoreError));
            }
            saved.push(0);
            assert_eq!(restored.restore(&saved), Err(RestoreError));
            assert_eq!(restored, state, "unchanged");
        }
    }

    /// RFC 9002 §7.7, and no division by nothing.
    #[test]
    fn pacing_follows_the_window() {
        let reno = ten();
        assert_eq!(reno.pacing_rate(&RTT), 150_000, "12,000 B / 100 ms * 5/4");
        let instant = RttSummary { smoothed: Duration::ZERO, ..RTT };
        assert_eq!(
            reno.pacing_rate(&instant),
            60_000_000_000_000,
            "as if it were a nanosecond / 4"
        );
        let vast = NewReno { window: u64::MAX, ..reno.clone() };
        assert_eq!(vast.pacing_rate(&instant), u64::MAX);
        let slow = RttSummary { smoothed: Duration::MAX, ..RTT };
        assert_eq!(reno.pacing_rate(&slow), 1, "never nothing");
        let boxed: Box<dyn Controller> = reno.clone_box();
        assert_eq!(boxed.clone().window(), reno.window());
    }
}
