//! Named streams beside calls.

use super::ground::{CLIENT, SERVER};
use super::meeting::{Meeting, SECOND, Where};
use tripline::{Code, Fate, Order, ReceiveResult, SendError, SendOptions, StreamOptions};
use tripline_rpc::{
    AskError, CallOptions, ClientOptions, Config, ConnId, NamedStream, NodeConfig, NodeEvent,
    Outcome, ReconnectPolicy, Scheme, StreamFailure,
};

/// Over TRiP, by datagrams and by a link, in the simulator and over loopback.
fn over_trip(test: impl Fn(&mut Meeting)) {
    for place in [Where::Simulator, Where::Loopback] {
        for scheme in [Scheme::Trip, Scheme::TripTcp] {
            println!("{place:?}, {scheme}");
            test(&mut Meeting::new(place, scheme));
        }
    }
}

fn opened(meeting: &mut Meeting, side: usize) -> (NamedStream, String) {
    meeting.wait(side, |event| match event {
        NodeEvent::StreamOpened { stream, name, .. } => Some((*stream, name.to_string())),
        _ => None,
    })
}

fn readable(meeting: &mut Meeting, side: usize, of: NamedStream) {
    meeting.wait(side, |event| match event {
        NodeEvent::StreamReadable { stream, .. } if *stream == of => Some(()),
        _ => None,
    });
}

/// What there is to receive, until there is nothing or an end.
fn received(
    meeting: &mut Meeting,
    side: usize,
    conn: ConnId,
    stream: NamedStream,
) -> (Vec<Vec<u8>>, ReceiveResult) {
    let mut all = Vec::new();
    loop {
        let next = meeting.with(side, |node, now| node.receive_on(now, conn, stream)).unwrap();
        match next {
            ReceiveResult::Data(message) => all.push(message.to_vec()),
            end => return (all, end),
        }
    }
}

/// N57, R-CALL-13, N05, N08, N40: streams of every order, opened by either side under a name,
/// beside calls on the same connection; and they leave nothing.
#[test]
fn n05_n08_streams_have_names_and_either_side_opens_them() {
    over_trip(|meeting| {
        let (conn, at) = meeting.connected();
        let sides = [(CLIENT, conn, SERVER, at), (SERVER, at, CLIENT, conn)];
        for (from, own, to, other) in sides {
            for order in [Order::Ordered, Order::Unordered, Order::Latest, Order::Bytes] {
                let options = StreamOptions::two_way(order);
                let name = format!("{order:?}");
                let open =
                    |node: &mut tripline_rpc::Node, now| node.open_stream(now, own, &name, options);
                let stream = meeting.with(from, open).unwrap();
                let send = |node: &mut tripline_rpc::Node, now| {
                    node.send_on(now, own, stream, &b"there"[..], SendOptions::default())
                };
                meeting.with(from, send).unwrap();
                let (theirs, named) = opened(meeting, to);
                assert_eq!(named, name);
                readable(meeting, to, theirs);
                let (all, end) = received(meeting, to, other, theirs);
                assert_eq!((all, end), (vec![b"there".to_vec()], ReceiveResult::Nothing));
                // And back, and the end of both halves.
                meeting.with(to, |node, now| {
                    let back = &b"and back"[..];
                    node.send_on(now, other, theirs, back, SendOptions::default()).unwrap();
                    node.finish_stream(now, other, theirs).unwrap();
                });
                meeting.with(from, |node, now| node.finish_stream(now, own, stream)).unwrap();
                readable(meeting, from, stream);
                let mut all = Vec::new();
                loop {
                    let (more, end) = received(meeting, from, own, stream);
                    all.extend(more);
                    if end == ReceiveResult::Finished {
                        break;
                    }
                    readable(meeting, from, stream);
                }
                assert_eq!(all.concat(), b"and back");
            }
            let call = meeting.call(from, own, b"beside", CallOptions::default());
            let (of, request, ..) = meeting.request(to);
            meeting.reply(to, of, request, b"yes");
            assert_eq!(meeting.outcome(from, call), Outcome::Reply("yes".into()));
        }
    });
}

/// R-CALL-13, N11: who does not want a stream says why, and both halves are over.
#[test]
fn n11_a_stream_may_be_refused_with_a_reason() {
    over_trip(|meeting| {
        let (conn, at) = meeting.connected();
        let options = StreamOptions::two_way(Order::Ordered);
        let open =
            |node: &mut tripline_rpc::Node, now| node.open_stream(now, conn, "chat", options);
        let stream = meeting.with(CLIENT, open).unwrap();
        let send = |node: &mut tripline_rpc::Node, now| {
            node.send_on(now, conn, stream, &b"hello"[..], SendOptions::default())
        };
        meeting.with(CLIENT, send).unwrap();
        let (theirs, _) = opened(meeting, SERVER);
        let refuse = |node: &mut tripline_rpc::Node, now| {
            node.refuse_stream(now, at, theirs, "no chat today")
        };
        meeting.with(SERVER, refuse).unwrap();
        assert_eq!(meeting.with(SERVER, refuse), Err(StreamFailure::NoPipe), "it is gone");
        let reason = meeting.wait(CLIENT, |event| match event {
            NodeEvent::StreamRefused { stream: of, reason, .. } if *of == stream => {
                Some(reason.to_string())
            }
            _ => None,
        });
        assert_eq!(reason, "no chat today");
        assert_eq!(meeting.with(CLIENT, send), Err(StreamFailure::NoPipe));
    });
}

fn raw() -> NodeConfig {
    let peer = Config { is_raw: true, ..Config::default() };
    NodeConfig { peer, ..NodeConfig::default() }
}

/// N57, R-CALL-14, N07, N08: a raw connection has streams without names, which either side opens,
/// and no calls.
#[test]
fn n07_a_raw_connection_has_streams_without_names() {
    for place in [Where::Simulator, Where::Loopback] {
        for scheme in [Scheme::Trip, Scheme::TripTcp] {
            let meeting = &mut Meeting::with_config(place, scheme, 7, raw());
            let (conn, at) = meeting.connected();
            let call = |node: &mut tripline_rpc::Node, now| {
                node.call(now, conn, "ask", b"", CallOptions::default())
            };
            assert_eq!(meeting.with(CLIENT, call), Err(AskError::Raw));
            for (from, own, to, other) in [(CLIENT, conn, SERVER, at), (SERVER, at, CLIENT, conn)] {
                let options = StreamOptions::two_way(Order::Bytes);
                let named =
                    |node: &mut tripline_rpc::Node, now| node.open_stream(now, own, "x", options);
                assert_eq!(meeting.with(from, named), Err(StreamFailure::BadName));
                let send = |node: &mut tripline_rpc::Node, now| {
                    let stream = node.open_stream(now, own, "", options)?;
                    node.send_on(now, own, stream, &b"raw"[..], SendOptions::default())
                };
                meeting.with(from, send).unwrap();
                let (theirs, name) = opened(meeting, to);
                assert_eq!(name, "");
                readable(meeting, to, theirs);
                let (all, end) = received(meeting, to, other, theirs);
                assert_eq!((all.concat(), end), (b"raw".to_vec(), ReceiveResult::Nothing));
            }
        }
    }
}

/// R-CALL-14, N07: who wants a raw connection and who wants calls hear at set-up that they do not
/// belong together, over everything.
#[test]
fn n07_raw_connections_and_calls_are_not_mixed() {
    for scheme in [Scheme::Trip, Scheme::TripTcp, Scheme::Tcp] {
        for server_is_raw in [false, true] {
            let config = if server_is_raw { raw() } else { NodeConfig::default() };
            let meeting = &mut Meeting::with_config(Where::Simulator, scheme, 7, config);
            let ours = Config { is_raw: !server_is_raw, ..Config::default() };
            let reconnect = ReconnectPolicy::once();
            let config = Some(ours);
            meeting.connect(ClientOptions { reconnect, config, ..ClientOptions::default() });
            let why = meeting.wait(SERVER, |event| match event {
                NodeEvent::Lost { why, .. } => Some(why.clone()),
                _ => None,
            });
            assert_eq!(why.contains("the other side wants a raw"), !server_is_raw, "{why}");
            meeting
                .wait(CLIENT, |event| matches!(event, NodeEvent::Finalised { .. }).then_some(()));
        }
    }
}

/// N09: each message is acknowledged once, with its bytes and how long that took; on a stream that
/// the other side stops, what was not is said to be so.
#[test]
fn n09_every_message_is_acknowledged_with_bytes_and_delay() {
    over_trip(|meeting| {
        let (conn, at) = meeting.connected();
        let options = StreamOptions::one_way(Order::Ordered);
        let open = |node: &mut tripline_rpc::Node, now| node.open_stream(now, conn, "log", options);
        let stream = meeting.with(CLIENT, open).unwrap();
        let sizes = [10_usize, 3_000, 0];
        let tokens = sizes.map(|size| {
            let send = |node: &mut tripline_rpc::Node, now| {
                node.send_on(now, conn, stream, vec![1; size], SendOptions::default())
            };
            meeting.with(CLIENT, send).unwrap()
        });
        for (size, expected) in sizes.into_iter().zip(tokens) {
            let delay = meeting.wait(CLIENT, |event| match event {
                NodeEvent::StreamAcked { token, fate, bytes, delay, .. } if *token == expected => {
                    assert_eq!((*fate, *bytes), (Fate::Acked, size));
                    Some(*delay)
                }
                _ => None,
            });
            assert!(!delay.is_zero() && delay < 5 * SECOND, "{delay:?}");
        }
        let (theirs, _) = opened(meeting, SERVER);
        let code = Code::application(9);
        meeting.with(SERVER, |node, now| node.stop_stream(now, at, theirs, code)).unwrap();
        meeting.wait(CLIENT, |event| match event {
            NodeEvent::StreamStopped { stream: of, code: by, .. } if *of == stream => {
                (*by == code).then_some(())
            }
            _ => None,
        });
        let late = meeting.with(CLIENT, |node, now| {
            node.send_on(now, conn, stream, &b"late"[..], SendOptions::default())
        });
        let errors = [SendError::Finished, SendError::UnknownStream];
        assert!(
            matches!(late, Err(StreamFailure::Send(error)) if errors.contains(&error))
                || late == Err(StreamFailure::NoPipe),
            "{late:?}"
        );
    });
}

/// A stream belongs to its pipe: over the next one its handle is an error, whatever stream has its
/// number then. And plain bytes have none.
#[test]
fn n27_a_stream_dies_with_its_pipe() {
    let mut meeting = Meeting::new(Where::Simulator, Scheme::Trip);
    let (conn, _) = meeting.connected();
    let options = StreamOptions::two_way(Order::Ordered);
    let open = |node: &mut tripline_rpc::Node, now| node.open_stream(now, conn, "a", options);
    let first = meeting.with(CLIENT, open).unwrap();
    meeting.break_pipe(conn);
    assert_eq!(meeting.with(CLIENT, open), Err(StreamFailure::NoPipe));
    meeting.pass(SECOND);
    let second = meeting.with(CLIENT, open).unwrap();
    assert_eq!(first.id(), second.id(), "the same number");
    let send = |stream| {
        move |node: &mut tripline_rpc::Node, now| {
            node.send_on(now, conn, stream, &b"x"[..], SendOptions::default()).map(drop)
        }
    };
    assert_eq!(meeting.with(CLIENT, send(first)), Err(StreamFailure::NoPipe));
    assert_eq!(meeting.with(CLIENT, send(second)), Ok(()));
    let nameless = |node: &mut tripline_rpc::Node, now| node.open_stream(now, conn, "", options);
    assert_eq!(meeting.with(CLIENT, nameless), Err(StreamFailure::BadName));

    let mut plain = Meeting::new(Where::Simulator, Scheme::Tcp);
    let (conn, _) = plain.connected();
    let open = |node: &mut tripline_rpc::Node, now| node.open_stream(now, conn, "a", options);
    assert_eq!(plain.with(CLIENT, open), Err(StreamFailure::NoStreams));
}

/// N20, N43: of streams that have ended nothing is left, on either side.
#[test]
fn n20_ended_streams_leave_nothing() {
    let mut meeting = Meeting::new(Where::Simulator, Scheme::Trip);
    let (conn, at) = meeting.connected();
    for number in 0..600_u32 {
        let options = match number % 2 {
            0 => StreamOptions::two_way(Order::Ordered),
            _ => StreamOptions::one_way(Order::Unordered),
        };
        meeting.with(CLIENT, |node, now| {
            let stream = node.open_stream(now, conn, "short", options).unwrap();
            node.send_on(now, conn, stream, &b"x"[..], SendOptions::default()).unwrap();
            node.finish_stream(now, conn, stream).unwrap();
        });
        meeting.pass(SECOND / 5);
        for side in [SERVER, CLIENT] {
            for event in meeting.events(side) {
                let NodeEvent::StreamReadable { conn, stream } = event else { continue };
                let (_, end) = received(&mut meeting, side, conn, stream);
                assert_eq!(end, ReceiveResult::Finished);
                if side == SERVER && number % 2 == 0 {
                    meeting.with(SERVER, |node, now| node.finish_stream(now, at, stream)).unwrap();
                }
            }
            meeting.pass(SECOND / 5);
        }
    }
    meeting.pass(SECOND);
    assert_eq!(meeting.node(CLIENT).named_streams(conn), (0, 0));
    assert_eq!(meeting.node(SERVER).named_streams(at), (0, 0));
}

/// Found in review: a stream that is refused before anything was sent on it leaves nothing either,
/// however often; it is told of when the first message comes.
#[test]
fn n11_refused_streams_leave_nothing() {
    let mut meeting = Meeting::new(Where::Simulator, Scheme::Trip);
    let (conn, at) = meeting.connected();
    for _ in 0..400 {
        let options = StreamOptions::two_way(Order::Ordered);
        let open = |node: &mut tripline_rpc::Node, now| node.open_stream(now, conn, "a", options);
        let stream = meeting.with(CLIENT, open).unwrap();
        meeting.pass(SECOND / 10);
        let told = |event: &NodeEvent| matches!(event, NodeEvent::StreamOpened { .. });
        assert!(!meeting.events(SERVER).iter().any(told), "nothing was said on it");
        let send = |node: &mut tripline_rpc::Node, now| {
            node.send_on(now, conn, stream, &b""[..], SendOptions::default()).map(drop)
        };
        meeting.with(CLIENT, send).unwrap();
        let (theirs, _) = opened(&mut meeting, SERVER);
        let refuse = |node: &mut tripline_rpc::Node, now| node.refuse_stream(now, at, theirs, "no");
        meeting.with(SERVER, refuse).unwrap();
        // This one crosses the refusal.
        let _ = meeting.with(CLIENT, send);
        meeting
            .wait(CLIENT, |event| matches!(event, NodeEvent::StreamRefused { .. }).then_some(()));
        meeting.pass(SECOND / 10);
    }
    assert_eq!(meeting.node(CLIENT).named_streams(conn), (0, 0));
    assert_eq!(meeting.node(SERVER).named_streams(at), (0, 0));
}

/// Found in review: a stream on which the other side speaks first.
#[test]
fn n40_the_other_side_may_speak_first_on_a_stream() {
    over_trip(|meeting| {
        let (conn, at) = meeting.connected();
        let options = StreamOptions::two_way(Order::Ordered);
        meeting.with(CLIENT, |node, now| {
            let stream = node.open_stream(now, conn, "news", options).unwrap();
            node.send_on(now, conn, stream, &b""[..], SendOptions::default()).unwrap();
        });
        let (theirs, _) = opened(meeting, SERVER);
        let push = |node: &mut tripline_rpc::Node, now| {
            node.send_on(now, at, theirs, &b"something new"[..], SendOptions::default()).map(drop)
        };
        assert_eq!(meeting.with(SERVER, push), Ok(()));
    });
}
