//! Where the peer is, and how much may be sent there before it is proven (R-HAND-1).
//!
//! A connection has one path so far; moving to another one (PROTOCOL.md §5.2) has its place here.
#![deny(clippy::arithmetic_side_effects)]

use tripline_sansio::Path;

/// To an unproven address goes at most this many times what came from it.
const AMPLIFICATION: u64 = 3;

/// The address of the peer.
#[derive(Clone, Debug)]
pub(crate) struct PeerPath {
    path: Path,
    /// `None` once proven; else the bytes that may still go there.
    budget: Option<u64>,
}

impl PeerPath {
    /// An address that has shown that it receives what is sent there.
    pub(crate) fn proven(path: Path) -> Self {
        Self { path, budget: None }
    }

    /// An address that has yet to show it, from which nothing came so far.
    pub(crate) fn unproven(path: Path) -> Self {
        Self { path, budget: Some(0) }
    }

    /// The path itself.
    pub(crate) fn path(&self) -> Path {
        self.path
    }

    /// Whether packets from there come from the peer's address.
    pub(crate) fn is(&self, path: Path) -> bool {
        self.path.remote == path.remote
    }

    /// Whether the address is proven.
    pub(crate) fn is_proven(&self) -> bool {
        self.budget.is_none()
    }

    /// The right PONG came from a PING that went there.
    pub(crate) fn prove(&mut self) {
        self.budget = None;
    }

    /// `bytes` came from there, verified.
    pub(crate) fn on_received(&mut self, bytes: usize) {
        let earned = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(AMPLIFICATION);
        self.budget = self.budget.map(|budget| budget.saturating_add(earned));
    }

    /// `bytes` go there.
    pub(crate) fn on_sent(&mut self, bytes: usize) {
        let spent = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.budget = self.budget.map(|budget| budget.saturating_sub(spent));
    }

    /// Whether a datagram of this many bytes may go there.
    pub(crate) fn allows(&self, bytes: usize) -> bool {
        self.budget.is_none_or(|budget| budget >= u64::try_from(bytes).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::SocketAddr;

    /// R-HAND-1: three times what came, until proven.
    #[test]
    fn an_unproven_address_gets_three_times_what_it_sent() {
        let remote = SocketAddr::from(([127, 0, 0, 1], 1));
        let mut path = PeerPath::unproven(Path::to(remote));
        assert!(!path.allows(1));
        path.on_received(100);
        assert!(path.allows(300) && !path.allows(301));
        path.on_sent(250);
        assert!(path.allows(50) && !path.allows(51));
        path.prove();
        assert!(path.allows(usize::MAX) && path.is_proven());
    }
}
