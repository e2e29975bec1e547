//! The table of PROTOCOL.md §10.4, cell by cell: what becomes of each kind of frame when its packet
//! is lost, repeated, late or overtaken. The honest side is a server, the other one the test.

use tripline::{
    Code, Config, Event, Fate, Order, ReceiveResult, SendOptions, State, StreamId, StreamOptions,
};
use tripline_sansio::Duration;
use tripline_tests::frames::{self, Frame, kind, varints};
use tripline_tests::{Hostile, Side, identity};

/// The client's first one-way stream of messages in order.
const STREAM: u64 = 0b0110;

fn stream() -> StreamId {
    StreamId::from_number(STREAM).unwrap()
}

fn of_kind(frames: &[Frame], kind: u64) -> Vec<Vec<u64>> {
    frames.iter().filter(|frame| frame.kind == kind).map(|frame| frame.fields.clone()).collect()
}

/// What the server's user can read of the client's stream now.
fn drain(peer: &mut Hostile) -> Vec<ReceiveResult> {
    let connection = peer.connection;
    peer.pair.drain(Side::Server, connection, stream())
}

/// A two-way stream of the server's, with a message that the client has heard of or not.
fn server_sends(peer: &mut Hostile, message: &[u8]) -> StreamId {
    let connection = peer.connection;
    let id = peer.pair.open(Side::Server, connection, StreamOptions::two_way(Order::Ordered));
    peer.pair.send(Side::Server, connection, id, message);
    id
}

fn fates(events: &[Event]) -> Vec<Fate> {
    let all = events.iter().filter_map(|event| match event {
        Event::Message { fate, .. } => Some(*fate),
        _ => None,
    });
    all.collect()
}

// ---- any frame ----

/// Any frame, late: a number below the largest is taken once and acknowledged at once; repeated, it
/// is dropped.
#[test]
pub(crate) fn r_packet_any_late_and_repeated() {
    let mut peer = Hostile::client(1);
    let number = peer.next_number();
    let packets = [number, number + 1].map(|_| peer.seal(&frames::stream(STREAM, 0, &[1, b'x'])));
    peer.pair.deliver(Side::Server, &packets[1]);
    assert!(peer.read_kind(kind::ACK).len() == 1, "at once, for the gap");
    peer.pair.deliver(Side::Server, &packets[0]);
    let acks = peer.read_kind(kind::ACK);
    assert_eq!(acks[0].fields[..1], [number + 1]);
    assert!(acks[0].fields[2] >= 1, "both, at once: {acks:?}");
    let before = peer.stats();
    for packet in &packets {
        peer.pair.deliver(Side::Server, packet);
    }
    let after = peer.stats();
    assert_eq!(after.drops.replayed - before.drops.replayed, 2);
    assert_eq!(after.packets_received, before.packets_received);
}

// ---- ACK ----

/// ACK, lost: the next one says more: one that tells all is enough.
#[test]
pub(crate) fn r_packet_ack_lost() {
    let mut peer = Hostile::client(1);
    server_sends(&mut peer, &[1; 5_000]);
    peer.read();
    peer.acknowledge();
    assert_eq!(fates(&peer.events()), [Fate::Acked]);
}

/// ACK, repeated: its ranges have their effect once.
#[test]
pub(crate) fn r_packet_ack_repeated() {
    let mut peer = Hostile::client(1);
    server_sends(&mut peer, &[1; 5_000]);
    peer.read();
    for _ in 0..3 {
        peer.acknowledge();
    }
    assert_eq!(fates(&peer.events()), [Fate::Acked]);
    let stats = peer.stats();
    assert_eq!((stats.packets_lost, stats.packets_spurious), (0, 0));
}

/// ACK, late: of a packet that was declared lost it is *spurious*, and counted once; the frames of
/// that packet are in another one by now, and its ACK settles them.
#[test]
pub(crate) fn r_packet_ack_late() {
    let mut peer = Hostile::client(1);
    server_sends(&mut peer, b"one packet");
    let number = peer.read_numbers()[0];
    peer.lose();
    assert_eq!(peer.stats().packets_lost, 1);
    for _ in 0..2 {
        peer.write(&frames::ack([number]));
        assert_eq!(peer.stats().packets_spurious, 1);
    }
    assert!(fates(&peer.events()).is_empty());
    peer.read();
    peer.acknowledge();
    assert_eq!(fates(&peer.events()), [Fate::Acked]);
}

// ---- PING, PONG ----

/// PING, lost: it comes again with the same token while its PONG is waited for; repeated, each gets
/// the PONG of its token.
#[test]
pub(crate) fn r_packet_ping_lost_and_repeated() {
    let mut server = Config::public_server(identity("server"));
    server.transport.keep_alive = Duration::from_secs(2);
    let mut peer = Hostile::client_of(1, server);
    let pings = loop {
        peer.run(Duration::from_millis(1));
        let pings = of_kind(&peer.read(), kind::PING);
        if !pings.is_empty() {
            break pings;
        }
    };
    peer.lose();
    assert_eq!(of_kind(&peer.read(), kind::PING), pings, "the same token");
    peer.write(&frames::pong(pings[0][0]));
    peer.lose();
    assert!(of_kind(&peer.read(), kind::PING).is_empty(), "nobody waits any more");

    for _ in 0..2 {
        peer.write(&frames::ping(77, false));
        assert_eq!(of_kind(&peer.read(), kind::PONG), [[77]]);
    }
}

/// PONG, lost: it is not sent again; repeated, it counts once, and then as one nobody waits for.
#[test]
pub(crate) fn r_packet_pong_lost_and_repeated() {
    let mut server = Config::public_server(identity("server"));
    server.transport.keep_alive = Duration::from_secs(2);
    let mut peer = Hostile::client_of(1, server);
    peer.write(&frames::ping(77, false));
    assert_eq!(of_kind(&peer.read(), kind::PONG), [[77]]);
    peer.lose();
    peer.run(Duration::from_millis(1_500));
    assert!(!of_kind(&peer.read(), kind::PONG).contains(&vec![77]));
    peer.run(Duration::from_secs(2));
    let token = of_kind(&peer.read(), kind::PING)[0][0];
    let strays: Vec<u64> = (0..3)
        .map(|_| {
            peer.write(&frames::pong(token));
            peer.stats().stray_pongs
        })
        .collect();
    assert_eq!(strays, [0, 1, 2]);
}

// ---- STREAM ----

/// STREAM, lost: its bytes come again until they are acknowledged.
#[test]
pub(crate) fn r_packet_stream_lost() {
    let mut peer = Hostile::client(1);
    let id = server_sends(&mut peer, b"hello");
    for _ in 0..3 {
        let sent = peer.read();
        let again: Vec<&Frame> = sent.iter().filter(|one| one.data == b"\x05hello").collect();
        assert_eq!(again.len(), 1, "{sent:?}");
        assert_eq!(again[0].fields[0], id.number());
        peer.lose();
    }
    peer.read();
    peer.acknowledge();
    peer.run(Duration::from_secs(3));
    assert!(peer.read().iter().all(|one| one.data.is_empty()), "it is settled");
    assert_eq!(fates(&peer.events()), [Fate::Acked]);
}

/// STREAM, repeated: bytes that are there are compared and ignored: delivered once; so are bytes of
/// a stream that ended, by fin, STOP or CLOSE_STREAM.
#[test]
pub(crate) fn r_packet_stream_repeated() {
    let mut peer = Hostile::client(1);
    let first = frames::stream(STREAM, 0, &[3, b'o', b'n', b'e']);
    let aligned = |offset: u64, fin: u64, text: &[u8]| {
        let mut bytes = varints(&[0x1b | fin, STREAM, offset, text.len() as u64]);
        bytes.extend_from_slice(text);
        bytes
    };
    for _ in 0..3 {
        peer.write(&aligned(0, 0, &[3, b'o', b'n', b'e']));
        peer.write(&first);
    }
    assert_eq!(drain(&mut peer), [ReceiveResult::Data("one".into())]);
    for _ in 0..2 {
        peer.write(&first);
        peer.write(&aligned(4, 4, &[3, b't', b'w', b'o']));
    }
    let end = [ReceiveResult::Data("two".into()), ReceiveResult::Finished];
    assert_eq!(drain(&mut peer), end);
    peer.events();
    peer.write(&first);
    peer.write(&aligned(4, 4, &[3, b't', b'w', b'o']));
    assert!(peer.events().is_empty(), "the stream is closed: late frames are ignored");
    assert_eq!(peer.state(), Some(State::Ready));
    // Another byte at an offset that is no longer held is not compared (R-MSG-3).
    peer.write(&frames::stream(STREAM, 0, &[3, b'O', b'N', b'E']));
    assert_eq!(peer.state(), Some(State::Ready));
}

/// STREAM, late, on a stopped stream: consumed and dropped.
#[test]
pub(crate) fn r_packet_stream_late_on_a_stopped_stream() {
    let mut peer = Hostile::client(1);
    peer.write(&frames::stream(STREAM, 0, b"\x03o"));
    let connection = peer.connection;
    peer.pair.call(Side::Server, |e, now| e.stop(now, connection, stream(), Code::NONE)).unwrap();
    peer.events();
    peer.write(&frames::stream(STREAM, 2, b"ne"));
    peer.write(&frames::stream(STREAM, 0, b"\x03o"));
    assert!(peer.events().is_empty());
    assert_eq!(peer.state(), Some(State::Ready));
}

// ---- SKIP ----

/// SKIP, repeated and early: what is consumed is not consumed twice, and STREAM frames that come
/// behind the SKIP which names them are ignored.
#[test]
pub(crate) fn r_packet_skip_repeated_and_early() {
    let mut server = Config::public_server(identity("server"));
    server.transport.message_max = 1_000;
    server.transport.stream_credit = 4_000;
    let mut peer = Hostile::client_of(1, server);
    let skip = varints(&[kind::SKIP, STREAM, 1, 0, 2_000]);
    peer.write(&skip);
    let granted = of_kind(&peer.read(), kind::STREAM_CREDIT);
    assert_eq!(granted, [[STREAM, 6_000]]);
    for _ in 0..3 {
        peer.write(&skip);
        peer.write(&frames::stream(STREAM, 100, &[7; 900]));
    }
    assert!(of_kind(&peer.read(), kind::STREAM_CREDIT).is_empty(), "consumed once");
    peer.write(&[varints(&[0x1b, STREAM, 2_000, 2]), vec![1, b'x']].concat());
    assert_eq!(drain(&mut peer), [ReceiveResult::Data("x".into())], "order moved on");
}

/// SKIP, lost: it comes again.
#[test]
pub(crate) fn r_packet_skip_lost() {
    let mut peer = Hostile::client(1);
    let connection = peer.connection;
    let id = peer.pair.open(Side::Server, connection, StreamOptions::one_way(Order::Ordered));
    let options =
        SendOptions { expires_after: Some(Duration::from_millis(200)), ..SendOptions::default() };
    peer.pair
        .call(Side::Server, |e, now| e.send(now, connection, id, "too late", options))
        .unwrap();
    peer.run(Duration::from_millis(300));
    let skips = of_kind(&peer.read(), kind::SKIP);
    assert_eq!(skips, [[id.number(), 1, 0, 9]]);
    peer.lose();
    assert_eq!(of_kind(&peer.read(), kind::SKIP), skips);
    assert_eq!(fates(&peer.events()), [Fate::Expired]);
}

// ---- CLOSE_STREAM, STOP ----

/// CLOSE_STREAM and STOP, lost: each comes again.
#[test]
pub(crate) fn r_packet_close_stream_and_stop_lost() {
    let mut peer = Hostile::client(1);
    let id = server_sends(&mut peer, b"hello");
    let connection = peer.connection;
    peer.pair
        .call(Side::Server, |e, now| e.close_stream(now, connection, id, Code::application(1)))
        .unwrap();
    peer.pair
        .call(Side::Server, |e, now| e.stop(now, connection, id, Code::application(2)))
        .unwrap();
    for _ in 0..3 {
        let sent = peer.read();
        assert_eq!(of_kind(&sent, kind::CLOSE_STREAM), [[id.number(), 0x101, 6]]);
        assert_eq!(of_kind(&sent, kind::STOP), [[id.number(), 0x102]]);
        peer.lose();
    }
}

/// CLOSE_STREAM and STOP, repeated: the first counts, whatever code the next one has.
#[test]
pub(crate) fn r_packet_close_stream_and_stop_repeated() {
    let mut peer = Hostile::client(1);
    let id = server_sends(&mut peer, b"hello");
    for code in [0x101, 0x102] {
        peer.write(&varints(&[kind::CLOSE_STREAM, STREAM, code, 0]));
        peer.write(&varints(&[kind::STOP, id.number(), code]));
    }
    assert_eq!(drain(&mut peer), [ReceiveResult::Closed(Code::application(1))]);
    let stopped: Vec<Event> =
        peer.events().into_iter().filter(|e| matches!(e, Event::Stopped { .. })).collect();
    let (connection, code) = (peer.connection, Code::application(1));
    assert_eq!(stopped, [Event::Stopped { connection, stream: id, code }]);
    let closes = of_kind(&peer.read(), kind::CLOSE_STREAM);
    assert_eq!(closes, [[id.number(), 0x101, 6]], "R-STREAM-2a: with the same code");
}

// ---- credit ----

/// CREDIT, STREAM_CREDIT and STREAMS, lost: the newest value comes again.
#[test]
pub(crate) fn r_packet_grants_lost() {
    let mut server = Config::public_server(identity("server"));
    server.transport.message_max = 1_000;
    server.transport.stream_credit = 4_000;
    server.transport.connection_credit = 4_000;
    server.transport.one_way_streams = 1;
    let mut peer = Hostile::client_of(1, server);
    peer.write(&varints(&[kind::SKIP, STREAM, 1, 0, 2_000]));
    let sent = peer.read();
    assert_eq!(of_kind(&sent, kind::CREDIT), [[6_000]]);
    assert_eq!(of_kind(&sent, kind::STREAM_CREDIT), [[STREAM, 6_000]]);
    // By the time the loss is noticed there is more to grant.
    peer.write(&varints(&[kind::SKIP, STREAM, 1, 2_000, 300]));
    peer.lose();
    let sent = peer.read();
    assert_eq!(of_kind(&sent, kind::CREDIT), [[6_300]]);
    assert_eq!(of_kind(&sent, kind::STREAM_CREDIT), [[STREAM, 6_300]]);
    peer.write(&varints(&[kind::CLOSE_STREAM, STREAM, 7, 2_300]));
    drain(&mut peer);
    peer.run(Duration::from_millis(100));
    assert_eq!(of_kind(&peer.read(), kind::STREAMS_ONE_WAY), [[2]]);
    peer.lose();
    assert_eq!(of_kind(&peer.read(), kind::STREAMS_ONE_WAY), [[2]]);
}

/// STREAM_CREDIT and STREAMS, late: a smaller one takes nothing back. (CREDIT: R-CREDIT-2.)
#[test]
pub(crate) fn r_packet_grants_late() {
    let mut peer = Hostile::client(1);
    let id = server_sends(&mut peer, b"hello");
    let late = peer.next_number();
    let grants = |bytes: u64, streams: u64| {
        let stream = varints(&[kind::STREAM_CREDIT, id.number(), bytes]);
        [stream, varints(&[kind::STREAMS_TWO_WAY, streams])].concat()
    };
    peer.write_numbered(late + 1, &grants(9_000_000, 5_000));
    peer.write_numbered(late, &grants(1, 1));
    assert_eq!(peer.state(), Some(State::Ready));
    let connection = peer.connection;
    for _ in 1..5_000 {
        peer.pair.open(Side::Server, connection, StreamOptions::two_way(Order::Ordered));
    }
    peer.pair.send(Side::Server, connection, id, &[1; 60_000]);
    let mut most = 0;
    for _ in 0..20 {
        let sent = peer.read();
        let ends = sent.iter().filter(|one| one.kind & !0xf == kind::STREAM);
        most = ends.map(|one| one.fields[1] + one.data.len() as u64).max().unwrap_or(0).max(most);
        peer.acknowledge();
        // What is paced takes its time.
        peer.run(Duration::from_millis(10));
    }
    assert!(most > 60_000, "{most}");
}

// ---- BLOCKED ----

/// BLOCKED: it comes again while it is still so; of the peer it has no effect and gets no answer
/// but an ACK.
#[test]
pub(crate) fn r_packet_blocked() {
    let mut peer = Hostile::client(1);
    let connection = peer.connection;
    let limit = loop {
        let options = StreamOptions::one_way(Order::Ordered);
        let opened = peer.pair.call(Side::Server, |e, now| e.open(now, connection, options));
        if let Err(tripline::OpenError::Limit { limit }) = opened {
            break limit;
        }
    };
    assert_eq!(of_kind(&peer.read(), kind::BLOCKED), [[3, limit]]);
    peer.lose();
    assert_eq!(of_kind(&peer.read(), kind::BLOCKED), [[3, limit]]);
    peer.write(&varints(&[kind::STREAMS_ONE_WAY, limit + 1]));
    peer.lose();
    assert!(of_kind(&peer.read(), kind::BLOCKED).is_empty(), "it is not so any more");

    let mut peer = Hostile::client(1);
    for _ in 0..4 {
        peer.write(&[varints(&[kind::BLOCKED, 0, 5]), varints(&[kind::BLOCKED, 2, 5])].concat());
    }
    peer.run(Duration::from_secs(1));
    let sent = peer.read();
    assert!(sent.iter().all(|frame| frame.kind == kind::ACK), "{sent:?}");
    assert!(peer.events().is_empty());
}
