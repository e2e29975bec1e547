//! How an attempt begins again: with another OPEN, as the same connection (R-OPEN-2).
//!
//! There are three reasons for it: a referral, a lesser suite, and a server that forgot us before
//! anything of the user's was sent. In comes the wish of one of them, out comes what the endpoint
//! needs for it, as it issues IDs and keys; then everything that was agreed with a peer is
//! forgotten, and what the user has done (streams opened, messages handed in) stays.
#![deny(clippy::arithmetic_side_effects)]

use super::opening::{Opening, Start};
use super::timer::Timer;
use super::{Connection, Cx, Stage};
use crate::config::ConnectOptions;
use crate::crypto::{Cipher, PublicKey};
use crate::error::ConnectError;
use crate::referral::Referral;
use crate::wire::Parameters;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::SocketAddr;
use tripline_sansio::Instant;

/// Why an attempt goes on with a new OPEN.
#[derive(Clone, Debug)]
pub(super) enum Reason {
    /// It is sent to another endpoint (R-CHAL-3).
    Referred(Referral),
    /// It takes the cipher that every server takes (R-VERS-2).
    StepDown,
    /// The server forgot us (R-RESET-2b).
    Forgotten,
}

/// What it takes to write another OPEN for the same attempt.
pub(crate) struct Again {
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) options: ConnectOptions,
    pub(crate) parameters: Parameters,
    pub(crate) cipher: Cipher,
    pub(crate) deadline: Instant,
    /// XX: the key that the user trusts, so that nobody is asked twice.
    pub(crate) trusted: Option<PublicKey>,
    /// The ID that the attempt had so far.
    pub(crate) client_id: u64,
    /// Whether the addresses are still those of the name that the user gave.
    pub(crate) same_server: bool,
}

impl Connection {
    /// What the endpoint needs to begin the attempt again, if it is to; asked once.
    pub(crate) fn take_again(&mut self) -> Option<Again> {
        let opening = self.opening.as_deref_mut()?;
        let reason = opening.again.take()?;
        let start = &opening.start;
        let mut again = Again {
            addresses: start.addresses.clone(),
            options: start.options.clone(),
            parameters: start.parameters,
            cipher: start.cipher,
            deadline: start.deadline,
            trusted: start.trusted,
            client_id: start.client_id,
            same_server: true,
        };
        match reason {
            Reason::Referred(referral) => {
                // What XX could not have, IK can.
                again.parameters.features |= self.announced.parameters().features;
                again.options = referral.options(again.options);
                again.addresses = referral.addresses;
                (again.trusted, again.same_server) = (None, false);
            }
            Reason::StepDown => {
                again.cipher = Cipher::ChaChaPoly;
                opening.journey.stepped_down = true;
            }
            Reason::Forgotten => {}
        }
        Some(again)
    }

    /// The server forgot us: the attempt is to begin again. Until it does, with the next drain,
    /// nothing is sent and nothing is listened to.
    pub(super) fn forgotten(&mut self, mut opening: Box<Opening>) {
        opening.again = Some(Reason::Forgotten);
        opening.start.trusted = self.peer;
        self.timers.clear();
        self.timers.set(Timer::Deadline, Some(opening.deadline()));
        self.opening = Some(opening);
        self.stage = Stage::Opening;
    }

    /// Goes on with a new OPEN; nothing of the old one will be listened to.
    pub(crate) fn begin_again(&mut self, start: Start, same_server: bool, cx: &mut Cx<'_>) {
        let Some(old) = self.opening.take() else { return };
        let opening = Opening::after(start, *old, same_server);
        let fresh = Self::client(self.handle, self.announced.clone(), opening, cx);
        let old = core::mem::replace(self, fresh);
        self.config = old.config;
        self.recv_credit = old.recv_credit;
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

    /// The endpoint has nothing to begin again with.
    pub(crate) fn fail_again(&mut self, same_server: bool, reason: &'static str, cx: &mut Cx<'_>) {
        let forgotten = same_server && self.zone.is_some();
        let error = if forgotten { ConnectError::Reset } else { ConnectError::Referred { reason } };
        self.fail(error, cx);
    }
}
