//! Two endpoints with links between them, in virtual time: pipes that cut bytes anywhere, hold only
//! so many, stall and break. All follows from the seed, which is printed when a test panics.

use std::collections::{BTreeMap, VecDeque};
use tripline::{
    Config, ConnectOptions, ConnectionHandle, Endpoint, Event, LinkEnd, LinkEndpoint, LinkId,
    ReceiveResult, SendOptions, StreamId, StreamOptions,
};
use tripline_sansio::{DatagramMachine, Duration, Instant, Random, Seed};
use tripline_tests::identity;

pub(super) const CLIENT: usize = 0;
pub(super) const SERVER: usize = 1;

/// How a pipe cuts what is written to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Not at all.
    Whole,
    /// Into single bytes.
    Bytes,
    /// Anywhere.
    Random,
}

/// One direction of a wire.
#[derive(Default)]
struct Pipe {
    /// What the loop of the sending side took and could not write yet.
    pending: Vec<u8>,
    on_way: VecDeque<(Instant, Vec<u8>)>,
    bytes_on_way: usize,
    /// Arrives, and is not read.
    stalled: bool,
}

/// One link, by its number on both sides.
struct Wire {
    /// From the client, and from the server.
    pipes: [Pipe; 2],
    /// Whether each side believes that it is open.
    open: [bool; 2],
}

pub(super) struct Rig {
    pub(super) now: Instant,
    pub(super) sides: [LinkEndpoint; 2],
    pub(super) events: [Vec<Event>; 2],
    /// Packets that each side wrote: the first byte, and the length.
    pub(super) packets: [Vec<(u8, usize)>; 2],
    /// Why links ended, as their side saw it.
    pub(super) ends: Vec<(usize, LinkEnd)>,
    pub(super) delay: Duration,
    /// How many bytes a direction holds that were not read yet.
    pub(super) capacity: usize,
    pub(super) cut: Cut,
    /// Drain after each piece instead of after all that came at one time.
    pub(super) eager: bool,
    wires: BTreeMap<u64, Wire>,
    random: Random,
    seed: u64,
}

impl Drop for Rig {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {} at {:?}", self.seed, self.now);
        }
    }
}

impl Rig {
    pub(super) fn new(seed: u64) -> Self {
        Self::with(seed, Config::client(), Config::public_server(identity("server")))
    }

    pub(super) fn with(seed: u64, client: Config, server: Config) -> Self {
        let root = Seed::from_number(seed);
        let side = |config, label| {
            LinkEndpoint::new(Endpoint::new(config, &root.child(label), Instant::ZERO))
        };
        Self {
            now: Instant::ZERO,
            sides: [side(client, "client"), side(server, "server")],
            events: [Vec::new(), Vec::new()],
            packets: [Vec::new(), Vec::new()],
            ends: Vec::new(),
            delay: Duration::from_millis(10),
            capacity: 64 << 10,
            cut: Cut::Random,
            eager: false,
            wires: BTreeMap::new(),
            random: root.random("pipes"),
            seed,
        }
    }

    /// A number below `bound`, from the seed.
    pub(super) fn pick(&mut self, bound: u64) -> u64 {
        self.random.below(bound)
    }

    /// Opens a link of this number.
    pub(super) fn link(&mut self, number: u64) -> LinkId {
        let link = LinkId::new(number);
        for side in &mut self.sides {
            assert!(side.opened(link), "the number is free");
        }
        self.wires
            .insert(number, Wire { pipes: [Pipe::default(), Pipe::default()], open: [true; 2] });
        link
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
        let key = self.sides[SERVER].endpoint().public_key().expect("the server has a key");
        self.connect_with(ConnectOptions::to(key))
    }

    pub(super) fn connect_with(&mut self, options: ConnectOptions) -> ConnectionHandle {
        let link = self.link(0);
        let now = self.now;
        self.sides[CLIENT].connect(now, link, options).expect("the attempt begins")
    }

    /// Calls the endpoint of a side.
    pub(super) fn call<R>(
        &mut self,
        side: usize,
        act: impl FnOnce(&mut Endpoint, Instant) -> R,
    ) -> R {
        let now = self.now;
        act(self.sides[side].endpoint_mut(), now)
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

    /// A side learns that a link is broken. What is still on its way to it is lost.
    pub(super) fn notice_break(&mut self, side: usize, number: u64) {
        let Some(wire) = self.wires.get_mut(&number) else { return };
        if std::mem::take(&mut wire.open[side]) {
            let now = self.now;
            self.sides[side].closed(now, LinkId::new(number));
        }
        wire.pipes[1 - side] = Pipe { stalled: true, ..Pipe::default() };
        wire.pipes[side].pending.clear();
    }

    /// Stalls what `side` sends over a link, or lets it flow again.
    pub(super) fn stall(&mut self, side: usize, number: u64, stalled: bool) {
        let wire = self.wires.get_mut(&number).expect("the link is there");
        wire.pipes[side].stalled = stalled;
    }

    /// Hands bytes to a side as if they had come over a link.
    pub(super) fn inject(&mut self, side: usize, number: u64, bytes: &[u8]) -> Result<(), LinkEnd> {
        let now = self.now;
        let result = self.sides[side].handle_bytes(now, LinkId::new(number), bytes);
        if let (Err(_), Some(wire)) = (result, self.wires.get_mut(&number)) {
            wire.open[side] = false;
        }
        self.drain();
        result
    }

    /// Runs until nothing is left to do at this time; then checks the rules of the run loop.
    pub(super) fn drain(&mut self) {
        for side in [CLIENT, SERVER] {
            while self.write(side) {}
            while let Some(event) = self.sides[side].poll_event() {
                self.events[side].push(event);
            }
            let due = self.sides[side].poll_timeout();
            assert!(due.is_none_or(|due| due > self.now), "rule 3: {due:?} after a drain");
        }
    }

    /// Lets a side write what it may; says whether it wrote anything.
    fn write(&mut self, side: usize) -> bool {
        let Self { sides, wires, packets, random, now, delay, capacity, cut, .. } = self;
        let mut some = false;
        while sides[side].poll_ready(*now).is_some() {
            some = true;
        }
        for (number, wire) in wires.iter_mut().filter(|(_, wire)| wire.open[side]) {
            let pipe = &mut wire.pipes[side];
            if pipe.pending.is_empty() {
                some |= sides[side].poll_write(*now, LinkId::new(*number), &mut pipe.pending);
                note_packets(&pipe.pending, &mut packets[side]);
            }
            while !pipe.pending.is_empty() && pipe.bytes_on_way < *capacity {
                let room = pipe.pending.len().min(*capacity - pipe.bytes_on_way);
                let len = match cut {
                    Cut::Whole => room,
                    Cut::Bytes => 1,
                    Cut::Random => random.below(3_000) as usize + 1,
                };
                let piece: Vec<u8> = pipe.pending.drain(..len.min(room)).collect();
                pipe.bytes_on_way += piece.len();
                pipe.on_way.push_back((*now + *delay, piece));
                some = true;
            }
        }
        some
    }

    /// Goes to the next time at which something happens; `false` if nothing ever will.
    pub(super) fn step(&mut self) -> bool {
        self.step_until(Instant::MAX)
    }

    fn step_until(&mut self, limit: Instant) -> bool {
        self.drain();
        let pipes = self.wires.values().flat_map(|wire| &wire.pipes);
        let arrivals = pipes.filter(|pipe| !pipe.stalled).filter_map(|pipe| pipe.on_way.front());
        let deadlines = self.sides.iter().filter_map(LinkEndpoint::poll_timeout);
        let next = arrivals.map(|(at, _)| *at).chain(deadlines).min();
        let Some(next) = next.filter(|next| *next <= limit) else { return false };
        self.now = self.now.max(next);
        let numbers: Vec<u64> = self.wires.keys().copied().collect();
        for (number, from) in numbers.into_iter().flat_map(|n| [(n, CLIENT), (n, SERVER)]) {
            self.deliver(number, from);
        }
        for side in &mut self.sides {
            side.handle_timeout(self.now);
        }
        self.drain();
        true
    }

    /// Hands over what has arrived of what `from` wrote to a link.
    fn deliver(&mut self, number: u64, from: usize) {
        let to = 1 - from;
        loop {
            let Some(wire) = self.wires.get_mut(&number) else { return };
            let pipe = &mut wire.pipes[from];
            if pipe.stalled || pipe.on_way.front().is_none_or(|(at, _)| *at > self.now) {
                return;
            }
            let Some((_, piece)) = pipe.on_way.pop_front() else { return };
            pipe.bytes_on_way -= piece.len();
            if !wire.open[to] {
                continue;
            }
            if let Err(end) = self.sides[to].handle_bytes(self.now, LinkId::new(number), &piece) {
                wire.open[to] = false;
                self.ends.push((to, end));
            }
            if self.eager {
                self.drain();
            }
        }
    }

    pub(super) fn run(&mut self, duration: Duration) {
        let limit = self.now + duration;
        while self.step_until(limit) {}
        self.now = limit;
        for side in &mut self.sides {
            side.handle_timeout(limit);
        }
        self.drain();
    }

    /// Runs until an event of a side, past ones included, is what `pick` looks for.
    pub(super) fn wait<T>(&mut self, side: usize, pick: impl Fn(&Event) -> Option<T>) -> T {
        let limit = self.now + Duration::from_secs(600);
        loop {
            if let Some(found) = self.events[side].iter().find_map(&pick) {
                return found;
            }
            assert!(self.now < limit && self.step(), "side {side} saw {:?}", self.events[side]);
        }
    }

    /// Goes on over a new link with a connection of the client's.
    pub(super) fn resume(&mut self, connection: ConnectionHandle, number: u64) {
        let link = self.link(number);
        let now = self.now;
        self.sides[CLIENT].resume(now, connection, link).expect("the connection goes on");
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
