//! Counters of one socket.

use crate::DropCause;

/// What went through a socket since it was made (T68).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Datagrams that the system took.
    pub datagrams_sent: u64,
    /// Bytes in them.
    pub bytes_sent: u64,
    /// Calls that tried to send, those included that found the socket full or failed.
    pub send_calls: u64,
    /// Calls that found the socket full.
    pub full: u64,
    /// Calls that took some of several messages and not all; the rest went out with the next one.
    pub partial: u64,
    /// Calls that a signal interrupted, in both directions; each was made again.
    pub interrupted: u64,
    /// Datagrams that were received.
    pub datagrams_received: u64,
    /// Bytes in them.
    pub bytes_received: u64,
    /// Calls that tried to receive, those included that found nothing.
    pub recv_calls: u64,
    /// Receive calls that brought news of an earlier datagram (an ICMP message) and no datagram.
    pub recv_errors: u64,
    /// Received messages that were longer than their buffer: the last datagram in it was lost.
    pub truncated: u64,
    /// Received datagrams that were not handed on because nobody could answer them (port 0).
    pub unanswerable: u64,
    /// Datagrams that the system refused to take, by cause.
    pub dropped: Drops,
    /// Whether trains go out in one call (GSO).
    pub gso: bool,
    /// Whether the kernel merges received datagrams (GRO).
    pub gro: bool,
}

impl Stats {
    /// Datagrams sent per system call; 0 before the first call.
    pub fn sent_per_call(&self) -> f64 {
        per_call(self.datagrams_sent, self.send_calls)
    }

    /// Datagrams received per system call; 0 before the first call.
    pub fn received_per_call(&self) -> f64 {
        per_call(self.datagrams_received, self.recv_calls)
    }
}

fn per_call(datagrams: u64, calls: u64) -> f64 {
    datagrams as f64 / calls.max(1) as f64
}

/// Datagrams that were not sent, by cause; see [`DropCause`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drops {
    /// [`DropCause::TooBig`].
    pub too_big: u64,
    /// [`DropCause::NoBuffer`].
    pub no_buffer: u64,
    /// [`DropCause::Refused`].
    pub refused: u64,
    /// [`DropCause::Unreachable`].
    pub unreachable: u64,
    /// [`DropCause::Denied`].
    pub denied: u64,
    /// [`DropCause::BadAddress`].
    pub bad_address: u64,
    /// [`DropCause::Other`].
    pub other: u64,
}

impl Drops {
    /// All of them together.
    pub fn total(&self) -> u64 {
        self.too_big
            + self.no_buffer
            + self.refused
            + self.unreachable
            + self.denied
            + self.bad_address
            + self.other
    }

    pub(crate) fn count(&mut self, cause: DropCause, datagrams: usize) {
        let counter = match cause {
            DropCause::TooBig => &mut self.too_big,
            DropCause::NoBuffer => &mut self.no_buffer,
            DropCause::Refused => &mut self.refused,
            DropCause::Unreachable => &mut self.unreachable,
            DropCause::Denied => &mut self.denied,
            DropCause::BadAddress => &mut self.bad_address,
            DropCause::Other => &mut self.other,
        };
        *counter += datagrams as u64;
    }
}
