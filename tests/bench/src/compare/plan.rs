//! What is run: the links, the pairs of flows, and a few threads that work through all of it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tripline_sim::engine::{Cell, Contender, Outcome, Race, RaceOutcome};
use tripline_sim::{Chance, Duration};

use crate::Contenders;
use crate::options::Options;

/// Links: bits per second, round trip in milliseconds, payload in bytes.
const LINKS: [(u64, u64, u64); 3] =
    [(10_000_000, 50, 20_000_000), (100_000_000, 20, 200_000_000), (1_000_000, 200, 20_000_000)];

/// Losses both ways, in per cent.
const LOSSES: [u32; 3] = [0, 1, 5];

/// The bottlenecks of races: bits per second, round trip in milliseconds.
const RACE_LINKS: [(u64, u64); 2] = [(10_000_000, 50), (100_000_000, 20)];

/// All runs of one contender over one link.
pub struct CellSeries {
    /// The link's name.
    pub link: String,
    /// The link.
    pub cell: Cell,
    /// The contender's name.
    pub contender: String,
    /// One outcome for each seed, in their order.
    pub runs: Vec<Outcome>,
}

/// All runs of one pair of contenders through one bottleneck.
pub struct RaceSeries {
    /// The bottleneck's name.
    pub link: String,
    /// The contenders' names.
    pub flows: [String; 2],
    /// One outcome for each seed, in their order.
    pub runs: Vec<RaceOutcome>,
}

/// A link's name.
fn name((bits, rtt, _): (u64, u64, u64), loss: u32) -> String {
    format!("{} Mbit/s, {rtt} ms, {loss} % loss", bits / 1_000_000)
}

/// All links of the table, by name.
pub fn links(share: u64) -> Vec<(String, Cell)> {
    let mut all = Vec::new();
    for link in LINKS {
        for loss in LOSSES {
            let (bits, rtt, bytes) = link;
            let bytes = bytes.saturating_mul(share) / 100;
            let rtt = Duration::from_millis(rtt);
            all.push((name(link, loss), Cell::new(bits, rtt, Chance::percent(loss), bytes)));
        }
    }
    all
}

/// Runs every contender over every link.
pub fn cells(options: &Options, contenders: &Contenders) -> Result<Vec<CellSeries>, String> {
    let mut series = Vec::new();
    for (link, cell) in links(options.share) {
        for contender in contenders.iter().filter(|_| options.wants_link(&link)) {
            series.push((link.clone(), cell, contender.as_ref()));
        }
    }
    let runs = work(
        options,
        series.len(),
        |number, seed| {
            let (_, cell, contender) = &series[number];
            cell.run(*contender, seed)
        },
        |number, runs| {
            let (link, cell, contender) = &series[number];
            let shares = runs.iter().map(|run| run.goodput() / cell.rate as f64);
            let least = shares.clone().fold(f64::INFINITY, f64::min) * 100.0;
            let most = shares.fold(0.0, f64::max) * 100.0;
            format!("{link}, {}: {least:.1} to {most:.1} % of the link", contender.name())
        },
    )?;
    let all = series.into_iter().zip(runs).map(|((link, cell, contender), runs)| CellSeries {
        link,
        cell,
        contender: contender.name().to_owned(),
        runs,
    });
    Ok(all.collect())
}

/// Runs the pairs of contenders that say something: each of ours against itself, against quinn's
/// CUBIC and against quinn's BBR, and quinn's CUBIC against itself and against quinn's BBR.
pub fn races(options: &Options, contenders: &Contenders) -> Result<Vec<RaceSeries>, String> {
    let mut series = Vec::new();
    for (bits, rtt) in RACE_LINKS {
        let link = format!("{} Mbit/s, {rtt} ms", bits / 1_000_000);
        let race = Race::new(bits, Duration::from_millis(rtt));
        for pair in pairs(contenders).filter(|_| options.wants_link(&link)) {
            series.push((link.clone(), race, pair));
        }
    }
    let runs = work(
        options,
        series.len(),
        |number, seed| {
            let (_, race, pair) = &series[number];
            race.run(*pair, seed)
        },
        |number, runs| {
            let (link, _, pair) = &series[number];
            let first = runs.iter().map(RaceOutcome::first_share).sum::<f64>() / runs.len() as f64;
            let names = pair.map(Contender::name);
            format!("{link}, {} against {}: {:.1} %", names[0], names[1], first * 100.0)
        },
    )?;
    let all = series.into_iter().zip(runs).map(|((link, _, pair), runs)| RaceSeries {
        link,
        flows: pair.map(|one| one.name().to_owned()),
        runs,
    });
    Ok(all.collect())
}

/// The pairs of [`races`], as far as both take part.
pub fn pairs(contenders: &Contenders) -> impl Iterator<Item = [&dyn Contender; 2]> {
    let mut pairs: Vec<[&dyn Contender; 2]> = Vec::new();
    for (number, one) in contenders.iter().enumerate() {
        for other in &contenders[number..] {
            let (first, second) = (one.name(), other.name());
            let is_ours = first.starts_with("tripline");
            let wanted = first == second && (is_ours || first == "quinn cubic")
                || is_ours && second.starts_with("tripline")
                || (is_ours || first == "quinn cubic")
                    && matches!(second, "quinn cubic" | "quinn bbr");
            if wanted {
                pairs.push([one.as_ref(), other.as_ref()]);
            }
        }
    }
    pairs.into_iter()
}

/// Runs every series with every seed, several at a time, and says on standard error when a series
/// is done. The results are those of the seeds in their order, whoever finished first. The first
/// failure ends it.
fn work<R: Send>(
    options: &Options,
    series: usize,
    run: impl Fn(usize, u64) -> Result<R, String> + Sync,
    tell: impl Fn(usize, &[R]) -> String + Sync,
) -> Result<Vec<Vec<R>>, String> {
    let done: Mutex<Vec<Option<Vec<R>>>> = Mutex::new((0..series).map(|_| None).collect());
    let next = AtomicUsize::new(0);
    let failure = Mutex::new(None);
    let worker = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= series || lock(&failure).is_some() {
                return;
            }
            let runs: Result<Vec<R>, String> =
                options.all_seeds().map(|seed| run(number, seed)).collect();
            match runs {
                Ok(runs) => {
                    let line = tell(number, &runs);
                    let mut done = lock(&done);
                    done[number] = Some(runs);
                    let count = done.iter().flatten().count();
                    eprintln!("{count} of {series}: {line}");
                }
                Err(error) => {
                    lock(&failure).get_or_insert(error);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..options.threads.clamp(1, series.max(1)) {
            scope.spawn(worker);
        }
    });
    if let Some(error) = lock(&failure).take() {
        return Err(error);
    }
    let done = std::mem::take(&mut *lock(&done));
    Ok(done.into_iter().flatten().collect())
}

/// A thread that panicked ends the whole run anyway, so a lock is never poisoned in vain.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
