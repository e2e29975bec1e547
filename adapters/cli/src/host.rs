//! What every server does besides its service: it decides on newcomers and answers pings.
//!
//! Each service has a route that its clients name (row T15). A client that names another one is
//! refused with a text that says what is here (row T13); the route `ping` is always welcome.

use crate::looper::Looper;
use bytes::Bytes;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tripline::{
    Code, ConnectionHandle, Direction, Event, Incoming, Order, ReceiveResult, SendError,
    SendOptions, StreamId, StreamOptions,
};

/// The route of `ping`.
pub(crate) const PING: &[u8] = b"ping";
/// The route of `listen` and `connect`.
pub(crate) const PIPE: &[u8] = b"pipe";
/// The route of `send` and `receive`.
pub(crate) const FILES: &[u8] = b"files";

/// How many connections are served with pings or echo at once.
const ECHOES_MAX: usize = 64;
/// What a client is told that comes when all places are taken.
const TAKEN: &str = "somebody else is being served";

/// Decides on newcomers, and echoes.
#[derive(Debug)]
pub(crate) struct Host {
    /// The service.
    route: &'static [u8],
    /// How many clients the service takes at once.
    places: usize,
    /// The clients that it has now.
    served: BTreeSet<ConnectionHandle>,
    /// Whether the service itself is an echo.
    echo_all: bool,
    /// The connections that get everything back, and how it is sent.
    echoes: BTreeMap<ConnectionHandle, SendOptions>,
    streams: BTreeMap<(ConnectionHandle, StreamId), Mirror>,
}

/// One stream that is sent back.
#[derive(Debug)]
struct Mirror {
    /// Where to: itself, or for a one-way stream one of our own.
    back: StreamId,
    /// What did not fit yet. Nothing more is read meanwhile, so credit holds the client back.
    waiting: Option<Bytes>,
    /// Whether the client has finished.
    ended: bool,
}

impl Host {
    /// A service at `route` for `places` clients at once.
    pub(crate) fn new(route: &'static [u8], places: usize) -> Self {
        Self {
            route,
            places,
            served: BTreeSet::new(),
            echo_all: false,
            echoes: BTreeMap::new(),
            streams: BTreeMap::new(),
        }
    }

    /// Sends everything back that comes over `route`.
    pub(crate) fn echo(route: &'static [u8]) -> Self {
        Self { echo_all: true, ..Self::new(route, ECHOES_MAX) }
    }

    /// Takes care of an event; `false` if it is the service's.
    pub(crate) fn on(&mut self, looper: &mut Looper, event: &Event) -> bool {
        match event {
            Event::Incoming(incoming) => {
                self.screen(looper, incoming);
                true
            }
            Event::Connected { connection, route, .. } => self.admit(looper, *connection, route),
            Event::Closed { connection, .. } | Event::Lost { connection, .. } => {
                self.streams.retain(|(on, _), _| on != connection);
                self.echoes.remove(connection);
                !self.served.remove(connection)
            }
            Event::Readable { connection, stream } if self.echoes.contains_key(connection) => {
                self.reflect(looper, *connection, *stream);
                true
            }
            Event::Writable { connection, stream } if self.echoes.contains_key(connection) => {
                let from = self
                    .streams
                    .iter()
                    .find(|((on, _), mirror)| on == connection && mirror.back == *stream);
                if let Some((on, from)) = from.map(|(key, _)| *key) {
                    self.reflect(looper, on, from);
                }
                true
            }
            // Nobody serves it any more, but whoever waits for its end does.
            Event::Drained { .. } | Event::ShutDown => false,
            Event::Resolve { connection, .. }
            | Event::ServerKey { connection, .. }
            | Event::Failed { connection, .. }
            | Event::Opened { connection, .. }
            | Event::Readable { connection, .. }
            | Event::Writable { connection, .. }
            | Event::Stopped { connection, .. }
            | Event::StreamsAvailable { connection, .. }
            | Event::Message { connection, .. }
            | Event::Moved { connection, .. }
            | Event::UmtuChanged { connection, .. }
            | Event::Unlinked { connection, .. }
            | Event::Unsafe { connection, .. }
            | Event::Quiet { connection, .. }
            | Event::Forward { connection, .. }
            | Event::Leaving { connection, .. } => !self.served.contains(connection),
        }
    }

    /// A client is in: it is echoed, or served, or one too many (several may be let in before the
    /// first of them arrives).
    fn admit(&mut self, looper: &mut Looper, connection: ConnectionHandle, route: &[u8]) -> bool {
        if self.echo_all || route == PING {
            // A ping that is lost on its way back shall count as lost.
            let ping = route == PING;
            let options = if ping { SendOptions::UNRELIABLE } else { SendOptions::default() };
            self.echoes.insert(connection, options);
            return true;
        }
        if self.served.len() < self.places {
            self.served.insert(connection);
            return false;
        }
        // It may be gone already.
        let _ = looper.with(|endpoint, now| {
            endpoint.close(now, connection, Duration::ZERO, Code::BUSY, TAKEN)
        });
        true
    }

    /// Lets a client in or refuses it (rows T12, T13, T15).
    fn screen(&mut self, looper: &mut Looper, incoming: &Incoming) {
        let service = String::from_utf8_lossy(self.route).into_owned();
        let ping = incoming.route == PING;
        let full = if ping || self.echo_all {
            self.echoes.len() >= ECHOES_MAX
        } else {
            self.served.len() >= self.places
        };
        let refusal = if !ping && incoming.route != self.route {
            Some((Code::NO_ROUTE, format!("the service here is {service}")))
        } else {
            full.then(|| (Code::BUSY, TAKEN.to_string()))
        };
        let handle = incoming.handle;
        // A client that waited for too long is gone, and needs no answer.
        let _ = looper.with(|endpoint, now| match &refusal {
            None => endpoint.accept(now, handle),
            Some((code, reason)) => endpoint.refuse(now, handle, *code, reason),
        });
    }

    /// Sends back what a stream has, as far as there is room.
    fn reflect(&mut self, looper: &mut Looper, on: ConnectionHandle, from: StreamId) {
        let mirror = match self.streams.entry((on, from)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let options = StreamOptions::one_way(from.order());
                let back = match from.direction() {
                    Direction::TwoWay => Ok(from),
                    Direction::OneWay => {
                        looper.with(|endpoint, now| endpoint.open(now, on, options))
                    }
                };
                // A client that lets us open nothing gets nothing back.
                let Ok(back) = back else { return };
                new.insert(Mirror { back, waiting: None, ended: false })
            }
        };
        let wanted = self.echoes.get(&on).copied().unwrap_or_default();
        let options = if from.order() == Order::Bytes { SendOptions::default() } else { wanted };
        if mirror.run(looper, on, from, options).is_none() {
            self.streams.remove(&(on, from));
        }
    }
}

impl Mirror {
    /// Works until there is nothing to read or no room; `None` once the stream is done with.
    fn run(
        &mut self,
        looper: &mut Looper,
        on: ConnectionHandle,
        from: StreamId,
        options: SendOptions,
    ) -> Option<()> {
        while !self.ended {
            let data = match self.waiting.take() {
                Some(data) => data,
                None => match looper.with(|endpoint, now| endpoint.receive(now, on, from)) {
                    Ok(ReceiveResult::Data(data)) => data,
                    Ok(ReceiveResult::Nothing) => return Some(()),
                    Ok(ReceiveResult::Finished | ReceiveResult::Closed(_)) | Err(_) => {
                        self.ended = true;
                        break;
                    }
                },
            };
            let copy = data.clone();
            match looper.with(|endpoint, now| endpoint.send(now, on, self.back, copy, options)) {
                Ok(_) => {}
                Err(SendError::Blocked) => {
                    self.waiting = Some(data);
                    return Some(());
                }
                Err(_) => self.ended = true,
            }
        }
        // It may have ended before; then there is nothing to say.
        let _ = looper.with(|endpoint, now| endpoint.finish(now, on, self.back));
        None
    }
}

/// The stream that pings go over.
pub(crate) const PING_STREAM: StreamOptions = StreamOptions::two_way(Order::Unordered);
/// The streams of a pipe: each side opens one for what it has to say.
pub(crate) const PIPE_STREAM: StreamOptions = StreamOptions::one_way(Order::Bytes);
/// The streams of files: there the file, back the receipt.
pub(crate) const FILE_STREAM: StreamOptions = StreamOptions::two_way(Order::Bytes);
