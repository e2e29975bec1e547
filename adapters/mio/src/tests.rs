//! Sources in a real poll, over loopback with ports of the system's choice.

use crate::*;
use mio::{Events, Interest, Poll, Token};
use std::net::SocketAddr;
use std::time::Duration;
use tripline::{
    Code, Config, ConnectError, ConnectOptions, ConnectionHandle, Event, Order, ReceiveResult,
    SecretKey, SendOptions, State, StreamId, StreamOptions,
};
use tripline_sansio::Instant;

/// A limit no healthy test comes near.
const LONG: Duration = Duration::from_secs(20);

fn key(number: u8) -> SecretKey {
    SecretKey::from_bytes([number; 32])
}

/// Some sources in one poll; the token is the place in the list.
struct Room {
    poll: Poll,
    events: Events,
    sources: Vec<Source<Endpoint>>,
    began: std::time::Instant,
    polls: usize,
}

impl Room {
    fn new(sources: Vec<Source<Endpoint>>) -> Self {
        let poll = Poll::new().expect("a poll");
        let mut room = Self {
            poll,
            events: Events::with_capacity(16),
            sources,
            began: std::time::Instant::now(),
            polls: 0,
        };
        for (at, source) in room.sources.iter_mut().enumerate() {
            let registry = room.poll.registry();
            registry.register(source, Token(at), Interest::READABLE).expect("registered");
        }
        room
    }

    fn run(&mut self) {
        self.sources.iter_mut().for_each(|source| source.run().expect("a turn"));
    }

    /// Runs all of them and waits, until `on_event` says that it is over.
    fn until(&mut self, mut on_event: impl FnMut(usize, &mut Source<Endpoint>, Event) -> bool) {
        loop {
            self.run();
            let mut over = false;
            for (at, source) in self.sources.iter_mut().enumerate() {
                while let Some(event) = source.next_event() {
                    over |= on_event(at, source, event);
                }
            }
            self.run();
            if over {
                return;
            }
            assert!(self.began.elapsed() < LONG, "it takes too long");
            let timeout = self.sources.iter().filter_map(Source::poll_timeout).min();
            self.polls += 1;
            self.poll.poll(&mut self.events, timeout.or(Some(LONG))).expect("polled");
            for event in &self.events {
                self.sources[event.token().0].ready(event);
            }
        }
    }
}

/// Sends back what comes.
fn echo(source: &mut Source<Endpoint>, connection: ConnectionHandle, stream: StreamId) {
    source.with(|endpoint, now| {
        while let Ok(ReceiveResult::Data(data)) = endpoint.receive(now, connection, stream) {
            endpoint.send(now, connection, stream, data, SendOptions::default()).expect("taken");
        }
    });
}

/// T78, and the same for many messages of all sizes: what the client says comes back.
#[test]
fn t78_an_echo_over_loopback() {
    const SIZES: [usize; 6] = [0, 1, 1_000, 30_000, 100_000, 7];
    let server = listen("127.0.0.1:0", Config::public_server(key(1))).expect("a server");
    let (client, connection) = connect(&address(&server).expect("it")).expect("it begins");
    let mut room = Room::new(vec![server, client]);
    let (mut came_back, mut closed) = (0, 0);
    room.until(|at, source, event| {
        match (at, event) {
            (1, Event::Connected { connection, .. }) => source.with(|endpoint, now| {
                let options = StreamOptions::two_way(Order::Ordered);
                let stream = endpoint.open(now, connection, options).expect("a stream");
                for size in SIZES {
                    let options = SendOptions::default();
                    let message = vec![7; size];
                    endpoint.send(now, connection, stream, message, options).expect("taken");
                }
            }),
            (0, Event::Readable { connection, stream }) => echo(source, connection, stream),
            (1, Event::Readable { connection, stream }) => source.with(|endpoint, now| {
                while let Ok(ReceiveResult::Data(data)) = endpoint.receive(now, connection, stream)
                {
                    assert_eq!(data.len(), SIZES[came_back]);
                    came_back += 1;
                }
                if came_back == SIZES.len() {
                    endpoint.close(now, connection, LONG, Code::NONE, "").expect("open");
                }
            }),
            (_, Event::Closed { .. }) => closed += 1,
            (_, Event::Failed { error, .. }) => panic!("{error}"),
            _ => {}
        }
        closed == 2
    });
    assert_eq!(came_back, SIZES.len());
    let stats = room.sources[1].stats();
    assert!(stats.datagrams_sent > 100 && stats.datagrams_received > 100, "{stats:?}");
    assert_ne!(room.sources[1].machine().state(connection), Some(State::Ready));
}

/// Megabytes one way: more than any turn takes at once, and more than a socket holds.
#[test]
fn a_large_transfer_arrives_whole() {
    const LENGTH: usize = 8_000_000;
    let server = listen("127.0.0.1:0", Config::public_server(key(1))).expect("a server");
    let (client, _) = connect(&address(&server).expect("it")).expect("it begins");
    let mut room = Room::new(vec![server, client]);
    let sent: Vec<u8> = (0..LENGTH).map(|at| (at % 251) as u8).collect();
    let (mut stream, mut done, mut heard, mut finished) = (None, 0, Vec::new(), false);
    room.until(|at, source, event| {
        if let (1, Event::Connected { connection, .. }) = (at, &event) {
            let options = StreamOptions::one_way(Order::Bytes);
            let open = |e: &mut Endpoint, now| e.open(now, *connection, options);
            stream = Some((*connection, source.with(open).expect("a stream")));
        }
        match (at, event, stream) {
            (1, Event::Connected { .. } | Event::Writable { .. }, Some((connection, stream))) => {
                source.with(|endpoint, now| {
                    while done < LENGTH {
                        let chunk = sent[done..LENGTH.min(done + 64_000)].to_vec();
                        let len = chunk.len();
                        let options = SendOptions::default();
                        if endpoint.send(now, connection, stream, chunk, options).is_err() {
                            return;
                        }
                        done += len;
                    }
                    endpoint.finish(now, connection, stream).expect("open");
                });
            }
            (0, Event::Readable { connection, stream }, _) => source.with(|endpoint, now| {
                while !finished {
                    match endpoint.receive(now, connection, stream).expect("there") {
                        ReceiveResult::Data(data) => heard.extend_from_slice(&data),
                        ReceiveResult::Nothing => return,
                        end => finished = end == ReceiveResult::Finished,
                    }
                }
            }),
            _ => {}
        }
        finished
    });
    assert!(heard == sent);
    // Of each datagram that leaves nothing is told, only of a full socket that has room.
    let (polls, counts) = (room.polls, room.sources[1].turns());
    let sent = room.sources[1].stats();
    println!("{polls} polls, {counts:?}, {sent:?}");
}

/// N12: a server that holds another key is no server of ours.
#[test]
fn n12_a_wrong_key_fails_and_says_so() {
    let server = listen("127.0.0.1:0", Config::public_server(key(1))).expect("a server");
    let (to, options) = (server.local_addr().expect("one"), Options::default());
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut client = bind(any, Config::client(), &options).expect("a client");
    let wrong = ConnectOptions {
        deadline: Duration::from_millis(300),
        ..ConnectOptions::to(key(2).public_key())
    };
    client.with(|endpoint, now| endpoint.connect(now, to.into(), wrong)).expect("it begins");
    let mut room = Room::new(vec![server, client]);
    let mut error = None;
    room.until(|_, _, event| {
        if let Event::Failed { error: why, .. } = event {
            error = Some(why);
        }
        error.is_some()
    });
    assert!(matches!(error, Some(ConnectError::Identity)), "{error:?}");
}

/// What is no address is said so, and nothing is begun.
#[test]
fn errors_are_those_of_every_loop() {
    assert!(matches!(connect("nobody"), Err(Error::Address(_))));
    assert!(matches!(listen("somewhere", Config::client()), Err(Error::Address(_))));
    let taken = listen("127.0.0.1:0", Config::client()).expect("a source");
    let address = taken.local_addr().expect("one").to_string();
    assert!(matches!(listen(&address, Config::client()), Err(Error::Io(_))));
}

/// T18: an open connection at which nothing happens makes no turn and sets no timer but for what
/// the two ends agreed on; a source that was never used sets none at all.
#[test]
fn t18_an_idle_source_asks_for_nothing() {
    let mut config = Config::public_server(key(1));
    config.transport.idle_timeout = Duration::ZERO;
    let server = listen("127.0.0.1:0", config).expect("a server");
    let (client, _) = connect(&address(&server).expect("it")).expect("it begins");
    let mut room = Room::new(vec![server, client]);
    let mut connected = 0;
    room.until(|_, _, event| {
        connected += usize::from(matches!(event, Event::Connected { .. }));
        connected == 2
    });
    let mut fresh = listen("127.0.0.1:0", Config::client()).expect("a source");
    fresh.run().expect("a turn");
    assert_eq!((fresh.poll_timeout(), fresh.turns().timeouts), (None, 0));
}

/// Registered anew, or elsewhere, a source goes on where it was.
#[test]
fn a_source_can_move_to_another_poll() {
    let server = listen("127.0.0.1:0", Config::public_server(key(1))).expect("a server");
    let (client, _) = connect(&address(&server).expect("it")).expect("it begins");
    let mut room = Room::new(vec![server, client]);
    let connected =
        |_: usize, _: &mut Source<Endpoint>, event: Event| matches!(event, Event::Connected { .. });
    room.until(connected);
    let mut sources = std::mem::take(&mut room.sources);
    for source in &mut sources {
        room.poll.registry().deregister(source).expect("it was registered");
    }
    let mut room = Room::new(sources);
    room.until(connected);
}

/// N28: a source goes to any thread, and works in one at a time.
#[test]
fn n28_a_source_may_go_to_any_thread() {
    fn moves<T: Send + 'static>() {}
    moves::<Source<Endpoint>>();
}

/// A clock does not go back.
#[test]
fn a_clock_goes_on() {
    let clock = Clock::default();
    let times: [Instant; 3] = std::array::from_fn(|_| clock.now());
    assert!(times.is_sorted(), "{times:?}");
}
