//! Packet numbers as they travel: the low 2 or 4 bytes, and how the rest is guessed back.
//!
//! In goes a number and what is known of the other side, out comes the short form, or the other way
//! round. A wrong guess does no harm: the number is the nonce, so the packet does not verify.

/// Packet numbers lie below this (R-DATA-2).
pub(crate) const NUMBER_LIMIT: u64 = 1 << 62;

/// As long as a number is less than this above the largest acknowledged, two bytes do (R-DATA-3):
/// half of what two bytes could bear, the rest is for reordering.
const SHORT_DISTANCE: u64 = 1 << 14;

/// A packet number as in the header of DATA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Truncated {
    /// The low two bytes.
    Short(u16),
    /// The low four bytes; the header's bit `L` is set.
    Long(u32),
}

impl Truncated {
    /// The short form of `number` for a peer that is known to have received `acked` and everything
    /// that made it the largest (nothing yet: `None`). R-DATA-3.
    pub(crate) fn of(number: u64, acked: Option<u64>) -> Self {
        let next = acked.map_or(0, |acked| acked.saturating_add(1));
        // `next` is one above the largest, so this is the distance to the largest less one.
        let [.., a, b, c, d] = number.to_be_bytes();
        if number.saturating_sub(next).saturating_add(1) < SHORT_DISTANCE {
            Self::Short(u16::from_be_bytes([c, d]))
        } else {
            Self::Long(u32::from_be_bytes([a, b, c, d]))
        }
    }

    /// How many bytes it takes on the wire.
    pub(crate) const fn len(self) -> usize {
        match self {
            Self::Short(_) => 2,
            Self::Long(_) => 4,
        }
    }

    /// The number nearest to the one after `verified`, the largest that ever verified, that has this
    /// short form (RFC 9000 §A.3); `None` if it would not be below [`NUMBER_LIMIT`].
    pub(crate) fn rebuild(self, verified: Option<u64>) -> Option<u64> {
        let expected = verified.map_or(0, |verified| verified.saturating_add(1));
        let (low, window) = match self {
            Self::Short(low) => (u64::from(low), 1u64 << 16),
            Self::Long(low) => (u64::from(low), 1u64 << 32),
        };
        let half = window >> 1;
        let mask = window.wrapping_sub(1);
        let candidate = (expected & !mask) | low;
        let number = if candidate.saturating_add(half) <= expected
            && candidate < NUMBER_LIMIT.saturating_sub(window)
        {
            candidate.saturating_add(window)
        } else if candidate > expected.saturating_add(half) {
            // Where there is no lower number of this form, the higher one stands.
            candidate.checked_sub(window).unwrap_or(candidate)
        } else {
            candidate
        };
        (number < NUMBER_LIMIT).then_some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::random;
    use super::*;
    use Truncated::{Long, Short};

    /// RFC 9000 §A.3: its example, and the same at the width of four bytes.
    #[test]
    fn r_data_3_example_of_rfc_9000() {
        assert_eq!(Short(0x9b32).rebuild(Some(0xa82f_30ea)), Some(0xa82f_9b32));
        assert_eq!(Long(0x9b32_0000).rebuild(Some(0xa82f_30ea_0000)), Some(0xa82f_9b32_0000));
    }

    /// RFC 9000 §A.2's example has 29,519 packets unacknowledged and so takes two bytes there; here
    /// the border is 2^14, so it takes four.
    #[test]
    fn r_data_3_two_bytes_up_to_the_border_and_four_from_it_on() {
        assert_eq!(Truncated::of(0xac5c02, Some(0xabe8b3)), Long(0xac5c02));
        for acked in [0, 1, 77, 1 << 16, 1 << 40, NUMBER_LIMIT - (1 << 15)] {
            let last = acked + (1 << 14) - 1;
            assert_eq!(Truncated::of(last, Some(acked)).len(), 2, "{acked}");
            assert_eq!(Truncated::of(last + 1, Some(acked)).len(), 4, "{acked}");
            assert_eq!(Truncated::of(acked, Some(acked)).len(), 2, "a number again is short");
        }
        assert_eq!(Truncated::of((1 << 14) - 2, None), Short(0x3ffe));
        assert_eq!(Truncated::of((1 << 14) - 1, None), Long(0x3fff));
        assert_eq!(Truncated::of(u64::MAX, Some(u64::MAX)), Short(0xffff));
    }

    /// R-DATA-3: a number comes back if, and only if, it lies within half a window of the expected.
    #[test]
    fn r_data_3_rebuilds_exactly_within_half_a_window() {
        let mut random = random(7);
        for round in 0..20_000u64 {
            let long = random.chance(1, 2);
            let half: u64 = if long { 1 << 31 } else { 1 << 15 };
            let magnitude = random.below(62);
            let base = match round % 4 {
                0 => NUMBER_LIMIT - 1 - random.below(4 * half),
                1 => random.below(4 * half),
                _ => random.below(1 << magnitude.max(1)),
            };
            let expected = base;
            let edge = [0, 1, half - 1, half, half + 1, 2 * half, random.below(2 * half)];
            let away = edge[random.below(7) as usize];
            let number = match random.chance(1, 2) {
                true => expected.saturating_add(away).min(NUMBER_LIMIT - 1),
                false => expected.saturating_sub(away),
            };
            let short = if long { Long(number as u32) } else { Short(number as u16) };
            let rebuilt = short.rebuild(expected.checked_sub(1));
            let inside = number + half > expected && number <= expected + half;
            // Next to the ends of the numbers there may be no other candidate.
            let at_end = expected < half || expected + half >= NUMBER_LIMIT;
            if inside || !at_end {
                assert_eq!(
                    rebuilt == Some(number),
                    inside,
                    "round {round}: {number} expected {expected}: {rebuilt:?}"
                );
            }
        }
    }

    /// What a sender chooses by the ACKs it saw, a receiver at any later state reads, as long as no
    /// more than the window of packets is under way.
    #[test]
    fn r_data_3_what_a_sender_chooses_a_receiver_reads() {
        let mut random = random(8);
        for round in 0..20_000u64 {
            let bits = 1 + random.below(61);
            let acked = random.below(1 << bits).checked_sub(1);
            let next = acked.map_or(0, |acked| acked + 1);
            let reach_bits = random.below(20);
            let number = next + random.below(1 << reach_bits);
            // The receiver verified at least what it acknowledged, and may be ahead of this packet
            // by what is under way.
            let lead = random.below(1 << 14);
            let from = acked.unwrap_or(0);
            let verified = from + random.below(number - from + lead + 1);
            let short = Truncated::of(number, acked);
            assert_eq!(
                short.rebuild(Some(verified)),
                Some(number),
                "round {round}: {number} acked {acked:?} verified {verified}"
            );
            if acked.is_none() {
                assert_eq!(short.rebuild(None), Some(number), "round {round}: {number}");
            }
        }
    }

    /// R-DATA-2: nothing at or above 2^62 is a number, whatever was verified before.
    #[test]
    fn r_data_2_no_number_reaches_the_limit() {
        let last = NUMBER_LIMIT - 1;
        assert_eq!(Short(0xffff).rebuild(Some(last)), Some(last));
        assert_eq!(Short(0).rebuild(Some(last)), None);
        assert_eq!(Long(5).rebuild(Some(last)), None);
        assert_eq!(Short(0).rebuild(Some(last - 1)), Some(last & !0xffff));
        for verified in [None, Some(0), Some(last), Some(NUMBER_LIMIT), Some(u64::MAX)] {
            for low in [0, 1, 0x7fff, 0x8000, 0xffff] {
                let numbers = [Short(low), Long(u32::from(low) << 16)].map(|n| n.rebuild(verified));
                assert!(numbers.iter().flatten().all(|number| *number < NUMBER_LIMIT));
            }
        }
    }
}
