//! The arrows between our own packages, as cargo itself understands their manifests: cli →
//! {adapters, sim} → core; within core, each package has its own list. Dependencies of every kind
//! count, those of tests too.

use std::process::Command;

use serde_json::Value;

use super::tree::root;

/// Of core, who may know whom: folder, then the folders it may name.
const CORE: &[(&str, &[&str])] = &[
    ("core/sansio", &[]),
    ("core/trip", &["core/sansio"]),
    ("core/rpc", &["core/sansio", "core/trip"]),
    ("core/dns", &["core/sansio"]),
    ("core/http", &["core/sansio"]),
    ("core/tunnel", &["core/sansio"]),
];

/// One package of the workspace.
pub(super) struct Package {
    /// Its folder, from the root of the repository.
    folder: String,
    /// The folders of our packages that it depends on, in whatever way.
    uses: Vec<String>,
}

/// Our packages, as `cargo metadata` tells them.
pub(super) fn ours() -> Vec<Package> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into());
    let output = Command::new(cargo)
        .args(["metadata", "--offline", "--no-deps", "--format-version", "1"])
        .current_dir(root())
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).expect("cargo speaks JSON");
    let root = told["workspace_root"].as_str().expect("a workspace has a root").to_owned();
    let packages = told["packages"].as_array().expect("a workspace has packages");
    packages.iter().map(|package| read(package, &root)).collect()
}

/// One package of cargo's answer. Of its dependencies only those by path are ours.
fn read(package: &Value, root: &str) -> Package {
    let below = |path: &str| {
        let path = path.strip_prefix(root).unwrap_or(path);
        path.trim_start_matches('/').trim_end_matches("/Cargo.toml").to_owned()
    };
    let manifest = package["manifest_path"].as_str().expect("a package has a manifest");
    let dependencies = package["dependencies"].as_array().expect("a list, even if empty");
    let uses = dependencies.iter().filter_map(|one| one["path"].as_str()).map(below).collect();
    Package { folder: below(manifest), uses }
}

/// Every arrow that does not point down.
pub(super) fn upward(packages: &[Package]) -> Vec<String> {
    let arrows = packages
        .iter()
        .flat_map(|package| package.uses.iter().map(|to| (package.folder.as_str(), to.as_str())));
    let wrong = arrows.filter(|(from, to)| !may_use(from, to));
    wrong.map(|(from, to)| format!("{from}/Cargo.toml: may not depend on {to}")).collect()
}

fn may_use(from: &str, to: &str) -> bool {
    let top = |folder: &str| folder.split('/').next().unwrap_or_default().to_owned();
    match (top(from).as_str(), top(to).as_str()) {
        ("core", "core") => {
            CORE.iter().any(|(folder, allowed)| *folder == from && allowed.contains(&to))
        }
        // Nobody takes the program, the tests or the fuzzers for a library.
        (_, "fuzz" | "tests") => false,
        (_, "adapters") if to == "adapters/cli" => false,
        ("sim" | "fuzz" | "tests" | "adapters", "core") => true,
        ("adapters" | "tests", "adapters") => true,
        ("fuzz" | "tests", "sim") => true,
        ("adapters", "sim") => from == "adapters/cli",
        _ => false,
    }
}

#[test]
fn an_arrow_that_points_up_is_caught() {
    for (from, to) in [
        ("core/sansio", "core/trip"),
        ("core/dns", "core/trip"),
        ("core/trip", "sim"),
        ("core/trip", "adapters/std"),
        ("core/unheard-of", "core/sansio"),
        ("sim", "adapters/std"),
        ("adapters/std", "sim"),
        ("adapters/std", "adapters/cli"),
        ("adapters/cli", "tests"),
        ("fuzz", "adapters/std"),
    ] {
        let package = Package { folder: from.to_owned(), uses: vec![to.to_owned()] };
        assert_eq!(upward(&[package]).len(), 1, "{from} -> {to}");
    }
    for (from, to) in [
        ("core/rpc", "core/trip"),
        ("adapters/cli", "sim"),
        ("adapters/std", "adapters/udp"),
        ("sim", "core/trip"),
        ("tests", "adapters/std"),
    ] {
        assert!(may_use(from, to), "{from} -> {to}");
    }
}

/// What cargo tells is read as it is meant: this very package depends on others of ours.
#[test]
fn cargos_answer_is_understood() {
    let packages = ours();
    let tests = packages.iter().find(|package| package.folder == "tests").expect("this package");
    assert!(tests.uses.iter().any(|folder| folder == "core/sansio"), "{:?}", tests.uses);
}
