//! A machine with one socket, where machines with many are driven.

use tripline_sansio::{Answer, DatagramMachine, Ecn, Hub, Instant, Path, Transmit, Wish};

/// A datagram machine as a hub whose one link is there from the beginning, whatever its number.
#[derive(Debug)]
pub struct One<M>(pub M);

impl<M> One<M> {
    /// The number of its link.
    pub const LINK: u64 = 0;
}

impl<M: DatagramMachine> Hub for One<M> {
    type Event = M::Event;

    fn handle_answer(&mut self, _: Instant, _: u64, _: Answer) {}

    fn handle_datagram(&mut self, now: Instant, _: u64, path: Path, ecn: Ecn, datagram: &mut [u8]) {
        self.0.handle_datagram(now, path, ecn, datagram);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.0.handle_timeout(now);
    }

    fn poll_wish(&mut self) -> Option<Wish> {
        None
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<(u64, Transmit)> {
        self.0.poll_transmit(now, out).map(|transmit| (Self::LINK, transmit))
    }

    fn handle_too_big(&mut self, now: Instant, _: u64, transmit: &Transmit) {
        self.0.handle_too_big(now, transmit);
    }

    fn poll_ready(&mut self, _: Instant) -> Option<u64> {
        None
    }

    fn poll_write(&mut self, _: Instant, _: u64, _: &mut Vec<u8>) -> bool {
        false
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.0.poll_timeout()
    }

    fn poll_event(&mut self) -> Option<M::Event> {
        self.0.poll_event()
    }
}
