//! What many handles and one driver use together: the books of one engine, behind one lock, and the
//! clock that all of them go by.
//!
//! In go closures that look at the books or use them, and futures that wait for what is not in them
//! yet; each is told the time, and who has to know of it is woken afterwards. The lock is held for
//! moments only, never across a call of the system, of the user (but for
//! [`with_user`](Shared::with_user), which is that) or of a waker; nor is a waker dropped under it:
//! that may end a task, whose handles ask for the lock.

use crate::at_hand::AtHand;
use crate::{Ticket, Waits};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tripline_sansio::Instant;

/// What is behind the lock.
pub trait Books {
    /// What a task waits for.
    type Topic: Copy + Ord + Send + 'static;

    /// The call that hands all this to the user's own code, in which no handle may be called.
    const WITHIN: &'static str;

    /// Somebody is about to look: all that has happened by now is to be seen.
    fn before(&mut self, _now: Instant) {}

    /// They were not only looked at: whoever drives this has to see what has become of it.
    fn used(&mut self) {}

    /// Somebody has looked.
    fn after(&mut self, _now: Instant) {}

    /// Who waits for what.
    fn waits(&mut self) -> &mut Waits<Self::Topic>;

    /// Who is to be woken once the lock is free.
    fn take_woken(&mut self) -> Vec<Waker>;
}

/// What a handle that was dropped has left to do.
type Left<B> = Box<dyn FnOnce(&mut B, Instant) + Send>;

/// Books behind a lock, and a clock.
pub struct Shared<B> {
    books: Mutex<B>,
    /// Of handles that were dropped where the lock was taken by their own thread.
    left: Mutex<Vec<Left<B>>>,
    clock: Box<dyn Fn() -> Instant + Send + Sync>,
}

impl<B> fmt::Debug for Shared<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl<B: Books> Shared<B> {
    /// From now on they are shared.
    pub fn new(books: B, clock: impl Fn() -> Instant + Send + Sync + 'static) -> Self {
        Self { books: Mutex::new(books), left: Mutex::default(), clock: Box::new(clock) }
    }

    /// The books themselves, for whoever drives them: nobody is woken. A panic elsewhere leaves
    /// nothing half done that another thread could stumble over.
    ///
    /// # Panics
    /// If this thread has them at hand ([`Self::with_user`]): it would wait for itself.
    pub fn lock(&self) -> MutexGuard<'_, B> {
        let waits_for_itself = AtHand::is(self);
        assert!(!waits_for_itself, "a call of a handle from within `{}`", B::WITHIN);
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_left(&self) -> MutexGuard<'_, Vec<Left<B>>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time.
    pub fn now(&self) -> Instant {
        (self.clock)()
    }

    /// Looks at the books.
    pub fn visit<R>(&self, look: impl FnOnce(&mut B, Instant) -> R) -> R {
        let now = self.now();
        let mut books = self.lock();
        books.before(now);
        let result = look(&mut books, now);
        for left in std::mem::take(&mut *self.lock_left()) {
            left(&mut books, now);
            books.used();
        }
        books.after(now);
        let (woken, gone) = (books.take_woken(), books.waits().take_gone());
        drop(books);
        drop(gone);
        woken.into_iter().for_each(Waker::wake);
        result
    }

    /// Uses them.
    pub fn with<R>(&self, act: impl FnOnce(&mut B, Instant) -> R) -> R {
        self.visit(|books, now| {
            let result = act(books, now);
            books.used();
            result
        })
    }

    /// The same where `act` runs code of the user's own, which may drop handles.
    pub fn with_user<R>(&self, act: impl FnOnce(&mut B, Instant) -> R) -> R {
        self.with(|books, now| {
            let _at_hand = AtHand::new(self);
            act(books, now)
        })
    }

    /// As [`Self::with`], for handles that are dropped, wherever that is: within
    /// [`Self::with_user`] it is done at the end of that.
    pub fn leave(&self, act: impl FnOnce(&mut B, Instant) + Send + 'static) {
        if AtHand::is(self) {
            self.lock_left().push(Box::new(act));
        } else {
            self.with(act);
        }
    }

    /// Asks for something that may not be there yet; the task is woken when it may be.
    pub fn poll<R>(
        &self,
        topic: B::Topic,
        ticket: &mut Ticket,
        cx: &mut Context<'_>,
        look: impl FnOnce(&mut B, Instant) -> Option<R>,
    ) -> Poll<R> {
        self.visit(|books, now| match look(books, now) {
            Some(found) => {
                books.waits().forget(topic, ticket);
                Poll::Ready(found)
            }
            None => {
                books.waits().leave_word(topic, ticket, cx.waker());
                Poll::Pending
            }
        })
    }

    /// The same as a future.
    pub fn wait<R, F>(&self, topic: B::Topic, look: F) -> Wait<'_, B, F>
    where
        F: FnMut(&mut B, Instant) -> Option<R>,
    {
        Wait { shared: self, topic, ticket: None, look }
    }
}

/// Waits until `look` finds something. All that happens happens in `look`, under the lock: a wait
/// that is dropped has either taken nothing or given out what it took. That makes every future
/// which is one of these cancel-safe.
#[must_use]
pub struct Wait<'a, B: Books, F> {
    shared: &'a Shared<B>,
    topic: B::Topic,
    ticket: Ticket,
    look: F,
}

impl<B: Books, F> fmt::Debug for Wait<'_, B, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait").field("ticket", &self.ticket).finish_non_exhaustive()
    }
}

impl<B: Books, F> Unpin for Wait<'_, B, F> {}

impl<B, R, F> Future for Wait<'_, B, F>
where
    B: Books,
    F: FnMut(&mut B, Instant) -> Option<R>,
{
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R> {
        let Self { shared, topic, ticket, look } = &mut *self;
        shared.poll(*topic, ticket, cx, look)
    }
}

impl<B: Books, F> Drop for Wait<'_, B, F> {
    fn drop(&mut self) {
        if self.ticket.is_some() {
            let (topic, mut ticket) = (self.topic, self.ticket.take());
            self.shared.leave(move |books, _| books.waits().forget(topic, &mut ticket));
        }
    }
}
