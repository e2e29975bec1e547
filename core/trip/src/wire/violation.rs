//! A rule of the protocol that the peer broke.

use super::Code;

/// Which rule was broken: the code that goes over the wire, and a text that stays here.
///
/// The text is not sent: a peer that tries things out learns no more than the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// What the peer is told.
    pub(crate) code: Code,
    /// What the user is told.
    pub(crate) reason: &'static str,
}

impl Violation {
    pub(crate) const fn new(code: Code, reason: &'static str) -> Self {
        Self { code, reason }
    }
}
