//! Draws a scenario from a number.
//!
//! First the family, then which features exist at all, then their values. Every purpose has dice of
//! its own, labelled: so another draw in one place changes nothing in any other. What comes out
//! passes [`Scenario::check`], reads as it prints, and is small enough to be played in a fraction
//! of a second.

mod family;
mod fate;
mod feature;
mod hosts;
mod links;
mod nats;
mod streams;
#[cfg(test)]
mod tests;
mod work;

pub use family::Family;
pub use feature::Feature;

use super::dice::{Dice, later};
use crate::scenario::{Scenario, Seal, Step};
use family::Scale;
use std::collections::BTreeSet;
use tripline_sansio::{Duration, Seed};

/// The scenario of a seed: always the same, until this generator changes.
///
/// ```
/// use tripline_sim::swarm::draw;
/// let scenario = draw(7);
/// assert!(scenario.check().is_ok());
/// assert_eq!(scenario.to_string().parse::<tripline_sim::scenario::Scenario>().unwrap(), scenario);
/// assert_eq!(draw(7), scenario);
/// ```
pub fn draw(seed: u64) -> Scenario {
    let plan = Plan::new(seed);
    let mut cast = hosts::draw(&plan);
    let nats = nats::draw(&plan, &mut cast);
    let links = links::draw(&plan, &cast);
    let calls = work::calls(&plan, &cast);
    let mut steps = work::draw(&plan, &cast, &calls);
    steps.extend(fate::draw(&plan, &cast));
    steps.extend(nats::steps(&plan, &nats));
    // Faults first where they strike at the same time as work: those of one kind keep their order.
    steps.sort_by_key(|step| step.at);
    Scenario {
        name: format!("seed-{seed}"),
        about: plan.about(cast.hosts.len()),
        // TOML knows numbers of 63 bits only.
        seed: seed & (u64::MAX >> 1),
        seal: if plan.has(Feature::RealCipher) { Seal::Real } else { Seal::Fast },
        lasts: plan.lasts,
        nats,
        hosts: cast.hosts,
        links,
        steps,
    }
}

/// The family of a seed's scenario.
pub fn family(seed: u64) -> Family {
    Plan::new(seed).family
}

/// The features that exist in a seed's scenario. That one exists does not mean that it shows: a
/// fault may strike where nobody is.
pub fn features(seed: u64) -> BTreeSet<Feature> {
    Plan::new(seed).features
}

/// What was decided before anything else.
struct Plan {
    /// What all dice follow from.
    seed: Seed,
    family: Family,
    scale: Scale,
    features: BTreeSet<Feature>,
    lasts: Duration,
}

impl Plan {
    fn new(seed: u64) -> Self {
        let seed = Seed::from_number(seed).child("swarm");
        let family = Dice::new(&seed, "family").weighted(&Family::ALL, Family::Ordinary);
        let scale = family.scale();
        // One scenario in eight has no faults but those of its family: what goes wrong then goes
        // wrong by itself.
        let calm = Dice::new(&seed, "calm").percent(12);
        let exists = |feature: &Feature| {
            let mut dice = Dice::new(&seed, &format!("has {feature:?}"));
            let wanted = dice.percent(feature.percent()) && !(calm && feature.is_fault());
            let barred = family.bars().contains(feature);
            family.brings().contains(feature) || (wanted && !barred)
        };
        let features = Feature::ALL.into_iter().filter(exists).collect();
        let (least, most) = scale.lasts;
        let lasts = Dice::new(&seed, "lasts").time(least, most);
        Self { seed, family, scale, features, lasts }
    }

    /// The dice of a purpose.
    fn dice(&self, purpose: impl AsRef<str>) -> Dice {
        Dice::new(&self.seed, purpose.as_ref())
    }

    fn has(&self, feature: Feature) -> bool {
        self.features.contains(&feature)
    }

    /// Whether this part of a feature goes to its extreme, in this scenario.
    fn extreme(&self, what: &str) -> bool {
        self.dice(format!("extreme {what}")).percent(15)
    }

    /// The time that is so much later, if the first phase still lasts then.
    fn later(&self, at: Duration, by: Duration) -> Option<Duration> {
        let at = later(at, by);
        (at <= self.lasts).then_some(at)
    }

    /// What the scenario is about, in a sentence.
    fn about(&self, hosts: usize) -> String {
        let faults = self.features.iter().filter(|feature| feature.is_fault()).count();
        let name = self.family.name();
        format!("Drawn by the swarm: {name}, {hosts} hosts, {faults} kinds of faults.")
    }
}

/// A step.
fn step(at: Duration, action: crate::scenario::Action) -> Step {
    Step { at, action, repeat: None }
}
