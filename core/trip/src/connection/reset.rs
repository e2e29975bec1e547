//! RESET: the peer no longer knows this connection (R-RESET-2).
//!
//! In comes a token and where it came from, out comes what has to happen. A RESET counts only from
//! where we send to, and with the token of the ID that we now send to. It is never answered.

use super::opening::Opening;
use super::settle::SentFrame;
use super::{Connection, Cx, Side, Stage};
use crate::crypto::same;
use crate::error::{ConnectError, LostCause};
use crate::event::Event;
use alloc::boxed::Box;
use tripline_sansio::Path;

/// What a RESET did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It does not count.
    Ignored,
    /// The connection is over, and its user was told; or, as nothing of the user's was sent yet,
    /// the attempt begins again within its deadline.
    Counted,
}

/// What a RESET of the peer would mean.
#[derive(Debug, Default)]
pub(super) struct Resets {
    /// Client: the attempt, to begin it again, until READY.
    pub(super) again: Option<Box<Opening>>,
}

impl Connection {
    /// The token by which the peer's RESET is known, while one would mean something: that of the
    /// ID which we now send to.
    pub(crate) fn peer_reset_token(&self) -> Option<&[u8; 16]> {
        let zone = self.zone.as_ref().filter(|_| self.stage != Stage::Over)?;
        zone.peer_reset_token.as_ref()
    }

    /// RESET came.
    pub(crate) fn on_reset(&mut self, path: Path, token: &[u8; 16], cx: &mut Cx<'_>) -> Outcome {
        let ours = self.peer_reset_token().is_some_and(|expected| same(expected, token));
        if !ours || !self.path.is_active(path) {
            return Outcome::Ignored;
        }
        match self.stage {
            Stage::Opening | Stage::Over => return Outcome::Ignored,
            Stage::Pinging if self.may_begin_again() => {
                if let Some(opening) = self.reset.again.take() {
                    self.forgotten(opening);
                }
                return Outcome::Counted;
            }
            Stage::Pinging | Stage::Ready => {
                self.drop_messages(cx);
                let end = Event::Lost { connection: self.handle, cause: LostCause::Reset };
                self.tell_end(end, ConnectError::Reset, cx);
            }
            // The user knows already, and the peer needs to hear no more.
            Stage::Closing | Stage::Draining => {}
        }
        self.stage = Stage::Over;
        self.timers.clear();
        Outcome::Counted
    }

    /// Whether nothing of the user's was sent: only PINGs went out, so nothing can happen twice.
    fn may_begin_again(&self) -> bool {
        self.side == Side::Client
            && self.reset.again.is_some()
            && !self.closing.is_leaving()
            && self.sent.unacked().all(|(_, mut frames)| {
                frames.all(|frame| matches!(frame, SentFrame::Ping { .. } | SentFrame::Ack { .. }))
            })
    }
}
