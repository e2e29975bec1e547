//! How connections end.

use tripline::{By, Code, Event, Fate, LostCause, Order, State, StreamOptions};
use tripline_sansio::Duration;
use tripline_sim::{Chance, LinkConfig};
use tripline_tests::{Pair, Side};

fn endings(events: &[Event]) -> Vec<&Event> {
    let is_end = |event: &&Event| {
        matches!(event, Event::Closed { .. } | Event::Lost { .. } | Event::Failed { .. })
    };
    events.iter().filter(is_end).collect()
}

/// T25: `close` with a grace delivers what was handed in, in bad weather, and both sides learn of
/// it once.
#[test]
pub(crate) fn t25_a_graceful_close_delivers_what_was_queued() {
    for seed in 0..8 {
        let link = LinkConfig::lossy(Chance::percent(10)).delay(Duration::from_millis(20));
        let mut pair = Pair::new(seed).link(link);
        let (client, server) = pair.connected();
        let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Ordered));
        for _ in 0..20 {
            pair.send(Side::Client, client, stream, &[1; 20_000]);
        }
        let code = Code::application(7);
        pair.call(Side::Client, |e, now| {
            e.close(now, client, Duration::from_secs(60), code, "done")
        })
        .unwrap();
        pair.run(Duration::from_secs(60));
        let events = pair.events(Side::Client);
        let acked =
            events.iter().filter(|e| matches!(e, Event::Message { fate: Fate::Acked, .. })).count();
        assert_eq!(acked, 20, "seed {seed}");
        let closed = Event::Closed { connection: client, by: By::Us, code, reason: "done".into() };
        assert_eq!(endings(&events), [&closed], "seed {seed}");
        let events = pair.events(Side::Server);
        assert!(
            events
                .iter()
                .any(|event| matches!(event, Event::Leaving { code: c, .. } if *c == code))
        );
        let closed =
            Event::Closed { connection: server, by: By::Peer, code, reason: "done".into() };
        assert_eq!(endings(&events), [&closed], "seed {seed}");
        assert_eq!(
            pair.messages(Side::Server, server, stream).len(),
            20,
            "what was received can still be read"
        );
        assert_eq!(pair.state(Side::Client, client), None);
        assert_eq!(pair.state(Side::Server, server), None, "read to the end, it is gone");
    }
}

/// T25: a hard close with data in flight reports what may not have arrived.
#[test]
pub(crate) fn t25_a_hard_close_reports_what_was_not_delivered() {
    let mut pair = Pair::new(1);
    let (client, _) = pair.connected();
    let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Ordered));
    for _ in 0..5 {
        pair.send(Side::Client, client, stream, &[1; 100_000]);
    }
    pair.run(Duration::from_millis(5));
    pair.call(Side::Client, |e, now| e.close(now, client, Duration::ZERO, Code::NONE, "")).unwrap();
    pair.run(Duration::from_secs(10));
    let events = pair.events(Side::Client);
    let lost = events
        .iter()
        .filter(|e| matches!(e, Event::Message { fate: Fate::Undelivered, .. }))
        .count();
    assert_eq!(lost, 5);
    assert!(matches!(endings(&events)[..], [Event::Closed { by: By::Us, .. }]));
    assert!(matches!(
        endings(&pair.events(Side::Server))[..],
        [Event::Closed { by: By::Peer, .. }]
    ));
}

/// R-CLOSE-2: who hears nothing any more says so, and is gone; both sides report the loss once.
#[test]
pub(crate) fn a_dead_link_is_noticed_by_both_sides() {
    let mut pair = Pair::new(2);
    let (client, server) = pair.connected();
    pair.silence_both();
    pair.run(Duration::from_secs(60));
    for (side, handle) in [(Side::Client, client), (Side::Server, server)] {
        let lost = Event::Lost { connection: handle, cause: LostCause::Idle };
        assert_eq!(endings(&pair.events(side)), [&lost]);
        assert_eq!(pair.state(side, handle), None);
    }
}

/// T25: `kill` frees everything now; the peer finds out when it sends (R-RESET-1).
#[test]
pub(crate) fn t25_kill_is_silent() {
    let mut pair = Pair::new(3);
    let (client, server) = pair.connected();
    let tape = pair.tape();
    pair.call(Side::Client, |e, now| e.kill(now, client)).unwrap();
    assert!(tape.is_empty());
    assert_eq!(pair.state(Side::Client, client), None);
    assert_eq!(pair.state(Side::Server, server), Some(State::Ready));
    pair.run(Duration::from_secs(60));
    let lost = Event::Lost { connection: server, cause: LostCause::Reset };
    assert_eq!(endings(&pair.events(Side::Server)), [&lost]);
}

/// A stale handle is refused, also when its slot serves another connection.
#[test]
pub(crate) fn t27_a_stale_handle_reaches_nobody() {
    let mut pair = Pair::new(4);
    let (old, _) = pair.connected();
    pair.call(Side::Client, |e, now| e.kill(now, old)).unwrap();
    let (new, _) = pair.connected();
    assert_eq!(new.slot(), old.slot());
    assert_ne!(new, old);
    assert_eq!(pair.state(Side::Client, old), None);
    assert!(pair.call(Side::Client, |e, now| e.kill(now, old)).is_err());
    assert_eq!(pair.state(Side::Client, new), Some(State::Ready));
}

/// R-CLOSE-4: a keep-alive holds an idle connection, asked for by one side, and costs about two
/// packets each time.
#[test]
pub(crate) fn keep_alive_holds_an_idle_connection() {
    let mut client = tripline::Config::client();
    client.transport.keep_alive = Duration::from_secs(10);
    let server = tripline::Config::public_server(tripline_tests::identity("server"));
    let mut pair = Pair::with(5, client, server);
    let tape = pair.tape();
    let (client, server) = pair.connected();
    pair.run(Duration::from_secs(3_600));
    assert_eq!(pair.state(Side::Client, client), Some(State::Ready));
    assert_eq!(pair.state(Side::Server, server), Some(State::Ready));
    let packets = tape.len();
    assert!((720..3_000).contains(&packets), "{packets} in an hour");
}

/// A leaver that is idle itself waits, within its grace, for what the peer is still sending.
#[test]
pub(crate) fn t25_an_idle_leaver_hears_the_peer_out() {
    let mut pair = Pair::new(1);
    let (client, server) = pair.connected();
    let stream = pair.open(Side::Server, server, StreamOptions::one_way(Order::Ordered));
    for _ in 0..10 {
        pair.send(Side::Server, server, stream, &[1; 50_000]);
    }
    // A stream that it has not heard of yet would be turned away (R-CLOSE-5).
    pair.wait(Side::Client, |event| matches!(event, Event::Opened { .. }).then_some(()));
    let grace = Duration::from_secs(5);
    pair.call(Side::Client, |e, now| e.close(now, client, grace, Code::NONE, "")).unwrap();
    pair.run(Duration::from_secs(2));
    assert_eq!(pair.messages(Side::Client, client, stream).len(), 10);
    let events = pair.events(Side::Server);
    let acked = |e: &&Event| matches!(e, Event::Message { fate: Fate::Acked, .. });
    assert_eq!(events.iter().filter(acked).count(), 10);
    assert!(matches!(endings(&events)[..], [Event::Closed { by: By::Peer, .. }]), "{events:?}");
    let events = pair.events(Side::Client);
    assert!(matches!(endings(&events)[..], [Event::Closed { by: By::Us, .. }]), "{events:?}");
}

/// `close(grace)` before the connection is ready still ends it in time, as ours.
#[test]
pub(crate) fn a_grace_that_began_while_pinging_holds() {
    let mut pair = Pair::new(1);
    let client = pair.connect();
    let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Ordered));
    pair.send(Side::Client, client, stream, &[1; 200_000]);
    let code = Code::application(1);
    pair.wait(Side::Server, |event| matches!(event, Event::Connected { .. }).then_some(()));
    assert_eq!(pair.state(Side::Client, client), Some(State::Pinging));
    let grace = Duration::from_millis(300);
    pair.call(Side::Client, |e, now| e.close(now, client, grace, code, "")).unwrap();
    pair.run(Duration::from_secs(5));
    let events = pair.events(Side::Client);
    let ours = Event::Closed { connection: client, by: By::Us, code, reason: String::new() };
    assert_eq!(endings(&events), [&ours]);
}

/// R-CLOSE-2: once our first DATA is acknowledged the agreed idle limit holds, not the short one.
#[test]
pub(crate) fn an_idle_connection_lives_as_long_as_agreed() {
    let mut pair = Pair::new(1);
    let (client, server) = pair.connected();
    pair.run(Duration::from_secs(25));
    assert_eq!(pair.state(Side::Client, client), Some(State::Ready));
    assert_eq!(pair.state(Side::Server, server), Some(State::Ready));
    pair.run(Duration::from_secs(10));
    // Whichever side heard the last packet earlier gives up, and tells the other.
    let events = [Side::Client, Side::Server].map(|side| pair.events(side));
    let mut ends = [0, 1].map(|side: usize| endings(&events[side]));
    ends.sort_by_key(|end| !matches!(end[..], [Event::Lost { cause: LostCause::Idle, .. }]));
    assert!(matches!(ends[0][..], [Event::Lost { cause: LostCause::Idle, .. }]), "{ends:?}");
    assert!(matches!(ends[1][..], [Event::Lost { .. }]), "{ends:?}");
}
