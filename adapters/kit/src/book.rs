//! What the judge writes down: what the machine was told, what it gave out, what was made of it.

use crate::state::Datagram;
use crate::told::Told;
use std::collections::VecDeque;
use tripline_sansio::{Instant, Transmit};

/// Lines of the trace that are kept.
const TRACE_LINES: usize = 48;

/// Why the machine may have something to send that nobody has taken yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dirt {
    /// It was just made.
    Start,
    Datagram,
    Timeout,
    /// It was used from outside.
    Command,
}

/// A datagram that the machine gave out and the socket has not taken.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    /// The number of its transmit.
    pub(crate) number: u64,
    pub(crate) datagram: Datagram,
}

/// What was done since the loop slept last.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Since {
    /// Calls of any kind.
    pub(crate) calls: usize,
    pub(crate) reads: usize,
    pub(crate) datagrams: usize,
    pub(crate) transmits: usize,
}

#[derive(Debug)]
pub(crate) struct Book {
    pub(crate) trace: VecDeque<String>,
    pub(crate) since: Since,
    /// The newest time that the machine was told.
    pub(crate) last: Instant,
    /// What came in since the machine last said that it has nothing to send.
    pub(crate) dirt: Option<Dirt>,
    /// Whether it was asked for something to send since then.
    pub(crate) asked: bool,
    /// The machine's deadline, and whether it was told the time since that is past.
    pub(crate) deadline: Option<Instant>,
    pub(crate) told: bool,
    /// What moved the deadline last.
    pub(crate) moved_by: Dirt,
    /// Events that nobody has taken.
    pub(crate) events: usize,
    /// Events that the loop took.
    pub(crate) taken: Vec<Told>,
    /// Received by the loop, not yet handed in.
    pub(crate) received: VecDeque<Datagram>,
    pub(crate) kept: VecDeque<Kept>,
    /// Transmits that the machine gave out.
    pub(crate) issued: u64,
    /// The newest datagrams that the system refused, for they must not come again.
    pub(crate) refused: VecDeque<Datagram>,
    /// A transmit of which the machine must hear that it was too large.
    pub(crate) owed: Option<Transmit>,
    /// The loop has met a full socket and not heard that it has room.
    pub(crate) blocked: bool,
    /// Something came in or went out since the last sleep.
    pub(crate) progress: bool,
    /// Sleeps, those of no length included.
    pub(crate) waits: usize,
    /// Sleeps of no length in a row after which nothing happened.
    pub(crate) idle_waits: usize,
    /// Sleeps in a row before which the socket had datagrams and none was received.
    pub(crate) starved: usize,
    /// Sleeps in a row before which the machine was not asked for what it has to send.
    pub(crate) unsent: usize,
    /// Sleeps after the scene was over.
    pub(crate) late_waits: usize,
    /// All calls of the scene.
    pub(crate) calls: usize,
}

impl Book {
    pub(crate) fn new(start: Instant) -> Self {
        Self {
            trace: VecDeque::new(),
            since: Since::default(),
            last: start,
            dirt: Some(Dirt::Start),
            asked: false,
            deadline: None,
            told: false,
            moved_by: Dirt::Start,
            events: 0,
            taken: Vec::new(),
            received: VecDeque::new(),
            kept: VecDeque::new(),
            issued: 0,
            refused: VecDeque::new(),
            owed: None,
            blocked: false,
            progress: false,
            waits: 0,
            idle_waits: 0,
            starved: 0,
            unsent: 0,
            late_waits: 0,
            calls: 0,
        }
    }

    /// Adds a line to the trace.
    pub(crate) fn note(&mut self, line: String) {
        if self.trace.len() == TRACE_LINES {
            self.trace.pop_front();
        }
        self.trace.push_back(line);
    }

    /// Something came in.
    pub(crate) fn soil(&mut self, by: Dirt) {
        self.dirt = Some(by);
        self.asked = false;
    }

    /// The machine's deadline and the number of its events after a call.
    pub(crate) fn settle(&mut self, deadline: Option<Instant>, events: usize, by: Dirt) {
        if deadline != self.deadline {
            self.deadline = deadline;
            self.told = false;
            self.moved_by = by;
        }
        self.events = events;
    }

    /// The machine was used from outside.
    pub(crate) fn commanded(&mut self, deadline: Option<Instant>, events: usize) {
        self.soil(Dirt::Command);
        self.settle(deadline, events, Dirt::Command);
    }

    /// The transmit whose datagrams are first in line.
    pub(crate) fn number_of_front(&self) -> Option<u64> {
        self.kept.front().map(|kept| kept.number)
    }

    /// The system refused so many datagrams at the front.
    pub(crate) fn refuse(&mut self, datagrams: usize, owed: Option<Transmit>) {
        let count = datagrams.min(self.kept.len());
        self.refused = self.kept.drain(..count).map(|kept| kept.datagram).collect();
        self.owed = owed;
    }
}
