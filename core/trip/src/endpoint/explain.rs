//! Why a connection waits, for its user.

use super::Endpoint;
use crate::State;
use crate::explain::{EndingReason, Explanation, Reason};
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
        let mut explanation = self.connection(connection)?.explain(now, self.events.len());
        let over = matches!(explanation.state, State::Closed | State::Failed);
        if let Some(until) = self.leave.until().filter(|_| !over) {
            // What the connection itself waits for on its way out comes first.
            let left = Some(until.saturating_duration_since(now));
            let connections = u64::from(self.live);
            let reason = EndingReason::ShutDown { connections, left };
            explanation.reasons.push(Reason::Ending(reason));
        }
        Some(explanation)
    }
}
