//! What somebody on the path, or anywhere, can do with packets: replay, reflect, flood.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::rc::Rc;
use tripline::{
    Config, ConnectOptions, Endpoint, Event, GuardConfig, Order, SendOptions, State, StreamOptions,
};
use tripline_sansio::{DatagramMachine, Duration, Ecn, Instant, Path, Seed};
use tripline_sim::Verdict;
use tripline_tests::{Pair, Side, Taped, identity};

const OPEN: u8 = 0x01;
const CHALLENGE: u8 = 0x02;

/// One server endpoint without a world around it.
fn server(config: Config) -> Endpoint {
    Endpoint::new(config, &Seed::from_number(1), Instant::ZERO)
}

fn open_packet(number: u64) -> Vec<u8> {
    let mut client = Endpoint::new(Config::client(), &Seed::from_number(number), Instant::ZERO);
    let options = ConnectOptions::to(identity("server").public_key());
    let target = SocketAddr::from(([10, 0, 0, 9], 9)).into();
    client.connect(Instant::ZERO, target, options).unwrap();
    let mut out = Vec::new();
    client.poll_transmit(Instant::ZERO, &mut out).unwrap();
    out
}

fn answers(server: &mut Endpoint, now: Instant) -> Vec<(SocketAddr, Vec<u8>)> {
    let mut all = Vec::new();
    let mut out = Vec::new();
    while let Some(transmit) = server.poll_transmit(now, &mut out) {
        all.push((transmit.path.remote, std::mem::take(&mut out)));
    }
    all
}

/// T05: no answer to an unproven address is larger than what it answers (R-HAND-1).
#[test]
pub(crate) fn t05_no_answer_amplifies() {
    let mut pair = Pair::new(1);
    let seen = pair.tape();
    pair.connected();
    let first = |kind: u8| seen.kind(kind)[0].bytes.len();
    assert!(first(CHALLENGE) < first(OPEN));
}

/// R-CHAL-1, R-OPEN-2: the same OPEN again gets the same CHALLENGE, byte for byte, where it came
/// from.
#[test]
pub(crate) fn r_chal_1_the_same_open_gets_the_same_challenge() {
    let mut server = server(Config::public_server(identity("server")));
    let open = open_packet(2);
    let from = |port| SocketAddr::from(([10, 0, 0, 1], port));
    let mut challenges = BTreeSet::new();
    for port in [1, 1, 2] {
        server.handle_datagram(Instant::ZERO, Path::to(from(port)), Ecn::NotEct, &mut open.clone());
        let answers = answers(&mut server, Instant::ZERO);
        assert_eq!(answers.len(), 1);
        assert_eq!(answers[0].0, from(port));
        challenges.insert(answers[0].1.clone());
    }
    assert_eq!(challenges.len(), 1);
    assert_eq!(server.connections(), 0, "an OPEN makes no connection");
}

/// T27: the whole capture of an old connection, replayed to both sides of a new one, changes
/// nothing.
#[test]
pub(crate) fn t27_an_old_capture_never_reaches_a_new_connection() {
    let mut pair = Pair::new(3);
    let seen = pair.tape();
    let (old, _) = pair.connected();
    let stream = pair.open(Side::Client, old, StreamOptions::two_way(Order::Ordered));
    for number in 0..20u8 {
        pair.send(Side::Client, old, stream, &[number; 1_000]);
    }
    pair.run(Duration::from_secs(1));
    pair.call(Side::Client, |e, now| e.close(now, old, Duration::ZERO, tripline::Code::NONE, ""))
        .unwrap();
    pair.run(Duration::from_secs(40));
    let (client, server) = pair.connected();
    pair.run(Duration::from_secs(2));
    pair.events(Side::Client);
    pair.events(Side::Server);
    let old_packets = seen.all();
    assert!(old_packets.len() > 6);
    for packet in old_packets {
        pair.deliver(packet.from.other(), &packet.bytes);
    }
    pair.run(Duration::from_secs(2));
    assert!(pair.events(Side::Client).is_empty());
    assert!(pair.events(Side::Server).is_empty());
    assert_eq!(pair.state(Side::Client, client), Some(State::Ready));
    assert_eq!(pair.state(Side::Server, server), Some(State::Ready));
}

/// T37: each packet counts once, however often and in whatever order it comes again.
#[test]
pub(crate) fn t37_repeated_packets_are_dropped_and_counted() {
    let mut pair = Pair::new(4);
    let seen = pair.tape();
    let (client, server) = pair.connected();
    let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Unordered));
    for number in 0..50u8 {
        pair.send(Side::Client, client, stream, &[number; 300]);
        pair.run(Duration::from_millis(5));
    }
    pair.run(Duration::from_secs(1));
    let count = pair.messages(Side::Server, server, stream).len();
    assert_eq!(count, 50);
    let before = pair.world.machine(pair.server).connection_stats(server).unwrap();
    let mut data = 0;
    for packet in seen.of(Side::Client).iter().rev().filter(|packet| packet.is_data()) {
        data += 1;
        pair.deliver(Side::Server, &packet.bytes);
    }
    assert!(data > 40);
    let after = pair.world.machine(pair.server).connection_stats(server).unwrap();
    assert_eq!(after.drops.replayed - before.drops.replayed, data);
    assert_eq!(after.packets_received, before.packets_received);
    assert!(pair.messages(Side::Server, server, stream).is_empty());
}

/// R-HAND-2: a flood of OPENs fills a table of 4,096 and makes no connection; then the oldest goes.
#[test]
pub(crate) fn r_hand_2_half_opens_are_bounded() {
    let guard = GuardConfig {
        retry_above: u32::MAX,
        challenges_per_second: u32::MAX,
        ..Default::default()
    };
    let mut server = server(Config { guard, ..Config::public_server(identity("server")) });
    let flood = 4_200;
    for number in 0..flood {
        let path = Path::to(SocketAddr::from(([10, 1, (number >> 8) as u8, number as u8], 5)));
        server.handle_datagram(Instant::ZERO, path, Ecn::NotEct, &mut open_packet(10 + number));
        answers(&mut server, Instant::ZERO);
    }
    assert_eq!(server.connections(), 0);
    assert_eq!(server.stats().drops.at_bound, flood - 4_096);
    let later = server.poll_timeout().expect("half-opens die");
    assert_eq!(later, Instant::ZERO + Duration::from_secs(30));
    server.handle_timeout(later);
    assert_eq!(server.poll_timeout(), None);
}

/// R-HAND-1: where a CHALLENGE went elsewhere too, the first DATA does not prove its address: the
/// server sends at most three times what came, until its PING was answered from there.
#[test]
pub(crate) fn r_hand_1_an_address_that_is_not_proven_gets_three_times_what_it_sent() {
    let mut pair = Pair::new(5);
    let seen = pair.tape();
    pair.connect();
    pair.world.run_until(Instant::ZERO + Duration::from_millis(11));
    let mut open = seen.all()[0].bytes.clone();
    let elsewhere = Path::to(SocketAddr::from(([10, 0, 0, 77], 7)));
    pair.call(Side::Server, |e, now| e.handle_datagram(now, elsewhere, Ecn::NotEct, &mut open));
    // From here on the client is heard and hears nothing.
    let (sums, client) = (Rc::new(RefCell::new((0usize, 0usize))), Some(pair.client));
    let count = sums.clone();
    pair.world.add_rule(move |packet| {
        let data = packet.bytes[0] >= 0x80;
        let mut sums = count.borrow_mut();
        match (packet.from == client, data) {
            (true, true) => sums.0 += packet.bytes.len(),
            (false, true) => sums.1 += packet.bytes.len(),
            _ => return Verdict::Pass,
        }
        if packet.from == client { Verdict::Pass } else { Verdict::Drop }
    });
    let server = pair.wait(Side::Server, |event| match event {
        Event::Connected { connection, .. } => Some(*connection),
        _ => None,
    });
    let stream = pair.open(Side::Server, server, StreamOptions::one_way(Order::Ordered));
    pair.call(Side::Server, |e, now| {
        e.send(now, server, stream, vec![1; 200_000], SendOptions::default())
    })
    .unwrap();
    for _ in 0..80 {
        pair.run(Duration::from_millis(100));
        let (came, went) = *sums.borrow();
        assert!(went <= 3 * came, "{went} bytes for {came}");
        assert!(went > 0);
    }
    pair.world.clear_rules();
    pair.run(Duration::from_secs(10));
    let (came, went) = *sums.borrow();
    assert!(came > 0 && went > 0);
}

/// R-HAND-1: after a refusal in XX only the same CONFIRM gets the answer again, and never more
/// bytes than it has.
#[test]
pub(crate) fn r_hand_1_a_refused_confirm_reflects_nothing() {
    let mut config = Config::public_server(identity("server"));
    config.server.as_mut().unwrap().screening = tripline::Screening::Ask;
    let mut pair = Pair::with(1, Config::client(), config);
    let seen = pair.tape();
    let connection = pair.connect_with(ConnectOptions::default());
    pair.wait(Side::Client, |event| matches!(event, Event::ServerKey { .. }).then_some(()));
    pair.call(Side::Client, |e, now| e.trust(now, connection)).unwrap();
    let incoming = pair.wait(Side::Server, |event| match event {
        Event::Incoming(incoming) => Some(incoming.handle),
        _ => None,
    });
    let text = "x".repeat(255);
    pair.call(Side::Server, |e, now| e.refuse(now, incoming, tripline::Code::REFUSED, &text))
        .unwrap();
    pair.wait(Side::Client, |event| matches!(event, Event::Failed { .. }).then_some(()));
    let confirm = seen.kind(0x04)[0].bytes.clone();
    let answer = seen.of(Side::Server).into_iter().find(Taped::is_data).unwrap().bytes;
    assert!(answer.len() <= confirm.len(), "{} for {}", answer.len(), confirm.len());
    let victim = Path::to(SocketAddr::from(([10, 9, 9, 9], 9)));
    for (packet, answers) in [(&confirm[..10], vec![]), (&confirm, vec![answer])] {
        seen.clear();
        pair.deliver_from(Side::Server, victim, packet);
        let said = seen.of(Side::Server).into_iter().map(|one| one.bytes);
        assert_eq!(said.collect::<Vec<_>>(), answers, "to a stranger");
    }
}

/// T17, R-HAND-8: a private server does not show its key to whoever asks.
#[test]
pub(crate) fn t17_a_private_server_does_not_answer_xx() {
    let config = Config::private_server(identity("server"), [identity("client").public_key()]);
    let client = Config { identity: Some(identity("client")), ..Config::client() };
    let mut pair = Pair::with(1, client, config);
    pair.connect_with(ConnectOptions::default());
    pair.run(Duration::from_secs(11));
    assert_eq!(pair.world.machine(pair.server).stats().datagrams_sent, 0);
    let events = pair.events(Side::Client);
    assert!(matches!(events[..], [Event::Failed { .. }, Event::Drained { .. }]), "{events:?}");
}
