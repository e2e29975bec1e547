//! The edges of a node, where review found faults: each a scene of its own.

use super::ground::{CLIENT, SERVER};
use super::meeting::{Meeting, SECOND, Where, node, node_over};
use std::net::SocketAddr;
use tripline::{Code, ConnectOptions, Screening, TransportConfig};
use tripline_rpc::{
    CallOptions, ClientOptions, Config, Event, Executed, HandleMap, Handlers, NetworkKind, Node,
    NodeConfig, NodeEvent, Outcome, ReconnectPolicy, Refusal, Retry, Scheme, Scope,
};
use tripline_sansio::{
    Answer, Duration, Hub, Instant, LinkError, LinkFailure, LinkKind, StreamMachine, Wish,
};

/// A server's node that is driven by hand, and its clients' bytes.
struct Bench {
    node: Node,
    now: Instant,
    door: u64,
}

impl Bench {
    fn new() -> Self {
        let now = Instant::from_nanos(1);
        let mut node = node(Some("server"), Default::default(), 1, now);
        let door = node.listen(&"tcp://*:80".parse().unwrap()).unwrap();
        assert!(matches!(node.poll_wish(), Some(Wish::Listen { .. })));
        node.handle_answer(now, door, Answer::Opened { local: None });
        let mut bench = Self { node, now, door };
        assert_eq!(bench.events().len(), 1);
        bench
    }

    fn link(&mut self) -> u64 {
        let remote = SocketAddr::from(([10, 0, 0, 1], 9));
        let kind = LinkKind::Tcp;
        self.node.handle_accepted(self.now, self.door, kind, remote).expect("let in")
    }

    fn say(&mut self, link: u64, frame: &[u8]) {
        let mut bytes = vec![u8::try_from(frame.len()).unwrap()];
        bytes.extend_from_slice(frame);
        self.node.handle_bytes(self.now, link, &bytes);
    }

    /// Everything that the node has to say, and to tell.
    fn events(&mut self) -> Vec<NodeEvent> {
        let mut out = Vec::new();
        assert_eq!(self.node.poll_transmit(self.now, &mut out), None);
        while let Some(link) = self.node.poll_ready(self.now) {
            while self.node.poll_write(self.now, link, &mut out) {
                out.clear();
            }
        }
        std::iter::from_fn(|| self.node.poll_event()).collect()
    }

    fn wishes(&mut self) -> Vec<Wish> {
        std::iter::from_fn(|| self.node.poll_wish()).collect()
    }
}

/// A HELLO of this version and epoch, of one session.
fn hello(version: u8, epoch: u8) -> Vec<u8> {
    let mut frame = vec![0, 1, 16];
    frame.extend([7; 16]);
    frame.extend([0, 1, version, 2, 1, epoch]);
    frame
}

/// A client that does not speak with us leaves nothing, and does not stand in the way of the next
/// one that names its session.
#[test]
fn n20_a_wrong_hello_leaves_nothing() {
    let mut bench = Bench::new();
    for _ in 0..100 {
        let link = bench.link();
        bench.say(link, &hello(2, 0));
        let events = bench.events();
        assert!(matches!(events.last(), Some(NodeEvent::Finalised { .. })), "{events:?}");
        assert_eq!(bench.wishes(), [Wish::Close { link }]);
    }
    assert_eq!(bench.node.connections(), 0);
    let link = bench.link();
    bench.say(link, &hello(1, 0));
    let events = bench.events();
    assert!(matches!(events[0], NodeEvent::Opened { .. }), "{events:?}");
    assert_eq!(bench.node.connections(), 1);
}

/// A pipe that was under way for longer than its successor is turned away, and the successor stays.
#[test]
fn m19_a_late_pipe_does_not_end_a_newer_one() {
    let mut bench = Bench::new();
    let (late, live) = (bench.link(), bench.link());
    bench.say(live, &hello(1, 1));
    assert_eq!(bench.events().len(), 2, "opened and ready");
    bench.say(late, &hello(1, 0));
    assert_eq!(bench.events(), []);
    assert_eq!(bench.wishes(), [Wish::Close { link: late }]);
    bench.say(live, b"\x02\x01still here");
    let events = bench.events();
    let [NodeEvent::Peer { event: Event::Notification { .. }, .. }] = &events[..] else {
        panic!("{events:?}")
    };
}

/// Bytes that come are signs of life, long before their message is whole.
#[test]
fn m13_a_slow_message_is_no_silence() {
    let mut bench = Bench::new();
    let link = bench.link();
    bench.say(link, &hello(1, 0));
    bench.events();
    let mut message = vec![0x80, 3, 0, 0, 2, 1];
    message.resize(4 + (3 << 16), 0);
    let pieces: Vec<_> = message.chunks(1_000).collect();
    assert!(pieces.len() > 100);
    for piece in pieces {
        bench.now += SECOND;
        bench.node.handle_timeout(bench.now);
        bench.node.handle_bytes(bench.now, link, piece);
        for event in bench.events() {
            assert!(
                matches!(event, NodeEvent::Peer { event: Event::Notification { .. }, .. }),
                "{event:?}"
            );
        }
    }
}

/// A client may take larger frames than its node does otherwise.
#[test]
fn a_connection_has_frames_of_its_own_size() {
    for scheme in [Scheme::Tcp, Scheme::Trip] {
        let mut meeting = Meeting::new(Where::Simulator, scheme);
        let config = Some(Config { frame_max: 4 << 20, ..Config::default() });
        let conn = meeting.connect(ClientOptions { config, ..ClientOptions::default() });
        let call = meeting.call(CLIENT, conn, b"all of it", CallOptions::default());
        let (at, request, ..) = meeting.request(SERVER);
        // What the pipe carries is less over TRiP; either way it is said, and kept to.
        let max = meeting.node(SERVER).peer(at).unwrap().largest_payload();
        assert_eq!(max > 4_000_000, scheme == Scheme::Tcp);
        let all = vec![7; max];
        meeting.reply(SERVER, at, request, &all);
        assert_eq!(meeting.outcome(CLIENT, call), Outcome::Reply(all.into()));
    }
}

/// N38, M02, M27: one UDP socket serves all; who listens is told so, or that it cannot be had; who
/// listens no more keeps the connections that there are.
#[test]
fn m27_m02_listening_and_not_listening_over_udp() {
    let mut meeting = Meeting::new(Where::Simulator, Scheme::Trip);
    let (conn, _) = meeting.connected();
    // The client listens too, on the socket that it has, or not at all.
    for (address, is_heard) in [("trip://*:4000", true), ("trip://*:9", false)] {
        let address = address.parse().unwrap();
        meeting.with(CLIENT, |node, _| node.listen(&address)).unwrap();
        meeting.wait(CLIENT, |event| match event {
            NodeEvent::Listening { local, .. } => {
                assert!(is_heard && local.unwrap().port() == 4_000);
                Some(())
            }
            NodeEvent::Deaf { error, .. } => {
                assert!(!is_heard && error.to_string().contains("4000"), "{error}");
                Some(())
            }
            _ => None,
        });
    }
    let listener = meeting.listener;
    meeting.with(SERVER, |node, _| node.unlisten(listener));
    a_newcomer_is_turned_away(&mut meeting);
    meeting.pass(Duration::from_secs(60));
    let call = meeting.call(CLIENT, conn, b"still there?", CallOptions::default());
    let (at, request, ..) = meeting.request(SERVER);
    meeting.reply(SERVER, at, request, b"yes");
    assert_eq!(meeting.outcome(CLIENT, call), Outcome::Reply("yes".into()));
}

/// Another connection to the server does not come about, or ends at once.
fn a_newcomer_is_turned_away(meeting: &mut Meeting) {
    let reconnect = ReconnectPolicy::once();
    let newcomer = meeting.connect(ClientOptions { reconnect, ..ClientOptions::default() });
    meeting.wait(CLIENT, |event| match event {
        NodeEvent::Closed { conn, .. }
        | NodeEvent::Lost { conn, .. }
        | NodeEvent::Failed { conn, .. } => (*conn == newcomer).then_some(()),
        _ => None,
    });
}

/// M27: and over TCP.
#[test]
fn m27_a_listener_ends_without_its_connections() {
    let mut meeting = Meeting::new(Where::Simulator, Scheme::Tcp);
    let (conn, _) = meeting.connected();
    let listener = meeting.with(SERVER, |node, _| node.listen(&"tcp://*:77".parse().unwrap()));
    meeting.with(SERVER, |node, _| node.unlisten(listener.unwrap()));
    meeting.address.port = 77;
    let reconnect = ReconnectPolicy::once();
    meeting.connect(ClientOptions { reconnect, ..ClientOptions::default() });
    let failed = |event: &NodeEvent| match event {
        NodeEvent::Failed { why, .. } => Some(why.clone()),
        _ => None,
    };
    assert_eq!(meeting.wait(CLIENT, failed), "nobody listens there");
    let call = meeting.call(CLIENT, conn, b"still there?", CallOptions::default());
    meeting.request(SERVER);
    assert!(meeting.with(CLIENT, |node, now| node.cancel(now, conn, call)));
}

/// A stream machine for a link that is there from the beginning says no more than it takes.
#[test]
fn a_framed_peer_says_what_its_pipe_takes() {
    let peer = tripline_rpc::Peer::callee(Config::default());
    let mut framed = tripline_rpc::Framed::new(Instant::ZERO, peer, 10_000);
    let mut bytes = vec![25];
    bytes.extend(hello(1, 0));
    framed.handle_bytes(Instant::ZERO, &bytes);
    let mut out = Vec::new();
    assert!(framed.poll_write(Instant::ZERO, &mut out));
    // Parameter 5, of two bytes: 10,000.
    assert!(out.windows(4).any(|run| run == [5, 2, 0x67, 0x10]), "{out:x?}");
}

/// N05, N10, N38, T15: one server, several ways in, each with handlers of its own; what nobody
/// handles is refused, and a handler that is replaced counts for the next request.
#[test]
fn n38_n10_every_way_in_has_its_handlers() {
    let mut meeting = Meeting::new(Where::Simulator, Scheme::Tcp);
    let mut handlers: Handlers<&[u8]> = Handlers::default();
    let mut ways = Vec::new();
    for (address, name) in [("tcp://*:81", &b"first"[..]), ("tcp://*:82", b"second")] {
        let address = address.parse().unwrap();
        let listener = meeting.with(SERVER, |node, _| node.listen(&address)).unwrap();
        handlers.on(Scope::Listener(listener), "ask", name);
        ways.push((Scheme::Tcp, address.port, ConnectOptions::default(), name));
    }
    meeting.with(SERVER, |node, _| node.listen(&"trip://*:4000".parse().unwrap()));
    handlers.on(Scope::Route(b"admin".to_vec()), "ask", b"admin");
    handlers.on(Scope::All, "other", b"other");
    let trip = ConnectOptions { route: b"admin".to_vec(), ..ConnectOptions::default() };
    ways.push((Scheme::Trip, 4_000, trip, b"admin"));
    ways.push((Scheme::Trip, 4_000, ConnectOptions::default(), b"nobody"));
    let mut via = HandleMap::new();
    let mut answer = |meeting: &mut Meeting, handlers: &Handlers<&'static [u8]>| {
        let opened = |event: &NodeEvent| match event {
            NodeEvent::Opened { conn, via, .. } => Some((*conn, via.clone())),
            _ => None,
        };
        let (at, request, method, _) = meeting.request(SERVER);
        while via.get(at).is_none() {
            let (conn, way) = meeting.wait(SERVER, opened);
            via.insert(conn, way);
        }
        let handler = via.get(at).and_then(|via| handlers.find(at, via, &method)).copied();
        meeting.with(SERVER, |node, now| match handler {
            Some(answer) => node.reply(now, at, request, answer).unwrap(),
            None => node.refuse(now, at, request, Refusal::NoMethod, b"").unwrap(),
        });
    };
    for (scheme, port, trip, name) in ways {
        meeting.address = super::meeting::place(scheme, SocketAddr::from(([10, 0, 0, 2], port)));
        let conn = meeting.connect(ClientOptions { trip, ..ClientOptions::default() });
        let call = meeting.call(CLIENT, conn, b"?", CallOptions::default());
        answer(&mut meeting, &handlers);
        match meeting.outcome(CLIENT, call) {
            Outcome::Reply(answer) => assert_eq!(answer, name),
            other => assert!(name == b"nobody" && other.executed() == Executed::No, "{other:?}"),
        }
        handlers.on(Scope::All, "ask", b"nobody");
    }
}

/// N32: alarms come when they are due and once, in virtual time; one can be moved, stopped, set
/// anew in its own event, and dies with its connection.
#[test]
fn n32_alarms_belong_to_connections() {
    let mut meeting = Meeting::new(Where::Simulator, Scheme::Trip);
    let (conn, _) = meeting.connected();
    let begun = meeting.now();
    meeting.with(CLIENT, |node, now| {
        node.set_alarm(now, conn, 1, 3 * SECOND).unwrap();
        node.set_alarm(now, conn, 2, 2 * SECOND).unwrap();
        node.set_alarm(now, conn, 1, SECOND).unwrap();
        node.set_alarm(now, conn, 3, SECOND / 2).unwrap();
        assert!(node.stop_alarm(conn, 3) && !node.stop_alarm(conn, 3));
    });
    let alarm = |event: &NodeEvent| match event {
        NodeEvent::Alarm { alarm, .. } => Some(*alarm),
        _ => None,
    };
    for (number, seconds) in [(1, 1), (1, 2), (2, 2), (1, 3)] {
        assert_eq!(meeting.wait(CLIENT, alarm), number);
        assert_eq!(meeting.now(), begun + seconds * SECOND);
        if number == 1 {
            // Set anew from its own event.
            meeting.with(CLIENT, |node, now| node.set_alarm(now, conn, 1, SECOND)).unwrap();
        }
    }
    meeting.with(CLIENT, |node, now| node.stop(now, conn)).unwrap();
    meeting.pass(10 * SECOND);
    assert_eq!(meeting.events(CLIENT).iter().filter_map(alarm).count(), 0);
    assert_eq!(meeting.node(CLIENT).timers(), 0);
    let late = meeting.with(CLIENT, |node, now| node.set_alarm(now, conn, 1, SECOND));
    assert_eq!(late, Err(tripline_rpc::UnknownConn));
}

/// N37: a client beyond the soft limit is told to go elsewhere, one beyond the hard limit is not
/// listened to; those that are there notice nothing.
#[test]
fn n37_clients_beyond_the_limits_are_refused_politely() {
    for scheme in [Scheme::Trip, Scheme::Tcp] {
        let config =
            NodeConfig { clients_soft: Some(1), clients_hard: Some(2), ..NodeConfig::default() };
        let mut meeting = Meeting::with_config(Where::Simulator, scheme, 3, config);
        let (first, _) = meeting.connected();
        let reconnect = ReconnectPolicy::once();
        let [soft, hard] = [(); 2]
            .map(|()| meeting.connect(ClientOptions { reconnect, ..ClientOptions::default() }));
        let going = meeting.wait(CLIENT, |event| match event {
            NodeEvent::Peer { conn, event: Event::GoingAway { .. } } => Some(*conn),
            _ => None,
        });
        for other in [soft, hard] {
            let over = NodeEvent::Finalised { conn: other };
            meeting.wait(CLIENT, |event| (*event == over).then_some(()));
        }
        assert!(going == soft || going == hard, "{going:?}");
        let call = meeting.call(CLIENT, first, b"still there?", CallOptions::default());
        let (at, request, ..) = meeting.request(SERVER);
        meeting.reply(SERVER, at, request, b"yes");
        assert_eq!(meeting.outcome(CLIENT, call), Outcome::Reply("yes".into()));
        meeting.pass(120 * SECOND);
        assert_eq!(meeting.node(SERVER).connections(), 1);
    }
}

/// What is told of a pipe is what it is made of, and where its other end is, on both sides.
#[test]
fn who_is_there_is_told_as_it_is() {
    let kinds = [
        (Scheme::Trip, LinkKind::Udp),
        (Scheme::TripTcp, LinkKind::Tcp),
        (Scheme::Tcp, LinkKind::Tcp),
        (Scheme::Tls, LinkKind::Tls),
    ];
    for (scheme, expected) in kinds {
        let mut meeting = Meeting::new(Where::Simulator, scheme);
        meeting.connect(ClientOptions::default());
        for (side, other) in [(CLIENT, [10, 0, 0, 2]), (SERVER, [10, 0, 0, 1])] {
            let (remote, kind) = meeting.wait(side, |event| match event {
                NodeEvent::Opened { remote, kind, .. } => Some((*remote, *kind)),
                _ => None,
            });
            assert_eq!((remote.unwrap().ip(), kind), (other.into(), expected), "{scheme}");
        }
    }
}

/// N54, T12, R-CHAL-3: what the transport asks its user is asked by the node: whether a client may
/// come in, and whether the key that a server has shown is to be trusted.
#[test]
fn t12_the_questions_of_the_transport_are_passed_on() {
    let mut trip = tripline::Config::public_server(tripline_tests::identity("server"));
    trip.server.as_mut().expect("a server").screening = Screening::Ask;
    let config = NodeConfig::default();
    let client = node(None, config.clone(), 7, Instant::ZERO);
    let server = node_over(trip, config.clone(), 8, Instant::ZERO);
    let mut meeting = Meeting::of([client, server], Where::Simulator, Scheme::Trip, 7, config);
    let proven = meeting.address.key.take();
    for is_welcome in [false, true] {
        let reconnect = ReconnectPolicy::once();
        let conn = meeting.connect(ClientOptions { reconnect, ..ClientOptions::default() });
        let key = meeting.wait(CLIENT, |event| match event {
            NodeEvent::ServerKey { conn: of, key } if *of == conn => Some(*key),
            _ => None,
        });
        assert_eq!(Some(key), proven);
        meeting.with(CLIENT, |node, now| node.trust(now, conn)).unwrap();
        let asks = meeting.wait(SERVER, |event| match event {
            NodeEvent::Incoming(incoming) => Some(incoming.handle),
            _ => None,
        });
        meeting.with(SERVER, |node, now| {
            let endpoint = node.hub_mut().endpoint_mut();
            match is_welcome {
                true => endpoint.accept(now, asks).unwrap(),
                false => endpoint.refuse(now, asks, Code::REFUSED, "full").unwrap(),
            }
        });
        let end = meeting.wait(CLIENT, |event| match event {
            NodeEvent::Opened { peer, .. } => Some(Ok(*peer)),
            NodeEvent::Failed { why, .. } => Some(Err(why.clone())),
            _ => None,
        });
        match end {
            Ok(peer) => assert!(is_welcome && peer == proven, "{peer:?}"),
            Err(why) => assert!(!is_welcome && why.contains("full"), "{why}"),
        }
    }
}

/// A connection waits for the UDP socket that it needs, over TRiP and over plain datagrams: what
/// was sent before it was there was lost, and cost a client its first 200 ms; without one it fails
/// at once, in words.
#[test]
fn an_attempt_waits_for_its_socket() {
    let key = tripline_tests::identity("server").public_key();
    for text in [format!("trip://{key}@10.0.0.9:1"), "udp://10.0.0.9:1".into()] {
        for is_there in [false, true] {
            let now = Instant::from_nanos(1);
            let mut node = node(None, NodeConfig::default(), 1, now);
            let reconnect = ReconnectPolicy::once();
            let options = ClientOptions { reconnect, ..ClientOptions::default() };
            node.connect(now, text.parse().unwrap(), options);
            let mut out = Vec::new();
            assert_eq!(node.poll_transmit(now, &mut out), None, "{text}");
            let Some(Wish::Open { link, kind: LinkKind::Udp, address, .. }) = node.poll_wish()
            else {
                panic!("no wish")
            };
            assert_eq!(address, SocketAddr::from(([0, 0, 0, 0], 0)));
            if is_there {
                node.handle_answer(now, link, Answer::Opened { local: None });
                let (of, transmit) = node.poll_transmit(now, &mut out).expect("a first datagram");
                assert_eq!((of, transmit.path.remote.port()), (link, 1));
                continue;
            }
            let text = String::from("no file descriptor is left");
            let error = LinkError { failure: LinkFailure::Unavailable, text };
            node.handle_answer(now, link, Answer::Failed(error));
            assert_eq!(node.poll_transmit(now, &mut out), None);
            let Some(NodeEvent::Failed { why, .. }) = node.poll_event() else { panic!("no end") };
            assert_eq!(why, "no such link can be had: no file descriptor is left");
        }
    }
}

/// Q2, N18, found by the example `subway`: a call that may be made once, and that never came
/// because the way was cut, is asked again when there is a way: the server remembers its client,
/// though nothing was under way as far as it knew.
#[test]
fn q2_a_call_that_never_came_is_asked_again() {
    let mut meeting = Meeting::new(Where::Simulator, Scheme::Trip);
    let (conn, _) = meeting.connected();
    let hosts: Vec<_> = meeting.world().world().hosts().collect();
    let ways = [(hosts[CLIENT], hosts[SERVER]), (hosts[SERVER], hosts[CLIENT])];
    ways.iter().for_each(|(from, to)| meeting.world().world().cut(*from, *to));
    let options = CallOptions { retry: Retry::Deduplicated, ..CallOptions::within(600 * SECOND) };
    let call = meeting.call(CLIENT, conn, b"once", options);
    meeting.pass(60 * SECOND);
    ways.iter().for_each(|(from, to)| meeting.world().world().heal(*from, *to));
    meeting.with(CLIENT, |node, now| node.network_changed(now, NetworkKind::Wifi));
    let (at, request, ..) = meeting.request(SERVER);
    meeting.reply(SERVER, at, request, b"done");
    assert_eq!(meeting.outcome(CLIENT, call), Outcome::Reply("done".into()));
    // And in the end nothing is remembered.
    meeting.with(CLIENT, |node, now| node.reset(now, conn)).unwrap();
    meeting.with(CLIENT, |node, now| node.stop(now, conn)).unwrap();
    meeting.pass(200 * SECOND);
    assert_eq!(meeting.node(SERVER).connections(), 0);
}

/// R-CALL-15, found by review: small frames share messages of the transport, as far as those may be
/// long, and none is lost where they may not be as long as a packet.
#[test]
fn r_call_15_bundles_are_no_longer_than_messages_may_be() {
    for message_max in [600, 1_000, 1_101, 1_102, 1 << 20] {
        let transport = TransportConfig { message_max, ..TransportConfig::default() };
        let identity = tripline_tests::identity("server");
        let server = tripline::Config { transport, ..tripline::Config::public_server(identity) };
        let how = NodeConfig::default();
        let nodes = [
            node(None, how.clone(), 1, Instant::ZERO),
            node_over(server, how.clone(), 2, Instant::ZERO),
        ];
        let mut meeting = Meeting::of(nodes, Where::Simulator, Scheme::Trip, 3, how);
        let (conn, _) = meeting.connected();
        let calls = meeting.with(CLIENT, |node, now| {
            let call = |_| node.call(now, conn, 1, &[7; 100], CallOptions::default()).unwrap();
            (0..50).map(call).collect::<Vec<_>>()
        });
        for _ in &calls {
            let (at, request, ..) = meeting.request(SERVER);
            meeting.reply(SERVER, at, request, b"");
        }
        for call in calls {
            assert_eq!(meeting.outcome(CLIENT, call), Outcome::Reply("".into()), "{message_max}");
        }
        let node = meeting.node(CLIENT);
        let carrier = node.transport(conn).expect("over TRiP");
        let sent = node.hub().endpoint().connection_stats(carrier).expect("it lives").messages_sent;
        assert!((5..20).contains(&sent), "{sent} messages for 50 calls and HELLO");
    }
}

/// M02, N38, found by review: each listener of a UDP socket has a number of its own, by which it is
/// told what becomes of it: one that is denied takes nothing from the one that is there, and lets
/// nobody in.
#[test]
fn n38_m02_listeners_over_udp_have_numbers_of_their_own() {
    for scheme in ["trip", "udp"] {
        let now = Instant::from_nanos(1);
        let mut node = node(Some("server"), NodeConfig::default(), 1, now);
        let mut listen = |port: u16| {
            let place = format!("{scheme}://*:{port}").parse().unwrap();
            (node.listen(&place).unwrap(), node.poll_wish())
        };
        let (good, wish) = listen(4_000);
        let Some(Wish::Open { link, .. }) = wish else { panic!("{wish:?}") };
        let ((bad, none), (again, _)) = (listen(9), listen(0));
        assert_eq!(none, None);
        let local = Some(SocketAddr::from(([10, 0, 0, 1], 4_000)));
        node.handle_answer(now, link, Answer::Opened { local });
        let told: Vec<_> = std::iter::from_fn(|| node.poll_event()).collect();
        let [
            NodeEvent::Listening { listener: first, .. },
            NodeEvent::Deaf { listener: second, .. },
            NodeEvent::Listening { listener: third, .. },
        ] = &told[..]
        else {
            panic!("{told:?}")
        };
        assert_eq!([*first, *second, *third], [good, bad, again]);
        node.unlisten(again);
        let text = String::from("the network is down");
        let error = LinkError { failure: LinkFailure::Broken, text };
        node.handle_answer(now, link, Answer::Failed(error.clone()));
        assert_eq!(node.poll_event(), Some(NodeEvent::Deaf { listener: good, error }));
        assert_eq!(node.poll_event(), None);
    }
}

/// M27, found by review: who listens over UDP no more still listens over TCP, whichever was ended
/// first, also where both had one number.
#[test]
fn m27_the_end_of_one_listener_is_not_that_of_another() {
    // The simulator has the UDP socket at port 4000: the second one listens by TCP alone.
    for (ended, has_udp) in [("trip://*:4000", true), ("trip+auto://*:5000", false)] {
        let mut meeting = Meeting::new(Where::Simulator, Scheme::TripTcp);
        let ended = ended.parse().unwrap();
        let listener = meeting.with(SERVER, |node, _| node.listen(&ended)).unwrap();
        meeting.wait(SERVER, |event| match event {
            NodeEvent::Listening { listener: there, .. } => (*there == listener).then_some(()),
            _ => None,
        });
        meeting.pass(SECOND);
        meeting.with(SERVER, |node, _| node.unlisten(listener));
        let (conn, _) = meeting.connected();
        meeting.call(CLIENT, conn, b"hello", CallOptions::default());
        meeting.request(SERVER);
        if !has_udp {
            continue;
        }
        // Over datagrams nobody comes in any more.
        meeting.address.scheme = Scheme::Trip;
        a_newcomer_is_turned_away(&mut meeting);
    }
}
