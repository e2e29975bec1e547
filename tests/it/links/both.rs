//! Datagrams and links at once, in one world.

use super::pair::{CLIENT, LinkPair, SERVER, ordinary};
use super::{collect, message};
use tripline::{ConnectOptions, ConnectionHandle, Event, LinkId, Order, StreamOptions};
use tripline_sim::{Chance, Discipline, Duration, LinkConfig};

/// Begins a connection over datagrams; the handles of both sides.
fn over_datagrams(pair: &mut LinkPair) -> (ConnectionHandle, ConnectionHandle) {
    let key = pair.machine(SERVER).endpoint().public_key().unwrap();
    let target = pair.world.address(pair.hosts[SERVER]).into();
    let begun = pair.call(CLIENT, |e, now| e.connect(now, target, ConnectOptions::to(key)));
    let client = begun.unwrap();
    let mut known = pair.events[SERVER].len();
    let server = loop {
        let new = pair.events[SERVER][known..].iter().find_map(|event| match event {
            Event::Connected { connection, .. } => Some(*connection),
            _ => None,
        });
        known = pair.events[SERVER].len();
        if let Some(server) = new {
            break server;
        }
        assert!(pair.step());
    };
    pair.run(Duration::from_millis(100));
    (client, server)
}

/// One endpoint, one connection over a lossy network and one over a link: neither disturbs the
/// other, and what each loses shows on its own.
#[test]
fn an_endpoint_speaks_over_datagrams_and_links_at_once() {
    for seed in 0..10 {
        let mut pair = LinkPair::new(seed);
        pair.world.set_discipline(Discipline::sloppy(Chance::percent(10)));
        let lossy = LinkConfig::lossy(Chance::percent(5)).delay(Duration::from_millis(20));
        let [client, server] = pair.hosts;
        let linked = pair.connected();
        let flying = over_datagrams(&mut pair);
        pair.world.set_links(client, server, lossy);
        for (from, to) in [linked, flying] {
            for (side, connection) in [(CLIENT, from), (SERVER, to)] {
                let options = StreamOptions::one_way(Order::Ordered);
                let stream = pair.open(side, connection, options);
                for number in 0..40 {
                    pair.send(side, connection, stream, message(number, 3_000));
                }
            }
        }
        for (from, to) in [linked, flying] {
            for (side, connection) in [(SERVER, to), (CLIENT, from)] {
                let got = collect(&mut pair, side, connection, 40);
                let got: Vec<_> = got.into_iter().map(|(_, data)| data).collect();
                let expected: Vec<_> = (0..40).map(|number| message(number, 3_000)).collect();
                assert!(got == expected, "seed {seed}, side {side}");
            }
        }
        let lost = |connection| pair.machine(CLIENT).endpoint().connection_stats(connection);
        assert_eq!(lost(linked.0).unwrap().packets_lost, 0);
        assert!(lost(flying.0).unwrap().packets_lost > 0, "seed {seed}");
        assert!(pair.world.totals().lost > 0 && pair.counters(CLIENT, 0).delivered > 120_000);
    }
}

/// R-LINK-4b: a connection that began over datagrams goes on over a link when they are blocked, and
/// loses nothing.
#[test]
fn r_link_4_a_connection_changes_from_datagrams_to_a_link() {
    let mut pair = LinkPair::new(30);
    let (client, server) = over_datagrams(&mut pair);
    let stream = pair.open(CLIENT, client, StreamOptions::one_way(Order::Ordered));
    let [one, two] = pair.hosts;
    for number in 0..10 {
        pair.send(CLIENT, client, stream, message(number, 20_000));
    }
    pair.run(Duration::from_millis(15));
    pair.world.set_links(one, two, LinkConfig::down());
    pair.run(Duration::from_secs(2));
    pair.links_are(ordinary().buffer(8 << 10));
    pair.resume(client, 0);
    let got = collect(&mut pair, SERVER, server, 10);
    assert!((0..10).all(|number| got[number].1 == message(number, 20_000)));
    let remote = pair.call(SERVER, |e, _| e.remote(server));
    assert_eq!(remote, Some(LinkId::new(0).address()));
    let stream = pair.open(SERVER, server, StreamOptions::one_way(Order::Ordered));
    pair.send(SERVER, server, stream, message(1, 10));
    assert_eq!(collect(&mut pair, CLIENT, client, 1), [(stream, message(1, 10))]);
}
