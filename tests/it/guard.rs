//! Denial of service: what strangers may cost, and what they may not achieve (R-HAND-1 to R-HAND-3,
//! R-RETRY, R-RESET; rows A1, A3, A5, D1, H7, C4 of the catalogue of attacks, contract row N25).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use tripline::{
    Config, ConnectError, ConnectOptions, Endpoint, Event, GuardConfig, LostCause, Order, State,
    StreamOptions,
};
use tripline_sansio::{DatagramMachine, Duration, Ecn, Instant, Path, Seed};
use tripline_sim::{LinkConfig, Verdict, World};
use tripline_tests::{Pair, Side, Taped, identity};

const OPEN: u8 = 0x01;
const CHALLENGE: u8 = 0x02;
const RETRY: u8 = 0x03;
const RESET: u8 = 0x06;

/// A server that demands tokens of everyone.
fn strict() -> Config {
    let guard = GuardConfig { retry_above: 0, ..GuardConfig::default() };
    Config { guard, ..Config::public_server(identity("server")) }
}

fn endpoint(config: Config, seed: u64) -> Endpoint {
    Endpoint::new(config, &Seed::from_number(seed), Instant::ZERO)
}

fn at(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

fn address(last: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, last], port))
}

/// What an endpoint has to say to one datagram.
fn answers(
    endpoint: &mut Endpoint,
    now: Instant,
    from: SocketAddr,
    datagram: &[u8],
) -> Vec<(SocketAddr, Vec<u8>)> {
    endpoint.handle_datagram(now, Path::to(from), Ecn::NotEct, &mut datagram.to_vec());
    drain(endpoint, now)
}

fn drain(endpoint: &mut Endpoint, now: Instant) -> Vec<(SocketAddr, Vec<u8>)> {
    let (mut all, mut out) = (Vec::new(), Vec::new());
    while let Some(transmit) = endpoint.poll_transmit(now, &mut out) {
        for segment in out.chunks(transmit.segment_size) {
            all.push((transmit.path.remote, segment.to_vec()));
        }
        out.clear();
    }
    all
}

/// A client that begins an attempt to the server, and its first OPEN.
fn client(seed: u64, options: ConnectOptions) -> (Endpoint, Vec<u8>) {
    let mut client = endpoint(Config::client(), seed);
    client.connect(Instant::ZERO, address(9, 9).into(), options).unwrap();
    let open = drain(&mut client, Instant::ZERO).remove(0).1;
    (client, open)
}

fn to_server() -> ConnectOptions {
    ConnectOptions::to(identity("server").public_key())
}

/// The kinds of all datagrams that a side was sent, or sent.
fn kinds<M: DatagramMachine>(world: &mut World<M>) -> Rc<RefCell<Vec<(SocketAddr, u8)>>> {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let copy = seen.clone();
    world.add_rule(move |packet| {
        copy.borrow_mut().push((packet.source, packet.bytes[0]));
        Verdict::Pass
    });
    seen
}

/// R-RETRY-1, R-OPEN-2: a server that demands tokens gives one, keeps nothing, and takes the same
/// OPEN with it; in every pattern, and in bad weather.
#[test]
pub(crate) fn r_retry_1_a_client_proves_its_address_and_gets_in() {
    for (pattern, seed) in (0..3).flat_map(|pattern| (0..6).map(move |seed| (pattern, seed))) {
        let mut config = Config::client();
        if pattern == 1 {
            config.identity = Some(identity("client"));
        }
        let link = LinkConfig::lossy(tripline_sim::Chance::percent(20 * (seed % 2) as u32))
            .delay(Duration::from_millis(10));
        let mut pair = Pair::with(seed, config, strict()).link(link);
        let seen = kinds(&mut pair.world);
        let mut options = to_server();
        options.server_key = options.server_key.filter(|_| pattern != 2);
        pair.connect_with(options);
        if pattern == 2 {
            let connection = pair.wait(Side::Client, |event| match event {
                Event::ServerKey { connection, .. } => Some(*connection),
                _ => None,
            });
            pair.call(Side::Client, |e, now| e.trust(now, connection)).unwrap();
        }
        pair.wait(Side::Client, |event| matches!(event, Event::Connected { .. }).then_some(()));
        let retries = pair.world.machine(pair.server).stats().retries_sent;
        assert!(retries >= 1, "pattern {pattern}, seed {seed}");
        assert_eq!(pair.world.machine(pair.server).stats().opens_accepted, 1);
        if seed % 2 == 0 {
            let seen: Vec<u8> = seen.borrow().iter().map(|(_, kind)| *kind).take(4).collect();
            assert_eq!(seen, [OPEN, RETRY, OPEN, CHALLENGE], "pattern {pattern}, seed {seed}");
        }
    }
}

/// R-RETRY-1: a RETRY with any bit changed, for another attempt, or from elsewhere, changes
/// nothing; the true one after it still counts. More than eight a second are not answered.
#[test]
pub(crate) fn r_retry_1_only_a_true_retry_is_answered() {
    let mut server = endpoint(strict(), 1);
    let (mut client, open) = client(2, to_server());
    let retry = answers(&mut server, at(0), address(1, 1), &open).remove(0).1;
    assert_eq!((retry[0], retry.len()), (RETRY, 46));
    for bit in 0..retry.len() * 8 {
        let mut forged = retry.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        assert!(answers(&mut client, at(1), address(9, 9), &forged).is_empty(), "bit {bit}");
    }
    assert!(answers(&mut client, at(1), address(8, 8), &retry).is_empty(), "from elsewhere");
    let (_, other) = self::client(3, to_server());
    let mut foreign = answers(&mut server, at(0), address(1, 1), &other).remove(0).1;
    foreign[1..9].copy_from_slice(&retry[1..9]);
    assert!(answers(&mut client, at(1), address(9, 9), &foreign).is_empty(), "another attempt");
    let said: Vec<_> =
        (0..100).flat_map(|_| answers(&mut client, at(2), address(9, 9), &retry)).collect();
    assert_eq!(said.len(), 8, "at most eight a second");
    for (to, again) in said {
        assert_eq!(to, address(9, 9));
        assert_eq!((again.len(), &again[..100]), (open.len(), &open[..100]));
        let through_mac1 = 32 + usize::from(u16::from_be_bytes([open[14], open[15]]));
        assert_eq!(again[..through_mac1], open[..through_mac1]);
        assert_eq!(again[through_mac1], 20);
        let challenge = answers(&mut server, at(3), address(1, 1), &again);
        assert_eq!(challenge[0].1[0], CHALLENGE);
    }
}

/// H7, R-RETRY-2: a token is good for one attempt from one address for thirty seconds; a wrong one
/// counts as none. Across a change of the secret, by time and by hand (N25), no client is dropped.
#[test]
pub(crate) fn h7_a_stolen_or_old_token_counts_as_none() {
    let mut server = endpoint(strict(), 1);
    let from = address(1, 1);
    let (mut client, open) = client(2, to_server());
    let retry = answers(&mut server, at(110_000), from, &open).remove(0).1;
    let with_token = answers(&mut client, at(1), address(9, 9), &retry).remove(0).1;
    let kind = |server: &mut Endpoint, now, from, packet: &[u8]| {
        answers(server, now, from, packet).remove(0).1[0]
    };
    for (now, from) in [
        (at(110_001), address(1, 2)),
        (at(110_001), address(2, 1)),
        (at(140_000), from),
        (at(250_000), from),
    ] {
        assert_eq!(kind(&mut endpoint_at(now), now, from, &with_token), RETRY, "another server");
    }
    assert_eq!(kind(&mut server, at(111_000), address(1, 2), &with_token), RETRY);
    assert_eq!(kind(&mut server, at(111_000), address(2, 1), &with_token), RETRY);
    let stolen = {
        let token = &with_token[through_mac1(&with_token)..][..21];
        let (_, mut other) = self::client(3, to_server());
        let start = through_mac1(&other);
        other[start..start + 21].copy_from_slice(token);
        other
    };
    assert_eq!(kind(&mut server, at(111_000), from, &stolen), RETRY, "another attempt");
    server.rotate_tokens(at(112_000));
    assert_eq!(kind(&mut server, at(121_000), from, &with_token), CHALLENGE, "the last counts");
    assert_eq!(server.stats().opens_accepted, 1);
    let (_, late) = self::client(4, to_server());
    let retry = answers(&mut server, at(200_000), from, &late).remove(0).1;
    let mut late_open = late.clone();
    let start = through_mac1(&late);
    late_open[start] = 20;
    late_open[start + 1..start + 21].copy_from_slice(&retry[10..30]);
    assert_eq!(kind(&mut server, at(231_000), from, &late_open), RETRY, "31 s old");
    assert_eq!(kind(&mut server, at(229_000), from, &late_open), RETRY, "time does not go back");
}

fn endpoint_at(now: Instant) -> Endpoint {
    Endpoint::new(strict(), &Seed::from_number(77), now)
}

fn through_mac1(open: &[u8]) -> usize {
    32 + usize::from(u16::from_be_bytes([open[14], open[15]]))
}

/// R-HAND-1: a valid token makes the first DATA prove its address, though a CHALLENGE went
/// elsewhere too.
#[test]
pub(crate) fn r_hand_1_a_token_proves_the_address() {
    for proves in [false, true] {
        let config = if proves { strict() } else { Config::public_server(identity("server")) };
        let mut pair = Pair::with(1, Config::client(), config);
        let open = Rc::new(RefCell::new(Vec::new()));
        let copy = open.clone();
        pair.world.add_rule(move |packet| {
            if packet.bytes[0] == OPEN {
                *copy.borrow_mut() = packet.bytes.to_vec();
            }
            Verdict::Pass
        });
        pair.connect();
        pair.run(Duration::from_millis(if proves { 31 } else { 11 }));
        let stranger = address(66, 6);
        let mut copied = open.borrow().clone();
        let said = pair.call(Side::Server, |e, now| {
            e.handle_datagram(now, Path::to(stranger), Ecn::NotEct, &mut copied);
            drain(e, now)
        });
        assert_eq!((said[0].0, said[0].1[0]), (stranger, CHALLENGE));
        // From here on the client hears nothing: what the server sends is for an unproven address.
        pair.world.set_link(pair.server, pair.client, LinkConfig::perfect());
        let server = pair.wait(Side::Server, |event| match event {
            Event::Connected { connection, .. } => Some(*connection),
            _ => None,
        });
        pair.world.set_link(pair.server, pair.client, LinkConfig::down());
        let before = pair.world.totals().offered;
        let stream = pair.open(Side::Server, server, StreamOptions::one_way(Order::Ordered));
        pair.send(Side::Server, server, stream, &[1; 100_000]);
        let burst = pair.world.totals().offered - before;
        assert_eq!(burst >= 8, proves, "{burst} datagrams at once");
    }
}

/// A1, D1, R-RETRY-3: OPENs at 100,000 a second from addresses that were never there. Each address
/// gets fewer bytes than it sent, memory stays in its bounds, newcomers still get in, and who is
/// connected notices nothing.
#[test]
pub(crate) fn d1_a_flood_of_opens_keeps_nobody_out() {
    const RATE: u64 = 100_000;
    const MILLIS: u64 = 200;
    let (mut pair, inspector) = Pair::inspected(1);
    let (old, server) = pair.connected();
    // Few distinct OPENs are enough: the address is part of nothing that is known again, so each
    // is changed in its ID and sealed anew only as often as Diffie-Hellman would see it.
    let opens: Vec<Vec<u8>> = (0..2_000).map(|n| client(100 + n, to_server()).1).collect();
    let mut random = pair.world.random("flood");
    let stream = pair.open(Side::Client, old, StreamOptions::one_way(Order::Ordered));
    let (mut number, mut newcomers) = (0usize, BTreeMap::new());
    for milli in 0..MILLIS {
        for _ in 0..RATE / 1_000 {
            let source = SocketAddr::from((random.bits32().to_be_bytes(), 5));
            let open = &opens[number % opens.len()];
            let to = pair.server;
            pair.world.inject(Duration::from_micros(1), source, to, Ecn::NotEct, open);
            number += 1;
        }
        pair.run(Duration::from_millis(1));
        if milli % 20 == 0 {
            pair.send(Side::Client, old, stream, &[7; 500]);
        }
        if milli % 20 == 10 && milli > 40 {
            newcomers.insert(pair.connect(), pair.world.now());
        }
    }
    pair.run(Duration::from_secs(3));
    for (newcomer, began) in newcomers {
        let stats = pair.world.machine(pair.client).connection_stats(newcomer);
        let took = Duration::from_nanos(stats.map_or(0, |stats| stats.handshake_ns));
        let ready = pair.state(Side::Client, newcomer) == Some(State::Ready);
        assert!(ready && took < Duration::from_secs(3), "{newcomer:?} of {began:?}: {took:?}");
    }
    assert_eq!(pair.messages(Side::Server, server, stream).len(), 10);
    assert_eq!(pair.state(Side::Client, old), Some(State::Ready));
    let stats = pair.world.machine(pair.server).stats();
    assert!(stats.retries_sent > 10_000, "{stats:?}");
    assert!(stats.opens_accepted < 600, "Diffie-Hellman for {}", stats.opens_accepted);
    assert_eq!(inspector.violations(), [], "more to an address than came from there, for one");
}

/// D1, R-HAND-3: above the threshold one prefix gets so many handshakes a second and no more, with
/// good tokens; another prefix is not disturbed.
#[test]
pub(crate) fn r_hand_3_a_prefix_cannot_crowd_out_the_others() {
    let mut server = endpoint(strict(), 1);
    let mut begin = |seed: u64, from: SocketAddr, now: Instant| {
        let (mut client, open) = client(seed, to_server());
        let retry = answers(&mut server, now, from, &open).remove(0).1;
        let with_token = answers(&mut client, at(1), address(9, 9), &retry).remove(0).1;
        !answers(&mut server, now, from, &with_token).is_empty()
    };
    let crowd = (0..50).filter(|n| begin(*n, address(1, *n as u16 + 1), at(0))).count();
    assert_eq!(crowd, 5, "a burst of five");
    assert!(begin(100, address(2, 1), at(0)), "another prefix");
    let second = (0..100).filter(|n| begin(200 + n, address(1, 7), at(10 * (n + 1)))).count();
    assert!((18..=21).contains(&second), "{second} in the second after");
    assert!(server.stats().drops.rate_limited > 100);
}

/// R-HAND-3: each kind of answer has a rate; what is over it is counted and gets nothing.
#[test]
pub(crate) fn r_hand_3_answers_have_rates() {
    let guard = GuardConfig {
        retry_above: u32::MAX,
        challenges_per_second: 10,
        repeats_per_second: 20,
        versions_per_second: 30,
        ..GuardConfig::default()
    };
    let mut server = endpoint(Config { guard, ..Config::public_server(identity("server")) }, 1);
    let opens: Vec<Vec<u8>> = (0..100).map(|n| client(n, to_server()).1).collect();
    let said = |server: &mut Endpoint, now, packet: &[u8]| {
        answers(server, now, address(1, 1), packet).len()
    };
    let taken: usize = opens.iter().map(|open| said(&mut server, at(0), open)).sum();
    assert_eq!(taken, 10, "CHALLENGE");
    let repeats: usize = (0..100).map(|_| said(&mut server, at(0), &opens[0])).sum();
    assert_eq!(repeats, 20, "the same CHALLENGE again");
    let mut foreign = opens[0].clone();
    foreign[4] = 9;
    let hints: usize = (0..100).map(|_| said(&mut server, at(0), &foreign)).sum();
    assert_eq!(hints, 30, "VERSION");
    assert_eq!(server.stats().drops.rate_limited, 90 + 80 + 70);
    assert_eq!(said(&mut server, at(1_000), &opens[50]), 1, "a second later");
}

/// R-HAND-3: length, version, suite, mac1, zeros, token, rate: each packet here breaks all the
/// rules from one on, and the answer is always that of the first.
#[test]
pub(crate) fn r_hand_3_the_cheap_checks_come_first() {
    let guard = GuardConfig { retry_above: 0, challenges_per_second: 0, ..GuardConfig::default() };
    let mut server = endpoint(Config { guard, ..Config::public_server(identity("server")) }, 1);
    let (mut client, open) = client(2, to_server());
    let (version, suite, mac1, pad) = (4, 13, through_mac1(&open) - 1, 1_199);
    let broken = |places: &[usize], len: usize| {
        let mut packet = open.clone();
        places.iter().for_each(|place| packet[*place] ^= 0x55);
        packet.truncate(len);
        packet
    };
    let mut said = |packet: &[u8]| {
        let said = answers(&mut server, at(0), address(1, 1), packet);
        let drops = server.stats().drops;
        (said.into_iter().map(|(_, bytes)| bytes).next(), drops)
    };
    let (nothing, drops) = said(&broken(&[version, suite, mac1], 1_199));
    assert_eq!((nothing, drops.malformed, drops.unsupported), (None, 1, 0));
    for (places, reason) in
        [(&[version, suite, mac1, pad][..], 1), (&[suite, mac1, pad], 2), (&[mac1, pad], 3)]
    {
        let hint = said(&broken(places, 1_200)).0.unwrap();
        assert_eq!((hint[0], hint[9]), (0x05, reason));
    }
    let (nothing, drops) = said(&broken(&[pad], 1_200));
    assert_eq!((nothing, drops.bad_open, drops.rate_limited), (None, 2, 0));
    let retry = said(&open).0.unwrap();
    assert_eq!(retry[0], RETRY);
    let with_token = answers(&mut client, at(1), address(9, 9), &retry).remove(0).1;
    let (nothing, drops) = said(&with_token);
    assert_eq!((nothing, drops.rate_limited), (None, 1));
    assert_eq!(server.stats().opens_accepted, 0, "no Diffie-Hellman");
}

/// R-HAND-3c: a batch full of RETRYs leaves room for a CHALLENGE.
#[test]
pub(crate) fn r_hand_3_cheap_answers_leave_room() {
    let mut server = endpoint(strict(), 1);
    let (mut client, open) = client(2, to_server());
    let retry = answers(&mut server, at(0), address(1, 1), &open).remove(0).1;
    let mut with_token = answers(&mut client, at(1), address(9, 9), &retry).remove(0).1;
    let mut hand = |from: SocketAddr, bytes: &mut [u8]| {
        server.handle_datagram(at(1), Path::to(from), Ecn::NotEct, bytes);
    };
    for port in 1..=2_000 {
        hand(address(2, port), &mut open.clone());
    }
    hand(address(1, 1), &mut with_token);
    let said = drain(&mut server, at(1));
    let retries = said.iter().filter(|(_, bytes)| bytes[0] == RETRY).count();
    assert_eq!((retries, said.len()), (512, 513));
    assert_eq!((said[512].0, said[512].1[0]), (address(1, 1), CHALLENGE));
    assert_eq!(server.stats().drops.at_bound, 2_000 - 512);
}

/// R-HAND-OPENING-reordered: a RETRY harms neither before nor after the CHALLENGE.
#[test]
pub(crate) fn r_hand_opening_reordered_retry_and_challenge() {
    let mut lenient = endpoint(Config::public_server(identity("server")), 1);
    let mut server = endpoint(strict(), 1);
    let (mut client, open) = client(2, to_server());
    let from = address(1, 1);
    // Both servers are the same one, before and after it was flooded: same seed, same keys.
    let retry = answers(&mut server, at(0), from, &open).remove(0).1;
    let challenge = answers(&mut lenient, at(0), from, &open).remove(0).1;
    let again = answers(&mut client, at(1), address(9, 9), &retry).remove(0).1;
    assert_eq!(answers(&mut lenient, at(1), from, &again).remove(0).1, challenge, "the same one");
    let data = answers(&mut client, at(2), address(9, 9), &challenge);
    assert!(data[0].1[0] >= 0x80, "PINGING");
    assert!(answers(&mut client, at(3), address(9, 9), &retry).is_empty(), "RETRY comes late");
    let back = answers(&mut lenient, at(3), from, &data[0].1).remove(0).1;
    answers(&mut client, at(4), address(9, 9), &back);
    let event = std::iter::from_fn(|| client.poll_event()).last();
    assert!(matches!(event, Some(Event::Connected { .. })), "{event:?}");
}

/// Puts a new endpoint in the server's place: the same identity, other randomness.
fn restart(pair: &mut Pair, config: Config) {
    let seed = pair.world.seed_for("after the restart");
    let host = pair.server;
    pair.world.with(host, |endpoint, now| **endpoint = Endpoint::new(config, &seed, now));
}

/// C4, R-RESET-1, R-RESET-2: a server restarts with its identity; the client learns it with the
/// first packet that it sends, within a round trip.
#[test]
pub(crate) fn c4_a_restart_is_noticed_at_once() {
    let mut pair = Pair::new(1);
    let (client, _) = pair.connected();
    let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Ordered));
    pair.send(Side::Client, client, stream, b"to the old one");
    pair.run(Duration::from_secs(1));
    restart(&mut pair, Config::public_server(identity("server")));
    pair.events(Side::Client);
    let (began, tape) = (pair.world.now(), pair.tape());
    pair.send(Side::Client, client, stream, b"to the new one");
    let cause = pair.wait(Side::Client, |event| match event {
        Event::Lost { connection, cause } if *connection == client => Some(cause.clone()),
        _ => None,
    });
    assert_eq!(cause, LostCause::Reset);
    assert_eq!(pair.world.now() - began, Duration::from_millis(20));
    assert_eq!(pair.state(Side::Client, client), None);
    pair.run(Duration::from_secs(60));
    let said: Vec<u8> = tape.of(Side::Server).iter().map(|one| one.bytes[0]).collect();
    assert_eq!(said, [RESET], "one RESET for one packet, and no answer to it");
    pair.connected();
}

/// R-RESET-2, R-ZONE-1: a renewal brings a new ID and its token, so a restart is noticed as before
/// it.
#[test]
pub(crate) fn r_reset_2_a_restart_is_noticed_after_renewals() {
    for renewals in 1..=3 {
        let mut pair = Pair::new(renewals);
        let (client, _) = pair.connected();
        let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Ordered));
        for _ in 0..renewals {
            pair.call(Side::Client, |e, now| e.renew(now, client)).unwrap();
            pair.send(Side::Client, client, stream, b"to the old one");
            pair.run(Duration::from_secs(5));
        }
        let stats = pair.world.machine(pair.client).connection_stats(client).unwrap();
        assert_eq!(stats.zone, renewals);
        restart(&mut pair, Config::public_server(identity("server")));
        let began = pair.world.now();
        pair.send(Side::Client, client, stream, b"to the new one");
        let cause = pair.wait(Side::Client, |event| match event {
            Event::Lost { cause, .. } => Some(cause.clone()),
            _ => None,
        });
        assert_eq!(
            (cause, pair.world.now() - began),
            (LostCause::Reset, Duration::from_millis(20))
        );
        pair.connected();
    }
}

/// C4: whichever packet of a session is the last that the old server hears, the client ends once,
/// and the next attempt gets in.
#[test]
pub(crate) fn c4_a_restart_at_any_packet_ends_the_session() {
    for index in 0..40 {
        let mut pair = Pair::new(index);
        let tape = pair.tape();
        let (client, _) = pair.connected();
        let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Ordered));
        let until = tape.len() + index as usize;
        for _ in 0..40 {
            pair.send(Side::Client, client, stream, &[1; 1_000]);
        }
        let limit = Duration::from_secs(5);
        let _reached = pair.world.run_while(limit, |_| tape.len() < until);
        restart(&mut pair, Config::public_server(identity("server")));
        pair.send(Side::Client, client, stream, b"more");
        pair.run(Duration::from_secs(3));
        let events = pair.events(Side::Client);
        let ends = events.iter().filter(|event| matches!(event, Event::Lost { .. })).count();
        assert_eq!(ends, 1, "seed {index}: {events:?}");
        pair.connected();
    }
}

/// T25: `kill` is silent, but the peer learns of it by RESET when it sends; on either side.
#[test]
pub(crate) fn t25_the_peer_of_a_killed_connection_learns_it_by_reset() {
    for side in [Side::Client, Side::Server] {
        let mut pair = Pair::new(1);
        let (client, server) = pair.connected();
        let (killed, other, peer) = match side {
            Side::Client => (client, server, Side::Server),
            Side::Server => (server, client, Side::Client),
        };
        pair.run(Duration::from_secs(1));
        pair.call(side, |e, now| e.kill(now, killed)).unwrap();
        let stream = pair.open(peer, other, StreamOptions::one_way(Order::Ordered));
        pair.send(peer, other, stream, b"anyone?");
        let began = pair.world.now();
        let cause = pair.wait(peer, |event| match event {
            Event::Lost { cause, .. } => Some(cause.clone()),
            _ => None,
        });
        assert_eq!(
            (cause, pair.world.now() - began),
            (LostCause::Reset, Duration::from_millis(20))
        );
    }
}

/// R-HAND-PINGING-forged: the server forgets a client that has sent nothing but PINGs: a new
/// attempt begins within the same deadline, unseen by the user. If messages went out, the attempt
/// failed.
#[test]
pub(crate) fn r_reset_2_pinging_begins_again_if_nothing_was_sent() {
    for (sends, pattern) in [(false, 0), (true, 0), (false, 1), (false, 2)] {
        let mut config = Config::client();
        if pattern == 1 {
            config.identity = Some(identity("client"));
        }
        let mut pair = Pair::with(1, config, Config::public_server(identity("server")));
        let mut options = to_server();
        options.server_key = options.server_key.filter(|_| pattern != 2);
        let client = pair.connect_with(options);
        let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Ordered));
        if sends {
            pair.send(Side::Client, client, stream, b"once");
        }
        if pattern == 2 {
            pair.wait(Side::Client, |event| matches!(event, Event::ServerKey { .. }).then_some(()));
            pair.call(Side::Client, |e, now| e.trust(now, client)).unwrap();
        }
        let pinging = |state| state == Some(State::Pinging);
        let host = pair.client;
        let limit = Duration::from_secs(1);
        let found =
            pair.world.run_while(limit, |world| !pinging(world.machine(host).state(client)));
        assert!(found);
        restart(&mut pair, Config::public_server(identity("server")));
        pair.run(Duration::from_secs(3));
        let events = pair.events(Side::Client);
        let keys = events.iter().filter(|e| matches!(e, Event::ServerKey { .. })).count();
        assert!(keys <= 1, "nobody is asked twice: {events:?}");
        if sends {
            let failed = Event::Failed { connection: client, error: ConnectError::Reset };
            assert!(events.contains(&failed), "{events:?}");
            continue;
        }
        let connected = |event: &&Event| matches!(event, Event::Connected { .. });
        assert_eq!(events.iter().filter(connected).count(), 1, "{pattern}: {events:?}");
        pair.send(Side::Client, client, stream, b"to the new one");
        let server = pair.wait(Side::Server, |event| match event {
            Event::Connected { connection, .. } => Some(*connection),
            _ => None,
        });
        pair.run(Duration::from_secs(1));
        assert_eq!(pair.messages(Side::Server, server, stream), [b"to the new one".to_vec()]);
    }
}

/// A5, R-RESET-2: no guess, no other connection's token, and no token from another address ends a
/// connection; a RESET for a live ID is never sent.
#[test]
pub(crate) fn a5_a_reset_cannot_be_guessed_or_fetched() {
    let mut pair = Pair::new(1);
    let (client, _) = pair.connected();
    let (killed, _) = pair.connected();
    let home = pair.world.address(pair.client);
    let tape = pair.tape();
    let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Ordered));
    pair.send(Side::Client, client, stream, b"alive");
    pair.run(Duration::from_secs(1));
    // Whoever saw a packet of a live connection asks for the token of its ID, in every way.
    let live = tape.of(Side::Client).into_iter().rfind(Taped::is_data).unwrap().bytes;
    for from in [home, address(66, 6)] {
        for len in [live.len(), 28, 27, 18] {
            let mut asked = live[..len.min(live.len())].to_vec();
            let last = asked.len() - 1;
            asked[last] ^= 1;
            pair.deliver_from(Side::Server, Path::to(from), &asked);
        }
    }
    pair.run(Duration::from_secs(1));
    assert!(tape.kind(RESET).is_empty(), "a RESET for a live ID");
    // A true RESET, of the other connection.
    pair.call(Side::Client, |e, now| e.kill(now, killed)).unwrap();
    let mut random = pair.world.random("guesses");
    for _ in 0..20_000 {
        pair.deliver(Side::Client, &[&[RESET][..], &random.bytes::<16>()].concat());
    }
    assert_eq!(pair.state(Side::Client, client), Some(State::Ready));
    assert_eq!(pair.world.machine(pair.client).stats().drops.stray_reset, 20_000);
}

/// R-RESET-2: the right token counts only from where we send to.
#[test]
pub(crate) fn r_reset_2_a_true_token_from_elsewhere_does_not_count() {
    let mut pair = Pair::new(1);
    let (client, server) = pair.connected();
    let tape = pair.tape();
    pair.run(Duration::from_secs(1));
    pair.silence(Side::Server);
    pair.call(Side::Server, |e, now| e.kill(now, server)).unwrap();
    let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Ordered));
    pair.send(Side::Client, client, stream, b"hello?");
    pair.run(Duration::from_millis(15));
    let packet = tape.kind(RESET)[0].bytes.clone();
    assert_eq!(packet.len(), 17);
    let home = pair.world.address(pair.server);
    let hand = |pair: &mut Pair, from, bytes: &[u8]| {
        pair.deliver_from(Side::Client, Path::to(from), bytes);
        pair.state(Side::Client, client)
    };
    assert_eq!(hand(&mut pair, address(66, 6), &packet), Some(State::Ready));
    assert_eq!(hand(&mut pair, home, &packet[..16]), Some(State::Ready));
    for bit in 8..packet.len() * 8 {
        let mut forged = packet.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        pair.deliver(Side::Client, &forged);
        assert_eq!(pair.state(Side::Client, client), Some(State::Ready), "bit {bit}");
    }
    pair.deliver(Side::Client, &packet);
    assert_eq!(pair.state(Side::Client, client), None, "the true one");
}

/// A3: one forged packet of each kind, with the peer's address or its own, starts no conversation
/// between two endpoints that know nothing of each other.
#[test]
pub(crate) fn a3_no_two_endpoints_talk_for_ever() {
    let mut world: World<Endpoint> = World::new(1);
    let hosts = [1, 2].map(|last| {
        let machine = endpoint(Config::public_server(identity("server")), 50 + u64::from(last));
        world.add_host(address(last, 7), machine)
    });
    // One of each kind, made by the identity that both have: the worst case.
    let mut donor = Pair::new(3);
    let packets = Rc::new(RefCell::new(BTreeMap::new()));
    let copy = packets.clone();
    donor.world.add_rule(move |packet| {
        copy.borrow_mut().insert(packet.bytes[0], packet.bytes.to_vec());
        Verdict::Pass
    });
    let (client, server) = donor.connected();
    donor.run(Duration::from_secs(1));
    donor.call(Side::Server, |e, now| e.kill(now, server)).unwrap();
    let stream = donor.open(Side::Client, client, StreamOptions::one_way(Order::Ordered));
    donor.send(Side::Client, client, stream, b"x");
    donor.run(Duration::from_secs(1));
    let mut all: Vec<Vec<u8>> = packets.borrow().values().cloned().collect();
    let (_, open) = self::client(9, to_server());
    let mut foreign = open.clone();
    foreign[4] = 9;
    all.push(foreign);
    all.push(answers(&mut endpoint(strict(), 1), at(0), address(1, 1), &open).remove(0).1);
    let kinds: Vec<u8> = all.iter().map(|packet| packet[0]).collect();
    assert!([OPEN, CHALLENGE, RETRY, RESET, 0x80].iter().all(|kind| kinds.contains(kind)));
    for packet in all {
        for source in [address(2, 7), address(1, 7)] {
            let before = world.totals().offered;
            world.inject(Duration::ZERO, source, hosts[0], Ecn::NotEct, &packet);
            world.run_for(Duration::from_secs(60));
            let said = world.totals().offered - before;
            assert!(said <= 1, "{said} packets followed one of kind {}", packet[0]);
        }
    }
}

/// R-HAND-2: DATA for a half-open that has died gets a RESET, and the client begins again.
#[test]
pub(crate) fn r_hand_half_open_late_data_gets_a_reset() {
    let mut server = endpoint(Config::public_server(identity("server")), 1);
    let (mut client, open) = client(2, to_server());
    let from = address(1, 1);
    let challenge = answers(&mut server, at(0), from, &open).remove(0).1;
    let data = answers(&mut client, at(1), address(9, 9), &challenge).remove(0).1;
    server.handle_timeout(at(30_000));
    let reset = answers(&mut server, at(30_001), from, &data).remove(0).1;
    assert_eq!((reset[0], reset.len()), (RESET, 17));
    assert_eq!(server.stats().resets_sent, 1);
    let again = answers(&mut client, at(50), address(9, 9), &reset).remove(0).1;
    assert_eq!(again[0], OPEN);
    assert_ne!(again[5..13], open[5..13], "a new ID");
    assert_ne!(again[16..48], open[16..48], "a new ephemeral key");
    assert_eq!(client.stats().drops.stray_reset, 0);
}
