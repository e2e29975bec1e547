//! Whose engine the user's own code has at hand on this thread
//! ([`Connection::with`](crate::Connection::with)): while it has, the lock is taken, so a call of a
//! handle of the same endpoint would wait for itself.
//!
//! A handle that is only *dropped* there leaves what it has to do until the lock is free (see
//! [`Shared`]); a call, which has to give out something, is a mistake of the program and panics
//! instead of hanging.

use crate::shared::Shared;
use std::cell::RefCell;

thread_local! {
    /// The endpoints, by their addresses, innermost last.
    static AT_HAND: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// This thread has an engine at hand for as long as this lives.
pub(crate) struct AtHand(());

impl AtHand {
    pub(crate) fn new(shared: &Shared) -> Self {
        AT_HAND.with_borrow_mut(|all| all.push(address(shared)));
        Self(())
    }

    /// Whether this thread has this engine at hand.
    pub(crate) fn is(shared: &Shared) -> bool {
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

fn address(shared: &Shared) -> usize {
    std::ptr::from_ref(shared).addr()
}
