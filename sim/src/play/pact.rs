//! The model of one connection: its two ends, its streams, and what its events may say.
//!
//! In go the calls that succeeded and the events; out come faults. Whether an end may come at all
//! depends on what the world did to it: that is told from outside ([`Excuses`]).

use super::fault::{Fault, Verdict, ensure};
use super::half::Half;
use std::collections::{BTreeMap, VecDeque};
use tripline::{
    Code, ConnectError, ConnectionHandle, Direction, Event, Fate, LostCause, MessageToken,
    PublicKey, Side, StreamId, StreamOptions,
};
use tripline_sansio::{Duration, Instant};

/// A stream of either side.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: StreamId,
    /// 0 for the client, 1 for the server.
    pub(super) opener: usize,
    /// By who sends.
    pub(super) halves: [Option<Half>; 2],
    /// The other side was told of it.
    pub(super) told: bool,
}

impl Stream {
    /// What `side` sends on it.
    pub(super) fn sending(&mut self, side: usize) -> Option<&mut Half> {
        self.halves[side].as_mut()
    }

    /// What `side` gets on it.
    pub(super) fn receiving(&mut self, side: usize) -> Option<&mut Half> {
        self.halves[1 - side].as_mut()
    }

    /// Whether `side` has heard of it.
    pub(super) fn is_known(&self, side: usize) -> bool {
        self.told || self.opener == side
    }

    /// Whether the engine of `side` may have forgotten it.
    pub(super) fn may_be_gone(&self, side: usize) -> bool {
        !self.is_known(side)
            || self.halves[side].as_ref().is_none_or(Half::has_ended)
                && self.halves[1 - side].as_ref().is_none_or(Half::is_over)
    }
}

/// How far an end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The client tries; the server has not heard of it.
    Opening,
    /// Both sides may use it, as far as this one knows.
    Connected,
    /// It ended, and will say no more but that it is gone.
    Over,
    /// It is gone.
    Gone,
    /// Its host crashed with it.
    Crashed,
}

/// Why an end may come: what the world has done to a connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Excuses {
    /// Somebody called `close`, or shut its endpoint down.
    pub(super) closing: bool,
    /// By side: its user killed it.
    pub(super) killed: [bool; 2],
    /// By side: its endpoint is being shut down, or refuses for other reasons that are its user's.
    pub(super) refusing: [bool; 2],
    /// One side breaks rules on purpose: it may be thrown out at any time.
    pub(super) lying: bool,
    /// One side's keys may carry so little that a renewal comes too late: asking for the next one
    /// takes three PTOs, and a fast connection acknowledges more than a thousand packets meanwhile.
    pub(super) wearing: bool,
}

/// What is known at the time of an event from the network's side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surroundings {
    pub(super) now: Instant,
    /// For how long nothing genuine has come from the other side, by side; `None`: nobody can say.
    pub(super) silence: [Option<Duration>; 2],
}

/// One end of a connection.
#[derive(Debug)]
pub(super) struct End {
    /// Its host.
    pub(super) host: usize,
    pub(super) handle: Option<ConnectionHandle>,
    pub(super) phase: Phase,
    /// `open` said *limit*, by direction.
    limited: [bool; 2],
    /// The stream and the number of each message whose fate is not told, from `first_token` on.
    tokens: VecDeque<Option<(u32, u32)>>,
    first_token: u64,
    /// How many messages or chunks its user was handed.
    pub(super) got: u64,
    /// It was connected, at some time.
    pub(super) was_connected: bool,
    /// A message was called undelivered, and nothing said so far is a reason for that: the end of
    /// the connection has to follow.
    undelivered: bool,
}

impl End {
    fn new(host: usize) -> Self {
        Self {
            host,
            handle: None,
            phase: Phase::Opening,
            limited: [false; 2],
            tokens: VecDeque::new(),
            first_token: 0,
            got: 0,
            was_connected: false,
            undelivered: false,
        }
    }

    /// A server's end comes about, perhaps anew: its client's attempt began again.
    pub(super) fn begin(&mut self, handle: ConnectionHandle) {
        *self = Self { handle: Some(handle), ..Self::new(self.host) };
    }

    /// Its host is gone, and it with it.
    pub(super) fn crash(&mut self) {
        if self.handle.is_some() && self.phase != Phase::Gone {
            self.phase = Phase::Crashed;
        }
    }

    /// How many messages its user has handed in.
    pub(super) fn handed_in(&self) -> u64 {
        self.first_token + self.tokens.len() as u64
    }

    /// Whether its user can call it.
    pub(super) const fn is_live(&self) -> bool {
        self.handle.is_some() && matches!(self.phase, Phase::Opening | Phase::Connected)
    }
}

/// A connection.
#[derive(Debug)]
pub(super) struct Pact {
    pub(super) name: String,
    /// Client and server.
    pub(super) ends: [End; 2],
    pub(super) streams: Vec<Stream>,
    by_id: BTreeMap<StreamId, usize>,
    pub(super) excuses: Excuses,
    pub(super) began: Instant,
    pub(super) deadline: Duration,
    /// The smaller idle limit of both sides.
    pub(super) idle: Option<Duration>,
    /// Where the client asks first, if that host lets nobody in itself.
    pub(super) front: Option<usize>,
    /// The key that the client may be shown.
    pub(super) key: Option<PublicKey>,
}

/// While a side does not know that the other hears it, its idle limit is at most this (protocol
/// page, §2.5).
const UNPROVEN_IDLE: Duration = Duration::from_secs(15);
/// So long after the beginning both sides know, if they ever do.
const PROVEN_AFTER: Duration = Duration::from_secs(60);

fn at(direction: Direction) -> usize {
    usize::from(direction == Direction::OneWay)
}

/// Whether a side that heard nothing for so long may have worn out its keys: who may not agree on
/// new ones, and asks for them and keeps alive for long enough, has sealed 1,024 packets more
/// (protocol page, §5.3).
fn may_be_worn(silence: Option<Duration>) -> bool {
    silence.is_none_or(|silence| silence >= Duration::from_secs(10))
}

impl Pact {
    pub(super) fn new(
        name: &str,
        hosts: [usize; 2],
        (began, deadline): (Instant, Duration),
        idle: Option<Duration>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            ends: hosts.map(End::new),
            streams: Vec::new(),
            by_id: BTreeMap::new(),
            excuses: Excuses::default(),
            began,
            deadline,
            idle,
            front: None,
            key: None,
        }
    }

    /// `side` opened a stream; its index.
    pub(super) fn on_open(
        &mut self,
        side: usize,
        id: StreamId,
        options: StreamOptions,
    ) -> Verdict<usize> {
        let kind = (id.order(), id.direction());
        ensure(!self.by_id.contains_key(&id), "R-STREAM-1", || format!("{id} was opened twice"))?;
        ensure(kind == (options.order, options.direction), "R-STREAM-1", || {
            format!("{id} is not of the kind that was asked for")
        })?;
        let opener = usize::from(id.opener() == Side::Server);
        ensure(opener == side, "R-STREAM-1", || format!("{id} names the wrong opener"))?;
        let two_way = options.direction == Direction::TwoWay;
        let half = |from: usize| {
            let salt = id.number() << 1 | from as u64;
            (from == side || two_way).then(|| Half::new(id.order(), salt))
        };
        self.streams.push(Stream { id, opener, halves: [half(0), half(1)], told: false });
        self.by_id.insert(id, self.streams.len() - 1);
        Ok(self.streams.len() - 1)
    }

    /// `open` said *limit*.
    pub(super) fn on_limit(&mut self, side: usize, direction: Direction) {
        self.ends[side].limited[at(direction)] = true;
    }

    /// A message was taken on the stream with this index. Tokens rise without gaps.
    pub(super) fn on_token(&mut self, side: usize, stream: usize, token: u64) -> Verdict {
        let number = self.streams[stream].sending(side).map_or(0, |half| half.handed_in());
        let end = &mut self.ends[side];
        let next = end.first_token + end.tokens.len() as u64;
        ensure(token == next, "T30", || {
            format!("the token is {token}, the last was {next} less one")
        })?;
        end.tokens.push_back(Some((stream as u32, number as u32)));
        Ok(())
    }

    /// Whether both ends are connected.
    pub(super) fn lives(&self) -> bool {
        self.ends.iter().all(|end| end.phase == Phase::Connected)
    }

    /// Whether that is so, and of all streams both sides know: on others, what is owed may be under
    /// way.
    pub(super) fn is_told(&self) -> bool {
        self.lives() && self.streams.iter().all(|stream| stream.told)
    }

    /// Index of the stream with this ID.
    pub(super) fn stream(&self, id: StreamId) -> Verdict<usize> {
        self.by_id
            .get(&id)
            .copied()
            .ok_or_else(|| Fault::new("R-STREAM-1", format!("{id} was opened by nobody")))
    }

    /// `side` begins anew: what it had opened before nobody knows any more.
    pub(super) fn void_streams_of(&mut self, side: usize) {
        let Self { streams, by_id, .. } = self;
        for stream in streams.iter_mut().filter(|stream| stream.opener == side) {
            stream.halves = [None, None];
        }
        by_id.retain(|_, at| streams[*at].opener != side);
    }

    /// An event of `side`, held against the grammar on the page of [`Event`].
    pub(super) fn on_event(&mut self, side: usize, event: &Event, around: Surroundings) -> Verdict {
        match self.ends[side].phase {
            Phase::Opening => self.on_early(side, event, around),
            Phase::Connected => self.on_connected(side, event, around),
            Phase::Over => {
                let last = matches!(event, Event::Drained { .. });
                ensure(last, "M03", || format!("after its end came {event:?}"))?;
                self.ends[side].phase = Phase::Gone;
                Ok(())
            }
            Phase::Gone | Phase::Crashed => {
                Err(Fault::new("R-CLOSE-6", format!("after its last event came {event:?}")))
            }
        }
    }

    fn on_early(&mut self, side: usize, event: &Event, around: Surroundings) -> Verdict {
        match event {
            Event::Connected { connection, .. } => {
                let end = &mut self.ends[side];
                let known = end.handle.is_none_or(|handle| handle == *connection);
                ensure(known, "T10", || "connected under another handle".into())?;
                (end.phase, end.handle) = (Phase::Connected, Some(*connection));
                end.was_connected = true;
                Ok(())
            }
            Event::Failed { error, .. } => {
                self.ends[side].phase = Phase::Over;
                self.judge_failure(error, around)
            }
            // What was handed in early may expire early, and ends with the attempt.
            Event::Message { stream, token, fate, .. } => {
                self.on_fate(side, *stream, *token, *fate, true)
            }
            Event::Writable { stream, .. } => self.on_writable(side, *stream),
            Event::ServerKey { key, .. } => {
                ensure(self.key == Some(*key), "T10", || "a key that is not the server's".into())
            }
            Event::Forward { .. } | Event::Resolve { .. } => Ok(()),
            other => Err(Fault::new("T10", format!("before it was connected came {other:?}"))),
        }
    }

    fn on_connected(&mut self, side: usize, event: &Event, around: Surroundings) -> Verdict {
        match event {
            Event::Opened { stream, .. } => self.on_opened(side, *stream),
            Event::Readable { stream, .. } => self.on_readable(side, *stream),
            Event::Writable { stream, .. } => self.on_writable(side, *stream),
            Event::Stopped { stream, code, .. } => self.on_stopped(side, *stream, *code),
            Event::StreamsAvailable { direction, .. } => {
                let limited = &mut self.ends[side].limited[at(*direction)];
                let waits = std::mem::take(limited);
                ensure(waits, "T44", || "streams are available, and nobody waits for them".into())
            }
            Event::Message { stream, token, fate, .. } => {
                self.on_fate(side, *stream, *token, *fate, false)
            }
            Event::UmtuChanged { .. }
            | Event::Quiet { .. }
            | Event::Moved { .. }
            | Event::Resolve { .. }
            | Event::Forward { .. } => Ok(()),
            Event::Leaving { .. } => {
                ensure(self.excuses.closing, "I21", || "the peer leaves, and nobody left".into())
            }
            Event::Closed { code, .. } => {
                self.ends[side].phase = Phase::Over;
                ensure(self.excuses.closing, "I21", || format!("closed ({code:?}) by nobody"))
            }
            Event::Lost { cause, .. } => {
                self.ends[side].phase = Phase::Over;
                self.judge_loss(side, cause, around)
            }
            other => Err(Fault::new("M03", format!("while it was connected came {other:?}"))),
        }
    }

    /// Whether the end of the attempt has a good reason.
    fn judge_failure(&self, error: &ConnectError, around: Surroundings) -> Verdict {
        // Where clocks are odd nobody can say.
        let over = around.now >= self.began + self.deadline || around.silence[0].is_none();
        let fits = match error {
            // Somebody spoiled the answers, or what was asked: that explains the silence, and ends
            // nothing early.
            ConnectError::Identity | ConnectError::Suite | ConnectError::Version { .. } => over,
            // A challenge that verified begins the idle limit, like everything that verifies.
            ConnectError::Timeout { phase } => {
                let idle = self.may_be_idle(around.silence[0], around.now);
                over || *phase == tripline::Phase::Pinging && idle
            }
            _ if self.excuses.lying => true,
            ConnectError::Refused { .. } if self.excuses.closing => true,
            ConnectError::Refused { code, .. } if *code == Code::IDLE => {
                self.may_be_idle(around.silence[1], around.now) || !self.ends[1].is_live()
            }
            ConnectError::Cancelled => self.excuses.killed[0] || self.excuses.closing,
            ConnectError::Refused { .. } => self.excuses.refusing[1],
            // A true RESET after messages were sent ends the attempt: the server forgot it.
            ConnectError::Reset => true,
            _ => false,
        };
        ensure(fits, "I21", || format!("the attempt failed: {error}"))
    }

    /// Whether the loss has a good reason.
    fn judge_loss(&self, side: usize, cause: &LostCause, around: Surroundings) -> Verdict {
        let peer = &self.ends[1 - side];
        let fits = match cause {
            _ if self.excuses.lying => true,
            LostCause::Killed => self.excuses.killed[side] || self.excuses.closing,
            LostCause::Reset => !peer.is_live(),
            LostCause::Idle => self.may_be_idle(around.silence[side], around.now),
            LostCause::Peer { code, .. } if *code == Code::IDLE => {
                self.may_be_idle(around.silence[1 - side], around.now) || !peer.is_live()
            }
            LostCause::Peer { code, .. } if *code == Code::SHUTTING_DOWN => {
                self.excuses.refusing[1 - side]
            }
            LostCause::KeyLimit => self.excuses.wearing || may_be_worn(around.silence[side]),
            LostCause::Peer { code, .. } if *code == Code::KEY_LIMIT => {
                self.excuses.wearing || may_be_worn(around.silence[1 - side])
            }
            _ => false,
        };
        ensure(fits, "I21", || format!("lost: {cause}, silence {:?}", around.silence))
    }

    /// Whether a silence of this length is reason enough to give up.
    fn may_be_idle(&self, silence: Option<Duration>, now: Instant) -> bool {
        let Some(silence) = silence else { return true };
        let fresh = now < self.began + PROVEN_AFTER;
        let limit = match self.idle {
            None if !fresh => return false,
            None => UNPROVEN_IDLE,
            Some(idle) if fresh => idle.min(UNPROVEN_IDLE),
            Some(idle) => idle,
        };
        // Deadlines are kept to the nanosecond, clocks of hosts are not.
        silence + Duration::from_millis(1) >= limit
    }

    fn on_opened(&mut self, side: usize, id: StreamId) -> Verdict {
        let at = self.stream(id)?;
        let stream = &mut self.streams[at];
        let right = stream.opener != side && !stream.told;
        stream.told = true;
        ensure(right, "R-STREAM-1", || format!("{id} was told twice, or to its opener"))
    }

    fn on_readable(&mut self, side: usize, id: StreamId) -> Verdict {
        let at = self.stream(id)?;
        let stream = &mut self.streams[at];
        ensure(stream.is_known(side), "M03", || format!("{id} readable before it was opened"))?;
        let Some(half) = stream.receiving(side) else {
            return Err(Fault::new("M03", format!("{id} cannot be read")));
        };
        let again = std::mem::replace(&mut half.readable, true);
        ensure(!again, "T44", || format!("{id} readable twice, and nothing was drained"))
    }

    fn on_writable(&mut self, side: usize, id: StreamId) -> Verdict {
        let at = self.stream(id)?;
        let Some(half) = self.streams[at].sending(side) else {
            return Err(Fault::new("T44", format!("{id} cannot be written")));
        };
        let waits = std::mem::take(&mut half.blocked);
        ensure(waits, "T44", || format!("{id} writable, and nobody was blocked"))
    }

    fn on_stopped(&mut self, side: usize, id: StreamId, code: Code) -> Verdict {
        let at = self.stream(id)?;
        let Some(half) = self.streams[at].sending(side) else {
            return Err(Fault::new("M03", format!("{id} has nothing to stop")));
        };
        // Who leaves takes no new streams: his endpoint says so by itself.
        if self.excuses.closing && code == Code::SHUTTING_DOWN {
            half.stop.get_or_insert(code);
        }
        let right = half.stop == Some(code) && !half.stopped;
        half.stopped = true;
        half.blocked = false;
        ensure(right, "M03", || format!("{id} stopped with {code:?}, which nobody said, or twice"))
    }

    fn on_fate(
        &mut self,
        side: usize,
        id: StreamId,
        token: MessageToken,
        fate: Fate,
        early: bool,
    ) -> Verdict {
        let end = &mut self.ends[side];
        let place = token.number().checked_sub(end.first_token).map(|at| at as usize);
        let known = place.and_then(|at| end.tokens.get_mut(at)?.take());
        while matches!(end.tokens.front(), Some(None)) {
            end.tokens.pop_front();
            end.first_token += 1;
        }
        let Some((stream, number)) = known else {
            return Err(Fault::new("T30", format!("message {} has two fates", token.number())));
        };
        let over = early || self.excuses.closing || self.excuses.killed != [false; 2];
        let stream = &mut self.streams[stream as usize];
        ensure(stream.id == id, "T30", || format!("the message was not on {id}"))?;
        let Some(half) = stream.sending(side) else {
            return Err(Fault::new("T30", format!("nobody sends on {id}")));
        };
        let over = over || half.closed.is_some() || half.stop.is_some();
        end.undelivered |= fate == Fate::Undelivered && !over;
        half.on_fate(number, fate).map_err(|fault| fault.about(id))
    }

    /// What is still owed to the users of this connection, if anything.
    pub(super) fn owed(&self) -> Option<String> {
        let lives = |end: &&End| end.phase == Phase::Connected;
        if self.ends.iter().filter(lives).any(|end| end.undelivered) {
            return Some("a reason why a message was called undelivered".into());
        }
        self.streams.iter().find_map(|stream| {
            stream.halves.iter().flatten().find_map(|half| {
                half.owed(stream.told).map(|what| format!("{}: {what}", stream.id))
            })
        })
    }
}
