//! Opening: who gets in, who does not, and how that is told.

use tripline::{
    Access, Code, Config, ConnectError, ConnectOptions, Event, Phase, Psk, Screening, State, Target,
};
use tripline_sansio::{Duration, Ecn, Path};
use tripline_sim::{Chance, LinkConfig};
use tripline_tests::{Pair, Side, identity};

fn failure(pair: &mut Pair) -> ConnectError {
    pair.wait(Side::Client, |event| match event {
        Event::Failed { error, .. } => Some(error.clone()),
        _ => None,
    })
}

fn options() -> ConnectOptions {
    ConnectOptions::to(identity("server").public_key())
}

/// T08, T10: every pattern, both ciphers, with and without a pre-shared key.
#[test]
pub(crate) fn t10_every_suite_connects() {
    for cipher in [false, true] {
        for psk in [None, Some(Psk::from_bytes([7; 32]))] {
            for pattern in ["NK", "IK", "XX"] {
                let mut client = Config { hardware_aes: cipher, ..Config::client() };
                client.identity = (pattern != "NK").then(|| identity("client"));
                let mut server = Config::public_server(identity("server"));
                server.server.as_mut().unwrap().psk = psk.clone();
                let mut pair = Pair::with(1, client, server);
                let server_key = (pattern != "XX").then(|| identity("server").public_key());
                let connection =
                    pair.connect_with(ConnectOptions { server_key, psk: psk.clone(), ..options() });
                if pattern == "XX" {
                    let key = pair.wait(Side::Client, |event| match event {
                        Event::ServerKey { key, .. } => Some(*key),
                        _ => None,
                    });
                    assert_eq!(key, identity("server").public_key());
                    assert_eq!(pair.state(Side::Client, connection), Some(State::Challenged));
                    pair.call(Side::Client, |e, now| e.trust(now, connection)).unwrap();
                }
                let peer = pair.wait(Side::Server, |event| match event {
                    Event::Connected { peer, .. } => Some(*peer),
                    _ => None,
                });
                let shown = (pattern != "NK").then(|| identity("client").public_key());
                assert_eq!(peer, shown, "{pattern} {cipher} {}", psk.is_some());
                pair.wait(Side::Client, |event| {
                    matches!(event, Event::Connected { .. }).then_some(())
                });
            }
        }
    }
}

/// T06, R-VERS-2, R-CHAL-2: a wrong key ends in `Identity` at the deadline, on a public server; a
/// private one is silent.
#[test]
pub(crate) fn t06_a_wrong_key_is_told_apart_from_silence() {
    let mut pair = Pair::new(1);
    pair.connect_with(ConnectOptions::to(identity("somebody else").public_key()));
    assert_eq!(failure(&mut pair), ConnectError::Identity);
    let mut pair = Pair::with(1, Config::client(), Config::private_server(identity("server"), []));
    pair.connect_with(options());
    assert_eq!(failure(&mut pair), ConnectError::Timeout { phase: Phase::Opening });
}

/// T03: nobody there ends at the deadline, and the error names the phase.
#[test]
pub(crate) fn t03_silence_ends_at_the_deadline() {
    let mut pair = Pair::new(1).link(LinkConfig::down());
    let connection = pair.connect();
    let began = pair.world.now();
    assert_eq!(pair.state(Side::Client, connection), Some(State::Opening));
    assert_eq!(failure(&mut pair), ConnectError::Timeout { phase: Phase::Opening });
    assert_eq!(pair.world.now() - began, Duration::from_secs(10));
    assert_eq!(pair.state(Side::Client, connection), None);
}

/// T17, R-HAND-8: a private server lets in who is on its list.
#[test]
pub(crate) fn t17_a_private_server_knows_its_clients() {
    let client = Config { identity: Some(identity("client")), ..Config::client() };
    let server = Config::private_server(identity("server"), [identity("client").public_key()]);
    Pair::with(1, client, server).connected();
}

/// T12, T13, T14, T15: the screening sees key, user id and route, and its refusal arrives as told.
#[test]
pub(crate) fn t12_the_screening_decides() {
    for pattern in ["IK", "XX"] {
        for accept in [true, false] {
            let mut server = Config::public_server(identity("server"));
            server.server.as_mut().unwrap().screening = Screening::Ask;
            let client = Config { identity: Some(identity("client")), ..Config::client() };
            let mut pair = Pair::with(1, client, server);
            let server_key = (pattern == "IK").then(|| identity("server").public_key());
            let asked = ConnectOptions {
                server_key,
                user_id: *b"user 123",
                route: b"echo".to_vec(),
                ..options()
            };
            let connection = pair.connect_with(asked);
            if pattern == "XX" {
                pair.wait(Side::Client, |event| {
                    matches!(event, Event::ServerKey { .. }).then_some(())
                });
                pair.call(Side::Client, |e, now| e.trust(now, connection)).unwrap();
            }
            let incoming = pair.wait(Side::Server, |event| match event {
                Event::Incoming(incoming) => Some(incoming.clone()),
                _ => None,
            });
            assert_eq!(incoming.client, Some(identity("client").public_key()));
            assert_eq!((incoming.user_id, incoming.route), (*b"user 123", b"echo".to_vec()));
            if accept {
                pair.call(Side::Server, |e, now| e.accept(now, incoming.handle)).unwrap();
                pair.wait(Side::Client, |event| {
                    matches!(event, Event::Connected { .. }).then_some(())
                });
                pair.wait(Side::Server, |event| {
                    matches!(event, Event::Connected { .. }).then_some(())
                });
            } else {
                let code = Code::application(3);
                pair.call(Side::Server, |e, now| e.refuse(now, incoming.handle, code, "not today"))
                    .unwrap();
                let refused = ConnectError::Refused { code, reason: "not today".into() };
                assert_eq!(failure(&mut pair), refused, "{pattern}");
                assert!(
                    pair.events(Side::Server)
                        .iter()
                        .all(|event| !matches!(event, Event::Connected { .. }))
                );
            }
            assert!(pair.call(Side::Server, |e, now| e.accept(now, incoming.handle)).is_err());
        }
    }
}

/// T02: a name is resolved by whoever drives the engine; several addresses are tried in turn.
#[test]
pub(crate) fn t02_names_are_resolved_outside() {
    let mut pair = Pair::new(1);
    let target = Target::Name { host: "server.example".into(), port: 2222 };
    let connect = |pair: &mut Pair, target: Target| {
        pair.call(Side::Client, |e, now| e.connect(now, target, options())).unwrap()
    };
    let connection = connect(&mut pair, target.clone());
    assert_eq!(pair.state(Side::Client, connection), Some(State::Resolving));
    let (host, port) = pair.wait(Side::Client, |event| match event {
        Event::Resolve { host, port, .. } => Some((host.clone(), *port)),
        _ => None,
    });
    assert_eq!((host.as_str(), port), ("server.example", 2222));
    let nobody = std::net::SocketAddr::from(([10, 0, 0, 99], 1));
    let addresses = vec![nobody, pair.world.address(pair.server)];
    pair.call(Side::Client, |e, now| e.resolved(now, connection, Ok(addresses))).unwrap();
    pair.wait(Side::Client, |event| matches!(event, Event::Connected { .. }).then_some(()));

    let connection = connect(&mut pair, target);
    pair.call(Side::Client, |e, now| e.resolved(now, connection, Err("no such host".into())))
        .unwrap();
    assert_eq!(failure(&mut pair), ConnectError::Resolve { cause: "no such host".into() });
}

/// T16, R-VERS-1: an OPEN of another version gets a hint with the versions that are spoken.
#[test]
pub(crate) fn t16_another_version_gets_a_hint() {
    let mut pair = Pair::new(1);
    let client = pair.world.address(pair.client);
    let mut open = vec![0; 1_200];
    open[..13].copy_from_slice(&[1, 0, 0, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8]);
    let hint = pair.call(Side::Server, |e, now| {
        use tripline_sansio::DatagramMachine;
        e.handle_datagram(now, Path::to(client), Ecn::NotEct, &mut open);
        let mut out = Vec::new();
        let transmit = e.poll_transmit(now, &mut out).expect("a public server answers");
        assert_eq!(transmit.path.remote, client);
        out
    });
    assert_eq!(hint, [5, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1, 0, 0, 0, 1]);
}

/// T01: an attempt can be given up at any time, and ends in one event.
#[test]
pub(crate) fn m01_a_cancelled_attempt_fails_once() {
    for after in [0, 5, 15, 25, 35, 1_000] {
        let mut pair = Pair::new(1);
        let connection = pair.connect();
        pair.run(Duration::from_millis(after));
        let _ = pair
            .call(Side::Client, |e, now| e.close(now, connection, Duration::ZERO, Code::NONE, ""));
        pair.run(Duration::from_secs(60));
        let events = pair.events(Side::Client);
        let connected = events.iter().filter(|e| matches!(e, Event::Connected { .. })).count();
        let failed = events.iter().filter(|e| matches!(e, Event::Failed { .. })).count();
        let closed = events.iter().filter(|e| matches!(e, Event::Closed { .. })).count();
        assert_eq!((connected + failed, connected), (1, closed), "after {after} ms: {events:?}");
        assert_eq!(pair.state(Side::Client, connection), None);
    }
}

/// M01, M03: over lossy links every attempt ends in `Connected` or `Failed`, once, on every seed,
/// and at 30 % loss both ways nearly all get through.
#[test]
pub(crate) fn m01_every_attempt_ends_once_in_any_weather() {
    let mut through = 0;
    for seed in 0..200 {
        let link = LinkConfig::lossy(Chance::percent(30)).delay(Duration::from_millis(30));
        let mut pair = Pair::new(seed).link(link);
        pair.connect();
        pair.run(Duration::from_secs(12));
        let events = pair.events(Side::Client);
        let ends = events
            .iter()
            .filter(|e| matches!(e, Event::Connected { .. } | Event::Failed { .. }))
            .count();
        assert_eq!(ends, 1, "seed {seed}: {events:?}");
        through += usize::from(matches!(events[0], Event::Connected { .. }));
        let server = pair.events(Side::Server);
        let connected = server.iter().filter(|e| matches!(e, Event::Connected { .. })).count();
        assert!(connected <= 1, "seed {seed}");
    }
    assert!(through >= 198, "{through} of 200");
}

/// T04, R-WIRE-2: garbage, and every packet of a handshake with any one byte changed, changes
/// nothing.
#[test]
pub(crate) fn t04_garbage_is_counted_and_nothing_else() {
    let mut pair = Pair::new(1);
    let tape = pair.tape();
    let (client, server) = pair.connected();
    pair.run(Duration::from_secs(2));
    let from = pair.world.address(pair.client);
    let back = pair.world.address(pair.server);
    let mut random = pair.world.random("garbage");
    let packets = tape.all();
    assert!(packets.len() >= 4);
    for packet in packets {
        let path = if packet.from == Side::Client { from } else { back };
        for _ in 0..300 {
            let mut forged = packet.bytes.clone();
            let at = random.below(forged.len() as u64) as usize;
            forged[at] ^= 1 << random.below(8);
            pair.deliver_from(packet.from.other(), Path::to(path), &forged);
        }
    }
    for len in 0..1_300 {
        let noise: Vec<u8> = (0..len).map(|_| random.bits32() as u8).collect();
        pair.deliver_from(Side::Server, Path::to(from), &noise);
    }
    pair.run(Duration::from_secs(5));
    assert_eq!(pair.state(Side::Client, client), Some(State::Ready));
    assert_eq!(pair.state(Side::Server, server), Some(State::Ready));
    assert_eq!(pair.world.machine(pair.server).connections(), 1);
    let drops = pair.world.machine(pair.server).stats().drops;
    assert!(drops.malformed > 0 && drops.bad_open > 0 && drops.unknown_connection > 0, "{drops:?}");
}

/// T12, R-HAND-8: a server that refuses by its list does not answer at all.
#[test]
pub(crate) fn a_private_server_gives_no_sign_of_life() {
    let mut server = Config::public_server(identity("server"));
    server.server.as_mut().unwrap().access = Access::Private(vec![identity("friend").public_key()]);
    let client = Config { identity: Some(identity("stranger")), ..Config::client() };
    let mut pair = Pair::with(1, client, server);
    pair.connect();
    failure(&mut pair);
    assert_eq!(pair.world.machine(pair.server).stats().datagrams_sent, 0);
    assert!(pair.world.machine(pair.server).stats().drops.not_allowed > 0);
}
