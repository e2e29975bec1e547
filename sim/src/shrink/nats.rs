//! Leaving out NATs, and making those that stay plainer.

use super::Shrinker;
use super::ddmin::ddmin;
use super::parts::pick;
use crate::play::{Failure, Outcome};
use crate::scenario::{Action, NatDeed, NatSpec, Scenario};

impl<P: FnMut(&Scenario) -> Result<Outcome, Failure>> Shrinker<P> {
    /// NATs, each with the steps that name it; who stood behind one stands where that stood. Then
    /// who stands behind one at all, and knobs.
    pub(super) fn drop_nats(&mut self) {
        let before = self.best.clone();
        ddmin(before.nats.len(), |kept| {
            let mut candidate = before.clone();
            candidate.nats = pick(&before.nats, kept);
            let there = |name: &str| candidate.nats.iter().any(|nat| nat.name == name);
            candidate.steps.retain(|step| match &step.action {
                Action::Nat(name, _) => there(name),
                _ => true,
            });
            let nats = candidate.nats.clone();
            for host in &mut candidate.hosts {
                host.behind = stands(&before.nats, &nats, host.behind.take());
            }
            for nat in &mut candidate.nats {
                nat.behind = stands(&before.nats, &nats, nat.behind.take());
            }
            self.attempt(candidate)
        });
        for at in 0..self.best.hosts.len() {
            self.attempt_with(|scenario| {
                scenario.hosts.iter_mut().skip(at).take(1).for_each(|host| host.behind = None);
            });
        }
        self.drop_inner(|scenario| {
            let nats = scenario.nats.iter_mut().map(|nat| &mut nat.knobs);
            let steps = scenario.steps.iter_mut().filter_map(|step| match &mut step.action {
                Action::Nat(_, NatDeed::Turn(knobs)) => Some(knobs),
                _ => None,
            });
            nats.chain(steps).collect()
        });
    }
}

/// Behind which of those that are left somebody stands who stood behind `nat`.
fn stands(before: &[NatSpec], left: &[NatSpec], nat: Option<String>) -> Option<String> {
    let mut place = nat;
    // NATs are not in a ring, so there are no more steps than NATs.
    for _ in 0..=before.len() {
        let name = place?;
        if left.iter().any(|nat| nat.name == name) {
            return Some(name);
        }
        place = before.iter().find(|nat| nat.name == name).and_then(|nat| nat.behind.clone());
    }
    None
}
