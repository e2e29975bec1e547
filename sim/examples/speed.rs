//! How fast the simulator is: simulated seconds, and packets, for each second of processor time.
//!
//! `cargo run --release -p tripline-sim --example speed [SECONDS]` plays a flow of 1 Mbit/s between
//! two hosts for so many simulated seconds (2,000 unless told), with all oracles, with the cheap
//! cipher and with the engine's own. Then it plays the same flow by parts: the world alone, with
//! engines, with the inspector too; what one part takes more than the part before is its share.
//!
//! `… --example speed crowd [HOSTS CONNECTIONS]` plays a crowd (1,000 and 10,000 unless told).
//! `… --example speed flow [SECONDS]` plays the flow with the cheap cipher, asks no clock, and does
//! nothing else: for profilers, and for valgrind, whose counts of instructions are the same however
//! busy the machine is.
//!
//! Times are those of the processor, so other work on the machine disturbs them little.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration as Time;
use tripline::{
    Aead, Cipher, Config, ConnectOptions, ConnectionHandle, Endpoint, Event, Order, ReceiveResult,
    SecretKey, SendOptions, StreamId, StreamOptions, default_aead,
};
use tripline_sim::cipher::FastAead;
use tripline_sim::play::{Outcome, play};
use tripline_sim::scenario::Scenario;
use tripline_sim::{
    DatagramMachine, Duration, Ecn, HostId, Inspector, Instant, LinkConfig, Path, Seal, Transmit,
    World, scenarios,
};

/// Bytes of a message: it fills a datagram of 1,200 bytes, and with [`EVERY`] makes 1 Mbit/s.
const MESSAGE: usize = 1_150;
/// Between two messages.
const EVERY: Duration = Duration::from_micros(9_200);
/// What a datagram with a message has more than the message, and one with an ACK alone is long.
const OVERHEAD: usize = 40;
const CLIENT: ([u8; 4], u16) = ([10, 0, 1, 1], 1_000);
const SERVER: ([u8; 4], u16) = ([10, 0, 0, 1], 443);

/// The processor time that this process has used.
fn cpu() -> Time {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Time::try_from(time).unwrap_or_default()
}

/// Processor time for what `act` does, and what it gives.
fn timed<R>(act: impl FnOnce() -> R) -> (Time, R) {
    let start = cpu();
    let result = act();
    (cpu().saturating_sub(start), result)
}

/// The flow as a scenario.
fn flow(seconds: u64, seal: &str) -> Scenario {
    let messages = seconds * 1_000_000 / EVERY.as_micros() as u64;
    let text = format!(
        r#"
name = "one-megabit"
seed = 1
cipher = "{seal}"
lasts = "{seconds}s"
hosts = ["server public 10.0.0.1:443", "client client 10.0.1.1:1000"]
links = ["client<>server delay=20ms rate=2Mbit/s queue=64kB"]
steps = [
    "0s client connect server as c",
    "0s client open up ordered one-way on c",
    "0s client send up {MESSAGE} times={messages} every=9200us",
]
"#
    );
    text.parse().expect("the scenario reads")
}

fn link() -> LinkConfig {
    LinkConfig::perfect().delay(Duration::from_millis(20)).rate(250_000, 64_000)
}

fn print(name: &str, took: Time, simulated: f64, packets: u64) {
    let (cpu, wall) = (took.as_secs_f64(), simulated / took.as_secs_f64());
    println!(
        "{name:<32} {cpu:>7.3} s cpu {wall:>8.0} simulated s/s {:>9.0} packets/s {:>6.0} ns each",
        packets as f64 / cpu,
        1e9 * cpu / packets as f64,
    );
}

/// The whole: with player, models, inspector.
fn whole(name: &str, scenario: &Scenario) -> Outcome {
    let (took, outcome) = timed(|| play(scenario));
    let outcome = outcome.unwrap_or_else(|failure| panic!("{failure}"));
    print(name, took, outcome.simulated.as_secs_f64(), outcome.totals.offered);
    outcome
}

/// Two machines that send what an engine would, and do nothing else.
struct Drip {
    peer: SocketAddr,
    len: usize,
    next: Option<Instant>,
    due: u32,
    came: u32,
}

impl DatagramMachine for Drip {
    type Event = ();
    fn handle_datagram(&mut self, _: Instant, _: Path, _: Ecn, _: &mut [u8]) {
        self.came += 1;
        // Every second one is answered.
        self.due += u32::from(self.next.is_none() && self.came.is_multiple_of(2));
    }
    fn handle_timeout(&mut self, now: Instant) {
        if self.next.is_some_and(|at| at <= now) {
            self.due += 1;
            self.next = Some(now + EVERY);
        }
    }
    fn poll_transmit(&mut self, _: Instant, out: &mut Vec<u8>) -> Option<Transmit> {
        self.due = self.due.checked_sub(1)?;
        out.resize(out.len() + self.len, 0);
        let path = Path::to(self.peer);
        Some(Transmit { path, ecn: Ecn::Ect0, len: self.len, segment_size: self.len })
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }
    fn poll_event(&mut self) -> Option<()> {
        None
    }
}

/// The world alone: datagrams of the same sizes and times. How many.
fn world_alone(seconds: u64) -> u64 {
    let mut world = World::new(1);
    world.set_default_link(link());
    let idle = Drip { peer: CLIENT.into(), len: OVERHEAD, next: None, due: 0, came: 0 };
    world.add_host(SERVER.into(), idle);
    let (peer, len) = (SERVER.into(), MESSAGE + OVERHEAD);
    world.add_host(
        CLIENT.into(),
        Drip { peer, len, next: Some(Instant::ZERO + EVERY), due: 0, came: 0 },
    );
    world.run_for(Duration::from_secs(seconds));
    world.totals().offered
}

/// Two engines in a world, and the flow.
struct Pair {
    world: World<Endpoint>,
    hosts: [HostId; 2],
    sender: Option<(ConnectionHandle, StreamId)>,
    bytes: u64,
}

impl Pair {
    fn new(inspector: Option<&Inspector>) -> Self {
        let mut world = World::new(1);
        world.set_default_link(link());
        if let Some(inspector) = inspector {
            world.add_tap(inspector.tap());
        }
        let wrap = |config: Config| match inspector {
            Some(inspector) => inspector.on(config),
            None => Config { aead: Arc::new(FastAead), ..config },
        };
        let key = SecretKey::generate(&mut world.random("key"));
        let to = key.public_key();
        let [server, client] = [wrap(Config::public_server(key)), wrap(Config::client())];
        let server = Endpoint::new(server, &world.seed_for("server"), Instant::ZERO);
        let client = Endpoint::new(client, &world.seed_for("client"), Instant::ZERO);
        let server = world.add_host(SERVER.into(), server);
        let client = world.add_host(CLIENT.into(), client);
        let sender = world.with(client, |endpoint, now| {
            let address = SocketAddr::from(SERVER).into();
            let handle = endpoint.connect(now, address, ConnectOptions::to(to)).ok()?;
            let options = StreamOptions::one_way(Order::Ordered);
            Some((handle, endpoint.open(now, handle, options).ok()?))
        });
        Self { world, hosts: [client, server], sender, bytes: 0 }
    }

    fn pump(&mut self) {
        for host in self.world.take_noisy() {
            while let Some((_, event)) = self.world.next_event(host) {
                let Event::Readable { connection, stream } = event else { continue };
                let bytes = &mut self.bytes;
                self.world.with(host, |endpoint, now| {
                    while let Ok(ReceiveResult::Data(data)) =
                        endpoint.receive(now, connection, stream)
                    {
                        *bytes += data.len() as u64;
                    }
                });
            }
        }
    }

    /// A message every 9.2 ms. How many datagrams that were.
    fn run(mut self, seconds: u64) -> u64 {
        let (handle, stream) = self.sender.expect("the connection begins");
        let message = vec![0x5a; MESSAGE];
        let end = Instant::ZERO + Duration::from_secs(seconds);
        let (mut next, mut sent) = (Instant::ZERO, 0);
        while next < end {
            while self.world.next_time().is_some_and(|at| at <= next) {
                self.world.step();
                self.pump();
            }
            self.world.run_until(next);
            let result = self.world.with(self.hosts[0], |endpoint, now| {
                endpoint.send(now, handle, stream, message.clone(), SendOptions::default())
            });
            sent += u64::from(result.is_ok());
            next += EVERY;
        }
        self.world.run_for(Duration::from_secs(1));
        self.pump();
        assert_eq!(self.bytes, sent * MESSAGE as u64, "everything arrives");
        self.world.totals().offered
    }
}

fn parts(seconds: u64, outcome: Time) {
    let simulated = seconds as f64;
    let (world, packets) = timed(|| world_alone(seconds));
    print("world alone", world, simulated, packets);
    let (engine, packets) = timed(|| Pair::new(None).run(seconds));
    print("world, engines", engine, simulated, packets);
    let inspector = Inspector::new(Seal::Fast);
    let (inspected, packets) = timed(|| Pair::new(Some(&inspector)).run(seconds));
    assert_eq!(inspector.violations_total(), 0);
    print("world, engines, inspector", inspected, simulated, packets);
    let share = |part: Time| 100.0 * part.as_secs_f64() / outcome.as_secs_f64();
    println!(
        "of the whole: world {:.0} %, engines {:.0} %, inspector {:.0} %, player, models {:.0} %",
        share(world),
        share(engine.saturating_sub(world)),
        share(inspected.saturating_sub(engine)),
        share(outcome.saturating_sub(inspected)),
    );
}

/// The cheap cipher by itself, and the engine's own.
fn ciphers() {
    for (name, aead) in [("fast", Arc::new(FastAead) as Arc<dyn Aead>), ("real", default_aead())] {
        let key = aead.key(Cipher::ChaChaPoly, &[7; 32]);
        let mut text = [1; 1_200];
        let rounds = 200_000_u32;
        let (took, opened) = timed(|| {
            (0..u64::from(rounds)).all(|number| {
                let tag = key.seal(number, b"a header", &mut text);
                key.open(number, b"a header", &mut text, &tag).is_ok()
            })
        });
        assert!(opened);
        println!("{name} cipher: {} ns for 1,200 bytes", (took / (2 * rounds)).as_nanos());
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, usual: u64| {
        arguments.get(at).and_then(|text: &String| text.parse().ok()).unwrap_or(usual)
    };
    match arguments.first().map(String::as_str) {
        Some("crowd") => {
            let [hosts, connections] = [number(1, 1_000), number(2, 10_000)];
            let hosts = u32::try_from(hosts).expect("so many hosts fit");
            let connections = u32::try_from(connections).expect("so many connections fit");
            let crowd = scenarios::crowd(hosts, connections).expect("the crowd reads");
            let outcome = whole(&format!("{hosts} hosts, {connections} connections"), &crowd);
            println!("{:?}", outcome.deeds);
        }
        Some("flow") => {
            let outcome = play(&flow(number(1, 2_000), "fast"));
            let outcome = outcome.unwrap_or_else(|failure| panic!("{failure}"));
            println!("{} packets", outcome.totals.offered);
        }
        _ => {
            let seconds = number(0, 2_000);
            ciphers();
            whole("whole, real cipher", &flow(seconds, "real"));
            let (took, outcome) = timed(|| whole("whole, fast cipher", &flow(seconds, "fast")));
            assert_eq!(outcome.deeds.received, outcome.deeds.sent, "everything arrives");
            parts(seconds, took);
        }
    }
}
