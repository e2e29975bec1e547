//! The loop itself.

use crate::{Clock, Link, Room, UdpLink, Waker};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tripline_sansio::{DatagramMachine, Instant, Transmit};
use tripline_udp::{DropCause, SendOutcome, Socket};

/// Receive calls of one turn, at most.
const MAX_BATCHES: usize = 16;
/// Datagrams after which a turn receives no more, so that acknowledgements are not kept waiting.
const ENOUGH_DATAGRAMS: usize = 512;
/// Send calls of one drain, at most, so that a machine that sends for ever cannot stop receiving.
const MAX_SENDS: usize = 256;

/// How to make a loop over UDP.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How to make the socket.
    pub socket: tripline_udp::Options,
    /// Receive buffers of 64 KiB, 1 to 32: messages that one receive call can bring.
    pub receive_buffers: usize,
    /// The clock; loops whose machines compare times share one.
    pub clock: Clock,
    /// Whether [`Client`](crate::Client) and [`Listener`](crate::Listener) use AES where this
    /// machine has it in hardware, though the configuration does not say so. Without it
    /// [`Config::hardware_aes`](tripline::Config::hardware_aes) alone decides. A plain [`Loop`],
    /// which does not know its machine, makes no use of it.
    pub detect_aes: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            socket: tripline_udp::Options::default(),
            receive_buffers: 8,
            clock: Clock::new(),
            detect_aes: true,
        }
    }
}

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
    machine: M,
    link: L,
    clock: Clock,
    waker: Waker,
    /// The bytes of the last transmit; used again for each.
    out: Vec<u8>,
    /// A transmit that did not fit, and how much of `out` is done with.
    pending: Option<(Transmit, usize)>,
    /// An event that was taken to see whether there is one; the rest stay with the machine, which
    /// bounds them.
    event: Option<M::Event>,
    /// Whether the last drain stopped at its bound, so that there may be more to send.
    busy: bool,
    counts: Counts,
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
        Ok(Self {
            machine,
            link,
            clock,
            waker: Waker::new()?,
            out: Vec::new(),
            pending: None,
            event: None,
            busy: false,
            counts: Counts::default(),
        })
    }

    /// Runs until there is an event, a wake, or `timeout` is over (M25): zero looks once and never
    /// waits, `None` waits for as long as it takes.
    ///
    /// # Errors
    /// If the link itself is broken; what the network does to datagrams is no error.
    pub fn run_once(&mut self, timeout: Option<Duration>) -> io::Result<Turn> {
        let mut now = self.clock.now();
        let limit = timeout.map(|timeout| now + timeout);
        // The caller may have used the machine, or been long away.
        self.tell_time(now);
        self.drain(now);
        self.look_for_event();
        loop {
            let at_most = self.time_to_wait(now, limit);
            self.counts.waits += 1;
            let ready = self.link.wait(&self.waker, self.wants_room(), at_most)?;
            self.busy = false;
            // A single look takes no time, so a turn of it reads the clock once.
            if timeout != Some(Duration::ZERO) {
                now = self.clock.now();
            }
            if ready.woken {
                self.waker.reset();
                self.receive_aside(now);
            }
            if ready.readable {
                self.receive(now)?;
            }
            self.tell_time(now);
            if self.pending.is_none() || ready.writable || self.link.room() == Room::Free {
                self.drain(now);
            }
            self.look_for_event();
            if self.event.is_some() {
                return Ok(Turn::Event);
            }
            if ready.woken {
                return Ok(Turn::Woken);
            }
            if limit.is_some_and(|limit| limit <= now) {
                return Ok(Turn::TimedOut);
            }
        }
    }

    /// The next event, in the order in which things happened.
    pub fn next_event(&mut self) -> Option<M::Event> {
        self.event.take().or_else(|| self.machine.poll_event())
    }

    /// Uses the machine at the present time; what it has to send goes out with the next
    /// [`Self::run_once`].
    pub fn with<R>(&mut self, action: impl FnOnce(&mut M, Instant) -> R) -> R {
        let now = self.clock.now();
        action(&mut self.machine, now)
    }

    /// The machine.
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// The machine, to be used; what it has to send goes out with the next [`Self::run_once`].
    pub fn machine_mut(&mut self) -> &mut M {
        &mut self.machine
    }

    /// The link.
    pub fn link(&self) -> &L {
        &self.link
    }

    /// The clock of this loop.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// A handle that ends this loop's waits from another thread.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// For a foreign event loop (T70): when [`Self::run_once`] wants to be called at the latest,
    /// with zero, though nothing came in; `None` if never. A time in the past means at once. To be
    /// asked after each [`Self::run_once`], which in turn is due after each use of the machine.
    ///
    /// The file descriptor to watch is that of [`Self::link`], for reading and, while
    /// [`Self::wants_room`], for writing.
    pub fn deadline(&self) -> Option<Instant> {
        if self.busy || self.event.is_some() {
            return Some(Instant::ZERO);
        }
        self.future_deadline(self.clock.now())
    }

    /// For a foreign event loop (T70): whether a datagram waits for the link to become writable.
    pub fn wants_room(&self) -> bool {
        self.pending.is_some() && self.link.room() == Room::Watch
    }

    /// What this loop has done so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The machine and the link; what was waiting for room on the link is lost.
    pub fn into_parts(self) -> (M, L) {
        (self.machine, self.link)
    }

    /// How long the next wait may be: until the machine's deadline or the caller's limit.
    fn time_to_wait(&self, now: Instant, limit: Option<Instant>) -> Option<Duration> {
        if self.busy || self.event.is_some() {
            return Some(Duration::ZERO);
        }
        let deadline = self.future_deadline(now);
        let first = [deadline, limit].into_iter().flatten().min()?;
        Some(first.saturating_duration_since(now))
    }

    /// The machine's deadline. One that is still past after it was told needs room on the link
    /// first, for only a full drain moves it: to wait for it as well would be to spin.
    fn future_deadline(&self, now: Instant) -> Option<Instant> {
        let full = self.pending.is_some();
        self.machine.poll_timeout().filter(|deadline| !full || *deadline > now)
    }

    /// Tells the machine the time if its deadline has come.
    fn tell_time(&mut self, now: Instant) {
        if self.machine.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.counts.timeouts += 1;
            self.machine.handle_timeout(now);
        }
    }

    /// Receives until the socket is empty or the turn has had its share.
    fn receive(&mut self, now: Instant) -> io::Result<()> {
        let Self { machine, link, .. } = self;
        let mut datagrams = 0;
        for _ in 0..MAX_BATCHES {
            let mut hand_on = |path, ecn, datagram: &mut [u8]| {
                machine.handle_datagram(now, path, ecn, datagram);
            };
            match link.recv(&mut hand_on) {
                Ok(received) => {
                    datagrams += received.datagrams;
                    // Asking an empty socket again would be one more call for nothing; should
                    // something have come in meanwhile, the next wait returns at once.
                    if !received.maybe_more || datagrams >= ENOUGH_DATAGRAMS {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Takes in what the link got from elsewhere.
    fn receive_aside(&mut self, now: Instant) {
        let Self { machine, link, .. } = self;
        link.recv_aside(&mut |path, ecn, datagram| {
            machine.handle_datagram(now, path, ecn, datagram);
        });
    }

    /// Sends what waits for room, then what the machine has, until it has no more, the link is full
    /// or the bound is reached.
    fn drain(&mut self, now: Instant) {
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
            match self.link.send(&Transmit { len: rest.len(), ..transmit }, rest) {
                SendOutcome::Full { sent } => {
                    self.pending = Some((transmit, done + sent));
                    self.counts.full += 1;
                    return;
                }
                SendOutcome::Dropped(DropCause::TooBig) => {
                    self.machine.handle_too_big(now, &transmit);
                }
                // A dropped datagram is counted by the link and made good by the machine.
                SendOutcome::Sent | SendOutcome::Dropped(_) => {}
            }
        }
        self.busy = true;
    }

    /// Takes an event out of the machine, if there is one and none is out.
    fn look_for_event(&mut self) {
        if self.event.is_none() {
            self.event = self.machine.poll_event();
        }
    }
}
