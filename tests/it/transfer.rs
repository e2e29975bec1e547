//! Messages through the virtual link: all orders, all sizes, all kinds of bad weather.

use std::collections::BTreeSet;
use tripline::{
    Config, Direction, Event, Fate, Order, ReceiveResult, Reliability, SendError, SendOptions,
    StreamOptions,
};
use tripline_sansio::Duration;
use tripline_sim::{Chance, LinkConfig};
use tripline_tests::{Carrier, Pair, Side, identity};

fn bad_weather() -> LinkConfig {
    let ms = Duration::from_millis;
    LinkConfig::lossy(Chance::percent(5))
        .delay(ms(20))
        .jitter(ms(5))
        .duplicate(Chance::percent(3), ms(3))
        .reorder(Chance::percent(5), ms(15))
}

/// A message that says its number, of a length that follows from it.
fn message(number: u32) -> Vec<u8> {
    let len = [0usize, 1, 40, 300, 1_500, 9_000][number as usize % 6];
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.resize(4 + len, number as u8);
    bytes
}

fn number(message: &[u8]) -> u32 {
    u32::from_be_bytes(message[..4].try_into().unwrap())
}

/// Sends `count` messages on one stream, reading on the other side as they come.
fn exchange(
    seed: u64,
    link: LinkConfig,
    options: StreamOptions,
    from: Side,
    count: u32,
) -> Vec<u32> {
    let mut pair = Pair::new(seed).link(link);
    let (client, server) = pair.connected();
    let (to, sender, receiver) = match from {
        Side::Client => (Side::Server, client, server),
        Side::Server => (Side::Client, server, client),
    };
    let stream = pair.open(from, sender, options);
    let mut got = Vec::new();
    for next in 0..count {
        loop {
            let sent = pair.call(from, |e, now| {
                e.send(now, sender, stream, message(next), SendOptions::default())
            });
            match sent {
                Ok(_) => break,
                Err(SendError::Blocked) => pair.run(Duration::from_millis(20)),
                Err(error) => panic!("{error}"),
            }
        }
        if next % 50 == 0 {
            pair.run(Duration::from_millis(10));
            got.extend(read(&mut pair, to, receiver, stream));
        }
    }
    pair.call(from, |e, now| e.finish(now, sender, stream)).unwrap();
    for _ in 0..2_000 {
        pair.run(Duration::from_millis(50));
        got.extend(read(&mut pair, to, receiver, stream));
        let fates = pair
            .events(from)
            .into_iter()
            .filter(|event| matches!(event, Event::Message { fate: Fate::Acked, .. }));
        if fates.count() > 0 && got.len() >= count as usize {
            break;
        }
    }
    got
}

fn read(
    pair: &mut Pair,
    side: Side,
    connection: tripline::ConnectionHandle,
    stream: tripline::StreamId,
) -> Vec<u32> {
    let known = pair.call(side, |e, now| e.receive(now, connection, stream));
    let mut got = Vec::new();
    if let Ok(ReceiveResult::Data(bytes)) = known {
        assert_eq!(bytes, message(number(&bytes)));
        got.push(number(&bytes));
        got.extend(pair.messages(side, connection, stream).iter().map(|bytes| {
            assert_eq!(*bytes, message(number(bytes)));
            number(bytes)
        }));
    }
    got
}

/// T28, T29, T31: ordered messages arrive whole, once, in order, in any weather, either way.
#[test]
pub(crate) fn t31_ordered_messages_arrive_in_order() {
    for seed in 0..4 {
        for from in [Side::Client, Side::Server] {
            for direction in [Direction::OneWay, Direction::TwoWay] {
                let options = StreamOptions { order: Order::Ordered, direction, priority: 3 };
                let got = exchange(seed, bad_weather(), options, from, 600);
                assert_eq!(
                    got,
                    (0..600).collect::<Vec<_>>(),
                    "seed {seed}, {from:?}, {direction:?}"
                );
            }
        }
    }
}

/// T31: unordered messages arrive whole and once, and do overtake each other.
#[test]
pub(crate) fn t31_unordered_messages_arrive_once() {
    let mut overtaken = false;
    for seed in 0..4 {
        let got = exchange(
            seed,
            bad_weather(),
            StreamOptions::one_way(Order::Unordered),
            Side::Client,
            600,
        );
        overtaken |= got.windows(2).any(|pair| pair[0] > pair[1]);
        assert_eq!(got.len(), 600, "seed {seed}");
        assert_eq!(got.into_iter().collect::<BTreeSet<_>>(), (0..600).collect());
    }
    assert_eq!(overtaken, !Carrier::current().is_link(), "links keep the order");
}

/// R-REL-1, T31: a *latest* stream never delivers an older message, and always the last one.
#[test]
pub(crate) fn t31_latest_messages_only_grow_newer() {
    for seed in 0..4 {
        let mut pair = Pair::new(seed).link(bad_weather());
        let (client, server) = pair.connected();
        let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Latest));
        let mut got = Vec::new();
        for next in 0..400 {
            pair.send(Side::Client, client, stream, &message(next));
            pair.run(Duration::from_millis(20));
            got.extend(read(&mut pair, Side::Server, server, stream));
        }
        pair.run(Duration::from_secs(30));
        got.extend(read(&mut pair, Side::Server, server, stream));
        assert!(got.windows(2).all(|pair| pair[0] < pair[1]), "seed {seed}: {got:?}");
        assert_eq!(got.last(), Some(&399), "seed {seed}");
        assert!(got.len() > 50, "seed {seed}: {}", got.len());
    }
}

/// T31: a byte stream loses, repeats and reorders nothing.
#[test]
pub(crate) fn t31_bytes_arrive_as_one_run() {
    for seed in 0..4 {
        let mut pair = Pair::new(seed).link(bad_weather());
        let (client, server) = pair.connected();
        let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Bytes));
        let sent: Vec<u8> = (0..400_000u32).map(|n| (n * 7 / 3) as u8).collect();
        for chunk in sent.chunks(7_777) {
            pair.send(Side::Client, client, stream, chunk);
        }
        pair.call(Side::Client, |e, now| e.finish(now, client, stream)).unwrap();
        let mut got = Vec::new();
        let mut finished = false;
        pair.wait(Side::Server, |event| matches!(event, Event::Readable { .. }).then_some(()));
        for _ in 0..600 {
            pair.run(Duration::from_millis(100));
            let Ok(_) = pair.call(Side::Server, |e, _| e.state(server).ok_or(())) else { break };
            for one in pair.drain(Side::Server, server, stream) {
                match one {
                    ReceiveResult::Data(bytes) => got.extend_from_slice(&bytes),
                    end => finished = end == ReceiveResult::Finished,
                }
            }
            if finished {
                break;
            }
        }
        assert!(finished && got == sent, "seed {seed}: {} of {}", got.len(), sent.len());
    }
}

/// T28, T34: a message of 100 MiB arrives whole, through a link that loses packets.
#[test]
pub(crate) fn t34_a_message_of_100_mib_arrives_whole() {
    let size = 100 << 20;
    let big = |mut config: Config| {
        config.transport.message_max = size;
        config.transport.stream_credit = size + (1 << 20);
        config.transport.connection_credit = size + (1 << 20);
        config.transport.send_buffer = size;
        config
    };
    let link = LinkConfig::lossy(Chance::permille(1)).delay(Duration::from_millis(2));
    let server = Config::public_server(identity("server"));
    let mut pair = Pair::with(5, big(Config::client()), big(server)).link(link);
    let (client, server) = pair.connected();
    let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Ordered));
    let data: Vec<u8> = (0..size).map(|n| (n >> 8) as u8 ^ n as u8).collect();
    pair.send(Side::Client, client, stream, &data);
    pair.wait(Side::Server, |event| matches!(event, Event::Readable { .. }).then_some(()));
    let got = pair.messages(Side::Server, server, stream);
    assert!(got.len() == 1 && got[0] == data);
}

/// T41: ten thousand streams, each with a message and an end, and nothing is left of them.
#[test]
pub(crate) fn t41_ten_thousand_streams_come_and_go() {
    let mut pair =
        Pair::new(3).link(LinkConfig::lossy(Chance::percent(1)).delay(Duration::from_millis(5)));
    let (client, server) = pair.connected();
    let (mut opened, mut read) = (0u32, BTreeSet::new());
    while read.len() < 10_000 {
        while opened < 10_000 {
            let options = StreamOptions::one_way(Order::Ordered);
            let Ok(stream) = pair.call(Side::Client, |e, now| e.open(now, client, options)) else {
                break;
            };
            pair.send(Side::Client, client, stream, &opened.to_be_bytes());
            pair.call(Side::Client, |e, now| e.finish(now, client, stream)).unwrap();
            opened += 1;
        }
        pair.run(Duration::from_millis(10));
        for event in pair.events(Side::Server) {
            if let Event::Readable { stream, .. } = event {
                for message in pair.messages(Side::Server, server, stream) {
                    assert!(read.insert(number(&message)), "{stream:?} twice");
                }
            }
        }
        pair.events(Side::Client);
        assert!(
            pair.world.now().as_nanos() < 600_000_000_000,
            "{opened} opened, {} read",
            read.len()
        );
    }
}

/// T11, T28: what is handed in before the peer's limits are known waits for them; what is above
/// them is reported, and harms nobody.
#[test]
pub(crate) fn t11_early_messages_wait_for_the_peers_limits() {
    let mut small = Config::public_server(identity("server"));
    small.transport.message_max = 1_000;
    small.transport.one_way_streams = 2;
    let mut pair = Pair::with(1, Config::client(), small);
    let client = pair.connect();
    let streams: Vec<_> = (0..4)
        .map(|_| pair.open(Side::Client, client, StreamOptions::one_way(Order::Ordered)))
        .collect();
    for stream in &streams {
        pair.send(Side::Client, client, *stream, &[1; 2_000]);
        pair.send(Side::Client, client, *stream, &[2; 500]);
        pair.call(Side::Client, |e, now| e.finish(now, client, *stream)).unwrap();
    }
    let mut got = Vec::new();
    for _ in 0..100 {
        pair.run(Duration::from_millis(20));
        for event in pair.events(Side::Server) {
            if let Event::Readable { connection, stream } = event {
                got.extend(pair.messages(Side::Server, connection, stream));
            }
        }
    }
    assert_eq!(got, vec![vec![2; 500]; 4]);
    let fate = |event: &Event| match event {
        Event::Message { fate, .. } => Some(*fate),
        _ => None,
    };
    let fates: Vec<_> = pair.events(Side::Client).iter().filter_map(fate).collect();
    assert_eq!(fates.iter().filter(|fate| **fate == Fate::Undelivered).count(), 4);
    assert_eq!(fates.iter().filter(|fate| **fate == Fate::Acked).count(), 4);
}

/// T35: a message of UMTU bytes is sent in exactly one datagram, and one of a byte more is not.
#[test]
pub(crate) fn t35_a_message_of_umtu_bytes_takes_one_datagram() {
    let mut pair = Pair::new(1);
    let (client, server) = pair.connected();
    pair.run(Duration::from_secs(2));
    let umtu = pair.call(Side::Client, |e, _| e.umtu(client)).unwrap();
    let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Unordered));
    for (size, datagrams) in [(umtu, 1), (umtu + 60, 2)] {
        pair.run(Duration::from_secs(2));
        let before = pair.world.machine(pair.client).connection_stats(client).unwrap().packets_sent;
        pair.send(Side::Client, client, stream, &vec![1; size]);
        let after = pair.world.machine(pair.client).connection_stats(client).unwrap().packets_sent;
        assert_eq!(after - before, datagrams, "{size}");
        pair.run(Duration::from_millis(100));
        assert_eq!(pair.messages(Side::Server, server, stream).len(), 1);
    }
}

/// T47: under saturation each priority gets twice the share of the next.
#[test]
pub(crate) fn t47_shares_follow_the_priorities() {
    let mut pair = Pair::new(1)
        .link(LinkConfig::perfect().delay(Duration::from_millis(10)).rate(500_000, 60_000));
    let (client, server) = pair.connected();
    let streams: Vec<_> = [1, 2, 3]
        .map(|priority| StreamOptions { priority, ..StreamOptions::one_way(Order::Ordered) })
        .map(|options| pair.open(Side::Client, client, options))
        .to_vec();
    let mut got = [0usize; 3];
    for _ in 0..400 {
        for stream in &streams {
            while pair
                .call(Side::Client, |e, now| {
                    e.send(now, client, *stream, vec![1; 10_000], SendOptions::default())
                })
                .is_ok()
            {}
        }
        pair.run(Duration::from_millis(25));
        for (stream, sum) in streams.iter().zip(&mut got) {
            if let Ok(ReceiveResult::Data(bytes)) =
                pair.call(Side::Server, |e, now| e.receive(now, server, *stream))
            {
                let rest = pair.messages(Side::Server, server, *stream);
                *sum += bytes.len() + rest.iter().map(Vec::len).sum::<usize>();
            }
        }
    }
    let ratio = |a: usize, b: usize| a as f64 / b as f64;
    assert!((1.6..2.4).contains(&ratio(got[0], got[1])), "{got:?}");
    assert!((1.6..2.4).contains(&ratio(got[1], got[2])), "{got:?}");
}

/// T44, T45: a receiver that does not read stops the sender at the credit; reading sets it going.
#[test]
pub(crate) fn t45_credit_runs_out_and_comes_back() {
    let mut pair = Pair::new(4);
    let (client, server) = pair.connected();
    let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Ordered));
    let message = vec![7; 50_000];
    let mut sent = 0;
    let send = |pair: &mut Pair| {
        let data = message.clone();
        pair.call(Side::Client, |e, now| e.send(now, client, stream, data, SendOptions::default()))
    };
    for _ in 0..200 {
        while send(&mut pair).is_ok() {
            sent += 1;
        }
        pair.run(Duration::from_millis(100));
    }
    // The receiver's credit and the sender's buffer, and not a message more.
    let most = (2 << 20) / 50_000 + 1;
    assert!((20..=most).contains(&sent), "{sent}");
    let tape = pair.tape();
    pair.run(Duration::from_secs(10));
    assert!(tape.len() < 30, "{} packets while blocked", tape.len());
    let mut got = pair.messages(Side::Server, server, stream).len();
    for _ in 0..200 {
        pair.run(Duration::from_millis(100));
        got += pair.messages(Side::Server, server, stream).len();
    }
    assert_eq!(got, sent, "what waited arrives once there is credit");
    assert!(pair.events(Side::Client).iter().any(|event| matches!(event, Event::Writable { .. })));
    assert!(send(&mut pair).is_ok());
}

/// R-REL-2, T30, T31: unreliable messages are sent once; what arrives is whole, and each is
/// reported once.
#[test]
pub(crate) fn t30_every_message_has_one_fate() {
    for (seed, reliability) in [
        (1, Reliability::Reliable),
        (2, Reliability::Unreliable),
        (3, Reliability::Transmissions(2)),
    ] {
        let mut pair = Pair::new(seed).link(bad_weather());
        let (client, server) = pair.connected();
        let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Unordered));
        let options = SendOptions { reliability, expires_after: None };
        let (mut tokens, mut got, mut fates) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        for next in 0..500 {
            let token = pair
                .call(Side::Client, |e, now| e.send(now, client, stream, message(next), options))
                .unwrap_or_else(|error| panic!("{error}: {}", pair.explain()));
            tokens.insert(token);
            pair.run(Duration::from_millis(4));
            for one in read(&mut pair, Side::Server, server, stream) {
                assert!(got.insert(one), "{one} twice");
            }
        }
        for _ in 0..300 {
            pair.run(Duration::from_millis(100));
            got.extend(read(&mut pair, Side::Server, server, stream));
        }
        for event in pair.events(Side::Client) {
            if let Event::Message { token, fate, .. } = event {
                fates.push((token, fate));
            }
        }
        let told: BTreeSet<_> = fates.iter().map(|(token, _)| *token).collect();
        assert_eq!(fates.len(), 500, "{reliability:?}");
        assert_eq!(told, tokens, "{reliability:?}");
        match reliability {
            Reliability::Reliable => {
                assert_eq!(got.len(), 500);
                assert!(fates.iter().all(|(_, fate)| *fate == Fate::Acked));
            }
            Reliability::Unreliable => {
                assert!((350..500).contains(&got.len()), "{}", got.len());
                // One that was lost half-sent is cut short: expired.
                let sent = fates.iter().filter(|(_, fate)| *fate == Fate::Sent).count();
                let cut = fates.iter().filter(|(_, fate)| *fate == Fate::Expired).count();
                assert!(sent > 450 && sent + cut == 500, "{sent} sent, {cut} cut");
            }
            Reliability::Transmissions(_) => {
                assert!(got.len() > 470, "{}", got.len());
                assert!(fates.iter().any(|(_, fate)| *fate == Fate::Expired));
            }
        }
    }
}

/// T31: on an ordered stream what is given up makes room for what follows.
#[test]
pub(crate) fn expired_messages_do_not_hold_up_the_rest() {
    let mut pair = Pair::new(9).link(bad_weather());
    let (client, server) = pair.connected();
    let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Ordered));
    let short =
        SendOptions { expires_after: Some(Duration::from_millis(30)), ..SendOptions::default() };
    let mut got = Vec::new();
    for next in 0..600 {
        let options = if next % 3 == 0 { SendOptions::default() } else { short };
        pair.call(Side::Client, |e, now| e.send(now, client, stream, message(next), options))
            .unwrap_or_else(|error| panic!("{error}: {}", pair.explain()));
        pair.run(Duration::from_millis(3));
        got.extend(read(&mut pair, Side::Server, server, stream));
    }
    pair.run(Duration::from_secs(5));
    got.extend(read(&mut pair, Side::Server, server, stream));
    assert!(got.windows(2).all(|pair| pair[0] < pair[1]), "{got:?}");
    for reliable in (0..600).step_by(3) {
        assert!(got.contains(&reliable), "{reliable} is missing");
    }
    let fates: Vec<_> = pair
        .events(Side::Client)
        .into_iter()
        .filter_map(|event| match event {
            Event::Message { fate, .. } => Some(fate),
            _ => None,
        })
        .collect();
    assert_eq!(fates.len(), 600);
    assert!(fates.contains(&Fate::Expired) && fates.contains(&Fate::Acked));
}
