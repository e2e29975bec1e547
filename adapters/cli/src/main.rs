//! The command line of tripline.
#![forbid(unsafe_code)]

mod demo;
mod figures;
mod perf;

use clap::Parser;
use std::process::ExitCode;

/// An encrypted message transport over UDP.
#[derive(Parser)]
#[command(version)]
enum Command {
    /// Shows a client and a server talking over loopback, with figures.
    Demo(demo::Args),
    /// Measures throughput.
    Perf(perf::Args),
}

fn main() -> ExitCode {
    let done = match Command::parse() {
        Command::Demo(args) => demo::run(&args),
        Command::Perf(args) => perf::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tripline: {}", figures::chain(&*error));
            ExitCode::FAILURE
        }
    }
}
