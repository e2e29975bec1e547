//! The dependency trees that our libraries bring to their users, as cargo resolves them: one
//! generation of the cipher crates, no C compiler (T79), and no plain mode (T58).

use std::path::Path;
use std::process::Command;

/// What must not be in a library's tree, normal and build dependencies, default features.
const REFUSED: &[(&str, &str)] = &[
    ("generic-array", "the generation of cipher crates before ours"),
    ("cc", "runs a C compiler"),
    ("cmake", "runs a C compiler"),
    ("ring", "runs a C compiler; only the feature fast-aead may bring it"),
    ("aws-lc-sys", "runs a C compiler"),
    ("bindgen", "needs libclang"),
    ("openssl-sys", "links a C library"),
    ("pkg-config", "looks for a C library"),
];

/// The crates below (and with) a package: name, version, place and features, one a line.
fn tree(package: &str) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into());
    let output = Command::new(cargo)
        .args(["tree", "--offline", "--locked", "-e", "normal,build", "--prefix", "none"])
        .args(["-p", package, "--format", "{p} {f}"])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("cargo speaks UTF-8");
    assert!(text.starts_with(package), "the tree of {package} begins with it: {text}");
    text
}

/// The refused crates in a tree, each with the reason.
fn refused(package: &str, tree: &str) -> Vec<String> {
    let names = tree.lines().filter_map(|line| line.split_whitespace().next());
    let mut found: Vec<String> = names
        .filter_map(|name| REFUSED.iter().find(|(refused, _)| *refused == name))
        .map(|(name, why)| format!("{package} brings {name}: {why}"))
        .collect();
    found.dedup();
    found
}

/// T79: what a user adds builds without a C compiler, and brings each cipher crate once.
#[test]
fn our_libraries_need_no_c_compiler_and_no_old_ciphers() {
    let libraries = [
        "tripline-sansio",
        "tripline",
        "tripline-common",
        "tripline-udp",
        "tripline-std",
        "tripline-futures",
        "tripline-smol",
        "tripline-tokio",
        "tripline-tcp",
        "tripline-sim",
    ];
    let found: Vec<String> =
        libraries.iter().flat_map(|package| refused(package, &tree(package))).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// The check can fail: the binary switches the faster ciphers on, and they come with ring and cc.
#[test]
fn the_check_sees_what_the_binary_brings() {
    let found = refused("tripline-cli", &tree("tripline-cli")).join("\n");
    for name in ["ring", "cc"] {
        assert!(found.contains(&format!("brings {name}:")), "{name} not in: {found}");
    }
}

/// Another transport is for comparisons: it comes with no library of ours, and with the binary only
/// as the machine that the simulator runs.
#[test]
fn no_other_transport_comes_with_our_libraries() {
    let peers = |package: &str| {
        let tree = tree(package);
        let names = tree.lines().filter_map(|line| line.split_whitespace().next());
        let peers = names.filter(|name| matches!(*name, "quinn" | "quinn-proto" | "rustls"));
        peers.map(str::to_owned).collect::<std::collections::BTreeSet<_>>()
    };
    for package in ["tripline", "tripline-std", "tripline-sim"] {
        assert!(peers(package).is_empty(), "{package} brings {:?}", peers(package));
    }
    assert!(peers("tripline-cli").into_iter().eq(["quinn-proto", "rustls"]));
}

/// The features of our transport in a tree, each place where it occurs.
fn transport_features(tree: &str) -> Vec<Vec<&str>> {
    let lines = tree.lines().filter(|line| line.starts_with("tripline v"));
    // Behind the place, which is in brackets, come the features, and "(*)" if it came before.
    let lists = lines.map(|line| {
        let line = line.trim_end_matches("(*)");
        line.rsplit_once(')').map_or("", |(_, features)| features.trim())
    });
    lists.map(|list| list.split(',').filter(|name| !name.is_empty()).collect()).collect()
}

/// T58, N53: plain mode is in nothing that a user builds, the binary included, unless the user asks
/// for it. (That the check can fail shows in the tests, which ask for it.)
#[test]
fn t58_no_package_but_the_tests_brings_plain_mode() {
    for package in [
        "tripline",
        "tripline-std",
        "tripline-smol",
        "tripline-tokio",
        "tripline-sim",
        "tripline-fuzz",
        "tripline-cli",
    ] {
        let tree = tree(package);
        let found = transport_features(&tree);
        assert!(!found.is_empty(), "{package} has the transport");
        assert!(found.iter().all(|features| !features.contains(&"plain")), "{package}: {found:?}");
    }
    let binary = tree("tripline-cli");
    let found = transport_features(&binary);
    assert!(found.iter().all(|features| features == &["fast-aead"]), "{found:?}");
    let tests = tree("tripline-tests");
    let found = transport_features(&tests);
    assert!(found.iter().all(|features| features == &["plain"]), "{found:?}");
}

/// U49: who is on one runtime does not build another one; the front end that they share knows none.
#[test]
fn u49_no_runtime_brings_another() {
    let names = |package: &str| {
        let tree = tree(package);
        let names = tree.lines().filter_map(|line| line.split_whitespace().next());
        names.map(str::to_owned).collect::<std::collections::BTreeSet<_>>()
    };
    let smol = ["async-io", "async-executor", "async-task", "polling"];
    let (on_smol, on_tokio) = (names("tripline-smol"), names("tripline-tokio"));
    assert!(smol.iter().take(2).all(|name| on_smol.contains(*name)), "{on_smol:?}");
    assert!(on_tokio.contains("tokio"), "{on_tokio:?}");
    for name in ["tokio", "mio", "tripline-tokio"] {
        assert!(!on_smol.contains(name), "tripline-smol brings {name}");
    }
    for name in smol.iter().chain(&["smol", "async-std", "tripline-smol"]) {
        assert!(!on_tokio.contains(*name), "tripline-tokio brings {name}");
    }
    let front = names("tripline-futures");
    for name in smol.iter().chain(&["tokio", "mio"]) {
        assert!(!front.contains(*name), "tripline-futures brings {name}");
    }
    for package in ["tripline-std", "tripline-mio"] {
        let names = names(package);
        for name in smol.iter().chain(&["tokio"]) {
            assert!(!names.contains(*name), "{package} brings {name}");
        }
    }
}

#[test]
fn a_refused_crate_is_caught_by_its_whole_name() {
    let bad = "tripline v0.1.0 (x)\naes v0.9.4\ngeneric-array v0.14.7\nring v0.17.14\n";
    assert_eq!(refused("tripline", bad).len(), 2);
    assert!(refused("tripline", "tripline v0.1.0\nring-compat v1.0.0\nccm v0.5.0\n").is_empty());
}
