//! Which packet numbers a sender leaves out, so that a peer that acknowledges what it has not seen
//! is found out (R-ACK-2; RFC 9000 §21.4).
//!
//! In go the window and a draw; out comes the next number to skip. Each number left out is a gap in
//! the peer's ranges until it knows that we know, so large windows leave out no more of them than
//! small ones: about one a window, and never so many that its 64 ranges run over.
#![deny(clippy::arithmetic_side_effects)]

use tripline_sansio::Random;

/// At least so many numbers lie between two that are left out.
const GAP_MIN: u64 = 16;

/// Small windows are taken for this many packets: a gap has its price too.
const WINDOW_MIN: u64 = 256;

/// And large ones for this many: more packets are never in flight.
const WINDOW_MAX: u64 = super::sent::PACKETS_MAX as u64;

/// The next number to leave out, where `from` is the next to be used and the window holds about
/// `packets`: 16 + a draw below two windows, so one a window on average.
pub(crate) fn next_left_out(from: u64, packets: u64, random: &mut Random) -> u64 {
    let spread = packets.clamp(WINDOW_MIN, WINDOW_MAX).saturating_mul(2);
    from.saturating_add(GAP_MIN).saturating_add(random.below(spread))
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::super::received::RANGES_MAX;
    use super::super::sent::{SentPackets, Shape};
    use super::*;
    use alloc::vec::Vec;
    use tripline_sansio::{Instant, Seed};

    /// After how many packets a peer is caught that acknowledges all that may have been sent.
    fn caught_after(seed: u64, packets: u64) -> u64 {
        let mut random = Seed::from_number(seed).random("left out");
        let mut sent = SentPackets::<()>::new(0);
        let mut leave_out = next_left_out(0, packets, &mut random);
        for count in 0..u64::MAX {
            if sent.next_number() >= leave_out {
                sent.leave_out(1);
                leave_out = next_left_out(sent.next_number(), packets, &mut random);
            }
            sent.begin();
            sent.finish(Instant::from_nanos(count), Shape { bytes: 1_200, ..Shape::default() });
            let all = 0..sent.next_number();
            if sent.check_ack(core::iter::once(all)).is_err() {
                return count;
            }
        }
        u64::MAX
    }

    /// R-ACK-2a: whatever the window, who acknowledges the unseen is caught about once a window.
    #[test]
    fn r_ack_2a_one_number_a_window() {
        for packets in [10, 256, 4_000, 60_000] {
            let window = packets.max(WINDOW_MIN);
            let caught: Vec<u64> = (0..60).map(|seed| caught_after(seed, packets)).collect();
            let mean = caught.iter().sum::<u64>() / 60;
            assert!((window * 3 / 4..window * 5 / 4 + 16).contains(&mean), "{packets}: {mean}");
            assert!(caught.iter().all(|count| *count <= 2 * window + GAP_MIN), "{packets}");
        }
    }

    /// R-ACK-1a: the gaps of a whole window fit the ranges of one ACK, many times over.
    #[test]
    fn the_gaps_of_a_window_fit_an_ack() {
        let mut random = Seed::from_number(7).random("left out");
        for packets in [10, 600, 60_000, u64::MAX] {
            let (mut gaps, mut next) = (0, 0);
            let window = packets.min(WINDOW_MAX);
            while next < window {
                next = next_left_out(next, packets, &mut random);
                gaps += 1;
            }
            assert!(gaps < RANGES_MAX / 4, "{packets}: {gaps}");
        }
    }
}
