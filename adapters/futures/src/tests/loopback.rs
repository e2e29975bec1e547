//! Clients and servers over loopback, with ports of the system's choice and nothing but futures:
//! the tests that every runtime passes. This file is a module of the tests of each runtime's crate
//! (`crate` is that crate), with `runtime` and `block_on` beside it.

use super::{block_on, runtime};
use crate::*;
use std::future::{Future, poll_fn};
use std::net::{SocketAddr, UdpSocket};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;
use tripline::{
    Code, Config, ConnectError, ConnectOptions, Order, Phase, Screening, SecretKey, SendError,
    State, StreamOptions, Target, TransportConfig,
};
use tripline_sansio::{Instant, LinkKind, Seed};

const GRACE: Duration = Duration::from_secs(20);

fn key(number: u8) -> SecretKey {
    SecretKey::from_bytes([number; 32])
}

fn to_server() -> ConnectOptions {
    ConnectOptions::to(key(1).public_key())
}

fn server() -> Endpoint {
    listen("127.0.0.1:0", Config::public_server(key(1))).expect("a listener")
}

/// A loopback address with a port of the system's choice.
fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// Both at once, in this task.
pub(super) async fn both<A, B>(a: impl Future<Output = A>, b: impl Future<Output = B>) -> (A, B) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut one, mut other) = (None, None);
    poll_fn(|cx| {
        if one.is_none()
            && let Poll::Ready(value) = a.as_mut().poll(cx)
        {
            one = Some(value);
        }
        if other.is_none()
            && let Poll::Ready(value) = b.as_mut().poll(cx)
        {
            other = Some(value);
        }
        match (one.take(), other.take()) {
            (Some(one), Some(other)) => Poll::Ready((one, other)),
            (half, rest) => {
                (one, other) = (half, rest);
                Poll::Pending
            }
        }
    })
    .await
}

/// All of them at once, in this task.
async fn all(futures: impl IntoIterator<Item = impl Future<Output = ()>>) {
    let mut left: Vec<Pin<Box<_>>> = futures.into_iter().map(Box::pin).collect();
    poll_fn(|cx| {
        left.retain_mut(|future| future.as_mut().poll(cx).is_pending());
        if left.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Serves one client: what comes on a stream goes back on it, if it may.
async fn echo(listener: &Endpoint) -> u64 {
    let connection = listener.accept().await.expect("a client");
    let mut count = 0;
    while let Ok(stream) = connection.accept_stream().await {
        while let Ok(Some(message)) = stream.receive().await {
            count += 1;
            let _ = stream.send(message).await;
        }
    }
    connection.wait_closed().await.expect("an orderly end");
    count
}

/// T78: the ten-line client and the ten-line server.
#[test]
fn t78_a_message_goes_there_and_back() {
    block_on(async {
        let listener = server();
        let client = async {
            let connection = connect(&listener.address()).await.expect("connected");
            let phases: Vec<_> = connection.phases().iter().map(|(state, _)| *state).collect();
            assert_eq!(phases, [State::Opening, State::Pinging, State::Ready]);
            assert_eq!(connection.peer(), Some(key(1).public_key()));
            let path = connection.path().expect("alive");
            assert_eq!((path.kind, path.remote), (LinkKind::Udp, listener.local_addr()));
            let options = StreamOptions::two_way(Order::Ordered);
            let stream = connection.open(options).await.expect("a stream");
            for length in [0, 1, 1_000, 100_000] {
                let message = vec![7; length];
                stream.send(message.clone()).await.expect("taken");
                assert_eq!(stream.receive().await.expect("alive").expect("an answer"), message);
            }
            stream.finish();
            assert_eq!(stream.receive().await.expect("alive"), None);
            let late = stream.send("late").await;
            assert!(matches!(late, Err(Error::Send(SendError::Finished))), "{late:?}");
            assert_eq!(stream.settled().await.expect("settled").acked, 4);
            let stats = connection.stats();
            assert!(stats.connection.handshake_ns > 0 && stats.connection.messages_received == 4);
            assert!(stats.socket.datagrams_sent > 0 && stats.socket.send_calls > 0, "{stats:?}");
            // R-ECN-1: the loop and the sockets carry the marks both ways.
            assert_eq!(stats.connection.ecn, tripline::EcnStatus::Capable);
            connection.close(GRACE).await.expect("an orderly end");
            let over = connection.open(StreamOptions::one_way(Order::Bytes)).await;
            assert!(matches!(over, Err(Error::Closed { .. })));
        };
        let (count, ()) = both(echo(&listener), client).await;
        assert_eq!(count, 4);
    });
}

/// T32, T41: more streams at once than the peer allows; `open` waits its turn.
#[test]
fn t32_hundreds_of_streams() {
    const STREAMS: u32 = 600;
    block_on(async {
        let transport = TransportConfig { two_way_streams: 50, ..TransportConfig::default() };
        let config = Config { transport, ..Config::public_server(key(1)) };
        let listener = listen("127.0.0.1:0", config).expect("a listener");
        let client = async {
            let connection = connect(&listener.address()).await.expect("connected");
            let one = async |number: u32| {
                let options = StreamOptions::two_way(Order::Ordered);
                let stream = connection.open(options).await.expect("a stream");
                stream.send(number.to_be_bytes().to_vec()).await.expect("taken");
                stream.finish();
                let answer = stream.receive().await.expect("alive").expect("an answer");
                assert_eq!(answer[..], number.to_be_bytes());
                assert_eq!(stream.receive().await.expect("alive"), None);
            };
            all((0..STREAMS).map(one)).await;
            connection.close(GRACE).await.expect("an orderly end");
        };
        let (count, ()) = both(echo(&listener), client).await;
        assert_eq!(count, u64::from(STREAMS));
    });
}

/// T44: whoever does not read holds up the sender of that stream, and of no other.
#[test]
fn t44_a_reader_that_stops_holds_its_own_stream_only() {
    block_on(async {
        let listener = server();
        let address = listener.address();
        let (ours, theirs) = both(connect(&address), listener.accept()).await;
        let (ours, theirs) = (ours.expect("connected"), theirs.expect("a client"));
        let options = StreamOptions::one_way(Order::Ordered);
        let slow = ours.open(options).await.expect("a stream");
        let fast = ours.open(options).await.expect("a stream");
        let sender = async {
            // 25 MB on the slow stream: far more than buffers and credit hold.
            for number in 0..400_u32 {
                slow.send(vec![number as u8; 64_000]).await.expect("taken");
            }
        };
        let reader = async {
            let held = theirs.accept_stream().await.expect("the slow stream");
            fast.send("first").await.expect("taken");
            let other = theirs.accept_stream().await.expect("the other stream");
            let first = other.receive().await.expect("alive");
            assert_eq!(first.as_deref(), Some(&b"first"[..]));
            for number in 0..100_u8 {
                fast.send(vec![number; 10_000]).await.expect("taken");
                assert_eq!(other.receive().await.expect("alive").expect("more")[0], number);
            }
            let held_up = slow.progress().acked;
            assert!(held_up < 400, "nothing held the sender");
            for number in 0..400_u32 {
                let message = held.receive().await.expect("alive").expect("more");
                assert_eq!((message.len(), message[0]), (64_000, number as u8));
            }
        };
        both(sender, reader).await;
        ours.close(GRACE).await.expect("an orderly end");
    });
}

/// T02: names go through the system's resolver; one that does not resolve is one error that says
/// so.
#[test]
fn t02_names_are_resolved() {
    block_on(async {
        let listener = server();
        let port = listener.local_addr().port();
        let client = Endpoint::client(&runtime(), Config::client()).expect("a client");
        let name = |host: &str| Target::Name { host: host.into(), port };
        let refused = client.connect(name("a name with spaces"), to_server()).await;
        let found = matches!(refused, Err(Error::Connect(ConnectError::Resolve { .. })));
        assert!(found, "{refused:?}");
        let connection = client.connect(name("localhost"), to_server()).await.expect("connected");
        assert_eq!(connection.phases()[0].0, State::Resolving);
        connection.close(GRACE).await.expect("an orderly end");
    });
}

/// A wrong key, a closed port and a text that is no address are the errors that they are on every
/// loop, each in one line.
#[test]
fn attempts_in_vain_end_with_the_errors_of_every_loop() {
    block_on(async {
        let listener = server();
        let client = Endpoint::client_at(
            &runtime(),
            any_port(),
            Config::client(),
            &Options { detect_aes: false, ..Options::default() },
        );
        let client = client.expect("a client");
        let deadline = Duration::from_millis(500);
        let wrong = ConnectOptions { deadline, ..ConnectOptions::to(key(9).public_key()) };
        let refused = client.connect(listener.local_addr(), wrong).await;
        assert!(matches!(refused, Err(Error::Connect(ConnectError::Identity))), "{refused:?}");
        // Nobody listens there: the port was given back.
        let nobody = UdpSocket::bind(any_port()).expect("a port").local_addr();
        let options = ConnectOptions { deadline, ..to_server() };
        let silence = client.connect(nobody.expect("its address"), options).await;
        let timeout = ConnectError::Timeout { phase: Phase::Opening };
        assert!(matches!(&silence, Err(Error::Connect(error)) if *error == timeout), "{silence:?}");
        let nonsense = connect("nonsense").await.expect_err("no address");
        let line = "not an address: no '@'; KEY@HOST:PORT is wanted";
        assert_eq!(nonsense.to_string(), line);
        let nowhere = listen("256.0.0.1:1", Config::public_server(key(1)));
        assert!(matches!(nowhere, Err(Error::Address(_))));
    });
}

/// T12, T13: the user decides who comes in.
#[test]
fn t12_screening_asks() {
    block_on(async {
        let mut config = Config::public_server(key(1));
        config.server.as_mut().expect("a server").screening = Screening::Ask;
        let screen: Screen = Box::new(|incoming| match incoming.route.as_slice() {
            b"good" => Ok(()),
            _ => Err((Code::NO_ROUTE, "not here".into())),
        });
        let how = ListenOptions { screen: Some(screen), ..ListenOptions::default() };
        let listener = Endpoint::listen(&runtime(), any_port(), config, how).expect("a listener");
        let client = Endpoint::client(&runtime(), Config::client()).expect("a client");
        let route = |route: &str| ConnectOptions { route: route.into(), ..to_server() };
        let refused = client.connect(listener.local_addr(), route("bad")).await;
        let why = ConnectError::Refused { code: Code::NO_ROUTE, reason: "not here".into() };
        assert!(matches!(&refused, Err(Error::Connect(error)) if *error == why), "{refused:?}");
        let connection = client.connect(listener.local_addr(), route("good")).await;
        let connection = connection.expect("connected");
        assert_eq!(listener.accept().await.expect("a client").route(), b"good");
        connection.wait_closed().await.expect("the server let go of it");
    });
}

/// R-CLOSE-7: a server that is shut down answers what it was asked and refuses who comes then.
#[test]
fn r_close_7_an_endpoint_shuts_down() {
    block_on(async {
        let listener = server();
        let address = listener.address();
        let (client, connection) = both(connect(&address), listener.accept()).await;
        let (client, connection) = (client.expect("connected"), connection.expect("a client"));
        let question = client.open(StreamOptions::two_way(Order::Ordered)).await;
        let question = question.expect("a stream");
        question.send("question").await.expect("taken");
        question.finish();
        let answer = connection.accept_stream().await.expect("a stream");
        assert!(answer.receive().await.expect("alive").is_some());
        assert_eq!(answer.receive().await.expect("alive"), None);
        let over = listener.shut_down(GRACE, Code::SHUTTING_DOWN, "maintenance");
        let rest = async {
            assert!(matches!(listener.accept().await, Err(Error::Ended)), "nobody comes any more");
            let refused = connect(&address).await;
            let code = Code::SHUTTING_DOWN;
            let why = ConnectError::Refused { code, reason: "maintenance".into() };
            assert!(matches!(&refused, Err(Error::Connect(error)) if *error == why), "{refused:?}");
            answer.send("answer").await.expect("taken while we leave");
            answer.finish();
            let answer = question.receive().await.expect("alive");
            assert_eq!(answer.as_deref(), Some(&b"answer"[..]));
            assert_eq!(question.receive().await.expect("alive"), None);
            client.wait_closed().await.expect("an orderly end");
        };
        let (over, ()) = both(over, rest).await;
        over.expect("it is over");
        connection.wait_closed().await.expect("an orderly end");
        listener.shut_down(GRACE, Code::NONE, "").await.expect("it is over already");
    });
}

/// N26, T70: the same loop without an endpoint on top drives a machine of the user's own.
#[test]
fn a_loop_drives_any_machine() {
    block_on(async {
        let engine = |config, seed| {
            let seed = Seed::from_number(seed);
            tripline::Endpoint::new(config, &seed, Instant::ZERO)
        };
        let bind = |machine| {
            let looper = Loop::bind(&runtime(), any_port(), &Options::default(), machine);
            looper.expect("a loop")
        };
        let mut server = bind(engine(Config::public_server(key(1)), 1));
        let mut client = bind(engine(Config::client(), 2));
        let to = server.socket().local_addr();
        client.with(|engine, now| engine.connect(now, to.into(), to_server())).expect("begun");
        let connected = async |looper: &mut Loop<_, _, _>| {
            let event = looper.next().await.expect("a turn");
            assert!(matches!(event, tripline::Event::Connected { .. }), "{event:?}");
        };
        // The server goes on after its event: its side of the talk is not over.
        let (mut client, mut server) =
            (Box::pin(connected(&mut client)), Box::pin(connected(&mut server)));
        both(client.as_mut(), server.as_mut()).await;
    });
}
