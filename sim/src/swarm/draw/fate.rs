//! What happens to hosts and links: cuts, moves, crashes, pauses, and what attackers do.

use super::Feature as F;
use super::hosts::{Cast, address};
use super::links::some_knobs;
use super::work::by;
use super::{Family, Plan, step};
use crate::scenario::{Action, Deed, HostSpec, LinkSpec, Pace, Refusal, Step, Way};
use crate::swarm::dice::Dice;
use std::net::SocketAddr;
use tripline_sansio::Duration;

const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// All of it. The order of the features is that of the steps where times are equal.
pub(super) fn draw(plan: &Plan, cast: &Cast) -> Vec<Step> {
    let mut steps = Vec::new();
    for client in cast.clients() {
        for server in cast.servers() {
            let pair = (client, server);
            strikes(plan, F::Cuts, &format!("{}-{}", client.name, server.name), |at, dice| {
                cut(plan, pair, at, dice, &mut steps);
            });
            let mut number = 0;
            strikes(plan, F::Changes, &format!("{}-{}", client.name, server.name), |at, dice| {
                number += 1;
                steps.push(change(plan, pair, at, number, dice));
            });
        }
    }
    for (number, host) in cast.hosts.iter().enumerate() {
        moves(plan, cast, number, host, &mut steps);
        crashes(plan, cast, host, &mut steps);
        halts(plan, host, &mut steps);
        attacks(plan, cast, host, &mut steps);
    }
    steps
}

/// Calls `fault` for each time that a kind of fault strikes somebody.
pub(super) fn strikes(
    plan: &Plan,
    feature: F,
    whom: &str,
    mut fault: impl FnMut(Duration, &mut Dice),
) {
    let mut dice = plan.dice(format!("{whom} {feature:?}"));
    // Those that the family is about strike all; others one in two.
    let sure = plan.family.brings().contains(&feature);
    if !plan.has(feature) || !(sure || dice.percent(50)) {
        return;
    }
    let most = if sure { plan.scale.faults } else { plan.scale.faults.min(4) };
    let count = dice.log(1, most);
    for _ in 0..count {
        let at = dice.within(plan.lasts);
        fault(at, &mut dice);
    }
}

fn cut(
    plan: &Plan,
    pair: (&HostSpec, &HostSpec),
    at: Duration,
    dice: &mut Dice,
    to: &mut Vec<Step>,
) {
    let (client, server) = pair;
    let (both, forth) = (dice.percent(50), dice.percent(50));
    let (from, other) = if forth { (client, server) } else { (server, client) };
    let way = Way { from: from.name.clone(), to: other.name.clone(), both };
    to.push(step(at, Action::Cut(way.clone())));
    let long = dice.time(MILLI, (plan.lasts / 2).max(MILLI));
    // Some stay cut until everything is healed.
    if let (true, Some(at)) = (dice.percent(90), plan.later(at, long)) {
        to.push(step(at, Action::Heal(way)));
    }
}

fn change(
    plan: &Plan,
    pair: (&HostSpec, &HostSpec),
    at: Duration,
    number: u64,
    dice: &mut Dice,
) -> Step {
    let (client, server) = pair;
    let both = dice.percent(60);
    let (from, to) = if dice.percent(50) { (client, server) } else { (server, client) };
    let way = Way { from: from.name.clone(), to: to.name.clone(), both };
    let name = format!("{}-{} change {number}", client.name, server.name);
    step(at, Action::Link(LinkSpec { way, knobs: some_knobs(plan, &name) }))
}

/// Clients move, servers hardly ever. Some come back to where they were.
fn moves(plan: &Plan, cast: &Cast, number: usize, host: &HostSpec, steps: &mut Vec<Step>) {
    if number < cast.servers && !plan.dice(format!("{} roams", host.name)).percent(5) {
        return;
    }
    let mut count = 0_u16;
    let mut been: Vec<SocketAddr> = vec![host.address];
    let mut times = Vec::new();
    strikes(plan, F::Move, &host.name, |at, dice| {
        times.push((at, dice.between(0, 99), dice.percent(50)))
    });
    // In order of time, so that `been` is where the host was before.
    times.sort();
    for (at, kind, told) in times {
        count += 1;
        let now = been.last().copied().unwrap_or(host.address);
        let next = match kind {
            // Another port: what a translator of addresses does.
            0..=44 => SocketAddr::new(now.ip(), 20_000 + count),
            45..=59 if now != host.address => host.address,
            // Nobody else gets this network.
            _ => address(plan, 100, number as u64 * 256 + u64::from(count), 1_000),
        };
        steps.push(by(&host.name, at, Deed::Move(next)));
        if told && plan.has(F::NetworkChanged) {
            steps.push(by(&host.name, at, Deed::NetworkChanged));
        }
        been.push(next);
    }
}

fn crashes(plan: &Plan, cast: &Cast, host: &HostSpec, steps: &mut Vec<Step>) {
    // With many hosts, a few crash.
    let few = 200 / cast.hosts.len().max(1) as u64;
    if !plan.dice(format!("{} crashes", host.name)).percent(few.clamp(10, 80)) {
        return;
    }
    let mut times = Vec::new();
    strikes(plan, F::Crash, &host.name, |at, dice| {
        let back = dice.percent(85);
        times.push((at, back.then(|| dice.time(MILLI, (plan.lasts / 3).max(MILLI)))));
    });
    times.sort();
    for (at, back) in times {
        steps.push(by(&host.name, at, Deed::Crash));
        if let Some(at) = back.and_then(|after| plan.later(at, after)) {
            steps.push(by(&host.name, at, Deed::Restart));
        }
    }
}

/// Pauses, jumps of the clock, sockets that take nothing.
fn halts(plan: &Plan, host: &HostSpec, steps: &mut Vec<Step>) {
    let name = host.name.as_str();
    let long = |dice: &mut Dice, extreme: Duration| {
        let most = if dice.percent(15) { extreme } else { plan.lasts / 4 };
        dice.time(MILLI, most.max(MILLI))
    };
    strikes(plan, F::Pause, name, |at, dice| {
        let pause = long(dice, plan.lasts);
        steps.push(by(name, at, Deed::Pause(pause)));
    });
    strikes(plan, F::Jump, name, |at, dice| {
        let jump = long(dice, SECOND * 86_400);
        steps.push(by(name, at, Deed::Jump(jump)));
    });
    strikes(plan, F::Block, name, |at, dice| {
        steps.push(by(name, at, Deed::Block(dice.time(MILLI / 10, SECOND * 5))));
    });
    strikes(plan, F::Clocks, name, |at, dice| {
        steps.push(by(name, at, Deed::Clock(pace(plan, dice))));
    });
    strikes(plan, F::Refusals, name, |at, dice| {
        steps.push(by(name, at, Deed::Refuses(refusal(dice))));
        let until = plan.later(at, dice.time(MILLI, SECOND * 20));
        if let (true, Some(at)) = (dice.percent(85), until) {
            steps.push(by(name, at, Deed::Refuses(Refusal::default())));
        }
    });
}

/// The pace of a clock: mostly nearly right, up to a fifth too slow or too fast.
pub(super) fn pace(plan: &Plan, dice: &mut Dice) -> Pace {
    let size = i32::try_from(dice.log(1, 200_000)).unwrap_or(0);
    let skew = if dice.percent(50) { size } else { -size };
    if !dice.percent(40) {
        return Pace { skew, ..Pace::default() };
    }
    // Each change of pace costs a turn of the loop.
    let least = (plan.lasts / 500).max(MILLI * 10);
    let every = dice.time(least, least.max(SECOND * 60));
    Pace { skew, wander: Some(dice.chance(10, 100_000)), every: Some(every) }
}

/// What a system does not send for a while: the larger ones, some, or nothing at all.
fn refusal(dice: &mut Dice) -> Refusal {
    match dice.between(0, 9) {
        0..=2 => Refusal { all: true, ..Refusal::default() },
        3..=5 => Refusal { longer: Some(dice.between(1_200, 1_500)), ..Refusal::default() },
        _ => Refusal { memory: Some(dice.chance(1_000, 1_000_000)), ..Refusal::default() },
    }
}

/// Replays and noise hit anybody, floods hit servers.
fn attacks(plan: &Plan, cast: &Cast, host: &HostSpec, steps: &mut Vec<Step>) {
    let name = host.name.as_str();
    let over = |dice: &mut Dice| {
        let long = dice.time(MILLI * 10, SECOND * 30);
        if dice.percent(20) { Duration::ZERO } else { long }
    };
    strikes(plan, F::Replay, name, |at, dice| {
        let most = if plan.family == Family::Bulk { 2_000 } else { 500 };
        steps.push(by(name, at, Deed::Replay(dice.log(1, most), over(dice))));
    });
    strikes(plan, F::Garbage, name, |at, dice| {
        steps.push(by(name, at, Deed::Garbage(dice.log(1, 1_000), over(dice))));
    });
    if cast.servers().iter().any(|server| server.name == name) {
        // Each of these OPENs costs its sender a key agreement, and in the worst case the server.
        let most = if plan.family == Family::Flood { 150 } else { 40 };
        strikes(plan, F::Flood, name, |at, dice| {
            steps.push(by(name, at, Deed::Flood(dice.log(1, most), over(dice))));
        });
    }
}
