//! The life of a connection of ours: attempts, waits, and the end.
//!
//! In go ends of attempts and of pipes; out comes when to try again, or that it is over. Plain
//! data, and no calls to anything.

use crate::address::Address;
use alloc::boxed::Box;
use tripline::ConnectOptions;
use tripline_sansio::{Backoff, Duration, Instant, Random};

/// When a connection of ours is tried again after it failed, or broke (rows N18, N22).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReconnectPolicy {
    /// The wait before the first further attempt. The wait after a connection that came about
    /// begins with this again.
    pub first: Duration,
    /// Each further wait is twice as long, up to this.
    pub longest: Duration,
    /// Waits are moved at random by up to so many thousandths either way, so that a thousand
    /// clients of one server do not come back in step.
    pub jitter_permille: u32,
    /// The connection is given up when it has been without a pipe for so long; `None`: never.
    pub give_up_after: Option<Duration>,
    /// Whether it is tried again at all.
    pub reconnects: bool,
}

impl Default for ReconnectPolicy {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(100),
            longest: Duration::from_secs(10),
            jitter_permille: 250,
            give_up_after: None,
            reconnects: true,
        }
    }
}

impl ReconnectPolicy {
    /// One attempt, one connection.
    pub fn once() -> Self {
        Self { reconnects: false, ..Self::default() }
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(self.first, (2, 1), self.longest).with_jitter(self.jitter_permille)
    }
}

/// How a connection of ours is made.
#[derive(Clone, Debug, Default)]
pub struct ClientOptions {
    /// When it is tried again.
    pub reconnect: ReconnectPolicy,
    /// For TRiP: key, route and so on. The address's key counts if this has none.
    pub trip: ConnectOptions,
    /// How the conversation behaves; `None`: as the node's configuration says.
    pub config: Option<crate::Config>,
}

/// Where a connection of ours stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// An attempt is under way, or its name is being resolved.
    Connecting,
    Open,
    /// The next attempt begins then.
    Waiting(Instant),
    Over,
}

#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) address: Address,
    pub(crate) trip: Box<ConnectOptions>,
    pub(crate) policy: ReconnectPolicy,
    pub(crate) stage: Stage,
    backoff: Backoff,
    /// Since when there is no pipe.
    down_since: Instant,
}

impl Client {
    pub(crate) fn new(now: Instant, address: Address, options: ClientOptions) -> Self {
        let (policy, trip) = (options.reconnect, Box::new(options.trip));
        let (stage, backoff) = (Stage::Connecting, policy.backoff());
        Self { address, trip, policy, stage, backoff, down_since: now }
    }

    pub(crate) fn opened(&mut self) {
        (self.stage, self.backoff) = (Stage::Open, self.policy.backoff());
    }

    /// An attempt has failed, or the pipe is gone: how long until the next attempt, if there is
    /// one.
    pub(crate) fn went_down(&mut self, now: Instant, random: &mut Random) -> Option<Duration> {
        if self.stage == Stage::Open {
            self.down_since = now;
        }
        let wait = self.backoff.next_wait(random);
        let is_late = |limit: Duration| self.down_since + limit <= now;
        if !self.policy.reconnects || self.policy.give_up_after.is_some_and(is_late) {
            self.stage = Stage::Over;
            return None;
        }
        // The last attempt begins when the time is up, not after that.
        let latest = self.policy.give_up_after.map(|limit| self.down_since + limit);
        let at = latest.map_or(now + wait, |latest| latest.min(now + wait));
        self.stage = Stage::Waiting(at);
        Some(at.saturating_duration_since(now))
    }
}
