//! The public interface of each library crate, as a text that is kept beside this file (row T76).
//!
//! In go the crates' sources, out comes a list of what their users can name, sorted; it is compared
//! with the committed one. A change of the interface is then a change that someone sees:
//! `UPDATE_API=1 cargo test -p tripline-tests api` writes the new list.
//!
//! What counts as public: items that are `pub` and reachable from the crate's root, by `pub mod` or
//! by `pub use`, with their public fields, variants, methods and the traits they implement by hand
//! or by `derive`. The compiler is not asked, so this reads names and not types: an item that two
//! modules call the same is listed twice.

mod crate_items;
mod show;

use std::path::{Path, PathBuf};

/// The library crates, and where their sources are.
const CRATES: &[(&str, &str)] = &[
    ("tripline-sansio", "core/sansio/src"),
    ("tripline", "core/trip/src"),
    ("tripline-rpc", "core/rpc/src"),
    ("tripline-udp", "adapters/udp/src"),
    ("tripline-common", "adapters/common/src"),
    ("tripline-calls", "adapters/calls/src"),
    ("tripline-std", "adapters/std/src"),
    ("tripline-futures", "adapters/futures/src"),
    ("tripline-smol", "adapters/smol/src"),
    ("tripline-tokio", "adapters/tokio/src"),
    ("tripline-kit", "adapters/kit/src"),
    ("tripline-mio", "adapters/mio/src"),
    ("tripline-uring", "adapters/uring/src"),
    ("tripline-tcp", "adapters/tcp/src"),
    ("tripline-tls", "adapters/tls/src"),
    ("tripline-sim", "sim/src"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The lines of `new` that `old` lacks, each behind `mark`.
fn missing(old: &str, new: &str, mark: char) -> Vec<String> {
    let old: std::collections::BTreeSet<&str> = old.lines().collect();
    new.lines().filter(|line| !old.contains(line)).map(|line| format!("{mark} {line}")).collect()
}

/// T76, N31: what users can name is what the committed list says, so nothing goes unnoticed.
#[test]
fn t76_the_public_interface_is_the_one_on_record() {
    let update = std::env::var_os("UPDATE_API").is_some();
    let mut changes = Vec::new();
    for (name, source) in CRATES {
        let now = crate_items::public_items(&root().join(source));
        assert!(now.lines().count() >= 10, "{name} has an interface:\n{now}");
        let record = root().join("tests/it/api").join(format!("{name}.txt"));
        if update {
            std::fs::write(&record, &now).expect("the record can be written");
        }
        let before = std::fs::read_to_string(&record).unwrap_or_default();
        if before != now {
            changes.push(format!("{name}:"));
            changes.extend(missing(&now, &before, '-'));
            changes.extend(missing(&before, &now, '+'));
        }
    }
    assert!(
        changes.is_empty(),
        "the public interface changed; if it is meant, UPDATE_API=1 records it:\n{}",
        changes.join("\n")
    );
}

/// The list can see a change: what is private is not in it, what is public is.
#[test]
fn t76_the_list_tells_public_from_private() {
    let list = crate_items::public_items(&root().join("core/trip/src"));
    for line in ["struct Endpoint", "fn Endpoint::connect(", "enum Event", "Event::Connected"] {
        assert!(list.lines().any(|have| have.starts_with(line)), "{line} is not in:\n{list}");
    }
    for name in ["HalfOpens", "fn Endpoint::settle", "SentFrame", "Connection::new"] {
        assert!(!list.contains(name), "{name} is private");
    }
}
