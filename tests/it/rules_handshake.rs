//! Rules of the handshake and of addresses that no cell of a table is about (PROTOCOL.md §2.5,
//! §5.2): the order of work on an OPEN, the short idle limit, the limit of connections, what proves
//! an address; and that trains of datagrams keep one size (R-DATA-4a).

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::rc::Rc;
use tripline::{
    Code, Config, ConnectError, ConnectOptions, Endpoint, Event, LostCause, Order, Screening,
    State, StreamOptions,
};
use tripline_sansio::{DatagramMachine, Duration, Ecn, Instant, Path, Seed};
use tripline_sim::Verdict;
use tripline_tests::frames::{self, kind};
use tripline_tests::{Pair, Side, Taped, Wiretap, identity};

const OPEN: u8 = 0x01;
const CHALLENGE: u8 = 0x02;
const VERSION: u8 = 0x05;

fn options(xx: bool, deadline_s: u64) -> ConnectOptions {
    let server_key = (!xx).then(|| identity("server").public_key());
    let deadline = Duration::from_secs(deadline_s);
    ConnectOptions { server_key, deadline, ..ConnectOptions::default() }
}

fn failures(pair: &mut Pair) -> Vec<ConnectError> {
    let events = pair.events(Side::Client).into_iter();
    let errors = events.filter_map(|event| match event {
        Event::Failed { error, .. } => Some(error),
        _ => None,
    });
    errors.collect()
}

/// The OPEN of an honest client.
fn open_packet() -> Vec<u8> {
    let mut client = Endpoint::new(Config::client(), &Seed::from_number(3), Instant::ZERO);
    let target = SocketAddr::from(([10, 0, 0, 2], 2222)).into();
    client.connect(Instant::ZERO, target, options(false, 10)).unwrap();
    let mut out = Vec::new();
    client.poll_transmit(Instant::ZERO, &mut out).unwrap();
    out
}

fn public_server() -> Endpoint {
    let config = Config::public_server(identity("server"));
    Endpoint::new(config, &Seed::from_number(1), Instant::ZERO)
}

/// What a server answers to a packet.
fn answer(server: &mut Endpoint, packet: &[u8]) -> Option<Vec<u8>> {
    let from = Path::to(SocketAddr::from(([10, 0, 0, 1], 1)));
    server.handle_datagram(Instant::ZERO, from, Ecn::NotEct, &mut packet.to_vec());
    let mut out = Vec::new();
    server.poll_transmit(Instant::ZERO, &mut out).map(|_| out)
}

/// OPENs that fail the cheap checks, each with faults in all that is checked later: what is broken
/// first, and what is answered: the reason of a VERSION, or nothing.
fn broken_opens() -> Vec<(&'static str, Vec<u8>, Option<u8>)> {
    let good = open_packet();
    let break_at = |packet: &mut Vec<u8>, from: usize| {
        // From the last check to the first: pad byte, mac1, suite, lengths, version.
        for (order, at) in [(4, 1_199), (3, 16 + 48 + 3), (2, 13), (1, 14), (0, 4)] {
            if order >= from {
                packet[at] ^= 0x7f;
            }
        }
    };
    let names = ["version", "lengths", "suite", "mac1", "zeros"];
    let answers = [Some(1), None, Some(2), Some(3), None];
    let mut all: Vec<_> = (0..5)
        .map(|from| {
            let mut packet = good.clone();
            break_at(&mut packet, from);
            (names[from], packet, answers[from])
        })
        .collect();
    let mut short = all[0].1.clone();
    short.truncate(1_199);
    all.push(("length of 1,200", short, None));
    all
}

/// R-HAND-3: an OPEN is judged in the order length, version, lengths, suite, mac1, zeros: the first
/// fault decides the answer, whatever else is wrong.
#[test]
pub(crate) fn r_hand_3_cheap_checks_come_in_order() {
    for (what, packet, reason) in broken_opens() {
        let mut server = public_server();
        let said = answer(&mut server, &packet);
        let hint = said.as_ref().map(|packet| (packet[0], packet[9]));
        assert_eq!(hint, reason.map(|reason| (VERSION, reason)), "{what}");
        let drops = server.stats().drops;
        let counted = match what {
            "length of 1,200" | "lengths" => drops.malformed,
            "version" | "suite" => drops.unsupported,
            _ => drops.bad_open,
        };
        let all = drops.malformed + drops.unsupported + drops.bad_open;
        assert_eq!((counted, all), (1, 1), "{what}: {drops:?}");
    }
}

/// R-HAND-3: an OPEN that fails early costs no Diffie-Hellman and no memory: a server that has seen
/// thousands of them answers a good one by the same bytes, with the same key of the moment and the
/// same ID, as its twin that has seen none.
#[test]
pub(crate) fn r_hand_3_what_fails_early_costs_nothing() {
    let (mut server, mut twin) = (public_server(), public_server());
    for _ in 0..500 {
        for (_, packet, _) in broken_opens().iter().filter(|(what, ..)| *what != "version") {
            answer(&mut server, packet);
        }
    }
    assert_eq!(server.poll_timeout(), None, "no half-open");
    assert_eq!(server.stats().opens_accepted, 0);
    let good = open_packet();
    let said = answer(&mut server, &good);
    assert_eq!(said.as_ref().map(|packet| packet[0]), Some(CHALLENGE));
    assert_eq!(said, answer(&mut twin, &good));
    // The hash of known OPENs comes before Diffie-Hellman, too: a flood of one OPEN costs one.
    for _ in 0..100 {
        assert_eq!(answer(&mut server, &good), said);
    }
    let next = {
        let mut client = Endpoint::new(Config::client(), &Seed::from_number(4), Instant::ZERO);
        let target = SocketAddr::from(([10, 0, 0, 2], 2222)).into();
        client.connect(Instant::ZERO, target, options(false, 10)).unwrap();
        let mut out = Vec::new();
        client.poll_transmit(Instant::ZERO, &mut out).unwrap();
        out
    };
    assert_eq!(answer(&mut server, &next), answer(&mut twin, &next));
}

/// A client whose payload says parameter 5 twice: the length of the route is set to 0, so that the
/// route becomes parameters.
fn client_with_bad_parameters(tap: &Wiretap) -> (Config, ConnectOptions) {
    let route = vec![5, 1, 7, 5, 1, 7];
    let length = route.len() as u8;
    tap.meddle(move |is_data, text| {
        if !is_data && text.get(8) == Some(&length) {
            text[8] = 0;
        }
    });
    (tap.on(Config::client()), ConnectOptions { route, ..options(false, 10) })
}

/// R-HAND-3: the rest of the order: the list of clients, the payload, the number of connections,
/// the user.
#[test]
pub(crate) fn r_hand_3_dear_checks_come_in_order() {
    // Not on the list, and bad parameters: silence, not a refusal.
    let (client, asked) = client_with_bad_parameters(&Wiretap::default());
    let mut pair = Pair::with(1, client, Config::private_server(identity("server"), []));
    pair.connect_with(asked);
    pair.run(Duration::from_secs(1));
    let stats = pair.world.machine(pair.server).stats();
    assert!(stats.drops.not_allowed > 0 && stats.datagrams_sent == 0);
    // Bad parameters, and a server that is full: 7, not 8.
    let mut full = Config::public_server(identity("server"));
    full.connections_max = 0;
    full.server.as_mut().unwrap().screening = Screening::Ask;
    let (client, asked) = client_with_bad_parameters(&Wiretap::default());
    let mut pair = Pair::with(1, client, full.clone());
    pair.connect_with(asked);
    pair.run(Duration::from_secs(1));
    let refused = |code| [ConnectError::Refused { code, reason: String::new() }];
    assert_eq!(failures(&mut pair), refused(Code::PARAMETER));
    // A full server does not ask its user.
    let mut pair = Pair::with(1, Config::client(), full);
    pair.connect();
    pair.run(Duration::from_secs(1));
    assert_eq!(failures(&mut pair), refused(Code::BUSY));
    assert!(pair.events(Side::Server).is_empty());
    // A known OPEN gets its CHALLENGE, though the server has filled up since.
    let mut server = Config::public_server(identity("server"));
    server.connections_max = 1;
    let mut pair = Pair::with(1, Config::client(), server);
    let tape = pair.tape();
    pair.connect();
    pair.connect();
    pair.run(Duration::from_millis(100));
    let (opens, challenges) = (tape.kind(OPEN), tape.kind(CHALLENGE));
    assert_eq!(pair.world.machine(pair.server).connections(), 1);
    tape.clear();
    pair.deliver(Side::Server, &opens[1].bytes);
    assert_eq!(tape.kind(CHALLENGE)[0].bytes, challenges[1].bytes);
}

/// R-HAND-6: until its own first DATA is acknowledged a side's idle limit is 15 s, even if both
/// parameters say *never*; from then on the agreed one holds.
#[test]
pub(crate) fn r_hand_6_nobody_stays_connected_alone() {
    let never = |mut config: Config| {
        config.transport.idle_timeout = Duration::ZERO;
        config
    };
    let mut pair =
        Pair::with(1, never(Config::client()), never(Config::public_server(identity("server"))));
    // The client's first DATA arrives; nothing that the server says to it does.
    let client = pair.connect_with(options(false, 120));
    pair.until(|pair| pair.state(Side::Client, client) == Some(State::Pinging));
    pair.silence(Side::Server);
    let handle = pair.wait(Side::Server, |event| match event {
        Event::Connected { connection, .. } => Some(*connection),
        _ => None,
    });
    pair.run(Duration::from_millis(30));
    pair.silence_both();
    pair.run(Duration::from_millis(14_900));
    assert_eq!(pair.state(Side::Server, handle), Some(State::Ready));
    assert_eq!(pair.state(Side::Client, client), Some(State::Pinging));
    pair.run(Duration::from_millis(200));
    let lost = Event::Lost { connection: handle, cause: LostCause::Idle };
    assert!(pair.events(Side::Server).contains(&lost));
    assert_eq!(failures(&mut pair).len(), 1);

    pair.unsilence_both();
    let (client, handle) = pair.connected();
    pair.run(Duration::from_secs(1));
    pair.silence_both();
    pair.run(Duration::from_secs(100_000));
    assert_eq!(pair.state(Side::Server, handle), Some(State::Ready));
    assert_eq!(pair.state(Side::Client, client), Some(State::Ready));
}

/// R-HAND-9: a server that is full refuses with *busy*, in NK by CHALLENGE, in XX after CONFIRM;
/// when one of its connections is over the next client is welcome.
#[test]
pub(crate) fn r_hand_9_a_full_server_is_busy() {
    for xx in [false, true] {
        let mut server = Config::public_server(identity("server"));
        server.connections_max = 1;
        let mut pair = Pair::with(1, Config::client(), server);
        let (_, first) = pair.connected();
        let try_again = |pair: &mut Pair| {
            let connection = pair.connect_with(options(xx, 10));
            if xx {
                pair.wait(Side::Client, |event| {
                    matches!(event, Event::ServerKey { .. }).then_some(())
                });
                pair.call(Side::Client, |e, now| e.trust(now, connection)).unwrap();
            }
            pair.run(Duration::from_secs(2));
            pair.state(Side::Client, connection)
        };
        assert_eq!(try_again(&mut pair), None);
        let busy = ConnectError::Refused { code: Code::BUSY, reason: String::new() };
        assert_eq!(failures(&mut pair), [busy], "{xx}");
        assert_eq!(pair.world.machine(pair.server).connections(), 1);
        pair.call(Side::Server, |e, now| e.kill(now, first)).unwrap();
        assert_eq!(try_again(&mut pair), Some(State::Ready), "{xx}");
    }
}

/// R-HAND-9: when the server fills up between CHALLENGE and the first DATA, that is dropped and
/// counted until there is room; the client's PING comes again.
#[test]
pub(crate) fn r_hand_9_an_accepted_client_waits_for_room() {
    let mut server = Config::public_server(identity("server"));
    server.connections_max = 1;
    let mut pair = Pair::with(1, Config::client(), server);
    let clients = [pair.connect(), pair.connect()];
    pair.run(Duration::from_secs(2));
    assert_eq!(pair.state(Side::Client, clients[0]), Some(State::Ready));
    assert_eq!(pair.state(Side::Client, clients[1]), Some(State::Pinging));
    assert!(pair.world.machine(pair.server).stats().drops.at_bound > 0);
    let first = pair.events(Side::Server).into_iter().find_map(|event| match event {
        Event::Connected { connection, .. } => Some(connection),
        _ => None,
    });
    pair.call(Side::Server, |e, now| e.kill(now, first.unwrap())).unwrap();
    pair.run(Duration::from_secs(2));
    assert_eq!(pair.state(Side::Client, clients[1]), Some(State::Ready));
}

/// R-PATH-2: the right PONG proves the address to which its PING went, wherever it comes from; a
/// PONG with another token proves nothing and is counted.
#[test]
pub(crate) fn r_path_2_the_right_pong_proves_the_address() {
    let taps = [Wiretap::default(), Wiretap::default()];
    let server_config = taps[1].on(Config::public_server(identity("server")));
    let mut pair = Pair::with(5, taps[0].on(Config::client()), server_config);
    let tape = pair.tape();
    pair.connect();
    pair.run(Duration::from_millis(11));
    // A CHALLENGE went elsewhere too: the first DATA does not prove its address (R-HAND-1a).
    let elsewhere = Path::to(SocketAddr::from(([10, 0, 0, 77], 7)));
    let open = tape.kind(OPEN)[0].bytes.clone();
    pair.deliver_from(Side::Server, elsewhere, &open);
    let count = Rc::new(RefCell::new(0));
    let (went, server) = (count.clone(), Some(pair.server));
    pair.world.add_rule(move |packet| {
        if packet.from != server || packet.bytes[0] < 0x80 {
            return Verdict::Pass;
        }
        *went.borrow_mut() += packet.bytes.len();
        Verdict::Drop
    });
    let handle = pair.wait(Side::Server, |event| match event {
        Event::Connected { connection, .. } => Some(*connection),
        _ => None,
    });
    let client = Some(pair.client);
    pair.world.add_rule(move |packet| match packet.from == client {
        true => Verdict::Drop,
        false => Verdict::Pass,
    });
    let stream = pair.open(Side::Server, handle, StreamOptions::one_way(Order::Ordered));
    pair.send(Side::Server, handle, stream, &[1; 200_000]);
    pair.run(Duration::from_millis(900));
    assert!(*count.borrow() <= 3 * 1_200);
    let sent = taps[1].take();
    let pings = sent.iter().flat_map(|packet| frames::read(&packet.text));
    let token = pings.filter(|frame| frame.kind == kind::PING).map(|frame| frame.fields[0]).next();
    let token = token.expect("the server asks for a proof");
    let id = taps[0].ids()[0];
    let number = taps[0].next_number(id);
    let wrong = taps[0].forge_numbered(id, number + 1, &frames::pong(token ^ 1));
    pair.deliver(Side::Server, &wrong);
    pair.run(Duration::from_millis(500));
    let came = 1_200 + wrong.len();
    assert!(*count.borrow() <= 3 * came, "{} bytes for {came}", count.borrow());
    let strays =
        |pair: &Pair| pair.world.machine(pair.server).connection_stats(handle).unwrap().stray_pongs;
    assert_eq!(strays(&pair), 1);
    // Late, and from nowhere that was ever written to.
    let right = taps[0].forge_numbered(id, number, &frames::pong(token));
    let nowhere = Path::to(SocketAddr::from(([10, 0, 0, 99], 9)));
    pair.deliver_from(Side::Server, nowhere, &right);
    pair.run(Duration::from_secs(5));
    assert_eq!(strays(&pair), 1);
    assert!(*count.borrow() > 6 * came, "{} bytes for {came}", count.borrow());
}

/// R-DATA-4a: while more payload waits every packet is filled to the full size, so that a train has
/// one size; the last one may be shorter.
#[test]
pub(crate) fn r_data_4a_trains_have_one_size() {
    let tap = Wiretap::default();
    let mut config = Config::client();
    // No MTU is searched for: the one size is that of the start.
    config.transport.datagram_ceiling = config.transport.datagram_size;
    let mut pair = Pair::with(1, tap.on(config), Config::public_server(identity("server")));
    let tape = pair.tape();
    let (client, _) = pair.connected();
    let streams: Vec<_> = (0..200)
        .map(|_| pair.open(Side::Client, client, StreamOptions::one_way(Order::Ordered)))
        .collect();
    pair.run(Duration::from_secs(1));
    tape.clear();
    tap.take();
    // Messages that leave less room in a packet than another frame is begun in.
    pair.call(Side::Client, |endpoint, now| {
        for stream in &streams {
            let options = tripline::SendOptions::default();
            endpoint.send(now, client, *stream, vec![1; 1_145], options).unwrap();
        }
    });
    pair.run(Duration::from_secs(3));
    let sent: Vec<Taped> = tape.of(Side::Client);
    let data = tap.take();
    assert_eq!(sent.len(), data.len());
    let mut padded = 0;
    for at in 0..sent.len() - 1 {
        if sent[at].at == sent[at + 1].at {
            assert_eq!(sent[at].bytes.len(), 1_200, "packet {at} of {}", sent.len());
            let frames = frames::read(&data[at].text);
            padded += usize::from(frames.iter().any(|frame| frame.kind == kind::PADDING));
        }
    }
    assert!(padded > 100, "{padded} of {} had to be filled", sent.len());
}

/// R-DATA-4b: small packets of connections between the same two addresses leave together, for which
/// they are filled up to a few sizes; a connection alone fills nothing.
#[test]
pub(crate) fn r_data_4b_connections_share_trains() {
    let mut pair = Pair::new(1);
    let tape = pair.tape();
    let connections: Vec<_> = (0..40).map(|_| pair.connected().0).collect();
    let streams: Vec<_> = connections
        .iter()
        .map(|client| pair.open(Side::Client, *client, StreamOptions::one_way(Order::Ordered)))
        .collect();
    pair.run(Duration::from_secs(1));
    tape.clear();
    let before = pair.call(Side::Client, |endpoint, _| endpoint.stats());
    let options = tripline::SendOptions::default();
    pair.call(Side::Client, |endpoint, now| {
        for (at, (client, stream)) in connections.iter().zip(&streams).enumerate() {
            endpoint.send(now, *client, *stream, vec![1; 8 + at], options).unwrap();
        }
    });
    // No time passes but that of the way there.
    pair.run(Duration::from_millis(1));
    let after = pair.call(Side::Client, |endpoint, _| endpoint.stats());
    let sizes: BTreeSet<_> = tape.of(Side::Client).iter().map(|taped| taped.bytes.len()).collect();
    assert!(sizes.iter().all(|size| size.is_multiple_of(32)), "{sizes:?}");
    assert_eq!(after.datagrams_sent - before.datagrams_sent, 40);
    assert_eq!(after.transmits - before.transmits, sizes.len() as u64, "{sizes:?}");
    pair.run(Duration::from_secs(1));
    tape.clear();
    pair.send(Side::Client, connections[0], streams[0], &[2; 9]);
    pair.run(Duration::from_secs(1));
    let alone = tape.of(Side::Client)[0].bytes.len();
    assert!(!alone.is_multiple_of(32), "one that is alone is not filled up: {alone} bytes");
}
