//! Rows of the contract that fit in a few lines each.

use tripline::{Code, Config, Event, Fate, Order, ReceiveResult, SendOptions, StreamOptions};
use tripline_sansio::Duration;
use tripline_sim::Verdict;
use tripline_tests::{Pair, Side, identity};

/// T07, T53: the third leg is a PING in a DATA packet of 1,200 bytes, sent in reply to CHALLENGE,
/// and the server is connected by it.
#[test]
pub(crate) fn t07_the_third_leg_is_a_full_sized_ping() {
    let mut pair = Pair::new(1);
    let lens = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let (copy, client) = (lens.clone(), Some(pair.client));
    pair.world.add_rule(move |packet| {
        if packet.from == client {
            copy.borrow_mut().push((packet.bytes[0], packet.bytes.len()));
        }
        Verdict::Pass
    });
    pair.connect();
    pair.wait(Side::Server, |event| matches!(event, Event::Connected { .. }).then_some(()));
    assert_eq!(lens.borrow()[..], [(0x01, 1_200), (0x80, 1_200)]);
    assert_eq!(pair.world.now().as_nanos(), 30_000_000, "one and a half round trips of 20 ms");
}

/// T33: the receiving side ends a stream; the sender hears its code, and late data is dropped.
#[test]
pub(crate) fn t33_the_receiver_can_end_a_stream() {
    let mut pair = Pair::new(1);
    let (client, server) = pair.connected();
    let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Ordered));
    pair.send(Side::Client, client, stream, &[1; 200_000]);
    pair.run(Duration::from_millis(15));
    let code = Code::application(5);
    pair.call(Side::Server, |e, now| e.stop(now, server, stream, code)).unwrap();
    pair.run(Duration::from_secs(1));
    let events = pair.events(Side::Client);
    let stopped = Event::Stopped { connection: client, stream, code };
    assert_eq!(events.iter().filter(|event| **event == stopped).count(), 1);
    let lost = |e: &&Event| matches!(e, Event::Message { fate: Fate::Undelivered, .. });
    assert_eq!(events.iter().filter(lost).count(), 1);
    let again =
        |e: &mut tripline::Endpoint, now| e.send(now, client, stream, "x", SendOptions::default());
    assert!(pair.call(Side::Client, again).is_err());
    assert!(
        pair.call(Side::Server, |e, now| e.receive(now, server, stream)).is_err(),
        "it is gone"
    );
}

/// T36: on a clean link nothing is sent twice, and after the acknowledgement nothing at all.
#[test]
pub(crate) fn t36_nothing_is_resent_after_an_acknowledgement() {
    let mut pair = Pair::new(1);
    let (client, _) = pair.connected();
    let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Ordered));
    pair.send(Side::Client, client, stream, &[1; 200_000]);
    pair.run(Duration::from_secs(2));
    let stats = |pair: &Pair| pair.world.machine(pair.client).connection_stats(client).unwrap();
    let before = stats(&pair);
    assert_eq!((before.retransmissions, before.packets_lost, before.probes), (0, 0, 0));
    pair.run(Duration::from_secs(5));
    assert_eq!(stats(&pair).packets_sent, before.packets_sent);
}

/// T42: packets find their connection by its ID: many connections between one pair of addresses do
/// not cross.
#[test]
pub(crate) fn t42_connections_between_the_same_addresses_do_not_cross() {
    let mut pair = Pair::new(1);
    let connections: Vec<_> = (0..10).map(|_| pair.connected()).collect();
    for (number, (client, _)) in (0u8..).zip(&connections) {
        let stream = pair.open(Side::Client, *client, StreamOptions::one_way(Order::Ordered));
        pair.send(Side::Client, *client, stream, &[number; 3_000]);
    }
    pair.run(Duration::from_secs(1));
    let mut got = 0;
    for event in pair.events(Side::Server) {
        if let Event::Readable { connection, stream } = event {
            let number = connections.iter().position(|(_, server)| *server == connection).unwrap();
            let messages = pair.messages(Side::Server, connection, stream);
            assert_eq!(messages, [vec![number as u8; 3_000]]);
            got += 1;
        }
    }
    assert_eq!(got, 10);
}

/// T48: what is handed in before a drain shares packets, and nothing waits longer than that.
#[test]
pub(crate) fn t48_small_messages_share_a_packet() {
    let mut pair = Pair::new(1);
    let (client, server) = pair.connected();
    let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Unordered));
    pair.run(Duration::from_secs(1));
    let sent = |pair: &Pair| {
        pair.world.machine(pair.client).connection_stats(client).unwrap().packets_sent
    };
    let before = sent(&pair);
    pair.call(Side::Client, |endpoint, now| {
        for number in 0..20u8 {
            endpoint.send(now, client, stream, vec![number; 40], SendOptions::default()).unwrap();
        }
    });
    assert_eq!(sent(&pair) - before, 1);
    pair.run(Duration::from_millis(10));
    assert_eq!(pair.messages(Side::Server, server, stream).len(), 20);
}

/// M06: an accepted connection has the listener's settings.
#[test]
pub(crate) fn m06_accepted_connections_have_the_listeners_settings() {
    let mut server = Config::public_server(identity("server"));
    server.transport.two_way_streams = 3;
    let mut pair = Pair::with(1, Config::client(), server);
    let (client, _) = pair.connected();
    for _ in 0..3 {
        pair.open(Side::Client, client, StreamOptions::two_way(Order::Ordered));
    }
    let fourth = pair
        .call(Side::Client, |e, now| e.open(now, client, StreamOptions::two_way(Order::Ordered)));
    assert_eq!(fourth, Err(tripline::OpenError::Limit { limit: 3 }), "T32: a local error");
}

/// M08: after set-up both sides are alike: the server opens a stream and asks first.
#[test]
pub(crate) fn m08_the_server_may_ask_first() {
    let mut pair = Pair::new(1);
    let (client, server) = pair.connected();
    let stream = pair.open(Side::Server, server, StreamOptions::two_way(Order::Ordered));
    pair.send(Side::Server, server, stream, b"what time is it?");
    pair.run(Duration::from_millis(50));
    assert_eq!(pair.messages(Side::Client, client, stream), [b"what time is it?"]);
    pair.send(Side::Client, client, stream, b"late");
    pair.call(Side::Client, |e, now| e.finish(now, client, stream)).unwrap();
    pair.run(Duration::from_millis(50));
    let answer = pair.drain(Side::Server, server, stream);
    assert_eq!(answer, [ReceiveResult::Data("late".into()), ReceiveResult::Finished]);
}

/// T66: every error has a text of its own that says more than its name.
#[test]
pub(crate) fn t66_errors_explain_themselves() {
    use tripline::{ConnectError, Phase, SendError, StartError};
    let texts = [
        ConnectError::Timeout { phase: Phase::Opening }.to_string(),
        ConnectError::Identity.to_string(),
        ConnectError::Version { ours: 1, theirs: vec![2, 3] }.to_string(),
        ConnectError::Refused { code: Code::NO_ROUTE, reason: "try port 5".into() }.to_string(),
        SendError::TooLarge { limit: 1_000 }.to_string(),
        StartError::RouteTooLong { length: 300 }.to_string(),
    ];
    for (text, needle) in texts.iter().zip(["no answer", "key", "0x2", "try port 5", "1000", "255"])
    {
        assert!(text.contains(needle) && text.len() > 15, "{text}");
    }
}
