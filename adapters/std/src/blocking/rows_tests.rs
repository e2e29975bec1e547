//! Rows of the contract that are about handles, threads and doors.

use crate::*;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;
use tripline::{
    Code, Config, ConnectError, ConnectOptions, ConnectionHandle, Order, Screening, SecretKey,
    State, StreamOptions,
};

const GRACE: Duration = Duration::from_secs(20);

fn key(number: u8) -> SecretKey {
    SecretKey::from_bytes([number; 32])
}

fn server() -> Listener {
    listen("127.0.0.1:0", Config::public_server(key(1))).expect("a listener")
}

/// A client and its server's side of one connection.
fn pair() -> (Listener, Connection, Connection) {
    let listener = server();
    let ours = connect(&listener.address()).expect("connected");
    let theirs = listener.accept().expect("a client");
    (listener, ours, theirs)
}

/// N10: who deals with a live stream can be replaced, and takes effect between two messages: the
/// handler is whoever receives, and what it has not received its successor does.
#[test]
fn n10_a_live_stream_changes_hands_between_two_messages() {
    let (_listener, ours, theirs) = pair();
    let stream = ours.open(StreamOptions::two_way(Order::Ordered)).expect("a stream");
    // All is on its way before the first handler begins.
    for number in 0..100_u8 {
        stream.send([number].to_vec()).expect("taken");
    }
    let handler = |name: u8, stream: &Stream, most: usize| {
        let mut dealt = Vec::new();
        while dealt.len() < most
            && let Some(message) = stream.receive().expect("alive")
        {
            stream.send(vec![name, message[0]]).expect("taken");
            dealt.push(message[0]);
        }
        dealt
    };
    let (pass, passed) = channel();
    let first = thread::spawn(move || {
        let stream = theirs.accept_stream().expect("the stream");
        let dealt = handler(1, &stream, 37);
        pass.send((stream, theirs)).expect("the other waits");
        dealt
    });
    let second = thread::spawn(move || {
        let (stream, _connection) = passed.recv().expect("passed on");
        handler(2, &stream, usize::MAX)
    });
    stream.finish();
    let answers: Vec<_> = std::iter::from_fn(|| stream.receive().expect("alive")).collect();
    let expected = (0..100).map(|number| vec![if number < 37 { 1 } else { 2 }, number]);
    assert!(answers.iter().map(|answer| answer.to_vec()).eq(expected), "{answers:?}");
    assert!(first.join().expect("the first").into_iter().eq(0..37));
    assert!(second.join().expect("the second").into_iter().eq(37..100));
}

/// N11: who is offered a stream may refuse it, and the peer hears why, in both directions.
#[test]
fn n11_a_refused_stream_tells_the_reason() {
    let (_listener, ours, theirs) = pair();
    let why = Code::application(7);
    let stream = ours.open(StreamOptions::two_way(Order::Ordered)).expect("a stream");
    stream.send("may I?").expect("taken");
    let offered = theirs.accept_stream().expect("the stream");
    offered.stop(why);
    offered.close(why);
    let answer = stream.receive();
    assert!(matches!(&answer, Err(Error::StreamClosed(code)) if *code == why), "{answer:?}");
    let refused = loop {
        // What is on its way already is taken.
        if let Err(error) = stream.send("again") {
            break error;
        }
    };
    assert!(matches!(refused, Error::StreamStopped(code) if code == why), "{refused:?}");
    // The connection is well.
    let next = ours.open(StreamOptions::two_way(Order::Ordered)).expect("a stream");
    next.send("and now?").expect("taken");
    assert!(theirs.accept_stream().expect("the stream").receive().expect("alive").is_some());
}

/// N12: a server that holds another key is refused, and so is one whose key nobody knows, unless
/// the program says in so many words that it trusts what it is shown.
#[test]
fn n12_a_wrong_server_is_refused_by_default() {
    let listener = server();
    let address = listener.local_addr();
    let client = Client::new(Config::client()).expect("a client");
    // Anyone may have answered so; only when the time is up it is the server's last word.
    let deadline = Duration::from_millis(300);
    let wrong = ConnectOptions { deadline, ..ConnectOptions::to(key(2).public_key()) };
    let wrong = client.connect(address, wrong);
    assert!(matches!(wrong, Err(Error::Connect(ConnectError::Identity))), "{wrong:?}");
    let unknown = client.connect(address, ConnectOptions::default());
    assert!(matches!(unknown, Err(Error::Connect(ConnectError::Cancelled))), "{unknown:?}");
    client.connect_trusting(address, ConnectOptions::default(), |_| true).expect("trusted");
}

/// N13, N28: what may be used from any thread can be, and the compiler knows; a loop goes to
/// another thread but is used by one at a time, for its calls that change something want it alone.
#[test]
fn n13_n28_which_handle_may_go_where_is_known_to_the_compiler() {
    fn shared<T: Send + Sync + 'static>() {}
    fn moves<T: Send + 'static>() {}
    shared::<Connection>();
    shared::<Stream>();
    shared::<Listener>();
    shared::<Client>();
    shared::<Waker>();
    shared::<Clock>();
    shared::<Error>();
    shared::<Stats>();
    shared::<ConnectionHandle>();
    moves::<Loop<tripline::Endpoint>>();
    moves::<ListenOptions>();
}

/// N13: properties are read from any thread while others work; a stale handle says that it is one.
#[test]
fn n13_properties_are_readable_from_any_thread_and_stale_handles_say_so() {
    let (listener, ours, theirs) = pair();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    assert_eq!(ours.peer(), Some(key(1).public_key()));
                    assert_eq!(ours.remote(), listener.local_addr());
                    assert!(ours.stats().expect("counters").connection.packets_sent > 0);
                    assert!(theirs.agreed().is_ok() && theirs.explain().is_ok());
                }
            });
        }
    });
    ours.close(GRACE).expect("an orderly end");
    theirs.wait_closed().expect("an orderly end");
    let stale = theirs.accept_stream();
    assert!(matches!(stale, Err(Error::Closed { .. })), "{stale:?}");
    let stale = ours.open(StreamOptions::two_way(Order::Ordered));
    assert!(matches!(stale, Err(Error::Closed { .. })), "{stale:?}");
    // What was measured can still be read.
    assert!(ours.stats().expect("the last counters").connection.packets_sent > 0);
}

/// N26: work that needs the endpoint itself is done by the thread that owns it, in its own time.
#[test]
fn n26_work_is_done_on_the_owner_thread() {
    let (_listener, ours, _theirs) = pair();
    let asked = thread::current().id();
    let (name, ran, state, umtu) = ours
        .with(|endpoint, connection, _now| {
            let thread = thread::current();
            let name = thread.name().map(str::to_owned);
            (name, thread.id(), endpoint.state(connection), endpoint.umtu(connection))
        })
        .expect("the loop answers");
    assert_eq!(name.as_deref(), Some("tripline"));
    assert_ne!(ran, asked);
    assert_eq!(state, Some(State::Ready));
    assert!(umtu.is_some_and(|umtu| umtu > 1_000), "{umtu:?}");
    // What it makes the endpoint do goes out: the peer hears of it.
    let done = ours.with(|endpoint, connection, now| {
        endpoint.close(now, connection, Duration::ZERO, Code::application(3), "by a task")
    });
    done.expect("the loop answers").expect("it was open");
    let end = _theirs.accept_stream();
    assert!(
        matches!(&end, Err(Error::Closed { code, .. }) if *code == Code::application(3)),
        "{end:?}"
    );
}

/// N26: work that panics ends the endpoint, and nobody waits for ever.
#[test]
fn n26_work_that_panics_ends_the_endpoint_for_all() {
    let (_listener, ours, _theirs) = pair();
    let other = ours.open(StreamOptions::two_way(Order::Ordered)).expect("a stream");
    let done = ours.with(|_, _, _| -> () { std::panic::resume_unwind(Box::new("by a task")) });
    assert!(matches!(done, Err(Error::Ended)), "{done:?}");
    assert!(matches!(other.receive(), Err(Error::Ended)));
    assert!(matches!(ours.stats(), Err(Error::Ended)));
    assert!(matches!(ours.wait_closed(), Err(Error::Ended)));
}

/// N27: handles are small and tell their generation apart: one that is over reaches nobody, though
/// its slot serves another connection.
#[test]
fn n27_handles_are_small_and_checked_by_generation() {
    assert!(size_of::<ConnectionHandle>() <= 8);
    assert!(size_of::<tripline::StreamId>() <= 8);
    let listener = server();
    let client = Client::new(Config::client()).expect("a client");
    let mut seen = BTreeSet::new();
    let mut slots = BTreeSet::new();
    let mut before = None;
    for _ in 0..5 {
        let to = ConnectOptions::to(key(1).public_key());
        let ours = client.connect(listener.local_addr(), to).expect("connected");
        let handle = ours.with(|_, handle, _| handle).expect("the loop answers");
        let stale = before.replace(handle);
        let state = ours.with(move |endpoint, _, _| stale.map(|old| endpoint.state(old)));
        assert!(matches!(state, Ok(None | Some(None))), "{state:?}");
        assert!(seen.insert(handle), "a handle came twice");
        slots.insert(handle.slot());
        ours.close(GRACE).expect("an orderly end");
    }
    assert!(slots.len() < seen.len(), "slots are used again: {slots:?}");
}

/// N38: one server, several ports, each with a door and a handler of its own.
#[test]
fn n38_one_server_many_listeners() {
    let door = |service: &'static str| -> Listener {
        let mut config = Config::public_server(key(1));
        config.server.as_mut().expect("a server").screening = Screening::Ask;
        let screen: Screen = Box::new(move |incoming| {
            let welcome = incoming.route == service.as_bytes();
            if welcome { Ok(()) } else { Err((Code::NO_ROUTE, format!("this is {service}"))) }
        });
        let how = ListenOptions { screen: Some(screen), ..ListenOptions::default() };
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Listener::bind(any, config, how).expect("a listener")
    };
    let services = ["time", "weather"];
    let listeners = services.map(door);
    let client = Client::new(Config::client()).expect("a client");
    let route = |route: &str| ConnectOptions {
        route: route.into(),
        ..ConnectOptions::to(key(1).public_key())
    };
    for (listener, service) in listeners.iter().zip(services) {
        let ours = client.connect(listener.local_addr(), route(service)).expect("connected");
        let theirs = listener.accept().expect("a client");
        assert_eq!(theirs.route(), service.as_bytes());
        let stream = ours.open(StreamOptions::two_way(Order::Ordered)).expect("a stream");
        stream.send("?").expect("taken");
        let other = theirs.accept_stream().expect("the stream");
        other.receive().expect("alive");
        other.send(service).expect("taken");
        assert_eq!(stream.receive().expect("alive").as_deref(), Some(service.as_bytes()));
        let elsewhere = client.connect(listener.local_addr(), route("tea"));
        let Err(Error::Connect(ConnectError::Refused { code, reason })) = elsewhere else {
            panic!("{elsewhere:?}");
        };
        assert_eq!((code, reason), (Code::NO_ROUTE, format!("this is {service}")));
    }
}
