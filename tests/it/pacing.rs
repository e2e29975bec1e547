//! What the pacer does to traffic, seen at the link (R-PACE-1).

use std::cell::RefCell;
use std::rc::Rc;
use tripline::{
    Config, ConnectionHandle, Order, ReceiveResult, SendOptions, StreamId, StreamOptions,
};
use tripline_sansio::{Duration, Instant};
use tripline_sim::{Chance, LinkConfig, Stage};
use tripline_tests::{Pair, Side, identity};

/// When the client sent how many bytes, one entry for each datagram.
type Log = Rc<RefCell<Vec<(Instant, u64)>>>;

/// A pair whose buffers hold a whole transfer, and a log of what the client sends.
fn pair(seed: u64, link: LinkConfig) -> (Pair, Log) {
    let mut client = Config::client();
    client.transport.send_buffer = 64 << 20;
    let mut server = Config::public_server(identity("server"));
    server.transport.stream_credit = 64 << 20;
    server.transport.connection_credit = 64 << 20;
    let mut pair = Pair::with(seed, client, server).link(link);
    let log = Log::default();
    let (seen, from) = (Rc::clone(&log), pair.client);
    pair.world.add_tap(move |packet| {
        if packet.stage == Stage::Offered && packet.from == Some(from) {
            seen.borrow_mut().push((packet.now, packet.bytes.len() as u64));
        }
    });
    (pair, log)
}

/// Hands `bytes` bytes to a stream of the client's at once.
fn bulk(pair: &mut Pair, connection: ConnectionHandle, bytes: usize) -> StreamId {
    let stream = pair.open(Side::Client, connection, StreamOptions::one_way(Order::Bytes));
    let data = vec![7; bytes];
    pair.call(Side::Client, |e, now| e.send(now, connection, stream, data, SendOptions::default()))
        .unwrap();
    stream
}

/// Runs until the server has read `bytes` bytes; returns the highest pacing rate and the largest
/// datagram size that the client had meanwhile.
fn fetch(
    pair: &mut Pair,
    (client, server): (ConnectionHandle, ConnectionHandle),
    stream: StreamId,
    bytes: usize,
) -> u64 {
    let (mut got, mut fastest) = (0, 0);
    let limit = pair.world.now() + Duration::from_secs(120);
    while got < bytes {
        assert!(pair.world.now() < limit && pair.world.step().is_some(), "{got} of {bytes} bytes");
        let host = pair.client;
        let stats = pair.world.machine(host).connection_stats(client).unwrap();
        fastest = fastest.max(stats.pacing_rate);
        let known = pair.call(Side::Server, |e, now| e.receive(now, server, stream));
        let mut next = known.ok();
        while let Some(ReceiveResult::Data(data)) = next {
            got += data.len();
            next = pair.call(Side::Server, |e, now| e.receive(now, server, stream)).ok();
        }
    }
    fastest
}

/// The most bytes that left within any `span`.
fn most_within(log: &[(Instant, u64)], span: Duration) -> u64 {
    let (mut first, mut sum, mut most) = (0, 0, 0);
    for (at, bytes) in log {
        sum += bytes;
        while log[first].0 + span < *at {
            sum -= log[first].1;
            first += 1;
        }
        most = most.max(sum);
    }
    most
}

/// R-PACE-1: on no link does more leave within any span than the bucket and what flows in that
/// span at the highest rate of the run, and a few packets that are never paced.
#[test]
fn r_pace_1_no_burst_is_larger_than_the_bucket() {
    let ms = Duration::from_millis;
    for seed in 0..6_u64 {
        let link = LinkConfig::lossy(Chance::permille(2 * seed as u32))
            .delay(ms(5 + 10 * seed))
            .rate(1_000_000 << seed, 200_000);
        let (mut pair, log) = pair(seed, link);
        let handles = pair.connected();
        log.borrow_mut().clear();
        let stream = bulk(&mut pair, handles.0, 2_000_000);
        let fastest = fetch(&mut pair, handles, stream, 2_000_000);
        let stats = pair.world.machine(pair.client).connection_stats(handles.0).unwrap();
        assert!(stats.pacing_waits > 20, "seed {seed}: the pacer had nothing to do, {stats:?}");
        let bucket = (fastest / 500).max(12_000);
        // Probes (two packets for each timeout) and control frames.
        let free = 4 * 1_200;
        for span in [ms(0), ms(1), ms(5), ms(40)] {
            let flow = span.as_micros() as u64 * fastest / 1_000_000;
            let most = most_within(&log.borrow(), span);
            assert!(most <= bucket + flow + free, "seed {seed}: {most} bytes within {span:?}");
        }
    }
}

/// R-PACE-1: a window that was earned and then lay idle does not leave at once.
#[test]
fn r_pace_1_an_idle_connection_saves_no_burst() {
    let link = LinkConfig::perfect().delay(Duration::from_millis(50));
    let (mut pair, log) = pair(1, link);
    let handles = pair.connected();
    let stream = bulk(&mut pair, handles.0, 1_000_000);
    fetch(&mut pair, handles, stream, 1_000_000);
    pair.run(Duration::from_secs(5));
    log.borrow_mut().clear();
    let window =
        pair.world.machine(pair.client).connection_stats(handles.0).unwrap().congestion_window;
    assert!(window > 400_000, "{window}");
    let again = bulk(&mut pair, handles.0, 300_000);
    let fastest = fetch(&mut pair, handles, again, 300_000);
    let most = most_within(&log.borrow(), Duration::ZERO);
    assert!(most <= (fastest / 500).max(12_000) + 2_400, "{most} bytes at once");
}

/// R-PACE-1: acknowledgements and answers to PINGs do not wait behind paced payload.
#[test]
fn r_pace_1_what_is_owed_is_not_paced() {
    let link = LinkConfig::perfect().delay(Duration::from_millis(30)).rate(500_000, 100_000);
    let (mut pair, _log) = pair(2, link);
    let (client, server) = pair.connected();
    bulk(&mut pair, client, 3_000_000);
    pair.run(Duration::from_secs(2));
    // The server's packets are acknowledged while the client's payload waits for its turn.
    let stream = pair.open(Side::Server, server, StreamOptions::one_way(Order::Ordered));
    for _ in 0..20 {
        let began = pair.world.now();
        pair.send(Side::Server, server, stream, b"x");
        let fate = pair.wait(Side::Server, |event| match event {
            tripline::Event::Message { fate, .. } => Some(*fate),
            _ => None,
        });
        assert_eq!(fate, tripline::Fate::Acked);
        // Two ways, the queue of 100,000 bytes at 500,000 B/s, and 25 ms at most held back.
        let took = pair.world.now() - began;
        assert!(took <= Duration::from_millis(60 + 200 + 26), "{took:?}");
    }
}
