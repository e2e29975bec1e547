//! The engine by itself: two endpoints in one thread, trains handed over in memory, virtual time.
//! Answers what a packet costs each side, without sockets, system calls and scheduling; it is also
//! what profilers are pointed at.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tripline::{Config, Endpoint, Event, SecretKey};
use tripline_sansio::{DatagramMachine, Ecn, Path, Seed, Transmit};

use crate::tripline_peer::{Shape, Sink, Source, transport, with_suite};
use crate::workload::{Failure, Workload};

/// How long a datagram is under way; a turn of the virtual clock.
const ONE_WAY: Duration = Duration::from_micros(100);
/// Turns without progress after which the run counts as stuck.
const STUCK: u32 = 100_000;

/// What a run cost.
pub struct Costs {
    /// Datagrams that the client sent.
    pub sent: u64,
    /// Datagrams that the server sent.
    pub answered: u64,
    /// Time spent in the client and its application.
    pub client: Duration,
    /// Time spent in the server and its application.
    pub server: Duration,
    /// Payload bytes.
    pub bytes: u64,
}

impl Costs {
    /// One line for people: nanoseconds for each packet with payload, by side.
    pub fn text(&self) -> String {
        let each = |time: Duration| time.as_nanos() as f64 / self.sent.max(1) as f64;
        let all = self.client + self.server;
        format!(
            "{} packets, {} answers: client {:.0} ns, server {:.0} ns per packet; {:.1} MB/s",
            self.sent,
            self.answered,
            each(self.client),
            each(self.server),
            self.bytes as f64 / 1e6 / all.as_secs_f64()
        )
    }
}

/// One endpoint with its address and what it wants to send.
struct Node {
    endpoint: Endpoint,
    path: Path,
    out: Vec<u8>,
    trains: Vec<Transmit>,
    spent: Duration,
    datagrams: u64,
}

impl Node {
    fn new(config: Config, label: &str, address: SocketAddr) -> Self {
        let seed = Seed::from_number(1).child(label);
        Self {
            endpoint: Endpoint::new(config, &seed, tripline_sansio::Instant::ZERO),
            path: Path::to(address),
            out: Vec::new(),
            trains: Vec::new(),
            spent: Duration::ZERO,
            datagrams: 0,
        }
    }

    /// Takes what the other side sent.
    fn receive(&mut self, now: tripline_sansio::Instant, from: &mut Self) {
        let begun = Instant::now();
        let mut rest = from.out.as_mut_slice();
        for train in from.trains.drain(..) {
            let (bytes, after) = rest.split_at_mut(train.len);
            for datagram in bytes.chunks_mut(train.segment_size) {
                self.endpoint.handle_datagram(now, from.path, Ecn::NotEct, datagram);
            }
            rest = after;
        }
        from.out.clear();
        if self.endpoint.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.endpoint.handle_timeout(now);
        }
        self.spent += begun.elapsed();
    }

    /// Lets the application have its events, then collects what there is to send.
    fn work(
        &mut self,
        now: tripline_sansio::Instant,
        mut on_event: impl FnMut(&mut Endpoint, Event) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let begun = Instant::now();
        while let Some(event) = self.endpoint.poll_event() {
            on_event(&mut self.endpoint, event)?;
        }
        while let Some(train) = self.endpoint.poll_transmit(now, &mut self.out) {
            self.datagrams += train.segments() as u64;
            self.trains.push(train);
        }
        self.spent += begun.elapsed();
        Ok(())
    }
}

/// Moves the workload once.
pub fn run(work: &Workload, shape: Shape) -> Result<Costs, Failure> {
    let identity = SecretKey::generate(&mut Seed::from_number(1).random("identity"));
    let key = identity.public_key();
    let address = SocketAddr::from(([127, 0, 0, 1], 2));
    let config = |config: Config| {
        with_suite(Config { transport: transport(work, shape), ..config }, work.suite)
    };
    let mut client =
        Node::new(config(Config::client()), "client", SocketAddr::from(([127, 0, 0, 1], 1)));
    let mut server = Node::new(config(Config::public_server(identity)), "server", address);
    let mut now = tripline_sansio::Instant::ZERO;
    let mut source = Source::connect(&mut client.endpoint, now, address, key)?;
    let (mut sink, mut last, mut idle) = (Sink::default(), 0, 0);
    while !sink.finished {
        client.work(now, |endpoint, event| match event {
            Event::Connected { .. } => source.begin(endpoint, now, shape, work.bytes),
            Event::Writable { .. } => source.pump(endpoint, now),
            _ => Ok(()),
        })?;
        now += ONE_WAY;
        server.receive(now, &mut client);
        server.work(now, |endpoint, event| sink.on_event(endpoint, now, &event))?;
        now += ONE_WAY;
        client.receive(now, &mut server);
        idle = if sink.received == last { idle + 1 } else { 0 };
        last = sink.received;
        if idle > STUCK {
            return Err(format!("stuck at {last} bytes").into());
        }
    }
    if work.stats {
        eprintln!("  client: {:?}", source.stats(&client.endpoint));
    }
    Ok(Costs {
        sent: client.datagrams,
        answered: server.datagrams,
        client: client.spent,
        server: server.spent,
        bytes: sink.received,
    })
}
