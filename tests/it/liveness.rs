//! Whether the peer is there: its counts, the warning before the end, and who does not give up
//! (rows T19, T20, T23).

use std::net::SocketAddr;
use tripline::{
    Config, ConnectOptions, ConnectionHandle, ConnectionStats, Event, LostCause, OnSilence, Order,
    State, StreamOptions, Target,
};
use tripline_sansio::Duration;
use tripline_sim::{Chance, LinkConfig};
use tripline_tests::{Pair, Side, identity};

const SIDES: [Side; 2] = [Side::Client, Side::Server];

fn pair(change: impl Fn(&mut Config)) -> Pair {
    let mut configs = [Config::client(), Config::public_server(identity("server"))];
    configs.iter_mut().for_each(change);
    let [client, server] = configs;
    Pair::with(1, client, server)
}

fn stats(pair: &Pair, side: Side, connection: ConnectionHandle) -> ConnectionStats {
    pair.world.machine(pair.host(side)).connection_stats(connection).expect("it lives")
}

/// The events of a side that are about the peer being there.
fn news(pair: &mut Pair, side: Side) -> Vec<Event> {
    let about = |event: &Event| {
        matches!(event, Event::Quiet { .. } | Event::Lost { .. } | Event::Closed { .. })
    };
    pair.events(side).into_iter().filter(about).collect()
}

/// T19: with PINGs both sides learn how many packets are lost each way, and the other's round trip.
#[test]
pub(crate) fn t19_loss_is_known_in_both_directions() {
    let mut pair = pair(|config| config.transport.keep_alive = Duration::from_millis(200));
    let (client, server) = pair.connected();
    let link =
        |permille| LinkConfig::lossy(Chance::permille(permille)).delay(Duration::from_millis(10));
    pair.world.set_link(pair.client, pair.server, link(50));
    pair.world.set_link(pair.server, pair.client, link(200));
    let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Unordered));
    for _ in 0..300 {
        pair.send(Side::Client, client, stream, &[1; 3_000]);
        pair.run(Duration::from_millis(100));
        pair.messages(Side::Server, server, stream);
    }
    pair.run(Duration::from_secs(2));
    let there = pair.world.link_counters(pair.client, pair.server).lost;
    let back = pair.world.link_counters(pair.server, pair.client).lost;
    assert!(there > 30 && back > 60, "{there} {back}");
    for (side, handle, out, back) in
        [(Side::Client, client, there, back), (Side::Server, server, back, there)]
    {
        let stats = stats(&pair, side, handle);
        let near = |told: u64, true_: u64| told.abs_diff(true_) <= 4 + true_ / 10;
        assert!(near(stats.lost_out, out), "{side:?}: {} of {out} out", stats.lost_out);
        assert!(near(stats.lost_in, back), "{side:?}: {} of {back} in", stats.lost_in);
        assert!((20_000_000..80_000_000).contains(&stats.peer_rtt_ns), "{}", stats.peer_rtt_ns);
        assert_eq!(stats.stray_pongs, 0);
    }
}

/// T20: the user is warned before the end, each once, and PINGs come with growing gaps.
#[test]
pub(crate) fn t20_quiet_comes_before_lost_and_each_once() {
    let mut pair = pair(|config| config.transport.keep_alive = Duration::from_secs(1));
    let (client, server) = pair.connected();
    pair.run(Duration::from_secs(5));
    for side in SIDES {
        assert_eq!(news(&mut pair, side), [], "a peer that answers is not quiet");
    }
    pair.silence_both();
    let before = stats(&pair, Side::Client, client).packets_sent;
    pair.run(Duration::from_secs(28));
    let sent = stats(&pair, Side::Client, client).packets_sent - before;
    assert!((8..30).contains(&sent), "{sent} packets in 28 s");
    for side in SIDES {
        let news = news(&mut pair, side);
        assert!(matches!(news[..], [Event::Quiet { .. }]), "{side:?}: {news:?}");
    }
    pair.run(Duration::from_secs(10));
    for (side, connection) in [(Side::Client, client), (Side::Server, server)] {
        let lost = Event::Lost { connection, cause: LostCause::Idle };
        assert_eq!(news(&mut pair, side), [lost], "{side:?}");
    }
}

/// T20: a silence that ends is over: the next one is told again. Without a keep-alive nobody asks,
/// and the warning comes with the end.
#[test]
pub(crate) fn t20_each_silence_is_told() {
    let mut pair = pair(|config| config.transport.keep_alive = Duration::from_secs(1));
    let (_, server) = pair.connected();
    pair.run(Duration::from_secs(2));
    for _ in 0..3 {
        pair.silence_both();
        pair.run(Duration::from_secs(15));
        pair.unsilence_both();
        pair.run(Duration::from_secs(15));
        let news = news(&mut pair, Side::Server);
        assert!(matches!(news[..], [Event::Quiet { .. }]), "{news:?}");
    }
    assert_eq!(pair.state(Side::Server, server), Some(State::Ready));
    let mut rest = Pair::new(1);
    rest.connected();
    rest.run(Duration::from_secs(2));
    rest.silence_both();
    rest.run(Duration::from_secs(60));
    for side in SIDES {
        let news = news(&mut rest, side);
        assert!(matches!(news[..], [Event::Quiet { .. }, Event::Lost { .. }]), "{news:?}");
    }
}

/// T23: who probes on silence is still there when the peer comes back after hours, has sent little
/// meanwhile, and delivers what was on its way.
#[test]
pub(crate) fn t23_a_side_that_probes_outlives_the_silence() {
    let mut pair = pair(|config| {
        config.transport.on_silence = OnSilence::Probe;
        config.transport.keep_alive = Duration::from_secs(5);
    });
    let (client, server) = pair.connected();
    pair.run(Duration::from_secs(5));
    pair.silence_both();
    let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Ordered));
    pair.send(Side::Client, client, stream, &[9; 50_000]);
    let before = stats(&pair, Side::Server, server).packets_sent;
    pair.run(Duration::from_secs(4 * 3_600));
    let sent = stats(&pair, Side::Server, server).packets_sent - before;
    assert!((40..100).contains(&sent), "{sent} packets in four hours");
    for side in SIDES {
        let news = news(&mut pair, side);
        assert!(matches!(news[..], [Event::Quiet { .. }]), "{side:?}: {news:?}");
    }
    pair.unsilence_both();
    pair.run(Duration::from_secs(310));
    assert_eq!(pair.messages(Side::Server, server, stream), [vec![9; 50_000]]);
    assert_eq!(pair.state(Side::Client, client), Some(State::Ready));
}

/// R-CLOSE-2b, T23: while something is owed, a network that is back waits no five minutes more for
/// it: neither for what was on its way when it went, nor for what was handed in meanwhile.
#[test]
pub(crate) fn t23_what_is_owed_waits_twenty_seconds_at_most() {
    let after = [Duration::from_secs(20), Duration::from_secs(3_600), Duration::from_secs(4_000)];
    for (early, outage) in after.into_iter().flat_map(|time| [(true, time), (false, time)]) {
        let mut pair = pair(|config| config.transport.on_silence = OnSilence::Probe);
        let (client, server) = pair.connected();
        let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Ordered));
        pair.send(Side::Client, client, stream, b"hello");
        pair.run(Duration::from_secs(5));
        pair.silence_both();
        if early {
            pair.send(Side::Client, client, stream, &[9; 50_000]);
        }
        pair.run(outage);
        if !early {
            pair.send(Side::Client, client, stream, &[9; 50_000]);
            pair.run(Duration::from_millis(1));
        }
        pair.unsilence_both();
        pair.run(Duration::from_secs(21));
        let came = pair.messages(Side::Server, server, stream).len();
        assert_eq!(came, 2, "{outage:?}, early: {early}");
    }
}

/// R-PATH-3b: a silence of hours says nothing about a network that has just come: who is told of it
/// looks for a server that has moved at once, and not after the gap that he had come to.
#[test]
pub(crate) fn r_path_3b_a_new_network_ends_the_long_gaps() {
    let mut pair = pair(|config| config.transport.on_silence = OnSilence::Probe);
    let (home, new) = (pair.world.address(pair.server), SocketAddr::from(([10, 0, 1, 50], 1)));
    let options = ConnectOptions::to(identity("server").public_key());
    let target = Target::Addresses(vec![home, new]);
    let client = pair.call(Side::Client, |e, now| e.connect(now, target, options)).unwrap();
    pair.wait(Side::Client, |event| matches!(event, Event::Connected { .. }).then_some(()));
    pair.run(Duration::from_secs(5));
    pair.silence_both();
    pair.world.readdress(pair.server, new);
    pair.run(Duration::from_secs(3_600));
    pair.events(Side::Client);
    pair.unsilence_both();
    pair.call(Side::Client, |e, now| e.network_changed(now, None)).unwrap();
    pair.run(Duration::from_secs(1));
    let moved = |event: &Event| matches!(event, Event::Moved { to, .. } if *to == new);
    assert!(pair.events(Side::Client).iter().any(moved), "found within a second");
    assert_eq!(pair.state(Side::Client, client), Some(State::Ready));
}

/// T23: by default a silent peer is dropped, whatever the other side does.
#[test]
pub(crate) fn t23_each_side_decides_for_itself() {
    let client = Config::client();
    let mut server = Config::public_server(identity("server"));
    server.transport.on_silence = OnSilence::Probe;
    let mut pair = Pair::with(1, client, server);
    let (client, server) = pair.connected();
    pair.run(Duration::from_secs(2));
    pair.silence_both();
    pair.run(Duration::from_secs(600));
    assert_eq!(pair.state(Side::Client, client), None, "dropped, and forgotten");
    assert_eq!(pair.state(Side::Server, server), Some(State::Ready));
    pair.call(Side::Server, |e, now| e.kill(now, server)).unwrap();
}
