//! Work on several threads whose results come in order all the same.

use std::any::Any;
use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

/// How far workers may be ahead of the oldest piece of work that is not done. It bounds what waits
/// behind a slow one.
const AHEAD: u64 = 4_096;

/// Does `work` for each number on `jobs` threads (at least one), and hands what came of it to
/// `take`, on this thread, in the order of the numbers, until `take` says no or all is done.
///
/// What `take` sees does not depend on the number of threads. If `work` panics, so does this, when
/// the turn comes to its number.
pub fn in_order<T: Send>(
    numbers: Range<u64>,
    jobs: usize,
    work: impl Fn(u64) -> T + Sync,
    mut take: impl FnMut(u64, T) -> ControlFlow<()>,
) {
    let gate = Gate::new(numbers.clone());
    let (sender, results) = sync_channel(jobs.max(1));
    thread::scope(|scope| {
        // Opened on every way out, a panic too: workers that wait have to end.
        let _open = Open(&gate);
        for _ in 0..jobs.max(1) {
            let (sender, gate, work) = (sender.clone(), &gate, &work);
            scope.spawn(move || labour(gate, &sender, work));
        }
        drop(sender);
        // Owned here, so that it is gone before the scope waits for senders.
        let results = results;
        let mut early = BTreeMap::new();
        for number in numbers {
            let result = loop {
                if let Some(result) = early.remove(&number) {
                    break result;
                }
                let Ok((done, result)) = results.recv() else { return };
                early.insert(done, result);
            };
            gate.advance(number.saturating_add(1));
            match result {
                Ok(result) => {
                    if take(number, result).is_break() {
                        return;
                    }
                }
                Err(panic) => resume_unwind(panic),
            }
        }
    });
}

type Caught<T> = Result<T, Box<dyn Any + Send>>;

/// One worker, until there is nothing left or nobody listens.
fn labour<T>(gate: &Gate, sender: &SyncSender<(u64, Caught<T>)>, work: &impl Fn(u64) -> T) {
    while let Some(number) = gate.next() {
        let result = catch_unwind(AssertUnwindSafe(|| work(number)));
        if sender.send((number, result)).is_err() {
            return;
        }
    }
}

/// Hands out numbers, not too far ahead.
struct Gate {
    next: AtomicU64,
    end: u64,
    /// Up to which number they may be handed out.
    open: Mutex<u64>,
    moved: Condvar,
}

impl Gate {
    fn new(numbers: Range<u64>) -> Self {
        Self {
            next: AtomicU64::new(numbers.start),
            end: numbers.end,
            open: Mutex::new(numbers.start.saturating_add(AHEAD)),
            moved: Condvar::new(),
        }
    }

    /// The next number, when it may be worked on; `None`: there is none.
    fn next(&self) -> Option<u64> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if number >= self.end {
            return None;
        }
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.moved.wait_while(open, |open| number >= *open);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        Some(number)
    }

    /// All numbers below `done` are done.
    fn advance(&self, done: u64) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        *open = (*open).max(done.saturating_add(AHEAD));
        self.moved.notify_all();
    }

    /// Nobody wants anything any more, and nobody may wait.
    fn stop(&self) {
        self.next.store(self.end, Ordering::Relaxed);
        self.advance(u64::MAX);
    }
}

/// Stops the gate when it goes.
struct Open<'a>(&'a Gate);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Work that takes longer for some numbers.
    fn slow(number: u64) -> u64 {
        (0..(number % 7) * 2_000).fold(number, |sum, one| sum.wrapping_mul(31).wrapping_add(one))
    }

    #[test]
    fn results_are_the_same_with_any_number_of_threads() {
        let all = |jobs| {
            let mut seen = Vec::new();
            in_order(3..300, jobs, slow, |number, result| {
                seen.push((number, result));
                ControlFlow::Continue(())
            });
            seen
        };
        let wanted: Vec<_> = (3..300).map(|number| (number, slow(number))).collect();
        for jobs in [0, 1, 2, 8] {
            assert_eq!(all(jobs), wanted, "{jobs} threads");
        }
    }

    #[test]
    fn it_ends_when_told_and_where_there_is_nothing() {
        let mut seen = 0;
        in_order(0..u64::MAX, 4, slow, |number, _| {
            seen += 1;
            if number == 20_000 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(seen, 20_001);
        in_order(5..5, 2, slow, |_, _| panic!("there is nothing to do"));
    }

    #[test]
    fn a_panic_is_passed_on_in_its_turn() {
        let mut seen = Vec::new();
        let result = catch_unwind(AssertUnwindSafe(|| {
            let work = |number| assert!(number != 9 && number != 5, "number {number}");
            in_order(0..10_000, 3, work, |number, ()| {
                seen.push(number);
                ControlFlow::Continue(())
            });
        }));
        let panic = result.expect_err("it panicked");
        assert_eq!(panic.downcast_ref::<String>().map(String::as_str), Some("number 5"));
        assert_eq!(seen, [0, 1, 2, 3, 4]);
    }
}
