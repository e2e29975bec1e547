//! How links lose datagrams: independently, in bursts, by number, and all at once for a while.
//!
//! In goes the time of each datagram, out comes why it is lost, if it is. The knobs are asked in
//! the order of [`DropCause`]; each moves on with every datagram, whatever the others say.

use super::lazy::Lazy;
use crate::chance::Chance;
use crate::drop_cause::DropCause;
use tripline_sansio::{Duration, Instant, Seed};

/// Losses that come in bursts: a model of two states, good and bad, that may change with each
/// datagram (Gilbert 1960, Elliott 1963). A link begins good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bursts {
    /// How often a good link turns bad.
    pub to_bad: Chance,
    /// How often a bad one turns good; on average it stays bad for 1 ÷ this datagrams.
    pub to_good: Chance,
    /// How often a datagram is lost while it is bad.
    pub loss_bad: Chance,
    /// How often while it is good.
    pub loss_good: Chance,
    /// After so many losses in a row the next datagram passes this knob; 0: without limit.
    pub longest: u32,
}

impl Bursts {
    /// A link that turns bad and good at these chances and then loses this much; nothing while it
    /// is good, and no limit to a burst.
    pub const fn new(to_bad: Chance, to_good: Chance, loss_bad: Chance) -> Self {
        Self { to_bad, to_good, loss_bad, loss_good: Chance::NEVER, longest: 0 }
    }

    /// With at most so many losses in a row.
    #[must_use]
    pub const fn longest(mut self, datagrams: u32) -> Self {
        self.longest = datagrams;
        self
    }
}

/// Time in which nothing comes through, over and over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blackouts {
    /// From the beginning of one to that of the next; none if zero.
    pub every: Duration,
    /// How long one lasts.
    pub lasting: Duration,
    /// When the first begins, counted from [`Instant::ZERO`]; earlier ones lie before it at the
    /// same distance.
    pub first: Duration,
}

impl Blackouts {
    /// Black-outs at each multiple of `every`.
    pub const fn new(every: Duration, lasting: Duration) -> Self {
        Self { every, lasting, first: Duration::ZERO }
    }

    /// Whether one goes on at `now`.
    pub fn is_dark(&self, now: Instant) -> bool {
        let every = self.every.as_nanos();
        if every == 0 {
            return false;
        }
        let first = self.first.as_nanos() % every;
        let phase = (u128::from(now.as_nanos()) + every - first) % every;
        phase < self.lasting.as_nanos()
    }
}

/// What the knobs of loss have to remember.
#[derive(Clone, Debug)]
pub(super) struct Losses {
    independent: Lazy,
    turns: Lazy,
    bursts: Lazy,
    is_bad: bool,
    /// How many datagrams in a row [`Bursts`] has lost.
    in_a_row: u32,
    /// How many datagrams have passed since one was lost by number.
    since: u32,
}

/// The configuration of all of them.
#[derive(Clone, Copy)]
pub(super) struct LossConfig {
    pub(super) loss: Chance,
    pub(super) bursts: Option<Bursts>,
    pub(super) every: u32,
    pub(super) blackouts: Option<Blackouts>,
}

impl Losses {
    pub(super) const fn new() -> Self {
        Self {
            independent: Lazy::new("loss"),
            turns: Lazy::new("burst turns"),
            bursts: Lazy::new("burst losses"),
            is_bad: false,
            in_a_row: 0,
            since: 0,
        }
    }

    /// Why the next datagram is lost, if it is.
    pub(super) fn next(
        &mut self,
        seed: &Seed,
        config: &LossConfig,
        now: Instant,
    ) -> Option<DropCause> {
        let lost = config.loss != Chance::NEVER && config.loss.draw(self.independent.get(seed));
        let burst = config.bursts.is_some_and(|bursts| self.burst(seed, &bursts));
        let periodic = config.every > 0 && self.count(config.every);
        let dark = config.blackouts.is_some_and(|blackouts| blackouts.is_dark(now));
        let causes = [
            (lost, DropCause::Lost),
            (burst, DropCause::Burst),
            (periodic, DropCause::Periodic),
            (dark, DropCause::Blackout),
        ];
        causes.into_iter().find_map(|(is, cause)| is.then_some(cause))
    }

    fn burst(&mut self, seed: &Seed, bursts: &Bursts) -> bool {
        let (turn, loss) = if self.is_bad {
            (bursts.to_good, bursts.loss_bad)
        } else {
            (bursts.to_bad, bursts.loss_good)
        };
        // The state that a datagram meets is the one before the turn, so the first meets a good
        // link.
        let mut lost = loss.draw(self.bursts.get(seed));
        self.is_bad ^= turn.draw(self.turns.get(seed));
        if bursts.longest > 0 && self.in_a_row >= bursts.longest {
            lost = false;
        }
        self.in_a_row = if lost { self.in_a_row.saturating_add(1) } else { 0 };
        lost
    }

    fn count(&mut self, every: u32) -> bool {
        self.since += 1;
        let lost = self.since >= every;
        if lost {
            self.since = 0;
        }
        lost
    }
}
