//! How far an attempt has come, for whoever asks why it waits.

use super::Opening;
use crate::error::ConnectError;
use crate::explain;
use alloc::format;
use alloc::string::String;
use tripline_sansio::{Duration, Instant};

impl Opening {
    /// What it waits for. When the next OPEN goes and when it ends is told by the caller, who has
    /// the timers.
    pub(in crate::connection) fn progress(
        &self,
        now: Instant,
        next_in: Option<Duration>,
        gives_up_in: Option<Duration>,
    ) -> explain::OpeningReason {
        let since = |at: Instant| now.saturating_duration_since(at);
        if let Some(challenged) = &self.challenged {
            return explain::OpeningReason::Trust { waited: since(challenged.at), gives_up_in };
        }
        if self.start.addresses.is_empty() {
            let name = self.start.name.as_ref();
            let name = name.map_or_else(String::new, |(host, port)| format!("{host}:{port}"));
            return explain::OpeningReason::Addresses { name, gives_up_in };
        }
        explain::OpeningReason::Challenge {
            waited: self.first_sent.map_or(Duration::ZERO, since),
            opens: self.repeats.sent,
            next_in,
            gives_up_in,
            retries: self.retries.answered(),
            hint: Some(self.timeout_error())
                .filter(|error| !matches!(error, ConnectError::Timeout { .. })),
        }
    }
}
