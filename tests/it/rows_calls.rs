//! Rows T67 and N21 to N24: errors, ends, reconnection, and what callers count on.

use std::collections::HashSet;
use std::error::Error as _;
use tripline::{
    Code, Config, ConnectError, ConnectOptions, ConnectionData, ConnectionHandle, Endpoint, Error,
    Event, Fate, LostCause, Order, Phase, SecretKey, SendOptions, Side as Role, State,
    StreamOptions, TransportConfig,
};
use tripline_sansio::{Duration, Instant};
use tripline_sim::LinkConfig;
use tripline_tests::{Carrier, Pair, Side, identity};

const ONE_WAY: StreamOptions = StreamOptions::one_way(Order::Ordered);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Every call hands its error on with `?`, as one type.
fn all_calls(e: &mut Endpoint, now: Instant, gone: ConnectionHandle) -> Vec<Result<(), Error>> {
    let stream = tripline::StreamId::from_number(2).expect("an ID");
    let long = ConnectOptions {
        route: vec![0; 256],
        ..ConnectOptions::to(identity("server").public_key())
    };
    let target = || std::net::SocketAddr::from(([10, 0, 0, 2], 2222)).into();
    vec![
        (|| Ok(e.connect(now, target(), long).map(drop)?))(),
        (|| Ok(e.open(now, gone, ONE_WAY).map(drop)?))(),
        (|| Ok(e.send(now, gone, stream, "x", SendOptions::default()).map(drop)?))(),
        (|| Ok(e.receive(now, gone, stream).map(drop)?))(),
        (|| Ok(e.finish(now, gone, stream)?))(),
        (|| Ok(e.kill(now, gone)?))(),
        (|| Ok("tsec1nonsense".parse::<tripline::PublicKey>().map(drop)?))(),
    ]
}

/// T67: one error type takes in the errors of all calls, and tells its source.
#[test]
pub(crate) fn t67_one_error_type_with_sources() {
    let mut pair = Pair::new(1);
    let (client, _) = pair.connected();
    pair.call(Side::Client, |e, now| e.kill(now, client)).expect("it is there");
    let results = pair.call(Side::Client, |e, now| all_calls(e, now, client));
    let mut texts = HashSet::new();
    for result in results {
        let error = result.expect_err("all of them fail");
        let source = error.source().expect("it has a source");
        assert!(!source.to_string().is_empty() && source.to_string() != error.to_string());
        assert!(texts.insert(error.to_string()), "twice: {error}");
    }
    assert_eq!(texts.len(), 7);
}

/// T67: errors that belong to no call are events, and only those two kinds are.
#[test]
pub(crate) fn t67_errors_of_no_call_are_a_stream_of_events() {
    let mut pair = Pair::new(1);
    let (client, _) = pair.connected();
    let stream = pair.open(Side::Client, client, ONE_WAY);
    pair.send(Side::Client, client, stream, b"anyone?");
    pair.silence_both();
    let other = pair.connect();
    pair.run(Duration::from_secs(60));
    let events = pair.events(Side::Client);
    assert!(events.len() > 4, "{events:?}");
    let errors: Vec<_> = events.iter().filter_map(Event::error).collect();
    let failed = ConnectError::Timeout { phase: Phase::Opening };
    let wanted = [(other, Error::Connect(failed)), (client, Error::Lost(LostCause::Idle))];
    assert_eq!(errors, wanted);
    let source = errors[1].1.source().expect("a source").to_string();
    assert!(source.contains("idle limit"), "{source}");
}

/// N21: an orderly close waits for acknowledgements up to its grace, and tells of each message
/// whether the peer has it.
#[test]
pub(crate) fn n21_an_orderly_close_reports_what_was_not_delivered() {
    let link = LinkConfig::perfect().delay(ms(20)).rate(100_000, 20_000);
    let mut pair = Pair::new(1).link(link);
    let (client, server) = pair.connected();
    let stream = pair.open(Side::Client, client, ONE_WAY);
    for _ in 0..40 {
        pair.send(Side::Client, client, stream, &[1; 10_000]);
    }
    let grace = Duration::from_secs(2);
    pair.call(Side::Client, |e, now| e.close(now, client, grace, Code::NONE, "")).expect("there");
    pair.run(Duration::from_secs(10));
    let events = pair.events(Side::Client);
    let count = |wanted: Fate| {
        let is = |e: &&Event| matches!(e, Event::Message { fate, .. } if *fate == wanted);
        events.iter().filter(is).count()
    };
    let (acked, undelivered) = (count(Fate::Acked), count(Fate::Undelivered));
    assert_eq!(acked + undelivered, 40, "each message's fate is told once");
    assert!(acked >= 10 && undelivered >= 10, "{acked} and {undelivered}");
    let got = pair.messages(Side::Server, server, stream).len();
    assert!(got >= acked, "what is told to be there is there: {got} of {acked}");
}

fn connected_within(pair: &mut Pair, client: ConnectionHandle) -> Duration {
    let since = pair.world.now();
    pair.wait(Side::Client, |event| match event {
        Event::Connected { connection, .. } if *connection == client => Some(()),
        _ => None,
    });
    pair.world.now() - since
}

/// N22: from the moment the network is back, a client that is told so is ready within one round
/// trip and the two of a handshake: in the middle of an attempt, and after a lost connection. One
/// that lives goes on within a round trip and a half.
#[test]
pub(crate) fn n22_ready_as_soon_as_the_network_is_back() {
    let (link, rtt) = (LinkConfig::perfect().delay(ms(50)), ms(100));
    // TLS, if it is there, takes its own time before.
    let handshake = if Carrier::current().is_secured() { rtt * 4 } else { rtt * 2 };
    for away in [700, 3_300, 20_000, 55_000] {
        let mut pair = Pair::new(away).link(link);
        pair.silence_both();
        let key = identity("server").public_key();
        let options =
            ConnectOptions { deadline: Duration::from_secs(600), ..ConnectOptions::to(key) };
        let client = pair.connect_with(options);
        pair.run(ms(away));
        pair.unsilence_both();
        pair.call(Side::Client, |e, now| e.network_changed(now, None)).expect("it is there");
        let took = connected_within(&mut pair, client);
        assert!(took <= handshake + rtt, "away for {away} ms: ready after {took:?}");
    }
    // The connection was lost: a new one.
    let mut pair = Pair::new(1).link(link);
    let (client, _) = pair.connected();
    pair.silence_both();
    pair.run(Duration::from_secs(60));
    assert_eq!(pair.state(Side::Client, client), None);
    pair.unsilence_both();
    let client = pair.connect();
    assert!(connected_within(&mut pair, client) <= handshake + rtt);
    // It lives: what waits goes out at once.
    let mut pair = Pair::new(2).link(link);
    let (client, server) = pair.connected();
    let stream = pair.open(Side::Client, client, ONE_WAY);
    pair.silence_both();
    pair.send(Side::Client, client, stream, b"still there?");
    pair.run(Duration::from_secs(10));
    pair.unsilence_both();
    pair.call(Side::Client, |e, now| e.network_changed(now, None)).expect("it is there");
    pair.run(rtt + rtt / 2);
    assert_eq!(pair.messages(Side::Server, server, stream).len(), 1);
}

/// N23: restart, close, flush, which side we are, equality and hashing of handles, user context.
#[test]
pub(crate) fn n23_what_callers_count_on_is_there() {
    let mut pair = Pair::new(1);
    let (client, server) = pair.connected();
    let agreed = |pair: &Pair, side, handle| pair.world.machine(pair.host(side)).agreed(handle);
    assert_eq!(agreed(&pair, Side::Client, client).map(|all| all.side), Some(Role::Client));
    assert_eq!(agreed(&pair, Side::Server, server).map(|all| all.side), Some(Role::Server));
    let mut names = ConnectionData::new();
    names.insert(client, "first");
    // Flush: every message has its fate.
    let stream = pair.open(Side::Client, client, ONE_WAY);
    (0..10).for_each(|_| pair.send(Side::Client, client, stream, &[1; 3_000]));
    for _ in 0..10 {
        let fate = pair.wait(Side::Client, |event| match event {
            Event::Message { fate, .. } => Some(*fate),
            _ => None,
        });
        assert_eq!(fate, Fate::Acked);
    }
    // Restart: kill, and connect again; the handles differ, and the old one reaches nobody.
    pair.call(Side::Client, |e, now| e.kill(now, client)).expect("it is there");
    let (again, _) = pair.connected();
    assert_ne!(again, client);
    assert_eq!(HashSet::from([client, again, again]).len(), 2);
    assert_eq!((names.get(again), names.get(client)), (None, Some(&"first")));
    assert_eq!(pair.state(Side::Client, client), None);
    pair.call(Side::Client, |e, now| e.close(now, again, ms(100), Code::NONE, "")).expect("there");
    pair.run(Duration::from_secs(5));
    assert_eq!(pair.state(Side::Client, again), None);
}

/// N24: the defaults that the documentation names: 10 s to connect, 30 s of silence.
#[test]
pub(crate) fn n24_the_timeouts_are_as_documented() {
    assert_eq!(ConnectOptions::default().deadline, Duration::from_secs(10));
    assert_eq!(TransportConfig::default().idle_timeout, Duration::from_secs(30));
    let mut pair = Pair::new(1).link(LinkConfig::down());
    let client = pair.connect();
    pair.run(ms(9_990));
    assert_eq!(pair.state(Side::Client, client), Some(State::Opening));
    pair.run(ms(20));
    assert_eq!(pair.state(Side::Client, client), None);
    let mut config = Config::public_server(SecretKey::from_bytes([1; 32]));
    config.transport.idle_timeout = Duration::ZERO;
    let mut pair = Pair::with(1, Config::client(), config);
    let (client, _) = pair.connected();
    pair.run(Duration::from_secs(1));
    let stats = pair.world.machine(pair.client).connection_stats(client).expect("it is there");
    assert!(stats.packets_received > 0);
    pair.silence_both();
    pair.run(Duration::from_secs(28));
    assert_eq!(pair.state(Side::Client, client), Some(State::Ready));
    pair.run(Duration::from_secs(3));
    assert_ne!(pair.state(Side::Client, client), Some(State::Ready));
}
