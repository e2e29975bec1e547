//! Why there is no ring to be had.

use std::fmt;
use std::io;

/// The kernel, or a policy over it, does not give us what a link needs.
#[derive(Debug)]
pub struct Unavailable {
    step: &'static str,
    source: io::Error,
}

impl Unavailable {
    pub(crate) fn new(step: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { step, source }
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { step, source } = self;
        write!(f, "io_uring is not to be had here ({step}: {source}); the ordinary loop works")
    }
}

impl std::error::Error for Unavailable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

impl From<Unavailable> for io::Error {
    fn from(error: Unavailable) -> Self {
        Self::new(io::ErrorKind::Unsupported, error)
    }
}
