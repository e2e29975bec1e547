//! Where findings go: violations, of which the first ones are kept, and marks.

use super::violation::{VIOLATIONS_MAX, Violation};
use crate::host::HostId;
use crate::marks::{Mark, Marks};
use std::fmt;
use tripline_sansio::Instant;

/// What was found so far, and the time.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// The time of what is looked at.
    pub(super) now: Instant,
    pub(super) marks: Marks,
    violations: Vec<Violation>,
    /// How many there were, those included that are not kept.
    pub(super) total: u64,
}

impl Report {
    /// Somebody broke a rule.
    #[cold]
    pub(super) fn blame(
        &mut self,
        invariant: &'static str,
        host: Option<HostId>,
        text: fmt::Arguments<'_>,
    ) {
        self.total += 1;
        if self.violations.len() < VIOLATIONS_MAX {
            let text = text.to_string();
            self.violations.push(Violation { invariant, at: self.now, host, text });
        }
    }

    /// Something rare was met.
    pub(super) const fn hit(&mut self, mark: Mark) {
        self.marks.hit(mark);
    }

    /// The same if a condition holds.
    pub(super) const fn hit_if(&mut self, condition: bool, mark: Mark) {
        if condition {
            self.marks.hit(mark);
        }
    }

    pub(super) fn violations(&self) -> &[Violation] {
        &self.violations
    }

    pub(super) fn take(&mut self) -> Vec<Violation> {
        std::mem::take(&mut self.violations)
    }
}
