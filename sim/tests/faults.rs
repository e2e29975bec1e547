//! The transport itself in a world with everything switched on: a transfer behind two NATs over a
//! bad, managed, damaging link, between hosts that sleep, whose clocks are wrong and whose systems
//! refuse to send. Once the world is well it ends, and every run repeats.

use std::net::SocketAddr;
use tripline_sim::engine::{Contender, Engine, Task, Tripline};
use tripline_sim::{
    Aqm, AsleepClock, AsleepSocket, Bursts, Chance, ClockConfig, CoDel, DamageConfig, DropCause,
    Duration, EcnConfig, HostId, JitterShape, LinkConfig, NatConfig, NatId, SendFaults, Totals,
    World,
};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const BYTES: u64 = 300_000;

type Engines = World<Box<dyn Engine>>;

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, last], 4_000))
}

/// A link with every knob turned a little.
fn bad_link() -> LinkConfig {
    let one = Chance::permille(10);
    LinkConfig::lossy(one)
        .delay(20 * MS)
        .jitter(10 * MS)
        .jitter_shape(JitterShape::Pareto)
        .jitter_correlation(Chance::percent(50))
        .free_order()
        .bursts(Bursts::new(one, Chance::percent(30), Chance::percent(80)).longest(10))
        .lose_every(97)
        .blackouts(2 * SECOND, 50 * MS)
        .duplicate(one, 30 * MS)
        .reorder(one, 40 * MS)
        .damage(DamageConfig::every(Chance::permille(5)))
        .ecn(EcnConfig { bleach: one, remark: one, lose: one })
        .rate(250_000, 60_000)
        .queue_packets(40)
        .aqm(Aqm::CoDel(CoDel { ecn: true, ..CoDel::DEFAULT }))
        .policer(240_000, 30_000)
}

/// A sender (host 0) behind a router behind a carrier's NAT, a receiver (host 1) in the open.
fn setting(seed: u64) -> (Engines, [HostId; 2], [NatId; 2]) {
    let mut world = Engines::new(seed);
    let task = Task { bytes: BYTES, receiver: address(2), datagram: 1_200 };
    let contender = Tripline::named("cubic").expect("there is such a controller");
    let ends = contender.ends(&task, &world.seed_for("ends")).expect("the ends are made");
    let sender = world.add_host(address(1), ends.sender);
    let receiver = world.add_host(address(2), ends.receiver);
    let home = NatConfig::home().timeout(20 * SECOND).outbound_refresh_only();
    let home = world.add_nat([203, 0, 113, 1].into(), home);
    let carrier = world.add_nat([203, 0, 113, 2].into(), NatConfig::symmetric());
    world.put_behind(sender, home);
    world.put_nat_behind(home, carrier);
    world.set_links(sender, receiver, bad_link());
    world.set_clock(sender, ClockConfig::skew(50_000).drift(Chance::percent(2), SECOND));
    world.set_clock(receiver, ClockConfig::skew(-50_000));
    (world, [sender, receiver], [home, carrier])
}

/// One fault after the other, drawn from the seed.
fn trouble(world: &mut Engines, hosts: [HostId; 2], nats: [NatId; 2]) {
    let mut random = world.random("trouble");
    for _ in 0..12 {
        let one = hosts[usize::from(random.chance(1, 2))];
        let other = if one == hosts[0] { hosts[1] } else { hosts[0] };
        let time = MS * (random.below(400) as u32 + 1);
        match random.below(6) {
            0 => world.reboot_nat(nats[usize::from(random.chance(1, 2))]),
            1 => world.cut(one, other),
            2 => world.pause(one, AsleepSocket::Keep(20_000), AsleepClock::Stops),
            3 => world.pause(one, AsleepSocket::Lose, AsleepClock::Runs),
            4 => world.block_sending(one, time),
            _ => {
                let no_buffers = Chance::percent(50);
                let faults = SendFaults { longest: 1_000, unreachable: false, no_buffers };
                world.set_send_faults(one, faults);
            }
        }
        world.run_for(time);
        world.heal(one, other);
        world.resume(one);
        world.set_send_faults(one, SendFaults::NONE);
        world.run_for(200 * MS);
        assert_balanced(world);
    }
}

fn assert_balanced(world: &Engines) {
    let totals = world.totals();
    let put_in = totals.offered + totals.injected + totals.copies;
    let taken_out = totals.delivered + totals.dropped() + world.in_flight() as u64;
    assert_eq!(put_in, taken_out, "{totals:?}");
}

fn run(seed: u64) -> (u64, Totals) {
    let (mut world, hosts, nats) = setting(seed);
    for host in [hosts[1], hosts[0]] {
        world.with(host, |engine, now| engine.begin(now));
    }
    trouble(&mut world, hosts, nats);
    world.heal_all(LinkConfig::perfect().delay(20 * MS));
    let ended = world.run_while(120 * SECOND, |world| {
        let [sent, taken] = hosts.map(|host| world.machine(host).progress());
        assert_eq!((sent.failed, taken.failed), (None, None), "seed {seed}");
        taken.finished_at.is_none()
    });
    assert!(ended, "seed {seed}: not finished at {:?}", world.now());
    assert_eq!(world.machine(hosts[1]).progress().payload, BYTES, "seed {seed}");
    assert_balanced(&world);
    (world.trace_hash(), world.totals())
}

#[test]
fn a_transfer_ends_once_a_world_of_faults_is_well() {
    let mut sum = Totals::default();
    let mut causes = Vec::new();
    for seed in 0..8 {
        let (_, totals) = run(seed);
        causes.extend(DropCause::ALL.into_iter().filter(|cause| totals.of(*cause) > 0));
        sum.offered += totals.offered;
        sum.corrupted += totals.corrupted;
    }
    causes.sort_unstable();
    causes.dedup();
    assert!(causes.len() >= 12, "the world was too tame: {causes:?}");
    assert!(sum.corrupted > 10, "{sum:?}");
}

#[test]
fn a_world_of_faults_repeats() {
    assert_eq!(run(3), run(3));
    assert_ne!(run(3).0, run(4).0);
}
