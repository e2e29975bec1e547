//! What a connection does without, and the warnings of it (feature `plain`, R-PLAIN-1).
//!
//! In go the switches that are in use, out come events, each once. Which are in use is decided by
//! the endpoint, before the connection begins.

use crate::event::{Event, Unsafe};
use crate::events::Events;
use crate::handle::ConnectionHandle;

/// The switches of plain mode that a connection makes use of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InUse {
    /// We prove no identity.
    pub(crate) unsigned_out: bool,
    /// The peer proves none, where we would demand one.
    pub(crate) unsigned_in: bool,
    /// The handshake was NN.
    pub(crate) plain_open: bool,
    /// DATA is readable.
    pub(crate) plain_traffic: bool,
}

impl InUse {
    /// None of them, until the handshake says which.
    pub(crate) const NONE: Self =
        Self { unsigned_out: false, unsigned_in: false, plain_open: false, plain_traffic: false };

    /// Says each of them. To be called once a connection, right behind `Connected`.
    pub(crate) fn tell(self, connection: ConnectionHandle, events: &mut Events) {
        self.all().for_each(|what| events.push_back(Event::Unsafe { connection, what }));
    }

    /// Each of them.
    pub(crate) fn all(self) -> impl Iterator<Item = Unsafe> {
        let all = [
            (self.unsigned_out, Unsafe::UnsignedOut),
            (self.unsigned_in, Unsafe::UnsignedIn),
            (self.plain_open, Unsafe::PlainOpen),
            (self.plain_traffic, Unsafe::PlainTraffic),
        ];
        all.into_iter().filter(|(used, _)| *used).map(|(_, what)| what)
    }
}
