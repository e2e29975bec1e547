//! Attempts to connect, as they show outside (I26): OPENs, what answers them, and their repeats.

use super::report::Report;
use crate::cipher::Map;
use crate::host::HostId;
use crate::marks::Mark;
use crate::wire::{Limits, Open, Suite};
use std::collections::VecDeque;
use std::net::SocketAddr;
use tripline_sansio::{Duration, Instant};

/// Attempts that are remembered; the oldest goes.
const ATTEMPTS_MAX: usize = 16_384;
/// How long a server remembers an OPEN (R-HAND-2).
pub(super) const HALF_OPEN_LIFE: Duration = Duration::from_secs(30);
/// So many other half-opens later it may have had to forget it (they are 4,096, and 2 MiB).
const CROWD: u64 = 1_000;

/// The CHALLENGE that a server gave.
#[derive(Clone, Copy, Debug)]
struct Given {
    by: HostId,
    digest: u64,
    at: Instant,
    to: SocketAddr,
    /// It accepted; else a repeat may differ (R-CHAL-1a).
    accepts: bool,
    /// How many that server had given by then.
    count: u64,
}

/// What a client's OPENs said.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) host: HostId,
    pub(super) suite: Suite,
    /// What the client allows, once that was seen.
    pub(super) limits: Option<Limits>,
    /// The user id, once that was seen.
    pub(super) user: Option<u64>,
    front: u64,
    to: SocketAddr,
    /// From where the first one came.
    pub(super) source: SocketAddr,
    times: u32,
    token: bool,
    given: Vec<Given>,
}

/// All attempts, by the client's ID.
#[derive(Debug, Default)]
pub(super) struct Handshakes {
    attempts: Map<u64, Attempt>,
    order: VecDeque<u64>,
    /// Accepting CHALLENGEs by host.
    accepted: Map<u64, u64>,
    restarted: Vec<(HostId, Instant)>,
    /// By how much sooner a server may forget an OPEN whose clock is fast.
    pub(super) haste: Duration,
    /// How much later than it was made an answer may be seen: the host's socket was full, say.
    pub(super) slack: Duration,
}

impl Handshakes {
    /// The attempt with this ID.
    pub(super) fn get(&mut self, id: u64) -> Option<&mut Attempt> {
        self.attempts.get_mut(&id)
    }

    /// A server lost its memory.
    pub(super) fn on_restart(&mut self, host: HostId, now: Instant) {
        self.restarted.retain(|(other, _)| *other != host);
        self.restarted.push((host, now));
    }

    /// An OPEN is sent. Returns whether it is the first of its attempt.
    pub(super) fn on_open(
        &mut self,
        report: &mut Report,
        (host, is_honest): (HostId, bool),
        open: &Open<'_>,
        (source, to): (SocketAddr, SocketAddr),
    ) -> bool {
        report.hit_if(!open.token.is_empty(), Mark::OpenWithToken);
        let front = crate::digest(open.front);
        if let Some(attempt) = self.attempts.get_mut(&open.id) {
            // Others may repeat what they copied.
            if attempt.host == host && is_honest {
                attempt.on_repeat(report, open, front, to);
            }
            return false;
        }
        let has_token = !open.token.is_empty();
        let attempt = Attempt {
            host,
            suite: open.suite,
            limits: None,
            user: None,
            front,
            to,
            source,
            times: 1,
            token: has_token,
            given: Vec::new(),
        };
        self.attempts.insert(open.id, attempt);
        self.order.push_back(open.id);
        if self.order.len() > ATTEMPTS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.attempts.remove(&oldest);
        }
        true
    }

    /// A CHALLENGE is sent by `host`. `accepts` is whether its text, seen when it was sealed, does;
    /// nothing if it was not seen, so that it must be a repeat.
    pub(super) fn on_challenge(
        &mut self,
        report: &mut Report,
        host: HostId,
        id: u64,
        (bytes, to): (&[u8], SocketAddr),
        accepts: Option<bool>,
    ) {
        let digest = crate::digest(bytes);
        let count = self.accepted.entry(host.index() as u64).or_default();
        *count += u64::from(accepts == Some(true));
        let count = *count;
        let restarted = self.restarted.iter().find(|(other, _)| *other == host).map(|one| one.1);
        let life = HALF_OPEN_LIFE.saturating_sub(self.haste).saturating_sub(self.slack);
        let Some(attempt) = self.attempts.get_mut(&id) else { return };
        let known = attempt.given.iter_mut().rev().find(|given| given.by == host);
        let now = report.now;
        match (known, accepts) {
            (Some(given), None) if given.digest == digest => {
                report.hit(Mark::ChallengeRepeated);
                report.hit_if(given.to != to, Mark::ChallengeElsewhere);
            }
            (_, None) => {
                let what = format_args!("a CHALLENGE that nobody sealed (R-CHAL-1)");
                report.blame("I26", Some(host), what);
            }
            (known, Some(accepts)) => {
                let is_forgotten = |given: &Given| {
                    now - given.at >= life
                        || count - given.count > CROWD
                        || restarted.is_some_and(|at| at >= given.at)
                };
                if known.is_some_and(|given| given.accepts && !is_forgotten(given)) {
                    let what = format_args!("two CHALLENGEs for one OPEN (R-CHAL-1)");
                    report.blame("I26", Some(host), what);
                }
                attempt.given.retain(|given| given.by != host);
                attempt.given.push(Given { by: host, digest, at: now, to, accepts, count });
                if attempt.given.len() > 16 {
                    attempt.given.remove(0);
                }
            }
        }
    }
}

impl Attempt {
    /// R-OPEN-2.
    fn on_repeat(&mut self, report: &mut Report, open: &Open<'_>, front: u64, to: SocketAddr) {
        self.times = self.times.saturating_add(1);
        report.hit(Mark::OpenRepeated);
        report.hit_if(self.times == 8, Mark::OpenManyTimes);
        report.hit_if(to != self.to, Mark::OpenElsewhere);
        if front != self.front {
            let what = format_args!("an OPEN repeated with other bytes (R-OPEN-2)");
            report.blame("I26", Some(self.host), what);
        }
        if self.token && open.token.is_empty() {
            let what = format_args!("an OPEN without the token that it had (R-OPEN-2)");
            report.blame("I26", Some(self.host), what);
        }
        self.token |= !open.token.is_empty();
    }
}
