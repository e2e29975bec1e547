//! What the tasks of this crate wait for.

use tripline::{ConnectionHandle, Direction, StreamId};

pub(crate) use tripline_common::Ticket;

/// Who waits for what.
pub(crate) type Waits = tripline_common::Waits<Topic>;

/// What a task waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Topic {
    /// A client that came in.
    Accept,
    /// The end of the endpoint.
    ShutDown,
    /// News of an attempt to connect.
    Attempt(ConnectionHandle),
    /// A stream that the peer opens.
    Opened(ConnectionHandle),
    /// That the peer allows another stream.
    Open(ConnectionHandle, Direction),
    /// The end of a connection.
    End(ConnectionHandle),
    /// Something to read.
    Readable(ConnectionHandle, StreamId),
    /// Room to send.
    Writable(ConnectionHandle, StreamId),
    /// What became of messages.
    Settled(ConnectionHandle, StreamId),
}
