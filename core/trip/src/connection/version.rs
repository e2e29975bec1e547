//! What a VERSION hint may make a client do, and the check that nobody talked it down
//! (R-VERS-1, R-VERS-2).
//!
//! In come hints and OPENs that go out; out comes the wish for an attempt with the suite that every
//! server takes. A hint is never believed: it costs one more OPEN without an answer first, and in
//! the end the server names its versions under the tag.
#![deny(clippy::arithmetic_side_effects)]

use crate::wire::{PROTOCOL_VERSION, Parameters, Versions};

/// The versions that this side speaks.
pub(crate) const SPOKEN: [u32; 1] = [PROTOCOL_VERSION];

/// What a server announces: its limits, and the versions that it speaks (R-VERS-1).
pub(crate) fn naming_versions(parameters: Parameters) -> Parameters {
    Parameters { versions: Versions::new(&SPOKEN).unwrap_or(Versions::NONE), ..parameters }
}

/// Whether both sides speak a higher version than the one in use.
pub(super) fn speak_higher(used: u32, ours: &[u32], theirs: &[u32]) -> bool {
    ours.iter().any(|version| *version > used && theirs.contains(version))
}

/// Whether, and when, an attempt steps down.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StepDown {
    /// How many OPENs had gone out when the first hint came.
    hinted_after: Option<u32>,
}

impl StepDown {
    /// VERSION said *suite*, after so many OPENs.
    pub(super) fn on_hint(&mut self, sent: u32) {
        self.hinted_after.get_or_insert(sent);
    }

    /// Whether there was a hint.
    pub(super) fn is_hinted(&self) -> bool {
        self.hinted_after.is_some()
    }

    /// Whether, as the next OPEN is due after so many, the wait is over: one more went out since
    /// the hint and got no answer.
    pub(super) fn is_due(&self, sent: u32) -> bool {
        self.hinted_after.is_some_and(|hinted| sent > hinted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R-VERS-1: a higher version counts if both speak it, and no other.
    #[test]
    fn r_vers_1_only_a_higher_version_of_both_counts() {
        for (used, ours, theirs, expected) in [
            (1, &[1][..], &[1][..], false),
            (1, &[1], &[1, 2, 3], false),
            (1, &[1, 2], &[1], false),
            (1, &[1, 2], &[], false),
            (1, &[1, 2], &[2, 1], true),
            (2, &[1, 2], &[2, 1], false),
            (1, &[1, 3], &[2, 1], false),
            (1, &[3, 1], &[3], true),
        ] {
            assert_eq!(speak_higher(used, ours, theirs), expected, "{used} {ours:?} {theirs:?}");
        }
        let named = naming_versions(Parameters::default());
        assert_eq!(named.versions.as_slice(), SPOKEN);
    }

    /// R-VERS-2: not with the hint, nor with the OPEN after it, but with the next.
    #[test]
    fn r_vers_2_one_more_open_first() {
        let mut step = StepDown::default();
        assert!(!step.is_due(9));
        step.on_hint(2);
        step.on_hint(5);
        assert_eq!([1, 2, 3, 4].map(|sent| step.is_due(sent)), [false, false, true, true]);
    }
}
