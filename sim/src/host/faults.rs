//! What operating systems do to hosts: put them to sleep, refuse to send.
//!
//! Plain configurations, and the state that goes with them; the host acts on it.

use crate::chance::Chance;
use crate::drop_cause::DropCause;
use crate::pool::Slot;
use tripline_sansio::{Instant, Random};

/// What becomes of the datagrams that come for a host while it sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AsleepSocket {
    /// They wait in a socket buffer of so many bytes, and those beyond are lost.
    Keep(usize),
    /// They are lost.
    Lose,
}

/// What a host's clock does while it sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AsleepClock {
    /// It goes on: after the sleep much is due at once.
    Runs,
    /// It stands still, as a monotonic clock may: nothing has happened but what came in.
    Stops,
}

/// A sleeping host.
#[derive(Debug)]
pub(super) struct Sleep {
    pub(super) socket: AsleepSocket,
    pub(super) clock: AsleepClock,
    pub(super) since: Instant,
    /// What waits in the socket.
    pub(super) waiting: Vec<Slot>,
    pub(super) waiting_bytes: usize,
}

impl Sleep {
    /// A host that falls asleep now.
    pub(super) const fn new(since: Instant, socket: AsleepSocket, clock: AsleepClock) -> Self {
        Self { socket, clock, since, waiting: Vec::new(), waiting_bytes: 0 }
    }

    /// Empties the socket.
    pub(super) fn empty(&mut self) -> Vec<Slot> {
        self.waiting_bytes = 0;
        std::mem::take(&mut self.waiting)
    }

    /// Takes a datagram of `len` bytes, or says why it is lost.
    pub(super) fn take(&mut self, slot: Slot, len: usize) -> Result<(), DropCause> {
        let AsleepSocket::Keep(room) = self.socket else { return Err(DropCause::Asleep) };
        if self.waiting_bytes.saturating_add(len) > room {
            return Err(DropCause::SocketFull);
        }
        self.waiting_bytes += len;
        self.waiting.push(slot);
        Ok(())
    }
}

/// What a host's system does not send. A machine does not hear of it: to it such a datagram is one
/// that the network lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendFaults {
    /// Datagrams longer than this are refused (`EMSGSIZE`).
    pub longest: usize,
    /// There is no network: everything is refused (`ENETUNREACH`).
    pub unreachable: bool,
    /// How often there is no memory for a datagram (`ENOBUFS`).
    pub no_buffers: Chance,
}

impl SendFaults {
    /// Everything is sent.
    pub const NONE: Self =
        Self { longest: usize::MAX, unreachable: false, no_buffers: Chance::NEVER };
}

/// The faults of one host, with their generator.
#[derive(Debug)]
pub(crate) struct SendState {
    pub(crate) faults: SendFaults,
    random: Random,
}

impl SendState {
    /// No faults yet.
    pub(crate) const fn new(random: Random) -> Self {
        Self { faults: SendFaults::NONE, random }
    }

    /// Why a datagram of `len` bytes is not sent, if it is not.
    pub(crate) fn refuse(&mut self, len: usize) -> Option<DropCause> {
        let SendFaults { longest, unreachable, no_buffers } = self.faults;
        // Drawn whatever the others say, so that the n-th draw is the n-th datagram's.
        let no_buffers = no_buffers.draw(&mut self.random);
        if unreachable {
            Some(DropCause::Unreachable)
        } else if len > longest {
            Some(DropCause::SendTooBig)
        } else {
            no_buffers.then_some(DropCause::NoBuffers)
        }
    }
}

impl Default for SendFaults {
    fn default() -> Self {
        Self::NONE
    }
}
