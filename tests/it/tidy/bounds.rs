//! PROTOCOL.md §11 and the code agree: each bound of the page is a constant, or a setting, of the
//! file that its row names.
//!
//! In go the page and the engine's sources; out comes every name in the third column that does not
//! exist where the page says. In that column a name is followed by its file (`NAME` in `a/b.rs`, or
//! *same file* or *there* for the one named last, also in a row above); a setting may stand alone
//! (`Config::connections_max`), up to a semicolon or the cell's end: then any file may have it.

use super::source::{Source, is_word};

/// A name of the table, and where it is to be found; `None`: anywhere.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bound {
    name: String,
    file: Option<String>,
}

/// The names in the third column of §11's tables.
pub(super) fn bounds(page: &str) -> Vec<Bound> {
    let section = page.split_once("\n## 11.").map_or("", |(_, rest)| rest);
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("| "));
    let cells = rows.filter_map(|row| row.split(" | ").nth(2));
    let (mut found, mut file) = (Vec::new(), None);
    for cell in cells {
        read_cell(cell, &mut file, &mut found);
    }
    found
}

/// Reads one cell; `file` is the one named last.
fn read_cell(cell: &str, file: &mut Option<String>, found: &mut Vec<Bound>) {
    let mut waiting: Vec<String> = Vec::new();
    let parts: Vec<&str> = cell.split('`').collect();
    for pair in parts[1..].chunks(2) {
        let (quoted, after) = (pair[0], pair.get(1).copied().unwrap_or_default());
        let is_file = quoted.ends_with(".rs");
        if is_file {
            *file = Some(quoted.to_owned());
        } else {
            waiting.push(quoted.trim_end_matches("()").to_owned());
        }
        let named = is_file || after.contains("same file") || after.contains("there");
        if named || after.contains(';') {
            let place = file.clone().filter(|_| named);
            found.extend(waiting.drain(..).map(|name| Bound { name, file: place.clone() }));
        }
    }
    found.extend(waiting.into_iter().map(|name| Bound { name, file: None }));
}

/// Whether a source has every part of a name (`Type::part`) as a word of its code.
fn has(source: &Source, name: &str) -> bool {
    name.split("::").all(|part| {
        source.code.match_indices(part).any(|(at, _)| {
            let before = source.code[..at].chars().next_back();
            let after = source.code[at + part.len()..].chars().next();
            !before.is_some_and(is_word) && !after.is_some_and(is_word)
        })
    })
}

/// Every name of §11 that is not where the page says.
pub(super) fn missing(page: &str, sources: &[Source]) -> Vec<String> {
    let engine = || sources.iter().filter(|one| one.path.starts_with("core/trip/src/"));
    let lost = bounds(page).into_iter().filter(|bound| match &bound.file {
        Some(file) => !engine().any(|one| {
            one.path.strip_prefix("core/trip/src/") == Some(file) && has(one, &bound.name)
        }),
        None => !engine().any(|one| has(one, &bound.name)),
    });
    lost.map(|bound| match bound.file {
        Some(file) => format!("§11 names {} in {file}, which has no such thing", bound.name),
        None => format!("§11 names {}, which no file has", bound.name),
    })
    .collect()
}

#[test]
fn names_and_files_are_read() {
    let page = "## 11. Bounds\n\
        \n## 11. Bounds\n| what | bound | constant | at it |\n|---|---|---|---|\n\
        | a | 1 | `ONE`, `TWO` in `a/b.rs` | dies |\n| b | 2 | `THREE`, same file | dies |\n\
        | c | 3 | `FOUR` there; `S::FIVE` in `c.rs` | `not_this` |\n\
        | d | 4 | `C::six()`; `T` in `d.rs` | - |\n\
        \n## 12. Tests\n| a | 1 | `SEVEN` | dies |\n";
    let show = |bound: Bound| format!("{}:{}", bound.name, bound.file.unwrap_or_default());
    let found: Vec<String> = bounds(page).into_iter().map(show).collect();
    let bare = "ONE:a/b.rs TWO:a/b.rs THREE:a/b.rs FOUR:a/b.rs S::FIVE:c.rs C::six: T:d.rs";
    assert_eq!(found.join(" "), bare);
}

#[test]
fn a_bound_that_moved_is_found() {
    let page = "\n## 11.\n| a | 1 | `ONE` in `a.rs` | x |\n| b | 1 | `T::two` | x |\n";
    let source = |path, text| Source::new(path, text);
    let good = [source("core/trip/src/a.rs", "const ONE: u8 = 1; struct T { two: u8 }")];
    assert_eq!(missing(page, &good), Vec::<String>::new());
    let moved = [
        source("core/trip/src/b.rs", "const ONE: u8 = 1; struct T { two_more: u8 }"),
        source("core/trip/src/a.rs", "// ONE\nconst ONE_MORE: u8 = 1;"),
    ];
    let expected = [
        "§11 names ONE in a.rs, which has no such thing".to_owned(),
        "§11 names T::two, which no file has".to_owned(),
    ];
    assert_eq!(missing(page, &moved), expected);
}
