//! Plain mode, for test links (feature `plain`): what a side is ready to do without.
//!
//! Four switches go into the configuration. What follows from them is decided in `endpoint::plain`
//! and computed in `crypto::plain`. What stays in every mode: IDs, keys, packet numbers and tags,
//! so packets of another connection are refused, and changed ones (row T59).

/// The four switches of plain mode (row T58). All are off unless the user says otherwise.
///
/// Each has an effect only if the other side has switched it on as well, and is told by
/// [`Event::Unsafe`](crate::Event::Unsafe) where it has. A connection that either side wants
/// protected is protected, or does not come about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plain {
    /// Prove no identity, even if one is demanded. A client opens by NK where it would by IK, to
    /// private servers too (one that does not know the server's key and asks for it proves its own
    /// all the same); for NN both sides need it.
    pub unsigned_out: bool,
    /// Let a peer in that proves no identity where one is demanded: on a private server those who
    /// open by NK and have switched `unsigned_out` on; for NN both sides need it.
    pub unsigned_in: bool,
    /// Open by NN, in which nobody proves anything. A client does so in place of asking for the
    /// server's key (XX), if it was given none; a server lets it in. Needs `unsigned_out` and
    /// `unsigned_in` too.
    pub plain_open: bool,
    /// Do not encrypt DATA. It is still authenticated, by the keys of a handshake that is encrypted
    /// as ever.
    pub plain_traffic: bool,
}

impl Plain {
    /// Everything switched off that can be.
    pub const ALL: Self =
        Self { unsigned_out: true, unsigned_in: true, plain_open: true, plain_traffic: true };

    /// Whether this side may prove nothing to a peer that proves nothing (R-PLAIN-4).
    pub(crate) const fn is_unsigned(self) -> bool {
        self.unsigned_out && self.unsigned_in
    }
}
