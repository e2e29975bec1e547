//! What all handles share with whoever drives the node: the node with its books, behind one lock,
//! and the clock.
//!
//! The lock is held for moments only, never across a call of the system, of the user (but for
//! [`Calls::with`](crate::Calls::with), which is that) or of a waker.

use crate::front::{Front, Topic};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tripline::PublicKey;
use tripline_common::{AtHand, Ticket};
use tripline_sansio::{Duration, Instant};

/// What a handle that was dropped has left to do.
type Left = Box<dyn FnOnce(&mut Front, Instant) + Send>;

/// How long what is under way has when the last handle was dropped.
const FAREWELL: Duration = Duration::from_secs(2);

/// A clock that all who drive and use a node go by.
pub(crate) type Clock = Box<dyn Fn() -> Instant + Send + Sync>;

pub(crate) struct Shared {
    front: Mutex<Front>,
    /// Of handles that were dropped where the lock was taken by their own thread.
    left: Mutex<Vec<Left>>,
    clock: Clock,
    /// Our key, if we are a server over TRiP.
    pub(crate) key: Option<PublicKey>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn new(front: Front, clock: Clock) -> Self {
        let key = front.node.hub().endpoint().public_key();
        Self { front: Mutex::new(front), left: Mutex::default(), clock, key }
    }

    /// A panic elsewhere leaves nothing half done that another thread could stumble over.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Front> {
        let waits_for_itself = AtHand::is(self);
        assert!(!waits_for_itself, "a call of a handle from within `Calls::with`");
        self.front.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_left(&self) -> MutexGuard<'_, Vec<Left>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time.
    pub(crate) fn now(&self) -> Instant {
        (self.clock)()
    }

    /// Uses the node; whoever drives it is woken to see to what has become of that.
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut Front, Instant) -> R) -> R {
        self.visit(|front, now| {
            let result = act(front, now);
            front.nudge();
            result
        })
    }

    /// Looks at the books.
    pub(crate) fn visit<R>(&self, look: impl FnOnce(&mut Front, Instant) -> R) -> R {
        let now = self.now();
        let mut front = self.lock();
        let result = look(&mut front, now);
        for left in std::mem::take(&mut *self.lock_left()) {
            left(&mut front, now);
            front.nudge();
        }
        let (woken, gone) = front.take_woken();
        drop(front);
        drop(gone);
        woken.into_iter().for_each(Waker::wake);
        result
    }

    /// As [`Self::with`], where `act` runs code of the user's own, which may drop handles.
    pub(crate) fn with_user<R>(&self, act: impl FnOnce(&mut Front, Instant) -> R) -> R {
        self.with(|front, now| {
            let _at_hand = AtHand::new(self);
            act(front, now)
        })
    }

    /// As [`Self::with`], for handles that are dropped, wherever that is.
    pub(crate) fn leave(&self, act: impl FnOnce(&mut Front, Instant) + Send + 'static) {
        if AtHand::is(self) {
            self.lock_left().push(Box::new(act));
        } else {
            self.with(act);
        }
    }

    /// Asks for something that may not be there yet; the task is woken when it may be.
    pub(crate) fn poll<R>(
        &self,
        topic: Topic,
        ticket: &mut Ticket,
        cx: &mut Context<'_>,
        look: impl FnOnce(&mut Front, Instant) -> Option<R>,
    ) -> Poll<R> {
        self.visit(|front, now| match look(front, now) {
            Some(found) => {
                front.waits.forget(topic, ticket);
                Poll::Ready(found)
            }
            None => {
                front.waits.leave_word(topic, ticket, cx.waker());
                Poll::Pending
            }
        })
    }

    /// The same as a future.
    pub(crate) fn wait<R, F>(&self, topic: Topic, look: F) -> Wait<'_, F>
    where
        F: FnMut(&mut Front, Instant) -> Option<R>,
    {
        Wait { shared: self, topic, ticket: None, look }
    }
}

/// Waits until `look` finds something. All that happens happens in `look`, under the lock: a wait
/// that is dropped has either taken nothing or given out what it took.
#[derive(Debug)]
#[must_use]
pub(crate) struct Wait<'a, F> {
    shared: &'a Shared,
    topic: Topic,
    ticket: Ticket,
    look: F,
}

impl<F> Unpin for Wait<'_, F> {}

impl<R, F: FnMut(&mut Front, Instant) -> Option<R>> Future for Wait<'_, F> {
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R> {
        let Self { shared, topic, ticket, look } = &mut *self;
        shared.poll(*topic, ticket, cx, look)
    }
}

impl<F> Drop for Wait<'_, F> {
    fn drop(&mut self) {
        if self.ticket.is_some() {
            let (topic, mut ticket) = (self.topic, self.ticket.take());
            self.shared.leave(move |front, _| front.waits.forget(topic, &mut ticket));
        }
    }
}

/// What every handle holds: when the last one goes, all ends in order.
#[derive(Debug)]
pub(crate) struct Alive(pub(crate) Arc<Shared>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.leave(|front, now| {
            front.is_abandoned = true;
            front.turn_away(now);
            front.node.shut_down(now, FAREWELL);
        });
    }
}
