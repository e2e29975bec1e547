//! The loop itself: one task, any datagram machine.

use crate::runtime::{Readiness, Runtime, Socket, Timer};
use crate::{Options, Udp};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use tripline_sansio::{DatagramMachine, Instant, Transmit};
use tripline_udp::{DropCause, SendOutcome};

/// Receive calls of one turn, at most.
const MAX_BATCHES: usize = 16;
/// Datagrams after which a turn receives no more, so that acknowledgements are not kept waiting.
const ENOUGH_DATAGRAMS: usize = 512;
/// Send calls of one drain, at most, so that a machine that sends for ever cannot stop receiving.
const MAX_SENDS: usize = 256;

/// What a loop has done since it was made (T18: an idle loop does nothing).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Turns: times that the loop was polled.
    pub turns: u64,
    /// Times the machine was told that its deadline had come.
    pub timeouts: u64,
    /// Times the socket was full and a datagram was kept for later.
    pub full: u64,
    /// Turns that had more to do than a turn may, and asked to be polled again at once.
    pub yields: u64,
}

/// One machine, one socket, one timer, and whichever task polls it.
///
/// A turn is: receive a bounded number of batches, tell the time if the deadline has come, drain
/// what the machine wants to send, look for an event, and leave word with the socket and the timer.
/// It reads the clock once. A full socket costs latency only: the datagram that did not fit is
/// kept, and room is waited for as well.
///
/// It has no thread and no lock of its own; it is dropped at any time without harm, and what the
/// socket did not take is lost with it.
#[derive(Debug)]
pub struct Loop<M, S, T> {
    machine: M,
    socket: S,
    timer: T,
    /// The bytes of the last transmit; used again for each.
    out: Vec<u8>,
    /// A transmit that did not fit, and how much of `out` is done with.
    pending: Option<(Transmit, usize)>,
    counts: Counts,
}

impl<M: DatagramMachine, I: Readiness, T: Timer> Loop<M, Udp<I>, T> {
    /// A loop over a new UDP socket at `address`, for one of the runtime's tasks to run. Whether
    /// AES is in hardware is no concern of it, for it does not know its machine.
    ///
    /// # Errors
    /// As [`Udp::bind`].
    pub fn bind<R: Runtime<Io = I, Timer = T>>(
        runtime: &R,
        address: SocketAddr,
        options: &Options,
        machine: M,
    ) -> io::Result<Self> {
        let socket = Udp::bind(runtime, address, &options.socket, options.receive_buffers)?;
        Ok(Self::new(socket, runtime.timer(), machine))
    }
}

impl<M: DatagramMachine, S: Socket, T: Timer> Loop<M, S, T> {
    /// A loop over any socket, by any timer.
    pub fn new(socket: S, timer: T, machine: M) -> Self {
        Self { machine, socket, timer, out: Vec::new(), pending: None, counts: Counts::default() }
    }

    /// The next event, in the order in which things happened; until there is one, the loop runs.
    ///
    /// Cancel-safe: an event is given out or stays.
    ///
    /// # Errors
    /// If the socket itself is broken; what the network does to datagrams is no error.
    pub async fn next(&mut self) -> io::Result<M::Event> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// One turn of [`Self::next`]. Where it gives no event, the task is woken when there is
    /// something to do.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<M::Event>> {
        self.counts.turns += 1;
        let now = self.timer.now();
        let mut more = self.receive(now, cx)?;
        self.tell_time(now);
        more |= self.drain(now, cx)?;
        if let Some(event) = self.machine.poll_event() {
            return Poll::Ready(Ok(event));
        }
        let deadline = self.future_deadline(now);
        if more || self.timer.poll_until(cx, deadline).is_ready() {
            // Others have their turn first.
            self.counts.yields += 1;
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// An event that is there already; the loop does not run. After [`Self::next`] this gives what
    /// else that turn has brought, without the price of another one.
    pub fn next_event(&mut self) -> Option<M::Event> {
        self.machine.poll_event()
    }

    /// Uses the machine at the present time; what it has to send goes out with the next turn.
    pub fn with<R>(&mut self, action: impl FnOnce(&mut M, Instant) -> R) -> R {
        let now = self.timer.now();
        action(&mut self.machine, now)
    }

    /// The machine.
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// The socket.
    pub fn socket(&self) -> &S {
        &self.socket
    }

    /// What this loop has done so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The machine's deadline. One that is still past after it was told needs room on the socket
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

    /// Receives until the socket waits for more, or the turn has had its share: then it is true.
    fn receive(&mut self, now: Instant, cx: &mut Context<'_>) -> io::Result<bool> {
        let Self { machine, socket, .. } = self;
        let mut datagrams = 0;
        for _ in 0..MAX_BATCHES {
            if socket.poll_readable(cx)?.is_pending() {
                return Ok(false);
            }
            let mut hand_on = |path, ecn, datagram: &mut [u8]| {
                machine.handle_datagram(now, path, ecn, datagram);
            };
            match socket.recv(&mut hand_on) {
                Ok(received) => datagrams += received.datagrams,
                // The next question leaves word with the runtime.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            if datagrams >= ENOUGH_DATAGRAMS {
                return Ok(true);
            }
        }
        Ok(true)
    }

    /// Sends what waits for room, then what the machine has, until it has no more or the socket is
    /// full; true if the bound was reached before that.
    fn drain(&mut self, now: Instant, cx: &mut Context<'_>) -> io::Result<bool> {
        for _ in 0..MAX_SENDS {
            let (transmit, done) = match self.pending.take() {
                Some(pending) => {
                    if self.socket.poll_writable(cx)?.is_pending() {
                        self.pending = Some(pending);
                        return Ok(false);
                    }
                    pending
                }
                None => {
                    self.out.clear();
                    match self.machine.poll_transmit(now, &mut self.out) {
                        Some(transmit) => (transmit, 0),
                        None => return Ok(false),
                    }
                }
            };
            let rest = self.out.get(done..).unwrap_or_default();
            match self.socket.send(&Transmit { len: rest.len(), ..transmit }, rest) {
                SendOutcome::Full { sent } => {
                    // The next round asks for room, and leaves word with the runtime.
                    self.pending = Some((transmit, done + sent));
                    self.counts.full += 1;
                }
                SendOutcome::Dropped(DropCause::TooBig) => {
                    self.machine.handle_too_big(now, &transmit);
                }
                // A dropped datagram is counted by the socket and made good by the machine.
                SendOutcome::Sent | SendOutcome::Dropped(_) => {}
            }
        }
        Ok(true)
    }
}
