//! The handshake patterns as tables of tokens (Noise §7), and the sizes that follow from them.

use super::super::suite::{Pattern, Suite};
use super::KEY_LEN;
use crate::crypto::TAG_LEN;

/// One step of making or reading a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// The sender's ephemeral public key travels.
    E,
    /// The sender's static public key travels, sealed if there is a key yet.
    S,
    /// An exchange of both ephemerals.
    Ee,
    /// An exchange of the initiator's ephemeral and the responder's static key.
    Es,
    /// An exchange of the initiator's static and the responder's ephemeral key.
    Se,
    /// An exchange of both statics.
    Ss,
    /// The pre-shared key is mixed in.
    Psk,
}

use Token::{E, Ee, Es, Psk, S, Se, Ss};

/// The messages of a pattern; the initiator sends the first, then the sides take turns.
pub(super) const fn messages(pattern: Pattern) -> &'static [&'static [Token]] {
    match pattern {
        Pattern::Nn => &[&[E], &[E, Ee]],
        Pattern::Nk => &[&[E, Es], &[E, Ee]],
        Pattern::Ik => &[&[E, Es, S, Ss], &[E, Ee, Se]],
        Pattern::Xx => &[&[E], &[E, Ee, S, Es], &[S, Se]],
    }
}

/// The tokens of message `index` of a suite, or nothing if it has fewer messages.
///
/// psk2 in the patterns of two messages and psk3 in that of three mean the same: the pre-shared key
/// goes in at the end of the last one.
pub(super) fn tokens(suite: Suite, index: usize) -> Option<impl Iterator<Item = Token>> {
    let messages = messages(suite.pattern);
    let last = index.saturating_add(1) == messages.len();
    let message = messages.get(index)?;
    Some(message.iter().copied().chain((suite.psk && last).then_some(Psk)))
}

/// How many bytes message `index` has beyond its payload; `None` if the suite has fewer messages.
pub(super) fn overhead(suite: Suite, index: usize) -> Option<usize> {
    let mut size = 0;
    let mut keyed = false;
    for at in 0..=index {
        size = 0;
        for token in tokens(suite, at)? {
            match token {
                E => {
                    size = KEY_LEN.saturating_add(size);
                    keyed |= suite.psk;
                }
                S => size = sealed(KEY_LEN, keyed).saturating_add(size),
                Ee | Es | Se | Ss | Psk => keyed = true,
            }
        }
        size = sealed(size, keyed);
    }
    Some(size)
}

/// The size of `size` bytes once they are sealed, if they are.
fn sealed(size: usize, keyed: bool) -> usize {
    if keyed { size.saturating_add(TAG_LEN) } else { size }
}

/// Whether the initiator has to know the responder's static key beforehand (`<- s` in Noise).
pub(super) const fn remote_known(pattern: Pattern) -> bool {
    matches!(pattern, Pattern::Nk | Pattern::Ik)
}

/// Whether a side proves an identity, and so needs a static key.
pub(super) const fn needs_static(pattern: Pattern, initiator: bool) -> bool {
    match pattern {
        Pattern::Nn => false,
        Pattern::Nk => !initiator,
        Pattern::Ik | Pattern::Xx => true,
    }
}
