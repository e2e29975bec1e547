//! What became of messages, in runs: messages handed in one after the other mostly share their
//! fate, and are told of together.
//!
//! In go a message and its fate, one at a time; out come runs of rising tokens with one fate. It
//! keeps the order in which fates were put in, and forgets none.
#![deny(clippy::arithmetic_side_effects)]

use crate::event::Fate;
use crate::handle::MessageToken;
use alloc::vec::{Drain, Vec};

/// Messages with consecutive tokens and one fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FateRun {
    /// The first of them.
    pub(crate) first: MessageToken,
    /// How many; never 0.
    pub(crate) count: u32,
    /// What became of them all.
    pub(crate) fate: Fate,
}

impl FateRun {
    /// One message.
    pub(crate) const fn one(token: MessageToken, fate: Fate) -> Self {
        Self { first: token, count: 1, fate }
    }

    /// Takes in a run that goes on where this one ends; `false` if `next` does not.
    pub(crate) fn join(&mut self, next: Self) -> bool {
        let end = self.first.0.saturating_add(u64::from(self.count));
        let Some(count) = self.count.checked_add(next.count) else { return false };
        let goes_on = next.first.0 == end && next.fate == self.fate;
        if goes_on {
            self.count = count;
        }
        goes_on
    }

    /// Takes the first message out, and says whether others are left.
    pub(crate) fn take_first(&mut self) -> (MessageToken, bool) {
        let token = self.first;
        self.first = MessageToken(token.0.saturating_add(1));
        self.count = self.count.saturating_sub(1);
        (token, self.count > 0)
    }

    /// All its messages.
    pub(crate) fn tokens(self) -> impl Iterator<Item = MessageToken> {
        (self.first.0..self.first.0.saturating_add(u64::from(self.count))).map(MessageToken)
    }
}

/// Where the fates of messages are put.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fates {
    runs: Vec<FateRun>,
}

impl Fates {
    /// None yet.
    pub(crate) const fn new() -> Self {
        Self { runs: Vec::new() }
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// This became of a message.
    pub(crate) fn push(&mut self, token: MessageToken, fate: Fate) {
        self.push_run(FateRun::one(token, fate));
    }

    /// This became of several messages.
    pub(crate) fn push_run(&mut self, next: FateRun) {
        if next.count > 0 && !self.runs.last_mut().is_some_and(|last| last.join(next)) {
            self.runs.push(next);
        }
    }

    /// Takes all out.
    pub(crate) fn drain(&mut self) -> Drain<'_, FateRun> {
        self.runs.drain(..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn runs_hold_what_follows_with_the_same_fate() {
        let mut fates = Fates::new();
        for token in [1, 2, 3, 5, 6] {
            fates.push(MessageToken(token), Fate::Acked);
        }
        fates.push(MessageToken(7), Fate::Expired);
        fates.push(MessageToken(4), Fate::Expired);
        let runs: Vec<FateRun> = fates.drain().collect();
        let told: Vec<Vec<u64>> =
            runs.iter().map(|run| run.tokens().map(MessageToken::number).collect()).collect();
        assert_eq!(told, [vec![1, 2, 3], vec![5, 6], vec![7], vec![4]]);
        assert!(fates.is_empty());
        let mut run = runs[0];
        let taken = [run.take_first(), run.take_first(), run.take_first()];
        let tokens = taken.map(|(token, more)| (token.number(), more));
        assert_eq!(tokens, [(1, true), (2, true), (3, false)]);
    }

    #[test]
    fn a_run_that_is_full_is_followed_by_another() {
        let mut run = FateRun { first: MessageToken(0), count: u32::MAX, fate: Fate::Acked };
        let next = FateRun::one(MessageToken(u64::from(u32::MAX)), Fate::Acked);
        assert!(!run.join(next));
    }
}
