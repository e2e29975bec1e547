//! The small, copyable names by which users call connections and messages.

use core::fmt;

/// A connection of an endpoint.
///
/// A slot and a generation: when the connection is gone its slot may serve another one, and the old
/// handle is then refused with [`UnknownConnection`](crate::UnknownConnection) instead of reaching
/// the newcomer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionHandle {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl ConnectionHandle {
    /// The slot: small, dense and reused, so that users can keep their own data in a vector by it.
    pub const fn slot(self) -> u32 {
        self.slot
    }
}

impl fmt::Debug for ConnectionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "conn{}.{}", self.slot, self.generation)
    }
}

/// A client that waits for the screening's answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IncomingHandle {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl fmt::Debug for IncomingHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "incoming{}.{}", self.slot, self.generation)
    }
}

/// A message (or a chunk of a byte stream) handed to `send`: unique and rising within a connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageToken(pub(crate) u64);

impl MessageToken {
    /// The how-manieth message of its connection, from 0.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Debug for MessageToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "message{}", self.0)
    }
}
