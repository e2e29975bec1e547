//! What the calls of an endpoint cost this machine: OPENs of strangers that are dropped, told to
//! prove their address, or answered; packets of data and what is sent for them; and those of its
//! deadlines, with few and with a million of them.
//!
//! In goes how often to measure, out comes a table in Markdown: for each call the least and the
//! median of many short runs, in nanoseconds. No socket and no system call; the engine's clock is a
//! number that this program moves. What tests charge a virtual CPU for an endpoint's calls comes
//! from here (tests/it/flood.rs), and SCALE.md holds the newest figures.
#![forbid(unsafe_code)]

mod bulk;
#[path = "../../ours/src/spread.rs"]
mod spread;
mod strangers;
mod timers;

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use spread::Spread;
use tripline::{Aead, FastAead, PureAead};

/// Whatever stopped a measurement.
type Failure = Box<dyn std::error::Error>;

/// How many runs a figure is made of, unless the command line says otherwise.
const RUNS: usize = 100;

const USAGE: &str = "usage: costs [--runs N]\n";

/// One line of the table.
struct Line {
    /// What was called.
    call: String,
    /// Nanoseconds of one call, run by run.
    nanos: Spread,
}

impl Line {
    /// Of some runs, in nanoseconds.
    fn new(call: impl Into<String>, runs: &[f64]) -> Self {
        Self { call: call.into(), nanos: Spread::of(runs.iter().copied()) }
    }
}

fn main() -> ExitCode {
    let runs = match parse(std::env::args().skip(1)) {
        Ok(runs) => runs,
        Err(error) => {
            eprint!("costs: {error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match measure(runs) {
        Ok(lines) => {
            print!("{}", table(&lines));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("costs: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<usize, String> {
    let mut runs = RUNS;
    while let Some(flag) = arguments.next() {
        match flag.as_str() {
            "--runs" => {
                let text = arguments.next().ok_or("--runs needs a value")?;
                runs = text.parse().map_err(|error| format!("--runs {text:?}: {error}"))?;
            }
            _ => return Err(format!("unknown argument {flag:?}")),
        }
    }
    if runs == 0 { Err("--runs is at least 1".to_owned()) } else { Ok(runs) }
}

/// All of it: strangers once, for no AEAD is in what they cost but that of the handshake, and bulk
/// with each cipher and each back end.
fn measure(runs: usize) -> Result<Vec<Line>, Failure> {
    let mut lines = strangers::measure(runs)?;
    lines.extend(timers::measure(runs));
    let backs: [(&str, Arc<dyn Aead>); 2] =
        [("portable", Arc::new(PureAead)), ("ring", Arc::new(FastAead))];
    for (back, aead) in backs {
        for (cipher, aes) in [("ChaCha20-Poly1305", false), ("AES-256-GCM", true)] {
            lines.extend(bulk::measure(runs, &format!("{cipher}, {back}"), &aead, aes)?);
        }
    }
    Ok(lines)
}

fn table(lines: &[Line]) -> String {
    let mut out = "| call | least, ns | median, ns |\n|---|---|---|\n".to_owned();
    for line in lines {
        // Writing to a string cannot fail.
        let _ =
            writeln!(out, "| {} | {:.0} | {:.0} |", line.call, line.nanos.min, line.nanos.median);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// N35 among others: every call is measured, and none for nothing: what is measured is checked
    /// by the endpoint's own counters where it happens.
    #[test]
    fn every_call_has_a_cost() {
        let lines = measure(1).unwrap();
        assert_eq!(lines.len(), 7 + timers::LINES + 4 * 4);
        for line in &lines {
            assert!(line.nanos.min > 0.0, "{}", line.call);
            assert!(table(&lines).contains(&format!("| {} |", line.call)));
        }
    }

    #[test]
    fn the_command_line_is_read() {
        let read = |line: &str| parse(line.split_whitespace().map(str::to_owned));
        assert_eq!(read(""), Ok(RUNS));
        assert_eq!(read("--runs 7"), Ok(7));
        for bad in ["--runs", "--runs 0", "--runs many", "--what"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
