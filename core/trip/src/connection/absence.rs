//! Times at which this host was away: asleep, suspended, or with a clock that jumped (PROTOCOL.md
//! §5.1, R-RTT-1).
//!
//! In comes the time of each call; out comes whether a round trip was measured by a host that was
//! there all the while. A host that does its work calls at a connection's deadline, a little late
//! at most. One that calls long after it was away, and what it measured across that is the length
//! of its sleep and not of the path: an hour's suspend would make probe timeouts hours long. It
//! judges nothing else by it; deadlines that passed meanwhile are due as ever.
#![deny(clippy::arithmetic_side_effects)]

use super::Connection;
use tripline_sansio::{Duration, Instant};

/// Who calls so much later than the deadline was away. Long enough for a machine that is merely
/// busy, whose delays are part of what its peers experience.
const ABSENCE: Duration = Duration::from_secs(1);

impl Connection {
    /// To be told of each call, before anything else is done with it.
    pub(crate) fn notice_absence(&mut self, now: Instant) {
        // A comparison comes first: nearly always the timers lie ahead.
        let due = self.timers.next().filter(|due| *due < now);
        if due.is_some_and(|due| now.saturating_duration_since(due) > ABSENCE) {
            self.awake_since = now;
        }
    }

    /// A round trip that has just been measured, if the host was there all the while.
    pub(super) fn believed(&self, sample: Option<Duration>, now: Instant) -> Option<Duration> {
        let awake = now.saturating_duration_since(self.awake_since);
        sample.filter(|sample| *sample <= awake)
    }
}
