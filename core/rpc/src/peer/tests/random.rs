//! Anything, in any order: the promises hold.

use super::talk::{CALLEE, CALLER, Talk};
use crate::{
    AnswerError, CallId, CallOptions, Config, Event, Executed, Lane, Outcome, RequestId, Retry,
    Wait,
};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use bytes::Bytes;
use tripline_sansio::{Duration, Random, Seed};

/// What is known of everything that was asked, on both sides.
struct Ledger {
    seed: u64,
    talk: Talk,
    random: Random,
    next: u64,
    /// By side: what each call of it has asked, and how it may be repeated.
    asked: [BTreeMap<CallId, (u64, Retry)>; 2],
    /// Requests that wait for an answer.
    open: [Vec<(RequestId, u64)>; 2],
    /// What was executed, and in which life of the side that did.
    executed: BTreeSet<(u64, u32)>,
    lives: u32,
    outcomes: u64,
}

impl Ledger {
    fn new(seed: u64) -> Self {
        let random = Seed::from_number(seed).random("calls");
        Self {
            seed,
            talk: Talk::with(small(), small()),
            random,
            next: 0,
            asked: Default::default(),
            open: Default::default(),
            executed: BTreeSet::new(),
            lives: 0,
            outcomes: 0,
        }
    }

    fn step(&mut self) {
        let side = usize::try_from(self.random.below(2)).unwrap();
        match self.random.below(100) {
            0..30 => self.ask(side),
            30..50 => self.answer(side),
            50..56 => self.cancel(side),
            56..80 => {
                self.talk.post();
                let some = self.random.below(4);
                for _ in 0..some {
                    self.talk.arrive(side);
                }
            }
            80..90 => {
                let time = Duration::from_millis(self.random.below(40));
                self.talk.now += time;
                let now = self.talk.now;
                for peer in &mut self.talk.peers {
                    if peer.poll_timeout().is_some_and(|at| at <= now) {
                        peer.handle_timeout(now);
                    }
                }
            }
            90..97 => self.talk.run(),
            97 | 98 => {
                self.talk.detach();
                self.look();
                self.talk.attach();
            }
            _ => self.restart(),
        }
        self.look();
    }

    fn ask(&mut self, side: usize) {
        let retry = [Retry::Never, Retry::Deduplicated, Retry::Idempotent];
        let retry = retry[usize::try_from(self.random.below(3)).unwrap()];
        let wait = Duration::from_millis(self.random.below(400));
        let deadline = if self.random.chance(1, 2) { Wait::Default } else { Wait::For(wait) };
        let waits_for_room = self.random.chance(1, 2);
        let (lane, manual_window) = (Lane::DEFAULT, false);
        let options = CallOptions { retry, deadline, lane, manual_window, waits_for_room };
        let tag = self.next;
        let method = ["a", "b", "c"][usize::try_from(tag % 3).unwrap()];
        if let Ok(call) =
            self.talk.peers[side].call(self.talk.now, method, &tag.to_be_bytes(), options)
        {
            self.next += 1;
            self.asked[side].insert(call, (tag, retry));
        }
    }

    fn answer(&mut self, side: usize) {
        if self.open[side].is_empty() {
            return;
        }
        let at = usize::try_from(self.random.below(self.open[side].len() as u64)).unwrap();
        let (request, tag) = self.open[side].swap_remove(at);
        let now = self.talk.now;
        let peer = &mut self.talk.peers[side];
        let result = match self.random.below(4) {
            0 => peer.fail(now, request, 5, &tag.to_be_bytes()),
            1 => match peer.item(now, request, b"part") {
                Ok(()) | Err(AnswerError::Blocked) => peer.reply(now, request, &tag.to_be_bytes()),
                other => other,
            },
            _ => peer.reply(now, request, &tag.to_be_bytes()),
        };
        result.unwrap();
    }

    fn cancel(&mut self, side: usize) {
        let some = self.asked[side].keys().nth(usize::try_from(self.random.below(5)).unwrap());
        if let Some(call) = some.copied() {
            self.talk.peers[side].cancel(self.talk.now, call);
        }
    }

    /// The callee dies, with all that it knows.
    fn restart(&mut self) {
        self.talk.detach();
        self.look();
        self.lives += 1;
        self.asked[CALLEE].clear();
        self.open[CALLEE].clear();
        self.talk.restart_callee(small());
        self.talk.attach();
    }

    /// Checks all that was told.
    fn look(&mut self) {
        for side in [CALLER, CALLEE] {
            for event in self.talk.events(side) {
                match event {
                    Event::Request { request, payload, .. } => {
                        let tag = u64::from_be_bytes(payload[..].try_into().unwrap());
                        let life = if side == CALLEE { self.lives } else { 0 };
                        assert!(
                            self.executed.insert((tag, life)),
                            "seed {}: {tag} executed twice",
                            self.seed
                        );
                        self.open[side].push((request, tag));
                    }
                    Event::Abandoned { request, .. } => {
                        let before = self.open[side].len();
                        self.open[side].retain(|(open, _)| *open != request);
                        assert_eq!(self.open[side].len() + 1, before, "abandoned once");
                    }
                    Event::Outcome { call, outcome } => self.ended(side, call, &outcome),
                    Event::Broken { violation } => panic!("{violation}"),
                    _ => {}
                }
            }
        }
    }

    fn ended(&mut self, side: usize, call: CallId, outcome: &Outcome) {
        self.outcomes += 1;
        let Some((tag, retry)) = self.asked[side].remove(&call) else {
            panic!("a second outcome: {outcome:?}")
        };
        let lives: Vec<_> =
            (0..=self.lives).filter(|life| self.executed.contains(&(tag, *life))).collect();
        assert!(
            retry == Retry::Idempotent || lives.len() <= 1,
            "seed {}: {tag} executed in {lives:?}",
            self.seed
        );
        match outcome {
            Outcome::Reply(payload) | Outcome::Failed { detail: payload, .. } => {
                assert_eq!(
                    payload,
                    &Bytes::copy_from_slice(&tag.to_be_bytes()),
                    "seed {}: wrong caller",
                    self.seed
                );
            }
            other if other.executed() == Executed::No => {
                assert_eq!(lives, [], "seed {}: {other:?}", self.seed)
            }
            _ => {}
        }
    }

    fn finish(mut self) -> u64 {
        self.look();
        for _ in 0..3 {
            for side in [CALLER, CALLEE] {
                while !self.open[side].is_empty() {
                    self.answer(side);
                }
            }
            self.talk.run();
            self.look();
        }
        self.talk.pass(Duration::from_secs(20));
        self.look();
        assert_eq!((self.asked[CALLER].len(), self.asked[CALLEE].len()), (0, 0));
        self.talk.run();
        for peer in &self.talk.peers {
            assert!(peer.is_idle(), "seed {}: {peer:?}", self.seed);
        }
        self.outcomes
    }
}

/// Limits that are met often.
fn small() -> Config {
    Config {
        calls_max: 5,
        asked_max: 20,
        deadline: Some(Duration::from_millis(300)),
        ..Config::default()
    }
}

/// Q1, Q2, Q3: over random orders of everything, with breaks and restarts: every call one outcome,
/// every answer to its own, nothing executed twice that may not be, nothing left in the end.
#[test]
fn q1_q2_q3_the_promises_hold_in_any_order() {
    let mut outcomes = 0;
    for seed in 0..100 {
        let mut ledger = Ledger::new(seed);
        for _ in 0..3_000 {
            ledger.step();
        }
        outcomes += ledger.finish();
    }
    assert!(outcomes > 10_000, "{outcomes}");
}
