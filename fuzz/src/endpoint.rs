//! A client and a server, and somebody on their network.
//!
//! The attacker sees every datagram and can inject, repeat, change, cut and hold up; it has no
//! keys. It may cost datagrams and time. It may not make either side panic, break the run loop,
//! accuse the other, or lose a connection; and once it is gone, everything works.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use tripline::{
    Config, ConnectOptions, ConnectionHandle, Endpoint, Event, Order, ReceiveResult, SecretKey,
    SendOptions, State, StreamOptions, TransportConfig,
};
use tripline_sansio::{Duration, Ecn, Instant, Seed};
use tripline_sim::{HostId, LinkConfig, World};

/// The most steps of one input; what follows is ignored.
const STEPS_MAX: usize = 300;
/// For how long nothing passes, all times together: who has never been heard is given up after 15 s
/// (PROTOCOL.md, R-HAND-6), and rightly.
const HELD_MAX: Duration = Duration::from_secs(10);
/// How many datagrams the attacker remembers, the newest.
const MEMORY: usize = 32;

/// What passed on the wire.
type Memory = Rc<RefCell<VecDeque<Vec<u8>>>>;

/// The input, byte by byte; past its end come zeros.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn take(&mut self, len: usize) -> Vec<u8> {
        let (head, rest) = self.0.split_at(self.0.len().min(len));
        self.0 = rest;
        head.to_vec()
    }
}

struct Stage {
    world: World<Endpoint>,
    /// Client and server.
    hosts: [HostId; 2],
    client: ConnectionHandle,
    memory: Memory,
    /// How long it may still hold everything up.
    patience: Duration,
}

/// Plays an input. Its first byte is the setting, then steps follow.
///
/// # Panics
/// If an endpoint panics, breaks a rule of the run loop, or lets the attacker have its way.
pub fn endpoint(data: &[u8]) {
    let mut input = Input(data);
    let mut stage = Stage::new(input.byte());
    for _ in 0..STEPS_MAX {
        if input.0.is_empty() {
            break;
        }
        stage.step(&mut input);
    }
    stage.end();
}

impl Stage {
    fn new(setting: u8) -> Self {
        let mut world = World::new(u64::from(setting >> 2));
        let key = SecretKey::generate(&mut Seed::from_number(0).random("server"));
        let mut options = ConnectOptions::to(key.public_key());
        options.deadline = Duration::from_secs(3_600);
        // XX asks for the key; else it is known.
        options.server_key = options.server_key.filter(|_| setting & 1 == 0);
        let transport =
            TransportConfig { idle_timeout: Duration::ZERO, ..TransportConfig::default() };
        let mut config = Config { transport, ..Config::client() };
        if setting & 2 != 0 {
            config.identity = Some(SecretKey::generate(&mut Seed::from_number(0).random("client")));
        }
        let server = Config { transport: config.transport.clone(), ..Config::public_server(key) };
        let mut add = |config: Config, label: &str, last: u8| {
            let machine = Endpoint::new(config, &world.seed_for(label), Instant::ZERO);
            world.add_host(SocketAddr::from(([10, 0, 0, last], 7)), machine)
        };
        let hosts = [add(config, "client", 1), add(server, "server", 2)];
        let memory = Memory::default();
        let remembered = memory.clone();
        world.add_tap(move |packet| {
            // What is dropped was remembered when it was sent.
            if matches!(packet.stage, tripline_sim::Stage::Dropped(_)) {
                return;
            }
            let mut memory = remembered.borrow_mut();
            memory.push_back(packet.bytes.to_vec());
            if memory.len() > MEMORY {
                memory.pop_front();
            }
        });
        let target = world.address(hosts[1]).into();
        let client = world
            .with(hosts[0], |endpoint, now| endpoint.connect(now, target, options))
            .expect("the attempt begins");
        Self { world, hosts, client, memory, patience: HELD_MAX }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let kind = input.byte();
        let to = usize::from(kind >> 7);
        let foreign = kind >> 6 & 1 == 1;
        match kind & 15 {
            0..=2 => {
                let bytes = self.raw(input, kind);
                self.inject(to, foreign, &bytes);
            }
            3..=8 => {
                let mut bytes = self.remembered(input);
                self.spoil(input, kind & 15, &mut bytes);
                self.inject(to, foreign, &bytes);
            }
            9 => self.hold_up(input),
            10..=12 => self.world.run_for(Duration::from_millis(u64::from(input.byte()))),
            13 => self.send(),
            _ => self.world.run_for(Duration::from_micros(u64::from(input.byte()) * 20)),
        }
        self.check();
    }

    /// Bytes of the input's own, perhaps filled up to the length of an OPEN.
    fn raw(&mut self, input: &mut Input<'_>, kind: u8) -> Vec<u8> {
        let len = usize::from(input.byte());
        let mut bytes = input.take(len);
        if kind & 16 != 0 {
            bytes.resize(1_200, 0);
        }
        bytes
    }

    /// A datagram that passed.
    fn remembered(&mut self, input: &mut Input<'_>) -> Vec<u8> {
        let memory = self.memory.borrow();
        let back = usize::from(input.byte()) % memory.len().max(1);
        memory.iter().rev().nth(back).cloned().unwrap_or_default()
    }

    /// Changes a datagram, or leaves it as it is.
    fn spoil(&mut self, input: &mut Input<'_>, how: u8, bytes: &mut Vec<u8>) {
        let place = usize::from(input.byte()) << 3 | usize::from(input.byte() & 7);
        match how {
            3 | 4 => {
                let len = bytes.len().max(1);
                if let Some(byte) = bytes.get_mut(place % len) {
                    *byte ^= input.byte();
                }
            }
            5 => bytes.truncate(place),
            6 => bytes.extend(input.take(place % 64)),
            7 => {
                // Another connection ID, the rest as it was.
                let id = input.take(8);
                if let Some(field) = bytes.get_mut(1..1 + id.len()) {
                    field.copy_from_slice(&id);
                }
            }
            _ => {}
        }
    }

    /// Delivers a datagram, with the peer's address or a foreign one as its source.
    ///
    /// DATA and CONFIRM come from the peer's only: copied from elsewhere they are moves
    /// (PROTOCOL.md §5.2), which have tests of their own and would change what this body expects.
    fn inject(&mut self, to: usize, foreign: bool, bytes: &[u8]) {
        let decides = bytes.first().is_some_and(|kind| *kind >= 0x80 || *kind == 0x04);
        let source = match foreign && !decides {
            true => SocketAddr::from(([10, 6, 6, 6], 666)),
            false => self.world.address(self.hosts[1 - to]),
        };
        self.world.inject(Duration::from_micros(10), source, self.hosts[to], Ecn::NotEct, bytes);
        self.world.run_for(Duration::from_micros(20));
    }

    /// Nothing passes for a while.
    fn hold_up(&mut self, input: &mut Input<'_>) {
        let [client, server] = self.hosts;
        self.world.set_links(client, server, LinkConfig::down());
        let time = Duration::from_millis(u64::from(input.byte()) * 4).min(self.patience);
        self.patience -= time;
        self.world.run_for(time);
        self.heal();
    }

    fn heal(&mut self) {
        let link = LinkConfig::perfect().delay(Duration::from_millis(10));
        self.world.set_links(self.hosts[0], self.hosts[1], link);
    }

    fn send(&mut self) {
        let client = self.client;
        self.world.with(self.hosts[0], |endpoint, now| {
            let stream = endpoint.open(now, client, StreamOptions::one_way(Order::Unordered));
            if let Ok(stream) = stream {
                let sent = endpoint.send(now, client, stream, vec![7; 300], SendOptions::default());
                sent.expect("there is room");
                endpoint.finish(now, client, stream).expect("it is ours");
            }
        });
    }

    /// Nobody was fooled, and the users do what users do.
    fn check(&mut self) {
        for side in [0, 1] {
            for (at, event) in self.world.take_events(self.hosts[side]) {
                match event {
                    Event::Failed { .. }
                    | Event::Closed { .. }
                    | Event::Lost { .. }
                    | Event::Drained { .. } => {
                        panic!("side {side} at {at:?}: {event:?}")
                    }
                    Event::ServerKey { connection, .. } => self
                        .world
                        .with(self.hosts[side], |endpoint, now| endpoint.trust(now, connection))
                        .expect("it waits"),
                    Event::Readable { connection, stream } => {
                        self.world.with(self.hosts[side], |endpoint, now| {
                            while let Ok(ReceiveResult::Data(data)) =
                                endpoint.receive(now, connection, stream)
                            {
                                assert_eq!(data, [7; 300][..], "nothing is forged");
                            }
                        });
                    }
                    _ => {}
                }
            }
        }
    }

    /// The attacker is gone: the connection comes about, and a message gets through.
    fn end(mut self) {
        self.heal();
        for _ in 0..70 {
            self.world.run_for(Duration::from_secs(1));
            self.check();
        }
        let client = self.world.machine(self.hosts[0]);
        assert_eq!(client.state(self.client), Some(State::Ready), "never connected");
        let before = client.connection_stats(self.client).map(|stats| stats.messages_sent);
        self.send();
        self.world.run_for(Duration::from_secs(10));
        self.check();
        let server = self.world.machine(self.hosts[1]);
        let stats = self.world.machine(self.hosts[0]).connection_stats(self.client);
        assert!(stats.map(|stats| stats.messages_sent) > before && server.connections() > 0);
        self.world
            .run_until_quiet(Duration::from_secs(4), Duration::from_secs(60))
            .unwrap_or_else(|busy| panic!("it never gets quiet: {busy}"));
    }
}
