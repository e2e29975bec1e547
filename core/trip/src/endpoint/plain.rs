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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Plain};
    use tripline_sansio::{Instant, Seed};

    fn endpoint(plain: Plain) -> Endpoint {
        let config = Config { plain, ..Config::client() };
        Endpoint::new(config, &Seed::from_number(1), Instant::ZERO)
    }

    fn suites() -> impl Iterator<Item = Suite> {
        (0..=u8::MAX).filter_map(Suite::from_byte)
    }

    /// R-PLAIN-2: of the 24 suites a server without switches takes those that are neither NN nor
    /// readable, and each switch adds its own.
    #[test]
    fn r_plain_2_switches_decide_on_suites() {
        for (open, traffic) in [(false, false), (true, false), (false, true), (true, true)] {
            let plain = Plain { plain_open: open, plain_traffic: traffic, ..Plain::default() };
            let endpoint = endpoint(plain);
            for suite in suites() {
                let byte = suite.to_byte();
                let takes = (byte & 0b11 != 0 || open) && (byte < 16 || traffic);
                assert_eq!(endpoint.takes_plain(suite), takes, "{suite} {plain:?}");
            }
        }
    }

    /// R-PLAIN-4: a reset token in NN's payload 1 could be read by anyone, so it is refused (7);
    /// in the other patterns it may be there.
    #[test]
    fn r_plain_4_no_reset_token_in_nn() {
        let endpoint = endpoint(Plain::ALL);
        let token = Parameters { reset_token: Some([7; 16]), ..Parameters::default() };
        for suite in suites() {
            let allowed = endpoint.allows_plain(suite, &token).map_err(|(code, _)| code);
            let nn = suite.pattern == Pattern::Nn;
            assert_eq!(allowed, if nn { Err(Code::PARAMETER) } else { Ok(()) }, "{suite}");
            assert_eq!(endpoint.allows_plain(suite, &Parameters::default()), Ok(()));
        }
    }

    /// R-PLAIN-3: only who opens by NK announces it, and only with the switch on; what else is
    /// announced stays.
    #[test]
    fn r_plain_3_the_announcement_is_one_bit() {
        for suite in suites() {
            let as_ever = Parameters { features: 1, ..Parameters::default() };
            assert_eq!(endpoint(Plain::default()).announce_plain(suite, as_ever), as_ever);
            let features = endpoint(Plain::ALL).announce_plain(suite, as_ever).features;
            let nk = suite.pattern == Pattern::Nk;
            assert_eq!(features, if nk { 3 } else { 1 }, "{suite}");
        }
    }
}
