//! Sets of packet numbers: a window of bits that slides upwards.

use std::collections::VecDeque;

/// How many numbers a set remembers: twice as many as an engine may have in flight.
pub(super) const SPAN: u64 = 1 << 17;
const WORD: u64 = 64;

/// A set of numbers; those too far below the largest are forgotten, and count as in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers {
    /// The number of the first bit, a multiple of 64.
    base: u64,
    words: VecDeque<u64>,
}

impl Numbers {
    /// Whether a number is in the set, or forgotten.
    pub(super) fn contains(&self, number: u64) -> bool {
        // One number lies in one word, so this is short: it is asked several times for each packet.
        number < self.base || self.word(number / WORD) >> (number % WORD) & 1 != 0
    }

    /// The lowest number of a range that is not in the set.
    pub(super) fn first_missing(&self, low: u64, high: u64) -> Option<u64> {
        let low = low.max(self.base);
        if low > high {
            return None;
        }
        let mut at = low;
        while at <= high {
            let word = self.word(at / WORD);
            let missing = !word >> (at % WORD);
            if missing != 0 {
                let found = at + u64::from(missing.trailing_zeros());
                return Some(found).filter(|found| *found <= high);
            }
            at = (at / WORD + 1) * WORD;
        }
        None
    }

    fn word(&self, index: u64) -> u64 {
        let at = index - self.base / WORD;
        self.words.get(at as usize).copied().unwrap_or(0)
    }

    /// Adds one number; whether it is new.
    pub(super) fn insert(&mut self, number: u64) -> bool {
        let index = (number.wrapping_sub(self.base) / WORD) as usize;
        let Some(word) = self.words.get_mut(index).filter(|_| number >= self.base) else {
            return self.insert_range(number, number);
        };
        let bit = 1 << (number % WORD);
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    /// Adds a range; whether any of it is new.
    pub(super) fn insert_range(&mut self, low: u64, high: u64) -> bool {
        self.insert_each(low, high, &mut |_| ())
    }

    /// The same; `each` is told those that are new, in their order.
    pub(super) fn insert_each(&mut self, low: u64, high: u64, each: &mut impl FnMut(u64)) -> bool {
        let low = low.max(self.base);
        if low > high {
            return false;
        }
        self.reach(high);
        let mut new = false;
        let mut at = low.max(self.base);
        while at <= high {
            let last = high.min(at / WORD * WORD + WORD - 1);
            let wanted = (u64::MAX >> (WORD - 1 - (last - at))) << (at % WORD);
            let index = (at / WORD - self.base / WORD) as usize;
            if let Some(word) = self.words.get_mut(index) {
                let mut fresh = wanted & !*word;
                new |= fresh != 0;
                *word |= wanted;
                while fresh != 0 {
                    each(at / WORD * WORD + u64::from(fresh.trailing_zeros()));
                    fresh &= fresh - 1;
                }
            }
            at = last + 1;
        }
        new
    }

    /// Makes room for a number at the top, and forgets what is too far below it.
    fn reach(&mut self, number: u64) {
        let end = self.base + self.words.len() as u64 * WORD;
        if number >= end + SPAN {
            self.words.clear();
            self.base = number / WORD * WORD;
        }
        while self.base + (self.words.len() as u64) * WORD <= number {
            self.words.push_back(0);
        }
        while self.words.len() as u64 * WORD > SPAN {
            self.words.pop_front();
            self.base += WORD;
        }
    }

    /// How many numbers of a range are not in the set.
    pub(super) fn missing(&self, low: u64, high: u64) -> u64 {
        let mut at = low.max(self.base);
        let mut missing = 0;
        while at <= high {
            let last = high.min(at / WORD * WORD + WORD - 1);
            let wanted = (u64::MAX >> (WORD - 1 - (last - at))) << (at % WORD);
            missing += u64::from((wanted & !self.word(at / WORD)).count_ones());
            at = last + 1;
        }
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use tripline_sansio::Seed;

    #[test]
    fn it_does_what_a_set_does() {
        let mut random = Seed::from_number(8).random("numbers");
        let (mut own, mut model) = (Numbers::default(), BTreeSet::new());
        for _ in 0..2_000 {
            let low = random.below(5_000);
            let high = low + random.below(200);
            if random.below(2) == 0 {
                let wanted: Vec<_> = (low..=high).filter(|one| model.insert(*one)).collect();
                let mut told = Vec::new();
                let is_new = own.insert_each(low, high, &mut |number| told.push(number));
                assert_eq!((is_new, told), (!wanted.is_empty(), wanted));
            }
            let missing = (low..=high).find(|number| !model.contains(number));
            assert_eq!(own.first_missing(low, high), missing);
            assert_eq!(own.contains(low), model.contains(&low));
            let known = model.range(low..=high).count() as u64;
            assert_eq!(own.missing(low, high), high + 1 - low - known);
        }
    }

    #[test]
    fn what_is_too_old_is_forgotten() {
        let mut own = Numbers::default();
        assert!(own.insert(0) && !own.insert(0) && !own.contains(1));
        assert!(own.insert(SPAN + 63));
        assert!(own.contains(1), "forgotten");
        assert!(!own.contains(SPAN), "in the window");
        assert!(own.insert(1 << 40) && !own.contains((1 << 40) + 1) && own.words.len() < 4);
    }
}
