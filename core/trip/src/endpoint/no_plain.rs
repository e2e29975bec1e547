//! Who may do without what where plain mode is not built in: nobody (PROTOCOL.md §2.2).
//!
//! The same questions as in `plain`, with the one answer to each.

use super::Endpoint;
use crate::connection::InUse;
use crate::crypto::{Pattern, Suite};
use crate::wire::{Code, Parameters};

impl Endpoint {
    /// R-PLAIN-2: NN proves nobody's identity, and is as good as unknown.
    pub(super) fn takes_plain(&self, suite: Suite) -> bool {
        suite.pattern != Pattern::Nn
    }

    /// R-PLAIN-3: a private server lets nobody in that proved no identity.
    pub(super) fn lets_in_unsigned(&self, _: Suite, _: &[u8]) -> bool {
        false
    }

    /// R-PLAIN-4: whatever was taken so far is no NN.
    pub(super) fn allows_plain(
        &self,
        _: Suite,
        _: &Parameters,
    ) -> Result<(), (Code, &'static str)> {
        Ok(())
    }

    /// A client's suite is as it was chosen.
    pub(super) fn plain_suite(&self, suite: Suite) -> Suite {
        suite
    }

    /// There is nothing to announce.
    pub(super) fn announce_plain(&self, _: Suite, parameters: Parameters) -> Parameters {
        parameters
    }

    /// R-PLAIN-1: a client's connection has all protection.
    pub(super) fn client_in_use(&self, _: Suite) -> InUse {
        InUse
    }

    /// R-PLAIN-1: a server's connection has all protection.
    pub(super) fn server_in_use(&self, _: Suite) -> InUse {
        InUse
    }
}
