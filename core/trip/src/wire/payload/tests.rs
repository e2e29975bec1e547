//! Golden payloads, truncation, and properties.
#![allow(clippy::arithmetic_side_effects)]

use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::wire::testing::{config, damage, damaged, hex, number};
use crate::wire::{ParameterProblem, Versions};

fn encode(payload: &ChallengePayload<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    payload.write(&mut out);
    out
}

/// T51, R-OPEN-4: the golden payload of OPEN; every cut before the parameters is an error.
#[test]
fn t51_golden_open_payload() {
    let parameters = Parameters { two_way_streams: 7, ..Parameters::default() };
    let payload = OpenPayload { user_id: *b"user-id!", route: b"echo", parameters };
    let bytes = hex("757365722d696421 04 6563686f 05 01 07");
    let mut out = Vec::new();
    payload.write(&mut out).unwrap();
    assert_eq!(out, bytes);
    assert_eq!(OpenPayload::parse(&bytes), Ok(payload));
    for cut in 0..bytes.len() {
        match OpenPayload::parse(&bytes[..cut]) {
            Ok(shorter) => {
                assert_eq!(cut, 13, "only without parameters");
                assert_eq!(shorter.parameters, Parameters::default());
            }
            Err(error) => {
                let code = if cut < 13 { Code::PROTOCOL } else { Code::PARAMETER };
                assert_eq!(error.code(), code, "{cut}");
            }
        }
    }
}

/// T52: the golden payloads of CHALLENGE.
#[test]
fn t52_t57_golden_challenge_payloads() {
    let referral = hex("01 04 c0000207 115c \
        0909090909090909090909090909090909090909090909090909090909090909 04 6563686f");
    let parameters = Parameters { two_way_streams: 7, ..Parameters::default() };
    for (text, payload) in [
        (
            "00 0102030405060708 05 01 07",
            ChallengePayload::Accept { server_id: 0x0102_0304_0506_0708, parameters },
        ),
        ("01 08 00", ChallengePayload::Refuse { code: Code::BUSY, reason: "" }),
        (
            "01 4101 04 66756c6c",
            ChallengePayload::Refuse { code: Code::application(1), reason: "full" },
        ),
        (
            "02 01 04 c0000207 115c \
             0909090909090909090909090909090909090909090909090909090909090909 04 6563686f",
            ChallengePayload::Forward(ReferralBody::parse(&referral).unwrap()),
        ),
    ] {
        let bytes = hex(text);
        assert_eq!(encode(&payload), bytes);
        assert_eq!(ChallengePayload::parse(&bytes), Ok(payload));
        for cut in 0..bytes.len() {
            if cut != 9 || bytes[0] != 0 {
                assert!(ChallengePayload::parse(&bytes[..cut]).is_err(), "{text} cut to {cut}");
            }
        }
    }
}

/// R-CHAL-1, R-WIRE: referrals are told apart from nonsense; what does not fit is refused.
#[test]
fn r_chal_1_broken_payloads_are_named() {
    let parse = |text: &str| ChallengePayload::parse(&hex(text)).map(|_| ());
    let short = ReferralError::Read(ReadError::Short { missing: 32 });
    assert_eq!(parse("02 01 04 7f000001 1234"), Err(PayloadError::Referral(short)));
    assert_eq!(parse("02 00"), Err(PayloadError::Referral(ReferralError::Count)));
    assert_eq!(parse("03"), Err(PayloadError::Kind(3)));
    assert_eq!(parse("01 08 00 00"), Err(PayloadError::Length));
    assert_eq!(parse("01 08 01 ff"), Err(PayloadError::Text(TextError::NotUtf8)));
    assert_eq!(parse("01 4008 00"), Err(PayloadError::Read(ReadError::NotShortest)));
    assert_eq!(parse(""), Err(PayloadError::Read(ReadError::Short { missing: 1 })));
    let Err(PayloadError::Parameter(error)) = parse("00 0102030405060708 05 01 07 05 01 07") else {
        panic!()
    };
    assert_eq!((error.id(), error.problem()), (5, ParameterProblem::Twice));
    assert_eq!(PayloadError::Parameter(error).code(), Code::PARAMETER);
    assert_eq!(PayloadError::Referral(ReferralError::Count).code(), Code::PROTOCOL);
}

/// §2.3: a payload of 512 bytes is read, one of 513 is not; nothing that is written comes near.
#[test]
fn r_chal_1_payloads_have_a_bound() {
    // Accept with an unknown parameter as filling: id, length (2), value.
    let mut bytes = hex("00 0102030405060708 0d 41f4");
    bytes.resize(CHALLENGE_PAYLOAD_MAX, 0);
    assert!(ChallengePayload::parse(&bytes).is_ok());
    let mut bytes = hex("00 0102030405060708 0d 41f5");
    bytes.resize(CHALLENGE_PAYLOAD_MAX + 1, 0);
    assert_eq!(ChallengePayload::parse(&bytes), Err(PayloadError::Length));

    let reason = "x".repeat(1000);
    let code = Code::new(Code::MAX).unwrap();
    let refusal = encode(&ChallengePayload::Refuse { code, reason: &reason });
    assert_eq!(refusal.len(), 1 + 8 + 2 + 255);
    assert_eq!(
        ChallengePayload::parse(&refusal),
        Ok(ChallengePayload::Refuse { code, reason: &"x".repeat(255) })
    );
}

/// R-OPEN-4: the longest route is written and read, a longer one leaves nothing behind; with all
/// parameters it fits the Noise message.
#[test]
fn r_open_4_routes_have_a_bound() {
    let parameters = Parameters {
        reset_token: Some([1; 16]),
        versions: Versions::new(&[1; Versions::MAX]).unwrap(),
        ..Parameters::default()
    };
    let mut out = vec![];
    let long = [b'r'; ROUTE_MAX + 1];
    let mut payload = OpenPayload { user_id: [0; 8], route: &long, parameters };
    assert_eq!(payload.write(&mut out), Err(PayloadError::Length));
    assert!(out.is_empty());
    payload.route = &long[1..];
    payload.write(&mut out).unwrap();
    assert_eq!(OpenPayload::parse(&out), Ok(payload));
    assert!(out.len() < 512);
}

proptest! {
    #![proptest_config(config())]

    /// T71: payloads read back as they were written.
    #[test]
    fn t71_payloads_round_trip(
        user_id in any::<[u8; 8]>(),
        route in proptest::collection::vec(any::<u8>(), 0..=ROUTE_MAX),
        streams in number(58),
        server_id in any::<u64>(),
        code in number(62),
        reason in "\\PC{0,63}",
    ) {
        let parameters = Parameters { one_way_streams: streams, ..Parameters::default() };
        let open = OpenPayload { user_id, route: &route, parameters };
        let mut bytes = Vec::new();
        open.write(&mut bytes).unwrap();
        prop_assert_eq!(OpenPayload::parse(&bytes), Ok(open));
        let code = Code::new(code).unwrap();
        for answer in [
            ChallengePayload::Accept { server_id, parameters },
            ChallengePayload::Refuse { code, reason: &reason },
        ] {
            let again = encode(&answer);
 prop_assert_eq!(ChallengePayload::parse(&again), Ok(answer));
        }
    }

    /// R-WIRE, T71: no bytes make the parsers panic; what they take is written and read to the
    /// same.
    #[test]
    fn r_wire_arbitrary_payloads_never_panic(
        kind in 0..4_u8,
        bytes in proptest::collection::vec(any::<u8>(), 0..80),
        damage in damage(),
        reason in "\\PC{0,63}",
    ) {
        let refusal = encode(&ChallengePayload::Refuse { code: Code::BUSY, reason: &reason });
        let mut marked = bytes.clone();
        marked.insert(0, kind);
        for bytes in [bytes, marked, damaged(refusal, &damage)] {
            if let Ok(open) = OpenPayload::parse(&bytes) {
                let mut again = Vec::new();
                open.write(&mut again).unwrap();
                prop_assert_eq!(OpenPayload::parse(&again), Ok(open));
            }
            if let Ok(answer) = ChallengePayload::parse(&bytes) {
                let again = encode(&answer);
 prop_assert_eq!(ChallengePayload::parse(&again), Ok(answer));
            }
        }
    }
}
