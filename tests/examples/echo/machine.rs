//! The echo itself: an endpoint with an application on top, which together are one datagram machine
//! and know no loop.
//!
//! In goes what any datagram machine takes; out comes what it sends and what it has to tell. A
//! reaction to an event may have something to send, so it happens in the call that brought the
//! event, before the loop drains: never in `poll_event`, after which a loop sleeps.

use std::collections::VecDeque;
use std::net::SocketAddr;
use tripline::{
    Code, Config, ConnectOptions, ConnectionHandle, Endpoint, Event, Order, PublicKey,
    ReceiveResult, SecretKey, SendError, SendOptions, StreamId, StreamOptions,
};
use tripline_sansio::{DatagramMachine, Duration, Ecn, Instant, Path, Seed, Transmit};

/// How long an end may take.
const GRACE: Duration = Duration::from_secs(5);

/// What an echo has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// A line came (back).
    Line(String),
    /// The connection is over, and why if it ended badly.
    Over(Option<String>),
}

/// One side of an echo.
#[derive(Debug)]
pub(crate) struct Echo {
    endpoint: Endpoint,
    /// What the client still has to say; a server says what it hears.
    lines: Option<Vec<String>>,
    /// Lines that the client waits for.
    awaited: usize,
    /// What the engine had no room for, to be said when there is; nothing is read meanwhile.
    unsaid: Option<(ConnectionHandle, StreamId, bytes::Bytes)>,
    bad_end: Option<String>,
    told: VecDeque<Told>,
}

impl Echo {
    /// A server, for anybody who knows its key.
    pub(crate) fn server(key: SecretKey, seed: &Seed) -> Self {
        let endpoint = Endpoint::new(Config::public_server(key), seed, Instant::ZERO);
        Self::new(endpoint, None)
    }

    /// A client that says these lines, hears them again and goes.
    pub(crate) fn client(
        server: SocketAddr,
        key: PublicKey,
        lines: Vec<String>,
        seed: &Seed,
    ) -> Self {
        let mut endpoint = Endpoint::new(Config::client(), seed, Instant::ZERO);
        let begun = endpoint.connect(Instant::ZERO, server.into(), ConnectOptions::to(key));
        let mut client = Self::new(endpoint, Some(lines));
        if let Err(error) = begun {
            client.told.push_back(Told::Over(Some(error.to_string())));
        }
        client
    }

    fn new(endpoint: Endpoint, lines: Option<Vec<String>>) -> Self {
        let awaited = lines.as_ref().map_or(0, Vec::len);
        let told = VecDeque::new();
        Self { endpoint, lines, awaited, unsaid: None, bad_end: None, told }
    }

    /// Deals with everything that has happened.
    fn react(&mut self, now: Instant) {
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                Event::Connected { connection, .. } => self.say_all(now, connection),
                Event::Readable { connection, stream } => self.hear(now, connection, stream),
                Event::Writable { .. } => {
                    if let Some((connection, stream, line)) = self.unsaid.take()
                        && self.say(now, connection, stream, line)
                    {
                        self.hear(now, connection, stream);
                    }
                }
                Event::Failed { error, .. } => self.bad_end = Some(error.to_string()),
                Event::Lost { cause, .. } => self.bad_end = Some(cause.to_string()),
                Event::Drained { .. } => {
                    self.told.push_back(Told::Over(self.bad_end.take()));
                }
                _ => {}
            }
        }
    }

    /// The client begins.
    fn say_all(&mut self, now: Instant, connection: ConnectionHandle) {
        let Some(lines) = self.lines.take() else { return };
        let options = StreamOptions::two_way(Order::Ordered);
        let Ok(stream) = self.endpoint.open(now, connection, options) else { return };
        for line in lines {
            // A handful of lines always has room.
            let _ = self.endpoint.send(now, connection, stream, line, SendOptions::default());
        }
        let _ = self.endpoint.finish(now, connection, stream);
        self.lines = Some(Vec::new());
    }

    /// Says a line, or keeps it until there is room; true if it was said.
    fn say(
        &mut self,
        now: Instant,
        connection: ConnectionHandle,
        stream: StreamId,
        line: bytes::Bytes,
    ) -> bool {
        let options = SendOptions::default();
        match self.endpoint.send(now, connection, stream, line.clone(), options) {
            Err(SendError::Blocked) => {
                self.unsaid = Some((connection, stream, line));
                false
            }
            // Whoever does not want to hear does not hear.
            Ok(_) | Err(_) => true,
        }
    }

    /// Takes what there is. A server says it again.
    fn hear(&mut self, now: Instant, connection: ConnectionHandle, stream: StreamId) {
        let serves = self.lines.is_none();
        while self.unsaid.is_none() {
            match self.endpoint.receive(now, connection, stream) {
                Ok(ReceiveResult::Data(line)) => {
                    let text = String::from_utf8_lossy(&line).into_owned();
                    self.told.push_back(Told::Line(text));
                    self.awaited = self.awaited.saturating_sub(1);
                    if serves {
                        self.say(now, connection, stream, line);
                    }
                }
                Ok(ReceiveResult::Finished) => {
                    if serves {
                        let _ = self.endpoint.finish(now, connection, stream);
                    } else if self.awaited == 0 {
                        let _ = self.endpoint.close(now, connection, GRACE, Code::NONE, "");
                    }
                    return;
                }
                Ok(ReceiveResult::Nothing | ReceiveResult::Closed(_)) | Err(_) => return,
            }
        }
    }
}

impl DatagramMachine for Echo {
    type Event = Told;

    fn handle_datagram(&mut self, now: Instant, path: Path, ecn: Ecn, datagram: &mut [u8]) {
        self.endpoint.handle_datagram(now, path, ecn, datagram);
        self.react(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
        self.react(now);
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<Transmit> {
        let transmit = self.endpoint.poll_transmit(now, out);
        if transmit.is_none() {
            // A drain is where batches are settled; what that brings is dealt with here.
            self.react(now);
            return self.endpoint.poll_transmit(now, out);
        }
        transmit
    }

    fn handle_too_big(&mut self, now: Instant, transmit: &Transmit) {
        self.endpoint.handle_too_big(now, transmit);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.endpoint.poll_timeout()
    }

    fn poll_event(&mut self) -> Option<Told> {
        self.told.pop_front()
    }
}
