//! Zones: keys are renewed under traffic, whatever gets lost, and old ones are gone for good
//! (PROTOCOL.md §5.3 and §10.6; rows T24, T38).

mod ledger;
pub(crate) mod limits;

use ledger::{Ledger, header_len};
use std::collections::BTreeSet;
use std::sync::Arc;
use tripline::{
    Aead, AeadOpenError, Code, Config, ConnectOptions, ConnectionHandle, Event, KeyLimits,
    LostCause, Order, Psk, PublicKey, PureAead, ReceiveResult, State, StreamId, StreamOptions,
};
use tripline_sansio::Duration;
use tripline_sansio::codec::Writer;
use tripline_sim::{Chance, Corruption, LinkConfig, Verdict};
use tripline_tests::{Pair, Side, Tape, identity};

/// What messages are made of, behind their number.
const FILLER: u8 = 0xdd;

const SIDES: [Side; 2] = [Side::Client, Side::Server];

/// Two connected endpoints whose ciphers keep books, and a stream from each side.
struct Bench {
    pair: Pair,
    handles: [ConnectionHandle; 2],
    ledgers: [Ledger; 2],
    streams: [StreamId; 2],
    sent: [u32; 2],
    got: [u32; 2],
}

impl Bench {
    fn new(seed: u64) -> Self {
        Self::with(seed, [KeyLimits::default(); 2], LinkConfig::perfect().delay(ms(10)))
    }

    /// With these limits of the client's and the server's keys, on this link.
    fn with(seed: u64, limits: [KeyLimits; 2], link: LinkConfig) -> Self {
        let ledgers = [Ledger::with_texts(), Ledger::with_texts()];
        let mut client = Config { aead: Arc::new(ledgers[0].clone()), ..Config::client() };
        let mut server = Config::public_server(identity("server"));
        server.aead = Arc::new(ledgers[1].clone());
        client.transport.key_limits = limits[0];
        server.transport.key_limits = limits[1];
        let mut pair = Pair::with(seed, client, server).link(link);
        let (client, server) = pair.connected();
        let options = StreamOptions::one_way(Order::Ordered);
        let streams =
            [pair.open(Side::Client, client, options), pair.open(Side::Server, server, options)];
        Self { pair, handles: [client, server], ledgers, streams, sent: [0; 2], got: [0; 2] }
    }

    fn handle(&self, side: Side) -> ConnectionHandle {
        self.handles[side as usize]
    }

    fn stats(&self, side: Side) -> tripline::ConnectionStats {
        let host = self.pair.host(side);
        self.pair.world.machine(host).connection_stats(self.handle(side)).unwrap()
    }

    fn zones(&self) -> [u64; 2] {
        SIDES.map(|side| self.stats(side).zone)
    }

    fn renew(&mut self, side: Side) {
        let handle = self.handle(side);
        self.pair.call(side, |endpoint, now| endpoint.renew(now, handle)).unwrap();
    }

    /// The next message of a side, of 100 bytes.
    fn send(&mut self, side: Side) {
        let number = &mut self.sent[side as usize];
        let mut message = [FILLER; 100];
        message[..4].copy_from_slice(&number.to_be_bytes());
        *number += 1;
        let (handle, stream) = (self.handle(side), self.streams[side as usize]);
        self.pair.send(side, handle, stream, &message);
    }

    /// Takes what has come: every message once and in order.
    fn take(&mut self, side: Side) {
        let (handle, stream) = (self.handle(side), self.streams[1 - side as usize]);
        loop {
            let one = self.pair.call(side, |endpoint, now| endpoint.receive(now, handle, stream));
            // Before its first message the stream is not there.
            let Ok(ReceiveResult::Data(message)) = one else { return };
            assert_eq!(message[..4], self.got[side as usize].to_be_bytes());
            self.got[side as usize] += 1;
        }
    }

    /// For so many steps of so long: a message from each side, and what has come is taken.
    fn traffic(&mut self, steps: usize, step: Duration) {
        for _ in 0..steps {
            SIDES.into_iter().for_each(|side| self.send(side));
            self.pair.run(step);
            SIDES.into_iter().for_each(|side| self.take(side));
        }
    }

    /// Drops, from now on, what `which` says of the packets of one side: their number from now on,
    /// and whether they hold a half (as an answer).
    fn drop_from(
        &mut self,
        side: Side,
        mut which: impl FnMut(u64, Option<bool>) -> bool + 'static,
    ) {
        let (host, ledger) = (Some(self.pair.host(side)), self.ledgers[side as usize].clone());
        let mut count = 0;
        self.pair.world.add_rule(move |packet| {
            if packet.from != host {
                return Verdict::Pass;
            }
            count += 1;
            let renews = ledger.renews(packet.bytes);
            if which(count - 1, renews) { Verdict::Drop } else { Verdict::Pass }
        });
    }

    /// Everything that must hold when the weather is over.
    fn assert_well(&mut self, what: &str) {
        self.pair.run(Duration::from_secs(20));
        SIDES.into_iter().for_each(|side| self.take(side));
        let said = self.pair.explain();
        for side in SIDES {
            let state = self.pair.state(side, self.handle(side));
            assert_eq!(state, Some(State::Ready), "{what}: {said}");
            let ledger = &self.ledgers[side as usize];
            assert_eq!(ledger.faults(), Vec::<String>::new(), "{what}: {side:?}");
            assert_eq!(ledger.live_keys(), 2, "{what}: {side:?} wiped what is old");
        }
        assert_eq!(self.got, [self.sent[1], self.sent[0]], "{what}");
        let zones = self.zones();
        assert_eq!(zones[0], zones[1], "{what}");
    }
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// T24: new keys on demand, from either side, while traffic goes on: nothing is lost, and nothing
/// is sent twice.
#[test]
pub(crate) fn t24_keys_are_renewed_on_demand_under_traffic() {
    let mut bench = Bench::new(1);
    bench.traffic(3, ms(5));
    for round in 1..=10 {
        bench.renew(SIDES[round as usize % 2]);
        bench.traffic(100, ms(5));
        assert_eq!(bench.zones(), [round; 2]);
    }
    bench.assert_well("on demand");
    for side in SIDES {
        let stats = bench.stats(side);
        assert_eq!((stats.retransmissions, stats.packets_lost), (0, 0));
        assert_eq!(bench.ledgers[side as usize].data_keys(), 22, "two keys a zone");
    }
}

/// T24, R-ZONE-3: both ask at once, and one zone comes of it.
#[test]
pub(crate) fn t24_both_at_once_converge() {
    for apart in [0, 1, 5, 9, 10, 11, 15] {
        let mut bench = Bench::new(1);
        bench.traffic(3, ms(5));
        bench.pair.run(ms(100));
        bench.renew(Side::Client);
        bench.pair.run(ms(apart));
        bench.renew(Side::Server);
        bench.traffic(20, ms(5));
        let most = if apart < 10 { 1 } else { 2 };
        assert!(bench.zones().iter().all(|zone| (1..=most).contains(zone)), "{apart} ms apart");
        bench.assert_well("both at once");
    }
}

/// R-ZONE-1, R-ZONE-3, and the column *lost* of §10.6: whatever packets of an exchange get lost, it
/// comes to its end and no data is lost, whoever asked.
#[test]
pub(crate) fn r_zone_every_subset_of_the_exchange_may_be_lost() {
    const BITS: u32 = 4;
    for (client, server) in [(true, false), (false, true), (true, true)] {
        for mask in 0..1_u32 << (2 * BITS) {
            let mut bench = Bench::new(u64::from(mask));
            bench.traffic(2, ms(5));
            bench.pair.run(ms(100));
            for (side, mask) in [(Side::Client, mask), (Side::Server, mask >> BITS)] {
                bench.drop_from(side, move |at, _| at < BITS.into() && mask >> at & 1 == 1);
            }
            [(client, Side::Client), (server, Side::Server)]
                .into_iter()
                .filter(|(asks, _)| *asks)
                .for_each(|(_, side)| bench.renew(side));
            SIDES.into_iter().for_each(|side| bench.send(side));
            bench.assert_well(&format!("{client} {server} {mask:#b}"));
            assert_eq!(bench.zones(), [1; 2], "{client} {server} {mask:#b}");
        }
    }
}

/// How many packets of a side on a tape hold a half, asking and answering.
fn count_halves(bench: &Bench, tape: &Tape, side: Side) -> [usize; 2] {
    let ledger = &bench.ledgers[side as usize];
    let halves: Vec<bool> =
        tape.of(side).iter().filter_map(|packet| ledger.renews(&packet.bytes)).collect();
    [false, true].map(|answer| halves.iter().filter(|half| **half == answer).count())
}

/// R-ZONE-3: on a clean link each half goes over once, an asked-for one within a PTO.
#[test]
pub(crate) fn r_zone_3_each_half_is_sent_once_and_answered_at_once() {
    let mut bench = Bench::new(1);
    bench.traffic(2, ms(5));
    bench.pair.run(ms(100));
    let tape = bench.pair.tape();
    bench.renew(Side::Client);
    bench.pair.run(ms(21));
    assert_eq!(bench.zones()[0], 1, "one round trip");
    bench.pair.run(ms(10));
    assert_eq!(bench.zones()[1], 1, "half of one more");
    bench.traffic(50, ms(5));
    assert_eq!(SIDES.map(|side| count_halves(&bench, &tape, side)), [[1, 0], [0, 1]]);
}

/// The column *forged* of §10.6: a bit flipped in any packet with a half, or in the first of the
/// new zone, is as if the packet were lost.
#[test]
pub(crate) fn r_zone_forged_halves_change_nothing() {
    for bit in [100, 200, 500, 700] {
        for side in SIDES {
            let mut bench = Bench::new(bit);
            bench.traffic(2, ms(5));
            bench.pair.run(ms(100));
            let (host, ledger) =
                (Some(bench.pair.host(side)), bench.ledgers[side as usize].clone());
            let (mut halves, mut first) = (0, true);
            bench.pair.world.add_rule(move |packet| {
                let ours = packet.from == host;
                let half = ours && ledger.renews(packet.bytes).is_some();
                let new_zone = ours && halves > 0 && !half && std::mem::take(&mut first);
                halves += u32::from(half);
                if (half && halves <= 2) || new_zone {
                    return Verdict::Corrupt(Corruption::FlipBit(bit as usize));
                }
                Verdict::Pass
            });
            bench.renew(Side::Client);
            bench.traffic(40, ms(5));
            bench.assert_well("forged");
            assert_eq!(bench.zones(), [1; 2]);
            let failed = SIDES.map(|side| bench.stats(side).drops.unauthentic);
            assert_ne!(failed, [0; 2], "bit {bit}");
        }
    }
}

/// R-ZONE-2: the old zone is read for three PTOs after the first packet of the new one; what comes
/// later is for an ID that nobody has, and goes out again.
#[test]
pub(crate) fn r_zone_2_the_old_zone_is_read_for_three_ptos() {
    // A PTO is here 20 ms + 4 × variation + 25 ms: 45 to 90 ms.
    for (late, read) in [(ms(70), true), (ms(2_000), false)] {
        let mut bench = Bench::new(1);
        bench.traffic(10, ms(5));
        bench.pair.run(ms(100));
        let client = Some(bench.pair.client);
        let mut first = true;
        let rule = bench.pair.world.add_rule(move |packet| {
            let hold = packet.from == client && std::mem::take(&mut first);
            if hold { Verdict::Delay(late) } else { Verdict::Pass }
        });
        bench.send(Side::Client);
        bench.renew(Side::Server);
        bench.traffic(50, ms(5));
        bench.pair.run(ms(2_500));
        bench.pair.world.remove_rule(rule);
        bench.assert_well("late");
        assert_eq!(bench.zones(), [1; 2]);
        let unknown = bench.pair.world.machine(bench.pair.server).stats().drops.unknown_connection;
        assert_eq!(unknown, u64::from(!read), "{late:?} late");
    }
}

/// R-ZONE-2: a packet sealed under the old key with a number among those of the new zone shows
/// that somebody else has the key, or that the peer uses both: the connection ends.
#[test]
pub(crate) fn r_zone_2_an_old_packet_among_the_new_closes() {
    for above in [false, true] {
        let mut bench = Bench::new(1);
        bench.traffic(3, ms(5));
        bench.pair.run(ms(100));
        let tape = bench.pair.tape();
        bench.renew(Side::Server);
        bench.traffic(8, ms(5));
        assert_eq!(bench.zones(), [1; 2]);
        let packets: Vec<_> = tape.of(Side::Client).into_iter().map(|one| one.bytes).collect();
        let [first, last] = [&packets[0], &packets[packets.len() - 1]]
            .map(|packet| (bench.ledgers[0].sealed(packet).unwrap(), packet.clone()));
        assert_ne!(first.0.key, last.0.key, "of zone 0 and of zone 1");
        // Above all numbers so far; or one that came already, which is a replay like any.
        let number = if above { last.0.number + 1 } else { first.0.number };
        let mut packet = first.1[..9].to_vec();
        packet.extend_from_slice(&u16::try_from(number).unwrap().to_be_bytes());
        let mut text = vec![0; 20];
        let tag = PureAead.key(first.0.cipher, &first.0.key).seal(number, &packet, &mut text);
        packet.extend_from_slice(&text);
        packet.extend_from_slice(&tag);
        bench.pair.deliver(Side::Server, &packet);
        bench.pair.run(ms(1));
        let lost = bench.pair.events(Side::Server).into_iter().any(|event| {
            let reason = "a packet of an old zone behind one of the next";
            let cause = LostCause::Violation { code: Code::PROTOCOL, reason };
            event == Event::Lost { connection: bench.handles[1], cause }
        });
        assert_eq!(lost, above);
    }
}

/// T24, a stolen key: the keys of one zone open no packet of another; each packet is opened by the
/// key of its own zone alone, and each zone has IDs and keys that no other has.
#[test]
pub(crate) fn t24_no_key_opens_another_zone() {
    let mut bench = Bench::new(1);
    let tape = bench.pair.tape();
    for _ in 0..3 {
        bench.traffic(30, ms(5));
        bench.renew(Side::Client);
    }
    bench.traffic(30, ms(5));
    bench.assert_well("captured");
    let packets: Vec<Vec<u8>> = tape.of(Side::Client).into_iter().map(|one| one.bytes).collect();
    assert!(packets.iter().all(|packet| header_len(packet).is_some()));
    let sealed: Vec<_> =
        packets.iter().map(|packet| bench.ledgers[0].sealed(packet).expect("ours")).collect();
    let keys: BTreeSet<[u8; 32]> = sealed.iter().map(|sealed| sealed.key).collect();
    let ids: BTreeSet<_> = packets.iter().map(|packet| packet[1..9].to_vec()).collect();
    assert_eq!((keys.len(), ids.len()), (4, 4));
    for (packet, sealed) in packets.iter().zip(&sealed) {
        let (header, rest) = packet.split_at(header_len(packet).unwrap());
        let (text, tag) = rest.split_last_chunk().unwrap();
        for key in &keys {
            let mut text = text.to_vec();
            let opener = PureAead.key(sealed.cipher, key);
            let opened = opener.open(sealed.number, header, &mut text, tag);
            let own = *key == sealed.key;
            assert_eq!(opened, if own { Ok(()) } else { Err(AeadOpenError) });
        }
    }
}

/// R-ZONE-4: no RENEW before READY; the wish waits, on both sides.
#[test]
pub(crate) fn r_zone_4_no_renewal_before_ready() {
    let mut pair = Pair::new(1);
    let connection = pair.connect();
    pair.call(Side::Client, |e, now| e.renew(now, connection)).unwrap();
    let server = pair.wait(Side::Server, |event| match event {
        Event::Connected { connection, .. } => Some(*connection),
        _ => None,
    });
    assert_eq!(pair.state(Side::Client, connection), Some(State::Pinging));
    let zone = |pair: &Pair, side, handle| {
        pair.world.machine(pair.host(side)).connection_stats(handle).unwrap().zone
    };
    assert_eq!(zone(&pair, Side::Client, connection), 0);
    pair.run(ms(200));
    assert_eq!(zone(&pair, Side::Client, connection), 1);
    assert_eq!(zone(&pair, Side::Server, server), 1);
    assert!(pair.call(Side::Client, |e, now| e.renew(now, connection)).is_ok());
    pair.call(Side::Client, |e, now| e.kill(now, connection)).unwrap();
    assert!(pair.call(Side::Client, |e, now| e.renew(now, connection)).is_err(), "it is gone");
}

/// Every suite: zone 0 comes from every handshake alike.
#[test]
pub(crate) fn t24_every_suite_renews() {
    for hardware_aes in [false, true] {
        for psk in [None, Some(Psk::from_bytes([7; 32]))] {
            for pattern in ["NK", "IK", "XX"] {
                let mut client = Config { hardware_aes, ..Config::client() };
                client.identity = (pattern != "NK").then(|| identity("client"));
                let mut server = Config::public_server(identity("server"));
                server.server.as_mut().unwrap().psk = psk.clone();
                let mut pair = Pair::with(1, client, server);
                let key: PublicKey = identity("server").public_key();
                let server_key = (pattern != "XX").then_some(key);
                let options = ConnectOptions { server_key, psk: psk.clone(), ..Default::default() };
                let connection = pair.connect_with(options);
                pair.run(ms(100));
                if pattern == "XX" {
                    pair.call(Side::Client, |e, now| e.trust(now, connection)).unwrap();
                    pair.run(ms(100));
                }
                for zone in 1..3 {
                    pair.call(Side::Client, |e, now| e.renew(now, connection)).unwrap();
                    pair.run(ms(500));
                    let stats = pair.world.machine(pair.client).connection_stats(connection);
                    let what = format!("{pattern} {hardware_aes} {}", psk.is_some());
                    assert_eq!(stats.unwrap().zone, zone, "{what}: {}", pair.explain());
                }
            }
        }
    }
}

/// What the server says of a client that sends these frames.
fn verdict(frames: Vec<u8>) -> (Code, &'static str) {
    let mut bench = Bench::new(1);
    bench.traffic(2, ms(5));
    bench.pair.run(ms(100));
    bench.pair.events(Side::Server);
    bench.ledgers[0].plot(frames);
    bench.send(Side::Client);
    bench.pair.run(ms(500));
    assert!(bench.ledgers[0].is_done(), "the frames went out");
    let ends = bench.pair.events(Side::Server).into_iter().find_map(|event| match event {
        Event::Lost { cause: LostCause::Violation { code, reason }, .. } => Some((code, reason)),
        _ => None,
    });
    ends.unwrap_or_else(|| panic!("not cut off: {}", bench.pair.explain()))
}

/// R-ZONE-3, R-OPEN-3: halves that no honest peer sends close (2).
#[test]
pub(crate) fn r_zone_3_hostile_halves_are_cut_off() {
    let half = |kind: u64, zone: u64, key: [u8; 32]| {
        let mut bytes = Vec::new();
        Writer::new(&mut bytes).varint(kind).varint(zone).u64(77).bytes(&[0; 16]).bytes(&key);
        bytes
    };
    let good = identity("ephemeral").public_key().to_bytes();
    let cases = [
        ("a zone beyond the next", half(0x40, 2, good)),
        ("an answer to nothing", half(0x41, 1, good)),
        ("a key that is not canonical", half(0x40, 1, [0xff; 32])),
        ("a key of which no secret comes", half(0x40, 1, [0; 32])),
    ];
    for (what, frames) in cases {
        assert_eq!(verdict(frames), (Code::PROTOCOL, what));
    }
}

/// T24 in bad weather: many renewals by both sides, with loss, copies and reordering; nothing is
/// lost and nobody is accused.
#[test]
pub(crate) fn t24_bad_weather_loses_nothing() {
    let weather = LinkConfig::lossy(Chance::percent(10))
        .delay(ms(10))
        .jitter(ms(8))
        .duplicate(Chance::percent(5), ms(5))
        .reorder(Chance::percent(5), ms(30));
    let limits = KeyLimits { renew_packets: 15, ..KeyLimits::default() };
    for seed in 0..12 {
        let mut bench = Bench::with(seed, [limits; 2], weather);
        bench.traffic(800, ms(5));
        bench.pair.world.set_links(bench.pair.client, bench.pair.server, LinkConfig::perfect());
        bench.assert_well(&format!("seed {seed}"));
        assert!(bench.zones()[0] >= 3, "seed {seed}: {:?}", bench.zones());
    }
}
