//! Two toy stream machines: one that keeps the contract and one that breaks it.

use crate::toy::{Alarm, Sin};
use std::collections::VecDeque;
use tripline_sansio::{Duration, Instant, Random, StreamMachine};

/// How often a [`Talk`] says that it is there.
pub(super) const BEAT: Duration = Duration::from_secs(1);

/// What a [`Talk`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// A frame with this number came, whole and unchanged.
    Frame(u32),
    /// The peer will send no more.
    Eof,
    /// It wants its pipe closed.
    Close,
}

/// Sends numbered frames of random lengths, a few at a time, and an empty one for each second of
/// silence; tells what it gets.
pub(super) struct Talk {
    random: Random,
    next: u32,
    total: u32,
    /// How many more beats there are.
    pub(super) beats: u32,
    beat_at: Option<Instant>,
    beat_due: bool,
    received: Vec<u8>,
    events: VecDeque<Told>,
    close_at: Option<u32>,
    /// The lengths of what was handed in.
    pub(super) pieces: Vec<usize>,
}

impl Talk {
    pub(super) fn new(random: Random) -> Self {
        Self {
            random,
            next: 0,
            total: 0,
            beats: 0,
            beat_at: None,
            beat_due: false,
            received: Vec::new(),
            events: VecDeque::new(),
            close_at: None,
            pieces: Vec::new(),
        }
    }

    pub(super) fn send_more(&mut self, frames: u32) {
        self.total += frames;
    }

    pub(super) fn beat(&mut self, now: Instant, beats: u32) {
        self.beats = beats;
        self.beat_at = Some(now + BEAT);
    }

    /// It wants its pipe closed when this frame has come.
    pub(super) fn close_at(&mut self, frame: u32) {
        self.close_at = Some(frame);
    }

    /// Takes the frames out of what has come: length, number, and bytes that follow from both.
    fn parse(&mut self) {
        while let Some((head, rest)) = self.received.split_first_chunk::<6>() {
            let [a, b, number @ ..] = *head;
            let (len, number) =
                (usize::from(u16::from_be_bytes([a, b])), u32::from_be_bytes(number));
            let Some(body) = rest.get(..len) else { return };
            if len > 0 {
                assert!(body.iter().all(|byte| *byte == number as u8), "frame {number} is whole");
                self.events.push_back(Told::Frame(number));
            }
            if len > 0 && self.close_at == Some(number) {
                self.events.push_back(Told::Close);
            }
            self.received.drain(..len + 6);
        }
    }
}

impl StreamMachine for Talk {
    type Event = Told;

    fn handle_bytes(&mut self, _: Instant, bytes: &[u8]) {
        self.pieces.push(bytes.len());
        self.received.extend_from_slice(bytes);
        self.parse();
    }

    fn handle_eof(&mut self, _: Instant) {
        // Half a frame, if a reset took the rest; the next pipe begins with a whole one.
        self.received.clear();
        self.events.push_back(Told::Eof);
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.beat_at.is_some_and(|at| at <= now) {
            self.beat_due = true;
        }
    }

    fn poll_write(&mut self, now: Instant, out: &mut Vec<u8>) -> bool {
        let before = out.len();
        if std::mem::take(&mut self.beat_due) {
            out.extend_from_slice(&[0; 6]);
            self.beats -= 1;
            self.beat_at = (self.beats > 0).then_some(now + BEAT);
        }
        for _ in 0..3 {
            if self.next < self.total {
                let len = self.random.below(2_000) as usize + 1;
                out.extend_from_slice(&(len as u16).to_be_bytes());
                out.extend_from_slice(&self.next.to_be_bytes());
                out.resize(out.len() + len, self.next as u8);
                self.next += 1;
            }
        }
        out.len() > before
    }

    /// In the past until the beat is written: rule 3 speaks of full drains.
    fn poll_timeout(&self) -> Option<Instant> {
        self.beat_at
    }

    fn poll_event(&mut self) -> Option<Told> {
        self.events.pop_front()
    }
}

/// Writes ten bytes and tells one event at the start and with each timer, each second, and breaks
/// one rule.
pub(super) struct Rogue {
    sin: Sin,
    to_write: u32,
    to_tell: u32,
    alarm: Alarm,
}

impl Rogue {
    pub(super) fn new(sin: Sin) -> Self {
        Self { sin, to_write: 1, to_tell: 1, alarm: Alarm::new(sin) }
    }
}

impl StreamMachine for Rogue {
    type Event = ();

    fn handle_bytes(&mut self, _: Instant, _: &[u8]) {}

    fn handle_eof(&mut self, _: Instant) {}

    fn handle_timeout(&mut self, now: Instant) {
        let more = u32::from(self.alarm.ring(now));
        self.to_write += more;
        self.to_tell += more;
    }

    fn poll_write(&mut self, _: Instant, out: &mut Vec<u8>) -> bool {
        match self.sin {
            Sin::Hide => out.push(0),
            Sin::Boast => return true,
            Sin::EndlessWrites => {
                out.push(0);
                return true;
            }
            _ if self.to_write == 0 => return false,
            Sin::Replace => *out = vec![7; 100],
            Sin::Huge => out.resize((1 << 26) + 100, 0),
            _ => out.extend_from_slice(&[7; 10]),
        }
        self.to_write -= 1;
        self.sin != Sin::Hide
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.alarm.next()
    }

    fn poll_event(&mut self) -> Option<()> {
        if self.sin == Sin::EndlessEvents {
            return Some(());
        }
        self.to_tell = self.to_tell.checked_sub(1)?;
        if self.sin == Sin::LateOutput {
            self.to_write += 1;
        }
        Some(())
    }
}
