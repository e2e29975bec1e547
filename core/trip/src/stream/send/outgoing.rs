//! One place in the queue of a sending half: a message, or a run of small ones.
//!
//! In go how much of it was sent and what became of that; out come fates, and bytes to write. It
//! knows its offsets once it is begun, and nothing of its neighbours.

use super::Reliability;
use super::run::Run;
use crate::event::Fate;
use crate::fates::{FateRun, Fates};
use crate::handle::MessageToken;
use alloc::vec::Vec;
use bytes::Bytes;
use core::ops::Range;
use tripline_sansio::codec::{Writer, varint_len};

/// What a message in the queue is up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Not settled: waiting, or on its way.
    Live,
    /// Given up after it was begun: its range is skipped, which the peer has yet to acknowledge.
    GivenUp,
    /// Nothing more to do; leaves when it comes to the front.
    Settled,
}

/// What is to be sent.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// A message, or a chunk of a byte stream.
    One(Bytes),
    /// Small messages.
    Run(Run),
}

impl Content {
    /// How many bytes are held: of a run with the lengths.
    pub(super) fn len(&self) -> u64 {
        len64(self.bytes())
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::One(data) => data,
            Self::Run(run) => run.wire(),
        }
    }
}

/// A message, a chunk of a byte stream, or a run of small messages on its way.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    /// Of the first message.
    pub(super) token: MessageToken,
    pub(super) content: Content,
    /// Bytes of the length prefix in front of the data; 0 in a byte stream, and in a run, which
    /// holds them.
    pub(super) prefix: u8,
    /// Length prefix and data together; cut to `sent` when given up half-way.
    pub(super) size: u64,
    /// The offset of the first byte; `u64::MAX` until it is begun, so that the queue is sorted by
    /// it.
    pub(super) start: u64,
    /// How much of `size` has been sent at least once.
    pub(super) sent: u64,
    pub(super) reliability: Reliability,
    pub(super) state: State,
    /// What follows may be copied behind it.
    pub(super) joins: bool,
}

impl Outgoing {
    pub(super) const UNBEGUN: u64 = u64::MAX;

    pub(super) fn is_begun(&self) -> bool {
        self.start != Self::UNBEGUN
    }

    pub(super) fn is_all_sent(&self) -> bool {
        self.sent == self.size
    }

    pub(super) fn unsent(&self) -> u64 {
        self.size.saturating_sub(self.sent)
    }

    /// What has yet to be sent of the message that was begun last, if it is cut.
    pub(super) fn rest(&self) -> u64 {
        match &self.content {
            Content::Run(run) => run.rest(self.sent),
            Content::One(_) if self.is_begun() => self.unsent(),
            Content::One(_) => 0,
        }
    }

    /// Whether what was sent of it may be sent again: what is unreliable was let go of.
    pub(super) fn may_go_again(&self) -> bool {
        let let_go = self.reliability == Reliability::Unreliable && self.is_all_sent();
        self.state == State::Live && !let_go
    }

    /// The offsets that were sent.
    pub(super) fn range(&self) -> Range<u64> {
        self.start..self.start.saturating_add(self.sent)
    }

    /// Whether a small message with this token may be copied behind it.
    pub(super) fn is_followed_by(&self, token: MessageToken) -> bool {
        let count = match &self.content {
            Content::One(_) => 1,
            Content::Run(run) => u64::from(run.count()),
        };
        self.joins
            && !self.is_begun()
            && self.state == State::Live
            && self.token.0.saturating_add(count) == token.0
    }

    /// Tells the same fate of all its messages, but those of which another was told, and lets go of
    /// them. Returns how many bytes of messages those held.
    pub(super) fn tell_all(&mut self, fate: Fate, fates: &mut Fates) -> u64 {
        match &mut self.content {
            Content::Run(_) => self.tell_below(u64::MAX, fate, fates),
            Content::One(data) => {
                let held = len64(data);
                data.clear();
                if self.reliability != Reliability::Unreliable || !self.is_all_sent() {
                    fates.push(self.token, fate);
                }
                held
            }
        }
    }

    /// Tells the fate of the messages of a run that end at or below `upto`, counted from its start.
    /// Returns how many bytes those held.
    pub(super) fn tell_below(&mut self, upto: u64, fate: Fate, fates: &mut Fates) -> u64 {
        let Content::Run(run) = &mut self.content else { return 0 };
        let before = u64::from(run.told());
        let (count, bytes) = run.tell_below(upto);
        let first = MessageToken(self.token.0.saturating_add(before));
        fates.push_run(FateRun { first, count, fate });
        bytes
    }

    /// Lets go of an unreliable message that is all sent. Returns how many bytes it held.
    pub(super) fn let_go(&mut self, fates: &mut Fates) -> u64 {
        let Content::One(data) = &mut self.content else { return 0 };
        let held = len64(data);
        data.clear();
        fates.push(self.token, Fate::Sent);
        held
    }

    /// What a run that was not begun is in single messages, if one of them is longer than `limit`.
    pub(super) fn taken_apart(&self, limit: u64) -> Option<Vec<Self>> {
        let Content::Run(run) = &self.content else { return None };
        if self.is_begun() || run.messages().all(|message| len64(message) <= limit) {
            return None;
        }
        let one = |(token, message): (u64, &[u8])| {
            let len = len64(message);
            let prefix = u8::try_from(varint_len(len)).unwrap_or(8);
            Self {
                token: MessageToken(token),
                content: Content::One(Bytes::copy_from_slice(message)),
                prefix,
                size: len.saturating_add(u64::from(prefix)),
                ..*self
            }
        };
        Some((self.token.0..).zip(run.messages()).map(one).collect())
    }

    /// Drops a message that has not been begun and is larger than the peer takes. Returns how many
    /// bytes that held.
    pub(super) fn drop_larger(&mut self, limit: u64, fates: &mut Fates) -> u64 {
        let too_large = matches!(&self.content, Content::One(data) if len64(data) > limit);
        if !too_large {
            return 0;
        }
        let held = self.tell_all(Fate::Undelivered, fates);
        self.size = 0;
        self.state = State::Settled;
        held
    }

    /// Appends the bytes at `range` of it: a length prefix, then data.
    pub(super) fn write(&self, out: &mut Vec<u8>, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let prefix = u64::from(self.prefix);
        let mut from = range.start;
        if from < prefix {
            // A cut never falls into the prefix, so it is always written whole.
            Writer::new(out).varint(self.content.len());
            from = prefix;
        }
        let from = usize::try_from(from.saturating_sub(prefix)).unwrap_or(usize::MAX);
        let upto = usize::try_from(range.end.saturating_sub(prefix)).unwrap_or(usize::MAX);
        if let Some(bytes) = self.content.bytes().get(from..upto) {
            out.extend_from_slice(bytes);
        }
    }
}

fn len64(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
