//! Two connected endpoints and one buffer between them.

use bytes::Bytes;
use tripline::{
    Config, ConnectOptions, ConnectionHandle, Endpoint, Event, Order, ReceiveResult, SendError,
    SendOptions, StreamId, StreamOptions,
};
use tripline_sansio::{DatagramMachine, Duration, Ecn, Instant, Path, Seed};
use tripline_tests::identity;

/// How long a datagram travels: long enough for the clock to move, short enough for every timer.
const DELAY: Duration = Duration::from_micros(50);

/// A client and a server, connected.
pub(crate) struct Wire {
    now: Instant,
    client: Endpoint,
    server: Endpoint,
    connection: ConnectionHandle,
    accepted: Option<ConnectionHandle>,
    buffer: Vec<u8>,
    received: usize,
}

impl Wire {
    /// A finished handshake.
    pub(crate) fn connected() -> Self {
        let now = Instant::ZERO;
        let seed = Seed::from_number(1);
        let key = identity("server");
        let server = Config::public_server(key.clone());
        let mut client = Endpoint::new(Config::client(), &seed.child("client"), now);
        let server = Endpoint::new(server, &seed.child("server"), now);
        let at: std::net::SocketAddr = ([10, 0, 0, 2], 2222).into();
        let options = ConnectOptions::to(key.public_key());
        let connection = client.connect(now, at.into(), options).expect("begins");
        let mut wire = Self {
            now,
            client,
            server,
            connection,
            accepted: None,
            buffer: Vec::with_capacity(65_536),
            received: 0,
        };
        while wire.accepted.is_none()
            || wire.client.state(connection) != Some(tripline::State::Ready)
        {
            wire.turn();
        }
        wire
    }

    /// Opens a stream of the client's.
    pub(crate) fn open(&mut self, options: StreamOptions) -> StreamId {
        self.client.open(self.now, self.connection, options).expect("opens")
    }

    /// Sends `count` messages, and turns until all are settled; the bytes received meanwhile.
    pub(crate) fn transfer(&mut self, stream: StreamId, payload: &Bytes, count: usize) -> usize {
        let before = self.received;
        let mut sent = 0;
        while sent < count {
            let options = SendOptions::default();
            match self.client.send(self.now, self.connection, stream, payload.clone(), options) {
                Ok(_) => sent += 1,
                Err(SendError::Blocked) => self.turn(),
                Err(error) => panic!("{error}"),
            }
        }
        for _ in 0..1_000 {
            self.turn();
        }
        let wanted = if stream.order() == Order::Latest { 1 } else { count * payload.len() };
        assert!(self.received - before >= wanted, "{} of {wanted} bytes", self.received - before);
        self.received - before
    }

    /// One turn of both loops: what each has to say reaches the other.
    fn turn(&mut self) {
        let Self { client, server, buffer, now, .. } = self;
        *now += DELAY;
        client.handle_timeout(*now);
        carry(client, server, *now, buffer, 1);
        *now += DELAY;
        server.handle_timeout(*now);
        carry(server, client, *now, buffer, 2);
        while client.poll_event().is_some() {}
        while let Some(event) = self.server.poll_event() {
            match event {
                Event::Connected { connection, .. } => self.accepted = Some(connection),
                Event::Readable { connection, stream } => self.read(connection, stream),
                _ => {}
            }
        }
    }

    fn read(&mut self, connection: ConnectionHandle, stream: StreamId) {
        while let Ok(ReceiveResult::Data(data)) = self.server.receive(self.now, connection, stream)
        {
            self.received += data.len();
        }
    }
}

/// Hands all that `from` wants to send to `to`, as the host with this number.
fn carry(from: &mut Endpoint, to: &mut Endpoint, now: Instant, buffer: &mut Vec<u8>, host: u8) {
    let port = if host == 1 { 1111 } else { 2222 };
    let path = Path { remote: ([10, 0, 0, host], port).into(), local: None };
    loop {
        buffer.clear();
        let Some(transmit) = from.poll_transmit(now, buffer) else { return };
        for datagram in buffer.chunks_mut(transmit.segment_size) {
            to.handle_datagram(now, path, Ecn::NotEct, datagram);
        }
    }
}
