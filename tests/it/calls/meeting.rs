//! A client and a server that meet somewhere, and what tests say to them.

use super::ground::{CLIENT, Ground, Looped, Memory, SERVER, Sim};
use std::net::SocketAddr;
use tripline::{Config, Endpoint, LinkHub};
use tripline_rpc::{
    Address, CallId, CallOptions, ClientOptions, ConnId, Event, Method, Node, NodeConfig,
    NodeEvent, Outcome, Payload, RequestId, Scheme,
};
use tripline_sansio::{Duration, Instant, Seed};
use tripline_sim::HubWorld;
use tripline_tests::identity;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// Every scheme that carries all of calls: what is lost is repeated, and what was before is known.
pub(crate) const SCHEMES: [Scheme; 4] = [Scheme::Trip, Scheme::TripTcp, Scheme::Tcp, Scheme::Tls];

/// A node of this configuration; the server's if `secret` is its name.
pub(crate) fn node(secret: Option<&str>, config: NodeConfig, seed: u64, now: Instant) -> Node {
    let trip = secret.map_or_else(Config::client, |name| Config::public_server(identity(name)));
    node_over(trip, config, seed, now)
}

/// A node over an endpoint of this configuration.
pub(crate) fn node_over(trip: Config, config: NodeConfig, seed: u64, now: Instant) -> Node {
    let seed = Seed::from_number(seed);
    let endpoint = Endpoint::new(trip, &seed.child("endpoint"), now);
    Node::new(LinkHub::new(endpoint, &seed.child("links")), config, &seed.child("node"))
}

/// A server's address.
pub(crate) fn place(scheme: Scheme, socket: SocketAddr) -> Address {
    let key = matches!(scheme, Scheme::Trip | Scheme::TripAuto | Scheme::TripTcp);
    let key = key.then(|| identity("server").public_key());
    let host = tripline_rpc::Host::Ip(socket.ip());
    Address { scheme, key, host, port: socket.port() }
}

/// Where a test runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Where {
    Simulator,
    Loopback,
    Memory,
}

/// A client and a server, and what lies between them.
pub(crate) struct Meeting {
    ground: Box<dyn Ground>,
    pub(crate) address: Address,
    /// The server's listener there.
    pub(crate) listener: u64,
    pub(crate) config: NodeConfig,
    /// Everything that each side was told and nobody has asked for.
    told: [Vec<NodeEvent>; 2],
    seed: u64,
}

impl Meeting {
    pub(crate) fn new(place: Where, scheme: Scheme) -> Self {
        Self::with_config(place, scheme, 7, NodeConfig::default())
    }

    pub(crate) fn with_config(at: Where, scheme: Scheme, seed: u64, config: NodeConfig) -> Self {
        let client = node(None, config.clone(), seed, Instant::ZERO);
        let server = node(Some("server"), config.clone(), seed + 1, Instant::ZERO);
        Self::of([client, server], at, scheme, seed, config)
    }

    /// Of these nodes, the client's and the server's.
    pub(crate) fn of(
        nodes: [Node; 2],
        at: Where,
        scheme: Scheme,
        seed: u64,
        config: NodeConfig,
    ) -> Self {
        let (ground, socket): (Box<dyn Ground>, _) = match at {
            Where::Simulator => (Box::new(Sim::new(seed, nodes)), ([10, 0, 0, 2], 4_000)),
            Where::Loopback => (Box::new(Looped::new(nodes)), ([127, 0, 0, 1], 0)),
            Where::Memory => (Box::new(Memory::new(nodes)), ([127, 0, 0, 1], 4_000)),
        };
        let address = place(scheme, SocketAddr::from(socket));
        let told = Default::default();
        let mut meeting = Self { ground, address, listener: 0, config, told, seed };
        meeting.listen();
        meeting
    }

    /// The server listens, and the address is where.
    fn listen(&mut self) {
        let address = self.address.clone();
        let listener = self.with(SERVER, |node, _| node.listen(&address));
        self.listener = listener.expect("an address");
        let local = self.wait(SERVER, |event| match event {
            NodeEvent::Listening { local, .. } => Some(*local),
            _ => None,
        });
        self.address.port = local.expect("the system knows").port();
    }

    /// The simulator.
    pub(crate) fn world(&mut self) -> &mut HubWorld<Node> {
        self.ground.sim().expect("a test for the simulator")
    }

    pub(crate) fn now(&self) -> Instant {
        self.ground.now()
    }

    pub(crate) fn step(&mut self, deadline: Instant) -> bool {
        self.ground.step(deadline)
    }

    /// Time passes; not over loopback, where it is real.
    pub(crate) fn pass(&mut self, time: Duration) {
        let deadline = self.now() + time;
        while self.step(deadline) {}
        self.ground.rest_until(deadline);
    }

    pub(crate) fn node(&self, side: usize) -> &Node {
        self.ground.node(side)
    }

    pub(crate) fn with<R>(&mut self, side: usize, act: impl FnOnce(&mut Node, Instant) -> R) -> R {
        let (mut act, mut result) = (Some(act), None);
        self.ground.with(side, &mut |node, now| {
            result = act.take().map(|act| act(node, now));
        });
        result.expect("it was called")
    }

    /// The server's process dies, and is started anew: it knows nothing.
    pub(crate) fn restart_server(&mut self) {
        self.seed += 1_000;
        let hub = node(Some("server"), self.config.clone(), self.seed, self.now());
        let hosts: Vec<_> = self.world().world().hosts().collect();
        self.world().restart(hosts[SERVER], hub);
        self.listen();
    }

    pub(crate) fn connect(&mut self, options: ClientOptions) -> ConnId {
        let address = self.address.clone();
        self.with(CLIENT, |node, now| node.connect(now, address, options))
    }

    /// Connected: both sides' names of the connection.
    pub(crate) fn connected(&mut self) -> (ConnId, ConnId) {
        let conn = self.connect(ClientOptions::default());
        let ready = |event: &NodeEvent| match event {
            NodeEvent::Peer { conn, event: Event::Ready { .. } } => Some(*conn),
            _ => None,
        };
        assert_eq!(self.wait(CLIENT, ready), conn);
        (conn, self.wait(SERVER, ready))
    }

    fn collect(&mut self) {
        for side in [CLIENT, SERVER] {
            let events = self.ground.take_events(side);
            self.told[side].extend(events);
        }
    }

    /// All that a side was told and nobody has asked for.
    pub(crate) fn events(&mut self, side: usize) -> Vec<NodeEvent> {
        self.collect();
        std::mem::take(&mut self.told[side])
    }

    /// Runs until a side is told what `pick` picks, for a minute at most, and takes that.
    pub(crate) fn wait<T>(&mut self, side: usize, pick: impl Fn(&NodeEvent) -> Option<T>) -> T {
        let deadline = self.now() + 60 * SECOND;
        loop {
            self.collect();
            let found = self.told[side].iter().position(|event| pick(event).is_some());
            if let Some(found) = found {
                return pick(&self.told[side].remove(found)).expect("picked");
            }
            assert!(self.step(deadline), "nothing came of it: {:?}", self.told);
        }
    }

    pub(crate) fn call<'a>(
        &mut self,
        side: usize,
        conn: ConnId,
        payload: impl Into<Payload<'a>>,
        options: CallOptions,
    ) -> CallId {
        self.with(side, |node, now| node.call(now, conn, "ask", payload, options)).unwrap()
    }

    pub(crate) fn request(&mut self, side: usize) -> (ConnId, RequestId, Method, Vec<u8>) {
        self.wait(side, |event| match event {
            NodeEvent::Peer { conn, event: Event::Request { request, method, payload, .. } } => {
                Some((*conn, *request, method.clone(), payload.to_vec()))
            }
            _ => None,
        })
    }

    pub(crate) fn outcome(&mut self, side: usize, of: CallId) -> Outcome {
        self.wait(side, |event| match event {
            NodeEvent::Peer { event: Event::Outcome { call, outcome }, .. } if *call == of => {
                Some(outcome.clone())
            }
            _ => None,
        })
    }

    pub(crate) fn reply<'a>(
        &mut self,
        side: usize,
        conn: ConnId,
        request: RequestId,
        payload: impl Into<Payload<'a>>,
    ) {
        self.with(side, |node, now| node.reply(now, conn, request, payload)).unwrap();
    }

    /// The way between them breaks, with all that is on its way: links break, and TRiP's
    /// connections are killed at the server, as if it had been started anew.
    pub(crate) fn break_pipe(&mut self, conn: ConnId) {
        self.with(CLIENT, |node, now| node.reset(now, conn)).unwrap();
    }
}
