//! How far an orderly end has come, for whoever asks why it waits.

use super::Closing;

impl Closing {
    /// Whether we leave, whether the peer does, and whether it has nothing left to send.
    pub(in crate::connection) fn progress(&self) -> (bool, bool, bool) {
        (self.ours.is_some(), self.peer, self.peer_done)
    }
}
