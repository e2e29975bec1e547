//! What to say when a machine breaks the run-loop contract.
//!
//! The rules are those of the page of `tripline_sansio`. A broken rule is a panic, because nothing
//! that happens after it can be trusted; its message names the rule, the host, the time, the seed
//! and a way to run it again.

use crate::host::HostId;
use std::fmt;
use std::net::SocketAddr;
use tripline_sansio::Instant;

/// The rules that a host checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Rule 1: after a full drain there is nothing left to drain.
    Drained,
    /// Rule 3: after a full drain the deadline lies in the future.
    Deadline,
    /// Rule 5: firing at the deadline makes progress.
    Progress,
    /// Rule 7, as far as one look shows it: `poll_timeout` twice is the same.
    Repeatable,
    /// Rule 8: every call does bounded work, and so does a drain.
    Bounded,
    /// What `Transmit` says is what was appended.
    Transmit,
    /// `poll_write` appends, says whether it did, and for a pipe that there is.
    Write,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Drained => {
                "rule 1 (a drain takes everything, and nothing is appended without a Transmit)"
            }
            Self::Deadline => "rule 3 (after a full drain the deadline lies in the future)",
            Self::Progress => "rule 5 (firing at the deadline makes progress)",
            Self::Repeatable => "rule 7 (the same question has the same answer)",
            Self::Bounded => "rule 8 (work is bounded)",
            Self::Transmit => "the rule that a Transmit describes the bytes appended",
            Self::Write => "the rule that poll_write appends to its pipe's bytes and says so",
        })
    }
}

/// What a message needs to know of the run.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    /// The world's seed.
    pub(crate) seed: u64,
    /// The command that runs it again, if somebody said one.
    pub(crate) rerun: Option<String>,
}

impl Report {
    /// Panics: the machine of `host` has broken `rule`.
    #[cold]
    pub(crate) fn violated(
        &self,
        rule: Rule,
        (host, address): (HostId, SocketAddr),
        now: Instant,
        what: fmt::Arguments<'_>,
    ) -> ! {
        panic!(
            "run-loop contract broken: {rule}, by {host} ({address}) at {now:?}: {what}; seed {}, \
             rerun: {}",
            self.seed,
            self.rerun()
        );
    }

    /// How to run it again: as was said, or else the test that is running.
    pub(crate) fn rerun(&self) -> String {
        if let Some(rerun) = &self.rerun {
            return rerun.clone();
        }
        let seed = self.seed;
        // The standard test harness names a test's thread after the test.
        match std::thread::current().name() {
            Some(name) if name != "main" => format!("cargo test {name}, with World::new({seed})"),
            _ => format!("the same calls on World::new({seed})"),
        }
    }
}
