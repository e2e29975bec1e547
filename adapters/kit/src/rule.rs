//! What a loop owes its machine, rule by rule, and what is said when it breaks one.

use std::fmt;
use tripline_sansio::Instant;

/// The rules that the suite checks. Each is played by a scene of its own; what goes wrong in a
/// scene is reported under the rule that was broken, whichever scene it was.
///
/// The numbers are those of the run loop on the page of [`tripline_sansio`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Rule {
    /// Rule 1: after each call, and at the very start, the loop takes all that the machine has to
    /// send, and only then its events; what was taken goes out at once and in order.
    Order,
    /// Rule 1: events are given out in the order in which they happened, each once, and none waits
    /// while the loop sleeps.
    Events,
    /// Rule 2: the machine is told a time that neither goes back nor is older than the moment at
    /// which the loop woke; and the clock is read a bounded number of times.
    Clock,
    /// Rules 3 to 5: the loop sleeps to exactly the deadline that the machine has after the drain,
    /// and tells the time then.
    Deadline,
    /// Rule 1: a full socket loses nothing, doubles nothing and turns nothing round; the loop goes
    /// on receiving and telling the time meanwhile, waits for room and does not spin.
    Room,
    /// What the system refuses is not tried again; that it was too large is told to the machine.
    Refusal,
    /// All that came in is handed in, as it came, before the loop sleeps; also where readiness is
    /// told once only.
    Batches,
    /// Rule 8: neither a flood nor a machine that always has something to send keeps the loop from
    /// its other duties.
    Bounded,
    /// A wake from outside is neither lost nor late.
    Wake,
    /// Rule 8, T18: an idle loop does nothing at all, and never spins.
    Idle,
    /// Rule 6: waking early or for nothing is harmless.
    Early,
    /// Rule 7: two endpoints of the transport say the same bytes at the same times as in every
    /// other loop.
    Trace,
}

impl Rule {
    /// All of them, in the order in which they are best read.
    pub const ALL: [Self; 12] = [
        Self::Order,
        Self::Events,
        Self::Clock,
        Self::Deadline,
        Self::Room,
        Self::Refusal,
        Self::Batches,
        Self::Bounded,
        Self::Wake,
        Self::Idle,
        Self::Early,
        Self::Trace,
    ];
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Order => "rule 1 (a call, then all transmits, then events, then the deadline)",
            Self::Events => "rule 1 (every event is given out once, in order, before a sleep)",
            Self::Clock => "rule 2 (the time is the present one and never goes back)",
            Self::Deadline => "rules 3 to 5 (sleep to exactly the deadline, then tell the time)",
            Self::Room => "rule 1 (a full socket costs latency and nothing else)",
            Self::Refusal => "refusals (never tried again; too large is told to the machine)",
            Self::Batches => "batches (all that came in is handed in before a sleep)",
            Self::Bounded => "rule 8 (a turn is bounded work)",
            Self::Wake => "wakes (none is lost)",
            Self::Idle => "rule 8 (an idle loop does nothing)",
            Self::Early => "rule 6 (waking early is harmless)",
            Self::Trace => "rule 7 (the same bytes at the same times)",
        })
    }
}

/// How a loop broke a rule.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Broken {
    /// The rule that was broken.
    pub rule: Rule,
    /// The scene in which it was: the one of this rule.
    pub scene: Rule,
    /// When, in the scene's time.
    pub at: Instant,
    /// What happened.
    pub what: String,
    /// The last things that happened before, oldest first, one a line.
    pub trace: Vec<String>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "this loop breaks {}", self.rule)?;
        writeln!(f, "at {:?}, in the scene {:?}: {}", self.at, self.scene, self.what)?;
        writeln!(f, "what happened before:")?;
        self.trace.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

impl std::error::Error for Broken {}
