//! What is going to happen, ordered by time and, within one instant, by when it was put in.
//!
//! The second half of the key is what makes a run replay: a heap alone may hand out equal keys in
//! any order. The queue knows nothing of what it holds and never reads a clock.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use tripline_sansio::Instant;

/// A priority queue keyed by `(time, insertion number)`.
#[derive(Clone, Debug)]
pub struct EventQueue<T> {
    heap: BinaryHeap<Entry<T>>,
    /// The number of the next insertion; 2^64 insertions are more than any run makes.
    next_number: u64,
}

#[derive(Clone, Debug)]
struct Entry<T> {
    at: Instant,
    number: u64,
    item: T,
}

impl<T> Entry<T> {
    const fn key(&self) -> (Instant, u64) {
        (self.at, self.number)
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    /// Backwards, because the standard heap hands out its greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}

impl<T> Default for EventQueue<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> EventQueue<T> {
    /// The empty queue.
    pub const fn new() -> Self {
        Self { heap: BinaryHeap::new(), next_number: 0 }
    }

    /// Puts `item` in, to come out at `at` after everything that was put in for the same instant.
    pub fn push(&mut self, at: Instant, item: T) {
        let number = self.next_number;
        self.next_number += 1;
        self.heap.push(Entry { at, number, item });
    }

    /// When the first item is due.
    pub fn next_time(&self) -> Option<Instant> {
        self.heap.peek().map(|entry| entry.at)
    }

    /// Takes the first item.
    pub fn pop(&mut self) -> Option<(Instant, T)> {
        self.heap.pop().map(|entry| (entry.at, entry.item))
    }

    /// Takes the first item if it is due at `now` or before.
    pub fn pop_due(&mut self, now: Instant) -> Option<T> {
        if self.next_time()? > now {
            return None;
        }
        self.pop().map(|(_, item)| item)
    }

    /// How many items wait.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tripline_sansio::Seed;

    #[test]
    fn items_leave_by_time_then_by_insertion() {
        let mut random = Seed::from_number(1).random("queue");
        let mut queue = EventQueue::new();
        let mut model = Vec::new();
        for number in 0..2_000_u64 {
            let at = Instant::from_nanos(random.below(50));
            queue.push(at, number);
            model.push((at, number));
        }
        assert_eq!(queue.len(), model.len());
        // Insertion numbers rise, so a plain sort by (time, number) is the promised order.
        model.sort();
        let drained: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(drained, model);
        assert!(queue.is_empty() && queue.next_time().is_none());
    }

    #[test]
    fn nothing_leaves_before_it_is_due() {
        let mut queue = EventQueue::new();
        queue.push(Instant::from_nanos(5), 'a');
        assert_eq!(queue.pop_due(Instant::from_nanos(4)), None);
        assert_eq!(queue.pop_due(Instant::from_nanos(5)), Some('a'));
        assert_eq!(queue.pop_due(Instant::MAX), None);
    }
}
