//! The seam below the batches: the system calls that a [`Batcher`](crate::Batcher) makes.
//!
//! [`Kernel`](crate::Kernel) makes them. Whoever wants to see what a loop does when the system
//! refuses, answers by halves or is interrupted, puts another [`Calls`] in its place; so a test can
//! play what no kernel can be asked for. What each answer means is decided above, never here.

use std::fmt::Debug;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;
use tripline_sansio::{Ecn, Path};

/// One message that a receive call brought: a datagram, or a train of merged ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who sent it, as the system says it.
    pub from: SocketAddr,
    /// The address of ours that it was sent to, if the system says so.
    pub to: Option<IpAddr>,
    /// Its mark.
    pub ecn: Ecn,
    /// Bytes in the buffer.
    pub len: usize,
    /// Bytes of each datagram of a train, but for the last; the length if it is one datagram.
    pub stride: usize,
    /// There was more than the buffer holds, and the end is lost.
    pub truncated: bool,
}

impl Default for Message {
    fn default() -> Self {
        Self {
            from: SocketAddr::from(([0, 0, 0, 0], 0)),
            to: None,
            ecn: Ecn::NotEct,
            len: 0,
            stride: 0,
            truncated: false,
        }
    }
}

/// Where a send call sends to and from, in the family of the socket (an IPv4 address is a mapped
/// one on a socket of IPv6), and with which mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The peer, and our own address if it matters.
    pub path: Path,
    /// The mark.
    pub ecn: Ecn,
}

/// System calls of one socket that never block. Errors are those of the system, as they are.
pub trait Calls: Debug + Send + Sync {
    /// Sends one message: a datagram, or, if `segment` is smaller than its length, a train of
    /// datagrams of `segment` bytes for the system to cut (GSO).
    ///
    /// # Errors
    /// Nothing of it was sent.
    fn send(
        &mut self,
        socket: BorrowedFd<'_>,
        to: Destination,
        bytes: &[u8],
        segment: usize,
    ) -> io::Result<()>;

    /// Sends several datagrams of `segment` bytes, of which the last may be shorter, each as a
    /// message of its own, in one call (`sendmmsg`); says how many were taken, from the front on.
    ///
    /// # Errors
    /// Of the first datagram; [`io::ErrorKind::Unsupported`] if there is no such call, or none that
    /// could leave from the address that is wanted.
    fn send_many(
        &mut self,
        socket: BorrowedFd<'_>,
        to: Destination,
        bytes: &[u8],
        segment: usize,
    ) -> io::Result<usize>;

    /// Receives up to one message for each buffer, and describes each in `messages`; says how many
    /// there were. Both have the same length.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if there is nothing to receive.
    fn recv(
        &mut self,
        socket: BorrowedFd<'_>,
        buffers: &mut [IoSliceMut<'_>],
        messages: &mut [Message],
    ) -> io::Result<usize>;

    /// Whether [`Self::send`] can be asked for trains.
    fn cuts(&self) -> bool;

    /// Whether the system merges what it receives (GRO).
    fn merges(&self) -> bool;
}
