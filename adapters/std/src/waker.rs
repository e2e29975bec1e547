//! Interrupting a wait from another thread.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Ends the wait of one [`Loop`](crate::Loop), from any thread, as often as one likes.
///
/// A wake is never lost: one that comes between two waits ends the next one. Wakes that come before
/// the loop has seen the first are one. Outliving the loop is harmless.
#[derive(Clone, Debug)]
pub struct Waker {
    shared: Arc<Shared>,
}

/// Both ends live as long as the last handle, so that writing can never meet a closed pipe.
#[derive(Debug)]
struct Shared {
    /// Whether a byte is on its way; there is never more than one.
    woken: AtomicBool,
    bell: UnixStream,
    ear: UnixStream,
}

impl Waker {
    /// A waker and its receiving end in one.
    pub(crate) fn new() -> io::Result<Self> {
        let (bell, ear) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        ear.set_nonblocking(true)?;
        Ok(Self { shared: Arc::new(Shared { woken: AtomicBool::new(false), bell, ear }) })
    }

    /// Ends the loop's present wait, or its next one. Never blocks.
    pub fn wake(&self) {
        if !self.shared.woken.swap(true, Ordering::AcqRel) {
            // One byte into an empty pipe whose other end is open: there is nothing to fail.
            let _ = (&self.shared.bell).write(&[1]);
        }
    }

    /// Makes ready for the next wake; to be called once [`Self::as_fd`] is readable.
    pub(crate) fn reset(&self) {
        // The byte first, the flag second: a wake in between is part of this one, and what its
        // thread did before it is seen after the swap. The other way round the flag could stay up
        // with no byte on its way, and all later wakes would be lost.
        let _ = (&self.shared.ear).read(&mut [0; 8]);
        self.shared.woken.swap(false, Ordering::AcqRel);
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.ear.as_fd()
    }
}
