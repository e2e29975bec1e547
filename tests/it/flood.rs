//! A flood of OPENs against a server with a CPU of finite speed (rows D1, D2, N25): what strangers
//! take from those who are connected, and from those who want to be.
//!
//! The test runs a bit more than half a second of it. The whole, ten seconds, is in a table
//! (tests/bench/SCALE.md):
//!
//! ```text
//! TRIPLINE_FLOOD_MILLIS=10000 cargo test -p tripline-tests --test it flood:: -- --nocapture
//! ```

use std::net::SocketAddr;
use tripline::{
    Config, ConnectOptions, ConnectionHandle, Endpoint, Event, Order, ReceiveResult, SendOptions,
    State, StreamId, StreamOptions,
};
use tripline_sansio::{DatagramMachine, Duration, Ecn, Instant, Random, Seed};
use tripline_sim::{Busy, Costs, HostId, LinkConfig, World};
use tripline_tests::identity;

/// OPENs a millisecond: 100,000 a second.
const OPENS_PER_MILLI: u64 = 100;

/// What the server's socket takes.
const SOCKET_BUFFER: usize = 4 << 20;

/// What the server's CPU pays for each datagram handed in: a full packet of payload, the dearest
/// that is not a handshake (3.2 µs). This and the three below are the least of many runs with the
/// portable AEAD, rounded up, as `cargo run --release --bin costs` in tests/bench measured them on
/// the machine of tests/bench/SCALE.md.
const DATAGRAM: Duration = Duration::from_micros(4);

/// On top for a handshake begun: the OPEN of a client with an identity, IK (272 µs). Those of this
/// flood have none and cost half of it.
const HANDSHAKE: Duration = Duration::from_micros(300);

/// For each train taken out: an ACK (2.6 µs). A RETRY costs a hundredth of it.
const TRANSMIT: Duration = Duration::from_micros(3);

/// For each due timeout, which does less than a packet.
const TIMEOUT: Duration = DATAGRAM;

/// What the server's calls cost its CPU.
const SLOW: Costs<Endpoint> = Costs {
    datagram: DATAGRAM,
    dear_so_far: |endpoint| endpoint.stats().opens_accepted,
    dear: HANDSHAKE,
    transmit: TRANSMIT,
    timeout: TIMEOUT,
};

/// The clients' hosts have all the time there is.
const FREE: Costs<Endpoint> = Costs {
    datagram: Duration::ZERO,
    dear_so_far: |_| 0,
    dear: Duration::ZERO,
    transmit: Duration::ZERO,
    timeout: Duration::ZERO,
};

fn at(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, last], 7_000))
}

/// An OPEN of a stranger.
fn open(seed: u64) -> Vec<u8> {
    let mut client = Endpoint::new(Config::client(), &Seed::from_number(seed), Instant::ZERO);
    let options = ConnectOptions::to(identity("server").public_key());
    client.connect(Instant::ZERO, at(9).into(), options).expect("begins");
    let mut out = Vec::new();
    client.poll_transmit(Instant::ZERO, &mut out).expect("an OPEN");
    out
}

/// A server on a slow CPU, a client that sends to it without end, and a newcomer.
struct Siege {
    world: World<Busy<Endpoint>>,
    server: HostId,
    client: HostId,
    newcomer: HostId,
    connection: ConnectionHandle,
    stream: StreamId,
    accepted: Option<(ConnectionHandle, StreamId)>,
    received: u64,
}

impl Siege {
    fn new() -> Self {
        let mut world = World::new(1);
        world.set_default_link(
            LinkConfig::perfect().delay(Duration::from_millis(10)).rate(2_000_000, 80_000),
        );
        let mut host = |config: Config, label: &str, last: u8, costs: Costs<Endpoint>| {
            let endpoint = Endpoint::new(config, &world.seed_for(label), Instant::ZERO);
            world.add_host(at(last), Busy::new(endpoint, costs, SOCKET_BUFFER))
        };
        let server = host(Config::public_server(identity("server")), "server", 1, SLOW);
        let client = host(Config::client(), "client", 2, FREE);
        let newcomer = host(Config::client(), "newcomer", 3, FREE);
        let connection = Self::begin(&mut world, client);
        world.run_for(Duration::from_millis(200));
        let options = StreamOptions::one_way(Order::Ordered);
        let stream = world.with(client, |busy, now| busy.machine.open(now, connection, options));
        let stream = stream.expect("opens");
        let (accepted, received) = (None, 0);
        Self { world, server, client, newcomer, connection, stream, accepted, received }
    }

    fn begin(world: &mut World<Busy<Endpoint>>, from: HostId) -> ConnectionHandle {
        let options = ConnectOptions::to(identity("server").public_key());
        world
            .with(from, |busy, now| busy.machine.connect(now, at(1).into(), options))
            .expect("begins")
    }

    /// A millisecond: the flood, if there is one, and as much payload as is taken.
    fn milli(&mut self, flood: Option<(&[Vec<u8>], &mut Random)>) {
        if let Some((opens, random)) = flood {
            for n in 0..OPENS_PER_MILLI {
                let source = SocketAddr::from((random.bits32().to_be_bytes(), 5));
                let open = &opens[random.below(opens.len() as u64) as usize];
                let delay = Duration::from_micros(10 * n);
                self.world.inject(delay, source, self.server, Ecn::NotEct, open);
            }
        }
        let (connection, stream) = (self.connection, self.stream);
        self.world.with(self.client, |busy, now| {
            let mut more = || {
                let options = SendOptions::default();
                busy.machine.send(now, connection, stream, vec![7; 1_000], options)
            };
            while more().is_ok() {}
        });
        self.world.run_for(Duration::from_millis(1));
        for (_, event) in self.world.take_events(self.server) {
            if let Event::Readable { connection, stream } = event {
                self.accepted = Some((connection, stream));
            }
        }
        if let Some((connection, stream)) = self.accepted {
            let received = &mut self.received;
            self.world.with(self.server, |busy, now| {
                while let Ok(ReceiveResult::Data(data)) =
                    busy.machine.receive(now, connection, stream)
                {
                    *received += data.len() as u64;
                }
            });
        }
    }

    /// Bytes received in so many milliseconds.
    fn goodput(&mut self, millis: u64, mut flood: Option<(&[Vec<u8>], &mut Random)>) -> u64 {
        let before = self.received;
        for _ in 0..millis {
            self.milli(flood.as_mut().map(|(opens, random)| (*opens, &mut **random)));
        }
        self.received - before
    }
}

/// D1: 100,000 OPENs a second from addresses that were never there, each call of the server charged
/// to its CPU: who is connected keeps 95 % of his goodput, and a newcomer is in within 3 seconds.
#[test]
pub(crate) fn d1_a_flood_leaves_goodput_and_newcomers_alone() {
    let millis = std::env::var("TRIPLINE_FLOOD_MILLIS").ok();
    let millis: u64 = millis.map_or(600, |text| text.parse().expect("a number"));
    let opens: Vec<Vec<u8>> = (0..2_000).map(|n| open(100 + n)).collect();
    let mut siege = Siege::new();
    let mut random = siege.world.random("flood");
    siege.goodput(1_000, None);
    let calm = siege.goodput(millis, None);
    let worked = siege.world.machine(siege.server).worked();
    let mut newcomers = Vec::new();
    let mut besieged = 0;
    let step = millis / 10;
    for _ in 0..10 {
        besieged += siege.goodput(step, Some((&opens, &mut random)));
        newcomers.push(Siege::begin(&mut siege.world, siege.newcomer));
    }
    let worked = siege.world.machine(siege.server).worked() - worked;
    // The flood goes on for as long as newcomers may take.
    for _ in 0..2_900 {
        let client = &siege.world.machine(siege.newcomer).machine;
        if newcomers.iter().all(|newcomer| client.state(*newcomer) == Some(State::Ready)) {
            break;
        }
        siege.milli(Some((&opens, &mut random)));
    }
    let client = &siege.world.machine(siege.newcomer).machine;
    let times: Vec<u64> = newcomers
        .iter()
        .map(|newcomer| {
            assert_eq!(client.state(*newcomer), Some(State::Ready), "a newcomer is kept out");
            client.connection_stats(*newcomer).map_or(0, |stats| stats.handshake_ns / 1_000_000)
        })
        .collect();
    let server = siege.world.machine(siege.server);
    let stats = server.machine.stats();
    println!(
        "{millis} ms of flood: goodput {besieged} of {calm} bytes ({:.1} %), newcomers in \
         {times:?} ms, CPU {:.0} %, {} dropped by the socket, {} RETRYs, {} handshakes begun",
        besieged as f64 * 100.0 / calm as f64,
        worked.as_secs_f64() * 100_000.0 / millis as f64,
        server.dropped(),
        stats.retries_sent,
        stats.opens_accepted,
    );
    assert!(times.iter().all(|millis| *millis < 3_000), "newcomers waited {times:?} ms");
    assert!(besieged * 100 >= calm * 95, "goodput {besieged} of {calm}");
    assert!(stats.retries_sent > millis * 50, "{stats:?}");
}
