//! A peer that holds the keys and breaks the rules (row T61): told apart, told so, and cut off.
//!
//! The hostile side is an ordinary endpoint whose cipher, handed in through the public seam, puts
//! other frames in place of what was to be sealed.

use std::sync::{Arc, Mutex};
use tripline::{
    Aead, AeadKey, AeadOpenError, Cipher, Code, Config, Event, LostCause, Order, PureAead,
    StreamOptions,
};
use tripline_sansio::Duration;
use tripline_sansio::codec::Writer;
use tripline_tests::{Pair, Side, identity};

/// The frames that the next large enough packet shall hold.
pub(crate) type Plot = Arc<Mutex<Option<Vec<u8>>>>;

/// A cipher that seals the plot in place of an honest packet: once, or (`always`) each time.
#[derive(Debug)]
pub(crate) struct Hostile {
    pub(crate) plot: Plot,
    pub(crate) always: bool,
}

#[derive(Debug)]
struct HostileKey {
    key: Box<dyn AeadKey>,
    plot: Plot,
    always: bool,
}

impl Aead for Hostile {
    fn key(&self, cipher: Cipher, key: &[u8; 32]) -> Box<dyn AeadKey> {
        let key = PureAead.key(cipher, key);
        Box::new(HostileKey { key, plot: self.plot.clone(), always: self.always })
    }
}

impl AeadKey for HostileKey {
    fn seal(&self, number: u64, header: &[u8], text: &mut [u8]) -> [u8; 16] {
        let mut plot = self.plot.lock().unwrap();
        // Handshake messages have an empty header or one of 32 bytes: only DATA is meddled with.
        let is_data = matches!(header.len(), 11 | 13);
        if is_data && plot.as_ref().is_some_and(|frames| frames.len() <= text.len()) {
            let frames = if self.always { plot.clone() } else { plot.take() }.unwrap();
            text.fill(0);
            text[..frames.len()].copy_from_slice(&frames);
        }
        self.key.seal(number, header, text)
    }

    fn open(
        &self,
        number: u64,
        header: &[u8],
        text: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), AeadOpenError> {
        self.key.open(number, header, text, tag)
    }

    fn clone_key(&self) -> Box<dyn AeadKey> {
        Box::new(Self { key: self.key.clone_key(), plot: self.plot.clone(), always: self.always })
    }
}

/// A variable-length integer.
fn large(value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    Writer::new(&mut bytes).varint(value);
    bytes
}

/// What the server says of a client that sends these frames in place of an ordinary packet.
fn verdict(frames: &[u8]) -> (Code, &'static str) {
    let plot = Plot::default();
    let aead = Arc::new(Hostile { plot: plot.clone(), always: false });
    let client = Config { aead, ..Config::client() };
    let mut server = Config::public_server(identity("server"));
    server.transport.message_max = 10_000;
    let mut pair = Pair::with(1, client, server);
    let (client, server) = pair.connected();
    let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Bytes));
    pair.run(Duration::from_secs(1));
    pair.events(Side::Server);
    *plot.lock().unwrap() = Some(frames.to_vec());
    pair.send(Side::Client, client, stream, &[0; 600]);
    pair.run(Duration::from_secs(1));
    assert!(plot.lock().unwrap().is_none(), "the frames went out");
    let ends: Vec<_> = pair
        .events(Side::Server)
        .into_iter()
        .filter(|event| matches!(event, Event::Lost { .. } | Event::Closed { .. }))
        .collect();
    let [Event::Lost { connection, cause: LostCause::Violation { code, reason } }] = ends[..]
    else {
        panic!("{frames:x?}: {ends:?}");
    };
    assert_eq!(connection, server);
    // The offender is told the code, and no more.
    let told = pair.events(Side::Client).into_iter().any(|event| {
        let cause = LostCause::Peer { code, reason: String::new() };
        event == Event::Lost { connection: client, cause }
    });
    assert!(told, "{frames:x?}");
    (code, reason)
}

/// T61: each broken rule ends the connection with its own code.
#[test]
fn t61_who_breaks_a_rule_is_cut_off_with_its_code() {
    // Stream IDs: index << 4 | order << 2 | one-way << 1 | opened by the server.
    let (bytes, ordered) = (0b0010, 0b0110);
    let cases: Vec<(&str, Vec<u8>, Code)> = vec![
        ("unknown frame type", vec![0x3f], Code::PROTOCOL),
        ("longer varint than needed", vec![0x30, 0x40, 0x01], Code::PROTOCOL),
        ("ACK of a number never sent", vec![0x03, 0x70, 0, 0, 0, 0], Code::PROTOCOL),
        (
            "stream credit passed",
            [&[0x18, bytes][..], &large(1 << 21), &[1]].concat(),
            Code::FLOW_CONTROL,
        ),
        (
            "offset out of range",
            [&[0x18, bytes][..], &large(1 << 60), &[1]].concat(),
            Code::FLOW_CONTROL,
        ),
        (
            "stream limit passed",
            [&[0x10][..], &large((1 << 30) | u64::from(bytes)), &[1]].concat(),
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
        let (said, reason) = verdict(&frames);
        assert_eq!(said, code, "{what}: {reason}");
        assert!(!reason.is_empty(), "{what}");
    }
}

/// T71, T72: padding alone, and what a later version might add to the parameters, break nothing;
/// the harness itself sends only what it is told to.
#[test]
fn an_honest_client_behind_the_same_cipher_is_not_accused() {
    let aead = Arc::new(Hostile { plot: Plot::default(), always: false });
    let client = Config { aead, ..Config::client() };
    let mut pair = Pair::with(1, client, Config::public_server(identity("server")));
    let (client, server) = pair.connected();
    let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Ordered));
    pair.send(Side::Client, client, stream, &[7; 5_000]);
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.messages(Side::Server, server, stream), [vec![7; 5_000]]);
}
