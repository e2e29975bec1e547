//! `tripline sim`: the simulator from the command line.
//!
//! Runs scenarios that are drawn from seeds, written by hand or left by a failure, makes failing
//! ones small, compares what runs come to with a list, and engines with each other. Each command is
//! a file of its own.

mod compare;
mod hashes;
mod list;
mod one;
mod pcap;
mod quiet;
mod report;
mod run;
mod shrink;
mod source;
mod verdict;
mod watched;

use crate::fail::Result;

/// Arguments of `tripline sim`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to do.
    #[command(subcommand)]
    command: Command,
    /// A verb that no step may have, as an oracle that is wrong on purpose.
    #[arg(long, global = true, hide = true)]
    canary: Option<String>,
}

/// What to do.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Play many scenarios that are drawn from seeds.
    Run(run::Args),
    /// Play one scenario: a file, or a built-in one by its name.
    Play(one::Play),
    /// Play the scenario that is drawn from a seed, or print it.
    Seed(one::Seed),
    /// Draw one run as an HTML page: plots, packets as a ladder, counters.
    Report(report::Args),
    /// Write one run as a packet capture, datagrams as UDP in IP.
    Pcap(pcap::Args),
    /// Make a failing scenario small.
    Shrink(shrink::Args),
    /// List the built-in scenarios.
    List,
    /// Set engines and congestion controllers side by side on the same links.
    Compare(compare::Args),
    /// Compare what runs come to with the committed list, or write the list anew.
    Hashes(hashes::Args),
}

/// Runs one of them.
///
/// # Errors
/// Whatever went wrong; a scenario that failed is this machine's failure (exit code 1).
pub(crate) fn run(args: &Args, json: bool) -> Result {
    quiet::install();
    let judge = &quiet::Judge { canary: args.canary.clone() };
    match &args.command {
        Command::Run(args) => run::run(args, judge, json),
        Command::Play(args) => one::play(args, judge, json),
        Command::Seed(args) => one::seed(args, judge, json),
        Command::Report(args) => report::run(args, json),
        Command::Pcap(args) => pcap::run(args, json),
        Command::Shrink(args) => shrink::run(args, judge, json),
        Command::List => list::run(json),
        Command::Compare(args) => compare::run(args, json),
        Command::Hashes(args) => hashes::run(args, judge, json),
    }
}

/// As many threads as the machine runs at once.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// The most threads that may be asked for.
const JOBS_MAX: u64 = 1_024;

/// A number of threads.
fn jobs(text: &str) -> std::result::Result<usize, String> {
    let jobs = text.parse().ok().filter(|jobs| (1..=JOBS_MAX).contains(jobs));
    jobs.and_then(|jobs: u64| usize::try_from(jobs).ok())
        .ok_or_else(|| format!("a number of threads is 1 to {JOBS_MAX}"))
}

/// Seeds as they are written: `0..1000`, the end not included, or one alone.
fn seeds(text: &str) -> std::result::Result<std::ops::Range<u64>, String> {
    let wrong = || format!("`{text}` are no seeds: `0..1000` is a thousand of them");
    let (start, end) = match text.split_once("..") {
        Some((start, end)) => {
            (start.parse().map_err(|_| wrong())?, end.parse().map_err(|_| wrong())?)
        }
        None => {
            let start: u64 = text.parse().map_err(|_| wrong())?;
            (start, start.checked_add(1).ok_or_else(wrong)?)
        }
    };
    if start < end { Ok(start..end) } else { Err(format!("`{text}` are no seeds at all")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_and_threads_are_read() {
        assert_eq!(seeds("3..10"), Ok(3..10));
        assert_eq!(seeds("7"), Ok(7..8));
        for bad in ["", "..", "1..", "5..5", "9..3", "-1..3", "1...3", "18446744073709551615"] {
            assert!(seeds(bad).is_err(), "{bad}");
        }
        assert_eq!(jobs("2"), Ok(2));
        for bad in ["", "0", "-1", "1025", "two"] {
            assert!(jobs(bad).is_err(), "{bad}");
        }
    }
}
