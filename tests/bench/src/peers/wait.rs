//! Waiting for a socket, for peers that have no loop of their own.

use std::net::UdpSocket;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::task::Failure;

/// After so long the run counts as stuck.
const STUCK: Duration = Duration::from_secs(10);

/// Waits until there is something to read.
pub fn readable(socket: &UdpSocket) -> Result<(), Failure> {
    if readable_within(socket, STUCK)? { Ok(()) } else { Err("nothing arrives any more".into()) }
}

/// Waits until there is something to read, or the time is up.
pub fn readable_within(socket: &UdpSocket, limit: Duration) -> Result<bool, Failure> {
    let limit = Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: limit.subsec_nanos().into() };
    let mut wanted = [PollFd::new(socket, PollFlags::IN)];
    Ok(poll(&mut wanted, Some(&limit))? > 0)
}
