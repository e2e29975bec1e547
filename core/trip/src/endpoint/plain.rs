//! Who may do without what: the four switches of plain mode (feature `plain`, PROTOCOL.md §2.2).
//!
//! In go suites and payloads of handshakes, out come decisions, and the choice of a client's own
//! suite. Each switch has to be on on both sides; the suite byte and one feature bit tell the
//! server what the client has switched on. Nothing is computed or sent here.

use super::Endpoint;
use crate::config::Access;
use crate::connection::InUse;
use crate::crypto::{Pattern, Suite};
use crate::wire::{Code, OpenPayload, Parameters};

/// Bit 1 of parameter 10: the client proves no identity on purpose (R-PLAIN-3).
const UNSIGNED: u64 = 1 << 1;

impl Endpoint {
    /// R-PLAIN-2: whether a server takes a suite as far as its switches go. To one it does not take
    /// it answers as to an unknown one.
    pub(super) fn takes_plain(&self, suite: Suite) -> bool {
        let plain = self.config.plain;
        (suite.pattern != Pattern::Nn || plain.plain_open)
            && (!suite.is_readable() || plain.plain_traffic)
    }

    /// R-PLAIN-3: whether a private server lets in a client that proved no identity.
    pub(super) fn lets_in_unsigned(&self, suite: Suite, payload: &[u8]) -> bool {
        self.config.plain.unsigned_in
            && match suite.pattern {
                Pattern::Nn => true,
                Pattern::Nk => OpenPayload::parse(payload)
                    .is_ok_and(|open| open.parameters.features & UNSIGNED != 0),
                Pattern::Ik | Pattern::Xx => false,
            }
    }

    /// R-PLAIN-4: whether what a client asks for in NN may be; else how it is refused.
    pub(super) fn allows_plain(
        &self,
        suite: Suite,
        parameters: &Parameters,
    ) -> Result<(), (Code, &'static str)> {
        if suite.pattern != Pattern::Nn {
            return Ok(());
        }
        if !self.config.plain.is_unsigned() {
            return Err((Code::UNSAFE, "plain open without unsigned out and in"));
        }
        if parameters.reset_token.is_some() {
            return Err((Code::PARAMETER, "a reset token that anyone could read"));
        }
        Ok(())
    }

    /// The suite by which a client opens, where it would by `suite` without switches.
    pub(super) fn plain_suite(&self, suite: Suite) -> Suite {
        let plain = self.config.plain;
        let pattern = match suite.pattern {
            Pattern::Ik if plain.unsigned_out => Pattern::Nk,
            Pattern::Xx if plain.plain_open && plain.is_unsigned() => Pattern::Nn,
            as_ever => as_ever,
        };
        let suite = Suite::new(suite.cipher, suite.psk, pattern);
        if plain.plain_traffic { suite.with_readable_data() } else { suite }
    }

    /// R-PLAIN-3: says in the parameters of a client's OPEN that it proves no identity on purpose.
    pub(super) fn announce_plain(&self, suite: Suite, parameters: Parameters) -> Parameters {
        let unsigned = self.config.plain.unsigned_out && suite.pattern == Pattern::Nk;
        let features = parameters.features | if unsigned { UNSIGNED } else { 0 };
        Parameters { features, ..parameters }
    }

    /// R-PLAIN-1: what a client's connection of this suite does without.
    pub(super) fn client_in_use(&self, suite: Suite) -> InUse {
        let by_choice = suite.pattern == Pattern::Nk && self.config.plain.unsigned_out;
        let in_use = of_suite(suite);
        InUse { unsigned_out: by_choice || in_use.unsigned_out, ..in_use }
    }

    /// R-PLAIN-1: what a server's connection of this suite does without.
    pub(super) fn server_in_use(&self, suite: Suite) -> InUse {
        let private =
            self.config.server.as_ref().is_some_and(|server| server.access != Access::Public);
        let on_the_list = !private || suite.pattern != Pattern::Nk;
        let in_use = of_suite(suite);
        InUse { unsigned_in: !on_the_list || in_use.unsigned_in, ..in_use }
    }
}

/// What a suite alone does without, on both sides.
fn of_suite(suite: Suite) -> InUse {
    let nobody = suite.pattern == Pattern::Nn;
    InUse {
        unsigned_out: nobody,
        unsigned_in: nobody,
        plain_open: nobody,
        plain_traffic: suite.is_readable(),
    }
}
