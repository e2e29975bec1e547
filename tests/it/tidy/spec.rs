//! The pages of the protocols, the code and the tests agree: `spec_cover`.
//!
//! In go the pages and the sources of their crates; out comes every numbered requirement that no
//! code cites or that no test cites, every number that is cited and not on a page, and every test
//! that the transport's page names and that does not exist. A citation is the number itself
//! (`R-OPEN-3` in a comment) or, in tests, a name that begins with it (`fn r_open_3_…`). A number
//! without a letter stands for all its letters, as the page says; a bare family (`R-WIRE`) is no
//! citation here.

use super::source::{Source, is_word};
use std::collections::BTreeSet;

/// Where §12 begins: what stands there is the list of tests, not rules. (§10 names tests too.)
const LIST: &str = "\n## 12.";

/// Where the code is that obeys a page.
const HOMES: [&str; 2] = ["core/trip/src/", "core/rpc/src/"];

/// The requirements of all pages.
fn all_requirements(pages: &[&str]) -> BTreeSet<String> {
    pages.iter().flat_map(|page| requirements(page)).collect()
}

/// The requirements of a page: the numbers with which an item of a list begins.
pub(super) fn requirements(page: &str) -> BTreeSet<String> {
    let rules = page.split(LIST).next().unwrap_or_default();
    let items = rules.lines().filter_map(|line| line.trim_start().strip_prefix("- `"));
    items
        .filter_map(|item| number_at(item).filter(|found| item[found.len()..].starts_with('`')))
        .collect()
}

/// The requirement number that `text` begins with: `R-`, a family, `-`, digits, perhaps a letter.
fn number_at(text: &str) -> Option<String> {
    let rest = text.strip_prefix("R-")?;
    let family = rest.find(|one: char| !one.is_ascii_uppercase())?;
    let number = rest[family..].strip_prefix('-')?;
    let digits = number.find(|one: char| !one.is_ascii_digit()).unwrap_or(number.len());
    if family == 0 || digits == 0 {
        return None;
    }
    let mut length = 2 + family + 1 + digits;
    let letter = text[length..].chars().next().filter(char::is_ascii_lowercase);
    let behind = text[length..].chars().nth(1);
    if letter.is_some() && !behind.is_some_and(is_word) {
        length += 1;
    }
    Some(text[..length].to_owned())
}

/// All numbers that stand in `text`, and those that names of functions begin with.
fn citations(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices("R-") {
        if !text[..at].chars().next_back().is_some_and(is_word) {
            found.extend(number_at(&text[at..]));
        }
    }
    for (at, _) in text.match_indices("fn r_") {
        found.extend(number_of_name(&text[at + 3..]));
    }
    found
}

/// `r_open_1a_what_it_shows` is about `R-OPEN-1a`.
fn number_of_name(name: &str) -> Option<String> {
    let mut words = name.split(|one: char| one == '_' || !is_word(one)).skip(1);
    let (family, number) = (words.next()?, words.next()?);
    let starts = number.starts_with(|one: char| one.is_ascii_digit());
    starts.then(|| format!("R-{}-{number}", family.to_ascii_uppercase()))
}

/// A number without its letter.
fn stem(number: &str) -> &str {
    number.trim_end_matches(|one: char| one.is_ascii_lowercase())
}

/// Whether `cited` has the number: itself, its stem, or, for a stem, one of its letters.
fn covers(cited: &BTreeSet<String>, number: &str) -> bool {
    let has_letters = stem(number) != number;
    cited.contains(number)
        || has_letters && cited.contains(stem(number))
        || !has_letters && cited.iter().any(|one| stem(one) == number)
}

/// What is cited: by the engine's own code, and by tests wherever they are.
#[derive(Default)]
pub(super) struct Cited {
    code: BTreeSet<String>,
    tests: BTreeSet<String>,
    /// Every function that there is, by name.
    functions: BTreeSet<String>,
}

impl Cited {
    /// Takes a file into account.
    pub(super) fn read(&mut self, source: &Source) {
        let (shipped, tests) = source.halves();
        if HOMES.iter().any(|home| source.path.starts_with(home)) {
            self.code.append(&mut citations(&shipped));
        }
        self.tests.append(&mut citations(&tests));
        for (at, _) in source.code.match_indices("fn ") {
            let name = &source.code[at + 3..];
            let end = name.find(|one: char| !is_word(one)).unwrap_or(name.len());
            self.functions.insert(name[..end].to_owned());
        }
    }

    /// Every requirement of the pages that is not cited on both sides.
    pub(super) fn uncovered(&self, pages: &[&str]) -> Vec<String> {
        let mut breaches = Vec::new();
        for number in all_requirements(pages) {
            if !covers(&self.code, &number) {
                breaches.push(format!("{number}: no code cites it"));
            }
            if !covers(&self.tests, &number) {
                breaches.push(format!("{number}: no test cites it"));
            }
        }
        breaches
    }

    /// Every number that is cited and that no page has.
    pub(super) fn unknown_numbers(&self, pages: &[&str]) -> Vec<String> {
        let rules = all_requirements(pages);
        let cited = self.code.union(&self.tests);
        let unknown = cited.filter(|number| {
            !rules.contains(*number) && !rules.iter().any(|rule| stem(rule) == *number)
        });
        unknown
            .map(|number| format!("{number} is cited, and no PROTOCOL.md has such a rule"))
            .collect()
    }

    /// Every test that §10 or §12 names and that does not exist. A name may end in `*`.
    pub(super) fn unknown_tests(&self, page: &str) -> Vec<String> {
        let lists = ["\n## 10.", LIST].into_iter().filter_map(|heading| {
            let (_, list) = page.split_once(heading)?;
            Some(list.split("\n## ").next().unwrap_or_default())
        });
        let quoted = lists.flat_map(|list| list.split('`').skip(1).step_by(2));
        let names = quoted.map(|text| text.rsplit_once(": ").map_or(text, |(_, name)| name));
        names
            .filter(|name| name.contains('_') && !name.contains(['/', ' ', '.', '<']))
            .filter(|name| match name.strip_suffix('*') {
                Some(start) => !self.functions.iter().any(|have| have.starts_with(start)),
                None => !self.functions.contains(*name),
            })
            .map(|name| format!("§10 or §12 names the test {name}, which does not exist"))
            .collect()
    }
}

#[test]
fn requirements_and_citations_are_read() {
    let page = "- `R-OPEN-3` A key.\n  - `R-OPEN-3a` More.\n`R-DATA-1` no item\n- `R-OPEN`\n\
                \n## 12. Tests\n- `R-ID-9` no rule\n`a.rs: one_two`, `three_*`\n\n## 13";
    let list: Vec<String> = requirements(page).into_iter().collect();
    assert_eq!(list, ["R-OPEN-3", "R-OPEN-3a"]);
    let found =
        citations("// R-OPEN-3a, XR-OPEN-7 and (R-ID-12)\nfn r_data_4b_shows() {} fn r_wire_x()");
    let found: Vec<String> = found.into_iter().collect();
    assert_eq!(found, ["R-DATA-4b", "R-ID-12", "R-OPEN-3a"]);
}

#[test]
fn what_is_missing_is_found() {
    let page = "- `R-OPEN-3` a\n- `R-OPEN-4` b\n  - `R-OPEN-4a` c\n\n## 12.\n`a: one_two`, `thr_*`";
    let mut cited = Cited::default();
    let code = Source::new("core/trip/src/a.rs", "// R-OPEN-3 R-OPEN-4a\nfn thr_ee() {}\n");
    let test = Source::new("tests/it/a.rs", "// R-OPEN-4\nfn b() {}\n");
    cited.read(&code);
    cited.read(&test);
    assert_eq!(cited.uncovered(&[page]), ["R-OPEN-3: no test cites it"]);
    cited.read(&Source::new("tests/it/b.rs", "// R-OPEN-9\n"));
    let unknown = ["R-OPEN-9 is cited, and no PROTOCOL.md has such a rule"];
    assert_eq!(cited.unknown_numbers(&[page]), unknown);
    assert_eq!(
        cited.unknown_tests(page),
        ["§10 or §12 names the test one_two, which does not exist"]
    );
}
