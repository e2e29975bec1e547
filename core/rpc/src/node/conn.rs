//! One connection of a node: a conversation, what carries it now, and what becomes of it.

use super::client::Client;
use super::event::Via;
use crate::boxed::Boxed;
use crate::lane::Lane;
use crate::peer::Peer;
use crate::wire::SessionId;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use tripline::{ConnectionHandle, Endpoint, MessageToken, PublicKey, StreamId};
use tripline_sansio::Instant;

#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) peer: Peer,
    pub(crate) line: Line,
    /// For one of ours: how it comes about, again and again.
    pub(crate) client: Option<Client>,
    /// The identity that the other side proved.
    pub(crate) who: Option<PublicKey>,
    /// By what a client's conversation is found again.
    pub(crate) session: Option<SessionId>,
    /// A client's that was never there before.
    pub(crate) is_newcomer: bool,
    /// It has a pipe, and the user knows.
    pub(crate) is_open: bool,
    /// How many pipes it had: streams of one mean nothing to another.
    pub(crate) pipes: u64,
    /// A client's conversation without a pipe is remembered until then.
    pub(crate) forget_at: Option<Instant>,
    /// The user closes it: what is under way has until then.
    pub(crate) closing: Option<Instant>,
    /// Its pipe was told to end.
    pub(crate) hung_up: bool,
    /// It was told to end sooner than that.
    pub(crate) cut_at: Option<Instant>,
    /// It is in the list of those that may have something to send.
    pub(crate) is_dirty: bool,
    /// It is in the list of those that have something to tell.
    pub(crate) is_noisy: bool,
    /// It is in the list of those that have something to read.
    pub(crate) is_unread: bool,
    /// Nothing more is read until what was read is told, or said.
    pub(crate) is_stalled: bool,
}

impl Conn {
    pub(crate) fn new(peer: Peer, client: Option<Client>, who: Option<PublicKey>) -> Self {
        Self {
            peer,
            line: Line::None,
            client,
            who,
            session: None,
            is_newcomer: false,
            is_open: false,
            pipes: 0,
            forget_at: None,
            closing: None,
            hung_up: false,
            cut_at: None,
            is_dirty: false,
            is_noisy: false,
            is_unread: false,
            is_stalled: false,
        }
    }
}

/// So many named streams are nothing to look through.
const SWEEP_AT: usize = 16;

/// What carries a connection.
#[derive(Debug)]
pub(crate) enum Line {
    None,
    Trip(TripLine),
    /// A link of this number.
    Bytes(u64),
    /// A contact of the msgbox profile.
    Box(Box<Boxed>),
}

/// A connection of the transport, and its streams.
#[derive(Debug)]
pub(crate) struct TripLine {
    pub(crate) handle: ConnectionHandle,
    /// How the client has come in.
    pub(crate) via: Via,
    /// By which stream we send on each lane.
    pub(crate) streams: Vec<(Lane, StreamId)>,
    /// By which lane each stream comes.
    pub(crate) lanes: Vec<(StreamId, Lane)>,
    /// Streams of lanes, or of nobody knows what yet, that have something to be read.
    pub(crate) readable: Vec<StreamId>,
    /// Streams with names that are open. Those that are over are looked for when there are so many.
    pub(crate) named: BTreeSet<StreamId>,
    /// Names of streams of the other side's that the transport has not heard of yet.
    pub(crate) names: BTreeMap<StreamId, Arc<str>>,
    pub(crate) sweep_at: usize,
    /// Messages of those whose fate is to be told: when they were handed in, and their length.
    pub(crate) sent: BTreeMap<(StreamId, MessageToken), (Instant, usize)>,
}

impl TripLine {
    pub(crate) fn new(handle: ConnectionHandle, via: Via) -> Self {
        Self {
            handle,
            via,
            streams: Vec::new(),
            lanes: Vec::new(),
            readable: Vec::new(),
            named: BTreeSet::new(),
            names: BTreeMap::new(),
            sweep_at: SWEEP_AT,
            sent: BTreeMap::new(),
        }
    }

    /// Forgets named streams that are over, if there are so many that it is worth a look.
    pub(crate) fn sweep(&mut self, endpoint: &Endpoint) {
        if self.named.len() >= self.sweep_at {
            let handle = self.handle;
            self.named.retain(|id| endpoint.has_stream(handle, *id));
            self.sweep_at = self.named.len().saturating_mul(2).max(SWEEP_AT);
        }
    }

    pub(crate) fn stream_of(&self, lane: Lane) -> Option<StreamId> {
        self.streams.iter().find(|(of, _)| *of == lane).map(|(_, stream)| *stream)
    }

    pub(crate) fn lane_of(&self, stream: StreamId) -> Option<Lane> {
        self.lanes.iter().find(|(of, _)| *of == stream).map(|(_, lane)| *lane)
    }

    /// Whether more streams are said to be lanes than both sides can have opened.
    pub(crate) fn has_too_many_lanes(&self) -> bool {
        self.lanes.len() > Lane::COUNT.saturating_mul(2)
    }

    /// A stream is known to be a lane's, both ways.
    pub(crate) fn learn(&mut self, lane: Lane, stream: StreamId) {
        if self.lane_of(stream).is_none() {
            self.lanes.push((stream, lane));
        }
        if self.stream_of(lane).is_none() {
            self.streams.push((lane, stream));
        }
    }

    /// On a raw connection every stream but that of the default lane is the user's. Those that came
    /// before it was known to be raw.
    pub(crate) fn unnamed(&self) -> Vec<StreamId> {
        self.readable.iter().copied().filter(|stream| self.lane_of(*stream).is_none()).collect()
    }

    pub(crate) fn note_readable(&mut self, stream: StreamId) {
        if !self.readable.contains(&stream) {
            self.readable.push(stream);
        }
    }

    /// A stream that has something, and whose lane is known.
    pub(crate) fn next_readable(&self) -> Option<(StreamId, Lane)> {
        self.readable.iter().find_map(|stream| Some((*stream, self.lane_of(*stream)?)))
    }
}
