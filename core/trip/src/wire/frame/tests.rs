//! Golden bytes of every frame, every way to be malformed, and properties.
#![allow(clippy::arithmetic_side_effects)]

use alloc::vec::Vec;
use alloc::{format, vec};
use core::iter::once;
use core::ops::Range;

use proptest::prelude::*;

use super::ack::ACK_RANGES_MAX;
use super::skip::SKIP_RANGES_MAX;
use super::*;
use crate::ranges::RangeSet;
use crate::wire::testing::{config, damage, damaged, hex, number};
use crate::wire::{Order, Side};

fn stream(number: u64) -> StreamId {
    StreamId::from_number(number).unwrap()
}

fn code(number: u64) -> Code {
    Code::new(number).unwrap()
}

/// All frames of a packet.
fn all(plaintext: &[u8]) -> Result<Vec<Frame<'_>>, FrameError> {
    let mut frames = Frames::new(plaintext);
    let mut found = Vec::new();
    while let Some(frame) = frames.next()? {
        found.push(frame);
    }
    Ok(found)
}

/// The only frame of a packet.
fn one(plaintext: &[u8]) -> Frame<'_> {
    let frames = all(plaintext).unwrap_or_else(|error| panic!("{error}: {plaintext:02x?}"));
    assert_eq!(frames.len(), 1, "{frames:?}");
    frames[0]
}

fn encode(frame: &Frame<'_>) -> Vec<u8> {
    let mut out = vec![0xee];
    frame.write(&mut out);
    assert_eq!(out.remove(0), 0xee, "writing appends");
    out
}

/// Writes and reads back; announced length and canonical form hold; every truncation is an error.
fn round_trip(frame: &Frame<'_>) {
    let bytes = encode(frame);
    assert_eq!(bytes.len(), frame.wire_len(), "{frame:?}");
    assert_eq!(&one(&bytes), frame);
    assert_eq!(encode(&one(&bytes)), bytes, "{frame:?}");
    if !matches!(frame, Frame::Padding { .. }) {
        for cut in 0..bytes.len() {
            let error = all(&bytes[..cut]).expect_err("a frame that is cut off");
            assert_eq!(error.code, Code::PROTOCOL, "{frame:?} cut to {cut}");
        }
    }
}

/// The table of golden frames: bytes, type, whether ack-eliciting, meaning. PROTOCOL.md quotes it.
fn golden() -> Vec<(&'static str, u64, bool, Frame<'static>)> {
    let (token, reason) = (0x0102_0304_0506_0708, "bye");
    let id = StreamId::new(5, Order::Ordered, Direction::OneWay, Side::Server).unwrap();
    let stream = |offset, payload, aligned, fin| {
        Frame::Stream(StreamFrame { id, offset, payload, aligned, fin })
    };
    let referral = hex("01 04 c0000207 115c \
        0909090909090909090909090909090909090909090909090909090909090909 04 6563686f");
    let renew = |confirm, zone, reset_token| {
        Frame::Renew(RenewFrame { confirm, zone, id: token, reset_token, key: [9; 32] })
    };
    vec![
        ("00 00 00", 0x00, false, Frame::Padding { count: 3 }),
        ("01 0102030405060708 00", 0x01, true, Frame::Ping { token, probe: false, fill: false }),
        ("01 0102030405060708 01", 0x01, true, Frame::Ping { token, probe: true, fill: false }),
        ("01 0102030405060708 02", 0x01, true, Frame::Ping { token, probe: false, fill: true }),
        ("01 0102030405060708 03", 0x01, true, Frame::Ping { token, probe: true, fill: true }),
        ("02 0102030405060708", 0x02, true, Frame::Pong { token }),
        (
            "05 4064 4050 8001d4c0",
            0x05,
            true,
            Frame::Stats { sent: 100, received: 80, rtt_us: 120_000 },
        ),
        ("11 4057 03 616263", 0x11, true, stream(0, b"abc", false, false)),
        ("13 4057 03 026162", 0x13, true, stream(0, b"\x02ab", true, false)),
        ("15 4057 00", 0x15, true, stream(0, b"", false, true)),
        ("17 4057 03 026162", 0x17, true, stream(0, b"\x02ab", true, true)),
        ("19 4057 4064 03 616263", 0x19, true, stream(100, b"abc", false, false)),
        ("1b 4057 4064 03 026162", 0x1b, true, stream(100, b"\x02ab", true, false)),
        ("1d 4057 4064 00", 0x1d, true, stream(100, b"", false, true)),
        ("1f 4057 4064 03 026162", 0x1f, true, stream(100, b"\x02ab", true, true)),
        (
            "21 4057 4100 7fff",
            0x21,
            true,
            Frame::CloseStream { id, code: Code::application(0), final_offset: 0x3fff },
        ),
        ("22 4057 0e", 0x22, true, Frame::Stop { id, code: Code::SHUTTING_DOWN }),
        ("30 80100000", 0x30, true, Frame::Credit { limit: 1 << 20 }),
        ("31 4057 80010000", 0x31, true, Frame::StreamCredit { id, limit: 1 << 16 }),
        ("32 4080", 0x32, true, Frame::Streams { direction: Direction::TwoWay, limit: 128 }),
        ("33 10", 0x33, true, Frame::Streams { direction: Direction::OneWay, limit: 16 }),
        (
            "34 00 80100000",
            0x34,
            true,
            Frame::Blocked { by: BlockedBy::Connection, limit: 1 << 20 },
        ),
        (
            "34 01 4057 80010000",
            0x34,
            true,
            Frame::Blocked { by: BlockedBy::Stream(id), limit: 1 << 16 },
        ),
        (
            "34 02 4080",
            0x34,
            true,
            Frame::Blocked { by: BlockedBy::Streams(Direction::TwoWay), limit: 128 },
        ),
        (
            "34 03 10",
            0x34,
            true,
            Frame::Blocked { by: BlockedBy::Streams(Direction::OneWay), limit: 16 },
        ),
        (
            "4040 03 0102030405060708 5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a \
             0909090909090909090909090909090909090909090909090909090909090909",
            0x40,
            true,
            renew(false, 3, [0x5a; 16]),
        ),
        (
            "4041 4100 0102030405060708 00000000000000000000000000000000 \
             0909090909090909090909090909090909090909090909090909090909090909",
            0x41,
            true,
            renew(true, 256, [0; 16]),
        ),
        (
            "4050 0e 5388 03 627965",
            0x50,
            true,
            Frame::Notify { code: Code::SHUTTING_DOWN, deadline_ms: 5000, reason },
        ),
        (
            "4051 02 20 03 627965",
            0x51,
            false,
            Frame::Disconnect { code: Code::PROTOCOL, frame_type: 0x20, reason },
        ),
        (
            "4052 01 04 c0000207 115c \
             0909090909090909090909090909090909090909090909090909090909090909 04 6563686f",
            0x52,
            true,
            Frame::Forward(ReferralBody::parse(referral.leak()).unwrap()),
        ),
    ]
}

/// T51–T56 as far as frames go (T53 PING, T54 NOTIFY, T55 DISCONNECT, T56 STREAM, T57
/// FORWARD), R-FRAME: the golden table holds in both directions.
#[test]
fn t53_t54_t55_t56_t57_golden_frames() {
    for (text, frame_type, eliciting, frame) in golden() {
        let bytes = hex(text);
        assert_eq!(one(&bytes), frame, "{text}");
        assert_eq!(encode(&frame), bytes, "{text}");
        assert_eq!(frame.frame_type(), frame_type, "{text}");
        assert_eq!(frame.is_ack_eliciting(), eliciting, "{text}");
        round_trip(&frame);
    }
}

/// R-FRAME: golden ACK and SKIP, whose ranges are walked.
#[test]
fn r_frame_golden_ack_and_skip() {
    // Largest 1000 with 9 below it, two missing, then 988 alone, one missing, then 985 and 986.
    for (text, ecn) in [
        ("03 43e8 4c80 09 02 0100 0001", None),
        ("04 43e8 4c80 09 02 0100 0001 4064 00 05", Some(EcnCounts { ect0: 100, ect1: 0, ce: 5 })),
    ] {
        let bytes = hex(text);
        let frame = one(&bytes);
        let Frame::Ack(ack) = frame else { panic!("{frame:?}") };
        assert_eq!((ack.largest, ack.delay_us, ack.ecn), (1000, 3200, ecn));
        let ranges: Vec<_> = ack.ranges().collect();
        assert_eq!(ranges, [991..1001, 988..989, 985..987]);
        assert_eq!(frame.frame_type(), u64::from(bytes[0]));
        assert!(!frame.is_ack_eliciting());
        round_trip(&frame);
        let mut out = Vec::new();
        assert_eq!(write_ack(&mut out, bytes.len(), 3200, ranges, ecn), 3);
        assert_eq!(out, bytes);
    }
    let bytes = hex("20 4057 02 4064 05 00 40c8");
    let frame = one(&bytes);
    let Frame::Skip(skip) = frame else { panic!("{frame:?}") };
    assert_eq!(skip.id, stream(0x57));
    let ranges: Vec<_> = skip.ranges().collect();
    assert_eq!(ranges, [100..105, 0..200]);
    assert!(frame.is_ack_eliciting());
    round_trip(&frame);
    let mut out = Vec::new();
    assert_eq!(write_skip(&mut out, bytes.len(), skip.id, ranges), 2);
    assert_eq!(out, bytes);
}

/// R-FRAME: the encodings that are not written but read: no length (to the packet's end), and an
/// offset of 0 that is spelled out.
#[test]
fn r_frame_stream_without_length_reaches_to_the_end() {
    let (id, payload) = (stream(0x57), &b"abc"[..]);
    let expected = StreamFrame { id, offset: 0, payload, aligned: false, fin: false };
    for text in ["10 4057 616263", "18 4057 00 616263", "19 4057 00 03 616263"] {
        assert_eq!(one(&hex(text)), Frame::Stream(expected), "{text}");
    }
    let header = StreamHeader { id, offset: 9, aligned: true, fin: true };
    let mut out = Vec::new();
    write_stream_header(&mut out, header, None);
    assert_eq!(out, hex("1e 4057 09"));
    assert_eq!(out.len(), stream_header_len(id, 9, None));
}

/// R-FRAME: runs of PADDING are one item; frames around them are found; order is kept.
#[test]
fn r_frame_padding_runs_are_one_item() {
    let bytes = hex("00 02 0000000000000001 000000 30 05 00");
    assert_eq!(
        all(&bytes).unwrap(),
        [
            Frame::Padding { count: 1 },
            Frame::Pong { token: 1 },
            Frame::Padding { count: 3 },
            Frame::Credit { limit: 5 },
            Frame::Padding { count: 1 },
        ]
    );
    let mut out = Vec::new();
    write_padding(&mut out, 1200);
    assert_eq!(one(&out), Frame::Padding { count: 1200 });
}

/// R-DATA-4: a packet without frames is an error, one of PADDING alone is not; at the end of a good
/// packet the answer stays `None`.
#[test]
fn r_data_4_a_packet_without_frames_is_an_error() {
    assert_eq!(all(&[]).unwrap_err().code, Code::PROTOCOL);
    let mut frames = Frames::new(&[0]);
    assert_eq!(frames.next(), Ok(Some(Frame::Padding { count: 1 })));
    assert_eq!((frames.next(), frames.next()), (Ok(None), Ok(None)));
}

/// R-FRAME: an error stays, and names the frame; what came before it was good.
#[test]
fn r_frame_an_error_stays() {
    let bytes = hex("02 0000000000000001 30 ff");
    let mut frames = Frames::new(&bytes);
    assert_eq!(frames.next(), Ok(Some(Frame::Pong { token: 1 })));
    let error = frames.next().unwrap_err();
    assert_eq!((error.code, error.frame_type), (Code::PROTOCOL, 0x30));
    assert_eq!(frames.next(), Err(error));
    assert_eq!(
        format!("{error}"),
        "protocol violation (2) in a frame of type 0x30: the frame runs past its packet"
    );
}

/// R-FRAME-1, R-WIRE-1, T57, T72: each broken rule has its code, names its frame and says why.
#[test]
fn r_frame_t57_t72_broken_rules_are_named() {
    for (text, code, frame_type, why) in [
        // Types of later versions, and types of none.
        ("06 00 00 00", 2, 0x06, "unknown frame type"),
        ("05 00 00", 2, 0x05, "the frame runs past its packet"),
        ("4042 00", 2, 0x42, "unknown frame type"),
        // FORWARD: no address, five of them, an unknown family, no port, cut off.
        ("4052 00", 2, 0x52, "a referral without addresses, or with too many"),
        ("4052 05 04 7f000001", 2, 0x52, "a referral without addresses, or with too many"),
        ("4052 01 05 7f000001", 2, 0x52, "an address of an unknown family"),
        ("4052 01 04 7f000001 0000", 2, 0x52, "a referral to nowhere"),
        ("4052 01 04 7f000001 1234 09", 2, 0x52, "the frame runs past its packet"),
        ("06", 2, 0x06, "unknown frame type"),
        ("23", 2, 0x23, "unknown frame type"),
        ("35", 2, 0x35, "unknown frame type"),
        ("4053", 2, 0x53, "unknown frame type"),
        ("ffffffffffffffff", 2, (1 << 62) - 1, "unknown frame type"),
        // Numbers that could be shorter, in the type and behind it.
        ("4001 0000000000000000 00", 2, 0, "a number is not in its shortest form"),
        ("30 4005", 2, 0x30, "a number is not in its shortest form"),
        ("11 04 4001 61", 2, 0x11, "a number is not in its shortest form"),
        // Reserved bits and values.
        ("01 0000000000000000 04", 2, 0x01, "unknown flag"),
        ("01 0000000000000000 80", 2, 0x01, "unknown flag"),
        ("34 04 00", 2, 0x34, "unknown limit"),
        // RENEW: too short by a byte of the key.
        (
            "4040 01 0102030405060708 00000000000000000000000000000000 \
             00000000000000000000000000000000000000000000000000000000000000",
            2,
            0x40,
            "the frame runs past its packet",
        ),
        // Texts.
        ("4051 00 00 01 ff", 2, 0x51, "reason text is not UTF-8"),
        ("4050 00 00 02 61", 2, 0x50, "the frame runs past its packet"),
        // STREAM.
        ("11 04 02 61", 2, 0x11, "the frame runs past its packet"),
        ("12 00 00", 2, 0x12, "aligned on a bytes stream"),
        // SKIP.
        ("20 00 01 00 01", 2, 0x20, "skips on a bytes stream"),
        ("20 04 00", 2, 0x20, "no ranges or too many"),
        ("20 04 01 05 00", 2, 0x20, "skips nothing"),
        // ACK of numbers below 0: in the first range, by a gap, by a length.
        ("03 05 00 06 00", 2, 0x03, "acknowledges a number below 0"),
        ("03 05 00 00 01 04 00", 2, 0x03, "acknowledges a number below 0"),
        ("03 05 00 00 01 03 01", 2, 0x03, "acknowledges a number below 0"),
        ("03 01 00 00 01 00 00", 2, 0x03, "acknowledges a number below 0"),
    ] {
        let bytes = hex(text);
        let error = all(&bytes).expect_err(text);
        assert_eq!((error.code.number(), error.frame_type, error.why), (code, frame_type, why));
    }
}

/// R-FRAME-2: a reason text of 255 bytes is read and written, a longer one is refused and clipped.
#[test]
fn r_frame_reason_texts_have_a_bound() {
    let (longest, long) = ("x".repeat(255), "x".repeat(256));
    let most = Frame::Disconnect { code: Code::IDLE, frame_type: 0, reason: &longest };
    round_trip(&most);
    let clipped = Frame::Disconnect { code: Code::IDLE, frame_type: 0, reason: &long };
    assert_eq!(encode(&clipped), encode(&most));
    assert_eq!(clipped.wire_len(), most.wire_len());
    let mut bytes = hex("4051 0b 00 4100");
    bytes.extend_from_slice(long.as_bytes());
    assert_eq!(all(&bytes).unwrap_err().why, "reason text too long");
}

/// R-FRAME-3: offsets and grants stay below 2^60 (else 3), limits on indexes below 2^58 (else 4);
/// the largest allowed value passes.
#[test]
fn r_credit_2_limits_of_numbers() {
    let id = stream(0x57);
    let top = (1 << 60) - 1;
    let offset_frames = |value: u64| {
        vec![
            Frame::Credit { limit: value },
            Frame::StreamCredit { id, limit: value },
            Frame::Blocked { by: BlockedBy::Connection, limit: value },
            Frame::Blocked { by: BlockedBy::Stream(id), limit: value },
            Frame::CloseStream { id, code: Code::NONE, final_offset: value },
            Frame::Stream(StreamFrame {
                id,
                offset: value - 1,
                payload: b"x",
                aligned: false,
                fin: false,
            }),
            Frame::Stream(StreamFrame {
                id,
                offset: value,
                payload: b"",
                aligned: false,
                fin: true,
            }),
        ]
    };
    let index_frames = |limit: u64| {
        [Direction::TwoWay, Direction::OneWay].into_iter().flat_map(move |direction| {
            [
                Frame::Streams { direction, limit },
                Frame::Blocked { by: BlockedBy::Streams(direction), limit },
            ]
        })
    };
    for frame in offset_frames(top).into_iter().chain(index_frames((1 << 58) - 1)) {
        round_trip(&frame);
    }
    for frame in offset_frames(top + 1) {
        let error = all(&encode(&frame)).unwrap_err();
        assert_eq!(
            (error.code, error.frame_type),
            (Code::FLOW_CONTROL, frame.frame_type()),
            "{frame:?}"
        );
    }
    for frame in index_frames(1 << 58) {
        let error = all(&encode(&frame)).unwrap_err();
        assert_eq!(
            (error.code, error.frame_type),
            (Code::STREAM_LIMIT, frame.frame_type()),
            "{frame:?}"
        );
    }
    // SKIP: the end counts, and a sum beyond 2^62 is no wrap.
    for (range, good) in [(0..top, true), (top - 1..top, true), (top - 1..top + 1, false)] {
        let mut out = Vec::new();
        assert_eq!(write_skip(&mut out, 100, id, once(range)), 1);
        assert_eq!(
            all(&out).map_err(|error| error.code).err(),
            (!good).then_some(Code::FLOW_CONTROL)
        );
    }
    let error = all(&hex("20 4057 01 ffffffffffffffff ffffffffffffffff")).unwrap_err();
    assert_eq!(error.code, Code::FLOW_CONTROL);
}

/// R-ACK-1: 64 ranges are read and written, a 65th is refused and left out.
#[test]
fn r_ack_1_at_most_64_ranges() {
    let ranges: Vec<_> = (0..65_u64).rev().map(|at| at * 2..at * 2 + 1).collect();
    let mut out = Vec::new();
    assert_eq!(write_ack(&mut out, 10_000, 0, ranges.iter().cloned(), None), 64);
    let Frame::Ack(ack) = one(&out) else { panic!() };
    assert!(ack.ranges().eq(ranges[..64].iter().cloned()));
    // The same with a count of 64 pairs, one more than allowed.
    let mut bytes = hex("03 4080 00 00 4040");
    bytes.extend_from_slice(&[0; 128]);
    assert_eq!(all(&bytes).unwrap_err().why, "too many ranges");
    let huge = hex("03 00 00 00 ffffffffffffffff");
    assert_eq!(all(&huge).unwrap_err().why, "too many ranges");
}

/// R-ACK-1: ranges that are not newest first, touch or are empty end the walk; without a first
/// range nothing is written.
#[test]
fn r_ack_1_unusable_ranges_are_not_written() {
    let write = |ranges: &[Range<u64>]| {
        let mut out = Vec::new();
        (write_ack(&mut out, 100, 0, ranges.iter().cloned(), None), out)
    };
    assert_eq!(write(&[]), (0, vec![]));
    assert_eq!(write(&[5..5, 1..2]), (0, vec![]));
    assert_eq!(write(&[0..0, 1..2]), (0, vec![]));
    for second in [8..10, 5..11, 12..13, 4..4, 20..30] {
        let (count, out) = write(&[10..12, second]);
        assert_eq!((count, out), (1, hex("03 0b 00 01 00")));
    }
    let (count, out) = write(&[10..12, 0..9]);
    assert_eq!((count, out), (2, hex("03 0b 00 01 01 00 08")));
}

/// R-SKIP-1: 63 ranges are the most of one SKIP.
#[test]
fn r_skip_1_at_most_63_ranges() {
    let ranges: Vec<_> = (0..64_u64).map(|at| at..at + 1).collect();
    let mut out = Vec::new();
    assert_eq!(write_skip(&mut out, 10_000, stream(4), ranges.iter().cloned()), 63);
    let Frame::Skip(skip) = one(&out) else { panic!() };
    assert!(skip.ranges().eq(ranges[..63].iter().cloned()));
    let mut bytes = hex("20 04 4040");
    bytes.extend_from_slice(&[1; 128]);
    assert_eq!(all(&bytes).unwrap_err().why, "no ranges or too many");
    out.clear();
    for space in 0..5 {
        assert_eq!(write_skip(&mut out, space, stream(4), once(0..1)), 0);
    }
    assert_eq!(write_skip(&mut out, 100, stream(4), once(7..7)), 0);
    assert!(out.is_empty());
}

/// One of the frames that hold no ranges, made of drawn parts.
fn frame<'a>(kind: u8, n: [u64; 3], flags: u8, text: &'a str, payload: &'a [u8]) -> Frame<'a> {
    let [a, b, c] = n;
    let (first, second) = (flags & 1 != 0, flags & 2 != 0);
    let id = stream(a);
    let direction = if first { Direction::TwoWay } else { Direction::OneWay };
    // Of numbers with 62 bits: the parts that are in range.
    let (offset, index) = (c >> 2, c >> 4);
    match kind {
        0 => Frame::Padding { count: payload.len() + 1 },
        1 => Frame::Ping { token: b, probe: first, fill: second },
        2 => Frame::Pong { token: b },
        3 => Frame::CloseStream { id, code: code(b), final_offset: offset },
        4 => Frame::Stop { id, code: code(b) },
        5 => Frame::Credit { limit: offset },
        6 => Frame::StreamCredit { id, limit: offset },
        7 => Frame::Streams { direction, limit: index },
        8 => Frame::Blocked { by: BlockedBy::Connection, limit: offset },
        9 => Frame::Blocked { by: BlockedBy::Stream(id), limit: offset },
        10 => Frame::Blocked { by: BlockedBy::Streams(direction), limit: index },
        11 => Frame::Notify { code: code(b), deadline_ms: c, reason: text },
        12 => Frame::Disconnect { code: code(b), frame_type: c, reason: text },
        13 => Frame::Renew(RenewFrame {
            confirm: first,
            zone: a,
            id: b,
            reset_token: [flags; 16],
            key: [flags; 32],
        }),
        14 => Frame::Stats { sent: a, received: b & ((1 << 62) - 1), rtt_us: c },
        _ => Frame::Stream(StreamFrame {
            id,
            offset: offset.min((1 << 60) - 1 - u64::try_from(payload.len()).unwrap()),
            payload,
            aligned: first && id.order() != Order::Bytes,
            fin: second,
        }),
    }
}

/// What [`frame`] is made of.
type Parts = (u8, [u64; 3], u8, alloc::string::String, Vec<u8>);

fn parts() -> impl Strategy<Value = Parts> {
    (
        0..20_u8,
        [number(62), number(62), number(62)],
        0..4_u8,
        "\\PC{0,63}",
        proptest::collection::vec(any::<u8>(), 0..80),
    )
}

/// Disjoint ranges that do not touch, newest first, from steps downwards.
fn descending(top: u64, steps: &[(u64, u64)]) -> Vec<Range<u64>> {
    let mut set = RangeSet::new();
    let mut end = top;
    for (gap, length) in steps {
        let Some(start) = end.checked_sub(length + 1) else { break };
        set.insert(start..end);
        let Some(next) = start.checked_sub(gap + 1) else { break };
        end = next;
    }
    let mut ranges: Vec<_> = set.iter().collect();
    ranges.reverse();
    ranges
}

fn steps() -> impl Strategy<Value = Vec<(u64, u64)>> {
    proptest::collection::vec((number(40), number(40)), 1..80)
}

proptest! {
    #![proptest_config(config())]

    /// T71, R-FRAME: every frame reads back as it was written, and no start of it does.
    #[test]
    fn t71_frames_round_trip((kind, numbers, flags, text, payload) in parts()) {
        round_trip(&frame(kind, numbers, flags, &text, &payload));
    }

    /// T71, R-FRAME: a packet of many frames reads back in order.
    #[test]
    fn t71_packets_of_frames_round_trip(list in proptest::collection::vec(parts(), 1..12)) {
        let mut frames: Vec<Frame<'_>> = Vec::new();
        for (kind, numbers, flags, text, payload) in &list {
            let next = frame(*kind, *numbers, *flags, text, payload);
            // Runs of PADDING next to each other would be one.
            let padding = |frame: &Frame<'_>| matches!(frame, Frame::Padding { .. });
            if !(padding(&next) && frames.last().is_some_and(padding)) {
                frames.push(next);
            }
        }
        let mut bytes = Vec::new();
        for frame in &frames {
            frame.write(&mut bytes);
        }
        prop_assert_eq!(all(&bytes), Ok(frames));
    }

    /// R-ACK-1: in any space the newest ranges that fit are written and no byte more; they read
    /// back.
    #[test]
    fn r_ack_1_acks_fit_their_space(
        top in number(62),
        steps in steps(),
        delay in number(40),
        counts in [number(62), number(62), number(62)],
        with_ecn in any::<bool>(),
        space in 0..400_usize,
    ) {
        let ranges = descending(top, &steps);
        let ecn = with_ecn.then_some(EcnCounts { ect0: counts[0], ect1: counts[1], ce: counts[2] });
        let mut whole = Vec::new();
        let most = write_ack(&mut whole, usize::MAX, delay, ranges.iter().cloned(), ecn);
        prop_assert_eq!(most, ranges.len().min(ACK_RANGES_MAX));
        let mut out = vec![0xee];
        let written = write_ack(&mut out, space, delay, ranges.iter().cloned(), ecn);
        out.remove(0);
        prop_assert!(out.len() <= space);
        prop_assert_eq!(written == 0, out.is_empty());
        if written > 0 {
            let Frame::Ack(ack) = one(&out) else { panic!() };
            prop_assert!(ack.ranges().eq(ranges[..written].iter().cloned()));
            prop_assert_eq!((ack.delay_us, ack.ecn), (delay, ecn));
            round_trip(&Frame::Ack(ack));
        }
        if written < most {
            // One more range would not have fitted.
            let mut more = Vec::new();
            write_ack(&mut more, usize::MAX, delay, ranges[..written + 1].iter().cloned(), ecn);
            prop_assert!(more.len() > space);
        }
    }

    /// R-SKIP-1: in any space the first ranges that fit are written; they read back.
    #[test]
    fn r_skip_1_skips_fit_their_space(
        index in number(58),
        pairs in proptest::collection::vec((number(59), number(59)), 1..80),
        space in 0..400_usize,
    ) {
        let id = StreamId::new(index, Order::Latest, Direction::TwoWay, Side::Client).unwrap();
        let ranges: Vec<_> = pairs.iter().map(|(at, more)| *at..at + more + 1).collect();
        let mut out = vec![0xee];
        let written = write_skip(&mut out, space, id, ranges.iter().cloned());
        out.remove(0);
        prop_assert!(out.len() <= space);
        prop_assert_eq!(written == 0, out.is_empty());
        if written > 0 && ranges[..written].iter().all(|range| range.end < 1 << 60) {
            let Frame::Skip(skip) = one(&out) else { panic!() };
            prop_assert!(skip.ranges().eq(ranges[..written].iter().cloned()));
            round_trip(&Frame::Skip(skip));
        }
    }

    /// R-WIRE, T71: bytes of any kind give frames or an error, never a panic, and what was read is
    /// written and read to the same.
    #[test]
    fn r_wire_arbitrary_plaintext_never_panics(
        list in proptest::collection::vec(parts(), 0..4),
        acks in steps(),
        damage in damage(),
        tail in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let mut bytes = Vec::new();
        write_ack(&mut bytes, 100, 0, descending(1 << 50, &acks), None);
        write_skip(&mut bytes, 100, stream(4), descending(1 << 50, &acks));
        for (kind, numbers, flags, text, payload) in &list {
            frame(*kind, *numbers, *flags, text, payload).write(&mut bytes);
        }
        for bytes in [damaged(bytes, &damage), tail] {
            let mut frames = Frames::new(&bytes);
            while let Ok(Some(frame)) = frames.next() {
                round_trip(&frame);
                match frame {
                    Frame::Ack(ack) => assert!(ack.ranges().count() <= ACK_RANGES_MAX),
                    Frame::Skip(skip) => assert!(skip.ranges().count() <= SKIP_RANGES_MAX),
                    _ => {}
                }
            }
        }
    }
}
