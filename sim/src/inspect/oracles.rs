//! Every oracle can fail: each is shown one breach of its rule, and what is just allowed.

use super::acks::Acks;
use super::connection::Role;
use super::ending::Ending;
use super::handshake::Handshakes;
use super::hosts::Hosts;
use super::lied::Lied;
use super::paths::{Paths, Shape};
use super::pings::Pings;
use super::proofs::Proofs;
use super::report::Report;
use super::streams::{Grant, Streams};
use super::work::Work;
use super::zones::Zones;
use crate::host::HostId;
use crate::wire::{Ack, Frame, Half, Limits, Packet, StreamName, frames};
use crate::{Inspector, Seal, World};
use std::net::SocketAddr;
use std::sync::Arc;
use tripline::{
    Aead, AeadKey, AeadOpenError, Cipher, Config, ConnectOptions, Endpoint, Event, Order,
    SecretKey, SendOptions, StreamOptions,
};
use tripline_sansio::{Duration, Instant, Seed};

const HOST: HostId = HostId(3);

/// What was found since the last time.
fn found(report: &mut Report) -> Vec<&'static str> {
    report.take().into_iter().map(|one| one.invariant).collect()
}

fn at(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, last], 1))
}

fn read(bytes: &[u8]) -> Frame<'_> {
    frames(bytes).next().unwrap().unwrap()
}

fn ack(bytes: &[u8]) -> Ack<'_> {
    let Frame::Ack(ack) = read(bytes) else { panic!("{bytes:?}") };
    ack
}

/// A side that may send 100 bytes on a stream, 150 in all, on two streams.
fn streams() -> Streams {
    let limits = Limits {
        connection_credit: 150,
        stream_credit: 100,
        one_way: 2,
        two_way: 2,
        ..Limits::default()
    };
    let mut streams = Streams::default();
    streams.learn(HOST, &limits);
    streams
}

/// STREAM of so many bytes `fill` on the client's ordered one-way stream of this index.
fn send(
    streams: &mut Streams,
    report: &mut Report,
    index: u8,
    (offset, len, fill): (u8, usize, u8),
) -> Vec<&'static str> {
    let mut bytes = vec![0x18, index << 4 | 0x6, offset];
    bytes.resize(3 + len, fill);
    let Frame::Stream(frame) = read(&bytes) else { panic!() };
    streams.on_stream(report, &frame, 1, false);
    found(report)
}

#[test]
fn i10_credit_and_indexes_are_limits() {
    let mut report = Report::default();
    let mut own = streams();
    assert!(send(&mut own, &mut report, 0, (0, 100, 1)).is_empty());
    assert_eq!(send(&mut own, &mut report, 0, (60, 41, 1)), ["I10"], "the stream's");
    let mut own = streams();
    assert!(send(&mut own, &mut report, 0, (0, 100, 1)).is_empty());
    assert!(send(&mut own, &mut report, 1, (0, 50, 1)).is_empty());
    assert_eq!(send(&mut own, &mut report, 1, (50, 1, 1)), ["I10"], "the connection's");
    own.on_grant(&mut report, Grant::Connection(152));
    assert!(send(&mut own, &mut report, 1, (50, 2, 1)).is_empty(), "granted");
    assert!(found(&mut report).is_empty());
    assert_eq!(send(&mut streams(), &mut report, 2, (0, 1, 1)), ["I10"], "an index");
}

#[test]
fn i10_grants_do_not_shrink() {
    let mut report = Report::default();
    let mut own = streams();
    let mut grant = |grant| {
        own.on_grant_sent(&mut report, Some(HOST), grant);
        found(&mut report)
    };
    let name = StreamName(0x6);
    assert!(grant(Grant::Connection(150)).is_empty() && grant(Grant::Connection(200)).is_empty());
    assert_eq!(grant(Grant::Connection(199)), ["I10"]);
    assert!(grant(Grant::Stream(name, 120)).is_empty());
    assert_eq!(grant(Grant::Stream(name, 99)), ["I10"]);
    assert_eq!(grant(Grant::Streams(true, 1)), ["I10"]);
    assert!(grant(Grant::Streams(false, 3)).is_empty());
}

#[test]
fn i10_offsets_keep_their_bytes_and_ends_their_place() {
    let mut report = Report::default();
    let mut own = streams();
    assert!(send(&mut own, &mut report, 0, (0, 70, 1)).is_empty());
    assert!(send(&mut own, &mut report, 0, (0, 66, 1)).is_empty(), "sliced anew");
    assert_eq!(send(&mut own, &mut report, 0, (60, 10, 2)), ["I10"], "another byte at 64");
    assert_eq!(send(&mut streams(), &mut report, 0, (1, 1, 1)), ["I10"], "a gap (R-MSG-1)");
    let name = StreamName(0x6);
    own.on_close(&mut report, name, (7, 70), false);
    assert!(found(&mut report).is_empty());
    own.on_close(&mut report, name, (7, 71), false);
    assert_eq!(found(&mut report), ["I10"], "R-STREAM-2b");
    assert_eq!(send(&mut own, &mut report, 0, (0, 9, 1)), ["I10"], "behind CLOSE_STREAM");
}

#[test]
fn i8_only_what_was_delivered_is_acknowledged() {
    let mut report = Report::default();
    let mut acks = Acks::default();
    for number in 0..9 {
        acks.sent.insert(number);
        if number != 4 {
            acks.on_delivered(&mut report, number, true);
        }
    }
    acks.on_told(&mut report, Some(HOST), &ack(&[3, 8, 0, 3, 1, 0, 2]));
    assert!(found(&mut report).is_empty(), "5 to 8, 1 to 3");
    acks.on_told(&mut report, Some(HOST), &ack(&[3, 8, 0, 4, 0]));
    assert_eq!(found(&mut report), ["I8"], "4 was lost");
    acks.on_told(&mut report, Some(HOST), &ack(&[3, 9, 0, 0, 0]));
    assert_eq!(found(&mut report), ["I8"], "9 was never sent");
}

#[test]
fn i8_what_was_delivered_is_acknowledged_in_time() {
    let mut report = Report::default();
    let mut acks = Acks::default();
    let patience = Duration::from_millis(50);
    acks.on_delivered(&mut report, 0, true);
    acks.on_told(&mut report, Some(HOST), &ack(&[3, 0, 0, 0, 0]));
    report.now = at(10);
    acks.on_delivered(&mut report, 1, true);
    acks.on_delivered(&mut report, 2, false);
    report.now = at(60);
    acks.check_owed(&mut report, Some(HOST), patience);
    assert!(found(&mut report).is_empty());
    report.now = at(61);
    acks.check_owed(&mut report, Some(HOST), patience);
    assert_eq!(found(&mut report), ["I8"]);
}

#[test]
fn i26_numbers_are_as_wide_as_they_must_be() {
    let mut report = Report::default();
    let mut acks = Acks::default();
    let mut check = |acks: &Acks, number, len| {
        acks.check_width(&mut report, Some(HOST), number, len);
        found(&mut report)
    };
    assert!(check(&acks, 0x3ffe, 2).is_empty() && check(&acks, 0x3fff, 4).is_empty());
    assert_eq!(check(&acks, 0x3fff, 2), ["I26"]);
    assert_eq!(check(&acks, 0x3ffe, 4), ["I26"]);
    acks.on_acked(&mut Report::default(), &ack(&[3, 5, 0, 0, 0]), true, &mut |_| ());
    assert!(check(&acks, 0x4004, 2).is_empty() && check(&acks, 0x4005, 4).is_empty());
    assert_eq!(check(&acks, 0x4005, 2), ["I26"]);
}

#[test]
fn i4_a_stranger_gets_no_more_than_came() {
    let mut report = Report::default();
    let (us, them) = (HostId(0), HostId(1));
    let mut hosts = Hosts::default();
    hosts.trust(us);
    let mut charge = |hosts: &mut Hosts, len| {
        hosts.charge(&mut report, us, address(9), len, false);
        found(&mut report)
    };
    assert_eq!(charge(&mut hosts, 1), ["I4"], "nothing came");
    hosts.on_sent(them, Some(us), 0);
    hosts.on_delivered((Some(them), 0), us, (address(9), address(1)), 1_200);
    hosts.on_delivered((Some(them), 0), us, (address(9), address(1)), 1_200);
    assert!(charge(&mut hosts, 500).is_empty());
    assert_eq!(charge(&mut hosts, 1), ["I4"], "three answers for two packets");
    hosts.on_verified(us, address(9));
    assert!(charge(&mut hosts, 6_000).is_empty());
    assert_eq!(charge(&mut hosts, 1_000), ["I4"], "more than three times as much");
    // What was on its way before we reached them proves nothing; what they send after it does.
    hosts.on_sent(them, Some(us), 1);
    hosts.on_delivered((Some(us), 0), them, (address(1), address(9)), 500);
    hosts.on_delivered((Some(them), 1), us, (address(9), address(1)), 1);
    assert!(!hosts.is_proven(us, address(9)));
    hosts.on_sent(them, Some(us), 2);
    hosts.on_delivered((Some(them), 2), us, (address(8), address(1)), 1);
    assert!(hosts.is_proven(us, address(9)) && charge(&mut hosts, 1_000_000).is_empty());
}

#[test]
fn i15_and_i17_payload_stays_where_it_belongs() {
    let mut report = Report::default();
    let mut paths = Paths::default();
    let shape = |number, last, len| Shape {
        number,
        len,
        to: address(last),
        has_payload: true,
        is_main: true,
        probe: None,
        is_proven: true,
    };
    let mut sent = |paths: &mut Paths, shape: &Shape| {
        paths.on_sent(&mut report, Some(HOST), shape, (1_200, 1_452));
        found(&mut report)
    };
    assert!(sent(&mut paths, &shape(0, 1, 1_200)).is_empty());
    assert_eq!(sent(&mut paths, &shape(1, 1, 1_201)), ["I15"], "not confirmed");
    let probe = Shape { has_payload: false, is_main: false, probe: Some(7), ..shape(2, 1, 1_400) };
    assert!(sent(&mut paths, &probe).is_empty());
    paths.on_pong(&mut Report::default(), 7);
    assert!(sent(&mut paths, &shape(3, 1, 1_400)).is_empty());
    assert_eq!(sent(&mut paths, &shape(4, 1, 1_453)), ["I15"], "above the ceiling");
    assert_eq!(sent(&mut paths, &shape(5, 2, 1_200)), ["I17"], "unasked");
    paths.on_verified();
    assert!(sent(&mut paths, &shape(6, 3, 1_200)).is_empty());
    paths.on_verified();
    let unproven = Shape { is_proven: false, ..shape(7, 4, 1_200) };
    assert_eq!(sent(&mut paths, &unproven), ["I17"], "to an address without proof");
}

#[test]
fn i6_a_ping_is_answered_once_for_each_time_it_came() {
    let mut report = Report::default();
    let mut pings = Pings::default();
    pings.on_ping(&mut report, 5, true);
    pings.on_opened(5);
    pings.on_answered(&mut report, Some(HOST), 5);
    assert!(found(&mut report).is_empty());
    pings.on_answered(&mut report, Some(HOST), 5);
    assert_eq!(found(&mut report), ["I6"]);
    pings.on_answered(&mut report, Some(HOST), 6);
    assert_eq!(found(&mut report), ["I6"], "nobody asked");
}

#[test]
fn i14_little_is_said_at_one_time_but_for_payload() {
    let mut report = Report::default();
    let mut work = Work::default();
    for _ in 0..24 {
        work.on_said(&mut report, Some(HOST));
    }
    work.on_came(report.now);
    for _ in 0..2 {
        work.on_said(&mut report, Some(HOST));
    }
    assert!(found(&mut report).is_empty(), "two more for what came");
    work.on_said(&mut report, Some(HOST));
    assert_eq!(found(&mut report), ["I14"]);
    report.now = at(1);
    work.on_said(&mut report, Some(HOST));
    assert!(found(&mut report).is_empty(), "another time");
    // Three come, and are looked at later.
    report.now = at(2);
    (0..3).for_each(|_| work.on_came(report.now));
    report.now = at(3);
    (0..30).for_each(|_| work.on_said(&mut report, Some(HOST)));
    assert!(found(&mut report).is_empty(), "two for each that came since");
    work.on_said(&mut report, Some(HOST));
    assert_eq!(found(&mut report), ["I14"]);
}

#[test]
fn i18_the_end_is_said_a_few_times() {
    let mut report = Report::default();
    let (mut own, peer) = (Ending::default(), Ending::default());
    own.on_other(&mut report, Some(HOST));
    for _ in 0..4 {
        own.on_disconnect(&mut report, Some(HOST), (0, false), &peer, &Lied::default());
    }
    assert!(found(&mut report).is_empty(), "by the clock");
    own.on_disconnect(&mut report, Some(HOST), (0, false), &peer, &Lied::default());
    assert_eq!(found(&mut report), ["I18"]);
    for _ in 0..4 {
        own.on_opened(&mut report, false);
    }
    for _ in 0..2 {
        own.on_disconnect(&mut report, Some(HOST), (0, false), &peer, &Lied::default());
    }
    assert!(found(&mut report).is_empty(), "on the 1st, 2nd and 4th stray");
    own.on_disconnect(&mut report, Some(HOST), (0, false), &peer, &Lied::default());
    assert_eq!(found(&mut report), ["I18"]);
    own.on_other(&mut report, Some(HOST));
    assert_eq!(found(&mut report), ["I18"], "nothing else follows");
    let mut answering = Ending::default();
    answering.on_other(&mut report, Some(HOST));
    answering.on_opened(&mut report, true);
    answering.on_disconnect(&mut report, Some(HOST), (0, false), &own, &Lied::default());
    assert!(found(&mut report).is_empty());
    answering.on_disconnect(&mut report, Some(HOST), (0, false), &own, &Lied::default());
    assert_eq!(found(&mut report), ["I18"], "one answer");
}

#[test]
fn i26_nobody_accuses_an_honest_peer() {
    let (mut report, mut lied) = (Report::default(), Lied::default());
    let accuse = |report: &mut Report, lied: &Lied, mut own: Ending| {
        own.on_disconnect(report, Some(HOST), (2, false), &Ending::default(), lied);
        found(report)
    };
    assert_eq!(accuse(&mut report, &lied, Ending::default()), ["I26"]);
    let mut told = Ending::default();
    told.on_opened(&mut report, true);
    assert!(accuse(&mut report, &lied, told).is_empty(), "it repeats what it was told");
    lied.on_heard(&mut report, 9, 3);
    assert!(accuse(&mut report, &lied, Ending::default()).is_empty());
}

#[test]
fn i28_zones_follow_each_other() {
    let mut report = Report::default();
    let (token, key) = ([1; 16], [2; 32]);
    let half = |zone, confirm| Half { confirm, zone, id: 7, token: &token, key: &key };
    let sent = |zones: &mut Zones, zone, key, report: &mut Report| {
        zones.on_sent(report, Some(HOST), (zone, key, 1), 3, true);
        found(report)
    };
    let ask = |zones: &mut Zones, half: &Half<'_>, is_ready, report: &mut Report| {
        zones.on_half(report, Some(HOST), half, 1, is_ready);
        found(report)
    };
    let acked = super::numbers::Numbers::default();
    let mut zones = Zones::default();
    assert_eq!(ask(&mut zones, &half(1, false), true, &mut report), ["I28"], "R-ZONE-3");
    let mut zones = Zones::default();
    zones.on_acked(0, &acked);
    assert_eq!(ask(&mut zones, &half(1, false), false, &mut report), ["I28"], "R-ZONE-4");
    assert_eq!(ask(&mut zones, &half(2, false), true, &mut report), ["I28"], "one at a time");
    assert_eq!(ask(&mut zones, &half(1, true), true, &mut report), ["I28"], "confirms nothing");
    let other = Half { id: 8, ..half(1, false) };
    assert_eq!(ask(&mut zones, &other, true, &mut report), ["I28"], "R-ZONE-3b");
    assert_eq!(sent(&mut zones, 1, 5, &mut report), ["I28"], "R-ZONE-1: before it knows");
    assert_eq!(sent(&mut zones, 0, 4, &mut report), ["I28"], "R-ZONE-1: the old zone");
    assert_eq!(sent(&mut zones, 1, 6, &mut report), ["I28"], "two keys");
    assert!(sent(&mut zones, 1, 6, &mut report).is_empty());
    assert_eq!(sent(&mut zones, 1, 6, &mut report), ["I28"], "payload beyond the limit");
    let mut zones = Zones::default();
    zones.on_acked(0, &acked);
    assert!(ask(&mut zones, &half(1, false), true, &mut report).is_empty());
    zones.on_heard(&mut report, &half(1, true));
    assert!(sent(&mut zones, 1, 5, &mut report).is_empty(), "as it should be");
}

/// R-RETRY-2, R-HAND-3a.
#[test]
fn i4_a_token_counts_where_it_was_given() {
    let mut report = Report::default();
    let challenge = |proofs: &Proofs, report: &mut Report, id| {
        proofs.on_challenge(report, HOST, id);
        found(report)
    };
    let mut proofs = Proofs::default();
    proofs.on_retry(HOST, 7, b"early", address(1));
    assert!(challenge(&proofs, &mut report, 7).is_empty(), "it asks nobody");
    proofs.demand(HOST);
    assert_eq!(challenge(&proofs, &mut report, 7), ["I4"], "no token");
    proofs.on_retry(HOST, 7, b"one", address(1));
    let wrong: [(u64, &[u8], _); 4] = [
        (7, b"one", address(2)),
        (7, b"two", address(1)),
        (7, b"", address(1)),
        (8, b"one", address(1)),
    ];
    for (id, token, from) in wrong {
        proofs.on_open(&mut report, HOST, (id, token), from);
        assert_eq!(challenge(&proofs, &mut report, id), ["I4"], "{id} {token:?} {from}");
    }
    proofs.on_open(&mut report, HOST, (7, b"one"), address(1));
    assert!(challenge(&proofs, &mut report, 7).is_empty(), "as it should be");
    proofs.on_challenge(&mut report, HostId(4), 8);
    assert!(found(&mut report).is_empty(), "another host asks nobody");
}

#[test]
fn i26_repeats_of_open_and_challenge_are_the_same_bytes() {
    let mut report = Report::default();
    let mut all = Handshakes::default();
    let mut bytes = vec![1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 2, 0, 3, 1, 2, 3];
    bytes.resize(1_200, 0);
    let ends = (address(1), address(2));
    let mut open = |all: &mut Handshakes, bytes: &[u8]| {
        let Ok(Packet::Open(open)) = Packet::read(bytes) else { panic!() };
        all.on_open(&mut report, (HOST, true), &open, ends);
        found(&mut report)
    };
    assert!(open(&mut all, &bytes).is_empty() && open(&mut all, &bytes).is_empty());
    let mut with_token = bytes.clone();
    (with_token[35], with_token[36]) = (1, 7);
    assert!(open(&mut all, &with_token).is_empty());
    assert_eq!(open(&mut all, &bytes), ["I26"], "without the token again");
    let mut other = with_token.clone();
    other[18] = 4;
    assert_eq!(open(&mut all, &other), ["I26"], "R-OPEN-2");
    let mut challenge = |all: &mut Handshakes, bytes: &[u8], accepts| {
        all.on_challenge(&mut report, HostId(1), 9, (bytes, address(1)), accepts);
        found(&mut report)
    };
    assert!(challenge(&mut all, b"one", Some(true)).is_empty());
    assert!(challenge(&mut all, b"one", None).is_empty());
    assert_eq!(challenge(&mut all, b"two", None), ["I26"]);
    assert_eq!(challenge(&mut all, b"two", Some(true)), ["I26"], "R-CHAL-1");
}

/// What is done to a text before it is sealed.
type Change = fn(number: u64, text: &mut [u8]);

/// A cipher that changes what it is given, in front of the recorder or behind it.
#[derive(Clone, Debug)]
struct Meddler {
    inner: Arc<dyn Aead>,
    change: Change,
    /// Numbers of DATA are all this one, and nothing is sealed.
    open_to_all: bool,
}

#[derive(Debug)]
struct MeddlersKey {
    key: Box<dyn AeadKey>,
    meddler: Meddler,
}

impl Aead for Meddler {
    fn key(&self, cipher: Cipher, key: &[u8; 32]) -> Box<dyn AeadKey> {
        Box::new(MeddlersKey { key: self.inner.key(cipher, key), meddler: self.clone() })
    }
}

impl AeadKey for MeddlersKey {
    fn seal(&self, number: u64, header: &[u8], text: &mut [u8]) -> [u8; 16] {
        let is_data = matches!(header.len(), 11 | 13);
        if is_data {
            (self.meddler.change)(number, text);
        }
        if is_data && self.meddler.open_to_all {
            return [number as u8; 16];
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
        match self.meddler.open_to_all && matches!(header.len(), 11 | 13) {
            true => Ok(()),
            false => self.key.open(number, header, text, tag),
        }
    }

    fn clone_key(&self) -> Box<dyn AeadKey> {
        Box::new(Self { key: self.key.clone_key(), meddler: self.meddler.clone() })
    }
}

/// What the inspector says of a transfer by a client whose cipher does this, in front of the
/// recorder (`outside`) or, on both sides, behind it.
fn transfer(change: Change, outside: bool) -> Vec<&'static str> {
    let inspector = Inspector::new(Seal::Real);
    let mut world: World<Endpoint> = World::new(26);
    world.add_tap(inspector.tap());
    let identity = SecretKey::generate(&mut Seed::from_number(0).random("server"));
    let to = ConnectOptions::to(identity.public_key());
    let meddle = |config: Config, open_to_all| Config {
        aead: Arc::new(Meddler { inner: config.aead.clone(), change, open_to_all }),
        ..config
    };
    let (client, server) = (Config::client(), Config::public_server(identity));
    let (client, server) = match outside {
        true => (meddle(inspector.on(client), false), inspector.on(server)),
        false => (inspector.on(meddle(client, true)), inspector.on(meddle(server, true))),
    };
    let seeds = [world.seed_for("client"), world.seed_for("server")];
    let client = world.add_host(address(1), Endpoint::new(client, &seeds[0], Instant::ZERO));
    world.add_host(address(2), Endpoint::new(server, &seeds[1], Instant::ZERO));
    let connection =
        world.with(client, |client, now| client.connect(now, address(2).into(), to)).unwrap();
    world.run_for(Duration::from_secs(1));
    let events = world.take_events(client);
    assert!(events.iter().any(|(_, event)| matches!(event, Event::Connected { .. })), "{events:?}");
    world.with(client, |client, now| {
        let stream = client.open(now, connection, StreamOptions::one_way(Order::Bytes)).unwrap();
        client.send(now, connection, stream, vec![7; 3_000], SendOptions::default()).unwrap();
    });
    world.run_for(Duration::from_secs(1));
    let mut all: Vec<_> =
        inspector.take_violations().into_iter().map(|one| one.invariant).collect();
    all.dedup();
    all
}

/// The whole way: from what an engine's cipher is given to what the inspector says.
#[test]
fn violations_are_seen_in_a_run() {
    assert_eq!(transfer(|_, _| {}, true), [""; 0], "an honest run");
    // A type of frame that nobody knows, in place of the first STREAM.
    let unknown = |_: u64, text: &mut [u8]| {
        if text.len() > 1_000 && text[0] & 0xf0 == 0x10 {
            text[0] = 0x3f;
        }
    };
    assert!(transfer(unknown, true).contains(&"I26"));
    // Bytes of streams in the clear.
    assert_eq!(transfer(|_, _| {}, false).first(), Some(&"I27"));
}

#[test]
fn roles_are_each_others_other() {
    assert_eq!((Role::Client.other(), Role::Server.other()), (Role::Server, Role::Client));
}
