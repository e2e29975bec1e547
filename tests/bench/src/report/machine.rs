//! Where and with what the figures were made.

use std::process::Command;

/// What a reader needs to judge figures by, one fact a line.
pub fn facts(command: &[String]) -> Vec<String> {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = read("/proc/loadavg").unwrap_or_default();
    let load: Vec<&str> = load.split_whitespace().take(3).collect();
    vec![
        format!("Machine: {}, {cores} cores, Linux {}", processor(), kernel.trim()),
        format!("Load when the last run ended (1, 5, 15 minutes): {}", load.join(", ")),
        format!("Date: {}", output("date", &["-u", "+%Y-%m-%d %H:%M UTC"])),
        format!("Versions: tripline {}, {}, {}", commit(), output("rustc", &["-V"]), peers()),
        format!("Command: `tests/bench/run.sh {}`", command.join(" ").trim()),
    ]
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

fn processor() -> String {
    let all = read("/proc/cpuinfo").unwrap_or_default();
    let line = all.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split_once(':')).map_or("unknown", |(_, name)| name);
    name.trim().to_owned()
}

/// The first line of what a program says; nothing if it is not there.
fn output(program: &str, arguments: &[&str]) -> String {
    let told = Command::new(program).args(arguments).output().ok();
    let text = told.map(|told| String::from_utf8_lossy(&told.stdout).into_owned());
    text.and_then(|text| text.lines().next().map(str::to_owned)).unwrap_or_default()
}

fn commit() -> String {
    let commit = output("git", &["-C", env!("CARGO_MANIFEST_DIR"), "rev-parse", "--short", "HEAD"]);
    if commit.is_empty() { "at an unknown commit".to_owned() } else { format!("at {commit}") }
}

/// The versions of the peers, as the lock file has them.
fn peers() -> String {
    let lock = include_str!("../../Cargo.lock");
    let names = ["quinn", "quinn-proto", "s2n-quic", "rustls", "ring", "aws-lc-rs", "rusty_enet"];
    let all = names.iter().chain(&["tokio_kcp", "quinn-udp", "tonic"]);
    let versions: Vec<String> = all.map(|name| format!("{name} {}", version(lock, name))).collect();
    versions.join(", ")
}

/// All versions of a package in a lock file.
fn version(lock: &str, name: &str) -> String {
    let wanted = format!("name = \"{name}\"");
    let mut lines = lock.lines();
    let mut found = Vec::new();
    while lines.by_ref().any(|line| line == wanted) {
        let version = lines.next().and_then(|line| line.split('"').nth(1));
        found.extend(version);
    }
    found.join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_the_lock_file() {
        let lock = "[[package]]\nname = \"a\"\nversion = \"1.2\"\n[[package]]\nname = \"ab\"\n\
                    version = \"3\"\n[[package]]\nname = \"a\"\nversion = \"2.0\"\n";
        assert_eq!(version(lock, "a"), "1.2 and 2.0");
        assert_eq!(version(lock, "ab"), "3");
        assert!(peers().contains("quinn 0.11"));
    }
}
