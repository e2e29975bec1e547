//! The system calls as the operating system has them.

use crate::RecvBuffers;
use crate::address::{ecn_in, ecn_out};
use crate::batcher::local_addr;
use crate::calls::{Calls, Destination, Message};
use crate::cause::may_refuse_offload;
use crate::many::Many;
use quinn_udp::{RecvMeta, UdpSocketState};
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd};

/// The system calls of the operating system.
#[derive(Debug)]
pub struct Kernel {
    state: UdpSocketState,
    many: Many,
}

impl Kernel {
    /// Prepares `socket`: switches it to non-blocking, asks for ECN marks, destination addresses
    /// and merged receives, and forbids fragmentation.
    ///
    /// # Errors
    /// What the system says; a socket that is not UDP, for example.
    pub fn new<S: AsFd>(socket: &S) -> io::Result<Self> {
        let many = Many::new(local_addr(socket)?.ip());
        Ok(Self { state: UdpSocketState::new(socket.into())?, many })
    }
}

impl Calls for Kernel {
    fn send(
        &mut self,
        socket: BorrowedFd<'_>,
        to: Destination,
        bytes: &[u8],
        segment: usize,
    ) -> io::Result<()> {
        let transmit = quinn_udp::Transmit {
            destination: to.path.remote,
            ecn: ecn_out(to.ecn),
            contents: bytes,
            segment_size: Some(segment),
            src_ip: to.path.local,
        };
        let result = self.state.try_send((&socket).into(), &transmit);
        if result.as_ref().is_err_and(may_refuse_offload) {
            // The library takes these errors as a verdict on offload and on ECN, for good. Often it
            // is only our own address that has gone; `send_train` finds out, so it starts afresh.
            if let Ok(fresh) = UdpSocketState::new((&socket).into()) {
                self.state = fresh;
            }
        }
        result
    }

    fn send_many(
        &mut self,
        socket: BorrowedFd<'_>,
        to: Destination,
        bytes: &[u8],
        segment: usize,
    ) -> io::Result<usize> {
        self.many.send(socket, to, bytes, segment)
    }

    fn recv(
        &mut self,
        socket: BorrowedFd<'_>,
        buffers: &mut [IoSliceMut<'_>],
        messages: &mut [Message],
    ) -> io::Result<usize> {
        let mut meta = [RecvMeta::default(); RecvBuffers::MAX];
        let count = self.state.recv((&socket).into(), buffers, &mut meta)?;
        for (message, meta) in messages.iter_mut().zip(&meta).take(count) {
            *message = Message {
                from: meta.addr,
                to: meta.dst_ip,
                ecn: ecn_in(meta.ecn),
                len: meta.len,
                stride: meta.stride,
                // The library does not tell; no datagram and no train is longer than our buffers.
                truncated: false,
            };
        }
        Ok(count)
    }

    fn cuts(&self) -> bool {
        self.state.max_gso_segments() > 1
    }

    fn merges(&self) -> bool {
        self.state.gro_segments() > 1
    }
}
