//! What the links are like at the start, and the knobs of a link at any time.

use super::Feature as F;
use super::hosts::Cast;
use super::{Family, Plan};
use crate::chance::Chance;
use crate::link::JitterShape;
use crate::scenario::{Knob, LinkSpec, Management, Way};
use crate::swarm::dice::Dice;
use tripline_sansio::Duration;

const MICRO: Duration = Duration::from_micros(1);

/// The features that are knobs of links, in the order in which they are turned.
const KINDS: [F; 13] = [
    F::Jitter,
    F::JitterShape,
    F::FreeOrder,
    F::Loss,
    F::Bursts,
    F::Blackouts,
    F::Damage,
    F::Tampering,
    F::Copies,
    F::Reorder,
    F::Police,
    F::Rate,
    F::Mtu,
];

/// One link for each client and server, one line for both ways or one line each.
pub(super) fn draw(plan: &Plan, cast: &Cast) -> Vec<LinkSpec> {
    let mut links = Vec::new();
    for client in cast.clients() {
        for server in cast.servers() {
            let name = format!("{}-{}", client.name, server.name);
            let way = Way { from: client.name.clone(), to: server.name.clone(), both: true };
            if plan.has(F::Asymmetry) && plan.dice(format!("{name} asymmetry")).percent(70) {
                let back = Way { from: way.to.clone(), to: way.from.clone(), both: false };
                let there = Way { both: false, ..way };
                links.push(LinkSpec { way: there, knobs: knobs(plan, &format!("{name} there")) });
                links.push(LinkSpec { way: back, knobs: knobs(plan, &format!("{name} back")) });
            } else {
                links.push(LinkSpec { way, knobs: knobs(plan, &name) });
            }
        }
    }
    links
}

/// All knobs of a link called `name`.
pub(super) fn knobs(plan: &Plan, name: &str) -> Vec<Knob> {
    let mut knobs = vec![Knob::Delay(delay(plan, &mut plan.dice(format!("{name} delay"))))];
    for feature in KINDS {
        let mut dice = plan.dice(format!("{name} {feature:?}"));
        // What exists in the scenario exists on most links.
        if plan.has(feature) && dice.percent(75) {
            turn(plan, feature, &mut dice, &mut knobs);
        }
    }
    knobs
}

/// Some knobs of a link, turned again on the way.
pub(super) fn some_knobs(plan: &Plan, name: &str) -> Vec<Knob> {
    let mut dice = plan.dice(format!("{name} which"));
    let mut all = knobs(plan, name);
    all.retain(|_| dice.percent(60));
    if all.is_empty() {
        all.push(Knob::Delay(delay(plan, &mut dice)));
    }
    all
}

fn delay(plan: &Plan, dice: &mut Dice) -> Duration {
    if dice.percent(8) {
        return Duration::ZERO;
    }
    let most = if plan.extreme("delay") { 3_000_000 } else { 300_000 };
    dice.time(MICRO * 50, MICRO * most)
}

fn turn(plan: &Plan, feature: F, dice: &mut Dice, knobs: &mut Vec<Knob>) {
    let extreme = plan.extreme(&format!("{feature:?}"));
    match feature {
        F::Jitter => {
            knobs.push(Knob::Jitter(
                dice.time(MICRO * 10, MICRO * if extreme { 2_000_000 } else { 100_000 }),
            ));
        }
        F::FreeOrder => knobs.push(Knob::FreeOrder(true)),
        F::JitterShape => {
            let shapes = [JitterShape::Uniform, JitterShape::Normal, JitterShape::Pareto];
            knobs.push(Knob::JitterShape(dice.pick(shapes)));
            knobs.push(Knob::JitterKept(dice.chance(10_000, 900_000)));
        }
        F::Bursts if dice.percent(20) => knobs.push(Knob::LoseEvery(dice.log(2, 1_000))),
        F::Bursts => bursts(extreme, dice, knobs),
        F::Blackouts => {
            let longest = if extreme { 10_000_000 } else { 1_000_000 };
            let lasting = dice.time(MICRO * 1_000, MICRO * longest);
            let every = dice.time(lasting * 2, (lasting * 4).max(plan.lasts / 2));
            knobs.push(Knob::Blackout(lasting));
            knobs.push(Knob::BlackoutEvery(every));
            if dice.percent(50) {
                knobs.push(Knob::BlackoutFirst(dice.within(every)));
            }
        }
        F::Damage => damage(extreme, dice, knobs),
        F::Tampering => {
            let kinds = [Knob::Bleach, Knob::Remark, Knob::EctLost];
            knobs.push(dice.pick(kinds)(
                dice.chance(1_000, if extreme { 1_000_000 } else { 300_000 }),
            ));
        }
        F::Police => {
            knobs.push(Knob::Police(dice.log(20_000, 12_500_000)));
            knobs.push(Knob::PoliceBurst(dice.log(3_000, 100_000)));
        }
        F::Loss => knobs.push(Knob::Loss(loss(extreme, dice))),
        F::Copies => {
            knobs.push(Knob::Copies(dice.chance(1_000, if extreme { 500_000 } else { 200_000 })));
            if dice.percent(50) {
                knobs.push(Knob::CopiesMost(if dice.percent(50) {
                    1
                } else {
                    dice.pick([2, 3, 5])
                }));
                knobs.push(Knob::CopiesDelay(dice.time(MICRO * 100, MICRO * 10_000_000)));
            }
        }
        F::Reorder => {
            knobs.push(Knob::Reorder(dice.chance(1_000, 500_000)));
            let most = if extreme { 10_000_000 } else { 500_000 };
            knobs.push(Knob::ReorderDelay(dice.time(MICRO * 100, MICRO * most)));
        }
        F::Rate => rate(plan, extreme, dice, knobs),
        F::Mtu => knobs.push(Knob::Mtu(mtu(plan, dice))),
        _ => {}
    }
}

fn loss(extreme: bool, dice: &mut Dice) -> Chance {
    if extreme { dice.chance(200_000, 500_000) } else { dice.chance(1_000, 200_000) }
}

fn bursts(extreme: bool, dice: &mut Dice, knobs: &mut Vec<Knob>) {
    knobs.push(Knob::BurstStart(dice.chance(1_000, 100_000)));
    knobs.push(Knob::BurstEnd(dice.chance(if extreme { 20_000 } else { 50_000 }, 500_000)));
    knobs.push(Knob::BurstLoss(dice.chance(300_000, 1_000_000)));
    if dice.percent(50) {
        knobs.push(Knob::BurstMost(dice.log(1, 100)));
    }
}

/// Some of the ways in which datagrams are damaged.
fn damage(extreme: bool, dice: &mut Dice, knobs: &mut Vec<Knob>) {
    let most = if extreme { 300_000 } else { 50_000 };
    let kinds = [Knob::Flip, Knob::Swap, Knob::Splice, Knob::Truncate, Knob::Extend];
    let before = knobs.len();
    for kind in kinds {
        let chance = dice.chance(1_000, most);
        if dice.percent(40) {
            knobs.push(kind(chance));
        }
    }
    if knobs.len() == before {
        knobs.push(dice.pick(kinds)(dice.chance(1_000, most)));
    }
}

/// A bottleneck, with a queue between a few datagrams and seconds.
fn rate(plan: &Plan, extreme: bool, dice: &mut Dice, knobs: &mut Vec<Knob>) {
    let least = match plan.family {
        Family::Bulk => 100_000,
        _ if extreme => 1_000,
        _ => 8_000,
    };
    knobs.push(Knob::Rate(
        dice.log(least, if plan.family == Family::Bulk { 125_000_000 } else { 12_500_000 }),
    ));
    let queue = dice.log(3_000, 400_000);
    knobs.push(Knob::Queue(queue));
    if plan.has(F::Managed) && dice.percent(70) {
        let managed = [Management::TailDrop, Management::CoDel, Management::CoDelEcn];
        knobs.push(Knob::Aqm(dice.pick(managed)));
        if dice.percent(35) {
            red(queue, dice, knobs);
        }
        if dice.percent(50) {
            knobs.push(Knob::QueuePackets(dice.log(3, 1_000)));
        }
    }
    if plan.has(F::Marks) && dice.percent(70) {
        knobs.push(Knob::MarkAbove(dice.log(1_500, queue)));
    }
}

/// RED in place of another management, for a queue of so many bytes.
fn red(queue: u64, dice: &mut Dice, knobs: &mut Vec<Knob>) {
    let _before = knobs.pop();
    knobs.push(Knob::Aqm(dice.pick([Management::Red, Management::RedEcn])));
    let least = dice.log(1_500, queue);
    knobs.push(Knob::RedLeast(least));
    if dice.percent(50) {
        knobs.push(Knob::RedMost(dice.log(least, queue.max(least))));
    }
}

/// Mostly what connections can live with; a path that carries less is as good as cut.
fn mtu(plan: &Plan, dice: &mut Dice) -> u64 {
    if dice.percent(if plan.family == Family::TinyMtu { 60 } else { 30 }) {
        return dice.pick([1_200, 1_201, 1_228, 1_252, 1_280]);
    }
    dice.between(1_200, 1_500)
}
