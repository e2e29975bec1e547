//! A passenger on a subway, in the simulator: the network comes and goes with the stations, and the
//! phone has another address at each. Calls that were asked in a tunnel are answered all the same,
//! each executed once, and the caller lives through all of it.
//!
//! `cargo run -p tripline-tests --example subway [SEED]`: an hour in less than a second, and the
//! same hour for the same seed.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tripline::{Config, Endpoint, LinkHub, SecretKey};
use tripline_calls::{
    Arrived, Call, CallError, CallOptions, Caller, Calls, ClientOptions, Driven, NodeConfig, Retry,
    Wait,
};
use tripline_rpc::{NetworkKind, Node};
use tripline_sansio::{Instant, Seed};
use tripline_sim::{HostId, HubWorld, LinkConfig};

const STATIONS: u32 = 40;
/// How long the train stands at a station, and how long it is in the tunnel behind it.
const STATION: Duration = Duration::from_secs(25);
const TUNNEL: Duration = Duration::from_secs(65);
/// The passenger asks so often.
const ASKS_EVERY: Duration = Duration::from_secs(6);

/// The passenger's phone, the server, and the air between them.
struct City {
    world: HubWorld<Driven>,
    /// The time of the world, as handles see it.
    clock: Arc<AtomicU64>,
    hosts: Vec<HostId>,
}

impl City {
    fn new(seed: u64) -> Self {
        let mut world = HubWorld::new(seed);
        let ms = Duration::from_millis;
        world.world().set_default_link(LinkConfig::perfect().delay(ms(40)).jitter(ms(15)));
        let clock = Arc::new(AtomicU64::new(world.now().as_nanos()));
        Self { world, clock, hosts: Vec::new() }
    }

    fn move_in(&mut self, address: [u8; 4], config: Config, seed: &Seed) -> Calls {
        let endpoint = Endpoint::new(config, &seed.child("endpoint"), self.world.now());
        let hub = LinkHub::new(endpoint, &seed.child("links"));
        let node = Node::new(hub, NodeConfig::default(), &seed.child("node"));
        let clock = Arc::clone(&self.clock);
        let (calls, driven) =
            Calls::new(node, move || Instant::from_nanos(clock.load(Ordering::Relaxed)));
        self.hosts.push(self.world.add(SocketAddr::from((address, 4_000)), driven));
        calls
    }

    /// What handles have said goes out, and the next thing happens, unless it is later than `end`.
    fn step(&mut self, end: Instant) -> bool {
        for host in &self.hosts {
            self.world.with(*host, |_, _| ());
        }
        let went_on = self.world.step_until(end);
        self.clock.store(self.world.now().as_nanos(), Ordering::Relaxed);
        went_on
    }

    /// Whether datagrams get through.
    fn set_air(&mut self, is_there: bool) {
        let [server, phone] = self.hosts[..] else { return };
        for (from, to) in [(phone, server), (server, phone)] {
            match is_there {
                true => self.world.world().heal(from, to),
                false => self.world.world().cut(from, to),
            }
        }
    }
}

/// What the passenger has asked and what came of it.
struct Ride {
    server: Calls,
    caller: Caller,
    asked: BTreeMap<u32, (Instant, Pin<Box<Call>>)>,
    executed: BTreeMap<u32, u32>,
    answered: u32,
    slowest: Duration,
}

impl Ride {
    fn ask(&mut self, now: Instant) {
        let number = self.answered + u32::try_from(self.asked.len()).unwrap_or(u32::MAX);
        // It is not to be done twice, and may take long.
        let deadline = Wait::For(Duration::from_secs(600));
        let options =
            CallOptions { deadline, retry: Retry::Deduplicated, ..CallOptions::default() };
        let payload = number.to_be_bytes().to_vec();
        let call = self.caller.call_with("ticket", payload, options);
        self.asked.insert(number, (now, Box::pin(call)));
    }

    /// The server answers what has come, and the passenger looks at the answers.
    fn look(&mut self, now: Instant) -> Result<(), CallError> {
        while let Some(arrived) = self.server.try_next() {
            if let Arrived::Request(request) = arrived {
                let number = request.payload().as_ref().try_into().map_or(0, u32::from_be_bytes);
                *self.executed.entry(number).or_default() += 1;
                // The caller may be in a tunnel by now, and asks again: it is answered then.
                let payload = request.payload().clone();
                let _ = request.reply(payload);
            }
        }
        let mut cx = Context::from_waker(Waker::noop());
        let mut done = Vec::new();
        for (number, (since, call)) in &mut self.asked {
            if let Poll::Ready(answer) = call.as_mut().poll(&mut cx) {
                assert_eq!(answer?.as_ref(), number.to_be_bytes(), "somebody else's ticket");
                self.slowest = self.slowest.max(now.saturating_duration_since(*since));
                done.push(*number);
            }
        }
        self.answered += u32::try_from(done.len()).unwrap_or(u32::MAX);
        done.iter().for_each(|number| drop(self.asked.remove(number)));
        Ok(())
    }

    /// Time goes on, and the passenger asks again and again.
    fn go_on(&mut self, city: &mut City, time: Duration) -> Result<(), CallError> {
        let end = city.world.now() + time;
        while city.world.now() < end {
            self.ask(city.world.now());
            let next = end.min(city.world.now() + ASKS_EVERY);
            while city.step(next) {
                self.look(city.world.now())?;
            }
            city.world.run_for(next.saturating_duration_since(city.world.now()));
        }
        Ok(())
    }
}

/// The example.
pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seed = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1);
    let mut city = City::new(seed);
    let key = SecretKey::generate(&mut Seed::from_number(seed).random("key"));
    let address = format!("trip://{}@10.0.0.1:4000", key.public_key());
    let public = Config::public_server(key);
    let server = city.move_in([10, 0, 0, 1], public, &Seed::from_number(seed).child("server"));
    let phone =
        city.move_in([10, 0, 1, 0], Config::client(), &Seed::from_number(seed).child("phone"));
    server.with(|node, _| node.listen(&address.parse().ok()?));
    let caller = phone.connect(&address, ClientOptions::default())?;
    let (asked, executed) = (BTreeMap::new(), BTreeMap::new());
    let slowest = Duration::ZERO;
    let mut ride = Ride { server, caller, asked, executed, answered: 0, slowest };
    for station in 0..STATIONS {
        city.set_air(true);
        let place = [10, 0, 1, u8::try_from(station).unwrap_or(0)];
        let phone_host = city.hosts[1];
        city.world.world().readdress(phone_host, SocketAddr::from((place, 4_000)));
        phone.with(|node, now| node.network_changed(now, NetworkKind::Cellular));
        ride.go_on(&mut city, STATION)?;
        city.set_air(false);
        phone.with(|node, now| node.network_changed(now, NetworkKind::None));
        ride.go_on(&mut city, TUNNEL)?;
    }
    city.set_air(true);
    phone.with(|node, now| node.network_changed(now, NetworkKind::Wifi));
    ride.go_on(&mut city, STATION)?;
    let opened = ride.caller.times_opened();
    println!(
        "{} of virtual time, {STATIONS} tunnels: {} tickets, opened {opened} times, slowest {:.1?}",
        humane(city.world.now()),
        ride.answered,
        ride.slowest
    );
    if !ride.asked.is_empty() || ride.executed.values().any(|times| *times != 1) {
        return Err(format!("{} left, {:?}", ride.asked.len(), ride.executed).into());
    }
    Ok(())
}

fn humane(time: Instant) -> String {
    let minutes = time.as_nanos() / 60_000_000_000;
    format!("{minutes} minutes")
}
