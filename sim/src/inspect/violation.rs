//! What the inspector has to say about somebody.

use crate::host::HostId;
use std::fmt;
use tripline_sansio::Instant;

/// Violations that are kept; later ones are only counted.
pub const VIOLATIONS_MAX: usize = 64;

/// A rule was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The invariant, such as `"I10"`.
    pub invariant: &'static str,
    /// When it was seen.
    pub at: Instant,
    /// Who broke it, if that is known.
    pub host: Option<HostId>,
    /// What happened, with the requirement of PROTOCOL.md where there is one.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { invariant, at, host, text } = self;
        match host {
            Some(host) => write!(f, "{invariant}: {host} at {at:?}: {text}"),
            None => write!(f, "{invariant}: at {at:?}: {text}"),
        }
    }
}
