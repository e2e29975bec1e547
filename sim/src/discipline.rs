//! How well-behaved the loops around the machines are: the liberties that the contract grants them.
//!
//! By default a host drains its machine whole after each call and wakes exactly at the deadline.
//! Real loops meet full sockets, wake early and read old clocks; the rules say that this costs
//! latency and never correctness. These knobs make every host do so at random, from a generator of
//! its own.

use crate::chance::Chance;
use tripline_sansio::Duration;

/// The liberties that hosts take. [`Discipline::default`] takes none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Discipline {
    /// Rule 1: how often a drain is cut short, as if the socket were full.
    pub interrupt: Chance,
    /// A drain cut short takes 0 to so many transmits.
    pub interrupt_after: u32,
    /// It goes on up to so much later, a nanosecond at least; meanwhile datagrams and deadlines
    /// come in and nothing goes out.
    pub resume_after: Duration,
    /// Rule 6: how often a host wakes at a random time before the deadline and reports the time.
    pub early: Chance,
    /// Rule 6: how often a due timeout is reported twice.
    pub repeat: Chance,
    /// Rule 2: how often a received datagram, or an early wake-up, bears a time that is past.
    pub stale: Chance,
    /// By up to how much it is past.
    pub stale_by: Duration,
    /// The most datagrams (or pieces of streams) of one instant that are handed in before the
    /// drain, at least 1. Without a limit all of an instant are one batch.
    pub batch: usize,
}

impl Default for Discipline {
    fn default() -> Self {
        Self {
            interrupt: Chance::NEVER,
            interrupt_after: 0,
            resume_after: Duration::ZERO,
            early: Chance::NEVER,
            repeat: Chance::NEVER,
            stale: Chance::NEVER,
            stale_by: Duration::ZERO,
            batch: usize::MAX,
        }
    }
}

impl Discipline {
    /// Every liberty, each at this chance: drains cut after at most 3 transmits and resumed within
    /// 2 ms, times up to 5 ms old, batches of at most 8.
    pub const fn sloppy(chance: Chance) -> Self {
        Self {
            interrupt: chance,
            interrupt_after: 3,
            resume_after: Duration::from_millis(2),
            early: chance,
            repeat: chance,
            stale: chance,
            stale_by: Duration::from_millis(5),
            batch: 8,
        }
    }

    /// With at most `datagrams` handed in before a drain; 1 hands them in one by one.
    #[must_use]
    pub const fn batch(mut self, datagrams: usize) -> Self {
        self.batch = if datagrams == 0 { 1 } else { datagrams };
        self
    }
}
