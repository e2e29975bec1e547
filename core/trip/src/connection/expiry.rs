//! Messages that expire, by time (row T31).
#![deny(clippy::arithmetic_side_effects)]

use super::streams::StreamKey;
use crate::handle::MessageToken;
use alloc::collections::BTreeMap;
use tripline_sansio::Instant;

/// When which message is given up. Holds no message whose fate was told.
#[derive(Clone, Debug, Default)]
pub(super) struct Expiry {
    by_time: BTreeMap<(Instant, MessageToken), StreamKey>,
    by_token: BTreeMap<MessageToken, Instant>,
}

impl Expiry {
    /// A message of the stream `key` is given up `at` this time, unless its fate is told before.
    pub(super) fn insert(&mut self, at: Instant, token: MessageToken, key: StreamKey) {
        self.by_time.insert((at, token), key);
        self.by_token.insert(token, at);
    }

    /// Whether no message has a time.
    pub(super) fn is_empty(&self) -> bool {
        self.by_token.is_empty()
    }

    /// The fate of a message was told.
    pub(super) fn remove(&mut self, token: MessageToken) {
        if let Some(at) = self.by_token.remove(&token) {
            self.by_time.remove(&(at, token));
        }
    }

    /// The earliest time.
    pub(super) fn next(&self) -> Option<Instant> {
        self.by_time.keys().next().map(|(at, _)| *at)
    }

    /// Takes out a message whose time has come.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<(MessageToken, StreamKey)> {
        let first = self.by_time.first_entry().filter(|entry| entry.key().0 <= now)?;
        let ((_, token), key) = first.remove_entry();
        self.by_token.remove(&token);
        Some((token, key))
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fate that was told takes its time along: nothing stays behind.
    #[test]
    fn a_message_whose_fate_was_told_is_forgotten() {
        let key = StreamKey { slot: 0, generation: 0 };
        let (at, mut expiry) = (Instant::from_nanos, Expiry::default());
        for number in 0..10 {
            expiry.insert(at(100 - number), MessageToken(number), key);
        }
        (0..9).for_each(|number| expiry.remove(MessageToken(number)));
        assert_eq!(expiry.next(), Some(at(91)));
        assert_eq!(expiry.pop_due(at(90)), None);
        assert_eq!(expiry.pop_due(at(91)), Some((MessageToken(9), key)));
        assert!(expiry.by_time.is_empty() && expiry.by_token.is_empty());
    }
}
