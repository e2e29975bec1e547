//! A UDP socket of mio, in batches.

use crate::Options;
use mio::net::UdpSocket;
use std::io;
use tripline_sansio::{Ecn, Path, Transmit};
use tripline_udp::{Batcher, Carrier, Received, RecvBuffers, SendOutcome, Socket};

/// The socket with its receive buffers.
#[derive(Debug)]
pub(crate) struct Udp {
    pub(crate) socket: UdpSocket,
    pub(crate) batcher: Batcher,
    buffers: RecvBuffers,
}

impl Udp {
    pub(crate) fn new(socket: Socket, options: &Options) -> Self {
        let (socket, batcher) = socket.into_parts();
        let buffers = RecvBuffers::new(options.receive_buffers);
        Self { socket: UdpSocket::from_std(socket), batcher, buffers }
    }
}

impl Carrier for Udp {
    fn recv(&mut self, on_datagram: &mut dyn FnMut(Path, Ecn, &mut [u8])) -> io::Result<Received> {
        let Self { socket, batcher, buffers } = self;
        // Where mio emulates edges, it has to see that a call would have blocked.
        socket.try_io(|| batcher.recv_batch(socket, buffers, on_datagram))
    }

    fn send(&mut self, transmit: &Transmit, bytes: &[u8]) -> SendOutcome {
        let Self { socket, batcher, .. } = self;
        let mut outcome = SendOutcome::Sent;
        let _ = socket.try_io(|| {
            outcome = batcher.send(socket, transmit, bytes);
            match outcome {
                SendOutcome::Full { .. } => Err(io::ErrorKind::WouldBlock.into()),
                SendOutcome::Sent | SendOutcome::Dropped(_) => Ok(()),
            }
        });
        outcome
    }
}
