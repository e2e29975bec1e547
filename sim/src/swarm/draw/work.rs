//! Who calls whom and when, and what applications do but for their streams.

use super::Feature as F;
use super::hosts::Cast;
use super::{Family, Plan, step, streams};
use crate::scenario::{Action, Deed, Reading, Step};
use crate::swarm::dice::{Dice, rounded};
use tripline_sansio::Duration;

const MILLI: Duration = Duration::from_millis(1);

/// One connection: by whom, to whom, from when, and perhaps until when.
pub(super) struct Call {
    /// Its name, and that of its dice.
    pub(super) name: String,
    /// The client, by its place among the clients.
    pub(super) client: usize,
    /// The server, by its place among the servers.
    pub(super) server: usize,
    /// When it begins.
    pub(super) start: Duration,
    /// When and how somebody ends it.
    pub(super) end: Option<(Duration, Ending)>,
}

/// How a connection is ended.
#[derive(Clone, Copy)]
pub(super) enum Ending {
    /// In order, within a time.
    Close(Duration),
    /// At once.
    Kill,
}

/// All connections, in no order of time.
pub(super) fn calls(plan: &Plan, cast: &Cast) -> Vec<Call> {
    let clients = cast.clients().len() as u64;
    let mut dice = plan.dice("calls");
    let count = match plan.family {
        // What this family is about.
        Family::Connections => dice.log(plan.scale.connections / 8, plan.scale.connections),
        _ => dice.log(1, plan.scale.connections),
    };
    let mut calls: Vec<Call> = Vec::new();
    for at in 0..count.max(clients) {
        let name = format!("c{at}");
        let mut dice = plan.dice(format!("call {at}"));
        let client = if at < clients { at } else { dice.between(0, clients.saturating_sub(1)) };
        let client = usize::try_from(client).unwrap_or(0);
        let server = usize::try_from(dice.between(0, cast.servers().len() as u64 - 1)).unwrap_or(0);
        let start = start(plan, &calls, client, &mut dice);
        let end = end(plan, start, &mut plan.dice(format!("{name} end")));
        calls.push(Call { name, client, server, start, end });
    }
    calls
}

/// The first connections of a client begin soon, others any time, or when the last one has ended.
fn start(plan: &Plan, calls: &[Call], client: usize, dice: &mut Dice) -> Duration {
    let before = calls.iter().rfind(|call| call.client == client);
    let Some(before) = before else {
        return if dice.percent(40) { Duration::ZERO } else { dice.within(plan.lasts / 8) };
    };
    if let (true, Some((end, _))) = (plan.has(F::Reconnect) && dice.percent(70), before.end) {
        let pause = dice.time(MILLI / 10, (plan.lasts / 20).max(MILLI));
        return plan.later(end, pause).unwrap_or(end);
    }
    dice.within(plan.lasts / 2)
}

fn end(plan: &Plan, start: Duration, dice: &mut Dice) -> Option<(Duration, Ending)> {
    let often = if plan.family == Family::Connections { 90 } else { 50 };
    let ending = if plan.has(F::Close) && dice.percent(often) {
        let grace = if dice.percent(30) {
            Duration::ZERO
        } else {
            dice.time(MILLI, Duration::from_secs(30))
        };
        Ending::Close(grace)
    } else if plan.has(F::Kill) && dice.percent(often) {
        Ending::Kill
    } else {
        return None;
    };
    let rest = plan.lasts.saturating_sub(start);
    let most = if plan.family == Family::Connections { rest / 6 } else { rest };
    let at = if dice.percent(50) { dice.within(most) } else { dice.time(MILLI / 10, most) };
    plan.later(start, at).map(|at| (at, ending))
}

/// All that applications do.
pub(super) fn draw(plan: &Plan, cast: &Cast, calls: &[Call]) -> Vec<Step> {
    let mut steps = Vec::new();
    for call in calls {
        let mut dice = plan.dice(format!("{} connect", call.name));
        let patient = dice.percent(60);
        let deadline = dice.time(MILLI * 50, Duration::from_secs(60));
        let deed = Deed::Connect {
            to: cast.servers()[call.server].name.clone(),
            name: call.name.clone(),
            deadline: (!patient).then_some(deadline),
        };
        steps.push(by(cast.clients()[call.client].name.as_str(), call.start, deed));
        renew(plan, cast, call, &mut steps);
        refer(plan, cast, call, &mut steps);
    }
    steps.extend(streams::draw(plan, cast, calls));
    // Behind the streams: what happens at one time happens to what was there.
    for call in calls {
        steps.extend(ended(plan, cast, call));
    }
    for host in &cast.hosts {
        reading(plan, &host.name, &mut steps);
        once(plan, &host.name, &mut steps);
    }
    steps
}

/// A host's deed.
pub(super) fn by(host: &str, at: Duration, deed: Deed) -> Step {
    step(at, Action::Host(host.to_owned(), deed))
}

/// One of the two hosts of a connection, the client rather than the server.
fn side<'a>(cast: &'a Cast, call: &Call, dice: &mut Dice) -> &'a str {
    if dice.percent(70) {
        &cast.clients()[call.client].name
    } else {
        &cast.servers()[call.server].name
    }
}

fn renew(plan: &Plan, cast: &Cast, call: &Call, steps: &mut Vec<Step>) {
    let mut dice = plan.dice(format!("{} renew", call.name));
    if !plan.has(F::Renew) || !dice.percent(60) {
        return;
    }
    for _ in 0..dice.log(1, 6) {
        let Some(at) = plan.later(call.start, dice.within(plan.lasts / 2)) else { continue };
        let host = side(cast, call, &mut dice);
        steps.push(by(host, at, Deed::Renew(call.name.clone())));
        // Both sides at once, as near as can be.
        if dice.percent(20) {
            let other = side(cast, call, &mut dice);
            steps.push(by(other, at, Deed::Renew(call.name.clone())));
        }
    }
}

/// Now and then a server asks a client to go elsewhere, or to come again.
fn refer(plan: &Plan, cast: &Cast, call: &Call, steps: &mut Vec<Step>) {
    let mut dice = plan.dice(format!("{} refer", call.name));
    if !dice.percent(4) {
        return;
    }
    let host = &cast.servers()[call.server].name;
    for _ in 0..dice.log(1, 3) {
        let to = usize::try_from(dice.between(0, cast.servers().len() as u64 - 1)).unwrap_or(0);
        let Some(at) = plan.later(call.start, dice.within(plan.lasts / 2)) else { continue };
        let to = cast.servers()[to].name.clone();
        steps.push(by(host, at, Deed::Refer(call.name.clone(), to)));
    }
}

fn ended(plan: &Plan, cast: &Cast, call: &Call) -> Vec<Step> {
    let Some((at, ending)) = call.end else { return Vec::new() };
    let mut dice = plan.dice(format!("{} ended", call.name));
    let deed = || match ending {
        Ending::Close(grace) => Deed::Close(call.name.clone(), grace),
        Ending::Kill => Deed::Kill(call.name.clone()),
    };
    let mut steps = vec![by(side(cast, call, &mut dice), at, deed())];
    // Ends that cross on the way.
    if dice.percent(15) {
        steps.push(by(side(cast, call, &mut dice), at, deed()));
    }
    steps
}

/// How a host's application reads. Most of those that stop begin again.
fn reading(plan: &Plan, host: &str, steps: &mut Vec<Step>) {
    let mut dice = plan.dice(format!("{host} reading"));
    if !plan.has(F::Reading) || !dice.percent(50) {
        return;
    }
    let from = dice.within(plan.lasts / 2);
    // Who reads so much a second has something to do every moment, for days.
    let reading = match dice.percent(50) || plan.family == Family::LongHaul {
        true => Reading::Nothing,
        false => Reading::Rate(dice.log(100, 1_000_000)),
    };
    steps.push(by(host, from, Deed::Reading(reading)));
    if dice.percent(85) {
        let rest = plan.lasts.saturating_sub(from);
        if let Some(at) = plan.later(from, dice.within(rest)) {
            steps.push(by(host, at, Deed::Reading(Reading::All)));
        }
    }
}

/// What happens to a host once: the end of its endpoint, a word about its network.
fn once(plan: &Plan, host: &str, steps: &mut Vec<Step>) {
    let mut dice = plan.dice(format!("{host} shut-down"));
    if plan.has(F::ShutDown) && dice.percent(30) {
        let at = rounded(plan.lasts / 3 + dice.within(plan.lasts / 2));
        let grace = if dice.percent(40) {
            Duration::ZERO
        } else {
            dice.time(MILLI, Duration::from_secs(30))
        };
        steps.push(by(host, at, Deed::ShutDown(grace)));
    }
    let mut dice = plan.dice(format!("{host} network-changed"));
    if plan.has(F::NetworkChanged) && dice.percent(50) {
        for _ in 0..dice.log(1, 3) {
            steps.push(by(host, dice.within(plan.lasts), Deed::NetworkChanged));
        }
    }
}
