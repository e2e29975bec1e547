//! The machine: one side of a conversation of calls, over one pipe after the other.
//!
//! *In*: the user's commands (`ask`, `serve`), the messages of a pipe (`receive`), pipes that come
//! and go (`life`), the time. *Out*: pieces for the pipe, events, a deadline. Both sides are alike;
//! only which of them names the session differs. It never learns what a pipe is made of.

mod ask;
mod life;
mod receive;
mod serve;

use crate::asked::{Asked, Stage};
use crate::bounds::{EVENTS_MAX, NAME_MAX, UNREAD_FACTOR};
use crate::config::Config;
use crate::event::{Event, RequestId};
use crate::lane::Lane;
use crate::method::{Method, NamesIn, NamesOut};
use crate::outbox::{Outbox, Piece, Taken};
use crate::outcome::{Executed, Outcome, Violation};
use crate::payload::Payload;
use crate::served::Served;
use crate::slots::Key;
use crate::wire::{Control, Frame, Hello, SessionId, write_head};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use bytes::Bytes;
pub use life::Pipe;
use tripline::SendOptions;
use tripline_sansio::{Duration, Instant};

/// One side of a conversation: it asks, and is asked.
///
/// A pipe is attached, carries messages both ways, and is detached when it breaks; the next one
/// goes on where it was. The rules of the run loop are those of `tripline_sansio`: after each call,
/// drain with [`Self::poll_send`], then [`Self::poll_event`], then read [`Self::poll_timeout`].
#[derive(Debug)]
pub struct Peer {
    config: Config,
    /// Whether we name the session: the side that connects does.
    names_session: bool,
    session: Option<SessionId>,
    /// How many pipes there were.
    epoch: u64,
    /// Since which of them we know what was asked and answered, and the peer does.
    since: Option<u64>,
    their_since: u64,
    state: State,
    pipe: Option<PipeState>,
    asked: Asked,
    served: Served,
    names_out: NamesOut,
    names_in: NamesIn,
    outbox: Outbox,
    /// Notifications that wait for a pipe.
    notes: VecDeque<Note>,
    notes_bytes: usize,
    events: VecDeque<Event>,
    stats: Stats,
    now: Instant,
    /// A command said *blocked*: the user is told when there is room.
    was_blocked: bool,
    /// An item was not taken for want of room here, not of the caller's window.
    items_blocked: bool,
    /// What the peer has said of streams of the transport; until the pipe asks.
    stream_news: VecDeque<StreamNews>,
    /// The peer is to be told which calls are settled.
    owes_settled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// We take no more calls, and those under way have until then; `told`: that nothing is under
    /// way any more was said.
    Leaving {
        until: Instant,
        told: bool,
    },
    Ended,
}

/// What there is for as long as a pipe is.
#[derive(Clone, Debug)]
struct PipeState {
    pipe: Pipe,
    /// How many there were before.
    epoch: u64,
    said_hello: bool,
    /// What the peer said first.
    theirs: Option<Hello>,
    /// The peer takes no more calls.
    leaving: bool,
    broken: Option<Violation>,
    heard: Instant,
    spoke: Instant,
    owes_pong: bool,
}

/// A notification that waits.
#[derive(Clone, Debug)]
struct Note {
    method: Method,
    payload: Bytes,
    lane: Lane,
    send: SendOptions,
    since: Instant,
}

/// What a peer says of streams of the transport that carries its pipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamNews {
    /// It is a lane's.
    Lane(Lane, u64),
    /// It has this name.
    Named(u64, Arc<str>),
    /// The one that we have opened is not wanted.
    Refused(u64, Arc<str>),
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Calls of ours that were taken.
    pub calls: u64,
    /// Outcomes that were told: in the end as many as calls.
    pub outcomes: u64,
    /// Answers to calls that had their outcome already, dropped (row M12).
    pub late_answers: u64,
    /// Calls of ours that were asked again over another pipe.
    pub asked_again: u64,
    /// Requests that were told to the user.
    pub requests: u64,
    /// Of those, answered; the others were abandoned.
    pub answered: u64,
    /// Calls that came a second time, and were not executed again.
    pub duplicates: u64,
    /// Calls that we refused by ourselves: too many, too late, or going away.
    pub refused: u64,
    /// Answers that the user gave and nobody waited for.
    pub unwanted_answers: u64,
    /// Notifications that we sent.
    pub notified: u64,
    /// Notifications that came.
    pub notifications: u64,
    /// Notifications of ours that expired, or could not be sent, before they got to a pipe.
    pub dropped_notifications: u64,
    /// Frames that mean nothing any more: for calls that are gone.
    pub stray: u64,
}

impl Peer {
    /// The side that connects: it names the session. `session` is 16 random bytes.
    pub fn caller(config: Config, session: SessionId) -> Self {
        Self::new(config, true, Some(session))
    }

    /// The side that is connected to: it learns the session's name from the other's first frame.
    pub fn callee(config: Config) -> Self {
        Self::new(config, false, None)
    }

    fn new(config: Config, names_session: bool, session: Option<SessionId>) -> Self {
        Self {
            config: config.in_range(),
            names_session,
            session,
            epoch: 0,
            since: names_session.then_some(0),
            their_since: 0,
            state: State::Open,
            pipe: None,
            asked: Asked::default(),
            served: Served::default(),
            names_out: NamesOut::default(),
            names_in: NamesIn::default(),
            outbox: Outbox::default(),
            notes: VecDeque::new(),
            notes_bytes: 0,
            events: VecDeque::new(),
            stats: Stats::default(),
            now: Instant::ZERO,
            was_blocked: false,
            items_blocked: false,
            stream_news: VecDeque::new(),
            owes_settled: false,
        }
    }

    /// What was counted.
    pub fn stats(&self) -> Stats {
        let dropped = self.stats.dropped_notifications.saturating_add(self.outbox.expired());
        Stats { dropped_notifications: dropped, ..self.stats }
    }

    /// By which the session is found again; `None`: the peer has not said yet.
    pub fn session(&self) -> Option<SessionId> {
        self.session
    }

    /// The largest frame that we take over the pipe of now.
    fn takes_max(&self) -> usize {
        self.config.frame_max.min(self.message_max())
    }

    /// The largest message that the pipe of now carries, in bytes.
    pub(crate) fn message_max(&self) -> usize {
        self.pipe.as_ref().map_or(usize::MAX, |pipe| pipe.pipe.frame_max)
    }

    /// Whether the connection is [raw](Config::is_raw).
    pub fn is_raw(&self) -> bool {
        self.config.is_raw
    }

    /// The largest frame we take, in bytes.
    pub fn frame_max(&self) -> usize {
        self.config.frame_max
    }

    /// Bytes of a message that is not whole yet have come: the peer lives.
    pub fn handle_progress(&mut self, now: Instant) {
        let now = self.tick(now);
        if let Some(pipe) = &mut self.pipe {
            pipe.heard = now;
        }
    }

    /// How often something is said over a pipe that would be given up otherwise.
    pub fn heartbeat(&self) -> Option<Duration> {
        self.config.heartbeat
    }

    /// Calls of ours without an outcome.
    pub fn calls(&self) -> usize {
        self.asked.len()
    }

    /// Calls of the peer's that wait for our answer.
    pub fn requests(&self) -> usize {
        self.served.len()
    }

    /// Answers that are kept in case the call comes again, calls included that are being executed.
    pub fn kept(&self) -> usize {
        self.served.keeper.len()
    }

    /// Numbers of calls that have their outcome, while the answer is still to come.
    pub fn late(&self) -> usize {
        self.asked.late()
    }

    /// Whether nothing is under way, nothing waits to be sent or to be told, and nothing is
    /// remembered: whoever forgets this peer now forgets nothing.
    pub fn is_idle(&self) -> bool {
        self.calls() == 0
            && self.requests() == 0
            && self.kept() == 0
            && self.late() == 0
            && self.outbox.is_empty()
            && self.notes.is_empty()
            && self.events.is_empty()
    }

    /// Whether nothing waits for the pipe.
    pub fn has_said_all(&self) -> bool {
        self.outbox.is_empty() && self.notes.is_empty() && !self.owes_settled
    }

    /// Whether messages are to be handed in: not while more than enough waits to be told, or to be
    /// sent. For pipes that can hold the peer back (R-CALL-9).
    pub fn wants_input(&self) -> bool {
        self.events.len() < EVENTS_MAX && self.outbox.bytes() <= self.config.send_buffer
    }

    /// How the peer has broken the rules, or that it is silent: the pipe of now is of no use.
    pub fn violation(&self) -> Option<Violation> {
        self.pipe.as_ref().and_then(|pipe| pipe.broken)
    }

    /// The next event, in the order in which things happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Hands all that is due to the pipe. Returns whether there was anything.
    pub fn poll_send(
        &mut self,
        now: Instant,
        mut take: impl FnMut(Lane, &mut Piece) -> Taken,
    ) -> bool {
        let now = self.tick(now);
        if self.pipe.is_none() {
            return false;
        }
        self.say_what_is_owed();
        let mut some = false;
        loop {
            some |= self.outbox.drain(now, self.config.batch_wait, &mut take);
            // What waited for room may go now.
            if !self.sends_more() {
                break;
            }
        }
        if some && let Some(pipe) = &mut self.pipe {
            pipe.spoke = now;
        }
        self.tell_room();
        some
    }

    /// The lanes on which something waits to be sent, for a pipe that has to make them first.
    pub fn lanes_in_use(&self) -> impl Iterator<Item = Lane> + '_ {
        self.outbox.lanes()
    }

    /// Tells the other side by which stream of the transport a lane goes (R-CALL-12).
    pub fn announce_lane(&mut self, lane: Lane, stream: u64) {
        self.put_control(Lane::DEFAULT, &Control::Lane { lane: lane.number(), stream });
        self.outbox.flush();
    }

    /// Tells the other side the name of a stream of the transport (R-CALL-13).
    pub fn announce_stream(&mut self, stream: u64, name: &str) {
        self.put_control(Lane::DEFAULT, &Control::Stream { stream, name });
        self.outbox.flush();
    }

    /// Tells the other side that a stream of its is not wanted, and why. The text is cut to 255
    /// bytes.
    pub fn refuse_stream(&mut self, stream: u64, reason: &str) {
        let mut end = reason.len().min(NAME_MAX);
        while !reason.is_char_boundary(end) {
            end = end.saturating_sub(1);
        }
        let reason = reason.get(..end).unwrap_or_default();
        self.put_control(Lane::DEFAULT, &Control::RefuseStream { stream, reason });
        self.outbox.flush();
    }

    /// What the other side has said of streams of the transport, for the pipe that has them.
    pub fn poll_stream_news(&mut self) -> Option<StreamNews> {
        self.stream_news.pop_front()
    }

    /// The pipe has room again on a lane (`None`: on all), after it said
    /// [`Taken::Blocked`].
    pub fn handle_room(&mut self, lane: Option<Lane>) {
        self.outbox.unblock(lane);
    }

    /// Nothing that is waiting now waits for company any longer (row N06).
    pub fn flush(&mut self) {
        self.outbox.flush();
    }

    /// Tells the time.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.tick(now);
        while let Some(key) = self.asked.due(now) {
            self.end_call(key, |executed| Outcome::Deadline { executed });
        }
        while let Some(key) = self.served.due(now) {
            self.request_is_late(key);
        }
        self.tend_pipe(now);
        self.tend_leaving(now);
    }

    /// When [`Self::handle_timeout`] wants to be called next, or [`Self::poll_send`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        let batch =
            self.pipe.as_ref().and_then(|_| self.outbox.deadline(self.now, self.config.batch_wait));
        let leaving = match self.state {
            State::Leaving { until, told: false } => Some(until),
            _ => None,
        };
        let all =
            [self.asked.deadline(), self.served.deadline(), batch, leaving, self.pipe_deadline()];
        all.into_iter().flatten().min()
    }

    /// Time never goes back.
    fn tick(&mut self, now: Instant) -> Instant {
        self.now = self.now.max(now);
        self.now
    }

    /// The lane that a message takes: before the peer has said HELLO there is one.
    fn lane(&self, lane: Lane) -> Lane {
        let ready = |pipe: &PipeState| pipe.pipe.has_lanes && pipe.theirs.is_some();
        if self.pipe.as_ref().is_some_and(ready) { lane } else { Lane::DEFAULT }
    }

    /// Puts a frame into the outbox.
    fn put(&mut self, lane: Lane, frame: &Frame<'_>, payload: Payload<'_>, send: SendOptions) {
        self.put_since(self.now, lane, frame, payload, send);
    }

    /// The same for what waits since then.
    fn put_since(
        &mut self,
        since: Instant,
        lane: Lane,
        frame: &Frame<'_>,
        payload: Payload<'_>,
        send: SendOptions,
    ) {
        self.outbox.push(since, lane, |message| write_head(frame, message), payload, send);
    }

    fn put_control(&mut self, lane: Lane, control: &Control<'_>) {
        let payload = Payload::Slice(&[]);
        self.put(lane, &Frame::Control(*control), payload, SendOptions::default());
    }

    fn say_what_is_owed(&mut self) {
        let Some(pipe) = self.pipe.as_mut().filter(|pipe| pipe.said_hello) else { return };
        if core::mem::take(&mut pipe.owes_pong) {
            self.put_control(Lane::DEFAULT, &Control::Pong);
        }
        if core::mem::take(&mut self.owes_settled) {
            let oldest = self.asked.oldest_serial();
            self.put_control(Lane::DEFAULT, &Control::Settled { oldest });
        }
    }

    /// After *blocked*, there is room again.
    fn tell_room(&mut self) {
        let waits = self.outbox.bytes().saturating_add(self.notes_bytes);
        if waits > self.config.send_buffer / 2 {
            return;
        }
        if core::mem::take(&mut self.was_blocked) {
            self.events.push_back(Event::Writable);
        }
        if core::mem::take(&mut self.items_blocked) {
            for request in self.served.take_thirsty().into_iter().map(RequestId) {
                self.events.push_back(Event::Thirsty { request });
            }
        }
    }

    /// The peer broke a rule: told once, and nothing more is taken from its pipe (R-CALL-8).
    fn break_pipe(&mut self, violation: Violation) {
        if let Some(pipe) = &mut self.pipe
            && pipe.broken.is_none()
        {
            pipe.broken = Some(violation);
            self.events.push_back(Event::Broken { violation });
        }
    }

    /// How much may wait for the pipe, answers included.
    fn answers_max(&self) -> usize {
        self.config.send_buffer.saturating_mul(UNREAD_FACTOR)
    }

    /// How much may wait before it is clear that the peer does not read.
    fn unread_max(&self) -> usize {
        let theirs = self.pipe.as_ref().and_then(|pipe| pipe.theirs);
        let largest = theirs.map_or(0, |theirs| theirs.frame_max);
        self.answers_max().saturating_mul(2).saturating_add(largest)
    }

    /// What is known of a call that has no answer.
    fn executed_by_now(&self, key: Key) -> Executed {
        let Some(call) = self.asked.get(key).filter(|call| call.sent_over().is_none()) else {
            return Executed::Unknown;
        };
        match call.stage {
            Stage::Waiting => Executed::No,
            // It may be on its way by now, or still go.
            Stage::Sent { .. } | Stage::Doubt => Executed::Unknown,
        }
    }
}

/// A wait in milliseconds, as it is sent: what is begun counts.
fn millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
