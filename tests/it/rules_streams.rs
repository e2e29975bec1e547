//! Rules about streams and credit that only a peer with the keys can break, one by one
//! (PROTOCOL.md §4, §11): each is broken by the smallest step, and kept one step before that.

use tripline::{
    Code, Config, Event, LostCause, Order, ReceiveResult, State, StreamId, StreamOptions,
};
use tripline_sansio::Duration;
use tripline_tests::frames::{self, kind, varints};
use tripline_tests::{Hostile, Side, identity};

/// The client's one-way stream of this order with this index.
fn one_way(index: u64, order: Order) -> u64 {
    let side = tripline::Side::Client;
    StreamId::new(index, order, tripline::Direction::OneWay, side).unwrap().number()
}

/// The same, two-way.
fn two_way(index: u64, order: Order) -> u64 {
    one_way(index, order) & !0b10
}

/// The same stream, opened by the server.
fn of_server(id: u64) -> u64 {
    id | 1
}

fn server(change: impl FnOnce(&mut tripline::TransportConfig)) -> Config {
    let mut config = Config::public_server(identity("server"));
    change(&mut config.transport);
    config
}

/// A hostile client of a server that grants 2,000 bytes a stream, 3,000 in all, and four streams of
/// each direction.
fn strict() -> Hostile {
    Hostile::client_of(
        1,
        server(|transport| {
            transport.message_max = 1_000;
            transport.stream_credit = 2_000;
            transport.connection_credit = 3_000;
            transport.two_way_streams = 4;
            transport.one_way_streams = 4;
        }),
    )
}

/// The code with which the server closed, and the type of frame that it blamed; `None` if the
/// connection goes on.
fn verdict(peer: &mut Hostile) -> Option<(Code, u64)> {
    let lost = peer.events().into_iter().find_map(|event| match event {
        Event::Lost { cause: LostCause::Violation { code, .. }, .. } => Some(code),
        _ => None,
    });
    let told = peer.read_kind(kind::DISCONNECT);
    let Some(code) = lost else {
        assert_eq!((peer.state(), told.len()), (Some(State::Ready), 0));
        return None;
    };
    assert_eq!(told[0].fields[0], code.number());
    Some((code, told[0].fields[1]))
}

// ---- a whole packet ----

/// R-WIRE-3: a packet is read whole before any of its frames takes effect: what stands before a
/// frame that cannot be read had none.
#[test]
pub(crate) fn r_wire_3_nothing_takes_effect_before_all_is_read() {
    let id = one_way(0, Order::Ordered);
    let message = frames::stream(id, 0, &[1, b'x']);
    for broken in [varints(&[0x3f]), varints(&[kind::CREDIT]), vec![kind::PING as u8, 1]] {
        let mut peer = Hostile::client(1);
        peer.write(&[message.clone(), frames::ping(7, false), broken].concat());
        let events = peer.events();
        assert!(matches!(events[..], [Event::Lost { .. }]), "no stream was opened: {events:?}");
        assert!(peer.read_kind(kind::PONG).is_empty());
        let connection = peer.connection;
        let stream = StreamId::from_number(message_id(&message)).unwrap();
        let got = peer.pair.call(Side::Server, |e, now| e.receive(now, connection, stream));
        assert!(got.is_err(), "{got:?}");
    }
}

fn message_id(frame: &[u8]) -> u64 {
    frames::read(frame)[0].fields[0]
}

/// R-WIRE-3: frames before the one that breaks a rule have had their effect, those behind it have
/// none.
#[test]
pub(crate) fn r_wire_3_frames_take_effect_in_turn() {
    let mut peer = strict();
    let [first, second, third] = [0, 1, 2].map(|index| one_way(index, Order::Ordered));
    let packet = [
        frames::stream(first, 0, &[1, b'x']),
        frames::stream(second, 2_000, b"y"),
        frames::stream(third, 0, &[1, b'z']),
    ];
    peer.write(&packet.concat());
    let opened: Vec<u64> = peer
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::Opened { stream, .. } => Some(stream.number()),
            _ => None,
        })
        .collect();
    assert_eq!(opened, [first, second], "the second is opened, then over its credit");
    let (connection, stream) = (peer.connection, StreamId::from_number(first).unwrap());
    let got = peer.pair.drain(Side::Server, connection, stream);
    assert_eq!(got[0], ReceiveResult::Data("x".into()), "what came can be read after the end");
}

/// R-WIRE-3, R-ACK-1b: a packet that reaches a bound is dropped whole: its PING gets no PONG, and
/// its number is not acknowledged; what fills the lowest gap is taken all the same.
#[test]
pub(crate) fn r_wire_3_a_packet_at_a_bound_is_dropped_whole() {
    let mut peer = Hostile::client(1);
    let id = one_way(0, Order::Bytes);
    fill_gaps(&mut peer, id, 1, 1_100);
    peer.run(Duration::from_secs(1));
    peer.read();
    let (number, dropped) = (peer.next_number(), peer.stats().drops.at_bound);
    peer.write(&[frames::ping(7, false), frames::stream(id, 9_001, &[1])].concat());
    assert_eq!(peer.stats().drops.at_bound, dropped + 1);
    peer.write(&[frames::ping(8, false), frames::stream(id, 0, &[1])].concat());
    let seen = peer.read();
    let pongs: Vec<u64> =
        seen.iter().filter(|frame| frame.kind == kind::PONG).map(|frame| frame.fields[0]).collect();
    assert_eq!(pongs, [8]);
    let ack = seen.iter().find(|frame| frame.kind == kind::ACK).unwrap();
    let (largest, first_range) = (ack.fields[0], ack.fields[2]);
    assert_eq!((largest, first_range), (number + 1, 0), "a gap right below: {number}");
    assert_eq!(peer.stats().drops.at_bound, dropped + 1);
}

// ---- R-STREAM-1 ----

/// R-STREAM-1a: one index with two orders closes (5) as long as the first one lives; once it is
/// closed, its index is, whatever the order.
#[test]
pub(crate) fn r_stream_1a_an_index_has_one_order() {
    let (first, other) = (one_way(0, Order::Bytes), one_way(0, Order::Ordered));
    let mut peer = strict();
    peer.write(&frames::stream(first, 0, b"x"));
    assert_eq!(verdict(&mut peer), None);
    peer.write(&frames::stream(other, 0, &[0]));
    assert_eq!(verdict(&mut peer), Some((Code::STREAM_STATE, kind::STREAM_FIRST)));

    let mut peer = strict();
    peer.write(&varints(&[kind::CLOSE_STREAM, first, 7, 0]));
    let (connection, stream) = (peer.connection, StreamId::from_number(first).unwrap());
    let end = peer.pair.drain(Side::Server, connection, stream);
    assert_eq!(end, [ReceiveResult::Closed(Code::new(7).unwrap())]);
    peer.events();
    peer.write(&frames::stream(other, 0, &[0]));
    assert!(peer.events().is_empty(), "a late frame of a closed index");
    assert_eq!(verdict(&mut peer), None);
}

/// R-STREAM-1b: two-way and one-way streams count apart, and a receiver takes any index below its
/// limit, in any order, and opens no others with it.
#[test]
pub(crate) fn r_stream_1b_indexes_come_in_any_order() {
    let mut peer = strict();
    for id in [one_way(3, Order::Bytes), two_way(3, Order::Ordered), one_way(1, Order::Latest)] {
        peer.write(&frames::stream(id, 0, &[]));
        let opened: Vec<u64> = peer
            .events()
            .iter()
            .filter_map(|event| match event {
                Event::Opened { stream, .. } => Some(stream.number()),
                _ => None,
            })
            .collect();
        assert_eq!(opened, [id]);
    }
    assert_eq!(verdict(&mut peer), None);
}

/// R-STREAM-1c: an index at its limit closes (4), in every frame that names a stream; the index
/// below it is taken.
#[test]
pub(crate) fn r_stream_1c_an_index_at_its_limit_closes() {
    type Make = fn(u64) -> Vec<u8>;
    type Name = fn(u64, Order) -> u64;
    let both: [Make; 4] = [
        |id| frames::stream(id, 0, &[]),
        |id| varints(&[kind::SKIP, id, 1, 0, 1]),
        |id| varints(&[kind::CLOSE_STREAM, id, 7, 0]),
        |id| varints(&[kind::BLOCKED, 1, id, 9]),
    ];
    let two_way_only: [Make; 2] =
        [|id| varints(&[kind::STOP, id, 7]), |id| varints(&[kind::STREAM_CREDIT, id, 1 << 40])];
    let mut cases: Vec<(Make, Name)> = Vec::new();
    cases.extend(both.iter().flat_map(|make| [(*make, one_way as _), (*make, two_way as _)]));
    cases.extend(two_way_only.iter().map(|make| (*make, two_way as _)));
    for (make, id) in cases {
        for (index, told) in
            [(3, None), (4, Some(Code::STREAM_LIMIT)), (99, Some(Code::STREAM_LIMIT))]
        {
            let mut peer = strict();
            let frame = make(id(index, Order::Ordered));
            peer.write(&frame);
            let expected = told.map(|code| (code, frames::read(&frame)[0].kind));
            assert_eq!(verdict(&mut peer), expected, "{frame:x?}");
        }
    }
}

/// R-STREAM-1c: a stream of the receiver's own that it never opened closes (5), as does a frame for
/// a half that a stream does not have; the same frame is welcome where the half is there.
#[test]
pub(crate) fn r_stream_1c_only_what_is_there_can_be_named() {
    let own = of_server(two_way(0, Order::Ordered));
    let cases = [
        frames::stream(own, 0, &[]),
        varints(&[kind::SKIP, own, 1, 0, 1]),
        varints(&[kind::CLOSE_STREAM, own, 7, 0]),
        varints(&[kind::STOP, own, 7]),
        varints(&[kind::STREAM_CREDIT, own, 9_999_999]),
        varints(&[kind::BLOCKED, 1, own, 9]),
    ];
    for frame in cases {
        for open in [false, true] {
            let mut peer = strict();
            if open {
                let connection = peer.connection;
                let options = StreamOptions::two_way(Order::Ordered);
                assert_eq!(peer.pair.open(Side::Server, connection, options).number(), own);
            }
            peer.write(&frame);
            let closes = Some((Code::STREAM_STATE, frames::read(&frame)[0].kind));
            assert_eq!(verdict(&mut peer), if open { None } else { closes }, "{frame:x?}");
        }
    }
    let theirs = one_way(0, Order::Ordered);
    let ours = of_server(theirs);
    for frame in [
        frames::stream(ours, 0, &[]),
        varints(&[kind::SKIP, ours, 1, 0, 1]),
        varints(&[kind::CLOSE_STREAM, ours, 7, 0]),
        varints(&[kind::STOP, theirs, 7]),
        varints(&[kind::STREAM_CREDIT, theirs, 9_999]),
    ] {
        let mut peer = strict();
        let connection = peer.connection;
        peer.pair.open(Side::Server, connection, StreamOptions::one_way(Order::Ordered));
        peer.write(&frames::stream(theirs, 0, &[]));
        assert_eq!(verdict(&mut peer), None);
        peer.write(&frame);
        let closes = Some((Code::STREAM_STATE, frames::read(&frame)[0].kind));
        assert_eq!(verdict(&mut peer), closes, "{frame:x?}");
    }
}

// ---- R-CREDIT ----

/// Every frame that moves a stream's highest offset, moving it to `end`.
fn movers(id: u64, end: u64) -> [Vec<u8>; 5] {
    [
        frames::stream(id, end - 1, &[1]),
        varints(&[0x1d, id, end, 0]),
        varints(&[kind::SKIP, id, 1, end - 7, 7]),
        varints(&[kind::SKIP, id, 2, 0, 3, end - 7, 7]),
        varints(&[kind::CLOSE_STREAM, id, 7, end]),
    ]
}

/// R-CREDIT-1: every frame that moves an offset is charged against the stream's credit: all of it
/// may be used, and one byte more closes (3).
#[test]
pub(crate) fn r_credit_1_more_than_a_streams_credit_closes() {
    for number in 0..movers(0, 99).len() {
        for (end, allowed) in [(2_000, true), (2_001, false), ((1 << 60) - 1, false)] {
            let mut peer = strict();
            let frame = &movers(one_way(0, Order::Ordered), end)[number];
            peer.write(frame);
            let closes = Some((Code::FLOW_CONTROL, frames::read(frame)[0].kind));
            assert_eq!(verdict(&mut peer), if allowed { None } else { closes }, "{frame:x?}");
        }
    }
}

/// R-CREDIT-1: and against the connection's, over all streams.
#[test]
pub(crate) fn r_credit_1_more_than_the_connections_credit_closes() {
    for number in 0..movers(0, 99).len() {
        for (end, allowed) in [(1_000, true), (1_001, false)] {
            let mut peer = strict();
            peer.write(&movers(one_way(0, Order::Ordered), 2_000)[0]);
            assert_eq!(verdict(&mut peer), None);
            let frame = &movers(two_way(0, Order::Unordered), end)[number];
            peer.write(frame);
            let closes = Some((Code::FLOW_CONTROL, frames::read(frame)[0].kind));
            assert_eq!(verdict(&mut peer), if allowed { None } else { closes }, "{frame:x?}");
        }
    }
}

/// R-CREDIT-1: an offset is charged once, however often it is named.
#[test]
pub(crate) fn r_credit_1_repeats_are_charged_once() {
    let mut peer = strict();
    let frame = movers(one_way(0, Order::Ordered), 2_000)[0].clone();
    for _ in 0..50 {
        peer.write(&frame);
    }
    assert_eq!(verdict(&mut peer), None);
}

/// R-CREDIT-2: a smaller CREDIT closes (3) in the newest packet, and is ignored in a late one.
#[test]
pub(crate) fn r_credit_2_a_smaller_credit_closes() {
    let mut peer = strict();
    let late = peer.next_number();
    peer.write_numbered(late + 1, &varints(&[kind::CREDIT, 50 << 20]));
    peer.write_numbered(late, &varints(&[kind::CREDIT, 40 << 20]));
    assert_eq!(verdict(&mut peer), None);
    peer.write(&varints(&[kind::CREDIT, 50 << 20]));
    assert_eq!(verdict(&mut peer), None);
    peer.write(&varints(&[kind::CREDIT, (50 << 20) - 1]));
    assert_eq!(verdict(&mut peer), Some((Code::FLOW_CONTROL, kind::CREDIT)));
}

/// Writes single bytes at every second offset of a stream, `frames` to a packet, from offset
/// `2 * from + 1` on.
fn fill_gaps(peer: &mut Hostile, id: u64, frames_each: u64, packets: u64) {
    for packet in 0..packets {
        let numbers = packet * frames_each..(packet + 1) * frames_each;
        let bytes: Vec<u8> =
            numbers.flat_map(|number| frames::stream(id, 2 * number + 1, &[1])).collect();
        peer.write(&bytes);
    }
}

/// R-CREDIT-4: a stream holds at most 1,024 gaps, whether they come a packet each, many in a
/// packet, or all in the packet that opens it.
#[test]
pub(crate) fn r_credit_4_gaps_of_a_stream_are_bounded() {
    for order in [Order::Bytes, Order::Unordered] {
        for (frames_each, packets, taken) in
            [(1, 1_100, 1_021), (100, 20, 7), (250, 4, 1), (257, 3, 0), (2_000, 1, 0)]
        {
            let mut peer = Hostile::client(1);
            fill_gaps(&mut peer, one_way(0, order), frames_each, packets);
            assert_eq!(peer.stats().drops.at_bound, packets - taken, "{frames_each} {order:?}");
            assert_eq!(peer.state(), Some(State::Ready));
        }
    }
}

/// R-CREDIT-4: all streams of a connection together hold at most 16,384. A full table drains by
/// what fills a lowest gap, and by a stream that the user stops.
#[test]
pub(crate) fn r_credit_4_gaps_of_a_connection_are_bounded() {
    let mut peer = Hostile::client(1);
    let id = |index| one_way(index, Order::Bytes);
    for index in 0..30 {
        fill_gaps(&mut peer, id(index), 50, 18);
    }
    let dropped = peer.stats().drops.at_bound;
    let held = (30 * 18 - dropped) * 50;
    assert!((16_384 - 4 * 50..=16_384).contains(&held), "{held}");

    let more = frames::stream(id(40), 1, &[1]).repeat(250);
    let write = |peer: &mut Hostile| {
        let before = peer.stats().drops.at_bound;
        peer.write(&more);
        peer.stats().drops.at_bound == before
    };
    assert!(!write(&mut peer), "1,000 could pass the bound");
    for at in 0..60 {
        peer.write(&frames::stream(id(0), 2 * at, &[1]));
    }
    assert_eq!(peer.stats().drops.at_bound, dropped + 1, "each filled the lowest gap");
    assert!(!write(&mut peer), "60 less are not enough");
    let (connection, stopped) = (peer.connection, StreamId::from_number(id(1)).unwrap());
    peer.pair.call(Side::Server, |e, now| e.stop(now, connection, stopped, Code::NONE)).unwrap();
    assert!(write(&mut peer), "a stopped stream holds none");
    assert_eq!(peer.state(), Some(State::Ready));
}

/// R-CREDIT-4, §11: closed indexes are kept as at most 1,024 ranges: then the packet that opens a
/// stream is dropped, and one for a closed stream is still taken.
#[test]
pub(crate) fn r_credit_4_ranges_of_closed_indexes_are_bounded() {
    let mut peer = Hostile::client_of(1, server(|transport| transport.one_way_streams = 5_000));
    let close = |index| varints(&[kind::CLOSE_STREAM, one_way(index, Order::Bytes), 7, 0]);
    let connection = peer.connection;
    for index in 0..1_024 {
        peer.write(&close(2 * index));
        let stream = StreamId::from_number(one_way(2 * index, Order::Bytes)).unwrap();
        let told = peer.pair.drain(Side::Server, connection, stream);
        assert!(matches!(told[..], [ReceiveResult::Closed(_)]));
        peer.read();
    }
    peer.events();
    assert_eq!(peer.stats().drops.at_bound, 0);
    let opening = [
        close(2_048),
        frames::stream(one_way(2_048, Order::Bytes), 0, b"x"),
        varints(&[kind::SKIP, one_way(2_048, Order::Latest), 1, 0, 5]),
    ];
    for (number, frame) in (1..).zip(opening) {
        peer.write(&frame);
        assert_eq!(peer.stats().drops.at_bound, number, "{frame:x?}");
    }
    assert!(peer.events().is_empty());
    peer.write(&frames::stream(one_way(0, Order::Bytes), 7, b"late"));
    assert_eq!(peer.stats().drops.at_bound, 3);
    assert_eq!(peer.state(), Some(State::Ready));
}
