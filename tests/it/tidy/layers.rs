//! The layers inside the transport: `wire` ← `crypto` ← `stream` ← `connection` ← `endpoint`. A
//! lower one names no higher one, neither by its module nor by what the crate's root re-exports
//! from it.

use super::source::{Source, is_word, line_at};

/// From the bottom up.
const LAYERS: &[&str] = &["wire", "crypto", "stream", "connection", "endpoint"];
/// Where the transport's modules lie.
const HOME: &str = "core/trip/src/";

/// A name that the crate's root re-exports, and the layer it comes from.
pub(super) struct Export {
    name: String,
    layer: usize,
}

/// What the root module re-exports from each layer: `pub use wire::{Code, Side as Role};`.
pub(super) fn exports(root: &Source) -> Vec<Export> {
    let mut all = Vec::new();
    for statement in root.code.split(';') {
        let Some((_, path)) = statement.rsplit_once("use ") else { continue };
        let path = path.trim();
        let path = path.strip_prefix("crate::").or(path.strip_prefix("self::")).unwrap_or(path);
        let Some((module, names)) = path.split_once("::") else { continue };
        let Some(layer) = layer_of(module) else { continue };
        // The last word of each entry is the name it goes by at the root.
        let inner = names.rsplit_once('{').map_or(names, |(_, inner)| inner);
        for entry in inner.split(',') {
            let last = entry.split(|one| !is_word(one)).rfind(|word| !word.is_empty());
            all.extend(last.map(|name| Export { name: name.to_owned(), layer }));
        }
    }
    all
}

/// Every place where shipped code of a layer names a layer above it.
pub(super) fn upward(source: &Source, exports: &[Export]) -> Vec<String> {
    let Some(inside) = source.path.strip_prefix(HOME) else { return Vec::new() };
    let parts: Vec<&str> = inside.trim_end_matches(".rs").split('/').collect();
    let Some(own) = parts.first().copied().and_then(layer_of) else { return Vec::new() };
    let depth = parts.len() - usize::from(parts.last() == Some(&"mod"));
    let code = source.shipped();
    let mut breaches = Vec::new();
    for root in ["crate::".to_owned(), "super::".repeat(depth)] {
        for (at, _) in code.match_indices(&root) {
            let before = &code[..at];
            if before.ends_with("super::") || before.chars().next_back().is_some_and(is_word) {
                continue;
            }
            for name in names(&code[at + root.len()..]) {
                let export = exports.iter().find(|export| export.name == name);
                let layer = layer_of(name).or(export.map(|export| export.layer));
                if layer.is_some_and(|layer| layer > own) {
                    let what = format!("{} names {name}, which lies above it", LAYERS[own]);
                    breaches.push(source.breach(line_at(&code, at) + 1, &what));
                }
            }
        }
    }
    breaches
}

fn layer_of(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| *layer == name)
}

/// The first names of a path: one word, or those of a group in braces.
fn names(path: &str) -> Vec<&str> {
    let first = |text: &str| text.find(|one| !is_word(one)).unwrap_or(text.len());
    let Some(group) = path.strip_prefix('{') else { return vec![&path[..first(path)]] };
    let mut depth = 0_usize;
    // Waiting for the first word of an entry.
    let mut begun = Some(());
    let mut found = Vec::new();
    for (at, one) in group.char_indices() {
        match one {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => begun = Some(()),
            _ => {}
        }
        if is_word(one) && depth == 0 && begun.take().is_some() {
            found.push(&group[at..at + first(&group[at..])]);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The breaches of one file, with `Endpoint` and `Peer` re-exported from above.
    fn check(path: &str, text: &str) -> usize {
        let root = "pub use endpoint::{Config, deep::Handle as Endpoint};\npub use wire::Code;\n\
                    pub(crate) use crate::connection::Peer;\npub use bytes::Bytes;\n";
        let exports = exports(&Source::new("core/trip/src/lib.rs", root));
        assert_eq!(exports.len(), 4);
        upward(&Source::new(path, text), &exports).len()
    }

    #[test]
    fn every_way_of_naming_a_higher_layer_is_caught() {
        for (path, text) in [
            ("core/trip/src/wire/frame.rs", "use crate::crypto::Key;"),
            ("core/trip/src/wire/frame.rs", "use crate::{ranges::{Range, Set}, endpoint::Timer};"),
            ("core/trip/src/wire/frame.rs", "use super::super::stream::Half;"),
            ("core/trip/src/wire/mod.rs", "use super::stream::Half;"),
            ("core/trip/src/wire/a/b.rs", "fn a(b: super::super::super::connection::Path) {}"),
            ("core/trip/src/wire.rs", "use super::{stream, ranges};"),
            ("core/trip/src/stream/recv.rs", "use crate::Endpoint;"),
            ("core/trip/src/stream/recv.rs", "use crate::{Code, Peer};"),
            ("core/trip/src/crypto/mod.rs", "fn a() { crate::connection::b() }"),
            ("core/trip/src/connection/mod.rs", "use crate::endpoint::Slot;"),
        ] {
            assert_eq!(check(path, text), 1, "{path}: {text}");
        }
    }

    #[test]
    fn looking_down_or_sideways_is_no_breach() {
        for (path, text) in [
            ("core/trip/src/endpoint/mod.rs", "use crate::{connection::Path, wire, crypto};"),
            ("core/trip/src/connection/mod.rs", "use crate::stream::Half;"),
            ("core/trip/src/wire/frame.rs", "// crate::endpoint\nuse super::stream::Id;"),
            ("core/trip/src/wire/frame.rs", "use crate::{Code, wire::code};"),
            ("core/trip/src/wire/frame.rs", "#[cfg(test)]\nmod tests { use crate::endpoint::A; }"),
            ("core/trip/src/ranges.rs", "use crate::endpoint::A;"),
            ("sim/src/wire/mod.rs", "use crate::endpoint::A;"),
        ] {
            assert_eq!(check(path, text), 0, "{path}: {text}");
        }
    }
}
