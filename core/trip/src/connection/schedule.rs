//! Which stream sends next (R-MSG-1, row T47).
//!
//! Eight priority levels share what there is: a level of priority p gets 2^-p parts, so each level
//! twice the next, and none starves. Within a level streams take turns, frame by frame. Stride
//! scheduling (Waldspurger and Weihl, 1995): each level has a *pass* that grows by the bytes it
//! sent times 2^p, and the level with the lowest pass goes first.
#![deny(clippy::arithmetic_side_effects)]

use super::streams::StreamKey;
use alloc::boxed::Box;
use alloc::collections::VecDeque;

/// How many levels there are.
pub(crate) const LEVELS: u8 = 8;

#[derive(Clone, Debug, Default)]
struct Level {
    waiting: VecDeque<StreamKey>,
    pass: u64,
}

/// The streams that want to send, by priority.
#[derive(Clone, Debug, Default)]
pub(crate) struct Schedule {
    /// Made when the first stream wants to send; many connections never have one.
    levels: Option<Box<[Level; LEVELS as usize]>>,
    /// The levels in which streams wait, one bit each: asked for several times a packet.
    occupied: u8,
    /// The pass of the level that was served last: where a level that wakes begins.
    now: u64,
}

impl Schedule {
    /// Whether no stream wants to send.
    pub(crate) fn is_empty(&self) -> bool {
        self.occupied == 0
    }

    /// A stream wants to send. The caller sees to it that no stream is in twice.
    pub(crate) fn push(&mut self, key: StreamKey, priority: u8) {
        let now = self.now;
        let priority = priority.min(LEVELS.saturating_sub(1));
        let levels = self.levels.get_or_insert_default();
        let Some(level) = levels.get_mut(usize::from(priority)) else { return };
        if level.waiting.is_empty() {
            level.pass = level.pass.max(now);
            self.occupied |= 1 << priority;
        }
        level.waiting.push_back(key);
    }

    /// Takes out the stream whose turn it is, with its priority.
    pub(crate) fn pop(&mut self) -> Option<(StreamKey, u8)> {
        let priority = self.next_level()?;
        let level = self.levels.as_mut()?.get_mut(usize::from(priority))?;
        let key = level.waiting.pop_front()?;
        self.now = level.pass;
        if level.waiting.is_empty() {
            self.occupied &= !(1 << priority);
        }
        Some((key, priority))
    }

    /// The level whose turn it is. Mostly there is one, and nothing to compare.
    fn next_level(&self) -> Option<u8> {
        if self.occupied.is_power_of_two() {
            return u8::try_from(self.occupied.trailing_zeros()).ok();
        }
        (0u8..)
            .zip(self.levels.as_deref()?)
            .filter(|(_, level)| !level.waiting.is_empty())
            .min_by_key(|(_, level)| level.pass)
            .map(|(priority, _)| priority)
    }

    /// A stream of this priority sent `bytes`.
    pub(crate) fn charge(&mut self, priority: u8, bytes: u64) {
        let levels = self.levels.as_deref_mut();
        if let Some(level) = levels.and_then(|levels| levels.get_mut(usize::from(priority))) {
            level.pass = level.pass.saturating_add(bytes.saturating_mul(1 << priority.min(63)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(slot: u32) -> StreamKey {
        StreamKey { slot, generation: 0 }
    }

    /// T47: under saturation the share follows the priority, and the lowest is not starved.
    #[test]
    fn t47_each_level_gets_twice_the_next() {
        let mut schedule = Schedule::default();
        for priority in 0..LEVELS {
            schedule.push(key(u32::from(priority)), priority);
        }
        let mut sent = [0u64; LEVELS as usize];
        for _ in 0..255 * 100 {
            let (key, priority) = schedule.pop().unwrap();
            sent[usize::from(priority)] += 1_000;
            schedule.charge(priority, 1_000);
            schedule.push(key, priority);
        }
        for pair in sent.windows(2) {
            let ratio = pair[0] as f64 / pair[1] as f64;
            assert!((1.9..2.1).contains(&ratio), "{sent:?}");
        }
    }

    #[test]
    fn streams_of_one_level_take_turns() {
        let mut schedule = Schedule::default();
        (0..3).for_each(|slot| schedule.push(key(slot), 3));
        let mut order = alloc::vec![];
        for _ in 0..6 {
            let (key, priority) = schedule.pop().unwrap();
            order.push(key.slot);
            schedule.charge(priority, 10);
            schedule.push(key, priority);
        }
        assert_eq!(order, [0, 1, 2, 0, 1, 2]);
    }

    /// A level that slept may not claim the time it slept through.
    #[test]
    fn a_level_that_wakes_has_no_arrears() {
        let mut schedule = Schedule::default();
        schedule.push(key(0), 4);
        for _ in 0..1_000 {
            let (key, priority) = schedule.pop().unwrap();
            schedule.charge(priority, 1_000);
            schedule.push(key, priority);
        }
        schedule.push(key(1), 4);
        schedule.push(key(2), 5);
        let mut low = 0;
        for _ in 0..30 {
            let (key, priority) = schedule.pop().unwrap();
            low += u32::from(priority == 5);
            schedule.charge(priority, 1_000);
            schedule.push(key, priority);
        }
        assert!((9..=11).contains(&low), "{low}");
    }
}
