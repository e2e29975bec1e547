//! Rows T44, T45, T47, T48 and T50: who waits for whom. A receiver that does not read, credit, the
//! share of each stream, small messages, and flows that meet.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use tripline::{
    AckedPacket, Config, Congestion, CongestionEvent, ConnectionHandle, Controller, Event, Order,
    Reconfigure, Reliability, RestoreError, RttSummary, SendError, SendOptions, SentPacket,
    StreamId, StreamOptions,
};
use tripline_sansio::{Duration, Ecn, Instant};
use tripline_sim::{Chance, LinkConfig, Verdict};
use tripline_tests::frames::{self, Frame, kind};
use tripline_tests::{Pair, Side, Wiretap, identity};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Hands in messages of so many bytes until no more is taken; how many were.
fn fill(pair: &mut Pair, client: ConnectionHandle, stream: StreamId, len: usize) -> usize {
    let send = |pair: &mut Pair| {
        let data = vec![7; len];
        pair.call(Side::Client, |e, now| e.send(now, client, stream, data, SendOptions::default()))
    };
    let mut taken = 0;
    loop {
        match send(pair) {
            Ok(_) => taken += 1,
            Err(SendError::Blocked) => return taken,
            Err(error) => panic!("{error}"),
        }
    }
}

/// T44: a receiver that stops reading pauses that stream and no other; its sender is told that it
/// is blocked, once, and when it may go on, once there is room; nothing is lost.
#[test]
pub(crate) fn t44_a_reader_that_stops_pauses_its_stream_alone() {
    let mut pair = Pair::new(1);
    let (client, server) = pair.connected();
    let one_way = StreamOptions::one_way(Order::Ordered);
    let (slow, fast) =
        (pair.open(Side::Client, client, one_way), pair.open(Side::Client, client, one_way));
    let mut waits = 0;
    for _ in 0..100 {
        waits += fill(&mut pair, client, slow, 20_000);
        pair.run(ms(10));
    }
    let writable = |pair: &mut Pair, stream| {
        let is =
            |event: &&Event| matches!(event, Event::Writable { stream: one, .. } if *one == stream);
        pair.events(Side::Client).iter().filter(is).count()
    };
    writable(&mut pair, slow);
    assert_eq!(fill(&mut pair, client, slow, 20_000), 0, "the sender is blocked");
    let mut got = 0;
    for _ in 0..200 {
        fill(&mut pair, client, fast, 20_000);
        pair.run(ms(10));
        got += pair.messages(Side::Server, server, fast).len();
    }
    assert!(got > 500, "{got} messages of the other stream");
    assert_eq!(writable(&mut pair, slow), 0, "nobody read");
    assert_eq!(fill(&mut pair, client, slow, 20_000), 0);
    let mut read = 0;
    for _ in 0..50 {
        read += pair.messages(Side::Server, server, slow).len();
        pair.run(ms(20));
    }
    assert_eq!(read, waits, "what waited has come");
    assert_eq!(writable(&mut pair, slow), 1);
    assert!(fill(&mut pair, client, slow, 20_000) > 0);
}

/// What one side was granted and what it has used, as its packets show: the sum over its streams,
/// and each stream.
#[derive(Default)]
struct Books {
    connection: u64,
    stream: u64,
    streams: BTreeMap<u64, u64>,
    highest: BTreeMap<u64, u64>,
    frames: u64,
}

impl Books {
    /// A frame of this side that moves an offset.
    fn used(&mut self, frame: &Frame) {
        let (id, end) = match frame.kind {
            0x10..=0x1f => (frame.fields[0], frame.fields[1] + frame.data.len() as u64),
            kind::CLOSE_STREAM => (frame.fields[0], frame.fields[2]),
            kind::SKIP => {
                let ranges = frame.fields[2..].chunks(2);
                (frame.fields[0], ranges.map(|range| range[0] + range[1]).max().unwrap_or(0))
            }
            _ => return,
        };
        self.frames += 1;
        let highest = self.highest.entry(id).or_default();
        *highest = (*highest).max(end);
        let limit = self.streams.get(&id).copied().unwrap_or(self.stream);
        assert!(*highest <= limit, "stream {id}: {highest} of {limit}");
        let all: u64 = self.highest.values().sum();
        assert!(all <= self.connection, "{all} of {}", self.connection);
    }

    /// A frame of the other side that grants.
    fn granted(&mut self, frame: &Frame) {
        match frame.kind {
            kind::CREDIT => self.connection = self.connection.max(frame.fields[0]),
            kind::STREAM_CREDIT => {
                let limit = self.streams.entry(frame.fields[0]).or_insert(self.stream);
                *limit = (*limit).max(frame.fields[1]);
            }
            _ => {}
        }
    }
}

/// T45: no packet of either side ever exceeds what it was granted, by books kept from the frames
/// themselves, in bad weather, with every order and reliability, slow readers and limits that are
/// changed on the way; and all that is reliable arrives: nothing waits for ever.
#[test]
pub(crate) fn t45_no_packet_exceeds_its_credit_and_nothing_waits_for_ever() {
    for seed in 1..9 {
        let tap = Wiretap::default();
        let mut configs = [Config::client(), Config::public_server(identity("server"))];
        for config in &mut configs {
            config.transport.message_max = 8_000;
            config.transport.stream_credit = 12_000;
            config.transport.stream_credit_max = 40_000;
            config.transport.connection_credit = 30_000;
            config.transport.connection_credit_max = 100_000;
        }
        let [client, server] = configs.map(|config| tap.on(config));
        let link = LinkConfig::lossy(Chance::percent(10)).delay(ms(15)).rate(400_000, 30_000);
        let mut pair = Pair::with(seed, client, server).link(link);
        let ends = pair.connected();
        let ids = tap.ids();
        let first = tap.take();
        let to_server = first.iter().find(|one| frames::read(&one.text)[0].kind == kind::PING);
        let to_server = to_server.expect("the third leg").id;
        assert_eq!(ids.len(), 2);
        let book = || Books { connection: 30_000, stream: 12_000, ..Books::default() };
        let mut books = [book(), book()];
        let mut enter = |tap: &Wiretap| {
            for packet in tap.take() {
                let sender = usize::from(packet.id != to_server);
                for frame in frames::read(&packet.text) {
                    books[sender].used(&frame);
                    books[1 - sender].granted(&frame);
                }
            }
            books[0].frames + books[1].frames
        };
        let mut random = pair.world.random("application");
        let orders = [Order::Bytes, Order::Ordered, Order::Unordered, Order::Latest];
        let mut streams = Vec::new();
        for (side, handle) in [(Side::Client, ends.0), (Side::Server, ends.1)] {
            for order in orders {
                streams.push((side, pair.open(side, handle, StreamOptions::one_way(order))));
            }
        }
        let handle = |side| if side == Side::Client { ends.0 } else { ends.1 };
        let (mut wanted, mut fates) = (0, 0);
        for turn in 0..600 {
            for (side, stream) in &streams {
                let reliability = match (stream.order(), random.below(4)) {
                    (Order::Bytes, _) | (_, 0 | 1) => Reliability::Reliable,
                    (_, 2) => Reliability::Unreliable,
                    _ => Reliability::Transmissions(2),
                };
                let data = vec![turn as u8; random.below(7_900) as usize + 1];
                let options = SendOptions { reliability, expires_after: None };
                let sent =
                    pair.call(*side, |e, now| e.send(now, handle(*side), *stream, data, options));
                wanted += u32::from(sent.is_ok());
            }
            pair.run(ms(5));
            enter(&tap);
            for (side, stream) in &streams {
                // Each reads now and then.
                if turn > 400 || random.below(20) == 0 {
                    let reader = side.other();
                    while let Ok(tripline::ReceiveResult::Data(_)) =
                        pair.call(reader, |e, now| e.receive(now, handle(reader), *stream))
                    {
                    }
                }
            }
            if turn == 200 {
                let change = Reconfigure {
                    stream_credit: Some(20_000),
                    connection_credit: Some(60_000),
                    ..Reconfigure::default()
                };
                let server = ends.1;
                pair.call(Side::Server, |e, now| e.reconfigure(now, server, change))
                    .expect("lives");
            }
        }
        for _ in 0..6_000 {
            pair.run(ms(50));
            enter(&tap);
            for (side, stream) in &streams {
                let reader = side.other();
                while let Ok(tripline::ReceiveResult::Data(_)) =
                    pair.call(reader, |e, now| e.receive(now, handle(reader), *stream))
                {
                }
                for event in pair.events(*side) {
                    assert!(!matches!(event, Event::Lost { .. }), "seed {seed}: {event:?}");
                    fates += u32::from(matches!(event, Event::Message { .. }));
                }
            }
            if fates == wanted {
                break;
            }
        }
        assert_eq!(fates, wanted, "seed {seed}: each message is settled, none waits");
        assert!(enter(&tap) > 2_000, "seed {seed}: the books were kept");
    }
}

/// T45: unreliable streams get their credit back for what is lost: a hundred times the credit
/// passes through a link that loses half, and the stream is as good as new behind it.
#[test]
pub(crate) fn t45_unreliable_streams_regain_credit_for_what_is_lost() {
    let mut server = Config::public_server(identity("server"));
    server.transport.message_max = 2_000;
    (server.transport.stream_credit, server.transport.stream_credit_max) = (10_000, 0);
    let link = LinkConfig::lossy(Chance::percent(50)).delay(ms(5));
    let mut pair = Pair::with(3, Config::client(), server).link(link);
    let (client, server) = pair.connected();
    let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Unordered));
    let (mut sent, mut got, mut fates) = (0, 0, 0);
    for turn in 0..60_000 {
        let send = |e: &mut tripline::Endpoint, now| {
            e.send(now, client, stream, vec![1; 1_000], SendOptions::UNRELIABLE)
        };
        sent += u32::from(sent < 1_000 && pair.call(Side::Client, send).is_ok());
        pair.run(ms(10));
        while let Ok(tripline::ReceiveResult::Data(_)) =
            pair.call(Side::Server, |e, now| e.receive(now, server, stream))
        {
            got += 1;
        }
        let fate = |event: &Event| matches!(event, Event::Message { .. });
        fates += pair.events(Side::Client).iter().filter(|event| fate(event)).count();
        if fates == 1_000 {
            println!("after {turn} turns");
            break;
        }
    }
    assert_eq!((sent, fates), (1_000, 1_000), "100 times the credit");
    assert!((300..700).contains(&got), "{got} of a thousand through a link that loses half");
    pair.world.set_links(pair.client, pair.server, LinkConfig::perfect());
    pair.run(Duration::from_secs(20));
    pair.messages(Side::Server, server, stream);
    pair.send(Side::Client, client, stream, &[2; 2_000]);
    pair.run(ms(500));
    assert_eq!(pair.messages(Side::Server, server, stream).last(), Some(&vec![2; 2_000]));
}

/// T47: with all eight levels saturated each has its share, twice that of the next, and the last
/// one is not starved.
#[test]
pub(crate) fn t47_no_level_starves() {
    let link = LinkConfig::perfect().delay(ms(10)).rate(1_000_000, 60_000);
    let mut pair = Pair::new(1).link(link);
    let (client, server) = pair.connected();
    let streams: Vec<StreamId> = (0..8)
        .map(|priority| StreamOptions { priority, ..StreamOptions::one_way(Order::Ordered) })
        .map(|options| pair.open(Side::Client, client, options))
        .collect();
    let mut got = [0_usize; 8];
    for turn in 0..2_000 {
        for stream in &streams {
            fill(&mut pair, client, *stream, 1_000);
        }
        pair.run(ms(10));
        for (stream, got) in streams.iter().zip(&mut got) {
            while let Ok(tripline::ReceiveResult::Data(data)) =
                pair.call(Side::Server, |e, now| e.receive(now, server, *stream))
            {
                // Not the beginning, before all are there.
                *got += if turn > 100 { data.len() } else { 0 };
            }
        }
    }
    println!("{got:?}");
    for (level, pair) in got.windows(2).enumerate() {
        let ratio = pair[0] as f64 / pair[1] as f64;
        assert!((1.6..2.5).contains(&ratio), "levels {level} and the next: {got:?}");
    }
    assert!(got[7] > 20_000, "the last of eight: {got:?}");
}

/// T48: nothing waits for company: a message that is alone leaves with the drain that follows, at
/// the same instant, so what batching adds is what the loop waits between call and drain.
#[test]
pub(crate) fn t48_a_lone_message_leaves_at_once() {
    let mut pair = Pair::new(1);
    let (client, server) = pair.connected();
    pair.run(Duration::from_secs(1));
    let tape = pair.tape();
    let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Ordered));
    for size in [0, 1, 100] {
        tape.clear();
        pair.send(Side::Client, client, stream, &vec![1; size]);
        let sent: Vec<Instant> = tape.of(Side::Client).iter().map(|one| one.at).collect();
        assert_eq!(sent, [pair.world.now()], "{size} bytes");
        pair.run(ms(11));
        assert_eq!(pair.messages(Side::Server, server, stream).len(), 1);
        pair.run(ms(500));
    }
}

/// T50: two whole connections through one bottleneck share it within a fifth of its rate, whoever
/// came first.
#[test]
pub(crate) fn t50_two_connections_share_a_bottleneck() {
    for seed in 1..4 {
        let link = LinkConfig::perfect().delay(ms(20)).rate(1_000_000, 40_000);
        let mut pair = Pair::new(seed).link(link);
        let ends = [pair.connected(), pair.connected()];
        let streams = ends.map(|(client, _)| {
            pair.open(Side::Client, client, StreamOptions::one_way(Order::Bytes))
        });
        let mut got = [0_usize; 2];
        for turn in 0..6_000 {
            for (index, (client, server)) in ends.into_iter().enumerate() {
                if index == 1 && turn < 300 {
                    continue;
                }
                fill(&mut pair, client, streams[index], 50_000);
                while let Ok(tripline::ReceiveResult::Data(data)) =
                    pair.call(Side::Server, |e, now| e.receive(now, server, streams[index]))
                {
                    // From when both have found their rates.
                    got[index] += if turn >= 1_500 { data.len() } else { 0 };
                }
            }
            pair.run(ms(10));
        }
        let all = got[0] + got[1];
        println!("seed {seed}: {got:?}");
        assert!(all > 38_000_000, "seed {seed}: {got:?} of 45 MB");
        assert!(got[0].abs_diff(got[1]) * 5 <= all, "seed {seed}: {got:?}");
    }
}

/// T50: one lost packet, or one mark of congestion, lowers the rate; a path that loses and marks
/// nothing does not.
#[test]
pub(crate) fn t50_loss_or_a_mark_lowers_the_rate() {
    for (name, verdict) in
        [("loss", Some(Verdict::Drop)), ("mark", Some(Verdict::Mark(Ecn::Ce))), ("nothing", None)]
    {
        let mut pair = Pair::new(1).link(LinkConfig::perfect().delay(ms(20)));
        let (client, server) = pair.connected();
        let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Bytes));
        let go = |pair: &mut Pair| {
            for _ in 0..30 {
                fill(pair, client, stream, 50_000);
                pair.run(ms(10));
                while let Ok(tripline::ReceiveResult::Data(_)) =
                    pair.call(Side::Server, |e, now| e.receive(now, server, stream))
                {
                }
            }
            let stats = pair.world.machine(pair.client).connection_stats(client);
            let stats = stats.expect("it lives");
            (stats.congestion_window, stats.pacing_rate)
        };
        let before = go(&mut pair);
        if let Some(verdict) = verdict {
            let (once, from) = (RefCell::new(Some(verdict)), Some(pair.client));
            pair.world.add_rule(move |packet| {
                match packet.from == from && packet.bytes.len() > 1_100 {
                    true => once.borrow_mut().take().unwrap_or(Verdict::Pass),
                    false => Verdict::Pass,
                }
            });
        }
        let after = go(&mut pair);
        let lower = after.0 < before.0 && after.1 < before.1;
        assert_eq!(lower, name != "nothing", "{name}: {before:?}, then {after:?}");
    }
}

/// A user's own controller: three datagrams, whatever happens; it counts what it is told.
#[derive(Clone, Debug, Default)]
struct Three {
    told: std::sync::Arc<std::sync::Mutex<[u64; 2]>>,
}

impl Controller for Three {
    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn save(&self, _out: &mut Vec<u8>) {}

    fn restore(&mut self, _saved: &[u8]) -> Result<(), RestoreError> {
        Ok(())
    }

    fn window(&self) -> u64 {
        3 * 1_200
    }

    fn on_sent(&mut self, _now: Instant, packet: &SentPacket) {
        assert!(packet.in_flight <= 5 * 1_200, "probes alone may pass the window: {packet:?}");
        self.told.lock().expect("one thread")[0] += 1;
    }

    fn on_acked(&mut self, _now: Instant, _packet: &AckedPacket, _rtt: &RttSummary) {
        self.told.lock().expect("one thread")[1] += 1;
    }

    fn on_congestion(&mut self, _now: Instant, _event: &CongestionEvent) {}

    fn on_mtu(&mut self, _bytes: u16) {}
}

/// T50: the controller is a seam: a user's own decides how much is in flight.
#[test]
pub(crate) fn t50_a_users_own_controller_decides() {
    let three = Three::default();
    let mut client = Config::client();
    client.transport.congestion = Congestion::Custom(Box::new(three.clone()));
    client.transport.datagram_ceiling = 1_200;
    let mut pair = Pair::with(1, client, Config::public_server(identity("server")))
        .link(LinkConfig::perfect().delay(ms(50)));
    let (client, server) = pair.connected();
    let most = Rc::new(RefCell::new((0_u64, Instant::ZERO)));
    let (seen, from) = (most.clone(), Some(pair.client));
    pair.world.add_rule(move |packet| {
        if packet.from == from && packet.bytes.len() == 1_200 {
            let mut seen = seen.borrow_mut();
            let same = seen.1 == packet.now;
            *seen = (if same { seen.0 + 1 } else { 1 }, packet.now);
            assert!(seen.0 <= 3, "more than three at {:?}", packet.now);
        }
        Verdict::Pass
    });
    let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Ordered));
    pair.send(Side::Client, client, stream, &[1; 100_000]);
    pair.run(Duration::from_secs(1));
    let got = pair.messages(Side::Server, server, stream).len();
    assert_eq!(got, 0, "three datagrams a round trip of 100 ms are a third of it in a second");
    pair.run(Duration::from_secs(4));
    assert_eq!(pair.messages(Side::Server, server, stream).len(), 1);
    let [sent, acked] = *three.told.lock().expect("one thread");
    assert!(sent >= 85 && acked >= 85, "{sent} sent, {acked} acknowledged");
}
