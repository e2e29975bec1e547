//! The one place where the loop sleeps.

use crate::Waker;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// What ended a wait; nothing of it set means that the time was up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// There is something to receive.
    pub readable: bool,
    /// There is room.
    pub writable: bool,
    /// The waker rang.
    pub woken: bool,
}

/// One of the file descriptors that a wait is about.
#[derive(Clone, Copy)]
pub(crate) struct Fd<'a> {
    fd: BorrowedFd<'a>,
    interest: PollFlags,
    /// It can be read, or has an error to tell, which reading does.
    pub(crate) readable: bool,
    /// It can be written.
    pub(crate) writable: bool,
}

impl<'a> Fd<'a> {
    /// What to wait for at this file descriptor.
    pub(crate) fn new(fd: BorrowedFd<'a>, read: bool, write: bool) -> Self {
        let mut interest = PollFlags::empty();
        interest.set(PollFlags::IN, read);
        interest.set(PollFlags::OUT, write);
        Self { fd, interest, readable: false, writable: false }
    }

    /// Whether it is waited for room.
    #[cfg(test)]
    pub(crate) fn wants_room(&self) -> bool {
        self.interest.contains(PollFlags::OUT)
    }
}

/// Waits until one of them is ready or `at_most` is over; `None` waits for ever. Says which are,
/// and whether it was a signal that ended the wait.
///
/// On Linux the step is a nanosecond and the system never returns early.
pub(crate) fn wait_all(fds: &mut [Fd<'_>], at_most: Option<Duration>) -> io::Result<bool> {
    let mut polled: Vec<PollFd<'_>> =
        fds.iter().map(|one| PollFd::from_borrowed_fd(one.fd, one.interest)).collect();
    // A limit too far off for the system to express is none.
    let limit = at_most.and_then(|time| Timespec::try_from(time).ok());
    match poll(&mut polled, limit.as_ref()) {
        Ok(_) => {}
        Err(Errno::INTR) => return Ok(true),
        Err(errno) => return Err(errno.into()),
    }
    for (one, polled) in fds.iter_mut().zip(&polled) {
        let told = polled.revents();
        if told.contains(PollFlags::NVAL) {
            return Err(Errno::BADF.into());
        }
        // Errors are told by the receive call, or if nothing is to be received, by the send call.
        let error = told.intersects(PollFlags::ERR | PollFlags::HUP);
        let reads = one.interest.contains(PollFlags::IN);
        one.readable = told.contains(PollFlags::IN) || (error && reads);
        one.writable = told.contains(PollFlags::OUT) || (error && !reads);
    }
    Ok(false)
}

/// Waits until `link` has something to receive, `room` (if it is of interest) has become writable,
/// the waker rings or `at_most` is over; `None` waits for ever. A signal counts as a wake.
pub(crate) fn wait(
    link: BorrowedFd<'_>,
    room: Option<BorrowedFd<'_>>,
    waker: &Waker,
    at_most: Option<Duration>,
) -> io::Result<Ready> {
    let (link, bell) = (Fd::new(link, true, false), Fd::new(waker.as_fd(), true, false));
    let mut fds = [link, bell, room.map_or(bell, |room| Fd::new(room, false, true))];
    // Without interest in room the last one is none.
    let watched = fds.split_at_mut(2 + usize::from(room.is_some())).0;
    let signal = wait_all(watched, at_most)?;
    let [link, bell, room] = fds;
    let (readable, writable) = (link.readable, room.writable);
    Ok(Ready { readable, writable, woken: signal || bell.readable })
}
