//! Throughput beside other transports: the same bulk transfer by each peer in turn, for some
//! rounds, interleaved so that all peers see the same weather on the machine. Figures, not a test:
//! nothing fails because a number is small. README.md beside this folder's manifest says how to
//! run it.
#![forbid(unsafe_code)]

mod engine_only;
mod quinn_peer;
mod report;
mod spread;
mod tripline_peer;
mod workload;

use std::process::ExitCode;

use report::Series;
use workload::{Failure, Peer, Suite, Workload};

/// Every peer there is, in the order of a round. The first is what the others are divided by.
const PEERS: &[Peer] = &[
    Peer { name: "quinn", suites: Suite::ALL, run: quinn_peer::run },
    Peer { name: "tripline", suites: OURS, run: tripline_peer::messages },
    Peer { name: "tripline-1452", suites: OURS, run: tripline_peer::messages_1452 },
    Peer { name: "tripline-bytes", suites: OURS, run: tripline_peer::bytes_1452 },
];

/// The suites of our own engine.
const OURS: &[Suite] = &[Suite::Aes256, Suite::ChaCha];

/// Credit of our own stream: less than the buffer of the receiver's socket holds, so that bulk over
/// loopback, which knows no congestion but that buffer, loses nothing.
const CREDIT: u64 = 4 << 20;

const USAGE: &str = "\
usage: tripline-bench [--bytes N[K|M|G]] [--suite aes|aes128|chacha] [--rounds N]
                      [--peer NAME]... [--json] [--credit N[K|M|G]] [--stats] [--engine]
";

/// The command line, understood.
struct Options {
    work: Workload,
    rounds: u32,
    peers: Vec<Peer>,
    json: bool,
    /// Not the peers but the engine by itself.
    engine: bool,
}

fn main() -> ExitCode {
    let options = match parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprint!("tripline-bench: {error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if options.engine {
        return engine(&options);
    }
    match measure(&options) {
        Ok(all) if options.json => println!("{:#}", report::json(&options.work, &all)),
        Ok(all) => println!("{}", report::text(&options.work, &all)),
        Err(error) => {
            eprintln!("tripline-bench: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// The engine by itself, in the shapes of its peers.
fn engine(options: &Options) -> ExitCode {
    for round in 1..=options.rounds {
        for (name, shape) in tripline_peer::SHAPES {
            match engine_only::run(&options.work, *shape) {
                Ok(costs) => println!("round {round} {name}: {}", costs.text()),
                Err(error) => {
                    eprintln!("tripline-bench: {name}: {error}");
                    return ExitCode::FAILURE;
                }
            }
        }
    }
    ExitCode::SUCCESS
}

/// All rounds of all peers: round by round, and within a round peer by peer.
fn measure(options: &Options) -> Result<Vec<Series>, Failure> {
    let begin = |peer: &Peer| Series { name: peer.name, rounds: Vec::new() };
    let mut all: Vec<Series> = options.peers.iter().map(begin).collect();
    for number in 1..=options.rounds {
        for (peer, series) in options.peers.iter().zip(&mut all) {
            let figures =
                (peer.run)(&options.work).map_err(|error| format!("{}: {error}", peer.name))?;
            eprintln!(
                "round {number} {}: {:.1} MB/s, {:.2} CPU s",
                peer.name,
                figures.megabytes_per_second(),
                figures.cpu_seconds()
            );
            series.rounds.push(figures);
        }
    }
    Ok(all)
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let work = Workload { bytes: 1 << 30, suite: Suite::Aes256, credit: CREDIT, stats: false };
    let mut options = Options { work, rounds: 3, peers: Vec::new(), json: false, engine: false };
    while let Some(flag) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{flag} needs a value"));
        match flag.as_str() {
            "--bytes" => options.work.bytes = size(&value()?)?,
            "--suite" => options.work.suite = value()?.parse()?,
            "--rounds" => {
                let rounds = value()?.parse().map_err(|error| format!("--rounds: {error}"))?;
                options.rounds = std::cmp::max(rounds, 1);
            }
            "--peer" => {
                let name = value()?;
                let found = PEERS.iter().find(|peer| peer.name == name);
                options.peers.push(*found.ok_or(format!("no peer is called {name:?}"))?);
            }
            "--json" => options.json = true,
            "--credit" => options.work.credit = size(&value()?)?,
            "--stats" => options.work.stats = true,
            "--engine" => options.engine = true,
            _ => return Err(format!("unknown argument {flag:?}")),
        }
    }
    if options.peers.is_empty() {
        options.peers = PEERS.to_vec();
    }
    options.peers.retain(|peer| peer.suites.contains(&options.work.suite));
    Ok(options)
}

/// A number of bytes, with a binary suffix or none.
fn size(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'K') => (&text[..text.len() - 1], 10),
        Some(b'M') => (&text[..text.len() - 1], 20),
        Some(b'G') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let number: u64 = digits.parse().map_err(|error| format!("size {text:?}: {error}"))?;
    number.checked_mul(1 << shift).ok_or(format!("size {text:?} is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Result<Options, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn sizes_and_suites_are_read() {
        let read = options("--bytes 3M --suite chacha --rounds 5 --json").unwrap();
        assert_eq!((read.work.bytes, read.work.suite), (3 << 20, Suite::ChaCha));
        assert_eq!((read.rounds, read.json), (5, true));
        assert_eq!(options("").unwrap().work.bytes, 1 << 30);
        for bad in ["--bytes", "--bytes 1X", "--suite rot13", "--peer nobody", "--what"] {
            assert!(options(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_peer_moves_a_small_workload_with_every_suite() {
        for peer in PEERS {
            for &suite in peer.suites {
                let work = Workload { bytes: 3_000_001, suite, credit: CREDIT, stats: false };
                let figures = (peer.run)(&work).unwrap();
                assert_eq!(figures.received, 3_000_001, "{} {}", peer.name, suite.name());
            }
        }
    }

    #[test]
    fn the_engine_by_itself_moves_a_small_workload() {
        let work =
            Workload { bytes: 3_000_001, suite: Suite::Aes256, credit: CREDIT, stats: false };
        for (name, shape) in tripline_peer::SHAPES {
            let costs = engine_only::run(&work, *shape).unwrap();
            assert_eq!(costs.bytes, 3_000_001, "{name}");
            assert!(costs.sent > 2_000 && costs.answered > 0, "{name}");
        }
    }
}
