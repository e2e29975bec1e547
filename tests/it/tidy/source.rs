//! A Rust file with its literals and comments told apart from its code, and its tests from the
//! rest.
//!
//! This is a scanner, not a parser: it knows strings (raw ones too), characters, lifetimes, nested
//! comments and braces, which is what the rules need.

/// A Rust file, ready for the rules. All texts have the same lines at the same places.
pub(super) struct Source {
    /// From the root of the repository, with `/` between the parts.
    pub(super) path: String,
    /// As it is on disk.
    pub(super) text: String,
    /// Only code: comments and the contents of literals are blanks.
    pub(super) code: String,
    /// Code and comments: the contents of literals are blanks.
    pub(super) prose: String,
    /// Which lines (from 0) belong to tests.
    tests: Vec<bool>,
}

impl Source {
    /// Scans a file. `path` says whether the whole of it is tests.
    pub(super) fn new(path: &str, text: &str) -> Self {
        let (code, prose) = mask(text);
        let tests = if holds_tests_only(path) {
            vec![true; text.lines().count()]
        } else {
            test_lines(&code)
        };
        Self { path: path.to_owned(), text: text.to_owned(), code, prose, tests }
    }

    /// The same file if the whole of it is tests, because its parent says so.
    pub(super) fn into_tests(mut self) -> Self {
        self.tests.fill(true);
        self
    }

    /// The modules that this file declares for tests only, in files of their own: the path of each
    /// as a file, and as a folder with a `/` at its end.
    pub(super) fn test_modules(&self) -> Vec<String> {
        let (folder, name) = self.path.rsplit_once('/').unwrap_or(("", &self.path));
        let own = name.trim_end_matches(".rs");
        let folder = match own {
            "lib" | "main" | "mod" => folder.to_owned(),
            _ => format!("{folder}/{own}"),
        };
        let marked = TEST_ITEMS.iter().flat_map(|opening| {
            self.code.match_indices(opening).map(|(start, _)| start + opening.len())
        });
        let declared = marked.filter_map(|from| {
            let end = body(&self.code, from).err()?;
            let item = self.code.get(from..end)?;
            Some(item.rsplit_once("mod ")?.1.trim())
        });
        declared
            .flat_map(|module| [format!("{folder}/{module}.rs"), format!("{folder}/{module}/")])
            .collect()
    }

    /// The code without its tests; their lines are empty, so that all others keep their numbers.
    pub(super) fn shipped(&self) -> String {
        let marked = self.code.lines().zip(&self.tests);
        marked.flat_map(|(line, test)| [if *test { "" } else { line }, "\n"]).collect()
    }

    /// Code and comments, apart: what is shipped, and what is tests.
    pub(super) fn halves(&self) -> (String, String) {
        let (mut shipped, mut tests) = (String::new(), String::new());
        for (line, test) in self.prose.lines().zip(&self.tests) {
            let half = if *test { &mut tests } else { &mut shipped };
            half.push_str(line);
            half.push('\n');
        }
        (shipped, tests)
    }

    /// How many lines are not tests.
    pub(super) fn shipped_lines(&self) -> usize {
        self.tests.iter().filter(|test| !**test).count()
    }

    /// A breach in this file.
    pub(super) fn breach(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }
}

/// How an item that exists in tests only begins.
const TEST_ITEMS: &[&str] = &["#[cfg(test)]", "#[cfg(all(test"];

/// Files that are tests from end to end: `tests.rs`, the integration tests of a package, fuzz
/// replays and benchmarks' own tests. Fixtures (`tests/src`) are shared code and count as code.
fn holds_tests_only(path: &str) -> bool {
    path.ends_with("/tests.rs")
        || path.starts_with("tests/it/")
        || ["core/", "adapters/", "sim/", "fuzz/"].iter().any(|top| path.starts_with(top))
            && path.contains("/tests/")
}

/// What the scanner is inside of.
#[derive(Clone, Copy)]
enum Inside {
    Code,
    LineComment,
    BlockComment { depth: usize },
    Text,
    RawText { hashes: usize },
}

/// What some characters are.
#[derive(Clone, Copy)]
enum Kind {
    Code,
    Comment,
    Literal,
}

/// One step of the scanner: so many characters of this kind, and what comes after them.
struct Step {
    kind: Kind,
    taken: usize,
    then: Inside,
}

/// A step, spelt shortly.
const fn step(kind: Kind, taken: usize, then: Inside) -> Step {
    Step { kind, taken, then }
}

/// Blanks out comments and literals: (code alone, code and comments). Quotes stay, line ends stay.
fn mask(text: &str) -> (String, String) {
    let all: Vec<char> = text.chars().collect();
    let (mut code, mut prose) = (String::new(), String::new());
    let mut inside = Inside::Code;
    let mut at = 0;
    while at < all.len() {
        let rest = &all[at..];
        let step = match inside {
            Inside::Code => in_code(rest, at.checked_sub(1).map(|before| all[before])),
            Inside::LineComment if rest[0] == '\n' => step(Kind::Code, 1, Inside::Code),
            Inside::LineComment => step(Kind::Comment, 1, Inside::LineComment),
            Inside::BlockComment { depth } => in_block_comment(rest, depth),
            Inside::Text => in_text(rest),
            Inside::RawText { hashes } => in_raw_text(rest, hashes),
        };
        for &one in rest.iter().take(step.taken) {
            let blank = if one == '\n' { '\n' } else { ' ' };
            code.push(if matches!(step.kind, Kind::Code) { one } else { blank });
            prose.push(if matches!(step.kind, Kind::Literal) { blank } else { one });
        }
        at += step.taken;
        inside = step.then;
    }
    (code, prose)
}

/// In code: does something else begin here? `before` is the character in front.
fn in_code(rest: &[char], before: Option<char>) -> Step {
    let fresh = !before.is_some_and(is_word);
    match rest {
        ['/', '/', ..] => step(Kind::Comment, 2, Inside::LineComment),
        ['/', '*', ..] => step(Kind::Comment, 2, Inside::BlockComment { depth: 1 }),
        ['"', ..] => step(Kind::Code, 1, Inside::Text),
        ['\'', ..] => character(rest),
        ['r', '"' | '#', ..] if fresh => raw_text(rest, 1),
        ['b' | 'c', 'r', '"' | '#', ..] if fresh => raw_text(rest, 2),
        _ => step(Kind::Code, 1, Inside::Code),
    }
}

/// A raw string, if hashes and a quote follow; a raw identifier such as `r#type` is plain code.
fn raw_text(rest: &[char], prefix: usize) -> Step {
    let hashes = rest[prefix..].iter().take_while(|one| **one == '#').count();
    if rest.get(prefix + hashes) == Some(&'"') {
        step(Kind::Code, prefix + hashes + 1, Inside::RawText { hashes })
    } else {
        step(Kind::Code, 1, Inside::Code)
    }
}

/// A character literal, or the quote of a lifetime.
fn character(rest: &[char]) -> Step {
    let length = match rest {
        ['\'', '\\', _, tail @ ..] => tail.iter().position(|one| *one == '\'').map(|end| end + 4),
        ['\'', _, '\'', ..] => Some(3),
        _ => None,
    };
    match length {
        Some(length) => step(Kind::Literal, length, Inside::Code),
        None => step(Kind::Code, 1, Inside::Code),
    }
}

fn in_block_comment(rest: &[char], depth: usize) -> Step {
    match rest {
        ['/', '*', ..] => step(Kind::Comment, 2, Inside::BlockComment { depth: depth + 1 }),
        ['*', '/', ..] if depth == 1 => step(Kind::Comment, 2, Inside::Code),
        ['*', '/', ..] => step(Kind::Comment, 2, Inside::BlockComment { depth: depth - 1 }),
        _ => step(Kind::Comment, 1, Inside::BlockComment { depth }),
    }
}

fn in_text(rest: &[char]) -> Step {
    match rest {
        ['\\', _, ..] => step(Kind::Literal, 2, Inside::Text),
        ['"', ..] => step(Kind::Code, 1, Inside::Code),
        _ => step(Kind::Literal, 1, Inside::Text),
    }
}

fn in_raw_text(rest: &[char], hashes: usize) -> Step {
    let after = rest.iter().skip(1).take_while(|one| **one == '#').count();
    if rest[0] == '"' && after >= hashes {
        step(Kind::Code, 1 + hashes, Inside::Code)
    } else {
        step(Kind::Literal, 1, Inside::RawText { hashes })
    }
}

/// Whether a character may be part of a name.
pub(super) fn is_word(one: char) -> bool {
    one.is_alphanumeric() || one == '_'
}

/// Marks the lines of every item under `#[cfg(test)]`.
fn test_lines(code: &str) -> Vec<bool> {
    let mut marks = vec![false; code.lines().count()];
    for opening in TEST_ITEMS {
        for (start, _) in code.match_indices(opening) {
            let first = line_at(code, start);
            let last = line_at(code, item_end(code, start + opening.len()));
            marks.iter_mut().take(last + 1).skip(first).for_each(|mark| *mark = true);
        }
    }
    marks
}

/// The line (from 0) of a byte offset.
pub(super) fn line_at(code: &str, offset: usize) -> usize {
    code[..offset].matches('\n').count()
}

/// Where the item that starts at `from` ends: its closing brace, or its semicolon if it has no
/// body; a field's comma.
fn item_end(code: &str, from: usize) -> usize {
    if let Some(end) = field_end(code, from) {
        return end;
    }
    match body(code, from) {
        Ok(open) => closing_brace(code, open),
        Err(end) => end,
    }
}

/// Where the field of a struct, or of a struct's value, that starts at `from` ends: before its
/// comma. `None` if what starts there is no field.
fn field_end(code: &str, from: usize) -> Option<usize> {
    let start = from + code[from..].find(|one: char| !one.is_whitespace())?;
    let after = code[start..].trim_start_matches(is_word);
    if !after.starts_with(':') || after.starts_with("::") {
        return None;
    }
    let mut depth = 0_usize;
    for (at, one) in code[start..].char_indices() {
        match one {
            '(' | '[' | '{' => depth += 1,
            ',' if depth == 0 => return Some(start + at),
            ')' | ']' | '}' => depth = depth.checked_sub(1)?,
            _ => {}
        }
    }
    None
}

/// The opening brace of the item that starts at `from`; if it has none, its semicolon as the error.
/// What stands in brackets, such as the length of an array, is passed over.
pub(super) fn body(code: &str, from: usize) -> Result<usize, usize> {
    let mut depth = 0_usize;
    for (at, one) in code[from..].char_indices() {
        match one {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            '{' if depth == 0 => return Ok(from + at),
            ';' if depth == 0 => return Err(from + at),
            _ => {}
        }
    }
    Err(code.len())
}

/// The offset of the brace that closes the one at `open`; the end of the text if there is none.
pub(super) fn closing_brace(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, one) in code[open..].char_indices() {
        match one {
            '{' => depth += 1,
            '}' if depth == 1 => return open + at,
            '}' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

#[test]
fn literals_and_comments_are_told_from_code() {
    let text = r####"a("x{\"{"); // b{
/* c{ /* d{ */ e{ */ f('{', '\'', '\u{7b}', &'static g, r#"h{"#, b"i{", br##"j{"#"##, r#type);"####;
    let (code, prose) = mask(text);
    assert_eq!(code.lines().count(), 2);
    assert!(!code.contains('{') && !code.contains('}'), "{code}");
    for kept in ["a(\"", "f(", "&'static g", "r#type);"] {
        assert!(code.contains(kept), "{kept} in {code}");
    }
    for gone in ["b{", "c{", "d{", "e{", "h{", "i{", "j{"] {
        assert!(!code.contains(gone), "{gone} in {code}");
    }
    assert!(prose.contains("// b{") && prose.contains("/* c{ /* d{ */ e{ */"), "{prose}");
    assert!(!prose.contains("h{") && !prose.contains("x{"), "{prose}");
}

#[test]
fn tests_are_told_from_the_rest() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n";
    let source = Source::new("core/x/src/y.rs", text);
    assert_eq!(source.shipped_lines(), 2);
    assert_eq!(source.shipped(), "fn a() {}\n\n\n\n\nfn c() {}\n");
    assert_eq!(Source::new("core/x/src/y/tests.rs", text).shipped_lines(), 0);
    let elsewhere = "#[cfg(test)]\nmod tests;\nfn c() {}";
    assert_eq!(Source::new("core/x/src/y.rs", elsewhere).shipped_lines(), 1);
    let field = "struct A {\n    #[cfg(test)]\n    b: Vec<u8>,\n    c: u8,\n}\nfn d() {}\n";
    let shipped = Source::new("core/x/src/y.rs", field).shipped();
    assert_eq!(shipped, "struct A {\n\n\n    c: u8,\n}\nfn d() {}\n");
    let value = "fn d() {\n    e(A {\n        #[cfg(test)]\n        b: f(1, {\n2\n}),\n        \
                 c,\n    });\n}\n";
    let shipped = Source::new("core/x/src/y.rs", value).shipped();
    assert_eq!(shipped, "fn d() {\n    e(A {\n\n\n\n\n        c,\n    });\n}\n");
}

#[test]
fn files_that_a_test_module_lives_in_are_found() {
    let text = "mod a;\n#[cfg(test)]\nmod tests { mod x; }\n#[cfg(test)]\npub(crate) mod vectors;";
    let found = |path: &str| Source::new(path, text).test_modules();
    assert_eq!(found("core/x/src/lib.rs"), ["core/x/src/vectors.rs", "core/x/src/vectors/"]);
    assert_eq!(found("core/x/src/y.rs"), ["core/x/src/y/vectors.rs", "core/x/src/y/vectors/"]);
    assert_eq!(Source::new("core/x/src/y.rs", "fn a() {}").into_tests().shipped(), "\n");
}
