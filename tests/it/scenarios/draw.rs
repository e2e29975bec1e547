//! The strategy that draws scenarios.
//!
//! Two or three hosts, a few settings and knobs, up to three connections with their streams, and up
//! to forty steps. What is drawn holds names that may stand for nothing when their time comes; such
//! steps are passed over, so any of them can be left out. Everything shrinks: fewer steps first,
//! then earlier and plainer ones, smaller numbers, fewer hosts.
//!
//! The numbers are small on purpose: limits of a few hundred bytes, a handful of streams, times in
//! steps of ten milliseconds, which is also what most links take. So messages meet credit, ends
//! meet ends, and what is sent at the same moment crosses.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use std::net::{IpAddr, SocketAddr};
use tripline::{Direction, Order, Profile, Reliability};
use tripline_sim::scenario::{
    Action, Controller, Deed, HostKind, HostSpec, Knob, LinkSpec, NatDeed, NatKind, NatKnob,
    NatSpec, Pace, Reading, Refusal, Scenario, Seal, Setting, Step, Way,
};
use tripline_sim::{Chance, Duration};

/// The most steps behind the opening of connections.
const STEPS: usize = 40;
const HOSTS: [&str; 3] = ["server", "desk", "phone"];
const CONNECTIONS: [&str; 3] = ["c", "d", "e"];
const STREAMS: [&str; 4] = ["q", "r", "s", "t"];

/// Any scenario.
pub(super) fn scenario() -> impl Strategy<Value = Scenario> {
    let hosts = (server(), client("desk", 1), option::of(client("phone", 2)));
    let links = vec(link(), 0..4);
    // Left out, mostly, when the scenario shrinks.
    let opening = vec(option::weighted(0.95, opening()), 1..=3);
    let steps = vec(step(), 0..=STEPS);
    let rest = (0..1_000_u64, 0..5_u64, prop::bool::weighted(0.2));
    // They shrink in this order: when hosts are left out, steps name as few as they can.
    (steps, opening, links, hosts, rest).prop_map(|(steps, opening, links, hosts, rest)| {
        let (server, desk, phone) = hosts;
        let (seed, longer, real) = rest;
        let hosts: Vec<_> = [Some(server), Some(desk), phone].into_iter().flatten().collect();
        let mut steps: Vec<_> =
            opening.into_iter().flatten().zip(CONNECTIONS).flat_map(open).chain(steps).collect();
        let there = |name: &str| hosts.iter().any(|host| host.name == name);
        steps.retain(|step| step.action.hosts().into_iter().all(there));
        let links = links.into_iter().filter(|link| both(&link.way).into_iter().all(there));
        let links = links.collect();
        steps.sort_by_key(|step| step.at);
        let last = steps.last().map_or(Duration::ZERO, |step| step.at);
        Scenario {
            name: "found".into(),
            about: "Drawn by the property tests, and made small.".into(),
            seed,
            seal: if real { Seal::Real } else { Seal::Fast },
            lasts: last + Duration::from_secs(longer),
            nats: vec![router()],
            hosts,
            links,
            steps,
        }
    })
}

fn both(way: &Way) -> Vec<&str> {
    vec![&way.from, &way.to]
}

/// One of these names.
fn one<const N: usize>(names: [&'static str; N]) -> impl Strategy<Value = String> {
    (0..N).prop_map(move |at| names[at].to_owned())
}

/// From nothing to `most` steps of ten milliseconds.
fn tens(most: u64) -> impl Strategy<Value = Duration> {
    (0..=most).prop_map(|tens| Duration::from_millis(10 * tens))
}

/// When something happens: mostly soon, while connections come about and streams are young.
fn time() -> impl Strategy<Value = Duration> {
    prop_oneof![5 => tens(10), 5 => tens(60), 3 => tens(300), 2 => tens(1_000)]
}

/// A size: nothing, a few bytes, about a datagram, more than one.
fn size() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0..20_u64, 3 => 100..400_u64, 2 => 1_100..1_300_u64, 2 => 2_000..20_000_u64]
}

fn chance(most: u32) -> impl Strategy<Value = Chance> {
    (0..=most).prop_map(Chance::percent)
}

// Hosts.

fn server() -> impl Strategy<Value = HostSpec> {
    let kind = prop_oneof![5 => Just(HostKind::Public), 1 => Just(HostKind::Private)];
    host("server", 0, kind, vec(prop_oneof![settings(), served()], 0..4))
}

/// A host that may be a server too, so that hosts may call each other.
fn client(name: &'static str, number: u8) -> impl Strategy<Value = HostSpec> {
    let all = [(4, HostKind::Client), (3, HostKind::Known), (1, HostKind::Public)];
    let kind = proptest::strategy::Union::new_weighted(
        all.map(|(often, kind)| (often, Just(kind))).to_vec(),
    );
    let host = host(name, number, kind, vec(settings(), 0..4));
    (host, prop::bool::weighted(0.3)).prop_map(|(host, inside)| {
        // Nobody finds a server behind a NAT.
        let behind = (inside && !host.kind.is_server()).then(|| "router".to_owned());
        HostSpec { behind, ..host }
    })
}

fn host(
    name: &'static str,
    number: u8,
    kind: impl Strategy<Value = HostKind>,
    settings: impl Strategy<Value = Vec<Vec<Setting>>>,
) -> impl Strategy<Value = HostSpec> {
    (kind, settings).prop_map(move |(kind, settings)| HostSpec {
        name: name.into(),
        kind,
        address: SocketAddr::from(([10, 0, number, 1], 1_000)),
        behind: None,
        settings: settings.concat(),
    })
}

/// The only NAT; hosts behind it are few.
fn router() -> NatSpec {
    NatSpec {
        name: "router".into(),
        outside: IpAddr::from([10, 0, 8, 1]),
        kind: NatKind::Home,
        behind: None,
        knobs: Vec::new(),
    }
}

/// Settings that belong together.
fn settings() -> BoxedStrategy<Vec<Setting>> {
    let single = prop_oneof![
        2 => tens(500).prop_map(|time| Setting::Idle(time + Duration::from_millis(500))),
        2 => tens(100).prop_map(|time| Setting::KeepAlive(time + Duration::from_millis(50))),
        2 => (0..4_u64).prop_map(Setting::TwoWay),
        2 => (0..4_u64).prop_map(Setting::OneWay),
        2 => (1..5_000_u64).prop_map(Setting::SendBuffer),
        1 => tens(10).prop_map(|time| Setting::AckDelay(time + Duration::from_millis(1))),
        2 => select(vec![Controller::NewReno, Controller::Bbr]).prop_map(Setting::Congestion),
        1 => select(vec![1_200, 1_472, 9_000]).prop_map(Setting::Ceiling),
        1 => Just(Setting::Ecn(false)),
        1 => Just(Setting::Probe(true)),
        2 => (8..60_u64).prop_map(Setting::RenewPackets),
        1 => tens(300).prop_map(|time| Setting::RenewAfter(time + Duration::from_millis(200))),
        1 => Just(Setting::Aes(true)),
        1 => (1..4_u64).prop_map(Setting::Segments),
        1 => chance(30).prop_map(Setting::Sloppy),
        1 => select(Profile::ALL.to_vec()).prop_map(Setting::Profile),
    ];
    prop_oneof![4 => single.prop_map(|setting| vec![setting]), 1 => credit()].boxed()
}

/// As little credit as the largest message needs, or hardly more.
fn credit() -> impl Strategy<Value = Vec<Setting>> {
    (1..400_u64, 0..20_u64, 0..20_u64).prop_map(|(message, stream, connection)| {
        let stream = message + 8 + stream;
        let connection = stream + connection;
        vec![
            Setting::MessageMax(message),
            Setting::StreamCredit(stream),
            Setting::ConnectionCredit(connection),
            Setting::CreditMax(connection),
        ]
    })
}

/// What only servers have.
fn served() -> BoxedStrategy<Vec<Setting>> {
    let setting = prop_oneof![
        3 => Just(Setting::Echo(true)),
        1 => (0..2_u64).prop_map(Setting::RetryAbove),
        1 => (1..4_u64).prop_map(Setting::Connections),
    ];
    setting.prop_map(|setting| vec![setting]).boxed()
}

// Links.

/// One way, or both, between two different hosts.
fn way() -> impl Strategy<Value = Way> {
    (0..3_usize, 1..3_usize, any::<bool>()).prop_map(|(from, next, one)| Way {
        from: HOSTS[from].into(),
        to: HOSTS[(from + next) % 3].into(),
        both: !one,
    })
}

fn link() -> impl Strategy<Value = LinkSpec> {
    (way(), vec(knob(), 1..4)).prop_map(|(way, knobs)| LinkSpec { way, knobs: knobs.concat() })
}

/// Knobs that belong together.
fn knob() -> BoxedStrategy<Vec<Knob>> {
    let rate = (1_000..500_000_u64, 3_000..60_000_u64)
        .prop_map(|(rate, queue)| vec![Knob::Rate(rate), Knob::Queue(queue)]);
    let copies = (chance(30), 1..4_u8, tens(50)).prop_map(|(often, most, delay)| {
        vec![Knob::Copies(often), Knob::CopiesMost(most), Knob::CopiesDelay(delay)]
    });
    let reorder = (chance(50), tens(50))
        .prop_map(|(often, delay)| vec![Knob::Reorder(often), Knob::ReorderDelay(delay)]);
    let jitter = (tens(10), any::<bool>())
        .prop_map(|(jitter, free)| vec![Knob::Jitter(jitter), Knob::FreeOrder(free)]);
    prop_oneof![
        4 => tens(30).prop_map(|delay| vec![Knob::Delay(delay)]),
        4 => chance(40).prop_map(|loss| vec![Knob::Loss(loss)]),
        2 => jitter,
        2 => copies,
        2 => reorder,
        2 => rate,
        1 => (0..20_000_u64).prop_map(|above| vec![Knob::MarkAbove(above)]),
        1 => (1_200..1_500_u64).prop_map(|mtu| vec![Knob::Mtu(mtu)]),
    ]
    .boxed()
}

// Steps.

/// A connection, and streams on it at once: by which host, when, and which.
type Opening = (String, Duration, Vec<Deed>);

fn opening() -> impl Strategy<Value = Opening> {
    (one(["desk", "phone"]), time(), vec(open_stream(Just(String::new())), 0..4))
}

/// The steps of an opening whose connection gets this name.
fn open(((host, at, streams), name): (Opening, &'static str)) -> Vec<Step> {
    let to = "server".to_owned();
    let mut deeds = vec![Deed::Connect { to, name: name.into(), deadline: None }];
    deeds.extend(streams.into_iter().map(|deed| match deed {
        Deed::Open { stream, order, direction, priority, .. } => {
            Deed::Open { stream, order, direction, on: name.into(), priority }
        }
        other => other,
    }));
    let step = |deed| Step { at, action: Action::Host(host.clone(), deed), repeat: None };
    deeds.into_iter().map(step).collect()
}

fn step() -> impl Strategy<Value = Step> {
    let host = || one(HOSTS);
    let by = |deed: BoxedStrategy<Deed>| {
        (host(), deed).prop_map(|(host, deed)| Action::Host(host, deed)).boxed()
    };
    let action = prop_oneof![
        30 => by(messages()),
        12 => by(ends()),
        10 => by(reading()),
        10 => by(connections()),
        12 => by(fate()),
        3 => by(attack()),
        4 => way().prop_map(Action::Heal),
        4 => way().prop_map(Action::Cut),
        4 => link().prop_map(Action::Link),
        4 => nat().prop_map(|deed| Action::Nat("router".into(), deed)),
    ];
    (time(), action).prop_map(|(at, action)| Step { at, action, repeat: None })
}

fn open_stream(on: impl Strategy<Value = String>) -> impl Strategy<Value = Deed> {
    let order = (0..4_usize)
        .prop_map(|at| [Order::Ordered, Order::Bytes, Order::Unordered, Order::Latest][at]);
    let direction =
        any::<bool>().prop_map(|two| if two { Direction::TwoWay } else { Direction::OneWay });
    (one(STREAMS), order, direction, on, option::weighted(0.2, 0..8_u8)).prop_map(
        |(stream, order, direction, on, priority)| Deed::Open {
            stream,
            order,
            direction,
            on,
            priority,
        },
    )
}

fn messages() -> BoxedStrategy<Deed> {
    let reliability = prop_oneof![
        5 => Just(Reliability::Reliable),
        1 => Just(Reliability::Unreliable),
        1 => (2..4_u8).prop_map(Reliability::Transmissions),
    ];
    let every = option::weighted(0.3, tens(10));
    let expires = option::weighted(0.2, tens(20));
    let send = (one(STREAMS), size(), 1..30_u64, every, reliability, expires).prop_map(
        |(stream, bytes, times, every, reliability, expires)| Deed::Send {
            stream,
            bytes,
            times,
            every,
            reliability,
            expires,
        },
    );
    prop_oneof![
        5 => send,
        2 => open_stream(one(CONNECTIONS)),
        1 => (one(STREAMS), 0..8_u8).prop_map(|(stream, level)| Deed::Priority(stream, level)),
    ]
    .boxed()
}

/// The ends of streams.
fn ends() -> BoxedStrategy<Deed> {
    prop_oneof![
        2 => one(STREAMS).prop_map(Deed::Finish),
        1 => (one(STREAMS), 0..4_u64).prop_map(|(stream, code)| Deed::CloseStream(stream, code)),
        1 => (one(STREAMS), 0..4_u64).prop_map(|(stream, code)| Deed::Stop(stream, code)),
    ]
    .boxed()
}

fn reading() -> BoxedStrategy<Deed> {
    prop_oneof![
        2 => Just(Deed::Reading(Reading::All)),
        2 => Just(Deed::Reading(Reading::Nothing)),
        1 => (100..20_000_u64).prop_map(|rate| Deed::Reading(Reading::Rate(rate))),
        2 => (one(STREAMS), 1..20_u64).prop_map(|(stream, times)| Deed::Read(stream, times)),
    ]
    .boxed()
}

fn connections() -> BoxedStrategy<Deed> {
    let deadline = option::weighted(0.3, tens(300));
    let connect = (one(["server", "desk", "phone"]), one(CONNECTIONS), deadline)
        .prop_map(|(to, name, deadline)| Deed::Connect { to, name, deadline });
    prop_oneof![
        4 => connect,
        4 => one(CONNECTIONS).prop_map(Deed::Renew),
        4 => (one(CONNECTIONS), tens(300)).prop_map(|(name, grace)| Deed::Close(name, grace)),
        2 => one(CONNECTIONS).prop_map(Deed::Kill),
        2 => Just(Deed::NetworkChanged),
        1 => tens(300).prop_map(Deed::ShutDown),
    ]
    .boxed()
}

/// What happens to a host.
fn fate() -> BoxedStrategy<Deed> {
    let address = (0..4_u8, 1_000..1_003_u16)
        .prop_map(|(last, port)| Deed::Move(SocketAddr::from(([10, 0, 9, last], port))));
    prop_oneof![
        3 => Just(Deed::Restart),
        2 => Just(Deed::Crash),
        3 => address,
        2 => tens(200).prop_map(Deed::Pause),
        2 => tens(3_000).prop_map(Deed::Jump),
        2 => tens(100).prop_map(Deed::Block),
        2 => pace().prop_map(Deed::Clock),
        3 => refusal().prop_map(Deed::Refuses),
    ]
    .boxed()
}

/// A clock that is up to a fifth wrong, or wanders, or is right again.
fn pace() -> impl Strategy<Value = Pace> {
    let skew = prop_oneof![1 => Just(0), 3 => -200_000..=200_000_i32];
    let wander = option::weighted(0.3, chance(20));
    (skew, wander).prop_map(|(skew, wander)| Pace { skew, wander, every: None })
}

/// What a system does not send: most often nothing, so that it comes to an end.
fn refusal() -> impl Strategy<Value = Refusal> {
    let longer = option::weighted(0.3, 1_200..1_500_u64);
    let memory = option::weighted(0.3, chance(60));
    (longer, memory, prop::bool::weighted(0.2)).prop_map(|(longer, memory, all)| Refusal {
        longer,
        memory,
        all,
    })
}

fn nat() -> impl Strategy<Value = NatDeed> {
    let timeout = tens(500).prop_map(|time| vec![NatKnob::Timeout(time)]);
    prop_oneof![
        3 => Just(NatDeed::Reboot),
        1 => (2..5_u8).prop_map(|last| NatDeed::Readdress(IpAddr::from([10, 0, 8, last]))),
        1 => timeout.prop_map(NatDeed::Turn),
    ]
}

fn attack() -> BoxedStrategy<Deed> {
    prop_oneof![
        (1..50_u64, tens(200)).prop_map(|(count, over)| Deed::Replay(count, over)),
        (1..50_u64, tens(200)).prop_map(|(count, over)| Deed::Garbage(count, over)),
        (1..10_u64, tens(200)).prop_map(|(count, over)| Deed::Flood(count, over)),
    ]
    .boxed()
}
