//! A budget of memory, as limits: how many connections a host takes, and how much each may hold.
//!
//! In goes a number of bytes, out come the limits that keep within it. What would go beyond is
//! refused as these limits refuse: connections with *busy*, messages with *blocked*, the peer's by
//! credit that is not granted.

/// A connection gets no less than this.
const SHARE: u64 = 64_000;
/// The most connections.
const CONNECTIONS: u64 = 64;

/// The limits that follow from a budget; what the host's other settings say may be less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    /// Connections at once.
    pub(crate) connections: u64,
    /// What the peer may have on its way or unread on a connection, as far as it may grow.
    pub(crate) connection_credit: u64,
    /// The same on a stream.
    pub(crate) stream_credit: u64,
    /// The longest message that is taken.
    pub(crate) message_max: u64,
    /// What may wait in one stream.
    pub(crate) send_buffer: u64,
    /// Streams of each direction that the peer may have open.
    pub(crate) streams: u64,
}

impl Budget {
    /// How so many bytes are divided.
    pub(crate) const fn of(bytes: u64) -> Self {
        let most = bytes / SHARE;
        let connections = if most > CONNECTIONS { CONNECTIONS } else { most };
        let connections = if connections == 0 { 1 } else { connections };
        // A quarter for what comes, a quarter for what waits in eight streams, half for the rest.
        let share = bytes / connections;
        let credit = share / 4;
        let stream_credit = credit / 2;
        Self {
            connections,
            connection_credit: credit,
            stream_credit,
            message_max: stream_credit.saturating_sub(8),
            send_buffer: share / 32,
            streams: 8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_never_spent_twice() {
        for bytes in [64_000, 100_000, 1 << 20, 10 << 20, 64_000_000] {
            let budget = Budget::of(bytes);
            let each = budget.connection_credit + 8 * budget.send_buffer;
            assert!(budget.connections * each <= bytes / 2, "{budget:?}");
            assert!(budget.message_max + 8 <= budget.stream_credit, "{budget:?}");
            assert!(budget.stream_credit <= budget.connection_credit && budget.message_max > 1_000);
        }
    }
}
