//! Who waits for what: the wakers of all tasks, by what they wait for (the topic `T`).
//!
//! There is one waker for each future that waits, and it goes when the future is dropped: the table
//! is bounded by what the user holds. A wake takes the whole list of a topic; who finds that it was
//! not for them leaves word again.

use std::collections::BTreeMap;
use std::task::Waker;

/// The name of a waker within its topic; `None` while there is none.
pub type Ticket = Option<u64>;

/// The wakers of everyone who waits.
#[derive(Debug)]
pub struct Waits<T> {
    topics: BTreeMap<T, Vec<(u64, Waker)>>,
    next: u64,
    /// Wakers of no more use. To drop one may run anybody's code, so that waits for the lock.
    gone: Vec<Waker>,
}

impl<T> Default for Waits<T> {
    fn default() -> Self {
        Self { topics: BTreeMap::new(), next: 0, gone: Vec::new() }
    }
}

impl<T: Copy + Ord> Waits<T> {
    /// Leaves the waker of a task, in place of the one that it left before.
    pub fn leave_word(&mut self, topic: T, ticket: &mut Ticket, waker: &Waker) {
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
    pub fn forget(&mut self, topic: T, ticket: &mut Ticket) {
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
    pub fn take(&mut self, topic: T, into: &mut Vec<Waker>) {
        if let Some(list) = self.topics.remove(&topic) {
            into.extend(list.into_iter().map(|(_, waker)| waker));
        }
    }

    /// Hands over all wakers.
    pub fn take_all(&mut self, into: &mut Vec<Waker>) {
        let all = std::mem::take(&mut self.topics).into_values().flatten();
        into.extend(all.map(|(_, waker)| waker));
    }

    /// Wakers of no more use, to be dropped where no lock is held.
    pub fn take_gone(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.gone)
    }

    /// How many wakers there are.
    pub fn len(&self) -> usize {
        self.topics.values().map(Vec::len).sum()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_of_who_waits_no_longer() {
        let mut waits = Waits::default();
        let (mut one, mut two) = (None, None);
        waits.leave_word("accept", &mut one, Waker::noop());
        waits.leave_word("accept", &mut two, Waker::noop());
        waits.leave_word("accept", &mut one, Waker::noop());
        assert_eq!(waits.len(), 2);
        waits.forget("accept", &mut one);
        assert_eq!((waits.len(), one), (1, None));
        let mut woken = Vec::new();
        waits.take("accept", &mut woken);
        assert_eq!((woken.len(), waits.len()), (1, 0));
        // The old ticket is no good any more, and harms nobody.
        waits.leave_word("end", &mut one, Waker::noop());
        waits.forget("accept", &mut two);
        assert_eq!((waits.len(), waits.topics.len()), (1, 1));
    }
}
