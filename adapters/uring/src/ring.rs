//! The ring: one request that receives for ever.
//!
//! In goes a socket, out come the buffers that were filled, one by one, each for as long as its
//! callback runs. This module keeps the promises that the memory asks for: a buffer is read between
//! the completion that names it and the moment it is given again, and nothing is freed before the
//! kernel has said that it is done. It never waits, but for that, when it is dropped.

use crate::Unavailable;
use crate::memory::Buffers;
use crate::message::{CONTROL_BYTES, NAME_BYTES};
use io_uring::types::{CancelBuilder, Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use tripline_udp::{RecvBuffers, is_passing};

/// The number of our only group of buffers.
const GROUP: u16 = 0;
/// Requests that can be handed in at once: one is.
const REQUESTS: u32 = 2;
/// How long a ring that is dropped waits for the kernel's last word, in seconds, before it leaves
/// its memory behind.
const LAST_WORD_SECONDS: u64 = 5;

/// What one look at the completions brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reaped {
    /// Messages.
    pub(crate) messages: usize,
    /// News of earlier datagrams.
    pub(crate) errors: u64,
    /// Calls of the system.
    pub(crate) calls: u64,
    /// The bound was reached: there may be more.
    pub(crate) more: bool,
}

/// A ring with its buffers, for one socket, which must outlive it.
pub(crate) struct Ring {
    ring: IoUring,
    buffers: Buffers,
    /// What the receiving request asks for; the kernel may look at it again.
    header: Box<libc::msghdr>,
    socket: Fd,
    /// The receiving request is out.
    receiving: bool,
}

// SAFETY: the header's pointers are null; all else may be sent.
unsafe impl Send for Ring {}

impl Ring {
    /// A ring that receives from `socket`, with `buffers` buffers.
    pub(crate) fn new(socket: &impl AsFd, buffers: u16) -> Result<Self, Unavailable> {
        let completions = u32::from(buffers) + 2 * REQUESTS;
        let ring = IoUring::builder().setup_clamp().setup_cqsize(completions).build(REQUESTS);
        let ring = ring.map_err(Unavailable::new("setting up a ring"))?;
        let mut buffers = Buffers::new(buffers).map_err(Unavailable::new("buffers"))?;
        let (address, count) = (buffers.ring_address(), buffers.count());
        // SAFETY: the memory is that of as many entries, stays where it is, and is freed after the
        // ring is gone or not at all (`drop`).
        let registered =
            unsafe { ring.submitter().register_buf_ring_with_flags(address, count, GROUP, 0) };
        registered.map_err(Unavailable::new("registering buffers"))?;
        (0..count).for_each(|number| buffers.give(number));
        // SAFETY: a header of zeros is one of null pointers and no lengths.
        let mut header: Box<libc::msghdr> = Box::new(unsafe { std::mem::zeroed() });
        header.msg_namelen = NAME_BYTES as libc::socklen_t;
        header.msg_controllen = CONTROL_BYTES;
        let socket = Fd(socket.as_fd().as_raw_fd());
        let mut ring = Self { ring, buffers, header, socket, receiving: false };
        ring.receive().map_err(Unavailable::new("the first request"))?;
        Ok(ring)
    }

    /// The error with which the first request ended, if it has.
    fn first_error(&mut self) -> Option<io::Error> {
        let error = self.ring.completion().next().map(|entry| entry.result())?;
        self.receiving = error >= 0;
        (error < 0).then(|| io::Error::from_raw_os_error(-error))
    }

    /// Asks the kernel to receive, until it says that it has ended.
    fn receive(&mut self) -> io::Result<()> {
        let request = opcode::RecvMsgMulti::new(self.socket, &raw const *self.header, GROUP);
        self.submit(&request.build())?;
        self.receiving = true;
        Ok(())
    }

    fn submit(&mut self, request: &squeue::Entry) -> io::Result<()> {
        // SAFETY: what the request points to is the header, which is boxed and lives as long as the
        // ring; the socket is open, as it outlives the ring.
        let pushed = unsafe { self.ring.submission().push(request) };
        pushed.map_err(io::Error::other)?;
        loop {
            match self.ring.submit() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result.map(drop),
            }
        }
    }

    /// Hands on what has been received, a bounded number of messages, gives the buffers back, and
    /// sees to it that more is received.
    ///
    /// # Errors
    /// If the socket itself is broken.
    pub(crate) fn reap(&mut self, mut on_message: impl FnMut(&mut [u8])) -> io::Result<Reaped> {
        let mut reaped = Reaped::default();
        let mut broken = None;
        {
            let Self { ring, buffers, receiving, .. } = self;
            let mut queue = ring.completion();
            while reaped.messages < RecvBuffers::MAX {
                let Some(entry) = queue.next() else { break };
                *receiving &= cqueue::more(entry.flags());
                let result = entry.result();
                if let Some(number) = cqueue::buffer_select(entry.flags()) {
                    let len = usize::try_from(result).unwrap_or_default();
                    if let Some(bytes) = buffers.filled(number, len).filter(|_| result >= 0) {
                        reaped.messages += 1;
                        on_message(bytes);
                    }
                    buffers.give(number);
                }
                if result < 0 {
                    let error = io::Error::from_raw_os_error(-result);
                    match -result {
                        // All buffers were in use, or the thread that asked has ended.
                        libc::ENOBUFS | libc::ECANCELED | libc::EINTR | libc::EAGAIN => {}
                        _ if is_passing(&error) => reaped.errors += 1,
                        _ => broken = Some(error),
                    }
                }
            }
            reaped.more = reaped.messages >= RecvBuffers::MAX;
        }
        if let Some(error) = broken {
            return Err(error);
        }
        if !self.receiving {
            reaped.calls += 1;
            self.receive()?;
        }
        Ok(reaped)
    }

    /// Ends the request; whether the kernel has said that it is done with all of our memory.
    fn end(&mut self) -> bool {
        if self.receiving {
            // Nothing to cancel is an error as well; the completions tell.
            let _ = self.ring.submitter().register_sync_cancel(None, CancelBuilder::any());
        }
        // Each completion that is not the last one holds a buffer, so their number is bounded.
        for _ in 0..=u32::from(self.buffers.count()) + 2 * REQUESTS {
            for entry in self.ring.completion() {
                self.receiving &= cqueue::more(entry.flags());
            }
            if !self.receiving {
                return self.ring.submitter().unregister_buf_ring(GROUP).is_ok();
            }
            let limit = Timespec::new().sec(LAST_WORD_SECONDS);
            let limit = SubmitArgs::new().timespec(&limit);
            match self.ring.submitter().submit_with_args(1, &limit) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return false,
                _ => {}
            }
        }
        false
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        if !self.end()
            && let Ok(none) = Buffers::new(1)
        {
            // The kernel may still write there; better lost than used for something else.
            std::mem::forget(std::mem::replace(&mut self.buffers, none));
        }
    }
}

impl AsFd for Ring {
    /// Readable when there are completions.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring").field("receiving", &self.receiving).finish_non_exhaustive()
    }
}

/// Whether a link can be made here, found out by making a small one.
///
/// # Errors
/// [`Unavailable`], with the step that was refused.
pub fn probe() -> Result<(), Unavailable> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
    let socket = socket.map_err(Unavailable::new("a socket on loopback"))?;
    let mut ring = Ring::new(&socket, 1)?;
    // A kernel that does not know this kind of request has said so by now.
    match ring.first_error() {
        Some(error) => Err(Unavailable::new("receiving for ever, which needs Linux 6.0")(error)),
        None => Ok(()),
    }
}
