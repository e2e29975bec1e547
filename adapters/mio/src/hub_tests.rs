//! The conformance suite of stream loops, passed by the turn that a [`HubSource`] makes; and hubs
//! in a real poll, over loopback.

use crate::udp::Udp;
use crate::*;
use mio::{Events, Poll, Token};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;
use tripline::{
    Code, Config, ConnectOptions, ConnectionHandle, Event, Order, ReceiveResult, SecretKey,
    SendOptions, StreamOptions,
};
use tripline_kit::{LinkProbe, Ready, StreamProbe, StreamScene, StreamSubject, Told};
use tripline_sansio::{LinkFailure, LinkKind};
use tripline_tcp::{Board, Door, EdgeNet, HubPump, Net, Socket as Which, Wire};
use tripline_tls::Tls;
use tripline_udp::Tells;

/// The scene's one link.
#[derive(Clone)]
struct Played(StreamScene);

impl Wire for Played {
    fn is_connected(&mut self) -> io::Result<bool> {
        Ok(true)
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.recv(into)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes)
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// There is none.
impl Door for Played {
    type Wire = Self;

    fn accept(&mut self) -> io::Result<(Self, SocketAddr)> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn local(&self) -> Option<SocketAddr> {
        None
    }
}

impl Net for Played {
    type Wire = Self;
    type Door = Self;

    fn connect(&mut self, _: SocketAddr) -> io::Result<Self> {
        Ok(self.clone())
    }

    fn listen(&mut self, _: SocketAddr) -> io::Result<Self> {
        Ok(self.clone())
    }
}

/// What a user does with a hub source, and what that does with mio: turn, events, poll with the
/// deadline, say what is ready.
struct Turning {
    pump: HubPump<LinkProbe, EdgeNet<Played>, Udp>,
    scene: StreamScene,
    /// Mio has told of the link since it is registered, as it does at once.
    told: bool,
}

impl Turning {
    fn tell(&self, readable: bool, writable: bool) {
        for (_, which, _) in self.pump.board().sockets() {
            if let Which::Wire(wire) = which {
                wire.tell(readable, writable);
            }
        }
    }
}

impl StreamSubject for Turning {
    fn start(machine: StreamProbe, scene: &StreamScene) -> Self {
        let board = Board::new(EdgeNet(Played(scene.clone())), Limits::default(), None);
        Self {
            pump: HubPump::new(LinkProbe::new(machine), board, Tells::Once),
            scene: scene.clone(),
            told: false,
        }
    }

    fn turn(&mut self, events: &mut Vec<Told>) {
        let now = self.scene.now();
        self.pump.edge_turn(now, &mut |_| Err(io::ErrorKind::Unsupported.into())).expect("a turn");
        events.extend(std::iter::from_fn(|| self.pump.next_event()));
        if !std::mem::replace(&mut self.told, true) {
            return self.tell(true, true);
        }
        let Ready { readable, writable, .. } = self.scene.wait_edge(self.pump.edge_deadline(now));
        self.tell(readable, writable);
    }
}

mod conforms {
    tripline_kit::stream_conformance!(super::Turning);
}

/// T64: a full link loses nothing, doubles nothing and is waited for.
#[test]
fn t64_a_full_link_costs_latency_only() {
    let played = tripline_kit::check_stream::<Turning>(tripline_kit::Rule::Room);
    played.unwrap_or_else(|broken| panic!("{broken}"));
}

/// A limit no healthy test comes near.
const LONG: Duration = Duration::from_secs(20);
const SIZES: [usize; 5] = [0, 1, 1_000, 100_000, 200_000];

fn key() -> SecretKey {
    SecretKey::from_bytes([1; 32])
}

fn any() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn tls() -> Arc<Tls> {
    let server = Tls::self_signed(&["localhost"]).expect("a certificate");
    Arc::new(Tls::client_of_anyone().and_server(server).timeout(Duration::from_millis(500)))
}

fn server(kinds: &[LinkKind], udp: bool) -> (HubSource<LinkHub>, SocketAddr) {
    let links = kinds.iter().map(|kind| LinkRoute { kind: *kind, port: None }).collect();
    let secure = Some(tls() as _);
    let how = ListenOptions { links, secure, no_udp: !udp, ..ListenOptions::default() };
    listen_over(any(), Config::public_server(key()), &how).expect("a server")
}

fn client(at: SocketAddr, over: Over) -> (HubSource<LinkHub>, ConnectionHandle) {
    let how = HubOptions { secure: Some(tls()), ..HubOptions::default() };
    let address = format!("{}@{at}", key().public_key());
    connect_over(&address, over, &how).expect("it begins")
}

/// Some sources in one poll, each with its range of tokens.
struct Room {
    poll: Poll,
    events: Events,
    sources: Vec<HubSource<LinkHub>>,
    began: std::time::Instant,
    polls: usize,
}

impl Room {
    /// Each source has so many tokens.
    fn new(tokens: usize, sources: Vec<HubSource<LinkHub>>) -> Self {
        let (poll, events) = (Poll::new().expect("a poll"), Events::with_capacity(16));
        let began = std::time::Instant::now();
        let mut room = Self { poll, events, sources, began, polls: 0 };
        for (at, source) in room.sources.iter_mut().enumerate() {
            let range = at * tokens..(at + 1) * tokens;
            source.register(room.poll.registry(), range).expect("registered");
        }
        room
    }

    fn wait(&mut self, at_most: Duration) {
        let timeouts = self.sources.iter().filter_map(HubSource::poll_timeout);
        let timeout = timeouts.chain([at_most]).min();
        self.polls += 1;
        self.poll.poll(&mut self.events, timeout).expect("polled");
        for event in &self.events {
            for source in &mut self.sources {
                if source.owns(event.token()) {
                    source.ready(event);
                }
            }
        }
    }

    fn run(&mut self) {
        self.sources.iter_mut().for_each(|source| source.run().expect("a turn"));
    }

    /// Runs all of them and waits, until `on_event` says that it is over.
    fn until(
        &mut self,
        mut on_event: impl FnMut(usize, &mut HubSource<LinkHub>, HubEvent) -> bool,
    ) {
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
            self.wait(LONG);
        }
    }
}

/// Messages of all sizes there and back, and an orderly end; by what it went.
fn talk(
    tokens: usize,
    server: HubSource<LinkHub>,
    client: HubSource<LinkHub>,
) -> Option<[Carrier; 2]> {
    let mut room = Room::new(tokens, vec![server, client]);
    let (mut came_back, mut closed, mut paths) = (0, 0, [None, None]);
    room.until(|at, source, event| {
        let HubEvent::Connection(event) = event else { return false };
        if let Event::Connected { connection, .. } = &event {
            paths[at] = source.hub().carrier(*connection);
        }
        source.with(|hub, now| {
            let endpoint = hub.endpoint_mut();
            match (at, event) {
                (1, Event::Connected { connection, .. }) => {
                    let options = StreamOptions::two_way(Order::Ordered);
                    let stream = endpoint.open(now, connection, options).expect("a stream");
                    for size in SIZES {
                        let (message, options) = (vec![7; size], SendOptions::default());
                        endpoint.send(now, connection, stream, message, options).expect("taken");
                    }
                }
                (at, Event::Readable { connection, stream }) => {
                    while let Ok(ReceiveResult::Data(data)) =
                        endpoint.receive(now, connection, stream)
                    {
                        if at == 0 {
                            let options = SendOptions::default();
                            endpoint.send(now, connection, stream, data, options).expect("taken");
                        } else {
                            assert_eq!(data.len(), SIZES[came_back]);
                            came_back += 1;
                        }
                    }
                    if came_back == SIZES.len() {
                        let _ = endpoint.close(now, connection, LONG, Code::NONE, "");
                    }
                }
                (_, Event::Closed { .. }) => closed += 1,
                (_, Event::Failed { error, .. }) => panic!("{error}"),
                _ => {}
            }
        });
        closed == 2
    });
    assert_eq!(came_back, SIZES.len());
    let [Some(theirs), Some(ours)] = paths else { return None };
    Some([theirs, ours])
}

/// N49: the same connection over UDP, TCP and TLS, whether each socket has a token of its own or
/// all share one.
#[test]
fn n49_the_same_connection_over_tcp_and_tls() {
    for (kind, over) in
        [(LinkKind::Udp, Over::udp()), (LinkKind::Tcp, Over::tcp()), (LinkKind::Tls, Over::tls())]
    {
        for tokens in [1, 100] {
            let links: &[LinkKind] = if kind == LinkKind::Udp { &[] } else { &[kind] };
            let (server, at) = server(links, kind == LinkKind::Udp);
            let (client, _) = client(at, over.clone());
            let [theirs, ours] = talk(tokens, server, client).expect("both were connected");
            assert_eq!((ours.kind, ours.remote), (kind, at));
            assert_eq!((theirs.kind, theirs.remote.ip()), (kind, at.ip()));
        }
    }
}

/// N49: a server that only speaks TCP is found within 1.5 s although datagrams vanish.
#[test]
fn n49_automatic_choice_finds_tcp_behind_a_black_hole() {
    let (server, at) = server(&[LinkKind::Tcp], false);
    // Takes datagrams and says nothing: without it the system would refuse them.
    let _hole = UdpSocket::bind(at).expect("the port is free for UDP");
    let began = std::time::Instant::now();
    let (client, _) = client(at, Over::auto());
    let [theirs, ours] = talk(10, server, client).expect("both were connected");
    assert!(began.elapsed() < Duration::from_millis(1_500), "{:?}", began.elapsed());
    assert_eq!((theirs.kind, ours.kind), (LinkKind::Tcp, LinkKind::Tcp));
}

/// N49: where both get through, datagrams have the head start and win.
#[test]
fn n49_automatic_choice_prefers_datagrams() {
    let (server, at) = server(&[LinkKind::Tcp], true);
    let (client, _) = client(at, Over::auto());
    let [theirs, ours] = talk(10, server, client).expect("both were connected");
    assert_eq!((theirs.kind, ours.kind), (LinkKind::Udp, LinkKind::Udp));
}

/// Nobody there: said at once.
#[test]
fn a_link_that_leads_nowhere_is_a_clear_error() {
    let gone = std::net::TcpListener::bind(any()).and_then(|one| one.local_addr());
    let (client, connection) = client(gone.expect("a port"), Over::tcp());
    let mut room = Room::new(3, vec![client]);
    room.until(|_, _, event| match event {
        HubEvent::LinkFailed { connection: of, error, all, .. } => {
            assert_eq!((of, error.failure, all), (connection, LinkFailure::Refused, true));
            true
        }
        _ => false,
    });
}

/// A source moves to other tokens and to another poll and back while its links live; a range
/// without a token, and a second registration, are refused.
#[test]
fn links_move_with_their_source() {
    let (server, at) = server(&[LinkKind::Tcp], false);
    let (client, connection) = client(at, Over::tcp());
    let mut room = Room::new(10, vec![server, client]);
    room.until(|at, _, event| {
        at == 1 && matches!(event, HubEvent::Connection(Event::Connected { .. }))
    });
    for source in &mut room.sources {
        let registry = room.poll.registry();
        let twice = source.register(registry, 0..1).expect_err("it is registered");
        assert_eq!(twice.kind(), io::ErrorKind::AlreadyExists);
        source.deregister().expect("taken back");
        source.deregister().expect("nothing to do");
        assert!(!source.owns(Token(0)));
        let none = source.register(registry, 5..5).expect_err("no token");
        assert_eq!(none.kind(), io::ErrorKind::InvalidInput);
    }
    room.poll = Poll::new().expect("another poll");
    for (at, source) in room.sources.iter_mut().enumerate() {
        let range = 100 * at + 100..100 * at + 110;
        source.register(room.poll.registry(), range).expect("registered");
        source.reregister(room.poll.registry(), 50 * at + 50..50 * at + 100).expect("anew");
    }
    room.sources[1].with(|hub, now| {
        hub.endpoint_mut().close(now, connection, LONG, Code::NONE, "").expect("alive");
    });
    let mut closed = 0;
    room.until(|_, _, event| {
        closed += usize::from(matches!(event, HubEvent::Connection(Event::Closed { .. })));
        closed == 2
    });
}

/// T18: an idle connection over TCP lets the poll sleep.
#[test]
fn t18_an_idle_tcp_connection_sleeps() {
    let (server, at) = server(&[LinkKind::Tcp], false);
    let (client, _) = client(at, Over::tcp());
    let mut room = Room::new(10, vec![server, client]);
    let mut connected = 0;
    room.until(|_, _, event| {
        connected += usize::from(matches!(event, HubEvent::Connection(Event::Connected { .. })));
        connected == 2
    });
    let mut rest = |time: Duration| {
        let end = std::time::Instant::now() + time;
        let before = room.polls;
        loop {
            room.run();
            let left = end.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() {
                return room.polls - before;
            }
            room.wait(left);
        }
    };
    rest(Duration::from_millis(300));
    let polls = rest(Duration::from_millis(800));
    assert!(polls <= 12, "{polls} polls");
}

/// How to connect to another key than the server's: refused over a link as well (N12).
#[test]
fn n12_a_wrong_key_is_refused_over_tcp() {
    let (server, at) = server(&[LinkKind::Tcp], false);
    let mut client = link_client(Config::client(), &HubOptions::default()).expect("a client");
    let mut wrong = ConnectOptions::to(SecretKey::from_bytes([2; 32]).public_key());
    wrong.deadline = Duration::from_secs(2);
    let begun = client.with(|hub, now| hub.connect(now, at.into(), wrong, Over::tcp()));
    begun.expect("it begins");
    let mut room = Room::new(10, vec![server, client]);
    room.until(|_, _, event| matches!(event, HubEvent::Connection(Event::Failed { .. })));
}
