//! What the driver does and does not do, and what becomes of its endpoint without it.

use super::world::{World, key, public, to_server};
use crate::{Address, Connection, Endpoint, Error, RecvStream, SendStream, Stream};
use std::future::Future;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use tripline::{
    Code, Config, ConnectError, ConnectOptions, LostCause, Order, Phase, SecretKey, StreamOptions,
    Target, TransportConfig,
};

/// T18: with one idle connection nothing is polled but at the engine's own deadlines, and each time
/// once; a minute without keep-alive has none at all.
#[test]
fn t18_an_idle_minute_is_a_handful_of_polls() {
    for (keep_alive, most) in [(Duration::ZERO, 2), (Duration::from_secs(10), 60)] {
        let mut world = World::default();
        let idle_timeout = Duration::from_secs(600);
        let transport = TransportConfig { keep_alive, idle_timeout, ..TransportConfig::default() };
        let pair = world.pair(Config { transport: transport.clone(), ..public() });
        let options = ConnectOptions { transport: Some(transport), ..to_server() };
        let ours = world.run(pair.client.connect(pair.server.local_addr(), options));
        let ours = ours.expect("connected");
        let theirs = world.run(pair.server.accept()).expect("a client");
        world.pass(Duration::from_secs(30));
        let polls =
            |world: &World| [pair.client_task, pair.server_task].map(|task| world.polls(task).0);
        let (before, busy) = (polls(&world), ours.stats().turns.busy);
        world.pass(Duration::from_secs(60));
        let after = polls(&world);
        for (before, after) in before.into_iter().zip(after) {
            assert!(after - before <= most, "{} polls in an idle minute", after - before);
        }
        assert_eq!(ours.stats().turns.busy, busy, "an idle driver has no reason to hurry");
        drop(theirs);
    }
}

/// Keep-alives go on while nobody calls anything: time alone drives them.
#[test]
fn time_alone_keeps_a_connection_alive() {
    let mut world = World::default();
    let transport = TransportConfig {
        keep_alive: Duration::from_secs(5),
        idle_timeout: Duration::from_secs(12),
        ..TransportConfig::default()
    };
    let pair = world.pair(Config { transport, ..public() });
    let (ours, theirs) = pair.connect(&mut world);
    let before = world.sky.sent();
    world.pass(Duration::from_secs(120));
    assert!(world.sky.sent() > before);
    assert!(ours.explain().is_ok() && theirs.explain().is_ok(), "both are alive");
    world.sky.cut();
    let end = world.run(ours.wait_closed());
    assert!(matches!(end, Err(Error::Lost(LostCause::Idle))), "{end:?}");
}

/// Whoever drops the driver ends everything, and nobody waits for ever.
#[test]
fn nothing_waits_for_a_driver_that_is_gone() {
    let mut world = World::default();
    let pair = world.pair(public());
    let (ours, theirs) = pair.connect(&mut world);
    let stream = world.run(ours.open(StreamOptions::two_way(Order::Ordered))).expect("a stream");
    let to = pair.server.local_addr();
    let mut connecting = Box::pin(pair.client.connect(to, to_server()));
    let mut receiving = Box::pin(stream.receive());
    let mut waiting = Box::pin(ours.wait_closed());
    let mut cx = Context::from_waker(Waker::noop());
    assert!(connecting.as_mut().poll(&mut cx).is_pending());
    assert!(receiving.as_mut().poll(&mut cx).is_pending());
    assert!(waiting.as_mut().poll(&mut cx).is_pending());
    world.abort(pair.client_task);
    assert!(matches!(connecting.as_mut().poll(&mut cx), Poll::Ready(Err(Error::Ended))));
    assert!(matches!(receiving.as_mut().poll(&mut cx), Poll::Ready(Err(Error::Ended))));
    assert!(matches!(waiting.as_mut().poll(&mut cx), Poll::Ready(Err(Error::Ended))));
    assert!(matches!(world.run(pair.client.connect(to, to_server())), Err(Error::Ended)));
    let options = StreamOptions::two_way(Order::Ordered);
    assert!(matches!(world.run(ours.open(options)), Err(Error::Ended)));
    assert!(matches!(world.run(stream.send("late")), Err(Error::Ended)));
    drop(theirs);
}

/// Every call that fails says why, with the same errors as on the other loops.
#[test]
fn errors_say_what_is_wrong() {
    let mut world = World::default();
    let pair = world.pair(public());
    let to = pair.server.local_addr();
    let wrong = ConnectOptions {
        deadline: Duration::from_secs(2),
        ..ConnectOptions::to(SecretKey::from_bytes([9; 32]).public_key())
    };
    let refused = world.run(pair.client.connect(to, wrong));
    assert!(matches!(refused, Err(Error::Connect(ConnectError::Identity))), "{refused:?}");
    let nobody = std::net::SocketAddr::from(([10, 9, 9, 9], 9));
    let silence = world.run(pair.client.connect(nobody, to_server()));
    let timeout = ConnectError::Timeout { phase: Phase::Opening };
    assert!(matches!(&silence, Err(Error::Connect(error)) if *error == timeout), "{silence:?}");
    let empty = world.run(pair.client.connect(Target::Addresses(Vec::new()), to_server()));
    assert!(matches!(empty, Err(Error::Start(_))), "{empty:?}");
    assert!("nonsense".parse::<Address>().is_err());
}

/// R-CHAL-3: a client without the server's key sees it and decides.
#[test]
fn r_chal_3_the_key_that_the_server_shows_is_for_the_user_to_trust() {
    let mut world = World::default();
    let pair = world.pair(public());
    let to = pair.server.local_addr();
    let refused = world.run(pair.client.connect(to, ConnectOptions::default()));
    assert!(matches!(refused, Err(Error::Connect(ConnectError::Cancelled))), "{refused:?}");
    let mut seen = None;
    let trust = |shown| {
        seen = Some(shown);
        // The user's code may use the endpoint: no lock is held.
        pair.client.stats().endpoint.datagrams_sent > 0
    };
    let trusted = pair.client.connect_trusting(to, ConnectOptions::default(), trust);
    let connection = world.run(trusted).expect("connected");
    assert_eq!(seen, Some(key().public_key()));
    assert_eq!(connection.phases().len(), 4, "{:?}", connection.phases());
    connection.kill();
}

/// Of a killed connection everyone hears at once, and dropped handles end a connection in order.
#[test]
fn t25_kill_and_drop_end_a_connection() {
    let mut world = World::default();
    let pair = world.pair(public());
    let (ours, theirs) = pair.connect(&mut world);
    ours.kill();
    let end = world.run(ours.wait_closed());
    assert!(matches!(end, Err(Error::Lost(LostCause::Killed))), "{end:?}");
    theirs.kill();
    let (ours, theirs) = pair.connect(&mut world);
    let stream = world.run(ours.open(StreamOptions::one_way(Order::Bytes))).expect("a stream");
    world.run(stream.send(vec![7; 60_000])).expect("taken");
    drop((ours, stream));
    let stream = world.run(theirs.accept_stream()).expect("a stream");
    let mut len = 0;
    while let Some(chunk) = world.run(stream.receive()).expect("all of it comes first") {
        len += chunk.len();
    }
    assert_eq!(len, 60_000);
    world.run(theirs.wait_closed()).expect("an orderly end");
}

/// T25, T30: a close without grace says what may not have arrived.
#[test]
fn t25_closing_reports_what_was_not_delivered() {
    let mut world = World::default();
    let pair = world.pair(public());
    let (ours, theirs) = pair.connect(&mut world);
    let stream = world.run(ours.open(StreamOptions::one_way(Order::Ordered))).expect("a stream");
    for _ in 0..10 {
        world.run(stream.send(vec![0; 50_000])).expect("taken");
    }
    let end = world.run(ours.close(Duration::ZERO));
    assert!(matches!(end, Err(Error::Undelivered { messages: 1.. })), "{end:?}");
    world.run(theirs.wait_closed()).expect("an orderly end on the other side");
}

/// A waker that uses the endpoint when it is dropped, as one does that ends a task with handles.
struct Uses(Weak<Endpoint>);

impl Wake for Uses {
    fn wake(self: Arc<Self>) {}
}

impl Drop for Uses {
    fn drop(&mut self) {
        if let Some(endpoint) = self.0.upgrade() {
            endpoint.stats();
        }
    }
}

/// No waker is dropped under the lock: neither one that another takes the place of, nor one of a
/// future that is given up, nor the driver's own.
#[test]
fn wakers_are_dropped_without_the_lock() {
    let mut world = World::default();
    let (endpoint, _driver) = world.endpoint(public(), true);
    let endpoint = Arc::new(endpoint);
    let waker = || Waker::from(Arc::new(Uses(Arc::downgrade(&endpoint))));
    let mut accept = Box::pin(endpoint.accept());
    assert!(accept.as_mut().poll(&mut Context::from_waker(&waker())).is_pending());
    assert!(accept.as_mut().poll(&mut Context::from_waker(&waker())).is_pending());
    drop(accept);
    // (The driver itself also leaves word with the world's socket, whose lock is the clock's.)
    for _ in 0..2 {
        let old = endpoint.books().lock().driven_by(&waker());
        drop(old);
    }
    endpoint.network_changed();
}

/// N26: the engine is at hand, and what it is made to do goes out.
#[test]
fn n26_the_engine_is_at_hand() {
    let mut world = World::default();
    let pair = world.pair(public());
    let (ours, theirs) = pair.connect(&mut world);
    let umtu = ours.with(|engine, connection, _| engine.umtu(connection));
    assert!(umtu.is_some_and(|umtu| umtu > 1_000), "{umtu:?}");
    let code = Code::application(3);
    let end = ours.with(|engine, connection, now| {
        engine.close(now, connection, Duration::ZERO, code, "by a task")
    });
    end.expect("it was open");
    let end = world.run(theirs.accept_stream()).map(drop);
    assert!(matches!(&end, Err(Error::Closed { code: told, .. }) if *told == code), "{end:?}");
}

/// N26: handles that are dropped while the engine is at hand are let go at the end of that, of both
/// endpoints; a call there is a panic and no wait for ever, and nothing is broken by it.
#[test]
fn n26_handles_are_dropped_but_not_called_where_the_engine_is_at_hand() {
    let mut world = World::default();
    let pair = world.pair(public());
    let (ours, theirs) = pair.connect(&mut world);
    let stream = world.run(ours.open(StreamOptions::two_way(Order::Ordered))).expect("a stream");
    let (other, _other_side) = pair.connect(&mut world);
    let mut waits = Box::pin(async move { other.accept_stream().await.map(drop) });
    assert!(waits.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let held = || pair.client.books().with(|front, _| front.held());
    assert_eq!((held(), pair.client.books().lock().waits.len()), ((0, 2, 1), 1));
    // The last handles of a stream and of a connection, and a future that waits.
    ours.with(move |engine, _, _| {
        drop((stream, waits, theirs));
        assert_eq!(engine.connections(), 2);
    });
    assert_eq!(pair.client.books().lock().waits.len(), 0);
    world.pass(Duration::from_secs(60));
    assert_eq!(held(), (0, 1, 0));
    let called = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        ours.with(|_, _, _| ours.stats());
    }));
    let why = called.expect_err("it cannot be answered");
    assert!(why.downcast_ref::<String>().is_some_and(|why| why.contains("Connection::with")));
    assert_eq!(held(), (0, 1, 0));
}

/// N13, N28: handles go to any thread, and so do the futures of their calls.
#[test]
fn handles_and_futures_go_to_any_thread() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Endpoint>();
    shared::<Connection>();
    shared::<Stream>();
    shared::<SendStream>();
    shared::<RecvStream>();
    shared::<Error>();
    fn sent<T: Send>(_: &T) {}
    let mut world = World::default();
    let pair = world.pair(public());
    let (ours, _theirs) = pair.connect(&mut world);
    sent(&pair.client.connect(pair.server.local_addr(), to_server()));
    sent(&pair.server.accept());
    sent(&ours.open(StreamOptions::two_way(Order::Ordered)));
    sent(&ours.accept_stream());
    sent(&ours.close(Duration::ZERO));
    let stream = world.run(ours.open(StreamOptions::two_way(Order::Ordered))).expect("a stream");
    sent(&stream.send("x"));
    sent(&stream.receive());
    sent(&stream.settled());
    world.settle();
}
