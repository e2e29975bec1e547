//! What a scene consists of, and how its time passes.

use crate::book::{Book, Dirt, Kept};
use crate::bytes::{Bytes, Eof};
use crate::order::Orders;
use crate::probe::Probe;
use crate::rule::{Broken, Rule};
use crate::scene::Ready;
use std::collections::VecDeque;
use std::panic::resume_unwind;
use tripline_sansio::{Duration, Ecn, Instant, Path, Transmit};
use tripline_udp::{DropCause, SendOutcome};

/// When scenes begin: not at zero, so that a time nobody set stands out.
pub(crate) const START: Instant = Instant::from_nanos(1_000_000_007);

/// Attempts to send to a full socket between two sleeps: one at the end of a turn, and one at the
/// beginning of the next.
const MAX_TRIES: usize = 2;

/// A datagram somewhere on its way, and when it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Datagram {
    pub(crate) at: Instant,
    pub(crate) path: Path,
    pub(crate) ecn: Ecn,
    pub(crate) bytes: Vec<u8>,
}

/// The socket is full once it has taken so many datagrams since it was full last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fill {
    pub(crate) after: usize,
    pub(crate) lasts: Duration,
}

/// What happens to a loop, told in advance. Everything is in the order of time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    /// What the probe does first.
    pub(crate) first: Orders,
    /// When it is over, from the start; later than all the rest.
    pub(crate) end: Duration,
    pub(crate) arrivals: VecDeque<Datagram>,
    /// The machine is used from outside, and the loop is woken.
    pub(crate) bells: VecDeque<(Instant, Orders)>,
    /// Sleeps that end for nothing.
    pub(crate) nudges: VecDeque<(Instant, Ready)>,
    pub(crate) fills: VecDeque<Fill>,
    /// Transmits that the system refuses, by their number from 0.
    pub(crate) refusals: VecDeque<(u64, DropCause)>,
    /// What the probe does at its timeouts, one after the other.
    pub(crate) alarms: VecDeque<Orders>,
    /// Datagrams that one receive call brings.
    pub(crate) batch: usize,
    /// Sleeps that a loop can need, those of no length included.
    pub(crate) waits_max: Option<usize>,
    /// The socket carries bytes: arrivals are pieces of a stream.
    pub(crate) stream: bool,
    /// When the peer's bytes end.
    pub(crate) eof: Option<Instant>,
}

/// A rule was found broken; the details are in the scene.
#[derive(Debug)]
pub(crate) struct Violation;

impl Violation {
    /// Out of the loop, to whoever plays the scene.
    pub(crate) fn unwind(self) -> ! {
        resume_unwind(Box::new(self))
    }
}

/// The world of one loop.
#[derive(Debug)]
pub(crate) struct State {
    /// The rule that the scene is about.
    pub(crate) scene: Rule,
    pub(crate) script: Script,
    pub(crate) now: Instant,
    /// When the newest sleep ended.
    pub(crate) woke: Instant,
    pub(crate) over: bool,
    pub(crate) probe: Probe,
    pub(crate) book: Book,
    pub(crate) broken: Option<Broken>,
    /// Came in and was not received.
    pub(crate) inbox: VecDeque<Datagram>,
    /// The same, of a socket that carries bytes.
    pub(crate) bytes: Bytes,
    /// Readiness that began and was not told.
    pub(crate) edges: Ready,
    /// Whether the loop is to tell what was too large.
    tells_too_big: bool,
    /// All that went out.
    pub(crate) wire: Vec<Datagram>,
    /// Until when the socket is full.
    full_until: Option<Instant>,
    /// Datagrams that it took since it was full.
    taken: usize,
    /// Sends since it was made full.
    tries: usize,
}

impl State {
    pub(crate) fn new(scene: Rule, script: Script, tells_too_big: bool) -> Self {
        let mut probe = Probe::new(script.alarms.clone());
        probe.obey(START, script.first);
        let mut book = Book::new(START);
        book.settle(probe.deadline(), probe.events(), Dirt::Start);
        book.note(format!("{START:?} the scene begins"));
        Self {
            scene,
            script,
            now: START,
            woke: START,
            over: false,
            probe,
            book,
            broken: None,
            inbox: VecDeque::new(),
            bytes: Bytes::default(),
            edges: Ready::default(),
            tells_too_big,
            wire: Vec::new(),
            full_until: None,
            taken: 0,
            tries: 0,
        }
    }

    /// Notes that a rule is broken. From then on the scene is over and nothing is judged.
    pub(crate) fn fail<R>(&mut self, rule: Rule, what: String) -> Result<R, Violation> {
        self.over = true;
        let (at, scene) = (self.now, self.scene);
        let trace = self.book.trace.iter().cloned().collect();
        self.broken.get_or_insert(Broken { rule, scene, at, what, trace });
        Err(Violation)
    }

    /// Whether the socket has no room right now.
    pub(crate) fn is_full(&self) -> bool {
        self.full_until.is_some_and(|until| self.now < until)
    }

    pub(crate) fn read_clock(&mut self) -> Result<Instant, Violation> {
        self.count_read()?;
        Ok(self.now)
    }

    /// What one receive call brings, and whether there may be more.
    pub(crate) fn receive(&mut self) -> Result<(Vec<Datagram>, bool), Violation> {
        self.count_call()?;
        let count = self.inbox.len().min(self.script.batch.max(1));
        let batch: Vec<Datagram> = self.inbox.drain(..count).collect();
        self.note(|now| format!("{now:?} recv: {count} datagrams"));
        self.book.progress |= count > 0;
        self.book.received.extend(batch.iter().cloned());
        Ok((batch, count == self.script.batch.max(1)))
    }

    /// One send call: the socket may be full, at any datagram of a train, or refuse.
    pub(crate) fn send(
        &mut self,
        transmit: &Transmit,
        bytes: &[u8],
    ) -> Result<SendOutcome, Violation> {
        self.count_call()?;
        let datagrams = self.match_kept(transmit, bytes)?;
        if self.is_full() {
            self.try_full()?;
            return Ok(SendOutcome::Full { sent: 0 });
        }
        self.book.progress = true;
        if let Some(cause) = self.refusal() {
            self.note(|now| format!("{now:?} send: refused, {cause:?}"));
            let owed = self.tells_too_big && cause == DropCause::TooBig;
            self.book.refuse(datagrams, owed.then_some(*transmit));
            return Ok(SendOutcome::Dropped(cause));
        }
        let mut sent = 0;
        for _ in 0..datagrams {
            if self.fills_up() {
                self.note(|now| format!("{now:?} send: full after {sent} bytes"));
                self.book.blocked = true;
                return Ok(SendOutcome::Full { sent });
            }
            let Some(Kept { datagram, .. }) = self.book.kept.pop_front() else { break };
            sent += datagram.bytes.len();
            self.taken += 1;
            self.wire.push(Datagram { at: self.now, ..datagram });
        }
        self.note(|now| format!("{now:?} send: {datagrams} datagrams"));
        self.book.blocked = false;
        Ok(SendOutcome::Sent)
    }

    /// A send call that meets a full socket.
    pub(crate) fn try_full(&mut self) -> Result<(), Violation> {
        self.tries += 1;
        self.note(|now| format!("{now:?} send: full"));
        self.book.blocked = true;
        if self.tries > MAX_TRIES {
            let what = "tries a full socket again and again before it has slept".to_owned();
            return self.fail(Rule::Room, what);
        }
        Ok(())
    }

    /// The socket took one more datagram, or byte.
    pub(crate) fn count_taken(&mut self) {
        self.taken += 1;
    }

    /// Whether the system refuses the transmit that is offered.
    fn refusal(&mut self) -> Option<DropCause> {
        let number = self.book.number_of_front()?;
        let (refused, cause) = *self.script.refusals.front()?;
        (refused == number).then(|| {
            self.script.refusals.pop_front();
            cause
        })
    }

    /// Whether the socket becomes full before it takes one more.
    pub(crate) fn fills_up(&mut self) -> bool {
        let Some(fill) = self.script.fills.front().filter(|fill| self.taken >= fill.after) else {
            return false;
        };
        self.full_until = Some(self.now + fill.lasts);
        (self.taken, self.tries) = (0, 0);
        self.script.fills.pop_front();
        true
    }

    /// Sleeps; `for_room` is the interest of a level-triggered wait, `None` is edge-triggered.
    pub(crate) fn wait(
        &mut self,
        until: Option<Instant>,
        for_room: Option<bool>,
    ) -> Result<Ready, Violation> {
        let woken = Ready { woken: true, ..Ready::default() };
        if self.broken.is_some() {
            return Ok(woken);
        }
        self.note(|now| match until {
            Some(until) => format!("{now:?} wait until {until:?}"),
            None => format!("{now:?} wait"),
        });
        self.before_wait(until, for_room)?;
        self.tries = 0;
        let began = self.now;
        let ready = loop {
            let ready = self.readiness(for_room);
            let due = until.is_some_and(|until| until <= self.now);
            if ready != Ready::default() || due || self.over {
                break ready;
            }
            self.pass_time(until, for_room);
        };
        let ready = if self.over { woken } else { ready };
        self.note(|now| format!("{now:?} woke: {ready:?}"));
        self.woke = self.now;
        self.after_wait(began, ready)?;
        Ok(ready)
    }

    /// What is ready now. Told edges are forgotten.
    fn readiness(&mut self, for_room: Option<bool>) -> Ready {
        self.happen();
        let told = std::mem::take(&mut self.edges);
        let (readable, writable) = match for_room {
            None => (told.readable, told.writable),
            Some(for_room) => {
                (told.readable || self.has_unread(), told.writable || (for_room && !self.is_full()))
            }
        };
        Ready { readable, writable, woken: told.woken }
    }

    /// Lets happen what is due by now.
    fn happen(&mut self) {
        let now = self.now;
        let Script { arrivals, bells, nudges, stream, .. } = &mut self.script;
        let due = arrivals.partition_point(|datagram| datagram.at <= now);
        self.edges.readable |= due > 0;
        let arrived = arrivals.drain(..due);
        if *stream {
            self.bytes.inbox.extend(arrived.flat_map(|piece| piece.bytes));
        } else {
            self.inbox.extend(arrived);
        }
        let due = nudges.partition_point(|(at, _)| *at <= now);
        for (_, nudge) in nudges.drain(..due) {
            self.edges.readable |= nudge.readable;
            self.edges.writable |= nudge.writable;
            self.edges.woken |= nudge.woken;
        }
        let due = bells.partition_point(|(at, _)| *at <= now);
        for (_, orders) in bells.drain(..due) {
            self.edges.woken = true;
            self.probe.obey(now, orders);
            self.book.commanded(self.probe.deadline(), self.probe.events());
            self.book.note(format!("{now:?} rung: {orders:?}"));
        }
        if self.script.eof.is_some_and(|eof| eof <= now) {
            self.script.eof = None;
            self.bytes.eof = Eof::There;
            self.edges.readable = true;
        }
        if self.full_until.is_some_and(|until| until <= now) {
            self.full_until = None;
            // Only whoever met a full socket is told that it has room again.
            self.edges.writable |= self.book.blocked;
        }
    }

    /// Goes on to the next moment at which something may happen.
    fn pass_time(&mut self, until: Option<Instant>, for_room: Option<bool>) {
        let end = START + self.script.end;
        let Script { arrivals, bells, nudges, .. } = &self.script;
        let room = self.full_until.filter(|_| for_room != Some(false));
        let all = [
            arrivals.front().map(|datagram| datagram.at),
            bells.front().map(|(at, _)| *at),
            nudges.front().map(|(at, _)| *at),
            room,
            until,
            self.script.eof,
            Some(end),
        ];
        let next = all.into_iter().flatten().min().unwrap_or(end);
        self.now = next.max(self.now);
        self.over = self.now >= end;
    }
}
