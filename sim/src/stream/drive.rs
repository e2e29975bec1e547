//! The part of a host's turn that is about pipes: what arrives is handed in, what the machine has
//! to write is taken, with an eye on the contract.

use super::link::Arrived;
use super::machine::PipeMachine;
use super::pipes::Way;
use crate::contract::Rule;
use crate::host::{Host, Surroundings};
use std::collections::VecDeque;
use tripline_sansio::{DatagramMachine, Instant};

/// More bytes than this from one call are no bounded work.
const MAX_WRITE: usize = 1 << 26;
/// More pipes named than this in one drain are an endless loop.
const MAX_NAMES: usize = 1 << 20;
/// What lies in the buffer before a machine appends to it.
const MARK: &[u8] = b"mark";

/// The calls of a [`PipeMachine`], so that a host needs to know of pipes only if it has some.
pub(crate) struct Calls<M> {
    timers_wait: bool,
    bytes: fn(&mut M, Instant, u64, &[u8]) -> bool,
    eof: fn(&mut M, Instant, u64) -> bool,
    broken: fn(&mut M, Instant, u64),
    ready: fn(&mut M, Instant) -> Option<u64>,
    write: fn(&mut M, Instant, u64, &mut Vec<u8>) -> bool,
    close: fn(&mut M) -> Option<u64>,
}

/// What a host with pipes has besides.
pub(crate) struct Piped<M> {
    calls: Calls<M>,
    /// Directions whose machine may have something to write.
    to_write: VecDeque<Way>,
    /// The piece being handed in.
    piece: Vec<u8>,
}

impl<M: PipeMachine> Piped<M> {
    /// No pipe is ready yet.
    pub(crate) fn new() -> Self {
        let calls = Calls {
            timers_wait: M::TIMERS_WAIT,
            bytes: M::handle_bytes,
            eof: M::handle_eof,
            broken: M::handle_broken,
            ready: M::poll_ready,
            write: M::poll_write,
            close: M::poll_close,
        };
        Self { calls, to_write: VecDeque::new(), piece: Vec::new() }
    }
}

impl<M> Piped<M> {
    /// The machine is to be asked what it has for this direction.
    pub(crate) fn ask(&mut self, way: Way) {
        self.to_write.push_back(way);
    }
}

impl<M: DatagramMachine> Host<M> {
    /// Whether the machine may ask for a past time, because a pipe of it takes nothing.
    pub(crate) fn timers_wait(&self, around: &Surroundings<'_>) -> bool {
        self.piped.as_ref().is_some_and(|piped| piped.calls.timers_wait)
            && around.pipes.is_held_back(self.id())
    }

    /// Hands in the next that has arrived in this direction.
    pub(crate) fn read_one(&mut self, around: &mut Surroundings<'_>, now: Instant, way: Way) {
        let Some(piped) = &mut self.piped else { return };
        if !around.pipes.reads(way.back()) {
            return;
        }
        let trace = &mut around.network.trace;
        let Some(next) = around.pipes.read(around.now, way, &mut piped.piece, trace) else {
            return;
        };
        let (machine, number) = (&mut self.machine, way.number());
        let stays = match next {
            Arrived::Bytes(_) => (piped.calls.bytes)(machine, now, number, &piped.piece),
            Arrived::Fin => (piped.calls.eof)(machine, now, number),
            Arrived::Reset => {
                around.pipes.broken(around.now, way.back());
                (piped.calls.broken)(machine, now, number);
                true
            }
        };
        if !stays {
            around.pipes.close(around.now, way.back());
            piped.ask(way.back());
        }
    }

    /// Lets the machine write once; whether it had anything to write.
    pub(crate) fn write_one(&mut self, around: &mut Surroundings<'_>) -> bool {
        self.note_ready(around);
        while let Some(piped) = &mut self.piped
            && let Some(way) = piped.to_write.pop_front()
        {
            // One that waits for room is asked when it has some.
            if around.pipes.is_waiting(way) {
                continue;
            }
            let write = piped.calls.write;
            around.buffer.clear();
            around.buffer.extend_from_slice(MARK);
            let some = write(&mut self.machine, around.now, way.number(), around.buffer);
            let written = around.buffer.strip_prefix(MARK);
            let Some(bytes) = written.filter(|bytes| some != bytes.is_empty()) else {
                let (number, len) = (way.number(), around.buffer.len());
                self.violated(
                    around,
                    Rule::Write,
                    format_args!(
                        "it said {some} for pipe {number}, and the buffer went from {} to {len} \
                         bytes, or its first ones were changed",
                        MARK.len()
                    ),
                );
            };
            if bytes.len() > MAX_WRITE {
                let what = format_args!("more than {MAX_WRITE} bytes from one call");
                self.violated(around, Rule::Bounded, what);
            }
            if some {
                around.pipes.write(around.now, way, bytes, &mut around.network.trace);
                // Behind the other pipes: none starves.
                piped.to_write.push_back(way);
            } else {
                around.pipes.written(around.now, way);
            }
            around.buffer.clear();
            if some {
                return true;
            }
        }
        false
    }

    /// Asks which pipes have something to write.
    fn note_ready(&mut self, around: &mut Surroundings<'_>) {
        let Some(ready) = self.piped.as_ref().map(|piped| piped.calls.ready) else { return };
        for _ in 0..MAX_NAMES {
            let Some(number) = ready(&mut self.machine, around.now) else { return };
            let Some(way) = around.pipes.way(number, self.id()) else {
                let what = format_args!("it named pipe {number}, which it does not have");
                self.violated(around, Rule::Write, what);
            };
            if let Some(piped) = &mut self.piped {
                piped.ask(way);
            }
        }
        let what = format_args!("more than {MAX_NAMES} pipes named in one drain");
        self.violated(around, Rule::Bounded, what);
    }

    /// Closes the pipes that the machine wants closed, as soon as it has written what it has to.
    pub(crate) fn close_wanted(&mut self, around: &mut Surroundings<'_>) {
        let Some(close) = self.piped.as_ref().map(|piped| piped.calls.close) else { return };
        for _ in 0..MAX_NAMES {
            let Some(number) = close(&mut self.machine) else { return };
            let Some(way) = around.pipes.way(number, self.id()) else {
                let what = format_args!("it closes pipe {number}, which it does not have");
                self.violated(around, Rule::Write, what);
            };
            around.pipes.close(around.now, way);
            if let Some(piped) = &mut self.piped {
                piped.ask(way);
            }
        }
        let what = format_args!("more than {MAX_NAMES} pipes closed in one drain");
        self.violated(around, Rule::Bounded, what);
    }
}
