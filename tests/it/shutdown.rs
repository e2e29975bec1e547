//! The end of a whole endpoint (PROTOCOL.md §5.4, R-CLOSE-7): newcomers are refused, requests are
//! finished, everybody hears of it, and it is over at the deadline.

use std::collections::BTreeSet;
use tripline::{
    By, Code, Config, ConnectError, ConnectOptions, ConnectionHandle, Event, Incoming, Order,
    ReceiveResult, Screening, SendError, SendOptions, StreamId, StreamOptions,
};
use tripline_sansio::Duration;
use tripline_sim::{Chance, LinkConfig, Verdict};
use tripline_tests::{Carrier, Pair, Side, identity};

const WHY: &str = "maintenance";

fn shut_down(pair: &mut Pair, side: Side, grace: Duration) {
    pair.call(side, |e, now| e.shut_down(now, grace, Code::SHUTTING_DOWN, WHY));
}

/// A request that the server has, whole, and has not answered.
fn asked(pair: &mut Pair, client: ConnectionHandle) -> (ConnectionHandle, StreamId) {
    let stream = pair.open(Side::Client, client, StreamOptions::two_way(Order::Ordered));
    pair.send(Side::Client, client, stream, b"question");
    pair.call(Side::Client, |e, now| e.finish(now, client, stream)).unwrap();
    let server = pair.wait(Side::Server, |event| match event {
        Event::Readable { connection, stream: on } if *on == stream => Some(*connection),
        _ => None,
    });
    pair.run(Duration::from_millis(100));
    (server, stream)
}

/// How an attempt with these options ends.
fn refusal(pair: &mut Pair, options: ConnectOptions) -> ConnectError {
    let connection = pair.connect_with(options);
    failure(pair, connection)
}

fn failure(pair: &mut Pair, connection: ConnectionHandle) -> ConnectError {
    loop {
        let answer = pair.wait(Side::Client, |event| match event {
            Event::ServerKey { connection: of, .. } if *of == connection => Some(None),
            Event::Failed { connection: of, error } if *of == connection => {
                Some(Some(error.clone()))
            }
            _ => None,
        });
        match answer {
            Some(error) => return error,
            None => pair.call(Side::Client, |e, now| e.trust(now, connection)).unwrap(),
        }
    }
}

fn refused() -> ConnectError {
    ConnectError::Refused { code: Code::SHUTTING_DOWN, reason: WHY.into() }
}

fn to_server() -> ConnectOptions {
    ConnectOptions::to(identity("server").public_key())
}

/// R-CLOSE-7, T25, T54: what was asked in full is answered, nothing new begins, both hear of the
/// end, and `ShutDown` is the last word.
#[test]
pub(crate) fn r_close_7_requests_are_finished() {
    let mut pair = Pair::new(1);
    let (client, _) = pair.connected();
    let (server, stream) = asked(&mut pair, client);
    shut_down(&mut pair, Side::Server, Duration::from_secs(30));
    pair.run(Duration::from_secs(3));
    let events = pair.events(Side::Client);
    let leaving = |event: &&Event| match event {
        Event::Leaving { code, .. } => *code == Code::SHUTTING_DOWN,
        _ => false,
    };
    assert_eq!(events.iter().filter(leaving).count(), 1, "{events:?}");
    let options = StreamOptions::one_way(Order::Bytes);
    assert!(pair.call(Side::Server, |e, now| e.open(now, server, options)).is_err());
    pair.send(Side::Server, server, stream, b"answer");
    pair.call(Side::Server, |e, now| e.finish(now, server, stream)).unwrap();
    let closed = |event: &Event| match event {
        Event::Closed { by, code, reason, .. } => Some((*by, *code, reason.clone())),
        _ => None,
    };
    let ended = pair.wait(Side::Client, closed);
    assert_eq!(ended, (By::Peer, Code::SHUTTING_DOWN, WHY.into()));
    assert!(pair.world.now().as_nanos() < 10_000_000_000, "long before the deadline");
    let got = pair.drain(Side::Client, client, stream);
    assert_eq!(got, [ReceiveResult::Data("answer".into()), ReceiveResult::Finished]);
    assert_eq!(pair.messages(Side::Server, server, stream), [b"question"]);
    pair.run(Duration::from_secs(60));
    let events = pair.events(Side::Server);
    assert_eq!(events.iter().filter(|event| **event == Event::ShutDown).count(), 1);
    assert_eq!(events.last(), Some(&Event::ShutDown));
}

/// R-CLOSE-7: once all is answered no more is taken; what nobody answers ends at the deadline, and
/// not before.
#[test]
pub(crate) fn r_close_7_the_deadline_holds() {
    let mut pair = Pair::new(2);
    let (client, _) = pair.connected();
    let (server, stream) = asked(&mut pair, client);
    shut_down(&mut pair, Side::Server, Duration::from_secs(20));
    shut_down(&mut pair, Side::Server, Duration::from_secs(3_600));
    pair.run(Duration::from_millis(19_900));
    assert!(!pair.events(Side::Client).iter().any(|event| matches!(event, Event::Closed { .. })));
    shut_down(&mut pair, Side::Server, Duration::ZERO);
    let send = pair.call(Side::Server, |e, now| {
        e.send(now, server, stream, "too late", SendOptions::default())
    });
    assert_eq!(send, Err(SendError::Closing));
    pair.run(Duration::from_millis(500));
    let ended =
        |event: &Event| matches!(event, Event::Closed { code, .. } if *code == Code::SHUTTING_DOWN);
    assert!(pair.events(Side::Client).iter().any(ended));
    pair.run(Duration::from_secs(30));
    assert_eq!(pair.events(Side::Server).last(), Some(&Event::ShutDown));

    let mut pair = Pair::new(3);
    let (client, _) = pair.connected();
    asked(&mut pair, client);
    let began = pair.world.now();
    shut_down(&mut pair, Side::Server, Duration::from_secs(20));
    pair.wait(Side::Client, |event| ended(event).then_some(()));
    let took = pair.world.now() - began;
    assert!(took >= Duration::from_secs(20) && took < Duration::from_millis(20_100), "{took:?}");
}

/// R-CLOSE-7: an end that was begun before, with more time, is hastened, and keeps its code.
#[test]
pub(crate) fn r_close_7_an_end_that_was_begun_is_hastened() {
    let mut pair = Pair::new(4);
    let (client, server) = pair.connected();
    let stream = pair.open(Side::Server, server, StreamOptions::one_way(Order::Ordered));
    for _ in 0..4 {
        // More than the client's credit: nobody reads there.
        pair.send(Side::Server, server, stream, &[1; 256 << 10]);
    }
    let (hour, code) = (Duration::from_secs(3_600), Code::application(7));
    pair.call(Side::Server, |e, now| e.close(now, server, hour, code, "slowly")).unwrap();
    pair.run(Duration::from_secs(5));
    shut_down(&mut pair, Side::Server, Duration::from_secs(2));
    pair.run(Duration::from_millis(2_500));
    let closed = Event::Closed { connection: client, by: By::Peer, code, reason: "slowly".into() };
    let events = pair.events(Side::Client);
    assert!(events.contains(&closed), "{events:?}");
}

/// R-CLOSE-7, R-CHAL-1b: who comes while the endpoint leaves is refused with 14 and the text,
/// however it opens and however far it has come; no connection begins, and no user is asked.
#[test]
pub(crate) fn r_close_7_newcomers_are_refused() {
    for screening in [Screening::AcceptAll, Screening::Ask] {
        let mut server = Config::public_server(identity("server"));
        server.server.as_mut().unwrap().screening = screening;
        let mut pair = Pair::with(5, Config::client(), server);
        pair.call(Side::Server, |e, now| e.refuse_newcomers(now, WHY));
        assert_eq!(refusal(&mut pair, to_server()), refused());
        assert_eq!(refusal(&mut pair, ConnectOptions::default()), refused(), "XX");
        assert_eq!(pair.events(Side::Server), []);
        shut_down(&mut pair, Side::Server, Duration::from_secs(1));
        assert_eq!(pair.events(Side::Server), [Event::ShutDown]);
        assert_eq!(refusal(&mut pair, to_server()), refused());
        let to = pair.world.address(pair.client).into();
        let own = pair.call(Side::Server, |e, now| e.connect(now, to, ConnectOptions::default()));
        assert_eq!(own, Err(tripline::StartError::ShuttingDown));
        assert_eq!(pair.events(Side::Server), []);
    }
}

/// R-CLOSE-7: a client that was let in, whose first DATA comes too late, is told so in zone 0,
/// again for each packet until it hears it; so is one that the user lets in too late.
#[test]
pub(crate) fn r_close_7_half_opens_are_refused() {
    // Over links no answer is lost.
    let most = if Carrier::current().is_link() { 0 } else { 3 };
    for lost in BTreeSet::from([0, most]) {
        let mut pair = Pair::new(6);
        let (from, mut left) = (pair.server, lost);
        pair.world.add_rule(move |packet| {
            if packet.from == Some(from) && packet.bytes[0] >= 0x80 && left > 0 {
                left -= 1;
                return Verdict::Drop;
            }
            Verdict::Pass
        });
        let connection = pair.connect();
        pair.run(Duration::from_millis(15));
        pair.call(Side::Server, |e, now| e.refuse_newcomers(now, WHY));
        assert_eq!(failure(&mut pair, connection), refused(), "{lost} answers lost");
        assert_eq!(pair.events(Side::Server), []);
    }
    for options in [to_server(), ConnectOptions::default()] {
        let mut server = Config::public_server(identity("server"));
        server.server.as_mut().unwrap().screening = Screening::Ask;
        let mut pair = Pair::with(7, Config::client(), server);
        let xx = options.server_key.is_none();
        let connection = pair.connect_with(options);
        if xx {
            pair.wait(Side::Client, |e| matches!(e, Event::ServerKey { .. }).then_some(()));
            pair.call(Side::Client, |e, now| e.trust(now, connection)).unwrap();
        }
        let incoming: Incoming = pair.wait(Side::Server, |event| match event {
            Event::Incoming(incoming) => Some(incoming.clone()),
            _ => None,
        });
        pair.call(Side::Server, |e, now| e.refuse_newcomers(now, WHY));
        pair.call(Side::Server, |e, now| e.accept(now, incoming.handle)).unwrap();
        assert_eq!(failure(&mut pair, connection), refused(), "XX: {xx}");
    }
}

/// R-CLOSE-7: the end of a client's endpoint; attempts are cancelled, and the server hears.
#[test]
pub(crate) fn r_close_7_a_client_leaves_too() {
    let mut pair = Pair::new(8);
    let (_, server) = pair.connected();
    let attempt = pair.connect_with(to_server());
    shut_down(&mut pair, Side::Client, Duration::from_secs(5));
    assert_eq!(failure(&mut pair, attempt), ConnectError::Cancelled);
    pair.run(Duration::from_secs(10));
    let events = pair.events(Side::Client);
    assert_eq!(events.last(), Some(&Event::ShutDown), "{events:?}");
    let ended = |event: &Event| match event {
        Event::Closed { connection, by: By::Peer, .. } => *connection == server,
        _ => false,
    };
    assert!(pair.events(Side::Server).iter().any(ended));
    assert_eq!(pair.world.machine(pair.client).connections(), 0);
}

/// R-CLOSE-7, T43: three hundred connections end within their grace, in bad weather too.
#[test]
pub(crate) fn r_close_7_many_connections() {
    let weather = LinkConfig::lossy(Chance::percent(5)).delay(Duration::from_millis(10));
    let mut pair = Pair::new(9).link(weather);
    let count = 300;
    for _ in 0..count {
        pair.connect();
    }
    pair.run(Duration::from_secs(9));
    pair.events(Side::Client);
    pair.events(Side::Server);
    shut_down(&mut pair, Side::Server, Duration::from_secs(10));
    pair.run(Duration::from_secs(30));
    let heard = pair.events(Side::Client);
    let told = heard.iter().filter(|event| matches!(event, Event::Closed { .. })).count();
    assert_eq!(told, count, "each client hears");
    let events = pair.events(Side::Server);
    let drained = events.iter().filter(|event| matches!(event, Event::Drained { .. })).count();
    assert_eq!((drained, events.last()), (count, Some(&Event::ShutDown)));
}
