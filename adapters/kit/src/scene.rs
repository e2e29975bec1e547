//! The world around one loop, as the loop sees it: a clock, a socket, a place to sleep.

use crate::state::{State, Violation};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tripline_sansio::{Duration, Ecn, Instant, Path, Transmit};
use tripline_udp::{Received, SendOutcome};

/// What ended a sleep; nothing of it set means that the time was up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// There may be something to receive.
    pub readable: bool,
    /// There may be room on the socket.
    pub writable: bool,
    /// Somebody rang: the machine was used from outside, or the scene is over. A loop whose
    /// [`turn`](crate::Subject::turn) goes round several times comes back now.
    pub woken: bool,
}

/// A scripted world in virtual time: what a loop under test has in place of the system.
///
/// A handle; copies are of the same world. Time moves in [`Self::wait`] and its like only. A call
/// that shows that the loop breaks a rule does not return: it unwinds to
/// [`check`](crate::check), so do not catch panics in between.
#[derive(Clone, Debug)]
pub struct Scene(Arc<Mutex<State>>);

impl Scene {
    pub(crate) fn new(state: State) -> Self {
        Self(Arc::new(Mutex::new(state)))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // A broken rule unwinds through the lock, and what is behind it is looked at afterwards.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the world; a rule that it finds broken unwinds from here.
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut State) -> Result<R, Violation>) -> R {
        let result = act(&mut self.state());
        result.unwrap_or_else(|violation| violation.unwind())
    }

    /// Reads the clock.
    pub fn now(&self) -> Instant {
        self.with(State::read_clock)
    }

    /// Receives some datagrams from the socket, as many as one call of the system gives, and hands
    /// on each.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if there is nothing to receive.
    pub fn recv(&self, on_datagram: &mut dyn FnMut(Path, Ecn, &mut [u8])) -> io::Result<Received> {
        let (batch, maybe_more) = self.with(State::receive);
        if batch.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let (messages, mut bytes) = (batch.len(), 0);
        for mut datagram in batch {
            bytes += datagram.bytes.len();
            on_datagram(datagram.path, datagram.ecn, &mut datagram.bytes);
        }
        Ok(Received { messages, datagrams: messages, bytes, maybe_more })
    }

    /// Sends a datagram or a train of them.
    pub fn send(&self, transmit: &Transmit, bytes: &[u8]) -> SendOutcome {
        self.with(|state| state.send(transmit, bytes))
    }

    /// Sleeps until the socket has something to receive (or has room, if `for_room`), somebody
    /// rings or `until` has come, and says which, as often as it is true: like poll(2). `None`
    /// sleeps for as long as it takes; a time that is not in the future only looks.
    pub fn wait(&self, until: Option<Instant>, for_room: bool) -> Ready {
        self.with(|state| state.wait(until, Some(for_room)))
    }

    /// As [`Self::wait`], for loops that say for how long and not until when.
    pub fn wait_for(&self, at_most: Option<Duration>, for_room: bool) -> Ready {
        self.with(|state| {
            let until = at_most.map(|time| state.now + time);
            state.wait(until, Some(for_room))
        })
    }

    /// As [`Self::wait`], but readiness is told once only, when it begins, as an edge-triggered
    /// poll does: a loop that does not empty the socket must remember that it did not.
    pub fn wait_edge(&self, until: Option<Instant>) -> Ready {
        self.with(|state| state.wait(until, None))
    }
}
