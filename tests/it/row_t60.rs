//! Row T60: the attacks that the protocol has an answer to, one test for each, named after it:
//! flood, reflection, replay, man in the middle, injection, broken cipher. What each answer
//! consists of is tested piece by piece elsewhere (`attack`, `guard`, `flood`, `violations`); here
//! the attacker does all that he can, and it does not help.

use crate::plain::mac1;
use std::net::SocketAddr;
use tripline::{
    Cipher, Config, ConnectError, ConnectOptions, ConnectionHandle, Endpoint, Event, Order, Psk,
    PublicKey, State, StreamId, StreamOptions,
};
use tripline_sansio::{DatagramMachine, Duration, Ecn, Instant, Path, Seed};
use tripline_tests::{Hostile, Pair, Side, Tape, Taped, Wiretap, frames, identity};

const OPEN: u8 = 0x01;
const CHALLENGE: u8 = 0x02;
const VERSION: u8 = 0x05;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn server_key() -> PublicKey {
    identity("server").public_key()
}

fn at(number: u32) -> SocketAddr {
    SocketAddr::from((number.wrapping_mul(2_654_435_761).to_be_bytes(), 7))
}

/// The same OPEN with a change, and a mac1 that fits it: whoever knows the server's key can.
fn forged(open: &[u8], change: impl Fn(&mut [u8])) -> Vec<u8> {
    let mut open = open.to_vec();
    change(&mut open);
    let end = 16 + usize::from(u16::from_be_bytes([open[14], open[15]]));
    let xx = open[13] & 3 == 3;
    let mac = mac1(if xx { [0; 32] } else { server_key().to_bytes() }, &open[..end]);
    open[end..end + 16].copy_from_slice(&mac);
    open
}

/// What an endpoint has to say to one datagram, and to whom.
fn answers(
    endpoint: &mut Endpoint,
    now: Instant,
    from: SocketAddr,
    datagram: &[u8],
) -> Vec<(SocketAddr, Vec<u8>)> {
    endpoint.handle_datagram(now, Path::to(from), Ecn::NotEct, &mut datagram.to_vec());
    let (mut all, mut out) = (Vec::new(), Vec::new());
    while let Some(transmit) = endpoint.poll_transmit(now, &mut out) {
        let segments = out.chunks(transmit.segment_size);
        all.extend(segments.map(|segment| (transmit.path.remote, segment.to_vec())));
        out.clear();
    }
    all
}

/// The OPEN of a client with these settings.
fn open(config: Config, options: ConnectOptions) -> Vec<u8> {
    let mut client = Endpoint::new(config, &Seed::from_number(77), Instant::ZERO);
    client.connect(Instant::ZERO, at(1).into(), options).expect("begins");
    let mut out = Vec::new();
    client.poll_transmit(Instant::ZERO, &mut out).expect("an OPEN");
    out
}

/// A stream of a client's with so many messages on it, each of one number.
fn speak(pair: &mut Pair, client: ConnectionHandle, messages: u8) -> StreamId {
    let stream = pair.open(Side::Client, client, StreamOptions::two_way(Order::Ordered));
    (0..messages).for_each(|number| pair.send(Side::Client, client, stream, &[number; 700]));
    stream
}

/// What of it has come, each message once and in order.
fn assert_heard(pair: &mut Pair, server: ConnectionHandle, stream: StreamId, messages: u8) {
    let got = pair.messages(Side::Server, server, stream);
    let wanted: Vec<Vec<u8>> = (0..messages).map(|number| vec![number; 700]).collect();
    assert!(got == wanted, "{} messages of {messages}", got.len());
}

fn assert_ready(pair: &Pair, ends: (ConnectionHandle, ConnectionHandle)) {
    assert_eq!(pair.state(Side::Client, ends.0), Some(State::Ready));
    assert_eq!(pair.state(Side::Server, ends.1), Some(State::Ready));
}

/// T60, flood: 20,000 OPENs a second with forged sources, each of which passes the cheap checks
/// and costs Diffie-Hellman if it is let so far: they make no connection, cost no more than the
/// threshold allows, and neither those who are connected nor a newcomer notice. It does not matter
/// whether the Noise message behind mac1 is true (each makes a half-open), or is rubbish (none
/// does), or asks for what is refused.
#[test]
pub(crate) fn t60_flood() {
    for rubbish in [false, true] {
        let mut pair = Pair::new(1);
        let ends = pair.connected();
        let before = pair.world.machine(pair.server).stats();
        let model = open(Config::client(), ConnectOptions::to(server_key()));
        let mut crowd = Endpoint::new(Config::client(), &Seed::from_number(5), Instant::ZERO);
        let stream = pair.open(Side::Client, ends.0, StreamOptions::one_way(Order::Ordered));
        let mut newcomer = None;
        for number in 0..20_000_u32 {
            // True ones are dear to make: only as many as could be let in.
            let open = if rubbish || number % 40 > 0 {
                forged(&model, |open| open[16..20].copy_from_slice(&number.to_be_bytes()))
            } else {
                crowd
                    .connect(Instant::ZERO, at(1).into(), ConnectOptions::to(server_key()))
                    .expect("begins");
                let mut out = Vec::new();
                crowd.poll_transmit(Instant::ZERO, &mut out).expect("an OPEN");
                out
            };
            pair.deliver_from(Side::Server, Path::to(at(number)), &open);
            if number % 20 == 0 {
                pair.run(ms(1));
            }
            if number % 400 == 0 {
                pair.send(Side::Client, ends.0, stream, &[1; 500]);
            }
            if number == 10_000 {
                newcomer = Some(pair.connect());
            }
        }
        let newcomer = newcomer.expect("it came");
        assert_eq!(pair.state(Side::Client, newcomer), Some(State::Ready), "within half a second");
        pair.run(ms(30));
        assert_eq!(pair.messages(Side::Server, ends.1, stream).len(), 50);
        let server = pair.world.machine(pair.server);
        let stats = server.stats();
        assert_eq!(server.connections(), 2);
        let begun = stats.opens_accepted - before.opens_accepted;
        let dear = begun + stats.drops.bad_open;
        assert!((64..80).contains(&dear), "Diffie-Hellman for {dear} of 20,000 OPENs");
        assert!(stats.retries_sent > 19_000, "{} RETRYs, which leave nothing", stats.retries_sent);
        assert_eq!(stats.drops.rate_limited, 0);
        assert_ready(&pair, ends);
    }
}

/// T60, reflection: whatever an attacker sends in the name of a victim, the victim gets at most
/// one datagram for each and never more bytes, from whom demands tokens too; and answers make no
/// answers.
#[test]
pub(crate) fn t60_reflection() {
    let psk = Some(Psk::from_bytes([1; 32]));
    let nk = open(Config::client(), ConnectOptions::to(server_key()));
    let ik = Config { identity: Some(identity("client")), ..Config::client() };
    let ik = open(ik, ConnectOptions::to(server_key()));
    let xx = open(Config::client(), ConnectOptions::default());
    let with_psk =
        open(Config::client(), ConnectOptions { psk, ..ConnectOptions::to(server_key()) });
    let mut bad_mac = nk.clone();
    bad_mac[20] ^= 1;
    let mut packets = vec![nk.clone(), ik, xx, with_psk, bad_mac];
    packets.push(forged(&nk, |open| open[1..5].copy_from_slice(&[0, 0, 0, 9])));
    packets.push(forged(&nk, |open| open[13] = 0xff));
    packets.extend([0x80_u8, 0xc0].map(|first| [&[first][..], &[7; 60]].concat()));
    for first in 0..=8_u8 {
        packets.extend([1, 9, 17, 40, 1_200].map(|len| [&[first][..], &vec![0; len - 1]].concat()));
    }
    let victim = SocketAddr::from(([192, 0, 2, 1], 53));
    for retry_above in [0, 64] {
        let mut config = Config::public_server(identity("server"));
        config.guard.retry_above = retry_above;
        let mut pair = Pair::with(1, Config::client(), config);
        let tape = pair.tape();
        let (client, server) = pair.connected();
        // DATA for a connection that is gone is what RESET answers.
        pair.call(Side::Server, |e, now| e.kill(now, server)).expect("it is there");
        let late: Vec<Vec<u8>> =
            tape.of(Side::Client).into_iter().filter(Taped::is_data).map(|one| one.bytes).collect();
        pair.call(Side::Client, |e, now| e.kill(now, client)).expect("it is there");
        let mut said = Vec::new();
        for packet in packets.iter().chain(&late) {
            let all = pair.call(Side::Server, |e, now| answers(e, now, victim, packet));
            let bytes: usize = all.iter().map(|(_, answer)| answer.len()).sum();
            assert!(all.len() <= 1 && bytes <= packet.len(), "{bytes} for {}", packet.len());
            assert!(all.iter().all(|(to, _)| *to == victim));
            said.extend(all.into_iter().map(|(_, answer)| answer));
        }
        let kinds: std::collections::BTreeSet<u8> = said.iter().map(|one| one[0]).collect();
        let expected = if retry_above == 0 { [3, 5, 6] } else { [2, 5, 6] };
        assert_eq!(kinds.into_iter().collect::<Vec<_>>(), expected, "answers of every kind");
        // The victim may be an endpoint: it says nothing to what is not for it, so nothing echoes.
        for answer in said {
            let server = pair.world.address(pair.server);
            let echo = pair.call(Side::Client, |e, now| answers(e, now, server, &answer));
            assert!(echo.is_empty(), "{echo:x?}");
        }
    }
}

/// A session of two messages each way, and all of its datagrams.
fn recorded(pair: &mut Pair) -> (Tape, (ConnectionHandle, ConnectionHandle), StreamId) {
    let tape = pair.tape();
    let ends = pair.connected();
    let stream = speak(pair, ends.0, 20);
    pair.run(ms(200));
    assert_heard(pair, ends.1, stream, 20);
    pair.send(Side::Server, ends.1, stream, b"thanks");
    pair.run(ms(200));
    assert_eq!(pair.messages(Side::Client, ends.0, stream), [b"thanks"]);
    (tape, ends, stream)
}

/// Plays every datagram again, to whom it went, from where it came and from elsewhere.
fn play(pair: &mut Pair, tape: &[Taped]) {
    for from in [None, Some(SocketAddr::from(([10, 66, 6, 6], 66)))] {
        for one in tape {
            let from = from.unwrap_or_else(|| pair.world.address(pair.host(one.from)));
            pair.deliver_from(one.from.other(), Path::to(from), &one.bytes);
        }
        pair.run(ms(300));
    }
}

/// T60, replay: a whole session, played again while it lives, after it has ended, and to a server
/// that was restarted: no message comes twice, no connection comes about, nobody moves, and no
/// user hears anything.
#[test]
pub(crate) fn t60_replay() {
    let mut pair = Pair::new(1);
    let (tape, ends, stream) = recorded(&mut pair);
    let all = tape.all();
    pair.events(Side::Client);
    pair.events(Side::Server);
    let quiet = |pair: &mut Pair| {
        for side in [Side::Client, Side::Server] {
            let events = pair.events(side);
            assert!(events.is_empty(), "{side:?}: {events:?}");
        }
    };
    play(&mut pair, &all);
    quiet(&mut pair);
    assert_ready(&pair, ends);
    let stats = pair.world.machine(pair.server).connection_stats(ends.1).expect("it lives");
    assert_eq!((stats.moves, stats.messages_received), (0, 20));
    let data = all.iter().filter(|one| one.is_data() && one.from == Side::Client).count() as u64;
    assert_eq!(stats.drops.replayed, 2 * data);
    pair.send(Side::Client, ends.0, stream, b"one more");
    pair.run(ms(100));
    assert_eq!(pair.messages(Side::Server, ends.1, stream), [b"one more"]);

    let all = tape.all();
    let close = |e: &mut Endpoint, now| e.close(now, ends.0, ms(0), tripline::Code::NONE, "");
    pair.call(Side::Client, close).expect("it is there");
    pair.run(Duration::from_secs(60));
    pair.events(Side::Client);
    pair.events(Side::Server);
    play(&mut pair, &all);
    quiet(&mut pair);
    assert_eq!(pair.world.machine(pair.server).connections(), 0);

    let mut fresh = Pair::new(2);
    play(&mut fresh, &all);
    quiet(&mut fresh);
    assert_eq!(fresh.world.machine(fresh.server).connections(), 0);
}

/// How an attempt ended: `None` if it is connected.
fn outcome(pair: &mut Pair) -> Option<ConnectError> {
    pair.wait(Side::Client, |event| match event {
        Event::Connected { .. } => Some(None),
        Event::Failed { error, .. } => Some(Some(error.clone())),
        _ => None,
    })
}

/// T60, man in the middle, in the server's place: who has another key cannot answer for the
/// server, nor read who asks; in XX the user is shown whose key it is, and nothing is told to who
/// is not trusted.
#[test]
pub(crate) fn t60_man_in_the_middle_with_a_key_of_his_own() {
    let mallory = || Config::public_server(identity("mallory"));
    let client = Config { identity: Some(identity("client")), ..Config::client() };
    for config in [Config::client(), client.clone()] {
        let mut pair = Pair::with(1, config, mallory());
        pair.connect_with(ConnectOptions::to(server_key()));
        assert_eq!(outcome(&mut pair), Some(ConnectError::Identity));
        assert!(pair.events(Side::Server).is_empty(), "nobody came");
    }
    let mut pair = Pair::with(1, client, mallory());
    let tape = pair.tape();
    let options = ConnectOptions { user_id: *b"my login", ..ConnectOptions::default() };
    let connection = pair.connect_with(options);
    let shown = pair.wait(Side::Client, |event| match event {
        Event::ServerKey { key, .. } => Some(*key),
        _ => None,
    });
    assert_eq!(shown, identity("mallory").public_key(), "not the server's");
    pair.call(Side::Client, |e, now| e.kill(now, connection)).expect("it is there");
    pair.run(Duration::from_secs(5));
    let kinds: Vec<u8> = tape.of(Side::Client).iter().map(|one| one.bytes[0]).collect();
    assert!(kinds.iter().all(|kind| *kind == OPEN), "{kinds:?}");
    assert!(!tape.all().iter().any(|one| one.bytes.windows(8).any(|run| run == b"my login")));
}

/// T60, man in the middle, on the way: copies of the handshake's packets with any bit changed,
/// which arrive before the true ones, and an OPEN made over to another suite, lead to nothing; the
/// true ones do.
#[test]
pub(crate) fn t60_man_in_the_middle_who_changes_the_handshake() {
    for pattern in 0..3 {
        let own = (pattern == 1).then(|| identity("client"));
        let client = Config { identity: own, hardware_aes: true, ..Config::client() };
        let mut pair = Pair::with(3, client, Config::public_server(identity("server")));
        let tape = pair.tape();
        let options =
            if pattern == 2 { ConnectOptions::default() } else { ConnectOptions::to(server_key()) };
        let connection = pair.connect_with(options);
        pair.until(|_| !tape.is_empty());
        let open = tape.all()[0].bytes.clone();
        pair.deliver_flipped(Side::Server, &open, 400);
        // Another cipher, with a mac that fits.
        let down = forged(&open, |open| open[13] &= 0b111);
        pair.forge(Side::Server, &down);
        pair.run(ms(11));
        let challenge = tape.kind(CHALLENGE).last().expect("an answer").bytes.clone();
        pair.deliver_flipped(Side::Client, &challenge, 400);
        if pattern == 2 {
            let shown = |event: &Event| matches!(event, Event::ServerKey { .. }).then_some(());
            pair.wait(Side::Client, shown);
            let before = tape.len();
            pair.call(Side::Client, |e, now| e.trust(now, connection)).expect("it waits");
            let confirm = tape.all()[before].bytes.clone();
            pair.deliver_flipped(Side::Server, &confirm, 400);
        }
        assert_eq!(outcome(&mut pair), None, "pattern {pattern}");
        let agreed = pair.world.machine(pair.client).agreed(connection).expect("connected");
        assert_eq!(agreed.suite.cipher, Cipher::AesGcm, "nobody was talked down");
        assert_eq!(pair.world.machine(pair.server).connections(), 1);
    }
}

/// T60, injection: who sees every packet, and knows all that is not secret, puts packets between
/// them: changed copies, packets under the keys of a connection of his own, RESETs, handshake
/// packets. Each is dropped and counted; what the sides say to each other arrives as it was said.
#[test]
pub(crate) fn t60_injection() {
    let mut pair = Pair::new(1);
    let tape = pair.tape();
    let ends = pair.connected();
    pair.run(Duration::from_secs(1));
    // His own connection to a server like this one; he holds its keys.
    let mut own = Hostile::client(2);
    let stream = speak(&mut pair, ends.0, 20);
    let seen = tape.all();
    let id = seen.iter().rev().find(|one| one.is_data() && one.from == Side::Client);
    let id = id.expect("data").bytes[1..9].to_vec();
    for one in seen.iter().rev().take(4) {
        pair.deliver_flipped(one.from.other(), &one.bytes, 300);
    }
    for frames in [
        frames::varints(&[frames::kind::DISCONNECT, 0, 0, 0]),
        frames::stream(0x10 | 1 << 2, 0, b"never said"),
        frames::ping(1, false),
    ] {
        let mut packet = own.seal(&frames);
        packet[1..9].copy_from_slice(&id);
        pair.forge(Side::Server, &packet);
    }
    let unauthentic = |pair: &Pair| {
        let stats = pair.world.machine(pair.server).connection_stats(ends.1);
        stats.expect("it lives").drops.unauthentic
    };
    assert!(unauthentic(&pair) >= 3 + 200, "{}", unauthentic(&pair));
    for side in [Side::Client, Side::Server] {
        for token in 0..50_u8 {
            pair.deliver(side, &[&[6][..], &[token; 16]].concat());
        }
        for one in seen.iter().filter(|one| !one.is_data()) {
            pair.deliver_flipped(side, &one.bytes, 50);
        }
    }
    pair.run(ms(500));
    assert_heard(&mut pair, ends.1, stream, 20);
    assert_ready(&pair, ends);
    for side in [Side::Client, Side::Server] {
        let ended = |event: &Event| {
            matches!(event, Event::Lost { .. } | Event::Closed { .. } | Event::Moved { .. })
        };
        assert!(!pair.events(side).iter().any(ended), "{side:?}");
    }
}

/// T60, broken cipher: a cipher is a number in the suite and the protocol has a version outside
/// the encryption, so both can be replaced: who asks for a cipher that a server no longer takes,
/// or for another version, is told which, and goes on with what both have; who cannot sees both
/// numbers.
#[test]
pub(crate) fn t60_broken_cipher() {
    let model = open(Config::client(), ConnectOptions::to(server_key()));
    let config = Config::public_server(identity("server"));
    let mut server = Endpoint::new(config, &Seed::from_number(1), Instant::ZERO);
    let mut ask = |packet: &[u8]| answers(&mut server, Instant::ZERO, at(5), packet);
    let id = &model[5..13];
    let hint = |reason: u8| [&[VERSION][..], id, &[reason, 1, 0, 0, 0, 1]].concat();
    for cipher in 3..32 {
        let other = forged(&model, |open| open[13] = cipher << 3 | open[13] & 7);
        assert_eq!(ask(&other), [(at(5), hint(2))], "cipher {cipher}");
    }
    for version in [0_u32, 2, 3, u32::MAX] {
        let other = forged(&model, |open| open[1..5].copy_from_slice(&version.to_be_bytes()));
        assert_eq!(ask(&other), [(at(5), hint(1))], "version {version}");
    }
    assert_eq!(ask(&model)[0].1[0], CHALLENGE, "the true one");

    // A server that has raised its version: the user of an older client sees both numbers.
    let mut pair = Pair::new(1).link(tripline_sim::LinkConfig::down());
    let tape = pair.tape();
    pair.connect();
    let first = tape.kind(OPEN)[0].bytes.clone();
    let raised = [&[VERSION][..], &first[5..13], &[1, 2, 0, 0, 0, 2, 0, 0, 0, 3]].concat();
    pair.deliver(Side::Client, &raised);
    let error = ConnectError::Version { ours: 1, theirs: vec![2, 3] };
    assert_eq!(outcome(&mut pair), Some(error));

    // Either cipher does for a whole session, whoever computes it.
    for (hardware_aes, cipher) in [(false, Cipher::ChaChaPoly), (true, Cipher::AesGcm)] {
        let client = Config { hardware_aes, ..Config::client() };
        let server = Wiretap::default().on(Config::public_server(identity("server")));
        let mut pair = Pair::with(1, client, server);
        let (_, ends, _) = recorded(&mut pair);
        let agreed = pair.world.machine(pair.client).agreed(ends.0).expect("connected");
        assert_eq!(agreed.suite.cipher, cipher);
    }
}
