//! tests/ROWS.md and the tests agree: `rows_are_proved`.
//!
//! In go the page and the sources; out comes every row of it that names no test, every test that it
//! names and that is not where it says, every row whose id none of its tests carries (in its name,
//! `fn t35_…`, or in its doc comment, `T35`), and every row that a test's name claims and the page
//! does not have. So a test cannot go, or change its name, without the page saying what is left.

use super::source::{Source, is_word};
use std::collections::BTreeMap;

/// One row of the contract, and the tests that prove it: file and function.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    id: String,
    tests: Vec<(String, String)>,
}

/// Whether `word` is the id of a row: a letter of the contract and two digits.
fn is_id(word: &str) -> bool {
    let mut letters = word.chars();
    letters.next().is_some_and(|one| "TUHNM".contains(one))
        && word.len() == 3
        && letters.all(|one| one.is_ascii_digit())
}

/// The rows of the page: lines of a table whose first cell is an id. In the last cell, each quoted
/// text is `file: test`, or a test alone in the file that was named before it.
pub(super) fn rows(page: &str) -> Vec<Row> {
    let lines = page.lines().filter_map(|line| line.strip_prefix("| "));
    let cells = lines.map(|line| line.split(" | ").collect::<Vec<&str>>());
    cells
        .filter(|cells| is_id(cells[0]))
        .map(|cells| {
            let quoted = cells[cells.len() - 1].split('`').skip(1).step_by(2);
            let mut file = String::new();
            let tests = quoted.map(|text| {
                let (place, name) = text.rsplit_once(": ").unwrap_or(("", text));
                if !place.is_empty() {
                    place.clone_into(&mut file);
                }
                (file.clone(), name.to_owned())
            });
            Row { id: cells[0].to_owned(), tests: tests.collect() }
        })
        .collect()
}

/// The functions of a source, each with the line (from 0) at which it stands.
fn functions(source: &Source) -> BTreeMap<&str, usize> {
    let lines = source.code.lines().enumerate();
    let named = lines.filter_map(|(at, line)| {
        let start = line
            .match_indices("fn ")
            .find(|(start, _)| !line[..*start].chars().next_back().is_some_and(is_word))?;
        let name = &line[start.0 + 3..];
        let end = name.find(|one: char| !is_word(one)).unwrap_or(name.len());
        Some((&name[..end], at))
    });
    named.collect()
}

/// The ids that a function's name carries: `t12_t15_what_it_shows` is about T12 and T15.
fn claimed(name: &str) -> impl Iterator<Item = String> + '_ {
    // Not `u`: names are full of `u16` and `u64`.
    let words = name.split('_').filter(|word| !word.starts_with('u'));
    words.map(str::to_ascii_uppercase).filter(|word| is_id(word))
}

/// Whether the test at this line carries the id, in its name or in the doc comment above it.
fn carries(source: &Source, (name, line): (&str, usize), id: &str) -> bool {
    let lines: Vec<&str> = source.text.lines().take(line).map(str::trim).collect();
    let above =
        lines.iter().rev().take_while(|line| line.starts_with("///") || line.starts_with("#["));
    let mut words = above.flat_map(|line| line.split(|one: char| !is_word(one)));
    claimed(name).any(|word| word == id) || words.any(|word| word == id)
}

/// What is wrong with one row.
fn of_row(row: &Row, sources: &BTreeMap<&str, &Source>, breaches: &mut Vec<String>) {
    let mut carried = false;
    for (file, name) in &row.tests {
        match sources.get(file.as_str()).map(|source| (source, functions(source))) {
            None => breaches.push(format!("{}: there is no file {file}", row.id)),
            Some((source, functions)) => match functions.get(name.as_str()) {
                None => breaches.push(format!("{}: {file} has no test {name}", row.id)),
                Some(line) => carried |= carries(source, (name, *line), &row.id),
            },
        }
    }
    if row.tests.is_empty() {
        breaches.push(format!("{}: no test is named", row.id));
    } else if !carried {
        breaches.push(format!("{}: none of its tests names the row", row.id));
    }
}

/// Everything in which the page and the tests do not agree.
pub(super) fn unproved(page: &str, sources: &[Source]) -> Vec<String> {
    let mut breaches = Vec::new();
    let rows = rows(page);
    for pair in rows.windows(2).filter(|pair| pair[0].id >= pair[1].id) {
        breaches.push(format!("{} stands before {}", pair[0].id, pair[1].id));
    }
    let by_path: BTreeMap<&str, &Source> =
        sources.iter().map(|source| (source.path.as_str(), source)).collect();
    rows.iter().for_each(|row| of_row(row, &by_path, &mut breaches));
    for source in sources {
        for name in functions(source).into_keys() {
            for id in claimed(name).filter(|id| rows.iter().all(|row| row.id != *id)) {
                breaches.push(format!("{}: {name} names {id}, which no row is", source.path));
            }
        }
    }
    breaches
}

#[test]
fn rows_are_read() {
    let page = "| row | what | proved by |\n|---|---|---|\n\
                | T35 | a `b` | `x/a.rs: t35_one`, `two`; `y.rs: three` |\n| T3 | no | `a.rs: b` |";
    let test = |file: &str, name: &str| (file.to_owned(), name.to_owned());
    let tests = vec![test("x/a.rs", "t35_one"), test("x/a.rs", "two"), test("y.rs", "three")];
    assert_eq!(rows(page), [Row { id: "T35".into(), tests }]);
    assert_eq!(claimed("t12_m04_from_u16_t9").collect::<Vec<_>>(), ["T12", "M04"]);
}

#[test]
fn what_is_not_proved_is_found() {
    let text = "/// T36: as it says.\n#[test]\nfn it_is() {}\n#[test]\nfn t35_is() {}\n\
                fn n17_is() {}\nfn plain() {}\n";
    let sources = [Source::new("tests/it/a.rs", text)];
    let fine = "| N17 | x | `tests/it/a.rs: n17_is` |\n| T35 | x | `tests/it/a.rs: t35_is` |\n\
                | T36 | x | `tests/it/a.rs: it_is` |";
    assert_eq!(unproved(fine, &sources), Vec::<String>::new());
    let page = "| T36 | x | `tests/it/a.rs: it_was`, `it_is` |\n| N17 | x | none |\n\
                | T40 | x | `tests/it/a.rs: plain` |\n| T41 | x | `tests/it/b.rs: plain` |";
    let expected = [
        "T36 stands before N17",
        "T36: tests/it/a.rs has no test it_was",
        "N17: no test is named",
        "T40: none of its tests names the row",
        "T41: there is no file tests/it/b.rs",
        "T41: none of its tests names the row",
        "tests/it/a.rs: t35_is names T35, which no row is",
    ];
    assert_eq!(unproved(page, &sources), expected);
}
