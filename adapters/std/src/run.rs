//! The loop itself.

use crate::cycle::{Cycle, Driven};
use crate::link::Carried;
use crate::{Clock, Link, Options, UdpLink, Waker};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tripline_sansio::{DatagramMachine, Instant};
use tripline_udp::{Pump, Socket, Tells, Turns};

/// Why [`Loop::run_once`] came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// [`Loop::next_event`] has something to tell.
    Event,
    /// A [`Waker`] rang, or a signal came in.
    Woken,
    /// The time was up.
    TimedOut,
}

/// What a loop has done since it was made (T18: an idle loop does nothing).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Waits, those of no length included; each is one call of the system.
    pub waits: u64,
    /// Times the machine was told that its deadline had come.
    pub timeouts: u64,
    /// Times the link was full and a datagram was kept for later.
    pub full: u64,
}

/// One machine, one link, one thread.
///
/// The [crate's page](crate) shows it at work.
#[derive(Debug)]
pub struct Loop<M: DatagramMachine, L = UdpLink> {
    cycle: Cycle<One<M, L>>,
}

/// A machine and its link.
#[derive(Debug)]
struct One<M: DatagramMachine, L> {
    pump: Pump<M>,
    link: Carried<L>,
}

impl<M: DatagramMachine> Loop<M> {
    /// A loop over a new UDP socket at `address`.
    ///
    /// # Errors
    /// As [`Socket::bind`]; or no file descriptor is left for the waker.
    pub fn bind(address: SocketAddr, options: &Options, machine: M) -> io::Result<Self> {
        let socket = Socket::bind(address, &options.socket)?;
        Self::new(UdpLink::new(socket, options.receive_buffers), options.clock, machine)
    }
}

impl<M: DatagramMachine, L: Link> Loop<M, L> {
    /// A loop over any link, by any clock.
    ///
    /// # Errors
    /// If no file descriptor is left for the waker.
    pub fn new(link: L, clock: Clock, machine: M) -> io::Result<Self> {
        let one = One { pump: Pump::new(machine, Tells::Again), link: Carried(link) };
        Ok(Self { cycle: Cycle::new(one, clock)? })
    }

    /// Runs until there is an event, a wake, or `timeout` is over (M25): zero looks once and never
    /// waits, `None` waits for as long as it takes.
    ///
    /// # Errors
    /// If the link itself is broken; what the network does to datagrams is no error.
    pub fn run_once(&mut self, timeout: Option<Duration>) -> io::Result<Turn> {
        // Room may have come meanwhile, seen by a loop around this one (T70) or by nobody.
        self.cycle.driven.pump.ready(false, true);
        self.cycle.run_once(timeout)
    }

    /// The next event, in the order in which things happened.
    pub fn next_event(&mut self) -> Option<M::Event> {
        self.cycle.driven.pump.next_event()
    }

    /// Uses the machine at the present time; what it has to send goes out with the next
    /// [`Self::run_once`]. Its events are [`Self::next_event`]'s: polled from the machine itself
    /// they would come out of order, as the loop has looked at the first.
    pub fn with<R>(&mut self, action: impl FnOnce(&mut M, Instant) -> R) -> R {
        let now = self.cycle.clock.now();
        action(self.machine_mut(), now)
    }

    /// The machine.
    pub fn machine(&self) -> &M {
        self.cycle.driven.pump.machine()
    }

    /// The machine, to be used as by [`Self::with`].
    pub fn machine_mut(&mut self) -> &mut M {
        self.cycle.driven.pump.machine_mut()
    }

    /// The link.
    pub fn link(&self) -> &L {
        &self.cycle.driven.link.0
    }

    /// The clock of this loop.
    pub fn clock(&self) -> Clock {
        self.cycle.clock
    }

    /// A handle that ends this loop's waits from another thread.
    pub fn waker(&self) -> Waker {
        self.cycle.waker.clone()
    }

    /// For a foreign event loop (T70): when [`Self::run_once`] wants to be called at the latest,
    /// with zero, though nothing came in; `None` if never. A time in the past means at once. To be
    /// asked after each [`Self::run_once`], which in turn is due after each use of the machine.
    ///
    /// The file descriptor to watch is that of [`Self::link`], for reading, and, while
    /// [`Self::wants_room`], that of its [`Link::room_fd`], for writing.
    pub fn deadline(&self) -> Option<Instant> {
        self.cycle.deadline()
    }

    /// For a foreign event loop (T70): whether a datagram waits for the link to become writable.
    pub fn wants_room(&self) -> bool {
        self.cycle.driven.pump.wants_room()
    }

    /// What this loop has done so far.
    pub fn counts(&self) -> Counts {
        self.cycle.counts()
    }

    /// The machine and the link; what was waiting for room on the link is lost.
    pub fn into_parts(self) -> (M, L) {
        let One { pump, link } = self.cycle.driven;
        (pump.into_machine(), link.0)
    }
}

impl<M: DatagramMachine, L: Link> Driven for One<M, L> {
    fn wait(&mut self, waker: &Waker, at_most: Option<Duration>) -> io::Result<bool> {
        let Self { pump, link } = self;
        let ready = link.0.wait(waker, pump.wants_room(), at_most)?;
        pump.ready(ready.readable, ready.writable);
        Ok(ready.woken)
    }

    fn receive_aside(&mut self, now: Instant) {
        let Self { pump, link } = self;
        link.0.recv_aside(&mut |path, ecn, datagram| {
            pump.machine_mut().handle_datagram(now, path, ecn, datagram);
        });
    }

    fn turn(&mut self, now: Instant) -> io::Result<()> {
        self.pump.turn(now, &mut self.link)
    }

    fn deadline(&self, now: Instant) -> Option<Instant> {
        self.pump.deadline(now)
    }

    fn has_event(&self) -> bool {
        self.pump.has_event()
    }

    fn turns(&self) -> Turns {
        self.pump.turns()
    }
}
