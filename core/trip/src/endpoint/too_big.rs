//! What our own system refuses to send because it is too large for its link (R-MTU-1d).
//!
//! In comes the word of the loop, right behind the transmit that was refused; out comes what the
//! search for the MTU makes of it, in the one connection whose transmit it was.
#![deny(clippy::arithmetic_side_effects)]

use super::Endpoint;
use tripline_sansio::Instant;

impl Endpoint {
    /// Datagrams of so many bytes, of the newest transmit, were refused. Answers that belong to no
    /// connection are never larger than every path carries, so nothing is learned from them.
    pub(super) fn on_too_big(&mut self, now: Instant, bytes: usize) {
        if let Some(sender) = self.sender.take() {
            self.command(now, sender, |connection, cx| connection.on_too_big(bytes, cx));
        }
    }
}
