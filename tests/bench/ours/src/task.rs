//! What every peer is asked to do, and what it answers: the seam at which peers plug in.
//!
//! In goes a [`Task`], the sizes of all workloads; out comes a [`Record`], named numbers. Nothing
//! in here runs anything.

use std::collections::BTreeMap;
use std::error::Error;
use std::str::FromStr;

use crate::meter::Mark;

/// Whatever stopped a run; peers bring errors of their own.
pub type Failure = Box<dyn Error + Send + Sync>;

/// The packet cipher of a run. Each run is pinned to one, so that the figures say what was
/// measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Suite {
    /// AES-256-GCM: what two peers with AES instructions agree on when nobody interferes.
    Aes256,
    /// AES-128-GCM: cheaper by a few rounds per block; not every peer has it.
    Aes128,
    /// ChaCha20-Poly1305.
    ChaCha,
}

impl Suite {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Aes256, Self::Aes128, Self::ChaCha];

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aes256 => "AES-256-GCM",
            Self::Aes128 => "AES-128-GCM",
            Self::ChaCha => "ChaCha20-Poly1305",
        }
    }

    /// The name on the command line.
    pub fn flag(self) -> &'static str {
        match self {
            Self::Aes256 => "aes",
            Self::Aes128 => "aes128",
            Self::ChaCha => "chacha",
        }
    }
}

impl FromStr for Suite {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "aes" | "aes256" => Ok(Self::Aes256),
            "aes128" => Ok(Self::Aes128),
            "chacha" => Ok(Self::ChaCha),
            other => Err(format!("unknown suite {other:?}: aes, aes128 or chacha")),
        }
    }
}

/// The sizes of the workloads; each looks at those that concern it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// How packets are sealed.
    pub suite: Suite,
    /// Bytes of payload of a bulk transfer, all on one stream of one connection.
    pub bytes: u64,
    /// Connections of the requests workloads.
    pub connections: u64,
    /// Requests of each of these connections.
    pub requests: u64,
    /// Round trips of the ping-pong.
    pub pings: u64,
    /// Connections made one after the other, some at a time.
    pub connects: u64,
    /// Connections that do nothing.
    pub idle: u64,
    /// Messages of 64 bytes of the engine by itself.
    pub messages: u64,
    /// Endpoints of the server where it has several.
    pub shards: u64,
    /// Credit of our own stream and half that of its connection, in bytes.
    pub credit: u64,
    /// Whether the two sides are kept to a core each; the ping-pong always does so.
    pub pin: bool,
    /// Whether peers print counters of their own to standard error.
    pub stats: bool,
}

impl Default for Task {
    fn default() -> Self {
        Self {
            suite: Suite::Aes256,
            bytes: 1 << 30,
            connections: 100,
            requests: 5_000,
            pings: 20_000,
            connects: 2_000,
            idle: 10_000,
            messages: 5_000_000,
            shards: 1,
            credit: 4 << 20,
            pin: false,
            stats: false,
        }
    }
}

impl Task {
    /// Small enough for a test of every peer, and for a look at whether everything runs.
    pub fn small() -> Self {
        Self {
            bytes: 3_000_001,
            connections: 5,
            requests: 200,
            pings: 50,
            connects: 20,
            idle: 20,
            messages: 20_000,
            ..Self::default()
        }
    }
}

/// What one run measured, by name; [`crate::workloads`] says which workload has which.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record(pub BTreeMap<String, f64>);

impl Record {
    /// So many units of work between two moments: `rate`, `seconds`, `cpu_seconds` and
    /// `cpu_us_per_unit`.
    pub fn of(units: u64, from: Mark, to: Mark) -> Self {
        let (seconds, cpu) = to.since(from);
        let mut record = Self::default();
        record.set("rate", units as f64 / seconds);
        record.set("seconds", seconds);
        record.set("cpu_seconds", cpu);
        record.set("cpu_us_per_unit", cpu * 1e6 / units.max(1) as f64);
        record
    }

    /// A bulk transfer: `rate` in millions of bytes per second, `cpu_per_gb` in seconds.
    pub fn of_bytes(bytes: u64, from: Mark, to: Mark) -> Self {
        let mut record = Self::of(bytes, from, to);
        let (seconds, cpu) = to.since(from);
        record.set("rate", bytes as f64 / 1e6 / seconds);
        record.set("cpu_per_gb", cpu * 1e9 / bytes.max(1) as f64);
        record
    }

    /// Notes a number.
    pub fn set(&mut self, name: &str, value: f64) {
        self.0.insert(name.to_owned(), value);
    }

    /// A number, if it was measured.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }
}

/// An error unless all that was asked for arrived.
pub fn complete(what: &str, arrived: u64, asked: u64) -> Result<(), Failure> {
    if arrived == asked {
        Ok(())
    } else {
        Err(format!("{arrived} of {asked} {what} arrived").into())
    }
}
