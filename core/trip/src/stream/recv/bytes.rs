//! Reassembly of a byte stream.
//!
//! In go frames at any offset; out come the bytes in order. What comes in order is copied once,
//! into the segment in which it is handed over.
#![deny(clippy::arithmetic_side_effects)]

use super::fragments::Fragments;
use super::ready::{CHUNK_MAX, Ready};
use super::{DIFFERS, Effect, Violation, len64, slice};

/// The bytes of one stream, as far as they arrived and were not taken.
#[derive(Debug)]
pub(super) struct ByteRun {
    /// All below is settled: ready, taken or given up.
    base: u64,
    loose: Fragments,
    ready: Ready,
}

impl ByteRun {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self { base: 0, loose: Fragments::new(CHUNK_MAX), ready: Ready::new(CHUNK_MAX) }
    }

    /// What waits for the user.
    pub(super) fn ready(&mut self) -> &mut Ready {
        &mut self.ready
    }

    /// Whether something waits for the user.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether nothing below `end` is missing.
    pub(super) fn is_settled(&self, end: u64) -> bool {
        self.base >= end
    }

    /// Up to where nothing is missing.
    pub(super) fn first_gap(&self) -> u64 {
        self.base
    }

    /// How many separate ranges wait beyond a gap.
    pub(super) fn gaps(&self) -> usize {
        self.loose.held().len()
    }

    /// Bytes of heap held, about.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.loose.memory().saturating_add(self.ready.memory())
    }

    /// A frame's bytes (R-MSG-3: no byte may differ from one that is held).
    pub(super) fn on_frame(
        &mut self,
        offset: u64,
        payload: &[u8],
        effect: &mut Effect,
    ) -> Result<(), Violation> {
        let end = offset.saturating_add(len64(payload));
        let start = offset.max(self.base);
        let fresh = slice(payload, offset, &(start..end));
        if fresh.is_empty() {
            return Ok(());
        }
        if !self.loose.is_empty() && !self.loose.agrees(start, fresh) {
            return Err(DIFFERS);
        }
        if start > self.base {
            self.loose.insert(start, fresh);
            return Ok(());
        }
        self.loose.remove(start..end);
        self.ready.push_data(fresh);
        self.base = end;
        while let Some(block) = self.loose.take_at(self.base, u64::MAX) {
            self.base = self.base.saturating_add(len64(&block));
            self.ready.push_buffer(block);
        }
        effect.readable = true;
        Ok(())
    }

    /// The sender ends here: what is not ready is given up. Returns how many bytes that is.
    pub(super) fn on_close(&mut self, end: u64) -> u64 {
        let given_up = end.saturating_sub(self.base);
        self.base = self.base.max(end);
        self.loose = Fragments::new(CHUNK_MAX);
        given_up
    }

    /// Forgets all that is held.
    pub(super) fn discard(&mut self) {
        *self = Self::new();
    }
}
