//! HyStart++ (RFC 9406): leaves the first slow start when round trips get longer, before packets
//! are lost, and in two steps, so that a moment's jitter costs little.
//!
//! In go the largest numbers sent and acknowledged and the round-trip samples; out comes by how
//! much the window grows, and when slow start is over. It knows no window and no losses.
#![deny(clippy::arithmetic_side_effects)]

use super::math::part;
use super::saved::{Fields, Walk};
use tripline_sansio::Duration;
use tripline_sansio::codec::ReadError;

/// `MIN_RTT_THRESH`: a rise below this is noise.
const RISE_LEAST: Duration = Duration::from_millis(4);

/// `MAX_RTT_THRESH`: a rise above this is none.
const RISE_MOST: Duration = Duration::from_millis(16);

/// `MIN_RTT_DIVISOR`: between the two, the rise that counts is this part of the round trip.
const RISE_DIVISOR: u32 = 8;

/// `N_RTT_SAMPLE`: so many samples make a round's minimum worth comparing.
const SAMPLES: u64 = 8;

/// `CSS_GROWTH_DIVISOR`: conservative slow start grows this much more slowly.
const CAREFUL_DIVISOR: u64 = 4;

/// `CSS_ROUNDS`: conservative slow start ends after so many rounds, the first partial one included.
const CAREFUL_ROUNDS: u64 = 5;

/// No sample yet.
const NONE: Duration = Duration::MAX;

/// The round trips of the first slow start.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct HyStart {
    /// Slow start was left: nothing is watched any more.
    done: bool,
    /// Conservative slow start began at this minimum.
    careful: Option<Duration>,
    careful_rounds: u64,
    largest_sent: u64,
    /// The round is over when this number is acknowledged.
    round_end: u64,
    last_min: Duration,
    min: Duration,
    samples: u64,
}

impl HyStart {
    /// At the start of a connection.
    pub(super) const fn new() -> Self {
        Self {
            done: false,
            careful: None,
            careful_rounds: 0,
            largest_sent: 0,
            round_end: 0,
            last_min: NONE,
            min: NONE,
            samples: 0,
        }
    }

    /// A packet went out.
    pub(super) fn on_sent(&mut self, number: u64) {
        self.largest_sent = self.largest_sent.max(number);
    }

    /// By how much the window grows for `bytes` acknowledged in slow start (RFC 9406 §4.2). There
    /// is no limit `L` on a burst: packets are paced.
    pub(super) const fn growth(&self, bytes: u64) -> u64 {
        if self.careful.is_some() && !self.done { bytes / CAREFUL_DIVISOR } else { bytes }
    }

    /// Slow start ended for another reason; later ones are ordinary (RFC 9406 §4.3).
    pub(super) fn finish(&mut self) {
        self.done = true;
    }

    /// All of an ACK frame was told. Returns whether slow start is over now.
    pub(super) fn on_ack(&mut self, largest_acked: u64, sample: Option<Duration>) -> bool {
        if self.done {
            return false;
        }
        if let Some(sample) = sample {
            self.min = self.min.min(sample);
            self.samples = self.samples.saturating_add(1);
        }
        if self.samples >= SAMPLES && self.last_min != NONE {
            self.judge();
        }
        if largest_acked >= self.round_end {
            self.end_round();
        }
        self.done
    }

    fn judge(&mut self) {
        match self.careful {
            None => {
                let rise = part(self.last_min, RISE_DIVISOR).clamp(RISE_LEAST, RISE_MOST);
                if self.min >= self.last_min.saturating_add(rise) {
                    self.careful = Some(self.min);
                    self.careful_rounds = 0;
                }
            }
            // The rise was a passing one: on at full speed.
            Some(baseline) if self.min < baseline => self.careful = None,
            Some(_) => (),
        }
    }

    fn end_round(&mut self) {
        self.round_end = self.largest_sent;
        self.last_min = self.min;
        self.min = NONE;
        self.samples = 0;
        if self.careful.is_some() {
            self.careful_rounds = self.careful_rounds.saturating_add(1);
            self.done = self.careful_rounds >= CAREFUL_ROUNDS;
        }
    }
}

impl Fields for HyStart {
    fn walk(&mut self, walk: &mut Walk<'_>) -> Result<(), ReadError> {
        walk.flag(&mut self.done)?;
        walk.option(&mut self.careful, Duration::ZERO, Walk::duration)?;
        walk.all(&mut [
            &mut self.careful_rounds,
            &mut self.largest_sent,
            &mut self.round_end,
            &mut self.samples,
        ])?;
        for time in [&mut self.last_min, &mut self.min] {
            let missing = *time == NONE;
            let mut kept = (!missing).then_some(*time);
            walk.option(&mut kept, Duration::ZERO, Walk::duration)?;
            *time = kept.unwrap_or(NONE);
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// One round with `count` packets in flight, each acknowledged after `rtt` and followed by
    /// another; returns whether slow start ended in it.
    fn round(start: &mut HyStart, count: u64, rtt: Duration) -> bool {
        if start.largest_sent == 0 {
            start.on_sent(count);
            start.on_ack(0, None);
        }
        loop {
            let done = start.on_ack(start.largest_sent + 1 - count, Some(rtt));
            start.on_sent(start.largest_sent + 1);
            if done || start.samples == 0 {
                return done;
            }
        }
    }

    /// RFC 9406 §4.2: a rise of an eighth, but at least 4 ms and at most 16 ms, over a whole round
    /// slows the growth to a quarter, and five rounds later slow start is over.
    #[test]
    fn a_rise_ends_slow_start_in_two_steps() {
        for (before, after, careful) in [
            (80, 89, false),
            (80, 90, true),
            (8, 11, false),
            (8, 12, true),
            (400, 415, false),
            (400, 416, true),
        ] {
            let mut start = HyStart::new();
            assert!(!round(&mut start, 10, ms(before)));
            assert!(!round(&mut start, 10, ms(before)));
            assert!(!round(&mut start, 10, ms(after)));
            let growth = if careful { 300 } else { 1200 };
            assert_eq!(start.growth(1200), growth, "{before} ms, then {after} ms");
            let mut more = 0;
            while careful && !round(&mut start, 10, ms(after)) {
                more += 1;
                assert!(more < 9);
            }
            assert_eq!(more, if careful { 3 } else { 0 }, "the partial round counts");
        }
    }

    /// RFC 9406 §4.2: a shorter round trip in conservative slow start takes it back.
    #[test]
    fn a_passing_rise_is_taken_back() {
        let mut start = HyStart::new();
        round(&mut start, 10, ms(50));
        round(&mut start, 10, ms(70));
        assert_eq!(start.growth(1200), 300);
        round(&mut start, 10, ms(69));
        assert_eq!(start.growth(1200), 1200);
    }

    /// Fewer than eight samples prove nothing.
    #[test]
    fn few_samples_prove_nothing() {
        let mut start = HyStart::new();
        for rtt in 1..40 {
            assert!(!round(&mut start, 7, ms(50 * rtt)));
        }
        assert_eq!(start.growth(1200), 1200);
    }
}
