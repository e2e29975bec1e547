//! What every carrier of calls has to do, each test over all of them.

use super::ground::{CLIENT, SERVER};
use super::meeting::{Meeting, SCHEMES, SECOND, Where};
use tripline_rpc::{
    Abandoned, AskError, CallOptions, ClientOptions, Event, Executed, Lane, Method, NodeEvent,
    NotifyOptions, Outcome, ReconnectPolicy, Refusal, Retry, Scheme, UnknownConn,
};
use tripline_sansio::Duration;

/// Over every scheme, plain datagrams included, in the simulator and over loopback, and in memory.
fn over_all(test: impl Fn(&mut Meeting)) {
    over_pipes(&test);
    for place in [Where::Simulator, Where::Loopback] {
        println!("{place:?}, udp");
        test(&mut Meeting::new(place, Scheme::Udp));
    }
}

/// The same without plain datagrams, which carry neither parts of replies nor goodbyes, and on
/// which a conversation is a new one always.
fn over_pipes(test: impl Fn(&mut Meeting)) {
    for (place, scheme) in everywhere() {
        println!("{place:?}, {scheme}");
        test(&mut Meeting::new(place, scheme));
    }
}

/// What takes more time than there is to wait for.
fn in_virtual_time(test: impl Fn(&mut Meeting)) {
    for (place, scheme) in everywhere().filter(|(place, _)| *place != Where::Loopback) {
        println!("{place:?}, {scheme}");
        test(&mut Meeting::new(place, scheme));
    }
}

fn everywhere() -> impl Iterator<Item = (Where, Scheme)> {
    let places = [Where::Simulator, Where::Loopback];
    let all = places.into_iter().flat_map(|at| SCHEMES.map(|scheme| (at, scheme)));
    all.chain([(Where::Memory, Scheme::Tcp)])
}

/// M04, M22, M24: the same program over each: ask, and get the answer that belongs to it.
#[test]
fn m04_m22_m24_a_call_is_answered_over_everything() {
    over_all(|meeting| {
        let (client, server) = (CLIENT, SERVER);
        let (conn, _) = meeting.connected();
        let calls = [1_u8, 2, 3]
            .map(|n| (n, meeting.call(client, conn, &[n; 300], CallOptions::default())));
        for _ in 0..3 {
            let (at, request, method, payload) = meeting.request(server);
            assert_eq!((method, payload.len()), (Method::Name("ask".into()), 300));
            meeting.reply(server, at, request, &[payload[0]; 5]);
        }
        for (n, call) in calls {
            let outcome = meeting.outcome(client, call);
            assert_eq!(outcome, Outcome::Reply(vec![n; 5].into()));
        }
        for side in [client, server] {
            let idle = |node: &mut tripline_rpc::Node, _| {
                node.conns().all(|conn| node.peer(conn).unwrap().is_idle())
            };
            assert!(meeting.with(side, idle));
        }
    });
}

/// M08, N40: the server asks first, of a client that listens to nobody.
#[test]
fn m08_n40_the_server_asks_first() {
    over_all(|meeting| {
        let (client, server) = (CLIENT, SERVER);
        let (_, at) = meeting.connected();
        let call = meeting.call(server, at, b"who are you?", CallOptions::default());
        let (conn, request, _, payload) = meeting.request(client);
        assert_eq!(payload, b"who are you?");
        let fail =
            |node: &mut tripline_rpc::Node, now| node.fail(now, conn, request, -1, "not telling");
        meeting.with(client, fail).unwrap();
        let outcome = meeting.outcome(server, call);
        assert_eq!(outcome, Outcome::Failed { code: -1, detail: "not telling".into() });
    });
}

/// M10, M15: notifications arrive once and in order, large ones whole.
#[test]
fn m10_m15_notifications_arrive_in_order_and_whole() {
    over_all(|meeting| {
        let (client, server) = (CLIENT, SERVER);
        let (conn, _) = meeting.connected();
        let sizes = [0_usize, 1, 1_000, 1_025, 50_000, 200_000, 3];
        for (number, size) in (0_u16..).zip(sizes) {
            let bytes = vec![7; size];
            let options = NotifyOptions::default();
            let notify = |node: &mut tripline_rpc::Node, now| {
                node.notify(now, conn, number, &bytes, options)
            };
            meeting.with(client, notify).unwrap();
        }
        for (number, size) in (0_u16..).zip(sizes) {
            let (method, len) = meeting.wait(server, |event| match event {
                NodeEvent::Peer { event: Event::Notification { method, payload }, .. } => {
                    Some((method.clone(), payload.len()))
                }
                _ => None,
            });
            assert_eq!((method, len), (Method::Number(number), size));
        }
    });
}

/// N02: cancelled, too late, refused: each call has its one outcome, and the handler hears of it.
#[test]
fn n02_every_way_to_end_without_an_answer() {
    over_pipes(|meeting| {
        let (client, server) = (CLIENT, SERVER);
        let (conn, _) = meeting.connected();
        let cancelled = meeting.call(client, conn, b"1", CallOptions::default());
        let soon = CallOptions::within(Duration::from_millis(200));
        let late = meeting.call(client, conn, b"2", soon);
        let refused = meeting.call(client, conn, b"3", CallOptions::default());
        for _ in 0..3 {
            let (at, request, _, payload) = meeting.request(server);
            if payload == b"3" {
                let refuse = |node: &mut tripline_rpc::Node, now| {
                    node.refuse(now, at, request, Refusal::NoMethod, b"")
                };
                meeting.with(server, refuse).unwrap();
            }
        }
        assert!(meeting.with(client, |node, now| node.cancel(now, conn, cancelled)));
        let executed = Executed::Unknown;
        assert_eq!(meeting.outcome(client, cancelled), Outcome::Cancelled { executed });
        assert_eq!(meeting.outcome(client, late), Outcome::Deadline { executed });
        let outcome = meeting.outcome(client, refused);
        assert!(matches!(outcome, Outcome::Refused { refusal: Refusal::NoMethod, .. }));
        let mut abandoned = || {
            meeting.wait(server, |event| match event {
                NodeEvent::Peer { event: Event::Abandoned { why, .. }, .. } => Some(*why),
                _ => None,
            })
        };
        assert_eq!(abandoned(), Abandoned::Cancelled);
        // Whichever clock is first: the server's own, or the news of the client's.
        assert!(matches!(abandoned(), Abandoned::Deadline | Abandoned::Cancelled));
    });
}

/// N02: a reply in parts, more than its window and more than the pipe takes at once.
#[test]
fn n02_a_long_streaming_reply() {
    over_pipes(|meeting| {
        let (client, server) = (CLIENT, SERVER);
        let (conn, _) = meeting.connected();
        let call = meeting.call(client, conn, b"all", CallOptions::default());
        let (at, request, ..) = meeting.request(server);
        let (mut sent, part) = (0_u32, vec![5; 10_000]);
        while sent < 200 {
            let item = |node: &mut tripline_rpc::Node, now| node.item(now, at, request, &part);
            if meeting.with(server, item).is_ok() {
                sent += 1;
                continue;
            }
            meeting.wait(server, |event| {
                matches!(event, NodeEvent::Peer { event: Event::Thirsty { .. }, .. }).then_some(())
            });
        }
        meeting.reply(server, at, request, b"end");
        assert_eq!(meeting.outcome(client, call), Outcome::Reply("end".into()));
        let items = meeting.events(client).into_iter().filter(|event| match event {
            NodeEvent::Peer { event: Event::Item { payload, .. }, .. } => payload.len() == 10_000,
            _ => false,
        });
        assert_eq!(items.count(), 200);
    });
}

/// N36, M31 (TCP's own close): an orderly end finishes what is in flight, and both sides hear of it
/// once.
#[test]
fn n36_m03_an_orderly_end() {
    over_pipes(|meeting| {
        let (conn, at) = meeting.connected();
        let call = meeting.call(CLIENT, conn, b"1", CallOptions::default());
        let (_, request, ..) = meeting.request(SERVER);
        meeting.with(CLIENT, |node, now| node.close(now, conn, 5 * SECOND)).unwrap();
        let leaving = |event: &NodeEvent| {
            let event = if let NodeEvent::Peer { event, .. } = event { Some(event) } else { None };
            matches!(event, Some(Event::GoingAway { .. })).then_some(())
        };
        meeting.wait(SERVER, leaving);
        meeting.reply(SERVER, at, request, b"done");
        assert_eq!(meeting.outcome(CLIENT, call), Outcome::Reply("done".into()));
        for (side, conn) in [(CLIENT, conn), (SERVER, at)] {
            meeting.wait(side, |event| match event {
                NodeEvent::Closed { conn: of, by_us, retry_in: None, .. } => {
                    assert_eq!((*of, *by_us), (conn, side == CLIENT));
                    Some(())
                }
                NodeEvent::Lost { why, .. } => panic!("{why}"),
                _ => None,
            });
            meeting.wait(side, |event| (*event == NodeEvent::Finalised { conn }).then_some(()));
        }
        let deadline = meeting.now() + 60 * SECOND;
        for side in [CLIENT, SERVER] {
            // The transport remembers the end for a while.
            while meeting.node(side).hub().endpoint().connections() > 0 {
                assert!(meeting.step(deadline));
            }
            assert_eq!(meeting.node(side).connections(), 0);
            // A link of the transport's is closed when it has been of no use for a while.
            let links = meeting.node(side).hub().links().links();
            assert!(links == 0 || meeting.address.scheme == Scheme::TripTcp, "{links} links");
            let of_life = |event: &NodeEvent| {
                matches!(event, NodeEvent::Closed { .. } | NodeEvent::Finalised { .. })
            };
            assert!(!meeting.events(side).iter().any(of_life), "told twice");
        }
    });
}

/// N18, Q2: the connection comes back by itself, and a call that may be asked again is answered
/// over the next pipe, executed once.
#[test]
fn n18_q2_a_call_survives_a_reconnect() {
    over_pipes(|meeting| {
        let (client, server) = (CLIENT, SERVER);
        let (conn, _) = meeting.connected();
        let options = CallOptions { retry: Retry::Deduplicated, ..CallOptions::default() };
        let kept = meeting.call(client, conn, b"kept", options);
        let gone = meeting.call(client, conn, b"gone", CallOptions::default());
        let (at, request, ..) = meeting.request(server);
        meeting.request(server);
        meeting.break_pipe(conn);
        let executed = Executed::Unknown;
        assert_eq!(meeting.outcome(client, gone), Outcome::Gone { executed });
        let resumed = meeting.wait(client, |event| match event {
            NodeEvent::Peer { event: Event::Ready { resumed }, .. } => Some(*resumed),
            _ => None,
        });
        assert!(resumed);
        meeting.reply(server, at, request, b"after all");
        assert_eq!(meeting.outcome(client, kept), Outcome::Reply("after all".into()));
        let again = |event: &NodeEvent| {
            matches!(event, NodeEvent::Peer { event: Event::Request { .. }, .. })
        };
        assert_eq!(meeting.events(server).iter().filter(|event| again(event)).count(), 0);
    });
}

/// M01, N19: a server that is not there: each attempt fails once, with ever longer waits, until the
/// user says that it is enough.
#[test]
fn m01_n19_attempts_fail_until_it_is_enough() {
    in_virtual_time(|meeting| {
        let client = CLIENT;
        meeting.address.port = 9;
        let reconnect = ReconnectPolicy {
            jitter_permille: 0,
            give_up_after: Some(60 * SECOND),
            ..ReconnectPolicy::default()
        };
        let conn = meeting.connect(ClientOptions { reconnect, ..ClientOptions::default() });
        meeting.pass(200 * SECOND);
        let events = meeting.events(client);
        let (last, attempts) = events.split_last().unwrap();
        assert_eq!(last, &NodeEvent::Finalised { conn });
        let waits: Vec<_> = attempts
            .iter()
            .map(|event| match event {
                NodeEvent::Failed { retry_in, .. } => *retry_in,
                other => panic!("{other:?}"),
            })
            .collect();
        assert!((3..40).contains(&waits.len()), "{waits:?}");
        assert_eq!(waits[0], Some(Duration::from_millis(100)));
        assert_eq!(waits[1], Some(Duration::from_millis(200)));
        assert!(waits[..waits.len() - 1].iter().all(Option::is_some));
        assert_eq!(waits.last(), Some(&None));
        assert_eq!(meeting.node(client).connections(), 0);
    });
}

/// R-CALL-12: lanes are streams of their own over TRiP, and one and the same over bytes; either way
/// what goes in comes out.
#[test]
fn every_lane_carries_calls() {
    over_all(|meeting| {
        let (client, server) = (CLIENT, SERVER);
        let (conn, _) = meeting.connected();
        let calls: Vec<_> = (0..16)
            .map(|number| {
                let lane = Lane::from_number(number).unwrap();
                let options = CallOptions { lane, ..CallOptions::default() };
                meeting.call(client, conn, &[number], options)
            })
            .collect();
        for _ in 0..16 {
            let (at, request, _, payload) = meeting.request(server);
            meeting.reply(server, at, request, &payload);
        }
        for (number, call) in (0_u8..).zip(calls) {
            assert_eq!(meeting.outcome(client, call), Outcome::Reply(vec![number].into()));
        }
        let pipe = |node: &mut tripline_rpc::Node, _| {
            let peer = node.peer(conn).unwrap();
            (peer.lanes_in_use().count(), node.streams(conn).len())
        };
        let is_trip = matches!(meeting.address.scheme, Scheme::Trip | Scheme::TripTcp);
        let streams = if is_trip { 16 } else { 0 };
        assert_eq!(meeting.with(client, pipe), (0, streams));
    });
}

/// M20: a client that comes back before its ghost is gone: closed or lost, then opened.
#[test]
fn m20_who_comes_back_is_lost_and_then_opened() {
    in_virtual_time(|meeting| {
        let server = SERVER;
        let (conn, at) = meeting.connected();
        meeting.events(server);
        meeting.call(
            CLIENT,
            conn,
            b"x",
            CallOptions { retry: Retry::Deduplicated, ..CallOptions::default() },
        );
        meeting.pass(SECOND);
        meeting.break_pipe(conn);
        meeting.pass(20 * SECOND);
        let life: Vec<_> = meeting
            .events(server)
            .into_iter()
            .filter_map(|event| match event {
                NodeEvent::Opened { conn, .. } => Some((conn, "opened")),
                NodeEvent::Lost { conn, .. } | NodeEvent::Closed { conn, .. } => {
                    Some((conn, "down"))
                }
                NodeEvent::Finalised { conn } => Some((conn, "finalised")),
                _ => None,
            })
            .collect();
        assert_eq!(life, [(at, "down"), (at, "opened")]);
    });
}

/// N18, found by a day of virtual time: a connection on which nobody says anything is kept, where
/// the transport alone would give it up after 30 s.
#[test]
fn n18_a_quiet_connection_is_kept() {
    in_virtual_time(|meeting| {
        let (conn, _) = meeting.connected();
        meeting.events(CLIENT);
        meeting.events(SERVER);
        meeting.pass(600 * SECOND);
        assert_eq!([CLIENT, SERVER].map(|side| meeting.events(side)), [vec![], vec![]]);
        let call = meeting.call(CLIENT, conn, b"still there?", CallOptions::default());
        let (at, request, ..) = meeting.request(SERVER);
        meeting.reply(SERVER, at, request, b"yes");
        assert_eq!(meeting.outcome(CLIENT, call), Outcome::Reply("yes".into()));
    });
}

/// M21, N18, N30, N41: in the event of its end a connection can be used, even brought back; behind
/// the last event its handle is an error.
#[test]
fn m21_n41_an_ending_connection_can_be_used_in_its_event() {
    in_virtual_time(|meeting| {
        let reconnect = ReconnectPolicy::once();
        let conn = meeting.connect(ClientOptions { reconnect, ..ClientOptions::default() });
        let opened = |event: &NodeEvent| matches!(event, NodeEvent::Opened { .. }).then_some(());
        meeting.wait(CLIENT, opened);
        // The answer to the close event is another attempt.
        meeting.with(CLIENT, |node, now| {
            node.reset(now, conn).unwrap();
            let lost = std::iter::from_fn(|| tripline_sansio::Hub::poll_event(node));
            let lost = lost.filter(|event| matches!(event, NodeEvent::Lost { .. })).count();
            assert_eq!((lost, node.reconnect_wait(conn)), (1, None), "the attempt is under way");
            let call = node.call(now, conn, 1, b"from the event", CallOptions::default());
            assert!(call.is_ok());
        });
        let (_, _, _, payload) = meeting.request(SERVER);
        assert_eq!(payload, b"from the event");
        meeting.with(CLIENT, |node, now| node.stop(now, conn)).unwrap();
        meeting.wait(CLIENT, |event| (*event == NodeEvent::Finalised { conn }).then_some(()));
        meeting.with(CLIENT, |node, now| {
            let call = node.call(now, conn, 1, b"too late", CallOptions::default());
            assert_eq!(call, Err(AskError::Ended));
            assert_eq!(node.retry_in(now, conn, SECOND), Err(UnknownConn));
            assert_eq!(node.close(now, conn, SECOND), Err(UnknownConn));
            assert!(node.peer(conn).is_none());
        });
    });
}

/// N36: a server that shuts down lets nobody in, finishes what is in flight, refuses what comes
/// after, and says when all is over; its clients' calls that were refused were not executed.
#[test]
fn n36_a_server_shuts_down() {
    over_pipes(|meeting| {
        let (conn, at) = meeting.connected();
        let other = meeting.connect(ClientOptions::default());
        let ready = |event: &NodeEvent| match event {
            NodeEvent::Peer { conn, event: Event::Ready { .. } } => Some(*conn),
            _ => None,
        };
        assert_eq!(meeting.wait(CLIENT, ready), other);
        let call = meeting.call(CLIENT, conn, b"in flight", CallOptions::default());
        let (_, request, ..) = meeting.request(SERVER);
        meeting.with(SERVER, |node, now| node.shut_down(now, 20 * SECOND));
        // It crosses the goodbye, or finds that there is one: never executed either way.
        let late = meeting.call(CLIENT, conn, b"late", CallOptions::within(SECOND / 2));
        let outcome = meeting.outcome(CLIENT, late);
        assert_eq!(outcome.executed(), Executed::No, "{outcome:?}");
        meeting.reply(SERVER, at, request, b"done");
        assert_eq!(meeting.outcome(CLIENT, call), Outcome::Reply("done".into()));
        meeting.wait(SERVER, |event| (*event == NodeEvent::ShutDown).then_some(()));
        assert_eq!(meeting.node(SERVER).connections(), 0);
        let newcomer = meeting.connect(ClientOptions {
            reconnect: ReconnectPolicy::once(),
            ..ClientOptions::default()
        });
        meeting.wait(CLIENT, |event| match event {
            NodeEvent::Failed { conn, .. } | NodeEvent::Lost { conn, .. } => {
                (*conn == newcomer).then_some(())
            }
            _ => None,
        });
    });
}
