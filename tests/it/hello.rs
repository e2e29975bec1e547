//! The first thing anyone tries.

use std::net::SocketAddr;
use tripline::{
    Config, ConnectOptions, Endpoint, Event, Order, ReceiveResult, SendOptions, StreamOptions,
};
use tripline_sansio::{Duration, Instant, Seed};
use tripline_sim::World;
use tripline_tests::{Pair, Side, identity};

/// T62: two endpoints, no sockets, no clock, under 20 lines.
#[test]
pub(crate) fn t62_two_endpoints_talk_in_under_twenty_lines() {
    let mut world = World::new(1);
    let address = |last| SocketAddr::from(([10, 0, 0, last], 7));
    let server = Config::public_server(identity("server"));
    let options = ConnectOptions::to(identity("server").public_key());
    let server =
        world.add_host(address(2), Endpoint::new(server, &Seed::from_number(2), Instant::ZERO));
    let client = world.add_host(
        address(1),
        Endpoint::new(Config::client(), &Seed::from_number(1), Instant::ZERO),
    );
    world.with(client, |endpoint, now| {
        let connection = endpoint.connect(now, address(2).into(), options).unwrap();
        let stream =
            endpoint.open(now, connection, StreamOptions::one_way(Order::Ordered)).unwrap();
        endpoint.send(now, connection, stream, "hello", SendOptions::default()).unwrap();
    });
    world.run_for(Duration::from_secs(1));
    let events = world.take_events(server);
    let readable = |(_, event): &&(_, Event)| matches!(event, Event::Readable { .. });
    let Some((_, Event::Readable { connection, stream })) = events.iter().find(readable).cloned()
    else {
        panic!("{events:?}")
    };
    let got = world.with(server, |endpoint, now| endpoint.receive(now, connection, stream));
    assert_eq!(got, Ok(ReceiveResult::Data("hello".into())));
}

/// R-HAND-5b: each side says `Connected` once.
#[test]
pub(crate) fn both_sides_are_connected_once() {
    let mut pair = Pair::new(1);
    let (client, server) = pair.connected();
    pair.run(Duration::from_secs(5));
    for (side, handle) in [(Side::Client, client), (Side::Server, server)] {
        let connected =
            pair.events(side).into_iter().filter(|event| matches!(event, Event::Connected { .. }));
        assert_eq!(connected.count(), 1, "{side:?}");
        assert_eq!(pair.state(side, handle), Some(tripline::State::Ready));
    }
}
