//! Figures: rates, percentiles, keys in short, errors in one line.

use serde::Serialize;
use std::fmt::{Display, Write};
use std::io::{self, Write as _, stderr, stdout};
use std::time::Duration;
use tripline::{PublicKey, SecretKey};
use tripline_std::Stats;

/// What a command of this binary fails with.
pub(crate) type CliError = Box<dyn std::error::Error + Send + Sync>;

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(line, ": {error}");
        cause = error.source();
    }
    line
}

/// What was being done when something failed; the failure is its source.
#[derive(Debug)]
struct While {
    what: String,
    cause: CliError,
}

impl Display for While {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for While {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.cause)
    }
}

/// Puts what was being done in front of an error.
pub(crate) fn while_doing<E>(what: &str) -> impl FnOnce(E) -> CliError
where
    E: std::error::Error + Send + Sync + 'static,
{
    move |error| While { what: what.to_owned(), cause: error.into() }.into()
}

/// Prints a line to stdout. Unlike `println!` it fails, and does not panic, where stdout cannot be
/// written to: a full disk, a reader that has left.
pub(crate) fn say(line: impl Display) -> Result<(), CliError> {
    let mut stdout = stdout().lock();
    let said = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
    // Of its kind still: that a reader has left is no failure to speak of.
    said.map_err(|error| io::Error::new(error.kind(), format!("stdout: {error}")).into())
}

/// Prints a line to stderr, if that can be written to.
pub(crate) fn complain(line: impl Display) {
    let _ = writeln!(stderr(), "{line}");
}

/// A fresh identity from the system's entropy.
pub(crate) fn new_key(label: &str) -> Result<SecretKey, CliError> {
    let seed = tripline_std::os_seed().map_err(while_doing("entropy"))?;
    Ok(SecretKey::generate(&mut seed.random(label)))
}

/// The beginning and the end of a key.
pub(crate) fn short(key: PublicKey) -> String {
    let text = key.to_string();
    match (text.get(..12), text.get(text.len().saturating_sub(4)..)) {
        (Some(head), Some(tail)) => format!("{head}…{tail}"),
        _ => text,
    }
}

/// Millions of bytes per second.
pub(crate) fn megabytes_per_second(bytes: u64, elapsed: Duration) -> f64 {
    per_second(bytes, elapsed) / 1e6
}

/// How many per second.
pub(crate) fn per_second(count: u64, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64().max(1e-9)
}

/// Microseconds, to a tenth.
pub(crate) fn micros(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e7).round() / 10.0
}

/// The smallest value that at least `percent` of the sorted values do not exceed.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

/// The processor time that this process has used, in user and kernel mode.
pub(crate) fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// What a side's counters say, for a report.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Traffic {
    pub(crate) packets_sent: u64,
    pub(crate) packets_received: u64,
    pub(crate) packets_lost: u64,
    pub(crate) packets_spurious: u64,
    pub(crate) retransmissions: u64,
    pub(crate) probes: u64,
    pub(crate) datagrams_per_send_call: f64,
    pub(crate) datagrams_per_receive_call: f64,
    pub(crate) gso: bool,
    pub(crate) gro: bool,
}

impl From<&Stats> for Traffic {
    fn from(stats: &Stats) -> Self {
        Self {
            packets_sent: stats.connection.packets_sent,
            packets_received: stats.connection.packets_received,
            packets_lost: stats.connection.packets_lost,
            packets_spurious: stats.connection.packets_spurious,
            retransmissions: stats.connection.retransmissions,
            probes: stats.connection.probes,
            datagrams_per_send_call: stats.socket.sent_per_call(),
            datagrams_per_receive_call: stats.socket.received_per_call(),
            gso: stats.socket.gso,
            gro: stats.socket.gro,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let values: Vec<_> = (1..=200).map(Duration::from_micros).collect();
        assert_eq!(percentile(&values, 50), Duration::from_micros(100));
        assert_eq!(percentile(&values, 99), Duration::from_micros(198));
        assert_eq!(percentile(&values[..1], 99), Duration::from_micros(1));
        assert_eq!(percentile(&[], 50), Duration::ZERO);
    }

    #[test]
    fn a_key_in_short_is_not_the_key() {
        let key = SecretKey::from_bytes([3; 32]).public_key();
        assert!(short(key).len() < key.to_string().len() && short(key).starts_with("tpub1"));
    }
}
