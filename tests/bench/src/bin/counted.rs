//! The comparison once more, with an allocator that counts; the other program runs this one where
//! allocations are asked for. Counting takes time, so times are the other's.
#![forbid(unsafe_code)]

use std::alloc::System;
use std::process::ExitCode;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tripline_bench::meter::{Heap, install_heap};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> ExitCode {
    install_heap(|| {
        let stats = ALLOCATOR.stats();
        let live = stats.bytes_allocated as i64 - stats.bytes_deallocated as i64;
        // Growth is in `bytes_allocated` as well as in `bytes_reallocated`.
        Heap { allocations: (stats.allocations + stats.reallocations) as u64, live }
    });
    tripline_bench::main()
}
