//! The connection-wide credit that the peer granted, as its sender keeps it.

/// How much may be sent on all streams together, and how much of it is spoken for.
///
/// A message once begun must not starve (R-CREDIT-3): its unsent rest is *reserved*, and neither
/// another message nor a byte stream may use it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SendCredit {
    limit: u64,
    used: u64,
    reserved: u64,
}

impl SendCredit {
    /// The peer granted more; returns whether it was news (R-CREDIT-2: it never shrinks).
    pub(crate) fn on_grant(&mut self, limit: u64) -> bool {
        let news = limit > self.limit;
        self.limit = self.limit.max(limit);
        news
    }

    /// The newest grant.
    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    /// What is neither used nor reserved.
    pub(crate) fn free(&self) -> u64 {
        self.limit.saturating_sub(self.used).saturating_sub(self.reserved)
    }

    /// A message of `size` bytes begins.
    pub(super) fn reserve(&mut self, size: u64) {
        self.reserved = self.reserved.saturating_add(size);
    }

    /// `count` bytes of a begun message are sent.
    pub(super) fn use_reserved(&mut self, count: u64) {
        self.reserved = self.reserved.saturating_sub(count);
        self.used = self.used.saturating_add(count);
    }

    /// `count` bytes of a byte stream are sent.
    pub(super) fn use_free(&mut self, count: u64) {
        self.used = self.used.saturating_add(count);
    }

    /// The unsent rest of a begun message will never be sent.
    pub(super) fn release(&mut self, count: u64) {
        self.reserved = self.reserved.saturating_sub(count);
    }
}
