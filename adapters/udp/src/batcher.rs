//! The batched calls of one socket, without the socket.

use crate::address::{received_path, sendable_path};
use crate::buffers::{Received, RecvBuffers};
use crate::calls::{Calls, Destination, Message};
use crate::cause::is_passing;
use crate::train::{MAX_SEGMENTS, Means, SendCall, SendOutcome, send_train};
use crate::{DropCause, Kernel, Stats};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use tripline_sansio::{Ecn, Path, Transmit};

/// How many pieces of passing news one receive call reads past before it gives up for now.
const MAX_NEWS: usize = 16;

/// Batched calls and counters for one socket that someone else holds.
///
/// Runtimes that must wrap each call (mio's `try_io`, tokio's `async_io`) hold the socket and this
/// side by side; [`Socket`](crate::Socket) is the two together.
#[derive(Debug)]
pub struct Batcher {
    calls: Box<dyn Calls>,
    v6: bool,
    means: Means,
    stats: Stats,
}

impl Batcher {
    /// Prepares `socket`: switches it to non-blocking, asks for ECN marks, destination addresses
    /// and merged receives, and forbids fragmentation.
    ///
    /// # Errors
    /// What the system says; a socket that is not UDP, for example.
    pub fn new<S: AsFd>(socket: &S) -> io::Result<Self> {
        Self::with_calls(socket, Box::new(Kernel::new(socket)?))
    }

    /// Works by these system calls; `socket` is as they want it.
    ///
    /// # Errors
    /// If the socket has no address to tell.
    pub fn with_calls<S: AsFd>(socket: &S, calls: Box<dyn Calls>) -> io::Result<Self> {
        let local = socket2::SockRef::from(socket).local_addr()?;
        let means = Means { gso: calls.cuts(), many: true };
        Ok(Self { calls, v6: local.is_ipv6(), means, stats: Stats::default() })
    }

    /// How many datagrams a train may hold at present: 64, or 1 if the system cannot cut trains.
    /// Longer trains are cut here, at the price of more work and perhaps more calls.
    pub fn max_gso_segments(&self) -> usize {
        if self.means.gso { MAX_SEGMENTS } else { 1 }
    }

    /// Leaves no train to the system from now on, whatever it could do: each datagram is a message
    /// of its own, several of them in one call (`sendmmsg`).
    pub fn forbid_gso(&mut self) {
        self.means.gso = false;
    }

    /// Sends one message in each call from now on.
    pub fn forbid_batches(&mut self) {
        self.means = Means { gso: false, many: false };
    }

    /// The counters.
    pub fn stats(&self) -> Stats {
        Stats { gso: self.means.gso, gro: self.calls.merges(), ..self.stats }
    }

    /// Receives what one call brings, and hands on each datagram.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if there is nothing to receive; others only if the socket
    /// itself is broken. News of an earlier datagram (an ICMP message) is counted and read past.
    pub fn recv_batch<S: AsFd>(
        &mut self,
        socket: &S,
        buffers: &mut RecvBuffers,
        mut on_datagram: impl FnMut(Path, Ecn, &mut [u8]),
    ) -> io::Result<Received> {
        let mut messages = [Message::default(); RecvBuffers::MAX];
        let count = buffers.count();
        let number = self.recv_past_news(socket.as_fd(), buffers, &mut messages)?;
        let mut received =
            Received { messages: number, maybe_more: number >= count, ..Received::default() };
        for (buffer, message) in buffers.iter_mut().zip(messages.iter().take(number)) {
            let one = self.deliver(buffer, message, &mut on_datagram);
            received.datagrams += one.datagrams;
            received.bytes += one.bytes;
        }
        Ok(received)
    }

    /// Cuts apart one message that is in `buffer` and hands on its datagrams, for loops that
    /// receive by other means; counted as [`Self::recv_batch`] counts, but for the call. Says how
    /// many datagrams and bytes there were.
    pub fn deliver(
        &mut self,
        buffer: &mut [u8],
        message: &Message,
        mut on_datagram: impl FnMut(Path, Ecn, &mut [u8]),
    ) -> Received {
        let stride = message.stride.max(1);
        let mut received = Received { messages: 1, ..Received::default() };
        let mut len = message.len.min(buffer.len());
        if message.truncated || len < message.len {
            // The datagram that lacks its end is as good as lost; those before it are whole.
            self.stats.truncated += 1;
            len -= if len.is_multiple_of(stride) { stride.min(len) } else { len % stride };
            if len == 0 {
                return received;
            }
        }
        let Some(bytes) = buffer.get_mut(..len) else { return received };
        (received.bytes, received.datagrams) = (len, len.div_ceil(stride).max(1));
        self.stats.datagrams_received += received.datagrams as u64;
        self.stats.bytes_received += received.bytes as u64;
        let Some(path) = received_path(message.from, message.to) else {
            self.stats.unanswerable += received.datagrams as u64;
            return received;
        };
        if bytes.is_empty() {
            on_datagram(path, message.ecn, bytes);
        } else {
            bytes.chunks_mut(stride).for_each(|datagram| on_datagram(path, message.ecn, datagram));
        }
        received
    }

    /// Counts a receive call that was made by other means, and, if it brought an error and no
    /// datagram, that too.
    pub fn count_recv(&mut self, calls: u64, errors: u64) {
        self.stats.recv_calls += calls;
        self.stats.recv_errors += errors;
    }

    fn recv_past_news(
        &mut self,
        socket: BorrowedFd<'_>,
        buffers: &mut RecvBuffers,
        messages: &mut [Message; RecvBuffers::MAX],
    ) -> io::Result<usize> {
        let count = buffers.count();
        let mut slices = buffers.slices();
        let slices = slices.split_at_mut(count).0;
        let messages = messages.split_at_mut(count).0;
        for _ in 0..MAX_NEWS {
            self.stats.recv_calls += 1;
            match self.calls.recv(socket, slices, messages) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    self.stats.interrupted += 1;
                }
                Err(error) if is_passing(&error) => self.stats.recv_errors += 1,
                result => return result.map(|number| number.min(count)),
            }
        }
        Ok(0)
    }

    /// Sends one datagram or a train: the first `transmit.len` bytes of `bytes`.
    pub fn send<S: AsFd>(&mut self, socket: &S, transmit: &Transmit, bytes: &[u8]) -> SendOutcome {
        let bytes = bytes.get(..transmit.len).unwrap_or(bytes);
        // Asked of the system, a senseless address would look as if offload were refused.
        let Some(path) = sendable_path(transmit.path, self.v6) else {
            let cause = DropCause::BadAddress;
            self.stats.dropped.count(cause, transmit.segments().max(1));
            return SendOutcome::Dropped(cause);
        };
        let to = Destination { path, ecn: transmit.ecn };
        let mut system = System { calls: self.calls.as_mut(), socket: socket.as_fd(), to };
        let (means, stats) = (&mut self.means, &mut self.stats);
        send_train(&mut system, means, stats, bytes, transmit.segment_size)
    }
}

/// The send calls of the system, for one destination.
struct System<'a> {
    calls: &'a mut dyn Calls,
    socket: BorrowedFd<'a>,
    to: Destination,
}

impl SendCall for System<'_> {
    fn send(&mut self, bytes: &[u8], segment: usize) -> io::Result<()> {
        self.calls.send(self.socket, self.to, bytes, segment)
    }

    fn send_many(&mut self, bytes: &[u8], segment: usize) -> io::Result<usize> {
        self.calls.send_many(self.socket, self.to, bytes, segment)
    }
}

/// The address `socket` is bound to.
pub(crate) fn local_addr<S: AsFd>(socket: &S) -> io::Result<SocketAddr> {
    let address = socket2::SockRef::from(socket).local_addr()?;
    address.as_socket().ok_or_else(|| io::Error::other("the socket has no IP address"))
}
