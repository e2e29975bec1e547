//! What a sending half holds, for whoever asks why it waits.

use super::{End, Outgoing, SendHalf, State};

impl SendHalf {
    /// Bytes of messages that were never sent. Looks at each of them.
    pub(crate) fn unsent(&self) -> u64 {
        let waiting = self.queue.iter().skip(self.cursor).filter(|one| one.state == State::Live);
        waiting
            .map(|one: &Outgoing| one.unsent().min(one.content.len()))
            .fold(0, u64::saturating_add)
    }

    /// How many offsets were sent, and are neither acknowledged nor known to be skipped.
    pub(crate) fn unacknowledged(&self) -> u64 {
        let first = self.queue.iter().find(|one| one.is_begun()).map(|one| one.start);
        let first = first.unwrap_or(self.next_offset);
        let settled = self
            .settled
            .iter()
            .map(|range| range.end.min(self.next_offset).saturating_sub(range.start.max(first)));
        let span = self.next_offset.saturating_sub(first);
        span.saturating_sub(settled.fold(0, u64::saturating_add))
    }

    /// Where the next new byte goes.
    pub(crate) fn next_offset(&self) -> u64 {
        self.next_offset
    }

    /// Whether the newest grant of credit was found too small.
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked.is_some_and(|(at, _)| at == self.limit)
    }

    /// Whether the end of the half was, or is to be, sent and the peer is not known to have it.
    pub(crate) fn end_is_away(&self) -> bool {
        matches!(self.end, End::FinSent | End::Close(_) | End::CloseSent(_))
    }
}
