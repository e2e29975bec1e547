//! What every peer is asked to do, and what it answers: the seam at which peers plug in.

use std::error::Error;
use std::str::FromStr;
use std::time::Duration;

/// Whatever stopped a run; peers bring errors of their own.
pub type Failure = Box<dyn Error + Send + Sync>;

/// The packet cipher of a run. Each run is pinned to one, so that the figures say what was
/// measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// One bulk transfer: a client sends, a server receives, both in this process, over loopback UDP.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// Bytes of payload, all on one stream of one connection.
    pub bytes: u64,
    /// How packets are sealed.
    pub suite: Suite,
    /// Credit of our own stream and half that of its connection, in bytes.
    pub credit: u64,
    /// Whether peers print counters of their own to standard error.
    pub stats: bool,
}

/// What one run of one peer measured.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// From the client's first packet until both sides may send.
    pub handshake: Duration,
    /// From the client's first write until the server has read the last byte.
    pub transfer: Duration,
    /// Processor time (user and system) of the client's thread over the whole run. On loopback the
    /// kernel's receive path runs here too, inside the send call.
    pub cpu_client: Duration,
    /// Processor time of the server's thread over the whole run.
    pub cpu_server: Duration,
    /// Bytes that the server's application has read; a run that moved less than asked is an error.
    pub received: u64,
}

impl Figures {
    /// Payload in millions of bytes per second of wall time.
    pub fn megabytes_per_second(&self) -> f64 {
        self.received as f64 / 1e6 / self.transfer.as_secs_f64()
    }

    /// Processor seconds of both sides together.
    pub fn cpu_seconds(&self) -> f64 {
        (self.cpu_client + self.cpu_server).as_secs_f64()
    }
}

/// A transport that can do the work.
#[derive(Clone, Copy)]
pub struct Peer {
    /// The name on the command line and in reports.
    pub name: &'static str,
    /// The suites that it has.
    pub suites: &'static [Suite],
    /// Runs the workload once, with threads of its own, and waits for them.
    pub run: fn(&Workload) -> Result<Figures, Failure>,
}

/// Processor time that the calling thread has used so far, user and system.
pub fn thread_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}
