//! The loop itself: one task, any datagram machine.

use crate::runtime::{Held, Runtime, Socket, Timer, Watched};
use crate::{Options, Udp};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use tripline_sansio::{DatagramMachine, Instant};
use tripline_udp::{Pump, Tells, Turns};

/// One machine, one socket, one timer, and whichever task polls it.
///
/// A turn is: receive a bounded number of batches, tell the time if the deadline has come, drain
/// what the machine wants to send, look for an event ([`tripline_udp::Pump`] does this), and leave
/// word with the socket and the timer. It reads the clock once. A full socket costs latency only:
/// the datagram that did not fit is kept, and room is waited for as well.
///
/// It has no thread and no lock of its own; it is dropped at any time without harm, and what the
/// socket did not take is lost with it.
#[derive(Debug)]
pub struct Loop<M: DatagramMachine, S, T> {
    pump: Pump<M>,
    socket: Held<S>,
    timer: T,
}

impl<M: DatagramMachine, I: Watched, T: Timer> Loop<M, Udp<I>, T> {
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
        Self { pump: Pump::new(machine, Tells::Once), socket: Held(socket), timer }
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
    /// something to do; at once if there was more than a turn may do, so that others have theirs.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<M::Event>> {
        self.ask(cx)?;
        let now = self.timer.now();
        self.pump.turn(now, &mut self.socket)?;
        if let Some(event) = self.pump.next_event() {
            return Poll::Ready(Ok(event));
        }
        let ready = self.ask(cx)?;
        let deadline = self.pump.deadline(now);
        if ready || self.timer.poll_until(cx, deadline).is_ready() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Asks the socket what it is ready for, and leaves word where it is not; whether it is ready
    /// for anything. Room is of interest only to a datagram that waits for it.
    fn ask(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let readable = self.socket.0.poll_readable(cx)?.is_ready();
        let writable = self.pump.wants_room() && self.socket.0.poll_writable(cx)?.is_ready();
        self.pump.ready(readable, writable);
        Ok(readable || writable)
    }

    /// An event that is there already; the loop does not run. After [`Self::next`] this gives what
    /// else that turn has brought, without the price of another one.
    pub fn next_event(&mut self) -> Option<M::Event> {
        self.pump.next_event()
    }

    /// Uses the machine at the present time; what it has to send goes out with the next turn.
    pub fn with<R>(&mut self, action: impl FnOnce(&mut M, Instant) -> R) -> R {
        let now = self.timer.now();
        action(self.pump.machine_mut(), now)
    }

    /// The machine.
    pub fn machine(&self) -> &M {
        self.pump.machine()
    }

    /// The socket.
    pub fn socket(&self) -> &S {
        &self.socket.0
    }

    /// What this loop has done so far (T18: an idle loop does nothing).
    pub fn turns(&self) -> Turns {
        self.pump.turns()
    }
}
