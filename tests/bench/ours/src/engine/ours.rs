//! Our own engine by itself.

use std::net::SocketAddr;
use std::time::Duration;

use tripline::{Config, Endpoint, Event, SecretKey};
use tripline_sansio::{DatagramMachine, Ecn, Instant, Path, Seed, Transmit};

use super::{Costs, End, run};
use crate::task::{Failure, Record, Task, complete};
use crate::tripline::bulk::{MESSAGES_1200, Shape, Sink, Source, transport};
use crate::tripline::{App, Target, server_with, with_suite};

/// One endpoint with its address, its application and what it wants to send.
struct Node {
    endpoint: Endpoint,
    path: Path,
    out: Vec<u8>,
    trains: Vec<Transmit>,
    datagrams: u64,
    all_trains: u64,
    app: Box<dyn App>,
}

/// Both nodes, made by the seed.
pub struct Pair {
    client: Node,
    server: Node,
}

fn address(host: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, host], 1))
}

impl Node {
    fn new(config: Config, label: &str, host: u8, app: Box<dyn App>) -> Self {
        let seed = Seed::from_number(1).child(label);
        Self {
            endpoint: Endpoint::new(config, &seed, Instant::ZERO),
            path: Path::to(address(host)),
            out: Vec::new(),
            trains: Vec::new(),
            datagrams: 0,
            all_trains: 0,
            app,
        }
    }
}

impl Pair {
    /// Two endpoints with these configurations but for the server's identity; `ask` begins the
    /// client's application.
    pub fn new<C: App + 'static>(
        server: Config,
        client: Config,
        serve: impl App + 'static,
        ask: impl FnOnce(&mut Endpoint, Instant, Target) -> Result<C, Failure>,
    ) -> Result<Self, Failure> {
        let identity = SecretKey::generate(&mut Seed::from_number(1).random("identity"));
        let target = Target { at: address(2), key: identity.public_key() };
        let server = Node::new(server_with(server, identity), "server", 2, Box::new(serve));
        let mut client = Node::new(client, "client", 1, Box::new(Nothing));
        client.app = Box::new(ask(&mut client.endpoint, Instant::ZERO, target)?);
        Ok(Self { client, server })
    }

    /// Until either application is done.
    pub fn run(&mut self, goal: u64) -> Result<Costs, Failure> {
        run(&mut self.client, &mut self.server, goal)
    }

    /// How far the server's application is.
    pub fn progress(&self) -> u64 {
        self.server.app.progress()
    }
}

/// No application.
struct Nothing;

impl App for Nothing {
    fn on_event(&mut self, _: &mut Endpoint, _: Instant, _: &Event) -> Result<(), Failure> {
        Ok(())
    }

    fn done(&self) -> bool {
        false
    }
}

impl End for Node {
    fn work(&mut self, now: Duration) -> Result<(), Failure> {
        let now = Instant::ZERO + now;
        while let Some(event) = self.endpoint.poll_event() {
            if let Event::Failed { .. } | Event::Lost { .. } = event {
                return Err(format!("{event:?}").into());
            }
            self.app.on_event(&mut self.endpoint, now, &event)?;
        }
        while let Some(train) = self.endpoint.poll_transmit(now, &mut self.out) {
            self.datagrams += train.segments() as u64;
            self.all_trains += 1;
            self.trains.push(train);
        }
        Ok(())
    }

    fn receive(&mut self, now: Duration, from: &mut Self) {
        let now = Instant::ZERO + now;
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
    }

    fn sent(&self) -> (u64, u64) {
        (self.datagrams, self.all_trains)
    }

    fn done(&self) -> bool {
        self.app.done()
    }

    fn progress(&self) -> u64 {
        self.app.progress()
    }
}

/// Bulk in 1,200-byte datagrams.
pub fn bulk(task: &Task) -> Result<Record, Failure> {
    Ok(bulk_costs(task, MESSAGES_1200)?.per_packet(task.bytes))
}

/// Bulk in some shape.
pub fn bulk_costs(task: &Task, shape: Shape) -> Result<Costs, Failure> {
    let config = |config: Config| {
        with_suite(Config { transport: transport(task, shape), ..config }, task.suite)
    };
    let sink = Sink::new(task.bytes, task.stats);
    let mut pair = Pair::new(
        config(Config::default()),
        config(Config::client()),
        sink,
        |endpoint, now, target| Source::connect(endpoint, now, target, shape, task.bytes),
    )?;
    let costs = pair.run(task.bytes)?;
    complete("bytes", pair.progress(), task.bytes)?;
    Ok(costs)
}
