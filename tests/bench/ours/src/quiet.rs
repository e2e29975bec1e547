//! The quiet window of the idle workload: when it may begin, and what is read at its ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use crate::meter::{Mark, heap};
use crate::task::Record;

/// Shared by both sides.
#[derive(Clone, Debug)]
pub struct Window {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    server_ready: AtomicBool,
    over: AtomicBool,
    /// Heap in use with both endpoints there and no connection.
    heap_before: AtomicI64,
    begun: Instant,
    ready_nanos: AtomicI64,
}

impl Default for Window {
    fn default() -> Self {
        Self::new()
    }
}

impl Window {
    /// How often a side looks whether it is time; long enough not to count as work.
    pub const LOOK: Duration = Duration::from_millis(250);
    /// How long after the last handshake what follows from it by itself is waited for.
    const SETTLE: Duration = Duration::from_secs(4);
    /// How long it is watched.
    pub const QUIET: Duration = Duration::from_secs(5);

    /// Before anything is connected.
    pub fn new() -> Self {
        let shared = Shared {
            server_ready: AtomicBool::new(false),
            over: AtomicBool::new(false),
            heap_before: AtomicI64::new(0),
            begun: Instant::now(),
            ready_nanos: AtomicI64::new(0),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Both endpoints are there: what is in use now is not the connections'.
    pub fn begin(&self) {
        let live = heap().map_or(0, |heap| heap.live);
        self.shared.heap_before.store(live, Ordering::SeqCst);
    }

    /// The server has all connections.
    pub fn server_is_ready(&self) {
        let nanos = self.shared.begun.elapsed().as_nanos() as i64;
        self.shared.ready_nanos.store(nanos, Ordering::SeqCst);
        self.shared.server_ready.store(true, Ordering::SeqCst);
    }

    /// Whether the server is ready and nothing follows any more.
    pub fn is_settled(&self) -> bool {
        let ready = self.shared.ready_nanos.load(Ordering::SeqCst);
        let settled = ready + Self::SETTLE.as_nanos() as i64;
        self.shared.server_ready.load(Ordering::SeqCst)
            && self.shared.begun.elapsed().as_nanos() as i64 >= settled
    }

    /// The window opens.
    pub fn measure_begin(&self) -> Mark {
        Mark::now()
    }

    /// The window closes: `heap_per_connection` of one side, in bytes, the mean of both;
    /// `cpu_share` of one core for both sides together, in per cent.
    pub fn measure_end(&self, begun: Mark, connections: u64) -> Record {
        let (seconds, cpu) = Mark::now().since(begun);
        let mut record = Record::default();
        record.set("cpu_share", cpu / seconds * 100.0);
        if let Some(heap) = heap() {
            let held = heap.live - self.shared.heap_before.load(Ordering::SeqCst);
            record.set("heap_per_connection", held as f64 / (2 * connections.max(1)) as f64);
        }
        record
    }

    /// Both sides may go.
    pub fn end(&self) {
        self.shared.over.store(true, Ordering::SeqCst);
    }

    /// Whether the sides may go.
    pub fn is_over(&self) -> bool {
        self.shared.over.load(Ordering::SeqCst)
    }
}
