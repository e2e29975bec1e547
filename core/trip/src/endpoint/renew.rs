//! The endpoint's part in renewals: IDs and ephemeral keys for new zones (PROTOCOL.md §5.3).
//!
//! A connection says that it needs a half, the next drain gives it one; so every ID is issued and
//! released here, and a connection knows of no table (R-ID-3).
#![deny(clippy::arithmetic_side_effects)]

use super::Endpoint;
use super::ids::Owner;
use crate::connection::OwnHalf;
use crate::crypto::SecretKey;
use crate::error::UnknownConnection;
use crate::handle::ConnectionHandle;
use crate::wire::RESET_TOKEN_LEN;
use tripline_sansio::Instant;

impl Endpoint {
    /// Renews the keys of a connection, as happens by itself after some time and many packets
    /// (row T24). Traffic goes on meanwhile; the number of the zone in the connection's counters
    /// rises when the new keys are in use. The wish waits until the connection is ready and its
    /// last renewal is done; several that wait are one.
    ///
    /// # Errors
    /// If the connection is gone.
    pub fn renew(
        &mut self,
        now: Instant,
        connection: ConnectionHandle,
    ) -> Result<(), UnknownConnection> {
        self.command(now, connection, |connection, _| connection.renew()).ok_or(UnknownConnection)
    }

    /// Gives the connection in `slot` its half of the next zone if it needs one, and takes back the
    /// IDs that it has done with. Whether it may now have something to send.
    ///
    /// With no ID to be had (PROTOCOL.md §11) the connection keeps its zone and asks again with the
    /// next drain.
    pub(super) fn tend_zones(&mut self, slot: u32) -> bool {
        let Some(connection) = self
            .slots
            .get_mut(usize::try_from(slot).unwrap_or(usize::MAX))
            .and_then(|place| place.connection.as_deref_mut())
        else {
            return false;
        };
        while let Some(id) = connection.take_released_id() {
            self.ids.release(id);
        }
        if !connection.wants_half() {
            return false;
        }
        let Some(id) = self.ids.issue(Owner::Connection(slot)) else {
            self.count(|drops| &mut drops.at_bound);
            return false;
        };
        // No tokens are given out: RESET is not built.
        let token = [0; RESET_TOKEN_LEN];
        let half = OwnHalf::new(id, token, SecretKey::generate(&mut self.ephemerals));
        self.with(slot, |connection, cx| connection.on_own_half(half, cx)).is_some()
    }
}
