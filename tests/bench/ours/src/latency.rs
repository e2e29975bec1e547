//! Times of many round trips, and what the ping-pong sends.

use std::time::Duration;

use crate::task::Record;

/// What goes there and back.
pub const PING: [u8; 64] = [0x5a; 64];

/// Round trips before any counts: handshakes, caches, timers that settle.
const WARM_UP: u64 = 200;

/// Times of round trips.
#[derive(Debug)]
pub struct Times {
    wanted: u64,
    seen: u64,
    nanos: Vec<u64>,
}

impl Times {
    /// Room for so many, and a few more first that do not count.
    pub fn new(wanted: u64) -> Self {
        Self { wanted, seen: 0, nanos: Vec::with_capacity(wanted as usize) }
    }

    /// Whether another round trip is wanted.
    pub fn wants_more(&self) -> bool {
        self.seen < self.wanted + WARM_UP
    }

    /// Notes one.
    pub fn add(&mut self, time: Duration) {
        self.seen += 1;
        if self.seen > WARM_UP {
            self.nanos.push(time.as_nanos() as u64);
        }
    }

    /// Quantiles in microseconds.
    pub fn record(mut self) -> Record {
        self.nanos.sort_unstable();
        let mut record = Record::default();
        for (name, per_mille) in [("p50", 500), ("p99", 990), ("p999", 999)] {
            let at = self.nanos.len() * per_mille / 1_000;
            let nanos = self.nanos.get(at).or(self.nanos.last()).copied().unwrap_or(0);
            record.set(name, nanos as f64 / 1e3);
        }
        record
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_leave_the_warm_up_out() {
        let mut times = Times::new(1_000);
        let mut number = 0;
        while times.wants_more() {
            let micros = if number < WARM_UP { 1_000_000 } else { number - WARM_UP };
            times.add(Duration::from_micros(micros));
            number += 1;
        }
        let record = times.record();
        let all = ["p50", "p99", "p999"].map(|name| record.get(name));
        assert_eq!(all, [Some(500.0), Some(990.0), Some(999.0)]);
    }
}
