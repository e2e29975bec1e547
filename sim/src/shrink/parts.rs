//! Leaving out whole parts: hosts, steps, links, knobs, settings, options.

use super::Shrinker;
use super::ddmin::ddmin;
use crate::play::{Failure, Outcome};
use crate::scenario::{Action, Deed, Scenario, Step, Way};
use tripline::Reliability;
use tripline_sansio::Duration;

impl<P: FnMut(&Scenario) -> Result<Outcome, Failure>> Shrinker<P> {
    /// Hosts, each with all that names it.
    pub(super) fn drop_hosts(&mut self) {
        let before = self.best.clone();
        ddmin(before.hosts.len(), |kept| {
            let mut candidate = before.clone();
            candidate.hosts = pick(&before.hosts, kept);
            let there = |name: &str| candidate.hosts.iter().any(|host| host.name == name);
            let both = |way: &Way| there(&way.from) && there(&way.to);
            candidate.links.retain(|link| both(&link.way));
            candidate.steps.retain(|step| step.action.hosts().into_iter().all(there));
            self.attempt(candidate)
        });
    }

    /// Steps.
    pub(super) fn drop_steps(&mut self) {
        let before = self.best.clone();
        ddmin(before.steps.len(), |kept| {
            self.attempt(Scenario { steps: pick(&before.steps, kept), ..before.clone() })
        });
    }

    /// Links, and knobs of those that stay and of the steps that turn some.
    pub(super) fn drop_links(&mut self) {
        let before = self.best.clone();
        ddmin(before.links.len(), |kept| {
            self.attempt(Scenario { links: pick(&before.links, kept), ..before.clone() })
        });
        self.drop_inner(|scenario| {
            let links = scenario.links.iter_mut();
            let steps = scenario.steps.iter_mut().filter_map(|step| match &mut step.action {
                Action::Link(link) => Some(link),
                _ => None,
            });
            links.chain(steps).map(|link| &mut link.knobs).collect()
        });
    }

    /// Settings of hosts.
    pub(super) fn drop_settings(&mut self) {
        self.drop_inner(|scenario| {
            scenario.hosts.iter_mut().map(|host| &mut host.settings).collect()
        });
    }

    /// Items of all the lists inside a scenario that `lists` names, seen as one list.
    pub(super) fn drop_inner<T: Clone>(
        &mut self,
        lists: impl Fn(&mut Scenario) -> Vec<&mut Vec<T>>,
    ) {
        let mut before = self.best.clone();
        let len = lists(&mut before).iter().map(|list| list.len()).sum();
        ddmin(len, |kept| {
            let mut candidate = before.clone();
            let mut first = 0;
            for list in lists(&mut candidate) {
                let places = first..first + list.len();
                first = places.end;
                let inside = kept.iter().filter(|at| places.contains(at));
                let inside: Vec<usize> = inside.map(|at| at - places.start).collect();
                *list = pick(list, &inside);
            }
            self.attempt(candidate)
        });
    }

    /// What a step may say and need not.
    pub(super) fn drop_options(&mut self) {
        for at in 0..self.best.steps.len() {
            let Some(step) = self.best.steps.get(at).cloned() else { continue };
            for plainer in plainer(&step) {
                self.attempt_with(|scenario| {
                    if let Some(step) = scenario.steps.get_mut(at) {
                        plainer(step);
                    }
                });
            }
        }
    }
}

/// The items at these places.
pub(super) fn pick<T: Clone>(all: &[T], places: &[usize]) -> Vec<T> {
    places.iter().filter_map(|at| all.get(*at)).cloned().collect()
}

/// Takes one option of a step away.
type Plainer = fn(&mut Step);

/// All ways to make a step plainer.
fn plainer(step: &Step) -> Vec<Plainer> {
    let mut all = plainer_action(step);
    if step.repeat.is_some() {
        all.insert(0, once);
    }
    all
}

/// The same of what happens, apart from how often.
fn plainer_action(step: &Step) -> Vec<Plainer> {
    let Action::Host(_, deed) = &step.action else {
        return match &step.action {
            Action::Cut(way) | Action::Heal(way) if way.both => vec![one_way],
            _ => Vec::new(),
        };
    };
    match deed {
        Deed::Connect { .. } => vec![no_deadline],
        Deed::Open { .. } => vec![no_priority],
        Deed::Send { .. } => vec![no_beat, no_expiry, reliable],
        Deed::Close(..) | Deed::ShutDown(_) => vec![no_grace],
        Deed::Clock(_) => vec![no_wander],
        Deed::Refuses(_) => vec![no_length, no_memory],
        Deed::Replay(..) | Deed::Garbage(..) | Deed::Flood(..) => vec![all_at_once],
        _ => Vec::new(),
    }
}

fn once(step: &mut Step) {
    step.repeat = None;
}

fn no_wander(step: &mut Step) {
    if let Action::Host(_, Deed::Clock(pace)) = &mut step.action {
        (pace.wander, pace.every) = (None, None);
    }
}

fn no_length(step: &mut Step) {
    if let Action::Host(_, Deed::Refuses(refusal)) = &mut step.action {
        refusal.longer = None;
    }
}

fn no_memory(step: &mut Step) {
    if let Action::Host(_, Deed::Refuses(refusal)) = &mut step.action {
        refusal.memory = None;
    }
}

fn one_way(step: &mut Step) {
    if let Action::Cut(way) | Action::Heal(way) = &mut step.action {
        way.both = false;
    }
}

fn no_deadline(step: &mut Step) {
    if let Action::Host(_, Deed::Connect { deadline, .. }) = &mut step.action {
        *deadline = None;
    }
}

fn no_priority(step: &mut Step) {
    if let Action::Host(_, Deed::Open { priority, .. }) = &mut step.action {
        *priority = None;
    }
}

fn no_beat(step: &mut Step) {
    if let Action::Host(_, Deed::Send { every, .. }) = &mut step.action {
        *every = None;
    }
}

fn no_expiry(step: &mut Step) {
    if let Action::Host(_, Deed::Send { expires, .. }) = &mut step.action {
        *expires = None;
    }
}

fn reliable(step: &mut Step) {
    if let Action::Host(_, Deed::Send { reliability, .. }) = &mut step.action {
        *reliability = Reliability::Reliable;
    }
}

fn no_grace(step: &mut Step) {
    if let Action::Host(_, Deed::Close(_, grace) | Deed::ShutDown(grace)) = &mut step.action {
        *grace = Duration::ZERO;
    }
}

fn all_at_once(step: &mut Step) {
    let Action::Host(_, deed) = &mut step.action else { return };
    if let Deed::Replay(_, over) | Deed::Garbage(_, over) | Deed::Flood(_, over) = deed {
        *over = Duration::ZERO;
    }
}
