//! The replay window: which packet numbers were taken already.
//!
//! In goes a number, out comes whether it is fresh. [`ReplayWindow::check`] changes nothing and may
//! be asked about anything that comes from the wire; [`ReplayWindow::accept`] is called only behind
//! a tag that verified, so nothing forged can move the window (R-DATA-3).

use crate::wire::NUMBER_LIMIT;
use alloc::vec::Vec;

/// How many numbers up to the largest are remembered one by one; older ones count as taken.
pub(crate) const WINDOW: u64 = 4096;

/// Bits in a word of the map.
const WORD: u64 = 64;
/// Words in the map: one more than the window has, as it rarely begins on a border of words.
const WORDS: usize = 65;
const _: () = assert!(RING == WINDOW / WORD + 1);
/// The same number, for reckoning with packet numbers.
const RING: u64 = WORDS as u64;

/// The numbers that were taken, of one direction of one connection, all zones together (R-DATA-2).
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ReplayWindow {
    /// A ring of words: number n is bit n % 64 of word (n / 64) % 65. Words above the one of the
    /// largest number are stale until the window moves there. It grows to its full size only as
    /// numbers do: words beyond its end are zero, and a connection that says little keeps little.
    words: Vec<u64>,
    largest: Option<u64>,
}

impl ReplayWindow {
    /// A window into which nothing has come.
    pub(crate) const fn new() -> Self {
        Self { words: Vec::new(), largest: None }
    }

    /// The largest number that was accepted.
    pub(crate) const fn largest(&self) -> Option<u64> {
        self.largest
    }

    /// Whether `number` may be accepted: a number (R-DATA-2), not too old, not taken before.
    pub(crate) fn check(&self, number: u64) -> bool {
        if number >= NUMBER_LIMIT {
            return false;
        }
        let Some(largest) = self.largest else { return true };
        if number > largest {
            return true;
        }
        let young = largest.saturating_sub(number) < WINDOW;
        young && self.words.get(place(number)).is_none_or(|word| word & bit(number) == 0)
    }

    /// Takes `number`, whose packet verified; `false`, and nothing changed, if [`Self::check`] says
    /// so.
    pub(crate) fn accept(&mut self, number: u64) -> bool {
        if !self.check(number) {
            return false;
        }
        self.move_to(number);
        self.grow_to(place(number));
        if let Some(word) = self.words.get_mut(place(number)) {
            *word |= bit(number);
        }
        true
    }

    /// Makes room for the word at `place`: twice as much as there was, so that this is rare, or the
    /// whole ring.
    fn grow_to(&mut self, place: usize) {
        let len = self.words.len();
        if place >= len {
            let len = place.saturating_add(1).max(len.saturating_mul(2)).min(WORDS);
            self.words.reserve_exact(len.saturating_sub(self.words.len()));
            self.words.resize(len, 0);
        }
    }

    /// Moves the upper end to `number` if that is higher, and clears what comes in: at most the
    /// whole ring, however far the jump.
    fn move_to(&mut self, number: u64) {
        let from = self.largest.map_or(0, |largest| largest / WORD);
        let to = number / WORD;
        for word in (from..to).take(WORDS) {
            // Beyond a whole ring it does not matter which words these are: it is all of them.
            if let Some(word) = self.words.get_mut(ring(word.saturating_add(1))) {
                *word = 0;
            }
        }
        self.largest = Some(self.largest.map_or(number, |largest| largest.max(number)));
    }
}

/// In which word of the ring the bit of `number` is.
fn place(number: u64) -> usize {
    ring(number / WORD)
}

/// Where in the ring the word of this index is.
fn ring(word: u64) -> usize {
    usize::try_from(word % RING).unwrap_or(0)
}

/// The bit of `number` in its word.
const fn bit(number: u64) -> u64 {
    1 << (number % WORD)
}

impl core::fmt::Debug for ReplayWindow {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "ReplayWindow(largest {:?})", self.largest)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::random;
    use super::*;
    use alloc::collections::BTreeSet;

    /// T37, R-DATA-3: each number once; a repeat changes nothing.
    #[test]
    fn t37_each_number_is_accepted_once() {
        let mut window = ReplayWindow::new();
        for number in [0, 1, 2, 63, 64, 65, 127, 128, 4095] {
            assert!(window.check(number) && window.accept(number), "{number}");
            let before = window.clone();
            assert!(!window.check(number) && !window.accept(number), "{number} again");
            assert_eq!(window, before);
        }
        assert_eq!(window.largest(), Some(4095));
        assert!(window.accept(3), "late, but new");
        assert_eq!(window.largest(), Some(4095));
    }

    /// T37: the edge, wherever it lies within a word: 4,095 below the largest is in, 4,096 is out.
    #[test]
    fn t37_the_window_is_exactly_4096_numbers() {
        for largest in WINDOW..WINDOW + 200 {
            let mut window = ReplayWindow::new();
            assert!(window.accept(largest));
            assert!(!window.check(largest - WINDOW), "{largest}");
            assert!(window.accept(largest - WINDOW + 1), "{largest}");
            assert!(!window.accept(largest - WINDOW + 1), "{largest}");
        }
    }

    /// T37: after a jump of any length everything inside the new window is fresh, nothing old is.
    #[test]
    fn t37_jumps_leave_nothing_stale() {
        let jumps = [1, 63, 64, 65, 4031, 4095, 4096, 4097, 4159, 4160, 4161, 8320, 1 << 32];
        for start in [0, 1, 63, 64, 5000] {
            for jump in jumps.into_iter().chain([NUMBER_LIMIT - 1 - start - WINDOW]) {
                let mut window = ReplayWindow::new();
                (start..start + WINDOW).for_each(|number| assert!(window.accept(number)));
                let top = start + WINDOW - 1 + jump;
                assert!(window.accept(top), "{start} {jump}");
                for number in top.saturating_sub(WINDOW + 70)..top {
                    let young = number > top - WINDOW;
                    let fresh = young && number >= start + WINDOW;
                    assert_eq!(window.check(number), fresh, "{start} {jump} {number}");
                }
            }
        }
    }

    /// R-DATA-2: 2^62 and above is never taken, and the largest number is no trouble.
    #[test]
    fn r_data_2_numbers_end_below_the_limit() {
        let mut window = ReplayWindow::new();
        for number in [NUMBER_LIMIT, NUMBER_LIMIT + 1, u64::MAX - 1, u64::MAX] {
            assert!(!window.check(number) && !window.accept(number));
        }
        assert_eq!(window, ReplayWindow::new());
        assert!(window.accept(NUMBER_LIMIT - 1) && window.accept(NUMBER_LIMIT - 2));
        assert!(!window.accept(NUMBER_LIMIT - 1) && !window.accept(NUMBER_LIMIT));
        assert!(!window.accept(0));
    }

    /// T37: against a set of all numbers ever accepted, over random walks with every kind of jump.
    #[test]
    fn t37_behaves_like_a_set() {
        for seed in 0..60 {
            let mut random = random(100 + seed);
            let (mut window, mut taken) = (ReplayWindow::new(), BTreeSet::new());
            let starts = [0, (1 << 32) - 2000, (1 << 60) - 2000, NUMBER_LIMIT - 9000];
            let mut at = starts[random.below(4) as usize];
            for step in 0..1500 {
                let number = match random.below(20) {
                    0..8 => at + 1,
                    8..13 => at.saturating_sub(random.below(130)),
                    13..16 => at.saturating_sub(random.below(2 * WINDOW)),
                    16 => (at + 2).saturating_sub(WINDOW).saturating_sub(random.below(4)),
                    17 => at + random.below(200),
                    18 => at + random.below(3 * WINDOW),
                    _ => random.bits64() >> random.below(64),
                };
                let largest = taken.last().copied();
                let fresh = number < NUMBER_LIMIT
                    && !taken.contains(&number)
                    && largest.is_none_or(|largest| number + WINDOW > largest);
                // A wild jump forward ends the interesting part; most are only asked about.
                let wild = number > at + 3 * WINDOW && !random.chance(1, 50);
                assert_eq!(window.check(number), fresh, "seed {seed} step {step}: {number}");
                if !wild {
                    assert_eq!(window.accept(number), fresh, "seed {seed} step {step}: {number}");
                    if fresh {
                        taken.insert(number);
                        at = at.max(number);
                    }
                }
                assert_eq!(window.largest(), taken.last().copied(), "seed {seed} step {step}");
            }
            assert!(taken.len() > 100, "seed {seed}: the walk went nowhere");
        }
    }
}
