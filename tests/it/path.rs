//! Addresses that change under a connection: moves, copies from elsewhere, servers that are gone
//! (PROTOCOL.md §5.2; rows T21, T22, N17).

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use tripline::{
    ConnectOptions, ConnectionHandle, ConnectionStats, Event, Order, ReceiveResult, SendOptions,
    StreamId, StreamOptions, Target,
};
use tripline_sansio::{Duration, Ecn};
use tripline_sim::{Chance, Discipline, LinkConfig, Stage, Verdict};
use tripline_tests::{Pair, Side, identity};

fn address(host: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 1, host], port))
}

fn stats(pair: &Pair, side: Side, connection: ConnectionHandle) -> ConnectionStats {
    pair.world.machine(pair.host(side)).connection_stats(connection).expect("it lives")
}

fn moves(pair: &mut Pair, side: Side) -> Vec<(SocketAddr, SocketAddr)> {
    let moved = |event| match event {
        Event::Moved { from, to, .. } => Some((from, to)),
        other => {
            let end = matches!(
                other,
                Event::Connected { .. } | Event::Lost { .. } | Event::Closed { .. }
            );
            assert!(!end, "{other:?}");
            None
        }
    };
    pair.events(side).into_iter().filter_map(moved).collect()
}

/// A one-way stream of numbered messages of 1,000 bytes.
struct Flow {
    from: Side,
    ours: ConnectionHandle,
    theirs: ConnectionHandle,
    stream: StreamId,
    total: u32,
    sent: u32,
    got: u32,
}

impl Flow {
    fn new(pair: &mut Pair, from: Side, ends: [ConnectionHandle; 2], total: u32) -> Self {
        let [ours, theirs] = if from == Side::Client { ends } else { [ends[1], ends[0]] };
        let stream = pair.open(from, ours, StreamOptions::one_way(Order::Ordered));
        Self { from, ours, theirs, stream, total, sent: 0, got: 0 }
    }

    /// Hands in what is taken, and checks what has come: each message once, in order.
    fn turn(&mut self, pair: &mut Pair) {
        let (connection, stream) = (self.ours, self.stream);
        while self.sent < self.total {
            let mut message = vec![7; 1_000];
            message[..4].copy_from_slice(&self.sent.to_be_bytes());
            let options = SendOptions::default();
            let taken =
                pair.call(self.from, |e, now| e.send(now, connection, stream, message, options));
            if taken.is_err() {
                break;
            }
            self.sent += 1;
        }
        let to = if self.from == Side::Client { Side::Server } else { Side::Client };
        let theirs = self.theirs;
        while let Ok(ReceiveResult::Data(message)) =
            pair.call(to, |e, now| e.receive(now, theirs, stream))
        {
            assert_eq!(message[..4], self.got.to_be_bytes(), "lost, twice, or out of order");
            self.got += 1;
        }
    }

    fn is_done(&self) -> bool {
        self.got == self.total
    }
}

/// A link of 1.5 MB/s and 10 ms.
fn link() -> LinkConfig {
    LinkConfig::perfect().delay(Duration::from_millis(10)).rate(1_500_000, 60_000)
}

/// Runs the flows until all is there, doing `each` every 10 ms; panics after two minutes.
fn run(pair: &mut Pair, flows: &mut [Flow], mut each: impl FnMut(&mut Pair, u64)) {
    for turn in 0..12_000 {
        flows.iter_mut().for_each(|flow| flow.turn(pair));
        if flows.iter().all(Flow::is_done) {
            return;
        }
        each(pair, turn);
        pair.run(Duration::from_millis(10));
    }
    let got: Vec<_> = flows.iter().map(|flow| (flow.got, flow.total)).collect();
    panic!("not done after two minutes: {got:?}; {}", pair.explain());
}

/// T21: a client that moves twice a second, to another host, another port and back, while megabytes
/// flow both ways: nothing is lost or comes twice, each move is told once, and no datagram breaks
/// R-HAND-1. With `TRIPLINE_MOVING_MESSAGES=20000` it is 20 MB each way (tests/bench/SCALE.md).
#[test]
pub(crate) fn t21_a_client_that_moves_all_the_time_loses_nothing() {
    let total = std::env::var("TRIPLINE_MOVING_MESSAGES").ok();
    let total: u32 = total.map_or(5_000, |text| text.parse().expect("a number"));
    for seed in 1..4 {
        let (pair, inspector) = Pair::inspected(seed);
        let mut pair = pair.link(link());
        let ends: [_; 2] = pair.connected().into();
        pair.events(Side::Client);
        pair.events(Side::Server);
        // Who only receives has to be told that it has moved.
        let told = seed % 2 == 0;
        let mut flows = vec![Flow::new(&mut pair, Side::Client, ends, total)];
        if told {
            flows.push(Flow::new(&mut pair, Side::Server, ends, total));
        }
        let mut places = vec![pair.world.address(pair.client)];
        run(&mut pair, &mut flows, |pair, turn| {
            if turn % 50 == 49 {
                let next = match places.len() % 4 {
                    1 => address(places.len() as u8, 1111),
                    2 => SocketAddr::new(places[places.len() - 1].ip(), 2222),
                    3 => places[places.len() - 2],
                    _ => address(99, places.len() as u16),
                };
                pair.world.readdress(pair.client, next);
                places.push(next);
                if told {
                    pair.call(Side::Client, |e, now| e.network_changed(now, None)).unwrap();
                }
            }
        });
        pair.run(Duration::from_secs(5));
        let expected: Vec<_> = places.windows(2).map(|pair| (pair[0], pair[1])).collect();
        assert!(expected.len() >= 6, "seed {seed}: {} moves", expected.len());
        assert_eq!(moves(&mut pair, Side::Server), expected, "seed {seed}");
        assert_eq!(moves(&mut pair, Side::Client), [], "the server did not move");
        assert_eq!(stats(&pair, Side::Server, ends[1]).moves, expected.len() as u64);
        assert_eq!(inspector.violations(), [], "seed {seed}");
        if total != 5_000 {
            let mb = u64::from(total) / 1_000;
            let moves = expected.len();
            println!("seed {seed}: {mb} MB, {moves} moves");
        }
    }
}

/// T21: moves at random times, of both sides, in bad weather and with sloppy loops: whatever was
/// handed in arrives, once and in order.
#[test]
pub(crate) fn t21_moves_in_bad_weather_lose_nothing() {
    for seed in 1..25 {
        let weather = LinkConfig::lossy(Chance::permille(80))
            .delay(Duration::from_millis(15))
            .jitter(Duration::from_millis(10))
            .free_order()
            .duplicate(Chance::permille(30), Duration::from_millis(40))
            .reorder(Chance::permille(30), Duration::from_millis(40))
            .mtu(1_300);
        let (pair, inspector) = Pair::inspected(seed);
        let mut pair = pair.link(weather);
        let ends: [_; 2] = pair.connected().into();
        let mut random = pair.world.random("moves");
        pair.world.set_discipline(Discipline::sloppy(Chance::permille(50)));
        let mut flows = [
            Flow::new(&mut pair, Side::Client, ends, 400),
            Flow::new(&mut pair, Side::Server, ends, 400),
        ];
        let mut count = 0;
        run(&mut pair, &mut flows, |pair, _| {
            if random.below(30) > 0 || count > 30 {
                return;
            }
            count += 1;
            let side = if random.below(3) > 0 { Side::Client } else { Side::Server };
            let old = pair.world.address(pair.host(side));
            // Sometimes another port alone.
            let to = if random.below(3) == 0 {
                SocketAddr::new(old.ip(), 5_000 + count)
            } else {
                address(100 + count as u8, 1)
            };
            pair.world.readdress(pair.host(side), to);
            pair.call(side, |e, now| e.network_changed(now, None)).unwrap();
            // Who moves at once with the other is lost; that is not this test.
            pair.run(Duration::from_secs(3));
        });
        assert_eq!(inspector.violations(), [], "seed {seed}");
        assert!(count > 0, "seed {seed}");
    }
}

/// N17: a client at rest says where it is when it is told that its network has changed.
#[test]
pub(crate) fn n17_a_network_change_is_told_at_once() {
    let mut pair = Pair::new(1);
    let (client, server) = pair.connected();
    pair.run(Duration::from_secs(1));
    pair.events(Side::Server);
    let (old, new) = (pair.world.address(pair.client), address(7, 7));
    pair.world.readdress(pair.client, new);
    pair.run(Duration::from_secs(1));
    assert_eq!(moves(&mut pair, Side::Server), [], "nobody knows yet");
    pair.call(Side::Client, |e, now| e.network_changed(now, None)).unwrap();
    pair.run(Duration::from_millis(50));
    assert_eq!(moves(&mut pair, Side::Server), [(old, new)]);
    // It may be called for nothing.
    pair.call(Side::Client, |e, now| e.network_changed(now, Some(client))).unwrap();
    pair.run(Duration::from_millis(50));
    assert_eq!(moves(&mut pair, Side::Server), []);
    assert_eq!(stats(&pair, Side::Server, server).stray_pongs, 0);
    assert_eq!(stats(&pair, Side::Client, client).stray_pongs, 0);
}

/// R-PATH-2b: a new port keeps what was learnt of the path, a new IP address does not; and
/// neither is congestion.
#[test]
pub(crate) fn r_path_2_a_new_port_keeps_the_window_and_a_new_host_does_not() {
    let mut pair = Pair::new(1).link(LinkConfig::perfect().delay(Duration::from_millis(10)));
    let ends: [_; 2] = pair.connected().into();
    let mut flows = [Flow::new(&mut pair, Side::Server, ends, 3_000)];
    run(&mut pair, &mut flows, |_, _| {});
    let window = |pair: &Pair| stats(pair, Side::Server, ends[1]).congestion_window;
    let before = window(&pair);
    assert!(before > 50_000, "{before}");
    let go = |pair: &mut Pair, to| {
        pair.world.readdress(pair.client, to);
        pair.call(Side::Client, |e, now| e.network_changed(now, None)).unwrap();
        pair.run(Duration::from_millis(100));
        assert_eq!(stats(pair, Side::Server, ends[1]).packets_lost, 0);
        window(pair)
    };
    let home = pair.world.address(pair.client);
    assert!(go(&mut pair, SocketAddr::new(home.ip(), 9)) >= before);
    assert!(go(&mut pair, address(3, 9)) < 20_000);
}

/// R-PATH-2: who comes back soon needs no new proof: the first packet moves everything back.
#[test]
pub(crate) fn r_path_2_the_way_back_from_a_false_move_is_short() {
    let mut pair = Pair::new(1);
    let (client, _) = pair.connected();
    pair.run(Duration::from_secs(1));
    pair.events(Side::Server);
    let (home, away) = (pair.world.address(pair.client), address(7, 7));
    // One way takes 10 ms; a proof takes three.
    for (from, to, ways) in [(home, away, 3), (away, home, 1), (home, away, 1)] {
        pair.world.readdress(pair.client, to);
        pair.call(Side::Client, |e, now| e.network_changed(now, Some(client))).unwrap();
        pair.run(Duration::from_millis(10 * ways - 1));
        assert_eq!(moves(&mut pair, Side::Server), [], "{from} to {to} takes {ways}");
        pair.run(Duration::from_millis(2));
        assert_eq!(moves(&mut pair, Side::Server), [(from, to)]);
        pair.run(Duration::from_secs(20));
    }
}

/// What went to each address and came from it, in bytes of DATA.
#[derive(Default)]
struct Books {
    /// DATA that the client sent, for a copier.
    copies: VecDeque<Vec<u8>>,
    sums: BTreeMap<SocketAddr, (usize, usize)>,
}

impl Books {
    /// Watches what the server sends and gets.
    fn watch(pair: &mut Pair) -> Rc<RefCell<Self>> {
        let books = Rc::<RefCell<Self>>::default();
        let (copy, client) = (books.clone(), Some(pair.client));
        let server = pair.world.address(pair.server);
        pair.world.add_tap(move |packet| {
            if packet.bytes[0] < 0x80 {
                return;
            }
            let mut books = copy.borrow_mut();
            if packet.stage == Stage::Offered && packet.source == server {
                books.sums.entry(packet.destination).or_default().1 += packet.bytes.len();
            } else if packet.stage == Stage::Delivered && packet.destination == server {
                books.sums.entry(packet.source).or_default().0 += packet.bytes.len();
            }
            if packet.stage == Stage::Offered && packet.from == client {
                books.copies.push_back(packet.bytes.to_vec());
            }
        });
        books
    }

    /// R-PATH-1: what an address may get that has proven nothing.
    fn check(&self, address: SocketAddr) -> (usize, usize) {
        let (came, went) = self.sums.get(&address).copied().unwrap_or_default();
        assert!(went <= 3 * came, "{address}: {went} bytes for {came}");
        (came, went)
    }
}

/// Resends what `choose` says, each packet once, from the address it says and faster than the link,
/// so that the copy is taken and the packet is not.
fn copy(
    pair: &mut Pair,
    books: &Rc<RefCell<Books>>,
    mut choose: impl FnMut(u64) -> Option<SocketAddr>,
    duration: Duration,
    mut each: impl FnMut(&mut Pair),
) {
    let (until, mut count) = (pair.world.now() + duration, 0);
    while pair.world.now() < until {
        each(pair);
        let rest = until - pair.world.now();
        let waiting = |pair: &Pair| pair.world.next_time().is_some_and(|at| at <= until);
        if !waiting(pair) {
            pair.run(rest);
        }
        pair.world.step();
        while let Some(bytes) = { books.borrow_mut().copies.pop_front() } {
            if let Some(victim) = choose(count) {
                let (to, soon) = (pair.server, Duration::from_millis(1));
                pair.world.inject(soon, victim, to, Ecn::NotEct, &bytes);
            }
            count += 1;
        }
    }
}

/// A2, R-PATH-1: a copier that is faster than the client resends its packets from a thousand
/// addresses: none gets more than three times what came from it, and the connection goes on.
#[test]
pub(crate) fn r_path_1_a_copier_gets_no_more_than_three_times_what_it_sends() {
    for every in [1, 2, 7] {
        let mut pair = Pair::new(every);
        let ends: [_; 2] = pair.connected().into();
        pair.run(Duration::from_secs(1));
        pair.events(Side::Server);
        let books = Books::watch(&mut pair);
        let mut flows = [
            Flow::new(&mut pair, Side::Client, ends, 2_000),
            Flow::new(&mut pair, Side::Server, ends, 2_000),
        ];
        let victims: Vec<_> = (0..1_000_u16)
            .map(|n| SocketAddr::from(([10, 7, (n >> 8) as u8, n as u8], 7)))
            .collect();
        let choose =
            |n: u64| n.is_multiple_of(every).then(|| victims[(n / every) as usize % victims.len()]);
        copy(&mut pair, &books, choose, Duration::from_secs(20), |pair| {
            flows.iter_mut().for_each(|flow| flow.turn(pair));
        });
        let books = books.borrow();
        let sums = victims.iter().map(|victim| books.check(*victim));
        let (came, went) = sums.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        assert!(came > 100_000 && went > 0, "every {every}: {came} came, {went} went");
        assert!(went < came, "every {every}: PINGs are once per PTO: {went} for {came}");
        assert_eq!(moves(&mut pair, Side::Server), []);
        assert!(flows.iter().all(Flow::is_done), "every {every}: {}", pair.explain());
        assert!(stats(&pair, Side::Server, ends[1]).addresses_refused > 0);
    }
}

/// R-PATH-1: who has moved and is not heard any better there gets three times what it sends, PONGs
/// included, and its data stays with the proven address.
#[test]
pub(crate) fn r_path_1_what_is_not_proven_gets_its_budget_and_no_data() {
    let mut pair = Pair::new(1);
    let ends: [_; 2] = pair.connected().into();
    pair.events(Side::Server);
    let books = Books::watch(&mut pair);
    let (home, deaf) = (pair.world.address(pair.client), address(5, 5));
    pair.world.readdress(pair.client, deaf);
    let client = Some(pair.client);
    pair.world.add_rule(
        move |packet| {
            if packet.from == client { Verdict::Pass } else { Verdict::Drop }
        },
    );
    let mut flows = [Flow::new(&mut pair, Side::Server, ends, 100)];
    for _ in 0..100 {
        flows[0].turn(&mut pair);
        // Each asks for a PONG too, filled.
        pair.call(Side::Client, |e, now| e.network_changed(now, None)).unwrap();
        pair.run(Duration::from_millis(37));
        books.borrow().check(deaf);
    }
    let (came, went) = books.borrow().check(deaf);
    assert!(came > 10_000 && went > came, "PINGs and PONGs: {went} for {came}");
    assert!(books.borrow().sums[&home].1 > 0);
    assert_eq!(moves(&mut pair, Side::Server), []);
    pair.world.clear_rules();
    run(&mut pair, &mut flows, |pair, _| {
        pair.call(Side::Client, |e, now| e.network_changed(now, None)).unwrap();
    });
    assert_eq!(moves(&mut pair, Side::Server), [(home, deaf)]);
}

/// R-PATH-1: a copier that makes every other packet of a client on the move arrive from elsewhere
/// first, PONGs too, slows the move down and does not void it.
#[test]
pub(crate) fn r_path_1_a_spoofed_move_cannot_void_a_true_one() {
    for seed in 1..6 {
        let mut pair = Pair::new(seed);
        let ends: [_; 2] = pair.connected().into();
        pair.run(Duration::from_secs(1));
        pair.events(Side::Server);
        let books = Books::watch(&mut pair);
        let mut flows = [
            Flow::new(&mut pair, Side::Client, ends, 300),
            Flow::new(&mut pair, Side::Server, ends, 300),
        ];
        let (home, new, victim) = (pair.world.address(pair.client), address(5, 5), address(6, 6));
        let mut random = pair.world.random("copier");
        pair.world.readdress(pair.client, new);
        pair.call(Side::Client, |e, now| e.network_changed(now, None)).unwrap();
        copy(
            &mut pair,
            &books,
            |_| (random.below(2) == 0).then_some(victim),
            Duration::from_secs(20),
            |pair| flows.iter_mut().for_each(|flow| flow.turn(pair)),
        );
        books.borrow().check(victim);
        assert_eq!(moves(&mut pair, Side::Server), [(home, new)], "seed {seed}");
        assert!(flows.iter().all(Flow::is_done), "seed {seed}: {}", pair.explain());
    }
}

/// R-HAND-1, R-PATH-1: a copier that gets the first DATA of a client to the server first, from
/// elsewhere, has it answered there within the budget, and the client is found all the same.
#[test]
pub(crate) fn r_hand_1_a_stolen_first_data_is_given_back() {
    for seed in 1..6 {
        let mut pair = Pair::new(seed);
        let books = Books::watch(&mut pair);
        let (home, thief) = (pair.world.address(pair.client), address(6, 6));
        let client = pair.connect();
        let steal = |n| (n == 0).then_some(thief);
        copy(&mut pair, &books, steal, Duration::from_secs(5), |_| {});
        let connected = |event: Event| match event {
            Event::Connected { connection, remote, .. } => Some((connection, remote)),
            _ => None,
        };
        let events = pair.events(Side::Server);
        let moved: Vec<_> = events
            .iter()
            .filter_map(|event| match event {
                Event::Moved { from, to, .. } => Some((*from, *to)),
                _ => None,
            })
            .collect();
        let (server, remote) = events.into_iter().find_map(connected).expect("it is connected");
        assert_eq!((remote, &moved[..]), (thief, &[(thief, home)][..]), "seed {seed}");
        assert!(books.borrow().check(thief).1 > 0);
        let mut flows = [Flow::new(&mut pair, Side::Server, [client, server], 100)];
        run(&mut pair, &mut flows, |_, _| {});
        books.borrow().check(thief);
    }
}

/// T22, R-PATH-3: the server has moved while nothing told the client; its name is resolved again
/// and the connection goes on there, with all that was on its way.
#[test]
pub(crate) fn t22_a_server_that_moved_is_found_by_its_name() {
    let mut pair = Pair::new(1);
    let home = pair.world.address(pair.server);
    let key = identity("server").public_key();
    let target = Target::Name { host: "server.example".into(), port: 2222 };
    let options = ConnectOptions::to(key);
    let client = pair.call(Side::Client, |e, now| e.connect(now, target, options)).unwrap();
    let resolve = |event: &Event| match event {
        Event::Resolve { connection, host, port } => {
            assert_eq!((host.as_str(), *port), ("server.example", 2222));
            Some(*connection)
        }
        _ => None,
    };
    assert_eq!(pair.wait(Side::Client, resolve), client);
    pair.call(Side::Client, |e, now| e.resolved(now, client, Ok(vec![home]))).unwrap();
    let server = pair.wait(Side::Server, |event| match event {
        Event::Connected { connection, .. } => Some(*connection),
        _ => None,
    });
    pair.run(Duration::from_secs(1));
    pair.events(Side::Client);
    let mut flows = [
        Flow::new(&mut pair, Side::Client, [client, server], 2_000),
        Flow::new(&mut pair, Side::Server, [client, server], 2_000),
    ];
    let new = address(50, 2222);
    let mut asked = 0;
    run(&mut pair, &mut flows, |pair, turn| {
        if turn == 1 {
            pair.world.readdress(pair.server, new);
        }
        let mut rest = Vec::new();
        while let Some((_, event)) = pair.world.next_event(pair.client) {
            if resolve(&event).is_some() {
                // Two wrong ones beside it; the network is slow to know.
                asked += 1;
                let found = if asked < 2 { vec![home] } else { vec![address(8, 8), home, new] };
                pair.call(Side::Client, |e, now| e.resolved(now, client, Ok(found))).unwrap();
            } else {
                rest.push(event);
            }
        }
        for event in rest {
            if let Event::Moved { from, to, .. } = event {
                assert_eq!((from, to), (home, new));
            }
            assert!(!matches!(event, Event::Lost { .. }), "{event:?}");
        }
    });
    assert_eq!(asked, 2);
    assert_eq!(stats(&pair, Side::Client, client).moves, 1);
}

/// R-PATH-3: without a name the client asks the addresses that it was given.
#[test]
pub(crate) fn r_path_3_a_client_tries_the_addresses_it_was_given() {
    let mut pair = Pair::new(1);
    let (home, new) = (pair.world.address(pair.server), address(50, 1));
    let options = ConnectOptions::to(identity("server").public_key());
    let target = Target::Addresses(vec![home, new]);
    let client = pair.call(Side::Client, |e, now| e.connect(now, target, options)).unwrap();
    pair.wait(Side::Client, |event| matches!(event, Event::Connected { .. }).then_some(()));
    let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Ordered));
    pair.run(Duration::from_secs(1));
    pair.events(Side::Client);
    pair.world.readdress(pair.server, new);
    pair.send(Side::Client, client, stream, b"still there?");
    let acked = |event: &Event| matches!(event, Event::Message { .. }).then_some(());
    pair.wait(Side::Client, acked);
    assert_eq!(moves(&mut pair, Side::Client), [(home, new)]);
}
