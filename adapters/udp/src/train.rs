//! Sending a train: in one message where the system can cut it, in several messages of one call
//! where it cannot, datagram by datagram where it can do neither (row T68).
//!
//! The system is behind a seam ([`SendCall`]), so that its refusals can be played in tests: a
//! kernel that refuses offload cannot be ordered.

use crate::cause::{has_no_such_call, may_refuse_offload};
use crate::{DropCause, Stats};
use std::io;

/// The most datagrams of one call (Linux: `UDP_MAX_SEGMENTS`).
pub(crate) const MAX_SEGMENTS: usize = 64;
/// The most bytes of one call: the largest UDP payload over IPv4.
pub(crate) const MAX_TRAIN_BYTES: usize = 65_507;

/// How often one train is tried again because a signal came: a call that never waits is not
/// interrupted for long, and no loop may spin.
const MAX_INTERRUPTIONS: usize = 16;

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

/// The send calls of the system.
pub(crate) trait SendCall {
    /// Sends `bytes` as datagrams of `segment` bytes each; one datagram if `segment` is the length.
    fn send(&mut self, bytes: &[u8], segment: usize) -> io::Result<()>;
    /// Sends `bytes` as messages of `segment` bytes each; says how many were taken.
    fn send_many(&mut self, bytes: &[u8], segment: usize) -> io::Result<usize>;
}

/// What the system can do, as far as is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Means {
    /// Cut trains itself (GSO).
    pub(crate) gso: bool,
    /// Take several messages in one call.
    pub(crate) many: bool,
}

/// How the next call of a train sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// A train in one message.
    Offload,
    /// Several messages.
    Many,
    /// One datagram.
    Singly,
}

/// How far a train has come.
struct Progress {
    way: Way,
    /// A train was refused, and the answer to its first datagram alone is to come.
    proving: bool,
    /// Interruptions so far.
    interruptions: usize,
    dropped: Option<DropCause>,
}

/// Sends a train, and learns about offload from what the system says.
///
/// `means.gso` is switched off only on proof: the train was refused and its first datagram alone
/// was not. A bad address, or on older kernels a datagram above the MTU, is refused with the same
/// error. The rest of such a train goes out in batches of messages.
pub(crate) fn send_train(
    system: &mut impl SendCall,
    means: &mut Means,
    stats: &mut Stats,
    bytes: &[u8],
    segment_size: usize,
) -> SendOutcome {
    let segment = if segment_size == 0 { bytes.len().max(1) } else { segment_size };
    let mut rest = bytes;
    let way = means.best();
    let mut progress = Progress { way, proving: false, interruptions: 0, dropped: None };
    while !rest.is_empty() {
        let (chunk, _) = rest.split_at(run_length(progress.way, segment).min(rest.len()));
        stats.send_calls += 1;
        let count = chunk.len().div_ceil(segment);
        let result = if progress.way == Way::Many && count > 1 {
            system.send_many(chunk, segment)
        } else {
            system.send(chunk, segment.min(chunk.len())).map(|()| count)
        };
        let done = match result {
            // Nothing taken and nothing said: as good as full, and asking again would be to spin.
            Ok(0) => {
                stats.full += 1;
                return SendOutcome::Full { sent: bytes.len() - rest.len() };
            }
            Ok(taken) => {
                let datagrams = taken.min(count);
                stats.partial += u64::from(datagrams < count);
                if progress.proving {
                    means.gso = false;
                    (progress.way, progress.proving) = (means.best(), false);
                }
                let sent = (datagrams * segment).min(chunk.len());
                stats.datagrams_sent += datagrams as u64;
                stats.bytes_sent += sent as u64;
                sent
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                stats.full += 1;
                return SendOutcome::Full { sent: bytes.len() - rest.len() };
            }
            Err(error) => progress.after(&error, count, means, stats) * segment,
        };
        rest = rest.get(done..).unwrap_or_default();
    }
    progress.dropped.map_or(SendOutcome::Sent, SendOutcome::Dropped)
}

impl Means {
    fn best(self) -> Way {
        match self {
            Self { gso: true, .. } => Way::Offload,
            Self { many: true, .. } => Way::Many,
            Self { .. } => Way::Singly,
        }
    }
}

impl Progress {
    /// What an error means for the train: how many datagrams are done with, which is none if they
    /// are to be tried in another way.
    fn after(
        &mut self,
        error: &io::Error,
        count: usize,
        means: &mut Means,
        stats: &mut Stats,
    ) -> usize {
        if error.kind() == io::ErrorKind::Interrupted && self.interruptions < MAX_INTERRUPTIONS {
            self.interruptions += 1;
            stats.interrupted += 1;
            return 0;
        }
        if count > 1 && self.way == Way::Offload && may_refuse_offload(error) {
            (self.way, self.proving) = (Way::Singly, true);
            return 0;
        }
        let mut lost = count;
        if count > 1 && self.way == Way::Many {
            if has_no_such_call(error) {
                means.many = false;
            }
            if has_no_such_call(error) || may_refuse_offload(error) {
                self.way = Way::Singly;
                return 0;
            }
            // The error is the first datagram's; the others may fare better.
            lost = 1;
        }
        self.proving = false;
        let cause = DropCause::of(error);
        stats.dropped.count(cause, lost);
        self.dropped = Some(cause);
        lost
    }
}

/// How many bytes go into one call.
fn run_length(way: Way, segment: usize) -> usize {
    match way {
        Way::Offload => (MAX_TRAIN_BYTES / segment).clamp(1, MAX_SEGMENTS) * segment,
        Way::Many => MAX_SEGMENTS * segment,
        Way::Singly => segment,
    }
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
        /// How many messages a batch may have; 0: no limit.
        most: usize,
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

        fn send_many(&mut self, bytes: &[u8], segment: usize) -> io::Result<usize> {
            let all = bytes.len().div_ceil(segment);
            let count = if self.most == 0 { all } else { self.most.min(all) };
            let taken = bytes.len().min(count * segment);
            // A batch shows as a call of no segment.
            self.calls.push((bytes.len(), 0));
            if let Some(Some(errno)) = self.answers.pop_front() {
                return Err(errno.into());
            }
            self.taken.extend_from_slice(&bytes[..taken]);
            Ok(count)
        }
    }

    type Played = (Script, bool, Stats, SendOutcome, Vec<u8>);

    fn play(answers: &[Option<Errno>], len: usize) -> Played {
        let (script, means, stats, outcome, bytes) =
            play_with(Means { gso: true, many: true }, 0, answers, len);
        (script, means.gso, stats, outcome, bytes)
    }

    fn play_with(
        mut means: Means,
        most: usize,
        answers: &[Option<Errno>],
        len: usize,
    ) -> (Script, Means, Stats, SendOutcome, Vec<u8>) {
        let answers = answers.iter().copied().collect();
        let mut script = Script { answers, most, ..Script::default() };
        let bytes: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
        let mut stats = Stats::default();
        let outcome = send_train(&mut script, &mut means, &mut stats, &bytes, 100);
        (script, means, stats, outcome, bytes)
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
            assert_eq!(script.calls, [(250, 100), (100, 100), (150, 0)]);
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
        assert_eq!(run_length(Way::Offload, 9_000), 7 * 9_000);
        assert_eq!(run_length(Way::Offload, 70_000), 70_000);
    }

    const NO_GSO: Means = Means { gso: false, many: true };

    /// N15: without offload a train is still one call, and one that is taken by halves goes on
    /// where it stopped.
    #[test]
    fn n15_a_batch_is_one_call_and_a_partial_one_goes_on() {
        let (script, _, stats, outcome, bytes) = play_with(NO_GSO, 0, &[], 70 * 100);
        assert_eq!(script.calls, [(6_400, 0), (600, 0)]);
        assert_eq!((script.taken, outcome, stats.datagrams_sent), (bytes, SendOutcome::Sent, 70));
        let (script, _, stats, outcome, bytes) = play_with(NO_GSO, 4, &[], 1_050);
        assert_eq!(script.calls, [(1_050, 0), (650, 0), (250, 0)]);
        assert_eq!((script.taken, outcome), (bytes, SendOutcome::Sent));
        assert_eq!((stats.partial, stats.datagrams_sent, stats.bytes_sent), (2, 11, 1_050));
        let (.., outcome, _) = play_with(NO_GSO, 4, &[None, Some(Errno::AGAIN)], 1_050);
        assert_eq!(outcome, SendOutcome::Full { sent: 400 });
    }

    /// The error of a batch is its first datagram's: the others go out.
    #[test]
    fn an_error_of_a_batch_costs_one_datagram() {
        let answers = [Some(Errno::NOBUFS), None];
        let (script, means, stats, outcome, bytes) = play_with(NO_GSO, 0, &answers, 250);
        assert_eq!(outcome, SendOutcome::Dropped(DropCause::NoBuffer));
        assert_eq!((script.taken.as_slice(), stats.dropped.no_buffer), (&bytes[100..], 1));
        assert!(means.many);
    }

    #[test]
    fn a_system_without_batches_is_asked_once() {
        let answers = [Some(Errno::NOSYS)];
        let (script, means, _, outcome, bytes) = play_with(NO_GSO, 0, &answers, 250);
        assert_eq!(script.calls, [(250, 0), (100, 100), (100, 100), (50, 50)]);
        assert_eq!((script.taken, outcome, means.many), (bytes, SendOutcome::Sent, false));
    }

    #[test]
    fn interruptions_lose_nothing_and_do_not_go_on_for_ever() {
        let (script, gso, stats, outcome, bytes) = play(&[Some(Errno::INTR); 3], 250);
        assert_eq!((script.taken, outcome, gso), (bytes, SendOutcome::Sent, true));
        assert_eq!((stats.interrupted, stats.send_calls), (3, 4));
        let (script, _, _, outcome, _) = play(&[Some(Errno::INTR); 100], 250);
        assert_eq!(outcome, SendOutcome::Dropped(DropCause::Other));
        assert_eq!(script.calls.len(), MAX_INTERRUPTIONS + 1);
    }
}
