//! The walk over the source tree, and the shape of its top level.

use std::fs;
use std::path::{Path, PathBuf};

/// Everything that may lie at the top level of the repository.
const TOP_LEVEL: &[&str] = &[
    ".ci",
    ".git",
    ".gitignore",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "adapters",
    "core",
    "deny.toml",
    "fuzz",
    "rustfmt.toml",
    "sim",
    "target",
    "tests",
];

/// What may be missing: it comes and goes with the tools.
const OPTIONAL: &[&str] = &[".git", "target"];

/// One text file.
pub(super) struct File {
    /// From the root of the repository, with `/` between the parts.
    pub(super) path: String,
    /// The whole text.
    pub(super) text: String,
}

/// All text files of the repository, in the order of their paths.
pub(super) struct Tree {
    /// The files; those that are not UTF-8 (corpora, vectors) are left out.
    pub(super) files: Vec<File>,
}

impl Tree {
    /// Reads everything below the root but build output and the history.
    pub(super) fn read() -> Self {
        let root = root();
        let mut files = Vec::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for path in entries(&folder) {
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                if matches!(name, "target" | ".git") {
                    continue;
                }
                if path.is_dir() {
                    folders.push(path);
                } else if let Ok(text) = fs::read_to_string(&path) {
                    files.push(File { path: relative(&root, &path), text });
                }
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Self { files }
    }
}

/// The root of the repository: this package lies one folder below it.
pub(super) fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().expect("a package lies in a folder").to_path_buf()
}

/// The names at the top level.
pub(super) fn top_level_names() -> Vec<String> {
    let root = root();
    entries(&root).iter().map(|path| relative(&root, path)).collect()
}

/// What is there and should not be, and what should be there and is not.
pub(super) fn top_level(names: &[String]) -> Vec<String> {
    let strange = names.iter().filter(|name| !TOP_LEVEL.contains(&name.as_str()));
    let missing = TOP_LEVEL
        .iter()
        .filter(|known| !OPTIONAL.contains(known) && !names.iter().any(|name| name == *known));
    strange
        .map(|name| format!("{name}: does not belong at the top level"))
        .chain(missing.map(|name| format!("{name}: is missing at the top level")))
        .collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let listing = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    listing.map(|entry| entry.expect("a readable entry").path()).collect()
}

fn relative(root: &Path, path: &Path) -> String {
    let below = path.strip_prefix(root).expect("the walk stays below the root");
    let parts: Vec<_> = below.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    parts.join("/")
}

#[test]
fn strange_and_missing_names_are_caught() {
    let all: Vec<String> = TOP_LEVEL.iter().map(|&name| name.to_owned()).collect();
    assert!(top_level(&all).is_empty());
    let mut more = all.clone();
    more.push("notes.txt".to_owned());
    assert_eq!(top_level(&more).len(), 1);
    let fewer: Vec<String> = all.into_iter().filter(|name| name != "LICENSE-MIT").collect();
    assert_eq!(top_level(&fewer).len(), 1);
}
