//! The transport with links, in the simulator: its links are pipes, of the same number.

use super::machine::PipeMachine;
use tripline::{LinkEndpoint, LinkId};
use tripline_sansio::Instant;

impl PipeMachine for LinkEndpoint {
    fn handle_opened(&mut self, _: Instant, pipe: u64) -> bool {
        self.opened(LinkId::new(pipe))
    }

    fn handle_bytes(&mut self, now: Instant, pipe: u64, bytes: &[u8]) -> bool {
        Self::handle_bytes(self, now, LinkId::new(pipe), bytes).is_ok()
    }

    /// A link that is open in one direction only is of no use.
    fn handle_eof(&mut self, now: Instant, pipe: u64) -> bool {
        self.closed(now, LinkId::new(pipe));
        false
    }

    fn handle_broken(&mut self, now: Instant, pipe: u64) {
        self.closed(now, LinkId::new(pipe));
    }

    fn poll_ready(&mut self, now: Instant) -> Option<u64> {
        Self::poll_ready(self, now).map(LinkId::number)
    }

    fn poll_write(&mut self, now: Instant, pipe: u64, out: &mut Vec<u8>) -> bool {
        Self::poll_write(self, now, LinkId::new(pipe), out)
    }
}
