//! What stands before the dear work: tokens, buckets, rates (R-HAND-3, R-RETRY).
//!
//! An OPEN that passed the cheap checks comes here before any Diffie-Hellman. While few half-opens
//! wait, and few OPENs came to nothing, it goes on; above a threshold it must bring a valid token,
//! and then finds the bucket of its prefix. Who brings none gets a RETRY, for which nothing is
//! kept. Each kind of answer has a rate of its own, so that a flood of one uses up no other. What
//! is refused here is counted.

use super::Endpoint;
use super::prefixes::Prefixes;
use super::tokens::Tokens;
use super::vain::Vain;
use crate::bucket::{Bucket, Rate};
use crate::carrier::LinkId;
use crate::config::GuardConfig;
use crate::crypto::{PublicKey, keyed_mac, mac1_key};
use crate::wire::{Open, write_retry};
use alloc::vec::Vec;
use tripline_sansio::{Instant, Path, Seed};

/// Handshakes of one prefix at once, above the threshold.
const PREFIX_BURST: u32 = 5;

/// What an endpoint says to addresses that nothing has proven, each with a rate of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Diffie-Hellman, and then CHALLENGE or a refusal.
    Challenge,
    /// The CHALLENGE of an OPEN that came again.
    Repeat,
    /// A refusing CHALLENGE.
    Refusal,
    /// RETRY.
    Retry,
    /// VERSION.
    Version,
    /// RESET.
    Reset,
}

/// How many kinds of [`Answer`] there are.
const ANSWERS: usize = 6;

/// The state of it all; of fixed size.
#[derive(Debug)]
pub(super) struct Guard {
    retry_above: usize,
    vain: Vain,
    rates: [Rate; ANSWERS],
    buckets: [Bucket; ANSWERS],
    prefixes: Prefixes,
    tokens: Tokens,
    /// The keys of mac1: of our identity, and of those who do not know it.
    mac_keys: [[u8; 32]; 2],
}

impl Guard {
    pub(super) fn new(
        config: &GuardConfig,
        identity: Option<&PublicKey>,
        seed: &Seed,
        now: Instant,
    ) -> Self {
        // A second's worth at once: a crowd that comes together is no attack.
        let rate = |per_second: u32| Rate::new(per_second, per_second);
        let per_prefix = Rate::new(config.opens_per_prefix, PREFIX_BURST);
        Self {
            retry_above: usize::try_from(config.retry_above).unwrap_or(usize::MAX),
            vain: Vain::new(config.retry_above, now),
            rates: [
                rate(config.challenges_per_second),
                rate(config.repeats_per_second),
                rate(config.refusals_per_second),
                rate(config.retries_per_second),
                rate(config.versions_per_second),
                rate(config.resets_per_second),
            ],
            buckets: [Bucket::default(); ANSWERS],
            prefixes: Prefixes::new(seed.random("prefix hash").bytes(), per_prefix),
            tokens: Tokens::new(seed, now),
            mac_keys: [mac1_key(identity), mac1_key(None)],
        }
    }

    /// The key of mac1 and RETRY's mac, for who knows our identity and who does not (R-OPEN-1).
    pub(super) fn mac_key(&self, knows_us: bool) -> &[u8; 32] {
        let [identity, nobody] = &self.mac_keys;
        if knows_us { identity } else { nobody }
    }

    fn take(&mut self, answer: Answer, now: Instant) -> bool {
        let at = match answer {
            Answer::Challenge => 0,
            Answer::Repeat => 1,
            Answer::Refusal => 2,
            Answer::Retry => 3,
            Answer::Version => 4,
            Answer::Reset => 5,
        };
        let pair = self.buckets.get_mut(at).zip(self.rates.get(at));
        pair.is_some_and(|(bucket, rate)| bucket.take(now, *rate))
    }
}

/// What became of an OPEN at the guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passage {
    /// It may cost Diffie-Hellman; whether its token has proven its address.
    Pass {
        /// A valid token came with it.
        proven: bool,
    },
    /// It was answered or dropped, and counted.
    Stop,
}

impl Endpoint {
    /// Changes the secret of the tokens now (contract row N25). It changes by itself every two
    /// minutes; the one before still counts until the next change, so no client is dropped.
    pub fn rotate_tokens(&mut self, now: Instant) {
        let now = self.tick(now);
        self.guard.tokens.rotate(now);
    }

    /// Whether one more answer of this kind may go out; a refusal is counted.
    pub(super) fn may_answer(&mut self, answer: Answer) -> bool {
        let allowed = self.guard.take(answer, self.now);
        if !allowed {
            self.count(|drops| &mut drops.rate_limited);
        }
        allowed
    }

    /// Whether an OPEN brings a token that proves its address. A wrong one counts as none.
    pub(super) fn has_token(&mut self, path: Path, open: &Open<'_>) -> bool {
        !open.token.is_empty()
            && self.guard.tokens.check(self.now, path.remote, &open.mac1, open.token)
    }

    /// R-HAND-3: what a new OPEN must show before it may cost anything.
    pub(super) fn guard_open(&mut self, path: Path, open: &Open<'_>, knows_us: bool) -> Passage {
        // Who is at the other end of a link has shown it by being there (R-LINK-3).
        let linked = LinkId::of(path.remote).is_some();
        let proven = linked || self.has_token(path, open);
        let waiting = self.half_opens.waiting().saturating_add(self.guard.vain.count(self.now));
        if !linked && waiting >= self.guard.retry_above {
            if !proven {
                self.send_retry(path, open, knows_us);
                return Passage::Stop;
            }
            // Behind the token: nobody can use up the bucket of somebody else's prefix.
            if !self.guard.prefixes.take(self.now, path.remote.ip()) {
                self.count(|drops| &mut drops.rate_limited);
                return Passage::Stop;
            }
        }
        if self.may_answer(Answer::Challenge) { Passage::Pass { proven } } else { Passage::Stop }
    }

    /// An OPEN that cost Diffie-Hellman came to nothing (R-HAND-3a).
    pub(super) fn count_vain(&mut self) {
        self.guard.vain.add(self.now);
    }

    /// "Prove your address first": a token, and nothing kept (R-RETRY-3).
    fn send_retry(&mut self, path: Path, open: &Open<'_>, knows_us: bool) {
        if !self.may_answer(Answer::Retry) {
            return;
        }
        let token = self.guard.tokens.make(self.now, path.remote, &open.mac1);
        let key = self.guard.mac_key(knows_us);
        let mut packet = Vec::new();
        let mac = |covered: &[u8]| keyed_mac(key, &[covered, &open.mac1]);
        if write_retry(&mut packet, open.client_id, &token, mac).is_ok() {
            self.stats.retries_sent = self.stats.retries_sent.saturating_add(1);
            self.answer_cheaply(path, packet);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R-HAND-3: each kind of answer has a rate of its own; using up one uses up no other.
    #[test]
    fn r_hand_3_rates_are_separate() {
        let config = GuardConfig {
            retry_above: 0,
            challenges_per_second: 1,
            repeats_per_second: 2,
            refusals_per_second: 3,
            retries_per_second: 4,
            versions_per_second: 5,
            resets_per_second: 6,
            opens_per_prefix: 7,
        };
        let mut guard = Guard::new(&config, None, &Seed::from_number(1), Instant::ZERO);
        let kinds = [
            Answer::Challenge,
            Answer::Repeat,
            Answer::Refusal,
            Answer::Retry,
            Answer::Version,
            Answer::Reset,
        ];
        for (kind, allowed) in kinds.into_iter().zip(1..) {
            let count = (0..100).filter(|_| guard.take(kind, Instant::ZERO)).count();
            assert_eq!(count, allowed, "{kind:?}");
        }
    }
}
