//! tripline beside quinn-proto in the same virtual world: bulk transfers over nine links, and two
//! flows through one bottleneck. Every congestion controller of ours and three of quinn's take
//! part. In go seeds, out come a table for people and JSON for machines, with progress on standard
//! error. Virtual time: the figures do not depend on the machine. README.md beside this folder's
//! manifest says what they mean.
#![forbid(unsafe_code)]

mod options;
mod plan;
mod report;
#[path = "../spread.rs"]
mod spread;
#[cfg(test)]
mod tests;

use std::process::ExitCode;
use std::sync::Arc;

use options::Options;
use tripline::FastAead;
use tripline_sim::engine::{CONTROLLERS, Contender, QUINN_CONTROLLERS, Quinn, Tripline};

/// Whatever takes part in a comparison.
type Contenders = Vec<Box<dyn Contender>>;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprint!("compare: {error}\n{}", options::USAGE);
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs what the options ask for; the report.
fn run(options: &Options) -> Result<String, String> {
    let everyone = contenders()?;
    let chosen: Contenders =
        everyone.into_iter().filter(|one| options.wants_contender(one.name())).collect();
    if chosen.is_empty() {
        return Err("no contender has such a name".to_owned());
    }
    let cells = if options.cells { plan::cells(options, &chosen)? } else { Vec::new() };
    let races = if options.races { plan::races(options, &chosen)? } else { Vec::new() };
    Ok(if options.json {
        format!("{:#}", report::json(options, &cells, &races))
    } else {
        report::text(options, &cells, &races)
    })
}

/// Everyone there is: ours by the list of the engine, then quinn.
fn contenders() -> Result<Contenders, String> {
    let mut all = Contenders::new();
    for (name, _) in CONTROLLERS {
        let ours = Tripline::named(name).ok_or_else(|| format!("no controller {name:?}"))?;
        all.push(Box::new(ours.aead(Arc::new(FastAead))));
    }
    for name in QUINN_CONTROLLERS {
        all.push(Box::new(Quinn::named(name)?));
    }
    Ok(all)
}
