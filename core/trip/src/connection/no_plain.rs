//! What a connection does without where plain mode is not built in: nothing.

use crate::event::Unsafe;
use crate::events::Events;
use crate::handle::ConnectionHandle;

/// No switch of plain mode is in use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InUse;

impl InUse {
    /// The one value.
    pub(crate) const NONE: Self = Self;

    /// There is nothing to warn of.
    pub(crate) fn tell(self, _: ConnectionHandle, _: &mut Events) {}

    /// None of them.
    pub(crate) fn all(self) -> impl Iterator<Item = Unsafe> {
        core::iter::empty()
    }
}
