//! One turn of a loop around a datagram machine, for sockets whose readiness is told once only.
//!
//! *In*: what became ready, and the time. *Out*: datagrams to and from a [`Carrier`], the events of
//! the machine, and when the next turn is due. It never waits, and has no clock and no socket.

use crate::{DropCause, Received, SendOutcome};
use std::fmt;
use std::io;
use tripline_sansio::{DatagramMachine, Ecn, Instant, Path, Transmit};

/// Receive calls of one turn, at most.
const MAX_BATCHES: usize = 16;
/// Datagrams after which a turn receives no more, so that acknowledgements are not kept waiting.
const ENOUGH_DATAGRAMS: usize = 512;
/// Send calls of one drain, at most, so that a machine that sends for ever cannot stop receiving.
const MAX_SENDS: usize = 256;

/// A carrier of datagrams, as far as a turn needs it: a socket, or something of a user's own. No
/// call may block (T64).
pub trait Carrier {
    /// Receives some datagrams and hands each on.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if there is nothing to receive; others end the turn.
    fn recv(&mut self, on_datagram: &mut dyn FnMut(Path, Ecn, &mut [u8])) -> io::Result<Received>;

    /// Sends a datagram or a train of them.
    fn send(&mut self, transmit: &Transmit, bytes: &[u8]) -> SendOutcome;
}

/// What a pump has done since it was made (T18: an idle one does nothing).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Turns {
    /// Turns.
    pub turns: u64,
    /// Times the machine was told that its deadline had come.
    pub timeouts: u64,
    /// Times the socket was full and a datagram was kept for later.
    pub full: u64,
    /// Turns that had more to do than a turn may, so that the next one is due at once.
    pub busy: u64,
}

/// A machine, and what is under way between it and its carrier.
///
/// A loop says what became [`ready`](Self::ready), has a [`turn`](Self::turn), gives out the
/// [events](Self::next_event), and waits until the [deadline](Self::deadline).
pub struct Pump<M: DatagramMachine> {
    machine: M,
    /// The bytes of the last transmit; used again for each.
    out: Vec<u8>,
    /// A transmit that did not fit, and how much of `out` is done with.
    pending: Option<(Transmit, usize)>,
    /// An event that was taken to see whether there is one.
    event: Option<M::Event>,
    /// The socket may have something to receive: so it was told, and it has not said otherwise
    /// since. This is what makes a turn that stops early resumable without being told again.
    readable: bool,
    /// The same of room.
    writable: bool,
    /// The last turn stopped at a bound.
    busy: bool,
    counts: Turns,
}

impl<M: DatagramMachine> Pump<M> {
    /// A machine at rest: its carrier is not known to have anything to receive, and has room.
    pub fn new(machine: M) -> Self {
        Self {
            machine,
            out: Vec::new(),
            pending: None,
            event: None,
            readable: false,
            writable: true,
            busy: false,
            counts: Turns::default(),
        }
    }

    /// Notes what became ready.
    pub fn ready(&mut self, readable: bool, writable: bool) {
        self.readable |= readable;
        self.writable |= writable;
    }

    /// Receives, tells the time if the deadline has come, drains and looks for an event: of each
    /// what is possible, and a bounded share. To be called when something became ready, when the
    /// deadline has come and after each use of the machine; once too often does no harm.
    ///
    /// # Errors
    /// If the carrier itself is broken; what the network does to datagrams is no error.
    pub fn turn(&mut self, now: Instant, carrier: &mut impl Carrier) -> io::Result<()> {
        self.counts.turns += 1;
        self.busy = false;
        if self.readable {
            self.receive(now, carrier)?;
        }
        if self.machine.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.counts.timeouts += 1;
            self.machine.handle_timeout(now);
        }
        if self.pending.is_none() || self.writable {
            self.drain(now, carrier);
        }
        self.counts.busy += u64::from(self.busy);
        if self.event.is_none() {
            self.event = self.machine.poll_event();
        }
        Ok(())
    }

    /// The next event, in the order in which things happened.
    pub fn next_event(&mut self) -> Option<M::Event> {
        self.event.take().or_else(|| self.machine.poll_event())
    }

    /// When the next turn is due if nothing becomes ready before; a time in the past is at once.
    ///
    /// A deadline that is still past after the machine was told needs room on the socket first: to
    /// wait for it as well would be to spin.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        if self.busy || self.event.is_some() {
            return Some(Instant::ZERO);
        }
        let full = self.pending.is_some();
        self.machine.poll_timeout().filter(|deadline| !full || *deadline > now)
    }

    /// Whether a datagram waits for room.
    pub fn wants_room(&self) -> bool {
        self.pending.is_some()
    }

    /// The machine.
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// The machine, to be used; what it has to send goes out with the next turn.
    pub fn machine_mut(&mut self) -> &mut M {
        &mut self.machine
    }

    /// What was done so far.
    pub fn turns(&self) -> Turns {
        self.counts
    }

    /// Receives until the socket says that it has no more, for only then it will tell of more, or
    /// the turn has had its share.
    fn receive(&mut self, now: Instant, carrier: &mut impl Carrier) -> io::Result<()> {
        let machine = &mut self.machine;
        let mut datagrams = 0;
        for _ in 0..MAX_BATCHES {
            let mut hand_on = |path, ecn, datagram: &mut [u8]| {
                machine.handle_datagram(now, path, ecn, datagram);
            };
            match carrier.recv(&mut hand_on) {
                Ok(received) => datagrams += received.datagrams,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.readable = false;
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
            if datagrams >= ENOUGH_DATAGRAMS {
                break;
            }
        }
        self.busy = true;
        Ok(())
    }

    /// Sends what waits for room, then what the machine has, until it has no more, the socket is
    /// full or the bound is reached.
    fn drain(&mut self, now: Instant, carrier: &mut impl Carrier) {
        for _ in 0..MAX_SENDS {
            let (transmit, done) = match self.pending.take() {
                Some(pending) => pending,
                None => {
                    self.out.clear();
                    match self.machine.poll_transmit(now, &mut self.out) {
                        Some(transmit) => (transmit, 0),
                        None => return,
                    }
                }
            };
            let rest = self.out.get(done..).unwrap_or_default();
            match carrier.send(&Transmit { len: rest.len(), ..transmit }, rest) {
                SendOutcome::Full { sent } => {
                    self.pending = Some((transmit, done + sent));
                    self.writable = false;
                    self.counts.full += 1;
                    return;
                }
                SendOutcome::Dropped(DropCause::TooBig) => {
                    self.machine.handle_too_big(now, &transmit);
                }
                // A dropped datagram is counted by the socket and made good by the machine.
                SendOutcome::Sent | SendOutcome::Dropped(_) => {}
            }
        }
        self.busy = true;
    }
}

impl<M: DatagramMachine> fmt::Debug for Pump<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pending, readable, writable, busy, counts, .. } = self;
        let mut shown = f.debug_struct("Pump");
        shown.field("pending", pending).field("readable", readable).field("writable", writable);
        shown.field("busy", busy).field("turns", counts).finish_non_exhaustive()
    }
}
