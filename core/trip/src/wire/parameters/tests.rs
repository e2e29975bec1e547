//! Golden parameters, each rule with a parameter that breaks it, and properties.
#![allow(clippy::arithmetic_side_effects)]

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::wire::Code;
use crate::wire::testing::{config, damage, damaged, hex, number};

fn encode(parameters: &Parameters) -> Vec<u8> {
    let mut out = Vec::new();
    parameters.write(&mut out);
    out
}

/// All parameters, none at its default.
fn full() -> Parameters {
    Parameters {
        idle_timeout_ms: 60_000,
        keep_alive_ms: 10_000,
        connection_credit: (1 << 24) + 1,
        stream_credit: 1 << 20,
        two_way_streams: 16,
        one_way_streams: 1000,
        message_max: 1 << 17,
        datagram_max: 1452,
        ack_delay_ms: 10,
        features: Parameters::SINGLE,
        reset_token: Some([0x5a; 16]),
        versions: Versions::new(&[1, 2]).unwrap(),
    }
}

/// T51, T52, R-PARAM: the golden list: every parameter once, in the order of its number.
#[test]
fn t51_t52_golden_parameters() {
    let bytes = hex("01 04 8000ea60
                     02 02 6710
                     03 04 81000001
                     04 04 80100000
                     05 01 10
                     06 02 43e8
                     07 04 80020000
                     08 02 45ac
                     09 01 0a
                     0a 01 01
                     0b 10 5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a
                     0c 08 00000001 00000002");
    assert_eq!(encode(&full()), bytes);
    assert_eq!(Parameters::parse(&bytes), Ok(full()));
    for cut in 1..bytes.len() {
        match Parameters::parse(&bytes[..cut]) {
            // Between two parameters the list is whole, only shorter.
            Ok(shorter) => assert_eq!(encode(&shorter), &bytes[..cut]),
            Err(error) => assert_eq!(error.code(), Code::PARAMETER),
        }
    }
}

/// R-PARAM-3: what is absent has its default; defaults are not written and are in range.
#[test]
fn r_param_absent_ones_take_their_defaults() {
    let default = Parameters::default();
    assert_eq!(default.check(), Ok(()));
    assert!(encode(&default).is_empty());
    assert_eq!(Parameters::parse(&[]), Ok(default));
    assert_eq!(default.connection_credit, 16 * default.stream_credit);
    // The connection's credit follows the stream's where it is not sent.
    let parsed = Parameters::parse(&hex("04 04 80100000")).unwrap();
    assert_eq!((parsed.stream_credit, parsed.connection_credit), (1 << 20, 1 << 24));
    assert_eq!(encode(&parsed), hex("04 04 80100000"));
    // Also where 16 times as much would be out of range.
    let parsed = Parameters::parse(&hex("04 08 cfffffffffffffff")).unwrap();
    assert_eq!((parsed.stream_credit, parsed.connection_credit), ((1 << 60) - 1, (1 << 60) - 1));
}

/// R-PARAM-2: unknown parameters are ignored wherever they stand, known ones among them are not.
#[test]
fn r_param_unknown_ones_are_ignored() {
    let bytes = hex("00 00  0d 03 616263  05 01 07  7fff 01 ff  0d 00  ffffffffffffffff 00");
    let parsed = Parameters::parse(&bytes).unwrap();
    assert_eq!(parsed, Parameters { two_way_streams: 7, ..Parameters::default() });
}

/// R-PARAM-1, R-WIRE-1, T72: each broken rule names its parameter and how it is broken.
#[test]
fn r_param_t72_broken_rules_are_named() {
    use ParameterProblem::{Malformed, Range, Twice};
    for (text, id, problem) in [
        // Cut off, not shortest, not filled, empty.
        ("40", 0, Malformed),
        ("01", 1, Malformed),
        ("01 02 40", 1, Malformed),
        ("4001 01 05", 0, Malformed),
        ("01 4001 05", 1, Malformed),
        ("01 02 4005", 1, Malformed),
        ("01 02 0505", 1, Malformed),
        ("01 00", 1, Malformed),
        ("08 00", 8, Malformed),
        ("0b 0f 000000000000000000000000000000", 11, Malformed),
        ("0b 11 0000000000000000000000000000000000", 11, Malformed),
        ("0c 03 000000", 12, Malformed),
        ("4fff 02 00", 0x0fff, Malformed),
        // Twice, the same value or another.
        ("05 01 07 05 01 07", 5, Twice),
        (
            "0b 10 00000000000000000000000000000000 0b 10 00000000000000000000000000000000",
            11,
            Twice,
        ),
        ("0c 00 0c 00", 12, Twice),
        ("01 01 00 02 01 00 01 01 00", 1, Twice),
        // Out of range by themselves.
        ("01 08 c000000100000000", 1, Range),
        ("02 08 c000000100000000", 2, Range),
        ("03 08 d000000000000000", 3, Range),
        ("04 08 d000000000000000", 4, Range),
        ("05 08 c400000000000000", 5, Range),
        ("06 08 c400000000000000", 6, Range),
        ("07 08 c000000040000000 04 08 c000000080000000", 7, Range),
        ("08 02 44af", 8, Range),
        ("08 04 80010000", 8, Range),
        ("09 04 80004000", 9, Range),
        // Out of range beside each other: 65,536 + 8 is the least credit.
        ("03 04 80010007", 3, Range),
        ("04 04 80010007 03 04 80010008", 4, Range),
        ("07 04 8003fff9", 4, Range),
    ] {
        let error = Parameters::parse(&hex(text)).expect_err(text);
        assert_eq!((error.id(), error.problem()), (id, problem), "{text}");
        assert_eq!(error.code(), Code::PARAMETER);
    }
    let mut versions = hex("0c 4044");
    versions.extend_from_slice(&[0; 68]);
    let error = Parameters::parse(&versions).unwrap_err();
    assert_eq!((error.id(), error.problem()), (12, Range), "17 versions");
    assert_eq!(
        Parameters::parse(&hex("04 04 80010007 03 04 80010008")).unwrap_err().to_string(),
        "parameter 4 (stream credit) is out of range"
    );
}

/// R-PARAM-1: the edges of the ranges are good.
#[test]
fn r_param_edges_are_in_range() {
    for text in [
        "01 04 bfffffff",
        "01 08 c0000000ffffffff",
        "03 04 80010008",
        "04 04 80010008",
        "05 08 c3ffffffffffffff",
        "07 04 8003fff8",
        "07 04 bfffffff 04 08 c000000040000007",
        "07 01 00 04 01 08 03 01 08",
        "08 02 44b0",
        "08 04 8000ffff",
        "09 02 7fff",
        "0a 08 ffffffffffffffff",
        "0c 00",
    ] {
        assert!(Parameters::parse(&hex(text)).is_ok(), "{text}");
    }
    let wide = Parameters { features: 1 << 62, ..Parameters::default() };
    assert_eq!(wide.check().unwrap_err().id(), 10);
}

/// §2.3: even at their longest the parameters leave a CHALLENGE far below its bound.
#[test]
fn r_param_the_longest_list_is_short() {
    let most = Parameters {
        idle_timeout_ms: Parameters::TIME_LIMIT_MS - 1,
        keep_alive_ms: Parameters::TIME_LIMIT_MS - 1,
        connection_credit: OFFSET_LIMIT - 2,
        stream_credit: OFFSET_LIMIT - 1,
        two_way_streams: StreamId::INDEX_LIMIT - 1,
        one_way_streams: StreamId::INDEX_LIMIT - 1,
        message_max: Parameters::MESSAGE_LIMIT - 1,
        datagram_max: u16::MAX,
        ack_delay_ms: Parameters::ACK_DELAY_LIMIT_MS - 1,
        features: (1 << 62) - 1,
        reset_token: Some([1; 16]),
        versions: Versions::new(&[1; Versions::MAX]).unwrap(),
    };
    let bytes = encode(&most);
    assert_eq!(Parameters::parse(&bytes), Ok(most));
    assert!(bytes.len() <= 180, "{}", bytes.len());
    assert_eq!(Versions::new(&[1; Versions::MAX + 1]), None);
}

/// A reset token ends connections: it does not get into logs.
#[test]
fn r_reset_2_the_token_is_not_printed() {
    let text = format!("{:?}", full());
    assert!(text.contains("has_reset_token: true") && text.contains("versions: [1, 2]"), "{text}");
    assert!(!text.contains("90") && !text.contains("5a"), "{text}");
}

fn parameters() -> impl Strategy<Value = Parameters> {
    let times = (number(32), number(32), 0..Parameters::ACK_DELAY_LIMIT_MS);
    let streams = (number(58), number(58), number(62));
    // The message is kept below both credits, the credits within their range.
    let credits = (number(60), number(60), number(30));
    let rest = (
        Parameters::DATAGRAM_LEAST..=u16::MAX,
        any::<Option<[u8; 16]>>(),
        proptest::collection::vec(any::<u32>(), 0..=Versions::MAX),
    );
    (times, streams, credits, rest).prop_map(|(times, streams, credits, rest)| Parameters {
        idle_timeout_ms: times.0,
        keep_alive_ms: times.1,
        connection_credit: credits.0.max(8),
        stream_credit: credits.1.max(8),
        two_way_streams: streams.0,
        one_way_streams: streams.1,
        message_max: credits.2.min(credits.0.max(8) - 8).min(credits.1.max(8) - 8),
        datagram_max: rest.0,
        ack_delay_ms: times.2,
        features: streams.2,
        reset_token: rest.1,
        versions: Versions::new(&rest.2).unwrap(),
    })
}

proptest! {
    #![proptest_config(config())]

    /// T71, R-PARAM: parameters in range read back as they were written.
    #[test]
    fn t71_parameters_round_trip(parameters in parameters()) {
        prop_assert_eq!(parameters.check(), Ok(()));
        prop_assert_eq!(Parameters::parse(&encode(&parameters)), Ok(parameters));
    }

    /// R-PARAM, T71: no bytes make the parser panic; what it takes is in range and written
    /// canonically.
    #[test]
    fn r_param_arbitrary_bytes_never_panic(
        parameters in parameters(),
        damage in damage(),
        noise in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        for bytes in [damaged(encode(&parameters), &damage), noise] {
            if let Ok(parsed) = Parameters::parse(&bytes) {
                prop_assert_eq!(parsed.check(), Ok(()));
                prop_assert_eq!(Parameters::parse(&encode(&parsed)), Ok(parsed));
            }
        }
    }
}
