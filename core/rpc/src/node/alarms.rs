//! Alarms that belong to connections (row N32).
//!
//! In go numbers of the user's and times; out come those that are due. Each call takes O(log n)
//! steps, and those that a connection leaves behind O(log n) each.

use crate::slots::Key;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use tripline_sansio::Instant;

#[derive(Debug, Default)]
pub(super) struct Alarms {
    times: BTreeMap<(Key, u64), Instant>,
    order: BTreeSet<(Instant, Key, u64)>,
}

impl Alarms {
    pub(super) fn len(&self) -> usize {
        self.times.len()
    }

    /// Sets an alarm, or moves it.
    pub(super) fn set(&mut self, key: Key, alarm: u64, at: Instant) {
        self.stop(key, alarm);
        self.times.insert((key, alarm), at);
        self.order.insert((at, key, alarm));
    }

    /// Whether there was one.
    pub(super) fn stop(&mut self, key: Key, alarm: u64) -> bool {
        let at = self.times.remove(&(key, alarm));
        at.is_some_and(|at| self.order.remove(&(at, key, alarm)))
    }

    /// A connection is over.
    pub(super) fn forget(&mut self, key: Key) {
        let all = self.times.range((key, 0)..=(key, u64::MAX));
        let all: Vec<u64> = all.map(|((_, alarm), _)| *alarm).collect();
        for alarm in all {
            self.stop(key, alarm);
        }
    }

    pub(super) fn first(&self) -> Option<Instant> {
        self.order.first().map(|(at, ..)| *at)
    }

    /// Takes one whose time has come.
    pub(super) fn due(&mut self, now: Instant) -> Option<(Key, u64)> {
        let (_, key, alarm) = self.order.first().copied().filter(|(at, ..)| *at <= now)?;
        self.stop(key, alarm);
        Some((key, alarm))
    }
}
