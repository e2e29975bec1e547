//! The judge: all streams of both sides, and what either side's events may say.
//!
//! In go the calls that succeeded and the events, out comes nothing: what may not be panics.

use super::half::Half;
use super::operation::FEW_STREAMS;
use tripline::{
    Code, ConnectionHandle, Direction, Event, Fate, MessageToken, Side, StreamId, StreamOptions,
};

/// A stream of either side.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: StreamId,
    /// Who opened it.
    opener: usize,
    /// By who sends.
    halves: [Option<Half>; 2],
    /// The other side was told of it.
    told: bool,
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

/// How far the connection of a side is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Opening,
    Connected,
    Over,
    Gone,
}

/// What a side waits for.
#[derive(Debug)]
pub(super) struct Party {
    pub(super) handle: Option<ConnectionHandle>,
    pub(super) phase: Phase,
    /// `open` said *limit*, by direction.
    limited: [bool; 2],
    /// Where each message is: stream and number in its half.
    tokens: Vec<(usize, usize)>,
}

/// The model of a connection.
#[derive(Debug)]
pub(super) struct Judge {
    pub(super) streams: Vec<Stream>,
    pub(super) parties: [Party; 2],
    /// `close` was called: from now on the connection may end.
    pub(super) closing: bool,
}

fn at(direction: Direction) -> usize {
    usize::from(direction == Direction::OneWay)
}

impl Judge {
    pub(super) fn new() -> Self {
        let party = || Party {
            handle: None,
            phase: Phase::Opening,
            limited: [false; 2],
            tokens: Vec::new(),
        };
        Self { streams: Vec::new(), parties: [party(), party()], closing: false }
    }

    fn find(&mut self, id: StreamId) -> Option<&mut Stream> {
        self.streams.iter_mut().find(|stream| stream.id == id)
    }

    /// `side` opened a stream.
    pub(super) fn on_open(&mut self, side: usize, id: StreamId, options: StreamOptions) {
        assert!(self.find(id).is_none(), "{id:?} twice");
        assert_eq!((id.order(), id.direction()), (options.order, options.direction));
        let opener = if id.opener() == Side::Client { 0 } else { 1 };
        assert_eq!(opener, side);
        let two_way = options.direction == Direction::TwoWay;
        let half = |from: usize| {
            let salt = id.number() << 1 | from as u64;
            (from == side || two_way).then(|| Half::new(id.order(), salt << 32))
        };
        self.streams.push(Stream { id, opener, halves: [half(0), half(1)], told: false });
    }

    /// `open` said *limit*.
    pub(super) fn on_limit(&mut self, side: usize, direction: Direction) {
        self.parties[side].limited[at(direction)] = true;
    }

    /// A message was taken; `stream` is an index. Tokens rise without gaps.
    pub(super) fn on_token(&mut self, side: usize, stream: usize, token: MessageToken) {
        let number = self.streams[stream].sending(side).map_or(0, |half| half.promises.len());
        let tokens = &mut self.parties[side].tokens;
        assert_eq!(token.number(), tokens.len() as u64, "tokens rise by one");
        tokens.push((stream, number));
    }

    /// An event of `side`, held against the grammar on the page of [`Event`].
    pub(super) fn on_event(&mut self, side: usize, event: &Event) {
        if let Event::Connected { connection, .. } = event {
            let party = &mut self.parties[side];
            assert_eq!(party.phase, Phase::Opening, "connected twice (T10)");
            assert!(party.handle.is_none_or(|handle| handle == *connection));
            (party.phase, party.handle) = (Phase::Connected, Some(*connection));
            return;
        }
        match self.parties[side].phase {
            // What was handed in early may expire early.
            Phase::Opening => {
                let early = matches!(event, Event::Message { .. } | Event::Writable { .. });
                assert!(early, "too early");
            }
            Phase::Connected => {}
            Phase::Over => {
                assert!(matches!(event, Event::Drained { .. }), "after the end (M03)");
                self.parties[side].phase = Phase::Gone;
                return;
            }
            Phase::Gone => panic!("after the last event (R-CLOSE-6)"),
        }
        match event {
            Event::Opened { stream, .. } => self.on_opened(side, *stream),
            Event::Readable { stream, .. } => self.on_readable(side, *stream),
            Event::Writable { stream, .. } => self.on_writable(side, *stream),
            Event::Stopped { stream, code, .. } => self.on_stopped(side, *stream, *code),
            Event::StreamsAvailable { direction, .. } => {
                let limited = &mut self.parties[side].limited[at(*direction)];
                assert!(std::mem::take(limited), "nobody waits for streams");
            }
            Event::Message { stream, token, fate, .. } => {
                self.on_fate(side, *stream, *token, *fate)
            }
            // A new size, or silence, is news at any time while connected.
            Event::UmtuChanged { .. } | Event::Quiet { .. } => {}
            Event::Leaving { .. } => assert!(self.closing, "nobody leaves"),
            Event::Closed { .. } => {
                assert!(self.closing, "nobody closed");
                self.parties[side].phase = Phase::Over;
            }
            // An honest peer never accuses the other, and idling is switched off.
            _ => panic!("not in this script"),
        }
    }

    fn on_opened(&mut self, side: usize, id: StreamId) {
        let stream = self.find(id).expect("somebody opened it");
        assert!(stream.opener != side && !stream.told, "opened twice, or by ourselves");
        stream.told = true;
    }

    fn on_readable(&mut self, side: usize, id: StreamId) {
        let stream = self.find(id).expect("a stream");
        assert!(stream.is_known(side), "readable before opened");
        let half = stream.receiving(side).expect("it can be read");
        assert!(!half.readable, "readable again, and nothing was drained");
        assert!(!half.is_over(), "readable after the end");
        half.readable = true;
    }

    fn on_writable(&mut self, side: usize, id: StreamId) {
        let half =
            self.find(id).and_then(|stream| stream.sending(side)).expect("it can be sent on");
        assert!(std::mem::take(&mut half.blocked), "nobody waits for room");
        assert!(!half.has_ended(), "writable, but ended");
    }

    fn on_stopped(&mut self, side: usize, id: StreamId, code: Code) {
        let half =
            self.find(id).and_then(|stream| stream.sending(side)).expect("it can be stopped");
        assert_eq!(half.stop, Some(code), "the peer did not stop it, or with another code");
        assert!(!half.stopped, "stopped twice");
        half.stopped = true;
        half.blocked = false;
    }

    fn on_fate(&mut self, side: usize, id: StreamId, token: MessageToken, fate: Fate) {
        let tokens = &self.parties[side].tokens;
        let place = usize::try_from(token.number()).ok().and_then(|number| tokens.get(number));
        let (stream, number) = *place.expect("a fate for a message that was taken");
        let stream = &mut self.streams[stream];
        assert_eq!(stream.id, id, "the wrong stream");
        stream.sending(side).expect("it was sent on").on_fate(number, fate);
    }

    /// Everything has settled. `all_ended`: all sending halves ended, so that no stream is left to
    /// wait for the limit on their number, and all are over.
    pub(super) fn judge(&mut self, all_ended: bool) {
        for stream in &self.streams {
            let limited = self.parties[stream.opener].limited[at(stream.id.direction())];
            let early = stream.id.index() >= FEW_STREAMS;
            let waits = !stream.told && !all_ended && (limited || early);
            for half in stream.halves.iter().flatten() {
                half.judge(waits);
            }
        }
        if all_ended {
            for side in [0, 1] {
                assert!(self.streams.iter_mut().all(|stream| stream.may_be_gone(side)));
            }
        }
    }
}
