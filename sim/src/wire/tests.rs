//! The golden bytes of PROTOCOL.md, read and measured; and what it forbids.

use super::*;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let text = String::from_utf8(digits).unwrap();
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn one(hex: &str) -> Frame<'static> {
    let all = bytes(hex).leak();
    let read: Vec<_> = frames(all).collect::<Result<_, _>>().unwrap_or_else(|flaw| {
        panic!("{hex}: {flaw}");
    });
    assert_eq!(read.len(), 1, "{hex}: {read:?}");
    assert_eq!(read[0].encoded_len(), all.len(), "{hex}: the same shape when written again");
    read[0]
}

fn refused(hex: &str) {
    let all = bytes(hex);
    let read: Result<Vec<_>, _> = frames(&all).collect();
    assert!(read.is_err(), "{hex} was read as {read:?}");
}

#[test]
fn golden_frames_are_read_and_keep_their_shape() {
    assert_eq!(one("00 00 00"), Frame::Padding { len: 3 });
    let token = 0x0102_0304_0506_0708;
    for (flags, probe, fill) in [("00", false, false), ("01", true, false), ("02", false, true)] {
        assert_eq!(
            one(&format!("01 0102030405060708 {flags}")),
            Frame::Ping { token, probe, fill }
        );
    }
    assert_eq!(one("02 0102030405060708"), Frame::Pong { token });
    let stats = Frame::Stats { sent: 100, received: 80, rtt: 120_000 };
    assert_eq!(one("05 4064 4050 8001d4c0"), stats);
    let Frame::Ack(ack) = one("03 43e8 4c80 09 02 0100 0001") else { panic!() };
    assert_eq!(ack.ranges().collect::<Vec<_>>(), [(991, 1000), (988, 988), (985, 986)]);
    assert_eq!((ack.delay, ack.ecn), (3_200, None));
    let Frame::Ack(ack) = one("04 43e8 4c80 09 02 0100 0001 4064 00 05") else { panic!() };
    assert_eq!(ack.ecn, Some([100, 0, 5]));
    let stream = StreamName(0x57);
    assert_eq!((stream.index(), stream.order()), (5, 1));
    assert!(stream.is_one_way() && stream.by_server());
    assert_eq!(one("21 4057 4100 7fff"), Frame::CloseStream { stream, code: 0x100, end: 0x3fff });
    assert_eq!(one("22 4057 0e"), Frame::Stop { stream, code: 14 });
    assert_eq!(one("30 80100000"), Frame::Credit { limit: 1 << 20 });
    assert_eq!(one("31 4057 80010000"), Frame::StreamCredit { stream, limit: 1 << 16 });
    assert_eq!(one("32 4080"), Frame::Streams { one_way: false, limit: 128 });
    assert_eq!(one("33 10"), Frame::Streams { one_way: true, limit: 16 });
    assert_eq!(one("34 00 80100000"), Frame::Blocked(Blocked::Connection(1 << 20)));
    assert_eq!(one("34 01 4057 80010000"), Frame::Blocked(Blocked::Stream(stream, 1 << 16)));
    assert_eq!(one("34 02 4080"), Frame::Blocked(Blocked::Streams(false, 128)));
    assert_eq!(one("34 03 10"), Frame::Blocked(Blocked::Streams(true, 16)));
    let reason = "bye";
    assert_eq!(one("4050 0e 5388 03 627965"), Frame::Notify { code: 14, deadline: 5_000, reason });
    assert_eq!(one("4051 02 20 03 627965"), Frame::Disconnect { code: 2, frame: 0x20, reason });
}

#[test]
fn golden_stream_skip_renew_and_forward_frames() {
    let cases = [
        ("11 4057 03 616263", 0, false, false, &b"abc"[..]),
        ("13 4057 03 026162", 0, true, false, b"\x02ab"),
        ("15 4057 00", 0, false, true, b""),
        ("17 4057 03 026162", 0, true, true, b"\x02ab"),
        ("19 4057 4064 03 616263", 100, false, false, b"abc"),
        ("1f 4057 4064 03 026162", 100, true, true, b"\x02ab"),
        ("10 4057 616263", 0, false, false, b"abc"),
        ("18 4057 00 616263", 0, false, false, b"abc"),
        ("1e 4057 09", 9, true, true, b""),
    ];
    for (hex, offset, aligned, fin, payload) in cases {
        let Frame::Stream(read) = one(hex) else { panic!("{hex}") };
        assert_eq!((read.offset, read.aligned, read.fin), (offset, aligned, fin), "{hex}");
        assert_eq!((read.payload, read.end()), (payload, offset + payload.len() as u64), "{hex}");
    }
    let Frame::Skip(skip) = one("20 4057 02 4064 05 00 40c8") else { panic!() };
    assert_eq!(skip.ranges().collect::<Vec<_>>(), [(100, 5), (0, 200)]);
    let (token, key) = ("5a".repeat(16), "09".repeat(32));
    let Frame::Renew(half) = one(&format!("4040 03 0102030405060708 {token} {key}")) else {
        panic!()
    };
    assert_eq!((half.confirm, half.zone, half.id), (false, 3, 0x0102_0304_0506_0708));
    let Frame::Renew(half) = one(&format!("4041 4100 0102030405060708 {token} {key}")) else {
        panic!()
    };
    assert_eq!((half.confirm, half.zone, half.token), (true, 256, &[0x5a; 16]));
    let Frame::Forward(there) = one(&format!("4052 01 04 c0000207 115c {key} 04 6563686f")) else {
        panic!()
    };
    assert_eq!((there.count, there.route), (1, &b"echo"[..]));
}

#[test]
fn frames_that_the_page_forbids_are_refused() {
    for hex in [
        "4001 00", // PING's type in a longer varint
        "06",      // unknown types
        "3f",
        "4053",
        "01 0102030405060708 04",      // an unknown flag
        "01 01020304050607",           // cut off
        "03 05 00 06 00",              // below number 0
        "03 05 00 00 01 04 00",        // a range below number 0
        "03 44e8 00 00 4040",          // 64 further ranges
        "11 4057 04 616263",           // runs past its packet
        "13 40 03 026162",             // cut off in its varint
        "13 10 03 026162",             // aligned on a stream of bytes
        "13 4057 03 016140",           // cut inside a length
        "13 4057 03 400161",           // a message's length in a longer varint
        "18 4057 cfffffffffffffff 61", // ends at 2^60
        "20 4057 00",                  // a SKIP of nothing
        "20 4057 01 05 00",            // an empty range
        "20 10 01 05 01",              // on a stream of bytes
        "30 d000000000000000",         // 2^60
        "32 c400000000000000",         // 2^58
        "34 04 10",                    // an unknown limit
        "4051 02 00 02 ffff",          // no UTF-8
        "4052 00",                     // a referral to nowhere
    ] {
        refused(hex);
    }
    let long = format!("4051 02 00 4100 {}", "61".repeat(256));
    refused(&long);
    // The last message of an aligned frame may be cut behind its length.
    one("13 4057 06 0261620a6162");
}

#[test]
fn golden_packets_are_read() {
    let tag = "aa".repeat(16);
    let data = bytes(&format!("80 0102030405060708 1112 00 {tag}"));
    let Ok(Packet::Data(read)) = Packet::read(&data) else { panic!() };
    assert_eq!((read.id, read.number, read.number_len), (0x0102_0304_0506_0708, 0x1112, 2));
    assert_eq!((read.sealed, read.tag), (&[0][..], &[0xaa; 16]));
    let data = bytes(&format!("c0 0102030405060708 11121314 00 {tag}"));
    assert!(matches!(Packet::read(&data), Ok(Packet::Data(read)) if read.number == 0x1112_1314));
    let mut open = bytes(&format!("01 00000001 0102030405060708 02 0003 112233 {tag} 03 746f6b"));
    open.resize(1_200, 0);
    let Ok(Packet::Open(read)) = Packet::read(&open) else { panic!() };
    assert_eq!((read.suite.0, read.noise, read.token), (2, &[0x11, 0x22, 0x33][..], &b"tok"[..]));
    assert_eq!(read.front, &open[..35]);
    open[1_199] = 1;
    assert!(Packet::read(&open).is_err(), "R-OPEN-1b");
    assert!(Packet::read(&open[..1_199]).is_err());
    let read = bytes("02 0102030405060708 1122");
    assert!(matches!(Packet::read(&read), Ok(Packet::Challenge { noise: [0x11, 0x22], .. })));
    let read = bytes("04 0807060504030201 33");
    assert!(matches!(Packet::read(&read), Ok(Packet::Confirm { noise: [0x33], .. })));
    let read = bytes("05 0102030405060708 01 02 00000001 00000002");
    assert!(matches!(Packet::read(&read), Ok(Packet::Version { reason: 1, .. })));
    assert!(Packet::read(&read[..18]).is_err());
    let retry = bytes(&format!("03 0102030405060708 03 746f6b {tag}"));
    assert!(matches!(Packet::read(&retry), Ok(Packet::Retry { token: b"tok", .. })));
    let reset = bytes(&format!("06 {}", "5a".repeat(16)));
    assert!(matches!(Packet::read(&reset), Ok(Packet::Reset { token }) if *token == [0x5a; 16]));
    for wrong in [&[][..], &[0x81; 40], &[0x00; 40], &[0x07; 40], &reset[..16], &data[..20]] {
        assert!(Packet::read(wrong).is_err(), "R-WIRE-4: {wrong:?}");
    }
}

#[test]
fn golden_payloads_are_read() {
    let payload = bytes("757365722d696421 04 6563686f 05 01 07");
    let read = hello(&payload).unwrap();
    assert_eq!((read.user_id, read.route, read.limits.two_way), (b"user-id!", &b"echo"[..], 7));
    let payload = bytes("00 0102030405060708 05 01 07");
    assert!(matches!(answer(&payload), Ok(Answer::Accept(0x0102_0304_0506_0708, _))));
    assert_eq!(answer(&bytes("01 08 00")), Ok(Answer::Refuse(8, "")));
    assert_eq!(answer(&bytes("01 4101 04 66756c6c")), Ok(Answer::Refuse(0x101, "full")));
    assert!(answer(&bytes("03")).is_err() && answer(&bytes("01 08 00 00")).is_err());
    let all = "01 04 8000ea60 02 02 6710 03 04 81000001 04 04 80100000 05 01 10 06 02 43e8 \
               07 04 80020000 08 02 45ac 09 01 0a 0a 01 01 0b 10 5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a \
               0c 08 00000001 00000002";
    let read = limits(&bytes(all)).unwrap();
    assert_eq!((read.idle, read.connection_credit), (60_000, (1 << 24) + 1));
    assert_eq!((read.stream_credit, read.two_way, read.one_way), (1 << 20, 16, 1_000));
    assert_eq!((read.message, read.datagram, read.ack_delay), (1 << 17, 1_452, 10));
    assert_eq!(read.reset, Some([0x5a; 16]));
    assert_eq!(limits(&[]), Ok(Limits::default()));
    for wrong in ["05 01 07 05 01 07", "08 02 44af", "01 02 8000", "0b 01 00", "03 01 01"] {
        assert!(limits(&bytes(wrong)).is_err(), "{wrong}");
    }
}

#[test]
fn numbers_are_rebuilt_from_the_one_expected() {
    let data =
        |number: u32, number_len| Data { id: 0, number, number_len, sealed: &[], tag: &[0; 16] };
    assert_eq!(data(0x9b32, 2).number_near(0xa82f_30eb), 0xa82f_9b32, "RFC 9000 A.3");
    assert_eq!(data(0xffff, 2).number_near(0x1_0002), 0xffff);
    assert_eq!(data(3, 2).number_near(0xfffe), 0x1_0003);
    assert_eq!(data(0, 2).number_near(0), 0);
    assert_eq!(data(7, 4).number_near(u64::from(u32::MAX)), (1 << 32) + 7);
}

/// Whatever the bytes are, reading them ends, and legal ones keep their length.
#[test]
fn any_bytes_are_read_without_panic() {
    let mut random = tripline_sansio::Seed::from_number(26).random("wire");
    for _ in 0..20_000 {
        let mut any = vec![0; random.below(90) as usize];
        any.iter_mut().for_each(|byte| *byte = random.below(0x55) as u8);
        let mut all = frames(&any);
        let mut legal = 0;
        while let Some(Ok(frame)) = all.next() {
            legal += frame.encoded_len();
        }
        assert!(legal <= any.len());
        let _ = (Packet::read(&any), hello(&any), answer(&any), limits(&any));
    }
}
