//! Many client connections, each with one call a second: does all of it go well, and does memory
//! stay where it is?
//!
//! `cargo run --release -p tripline-std --example many_callers [CONNECTIONS [SECONDS]]`, by default
//! 10,000 and 60. One loop for all clients, one for the server, over loopback. Prints a line for
//! every ten seconds, and a failure ends it.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::mpsc;
use std::time::Duration;
use tripline::{Config, Endpoint, GuardConfig, LinkHub, SecretKey};
use tripline_rpc::{
    Address, CallOptions, ClientOptions, ConnId, Event, Node, NodeConfig, NodeEvent, Outcome,
};
use tripline_std::{HubLoop, HubOptions, os_seed};

type Failure = Box<dyn Error + Send + Sync>;

/// Connections that are being made at a time.
const AT_ONCE: usize = 32;

fn looper(identity: Option<SecretKey>) -> Result<HubLoop<Node>, Failure> {
    let (how, seed) = (HubOptions::default(), os_seed()?);
    let config = identity.map_or_else(Config::client, Config::public_server);
    // They all come from one address, and are no strangers to each other.
    let guard = GuardConfig { opens_per_prefix: 100_000, ..GuardConfig::default() };
    let config = Config { guard, ..config };
    let endpoint = Endpoint::new(config, &seed.child("endpoint"), how.options.clock.now());
    let hub = LinkHub::new(endpoint, &seed.child("links"));
    Ok(HubLoop::new(Node::new(hub, NodeConfig::default(), &seed.child("node")), &how)?)
}

fn serve(address: &Address, identity: SecretKey, at: &mpsc::Sender<u16>) -> Result<(), Failure> {
    let mut looper = looper(Some(identity))?;
    looper.with(|node, _| node.listen(address)).ok_or("a name is no place to listen at")?;
    let mut asked = Vec::new();
    loop {
        looper.run_once(None)?;
        while let Some(event) = looper.next_event() {
            match event {
                NodeEvent::Listening { local: Some(local), .. } => at.send(local.port())?,
                NodeEvent::Peer { conn, event: Event::Request { request, payload, .. } } => {
                    asked.push((conn, request, payload));
                }
                _ => {}
            }
        }
        looper.with(|node, now| {
            let mut all = asked.drain(..);
            all.try_for_each(|(conn, request, body)| node.reply(now, conn, request, body))
        })?;
    }
}

/// The clients, each with the time of its next call.
#[derive(Default)]
struct Callers {
    connections: usize,
    due: BTreeMap<(Duration, ConnId), ()>,
    ready: usize,
    begun: Option<Duration>,
    made: u64,
    answered: u64,
}

impl Callers {
    fn run(&mut self, address: &Address, seconds: u64) -> Result<(), Failure> {
        let mut looper = looper(None)?;
        let start = std::time::Instant::now();
        for _ in 0..self.connections.min(AT_ONCE) {
            connect(&mut looper, address);
        }
        let (mut opened, mut told) = (self.connections.min(AT_ONCE), 0);
        loop {
            looper.run_once(Some(Duration::from_millis(5)))?;
            while let Some(event) = looper.next_event() {
                if self.on_event(event, start.elapsed())? && opened < self.connections {
                    connect(&mut looper, address);
                    opened += 1;
                }
            }
            let now = start.elapsed();
            self.call(&mut looper, now)?;
            let Some(begun) = self.begun else { continue };
            let second = (now - begun).as_secs();
            if second >= told + 10 {
                told = second;
                let (made, answered) = (self.made, self.answered);
                println!("{second:>4} s  {made} calls, {answered} answers, {} MB", resident_mb());
            }
            if second >= seconds && self.answered == self.made {
                println!("{} calls, each answered; nothing failed", self.made);
                return Ok(());
            }
            if second >= seconds {
                self.due.clear();
            }
        }
    }

    /// Whether one more is connected.
    fn on_event(&mut self, event: NodeEvent, now: Duration) -> Result<bool, Failure> {
        match event {
            NodeEvent::Peer { conn, event: Event::Ready { .. } } => {
                self.ready += 1;
                if self.ready == self.connections {
                    println!("{} connections, {} MB", self.ready, resident_mb());
                    self.begun = Some(now);
                }
                // Spread over the second.
                let spread = Duration::from_micros(1_000_000 / self.connections as u64);
                self.due.insert((spread * u32::try_from(self.ready)?, conn), ());
                return Ok(true);
            }
            NodeEvent::Peer {
                event: Event::Outcome { outcome: Outcome::Reply(_), .. }, ..
            } => {
                self.answered += 1;
            }
            NodeEvent::Peer { event: Event::Outcome { outcome, .. }, .. } => {
                return Err(format!("a call failed: {outcome:?}").into());
            }
            NodeEvent::Failed { why, .. } | NodeEvent::Lost { why, .. } => return Err(why.into()),
            _ => {}
        }
        Ok(false)
    }

    /// Makes the calls that are due.
    fn call(&mut self, looper: &mut HubLoop<Node>, now: Duration) -> Result<(), Failure> {
        let Some(begun) = self.begun else { return Ok(()) };
        looper.with(|node, clock| {
            while let Some(((at, conn), ())) = self.due.pop_first() {
                if begun + at > now {
                    self.due.insert((at, conn), ());
                    return Ok(());
                }
                node.call(clock, conn, 1, &at.as_nanos().to_le_bytes(), CallOptions::default())?;
                self.made += 1;
                self.due.insert((at + Duration::from_secs(1), conn), ());
            }
            Ok(())
        })
    }
}

fn connect(looper: &mut HubLoop<Node>, address: &Address) {
    let options = ClientOptions::default();
    looper.with(|node, now| node.connect(now, address.clone(), options));
}

/// What this process has in memory, both sides together.
fn resident_mb() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = text.split(' ').nth(1).and_then(|text| text.parse().ok()).unwrap_or(0);
    pages * 4_096 / 1_000_000
}

fn main() -> Result<(), Failure> {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<u64>());
    let connections = numbers.next().transpose()?.unwrap_or(10_000);
    let seconds = numbers.next().transpose()?.unwrap_or(60);
    let mut address: Address = "trip://127.0.0.1:0".parse()?;
    let identity = SecretKey::generate(&mut os_seed()?.random("identity"));
    let key = identity.public_key();
    let (port_out, port_in) = mpsc::channel();
    let listen = address.clone();
    std::thread::spawn(move || serve(&listen, identity, &port_out));
    address.port = port_in.recv().map_err(|_| "the server could not listen")?;
    address.key = Some(key);
    let connections = usize::try_from(connections)?;
    Callers { connections, ..Callers::default() }.run(&address, seconds)
}
