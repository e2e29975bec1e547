//! `Endpoint::explain`: a connection is brought into each state in which it waits, and has to say
//! so, in its values, its text and its JSON.

use std::net::SocketAddr;
use tripline::{
    Code, Config, ConnectError, ConnectOptions, ConnectionHandle, EndingReason, Endpoint, Event,
    Explanation, GuardConfig, KeyLimits, OnSilence, OpenError, OpeningReason, Order, PeerReason,
    Reason, SendError, SendOptions, SendingReason, StreamId, StreamOptions, StreamReason, Target,
};
use tripline_sansio::{DatagramMachine, Duration, Instant, Path, Seed};
use tripline_sim::{LinkConfig, Verdict};
use tripline_tests::{Pair, Side, identity};

const ONE_WAY: StreamOptions = StreamOptions::one_way(Order::Ordered);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The explanation, whose text has to have these words, and whose JSON parses and agrees with it.
fn why(pair: &Pair, side: Side, handle: ConnectionHandle, words: &[&str]) -> Explanation {
    let now = pair.world.now();
    let endpoint = pair.world.machine(pair.host(side));
    let explanation = endpoint.explain(now, handle).expect("it is there");
    let text = explanation.to_string();
    println!("{text}\n{}", explanation.to_json());
    for word in words {
        assert!(text.contains(word), "no {word:?} in: {text}");
    }
    assert!(!explanation.reasons.is_empty(), "{explanation:?}");
    let json: serde_json::Value =
        serde_json::from_str(&explanation.to_json()).expect("it is valid JSON");
    let told = json["reasons"].as_array().expect("a list");
    let names: Vec<_> = told.iter().map(|one| one["reason"].as_str().expect("a name")).collect();
    let wanted: Vec<_> = explanation.reasons.iter().map(Reason::name).collect();
    assert_eq!(names, wanted);
    for (one, reason) in told.iter().zip(&explanation.reasons) {
        assert_eq!(one["text"].as_str(), Some(reason.to_string().as_str()));
    }
    assert_eq!(json["streams"].as_array().map(Vec::len), Some(explanation.streams.len()));
    explanation
}

fn of_stream(explanation: &Explanation, stream: StreamId) -> &[StreamReason] {
    let found = explanation.streams.iter().find(|one| one.stream == stream);
    found.map_or(&[], |one| &one.reasons)
}

fn server() -> Config {
    Config::public_server(identity("server"))
}

/// What a connection that was just opened waits for, behind a link that carries nothing.
fn attempt(options: ConnectOptions, target: Target) -> (Pair, ConnectionHandle) {
    let mut pair = Pair::new(1).link(LinkConfig::down());
    let begun = pair.call(Side::Client, |e, now| e.connect(now, target, options));
    (pair, begun.expect("it begins"))
}

#[test]
pub(crate) fn explain_waits_for_addresses() {
    let target = Target::Name { host: "example.net".into(), port: 7 };
    let options = ConnectOptions::to(identity("server").public_key());
    let (mut pair, handle) = attempt(options, target);
    pair.run(Duration::from_secs(4));
    let found = why(&pair, Side::Client, handle, &["resolving", "example.net:7", "fails in 6.0 s"]);
    let [Reason::Opening(OpeningReason::Addresses { gives_up_in, .. })] = &found.reasons[..] else {
        panic!("{found:?}");
    };
    assert_eq!(*gives_up_in, Some(Duration::from_secs(6)));
}

#[test]
pub(crate) fn explain_waits_for_challenge() {
    let options = ConnectOptions::to(identity("server").public_key());
    let target = SocketAddr::from(([10, 0, 0, 2], 2222)).into();
    let (mut pair, handle) = attempt(options, target);
    pair.run(ms(500));
    let words = ["opening", "CHALLENGE since 0.5 s", "3 OPENs", "goes in 0.1 s"];
    let found = why(&pair, Side::Client, handle, &words);
    let challenge = OpeningReason::Challenge {
        waited: ms(500),
        opens: 3,
        next_in: Some(ms(100)),
        gives_up_in: Some(ms(9_500)),
        retries: 0,
        hint: None,
    };
    assert_eq!(found.reasons, [Reason::Opening(challenge)]);
    assert!(found.to_json().contains(r#""opens":3,"next_in_us":100000"#), "{}", found.to_json());
}

/// A server with another key hints at it; the hint is told while it is not believed.
#[test]
pub(crate) fn explain_tells_the_hint() {
    let mut pair = Pair::new(1);
    let handle = pair.connect_with(ConnectOptions::to(identity("other").public_key()));
    pair.run(ms(100));
    let found = why(&pair, Side::Client, handle, &["does not hold the expected key"]);
    let [Reason::Opening(OpeningReason::Challenge { hint, .. })] = &found.reasons[..] else {
        panic!("{found:?}");
    };
    assert_eq!(*hint, Some(ConnectError::Identity));
}

#[test]
pub(crate) fn explain_waits_for_trust_and_for_the_first_answer() {
    let mut pair = Pair::new(1);
    let handle = pair.connect_with(ConnectOptions::default());
    pair.wait(Side::Client, |event| matches!(event, Event::ServerKey { .. }).then_some(()));
    pair.run(Duration::from_secs(2));
    let found = why(&pair, Side::Client, handle, &["challenged", "user since 2.0 s", "trust"]);
    assert!(matches!(found.reasons[..], [Reason::Opening(OpeningReason::Trust { .. })]));
    pair.silence_both();
    pair.call(Side::Client, |e, now| e.trust(now, handle)).expect("it waits");
    pair.run(Duration::from_secs(2));
    let found = why(&pair, Side::Client, handle, &["pinging", "server's first packet", "fails in"]);
    let first = &found.reasons[0];
    assert!(matches!(first, Reason::Opening(OpeningReason::Answer { probes: 1.., .. })), "{first}");
}

#[test]
pub(crate) fn explain_idle() {
    let mut config = Config::client();
    config.transport.keep_alive = Duration::from_secs(10);
    let mut pair = Pair::with(1, config, server());
    let (client, _) = pair.connected();
    pair.run(Duration::from_secs(4));
    let found = why(&pair, Side::Client, client, &["ready", "nothing to send", "keep-alive in"]);
    let [Reason::Peer(PeerReason::Idle { gives_up_in, keep_alive_in, .. })] = &found.reasons[..]
    else {
        panic!("{found:?}");
    };
    assert!(gives_up_in.is_some_and(|time| time < Duration::from_secs(27)), "{gives_up_in:?}");
    assert!(keep_alive_in.is_some_and(|time| time < Duration::from_secs(7)), "{keep_alive_in:?}");
    assert!(found.streams.is_empty() && found.streams_idle == 0);
    let now = pair.world.now();
    pair.call(Side::Client, |e, _| e.kill(now, client)).expect("it is there");
    assert_eq!(pair.world.machine(pair.client).explain(now, client), None);
}

/// The peer's user does not read: first the stream's credit is used up, and the other side hears
/// whose turn it is.
#[test]
pub(crate) fn explain_stream_credit_and_unread() {
    let mut config = server();
    config.transport.message_max = 10_000;
    config.transport.stream_credit = 50_000;
    let mut pair = Pair::with(1, Config::client(), config);
    let (client, server) = pair.connected();
    let stream = pair.open(Side::Client, client, ONE_WAY);
    for _ in 0..10 {
        pair.send(Side::Client, client, stream, &[1; 9_000]);
    }
    pair.run(Duration::from_secs(2));
    let found = why(&pair, Side::Client, client, &["stream 6: waits for the peer's credit"]);
    let reasons = of_stream(&found, stream);
    let credit = StreamReason::StreamCredit { limit: 50_000, offset: 50_000, unsent: 40_012 };
    assert_eq!(reasons, [credit]);
    let credit = Reason::Sending(SendingReason::StreamCredit { streams: 1 });
    assert_eq!(found.reasons, [credit]);
    let words = ["to read 50000 bytes on 1 stream", "not read; the peer may send 0 more"];
    let found = why(&pair, Side::Server, server, &words);
    assert!(matches!(
        found.reasons[..],
        [Reason::Peer(PeerReason::Unread { streams: 1, bytes: 50_000, .. })]
    ));
}

#[test]
pub(crate) fn explain_connection_credit() {
    let mut config = server();
    config.transport.message_max = 10_000;
    config.transport.connection_credit = 30_000;
    config.transport.connection_credit_max = 0;
    let mut pair = Pair::with(1, Config::client(), config);
    let (client, _) = pair.connected();
    let streams = [0, 1].map(|_| pair.open(Side::Client, client, ONE_WAY));
    for stream in streams {
        (0..4).for_each(|_| pair.send(Side::Client, client, stream, &[1; 9_000]));
    }
    pair.run(Duration::from_secs(2));
    let words = ["credit for the connection: 2994 bytes left of 30000", "2 streams held up"];
    let found = why(&pair, Side::Client, client, &words);
    let credit = SendingReason::ConnectionCredit { limit: 30_000, free: 2_994, streams: 2 };
    assert!(found.reasons.contains(&Reason::Sending(credit)));
    for stream in streams {
        assert!(matches!(of_stream(&found, stream), [StreamReason::ConnectionCredit { .. }]));
    }
}

/// A long path: the window is full until the first acknowledgements come back.
#[test]
pub(crate) fn explain_congestion_window() {
    let mut pair = Pair::new(1).link(LinkConfig::perfect().delay(ms(100)));
    let (client, _) = pair.connected();
    pair.run(Duration::from_secs(1));
    let stream = pair.open(Side::Client, client, ONE_WAY);
    for _ in 0..5 {
        pair.send(Side::Client, client, stream, &[1; 100_000]);
    }
    pair.run(ms(150));
    let words = ["congestion window is full", "waits for its turn", "waits for acknowledgements"];
    let found = why(&pair, Side::Client, client, &words);
    let Reason::Sending(SendingReason::Window { in_flight, window }) = found.reasons[0] else {
        panic!("{found:?}");
    };
    assert!(in_flight + 1_500 > window, "{found}");
    let reasons = of_stream(&found, stream);
    assert!(matches!(reasons[0], StreamReason::Turn { priority: 3, .. }), "{reasons:?}");
    assert!(matches!(reasons[1], StreamReason::Unacknowledged { end: false, .. }), "{reasons:?}");
}

#[test]
pub(crate) fn explain_pacing() {
    let mut config = Config::client();
    config.transport.congestion = tripline::Congestion::FixedRate(100_000);
    let mut pair = Pair::with(1, config, server());
    let (client, _) = pair.connected();
    pair.run(Duration::from_secs(1));
    let stream = pair.open(Side::Client, client, ONE_WAY);
    pair.send(Side::Client, client, stream, &[1; 200_000]);
    pair.run(ms(1));
    let found = why(&pair, Side::Client, client, &["paced at 100000 bytes per second"]);
    let Reason::Sending(SendingReason::Pacing { wait, rate: 100_000 }) = found.reasons[0] else {
        panic!("{found:?}");
    };
    assert!(!wait.is_zero() && wait < ms(20), "{wait:?}");
}

/// What was handed in and not drained yet waits for the loop alone.
#[test]
pub(crate) fn explain_undrained_and_waiting_for_the_handshake() {
    let mut pair = Pair::new(1).link(LinkConfig::down());
    let early = pair.connect();
    let stream = pair.open(Side::Client, early, ONE_WAY);
    pair.send(Side::Client, early, stream, b"early");
    let found = why(&pair, Side::Client, early, &["waits for the handshake"]);
    assert_eq!(of_stream(&found, stream), [StreamReason::NotAllowed { limit: None }]);

    let mut pair = Pair::new(1);
    let (client, _) = pair.connected();
    pair.run(Duration::from_secs(1));
    let stream = pair.open(Side::Client, client, ONE_WAY);
    let explanation = pair.call(Side::Client, |endpoint, now| {
        let sent = endpoint.send(now, client, stream, "x", SendOptions::default());
        sent.expect("it is taken");
        endpoint.explain(now, client).expect("it is there")
    });
    assert_eq!(explanation.reasons, [Reason::Sending(SendingReason::Undrained)]);
    let turn = StreamReason::Turn { unsent: 1, priority: 3 };
    assert_eq!(of_stream(&explanation, stream), [turn]);
}

/// The peer falls silent: first it is asked, then given up; or, if so configured, asked on.
#[test]
pub(crate) fn explain_silent_peer() {
    let mut config = Config::client();
    config.transport.on_silence = OnSilence::Probe;
    let mut pair = Pair::with(1, config, server());
    let (client, _) = pair.connected();
    pair.run(Duration::from_secs(1));
    let stream = pair.open(Side::Client, client, ONE_WAY);
    pair.silence_both();
    pair.send(Side::Client, client, stream, b"anyone?");
    pair.run(Duration::from_secs(10));
    let words = ["the peer is silent for", "probes without an answer", "given up in"];
    let found = why(&pair, Side::Client, client, &words);
    let Reason::Peer(PeerReason::Silent { silence, probes, next_in, gives_up_in }) =
        found.reasons[0].clone()
    else {
        panic!("{found:?}");
    };
    assert!(silence > Duration::from_secs(10) && silence < Duration::from_secs(12), "{silence:?}");
    assert!(probes >= 3 && next_in.is_some_and(|next| next <= Duration::from_secs(3)), "{found}");
    assert!(gives_up_in.is_some_and(|time| time < Duration::from_secs(21)), "{found}");
    pair.run(Duration::from_secs(60));
    let found = why(&pair, Side::Client, client, &["the peer is silent for 7"]);
    let first = &found.reasons[0];
    let on = matches!(first, Reason::Peer(PeerReason::Silent { gives_up_in: None, .. }));
    assert!(on, "beyond the idle limit nobody gives up: {found}");
}

/// Where a CHALLENGE went elsewhere too, the server sends three times what came until its PING is
/// answered (R-HAND-1).
#[test]
pub(crate) fn explain_unproven_address() {
    let mut pair = Pair::new(5);
    let tape = pair.tape();
    pair.connect();
    pair.run(ms(11));
    let elsewhere = Path::to(SocketAddr::from(([10, 0, 0, 77], 7)));
    let open = tape.of(Side::Client)[0].bytes.clone();
    pair.deliver_from(Side::Server, elsewhere, &open);
    let server = Some(pair.server);
    pair.world.add_rule(move |packet| {
        let ours = packet.from == server && packet.bytes[0] >= 0x80;
        if ours { Verdict::Drop } else { Verdict::Pass }
    });
    let server = pair.wait(Side::Server, |event| match event {
        Event::Connected { connection, .. } => Some(*connection),
        _ => None,
    });
    let client = Some(pair.client);
    pair.world.add_rule(move |packet| match packet.from == client {
        true => Verdict::Drop,
        false => Verdict::Pass,
    });
    let stream = pair.open(Side::Server, server, ONE_WAY);
    pair.send(Side::Server, server, stream, &[1; 200_000]);
    pair.run(ms(900));
    let words = ["address is not proven", "too few for what waits"];
    let found = why(&pair, Side::Server, server, &words);
    let has = |one: &Reason| {
        matches!(one, Reason::Sending(SendingReason::Address { allowance: ..1_200, holds: true }))
    };
    assert!(found.reasons.iter().any(has), "{found}");
}

#[test]
pub(crate) fn explain_stream_limit() {
    let mut config = server();
    config.transport.one_way_streams = 1;
    let mut pair = Pair::with(1, Config::client(), config);
    let (client, _) = pair.connected();
    pair.open(Side::Client, client, ONE_WAY);
    let refused = pair.call(Side::Client, |e, now| e.open(now, client, ONE_WAY));
    assert_eq!(refused, Err(OpenError::Limit { limit: 1 }));
    pair.run(Duration::from_secs(1));
    let found = why(&pair, Side::Client, client, &["no more one-way streams: 1 so far"]);
    let direction = tripline::Direction::OneWay;
    let limit = Reason::Sending(SendingReason::StreamLimit { direction, limit: 1 });
    assert_eq!(found.reasons, [limit]);
    assert_eq!(found.streams_idle, 1);
}

/// The user handed in more than its own buffer takes, and is told where it stands.
#[test]
pub(crate) fn explain_full_buffer() {
    let mut config = Config::client();
    config.transport.send_buffer = 10_000;
    let mut pair = Pair::with(1, config, server()).link(LinkConfig::perfect().delay(ms(100)));
    let (client, _) = pair.connected();
    let stream = pair.open(Side::Client, client, ONE_WAY);
    pair.send(Side::Client, client, stream, &[1; 9_000]);
    let options = SendOptions::default();
    let again =
        pair.call(Side::Client, |e, now| e.send(now, client, stream, vec![1; 9_000], options));
    assert_eq!(again, Err(SendError::Blocked));
    let found = why(&pair, Side::Client, client, &["send blocked: 9000 of 10000 bytes waiting"]);
    let full = StreamReason::Full { buffered: 9_000, limit: 10_000 };
    assert!(of_stream(&found, stream).contains(&full));
}

/// A gap: what came behind it waits for it.
#[test]
pub(crate) fn explain_missing() {
    let mut pair = Pair::new(1);
    let (client, server) = pair.connected();
    pair.run(Duration::from_secs(1));
    let stream = pair.open(Side::Client, client, ONE_WAY);
    let mut dropped = false;
    pair.world.add_rule(move |_| {
        if core::mem::replace(&mut dropped, true) { Verdict::Pass } else { Verdict::Drop }
    });
    pair.send(Side::Client, client, stream, &[1; 9_000]);
    pair.run(ms(15));
    let found = why(&pair, Side::Server, server, &["missing from offset 0 on, 9002 came"]);
    let missing = StreamReason::Missing { from: 0, upto: 9_002 };
    assert_eq!(of_stream(&found, stream), [missing]);
    pair.run(Duration::from_secs(1));
    let found = why(&pair, Side::Server, server, &["9002 bytes not read"]);
    assert!(matches!(of_stream(&found, stream), [StreamReason::Unread { bytes: 9_002, .. }]));
}

/// A key that may seal no more data, and its renewal, which the network keeps from coming about.
#[test]
pub(crate) fn explain_key_limit_and_renewal() {
    let mut config = Config::client();
    let limits = KeyLimits { renew_packets: 20, data_packets: 40, ..KeyLimits::LARGEST };
    config.transport.key_limits = limits;
    config.transport.congestion = tripline::Congestion::FixedRate(10_000_000);
    let mut pair = Pair::with(1, config, server());
    let (client, _) = pair.connected();
    pair.run(Duration::from_secs(1));
    let stream = pair.open(Side::Client, client, ONE_WAY);
    pair.silence(Side::Server);
    for _ in 0..60 {
        pair.send(Side::Client, client, stream, &[1; 2_000]);
        pair.run(ms(1));
    }
    pair.run(ms(200));
    let words = ["packets of 40: no data until renewed", "renews its keys: zone 0"];
    let found = why(&pair, Side::Client, client, &words);
    let has = |wanted: fn(&Reason) -> bool| found.reasons.iter().any(wanted);
    assert!(has(|one| matches!(
        one,
        Reason::Sending(SendingReason::KeyLimit { sealed: 40.., limit: 40 })
    )));
    assert!(has(|one| matches!(
        one,
        Reason::Sending(SendingReason::Renewal { zone: 0, agreed: false, .. })
    )));
}

#[test]
pub(crate) fn explain_leaving_closing_draining_and_over() {
    let mut pair = Pair::new(1).link(LinkConfig::perfect().delay(ms(100)));
    let (client, server) = pair.connected();
    pair.run(Duration::from_secs(1));
    let stream = pair.open(Side::Client, client, ONE_WAY);
    pair.send(Side::Client, client, stream, &[1; 5_000]);
    let grace = Duration::from_secs(20);
    pair.call(Side::Client, |e, now| e.close(now, client, grace, Code::NONE, "")).expect("there");
    pair.run(ms(50));
    let words = ["leaving", "we leave: 5000 bytes on 1 stream not acknowledged; ends in 19.9 s"];
    let found = why(&pair, Side::Client, client, &words);
    assert!(matches!(
        found.reasons[0],
        Reason::Ending(EndingReason::Leaving { ours: true, unsettled: 1, bytes: 5_000, .. })
    ));
    pair.run(ms(100));
    why(&pair, Side::Server, server, &["leaving", "the peer leaves"]);
    // The server has told that it is done, so the client sends DISCONNECT.
    pair.wait(Side::Client, |event| matches!(event, Event::Closed { .. }).then_some(()));
    let found = why(&pair, Side::Client, client, &["closing", "DISCONNECT sent", "gone in"]);
    assert!(matches!(found.reasons[..], [Reason::Ending(EndingReason::Closing { .. })]));
    pair.run(ms(110));
    let found = why(&pair, Side::Server, server, &["closing", "the peer ended it", "gone in"]);
    assert!(matches!(found.reasons[..], [Reason::Ending(EndingReason::Draining { .. })]));
    pair.run(Duration::from_secs(10));
    let found = why(&pair, Side::Server, server, &["closed", "to read 1 stream"]);
    assert_eq!(found.reasons, [Reason::Ending(EndingReason::Over { unread: 1 })]);
}

/// The search for the MTU is told beside what matters more.
#[test]
pub(crate) fn explain_mtu_search() {
    let mut pair = Pair::new(1).link(LinkConfig::perfect().delay(ms(50)).mtu(1_300));
    let (client, _) = pair.connected();
    pair.run(ms(1));
    let mut seen = false;
    for _ in 0..200 {
        pair.run(ms(5));
        let now = pair.world.now();
        let found = pair.world.machine(pair.client).explain(now, client).expect("it is there");
        let search = found.reasons.iter().find_map(|one| match one {
            Reason::Sending(SendingReason::MtuSearch { trying, .. }) => Some(*trying),
            _ => None,
        });
        if search.is_some_and(|trying| (1_201..=1_452).contains(&trying)) {
            seen = true;
            assert!(found.to_string().contains("datagrams of 1200 bytes; tries"), "{found}");
            break;
        }
    }
    assert!(seen, "no search was told");
}

/// Nobody polls events: in the end `send` takes nothing more, and this is why.
#[test]
pub(crate) fn explain_events_not_polled() {
    let start = Instant::ZERO;
    let mut endpoint = Endpoint::new(Config::client(), &Seed::from_number(1), start);
    let target = SocketAddr::from(([10, 0, 0, 2], 2222)).into();
    let options = ConnectOptions::to(identity("server").public_key());
    let handle = endpoint.connect(start, target, options).expect("it begins");
    let stream = endpoint.open(start, handle, ONE_WAY).expect("it opens");
    let brief = SendOptions { expires_after: Some(ms(1)), ..SendOptions::default() };
    for _ in 0..65_536 {
        endpoint.send(start, handle, stream, "x", brief).expect("it is taken");
    }
    let later = start + ms(2);
    endpoint.handle_timeout(later);
    let refused = endpoint.send(later, handle, stream, "x", brief);
    assert_eq!(refused, Err(SendError::Blocked));
    let found = endpoint.explain(later, handle).expect("it is there");
    assert!(found.to_string().contains("waits for its user: 65536 events not polled"), "{found}");
    assert!(found.to_json().contains(r#""reason":"events""#));
    while endpoint.poll_event().is_some() {}
    let found = endpoint.explain(later, handle).expect("it is there");
    assert!(!found.to_json().contains(r#""reason":"events""#), "{found}");
}

/// However many streams wait, 64 are listed.
#[test]
pub(crate) fn explain_is_bounded() {
    let mut pair = Pair::new(1).link(LinkConfig::perfect().delay(ms(100)));
    let (client, _) = pair.connected();
    pair.run(Duration::from_secs(1));
    for _ in 0..100 {
        let stream = pair.open(Side::Client, client, ONE_WAY);
        pair.send(Side::Client, client, stream, b"x");
    }
    let found = why(&pair, Side::Client, client, &["and 36 more streams"]);
    assert_eq!((found.streams.len(), found.streams_left_out), (64, 36));
}

/// R-RETRY-1: a server that wants the address proven is told apart from one that says nothing.
#[test]
pub(crate) fn explain_tells_of_retry() {
    let guard = GuardConfig { retry_above: 0, ..GuardConfig::default() };
    let mut pair = Pair::with(1, Config::client(), Config { guard, ..server() });
    // Nothing of the server's but RETRY comes through.
    let of = Some(pair.server);
    pair.world.add_rule(move |packet| match packet.from == of && packet.bytes[0] != 0x03 {
        true => Verdict::Drop,
        false => Verdict::Pass,
    });
    let handle = pair.connect();
    pair.run(ms(100));
    let words = ["CHALLENGE since", "wanted our address proven (RETRY)"];
    let found = why(&pair, Side::Client, handle, &words);
    let first = &found.reasons[0];
    let told = matches!(first, Reason::Opening(OpeningReason::Challenge { retries: 1, .. }));
    assert!(told, "{found:?}");
}

/// R-CLOSE-7: whose whole endpoint leaves is told so, behind what the connection itself waits for.
#[test]
pub(crate) fn explain_tells_of_a_shut_down() {
    let mut pair = Pair::new(1).link(LinkConfig::perfect().delay(ms(100)));
    let (client, _) = pair.connected();
    pair.run(Duration::from_secs(1));
    let stream = pair.open(Side::Client, client, ONE_WAY);
    pair.send(Side::Client, client, stream, &[1; 5_000]);
    let grace = Duration::from_secs(20);
    pair.call(Side::Client, |e, now| e.shut_down(now, grace, Code::SHUTTING_DOWN, ""));
    pair.run(ms(50));
    let words =
        ["we leave: 5000 bytes", "the endpoint shuts down: 1 connection left; ends in 19.9"];
    let found = why(&pair, Side::Client, client, &words);
    let shut = EndingReason::ShutDown { connections: 1, left: Some(ms(19_950)) };
    assert_eq!(found.reasons.last(), Some(&Reason::Ending(shut)));
    assert!(matches!(found.reasons[0], Reason::Ending(EndingReason::Leaving { .. })));
}

/// R-HAND-4, R-PLAIN-1: what a connection is, beside what it waits for: single, and unsafe.
#[test]
pub(crate) fn explain_tells_what_is_single_and_what_is_unsafe() {
    let mut ends = ["anna", "berta"].map(|name| Config::public_server(identity(name)));
    ends.iter_mut().for_each(|end| end.transport.single = true);
    let [ours, theirs] = ends;
    let mut pair = Pair::with(1, ours, theirs);
    let handle = pair.connect_with(ConnectOptions::to(identity("berta").public_key()));
    pair.run(Duration::from_secs(2));
    let found = why(&pair, Side::Client, handle, &["ready", "single: the only one"]);
    assert!(found.single && found.plain.is_empty());
    assert!(found.to_json().ends_with(r#""single":true,"unsafe":[]}"#), "{}", found.to_json());

    let [ours, theirs] =
        [Config::client(), server()].map(|config| Config { plain: tripline::Plain::ALL, ..config });
    let mut pair = Pair::with(1, ours, theirs);
    let handle = pair.connect_with(ConnectOptions::default());
    pair.run(Duration::from_secs(2));
    let words = ["unsafe, plain open: anyone", "unsafe, plain traffic: everyone"];
    let found = why(&pair, Side::Client, handle, &words);
    assert!(!found.single);
    assert!(found.plain.contains(&tripline::Unsafe::PlainTraffic), "{found:?}");
    assert!(found.to_json().contains(r#""plain_open","plain_traffic"]}"#), "{}", found.to_json());
}
