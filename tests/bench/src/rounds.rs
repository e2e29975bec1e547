//! Runs: round by round, and within a round peer by peer, so that all peers see the same weather on
//! the machine; each in a process of its own, so that memory is each one's own.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::meter::peak_megabytes;
use crate::options::{Options, child_arguments};
use crate::task::{Failure, Record, Suite, Task};
use crate::workloads::{Heap, Peer, Workload};

/// The program that counts allocations, beside the one that does not.
const COUNTING: &str = "counted";
/// After so long a run is given up.
const LIMIT: Duration = Duration::from_secs(300);

/// All rounds of one peer, in the order they were run.
pub struct Series {
    /// Who.
    pub peer: &'static Peer,
    /// One record a round.
    pub rounds: Vec<Record>,
}

/// One workload with one suite.
pub struct Case {
    /// The workload.
    pub workload: &'static Workload,
    /// The suite.
    pub suite: Suite,
    /// The sizes.
    pub task: Task,
    /// Every peer that took part.
    pub all: Vec<Series>,
}

/// Everything that was asked for.
pub fn measure(options: &Options) -> Result<Vec<Case>, Failure> {
    let mut cases = Vec::new();
    for &workload in &options.workloads {
        for suite in options.suites_of(workload) {
            let begin = |peer| Series { peer, rounds: Vec::new() };
            let peers = options.peers_of(workload, suite).into_iter();
            let mut all: Vec<Series> = peers.map(begin).collect();
            for number in 1..=options.rounds {
                for series in &mut all {
                    let begun = Instant::now();
                    let record = one(options, workload, series.peer, suite)?;
                    let seconds = begun.elapsed().as_secs_f64();
                    progress(number, workload, suite, series.peer, &record, seconds);
                    series.rounds.push(record);
                }
            }
            if !all.is_empty() {
                cases.push(Case { workload, suite, task: options.task, all });
            }
        }
    }
    Ok(cases)
}

/// A line for whoever waits.
fn progress(
    number: u32,
    workload: &Workload,
    suite: Suite,
    peer: &Peer,
    record: &Record,
    seconds: f64,
) {
    let mut line = format!("round {number} {} {} {}:", workload.name, suite.flag(), peer.name);
    for column in workload.columns() {
        if let Some(value) = record.get(column.metric) {
            line += &format!(" {value:.*} {};", column.digits, column.head);
        }
    }
    // Nobody may be listening.
    let _ = writeln!(std::io::stderr(), "{line} {seconds:.1} s in all");
}

/// One run of one peer.
fn one(
    options: &Options,
    workload: &'static Workload,
    peer: &'static Peer,
    suite: Suite,
) -> Result<Record, Failure> {
    let task = peer.share(&Task { suite, ..options.task });
    let named = |error: Failure| -> Failure {
        format!("{} of {} with {}: {error}", workload.name, peer.name, suite.name()).into()
    };
    if options.here {
        return run_here(peer, &task).map_err(named);
    }
    let here = std::env::current_exe()?;
    let counting = here.with_file_name(COUNTING);
    match workload.heap {
        Heap::Not => run_child(here, workload, peer, &task).map_err(named),
        Heap::Alone if counting.exists() => {
            run_child(counting, workload, peer, &task).map_err(named)
        }
        Heap::Alone => {
            eprintln!("no {COUNTING:?} beside this program: nobody counts the heap; see run.sh");
            run_child(here, workload, peer, &task).map_err(named)
        }
        Heap::Also => {
            let mut record = run_child(here, workload, peer, &task).map_err(named)?;
            if counting.exists() {
                let counts = run_child(counting, workload, peer, &task).map_err(named)?;
                let wanted = |name: &String| name.starts_with("allocations");
                record.0.extend(counts.0.into_iter().filter(|(name, _)| wanted(name)));
            }
            Ok(record)
        }
    }
}

/// In this process.
pub fn run_here(peer: &Peer, task: &Task) -> Result<Record, Failure> {
    let mut record = (peer.run)(task)?;
    if let Some(peak) = peak_megabytes() {
        record.set("peak_mb", peak);
    }
    Ok(record)
}

/// In a process of its own.
fn run_child(
    program: PathBuf,
    workload: &Workload,
    peer: &Peer,
    task: &Task,
) -> Result<Record, Failure> {
    let output = Command::new(program)
        .args(child_arguments(workload, peer, task))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("the run ended with {}", output.status).into());
    }
    Ok(Record(serde_json::from_slice(&output.stdout)?))
}

/// What the process of one run does: runs, and prints the record.
pub fn child(options: &Options) -> Result<(), Failure> {
    let (running, over) = channel::<()>();
    std::thread::spawn(move || {
        if over.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
            eprintln!("tripline-bench: given up after {} s", LIMIT.as_secs());
            std::process::exit(3);
        }
    });
    let (workload, suite) = match (options.workloads.first(), options.suites.first()) {
        (Some(workload), Some(suite)) => (*workload, *suite),
        _ => return Err("a child needs a workload and a suite".into()),
    };
    let peers = options.peers_of(workload, suite);
    let peer = peers.first().ok_or("a child needs a peer that has the suite")?;
    let record = run_here(peer, &Task { suite, ..options.task })?;
    drop(running);
    println!("{}", serde_json::to_string(&record.0)?);
    Ok(())
}
