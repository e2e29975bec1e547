//! The constants of BBR, named as in draft-ietf-ccwg-bbr §2, and those that are ours.
//! Gains and shares are percent.

use tripline_sansio::Duration;

/// Not bounded, not known.
pub(super) const INFINITE: u64 = u64::MAX;

/// `StartupPacingGain`: 4 × ln 2.
pub(super) const STARTUP_PACING: u64 = 277;
/// `DrainPacingGain`.
pub(super) const DRAIN_PACING: u64 = 50;
/// The pacing gain of ProbeBW_DOWN.
pub(super) const DOWN_PACING: u64 = 90;
/// The pacing gain of ProbeBW_UP.
pub(super) const UP_PACING: u64 = 125;
/// `DefaultCwndGain`.
pub(super) const DEFAULT_WINDOW: u64 = 200;
/// The window gain of ProbeBW_UP.
pub(super) const UP_WINDOW: u64 = 225;
/// `ProbeRTTCwndGain`.
pub(super) const PROBE_RTT_WINDOW: u64 = 50;

/// What `PacingMarginPercent` leaves of the bandwidth: a queue that is not meant drains.
pub(super) const PACED_SHARE: u64 = 99;
/// `LossThresh`: more lost than this is too much, where a queue shows.
pub(super) const LOSS_THRESHOLD: u64 = 2;
/// `Beta`: what is left of a bound after a round trip with losses, at least.
pub(super) const BETA: u64 = 70;
/// `Headroom`: the part of the bound on volume that is left to others while cruising.
pub(super) const HEADROOM: u64 = 15;

/// `MinPipeCwnd`, in datagrams.
pub(super) const PIPE_LEAST: u64 = 4;
/// `StartupFullLossCnt`: runs of lost packets in a round trip that may end Startup.
pub(super) const LOSS_RUNS: u64 = 6;
/// `StartupFullBwCnt`: round trips without growth that mean a full pipe.
pub(super) const FLAT_ROUNDS: u64 = 3;
/// Growth of the bandwidth in a round trip that means a pipe not yet full.
pub(super) const GROWTH: u64 = 125;
/// Drain ends after so many round trips, empty queue or not.
pub(super) const DRAIN_ROUNDS: u64 = 3;
/// `ExtraAckedFilterLen` in round trips, as two halves.
pub(super) const AGGREGATION_HALF: u64 = 5;

/// `MinRTTFilterLen`, and with it the interval of ProbeRTT.
pub(super) const MIN_RTT_LIFE: Duration = Duration::from_secs(10);
/// `ProbeRTTDuration`.
pub(super) const PROBE_RTT_TIME: Duration = Duration::from_millis(200);
/// The shortest time between two probes for bandwidth; up to [`PROBE_WAIT_MORE`] is added.
pub(super) const PROBE_WAIT: Duration = Duration::from_secs(2);
/// The most that is added to [`PROBE_WAIT`], in nanoseconds.
pub(super) const PROBE_WAIT_MORE: u64 = 1_000_000_000;

/// Ours: a round trip longer than the shortest by this part of it (a quarter) shows a queue.
pub(super) const QUEUE_DIVISOR: u32 = 4;
/// Ours: without a queue, more lost than this is too much all the same …
pub(super) const BLIND_LOSS_THRESHOLD: u64 = 15;
/// … if it is at least so many datagrams.
pub(super) const BLIND_LOSS_LEAST: u64 = 6;
/// Ours: the bound on volume after too much loss is at least this share of what the path holds:
/// less the headroom, it still fills the path.
pub(super) const BOUND_LEAST: u64 = 120;
/// Ours: a round trip at most this part longer than the shortest confirms it, so that a flow which
/// drains its own queue need not stop for ProbeRTT.
pub(super) const CONFIRM_DIVISOR: u32 = 64;
/// Ours: a round trip at most this part longer than the shortest shows an empty path: bounds that a
/// queue was the reason for go with it.
pub(super) const EMPTY_DIVISOR: u32 = 8;
