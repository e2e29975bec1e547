//! The list of pinned hashes: what the runs of some seeds came to, committed, so that any change of
//! behaviour shows, on any machine and in any build.
//!
//! The text has one line for each seed, `SEED HASH`, the hash in 16 hexadecimal digits; lines that
//! begin with `#` are for people.

use super::in_order;
use crate::play::{Failure, Outcome};
use crate::scenario::Scenario;
use std::fmt::Write as _;
use std::ops::{ControlFlow, Range};

/// The seeds that are pinned.
pub const PINNED: Range<u64> = 0..500;

/// What opens the list.
const HEADING: &str = "\
# What the drawn scenarios of these seeds come to: the seed, and the trace hash of its run.
# A line that changed means that the engine, the simulator or the generator behaves otherwise.
# `tripline sim hashes` compares; `tripline sim hashes --write` makes the list anew.
";

/// A seed and what its run came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pinned {
    /// The seed.
    pub seed: u64,
    /// The trace hash.
    pub hash: u64,
}

/// A seed whose run came to something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// What the list says.
    pub wanted: Pinned,
    /// What came of it now.
    pub found: Result<u64, Failure>,
}

/// Reads a list.
///
/// # Errors
/// Which line is wrong. An empty list is wrong too: it would prove nothing.
pub fn parse(text: &str) -> Result<Vec<Pinned>, String> {
    let mut list: Vec<Pinned> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = || format!("line {}: `{line}` is no seed and hash", at + 1);
        let (seed, hash) = line.split_once(' ').ok_or_else(wrong)?;
        let digits = hash.len() == 16 && hash.bytes().all(|digit| digit.is_ascii_hexdigit());
        let hash = u64::from_str_radix(hash, 16).ok().filter(|_| digits).ok_or_else(wrong)?;
        let seed = seed.parse().map_err(|_| wrong())?;
        if list.last().is_some_and(|last| last.seed >= seed) {
            return Err(format!("line {}: seeds stand in their order", at + 1));
        }
        list.push(Pinned { seed, hash });
    }
    if list.is_empty() {
        return Err("the list is empty".to_owned());
    }
    Ok(list)
}

/// Writes a list, with its heading.
pub fn print(list: &[Pinned]) -> String {
    let mut text = HEADING.to_owned();
    for Pinned { seed, hash } in list {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{seed} {hash:016x}");
    }
    text
}

/// Plays the scenarios of `seeds` and makes the list of their hashes.
///
/// # Errors
/// The first seed that failed, and how.
pub fn compute(
    seeds: Range<u64>,
    jobs: usize,
    play: impl Fn(&Scenario) -> Result<Outcome, Failure> + Sync,
) -> Result<Vec<Pinned>, super::Found> {
    let mut all = Ok(Vec::new());
    in_order(
        seeds,
        jobs,
        |seed| play(&super::draw(seed)),
        |seed, result| {
            match (result, &mut all) {
                (Ok(outcome), Ok(list)) => list.push(Pinned { seed, hash: outcome.trace_hash }),
                (Err(failure), _) => all = Err(super::Found { seed, failure }),
                (Ok(_), Err(_)) => {}
            }
            if all.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        },
    );
    all
}

/// Plays the scenarios of a list again; what came to something else, in the list's order.
pub fn check(
    list: &[Pinned],
    jobs: usize,
    play: impl Fn(&Scenario) -> Result<Outcome, Failure> + Sync,
) -> Vec<Mismatch> {
    let pinned = |at: u64| usize::try_from(at).ok().and_then(|at| list.get(at)).copied();
    let again = |at| pinned(at).map(|pinned| (pinned, play(&super::draw(pinned.seed))));
    let mut wrong = Vec::new();
    in_order(0..list.len() as u64, jobs, again, |_, result| {
        if let Some((wanted, found)) = result {
            let found = found.map(|outcome| outcome.trace_hash);
            if found.as_ref() != Ok(&wanted.hash) {
                wrong.push(Mismatch { wanted, found });
            }
        }
        ControlFlow::Continue(())
    });
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::play::Deeds;
    use crate::trace::Totals;
    use tripline_sansio::Instant;

    fn play(scenario: &Scenario) -> Result<Outcome, Failure> {
        Ok(Outcome {
            trace_hash: crate::digest(scenario.to_string().as_bytes()),
            simulated: scenario.lasts,
            totals: Totals::default(),
            deeds: Deeds::default(),
            marks: crate::Marks::default(),
        })
    }

    #[test]
    fn a_list_reads_as_it_prints_and_holds() {
        let list = compute(5..40, 2, play).unwrap();
        assert_eq!(list.len(), 35);
        assert_eq!(parse(&print(&list)).unwrap(), list);
        assert_eq!(check(&list, 3, play), []);
    }

    #[test]
    fn what_differs_is_named() {
        let mut list = compute(0..10, 1, play).unwrap();
        list[4].hash ^= 1;
        let bad = |scenario: &Scenario| match scenario.seed {
            7 => Err(Failure { oracle: "L1".into(), at: Instant::ZERO, what: "stuck".into() }),
            _ => play(scenario),
        };
        let wrong = check(&list, 2, bad);
        assert_eq!(wrong.iter().map(|wrong| wrong.wanted.seed).collect::<Vec<_>>(), [4, 7]);
        assert_eq!(wrong[0].found, Ok(list[4].hash ^ 1));
        assert_eq!(compute(0..10, 2, bad).unwrap_err().seed, 7);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        let good = "# a heading\n1 00000000000000ff\n\n2 0123456789abcdef\n";
        assert_eq!(parse(good).unwrap()[0], Pinned { seed: 1, hash: 255 });
        for bad in [
            "",
            "# only\n",
            "1 ff",
            "1",
            "x 00000000000000ff",
            "1 +0000000000000ff",
            "2 00000000000000ff\n2 00000000000000ff",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
