//! One turn of a loop around a datagram machine: the same for all loops, whatever their sockets,
//! clocks and waits are.
//!
//! *In*: what became ready, and the time. *Out*: datagrams to and from a [`Carrier`], the events of
//! the machine, and when the next turn is due. It never waits, and has no clock and no socket.

use crate::flow::{Carrier, Flow, Flowed, MAX_SENDS, Tells};
use std::fmt;
use std::io;
use tripline_sansio::{DatagramMachine, Instant};

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
    flow: Flow,
    /// An event that was taken to see whether there is one; the rest stay with the machine, which
    /// bounds them.
    event: Option<M::Event>,
    /// What the machine writes the next transmit into.
    scratch: Vec<u8>,
    /// The last turn stopped at a bound.
    busy: bool,
    counts: Turns,
}

impl<M: DatagramMachine> Pump<M> {
    /// A machine at rest: its carrier is not known to have anything to receive, and has room.
    /// `tells` is how the loop hears what became ready.
    pub fn new(machine: M, tells: Tells) -> Self {
        let (flow, counts) = (Flow::new(tells), Turns::default());
        Self { machine, flow, event: None, scratch: Vec::new(), busy: false, counts }
    }

    /// Notes what became ready.
    pub fn ready(&mut self, readable: bool, writable: bool) {
        self.flow.ready(readable, writable);
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
        let Self { machine, flow, .. } = self;
        self.busy = flow.receive(carrier, &mut |path, ecn, datagram| {
            machine.handle_datagram(now, path, ecn, datagram);
        })?;
        if self.machine.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.counts.timeouts += 1;
            self.machine.handle_timeout(now);
        }
        if !self.flow.is_full() {
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

    /// Whether an event was found by the last turn and not given out since.
    pub fn has_event(&self) -> bool {
        self.event.is_some()
    }

    /// When the next turn is due if nothing becomes ready before; a time in the past is at once.
    ///
    /// A deadline that is still past after the machine was told needs room on the socket first: to
    /// wait for it as well would be to spin.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        if self.busy || self.event.is_some() {
            return Some(Instant::ZERO);
        }
        let full = self.flow.wants_room();
        self.machine.poll_timeout().filter(|deadline| !full || *deadline > now)
    }

    /// Whether a datagram waits for room.
    pub fn wants_room(&self) -> bool {
        self.flow.wants_room()
    }

    /// The machine.
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// The machine, to be used; what it has to send goes out with the next turn.
    pub fn machine_mut(&mut self) -> &mut M {
        &mut self.machine
    }

    /// The machine back; what was waiting for room is lost.
    pub fn into_machine(self) -> M {
        self.machine
    }

    /// What was done so far.
    pub fn turns(&self) -> Turns {
        self.counts
    }

    /// Sends what waits for room, then what the machine has, until it has no more, the socket is
    /// full or the bound is reached.
    fn drain(&mut self, now: Instant, carrier: &mut impl Carrier) {
        let Self { machine, flow, scratch, .. } = self;
        for _ in 0..MAX_SENDS {
            if !flow.wants_room() {
                scratch.clear();
                let Some(transmit) = machine.poll_transmit(now, scratch) else { return };
                flow.load(transmit, scratch);
            }
            match flow.send(carrier) {
                Flowed::Done => {}
                Flowed::TooBig(transmit) => machine.handle_too_big(now, &transmit),
                Flowed::Full => {
                    self.counts.full += 1;
                    return;
                }
            }
        }
        self.busy = true;
    }
}

impl<M: DatagramMachine> fmt::Debug for Pump<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { flow, busy, counts, .. } = self;
        let mut shown = f.debug_struct("Pump");
        shown.field("flow", flow).field("busy", busy).field("turns", counts);
        shown.finish_non_exhaustive()
    }
}
