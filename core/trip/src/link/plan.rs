//! By what a connection of ours is to travel, and which link comes next.
//!
//! In go failures and successes; out come the next address and kind to try, and how long to wait
//! before. Every kind is tried at every address in turn, without a wait in the first round; then
//! the waits grow from a quarter of a second to ten.
#![deny(clippy::arithmetic_side_effects)]

use super::hub::Carrier;
use crate::carrier::LinkId;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;
use tripline_sansio::{Backoff, Duration, Instant, LinkError, LinkFailure, LinkKind, Random};

/// How long whoever is at the end of a link may take to answer OPEN: longer than any handshake, as
/// others may speak there.
pub(super) const ANSWER: Duration = Duration::from_secs(3);

/// Datagrams have so much of a head start (R-LINK-8).
const HEAD_START: Duration = Duration::from_millis(300);

/// The waits between links.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LAST_WAIT: Duration = Duration::from_secs(10);

/// One kind of link to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkRoute {
    /// What it is made of; not UDP.
    pub kind: LinkKind,
    /// The port there; `None`: that of the target.
    pub port: Option<u16>,
}

/// By what a connection is to travel (row N49).
///
/// ```
/// use tripline::{LinkRoute, Over};
/// use tripline_sansio::LinkKind;
///
/// let mut over = Over::auto(); // datagrams, or else TCP at the same port,
/// over.links.push(LinkRoute { kind: LinkKind::Tls, port: Some(443) }); // or else TLS
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Over {
    /// Whether it may travel by datagrams.
    pub udp: bool,
    /// The links that it may travel by, in the order in which they are tried.
    pub links: Vec<LinkRoute>,
    /// If it may travel by both: how long datagrams are tried alone.
    pub head_start: Duration,
}

impl Over {
    /// Datagrams alone.
    pub const fn udp() -> Self {
        Self { udp: true, links: Vec::new(), head_start: HEAD_START }
    }

    /// TCP alone, at the port of the target.
    pub fn tcp() -> Self {
        Self::link(LinkKind::Tcp)
    }

    /// TLS alone, at the port of the target.
    pub fn tls() -> Self {
        Self::link(LinkKind::Tls)
    }

    fn link(kind: LinkKind) -> Self {
        let links = alloc::vec![LinkRoute { kind, port: None }];
        Self { udp: false, links, head_start: HEAD_START }
    }

    /// Datagrams if they get through; else TCP at the same port.
    pub fn auto() -> Self {
        Self { udp: true, ..Self::tcp() }
    }
}

impl Default for Over {
    fn default() -> Self {
        Self::udp()
    }
}

/// Where a plan stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing is to be done: datagrams do, or addresses are not known yet.
    Resting,
    /// The next link is opened then.
    Waiting(Instant),
    /// A link was wished for.
    Asking(LinkId),
    /// A link is in use; until then the server must have answered, if it has not yet.
    Using { link: LinkId, until: Option<Instant> },
}

/// The links of one connection.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) over: Over,
    /// What the server is called.
    pub(super) name: String,
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) stage: Stage,
    /// The newest that was tried.
    pub(super) last: Option<Carrier>,
    /// A link is needed whatever becomes of datagrams.
    pub(super) wants_link: bool,
    /// A link is wanted only if nothing has come since so many packets.
    pub(super) quiet_since: Option<u64>,
    /// How many were tried since one did.
    tried: usize,
    backoff: Backoff,
}

impl Plan {
    pub(super) fn new(over: Over, name: String, addresses: Vec<SocketAddr>) -> Self {
        let backoff = Backoff::new(FIRST_WAIT, (2, 1), LAST_WAIT).with_jitter(250);
        let wants_link = !over.udp;
        Self {
            over,
            name,
            addresses,
            stage: Stage::Resting,
            last: None,
            wants_link,
            quiet_since: None,
            tried: 0,
            backoff,
        }
    }

    /// How many there are to try.
    fn candidates(&self) -> usize {
        self.addresses.len().saturating_mul(self.over.links.len())
    }

    /// The next to try: the first kind at every address, then the next kind.
    pub(super) fn next(&mut self) -> Option<Carrier> {
        let at = self.tried.checked_rem(self.candidates())?;
        self.tried = self.tried.saturating_add(1);
        let count = self.addresses.len();
        let route = self.over.links.get(at.checked_div(count)?)?;
        let mut remote = *self.addresses.get(at.checked_rem(count)?)?;
        if let Some(port) = route.port {
            remote.set_port(port);
        }
        Some(Carrier { kind: route.kind, remote })
    }

    /// How long to wait before the next.
    pub(super) fn wait(&mut self, random: &mut Random) -> Duration {
        if self.tried > 0 && self.tried < self.candidates() {
            return Duration::ZERO;
        }
        self.backoff.next_wait(random)
    }

    /// The link in use does: should it break, the same one is tried first.
    pub(super) fn succeeded(&mut self) {
        let candidates = self.candidates().max(1);
        let at = self.tried.saturating_sub(1).checked_rem(candidates).unwrap_or(0);
        // As if that many had been tried, so that the next is the same and comes with a wait.
        self.tried = at.saturating_add(candidates);
        self.backoff.reset();
    }
}

/// A link that was there and does not do.
pub(super) fn broken(text: String) -> LinkError {
    LinkError { failure: LinkFailure::Broken, text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tripline_sansio::Seed;

    /// N49: every kind at every address, the first round without a wait, then growing ones; after a
    /// success the same one again.
    #[test]
    fn n49_candidates_come_in_turn() {
        let address = |last: u8, port: u16| SocketAddr::from(([10, 0, 0, last], port));
        let mut over = Over::auto();
        over.links.push(LinkRoute { kind: LinkKind::Tls, port: Some(443) });
        let addresses = alloc::vec![address(1, 9), address(2, 9)];
        let mut plan = Plan::new(over, String::new(), addresses);
        let mut random = Seed::from_number(1).random("plan");
        let mut seen = Vec::new();
        for number in 1..=6 {
            seen.push(plan.next().map(|carrier| (carrier.kind, carrier.remote)).unwrap());
            let wait = plan.wait(&mut random);
            assert_eq!(wait.is_zero(), number < 4, "{number}: {wait:?}");
        }
        let tcp = [(LinkKind::Tcp, address(1, 9)), (LinkKind::Tcp, address(2, 9))];
        let tls = [(LinkKind::Tls, address(1, 443)), (LinkKind::Tls, address(2, 443))];
        assert_eq!(seen, [tcp, tls, tcp].concat());
        plan.succeeded();
        assert!(plan.wait(&mut random) < Duration::from_secs(1), "it begins anew");
        assert_eq!(plan.next().map(|carrier| carrier.remote), Some(address(2, 9)));
    }
}
