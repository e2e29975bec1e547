//! Referrals (row T57, R-CHAL-3): the screening sends a client on, which follows by itself; a
//! connection that stands is told; and nobody is led in a circle, down, or for ever.

use std::net::SocketAddr;
use tripline::{
    Code, Config, ConnectError, ConnectOptions, ConnectionHandle, Endpoint, Event, Incoming,
    LostCause, Order, Phase, Psk, PublicKey, ReferError, Referral, Screening, StreamOptions,
    Target,
};
use tripline_sansio::{Duration, Instant};
use tripline_sim::{HostId, Verdict};
use tripline_tests::frames::{kind, varints};
use tripline_tests::{Carried, Hostile, Pair, Side, Tape, Wiretap, identity};

/// A server that asks about each client.
fn asking(name: &str) -> Config {
    let mut config = Config::public_server(identity(name));
    config.server.as_mut().expect("a server").screening = Screening::Ask;
    config
}

/// A client, a server that asks, and further servers, each reached from everywhere.
struct Group {
    pair: Pair,
    others: Vec<HostId>,
}

/// The name of the further server with this number.
fn name(number: usize) -> String {
    format!("server {number}")
}

/// The referrals with whether each was followed, and whom the attempt reached.
type Outcome = (Vec<(Referral, bool)>, Result<(PublicKey, SocketAddr), ConnectError>);

impl Group {
    fn new(client: Config, server: Config, others: Vec<Config>) -> Self {
        let mut pair = Pair::with(1, client, server);
        let add = |(number, config): (usize, Config)| {
            let seed = pair.world.seed_for(&name(number));
            let address = SocketAddr::from(([10, 0, 1, number as u8], 4_000));
            pair.world.add_host(address, Endpoint::new(config, &seed, Instant::ZERO).into())
        };
        let others = others.into_iter().enumerate().map(add).collect();
        Self { pair, others }
    }

    /// A referral to a further server.
    fn to(&self, number: usize, route: &[u8]) -> Referral {
        let host = self.others[number];
        let server_key = self.pair.world.machine(host).public_key().expect("a server");
        let addresses = vec![self.pair.world.address(host)];
        Referral { addresses, server_key, route: route.to_vec() }
    }

    /// Waits for a client at this host.
    fn incoming(&mut self, host: HostId) -> Incoming {
        loop {
            let next = self.pair.world.wait_event(host, Duration::from_secs(60));
            if let (_, Event::Incoming(incoming)) = next.expect("a client comes") {
                return incoming;
            }
        }
    }

    /// Sends the client on that waits at this host.
    fn forward(&mut self, host: HostId, referral: &Referral) -> Incoming {
        let incoming = self.incoming(host);
        let answer = |e: &mut Carried, now| e.forward(now, incoming.handle, referral);
        self.pair.world.with(host, answer).expect("it waits");
        incoming
    }

    /// How the client's attempt ended, after these referrals: where to, and whether followed.
    fn outcome(&mut self) -> Outcome {
        let mut referrals = Vec::new();
        let end = self.pair.wait(Side::Client, |event| match event {
            Event::Forward { referral, followed, .. } => {
                referrals.push((referral.clone(), *followed));
                None
            }
            Event::Connected { peer, remote, .. } => Some(Ok((peer.expect("proven"), *remote))),
            Event::Failed { error, .. } => Some(Err(error.clone())),
            _ => None,
        });
        (referrals, end)
    }
}

fn to_server() -> ConnectOptions {
    ConnectOptions::to(identity("server").public_key())
}

/// T57, R-CHAL-3: NK and IK, with a pre-shared key and without: the client follows by itself, to
/// the key that it was given, with its own identity and user id and the route of the referral; what
/// was handed in before goes along; the server that referred it keeps nothing.
#[test]
pub(crate) fn t57_a_screened_client_is_sent_on() {
    for (own, psk) in [(None, None), (Some("client"), None), (None, Some([5; 32]))] {
        let psk = psk.map(Psk::from_bytes);
        let with_psk = |mut config: Config| {
            config.server.as_mut().expect("a server").psk = psk.clone();
            config
        };
        let client = Config { identity: own.map(identity), ..Config::client() };
        let others = vec![with_psk(asking("other"))];
        let mut group = Group::new(client, with_psk(asking("server")), others);
        let referral = group.to(0, b"there");
        let options = ConnectOptions {
            psk: psk.clone(),
            user_id: *b"user 123",
            route: b"here".to_vec(),
            ..to_server()
        };
        let connection = group.pair.connect_with(options);
        let stream =
            group.pair.open(Side::Client, connection, StreamOptions::one_way(Order::Ordered));
        group.pair.send(Side::Client, connection, stream, b"early");
        let server = group.pair.server;
        assert_eq!(group.forward(server, &referral).route, b"here");
        let other = group.others[0];
        let incoming = group.incoming(other);
        assert_eq!((incoming.user_id, &incoming.route[..]), (*b"user 123", &b"there"[..]));
        assert_eq!(incoming.client, own.map(|own| identity(own).public_key()));
        group.pair.world.with(other, |e, now| e.accept(now, incoming.handle)).expect("it waits");
        let (referrals, end) = group.outcome();
        assert_eq!(referrals, [(referral.clone(), true)]);
        assert_eq!(end, Ok((referral.server_key, referral.addresses[0])));
        assert_eq!(
            group.pair.world.machine(group.pair.client).peer(connection),
            end.ok().map(|at| at.0)
        );
        group.pair.run(Duration::from_secs(1));
        let got = group.pair.world.take_events(other);
        let arrived =
            |event: &Event| matches!(event, Event::Readable { stream: on, .. } if *on == stream);
        assert!(got.iter().any(|(_, event)| arrived(event)), "what was handed in goes along");
        let stats = group.pair.world.machine(server).stats();
        assert_eq!((stats.opens_accepted, group.pair.world.machine(server).connections()), (0, 0));
    }
}

/// R-CHAL-3: a key that the referral names is required there: nobody else is believed.
#[test]
pub(crate) fn r_chal_3_the_key_is_required() {
    let mut group = Group::new(Config::client(), asking("server"), vec![asking("other")]);
    let mut referral = group.to(0, b"");
    referral.server_key = identity("somebody").public_key();
    group.pair.connect_with(to_server());
    let server = group.pair.server;
    group.forward(server, &referral);
    assert_eq!(group.outcome().1, Err(ConnectError::Identity));
}

/// R-CHAL-3: a client is not led in a circle: not to where it is, nor back to where it was.
#[test]
pub(crate) fn r_chal_3_nobody_is_asked_twice() {
    let mut group = Group::new(Config::client(), asking("server"), vec![asking("other")]);
    let server = group.pair.server;
    let there = group.to(0, b"");
    let back = Referral {
        addresses: vec![group.pair.world.address(server)],
        server_key: identity("server").public_key(),
        route: b"another".to_vec(),
    };
    let circle = || Err(ConnectError::Referred { reason: "we have asked there already" });
    group.pair.connect_with(to_server());
    group.forward(server, &back);
    assert_eq!(group.outcome(), (vec![(back.clone(), false)], circle()), "to itself");
    group.pair.connect_with(to_server());
    group.forward(server, &there);
    let other = group.others[0];
    group.forward(other, &back);
    assert_eq!(group.outcome(), (vec![(there, true), (back, false)], circle()), "and back");
}

/// R-CHAL-3: four referrals are followed, the fifth is not.
#[test]
pub(crate) fn r_chal_3_at_most_four_are_followed() {
    for length in [4, 5] {
        let others = (0..length).map(|number| asking(&name(number))).collect();
        let mut group = Group::new(Config::client(), asking("server"), others);
        group.pair.connect_with(to_server());
        let mut host = group.pair.server;
        for number in 0..length {
            let referral = group.to(number, b"");
            group.forward(host, &referral);
            host = group.others[number];
        }
        if length == 4 {
            let incoming = group.incoming(host);
            group.pair.world.with(host, |e, now| e.accept(now, incoming.handle)).unwrap();
        }
        let (referrals, end) = group.outcome();
        let followed: Vec<bool> = referrals.iter().map(|(_, followed)| *followed).collect();
        let expected = [true, true, true, true, false];
        assert_eq!(followed, expected[..length]);
        assert_eq!(end.is_ok(), length == 4, "{end:?}");
    }
}

/// R-CHAL-3, T03: all referrals share the deadline of the one open; addresses are tried in turn.
#[test]
pub(crate) fn r_chal_3_within_its_deadline() {
    let nowhere = SocketAddr::from(([10, 9, 9, 9], 9));
    let mut group = Group::new(Config::client(), asking("server"), vec![asking("other")]);
    let server = group.pair.server;
    let mut referral = group.to(0, b"");
    referral.addresses = vec![nowhere];
    let begun = group.pair.world.now();
    group.pair.connect_with(to_server());
    group.pair.run(Duration::from_secs(4));
    group.forward(server, &referral);
    let timeout = ConnectError::Timeout { phase: Phase::Opening };
    assert_eq!(group.outcome(), (vec![(referral.clone(), true)], Err(timeout)));
    assert_eq!(group.pair.world.now() - begun, Duration::from_secs(10));

    let mut group = Group::new(Config::client(), asking("server"), vec![asking("other")]);
    let server = group.pair.server;
    referral.addresses.extend(group.to(0, b"").addresses);
    group.pair.connect_with(to_server());
    group.forward(server, &referral);
    let other = group.others[0];
    let incoming = group.incoming(other);
    group.pair.world.with(other, |e, now| e.accept(now, incoming.handle)).unwrap();
    assert_eq!(group.outcome().1, Ok((referral.server_key, referral.addresses[1])));
}

/// R-CHAL-3, R-CHAL-1b: in XX the server refers after CONFIRM, together with its refusal; nothing
/// is followed, and the answer is never longer than what it answers.
#[test]
pub(crate) fn t57_in_xx_the_refusal_says_where() {
    for (count, route) in [(1, &b""[..]), (4, b""), (1, &[7; 255])] {
        let mut group = Group::new(Config::client(), asking("server"), vec![asking("other")]);
        let tape = group.pair.tape();
        let mut referral = group.to(0, route);
        let more = (1..count).map(|port| SocketAddr::from(([0xfd00, 0, 0, 0, 0, 0, 0, 1], port)));
        referral.addresses.extend(more);
        let connection = group.pair.connect_with(ConnectOptions::default());
        group.pair.wait(Side::Client, |e| matches!(e, Event::ServerKey { .. }).then_some(()));
        group.pair.call(Side::Client, |e, now| e.trust(now, connection)).unwrap();
        let server = group.pair.server;
        group.forward(server, &referral);
        let (told, end) = group.outcome();
        let reason = String::new();
        assert_eq!(end, Err(ConnectError::Refused { code: Code::REFUSED, reason }));
        let confirm = tape.kind(4)[0].bytes.len();
        let answer = tape.of(Side::Server).into_iter().rfind(|packet| packet.is_data()).unwrap();
        assert!(answer.bytes.len() <= confirm, "{} > {confirm}", answer.bytes.len());
        if route.is_empty() {
            assert_eq!((told.len(), told[0].1), (1, false));
            assert_eq!(told[0].0.server_key, referral.server_key);
            assert!(referral.addresses.starts_with(&told[0].0.addresses));
        } else {
            assert_eq!(told, [], "the route alone is too long");
        }
    }
}

/// A CHALLENGE whose payload is this, as far as it has room, the rest being the route.
fn challenged_with(start: &[u8], xx: bool) -> (Pair, ConnectionHandle, Tape) {
    let (tap, start) = (Wiretap::default(), start.to_vec());
    tap.meddle(move |is_data, text| {
        // The acceptance; in XX the server's key is sealed before it.
        if !is_data && text.len() > 43 && text[0] == 0 {
            let rest = (text.len() - start.len() - 1) as u8;
            text[..start.len()].copy_from_slice(&start);
            text[start.len()] = rest;
        }
    });
    let mut server = Config::public_server(identity("server"));
    server.transport.idle_timeout = Duration::from_secs(60);
    server.transport.keep_alive = Duration::from_secs(10);
    let mut pair = Pair::with(1, Config::client(), tap.on(server));
    let tape = pair.tape();
    let server_key = (!xx).then(|| identity("server").public_key());
    let connection = pair.connect_with(ConnectOptions { server_key, ..ConnectOptions::default() });
    (pair, connection, tape)
}

/// The start of a referral in a CHALLENGE: to 10.0.9.9:9, and this key.
fn referral_bytes(key: [u8; 32]) -> Vec<u8> {
    [&[2, 1, 4, 10, 0, 9, 9, 0, 9][..], &key].concat()
}

/// R-CHAL-3: a referral in the CHALLENGE of XX is followed only once the user trusts the server
/// whose word it is: else anyone could name a key of their own.
#[test]
pub(crate) fn r_chal_3_in_xx_the_key_is_shown_first() {
    let key = identity("other").public_key();
    let (mut pair, connection, tape) = challenged_with(&referral_bytes(key.to_bytes()), true);
    pair.run(Duration::from_secs(2));
    let shown = Event::ServerKey { connection, key: identity("server").public_key() };
    assert_eq!(pair.events(Side::Client), [shown]);
    assert_eq!(pair.state(Side::Client, connection), Some(tripline::State::Challenged));
    let first = tape.kind(1).last().expect("an OPEN").bytes[5..13].to_vec();
    pair.call(Side::Client, |e, now| e.trust(now, connection)).unwrap();
    pair.run(Duration::from_secs(1));
    let events = pair.events(Side::Client);
    let [Event::Forward { referral, followed: true, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(referral.server_key, key);
    let opens = tape.kind(1);
    let last = &opens.last().expect("an OPEN").bytes;
    assert_ne!(last[5..13], first, "a new attempt takes a new ID (R-OPEN-2)");
    assert_eq!(last[13] & 3, 1, "NK: the key is known now");
}

/// R-CHAL-3, R-OPEN-3: referrals that break a rule fail the attempt.
#[test]
pub(crate) fn r_chal_3_hostile_referrals_fail() {
    let start = referral_bytes([9; 32]);
    let changed = |at: usize, byte: u8| {
        let mut bytes = start.clone();
        bytes[at] = byte;
        bytes
    };
    for (what, bytes) in [
        ("a key that is not canonical", referral_bytes([0xff; 32])),
        ("no address", changed(1, 0)),
        ("five addresses", changed(1, 5)),
        ("an unknown family", changed(2, 7)),
        ("no port", changed(8, 0)),
    ] {
        let (mut pair, _, _) = challenged_with(&bytes, false);
        pair.run(Duration::from_secs(1));
        let events = pair.events(Side::Client);
        let fails = |event: &Event| {
            let violation = Code::PROTOCOL;
            matches!(event, Event::Failed { error: ConnectError::Violation { code, .. }, .. }
                if *code == violation)
        };
        assert!(events.iter().any(fails), "{what}: {events:?}");
    }
    // A key of low order cannot be opened to.
    let (mut pair, _, _) = challenged_with(&referral_bytes([0; 32]), false);
    pair.run(Duration::from_secs(1));
    let reason = "the key there is of no use";
    let failed = |event: &Event| match event {
        Event::Failed { error, .. } => *error == ConnectError::Referred { reason },
        _ => false,
    };
    assert!(pair.events(Side::Client).iter().any(failed));
}

/// T57: a connection that stands is told, once, though the frame is lost; nothing else changes, and
/// its user can open there.
#[test]
pub(crate) fn t57_a_ready_server_refers() {
    let mut group = Group::new(
        Config::client(),
        Config::public_server(identity("server")),
        vec![Config::public_server(identity("other"))],
    );
    let (client, server) = group.pair.connected();
    group.pair.run(Duration::from_secs(1));
    let (from, mut left) = (group.pair.server, 2);
    group.pair.world.add_rule(move |packet| {
        let lost = packet.from == Some(from) && left > 0;
        left -= u32::from(lost);
        if lost { Verdict::Drop } else { Verdict::Pass }
    });
    let referral = group.to(0, b"route");
    let refer = |pair: &mut Pair, referral: &Referral| {
        pair.call(Side::Server, |e, now| e.refer(now, server, referral))
    };
    refer(&mut group.pair, &referral).unwrap();
    group.pair.run(Duration::from_secs(5));
    refer(&mut group.pair, &referral).unwrap();
    group.pair.run(Duration::from_secs(5));
    let told = |connection| {
        let referral = referral.clone();
        Event::Forward { connection, referral, followed: false }
    };
    let events = group.pair.events(Side::Client);
    let count = events.iter().filter(|event| **event == told(client)).count();
    assert_eq!(count, 1, "{events:?}");
    assert_eq!(group.pair.state(Side::Client, client), Some(tripline::State::Ready));
    // Four are told, in any case; each is the newest.
    for route in 0..9_u8 {
        let next = group.to(0, &[route]);
        refer(&mut group.pair, &next).unwrap();
        group.pair.run(Duration::from_secs(1));
    }
    let more = group.pair.events(Side::Client);
    assert_eq!(more.iter().filter(|e| matches!(e, Event::Forward { .. })).count(), 3);
    let options = referral.options(ConnectOptions::default());
    let target = Target::from(referral.clone());
    let there = group.pair.call(Side::Client, |e, now| e.connect(now, target, options)).unwrap();
    group.pair.wait(Side::Client, |event| match event {
        Event::Connected { connection, peer, .. } if *connection == there => {
            assert_eq!(*peer, Some(referral.server_key));
            Some(())
        }
        _ => None,
    });
}

/// T57: what cannot be sent is refused where it is said.
#[test]
pub(crate) fn t57_bad_referrals_are_not_sent() {
    let mut group = Group::new(Config::client(), asking("server"), vec![asking("other")]);
    let good = group.to(0, b"");
    group.pair.connect_with(to_server());
    let server = group.pair.server;
    let incoming = group.incoming(server);
    let some = SocketAddr::from(([10, 0, 0, 1], 1));
    let bad_key = PublicKey::from_bytes([0xff; 32]);
    for (referral, error) in [
        (Referral { addresses: vec![], ..good.clone() }, ReferError::Addresses),
        (Referral { addresses: vec![some; 5], ..good.clone() }, ReferError::Addresses),
        (Referral { server_key: bad_key, ..good.clone() }, ReferError::BadKey),
        (
            Referral { route: vec![0; 256], ..good.clone() },
            ReferError::RouteTooLong { length: 256 },
        ),
    ] {
        let answer = |e: &mut Carried, now| e.forward(now, incoming.handle, &referral);
        assert_eq!(group.pair.world.with(server, answer), Err(error));
    }
    let answer = |e: &mut Carried, now| e.forward(now, incoming.handle, &good);
    assert_eq!(group.pair.world.with(server, answer), Ok(()), "it still waits");
    let answer = |e: &mut Carried, now| e.forward(now, incoming.handle, &good);
    assert_eq!(group.pair.world.with(server, answer), Err(ReferError::Gone));

    let mut pair = Pair::new(2);
    let (client, server) = pair.connected();
    let refer = |e: &mut Endpoint, now, connection| e.refer(now, connection, &good);
    let refused = pair.call(Side::Client, |e, now| refer(e, now, client));
    assert_eq!(refused, Err(ReferError::NotServer));
    pair.call(Side::Server, |e, now| e.kill(now, server)).unwrap();
    let gone = pair.call(Side::Server, |e, now| refer(e, now, server));
    assert_eq!(gone, Err(ReferError::Gone));
}

/// T57: a FORWARD that breaks a rule ends the connection: from a client, or with a key that is not
/// canonical.
#[test]
pub(crate) fn t57_hostile_forwards_close() {
    let frame = |key: [u8; 32]| {
        [&varints(&[kind::FORWARD])[..], &[1, 4, 10, 0, 9, 9, 0, 9], &key, &[0]].concat()
    };
    for (mut peer, key) in [(Hostile::client(1), [9; 32]), (Hostile::server(2), [0xff; 32])] {
        peer.write(&frame(key));
        let events = peer.events();
        let lost = |event: &Event| match event {
            Event::Lost { cause: LostCause::Violation { code, .. }, .. } => *code == Code::PROTOCOL,
            _ => false,
        };
        assert!(events.iter().any(lost), "{events:?}");
        assert_eq!(peer.read_kind(kind::DISCONNECT)[0].fields, [2, kind::FORWARD]);
    }
}
