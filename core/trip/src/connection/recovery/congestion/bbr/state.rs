//! The parts of BBR's state: what each holds, how it is saved. What is done with them is in the
//! files beside this one. Amounts are bytes, rates bytes per second; [`INFINITE`] bounds nothing.
#![deny(clippy::arithmetic_side_effects)]

use super::super::saved::{Fields, Walk};
use super::params::{AGGREGATION_HALF, INFINITE};
use tripline_sansio::codec::ReadError;
use tripline_sansio::{Duration, Instant};

/// What the flow is doing (§5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Mode {
    /// Doubles its rate each round trip.
    Startup,
    /// Drains the queue of Startup.
    Drain,
    /// ProbeBW_DOWN: drains the queue of a probe.
    Down,
    /// ProbeBW_CRUISE: keeps the rate.
    Cruise,
    /// ProbeBW_REFILL: fills the pipe before a probe.
    Refill,
    /// ProbeBW_UP: probes for more.
    Up,
    /// Empties the path for a moment.
    ProbeRtt,
}

impl Mode {
    const ALL: [Self; 7] = [
        Self::Startup,
        Self::Drain,
        Self::Down,
        Self::Cruise,
        Self::Refill,
        Self::Up,
        Self::ProbeRtt,
    ];

    /// One of the four of ProbeBW.
    pub(super) const fn is_probe_bw(self) -> bool {
        matches!(self, Self::Down | Self::Cruise | Self::Refill | Self::Up)
    }

    /// One that raises the rate, or prepares to.
    pub(super) const fn is_probing(self) -> bool {
        matches!(self, Self::Startup | Self::Refill | Self::Up)
    }
}

/// What the ACKs that come in tell of (§5.3.3.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Acks {
    /// Of nothing in particular.
    Init,
    /// Of packets sent before the probe began.
    Refilling,
    /// Of packets sent at the beginning of a probe.
    Starting,
    /// Of the probe.
    Feedback,
    /// Of the end of the probe.
    Stopping,
}

impl Acks {
    const ALL: [Self; 5] =
        [Self::Init, Self::Refilling, Self::Starting, Self::Feedback, Self::Stopping];
}

/// Saves one of `all` by its place.
fn walk_choice<T: Copy + PartialEq>(
    walk: &mut Walk<'_>,
    value: &mut T,
    all: &[T],
) -> Result<(), ReadError> {
    let place = all.iter().position(|one| one == value).unwrap_or(0);
    let mut byte = u8::try_from(place).unwrap_or(0);
    walk.u8(&mut byte)?;
    *value = *all.get(usize::from(byte)).ok_or(ReadError::Short { missing: 0 })?;
    Ok(())
}

impl Fields for Mode {
    fn walk(&mut self, walk: &mut Walk<'_>) -> Result<(), ReadError> {
        walk_choice(walk, self, &Self::ALL)
    }
}

impl Fields for Acks {
    fn walk(&mut self, walk: &mut Walk<'_>) -> Result<(), ReadError> {
        walk_choice(walk, self, &Self::ALL)
    }
}

/// Round trips, counted by packets (§5.5.1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Rounds {
    /// The round is over with the first ACK of a packet sent when this much was delivered.
    pub(super) until: u64,
    pub(super) count: u64,
    /// The present ACK began a round.
    pub(super) began: bool,
}

impl Fields for Rounds {
    fn walk(&mut self, walk: &mut Walk<'_>) -> Result<(), ReadError> {
        walk.all(&mut [&mut self.until, &mut self.count])?;
        walk.flag(&mut self.began)
    }
}

/// Bandwidth (§5.5.2, §5.5.10).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Bandwidth {
    /// The most in the last cycle.
    pub(super) last: u64,
    /// The most in the present one.
    pub(super) present: u64,
    /// `bw_shortterm`.
    pub(super) short: u64,
    /// `bw_latest`: the most in this round trip.
    pub(super) latest: u64,
}

impl Bandwidth {
    pub(super) const NEW: Self = Self { last: 0, present: 0, short: INFINITE, latest: 0 };

    /// `max_bw`.
    pub(super) fn most(&self) -> u64 {
        self.last.max(self.present)
    }

    /// `bw`: what the flow goes by.
    pub(super) fn bounded(&self) -> u64 {
        self.most().min(self.short)
    }

    /// A cycle is over.
    pub(super) fn advance(&mut self) {
        if self.present > 0 {
            self.last = core::mem::take(&mut self.present);
        }
    }
}

impl Fields for Bandwidth {
    fn walk(&mut self, walk: &mut Walk<'_>) -> Result<(), ReadError> {
        walk.all(&mut [&mut self.last, &mut self.present, &mut self.short, &mut self.latest])
    }
}

/// Bounds on what is in flight (§5.5.10).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Volume {
    /// `inflight_longterm`.
    pub(super) long: u64,
    /// `inflight_shortterm`.
    pub(super) short: u64,
    /// `inflight_latest`: the most delivered in a round trip, in this one.
    pub(super) latest: u64,
}

impl Volume {
    pub(super) const NEW: Self = Self { long: INFINITE, short: INFINITE, latest: 0 };
}

impl Fields for Volume {
    fn walk(&mut self, walk: &mut Walk<'_>) -> Result<(), ReadError> {
        walk.all(&mut [&mut self.long, &mut self.short, &mut self.latest])
    }
}

/// The shortest round trip (§5.5.7), and ProbeRTT (§5.3.4).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct RoundTrip {
    /// `min_rtt`; `None` before the first sample.
    pub(super) least: Option<Duration>,
    pub(super) seen_at: Instant,
    pub(super) expired: bool,
    /// The newest sample.
    pub(super) latest: Duration,
    /// The window of ProbeRTT.
    pub(super) probe_window: u64,
    pub(super) probe_until: Option<Instant>,
    pub(super) probe_round_done: bool,
}

impl RoundTrip {
    pub(super) const NEW: Self = Self {
        least: None,
        seen_at: Instant::ZERO,
        expired: false,
        latest: Duration::ZERO,
        probe_window: 0,
        probe_until: None,
        probe_round_done: false,
    };
}

impl Fields for RoundTrip {
    fn walk(&mut self, walk: &mut Walk<'_>) -> Result<(), ReadError> {
        walk.option(&mut self.least, Duration::ZERO, Walk::duration)?;
        walk.instant(&mut self.seen_at)?;
        walk.flag(&mut self.expired)?;
        walk.duration(&mut self.latest)?;
        walk.u64(&mut self.probe_window)?;
        walk.option(&mut self.probe_until, Instant::ZERO, Walk::instant)?;
        walk.flag(&mut self.probe_round_done)
    }
}

/// Whether the pipe is full (§5.3.1.2), and Drain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Pipe {
    /// `full_bw`: what growth is measured by.
    pub(super) base: u64,
    pub(super) flat_rounds: u64,
    /// `full_bw_now`.
    pub(super) full_now: bool,
    /// `full_bw_reached`.
    pub(super) was_full: bool,
    /// The round in which Drain began.
    pub(super) drain_began: u64,
}

impl Pipe {
    /// Begins to look for a plateau above `base`.
    pub(super) const fn reset(&mut self, base: u64) {
        self.base = base;
        self.flat_rounds = 0;
        self.full_now = false;
    }
}

impl Fields for Pipe {
    fn walk(&mut self, walk: &mut Walk<'_>) -> Result<(), ReadError> {
        walk.all(&mut [&mut self.base, &mut self.flat_rounds, &mut self.drain_began])?;
        walk.flag(&mut self.full_now)?;
        walk.flag(&mut self.was_full)
    }
}

/// Losses of a round trip (§5.5.10).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Losses {
    /// A packet was lost in this round.
    pub(super) any: bool,
    /// One was lost that tells of congestion, or a CE mark came.
    pub(super) congested: bool,
    /// What to restore was saved in this round; not forgotten with the signals when a probe ends.
    pub(super) saved: bool,
    /// The round ends with the first ACK of a packet sent when this much was delivered.
    pub(super) until: u64,
    /// The present ACK ended a round.
    pub(super) ended: bool,
    /// Runs of lost packets in this round, and the last number of the last one.
    pub(super) runs: u64,
    pub(super) last: u64,
}

impl Fields for Losses {
    fn walk(&mut self, walk: &mut Walk<'_>) -> Result<(), ReadError> {
        walk.all(&mut [&mut self.until, &mut self.runs, &mut self.last])?;
        walk.flag(&mut self.any)?;
        walk.flag(&mut self.congested)?;
        walk.flag(&mut self.saved)?;
        walk.flag(&mut self.ended)
    }
}

/// The cycle of ProbeBW (§5.3.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Cycle {
    pub(super) acks: Acks,
    /// `cycle_stamp`.
    pub(super) began: Instant,
    /// `bw_probe_wait`.
    pub(super) wait: Duration,
    pub(super) rounds_since_up: u64,
    /// `bw_probe_up_rounds`.
    pub(super) up_rounds: u64,
    /// `bw_probe_up_acked`.
    pub(super) up_acked: u64,
    /// `probe_up_acked_per_inc`.
    pub(super) up_step: u64,
    /// `is_bw_probe_sample`.
    pub(super) is_probe: bool,
    /// `prev_probe_too_high`.
    pub(super) was_too_high: bool,
    /// `prev_probe_precautionary`.
    pub(super) was_careful: bool,
}

impl Cycle {
    pub(super) const NEW: Self = Self {
        acks: Acks::Init,
        began: Instant::ZERO,
        wait: Duration::ZERO,
        rounds_since_up: 0,
        up_rounds: 0,
        up_acked: 0,
        up_step: INFINITE,
        is_probe: false,
        was_too_high: false,
        was_careful: false,
    };
}

impl Fields for Cycle {
    fn walk(&mut self, walk: &mut Walk<'_>) -> Result<(), ReadError> {
        self.acks.walk(walk)?;
        walk.instant(&mut self.began)?;
        walk.duration(&mut self.wait)?;
        walk.all(&mut [
            &mut self.rounds_since_up,
            &mut self.up_rounds,
            &mut self.up_acked,
            &mut self.up_step,
        ])?;
        walk.flag(&mut self.is_probe)?;
        walk.flag(&mut self.was_too_high)?;
        walk.flag(&mut self.was_careful)
    }
}

/// How much more than expected is acknowledged at once (§5.5.9).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Aggregation {
    pub(super) began: Instant,
    pub(super) delivered: u64,
    /// The most in the last rounds, and in those before.
    present: u64,
    last: u64,
    rounds: u64,
}

impl Aggregation {
    /// `extra_acked`.
    pub(super) fn most(&self) -> u64 {
        self.present.max(self.last)
    }

    /// A round is over; in Startup only one is remembered.
    pub(super) const fn on_round(&mut self, startup: bool) {
        self.rounds = self.rounds.saturating_add(1);
        if startup || self.rounds >= AGGREGATION_HALF {
            self.rounds = 0;
            self.last = if startup { 0 } else { self.present };
            self.present = 0;
        }
    }

    /// So much more than expected came.
    pub(super) fn note(&mut self, extra: u64) {
        self.present = self.present.max(extra);
    }
}

impl Fields for Aggregation {
    fn walk(&mut self, walk: &mut Walk<'_>) -> Result<(), ReadError> {
        walk.instant(&mut self.began)?;
        walk.all(&mut [&mut self.delivered, &mut self.present, &mut self.last, &mut self.rounds])
    }
}

/// What is restored if the losses of a round turn out to be none (§5.5.11).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Undo {
    /// The first packet lost.
    pub(super) since: u64,
    /// Losses from it on that have not turned out spurious.
    pub(super) lost: u64,
    /// The mode that the losses ended, Startup or Up.
    pub(super) mode: Option<Mode>,
    pub(super) bandwidth: u64,
    pub(super) short: u64,
    pub(super) long: u64,
}

impl Undo {
    pub(super) const EMPTY: Self =
        Self { since: 0, lost: 0, mode: None, bandwidth: 0, short: 0, long: 0 };
}

impl Fields for Undo {
    fn walk(&mut self, walk: &mut Walk<'_>) -> Result<(), ReadError> {
        walk.all(&mut [
            &mut self.since,
            &mut self.lost,
            &mut self.bandwidth,
            &mut self.short,
            &mut self.long,
        ])?;
        walk.option(&mut self.mode, Mode::Startup, |walk, mode| mode.walk(walk))
    }
}
