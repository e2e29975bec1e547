//! The streams of a scenario and the messages on them.

use super::Feature as F;
use super::hosts::{Cast, message_max};
use super::work::{Call, by};
use super::{Family, Plan};
use crate::scenario::{Deed, HostSpec, Repeat, Setting, Step};
use crate::swarm::dice::{Dice, rounded};
use tripline::{Direction, Order, Reliability};
use tripline_sansio::Duration;

const MILLI: Duration = Duration::from_millis(1);
const ORDERS: [Order; 4] = [Order::Bytes, Order::Ordered, Order::Unordered, Order::Latest];

/// Bytes that an upload hands in at once.
const UPLOAD_PIECE: u64 = 50_000;

/// The most streams of a batch.
const BATCH_MAX: u64 = 24;

/// What one stream may cost.
#[derive(Clone, Copy)]
struct Share {
    messages: u64,
    bytes: u64,
}

/// One stream while its steps are drawn.
struct Stream<'a> {
    plan: &'a Plan,
    name: String,
    /// Who opens it, and the other.
    from: &'a HostSpec,
    to: &'a HostSpec,
    order: Order,
    /// When it is opened.
    start: Duration,
    share: Share,
}

/// All streams.
pub(super) fn draw(plan: &Plan, cast: &Cast, calls: &[Call]) -> Vec<Step> {
    let mut dice = plan.dice("streams");
    let count = match plan.family {
        Family::Streams => dice.log(plan.scale.streams / 8, plan.scale.streams),
        _ => dice.log(1, plan.scale.streams),
    };
    let bytes = dice.log(plan.scale.bytes.0, plan.scale.bytes.1);
    let share =
        Share { messages: (plan.scale.messages / count).max(1), bytes: (bytes / count).max(1) };
    let mut steps = Vec::new();
    for at in 0..count {
        let mut dice = plan.dice(format!("stream {at}"));
        let first = usize::try_from(at).ok().filter(|at| *at < calls.len());
        let any = usize::try_from(dice.between(0, calls.len() as u64 - 1)).unwrap_or(0);
        let call = &calls[first.unwrap_or(any)];
        let (client, server) = (&cast.clients()[call.client], &cast.servers()[call.server]);
        let by_server = plan.has(F::ServerOpens) && dice.percent(35);
        let (from, to) = if by_server { (server, client) } else { (client, server) };
        let least = if by_server { MILLI * 10 } else { MILLI / 10 };
        let soon = dice.time(least, (plan.lasts / 4).max(least));
        let start = if !by_server && dice.percent(30) {
            Some(call.start)
        } else {
            plan.later(call.start, soon)
        };
        let Some(start) = start else { continue };
        let order = dice.pick(ORDERS);
        let stream = Stream { plan, name: format!("s{at}"), from, to, order, start, share };
        let mut batch = plan.dice(format!("stream {at} batch"));
        if plan.has(F::Repeat) && batch.percent(25) {
            stream.batch(&call.name, &mut batch, &mut steps);
        } else {
            stream.draw(&call.name, &mut dice, &mut steps);
        }
    }
    upload(plan, cast, calls, &mut steps);
    steps
}

/// In some bulk runs so much goes up that a replay window moves on, and the server is sent again
/// what somebody saw of it.
fn upload(plan: &Plan, cast: &Cast, calls: &[Call], steps: &mut Vec<Step>) {
    let mut dice = plan.dice("upload");
    let Some(call) = calls.first().filter(|_| plan.family == Family::Bulk && dice.percent(25))
    else {
        return;
    };
    let (client, server) = (&cast.clients()[call.client].name, &cast.servers()[call.server].name);
    let stream = "upload".to_owned();
    let open = Deed::Open {
        stream: stream.clone(),
        order: Order::Bytes,
        direction: Direction::OneWay,
        on: call.name.clone(),
        priority: None,
    };
    let send = Deed::Send {
        stream,
        bytes: UPLOAD_PIECE,
        times: dice.between(110, 200),
        every: None,
        reliability: Reliability::Reliable,
        expires: None,
    };
    steps.extend([by(client, call.start, open), by(client, call.start, send)]);
    if let Some(at) = plan.later(call.start, dice.within(plan.lasts / 2)) {
        let over = dice.time(MILLI * 100, plan.lasts / 2);
        steps.push(by(server, at, Deed::Replay(dice.log(500, 3_000), over)));
    }
}

impl Stream<'_> {
    fn draw(&self, connection: &str, dice: &mut Dice, steps: &mut Vec<Step>) {
        let plan = self.plan;
        let two_way = dice.percent(50);
        let priority = plan.has(F::Priorities) && dice.percent(60);
        let priority = priority.then(|| dice.pick([0, 1, 2, 3, 4, 5, 6, 7]));
        let open = Deed::Open {
            stream: self.name.clone(),
            order: self.order,
            direction: if two_way { Direction::TwoWay } else { Direction::OneWay },
            on: connection.to_owned(),
            priority,
        };
        steps.push(by(&self.from.name, self.start, open));
        let last = self.sends(self.from, self.to, self.start, "there", steps);
        let echoes = self.to.settings.contains(&Setting::Echo(true));
        let mut back = self.start;
        if two_way && !echoes && dice.percent(50) {
            let wait = dice.time(MILLI, (plan.lasts / 4).max(MILLI));
            if let Some(at) = plan.later(self.start, wait) {
                back = self.sends(self.to, self.from, at, "back", steps);
            }
        }
        self.ends(last, back, two_way, steps);
        self.extras(steps);
    }

    /// Streams that are alike, one after the other, each with a message and perhaps its end.
    fn batch(&self, connection: &str, dice: &mut Dice, steps: &mut Vec<Step>) {
        let plan = self.plan;
        let times = dice.log(2, BATCH_MAX);
        let rest = plan.lasts.saturating_sub(self.start) / u32::try_from(times).unwrap_or(1);
        let each = if dice.percent(20) { Duration::ZERO } else { rounded(dice.within(rest)) };
        let repeat = Some(Repeat { times, each });
        let stream = format!("{}-#", self.name);
        let two_way = dice.percent(50);
        let direction = if two_way { Direction::TwoWay } else { Direction::OneWay };
        let (order, on) = (self.order, connection.to_owned());
        let open = Deed::Open { stream: stream.clone(), order, direction, on, priority: None };
        let send = Deed::Send {
            stream: stream.clone(),
            bytes: self.size(self.to, (self.share.bytes / times).max(1), dice),
            times: 1,
            every: None,
            reliability: Reliability::Reliable,
            expires: None,
        };
        let finish = plan.has(F::Finish).then_some(Deed::Finish(stream));
        for deed in [Some(open), Some(send), finish].into_iter().flatten() {
            steps.push(Step { repeat, ..by(&self.from.name, self.start, deed) });
        }
    }

    /// Sends of one side; says when the last one begins.
    fn sends(
        &self,
        from: &HostSpec,
        to: &HostSpec,
        start: Duration,
        way: &str,
        steps: &mut Vec<Step>,
    ) -> Duration {
        let mut dice = self.plan.dice(format!("{} {way}", self.name));
        let count = dice.log(1, 3);
        let mut at = start;
        for _ in 0..count {
            let rest = self.plan.lasts.saturating_sub(at);
            let share = Share {
                messages: (self.share.messages / count).max(1),
                bytes: (self.share.bytes / count).max(1),
            };
            steps.push(by(&from.name, at, self.send(to, share, rest, &mut dice)));
            let gap = dice.within(rest / 2);
            match self.plan.later(at, gap) {
                Some(next) if dice.percent(70) => at = next,
                _ => {}
            }
        }
        at
    }

    fn send(&self, to: &HostSpec, share: Share, rest: Duration, dice: &mut Dice) -> Deed {
        let beat = self.beat(dice).filter(|_| !rest.is_zero());
        let times = match beat {
            Some(beat) => {
                let fit = u64::try_from(rest.as_nanos() / beat.as_nanos().max(1)).unwrap_or(1);
                share.messages.min(fit).max(1)
            }
            None => dice.log(1, share.messages),
        };
        let every = beat.or_else(|| {
            let every = rounded(dice.within(rest / u32::try_from(times).unwrap_or(1).max(1)));
            (times > 1 && !every.is_zero() && dice.percent(60)).then_some(every)
        });
        let bytes = self.size(to, (share.bytes / times).max(1), dice);
        let plain = self.order == Order::Bytes;
        let reliability = match (plain, self.plan.has(F::Unreliable) && dice.percent(50)) {
            (false, true) if dice.percent(70) => Reliability::Unreliable,
            (false, true) => Reliability::Transmissions(dice.pick([2, 3, 5])),
            _ => Reliability::Reliable,
        };
        let expires = dice.time(MILLI, Duration::from_secs(10));
        let expires = (!plain && self.plan.has(F::Expiry) && dice.percent(40)).then_some(expires);
        Deed::Send { stream: self.name.clone(), bytes, times, every, reliability, expires }
    }

    /// The beat of games and calls.
    fn beat(&self, dice: &mut Dice) -> Option<Duration> {
        let beat = MILLI * dice.pick([16, 20, 33, 50]);
        (self.plan.family == Family::RealTime && dice.percent(80)).then_some(beat)
    }

    /// Mostly what the other side takes; rarely nothing at all, or a byte too much.
    fn size(&self, to: &HostSpec, most: u64, dice: &mut Dice) -> u64 {
        let limit = message_max(to);
        match dice.between(0, 99) {
            7..=29 if self.order == Order::Bytes => most,
            _ if self.order == Order::Bytes => dice.log(1, most),
            0..=2 => 0,
            3 if limit <= most => limit + 1,
            4..=6 if limit <= most => limit,
            7..=29 => most.min(limit).max(1),
            _ => dice.log(1, most.min(limit)),
        }
    }

    /// How the stream ends, if somebody ends it.
    fn ends(&self, last: Duration, back: Duration, two_way: bool, steps: &mut Vec<Step>) {
        let plan = self.plan;
        let name = || self.name.clone();
        let mut dice = plan.dice(format!("{} ends", self.name));
        if plan.has(F::Finish) && dice.percent(70) {
            let at = plan.later(last, dice.within(plan.lasts / 50)).unwrap_or(last);
            steps.push(by(&self.from.name, at, Deed::Finish(name())));
            if two_way && dice.percent(70) {
                let at = plan.later(back, dice.within(plan.lasts / 50)).unwrap_or(back);
                steps.push(by(&self.to.name, at, Deed::Finish(name())));
            }
        }
        let mut other = |feature: F, deed: &mut dyn FnMut(u64) -> Deed, host: &str| {
            let mut dice = plan.dice(format!("{} {feature:?}", self.name));
            let soon = dice.time(MILLI / 10, plan.lasts / 2);
            let wanted = plan.has(feature) && dice.percent(30);
            if let (true, Some(at)) = (wanted, plan.later(self.start, soon)) {
                steps.push(by(host, at, deed(dice.log(1, 1_000))));
            }
        };
        other(F::CloseStream, &mut |code| Deed::CloseStream(name(), code), &self.from.name);
        other(F::Stop, &mut |code| Deed::Stop(name(), code), &self.to.name);
    }

    /// Another priority; reads of an application that else reads nothing.
    fn extras(&self, steps: &mut Vec<Step>) {
        let plan = self.plan;
        let mut dice = plan.dice(format!("{} priority", self.name));
        if plan.has(F::Priorities) && dice.percent(40) {
            let priority = dice.pick([0, 1, 2, 3, 4, 5, 6, 7]);
            if let Some(at) = plan.later(self.start, dice.within(plan.lasts / 4)) {
                steps.push(by(&self.from.name, at, Deed::Priority(self.name.clone(), priority)));
            }
        }
        let mut dice = plan.dice(format!("{} read", self.name));
        if plan.has(F::Reading) && dice.percent(40) {
            for _ in 0..dice.log(1, 4) {
                let Some(at) = plan.later(self.start, dice.within(plan.lasts / 2)) else {
                    continue;
                };
                steps.push(by(&self.to.name, at, Deed::Read(self.name.clone(), dice.log(1, 50))));
            }
        }
    }
}
