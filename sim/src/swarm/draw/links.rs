//! What the links are like at the start, and the knobs of a link at any time.

use super::Feature as F;
use super::hosts::Cast;
use super::{Family, Plan};
use crate::chance::Chance;
use crate::scenario::{Knob, LinkSpec, Way};
use crate::swarm::dice::Dice;
use tripline_sansio::Duration;

const MICRO: Duration = Duration::from_micros(1);

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
    for feature in [F::Jitter, F::FreeOrder, F::Loss, F::Copies, F::Reorder, F::Rate, F::Mtu] {
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
    if plan.has(F::Marks) && dice.percent(70) {
        knobs.push(Knob::MarkAbove(dice.log(1_500, queue)));
    }
}

/// Mostly what connections can live with; a path that carries less is as good as cut.
fn mtu(plan: &Plan, dice: &mut Dice) -> u64 {
    if dice.percent(if plan.family == Family::TinyMtu { 60 } else { 30 }) {
        return dice.pick([1_200, 1_201, 1_228, 1_252, 1_280]);
    }
    dice.between(1_200, 1_500)
}
