//! One endpoint of the transport and its user in one machine, so that a whole conversation needs
//! nothing of a loop but that it drives the machine.
//!
//! The client opens a stream of each order and sends; the server sends all back. After a pause, in
//! which only timers run, the client says one thing more and closes.

use crate::told::Told;
use std::net::SocketAddr;
use tripline::{
    Code, Config, ConnectOptions, ConnectionHandle, Endpoint, Event, Order, ReceiveResult,
    SecretKey, SendOptions, StreamId, StreamOptions,
};
use tripline_sansio::{DatagramMachine, Duration, Ecn, Instant, Path, Seed, Transmit};

/// Where the client is.
pub(crate) const CLIENT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), 1_111);
/// Where the server is.
pub(crate) const SERVER: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)), 2_222);
/// How long the client says nothing.
const PAUSE: Duration = Duration::from_secs(60);
/// Messages of each stream, and their sizes in turn.
const MESSAGES: usize = 12;
const SIZES: [usize; 4] = [1, 1_000, 9_000, 40];
/// Datagrams of a train: so few that no loop cuts what arrives at once into several batches.
const SEGMENTS_MAX: usize = 8;

/// Where the client is in its conversation.
#[derive(Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing is done yet; also what a server is at, always.
    Begin,
    Talking,
    /// The last message is out.
    Parting,
    Closing,
}

/// The endpoint and its user.
#[derive(Debug)]
pub(crate) struct Actor {
    endpoint: Endpoint,
    /// What a client connects to; a server has none.
    server: Option<tripline::PublicKey>,
    stage: Stage,
    /// The newest connection of the server, the only one of the client.
    connection: Option<ConnectionHandle>,
    streams: Vec<StreamId>,
    /// Bytes to come back.
    expected: usize,
    /// When the client goes on.
    alarm: Option<Instant>,
    told: u64,
    taken: u64,
}

impl Actor {
    fn server_key() -> SecretKey {
        SecretKey::from_bytes([0x5e; 32])
    }

    pub(crate) fn client(now: Instant) -> Self {
        Self::new(Config::client(), 1, Some(Self::server_key().public_key()), now)
    }

    pub(crate) fn server(now: Instant) -> Self {
        Self::new(Config::public_server(Self::server_key()), 2, None, now)
    }

    fn new(
        mut config: Config,
        seed: u64,
        server: Option<tripline::PublicKey>,
        now: Instant,
    ) -> Self {
        config.segments_max = SEGMENTS_MAX;
        config.transport.keep_alive = Duration::from_secs(15);
        Self {
            endpoint: Endpoint::new(config, &Seed::from_number(seed), now),
            server,
            stage: Stage::Begin,
            connection: None,
            streams: Vec::new(),
            expected: 0,
            alarm: None,
            told: 0,
            taken: 0,
        }
    }

    pub(crate) fn datagram(&mut self, now: Instant, path: Path, ecn: Ecn, datagram: &mut [u8]) {
        self.endpoint.handle_datagram(now, path, ecn, datagram);
    }

    pub(crate) fn timeout(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
        if self.alarm.is_some_and(|alarm| alarm <= now) {
            self.alarm = None;
            self.stage = Stage::Parting;
            if let Some(stream) = self.streams.first().copied() {
                self.say(now, stream, 500);
            }
        }
    }

    pub(crate) fn too_big(&mut self, now: Instant, transmit: &Transmit) {
        self.endpoint.handle_too_big(now, transmit);
    }

    /// What the endpoint has to send, and what its user makes of its events when it has no more.
    pub(crate) fn transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<Transmit> {
        if let Some(key) = self.server.filter(|_| self.connection.is_none()) {
            let options = ConnectOptions::to(key);
            self.connection = self.endpoint.connect(now, SERVER.into(), options).ok();
        }
        loop {
            if let Some(transmit) = self.endpoint.poll_transmit(now, out) {
                return Some(transmit);
            }
            let before = self.told;
            while let Some(event) = self.endpoint.poll_event() {
                self.told += 1;
                self.act(now, event);
            }
            if self.told == before {
                return None;
            }
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        [self.endpoint.poll_timeout(), self.alarm].into_iter().flatten().min()
    }

    /// Events that nobody has taken.
    pub(crate) fn events(&self) -> usize {
        usize::try_from(self.told - self.taken).unwrap_or(usize::MAX)
    }

    pub(crate) fn event(&mut self) -> Option<Told> {
        let event = Told(self.taken);
        (self.taken < self.told).then(|| {
            self.taken += 1;
            event
        })
    }

    /// All events so far.
    pub(crate) fn told(&self) -> u64 {
        self.told
    }

    fn act(&mut self, now: Instant, event: Event) {
        match event {
            Event::Connected { connection, .. } => {
                self.connection = Some(connection);
                if self.server.is_some() {
                    self.begin(now, connection);
                }
            }
            Event::Readable { connection, stream } => self.read(now, connection, stream),
            _ => {}
        }
    }

    fn begin(&mut self, now: Instant, connection: ConnectionHandle) {
        self.stage = Stage::Talking;
        for order in [Order::Ordered, Order::Unordered, Order::Bytes] {
            let options = StreamOptions::two_way(order);
            if let Ok(stream) = self.endpoint.open(now, connection, options) {
                self.streams.push(stream);
                for size in SIZES.into_iter().cycle().take(MESSAGES) {
                    self.say(now, stream, size);
                }
            }
        }
    }

    fn say(&mut self, now: Instant, stream: StreamId, size: usize) {
        let Some(connection) = self.connection else { return };
        let options = SendOptions::default();
        if self.endpoint.send(now, connection, stream, vec![0x42; size], options).is_ok() {
            self.expected += size;
        }
    }

    fn read(&mut self, now: Instant, connection: ConnectionHandle, stream: StreamId) {
        while let Ok(ReceiveResult::Data(data)) = self.endpoint.receive(now, connection, stream) {
            if self.server.is_none() {
                // What does not fit is not sent back, in every loop alike.
                let options = SendOptions::default();
                let _ = self.endpoint.send(now, connection, stream, data, options);
                continue;
            }
            self.expected = self.expected.saturating_sub(data.len());
            if self.expected > 0 {
                continue;
            }
            if self.stage == Stage::Talking {
                self.alarm = Some(now + PAUSE);
            } else if self.stage == Stage::Parting {
                self.stage = Stage::Closing;
                let grace = Duration::from_secs(1);
                let _ = self.endpoint.close(now, connection, grace, Code::NONE, "");
            }
        }
    }

    /// Whether all was said and the connection is over.
    pub(crate) fn is_done(&self) -> bool {
        let begun = self.server.is_none() || self.stage == Stage::Closing;
        begun && self.told > 0 && self.endpoint.connections() == 0
    }
}
