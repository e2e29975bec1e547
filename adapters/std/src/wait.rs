//! The one place where the loop sleeps.

use crate::Waker;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::io;
use std::os::fd::AsFd;
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

/// Waits until `link` has something to receive (or has room, if `for_room`), the waker rings or
/// `at_most` is over; `None` waits for ever. A signal counts as a wake.
///
/// On Linux the step is a nanosecond and the system never returns early.
pub(crate) fn wait(
    link: &impl AsFd,
    waker: &Waker,
    for_room: bool,
    at_most: Option<Duration>,
) -> io::Result<Ready> {
    let interest = if for_room { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
    let mut fds = [PollFd::new(link, interest), PollFd::new(waker, PollFlags::IN)];
    // A limit too far off for the system to express is none.
    let limit = at_most.and_then(|time| Timespec::try_from(time).ok());
    match poll(&mut fds, limit.as_ref()) {
        Ok(_) => {}
        Err(Errno::INTR) => return Ok(Ready { woken: true, ..Ready::default() }),
        Err(errno) => return Err(errno.into()),
    }
    let [link, bell] = fds.map(|fd| fd.revents());
    if link.contains(PollFlags::NVAL) {
        return Err(Errno::BADF.into());
    }
    Ok(Ready {
        // Errors are told by the receive call.
        readable: link.intersects(PollFlags::IN | PollFlags::ERR | PollFlags::HUP),
        writable: link.contains(PollFlags::OUT),
        woken: !bell.is_empty(),
    })
}
