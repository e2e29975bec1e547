//! The inspector over honest runs: connections that do what users do, in all weathers, without a
//! violation, and with the marks that they are to meet.

use crate::{Chance, HostId, Inspector, LinkConfig, Mark, Seal, World};
use std::net::SocketAddr;
use tripline::{
    Code, Config, ConnectOptions, ConnectionHandle, Endpoint, Event, Order, ReceiveResult,
    SecretKey, SendOptions, StreamOptions,
};
use tripline_sansio::{Duration, Instant, Seed};

/// A client, a server and an inspector.
struct Run {
    world: World<Endpoint>,
    inspector: Inspector,
    hosts: [HostId; 2],
    /// The server's handle, once there is one.
    accepted: Option<ConnectionHandle>,
}

const CLIENT: usize = 0;
const SERVER: usize = 1;

impl Run {
    fn new(seed: u64, seal: Seal) -> Self {
        Self::with(seed, seal, Config::client(), Config::public_server(identity()))
    }

    fn with(seed: u64, seal: Seal, client: Config, server: Config) -> Self {
        let inspector = Inspector::new(seal);
        let mut world = World::new(seed);
        world.add_tap(inspector.tap());
        let configs = [(client, "client", 1), (server, "server", 2)];
        let hosts = configs.map(|(config, label, last)| {
            let seed = world.seed_for(label);
            let endpoint = Endpoint::new(inspector.on(config), &seed, Instant::ZERO);
            world.add_host(SocketAddr::from(([10, 0, 0, last], 1_000)), endpoint)
        });
        Self { world, inspector, hosts, accepted: None }
    }

    fn call<R>(&mut self, side: usize, act: impl FnOnce(&mut Endpoint, Instant) -> R) -> R {
        self.world.with(self.hosts[side], act)
    }

    fn connect(&mut self, with_key: bool) -> ConnectionHandle {
        let to = self.world.address(self.hosts[SERVER]);
        let options = match with_key {
            true => ConnectOptions::to(identity().public_key()),
            false => ConnectOptions::default(),
        };
        self.call(CLIENT, |client, now| client.connect(now, to.into(), options)).unwrap()
    }

    /// Lets time pass while both sides take what comes, answer questions, and send back what they
    /// read on two-way streams.
    fn run(&mut self, time: Duration) {
        let end = self.world.now() + time;
        while self.world.now() < end {
            let step = Duration::from_millis(5).min(end - self.world.now());
            self.world.run_for(step);
            for side in [CLIENT, SERVER] {
                while let Some((_, event)) = self.world.next_event(self.hosts[side]) {
                    self.on_event(side, event);
                }
            }
        }
    }

    fn on_event(&mut self, side: usize, event: Event) {
        match event {
            Event::Readable { connection, stream } => self.call(side, |endpoint, now| {
                while let Ok(ReceiveResult::Data(_)) = endpoint.receive(now, connection, stream) {}
            }),
            Event::ServerKey { connection, .. } => {
                self.call(side, |endpoint, now| endpoint.trust(now, connection)).unwrap();
            }
            Event::Connected { connection, .. } if side == SERVER => {
                self.accepted = Some(connection);
            }
            _ => {}
        }
    }

    /// Sends messages on a new stream and finishes it.
    fn send(
        &mut self,
        side: usize,
        connection: ConnectionHandle,
        options: StreamOptions,
        messages: &[(usize, SendOptions)],
    ) {
        self.call(side, |endpoint, now| {
            let Ok(stream) = endpoint.open(now, connection, options) else { return };
            for (number, (len, how)) in messages.iter().enumerate() {
                let bytes: Vec<u8> = (0..*len).map(|at| (at * 7 + number) as u8).collect();
                let _ = endpoint.send(now, connection, stream, bytes, *how);
            }
            let _ = endpoint.finish(now, connection, stream);
        });
    }

    #[track_caller]
    fn clean(&self) {
        let violations = self.inspector.violations();
        let text: Vec<String> = violations.iter().take(8).map(ToString::to_string).collect();
        assert!(text.is_empty(), "{}\n{:?}", text.join("\n"), self.inspector.marks());
    }
}

fn identity() -> SecretKey {
    SecretKey::generate(&mut Seed::from_number(0).random("server"))
}

fn weather(random: &mut tripline_sansio::Random) -> LinkConfig {
    LinkConfig::perfect()
        .delay(Duration::from_millis(random.below(60)))
        .jitter(Duration::from_millis(random.below(30)))
        .loss(Chance::percent(random.below(25) as u32))
        .duplicate(Chance::percent(random.below(10) as u32), Duration::from_millis(20))
}

#[test]
fn a_quiet_connection_is_clean() {
    for seal in [Seal::Fast, Seal::Real] {
        for with_key in [true, false] {
            let mut run = Run::new(1, seal);
            let connection = run.connect(with_key);
            run.run(Duration::from_secs(1));
            let options = StreamOptions::one_way(Order::Ordered);
            run.send(CLIENT, connection, options, &[(5_000, SendOptions::default())]);
            run.run(Duration::from_secs(1));
            run.call(CLIENT, |client, now| {
                client.close(now, connection, Duration::from_secs(1), Code::NONE, "bye")
            })
            .unwrap();
            run.run(Duration::from_secs(5));
            run.clean();
            let marks = run.inspector.marks();
            for mark in [Mark::NotifySent, Mark::DisconnectSent, Mark::DisconnectAnswered] {
                assert!(marks.count(mark) > 0, "{mark:?}: {marks:?}");
            }
        }
    }
}

/// Everything at once, drawn from a seed: streams of all orders, unreliable messages, renewals,
/// moves, ends of streams, the close.
fn play(seed: u64) -> Run {
    let mut random = Seed::from_number(seed).random("play");
    let mut run = Run::new(seed, Seal::Fast);
    let [client, server] = run.hosts;
    run.world.set_links(client, server, weather(&mut random));
    let connection = run.connect(random.below(3) > 0);
    let end = run.world.now() + Duration::from_secs(20);
    while run.world.now() < end {
        run.run(Duration::from_millis(random.below(300)));
        let (side, handle) = match run.accepted {
            Some(handle) if random.below(2) == 0 => (SERVER, handle),
            _ => (CLIENT, connection),
        };
        let options = match random.below(8) {
            0 => StreamOptions::two_way(Order::Ordered),
            1 | 2 => StreamOptions::one_way(Order::Bytes),
            3 | 4 => StreamOptions::one_way(Order::Unordered),
            5 => StreamOptions::one_way(Order::Latest),
            _ => StreamOptions::one_way(Order::Ordered),
        };
        match random.below(10) {
            0 => drop(run.call(side, |endpoint, now| endpoint.renew(now, handle))),
            1 => {
                let host = run.hosts[side];
                let mut address = run.world.address(host);
                if random.below(2) == 0 {
                    address.set_port(address.port() + 1);
                } else {
                    let last = 1 + random.below(200) as u8;
                    address.set_ip([10, 1 + side as u8, 0, last].into());
                }
                if address != run.world.address(host) {
                    run.world.readdress(host, address);
                }
                let _ = run.call(side, |endpoint, now| endpoint.network_changed(now, None));
            }
            _ => {
                let how = match random.below(3) {
                    0 => SendOptions::UNRELIABLE,
                    _ => SendOptions::default(),
                };
                let count = random.below(30);
                let size = if random.below(3) == 0 { 5_000 } else { 100 };
                let one = |_| (random.below(size) as usize, how);
                let messages: Vec<_> = (0..count).map(one).collect();
                run.send(side, handle, options, &messages);
            }
        }
    }
    let (side, handle) = match (run.accepted, random.below(2)) {
        (Some(handle), 0) => (SERVER, handle),
        _ => (CLIENT, connection),
    };
    let grace = Duration::from_secs(random.below(3));
    let _ = run.call(side, |endpoint, now| endpoint.close(now, handle, grace, Code::NONE, "bye"));
    run.run(Duration::from_secs(30));
    run
}

/// What forty busy runs need not meet; all other marks they must.
const RARE: &[Mark] = &[
    Mark::OpenManyTimes,
    Mark::OpenElsewhere,
    Mark::OpenLate,
    Mark::OpenWithToken,
    Mark::RetrySent,
    Mark::TokenElsewhere,
    Mark::VersionSent,
    Mark::ChallengeRefuses,
    Mark::ChallengeForwards,
    Mark::RefusedAfterConfirm,
    Mark::ResetIgnored,
    Mark::NumberFourBytes,
    Mark::PacketForged,
    Mark::PacketOvertaken,
    Mark::PacketFarLate,
    Mark::PacketBeyondWindow,
    Mark::AckOfNothing,
    Mark::ReplayAtEdge,
    Mark::DatagramEmpty,
    Mark::DatagramUnknown,
    Mark::AckTableFull,
    Mark::AckCe,
    Mark::AckLate,
    Mark::Resliced,
    Mark::StreamsTogether,
    Mark::StopAfterFinish,
    Mark::CreditUsedUp,
    Mark::StreamCreditUsedUp,
    Mark::IndexesUsedUp,
    Mark::BlockedSent,
    Mark::BlockedOnStreams,
    Mark::BlockedAndGranted,
    Mark::GrantAnswersBlocked,
    Mark::GrantRepeated,
    Mark::GrantLostTwice,
    Mark::ProbeOfHome,
    Mark::MovedBack,
    Mark::OldZoneAfterSwitch,
    Mark::NotifyCrossed,
    Mark::DisconnectViolation,
    Mark::ForwardSent,
];

#[test]
fn busy_connections_in_any_weather_are_clean() {
    let mut marks = crate::Marks::default();
    for seed in 0..40 {
        let run = play(seed);
        let violations = run.inspector.violations();
        let text: Vec<String> = violations.iter().take(8).map(ToString::to_string).collect();
        assert!(text.is_empty(), "seed {seed}: {}", text.join("\n"));
        marks.merge(&run.inspector.marks());
    }
    let missing: Vec<_> =
        marks.below(1).map(|(mark, _)| mark).filter(|mark| !RARE.contains(mark)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// A run met all of these, and broke no rule.
#[track_caller]
fn met(run: &Run, wanted: &[Mark]) {
    run.clean();
    let marks = run.inspector.marks();
    let missing: Vec<_> = wanted.iter().filter(|mark| marks.count(**mark) == 0).collect();
    assert!(missing.is_empty(), "{missing:?} of {marks:?}");
}

#[test]
fn scarce_credit_is_met_and_kept() {
    let mut config = Config::public_server(identity());
    config.transport.message_max = 1_000;
    config.transport.stream_credit = 2_000;
    config.transport.stream_credit_max = 2_000;
    config.transport.connection_credit = 5_000;
    config.transport.connection_credit_max = 5_000;
    config.transport.one_way_streams = 3;
    let mut run = Run::with(3, Seal::Fast, Config::client(), config);
    let connection = run.connect(true);
    run.run(Duration::from_secs(1));
    for _ in 0..20 {
        let options = StreamOptions::one_way(Order::Bytes);
        run.send(CLIENT, connection, options, &vec![(900, SendOptions::default()); 10]);
        run.run(Duration::from_millis(200));
    }
    run.run(Duration::from_secs(5));
    let wanted = [Mark::StreamCreditUsedUp, Mark::BlockedSent, Mark::GrantAnswersBlocked];
    met(&run, &wanted);
}

#[test]
fn order_marks_and_damage_are_met() {
    let mut run = Run::new(4, Seal::Fast);
    let [client, server] = run.hosts;
    let link = LinkConfig::perfect()
        .delay(Duration::from_millis(10))
        .reorder(Chance::percent(20), Duration::from_millis(15))
        .rate(500_000, 60_000)
        .mark_above(5_000);
    run.world.set_links(client, server, link);
    run.world.add_rule(|packet| match packet.index % 17 {
        16 => crate::Verdict::Corrupt(crate::Corruption::FlipBit(300)),
        _ => crate::Verdict::Pass,
    });
    let connection = run.connect(true);
    run.run(Duration::from_secs(1));
    let options = StreamOptions::one_way(Order::Unordered);
    run.send(CLIENT, connection, options, &vec![(9_000, SendOptions::default()); 40]);
    let from = run.world.address(client);
    for garbage in [&[][..], &[0x55; 30]] {
        run.world.inject(Duration::ZERO, from, server, crate::Ecn::NotEct, garbage);
    }
    run.run(Duration::from_secs(5));
    let wanted = [
        Mark::PacketForged,
        Mark::PacketOvertaken,
        Mark::DatagramEmpty,
        Mark::DatagramUnknown,
        Mark::AckEcn,
        Mark::AckCe,
        Mark::AckManyRanges,
    ];
    met(&run, &wanted);
}

#[test]
fn proof_of_addresses_hints_and_resets_are_met() {
    let mut config = Config::public_server(identity());
    config.guard.retry_above = 0;
    let mut run = Run::with(5, Seal::Fast, Config::client(), config);
    let connection = run.connect(true);
    run.run(Duration::from_secs(1));
    let server = run.accepted.expect("it is connected");
    run.call(SERVER, |endpoint, now| endpoint.kill(now, server)).unwrap();
    let options = StreamOptions::one_way(Order::Ordered);
    run.send(CLIENT, connection, options, &[(10, SendOptions::default())]);
    run.run(Duration::from_secs(1));
    let stranger = SecretKey::generate(&mut Seed::from_number(0).random("another")).public_key();
    let to = run.world.address(run.hosts[SERVER]);
    run.call(CLIENT, |client, now| {
        client.connect(now, to.into(), ConnectOptions::to(stranger)).map(drop)
    })
    .unwrap();
    run.run(Duration::from_secs(5));
    let wanted = [
        Mark::RetrySent,
        Mark::OpenWithToken,
        Mark::ResetSent,
        Mark::ResetAccepted,
        Mark::VersionSent,
        Mark::OpenManyTimes,
    ];
    met(&run, &wanted);
}
