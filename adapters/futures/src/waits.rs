//! Who waits for what: the wakers of all tasks, by what they wait for.
//!
//! There is one waker for each future that waits, and it goes when the future is dropped: the table
//! is bounded by what the user holds. A wake takes the whole list of a topic; who finds that it was
//! not for them leaves word again.

use std::collections::BTreeMap;
use std::task::Waker;
use tripline::{ConnectionHandle, Direction, StreamId};

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

/// The name of a waker within its topic; `None` while there is none.
pub(crate) type Ticket = Option<u64>;

#[derive(Debug, Default)]
pub(crate) struct Waits {
    topics: BTreeMap<Topic, Vec<(u64, Waker)>>,
    next: u64,
    /// Wakers of no more use. To drop one may run anybody's code, so that waits for the lock.
    gone: Vec<Waker>,
}

impl Waits {
    /// Leaves the waker of a task, in place of the one that it left before.
    pub(crate) fn leave_word(&mut self, topic: Topic, ticket: &mut Ticket, waker: &Waker) {
        let list = self.topics.entry(topic).or_default();
        let place = list.iter_mut().find(|(number, _)| Some(*number) == *ticket);
        match place {
            Some((_, old)) if old.will_wake(waker) => {}
            Some((_, old)) => self.gone.push(std::mem::replace(old, waker.clone())),
            None => {
                *ticket = Some(self.next);
                list.push((self.next, waker.clone()));
                self.next += 1;
            }
        }
    }

    /// Forgets the waker of a task that waits no longer.
    pub(crate) fn forget(&mut self, topic: Topic, ticket: &mut Ticket) {
        let Some(gone) = ticket.take() else { return };
        let Some(list) = self.topics.get_mut(&topic) else { return };
        if let Some(at) = list.iter().position(|(number, _)| *number == gone) {
            self.gone.push(list.remove(at).1);
        }
        if list.is_empty() {
            self.topics.remove(&topic);
        }
    }

    /// Hands over the wakers of everyone who waits for this.
    pub(crate) fn take(&mut self, topic: Topic, into: &mut Vec<Waker>) {
        if let Some(list) = self.topics.remove(&topic) {
            into.extend(list.into_iter().map(|(_, waker)| waker));
        }
    }

    /// Wakers of no more use, to be dropped where no lock is held.
    pub(crate) fn take_gone(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.gone)
    }

    /// How many wakers there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.topics.values().map(Vec::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_of_who_waits_no_longer() {
        let mut waits = Waits::default();
        let (mut one, mut two) = (None, None);
        waits.leave_word(Topic::Accept, &mut one, Waker::noop());
        waits.leave_word(Topic::Accept, &mut two, Waker::noop());
        waits.leave_word(Topic::Accept, &mut one, Waker::noop());
        assert_eq!(waits.len(), 2);
        waits.forget(Topic::Accept, &mut one);
        assert_eq!((waits.len(), one), (1, None));
        let mut woken = Vec::new();
        waits.take(Topic::Accept, &mut woken);
        assert_eq!((woken.len(), waits.len()), (1, 0));
        // The old ticket is no good any more, and harms nobody.
        waits.leave_word(Topic::ShutDown, &mut one, Waker::noop());
        waits.forget(Topic::Accept, &mut two);
        assert_eq!((waits.len(), waits.topics.len()), (1, 1));
    }
}
