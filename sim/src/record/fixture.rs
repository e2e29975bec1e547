//! What the tests of records watch: single packets made by hand, and one true transfer.

use crate::host::HostId;
use crate::link::LinkConfig;
use crate::play::{Deeds, End, Outcome, Watcher};
use crate::rule::{PacketView, Stage};
use crate::scenario::Scenario;
use crate::world::World;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use tripline::{
    Config, ConnectOptions, ConnectionHandle, Endpoint, Event, Order, PublicKey, ReceiveResult,
    SecretKey, SendOptions, StreamId, StreamOptions,
};
use tripline_sansio::{Duration, Ecn, Instant, Seed};

/// A packet from host 0 to host 1.
pub(super) fn packet(stage: Stage, nanos: u64, index: u64, bytes: &[u8]) -> PacketView<'_> {
    PacketView {
        stage,
        now: Instant::from_nanos(nanos),
        from: Some(HostId(0)),
        to: Some(HostId(1)),
        source: "10.0.0.2:2".parse().unwrap(),
        destination: "10.0.0.1:1".parse().unwrap(),
        sent_to: "10.0.0.1:1".parse().unwrap(),
        ecn: Ecn::NotEct,
        index,
        bytes,
    }
}

/// A packet as the tap saw it, kept until the watcher is shown it.
struct Kept {
    view: PacketView<'static>,
    bytes: Vec<u8>,
}

/// A client sends 600 kB to a server over a narrow, lossy link that is cut for half a second.
pub(super) struct Transfer {
    pub(super) scenario: Scenario,
    world: World<Endpoint>,
    key: PublicKey,
    hosts: [HostId; 2],
    tap: Rc<RefCell<Vec<Kept>>>,
    connections: [Option<ConnectionHandle>; 2],
    stream: Option<StreamId>,
    left: usize,
    deeds: Deeds,
    next_sample: Instant,
}

const NAMES: [&str; 2] = ["phone", "server"];
/// Bytes of each message.
const MESSAGE: usize = 2_000;

impl Transfer {
    pub(super) fn new(seed: u64) -> Self {
        let scenario: Scenario = format!(
            r#"
            name = "upload-in-a-tunnel"
            about = "A phone sends 600 kB up a narrow link and <loses> the network for a while."
            seed = {seed}
            lasts = "4s"
            hosts = ["phone client 10.0.0.2:2", "server public 10.0.0.1:1"]
            links = ["phone<>server delay=20ms loss=1% rate=5Mbit/s queue=48kB"]
            steps = [
                "0s phone connect server as c",
                "100ms phone open up ordered one-way on c",
                "100ms phone send up 2kB times=300",
                "300ms phone renew c",
                "400ms cut phone<>server",
                "900ms heal phone<>server",
            ]"#
        )
        .parse()
        .unwrap();
        let mut world = World::new(seed);
        let key = SecretKey::generate(&mut Seed::from_number(1).random("server"));
        let public = key.public_key();
        let client = Endpoint::new(Config::client(), &world.seed_for("client"), Instant::ZERO);
        let server = Config::public_server(key);
        let server = Endpoint::new(server, &world.seed_for("server"), Instant::ZERO);
        let phone = world.add_host(scenario.hosts[0].address, client);
        let hosts = [phone, world.add_host(scenario.hosts[1].address, server)];
        let tap = Rc::new(RefCell::new(Vec::new()));
        let sink = Rc::clone(&tap);
        world.add_tap(move |packet| {
            let view = PacketView { bytes: &[], ..*packet };
            sink.borrow_mut().push(Kept { view, bytes: packet.bytes.to_vec() });
        });
        let mut transfer = Self {
            scenario,
            world,
            key: public,
            hosts,
            tap,
            connections: [None; 2],
            stream: None,
            left: 300,
            deeds: Deeds::default(),
            next_sample: Instant::ZERO,
        };
        transfer.link(false);
        transfer
    }

    fn link(&mut self, is_cut: bool) {
        let config = self.scenario.links[0].apply(LinkConfig::perfect());
        let config = if is_cut { LinkConfig::down() } else { config };
        self.world.set_links(self.hosts[0], self.hosts[1], config);
    }

    /// Plays it and shows it to `watcher`.
    pub(super) fn run(mut self, watcher: &mut dyn Watcher) -> (Scenario, Outcome) {
        watcher.on_start(&NAMES.map(String::from));
        for step in self.scenario.steps.clone() {
            self.run_to(Instant::ZERO + step.at, watcher);
            watcher.on_step(self.world.now(), &step, true);
            self.step(&step.to_string(), watcher);
            self.deeds.steps += 1;
        }
        let healed = Instant::ZERO + self.scenario.lasts;
        self.run_to(healed, watcher);
        watcher.on_calm(healed);
        self.run_to(healed + Duration::from_secs(1), watcher);
        let outcome = Outcome {
            trace_hash: self.world.trace_hash(),
            simulated: self.world.now() - Instant::ZERO,
            totals: self.world.totals(),
            deeds: self.deeds,
            marks: crate::Marks::default(),
        };
        (self.scenario, outcome)
    }

    fn step(&mut self, step: &str, watcher: &mut dyn Watcher) {
        let verb = step.split(' ').nth(if step.contains("phone ") { 2 } else { 1 });
        let server: SocketAddr = self.world.address(self.hosts[1]);
        let (phone, connection) = (self.hosts[0], self.connections[0]);
        match (verb.unwrap(), connection) {
            ("cut", _) => self.link(true),
            ("heal", _) => self.link(false),
            ("connect", _) => {
                let options = ConnectOptions::to(self.key);
                let begun = self.world.with(phone, |machine, now| {
                    machine.connect(now, server.into(), options).unwrap()
                });
                self.connections[0] = Some(begun);
                self.deeds.connections += 1;
            }
            ("open", Some(connection)) => {
                let options = StreamOptions::one_way(Order::Ordered);
                self.stream =
                    Some(self.world.with(phone, |machine, now| {
                        machine.open(now, connection, options).unwrap()
                    }));
                self.deeds.streams += 1;
            }
            ("send", _) => self.pump(watcher),
            ("renew", Some(connection)) => {
                self.world.with(phone, |machine, now| machine.renew(now, connection)).unwrap();
            }
            other => panic!("{other:?}"),
        }
    }

    fn run_to(&mut self, until: Instant, watcher: &mut dyn Watcher) {
        while self.world.next_time().is_some_and(|next| next <= until) {
            self.world.step();
            self.sample(watcher);
            self.show_packets(watcher);
            for side in [0, 1] {
                while let Some((now, event)) = self.world.next_event(self.hosts[side]) {
                    self.on_event(side, now, &event, watcher);
                }
            }
        }
        self.world.run_until(until);
        self.show_packets(watcher);
    }

    fn show_packets(&mut self, watcher: &mut dyn Watcher) {
        for kept in self.tap.take() {
            watcher.on_packet(&PacketView { bytes: &kept.bytes, ..kept.view });
        }
    }

    fn end(side: usize) -> End<'static> {
        End { connection: "c", host: NAMES[side], is_client: side == 0 }
    }

    fn sample(&mut self, watcher: &mut dyn Watcher) {
        let Some(every) = watcher.sample_every() else { return };
        while self.next_sample <= self.world.now() {
            for side in [0, 1] {
                let machine = self.world.machine(self.hosts[side]);
                let stats = self.connections[side].and_then(|one| machine.connection_stats(one));
                if let Some(stats) = stats {
                    watcher.on_sample(self.next_sample, Self::end(side), &stats);
                }
            }
            self.next_sample += every;
        }
    }

    fn on_event(&mut self, side: usize, now: Instant, event: &Event, watcher: &mut dyn Watcher) {
        watcher.on_event(now, Some(Self::end(side)), event);
        match event {
            Event::Connected { connection, .. } => {
                self.connections[side] = Some(*connection);
                self.deeds.connected += u64::from(side == 0);
            }
            Event::Writable { .. } => self.pump(watcher),
            Event::Readable { connection, stream } => {
                let (connection, stream) = (*connection, *stream);
                loop {
                    let got = self.world.with(self.hosts[side], |machine, now| {
                        machine.receive(now, connection, stream)
                    });
                    let Ok(ReceiveResult::Data(bytes)) = got else { break };
                    let bytes = bytes.len() as u64;
                    self.deeds.received += 1;
                    self.deeds.received_bytes += bytes;
                    watcher.on_message(now, Self::end(side), stream, false, bytes);
                }
            }
            _ => {}
        }
    }

    fn pump(&mut self, watcher: &mut dyn Watcher) {
        let (Some(connection), Some(stream)) = (self.connections[0], self.stream) else { return };
        while self.left > 0 {
            let sent = self.world.with(self.hosts[0], |machine, now| {
                machine.send(now, connection, stream, vec![7; MESSAGE], SendOptions::default())
            });
            if sent.is_err() {
                return;
            }
            self.left -= 1;
            self.deeds.sent += 1;
            self.deeds.sent_bytes += MESSAGE as u64;
            watcher.on_message(self.world.now(), Self::end(0), stream, true, MESSAGE as u64);
        }
    }
}
