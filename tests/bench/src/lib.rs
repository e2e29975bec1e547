//! tripline beside other transports, on one machine in one run: every workload by each peer in
//! turn, for some rounds, interleaved. Figures, not a test: nothing fails because a number is
//! small. README.md beside this folder's manifest says how to run it.
//!
//! A workload is a line in [`workloads`], with its peers; a peer is a function there from a
//! [`task::Task`] to a [`task::Record`]. [`rounds`] runs them, [`report`] shows them.
#![forbid(unsafe_code)]
// Futures of these traits stay on one thread.
#![allow(async_fn_in_trait)]

pub mod asynchronous;
pub mod options;
pub mod peers;
pub mod proto;
pub mod report;
pub mod rounds;
pub mod scale;
pub mod workloads;

pub use tripline_bench_ours::{latency, meter, quiet, script, sides, spread, task};

use std::process::ExitCode;

use options::{Options, USAGE};
use task::Failure;

/// What both programs do: the one that counts allocations, and the one that does not.
pub fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let options = match Options::parse(words.iter().cloned()) {
        Ok(options) => options,
        Err(error) => {
            eprint!("tripline-bench: {error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let result = if options.child { rounds::child(&options) } else { all(&options, &words) };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tripline-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The sweep over the number of connections.
fn scale(options: &Options, path: &str, words: &[String]) -> Result<(), Failure> {
    let steps = scale::measure(options)?;
    println!("{}", report::head(options.rounds, words));
    print!("{}", scale::table(&steps));
    Ok(std::fs::write(path, scale::plot(&steps))?)
}

fn all(options: &Options, words: &[String]) -> Result<(), Failure> {
    if let Some(path) = &options.scale {
        return scale(options, path, words);
    }
    let cases = rounds::measure(options)?;
    print!("{}", report::tables(options.rounds, &cases, words));
    if let Some(path) = &options.json {
        std::fs::write(path, format!("{:#}\n", report::json(&cases, words)))?;
    }
    Ok(())
}
