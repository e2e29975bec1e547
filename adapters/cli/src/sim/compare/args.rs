//! What can be asked of a comparison.

use crate::sim::jobs;
use crate::units;
use std::ops::Range;
use std::path::PathBuf;
use tripline_sim::scenario::units as quantity;
use tripline_sim::{Chance, Duration};

/// The most seeds of one comparison.
const SEEDS_MAX: u64 = 1_000;
/// The rates of a link of one's own, in bytes per second: 8 kbit/s to 80 Gbit/s.
const RATES: std::ops::RangeInclusive<u64> = 1_000..=10_000_000_000;
/// The longest round trip of a link of one's own.
const RTT_MAX: Duration = Duration::from_secs(60);
/// The largest transfer and the largest queue, in bytes.
const BYTES_MAX: u64 = 1 << 40;

/// Arguments.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = "\
Without --cells, --races or a link, everything is run at a tenth of its size: nine links, and one \
bottleneck. The links have 10 Mbit/s and 50 ms, 100 Mbit/s and 20 ms, or 1 Mbit/s and 200 ms, each \
with 0, 1 and 5 % of loss both ways.")]
pub(in crate::sim) struct Args {
    /// Transfers over these links, and no races unless --races is there too.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "SET")]
    pub(super) cells: Vec<Set>,
    /// Pairs of flows through one bottleneck, and no transfers unless --cells is there too.
    #[arg(long, conflicts_with_all = ["loss", "bytes"])]
    pub(super) races: bool,
    /// A link of your own: its rate, such as 10Mbit/s; by default that.
    #[arg(long, value_parser = rate, conflicts_with = "cells")]
    pub(super) rate: Option<u64>,
    /// Its round trip; by default 50ms.
    #[arg(long, value_name = "TIME", value_parser = rtt, conflicts_with = "cells")]
    pub(super) rtt: Option<Duration>,
    /// How much is lost each way, such as 1%; by default nothing.
    #[arg(long, value_name = "CHANCE", value_parser = quantity::chance, conflicts_with = "cells")]
    pub(super) loss: Option<Chance>,
    /// How much is sent over it; by default 20MB.
    #[arg(long, value_name = "SIZE", value_parser = size, conflicts_with = "cells")]
    pub(super) bytes: Option<u64>,
    /// The queue before it; by default what fits on the line, and 30kB at least.
    #[arg(long, value_name = "SIZE", value_parser = size, conflicts_with = "cells")]
    pub(super) queue: Option<u64>,
    /// Per cent of the whole size: of the payload (20 MB, and 200 MB at 100 Mbit/s), and of the
    /// minute that races are measured, which is never less than 20 s.
    #[arg(long, value_name = "PERCENT", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=100))]
    pub(super) share: u64,
    /// How many seeds; each is one run of everything.
    #[arg(long, value_name = "N", default_value_t = 3)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=SEEDS_MAX))]
    pub(super) seeds: u64,
    /// The first of them.
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u64).range(..u64::MAX - SEEDS_MAX))]
    pub(super) first_seed: u64,
    /// The other engine.
    #[arg(long, value_enum, default_value_t = Against::Quinn)]
    pub(super) against: Against,
    /// Only those whose name contains this, such as bbr; may be given several times.
    #[arg(long, value_name = "TEXT")]
    pub(super) contender: Vec<String>,
    /// On how many threads; by default, as many as the machine runs at once.
    #[arg(long, value_name = "N", value_parser = jobs)]
    pub(super) jobs: Option<usize>,
    /// Draw a picture too.
    #[arg(long, value_name = "FILE")]
    pub(super) svg: Option<PathBuf>,
    /// Print the tables in Markdown.
    #[arg(long)]
    pub(super) markdown: bool,
}

/// Which of the links.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Set {
    /// 100 Mbit/s, 20 ms.
    Fast,
    /// All that lose datagrams.
    Lossy,
    /// 1 Mbit/s, 200 ms.
    Slow,
    /// All nine.
    All,
}

/// The other engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Against {
    /// quinn-proto.
    Quinn,
    /// Ours alone.
    Nobody,
}

impl Args {
    /// Whether there is a link of the user's own.
    pub(super) fn has_own_link(&self) -> bool {
        self.rate.is_some()
            || self.rtt.is_some()
            || self.loss.is_some()
            || self.bytes.is_some()
            || self.queue.is_some()
    }

    /// Whether cells are run.
    pub(super) fn wants_cells(&self) -> bool {
        !self.races || !self.cells.is_empty()
    }

    /// Whether races are run.
    pub(super) fn wants_races(&self) -> bool {
        self.races || self.cells.is_empty()
    }

    /// Whether a contender takes part.
    pub(super) fn wants_contender(&self, name: &str) -> bool {
        self.contender.is_empty() || self.contender.iter().any(|part| name.contains(part))
    }

    /// The seeds, all of them.
    pub(super) fn all_seeds(&self) -> Range<u64> {
        self.first_seed..self.first_seed.saturating_add(self.seeds)
    }
}

fn rate(text: &str) -> Result<u64, String> {
    let rate = quantity::rate(text)?;
    if RATES.contains(&rate) {
        Ok(rate)
    } else {
        Err("a rate here is 8kbit/s to 80000Mbit/s".to_owned())
    }
}

fn rtt(text: &str) -> Result<Duration, String> {
    let rtt = quantity::duration(text)?;
    if rtt <= RTT_MAX { Ok(rtt) } else { Err("a round trip here is 60s at most".to_owned()) }
}

fn size(text: &str) -> Result<u64, String> {
    let size = units::size(text)?;
    if (1..=BYTES_MAX).contains(&size) {
        Ok(size)
    } else {
        Err("a size here is 1 byte to 1TiB".to_owned())
    }
}
