//! Plain datagrams: what only they have to show.

use super::ground::{CLIENT, SERVER};
use super::meeting::{Meeting, SCHEMES, SECOND, Where, node, place};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use tripline::{Order, StreamOptions};
use tripline_rpc::{
    AnswerError, CallOptions, ClientOptions, Config, ConnId, Event, Msgbox, MsgboxConfig,
    MsgboxEvent, MsgboxHeader, MsgboxKind, Node, NodeConfig, NodeEvent, NotifyOptions, Outcome,
    ReconnectPolicy, Refusal, Scheme, StreamFailure,
};
use tripline_sansio::{
    Answer, DatagramMachine, Duration, Ecn, Hub, Instant, LinkError, LinkFailure, LinkKind, Path,
    Seed, Wish,
};
use tripline_sim::HubWorld;

/// M18: a hundred thousand contacts on one socket, and their heartbeats are spread over time,
/// though all have come at once.
#[test]
fn m18_a_hundred_thousand_share_a_socket() {
    let count = 100_000_u32;
    let config = MsgboxConfig { is_listening: true, ..MsgboxConfig::default() };
    let mut server = Msgbox::new(config, &Seed::from_number(18));
    let begun = Instant::from_nanos(1);
    let mut out = Vec::new();
    let place = |n: u32| SocketAddr::from((std::net::Ipv4Addr::from(0x0a00_0000 + n), 7));
    let packet = |kind, is_first, reply| {
        let mut packet = Vec::new();
        MsgboxHeader { kind, is_first, packets: 1, packet: 0, reply }.write(&mut packet);
        packet
    };
    let mut ready = 0;
    // Requests are behind the name of their attempt.
    let name = |n: u32| 1 + (n % 60_000) as u16;
    for n in 0..count {
        let mut knock = packet(MsgboxKind::Heartbeat, true, name(n));
        server.handle_datagram(begun, Path::to(place(n)), Ecn::NotEct, &mut knock);
        while server.poll_transmit(begun, &mut out).is_some() {
            out.clear();
        }
        while let Some(event) = server.poll_event() {
            assert!(matches!(event, MsgboxEvent::Ready { by_us: false, .. }));
            ready += 1;
        }
    }
    assert_eq!((ready, server.contacts()), (count, 100_000));
    // Two intervals of heartbeats, counted by the tenth of a second.
    let mut beats: BTreeMap<u64, u64> = BTreeMap::new();
    let end = begun + Duration::from_secs(10);
    while let Some(at) = server.poll_timeout().filter(|at| *at <= end) {
        server.handle_timeout(at);
        while let Some(transmit) = server.poll_transmit(at, &mut out) {
            *beats.entry((at - begun).as_millis() as u64 / 100).or_default() +=
                transmit.segments() as u64;
            out.clear();
        }
    }
    let (sum, most) = (beats.values().sum::<u64>(), *beats.values().max().unwrap());
    assert!((200_000..260_000).contains(&sum), "{sum} heartbeats");
    let mean = sum / 100;
    assert!(most < mean * 3 / 2, "{most} in the worst tenth of a second, {mean} in all");
    // A request of any of them is answered to it, and who is silent is lost.
    for n in [0, 77_777, count - 1] {
        let mut ask = packet(MsgboxKind::Request, false, name(n) + 1);
        server.handle_datagram(end, Path::to(place(n)), Ecn::NotEct, &mut ask);
        let Some(MsgboxEvent::Request { contact, request, .. }) = server.poll_event() else {
            panic!("no request")
        };
        assert_eq!(server.remote(contact), Some(place(n)));
        server.reply(end, request, b"yes").unwrap();
        let to = server.poll_transmit(end, &mut out).unwrap().path.remote;
        assert_eq!(to, place(n));
        out.clear();
    }
    let late = begun + Duration::from_secs(60);
    server.handle_timeout(late);
    let lost = std::iter::from_fn(|| server.poll_event())
        .filter(|event| matches!(event, MsgboxEvent::Lost { .. }))
        .count();
    assert_eq!((lost, server.contacts()), (100_000, 0));
}

/// R-BOX-8: what datagrams do not carry is refused in words, and harms no call.
#[test]
fn r_box_8_what_datagrams_do_not_carry_is_refused() {
    for place in [Where::Simulator, Where::Loopback] {
        let meeting = &mut Meeting::new(place, Scheme::Udp);
        let (conn, at) = meeting.connected();
        let stream = meeting.with(CLIENT, |node, now| {
            node.open_stream(now, conn, "x", StreamOptions::two_way(Order::Bytes))
        });
        assert_eq!(stream, Err(StreamFailure::NoStreams));
        let call = meeting.call(CLIENT, conn, b"parts?", CallOptions::default());
        let (_, request, ..) = meeting.request(SERVER);
        let item = meeting.with(SERVER, |node, now| node.item(now, at, request, b"part"));
        assert_eq!(item, Err(AnswerError::TooLarge { max: 0 }));
        meeting.reply(SERVER, at, request, b"no parts");
        assert_eq!(meeting.outcome(CLIENT, call), Outcome::Reply("no parts".into()));
        // There is one contact at an address.
        let reconnect = ReconnectPolicy::once();
        meeting.connect(ClientOptions { reconnect, ..ClientOptions::default() });
        let why = meeting.wait(CLIENT, |event| match event {
            NodeEvent::Failed { why, .. } => Some(why.clone()),
            _ => None,
        });
        assert_eq!(why, "there is a contact at that address already");
    }
}

/// R-BOX-8, R-CALL-4: a deadline is seen by the server, and large calls are split and joined.
#[test]
fn r_box_8_deadlines_and_large_calls_travel() {
    let meeting = &mut Meeting::new(Where::Simulator, Scheme::Udp);
    let (conn, at) = meeting.connected();
    let large = vec![7; 100_000];
    let call = meeting.call(CLIENT, conn, &large[..], CallOptions::within(3 * SECOND));
    let (request, left, size) = meeting.wait(SERVER, |event| match event {
        NodeEvent::Peer { event: Event::Request { request, deadline, payload, .. }, .. } => {
            Some((*request, *deadline, payload.len()))
        }
        _ => None,
    });
    let left = left.expect("a deadline") - meeting.now();
    assert!(left <= 3 * SECOND && left > 2 * SECOND && size == large.len());
    meeting.reply(SERVER, at, request, &large[..]);
    assert_eq!(meeting.outcome(CLIENT, call), Outcome::Reply(large.into()));
}

/// M02, M27: there is one socket for plain datagrams; who listens at another port hears why not,
/// and who listens no longer keeps those who are there.
#[test]
fn m27_who_listens_no_longer_keeps_its_contacts() {
    let meeting = &mut Meeting::new(Where::Loopback, Scheme::Udp);
    let (conn, at) = meeting.connected();
    meeting.with(SERVER, |node, _| {
        let other = "udp://127.0.0.1:1".parse().unwrap();
        node.listen(&other).expect("an address")
    });
    let why = meeting.wait(SERVER, |event| match event {
        NodeEvent::Deaf { error, .. } => Some(error.to_string()),
        _ => None,
    });
    assert!(why.contains("the UDP socket has port"), "{why}");
    let listener = meeting.listener;
    meeting.with(SERVER, |node, _| node.unlisten(listener));
    let call = meeting.call(CLIENT, conn, b"still?", CallOptions::default());
    let (_, request, ..) = meeting.request(SERVER);
    meeting.reply(SERVER, at, request, b"yes");
    assert_eq!(meeting.outcome(CLIENT, call), Outcome::Reply("yes".into()));
}

/// M26: many requests in one turn of the loop, and many clients of one server's loop, over each
/// scheme: the two test programs of old, at once.
#[test]
fn m26_many_requests_in_one_turn_of_many_clients() {
    for scheme in [&SCHEMES[..], &[Scheme::Udp]].concat() {
        let mut world: HubWorld<Node> = HubWorld::new(26);
        let now = world.now();
        let config = NodeConfig::default();
        let socket = SocketAddr::from(([10, 0, 0, 1], 4_000));
        let server = world.add(socket, node(Some("server"), config.clone(), 1, now));
        let address = place(scheme, socket);
        world.with(server, |node, _| node.listen(&address)).expect("an address");
        let clients: Vec<_> = (0..20_u8)
            .map(|n| {
                let client = node(None, config.clone(), 100 + u64::from(n), now);
                let host = world.add(SocketAddr::from(([10, 0, 1, n], 4_000)), client);
                world.with(host, |node, now| {
                    let conn = node.connect(now, address.clone(), ClientOptions::default());
                    for m in 0..50 {
                        node.call(now, conn, "add", &[n, m], CallOptions::default()).unwrap();
                    }
                });
                host
            })
            .collect();
        let end = world.now() + 5 * SECOND;
        while world.step_until(end) {
            for event in world.take_events(server) {
                if let NodeEvent::Peer { conn, event: Event::Request { request, payload, .. } } =
                    event
                {
                    let sum = [payload[0] + payload[1]];
                    world.with(server, |node, now| node.reply(now, conn, request, &sum)).unwrap();
                }
            }
        }
        for (n, host) in (0..).zip(clients) {
            let answers = world.take_events(host).into_iter().filter_map(|event| match event {
                NodeEvent::Peer { event: Event::Outcome { outcome, .. }, .. } => Some(outcome),
                _ => None,
            });
            let expected = (0..50).map(|m: u8| Outcome::Reply(vec![n + m].into()));
            assert!(answers.eq(expected), "client {n} over {scheme}");
        }
    }
}

/// Two nodes and their datagrams, carried by hand.
struct Hand {
    nodes: [Node; 2],
    links: [u64; 2],
    now: Instant,
}

impl Hand {
    fn new(config: NodeConfig) -> (Self, ConnId) {
        let now = Instant::from_nanos(1);
        let server = node(Some("server"), config.clone(), 2, now);
        let mut nodes = [node(None, NodeConfig::default(), 1, now), server];
        let conn = nodes[CLIENT].connect(
            now,
            "udp://10.0.0.1:7".parse().unwrap(),
            ClientOptions::default(),
        );
        nodes[SERVER].listen(&"udp://*:7".parse().unwrap()).unwrap();
        let links = [CLIENT, SERVER].map(|side| {
            let Some(Wish::Open { link, .. }) = nodes[side].poll_wish() else { panic!("no wish") };
            let local = Some(SocketAddr::from(([10, 0, 0, side as u8], 7)));
            nodes[side].handle_answer(now, link, Answer::Opened { local });
            link
        });
        (Self { nodes, links, now }, conn)
    }

    /// What a side has to send.
    fn sent(&mut self, side: usize) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        let mut out = Vec::new();
        while let Some((_, transmit)) = self.nodes[side].poll_transmit(self.now, &mut out) {
            all.extend(out.chunks(transmit.segment_size).map(<[u8]>::to_vec));
            out.clear();
        }
        all
    }

    fn arrive(&mut self, side: usize, packets: Vec<Vec<u8>>) {
        let path = Path::to(SocketAddr::from(([10, 0, 0, 1 - side as u8], 7)));
        for mut packet in packets {
            let link = self.links[side];
            self.nodes[side].handle_datagram(self.now, link, path, Ecn::NotEct, &mut packet);
        }
    }

    fn run(&mut self) {
        for _ in 0..20 {
            for side in [CLIENT, SERVER] {
                let packets = self.sent(1 - side);
                self.arrive(side, packets);
            }
        }
    }

    fn events(&mut self, side: usize) -> Vec<NodeEvent> {
        std::iter::from_fn(|| self.nodes[side].poll_event()).collect()
    }
}

/// R-BOX-8, found by review: a server that speaks first, in the batch that lets the client in, is
/// heard when the client's side of the conversation has begun.
#[test]
fn a_server_may_speak_first() {
    let (mut hand, conn) = Hand::new(NodeConfig::default());
    let knock = hand.sent(CLIENT);
    hand.arrive(SERVER, knock);
    let mut packets = hand.sent(SERVER);
    let Some(at) = hand.events(SERVER).into_iter().find_map(|event| match event {
        NodeEvent::Opened { conn, .. } => Some(conn),
        _ => None,
    }) else {
        panic!("not opened")
    };
    let now = hand.now;
    hand.nodes[SERVER].notify(now, at, "news", b"!", NotifyOptions::default()).unwrap();
    hand.nodes[SERVER].call(now, at, "who?", b"", CallOptions::default()).unwrap();
    packets.extend(hand.sent(SERVER));
    hand.arrive(CLIENT, packets);
    hand.run();
    let told = hand.events(CLIENT);
    assert!(
        matches!(
            told[..],
            [
                NodeEvent::Opened { conn: of, .. },
                NodeEvent::Peer { event: Event::Ready { .. }, .. },
                NodeEvent::Peer { event: Event::Notification { .. }, .. },
                NodeEvent::Peer { event: Event::Request { .. }, .. },
            ] if of == conn
        ),
        "{told:?}"
    );
}

/// R-BOX-8, found by review: what is larger than a side takes is refused or dropped by itself, and
/// ends no conversation.
#[test]
fn what_is_too_large_is_refused_by_itself() {
    let peer = Config { frame_max: 8_192, ..Config::default() };
    let (mut hand, conn) = Hand::new(NodeConfig { peer, ..NodeConfig::default() });
    hand.run();
    let at = hand.nodes[SERVER].conns().next().expect("it is open");
    hand.events(CLIENT);
    hand.events(SERVER);
    let (now, large) = (hand.now, [7; 20_000]);
    let client = &mut hand.nodes[CLIENT];
    let too_large = client.call(now, conn, "x", &large, CallOptions::default()).unwrap();
    client.notify(now, conn, "x", &large, NotifyOptions::default()).unwrap();
    let fits = client.call(now, conn, "x", b"small", CallOptions::default()).unwrap();
    hand.run();
    let told = hand.events(SERVER);
    let [NodeEvent::Peer { event: Event::Request { request, .. }, .. }] = told[..] else {
        panic!("{told:?}")
    };
    hand.nodes[SERVER].reply(now, at, request, b"yes").unwrap();
    hand.run();
    let outcomes: Vec<_> = hand
        .events(CLIENT)
        .into_iter()
        .map(|event| match event {
            NodeEvent::Peer { event: Event::Outcome { call, outcome }, .. } => (call, outcome),
            other => panic!("{other:?}"),
        })
        .collect();
    let refused = Outcome::Refused { refusal: Refusal::TooLarge, detail: "".into() };
    assert_eq!(outcomes, [(too_large, refused), (fits, Outcome::Reply("yes".into()))]);
}

/// M02, found by review: who connects first and then wants to listen at a port hears what became of
/// that, and where the socket is not at that port nobody is let in; the socket goes when nobody is
/// left on it.
#[test]
fn the_socket_is_where_it_is_said_to_be() {
    for scheme in ["udp", "trip"] {
        for (wanted, is_there) in [(5_000, false), (4_000, true), (0, true)] {
            let now = Instant::from_nanos(1);
            let mut node = node(Some("server"), NodeConfig::default(), 1, now);
            let key = tripline_tests::identity("other").public_key();
            let other = match scheme {
                "trip" => format!("trip://{key}@10.0.0.9:1"),
                _ => "udp://10.0.0.9:1".into(),
            };
            let conn = node.connect(now, other.parse().unwrap(), ClientOptions::default());
            let Some(Wish::Open { link, .. }) = node.poll_wish() else { panic!("no wish") };
            let place = format!("{scheme}://*:{wanted}").parse().unwrap();
            let listener = node.listen(&place).unwrap();
            assert_eq!(node.poll_wish(), None);
            let local = Some(SocketAddr::from(([10, 0, 0, 1], 4_000)));
            node.handle_answer(now, link, Answer::Opened { local });
            let told = node.poll_event();
            match is_there {
                true => assert_eq!(told, Some(NodeEvent::Listening { listener, local })),
                false => assert!(matches!(told, Some(NodeEvent::Deaf { .. })), "{told:?}"),
            }
            if scheme == "udp" {
                node.unlisten(listener);
                node.stop(now, conn).unwrap();
                while node.poll_transmit(now, &mut Vec::new()).is_some() {}
                assert_eq!(node.poll_wish(), Some(Wish::Close { link }));
            }
        }
    }
}

/// Found by review: without a UDP socket `trip+auto` goes by TCP, and who does not listen hears of
/// no listener.
#[test]
fn without_datagrams_it_goes_by_links() {
    let now = Instant::from_nanos(1);
    let mut node = node(None, NodeConfig::default(), 1, now);
    let key = tripline_tests::identity("server").public_key();
    let address = format!("trip+auto://{key}@10.0.0.9:1").parse().unwrap();
    node.connect(now, address, ClientOptions::default());
    let Some(Wish::Open { link, kind: LinkKind::Udp, .. }) = node.poll_wish() else {
        panic!("no wish")
    };
    let error = LinkError { failure: LinkFailure::Unavailable, text: String::new() };
    node.handle_answer(now, link, Answer::Failed(error));
    while node.poll_transmit(now, &mut Vec::new()).is_some() {}
    let wish = node.poll_wish();
    assert!(matches!(wish, Some(Wish::Open { kind: LinkKind::Tcp, .. })), "{wish:?}");
    assert_eq!(node.poll_event(), None);
}

/// Found by review: of the addresses of a name those are tried in turn that the socket can reach.
#[test]
fn the_addresses_of_a_name_are_tried_in_turn() {
    let now = Instant::from_nanos(1);
    let mut node = node(None, NodeConfig::default(), 1, now);
    let reconnect = ReconnectPolicy::once();
    let options = ClientOptions { reconnect, ..ClientOptions::default() };
    let conn = node.connect(now, "udp://two.example:7".parse().unwrap(), options);
    let Some(NodeEvent::Resolve { .. }) = node.poll_event() else { panic!("no question") };
    let places = ["10.0.0.1:7", "[::1]:7", "10.0.0.2:7"].map(|text| text.parse().unwrap());
    node.resolved(now, conn, Ok(places.to_vec())).unwrap();
    let Some(Wish::Open { link, .. }) = node.poll_wish() else { panic!("no wish") };
    node.handle_answer(now, link, Answer::Opened { local: None });
    let (mut now, mut tried) = (now, Vec::new());
    let why = loop {
        let mut out = Vec::new();
        while let Some((_, transmit)) = node.poll_transmit(now, &mut out) {
            if !tried.contains(&transmit.path.remote) {
                tried.push(transmit.path.remote);
            }
        }
        if let Some(NodeEvent::Failed { why, .. }) = node.poll_event() {
            break why;
        }
        now = node.poll_timeout().expect("it goes on");
        node.handle_timeout(now);
    };
    assert_eq!((why.as_str(), tried), ("no answer", vec![places[0], places[2]]));
}
