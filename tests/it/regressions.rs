//! What random scripts once found, each as a test of its own. More of it is in `tests/regressions`,
//! as scenarios.

use tripline::{Code, Config, Event, Order, SendOptions, State, StreamOptions};
use tripline_sansio::{Duration, Path};
use tripline_sim::Verdict;
use tripline_tests::{Pair, Side, identity};

/// R-CLOSE-2, PROTOCOL.md §2.5: the packet that acknowledged a side's first DATA left the shorter
/// limit of before in force, so that a connection at rest ended after 15 s instead of the agreed
/// 30.
#[test]
pub(crate) fn a_connection_at_rest_lives_as_long_as_agreed() {
    let mut pair = Pair::new(1);
    let (client, server) = pair.connected();
    pair.run(Duration::from_secs(29));
    assert_eq!(pair.state(Side::Client, client), Some(State::Ready), "{}", pair.explain());
    assert_eq!(pair.state(Side::Server, server), Some(State::Ready), "{}", pair.explain());
    pair.run(Duration::from_secs(2));
    assert_ne!(pair.state(Side::Client, client), Some(State::Ready));
}

/// R-CLOSE, rule 3 of the run loop: who has nothing left to send says so at once and names no
/// deadline; that was taken for a deadline that is over.
#[test]
pub(crate) fn leaving_with_nothing_left_names_no_deadline() {
    for side in [Side::Client, Side::Server] {
        let mut pair = Pair::new(2);
        let (client, server) = pair.connected();
        pair.run(Duration::from_secs(1));
        let handle = if side == Side::Client { client } else { server };
        let grace = Duration::from_secs(10);
        pair.call(side, |e, now| e.close(now, handle, grace, Code::NONE, "")).unwrap();
        pair.run(Duration::from_secs(5));
        for side in [Side::Client, Side::Server] {
            let events = pair.events(side);
            let ends = events.last_chunk();
            let in_order = matches!(ends, Some([Event::Closed { .. }, Event::Drained { .. }]));
            assert!(in_order, "{events:?}");
        }
    }
}

/// R-STREAM-1, T11: any frame opens a stream, so those of an early stream wait for the peer's limit
/// too, also CLOSE_STREAM and STOP; sent at once they were a violation of ours.
#[test]
pub(crate) fn the_end_of_an_early_stream_waits_for_the_limit() {
    let mut server = Config::public_server(identity("server"));
    server.transport.two_way_streams = 1;
    let mut pair = Pair::with(3, Config::client(), server);
    let client = pair.connect();
    let options = StreamOptions::two_way(Order::Ordered);
    let streams: Vec<_> = (0..3).map(|_| pair.open(Side::Client, client, options)).collect();
    let code = Code::application(5);
    for stream in &streams {
        pair.call(Side::Client, |e, now| e.close_stream(now, client, *stream, code)).unwrap();
        pair.call(Side::Client, |e, now| e.stop(now, client, *stream, code)).unwrap();
    }
    pair.run(Duration::from_secs(20));
    assert_eq!(pair.state(Side::Client, client), Some(State::Ready), "{}", pair.explain());
    let opened: Vec<_> = pair
        .events(Side::Server)
        .into_iter()
        .filter_map(|event| match event {
            Event::Opened { stream, connection } => Some((stream, connection)),
            _ => None,
        })
        .collect();
    assert_eq!(opened[0].0, streams[0], "within the limit");
    // Each that is over lets the next one in.
    let mut ends = 0;
    for _ in 0..3 {
        for stream in &streams {
            let taken = pair.call(Side::Server, |e, now| e.receive(now, opened[0].1, *stream));
            ends += u32::from(taken == Ok(tripline::ReceiveResult::Closed(code)));
        }
        pair.run(Duration::from_secs(5));
    }
    assert_eq!(ends, 3);
}

/// R-CREDIT-2: a stream that waits for the connection's credit was listed once more for each
/// message that its user handed in meanwhile.
#[test]
pub(crate) fn a_stream_waits_for_credit_once() {
    let mut server = Config::public_server(identity("server"));
    server.transport.message_max = 20_000;
    server.transport.connection_credit = 30_000;
    let mut pair = Pair::with(8, Config::client(), server);
    let (client, _) = pair.connected();
    let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Ordered));
    for _ in 0..20 {
        pair.send(Side::Client, client, stream, &[1; 5_000]);
        pair.run(Duration::from_millis(100));
    }
    let found = pair.world.machine(pair.client).explain(pair.world.now(), client);
    let found = found.expect("it lives").to_string();
    assert!(found.contains("1 stream held up"), "{found}");
}

/// R-ACK-3, RFC 9002 §6.2.4: a probe sends something also when all that seems to wait was given up
/// meanwhile; else what was lost before it (here a SKIP) would never show, and the probes go on
/// for ever.
#[test]
pub(crate) fn a_probe_is_sent_although_what_it_would_repeat_was_given_up() {
    for order in [Order::Ordered, Order::Latest] {
        let mut pair = Pair::new(4);
        let (client, server) = pair.connected();
        pair.run(Duration::from_secs(1));
        let stream = pair.open(Side::Client, client, StreamOptions::one_way(order));
        pair.silence_both();
        let short =
            SendOptions { expires_after: Some(Duration::from_millis(5)), ..SendOptions::default() };
        pair.call(Side::Client, |e, now| e.send(now, client, stream, "gone", short)).unwrap();
        pair.run(Duration::from_millis(20));
        pair.unsilence_both();
        let quiet = pair.world.run_until_quiet(Duration::from_secs(4), Duration::from_secs(20));
        assert!(quiet.is_ok(), "{order:?}: {quiet:?}");
        pair.send(Side::Client, client, stream, b"next");
        pair.run(Duration::from_secs(1));
        assert_eq!(pair.messages(Side::Server, server, stream), [b"next"]);
    }
}

/// R-ACK-3, R-CREDIT-3: the same if what waits is a message that the connection's credit does not
/// cover.
#[test]
pub(crate) fn a_probe_is_sent_although_what_waits_has_no_credit() {
    let mut server = Config::public_server(identity("server"));
    server.transport.message_max = 20_000;
    server.transport.connection_credit = 30_000;
    let mut pair = Pair::with(5, Config::client(), server);
    let (client, server) = pair.connected();
    let options = StreamOptions::one_way(Order::Unordered);
    let [first, second] = [(); 2].map(|()| pair.open(Side::Client, client, options));
    pair.send(Side::Client, client, first, &[1; 15_000]);
    pair.run(Duration::from_secs(1));
    pair.silence_both();
    let short =
        SendOptions { expires_after: Some(Duration::from_millis(5)), ..SendOptions::default() };
    pair.call(Side::Client, |e, now| e.send(now, client, second, "gone", short)).unwrap();
    pair.send(Side::Client, client, second, &[2; 20_000]);
    pair.run(Duration::from_millis(20));
    pair.unsilence_both();
    let quiet = pair.world.run_until_quiet(Duration::from_secs(4), Duration::from_secs(20));
    assert!(quiet.is_ok(), "{quiet:?}");
    assert_eq!(pair.messages(Side::Server, server, first), [[1; 15_000]]);
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.messages(Side::Server, server, second), [[2; 20_000]]);
}

/// R-CHAL-2, PROTOCOL.md §9: a copier on the path that delivers the CHALLENGE first, from an
/// address of its own, may not draw the client's packets there.
#[test]
pub(crate) fn a_challenge_from_a_foreign_address_does_not_lead_astray() {
    let mut pair = Pair::new(6);
    let tape = pair.tape();
    let client = pair.connect();
    pair.until(|_| !tape.kind(0x02).is_empty());
    let foreign = std::net::SocketAddr::from(([10, 6, 6, 6], 666));
    pair.deliver_from(Side::Client, Path::to(foreign), &tape.kind(0x02)[0].bytes);
    pair.run(Duration::from_secs(2));
    assert_eq!(pair.state(Side::Client, client), Some(State::Ready));
}

/// PROTOCOL.md §2.5: a server whose only ack-eliciting packet (a PONG) was lost, while its ACKs
/// were acknowledged, took the client for one that cannot hear, and gave up after 15 s.
#[test]
pub(crate) fn an_acknowledged_ack_proves_that_the_peer_hears() {
    let mut pair = Pair::new(7);
    let mut pongs = 0;
    // The server's first DATA, with the PONG, is lost; all else arrives.
    pair.world.add_rule(move |packet| {
        let data = packet.source.port() == 2222 && packet.bytes[0] >= 0x80;
        pongs += u32::from(data);
        if data && pongs == 1 { Verdict::Drop } else { Verdict::Pass }
    });
    let client = pair.connect();
    let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Ordered));
    for _ in 0..5 {
        pair.send(Side::Client, client, stream, &[3; 4_000]);
        pair.run(Duration::from_millis(60));
    }
    pair.run(Duration::from_secs(25));
    assert_eq!(pair.state(Side::Client, client), Some(State::Ready), "{}", pair.explain());
}
