//! What the user can ask and change of what was agreed on with a peer (row T46).

use super::Endpoint;
use crate::agreed::{Agreed, Reconfigure};
use crate::error::UnknownConnection;
use crate::handle::ConnectionHandle;
use tripline_sansio::Instant;

impl Endpoint {
    /// What the two sides agreed on: version, suite, limits, and what was granted since. `None`
    /// until the peer's limits are known (for a client: until its CHALLENGE verified), and when the
    /// connection is gone.
    pub fn agreed(&self, connection: ConnectionHandle) -> Option<Agreed> {
        self.connection(connection)?.agreed()
    }

    /// Changes limits of a connection without closing it (R-PARAM-6). The peer learns of larger
    /// ones by grants; nothing that was granted is taken back.
    ///
    /// # Errors
    /// If the connection is gone, or has ended and only holds unread data.
    pub fn reconfigure(
        &mut self,
        now: Instant,
        connection: ConnectionHandle,
        change: Reconfigure,
    ) -> Result<(), UnknownConnection> {
        self.command(now, connection, |connection, cx| connection.reconfigure(&change, cx))
            .filter(|live| *live)
            .map(drop)
            .ok_or(UnknownConnection)
    }
}
