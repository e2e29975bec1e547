//! One link at a time, as a stream machine.

use super::message;
use super::pair::{CLIENT, SERVER};
use tripline::{
    Config, ConnectOptions, Endpoint, Event, LinkEnd, LinkEvent, LinkMachine, Order, ReceiveResult,
    SendOptions, StreamOptions,
};
use tripline_sim::{
    Chance, Cut, Duration, Instant, Seed, Stream, StreamConfig, StreamMachine, StreamWorld,
};
use tripline_tests::identity;

fn machine(config: Config, seed: u64) -> LinkMachine {
    LinkMachine::new(Endpoint::new(config, &Seed::from_number(seed), Instant::ZERO))
}

/// Passes bytes between two stream machines until both are silent.
fn pass(client: &mut LinkMachine, server: &mut LinkMachine, now: Instant) {
    let (mut there, mut back) = (Vec::new(), Vec::new());
    while client.poll_write(now, &mut there) | server.poll_write(now, &mut back) {
        server.handle_bytes(now, &there);
        client.handle_bytes(now, &back);
        there.clear();
        back.clear();
    }
}

fn events(machine: &mut LinkMachine) -> Vec<LinkEvent> {
    std::iter::from_fn(|| machine.poll_event()).collect()
}

/// A client and a server over one TCP connection each, driven by the trait alone; the end of the
/// stream is an event, once, and the connection outlives it.
#[test]
fn a_stream_machine_on_each_side() {
    let now = Instant::from_nanos(1);
    let mut server = machine(Config::public_server(identity("server")), 1);
    let mut client = machine(Config::client(), 2);
    let key = server.endpoint().public_key().unwrap();
    let connection = client.connect(now, ConnectOptions::to(key)).unwrap();
    let stream =
        client.endpoint_mut().open(now, connection, StreamOptions::two_way(Order::Bytes)).unwrap();
    let data = message(1, 300_000);
    client
        .endpoint_mut()
        .send(now, connection, stream, data.clone(), SendOptions::default())
        .unwrap();
    pass(&mut client, &mut server, now);
    let incoming = events(&mut server).into_iter().find_map(|event| match event {
        LinkEvent::Connection(Event::Readable { connection, stream }) => Some((connection, stream)),
        _ => None,
    });
    let (at, from) = incoming.expect("something came");
    let mut got = Vec::new();
    while let Ok(ReceiveResult::Data(data)) = server.endpoint_mut().receive(now, at, from) {
        got.extend_from_slice(&data);
    }
    assert!(got == data);
    events(&mut client);
    client.handle_eof(now);
    client.handle_eof(now);
    client.handle_bytes(now, b"late");
    let told = events(&mut client);
    assert!(matches!(told[0], LinkEvent::Connection(Event::Unlinked { .. })), "{told:?}");
    assert_eq!(told[1..], [LinkEvent::Close(LinkEnd::Eof)]);
    assert!(client.endpoint().state(connection).is_some());
    assert!(client.connect(now, ConnectOptions::to(key)).is_err(), "there is no link");
}

/// A client that was cut off goes on when it has another link, and the server too: both say where.
#[test]
fn a_client_machine_goes_on_over_the_next_link() {
    let now = Instant::from_nanos(1);
    let mut server = machine(Config::public_server(identity("server")), 1);
    let mut client = machine(Config::client(), 2);
    let key = server.endpoint().public_key().unwrap();
    let connection = client.connect(now, ConnectOptions::to(key)).unwrap();
    pass(&mut client, &mut server, now);
    let stream = client
        .endpoint_mut()
        .open(now, connection, StreamOptions::one_way(Order::Ordered))
        .unwrap();
    for number in 0..3 {
        client
            .endpoint_mut()
            .send(now, connection, stream, message(number, 9), SendOptions::default())
            .unwrap();
        // Written, and swallowed.
        let mut lost = Vec::new();
        client.poll_write(now, &mut lost);
        client.handle_eof(now);
        server.handle_eof(now);
        client.reopened(now);
        server.reopened(now);
        pass(&mut client, &mut server, now);
    }
    let at = events(&mut server).into_iter().find_map(|event| match event {
        LinkEvent::Connection(Event::Connected { connection, .. }) => Some(connection),
        _ => None,
    });
    for number in 0..3 {
        let got = server.endpoint_mut().receive(now, at.unwrap(), stream).unwrap();
        assert!(matches!(got, ReceiveResult::Data(data) if data == message(number, 9)));
    }
}

/// Long enough for every transfer.
const SPAN: Duration = Duration::from_secs(300);

/// Pipes that cut bytes anywhere, stall and break.
fn rough() -> StreamConfig {
    StreamConfig::perfect()
        .delay(Duration::from_millis(15))
        .jitter(Duration::from_millis(10))
        .rate(400_000)
        .buffer(20_000)
        .cut(Cut::UpTo(500))
        .stall(Chance::percent(1), Duration::from_millis(300))
        .reset(Chance::percent(2))
}

/// Sends so many messages over however many pipes it takes: whenever one has ended, both sides are
/// given the next. How many ended.
fn transfer(seed: u64, count: usize) -> usize {
    let mut world = StreamWorld::new(seed);
    world.set_default_pipe(rough());
    let configs =
        [("client", Config::client()), ("server", Config::public_server(identity("server")))];
    let (hosts, _) = world.add_pair(configs.map(|(label, config)| {
        let endpoint = Endpoint::new(config, &world.seed_for(label), Instant::ZERO);
        Stream::new(LinkMachine::new(endpoint))
    }));
    let key = world.machine(hosts[SERVER]).endpoint().public_key().unwrap();
    world.with(hosts[CLIENT], |machine, now| {
        let connection = machine.connect(now, ConnectOptions::to(key)).unwrap();
        let endpoint = machine.endpoint_mut();
        let stream =
            endpoint.open(now, connection, StreamOptions::one_way(Order::Ordered)).unwrap();
        for number in 0..count {
            let data = message(number, 2_000);
            endpoint.send(now, connection, stream, data, SendOptions::default()).unwrap();
        }
    });
    let (mut got, mut ended) = (Vec::new(), 0);
    while got.len() < count {
        assert!(world.step().is_some() && world.now() < Instant::ZERO + SPAN, "seed {seed}");
        let [ours, theirs] = hosts.map(|host| world.take_events(host));
        let mut has_ended = false;
        for (_, event) in ours.into_iter().chain(theirs) {
            match event {
                LinkEvent::Close(_) => has_ended = true,
                LinkEvent::Connection(Event::Readable { connection, stream }) => {
                    world.with(hosts[SERVER], |machine, now| {
                        let server = machine.endpoint_mut();
                        while let Ok(ReceiveResult::Data(data)) =
                            server.receive(now, connection, stream)
                        {
                            got.push(data.to_vec());
                        }
                    });
                }
                LinkEvent::Connection(Event::Lost { .. }) => panic!("seed {seed}: lost"),
                _ => {}
            }
        }
        if has_ended {
            ended += 1;
            world.open_pipe(hosts);
            for host in hosts {
                world.with(host, |machine, now| machine.reopened(now));
            }
        }
    }
    let expected: Vec<_> = (0..count).map(|number| message(number, 2_000)).collect();
    assert!(got == expected, "seed {seed}: nothing lost, nothing twice, in order");
    ended
}

/// R-LINK-4: a client machine that is given the next pipe whenever one has ended loses nothing and
/// repeats nothing, in a world of rough pipes.
#[test]
fn r_link_4_a_client_machine_survives_resets() {
    let ended: usize = (0..12).map(|seed| transfer(seed, 60)).sum();
    assert!(ended > 20, "only {ended} pipes ended");
}
