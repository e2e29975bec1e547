//! Two endpoints on the virtual link: what nearly every test of the transport begins with.

use crate::cables::Cables;
use crate::carried::Carried;
use crate::carrier::{Carrier, note};
use crate::sockets::Sockets;
use std::net::SocketAddr;
use tripline::{
    Config, ConnectOptions, ConnectionHandle, Endpoint, Event, LinkId, ReceiveResult, SecretKey,
    SendOptions, State, StreamId, StreamOptions, Target,
};
use tripline_sansio::{Duration, Instant, Seed};
use tripline_sim::{HostId, Inspector, LinkConfig, PipeId, RuleId, Seal, Verdict, World};

/// The identity called `name`; the same in every run.
pub fn identity(name: &str) -> SecretKey {
    SecretKey::generate(&mut Seed::from_number(0).random(name))
}

/// One side of a [`Pair`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The side that connects.
    Client,
    /// The side that is connected to.
    Server,
}

impl Side {
    /// The other side.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// A client, a server, and what lies between them: the network, or what [`Carrier`] says.
///
/// Everything happens in virtual time and follows from the seed, which is printed when a test
/// panics. The loops of both hosts assert the run-loop contract on every step.
pub struct Pair {
    /// The world that both live in.
    pub world: World<Carried>,
    /// The client's host.
    pub client: HostId,
    /// The server's host.
    pub server: HostId,
    events: [Vec<Event>; 2],
    /// The links between them, oldest first.
    pub(crate) pipes: Vec<PipeId>,
    /// What is between them when nobody is silent.
    link: LinkConfig,
    silent: [bool; 2],
    /// By what CHALLENGEs are held.
    held: Option<RuleId>,
}

impl Pair {
    /// An anonymous client and a public server, 10 ms apart on a perfect link.
    pub fn new(seed: u64) -> Self {
        Self::with(seed, Config::client(), Config::public_server(identity("server")))
    }

    /// The same, with an inspector that holds both to PROTOCOL.md as it is seen on the wire and
    /// under the seal: [`Inspector::violations`] says in the end who broke what.
    pub fn inspected(seed: u64) -> (Self, Inspector) {
        let inspector = Inspector::new(Seal::Real);
        let [client, server] = [Config::client(), Config::public_server(identity("server"))]
            .map(|config| inspector.on(config));
        let mut pair = Self::with(seed, client, server);
        pair.world.add_tap(inspector.tap());
        (pair, inspector)
    }

    /// The same with these configurations.
    pub fn with(seed: u64, client: Config, server: Config) -> Self {
        note(|used| used.pairs += 1);
        let mut world = World::new(seed);
        let link = LinkConfig::perfect().delay(Duration::from_millis(10));
        world.set_default_pipe(Carrier::pipes(&link));
        let cables = Carrier::current().is_real().then(Cables::default);
        let mut carried = [(client, Side::Client), (server, Side::Server)].map(|(config, side)| {
            let label = if side == Side::Client { "client" } else { "server" };
            let endpoint = Endpoint::new(config, &world.seed_for(label), Instant::ZERO);
            Carried::new(endpoint, side, cables.as_ref().map(Sockets::new))
        });
        let doors = carried.each_mut().map(Carried::listen);
        carried[0].set_peer(doors[1]);
        carried[1].set_peer(doors[0]);
        let [client, server] = carried;
        let client = world.add_host(SocketAddr::from(([10, 0, 0, 1], 1111)), client);
        let server = world.add_host(SocketAddr::from(([10, 0, 0, 2], 2222)), server);
        let events = [Vec::new(), Vec::new()];
        let silent = [false; 2];
        Self { world, client, server, events, pipes: Vec::new(), link, silent, held: None }
    }

    /// Puts this link between the two, both ways.
    #[must_use]
    pub fn link(mut self, link: LinkConfig) -> Self {
        self.world.set_links(self.client, self.server, link);
        self.link = link;
        if link == LinkConfig::down() {
            self.silence_both();
        } else {
            self.world.set_default_pipe(Carrier::pipes(&link));
        }
        self
    }

    /// From now on nothing that a side sends arrives: datagrams are lost, and what was written to a
    /// link waits in it.
    pub fn silence(&mut self, from: Side) {
        self.silent[from as usize] = true;
        let (one, other) = (self.host(from), self.host(from.other()));
        self.world.set_link(one, other, LinkConfig::down());
        for pipe in self.pipes.clone() {
            self.world.stall(pipe, one, Duration::MAX);
        }
    }

    /// Ends a [`Self::silence`].
    pub fn unsilence(&mut self, from: Side) {
        self.silent[from as usize] = false;
        let (one, other) = (self.host(from), self.host(from.other()));
        self.world.set_link(one, other, self.link);
        for pipe in self.pipes.clone() {
            self.world.stall(pipe, one, Duration::ZERO);
        }
    }

    /// The same of both sides: the way between them is dead.
    pub fn silence_both(&mut self) {
        self.silence(Side::Client);
        self.silence(Side::Server);
    }

    /// Ends [`Self::silence_both`].
    pub fn unsilence_both(&mut self) {
        self.unsilence(Side::Client);
        self.unsilence(Side::Server);
    }

    /// From now on no CHALLENGE of a side arrives: as a datagram it is lost; over links it waits in
    /// the newest, and what comes behind it.
    pub fn hold_challenges(&mut self, from: Side) {
        let host = self.host(from);
        match self.pipes.last() {
            Some(pipe) => self.world.stall(*pipe, host, Duration::MAX),
            None => {
                self.held = Some(self.world.add_rule(move |packet| {
                    let held = packet.from == Some(host) && packet.bytes[0] == 0x02;
                    if held { Verdict::Drop } else { Verdict::Pass }
                }));
            }
        }
    }

    /// Ends [`Self::hold_challenges`].
    pub fn release_challenges(&mut self, from: Side) {
        let host = self.host(from);
        if let Some(pipe) = self.pipes.last() {
            self.world.stall(*pipe, host, Duration::ZERO);
        }
        if let Some(rule) = self.held.take() {
            self.world.remove_rule(rule);
        }
    }

    /// Cuts a side off for good: nothing arrives any more from it or at it. The other may go on
    /// writing to a link between them: it is read, and thrown away.
    pub fn cut_off(&mut self, side: Side) {
        let (one, other) = (self.host(side), self.host(side.other()));
        self.world.set_links(one, other, LinkConfig::down());
        self.world.with(one, |carried, _| carried.deafen());
        self.silence(side);
    }

    /// The host of a side.
    pub fn host(&self, side: Side) -> HostId {
        match side {
            Side::Client => self.client,
            Side::Server => self.server,
        }
    }

    /// Begins a connection to the server's key.
    pub fn connect(&mut self) -> ConnectionHandle {
        let key = self.world.machine(self.server).public_key().expect("the server has a key");
        self.connect_with(ConnectOptions::to(key))
    }

    /// Begins a connection with these options.
    pub fn connect_with(&mut self, options: ConnectOptions) -> ConnectionHandle {
        let target = self.target();
        self.world
            .with(self.client, |endpoint, now| endpoint.connect(now, target, options))
            .expect("the attempt begins")
    }

    /// What the client connects to: the server's address, or a new link to it.
    pub fn target(&mut self) -> Target {
        self.target_of(Side::Client)
    }

    /// What a side connects to: the other's address, or a new link to it.
    pub fn target_of(&mut self, side: Side) -> Target {
        self.address_for(side).into()
    }

    /// The address that a side reaches the other at: its own, or that of a new link to it.
    pub fn address_for(&mut self, side: Side) -> SocketAddr {
        let (one, other) = (self.host(side), self.host(side.other()));
        if !Carrier::current().is_link() {
            return self.world.address(other);
        }
        let pipe = self.world.open_pipe([one, other]);
        self.pipes.push(pipe);
        // Who is silent to the other side is so inside TLS: that has come about before.
        if Carrier::current().is_secured() && self.silent != [false; 2] {
            let both = [self.client, self.server];
            self.until(|pair| {
                both.iter().all(|host| pair.world.machine(*host).is_secured(pipe.number()))
            });
        }
        for side in [Side::Client, Side::Server] {
            if self.silent[side as usize] {
                let host = self.host(side);
                self.world.stall(pipe, host, Duration::MAX);
            }
        }
        LinkId::new(pipe.number()).address()
    }

    /// A finished handshake: the client's and the server's handle.
    pub fn connected(&mut self) -> (ConnectionHandle, ConnectionHandle) {
        let client = self.connect();
        let server = self.wait(Side::Server, |event| match event {
            Event::Connected { connection, .. } => Some(*connection),
            _ => None,
        });
        self.wait(Side::Client, |event| match event {
            Event::Connected { connection, .. } if *connection == client => Some(()),
            _ => None,
        });
        (client, server)
    }

    /// Calls the endpoint of a side.
    pub fn call<R>(&mut self, side: Side, act: impl FnOnce(&mut Endpoint, Instant) -> R) -> R {
        let host = self.host(side);
        self.world.with(host, |carried, now| act(carried, now))
    }

    /// Opens a stream on a side.
    pub fn open(
        &mut self,
        side: Side,
        connection: ConnectionHandle,
        options: StreamOptions,
    ) -> StreamId {
        self.call(side, |endpoint, now| endpoint.open(now, connection, options))
            .expect("the stream opens")
    }

    /// Sends a reliable message on a side.
    pub fn send(
        &mut self,
        side: Side,
        connection: ConnectionHandle,
        stream: StreamId,
        data: &[u8],
    ) {
        let data = data.to_vec();
        self.call(side, |endpoint, now| {
            endpoint.send(now, connection, stream, data, SendOptions::default())
        })
        .expect("the message is taken");
    }

    /// Everything that a stream has to give now.
    pub fn drain(
        &mut self,
        side: Side,
        connection: ConnectionHandle,
        stream: StreamId,
    ) -> Vec<ReceiveResult> {
        let mut all = Vec::new();
        loop {
            let one = self.call(side, |endpoint, now| endpoint.receive(now, connection, stream));
            match one.expect("the stream is there") {
                ReceiveResult::Nothing => return all,
                data @ ReceiveResult::Data(_) => all.push(data),
                end => {
                    all.push(end);
                    return all;
                }
            }
        }
    }

    /// The messages that a stream has to give now.
    pub fn messages(
        &mut self,
        side: Side,
        connection: ConnectionHandle,
        stream: StreamId,
    ) -> Vec<Vec<u8>> {
        self.drain(side, connection, stream)
            .into_iter()
            .filter_map(|one| match one {
                ReceiveResult::Data(bytes) => Some(bytes.to_vec()),
                _ => None,
            })
            .collect()
    }

    /// Runs until an event of a side is what `pick` looks for, a virtual minute at most. Events
    /// that came before it stay for [`Self::events`].
    pub fn wait<T>(&mut self, side: Side, mut pick: impl FnMut(&Event) -> Option<T>) -> T {
        let host = self.host(side);
        let limit = self.world.now() + Duration::from_secs(600);
        loop {
            while let Some((_, event)) = self.world.next_event(host) {
                let found = pick(&event);
                self.events[side as usize].push(event);
                if let Some(found) = found {
                    return found;
                }
            }
            assert!(
                self.world.now() < limit && self.world.step().is_some(),
                "the event never came; {side:?} saw {:?}",
                self.events[side as usize]
            );
        }
    }

    /// Runs until this holds, a virtual minute at most.
    pub fn until(&mut self, mut holds: impl FnMut(&Self) -> bool) {
        let limit = self.world.now() + Duration::from_secs(60);
        while !holds(self) {
            assert!(self.world.now() < limit && self.world.step().is_some(), "it never came to it");
        }
    }

    /// All events of a side so far that were not asked for yet.
    pub fn events(&mut self, side: Side) -> Vec<Event> {
        let host = self.host(side);
        let new = self.world.take_events(host).into_iter().map(|(_, event)| event);
        let mut all = std::mem::take(&mut self.events[side as usize]);
        all.extend(new);
        all
    }

    /// Runs for this long.
    pub fn run(&mut self, duration: Duration) {
        self.world.run_for(duration);
    }

    /// Prints what ended connections so far, for a test that is about to fail.
    pub fn explain(&mut self) -> String {
        let end = |event: &Event| {
            matches!(event, Event::Lost { .. } | Event::Closed { .. } | Event::Failed { .. })
        };
        let mut all = Vec::new();
        for side in [Side::Client, Side::Server] {
            all.extend(
                self.events(side)
                    .into_iter()
                    .filter(end)
                    .map(|event| format!("{side:?}: {event:?}")),
            );
        }
        all.join("; ")
    }

    /// Where a connection of a side stands.
    pub fn state(&self, side: Side, connection: ConnectionHandle) -> Option<State> {
        self.world.machine(self.host(side)).state(connection)
    }
}
