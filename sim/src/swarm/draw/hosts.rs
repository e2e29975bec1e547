//! Who is there: hosts, their kinds, addresses and settings.

use super::Feature as F;
use super::{Family, Plan};
use crate::scenario::budget::Budget;
use crate::scenario::{Controller, HostKind, HostSpec, Setting};
use crate::swarm::dice::Dice;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tripline::Profile;
use tripline_sansio::Duration;

/// The most clients of the rare scenario that has very many.
const MOST_CLIENTS: u64 = 28;

/// All hosts, servers first.
pub(super) struct Cast {
    pub(super) hosts: Vec<HostSpec>,
    /// How many of them are servers.
    pub(super) servers: usize,
}

impl Cast {
    /// The servers.
    pub(super) fn servers(&self) -> &[HostSpec] {
        self.hosts.get(..self.servers).unwrap_or_default()
    }

    /// The clients.
    pub(super) fn clients(&self) -> &[HostSpec] {
        self.hosts.get(self.servers..).unwrap_or_default()
    }
}

/// Draws them.
pub(super) fn draw(plan: &Plan) -> Cast {
    let servers = if plan.has(F::TwoServers) { 2 } else { 1 };
    let mut dice = plan.dice("clients");
    let (least, most) = plan.scale.clients;
    let clients = match plan.family {
        Family::Crowd if dice.percent(20) => dice.between(8, MOST_CLIENTS),
        _ => dice.between(least, most),
    };
    let private = plan.has(F::Identity) && plan.dice("private").percent(50);
    let server = |at: u64| {
        let name = if at == 0 { "server".to_owned() } else { format!("server{}", at + 1) };
        let kind = if private { HostKind::Private } else { HostKind::Public };
        host(plan, name, kind, address(plan, 0, at + 1, 443))
    };
    let client = |at: u64| {
        let known =
            plan.has(F::Identity) && (private || plan.dice(format!("known {at}")).percent(50));
        let kind = if known { HostKind::Known } else { HostKind::Client };
        host(plan, format!("client{}", at + 1), kind, address(plan, 1, at + 1, 1_000))
    };
    let hosts = (0..servers).map(server).chain((0..clients).map(client)).collect();
    Cast { hosts, servers: usize::try_from(servers).unwrap_or(1) }
}

/// An address in a network of ours; all of one scenario are of one kind.
pub(super) fn address(plan: &Plan, network: u8, number: u64, port: u16) -> SocketAddr {
    let [.., high, low] = number.to_be_bytes();
    let ip: IpAddr = if plan.has(F::V6) {
        Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, u16::from(network), u16::from_be_bytes([high, low]))
            .into()
    } else {
        Ipv4Addr::new(10, network, high, low).into()
    };
    SocketAddr::new(ip, port)
}

fn host(plan: &Plan, name: String, kind: HostKind, address: SocketAddr) -> HostSpec {
    let mut settings = Vec::new();
    // What exists in the scenario exists at most of its hosts.
    let mut add = |feature: F, setting: &mut dyn FnMut(&mut Dice) -> Vec<Setting>| {
        let mut dice = plan.dice(format!("{name} {feature:?}"));
        if plan.has(feature) && dice.percent(70) {
            settings.extend(setting(&mut dice));
        }
    };
    add(F::Profile, &mut |dice| vec![Setting::Profile(profile(plan.family, dice))]);
    add(F::Idle, &mut |dice| vec![Setting::Idle(idle(plan, dice))]);
    add(F::KeepAlive, &mut |dice| vec![Setting::KeepAlive(keep_alive(plan, dice))]);
    add(F::Credit, &mut |dice| credit(plan, dice));
    add(F::StreamLimits, &mut |dice| stream_limits(plan, dice));
    add(F::SendBuffer, &mut |dice| vec![Setting::SendBuffer(dice.log(1, 100_000))]);
    add(F::AckDelay, &mut |dice| vec![Setting::AckDelay(dice.time(MILLI, MILLI * 1_000))]);
    add(F::Controller, &mut |dice| {
        let all = [Controller::Cubic, Controller::NewReno, Controller::Bbr];
        vec![Setting::Congestion(dice.pick(all))]
    });
    add(F::Sizes, &mut sizes);
    add(F::NoEcn, &mut |_| vec![Setting::Ecn(false)]);
    // A side that probes for days sends more than all applications do.
    if plan.lasts <= DAY {
        add(F::Probe, &mut |_| vec![Setting::Probe(true)]);
    }
    add(F::Renewal, &mut |dice| renewal(plan, dice));
    add(F::Aes, &mut |_| vec![Setting::Aes(true)]);
    add(F::Segments, &mut |dice| vec![Setting::Segments(dice.log(1, 64))]);
    add(F::Memory, &mut |dice| vec![Setting::Memory(dice.log(64_000, 64_000_000))]);
    add(F::Window, &mut |dice| vec![Setting::Window(dice.between(2, 4))]);
    add(F::KeyPackets, &mut |dice| vec![Setting::KeyPackets(dice.log(4, 1_000))]);
    add(F::Quiet, &mut |dice| vec![Setting::Quiet(dice.between(0, 5))]);
    if kind.is_server() {
        add(F::Answers, &mut |dice| vec![Setting::Answers(dice.log(5, 100))]);
        add(F::Guard, &mut |dice| guard(plan, dice));
        add(F::Echo, &mut |_| vec![Setting::Echo(true)]);
    }
    if !kind.is_server() {
        add(F::Lies, &mut |_| vec![Setting::Lies(true)]);
    }
    add(F::Clocks, &mut |dice| {
        let pace = super::fate::pace(plan, dice);
        let wander = pace.wander.map(Setting::Wander);
        let every = pace.every.map(Setting::WanderEvery);
        [Some(Setting::Skew(pace.skew)), wander, every].into_iter().flatten().collect()
    });
    add(F::Refusals, &mut |dice| match dice.percent(30) {
        true => vec![Setting::RefuseLonger(dice.between(1_200, 1_500))],
        false => vec![Setting::RefuseMemory(dice.chance(1_000, 100_000))],
    });
    add(F::Sloppy, &mut |dice| vec![Setting::Sloppy(dice.chance(1_000, 400_000))]);
    // The first of two servers may let nobody in, and send everybody to the other one.
    if name == "server" && plan.has(F::TwoServers) && plan.dice("front").percent(25) {
        settings.push(Setting::Front(true));
    }
    if !kind.is_server() && plan.dice(format!("{name} asks")).percent(12) {
        settings.push(Setting::Asks(true));
    }
    HostSpec { name, kind, address, behind: None, settings }
}

const DAY: Duration = Duration::from_secs(86_400);
const MILLI: Duration = Duration::from_millis(1);

/// One that fits the family, mostly.
fn profile(family: Family, dice: &mut Dice) -> Profile {
    let any = dice.pick(Profile::ALL);
    match family {
        Family::RealTime if dice.percent(70) => dice.pick([Profile::Game, Profile::RealTime]),
        Family::Bulk if dice.percent(70) => Profile::Bulk,
        _ => any,
    }
}

/// Long runs have long limits, or nothing would be left to look at after the first hour.
fn idle(plan: &Plan, dice: &mut Dice) -> Duration {
    match plan.family {
        Family::LongHaul if dice.percent(40) => Duration::ZERO,
        Family::LongHaul => dice.time(Duration::from_secs(600), plan.lasts * 2),
        _ if dice.percent(10) => Duration::ZERO,
        _ => dice.time(Duration::from_millis(500), Duration::from_secs(120)),
    }
}

/// Not so often that it is all that happens.
fn keep_alive(plan: &Plan, dice: &mut Dice) -> Duration {
    let least = (plan.lasts / 500).max(Duration::from_millis(20));
    dice.time(least, least.max(Duration::from_secs(30)))
}

fn credit(plan: &Plan, dice: &mut Dice) -> Vec<Setting> {
    let tiny = plan.family == Family::TinyLimits || dice.percent(20);
    let most = if tiny { 2_000 } else { 200_000 };
    let message = dice.log(1, most);
    let stream = message + 8 + if tiny { dice.between(0, 8) } else { dice.log(1, most) };
    let connection = if dice.percent(50) { stream } else { stream + dice.log(1, most) };
    let mut settings = vec![
        Setting::MessageMax(message),
        Setting::StreamCredit(stream),
        Setting::ConnectionCredit(connection),
    ];
    if tiny || dice.percent(50) {
        settings.push(Setting::CreditMax(connection));
    }
    settings
}

fn stream_limits(plan: &Plan, dice: &mut Dice) -> Vec<Setting> {
    let most = if plan.family == Family::TinyLimits { 3 } else { 100 };
    // Now and then none at all.
    let mut limit = || if dice.percent(4) { 0 } else { dice.log(1, most) };
    vec![Setting::TwoWay(limit()), Setting::OneWay(limit())]
}

fn sizes(dice: &mut Dice) -> Vec<Setting> {
    let ceiling = dice.pick([1_200, 1_280, 1_452, 1_472, 4_000, 9_000, 65_507]);
    let datagram = if dice.percent(15) { dice.between(1_200, ceiling.min(1_500)) } else { 1_200 };
    vec![Setting::Datagram(datagram), Setting::Ceiling(ceiling)]
}

fn renewal(plan: &Plan, dice: &mut Dice) -> Vec<Setting> {
    let mut settings = Vec::new();
    if dice.percent(60) {
        settings.push(Setting::RenewPackets(dice.log(8, 2_000)));
    }
    if settings.is_empty() || dice.percent(50) {
        let least = (plan.lasts / 200).max(Duration::from_millis(200));
        settings.push(Setting::RenewAfter(dice.time(least, least * 100)));
    }
    settings
}

fn guard(plan: &Plan, dice: &mut Dice) -> Vec<Setting> {
    let mut settings = vec![Setting::RetryAbove(dice.between(0, 3))];
    if plan.family == Family::TinyLimits || dice.percent(30) {
        settings.push(Setting::Connections(dice.log(1, 8)));
    }
    settings
}

/// The longest message that a host takes, as its settings say, or as its profile may say.
pub(super) fn message_max(host: &HostSpec) -> u64 {
    let base = host.settings.iter().find_map(|setting| match setting {
        Setting::Profile(profile) => Some(profile.transport().message_max),
        _ => None,
    });
    let own = host.settings.iter().find_map(|setting| match setting {
        Setting::MessageMax(bytes) => Some(*bytes),
        _ => None,
    });
    let budget = host.settings.iter().find_map(|setting| match setting {
        Setting::Memory(bytes) => Some(Budget::of(*bytes).message_max),
        _ => None,
    });
    own.or(base).unwrap_or(256 << 10).min(budget.unwrap_or(u64::MAX))
}
