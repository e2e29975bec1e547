//! The command line: in go words, out come [`Options`]; and back, for the processes that do the
//! runs.

use crate::task::{Suite, Task};
use crate::workloads::{Peer, WORKLOADS, Workload};

/// How to use the program.
pub const USAGE: &str = "\
usage: tripline-bench [WORKLOAD]... [--peer NAME]... [--suite aes|aes128|chacha]... [--rounds N]
                      [--bytes N[K|M|G]] [--connections N] [--requests N] [--pings N]
                      [--connects N] [--idle N] [--messages N] [--credit N[K|M|G]]
                      [--small] [--pin] [--json FILE] [--stats] [--here]
       tripline-bench --scale PICTURE.svg [--peer NAME]... [--rounds N]
workloads: bulk requests unbatched pingpong connects shards-bulk shards-requests idle engine
           messages; all if none is named
";

/// The command line, understood.
#[derive(Clone)]
pub struct Options {
    /// What is run.
    pub workloads: Vec<&'static Workload>,
    /// Only these peers; all if there are none.
    pub peers: Vec<String>,
    /// Only these suites; each workload's own if there are none.
    pub suites: Vec<Suite>,
    /// How often.
    pub rounds: u32,
    /// The sizes.
    pub task: Task,
    /// Where every round goes, for machines.
    pub json: Option<String>,
    /// Not the workloads but the sweep over numbers of connections; its picture goes here.
    pub scale: Option<String>,
    /// Not a process for each run but all in this one, for profilers.
    pub here: bool,
    /// This is the process of one run.
    pub child: bool,
}

impl Options {
    /// Reads the command line.
    pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            workloads: Vec::new(),
            peers: Vec::new(),
            suites: Vec::new(),
            rounds: 5,
            task: Task::default(),
            json: None,
            scale: None,
            here: false,
            child: false,
        };
        let mut arguments = arguments.peekable();
        while let Some(word) = arguments.next() {
            if let Some(workload) = Workload::named(&word) {
                options.workloads.push(workload);
                continue;
            }
            let mut value = || arguments.next().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                "--peer" => options.peers.push(value()?),
                "--suite" => options.suites.push(value()?.parse()?),
                "--rounds" => {
                    let rounds: u32 = value()?.parse().map_err(|error| format!("{error}"))?;
                    options.rounds = rounds.max(1);
                }
                "--json" => options.json = Some(value()?),
                "--scale" => options.scale = Some(value()?),
                "--here" => options.here = true,
                "--child" => options.child = true,
                "--small" => options.task = Task::small(),
                "--pin" => options.task.pin = true,
                "--stats" => options.task.stats = true,
                _ => {
                    let number = number_of(&mut options.task, &word)
                        .ok_or(format!("unknown argument {word:?}"))?;
                    *number = size(&value()?)?;
                }
            }
        }
        options.complete()
    }

    /// Fills in what was not said, and refuses what is not there.
    fn complete(mut self) -> Result<Self, String> {
        let known = |name: &String| {
            let mut all = WORKLOADS.iter().flat_map(|workload| workload.peers);
            all.any(|peer| peer.name == *name)
        };
        if let Some(unknown) = self.peers.iter().find(|name| !known(name)) {
            return Err(format!("no peer is called {unknown:?}"));
        }
        if self.workloads.is_empty() {
            self.workloads = WORKLOADS.iter().collect();
        }
        Ok(self)
    }

    /// Who takes part in a workload with a suite.
    pub fn peers_of(&self, workload: &'static Workload, suite: Suite) -> Vec<&'static Peer> {
        let wanted = |peer: &&'static Peer| {
            self.peers.is_empty() || self.peers.iter().any(|name| name == peer.name)
        };
        workload.peers_with(suite).filter(wanted).collect()
    }

    /// The suites of a workload.
    pub fn suites_of(&self, workload: &'static Workload) -> Vec<Suite> {
        if self.suites.is_empty() { workload.suites.to_vec() } else { self.suites.clone() }
    }
}

/// The number of the task that a flag sets.
fn number_of<'a>(task: &'a mut Task, flag: &str) -> Option<&'a mut u64> {
    Some(match flag {
        "--bytes" => &mut task.bytes,
        "--connections" => &mut task.connections,
        "--requests" => &mut task.requests,
        "--pings" => &mut task.pings,
        "--connects" => &mut task.connects,
        "--idle" => &mut task.idle,
        "--messages" => &mut task.messages,
        "--shards" => &mut task.shards,
        "--credit" => &mut task.credit,
        _ => return None,
    })
}

/// Every flag that sets a number.
const NUMBERS: &[&str] = &[
    "--bytes",
    "--connections",
    "--requests",
    "--pings",
    "--connects",
    "--idle",
    "--messages",
    "--shards",
    "--credit",
];

/// The command line of the process of one run.
pub fn child_arguments(workload: &Workload, peer: &Peer, task: &Task) -> Vec<String> {
    let mut words: Vec<String> =
        ["--child", workload.name, "--peer", peer.name, "--suite", task.suite.flag()]
            .map(str::to_owned)
            .to_vec();
    let mut task = *task;
    for flag in NUMBERS {
        if let Some(number) = number_of(&mut task, flag) {
            words.extend([(*flag).to_owned(), number.to_string()]);
        }
    }
    if task.pin {
        words.push("--pin".to_owned());
    }
    if task.stats {
        words.push("--stats".to_owned());
    }
    words
}

/// A number, with a binary suffix or none.
fn size(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'K') => (&text[..text.len() - 1], 10),
        Some(b'M') => (&text[..text.len() - 1], 20),
        Some(b'G') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let number: u64 = digits.parse().map_err(|error| format!("number {text:?}: {error}"))?;
    number.checked_mul(1 << shift).ok_or(format!("number {text:?} is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn the_command_line_is_read() {
        let read = options("bulk --bytes 3M --suite chacha --rounds 7 --pin").unwrap();
        assert_eq!((read.task.bytes, read.suites.as_slice()), (3 << 20, &[Suite::ChaCha][..]));
        assert_eq!((read.rounds, read.task.pin, read.workloads.len()), (7, true, 1));
        assert_eq!(options("").unwrap().workloads.len(), WORKLOADS.len());
        for bad in ["--bytes", "--bytes 1X", "--suite rot13", "--peer nobody", "--what"] {
            assert!(options(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_child_is_told_the_whole_task() {
        let task = Task { suite: Suite::ChaCha, pin: true, ..Task::small() };
        let words = child_arguments(&WORKLOADS[0], &WORKLOADS[0].peers[0], &task);
        let read = Options::parse(words.into_iter()).unwrap();
        assert!(read.child && read.suites == [Suite::ChaCha]);
        assert_eq!(Task { suite: Suite::ChaCha, ..read.task }, task);
    }
}
