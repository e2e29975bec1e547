//! RESET: the peer no longer knows this connection (R-RESET-2).
//!
//! In comes a token and where it came from, out comes what has to happen. A RESET counts only from
//! where we send to, and with the token of the ID that we now send to. It is never answered.

use super::opening::Opening;
use super::settle::SentFrame;
use super::{Connection, Cx, Side, Stage};
use crate::config::ConnectOptions;
use crate::crypto::{Cipher, PublicKey, same};
use crate::error::{ConnectError, LostCause};
use crate::event::Event;
use crate::handle::ConnectionHandle;
use crate::wire::Parameters;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::SocketAddr;
use tripline_sansio::{Instant, Path};

/// What a RESET did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It does not count.
    Ignored,
    /// The connection is over; its user was told.
    Ended,
    /// Nothing of the user's was sent yet: the attempt may begin again, within its deadline.
    BeginAgain,
}

/// What a client's attempt needs to begin again.
#[derive(Clone, Debug)]
pub(crate) struct Again {
    /// How the user wanted to connect.
    pub(crate) options: ConnectOptions,
    /// Where to.
    pub(crate) addresses: Vec<SocketAddr>,
    /// Until when.
    pub(crate) deadline: Instant,
    /// XX: the key that the user trusts, so that nobody is asked twice.
    pub(crate) trusted: Option<PublicKey>,
}

/// What a RESET of the peer would mean.
#[derive(Clone, Debug, Default)]
pub(super) struct Resets {
    /// Client: what it takes to begin the attempt again, until READY.
    pub(super) again: Option<Box<Again>>,
}

impl Connection {
    /// The token by which the peer's RESET is known, while one would mean something: that of the
    /// ID which we now send to.
    pub(crate) fn peer_reset_token(&self) -> Option<[u8; 16]> {
        let zone = self.zone.as_ref().filter(|_| self.stage != Stage::Over)?;
        zone.peer_reset_token
    }

    /// RESET came.
    pub(crate) fn on_reset(&mut self, path: Path, token: &[u8; 16], cx: &mut Cx<'_>) -> Outcome {
        let ours = self.peer_reset_token().is_some_and(|expected| same(&expected, token));
        if !ours || !self.path.is_active(path) {
            return Outcome::Ignored;
        }
        match self.stage {
            Stage::Opening | Stage::Over => return Outcome::Ignored,
            Stage::Pinging if self.may_begin_again() => return Outcome::BeginAgain,
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
        Outcome::Ended
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

    /// What the attempt began with, the parameters that it announces, and the cipher that the
    /// server took.
    pub(crate) fn again(&self) -> Option<(ConnectionHandle, Again, Parameters, Cipher)> {
        let cipher = self.suite?.cipher;
        Some((self.handle, self.reset.again.as_deref()?.clone(), self.config.parameters(), cipher))
    }

    /// Begins the attempt again with a new OPEN. What the user has done so far (streams opened,
    /// messages handed in) stays; all that was agreed with the peer is forgotten.
    pub(crate) fn begin_again(&mut self, opening: Opening, cx: &mut Cx<'_>) {
        let fresh = Self::client(self.handle, self.config.clone(), opening, cx);
        let old = core::mem::replace(self, fresh);
        self.streams = old.streams;
        self.streams.forget_parameters();
        self.schedule = old.schedule;
        self.control = old.control;
        self.next_token = old.next_token;
        self.expiring = old.expiring;
        self.unread = old.unread;
        self.stats = old.stats;
        self.started = old.started;
        self.arm_expire();
    }
}
