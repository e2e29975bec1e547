//! The stream half of a scene: a socket that carries bytes, and what the judge makes of them.
//!
//! It shares time, sleep, book and judge with the datagram half; only what is carried differs.

use crate::book::Dirt;
use crate::rule::Rule;
use crate::state::{State, Violation};
use std::collections::VecDeque;
use tripline_sansio::Instant;

/// Bytes that a loop may hand in, or take, between two sleeps.
const MAX_BYTES: usize = 4 << 20;

/// Where the end of the peer's bytes is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Eof {
    #[default]
    NotYet,
    /// It lies in the socket, behind the last byte.
    There,
    /// The loop has read it.
    Read,
    /// The machine has been told.
    Told,
}

/// What is on its way between the socket and the machine.
#[derive(Debug, Default)]
pub(crate) struct Bytes {
    /// Came in and was not received.
    pub(crate) inbox: VecDeque<u8>,
    pub(crate) eof: Eof,
    /// Received by the loop, not yet handed in.
    pub(crate) received: VecDeque<u8>,
    /// Given out by the machine, not yet taken by the socket.
    pub(crate) kept: VecDeque<u8>,
    /// Calls so far, by which receives and sends are cut.
    calls: usize,
    /// Bytes since the last sleep.
    pub(crate) since: usize,
}

/// How many bytes the calls of a system move at the most, in turn.
const CUTS: [usize; 8] = [3, 1, 4_096, 17, 2, 65_536, 9, 1_000];

impl Bytes {
    fn cut(&mut self) -> usize {
        self.calls += 1;
        CUTS[self.calls % CUTS.len()]
    }
}

type Verdict = Result<(), Violation>;

impl State {
    /// What one receive call brings; `Some(0)` is the end, `None` that it would block.
    pub(crate) fn receive_bytes(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, Violation> {
        self.count_call()?;
        if self.bytes.inbox.is_empty() {
            let ended = self.bytes.eof == Eof::There;
            self.note(|now| format!("{now:?} recv: {}", if ended { "the end" } else { "nothing" }));
            if ended {
                self.bytes.eof = Eof::Read;
                self.book.progress = true;
            }
            return Ok(ended.then_some(0));
        }
        let most = self.bytes.cut().min(self.bytes.inbox.len()).min(buffer.len());
        for (place, byte) in buffer.iter_mut().zip(self.bytes.inbox.drain(..most)) {
            *place = byte;
            self.bytes.received.push_back(byte);
        }
        self.note(|now| format!("{now:?} recv: {most} bytes"));
        self.book.progress |= most > 0;
        Ok(Some(most))
    }

    /// How many bytes one send call takes; `None` that it would block.
    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) -> Result<Option<usize>, Violation> {
        self.count_call()?;
        let same = bytes.iter().zip(&self.bytes.kept).all(|(one, other)| one == other);
        if bytes.len() > self.bytes.kept.len() || !same {
            let what = format!("sends {} bytes that are not the next ones", bytes.len());
            return self.fail(Rule::Room, what);
        }
        if self.is_full() {
            self.try_full()?;
            return Ok(None);
        }
        let most = self.bytes.cut().min(bytes.len());
        let mut taken = 0;
        while taken < most && !self.fills_up() {
            self.bytes.kept.pop_front();
            self.count_taken();
            taken += 1;
        }
        self.note(|now| format!("{now:?} send: {taken} of {} bytes", bytes.len()));
        self.book.progress |= taken > 0;
        self.book.blocked = taken == 0 && !bytes.is_empty();
        Ok((taken > 0 || bytes.is_empty()).then_some(taken))
    }

    pub(crate) fn on_bytes(&mut self, now: Instant, bytes: &[u8]) -> Verdict {
        self.note(|_| format!("{now:?} handle_bytes: {}", bytes.len()));
        self.check_time(now)?;
        self.book.since.datagrams += 1;
        self.bytes.since += bytes.len();
        let fine = self.bytes.since <= MAX_BYTES;
        self.hold(fine, Rule::Bounded, |_| "hands in megabytes at one go".to_owned())?;
        let next: Vec<u8> =
            self.bytes.received.drain(..bytes.len().min(self.bytes.received.len())).collect();
        self.hold(next == bytes, Rule::Batches, |_| {
            format!("hands in {} bytes that are not those that came in", bytes.len())
        })?;
        self.book.soil(Dirt::Datagram);
        Ok(())
    }

    pub(crate) fn on_eof(&mut self, now: Instant) -> Verdict {
        self.note(|_| format!("{now:?} handle_eof"));
        self.check_time(now)?;
        let fine = self.bytes.eof == Eof::Read && self.bytes.received.is_empty();
        self.hold(fine, Rule::Batches, |state| {
            format!("tells of the end, which is {:?}, behind which bytes wait", state.bytes.eof)
        })?;
        self.bytes.eof = Eof::Told;
        self.book.soil(Dirt::Datagram);
        Ok(())
    }

    /// What `poll_write` appended; `wrote` is what it said.
    pub(crate) fn on_write(&mut self, wrote: bool, bytes: &[u8]) -> Verdict {
        if !wrote {
            self.note(|now| format!("{now:?} poll_write: nothing"));
            self.book.dirt = None;
            return Ok(());
        }
        self.note(|now| format!("{now:?} poll_write: {} bytes", bytes.len()));
        self.book.progress = true;
        self.bytes.kept.extend(bytes);
        self.bytes.since += bytes.len();
        let fine = self.bytes.since <= MAX_BYTES;
        self.hold(fine, Rule::Bounded, |_| "takes megabytes at one go".to_owned())
    }

    /// Whether something lies in the socket.
    pub(crate) fn has_unread(&self) -> bool {
        !self.inbox.is_empty() || !self.bytes.inbox.is_empty() || self.bytes.eof == Eof::There
    }

    /// Whether the loop has something that the machine should have.
    pub(crate) fn has_unhanded(&self) -> bool {
        let eof = self.bytes.eof == Eof::Read;
        !self.book.received.is_empty() || !self.bytes.received.is_empty() || eof
    }

    /// Whether the loop has something that the socket should have.
    pub(crate) fn has_kept(&self) -> bool {
        !self.book.kept.is_empty() || !self.bytes.kept.is_empty()
    }
}
