//! Two endpoints with links between them, in one world: the links are its pipes, of the same
//! numbers. All follows from the seed, which is printed when a test panics.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use tripline::{
    Config, ConnectOptions, ConnectionHandle, Endpoint, Event, LinkEnd, LinkEndpoint, LinkId,
    ReceiveResult, SendOptions, StreamId, StreamOptions,
};
use tripline_sim::{
    Cut, Duration, HostId, Instant, PipeId, Random, Stage, StreamConfig, StreamCounters, World,
};
use tripline_tests::identity;

pub(super) const CLIENT: usize = 0;
pub(super) const SERVER: usize = 1;

/// Links of 10 ms and 64 KiB that cut anywhere, up to 3,000 bytes.
pub(super) fn ordinary() -> StreamConfig {
    StreamConfig::perfect().delay(Duration::from_millis(10)).cut(Cut::UpTo(3_000))
}

/// The first byte and the length of each packet that each side wrote.
type Packets = [Vec<(u8, usize)>; 2];

/// A client and a server that have links.
pub(super) struct LinkPair {
    pub(super) world: World<LinkEndpoint>,
    pub(super) hosts: [HostId; 2],
    /// What both sides were told so far.
    pub(super) events: [Vec<Event>; 2],
    packets: Rc<RefCell<Packets>>,
    /// The links, by number.
    pipes: Vec<PipeId>,
    random: Random,
}

impl LinkPair {
    pub(super) fn new(seed: u64) -> Self {
        Self::with(seed, Config::client(), Config::public_server(identity("server")))
    }

    pub(super) fn with(seed: u64, client: Config, server: Config) -> Self {
        let mut world = World::new(seed);
        world.set_default_pipe(ordinary());
        let hosts =
            [(1, client, "client"), (2, server, "server")].map(|(number, config, label)| {
                let endpoint = Endpoint::new(config, &world.seed_for(label), Instant::ZERO);
                let address = SocketAddr::from(([10, 0, 0, number], 1_000));
                world.add_host(address, LinkEndpoint::new(endpoint))
            });
        let packets = Rc::new(RefCell::new(Packets::default()));
        let noted = Rc::clone(&packets);
        world.add_pipe_tap(move |view| {
            let side = hosts.iter().position(|host| *host == view.from);
            if let (Stage::Offered, Some(bytes), Some(side)) = (view.stage, view.bytes, side) {
                note_packets(bytes, &mut noted.borrow_mut()[side]);
            }
        });
        let random = world.random("test");
        Self { world, hosts, events: Default::default(), packets, pipes: Vec::new(), random }
    }

    /// What links are like from now on.
    pub(super) fn links_are(&mut self, config: StreamConfig) {
        self.world.set_default_pipe(config);
    }

    pub(super) fn now(&self) -> Instant {
        self.world.now()
    }

    /// A number below `bound`, from the seed.
    pub(super) fn pick(&mut self, bound: u64) -> u64 {
        self.random.below(bound)
    }

    /// The machine of a side, to look at.
    pub(super) fn machine(&self, side: usize) -> &LinkEndpoint {
        self.world.machine(self.hosts[side])
    }

    /// The packets that a side wrote so far.
    pub(super) fn packets(&self, side: usize) -> Vec<(u8, usize)> {
        self.packets.borrow()[side].clone()
    }

    /// Opens the link of this number, the next one.
    pub(super) fn link(&mut self, number: u64) -> LinkId {
        let pipe = self.world.open_pipe(self.hosts);
        assert_eq!(pipe.number(), number);
        self.pipes.push(pipe);
        self.fetch();
        LinkId::new(number)
    }

    /// What has become of the bytes that a side wrote to a link.
    pub(super) fn counters(&self, side: usize, number: usize) -> StreamCounters {
        self.world.pipe_counters(self.pipes[number], self.hosts[side])
    }

    /// Opens link 0 and connects over it; the handles of both sides.
    pub(super) fn connected(&mut self) -> (ConnectionHandle, ConnectionHandle) {
        let client = self.connect();
        let server = self.wait(SERVER, |event| match event {
            Event::Connected { connection, .. } => Some(*connection),
            _ => None,
        });
        self.wait(CLIENT, |event| matches!(event, Event::Connected { .. }).then_some(()));
        (client, server)
    }

    /// Opens link 0 and begins to connect over it.
    pub(super) fn connect(&mut self) -> ConnectionHandle {
        let key = self.machine(SERVER).endpoint().public_key().expect("the server has a key");
        self.connect_with(ConnectOptions::to(key))
    }

    pub(super) fn connect_with(&mut self, options: ConnectOptions) -> ConnectionHandle {
        let link = self.link(0);
        let begun = self.with_links(CLIENT, |links, now| links.connect(now, link, options));
        begun.expect("the attempt begins")
    }

    /// Calls the machine of a side.
    pub(super) fn with_links<R>(
        &mut self,
        side: usize,
        act: impl FnOnce(&mut LinkEndpoint, Instant) -> R,
    ) -> R {
        let result = self.world.with(self.hosts[side], act);
        self.fetch();
        result
    }

    /// Calls the endpoint of a side.
    pub(super) fn call<R>(
        &mut self,
        side: usize,
        act: impl FnOnce(&mut Endpoint, Instant) -> R,
    ) -> R {
        self.with_links(side, |links, now| act(links.endpoint_mut(), now))
    }

    pub(super) fn open(
        &mut self,
        side: usize,
        connection: ConnectionHandle,
        options: StreamOptions,
    ) -> StreamId {
        self.call(side, |e, now| e.open(now, connection, options)).expect("the stream opens")
    }

    pub(super) fn send(
        &mut self,
        side: usize,
        connection: ConnectionHandle,
        stream: StreamId,
        data: Vec<u8>,
    ) {
        self.call(side, |e, now| e.send(now, connection, stream, data, SendOptions::default()))
            .expect("the message is taken");
    }

    /// Sends a message and takes what the client writes for it before link 0 does.
    pub(super) fn intercept(
        &mut self,
        connection: ConnectionHandle,
        stream: StreamId,
        data: Vec<u8>,
    ) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.with_links(CLIENT, |links, now| {
            let options = SendOptions::default();
            links.endpoint_mut().send(now, connection, stream, data, options).expect("is taken");
            assert!(links.poll_write(now, LinkId::new(0), &mut bytes));
        });
        bytes
    }

    /// All that a stream has to give now.
    pub(super) fn receive(
        &mut self,
        side: usize,
        connection: ConnectionHandle,
        stream: StreamId,
    ) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        while let Ok(ReceiveResult::Data(data)) =
            self.call(side, |e, now| e.receive(now, connection, stream))
        {
            all.push(data.to_vec());
        }
        all
    }

    /// A side learns that a link is broken, the other does not. What is still on its way to it is
    /// lost.
    pub(super) fn notice_break(&mut self, side: usize, number: u64) {
        self.world.break_end(self.pipes[number as usize], self.hosts[side]);
        self.fetch();
    }

    /// Stalls what `side` sends over a link, or lets it flow again.
    pub(super) fn stall(&mut self, side: usize, number: u64, stalled: bool) {
        let duration = if stalled { Duration::MAX } else { Duration::ZERO };
        self.world.stall(self.pipes[number as usize], self.hosts[side], duration);
    }

    /// Hands bytes to a side as if they had come over a link.
    pub(super) fn inject(&mut self, side: usize, number: u64, bytes: &[u8]) -> Result<(), LinkEnd> {
        let link = LinkId::new(number);
        let result = self.with_links(side, |links, now| links.handle_bytes(now, link, bytes));
        if result.is_err() {
            self.world.close_pipe(self.pipes[number as usize], self.hosts[side]);
        }
        result
    }

    /// Takes over what the machines have told.
    fn fetch(&mut self) {
        for (host, events) in self.hosts.into_iter().zip(&mut self.events) {
            events.extend(self.world.take_events(host).into_iter().map(|(_, event)| event));
        }
    }

    /// Goes to the next time at which something happens; `false` if nothing ever will.
    pub(super) fn step(&mut self) -> bool {
        let some = self.world.step().is_some();
        self.fetch();
        some
    }

    pub(super) fn run(&mut self, duration: Duration) {
        self.world.run_for(duration);
        self.fetch();
    }

    /// Runs until an event of a side, past ones included, is what `pick` looks for.
    pub(super) fn wait<T>(&mut self, side: usize, pick: impl Fn(&Event) -> Option<T>) -> T {
        let limit = self.now() + Duration::from_secs(600);
        loop {
            if let Some(found) = self.events[side].iter().find_map(&pick) {
                return found;
            }
            assert!(self.now() < limit && self.step(), "side {side} saw {:?}", self.events[side]);
        }
    }

    /// Goes on over a new link with a connection of the client's.
    pub(super) fn resume(&mut self, connection: ConnectionHandle, number: u64) {
        let link = self.link(number);
        let resumed = self.with_links(CLIENT, |links, now| links.resume(now, connection, link));
        resumed.expect("the connection goes on");
    }
}

/// Notes the packets in what was just written: packets are written whole.
fn note_packets(mut bytes: &[u8], packets: &mut Vec<(u8, usize)>) {
    while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length));
        packets.push((rest[0], length));
        bytes = &rest[length..];
    }
}
