//! The committed table: written, read, and held against new counts.

use super::Counts;
use super::works::{WORKS, Work};

/// By how much a count may grow, as a part of it.
pub const SLACK: f64 = 0.05;
/// What small counts may grow by in any case.
const ATOM: u64 = 2;

/// What stands before the table.
const HEAD: &str = "\
# The counted gate

What fixed, small work takes of the engine: figures that do not depend on what else the machine
does. Written by `gate --write`, checked by `gate`, which fails if a count is more than 5 % above
its line (and tells where it is more than 5 % below: then write the table anew):

```
cd tests/bench && cargo run --locked --release -p tripline-bench-ours --bin gate
```

Allocations are calls that took or grew memory, setting up included; trains are what would be send
calls; system calls are waits, sends and receives of two loops (`tripline-std`) that take turns over
loopback by a clock that moves only between turns. Instructions are those of the whole process by
`valgrind --tool=callgrind`; they are compared only with the compiler and on the kind of processor
that the table names, and not counted where there is no valgrind. All with `ring`, in the release
profile.

";

/// What stands before the name of the compiler and the processor.
const MADE_WITH: &str = "Instructions counted with: ";

/// The whole file; `made_with` names the compiler and the processor.
pub fn write(made_with: &str, all: &[(&Work, Counts)]) -> String {
    let mut out = format!("{HEAD}{MADE_WITH}{made_with}.\n\n");
    out += &format!("| work | what | {} |\n", Counts::HEADS.join(" | "));
    out += &format!("|---|---|{}\n", "---|".repeat(Counts::HEADS.len()));
    for (work, counts) in all {
        out += &format!("| {} | {} | {} |\n", work.name, work.what, cells(counts));
    }
    out
}

/// The counts as they stand in a line.
pub fn cells(counts: &Counts) -> String {
    let show = |count: Option<u64>| count.map_or_else(String::new, |count| count.to_string());
    counts.all().map(show).join(" | ")
}

/// The reverse of [`cells`].
pub fn parse_cells(text: &str) -> Option<Counts> {
    let mut all = [None; 5];
    let mut cells = text.split('|').map(str::trim);
    for count in &mut all {
        let cell = cells.next()?;
        *count = if cell.is_empty() { None } else { Some(cell.parse().ok()?) };
    }
    Some(Counts::from_all(all))
}

/// With which compiler and on which processor the file was made.
pub fn made_with(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix(MADE_WITH)?.strip_suffix('.'))
}

/// The counts of the file.
pub fn read(text: &str) -> Vec<(&'static Work, Counts)> {
    let line = |line: &str| {
        let rest = line.strip_prefix("| ")?.strip_suffix('|')?;
        let (name, rest) = rest.split_once('|')?;
        let (_, cells) = rest.split_once('|')?;
        Some((Work::named(name.trim())?, parse_cells(cells)?))
    };
    text.lines().filter_map(line).collect()
}

/// What has changed by more than the slack.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Counts that have grown, and works that the table does not have.
    pub worse: Vec<String>,
    /// Counts that are smaller.
    pub better: Vec<String>,
}

/// Holds new counts against the table.
pub fn check(table: &[(&Work, Counts)], new: &[(&Work, Counts)]) -> Verdict {
    let mut verdict = Verdict::default();
    for (work, counts) in new {
        let Some((_, old)) = table.iter().find(|(old, _)| old.name == work.name) else {
            verdict.worse.push(format!("{} is not in the table", work.name));
            continue;
        };
        let pairs = old.all().into_iter().zip(counts.all());
        for (head, (old, new)) in Counts::HEADS.iter().zip(pairs) {
            let (Some(old), Some(new)) = (old, new) else { continue };
            let slack = ((old as f64 * SLACK) as u64).max(ATOM);
            let line = format!("{}: {head}: {old} before, {new} now", work.name);
            if new > old + slack {
                verdict.worse.push(line);
            } else if new + slack < old {
                verdict.better.push(line);
            }
        }
    }
    if table.len() < WORKS.len() && verdict.worse.is_empty() {
        verdict.worse.push("the table has fewer works than there are".to_owned());
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(allocations: u64, instructions: Option<u64>) -> Counts {
        Counts { allocations: Some(allocations), instructions, ..Counts::default() }
    }

    #[test]
    fn a_table_is_read_as_it_was_written() {
        let all: Vec<(&Work, Counts)> =
            WORKS.iter().map(|work| (work, counts(7, Some(1_000)))).collect();
        let text = write("a compiler", &all);
        assert_eq!(made_with(&text), Some("a compiler"));
        let read = read(&text);
        assert_eq!(read.len(), WORKS.len());
        assert!(read.iter().zip(&all).all(|(a, b)| a.0.name == b.0.name && a.1 == b.1));
        assert_eq!(check(&read, &all), Verdict::default());
    }

    #[test]
    fn growth_is_found_and_what_was_not_counted_is_not_compared() {
        let table: Vec<(&Work, Counts)> =
            WORKS.iter().map(|work| (work, counts(1_000, Some(1_000)))).collect();
        let new = |allocations, instructions| vec![(&WORKS[0], counts(allocations, instructions))];
        assert_eq!(check(&table, &new(1_050, None)), Verdict::default());
        assert_eq!(check(&table, &new(1_051, None)).worse.len(), 1);
        assert_eq!(check(&table, &new(900, Some(1_100))).worse.len(), 1);
        assert_eq!(check(&table, &new(900, Some(1_100))).better.len(), 1);
        assert_eq!(check(&[], &new(1, None)).worse.len(), 1);
    }
}
