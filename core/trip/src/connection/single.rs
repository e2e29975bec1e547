//! Whether a connection is *single*: the only one of its pair of identities (R-HAND-4).
//!
//! In come what both sides announced and that the connection is READY; out comes the word, once,
//! that older ones have to go. Which those are is the endpoint's business (`endpoint::single`).
#![deny(clippy::arithmetic_side_effects)]

use super::opening::Opening;
use super::{Connection, Stage};
use crate::crypto::PublicKey;
use crate::wire::Side;
use tripline_sansio::{Duration, Instant};

/// Where a connection stands as a single one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Single {
    /// It is not: one side does not want it, or one has no identity.
    #[default]
    No,
    /// We want it; as soon as the server's parameters are known: both do.
    Wanted,
    /// It is READY, and the endpoint has yet to see to the older ones.
    New,
    /// It is the one.
    Stands,
}

/// A single attempt of ours, or a single connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// We have asked, and no CHALLENGE has verified.
    Opening {
        /// OPENs that went out; `None` while a name is being resolved.
        asked: Option<u32>,
    },
    /// The server has answered; nothing from it under the new keys has verified.
    Pinging,
    /// It is READY: what came about later takes its place.
    Ready,
    /// It is ending, or over.
    Ending,
}

impl Connection {
    /// The other identity, of a single connection or an attempt at one.
    pub(crate) fn single_peer(&self) -> Option<PublicKey> {
        if self.single == Single::No {
            return None;
        }
        let asked = || self.opening.as_deref().and_then(Opening::server_key);
        self.peer.or_else(asked)
    }

    /// Whether both sides want it single, as far as that is known.
    pub(crate) fn is_single(&self) -> bool {
        self.single != Single::No
    }

    /// How far it is.
    pub(crate) fn standing(&self) -> Standing {
        match self.stage {
            Stage::Opening => match self.opening.as_deref() {
                Some(opening) => Standing::Opening { asked: opening.asked() },
                None => Standing::Ending,
            },
            Stage::Pinging if !self.closing.is_leaving() => Standing::Pinging,
            Stage::Ready => Standing::Ready,
            Stage::Pinging | Stage::Closing | Stage::Draining | Stage::Over => Standing::Ending,
        }
    }

    /// The server's parameters say whether it wants a single connection too.
    pub(super) fn on_single(&mut self, theirs: bool) {
        if !theirs {
            self.single = Single::No;
        }
    }

    /// READY: older ones have to go.
    pub(super) fn on_single_ready(&mut self) {
        if self.single == Single::Wanted {
            self.single = Single::New;
        }
    }

    /// Whether something has happened to it that concerns more than itself: it is over, or older
    /// ones have to go.
    pub(crate) fn has_turned(&self) -> bool {
        self.stage == Stage::Over || self.single == Single::New
    }

    /// Whether older ones have to go; says so once.
    pub(crate) fn take_single_ready(&mut self) -> bool {
        let new = self.single == Single::New;
        if new {
            self.single = Single::Stands;
        }
        new
    }

    /// An OPEN of the peer that came before this is older than this connection, which is READY. For
    /// a server: its OPEN. For a client: its own first OPEN, or READY if its OPEN `stands` against
    /// those of the peer, as it answers none in between.
    pub(crate) fn single_since(&self, stands: bool) -> Instant {
        match self.side {
            Side::Client if stands => self.started + Duration::from_nanos(self.stats.handshake_ns),
            _ => self.started,
        }
    }
}
