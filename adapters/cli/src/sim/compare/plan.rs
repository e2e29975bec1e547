//! What is run: the links, the pairs of flows, and who takes part.

use super::args::{Against, Args, Set};
use super::series::{CellSeries, RaceSeries};
use std::sync::Arc;
use tripline::FastAead;
use tripline_sim::engine::{
    CONTROLLERS, Cell, Contender, Outcome, QUINN_CONTROLLERS, Quinn, Race, RaceOutcome, Tripline,
};
use tripline_sim::scenario::units::{Percent, Rate, Time};
use tripline_sim::{Chance, Duration};

/// Links: bits per second, round trip in milliseconds, payload in bytes.
const LINKS: [(u64, u64, u64); 3] =
    [(10_000_000, 50, 20_000_000), (100_000_000, 20, 200_000_000), (1_000_000, 200, 20_000_000)];

/// Losses both ways, in per cent.
const LOSSES: [u32; 3] = [0, 1, 5];

/// The bottlenecks of races: bits per second, round trip in milliseconds. Only the first is run
/// unless races are asked for.
const RACE_LINKS: [(u64, u64); 2] = [(10_000_000, 50), (100_000_000, 20)];

/// The shortest time that a race is measured: less says nothing about who gets what.
const MEASURE_MIN: Duration = Duration::from_secs(20);

/// Whatever takes part in a comparison.
pub(super) type Contenders = Vec<Box<dyn Contender>>;

/// One contender on one link.
pub(super) struct PlannedCell<'a> {
    link: String,
    pub(super) cell: Cell,
    pub(super) contender: &'a dyn Contender,
}

/// Two contenders through one bottleneck.
pub(super) struct PlannedRace<'a> {
    link: String,
    pub(super) race: Race,
    pub(super) flows: [&'a dyn Contender; 2],
}

impl PlannedCell<'_> {
    pub(super) fn done(self, runs: Vec<Outcome>) -> CellSeries {
        let contender = self.contender.name().to_owned();
        CellSeries { link: self.link, cell: self.cell, contender, runs }
    }
}

impl PlannedRace<'_> {
    pub(super) fn done(self, runs: Vec<RaceOutcome>) -> RaceSeries {
        let flows = self.flows.map(|one| one.name().to_owned());
        RaceSeries { link: self.link, flows, runs }
    }
}

impl super::work::Named for PlannedCell<'_> {
    fn name(&self) -> String {
        format!("{}, {}", self.contender.name(), self.link)
    }
}

impl super::work::Named for PlannedRace<'_> {
    fn name(&self) -> String {
        let [one, other] = self.flows.map(Contender::name);
        format!("{one} against {other}")
    }
}

/// Everyone that is asked for: ours by the list of the engine, then quinn's.
pub(super) fn contenders(args: &Args) -> Result<Contenders, String> {
    let mut all = Contenders::new();
    for (name, _) in CONTROLLERS {
        let ours = Tripline::named(name).ok_or_else(|| format!("no controller {name:?}"))?;
        all.push(Box::new(ours.aead(Arc::new(FastAead))));
    }
    if args.against == Against::Quinn {
        for name in QUINN_CONTROLLERS {
            all.push(Box::new(Quinn::named(name)?));
        }
    }
    all.retain(|one| args.wants_contender(one.name()));
    Ok(all)
}

/// `10Mbit/s` with a gap before its unit.
fn spaced(quantity: impl std::fmt::Display) -> String {
    let text = quantity.to_string();
    let digit = |one: char| one.is_ascii_digit() || one == '.';
    let end = text.find(|one: char| !digit(one)).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    format!("{number} {unit}")
}

/// A link's name.
fn name(rate: u64, rtt: Duration) -> String {
    format!("{}, {}", spaced(Rate(rate)), spaced(Time(rtt)))
}

/// All links that are asked for, by name.
pub(super) fn links(args: &Args) -> Vec<(String, Cell)> {
    let named = |cell: Cell| {
        let loss = spaced(Percent(cell.loss));
        (format!("{}, {loss} loss", name(cell.rate, cell.rtt)), cell)
    };
    if args.has_own_link() {
        let (bits, rtt) = own_link(args);
        let bytes = args.bytes.unwrap_or(20_000_000);
        let mut cell = Cell::new(bits, rtt, args.loss.unwrap_or(Chance::NEVER), bytes);
        cell.queue = queue(args, cell.queue);
        return vec![named(cell)];
    }
    let is_in = |set: &Set, bits: u64, loss: u32| match set {
        Set::Fast => bits == 100_000_000,
        Set::Lossy => loss > 0,
        Set::Slow => bits == 1_000_000,
        Set::All => true,
    };
    let mut all = Vec::new();
    for (bits, rtt, bytes) in LINKS {
        for loss in LOSSES {
            if args.cells.is_empty() || args.cells.iter().any(|set| is_in(set, bits, loss)) {
                let rtt = Duration::from_millis(rtt);
                let bytes = bytes * args.share / 100;
                all.push(named(Cell::new(bits, rtt, Chance::percent(loss), bytes)));
            }
        }
    }
    all
}

/// The user's own link: bits per second and round trip.
fn own_link(args: &Args) -> (u64, Duration) {
    let rate = args.rate.unwrap_or(1_250_000);
    (rate.saturating_mul(8), args.rtt.unwrap_or(Duration::from_millis(50)))
}

fn queue(args: &Args, usual: usize) -> usize {
    args.queue.map_or(usual, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX))
}

/// Every contender over every link.
pub(super) fn cells<'a>(args: &Args, contenders: &'a Contenders) -> Vec<PlannedCell<'a>> {
    if !args.wants_cells() {
        return Vec::new();
    }
    let mut all = Vec::new();
    for (link, cell) in links(args) {
        for contender in contenders {
            let contender = contender.as_ref();
            all.push(PlannedCell { link: link.clone(), cell, contender });
        }
    }
    all
}

/// Every pair through every bottleneck.
pub(super) fn races<'a>(args: &Args, contenders: &'a Contenders) -> Vec<PlannedRace<'a>> {
    if !args.wants_races() {
        return Vec::new();
    }
    let bottlenecks: Vec<(u64, Duration)> = if args.has_own_link() {
        vec![own_link(args)]
    } else {
        let count = if args.races { RACE_LINKS.len() } else { 1 };
        let some = RACE_LINKS.into_iter().take(count);
        some.map(|(bits, rtt)| (bits, Duration::from_millis(rtt))).collect()
    };
    let mut all = Vec::new();
    for (bits, rtt) in bottlenecks {
        let mut race = Race::new(bits, rtt);
        race.queue = queue(args, race.queue);
        let share = u32::try_from(args.share).unwrap_or(100);
        race.measure = (race.measure * share / 100).max(MEASURE_MIN);
        for flows in pairs(contenders) {
            all.push(PlannedRace { link: name(race.rate, rtt), race, flows });
        }
    }
    all
}

/// The pairs that say something, as far as both take part: ours against ours, each of ours against
/// quinn's CUBIC and against quinn's BBR, and quinn's CUBIC against itself and quinn's BBR.
pub(super) fn pairs(contenders: &Contenders) -> Vec<[&dyn Contender; 2]> {
    let mut pairs: Vec<[&dyn Contender; 2]> = Vec::new();
    for (number, one) in contenders.iter().enumerate() {
        for other in contenders.iter().skip(number) {
            let (first, second) = (one.name(), other.name());
            let is_ours = |name: &str| name.starts_with("tripline");
            let is_measure = matches!(second, "quinn cubic" | "quinn bbr");
            if is_ours(second) || (is_ours(first) || first == "quinn cubic") && is_measure {
                pairs.push([one.as_ref(), other.as_ref()]);
            }
        }
    }
    pairs
}
