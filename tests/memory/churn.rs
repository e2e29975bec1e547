//! Connections that come and go, in worlds of each kind: what the machines keep of those that are
//! gone, and that a world gives all of it back.

use super::ALLOCATOR;
use super::idle::freed;
use stats_alloc::Region;
use std::net::SocketAddr;
use tripline::{
    Code, Config, ConnectOptions, ConnectionHandle, Endpoint, Event, LinkEndpoint, LinkEvent,
    LinkId, LinkMachine, Order, ReceiveResult, SendOptions, State, StreamOptions,
};
use tripline_sim::{DatagramMachine, Duration, HostId, Instant, Seed, Stream, StreamWorld, World};
use tripline_tests::identity;

/// How many connections come and go, one after the other.
const ROUNDS: usize = 1_000;

/// What a machine may hold more after all of them than before the first, in bytes of heap: tables
/// and buffers that are made when first needed and kept at that size.
const KEPT_MAX: isize = 32 << 10;

/// What it may hold more after all of them than after a tenth: less than two bytes for each.
const GROWTH_MAX: isize = 1_024;

/// Longer than a connection takes to be forgotten.
const PATIENCE: Duration = Duration::from_secs(60);

fn endpoint(config: Config, label: &str) -> Endpoint {
    Endpoint::new(config, &Seed::from_number(5).child(label), Instant::ZERO)
}

fn endpoints() -> [Endpoint; 2] {
    let server = Config::public_server(identity("server"));
    [endpoint(Config::client(), "client"), endpoint(server, "server")]
}

fn options() -> ConnectOptions {
    ConnectOptions::to(identity("server").public_key())
}

/// What the user of a client does with a connection: a stream, a message, and goodbye.
fn use_and_close(client: &mut Endpoint, now: Instant, connection: ConnectionHandle) {
    let stream = StreamOptions::one_way(Order::Ordered);
    let stream = client.open(now, connection, stream).expect("opens");
    client.send(now, connection, stream, vec![7; 5_000], SendOptions::default()).expect("is taken");
    client.close(now, connection, Duration::from_secs(5), Code::NONE, "done").expect("is there");
}

/// A machine with an endpoint in it.
trait Kind: DatagramMachine {
    fn it(&self) -> &Endpoint;
    fn it_mut(&mut self) -> &mut Endpoint;
    /// What the event says of the endpoint's connections.
    fn told(event: &Self::Event) -> Option<&Event>;
}

impl Kind for Endpoint {
    fn it(&self) -> &Endpoint {
        self
    }
    fn it_mut(&mut self) -> &mut Endpoint {
        self
    }
    fn told(event: &Event) -> Option<&Event> {
        Some(event)
    }
}

impl Kind for LinkEndpoint {
    fn it(&self) -> &Endpoint {
        self.endpoint()
    }
    fn it_mut(&mut self) -> &mut Endpoint {
        self.endpoint_mut()
    }
    fn told(event: &Event) -> Option<&Event> {
        Some(event)
    }
}

impl Kind for Stream<LinkMachine> {
    fn it(&self) -> &Endpoint {
        self.endpoint()
    }
    fn it_mut(&mut self) -> &mut Endpoint {
        self.endpoint_mut()
    }
    fn told(event: &LinkEvent) -> Option<&Event> {
        match event {
            LinkEvent::Connection(event) => Some(event),
            _ => None,
        }
    }
}

/// Runs until the connection that was begun is there, lets the client use and close it and the
/// server read, and runs until neither machine has any.
fn live_and_die<M: Kind>(world: &mut World<M>, hosts: [HostId; 2], connection: ConnectionHandle) {
    let is_ready = |world: &World<M>| {
        world.machine(hosts[0]).it().state(connection) == Some(State::Ready)
            && world.machine(hosts[1]).it().connections() == 1
    };
    assert!(world.run_while(PATIENCE, |world| !is_ready(world)), "the handshake ends");
    world.with(hosts[0], |machine, now| use_and_close(machine.it_mut(), now, connection));
    let limit = world.now() + PATIENCE;
    while hosts.iter().any(|host| world.machine(*host).it().connections() > 0) {
        assert!(world.now() < limit && world.step().is_some(), "forgotten on both sides");
        world.take_events(hosts[0]);
        for (_, event) in world.take_events(hosts[1]) {
            if let Some(&Event::Readable { connection, stream }) = M::told(&event) {
                world.with(hosts[1], |machine, now| {
                    let server = machine.it_mut();
                    while let Ok(ReceiveResult::Data(_)) = server.receive(now, connection, stream) {
                    }
                });
            }
        }
    }
}

fn addresses() -> [SocketAddr; 2] {
    [1, 2].map(|number| SocketAddr::from(([10, 0, 0, number], 1_000)))
}

/// Over datagrams.
fn datagrams(rounds: usize) -> [isize; 2] {
    let mut world = World::new(1);
    let [client, server] = endpoints();
    let [here, there] = addresses();
    let hosts = [world.add_host(here, client), world.add_host(there, server)];
    for _ in 0..rounds {
        let begun =
            world.with(hosts[0], |client, now| client.connect(now, there.into(), options()));
        live_and_die(&mut world, hosts, begun.expect("begins"));
    }
    held(&mut world, hosts, || endpoint(Config::client(), "fresh"))
}

/// Over links, each of which is closed behind its connection.
fn links(rounds: usize) -> [isize; 2] {
    let mut world = World::new(2);
    let [here, there] = addresses();
    let [client, server] = endpoints().map(LinkEndpoint::new);
    let hosts = [world.add_host(here, client), world.add_host(there, server)];
    for _ in 0..rounds {
        let pipe = world.open_pipe(hosts);
        let link = LinkId::new(pipe.number());
        let begun = world.with(hosts[0], |client, now| client.connect(now, link, options()));
        live_and_die(&mut world, hosts, begun.expect("begins"));
        world.with(hosts[0], |client, now| client.closed(now, link));
        world.close_pipe(pipe, hosts[0]);
        let is_open = |world: &World<LinkEndpoint>| world.machine(hosts[1]).links() > 0;
        assert!(world.run_while(PATIENCE, is_open), "the server hears of it");
    }
    held(&mut world, hosts, || LinkEndpoint::new(endpoint(Config::client(), "fresh")))
}

/// As stream machines, each with a pipe that is reset and followed by the next.
fn stream_machines(rounds: usize) -> [isize; 2] {
    let mut world = StreamWorld::new(3);
    let is_end = |event: &LinkEvent| matches!(event, LinkEvent::Close(_));
    let machines = endpoints().map(LinkMachine::new);
    let (hosts, mut pipe) =
        world.add_pair(machines.map(|machine| Stream::closing_on(machine, is_end)));
    for _ in 0..rounds {
        let begun = world.with(hosts[0], |client, now| client.connect(now, options()));
        live_and_die(&mut world, hosts, begun.expect("begins"));
        world.reset(pipe);
        world.run_for(Duration::from_secs(1));
        pipe = world.open_pipe(hosts);
        for host in hosts {
            world.take_events(host);
            world.with(host, |machine, now| machine.reopened(now));
        }
    }
    let fresh = || Stream::new(LinkMachine::new(endpoint(Config::client(), "fresh")));
    held(&mut world, hosts, fresh)
}

/// What the machines hold, by putting others in their place.
fn held<M: DatagramMachine>(
    world: &mut World<M>,
    hosts: [HostId; 2],
    fresh: impl Fn() -> M,
) -> [isize; 2] {
    hosts.map(|host| {
        world.with(host, |machine, _| {
            let fresh = fresh();
            freed(std::mem::replace(machine, fresh))
        })
    })
}

/// T80: after a thousand connections a machine holds what it held before the first, and little
/// more; and a world leaves nothing behind.
///
/// Also the regression of a leak that it found: a `LinkMachine` kept the number of each link that
/// it had ever had.
pub(crate) fn t80_nothing_is_kept_of_what_has_ended() {
    type Churn = fn(usize) -> [isize; 2];
    let kinds: [(&str, Churn); 3] =
        [("datagrams", datagrams), ("links", links), ("stream machines", stream_machines)];
    for (kind, churn) in kinds {
        let region = Region::new(ALLOCATOR);
        let [before, early, after] = [0, ROUNDS / 10, ROUNDS].map(churn);
        let change = region.change();
        for (side, name) in ["client", "server"].into_iter().enumerate() {
            let [before, early, after] = [before, early, after].map(|held| held[side]);
            println!("{kind}, {name}: {before} bytes at first, {early} and {after} later");
            assert!(before > 0 && after - before <= KEPT_MAX, "{kind}, {name}: too much is kept");
            assert!(after - early <= GROWTH_MAX, "{kind}, {name}: a leak");
        }
        let left = change.bytes_allocated as isize - change.bytes_deallocated as isize;
        assert_eq!(left, 0, "{kind}: bytes that nobody gave back");
        assert!(change.allocations > ROUNDS, "{kind}: something happened");
    }
}
