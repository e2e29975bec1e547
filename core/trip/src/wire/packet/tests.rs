//! Golden bytes of every packet, wrong lengths and bits, packet numbers, and properties.
#![allow(clippy::arithmetic_side_effects)]

use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::data::{DATA_HEADER_LONG, DATA_HEADER_SHORT};
use super::open::{MAC1_LEN, OPEN_LEAST};
use super::*;
use crate::wire::testing::{config, damage, damaged, hex, number};

/// The longest token: its length has one byte.
const TOKEN_MAX: usize = 255;
/// What DATA with a packet number of two bytes adds to its plaintext.
const DATA_OVERHEAD_SHORT: usize = DATA_HEADER_SHORT + TAG_LEN;
const MAC: [u8; MAC1_LEN] = [0xaa; MAC1_LEN];

/// An OPEN with the mac `0xaa…`.
fn open(noise: &[u8], token: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_open(&mut out, 1, 0x0102_0304_0506_0708, 2, noise, |_| MAC, token).unwrap();
    out
}

/// R-WIRE-4: of all 256 first bytes, two are DATA and six the other packets; reserved bits and the
/// rest are nothing.
#[test]
fn r_wire_first_bytes() {
    let known: Vec<_> = (0..=255_u8).filter_map(|first| Some((first, classify(first)?))).collect();
    assert_eq!(
        known,
        [
            (0x01, PacketKind::Open),
            (0x02, PacketKind::Challenge),
            (0x03, PacketKind::Retry),
            (0x04, PacketKind::Confirm),
            (0x05, PacketKind::Version),
            (0x06, PacketKind::Reset),
            (0x07, PacketKind::Ddns),
            (0x80, PacketKind::Data),
            (0xc0, PacketKind::Data),
        ]
    );
}

/// T51, R-OPEN-1: the golden OPEN, without token and with one: bytes, the starts that are hashed,
/// zeros.
#[test]
fn t51_golden_open() {
    for (token, text) in [
        (
            &b""[..],
            "01 00000001 0102030405060708 02 0003 112233 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 00",
        ),
        (
            b"tok",
            "01 00000001 0102030405060708 02 0003 112233 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa \
             03 746f6b",
        ),
    ] {
        let fields = hex(text);
        let bytes = open(&[0x11, 0x22, 0x33], token);
        assert_eq!(bytes.len(), OPEN_LEAST);
        let (start, zeros) = bytes.split_at(fields.len());
        assert_eq!(start, fields);
        assert!(zeros.iter().all(|byte| *byte == 0));

        let parsed = Open::parse(&bytes).unwrap();
        assert_eq!((parsed.version, parsed.client_id), (1, 0x0102_0304_0506_0708));
        assert_eq!((parsed.suite, parsed.noise), (2, &[0x11, 0x22, 0x33][..]));
        assert_eq!((parsed.mac1, parsed.token), (MAC, token));
        assert_eq!(parsed.through_suite, &bytes[..14]);
        assert_eq!(parsed.before_mac1, &bytes[..19]);
        assert_eq!(parsed.through_mac1, &bytes[..35]);
        assert!(parsed.padding_is_zero());
        assert_eq!(through_suite(1, 0x0102_0304_0506_0708, 2), parsed.through_suite);
        assert_eq!(
            OpenPrefix::parse(&bytes),
            Ok(OpenPrefix { version: 1, client_id: 0x0102_0304_0506_0708 })
        );
    }
}

/// T52: the golden CHALLENGE and CONFIRM, and the VERSION of §2.4.
#[test]
fn t52_golden_challenge_confirm_and_version() {
    let mut out = Vec::new();
    let challenge = Challenge { client_id: 0x0102_0304_0506_0708, noise: &[0x11, 0x22] };
    challenge.write(&mut out).unwrap();
    assert_eq!(out, hex("02 0102030405060708 1122"));
    assert_eq!(Challenge::parse(&out), Ok(challenge));
    assert_eq!(Confirm::parse(&out), Err(PacketError::Kind));

    out.clear();
    let confirm = Confirm { server_id: 0x0807_0605_0403_0201, noise: &[0x33] };
    confirm.write(&mut out).unwrap();
    assert_eq!(out, hex("04 0807060504030201 33"));
    assert_eq!(Confirm::parse(&out), Ok(confirm));
    assert_eq!(Challenge::parse(&out), Err(PacketError::Kind));

    for (reason, text) in [
        (VersionReason::Version, "05 0102030405060708 01 02 00000001 00000002"),
        (VersionReason::Suite, "05 0102030405060708 02 02 00000001 00000002"),
        (VersionReason::Key, "05 0102030405060708 03 02 00000001 00000002"),
    ] {
        out.clear();
        write_version(&mut out, 0x0102_0304_0506_0708, reason, &[1, 2]);
        assert_eq!(out, hex(text));
        let hint = VersionHint::parse(&out).unwrap();
        assert_eq!((hint.client_id, hint.reason), (0x0102_0304_0506_0708, reason));
        assert!(hint.versions().eq([1, 2]));
    }
}

/// T56, R-DATA-1: the golden headers of DATA and their overhead.
#[test]
fn t56_golden_data_headers() {
    assert_eq!((DATA_HEADER_SHORT, DATA_HEADER_LONG), (11, 13));
    assert_eq!((DATA_OVERHEAD_SHORT, DATA_OVERHEAD_LONG), (27, 29));
    let id = 0x0102_0304_0506_0708;
    for (number, text, overhead) in [
        (TruncatedNumber::Short(0x1112), "80 0102030405060708 1112", DATA_OVERHEAD_SHORT),
        (TruncatedNumber::Long(0x1112_1314), "c0 0102030405060708 11121314", DATA_OVERHEAD_LONG),
    ] {
        let header = DataHeader { id, number };
        let mut packet = Vec::new();
        header.write(&mut packet);
        assert_eq!(packet, hex(text));
        assert_eq!(packet.len(), header.header_len());
        packet.resize(overhead, 0xff);
        assert_eq!(DataHeader::parse(&packet), Ok(header));
        for cut in 0..overhead {
            assert_eq!(DataHeader::parse(&packet[..cut]), Err(PacketError::Length), "{cut}");
        }
        for bit in 0..6 {
            packet[0] ^= 1 << bit;
            assert_eq!(DataHeader::parse(&packet), Err(PacketError::Kind), "R-WIRE, bit {bit}");
            packet[0] ^= 1 << bit;
        }
    }
}

/// R-OPEN-1, R-HAND-3: a pad byte that is not zero parses (length comes first) and shows when
/// asked.
#[test]
fn r_open_1_padding_is_a_check_of_its_own() {
    let bytes = open(&[1; 40], b"token");
    let first_pad = 14 + 2 + 40 + 16 + 1 + 5;
    for at in [first_pad, 600, OPEN_LEAST - 1] {
        let mut bytes = bytes.clone();
        bytes[at] = 1;
        assert!(!Open::parse(&bytes).unwrap().padding_is_zero(), "{at}");
    }
    let mut bytes = bytes;
    bytes[first_pad - 1] ^= 1;
    assert!(Open::parse(&bytes).unwrap().padding_is_zero(), "the token is no padding");
}

/// R-OPEN-2: a repeat with a token is the same up to and with mac1; mac1 covers all before it, and
/// only this packet.
#[test]
fn r_open_2_repeats_share_their_start() {
    let noise = [7; 96];
    let mut out = b"another packet".to_vec();
    let mut covered = Vec::new();
    let mac1 = |bytes: &[u8]| {
        covered = bytes.to_vec();
        MAC
    };
    write_open(&mut out, 9, 5, 1, &noise, mac1, b"").unwrap();
    let first = out.split_off(14);
    assert_eq!(out, b"another packet");
    assert_eq!(Open::parse(&first).unwrap().before_mac1, covered);

    let shared = Open::parse(&first).unwrap().through_mac1;
    for token in [&b""[..], b"token", &[1; TOKEN_MAX]] {
        let mut again = Vec::new();
        write_open(&mut again, 9, 5, 1, &noise, |_| MAC, token).unwrap();
        assert_eq!(again.len(), OPEN_LEAST);
        let parsed = Open::parse(&again).unwrap();
        assert_eq!((parsed.through_mac1, parsed.token), (shared, token));
        assert!(parsed.padding_is_zero());
        assert_eq!(again == first, token.is_empty());
    }
}

/// R-OPEN-4, R-WIRE: lengths of OPEN: the least, the longest Noise message, fields beyond the end.
#[test]
fn r_open_4_lengths() {
    let bytes = open(&[1; 32], b"");
    for cut in 1..OPEN_LEAST {
        assert_eq!(Open::parse(&bytes[..cut]), Err(PacketError::Length), "{cut}");
        assert_eq!(OpenPrefix::parse(&bytes[..cut]), Err(PacketError::Length), "{cut}");
    }
    let mut longer = bytes.clone();
    longer.resize(65_000, 0);
    assert!(Open::parse(&longer).unwrap().padding_is_zero());

    // The most of everything is longer than the least length, and is not padded.
    let most = open(&[1; NOISE_MAX], &[2; TOKEN_MAX]);
    assert_eq!(most.len(), 14 + 2 + NOISE_MAX + MAC1_LEN + 1 + TOKEN_MAX);
    assert_eq!(Open::parse(&most).unwrap().noise.len(), NOISE_MAX);
    for cut in OPEN_LEAST..most.len() {
        assert_eq!(Open::parse(&most[..cut]), Err(PacketError::Length), "{cut}");
    }
    let mut out = vec![1];
    for (noise, token) in [(NOISE_MAX + 1, 0), (70_000, 0), (1, TOKEN_MAX + 1)] {
        let (noise, token) = (vec![1; noise], vec![2; token]);
        let written = write_open(&mut out, 1, 2, 3, &noise, |_| MAC, &token);
        assert_eq!(written, Err(PacketError::Length));
    }
    assert_eq!(out, [1], "what cannot be written leaves nothing behind");
    let mut long_noise = bytes;
    long_noise[14..16].copy_from_slice(&1025_u16.to_be_bytes());
    long_noise.resize(2000, 0);
    assert_eq!(Open::parse(&long_noise), Err(PacketError::Length));
    assert_eq!(Open::parse(&[2; 1200]), Err(PacketError::Kind));
}

/// R-VERS-1: an OPEN of an unknown version shows its version and ID, whatever follows them.
#[test]
fn r_vers_1_the_prefix_is_the_same_in_all_versions() {
    let mut bytes = vec![0xff; OPEN_LEAST];
    bytes[..13].copy_from_slice(&hex("01 000000ff 0102030405060708"));
    assert_eq!(
        OpenPrefix::parse(&bytes),
        Ok(OpenPrefix { version: 0xff, client_id: 0x0102_0304_0506_0708 })
    );
    assert_eq!(Open::parse(&bytes), Err(PacketError::Length));
}

/// R-WIRE-4: wrong lengths of CHALLENGE, CONFIRM and VERSION; an unknown reason.
#[test]
fn r_wire_lengths_of_the_answers() {
    let challenge = hex("02 0102030405060708 11");
    let confirm = hex("04 0102030405060708 11");
    let version = hex("05 0102030405060708 01 01 00000001");
    for cut in 0..challenge.len() {
        assert_eq!(Challenge::parse(&challenge[..cut]), Err(PacketError::Length));
        assert_eq!(Confirm::parse(&confirm[..cut]), Err(PacketError::Length));
    }
    for cut in 0..version.len() {
        assert!(VersionHint::parse(&version[..cut]).is_err());
    }
    let longer = [&version[..], &[0]].concat();
    assert_eq!(VersionHint::parse(&longer), Err(PacketError::Length));
    assert_eq!(VersionHint::parse(&challenge), Err(PacketError::Kind));
    for reason in [0, 4, 255] {
        let mut version = version.clone();
        version[9] = reason;
        assert_eq!(VersionHint::parse(&version), Err(PacketError::Value));
    }
    let none = hex("05 0102030405060708 01 00");
    assert_eq!(VersionHint::parse(&none).unwrap().versions().count(), 0);

    let noise = [1; NOISE_MAX + 1];
    let mut out = Vec::new();
    for noise in [&noise[..], &[]] {
        assert_eq!(Challenge { client_id: 1, noise }.write(&mut out), Err(PacketError::Length));
        assert_eq!(Confirm { server_id: 1, noise }.write(&mut out), Err(PacketError::Length));
    }
    assert!(out.is_empty());
    Challenge { client_id: 1, noise: &noise[1..] }.write(&mut out).unwrap();
    assert!(Challenge::parse(&out).is_ok());
    assert!(out.len() < OPEN_LEAST, "R-HAND-1: an answer is smaller than its cause");
    out.push(1);
    assert_eq!(Challenge::parse(&out), Err(PacketError::Length));

    out.clear();
    write_version(&mut out, 1, VersionReason::Key, &[7; 300]);
    assert_eq!(VersionHint::parse(&out).unwrap().versions().count(), 255);
    assert!(out.len() < OPEN_LEAST, "R-HAND-1: an answer is smaller than its cause");
}

/// R-DATA-3: the example of RFC 9000 A.3, the switch from two bytes to four, and the ends of the
/// range.
#[test]
fn r_data_3_packet_numbers() {
    assert_eq!(TruncatedNumber::Short(0x9b32).expand(Some(0xa82f_30ea)), Some(0xa82f_9b32));
    for (number, acked, short) in [
        (0, None, true),
        ((1 << 14) - 2, None, true),
        ((1 << 14) - 1, None, false),
        ((1 << 14) - 1, Some(0), true),
        (1 << 14, Some(0), false),
        (100 + (1 << 14), Some(101), true),
        (100 + (1 << 14), Some(100), false),
        (NUMBER_LIMIT - 1, Some(NUMBER_LIMIT - 2), true),
    ] {
        let truncated = TruncatedNumber::new(number, acked);
        assert_eq!(matches!(truncated, TruncatedNumber::Short(_)), short, "{number} {acked:?}");
        assert_eq!(truncated.expand(acked), Some(number));
    }
    // Before anything verified, numbers are the smallest with these bytes.
    assert_eq!(TruncatedNumber::Short(0xffff).expand(None), Some(0xffff));
    assert_eq!(TruncatedNumber::Long(u32::MAX).expand(None), Some(u32::MAX.into()));
    // At equal distance the higher of two numbers wins, as in RFC 9000 A.3.
    assert_eq!(TruncatedNumber::Short(0).expand(Some(0x1_7fff)), Some(0x2_0000));
    assert_eq!(TruncatedNumber::Short(0x8000).expand(Some(0xffff)), Some(0x1_8000));
    // Near the upper end nothing wraps, and what would lie above the limit is the one below.
    assert_eq!(
        TruncatedNumber::Short(0).expand(Some(NUMBER_LIMIT - 2)),
        Some(NUMBER_LIMIT - 0x1_0000)
    );
    assert_eq!(
        TruncatedNumber::Short(0xffff).expand(Some(NUMBER_LIMIT - 1)),
        Some(NUMBER_LIMIT - 1)
    );
    assert_eq!(TruncatedNumber::Short(0).expand(Some(NUMBER_LIMIT - 1)), None);
    assert_eq!(TruncatedNumber::Short(0).expand(Some(u64::MAX)), None);
}

proptest! {
    #![proptest_config(config())]

    /// R-DATA-3: what was sent is rebuilt while the receiver lags or leads as far as the rule
    /// allows.
    #[test]
    fn r_data_3_numbers_are_rebuilt(
        acked in number(61),
        ahead in 1..1_u64 << 31,
        seen in any::<u64>(),
    ) {
        let number = acked + ahead;
        let truncated = TruncatedNumber::new(number, Some(acked));
        // The receiver has verified something from the acknowledged one up, this one's successors
        // within the window's half included.
        let reach = if ahead < 1 << 14 { 1 << 14 } else { 1 << 30 };
        let largest = acked + seen % (ahead + reach);
        prop_assert_eq!(truncated.expand(Some(largest)), Some(number));
    }

    /// R-DATA-3: whatever is rebuilt ends in the bytes sent, and is the nearest such number.
    #[test]
    fn r_data_3_the_nearest_number_wins(
        low in any::<u32>(),
        short in any::<bool>(),
        largest in number(62),
    ) {
        let [_, _, a, b] = low.to_be_bytes();
        let (truncated, low, window) = if short {
            let low = u16::from_be_bytes([a, b]);
            (TruncatedNumber::Short(low), u64::from(low), 1_u64 << 16)
        } else {
            (TruncatedNumber::Long(low), u64::from(low), 1 << 32)
        };
        if let Some(number) = truncated.expand(Some(largest)) {
            prop_assert_eq!(number % window, low);
            let off = number.abs_diff(largest + 1);
            prop_assert!(off <= window / 2 || number < window || number + window >= NUMBER_LIMIT);
        }
    }

    /// T71, R-OPEN-2: OPEN reads back as it was written.
    #[test]
    fn t71_open_round_trips(
        version in any::<u32>(),
        client_id in any::<u64>(),
        suite in any::<u8>(),
        noise in proptest::collection::vec(any::<u8>(), 0..=NOISE_MAX),
        mac in any::<[u8; MAC1_LEN]>(),
        token in proptest::collection::vec(any::<u8>(), 0..=TOKEN_MAX),
    ) {
        let mut bytes = Vec::new();
        write_open(&mut bytes, version, client_id, suite, &noise, |_| mac, &token).unwrap();
        let open = Open::parse(&bytes).unwrap();
        prop_assert_eq!((open.version, open.client_id, open.suite), (version, client_id, suite));
        prop_assert_eq!((open.noise, open.mac1, open.token), (&noise[..], mac, &token[..]));
        prop_assert!(open.padding_is_zero());
    }

    /// T71: CHALLENGE, CONFIRM, VERSION and DATA read back as they were written.
    #[test]
    fn t71_the_other_packets_round_trip(
        id in any::<u64>(),
        noise in proptest::collection::vec(any::<u8>(), 1..=NOISE_MAX),
        versions in proptest::collection::vec(any::<u32>(), 0..=255),
        low in any::<u32>(),
    ) {
        let mut bytes = Vec::new();
        let challenge = Challenge { client_id: id, noise: &noise };
        challenge.write(&mut bytes).unwrap();
        prop_assert_eq!(Challenge::parse(&bytes), Ok(challenge));
        bytes.clear();
        let confirm = Confirm { server_id: id, noise: &noise };
        confirm.write(&mut bytes).unwrap();
        prop_assert_eq!(Confirm::parse(&bytes), Ok(confirm));
        bytes.clear();
        write_version(&mut bytes, id, VersionReason::Suite, &versions);
        let hint = VersionHint::parse(&bytes).unwrap();
        prop_assert_eq!(hint.client_id, id);
        prop_assert!(hint.versions().eq(versions));
        bytes.clear();
        let header = DataHeader { id, number: TruncatedNumber::Long(low) };
        header.write(&mut bytes);
        bytes.extend_from_slice(&[0; TAG_LEN]);
        prop_assert_eq!(DataHeader::parse(&bytes), Ok(header));
    }

    /// R-WIRE, T71: no datagram makes a parser panic, and only its own parser takes it.
    #[test]
    fn r_wire_arbitrary_datagrams_never_panic(
        noise in proptest::collection::vec(any::<u8>(), 0..100),
        damage in damage(),
        first in any::<u8>(),
        short in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let open = damaged(open(&noise, &noise), &damage);
        let mut other = damaged(short, &damage);
        other.insert(0, first);
        for packet in [open, other, Vec::new()] {
            let kind = packet.first().copied().and_then(classify);
            let versions = VersionHint::parse(&packet).map(|hint| hint.versions().count());
            let taken = [
                (PacketKind::Data, DataHeader::parse(&packet).err()),
                (PacketKind::Open, Open::parse(&packet).map(|open| open.padding_is_zero()).err()),
                (PacketKind::Challenge, Challenge::parse(&packet).err()),
                (PacketKind::Confirm, Confirm::parse(&packet).err()),
                (PacketKind::Version, versions.err()),
                (PacketKind::Retry, Retry::parse(&packet).err()),
                (PacketKind::Reset, parse_reset(&packet).err()),
            ];
            for (parser, error) in taken {
                if kind != Some(parser) && !packet.is_empty() {
                    prop_assert_eq!(error, Some(PacketError::Kind));
                } else {
                    prop_assert_ne!(error, Some(PacketError::Kind));
                }
            }
        }
    }
}
