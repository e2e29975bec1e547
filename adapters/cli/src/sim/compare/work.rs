//! A few threads that work through all runs.

use crate::sim::quiet;
use indicatif::ProgressBar;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How runs are worked through.
pub(super) struct Work {
    /// On how many threads.
    pub(super) jobs: usize,
    /// Each series is run with all of these.
    pub(super) seeds: Range<u64>,
    /// What is told of each run that is done.
    pub(super) bar: ProgressBar,
}

/// What has a name to be shown while it is run.
pub(super) trait Named: Sync {
    /// The name.
    fn name(&self) -> String;
}

impl Work {
    /// Runs each of `series` with each seed, several at a time. The results are those of the series
    /// and seeds in their order, whoever finished first.
    ///
    /// # Errors
    /// The first failure in that order. No more is begun after one; since all is begun in order,
    /// which is the first does not depend on the threads.
    pub(super) fn run<S: Named, R: Send>(
        &self,
        series: &[S],
        run: impl Fn(&S, u64) -> Result<R, String> + Sync,
    ) -> Result<Vec<Vec<R>>, String> {
        let each = self.seeds.end.saturating_sub(self.seeds.start).max(1);
        let count = each.saturating_mul(series.len() as u64);
        let (next, failed) = (AtomicU64::new(0), Mutex::new(false));
        let done: Mutex<Vec<(u64, Result<R, String>)>> = Mutex::new(Vec::new());
        let worker = || {
            while !*lock(&failed) {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let at = usize::try_from(number / each).ok();
                let Some(one) = at.and_then(|at| series.get(at)) else { return };
                self.bar.set_message(one.name());
                let seed = self.seeds.start.saturating_add(number % each);
                let result = kept(|| run(one, seed));
                *lock(&failed) |= result.is_err();
                lock(&done).push((number, result));
                self.bar.inc(1);
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..count.min(self.jobs as u64).max(1) {
                scope.spawn(worker);
            }
        });
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|(number, _)| *number);
        let mut all: Vec<Vec<R>> = series.iter().map(|_| Vec::new()).collect();
        for (number, result) in done {
            let at = usize::try_from(number / each).unwrap_or(usize::MAX);
            if let Some(runs) = all.get_mut(at) {
                runs.push(result?);
            }
        }
        Ok(all)
    }
}

/// What panics in a run, such as an engine that breaks a rule of the contract, is that run's
/// failure.
fn kept<R>(run: impl FnOnce() -> Result<R, String>) -> Result<R, String> {
    let caught = quiet::during(|| catch_unwind(AssertUnwindSafe(run)));
    caught.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(text.unwrap_or("a run panicked").to_owned())
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
