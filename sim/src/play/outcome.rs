//! What a run came to.

use crate::marks::Marks;
use crate::trace::Totals;
use std::fmt;
use tripline_sansio::{Duration, Instant};

/// A run in which every promise was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// The hash of every datagram sent and delivered, and of every event: equal for equal runs.
    pub trace_hash: u64,
    /// How much virtual time went by, both phases.
    pub simulated: Duration,
    /// What became of the datagrams.
    pub totals: Totals,
    /// What the applications did.
    pub deeds: Deeds,
    /// The rare things that were met.
    pub marks: Marks,
}

/// What the applications of a run did, and what came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deeds {
    /// Steps that fitted.
    pub steps: u64,
    /// Steps that did not fit when their time came.
    pub passed_over: u64,
    /// Connections that were begun.
    pub connections: u64,
    /// Connections that came about, as the clients saw it.
    pub connected: u64,
    /// Streams that were opened.
    pub streams: u64,
    /// Messages that were handed in.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Messages, or chunks of a stream of bytes, that were read.
    pub received: u64,
    /// Their bytes.
    pub received_bytes: u64,
}

/// A run in which something was wrong: what, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Who found it: the number of an invariant (`I11`), of a liveness rule (`L2`), `contract` for
    /// the run loop's, or `panic`.
    pub oracle: String,
    /// When, in the world's time.
    pub at: Instant,
    /// What was wrong, in a line or a few.
    pub what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {:?}: {}", self.oracle, self.at, self.what)
    }
}

impl std::error::Error for Failure {}
