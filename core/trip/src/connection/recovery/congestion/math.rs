//! Whole-number arithmetic of the controllers: products that do not overflow, rates, cube roots.
//! Everything saturates and nothing divides by zero.
#![deny(clippy::arithmetic_side_effects)]

use tripline_sansio::Duration;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// The initial window in bytes, unless two datagrams are more: the bound of RFC 9002 §7.2, which
/// for datagrams of less than 1,472 bytes takes ten of them. What a path gets at once is the same
/// here whatever the size that datagrams begin with, and does not change when they grow.
const INITIAL_BYTES: u64 = 14_720;

/// The least window, in datagrams (RFC 9002 §7.2, `kMinimumWindow`).
pub(super) const MINIMUM_DATAGRAMS: u64 = 2;

/// max(2 × mtu, 14,720) bytes (R-CC-1).
pub(super) fn initial_window(mtu: u64) -> u64 {
    mtu.saturating_mul(MINIMUM_DATAGRAMS).max(INITIAL_BYTES)
}

/// `value × numerator / denominator`, rounded down; nothing is lost between.
pub(super) fn scale(value: u64, numerator: u64, denominator: u64) -> u64 {
    let product = u128::from(value).saturating_mul(u128::from(numerator));
    let quotient = product.checked_div(u128::from(denominator)).unwrap_or(u128::MAX);
    u64::try_from(quotient).unwrap_or(u64::MAX)
}

/// The nanoseconds of a duration, `u64::MAX` if they are more.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// `duration` divided by `divisor`; nothing for no divisor.
pub(super) fn part(duration: Duration, divisor: u32) -> Duration {
    duration.checked_div(divisor).unwrap_or(Duration::ZERO)
}

/// How many bytes go through at `rate` bytes per second in `time`.
pub(super) fn bytes_in(rate: u64, time: Duration) -> u64 {
    scale(rate, nanos(time), NANOS_PER_SECOND)
}

/// The rate, in bytes per second, of `bytes` in `time`; `u64::MAX` for no time at all.
pub(super) fn rate(bytes: u64, time: Duration) -> u64 {
    scale(bytes, NANOS_PER_SECOND, nanos(time))
}

/// The cube root, rounded down.
pub(super) fn cube_root(value: u128) -> u64 {
    let mut root: u128 = 0;
    // The cube root of 2^128 has 43 bits; each is tried from the top.
    for bit in (0..43_u32).rev() {
        let tried = root | 1_u128.checked_shl(bit).unwrap_or(0);
        let cube = tried.checked_mul(tried).and_then(|square| square.checked_mul(tried));
        if cube.is_some_and(|cube| cube <= value) {
            root = tried;
        }
    }
    u64::try_from(root).unwrap_or(u64::MAX)
}

/// A number that looks random and depends on `seed` alone (the finaliser of SplitMix64). Two
/// senders differ because their packets do; nothing here is secret.
pub(super) const fn mix(seed: u64) -> u64 {
    let mut bits = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;

    #[test]
    fn cube_roots_are_exact() {
        for root in [0_u128, 1, 2, 3, 10, 999, 1 << 20, (1 << 42) - 1, 6_981_463_658_331] {
            let cube = root * root * root;
            assert_eq!(u128::from(cube_root(cube)), root);
            assert_eq!(u128::from(cube_root(cube + root)), root);
            if root > 0 {
                assert_eq!(u128::from(cube_root(cube - 1)), root - 1);
            }
        }
        assert_eq!(cube_root(u128::MAX), 6_981_463_658_331);
    }

    #[test]
    fn extremes_saturate() {
        assert_eq!(scale(u64::MAX, u64::MAX, 1), u64::MAX);
        assert_eq!(scale(u64::MAX, u64::MAX, u64::MAX), u64::MAX);
        assert_eq!(scale(7, 3, 0), u64::MAX);
        assert_eq!(scale(7, 3, 2), 10);
        assert_eq!(rate(5, Duration::ZERO), u64::MAX);
        assert_eq!(rate(1200, Duration::from_millis(10)), 120_000);
        assert_eq!(bytes_in(120_000, Duration::from_millis(10)), 1200);
        assert_eq!(bytes_in(u64::MAX, Duration::MAX), u64::MAX);
        assert_eq!(nanos(Duration::MAX), u64::MAX);
    }

    #[test]
    fn mixing_spreads() {
        let low = (0..1000).filter(|seed| mix(*seed).is_multiple_of(2)).count();
        assert!((450..550).contains(&low), "{low}");
        assert_ne!(mix(1), mix(2));
    }
}
