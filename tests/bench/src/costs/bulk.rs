//! What packets of bulk cost: taking out trains of payload, handing them in, taking out the ACKs
//! for
//! them and handing those in.
//!
//! In go the number of runs and a cipher with its back end; out come the lines of the table.

use std::net::SocketAddr;
use std::time::Instant as Clock;

use tripline::{
    Aead, Config, Congestion, ConnectOptions, ConnectionHandle, Endpoint, Event, Order,
    ReceiveResult, SecretKey, SendError, SendOptions, StreamId, StreamOptions, TransportConfig,
};
use tripline_sansio::{DatagramMachine, Duration, Ecn, Instant, Path, Seed, Transmit};

use std::sync::Arc;

use crate::{Failure, Line};

/// Turns before anything counts: the handshake, and the way to a steady rate.
const WARM_UP: usize = 200;
/// Turns of one run.
const TURNS: usize = 20;
/// How long a datagram is under way.
const ONE_WAY: Duration = Duration::from_micros(500);
/// What the sender may send, in bytes per second: about a hundred packets a turn.
const RATE: u64 = 120_000_000;

/// What the application hands in at once; it is shared, not copied.
static CHUNK: [u8; 64 << 10] = [0x5a; 64 << 10];

/// Nanoseconds spent, and how often something was done in them.
#[derive(Clone, Copy, Default)]
struct Spent {
    nanos: u128,
    count: u64,
}

impl Spent {
    fn add(&mut self, begun: Clock, count: u64) {
        self.nanos += begun.elapsed().as_nanos();
        self.count += count;
    }

    fn each(self) -> f64 {
        self.nanos as f64 / self.count.max(1) as f64
    }
}

/// One side: its endpoint, its address, what it sent and not yet delivered.
struct Side {
    endpoint: Endpoint,
    path: Path,
    out: Vec<u8>,
    trains: Vec<Transmit>,
    /// Packets handed in.
    taking: Spent,
    /// Packets taken out.
    sending: Spent,
}

impl Side {
    fn new(config: Config, label: &str, port: u16) -> Self {
        Self {
            endpoint: Endpoint::new(config, &Seed::from_number(3).child(label), Instant::ZERO),
            path: Path::to(SocketAddr::from(([127, 0, 0, 1], port))),
            out: Vec::new(),
            trains: Vec::new(),
            taking: Spent::default(),
            sending: Spent::default(),
        }
    }

    /// Takes out all there is to send.
    fn send(&mut self, now: Instant) {
        let begun = Clock::now();
        let mut count = 0;
        while let Some(train) = self.endpoint.poll_transmit(now, &mut self.out) {
            count += train.segments() as u64;
            self.trains.push(train);
        }
        self.sending.add(begun, count);
    }

    /// Takes what the other side sent, and the time.
    fn take(&mut self, now: Instant, from: &mut Self) {
        let begun = Clock::now();
        let (mut rest, mut count) = (from.out.as_mut_slice(), 0);
        for train in from.trains.drain(..) {
            let (bytes, after) = rest.split_at_mut(train.len);
            for datagram in bytes.chunks_mut(train.segment_size) {
                self.endpoint.handle_datagram(now, from.path, Ecn::NotEct, datagram);
                count += 1;
            }
            rest = after;
        }
        self.taking.add(begun, count);
        from.out.clear();
        if self.endpoint.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.endpoint.handle_timeout(now);
        }
    }
}

/// A sender and a receiver of bulk.
struct Pair {
    client: Side,
    server: Side,
    now: Instant,
    connection: ConnectionHandle,
    stream: StreamId,
    received: u64,
}

impl Pair {
    fn new(aead: &Arc<dyn Aead>, aes: bool) -> Result<Self, Failure> {
        let identity = SecretKey::generate(&mut Seed::from_number(3).random("identity"));
        let options = ConnectOptions::to(identity.public_key());
        let config = |base: Config| {
            let transport = TransportConfig {
                congestion: Congestion::FixedRate(RATE),
                datagram_ceiling: 1_200,
                ..TransportConfig::default()
            };
            Config { transport, aead: Arc::clone(aead), hardware_aes: aes, ..base }
        };
        let mut client = Side::new(config(Config::client()), "client", 1);
        let server = Side::new(config(Config::public_server(identity)), "server", 2);
        let now = Instant::ZERO;
        let connection = client.endpoint.connect(now, server.path.remote.into(), options)?;
        let options = StreamOptions::one_way(Order::Bytes);
        let stream = client.endpoint.open(now, connection, options)?;
        Ok(Self { client, server, now, connection, stream, received: 0 })
    }

    /// There and back once.
    fn turn(&mut self) -> Result<(), Failure> {
        loop {
            let options = SendOptions::default();
            let endpoint = &mut self.client.endpoint;
            match endpoint.send(self.now, self.connection, self.stream, &CHUNK[..], options) {
                Ok(_) => {}
                Err(SendError::Blocked) => break,
                Err(error) => return Err(error.into()),
            }
        }
        self.client.send(self.now);
        self.now += ONE_WAY;
        self.server.take(self.now, &mut self.client);
        while let Some(event) = self.server.endpoint.poll_event() {
            if let Event::Readable { connection, stream } = event {
                while let ReceiveResult::Data(bytes) =
                    self.server.endpoint.receive(self.now, connection, stream)?
                {
                    self.received += bytes.len() as u64;
                }
            }
        }
        self.server.send(self.now);
        self.now += ONE_WAY;
        self.client.take(self.now, &mut self.server);
        while let Some(event) = self.client.endpoint.poll_event() {
            if let Event::Failed { error, .. } = event {
                return Err(error.into());
            }
        }
        Ok(())
    }
}

/// All lines about bulk with one cipher and back end.
pub fn measure(
    runs: usize,
    name: &str,
    aead: &Arc<dyn Aead>,
    aes: bool,
) -> Result<Vec<Line>, Failure> {
    let mut pair = Pair::new(aead, aes)?;
    for _ in 0..WARM_UP {
        pair.turn()?;
    }
    let mut all: [Vec<f64>; 4] = Default::default();
    let before = pair.received;
    for _ in 0..runs {
        for side in [&mut pair.client, &mut pair.server] {
            (side.taking, side.sending) = Default::default();
        }
        for _ in 0..TURNS {
            pair.turn()?;
        }
        let spent =
            [pair.client.sending, pair.server.taking, pair.server.sending, pair.client.taking];
        for (runs, spent) in all.iter_mut().zip(spent) {
            runs.push(spent.each());
        }
    }
    let carried = pair.received - before;
    if carried < RATE / 2_000 * (runs * TURNS) as u64 {
        return Err(format!("only {carried} bytes in {runs} runs").into());
    }
    let calls = [
        "a full packet of payload: taking it out",
        "a full packet of payload: handing it in",
        "an ACK of about a hundred packets: taking it out",
        "an ACK of about a hundred packets: handing it in",
    ];
    Ok(calls
        .iter()
        .zip(&all)
        .map(|(call, runs)| Line::new(format!("{call}, {name}"), runs))
        .collect())
}
