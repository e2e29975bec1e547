//! The client's handshake, from the first OPEN to the CHALLENGE that verifies (PROTOCOL.md §2, and
//! the row OPENING of §10).
//!
//! OPEN is written once and repeated byte for byte (R-OPEN-2); answers are tried on a copy of the
//! Noise state, so that nothing forged does harm. What RETRY does is in `retry`.

mod progress;

use super::again::Reason;
use super::referral::Journey;
use super::retry::Retries;
use super::single::Single;
use super::timer::Timer;
use super::version::{SPOKEN, StepDown, speak_higher};
use super::{Connection, Cx, InUse, Stage, State, Zone};
use crate::carrier::LinkId;
use crate::config::ConnectOptions;
use crate::crypto::{Aead, Cipher, Handshake, PublicKey};
use crate::error::{ConnectError, Phase};
use crate::event::Event;
use crate::referral::Referral;
use crate::wire::{
    ChallengePayload, Confirm, OpenPayload, PROTOCOL_VERSION, Parameters, PayloadError,
    VersionReason,
};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use tripline_sansio::{Backoff, Duration, Instant, Path};

/// A link carries OPEN surely, but who is there may have dropped it: for want of a token in a
/// bucket (R-HAND-3), or for an attempt of his own (R-HAND-4). So it is repeated there as well,
/// seldom (R-LINK-3): first after so long.
const LINK_GAP: Duration = Duration::from_secs(1);
/// The longest gap there.
const LINK_CEILING: Duration = Duration::from_secs(8);

/// OPEN is repeated this often at [`QUICK_GAP`], to get through a lossy link soon.
const QUICK_REPEATS: u32 = 3;
const QUICK_GAP: Duration = Duration::from_millis(200);
/// For so long the gaps stay below [`BRISK_CEILING`].
const BRISK_FOR: Duration = Duration::from_secs(120);
const BRISK_CEILING: Duration = Duration::from_secs(1);
/// The longest gap of all.
const SLOW_CEILING: Duration = Duration::from_secs(300);

/// When OPEN is repeated (R-HAND-7): after 0.2, 0.4 and 0.6 s; then gaps × 1.5 up to 1 s for two
/// minutes; then × 2 up to 5 minutes.
#[derive(Clone, Debug)]
struct Repeats {
    sent: u32,
    /// When the next one is due where datagrams are lost.
    next: Option<Instant>,
    /// The gaps on links.
    unheard: Backoff,
    brisk: Backoff,
    slow: Backoff,
}

impl Repeats {
    fn new() -> Self {
        Self {
            sent: 0,
            next: None,
            unheard: Backoff::new(LINK_GAP, (2, 1), LINK_CEILING),
            brisk: Backoff::new(QUICK_GAP * 3 / 2, (3, 2), BRISK_CEILING),
            slow: Backoff::new(BRISK_CEILING * 2, (2, 1), SLOW_CEILING),
        }
    }

    /// The gap after the OPEN that goes out now, `elapsed` after the first.
    fn next_gap(&mut self, elapsed: Duration) -> Duration {
        self.sent = self.sent.saturating_add(1);
        if self.sent <= QUICK_REPEATS {
            QUICK_GAP
        } else if elapsed < BRISK_FOR {
            self.brisk.advance()
        } else {
            self.slow.advance()
        }
    }
}

/// What a client's attempt begins with.
pub(crate) struct Start {
    /// The addresses, or none while a name is being resolved.
    pub(crate) addresses: Vec<SocketAddr>,
    /// The name that they belong to, to be resolved again (row T22).
    pub(crate) name: Option<(String, u16)>,
    pub(crate) deadline: Instant,
    pub(crate) client_id: u64,
    /// OPEN, whole.
    pub(crate) packet: Vec<u8>,
    /// The key of mac1 and of RETRY's mac.
    pub(crate) mac_key: [u8; 32],
    /// The Noise state after message 1.
    pub(crate) handshake: Handshake,
    /// Seals and opens DATA.
    pub(crate) aead: Arc<dyn Aead>,
    pub(crate) cipher: Cipher,
    pub(crate) user_id: [u8; 8],
    pub(crate) route: Vec<u8>,
    pub(crate) parameters: Parameters,
    /// How the user wants to connect, should the attempt have to begin again.
    pub(crate) options: ConnectOptions,
    /// XX: the key that the user trusts already, from an attempt that began before.
    pub(crate) trusted: Option<PublicKey>,
    /// What the connection is to do without (R-PLAIN-1).
    pub(crate) in_use: InUse,
}

/// An attempt that has no verified CHALLENGE yet, or (XX) no decision on the server's key.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(super) start: Start,
    pub(super) retries: Retries,
    next_address: usize,
    /// Where OPEN went before it went over a link: answers from there count as well (R-LINK-4c).
    spare: Vec<SocketAddr>,
    due: bool,
    repeats: Repeats,
    first_sent: Option<Instant>,
    /// XX: what the CHALLENGE that verified brought.
    challenged: Option<Challenged>,
    /// XX: what the CHALLENGE that verified said instead, until the user trusts the server.
    pub(super) referred: Option<Referral>,
    /// The attempt goes on with another OPEN; the endpoint has yet to write it.
    pub(super) again: Option<Reason>,
    pub(super) journey: Journey,
    step_down: StepDown,
    versions: Option<Vec<u32>>,
    wrong_suite: bool,
    /// A CHALLENGE failed to verify, or VERSION said *key*.
    wrong_key: bool,
}

#[derive(Debug)]
struct Challenged {
    handshake: Handshake,
    server_id: u64,
    parameters: Parameters,
    path: Path,
    /// When it came.
    at: Instant,
}

impl core::fmt::Debug for Start {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Start").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl Opening {
    pub(crate) fn new(start: Start) -> Self {
        Self {
            due: !start.addresses.is_empty(),
            start,
            retries: Retries::default(),
            next_address: 0,
            spare: Vec::new(),
            repeats: Repeats::new(),
            first_sent: None,
            challenged: None,
            referred: None,
            again: None,
            journey: Journey::default(),
            step_down: StepDown::default(),
            versions: None,
            wrong_suite: false,
            wrong_key: false,
        }
    }

    /// The same attempt with another OPEN, at the same server or elsewhere.
    pub(super) fn after(start: Start, old: Self, same_server: bool) -> Self {
        let mut journey = old.journey;
        journey.began = journey.began.or(old.first_sent);
        let name = if same_server { old.start.name } else { None };
        let fresh = Self { journey, ..Self::new(Start { name, ..start }) };
        if !same_server {
            return fresh;
        }
        // What explained the silence so far still does.
        let Self { versions, wrong_suite, wrong_key, .. } = old;
        Self { versions, wrong_suite, wrong_key, ..fresh }
    }

    /// Notes where OPEN went so far.
    pub(super) fn note_asked(&mut self) {
        let Self { start, repeats, journey, .. } = self;
        let sent = usize::try_from(repeats.sent).unwrap_or(usize::MAX);
        let asked = start.addresses.get(..start.addresses.len().min(sent)).unwrap_or_default();
        journey.note(asked, start.options.server_key);
    }

    /// Whether an answer is waited for.
    fn is_waiting(&self) -> bool {
        self.challenged.is_none() && self.referred.is_none() && self.again.is_none()
    }

    pub(super) fn client_id(&self) -> u64 {
        self.start.client_id
    }

    pub(super) fn in_use(&self) -> InUse {
        self.start.in_use
    }

    /// Whether the connection is to be the only one with its server (R-HAND-4).
    pub(super) fn single(&self) -> Single {
        if self.start.parameters.is_single() { Single::Wanted } else { Single::No }
    }

    /// The key that the server has to prove.
    pub(super) fn server_key(&self) -> Option<PublicKey> {
        self.start.options.server_key
    }

    /// How many OPENs went out, once there is somewhere to send them.
    pub(super) fn asked(&self) -> Option<u32> {
        (!self.start.addresses.is_empty()).then_some(self.repeats.sent)
    }

    pub(super) fn user_id(&self) -> [u8; 8] {
        self.start.user_id
    }

    pub(super) fn route(&self) -> &[u8] {
        &self.start.route
    }

    pub(super) fn deadline(&self) -> Instant {
        self.start.deadline
    }

    /// Whether a CHALLENGE from there is waited for: only from an address that an OPEN went to, or
    /// a copier could draw our data to where it likes.
    pub(super) fn awaits(&self, path: Path) -> bool {
        self.is_waiting() && self.chose(path.remote)
    }

    /// Whether an OPEN went there.
    fn chose(&self, remote: SocketAddr) -> bool {
        self.start.addresses.contains(&remote) || self.spare.contains(&remote)
    }

    /// Where the next OPEN goes.
    pub(super) fn path(&self) -> Path {
        let nowhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        Path::to(self.start.addresses.get(self.next_address).copied().unwrap_or(nowhere))
    }

    /// Whether a hint said that another cipher might be taken, and there is one to try (R-VERS-2).
    fn may_step_down(&self) -> bool {
        self.start.cipher == Cipher::AesGcm && self.step_down.is_hinted()
    }

    /// The attempt goes on over another link: OPEN goes out there once more.
    pub(super) fn relink(&mut self, path: Path) {
        let before = core::mem::replace(&mut self.start.addresses, alloc::vec![path.remote]);
        let datagrams = |remote: &SocketAddr| LinkId::of(*remote).is_none();
        if before.first().is_some_and(datagrams) {
            self.spare = before;
        }
        self.next_address = 0;
        self.due = true;
        if let Some(challenged) = &mut self.challenged {
            challenged.path = path;
        }
    }

    /// The link that OPEN went over has broken: OPEN goes by datagrams again, if it did before.
    /// Where to (R-LINK-4c).
    pub(super) fn unlink(&mut self) -> Option<Path> {
        if self.spare.is_empty() || self.challenged.is_some() {
            return None;
        }
        self.start.addresses = core::mem::take(&mut self.spare);
        self.next_address = 0;
        self.due = true;
        Some(self.path())
    }

    /// Where the latest OPEN went.
    fn latest_remote(&self) -> SocketAddr {
        let addresses = &self.start.addresses;
        let latest = match self.next_address.checked_sub(1) {
            Some(index) => addresses.get(index),
            None => addresses.last(),
        };
        latest.copied().unwrap_or(self.path().remote)
    }

    pub(super) fn state(&self) -> State {
        if self.challenged.is_some() || self.referred.is_some() {
            State::Challenged
        } else if self.start.addresses.is_empty() {
            State::Resolving
        } else {
            State::Opening
        }
    }

    /// The best explanation why it came to nothing (R-CHAL-2).
    pub(super) fn timeout_error(&self) -> ConnectError {
        if self.challenged.is_some() || self.referred.is_some() {
            return ConnectError::Timeout { phase: Phase::Challenged };
        }
        if let Some(theirs) = &self.versions {
            return ConnectError::Version { ours: PROTOCOL_VERSION, theirs: theirs.clone() };
        }
        if self.wrong_suite {
            return ConnectError::Suite;
        }
        if self.wrong_key {
            return ConnectError::Identity;
        }
        let resolving = self.start.addresses.is_empty();
        ConnectError::Timeout { phase: if resolving { Phase::Resolving } else { Phase::Opening } }
    }
}

impl Connection {
    /// The answer to [`Event::Resolve`] (row T02).
    pub(crate) fn on_resolved(&mut self, found: Result<Vec<SocketAddr>, String>, cx: &mut Cx<'_>) {
        let Some(opening) = self.opening.as_deref_mut() else {
            return self.on_found(found.unwrap_or_default(), cx);
        };
        if !opening.start.addresses.is_empty() {
            return;
        }
        match found {
            Ok(addresses) if !addresses.is_empty() => {
                opening.start.addresses = addresses;
                opening.due = true;
            }
            Ok(_) => self
                .fail(ConnectError::Resolve { cause: String::from("the name has no address") }, cx),
            Err(cause) => self.fail(ConnectError::Resolve { cause }, cx),
        }
    }

    pub(super) fn on_open_timer(&mut self) {
        if let Some(opening) = self.opening.as_deref_mut() {
            opening.due = true;
        }
    }

    /// Appends OPEN if it is due: to each address in turn (R-HAND-7).
    #[cold]
    pub(super) fn transmit_open(
        &mut self,
        out: &mut Vec<u8>,
        cx: &mut Cx<'_>,
    ) -> Option<tripline_sansio::Transmit> {
        let held = self.is_held() || self.is_unlinked();
        let opening = self.opening.as_deref_mut().filter(|_| !held)?;
        if opening.is_waiting()
            && let Some(remote) = opening.retries.take_due()
        {
            // It counts as an OPEN of its own, so that no round trip is measured by mistake.
            opening.repeats.sent = opening.repeats.sent.saturating_add(1);
            return Some(copy_open(out, &opening.start.packet, Path::to(remote)));
        }
        if !core::mem::take(&mut opening.due) || !opening.is_waiting() {
            return None;
        }
        if opening.start.cipher == Cipher::AesGcm && opening.step_down.is_due(opening.repeats.sent)
        {
            opening.again = Some(Reason::StepDown);
            return None;
        }
        let path = opening.path();
        let count = opening.start.addresses.len().max(1);
        opening.next_address =
            opening.next_address.saturating_add(1).checked_rem(count).unwrap_or(0);
        let first = *opening.first_sent.get_or_insert(cx.now);
        let mut next = cx.now + opening.repeats.next_gap(cx.now - first);
        opening.repeats.next = Some(next);
        if LinkId::of(path.remote).is_some() && !opening.may_step_down() {
            next = cx.now + opening.repeats.unheard.advance();
        }
        self.timers.set(Timer::Open, Some(next));
        Some(copy_open(out, &opening.start.packet, path))
    }

    /// VERSION came: a hint for the error, never acted on (R-VERS-2, R-CHAL-2).
    pub(crate) fn on_version(
        &mut self,
        reason: VersionReason,
        versions: impl Iterator<Item = u32>,
    ) {
        let Some(opening) = self.opening.as_deref_mut() else {
            // It comes too late to explain anything.
            let bad = &mut self.stats.drops.bad_handshake;
            *bad = bad.saturating_add(1);
            return;
        };
        match reason {
            VersionReason::Version => {
                let theirs: Vec<u32> = versions.collect();
                // With ours among them it answered an OPEN that was damaged on its way.
                if !theirs.contains(&PROTOCOL_VERSION) {
                    opening.versions = Some(theirs);
                }
            }
            VersionReason::Suite => {
                opening.wrong_suite = true;
                opening.step_down.on_hint(opening.repeats.sent);
                if opening.is_waiting() && opening.may_step_down() {
                    // Over a link it was not due so soon.
                    self.timers.set(Timer::Open, opening.repeats.next);
                }
            }
            VersionReason::Key => opening.wrong_key = true,
        }
    }

    /// CHALLENGE came. The first that verifies counts; anything else changes nothing but a counter
    /// (R-WIRE-2).
    pub(crate) fn on_challenge(&mut self, path: Path, noise: &[u8], cx: &mut Cx<'_>) {
        let bad = &mut self.stats.drops.bad_handshake;
        let Some(opening) = self.opening.as_deref_mut().filter(|opening| opening.awaits(path))
        else {
            *bad = bad.saturating_add(1);
            return;
        };
        let mut handshake = opening.start.handshake.clone();
        let mut payload = Vec::new();
        if handshake.read_message(noise, &mut payload).is_err() {
            *bad = bad.saturating_add(1);
            opening.wrong_key = true;
            return;
        }
        match ChallengePayload::parse(&payload) {
            Ok(ChallengePayload::Accept { server_id, parameters }) => {
                let challenged = Challenged { handshake, server_id, parameters, path, at: cx.now };
                self.on_accepted(challenged, cx);
            }
            Ok(ChallengePayload::Refuse { code, reason }) => {
                self.fail(ConnectError::Refused { code, reason: String::from(reason) }, cx);
            }
            Ok(ChallengePayload::Forward(body)) => self.on_referred(&handshake, body, cx),
            Err(error) => self.fail(bad_payload(error), cx),
        }
    }

    fn on_accepted(&mut self, challenged: Challenged, cx: &mut Cx<'_>) {
        let theirs = challenged.parameters.versions;
        let lesser = self.opening.as_deref().is_some_and(|opening| opening.journey.stepped_down);
        if lesser && speak_higher(PROTOCOL_VERSION, &SPOKEN, theirs.as_slice()) {
            // R-VERS-1: somebody talked us down.
            let theirs = theirs.as_slice().to_vec();
            return self.fail(ConnectError::Version { ours: PROTOCOL_VERSION, theirs }, cx);
        }
        self.timers.set(Timer::Open, None);
        self.peer = challenged.handshake.remote_static();
        if challenged.handshake.is_finished() {
            return self.establish(challenged, cx);
        }
        let known = self.peer.is_some()
            && self.opening.as_deref().is_some_and(|opening| opening.start.trusted == self.peer);
        if let Some(key) = self.peer.filter(|_| !known) {
            cx.events.push_back(Event::ServerKey { connection: self.handle, key });
        }
        if let Some(opening) = self.opening.as_deref_mut() {
            opening.challenged = Some(challenged);
        }
        if known {
            self.trust(cx);
        }
    }

    /// XX: the user trusts the server's key; CONFIRM goes out (R-CHAL-3).
    pub(crate) fn trust(&mut self, cx: &mut Cx<'_>) {
        let Some(opening) = self.opening.as_deref_mut() else { return };
        if let Some(referral) = opening.referred.take() {
            return self.follow(referral, cx);
        }
        let Some(mut challenged) = opening.challenged.take() else { return };
        let start = &opening.start;
        let mut payload = Vec::new();
        let open = OpenPayload {
            user_id: start.user_id,
            route: &start.route,
            parameters: start.parameters,
        };
        let mut noise = Vec::new();
        let written = open.write(&mut payload).is_ok()
            && challenged.handshake.write_message(&payload, &mut noise).is_ok();
        let mut packet = Vec::new();
        let confirm = Confirm { server_id: challenged.server_id, noise: &noise };
        if !written || confirm.write(&mut packet).is_err() {
            return self.fail(ConnectError::Identity, cx);
        }
        self.confirm = Some(packet.into());
        self.confirm_due = true;
        self.establish(challenged, cx);
    }

    /// The keys are known: messages may flow (state PINGING, R-HAND-5).
    fn establish(&mut self, challenged: Challenged, cx: &mut Cx<'_>) {
        let Some(opening) = self.opening.take() else { return };
        let Challenged { handshake, server_id, parameters, path, at } = challenged;
        self.suite = Some(handshake.suite());
        let Ok(split) = handshake.split() else { return self.fail(ConnectError::Identity, cx) };
        let start = &opening.start;
        let ids = (start.client_id, server_id);
        self.zone = Some(Zone::first(&start.aead, start.cipher, self.side, &split, ids));
        // A copier can send the CHALLENGE from anywhere: only an address that we chose counts. The
        // client does not pin its own address: it may change under it.
        let known = opening.chose(path.remote);
        let remote = if known { path.remote } else { opening.latest_remote() };
        self.path = super::addresses::Addresses::new(Path::to(remote), true, false, cx.now);
        self.home = super::reach::Home::new(start.name.clone(), &start.addresses);
        self.stage = Stage::Pinging;
        // Only an answer to a single OPEN tells which one it answers.
        if opening.repeats.sent == 1
            && let Some(sent) = opening.first_sent
            && let Some(sample) = self.believed(Some(at - sent), at)
        {
            self.path_state.rtt.update(cx.now, sample, Duration::ZERO, Duration::ZERO);
        }
        let began = opening.journey.began.or(opening.first_sent);
        self.started = began.unwrap_or(self.started);
        self.reset.again = Some(opening);
        // The first DATA asks for a full-sized answer, and is full-sized itself (R-HAND-5a).
        self.pings.want(true);
        self.on_parameters(parameters, cx);
        self.last_received = cx.now;
        self.arm_idle(cx.now);
    }
}

/// Appends an OPEN.
fn copy_open(out: &mut Vec<u8>, packet: &[u8], path: Path) -> tripline_sansio::Transmit {
    out.extend_from_slice(packet);
    let len = packet.len();
    tripline_sansio::Transmit { path, ecn: tripline_sansio::Ecn::NotEct, len, segment_size: len }
}

fn bad_payload(error: PayloadError) -> ConnectError {
    ConnectError::Violation { code: error.code(), reason: "the payload of CHALLENGE" }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// T03, row OPENING of §10: the times at which OPEN is sent.
    #[test]
    fn t03_opens_are_quick_then_brisk_then_slow() {
        let mut repeats = Repeats::new();
        let (mut at, mut times) = (Duration::ZERO, Vec::new());
        while at < Duration::from_secs(3_600) {
            times.push(at.as_millis());
            at += repeats.next_gap(at);
        }
        assert_eq!(times[..8], [0, 200, 400, 600, 900, 1_350, 2_025, 3_025]);
        let gaps: Vec<u128> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().all(|gap| *gap <= 300_000));
        assert_eq!(gaps.last(), Some(&300_000));
        let brisk = times.iter().filter(|at| **at < 120_000).count();
        assert!((120..=126).contains(&brisk), "{brisk}");
    }
}
