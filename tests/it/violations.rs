//! A peer that holds the keys and breaks the rules (row T61): told apart, told so, and cut off.
//!
//! The hostile side is the test itself, behind a true handshake.

use tripline::{Code, Config, Event, LostCause, Order, StreamOptions};
use tripline_sansio::Duration;
use tripline_tests::frames::{self, kind, varints};
use tripline_tests::{Hostile, Pair, Side, Wiretap, identity};

/// What the server says of a client that sends these frames, and the type of frame that it blames.
fn verdict(frames: &[u8]) -> (Code, &'static str, u64) {
    let mut server = Config::public_server(identity("server"));
    server.transport.message_max = 10_000;
    let mut peer = Hostile::client_of(1, server);
    peer.write(frames);
    let ends: Vec<_> = peer
        .events()
        .into_iter()
        .filter(|event| matches!(event, Event::Lost { .. } | Event::Closed { .. }))
        .collect();
    let [Event::Lost { connection, cause: LostCause::Violation { code, reason } }] = ends[..]
    else {
        panic!("{frames:x?}: {ends:?}");
    };
    assert_eq!(connection, peer.connection);
    // The offender is told the code and the frame, and no more.
    let told = peer.read_kind(kind::DISCONNECT);
    assert_eq!(told.len(), 1, "{frames:x?}");
    assert_eq!(told[0].fields[0], code.number(), "{frames:x?}");
    assert!(told[0].data.is_empty(), "{frames:x?}");
    (code, reason, told[0].fields[1])
}

/// T61: each broken rule ends the connection with its own code.
#[test]
pub(crate) fn t61_who_breaks_a_rule_is_cut_off_with_its_code() {
    // Stream IDs: index << 4 | order << 2 | one-way << 1 | opened by the server.
    let (bytes, ordered) = (0b0010, 0b0110);
    let cases: Vec<(&str, Vec<u8>, Code)> = vec![
        ("unknown frame type", vec![0x3f], Code::PROTOCOL),
        ("longer varint than needed", vec![0x30, 0x40, 0x01], Code::PROTOCOL),
        ("ACK of a number never sent", vec![0x03, 0x70, 0, 0, 0, 0], Code::PROTOCOL),
        (
            "stream credit passed",
            [&[0x18, bytes][..], &varints(&[1 << 21]), &[1]].concat(),
            Code::FLOW_CONTROL,
        ),
        (
            "offset out of range",
            [&[0x18, bytes][..], &varints(&[1 << 60]), &[1]].concat(),
            Code::FLOW_CONTROL,
        ),
        (
            "stream limit passed",
            [&[0x10][..], &varints(&[(1 << 30) | u64::from(bytes)]), &[1]].concat(),
            Code::STREAM_LIMIT,
        ),
        ("a stream that the server never opened", vec![0x10, 0b0001, 1], Code::STREAM_STATE),
        (
            "one index with two orders",
            vec![0x11, 0b0010, 1, 7, 0x11, 0b0110, 0],
            Code::STREAM_STATE,
        ),
        ("final offset changed", vec![0x15, bytes, 1, 7, 0x15, bytes, 2, 7, 7], Code::STREAM_STATE),
        (
            "message too large",
            vec![0x13, ordered, 4, 0x80, 0x00, 0xff, 0xff],
            Code::MESSAGE_TOO_LARGE,
        ),
        ("SKIP on a byte stream", vec![0x20, bytes, 1, 0, 1], Code::PROTOCOL),
        ("STOP for a half that we do not have", vec![0x22, bytes, 0], Code::STREAM_STATE),
        ("the connection's credit shrank", vec![0x30, 0x01], Code::FLOW_CONTROL),
        ("a stream's credit shrank", vec![0x31, 0b0000, 0x01], Code::FLOW_CONTROL),
        ("the limit on two-way streams shrank", vec![0x32, 0x01], Code::STREAM_LIMIT),
        ("the limit on one-way streams shrank", vec![0x33, 0x01], Code::STREAM_LIMIT),
        (
            "two bytes for one offset",
            vec![0x19, bytes, 9, 2, 1, 2, 0x19, bytes, 9, 2, 1, 3],
            Code::PROTOCOL,
        ),
    ];
    for (what, frames, code) in cases {
        let (said, reason, _) = verdict(&frames);
        assert_eq!(said, code, "{what}: {reason}");
        assert!(!reason.is_empty(), "{what}");
    }
}

/// T61: DISCONNECT names the type of the frame at fault, not that of its neighbours.
#[test]
pub(crate) fn t61_the_frame_at_fault_is_named() {
    let frames = [frames::ping(1, false), varints(&[kind::SKIP, 0b0010, 1, 0, 1])].concat();
    assert_eq!(verdict(&frames).2, kind::SKIP);
    assert_eq!(verdict(&varints(&[kind::CREDIT, 1])).2, kind::CREDIT);
    assert_eq!(verdict(&[]).2, 0, "R-DATA-4: a packet without frames");
}

/// T71, T72: padding alone breaks nothing, and the harness itself adds nothing: behind the same
/// cipher an honest client is not accused.
#[test]
pub(crate) fn an_honest_client_behind_the_same_cipher_is_not_accused() {
    let client = Wiretap::default().on(Config::client());
    let mut pair = Pair::with(1, client, Config::public_server(identity("server")));
    let (client, server) = pair.connected();
    let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Ordered));
    pair.send(Side::Client, client, stream, &[7; 5_000]);
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.messages(Side::Server, server, stream), [vec![7; 5_000]]);
    let mut peer = Hostile::client(1);
    peer.write(&[0; 40]);
    assert!(peer.events().is_empty() && peer.read().is_empty());
    peer.write(&frames::ping(9, false));
    assert_eq!(peer.read_kind(kind::PONG)[0].fields, [9]);
}
