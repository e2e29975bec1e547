//! The counted gate; [`tripline_bench_ours::gate`] says what it counts.
//!
//! Without arguments it counts everything and holds it against GATE.md: 0 if nothing has grown, 1
//! if something has. `--write` writes GATE.md; `--run NAME` does one work and prints its counts.
#![forbid(unsafe_code)]

use std::alloc::System;
use std::process::ExitCode;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tripline_bench_ours::gate::works::Work;
use tripline_bench_ours::gate::{count_all, made_with, table};
use tripline_bench_ours::meter::{Heap, install_heap, stop_cpu_clocks};
use tripline_bench_ours::task::Failure;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The committed table.
const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../GATE.md");

fn main() -> ExitCode {
    install_heap(|| {
        let stats = ALLOCATOR.stats();
        let live = stats.bytes_allocated as i64 - stats.bytes_deallocated as i64;
        Heap { allocations: (stats.allocations + stats.reallocations) as u64, live }
    });
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        [] => check(),
        ["--write"] => write(),
        ["--run", name] => run(name),
        _ => Err("usage: gate [--write | --run NAME]".into()),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("gate: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(name: &str) -> Result<bool, Failure> {
    stop_cpu_clocks();
    let work = Work::named(name).ok_or("there is no such work")?;
    println!("{}", table::cells(&work.run()?));
    Ok(true)
}

fn write() -> Result<bool, Failure> {
    std::fs::write(TABLE, table::write(&made_with(), &count_all(true)?))?;
    Ok(true)
}

fn check() -> Result<bool, Failure> {
    let text = std::fs::read_to_string(TABLE)?;
    let alike = table::made_with(&text) == Some(made_with().as_str());
    let verdict = table::check(&table::read(&text), &count_all(alike)?);
    for line in &verdict.better {
        println!("better: {line}");
    }
    for line in &verdict.worse {
        println!("WORSE: {line}");
    }
    if !verdict.better.is_empty() {
        println!("some counts are smaller: `gate --write` makes the table anew");
    }
    Ok(verdict.worse.is_empty())
}
