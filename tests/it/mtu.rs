//! The search for the path's MTU: found, lost in a black hole, found again (R-MTU-1, row T35).

use std::net::SocketAddr;
use tripline::{
    Config, ConnectionHandle, ConnectionStats, Event, Order, ReceiveResult, SendOptions,
    StreamOptions,
};
use tripline_sansio::Duration;
use tripline_sim::LinkConfig;
use tripline_tests::{Pair, Side, identity};

/// Bytes of a datagram that are not the message: the rest is UMTU.
const OVERHEAD: usize = 50;

fn link(mtu: usize) -> LinkConfig {
    LinkConfig::perfect().delay(Duration::from_millis(10)).rate(5_000_000, 100_000).mtu(mtu)
}

fn umtu(pair: &Pair, side: Side, connection: ConnectionHandle) -> usize {
    pair.world.machine(pair.host(side)).umtu(connection).expect("it lives")
}

fn stats(pair: &Pair, connection: ConnectionHandle) -> ConnectionStats {
    pair.world.machine(pair.client).connection_stats(connection).expect("it lives")
}

/// The sizes that a side was told, in order.
fn told(pair: &mut Pair, side: Side) -> Vec<usize> {
    let events = pair.events(side).into_iter();
    events
        .filter_map(|event| match event {
            Event::UmtuChanged { umtu, .. } => Some(umtu),
            Event::Lost { .. } | Event::Failed { .. } => panic!("{event:?}"),
            _ => None,
        })
        .collect()
}

fn assert_found(pair: &Pair, side: Side, connection: ConnectionHandle, mtu: usize) {
    let found = umtu(pair, side, connection) + OVERHEAD;
    assert!(found <= mtu && mtu - found < 8, "{side:?} found {found} of {mtu}");
}

/// T35: both sides find what the path carries, say so, and a message of that size is one datagram.
#[test]
pub(crate) fn t35_what_the_path_carries_is_found_and_told() {
    for mtu in [1_200, 1_280, 1_392, 1_452, 9_000] {
        let mut pair = Pair::new(mtu as u64).link(link(mtu));
        let (client, server) = pair.connected();
        assert_eq!(umtu(&pair, Side::Client, client), 1_150);
        let before = stats(&pair, client);
        pair.run(Duration::from_secs(25));
        for (side, connection) in [(Side::Client, client), (Side::Server, server)] {
            assert_found(&pair, side, connection, mtu.min(1_452));
            let told = told(&mut pair, side);
            assert!(told.is_sorted() && (mtu == 1_200) == told.is_empty(), "{mtu}: {told:?}");
            assert!(told.is_empty() || told.last() == Some(&umtu(&pair, side, connection)));
        }
        let after = stats(&pair, client);
        assert!(
            after.congestion_window >= before.congestion_window,
            "{mtu}: a lost probe is no congestion"
        );
        assert_eq!(after.stray_pongs, 0);
        let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Unordered));
        let size = umtu(&pair, Side::Client, client);
        pair.send(Side::Client, client, stream, &vec![1; size]);
        assert_eq!(stats(&pair, client).packets_sent, after.packets_sent + 1);
        pair.run(Duration::from_millis(11));
        assert_eq!(pair.messages(Side::Server, server, stream).len(), 1);
    }
}

/// R-MTU-1: the ceiling may be that of a loopback; and a connection told not to search does not.
#[test]
pub(crate) fn r_mtu_1_the_ceiling_is_the_users() {
    for (ceiling, found) in [(65_507, 65_507), (0, 1_200)] {
        let mut config = Config::client();
        config.transport.datagram_ceiling = ceiling;
        let mut pair = Pair::with(1, config, Config::public_server(identity("server")))
            .link(LinkConfig::perfect().delay(Duration::from_millis(1)));
        let (client, server) = pair.connected();
        pair.run(Duration::from_secs(5));
        assert_eq!(umtu(&pair, Side::Client, client) + OVERHEAD, found);
        let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Unordered));
        pair.send(Side::Client, client, stream, &[1; 200_000]);
        pair.run(Duration::from_secs(1));
        assert_eq!(pair.messages(Side::Server, server, stream), [vec![1; 200_000]]);
    }
}

/// Sends 3 MB, changing the link's MTU on the way; every message arrives once.
fn transfer(pair: &mut Pair, ends: (ConnectionHandle, ConnectionHandle), mtus: &[usize]) {
    let stream = pair.open(Side::Client, ends.0, StreamOptions::one_way(Order::Ordered));
    let (mut sent, mut got) = (0_u32, 0_u32);
    let mut mtus = mtus.iter();
    for turn in 0..6_000 {
        while sent < 3_000 {
            let message = vec![sent as u8; 1_000];
            let options = SendOptions::default();
            let taken =
                pair.call(Side::Client, |e, now| e.send(now, ends.0, stream, message, options));
            if taken.is_err() {
                break;
            }
            sent += 1;
        }
        while let Ok(ReceiveResult::Data(message)) =
            pair.call(Side::Server, |e, now| e.receive(now, ends.1, stream))
        {
            assert!(message.len() == 1_000 && message[0] == got as u8);
            got += 1;
        }
        if got == 3_000 {
            return;
        }
        if turn == 20
            && let Some(mtu) = mtus.next()
        {
            pair.world.set_links(pair.client, pair.server, link(*mtu));
        }
        pair.run(Duration::from_millis(10));
    }
    panic!("{got} of {sent} after a minute: {}", pair.explain());
}

/// R-MTU-1, T35: a path that suddenly carries less than what was found swallows every full packet
/// and tells nobody: that is noticed, what was sent is cut smaller, and the new size is found.
#[test]
pub(crate) fn r_mtu_1_a_black_hole_is_left() {
    for (seed, hole) in [(1, 1_200), (2, 1_250), (3, 1_400)] {
        let mut pair = Pair::new(seed).link(link(1_500));
        let ends = pair.connected();
        pair.run(Duration::from_secs(2));
        assert_eq!(told(&mut pair, Side::Client), [1_402]);
        transfer(&mut pair, ends, &[hole]);
        pair.run(Duration::from_secs(10));
        assert_found(&pair, Side::Client, ends.0, hole);
        let told = told(&mut pair, Side::Client);
        assert_eq!(told[0], 1_150, "{told:?}");
        assert_eq!(told.last(), Some(&umtu(&pair, Side::Client, ends.0)), "{told:?}");
    }
}

/// R-MTU-1: a hint from outside is tried and not believed.
#[test]
pub(crate) fn r_mtu_1_a_hint_starts_a_search() {
    let mut pair = Pair::new(1).link(link(1_500));
    let ends = pair.connected();
    pair.run(Duration::from_secs(2));
    told(&mut pair, Side::Client);
    for (bytes, found) in [(576, vec![1_150]), (1_300, vec![1_250]), (9_000, vec![1_402])] {
        pair.call(Side::Client, |e, now| e.mtu_hint(now, ends.0, bytes)).unwrap();
        pair.run(Duration::from_secs(2));
        assert_eq!(told(&mut pair, Side::Client), found, "{bytes}");
    }
}

/// T35, R-MTU-1, R-PATH-2: another network is another path, of which nothing is known.
#[test]
pub(crate) fn r_mtu_1_a_new_host_begins_anew() {
    let mut pair = Pair::new(1).link(link(1_500));
    let ends = pair.connected();
    pair.run(Duration::from_secs(2));
    told(&mut pair, Side::Server);
    pair.world.readdress(pair.client, SocketAddr::from(([10, 0, 1, 9], 9)));
    pair.world.set_links(pair.client, pair.server, link(1_300));
    pair.call(Side::Client, |e, now| e.network_changed(now, None)).unwrap();
    pair.run(Duration::from_secs(15));
    let told = told(&mut pair, Side::Server);
    assert_eq!(told[0], 1_150, "{told:?}");
    assert_found(&pair, Side::Server, ends.1, 1_300);
    assert_found(&pair, Side::Client, ends.0, 1_300);
}
