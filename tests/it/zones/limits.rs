//! What starts a renewal, and what happens where none comes about (PROTOCOL.md §5.3).

use super::{Bench, FILLER, SIDES, ms};
use std::cell::RefCell;
use std::rc::Rc;
use tripline::{
    Code, Config, Event, Fate, KeyLimits, LostCause, Order, ReceiveResult, SendOptions, State,
    StreamOptions,
};
use tripline_sansio::Duration;
use tripline_sim::{LinkConfig, Verdict};
use tripline_tests::{Pair, Side, identity};

/// What ended a side's connection.
fn end(bench: &mut Bench, side: Side) -> Option<LostCause> {
    bench.pair.events(side).into_iter().find_map(|event| match event {
        Event::Lost { cause, .. } => Some(cause),
        _ => None,
    })
}

/// T24: a connection that renews every 100 packets loses nothing and repeats nothing, for as long
/// as it lives. (By hand, and in release: a million packets.)
#[test]
pub(crate) fn t24_a_connection_that_renews_every_100_packets_loses_nothing() {
    let packets = std::env::var("TRIPLINE_ZONE_PACKETS").ok();
    let packets: u32 = packets.map_or(50_000, |text| text.parse().expect("a number"));
    let limits = KeyLimits { renew_packets: 100, ..KeyLimits::default() };
    let ledgers = [super::Ledger::default(), super::Ledger::default()];
    let mut client = Config { aead: std::sync::Arc::new(ledgers[0].clone()), ..Config::client() };
    let mut server = Config::public_server(identity("server"));
    server.aead = std::sync::Arc::new(ledgers[1].clone());
    for config in [&mut client, &mut server] {
        config.transport.key_limits = limits;
        config.transport.ack_delay = ms(1);
    }
    let mut pair = Pair::with(1, client, server).link(LinkConfig::perfect().delay(ms(1)));
    let (client, server) = pair.connected();
    let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Unordered));
    let mut got = 0_u32;
    for number in 0..packets {
        // A drain a message, so a packet a message.
        pair.send(Side::Client, client, stream, &number.to_be_bytes());
        if number % 4 == 0 {
            pair.run(ms(1));
            pair.events(Side::Client);
            pair.events(Side::Server);
        }
        if number % 400 == 399 {
            got += count(&mut pair, server, stream);
        }
    }
    pair.run(Duration::from_secs(2));
    got += count(&mut pair, server, stream);
    assert_eq!(got, packets);
    let stats = pair.world.machine(pair.client).connection_stats(client).unwrap();
    assert!(stats.packets_sent >= u64::from(packets), "{stats:?}");
    assert_eq!((stats.packets_lost, stats.retransmissions), (0, 0));
    assert!(stats.zone >= u64::from(packets) / 250, "{} zones", stats.zone);
    for ledger in ledgers {
        assert_eq!((ledger.faults(), ledger.live_keys()), (vec![], 2));
        assert_eq!(ledger.data_keys() as u64, 2 * (stats.zone + 1));
    }
}

fn count(pair: &mut Pair, server: tripline::ConnectionHandle, stream: tripline::StreamId) -> u32 {
    let all = pair.drain(Side::Server, server, stream);
    all.iter().filter(|one| matches!(one, ReceiveResult::Data(_))).count() as u32
}

/// T38: a zone that is used up: no more data in it, a new one opens while the old one drains, and
/// all goes on; begun ten packets before the end.
#[test]
pub(crate) fn t38_a_zone_that_is_used_up_is_followed_by_another() {
    let limits = KeyLimits { data_packets: 10, ..KeyLimits::default() };
    let mut bench = Bench::with(1, [limits; 2], LinkConfig::perfect().delay(ms(10)));
    bench.traffic(700, ms(1));
    bench.assert_well("used up");
    assert!(bench.zones()[0] >= 4, "{:?}", bench.zones());
}

/// PROTOCOL.md §5.3: with no renewal to be had, data stops at the limit to the packet; 1,024
/// packets later the connection ends (12), and both users hear why.
#[test]
pub(crate) fn r_zone_data_stops_and_the_connection_ends_at_the_limits() {
    let limits = KeyLimits { data_packets: 200, ..KeyLimits::default() };
    let mut bench =
        Bench::with(1, [limits, KeyLimits::default()], LinkConfig::perfect().delay(ms(1)));
    bench.traffic(3, ms(5));
    // Nothing of the client's with a half in it arrives; all is counted by what it holds.
    let sent = Rc::new(RefCell::new((0_u32, 0_u32)));
    let (copy, ledger, client) = (sent.clone(), bench.ledgers[0].clone(), Some(bench.pair.client));
    bench.pair.world.add_rule(move |packet| {
        if packet.from != client {
            return Verdict::Pass;
        }
        copy.borrow_mut().0 += 1;
        let holds_data = ledger.sealed(packet.bytes).is_some_and(|sealed| {
            sealed.text.windows(60).any(|run| run.iter().all(|byte| *byte == FILLER))
        });
        copy.borrow_mut().1 += u32::from(holds_data);
        if ledger.renews(packet.bytes).is_some() { Verdict::Drop } else { Verdict::Pass }
    });
    // Its halves go with most packets, as they never arrive, so data is lost with them.
    for _ in 0..3_000 {
        if bench.pair.state(Side::Client, bench.handle(Side::Client)) != Some(State::Ready) {
            break;
        }
        if bench.sent[0] < 1_000 {
            bench.send(Side::Client);
        }
        let (server, stream) = (bench.handle(Side::Server), bench.streams[1]);
        bench.pair.call(Side::Server, |e, now| {
            // Two packets or so, for each of which an ACK is owed; none of them comes again.
            for _ in 0..2 {
                e.send(now, server, stream, vec![7; 40], SendOptions::UNRELIABLE).unwrap();
            }
        });
        bench.pair.run(ms(2));
    }
    let stats = bench.stats(Side::Client);
    let (all, data) = *sent.borrow();
    assert_eq!(end(&mut bench, Side::Client), Some(LostCause::KeyLimit), "{stats:?} {all}");
    assert!((1_200..=1_240).contains(&stats.packets_sent), "{} packets", stats.packets_sent);
    assert!((1..=200).contains(&data), "{data} packets with data");
    bench.pair.run(Duration::from_secs(1));
    let told = LostCause::Peer { code: Code::KEY_LIMIT, reason: String::new() };
    assert_eq!(end(&mut bench, Side::Server), Some(told));
    assert_eq!(bench.ledgers[0].faults(), Vec::<String>::new());
}

/// Puts `count` packets before the server that name the client's zone and fail to open.
fn forge(bench: &mut Bench, count: u16) {
    let tape = bench.pair.tape();
    bench.send(Side::Client);
    let mut packet = tape.of(Side::Client).pop().expect("it went out").bytes;
    for number in 0..count {
        // Another number each: not one that the window took already.
        packet[9..11].copy_from_slice(&(5_000 + number).to_be_bytes());
        bench.pair.forge(Side::Server, &packet);
    }
    bench.pair.run(ms(50));
}

/// PROTOCOL.md §5.3: packets that fail to open ask for new keys, and in the end, if there are
/// none, for an end (12). Each zone counts its own.
#[test]
pub(crate) fn r_zone_failed_opens_renew_and_end() {
    let limits = KeyLimits { renew_failures: 20, end_failures: 60, ..KeyLimits::default() };
    let mut bench = Bench::with(1, [limits; 2], LinkConfig::perfect().delay(ms(10)));
    bench.traffic(3, ms(5));
    bench.pair.run(ms(100));
    forge(&mut bench, 19);
    bench.pair.run(ms(500));
    assert_eq!(bench.zones(), [0; 2]);
    forge(&mut bench, 1);
    bench.pair.run(ms(500));
    assert_eq!(bench.zones(), [1; 2]);
    for zone in 2..5 {
        forge(&mut bench, 40);
        bench.pair.run(ms(500));
        assert_eq!(bench.zones(), [zone; 2]);
    }
    assert_eq!(bench.stats(Side::Server).drops.unauthentic, 140);
    bench.drop_from(Side::Server, |_, renews| renews.is_some());
    forge(&mut bench, 59);
    assert_eq!(end(&mut bench, Side::Server), None);
    forge(&mut bench, 1);
    assert_eq!(end(&mut bench, Side::Server), Some(LostCause::KeyLimit));
    bench.pair.run(ms(500));
    let told = LostCause::Peer { code: Code::KEY_LIMIT, reason: String::new() };
    assert_eq!(end(&mut bench, Side::Client), Some(told));
}

/// PROTOCOL.md §5.3: a key that carries data is renewed after two minutes, 10 % more or less; the
/// times follow from the seed and differ.
#[test]
pub(crate) fn r_zone_keys_are_renewed_every_two_minutes() {
    let mut times = std::collections::BTreeSet::new();
    for seed in 0..6 {
        let mut bench = Bench::new(seed);
        bench.traffic(1, ms(5));
        let begin = bench.pair.world.now();
        let mut last = begin;
        for _ in 0..100 {
            let before = bench.zones()[0];
            bench.traffic(1, Duration::from_secs(5));
            if bench.zones()[0] > before {
                let age = (bench.pair.world.now() - last).as_secs();
                assert!((100..=140).contains(&age), "seed {seed}: {age} s");
                times.insert(age);
                last = bench.pair.world.now();
            }
        }
        assert!((3..=5).contains(&bench.zones()[0]), "seed {seed}: {:?}", bench.zones());
        bench.assert_well("two minutes");
    }
    assert!(times.len() > 1, "{times:?}");
}

/// PROTOCOL.md §5.3: keep-alives alone renew nothing; the first data after long does.
#[test]
pub(crate) fn r_zone_keep_alives_alone_renew_nothing() {
    let mut client = Config::client();
    client.transport.keep_alive = Duration::from_secs(10);
    let mut pair = Pair::with(1, client, Config::public_server(identity("server")));
    let (client, server) = pair.connected();
    pair.run(Duration::from_secs(3_600));
    let zone = |pair: &Pair| pair.world.machine(pair.client).connection_stats(client).unwrap().zone;
    assert_eq!(zone(&pair), 0);
    assert_eq!(pair.state(Side::Server, server), Some(State::Ready));
    let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Ordered));
    let token = pair
        .call(Side::Client, |e, now| e.send(now, client, stream, "x", SendOptions::default()))
        .unwrap();
    pair.run(Duration::from_secs(1));
    assert_eq!(zone(&pair), 1);
    let acked = Event::Message { connection: client, stream, token, fate: Fate::Acked };
    assert!(pair.events(Side::Client).contains(&acked));
    pair.run(Duration::from_secs(3_600));
    assert_eq!(zone(&pair), 1, "and then it is quiet again");
}

/// R-ZONE-3: wishes are never lost, and never make more zones than were asked for; each side may
/// ask as often as it likes.
#[test]
pub(crate) fn r_zone_3_wishes_wait_and_are_one() {
    let mut bench = Bench::new(1);
    bench.traffic(3, ms(5));
    bench.pair.run(ms(500));
    for _ in 0..50 {
        SIDES.into_iter().for_each(|side| bench.renew(side));
    }
    bench.pair.run(ms(5));
    assert_eq!(bench.zones(), [0; 2]);
    bench.pair.run(Duration::from_secs(5));
    assert_eq!(bench.zones(), [1; 2], "under way already");
    bench.renew(Side::Client);
    bench.pair.run(ms(25));
    assert_eq!(bench.zones()[0], 2);
    // The zone before is still read: the wish waits for its end.
    for _ in 0..50 {
        bench.renew(Side::Client);
    }
    bench.pair.run(ms(10));
    assert_eq!(bench.zones(), [2; 2]);
    bench.pair.run(Duration::from_secs(5));
    assert_eq!(bench.zones(), [3; 2]);
    bench.assert_well("wishes");
}
