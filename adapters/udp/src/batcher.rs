//! The batched calls of one socket, without the socket.

use crate::address::{ecn_in, ecn_out, received_path, sendable_path};
use crate::buffers::{Received, RecvBuffers};
use crate::cause::{is_passing, may_refuse_offload};
use crate::train::{MAX_SEGMENTS, SendCall, SendOutcome, send_train};
use crate::{DropCause, Stats};
use quinn_udp::{RecvMeta, UdpSocketState};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use tripline_sansio::{Ecn, Path, Transmit};

/// How many pieces of passing news one receive call reads past before it gives up for now.
const MAX_NEWS: usize = 16;

/// Batched calls and counters for one socket that someone else holds.
///
/// Runtimes that must wrap each call (mio's `try_io`, tokio's `async_io`) hold the socket and this
/// side by side; [`Socket`](crate::Socket) is the two together.
#[derive(Debug)]
pub struct Batcher {
    state: UdpSocketState,
    v6: bool,
    gso: bool,
    stats: Stats,
}

impl Batcher {
    /// Prepares `socket`: switches it to non-blocking, asks for ECN marks, destination addresses
    /// and merged receives, and forbids fragmentation.
    ///
    /// # Errors
    /// What the system says; a socket that is not UDP, for example.
    pub fn new<S: AsFd>(socket: &S) -> io::Result<Self> {
        let local = socket2::SockRef::from(socket).local_addr()?;
        let state = UdpSocketState::new(socket.into())?;
        let gso = state.max_gso_segments() > 1;
        Ok(Self { state, v6: local.is_ipv6(), gso, stats: Stats::default() })
    }

    /// How many datagrams a train may hold at present: 64, or 1 if the system cannot do it.
    /// Longer trains are cut, at the price of more calls.
    pub fn max_gso_segments(&self) -> usize {
        if self.gso { MAX_SEGMENTS } else { 1 }
    }

    /// Sends datagram by datagram from now on, whatever the system could do.
    pub fn forbid_gso(&mut self) {
        self.gso = false;
    }

    /// The counters.
    pub fn stats(&self) -> Stats {
        Stats { gso: self.gso, gro: self.state.gro_segments() > 1, ..self.stats }
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
        let mut meta = [RecvMeta::default(); RecvBuffers::MAX];
        let count = buffers.count();
        let messages = self.recv_past_news(socket, buffers, &mut meta)?;
        let mut received =
            Received { messages, maybe_more: messages >= count, ..Received::default() };
        for (buffer, meta) in buffers.iter_mut().zip(meta.iter().take(messages)) {
            let Some(message) = buffer.get_mut(..meta.len) else { continue };
            received.bytes += message.len();
            let datagrams = message.len().div_ceil(meta.stride.max(1)).max(1);
            received.datagrams += datagrams;
            let Some(path) = received_path(meta.addr, meta.dst_ip) else {
                self.stats.unanswerable += datagrams as u64;
                continue;
            };
            let ecn = ecn_in(meta.ecn);
            if message.is_empty() {
                on_datagram(path, ecn, message);
            } else {
                let train = message.chunks_mut(meta.stride.max(1));
                train.for_each(|datagram| on_datagram(path, ecn, datagram));
            }
        }
        self.stats.datagrams_received += received.datagrams as u64;
        self.stats.bytes_received += received.bytes as u64;
        Ok(received)
    }

    fn recv_past_news<S: AsFd>(
        &mut self,
        socket: &S,
        buffers: &mut RecvBuffers,
        meta: &mut [RecvMeta; RecvBuffers::MAX],
    ) -> io::Result<usize> {
        let count = buffers.count();
        let mut slices = buffers.slices();
        let slices = slices.split_at_mut(count).0;
        for _ in 0..MAX_NEWS {
            self.stats.recv_calls += 1;
            match self.state.recv(socket.into(), slices, meta) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
                Err(error) if is_passing(&error) => self.stats.recv_errors += 1,
                result => return result,
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
        let mut system = System { state: &mut self.state, socket, path, ecn: transmit.ecn };
        send_train(&mut system, &mut self.gso, &mut self.stats, bytes, transmit.segment_size)
    }
}

/// The send call of the operating system.
struct System<'a, S> {
    state: &'a mut UdpSocketState,
    socket: &'a S,
    path: Path,
    ecn: Ecn,
}

impl<S: AsFd> SendCall for System<'_, S> {
    fn send(&mut self, bytes: &[u8], segment: usize) -> io::Result<()> {
        let transmit = quinn_udp::Transmit {
            destination: self.path.remote,
            ecn: ecn_out(self.ecn),
            contents: bytes,
            segment_size: Some(segment),
            src_ip: self.path.local,
        };
        let result = self.state.try_send(self.socket.into(), &transmit);
        if result.as_ref().is_err_and(may_refuse_offload) {
            // The library takes these errors as a verdict on offload and on ECN, for good. Often it
            // is only our own address that has gone; `send_train` finds out, so it starts afresh.
            if let Ok(fresh) = UdpSocketState::new(self.socket.into()) {
                *self.state = fresh;
            }
        }
        result
    }
}

/// The address `socket` is bound to.
pub(crate) fn local_addr<S: AsFd>(socket: &S) -> io::Result<SocketAddr> {
    let address = socket2::SockRef::from(socket).local_addr()?;
    address.as_socket().ok_or_else(|| io::Error::other("the socket has no IP address"))
}
