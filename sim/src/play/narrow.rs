//! The least window that there may be: a controller of the user's own that never opens it further.
//!
//! In go the calls of the seam, out comes the same number for ever. What is lost or marked changes
//! nothing, so a path in trouble is not spared: this is for tests.

use tripline::{AckedPacket, CongestionEvent, Controller, RestoreError, RttSummary};
use tripline_sansio::Instant;

/// A window of so many full datagrams.
#[derive(Clone, Debug)]
pub(super) struct Narrow {
    datagrams: u64,
    mtu: u16,
}

impl Narrow {
    pub(super) const fn new(datagrams: u64, mtu: u16) -> Self {
        Self { datagrams, mtu }
    }
}

impl Controller for Narrow {
    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn save(&self, out: &mut Vec<u8>) {
        out.extend(self.datagrams.to_be_bytes());
        out.extend(self.mtu.to_be_bytes());
    }

    fn restore(&mut self, saved: &[u8]) -> Result<(), RestoreError> {
        let (datagrams, mtu) = saved.split_first_chunk().ok_or(RestoreError)?;
        let mtu = mtu.try_into().map_err(|_| RestoreError)?;
        *self = Self::new(u64::from_be_bytes(*datagrams), u16::from_be_bytes(mtu));
        Ok(())
    }

    fn window(&self) -> u64 {
        self.datagrams.saturating_mul(u64::from(self.mtu))
    }

    fn on_acked(&mut self, _now: Instant, _packet: &AckedPacket, _rtt: &RttSummary) {}

    fn on_congestion(&mut self, _now: Instant, _event: &CongestionEvent) {}

    fn on_mtu(&mut self, bytes: u16) {
        self.mtu = bytes;
    }
}
