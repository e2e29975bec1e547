//! Referrals: a client that is sent elsewhere while it opens follows by itself; later it is told
//! (row T57, R-CHAL-3).
//!
//! In come referrals under the tag, out come events, and the wish for another attempt of the same
//! connection, which the endpoint fulfils, as it issues IDs and keys. What a user has done before
//! the connection is ready (streams opened, messages handed in) is of no server and goes along.
#![deny(clippy::arithmetic_side_effects)]

use super::opening::{Opening, Start};
use super::timer::Timer;
use super::{Connection, Cx, Side, Stage};
use crate::config::ConnectOptions;
use crate::crypto::{Cipher, Handshake, PublicKey};
use crate::error::{ConnectError, ReferError};
use crate::event::Event;
use crate::referral::Referral;
use crate::wire::{Code, Parameters, ReferralBody, Violation};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::SocketAddr;
use tripline_sansio::Instant;

/// Referrals that a client follows for one open, and that a connected one is told of (R-CHAL-3).
pub(crate) const REFERRALS_MAX: u8 = 4;

/// How an attempt goes on with a new OPEN.
#[derive(Clone, Debug)]
pub(crate) enum Anew {
    /// At another endpoint.
    Referred(Referral),
    /// With the cipher that every server takes (R-VERS-2).
    StepDown,
}

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

/// What it takes to write another OPEN for the same attempt.
pub(crate) struct Again {
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) options: ConnectOptions,
    pub(crate) parameters: Parameters,
    pub(crate) cipher: Cipher,
    pub(crate) deadline: Instant,
    /// The ID that the attempt had so far.
    pub(crate) client_id: u64,
    /// Whether the addresses are still those of the name that the user gave.
    pub(crate) same_server: bool,
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
                opening.anew = Some(Anew::Referred(Referral { addresses, ..referral }))
            }
            Err(reason) => self.fail(ConnectError::Referred { reason }, cx),
        }
    }

    /// What the endpoint needs to begin the attempt anew, if it is to; asked once.
    pub(crate) fn take_anew(&mut self) -> Option<Again> {
        let opening = self.opening.as_deref_mut()?;
        let anew = opening.anew.take()?;
        let start = &opening.start;
        let mut again = Again {
            addresses: start.addresses.clone(),
            options: start.options.clone(),
            parameters: start.parameters,
            cipher: start.cipher,
            deadline: start.deadline,
            client_id: start.client_id,
            same_server: true,
        };
        match anew {
            Anew::Referred(referral) => {
                again.options = referral.options(again.options);
                again.addresses = referral.addresses;
                again.same_server = false;
            }
            Anew::StepDown => {
                again.cipher = Cipher::ChaChaPoly;
                opening.journey.stepped_down = true;
            }
        }
        Some(again)
    }

    /// Goes on with a new OPEN; nothing of the old one will be listened to.
    pub(crate) fn begin_anew(&mut self, start: Start, same_server: bool, cx: &mut Cx<'_>) {
        let Some(old) = self.opening.take() else { return };
        let opening = Opening::after(start, *old, same_server);
        self.own_id = opening.client_id();
        self.route = opening.route().into();
        self.peer = None;
        self.path = super::addresses::Addresses::new(opening.path(), true, false, cx.now);
        self.opening = Some(Box::new(opening));
    }

    /// The endpoint has nothing to begin anew with.
    pub(crate) fn fail_anew(&mut self, reason: &'static str, cx: &mut Cx<'_>) {
        self.fail(ConnectError::Referred { reason }, cx);
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
