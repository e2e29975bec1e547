//! Rows T11, T28 to T30 and T44 for messages that are handed in and taken many at a time, and for
//! small ones that the engine gathers by itself.

use std::collections::BTreeSet;
use tripline::{
    Batch, BatchResult, Config, ConnectionHandle, Event, Fate, MessageToken, Order, ReceiveError,
    SendError, SendOptions, StreamId, StreamOptions,
};
use tripline_sansio::Duration;
use tripline_sim::{Chance, LinkConfig};
use tripline_tests::{Pair, Side, identity};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn bad_weather() -> LinkConfig {
    LinkConfig::lossy(Chance::percent(5))
        .delay(ms(20))
        .duplicate(Chance::percent(3), ms(3))
        .reorder(Chance::percent(5), ms(15))
}

/// A message that says its number, of a length that follows from it: none, short and long ones.
fn message(number: u32) -> Vec<u8> {
    let len = [4_usize, 64, 65, 200, 300, 5_000][number as usize % 6];
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.resize(len, number as u8);
    bytes
}

fn batch(numbers: core::ops::Range<u32>) -> Batch {
    let mut batch = Batch::new();
    numbers.for_each(|number| batch.push(&message(number)));
    batch
}

/// Takes all that is there, by batches.
fn take(pair: &mut Pair, side: Side, connection: ConnectionHandle, stream: StreamId) -> Batch {
    let mut batch = Batch::new();
    loop {
        let taken = pair.call(side, |e, now| e.receive_batch(now, connection, stream, &mut batch));
        match taken {
            Ok(BatchResult::Messages(count)) => assert!(count > 0),
            Ok(_) | Err(ReceiveError::UnknownStream) => return batch,
            Err(error) => panic!("{error}"),
        }
    }
}

/// T28, T29, T30: the messages of batches arrive as if each had been handed in by itself, whether
/// they are taken one by one or together; each has a fate of its own, and the tokens follow.
#[test]
pub(crate) fn t28_batches_arrive_as_their_messages() {
    for (seed, order) in [(1, Order::Ordered), (2, Order::Unordered)] {
        let mut pair = Pair::new(seed).link(bad_weather());
        let (client, server) = pair.connected();
        let stream = pair.open(Side::Client, client, StreamOptions::one_way(order));
        let (mut tokens, mut got) = (BTreeSet::new(), Vec::new());
        for round in 0..40_u32 {
            let mut batch = batch(round * 10..round * 10 + 10);
            let range = pair
                .call(Side::Client, |e, now| e.send_batch(now, client, stream, &mut batch))
                .unwrap();
            assert!(batch.is_empty());
            let numbers = range.start.number()..range.end.number();
            assert_eq!(numbers.end - numbers.start, 10);
            assert!(numbers.into_iter().all(|number| tokens.insert(number)));
            if round == 0 {
                pair.wait(Side::Server, |event| {
                    matches!(event, Event::Opened { .. }).then_some(())
                });
            }
            pair.run(ms(7));
            if round % 2 == 0 {
                got.extend(pair.messages(Side::Server, server, stream));
            } else {
                let taken = take(&mut pair, Side::Server, server, stream);
                got.extend(taken.iter().map(<[u8]>::to_vec));
            }
        }
        for _ in 0..40 {
            pair.run(ms(100));
            let taken = take(&mut pair, Side::Server, server, stream);
            got.extend(taken.iter().map(<[u8]>::to_vec));
        }
        if order == Order::Unordered {
            got.sort_by_key(|one| one[..4].to_vec());
        }
        let sent: Vec<Vec<u8>> = (0..400).map(message).collect();
        assert!(got == sent, "{order:?}: {} messages", got.len());
        let fate = |event: &Event| match event {
            Event::Message { token, fate: Fate::Acked, .. } => Some(token.number()),
            Event::Message { token, fate, .. } => panic!("{token:?}: {fate:?}"),
            _ => None,
        };
        let told: Vec<u64> = pair.events(Side::Client).iter().filter_map(fate).collect();
        assert_eq!(told.len(), 400, "once each");
        assert_eq!(told.into_iter().collect::<BTreeSet<_>>(), tokens);
    }
}

/// T11: also before the connection is ready, on a byte stream (a chunk each), and where
/// only the newest message counts.
#[test]
pub(crate) fn t11_batches_where_messages_cannot_be_gathered() {
    let mut pair = Pair::new(3);
    let client = pair.connect();
    let mut open = |order| pair.open(Side::Client, client, StreamOptions::one_way(order));
    let streams = [open(Order::Ordered), open(Order::Bytes), open(Order::Latest)];
    let send = |pair: &mut Pair, numbers: core::ops::Range<u32>| {
        for stream in streams {
            let mut batch = batch(numbers.clone());
            pair.call(Side::Client, |e, now| e.send_batch(now, client, stream, &mut batch))
                .unwrap();
        }
    };
    send(&mut pair, 0..6);
    let server = pair.wait(Side::Server, |event| match event {
        Event::Connected { connection, .. } => Some(*connection),
        _ => None,
    });
    pair.run(ms(200));
    send(&mut pair, 6..12);
    pair.run(ms(200));
    let [ordered, bytes, latest] =
        streams.map(|stream| take(&mut pair, Side::Server, server, stream));
    assert!(ordered.iter().eq((0..12).map(message).collect::<Vec<_>>().iter()));
    let all: Vec<u8> = (0..12).flat_map(message).collect();
    assert_eq!(bytes.iter().flatten().copied().collect::<Vec<u8>>(), all);
    assert_eq!(latest.iter().last(), Some(&message(11)[..]));
}

/// T44: a batch is taken whole or stays as it is: too much for now, or a message that the peer
/// does not take. An empty one is nothing.
#[test]
pub(crate) fn t44_a_batch_is_taken_whole_or_not_at_all() {
    let mut server = Config::public_server(identity("server"));
    server.transport.message_max = 5_000;
    let mut config = Config::client();
    config.transport.send_buffer = 20_000;
    let mut pair = Pair::with(4, config, server);
    let (client, server) = pair.connected();
    let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Ordered));
    let send = |pair: &mut Pair, batch: &mut Batch| {
        pair.call(Side::Client, |e, now| e.send_batch(now, client, stream, batch))
    };
    let mut large = batch(0..3);
    large.push(&[0; 5_001]);
    let before = large.clone();
    assert_eq!(send(&mut pair, &mut large), Err(SendError::TooLarge { limit: 5_000 }));
    assert_eq!(large, before);
    let none = send(&mut pair, &mut Batch::new()).unwrap();
    assert_eq!(none.start, none.end);
    send(&mut pair, &mut batch(0..12)).unwrap();
    let mut second = batch(12..30);
    let before = second.clone();
    assert_eq!(send(&mut pair, &mut second), Err(SendError::Blocked));
    assert_eq!(second, before);
    pair.wait(Side::Client, |event| match event {
        Event::Writable { .. } => Some(()),
        _ => None,
    });
    send(&mut pair, &mut second).unwrap();
    pair.run(ms(500));
    let got = take(&mut pair, Side::Server, server, stream);
    assert!(got.iter().eq((0..30).map(message).collect::<Vec<_>>().iter()));
}

/// T30, T48: small messages that are handed in one by one are gathered, and yet each has its fate,
/// also those that were still waiting when the stream is closed.
#[test]
pub(crate) fn t30_gathered_messages_have_fates_of_their_own() {
    let mut pair = Pair::new(5).link(bad_weather());
    let (client, server) = pair.connected();
    let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Ordered));
    let send = |pair: &mut Pair| {
        let options = SendOptions::default();
        pair.call(Side::Client, |e, now| e.send(now, client, stream, vec![1; 40], options)).unwrap()
    };
    let first: Vec<MessageToken> = (0..500).map(|_| send(&mut pair)).collect();
    pair.run(ms(2_000));
    assert_eq!(pair.messages(Side::Server, server, stream).len(), 500);
    let late: Vec<MessageToken> = (0..300).map(|_| send(&mut pair)).collect();
    let code = tripline::Code::application(1);
    pair.call(Side::Client, |e, now| e.close_stream(now, client, stream, code)).unwrap();
    pair.run(ms(2_000));
    let fate = |event: &Event| match event {
        Event::Message { token, fate, .. } => Some((*token, *fate)),
        _ => None,
    };
    let mut told: Vec<_> = pair.events(Side::Client).iter().filter_map(fate).collect();
    told.sort_by_key(|(token, _)| *token);
    let acked = first.into_iter().map(|token| (token, Fate::Acked));
    let dropped = late.into_iter().map(|token| (token, Fate::Undelivered));
    assert!(told == acked.chain(dropped).collect::<Vec<_>>());
}
