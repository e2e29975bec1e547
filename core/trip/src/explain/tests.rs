//! Texts and JSON of values made by hand; those of connections are in `it/explain`.

use super::*;
use crate::Unsafe;
use crate::error::{ConnectError, Phase};
use crate::wire::{Direction, Order, Side};
use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use tripline_sansio::Duration;

fn every_reason() -> Vec<Reason> {
    let some = Some(Duration::from_millis(1_500));
    let time = Duration::from_micros(250);
    let hint = Some(ConnectError::Timeout { phase: Phase::Opening });
    let mut all: Vec<Reason> = [
        OpeningReason::Addresses { name: "a\"b:1".to_string(), gives_up_in: some },
        OpeningReason::Challenge {
            waited: time,
            opens: 2,
            next_in: some,
            gives_up_in: None,
            retries: 1,
            hint,
        },
        OpeningReason::Trust { waited: time, gives_up_in: some },
        OpeningReason::Answer { probes: 1, gives_up_in: some },
    ]
    .map(Reason::Opening)
    .into();
    all.extend(
        [
            SendingReason::Undrained,
            SendingReason::ConnectionCredit { limit: 9, free: 1, streams: 1 },
            SendingReason::StreamCredit { streams: 1 },
            SendingReason::Window { in_flight: 12_000, window: 12_000 },
            SendingReason::Pacing { wait: time, rate: 5 },
            SendingReason::Address { allowance: 3, holds: true },
            SendingReason::Packets,
            SendingReason::KeyLimit { sealed: 7, limit: 7 },
            SendingReason::Renewal { zone: 0, sealed: 1, agreed: false },
            SendingReason::StreamLimit { direction: Direction::OneWay, limit: 4 },
            SendingReason::Events { waiting: 70_000 },
            SendingReason::MtuSearch { size: 1_200, trying: 1_452, lost: 1 },
        ]
        .map(Reason::Sending),
    );
    all.extend(
        [
            PeerReason::Silent { silence: time, probes: 3, next_in: some, gives_up_in: some },
            PeerReason::Unacknowledged { in_flight: 8, rtt: Some(time) },
            PeerReason::Unread { streams: 2, bytes: 4, credit_left: 0 },
            PeerReason::Idle { silence: time, gives_up_in: some, keep_alive_in: None },
        ]
        .map(Reason::Peer),
    );
    let (ours, theirs, peer_done, left) = (true, false, false, some);
    all.extend(
        [
            EndingReason::Leaving { ours, theirs, unsettled: 1, bytes: 2, peer_done, left },
            EndingReason::ShutDown { connections: 2, left },
            EndingReason::Closing { left },
            EndingReason::Draining { left },
            EndingReason::Over { unread: 1 },
        ]
        .map(Reason::Ending),
    );
    all
}

/// Every reason has a name of its own, a text on one line, and fields without repetition.
#[test]
fn explain_every_reason_has_a_name_and_a_text() {
    let mut names: Vec<_> = every_reason().iter().map(Reason::name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "{names:?}");
    assert!(!names.contains(&"sending"), "the reason that stands for none");
    for reason in every_reason() {
        let parts = reason.parts();
        assert!(parts.text.len() > 5 && !parts.text.contains('\n'), "{reason:?}");
        let mut fields: Vec<_> = parts.fields.iter().map(|(name, _)| *name).collect();
        fields.sort_unstable();
        fields.dedup();
        assert_eq!(fields.len(), parts.fields.len(), "{reason:?}");
    }
}

/// The golden text and JSON of one explanation: names and units do not change.
#[test]
fn explain_text_and_json_are_stable() {
    let stream = StreamId::new(1, Order::Bytes, Direction::TwoWay, Side::Client);
    let explanation = Explanation {
        connection: ConnectionHandle { slot: 3, generation: 1 },
        state: State::Ready,
        reasons: every_reason().split_off(7).into_iter().take(2).collect(),
        streams: vec![StreamExplanation {
            stream: stream.unwrap(),
            reasons: vec![
                StreamReason::Turn { unsent: 5, priority: 3 },
                StreamReason::NotAllowed { limit: None },
            ],
        }],
        streams_left_out: 2,
        streams_idle: 1,
        single: true,
        plain: vec![Unsafe::PlainOpen],
    };
    assert_eq!(
        format!("{explanation}"),
        "conn3.1 is ready\n  \
         the congestion window is full: 12000 of 12000 bytes on their way\n  \
         paced at 5 bytes per second: goes on in 250 us\n  \
         stream 16: waits for its turn with 5 bytes, priority 3; waits for the handshake\n  \
         and 2 more streams\n  \
         single: the only one with this peer\n  \
         unsafe, plain open: anyone may sit in the middle"
    );
    let text = "the congestion window is full: 12000 of 12000 bytes on their way";
    let paced = "paced at 5 bytes per second: goes on in 250 us";
    let turn = "waits for its turn with 5 bytes, priority 3";
    assert_eq!(
        explanation.to_json(),
        [
            r#"{"connection":{"slot":3,"generation":1},"state":"ready","reasons":["#,
            &format!(r#"{{"reason":"congestion_window","text":"{text}","#),
            r#""in_flight_bytes":12000,"window_bytes":12000},"#,
            &format!(r#"{{"reason":"pacing","text":"{paced}","#),
            r#""wait_us":250,"rate_bytes_per_second":5}],"streams":[{"stream":16,"reasons":["#,
            &format!(r#"{{"reason":"turn","text":"{turn}","unsent_bytes":5,"priority":3}},"#),
            r#"{"reason":"not_allowed","text":"waits for the handshake","limit":null}]}],"#,
            r#""streams_left_out":2,"streams_idle":1,"single":true,"unsafe":["plain_open"]}"#,
        ]
        .concat()
    );
}
