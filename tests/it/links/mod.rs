//! Reliable links (PROTOCOL.md §8): the packets of §2 over streams of bytes.

mod both;
mod choice;
mod hub;
mod pair;
mod resume;
mod stream_machine;

use pair::{CLIENT, LinkPair, SERVER, ordinary};
use tripline::{
    Config, ConnectOptions, ConnectionHandle, Event, Fate, LinkEnd, LinkId, Order, SendOptions,
    StreamId, StreamOptions,
};
use tripline_sim::{Cut, DatagramMachine, Discipline, Duration, Ecn, Path};
use tripline_tests::identity;

/// The message of this number, so long and recognisable.
fn message(number: usize, len: usize) -> Vec<u8> {
    let mut data = number.to_be_bytes().to_vec();
    data.extend((0..len).map(|at| (at * 31 + number * 7) as u8));
    data
}

/// Waits until a side has received so many messages, of whatever streams.
fn collect(
    pair: &mut LinkPair,
    side: usize,
    connection: ConnectionHandle,
    count: usize,
) -> Vec<(StreamId, Vec<u8>)> {
    let (mut all, mut seen) = (Vec::new(), 0);
    let limit = pair.now() + Duration::from_secs(600);
    while all.len() < count {
        let new = pair.events[side][seen..].to_vec();
        seen = pair.events[side].len();
        for event in new {
            if let Event::Readable { connection: at, stream } = event
                && at == connection
            {
                all.extend(pair.receive(side, at, stream).into_iter().map(|data| (stream, data)));
            }
        }
        if all.len() < count && seen == pair.events[side].len() {
            assert!(pair.now() < limit && pair.step(), "{} of {count} messages", all.len());
        }
    }
    all
}

/// What both sides saw of a session, and what the server received.
type Seen = ([Vec<Event>; 2], Vec<(StreamId, Vec<u8>)>);

/// What a session of many kinds of streams looks like to both sides.
fn session(seed: u64, cut: Cut, eager: bool) -> Seen {
    let mut pair = LinkPair::new(seed);
    pair.links_are(ordinary().cut(cut).buffer(1 << 20));
    pair.world.set_discipline(Discipline::default().batch(if eager { 1 } else { usize::MAX }));
    let (client, server) = pair.connected();
    let orders = [Order::Ordered, Order::Unordered, Order::Bytes, Order::Latest];
    for (number, order) in orders.into_iter().enumerate() {
        let stream = pair.open(CLIENT, client, StreamOptions::two_way(order));
        pair.send(CLIENT, client, stream, message(number, 3_000 * number + 1));
        pair.call(CLIENT, |e, now| e.finish(now, client, stream)).unwrap();
    }
    let got = collect(&mut pair, SERVER, server, 4);
    let (stream, _) = got[0];
    pair.send(SERVER, server, stream, message(9, 20_000));
    collect(&mut pair, CLIENT, client, 1);
    pair.call(CLIENT, |e, now| {
        e.close(now, client, Duration::from_secs(1), tripline::Code::NONE, "")
    })
    .unwrap();
    pair.wait(CLIENT, |event| matches!(event, Event::Drained { .. }).then_some(()));
    pair.wait(SERVER, |event| matches!(event, Event::Drained { .. }).then_some(()));
    (std::mem::take(&mut pair.events), got)
}

/// R-LINK-1: however the bytes are cut on the way, both sides see the same.
#[test]
fn r_link_1_segmentation_shows_nowhere() {
    let whole = session(1, Cut::Whole, false);
    for (cut, eager) in [
        (Cut::Bytes, false),
        (Cut::UpTo(3_000), false),
        (Cut::Whole, true),
        (Cut::Bytes, true),
        (Cut::UpTo(3_000), true),
    ] {
        assert_eq!(session(1, cut, eager), whole, "{cut:?}, eager: {eager}");
    }
}

/// R-LINK-1: a length of 0 or above 16,384, a packet of no known form and DATA that does not verify
/// end the link; what was agreed on lives on over another one.
#[test]
fn r_link_1_garbage_ends_the_link_and_not_the_connection() {
    let garbage: [(&[u8], LinkEnd); 6] = [
        (&[0, 0], LinkEnd::Length(0)),
        (&[0x40, 0x01], LinkEnd::Length(16_385)),
        (&[0xff, 0xff, 1, 2, 3], LinkEnd::Length(65_535)),
        (&[0, 1, 0x7f], LinkEnd::Packet),
        (&[0, 3, 0x80, 1, 2], LinkEnd::Packet),
        (b"GET / HTTP/1.1\r\n\r\n", LinkEnd::Length(0x4745)),
    ];
    for (bytes, end) in garbage {
        let mut pair = LinkPair::new(2);
        let (client, server) = pair.connected();
        assert_eq!(pair.inject(SERVER, 0, bytes), Err(end));
        assert_eq!(pair.inject(SERVER, 0, bytes), Err(LinkEnd::Unknown), "it has ended");
        assert_eq!(pair.machine(SERVER).stats().ended, 1);
        let unlinked = |event: &Event| matches!(event, Event::Unlinked { .. });
        assert!(pair.events[SERVER].iter().any(unlinked));
        pair.notice_break(CLIENT, 0);
        pair.resume(client, 1);
        let stream = pair.open(CLIENT, client, StreamOptions::one_way(Order::Ordered));
        pair.send(CLIENT, client, stream, message(1, 10));
        assert_eq!(collect(&mut pair, SERVER, server, 1), [(stream, message(1, 10))]);
    }
}

/// T57, R-LINK-1, R-WIRE-4: a packet of the reserved kind is no garbage: it is dropped, and the
/// link and its connection go on.
#[test]
fn t57_a_reserved_packet_ends_no_link() {
    let mut pair = LinkPair::new(2);
    let (client, server) = pair.connected();
    for side in [CLIENT, SERVER] {
        let before = pair.machine(side).endpoint().stats().drops;
        assert_eq!(pair.inject(side, 0, &[0, 1, 7]), Ok(()));
        assert_eq!(pair.inject(side, 0, &[0, 5, 7, 1, 2, 3, 4]), Ok(()));
        let drops = pair.machine(side).endpoint().stats().drops;
        assert_eq!(drops.unsupported - before.unsupported, 2);
        assert_eq!(drops.malformed, before.malformed);
    }
    let stream = pair.open(CLIENT, client, StreamOptions::one_way(Order::Ordered));
    pair.send(CLIENT, client, stream, message(1, 10));
    assert_eq!(collect(&mut pair, SERVER, server, 1), [(stream, message(1, 10))]);
}

/// R-LINK-1: so does DATA for a live connection with a byte changed; DATA for one that is gone does
/// not, as it may be late.
#[test]
fn r_link_1_data_must_verify() {
    let mut pair = LinkPair::new(3);
    let (client, _) = pair.connected();
    let tape = captured(&mut pair, client);
    for (changed, end) in [(None, Ok(())), (Some(12), Err(LinkEnd::Packet)), (Some(4), Ok(()))] {
        let mut pair = LinkPair::new(3);
        pair.connected();
        let mut bytes = tape.clone();
        if let Some(at) = changed {
            bytes[at] ^= 1;
        }
        assert_eq!(pair.inject(SERVER, 0, &bytes), end, "byte {changed:?}");
    }
}

/// The bytes of a link that the client writes for one message.
fn captured(pair: &mut LinkPair, client: ConnectionHandle) -> Vec<u8> {
    pair.run(Duration::from_secs(1));
    let stream = pair.open(CLIENT, client, StreamOptions::one_way(Order::Ordered));
    pair.intercept(client, stream, message(1, 10))
}

/// R-LINK-2: only a link speaks for itself: a datagram that claims to come from one is dropped.
#[test]
fn r_link_2_no_datagram_comes_from_a_link() {
    let mut pair = LinkPair::new(3);
    let (client, _) = pair.connected();
    let mut bytes = captured(&mut pair, client);
    let dropped = pair.machine(SERVER).endpoint().stats().drops.malformed;
    let path = Path::to(LinkId::new(0).address());
    pair.with_links(SERVER, |links, now| {
        links.handle_datagram(now, path, Ecn::NotEct, &mut bytes[2..]);
    });
    assert_eq!(pair.machine(SERVER).endpoint().stats().drops.malformed, dropped + 1);
    assert!(!pair.events[SERVER].iter().any(|event| matches!(event, Event::Opened { .. })));
}

/// R-LINK-3: nothing of what datagrams need: one OPEN, not padded; no RETRY; packets that are never
/// filled up; no window, no pacing, no marks and no search for an MTU.
#[test]
fn r_link_3_nothing_of_datagrams() {
    let mut pair = LinkPair::new(4);
    pair.links_are(ordinary().delay(Duration::from_millis(300)));
    let (client, server) = pair.connected();
    let stream = pair.open(CLIENT, client, StreamOptions::one_way(Order::Bytes));
    pair.send(CLIENT, client, stream, vec![7; 500_000]);
    let before = pair.now();
    let mut got = 0;
    while got < 500_000 {
        assert!(pair.step());
        got += pair.receive(SERVER, server, stream).iter().map(Vec::len).sum::<usize>();
    }
    // 64 KiB are on their way at once: eight one-way trips and the turns of the pipe's capacity.
    assert!(
        pair.now() - before < Duration::from_secs(6),
        "no slow start: {:?}",
        pair.now() - before
    );
    pair.run(Duration::from_secs(20));
    let [client_packets, server_packets] = [CLIENT, SERVER].map(|side| pair.packets(side));
    let opens: Vec<_> = client_packets.iter().filter(|(first, _)| *first == 1).collect();
    assert_eq!(opens.len(), 1, "OPEN is not repeated");
    assert!(opens[0].1 < 300, "OPEN is not padded: {opens:?}");
    assert!(server_packets.iter().all(|(first, _)| *first != 3), "no RETRY");
    let sizes = server_packets.iter().map(|(_, size)| *size);
    assert!(sizes.max() < Some(300), "no PONG is filled up: {server_packets:?}");
    let data = client_packets.iter().filter(|(first, _)| first & 0x80 != 0);
    let (count, bytes) = data.fold((0, 0), |(n, all), (_, size)| (n + 1, all + size));
    assert!((62..75).contains(&count) && bytes < 505_000, "{count} packets, {bytes} bytes");
    for (side, connection) in [(CLIENT, client), (SERVER, server)] {
        let stats = pair.call(side, |e, _| e.connection_stats(connection)).unwrap();
        assert_eq!((stats.pacing_waits, stats.packets_lost, stats.retransmissions), (0, 0, 0));
        assert_eq!((stats.datagram_size, stats.bytes_in_flight, stats.probes), (8_192, 0, 0));
    }
    let changed = |event: &Event| matches!(event, Event::UmtuChanged { .. });
    assert!(!pair.events.iter().flatten().any(changed));
}

/// R-LINK-5: an ACK every 64 packets or 25 ms, and none for gaps or PINGs besides.
#[test]
fn r_link_5_acks_are_few() {
    let mut config = Config::public_server(identity("server"));
    config.transport.stream_credit = 16 << 20;
    let mut client_config = Config::client();
    client_config.transport.send_buffer = 8 << 20;
    let mut pair = LinkPair::with(5, client_config, config);
    pair.links_are(ordinary().delay(Duration::from_micros(10)));
    let (client, server) = pair.connected();
    let stream = pair.open(CLIENT, client, StreamOptions::one_way(Order::Bytes));
    let (sent, acks) = (pair.packets(CLIENT).len(), pair.packets(SERVER).len());
    pair.send(CLIENT, client, stream, vec![7; 8 << 20]);
    pair.run(Duration::from_millis(24));
    let got: usize = pair.receive(SERVER, server, stream).iter().map(Vec::len).sum();
    assert_eq!(got, 8 << 20);
    let (sent, acks) = (pair.packets(CLIENT).len() - sent, pair.packets(SERVER).len() - acks);
    assert!(sent >= 1_024, "{sent}");
    assert!((sent / 64 - 2..=sent / 64 + 2).contains(&acks), "{acks} for {sent} packets");
    pair.run(Duration::from_millis(30));
    let told = |event: &Event| matches!(event, Event::Message { fate: Fate::Acked, .. });
    assert!(pair.events[CLIENT].iter().any(told), "the rest within 25 ms");
}

/// R-LINK-5: while a link lives nothing on it is lost, however long it takes: a stall of 20 s
/// brings PINGs, and nothing twice. The user hears that the peer is quiet.
#[test]
fn r_link_5_silence_loses_nothing() {
    let mut pair = LinkPair::new(6);
    let (client, server) = pair.connected();
    pair.run(Duration::from_secs(1));
    pair.stall(CLIENT, 0, true);
    let stream = pair.open(CLIENT, client, StreamOptions::one_way(Order::Ordered));
    let before = pair.packets(CLIENT).len();
    pair.call(CLIENT, |e, now| {
        for number in 0..5 {
            let data = message(number, 100);
            e.send(now, client, stream, data, SendOptions::default()).unwrap();
        }
    });
    pair.run(Duration::from_secs(20));
    let sent = &pair.packets(CLIENT)[before..];
    assert!((3..=9).contains(&sent.len()), "PINGs from 3 s on: {sent:?}");
    assert!(pair.events[CLIENT].iter().any(|event| matches!(event, Event::Quiet { .. })));
    pair.stall(CLIENT, 0, false);
    let got = collect(&mut pair, SERVER, server, 5);
    assert_eq!(got.len(), 5);
    pair.run(Duration::from_secs(5));
    let stats = pair.call(CLIENT, |e, _| e.connection_stats(client)).unwrap();
    assert_eq!((stats.packets_lost, stats.retransmissions), (0, 0));
}

/// Liveness stays (R-CLOSE-2): who is not heard any more is lost by the idle limit.
#[test]
fn r_link_5_liveness_stays() {
    let mut pair = LinkPair::new(7);
    pair.connected();
    pair.stall(SERVER, 0, true);
    pair.run(Duration::from_secs(31));
    assert!(pair.events[CLIENT].iter().any(|event| matches!(event, Event::Lost { .. })));
}

/// R-LINK-6: what waits for a link that takes nothing is bounded, and what is urgent does not stand
/// in line behind it.
#[test]
fn r_link_6_nothing_fresh_waits_behind_the_stale() {
    let mut client_config = Config::client();
    client_config.transport.send_buffer = 16 << 20;
    let mut pair = LinkPair::with(9, client_config, Config::public_server(identity("server")));
    pair.links_are(ordinary().buffer(32 << 10));
    let (client, server) = pair.connected();
    pair.run(Duration::from_secs(1));
    pair.stall(CLIENT, 0, true);
    let bulk = StreamOptions { priority: 7, ..StreamOptions::one_way(Order::Bytes) };
    let bulk = pair.open(CLIENT, client, bulk);
    pair.send(CLIENT, client, bulk, vec![7; 8 << 20]);
    pair.run(Duration::from_secs(2));
    let written: usize = pair.packets(CLIENT).iter().map(|(_, size)| size + 2).sum();
    assert!(written < (65 << 10) + 8_192 + 1_000, "{written} bytes were handed out");
    let urgent = StreamOptions { priority: 0, ..StreamOptions::one_way(Order::Ordered) };
    let urgent = pair.open(CLIENT, client, urgent);
    pair.send(CLIENT, client, urgent, message(1, 10));
    pair.stall(CLIENT, 0, false);
    let mut before = 0;
    while pair.receive(SERVER, server, urgent).is_empty() {
        before += pair.receive(SERVER, server, bulk).iter().map(Vec::len).sum::<usize>();
        assert!(pair.step());
    }
    assert!(before < 3 * (64 << 10), "{before} bytes of the stale came first");
    assert!(pair.machine(CLIENT).stats().waiting_max < tripline::LINK_BUFFER + 8_192 + 2);
    assert_eq!(pair.machine(CLIENT).stats().dropped, 0);
}

/// R-LINK-6: a peer that asks and never reads gets so much and no more.
#[test]
fn r_link_6_answers_to_who_does_not_read_are_bounded() {
    let mut pair = LinkPair::new(10);
    pair.links_are(ordinary().buffer(0));
    let key = pair.machine(SERVER).endpoint().public_key().unwrap();
    let link = pair.link(0);
    let mut bytes = Vec::new();
    pair.with_links(CLIENT, |links, now| {
        for _ in 0..2_000 {
            links.connect(now, link, ConnectOptions::to(key)).unwrap();
            let mut out = Vec::new();
            while links.poll_write(now, link, &mut out) {
                bytes.append(&mut out);
            }
        }
    });
    pair.with_links(SERVER, |links, now| links.handle_bytes(now, link, &bytes)).unwrap();
    assert_eq!(pair.counters(SERVER, 0).taken, 0);
    let stats = pair.machine(SERVER).stats();
    assert!(stats.waiting_max <= (80 << 10) + 600, "{stats:?}");
    assert!(stats.dropped > 0 || pair.machine(SERVER).endpoint().stats().drops.at_bound > 0);
}

/// Many megabytes both ways over many streams, of any order, through a small pipe that cuts
/// anywhere: each message once, unchanged, and none twice on the wire.
#[test]
fn ten_megabytes_both_ways_over_many_streams() {
    const STREAMS: usize = 64;
    const LEN: usize = 160_000;
    let mut pair = LinkPair::new(11);
    pair.links_are(ordinary().delay(Duration::from_millis(2)));
    let (client, server) = pair.connected();
    let began = pair.now();
    for (side, connection) in [(CLIENT, client), (SERVER, server)] {
        for number in 0..STREAMS {
            let order = if number % 2 == 0 { Order::Ordered } else { Order::Unordered };
            let stream = pair.open(side, connection, StreamOptions::one_way(order));
            pair.send(side, connection, stream, message(number, LEN));
        }
    }
    let mut seen = [0; 2];
    let mut got = [Vec::new(), Vec::new()];
    while got[0].len() + got[1].len() < 2 * STREAMS {
        assert!(pair.now() - began < Duration::from_secs(100) && pair.step());
        for (side, connection) in [(CLIENT, client), (SERVER, server)] {
            let new = pair.events[side][seen[side]..].to_vec();
            seen[side] = pair.events[side].len();
            for event in new {
                if let Event::Readable { stream, .. } = event {
                    got[side].extend(pair.receive(side, connection, stream));
                }
            }
        }
    }
    for side in &mut got {
        side.sort();
        assert!((0..STREAMS).all(|number| side[number] == message(number, LEN)));
    }
    pair.run(Duration::from_secs(1));
    for (side, connection) in [(CLIENT, client), (SERVER, server)] {
        let stats = pair.call(side, |e, _| e.connection_stats(connection)).unwrap();
        assert_eq!((stats.packets_lost, stats.retransmissions), (0, 0));
        assert!(stats.bytes_sent < 10_900_000, "{}", stats.bytes_sent);
    }
}
