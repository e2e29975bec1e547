//! What is drawn makes sense, is small enough, and has everything in it now and then.

use super::*;
use crate::scenario::{Action, Deed, Knob, Setting};
use std::collections::BTreeMap;

/// How many seeds each property looks at.
const SEEDS: u64 = 1_000;

fn all() -> impl Iterator<Item = (u64, Scenario)> {
    (0..SEEDS).map(|seed| (seed, draw(seed)))
}

#[test]
fn every_scenario_fits_together_and_reads_as_it_prints() {
    for (seed, scenario) in all() {
        scenario.check().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let text = scenario.to_string();
        let again: Scenario = text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(again, scenario, "seed {seed}");
    }
    for seed in [u64::MAX, u64::MAX / 2, u64::MAX / 2 + 1, u64::from(u32::MAX)] {
        let scenario = draw(seed);
        assert_eq!(scenario.to_string().parse::<Scenario>().unwrap(), scenario, "seed {seed}");
    }
}

/// The bytes and messages that a scenario's sends ask for.
fn load(scenario: &Scenario) -> (u64, u64) {
    let mut load = (0, 0);
    for step in &scenario.steps {
        if let Action::Host(_, Deed::Send { bytes, times, .. }) = step.action {
            load = (load.0 + bytes * times * step.times(), load.1 + times * step.times());
        }
    }
    load
}

#[test]
fn every_scenario_is_within_its_bounds() {
    let (mut bytes, mut messages, mut steps) = (0, 0, 0);
    for (seed, scenario) in all() {
        let scale = family(seed).scale();
        let (asked, count) = load(&scenario);
        // One answer for each message, each a byte longer than allowed.
        assert!(asked <= 4 * scale.bytes.1 + 2 * (256 << 10), "seed {seed}: {asked} bytes");
        assert!(count <= 2 * scale.messages + 6 * scale.streams, "seed {seed}: {count} messages");
        assert!(scenario.steps.len() <= 4_000, "seed {seed}: {} steps", scenario.steps.len());
        assert!((2..=30).contains(&scenario.hosts.len()), "seed {seed}");
        let (least, most) = scale.lasts;
        assert!((least..=most).contains(&scenario.lasts), "seed {seed}");
        assert!(scenario.steps.iter().all(|step| step.at <= scenario.lasts), "seed {seed}");
        bytes += asked;
        messages += count;
        steps += scenario.steps.len() as u64;
    }
    // What a run costs follows from these.
    assert!((100_000..2_000_000).contains(&(bytes / SEEDS)), "{} bytes each", bytes / SEEDS);
    assert!((50..900).contains(&(messages / SEEDS)), "{} messages each", messages / SEEDS);
    assert!((20..300).contains(&(steps / SEEDS)), "{} steps each", steps / SEEDS);
}

/// The first word of each step of a host, of each setting and of each knob.
fn words(scenario: &Scenario) -> Vec<String> {
    let first = |text: String, end: char| text.split(end).next().unwrap_or_default().to_owned();
    let settings = scenario.hosts.iter().flat_map(|host| &host.settings);
    let knobs = scenario.links.iter().flat_map(|link| &link.knobs);
    let mut words: Vec<_> = settings.map(|one| first(one.to_string(), '=')).collect();
    words.extend(knobs.map(|one| first(one.to_string(), '=')));
    words.extend(scenario.hosts.iter().map(|host| format!("{:?}", host.kind)));
    words.push(format!("{:?}", scenario.seal));
    words.extend(
        scenario.hosts.iter().filter_map(|host| host.behind.as_ref().map(|_| "behind".into())),
    );
    let knobs = scenario.nats.iter().flat_map(|nat| &nat.knobs);
    words.extend(knobs.map(|one| first(one.to_string(), '=')));
    words.extend(
        scenario.nats.iter().filter_map(|nat| nat.behind.as_ref().map(|_| "nat-behind".into())),
    );
    if scenario.steps.iter().any(|step| step.repeat.is_some()) {
        words.push("repeat".to_owned());
    }
    for step in &scenario.steps {
        words.push(match &step.action {
            Action::Host(_, deed) => first(deed.to_string(), ' '),
            Action::Link(_) => "link".to_owned(),
            Action::Cut(_) => "cut".to_owned(),
            Action::Heal(_) => "heal".to_owned(),
            Action::Nat(..) => step.to_string().split(' ').nth(1).unwrap_or_default().to_owned(),
        });
        if let Action::Host(_, Deed::Send { reliability, expires, every, .. }) = &step.action {
            words.push(format!("{reliability:?}"));
            words.push(format!("expires {}", expires.is_some()));
            words.push(format!("every {}", every.is_some()));
        }
        if let Action::Host(_, Deed::Open { order, direction, .. }) = &step.action {
            words.push(format!("{order:?} {direction:?}"));
        }
    }
    words.sort();
    words.dedup();
    words
}

/// Every word of the language occurs, in how many of a thousand scenarios at least.
#[test]
fn every_word_of_the_language_occurs() {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for (_, scenario) in all() {
        words(&scenario).into_iter().for_each(|word| *counts.entry(word).or_default() += 1);
    }
    let often = "connect open send Reliable loss delay finish close jitter copies reorder rate \
                 Unreliable cut heal link move crash restart pause jump block replay garbage \
                 mtu idle keep-alive message-max stream-credit connection-credit two-way \
                 one-way send-buffer ack-delay congestion datagram ceiling ecn probe aes \
                 segments sloppy profile priority jitter-shape jitter-kept burst-start \
                 burst-end burst-loss burst-most flip swap splice truncate extend bleach remark \
                 ect-lost queue-packets aqm police police-burst lose-every read reading renew \
                 stop close-stream network-changed echo order mark-above queue copies-most \
                 copies-delay reorder-delay credit-max renew-after renew-packets Fast Client \
                  Public Known behind timeout refresh mapping filtering choice skew \
                  wander wander-every clock refuses refuse-memory blackout blackout-every \
                  blackout-first repeat";
    let rarely = "kill shut-down flood connections retry-above Private Real readdress-nat nat \
                  reboot-nat first-port ports hairpin nat-behind refuse-longer red-least red-most \
                  memory window key-packets quiet answers";
    let least = |words: &str, least: u64| {
        for word in words.split_whitespace() {
            let count = counts.get(word).copied().unwrap_or(0);
            assert!(count >= least, "`{word}` in {count} of {SEEDS} scenarios");
        }
    };
    least(often, 100);
    least(rarely, 30);
    for order in ["Bytes", "Ordered", "Unordered", "Latest"] {
        for direction in ["OneWay", "TwoWay"] {
            assert!(counts[&format!("{order} {direction}")] > 200, "{order} {direction}");
        }
    }
    assert!(counts["expires true"] > 100 && counts["every true"] > 300, "{counts:?}");
}

#[test]
fn every_family_and_feature_has_its_share() {
    let mut families: BTreeMap<Family, u64> = BTreeMap::new();
    let mut counts: BTreeMap<Feature, u64> = BTreeMap::new();
    let mut calm = 0;
    for seed in 0..SEEDS {
        *families.entry(family(seed)).or_default() += 1;
        let features = features(seed);
        calm += u64::from(!features.iter().any(|feature| feature.is_fault()));
        features.into_iter().for_each(|feature| *counts.entry(feature).or_default() += 1);
    }
    assert_eq!(Family::ALL.iter().map(|(_, weight)| weight).sum::<u64>(), 100);
    for (family, weight) in Family::ALL {
        let count = families.get(&family).copied().unwrap_or(0);
        assert!((weight * 5..=weight * 16).contains(&count), "{family:?}: {count}");
    }
    for feature in Feature::ALL {
        let count = counts.get(&feature).copied().unwrap_or(0);
        let wanted = feature.percent() * 10;
        assert!(count >= wanted * 6 / 10, "{feature:?}: {count}");
        assert!(count <= wanted + 120, "{feature:?}: {count}");
    }
    assert!(calm > 30, "{calm} without faults");
}

/// Values go to both ends of their ranges.
#[test]
fn values_reach_far() {
    let mut losses = Vec::new();
    let mut delays = Vec::new();
    let mut idles = Vec::new();
    let mut hosts = Vec::new();
    for (_, scenario) in all() {
        hosts.push(scenario.hosts.len());
        for knob in scenario.links.iter().flat_map(|link| &link.knobs) {
            match knob {
                Knob::Loss(loss) => losses.push(loss.as_ppm()),
                Knob::Delay(delay) => delays.push(*delay),
                _ => {}
            }
        }
        for setting in scenario.hosts.iter().flat_map(|host| &host.settings) {
            if let Setting::Idle(idle) = setting {
                idles.push(*idle);
            }
        }
    }
    assert!(losses.iter().min() < Some(&2_000) && losses.iter().max() > Some(&450_000));
    assert!(
        delays.contains(&Duration::ZERO) && delays.iter().max() > Some(&Duration::from_secs(2))
    );
    assert!(
        idles.contains(&Duration::ZERO) && idles.iter().max() > Some(&Duration::from_secs(86_400))
    );
    assert!(hosts.iter().max() > Some(&15), "{:?}", hosts.iter().max());
}

/// An extra draw in one place moves nothing elsewhere: hosts do not depend on what happens to them.
#[test]
fn purposes_have_dice_of_their_own() {
    let plan = Plan::new(3);
    let cast = hosts::draw(&plan);
    let mut without = Plan::new(3);
    without.features.remove(&Feature::Cuts);
    without.features.remove(&Feature::Finish);
    assert_eq!(hosts::draw(&without).hosts, cast.hosts);
    assert_eq!(links::draw(&without, &cast), links::draw(&plan, &cast));
    let kinds = |plan: &Plan, keep: fn(&Step) -> bool| {
        let mut steps = fate::draw(plan, &cast);
        steps.retain(keep);
        steps
    };
    let other = |step: &Step| !matches!(step.action, Action::Cut(_) | Action::Heal(_));
    assert_eq!(kinds(&without, other), kinds(&plan, other));
}
