//! Who has shown a server that he is where he says: the tokens of RETRY, and where each was given.
//!
//! A server that demands a token of everybody answers no OPEN but one that brought a token from the
//! address to which that token went (R-HAND-3a, R-RETRY-2). In go RETRYs, OPENs and CHALLENGEs of
//! such servers, out comes who was let in on a token of somebody else's. Servers that demand tokens
//! only in a crowd are not judged: how large the crowd is does not show outside.

use super::report::Report;
use crate::digest;
use crate::host::HostId;
use crate::marks::Mark;
use std::collections::BTreeSet;
use std::net::SocketAddr;

/// So many tokens and proofs are remembered; who needs more is judged no longer.
const KEPT_MAX: usize = 1 << 17;

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct Proofs {
    /// Who demands a token of everybody.
    strict: Vec<HostId>,
    /// Tokens: who gave them to which address for which attempt.
    given: BTreeSet<u64>,
    /// Attempts that brought one of these from where it was given, and to whom.
    shown: BTreeSet<(usize, u64)>,
    /// There was no room for one of them.
    is_full: bool,
}

impl Proofs {
    /// A host demands a token of everybody, all the time.
    pub(super) fn demand(&mut self, host: HostId) {
        self.strict.push(host);
    }

    /// A RETRY is sent to an address, for the attempt with this ID.
    pub(super) fn on_retry(&mut self, host: HostId, id: u64, token: &[u8], to: SocketAddr) {
        if !self.is_full && self.strict.contains(&host) {
            self.given.insert(name(host, id, token, to));
            self.is_full |= self.given.len() > KEPT_MAX;
            self.bound();
        }
    }

    /// An OPEN of that attempt arrives from an address.
    pub(super) fn on_open(
        &mut self,
        report: &mut Report,
        host: HostId,
        (id, token): (u64, &[u8]),
        from: SocketAddr,
    ) {
        if self.is_full || token.is_empty() || !self.strict.contains(&host) {
            return;
        }
        let is_given = self.given.contains(&name(host, id, token, from));
        report.hit_if(!is_given, Mark::TokenElsewhere);
        if is_given {
            self.shown.insert((host.index(), id));
            self.is_full |= self.shown.len() > KEPT_MAX;
            self.bound();
        }
    }

    /// A new CHALLENGE is made for that attempt.
    pub(super) fn on_challenge(&self, report: &mut Report, host: HostId, id: u64) {
        let is_judged = !self.is_full && self.strict.contains(&host);
        if is_judged && !self.shown.contains(&(host.index(), id)) {
            let what =
                format_args!("a CHALLENGE without a token from where it was given (R-RETRY-2)");
            report.blame("I4", Some(host), what);
        }
    }

    /// What is no longer of use is not kept.
    fn bound(&mut self) {
        if self.is_full {
            self.given.clear();
            self.shown.clear();
        }
    }
}

/// A token by all that it depends on.
fn name(host: HostId, id: u64, token: &[u8], address: SocketAddr) -> u64 {
    digest(format!("{} {id} {address} {token:?}", host.index()).as_bytes())
}
