//! Many runs made into few figures.

use tripline_sim::engine::{Cell, Outcome, RaceOutcome};

/// Smallest, middle and largest of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) min: f64,
    /// Of an even number of values, the mean of the middle two.
    pub(super) median: f64,
    pub(super) max: f64,
}

impl Spread {
    /// Of any number of values; all zero when there are none.
    pub(super) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |place: usize| sorted.get(place).copied().unwrap_or(0.0);
        let last = sorted.len().saturating_sub(1);
        let median = (at(last / 2) + at(last.div_ceil(2))) / 2.0;
        Self { min: at(0), median, max: at(last) }
    }

    /// All three multiplied.
    pub(super) fn times(self, factor: f64) -> Self {
        Self { min: self.min * factor, median: self.median * factor, max: self.max * factor }
    }
}

/// All runs of one contender over one link.
pub(super) struct CellSeries {
    /// The link's name.
    pub(super) link: String,
    /// The link.
    pub(super) cell: Cell,
    /// The contender's name.
    pub(super) contender: String,
    /// One outcome for each seed, in their order.
    pub(super) runs: Vec<Outcome>,
}

impl CellSeries {
    fn spread(&self, value: impl Fn(&Outcome) -> f64) -> Spread {
        Spread::of(self.runs.iter().map(value))
    }

    /// Payload bytes per second, from the first that could be sent to the last taken.
    pub(super) fn goodput(&self) -> Spread {
        self.spread(Outcome::goodput)
    }

    /// Goodput as a share of the link's rate.
    pub(super) fn share(&self) -> Spread {
        self.goodput().times(1.0 / self.cell.rate.max(1) as f64)
    }

    /// Seconds from the beginning, handshake included, until all was there.
    pub(super) fn seconds(&self) -> Spread {
        self.spread(|run| (run.handshake + run.took).as_secs_f64())
    }

    /// Bytes of UDP payload handed to the link, both ways.
    pub(super) fn wire(&self) -> Spread {
        self.spread(|run| wire(run) as f64)
    }

    /// Waste as a share of what was sent: [`Outcome::waste`].
    pub(super) fn waste(&self) -> Spread {
        self.spread(Outcome::waste)
    }

    /// How many runs were not done within the limit.
    pub(super) fn unfinished(&self) -> usize {
        self.runs.iter().filter(|run| !run.is_finished).count()
    }
}

/// Bytes of UDP payload handed to the link, both ways.
pub(super) fn wire(run: &Outcome) -> u64 {
    run.forward.offered_bytes.saturating_add(run.backward.offered_bytes)
}

/// All runs of one pair of contenders through one bottleneck.
pub(super) struct RaceSeries {
    /// The bottleneck's name.
    pub(super) link: String,
    /// The contenders' names.
    pub(super) flows: [String; 2],
    /// One outcome for each seed, in their order.
    pub(super) runs: Vec<RaceOutcome>,
}

impl RaceSeries {
    fn spread(&self, value: impl Fn(&RaceOutcome) -> f64) -> Spread {
        Spread::of(self.runs.iter().map(value))
    }

    /// The first flow's part of what both got.
    pub(super) fn first_share(&self) -> Spread {
        self.spread(RaceOutcome::first_share)
    }

    /// Jain's index.
    pub(super) fn fairness(&self) -> Spread {
        self.spread(RaceOutcome::fairness)
    }

    /// How much of the bottleneck both used together.
    pub(super) fn use_of_link(&self) -> Spread {
        self.spread(RaceOutcome::use_of_link)
    }

    /// Each flow's waste.
    pub(super) fn waste(&self) -> [Spread; 2] {
        [self.spread(|run| run.waste[0]), self.spread(|run| run.waste[1])]
    }
}
