use super::*;
use crate::wire::SessionId;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;

fn written(frame: &Frame<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    write_head(frame, &mut Writer::new(&mut out));
    out
}

/// R-CALL-1, N01: the golden bytes of PROTOCOL.md §2, each read back as what was written.
#[test]
fn r_call_1_golden_frames() {
    let (method, number) = (WireMethod::Number(9), 5);
    let plain = Deadline::Default;
    let again = Some(Serial { serial: 300, oldest: 298 });
    let golden = [
        (Frame::Call { number, method, deadline: plain, serial: None }, "21 05 09"),
        (Frame::Call { number: 70, method, deadline: Deadline::None, serial: None }, "01 40 46 09"),
        (
            Frame::Call { number, method, deadline: Deadline::Millis(250), serial: again },
            "c1 05 09 40 fa 41 2c 02",
        ),
        (
            Frame::Call { number, method: WireMethod::Index(1), deadline: plain, serial: None },
            "29 05 01",
        ),
        (Frame::Notify { method: WireMethod::Inline("hi") }, "12 02 68 69"),
        (Frame::Reply { number }, "03 05"),
        (Frame::Item { number }, "04 05"),
        (Frame::Fail { number, code: -2 }, "05 05 03"),
        (Frame::Refuse { number, refusal: 1 }, "0d 05 01"),
        (Frame::Control(Control::Cancel { number, turn: 2 }), "06 05 02"),
        (Frame::Control(Control::Name { number: 1, name: "hi" }), "0e 01 68 69"),
        (Frame::Control(Control::GoAway { grace_ms: 63 }), "16 3f"),
        (Frame::Control(Control::Window { number, turn: 2, bytes: 64 }), "1e 05 02 40 40"),
        (Frame::Control(Control::Settled { oldest: 7 }), "26 07"),
        (Frame::Control(Control::Ping), "2e"),
        (Frame::Control(Control::Pong), "36"),
        (Frame::Control(Control::Lane { lane: 9, stream: 20 }), "3e 09 14"),
        (Frame::Control(Control::Stream { stream: 20, name: "hi" }), "46 14 68 69"),
        (Frame::Control(Control::RefuseStream { stream: 20, reason: "no" }), "4e 14 6e 6f"),
    ];
    for (frame, hex) in golden {
        let bytes: Vec<u8> =
            hex.split(' ').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
        assert_eq!(written(&frame), bytes, "{frame:?}");
        assert_eq!(read(&bytes), Ok((frame, bytes.len())));
    }
}

/// R-CALL-1: what breaks a rule of the table is not read.
#[test]
fn r_call_1_malformed_frames() {
    let cases: [(&[u8], Malformed); 16] = [
        (&[], Malformed::Cut),
        (&[7], Malformed::Unknown),
        (&[0x08], Malformed::Unknown),
        (&[0x01], Malformed::Cut),
        (&[0x61, 0, 0], Malformed::Unknown),
        (&[0x19, 0, 0], Malformed::Unknown),
        (&[0x0b, 0], Malformed::Unknown),
        (&[0x15, 0, 0], Malformed::Unknown),
        (&[0x22, 0], Malformed::Unknown),
        (&[0x12, 0], Malformed::Range),
        (&[0x12, 1, 0xff], Malformed::Range),
        (&[0x03, 0x80, 0x10, 0, 0], Malformed::Range),
        (&[0x81, 0, 0, 1, 2], Malformed::Range),
        (&[0x2e, 0], Malformed::Range),
        (&[0x56], Malformed::Unknown),
        (&[0x46, 0x14], Malformed::Range),
    ];
    for (bytes, malformed) in cases {
        assert_eq!(read(bytes), Err(malformed), "{bytes:x?}");
    }
    let too_many = [0x0e, 0x44, 0x00, b'a'];
    assert_eq!(read(&too_many), Err(Malformed::Range), "a name's number of 1,024");
}

#[test]
fn codes_have_either_sign() {
    for code in [0, 1, -1, 63, i32::MAX, i32::MIN] {
        assert_eq!(unzigzag(zigzag(code)), Ok(code));
    }
    assert_eq!(unzigzag(1 << 33), Err(Malformed::Range));
}

fn any_method() -> impl Strategy<Value = (u8, u16, String)> {
    (0_u8..3, 0..NAMES_MAX, "[a-z]{1,40}")
}

fn method_of((form, number, name): &(u8, u16, String)) -> WireMethod<'_> {
    match form {
        0 => WireMethod::Number(*number),
        1 => WireMethod::Index(*number),
        _ => WireMethod::Inline(name),
    }
}

proptest! {
    /// Whatever can be written is read as it was, and the payload begins right behind.
    #[test]
    fn frames_survive_the_wire(
        number in 0..CALLS_LIMIT, method in any_method(), millis in 0_u64..1 << 50,
        form in 0_usize..3, serial in proptest::option::of((0_u64..1 << 40, 0_u64..1 << 20)),
        payload in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        let deadline = [Deadline::None, Deadline::Default, Deadline::Millis(millis)][form];
        let serial = serial.map(|(oldest, more): (u64, u64)| {
            let serial = oldest.saturating_add(more);
            Serial { serial, oldest }
        });
        let method = method_of(&method);
        for frame in [Frame::Call { number, method, deadline, serial }, Frame::Notify { method }] {
            let mut bytes = written(&frame);
            let head = bytes.len();
            bytes.extend_from_slice(&payload);
            prop_assert_eq!(read(&bytes), Ok((frame, head)));
        }
    }

    /// R-CALL-1: no bytes make the reader panic, and what it reads it writes alike.
    #[test]
    fn r_call_1_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        if let Ok((frame, end)) = read(&bytes)
            && !matches!(frame, Frame::Hello(_))
        {
            prop_assert_eq!(&written(&frame)[..], &bytes[..end]);
        }
    }
}

/// A HELLO is a frame like the others.
#[test]
fn a_hello_is_read_back() {
    let hello = Hello { session: SessionId([7; 16]), ..Hello::default() };
    let bytes = written(&Frame::Hello(hello));
    assert_eq!(read(&bytes), Ok((Frame::Hello(hello), bytes.len())));
    assert_eq!(vec![bytes[0]], [0]);
}
