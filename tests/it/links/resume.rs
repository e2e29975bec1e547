//! Links that break, and connections that go on over the next one (R-LINK-4).

use super::rig::{CLIENT, Rig, SERVER};
use super::{collect, message};
use tripline::{
    Config, ConnectOptions, ConnectionHandle, Event, LinkId, Order, Screening, State, StreamOptions,
};
use tripline_sansio::Duration;
use tripline_tests::identity;

fn is_unlinked(event: &Event) -> bool {
    matches!(event, Event::Unlinked { .. })
}

/// Sends many messages both ways while links break at random moments, and returns how many broke.
/// `half_open`: the server does not notice.
fn transfer(seed: u64, half_open: bool) -> u64 {
    const COUNT: usize = 400;
    let mut rig = Rig::new(seed);
    rig.capacity = 16 << 10;
    let (client, server) = rig.connected();
    let sides = [(CLIENT, client), (SERVER, server)];
    let mut streams = Vec::new();
    for (side, connection) in sides {
        let stream = rig.open(side, connection, StreamOptions::one_way(Order::Ordered));
        streams.push(stream);
        for number in 0..COUNT {
            rig.send(side, connection, stream, message(number, 2_000));
        }
    }
    let (mut got, mut breaks) = ([Vec::new(), Vec::new()], 0);
    let limit = rig.now + Duration::from_secs(300);
    while got.iter().any(|side| side.len() < COUNT) {
        assert!(rig.now < limit, "{} and {} of {COUNT}", got[0].len(), got[1].len());
        if breaks < 12 && rig.pick(12) == 0 {
            rig.notice_break(CLIENT, breaks);
            if !half_open {
                let late = rig.pick(60);
                rig.run(Duration::from_millis(late));
                rig.notice_break(SERVER, breaks);
            }
            let gap = rig.pick(500);
            rig.run(Duration::from_millis(gap));
            breaks += 1;
            rig.resume(client, breaks);
        }
        let ends = |event: &&Event| matches!(event, Event::Lost { .. } | Event::Closed { .. });
        let end = rig.events.iter().flatten().find(ends).cloned();
        assert!(end.is_none() && rig.step(), "seed {seed}, {breaks} breaks: {end:?}");
        for (side, connection) in sides {
            let new = rig.receive(side, connection, streams[1 - side]);
            got[side].extend(new);
        }
    }
    rig.run(Duration::from_secs(3));
    for (side, connection) in sides {
        let expected: Vec<_> = (0..COUNT).map(|number| message(number, 2_000)).collect();
        assert!(got[side] == expected, "side {side}: nothing lost, nothing twice, in order");
        assert_eq!(rig.call(side, |e, _| e.state(connection)), Some(State::Ready));
        let stats = rig.call(side, |e, _| e.connection_stats(connection)).unwrap();
        assert_eq!(stats.persistent_congestion, 0);
        let fates = rig.events[side].iter().filter(|event| matches!(event, Event::Message { .. }));
        assert_eq!(fates.count(), COUNT, "side {side}: one fate for each");
    }
    breaks
}

/// R-LINK-4: what a broken link swallowed goes out again on the next: nothing is lost, nothing
/// comes twice, whether or not the server notices that the old one is gone.
#[test]
fn r_link_4_a_transfer_survives_any_number_of_links() {
    let mut breaks = 0;
    for seed in 0..12 {
        breaks += transfer(seed, seed % 2 == 1);
    }
    assert!(breaks > 60, "only {breaks} breaks");
}

/// R-LINK-4: both sides are told once; the side that did not begin cannot resume; without a new
/// link the idle limit ends it.
#[test]
fn r_link_4_who_has_no_link_waits_for_one() {
    let mut rig = Rig::new(20);
    let (client, server) = rig.connected();
    rig.run(Duration::from_secs(1));
    rig.notice_break(CLIENT, 0);
    rig.notice_break(SERVER, 0);
    rig.run(Duration::from_secs(1));
    for (side, connection) in [(CLIENT, client), (SERVER, server)] {
        let unlinked = Event::Unlinked { connection, link: LinkId::new(0) };
        let told: Vec<_> = rig.events[side].iter().filter(|event| is_unlinked(event)).collect();
        assert_eq!(told, [&unlinked]);
        assert_eq!(rig.call(side, |e, _| e.state(connection)), Some(State::Ready));
    }
    let link = rig.link(1);
    let now = rig.now;
    assert!(rig.sides[SERVER].resume(now, server, link).is_err(), "the client's affair");
    assert!(rig.sides[CLIENT].resume(now, client, LinkId::new(7)).is_err(), "not open");
    rig.run(Duration::from_secs(45));
    for (side, connection) in [(CLIENT, client), (SERVER, server)] {
        assert_eq!(rig.call(side, |e, _| e.state(connection)), None, "freed");
        assert!(rig.events[side].iter().any(|event| matches!(event, Event::Lost { .. })));
    }
}

/// R-LINK-4: a connection at rest tells the server at once where it is now, and what the server has
/// to say goes there.
#[test]
fn r_link_4_an_idle_connection_shows_itself() {
    let mut rig = Rig::new(21);
    let (client, server) = rig.connected();
    rig.run(Duration::from_secs(1));
    rig.notice_break(CLIENT, 0);
    rig.resume(client, 1);
    rig.run(Duration::from_millis(100));
    assert_eq!(rig.call(SERVER, |e, _| e.remote(server)), Some(LinkId::new(1).address()));
    let (from, to) = (LinkId::new(0).address(), LinkId::new(1).address());
    assert!(rig.events[SERVER].contains(&Event::Moved { connection: server, from, to }));
    let stream = rig.open(SERVER, server, StreamOptions::one_way(Order::Ordered));
    rig.send(SERVER, server, stream, message(1, 10));
    assert_eq!(collect(&mut rig, CLIENT, client, 1), [(stream, message(1, 10))]);
    // The old link is noticed at last, and means nothing.
    rig.notice_break(SERVER, 0);
    rig.run(Duration::from_secs(1));
    assert!(!rig.events[SERVER].iter().any(is_unlinked));
}

/// R-LINK-4, R-PATH-1: a link proves itself. Who copies a packet of the client's to a link of its
/// own gets a PING and nothing of what the server has to send.
#[test]
fn r_link_4_a_copier_takes_nothing_over() {
    let mut rig = Rig::new(22);
    let (client, server) = rig.connected();
    rig.run(Duration::from_secs(1));
    let stream = rig.open(CLIENT, client, StreamOptions::one_way(Order::Ordered));
    rig.send(CLIENT, client, stream, message(1, 10));
    let (mut copied, now) = (Vec::new(), rig.now);
    assert!(rig.sides[CLIENT].poll_write(now, LinkId::new(0), &mut copied));
    // The packet comes by the copier's link only.
    assert!(rig.sides[SERVER].opened(LinkId::new(99)));
    rig.sides[SERVER].handle_bytes(now, LinkId::new(99), &copied).unwrap();
    let stream = rig.open(SERVER, server, StreamOptions::one_way(Order::Ordered));
    for number in 0..10 {
        rig.send(SERVER, server, stream, message(number, 50_000));
    }
    collect(&mut rig, CLIENT, client, 10);
    let (mut out, now) = (Vec::new(), rig.now);
    rig.sides[SERVER].poll_write(now, LinkId::new(99), &mut out);
    assert!(!out.is_empty() && out.len() <= 3 * copied.len(), "{} bytes", out.len());
    assert_eq!(rig.call(SERVER, |e, _| e.remote(server)), Some(LinkId::new(0).address()));
}

/// R-LINK-4: a handshake goes on over the next link, whichever message the old one swallowed.
#[test]
fn r_link_4_a_handshake_goes_on() {
    for pattern_xx in [false, true] {
        for broken_at in 0..80 {
            let mut rig = Rig::new(23);
            rig.delay = Duration::from_millis(10);
            let key = rig.sides[SERVER].endpoint().public_key().unwrap();
            let options =
                if pattern_xx { ConnectOptions::default() } else { ConnectOptions::to(key) };
            let client = rig.connect_with(options);
            run_trusting(&mut rig, client, Duration::from_millis(broken_at));
            rig.notice_break(CLIENT, 0);
            rig.notice_break(SERVER, 0);
            run_trusting(&mut rig, client, Duration::from_millis(5));
            rig.resume(client, 1);
            run_trusting(&mut rig, client, Duration::from_secs(5));
            let is_connected = |event: &&Event| matches!(event, Event::Connected { .. });
            for side in [CLIENT, SERVER] {
                let connected = rig.events[side].iter().filter(is_connected).count();
                assert_eq!(connected, 1, "side {side}, XX {pattern_xx}, broken at {broken_at} ms");
            }
        }
    }
}

/// Runs, trusting whatever key the server shows.
fn run_trusting(rig: &mut Rig, client: ConnectionHandle, duration: Duration) {
    let until = rig.now + duration;
    let mut trusted = false;
    while rig.now < until {
        rig.run(Duration::from_millis(1));
        let shown = rig.events[CLIENT].iter().any(|e| matches!(e, Event::ServerKey { .. }));
        if shown && !std::mem::replace(&mut trusted, true) {
            rig.call(CLIENT, |e, now| e.trust(now, client)).unwrap();
        }
    }
}

/// XX with a screening that takes its time: the server drops the client's first DATA meanwhile, and
/// it comes again although the link lost nothing.
#[test]
fn r_link_5_data_before_the_screening_comes_again() {
    let mut config = Config::public_server(identity("server"));
    if let Some(server) = config.server.as_mut() {
        server.screening = Screening::Ask;
    }
    let mut rig = Rig::with(24, Config::client(), config);
    let client = rig.connect_with(ConnectOptions::default());
    run_trusting(&mut rig, client, Duration::from_millis(100));
    let stream = rig.open(CLIENT, client, StreamOptions::one_way(Order::Ordered));
    rig.send(CLIENT, client, stream, message(1, 10));
    run_trusting(&mut rig, client, Duration::from_secs(1));
    let incoming = rig.wait(SERVER, |event| match event {
        Event::Incoming(incoming) => Some(incoming.handle),
        _ => None,
    });
    rig.call(SERVER, |e, now| e.accept(now, incoming)).unwrap();
    let server = rig.wait(SERVER, |event| match event {
        Event::Connected { connection, .. } => Some(*connection),
        _ => None,
    });
    assert_eq!(collect(&mut rig, SERVER, server, 1), [(stream, message(1, 10))]);
}

/// Keys are renewed over links as over datagrams, also while links break.
#[test]
fn r_link_4_keys_are_renewed_across_links() {
    let mut rig = Rig::new(25);
    let (client, server) = rig.connected();
    let stream = rig.open(CLIENT, client, StreamOptions::one_way(Order::Ordered));
    for round in 0..8 {
        rig.call(CLIENT, |e, now| e.renew(now, client)).unwrap();
        rig.send(CLIENT, client, stream, message(1, 30_000));
        let at = rig.pick(40);
        rig.run(Duration::from_millis(at));
        rig.notice_break(CLIENT, round);
        rig.notice_break(SERVER, round);
        rig.resume(client, round + 1);
        rig.run(Duration::from_secs(3));
    }
    assert_eq!(collect(&mut rig, SERVER, server, 8).len(), 8);
    let stats = rig.call(CLIENT, |e, _| e.connection_stats(client)).unwrap();
    assert!(stats.zone >= 4, "zone {}", stats.zone);
}
