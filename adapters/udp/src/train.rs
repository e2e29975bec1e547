//! Sending a train: in one call where the system can, datagram by datagram where it cannot.
//!
//! The system is behind a seam ([`SendCall`]), so that its refusals can be played in tests: a
//! kernel that refuses offload cannot be ordered.

use crate::cause::may_refuse_offload;
use crate::{DropCause, Stats};
use std::io;

/// The most datagrams of one call (Linux: `UDP_MAX_SEGMENTS`).
pub(crate) const MAX_SEGMENTS: usize = 64;
/// The most bytes of one call: the largest UDP payload over IPv4.
pub(crate) const MAX_TRAIN_BYTES: usize = 65_507;

/// What became of a datagram or train.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum SendOutcome {
    /// The system took all of it.
    Sent,
    /// The socket is full. Keep the bytes from `sent` on, wait until the socket is writable and
    /// send them then.
    Full {
        /// Bytes at the front that are done with; always whole datagrams.
        sent: usize,
    },
    /// The system refused some or all of it, for this (last) reason, and it is counted. Trying
    /// again is the business of the protocol's loss recovery.
    Dropped(DropCause),
}

/// One send call of the system.
pub(crate) trait SendCall {
    /// Sends `bytes` as datagrams of `segment` bytes each; one datagram if `segment` is the length.
    fn send(&mut self, bytes: &[u8], segment: usize) -> io::Result<()>;
}

/// Sends a train, and learns about offload from what the system says.
///
/// `gso` is switched off only on proof: the train was refused and its first datagram alone was not.
/// A bad address, or on older kernels a datagram above the MTU, is refused with the same error.
pub(crate) fn send_train(
    system: &mut impl SendCall,
    gso: &mut bool,
    stats: &mut Stats,
    bytes: &[u8],
    segment_size: usize,
) -> SendOutcome {
    let segment = if segment_size == 0 { bytes.len().max(1) } else { segment_size };
    let mut rest = bytes;
    let mut dropped = None;
    // Datagram by datagram for the rest of this train; `proving` until the first one has an answer.
    let (mut singly, mut proving) = (false, false);
    while !rest.is_empty() {
        let offload = *gso && !singly;
        let (chunk, after) = rest.split_at(run_length(offload, segment).min(rest.len()));
        stats.send_calls += 1;
        let result = system.send(chunk, segment.min(chunk.len()));
        let datagrams = chunk.len().div_ceil(segment);
        match result {
            Ok(()) => {
                if proving {
                    *gso = false;
                }
                stats.datagrams_sent += datagrams as u64;
                stats.bytes_sent += chunk.len() as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                stats.full += 1;
                return SendOutcome::Full { sent: bytes.len() - rest.len() };
            }
            Err(error) if datagrams > 1 && may_refuse_offload(&error) => {
                (singly, proving) = (true, true);
                continue;
            }
            Err(error) => {
                let cause = DropCause::of(&error);
                stats.dropped.count(cause, datagrams);
                dropped = Some(cause);
            }
        }
        proving = false;
        rest = after;
    }
    dropped.map_or(SendOutcome::Sent, SendOutcome::Dropped)
}

/// How many bytes go into one call.
fn run_length(offload: bool, segment: usize) -> usize {
    if !offload {
        return segment;
    }
    (MAX_TRAIN_BYTES / segment).clamp(1, MAX_SEGMENTS) * segment
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;
    use std::collections::VecDeque;

    /// Answers from a script, then takes everything; remembers what it took as (bytes, segment).
    #[derive(Default)]
    struct Script {
        answers: VecDeque<Option<Errno>>,
        taken: Vec<u8>,
        calls: Vec<(usize, usize)>,
    }

    impl SendCall for Script {
        fn send(&mut self, bytes: &[u8], segment: usize) -> io::Result<()> {
            self.calls.push((bytes.len(), segment));
            if let Some(Some(errno)) = self.answers.pop_front() {
                return Err(errno.into());
            }
            self.taken.extend_from_slice(bytes);
            Ok(())
        }
    }

    fn play(answers: &[Option<Errno>], len: usize) -> (Script, bool, Stats, SendOutcome, Vec<u8>) {
        let mut script = Script { answers: answers.iter().copied().collect(), ..Script::default() };
        let bytes: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
        let (mut gso, mut stats) = (true, Stats::default());
        let outcome = send_train(&mut script, &mut gso, &mut stats, &bytes, 100);
        (script, gso, stats, outcome, bytes)
    }

    #[test]
    fn a_train_is_one_call() {
        let (script, gso, stats, outcome, bytes) = play(&[], 250);
        assert_eq!((script.calls, outcome, gso), (vec![(250, 100)], SendOutcome::Sent, true));
        assert_eq!((script.taken, stats.datagrams_sent, stats.send_calls), (bytes, 3, 1));
    }

    #[test]
    fn refused_offload_loses_nothing_and_stays_off() {
        for errno in [Errno::IO, Errno::INVAL] {
            let (script, gso, stats, outcome, bytes) = play(&[Some(errno)], 250);
            assert_eq!(script.calls, [(250, 100), (100, 100), (100, 100), (50, 50)]);
            assert_eq!((script.taken, outcome), (bytes, SendOutcome::Sent));
            assert!(!gso);
            assert_eq!((stats.datagrams_sent, stats.dropped.total()), (3, 0));
        }
    }

    #[test]
    fn a_bad_address_does_not_cost_the_offload() {
        let bad = Some(Errno::INVAL);
        let (_, gso, stats, outcome, _) = play(&[bad, bad, bad, bad], 250);
        assert_eq!(outcome, SendOutcome::Dropped(DropCause::BadAddress));
        assert!(gso);
        assert_eq!(stats.dropped.bad_address, 3);
    }

    #[test]
    fn a_train_above_the_mtu_does_not_cost_the_offload() {
        // Older kernels say EINVAL to the train; the shorter last datagram may even pass.
        let big = Some(Errno::MSGSIZE);
        let (script, gso, stats, outcome, _) = play(&[Some(Errno::INVAL), big, big, None], 250);
        assert_eq!(outcome, SendOutcome::Dropped(DropCause::TooBig));
        assert_eq!((gso, stats.dropped.too_big, script.taken.len()), (true, 2, 50));
    }

    #[test]
    fn a_full_socket_says_where_to_go_on() {
        let (.., outcome, _) = play(&[Some(Errno::AGAIN)], 250);
        assert_eq!(outcome, SendOutcome::Full { sent: 0 });
        let (.., outcome, _) = play(&[Some(Errno::IO), None, Some(Errno::AGAIN)], 250);
        assert_eq!(outcome, SendOutcome::Full { sent: 100 });
    }

    #[test]
    fn a_train_beyond_the_limits_is_cut() {
        let (script, _, stats, outcome, bytes) = play(&[], 70 * 100);
        assert_eq!(script.calls, [(6_400, 100), (600, 100)]);
        assert_eq!((script.taken, outcome, stats.datagrams_sent), (bytes, SendOutcome::Sent, 70));
        assert_eq!(run_length(true, 9_000), 7 * 9_000);
        assert_eq!(run_length(true, 70_000), 70_000);
    }
}
