//! The rules of the house that no compiler enforces, checked over the source tree as it lies on
//! disk.
//!
//! In goes the tree around this package; out comes every breach at once, with file and line. Each
//! rule is a plain function of a text (`rules`, `layers`, `manifests`, `tree`), and each has a test
//! beside it that shows a breach being caught. Nothing is built or changed.

mod bounds;
mod layers;
mod manifests;
mod rows;
mod rules;
mod source;
mod spec;
mod thin;
mod tree;

use source::Source;
use tree::{File, Tree};

/// Fails with every breach on a line of its own.
#[track_caller]
fn none(breaches: Vec<String>) {
    assert!(breaches.is_empty(), "{} breaches:\n{}", breaches.len(), breaches.join("\n"));
}

/// Every Rust file of the house.
fn rust_sources() -> Vec<Source> {
    let tree = Tree::read();
    let files: Vec<&File> = tree.files.iter().filter(|file| file.path.ends_with(".rs")).collect();
    assert!(files.len() > 20, "the walk found {} Rust files only", files.len());
    assert!(files.iter().any(|file| file.path == "core/trip/src/lib.rs"));
    let sources: Vec<Source> =
        files.iter().map(|file| Source::new(&file.path, &file.text)).collect();
    let tests: Vec<String> = sources.iter().flat_map(Source::test_modules).collect();
    let known = sources.into_iter().map(|source| {
        let path = &source.path;
        let test =
            tests.iter().any(|test| path == test || test.ends_with('/') && path.starts_with(test));
        if test { source.into_tests() } else { source }
    });
    known.collect()
}

/// Applies a rule to every Rust file of the house.
fn rust(rule: impl Fn(&Source) -> Vec<String>) -> Vec<String> {
    rust_sources().iter().flat_map(rule).collect()
}

#[test]
fn no_file_is_longer_than_800_lines_without_its_tests() {
    none(rust(rules::file_length));
}

#[test]
fn no_function_is_longer_than_70_lines() {
    none(rust(rules::function_length));
}

#[test]
fn no_line_is_wider_than_100_columns() {
    none(rust(rules::line_width));
}

#[test]
fn no_leftovers_and_no_sleeping() {
    none(rust(rules::banned));
}

#[test]
fn the_adapters_of_mio_smol_and_tokio_are_thin() {
    let sources = rust_sources();
    none(["mio", "smol", "tokio"].iter().filter_map(|one| thin::fat(one, &sources)).collect());
}

/// What each scene of `adapters/futures/src/tests/cancel.rs` proves is said where users look.
#[test]
fn every_future_says_whether_it_is_cancel_safe() {
    none(rust(thin::silent));
}

#[test]
fn every_crate_but_uring_forbids_unsafe_code() {
    none(rust(rules::forbids_unsafe));
}

/// T65, T75: what runs in core has no loop of its own and cannot reach the operating system.
#[test]
fn every_core_crate_lives_without_std() {
    none(rust(rules::core_is_no_std));
    none(rust(rules::core_calls_no_std));
}

/// T09: each numbered requirement of PROTOCOL.md is cited by code and by a test, no other number
/// is, and the tests that the page names exist.
#[test]
fn spec_cover() {
    let tree = Tree::read();
    let page = |path| tree.files.iter().find(|file| file.path == path).expect("a page");
    let [trip, calls] =
        ["core/trip/PROTOCOL.md", "core/rpc/PROTOCOL.md"].map(|path| &*page(path).text);
    assert!(spec::requirements(trip).len() > 60, "the page has numbered requirements");
    assert!(spec::requirements(calls).len() > 10, "the page has numbered requirements");
    let mut cited = spec::Cited::default();
    rust_sources().iter().for_each(|source| cited.read(source));
    let mut breaches = cited.uncovered(&[trip, calls]);
    breaches.extend(cited.unknown_numbers(&[trip, calls]));
    breaches.extend(cited.unknown_tests(trip));
    none(breaches);
}

/// T09: each bound of PROTOCOL.md §11 is a constant or setting of the file that the page names.
#[test]
fn spec_bounds() {
    let tree = Tree::read();
    let page = tree.files.iter().find(|file| file.path == "core/trip/PROTOCOL.md");
    let page = &page.expect("the protocol's page").text;
    assert!(bounds::bounds(page).len() > 40, "the page has bounds");
    none(bounds::missing(page, &rust_sources()));
}

/// Each row of the contract that tests/ROWS.md claims has the tests that it names, and no test's
/// name claims another one.
#[test]
fn rows_are_proved() {
    let tree = Tree::read();
    let page = tree.files.iter().find(|file| file.path == "tests/ROWS.md");
    let page = &page.expect("the page of rows").text;
    assert!(rows::rows(page).len() > 60, "the page has rows");
    none(rows::unproved(page, &rust_sources()));
}

#[test]
fn layers_inside_the_transport_point_one_way() {
    let tree = Tree::read();
    let root = tree.files.iter().find(|file| file.path == "core/trip/src/lib.rs");
    let root = root.expect("the transport has a root module");
    let exports = layers::exports(&Source::new(&root.path, &root.text));
    none(rust(|source| layers::upward(source, &exports)));
}

/// T75: no core crate knows an adapter or the simulator.
#[test]
fn dependencies_between_our_packages_point_down() {
    let packages = manifests::ours();
    assert!(packages.len() >= 8, "cargo knows {} packages only", packages.len());
    none(manifests::upward(&packages));
}

/// N44, N60: the command for all tests that the README gives is the last thing that runs before a
/// change lands, behind every step that the same script defines.
#[test]
fn n44_n60_one_command_runs_all_tests_before_anything_lands() {
    let tree = Tree::read();
    let file = |path: &str| {
        let found = tree.files.iter().find(|file| file.path == path);
        found.unwrap_or_else(|| panic!("no {path}")).text.as_str()
    };
    let (script, command) = (file(".ci/run"), "cargo test --workspace");
    assert!(file("README.md").lines().any(|line| line.starts_with(command)), "the README's");
    assert_eq!(script.lines().last(), Some(command));
    let defined: Vec<&str> = script.lines().filter_map(|line| line.strip_suffix("() {")).collect();
    let called = |name: &&&str| {
        let end = format!("\" {name}");
        script.lines().any(|line| line.starts_with("step \"") && line.ends_with(&end))
    };
    let forgotten: Vec<_> =
        defined.iter().filter(|name| **name != "step" && !called(name)).collect();
    assert!(defined.len() > 10 && forgotten.is_empty(), "steps that do not run: {forgotten:?}");
}

#[test]
fn the_top_level_holds_what_the_house_says() {
    none(tree::top_level(&tree::top_level_names()));
}

#[test]
fn no_file_names_a_path_of_one_machine() {
    let tree = Tree::read();
    none(tree.files.iter().flat_map(|file| rules::machine_paths(&file.path, &file.text)).collect());
}
