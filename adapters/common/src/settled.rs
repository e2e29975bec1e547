//! What became of the messages of a stream.

use tripline::Fate;

/// What became of the messages that were handed to a stream so far (row T30).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settled {
    /// The peer has them.
    pub acked: u64,
    /// Unreliable ones that were handed over to the network.
    pub sent: u64,
    /// Given up by their own limits.
    pub expired: u64,
    /// Not acknowledged when the stream or the connection ended.
    pub undelivered: u64,
}

impl Settled {
    /// All of them together.
    pub fn total(&self) -> u64 {
        self.acked + self.sent + self.expired + self.undelivered
    }

    /// One more had this fate.
    pub fn count(&mut self, fate: Fate) {
        *match fate {
            Fate::Acked => &mut self.acked,
            Fate::Sent => &mut self.sent,
            Fate::Expired => &mut self.expired,
            Fate::Undelivered => &mut self.undelivered,
        } += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// T30: each fate has a counter of its own.
    #[test]
    fn t30_each_fate_is_counted_once() {
        let mut settled = Settled::default();
        for fate in [Fate::Acked, Fate::Sent, Fate::Expired, Fate::Undelivered, Fate::Acked] {
            settled.count(fate);
        }
        let Settled { acked, sent, expired, undelivered } = settled;
        assert_eq!((acked, sent, expired, undelivered, settled.total()), (2, 1, 1, 1, 5));
    }
}
