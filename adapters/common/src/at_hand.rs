//! What the user's own code has at hand on this thread, behind a lock: while it has, the lock is
//! taken, so a call of a handle of the same thing would wait for itself.
//!
//! A handle that is only *dropped* there leaves what it has to do until the lock is free; a call,
//! which has to give out something, is a mistake of the program and panics instead of hanging.

use std::cell::RefCell;

thread_local! {
    /// By their addresses, innermost last.
    static AT_HAND: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// This thread has something at hand for as long as this lives.
#[derive(Debug)]
#[must_use]
pub(crate) struct AtHand(());

impl AtHand {
    /// From now on it has this.
    pub(crate) fn new<T>(shared: &T) -> Self {
        AT_HAND.with_borrow_mut(|all| all.push(address(shared)));
        Self(())
    }

    /// Whether this thread has this at hand.
    pub(crate) fn is<T>(shared: &T) -> bool {
        let here = |all: &RefCell<Vec<usize>>| all.borrow().contains(&address(shared));
        // A thread that is ending has left all such code.
        AT_HAND.try_with(here).unwrap_or(false)
    }
}

impl Drop for AtHand {
    fn drop(&mut self) {
        AT_HAND.with_borrow_mut(Vec::pop);
    }
}

fn address<T>(shared: &T) -> usize {
    std::ptr::from_ref(shared).addr()
}
