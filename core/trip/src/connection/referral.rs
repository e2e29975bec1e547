//! Referrals: a client that is sent elsewhere while it opens follows by itself; later it is told
//! (row T57, R-CHAL-3).
//!
//! In come referrals under the tag, out come events, and the wish to begin the attempt again (see
//! `again`). What a user has done before the connection is ready (streams opened, messages handed
//! in) is of no server and goes along.
#![deny(clippy::arithmetic_side_effects)]

use super::again::Reason;
use super::timer::Timer;
use super::{Connection, Cx, Side, Stage};
use crate::crypto::{Handshake, PublicKey};
use crate::error::{ConnectError, ReferError};
use crate::event::Event;
use crate::referral::Referral;
use crate::wire::{Code, ReferralBody, Violation};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::SocketAddr;
use tripline_sansio::Instant;

/// Referrals that a client follows for one open, and that a connected one is told of (R-CHAL-3).
pub(crate) const REFERRALS_MAX: u8 = 4;

/// What an attempt has behind it.
#[derive(Clone, Debug, Default)]
pub(super) struct Journey {
    /// Referrals followed.
    referrals: u8,
    /// Where OPENs went, and for which key: nobody is asked twice.
    been: Vec<(SocketAddr, Option<PublicKey>)>,
    /// When the first OPEN of all went out.
    pub(super) began: Option<Instant>,
    /// A hint made us take a lesser suite (R-VERS-1).
    pub(super) stepped_down: bool,
}

impl Journey {
    /// OPEN went there, for this key.
    pub(super) fn note(&mut self, asked: &[SocketAddr], key: Option<PublicKey>) {
        self.been.extend(asked.iter().map(|address| (*address, key)));
    }

    /// The addresses at which to follow, or why not to.
    fn admit(&mut self, referral: &Referral) -> Result<Vec<SocketAddr>, &'static str> {
        if self.referrals >= REFERRALS_MAX {
            return Err("it was the fifth referral");
        }
        let new =
            |address: &SocketAddr| !self.been.contains(&(*address, Some(referral.server_key)));
        let addresses: Vec<SocketAddr> = referral.addresses.iter().copied().filter(new).collect();
        if addresses.is_empty() {
            return Err("we have asked there already");
        }
        self.referrals = self.referrals.saturating_add(1);
        Ok(addresses)
    }
}

/// Referrals of a connection that stands: ours to be told, and theirs that were.
#[derive(Clone, Debug, Default)]
pub(super) struct Referrals {
    /// The newest of ours, as on the wire.
    ours: Option<Box<[u8]>>,
    /// Tells ours apart, so that a lost one that was replaced stays lost.
    serial: u32,
    due: bool,
    /// The newest of theirs, to know a repeat by.
    theirs: Box<[u8]>,
    told: u8,
}

impl Referrals {
    /// Whether FORWARD has to be sent.
    pub(super) fn is_due(&self) -> bool {
        self.due
    }

    /// The referral that has to be sent, and its number among ours.
    pub(super) fn due(&self) -> Option<(Vec<u8>, u32)> {
        let ours = self.ours.as_ref().filter(|_| self.due)?;
        Some((ours.to_vec(), self.serial))
    }

    /// FORWARD went out.
    pub(super) fn on_sent(&mut self) {
        self.due = false;
    }

    /// FORWARD was lost: it goes out again, unless a newer one has taken its place.
    pub(super) fn on_lost(&mut self, serial: u32) {
        self.due |= serial == self.serial;
    }
}

impl Connection {
    /// A CHALLENGE that verified refers us elsewhere. In XX the user has to trust the server first
    /// whose word this is (R-CHAL-3).
    pub(super) fn on_referred(
        &mut self,
        handshake: &Handshake,
        body: ReferralBody<'_>,
        cx: &mut Cx<'_>,
    ) {
        let Some(referral) = Referral::decode(body) else {
            let reason = "a referral to a key that is not canonical";
            return self.fail(ConnectError::Violation { code: Code::PROTOCOL, reason }, cx);
        };
        self.timers.set(Timer::Open, None);
        self.peer = handshake.remote_static();
        if handshake.is_finished() {
            return self.follow(referral, cx);
        }
        if let Some(key) = self.peer {
            cx.events.push_back(Event::ServerKey { connection: self.handle, key });
        }
        if let Some(opening) = self.opening.as_deref_mut() {
            opening.referred = Some(referral);
        }
    }

    /// Follows a referral, if it leads on.
    pub(super) fn follow(&mut self, referral: Referral, cx: &mut Cx<'_>) {
        let Some(opening) = self.opening.as_deref_mut() else { return };
        opening.note_asked();
        let admitted = opening.journey.admit(&referral);
        let followed = admitted.is_ok();
        let told = referral.clone();
        let connection = self.handle;
        cx.events.push_back(Event::Forward { connection, referral: told, followed });
        match admitted {
            Ok(addresses) => {
                opening.again = Some(Reason::Referred(Referral { addresses, ..referral }))
            }
            Err(reason) => self.fail(ConnectError::Referred { reason }, cx),
        }
    }

    /// Asks the client of a connection that stands to open elsewhere (row T57).
    pub(crate) fn refer(&mut self, body: Vec<u8>) -> Result<(), ReferError> {
        if self.side != Side::Server {
            return Err(ReferError::NotServer);
        }
        if self.stage != Stage::Ready {
            return Err(ReferError::Gone);
        }
        let referrals = &mut self.referrals;
        if referrals.ours.as_deref() != Some(body.as_slice()) {
            referrals.serial = referrals.serial.wrapping_add(1);
            (referrals.ours, referrals.due) = (Some(body.into()), true);
        }
        Ok(())
    }

    /// FORWARD came: the user is told, and nothing else changes.
    pub(super) fn on_forward(
        &mut self,
        body: ReferralBody<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<(), Violation> {
        if self.side != Side::Client {
            return Err(Violation::new(Code::PROTOCOL, "a client refers its server elsewhere"));
        }
        let Some(referral) = Referral::decode(body) else {
            return Err(Violation::new(Code::PROTOCOL, "a key that is not canonical"));
        };
        if *self.referrals.theirs == *body.bytes() {
            return Ok(());
        }
        if self.referrals.told >= REFERRALS_MAX {
            self.stats.drops.at_bound = self.stats.drops.at_bound.saturating_add(1);
            return Ok(());
        }
        self.referrals.theirs = body.bytes().into();
        self.referrals.told = self.referrals.told.saturating_add(1);
        let connection = self.handle;
        cx.events.push_back(Event::Forward { connection, referral, followed: false });
        Ok(())
    }
}
