//! Servers of several threads on one port, over loopback, and clients that change their addresses.

use crate::*;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tripline::{
    Code, Config, ConnectError, ConnectOptions, ConnectionHandle, Endpoint, Event, Order,
    ReceiveResult, SecretKey, SendOptions, StreamId, StreamOptions,
};
use tripline_sansio::{DatagramMachine, Seed};

/// A limit no healthy test comes near.
const LONG: Duration = Duration::from_secs(30);
const LOOPBACK: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

fn key() -> SecretKey {
    SecretKey::from_bytes([1; 32])
}

/// Two endpoints on one port; `None` (and a word) if they are to be steered and cannot be.
fn two(config: Config, steering: bool) -> Option<Shards> {
    let options = ShardOptions { count: 2, steering, pin: true };
    let how = |_| ListenOptions::default();
    let shards = Shards::bind(LOOPBACK, config, options, how).expect("a port");
    match shards.steered() {
        Err(error) if steering => {
            eprintln!("skipped: the kernel takes no steering program: {error}");
            None
        }
        steered => {
            assert_eq!(steered.is_ok(), steering);
            Some(shards)
        }
    }
}

/// Sends back what comes, on every connection, until the listener is shut down.
fn serve(listener: &Listener) {
    while let Ok(connection) = listener.accept() {
        thread::spawn(move || {
            while let Ok(stream) = connection.accept_stream() {
                while let Ok(Some(message)) = stream.receive() {
                    let _ = stream.send(message);
                }
            }
        });
    }
}

/// A client whose socket is changed at will.
struct Roamer {
    looper: Loop<Endpoint>,
    connection: ConnectionHandle,
    stream: StreamId,
}

impl Roamer {
    fn new(to: SocketAddr, number: u64) -> Self {
        let options = Options::default();
        let endpoint =
            Endpoint::new(Config::client(), &Seed::from_number(number), options.clock.now());
        let mut looper = Loop::bind(LOOPBACK, &options, endpoint).expect("a loop");
        let (connection, stream) = looper.with(|endpoint, now| {
            let options = ConnectOptions::to(key().public_key());
            let connection = endpoint.connect(now, to.into(), options).expect("it begins");
            let two_way = StreamOptions::two_way(Order::Ordered);
            (connection, endpoint.open(now, connection, two_way).expect("it opens"))
        });
        Self { looper, connection, stream }
    }

    /// A message there and back.
    fn echo(&mut self, text: &str) {
        let Self { looper, connection, stream } = self;
        let (connection, stream) = (*connection, *stream);
        let sent = looper.with(|endpoint, now| {
            endpoint.send(now, connection, stream, text.to_owned(), SendOptions::default())
        });
        sent.expect("taken");
        let began = Instant::now();
        loop {
            let read = looper.with(|endpoint, now| endpoint.receive(now, connection, stream));
            if let ReceiveResult::Data(message) = read.expect("alive") {
                assert_eq!(message, text.as_bytes());
                return;
            }
            assert!(began.elapsed() < LONG, "{text} is not answered");
            looper.run_once(Some(Duration::from_millis(50))).expect("a turn");
            while let Some(event) = looper.next_event() {
                assert!(event.error().is_none(), "{event:?}");
            }
        }
    }

    /// The same client behind another port.
    fn rebind(self) -> Self {
        let Self { looper, connection, stream } = self;
        let clock = looper.clock();
        let (endpoint, _) = looper.into_parts();
        let socket = tripline_udp::Socket::bind(LOOPBACK, &Options::default().socket);
        let link = UdpLink::new(socket.expect("a socket"), 4);
        Self { looper: Loop::new(link, clock, endpoint).expect("a loop"), connection, stream }
    }

    fn close(mut self) {
        let connection = self.connection;
        let closed = self.looper.with(|endpoint, now| {
            endpoint.close(now, connection, Duration::from_secs(5), Code::NONE, "")
        });
        closed.expect("it lives");
        let began = Instant::now();
        while began.elapsed() < LONG {
            self.looper.run_once(Some(Duration::from_millis(50))).expect("a turn");
            while let Some(event) = self.looper.next_event() {
                if matches!(event, Event::Drained { .. }) {
                    return;
                }
            }
        }
        panic!("the end does not come");
    }
}

/// Many clients talk, move and talk; what has gone where, by the counters.
fn everyone_is_served(steering: bool) -> Option<(Vec<ShardStats>, Vec<Stats>)> {
    const CLIENTS: u64 = 24;
    const MOVES: u64 = 3;
    let shards = Arc::new(two(Config::public_server(key()), steering)?);
    let to = shards.local_addr();
    // Not scoped: a client that fails must fail the test, not wait for its server.
    let serve_one = |index: usize| {
        let shards = Arc::clone(&shards);
        thread::spawn(move || serve(&shards.listeners()[index]))
    };
    let servers: Vec<_> = (0..2).map(serve_one).collect();
    let mut clients: Vec<Roamer> = (0..CLIENTS).map(|at| Roamer::new(to, at)).collect();
    for round in 0..=MOVES {
        // All at once, so that what they send is mixed.
        for (at, client) in clients.iter_mut().enumerate() {
            client.echo(&format!("client {at}, round {round}"));
            client.echo("and once more");
        }
        if round < MOVES {
            clients = clients.into_iter().map(Roamer::rebind).collect();
        }
    }
    let counters: Vec<Stats> = shards.listeners().iter().flat_map(Listener::stats).collect();
    clients.into_iter().for_each(Roamer::close);
    shards.shut_down(LONG, Code::NONE, "").expect("an orderly end");
    servers.into_iter().for_each(|server| server.join().expect("the server"));
    let carried = (0..2).map(|index| shards.stats(index)).collect();
    Some((carried, counters))
}

/// All clients were taken in once, by both, and no packet met an endpoint that does not know it.
fn all_reached_their_owner(carried: &[ShardStats], counters: &[Stats]) {
    let sum = |of: fn(&Stats) -> u64| counters.iter().map(of).sum::<u64>();
    assert_eq!(sum(|stats| stats.endpoint.opens_accepted), 24);
    assert!(counters.iter().all(|stats| stats.endpoint.opens_accepted > 0), "all meet one");
    assert_eq!(sum(|stats| stats.endpoint.drops.unknown_connection), 0);
    assert_eq!(sum(|stats| stats.endpoint.drops.malformed), 0);
    assert_eq!(sum(|stats| stats.endpoint.resets_sent), 0);
    let sum = |of: fn(&ShardStats) -> u64| carried.iter().map(of).sum::<u64>();
    assert_eq!(sum(|stats| stats.forwarded), sum(|stats| stats.arrived));
    assert_eq!(sum(|stats| stats.overflowed), 0);
}

/// T69, R-ID-4a: with steering every packet reaches the socket of its connection's owner, also when
/// clients have changed their addresses: nothing has to be carried.
#[test]
fn t69_the_kernel_brings_every_packet_to_its_shard() {
    let Some((carried, counters)) = everyone_is_served(true) else { return };
    all_reached_their_owner(&carried, &counters);
    assert!(carried.iter().all(|stats| stats.forwarded == 0), "{carried:?}");
}

/// T69, R-ID-4a: without steering a client that has moved meets either socket, and what it sends is
/// carried to the owner of its connection.
#[test]
fn t69_forwarding_brings_every_packet_to_its_shard() {
    let (carried, counters) = everyone_is_served(false).expect("nothing to refuse");
    all_reached_their_owner(&carried, &counters);
    // 72 moves, each of which meets the wrong socket every second time.
    assert!(carried.iter().any(|stats| stats.forwarded > 0), "{carried:?}");
}

/// R-ID-4a: the same OPEN from the same address meets the same endpoint, so it makes one connection
/// however often it comes.
#[test]
fn r_id_4_a_repeated_open_meets_the_same_shard() {
    for steering in [true, false] {
        let Some(shards) = two(Config::public_server(key()), steering) else { continue };
        for number in 0..8 {
            let clock = Clock::new();
            let mut client =
                Endpoint::new(Config::client(), &Seed::from_number(number), clock.now());
            let options = ConnectOptions::to(key().public_key());
            client.connect(clock.now(), shards.local_addr().into(), options).expect("it begins");
            let mut open = Vec::new();
            assert!(client.poll_transmit(clock.now(), &mut open).is_some());
            let socket = UdpSocket::bind(LOOPBACK).expect("a socket");
            socket.set_read_timeout(Some(LONG)).expect("a limit");
            for _ in 0..5 {
                socket.send_to(&open, shards.local_addr()).expect("sent");
                // CHALLENGE, the same each time.
                let length = socket.recv(&mut [0; 2_048]).expect("an answer");
                assert!(length > 50);
            }
        }
        let stats: Vec<Stats> = shards.listeners().iter().flat_map(Listener::stats).collect();
        let sum = |of: fn(&Stats) -> u64| stats.iter().map(of).sum::<u64>();
        assert_eq!(sum(|stats| stats.endpoint.datagrams_received), 8 * 5);
        assert_eq!(sum(|stats| stats.endpoint.opens_accepted), 8);
    }
}

/// N37: each loop has its own limit of clients; whoever is beyond it is told so, and those who are
/// in stay on the loop that took them.
#[test]
fn n37_each_loop_has_its_limit_and_refuses_politely() {
    let config = Config { connections_max: 1, ..Config::public_server(key()) };
    let Some(shards) = two(config, true) else { return };
    let address = shards.address();
    let (mut inside, mut refused) = (Vec::new(), 0);
    // Both are met but for once in 2^39.
    for _ in 0..40 {
        match connect(&address) {
            Ok(connection) => inside.push(connection),
            Err(Error::Connect(ConnectError::Refused { code, .. })) => {
                assert_eq!(code, Code::BUSY);
                refused += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!((inside.len(), refused), (2, 38));
    for listener in shards.listeners() {
        let theirs = listener.accept().expect("its client");
        let stream = theirs.open(StreamOptions::one_way(Order::Ordered)).expect("a stream");
        stream.send("hello").expect("taken");
        stream.finish();
        assert_eq!(stream.settled().expect("settled").acked, 1);
    }
}

#[test]
fn a_count_that_cannot_be_is_refused() {
    for count in [0, 257] {
        let options = ShardOptions { count, ..ShardOptions::default() };
        let how = |_| ListenOptions::default();
        let shards = Shards::bind(LOOPBACK, Config::public_server(key()), options, how);
        assert!(matches!(shards, Err(Error::Io(_))), "{count}");
    }
    let default = ShardOptions::default();
    assert!(default.count >= 1 && default.steering);
}
