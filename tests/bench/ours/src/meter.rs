//! Clocks and counters of this process: wall time, processor time, peak memory, the heap.
//!
//! Every run of a peer has a process of its own, so what is read here is that run's alone.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

/// A moment, by the clock on the wall and by the processor time of all threads of this process.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    at: Instant,
    cpu: Duration,
}

impl Mark {
    /// Now.
    pub fn now() -> Self {
        Self { at: Instant::now(), cpu: cpu(ClockId::ProcessCPUTime) }
    }

    /// When it was, on the wall.
    pub fn at(self) -> Instant {
        self.at
    }

    /// Seconds since an earlier mark: on the wall, and of processor time (user and system).
    pub fn since(self, earlier: Self) -> (f64, f64) {
        let wall = self.at.saturating_duration_since(earlier.at);
        let cpu = self.cpu.saturating_sub(earlier.cpu);
        (wall.as_secs_f64().max(1e-9), cpu.as_secs_f64())
    }
}

/// Processor time of the calling thread: what other work on the machine does not stretch.
pub fn thread_cpu() -> Duration {
    cpu(ClockId::ThreadCPUTime)
}

fn cpu(clock: ClockId) -> Duration {
    if STOPPED.load(Ordering::Relaxed) {
        return Duration::ZERO;
    }
    let cpu = clock_gettime(clock);
    Duration::new(cpu.tv_sec.unsigned_abs(), cpu.tv_nsec as u32)
}

static STOPPED: AtomicBool = AtomicBool::new(false);

/// From now on nobody is told any processor time: for runs under valgrind, which hides from rustix
/// what it reads these clocks with, and for which they mean nothing.
pub fn stop_cpu_clocks() {
    STOPPED.store(true, Ordering::Relaxed);
}

/// The most memory that this process had resident so far, in millions of bytes, as Linux counts it.
pub fn peak_megabytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}

/// Keeps the calling thread, and threads that it starts, to one core; without effect where there is
/// no such core.
pub fn pin(core: usize) {
    let mut set = CpuSet::new();
    set.set(core);
    // A machine with one core runs unpinned.
    let _ = sched_setaffinity(None, &set);
}

/// What the allocator has counted.
#[derive(Clone, Copy, Debug)]
pub struct Heap {
    /// Calls that allocated or grew something.
    pub allocations: u64,
    /// Bytes in use.
    pub live: i64,
}

static HEAP: OnceLock<fn() -> Heap> = OnceLock::new();

/// Says where the heap's figures come from; the program with the counting allocator does so first.
pub fn install_heap(read: fn() -> Heap) {
    // Only `main` calls this, once.
    let _ = HEAP.set(read);
}

/// The heap's figures, in the program that counts them.
pub fn heap() -> Option<Heap> {
    HEAP.get().map(|read| read())
}
