//! What one side has sent, what of it is known to it to have arrived, and what has come to it: the
//! ledger that the figures an engine tells of itself are held against (I9, I25).
//!
//! In go packets as they are sent, numbers as they are acknowledged, and packets as they verify;
//! out comes a [`Ledger`]. No engine is asked. What counts for congestion control shows on the
//! wire but for packets of PING, PONG and PADDING alone: aside from the path in use they do not
//! count, on it they do. Those are kept apart, as doubtful.

use std::ops::{AddAssign, Sub};

/// How a packet counts for congestion control, as far as it shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Weight {
    /// Not at all: ACKs, DISCONNECT.
    #[default]
    None,
    /// Perhaps.
    Doubtful,
    /// It does.
    Full,
}

/// Packets and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
}

impl Sub for Sum {
    type Output = Self;
    fn sub(self, before: Self) -> Self {
        Self { packets: self.packets - before.packets, bytes: self.bytes - before.bytes }
    }
}

impl AddAssign<u64> for Sum {
    /// One more packet, of so many bytes.
    fn add_assign(&mut self, bytes: u64) {
        self.packets += 1;
        self.bytes += bytes;
    }
}

impl Sum {
    /// One packet less. What was never added takes nothing away.
    const fn take(&mut self, bytes: u64) {
        self.packets = self.packets.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// What is known of one side from outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    /// DATA sent.
    pub(crate) sent: Sum,
    /// DATA of the peer that verified here, copies apart.
    pub(crate) came: Sum,
    /// Of what was sent and is not known to be acknowledged: what counts for congestion control.
    pub(crate) open: Sum,
    /// The same of what perhaps counts.
    pub(crate) doubtful: Sum,
    /// Packets of any kind that are not known to be acknowledged.
    pub(crate) unacked: u64,
    /// Packets that count, known to be acknowledged.
    pub(crate) acked: u64,
    /// STREAM frames that carry bytes that had been sent before.
    pub(crate) repeats: u64,
    /// The zone in which it sends.
    pub(crate) zone: u64,
    /// The size of its largest packet.
    pub(crate) largest: u64,
    /// What the peer's credit for the connection still allows; `None`: nobody can say.
    pub(crate) credit: Option<u64>,
    /// The most CE marks that an ACK has told it of.
    pub(crate) ce: u64,
    /// The last that happened to it is that it sent payload, just now.
    pub(crate) has_just_sent: bool,
}

/// The ledger under way. See the head of this file.
#[derive(Debug, Default)]
pub(super) struct Books {
    pub(super) ledger: Ledger,
    /// After how many events it last sent payload, sent anything that may count, and heard.
    payload_at: u64,
    sent_at: u64,
    heard_at: u64,
}

impl Books {
    /// A packet of `bytes` is sent, as event number `event`.
    pub(super) fn on_sent(&mut self, bytes: u64, weight: Weight, has_payload: bool, event: u64) {
        self.ledger.sent += bytes;
        self.ledger.unacked += 1;
        self.ledger.largest = self.ledger.largest.max(bytes);
        match weight {
            Weight::None => return,
            Weight::Doubtful => self.ledger.doubtful += bytes,
            Weight::Full => self.ledger.open += bytes,
        }
        self.sent_at = event;
        if has_payload {
            self.payload_at = event;
        }
    }

    /// One of its packets is known to it to be acknowledged, which it was not before.
    pub(super) const fn on_acked(&mut self, bytes: u64, weight: Weight) {
        self.ledger.unacked = self.ledger.unacked.saturating_sub(1);
        match weight {
            Weight::None => {}
            Weight::Doubtful => self.ledger.doubtful.take(bytes),
            Weight::Full => {
                self.ledger.open.take(bytes);
                self.ledger.acked += 1;
            }
        }
    }

    /// A packet of the peer verified here, for the first time, after so many events.
    pub(super) fn on_came(&mut self, bytes: u64, event: u64) {
        self.ledger.came += bytes;
        self.heard_at = event;
    }

    /// A packet that had come before, or that is of no use, may have had its effect.
    pub(super) const fn on_heard(&mut self, event: u64) {
        self.heard_at = event;
    }

    /// Whether payload was sent as this event.
    pub(super) const fn sent_payload_at(&self, event: u64) -> bool {
        self.payload_at == event
    }

    /// The ledger as it is; `is_now` if the time is that of its last packet.
    pub(super) const fn ledger(&self, is_now: bool) -> Ledger {
        let is_last = self.payload_at == self.sent_at && self.payload_at > self.heard_at;
        Ledger { has_just_sent: is_now && is_last, ..self.ledger }
    }
}
