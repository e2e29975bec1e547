//! Two peers and a pipe of memory between them.

use crate::{
    CallId, CallOptions, Config, Event, Lane, Method, Outcome, Payload, Peer, Piece, Pipe,
    RequestId, SessionId, Taken,
};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::Bytes;
use tripline_sansio::{Duration, Instant};

pub(crate) const CALLER: usize = 0;
pub(crate) const CALLEE: usize = 1;

/// The caller is number 0, the callee 1. Messages arrive when [`Talk::run`] is called.
pub(crate) struct Talk {
    pub(crate) peers: [Peer; 2],
    pub(crate) now: Instant,
    /// Messages to each of them.
    pub(crate) wires: [VecDeque<(Lane, Bytes)>; 2],
    pub(crate) pipe: Pipe,
    /// Bytes that ever went to each of them, and messages.
    pub(crate) carried: [(usize, usize); 2],
}

impl Talk {
    /// Connected, and with both HELLOs exchanged; what they told is dropped.
    pub(crate) fn new() -> Self {
        Self::with(Config::default(), Config::default())
    }

    pub(crate) fn with(caller: Config, callee: Config) -> Self {
        let mut talk = Self::apart(caller, callee);
        talk.attach();
        talk.run();
        for side in [CALLER, CALLEE] {
            assert_eq!(talk.events(side), [Event::Ready { resumed: false }]);
        }
        talk
    }

    /// The same over a pipe that has lanes.
    pub(crate) fn with_lanes() -> Self {
        let mut talk = Self::apart(Config::default(), Config::default());
        talk.pipe.has_lanes = true;
        talk.attach();
        talk.run();
        for side in [CALLER, CALLEE] {
            assert_eq!(talk.events(side), [Event::Ready { resumed: false }]);
        }
        talk
    }

    /// Not connected yet.
    pub(crate) fn apart(caller: Config, callee: Config) -> Self {
        let session = SessionId([7; 16]);
        Self {
            peers: [Peer::caller(caller, session), Peer::callee(callee)],
            now: Instant::ZERO + Duration::from_secs(1),
            wires: Default::default(),
            pipe: Pipe::MEMORY,
            carried: Default::default(),
        }
    }

    pub(crate) fn attach(&mut self) {
        for peer in &mut self.peers {
            peer.attach(self.now, self.pipe);
        }
    }

    /// The pipe breaks, with all that is on its way.
    pub(crate) fn detach(&mut self) {
        self.wires = Default::default();
        for peer in &mut self.peers {
            peer.detach(self.now);
        }
    }

    /// The callee's process is started anew.
    pub(crate) fn restart_callee(&mut self, config: Config) {
        self.peers[CALLEE] = Peer::callee(config);
    }

    /// What both have to send goes on its way.
    pub(crate) fn post(&mut self) {
        for from in [CALLER, CALLEE] {
            let (wire, carried) = (&mut self.wires[1 - from], &mut self.carried[1 - from]);
            self.peers[from].poll_send(self.now, |lane, piece| {
                match piece {
                    Piece::Batch(batch) => {
                        carried.0 += batch.wire().len();
                        carried.1 += batch.len();
                        wire.extend(batch.take().map(|message| (lane, message)));
                    }
                    Piece::Message { message, .. } => {
                        *carried = (carried.0 + message.len() + 4, carried.1 + 1);
                        wire.push_back((lane, message.clone()));
                    }
                }
                Taken::Yes
            });
        }
    }

    /// One message arrives at a side.
    pub(crate) fn arrive(&mut self, side: usize) -> bool {
        let Some((lane, message)) = self.wires[side].pop_front() else { return false };
        self.peers[side].handle_message(self.now, lane, &message);
        true
    }

    /// Everything goes to and fro until nothing is left to say.
    pub(crate) fn run(&mut self) {
        loop {
            self.post();
            if !self.arrive(CALLER) & !self.arrive(CALLEE) {
                return;
            }
        }
    }

    /// Time passes, deadline by deadline.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.run();
            let next = self.peers.iter().filter_map(Peer::poll_timeout).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            assert!(next > self.now, "a deadline that does not move");
            self.now = next;
            for peer in &mut self.peers {
                if peer.poll_timeout().is_some_and(|at| at <= next) {
                    peer.handle_timeout(next);
                }
            }
        }
        self.now = end;
    }

    pub(crate) fn events(&mut self, side: usize) -> Vec<Event> {
        core::iter::from_fn(|| self.peers[side].poll_event()).collect()
    }

    pub(crate) fn call(&mut self, side: usize, payload: &[u8], options: CallOptions) -> CallId {
        self.peers[side].call(self.now, 1_u16, payload, options).unwrap()
    }

    /// The one request that a side was told of.
    pub(crate) fn request(&mut self, side: usize) -> (RequestId, Method, Bytes) {
        let mut events = self.events(side);
        let Some(Event::Request { request, method, payload, .. }) = events.pop() else {
            panic!("no request")
        };
        assert_eq!(events, []);
        (request, method, payload)
    }

    /// The one outcome that a side was told of.
    pub(crate) fn outcome(&mut self, side: usize) -> (CallId, Outcome) {
        let mut events = self.events(side);
        let Some(Event::Outcome { call, outcome }) = events.pop() else { panic!("no outcome") };
        assert_eq!(events, []);
        (call, outcome)
    }

    pub(crate) fn reply<'a>(
        &mut self,
        side: usize,
        request: RequestId,
        payload: impl Into<Payload<'a>>,
    ) {
        self.peers[side].reply(self.now, request, payload).unwrap();
    }

    /// Nothing is under way, and nothing is remembered.
    pub(crate) fn assert_idle(&mut self) {
        self.run();
        for peer in &self.peers {
            assert!(peer.is_idle(), "{peer:?}");
            let stats = peer.stats();
            assert_eq!(stats.calls, stats.outcomes);
        }
    }
}
