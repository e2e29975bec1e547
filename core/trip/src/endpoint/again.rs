//! The endpoint's part when an attempt begins again (see `connection::again`): a new ID and a new
//! OPEN (R-OPEN-2). The connection says that it wants them, the next drain brings them.
#![deny(clippy::arithmetic_side_effects)]

use super::Endpoint;
use super::ids::Owner;

impl Endpoint {
    /// Gives the attempt in `slot` a new ID and a new OPEN, if it is to begin again. Whether it may
    /// now have something to send.
    pub(super) fn tend_attempt(&mut self, slot: u32) -> bool {
        let Some(again) = self
            .slots
            .get_mut(usize::try_from(slot).unwrap_or(usize::MAX))
            .and_then(|place| place.connection.as_deref_mut()?.take_again())
        else {
            return false;
        };
        let same_server = again.same_server;
        if again.parameters.is_single()
            && self.attempt_at(again.options.server_key, Some(slot)).is_some()
        {
            let why = "a single connection with it is being opened already";
            self.with(slot, |connection, cx| connection.fail_again(same_server, why, cx));
            return true;
        }
        let Some(id) = self.ids.issue(Owner::Connection(slot)) else {
            self.count(|drops| &mut drops.at_bound);
            let why = "no ID is left";
            self.with(slot, |connection, cx| connection.fail_again(same_server, why, cx));
            return true;
        };
        let start = self.start(
            self.now,
            id,
            again.addresses,
            &again.options,
            again.parameters,
            again.cipher,
        );
        let Some(mut start) = start else {
            self.ids.release(id);
            let why = "the key there is of no use";
            self.with(slot, |connection, cx| connection.fail_again(same_server, why, cx));
            return true;
        };
        (start.deadline, start.trusted) = (again.deadline, again.trusted);
        self.with(slot, |connection, cx| connection.begin_again(start, same_server, cx));
        self.note_single(slot);
        self.ids.release(again.client_id);
        true
    }
}
