//! What is remembered of calls that may come again: that they are being executed, or the answer.
//!
//! In go serials and answers; out comes what to do with a call that has this serial. Bounded by
//! count and bytes: what had to make room is known to be forgotten, and is never executed again
//! (R-CALL-6).
#![deny(clippy::arithmetic_side_effects)]

use crate::bounds::{KEPT_BYTES_MAX, KEPT_MAX};
use crate::slots::Key;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use bytes::Bytes;

/// An answer, as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Reply(Bytes),
    Fail { code: i32, detail: Bytes },
    Refuse { refusal: u64, detail: Bytes },
}

impl Answer {
    fn bytes(&self) -> usize {
        match self {
            Self::Reply(bytes)
            | Self::Fail { detail: bytes, .. }
            | Self::Refuse { detail: bytes, .. } => bytes.len(),
        }
    }
}

#[derive(Clone, Debug)]
enum Memory {
    Running(Key),
    Answered(Answer),
}

/// What to do with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// It was never here.
    New,
    Running(Key),
    Answered(Answer),
    /// It was here, and the answer is gone.
    Forgotten,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Keeper {
    memories: BTreeMap<u64, Memory>,
    /// Below this, what is not in the table was here.
    floor: u64,
    /// Below this the caller has all outcomes; never above `floor`.
    settled: u64,
    bytes: usize,
}

impl Keeper {
    pub(crate) fn len(&self) -> usize {
        self.memories.len()
    }

    /// A call with this serial comes in.
    pub(crate) fn look(&self, serial: u64) -> Known {
        match self.memories.get(&serial) {
            Some(Memory::Running(key)) => Known::Running(*key),
            Some(Memory::Answered(answer)) => Known::Answered(answer.clone()),
            None if serial < self.floor => Known::Forgotten,
            None => Known::New,
        }
    }

    pub(crate) fn begin(&mut self, serial: u64, key: Key) {
        self.memories.insert(serial, Memory::Running(key));
    }

    /// It was answered, and the answer is kept until the caller has it.
    pub(crate) fn keep(&mut self, serial: u64, answer: Answer) {
        if !self.memories.contains_key(&serial) {
            return;
        }
        self.bytes = self.bytes.saturating_add(answer.bytes());
        self.memories.insert(serial, Memory::Answered(answer));
        while self.memories.len() > KEPT_MAX || self.bytes > KEPT_BYTES_MAX {
            let answered = |(_, memory): &(&u64, &Memory)| matches!(memory, Memory::Answered(_));
            let Some(oldest) = self.memories.iter().find(answered).map(|(serial, _)| *serial)
            else {
                return;
            };
            self.floor = self.floor.max(oldest.saturating_add(1));
            self.forget(oldest);
        }
    }

    /// The caller has the outcomes of all calls below this serial. Which of them are still being
    /// executed: that it ends is for the requests' table to see. Each serial is looked at once.
    pub(crate) fn settle(&mut self, oldest: u64) -> Vec<Key> {
        if oldest <= self.settled {
            return Vec::new();
        }
        let range = self.settled..oldest;
        let below: Vec<u64> = self.memories.range(range).map(|(at, _)| *at).collect();
        (self.settled, self.floor) = (oldest, self.floor.max(oldest));
        let mut running = Vec::new();
        for serial in below {
            match self.memories.get(&serial) {
                Some(Memory::Running(key)) => running.push(*key),
                _ => self.forget(serial),
            }
        }
        running
    }

    pub(crate) fn forget(&mut self, serial: u64) {
        if let Some(Memory::Answered(answer)) = self.memories.remove(&serial) {
            self.bytes = self.bytes.saturating_sub(answer.bytes());
        }
    }

    /// Whether the answer of a request is of use to anyone.
    pub(crate) fn is_wanted(&self, serial: u64) -> bool {
        serial >= self.settled
    }

    /// The peer has forgotten all, and begins anew.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(slot: u32) -> Key {
        Key { slot, generation: 0 }
    }

    fn reply(bytes: usize) -> Answer {
        Answer::Reply(Bytes::from(alloc::vec![7; bytes]))
    }

    /// R-CALL-6: known while it runs and until the caller has the answer; then it is not new again.
    #[test]
    fn r_call_6_a_call_is_known_until_it_is_settled() {
        let mut keeper = Keeper::default();
        assert_eq!(keeper.look(3), Known::New);
        keeper.begin(3, key(1));
        assert_eq!(keeper.look(3), Known::Running(key(1)));
        keeper.keep(3, reply(5));
        assert_eq!(keeper.look(3), Known::Answered(reply(5)));
        keeper.settle(4);
        assert_eq!((keeper.len(), keeper.bytes), (0, 0));
        assert_eq!(keeper.look(3), Known::Forgotten);
        assert_eq!(keeper.look(4), Known::New);
    }

    /// Q5: bounded by count and by bytes, and what had to go is not executed again.
    #[test]
    fn q5_what_is_kept_is_bounded() {
        let mut keeper = Keeper::default();
        keeper.begin(0, key(0));
        for serial in 1..=3 {
            keeper.begin(serial, key(1));
            keeper.keep(serial, reply(KEPT_BYTES_MAX / 2));
        }
        assert_eq!(keeper.look(1), Known::Forgotten);
        assert_eq!(keeper.look(0), Known::Running(key(0)), "what runs stays");
        assert!(matches!(keeper.look(3), Known::Answered(_)));
        keeper.clear();
        let many = u64::try_from(KEPT_MAX).unwrap() + 10;
        for serial in 0..many {
            keeper.begin(serial, key(1));
            keeper.keep(serial, reply(0));
        }
        assert_eq!(keeper.len(), KEPT_MAX);
        assert_eq!(keeper.look(9), Known::Forgotten);
        assert_eq!(keeper.look(10), Known::Answered(reply(0)));
    }

    /// Found in review: what runs for long is settled too, though the answers after it had to make
    /// room meanwhile.
    #[test]
    fn r_call_6_what_ran_for_long_is_settled_too() {
        let mut keeper = Keeper::default();
        keeper.begin(0, key(7));
        let many = u64::try_from(KEPT_MAX).unwrap() + 10;
        for serial in 1..many {
            keeper.begin(serial, key(1));
            keeper.keep(serial, reply(0));
        }
        assert!(keeper.floor > 1);
        assert_eq!(keeper.settle(many), [key(7)]);
        assert!(!keeper.is_wanted(0));
    }
}
