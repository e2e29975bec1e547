//! Reliable links (PROTOCOL.md §8): the packets of §2 over streams of bytes.

mod resume;
mod rig;
mod stream_machine;

use rig::{CLIENT, Cut, Rig, SERVER};
use tripline::{
    Config, ConnectOptions, ConnectionHandle, Event, Fate, LinkEnd, LinkId, Order, StreamId,
    StreamOptions,
};
use tripline_sansio::{DatagramMachine, Duration, Ecn, Path};
use tripline_tests::identity;

/// The message of this number, so long and recognisable.
fn message(number: usize, len: usize) -> Vec<u8> {
    let mut data = number.to_be_bytes().to_vec();
    data.extend((0..len).map(|at| (at * 31 + number * 7) as u8));
    data
}

/// Waits until a side has received so many messages, of whatever streams.
fn collect(
    rig: &mut Rig,
    side: usize,
    connection: ConnectionHandle,
    count: usize,
) -> Vec<(StreamId, Vec<u8>)> {
    let (mut all, mut seen) = (Vec::new(), 0);
    let limit = rig.now + Duration::from_secs(600);
    while all.len() < count {
        let new = rig.events[side][seen..].to_vec();
        seen = rig.events[side].len();
        for event in new {
            if let Event::Readable { connection: at, stream } = event
                && at == connection
            {
                all.extend(rig.receive(side, at, stream).into_iter().map(|data| (stream, data)));
            }
        }
        rig.drain();
        if all.len() < count && seen == rig.events[side].len() {
            assert!(rig.now < limit && rig.step(), "{} of {count} messages", all.len());
        }
    }
    all
}

/// What both sides saw of a session, and what the server received.
type Seen = ([Vec<Event>; 2], Vec<(StreamId, Vec<u8>)>);

/// What a session of many kinds of streams looks like to both sides.
fn session(seed: u64, cut: Cut, eager: bool) -> Seen {
    let mut rig = Rig::new(seed);
    (rig.cut, rig.eager, rig.capacity) = (cut, eager, 1 << 20);
    let (client, server) = rig.connected();
    let orders = [Order::Ordered, Order::Unordered, Order::Bytes, Order::Latest];
    for (number, order) in orders.into_iter().enumerate() {
        let stream = rig.open(CLIENT, client, StreamOptions::two_way(order));
        rig.send(CLIENT, client, stream, message(number, 3_000 * number + 1));
        rig.call(CLIENT, |e, now| e.finish(now, client, stream)).unwrap();
    }
    let got = collect(&mut rig, SERVER, server, 4);
    let (stream, _) = got[0];
    rig.send(SERVER, server, stream, message(9, 20_000));
    collect(&mut rig, CLIENT, client, 1);
    rig.call(CLIENT, |e, now| {
        e.close(now, client, Duration::from_secs(1), tripline::Code::NONE, "")
    })
    .unwrap();
    rig.wait(CLIENT, |event| matches!(event, Event::Drained { .. }).then_some(()));
    rig.wait(SERVER, |event| matches!(event, Event::Drained { .. }).then_some(()));
    (std::mem::take(&mut rig.events), got)
}

/// R-LINK-1: however the bytes are cut on the way, both sides see the same.
#[test]
fn r_link_1_segmentation_shows_nowhere() {
    let whole = session(1, Cut::Whole, false);
    for (cut, eager) in [
        (Cut::Bytes, false),
        (Cut::Random, false),
        (Cut::Whole, true),
        (Cut::Bytes, true),
        (Cut::Random, true),
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
        let mut rig = Rig::new(2);
        let (client, server) = rig.connected();
        assert_eq!(rig.inject(SERVER, 0, bytes), Err(end));
        assert_eq!(rig.inject(SERVER, 0, bytes), Err(LinkEnd::Unknown), "it has ended");
        assert_eq!(rig.sides[SERVER].stats().ended, 1);
        let unlinked = |event: &Event| matches!(event, Event::Unlinked { .. });
        assert!(rig.events[SERVER].iter().any(unlinked));
        rig.notice_break(CLIENT, 0);
        rig.resume(client, 1);
        let stream = rig.open(CLIENT, client, StreamOptions::one_way(Order::Ordered));
        rig.send(CLIENT, client, stream, message(1, 10));
        assert_eq!(collect(&mut rig, SERVER, server, 1), [(stream, message(1, 10))]);
    }
}

/// T57, R-LINK-1, R-WIRE-4: a packet of the reserved kind is no garbage: it is dropped, and the
/// link and its connection go on.
#[test]
fn t57_a_reserved_packet_ends_no_link() {
    let mut rig = Rig::new(2);
    let (client, server) = rig.connected();
    for side in [CLIENT, SERVER] {
        let before = rig.sides[side].endpoint().stats().drops;
        assert_eq!(rig.inject(side, 0, &[0, 1, 7]), Ok(()));
        assert_eq!(rig.inject(side, 0, &[0, 5, 7, 1, 2, 3, 4]), Ok(()));
        let drops = rig.sides[side].endpoint().stats().drops;
        assert_eq!(drops.unsupported - before.unsupported, 2);
        assert_eq!(drops.malformed, before.malformed);
    }
    let stream = rig.open(CLIENT, client, StreamOptions::one_way(Order::Ordered));
    rig.send(CLIENT, client, stream, message(1, 10));
    assert_eq!(collect(&mut rig, SERVER, server, 1), [(stream, message(1, 10))]);
}

/// R-LINK-1: so does DATA for a live connection with a byte changed; DATA for one that is gone does
/// not, as it may be late.
#[test]
fn r_link_1_data_must_verify() {
    let mut rig = Rig::new(3);
    let (client, _) = rig.connected();
    let tape = captured(&mut rig, client);
    for (changed, end) in [(None, Ok(())), (Some(12), Err(LinkEnd::Packet)), (Some(4), Ok(()))] {
        let mut rig = Rig::new(3);
        rig.connected();
        let mut bytes = tape.clone();
        if let Some(at) = changed {
            bytes[at] ^= 1;
        }
        assert_eq!(rig.inject(SERVER, 0, &bytes), end, "byte {changed:?}");
    }
}

/// The bytes of a link that the client writes for one message.
fn captured(rig: &mut Rig, client: ConnectionHandle) -> Vec<u8> {
    rig.run(Duration::from_secs(1));
    let stream = rig.open(CLIENT, client, StreamOptions::one_way(Order::Ordered));
    rig.send(CLIENT, client, stream, message(1, 10));
    let mut bytes = Vec::new();
    let now = rig.now;
    assert!(rig.sides[CLIENT].poll_write(now, LinkId::new(0), &mut bytes));
    bytes
}

/// R-LINK-2: only a link speaks for itself: a datagram that claims to come from one is dropped.
#[test]
fn r_link_2_no_datagram_comes_from_a_link() {
    let mut rig = Rig::new(3);
    let (client, _) = rig.connected();
    let mut bytes = captured(&mut rig, client);
    let dropped = rig.sides[SERVER].endpoint().stats().drops.malformed;
    let path = Path::to(LinkId::new(0).address());
    let now = rig.now;
    rig.sides[SERVER].handle_datagram(now, path, Ecn::NotEct, &mut bytes[2..]);
    assert_eq!(rig.sides[SERVER].endpoint().stats().drops.malformed, dropped + 1);
    assert!(!rig.events[SERVER].iter().any(|event| matches!(event, Event::Opened { .. })));
}

/// R-LINK-3: nothing of what datagrams need: one OPEN, not padded; no RETRY; packets that are never
/// filled up; no window, no pacing, no marks and no search for an MTU.
#[test]
fn r_link_3_nothing_of_datagrams() {
    let mut rig = Rig::new(4);
    rig.delay = Duration::from_millis(300);
    let (client, server) = rig.connected();
    let stream = rig.open(CLIENT, client, StreamOptions::one_way(Order::Bytes));
    rig.send(CLIENT, client, stream, vec![7; 500_000]);
    let before = rig.now;
    let mut got = 0;
    while got < 500_000 {
        assert!(rig.step());
        got += rig.receive(SERVER, server, stream).iter().map(Vec::len).sum::<usize>();
    }
    // 64 KiB are on their way at once: eight one-way trips and the turns of the pipe's capacity.
    assert!(rig.now - before < Duration::from_secs(6), "no slow start: {:?}", rig.now - before);
    rig.run(Duration::from_secs(20));
    let [client_packets, server_packets] = &rig.packets;
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
        let stats = rig.call(side, |e, _| e.connection_stats(connection)).unwrap();
        assert_eq!((stats.pacing_waits, stats.packets_lost, stats.retransmissions), (0, 0, 0));
        assert_eq!((stats.datagram_size, stats.bytes_in_flight, stats.probes), (8_192, 0, 0));
    }
    let changed = |event: &Event| matches!(event, Event::UmtuChanged { .. });
    assert!(!rig.events.iter().flatten().any(changed));
}

/// R-LINK-5: an ACK every 64 packets or 25 ms, and none for gaps or PINGs besides.
#[test]
fn r_link_5_acks_are_few() {
    let mut config = Config::public_server(identity("server"));
    config.transport.stream_credit = 16 << 20;
    let mut client_config = Config::client();
    client_config.transport.send_buffer = 8 << 20;
    let mut rig = Rig::with(5, client_config, config);
    (rig.delay, rig.capacity) = (Duration::from_micros(10), 64 << 10);
    let (client, server) = rig.connected();
    let stream = rig.open(CLIENT, client, StreamOptions::one_way(Order::Bytes));
    let (sent, acks) = (rig.packets[CLIENT].len(), rig.packets[SERVER].len());
    rig.send(CLIENT, client, stream, vec![7; 8 << 20]);
    rig.run(Duration::from_millis(24));
    let got: usize = rig.receive(SERVER, server, stream).iter().map(Vec::len).sum();
    assert_eq!(got, 8 << 20);
    let (sent, acks) = (rig.packets[CLIENT].len() - sent, rig.packets[SERVER].len() - acks);
    assert!(sent >= 1_024, "{sent}");
    assert!((sent / 64 - 2..=sent / 64 + 2).contains(&acks), "{acks} for {sent} packets");
    rig.run(Duration::from_millis(30));
    let told = |event: &Event| matches!(event, Event::Message { fate: Fate::Acked, .. });
    assert!(rig.events[CLIENT].iter().any(told), "the rest within 25 ms");
}

/// R-LINK-5: while a link lives nothing on it is lost, however long it takes: a stall of 20 s
/// brings PINGs, and nothing twice. The user hears that the peer is quiet.
#[test]
fn r_link_5_silence_loses_nothing() {
    let mut rig = Rig::new(6);
    let (client, server) = rig.connected();
    rig.run(Duration::from_secs(1));
    rig.stall(CLIENT, 0, true);
    let stream = rig.open(CLIENT, client, StreamOptions::one_way(Order::Ordered));
    let before = rig.packets[CLIENT].len();
    for number in 0..5 {
        rig.send(CLIENT, client, stream, message(number, 100));
    }
    rig.run(Duration::from_secs(20));
    let sent = &rig.packets[CLIENT][before..];
    assert!((3..=9).contains(&sent.len()), "PINGs from 3 s on: {sent:?}");
    assert!(rig.events[CLIENT].iter().any(|event| matches!(event, Event::Quiet { .. })));
    rig.stall(CLIENT, 0, false);
    let got = collect(&mut rig, SERVER, server, 5);
    assert_eq!(got.len(), 5);
    rig.run(Duration::from_secs(5));
    let stats = rig.call(CLIENT, |e, _| e.connection_stats(client)).unwrap();
    assert_eq!((stats.packets_lost, stats.retransmissions), (0, 0));
}

/// Liveness stays (R-CLOSE-2): who is not heard any more is lost by the idle limit.
#[test]
fn r_link_5_liveness_stays() {
    let mut rig = Rig::new(7);
    rig.connected();
    rig.stall(SERVER, 0, true);
    rig.run(Duration::from_secs(31));
    assert!(rig.events[CLIENT].iter().any(|event| matches!(event, Event::Lost { .. })));
}

/// R-LINK-6: what waits for a link that takes nothing is bounded, and what is urgent does not stand
/// in line behind it.
#[test]
fn r_link_6_nothing_fresh_waits_behind_the_stale() {
    let mut client_config = Config::client();
    client_config.transport.send_buffer = 16 << 20;
    let mut rig = Rig::with(9, client_config, Config::public_server(identity("server")));
    rig.capacity = 32 << 10;
    let (client, server) = rig.connected();
    rig.run(Duration::from_secs(1));
    rig.stall(CLIENT, 0, true);
    let bulk = StreamOptions { priority: 7, ..StreamOptions::one_way(Order::Bytes) };
    let bulk = rig.open(CLIENT, client, bulk);
    rig.send(CLIENT, client, bulk, vec![7; 8 << 20]);
    rig.run(Duration::from_secs(2));
    let written: usize = rig.packets[CLIENT].iter().map(|(_, size)| size + 2).sum();
    assert!(written < (65 << 10) + 8_192 + 1_000, "{written} bytes were handed out");
    let urgent = StreamOptions { priority: 0, ..StreamOptions::one_way(Order::Ordered) };
    let urgent = rig.open(CLIENT, client, urgent);
    rig.send(CLIENT, client, urgent, message(1, 10));
    rig.stall(CLIENT, 0, false);
    let mut before = 0;
    while rig.receive(SERVER, server, urgent).is_empty() {
        before += rig.receive(SERVER, server, bulk).iter().map(Vec::len).sum::<usize>();
        assert!(rig.step());
    }
    assert!(before < 3 * (64 << 10), "{before} bytes of the stale came first");
    assert!(rig.sides[CLIENT].stats().waiting_max < tripline::LINK_BUFFER + 8_192 + 2);
    assert_eq!(rig.sides[CLIENT].stats().dropped, 0);
}

/// R-LINK-6: a peer that asks and never reads gets so much and no more.
#[test]
fn r_link_6_answers_to_who_does_not_read_are_bounded() {
    let mut rig = Rig::new(10);
    rig.capacity = 0;
    let key = rig.sides[SERVER].endpoint().public_key().unwrap();
    let link = rig.link(0);
    let now = rig.now;
    let mut bytes = Vec::new();
    for _ in 0..2_000 {
        let options = ConnectOptions::to(key);
        rig.sides[CLIENT].connect(now, link, options).unwrap();
        let mut out = Vec::new();
        while rig.sides[CLIENT].poll_write(now, link, &mut out) {
            bytes.append(&mut out);
        }
    }
    rig.sides[SERVER].handle_bytes(now, link, &bytes).unwrap();
    assert!(rig.sides[SERVER].poll_ready(now).is_some());
    let stats = rig.sides[SERVER].stats();
    assert!(stats.waiting_max <= (80 << 10) + 600, "{stats:?}");
    assert!(stats.dropped > 0 || rig.sides[SERVER].endpoint().stats().drops.at_bound > 0);
}

/// Many megabytes both ways over many streams, of any order, through a small pipe that cuts
/// anywhere: each message once, unchanged, and none twice on the wire.
#[test]
fn ten_megabytes_both_ways_over_many_streams() {
    const STREAMS: usize = 64;
    const LEN: usize = 160_000;
    let mut rig = Rig::new(11);
    rig.delay = Duration::from_millis(2);
    let (client, server) = rig.connected();
    let began = rig.now;
    for (side, connection) in [(CLIENT, client), (SERVER, server)] {
        for number in 0..STREAMS {
            let order = if number % 2 == 0 { Order::Ordered } else { Order::Unordered };
            let stream = rig.open(side, connection, StreamOptions::one_way(order));
            rig.send(side, connection, stream, message(number, LEN));
        }
    }
    let mut seen = [0; 2];
    let mut got = [Vec::new(), Vec::new()];
    while got[0].len() + got[1].len() < 2 * STREAMS {
        assert!(rig.now - began < Duration::from_secs(100) && rig.step());
        for (side, connection) in [(CLIENT, client), (SERVER, server)] {
            let new = rig.events[side][seen[side]..].to_vec();
            seen[side] = rig.events[side].len();
            for event in new {
                if let Event::Readable { stream, .. } = event {
                    got[side].extend(rig.receive(side, connection, stream));
                }
            }
        }
    }
    for side in &mut got {
        side.sort();
        assert!((0..STREAMS).all(|number| side[number] == message(number, LEN)));
    }
    rig.run(Duration::from_secs(1));
    for (side, connection) in [(CLIENT, client), (SERVER, server)] {
        let stats = rig.call(side, |e, _| e.connection_stats(connection)).unwrap();
        assert_eq!((stats.packets_lost, stats.retransmissions), (0, 0));
        assert!(stats.bytes_sent < 10_900_000, "{}", stats.bytes_sent);
    }
}
