//! Sets the stage: endpoints as the hosts of a scenario describe them.
//!
//! In go specifications, out come configurations and endpoints. A host's key follows from the
//! scenario's seed and its name alone, so that it survives a crash; everything else that an
//! endpoint draws follows from its life's number too.

use super::narrow::Narrow;
use super::player::Onlooker;
use super::systems;
use crate::chance::Chance;
use crate::discipline::Discipline;
use crate::inspect::Inspector;
use crate::scenario::budget::Budget;
use crate::scenario::{Action, Controller, Deed, HostKind, HostSpec, Scenario, Setting};
use tripline::{
    Config, Congestion, Direction, Endpoint, OnSilence, PublicKey, Screening, SecretKey,
    TransportConfig,
};
use tripline_sansio::{Duration, Instant, Seed};

/// How much later than agreed an acknowledgement may come.
const SLACK: Duration = Duration::from_millis(100);

/// The seed of everything in a run that is not the world's.
pub(super) fn seed(scenario: &Scenario) -> Seed {
    Seed::from_number(scenario.seed).child("play")
}

/// The identity of a host, if it has one.
pub(super) fn identity(scenario: &Scenario, host: &HostSpec) -> Option<SecretKey> {
    let known = host.kind != HostKind::Client;
    known.then(|| SecretKey::generate(&mut seed(scenario).child("keys").random(&host.name)))
}

/// How connections of a host behave.
fn transport(host: &HostSpec) -> TransportConfig {
    let profile = host.settings.iter().rev().find_map(|setting| match setting {
        Setting::Profile(profile) => Some(*profile),
        _ => None,
    });
    let mut transport = profile.map(|profile| profile.transport()).unwrap_or_default();
    host.settings.iter().for_each(|setting| set(&mut transport, *setting));
    if let Some(bytes) = memory(host) {
        spare(&mut transport, &Budget::of(bytes));
    }
    let window = host.settings.iter().rev().find_map(|setting| match setting {
        Setting::Window(datagrams) => Some(*datagrams),
        _ => None,
    });
    if let Some(datagrams) = window {
        let narrow = Narrow::new(datagrams, transport.datagram_size);
        transport.congestion = Congestion::Custom(Box::new(narrow));
    }
    transport
}

/// The host's budget of memory, in bytes, if it has one.
pub(super) fn memory(host: &HostSpec) -> Option<u64> {
    host.settings.iter().rev().find_map(|setting| match setting {
        Setting::Memory(bytes) => Some(*bytes),
        _ => None,
    })
}

/// Nothing beyond the budget.
fn spare(transport: &mut TransportConfig, budget: &Budget) {
    let least = |value: &mut u64, most: u64| *value = (*value).min(most);
    least(&mut transport.message_max, budget.message_max);
    least(&mut transport.stream_credit, budget.stream_credit);
    least(&mut transport.stream_credit_max, budget.stream_credit);
    least(&mut transport.connection_credit, budget.connection_credit);
    least(&mut transport.connection_credit_max, budget.connection_credit);
    least(&mut transport.send_buffer, budget.send_buffer);
    least(&mut transport.two_way_streams, budget.streams);
    least(&mut transport.one_way_streams, budget.streams);
}

fn set(transport: &mut TransportConfig, setting: Setting) {
    match setting {
        Setting::Idle(value) => transport.idle_timeout = value,
        Setting::KeepAlive(value) => transport.keep_alive = value,
        Setting::MessageMax(value) => transport.message_max = value,
        Setting::StreamCredit(value) => transport.stream_credit = value,
        Setting::ConnectionCredit(value) => transport.connection_credit = value,
        Setting::CreditMax(value) => {
            (transport.stream_credit_max, transport.connection_credit_max) = (value, value);
        }
        Setting::TwoWay(value) => transport.two_way_streams = value,
        Setting::OneWay(value) => transport.one_way_streams = value,
        Setting::SendBuffer(value) => transport.send_buffer = value,
        Setting::AckDelay(value) => transport.ack_delay = value,
        Setting::Congestion(controller) => {
            transport.congestion = congestion(controller);
        }
        Setting::Datagram(value) => transport.datagram_size = cut(value),
        Setting::Ceiling(value) => transport.datagram_ceiling = cut(value),
        Setting::Ecn(value) => transport.ecn = value,
        Setting::Probe(value) => {
            transport.on_silence = if value { OnSilence::Probe } else { OnSilence::Drop };
        }
        Setting::RenewPackets(value) => transport.key_limits.renew_packets = value,
        Setting::RenewAfter(value) => transport.key_limits.renew_after = value,
        Setting::KeyPackets(value) => transport.key_limits.data_packets = value,
        Setting::Quiet(value) => transport.quiet_probes = u32::try_from(value).unwrap_or(u32::MAX),
        Setting::Profile(_)
        | Setting::Memory(_)
        | Setting::Window(_)
        | Setting::Answers(_)
        | Setting::Aes(_)
        | Setting::Segments(_)
        | Setting::Connections(_)
        | Setting::RetryAbove(_)
        | Setting::Echo(_)
        | Setting::Lies(_)
        | Setting::Asks(_)
        | Setting::Front(_)
        | Setting::Sloppy(_)
        | Setting::Skew(_)
        | Setting::Wander(_)
        | Setting::WanderEvery(_)
        | Setting::RefuseLonger(_)
        | Setting::RefuseMemory(_) => {}
    }
}

const fn congestion(controller: Controller) -> Congestion {
    match controller {
        Controller::Cubic => Congestion::Cubic,
        Controller::NewReno => Congestion::NewReno,
        Controller::Bbr => Congestion::Bbr,
    }
}

fn cut(value: u64) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}

/// The configuration of a host's endpoint.
fn config(scenario: &Scenario, host: &HostSpec) -> Config {
    let base = match (host.kind, identity(scenario, host)) {
        (HostKind::Public, Some(key)) => Config::public_server(key),
        (HostKind::Private, Some(key)) => Config::private_server(key, known_keys(scenario)),
        (_, identity) => Config { identity, ..Config::client() },
    };
    let mut config = Config { transport: transport(host), ..base };
    for setting in &host.settings {
        match *setting {
            Setting::Aes(value) => config.hardware_aes = value,
            Setting::Front(true) => {
                if let Some(server) = &mut config.server {
                    server.screening = Screening::Ask;
                }
            }
            Setting::Segments(value) => config.segments_max = value.clamp(1, 64) as usize,
            Setting::Connections(value) => {
                config.connections_max = u32::try_from(value).unwrap_or(u32::MAX);
            }
            Setting::RetryAbove(value) => {
                config.guard.retry_above = u32::try_from(value).unwrap_or(u32::MAX);
            }
            Setting::Answers(value) => {
                let rate = u32::try_from(value).unwrap_or(u32::MAX);
                let guard = &mut config.guard;
                guard.challenges_per_second = rate;
                guard.repeats_per_second = rate;
                guard.refusals_per_second = rate;
                guard.retries_per_second = rate;
                guard.versions_per_second = rate;
                guard.resets_per_second = rate;
            }
            _ => {}
        }
    }
    if let Some(bytes) = memory(host) {
        let most = u32::try_from(Budget::of(bytes).connections).unwrap_or(u32::MAX);
        config.connections_max = config.connections_max.min(most);
    }
    config
}

/// The keys of all hosts that have one and are no servers.
fn known_keys(scenario: &Scenario) -> Vec<PublicKey> {
    let known = scenario.hosts.iter().filter(|host| host.kind == HostKind::Known);
    known.filter_map(|host| identity(scenario, host)).map(|key| key.public_key()).collect()
}

/// The n-th life of a host, from 0, and when it begins by the host's clock.
#[derive(Clone, Copy)]
pub(super) struct Life {
    pub(super) number: u64,
    pub(super) now: Instant,
}

/// The endpoint of a host; the inspector hears what its cipher does, and so may an onlooker.
pub(super) fn endpoint(
    scenario: &Scenario,
    host: &HostSpec,
    Life { number: life, now }: Life,
    inspector: &Inspector,
    onlooker: Option<&Onlooker>,
) -> Endpoint {
    let config = config(scenario, host);
    let mut config = if lies(host) { inspector.on_liar(config) } else { inspector.on(config) };
    if let Some(onlooker) = onlooker {
        config.aead = onlooker.borrow_mut().aead(config.aead);
    }
    let seed = seed(scenario).child("endpoints").child(&host.name).child(&life.to_string());
    Endpoint::new(config, &seed, now)
}

/// Whether a host asks everybody for a token.
pub(super) fn demands_tokens(scenario: &Scenario, host: &HostSpec) -> bool {
    config(scenario, host).guard.retry_above == 0
}

/// The inspector of a run.
pub(super) fn inspector(scenario: &Scenario) -> Inspector {
    let inspector = Inspector::new(scenario.seal);
    let deeds = scenario.steps.iter().filter_map(|step| match &step.action {
        Action::Host(_, deed) => Some(deed),
        _ => None,
    });
    // Whom the world holds up acknowledges later.
    let held = deeds.filter_map(|deed| match deed {
        Deed::Pause(time) | Deed::Jump(time) | Deed::Block(time) => Some(*time),
        _ => None,
    });
    // And whose clock is slow.
    let delays = scenario.hosts.iter().map(ack_delay).max().unwrap_or_default();
    let late = systems::lateness(scenario, delays + SLACK);
    inspector.set_slack(SLACK + held.sum() + late);
    inspector.set_fastest_clock(systems::fastest(scenario), systems::leaps(scenario));
    inspector.set_canary(super::content::canary());
    inspector
}

/// The idle limit that two hosts agree on.
pub(super) fn idle(one: &HostSpec, other: &HostSpec) -> Option<Duration> {
    let limit = |host| Some(transport(host).idle_timeout).filter(|limit| !limit.is_zero());
    [limit(one), limit(other)].into_iter().flatten().min()
}

/// Whether the host's application sends back what it is sent.
pub(super) fn echoes(host: &HostSpec) -> bool {
    host.settings.contains(&Setting::Echo(true))
}

/// Whether the host's engine breaks rules on purpose.
pub(super) fn lies(host: &HostSpec) -> bool {
    host.settings.contains(&Setting::Lies(true))
}

/// Whether the host's keys are used up sooner than the protocol asks for.
pub(super) fn wears(host: &HostSpec) -> bool {
    host.settings.iter().any(|setting| matches!(setting, Setting::KeyPackets(_)))
}

/// Whether the host knows no server's key, and asks for it.
pub(super) fn asks(host: &HostSpec) -> bool {
    host.settings.contains(&Setting::Asks(true))
}

/// Whether the host sends all newcomers elsewhere.
pub(super) fn is_front(host: &HostSpec) -> bool {
    host.settings.contains(&Setting::Front(true))
}

/// How long the host may hold back an acknowledgement.
pub(super) fn ack_delay(host: &HostSpec) -> Duration {
    transport(host).ack_delay
}

/// Whether the host's engine keeps little of what it is handed in.
pub(super) fn is_narrow(host: &HostSpec) -> bool {
    transport(host).send_buffer < 2_000
}

/// Whether the host asks on and on where others give up.
pub(super) fn probes(host: &HostSpec) -> bool {
    transport(host).on_silence == OnSilence::Probe
}

/// A direction in which the host's peers may open streams, if there is one.
pub(super) fn open_direction(host: &HostSpec) -> Option<Direction> {
    let transport = transport(host);
    match (transport.one_way_streams, transport.two_way_streams) {
        (0, 0) => None,
        (0, _) => Some(Direction::TwoWay),
        _ => Some(Direction::OneWay),
    }
}

/// The longest message that the host takes.
pub(super) fn message_max(host: &HostSpec) -> u64 {
    transport(host).message_max
}

/// Whether the host's user bounds its connections.
pub(super) fn is_bounded(host: &HostSpec) -> bool {
    let bounds =
        |setting: &Setting| matches!(setting, Setting::Connections(_) | Setting::Memory(_));
    host.settings.iter().any(bounds)
}

/// How many connections the host's endpoint may have.
pub(super) fn connections_max(scenario: &Scenario, host: &HostSpec) -> u64 {
    u64::from(config(scenario, host).connections_max)
}

/// How many datagrams a train of the host may have.
pub(super) fn segments(host: &HostSpec) -> u64 {
    let own = host.settings.iter().rev().find_map(|setting| match setting {
        Setting::Segments(value) => Some((*value).clamp(1, 64)),
        _ => None,
    });
    own.unwrap_or(64)
}

/// How many bytes of one stream two engines may keep together, that of the sender and that of the
/// receiver, if no message is longer than `longest`: what waits, one message more, and the credit.
pub(super) fn buffered(sender: &HostSpec, receiver: &HostSpec, longest: u64) -> u64 {
    let (sender, receiver) = (transport(sender), transport(receiver));
    let credit = receiver.stream_credit.max(receiver.stream_credit_max);
    let credit = credit.max(receiver.message_max.saturating_add(8));
    sender.send_buffer.saturating_add(longest).saturating_add(credit)
}

/// How all loops behave.
pub(super) fn discipline(scenario: &Scenario) -> Discipline {
    let settings = scenario.hosts.iter().flat_map(|host| &host.settings);
    let sloppy = settings.filter_map(|setting| match setting {
        Setting::Sloppy(chance) => Some(*chance),
        _ => None,
    });
    match sloppy.max().unwrap_or(Chance::NEVER) {
        Chance::NEVER => Discipline::default(),
        chance => Discipline::sloppy(chance),
    }
}
