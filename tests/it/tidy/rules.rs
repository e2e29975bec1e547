//! Rules about one file: its length, its functions, its lines, its words, its first lines.

use super::source::{Source, body, closing_brace, is_word, line_at};

/// Lines of a file that are not tests.
const FILE_LINES: usize = 800;
/// Lines of a function, from its `fn` to its closing brace.
const FUNCTION_LINES: usize = 70;
/// Characters of a line.
const COLUMNS: usize = 100;

/// Code that must not stay, wherever it stands.
const BANNED_CODE: &[&str] = &["todo!", "unimplemented!", "dbg!", "#[ignore", "thread::sleep"];
/// Words that must not stay, in code or comment. Taken apart, or this file would be in breach.
const BANNED_WORDS: &[&str] = &[concat!("FIX", "ME"), concat!("XX", "X")];

/// Folders at the root of a file system that exist on one machine and not on the next.
const MACHINE_FOLDERS: &[&str] = &["root", "home", "work", "Users"];

/// What the root module of a core crate denies, because it can panic.
const CORE_DENIES: &[&str] = &[
    "clippy::unwrap_used",
    "clippy::expect_used",
    "clippy::panic",
    "clippy::unreachable",
    "clippy::indexing_slicing",
    "clippy::string_slice",
    "clippy::cast_possible_truncation",
];

/// At most [`FILE_LINES`] without tests.
pub(super) fn file_length(source: &Source) -> Vec<String> {
    let lines = source.shipped_lines();
    if lines <= FILE_LINES {
        return Vec::new();
    }
    vec![source.breach(1, &format!("{lines} lines without tests, at most {FILE_LINES}"))]
}

/// At most [`FUNCTION_LINES`] per function that is not a test.
pub(super) fn function_length(source: &Source) -> Vec<String> {
    let code = source.shipped();
    let mut breaches = Vec::new();
    for (start, _) in code.match_indices("fn ") {
        let Ok(open) = body(&code, start) else { continue };
        if code[..start].chars().next_back().is_some_and(is_word) {
            continue;
        }
        let first = line_at(&code, start);
        let lines = line_at(&code, closing_brace(&code, open)) - first + 1;
        if lines > FUNCTION_LINES {
            let what = format!("a function of {lines} lines, at most {FUNCTION_LINES}");
            breaches.push(source.breach(first + 1, &what));
        }
    }
    breaches
}

/// At most [`COLUMNS`] per line, tests and comments included. An address in a comment may be
/// longer.
pub(super) fn line_width(source: &Source) -> Vec<String> {
    let wide = source
        .text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.chars().count() > COLUMNS && !line.contains("https://"));
    wide.map(|(at, _)| source.breach(at + 1, &format!("wider than {COLUMNS} columns"))).collect()
}

/// Nothing unfinished, nothing switched off, nothing that waits for the clock.
pub(super) fn banned(source: &Source) -> Vec<String> {
    let in_code = BANNED_CODE.iter().flat_map(|word| found(source, &source.code, word));
    let in_prose = BANNED_WORDS.iter().flat_map(|word| found(source, &source.prose, word));
    in_code.chain(in_prose).collect()
}

/// Every whole occurrence of a word: what stands before and after it continues no name.
fn found(source: &Source, text: &str, word: &str) -> Vec<String> {
    let whole = text.match_indices(word).filter(|(at, _)| {
        let before = text[..*at].chars().next_back().is_some_and(is_word);
        let after = text[*at + word.len()..].chars().next().is_some_and(is_word);
        !(before || after)
    });
    whole.map(|(at, _)| source.breach(line_at(text, at) + 1, word)).collect()
}

/// The root module of every crate opens with `#![forbid(unsafe_code)]`, before any item. Excepted:
/// `adapters/uring`, and the allocator of `tests/no_std`.
pub(super) fn forbids_unsafe(source: &Source) -> Vec<String> {
    let root = source.path.ends_with("src/lib.rs")
        || source.path.ends_with("src/main.rs")
        || source.path.ends_with("it/main.rs");
    let excepted = ["adapters/uring/", "tests/no_std/"];
    if !root || excepted.iter().any(|folder| source.path.starts_with(folder)) {
        return Vec::new();
    }
    if opening(source).contains("#![forbid(unsafe_code)]") {
        return Vec::new();
    }
    vec![source.breach(1, "does not open with #![forbid(unsafe_code)]")]
}

/// The root module of every core crate leaves std out and denies what can panic.
pub(super) fn core_is_no_std(source: &Source) -> Vec<String> {
    if !(source.path.starts_with("core/") && source.path.ends_with("src/lib.rs")) {
        return Vec::new();
    }
    let opening = opening(source);
    let wanted = CORE_DENIES.iter().chain(&["#![no_std]"]);
    let missing = wanted.filter(|wanted| !opening.contains(**wanted));
    missing.map(|missing| source.breach(1, &format!("does not open with {missing}"))).collect()
}

/// No shipped code of core calls std in by the back door. Tests may: cargo's test runner is std.
pub(super) fn core_calls_no_std(source: &Source) -> Vec<String> {
    if source.path.starts_with("core/") {
        found(source, &source.shipped(), "extern crate std")
    } else {
        Vec::new()
    }
}

/// The inner attributes of a file, which is its code up to the first item, without spaces.
fn opening(source: &Source) -> String {
    let mut rest = source.code.trim_start();
    let mut out = String::new();
    while rest.starts_with("#![") {
        let end = rest.find(']').map_or(rest.len(), |end| end + 1);
        out.extend(rest[..end].chars().filter(|one| !one.is_whitespace()));
        rest = rest[end..].trim_start();
    }
    out
}

/// No absolute path that exists on one machine only, in any text file.
pub(super) fn machine_paths(path: &str, text: &str) -> Vec<String> {
    let mut breaches = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let mut before = ' ';
        for (offset, one) in line.char_indices() {
            let starts = one == '/' && !(is_word(before) || "./:*-}>])$".contains(before));
            let mut parts = line[offset..].split('/').skip(1);
            let folder = parts.next().unwrap_or_default();
            if starts && parts.next().is_some() && MACHINE_FOLDERS.contains(&folder) {
                breaches.push(format!("{path}:{}: a path of one machine: /{folder}/", at + 1));
            }
            before = one;
        }
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of the transport with this text.
    fn file(text: &str) -> Source {
        Source::new("core/trip/src/lib.rs", text)
    }

    #[test]
    fn a_long_file_is_caught_and_its_tests_are_not_counted() {
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "\n".repeat(900));
        assert!(file_length(&file(&("\n".repeat(800) + &tests))).is_empty());
        assert_eq!(file_length(&file(&("\n".repeat(801) + &tests))).len(), 1);
    }

    #[test]
    fn a_long_function_is_caught_whatever_its_strings_hold() {
        let of = |lines: usize| {
            format!(
                "fn a() {{}}\nfn b(x: [u8; 4]) {{\n    c(\"}}\");{}}}\n",
                "\n".repeat(lines - 2)
            )
        };
        assert!(function_length(&file(&of(70))).is_empty());
        let caught = function_length(&file(&of(71)));
        assert_eq!(caught.len(), 1);
        assert!(caught[0].starts_with("core/trip/src/lib.rs:2: "), "{caught:?}");
        let test = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", of(200));
        assert!(function_length(&file(&test)).is_empty());
        assert!(function_length(&file("trait A {\n    fn b(&self);\n}\n")).is_empty());
    }

    #[test]
    fn a_wide_line_is_caught() {
        let wide = |columns: usize| file(&"é".repeat(columns));
        assert!(line_width(&wide(100)).is_empty());
        assert_eq!(line_width(&wide(101)).len(), 1);
    }

    #[test]
    fn every_banned_word_is_caught_in_its_place_only() {
        for word in BANNED_CODE {
            let live = format!("fn a() {{\n    {word} \n}}\n");
            let caught = banned(&file(&live));
            assert_eq!(caught, [format!("core/trip/src/lib.rs:2: {word}")]);
            assert!(banned(&file(&format!("// {word}\nconst A: &str = \"{word}\";"))).is_empty());
        }
        for word in BANNED_WORDS {
            assert_eq!(banned(&file(&format!("// {word}: later"))).len(), 1);
            assert!(banned(&file(&format!("// {word}Y"))).is_empty());
            assert!(banned(&file(&format!("const A: &str = \"{word}\";"))).is_empty());
        }
    }

    #[test]
    fn a_crate_that_does_not_forbid_unsafe_code_is_caught() {
        let good = "//! A.\n#![no_std]\n#![forbid(unsafe_code)]\nmod a;\n";
        assert!(forbids_unsafe(&file(good)).is_empty());
        for bad in [
            "//! A.\nmod a;\n",
            "//! #![forbid(unsafe_code)]\nmod a;\n",
            "#![deny(unsafe_code)]\nmod a;\n",
            "mod a;\nmod b {\n    #![forbid(unsafe_code)]\n}\n",
        ] {
            assert_eq!(forbids_unsafe(&file(bad)).len(), 1, "{bad}");
        }
        assert!(forbids_unsafe(&Source::new("adapters/uring/src/lib.rs", "mod a;")).is_empty());
    }

    #[test]
    fn a_core_crate_with_std_or_without_the_lints_is_caught() {
        let good = format!("#![no_std]\n#![deny(\n    {}\n)]\n", CORE_DENIES.join(",\n    "));
        assert!(core_is_no_std(&file(&good)).is_empty());
        assert_eq!(core_is_no_std(&file(&good.replace("#![no_std]\n", ""))).len(), 1);
        assert_eq!(core_is_no_std(&file("#![no_std]\n")).len(), CORE_DENIES.len());
        assert_eq!(
            core_is_no_std(&file(&good.replace("clippy::panic", "clippy::pancake"))).len(),
            1
        );
        assert!(core_is_no_std(&Source::new("sim/src/lib.rs", "")).is_empty());
    }

    #[test]
    fn std_by_the_back_door_is_caught() {
        let bad = "#![no_std]\nextern crate alloc;\nextern crate std;\n";
        assert_eq!(core_calls_no_std(&file(bad)), ["core/trip/src/lib.rs:3: extern crate std"]);
        let good = "#[cfg(test)]\nmod tests {\n    extern crate std;\n}\n";
        assert!(core_calls_no_std(&file(good)).is_empty());
    }

    #[test]
    fn a_path_of_one_machine_is_caught() {
        for folder in MACHINE_FOLDERS {
            for text in ["at {} ", "\"{}\"", "({})", "= {}", "`{}`"] {
                let bad = text.replace("{}", &format!("/{folder}/x"));
                assert_eq!(machine_paths("README.md", &bad).len(), 1, "{bad}");
            }
        }
        for good in ["tests/home/x", "https://a.b/home/x", "../home/x", "/home", "and/or", "/etc/x"]
        {
            assert!(machine_paths("README.md", good).is_empty(), "{good}");
        }
    }
}
