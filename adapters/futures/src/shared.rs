//! What all handles of an endpoint share with its driver: the engine with its books, behind one
//! lock, and the clock.
//!
//! The lock is held for moments only, never across a call of the system, of the user (but for
//! [`Connection::with`](crate::Connection::with), which is that) or of a waker (nor is a waker
//! dropped under it: that may end a task, whose handles ask for the lock).

use crate::front::{Counters, Front, Notice};
use crate::waits::{Ticket, Topic};
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tripline::{LinkHub, PublicKey};
use tripline_common::{AtHand, Error};
use tripline_sansio::{Answer, Ecn, Hub, Instant, LinkKind, Path, Transmit, Wish};

/// What a handle that was dropped has left to do.
type Left = Box<dyn FnOnce(&mut Front, Instant) + Send>;

/// The clock of the runtime.
pub(crate) type Clock = Box<dyn Fn() -> Instant + Send + Sync>;

pub(crate) struct Shared {
    front: Mutex<Front>,
    /// Of handles that were dropped where the lock was taken by their own thread.
    left: Mutex<Vec<Left>>,
    clock: Clock,
    /// The address of the socket.
    pub(crate) local: SocketAddr,
    /// Our key.
    pub(crate) key: Option<PublicKey>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("local", &self.local).finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn new(front: Front, clock: Clock, local: SocketAddr) -> Self {
        let key = front.hub.endpoint().public_key();
        Self { front: Mutex::new(front), left: Mutex::default(), clock, local, key }
    }

    /// A panic elsewhere leaves nothing half done that another thread could stumble over.
    fn lock(&self) -> MutexGuard<'_, Front> {
        let waits_for_itself = AtHand::is(self);
        assert!(!waits_for_itself, "a call of a handle from within `Connection::with`");
        self.front.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Uses the books, at the present time and up to date with all that has happened; whoever has
    /// to know of it is woken afterwards.
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut Front, Instant) -> R) -> R {
        let now = (self.clock)();
        let mut front = self.lock();
        front.dispatch(now);
        let result = act(&mut front, now);
        for left in std::mem::take(&mut *self.lock_left()) {
            left(&mut front, now);
        }
        front.dispatch(now);
        if front.has_notices() {
            front.nudge();
        }
        let (woken, gone) = (front.take_woken(), front.waits.take_gone());
        drop(front);
        drop(gone);
        woken.into_iter().for_each(Waker::wake);
        result
    }

    fn lock_left(&self) -> MutexGuard<'_, Vec<Left>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`Self::with`], where `act` runs code of the user's own, which may drop handles.
    pub(crate) fn with_user<R>(&self, act: impl FnOnce(&mut Front, Instant) -> R) -> R {
        self.with(|front, now| {
            let _at_hand = AtHand::new(self);
            act(front, now)
        })
    }

    /// As [`Self::with`], for handles that are dropped, wherever that is: within
    /// [`Self::with_user`] it is done at the end of that.
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
        self.with(|front, now| match look(front, now) {
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

    /// The task that drives the endpoint is to be woken when there is something to send or to
    /// decide.
    pub(crate) fn driven_by(&self, waker: &Waker) {
        let mut front = self.lock();
        if !front.driver.as_ref().is_some_and(|old| old.will_wake(waker)) {
            let old = front.driver.replace(waker.clone());
            // To drop a waker may run anybody's code: not under the lock.
            drop(front);
            drop(old);
        }
    }

    /// A turn of the driver is over, and these are its counters; true if it has nothing left to do.
    pub(crate) fn publish(&self, counters: Counters) -> bool {
        let mut front = self.lock();
        front.publish(counters);
        front.is_over()
    }

    /// The driver has ended: nobody may wait for it any more.
    pub(crate) fn die(&self, fate: &Error) {
        self.with(|front, _| front.die(fate));
    }

    /// Wakers that are waiting at present; for tests.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.lock().waits.len()
    }
}

/// Waits until `look` finds something. All that happens happens in `look`, under the lock: a wait
/// that is dropped has either taken nothing or given out what it took. That makes every future of
/// this crate cancel-safe.
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

/// The engine as the loop sees it: each call takes the lock for itself.
#[derive(Debug)]
pub(crate) struct Locked(pub(crate) Arc<Shared>);

impl Locked {
    /// A number that nothing has: for a listener that the loop is to adopt.
    pub(crate) fn number(&self) -> u64 {
        self.0.lock().hub.number()
    }

    /// Hands something in, and looks what has changed by it.
    fn tell<R>(&self, now: Instant, act: impl FnOnce(&mut LinkHub) -> R) -> R {
        let mut front = self.0.lock();
        let result = act(&mut front.hub);
        front.look(now);
        result
    }
}

impl Hub for Locked {
    type Event = Notice;

    fn handle_answer(&mut self, now: Instant, link: u64, answer: Answer) {
        self.tell(now, |hub| hub.handle_answer(now, link, answer));
    }

    fn handle_accepted(
        &mut self,
        now: Instant,
        listener: u64,
        kind: LinkKind,
        remote: SocketAddr,
    ) -> Option<u64> {
        self.tell(now, |hub| hub.handle_accepted(now, listener, kind, remote))
    }

    fn handle_datagram(
        &mut self,
        now: Instant,
        link: u64,
        path: Path,
        ecn: Ecn,
        datagram: &mut [u8],
    ) {
        self.tell(now, |hub| hub.handle_datagram(now, link, path, ecn, datagram));
    }

    fn handle_bytes(&mut self, now: Instant, link: u64, bytes: &[u8]) {
        self.tell(now, |hub| hub.handle_bytes(now, link, bytes));
    }

    fn handle_eof(&mut self, now: Instant, link: u64) {
        self.tell(now, |hub| hub.handle_eof(now, link));
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.tell(now, |hub| hub.handle_timeout(now));
    }

    fn poll_wish(&mut self) -> Option<Wish> {
        self.0.lock().hub.poll_wish()
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<(u64, Transmit)> {
        self.0.lock().hub.poll_transmit(now, out)
    }

    fn handle_too_big(&mut self, now: Instant, link: u64, transmit: &Transmit) {
        self.0.lock().hub.handle_too_big(now, link, transmit);
    }

    fn poll_ready(&mut self, now: Instant) -> Option<u64> {
        self.0.lock().hub.poll_ready(now)
    }

    fn poll_write(&mut self, now: Instant, link: u64, out: &mut Vec<u8>) -> bool {
        self.0.lock().hub.poll_write(now, link, out)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.0.lock().hub.poll_timeout()
    }

    fn poll_event(&mut self) -> Option<Notice> {
        let mut front = self.0.lock();
        front.dispatch_seen();
        let notice = front.next_notice();
        let woken = front.take_woken();
        drop(front);
        woken.into_iter().for_each(Waker::wake);
        notice
    }
}
