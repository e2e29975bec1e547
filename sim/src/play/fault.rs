//! What judges say: nothing, or what is wrong.

/// A promise that was not kept: whose finding it is, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// See [`Failure::oracle`](super::Failure::oracle).
    pub(super) oracle: &'static str,
    /// In a line.
    pub(super) what: String,
}

/// Nothing, or a fault.
pub(super) type Verdict<T = ()> = Result<T, Fault>;

impl Fault {
    pub(super) const fn new(oracle: &'static str, what: String) -> Self {
        Self { oracle, what }
    }

    /// The same, said of something in particular.
    pub(super) fn about(self, whom: impl std::fmt::Display) -> Self {
        Self { what: format!("{whom}: {}", self.what), ..self }
    }
}

/// A fault unless `kept`.
pub(super) fn ensure(kept: bool, oracle: &'static str, what: impl FnOnce() -> String) -> Verdict {
    if kept { Ok(()) } else { Err(Fault::new(oracle, what())) }
}
