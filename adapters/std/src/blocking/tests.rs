//! Clients and servers over loopback, with ports of the system's choice.

use crate::*;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tripline::{
    Cipher, Code, Config, ConnectError, ConnectOptions, Order, Reconfigure, Screening, SecretKey,
    SendError, SendOptions, State, StreamOptions, Target, TransportConfig,
};

const GRACE: Duration = Duration::from_secs(20);

fn key(number: u8) -> SecretKey {
    SecretKey::from_bytes([number; 32])
}

fn server() -> Listener {
    server_with(TransportConfig::default())
}

fn server_with(transport: TransportConfig) -> Listener {
    let config = Config { transport, ..Config::public_server(key(1)) };
    listen("127.0.0.1:0", config).expect("a listener")
}

/// Serves one client: what comes on a stream goes back on it, if it may.
fn echo(listener: Listener) -> JoinHandle<u64> {
    thread::spawn(move || {
        let connection = listener.accept().expect("a client");
        let mut count = 0;
        while let Ok(stream) = connection.accept_stream() {
            while let Ok(Some(message)) = stream.receive() {
                count += 1;
                let _ = stream.send(message);
            }
        }
        connection.wait_closed().expect("an orderly end");
        count
    })
}

/// T78: the ten-line client and the ten-line server.
#[test]
fn t78_a_message_goes_there_and_back() {
    let listener = server();
    let address = listener.address();
    let server = echo(listener);
    let connection = connect(&address).expect("connected");
    let phases: Vec<_> = connection.phases().iter().map(|(state, _)| *state).collect();
    assert_eq!(phases, [State::Opening, State::Pinging, State::Ready]);
    assert_eq!(connection.peer(), Some(key(1).public_key()));
    let stream = connection.open(StreamOptions::two_way(Order::Ordered)).expect("a stream");
    for length in [0, 1, 1_000, 100_000] {
        let message = vec![7; length];
        stream.send(message.clone()).expect("taken");
        assert_eq!(stream.receive().expect("alive").expect("an answer"), message);
    }
    stream.finish();
    assert_eq!(stream.receive().expect("alive"), None);
    assert!(matches!(stream.send("late"), Err(Error::Send(SendError::Finished))));
    assert_eq!(stream.settled().expect("settled").acked, 4);
    let stats = connection.stats().expect("counters");
    assert!(stats.connection.handshake_ns > 0 && stats.connection.messages_received == 4);
    assert!(stats.socket.datagrams_sent >= stats.connection.packets_sent);
    // R-ECN-1: the loop and the sockets carry the marks both ways.
    assert_eq!(stats.connection.ecn, tripline::EcnStatus::Capable);
    connection.close(GRACE).expect("an orderly end");
    assert_eq!(server.join().expect("the server"), 4);
    assert!(matches!(
        connection.open(StreamOptions::one_way(Order::Bytes)),
        Err(Error::Closed { .. })
    ));
}

/// Bytes through `Read` and `Write`, more than all buffers and credit together hold.
#[test]
fn a_byte_stream_copies_like_a_file() {
    let listener = server();
    let address = listener.address();
    let reader = thread::spawn(move || {
        let connection = listener.accept().expect("a client");
        let mut stream = connection.accept_stream().expect("a stream");
        let mut all = Vec::new();
        stream.read_to_end(&mut all).expect("all of it");
        connection.wait_closed().expect("an orderly end");
        all
    });
    let sent: Vec<u8> = (0..8_000_000u32).map(|number| (number % 251) as u8).collect();
    let connection = connect(&address).expect("connected");
    let mut stream = connection.open(StreamOptions::one_way(Order::Bytes)).expect("a stream");
    stream.write_all(&sent).expect("taken");
    drop(stream);
    connection.close(GRACE).expect("all delivered");
    assert!(reader.join().expect("the reader") == sent);
}

/// T44: whoever does not read holds up the sender of that stream, and of no other.
#[test]
fn t44_a_reader_that_stops_holds_its_own_stream_only() {
    const COUNT: usize = 400;
    let listener = server();
    let address = listener.address();
    let connection = thread::spawn(move || connect(&address).expect("connected"));
    let theirs = listener.accept().expect("a client");
    let ours = connection.join().expect("a client");
    let slow = ours.open(StreamOptions::one_way(Order::Ordered)).expect("a stream");
    let fast = ours.open(StreamOptions::one_way(Order::Ordered)).expect("a stream");
    let sent = thread::scope(|scope| {
        // 25 MB on the slow stream: far more than buffers and credit hold.
        let sender =
            scope.spawn(|| (0..COUNT).try_for_each(|number| slow.send(vec![number as u8; 64_000])));
        let held = theirs.accept_stream().expect("the slow stream");
        fast.send("first").expect("taken");
        let other = theirs.accept_stream().expect("the other stream");
        for number in 0..100u8 {
            fast.send(vec![number; 10_000]).expect("taken");
        }
        assert_eq!(other.receive().expect("alive").as_deref(), Some(&b"first"[..]));
        for number in 0..100u8 {
            assert_eq!(other.receive().expect("alive").expect("more")[0], number);
        }
        assert!(!sender.is_finished(), "nothing held the sender");
        for number in 0..COUNT {
            let message = held.receive().expect("alive").expect("more");
            assert_eq!((message.len(), message[0]), (64_000, number as u8));
        }
        sender.join().expect("the sender")
    });
    sent.expect("all taken");
    ours.close(GRACE).expect("an orderly end");
}

/// T32: `open` waits until the peer allows another stream.
#[test]
fn t32_open_waits_for_the_limit() {
    let listener =
        server_with(TransportConfig { two_way_streams: 2, ..TransportConfig::default() });
    let address = listener.address();
    let server = echo(listener);
    let connection = connect(&address).expect("connected");
    for number in 0..50u8 {
        let stream = connection.open(StreamOptions::two_way(Order::Ordered)).expect("a stream");
        stream.send(vec![number]).expect("taken");
        stream.finish();
        assert_eq!(stream.receive().expect("alive").as_deref(), Some(&[number][..]));
        assert_eq!(stream.receive().expect("alive"), None);
    }
    connection.close(GRACE).expect("an orderly end");
    assert_eq!(server.join().expect("the server"), 50);
}

/// T02: names go through the system's resolver; one that does not resolve is one error that says
/// so.
#[test]
fn t02_names_are_resolved() {
    let listener = server();
    let port = listener.local_addr().port();
    let server = echo(listener);
    let client = Client::new(Config::client()).expect("a client");
    let name = |host: &str| Target::Name { host: host.into(), port };
    let options = || ConnectOptions::to(key(1).public_key());
    let refused = client.connect(name("a name with spaces"), options());
    assert!(matches!(refused, Err(Error::Connect(ConnectError::Resolve { .. }))), "{refused:?}");
    let connection = client.connect(name("localhost"), options()).expect("connected");
    assert_eq!(connection.phases()[0].0, State::Resolving);
    connection.close(GRACE).expect("an orderly end");
    server.join().expect("the server");
}

#[test]
fn what_cannot_be_sent_is_refused_at_once() {
    let listener = server();
    let address = listener.address();
    let server = echo(listener);
    let connection = connect(&address).expect("connected");
    let stream = connection.open(StreamOptions::two_way(Order::Ordered)).expect("a stream");
    let large = stream.send(vec![0; (256 << 10) + 1]);
    assert!(matches!(large, Err(Error::Send(SendError::TooLarge { .. }))), "{large:?}");
    stream.send("good").expect("the stream lives on");
    assert_eq!(stream.receive().expect("alive").as_deref(), Some(&b"good"[..]));
    assert!(
        (&stream).write(b"x").is_err_and(|error| error.kind() == std::io::ErrorKind::Unsupported)
    );
    let bytes = connection.open(StreamOptions::one_way(Order::Bytes)).expect("a stream");
    let odd = bytes.send_with("x", SendOptions::UNRELIABLE);
    assert!(matches!(odd, Err(Error::Send(SendError::AlwaysReliable))), "{odd:?}");
    assert!(matches!(bytes.receive(), Err(Error::Receive(_))));
    assert!(matches!(stream.receive_timeout(Duration::ZERO), Err(Error::TimedOut)));
    connection.close(GRACE).expect("an orderly end");
    server.join().expect("the server");
}

/// T25: a close without grace says what may not have arrived; a killed connection ends all calls.
#[test]
fn t25_closing_reports_what_was_not_delivered() {
    let listener = server();
    let address = listener.address();
    let client = connect(&address).expect("connected");
    let theirs = listener.accept().expect("a client");
    let stream = client.open(StreamOptions::one_way(Order::Ordered)).expect("a stream");
    // More than the peer, who does not read, lets in; and no more than fits into its credit and
    // half of our buffer, or `send` might wait for ever.
    for _ in 0..30 {
        stream.send(vec![0; 50_000]).expect("taken");
    }
    let end = client.close(Duration::ZERO);
    assert!(matches!(end, Err(Error::Undelivered { messages }) if messages > 0), "{end:?}");
    theirs.wait_closed().expect("an orderly end on the other side");

    let client = connect(&address).expect("connected");
    let theirs = listener.accept().expect("a client");
    let stream = client.open(StreamOptions::two_way(Order::Ordered)).expect("a stream");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| stream.receive());
        client.kill();
        let end = waiting.join().expect("the thread");
        assert!(matches!(end, Err(Error::Lost(_))), "{end:?}");
    });
    assert!(matches!(client.wait_closed(), Err(Error::Lost(_))));
    theirs.kill();
}

/// T12: the user decides who comes in.
#[test]
fn t12_screening_asks() {
    let mut config = Config::public_server(key(1));
    config.server.as_mut().expect("a server").screening = Screening::Ask;
    let screen: Screen = Box::new(|incoming| match incoming.route.as_slice() {
        b"good" => Ok(()),
        _ => Err((Code::NO_ROUTE, "not here".into())),
    });
    let how = ListenOptions { screen: Some(screen), ..ListenOptions::default() };
    let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    let listener = Listener::bind(any, config, how).expect("a listener");
    let client = Client::new(Config::client()).expect("a client");
    let route = |route: &str| ConnectOptions {
        route: route.into(),
        ..ConnectOptions::to(key(1).public_key())
    };
    let refused = client.connect(listener.local_addr(), route("bad"));
    let Err(Error::Connect(ConnectError::Refused { code, reason })) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!((code, reason.as_str()), (Code::NO_ROUTE, "not here"));
    let connection = client.connect(listener.local_addr(), route("good")).expect("connected");
    assert_eq!(listener.accept().expect("a client").route(), b"good");
    connection.wait_closed().expect("the server let go of it");
}

/// R-CHAL-3: a client without the server's key sees it and decides.
#[test]
fn r_chal_3_the_key_that_the_server_shows_is_for_the_user_to_trust() {
    let listener = server();
    let client = Client::new(Config::client()).expect("a client");
    let address = listener.local_addr();
    let refused = client.connect(address, ConnectOptions::default());
    assert!(matches!(refused, Err(Error::Connect(ConnectError::Cancelled))), "{refused:?}");
    let mut seen = None;
    let connection = client
        .connect_trusting(address, ConnectOptions::default(), |key| {
            seen = Some(key);
            true
        })
        .expect("connected");
    assert_eq!(seen, Some(key(1).public_key()));
    drop(listener);
    connection.wait_closed().expect("the server let go of it");
}

/// Many connections over one socket, many streams, many threads.
#[test]
fn threads_share_a_client() {
    let listener = server();
    let address = listener.local_addr();
    let client = Client::new(Config::client()).expect("a client");
    thread::scope(|scope| {
        scope.spawn(move || {
            thread::scope(|scope| {
                for _ in 0..8 {
                    let connection = listener.accept().expect("a client");
                    scope.spawn(move || {
                        while let Ok(stream) = connection.accept_stream() {
                            while let Ok(Some(message)) = stream.receive() {
                                stream.send(message).expect("taken");
                            }
                        }
                    });
                }
            });
        });
        for _ in 0..8 {
            scope.spawn(|| {
                let options = ConnectOptions::to(key(1).public_key());
                let connection = client.connect(address, options).expect("connected");
                let stream =
                    connection.open(StreamOptions::two_way(Order::Unordered)).expect("a stream");
                for number in 0..200u32 {
                    stream.send(number.to_be_bytes().to_vec()).expect("taken");
                }
                stream.finish();
                let mut numbers: Vec<_> = std::iter::from_fn(|| stream.receive().expect("alive"))
                    .map(|message| u32::from_be_bytes(message[..].try_into().expect("4 bytes")))
                    .collect();
                numbers.sort_unstable();
                assert!(numbers.into_iter().eq(0..200));
                connection.close(GRACE).expect("an orderly end");
            });
        }
    });
}

#[test]
fn handles_go_to_any_thread_and_errors_have_causes() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Connection>();
    shared::<Stream>();
    shared::<Listener>();
    shared::<Client>();
    shared::<Error>();
    let error = Error::Connect(ConnectError::Identity);
    let cause = std::error::Error::source(&error).expect("a cause").to_string();
    assert_eq!(cause, "the server does not hold the expected key");
}

/// T46: what was agreed on can be asked and changed, and the user's own choice of cipher stands.
#[test]
fn t46_agreed_numbers_and_changes_without_closing() {
    let listener =
        server_with(TransportConfig { two_way_streams: 1, ..TransportConfig::default() });
    let target = Target::from(listener.local_addr());
    let server = thread::spawn(move || {
        let connection = listener.accept().expect("a client");
        let first = connection.accept_stream().expect("a stream");
        let more = Reconfigure { two_way_streams: Some(3), ..Reconfigure::default() };
        connection.reconfigure(more).expect("it lives");
        let agreed = connection.agreed().expect("it lives");
        connection.wait_closed().expect("an orderly end");
        drop(first);
        (agreed, connection.reconfigure(more))
    });
    let options = Options { detect_aes: false, ..Options::default() };
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let client = Client::bind(any, Config::client(), &options).expect("a client");
    let to = ConnectOptions::to(key(1).public_key());
    let connection = client.connect(target, to).expect("connected");
    let agreed = connection.agreed().expect("it lives");
    assert_eq!(agreed.suite.cipher, Cipher::ChaChaPoly);
    assert_eq!((agreed.theirs.two_way_streams, agreed.peer), (1, Some(key(1).public_key())));
    let open = || connection.open(StreamOptions::two_way(Order::Ordered)).expect("a stream");
    let first = open();
    first.send("the server hears of it").expect("taken");
    // This waits until the server allows more.
    let _second = open();
    connection.close(GRACE).expect("an orderly end");
    let (theirs, late) = server.join().expect("the server");
    assert_eq!((theirs.ours, theirs.suite), (agreed.theirs, agreed.suite));
    assert!(matches!(late, Err(Error::Closed { .. })), "changed after the end: {late:?}");
}

/// T12: the screening's choice of the pre-shared key, through the blocking calls.
#[test]
fn t12_a_listener_chooses_the_psk_by_the_client() {
    let psk = |number| tripline::Psk::from_bytes([number; 32]);
    let mut config = Config::public_server(key(1));
    config.server.as_mut().expect("a server").screening = Screening::AskForPsk;
    let known = key(2).public_key();
    let how = ListenOptions {
        screen: Some(Box::new(|_| Ok(()))),
        psk: Some(Box::new(move |client| (client.client == Some(known)).then(|| psk(7)))),
        ..ListenOptions::default()
    };
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = Listener::bind(any, config, how).expect("a listener");
    let connect = |number: u8, secret: u8| {
        let client = Config { identity: Some(key(number)), ..Config::client() };
        let options = ConnectOptions {
            psk: Some(psk(secret)),
            deadline: Duration::from_secs(2),
            ..ConnectOptions::to(key(1).public_key())
        };
        Client::new(client)?.connect(listener.local_addr(), options).map(drop)
    };
    connect(2, 7).expect("let in");
    let wrong = connect(2, 8);
    assert!(matches!(wrong, Err(Error::Connect(ConnectError::Identity))), "{wrong:?}");
    let stranger = connect(3, 7);
    assert!(matches!(stranger, Err(Error::Connect(ConnectError::Suite))), "{stranger:?}");
}

/// What the blocking interface tells of waiting is what the engine says: here that the other side
/// does not read.
#[test]
fn explain_reaches_the_blocking_interface() {
    let transport =
        TransportConfig { message_max: 1_000, stream_credit: 2_000, ..TransportConfig::default() };
    let listener = server_with(transport);
    let connection = connect(&listener.address()).expect("connected");
    let peer = listener.accept().expect("a client");
    let stream = connection.open(StreamOptions::one_way(Order::Ordered)).expect("a stream");
    for _ in 0..10 {
        stream.send(vec![1; 1_000]).expect("taken");
    }
    let deadline = std::time::Instant::now() + GRACE;
    loop {
        let found = connection.explain().expect("it is there");
        let by_credit = tripline::SendingReason::StreamCredit { streams: 1 };
        if found.reasons.contains(&tripline::Reason::Sending(by_credit)) {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{found}");
        thread::yield_now();
    }
    peer.kill();
    connection.kill();
    assert!(connection.wait_closed().is_err());
    assert!(connection.explain().is_err(), "nothing is left of it");
}

/// R-CLOSE-7: a listener that is shut down answers what it was asked, refuses who comes then, and
/// the call returns when all is over.
#[test]
fn r_close_7_a_listener_shuts_down() {
    let listener = server();
    let address = listener.address();
    let client = thread::spawn(move || {
        let connection = connect(&address).expect("connected");
        let stream = connection.open(StreamOptions::two_way(Order::Ordered)).expect("a stream");
        stream.send("question").expect("taken");
        stream.finish();
        let answer = stream.receive().expect("alive");
        assert_eq!(stream.receive().expect("alive"), None);
        (answer, connection.wait_closed(), connect(&address))
    });
    let connection = listener.accept().expect("a client");
    let stream = connection.accept_stream().expect("a stream");
    assert_eq!(stream.receive().expect("alive").as_deref(), Some(&b"question"[..]));
    assert_eq!(stream.receive().expect("alive"), None);
    thread::scope(|scope| {
        let over = scope.spawn(|| listener.shut_down(GRACE, Code::SHUTTING_DOWN, "maintenance"));
        assert!(matches!(listener.accept(), Err(Error::Ended)), "nobody comes any more");
        stream.send("answer").expect("taken while we leave");
        stream.finish();
        over.join().expect("no panic").expect("it is over");
    });
    connection.wait_closed().expect("an orderly end");
    listener.shut_down(GRACE, Code::NONE, "").expect("it is over already");
    let (answer, end, again) = client.join().expect("the client");
    assert_eq!(answer.as_deref(), Some(&b"answer"[..]));
    end.expect("an orderly end");
    let code = Code::SHUTTING_DOWN;
    let refused = ConnectError::Refused { code, reason: "maintenance".into() };
    assert!(matches!(again, Err(Error::Connect(error)) if error == refused));
}

/// R-CLOSE-7: a client that is shut down delivers what was handed in, and begins nothing more.
#[test]
fn r_close_7_a_client_shuts_down() {
    let listener = server();
    let target: Target = listener.local_addr().into();
    let server = thread::spawn(move || {
        let connection = listener.accept().expect("a client");
        let mut stream = connection.accept_stream().expect("a stream");
        let mut all = Vec::new();
        stream.read_to_end(&mut all).expect("all of it");
        (all.len(), connection.wait_closed())
    });
    let client = Client::new(Config::client()).expect("a client");
    let options = || ConnectOptions::to(key(1).public_key());
    let connection = client.connect(target.clone(), options()).expect("connected");
    let mut stream = connection.open(StreamOptions::one_way(Order::Bytes)).expect("a stream");
    stream.write_all(&vec![7; 5_000_000]).expect("taken");
    stream.finish();
    client.shut_down(GRACE, Code::NONE, "").expect("it is over");
    let late = client.connect(target, options());
    assert!(matches!(late, Err(Error::Start(tripline::StartError::ShuttingDown))));
    let (count, end) = server.join().expect("the server");
    assert_eq!(count, 5_000_000);
    end.expect("an orderly end");
}

/// N17: an idle connection asks the peer at once when it hears that the network has changed, told
/// to itself or to its endpoint, of either side; of one that is gone there is nothing to tell.
#[test]
fn n17_network_changed_asks_at_once() {
    let listener = server();
    let client = Client::new(Config::client()).expect("a client");
    let options = ConnectOptions::to(key(1).public_key());
    let connection = client.connect(listener.local_addr(), options).expect("connected");
    let peer = listener.accept().expect("a client");
    type Tell<'a> = &'a dyn Fn() -> Result<(), Error>;
    let tells: [(Tell<'_>, &Connection); 4] = [
        (&|| connection.network_changed(), &connection),
        (&|| client.network_changed(), &connection),
        (&|| peer.network_changed(), &peer),
        (&|| listener.network_changed(), &peer),
    ];
    let sent = |of: &Connection| of.stats().expect("alive").connection.packets_sent;
    let idle = |of: &Connection| {
        let reasons = of.explain().expect("alive").reasons;
        matches!(reasons[..], [tripline::Reason::Peer(tripline::PeerReason::Idle { .. })])
    };
    for (case, (tell, of)) in tells.into_iter().enumerate() {
        let deadline = std::time::Instant::now() + GRACE;
        while !(idle(&connection) && idle(&peer)) {
            assert!(std::time::Instant::now() < deadline, "case {case}: never idle");
            thread::yield_now();
        }
        let before = sent(of);
        tell().expect("told");
        while sent(of) == before {
            assert!(std::time::Instant::now() < deadline, "case {case}: nothing was asked");
            thread::yield_now();
        }
    }
    connection.kill();
    assert!(connection.wait_closed().is_err());
    assert!(matches!(connection.network_changed(), Err(Error::Lost(_))));
}
