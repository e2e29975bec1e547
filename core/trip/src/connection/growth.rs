//! Windows of credit that grow with the path (R-CREDIT-5): a fixed one caps a connection at one
//! window in a round trip, however fast the path and the reader are.
//!
//! In go what was consumed, the time and the round trip; out comes the window to grant by. It
//! grants nothing itself. A window doubles when all of it was turned over (granted, sent, and taken
//! by the reader) in less than [`TURNOVER_RTTS`] round trips: then it, and not the path or the
//! reader, may have been what held the sender back. So it ends between two and four times what the
//! path holds, never shrinks, and never passes its maximum, which bounds the memory that a peer may
//! claim (R-CREDIT-4). A reader that is slow turns nothing over, and gets no more.
#![deny(clippy::arithmetic_side_effects)]

use tripline_sansio::{Duration, Instant};

/// A window that lasts for this many round trips is large enough.
const TURNOVER_RTTS: u32 = 2;

/// How fast one window is turned over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Growth {
    /// The largest window, in bytes; a window above it stays as it is.
    most: u64,
    /// When the turn in progress began, and what had been consumed by then.
    turn: Option<(Instant, u64)>,
}

impl Growth {
    /// Up to `most` bytes.
    pub(crate) fn up_to(most: u64) -> Self {
        Self { most, turn: None }
    }

    /// A grant is about to go out `now`, with `consumed` bytes consumed and a window of `window`:
    /// the window to grant by. `rtt` is `None` before the first sample; nothing grows by a guess.
    pub(crate) fn on_grant(
        &mut self,
        now: Instant,
        consumed: u64,
        window: u64,
        rtt: Option<Duration>,
    ) -> u64 {
        let Some((began, from)) = self.turn else {
            self.turn = Some((now, consumed));
            return window;
        };
        if consumed.saturating_sub(from) < window {
            return window;
        }
        self.turn = Some((now, consumed));
        let took = now.saturating_duration_since(began);
        let is_short = rtt.is_some_and(|rtt| took < rtt.saturating_mul(TURNOVER_RTTS));
        if is_short { window.saturating_mul(2).min(self.most).max(window) } else { window }
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    const RTT: Duration = Duration::from_millis(100);

    /// The windows of a reader that takes `rate` bytes a millisecond for `millis`, on a path of
    /// 100 ms whose sender is held back by nothing but the window.
    fn windows(start: u64, most: u64, rate: u64, millis: u64) -> Vec<u64> {
        let (mut growth, mut window) = (Growth::up_to(most), start);
        let (mut consumed, mut granted) = (0, start);
        let mut windows = Vec::from([start]);
        // One window a round trip, or the rate of the reader.
        for now in 0..millis {
            consumed += rate.min(window / 100);
            let at = Instant::from_nanos(now * 1_000_000);
            if (consumed + window).saturating_sub(granted) >= window / 4 {
                window = growth.on_grant(at, consumed, window, Some(RTT));
                granted = consumed + window;
                windows.push(window);
            }
        }
        windows.dedup();
        windows
    }

    /// R-CREDIT-5: it doubles until it lasts for two round trips, and then stays.
    #[test]
    fn r_credit_5_a_window_grows_to_twice_what_the_path_holds() {
        // 10,000 bytes a millisecond: the path holds 1 MB.
        let grown = windows(64_000, u64::MAX, 10_000, 20_000);
        assert_eq!(grown, [64_000, 128_000, 256_000, 512_000, 1_024_000, 2_048_000]);
    }

    /// R-CREDIT-5: the maximum holds, a slow reader gets no more, and a window that is above the
    /// maximum already stays.
    #[test]
    fn r_credit_5_bounds_and_slow_readers() {
        assert_eq!(windows(64_000, 300_000, 10_000, 20_000), [64_000, 128_000, 256_000, 300_000]);
        assert_eq!(windows(64_000, 64_000, 10_000, 20_000), [64_000]);
        assert_eq!(windows(64_000, 0, 10_000, 20_000), [64_000]);
        assert_eq!(windows(64_000, u64::MAX, 100, 20_000), [64_000], "640 ms a window");
    }

    #[test]
    fn nothing_grows_before_the_round_trip_is_known() {
        let mut growth = Growth::up_to(u64::MAX);
        for turn in 0..20 {
            let at = Instant::from_nanos(turn);
            assert_eq!(growth.on_grant(at, turn * 1_000, 1_000, None), 1_000);
        }
    }

    proptest! {
        /// Whatever comes: never smaller, at most doubled, never past the maximum.
        #[test]
        fn windows_never_shrink_nor_pass_the_maximum(
            start in 1_u64..u64::MAX,
            most in any::<u64>(),
            steps in prop::collection::vec(any::<(u64, u64, Option<u32>)>(), 0..40),
        ) {
            let (mut growth, mut window) = (Growth::up_to(most), start);
            for (now, consumed, rtt) in steps {
                let rtt = rtt.map(|nanos| Duration::from_nanos(nanos.into()));
                let next = growth.on_grant(Instant::from_nanos(now), consumed, window, rtt);
                prop_assert!(next >= window && next <= window.saturating_mul(2));
                prop_assert!(next <= most.max(start));
                window = next;
            }
        }
    }
}
