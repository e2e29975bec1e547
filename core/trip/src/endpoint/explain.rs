//! Why a connection waits, for its user.

use super::Endpoint;
use crate::explain::Explanation;
use crate::handle::ConnectionHandle;
use tripline_sansio::Instant;

impl Endpoint {
    /// Why a connection, and each of its streams, waits right now: for its user, for the peer, for
    /// credit, for the path, for time; `None` if it is gone.
    ///
    /// Changes nothing, and is exact after a full drain. What the peer waits for it cannot know,
    /// beyond the credit that we give it.
    pub fn explain(&self, now: Instant, connection: ConnectionHandle) -> Option<Explanation> {
        let now = now.max(self.now);
        Some(self.connection(connection)?.explain(now, self.events.len()))
    }
}
