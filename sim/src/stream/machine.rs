//! What a host with pipes runs: a machine that is told of pipes by their number, and the wrapper by
//! which a [`StreamMachine`] becomes one.

use std::fmt;
use std::ops::{Deref, DerefMut};
use tripline_sansio::{DatagramMachine, Ecn, Instant, Path, StreamMachine, Transmit};

/// A machine with any number of pipes beside its datagrams. A pipe's number is the same on both
/// sides, and never used twice in a world.
///
/// The rules are those of the page of `tripline_sansio`: a drain takes datagrams, then what
/// [`Self::poll_ready`] and [`Self::poll_write`] give, then events.
pub trait PipeMachine: DatagramMachine {
    /// Whether the deadline may lie in the past while a pipe takes nothing more. Rule 3 speaks of
    /// full drains, and a machine with one pipe may rely on that; one with several may not, or a
    /// peer that does not read would stop the timers of all the others.
    const TIMERS_WAIT: bool = false;

    /// A pipe is there. `false` refuses it; it is closed then.
    fn handle_opened(&mut self, now: Instant, pipe: u64) -> bool;

    /// Takes received bytes, cut anywhere. `false`: the machine has done with the pipe, and it is
    /// to be closed.
    fn handle_bytes(&mut self, now: Instant, pipe: u64, bytes: &[u8]) -> bool;

    /// The peer will send no more. `false`: the machine will not either.
    fn handle_eof(&mut self, now: Instant, pipe: u64) -> bool;

    /// The pipe is gone: nothing more can be sent or will come.
    fn handle_broken(&mut self, now: Instant, pipe: u64);

    /// A pipe that has something to write and was not named since it has. It may turn out to have
    /// nothing.
    fn poll_ready(&mut self, now: Instant) -> Option<u64>;

    /// Appends bytes for a pipe to `out`; returns whether there were any. Asked when the pipe has
    /// taken all bytes of the time before.
    fn poll_write(&mut self, now: Instant, pipe: u64, out: &mut Vec<u8>) -> bool;

    /// A pipe that the machine wants closed once what it has to write is written; asked after
    /// events.
    fn poll_close(&mut self) -> Option<u64> {
        None
    }
}

/// A [`StreamMachine`] with one pipe at a time: what a [`StreamWorld`](super::StreamWorld) holds.
/// It is used as the machine itself.
///
/// No datagram reaches it, and it sends none. When another pipe is opened, that is the one in use.
/// A broken pipe is to the machine an end of the stream, as to a program whose read fails.
pub struct Stream<M: StreamMachine> {
    machine: M,
    pipe: Option<u64>,
    /// Something happened since [`StreamMachine::poll_write`] had nothing to say.
    is_ready: bool,
    /// The pipe's end was told.
    is_ended: bool,
    close_on: fn(&M::Event) -> bool,
    wants_close: bool,
}

impl<M: StreamMachine> Stream<M> {
    /// A machine that never closes its pipe by itself.
    pub const fn new(machine: M) -> Self {
        Self::closing_on(machine, |_| false)
    }

    /// A machine whose events say when it wants its pipe closed, as a loop would understand them.
    pub const fn closing_on(machine: M, close_on: fn(&M::Event) -> bool) -> Self {
        Self { machine, pipe: None, is_ready: false, is_ended: false, close_on, wants_close: false }
    }

    /// Whether this is the pipe in use and something may happen to it.
    fn is_current(&self, pipe: u64) -> bool {
        self.pipe == Some(pipe)
    }

    fn end(&mut self, now: Instant) {
        if !std::mem::replace(&mut self.is_ended, true) {
            self.is_ready = true;
            self.machine.handle_eof(now);
        }
    }
}

impl<M: StreamMachine> Deref for Stream<M> {
    type Target = M;
    fn deref(&self) -> &M {
        &self.machine
    }
}

impl<M: StreamMachine> DerefMut for Stream<M> {
    /// Whatever is done to the machine, it is asked for bytes afterwards.
    fn deref_mut(&mut self) -> &mut M {
        self.is_ready = true;
        &mut self.machine
    }
}

impl<M: StreamMachine> fmt::Debug for Stream<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("pipe", &self.pipe).finish_non_exhaustive()
    }
}

/// Time and events; no datagrams.
impl<M: StreamMachine> DatagramMachine for Stream<M> {
    type Event = M::Event;

    fn handle_datagram(&mut self, _: Instant, _: Path, _: Ecn, _: &mut [u8]) {}

    fn handle_timeout(&mut self, now: Instant) {
        self.is_ready = true;
        self.machine.handle_timeout(now);
    }

    fn poll_transmit(&mut self, _: Instant, _: &mut Vec<u8>) -> Option<Transmit> {
        None
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.machine.poll_timeout()
    }

    fn poll_event(&mut self) -> Option<M::Event> {
        let event = self.machine.poll_event()?;
        // To be asked once more, so that a breach of rule 1 shows.
        self.is_ready = true;
        self.wants_close |= (self.close_on)(&event);
        Some(event)
    }
}

impl<M: StreamMachine> PipeMachine for Stream<M> {
    const TIMERS_WAIT: bool = true;

    fn handle_opened(&mut self, _: Instant, pipe: u64) -> bool {
        (self.pipe, self.is_ready, self.is_ended) = (Some(pipe), true, false);
        true
    }

    fn handle_bytes(&mut self, now: Instant, pipe: u64, bytes: &[u8]) -> bool {
        if self.is_current(pipe) {
            self.is_ready = true;
            self.machine.handle_bytes(now, bytes);
        }
        self.is_current(pipe)
    }

    fn handle_eof(&mut self, now: Instant, pipe: u64) -> bool {
        if self.is_current(pipe) {
            self.end(now);
        }
        self.is_current(pipe)
    }

    fn handle_broken(&mut self, now: Instant, pipe: u64) {
        if self.is_current(pipe) {
            self.end(now);
        }
    }

    fn poll_ready(&mut self, _: Instant) -> Option<u64> {
        self.pipe.filter(|_| std::mem::take(&mut self.is_ready))
    }

    fn poll_write(&mut self, now: Instant, pipe: u64, out: &mut Vec<u8>) -> bool {
        self.is_current(pipe) && self.machine.poll_write(now, out)
    }

    fn poll_close(&mut self) -> Option<u64> {
        self.pipe.filter(|_| std::mem::take(&mut self.wants_close))
    }
}
