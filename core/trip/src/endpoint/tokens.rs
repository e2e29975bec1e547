//! The tokens of RETRY: a proof that somebody received what was sent to an address, kept by the
//! client so that the server keeps nothing (R-RETRY, contract row N25).
//!
//! `seconds (4) · MAC (16)`: the coarse time at which it was made, and keyed BLAKE2s-128 of that
//! time, the address, the port and the mac1 of the OPEN. So it is good for one attempt from one
//! address. The secret changes every two minutes; the one before it still counts, which is longer
//! than any token lives, so no client notices a change. In come addresses and the time; no state
//! of any client is kept.
#![deny(clippy::arithmetic_side_effects)]

use crate::crypto::{keyed_mac, same};
use core::net::SocketAddr;
use tripline_sansio::{Duration, Instant, Random, Seed};

/// How long a token counts, to the whole second below.
pub(super) const TOKEN_LIFE: Duration = Duration::from_secs(30);
/// How long a secret makes tokens; for as long again they still count.
pub(super) const SECRET_LIFE: Duration = Duration::from_secs(120);
/// Bytes of a token.
pub(super) const TOKEN_LEN: usize = 20;

/// The secrets, and nothing else.
pub(super) struct Tokens {
    random: Random,
    began: Instant,
    current: [u8; 32],
    /// The secret before, unless its time is over too.
    last: Option<[u8; 32]>,
    changed_at: Instant,
}

impl core::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Tokens").field("changed_at", &self.changed_at).finish_non_exhaustive()
    }
}

impl Tokens {
    pub(super) fn new(seed: &Seed, now: Instant) -> Self {
        let mut random = seed.random("retry tokens");
        let current = random.bytes();
        Self { random, began: now, current, last: None, changed_at: now }
    }

    /// A new secret now; the present one still counts until the next change.
    pub(super) fn rotate(&mut self, now: Instant) {
        let old = core::mem::replace(&mut self.current, self.random.bytes());
        self.last = Some(old);
        self.changed_at = now;
    }

    /// Changes the secret if its time is over (R-RETRY-2a).
    fn tick(&mut self, now: Instant) {
        let age = now.saturating_duration_since(self.changed_at);
        if age >= SECRET_LIFE {
            self.rotate(now);
        }
        if age >= SECRET_LIFE.saturating_mul(2) {
            // Nobody asked for so long that the old one's time is over as well.
            self.last = None;
        }
    }

    /// Whole seconds since the endpoint began; they come round after 136 years.
    fn seconds(&self, now: Instant) -> u32 {
        let seconds = now.saturating_duration_since(self.began).as_secs() & u64::from(u32::MAX);
        u32::try_from(seconds).unwrap_or_default()
    }

    /// A token for whoever receives it there, for the attempt with this mac1.
    pub(super) fn make(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        mac1: &[u8; 16],
    ) -> [u8; TOKEN_LEN] {
        self.tick(now);
        let time = self.seconds(now).to_be_bytes();
        let mut token = [0; TOKEN_LEN];
        let mac = mac(&self.current, time, remote, mac1);
        token.iter_mut().zip(time.into_iter().chain(mac)).for_each(|(to, from)| *to = from);
        token
    }

    /// Whether a token was made for this address and attempt, less than [`TOKEN_LIFE`] ago. A wrong
    /// one counts as none (R-RETRY-2).
    pub(super) fn check(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        mac1: &[u8; 16],
        token: &[u8],
    ) -> bool {
        let Ok(token) = <&[u8; TOKEN_LEN]>::try_from(token) else { return false };
        let Some((time, found)) = token.split_first_chunk::<4>() else { return false };
        self.tick(now);
        let age = self.seconds(now).wrapping_sub(u32::from_be_bytes(*time));
        if u64::from(age) >= TOKEN_LIFE.as_secs() {
            return false;
        }
        // Both are always reckoned: the time taken does not tell which one it was.
        let current = same(&mac(&self.current, *time, remote, mac1), found);
        let last = self.last.is_some_and(|last| same(&mac(&last, *time, remote, mac1), found));
        current | last
    }
}

/// The MAC in a token. Addresses of IPv4 count the same in their IPv6 clothes.
fn mac(secret: &[u8; 32], time: [u8; 4], remote: SocketAddr, mac1: &[u8; 16]) -> [u8; 16] {
    let address = match remote.ip() {
        core::net::IpAddr::V4(address) => address.to_ipv6_mapped(),
        core::net::IpAddr::V6(address) => address,
    };
    keyed_mac(secret, &[&time, &address.octets(), &remote.port().to_be_bytes(), mac1])
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC1: [u8; 16] = [3; 16];

    fn tokens() -> Tokens {
        Tokens::new(&Seed::from_number(1), Instant::ZERO)
    }

    fn address(last: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, last], port))
    }

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    /// H7, R-RETRY-2: any changed field makes it none: address, port, attempt, any bit, any length.
    #[test]
    fn h7_a_token_is_good_for_one_attempt_from_one_address() {
        let mut tokens = tokens();
        let token = tokens.make(at(5), address(1, 1), &MAC1);
        assert!(tokens.check(at(6), address(1, 1), &MAC1, &token));
        assert!(!tokens.check(at(6), address(2, 1), &MAC1, &token));
        assert!(!tokens.check(at(6), address(1, 2), &MAC1, &token));
        assert!(!tokens.check(at(6), address(1, 1), &[4; 16], &token), "another attempt");
        for bit in 0..token.len() * 8 {
            let mut forged = token;
            forged[bit / 8] ^= 1 << (bit % 8);
            assert!(!tokens.check(at(6), address(1, 1), &MAC1, &forged), "bit {bit}");
        }
        for len in 0..token.len() {
            assert!(!tokens.check(at(6), address(1, 1), &MAC1, &token[..len]));
        }
        assert!(!tokens.check(at(6), address(1, 1), &MAC1, &[&token[..], &[0]].concat()));
        let mapped: SocketAddr = "[::ffff:10.0.0.1]:1".parse().unwrap();
        assert!(tokens.check(at(6), mapped, &MAC1, &token), "the same address");
        let other = Tokens::new(&Seed::from_number(2), Instant::ZERO).make(at(5), mapped, &MAC1);
        assert!(!tokens.check(at(6), mapped, &MAC1, &other), "another server's");
    }

    /// H7, R-RETRY-2: 30 seconds, across every edge of the secret's two minutes.
    #[test]
    fn h7_a_token_lives_thirty_seconds_across_any_change() {
        for made in 0..300 {
            let mut tokens = tokens();
            tokens.make(at(0), address(9, 9), &MAC1);
            let token = tokens.make(at(made), address(1, 1), &MAC1);
            for age in [0, 1, 15, 29] {
                let mut then = tokens.clone_for_test();
                assert!(then.check(at(made + age), address(1, 1), &MAC1, &token), "{made} + {age}");
            }
            for age in [30, 31, 119, 120, 121, 240, 241, 1_000, u64::from(u32::MAX) + 100] {
                let mut then = tokens.clone_for_test();
                assert!(!then.check(at(made + age), address(1, 1), &MAC1, &token));
            }
        }
    }

    /// A token from the future is none.
    #[test]
    fn h7_a_time_ahead_of_ours_is_none() {
        let mut ahead = tokens();
        let token = ahead.make(at(40), address(1, 1), &MAC1);
        assert!(!tokens().check(at(39), address(1, 1), &MAC1, &token));
        assert!(tokens().check(at(40), address(1, 1), &MAC1, &token));
    }

    /// N25: a change by hand drops nobody; a second one voids what is older than the first.
    #[test]
    fn n25_a_change_by_hand_drops_nobody() {
        let mut tokens = tokens();
        let token = tokens.make(at(5), address(1, 1), &MAC1);
        tokens.rotate(at(6));
        assert!(tokens.check(at(7), address(1, 1), &MAC1, &token));
        let new = tokens.make(at(7), address(1, 1), &MAC1);
        assert_ne!(new[4..], token[4..]);
        tokens.rotate(at(8));
        assert!(!tokens.check(at(9), address(1, 1), &MAC1, &token));
        assert!(tokens.check(at(9), address(1, 1), &MAC1, &new));
    }

    impl Tokens {
        fn clone_for_test(&self) -> Self {
            Self { random: self.random.clone(), ..*self }
        }
    }
}
