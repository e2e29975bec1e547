//! One connection per pair of identities (R-HAND-4): opens that cross, whatever is lost or late;
//! later ones that replace older ones, once they are READY; and all that must not replace any.

use std::net::SocketAddr;
use tripline::{
    By, Code, Config, ConnectOptions, ConnectionHandle, Endpoint, Event, OpenError, Order,
    StartError, State, StreamOptions, TransportConfig,
};
use tripline_sansio::{Duration, Instant};
use tripline_sim::{Chance, LinkConfig, PacketView, Verdict, drop_list};
use tripline_tests::{Pair, Side, identity};

const SIDES: [Side; 2] = [Side::Client, Side::Server];

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A peer: takes connections in, and begins them.
fn peer(name: &str, single: bool) -> Config {
    let transport = TransportConfig { single, ..TransportConfig::default() };
    Config { transport, ..Config::public_server(identity(name)) }
}

/// Two names, that of the lower public key first.
fn names() -> [&'static str; 2] {
    let mut names = ["anna", "berta"];
    names.sort_by_key(|name| identity(name).public_key().to_bytes());
    names
}

/// Two peers that want one connection; `low`: the side with the lower key.
fn peers(seed: u64, low: Side) -> Pair {
    let [lower, higher] = names().map(|name| peer(name, true));
    match low {
        Side::Client => Pair::with(seed, lower, higher),
        Side::Server => Pair::with(seed, higher, lower),
    }
}

fn key_of(pair: &Pair, side: Side) -> ConnectOptions {
    let key = pair.world.machine(pair.host(side)).public_key().expect("a peer has a key");
    ConnectOptions::to(key)
}

/// This side begins a connection to the other one.
fn begin(pair: &mut Pair, side: Side) -> Result<ConnectionHandle, StartError> {
    let (target, options) = (pair.target_of(side), key_of(pair, side.other()));
    pair.call(side, |e, now| e.connect(now, target, options))
}

/// The events of a side that say how connections came about and ended, in short.
fn story(pair: &mut Pair, side: Side) -> Vec<(ConnectionHandle, &'static str)> {
    let told = |event: Event| match event {
        Event::Connected { connection, .. } => Some((connection, "connected")),
        Event::Failed { connection, .. } => Some((connection, "failed")),
        Event::Closed { connection, code: Code::REPLACED, .. } => Some((connection, "replaced")),
        Event::Closed { connection, .. } => Some((connection, "closed")),
        Event::Lost { connection, .. } => Some((connection, "lost")),
        _ => None,
    };
    pair.events(side).into_iter().filter_map(told).collect()
}

/// Messages pass both ways between these two, and both call the connection single.
fn they_talk(pair: &mut Pair, handles: [ConnectionHandle; 2], case: &str) {
    let mut streams = Vec::new();
    for (side, own) in SIDES.into_iter().zip(handles) {
        let agreed = pair.call(side, |e, _| e.agreed(own));
        assert!(agreed.expect("it lives").single, "{case}: {side:?}");
        let stream = pair.open(side, own, StreamOptions::one_way(Order::Ordered));
        pair.send(side, own, stream, b"hello");
        streams.push(stream);
    }
    pair.run(ms(3_000));
    for (from, (side, own)) in SIDES.into_iter().zip(handles).enumerate() {
        let got = pair.messages(side, own, streams[1 - from]);
        assert_eq!(got, [b"hello".to_vec()], "{case}: {side:?}");
    }
}

/// Both sides begin, the second so much later than the first, under this rule; then each has one
/// connection, by the handle of its own attempt, and heard of nothing else.
fn crossing(
    (low, first, gap): (Side, Side, u64),
    case: &str,
    rules: impl FnOnce(&mut Pair),
) -> Pair {
    let mut pair = peers(1, low);
    rules(&mut pair);
    let one = begin(&mut pair, first).expect("the attempt begins");
    pair.run(ms(gap));
    let two = begin(&mut pair, first.other()).expect("the attempt begins");
    let case = format!("{case}, lower {low:?}, {first:?} first by {gap} ms");
    pair.run(ms(9_000));
    let handles = if first == Side::Client { [one, two] } else { [two, one] };
    for (side, own) in SIDES.into_iter().zip(handles) {
        assert_eq!(story(&mut pair, side), [(own, "connected")], "{case}: {side:?}");
        assert_eq!(pair.world.machine(pair.host(side)).connections(), 1, "{case}: {side:?}");
    }
    they_talk(&mut pair, handles, &case);
    pair
}

/// The gaps at which two attempts cross when a datagram takes 10 ms: the second begins before the
/// first one's third leg has come.
const GAPS: [u64; 7] = [0, 5, 10, 15, 20, 25, 29];

fn all_crossings() -> impl Iterator<Item = (Side, Side, u64)> {
    let low = SIDES.into_iter();
    low.flat_map(|low| SIDES.into_iter().map(move |first| (low, first)))
        .flat_map(|(low, first)| GAPS.into_iter().map(move |gap| (low, first, gap)))
}

/// R-HAND-4: whenever the second side begins, and whichever of the two has the lower key.
#[test]
pub(crate) fn r_hand_4_opens_that_cross_make_one_connection() {
    for case in all_crossings() {
        crossing(case, "nothing lost", |_| {});
    }
}

/// R-HAND-4: whichever of the first three datagrams either way are lost.
#[test]
pub(crate) fn r_hand_4_whatever_of_the_first_is_lost() {
    for case in all_crossings() {
        for mask in 0..64 {
            crossing(case, &format!("mask {mask:#x} lost"), |pair| {
                let (a, b) = (pair.client, pair.server);
                pair.world.add_rule(drop_list(a, b, mask & 7));
                pair.world.add_rule(drop_list(b, a, mask >> 3));
            });
        }
    }
}

/// R-HAND-4: in whatever order the first three datagrams either way arrive: each of them may be
/// overtaken by what is sent within the next 35 ms, or the next half second.
#[test]
pub(crate) fn r_hand_4_in_whatever_order_they_arrive() {
    let delayed = |by: u64, from, mask: u64| {
        move |packet: &PacketView<'_>| {
            let late =
                packet.from == Some(from) && packet.index < 64 && mask >> packet.index & 1 == 1;
            if late { Verdict::Delay(ms(by)) } else { Verdict::Pass }
        }
    };
    for case in all_crossings().filter(|(_, _, gap)| gap % 10 == 0) {
        for mask in 0..64 {
            for by in [35, 500] {
                crossing(case, &format!("mask {mask:#x} late by {by} ms"), |pair| {
                    let (a, b) = (pair.client, pair.server);
                    pair.world.add_rule(delayed(by, a, mask & 7));
                    pair.world.add_rule(delayed(by, b, mask >> 3));
                });
            }
        }
    }
}

/// R-HAND-4: on links of every kind of weather.
#[test]
pub(crate) fn r_hand_4_opens_cross_in_bad_weather() {
    for seed in 0..60 {
        let low = SIDES[seed as usize % 2];
        let mut pair = peers(seed, low)
            .link(LinkConfig::lossy(Chance::percent(20)).delay(ms(10)).jitter(ms(30)).free_order());
        let mut options = key_of(&pair, Side::Server);
        options.deadline = Duration::from_secs(60);
        let a = pair.connect_with(options);
        pair.run(ms(seed % 30));
        let (target, mut options) = (pair.target_of(Side::Server), key_of(&pair, Side::Client));
        options.deadline = Duration::from_secs(60);
        let b = pair.call(Side::Server, |e, now| e.connect(now, target, options));
        let b = b.expect("the attempt begins");
        pair.run(ms(20_000));
        for (side, own) in SIDES.into_iter().zip([a, b]) {
            assert_eq!(story(&mut pair, side), [(own, "connected")], "seed {seed}: {side:?}");
        }
    }
}

/// R-HAND-4: the lower key's own OPENs go nowhere, say to an address that is no longer the other's:
/// after a while it answers those that come, and its attempt takes over what comes of them.
#[test]
pub(crate) fn r_hand_4_an_open_in_vain_stands_aside() {
    let mut pair = peers(1, Side::Client);
    let nowhere = SocketAddr::from(([10, 9, 9, 9], 9));
    let options = key_of(&pair, Side::Server);
    let own = pair.call(Side::Client, |e, now| e.connect(now, nowhere.into(), options));
    let own = own.expect("the attempt begins");
    let theirs = begin(&mut pair, Side::Server).expect("the attempt begins");
    pair.run(ms(2_000));
    assert_eq!(pair.state(Side::Client, own), Some(State::Opening), "its own OPEN stands");
    pair.run(ms(2_000));
    assert_eq!(story(&mut pair, Side::Client), [(own, "connected")]);
    assert_eq!(story(&mut pair, Side::Server), [(theirs, "connected")]);
    they_talk(&mut pair, [own, theirs], "in vain");
}

/// A connection that one side began, READY on both: the client's and the server's handle.
fn standing(pair: &mut Pair) -> [ConnectionHandle; 2] {
    let (a, b) = pair.connected();
    pair.run(ms(1_000));
    for side in SIDES {
        pair.events(side);
    }
    [a, b]
}

/// R-HAND-4: a later connection of the same identity takes the older one's place, code 16, on both
/// sides and in either direction, when it is READY and not before.
#[test]
pub(crate) fn r_hand_4_a_later_one_replaces_once_ready() {
    for (low, later) in SIDES.into_iter().flat_map(|low| SIDES.map(|later| (low, later))) {
        let mut pair = peers(1, low);
        let old = standing(&mut pair);
        // The answer to the new one does not get through.
        let new = begin(&mut pair, later).expect("the attempt begins");
        pair.hold_challenges(later.other());
        pair.run(ms(3_000));
        they_talk(&mut pair, old, "not READY");
        for side in SIDES {
            assert_eq!(story(&mut pair, side), [], "not READY: {side:?}");
        }
        pair.release_challenges(later.other());
        pair.run(ms(3_000));
        let mut handles = [new; 2];
        for (at, side) in SIDES.into_iter().enumerate() {
            let told = story(&mut pair, side);
            let connected: Vec<_> = told.iter().filter(|(_, what)| *what == "connected").collect();
            assert_eq!((told.len(), connected.len()), (2, 1), "{side:?}: {told:?}");
            assert!(told.contains(&(old[at], "replaced")), "{side:?}: {told:?}");
            handles[at] = connected[0].0;
            assert_ne!(handles[at], old[at]);
            assert!(side != later || handles[at] == new);
        }
        they_talk(&mut pair, handles, "the new one");
        pair.run(ms(60_000));
    }
}

/// R-HAND-4, R-OPEN-4: an OPEN that is played again, however often, replaces nothing.
#[test]
pub(crate) fn r_hand_4_a_replay_replaces_nothing() {
    let mut pair = peers(1, Side::Client);
    let tape = pair.tape();
    let handles = standing(&mut pair);
    let open = tape.kind(1)[0].bytes.clone();
    for _ in 0..10 {
        // Long enough for its hash to be forgotten, short enough for the connection to live.
        for _ in 0..20 {
            they_talk(&mut pair, handles, "a replay");
        }
        let before = pair.world.machine(pair.server).stats().opens_accepted;
        pair.deliver(Side::Server, &open);
        assert_eq!(pair.world.machine(pair.server).stats().opens_accepted, before + 1);
    }
    they_talk(&mut pair, handles, "replays");
    for side in SIDES {
        assert_eq!(story(&mut pair, side), [], "{side:?}");
    }
}

/// R-HAND-4: a stranger's connection, single or not, proving a key or none, is one more.
#[test]
pub(crate) fn r_hand_4_a_strangers_key_never_replaces() {
    for (stranger, name) in [
        (peer("charlie", true), "single"),
        (peer("charlie", false), "not"),
        (Config::client(), "NK"),
    ] {
        let mut pair = peers(1, Side::Client);
        let handles = standing(&mut pair);
        let seed = pair.world.seed_for("stranger");
        let host = pair.world.add_host(
            SocketAddr::from(([10, 0, 0, 3], 3_333)),
            Endpoint::new(stranger, &seed, Instant::ZERO).into(),
        );
        let (target, options) = (pair.world.address(pair.server), key_of(&pair, Side::Server));
        pair.world.with(host, |e, now| e.connect(now, target.into(), options)).expect("begins");
        pair.run(ms(2_000));
        assert_eq!(pair.world.machine(pair.server).connections(), 2, "{name}");
        assert_eq!(story(&mut pair, Side::Client), [], "{name}");
        they_talk(&mut pair, handles, name);
    }
}

/// R-HAND-4: where one side does not want it, or proves no identity, every open is one connection.
#[test]
pub(crate) fn r_hand_4_not_on_one_side_alone() {
    for (ours, theirs) in [(true, false), (false, true), (false, false)] {
        let [a, b] = names();
        let mut pair = Pair::with(1, peer(a, ours), peer(b, theirs));
        let own = [begin(&mut pair, Side::Client), begin(&mut pair, Side::Server)];
        pair.run(ms(5_000));
        for (side, own) in SIDES.into_iter().zip(own) {
            let told = story(&mut pair, side);
            assert_eq!(told.len(), 2, "{told:?}");
            assert!(told.iter().all(|(_, what)| *what == "connected"), "{told:?}");
            let agreed = pair.call(side, |e, _| e.agreed(own.expect("it began")));
            assert!(!agreed.expect("it lives").single);
        }
    }
    let transport = TransportConfig { single: true, ..TransportConfig::default() };
    let nobody = Config { transport, ..Config::client() };
    let mut pair = Pair::with(1, nobody, peer("anna", true));
    pair.connected();
    pair.connected();
    assert_eq!(pair.world.machine(pair.server).connections(), 2);
}

/// R-HAND-4: one attempt at a time; a second one is told which is under way.
#[test]
pub(crate) fn r_hand_4_one_attempt_at_a_time() {
    let mut pair = peers(1, Side::Client);
    let attempt = begin(&mut pair, Side::Client).expect("the attempt begins");
    assert_eq!(begin(&mut pair, Side::Client), Err(StartError::Single { attempt }));
    pair.call(Side::Client, |e, now| e.kill(now, attempt)).expect("it lives");
    let second = begin(&mut pair, Side::Client).expect("the first is over");
    pair.run(ms(1_000));
    let told = story(&mut pair, Side::Client);
    assert_eq!(told, [(attempt, "failed"), (second, "connected")]);
}

/// R-HAND-4a: streams of a single connection are opened once it is connected.
#[test]
pub(crate) fn r_hand_4a_streams_wait_for_connected() {
    let mut pair = peers(1, Side::Client);
    let attempt = begin(&mut pair, Side::Client).expect("the attempt begins");
    let options = StreamOptions::two_way(Order::Ordered);
    let host = pair.client;
    loop {
        let opened = pair.call(Side::Client, |e, now| e.open(now, attempt, options));
        match pair.world.machine(host).state(attempt).expect("it lives") {
            State::Opening | State::Pinging => assert_eq!(opened, Err(OpenError::NotConnected)),
            _ => break assert!(opened.is_ok()),
        }
        pair.world.step();
    }
}

/// R-HAND-4: a peer that was restarted comes back at once, in place of what it forgot.
#[test]
pub(crate) fn r_hand_4_a_restarted_peer_replaces_its_former_self() {
    let mut pair = peers(1, Side::Client);
    let [_, old] = standing(&mut pair);
    let seed = pair.world.seed_for("second life");
    let config = peer(names()[0], true);
    pair.call(Side::Client, |endpoint, now| *endpoint = Endpoint::new(config, &seed, now));
    let new = begin(&mut pair, Side::Client).expect("the attempt begins");
    pair.run(ms(1_000));
    assert_eq!(story(&mut pair, Side::Client), [(new, "connected")]);
    let told = pair.events(Side::Server);
    let replaced = |event: &Event| {
        matches!(event, Event::Closed { connection, by: By::Us, code: Code::REPLACED, .. }
            if *connection == old)
    };
    assert!(told.iter().any(replaced), "{told:?}");
}

/// R-HAND-4: what ended on the way, by the user or by a refusal, stands against nobody.
#[test]
pub(crate) fn r_hand_4_an_attempt_that_failed_stands_aside() {
    let [lower, higher] = names();
    // The higher key lets nobody in.
    let transport = TransportConfig { single: true, ..TransportConfig::default() };
    let closed = Config { transport, ..Config::private_server(identity(higher), []) };
    let mut pair = Pair::with(1, peer(lower, true), closed);
    let mut options = key_of(&pair, Side::Server);
    options.deadline = ms(1_000);
    let target = pair.target();
    let own = pair.call(Side::Client, |e, now| e.connect(now, target, options));
    let own = own.expect("the attempt begins");
    let theirs = begin(&mut pair, Side::Server).expect("the attempt begins");
    pair.run(ms(8_000));
    let told = story(&mut pair, Side::Client);
    assert_eq!(told[0], (own, "failed"), "{told:?}");
    assert_eq!((told.len(), told[1].1), (2, "connected"), "{told:?}");
    assert_eq!(story(&mut pair, Side::Server), [(theirs, "connected")]);
}

/// R-HAND-4: who connects to itself gets both ends of a connection.
#[test]
pub(crate) fn r_hand_4_not_with_oneself() {
    let mut pair = peers(1, Side::Client);
    let (target, options) = (pair.world.address(pair.client), key_of(&pair, Side::Client));
    let own = pair.call(Side::Client, |e, now| e.connect(now, target.into(), options));
    pair.run(ms(1_000));
    let told = story(&mut pair, Side::Client);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.contains(&(own.expect("it began"), "connected")), "{told:?}");
    assert!(told.iter().all(|(_, what)| *what == "connected"), "{told:?}");
}
