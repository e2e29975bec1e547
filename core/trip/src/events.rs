//! The queue of what an endpoint has to tell its user.
//!
//! In go events one by one, and the fates of messages in runs; out come events one by one, in the
//! order in which they went in. A run takes the room of one event, however many messages it is
//! about, and is made into events when they are asked for.
#![deny(clippy::arithmetic_side_effects)]

use crate::event::Event;
use crate::fates::FateRun;
use crate::handle::ConnectionHandle;
use crate::wire::StreamId;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// What waits in one place of the queue.
#[derive(Debug)]
enum Entry {
    One(Event),
    Fates { connection: ConnectionHandle, stream: StreamId, run: FateRun },
}

/// Events that nobody polled yet.
#[derive(Debug, Default)]
pub(crate) struct Events {
    queue: VecDeque<Entry>,
    /// How many events that will be.
    len: usize,
    /// Streams that took no message because so many wait.
    refused: Vec<(ConnectionHandle, StreamId)>,
}

impl Events {
    /// Appends an event.
    pub(crate) fn push_back(&mut self, event: Event) {
        self.len = self.len.saturating_add(1);
        self.queue.push_back(Entry::One(event));
    }

    /// Appends an [`Event::Message`] for each message of `run`.
    pub(crate) fn push_fates(
        &mut self,
        connection: ConnectionHandle,
        stream: StreamId,
        run: FateRun,
    ) {
        let count = usize::try_from(run.count).unwrap_or(usize::MAX);
        self.len = self.len.saturating_add(count);
        if let Some(Entry::Fates { connection: whose, stream: of, run: last }) =
            self.queue.back_mut()
            && (*whose, *of) == (connection, stream)
            && last.join(run)
        {
            return;
        }
        self.queue.push_back(Entry::Fates { connection, stream, run });
    }

    /// Takes the first event out.
    pub(crate) fn pop_front(&mut self) -> Option<Event> {
        if let Entry::Fates { connection, stream, run } = self.queue.front_mut()? {
            let (connection, stream, fate) = (*connection, *stream, run.fate);
            let (token, more) = run.take_first();
            if !more {
                self.queue.pop_front();
            }
            self.len = self.len.saturating_sub(1);
            return Some(Event::Message { connection, stream, token, fate });
        }
        let Some(Entry::One(event)) = self.queue.pop_front() else { return None };
        self.len = self.len.saturating_sub(1);
        Some(event)
    }

    /// Notes a stream that takes no message until fewer events wait; not twice.
    pub(crate) fn refuse(&mut self, connection: ConnectionHandle, stream: StreamId) {
        self.refused.push((connection, stream));
    }

    /// The streams that waited for it, if at most `most` events are left.
    pub(crate) fn take_refused(&mut self, most: usize) -> Vec<(ConnectionHandle, StreamId)> {
        if self.refused.is_empty() || self.len > most {
            return Vec::new();
        }
        core::mem::take(&mut self.refused)
    }

    /// How many events there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Gives memory back, but for the room of `entries` events.
    pub(crate) fn shrink_to(&mut self, entries: usize) {
        self.queue.shrink_to(entries);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Fate;
    use crate::handle::MessageToken;
    use crate::wire::{Direction, Order, Side};

    /// T30, T80: a burst of fates takes one place, and is told one by one and in order.
    #[test]
    fn t80_fates_wait_as_runs_and_come_out_one_by_one() {
        let connection = ConnectionHandle { slot: 1, generation: 0 };
        let stream =
            |index| StreamId::new(index, Order::Ordered, Direction::TwoWay, Side::Client).unwrap();
        let mut events = Events::default();
        let run = |first, count| FateRun { first: MessageToken(first), count, fate: Fate::Acked };
        events.push_fates(connection, stream(0), run(0, 3));
        events.push_fates(connection, stream(0), run(3, 2));
        events.push_fates(connection, stream(1), run(5, 1));
        events.push_back(Event::Readable { connection, stream: stream(0) });
        events.push_fates(connection, stream(1), run(6, 1));
        assert_eq!((events.len(), events.queue.len()), (8, 4));
        let mut tokens = Vec::new();
        while let Some(event) = events.pop_front() {
            match event {
                Event::Message { token, .. } => tokens.push(token.number()),
                _ => tokens.push(100),
            }
        }
        assert_eq!(tokens, [0, 1, 2, 3, 4, 5, 100, 6]);
        assert_eq!(events.len(), 0);
    }
}
