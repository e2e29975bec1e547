//! What a swarm came to.

use super::reached::Reached;
use crate::play::{Deeds, Failure, Outcome};
use tripline_sansio::Duration;

/// How many failures are kept; the others are counted.
pub const FAILURES_MAX: usize = 100;

/// A seed whose scenario failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The seed.
    pub seed: u64,
    /// What was wrong.
    pub failure: Failure,
}

/// What all runs of a swarm came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Seeds whose scenario was played.
    pub runs: u64,
    /// Those of them that were played twice, and came to the same.
    pub twice: u64,
    /// Virtual time that went by, in the runs that did not fail, each counted once.
    pub simulated: Duration,
    /// Real time since the start, by the clock that was handed in.
    pub wall: Duration,
    /// Datagrams that hosts sent.
    pub packets: u64,
    /// Datagrams that arrived.
    pub delivered: u64,
    /// Datagrams that did not.
    pub dropped: u64,
    /// What the applications did.
    pub deeds: Deeds,
    /// The rare events.
    pub reached: Reached,
    /// The first failures, in the order of their seeds.
    pub failures: Vec<Found>,
    /// How many failures there were.
    pub failed: u64,
}

impl Summary {
    /// Takes a run in which nothing was wrong.
    pub(super) fn take(&mut self, seed: u64, outcome: &Outcome) {
        for (mark, count) in outcome.marks.iter() {
            self.reached.add(mark, count, seed);
        }
        self.simulated = self.simulated.saturating_add(outcome.simulated);
        let totals = &outcome.totals;
        self.packets += totals.offered;
        self.delivered += totals.delivered;
        self.dropped += totals.dropped();
        let (all, deeds) = (&mut self.deeds, &outcome.deeds);
        all.steps += deeds.steps;
        all.passed_over += deeds.passed_over;
        all.connections += deeds.connections;
        all.connected += deeds.connected;
        all.streams += deeds.streams;
        all.sent += deeds.sent;
        all.sent_bytes += deeds.sent_bytes;
        all.received += deeds.received;
        all.received_bytes += deeds.received_bytes;
    }

    /// Takes a run that failed.
    pub(super) fn fail(&mut self, seed: u64, failure: Failure) {
        self.failed += 1;
        if self.failures.len() < FAILURES_MAX {
            self.failures.push(Found { seed, failure });
        }
    }

    /// Virtual seconds in a real one.
    pub fn speed(&self) -> f64 {
        self.simulated.as_secs_f64() / self.wall.as_secs_f64().max(1e-9)
    }

    /// Runs in a real second.
    pub fn runs_per_second(&self) -> f64 {
        self.runs as f64 / self.wall.as_secs_f64().max(1e-9)
    }
}
