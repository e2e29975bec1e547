//! The adapters of loops are thin, and say of each future what becomes of it when it is dropped.

use super::source::Source;

/// Lines of code of an adapter that only supplies what its loop has to give, without tests. What
/// is said about them is no code: an adapter is not fat for being explained.
const THIN: usize = 600;

/// What is wrong with the size of an adapter's library.
pub(super) fn fat(adapter: &str, sources: &[Source]) -> Option<String> {
    let folder = format!("adapters/{adapter}/src/");
    let own = sources.iter().filter(|source| source.path.starts_with(&folder));
    let code =
        own.map(|source| source.shipped().lines().filter(|line| !line.trim().is_empty()).count());
    let lines: usize = code.sum();
    (!(1..THIN).contains(&lines)).then(|| format!("{folder}: {lines} lines of code without tests"))
}

/// Public async functions of an adapter whose doc comment says nothing of being dropped.
pub(super) fn silent(source: &Source) -> Vec<String> {
    if !source.path.starts_with("adapters/") {
        return Vec::new();
    }
    let lines: Vec<&str> = source.text.lines().map(str::trim).collect();
    let asyncs = lines.iter().enumerate().filter(|(_, line)| line.starts_with("pub async fn"));
    let silent = asyncs.filter(|(at, _)| {
        let mut above = lines.iter().take(*at).rev().take_while(|line| line.starts_with("///"));
        !above.any(|line| line.contains("Cancel-safe:"))
    });
    silent.map(|(at, _)| source.breach(at + 1, "does not say whether it is cancel-safe")).collect()
}

#[test]
fn a_fat_adapter_and_a_silent_future_are_caught() {
    let of = |lines: usize| [Source::new("adapters/mio/src/a.rs", &"let a;\n".repeat(lines))];
    assert_eq!(fat("mio", &of(599)), None);
    assert!(fat("mio", &of(600)).is_some() && fat("tokio", &of(5)).is_some());
    let explained = [Source::new("adapters/mio/src/a.rs", &"/// Why.\nlet a;\n\n".repeat(599))];
    assert_eq!(fat("mio", &explained), None);
    for (doc, breaches) in [("/// Waits.", 1), ("/// Waits.\n///\n/// Cancel-safe: yes.", 0)] {
        let text = format!("{doc}\n///\n/// # Errors\npub async fn wait() {{}}\n");
        assert_eq!(silent(&Source::new("adapters/futures/src/a.rs", &text)).len(), breaches);
    }
}
